require("spec.support.leaks").gate()
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"

describe("ns.sysctl", function()
  local ns

  before_each(function()
    ns = netns.new "sysctl"
  end)

  after_each(function()
    ns:close()
  end)

  local function seen_inside(name)
    return sh.inside("sysctl", { "sysctl", "-n", name }):gsub("\n", "")
  end

  it("writes what sysctl(8) reads inside, and nowhere else", function()
    local here = netns.current()
    local before = here.sysctl["net.ipv4.ip_forward"]
    ns.sysctl["net.ipv4.ip_forward"] = 1
    assert.equal("1", (seen_inside "net.ipv4.ip_forward"))
    assert.equal(before, here.sysctl["net.ipv4.ip_forward"])
    here:close()
  end)

  it("reads what sysctl(8) wrote: integers as numbers, other values as text", function()
    features.need_root "name groups other than one's own"
    sh.inside("sysctl", { "sysctl", "-qw", "net.ipv4.ip_default_ttl=33", "net.ipv4.ping_group_range=5 9" })
    assert.equal(33, ns.sysctl["net.ipv4.ip_default_ttl"])
    assert.equal("5\t9", ns.sysctl["net.ipv4.ping_group_range"])
  end)

  it("takes both separators, and names of links with dots", function()
    sh.run { "ip", "-n", "sysctl", "link", "add", "eth0.1", "type", "veth", "peer", "name", "p" }
    ns.sysctl["net.ipv4.conf.eth0/1.forwarding"] = true
    assert.equal(1, ns.sysctl["net/ipv4/conf/eth0.1/forwarding"])
    ns.sysctl["net/ipv4/conf/eth0.1/forwarding"] = false
    assert.equal(0, ns.sysctl["net.ipv4.conf.eth0/1.forwarding"])
    assert.equal("0", (seen_inside "net.ipv4.conf.eth0/1.forwarding"))
  end)

  it("lists what is below a prefix, as sysctl -a does", function()
    local listed = ns.sysctl:list "net.ipv4.conf.lo"
    local count = 0
    for line in sh.inside("sysctl", { "sysctl", "-e", "net.ipv4.conf.lo" }):gmatch "[^\n]+" do
      local name, value = line:match "^(%S+) = (.*)$"
      assert.equal(value, tostring(listed[name]), name)
      count = count + 1
    end
    assert.is_true(count > 20)
    local names = 0
    for _ in pairs(listed) do
      names = names + 1
    end
    assert.equal(count, names)
  end)

  it("says in the kernel's words what failed", function()
    local _, err = netns.try(function()
      return ns.sysctl["net.ipv4.nowhere"]
    end)
    assert.equal("ENOENT", err.code)
    assert.equal("sysctl read net/ipv4/nowhere in sysctl: No such file or directory (ENOENT)", tostring(err))
    local _, invalid = netns.try(function()
      ns.sysctl["net.ipv4.ip_forward"] = "many"
    end)
    assert.equal("EINVAL", invalid.code)
    local _, gone = netns.try(ns.sysctl.list, ns.sysctl, "net.nowhere")
    assert.equal("ENOENT", gone.code)
  end)

  it("refuses names that are not a namespace's, and values that are none", function()
    local names = { "kernel.hostname", "net/../kernel/hostname", "net.ipv4../x", "", "net.", "net//x", 7, "net.\0" }
    for _, name in ipairs(names) do
      assert.error_matches(function()
        return ns.sysctl[name]
      end, "^sysctl: ")
    end
    assert.error_matches(function()
      ns.sysctl["net.ipv4.ip_forward"] = { 1 }
    end, "must be an integer, a string or a boolean, got table")
    assert.error_matches(function()
      ns.sysctl["net.ipv4.ip_forward"] = 0.5
    end, "got float")
    assert.equal(0, ns.sysctl["net.ipv4.ip_forward"])
  end)

  it("fails on a closed namespace", function()
    local sysctl = ns.sysctl
    ns:close()
    assert.error_matches(function()
      return sysctl["net.ipv4.ip_forward"]
    end, "the namespace is closed")
  end)
end)
