-- WAN emulation: an office reaches a server over ways of different length, and its uplink is shared fairly.
-- needs: netem tbf qdisc-htb qdisc-fq_codel
--
--      office 10.0.0.2 -- 10.0.0.1 gw 192.0.2.1 ~~~~ WAN ~~~~ 192.0.2.9 server
--                                 wan0         eth0
--
--      the WAN is a veth: link:impair works on both of its ends, each value is one-way
local netns = require "netns"

local office <close> = netns.new()
local gw <close> = netns.new()
local server <close> = netns.new()
gw.sysctl["net.ipv4.ip_forward"] = 1
gw.link:add { name = "lan0", type = "veth", up = true, peer = { name = "eth0", netns = office, up = true } }
local wan = gw.link:add { name = "wan0", type = "veth", up = true,
  peer = { name = "eth0", netns = server, up = true } }
gw.addr:add { dev = "lan0", address = "10.0.0.1/24" }
gw.addr:add { dev = "wan0", address = "192.0.2.1/24" }
office.addr:add { dev = "eth0", address = "10.0.0.2/24" }
office.route:add { dst = "default", via = "10.0.0.1" }
server.addr:add { dev = "eth0", address = "192.0.2.9/24" }
server.route:add { dst = "default", via = "192.0.2.1" }

-- The same link as several ways; the last one is asymmetric. Applied again, impair changes.
local ways = {
  { "a room", nil },
  { "a city", { delay = "4ms", rate = "100mbit" } },
  { "an ocean", { delay = "40ms", jitter = "2ms", loss = "0.1%", seed = 1 } },
  { "a satellite", { delay = "280ms", jitter = "5ms", loss = "0.5%", rate = "20mbit", seed = 1 } },
  { "one way lost", { loss = "100%", direction = "ingress" } },
}
for _, way in ipairs(ways) do
  wan:impair(nil)
  wan:impair(way[2])
  local r = office:ping("192.0.2.9", { count = 5, interval = 0.02, timeout = 2 })
  print(("%-12s  %s"):format(way[1], r and ("%5.1f ms"):format(r.min * 1e3) or "no answer"))
end

-- A line of 10 Mbit/s whose queue is ours: htb holds the rate, fq_codel keeps the queue short. Telephony has 1 Mbit/s
-- of its own and may borrow; everything else is the default class.
wan:impair { delay = "20ms", direction = "ingress" }
gw:batch(function(b)
  b.qdisc:replace { dev = "wan0", handle = "1:", kind = "htb", default = "20" }
  b.class:add { dev = "wan0", classid = "1:1", kind = "htb", rate = "10mbit" }
  for i, rate in ipairs { "1mbit", "9mbit" } do
    b.class:add { dev = "wan0", classid = ("1:%d0"):format(i), parent = "1:1", kind = "htb", rate = rate,
      ceil = "10mbit", prio = i - 1 }
  end
  b.qdisc:add { dev = "wan0", parent = "1:10", kind = "pfifo", limit = 50 }
  b.qdisc:add { dev = "wan0", parent = "1:20", kind = "fq_codel" }
end)
assert(office:ping("192.0.2.9", { count = 2, interval = 0.05 }))
print(gw.class:list())
local bulk = wan.class:get { classid = "1:20", stats = true }
print(("%d packets in the default class, %d dropped"):format(bulk.stats.packets, bulk.stats.drops))
assert(bulk.stats.packets > 0)
