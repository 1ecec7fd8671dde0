#!/usr/bin/env lua5.4
-- An office behind NAT, with a firewall on the gateway: inside may go out, outside may only reach the web server.
--
--   pc1 ---+
--   pc2 ---+--- [lan] --- gw ----------- isp
--   web ---+              NAT, firewall
--
--   lan     10.0.0.0/24, fd00::/64: gw .1, then the hosts in the order of their names
--   gw-isp  10.128.0.0/31, fd00:0:1::/127
local topology = require "netns.topology"
local socket = require "socket"

local office = topology.new "office"
local lan, gw, isp = office:switch "lan", office:router "gw", office:router "isp"
for _, name in ipairs { "pc1", "pc2", "web" } do
  office:host(name):attach(lan)
end
gw:attach(lan):connect(isp)
gw:nat { out = isp, publish = { { port = 8080, to = "web", to_port = 80 } } }
gw:firewall [[
  table inet filter {
    chain forward {
      type filter hook forward priority 0; policy drop;
      ct state established,related accept
      iifname "eth0" accept comment "from inside"
      ct status dnat accept comment "what NAT publishes"
    }
  }
]]

local lab <close> = office:up()
print(lab)

local server = lab.web:call(socket.bind, "*", 80)
local function say(what, yes)
  print(("%-45s %s"):format(what, yes and "yes" or "no"))
end
print()
say("pc1 reaches the provider", lab:reach("pc1", "isp"))
say("the provider reaches pc1", lab:reach("isp", "pc1", { timeout = 0.2 }))
say("the provider reaches port 8080 of the gateway", lab:reach("isp", "gw", { tcp = 8080 }))
say("the provider reaches port 22 of the web server", lab:reach("isp", lab.web.address, { tcp = 22, timeout = 0.2 }))
server:close()
