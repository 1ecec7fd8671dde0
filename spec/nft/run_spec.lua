--- ns.nft:run, check, list, text, add, flush: texts, parameters and errors.
require("spec.support.leaks").gate()
local core = require "netns.core"
local netns = require "netns"
local sh = require "spec.support.sh"

local ns

before_each(function()
  ns = netns.new "fw"
end)

after_each(function()
  ns:close()
  core.nft_stop()
end)

-- The error of a call that must fail.
local function fails(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return err
end

local function rules()
  local found = {}
  for line in sh.nft("fw", "list ruleset"):gmatch "[^\n]+" do
    local rule = line:match "^\t\t(%S.*)$"
    if rule and not rule:find "^type " then
      found[#found + 1] = rule
    end
  end
  return found
end

local FILTER = "add table inet filter\nadd chain inet filter input { type filter hook input priority 0; }\n"

describe("run", function()
  it("returns what was created, with handles", function()
    local made = ns.nft:run(FILTER .. "add rule inet filter input tcp dport 22 counter accept")
    assert.equal(3, #made)
    assert.equal("filter", made[1].table.name)
    assert.equal("input", made[2].chain.name)
    local rule = made[3].rule
    assert.equal("integer", math.type(rule.handle))
    assert.same({ { match = { op = "==", left = { payload = { protocol = "tcp", field = "dport" } }, right = 22 } },
      { counter = { packets = 0, bytes = 0 } }, { accept = true } }, rule.expr)
    assert.matches("# handle " .. rule.handle .. "\n", sh.nft("fw", "-a list ruleset"))
  end)

  it("returns what was listed", function()
    sh.nft("fw", "add table ip a")
    assert.same({ { table = { family = "ip", name = "a", handle = 1 } } }, ns.nft:run "list tables")
  end)

  it("keeps integers as integers, and lists of none as empty tables", function()
    ns.nft:run "table ip t { counter c { packets 9007199254740993 bytes 9223372036854775807; }; }"
    local counter = ns.nft:list()[2].counter
    assert.equal(9007199254740993, counter.packets)
    assert.equal(math.maxinteger, counter.bytes)
    assert.same({}, ns.nft:run "list sets")
  end)

  it("is all or nothing", function()
    fails(ns.nft.run, ns.nft, FILTER .. "add rule inet filter input jump nowhere")
    assert.equal("", sh.nft("fw", "list ruleset"))
  end)

  it("check commits nothing", function()
    assert.is_true(ns.nft:check(FILTER))
    assert.equal("", sh.nft("fw", "list ruleset"))
    assert.equal("ENOENT", fails(ns.nft.check, ns.nft, "add rule inet filter input accept").code)
  end)

  it("text is nft's own", function()
    ns.nft:run(FILTER .. "add rule inet filter input tcp dport 22 counter accept")
    assert.equal(sh.nft("fw", "list ruleset"), ns.nft:text())
    assert.equal(sh.nft("fw", "-a list ruleset"), ns.nft:text { handle = true })
    assert.equal(sh.nft("fw", "-s list table inet filter"),
      ns.nft:text { family = "inet", table = "filter", stateless = true })
  end)

  it("takes an empty text, comments and definitions", function()
    assert.same({}, ns.nft:run "")
    assert.same({}, ns.nft:run "# nothing\n")
    ns.nft:run(FILTER .. "define port = 22\nadd rule inet filter input tcp dport $port accept")
    assert.same({ "tcp dport 22 accept" }, rules())
  end)

  it("refuses what is no text, and options it does not know", function()
    assert.matches("run_spec.lua:%d+: nft run: nft's text must be a string, got table", fails(ns.nft.run, ns.nft, {}))
    assert.matches('unknown key "timeuot" %(did you mean "timeout"%?%)',
      fails(ns.nft.run, ns.nft, "", nil, { timeuot = 1 }))
    assert.matches("must not contain NUL", fails(ns.nft.run, ns.nft, "add table ip t\0"))
    assert.matches("timeout must be a number from", fails(ns.nft.run, ns.nft, "", nil, { timeout = -1 }))
  end)

  it("on a closed namespace is an ordinary error", function()
    local nft = ns.nft
    ns:close()
    assert.matches("the namespace is closed", fails(nft.run, nft, ""))
  end)
end)

describe("an error", function()
  it("of syntax has line, column, source and what is underlined", function()
    local err = fails(ns.nft.run, ns.nft, FILTER .. "add rule inet filter input tcp dprot 22 accept\n")
    assert.equal(core.Error, getmetatable(err))
    assert.equal("nft run", err.op)
    assert.equal("fw", err.netns)
    assert.equal("EINVAL", err.code)
    assert.same({ 3, 32, 36 }, { err.line, err.column, err.column_end })
    assert.equal("dprot", err.offending)
    assert.equal("add rule inet filter input tcp dprot 22 accept", err.source)
    assert.equal("syntax error, unexpected string", err.nft)
    assert.equal([[
nft run in fw: Invalid argument (EINVAL): line 3, columns 32-36: syntax error, unexpected string
  add rule inet filter input tcp dprot 22 accept
                                 ^^^^^]], tostring(err))
  end)

  it("of a missing table", function()
    local err = fails(ns.nft.run, ns.nft, "add rule inet nothere c accept\n")
    assert.equal("ENOENT", err.code)
    assert.equal(2, err.errno)
    assert.equal("nothere", err.offending)
    assert.equal([[
nft run in fw: No such file or directory (ENOENT): line 1, columns 15-21: ]]
      .. [[Could not process rule: No such file or directory
  add rule inet nothere c accept
                ^^^^^^^]], tostring(err))
  end)

  it("of a chain of nearly that name has nft's hint", function()
    ns.nft:run(FILTER)
    local err = fails(ns.nft.run, ns.nft, "add rule inet filter inptu accept")
    assert.equal("No such file or directory; did you mean chain ‘input’ in table inet ‘filter’?", err.nft)
    assert.equal("inptu", err.offending)
  end)

  it("of a name too long", function()
    local err = fails(ns.nft.run, ns.nft, "add table ip " .. ("n"):rep(300))
    assert.equal("name too long, 256 characters maximum allowed", err.nft)
    assert.equal(("n"):rep(300), err.offending)
    assert.matches("the name of a table has at most 255 bytes, .* has 256",
      fails(ns.nft.table, ns.nft, { name = ("n"):rep(256) }))
  end)

  it("of something that exists", function()
    ns.nft:run(FILTER)
    assert.equal("EEXIST", fails(ns.nft.run, ns.nft, "create table inet filter").code)
  end)

  it("of missing rights", function()
    local r = sh.try { "unshare", "--user", "--", os.getenv "LUA" or "lua5.4", "-e", [[
      local netns = require "netns"
      local err = select(2, pcall(function() netns.current().nft:run "add table ip t" end))
      print(err.code, tostring(err))
    ]] }
    assert.matches("^EPERM\t.*Operation not permitted %(EPERM%)", r.stdout, r.stderr)
  end)

  it("lists all messages", function()
    local err = fails(ns.nft.run, ns.nft, "add rule ip a b accept\nadd rule ip c d accept\n")
    assert.equal(2, #err.messages)
    assert.equal(2, err.messages[2].line)
  end)

  it("in an included file names the file", function()
    sh.with_dir(function(dir)
      sh.write_file(dir .. "/x.nft", "\nadd rule ip a b accept\n")
      local err = fails(ns.nft.run, ns.nft, ('include "%s/x.nft"\n'):format(dir))
      assert.equal(2, err.line)
      assert.matches(dir:gsub("%p", "%%%0") .. "/x.nft, line 2", tostring(err))
    end)
  end)
end)

describe("parameters", function()
  before_each(function()
    ns.nft:run(FILTER)
  end)

  local function rule(text, params)
    ns.nft:run("flush chain inet filter input\nadd rule inet filter input " .. text, params)
    return rules()[1]
  end

  it("of each type are put in as such", function()
    for _, case in ipairs {
      { "ip saddr $x accept", "10.0.0.1", "ip saddr 10.0.0.1 accept" },
      { "ip saddr $x accept", "10.0.0.0/24", "ip saddr 10.0.0.0/24 accept" },
      { "ip saddr != $x accept", "10.0.0.1-10.0.0.9", "ip saddr != 10.0.0.1-10.0.0.9 accept" },
      { "ip saddr $x accept", { "10.0.0.1", "10.0.0.2" }, "ip saddr { 10.0.0.1, 10.0.0.2 } accept" },
      { "ip6 daddr $x drop", "fd00::1", "ip6 daddr fd00::1 drop" },
      { "ip6 daddr $x drop", "fd00::/64", "ip6 daddr fd00::/64 drop" },
      { "ip6 daddr $x drop", "::ffff:10.0.0.1", "ip6 daddr ::ffff:10.0.0.1 drop" },
      { "tcp dport $x accept", 22, "tcp dport 22 accept" },
      { "tcp dport $x accept", "22", "tcp dport 22 accept" },
      { "tcp dport $x accept", "1024-2000", "tcp dport 1024-2000 accept" },
      { "tcp dport $x accept", "ssh", "tcp dport 22 accept" },
      { "udp sport { $x, 53 } accept", 67, "udp sport { 53, 67 } accept" },
      { "iifname $x accept", "eth0", 'iifname "eth0" accept' },
      { "iifname != $x accept", { "a", "b" }, 'iifname != { "a", "b" } accept' },
      { "meta mark set $x", 5, "meta mark set 0x00000005" },
      { "ct state $x accept", "established", "ct state established accept" },
      { "log prefix $x", "it's: ", 'log prefix "it\'s: "' },
      { "accept comment $x", "a; flush ruleset #", 'accept comment "a; flush ruleset #"' },
      { "limit rate $x/second accept", 10, "limit rate 10/second accept" },
      { "meta l4proto $x accept", "tcp", "meta l4proto tcp accept" },
    } do
      assert.equal(case[3], rule(case[1], { x = case[2] }), case[1])
    end
  end)

  it("name tables, chains and sets", function()
    ns.nft:run("add chain inet $t $c\nadd set $f $t $s { type ipv4_addr; }\nadd element inet $t $s { $a }\n"
      .. "add rule inet $t input ip saddr @$s jump $c",
      { f = "inet", t = "filter", s = "bad", a = "10.0.0.1", c = "other" })
    assert.matches("elements = { 10.0.0.1 }", sh.nft("fw", "list set inet filter bad"))
    assert.equal("ip saddr @bad jump other", rules()[#rules()])
  end)

  it("cannot inject", function()
    local evil = {
      "10.0.0.1; flush ruleset", "10.0.0.1 accept\nflush ruleset", "10.0.0.1 } accept; flush ruleset; {",
      '" accept; flush ruleset; "', "10.0.0.1\0", "$other", "@bad", "{ 0.0.0.0/0 }", "0.0.0.0/0 accept", "*", "",
      "include \"/etc/passwd\"", "10.0.0.1#", "accept", "eth0\" accept comment \"", "\\", "'", "`id`",
      "1-2; list ruleset",
    }
    ns.nft:run "add rule inet filter input accept"
    local before = sh.nft("fw", "list ruleset")
    for _, value in ipairs(evil) do
      for _, text in ipairs {
        "add rule inet filter input ip saddr $x accept", "add rule inet filter input ip6 daddr $x accept",
        "add rule inet filter input tcp dport $x accept", "add rule inet filter input iifname $x jump gone",
        "add rule inet filter input jump $x", "add rule inet filter $x accept", "add rule inet $x input accept",
        "add element inet filter $x { 10.0.0.1 }", "add rule inet filter input ip saddr @$x accept",
        "add rule $x filter input accept", "add chain inet filter $x { type nat hook input priority 0; policy stop; }",
        "add rule inet filter input ct state $x accept", "add rule inet filter input meta mark set $x",
      } do
        pcall(ns.nft.run, ns.nft, text, { x = value })
        local after = sh.nft("fw", "list ruleset")
        if after ~= before then
          error(("%q as %s changed the ruleset:\n%s"):format(value, text, after))
        end
      end
    end
  end)

  it("an interface's name is no pattern", function()
    assert.equal([[iifname "eth\*" accept]], rule("iifname $x accept", { x = "eth*" }))
  end)

  it("that do not fit are refused by name", function()
    for _, case in ipairs {
      { "ip saddr $x accept", "fd00::1", "%$x must be an IPv4 address, a prefix or a range, got \"fd00::1\"" },
      { "ip saddr $x accept", "10.0.0.256", "%$x must be an IPv4 address" },
      { "ip saddr $x accept", "10.0.0.0/33", "%$x must be an IPv4 address" },
      { "ip saddr $x accept", "example.com", "%$x must be an IPv4 address" },
      { "ip6 saddr $x accept", "10.0.0.1", "%$x must be an IPv6 address" },
      { "ip6 saddr $x accept", "fd00:::1", "%$x must be an IPv6 address" },
      { "tcp dport $x accept", 65536, "%$x must be a port %(0 to 65535%)" },
      { "tcp dport $x accept", -1, "%$x must be a port" },
      { "tcp dport $x accept", "22 accept", "%$x must be a port" },
      { "tcp dport $x accept", 2.5, "%$x must be a port" },
      { "iifname $x accept", "sixteen-letters-", "%$x must be the name of an interface" },
      { "iifname $x accept", "a/b", "%$x must be the name of an interface" },
      { "jump $x", "a b", '"a b" is not the name of a parameter %$x' },
      { "meta mark set $x", 1.5, "%$x must be an integer" },
      { "ct state $x accept", 'a"b', "must not contain quotation marks" },
      { "ip saddr $x accept", {}, "%$x is an empty list" },
      { "ip saddr $x accept", true, "%$x must be" },
      { "meta mark set $x", print, "%$x must be a string, an integer or a list of them, got function" },
      { 'log prefix "$x"', "p", "write %$x without quotation marks" },
      { "log prefix $x", ("p"):rep(128), "a log prefix has at most 127 bytes" },
      { "accept comment $x", ("p"):rep(129), "a comment has at most 128 bytes" },
      { "accept", 5, "there is no %$x in the text" },
    } do
      local err = fails(ns.nft.run, ns.nft, "add rule inet filter input " .. case[1], { x = case[2] })
      assert.equal("string", type(err), case[1])
      assert.matches("^spec/nft/run_spec.lua:%d+: .*" .. case[3], err)
    end
    assert.same({}, rules())
  end)

  it("that are missing are left to nft", function()
    assert.matches("unknown identifier 'y'", fails(ns.nft.run, ns.nft, "add rule inet filter input tcp dport $y accept",
      {}).nft)
  end)
end)

describe("list and add", function()
  it("bring a whole ruleset elsewhere", function()
    ns.nft:run(FILTER .. [[
      add set inet filter s { type ipv4_addr; flags interval,timeout; elements = { 10.0.0.0/8, 11.0.0.1 timeout 1h } }
      add chain inet filter other
      add map inet filter m { type inet_service : verdict; elements = { 22 : jump other, 80 : accept } }
      add rule inet filter input ip saddr @s tcp dport vmap @m comment "hi"
    ]])
    local other <close> = netns.new()
    other.nft:add(ns.nft:list())
    assert.equal(ns.nft:text():gsub("expires %S+", ""), (other.nft:text():gsub("expires %S+", "")))
  end)

  it("can be of a family or a table", function()
    ns.nft:run "add table ip a\nadd table ip b\nadd table ip6 a\nadd chain ip a c"
    assert.equal(1, #ns.nft:list { family = "ip6" })
    assert.equal(2, #ns.nft:list { family = "ip", table = "a" })
    assert.equal("ENOENT", fails(ns.nft.list, ns.nft, { family = "ip", table = "c" }).code)
  end)

  it("add refuses what is no ruleset, naming the entry", function()
    for _, case in ipairs {
      { 5, "a ruleset must be a list" },
      { { 5 }, "entry 1 of a ruleset must be a table, got 5" },
      { { { tabel = {} } }, 'entry 1 of a ruleset: unknown kind "tabel" %(did you mean "table"%?%)' },
      { { { table = { family = "ip", name = "a" } }, { chain = { family = "ip", table = "a", name = "b", hok = 1 } } },
        'chain: unknown key "hok" %(did you mean "hook"%?%)' },
      { { { table = { family = "ipx", name = "a" } } }, "family must be one of ip, ip6, .*got \"ipx\"" },
      { { { table = { family = "ip", name = "a b" } } }, '"a b" is not the name of a table' },
      { { { rule = { family = "ip", table = "a", chain = "b" } } }, "rule: expr %(a list of statements%) is missing" },
      { { { rule = { family = "ip", table = "a", chain = "b", expr = { { acept = true } } } } },
        'unknown statement "acept" %(did you mean "accept"%?%)' },
      { { { rule = { family = "ip", table = "a", chain = "b", expr = { { match = { left = { paylod = {} },
        right = 1 } } } } } }, 'unknown expression "paylod" %(did you mean "payload"%?%)' },
    } do
      assert.matches(case[2], fails(ns.nft.add, ns.nft, case[1]))
    end
    assert.equal("", sh.nft("fw", "list ruleset"))
  end)

  it("data cannot inject", function()
    local evil = '"; flush ruleset; add table ip evil #'
    for _, expr in ipairs {
      { { match = { left = { meta = { key = evil } }, right = 1 } } },
      { { match = { left = { payload = { protocol = "ip", field = evil } }, right = 1 } } },
      { { match = { left = { payload = { protocol = "ip", field = "saddr" } }, right = evil } } },
      { { match = { op = evil, left = { payload = { protocol = "ip", field = "saddr" } }, right = 1 } } },
      { { jump = { target = evil } } }, { { log = { prefix = evil } } }, { { counter = evil } },
      { { dnat = { addr = evil } } },
      { { dnat = { family = evil, addr = "10.0.0.1" } } }, { { reject = { type = evil } } },
      { { masquerade = { flags = evil } } },
      { { queue = { num = 1, flags = evil } } }, { { ["ct helper"] = evil } },
      { { set = { op = "add", set = evil, elem = 1 } } },
      { { limit = { rate = 1, per = evil } } }, { { fwd = { dev = evil } } }, { evil },
      { { vmap = { key = evil, data = evil } } },
    } do
      ns.nft:run "table ip keep { chain c { }; }"
      pcall(ns.nft.add, ns.nft, { { rule = { family = "ip", table = "keep", chain = "c", expr = expr } } })
      assert.equal("table ip keep\n", sh.nft("fw", "list tables"))
    end
  end)
end)

describe("flush", function()
  it("removes what was made here, and nothing of others", function()
    sh.nft("fw", "add table ip theirs")
    ns.nft:run "add table ip ours\nadd table ip theirs\nadd chain ip theirs c"
    ns.nft:table { family = "inet", name = "objects" }
    ns.nft:run("add table ip6 blind", nil, { echo = false })
    ns.nft:flush()
    assert.equal("table ip theirs\n", sh.nft("fw", "list tables"))
  end)

  it("does not remove a table of others that has got the name of ours", function()
    ns.nft:run "add table ip t"
    sh.nft("fw", "'delete table ip t; add table ip t'")
    ns.nft:flush()
    assert.equal("table ip t\n", sh.nft("fw", "list tables"))
  end)

  it("with all = true removes everything, or a family", function()
    sh.nft("fw", "'add table ip a; add table ip6 b'")
    ns.nft:flush { all = true, family = "ip6" }
    assert.equal("table ip a\n", sh.nft("fw", "list tables"))
    ns.nft:flush { all = true }
    assert.equal("", sh.nft("fw", "list tables"))
  end)

  it("by name removes that table", function()
    sh.nft("fw", "'add table ip a; add table ip b'")
    ns.nft:flush { family = "ip", table = "a" }
    assert.equal("table ip b\n", sh.nft("fw", "list tables"))
    assert.equal("ENOENT", fails(ns.nft.flush, ns.nft, { family = "ip", table = "a" }).code)
  end)

  it("refuses what it does not know", function()
    assert.matches('unknown key "al"', fails(ns.nft.flush, ns.nft, { al = true }))
    assert.matches("say which table, or all = true", fails(ns.nft.flush, ns.nft, { family = "ip" }))
  end)

  it("is known by all handles of a namespace", function()
    ns.nft:run "add table ip t"
    local again <close> = netns.open "fw"
    again.nft:flush()
    assert.equal("", sh.nft("fw", "list tables"))
  end)
end)
