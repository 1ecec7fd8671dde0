--- Counters: what links, protocols, queues and firewall rules have counted, and what was lost meanwhile.
-- @module netns.counters
local check = require "netns.check"
local core = require "netns.core"
require "netns.nft"

local counters = {}

-- Reading ----------------------------------------------------------------------------------------------------------

local function lines(ns, file)
  return ns:call(function()
    local list = {}
    local f = io.open("/proc/thread-self/net/" .. file)
    if f then
      for line in f:lines() do
        list[#list + 1] = line
      end
      f:close()
    end
    return list
  end)
end

-- "Ip: A B" over "Ip: 1 2"
local function read_pairs(all, ns, file)
  local list = lines(ns, file)
  for i = 1, #list - 1, 2 do
    local names, values = list[i]:gmatch "%S+", list[i + 1]:gmatch "%S+"
    local proto = names():gsub(":$", "")
    values()
    for name in names do
      local value = math.tointeger(tonumber(values()))
      all[("%s %s"):format(proto:lower(), name)] = value
    end
  end
end

local function read_columns(all, ns, file)
  for _, line in ipairs(lines(ns, file)) do
    local name, value = line:match "^(%S+)%s+(%d+)$"
    if name then
      local proto, what = name:match "^(%a+6)(%u.*)$"
      all[proto and ("%s %s"):format(proto:lower(), what) or "ip6 " .. name] = math.tointeger(tonumber(value))
    end
  end
end

local function read_links(all, ns)
  for _, link in ipairs(ns.link:list { stats = true }) do
    for name, value in pairs(link.stats or {}) do
      all[("link %s %s"):format(link.name, name)] = value
    end
  end
end

local function read_qdiscs(all, ns)
  local ok, list = pcall(function()
    return ns.qdisc and ns.qdisc:list { stats = true } or {}
  end)
  for _, q in ipairs(ok and list or {}) do
    for name, value in pairs(q.stats or {}) do
      if math.type(value) == "integer" then
        all[("qdisc %s %s %s"):format(q.dev, q.kind or q.type or "?", name)] = value
      end
    end
  end
end

-- The rule as nft writes it, by its handle.
local function rule_texts(ns)
  local texts, where, chain = {}, nil, nil
  for line in ns.nft:text({ stateless = true, handle = true }):gmatch "[^\n]+" do
    local family, name = line:match "^table (%S+) (%S+)"
    local inner = line:match "^%s+chain (%S+)"
    local rule, handle = line:match "^%s+(.-)%s*# handle (%d+)$"
    if family then
      where = family .. " " .. name
    elseif inner then
      chain = inner
    elseif rule and where and chain then
      texts[("%s %s"):format(where, handle)] = ("%s %s \"%s\""):format(where, chain, rule)
    end
  end
  return texts
end

local function rule_counter(rule)
  for _, expr in ipairs(rule.expr or {}) do
    if type(expr) == "table" and type(expr.counter) == "table" then
      return expr.counter
    end
  end
end

local function read_nft(all, ns)
  if #core.nft_tables(ns) == 0 then
    return
  end
  local texts = rule_texts(ns)
  for _, item in ipairs(ns.nft:list()) do
    local c = item.counter
    local rule = item.rule
    local of_rule = rule and rule_counter(rule)
    if c then
      local name = ("nft %s %s counter %s"):format(c.family, c.table, c.name)
      all[name .. " packets"], all[name .. " bytes"] = c.packets, c.bytes
    elseif of_rule then
      local key = ("%s %s %s"):format(rule.family, rule.table, rule.handle)
      local name = "nft " .. (texts[key] or key)
      all[name .. " packets"], all[name .. " bytes"] = of_rule.packets, of_rule.bytes
    end
  end
end

--- All counters of the namespace.
-- @function Namespace:counters
-- @treturn table integers by name: "link eth0 rx_dropped", "ip InNoRoutes", "tcpext ListenDrops", "ip6 InDiscards",
--   "qdisc eth0 netem drops", 'nft inet filter input "tcp dport 80 counter drop" packets'
-- @usage print(ns:counters()["link eth0 rx_packets"])
function core.Namespace.counters(ns)
  check.object(ns, "Namespace", "counters")
  local all = {}
  read_links(all, ns)
  read_pairs(all, ns, "snmp")
  read_pairs(all, ns, "netstat")
  read_columns(all, ns, "snmp6")
  read_qdiscs(all, ns)
  read_nft(all, ns)
  return all
end

-- Comparing --------------------------------------------------------------------------------------------------------

local Moved = { __name = "netns.Moved" }

function Moved:__tostring()
  local list = {}
  for i, item in ipairs(self) do
    list[i] = ("%s%s: +%d"):format(item.node and item.node .. ": " or "", item.counter, item.by)
  end
  return #list > 0 and table.concat(list, "\n") or "nothing was counted"
end

--- What moved from one reading to another.
-- @tparam table before what `ns:counters()` gave
-- @tparam table after the same, later
-- @tparam[opt] function chosen given a name, whether it counts
-- @treturn {table,...} `{ counter =, by = }` each, sorted by name; prints as lines
function counters.moved(before, after, chosen)
  local list = setmetatable({}, Moved)
  for name, value in pairs(after) do
    local by = value - (before[name] or 0)
    if by ~= 0 and (not chosen or chosen(name)) then
      list[#list + 1] = { counter = name, by = by }
    end
  end
  table.sort(list, function(a, b)
    return a.counter < b.counter
  end)
  return list
end

-- Words in the names of counters that count what was lost or refused.
local lost = { "[Dd]rop", "[Ee]rror", "[Ee]rrs?$", "[Dd]iscard", "NoRoute", "NoPorts", "Unknown", "Fail", "Overflow",
  "Prune", "TooBig", "TimeExcds", "DestUnreachs", "ReversePathFilter", "AbortOn", "Truncated", "missed", "over_limit",
  "OutRsts", "nohandler", "collisions" }

--- Does this counter count packets that were lost or refused?
function counters.is_loss(name)
  if name:find "^nft " then
    return (name:find("drop", 1, true) or name:find("reject", 1, true)) and name:find " packets$" ~= nil or false
  end
  for _, word in ipairs(lost) do
    if name:find(word) then
      return true
    end
  end
  return false
end

--- Run a function, and tell which counters of losses moved meanwhile.
-- @tparam {table,...} nodes `{ name =, netns = }` each
-- @tparam function fn
-- @treturn {table,...} `{ node =, counter =, by = }` each; prints as lines; then what fn returned
function counters.drops(nodes, fn)
  check.nodes(nodes, "drops")
  check.callable(fn, "drops")
  local before = {}
  for i, node in ipairs(nodes) do
    before[i] = node.netns:counters()
  end
  local results = table.pack(fn())
  local list = setmetatable({}, Moved)
  for i, node in ipairs(nodes) do
    for _, item in ipairs(counters.moved(before[i], node.netns:counters(), counters.is_loss)) do
      list[#list + 1] = { node = node.name, counter = item.counter, by = item.by }
    end
  end
  return list, table.unpack(results, 1, results.n)
end

--- Run a function, and tell which counters of losses moved in this namespace.
-- @function Namespace:drops
-- @tparam function fn
-- @treturn {table,...} `{ counter =, by = }` each; prints as lines; then what fn returned
-- @usage print(ns:drops(function() ns:ping "10.0.0.9" end))
function core.Namespace.drops(ns, fn)
  check.object(ns, "Namespace", "drops")
  check.callable(fn, "drops")
  local before = ns:counters()
  local results = table.pack(fn())
  return counters.moved(before, ns:counters(), counters.is_loss), table.unpack(results, 1, results.n)
end

return counters
