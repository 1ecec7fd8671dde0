--- Which lines of lua/ run: loaded before busted by `make coverage` (NETNS_COVERAGE names the file to write).
--
-- A hook per coroutine counts lines. What other processes run is not counted.
local seen = {}
local path = os.getenv "NETNS_COVERAGE"

local function hook(_, line)
  local source = debug.getinfo(2, "S").source
  local lines = seen[source]
  if lines == nil then
    lines = source:find "/lua/netns/" and {} or false
    seen[source] = lines
  end
  if lines then
    lines[line] = true
  end
end

local create = coroutine.create

-- Coroutines have hooks of their own, which begin here.
local function watched(fn)
  if type(fn) ~= "function" then
    return create(fn) -- refused there
  end
  local co = create(fn)
  debug.sethook(co, hook, "l")
  return co
end

local function finish(ok, ...)
  if not ok then
    error(..., 0)
  end
  return ...
end

coroutine.create = watched -- luacheck: ignore 122
coroutine.wrap = function(fn) -- luacheck: ignore 122
  local co = watched(fn)
  return function(...)
    return finish(coroutine.resume(co, ...))
  end
end
debug.sethook(hook, "l")

-- Lines that could run: what the compiler has code for, in the file's chunk and all functions within.
local function active_lines(file)
  local lines = {}
  local chunk = assert(loadfile(file))
  local listing = assert(io.popen(("luac5.4 -l -l -p '%s' 2>/dev/null"):format(file)))
  for text in listing:lines() do
    local line = tonumber(text:match "^%s+%d+%s+%[(%d+)%]")
    -- a function's last return stands at its `end`
    if line and not text:find "%s%RETURN[01]?%s" then
      lines[line] = true
    end
  end
  listing:close()
  for line in pairs(debug.getinfo(chunk, "L").activelines) do
    lines[line] = true
  end
  return lines
end

--- Write it down, a line for each file: "covered active path uncovered,lines".
local function write()
  debug.sethook()
  local out = assert(io.open(path, "w"))
  for source, ran in pairs(seen) do
    if ran then
      local file = source:gsub("^@", "")
      local covered, active, missing = 0, 0, {}
      for line in pairs(active_lines(file)) do
        active = active + 1
        if ran[line] then
          covered = covered + 1
        else
          missing[#missing + 1] = line
        end
      end
      table.sort(missing)
      out:write(("%d %d %s %s\n"):format(covered, active, file, table.concat(missing, ",")))
    end
  end
  out:close()
end

-- When the state is closed: busted ends with an os.exit of its own.
local at_end = setmetatable({}, { __gc = write })
debug.getregistry()["spec.support.coverage"] = at_end
