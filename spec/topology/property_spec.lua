-- Random descriptions: they come up, agree with themselves, survive drift, and become each other.
-- NETNS_SEED repeats a run; NETNS_ROUNDS says how many (default 40).
require("spec.support.leaks").gate()
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
end)
