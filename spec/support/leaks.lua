--- The leak gate: a spec file leaves the process and its namespaces as it found them.
--
--    require("spec.support.leaks").gate()     -- one line at the top of each kernel spec
--
-- When the file has ended, garbage is collected twice, and what is there is compared with the
-- start. What a file uses once and keeps (the firewall worker, say) is started by `warm` before
-- the first look:
--
--    require("spec.support.leaks").gate { warm = function() netns.current().nft:run "" end }
local busted = require "busted"
local lfs = require "lfs"

local leaks = {}

local function read_lines(path)
  local lines = {}
  local f = io.open(path)
  if f then
    for text in f:lines() do
      lines[#lines + 1] = text
    end
    f:close()
  end
  return lines
end

-- entries of a folder, without the two dots; empty where there is no such folder
local function entries(dir)
  local names = {}
  if lfs.attributes(dir, "mode") == "directory" then
    for name in lfs.dir(dir) do
      if name ~= "." and name ~= ".." then
        names[#names + 1] = name
      end
    end
  end
  return names
end

local function link_target(path)
  return lfs.symlinkattributes(path, "target")
end

local function children_of(task)
  local pids = {}
  for _, text in ipairs(read_lines(task .. "/children")) do
    for pid in text:gmatch "%d+" do
      pids[#pids + 1] = pid
    end
  end
  return pids
end

local function describe_process(pid)
  local status = table.concat(read_lines(("/proc/%s/status"):format(pid)), "\n")
  local argv = (read_lines(("/proc/%s/cmdline"):format(pid))[1] or ""):gsub("%z", " "):gsub("%s+$", "")
  local name = argv ~= "" and argv or status:match "Name:%s*([^\n]*)" or "?"
  return ("%s (%s)"):format(name, status:match "State:%s*(%a)" or "?")
end

local function add(found, key)
  found[key] = key
end

--- What is looked at: each gives back a table from a key to its description.
local looks = {}

-- A descriptor is known by its number and what it stands for. /proc's own are those of the look.
looks["file descriptor"] = function()
  local found = {}
  for _, fd in ipairs(entries "/proc/self/fd") do
    local target = link_target("/proc/self/fd/" .. fd)
    if target and not target:find "^/proc/%d+/fd$" then
      add(found, fd .. " -> " .. target)
    end
  end
  return found
end

looks["mount"] = function()
  local found = {}
  for _, text in ipairs(read_lines "/proc/self/mountinfo") do
    local root, point = text:match "^%S+ %S+ %S+ (%S+) (%S+)"
    local kind, source = text:match " %- (%S+) (%S+)"
    local key = ("%s (%s of %s, root %s)"):format(point, kind, source, root)
    local n = 2
    while found[key] do -- mounted twice
      key, n = key:gsub(" x%d+$", "") .. " x" .. n, n + 1
    end
    add(found, key)
  end
  return found
end

looks["named namespace"] = function()
  local found = {}
  for _, name in ipairs(entries "/run/netns") do
    add(found, name)
  end
  return found
end

looks["file in /etc/netns"] = function()
  local found = {}
  for _, name in ipairs(entries "/etc/netns") do
    add(found, name)
  end
  return found
end

looks["child process"] = function()
  local found = {}
  for _, tid in ipairs(entries "/proc/self/task") do
    for _, pid in ipairs(children_of("/proc/self/task/" .. tid)) do
      found[pid] = ("%s: %s"):format(pid, describe_process(pid))
    end
  end
  return found
end

looks["thread"] = function()
  local found = {}
  for _, tid in ipairs(entries "/proc/self/task") do
    add(found, tid)
  end
  return found
end

looks["link in this namespace"] = function()
  local found = {}
  for _, text in ipairs(read_lines "/proc/thread-self/net/dev") do
    local name = text:match "^%s*([^%s:]+):"
    if name then
      add(found, name)
    end
  end
  return found
end

--- What there is one of, and must be the same at the end.
local states = {}

states["network namespace of the thread"] = function()
  return link_target "/proc/thread-self/ns/net"
end

states["mount namespace of the thread"] = function()
  return link_target "/proc/thread-self/ns/mnt"
end

states["working directory"] = lfs.currentdir

states["umask"] = function()
  return (table.concat(read_lines "/proc/self/status", "\n"):match "Umask:%s*(%d+)")
end

states["limit of open files"] = function()
  return (table.concat(read_lines "/proc/self/limits", "\n"):match "Max open files%s+(%S+%s+%S+)")
end

states["signal handlers"] = function()
  return (table.concat(read_lines "/proc/self/status", "\n"):match "SigCgt:%s*(%x+)")
end

--- What is there now.
-- @treturn table to be handed to `leaks.compare`
function leaks.snapshot()
  collectgarbage()
  collectgarbage()
  local shot = { looks = {}, states = {} }
  for what, look in pairs(looks) do
    shot.looks[what] = look()
  end
  for what, state in pairs(states) do
    shot.states[what] = state()
  end
  return shot
end

--- What differs between two snapshots.
-- @treturn {string,...} "leaked file descriptor 7 -> net:[4026532201]" and the like; empty if nothing
function leaks.compare(before, after)
  local found = {}
  for what in pairs(looks) do
    for key, text in pairs(after.looks[what]) do
      if not before.looks[what][key] then
        found[#found + 1] = ("leaked %s %s"):format(what, text)
      end
    end
    for key, text in pairs(before.looks[what]) do
      if not after.looks[what][key] then
        found[#found + 1] = ("lost %s %s"):format(what, text)
      end
    end
  end
  for what in pairs(states) do
    if before.states[what] ~= after.states[what] then
      found[#found + 1] = ("changed %s from %s to %s"):format(what, before.states[what], after.states[what])
    end
  end
  table.sort(found)
  return found
end

--- Call fn, and raise when it leaves anything behind.
function leaks.check(fn)
  local before = leaks.snapshot()
  fn()
  local found = leaks.compare(before, leaks.snapshot())
  if #found > 0 then
    error(table.concat(found, "\n"), 2)
  end
end

--- Compare the spec file's start, which is here, with its end.
-- @tparam[opt] table opts `warm`: a function called before the first look
function leaks.gate(opts)
  local caller = debug.getinfo(2, "Sl")
  local here = ("%s:%d: "):format(caller.short_src, caller.currentline)
  if opts and opts.warm then
    opts.warm()
  end
  local before = leaks.snapshot()

  -- The end of the file is after all of its teardowns, however many it has. Raising here would
  -- keep the event from the handler, so the failure is published.
  busted.subscribe({ "file", "end" }, function(file)
    if before then
      local found = leaks.compare(before, leaks.snapshot())
      before = nil
      if #found > 0 then
        busted.publish({ "error", "file" }, file, nil, here .. table.concat(found, "\n"), {})
      end
    end
    return nil, true
  end, { priority = 1 })
end

return leaks
