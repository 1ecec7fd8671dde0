--- Recipes for the firewall of a namespace, made of the objects of `ns.nft`.
--
-- All rules of the recipes stand in one table, `inet netns`; nobody else's rules are touched. A
-- recipe applied twice is there once. Each gives a handle whose `undo` takes exactly its rules out
-- again; with the last one the table goes. IPv4 and IPv6 are treated alike.
--
-- Whatever their order, `log` comes first, then `deny`, `isolate` and `rate_limit`, then `allow`,
-- then `default_deny`. IPv6's neighbour discovery always passes.
-- @module netns.firewall
local build = require "netns.firewall.build"
local check = require "netns.check"
local quote = require "netns.nft.quote"

local firewall = {}

local MATCH = "proto port from to iface out chain"

-- The chain a recipe works in, by its place among the stages.
local function stage(opts, name)
  return (opts.chain or "input") .. "_" .. name
end

local function recipe(name, keys, make)
  return function(ns, opts)
    check.object(ns, "Namespace", "firewall." .. name)
    opts = opts == nil and {} or opts
    if type(opts) ~= "table" then
      check.refuse("firewall.%s: options must be a table, got %s", name, check.show(opts))
    elseif keys then
      check.keys(opts, quote.set(keys), "firewall." .. name)
    end
    return build.apply(ns, name, make(opts, ns))
  end
end

local function matched(opts, chain, action)
  local rules = {}
  for i, match in ipairs(build.matches(opts)) do
    rules[i] = { chain = chain, text = match .. action }
  end
  return { rules = rules }
end

local loopback = { input = 'iifname "lo" accept', output = 'oifname "lo" accept' }

--- Let in only what is allowed: drop new connections, pass replies and loopback.
-- @function default_deny
-- @tparam Namespace ns
-- @tparam[opt] table opts `input` (default true), `forward`, `output` (default false): which ways are
--   closed; `reject = true`: tell the sender instead of dropping in silence
-- @treturn Recipe
-- @usage firewall.default_deny(router, { forward = true })
firewall.default_deny = recipe("default_deny", "input forward output reject", function(opts)
  local rules = {}
  for _, hook in ipairs { "input", "forward", "output" } do
    local closed = opts[hook]
    if closed == nil then
      closed = hook == "input"
    end
    if closed then
      for _, text in ipairs { "ct state established,related accept", loopback[hook] or false,
        opts.reject and "counter reject" or "counter drop" } do
        rules[#rules + 1] = text and { chain = hook .. "_default", text = text } or nil
      end
    end
  end
  if #rules == 0 then
    check.refuse "firewall.default_deny: at least one of input, forward and output must be closed"
  end
  return { rules = rules }
end)

--- Let something in, whatever default_deny says.
-- @function allow
-- @tparam Namespace ns
-- @tparam table opts what: `proto` ("tcp", "udp", "icmp" for both ICMPs, "ping", a name or number, or a
--   list), `port` (number, "1000-2000", a list; for tcp and udp, both if `proto` is not given),
--   `from`, `to` (addresses, prefixes, ranges, lists, of both families), `iface` (where it comes in),
--   `out` (where it goes out), `chain` ("input", "forward" or "output"; default "input")
-- @treturn Recipe
-- @usage firewall.allow(ns, { proto = "tcp", port = { 22, 443 }, from = { "10.0.0.0/8", "fd00::/8" } })
firewall.allow = recipe("allow", MATCH, function(opts)
  return matched(opts, stage(opts, "allow"), "counter accept")
end)

--- Keep something out, whatever allow says.
-- @function deny
-- @tparam Namespace ns
-- @tparam table opts as for `allow`; and `reject = true`
-- @treturn Recipe
-- @usage firewall.deny(ns, { from = "10.0.0.66", reject = true })
firewall.deny = recipe("deny", MATCH .. " reject", function(opts)
  return matched(opts, stage(opts, "deny"), opts.reject and "counter reject" or "counter drop")
end)

local function check_rate(opts)
  local rate = opts.rate
  if math.type(rate) == "integer" then
    rate = rate .. "/second"
  end
  if type(rate) ~= "string" or not rate:find "^%d+/%l+$" and not rate:find "^%d+ [km]?bytes/%l+$" then
    check.refuse("firewall.rate_limit: rate must be packets a second, or a text such as \"10/minute\" or "
      .. "\"1 mbytes/second\", got %s", check.show(opts.rate))
  end
  local per = rate:match "/(%l+)$"
  quote.word(per, { "second", "minute", "hour", "day", "week" }, "firewall.rate_limit: rate per")
  if opts.burst == nil then
    return rate
  end
  local unit = rate:find "bytes" and "bytes" or "packets"
  return ("%s burst %s %s"):format(rate, quote.integer(opts.burst, "firewall.rate_limit: burst", 1, 0xffffffff), unit)
end

--- Drop what is more than a rate.
-- @function rate_limit
-- @tparam Namespace ns
-- @tparam table opts as for `allow`, and `rate` (packets a second, "10/minute", "1 mbytes/second"), `burst`,
--   `per_source = true`: each source address has the rate for itself
-- @treturn Recipe
-- @usage firewall.rate_limit(ns, { proto = "tcp", port = 22, rate = "5/minute", per_source = true })
firewall.rate_limit = recipe("rate_limit", MATCH .. " rate burst per_source", function(opts)
  local limit = "limit rate over " .. check_rate(opts)
  local chain = stage(opts, "deny")
  if not opts.per_source then
    return matched(opts, chain, limit .. " counter drop")
  end
  local made = { rules = {}, sets = {} }
  for family, kind in pairs { ip = "ipv4_addr", ip6 = "ipv6_addr" } do
    local set = build.set_name("rate", family, opts)
    for _, match in ipairs(build.matches(opts, family)) do
      made.sets[set] = { type = kind, size = 65535, flags = { "dynamic", "timeout" }, timeout = "10m" }
      made.rules[#made.rules + 1] = { chain = chain,
        text = ("%supdate @%s { %s saddr %s } counter drop"):format(match, set, family, limit) }
    end
  end
  table.sort(made.rules, function(a, b)
    return a.text < b.text
  end)
  return made
end)

--- Write a line to the log for what passes, and let it pass.
-- @function log
-- @tparam Namespace ns
-- @tparam table opts as for `allow`, and `prefix`, `level` ("info" ...), `group` (to nflog instead of the
--   kernel's log, which only shows the first namespace's)
-- @treturn Recipe
-- @usage local log = firewall.log(ns, { proto = "icmp", prefix = "ping: ", group = 1 })
firewall.log = recipe("log", MATCH .. " prefix level group", function(opts)
  local statement = build.statement { log = opts.prefix == nil and opts.level == nil and opts.group == nil and true
    or { prefix = opts.prefix, level = opts.level, group = opts.group } }
  return matched(opts, stage(opts, "log"), "counter " .. statement)
end)

--- Give what leaves through an interface its address as source.
-- @function masquerade
-- @tparam Namespace ns
-- @tparam table opts `out` (interface, or a list), `from` (only these sources)
-- @treturn Recipe
-- @usage firewall.masquerade(router, { out = "eth0" })
firewall.masquerade = recipe("masquerade", "out from", function(opts)
  if opts.out == nil then
    check.refuse "firewall.masquerade: out (the interface through which it leaves) is missing"
  end
  return matched(opts, "postrouting", "counter masquerade")
end)

--- Forward a port of this namespace to a host behind it, also for those that stand beside that host
-- (hairpin) and for the namespace itself.
-- @function publish
-- @tparam Namespace ns
-- @tparam table opts `port`, `to` ("10.0.0.2:80", "[fd00::2]:80", or an address: the same port), `proto`
--   ("tcp" or "udp", or both in a list; default "tcp"), `iface` (only what comes in there), `address` (only
--   to this address of ours), `hairpin` (the interface behind which the host is; default: as the
--   routes say; false: none)
-- @treturn Recipe
-- @usage firewall.publish(router, { port = 8080, to = "10.0.0.2:80" })
firewall.publish = recipe("publish", "port to proto iface address hairpin", build.publish)

--- Keep interfaces apart: no packet goes from one to another, routed or bridged.
-- @function isolate
-- @tparam Namespace ns
-- @tparam {string,...} opts names of two or more interfaces
-- @treturn Recipe
-- @usage firewall.isolate(router, { "guest0", "lan0" })
firewall.isolate = recipe("isolate", nil, build.isolate)

--- The recipes that are applied.
-- @tparam Namespace ns
-- @treturn {Recipe,...} each with `name`, `rules` and `undo`
-- @usage for _, recipe in ipairs(firewall.list(ns)) do print(recipe) end
function firewall.list(ns)
  return build.list(ns)
end

--- Undo all recipes.
-- @tparam Namespace ns
-- @usage firewall.reset(ns)
function firewall.reset(ns)
  return build.reset(ns)
end

return firewall
