require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"

describe("netns.print", function()
  it("aligns columns: numbers to the right, text to the left", function()
    local rows = { { name = "lo", mtu = 65536 }, { name = "eth0", mtu = 1500 } }
    assert.equal("name    mtu\nlo    65536\neth0   1500", netns.print.table(rows, { "name", "mtu" }))
  end)

  it("leaves out columns that no row has, and those that say the usual thing in every row", function()
    local rows = { { a = 1, c = "x" }, { a = 2, c = "x" } }
    assert.equal("a\n1\n2", netns.print.table(rows, { "a", "b", "c" }, { c = "x" }))
    rows[2].c = "y"
    assert.equal("a  c\n1  x\n2  y", netns.print.table(rows, { "a", "b", "c" }, { c = "x" }))
  end)

  it("shows nested values on one line as ip does, and control characters as ?", function()
    local rows = { { hops = { { dev = "a", via = "10.0.0.1", onlink = true }, { dev = "b" } }, alias = "a\nb" } }
    assert.equal("a?b    via 10.0.0.1 dev a onlink, dev b", netns.print.table(rows):match "\n(.*)$")
    local round = {}
    round.round = round
    assert.matches("round round", netns.print.table { round })
  end)

  local script = [[
    local netns = require "netns"
    local ns <close> = netns.new()
    ns.link:add { name = "br0", type = "bridge", alias = ("long "):rep(40) .. "ü" }
    ns.link:set { name = "br0", up = true }
    ns.route:add { dst = "10.9.0.0/16", dev = "br0", mtu = 1300 }
    print(ns.link:list())
    print(netns.print.table { { a = ("ü"):rep(200), b = 1 } })
    print(netns.print.table { { a = 1234567, b = 1234567, c = 1234567, d = 1234567, e = 12345 } })
  ]]

  local function widest(text)
    local width = 0
    for line in text:gmatch "[^\r\n]+" do
      width = math.max(width, utf8.len(line) or #line)
    end
    return width
  end

  it("keeps within the width that COLUMNS says, and shortens text, not numbers", function()
    local lua = os.getenv "LUA" or "lua5.4"
    for _, width in ipairs { 30, 70, 100 } do
      local out = sh.run({ lua, "-e", script }, { env = { COLUMNS = width } })
      assert.is_true(widest(out) <= width, out)
      assert.matches("…", out)
    end
    local out = sh.run({ lua, "-e", script }, { env = { COLUMNS = 100 } })
    assert.matches("%d+  br0   bridge", out)
    assert.matches("long long", out)
    assert.matches(("long "):rep(40), sh.run({ lua, "-e", script }), nil, true) -- no terminal: all of it
    assert.matches(("long "):rep(40), sh.run({ lua, "-e", script }, { env = { COLUMNS = "many" } }), nil, true)
  end)

  it("keeps within the width of the terminal", function()
    sh.with_dir(function(dir)
      sh.write_file(dir .. "/s.lua", script)
      local line = ("stty cols 50 rows 20; exec %s %s/s.lua"):format(os.getenv "LUA" or "lua5.4", dir)
      local out = sh.run { "script", "-qec", line, "/dev/null" }
      assert.matches("br0", out)
      assert.is_true(widest(out) <= 50, out)
    end)
  end)

  it("refuses what is no list of tables", function()
    local function refuses(words, ...)
      local ok, err = pcall(netns.print.table, ...)
      assert.is_false(ok)
      assert.matches(words, err, nil, true)
    end
    refuses('print.table: rows must be a list of tables, got "x"', "x")
    refuses("print.table: columns must be a table, got string", {}, "name")
    refuses("print.table: columns[2] must be a key, got number", {}, { "name", 2 })
  end)

  it("prints lists of nouns that way, without touching their data", function()
    local ns <close> = netns.new()
    ns.link:add { name = "br0", type = "bridge", up = true }
    ns.route:add { dst = "10.9.0.0/16", dev = "br0" }
    local links = ns.link:list()
    assert.matches("^ifindex  name  type ", tostring(links))
    assert.matches("\n +%d+  br0   bridge ", tostring(links))
    assert.matches("dst +dev +proto +scope\n10.9.0.0/16 +br0 +boot +link", tostring(ns.route:list { family = "inet" }))
    assert.equal("", tostring(ns.neigh:list()))
    assert.equal(2, #links)
    assert.is_nil(links.noun)
  end)
end)
