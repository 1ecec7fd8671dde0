require("spec.support.leaks").gate()
local netns = require "netns"

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

  it("shows nested values on one line, and control characters as ?", function()
    local rows = { { hops = { { via = "10.0.0.1", dev = "a" }, { dev = "b" } }, alias = "a\nb", up = true } }
    assert.equal("a?b    dev a via 10.0.0.1, dev b  yes", netns.print.table(rows):match "\n(.*)$")
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
