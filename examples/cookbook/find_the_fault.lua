-- make run RUN=examples/cookbook/find_the_fault.lua
-- Packets do not arrive: find out why.
--
--      pc -------- gw -------- web
local topology = require "netns.topology"

local t = topology.new "broken"
local gw = t:router "gw"
t:host("pc"):connect(gw)
gw:connect(t:host "web")
gw:firewall "table inet f { chain c { type filter hook forward priority 0; tcp dport 80 drop; }; }"

local lab <close> = t:up()
local server <close> = lab.web:tcp_listen { port = 80 }
print(server)
local why = lab:explain("pc", "web", { tcp = 80, timeout = 0.3 })
print(why)
assert(why.problem.node == "gw")
