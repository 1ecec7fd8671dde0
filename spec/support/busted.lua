--- Runs busted under the Lua that runs this file (Debian's `busted` command starts Lua 5.1).
require "busted.runner" { standalone = false }
