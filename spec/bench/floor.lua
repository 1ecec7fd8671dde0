--- The floor programs as contenders: each is built when it is first needed, and measures its own work.
local sh = require "spec.support.sh"

local built = {}

--- A contender "floor": the program spec/bench/SOURCE.c with these arguments.
-- @tparam string source "floor"
-- @tparam {string|number,...} args
-- @tparam[opt=1] integer column which of the times that it prints
return function(source, args, column)
  local path = "build/" .. source
  return {
    "floor",
    run = function()
      local seconds = {}
      for word in sh.run({ "unshare", "-n", path, table.unpack(args) }):gmatch "%S+" do
        seconds[#seconds + 1] = tonumber(word)
      end
      return seconds[column or 1]
    end,
    needs = function()
      if not built[source] then
        sh.run { "sh", "-c", ("mkdir -p build && ${CC:-cc} -O2 -o %s spec/bench/%s.c"):format(path, source) }
        built[source] = true
      end
      return true
    end,
  }
end
