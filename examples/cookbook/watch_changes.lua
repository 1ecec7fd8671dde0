-- make run RUN=examples/cookbook/watch_changes.lua
-- Watch what changes in a namespace, whoever changes it.
--
--      ns: lo
local netns = require "netns"

local ns <close> = netns.new()
local monitor <close> = ns:monitor { "link", "addr", "route" }
assert(ns:run({ "ip", "link", "set", "lo", "up" }, { check = true }).ok)

local seen = {}
for event in monitor:each(0.5) do
  local what = event.data.name or event.data.address or event.data.dst
  print(event.event, event.kind, what)
  seen[event.kind .. " " .. what] = true
  if seen["link lo"] and seen["addr 127.0.0.1/8"] then
    break
  end
end
assert(seen["addr 127.0.0.1/8"])
