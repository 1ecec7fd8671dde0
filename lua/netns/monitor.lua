--- Events: what changes in a namespace, as it happens.
--
-- `ns:monitor { "link", "addr", ... }` listens from the moment it is called; nothing that happens later is missed
-- silently. An **event** is a table:
--
-- - `event`: "new" (it is there now, or has changed) or "del"
-- - `kind`: "link", "addr", "route", "rule", "neigh", "nexthop" ..., or "nft"
-- - `data`: the same table that `list` gives for it; for "nft" an event of `netns.nft.monitor`
--
-- `{ event = "overrun" }` says that more happened than the socket could hold: some events are lost, and
-- `monitor:resync()` gives everything as it is now.
-- @module netns.monitor
local check = require "netns.check"
local core = require "netns.core"

local monitor = {}

local Monitor = { __name = "netns.Monitor" }
Monitor.__index = Monitor

local usual = { "link", "addr", "route", "rule", "neigh", "nexthop" }
local BUFFER = 64 * 1024 * 1024 -- bytes of events that may wait; a limit, not an allocation

local function watched(kinds)
  local list, seen, nft = {}, {}, false
  local wanted = rawlen(kinds) > 0 and kinds or usual
  for i = 1, rawlen(wanted) do
    local kind = rawget(wanted, i)
    if type(kind) ~= "string" then
      check.refuse("monitor: kind %d must be a string, got %s", i, type(kind))
    end
    if kind == "nft" then
      nft = true
    elseif not seen[kind] then
      list[#list + 1], seen[kind] = kind, true
    end
  end
  return list, nft
end

--- Listen to a namespace.
-- @function Namespace:monitor
-- @tparam[opt] {string,...} kinds "link", "addr", "route", "rule", "neigh", "nexthop" (all these if none is named),
--   "fdb", "vlan", "mdb", "qdisc", "class", "nft"; `buffer`: how many bytes of events may wait to be read (default
--   64 MiB, as far as the system allows)
-- @treturn Monitor to be closed
-- @usage
-- local m <close> = ns:monitor { "link", "route" }
-- for e in m:each(1) do print(e.event, e.kind, e.data.name or e.data.dst) end
function core.Namespace.monitor(ns, kinds)
  check.object(ns, "Namespace", "monitor")
  kinds = kinds or {}
  if type(kinds) ~= "table" then
    check.refuse("monitor: a list of kinds expected, got %s", check.show(kinds))
  end
  for key in next, kinds do
    if type(key) ~= "number" and key ~= "buffer" then
      check.refuse("monitor: unknown key %s; there are a list of kinds, and buffer", check.show(key))
    end
  end
  local buffer = rawget(kinds, "buffer") or BUFFER
  if math.type(buffer) ~= "integer" or buffer < 4096 or buffer > 0x3fffffff then
    check.refuse("monitor: buffer must be an integer from 4096 to 1073741823, got %s", tostring(buffer))
  end
  local list, nft = watched(kinds)
  local self = setmetatable({ ns = ns, kinds = list, sources = {} }, Monitor)
  local names = {}
  if #list > 0 then
    -- first listen, then learn the names: so none is missed
    self.sources[1] = check.relay(core.monitor, ns, list, names, buffer)
    for _, link in ipairs(ns.link:list()) do
      names[link.ifindex] = names[link.ifindex] or link.name
    end
  end
  if nft then
    self.nft = require("netns.nft.monitor").new(ns)
    self.sources[#self.sources + 1] = self.nft
  end
  self.fds = {}
  for i, source in ipairs(self.sources) do
    self.fds[i] = source:fd()
  end
  self.joint = #self.fds > 1 and core.epoll(self.fds) or nil
  return self
end

local function need_open(self)
  if getmetatable(self) ~= Monitor then
    check.refuse("a Monitor expected, got %s", check.show(self))
  elseif not self.sources then
    check.refuse "the monitor is closed"
  end
end

local function read(source, nft)
  if source ~= nft then
    return source:read()
  end
  local event = source:next(0)
  if not event or event.event == "overrun" then
    return event and { event = "overrun" }
  end
  return { event = event.event, kind = "nft", data = event }
end

--- The next event.
-- @tparam[opt] number timeout seconds to wait for it (default: as long as it takes; 0: only what is there)
-- @treturn ?table nil when none came in time
-- @usage local e = m:next(0.5)
function Monitor:next(timeout)
  need_open(self)
  if timeout ~= nil and (type(timeout) ~= "number" or timeout < 0 or timeout ~= timeout) then
    check.refuse("monitor: a timeout is a number of seconds, got %s", tostring(timeout))
  end
  local deadline = timeout and core.now() + timeout
  while true do
    for _, source in ipairs(self.sources) do
      local event = read(source, self.nft)
      if event then
        return event
      end
    end
    local left = deadline and deadline - core.now()
    if left and left <= 0 then
      return nil
    end
    core.poll(self.fds, left)
  end
end

--- Events in a loop, until none comes for that long.
-- @tparam[opt] number timeout seconds; default: for ever
-- @treturn function the iterator
-- @usage for e in m:each(1) do print(e.event, e.kind) end
function Monitor:each(timeout)
  return function()
    return self:next(timeout)
  end
end

--- A descriptor for event loops: readable when `next(0)` has something to say.
-- It stays the monitor's own. Call `next(0)` until it gives nil, then wait again.
-- @treturn integer
-- @usage poll(m:fd())
function Monitor:fd()
  need_open(self)
  return self.joint and self.joint:fd() or self.fds[1]
end

--- Forget the events that wait, and list everything afresh.
-- What changes after this call still comes as an event.
-- @treturn table a list for each kind: `{ link = { ... }, route = { ... } }`; for "nft" the ruleset as text
-- @usage if e.event == "overrun" then now = m:resync() end
function Monitor:resync()
  need_open(self)
  repeat
    local event = self:next(0)
  until not event
  local now = {}
  for _, kind in ipairs(self.kinds) do
    now[kind] = self.ns[kind]:list()
  end
  if self.nft then
    now.nft = self.ns.nft:text()
  end
  return now
end

--- Stop listening. Twice is fine.
-- @usage m:close()
function Monitor:close()
  for _, source in ipairs(self.sources or {}) do
    source:close()
  end
  if self.joint then
    self.joint:close()
  end
  self.sources = nil
end

function Monitor:__tostring()
  return ("monitor of %s%s"):format(tostring(self.ns), self.sources and "" or " (closed)")
end

Monitor.__close = Monitor.close
monitor.methods = Monitor

return monitor
