--- Impairments: `link:impair`, the troubles of a long way on a link, in one call.
-- @module netns.impair
local check = require "netns.check"
local core = require "netns.core"

local impair = {}

-- The kinds of qdisc that an impairment is made of.
local kinds = { netem = true, tbf = true }

local BURST = 0.01 -- seconds at the rate that may go at once,
local LEAST_BURST = 3200 -- but at least two large packets, in bytes
local LATENCY = "50ms" -- how long a packet may wait for the rate

local function known_keys()
  local known = {}
  for key, row in pairs(core.schema()["qdisc netem"]) do
    known[key] = not row.readonly or key == "rate" or nil
  end
  known.direction, known.peer = true, true
  return known
end

--- The qdisc that impairs what leaves a link; nil where nothing does.
-- A rate alone is a token bucket (tbf), which drops what would wait longer than 50 ms; everything else is netem.
-- @tparam table opts keys of `link:impair`
-- @treturn ?table for `qdisc:replace`
function impair.qdisc(opts)
  local q, other = {}, false
  for key, value in pairs(opts) do
    if key ~= "direction" and key ~= "peer" then
      q[key] = value
      other = other or key ~= "rate"
    end
  end
  if next(q) == nil then
    return nil
  elseif other then
    q.kind = "netem"
    return q
  end
  return { kind = "tbf", rate = q.rate, burst = impair.burst(core.units("rate", q.rate) or 0), latency = LATENCY }
end

--- The bytes that may go at once at a rate in bit/s.
function impair.burst(rate)
  return math.max(math.floor(rate * BURST / 8), LEAST_BURST)
end

--- The qdisc as the root of a link, for `qdisc:replace`.
function impair.at(dev, qdisc)
  local at = { dev = dev, parent = "root" }
  for key, value in pairs(qdisc) do
    at[key] = value
  end
  return at
end

--- Take away what queues for a link, so that the kernel's own queue comes back.
-- @tparam Namespace ns
-- @tparam string dev
-- @tparam[opt] {[string]=boolean,...} only kinds that are taken away; without, any
function impair.clear(ns, dev, only)
  local at = { dev = dev, parent = "root" }
  local found = ns.qdisc:get(at)
  if found and found.handle and (not only or only[found.kind]) then
    ns.qdisc:del(at)
  end
end

--- Impair what leaves a link: nil takes the impairment away, whatever else is there stays.
-- @tparam Namespace ns
-- @tparam string dev
-- @tparam ?table qdisc of `impair.qdisc`
function impair.apply(ns, dev, qdisc)
  if qdisc then
    ns.qdisc:replace(impair.at(dev, qdisc))
  else
    impair.clear(ns, dev, kinds)
  end
end

-- Is that the namespace that has the id `nsid` in ns?
local function is_it(ns, nsid, candidate)
  local ok, id = pcall(core.nsid, ns, candidate)
  return ok and id == nsid
end

-- The namespace that has the id `nsid` in ns: one that this program has a handle of, or one with a name.
local function namespace_of(ns, nsid)
  for handle in pairs(core.handles()) do
    if core.is_open(handle) and is_it(ns, nsid, handle) then
      return handle
    end
  end
  for i, name in ipairs { false, table.unpack(core.list()) } do
    local ok, handle = pcall(i == 1 and core.current or core.open, name or nil)
    if ok and is_it(ns, nsid, handle) then
      return handle
    elseif ok then
      handle:close()
    end
  end
end

--- The other end of a veth, netkit or vxcan.
-- @tparam Link link
-- @treturn ?Link nil where it has none, or in a namespace that this program has no handle of
-- @treturn ?string why
function impair.peer(link)
  local row = link:get()
  local ns = link.netns
  if row.type ~= "veth" and row.type ~= "netkit" and row.type ~= "vxcan" then
    return nil, ("is a %s and has no other end"):format(row.type or "device")
  elseif row.link_netnsid == nil then
    return ns.link:get(row.link)
  end
  local there = namespace_of(ns, row.link_netnsid)
  local peer = there and there.link:get(row.link_index)
  if peer then
    return peer
  end
  return nil, "has its other end in a namespace that this program has no handle of: give it as peer ="
end

local directions = { both = true, egress = true, ingress = true }

local function arguments(link, opts)
  check.object(check.object(link, "Link", "link impair").netns, "Namespace", "link impair")
  if opts == nil or opts == false then
    opts = {}
  elseif type(opts) ~= "table" then
    check.refuse("link impair: expected a table, or nil to take it away, got %s", check.show(opts))
  end
  check.keys(opts, known_keys(), "link impair")
  opts = check.plain(opts)
  if opts.direction ~= nil and not directions[opts.direction] then
    check.refuse('link impair: direction must be "both", "egress" or "ingress", got %s', check.show(opts.direction))
  elseif opts.peer ~= nil then
    check.object(opts.peer, "Link", "link impair: peer")
  end
  return opts
end

-- The links whose egress is meant.
local function ends(link, opts, removing)
  local direction = opts.direction
  if direction == "egress" then
    return { link }
  end
  local peer, why = opts.peer, nil
  if not peer then
    peer, why = impair.peer(link)
  end
  if not peer and (direction or not why:find "no other end$" and not removing) then
    check.refuse("link impair: %s %s", link.name, why)
  end
  return direction == "ingress" and { peer } or { link, peer }
end

--- Impair a link, as a long way would: delay, loss, a rate.
--
-- Both directions by default: what leaves this end and what leaves the other end of a veth. All values are one-way:
-- `delay = "10ms"` makes a round trip 20 ms longer. Called again it replaces what it made before; without
-- anything, or with nil or false, it takes it away. It owns the root qdisc of the ends it impairs.
--
-- `direction`: "both" (default), "egress" (only what leaves this end), "ingress" (only what arrives here: the egress
-- of the other end). A link that has no other end is impaired in its egress. The other end is found in namespaces
-- that this program has handles of or that have names; otherwise `peer` is a Link.
-- @function Link:impair
-- @tparam ?table opts `delay` each packet's one-way delay ("10ms" or seconds), `jitter` by how much that varies,
--   `loss` ("1%" or 0.01), `rate` ("10mbit" or bit/s), `duplicate`, `reorder`, `corrupt` (shares), `seed` (an
--   integer: the same losses again), `direction`, `peer`, and whatever else netem takes: netns.help "qdisc netem"
-- @treturn Link itself
-- @raise netns.Error; an argument error for what cannot be
-- @usage link:impair { delay = "20ms", jitter = "2ms", loss = "0.5%", rate = "10mbit" }
-- @usage link:impair { loss = "100%", direction = "ingress" }
-- @usage link:impair(nil)
function core.Link.impair(link, opts)
  opts = arguments(link, opts)
  local qdisc = impair.qdisc(opts)
  for _, at in ipairs(ends(link, opts, qdisc == nil)) do
    check.relay(impair.apply, at.netns, at.name, qdisc)
  end
  return link
end

return impair
