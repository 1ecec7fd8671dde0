-- make run RUN=examples/cookbook/test_server.lua
-- Start a server, go on when it is ready, talk to it, and end it.
--
--      client 10.0.0.1 -------- 10.0.0.2:8080 server
local netns = require "netns"

local client <close> = netns.new()
local server <close> = netns.new()
client.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = server, up = true } }
client.addr:add { dev = "eth0", address = "10.0.0.1/24" }
server.addr:add { dev = "eth0", address = "10.0.0.2/24" }

local program = [[
  local s = assert(require("socket").bind("*", 8080))
  local c = s:accept()
  c:send("you said " .. c:receive() .. "\n")
]]
local process <close> = server:spawn({ "lua5.4", "-e", program }, { ready = { tcp = 8080 } })
local answer = client:run { "lua5.4", "-e", [[
  local c = assert(require("socket").connect("10.0.0.2", 8080))
  c:send "hello\n"
  print((c:receive()))
]] }
print(answer)
assert(answer.stdout == "you said hello\n")
assert(process:wait(5).ok)
