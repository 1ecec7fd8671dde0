-- NAT by recipes: a router hides its guests and publishes one of them.
--
--      guest 10.0.0.2 -- 10.0.0.1 router 192.0.2.1 -- 192.0.2.9 world
--            fd00::2     fd00::1         2001:db8::1    2001:db8::9
--
--      masquerade on the way out; 192.0.2.1:8080 and [2001:db8::1]:8080 lead to the guest's port 80
local firewall = require "netns.firewall"
local netns = require "netns"
local socket = require "socket"

local guest <close> = netns.new()
local router <close> = netns.new()
local world <close> = netns.new()
for _, ns in ipairs { guest, router, world } do
  ns.sysctl["net.ipv6.conf.default.accept_dad"] = 0 -- nobody looks for duplicates of addresses
end
router.sysctl["net.ipv4.ip_forward"] = 1
router.sysctl["net.ipv6.conf.all.forwarding"] = 1

local function connect(name, host, ours, theirs)
  router.link:add { name = name, type = "veth", up = true, peer = { name = "eth0", netns = host, up = true } }
  for i, address in ipairs(ours) do
    router.addr:add { address = address, dev = name }
    host.addr:add { address = theirs[i], dev = "eth0" }
  end
end
connect("in0", guest, { "10.0.0.1/24", "fd00::1/64" }, { "10.0.0.2/24", "fd00::2/64" })
connect("out0", world, { "192.0.2.1/24", "2001:db8::1/64" }, { "192.0.2.9/24", "2001:db8::9/64" })
for _, ns in ipairs { guest, router, world } do
  ns:wait { dad_done = true } -- and still the kernel takes a moment until an IPv6 address is its own
end
guest.route:add { dst = "default", via = "10.0.0.1" }
guest.route:add { dst = "default", via = "fd00::1" }

-- The world knows nothing of 10.0.0.0/24 and fd00::/64: only NAT makes this work.
local masquerade = firewall.masquerade(router, { out = "out0" })
local http4 = firewall.publish(router, { port = 8080, to = "10.0.0.2:80" })
firewall.publish(router, { port = 8080, to = "[fd00::2]:80" })
firewall.default_deny(router, { forward = true })
firewall.allow(router, { iface = "in0", out = "out0", chain = "forward" })
firewall.allow(router, { proto = "ping" })

local function serve(ns, address, port)
  local server = ns:call(function()
    return assert(socket.bind(address, port))
  end)
  server:settimeout(5)
  return server
end

-- Who the server sees when `ns` connects; nil where nobody answers.
local function seen(ns, make, server, address, port)
  local client = ns:call(make)
  client:settimeout(1)
  local peer = client:connect(address, port) and server:accept()
  local name = peer and peer:getpeername()
  if peer then
    peer:close()
  end
  client:close()
  return name
end

local web4, web6 = serve(guest, "10.0.0.2", 80), serve(guest, "fd00::2", 80)
local far4, far6 = serve(world, "192.0.2.9", 7), serve(world, "2001:db8::9", 7)
print("the guest seen by the world:   ", seen(guest, socket.tcp4, far4, "192.0.2.9", 7),
  seen(guest, socket.tcp6, far6, "2001:db8::9", 7))
print("the world seen by the guest:   ", seen(world, socket.tcp4, web4, "192.0.2.1", 8080),
  seen(world, socket.tcp6, web6, "2001:db8::1", 8080))
print("the guest by its public name:  ", seen(guest, socket.tcp4, web4, "192.0.2.1", 8080))
print("masqueraded connections:       ", masquerade.rules[1].counter.packets)

-- Each recipe can be undone, and what is applied can be asked.
http4:undo()
print("no longer published:           ", seen(world, socket.tcp4, web4, "192.0.2.1", 8080))
for _, recipe in ipairs(firewall.list(router)) do
  print(recipe)
end
firewall.reset(router)
print("left over:                     ", #router.nft:list())
for _, server in ipairs { web4, web6, far4, far6 } do
  server:close()
end
