--- coverage_report.lua BUILD: what BUILD/c.info (lcov's) and BUILD/lua.txt (spec/support/coverage.lua's) say, file by
-- file, and the lines of C that deal with errors and did not run. All lines that did not are in BUILD/uncovered.txt.
local build = arg[1]

-- What a line that gives an error back, or goes on after one, has in it.
local marks = { "nserr_", "return %-", "return err", "fail%(", "raise", "l_misuse", "luaL_error", "luaL_argerror",
  "goto ", "abort%(", "close_fd", "err = %-" }

local function deals_with_errors(text)
  for _, mark in ipairs(marks) do
    if text:find(mark) then
      return true
    end
  end
  return false
end

local function lines_of(path)
  local lines = {}
  local f = io.open(path)
  for text in f and f:lines() or function() end do
    lines[#lines + 1] = text
  end
  if f then
    f:close()
  end
  return lines
end

-- { path =, covered =, active =, missing = { line, ... } } each
local function read_lcov(path)
  local files, current = {}, nil
  for _, text in ipairs(lines_of(path)) do
    local source = text:match "^SF:(.+)"
    local line, count = text:match "^DA:(%d+),(%d+)"
    if source and source:find "%.h$" then
      current = nil -- a header's lines are in every file that includes it
    elseif source then
      current = { path = source:match "csrc/.*$" or source, covered = 0, active = 0, missing = {} }
      files[#files + 1] = current
    elseif line and current then
      current.active = current.active + 1
      if count == "0" then
        table.insert(current.missing, tonumber(line))
      else
        current.covered = current.covered + 1
      end
    end
  end
  return files
end

local function read_lua(path)
  local files = {}
  for _, text in ipairs(lines_of(path)) do
    local covered, active, file, missing = text:match "^(%d+) (%d+) (%S+) (.*)$"
    local list = {}
    for line in missing:gmatch "%d+" do
      list[#list + 1] = tonumber(line)
    end
    files[#files + 1] = { path = file:match "lua/netns/.*$" or file, covered = tonumber(covered),
      active = tonumber(active), missing = list }
  end
  return files
end

local function percent(covered, active)
  return active == 0 and 100 or 100 * covered / active
end

-- Prints the files, the least covered last; gives the sum.
local function show(files)
  table.sort(files, function(a, b)
    local p, q = percent(a.covered, a.active), percent(b.covered, b.active)
    return p > q or p == q and a.path < b.path
  end)
  local covered, active = 0, 0
  for _, file in ipairs(files) do
    covered, active = covered + file.covered, active + file.active
    print(("  %-42s %5.1f %%  %5d of %5d"):format(file.path, percent(file.covered, file.active), file.covered,
      file.active))
  end
  return covered, active
end

local c, lua = read_lcov(build .. "/c.info"), read_lua(build .. "/lua.txt")
assert(#c > 0 and #lua > 0, "nothing was covered")
print "C"
local c_covered, c_active = show(c)
print "Lua"
local lua_covered, lua_active = show(lua)

local out = assert(io.open(build .. "/uncovered.txt", "w"))
local ways = 0
print "ways out of errors that no spec takes (make test-fault takes more)"
for _, file in ipairs(c) do
  local text, shown = lines_of(file.path), {}
  for _, line in ipairs(file.missing) do
    out:write(("%s:%d:%s\n"):format(file.path, line, text[line] or ""))
    if deals_with_errors(text[line] or "") then
      shown[#shown + 1] = line
    end
  end
  ways = ways + #shown
  if #shown > 0 then
    print(("  %s: %s"):format(file.path, table.concat(shown, " ")))
  end
end
for _, file in ipairs(lua) do
  local text = lines_of(file.path)
  for _, line in ipairs(file.missing) do
    out:write(("%s:%d:%s\n"):format(file.path, line, text[line] or ""))
  end
end
out:close()
print(("C: %.1f %% of %d lines; Lua: %.1f %% of %d lines; %d ways out of errors not taken; all in %s/uncovered.txt")
  :format(percent(c_covered, c_active), c_active, percent(lua_covered, lua_active), lua_active, ways, build))
