--- Linux network namespaces as Lua objects.
-- @module netns
local core = require "netns.core"
require "netns.process"
require "netns.sysctl"
require "netns.nft"
require "netns.counters"
local explain = require "netns.explain"
local facts = require "netns.facts"
require "netns.monitor"
local probe = require "netns.probe"
require "netns.wait"

local netns = {
  new = core.new,
  open = core.open,
  current = core.current,
  list = core.list,
  delete = core.delete,
  print = require "netns.print",
  probes = probe.new,
  matrix = probe.matrix,
  explain = explain.explain,
  compare = facts.compare,
}

--- Call a function and give its error back as values instead of raising it.
-- Only errors of the system (netns.Error objects) are given back; misuse and every other error
-- goes on up, because it is a mistake in the program.
-- @tparam function fn the function to call
-- @param ... its arguments
-- @return what fn returns; or nil, the error object, its errno
-- @usage local ns, err, errno = netns.try(netns.open, "nowhere")
function netns.try(fn, ...)
  local function finish(ok, err, ...)
    if ok then
      return err, ...
    end
    if getmetatable(err) == core.Error then
      return nil, err, err.errno
    end
    error(err, 0)
  end
  return finish(pcall(fn, ...))
end

return netns
