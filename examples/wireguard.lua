-- WireGuard between two sites over a network that listens.
--
--      home                       isp                       office
--      wg0 10.7.0.1/24                                      wg0 10.7.0.2/24
--      lan 192.168.1.1/24                                   lan 192.168.2.1/24
--      eth0 192.0.2.1/24 ---- br0, a switch ---- 192.0.2.2/24 eth0
--                              (its owner reads along)
--
-- needs: wireguard
local netns = require "netns"

local home <close> = netns.new()
local office <close> = netns.new()
local isp <close> = netns.new()

isp.link:add { name = "br0", type = "bridge", up = true }
local sites = { { home, "home" }, { office, "office" } }
for i, site in ipairs(sites) do
  local ns, name = table.unpack(site)
  isp.link:add { name = name, type = "veth", master = "br0", up = true,
    peer = { name = "eth0", netns = ns, up = true } }
  ns:wait { link = "eth0", state = "up" }
  ns.addr:add { dev = "eth0", address = ("192.0.2.%d/24"):format(i) }
  ns.link:add { name = "lan", type = "bridge", up = true }
  ns.addr:add { dev = "lan", address = ("192.168.%d.1/24"):format(i) }
  ns.sysctl["net.ipv4.ip_forward"] = 1
end

-- Both ends: a key each, and one that they share. The link knows what its public key is.
local preshared = netns.wireguard.genpsk()
local ends = {}
for i, site in ipairs(sites) do
  ends[i] = site[1].link:add { name = "wg0", type = "wireguard", private_key = netns.wireguard.genkey(),
    listen_port = 51820 }
end
for i, wg in ipairs(ends) do
  local other = 3 - i
  wg:set { up = true, peers = { {
    public_key = ends[other].public_key, preshared_key = preshared, endpoint = ("192.0.2.%d:51820"):format(other),
    allowed_ips = { ("10.7.0.%d/32"):format(other), ("192.168.%d.0/24"):format(other) }, persistent_keepalive = 25,
  } } }
  wg.addr:add(("10.7.0.%d/24"):format(i))
  wg.route:add { dst = ("192.168.%d.0/24"):format(other), src = ("192.168.%d.1"):format(i) }
end

print("through the tunnel:", home:ping "10.7.0.2")
print("from lan to lan:   ", home:ping "192.168.2.1")

-- What the owner of the switch sees of 100 more pings: packets that say nothing.
local before = isp.link:get("office").stats.tx_packets
assert(home:ping("192.168.2.1", { count = 100, interval = 0.001 }))
print("packets on the way:", isp.link:get("office").stats.tx_packets - before)

local peer = ends[1].peers[1]
print(("home has sent %d bytes and received %d; the last handshake was at %s"):format(peer.tx_bytes, peer.rx_bytes,
  os.date("!%H:%M:%S", peer.latest_handshake)))

-- Without the peer, nothing gets through.
ends[2]:set { peers = { { public_key = ends[1].public_key, remove = true } } }
print("after the office has forgotten home:", (home:ping("10.7.0.2", { timeout = 0.3 })) or "no answer")
