--- Tables, chains, rules, sets, maps and named objects as Lua objects.
require("spec.support.leaks").gate()
local core = require "netns.core"
local netns = require "netns"
local sh = require "spec.support.sh"

local ns, fw, input

before_each(function()
  ns = netns.new "fw"
  fw = ns.nft:table { family = "inet", name = "filter" }
  input = fw:chain { name = "input", type = "filter", hook = "input", priority = 0, policy = "accept" }
end)

after_each(function()
  ns:close()
  core.nft_stop()
end)

local function fails(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return err
end

-- What nft lists of one kind, without family, table and handle.
local function seen(kind)
  local found = {}
  for _, entry in ipairs(sh.nft("fw", "-j list ruleset").nftables) do
    if entry[kind] then
      local o = entry[kind]
      o.family, o.table, o.handle = nil, nil, nil
      found[#found + 1] = o
    end
  end
  return found
end

local function rules()
  local found = {}
  for line in sh.nft("fw", "list chain inet filter input"):gmatch "\n\t\t([^\n]+)" do
    if not line:find "^type " then
      found[#found + 1] = line
    end
  end
  return found
end

describe("tables", function()
  it("are created unless they are there; add wants them new", function()
    local again = ns.nft:table { family = "inet", name = "filter" }
    assert.equal(fw, again)
    assert.equal("EEXIST", fails(ns.nft.table.add, ns.nft.table, { family = "inet", name = "filter" }).code)
    ns.nft.table:add { family = "ip6", name = "x", flags = "dormant" }
    assert.matches("table ip6 x {\n\tflags dormant", sh.nft("fw", "list ruleset"))
  end)

  it("are listed, found, looped over and deleted", function()
    ns.nft:table "second"
    local names = {}
    for t in ns.nft.table:each() do
      names[#names + 1] = t.family .. " " .. t.name
    end
    assert.same({ "inet filter", "ip second" }, names)
    assert.equal(2, #ns.nft.table:list())
    assert.is_nil(ns.nft.table:get { family = "inet", name = "second" })
    local second = ns.nft.table:get "second"
    assert.is_true(second:exists())
    second:del()
    assert.is_false(second:exists())
    assert.equal("ENOENT", fails(ns.nft.table.del, ns.nft.table, "second").code)
  end)

  it("are flushed and changed", function()
    input:rule "accept"
    fw:flush()
    assert.same({}, rules())
    fw:change { flags = { "dormant" } }
    assert.same({ "dormant" }, fw.flags)
  end)

  it("say what they are", function()
    assert.equal("table inet filter in fw", tostring(fw))
    assert.equal("chain inet filter input in fw", tostring(input))
  end)

  it("refuse keys they do not know", function()
    assert.matches('objects_spec.lua:%d+: table: unknown key "nmae" %(did you mean "name"%?%)',
      fails(function()
        ns.nft:table { family = "inet", name = "x", nmae = "x" }
      end))
    assert.matches("family must be one of ip, ip6, inet, arp, bridge, netdev, got \"ipv4\"",
      fails(function()
        ns.nft:table { family = "ipv4", name = "x" }
      end))
    assert.matches("name is missing", fails(function()
      ns.nft:table { family = "ip" }
    end))
  end)
end)

describe("chains", function()
  it("have type, hook, priority, policy and comment", function()
    fw:chain { name = "a", hook = "forward", priority = "mangle + 5", policy = "drop", comment = "fwd" }
    fw:chain { name = "b", type = "route", hook = "output", prio = -7 }
    fw:chain "c"
    local text = sh.nft("fw", "list table inet filter")
    assert.matches('chain a {\n\t\tcomment "fwd"\n\t\ttype filter hook forward priority mangle %+ 5; policy drop;',
      text)
    assert.matches("chain b {\n\t\ttype route hook output priority filter %- 7; policy accept;", text)
    assert.matches("chain c {\n\t}", text)
  end)

  it("can hang on devices", function()
    local t = ns.nft:table { family = "netdev", name = "n" }
    t:chain { name = "a", hook = "ingress", device = "lo", priority = 1 }
    assert.equal("lo", t.chain:list()[1].dev)
    assert.matches("device \"lo\"", sh.nft("fw", "list table netdev n"))
  end)

  it("change their policy, are renamed, flushed and deleted", function()
    assert.equal("accept", input.policy)
    input:set { policy = "drop" }
    assert.equal("drop", input.policy)
    assert.equal("drop", seen("chain")[1].policy)
    local other = fw:chain "other"
    other:rule "accept"
    other:rename "another"
    assert.equal(1, #other:rules())
    other:flush()
    assert.equal(0, #other.rule:list())
    other:del()
    assert.same({ "input" }, { seen("chain")[1].name, seen("chain")[2] })
  end)

  it("that are in use are not deleted", function()
    local other = fw:chain "other"
    input:rule "jump other"
    assert.equal("EBUSY", fails(other.del, other).code)
  end)

  it("refuse what cannot be", function()
    for _, case in ipairs {
      { { name = "x", hook = "inptu" }, "chain: hook must be one of prerouting, input, .* got \"inptu\"" },
      { { name = "x", policy = "drop" }, "chain: policy needs a hook" },
      { { name = "x", hook = "input", priority = "x; y" }, "priority must be an integer or a word" },
      { { name = "x", hook = "input", policy = "reject" }, "policy must be one of accept, drop" },
      { { name = "x", family = "ip", hook = "input" }, "family is inet here, got \"ip\"" },
      { { name = 5 }, "the name of a chain must be a string, got number" },
      { { name = "x", hook = "ingress", device = "a b" }, "the name of an interface has 1 to 15 bytes" },
      { 5, "expected a name or a table, got number" },
    } do
      assert.matches(case[2], fails(function()
        fw:chain(case[1])
      end))
    end
    assert.matches("call it as a method", fails(function()
      fw.chain "x"
    end))
  end)
end)

describe("rules", function()
  it("are given as text or as data, and read back as both", function()
    local a = input:rule "tcp dport 22 counter accept"
    local b = input:rule { { match = { left = { payload = { protocol = "tcp", field = "dport" } }, right = 80 } },
      { counter = true }, { accept = true } }
    assert.same({ "tcp dport 22 counter packets 0 bytes 0 accept", "tcp dport 80 counter packets 0 bytes 0 accept" },
      rules())
    assert.equal("tcp dport 80 counter packets 0 bytes 0 accept", b.text)
    assert.same({ accept = true }, a.expr[3])
    assert.same({ packets = 0, bytes = 0 }, a.counter)
    assert.is_not.equal(a.handle, b.handle)
    -- what is read can be added
    local c = input:rule(a.expr, { comment = "again" })
    assert.equal('tcp dport 22 counter packets 0 bytes 0 accept comment "again"', c.text)
    assert.equal("again", c.comment)
    input:rule(c:get())
    assert.equal(rules()[3], rules()[4])
    input:rule { "tcp dport 99", { accept = true } }
    assert.equal("tcp dport 99 accept", rules()[5])
  end)

  it("stand where they are told", function()
    local b = input:rule "tcp dport 2 accept"
    input:rule("tcp dport 1 accept", { before = b })
    local c = input:rule("tcp dport 3 accept", { after = b })
    input:rule("tcp dport 4 accept", { after = c.handle })
    input:rule("tcp dport 0 accept", { first = true })
    input:rule("tcp dport 9 accept", { index = 1 })
    local ports = {}
    for i, rule in ipairs(rules()) do
      ports[i] = rule:match "%d+"
    end
    assert.same({ "0", "9", "1", "2", "3", "4" }, ports)
  end)

  it("take parameters", function()
    input:rule("ip saddr $who tcp dport $port accept", { params = { who = "10.0.0.0/8", port = 22 } })
    assert.same({ "ip saddr 10.0.0.0/8 tcp dport 22 accept" }, rules())
  end)

  it("are replaced, deleted, found by handle", function()
    local a = input:rule "tcp dport 1 accept"
    local b = input:rule "tcp dport 2 accept"
    a:replace "tcp dport 5 drop"
    assert.same({ "tcp dport 5 drop", "tcp dport 2 accept" }, rules())
    assert.equal("tcp dport 5 drop", a.text)
    assert.equal(b, input.rule:get(b.handle))
    assert.is_nil(input.rule:get(999))
    input.rule:replace(b.handle, "tcp dport 7 drop", { comment = "seven" })
    assert.equal('tcp dport 7 drop comment "seven"', rules()[2])
    input.rule:del(b.handle)
    assert.is_false(b:exists())
    assert.equal("ENOENT", fails(b.get, b).code)
    a:delete()
    assert.same({}, rules())
    assert.matches("the rule is deleted", fails(a.delete, a))
  end)

  it("are listed with their handles", function()
    for i = 1, 3 do
      input:rule(("tcp dport %d accept"):format(i))
    end
    local listed = input.rule:list()
    assert.equal(3, #listed)
    listed[2]:del()
    assert.same({ "tcp dport 1 accept", "tcp dport 3 accept" }, rules())
    local count = 0
    for rule in input.rule:each() do
      count = count + 1
      assert.equal("integer", math.type(rule.handle))
    end
    assert.equal(2, count)
  end)

  it("are one rule and no more", function()
    for _, text in ipairs { "accept; flush ruleset", "accept\nflush ruleset", "accept }", "tcp dport { 22", "",
      "accept # x",
      'log prefix "a\nb"', "accept;" } do
      assert.matches("a rule must", fails(input.rule.add, input.rule, text):gsub("a rule is one line", "a rule must"))
    end
    assert.same({}, rules())
  end)

  it("refuse what cannot be, at the caller's line", function()
    local other = fw:chain("other"):rule "accept"
    for _, case in ipairs {
      { "accept", { befor = 1 }, '^spec/nft/objects_spec.lua:%d+: rule add: unknown key "befor"' },
      { "accept", { before = 1, after = 2 }, "only one of before, after, first and index" },
      { "accept", { before = "x" }, "before must be a Rule or a handle" },
      { "accept", { before = other }, "before is a rule of another chain, inet filter other" },
      { "accept", { index = -1 }, "index must be an integer" },
      { 5, nil, "a rule must be nft text or a list of statements, got number" },
      { {}, nil, "a list of statements is empty" },
      { { { accept = true, drop = true } }, nil, "a statement must be a table with one key" },
      { { { match = { right = 1 } } }, nil, "match: left is missing" },
      { { { limit = { rate = "x" } } }, nil, "limit: rate must be an integer, got \"x\"" },
    } do
      assert.matches(case[3], fails(function()
        input:rule(case[1], case[2])
      end))
    end
    assert.matches("ENOENT", tostring(fails(function()
      input:rule("accept", { before = 999 })
    end)))
  end)
end)

describe("counters, quotas and limits", function()
  it("are read and reset", function()
    local c = fw:counter { name = "c", packets = 5, bytes = 600, comment = "five" }
    assert.same({ 5, 600 }, { c.packets, c.bytes })
    local was = c:reset()
    assert.same({ 5, 600 }, { was.packets, was.bytes })
    assert.equal(0, c.packets)
    local q = fw:quota { name = "q", val = 2, val_unit = "mbytes", used = 5, inv = true }
    assert.same({ 2097152, 5, true }, { q.bytes, q.used, q.inv })
    assert.equal(5, q:reset().used)
    assert.equal(0, q.used)
    local l = fw:limit { name = "l", rate = 10, per = "minute", burst = 20 }
    assert.same({ 10, "minute", 20 }, { l.rate, l.per, l.burst })
    assert.same({ { name = "l", rate = 10, per = "minute", burst = 20 } }, seen "limit")
  end)

  it("are replaced while no rule uses them", function()
    local c = fw:counter { name = "c", packets = 5, bytes = 6 }
    fw.counter:replace { name = "c", packets = 7, bytes = 8 }
    assert.equal(7, c.packets)
    input:rule 'counter name "c"'
    assert.equal("EBUSY", fails(fw.counter.replace, fw.counter, "c").code)
  end)

  it("of rules are read and reset", function()
    local r = input:rule "tcp dport 1 counter packets 7 bytes 8 quota 5 mbytes used 100 bytes accept"
    assert.same({ packets = 7, bytes = 8 }, r:reset())
    assert.same({ packets = 0, bytes = 0 }, r.counter)
    assert.same({ val = 5, val_unit = "mbytes" }, r.quota)
    assert.same({ "tcp dport 1 counter packets 0 bytes 0 quota 5 mbytes accept" }, rules())
  end)
end)

describe("sets", function()
  it("hold elements of each form, and list them as add takes them", function()
    for _, case in ipairs {
      { { type = "ipv4_addr" }, { "10.0.0.1", "10.0.0.2" } },
      { { type = "ipv4_addr", flags = "interval" }, { "10.0.0.0/24", "10.1.0.1-10.1.0.9", "10.2.0.1" } },
      { { type = "ipv6_addr", flags = { "interval" } }, { "fd00::/64", "fd01::1-fd01::9" } },
      { { type = "inet_service", flags = "interval" }, { 22, "1024-2000" } },
      { { type = { "ipv4_addr", "inet_service" } }, { { "10.0.0.1", 80 }, { "10.0.0.2", 443 } } },
      { { type = "ipv4_addr . inet_service", flags = "interval" }, { { "10.0.0.0/24", "80-90" } } },
      { { type = "ifname" }, { "eth0", "1-2" } },
      { { type = "ether_addr" }, { "02:00:00:00:00:01" } },
      { { typeof = "vlan id" }, { 5, 6 } },
      { { type = "inet_proto" }, { "tcp", "udp" } },
      { { type = "ipv4_addr", comment = "the set" }, { { "10.0.0.1", comment = "one" } } },
      { { type = "ipv4_addr", stmt = { { counter = true } } },
        { { "10.0.0.1", counter = { packets = 5, bytes = 6 } } } },
    } do
      case[1].name = "s"
      local set = fw:set(case[1])
      set:add(case[2])
      local function sorted(list)
        local keys = {}
        for i, item in ipairs(list) do
          keys[i] = type(item) == "table" and table.concat(item, "|") .. tostring(item.comment) or tostring(item)
        end
        table.sort(keys)
        return keys
      end
      assert.same(sorted(case[2]), sorted(set:list()))
      local text = sh.nft("fw", "list set inet filter s")
      set:replace(set:list())
      assert.equal(text, sh.nft("fw", "list set inet filter s"))
      local first = case[2][1]
      assert.is_true(set:has(first), tostring(first))
      set:del { first }
      assert.is_false(set:has(first))
      assert.equal(#case[2] - 1, set.count)
      set:del()
    end
  end)

  it("hold elements with timeouts, which end", function()
    local set = fw:set { name = "s", type = "ipv4_addr", flags = "timeout", timeout = "10m" }
    set:add { { "10.0.0.1", timeout = 1 }, { "10.0.0.2", timeout = "1h30m", comment = "long" }, "10.0.0.3" }
    local long = set:find "10.0.0.2"
    assert.equal(5400, long.timeout)
    assert.equal("long", long.comment)
    assert.is_true(long.expires <= 5400 and long.expires > 5300)
    sh.eventually(function()
      return not set:has "10.0.0.1"
    end, 10, "the end of the element")
  end)

  it("are made with elements, in one commit", function()
    fw:set { name = "s", type = "ipv4_addr", elements = { "10.0.0.1", "10.0.0.2" } }
    assert.same({ "10.0.0.1", "10.0.0.2" }, seen("set")[1].elem)
    assert.equal("EINVAL", fails(function()
      fw:set { name = "u", type = "ipv4_addr", elements = { "nonsense!" } }
    end).code)
    assert.is_nil(fw.set:get "u")
  end)

  it("have options", function()
    fw:set { name = "s", type = "ipv4_addr", flags = { "interval", "timeout" }, timeout = "1h", ["gc-interval"] = 60,
      size = 99, policy = "memory", ["auto-merge"] = true, comment = "all" }
    local text = sh.nft("fw", "list set inet filter s")
    for _, line in ipairs { "flags interval,timeout", "timeout 1h", "gc%-interval 1m", "size 99", "policy memory",
      "auto%-merge", 'comment "all"' } do
      assert.matches(line, text)
    end
  end)

  it("are found, flushed and listed", function()
    fw:set { name = "s", type = "ipv4_addr", elements = { "10.0.0.1" } }
    local set = fw.set:get "s"
    assert.equal("ipv4_addr", set.type)
    set:flush()
    assert.equal(0, set.count)
    assert.equal("s", fw.set:list()[1].name)
    assert.is_nil(fw.set:get "t")
  end)

  it("add many elements in pieces", function()
    local set = fw:set { name = "s", type = "ipv4_addr" }
    local items = {}
    for i = 1, 40000 do
      items[i] = ("10.0.%d.%d"):format(i >> 8, i & 255)
    end
    set:add(items)
    assert.equal(40000, set.count)
    items[39000] = "not an address"
    set:flush()
    local err = fails(set.add, set, items)
    assert.equal(32768, err.done)
    assert.matches("32768 of 40000 elements were dealt with before", tostring(err))
    assert.equal(32768, set.count)
  end)

  it("refuse what cannot be", function()
    local set = fw:set { name = "s", type = "ipv4_addr" }
    for _, case in ipairs {
      { { { "10.0.0.1", timeuot = 1 } }, 'element: unknown key "timeuot" %(did you mean "timeout"%?%)' },
      { { { timeout = 1 } }, "an element has at least one part" },
      { { { "10.0.0.1", timeout = "soon" } }, "timeout must be seconds or a time" },
      { { { "10.0.0.1", value = 5 } }, "an element of a set has no value" },
      { { '10.0.0.1"' }, "must not contain quotation marks" },
      { { print }, "a value cannot be a function" },
      { { a = 1 }, "elements must be a list" },
    } do
      assert.matches(case[2], fails(set.add, set, case[1]))
    end
    assert.matches("exactly one of type and typeof", fails(function()
      fw:set { name = "u" }
    end))
    assert.equal(0, set.count)
  end)
end)

describe("maps", function()
  it("hold values and verdicts", function()
    local other = fw:chain "other"
    for _, case in ipairs {
      { { type = "inet_service", map = "ipv4_addr" }, { { 80, value = "10.0.0.1" }, { 443, value = "10.0.0.2" } } },
      { { type = "ipv4_addr", map = "verdict" },
        { { "10.0.0.1", value = "accept" }, { "10.0.0.2", value = "jump other" } } },
      { { type = { "ipv4_addr", "inet_service" }, map = "mark" }, { { "10.0.0.1", 80, value = 5 } } },
      { { type = "inet_service", map = { "ipv4_addr", "inet_service" } }, { { 80, value = { "10.0.0.1", 8080 } } } },
      { { type = "ipv4_addr", map = "verdict", flags = "interval" },
        { { "10.0.0.0/8", value = "drop", comment = "ten" } } },
    } do
      case[1].name = "m"
      local map = fw:map(case[1])
      map:add(case[2])
      assert.same(case[2], map:list())
      assert.is_true(map:has(table.move(case[2][1], 1, #case[2][1], 1, {})))
      map:replace(map:list())
      assert.same(case[2], map:list())
      map:flush()
      map:del()
    end
    other:del()
  end)

  it("take a table from keys to values", function()
    local map = fw:map { name = "m", type = "ipv4_addr", map = "verdict" }
    map:add { ["10.0.0.1"] = "accept", ["10.0.0.2"] = "drop" }
    assert.equal(2, map.count)
    assert.equal("drop", map:find("10.0.0.2").value)
    map:del { ["10.0.0.2"] = "drop" }
    assert.is_false(map:has "10.0.0.2")
  end)

  it("refuse elements without a value, and what is no verdict", function()
    local map = fw:map { name = "m", type = "ipv4_addr", map = "verdict" }
    assert.matches("is a table with a `value`", fails(map.add, map, { "10.0.0.1" }))
    assert.matches("needs a value", fails(map.add, map, { { "10.0.0.1", comment = "x" } }))
    assert.matches("a verdict is accept", fails(map.add, map, { { "10.0.0.1", value = "acept" } }))
    assert.matches("is not the name of a chain", fails(map.add, map, { { "10.0.0.1", value = "jump a;b" } }))
  end)
end)

describe("counters of elements", function()
  it("are read and reset", function()
    local set = fw:set { name = "s", type = "ipv4_addr", stmt = { { counter = true } },
      elements = { { "10.0.0.1", counter = { packets = 5, bytes = 6 } } } }
    assert.same({ packets = 5, bytes = 6 }, set:reset()[1].counter)
    assert.same({ packets = 0, bytes = 0 }, set:find("10.0.0.1").counter)
  end)
end)

describe("a transaction", function()
  it("is one commit of all objects used in it", function()
    local monitor <close> = ns.nft:monitor()
    local result = ns.nft:transaction(function(t)
      local nat = t:table { family = "ip", name = "second" }
      local chain = nat:chain { name = "c", hook = "input" }
      chain:rule "tcp dport 1 accept"
      input:rule "tcp dport 2 accept" -- an object from outside
      fw:set({ name = "s", type = "ipv4_addr" }):add { "10.0.0.1" }
      t:run "add counter inet filter k"
      return "done"
    end)
    assert.equal("done", result)
    local generations = 0
    for event in monitor:each(0.2) do
      generations = generations + (event.kind == "generation" and 1 or 0)
    end
    assert.equal(1, generations)
    assert.same({ "tcp dport 2 accept" }, rules())
    assert.matches("table ip second", sh.nft("fw", "list ruleset"))
  end)

  it("gives its rules their handles", function()
    local a, b
    ns.nft:transaction(function()
      a = input:rule "tcp dport 1 accept"
      b = input:rule "tcp dport 1 accept"
    end)
    b:del()
    assert.equal(1, #input:rules())
    assert.equal(a, input.rule:list()[1])
  end)

  it("sends nothing when its function fails, or the kernel refuses", function()
    assert.matches("spec/nft/objects_spec.lua:%d+: no", fails(ns.nft.transaction, ns.nft, function()
      input:rule "accept"
      error "no"
    end))
    local err = fails(ns.nft.transaction, ns.nft, function()
      input:rule "accept"
      input:rule "jump nowhere"
    end)
    assert.equal("ENOENT", err.code)
    assert.equal("nft transaction", err.op)
    assert.matches("jump nowhere", err.source)
    assert.same({}, rules())
    input:rule "accept" -- and what follows is not collected
    assert.same({ "accept" }, rules())
  end)

  it("passes the function's error on as it is", function()
    local thrown = {}
    assert.equal(thrown, fails(ns.nft.transaction, ns.nft, function()
      error(thrown)
    end))
  end)

  it("puts rules beside rules of its own, takes them back, changes them", function()
    ns.nft:transaction(function()
      local b = input:rule "tcp dport 2 accept"
      local a = input:rule("tcp dport 9 accept", { before = b })
      local gone = input:rule "tcp dport 8 accept"
      input:rule("tcp dport 3 accept", { after = b })
      a:replace "tcp dport 1 accept"
      gone:del()
    end)
    assert.same({ "tcp dport 1 accept", "tcp dport 2 accept", "tcp dport 3 accept" }, rules())
  end)

  it("in a transaction joins it; a failure takes back only its own", function()
    ns.nft:transaction(function(t)
      input:rule "tcp dport 1 accept"
      pcall(t.transaction, t, function()
        input:rule "tcp dport 2 accept"
        error "no"
      end)
      t:transaction(function()
        input:rule "tcp dport 3 accept"
      end)
    end)
    assert.same({ "tcp dport 1 accept", "tcp dport 3 accept" }, rules())
  end)

  it("collects only its own coroutine's writes", function()
    local inner = coroutine.create(function()
      ns.nft:transaction(function()
        input:rule "tcp dport 1 accept"
        coroutine.yield()
      end)
    end)
    assert(coroutine.resume(inner))
    input:rule "tcp dport 2 accept"
    assert.same({ "tcp dport 2 accept" }, rules())
    assert(coroutine.resume(inner))
    assert.same({ "tcp dport 2 accept", "tcp dport 1 accept" }, rules())
  end)

  it("says of a rule that waits that it has no handle yet", function()
    ns.nft:transaction(function()
      local r = input:rule "accept"
      assert.matches("waits for the end of its transaction", fails(r.get, r))
    end)
  end)

  it("of thousands of rules is one commit", function()
    ns.nft:transaction(function()
      for i = 1, 3000 do
        input:rule(("tcp dport %d accept"):format(i))
      end
    end)
    assert.equal(3000, #rules())
  end)
end)
