--- The commands of iproute2, sysctl(8) and nft(8) that do what the nouns do: for plans and traces.
--
-- A **context** says where: `command.context(name)`. Commands are lines for a POSIX shell.
-- @module netns.command
local bridge = require "netns.command.bridge"
local filter = require "netns.command.filter"
local link = require "netns.command.link"
local net = require "netns.command.net"
local tc = require "netns.command.tc"
local text = require "netns.command.text"
local xfrm = require "netns.command.xfrm"

local command = { quote = text.quote, line = text.line }

--- Where commands are run.
-- @tparam ?string name of the namespace; nil: the one that the shell is in
-- @tparam[opt] table more `of(netns)`: the context of another namespace, given as an operation names it (default: its
--   name is what was given); `kind(name)`: the kind of a link (default: nothing is known)
-- @treturn table
function command.context(name, more)
  local ctx = { ns = name }
  function ctx.n(...)
    return name and { "-n", name, ... } or { ... }
  end
  function ctx.inside(...)
    return name and { "ip", "netns", "exec", name, ... } or { ... }
  end
  function ctx.of(netns)
    return command.context(netns)
  end
  function ctx.kind() end
  for key, value in pairs(more or {}) do
    ctx[key] = value
  end
  return ctx
end

-- The main key of each noun, which a string stands for.
local main = { addr = "address", route = "dst", link = "name", neigh = "dst", nexthop = "id", rule = "priority",
  fdb = "lladdr", vlan = "vid", mdb = "grp" }

--- The main key of a noun, which a string stands for.
-- @treturn string
function command.main_key(noun)
  return main[noun] or "dev"
end

local link_verbs = { add = link.add, replace = link.add, set = link.set, change = link.set, del = link.del,
  show = link.show }

local makers = { addr = net.addr, route = net.route, rule = net.rule, neigh = net.neigh, nexthop = net.nexthop,
  fdb = bridge.fdb, vlan = bridge.vlan, mdb = bridge.mdb, qdisc = tc.qdisc, class = tc.class,
  filter = filter.filter,
  xfrm_state = xfrm.state, xfrm_policy = xfrm.policy }

-- iproute2's word for a verb, where it has another one.
local spelled = { set = "change" }

--- The commands of an operation.
-- @tparam table ctx where
-- @tparam string noun "route"
-- @tparam string verb "add", or "show", "flush"
-- @tparam table|string args as the noun's verb takes them
-- @treturn ?{string,...} nil where there is no such command
function command.of(ctx, noun, verb, args)
  if type(args) ~= "table" then
    args = { [command.main_key(noun)] = args }
  end
  if noun == "link" then
    return link_verbs[verb] and link_verbs[verb](ctx, args)
  end
  local keeps_set = noun == "vlan" -- `bridge vlan` has the verb
  return makers[noun] and makers[noun](ctx, keeps_set and verb or spelled[verb] or verb, args)
end

--- Set a sysctl.
-- @tparam table ctx where
-- @tparam string name
-- @tparam string|integer value
-- @treturn string
function command.sysctl(ctx, name, value)
  return text.line(ctx.inside("sysctl", "-qw", ("%s=%s"):format(name, value)))
end

--- Run nft's text.
-- @tparam table ctx where
-- @tparam string ruleset
-- @treturn string
function command.nft(ctx, ruleset)
  return text.with_input(text.line(ctx.inside("nft", "-f", "-")), ruleset)
end

--- Run a program.
-- @tparam table ctx where
-- @tparam {string|number,...} argv
-- @tparam[opt] table opts as for `ns:run`: `env` and a text as `stdin` are shown
-- @treturn string
function command.run(ctx, argv, opts)
  opts = opts or {}
  local words = {}
  for name, value in pairs(opts.env or {}) do
    words[#words + 1] = value and ("%s=%s"):format(name, value) or nil
  end
  table.sort(words)
  if #words > 0 then
    table.insert(words, 1, "env")
  end
  table.move(argv, 1, #argv, #words + 1, words)
  local line = text.line(ctx.inside(table.unpack(words)))
  return type(opts.stdin) == "string" and text.with_input(line, opts.stdin) or line
end

--- Make a namespace with a name.
-- @tparam string name
-- @treturn string
function command.add_netns(name)
  return text.line { "ip", "netns", "add", name }
end

--- Delete the name of a namespace.
-- @tparam string name
-- @treturn string
function command.del_netns(name)
  return text.line { "ip", "netns", "del", name }
end

return command
