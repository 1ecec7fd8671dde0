--- The REPL, driven through a terminal: what objects look like, completion, history, colours.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local netns = require "netns"
local sh = require "spec.support.sh"
local view = require "netns.view"

local lua = os.getenv "LUA" or "lua5.4"

-- Does the interpreter have GNU readline? Debian's has; one that is built for checking may not.
local function needs_readline()
  local code = sh.run { lua, "-e", 'print(require("netns.core").readline.load "/dev/null")' }
  if tonumber(code) == 38 then
    pending "this Lua has no readline"
  end
end

-- Lines typed at a terminal of 90 columns; what came back, without the echo's control sequences.
local function typed(lines, opts)
  opts = opts or {}
  return sh.with_dir(function(dir)
    local env = { HOME = dir, XDG_STATE_HOME = dir .. "/state", TERM = "xterm", NO_COLOR = opts.no_color or "" }
    local module = opts.module or "netns.repl"
    local command = ("stty cols 90 rows 30; exec %s -i -l %s"):format(lua, module)
    local text = table.concat(lines, "\n") .. "\n"
    sh.write_file(dir .. "/typed", text)
    local out
    for _ = 1, opts.times or 1 do
      -- typed when the prompt is there: what comes before is the terminal's, not the reader's
      out = sh.run(("rm -f %s/log; { until grep -qsE '(2004h|^)> ' %s/log; do sleep 0.02; done; cat; } <%s/typed | "
        .. "script -qefc %s %s/log"):format(dir, dir, dir, sh.quote(command), dir), { env = env })
    end
    local history = io.open(dir .. "/state/lua-netns/history")
    local kept = history and history:read "a"
    if history then
      history:close()
    end
    return out:gsub("\27%[%?2004[hl]", ""):gsub("\r", ""), kept
  end)
end

-- What a line was answered with: what stands behind its echo at the prompt.
local function answer(out, line)
  local _, from = out:find("> " .. line .. "\n", 1, true)
  assert(from, ("no %s in:\n%s"):format(line, out))
  return out:sub(from + 1):match "^(.-)\n?> "
end

describe("lua5.4 -i -l netns", function()
  it("prints objects readably", function()
    local out = typed({ 'ns = netns.new "here"', "ns", "ns.link:get 'lo'", "ns.link:list()", "ns.nft" },
      { module = "netns" })
    assert.equal("here", answer(out, "ns"))
    assert.matches("^link 1 lo in here", answer(out, "ns.link:get 'lo'"))
    assert.matches("^ifindex +name +", answer(out, "ns.link:list()"))
    assert.equal("nft of here", answer(out, "ns.nft"))
  end)
end)

describe("lua5.4 -i -l netns.repl", function()
  local script = {
    'red = new "red"', 'red.link:set { dev = "lo", up = true }', "red", "red.link:get 'lo'", "use(red)",
    'route:add { dst = "10.9.0.0/16", type = "blackhole" }', "route",
    "fw = nft:table { family = 'inet', name = 'f' }",
    "c = fw:chain { name = 'c', type = 'filter', hook = 'input', priority = 0 }", "r = c:rule 'tcp dport 22 accept'",
    "r", "fw", "c", "{ { a = 1, b = 'x' }, { a = 22, b = 'y' } }", "{ one = 1, two = { 2, 3 } }",
    "help 'Namespace:run'", "topology.pair()", "print(1, 'x', nil)", "neigh",
  }

  it("shows what a person wants to see", function()
    local out = typed(script, { no_color = "1" })
    assert.matches("^red, netns:%[%d+%]\n  ifindex  name  type      state +mtu  addresses\n"
      .. " +1  lo    loopback  %l+ +65536  127.0.0.1/8 ::1/128\n  %d routes?, 0 processes$", answer(out, "red"))
    assert.matches("^property.*\nmtu +65536\n", answer(out, "red.link:get 'lo'"))
    assert.matches("^type +dst.*\nblackhole +10.9.0.0/16", answer(out, "route"))
    assert.matches("^tcp dport 22 accept # handle %d+$", answer(out, "r"))
    assert.matches("^table inet f {\n\tchain c {.*tcp dport 22 accept", answer(out, "fw"))
    assert.matches("^chain inet f c in red\n  tcp dport 22 accept # handle", answer(out, "c"))
    assert.equal(" a  b\n 1  x\n22  y", answer(out, script[14]))
    assert.equal("key  value\none  1\ntwo  2, 3", answer(out, script[15]))
    assert.matches("^Namespace:run%(argv %[, opts%]%)", answer(out, "help 'Namespace:run'"))
    assert.matches("^pair: 2 nodes, 1 link", answer(out, "topology.pair()"))
    assert.equal("1\tx\tnil", answer(out, "print(1, 'x', nil)"))
    assert.equal("no neigh of red", answer(out, "neigh"))
    assert.is_nil(out:find("\27[1m", 1, true))
    for line in out:gmatch "[^\n]+" do
      assert.is_true(line:find "^>" ~= nil or utf8.len(line) <= 100, line)
    end
  end)

  it("uses colours on a terminal, unless NO_COLOR is set, and never elsewhere", function()
    local out = typed { 'red = new "red"', "red", "1" }
    assert.matches("\27%[1mred, netns:%[%d+%]\27%[0m\n", answer(out, "red"))
    local plain = sh.run({ lua, "-l", "netns.repl", "-e", 'red = new "red" print(red)' },
      { env = { HOME = "/proc/nowhere" } })
    assert.matches("^red, netns:%[%d+%]\n", plain)
  end)

  it("completes names, methods, fields, keys and names of namespaces", function()
    needs_readline()
    local out = typed {
      'red = new "a-namespace"', "netn\t.vers\t", "red:pid\t()",
      "red.rou\t:repl\t { dst = '10.0.0.0/8', ty\t = 'blackhole' }",
      'open "a-na\t".name', "topology.leaf_\t", "#red.route:list { table = 'all', typ\t = 'blackhole' }",
    }
    assert.equal(netns.version, answer(out, "netns.version"))
    assert.equal("{}", answer(out, "red:pids()"))
    assert.equal("a-namespace", answer(out, 'open "a-namespace".name'))
    assert.equal("1", answer(out, "#red.route:list { table = 'all', type = 'blackhole' }"))
    assert.matches("^function", answer(out, "topology.leaf_spine"))
  end)

  it("keeps the history for the next time, in a file that only the user can read", function()
    needs_readline()
    local _, kept = typed({ "first = 1", "second = 2" }, { times = 2 })
    assert.equal("first = 1\nsecond = 2\nfirst = 1\nsecond = 2\n", kept)
    local _, left = typed { "third = 3", "os.exit(0)" }
    assert.equal("third = 3\nos.exit(0)\n", left)
  end)

  it("traces on demand", function()
    local out = typed { "trace()", 'x = new "traced"', "trace(false)", 'y = new "not"' }
    assert.matches("^ip netns add traced$", answer(out, 'x = new "traced"'))
    assert.equal("", answer(out, 'y = new "not"') or "")
  end)
end)

describe("completion", function()
  local complete

  setup(function()
    complete = require "netns.repl.complete"
  end)

  local function words(line)
    local start = #line - #line:match "[%w_.:%-]*$" + 1
    return complete.words(line, start)
  end

  it("knows classes by what the reference says of fields, without asking the kernel", function()
    local ns <close> = netns.new()
    rawset(_G, "n", ns)
    assert.same({ "n.route", "n.rule" }, words "x = n.r" and { words("n.rou")[1], words("n.rul")[1] })
    assert.same({ "n.route:add", "n.route:append" }, words "n.route:a")
    assert.same({ "metric", "mtu" }, words "n.route:add { dst = 'x', m")
    assert.same({ "n.nft.table:add" }, words "n.nft.table:ad")
    assert.same({}, words "n.nothing.x")
    assert.same({}, words "undefined:x")
    assert.same({}, words "n.route:add { 1")
    rawset(_G, "n", nil)
  end)
end)

describe("netns.view", function()
  it("leaves closed objects and plain values to tostring", function()
    local ns = netns.new "gone"
    ns:close()
    assert.equal("gone (closed)", view.text(ns))
    assert.equal("5", view.text(5))
    assert.equal("{}", view.text {})
    assert.equal("a\nb", view.text "a\nb")
  end)
end)
