--- Tables and chains.
-- @module netns.nft.chains
local handle = require "netns.nft.handle"
local listing = require "netns.nft.listing"
local object = require "netns.nft.object"
local quote = require "netns.nft.quote"

local table_methods = handle.methods {}

--- Remove the rules of all its chains; chains, sets and objects stay.
function table_methods.flush(t)
  quote.guard(handle.write, t, "flush table " .. handle.path_of(t), "table flush")
end

--- What is in it, as plain data.
function table_methods.list(t)
  return quote.guard(listing.list, t.nft.ns, "list table " .. handle.path_of(t), { op = "table list" })
end

--- Change its flags.
function table_methods.change(t, changes)
  return quote.guard(function()
    quote.keys(changes, quote.set "flags comment", "table change")
    local spec = { family = t.spec.family, name = t.spec.name, flags = changes.flags, comment = changes.comment }
    handle.write(t, object.add("table", spec), "table change")
    return t
  end)
end

handle.class("table", "netns.Table", table_methods, {
  flags = function(t)
    return handle.need(t).flags
  end,
}, { "chain", "set", "map", "counter", "quota", "limit", "flowtable", "synproxy", "secmark" })

local chain_methods = handle.methods {}

--- Remove its rules.
function chain_methods.flush(c)
  quote.guard(handle.write, c, "flush chain " .. handle.path_of(c), "chain flush")
end

--- Give it another name.
function chain_methods.rename(c, name)
  return quote.guard(function()
    handle.write(c, ("rename chain %s %s"):format(handle.path_of(c), quote.name(name, "chain")), "chain rename")
    c.spec.name = name
    return c
  end)
end

local chain_shape = { "type", "hook", "prio", "dev" }

--- Change its policy: `input:set{ policy = "drop" }`.
function chain_methods.set(c, changes)
  return quote.guard(function()
    quote.keys(changes, quote.set "policy", "chain set")
    local spec = { family = c.spec.family, table = c.spec.table, name = c.spec.name, policy = changes.policy }
    local now = handle.need(c)
    for _, key in ipairs(chain_shape) do
      spec[key] = now[key]
    end
    handle.write(c, object.add("chain", spec), "chain set")
    return c
  end)
end

--- Its rules, as handles.
function chain_methods.rules(c)
  return c.rule:list()
end

chain_methods.change = chain_methods.set

handle.class("chain", "netns.Chain", chain_methods, {
  policy = function(c)
    return handle.need(c).policy
  end,
}, { "rule" })
