--- The kernel against the description: what is different, and what mends it.
--
-- Each difference is a finding for people, and behind it a remedy: a function, and its place in the order of mending.
-- @module netns.topology.drift
local expect = require "netns.topology.expect"
local kernel = require "netns.topology.kernel"
local plain = require "netns.plain"
local remedies = require "netns.topology.remedies"
local up = require "netns.topology.up"
local words = require "netns.topology.words"

local drift = {}

local NONE = expect.NONE

local Diff = { __name = "netns.Diff" }

function Diff:__tostring()
  local lines = {}
  for i, finding in ipairs(self) do
    lines[i] = ("%s: %s: expected %s, found %s"):format(finding.node, finding.what, tostring(finding.expected),
      tostring(finding.found))
  end
  return table.concat(lines, "\n")
end

-- Links ----------------------------------------------------------------------------------------------------------

local function shown(value)
  if value == nil then
    return NONE
  elseif type(value) == "table" and value ~= NONE then
    return #value > 0 and table.concat(value, " ") or kernel.text(value)
  end
  return value
end

local function compare_prop(link, key, wanted, found, add)
  if key == "altnames" and found then
    found = table.move(found, 1, #found, 1, {})
    table.sort(found)
  end
  if wanted == NONE or wanted == nil then
    if found ~= nil and found ~= false then
      add(("link %s %s"):format(link.name, key), "none", shown(found), remedies.link_prop(link, key, nil, found))
    end
  elseif not plain.equal(found, wanted) and not (wanted == false and found == nil) then
    add(("link %s %s"):format(link.name, key), shown(wanted), shown(found),
      remedies.link_prop(link, key, wanted, found))
  end
end

local function compare_port(link, wanted, found, add)
  for _, key in ipairs(words.sorted(wanted)) do
    if not plain.equal(wanted[key], found[key]) then
      add(("link %s port %s"):format(link.name, key), shown(wanted[key]), shown(found[key]),
        remedies.port_prop(link, key, wanted[key]))
    end
  end
end

-- Where no spanning tree is made, a port that was left waiting for one would wait on.
local function compare_port_state(link, row, have, add)
  for _, bridge in pairs(have.links) do
    if bridge.name == row.master and bridge.stp_state == 0 and bridge.up and row.operstate == "up"
      and row.bridge_slave and row.bridge_slave.state ~= "forwarding" then
      add(("link %s port state"):format(link.name), "forwarding", row.bridge_slave.state,
        remedies.port_prop(link, "state", "forwarding"))
    end
  end
end

local function compare_link(link, row, have, add)
  for _, key in ipairs(words.sorted(link.props)) do
    if key ~= "bridge_slave" then
      compare_prop(link, key, link.props[key], row[key], add)
    end
  end
  for _, key in ipairs(link.whole and words.sorted(row) or {}) do -- of what nothing is said of, there is nothing
    if link.props[key] == nil and not kernel.volatile[key] then
      compare_prop(link, key, nil, row[key], add)
    end
  end
  if link.props.bridge_slave and link.props.master == row.master then
    compare_port(link, link.props.bridge_slave, row.bridge_slave or {}, add)
  end
  if link.whole and row.master then
    compare_port_state(link, row, have, add)
  end
end

local function compare_links(want, have, add)
  for _, index in ipairs(words.sorted(want.links)) do
    local link, row = want.links[index], have.links[index]
    if not row then
      add("link " .. link.name, "present", "missing", remedies.lost_link(link))
    elseif link.props.type and row.type ~= link.props.type then
      add(("link %s type"):format(link.name), link.props.type, shown(row.type), remedies.lost_link(link))
    else
      compare_link(link, row, have, add)
    end
  end
  for _, index in ipairs(words.sorted(have.links)) do
    if not want.links[index] then
      add("link " .. have.links[index].name, "missing", "present", remedies.extra_link(have.links[index]))
    end
  end
end

-- Rows -----------------------------------------------------------------------------------------------------------

-- Properties of an address that its key does not say.
local addr_props = { "scope", "label", "broadcast", "noprefixroute", "home", "metric" }

local function compare_addr(key, fact, row, add)
  for _, name in ipairs(addr_props) do
    local wanted = fact.row[name]
    if wanted ~= nil and wanted ~= row[name] and wanted ~= "+" then
      add(("addr %s %s"):format(key, name), shown(wanted), shown(row[name]), remedies.row("addr", fact, true))
    end
  end
end

-- Link-local addresses that the kernel makes by itself, where it is to: none of ours.
local function without_own(want, have)
  local makes, rows = {}, {}
  for _, link in pairs(have.links) do
    makes[link.name] = link.addrgenmode ~= "none"
  end
  for key, row in pairs(have.addr) do
    if want.addr[key] or not (row.family == "inet6" and row.scope == "link" and makes[row.dev]) then
      rows[key] = row
    end
  end
  return rows
end

local function compare_rows(noun, want, have, add)
  for _, key in ipairs(words.sorted(want)) do
    local fact = want[key]
    if have[key] then
      if noun == "addr" then
        compare_addr(key, fact, have[key], add)
      end
    elseif not fact.excused then
      add(noun .. " " .. key, "present", "missing", remedies.row(noun, fact))
    end
  end
  for _, key in ipairs(words.sorted(have)) do
    if not want[key] then
      add(noun .. " " .. key, "missing", "present", remedies.extra_row(noun, have[key]))
    end
  end
end

local function compare_single(ns, want, add)
  for _, op in ipairs(want.single) do
    if not remedies.is_there(ns, op) then
      local a = op.args
      add(("%s %s"):format(op.noun, a.id or ("%s dev %s"):format(a.lladdr or a.vid, a.dev)), "present", "missing",
        remedies.single(op))
    end
  end
end

-- The kernel's own routes to what is on a link come with the address: make that anew.
local function compare_connected(want, have, add)
  for _, key in ipairs(words.sorted(want.connected)) do
    local fact = want.connected[key]
    if not have.connected[key] and have.addr[fact.key] and not fact.excused then
      add("route " .. key, "present", "missing", remedies.row("addr", fact.address, true))
    end
  end
end

-- The rest -------------------------------------------------------------------------------------------------------

local function sysctl_text(value)
  return tostring(value == true and 1 or value == false and 0 or value):gsub("%s+", " ")
end

local function compare_sysctls(ns, want, have, add)
  local there = {}
  for _, row in pairs(have.links) do
    there[row.name] = true
  end
  for _, name in ipairs(words.sorted(want)) do
    local _, link = words.sysctl(name)
    if link and not there[link] then
      goto continue -- it comes with the link
    end
    local ok, now = pcall(function()
      return ns.sysctl[name]
    end)
    if not ok or sysctl_text(now) ~= sysctl_text(want[name]) then
      add("sysctl " .. name, want[name], ok and now or "missing", remedies.sysctl(name, want[name]))
    end
    ::continue::
  end
end

-- Lines that only one of two texts has, in one line each; "nothing" where there is none.
local function lines_apart(a, b)
  local function count(text, by)
    local lines = {}
    for line in text:gmatch "[^\n]+" do
      lines[line] = (lines[line] or 0) + by
    end
    return lines
  end
  local function only_in(text, others)
    local list = {}
    for line in text:gmatch "[^\n]+" do
      if (others[line] or 0) > 0 then
        others[line] = others[line] - 1
      else
        list[#list + 1] = line:match "^%s*(.-)%s*$"
      end
    end
    return #list > 0 and table.concat(list, " | ") or "nothing"
  end
  return only_in(a, count(b, 1)), only_in(b, count(a, 1))
end

local function compare_nft(want, have, add)
  if want.nft and want.nft ~= have.nft then
    local wanted, found = lines_apart(want.nft, have.nft)
    if wanted == found then -- the same lines in another order
      found = "another order"
    end
    add("nft", wanted, found, remedies.nft(want))
  end
end

local function compare_qdiscs(want, have, add)
  for _, index in ipairs(words.sorted(want.qdisc)) do
    local item, link = want.qdisc[index], have.links[index]
    local wanted, found = item.facts, link and have.qdisc[link.name]
    local kind, other = wanted and wanted.kind or "noqueue", found and found.kind or "noqueue"
    if link and kind ~= other then
      add("qdisc " .. item.name, kind, other, remedies.qdisc(item))
    elseif link and wanted and not plain.equal(wanted, found) then
      for _, key in ipairs(words.sorted(wanted)) do
        if not plain.equal(wanted[key], found[key]) then
          add(("qdisc %s %s"):format(item.name, key), shown(wanted[key]), shown(found[key]), remedies.qdisc(item))
        end
      end
      for _, key in ipairs(words.sorted(found)) do
        if wanted[key] == nil then
          add(("qdisc %s %s"):format(item.name, key), NONE, shown(found[key]), remedies.qdisc(item))
        end
      end
    end
  end
end

local function compare_processes(state, step, add)
  local running = {}
  for _, item in ipairs(state.spawned or {}) do
    if item.node == step.name then
      running[item.key] = running[item.key] or {}
      table.insert(running[item.key], item)
    end
  end
  for i, process in ipairs(state.spawned and step.run or {}) do -- who attached to a lab has not started its processes
    local item = table.remove(running[up.process_key(process)] or {}, 1)
    local status = item and item.process:wait(0)
    if not item or (status and not status.ok) then
      local why = not item and "missing" or status.signal and "killed by SIG" .. status.signal
        or "exit status " .. tostring(status.code)
      add("run " .. table.concat(process.argv, " "), "running", why, remedies.process(i, item))
    end
  end
end

-- All ------------------------------------------------------------------------------------------------------------

--- What a step's processes lack: add(what, expected, found, remedy) for each.
drift.compare_processes = compare_processes

local function diff_node(state, step, want, opts, findings)
  local ns = state.spaces[step.name]
  local have = kernel.read(ns, { link_local = opts.want or state.plan.model.families[6], only_links = opts.links })
  local function add(what, wanted, found, remedy)
    local finding = { node = step.name, what = what, expected = wanted, found = found }
    findings[#findings + 1] = finding
    findings.remedies[finding] = remedy
  end
  compare_links(want, have, add)
  compare_rows("addr", want.addr, opts.want and have.addr or without_own(want, have), add)
  compare_connected(want, have, add)
  compare_rows("route", want.route, have.route, add)
  if opts.links then
    return
  end
  compare_single(ns, want, add)
  compare_rows("rule", want.rule, have.rule, add)
  compare_rows("neigh", want.neigh, have.neigh, add)
  compare_sysctls(ns, want.sysctl, have, add)
  compare_qdiscs(want, have, add)
  if opts.nft ~= false then
    compare_nft(want, have, add)
  end
  if opts.processes ~= false then
    compare_processes(state, step, add)
  end
end

--- Look for differences.
-- @tparam table state of a lab
-- @tparam table base netns.topology.kernel.defaults
-- @tparam[opt] table opts `nodes`: a set of names; `links`: links, addresses and routes only; `want`: what is wanted of
--   a node, given its step (otherwise what the plan says); `nft`, `processes`: false leaves them out
-- @treturn {table,...} findings; `remedies` by finding: `{ order =, fix = function(state, step, ns) }`
function drift.examine(state, base, opts)
  opts = opts or {}
  local findings = setmetatable({ remedies = {} }, Diff)
  for _, step in ipairs(state.plan.steps) do
    if state.spaces[step.name] and not (opts.nodes and not opts.nodes[step.name]) then
      local want = opts.want and opts.want(step) or not opts.want and expect.of(step, base)
      if want then
        diff_node(state, step, want, opts, findings)
      end
    end
  end
  return findings
end

--- Every difference between the kernel and the plan.
function drift.diff(state)
  local base = kernel.defaults()
  local _ <close> = base.ns
  local findings = drift.examine(state, base)
  findings.remedies = nil
  return findings
end

return drift
