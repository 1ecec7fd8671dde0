-- copas: a server in one namespace, clients in two others, coroutines over luasocket.
--   LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="build/?.so;;" lua5.4 examples/loops/copas.lua
--
--   a 10.0.0.1 ---\
--                   switch --- server 10.0.0.3, TCP port 7
--   b 10.0.0.2 ---/
--
-- copas drives luasocket's objects: have them made by ns:tcp_listen, ns:tcp_connect and ns:udp, give them no patience
-- (or one blocks all), and wrap them. Its own copas.http and copas.smtp make theirs where the thread is, and yield
-- while they do, which cannot cross ns:call.
--
-- Debian's lua-copas is for Lua 5.1 to 5.3; being Lua only, it works with 5.4 as well.
package.path = package.path .. ";/usr/share/lua/5.3/?.lua;/usr/share/lua/5.2/?.lua;/usr/share/lua/5.1/?.lua"
local copas = require "copas"
local topology = require "netns.topology"
require "netns"

local t = topology.new "loops"
local switch = t:switch "switch"
for _, name in ipairs { "a", "b", "server" } do
  t:host(name):attach(switch)
end
local lab <close> = t:up()

local listener = lab.server:tcp_listen { port = 7, library = "luasocket" }
copas.addserver(listener, function(connection)
  connection = copas.wrap(connection)
  local line = connection:receive()
  while line do
    connection:send(line:upper() .. "\n")
    line = connection:receive()
  end
end)

local replies = 0
for _, name in ipairs { "a", "b" } do
  copas.addthread(function()
    local socket = lab[name]:tcp_connect(lab.server, 7, { library = "luasocket" })
    socket:settimeout(0)
    local client = copas.wrap(socket)
    client:send("hello from " .. name .. "\n")
    print(name, (client:receive()))
    socket:close()
    replies = replies + 1
  end)
end

-- copas.loop() does the same for ever (or, in newer versions, until there is nothing left to do)
local deadline = os.time() + 10
repeat
  copas.step(0.1)
until replies == 2 or os.time() > deadline
listener:close()
assert(replies == 2)
