--- Which links are the two ends of one, across namespaces.
-- @module netns.topology.ends
local core = require "netns.core"

local ends = {}

-- The namespace that has a number in another one.
local function by_number(ns, number, spaces)
  for name, other in pairs(spaces) do
    if core.nsid(ns, other) == number then
      return name
    end
  end
end

--- Find the far end of a link that is one of a pair.
-- @tparam table spaces namespaces by name
-- @tparam table links by name of the namespace: rows by number
-- @tparam string name the namespace
-- @tparam table row of the link, as listed
-- @treturn ?string the namespace of the far end; nil where there is none, or it is in none of them
-- @treturn ?table its row
function ends.far(spaces, links, name, row)
  local other = row.link_netnsid and by_number(spaces[name], row.link_netnsid, spaces) or name
  if row.link_netnsid and other == name then
    return nil
  end
  for _, candidate in pairs(links[other] or {}) do
    local same = row.link_netnsid and candidate.ifindex == row.link_index or candidate.name == row.link
    if same and candidate.type == row.type and candidate.ifindex ~= (other == name and row.ifindex or nil) then
      return other, candidate
    end
  end
end

return ends
