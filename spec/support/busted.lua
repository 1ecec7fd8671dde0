--- Runs busted under the Lua that runs this file (Debian's `busted` command starts Lua 5.1).
-- NETNS_ROOTLESS=1: as root of a user namespace, by netns.rootless().
if os.getenv "NETNS_ROOTLESS" == "1" then
  require("netns").rootless()
end
require "busted.runner" { standalone = false }
