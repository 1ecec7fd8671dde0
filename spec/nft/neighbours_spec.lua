--- Other users of nf_tables and of the old tables on the same machine: their rules are listed
-- without harm, and never flushed unless asked for.
require("spec.support.leaks").gate()
local core = require "netns.core"
local netns = require "netns"
local sh = require "spec.support.sh"

describe("rules of iptables-nft", function()
  local ns

  before_each(function()
    ns = netns.new "beside"
    for _, rule in ipairs {
      "iptables-nft -A INPUT -p tcp --dport 22 -j ACCEPT",
      "iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT",
      "iptables-nft -A INPUT -p tcp -m multiport --dports 80,443 -m comment --comment 'web; \"quoted\"' -j DROP",
      "iptables-nft -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE",
      "ip6tables-nft -A INPUT -p icmpv6 -j ACCEPT",
    } do
      sh.inside("beside", rule)
    end
  end)

  after_each(function()
    ns:close()
    core.nft_stop()
  end)

  local function saved()
    return (sh.inside("beside", "iptables-nft-save; ip6tables-nft-save"):gsub("#[^\n]*\n", ""))
  end

  it("are listed", function()
    local tables, count = {}, 0
    for _, entry in ipairs(ns.nft:list()) do
      if entry.table then
        tables[#tables + 1] = entry.table.family .. " " .. entry.table.name
      end
      count = count + (entry.rule and 1 or 0)
    end
    table.sort(tables)
    assert.same({ "ip filter", "ip nat", "ip6 filter" }, tables)
    assert.equal(5, count)
    assert.equal(sh.nft("beside", "list ruleset"), ns.nft:text())
  end)

  it("stay when ours come and go", function()
    local before = saved()
    ns.nft:table({ family = "inet", name = "ours" }):chain({ name = "c", hook = "input" }):rule "accept"
    require("netns.firewall").default_deny(ns):undo()
    ns.nft:flush()
    assert.equal(before, saved())
    assert.is_nil(ns.nft.table:get { family = "inet", name = "ours" })
  end)

  it("stay when a rule of ours was put into their table", function()
    ns.nft:run "add rule ip filter INPUT tcp dport 99 counter accept"
    ns.nft:flush()
    assert.matches("dport 99", sh.nft("beside", "list table ip filter"))
  end)

  it("go when asked for by name, or with everything", function()
    ns.nft:flush { family = "ip", table = "nat" }
    assert.is_nil(saved():find("*nat", 1, true))
    ns.nft:flush { all = true }
    assert.equal("", sh.nft("beside", "list ruleset"))
  end)

  it("with an extension that nft does not know are not made by us, and the error says so", function()
    local other <close> = netns.new()
    local ok, err = pcall(other.nft.add, other.nft, ns.nft:list())
    if ok then
      assert.equal(sh.nft("beside", "list ruleset"), other.nft:text())
    else
      assert.matches("xt statement is of iptables%-nft", tostring(err))
      assert.equal("", other.nft:text())
    end
  end)
end)

it("rules of iptables-legacy are out of sight and stay", function()
  local ns <close> = netns.new "legacy"
  local r = sh.try_inside("legacy", "iptables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT")
  if not r.ok then
    require("spec.support.features").skip("this kernel has no iptables-legacy (" .. r.stderr:gsub("\n.*", "") .. ")")
  end
  local before = sh.inside("legacy", "iptables-legacy -S")
  assert.same({}, ns.nft:list())
  ns.nft:run "add table ip filter"
  ns.nft:flush { all = true }
  assert.equal(before, sh.inside("legacy", "iptables-legacy -S"))
  core.nft_stop()
end)
