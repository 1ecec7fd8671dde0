--- Labs up: anonymous, or with names that others can see; and what dead owners left.
-- @module netns.topology.named
local core = require "netns.core"
local description = require "netns.topology.description"
local lab = require "netns.topology.lab"
local literal = require "netns.topology.literal"
local up = require "netns.topology.up"
local words = require "netns.topology.words"

local named = {}

local function nothing() end

local known = { name = "string", progress = "function" }

local function check_options(opts)
  for key, value in pairs(opts) do
    if not known[key] then
      error(("up: unknown key \"%s\"%s"):format(tostring(key), words.hint(tostring(key), words.sorted(known))), 4)
    elseif type(value) ~= known[key] then
      error(("up: %s must be a %s, got %s"):format(key, known[key], type(value)), 4)
    end
  end
end

local function space_name(name, node)
  return name .. "." .. node
end

-- What a record says: the description, for who attaches, and the nodes that there may be, for who sweeps.
local function write_record(record, data, other)
  local nodes = {}
  for _, description_ in ipairs { data, other } do
    for node in pairs(description_.nodes) do
      nodes[node] = true
    end
  end
  record:write(literal.write { description = data, nodes = words.sorted(nodes) })
end

local function read_record(name)
  local text = core.read_record(name)
  local readable, content = pcall(literal.read, text or "", name)
  if readable and type(content.nodes) == "table" and type(content.description) == "table" then
    return content
  end
end

-- Hold the record of a named lab and write down what it will make, before it makes it.
local function take_record(name, data)
  local record = core.record(name, true)
  if not record then
    error(("up: a lab \"%s\" is up already"):format(name), 0)
  end
  local taken = {}
  for _, existing in ipairs(core.list()) do
    taken[existing] = true
  end
  for node in pairs(data.nodes) do
    if taken[space_name(name, node)] then
      record:remove()
      error(("up: there is a namespace \"%s\" already; netns.topology.sweep() removes what a dead lab left"):format(
        space_name(name, node)), 0)
    end
  end
  write_record(record, data)
  return record
end

--- Bring a plan up.
function named.up(plan, data, opts)
  check_options(opts)
  local record = opts.name and take_record(opts.name, data)
  local function new_space(node)
    return core.new(opts.name and space_name(opts.name, node) or nil)
  end
  local ok, spaces, spawned = pcall(up.run, plan, new_space, opts.progress or nothing)
  if not ok then
    if record then
      record:remove()
    end
    error(spaces, 0)
  end
  return lab.wrap(plan, spaces, spawned, {
    name = opts.name,
    new_space = new_space,
    release = record and function()
      record:remove()
    end,
    note = record and function(now, before)
      write_record(record, now, before)
    end,
  })
end

-- End what runs inside, then remove the name.
local function remove_space(name)
  local ok, ns = pcall(core.open, name)
  if ok then
    local pids = ns:pids()
    if #pids > 0 then
      local argv = { "kill", "-9" }
      for _, pid in ipairs(pids) do
        argv[#argv + 1] = tostring(pid)
      end
      ns:run(argv, { mounts = false })
    end
    ns:close()
  end
  pcall(core.delete, name)
end

--- Remove what dead owners left; the names of their labs.
function named.sweep()
  local swept = {}
  for _, name in ipairs(core.records()) do
    local ok, record = pcall(core.record, name, false)
    if ok and record then -- nobody holds it: its owner is dead
      local content = read_record(name)
      for _, node in ipairs(content and content.nodes or {}) do
        remove_space(space_name(name, tostring(node)))
      end
      record:remove()
      swept[#swept + 1] = name
    end
  end
  table.sort(swept)
  return swept
end

--- A lab that another process brought up.
function named.attach(name)
  local content = type(name) == "string" and read_record(name)
  if not content then
    error(("attach: there is no lab \"%s\""):format(tostring(name)), 3)
  end
  local plan = description.from(content.description):plan()
  local spaces = {}
  for _, step in ipairs(plan.steps) do
    spaces[step.name] = core.open(space_name(name, step.name))
  end
  return lab.wrap(plan, spaces, {}, {
    name = name,
    new_space = function()
      error("apply: a lab that was attached to gets no new nodes", 0)
    end,
  })
end

return named
