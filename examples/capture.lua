-- One connection, seen at every link that it passes, on both sides of a NAT.
--
--   pc -------------------- gw -------------------- web
--   eth0 10.128.0.3         eth1 10.128.0.2
--                           eth0 10.128.0.0         eth0 10.128.0.1
--                           NAT: what pc sends leaves with gw's 10.128.0.0
--
-- All links go into one file, in the order of time: tshark -r FILE -T fields -e frame.interface_name ...
local netns = require "netns"
local topology = require "netns.topology"

local t = topology.new "nat"
local gw = t:router "gw"
t:host("pc"):connect(gw)
gw:connect(t:host "web"):nat { out = "web" }
local lab <close> = t:up()

local file = os.tmpname()
local cap <close> = netns.capture { lab.pc.link:get "eth0", lab.gw.link:get "eth1", lab.web.link:get "eth0",
  filter = "tcp port 80", file = file }

local server = lab.web:tcp_listen { port = 80, library = "luasocket" }
local client = lab.pc:tcp_connect(lab.web, 80, { library = "luasocket" })
local peer = server:accept()
client:send "GET / HTTP/1.0\r\n\r\n"
print("web is asked: ", peer:receive "*l", "by", (peer:getpeername()))
peer:close()
client:close()
server:close()

-- The same packet at three places: its sequence number stays, its source does not.
local first
for p in cap:each(0) do
  first = first or p.tcp.syn and not p.tcp.ack and p.tcp.seq
  if p.tcp.seq == first then
    print(p)
  end
end
cap:stop()
print(("%d packets written, %d lost"):format(cap:stats().written, cap:stats().dropped))
os.remove(file)

-- A flight recorder for what goes wrong later: nothing is written until it does.
local rec <close> = lab:record { nodes = { "gw" }, filter = "icmp" }
lab.web.nft:run "table inet f { chain c { type filter hook input priority 0; icmp type echo-request reject; }; }"
if not lab.pc:ping(lab.web, { timeout = 1 }) then
  for _, p in ipairs(rec:packets()) do
    print(p, p.icmp.original and "about the packet to " .. p.icmp.original.ipv4.dst or "")
  end
end
