--- The Container Network Interface: attach namespaces to networks by running CNI plugins, and be such a plugin.
-- @module netns.cni
local core = require "netns.core"
local json = require "netns.json"
local protocol = require "netns.cni.protocol"
local result = require "netns.cni.result"

local cni = {
  exec = require "netns.cni.exec".exec,
  plugin = require "netns.cni.plugin".main,
  fail = protocol.fail,
  codes = protocol.codes,
  versions = protocol.versions,
  attachment_key = protocol.attachment_key,
  bad_ifname = protocol.bad_ifname,
  family = result.family,
  json = json,
}

--- Call a function and give an error of the system back: true and its results, or nil and the error.
-- @tparam function fn
-- @param ... its arguments
-- @return true and what it returns; or nil and the netns.Error
-- @usage local made, err = netns.cni.try(ns.link.add, ns.link, { name = "br0", type = "bridge" })
function cni.try(fn, ...)
  local r = table.pack(pcall(fn, ...))
  if not r[1] and getmetatable(r[2]) ~= core.Error then
    error(r[2], 0)
  end
  return r[1] or nil, table.unpack(r, 2, r.n)
end

return cni
