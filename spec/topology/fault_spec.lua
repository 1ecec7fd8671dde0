-- Each single operation of up, apply and repair made to fail in turn: nothing is left, everything is as it was.
-- NETNS_FAULTS=1 tries all of them; by default it is one of three, others in each run.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local core = require "netns.core"
local netns = require "netns"
local topology = require "netns.topology"

-- A bit of everything.
local function small()
  local t = topology.new "faults"
  local lan, gw, isp = t:switch "lan", t:router "gw", t:router "isp"
  gw:attach(lan):connect(isp):nat { out = isp }
  t:host("pc", {
    devices = { { name = "br1", type = "bridge", altnames = { "spare" }, addrgenmode = "none" },
      { name = "v1", type = "veth", master = "br1", addrgenmode = "none",
        peer = { name = "v2", addrgenmode = "none" } } },
    addresses = { { dev = "br1", address = "10.70.0.1/24" } },
    rules = { { priority = 100, from = "10.0.0.0/24", table = 100 } },
    routes = { { dst = "192.0.2.0/24", type = "unreachable", table = 100 } },
  }):attach(lan):run({ "sleep", "1000" }):sysctl { ["net.ipv4.ip_default_ttl"] = 60 }
  return t
end

local function large()
  local t = small()
  t:host("other"):attach "lan"
  t:node("pc"):connect "isp"
  t:node("gw"):firewall "table inet f {\n chain c {\n type filter hook input priority 0;\n }\n}"
  t:node("gw"):sysctl { ["net.ipv4.conf.default.arp_ignore"] = 1 }
  local pc = t.data.nodes.pc
  pc.devices[1].ageing_time, pc.rules[1].priority, pc.routes[1].metric = 1000, 90, 9
  pc.nexthops = { { id = 5, via = "10.70.0.9", dev = "br1", onlink = true }, { id = 6, blackhole = true } }
  pc.fdb = { { dev = "v1", lladdr = "02:00:00:00:00:99", master = true, state = "static" } }
  pc.neighbours = { { dev = "br1", dst = "10.70.0.9", lladdr = "02:00:00:00:00:09" } }
  pc.run = { { argv = { "sleep", "1001" } } }
  return t
end

-- Everything that changes something, and fails at its n-th call.
local writers = {
  { core, "new" }, { core, "sysctl_write" }, { core, "nft_run" }, { core.Namespace, "batch" },
  { core.Namespace, "spawn" }, { core.Noun, "add" }, { core.Noun, "set" }, { core.Noun, "del" },
  { core.Noun, "replace" },
}

local stride = tonumber(os.getenv "NETNS_FAULTS" or "") or 3
local first = os.time() % stride

local FAULT = "this operation was made to fail"

-- Call fn with the n-th change failing; whether it did fail, and what fn gave.
local function with_fault(n, fn)
  local originals, calls = {}, 0
  for i, writer in ipairs(writers) do
    local original = writer[1][writer[2]]
    originals[i] = original
    writer[1][writer[2]] = original and function(...)
      calls = calls + 1
      if calls == n then
        error(FAULT, 0)
      end
      return original(...)
    end
  end
  local result = table.pack(pcall(fn))
  for i, writer in ipairs(writers) do
    writer[1][writer[2]] = originals[i]
  end
  return calls >= n, table.unpack(result, 1, result.n)
end

local ignored = { "link.operstate", "link.fdb_n_learned", "link.bridge_id", "link.root_id", "fdb", "mdb", "neigh",
  "socket" }

local function dump(lab)
  local all = {}
  for _, name in ipairs(lab:names()) do
    all[name] = lab:node(name):dump()
    for _, link in ipairs(all[name].link) do
      if link.bridge_slave then
        link.bridge_slave.mcast_n_groups = nil
      end
    end
  end
  return all
end

local function assert_as_before(before, lab, text)
  local after = dump(lab)
  for name, facts in pairs(before) do
    assert.is_not_nil(after[name], text .. " " .. name)
    local found = netns.compare(facts, after[name], { ignore = ignored })
    assert.equal("no difference", tostring(found), text .. " " .. name)
  end
  for name in pairs(after) do
    assert.is_not_nil(before[name], text .. " " .. name)
  end
end

describe("whichever change fails,", function()
  it("up leaves nothing", function()
    local n, failed = first + 1 - stride, true
    while failed do
      n = n + stride
      local t = large()
      local ok, result
      failed, ok, result = with_fault(n, function()
        return t:up { name = "faulty" }
      end)
      assert.equal(not failed, ok, tostring(result))
      if failed then
        assert.matches(FAULT, tostring(result), 1, true)
        assert.same({ {}, {} }, { netns.list(), core.records() }, "change " .. n)
      else
        assert.equal("", tostring(result:diff()))
        result:close()
      end
    end
    assert.is_true(n > 15, "only " .. n)
  end)

  it("apply puts everything back", function()
    local lab <close> = small():up()
    local before = dump(lab)
    local n, failed = first + 1 - stride, true
    while failed do
      n = n + stride
      local ok, result
      failed, ok, result = with_fault(n, function()
        return lab:apply(large())
      end)
      if failed and not ok then
        assert.matches(FAULT, tostring(result), 1, true)
        assert.is_nil(tostring(result):find "going back failed", tostring(result))
        assert_as_before(before, lab, "change " .. n)
        assert.equal("", tostring(lab:diff()), "change " .. n)
      else -- it was one of those that may fail, as what they take away goes by itself
        assert.is_true(ok, tostring(result))
        assert.equal("", tostring(lab:diff()), "change " .. n)
        if failed then
          lab:apply(small())
          before = dump(lab)
        end
      end
    end
    assert.is_true(n > 20, "only " .. n)
    assert.is_true(lab:reach("other", "isp"))
  end)

  it("repair can be called again", function()
    local lab <close> = large():up()
    local n, failed = first + 1 - stride, true
    while failed do
      n = n + stride
      lab.lan.link:get("pc"):del()
      lab.pc.rule:flush()
      lab.gw.nft:run "flush ruleset"
      lab.gw.addr:flush { dev = "eth1" }
      lab.isp.sysctl["net.ipv4.ip_forward"] = 0
      failed = with_fault(n, function()
        return lab:repair()
      end)
      lab:repair()
      assert.equal("", tostring(lab:diff()), "change " .. n)
    end
    assert.is_true(n > 10, "only " .. n)
    assert.is_true(lab:reach("pc", "isp"))
  end)
end)
