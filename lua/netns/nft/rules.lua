--- Rules.
-- @module netns.nft.rules
local core = require "netns.core"
local commit = require "netns.nft.commit"
local handle = require "netns.nft.handle"
local listing = require "netns.nft.listing"
local params = require "netns.nft.params"
local check = require "netns.check"
local quote = require "netns.nft.quote"
local session = require "netns.nft.session"
local stmt = require "netns.nft.stmt"

local chain_of -- the chain's path of a rule: "inet filter input"

-- ---- rules ------------------------------------------------------------------------------

local rule_methods = {}
local rule_meta = { __name = "netns.Rule", __metatable = "netns.Rule" }

function chain_of(spec)
  return quote.table(spec.family, spec.table) .. " " .. quote.name(spec.chain, "chain")
end

local function new_rule(chain, data)
  local spec = data or {}
  spec.family, spec.table, spec.chain = chain.spec.family, chain.spec.table, chain.spec.name
  return setmetatable({ nft = chain.nft, kind = "rule", spec = spec, handle = data and data.handle or false,
    chain = chain }, rule_meta)
end

--- Told by the commit that created it.
-- @local
function rule_methods:created(number)
  self.handle = number
  self.op = nil
end

local function need_handle(r, what)
  if r.deleted then
    check.refuse("%s: the rule is deleted", what)
  elseif r.handle then
    return r.handle
  elseif r.op and not r.op.sent then
    check.refuse("%s: the rule waits for the end of its transaction and has no handle yet", what)
  end
  check.refuse("%s: the rule's handle is not known: there were more events than the kernel keeps",
    what)
end

local rule_options = quote.set "before after first index comment params text expr"

-- A rule may be given as text, a list of statements, or a listed rule.
local function rule_text(given, opts)
  local comment = opts.comment
  if type(given) == "table" and (given.expr ~= nil or given.text ~= nil) then
    comment = comment or given.comment
    given = given.expr or given.text
  end
  if type(given) == "string" and opts.params then
    given = params.apply(given, opts.params)
  end
  return stmt.rule(given) .. (comment and " comment " .. quote.comment(comment) or "")
end

-- A handle in the kernel, or a rule of the same transaction.
local function position(target, chain, what)
  if math.type(target) == "integer" then
    return target
  elseif getmetatable(target) ~= "netns.Rule" then
    check.refuse("rule add: %s must be a Rule or a handle, got %s", what, check.show(target))
  elseif chain_of(target.spec) ~= handle.path_of(chain) then
    check.refuse("rule add: %s is a rule of another chain, %s", what, chain_of(target.spec))
  end
  return target.handle or target
end

-- In the same transaction, the place among the ops decides: where both rules are appended.
local function place_beside(target, offset)
  if not target.op or target.op.placed then
    check.refuse "rule add: a rule that waits for its commit and has a position itself cannot be a position"
  end
  return function(ops)
    for i, op in ipairs(ops) do
      if op == target.op then
        return i + offset
      end
    end
    check.refuse "rule add: the rule that is the position belongs to another transaction"
  end
end

-- The verb and position of an add, and the place of its op.
local function head(chain, opts)
  local given = 0
  for _, key in ipairs { "before", "after", "first", "index" } do
    given = given + (opts[key] and 1 or 0)
  end
  if given > 1 then
    check.refuse "rule add: only one of before, after, first and index can be given"
  end
  local path = handle.path_of(chain)
  if opts.first then
    return "insert rule " .. path
  elseif opts.index then
    return ("insert rule %s index %s"):format(path, quote.integer(opts.index, "rule add: index", 0))
  elseif opts.before then
    local at = position(opts.before, chain, "before")
    if type(at) == "table" then
      return "add rule " .. path, place_beside(at, 0)
    end
    return ("insert rule %s handle %d"):format(path, at)
  elseif opts.after then
    local at = position(opts.after, chain, "after")
    if type(at) == "table" then
      return "add rule " .. path, place_beside(at, 1)
    end
    return ("add rule %s handle %d"):format(path, at)
  end
  return "add rule " .. path
end

local function add_rule(chain, given, opts)
  opts = opts or {}
  check.keys(opts, rule_options, "rule add")
  local start, at = head(chain, opts)
  local rule = new_rule(chain)
  local text = rule_text(given, opts)
  rule.op = {
    text = start .. " " .. text, op = "rule add", object = "in " .. handle.path_of(chain), rule = rule, at = at,
    placed = not at and not start:find "^add rule %S+ %S+ %S+$",
  }
  commit.write(chain.nft, rule.op)
  return rule
end

--- The rule as it is in the kernel; nil where it is gone.
local function fetch(r)
  local ok, list = pcall(listing.list, r.nft.ns, "list chain " .. chain_of(r.spec), { op = "rule get" })
  if not ok then
    if getmetatable(list) == core.Error and list.code == "ENOENT" then
      return nil
    end
    error(list, 0)
  end
  for i, entry in ipairs(list) do
    if entry.rule and entry.rule.handle == r.handle then
      return entry.rule, i
    end
  end
end

local function need(r, what)
  need_handle(r, what)
  local rule = fetch(r)
  if not rule then
    local errno, code, words = core.nft_errno "No such file or directory"
    error(setmetatable({ op = what, object = ("%s handle %d"):format(chain_of(r.spec), r.handle),
      netns = tostring(r.nft.ns), code = code, errno = errno, message = words }, core.Error), 0)
  end
  return rule
end

--- The rule as the kernel has it: expr, comment, handle.
-- @treturn table
-- @raise netns.Error, ENOENT where it is gone
-- @usage print(#ssh:get().expr)
function rule_methods:get()
  return (need(self, "rule get"))
end

--- Whether it is there.
-- @treturn boolean
-- @usage if ssh:exists() then ssh:del() end
function rule_methods:exists()
  return self.handle and not self.deleted and fetch(self) ~= nil or false
end

--- Delete it.
-- @raise netns.Error, ENOENT where it is gone
-- @usage ssh:delete()
function rule_methods:del()
  if self.op and self.op.transaction and not self.handle then
    commit.withdraw(self.op)
  else
    local where = ("%s handle %d"):format(chain_of(self.spec), need_handle(self, "rule del"))
    commit.write(self.nft, { text = "delete rule " .. where, op = "rule del", object = where })
  end
  self.deleted = true
end

rule_methods.delete = rule_methods.del

--- Put another in its place.
-- @tparam string|table given as for chain:rule
-- @tparam[opt] table opts `comment`, `params`
-- @treturn Rule itself
-- @raise netns.Error, ENOENT where it is gone
-- @usage ssh:replace "tcp dport 2222 counter accept"
function rule_methods:replace(given, opts)
  opts = opts or {}
  check.keys(opts, quote.set "comment params", "rule replace")
  local text = rule_text(given, opts)
  if self.op and self.op.transaction and not self.handle then
    self.op.text = self.op.text:match "^%l+ rule %S+ %S+ %S+" .. " " .. text
    return self
  end
  commit.write(self.nft, { text = ("replace rule %s handle %d %s"):format(chain_of(self.spec),
    need_handle(self, "rule replace"), text), op = "rule replace", object = chain_of(self.spec) .. " handle "
    .. self.handle, rule = self })
  return self
end

-- The argument of the first statement of a kind.
local function find_statement(rule, kind)
  for _, statement in ipairs(rule.expr) do
    if type(statement) == "table" and type(statement[kind]) == "table" then
      return statement[kind]
    end
  end
end

--- Set its counters and quotas to zero; nft 1.0.6 can only put the rule anew in its place, so that
-- what passes between reading and writing is not counted.
-- @treturn ?table the counter as it was: packets and bytes
-- @usage ssh:reset()
function rule_methods:reset()
  local now = need(self, "rule reset")
  local counter, quota = find_statement(now, "counter"), find_statement(now, "quota")
  local was = counter and { packets = counter.packets, bytes = counter.bytes }
  if counter then
    counter.packets, counter.bytes = 0, 0
  end
  if quota then
    quota.used, quota.used_unit = nil, nil
  end
  self:replace(now)
  return was
end

-- The text of the rule, as nft lists it.
local function text_of(r)
  need_handle(r, "rule get")
  local text = session.run(r.nft.ns, "list chain " .. chain_of(r.spec) .. "\n", { handle = true }, "rule get")
  for line in text:gmatch "[^\n]+" do
    local rule, number = line:match "^%s+(.-) # handle (%d+)$"
    if number and tonumber(number) == r.handle then
      return rule
    end
  end
end

local rule_properties = {
  text = text_of,
  expr = function(r)
    return need(r, "rule get").expr
  end,
  comment = function(r)
    return need(r, "rule get").comment
  end,
  counter = function(r)
    return find_statement(need(r, "rule get"), "counter")
  end,
  quota = function(r)
    return find_statement(need(r, "rule get"), "quota")
  end,
}

function rule_meta.__index(r, key)
  if rule_methods[key] then
    return rule_methods[key]
  elseif rule_properties[key] then
    return rule_properties[key](r)
  end
end

function rule_meta.__eq(a, b)
  return a.nft ~= nil and b.nft ~= nil and a.nft.ns == b.nft.ns and a.handle and a.handle == b.handle
    and chain_of(a.spec) == chain_of(b.spec)
end

function rule_meta.__tostring(r)
  return ("rule %s handle %s in %s"):format(chain_of(r.spec), r.handle or "not known", tostring(r.nft.ns))
end

-- ---- the noun: chain.rule ----------------------------------------------------------------

local noun_methods = {}
local noun_meta = { __name = "netns.RuleNoun", __metatable = "netns.RuleNoun", __index = noun_methods,
  methods = noun_methods }

--- Add a rule, at the end or where the options say.
-- @tparam string|table given nft's text ("tcp dport 22 accept"), or a list of statements as in
--   libnftables-json(5), or a listed rule
-- @tparam[opt] table opts `before`, `after` (a Rule or a handle), `first`, `index`, `comment`,
--   `params` (values for `$name` in the text)
-- @treturn Rule
-- @raise netns.Error with nft's message and its place, as `Nft:run`
-- @usage input.rule:add("tcp dport 22 accept", { first = true })
function noun_methods:add(given, opts)
  return add_rule(self.parent, given, opts)
end

function noun_meta.__call(noun, chain, given, opts)
  if chain ~= noun.parent then
    error("call it as a method: chain:rule(...)", 2)
  end
  return add_rule(chain, given, opts)
end

--- All rules of the chain, in order, as Rules that hold what was listed in `spec`.
-- @treturn {Rule,...}
-- @usage for _, rule in ipairs(input.rule:list()) do print(rule.text) end
function noun_methods:list()
  local rules = {}
  local command = "list chain " .. handle.path_of(self.parent)
  for _, entry in ipairs(listing.list(self.nft.ns, command, { op = "rule list" })) do
    if entry.rule then
      rules[#rules + 1] = new_rule(self.parent, entry.rule)
    end
  end
  return rules
end

--- The Rule of a listed rule, without asking whether it is there.
-- @tparam table listed as in `nft:list()`: at least its handle
-- @treturn Rule
-- @usage local ssh = input.rule:handle { handle = 7 }
function noun_methods:handle(listed)
  return new_rule(self.parent, listed)
end

--- All rules of the chain in a loop.
-- @treturn function the iterator
-- @usage for rule in input.rule:each() do print(rule) end
function noun_methods:each()
  local rules, i = self:list(), 0
  return function()
    i = i + 1
    return rules[i]
  end
end

--- The rule with a handle; nil where there is none.
-- @tparam integer number the handle
-- @treturn ?Rule
-- @usage local ssh = input.rule:get(7)
function noun_methods:get(number)
  quote.integer(number, "rule get: handle", 1)
  local rule = new_rule(self.parent, { handle = number })
  return fetch(rule) and rule
end

--- Delete the rule with a handle.
-- @tparam integer|Rule number a handle, or the Rule
-- @raise netns.Error, ENOENT where it is gone
-- @usage input.rule:del(7)
function noun_methods:del(number)
  local rule = type(number) == "table" and number or new_rule(self.parent, { handle = number })
  return rule:del()
end

--- Put a rule in the place of the one with a handle.
-- @tparam integer number the handle
-- @tparam string|table given as for `add`
-- @tparam[opt] table opts `comment`, `params`
-- @treturn Rule
-- @usage input.rule:replace(7, "tcp dport 2222 accept")
function noun_methods:replace(number, given, opts)
  return new_rule(self.parent, { handle = number }):replace(given, opts)
end

--- Remove all rules of the chain.
-- @usage input.rule:flush()
function noun_methods:flush()
  self.parent:flush()
end

rule_meta.noun, rule_meta.methods = noun_meta, rule_methods
handle.classes.rule = rule_meta
