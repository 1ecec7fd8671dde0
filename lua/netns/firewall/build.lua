--- How recipes become rules: matches, chains in their order, and finding what is applied already.
--
-- A rule carries its recipe's name and a number made of the recipe's rules in its comment: by that
-- it is found again, by any process.
-- @module netns.firewall.build
local params = require "netns.nft.params"
local check = require "netns.check"
local quote = require "netns.nft.quote"
local stmt = require "netns.nft.stmt"

local build = {}

local TABLE = "netns"
local FRAME = "netns frame" -- the comment of rules that belong to no recipe

-- ---- chains -----------------------------------------------------------------------------

local stages = { "log", "deny", "allow", "default" }
local DISCOVERY = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept"

local bases = {
  input = { hook = "input", priority = "filter" },
  forward = { hook = "forward", priority = "filter" },
  output = { hook = "output", priority = "filter" },
  prerouting = { type = "nat", hook = "prerouting", priority = "dstnat" },
  postrouting = { type = "nat", hook = "postrouting", priority = "srcnat" },
  nat_output = { type = "nat", hook = "output", priority = -100 },
  bridge_forward = { hook = "forward", priority = -200 },
}

-- The base chain that a chain hangs on: "input" of "input_allow".
local function base_of(chain)
  return chain:match "^(%l+)_%l+$" and not bases[chain] and chain:match "^(%l+)_" or chain
end

local function family_of(chain)
  return chain:find "^bridge" and "bridge" or "inet"
end

local function add_base(nft, name)
  local t = nft:table { family = family_of(name), name = TABLE }
  local spec = { name = name }
  for key, value in pairs(bases[name]) do
    spec[key] = value
  end
  local base = t:chain(spec)
  if name ~= "input" and name ~= "forward" and name ~= "output" then
    return
  end
  if name ~= "forward" then
    base:rule(DISCOVERY, { comment = FRAME })
  end
  for _, stage in ipairs(stages) do
    t:chain(name .. "_" .. stage)
    base:rule("jump " .. name .. "_" .. stage, { comment = FRAME })
  end
end

-- ---- what is there ----------------------------------------------------------------------

-- Chains by name, and recipes' rules (as Rule handles) by the key in their comment, in order.
local function read(ns)
  local found = { chains = {}, rules = {}, keys = {}, tables = {} }
  for t in ns.nft.table:each() do
    if t.name == TABLE and (t.family == "inet" or t.family == "bridge") then
      found.tables[#found.tables + 1] = t
      for _, entry in ipairs(t:list()) do
        local rule = entry.rule
        if entry.chain then
          found.chains[entry.chain.name] = true
        elseif rule and rule.comment and rule.comment ~= FRAME then
          local list = found.rules[rule.comment]
          if not list then
            list = {}
            found.rules[rule.comment] = list
            found.keys[#found.keys + 1] = rule.comment
          end
          list[#list + 1] = t.chain:handle(rule.chain).rule:handle(rule)
        end
      end
    end
  end
  return found
end

-- 64 bits of a text (FNV-1a).
local function number_of(text)
  local hash = 0xcbf29ce484222325
  for i = 1, #text do
    hash = (hash ~ text:byte(i)) * 0x100000001b3
  end
  return ("%016x"):format(hash)
end

local function key_of(name, made)
  local lines = {}
  for i, rule in ipairs(made.rules) do
    lines[i] = rule.chain .. " " .. rule.text
  end
  return ("netns %s %s"):format(name, number_of(table.concat(lines, "\n")))
end

-- ---- applying and undoing ---------------------------------------------------------------

local recipe_methods = {}
local recipe_meta = { __name = "netns.Recipe", __metatable = "netns.Recipe", __index = recipe_methods }

function recipe_meta.__tostring(recipe)
  return ("recipe %s in %s"):format(recipe.name, tostring(recipe.ns))
end

-- Sets that belong to a recipe have its number in their name.
local function sets_of(t, key)
  local found = {}
  local number = key:match "%x+$"
  for set in t.set:each() do
    if set.comment == number then
      found[#found + 1] = set
    end
  end
  return found
end

--- Take exactly the recipe's rules out; with the last recipe the table goes. Twice is fine.
-- @usage recipe:undo()
function recipe_methods:undo()
  local nft, key = self.ns.nft, self.key
  local found = read(self.ns)
  local rules = found.rules[key]
  if not rules then
    return
  end
  local sets = {}
  for _, t in ipairs(found.tables) do
    table.move(sets_of(t, key), 1, #sets_of(t, key), #sets + 1, sets)
  end
  nft:transaction(function()
    if #found.keys == 1 then
      for _, t in ipairs(found.tables) do
        t:del()
      end
      return
    end
    for _, rule in ipairs(rules) do
      rule:del()
    end
    for _, set in ipairs(sets) do
      set:del()
    end
  end)
end

local function new_recipe(ns, name, key, rules)
  return setmetatable({ ns = ns, name = name, key = key, rules = rules }, recipe_meta)
end

--- Apply a recipe unless it is there.
-- @tparam Namespace ns
-- @tparam string name
-- @tparam table made `rules`: a list of { chain =, text = }; `sets`: by name
-- @treturn Recipe
function build.apply(ns, name, made)
  local key = key_of(name, made)
  local found = read(ns)
  local rules = found.rules[key]
  if rules and #rules == #made.rules then
    return new_recipe(ns, name, key, rules)
  end
  local nft, fresh = ns.nft, {}
  nft:transaction(function()
    for _, rule in ipairs(rules or {}) do
      rule:del() -- half of it: somebody took the rest
    end
    local inet = nft:table { family = "inet", name = TABLE }
    for set_name, spec in pairs(made.sets or {}) do
      spec.name, spec.comment = set_name, key:match "%x+$"
      inet:set(spec)
    end
    for i, rule in ipairs(made.rules) do
      local base = base_of(rule.chain)
      if not found.chains[base] then
        add_base(nft, base)
        found.chains[base] = true
      end
      local t = nft.table:handle { family = family_of(base), name = TABLE }
      fresh[i] = t.chain:handle(rule.chain):rule(rule.text, { comment = key })
    end
  end)
  return new_recipe(ns, name, key, fresh)
end

function build.list(ns)
  local found, recipes = read(ns), {}
  for i, key in ipairs(found.keys) do
    recipes[i] = new_recipe(ns, key:match "^netns (%S+)", key, found.rules[key])
  end
  return recipes
end

function build.reset(ns)
  local found = read(ns)
  ns.nft:transaction(function()
    for _, t in ipairs(found.tables) do
      t:del()
    end
  end)
end

-- ---- matches ----------------------------------------------------------------------------

local function as_list(value)
  if value == nil then
    return nil
  end
  return type(value) == "table" and value or { value }
end

-- Addresses by family: { ip = {...}, ip6 = {...} }; nil where none are given.
local function by_family(value, what)
  local list = as_list(value)
  if not list then
    return nil
  elseif #list == 0 then
    check.refuse("%s is an empty list", what)
  end
  local families = {}
  for _, address in ipairs(list) do
    local family = params.address_family(address)
    if not family then
      check.refuse("%s must be an IPv4 or IPv6 address, prefix or range, or a list of them, got %s", what,
        check.show(address))
    end
    families[family] = families[family] or {}
    table.insert(families[family], address)
  end
  return families
end

local both = { "tcp", "udp" }

-- "meta l4proto tcp " and the like for a protocol.
local function protocol_text(protos)
  if not protos then
    return ""
  end
  local numbers = {}
  for _, proto in ipairs(protos) do
    if proto == "icmp" then
      numbers[#numbers + 1] = "icmp"
      numbers[#numbers + 1] = "ipv6-icmp"
    elseif math.type(proto) == "integer" then
      numbers[#numbers + 1] = quote.integer(proto, "proto", 0, 255)
    else
      numbers[#numbers + 1] = quote.string(quote.keyword(proto, "proto"), "proto")
    end
  end
  local value = #numbers == 1 and numbers[1] or "{ " .. table.concat(numbers, ", ") .. " }"
  return "meta l4proto " .. value .. " "
end

-- "ping" is a type and not a protocol.
local pings = { ip = "icmp type echo-request ", ip6 = "icmpv6 type echo-request " }

local function common_text(opts)
  local text, values = "", {}
  for _, row in ipairs { { "iface", "iifname $iface " }, { "out", "oifname $out " } } do
    local key, match = table.unpack(row)
    if opts[key] ~= nil then
      text, values[key] = text .. match, opts[key]
    end
  end
  local protos = as_list(opts.proto)
  if opts.port ~= nil then
    protos = protos or both
    for _, proto in ipairs(protos) do
      quote.word(proto, { "tcp", "udp", "sctp", "dccp", "udplite" }, "proto with a port")
    end
  end
  text = params.apply(text, values)
  if opts.proto ~= "ping" then
    text = text .. protocol_text(protos)
  end
  if opts.port ~= nil then
    text = text .. params.apply("th dport $port ", { port = opts.port })
  end
  return text
end

local chains = { "input", "forward", "output" }

--- The texts of matches for options, one for each family that is needed.
-- @tparam table opts `proto`, `port`, `from`, `to`, `iface`, `out`, `chain`
-- @tparam[opt] string only "ip" or "ip6": that family, said explicitly
-- @treturn {string,...} each ends with a blank, or is empty
function build.matches(opts, only)
  if opts.chain ~= nil then
    quote.word(opts.chain, chains, "chain")
  end
  local common = common_text(opts)
  local from, to = by_family(opts.from, "from"), by_family(opts.to, "to")
  local ping = opts.proto == "ping"
  if not from and not to and not ping then
    return { (only and "meta nfproto " .. (only == "ip" and "ipv4 " or "ipv6 ") or "") .. common }
  end
  local texts = {}
  for _, family in ipairs { "ip", "ip6" } do
    local wanted = (not from or from[family]) and (not to or to[family]) and (not only or only == family)
    if wanted then
      local text = ""
      for _, row in ipairs { { "saddr", from }, { "daddr", to } } do
        local list = row[2] and row[2][family]
        if list then
          local values = { list = #list == 1 and list[1] or list }
          text = text .. params.apply(("%s %s $list "):format(family, row[1]), values)
        end
      end
      texts[#texts + 1] = text .. common .. (ping and pings[family] or "")
    end
  end
  if #texts == 0 and not only then
    check.refuse "from and to have no family in common"
  end
  return texts
end

--- A name for a recipe's set, from its options.
function build.set_name(prefix, family, opts)
  local parts = {}
  for key, value in pairs(opts) do
    parts[#parts + 1] = key .. "=" .. (type(value) == "table" and table.concat(value, ",") or tostring(value))
  end
  table.sort(parts)
  return ("%s_%s_%s"):format(prefix, family, number_of(table.concat(parts, ";")))
end

build.statement = stmt.text

-- ---- publish ----------------------------------------------------------------------------

-- "10.0.0.2:80", "[fd00::2]:80", "10.0.0.2" -> address, port (or nil), family
local function parse_target(to)
  local address, port
  if type(to) == "string" then
    address, port = to:match "^%[([^%]]+)%]:(%d+)$"
    if not address then
      address, port = to:match "^([%d.]+):(%d+)$"
    end
    address = address or to:match "^%[([^%]]+)%]$" or to
  end
  local family = address and not address:find "[/-]" and params.address_family(address)
  if not family or (port and tonumber(port) > 65535) then
    check.refuse("firewall.publish: to must be \"ADDRESS:PORT\", \"[IPv6]:PORT\" or an address, got %s",
      check.show(to))
  end
  return address, port and math.tointeger(tonumber(port)), family
end

-- The interface behind which an address is, as the routes say; nil where no route leads there.
local function device_to(ns, address)
  local ok, route = pcall(function()
    return ns.route:get(address)
  end)
  return ok and route and route.dev or nil
end

--- The rules of firewall.publish.
function build.publish(opts, ns)
  if math.type(opts.port) ~= "integer" or opts.port < 1 or opts.port > 65535 then
    check.refuse("firewall.publish: port must be an integer from 1 to 65535, got %s", check.show(opts.port))
  end
  local address, port, family = parse_target(opts.to)
  local target_port = port or opts.port
  local protos = as_list(opts.proto == nil and "tcp" or opts.proto)
  for _, proto in ipairs(protos) do
    quote.word(proto, { "tcp", "udp" }, "firewall.publish: proto")
  end
  local proto = protocol_text(protos)
  local destination = opts.address and params.apply(family .. " daddr $a ", { a = opts.address })
    or "fib daddr type local "
  local nfproto = family == "ip" and "meta nfproto ipv4 " or "meta nfproto ipv6 "
  local where = nfproto .. destination .. proto .. ("th dport %d "):format(opts.port)
  local translate = family == "ip" and ("counter dnat ip to %s:%d"):format(address, target_port)
    or ("counter dnat ip6 to [%s]:%d"):format(address, target_port)
  local iface = opts.iface ~= nil and params.apply("iifname $i ", { i = opts.iface }) or ""
  local reached = params.apply(family .. " daddr $a ", { a = address }) .. proto
    .. ("th dport %d "):format(target_port)
  local rules = {
    { chain = "prerouting", text = iface .. where .. translate },
    { chain = "forward_allow", text = "ct status dnat " .. reached .. "counter accept" },
  }
  if opts.iface == nil then
    rules[#rules + 1] = { chain = "nat_output", text = where .. translate }
  end
  local device = opts.hairpin
  if device == nil or device == true then
    device = device_to(ns, address)
  end
  if device then
    rules[#rules + 1] = { chain = "postrouting", text = params.apply("iifname $d oifname $d ", { d = device })
      .. "ct status dnat " .. reached .. "counter masquerade" }
  end
  return { rules = rules }
end

-- ---- isolate ----------------------------------------------------------------------------

local function master_of(ns, name)
  local link = ns.link:get(name)
  return link and link.master
end

--- The rules of firewall.isolate.
function build.isolate(ifaces, ns)
  if #ifaces < 2 then
    check.refuse "firewall.isolate: expected a list of two or more interfaces"
  end
  for key in pairs(ifaces) do
    if math.type(key) ~= "integer" then
      check.refuse("firewall.isolate: unknown key %s; expected a list of interfaces", check.show(key))
    end
  end
  local rules = {}
  local function add(chain, from, to)
    rules[#rules + 1] = { chain = chain,
      text = params.apply("iifname $from oifname $to counter drop", { from = from, to = to }) }
  end
  for i, from in ipairs(ifaces) do
    for j, to in ipairs(ifaces) do
      if i ~= j then
        if from == to then
          check.refuse("firewall.isolate: %s is named twice", check.show(from))
        end
        add("forward_deny", from, to)
        local bridge = master_of(ns, from)
        if bridge and bridge == master_of(ns, to) then
          add("bridge_forward", from, to)
        end
      end
    end
  end
  return { rules = rules }
end

build.recipe_methods = recipe_methods

return build
