require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local assertions = require "netns.assert"
local nets = require "spec.support.nets"
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

describe("a flight recorder", function()
  local net, a, eth

  setup(function()
    net = nets.line { "a", "r", "b" }
    a = net.a
    eth = a.link:get "right"
  end)

  teardown(function()
    net:close()
  end)

  local function sequence(rec)
    local list = {}
    for _, p in ipairs(rec:packets()) do
      list[#list + 1] = p.icmp and p.icmp.name == "echo-request" and p.icmp.seq or nil
    end
    return list
  end

  it("keeps the last packets of each link, however often it is drained", function()
    local rec <close> = netns.record { eth, net.r.link:get "left", net.r.link:get "right", keep = 65536, snaplen = 128,
      filter = "icmp", direction = "in" }
    for round = 1, 4 do
      assert(a:ping("10.0.2.2", { count = 250, interval = 0.0002, timeout = 5 }))
      if round % 2 == 0 then
        rec:drain()
      end
    end
    local stats = rec:stats()
    local left = stats.links[("%s/left"):format(net.r)]
    assert.equal(1000, left.received)
    assert.equal(0, stats.dropped)
    assert.equal(1000, left.kept + left.overwritten)
    assert.is_true(left.kept > 300 and left.kept < 700, left.kept)
    local list = sequence(rec) -- the newest, in order, none missing
    assert.equal(left.kept, #list)
    for i = 2, #list do
      assert.equal(list[i - 1] % 250 + 1, list[i])
    end
    assert.equal(250, list[#list])
    local times = {}
    for i, p in ipairs(rec:packets()) do
      times[i] = p.ns
      assert.is_true(i == 1 or times[i - 1] <= p.ns)
      assert.equal(98, p.length)
      assert.equal(98, #p.bytes)
    end
    assert.is_true(#times > 3 * 300)
    rec:clear()
    assert.same({}, rec:packets())
    assert(a:ping "10.0.2.2")
    assert.equal(3, #rec:packets())
  end)

  it("keeps packets of all sizes, and those that are larger than its ring in part", function()
    local rec <close> = netns.record { eth, keep = 65536, snaplen = 262144, filter = "icmp", direction = "out" }
    local expected = {}
    for i = 1, 300 do
      local size = (i * 7919) % 1400
      expected[i] = size + 42
      assert(a:ping("10.0.1.2", { size = size }))
    end
    local list = rec:packets()
    local first = #expected - #list
    assert.is_true(#list > 40 and first > 0)
    for i, p in ipairs(list) do
      assert.same({ expected[first + i], expected[first + i] }, { p.length, #p.bytes })
    end
    eth:set { mtu = 65535 }
    net.r.link:set { dev = "left", mtu = 65535 }
    local lo <close> = netns.record { a.link:get "lo", keep = 65536, snaplen = 262144 }
    a.link:set { dev = "lo", mtu = 70000 }
    assert(a:ping("127.0.0.1", { size = 65500 }))
    list = lo:packets()
    assert.equal(65542, list[1].length)
    assert.is_true(#list[1].bytes <= 65536 - 24 and #list[1].bytes > 65000)
  end)

  it("writes them down, for tshark", function()
    sh.with_dir(function(dir)
      local left = net.r.link:get "left"
      local rec <close> = netns.record { { link = eth, name = "a/eth" }, { link = left, name = "r/eth" },
        filter = "icmp" }
      assert(a:ping("10.0.2.2", { count = 5, interval = 0.001 }))
      local file = dir .. "/x.pcapng"
      local count = rec:save(file)
      assert.equal(#rec:packets(), count)
      local info = sh.run { "capinfos", file }
      assert.matches(("Number of packets: *%d\n"):format(count), info)
      assert.matches("Name = a/eth.*Name = r/eth", info)
      assert.matches("Strict time order: *True", info)
      assert.equal("10\n", sh.run("tshark -r " .. file .. " -Y 'icmp.type == 8' 2>/dev/null | wc -l"))
      assert.equal(count, rec:save(file)) -- again the same
      local _, err = netns.try(rec.save, rec, dir .. "/no/x")
      assert.equal("ENOENT", err.code)
      assert.equal(count, #rec:packets())
    end)
  end)

  it("refuses misuse", function()
    local function refused(pattern, fn)
      local ok, err = pcall(fn)
      assert.is_false(ok)
      assert.matches(pattern, tostring(err))
      assert.matches("recorder_spec%.lua:%d+: ", tostring(err))
    end
    refused("record: no links to record", function() netns.record {} end)
    refused('record: unknown key "keeep"', function() netns.record { eth, keeep = 1 } end)
    refused("keep must be an integer from 65536", function() netns.record { eth, keep = 1 } end)
    local rec = netns.record { eth }
    refused("save: the path must be a string, got nil", function() rec:save() end)
    assert.equal("recorder of 1 links", tostring(rec))
    rec:close()
    rec:close()
    refused("the recorder is closed", function() rec:drain() end)
  end)
end)

describe("a lab's flight recorder", function()
  it("records its hosts and routers by name, and a failed assertion says where the packets are", function()
    sh.with_dir(function(dir)
      local lab <close> = topology.star { hosts = 2 }:up()
      local rec <close> = lab:record { failures = dir }
      assert(lab.h1:ping(lab.h2))
      lab.h2.nft:run "table inet t { chain c { type filter hook input priority 0; icmp type echo-request drop; }; }"
      local ok, err = pcall(assertions.reaches, lab.h1, lab.h2, { timeout = 0.1 })
      assert.is_false(ok)
      local count, path = tostring(err):match "the last (%d+) packets: ([^\n]+)"
      assert.is_true(tonumber(count) >= 6)
      local names = {}
      local list = sh.run("tshark -r " .. path .. " -Y icmp -T fields -e frame.interface_name 2>/dev/null")
      for name in list:gmatch "[^\n]+" do
        names[name] = (names[name] or 0) + 1
      end
      assert.is_true(names["h1/eth0"] >= 3 and names["h2/eth0"] >= 3)
      assert.same({ "h1/eth0", "h2/eth0" }, require("netns.check").names(rec:stats().links))
      local one <close> = lab:record { nodes = { "h2" } }
      assert.same({ "h2/eth0" }, require("netns.check").names(one:stats().links))
      local cap <close> = lab:capture { filter = "icmp", file = dir .. "/all.pcapng", nodes = { lab.h1, "h2" } }
      lab.h1:ping(lab.h1)
      lab.h2:ping(lab.h1)
      cap:stop()
      assert.equal(4, cap:stats().written)
      assert.same(require("netns.check").names(rec:stats().links), require("netns.check").names(cap:stats().links))
      assert.has_error(function() lab:capture { nodes = {} } end)
      for _, case in ipairs { { { nodes = { "h9" } }, 'a node of the lab %(or its name%) expected, got "h9"' },
        { { nodes = 7 }, "nodes must be a list" }, { 7, "options must be a table" },
        { { nods = {} }, 'unknown key "nods"' } } do
        local fine, why = pcall(lab.record, lab, case[1])
        assert.is_false(fine)
        assert.matches(case[2], why)
      end
    end)
  end)

  it("writes a file for every test of busted that fails, with that test's packets", function()
    sh.with_dir(function(dir)
      sh.write_file(dir .. "/x_spec.lua", ([[
        require "busted.runner"()
        require "netns.assert"
        local topology = require "netns.topology"
        describe("x", function()
          local lab, rec
          setup(function()
            lab = topology.pair():up()
            rec = lab:record { failures = %q, filter = "icmp" }
          end)
          teardown(function()
            rec:close()
            lab:close()
          end)
          it("is fine", function() assert(lab.h1:ping(lab.h2, { count = 3, interval = 0.001 })) end)
          it("fails: of course", function()
            assert(lab.h1:ping(lab.h2))
            assert.equal(1, 2)
          end)
          it("goes on", function() assert.reaches(lab.h1, lab.h2) end)
          it("is not blocked", function() assert.blocked(lab.h1, lab.h2, { timeout = 0.1 }) end)
        end)
      ]]):format(dir))
      local r = sh.try({ os.getenv "LUA" or "lua5.4", dir .. "/x_spec.lua", "-o", "TAP" })
      assert.equal(2, select(2, r.stdout:gsub("not ok", "")), r.stdout .. r.stderr)
      assert.matches("the last %d+ packets: " .. dir:gsub("%W", "%%%0") .. "/is_not_blocked.pcapng", r.stdout)
      local files = sh.run { "sh", "-c", "cd $0 && ls *.pcapng", dir }
      assert.equal("fails_of_course.pcapng\nis_not_blocked.pcapng\n", files)
      -- one ping, seen at both ends, in both directions
      assert.equal("4\n", sh.run("tshark -r " .. dir .. "/fails_of_course.pcapng 2>/dev/null | wc -l"))
    end)
  end)
end)
