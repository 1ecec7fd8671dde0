--- Busted's output handler of this project.
--
-- The last line is `N passed, N failed, N skipped`, alone on its line. Everything that went wrong
-- counts as a failure: a test that failed, an error in it, a file that does not load, an error in
-- set-up or tear-down, a run without a single test. A test counts once, whatever befell it.
--
-- With NETNS_TEST_STATE=FILE the closing line is left to whoever started the run (spec/support/run):
-- FILE says what is running, and at the end the three numbers. So a run that dies is told apart.

local busted = require "busted"

local passed, failed, skipped = 0, 0, 0
local failures = {} -- one line each, for the list at the end
local file -- what the current file has done: { name, passed, failed, skipped, start }
local test -- what befell the current test: { bad = bool, reason = string }
local column = 0 -- dots on the current line
local state_path = os.getenv "NETNS_TEST_STATE"

local function write(text)
  io.stdout:write(text)
  io.stdout:flush()
end

local function line(text)
  if column > 0 then
    write "\n"
    column = 0
  end
  write(text .. "\n")
end

local function dot(char)
  write(column == 0 and "  " .. char or char)
  column = (column + 1) % 80
  if column == 0 then
    write "\n"
  end
end

local function tell_state(text)
  if not state_path then
    return
  end
  local f = assert(io.open(state_path, "w"))
  f:write(text, "\n")
  f:close()
end

local function indent(text)
  return "      " .. tostring(text):gsub("\n+$", ""):gsub("\n", "\n      ")
end

--- The names of a test and of the blocks around it, up to its file.
local function full_name(element)
  local names = {}
  while element do
    if element.descriptor == "file" then
      break
    end
    local name = element.name or element.descriptor
    if name and element.descriptor ~= "suite" then
      table.insert(names, 1, tostring(name))
    end
    element = busted.parent(element)
  end
  return table.concat(names, " ")
end

local function place(element, trace)
  local info = element.trace or trace
  if info and info.short_src and info.currentline then
    return ("%s:%d"):format(info.short_src, info.currentline)
  end
  return element.descriptor == "file" and element.name or (file and file.name) or "before any file"
end

-- what has a name of its own; the rest ("setup", "after_each") is named after the block around it
local named = { it = true, pending = true, describe = true, file = true }

--- Where and what: "spec/x_spec.lua:12: block test", or "...: in setup of block".
local function title(element, trace)
  local name = full_name(element)
  if not named[element.descriptor or "it"] then
    local block = busted.parent(element)
    local around = block and full_name(block) or ""
    local what = element.descriptor:gsub("^strict_", "")
    name = ("in %s%s"):format(what, around ~= "" and " of " .. around or "")
  end
  return name ~= "" and ("%s: %s"):format(place(element, trace), name) or place(element, trace)
end

local function report_failure(element, message, trace)
  local head = title(element, trace)
  failures[#failures + 1] = head
  line("  FAILED " .. head)
  if message ~= nil then
    line(indent(message))
  end
  local traceback = type(trace) == "table" and trace.traceback
  if traceback and traceback:find "%S" then
    line(indent(traceback:gsub("^%s+", "")))
  end
end

local function count_failure()
  failed = failed + 1
  if file then
    file.failed = file.failed + 1
  end
end

local function count_skip(element, reason, trace)
  skipped = skipped + 1
  if file then
    file.skipped = file.skipped + 1
  end
  line(("  skipped %s%s"):format(title(element, trace), reason and ": " .. reason or ""))
end

--- The reason without the "file:line: " that busted puts before it.
local function plain_reason(message)
  if message == nil then
    return nil
  end
  return (tostring(message):gsub("^[^\n:]-:%d+: ", "", 1))
end

local on = {}

function on.file_start(element)
  file = { name = element.name, passed = 0, failed = 0, skipped = 0, start = busted.monotime() }
  tell_state("running " .. element.name)
  line(element.name)
end

function on.file_end()
  if not file then
    return
  end
  local parts = { file.passed .. " passed" }
  if file.failed > 0 then
    parts[#parts + 1] = file.failed .. " failed"
  end
  if file.skipped > 0 then
    parts[#parts + 1] = file.skipped .. " skipped"
  end
  line(("  %s (%.2f s)"):format(table.concat(parts, ", "), busted.monotime() - file.start))
  file = nil
end

function on.test_start(element)
  test = { bad = false }
  tell_state(("running %s"):format(title(element)))
end

function on.test_end(element, _, status)
  local this = test or {}
  test = nil
  if this.bad or status == "failure" or status == "error" then
    if not this.bad then
      report_failure(element, nil, nil)
    end
    count_failure()
  elseif status == "pending" then
    count_skip(element, this.reason)
  else
    passed = passed + 1
    if file then
      file.passed = file.passed + 1
    end
    dot "."
  end
  tell_state("running " .. (file and file.name or "nothing"))
end

--- A failure or an error, in a test or anywhere else.
function on.trouble(element, _, message, trace)
  report_failure(element, message, trace)
  if test and element.descriptor == "it" then
    test.bad = true
  else
    count_failure()
  end
end

function on.pending(element, _, message, trace)
  if test and element.descriptor == "it" then
    test.reason = test.reason or plain_reason(message)
  else
    count_skip(element, plain_reason(message), trace)
  end
end

function on.exit()
  if passed + failed + skipped == 0 then
    failures[1] = "no test was run"
    failed = 1
  end
  line ""
  if #failures > 0 then
    line "Failures:"
    for _, head in ipairs(failures) do
      line("  " .. head)
    end
    line ""
  end
  if state_path then
    tell_state(("done %d %d %d"):format(passed, failed, skipped))
  else
    line(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
  end
  if failed > 0 then
    os.exit(1, true)
  end
end

return function()
  local handler = {}

  function handler.subscribe()
    require "busted.languages.en"
    local channels = {
      [{ "file", "start" }] = on.file_start,
      [{ "file", "end" }] = on.file_end,
      [{ "test", "start" }] = on.test_start,
      [{ "test", "end" }] = on.test_end,
      [{ "failure" }] = on.trouble,
      [{ "error" }] = on.trouble,
      [{ "pending" }] = on.pending,
      [{ "exit" }] = on.exit,
    }
    for channel, fn in pairs(channels) do
      busted.subscribe(channel, function(...)
        fn(...)
        return nil, true -- let the others hear of it too
      end, { priority = 1 })
    end
  end

  return handler
end
