--- netns.features and netns.doctor: what they say is what the kernel and the process are like.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"

describe("netns.features", function()
  -- our names, and those of spec/support/features, which asks `ip`, `tc` and `nft`
  local same = {
    { "link", "vlan", "vlan" }, { "link", "vxlan", "vxlan" }, { "link", "bond", "bond" }, { "link", "dummy", "dummy" },
    { "link", "macvlan", "macvlan" }, { "link", "erspan", "erspan" }, { "link", "ip6erspan", "ip6erspan" },
    { "link", "tap", "tap" }, { "link", "netkit", "netkit" }, { "link", "hsr", "hsr" },
    { "link", "wireguard", "wireguard" }, { "qdisc", "netem", "netem" }, { "qdisc", "htb", "qdisc-htb" },
    { "qdisc", "red", "red" }, { "qdisc", "ets", "ets" }, { "qdisc", "clsact", "clsact" },
    { "qdisc", "fq_codel", "qdisc-fq_codel" }, { "qdisc", "choke", "choke" }, { "nft", "tables", "nft" },
    { "filter", "flower", "cls-flower" }, { "filter", "u32", "cls-u32" }, { "filter", "matchall", "cls-matchall" },
    { "filter", "fw", "cls-fw" }, { "filter", "basic", "cls-basic" }, { "action", "mirred", "act-mirred" },
    { "action", "police", "act-police" }, { "action", "pedit", "act-pedit" }, { "action", "nat", "act-nat" },
    { "action", "csum", "act-csum" }, { "action", "vlan", "act-vlan" }, { "action", "skbedit", "act-skbedit" },
    { "nft", "nat", "nft-nat" }, { "nft", "flowtable", "nft-flowtable" }, { "nft", "queue", "nft-queue" },
    { "nft", "synproxy", "nft-synproxy" }, { "nft", "egress", "nft-egress" }, { "nft", "fib", "nft-fib" },
    { "route", "mpls", "mpls" }, { "route", "seg6", "seg6" }, { "route", "seg6local", "seg6local" },
    { "route", "ipsec", "ipsec" }, { "route", "nexthop", "nexthop" }, { "route", "encap_ip", "lwt-ip" },
    { "bridge", "vlan_filtering", "bridge-vlan" },
  }

  it("finds what ip, tc and nft find", function()
    local has = netns.features()
    for _, row in ipairs(same) do
      local area, name, other = table.unpack(row)
      assert.equal(features.has(other), has[area][name], area .. " " .. name)
    end
    for _, one in ipairs(has.missing) do
      assert.is_false(has[one.area][one.name])
      assert.matches("%S", one.why)
    end
    assert.matches("link .*veth", tostring(has))
    if os.getenv "NETNS_FULL_KERNEL" == "1" and not os.getenv "NETNS_KERNEL_LACKS" then
      assert.same({}, has.missing)
    end
  end)

  it("looks only where it is told to, and knows where that is", function()
    local has = netns.features("bridge", "nft")
    assert.is_nil(has.link)
    assert.is_boolean(has.bridge.vlan_filtering)
    assert.is_boolean(has.nft.flowtable)
    assert.error_matches(function()
      netns.features "links"
    end, 'there is no area "links"', nil, true)
  end)

  it("leaves nothing of this namespace changed", function()
    local before, links = netns.current():dump(), #netns.current().link:list()
    netns.features("link", "route")
    assert.equal(links, #netns.current().link:list())
    assert.same({}, netns.list())
    assert.equal("no difference", tostring(netns.compare(before, netns.current())))
  end)
end)

describe("netns.doctor", function()
  -- What another process is told, started in some way.
  local function told(before, code)
    return sh.run(("%s %s -e %s"):format(before, os.getenv "LUA" or "lua5.4",
      sh.quote(code or 'print(require("netns").doctor())')))
  end

  local function found(list, words)
    for _, one in ipairs(list) do
      if one.what:find(words, 1, true) then
        assert.matches("%S", one.remedy)
        return one
      end
    end
  end

  it("tells of what the kernel lacks, and of nothing else of the kind", function()
    local list, missing = netns.doctor(), netns.features().missing
    assert.is_true(list.ok)
    for _, one in ipairs(missing) do
      local said = false
      for _, finding in ipairs(list) do
        said = said or (" " .. finding.what .. " "):find(" " .. one.name .. " ", 1, true) ~= nil
      end
      assert.is_true(said, one.name)
    end
    assert.equal(#missing > 0, found(list, "this kernel lacks") ~= nil)
  end)

  it("tells of few descriptors, and not of many", function()
    assert.matches("warning  300 files may be open at a time.-remedy: %S", told "ulimit -S -n 300;")
    assert.is_nil(told("ulimit -S -n 8192;"):find("files may be open", 1, true))
  end)

  it("tells those who may not make namespaces what they can do", function()
    features.need_root "be another user"
    local text = told "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all"
    assert.matches("^problem  network namespaces may not be made.-remedy: run as root", text)
    assert.equal("false\n", told("setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all",
      'print(require("netns").doctor().ok)'))
  end)

  it("tells of missing programs", function()
    assert.is_nil(tostring(netns.doctor()):find("is not there", 1, true))
    local hidden = "mount -t tmpfs none /usr/sbin && mount -t tmpfs none /sbin && %s -e %s"
    local text = sh.run { "unshare", "--mount", "sh", "-c", hidden:format(os.getenv "LUA" or "lua5.4",
      sh.quote 'print(require("netns").doctor())') }
    assert.matches("warning  tc is not there.-apt%-get install iproute2", text)
  end)

  it("tells how new namespaces are, in words that print", function()
    local list = netns.doctor()
    for _, one in ipairs(list) do
      assert.is_true(one.level == "warning" or one.level == "problem")
      assert.matches(one.what:gsub("%W", "%%%0"), tostring(list))
    end
    assert.equal("nothing is in the way", tostring(setmetatable({ ok = true }, getmetatable(list))))
  end)
end)
