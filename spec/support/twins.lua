--- The check of a noun: what we make, what `ip` makes, what the command that we say makes, and what is made from
-- our list are the same, as `ip -j -d` sees them and as we list them.
--
--    twins.describe {
--      noun = "route",
--      show = { "-4 route show table all", "-6 route show table all" },
--      prepare = function(ns, name) ... end,             -- the same ground for all three
--      cases = {
--        { { dst = "10.9.0.0/16", via = "10.0.0.2" }, "route add 10.9.0.0/16 via 10.0.0.2" },
--        { {...}, "...", needs = "nexthop-resilient", name = "..." },
--        { {...}, "...", root = "name other users" }, -- skipped without root, which that needs
--      },
--    }
local busted = require "busted"
local commands = require "netns.command"
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"

local twins = {}

local function without(row, volatile)
  local copy = {}
  for key, value in pairs(row) do
    copy[key] = value
  end
  for _, key in ipairs(volatile) do
    copy[key] = nil
  end
  return copy
end

-- A text that is the same for equal values: rows are compared without regard to their order.
local function canonical(value)
  if type(value) ~= "table" then
    return type(value) .. ":" .. tostring(value)
  end
  local keys, parts = {}, {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for i, key in ipairs(keys) do
    parts[i] = tostring(key) .. "=" .. canonical(value[key])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function canonical_rows(rows, volatile)
  local texts = {}
  for i, row in ipairs(rows) do
    texts[i] = canonical(without(row, volatile))
  end
  table.sort(texts)
  return texts
end

-- The same rows; what is compared, and shown on failure, is only what differs.
local function assert_same_rows(expected, got, volatile, what)
  local a, b = canonical_rows(expected, volatile), canonical_rows(got, volatile)
  local only_a, only_b, seen = {}, {}, {}
  for _, text in ipairs(a) do
    seen[text] = (seen[text] or 0) + 1
  end
  for _, text in ipairs(b) do
    if (seen[text] or 0) > 0 then
      seen[text] = seen[text] - 1
    else
      only_b[#only_b + 1] = text
    end
  end
  for _, text in ipairs(a) do
    if seen[text] > 0 then
      seen[text] = seen[text] - 1
      only_a[#only_a + 1] = text
    end
  end
  if #only_a + #only_b > 0 then
    error(("%s differ:\nexpected %s\ngot      %s"):format(what, table.concat(only_a, "\n"),
      table.concat(only_b, "\n")), 0)
  end
end

-- Rows of `after` that are not in `before`.
local function added(before, after, volatile)
  local seen, new = {}, {}
  for _, row in ipairs(before) do
    seen[canonical(without(row, volatile))] = true
  end
  for _, row in ipairs(after) do
    if not seen[canonical(without(row, volatile))] then
      new[#new + 1] = row
    end
  end
  return new
end

-- A namespace with the same ground as every other.
local function ground(spec, name)
  local ns = netns.new(name)
  local ok, err = pcall(spec.prepare, ns, name)
  if not ok then
    ns:close()
    error(err, 0)
  end
  return ns
end

-- What `ip` (or spec.tool) shows; `{ show, text = true }` prints no JSON: its lines.
local function seen_by_ip(spec, name)
  local seen, tool = {}, spec.tool or "ip"
  for _, show in ipairs(spec.show) do
    if type(show) == "table" then
      for line in sh[tool](name, "-d " .. show[1]):gmatch "[^\n]*%S[^\n]*" do
        seen[#seen + 1] = { text = line }
      end
    else
      for _, row in ipairs(sh[tool](name, "-j -d " .. show)) do
        seen[#seen + 1] = row
      end
    end
  end
  return spec.ip_rows and spec.ip_rows(seen) or seen
end

-- What we list, but for what the spec is not about.
local function listed(spec, ns)
  local rows = {}
  for _, row in ipairs(ns[spec.noun]:list(spec.filter)) do
    if not (spec.ignore and spec.ignore(row)) then
      rows[#rows + 1] = row
    end
  end
  return rows
end

local function check(spec, args, command, case)
  local run = (spec.tool or "ip") .. " -n "
  local volatile, ip_volatile = spec.volatile or {}, spec.ip_volatile or {}
  local ours <close> = ground(spec, "ours")
  local theirs <close> = ground(spec, "theirs")
  local copy <close> = ground(spec, "copy")
  local before = listed(spec, ours)
  for _, setup in ipairs(case.setup or {}) do
    sh.run((spec.setup_tool or "ip") .. " -n ours " .. setup)
    sh.run((spec.setup_tool or "ip") .. " -n theirs " .. setup)
    sh.run((spec.setup_tool or "ip") .. " -n copy " .. setup)
  end
  if case.setup then
    before = listed(spec, ours)
  end
  ours[spec.noun]:add(args)
  sh.run(run .. "theirs " .. command)
  for _, more in ipairs(type(case.after) == "table" and case.after or { case.after }) do
    sh.run(run .. "theirs " .. more)
  end
  assert(#seen_by_ip(spec, "ours") > 0)
  assert_same_rows(seen_by_ip(spec, "theirs"), seen_by_ip(spec, "ours"), ip_volatile, "ip's and ours, seen by ip,")
  assert_same_rows(listed(spec, theirs), listed(spec, ours), volatile, "ip's and ours, listed,")
  local new = added(before, listed(spec, ours), volatile)
  busted.assert.is_true(#new > 0, "the list shows nothing new")
  for _, row in ipairs(new) do
    if not (spec.made_by_kernel and spec.made_by_kernel(row)) then
      copy[spec.noun]:add(row)
    end
  end
  if not (case.no_command or spec.no_command) then
    local told <close> = ground(spec, "told") -- luacheck: ignore
    for _, setup in ipairs(case.setup or {}) do
      sh.run((spec.setup_tool or "ip") .. " -n told " .. setup)
    end
    for _, line in ipairs(commands.of(commands.context "told", spec.noun, "add", args)) do
      sh.run(line)
    end
    assert_same_rows(seen_by_ip(spec, "ours"), seen_by_ip(spec, "told"), ip_volatile, "ours and the command's")
  end
  assert_same_rows(listed(spec, ours), listed(spec, copy), volatile, "the list and its copy's")
  assert_same_rows(seen_by_ip(spec, "ours"), seen_by_ip(spec, "copy"), ip_volatile, "ours and its copy, seen by ip,")
end

--- One test for each case.
-- @tparam table spec `noun`, `show`, `prepare`, `cases`; optional `filter` (for our list), `ignore(row)` (of our
--   list), `volatile` (our keys that differ by nature), `ip_volatile` (ip's), `made_by_kernel(row)` (not to be added),
--   `ip_rows(rows)` (make rows that can be compared of what ip says), `tool` (instead of "ip"), `setup_tool`;
--   an entry of `show` that prints no JSON is `{ words, text = true }`
function twins.describe(spec)
  busted.describe(("ns.%s: we, %s and a list given to add make the same of"):format(spec.noun,
    spec.tool or "ip"), function()
    for _, case in ipairs(spec.cases) do
      busted.it(case.name or case[2], function()
        if case.needs then
          features.need(table.unpack(type(case.needs) == "table" and case.needs or { case.needs }))
        end
        if case.root then
          features.need_root(case.root)
        end
        check(spec, case[1], case[2], case)
      end)
    end
  end)
end

--- A veth pair e0 (up, addressed, in the namespace) and p0 (up, beside it), with fixed link addresses.
function twins.pair(ns)
  ns.link:add {
    name = "e0",
    type = "veth",
    up = true,
    address = "02:00:00:00:00:01",
    addrgenmode = "none",
    peer = { name = "p0", up = true, address = "02:00:00:00:00:02", addrgenmode = "none" },
  }
  ns.link:set { name = "lo", up = true }
  ns.addr:add { dev = "e0", address = "10.0.0.1/24" }
  ns.addr:add { dev = "e0", address = "fd00::1/64", nodad = true }
  sh.eventually(function() -- the kernel makes the address its own in a work of its own
    return ns.route:get("fd00::1").type == "local"
  end)
end

return twins
