--- Defects that the lanes of this folder found, each with its cause and what mended it.
local netns = require "netns"
local sh = require "spec.support.sh"

require("spec.support.leaks").gate()

-- Runs a script whose kernel says what the script has it say (spec/trust/fake.lua).
local function with_fake(script)
  local prelude = [[
    local fake, netns = require "spec.trust.fake", require "netns"
    local ns <close> = netns.new()
    local function refused(code, fn, ...)
      local ok, err = pcall(fn, ...)
      assert(not ok and type(err) == "table" and err.code == code, tostring(err))
    end
  ]]
  return sh.run({ os.getenv "LUA" or "lua5.4", "-" }, {
    stdin = prelude .. script,
    env = { LUA_CPATH = os.getenv "NETNS_BUILD" .. "/fake/?.so;;" },
  })
end

describe("found by fuzzing:", function()
  -- Cause: the options of a port (`bond_slave`) were looked up by the kind of the port's master, and
  -- where this module has none for that kind the encoder went on with a NULL schema.
  -- Fix: refused in words, as an unknown key is.
  it("a port's options are never looked for in a kind that has none", function()
    local ns <close> = netns.new()
    for _, kind in ipairs { "bridge", "bond" } do
      local ok, err = pcall(ns.link.add, ns.link, { name = "x", type = "ifb", [kind .. "_slave"] = {} })
      assert.is_true(ok or type(err) == "string" or err.op == "link add", tostring(err))
    end
  end)

  -- Cause: an ack was taken for the answer of a get, whose first message was then read from an empty buffer.
  -- Fix: an answer without a message is EPROTO.
  it("an ack is no answer to a get", function()
    with_fake [[
      fake.says(fake.error(0))
      refused("EPROTO", ns.link.get, ns.link, "x")
      fake.says(fake.error(0))
      refused("EPROTO", ns.route.get, ns.route, "10.0.0.1")
    ]]
  end)

  -- Cause: whatever came was read as the RTM_NEWLINK that had been asked for, header and all.
  -- Fix: another type, or a message without room for the header, is EPROTO.
  it("a get of a link takes nothing else for its answer", function()
    with_fake [[
      fake.says(fake.message(fake.RTM_NEWADDR, fake.addr(7)))
      refused("EPROTO", ns.link.get, ns.link, "x")
      fake.says(fake.message(fake.RTM_NEWLINK, "123"))
      refused("EPROTO", ns.link.get, ns.link, "x")
    ]]
  end)

  -- Cause: the last message was kept with its padding, which stood behind the datagram.
  -- Fix: padded with zeros of our own. (Seen by the sanitizers; the fake kernel poisons what is behind.)
  it("no byte behind a datagram is read", function()
    with_fake [[
      fake.says(fake.message(fake.RTM_NEWLINK, fake.link(7) .. "\5\0\3\0x"))
      assert(ns.link:get "x")
    ]]
  end)

  -- Cause: an error's number was negated as it came; INT_MIN has no negative, and what no errno has for a
  -- number had no name either.
  -- Fix: what is below -4095, the kernel's MAX_ERRNO, is EPROTO.
  it("an error's number is an errno", function()
    with_fake [[
      for _, code in ipairs { math.mininteger >> 32 | -0x80000000, -0x7fffffff, -4096 } do
        fake.says(fake.error(code))
        refused("EPROTO", ns.link.get, ns.link, "x")
        fake.says(fake.message(fake.NLMSG_DONE, string.pack("=i4", code)))
        refused("EPROTO", ns.route.list, ns.route)
      end
      fake.says(fake.error(-95))
      refused("EOPNOTSUPP", ns.link.get, ns.link, "x")
    ]]
  end)

  -- Cause: where a datagram of a dump ended within a message, the next one was put behind it, and read as the
  -- rest of the half message; with none, what the buffer happened to hold.
  -- Fix: such a datagram is EPROTO, in dumps and elsewhere.
  it("a message does not go on in the next datagram", function()
    with_fake [[
      local whole = fake.message(fake.RTM_NEWADDR, fake.addr(7))
      local half = fake.message(fake.RTM_NEWADDR, fake.addr(7), 64)
      for _, datagram in ipairs { half, whole .. half, whole .. "1234" } do
        fake.says(datagram, whole, fake.done)
        refused("EPROTO", ns.addr.list, ns.addr)
        fake.says(datagram, whole, fake.done)
        refused("EPROTO", function() for _ in ns.addr:each() do end end)
        fake.says(datagram)
        refused("EPROTO", ns.link.get, ns.link, "x")
      end
    ]]
  end)
end)

describe("found by faults:", function()
  -- Cause: where the name of a row's device could not be asked for, whatever the reason, the number stood for it.
  -- Fix: only where there is no such device (any more); else the error is raised.
  it("a device is listed by its number only where it is gone", function()
    with_fake [[
      local row = fake.message(fake.RTM_NEWADDR, fake.addr(7))
      fake.says(row, fake.done, fake.error(-19))
      assert(ns.addr:list()[1].dev == 7)
      fake.says(row, fake.done, fake.error(-12))
      refused("ENOMEM", ns.addr.list, ns.addr)
    ]]
  end)

  -- Cause: of /proc that could not be opened, ns:pids() made an empty list.
  -- Fix: raised, as netns.list() does.
  it("pids are refused where they cannot be found", function()
    sh.run({ "sh", "-c", 'ulimit -n 16; exec "$0" -', os.getenv "LUA" or "lua5.4" }, { stdin = [[
      local netns = require "netns"
      local ns, held = netns.new(), {}
      repeat held[#held + 1] = io.open "/dev/null" until not io.open "/dev/null"
      local ok, err = pcall(ns.pids, ns)
      assert(not ok and err.code == "EMFILE" and err.op == "netns pids", tostring(err))
    ]] })
  end)

  -- Cause: a deletion was sent with all that the row says, and the kernel wants the id alone.
  -- Fix: it is sent alone.
  it("a nexthop is deleted by the row that lists it", function()
    local ns <close> = netns.new()
    ns.link:add { name = "d0", type = "veth", up = true, peer = { name = "d1", up = true } }
    ns.addr:add { dev = "d0", address = "10.0.0.1/24" }
    ns.nexthop:add { id = 1, via = "10.0.0.2", dev = "d0" }
    ns.nexthop:add { id = 2, via = "10.0.0.3", dev = "d0" }
    ns.nexthop:add { id = 3, group = { { id = 1, weight = 2 }, 2 } }
    for _, id in ipairs { 3, 2 } do
      ns.nexthop:del(ns.nexthop:get { id = id })
    end
    local last = ns.nexthop:list()
    assert.equal(1, #last)
    ns:batch(function(b) b.nexthop:del(last[1]) end)
    assert.same({}, ns.nexthop:list())
  end)

  -- Cause: verbs took their first argument and forgot the others: `set(name, { mtu = 1400 })` changed nothing.
  -- Fix: what is too much is refused, in words that say what is right.
  it("no argument of a verb is ignored", function()
    local ns <close> = netns.new()
    for _, verb in ipairs { "add", "set", "replace", "del", "get", "list", "each", "flush" } do
      local ok, err = pcall(ns.link[verb], ns.link, "lo", { mtu = 1400 })
      assert.is_false(ok, verb)
      assert.matches("one argument", err)
      assert.matches(verb, err)
    end
    local ok, err = pcall(ns.batch, ns, function(b) b.route:add("10.0.0.0/24", { dev = "lo" }) end)
    assert.is_false(ok)
    assert.matches("route add: .*one argument", tostring(err))
  end)
end)
