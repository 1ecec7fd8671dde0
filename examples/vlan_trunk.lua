-- Two switches, two VLANs, one cable: a trunk; and a router on a stick that joins the VLANs.
--
--      staff1 10.10.0.1 --- p1 (10)                       (10) p1 --- staff2 10.10.0.2
--                              sw1 ==== trunk 10,20 ==== sw2
--      guest1 10.20.0.1 --- p2 (20)       |               (20) p2 --- guest2 10.20.0.2
--                                        p9 (10,20 tagged)
--                                         |
--                                      router eth0.10 10.10.0.254, eth0.20 10.20.0.254
--
-- needs: bridge-vlan vlan
local netns = require "netns"

local spaces <close> = setmetatable({}, { __close = function(list)
  for _, ns in pairs(list) do
    ns:close()
  end
end })
for _, name in ipairs { "sw1", "sw2", "staff1", "staff2", "guest1", "guest2", "router" } do
  spaces[name] = netns.new()
end
local sw1, sw2, router = spaces.sw1, spaces.sw2, spaces.router

for _, sw in ipairs { sw1, sw2 } do
  sw.link:add { name = "br0", type = "bridge", vlan_filtering = true, vlan_default_pvid = 0, up = true }
end

-- Plug `ns`.`dev` into a port of a switch, with the VLANs that the port is in.
local function plug(sw, port, ns, dev, vlan)
  sw.link:add { name = port, type = "veth", master = "br0", up = true, peer = { name = dev, netns = ns, up = true } }
  vlan.dev = port
  sw.vlan:add(vlan)
  sw:wait { link = port, state = "up" }
end

sw1.link:add { name = "trunk", type = "veth", master = "br0", up = true,
  peer = { name = "trunk", netns = sw2, up = true } }
sw2.link:set { dev = "trunk", master = "br0" }
for _, sw in ipairs { sw1, sw2 } do
  for _, vid in ipairs { 10, 20 } do
    sw.vlan:add { dev = "trunk", vid = vid }
  end
end

for i, sw in ipairs { sw1, sw2 } do
  for port, kind in ipairs { "staff", "guest" } do
    local host, vid = spaces[kind .. i], port * 10
    plug(sw, "p" .. port, host, "eth0", { vid = vid, pvid = true, untagged = true })
    host.addr:add { dev = "eth0", address = ("10.%d.0.%d/24"):format(vid, i) }
    host.route:add { dst = "default", via = ("10.%d.0.254"):format(vid) }
  end
end

-- The router's one port is in both VLANs, tagged.
plug(sw1, "p9", router, "eth0", { vid = 10 })
sw1.vlan:add { dev = "p9", vid = 20 }
router.sysctl["net.ipv4.ip_forward"] = 1
for _, vid in ipairs { 10, 20 } do
  local name = "eth0." .. vid
  router.link:add { name = name, type = "vlan", link = "eth0", id = vid, up = true }
  router.addr:add { dev = name, address = ("10.%d.0.254/24"):format(vid) }
end

print(sw1.vlan:list())
print("\nstaff1 to staff2, over the trunk:  ", spaces.staff1:ping "10.10.0.2")
print("guest1 to guest2, over the trunk:  ", spaces.guest1:ping "10.20.0.2")
print("staff1 to guest2, through the router:", spaces.staff1:ping "10.20.0.2")

-- Who is behind which port is what the switches have learned.
for _, entry in ipairs(sw2.fdb:list { master = "br0", state = "dynamic" }) do
  print(("sw2 sends %s of VLAN %s to %s"):format(entry.lladdr, entry.vlan, entry.dev))
end

-- Without VLAN 20 on the trunk, guests are alone.
sw1.vlan:del { dev = "trunk", vid = 20 }
print("guest1 to guest2, without VLAN 20:", (spaces.guest1:ping("10.20.0.2", { timeout = 0.3 })) or "no answer")
print("staff1 to staff2, still:           ", spaces.staff1:ping "10.10.0.2")
