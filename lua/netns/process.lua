--- Processes inside namespaces: `ns:run`, `ns:spawn` and the Process that spawn gives.
--
-- The core starts, feeds, drains and ends them; here is what is plain Lua on top of it.
-- @module netns.process
local core = require "netns.core"

local Process = core.Process

--- Iterate over what a process writes, as `file:lines` does.
-- Ends with the output. A time-out is for each piece, and raises.
-- @tparam[opt="l"] string|integer format "l" (a line), "L" (with its end), "any" (whatever is there) or a
--   number of bytes
-- @tparam[opt] number|table opts seconds, or `{ timeout = seconds, from = "stdout" | "stderr" }`
-- @treturn function the iterator
-- @raise netns.Error ETIMEDOUT
-- @usage for line in process:lines() do print(line) end
function Process:lines(format, opts)
  return function()
    local piece, why = self:read(format, opts)
    if why == "timeout" then
      error(setmetatable({
        op = "read",
        object = tostring(self),
        code = "ETIMEDOUT",
        errno = 110,
        message = "Connection timed out",
      }, core.Error))
    end
    return piece
  end
end

local function describe(result)
  if result.timeout then
    return "timed out"
  elseif result.signal then
    return "killed by SIG" .. result.signal
  end
  return "exit status " .. tostring(result.code)
end

--- What a person wants to see of a result: the output, and how it ended if not well.
function core.Result.__tostring(result)
  local parts = {}
  for _, key in ipairs { "stdout", "stderr" } do
    local text = (result[key] or ""):gsub("\n$", "")
    if text ~= "" then
      parts[#parts + 1] = text
    end
  end
  if not result.ok or #parts == 0 then
    parts[#parts + 1] = ("[%s]"):format(describe(result))
  end
  return table.concat(parts, "\n")
end

return Process
