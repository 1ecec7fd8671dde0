--- Labs up: anonymous, or with names that others can see; and what dead owners left.
-- @module netns.topology.named
local check = require "netns.check"
local core = require "netns.core"
local description = require "netns.topology.description"
local lab = require "netns.topology.lab"
local literal = require "netns.topology.literal"
local mend = require "netns.topology.mend"
local split = require "netns.topology.split"
local tunnels = require "netns.topology.tunnels"
local up = require "netns.topology.up"
local words = require "netns.topology.words"

local named = {}

local function nothing() end

local known = { name = "string", progress = "function", underlay = "userdata", private_key = "string" }

local function check_options(opts)
  for key, value in pairs(opts) do
    if not known[key] then
      error(("up: unknown key \"%s\"%s"):format(tostring(key), check.hint(tostring(key), words.sorted(known))), 4)
    elseif type(value) ~= known[key] then
      error(("up: %s must be a %s, got %s"):format(key, known[key], type(value)), 4)
    end
  end
end

local function space_name(name, node)
  return name .. "." .. node
end

-- What a record says: the description, for who attaches, and the nodes that there may be, for who sweeps.
local function write_record(record, data, others)
  local nodes = {}
  for node in pairs(split.own_nodes(data)) do
    nodes[node] = true
  end
  for node in pairs(others or {}) do
    nodes[node] = true
  end
  record:write(literal.write { description = data, nodes = words.sorted(nodes) })
end

-- The content of a record; nil where there is none, or its owner died before there was anything.
-- Raises where it cannot be read: then nobody knows what it stands for.
local function read_record(name)
  local text = core.read_record(name)
  if not text or text == "" then
    return nil
  end
  local content = literal.read(text, name)
  if type(content.nodes) ~= "table" or type(content.description) ~= "table" then
    error(("the record of the lab \"%s\" says nothing of its nodes"):format(name), 0)
  end
  return content
end

-- Are names of these nodes there?
local function has_names(name, nodes)
  local taken = {}
  for _, existing in ipairs(core.list()) do
    taken[existing] = true
  end
  for node in pairs(nodes) do
    if taken[space_name(name, node)] then
      return space_name(name, node)
    end
  end
end

-- Hold the record of a named lab and write down what it will make, before it makes it.
local function take_record(name, data)
  local record = core.record(name, true)
  if not record then
    error(("up: a lab \"%s\" is up already"):format(name), 0)
  end
  local ok, err = pcall(function()
    local there = has_names(name, split.own_nodes(data))
    if there then
      error(("up: there is a namespace \"%s\" already; netns.topology.sweep() removes what a dead lab left"):format(
        there), 0)
    end
    write_record(record, data)
  end)
  if not ok then
    record:remove() -- nothing was made
    error(err, 0)
  end
  return record
end

-- Let a record go. Where a name that it lists may be left, it stays, for a sweep to find.
local function let_go(record, name, nodes)
  local ok, there = pcall(has_names, name, nodes)
  if ok and not there then
    record:remove()
  else
    record:close()
  end
end

-- What a Lab that owns its namespaces can do with them.
local function owner(name, record)
  return {
    name = name,
    new_space = function(node)
      return core.new(name and space_name(name, node) or nil)
    end,
    release = record and function(all_gone)
      if all_gone then
        record:remove()
      else
        record:close()
      end
    end,
    note = record and function(data, others)
      write_record(record, data, others)
    end,
  }
end

local function build(plan, opts, record)
  local rights = owner(opts.name, record)
  local spaces, spawned = up.run(plan, rights.new_space, opts.progress or nothing, opts)
  local ok, result = pcall(lab.wrap, plan, spaces, spawned, rights)
  if not ok then
    pcall(up.down, spaces, spawned)
    error(result, 0)
  end
  return result
end

--- Bring a plan up.
function named.up(plan, data, opts)
  check_options(opts)
  local record = opts.name and take_record(opts.name, data)
  local ok, result = pcall(build, plan, opts, record)
  if not ok then
    if record then
      let_go(record, opts.name, split.own_nodes(data))
    end
    error(result, 0)
  end
  return result
end

local function is_absent(err)
  return getmetatable(err) == core.Error and err.code == "ENOENT"
end

local function end_processes(ns)
  local pids = ns:pids()
  if #pids > 0 then
    local argv = { "kill", "-9" }
    for _, pid in ipairs(pids) do
      argv[#argv + 1] = tostring(pid)
    end
    ns:run(argv, { mounts = false })
  end
end

-- End what runs inside, then remove the name; fine where it is gone.
local function remove_space(name)
  local ok, ns = pcall(core.open, name)
  if ok then
    local held <close> = ns
    end_processes(held)
  elseif not (is_absent(ns) or tostring(ns):find "is not a network namespace") then
    error(ns, 0)
  end
  local deleted, err = pcall(core.delete, name) -- also a plain file, left between its making and the mount
  if not (deleted or is_absent(err)) then
    error(err, 0)
  end
end

-- Remove what a record lists, and then itself. False where its owner lives, or it is gone.
local function sweep_one(name)
  local record <close> = core.record(name, false)
  if not record then
    return false
  end
  local content = read_record(name)
  for _, node in ipairs(content and content.nodes or {}) do
    remove_space(space_name(name, tostring(node)))
  end
  record:remove()
  return true
end

--- Remove what dead owners left; the names of their labs. What cannot be removed keeps its record.
-- @raise with what could not be removed, after everything else was
function named.sweep()
  local swept, failed = {}, {}
  for _, name in ipairs(core.records()) do
    local ok, result = pcall(sweep_one, name)
    if not ok then
      failed[#failed + 1] = ("%s: %s"):format(name, tostring(result))
    elseif result then
      swept[#swept + 1] = name
    end
  end
  if #failed > 0 then
    error("sweep: " .. table.concat(failed, "; "), 0)
  end
  table.sort(swept)
  return swept
end

--- The named labs of this machine.
-- @treturn {table,...} `name`, and `owned`: whether the process lives that it belongs to
function named.list()
  local list = {}
  for _, name in ipairs(core.records()) do
    local ok, record = pcall(core.record, name, false)
    local dead = ok and record
    if dead then
      record:close()
    end
    list[#list + 1] = { name = name, owned = not dead }
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

-- The namespaces of a plan that are there, with nothing running in them; new ones for the others.
local function take_spaces(plan, rights, spaces)
  for _, step in ipairs(plan.steps) do
    local name = space_name(rights.name, step.name)
    local ok, ns = pcall(core.open, name)
    if not ok then
      remove_space(name)
      ns = rights.new_space(step.name)
    end
    spaces[step.name] = ns
    end_processes(ns)
  end
end

--- A lab whose owner is dead becomes ours.
function named.adopt(name, opts)
  local record = core.record(name, false)
  if not record then
    local _, found = pcall(core.read_record, name)
    error((type(found) == "string" and "attach: the owner of the lab \"%s\" lives" or "attach: there is no lab \"%s\"")
      :format(name), 0)
  end
  local spaces, spawned, rights = {}, {}, owner(name, record)
  local ok, result = pcall(function()
    local content = read_record(name)
    if not content then
      error(("attach: there is no lab \"%s\""):format(name), 0)
    end
    local plan = description.from(content.description):plan()
    for _, node in ipairs(content.nodes) do -- what it was about to make, or to let go
      if not plan.by_name[node] then
        remove_space(space_name(name, node))
      end
    end
    take_spaces(plan, rights, spaces)
    tunnels.open(spaces, plan, opts)
    mend.mend { plan = plan, spaces = spaces, spawned = spawned }
    return plan
  end)
  for _, ns in pairs(spaces) do
    if ok then
      core.own_name(ns)
    else
      pcall(ns.close, ns) -- the names stay, for another try or a sweep
    end
  end
  if not ok then
    tunnels.close(spaces)
    pcall(up.close_all, "processes", spawned)
    record:close()
    error(result, 0)
  end
  return lab.wrap(result, spaces, spawned, rights)
end

local attach_options = { own = "boolean", underlay = "userdata", private_key = "string" }

--- A lab that another process brought up.
function named.attach(name, opts)
  if type(name) ~= "string" then
    check.refuse("attach: the name of a lab expected, got %s", check.show(name))
  end
  opts = check.options(opts, attach_options, "attach")
  if opts.own then
    return named.adopt(name, opts)
  end
  local content = read_record(name)
  if not content then
    error(("attach: there is no lab \"%s\""):format(tostring(name)), 3)
  end
  local plan = description.from(content.description):plan()
  local spaces = {}
  for _, step in ipairs(plan.steps) do
    spaces[step.name] = core.open(space_name(name, step.name))
  end
  return lab.wrap(plan, spaces, nil, {
    name = name,
    new_space = function()
      error("apply: a lab that was attached to gets no new nodes", 0)
    end,
  })
end

return named
