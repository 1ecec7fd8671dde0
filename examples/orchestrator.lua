-- A program that runs labs on request: HTTP on a Unix socket, one lab a name, descriptions and answers in JSON.
--
--   curl, scripts ... ---- /run/labs.sock ---- this program ---- lab "office":  gw -- lan -- pc1, pc2
--                                                          \---- lab "test":    r1 -- r2 -- r3
--
-- Run as root. This one shows itself at work: it starts a server, uses it, kills it, and starts another.
--   LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="build/?.so;;" lua5.4 examples/orchestrator.lua
-- And this one serves:
--   ... lua5.4 examples/orchestrator.lua serve /run/labs.sock
--   curl --unix-socket /run/labs.sock http://labs/office -X PUT -d '{"pattern": "star", "hosts": 3}'
--
--   GET    /              the names of all labs
--   PUT    /NAME          {"nodes": ...} (a description) or {"pattern": ..., ...}: makes the lab, or changes it to that
--   GET    /NAME          nodes with their addresses, and what is not as described
--   GET    /NAME/picture  as text
--   POST   /NAME/ping     who reaches whom
--   POST   /NAME/repair   mends what is not as described
--   DELETE /NAME          takes it down
--
-- Labs outlive the program, however it ends: their namespaces have names, and a program that starts takes over the labs
-- whose owner is dead. A request that is wrong, or a client that hangs, gets an error, and nobody else notices.
local cqueues = require "cqueues"
local json = require "netns.json"
local netns = require "netns"
local socket = require "cqueues.socket"
local topology = require "netns.topology"

local BODY_MAX, HEADERS_MAX, PATIENCE_S = 1024 * 1024, 100, 10

-- Labs ----------------------------------------------------------------------------------------------------------

local labs = {}

-- An error with an HTTP status.
local function refuse(status, text, more)
  error({ status = status, body = { error = text, findings = more } }, 0)
end

local function description_of(body)
  local data, wrong = json.decode(body)
  if type(data) ~= "table" then
    refuse(400, "the body is " .. (wrong or "no object"))
  elseif data.pattern == nil then
    return topology.from(data)
  end
  local pattern = data.pattern
  data.pattern = nil
  local known = { pair = 1, line = 1, ring = 1, star = 1, mesh = 1, tree = 1, dumbbell = 1, leaf_spine = 1,
    fat_tree = 1, container_host = 1 }
  if not known[pattern] then
    refuse(422, ("there is no pattern %s"):format(json.encode(pattern)))
  end
  local ok, result = pcall(topology[pattern], data)
  if not ok then
    refuse(422, tostring(result))
  end
  return result
end

local function lab_of(name)
  return labs[name] or refuse(404, ("there is no lab \"%s\""):format(name))
end

local function show(name)
  local lab, nodes, drift = lab_of(name), {}, json.array()
  for _, node in ipairs(lab:names()) do
    nodes[node] = { netns = name .. "." .. node, addresses = json.array(lab:node(node).addresses) }
  end
  for i, finding in ipairs(lab:diff()) do
    drift[i] = ("%s: %s: expected %s, found %s"):format(finding.node, finding.what, tostring(finding.expected),
      tostring(finding.found))
  end
  return 200, { name = name, nodes = nodes, drift = drift }
end

local function put(name, body)
  local t = description_of(body)
  local findings = json.array()
  for _, finding in ipairs(t:check()) do
    findings[#findings + 1] = not finding.warning and { path = finding.path, message = finding.message } or nil
  end
  if #findings > 0 then
    refuse(422, "the description is wrong", findings)
  end
  local is_new = not labs[name]
  if is_new then
    labs[name] = t:up { name = name }
  else
    labs[name]:apply(t)
  end
  local _, answer = show(name)
  return is_new and 201 or 200, answer
end

local function take_over()
  for _, found in ipairs(topology.list()) do
    if not found.owned then
      local ok, lab = pcall(topology.attach, found.name, { own = true })
      labs[found.name] = ok and lab or nil
      print(ok and "took over" or "could not take over", found.name, ok and "" or lab)
    end
  end
end

-- Requests: method and form of the path, then what is done --------------------------------------------------------

local routes = {
  { "GET", "^/$", function()
    local names = json.array()
    for name in pairs(labs) do
      names[#names + 1] = name
    end
    table.sort(names)
    return 200, names
  end },
  { "PUT", "^/([%w_-]+)$", put },
  { "GET", "^/([%w_-]+)$", show },
  { "DELETE", "^/([%w_-]+)$", function(name)
    lab_of(name):close()
    labs[name] = nil
    return 204
  end },
  { "GET", "^/([%w_-]+)/picture$", function(name)
    return 200, lab_of(name):draw() .. "\n"
  end },
  { "POST", "^/([%w_-]+)/repair$", function(name)
    return 200, { mended = lab_of(name):repair() }
  end },
  { "POST", "^/([%w_-]+)/ping$", function(name)
    local matrix, answer = lab_of(name):ping_all(), {}
    for _, from in ipairs(matrix.names) do
      answer[from] = {}
      for _, to in ipairs(matrix.names) do
        answer[from][to] = from ~= to and (matrix[from][to] or false) or nil
      end
    end
    return 200, answer
  end },
}

local function handle(method, path, body)
  local allowed = false
  for _, route in ipairs(routes) do
    local name = path:match(route[2])
    if name and route[1] == method then
      return route[3](name, body)
    end
    allowed = allowed or name ~= nil
  end
  refuse(allowed and 405 or 404, ("%s %s: there is nothing of that kind"):format(method, path))
end

-- Status and body of any request, whatever happens.
local function answer_to(method, path, body)
  local ok, status, answer = pcall(handle, method, path, body)
  if ok then
    return status, answer
  elseif type(status) == "table" and status.status then
    return status.status, status.body
  end
  return 500, { error = tostring(status) } -- what the system refused
end

-- HTTP ------------------------------------------------------------------------------------------------------------

local reasons = { [200] = "OK", [201] = "Created", [204] = "No Content", [400] = "Bad Request", [404] = "Not Found",
  [405] = "Method Not Allowed", [413] = "Content Too Large", [422] = "Unprocessable Content",
  [500] = "Internal Server Error" }

local function read_request(client)
  local line = client:read "*l"
  local method, path = (line or ""):match "^(%u+) (%g+) HTTP/1%.[01]\r?$"
  if not method then
    refuse(400, "this is no HTTP request")
  end
  local length = 0
  for i = 1, HEADERS_MAX + 1 do
    local header = client:read "*l"
    if not header or header == "" or header == "\r" then
      break
    elseif i > HEADERS_MAX then
      refuse(400, "too many headers")
    end
    local name, value = header:match "^([^:%s]+):%s*(.-)%s*$"
    if name and name:lower() == "content-length" then
      length = math.tointeger(tonumber(value)) or refuse(400, "Content-Length is no number")
    elseif name and name:lower() == "transfer-encoding" then
      refuse(400, "a body must have a Content-Length")
    end
  end
  if length < 0 or length > BODY_MAX then
    refuse(413, ("a body may have %d bytes"):format(BODY_MAX))
  end
  local body = length > 0 and client:read(length) or ""
  if #(body or "") < length then
    refuse(400, "the body is shorter than Content-Length")
  end
  return method, path, body
end

local function serve_client(client)
  client:onerror(function(_, _, why)
    return why -- also a time-out: reads and writes then give nil
  end)
  client:setmode("b", "bf")
  client:settimeout(PATIENCE_S)
  local ok, method, path, body = pcall(read_request, client)
  local status, answer
  if ok then
    status, answer = answer_to(method, path, body)
  elseif type(method) == "table" and method.status then
    status, answer = method.status, method.body
  else
    status, answer = 400, { error = tostring(method) }
  end
  local text = answer == nil and "" or type(answer) == "string" and answer or json.encode(answer) .. "\n"
  client:write(("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"):format(
    status, reasons[status], type(answer) == "string" and "text/plain" or "application/json", #text), text)
  client:flush()
  client:close()
end

local function serve(path)
  take_over()
  local server = assert(socket.listen { path = path, mode = "0600", unlink = true })
  assert(server:listen())
  print("ready", path)
  io.stdout:flush()
  local loop = cqueues.new()
  loop:wrap(function()
    for client in server:clients() do
      loop:wrap(function()
        pcall(serve_client, client)
        client:close()
      end)
    end
  end)
  while true do
    local ok, why = loop:loop()
    if not ok then
      io.stderr:write(tostring(why), "\n")
    end
  end
end

-- The show --------------------------------------------------------------------------------------------------------

local function ask(path, method, url, body)
  local client = assert(socket.connect { path = path })
  client:setmode("b", "bf")
  client:settimeout(60)
  client:write(("%s %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s"):format(method, url, #(body or ""), body or ""))
  client:flush()
  local text = client:read "*a" or ""
  client:close()
  return text:match "HTTP/1.1 (%d+)", text:match "\r\n\r\n(.*)$"
end

local function show_itself()
  local path = os.tmpname()
  local function start()
    local server = netns.current():spawn({ arg[-1], arg[0], "serve", path }, { mounts = false, stderr = "inherit" })
    for line in server:lines("l", 30) do
      print("server:", line)
      if line:find "^ready" then
        return server
      end
    end
    error "the server did not start"
  end
  local function request(method, url, body)
    local status, answer = ask(path, method, url, body)
    print(("%-6s %-15s %s %s"):format(method, url, status, (answer or ""):sub(1, 160)))
    return status, answer
  end
  local server <close> = start()
  assert(request("PUT", "/office", '{"pattern": "star", "hosts": 2, "ipv6": false}') == "201")
  assert(request("PUT", "/broken", '{"nodes": {"a": {"kind": "rooter"}}}') == "422")
  assert(request("GET", "/nobody") == "404")
  assert(request("PUT", "/office", "{") == "400")
  assert(request("POST", "/office/ping") == "200")
  server:kill "KILL"
  server:wait(10)
  print "server: killed"
  local again <close> = start()
  assert(again:wait(0) == nil)
  assert(select(2, request("GET", "/")) == '["office"]\n')
  assert(request("PUT", "/office", '{"pattern": "star", "hosts": 3, "ipv6": false}') == "200")
  print(select(2, ask(path, "GET", "/office/picture")))
  assert(request("DELETE", "/office") == "204")
  assert(#topology.list() == 0)
  os.remove(path)
end

if arg[1] == "serve" and arg[2] then
  serve(arg[2])
elseif #arg == 0 then
  show_itself()
else
  io.stderr:write("usage: orchestrator.lua [serve SOCKET]\n")
  os.exit(2)
end
