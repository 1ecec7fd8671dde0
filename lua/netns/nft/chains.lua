--- Tables and chains.
-- @module netns.nft.chains
local handle = require "netns.nft.handle"
local listing = require "netns.nft.listing"
local object = require "netns.nft.object"
local check = require "netns.check"
local quote = require "netns.nft.quote"

local table_methods = handle.methods {}

--- Remove the rules of all its chains; chains, sets and objects stay.
-- @usage fw:flush()
function table_methods:flush()
  handle.write(self, "flush table " .. handle.path_of(self), "table flush")
end

--- What is in it, as plain data.
-- @treturn {table,...} as `ns.nft:list()`
-- @usage for _, entry in ipairs(fw:list()) do print(next(entry)) end
function table_methods:list()
  return listing.list(self.nft.ns, "list table " .. handle.path_of(self), { op = "table list" })
end

--- Change its flags.
-- @tparam table changes `flags`, `comment`
-- @treturn Table itself
-- @usage fw:change { flags = "dormant" }
function table_methods:change(changes)
  check.keys(changes, quote.set "flags comment", "table change")
  local spec = { family = self.spec.family, name = self.spec.name, flags = changes.flags, comment = changes.comment }
  handle.write(self, object.add("table", spec), "table change")
  return self
end

handle.class("table", "netns.Table", table_methods, {
  flags = function(t)
    return handle.need(t).flags
  end,
}, { "chain", "set", "map", "counter", "quota", "limit", "flowtable", "synproxy", "secmark" })

local chain_methods = handle.methods {}

--- Remove its rules.
-- @usage input:flush()
function chain_methods:flush()
  handle.write(self, "flush chain " .. handle.path_of(self), "chain flush")
end

--- Give it another name.
-- @tparam string name the new one
-- @treturn Chain itself
-- @raise netns.Error, EEXIST where there is one of that name
-- @usage input:rename "incoming"
function chain_methods:rename(name)
  handle.write(self, ("rename chain %s %s"):format(handle.path_of(self), quote.name(name, "chain")), "chain rename")
  self.spec.name = name
  return self
end

local chain_shape = { "type", "hook", "prio", "dev" }

--- Change its policy: `input:set{ policy = "drop" }`.
-- @tparam table changes `policy`: "accept" or "drop"
-- @treturn Chain itself
-- @usage input:set { policy = "drop" }
function chain_methods:set(changes)
  check.keys(changes, quote.set "policy", "chain set")
  local spec = { family = self.spec.family, table = self.spec.table, name = self.spec.name, policy = changes.policy }
  local now = handle.need(self)
  for _, key in ipairs(chain_shape) do
    spec[key] = now[key]
  end
  handle.write(self, object.add("chain", spec), "chain set")
  return self
end

--- Its rules, as handles.
-- @treturn {Rule,...}
-- @usage for _, rule in ipairs(input:rules()) do print(rule) end
function chain_methods:rules()
  return self.rule:list()
end

chain_methods.change = chain_methods.set

handle.class("chain", "netns.Chain", chain_methods, {
  policy = function(c)
    return handle.need(c).policy
  end,
}, { "rule" })
