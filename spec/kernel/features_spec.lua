--- The kernels of `make test-kernel` and `make test-kernel-stock` have what a spec can ask for, so
-- that no spec is skipped there for want of a kernel feature; on other kernels nothing to prove.
local features = require "spec.support.features"
local sh = require "spec.support.sh"

local kinds = [[dummy veth ifb tun tap nlmon netkit vrf macvlan macvtap ipvlan ipvtap macsec wireguard vlan bridge bond
  team vxlan geneve bareudp gtp amt gre gretap ip6gre ip6gretap erspan ip6erspan ipip sit ip6tnl vti vti6 xfrm hsr
  batadv vcan vxcan vsockmon netdevsim bridge-vlan]]
local qdiscs = [[pfifo bfifo prio sfq fq fq_codel codel pie fq_pie cake hhf plug tbf netem red sfb gred choke hfsc htb
  drr qfq ets skbprio etf cbs ingress clsact]]
local filters = "matchall flower u32 basic fw bpf"
local actions = [[gact drop police pedit mirred skbedit vlan csum nat connmark ct mpls sample tunnel_key skbmod
  simple]]
local netfilter = "flowtable queue egress fib nat ct log reject bridge synproxy tproxy"
local others = [[mpls seg6 seg6local lwt-ip ioam6 rpl nexthop mptcp ipsec mroute userns cgroup2]]

describe("the options of the User-Mode Linux", function()
  it("are well-formed, and none is named twice", function()
    local seen = {}
    for line in io.lines "spec/kernel/uml.options" do
      for word in line:gsub("#.*", ""):gmatch "%S+" do
        local name = word:match "^%-?([A-Z0-9_]+)$" or word:match "^([A-Z0-9_]+)=.+$"
        assert.is_string(name, "not NAME, -NAME or NAME=VALUE: " .. word)
        assert.is_nil(seen[name], name .. " is there twice")
        seen[name] = true
      end
    end
    assert.is_true(seen.WIREGUARD)
  end)
end)

describe("the kernel of this lane", function()
  if os.getenv "NETNS_FULL_KERNEL" ~= "1" then
    return
  end

  local lacks = os.getenv "NETNS_KERNEL_LACKS" or ""

  local function has(names, prefix)
    for word in names:gmatch "%S+" do
      local name = (prefix or "") .. word
      local excused = (" %s "):format(lacks):find((" %s "):format(name), 1, true)
      it((excused and "has no " or "has ") .. name, function()
        local there, why = features.has(name)
        assert.equal(not excused, there, why)
      end)
    end
  end
  has(kinds)
  has(qdiscs, "qdisc-")
  has(filters, "cls-")
  has(actions, "act-")
  has "nft"
  has(netfilter, "nft-")
  has(others)

  it("gives a new namespace nothing but lo", function()
    local links = sh.run { "unshare", "--net", "ip", "-br", "link" }
    assert.matches("^lo%s[^\n]*\n$", links)
  end)

  it("lets an unprivileged user make namespaces, and links in them", function()
    sh.run { "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "--user",
      "--map-root-user", "--net", "ip", "link", "add", "x", "type", "dummy" }
  end)

  it("delays by what netem says", function()
    local out = sh.run { "unshare", "--net", "sh", "-ec", [[
      ip link set lo up
      tc qdisc add dev lo root netem delay 20ms
      ping -q -c 3 -i 0.05 -W 5 127.0.0.1]] }
    assert.is_true(tonumber(out:match "= ([%d.]+)/") >= 40) -- there and back
  end)
end)
