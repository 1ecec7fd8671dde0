--- All that namespaces and links can: loads the modules that add methods and properties to them.
-- @module netns.namespace
require "netns.process"
require "netns.sysctl"
require "netns.nft"
require "netns.impair"
require "netns.counters"
require "netns.capture"
require "netns.facts"
require "netns.monitor"
require "netns.probe"
require "netns.sockets"
require "netns.wait"

return require("netns.core").Namespace
