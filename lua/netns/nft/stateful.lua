--- Named counters, quotas and limits, and the other objects of a table.
-- @module netns.nft.stateful
local handle = require "netns.nft.handle"
local session = require "netns.nft.session"

-- Read a key afresh.
local function live(key)
  return function(h)
    return handle.need(h)[key]
  end
end

--- Read it and set it to zero, in one step.
-- @treturn table its keys before: packets and bytes of a counter, used of a quota
-- @usage print(hits:reset().packets)
local function reset(h)
  local text = ("reset %s %s\n"):format(h.kind, handle.path_of(h))
  local list = session.flatten(session.run(h.nft.ns, text, { json = true }, h.kind .. " reset"))
  for _, entry in ipairs(list) do
    if entry[h.kind] then
      return entry[h.kind]
    end
  end
end

handle.class("counter", "netns.Counter", handle.methods { reset = reset },
  { packets = live "packets", bytes = live "bytes" })
handle.class("quota", "netns.Quota", handle.methods { reset = reset },
  { used = live "used", bytes = live "bytes", inv = live "inv" })
handle.class("limit", "netns.Limit", handle.methods {}, { rate = live "rate", burst = live "burst", per = live "per" })
handle.class("flowtable", "netns.Flowtable", handle.methods {})
handle.class("synproxy", "netns.Synproxy", handle.methods {})
handle.class("secmark", "netns.Secmark", handle.methods {})
