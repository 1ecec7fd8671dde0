--- The firewall of a namespace: `ns.nft`.
--
-- Texts in nft's language run in a worker process (see the README's "Firewall"), so that whatever
-- they do to libnftables, the host program only ever gets an error. Objects and parameters are
-- checked and quoted: data from outside is safe there. Texts themselves are code: they can
-- `include` files.
-- @module netns.nft
local core = require "netns.core"
local commit = require "netns.nft.commit"
local handle = require "netns.nft.handle"
local listing = require "netns.nft.listing"
local monitor = require "netns.nft.monitor"
local params = require "netns.nft.params"
local check = require "netns.check"
local quote = require "netns.nft.quote"
local session = require "netns.nft.session"
require "netns.nft.chains"
require "netns.nft.rules"
require "netns.nft.sets"
require "netns.nft.stateful"

local methods = {}
local meta = { __name = "netns.Nft", __metatable = "netns.Nft" }

local run_options = quote.set "timeout echo"

local function check_text(text, what)
  if type(text) ~= "string" then
    check.refuse("%s: nft's text must be a string, got %s", what, type(text))
  elseif text:find "%z" then
    check.refuse("%s: nft's text must not contain NUL bytes", what)
  end
  return text
end

local function prepare(text, values, what)
  check_text(text, what)
  if values ~= nil and type(values) ~= "table" then
    check.refuse("%s: parameters must be a table from names to values, got %s", what, type(values))
  end
  return values and params.apply(text, values) or text
end

-- With an echo of what is made, unless that is not wanted.
local function told(opts)
  return { timeout = opts.timeout, echo = opts.echo ~= false }
end

-- libnftables 1.0.6 aborts when it is to list these as JSON.
local function text_only(text)
  return text:find "%f[%w]list%s+hooks%f[%W]" ~= nil
end

--- Run nft commands: one transaction, all or nothing.
-- @tparam string text commands, as for `nft -f`
-- @tparam[opt] table values parameters: `$name` in the text becomes the value, checked and quoted
-- @tparam[opt] table opts `timeout` in seconds (default 60); `echo = false`: do not ask what was
--   created, which costs time where that is a lot
-- @treturn {table,...} what was created or listed: { table = {...} }, { rule = {...} } ..., each
--   with its handle; `text` has what libnftables prints only as text
-- @raise netns.Error with line, column, source and offending text; see netns.nft.session.error
-- @usage ns.nft:run("add rule inet filter input ip saddr $src tcp dport $port accept",
--   { src = "10.0.0.0/24", port = 22 })
function methods:run(text, values, opts)
  opts = opts or {}
  check.keys(opts, run_options, "nft run")
  text = prepare(text, values, "nft run")
  if text_only(text) then
    return { text = session.run(self.ns, text, { timeout = opts.timeout }, "nft run") }
  end
  return commit.write(self, { text = text, op = "nft run" }, told(opts)) or {}
end

--- Run nft commands without committing them.
-- @return true
-- @raise netns.Error as `run`
-- @tparam string text commands, as for `run`
-- @tparam[opt] table values parameters, as for `run`
-- @tparam[opt] table opts `timeout` in seconds
-- @usage ns.nft:check "add table inet filter"
function methods:check(text, values, opts)
  opts = opts or {}
  check.keys(opts, run_options, "nft check")
  session.run(self.ns, prepare(text, values, "nft check"), { check = true, timeout = opts.timeout }, "nft check")
  return true
end

local list_options = quote.set "family table stateless terse timeout"

local function scope(opts, what)
  check.keys(opts, list_options, what)
  if opts.table then
    return "table " .. quote.table(opts.family or "ip", opts.table)
  end
  return "ruleset" .. (opts.family and " " .. quote.family(opts.family) or "")
end

--- The ruleset as plain data.
-- @tparam[opt] table opts `family`, `table` (with its family), `stateless` (no counters), `terse` (no
--   elements), `timeout`
-- @treturn {table,...} { table = {...} }, { chain = {...} }, { rule = {...} } ..., as in
--   libnftables-json(5); JSON's null is true
-- @see add
-- @usage for _, entry in ipairs(ns.nft:list()) do print(next(entry)) end
function methods:list(opts)
  return listing.list(self.ns, "list " .. scope(opts or {}, "nft list"), opts)
end

--- The ruleset as nft's text.
-- @tparam[opt] table opts as for `list`, and `handle = true`
-- @treturn string
-- @usage io.write(ns.nft:text { stateless = true })
function methods:text(opts)
  local given = {}
  for key, value in pairs(opts or {}) do
    given[key] = value
  end
  local handles = given.handle
  given.handle = nil
  return (session.run(self.ns, "list " .. scope(given, "nft text") .. "\n", { handle = handles,
    stateless = given.stateless, terse = given.terse, timeout = given.timeout }, "nft list"))
end

--- Add what was listed, here or elsewhere: one transaction.
-- @tparam {table,...} list what `list` gives
-- @tparam[opt] table opts as for `run`
-- @treturn {table,...} what was created
-- @raise netns.Error, EEXIST where something of it is there
-- @usage other.nft:add(ns.nft:list())
function methods:add(list, opts)
  opts = opts or {}
  check.keys(opts, run_options, "nft add")
  return commit.write(self, { text = listing.commands(list), op = "nft add" }, told(opts)) or {}
end

-- Tables that this process made here and that are still the same.
local function own_tables(nft)
  local found = {}
  for key, t in pairs(commit.tables(nft.ns)) do
    if nft.state.made[key] == t.handle then
      found[#found + 1] = "delete table " .. key
    end
  end
  table.sort(found)
  return table.concat(found, "\n")
end

--- Remove rules.
-- @tparam[opt] table opts without: the tables that this process made in the namespace, and
--   nothing else; `all = true`: everything, of all programs (with `family`: of that family);
--   `family` and `table`: that table, whoever made it
-- @usage ns.nft:flush { family = "inet", table = "filter" }
function methods:flush(opts)
  opts = opts or {}
  check.keys(opts, quote.set "all family table", "nft flush")
  local text
  if opts.table then
    text = "delete table " .. quote.table(opts.family or "ip", opts.table)
  elseif opts.all then
    text = "flush ruleset" .. (opts.family and " " .. quote.family(opts.family) or "")
  elseif opts.family then
    check.refuse "nft flush: with a family, say which table, or all = true"
  else
    text = own_tables(self)
  end
  if text ~= "" then
    commit.write(self, { text = text, op = "nft flush" })
  end
end

--- Collect what a function writes, through any object of this namespace, into one commit.
-- @tparam function fn called with this noun; when it raises, nothing is sent
-- @tparam[opt] table opts `timeout`
-- @return what fn returns
-- @usage ns.nft:transaction(function() input:flush(); input:rule "tcp dport 22 accept" end)
function methods:transaction(fn, opts)
  opts = opts or {}
  check.keys(opts, quote.set "timeout", "nft transaction")
  if type(fn) ~= "function" then
    check.refuse("nft transaction: expected a function, got %s", type(fn))
  end
  return commit.transaction(self, fn, { timeout = opts.timeout })
end

--- Changes by anyone, from now on.
-- @treturn Monitor `next(timeout)`, `each(timeout)`, `fd()`, `close()`
-- @see netns.nft.monitor
-- @usage for event in ns.nft:monitor():each(1) do print(event.event, event.kind) end
function methods:monitor()
  return monitor.new(self.ns)
end

function meta.__index(nft, key)
  if methods[key] then
    return methods[key]
  elseif key == "table" then
    local noun = handle.noun(nft, "table")
    rawset(nft, "table", noun)
    return noun
  end
end

function meta.__eq(a, b)
  return a.ns == b.ns
end

function meta.__tostring(nft)
  return "nft of " .. tostring(nft.ns)
end

function core.properties.nft(ns)
  return setmetatable({ ns = ns, state = commit.state(ns) }, meta)
end

return methods
