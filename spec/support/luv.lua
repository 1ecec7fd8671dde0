--- luv, loaded once: busted forgets modules between files, and a second luv in one Lua state does not work.
local registry = debug.getregistry()
registry["spec.support.luv"] = registry["spec.support.luv"] or require "luv"
return registry["spec.support.luv"]
