require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local nets = require "spec.support.nets"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

describe("ns:counters", function()
  it("counts what the kernel's own files and ip(8) count", function()
    local net <close> = nets.line { "a", "b" }
    assert(net.a:ping("10.0.1.2", { count = 3, interval = 0 }))
    local before = net.b:counters()
    local link = sh.ip(net.b, "-j -s link show left")[1].stats64
    local all = net.b:counters()
    -- IPv6 says something by itself now and then
    local function between(name, value)
      assert.is_true(before[name] <= value and value <= all[name], name)
    end
    between("link left rx_packets", link.rx.packets)
    between("link left tx_bytes", link.tx.bytes)
    assert.equal(3, all["icmp InEchos"])
    assert.equal(3, all["icmp OutEchoReps"])
    assert.equal(tonumber(sh.inside(net.b, "cat /proc/net/snmp"):match "\nUdp: (%d+)"), all["udp InDatagrams"])
    assert.is_true(all["ip6 InReceives"] >= 0)
    assert.is_true(all["tcpext ListenDrops"] >= 0)
  end)
end)

describe("drops", function()
  it("tell which counters of losses moved, and nothing else", function()
    local t = topology.new "t"
    local gw, srv = t:router "gw", t:host "srv"
    t:host("pc"):connect(gw)
    gw:connect(srv)
    local lab <close> = t:up()
    assert.equal("nothing was counted", tostring((lab:drops(function()
      assert(lab.pc:ping(lab.srv))
    end))))
    lab.gw.nft:run [[table inet guard {
      counter named {}
      chain c {
        type filter hook forward priority 0
        tcp dport 22 counter drop
        tcp dport 80 counter accept
      }
    }]]
    lab.gw.sysctl["net.ipv4.conf.all.rp_filter"] = 0
    local list, one, two = lab:drops(function()
      lab.pc:reach(lab.srv, { tcp = 22, timeout = 0.1 })
      lab.pc:reach(lab.srv, { udp = 9 })
      lab.pc:ping("203.0.113.1", { timeout = 0.1 })
      return 1, "two"
    end)
    assert.equal(1, one)
    assert.equal("two", two)
    local by = {}
    for _, item in ipairs(list) do
      by[item.node .. ": " .. item.counter] = item.by
    end
    assert.equal(1, by['gw: nft inet guard c "tcp dport 22 counter drop" packets'])
    assert.equal(1, by["srv: udp NoPorts"])
    assert.equal(1, by["gw: ipext InNoRoutes"] or by["pc: ip OutNoRoutes"])
    for key in pairs(by) do
      assert.is_nil(key:find "accept")
      assert.is_nil(key:find "rx_packets")
    end
    assert.matches('gw: nft inet guard c "tcp dport 22 counter drop" packets: %+1\n', tostring(list) .. "\n")

    local own = lab.gw:drops(function()
      lab.pc:reach(lab.srv, { tcp = 22, timeout = 0.1 })
    end)
    assert.equal('nft inet guard c "tcp dport 22 counter drop" packets: +1', tostring(own))
    assert(lab.pc:ping "127.0.0.1") -- on lo nobody else's packets come in between
    assert.equal(lab.pc:counters()["link lo rx_packets"], lab:counters().pc["link lo rx_packets"])
  end)
end)
