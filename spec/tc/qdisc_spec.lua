--- Qdiscs: what we make, what `tc` makes and what is made from our list are the same; units, changes, errors.
require("spec.support.leaks").gate()
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

-- { kind, options, tc's words }: at the root of e0
local function case(kind, options, words, needs)
  local t = { dev = "e0", handle = "7:", kind = kind }
  for key, value in pairs(options) do
    t[key] = value
  end
  return {
    t, "qdisc add dev e0 root handle 7: " .. kind .. " " .. words, needs = needs or "qdisc-" .. kind,
    name = kind .. " " .. words,
  }
end

twins.describe {
  noun = "qdisc",
  tool = "tc",
  show = { "qdisc show" },
  prepare = function(ns) -- down: nothing is sent
    ns.link:add { name = "e0", type = "veth", peer = { name = "p0" } }
  end,
  volatile = { "seed" },
  cases = {
    case("netem", {}, ""),
    case("netem", { delay = "10ms" }, "delay 10ms"),
    case("netem", { delay = 0.04, jitter = "2ms", correlation = 0.25 }, "delay 40ms 2ms 25%"),
    case("netem", { delay = "100ms", jitter = "10ms", distribution = "normal" },
      "delay 100ms 10ms distribution normal"),
    case("netem", { delay = "20ms", jitter = "10ms", distribution = "pareto" }, "delay 20ms 10ms distribution pareto"),
    case("netem", { delay = "20ms", jitter = "10ms", distribution = "paretonormal", limit = 5000 },
      "limit 5000 delay 20ms 10ms distribution paretonormal"),
    case("netem", { delay = 30 }, "delay 30s"),
    case("netem", { loss = "1%" }, "loss 1%"),
    case("netem", { loss = 0.333, loss_correlation = "12.5%", ecn = true }, "loss random 33.3% 12.5% ecn"),
    case("netem", { loss_state = { p13 = "10%" } }, "loss state 10%"),
    case("netem", { loss_state = { p13 = "1%", p31 = "60%", p32 = "5%", p23 = "40%", p14 = "2%" } },
      "loss state 1% 60% 5% 40% 2%"),
    case("netem", { loss_gemodel = { p = "1%", r = "10%", ["1-h"] = "70%", ["1-k"] = "0.1%" } },
      "loss gemodel 1% 10% 70% 0.1%"),
    case("netem", { loss_gemodel = { p = "30%" } }, "loss gemodel 30%"),
    case("netem", { duplicate = "5%" }, "duplicate 5%"),
    case("netem", { corrupt = "0.1%", corrupt_correlation = "3%" }, "corrupt 0.1% 3%"),
    case("netem", { delay = "10ms", reorder = "25%", reorder_correlation = "50%" }, "delay 10ms reorder 25% 50%"),
    case("netem", { delay = "10ms", reorder = "25%", gap = 5 }, "delay 10ms reorder 25% gap 5"),
    case("netem", { rate = "10mbit" }, "rate 10mbit"),
    case("netem", { rate = "5kbit", packet_overhead = 20, cell_size = 100, cell_overhead = 5 },
      "rate 5kbit 20 100 5"),
    case("netem", { rate = "5kbit", packet_overhead = -14 }, "rate 5kbit -14"),
    case("netem", { rate = 100e9 }, "rate 100gbit"),
    case("netem", { slot = { min_delay = "800us", max_delay = "1ms", packets = 6, bytes = 9000 } },
      "slot 800us 1ms packets 6 bytes 9000"),
    case("netem", { slot = { delay = "5ms", jitter = "1ms", packets = 2 }, slot_distribution = "pareto" },
      "slot distribution pareto 5ms 1ms packets 2"),

    case("tbf", { rate = "1mbit", burst = "10k", latency = "50ms" }, "rate 1mbit burst 10k latency 50ms"),
    case("tbf", { rate = 256000, burst = 1540, limit = 3000 }, "rate 256kbit burst 1540 limit 3000"),
    case("tbf", { rate = "10mbit", burst = "20k", limit = "1m", peakrate = "20mbit", mtu = 2000 },
      "rate 10mbit burst 20k limit 1m peakrate 20mbit mtu 2000"),
    case("tbf", { rate = "1mbit", burst = 5000, limit = 10000, overhead = 10, linklayer = "atm" },
      "rate 1mbit burst 5000 limit 10000 overhead 10 linklayer atm"),
    case("tbf", { rate = "40gbit", burst = "1m", limit = "10m" }, "rate 40gbit burst 1m limit 10m"),

    case("htb", {}, ""),
    case("htb", { default = "30" }, "default 30"),
    case("htb", { default = 0xfff, r2q = 5, direct_qlen = 77 }, "default fff r2q 5 direct_qlen 77"),

    case("fq_codel", {}, ""),
    case("fq_codel", { limit = 500, flows = 64, memory_limit = "4m", target = "7ms", interval = "80ms", quantum = 300,
        ecn = false, ce_threshold = "2ms", drop_batch = 5 },
      "limit 500 flows 64 memory_limit 4m target 7ms interval 80ms quantum 300 noecn ce_threshold 2ms drop_batch 5"),

    case("fq", {}, ""),
    case("fq", { limit = 500, flow_limit = 50, quantum = 3000, initial_quantum = 15000, pacing = false,
        maxrate = "1gbit", buckets = 64, refill_delay = "100ms", orphan_mask = 255, low_rate_threshold = "1mbit",
        ce_threshold = "4ms", timer_slack = "20us", horizon = "5s", horizon_drop = false },
      "limit 500 flow_limit 50 quantum 3000 initial_quantum 15000 nopacing maxrate 1gbit buckets 64 "
        .. "refill_delay 100ms orphan_mask 255 low_rate_threshold 1mbit ce_threshold 4ms timer_slack 20us horizon 5s "
        .. "horizon_cap"),
    case("fq_pie", {}, ""),
    case("fq_pie", { limit = 500, flows = 64, target = "20ms", tupdate = "30ms", alpha = 3, beta = 21, quantum = 500,
        memory_limit = "1m", ecn_prob = "20%", ecn = true, bytemode = true, dq_rate_estimator = true },
      "limit 500 flows 64 target 20ms tupdate 30ms alpha 3 beta 21 quantum 500 memory_limit 1m ecn_prob 20 ecn "
        .. "bytemode dq_rate_estimator"),
    case("codel", { limit = 500, target = "6ms", interval = "90ms", ecn = true, ce_threshold = "3ms" },
      "limit 500 target 6ms interval 90ms ecn ce_threshold 3ms"),
    case("pie", { limit = 500, target = "20ms", tupdate = "30ms", alpha = 3, beta = 21, ecn = true, bytemode = true,
        dq_rate_estimator = true },
      "limit 500 target 20ms tupdate 30ms alpha 3 beta 21 ecn bytemode dq_rate_estimator"),
    case("hhf", { limit = 500, quantum = 1000, hh_limit = 100, reset_timeout = "50ms", admit_bytes = "64k",
        evict_timeout = "2s", non_hh_weight = 3 },
      "limit 500 quantum 1000 hh_limit 100 reset_timeout 50ms admit_bytes 65536 evict_timeout 2s non_hh_weight 3"),
    case("sfb", { rehash = "100s", db = "10s", limit = 500, max = 30, target = 25, increment = 0.01, decrement = 0.001,
        penalty_rate = 11, penalty_burst = 22 },
      "rehash 100000 db 10000 limit 500 max 30 target 25 increment 0.01 decrement 0.001 penalty_rate 11 "
        .. "penalty_burst 22"),

    case("cake", {}, ""),
    case("cake", { bandwidth = "10mbit", diffserv = "besteffort", flowmode = "dual-srchost", nat = true, wash = true,
        ingress = true, split_gso = false, ack_filter = "aggressive", rtt = "regional", atm = "atm", overhead = 18,
        mpu = 64, memlimit = "4m", fwmark = "0xff" },
      "bandwidth 10mbit besteffort dual-srchost nat wash ingress no-split-gso ack-filter-aggressive regional atm "
        .. "overhead 18 mpu 64 memlimit 4m fwmark 0xff"),
    case("cake", { bandwidth = "unlimited", autorate = true, rtt = 0.05, flowmode = "hosts", diffserv = "diffserv8",
        atm = "ptm", overhead = -4 },
      "autorate-ingress rtt 50ms hosts diffserv8 ptm overhead -4"),
    case("cake", { raw = true, rtt = "satellite", ack_filter = "enabled" }, "raw satellite ack-filter"),

    case("sfq", {}, ""),
    case("sfq", { limit = 50, perturb = 10, quantum = 2000, divisor = 512, flows = 40, depth = 30, headdrop = true },
      "limit 50 perturb 10 quantum 2000 divisor 512 flows 40 depth 30 headdrop"),
    case("sfq", { redflowlimit = 100000, min = 8000, max = 60000, avpkt = 1000, burst = 30, probability = 0.2,
        ecn = true, harddrop = true },
      "redflowlimit 100000 min 8000 max 60000 avpkt 1000 burst 30 probability 0.2 ecn harddrop"),
    case("red", { limit = 400000, avpkt = 1000, bandwidth = "10mbit" }, "limit 400000 avpkt 1000 bandwidth 10mbit"),
    case("red", { limit = 400000, min = 30000, max = 90000, avpkt = 500, burst = 100, bandwidth = "100mbit",
        probability = 0.1, ecn = true, adaptive = true, nodrop = true },
      "limit 400000 min 30000 max 90000 avpkt 500 burst 100 bandwidth 100mbit probability 0.1 ecn adaptive nodrop"),
    case("red", { limit = "1m", min = "20k", avpkt = 1000, burst = 50, harddrop = true, bandwidth = "10mbit" },
      "limit 1m min 20k max 60k avpkt 1000 burst 50 harddrop bandwidth 10mbit"),
    case("choke", { limit = 1000, min = 83, max = 250, avpkt = 500, bandwidth = "10mbit", ecn = true },
      "limit 1000 bandwidth 10mbit min 83 max 250 avpkt 500 ecn"),

    case("prio", {}, ""),
    case("prio", { bands = 4, priomap = { 1, 2, 3, 0 } }, "bands 4 priomap 1 2 3 0"),
    case("ets", { bands = 4, strict = 2, quanta = { 1000, 2000 }, priomap = { 1, 2, 3 } },
      "bands 4 strict 2 quanta 1000 2000 priomap 1 2 3"),
    case("drr", {}, ""),
    case("qfq", {}, ""),
    case("pfifo", { limit = 77 }, "limit 77"),
    case("bfifo", { limit = "20k" }, "limit 20k"),
    case("pfifo_head_drop", { limit = 5 }, "limit 5", {}),
    case("skbprio", { limit = 9 }, "limit 9"),

    { { dev = "e0", kind = "ingress" }, "qdisc add dev e0 ingress", needs = "qdisc-ingress" },
    { { dev = "e0", kind = "clsact" }, "qdisc add dev e0 clsact", needs = "qdisc-clsact" },
    { { dev = "e0", kind = "noqueue", handle = "7:" }, "qdisc add dev e0 root handle 7: noqueue", needs = "netem" },
  },
}

twins.describe { -- what tc prints of hfsc is not JSON
  noun = "qdisc",
  tool = "tc",
  show = { { "qdisc show", text = true } },
  prepare = function(ns)
    ns.link:add { name = "e0", type = "veth", peer = { name = "p0" } }
  end,
  cases = { case("hfsc", {}, ""), case("hfsc", { default = "1f" }, "default 1f") },
}

describe("ns.qdisc", function()
  local ns, link

  setup(function()
    features.need("netem", "tbf", "qdisc-htb", "qdisc-fq_codel")
  end)

  before_each(function()
    ns = netns.new "tc"
    twins.pair(ns)
    link = ns.link:get "e0"
  end)

  after_each(function()
    ns:close()
  end)

  local function root()
    return link.qdisc:get { parent = "root" }
  end

  it("lists numbers in seconds, bit/s, bytes and shares of one, exactly as they were given", function()
    link.qdisc:add { kind = "netem", delay = 0.0123, loss = 0.017, rate = 12345672, limit = 99, seed = -5,
      duplicate = 0.3, duplicate_correlation = 0.007 }
    local q = root()
    assert.equal(0.007, q.duplicate_correlation) -- tc shows it, but does not send it
    assert.equal(0.007, sh.tc("tc", "-j qdisc show dev e0")[1].options.duplicate.correlation)
    assert.equal(0.0123, q.delay)
    assert.equal(0.017, q.loss)
    assert.equal(12345672, q.rate)
    assert.equal(99, q.limit)
    assert.equal(-5, q.seed)
    assert.is_nil(q.stats)
    link.qdisc:replace { kind = "tbf", rate = "1mbit", burst = 12345, limit = 54321 }
    q = root()
    assert.equal(1000000, q.rate)
    assert.equal(12345, q.burst)
    assert.equal(54321, q.limit)
    link.qdisc:replace { kind = "fq_codel", target = "5ms", interval = 0.1, ce_threshold = "1234us" }
    q = root()
    assert.equal(0.005, q.target)
    assert.equal(0.1, q.interval)
    assert.equal(0.001234, q.ce_threshold)
  end)

  it("knows the bands of fq, which this tc does not", function()
    features.need "qdisc-fq"
    link.qdisc:add { kind = "fq" }
    if root().weights then -- since Linux 6.7
      link.qdisc:set { parent = "root", weights = { 400000, 200000, 100000 }, priomap = { 0, 1, 2 } }
      local q = root()
      assert.same({ 400000, 200000, 100000 }, q.weights)
      assert.same({ 0, 1, 2 }, { table.unpack(q.priomap, 1, 3) })
    end
  end)

  it("changes what it is given and keeps the rest", function()
    link.qdisc:add { kind = "netem", delay = "10ms", loss = "1%", rate = "8mbit", reorder = 0.5, corrupt = 0.25 }
    link.qdisc:set { parent = "root", delay = "20ms" }
    local q = root()
    assert.same({ 0.02, 0.01, 8000000, 0.5, 0.25 }, { q.delay, q.loss, q.rate, q.reorder, q.corrupt })
    ns.qdisc:change { dev = "e0", parent = "root", loss_gemodel = { p = 0.5 } }
    q = root()
    assert.is_nil(q.loss)
    assert.equal(0.5, q.loss_gemodel.p)
    ns:batch(function(b)
      b.qdisc:set { dev = "e0", parent = "root", loss = "3%" }
      b.qdisc:set { dev = "e0", parent = "root", rate = "4mbit" }
    end)
    q = root()
    assert.same({ 0.02, 0.03, 4000000, nil }, { q.delay, q.loss, q.rate, q.loss_gemodel })
  end)

  it("replaces the whole, of the same kind or of another", function()
    link.qdisc:replace { kind = "netem", delay = "10ms", jitter = "1ms", correlation = 0.5, reorder = 0.5,
      corrupt = 0.25, rate = "1mbit", ecn = true, loss = 0.5, slot = { min_delay = "1ms" } }
    link.qdisc:replace { kind = "netem", duplicate = "5%" }
    local q = root()
    q.seed, q.handle = nil, nil
    assert.same({ dev = "e0", parent = "root", kind = "netem", duplicate = 0.05, limit = 1000 }, q)
    link.qdisc:replace { kind = "tbf", rate = "1mbit", burst = "10k", latency = "50ms" }
    assert.equal("tbf", root().kind)
  end)

  it("builds a tree, deletes parts of it, flushes what it lists", function()
    ns:batch(function(b)
      b.qdisc:add { dev = "e0", handle = "1:", kind = "htb", default = "20" }
      b.class:add { dev = "e0", classid = "1:1", parent = "1:", kind = "htb", rate = "10mbit" }
      b.class:add { dev = "e0", classid = "1:20", parent = "1:1", kind = "htb", rate = "1mbit" }
      b.qdisc:add { dev = "e0", parent = "1:20", handle = "20:", kind = "netem", delay = "1ms" }
      b.qdisc:add { dev = "p0", kind = "fq_codel" }
    end)
    assert.equal("1:20", ns.qdisc:get({ handle = "20:" }).parent)
    assert.equal("20:", link.class:get({ classid = "1:20" }).leaf)
    local shown = sh.tc("tc", "-j qdisc show dev e0 handle 20:")
    assert.equal("1:20", shown[1].parent)
    link.qdisc:del { handle = "20:", parent = "1:20" }
    assert.is_nil(ns.qdisc:get { handle = "20:" })
    ns.qdisc:flush { kind = "htb" }
    assert.is_nil(ns.qdisc:get { kind = "htb" })
    assert.equal(0, #ns.class:list())
    assert.equal("fq_codel", ns.qdisc:get({ dev = "p0" }).kind)
  end)

  it("counts, where it is asked to", function()
    link.qdisc:add { kind = "netem", loss = 1 }
    ns:run { "ping", "-c", "3", "-i", "0.01", "-W", "0.1", "-I", "e0", "10.0.0.77" }
    sh.eventually(function()
      return link.qdisc:get({ parent = "root", stats = true }).stats.drops > 0
    end)
    local stats = link.qdisc:get({ parent = "root", stats = true }).stats
    local seen = sh.tc("tc", "-j -s qdisc show dev e0 root")[1]
    for _, name in ipairs { "bytes", "packets", "overlimits", "requeues", "backlog", "qlen" } do
      assert.equal(seen[name], stats[name], name)
    end
    for q in ns.qdisc:each { stats = true } do
      assert.equal("integer", math.type(q.stats.bytes))
    end
  end)

  it("takes a table of delays from where TC_LIB_DIR says, and tells which is missing", function()
    local refused = ns:run({ "lua5.4", "-e", [[
      local netns = require "netns"
      print(pcall(netns.current().qdisc.add, netns.current().qdisc, { dev = "e0", kind = "netem", delay = "1ms",
        jitter = "1ms", distribution = "normal" }))]] }, { env = { TC_LIB_DIR = "/nowhere" } })
    assert.matches('distribution must be "uniform", "normal", "pareto" or "paretonormal" %(there is no '
      .. '/nowhere/normal.dist%), got "normal"', refused.stdout)
  end)
end)

describe("ns.qdisc", function()
  local ns <const> = netns.new()

  teardown(function()
    ns:close()
  end)

  local function refuses(args, words)
    args.dev = args.dev or "lo"
    assert.error_matches(function()
      ns.qdisc:add(args)
    end, words, nil, true)
  end

  it("refuses what cannot be before anything is sent", function()
    refuses({ kind = "netem", dealy = "1ms" }, 'qdisc add: unknown key "dealy" (did you mean "delay"?)')
    refuses({ kind = "netem", burst = 1 }, 'qdisc add: unknown key "burst"')
    refuses({ kind = "netem", delay = "10 parsec" }, 'delay must be a time such as "10ms", or seconds, got "10 parsec"')
    refuses({ kind = "netem", delay = -1 }, "delay must be a time")
    refuses({ kind = "netem", loss = 1.5 }, 'loss must be a share such as "1%", or a number from 0 to 1, got 1.5')
    refuses({ kind = "netem", rate = "1 furlong" }, 'rate must be a rate such as "1mbit", or bit/s')
    refuses({ kind = "netem", reorder = "5%" }, "reorder needs a delay")
    refuses({ kind = "netem", gap = 5 }, "gap needs reorder")
    refuses({ kind = "netem", delay = 1, distribution = "normal" }, "distribution needs jitter")
    refuses({ kind = "netem", delay = 1, jitter = 1, distribution = "../x" }, "distribution must be")
    refuses({ kind = "netem", loss = 0.5, loss_gemodel = { p = 1 } }, "exclude each other")
    refuses({ kind = "netem", loss_gemodel = { q = 1 } }, 'unknown key "loss_gemodel.q"')
    refuses({ kind = "netem", slot = { min_dealy = 1 } }, 'unknown key "slot.min_dealy" (did you mean "min_delay"?)')
    refuses({ kind = "netem", seed = 1.5 }, "seed must be an integer")
    refuses({ kind = "tbf", rate = "1mbit", burst = 1000 }, "limit is missing")
    refuses({ kind = "tbf", rate = "1mbit", limit = 1000 }, "burst is missing")
    refuses({ kind = "tbf", rate = "1mbit", limit = 1, latency = 1, burst = 1 }, "limit and latency exclude each other")
    refuses({ kind = "tbf", rate = "1mbit", limit = 1, burst = 1, peakrate = "2mbit" }, "peakrate needs mtu")
    refuses({ kind = "tbf", rate = 0, limit = 1, burst = 1 }, "rate must be a rate")
    refuses({ kind = "fq", weights = { 1, 2 } }, "weights must be a list of 3 numbers")
    refuses({ kind = "htb", default = "xyz" }, "default must be a number, in text hexadecimal")
    refuses({ kind = "htb", default = 70000 }, "default must be an integer from 0 to 65535")
    refuses({ kind = "htb", handle = "1:1" }, 'handle must be a handle such as "1:", got "1:1"')
    refuses({ kind = "htb", handle = 1 }, 'handle must be a handle such as "1:", got 1')
    refuses({ kind = "htb", parent = "top" }, 'parent must be "root", "ingress" or a class such as "1:10", got "top"')
    refuses({ kind = 5 }, "kind must be the name of a kind")
    refuses({ handle = "1:" }, "qdisc add: kind is missing")
    refuses({ kind = "netem", dev = "nowhere" }, 'no interface "nowhere"')
    assert.error_matches(function()
      ns.qdisc:add { kind = "netem" }
    end, "qdisc add: dev is missing", nil, true)
    assert.error_matches(function()
      ns.qdisc:append { dev = "lo", kind = "netem" }
    end, "qdisc append: a qdisc has no order; use add or replace", nil, true)
  end)

  it("tells the kernel's words", function()
    local _, err = netns.try(ns.qdisc.add, ns.qdisc, { dev = "lo", kind = "nosuch" })
    assert.equal("ENOENT", err.code)
    assert.equal("qdisc add", err.op)
    assert.matches("nosuch", err.object)
    assert.matches("qdisc kind is unknown", err.kernel)
    local _, missing = netns.try(ns.qdisc.set, ns.qdisc, { dev = "lo", handle = "9:" })
    assert.equal("ENOENT", missing.code)
  end)
end)
