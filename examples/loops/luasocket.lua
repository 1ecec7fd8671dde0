-- luasocket: a server in one namespace, clients in two others, one select loop, and the kernel's events in it.
--   LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="build/?.so;;" lua5.4 examples/loops/luasocket.lua
--
--   a 10.0.0.1 ---\
--                   switch --- server 10.0.0.3, TCP port 7
--   b 10.0.0.2 ---/
--
-- luasocket's socket.tcp() and socket.udp() make their descriptor only when it is first used, in whatever namespace
-- that happens: have them made by ns:tcp_listen, ns:tcp_connect and ns:udp. Whatever has a method `getfd` can be waited
-- for in socket.select; here that is a monitor.
local socket = require "socket"
local topology = require "netns.topology"
require "netns"

local t = topology.new "loops"
local switch = t:switch "switch"
for _, name in ipairs { "a", "b", "server" } do
  t:host(name):attach(switch)
end
local lab <close> = t:up()

local monitor <close> = lab.server:monitor { "link" }
local events = { getfd = function() return monitor:fd() end }
local listener = lab.server:tcp_listen { port = 7, library = "luasocket" }
listener:settimeout(0)

local reading, replies, saw_link = { listener, events }, 0, false
for _, name in ipairs { "a", "b" } do
  local client = lab[name]:tcp_connect(lab.server, 7, { library = "luasocket" })
  client:settimeout(0)
  client:send("hello from " .. name .. "\n")
  reading[#reading + 1] = client
end
lab.server.link:set { dev = "eth0", alias = "uplink" }

local clients = { [reading[3]] = "a", [reading[4]] = "b" }
local deadline = socket.gettime() + 10
while (replies < 2 or not saw_link) and socket.gettime() < deadline do
  for _, ready in ipairs((socket.select(reading, nil, 1))) do
    if ready == listener then
      local connection = listener:accept()
      connection:settimeout(0)
      reading[#reading + 1] = connection
    elseif ready == events then
      local event = monitor:next(0)
      saw_link = saw_link or event ~= nil and event.data.alias == "uplink"
    elseif clients[ready] then
      print(clients[ready], (ready:receive()))
      replies = replies + 1
    else
      local line = ready:receive()
      ready:send(line and line:upper() .. "\n" or "")
    end
  end
end
for i, object in ipairs(reading) do
  if i ~= 2 then
    object:close()
  end
end
assert(replies == 2 and saw_link)
