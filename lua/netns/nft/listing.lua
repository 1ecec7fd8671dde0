--- The ruleset as data, complete, and data as commands.
--
-- libnftables 1.0.6 leaves things out of its JSON, or garbles them: flags and comments of tables,
-- comments and devices of chains, some flags of sets, what a set's type is the type of. They are
-- asked of nf_tables itself and put in, so that what is listed can be added elsewhere.
-- @module netns.nft.listing
local elements = require "netns.nft.elements"
local expr = require "netns.nft.expr"
local object = require "netns.nft.object"
local check = require "netns.check"
local quote = require "netns.nft.quote"
local session = require "netns.nft.session"
local stmt = require "netns.nft.stmt"

local listing = {}

local function key_of(o)
  return table.concat({ o.family, o.table or "", o.name }, " ")
end

-- Those of `flags` that nft's language knows.
local function known_flags(flags, known)
  local list = {}
  for _, flag in ipairs(flags or {}) do
    if known[flag] then
      list[#list + 1] = flag
    end
  end
  return #list > 0 and list or nil
end

local table_flags, chain_flags = quote.set "dormant owner persist", quote.set "offload"
local set_flags = quote.set "constant interval timeout dynamic"

local complete = {}

function complete.table(t, told)
  t.flags, t.comment = known_flags(told.flags, table_flags), told.comment
end

function complete.chain(c, told)
  c.dev, c.comment, c.flags = told.dev, told.comment, known_flags(told.flags, chain_flags)
  if type(c.dev) == "table" and #c.dev == 1 then
    c.dev = c.dev[1]
  end
end

function complete.set(s, told)
  s.flags, s["auto-merge"] = known_flags(told.flags, set_flags), told["auto-merge"]
  s.comment = told.comment or s.comment
end

complete.map = complete.set

function complete.flowtable(f, told)
  f.flags = told.flags
end

-- What each set of a text listing is the type of, by "inet t s".
local function parse_typeofs(text)
  local found, where, name = {}, nil, nil
  for line in text:gmatch "[^\n]+" do
    local family, table_name = line:match "^table (%S+) (%S+) {"
    if family then
      where = family .. " " .. table_name
    end
    name = line:match "^\t%l+ (%S+) {" or name
    local typeof = line:match "^\t\ttypeof (.*)$"
    if typeof then
      found[where .. " " .. name] = typeof
    end
  end
  return found
end

-- libnftables' JSON has only the type, which for some ("integer") makes no set again.
local function complete_typeofs(ns, sets)
  local found = parse_typeofs(session.run(ns, "list ruleset\n", { terse = true }, "nft list"))
  for _, s in ipairs(sets) do
    local typeof = found[key_of(s)]
    if typeof then
      s.typeof, s.type, s.map = typeof, nil, nil
    end
  end
end

local told_as = { table = "table", chain = "chain", set = "set", map = "set", flowtable = "flowtable" }

local function complete_all(ns, list, state)
  local told, typeofs = {}, {}
  for _, o in ipairs(state) do
    told[o.kind .. " " .. key_of(o)] = o
  end
  for _, entry in ipairs(list) do
    local kind, o = next(entry)
    local of_kernel = told_as[kind] and told[told_as[kind] .. " " .. key_of(o)]
    if of_kernel then
      complete[kind](o, of_kernel)
      if of_kernel.typeof then
        typeofs[#typeofs + 1] = o
      end
    end
  end
  if #typeofs > 0 then
    complete_typeofs(ns, typeofs)
  end
end

--- What a list command prints, as data.
-- @tparam Namespace ns
-- @tparam string command "list ruleset", "list table inet filter" ...
-- @tparam[opt] table opts core.nft_run's
-- @treturn {table,...} { table = {...} }, { chain = {...} }, { rule = {...} } ...
function listing.list(ns, command, opts)
  opts = opts or {}
  local documents, _, state = session.run(ns, command .. "\n", { json = true, dump = true, terse = opts.terse,
    stateless = opts.stateless, timeout = opts.timeout }, opts.op or "nft list")
  local list = session.flatten(documents)
  complete_all(ns, list, state or session.unknown(ns))
  return list
end

-- In this order whatever refers to something else comes after it.
local ranks = {
  table = 1, chain = 2, counter = 3, quota = 3, limit = 3, ["ct helper"] = 3, ["ct timeout"] = 3,
  ["ct expectation"] = 3, synproxy = 3, secmark = 3, flowtable = 4, set = 5, map = 5, element = 6, rule = 7,
}

local rule_keys = quote.set "family table chain handle expr comment text index position"

--- A rule of a listing as text, without the command.
function listing.rule_text(rule)
  if rule.expr == nil and rule.text == nil then
    check.refuse "rule: expr (a list of statements) is missing"
  end
  return stmt.rule(rule.expr or rule.text) .. (rule.comment and " comment " .. quote.comment(rule.comment) or "")
end

local function element_texts(items, is_map)
  local parts = {}
  for i, item in ipairs(items) do
    if is_map and type(item) == "table" and #item == 2 then
      parts[i] = expr.text(item[1]) .. " : " .. expr.text(item[2])
    else
      parts[i] = expr.text(item)
    end
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function commands_for(kind, o, out)
  if kind == "rule" then
    check.keys(o, rule_keys, "rule")
    out[#out + 1] = ("add rule %s %s %s"):format(quote.table(o.family, o.table), quote.name(o.chain, "chain"),
      listing.rule_text(o))
    return
  elseif kind == "element" then
    local items = type(o.elem) == "table" and o.elem.set or o.elem
    out[#out + 1] = ("add element %s %s"):format(object.path("set", o), element_texts(items, true))
    return
  end
  out[#out + 1] = object.add(kind, o)
  if o.elem and #o.elem > 0 then
    out[#out + 1] = ("add element %s %s"):format(object.path(kind, o), element_texts(o.elem, kind == "map"))
  end
end

--- Listed data as commands that make the same.
-- @tparam {table,...} list what listing.list gives
-- @treturn string nft's text
function listing.commands(list)
  local order, out = {}, {}
  if type(list) ~= "table" then
    check.refuse("a ruleset must be a list of objects such as { table = {...} }, got %s", check.show(list))
  end
  for i, entry in ipairs(list) do
    if type(entry) ~= "table" then
      check.refuse("entry %d of a ruleset must be a table, got %s", i, check.show(entry))
    end
    local kind, o = expr.single(entry, ("entry %d of a ruleset"):format(i))
    if kind ~= "metainfo" then
      if not ranks[kind] then
        check.refuse("entry %d of a ruleset: unknown kind %s%s", i, check.show(kind),
          check.hint(tostring(kind), check.names(ranks)))
      elseif type(o) ~= "table" then
        check.refuse("entry %d of a ruleset: %s must be a table, got %s", i, kind, check.show(o))
      end
      order[#order + 1] = { rank = ranks[kind], number = i, kind = kind, object = o }
    end
  end
  table.sort(order, function(a, b)
    if a.rank ~= b.rank then
      return a.rank < b.rank
    end
    return a.number < b.number
  end)
  for _, item in ipairs(order) do
    commands_for(item.kind, item.object, out)
  end
  return table.concat(out, "\n")
end

listing.element_texts, listing.elements = element_texts, elements

return listing
