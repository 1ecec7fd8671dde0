--- Runs busted under the Lua that runs this file (Debian's `busted` command starts Lua 5.1).
-- NETNS_ROOTLESS=1: as root of a user namespace, by netns.rootless().
-- NETNS_COVERAGE=FILE: with a look at which lines run (spec/support/coverage.lua).
if os.getenv "NETNS_ROOTLESS" == "1" then
  require("netns").rootless()
end
if os.getenv "NETNS_COVERAGE" then
  require "spec.support.coverage"
end
require "busted.runner" { standalone = false }
