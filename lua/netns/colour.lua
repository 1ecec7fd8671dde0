--- Colours, where a person sees them: only on a terminal, and never against NO_COLOR (https://no-color.org).
-- @module netns.colour
local core = require "netns.core"

local colour = {}

local codes = { strong = "1", dim = "2", red = "31", green = "32", yellow = "33" }

--- Does standard output go to a terminal that shall have colours?
-- @treturn boolean
function colour.wanted()
  local no = os.getenv "NO_COLOR"
  return (no == nil or no == "") and os.getenv "TERM" ~= "dumb" and core.terminal_width() ~= nil
end

--- The text in a colour, or as it is where none is wanted.
-- @tparam string name "strong", "dim", "red", "green", "yellow"
-- @tparam string text
-- @treturn string
function colour.paint(name, text)
  return colour.wanted() and ("\27[%sm%s\27[0m"):format(codes[name], text) or text
end

return colour
