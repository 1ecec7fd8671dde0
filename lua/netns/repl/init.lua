--- The REPL: `lua5.4 -i -l netns.repl`.
--
-- The interpreter's own prompt, and in it
--
-- - as globals `netns`, `topology`, `firewall`, `new`, `open`, `here` (the namespace one is in), and its nouns: `link`,
--   `addr`, `route` ...; `use(ns)` makes them those of another namespace, `use()` those of `here`
-- - `print`, and with it the answers of the prompt, shows objects as a person wants to see them, within the terminal's
--   width; with colours on a terminal, unless NO_COLOR is set
-- - `help(x)` prints what `netns.help` gives; `trace()` shows commands on standard error as they happen, `trace(false)`
--   stops it
-- - where the interpreter has GNU readline, as Debian's has: the tabulator completes names, methods, fields, keys of
--   nouns and names of namespaces; the history is kept in $XDG_STATE_HOME/lua-netns/history (by default below
--   ~/.local/state), its last 1,000 lines
--
-- Everything is set once, when the module is loaded.
-- @module netns.repl
local colour = require "netns.colour"
local complete = require "netns.repl.complete"
local core = require "netns.core"
local keys = require "netns.reference.keys"
local netns = require "netns"
local view = require "netns.view"

local repl = {}

local HISTORY = 1000 -- lines

-- Printing -------------------------------------------------------------------------------------------------------

-- The first line of what has several is its head.
local function painted(text)
  local head, rest = text:match "^([^\n]+)(\n.*)$"
  return head and colour.paint("strong", head) .. rest or text
end

local function shown(value)
  local kind = type(value)
  if kind ~= "userdata" and kind ~= "table" then
    return tostring(value)
  end
  local ok, text = pcall(view.text, value)
  if not ok then
    return colour.paint("red", tostring(text))
  elseif getmetatable(value) == core.Error then
    return colour.paint("red", text)
  end
  return painted(text)
end

--- Print values as a person wants to see them: what `print` is in the REPL.
-- @param ... anything
function repl.print(...)
  local parts, several = {}, false
  for i = 1, select("#", ...) do
    parts[i] = shown((select(i, ...)))
    several = several or parts[i]:find("\n", 1, true) ~= nil
  end
  io.stdout:write(table.concat(parts, several and "\n" or "\t"), "\n")
end

-- Globals --------------------------------------------------------------------------------------------------------

--- Make the nouns those of a namespace.
-- @tparam[opt] Namespace ns default: the one that one is in
function repl.use(ns)
  ns = ns or core.current()
  for _, noun in ipairs(keys.nouns()) do
    rawset(_G, noun, ns[noun])
  end
  rawset(_G, "nft", ns.nft)
  rawset(_G, "sysctl", ns.sysctl)
end

--- Print the reference's words about something.
-- @param ... as for `netns.help`
function repl.help(...)
  io.stdout:write(painted(netns.help(...)), "\n")
end

--- Show commands as they happen.
-- @param[opt] out as for `netns.trace`; nothing: standard error; false: stop
function repl.trace(out)
  if out == nil then
    out = io.stderr
  end
  netns.trace(out or nil)
end

-- What is traced later is called by name.

--- As `netns.new`.
-- @param ... as for `netns.new`
function repl.new(...)
  return netns.new(...)
end

--- As `netns.open`.
-- @param ... as for `netns.open`
function repl.open(...)
  return netns.open(...)
end

-- History --------------------------------------------------------------------------------------------------------

local function history_path()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  if not state or state:sub(1, 1) ~= "/" then
    state = home and home:sub(1, 1) == "/" and home .. "/.local/state" or nil
  end
  return state and state .. "/lua-netns/history"
end

local function keep_history(path)
  core.readline.load(path)
  local saved = false
  local function save()
    if not saved then
      saved = true
      core.readline.save(path, HISTORY)
    end
    core.readline.leave()
  end
  local exit = os.exit
  function os.exit(...) -- luacheck: ignore
    save()
    return exit(...)
  end
  repl.at_end = setmetatable({}, { __gc = save }) -- when the interpreter closes its state
end

local function install()
  for name, value in pairs { netns = netns, topology = require "netns.topology", firewall = require "netns.firewall",
    new = repl.new, open = repl.open, here = netns.current(), use = repl.use, help = repl.help, trace = repl.trace,
    print = repl.print } do
    rawset(_G, name, value)
  end
  repl.use()
  if core.readline.install(complete.words) then
    local path = history_path()
    if path then
      keep_history(path)
    end
  end
end

install()

return repl
