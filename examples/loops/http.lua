-- lua-http: a web server in one namespace, fetched from another, in one cqueues loop.
--   LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="build/?.so;;" lua5.4 examples/loops/http.lua
--
--   client 10.0.0.1 --- switch --- web 10.0.0.2, HTTP on TCP port 80
--
-- http.server and http.client take sockets of cqueues: have them made by ns:tcp_listen and ns:tcp_connect. With
-- http.request alone the connection would be made in the namespace that the thread is in.
--
-- Debian's lua-http is for Lua 5.1 to 5.3; being Lua only, it works with 5.4 as well.
for _, version in ipairs { "5.3", "5.2", "5.1" } do
  package.path = ("%s;/usr/share/lua/%s/?.lua;/usr/share/lua/%s/?/init.lua"):format(package.path, version, version)
end
local cqueues = require "cqueues"
local http_client = require "http.client"
local http_headers = require "http.headers"
local http_server = require "http.server"
local topology = require "netns.topology"
require "netns"

local t = topology.new "web"
local switch = t:switch "switch"
t:host("client"):attach(switch)
t:host("web"):attach(switch)
local lab <close> = t:up()
local loop = cqueues.new()

local server = http_server.new {
  socket = lab.web:tcp_listen { port = 80, library = "cqueues" },
  tls = false,
  onerror = function(_, _, op, err)
    io.stderr:write(("%s: %s\n"):format(op, err))
  end,
  onstream = function(_, stream)
    local request = stream:get_headers()
    local answer = http_headers.new()
    answer:append(":status", request:get ":path" == "/" and "200" or "404")
    answer:append("content-type", "text/plain")
    stream:write_headers(answer, false)
    local _, peer = stream:peername()
    stream:write_chunk(("%s asked for %s\n"):format(peer, request:get ":path"), true)
  end,
}
local serving = true
loop:wrap(function()
  while serving do
    server:step(0.1)
  end
  server:close()
end)

-- One request over one connection from a namespace: the status and the body.
local function fetch(ns, target, path)
  local connection = http_client.negotiate(ns:tcp_connect(target, 80, { library = "cqueues" }),
    { tls = false, version = 1.1 }, 10)
  local stream = connection:new_stream()
  local request = http_headers.new()
  for _, pair in ipairs { { ":method", "GET" }, { ":scheme", "http" }, { ":path", path },
    { ":authority", target.address } } do
    request:append(pair[1], pair[2])
  end
  stream:write_headers(request, true, 10)
  local answer = assert(stream:get_headers(10))
  local body = stream:get_body_as_string(10)
  connection:close()
  return answer:get ":status", body
end

local seen = {}
loop:wrap(function()
  for _, path in ipairs { "/", "/nothing" } do
    local status, body = fetch(lab.client, lab.web, path)
    io.write(path, " ", status, " ", body)
    seen[#seen + 1] = status
  end
  serving = false
end)
assert(loop:loop(20))
assert(seen[1] == "200" and seen[2] == "404")
