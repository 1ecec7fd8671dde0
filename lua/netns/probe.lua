--- Probes: `ns:ping`, `ns:traceroute`, `ns:path_mtu`, `ns:reach`, and many of them at once.
--
-- All of them run in one loop in C, in the calling thread, without processes: raw ICMP sockets, one for each
-- namespace and address family, and a socket for each TCP or UDP probe.
--
-- Destinations are addresses as text ("10.0.0.2", "fe80::1%eth0"), nodes of a lab, or any Namespace, which
-- stands for its first global address. Times are seconds.
--
-- **Options** of all: `timeout` (how long one packet is waited for), `source` (address), `dev` (link to leave
-- by), `tos`, `mark`; `family` ("inet", "inet6") where the destination is a Namespace. Besides:
--
-- - ping: `count` (1), `interval` (1 s; 0 sends all at once), `size` (56 bytes behind the ICMP header), `ttl`,
--   `df` (true: nobody may fragment it, and what is known of the path's MTU is ignored), `pattern` (text that
--   fills the payload)
-- - traceroute: `first_ttl` (1), `max_ttl` (30), `tries` (2 for each hop), `size`
-- - path_mtu: `min`, `max` (bytes of the whole packet), `tries` (2)
-- - tcp, udp: `port`, `ttl`, `tries` (1); udp: `payload` (text, default empty)
--
-- **Results** are tables that print as one line or a few. All have `ok`, `dst`, `kind`, `time` (what it took)
-- and `shots`: for each packet sent `state` ("answered", "error", "refused", "unsent", "silent"), and where
-- known `from`, `rtt`, `ttl`, `error` (in words), `type` and `code` (ICMP), `errno`, `mtu`, `duplicates`.
-- @module netns.probe
local check = require "netns.check"
local core = require "netns.core"

local probe = {}
local Probes = core.Probes

-- Results ----------------------------------------------------------------------------------------------------------

local Result = { __name = "netns.ProbeResult" }

local function ms(seconds)
  return ("%.3f ms"):format(seconds * 1e3)
end

-- What befell a shot, in words: "Time to live exceeded from 10.0.0.1".
local function words(shot)
  if shot.state == "answered" then
    return ("answered by %s in %s"):format(shot.from, ms(shot.rtt))
  elseif shot.state == "refused" then
    return "refused by " .. shot.from
  elseif shot.state == "error" then
    return ("%s, from %s%s"):format(shot.error, shot.from, shot.mtu and (" (mtu %d)"):format(shot.mtu) or "")
  elseif shot.state == "unsent" then
    return ("not sent: %s (%s)"):format(shot.error, shot.errno)
  end
  return shot.state == "silent" and "no answer" or "no answer yet"
end

-- How often what befell the shots, in the order of first appearance, answers left out.
local function troubles(shots)
  local counts, order = {}, {}
  for _, shot in ipairs(shots) do
    if shot.state ~= "answered" then
      local text = words(shot)
      if not counts[text] then
        order[#order + 1] = text
      end
      counts[text] = (counts[text] or 0) + 1
    end
  end
  for i, text in ipairs(order) do
    order[i] = counts[text] > 1 and ("%s (%d times)"):format(text, counts[text]) or text
  end
  return table.concat(order, "; ")
end

local print_as = {}

function print_as.ping(r)
  local text = ("ping %s: %d of %d answered"):format(r.dst, r.received, r.sent)
  if r.duplicates > 0 then
    text = ("%s, %d duplicates"):format(text, r.duplicates)
  end
  if r.received > 0 then
    text = ("%s, min %s avg %s max %s"):format(text, ms(r.min), ms(r.avg), ms(r.max))
  end
  local trouble = troubles(r.shots)
  return trouble ~= "" and text .. ": " .. trouble or text
end

function print_as.traceroute(r)
  local lines = { ("traceroute to %s: %s"):format(r.dst, r.ok and "reached" or "not reached") }
  for _, hop in ipairs(r.hops) do
    local text = "*"
    if hop.from then
      text = ("%s  %s"):format(hop.from, ms(hop.rtt))
      if hop.error and not hop.passing then
        text = text .. "  " .. hop.error
      end
    elseif hop.errno then
      text = words(hop)
    end
    lines[#lines + 1] = ("%2d  %s"):format(hop.hop, text)
  end
  return table.concat(lines, "\n")
end

function print_as.path_mtu(r)
  local text = ("path MTU to %s: %s"):format(r.dst, r.mtu or "not known")
  for _, hop in ipairs(r.hops) do
    text = ("%s, %s says %d"):format(text, hop.from, hop.mtu)
  end
  if r.silent then
    text = text .. ", larger packets vanish without a word"
  end
  if not r.mtu and #r.shots > 0 then
    text = ("%s: %s"):format(text, words(r.shots[#r.shots]))
  end
  return text
end

local function print_port(r)
  local last = r.shots[#r.shots]
  return ("%s %s port %d: %s%s"):format(r.kind, r.dst, r.port, r.state, last and " (" .. words(last) .. ")" or "")
end
print_as.tcp, print_as.udp = print_port, print_port

function Result:__tostring()
  return print_as[self.kind](self)
end

local finish = {}

function finish.ping(r)
  r.ok = r.received > 0
end

-- One line for each hop: the answer or error where there was one.
function finish.traceroute(r)
  r.hops = {}
  local by_hop, last, first = {}, 0, math.huge
  for _, shot in ipairs(r.shots) do
    local known = by_hop[shot.hop]
    if not known or (not known.from and shot.from) then
      by_hop[shot.hop] = shot
    end
    last, first = math.max(last, shot.hop), math.min(first, shot.hop)
  end
  local passing = r.dst:find(":", 1, true) and 3 or 11
  for hop = first, last do
    local shot = by_hop[hop]
    shot.passing = shot.state == "error" and shot.type == passing and shot.code == 0 or nil
    r.hops[#r.hops + 1] = shot
    if shot.state == "answered" or shot.state == "unsent" or (shot.state == "error" and not shot.passing) then
      r.ok = shot.state == "answered"
      break
    end
  end
  while r.hops[2] and r.hops[#r.hops].state == "silent" and r.hops[#r.hops - 1].state == "silent" do
    r.hops[#r.hops] = nil -- one star for the silence at the end
  end
end

function finish.path_mtu(r)
  r.hops = {}
  for _, shot in ipairs(r.shots) do
    if shot.state == "error" and shot.mtu then
      r.hops[#r.hops + 1] = { from = shot.from, mtu = shot.mtu }
    end
    r.silent = r.silent or (r.mtu and shot.state == "silent" and shot.size > r.mtu) or nil
  end
  r.ok = r.mtu ~= nil
end

local states = { answered = "open", refused = "closed", error = "rejected", unsent = "unsent", silent = "silent" }

function finish.tcp(r)
  local last = r.shots[#r.shots]
  r.state = last and states[last.state] or "unsent"
  r.ok = r.state == "open"
end
finish.udp = finish.tcp

-- Give a finished result its verdict and its print.
local function dress(r)
  r.ok = false
  finish[r.kind](r)
  return setmetatable(r, Result)
end

-- Where to --------------------------------------------------------------------------------------------------------

local function is_family(address, family)
  return not family or (family == "inet6") == (address:find(":", 1, true) ~= nil)
end

--- The address that a destination stands for.
-- @tparam Namespace from who asks
-- @tparam string|Namespace target
-- @tparam[opt] string family "inet" or "inet6"
-- @treturn ?string nil where the namespace has no such address
function probe.address(from, target, family)
  if type(target) == "string" then
    return target
  end
  local known = probe.of_lab and probe.of_lab(from, target, family)
  if type(known) == "string" then
    return known
  end
  for _, addr in ipairs(target.addr:list { scope = "global" }) do
    local address = addr.address:gsub("/.*", "")
    if is_family(address, family) then
      return address
    end
  end
end

-- The address and the options without ours.
local function prepare(what, from, target, opts)
  if opts ~= nil and type(opts) ~= "table" then
    check.refuse("%s: options must be a table, got %s", what, type(opts))
  end
  local rest, family = {}, nil
  for key, value in next, opts or {} do
    if key == "family" then
      family = value
    else
      rest[key] = value
    end
  end
  if family ~= nil and family ~= "inet" and family ~= "inet6" then
    check.refuse("%s: family must be \"inet\" or \"inet6\", got %s", what, tostring(family))
  end
  if type(target) == "userdata" then
    check.object(target, "Namespace", what)
  elseif type(target) ~= "string" then
    check.refuse("%s: an address or a Namespace expected, got %s", what, check.show(target))
  end
  local address = probe.address(from, target, family)
  if not address then
    local of = family and " of family " .. family or ""
    check.refuse("%s: %s has no global address%s", what, tostring(target), of)
  end
  return address, rest
end

-- Many ------------------------------------------------------------------------------------------------------------

--- A set of probes that run together.
-- `add` takes as many as you like, from any namespaces; `run` waits for all. In a program with an event loop,
-- poll `fd()` for reading and call `step(0)` then, until it returns 0.
-- @treturn Probes to be closed; `#probes` is how many were added
-- @usage
-- local probes <close> = netns.probes()
-- for _, host in ipairs(hosts) do probes:ping(host, "10.0.0.1") end
-- for number, result in probes:run() do print(number, result) end
function probe.new()
  return core.probes()
end

for _, kind in ipairs { "ping", "traceroute", "path_mtu", "tcp", "udp" } do
  --- Add a probe: `probes:ping(ns, dst, opts)`, likewise `traceroute`, `path_mtu`, `tcp` and `udp`.
  -- @tparam Namespace ns where it starts
  -- @tparam string|Namespace target
  -- @tparam[opt] table opts see netns.probe
  -- @treturn integer its number
  -- @raise netns.Error: EPERM without CAP_NET_RAW, EMFILE at a limit
  -- @usage probes:ping(a, b, { size = 1400, df = true })
  Probes[kind] = function(self, ns, target, opts)
    local address, rest = prepare(kind, ns, target, opts)
    return check.relay(check.object(self, "Probes", kind).add, self, kind, ns, address, rest)
  end
end

local bare_result = Probes.result

--- The result of a probe as far as it is known.
-- @tparam integer number
-- @treturn table see netns.probe
-- @usage print(probes:result(1))
function Probes:result(number)
  return dress(bare_result(self, number))
end

--- Run them all to their end.
-- @treturn function an iterator over the numbers and results
-- @usage for number, result in probes:run() do print(number, result) end
function Probes:run()
  repeat
    local left = self:step()
  until left == 0
  local number = 0
  return function()
    if number < #self then
      number = number + 1
      return number, self:result(number)
    end
  end
end

-- One -------------------------------------------------------------------------------------------------------------

local function one(ns, kind, address, opts)
  local probes <close> = core.probes()
  check.relay(probes.add, probes, kind, ns, address, opts)
  local _, result = probes:run()()
  if result.ok then
    return result
  end
  return nil, result
end

--- Ping from this namespace.
-- @function Namespace:ping
-- @tparam string|Namespace target
-- @tparam[opt] table opts see netns.probe
-- @treturn ?table the result, or nil and the result where no answer came: so `assert(a:ping(b))` says why.
--   Fields: `sent received duplicates loss min avg max mdev`
-- @usage print(red:ping("10.0.0.2", { count = 3, interval = 0.2 }).avg)
function core.Namespace.ping(ns, target, opts)
  local address, rest = prepare("ping", check.object(ns, "Namespace", "ping"), target, opts)
  return one(ns, "ping", address, rest)
end

--- The routers on the way to a destination.
-- @function Namespace:traceroute
-- @tparam string|Namespace target
-- @tparam[opt] table opts see netns.probe
-- @treturn ?table the result, or nil and the result where the destination was not reached. `hops`: for each hop
--   `hop` (its number), `from`, `rtt`, `error`
-- @usage for _, hop in ipairs(red:traceroute("10.0.9.2").hops) do print(hop.hop, hop.from) end
function core.Namespace.traceroute(ns, target, opts)
  local address, rest = prepare("traceroute", check.object(ns, "Namespace", "traceroute"), target, opts)
  return one(ns, "traceroute", address, rest)
end

--- The largest packet that reaches a destination unfragmented.
-- Where routers do not say so (an MTU hole), it is searched for.
-- @function Namespace:path_mtu
-- @tparam string|Namespace target
-- @tparam[opt] table opts see netns.probe
-- @treturn ?table the result, or nil and the result. `mtu`; `hops`: who said what; `silent`: true for a hole
-- @usage print(red:path_mtu("10.0.9.2").mtu)
function core.Namespace.path_mtu(ns, target, opts)
  local address, rest = prepare("path_mtu", check.object(ns, "Namespace", "path_mtu"), target, opts)
  return one(ns, "path_mtu", address, rest)
end

-- { tcp = 80, timeout = 1 } -> "tcp", { port = 80, timeout = 1 }
local function split_how(what, how)
  local kind, rest = "ping", {}
  for key, value in next, how do
    if key == "tcp" or key == "udp" then
      if kind ~= "ping" then
        check.refuse("%s: either tcp or udp, not both", what)
      end
      kind, rest.port = key, value
    elseif key ~= "icmp" then
      rest[key] = value
    end
  end
  local icmp = rawget(how, "icmp")
  if icmp ~= nil and (icmp ~= true or kind ~= "ping") then
    check.refuse("%s: icmp must be true, and stands for itself", what)
  end
  return kind, rest
end

--- Does something answer there?
-- @function Namespace:reach
-- @tparam string|Namespace target
-- @tparam[opt] table how `tcp = port`, `udp = port` or `icmp = true` (the default), and options as above
-- @treturn ?table the result, or nil and the result. For ports `state`: "open"; "closed" (refused by the
--   destination); "rejected" (an ICMP error came); "silent"; "unsent"; for udp `reply`
-- @usage assert(red:reach("10.0.0.2", { tcp = 22 }))
function core.Namespace.reach(ns, target, how)
  local address, rest = prepare("reach", check.object(ns, "Namespace", "reach"), target, how)
  local kind, opts = split_how("reach", rest)
  return one(ns, kind, address, opts)
end

-- Matrices --------------------------------------------------------------------------------------------------------

local Matrix = { __name = "netns.Matrix" }

-- A matrix prints as a table: who (rows) reaches whom (columns).
function Matrix:__tostring()
  local width = 4
  for _, name in ipairs(self.names) do
    width = math.max(width, #name)
  end
  local function line(first, cells)
    local parts = { ("%-" .. width .. "s"):format(first) }
    for _, name in ipairs(self.names) do
      parts[#parts + 1] = ("%" .. math.max(#name, 5) .. "s"):format(cells(name))
    end
    return (table.concat(parts, "  "):gsub("%s+$", ""))
  end
  local lines = { line("from", function(name)
    return name
  end) }
  for _, from in ipairs(self.names) do
    lines[#lines + 1] = line(from, function(to)
      local rtt = self[from][to]
      return rtt == nil and "" or rtt and ("%.2f"):format(rtt * 1e3) or "x"
    end)
  end
  lines[#lines + 1] = ("%d of %d reached (ms)"):format(self.reached, self.pairs)
  return table.concat(lines, "\n")
end

-- Both directions of a pair together, pairs in blocks: then neighbours learned for one serve the other before the
-- kernel's table is full.
local BLOCK = 14

local function each_pair(nodes, fn)
  local n = #nodes
  for row = 1, n, BLOCK do
    for column = row, n, BLOCK do
      for i = row, math.min(row + BLOCK - 1, n) do
        for j = math.max(column, i + 1), math.min(column + BLOCK - 1, n) do
          fn(nodes[i], nodes[j])
          fn(nodes[j], nodes[i])
        end
      end
    end
  end
end

--- Who reaches whom: all pairs of nodes at once.
-- @tparam {table,...} nodes `{ name =, netns =, address = }` each; the address may be left out, or be a function
--   of the node that asks and the node asked
-- @tparam[opt] table how as for `ns:reach`
-- @treturn table `m[from][to]`: the round trip in seconds, or false; `m.ok`, `m.reached`, `m.pairs`, `m.names`,
--   `m.failures`: `{ from =, to =, result = }` each. Prints as a table.
-- @usage print(netns.matrix({ { name = "a", netns = red }, { name = "b", netns = blue } }, { tcp = 80 }))
function probe.matrix(nodes, how)
  local rest = how or {}
  if type(rest) ~= "table" then
    check.refuse("matrix: options must be a table, got %s", check.show(rest))
  end
  check.nodes(nodes, "matrix")
  local family = rawget(rest, "family")
  local matrix = setmetatable({ names = {}, failures = {}, pairs = 0, reached = 0 }, Matrix)
  local addresses, asked = {}, {}
  for i, node in ipairs(nodes) do
    matrix.names[i], matrix[node.name] = node.name, {}
    if type(node.address) ~= "function" then
      addresses[node] = prepare("matrix", nil, node.address or node.netns, { family = family })
    end
  end
  local kind, opts = split_how("matrix", rest)
  opts.family = nil
  local probes <close> = core.probes()
  each_pair(nodes, function(from, to)
    local address = addresses[to] or prepare("matrix", from.netns, to.address(from, to))
    asked[check.relay(probes.add, probes, kind, from.netns, address, opts)] = { from, to }
  end)
  for number, result in probes:run() do
    local from, to = asked[number][1].name, asked[number][2].name
    local shot = result.shots[#result.shots]
    matrix[from][to] = result.ok and (result.min or shot.rtt) or false
    if not result.ok then
      matrix.failures[#matrix.failures + 1] = { from = from, to = to, result = result }
    end
    matrix.pairs = matrix.pairs + 1
    matrix.reached = matrix.reached + (result.ok and 1 or 0)
  end
  matrix.ok = matrix.reached == matrix.pairs
  return matrix
end

return probe
