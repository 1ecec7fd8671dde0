-- luv (libuv): a server in one namespace, clients in two others, callbacks; a process and events in its loop.
--   LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="build/?.so;;" lua5.4 examples/loops/luv.lua
--
--   a 10.0.0.1 ---\
--                   switch --- server 10.0.0.3, TCP port 7
--   b 10.0.0.2 ---/
--
-- uv_tcp_t and uv_udp_t have no descriptor until bind, connect or send, which libuv may call for later: have them
-- made by ns:tcp_listen, ns:tcp_connect and ns:udp. uv.getaddrinfo, files and uv.queue_work run in threads of libuv's,
-- and uv.spawn in its own way: all in the namespace of the process, whatever you are inside of.
local topology = require "netns.topology"
require "netns"
local uv = require "luv"

local t = topology.new "loops"
local switch = t:switch "switch"
for _, name in ipairs { "a", "b", "server" } do
  t:host(name):attach(switch)
end
local lab <close> = t:up()

local listener = lab.server:tcp_listen { port = 7, library = "luv" }
assert(listener:listen(128, function(err)
  assert(not err, err)
  local connection = uv.new_tcp()
  listener:accept(connection)
  connection:read_start(function(_, data)
    if data then
      connection:write(data:upper())
    else
      connection:close()
    end
  end)
end))

local replies, saw_link, pinged = 0, false, false
local timer, process_poll, link_poll = uv.new_timer(), nil, nil

local function stop_when_done()
  if replies == 2 and saw_link and pinged then
    for _, handle in ipairs { listener, process_poll, link_poll, timer } do
      handle:close()
    end
  end
end

for _, name in ipairs { "a", "b" } do
  local client = lab[name]:tcp_connect(lab.server, 7, { library = "luv" })
  client:read_start(function(_, data)
    print(name, (data:gsub("\n", "")))
    replies = replies + 1
    client:close()
    stop_when_done()
  end)
  client:write("hello from " .. name .. "\n")
end

local process <close> = lab.a:spawn { "ping", "-c2", "-i0.2", lab.server.address }
process_poll = uv.new_poll(process:fd())
process_poll:start("r", function() -- readable when it has ended
  process_poll:stop()
  pinged = process:wait(0).ok
  print("ping", pinged and "answered" or "failed")
  stop_when_done()
end)

local monitor <close> = lab.server:monitor { "link" }
link_poll = uv.new_poll(monitor:fd())
link_poll:start("r", function()
  local event = monitor:next(0)
  saw_link = saw_link or event ~= nil and event.data.alias == "uplink"
  stop_when_done()
end)
lab.server.link:set { dev = "eth0", alias = "uplink" }

timer:start(10000, 0, function() uv.stop() end)
uv.run()
assert(replies == 2 and saw_link and pinged)
