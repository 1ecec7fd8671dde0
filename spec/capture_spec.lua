require("spec.support.leaks").gate { warm = function()
  require("spec.support.luv").loop_mode()
end }
local features = require "spec.support.features"
local nets = require "spec.support.nets"
local netns = require "netns"
local pcap_file = require "spec.support.pcap_file"
local sh = require "spec.support.sh"
local system = require "system"

local net, a, b, eth

setup(function()
  net = nets.line { "a", "r", "b" }
  a, b = net.a, net.b
  eth = a.link:get "right"
end)

teardown(function()
  net:close()
end)

local function collect(cap)
  local list = {}
  for p in cap:each(0) do
    list[#list + 1] = p
  end
  return list
end

-- What tshark says of a file: it must have nothing to complain about.
local function tshark(file, args)
  local r = sh.try("tshark -r " .. file .. " " .. args)
  local complaints = r.stderr:gsub("Running as user [^\n]*\n", "")
  assert.same({ true, "" }, { r.ok, complaints })
  return r.stdout
end

local function traffic(ns)
  assert(ns:ping("10.0.2.2", { count = 5, interval = 0.002, size = 1200 }))
  assert(ns:ping("fd00:2::2", { count = 3, interval = 0.002 }))
  ns:reach("10.0.2.2", { tcp = 9 }) -- refused
  ns:reach("10.0.2.2", { udp = 9 }) -- port unreachable
  ns:traceroute("10.0.2.2")
end

describe("a capture", function()
  it("agrees with tcpdump's run beside it", function()
    features.need_root "run tcpdump, which sets its groups"
    sh.with_dir(function(dir)
      local theirs, ours = dir .. "/theirs.pcap", dir .. "/ours.pcapng"
      local filter = "icmp or icmp6 or tcp or udp"
      local tcpdump <close> = a:spawn({ "tcpdump", "-Z", "root", "-i", "right", "-U", "--immediate-mode",
        "--time-stamp-precision=nano", "-w", theirs, filter }, { ready = { check = function()
          local f = io.open(theirs)
          return f and f:seek "end" >= 24 and f:close()
        end } })
      local cap <close> = eth:capture { filter = filter, file = ours }
      local lua <close> = eth:capture { filter = filter }
      traffic(a)
      cap:stop()
      lua:stop()
      local mine = pcap_file.read(sh, ours, dir)
      sh.eventually(function()
        return #pcap_file.parse(sh.read_file(theirs)) >= #mine
      end, 10, "as many packets in tcpdump's file")
      tcpdump:kill "INT"
      tcpdump:wait(10)
      local other, values = pcap_file.parse(sh.read_file(theirs)), collect(lua)
      assert.is_true(#mine > 20)
      assert.equal(#other, #mine)
      assert.equal(#other, #values)
      assert.equal(#other, cap:stats().written)
      assert.same({ #other, 0 }, { cap:stats().received, cap:stats().dropped })
      for i, p in ipairs(other) do
        assert.same({ p.length, p.bytes }, { mine[i].length, mine[i].bytes }, "packet " .. i)
        assert.same({ p.length, p.bytes }, { values[i].length, values[i].bytes }, "packet " .. i)
        assert.equal(mine[i].ns, values[i].ns)
        assert.is_true(math.abs(p.ns - mine[i].ns) < 1000000000)
      end
    end)
  end)

  it("decodes as tshark does", function()
    local fields = {
      { "eth.src", function(p) return p.ethernet.src end },
      { "eth.type", function(p) return ("0x%04x"):format(p.ethernet.type) end },
      { "ip.src", function(p) return p.ipv4 and p.ipv4.src end },
      { "ip.dst", function(p) return p.ipv4 and p.ipv4.dst end },
      { "ip.ttl", function(p) return p.ipv4 and p.ipv4.ttl end },
      { "ip.len", function(p) return p.ipv4 and p.ipv4.length end },
      { "ip.id", function(p) return p.ipv4 and ("0x%04x"):format(p.ipv4.id) end },
      { "ip.flags.df", function(p) return p.ipv4 and (p.ipv4.df and 1 or 0) end },
      { "ip.proto", function(p) return p.ipv4 and p.ipv4.protocol end },
      { "ipv6.src", function(p) return p.ipv6 and p.ipv6.src end },
      { "ipv6.dst", function(p) return p.ipv6 and p.ipv6.dst end },
      { "ipv6.hlim", function(p) return p.ipv6 and p.ipv6.hop_limit end },
      { "ipv6.plen", function(p) return p.ipv6 and p.ipv6.length end },
      { "ipv6.flow", function(p) return p.ipv6 and ("0x%06x"):format(p.ipv6.flow_label) end },
      { "tcp.srcport", function(p) return p.tcp and p.tcp.sport end },
      { "tcp.dstport", function(p) return p.tcp and p.tcp.dport end },
      { "tcp.seq_raw", function(p) return p.tcp and p.tcp.seq end },
      { "tcp.ack_raw", function(p) return p.tcp and p.tcp.ack_seq end },
      { "tcp.flags.syn", function(p) return p.tcp and (p.tcp.syn and 1 or 0) end },
      { "tcp.flags.reset", function(p) return p.tcp and (p.tcp.rst and 1 or 0) end },
      { "tcp.window_size_value", function(p) return p.tcp and p.tcp.window end },
      { "tcp.hdr_len", function(p) return p.tcp and p.tcp.header_length end },
      { "tcp.options.mss_val", function(p) return p.tcp and p.tcp.mss end },
      { "tcp.options.wscale.shift", function(p) return p.tcp and p.tcp.window_scale end },
      { "tcp.options.timestamp.tsval", function(p) return p.tcp and p.tcp.timestamp and p.tcp.timestamp.value end },
      { "udp.srcport", function(p) return p.udp and p.udp.sport end },
      { "udp.dstport", function(p) return p.udp and p.udp.dport end },
      { "udp.length", function(p) return p.udp and p.udp.length end },
      { "icmp.type", function(p) return p.icmp and p.icmp.type end },
      { "icmp.code", function(p) return p.icmp and p.icmp.code end },
      { "icmp.ident", function(p) return p.icmp and p.icmp.id end },
      { "icmp.seq", function(p) return p.icmp and p.icmp.seq end },
      { "icmpv6.type", function(p) return p.icmpv6 and p.icmpv6.type end },
      { "icmpv6.echo.identifier", function(p) return p.icmpv6 and p.icmpv6.id and ("0x%04x"):format(p.icmpv6.id) end },
      { "icmpv6.nd.ns.target_address",
        function(p) return p.icmpv6 and p.icmpv6.type == 135 and p.icmpv6.target or nil end },
      { "arp.opcode", function(p) return p.arp and p.arp.op end },
      { "arp.src.proto_ipv4", function(p) return p.arp and p.arp.sender end },
      { "arp.dst.proto_ipv4", function(p) return p.arp and p.arp.target end },
      { "arp.src.hw_mac", function(p) return p.arp and p.arp.sender_lladdr end },
    }
    sh.with_dir(function(dir)
      local file = dir .. "/x.pcapng"
      local cap <close> = eth:capture { file = file }
      a.neigh:flush { dev = "right" }
      traffic(a)
      local seen = collect(cap)
      cap:stop()
      local args = { "-T fields -E separator=, -E occurrence=f" }
      for _, field in ipairs(fields) do
        args[#args + 1] = "-e " .. field[1]
      end
      local i, heads = 0, {}
      for line in tshark(file, table.concat(args, " ")):gmatch "[^\n]+" do
        i = i + 1
        local p, at = seen[i], 0
        local quoted = p.icmp and p.icmp.original ~= nil -- tshark's fields are the quoted packet's, too
        for value in (line .. ","):gmatch "([^,]*)," do
          at = at + 1
          local name, mine = fields[at][1], fields[at][2](p)
          if not (quoted and (name:find "^[tu][cd]p" or name:find "^icmp%.[is]")) then
            assert.equal(value, mine and tostring(mine) or "", ("packet %d, %s: %s"):format(i, name, tostring(p)))
          end
          heads[name] = heads[name] or mine ~= nil
        end
      end
      assert.equal(#seen, i)
      for _, field in ipairs(fields) do
        assert.truthy(heads[field[1]], field[1] .. " was never seen")
      end
    end)
  end)

  it("shows what ICMP errors quote, and each packet as a line", function()
    local cap <close> = eth:capture { filter = "icmp", direction = "in" }
    assert.is_nil((a:reach("10.0.2.2", { udp = 9 })))
    local p = cap:next(5)
    assert.same({ "destination-unreachable", 3, "10.0.2.2", 9 },
      { p.icmp.name, p.icmp.code, p.icmp.original.ipv4.dst, p.icmp.original.udp.dport })
    assert.matches("^%d%d:%d%d:%d%d%.%d+ netns:%[%d+%]/right in  "
      .. "10%.0%.2%.2 > 10%.0%.1%.1 icmp destination%-unreachable code 3 length %d+$", tostring(p))
    assert.equal("in", p.direction)
    assert.is_nil(p.tcp)
    assert.is_nil(p.nosuch)
  end)

  it("hears one direction, both, and on loopback links each packet once", function()
    local caps = {}
    for _, direction in ipairs { "in", "out", "both" } do
      caps[direction] = eth:capture { filter = "icmp", direction = direction }
    end
    local lo <close> = a.link:get("lo"):capture { filter = "icmp" }
    assert(a:ping("10.0.2.2", { count = 3, interval = 0.001 }))
    assert(a:ping("127.0.0.1", { count = 2, interval = 0.001 }))
    local counts = {}
    for direction, cap in pairs(caps) do
      counts[direction] = #collect(cap)
      cap:close()
    end
    assert.same({ ["in"] = 3, out = 3, both = 6 }, counts)
    assert.equal(4, #collect(lo))
  end)

  it("knows when packets came, however late they are read", function()
    for _ = 1, 3 do
      local cap <close> = eth:capture { filter = "icmp" } -- perhaps the machine's only one that wants stamps
      local before = system.gettime()
      assert(a:ping("10.0.2.2", { count = 2, interval = 0.001 }))
      local after = system.gettime()
      for p in cap:each(0) do
        assert.is_true(p.time >= before - 0.001 and p.time <= after + 0.001)
        assert.is_true(math.abs(p.ns / 1e9 - p.time) < 1e-5)
      end
      assert.equal(4, cap:stats().taken)
    end
  end)

  it("cuts packets at snaplen, and stops at its limit", function()
    sh.with_dir(function(dir)
      local cap <close> = eth:capture { filter = "icmp", snaplen = 60, limit = 3, file = dir .. "/x" }
      assert(a:ping("10.0.2.2", { count = 4, interval = 0.001, size = 1000 }))
      local list = collect(cap)
      assert.equal(3, #list)
      for _, p in ipairs(list) do
        assert.same({ 1042, 60, true }, { p.length, #p.bytes, p.icmp.name:find "^echo" ~= nil })
      end
      assert.is_nil(cap:next()) -- does not wait for more
      assert.equal(3, select(2, tshark(dir .. "/x", "-T fields -e frame.len"):gsub("1042", "")))
      local again <close> = eth:capture { filter = "icmp", limit = 1, file = dir .. "/y" }
      assert(a:ping("10.0.2.2", { count = 2, interval = 0.001 }))
      assert.equal(1, again:write(5))
      assert.equal("1\n", tshark(dir .. "/y", "-T fields -e frame.number"))
    end)
  end)

  it("counts what nobody read in time, and loses no other", function()
    local cap <close> = eth:capture { filter = "icmp", buffer = 16384 }
    assert(a:ping("10.0.2.2", { count = 100, interval = 0.0005, size = 1000 }))
    local stats = cap:stats()
    assert.is_true(stats.dropped > 0)
    assert.equal(200, stats.received + stats.dropped)
    assert.equal(stats.received, #collect(cap))
    assert.same({ received = stats.received, dropped = stats.dropped }, select(2, next(cap:stats().links)))
  end)

  it("stays with its link, down and up, and when its namespace is let go", function()
    local ns = netns.new()
    ns.link:add { name = "e0", type = "veth", peer = { name = "e1", up = true } }
    local e0 = ns.link:get "e0"
    local cap <close> = e0:capture { filter = "udp" } -- before it is up
    local function send()
      local tell = "local u = require('socket').udp() u:setpeername('192.0.2.9', 7) u:send 'x'"
      assert(ns:run({ "lua5.4", "-e", tell }, { mounts = false }).ok)
    end
    e0:set { up = true }
    ns.addr:add { dev = "e0", address = "192.0.2.1/24" }
    ns.neigh:add { dev = "e0", dst = "192.0.2.9", lladdr = "02:00:00:00:00:09" }
    send()
    assert.equal(7, cap:next(5).udp.dport)
    e0:set { up = false }
    assert.is_nil(cap:next(0))
    e0:set { up = true }
    ns.neigh:replace { dev = "e0", dst = "192.0.2.9", lladdr = "02:00:00:00:00:09" }
    send()
    assert.equal(7, cap:next(5).udp.dport)
    ns.link:del "e0"
    assert.is_nil(cap:next(0))
    ns:close()
    assert.is_nil(cap:next(0))
    assert.same({ 2, 0 }, { cap:stats().received, cap:stats().dropped })
  end)

  it("takes frames of TAP links with their VLAN tags, and packets of TUN links", function()
    features.need("tun", "tap")
    local ns <close> = netns.new()
    local tap <close> = ns:tun { name = "tap0", mode = "tap" }
    local tun <close> = ns:tun { name = "tun0", mode = "tun" }
    for _, dev in ipairs { "tap0", "tun0" } do
      ns.sysctl["net.ipv6.conf." .. dev .. ".disable_ipv6"] = 1
      ns.link:set { dev = dev, up = true }
    end
    local function ipv4(payload)
      return string.pack(">BBI2I2I2BBI2", 0x45, 0, 20 + #payload, 1, 0, 64, 17, 0) .. "\10\9\0\1\10\9\0\2" .. payload
    end
    local datagram = ipv4(string.pack(">I2I2I2I2", 1000, 2000, 12, 0) .. "data")
    local ether = ("\255"):rep(6) .. "\2\0\0\0\0\9"
    local tagged = ether .. string.pack(">I2I2I2", 0x8100, 0x6007, 0x0800) .. datagram
    local double = ether .. string.pack(">I2I2I2I2I2", 0x88a8, 9, 0x8100, 7, 0x0800) .. datagram
    local all <close> = ns.link:get("tap0"):capture {}
    local seven <close> = ns.link:get("tap0"):capture { filter = "vlan 7 and udp port 2000" }
    local eight <close> = ns.link:get("tap0"):capture { filter = "vlan 8" }
    tap:write(tagged)
    tap:write(ether .. "\8\0" .. datagram)
    tap:write(double)
    local p = all:next(5)
    assert.equal(tagged, p.bytes)
    assert.equal(#tagged, p.length)
    assert.same({ 7, 3, 2000, "data" }, { p.vlan.id, p.vlan.priority, p.udp.dport, p.payload })
    assert.is_nil(all:next(5).vlan)
    p = all:next(5)
    assert.equal(double, p.bytes)
    assert.same({ 9, 7, 2000 }, { p.layers[2].id, p.layers[3].id, p.udp.dport })
    assert.equal(tagged, seven:next(5).bytes)
    assert.is_nil(seven:next(0))
    assert.is_nil(eight:next(0))
    assert.same({ 1, 0 }, { seven:stats().received, eight:stats().received })

    local raw <close> = ns.link:get("tun0"):capture { filter = "udp and host 10.9.0.2" }
    tun:write(datagram)
    p = raw:next(5)
    assert.same({ datagram, nil, 2000 }, { p.bytes, p.ethernet, p.udp.dport })
    assert.equal("data", netns.packet(datagram, "ip").payload)
    assert.has_error(function()
      ns.link:get("tun0"):capture { filter = "arp" }
    end)
  end)

  for _, kind in ipairs { "ipip", "gre", "sit", "vlan", "vti" } do
    it("takes packets of a link of type " .. kind, function()
      features.need(kind)
      local names = { vlan = "link %s name tt0 type vlan id 5", vti = "tt0 type vti local %s remote %s key 3" }
      for i, ns in ipairs { a, net.r } do
        local here, there = "10.0.1." .. i, "10.0.1." .. 3 - i
        local words = names[kind] or "tt0 type " .. kind .. " local %s remote %s"
        sh.ip(ns, "link add " .. (kind == "vlan" and words:format(i == 1 and "right" or "left") or words:format(here,
          there)))
        ns.link:set { dev = "tt0", up = true }
        ns.addr:add { dev = "tt0", address = ("192.168.9.%d/30"):format(i) }
        if kind == "sit" then
          ns.addr:add { dev = "tt0", address = ("fd09::%d/64"):format(i), nodad = true }
        end
      end
      sh.with_dir(function(dir)
        local inner <close> = a.link:get("tt0"):capture { filter = "icmp or icmp6", direction = "out",
          file = dir .. "/x" }
        local outer <close> = eth:capture { direction = "out" }
        if kind == "vti" then -- without IPsec nothing leaves, but it is there to be seen
          a:ping("192.168.9.2", { timeout = 0.05 })
        else
          assert(a:ping(kind == "sit" and "fd09::2" or "192.168.9.2"))
        end
        local p = inner:next(kind == "vti" and 0 or 5)
        if p then
          assert.equal(kind == "vlan" and "ethernet" or "ip", p.first)
          assert.equal("echo-request", (p.icmp or p.icmpv6).name)
        end
        local layers = {}
        for q in outer:each(0) do
          local list = {}
          for i, layer in ipairs(q.layers) do
            list[i] = layer.header
          end
          layers[table.concat(list, " ")] = true
        end
        local whole = { ipip = "ethernet ipv4 ipv4 icmp", gre = "ethernet ipv4", sit = "ethernet ipv4 ipv6 icmpv6",
          vlan = "ethernet vlan ipv4 icmp" }
        assert.truthy(not whole[kind] or layers[whole[kind]], table.concat(require("netns.check").names(layers), ", "))
        inner:stop()
        local encapsulation = kind == "vlan" and "Ethernet" or "Raw IP"
        assert.matches("File encapsulation: *" .. encapsulation, sh.run { "capinfos", dir .. "/x" })
        assert.equal(p and "tt0" or nil, tshark(dir .. "/x", "-T fields -e frame.interface_name"):match "/(%w+)\n")
      end)
      for _, ns in ipairs { a, net.r } do
        ns.link:del "tt0"
      end
    end)
  end

  it("is driven by luv and cqueues", function()
    local uv, cqueues = require "spec.support.luv", require "cqueues"
    local cap <close> = eth:capture { filter = "icmp", direction = "in" }
    local poll, seen = uv.new_poll(cap:fd()), nil
    poll:start("r", function()
      seen = cap:next(0)
      poll:close()
    end)
    assert(a:ping "10.0.2.2")
    uv.run()
    assert.equal("echo-reply", seen.icmp.name)
    assert.is_nil(cap:next(0))
    local loop = cqueues.new()
    loop:wrap(function()
      cqueues.poll { pollfd = cap:fd(), events = "r" }
      seen = cap:next(0)
    end)
    loop:wrap(function()
      assert(a:ping "10.0.1.2")
    end)
    assert(loop:loop())
    assert.equal("10.0.1.2", seen.ipv4.src)
  end)
end)

describe("several links", function()
  it("go into one file, with their names, in the order of time, and tshark has no complaints", function()
    sh.with_dir(function(dir)
      local file = dir .. "/all.pcapng"
      local red <close> = netns.new "red"
      red.link:set { dev = "lo", up = true }
      local cap <close> = netns.capture { eth, { link = b.link:get "left", name = "b/left" }, net.r.link:get "left",
        net.r.link:get "right", red.link:get "lo", filter = "icmp", file = file }
      assert(a:ping("10.0.2.2", { count = 10, interval = 0.001 }))
      assert(red:ping "127.0.0.1")
      cap:stop()
      local router = tostring(net.r)
      local names = { ("%s/right"):format(a), "b/left", router .. "/left", router .. "/right", "red/lo" }
      local info = sh.run { "capinfos", file }
      local found = {}
      for name in info:gmatch "Name = ([^\n]+)" do
        found[#found + 1] = name
      end
      assert.same(names, found)
      assert.matches("Strict time order: *True", info)
      assert.matches("Number of packets: *82\n", info)
      assert.equal(5, select(2, info:gsub("Filter string = icmp\n", "")))
      assert.equal(5, select(2, info:gsub("Time precision = nanoseconds %(9%)", "")))
      local counts = {}
      for name in tshark(file, "-T fields -e frame.interface_name"):gmatch "[^\n]+" do
        counts[name] = (counts[name] or 0) + 1
      end
      assert.same({ [names[1]] = 20, ["b/left"] = 20, [names[3]] = 20, [names[4]] = 20, ["red/lo"] = 2 }, counts)
      assert.equal("10\n", sh.run(("tshark -r %s -Y 'frame.interface_name == \"b/left\" && icmp.type == 8 && "
        .. "frame.packet_flags_direction == 1' 2>/dev/null | wc -l"):format(file)))
    end)
  end)

  it("say so when the disk is full, and when the file cannot be", function()
    local _, err = netns.try(eth.capture, eth, { file = "/dev/null/x.pcapng" })
    assert.equal("ENOTDIR", err.code)
    assert.matches("^capture /dev/null/x.pcapng: Not a directory", tostring(err))
    _, err = netns.try(eth.capture, eth, { file = "/dev/full", filter = "icmp" })
    assert.same({ "ENOSPC", "/dev/full" }, { err.code, err.object })
  end)
end)

describe("misuse of captures", function()
  local function refused(pattern, fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    assert.matches(pattern, tostring(err))
    assert.matches("capture_spec%.lua:%d+: ", tostring(err))
  end

  it("is refused, filters with libpcap's words", function()
    refused('capture: filter "icmpp": .*syntax error', function() eth:capture { filter = "icmpp" } end)
    refused('capture: filter "port 99999": illegal port number', function() eth:capture { filter = "port 99999" } end)
    refused('unknown key "filer" %(did you mean "file"%?%)', function() eth:capture { filer = "icmp" } end)
    refused("snaplen must be an integer from 1 to 262144, got 0", function() eth:capture { snaplen = 0 } end)
    refused("limit must be an integer from 1", function() eth:capture { limit = 1.5 } end)
    refused('direction must be "in", "out" or "both", got "up"', function() eth:capture { direction = "up" } end)
    refused("filter must be a string, got 7", function() eth:capture { filter = 7 } end)
    refused("no links to capture from", function() netns.capture {} end)
    refused("link 2: a Link expected, got", function() netns.capture { eth, "eth0" } end)
    refused('link 1: unknown key "nam"', function() netns.capture { { link = eth, nam = "x" } } end)
    refused("a Link expected, got nil", function() eth.capture() end)
    local cap = eth:capture()
    refused("a timeout is a number of seconds, got %-1", function() cap:next(-1) end)
    cap:close()
    cap:close()
    refused("the capture is closed", function() cap:next(0) end)
    refused("the capture is closed", function() cap:fd() end)
    refused("a Capture expected, got nil", function() cap.next() end)
    assert.matches("%(closed%)$", tostring(cap))
    local closed = netns.new()
    closed.link:add { name = "x", type = "bridge" }
    local link = closed.link:get "x"
    closed:close()
    refused("closed", function() link:capture() end)
  end)

  it("lets captures without filters be where there is no libpcap", function()
    local loaded, preload = package.loaded["netns.pcap"], package.preload["netns.pcap"]
    package.loaded["netns.pcap"] = nil
    package.preload["netns.pcap"] = function()
      error("libpcap.so.0.8: cannot open shared object file", 0)
    end
    local ok, err = pcall(eth.capture, eth, { filter = "icmp" })
    local cap <close> = eth:capture()
    package.loaded["netns.pcap"], package.preload["netns.pcap"] = loaded, preload
    assert.is_false(ok)
    assert.matches("a filter needs libpcap.*libpcap%.so%.0%.8: cannot open", err)
    assert(a:ping "10.0.2.2")
    assert.truthy(cap:next(5))
  end)

  it("leaves nothing behind where a capture is only forgotten", function()
    for _ = 1, 3 do
      eth:capture { filter = "icmp" }
    end
    collectgarbage()
    collectgarbage()
  end)
end)

describe("packets", function()
  -- one of every header, to be cut and garbled
  local samples = {}

  setup(function()
    local cap <close> = netns.capture { eth, net.r.link:get "left" }
    a.neigh:flush { dev = "right" }
    traffic(a)
    for p in cap:each(0) do
      samples[#samples + 1] = p.bytes
    end
    local ether = ("\2"):rep(12)
    local udp = string.pack(">I2I2I2I2", 1, 2, 8, 0)
    local tail = ("\0"):rep(15) .. "\1" .. ("\0"):rep(15) .. "\2"
    local function ipv6(next_header, payload)
      return ether .. "\x86\xdd" .. string.pack(">I4I2BB", 0x60000000, #payload, next_header, 64) .. tail .. payload
    end
    local function zeros(n)
      return ("\0"):rep(n)
    end
    samples[#samples + 1] = ipv6(0, "\43\0" .. zeros(6) .. "\60\1" .. zeros(14) .. "\17\0" .. zeros(6) .. udp)
    samples[#samples + 1] = ipv6(44, "\17\0\0\1\0\0\0\7" .. udp)
    samples[#samples + 1] = ipv6(51, "\17\4" .. ("\0"):rep(22) .. udp)
    samples[#samples + 1] = ipv6(41, string.pack(">I4I2BB", 0x60000000, 8, 17, 64) .. tail .. udp)
    samples[#samples + 1] = ("\2"):rep(12) .. ("\x81\0\0\7"):rep(30)
  end)

  it("with extension headers, fragments and tunnels are seen through", function()
    local n = #samples
    local first = netns.packet(samples[n - 4])
    assert.same({ 17, 2, 0 }, { first.ipv6.protocol, first.udp.dport, first.ipv6.next_header })
    local fragment = netns.packet(samples[n - 3])
    assert.same({ id = 7, offset = 0, more = true }, fragment.ipv6.fragment)
    assert.equal(2, fragment.udp.dport)
    assert.equal(2, netns.packet(samples[n - 2]).udp.dport)
    local inner = netns.packet(samples[n - 1])
    assert.same({ "ethernet", "ipv6", "ipv6", "udp" },
      { inner.layers[1].header, inner.layers[2].header, inner.layers[3].header, inner.layers[4].header })
    assert.equal(16, #netns.packet(samples[n]).layers)
  end)

  it("that are cut anywhere say so, or are whole", function()
    for _, bytes in ipairs(samples) do
      local whole = netns.packet(bytes)
      local last = whole.layers[#whole.layers]
      assert.is_nil(whole.truncated)
      for length = 0, #bytes do
        local p = netns.packet(bytes:sub(1, length))
        assert.is_true(#p.layers <= #whole.layers)
        assert.truthy(p.truncated or p.layers[#p.layers].header == last.header)
        assert.equal("string", type(tostring(p)))
      end
    end
  end)

  it("of garbage do no harm", function()
    math.randomseed(7)
    for round = 1, 20000 do
      local bytes = samples[round % #samples + 1]
      for _ = 1, math.random(4) do
        local at = math.random(#bytes)
        bytes = bytes:sub(1, at - 1) .. string.char(math.random(0, 255)) .. bytes:sub(at + 1)
      end
      local p = netns.packet(bytes:sub(1, math.random(0, #bytes)), round % 3 == 0 and "ip" or nil)
      assert(#p.layers <= 17 and #tostring(p) > 0 and #p.payload <= #bytes)
    end
  end)

  it("refuse what is none", function()
    assert.error_matches(function() netns.packet(nil) end, "packet: the bytes must be a string, got nil")
    assert.error_matches(function() netns.packet("", "wifi") end, 'begins with "ethernet" or "ip", got "wifi"')
  end)
end)
