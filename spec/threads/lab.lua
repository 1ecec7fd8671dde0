--- What each thread does, over and over: builds a lab, uses all that it has, and closes it.
local number, turn = ...
local netns = require "netns"
local topology = require "netns.topology"

local home <close> = netns.current()
local t = topology.new("t" .. number)
local sw, gw = t:switch "sw", t:router "gw"
for i = 1, 2 do
  t:host("h" .. i):attach(sw)
end
gw:attach(sw):connect(t:host "far")
gw:firewall "table inet f { chain c { type filter hook forward priority 0; counter; }; }"

local lab <close> = t:up(turn % 2 == 0 and { name = "t" .. number } or {})
assert(lab.h1:ping(lab.h2, { timeout = 10 }))
assert(lab:ping_all({ timeout = 10 }).ok)
assert(lab.gw.nft:list { family = "inet", table = "f" })
local r = lab.h1:run({ "cat" }, { stdin = "thread " .. number, mounts = false, timeout = 30 })
assert(r.stdout == "thread " .. number)
lab.h1:batch(function(b)
  for i = 0, 99 do
    b.route:add { dst = ("10.200.%d.0/24"):format(i), via = lab.h1.addr:list({ dev = "eth0", family = "inet" })[1]
      .address:match "^[^/]+" }
  end
end)
assert(#lab.h1.route:list { dst = "10.200.7.0/24" } == 1)
local m <close> = lab.h2:monitor { "link", "addr" }
lab.h2.link:set { dev = "lo", mtu = 60000 }
assert(m:next(10))
local named <close> = netns.new(("named%d"):format(number))
assert(netns.open(named.name) == named)
local now <close> = netns.current()
assert(now == home)
