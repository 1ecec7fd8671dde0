-- A host with a firewall: who may come in, from data that is not trusted, watched and counted.
--
--      guest                        host
--      10.0.0.2/24 ---------- 10.0.0.1/24     inet filter: drop, but for ssh and friends of the set
--      fd00::2/64             fd00::1/64
local netns = require "netns"
local socket = require "socket"

local host <close> = netns.new()
local guest <close> = netns.new()
for _, ns in ipairs { host, guest } do
  ns.sysctl["net.ipv6.conf.default.accept_dad"] = 0 -- nobody looks for duplicates of addresses
end
host.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = guest, up = true } }
host.addr:add { address = "10.0.0.1/24", dev = "eth0" }
host.addr:add { address = "fd00::1/64", dev = "eth0" }
guest.addr:add { address = "10.0.0.2/24", dev = "eth0" }
guest.addr:add { address = "fd00::2/64", dev = "eth0" }
for _, ns in ipairs { host, guest } do
  ns:wait { dad_done = true } -- and still the kernel takes a moment until an IPv6 address is its own
end

-- One commit: either the whole firewall stands, or nothing of it.
local friends, hello, refused
host.nft:transaction(function(nft)
  local filter = nft:table { family = "inet", name = "filter" }
  friends = filter:set { name = "friends", type = "ipv4_addr", flags = { "interval", "timeout" } }
  local input = filter:chain { name = "input", hook = "input", policy = "drop" }
  input:rule "ct state established,related accept"
  input:rule "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"
  input:rule("ip saddr @friends tcp dport $ports counter accept", { params = { ports = { 22, 80 } } })
  hello = input:rule("icmpv6 type echo-request counter accept", { comment = "ping over IPv6 only" })
  refused = input:rule "counter"
end)
print(host.nft:text())

local server = host:call(function()
  return assert(socket.bind("10.0.0.1", 80))
end)
local function can_connect()
  local client = guest:call(socket.tcp4)
  client:settimeout(0.5)
  local ok = client:connect("10.0.0.1", 80)
  client:close()
  return ok == 1
end

print("a stranger connects:", can_connect())
friends:add { { "10.0.0.0/24", timeout = "10m", comment = "the guests" } }
print("a friend connects:  ", can_connect())
print("ping, ping6:        ", guest:run({ "ping", "-c1", "-W0.5", "10.0.0.1" }).ok,
  guest:run({ "ping", "-c1", "-W5", "fd00::1" }).ok)
print("counted:            ", hello.counter.packets .. " ping6,", refused.counter.packets .. " refused")

-- What comes from outside is data: quoted, checked by its place, and no code.
for _, who in ipairs { "10.0.0.7", "10.0.0.0/8; flush ruleset", "fd00::2" } do
  local ok, err = pcall(host.nft.run, host.nft, "add rule inet filter input ip saddr $who drop", { who = who })
  print(who, ok and "taken" or err)
end

-- nft's own words, with the place.
print(select(2, pcall(host.nft.run, host.nft, "add rule inet filter input tcp dprot 22 accept")))
server:close()
