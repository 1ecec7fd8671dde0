-- Random descriptions: they come up, agree with themselves, survive drift, and become each other.
-- NETNS_SEED repeats a run; NETNS_ROUNDS says how many (default 40).
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

local seed = tonumber(os.getenv "NETNS_SEED" or "") or os.time()
local rounds = tonumber(os.getenv "NETNS_ROUNDS" or "") or 40

-- Routers in a connected graph, switches with hosts, hosts on links of their own.
local function random_topology(random)
  local t = topology.new "random"
  local routers, switches = random(1, 5), random(0, 2)
  for i = 1, routers do
    local r = t:router("r" .. i)
    if i > 1 then
      r:connect("r" .. random(1, i - 1), { cost = random(1, 3), mtu = random(0, 1) == 1 and 1400 or nil })
    end
  end
  for _ = 1, random(0, 2) do -- more ways, so that there are equal ones
    local a, b = random(1, routers), random(1, routers)
    if a ~= b then
      t:node("r" .. a):connect("r" .. b)
    end
  end
  local hosts = 0
  local function host()
    hosts = hosts + 1
    return t:host((random(0, 1) == 1 and "a-host-with-a-long-name-" or "h") .. hosts)
  end
  for i = 1, switches do
    t:switch("s" .. i)
    t:node("r" .. random(1, routers)):attach("s" .. i)
    for _ = 1, random(0, 3) do
      host():attach("s" .. i)
    end
  end
  for _ = 1, random(0, 2) do
    host():connect("r" .. random(1, routers))
  end
  return t
end

local function random_drift(random, lab)
  local names = lab:names()
  for _ = 1, random(1, 4) do
    local ns = lab:node(names[random(1, #names)])
    local links = ns.link:list()
    local link = links[random(1, #links)]
    local what = random(1, 5)
    pcall(function()
      if what == 1 then
        ns.link:set { dev = link.name, up = false }
      elseif what == 2 and link.name ~= "lo" then
        ns.link:del(link.name)
      elseif what == 3 then
        ns.addr:flush { dev = link.name }
      elseif what == 4 then
        ns.route:flush()
      else
        ns.route:add { dst = "198.51.100.0/24", type = "blackhole" }
      end
    end)
  end
end

-- What a description may say besides, here and there.
local function random_extras(random, t)
  local names = {}
  for name, node in pairs(t.data.nodes) do
    if node.kind ~= "switch" then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  local function some()
    return t:node(names[random(1, #names)])
  end
  for _ = 1, random(0, 4) do
    local what, node = random(1, 7), some()
    if what == 1 then
      node:sysctl { ["net.ipv4.ip_default_ttl"] = random(60, 70) }
    elseif what == 2 then
      node:sysctl { ["net.ipv4.conf.default.arp_ignore"] = random(0, 1), ["net.ipv4.conf.all.log_martians"] = true }
    elseif what == 3 then
      node:firewall(("table inet f%d {\n chain c {\n type filter hook input priority 0; policy accept;\n "
        .. "tcp dport %d counter drop\n }\n}\n"):format(random(1, 2), random(1, 3)))
    elseif what == 4 then
      t.data.nodes[node.name].rules = { { priority = random(10, 12), from = "10.0.0.0/8", table = 100 } }
    elseif what == 5 then
      t.data.nodes[node.name].routes = { { dst = ("198.51.%d.0/24"):format(random(1, 3)), type = "unreachable",
        table = 100, metric = random(1, 3) } }
    elseif what == 6 then
      t.data.nodes[node.name].devices = { { name = "br7", type = "bridge", ageing_time = random(1, 3) * 1000,
        addrgenmode = "none", alias = "spare", up = false } } -- up without ports it has a carrier, or not
    else
      node:run { "sleep", tostring(random(1000, 1002)) }
    end
  end
  return t
end

local own = { "neigh", "fdb", "mdb", "socket", "link.address", "link.broadcast", "link.bridge_id", "link.root_id",
  "link.bridge_slave", "link.operstate", "link.fdb_n_learned",
  "link.carrier" } -- which a bridge without ports keeps, or not: the kernel goes by what it had

-- What makes each port another, or changes by itself.
local volatile_port = { bridge_id = true, root_id = true, mcast_n_groups = true }

local function ports_of(ns)
  local lines = {}
  for _, link in ipairs(ns.link:list()) do
    for key, value in pairs(link.bridge_slave or {}) do
      if not volatile_port[key] then
        lines[#lines + 1] = ("%s %s=%s"):format(link.name, key, tostring(value))
      end
    end
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

local function argvs(ns)
  local list = {}
  for _, pid in ipairs(ns:pids()) do
    local file = io.open(("/proc/%d/cmdline"):format(pid))
    list[#list + 1] = file and file:read "a":gsub("%z", " ")
    if file then
      file:close()
    end
  end
  table.sort(list)
  return table.concat(list, "\n")
end

local function assert_same_labs(lab, fresh, text)
  assert.same(fresh:names(), lab:names(), text)
  for _, name in ipairs(fresh:names()) do
    local a, b = fresh:node(name), lab:node(name)
    local difference
    pcall(sh.eventually, function() -- carriers come and go in a work of the kernel's
      difference = tostring(netns.compare(a, b, { ignore = own }))
      return difference == "no difference"
    end)
    assert.equal("no difference", difference, text .. " " .. name)
    assert.equal(ports_of(a), ports_of(b), text .. " " .. name)
    sh.eventually(function()
      return argvs(a) == argvs(b)
    end, 10, text .. " " .. name .. ": the same processes")
  end
end

describe(("random descriptions (NETNS_SEED=%d)"):format(seed), function()
  -- a generator of our own, as math.random belongs to everybody
  local state = seed
  local function random(low, high)
    state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
    return low + (state >> 33) % (high - low + 1)
  end

  it(("come up, match, survive drift and become each other, %d times"):format(rounds), function()
    local lab, last
    for round = 1, rounds do
      local t = random_topology(random)
      local text = ("round %d"):format(round)
      assert.same({}, t:check())
      if lab and round % 4 ~= 0 then
        lab:apply(t)
      else
        if lab then
          lab:close()
        end
        lab = t:up()
      end
      assert.equal("", tostring(lab:diff()), text)
      for _, family in ipairs { "inet", "inet6" } do
        local matrix = lab:ping_all { family = family }
        assert.is_true(matrix.ok, text .. "\n" .. tostring(matrix) .. "\n" .. tostring(lab))
      end
      random_drift(random, lab)
      lab:repair()
      assert.equal("", tostring(lab:diff()), text .. " after drift")
      last = t
    end
    assert.is_true(lab:ping_all().ok, tostring(last))
    lab:close()
  end)

  it("become each other as if they had been brought up anew", function()
    local lab <close> = random_extras(random, random_topology(random)):up()
    for round = 1, math.max(rounds // 4, 3) do
      local t = random_extras(random, random_topology(random))
      local fresh <close> = t:up()
      lab:apply(t)
      local text = ("round %d"):format(round)
      assert.equal("", tostring(lab:diff()), text)
      assert_same_labs(lab, fresh, text)
      if round % 3 == 0 then -- and when it fails, all is as it was
        local bad = random_extras(random, random_topology(random))
        local names = {}
        for name, node in pairs(bad.data.nodes) do
          names[#names + 1] = node.kind ~= "switch" and name or nil
        end
        table.sort(names)
        bad:node(names[random(1, #names)]):run { "/no/such/program" }
        assert.is_false((pcall(lab.apply, lab, bad)))
        assert_same_labs(lab, fresh, text .. " and back")
      end
    end
  end)
end)
