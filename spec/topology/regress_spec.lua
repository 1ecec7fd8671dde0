-- Defects of topologies, each with its cause and its fix.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local core = require "netns.core"
local literal = require "netns.topology.literal"
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

local lua = os.getenv "LUA" or "lua5.4"

-- Call fn while a function of a module is another.
local function with(module, name, replacement, fn)
  local original = module[name]
  module[name] = replacement(original)
  local result = table.pack(pcall(fn))
  module[name] = original
  assert(result[1], result[2])
  return table.unpack(result, 2, result.n)
end

-- A function that fails at its n-th call, as where memory has run out, and otherwise does what it does.
local function failing(n)
  return function(original)
    return function(...)
      n = n - 1
      if n == 0 then
        error("not enough memory", 0)
      end
      return original(...)
    end
  end
end

-- A named lab whose owner was killed.
local function leave_behind(name)
  sh.try { lua, "-e", ([[
    require("netns.topology").pair():up { name = %q }
    os.execute("kill -9 " .. io.open("/proc/self/stat"):read "n")]]):format(name) }
  assert.equal(2, #netns.list())
end

describe("up", function()
  -- Cause: where no operation of a batch was to blame, the function that finds it was taken for the path itself and
  -- put into the error's text: "attempt to concatenate a function value" instead of what had happened.
  -- Fix: what the function finds is the path, also where that is nothing.
  it("tells of failures that are no operation's", function()
    local t = topology.pair()
    local ok, err = with(core.Namespace, "batch", function()
      return function()
        error("not enough memory", 0)
      end
    end, function()
      return pcall(t.up, t)
    end)
    assert.is_false(ok)
    assert.equal("not enough memory (node h1)", err)
  end)

  -- Cause: whatever failed between taking the record and building left its file.
  -- Fix: everything behind the lock is guarded.
  it("leaves no record when it fails before there is anything", function()
    for _, call in ipairs { { core, "list" }, { literal, "write" } } do
      local t = topology.pair()
      local ok = with(call[1], call[2], failing(1), function()
        return pcall(t.up, t, { name = "early" })
      end)
      assert.is_false(ok)
      assert.same({ {}, {} }, { core.records(), netns.list() })
    end
  end)

  it("leaves no record when the lab itself cannot be made", function()
    local t = topology.pair()
    local ok = with(require "netns.topology.lab", "wrap", failing(1), function()
      return pcall(t.up, t, { name = "late" })
    end)
    assert.is_false(ok)
    assert.same({ {}, {} }, { core.records(), netns.list() })
  end)
end)

describe("sweep", function()
  -- Cause: a record that could not be parsed for want of memory counted as one that says nothing; it was removed, and
  -- what it listed was nobody's.
  -- Fix: only an empty record says nothing; everything else is an error, and the record stays.
  it("keeps records that it could not read", function()
    leave_behind "dead"
    local ok, err = with(literal, "read", failing(1), function()
      return pcall(topology.sweep)
    end)
    assert.same({ false, "sweep: dead: not enough memory" }, { ok, err })
    assert.equal(2, #netns.list())
    assert.same({ "dead" }, topology.sweep())
    assert.same({}, netns.list())
  end)

  -- Cause: errors of removing a name were swallowed, and the record removed all the same.
  -- Fix: what cannot be removed keeps its record, is told, and is swept later.
  it("keeps records of what it could not remove", function()
    leave_behind "dead"
    local ok, err = with(core, "delete", function()
      return function()
        error("no", 0)
      end
    end, function()
      return pcall(topology.sweep)
    end)
    assert.same({ false, "sweep: dead: no" }, { ok, err })
    assert.same({ "dead" }, topology.sweep())
    assert.same({}, netns.list())
  end)

  -- Cause: the list of records left out all that begin with ".".
  -- Fix: only "." and ".." and the directory of drafts, which is no lab's name.
  it("finds labs whose names begin with a dot", function()
    leave_behind ".hidden"
    assert.same({ ".hidden" }, topology.sweep())
    assert.same({}, netns.list())
    assert.error_matches(function()
      topology.pair():up { name = ".new" }
    end, 'a lab cannot be called ".new"', nil, true)
  end)

  -- Cause: errors of opendir, open and read counted as "nothing there".
  -- Fix: only ENOENT does.
  it("tells when records cannot be read", function()
    topology.pair():up({ name = "once" }):close()
    local dir = "/run/lua-netns"
    sh.run { "mkdir", dir .. "/strange" }
    local _, err = netns.try(topology.attach, "strange")
    assert.equal("EISDIR", err.code)
    assert.error_matches(topology.sweep, "sweep: strange: record /run/lua%-netns/strange.*EISDIR")
    sh.run { "rmdir", dir .. "/strange" }
    assert.same({}, topology.sweep())
  end)
end)

describe("a record", function()
  -- Cause: a new text was written over the old one, and then the file cut: killed between the two, an owner left a
  -- mixture that nobody could read.
  -- Fix: a new file is renamed over the old one; its lock is taken before.
  it("is replaced at once, and stays locked", function()
    local record <close> = core.record("replaced", true)
    for _, text in ipairs { "a long text of the first writing", "short" } do
      record:write(text)
      assert.equal(text, core.read_record "replaced")
      assert.is_nil(core.record("replaced", false))
      assert.is_nil(core.record("replaced", true))
    end
    assert.same({ "replaced" }, core.records())
    record:remove()
    record:remove()
    assert.same({}, core.records())
    assert.is_nil(core.read_record "replaced")
  end)
end)

describe("close", function()
  -- Cause: errors of closing were swallowed, and the record was removed while a name was left, for nobody to find.
  -- Fix: everything is closed, then the error is raised; the record stays for a sweep.
  it("tells what it could not remove, and leaves the record", function()
    features.need_root "remount /run/netns"
    local lab = topology.pair():up { name = "stuck" }
    sh.run "mount -o remount,ro /run/netns"
    local ok, err = pcall(lab.close, lab)
    sh.run "mount -o remount,rw /run/netns"
    assert.is_false(ok)
    assert.matches("^lab close: namespaces: .*EROFS", err)
    assert.equal("lab (closed)", tostring(lab))
    lab:close()
    assert.same({ "stuck" }, core.records())
    assert.same({ "stuck" }, topology.sweep())
    assert.same({}, netns.list())
  end)
end)

describe("apply", function()
  -- Cause: new namespaces were noted down after they were in the lab; where memory ran out between, they stayed.
  -- Fix: what the old plan does not have is let go.
  it("leaves no new nodes when it fails, whatever fails", function()
    local lab <close> = topology.star({ hosts = 1 }):up { name = "grows" }
    for n = 1, 3 do
      local ok = with(core, "new", failing(n), function()
        return pcall(lab.apply, lab, topology.star { hosts = 4 })
      end)
      assert.is_false(ok)
      assert.same({ "h1", "s1" }, lab:names())
      assert.is_nil(lab.h2)
      assert.equal(2, #netns.list())
      assert.equal("", tostring(lab:diff()))
    end
  end)
end)

describe("check", function()
  local function findings(t)
    local list = {}
    for i, finding in ipairs(t:check()) do
      list[i] = ("%s%s: %s"):format(finding.warning and "warning " or "", finding.path, finding.message)
    end
    return table.concat(list, "\n")
  end

  local function link(opts)
    return findings(topology.pair { link = opts })
  end

  -- Cause: nothing warned of what comes up and does not do what one thinks, and some of what cannot come up passed.
  -- Fix: warnings, which keep nothing from coming up; and mistakes for what the kernel refuses.
  it("finds what the kernel has no room for", function()
    local t = topology.new "crowd"
    t:switch "s1"
    for i = 1, 1024 do
      t:host("h" .. i):attach "s1"
    end
    assert.matches("^nodes.s1: 1024 links to a switch; a bridge of the kernel has at most 1023 ports", findings(t))
    assert.equal("nodes.h1.links[1].mtu: 1000, but IPv6 needs 1280 (or ipv6 = false)", link { mtu = 1000 })
    assert.same({}, topology.pair({ ipv6 = false, link = { mtu = 1000 } }):check())
    local odd = topology.new "odd"
    odd:host("a"):sysctl({ ["kernel.hostname"] = "a" }):run { false }
    assert.matches("nodes.a.run%[1%].argv: must be a list of strings.*nodes.a.sysctl: .*below net", findings(odd))
  end)

  it("warns of what has no effect, and comes up all the same", function()
    assert.matches("^warning nodes.h1.links%[1%].jitter: does nothing without a delay", link { jitter = "1ms" })
    assert.matches("^warning .*jitter: 5ms is more than the delay of 1ms", link { delay = "1ms", jitter = "5ms" })
    assert.matches("^warning .*reorder: does nothing without", link { reorder = "5%" })
    assert.matches("^warning .*loss: 100%%: nothing gets through", link { loss = "100%" })
    assert.equal("", link { delay = "2ms", jitter = "1ms", reorder = "5%", loss = "1%" })
    local t = topology.new "mixed"
    t:switch "s"
    t:host("a"):attach("s", { mtu = 1400 })
    t:host("b"):attach "s"
    assert.matches("^warning nodes.b.links%[1%].mtu: 1500, but 1400 at nodes.a.links%[1%]", findings(t))
    local lab <close> = t:up()
    assert.is_true(lab:ping_all().ok)
  end)

  it("warns of paths that are longer than packets live", function()
    local function routers(t)
      return findings(t):match "warning %S+ (%d+) routers between"
    end
    assert.is_nil(routers(topology.line { routers = 65 }))
    assert.equal("64", routers(topology.line { routers = 66 }))
    assert.is_nil(routers(topology.ring { routers = 129 }))
    assert.equal("64", routers(topology.ring { routers = 130 }))
    local t = topology.line { routers = 64 }
    t:host("a"):connect "r1"
    assert.equal("", findings(t))
    t:host("b"):connect "r64"
    assert.equal("64", routers(t))
    assert.is_nil(routers(topology.tree { depth = 7, fanout = 2 }))
    assert.is_nil(routers(topology.fat_tree { k = 6 }))
  end)
end)

describe("the same private subnet", function()
  local function site(name, subnet, address)
    local t = topology.new(name)
    t:switch "lan"
    t:router("gw"):attach("lan", { subnet = subnet, address = address })
    t:host("pc"):attach "lan"
    return t
  end

  local function two_sites(a, b)
    local t = topology.new "two"
    local isp = t:router "isp"
    for i, subnet in ipairs { a, b } do
      local gw = t:include("s" .. i, site("site", subnet, subnet:gsub("0/24$", "1")), { at = "gw" })
      gw:connect(isp):nat { out = isp }
    end
    return t
  end

  -- Cause: subnets and addresses were compared all with all, also where no node sees both.
  -- Fix: only within a realm (what is joined without NAT between), and with the realms outside of it.
  it("may be behind two NAT routers", function()
    local t = two_sites("192.168.1.0/24", "192.168.1.0/24")
    assert.same({}, t:check())
    local lab <close> = t:up()
    for _, pc in ipairs { "s1.pc", "s2.pc" } do
      assert.equal("192.168.1.2", lab[pc].address)
      assert.is_true(lab:reach(pc, "isp"))
    end
    assert.equal("", tostring(lab:diff()))
  end)

  it("may not be where somebody sees both", function()
    local t = two_sites("192.168.1.0/24", "192.168.2.0/24")
    t:node("s1.gw"):connect("s2.gw") -- a way around
    t:node("s2.pc"):connect("s1.pc", { subnet = "192.168.1.0/25" })
    assert.matches("192.168.1.0/25 overlaps 192.168.1.0/24", t:check()[1].message)
    local outside = two_sites("192.168.1.0/24", "192.168.2.0/24")
    outside:host("srv"):connect("isp", { subnet = "192.168.1.0/24" })
    assert.matches("192.168.1.0/24 overlaps 192.168.1.0/24", outside:check()[1].message)
  end)
end)

describe("below, in the core:", function()
  -- Cause: for a set without a type the kind was asked for by the number in the header, which was not written yet when
  -- `dev` was a number: 0, EINVAL.
  -- Fix: the number is taken from the arguments.
  it("a link that is named by its number takes its kind's options", function()
    local ns <close> = netns.new()
    local br = ns.link:add { name = "br0", type = "bridge" }
    ns.link:set { dev = br.ifindex, ageing_time = 500 }
    assert.equal(500, br.ageing_time)
  end)

  -- Cause: the numbers of attributes newer than the headers were one too high, so that the count of groups read as
  -- `mab`, and the limit as the count.
  -- Fix: the numbers of linux/if_link.h.
  it("ports of bridges have the kernel's own attributes", function()
    local ns <close> = netns.new()
    ns.link:add { name = "br0", type = "bridge", up = true }
    local port = ns.link:add { name = "p", type = "veth", master = "br0", up = true }
    if port.bridge_slave.mcast_n_groups == nil then
      pending "this kernel counts no groups"
      return
    end
    port:set { bridge_slave = { mcast_max_groups = 7, locked = true, mab = true } }
    assert.same({ 7, true }, { port.bridge_slave.mcast_max_groups, port.bridge_slave.mab })
    port:set { bridge_slave = { mab = false } }
    assert.is_nil(port.bridge_slave.mab)
  end)
end)
