--- Carrying out a plan: all or nothing.
--
-- Namespaces first, then for each one batch with its links and one with its configuration; what the kernel refuses
-- is named with the node and the line of the description it comes from, and everything is let go.
-- @module netns.topology.up
local core = require "netns.core"
require "netns.process"
require "netns.sysctl"
local impair = require "netns.impair"
local ip = require "netns.topology.ip"
local kernel = require "netns.topology.kernel"
local names = require "netns.topology.names"
local tunnels = require "netns.topology.tunnels"
local words = require "netns.topology.words"

local up = {}

-- An error about one operation: say which node and which line of the description.
local function blame(err, step, path)
  if getmetatable(err) == core.Error then
    err.node, err.path = step.name, path
    return err
  end
  return ("%s (node %s%s)"):format(tostring(err), step.name, path and ", " .. path or "")
end

-- Run fn; on failure raise with step and path, the latter as found by path_of(err).
local function attempt(step, path_of, fn, ...)
  local ok, err = pcall(fn, ...)
  if not ok then
    local path = path_of
    if type(path_of) == "function" then
      path = path_of(err)
    end
    error(blame(err, step, path), 0)
  end
  return err
end

-- The arguments of a link with its peer's namespace in place.
local function with_peer(args, spaces)
  if not args.peer then
    return args
  end
  local copy, peer = {}, {}
  for key, value in pairs(args) do
    copy[key] = value
  end
  for key, value in pairs(args.peer) do
    peer[key] = value
  end
  peer.node, peer.netns = nil, spaces[args.peer.node]
  copy.peer = peer
  return copy
end

--- One batch of operations on a node.
-- @tparam table step the node's step
-- @tparam {table,...} ops
-- @tparam table spaces namespaces by node name
function up.batch(step, ops, spaces)
  local batched = {}
  for _, op in ipairs(ops) do
    if op.tunnel then
      attempt(step, op.path, tunnels.add, op, step, spaces)
    else
      batched[#batched + 1] = op
    end
  end
  ops = batched
  if #ops == 0 then
    return
  end
  attempt(step, function(err)
    local failures = type(err) == "table" and err.failures
    local op = failures and failures[1] and ops[failures[1].index]
    return op and op.path
  end, function()
    spaces[step.name]:batch(function(b)
      local nouns = { link = b.link, addr = b.addr, route = b.route, rule = b.rule, neigh = b.neigh,
        nexthop = b.nexthop, fdb = b.fdb, vlan = b.vlan, qdisc = b.qdisc, class = b.class }
      for _, op in ipairs(ops) do
        local noun = nouns[op.noun]
        noun[op.verb](noun, op.noun == "link" and op.args.peer and with_peer(op.args, spaces) or op.args)
      end
    end)
  end)
end

--- The devices of a step, one after another, as one may stand on another.
function up.devices(step, ns)
  for _, op in ipairs(step.devices) do
    attempt(step, op.path, ns.link[op.verb], ns.link, op.args)
  end
end

--- Give a link's end its qdisc (nil: none).
function up.impair(ns, name, qdisc)
  if qdisc then
    impair.apply(ns, name, qdisc)
  else
    impair.clear(ns, name)
  end
end

-- Give all links' ends of a step theirs.
local function impair_all(step, ns)
  local list = step.impair
  attempt(step, function(err)
    local impaired = type(err) == "table" and list[err.index]
    return impaired and impaired.path
  end, ns.batch, ns, function(b)
    for _, item in ipairs(list) do
      b.qdisc:replace(impair.at(item.iface.name, item.qdisc))
    end
  end)
end

--- Load a ruleset, in one transaction.
function up.ruleset(ns, text)
  if core.properties.nft then
    ns.nft:run(text, nil, { echo = false })
    return
  end
  local result = ns:run({ "nft", "-f", "-" }, { stdin = text, mounts = false })
  if not result.ok then
    error(("nft in %s: %s"):format(tostring(ns), (result.stderr:gsub("%s+$", ""))), 0)
  end
end

--- The sysctls of a step: those of links (`of_links`) when these are there, the others before.
function up.sysctls(step, ns, of_links)
  for _, name in ipairs(words.sorted(step.sysctls)) do
    local _, link = words.sysctl(name)
    if (link ~= nil and link ~= "lo") == of_links then
      attempt(step, step.node.path .. ".sysctl", function()
        ns.sysctl[name] = step.sysctls[name]
      end)
    end
  end
end

--- Load the rulesets of a step, all in one transaction, and remember how the kernel lists them (`step.loaded`).
-- @tparam boolean anew flush what is there first
function up.rulesets(step, ns, anew)
  local texts, path = {}, step.node.path .. (step.firewall and ".firewall" or ".nat")
  for _, text in ipairs { anew and "flush ruleset\n" or false, step.nft or false, step.firewall or false } do
    texts[#texts + 1] = text or nil
  end
  if #texts > 0 then
    attempt(step, path, up.ruleset, ns, table.concat(texts, "\n"))
  end
  step.loaded = (step.nft or step.firewall) and attempt(step, path, kernel.ruleset, ns) or nil
end

function up.extras(step, ns)
  if #step.impair > 0 then
    impair_all(step, ns)
  end
  if step.nft or step.firewall then
    up.rulesets(step, ns)
  end
end

-- Processes ----------------------------------------------------------------------------------------------------

--- What makes processes of a description the same.
function up.process_key(process)
  return kernel.text(process)
end

local Running = {}
Running.__index = Running

function Running:close()
  self.process:close()
end

--- Start one of the processes of a step.
-- @tparam table step
-- @tparam integer i its number in step.run
-- @tparam Namespace ns
-- @tparam {table,...} spawned where it is noted down: { node =, key =, process =, close = }
function up.process(step, i, ns, spawned)
  local process, opts = step.run[i], {}
  for key, value in pairs(process) do
    if key ~= "argv" then
      opts[key] = value
    end
  end
  local item = setmetatable({ node = step.name, key = up.process_key(process) }, Running)
  item.process = attempt(step, ("%s.run[%d]"):format(step.node.path, i), ns.spawn, ns, process.argv, opts)
  spawned[#spawned + 1] = item
end

--- Start all processes of a step.
function up.processes(step, ns, spawned)
  for i = 1, #(step.run or {}) do
    up.process(step, i, ns, spawned)
  end
end

--- End a process that was noted down, and forget it.
function up.forget_process(spawned, item)
  for i = #spawned, 1, -1 do
    if spawned[i] == item then
      table.remove(spawned, i)
    end
  end
  item:close()
end

local SETTLE_S = 5 -- far more than a loaded machine takes

-- An IPv6 address is one of ours only when a work of the kernel's has put its local route in place, also with
-- `nodad`: packets to it that come before are sent on.
local function settle_address(ns, address)
  local deadline
  while ns.route:get(address).type ~= "local" do
    deadline = deadline or os.time() + SETTLE_S
    if os.time() > deadline then
      error(("the address %s did not become local within %d s"):format(address, SETTLE_S), 0)
    end
  end
end

--- Wait until a node's links can send and its addresses are its own, so that the network answers from then on.
function up.settle(step, ns)
  local indices = {}
  for _, iface in ipairs(step.node.ifaces) do
    if not iface.link.cut then
      indices[#indices + 1] = iface.index
    end
  end
  attempt(step, step.node.path, core.settle, ns, indices, SETTLE_S)
  for _, iface in ipairs(step.node.ifaces) do
    local a = not iface.link.cut and iface.addrs[6]
    if a then
      attempt(step, iface.path, settle_address, ns, ip.format(6, a.hi, a.lo))
    end
  end
  for _, op in ipairs(step.rows) do
    local text = op.noun == "addr" and op.verb == "add" and tostring(op.args.address):match "^[^/]*"
    local link = text and text:find ":" and ns.link:get(op.args.dev)
    if link and link.up and link.carrier then
      attempt(step, op.path, settle_address, ns, text)
    end
  end
end

--- Build everything.
-- @tparam Plan p
-- @tparam function new_space makes the namespace of a node, given its name
-- @tparam function progress called with how much is done and how much there is
-- @tparam[opt] table opts for tunnels: `underlay`, `private_key`
-- @treturn table namespaces by node name; {Process,...}
function up.run(p, new_space, progress, opts)
  local spaces, spawned, steps = {}, {}, p.steps
  local total, done = 4 * #steps, 0
  local function each(fn)
    for _, step in ipairs(steps) do
      fn(step)
      done = done + 1
      progress(done, total)
    end
  end
  local ok, err = pcall(function()
    tunnels.open(spaces, p, opts or {})
    each(function(step)
      spaces[step.name] = attempt(step, step.node.path, new_space, step.name)
      up.sysctls(step, spaces[step.name], false)
    end)
    each(function(step)
      up.batch(step, step.links, spaces)
    end)
    for _, step in ipairs(steps) do
      up.devices(step, spaces[step.name])
      up.sysctls(step, spaces[step.name], true)
    end
    each(function(step)
      up.batch(step, step.config, spaces)
      up.extras(step, spaces[step.name])
    end)
    for _, step in ipairs(steps) do -- when all links have their far ends up: nexthops need that
      up.batch(step, step.rows, spaces)
    end
    each(function(step)
      up.settle(step, spaces[step.name])
    end)
    names.provide(p, spaces)
    for _, step in ipairs(steps) do
      up.processes(step, spaces[step.name], spawned)
    end
  end)
  if not ok then
    pcall(up.down, spaces, spawned)
    error(err, 0)
  end
  return spaces, spawned
end

--- Close one thing of a table and take it out; what goes wrong is added to `failed`.
-- @treturn boolean whether it went well
function up.close_one(things, key, failed)
  local thing = things[key]
  things[key] = nil
  local ok, err = pcall(thing.close, thing)
  if not ok then
    failed[#failed + 1] = tostring(err)
  end
  return ok
end

--- Close all of a table, the last of a list first; then raise with all that went wrong.
-- @tparam string what for the error
-- @tparam table things with a method `close`; they are taken out of it
function up.close_all(what, things)
  local failed = {}
  for i = #things, 1, -1 do
    up.close_one(things, i, failed)
  end
  for key in next, things do -- nothing is allocated for it, as this is also for when memory has run out
    up.close_one(things, key, failed)
  end
  if #failed > 0 then
    error(("%s: %s"):format(what, table.concat(failed, "; ")), 0)
  end
end

--- End the processes, then let the namespaces go. Everything is tried; raises with what went wrong.
function up.down(spaces, spawned)
  local ended, why = pcall(up.close_all, "processes", spawned)
  tunnels.close(spaces)
  local gone, left = pcall(up.close_all, "namespaces", spaces)
  if not (ended and gone) then
    error(ended and left or gone and why or ("%s; %s"):format(tostring(why), tostring(left)), 0)
  end
end

return up
