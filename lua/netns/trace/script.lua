--- The script that a trace writes: how namespaces and links are called in it.
-- @module netns.trace.script
local command = require "netns.command"
local core = require "netns.core"

local script = {}

--- What is traced to: `write`; names by inode; `own`, the core's functions by place. Nil while nobody traces.
script.state = nil

--- Write a line.
function script.emit(line)
  script.state.write(line .. "\n")
end

-- Names ------------------------------------------------------------------------------------------------------------

--- A name that no namespace has.
function script.free_name()
  local taken = {}
  for _, name in ipairs(core.list()) do
    taken[name] = true
  end
  repeat
    script.state.count = script.state.count + 1
  until not taken["ns" .. script.state.count]
  return "ns" .. script.state.count
end

--- The name of a namespace in commands; false for the one that tracing began in.
function script.name_of(ns)
  local known = script.state.names[ns.inode]
  if known == nil then
    known = ns.name or script.free_name()
    script.state.names[ns.inode] = known
    if not ns.name then
      script.emit(("# %s is %s"):format(known, tostring(ns)))
    end
  end
  return known
end

-- The name of a link, where an operation has its index.
local function link_name(ns, link)
  if math.type(link) ~= "integer" then
    return link
  end
  local known = (script.state.links[ns.inode] or {})[link]
  if known then
    return known
  end
  local found = script.state.own[core.Noun].get(ns.link, link)
  return found and found.name or ("if" .. link)
end

local function remember_link(ns, args)
  if args.index and args.name then
    script.state.links[ns.inode] = script.state.links[ns.inode] or {}
    script.state.links[ns.inode][args.index] = args.name
  end
end

local function is_namespace(value)
  return getmetatable(value) == "netns.Namespace"
end

--- Where commands about a namespace are run.
function script.context(ns)
  return command.context(script.name_of(ns) or nil, {
    of = function(other)
      if is_namespace(other) then
        return script.context(other)
      end
      return command.context(tostring(other))
    end,
    kind = function(name)
      local found = script.state.own[core.Noun].get(ns.link, name)
      return found and found.type
    end,
  })
end

--- The arguments with names instead of indices, and the device that a link's noun fills in.
function script.named(ns, noun, args, ifindex)
  if type(args) ~= "table" then
    args = { [command.main_key(noun)] = args }
  end
  local copy = {}
  for key, value in pairs(args) do
    copy[key] = value
  end
  if ifindex and copy.dev == nil then
    copy.dev = ifindex
  end
  for _, key in ipairs { "dev", "master", "link", "port", "iif" } do
    if copy[key] ~= nil then
      copy[key] = link_name(ns, copy[key])
    end
  end
  for i, hop in ipairs(type(copy.nexthops) == "table" and args.nexthops or {}) do
    copy.nexthops = i == 1 and {} or copy.nexthops
    copy.nexthops[i] = type(hop) == "table" and script.named(ns, "route", hop) or hop
  end
  if noun == "link" then
    remember_link(ns, copy)
    if type(copy.peer) == "table" then
      remember_link(is_namespace(copy.peer.netns) and copy.peer.netns or ns, copy.peer)
    end
  end
  return copy
end

-- Doing and telling ------------------------------------------------------------------------------------------------

--- Tell lines, or of what failed say so.
function script.tell(lines, err)
  for _, line in ipairs(lines or {}) do
    if err == nil then
      script.emit(line)
    else
      script.emit(("# failed: %s"):format(line:gsub("\n", "\n# ")))
      script.emit(("# %s"):format(tostring(err):gsub("\n", "\n# ")))
    end
  end
end

return script
