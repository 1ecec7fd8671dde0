--- Plans: a model as ordered operations, which can be printed as commands or carried out.
--
-- For each node, in order: `links` (born in the namespace of one end, the other end's named by `peer.node`), then
-- `config` (ports, up, addresses, routes). Numbers of interfaces are chosen here, which spares every look-up: a
-- node is then one stream of messages.
-- @module netns.topology.plan
local ip = require "netns.topology.ip"
local nat = require "netns.topology.nat"
local words = require "netns.topology.words"

local plan = {}
local Plan = {}
Plan.__index = Plan
Plan.__name = "netns.Plan"

local function op(list, noun, verb, args, path)
  list[#list + 1] = { noun = noun, verb = verb, args = args, path = path }
end

local function altnames(iface)
  return iface.altname and { iface.altname } or nil
end

-- Which end's namespace a link is made from: the switch's, where there is one.
local function ends(link)
  if link.b.switch and not link.a.switch then
    return link.ib, link.ia
  end
  return link.ia, link.ib
end

local function plan_link(steps, link)
  local near, far = ends(link)
  local mtu = link.opts.mtu
  local addrgenmode = "none"
  op(steps[near.node].links, "link", "add", {
    name = near.name, index = near.index, type = "veth", mtu = mtu, altnames = altnames(near),
    addrgenmode = near.node.switch and addrgenmode or nil,
    peer = { name = far.name, index = far.index, mtu = mtu, altnames = altnames(far), node = far.node.name },
  }, link.path)
end

local function plan_switch(step, node)
  op(step.links, "link", "add", { name = "br0", index = 2, type = "bridge", addrgenmode = "none" }, node.path)
  for _, iface in ipairs(node.ifaces) do
    op(step.config, "link", "set", { dev = iface.index, name = nil, master = 2, up = true }, iface.path)
  end
  -- last: choosing ports costs as many steps as there are ports, at every event of a bridge that is up
  op(step.config, "link", "set", { dev = 2, up = true }, node.path)
end

local function nexthops(hops)
  local list = {}
  for i, hop in ipairs(hops) do
    list[i] = { via = hop.via, dev = hop.iface.index }
  end
  return list
end

local function plan_routes(step, node)
  for _, route in ipairs(node.routes) do
    local args = { dst = route.dst, family = route.family == 4 and "inet" or "inet6", metric = route.metric }
    local hops = route.hops
    if #hops == 1 then
      args.via, args.dev = hops[1].via, hops[1].iface.index
    else
      hops.nexthops = hops.nexthops or nexthops(hops) -- many routes go by the same
      args.nexthops = hops.nexthops
    end
    op(step.config, "route", "add", args, node.path)
  end
end

local function plan_addresses(step, node, m)
  op(step.config, "link", "set", { dev = 1, up = true }, node.path)
  for _, iface in ipairs(node.ifaces) do
    if m.families[6] then
      op(step.config, "link", "set", { dev = iface.index, addrgenmode = "none" }, iface.path)
    end
    op(step.config, "link", "set", { dev = iface.index, up = true }, iface.path)
    if iface.addrs[4] then
      op(step.config, "addr", "add", { dev = iface.index, address = ip.text(iface.addrs[4]) }, iface.path)
    end
    if iface.addrs[6] and node.forwards then
      -- a router asks for neighbours in its link-local name, and none is made with addrgenmode none
      op(step.config, "addr", "add", { dev = iface.index, address = ("fe80::%x:%x/64"):format(node.number, iface.index),
        nodad = true, scope = "link" }, iface.path)
    end
    if iface.addrs[6] then
      op(step.config, "addr", "add", { dev = iface.index, address = ip.text(iface.addrs[6]), nodad = true }, iface.path)
    end
  end
end

local function sysctls(node, m)
  local values = {}
  if node.forwards then
    if m.families[4] then
      values["net.ipv4.ip_forward"] = 1
      values["net.ipv4.conf.all.rp_filter"] = 0
      values["net.ipv4.conf.default.rp_filter"] = 0
    end
    if m.families[6] then
      values["net.ipv6.conf.all.forwarding"] = 1
    end
    if node.multipath then
      values["net.ipv4.fib_multipath_hash_policy"] = 1
      values["net.ipv6.fib_multipath_hash_policy"] = m.families[6] and 1 or nil
    end
  end
  for name, value in pairs(node.data.sysctl or {}) do
    values[name] = value
  end
  return values
end

local function tc_time(seconds)
  return ("%dus"):format(math.floor(seconds * 1e6 + 0.5))
end

local function tc_share(fraction)
  return ("%.10g%%"):format(fraction * 100)
end

--- The qdisc that impairs what leaves an interface: `{ kind =, ... }` in SI base units; nil where nothing does.
function plan.impairment(opts)
  local q = {
    delay = opts.delay and words.time(opts.delay), jitter = opts.jitter and words.time(opts.jitter),
    loss = opts.loss and words.share(opts.loss), rate = opts.rate and words.rate(opts.rate),
    duplicate = opts.duplicate and words.share(opts.duplicate), reorder = opts.reorder and words.share(opts.reorder),
    corrupt = opts.corrupt and words.share(opts.corrupt),
  }
  if next(q) == nil then
    return nil
  end
  local only_rate = q.rate and not (q.delay or q.jitter or q.loss or q.duplicate or q.reorder or q.corrupt)
  q.kind = only_rate and "tbf" or "netem"
  return q
end

--- The words of `tc qdisc add dev X root ...` for an impairment.
function plan.tc_words(q)
  if q.kind == "tbf" then
    -- a burst of 10 ms at the rate, and at least two large packets
    local burst = math.max(math.floor(q.rate / 8 / 100), 3200)
    return { "tbf", "rate", ("%dbit"):format(math.floor(q.rate)), "burst", tostring(burst), "latency", "50ms" }
  end
  local out = { "netem" }
  local function add(...)
    for _, word in ipairs { ... } do
      out[#out + 1] = word
    end
  end
  if q.delay or q.jitter or q.reorder then
    add("delay", tc_time(q.delay or 0))
    if q.jitter then
      add(tc_time(q.jitter))
    end
  end
  for _, key in ipairs { "loss", "duplicate", "reorder", "corrupt" } do
    if q[key] then
      add(key, tc_share(q[key]))
    end
  end
  if q.rate then
    add("rate", ("%dbit"):format(math.floor(q.rate)))
  end
  return out
end

--- The plan of a model with its routes.
function plan.make(m)
  local steps, list, by_name = {}, {}, {}
  for i, node in ipairs(m.nodes) do
    local step = { node = node, name = node.name, links = {}, config = {}, impair = {} }
    steps[node], list[i], by_name[node.name] = step, step, step
    if node.switch then
      plan_switch(step, node)
    end
  end
  for _, link in ipairs(m.links) do
    plan_link(steps, link)
    local q = plan.impairment(link.opts)
    if q then
      for _, iface in ipairs { link.ia, link.ib } do
        local impair = steps[iface.node].impair
        impair[#impair + 1] = { iface = iface, qdisc = q, path = link.path }
      end
    end
  end
  for _, step in ipairs(list) do
    local node = step.node
    if not node.switch then
      plan_addresses(step, node, m)
      plan_routes(step, node)
    end
    step.sysctls = sysctls(node, m)
    step.nft = #node.outs > 0 and nat.rules(node, m) or nil
    step.firewall = node.data.firewall
    step.run = node.data.run
  end
  return setmetatable({ model = m, steps = list, by_name = by_name }, Plan)
end

-- Commands ---------------------------------------------------------------------------------------------------------

local function quote(word)
  word = tostring(word)
  return word:match "^[%w_./:@%%+=,-]+$" and word or "'" .. word:gsub("'", [['\'']]) .. "'"
end

local function line(...)
  local parts = {}
  for i, word in ipairs { ... } do
    parts[i] = quote(word)
  end
  return table.concat(parts, " ")
end

local function names_of(step)
  local names = { "lo", step.node.switch and "br0" or nil }
  for _, iface in ipairs(step.node.ifaces) do
    names[iface.index] = iface.name
  end
  return names
end

local function link_command(name, args, prefix)
  local words_ = { "ip", "-n", prefix .. name, "link", "add", args.name, "index", args.index, "numtxqueues", 1,
    "numrxqueues", 1 }
  if args.type == "bridge" then
    words_ = { "ip", "-n", prefix .. name, "link", "add", args.name, "index", args.index }
  end
  if args.mtu then
    table.move({ "mtu", args.mtu }, 1, 2, #words_ + 1, words_)
  end
  table.move({ "type", args.type }, 1, 2, #words_ + 1, words_)
  local peer = args.peer
  if peer then
    table.move({ "peer", "name", peer.name, "index", peer.index, "numtxqueues", 1, "numrxqueues", 1, "netns",
      prefix .. peer.node }, 1, 12, #words_ + 1, words_)
    if peer.mtu then
      table.move({ "mtu", peer.mtu }, 1, 2, #words_ + 1, words_)
    end
  end
  local lines = { line(table.unpack(words_)) }
  for _, side in ipairs { { name, args }, peer and { peer.node, peer } or nil } do
    for _, alt in ipairs(side[2].altnames or {}) do
      lines[#lines + 1] = line("ip", "-n", prefix .. side[1], "link", "property", "add", "dev", side[2].name, "altname",
        alt)
    end
  end
  if args.addrgenmode then
    lines[#lines + 1] = line("ip", "-n", prefix .. name, "link", "set", args.name, "addrgenmode", args.addrgenmode)
  end
  return lines
end

local function route_command(step, args, names, prefix)
  local words_ = { "ip", "-n", prefix .. step.name, args.family == "inet6" and "-6" or "-4", "route", "add", args.dst }
  local function hop(h)
    for _, word in ipairs { "via", h.via, "dev", names[h.dev] } do
      words_[#words_ + 1] = word
    end
  end
  if args.via then
    hop(args)
  end
  if args.metric then
    table.move({ "metric", args.metric }, 1, 2, #words_ + 1, words_)
  end
  for _, h in ipairs(args.nexthops or {}) do
    words_[#words_ + 1] = "nexthop"
    hop(h)
  end
  return line(table.unpack(words_))
end

local function config_command(step, o, names, prefix)
  local args, ns = o.args, prefix .. step.name
  if o.noun == "route" then
    return route_command(step, args, names, prefix)
  elseif o.noun == "addr" then
    return line("ip", "-n", ns, "addr", "add", args.address, "dev", names[args.dev], args.nodad and "nodad" or nil)
  end
  local words_ = { "ip", "-n", ns, "link", "set", names[args.dev] }
  for _, pair in ipairs { { "master", args.master and names[args.master] }, { "addrgenmode", args.addrgenmode } } do
    if pair[2] then
      table.move(pair, 1, 2, #words_ + 1, words_)
    end
  end
  words_[#words_ + 1] = args.up and "up" or nil
  return line(table.unpack(words_))
end

--- The commands that a person would type to build the same network.
-- @tparam[opt=""] string prefix what stands before the namespaces' names
-- @treturn {string,...} lines of a POSIX shell script
-- @usage for _, command in ipairs(t:plan():commands()) do print(command) end
function Plan:commands(prefix)
  prefix = prefix and prefix .. "." or ""
  local out = {}
  for _, step in ipairs(self.steps) do
    out[#out + 1] = line("ip", "netns", "add", prefix .. step.name)
    for _, name in ipairs(words.sorted(step.sysctls)) do
      out[#out + 1] = line("ip", "netns", "exec", prefix .. step.name, "sysctl", "-qw",
        name .. "=" .. tostring(step.sysctls[name]))
    end
  end
  for _, step in ipairs(self.steps) do
    for _, o in ipairs(step.links) do
      for _, text in ipairs(link_command(step.name, o.args, prefix)) do
        out[#out + 1] = text
      end
    end
  end
  for _, step in ipairs(self.steps) do
    local names = names_of(step)
    for _, o in ipairs(step.config) do
      out[#out + 1] = config_command(step, o, names, prefix)
    end
    for _, impair in ipairs(step.impair) do
      out[#out + 1] = line("tc", "-n", prefix .. step.name, "qdisc", "add", "dev", impair.iface.name, "root",
        table.unpack(plan.tc_words(impair.qdisc)))
    end
    for _, ruleset in ipairs { step.nft or false, step.firewall or false } do
      if ruleset then
        out[#out + 1] = ("ip netns exec %s nft -f - <<'EOF'\n%sEOF"):format(quote(prefix .. step.name),
          ruleset:gsub("\n?$", "\n"))
      end
    end
    for _, process in ipairs(step.run or {}) do
      out[#out + 1] = line("ip", "netns", "exec", prefix .. step.name, table.unpack(process.argv)) .. " &"
    end
  end
  return out
end

--- The plan as a shell script.
function Plan:__tostring()
  return "#!/bin/sh\nset -e\n" .. table.concat(self:commands(), "\n") .. "\n"
end

plan.methods = Plan

return plan
