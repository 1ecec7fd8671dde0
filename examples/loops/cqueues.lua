-- cqueues: a server in one namespace, clients in two others, coroutines in one loop; a process and events in it.
--   LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="build/?.so;;" lua5.4 examples/loops/cqueues.lua
--
--   a 10.0.0.1 ---\
--                   switch --- server 10.0.0.3, TCP port 7
--   b 10.0.0.2 ---/
--
-- cqueues.socket.connect and listen make their descriptor when they are first used, in whatever namespace that happens:
-- have them made by ns:tcp_listen and ns:tcp_connect. A yield cannot cross ns:call, so no other coroutine ever runs in
-- somebody's namespace. Everything here with an fd() can be polled.
local cqueues = require "cqueues"
local topology = require "netns.topology"
require "netns"

local t = topology.new "loops"
local switch = t:switch "switch"
for _, name in ipairs { "a", "b", "server" } do
  t:host(name):attach(switch)
end
local lab <close> = t:up()
local loop = cqueues.new()

local listener = lab.server:tcp_listen { port = 7, library = "cqueues" }
loop:wrap(function()
  for _ = 1, 2 do
    local connection = listener:accept()
    loop:wrap(function()
      for line in connection:lines "*l" do
        connection:write(line:upper(), "\n")
      end
      connection:close()
    end)
  end
  listener:close()
end)

local replies = 0
for _, name in ipairs { "a", "b" } do
  loop:wrap(function()
    local client = lab[name]:tcp_connect(lab.server, 7, { library = "cqueues" })
    client:write("hello from ", name, "\n")
    print(name, client:read "*l")
    replies = replies + 1
    client:close()
  end)
end

local process <close> = lab.a:spawn { "ping", "-c2", "-i0.2", lab.server.address }
local pinged = false
loop:wrap(function()
  cqueues.poll { pollfd = process:fd(), events = "r" } -- readable when it has ended
  pinged = process:wait(0).ok
  print("ping", pinged and "answered" or "failed")
end)

local monitor <close> = lab.server:monitor { "link" }
local saw_link = false
loop:wrap(function()
  while not saw_link do
    cqueues.poll { pollfd = monitor:fd(), events = "r" }
    local event = monitor:next(0)
    saw_link = event ~= nil and event.data.alias == "uplink"
  end
end)
lab.server.link:set { dev = "eth0", alias = "uplink" }

assert(loop:loop(10))
assert(replies == 2 and pinged and saw_link)
