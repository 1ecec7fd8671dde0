--- Waiting without sleeps: `ns:wait`, `link:wait`, and processes that are waited for until they are ready.
--
-- A wait asks at once, and again whenever the kernel tells that something has changed. What the kernel does not
-- tell (a port, a file, your own function) is asked for again after 1, 2, 4 ... 20 ms.
-- @module netns.wait
local check = require "netns.check"
local core = require "netns.core"
require "netns.monitor"

local wait = {}

local DEFAULT = 10 -- seconds

-- Conditions -------------------------------------------------------------------------------------------------------
--
-- A condition is { what = in words, kinds = events that may fulfil it, poll = true where none does,
-- test = function -> value or nil, what was seen instead }.

local function words(filter)
  if type(filter) ~= "table" then
    return tostring(filter)
  end
  local parts = {}
  for key, value in pairs(filter) do
    parts[#parts + 1] = ("%s %s"):format(key, tostring(value))
  end
  table.sort(parts)
  return table.concat(parts, " ")
end

local function gone_error(name)
  return ("there is no link %s"):format(name)
end

local function link_condition(ns, opts)
  local what = { "link " .. tostring(opts.link) }
  if opts.state then
    what[#what + 1] = "state " .. opts.state
  end
  if opts.carrier ~= nil then
    what[#what + 1] = opts.carrier and "carrier" or "no carrier"
  end
  local function test()
    local link = ns.link:get(opts.link)
    if not link then
      return nil, gone_error(opts.link)
    end
    -- what has no carrier of its own says "unknown" while it is up
    local now = ns.link:list({ ifindex = link.ifindex })[1]
    if not now then
      return nil, gone_error(opts.link)
    end
    local state = now.operstate == "unknown" and (now.up and "up" or "down") or now.operstate
    local seen = ("%s, %s"):format(state, now.carrier and "carrier" or "no carrier")
    if (opts.state and state ~= opts.state) or (opts.carrier ~= nil and (now.carrier or false) ~= opts.carrier) then
      return nil, seen
    end
    return link
  end
  return { what = table.concat(what, " "), kinds = { "link" }, test = test }
end

-- Addresses that IPv6 still checks for duplicates; one that is a duplicate will never be done.
local function dad_condition(ns, opts)
  local filter = opts.link and { dev = opts.link } or nil
  local function test()
    local waiting = {}
    for _, addr in ipairs(ns.addr:list(filter)) do
      if addr.dadfailed then
        error(("wait: %s on %s is used by somebody else (duplicate address)"):format(addr.address, addr.dev), 0)
      elseif addr.tentative and not addr.optimistic then
        waiting[#waiting + 1] = addr.address
      end
    end
    if #waiting > 0 then
      return nil, "tentative: " .. table.concat(waiting, ", ")
    end
    return true
  end
  return { what = "no tentative address" .. (opts.link and " on " .. opts.link or ""), kinds = { "addr" }, test = test }
end

local settled = { reachable = true, stale = true, delay = true, probe = true, permanent = true, noarp = true }

-- The filter for `list`, with the link filled in.
local function filter_of(opts, noun, shorthand)
  local filter = { dev = noun ~= "rule" and opts.link or nil }
  if type(opts[noun]) == "string" then
    filter[shorthand] = opts[noun]
  else
    for key, value in pairs(opts[noun]) do
      filter[key] = value
    end
  end
  return filter
end

local function list_condition(noun, shorthand)
  return function(ns, opts)
    local filter = filter_of(opts, noun, shorthand)
    local function test()
      local list = ns[noun]:list(filter)
      for _, row in ipairs(list) do
        if noun ~= "neigh" or filter.state or settled[row.state] then
          return row
        end
      end
      return nil, list[1] and noun == "neigh" and ("it is %s"):format(list[1].state) or "there is none"
    end
    return { what = ("%s %s"):format(noun, words(filter)), kinds = { noun, "link" }, test = test }
  end
end

-- `address` says where it has to be listened.
local function port_condition(proto)
  return function(ns, opts)
    local wanted = opts[proto]
    local function test()
      for _, socket in ipairs(core.sockets(ns, proto, true)) do
        local any = socket.src == "0.0.0.0" or socket.src == "::"
        if socket.sport == wanted and (not opts.address or any or socket.src == opts.address) then
          return socket
        end
      end
      return nil, "nothing listens there"
    end
    local at = opts.address and " at " .. opts.address or ""
    return { what = ("%s port %d%s"):format(proto, wanted, at), poll = true, test = test }
  end
end

local function file_condition(_, opts)
  local function test()
    local ok, _, code = os.rename(opts.file, opts.file) -- of a thing to itself: changes nothing, and tells
    if ok or (code ~= 2 and code ~= 20) then
      return true
    end
    return nil, "it does not exist"
  end
  return { what = "file " .. opts.file, poll = true, test = test }
end

local function function_condition(ns, opts)
  local function test()
    local value, seen = opts.check(ns)
    if value then
      return value
    end
    return nil, seen ~= nil and tostring(seen) or "it gave " .. tostring(value)
  end
  local info = debug.getinfo(opts.check, "S")
  return { what = ("function at %s:%d"):format(info.short_src, info.linedefined), poll = true,
    kinds = { "link", "addr", "route", "neigh" }, test = test }
end

-- key -> { type of its value, constructor }
local conditions = {
  link = { "string or integer", link_condition },
  dad_done = { "boolean", dad_condition },
  addr = { "string or table", list_condition("addr", "address") },
  route = { "string or table", list_condition("route", "dst") },
  neigh = { "string or table", list_condition("neigh", "dst") },
  rule = { "table", list_condition("rule", "from") },
  tcp = { "port", port_condition "tcp" },
  udp = { "port", port_condition "udp" },
  file = { "string", file_condition },
  check = { "function", function_condition },
}
local others = { state = "string", carrier = "boolean", gone = "boolean", timeout = "number", process = "userdata",
  address = "string", port = "table" }

local function suits(value, wanted)
  if wanted == "port" then
    return math.type(value) == "integer" and value > 0 and value < 65536
  end
  local kind = math.type(value) or type(value)
  for name in wanted:gmatch "%a+" do
    if kind == name or type(value) == name then
      return true
    end
  end
  return false
end

local kind_of = {} -- of each key that there is
for key, condition in pairs(conditions) do
  kind_of[key] = condition[1]
end
for key, kind in pairs(others) do
  kind_of[key] = kind
end

-- What is given, checked, with port = { tcp = 80 } spread out.
local function normalise(what, timeout)
  if type(what) == "function" then
    what = { check = what }
  elseif type(what) ~= "table" then
    check.refuse("wait: a table or a function expected, got %s", type(what))
  end
  check.keys(what, kind_of, "wait")
  local opts = {}
  for key, value in next, what do
    if not suits(value, kind_of[key]) then
      check.refuse("wait: %s must be a %s, got %s", key, kind_of[key], check.show(value))
    end
    opts[key] = value
  end
  for proto, port in next, opts.port or {} do
    if (proto ~= "tcp" and proto ~= "udp") or not suits(port, "port") then
      check.refuse("wait: port is { tcp = 1 to 65535 } or { udp = ... }, got { %s = %s }", check.show(proto),
        check.show(port))
    end
    opts[proto] = port
  end
  opts.timeout = timeout or opts.timeout or DEFAULT
  if type(opts.timeout) ~= "number" or opts.timeout < 0 or opts.timeout ~= opts.timeout then
    check.refuse("wait: the time-out is a number of seconds, got %s", tostring(opts.timeout))
  end
  return opts
end

local function conditions_of(ns, opts)
  local list = {}
  for key, definition in pairs(conditions) do
    local wanted = opts[key]
    local part_of_another = key == "link" and not opts.state and opts.carrier == nil
      and (opts.dad_done or opts.addr or opts.route or opts.neigh)
    if wanted ~= nil and wanted ~= false and not part_of_another then
      list[#list + 1] = definition[2](ns, opts)
    end
  end
  table.sort(list, function(a, b)
    return a.what < b.what
  end)
  if #list == 0 then
    check.refuse("wait: nothing to wait for; there are %s", table.concat(check.names(kind_of), ", "))
  end
  return list
end

-- Waiting ----------------------------------------------------------------------------------------------------------

local function timed_out(ns, list, seen, seconds)
  local what = {}
  for i, condition in ipairs(list) do
    what[i] = condition.what
  end
  return setmetatable({
    op = "wait",
    object = table.concat(what, " and "),
    netns = tostring(ns),
    code = "ETIMEDOUT",
    errno = 110,
    message = "Connection timed out",
    kernel = ("after %g s; last seen: %s"):format(seconds, seen),
  }, core.Error)
end

-- The process that was to become ready has ended: with what it said.
local function died(process, list)
  local status = process:wait(0)
  if not status then
    return
  end
  local said = {}
  for _, from in ipairs { "stdout", "stderr" } do
    local ok, text = pcall(process.read, process, "a", { timeout = 1, from = from })
    if ok and text and text ~= "" then
      said[#said + 1] = (text:gsub("%s+$", ""))
    end
  end
  local text = #said > 0 and table.concat(said, "\n") or "it said nothing"
  return setmetatable({
    op = "spawn",
    object = tostring(process),
    code = "ECHILD",
    errno = 10,
    message = ("ended (%s) before %s"):format(status.signal and "signal " .. status.signal or "status "
      .. tostring(status.code), list[1].what),
    kernel = text,
    result = status,
  }, core.Error)
end

-- The value of the last condition if all are fulfilled; nil and what was seen.
local function test_all(list, gone)
  local value, seen
  for _, condition in ipairs(list) do
    value, seen = condition.test()
    if gone then
      if value then
        return nil, "it is still there"
      end
      value = true
    elseif not value then
      return nil, #list > 1 and ("%s: %s"):format(condition.what, seen) or seen
    end
  end
  return value
end

local function kinds_of(list)
  local kinds, seen, poll = {}, {}, false
  for _, condition in ipairs(list) do
    poll = poll or condition.poll
    for _, kind in ipairs(condition.kinds or {}) do
      if not seen[kind] then
        kinds[#kinds + 1], seen[kind] = kind, true
      end
    end
  end
  return kinds, poll
end

local function run(ns, opts, list)
  local kinds, poll = kinds_of(list)
  local monitor <close> = #kinds > 0 and ns:monitor(kinds) or nil
  local fds = monitor and { monitor:fd() } or {}
  if opts.process and opts.process:fd() then
    fds[#fds + 1] = opts.process:fd()
  end
  local deadline, pause = core.now() + opts.timeout, 0.001
  while true do
    local value, seen = test_all(list, opts.gone)
    if value then
      return value
    end
    local dead = opts.process and died(opts.process, list)
    if dead then
      error(dead, 0)
    end
    local left = deadline - core.now()
    if left <= 0 then
      error(timed_out(ns, list, seen, opts.timeout), 0)
    end
    core.poll(fds, poll and math.min(left, pause) or left)
    pause = math.min(pause * 2, 0.02)
    while monitor and monitor:next(0) do
      pause = 0.001
    end
  end
end

local function wait_for(ns, what, timeout)
  local opts = normalise(what, timeout)
  return run(ns, opts, conditions_of(ns, opts))
end

--- Wait until something is so.
-- All that is named must hold at once. With `gone = true`, until none of it does.
-- @function Namespace:wait
-- @tparam table|function what a function is called until it gives something true; a table names:
--
--   - `link` (name), with `state` ("up", "down" ...) or `carrier` (boolean)
--   - `addr`, `route`, `rule`, `neigh`: what `list` takes (a neighbour counts when it is resolved)
--   - `dad_done = true`: no IPv6 address is tentative any more, on `link` if given
--   - `tcp`, `udp`: a port that is listened on (`address`: there); also as `port = { tcp = 80 }`
--   - `file`: a path that exists; `check`: a function
--   - `process`: raise when it ends meanwhile
-- @tparam[opt=10] number timeout seconds; or as `timeout` in the table
-- @return what was found: the Link, the row, the socket, the function's value
-- @raise netns.Error ETIMEDOUT, saying what was awaited and what was seen last
-- @usage blue:wait({ tcp = 80 }, 5)
function core.Namespace.wait(ns, what, timeout)
  check.object(ns, "Namespace", "wait")
  return wait_for(ns, what, timeout)
end

--- Wait for something about this link.
-- @function Link:wait
-- @tparam table what as for `ns:wait`, with the link filled in
-- @tparam[opt=10] number timeout seconds
-- @usage red.link:get("eth0"):wait { state = "up" }
function core.Link.wait(link, what, timeout)
  check.object(check.object(link, "Link", "wait").netns, "Namespace", "wait")
  if type(what) ~= "table" then
    check.refuse("wait: a table expected, got %s", check.show(what))
  end
  local opts = { link = link.name }
  for key, value in next, what do
    opts[key] = value
  end
  return wait_for(link.netns, opts, timeout)
end

--- All sockets of a namespace.
-- @function Namespace:sockets
-- @tparam[opt] table what `proto` "tcp" or "udp" (default both), `listening = true`
-- @treturn {table,...} `proto family state src sport dst dport dev uid inode recv_q send_q` each
-- @usage print(ns:sockets { listening = true })
function core.Namespace.sockets(ns, what)
  check.object(ns, "Namespace", "sockets")
  what = check.options(what, { proto = "string", listening = "boolean" }, "sockets")
  if what.proto and what.proto ~= "tcp" and what.proto ~= "udp" then
    check.refuse("sockets: proto must be \"tcp\" or \"udp\", got %s", check.show(what.proto))
  end
  local list = setmetatable({}, core.List)
  for _, proto in ipairs { "tcp", "udp" } do
    if not what.proto or what.proto == proto then
      local some = core.sockets(ns, proto, what.listening)
      table.move(some, 1, #some, #list + 1, list)
    end
  end
  return list
end

-- spawn with ready -------------------------------------------------------------------------------------------------

--- Wait until the process is ready: what `ns:spawn(argv, { ready = ... })` does before it returns.
-- @tparam table|function ready what `ns:wait` takes: `{ tcp = 5201 }`, `{ file = "/run/x.sock" }`, a function;
--   `timeout` in it
-- @tparam Namespace ns where the process is
-- @raise netns.Error with the process's output when it ends first; ETIMEDOUT, and it is ended
-- @usage local server <close> = blue:spawn({ "iperf3", "-s" }, { ready = { tcp = 5201 } })
function core.Process.await_ready(process, ready, ns)
  local what = normalise(ready)
  what.process = process
  run(ns, what, conditions_of(ns, what))
end

return wait
