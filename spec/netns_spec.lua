require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"

local function refuses(fn, words)
  assert.error_matches(fn, words, nil, true)
end

local function inode_of(path)
  return math.tointeger(tonumber((sh.run { "stat", "-L", "-c", "%i", path }:gsub("%s", ""))))
end

describe("namespaces", function()
  it("are anonymous: without a name, in no list, another one than ours", function()
    local here, ns = netns.current(), netns.new()
    assert.is_nil(ns.name)
    assert.same({}, netns.list())
    assert.is_false(ns == here)
    assert.equal(inode_of("/proc/self/fd/" .. 0) and ns.inode, ns.inode)
    assert.equal("netns:[" .. ns.inode .. "]", tostring(ns))
    assert.equal(1, #ns.link:list())
    ns:close()
    here:close()
  end)

  it("have a name while the handle is open", function()
    local ns = netns.new "blue"
    assert.equal("blue", ns.name)
    assert.equal("blue", tostring(ns))
    assert.same({ "blue" }, netns.list())
    assert.equal(ns.inode, inode_of "/run/netns/blue")
    assert.matches("blue", sh.run "ip netns list")
    local again = netns.open "blue"
    assert.is_true(ns == again)
    ns:close()
    assert.same({}, netns.list())
    assert.equal(1, #again.link:list()) -- another handle keeps the namespace, not its name
    again:close()
    ns:close()
    assert.equal("blue (closed)", tostring(ns))
  end)

  it("lose their name on every way out", function()
    do
      local ns <close> = netns.new "a"
      assert.equal("a", ns.name)
    end
    pcall(function()
      local ns <close> = netns.new "b"
      error(ns.name)
    end)
    netns.new "c"
    collectgarbage()
    collectgarbage()
    assert.same({}, netns.list())
  end)

  it("stay when asked to, until deleted", function()
    local ns = netns.new("kept", { keep = true })
    ns:close()
    assert.same({ "kept" }, netns.list())
    sh.run "ip -n kept link add br0 type bridge"
    local again <close> = netns.open "kept"
    assert.equal("bridge", again.link:get("br0").type)
    netns.delete "kept"
    assert.same({}, netns.list())
    local _, err = netns.try(netns.delete, "kept")
    assert.equal("netns delete kept: No such file or directory (ENOENT)", tostring(err))
  end)

  it("are the same thing as those of ip netns, in both directions", function()
    sh.run "ip netns add theirs"
    local theirs <close> = netns.open "theirs"
    assert.equal(inode_of "/run/netns/theirs", theirs.inode)
    theirs.link:add { name = "br0", type = "bridge" }
    assert.equal("br0", sh.ip("theirs", "-j link show type bridge")[1].ifname)
    local ours = netns.new("ours", { keep = true })
    sh.run "ip netns exec ours true"
    sh.run "ip netns del ours"
    assert.equal(1, #ours.link:list())
    ours:close()
    local mine <close> = netns.new "mine"
    assert.equal("mine", mine.name)
    sh.run "ip netns del mine; ip netns add mine" -- the name is somebody else's by now
    mine:close()
    assert.same({ "mine", "theirs" }, (function(list)
      table.sort(list)
      return list
    end)(netns.list()))
    netns.delete "mine"
    netns.delete "theirs"
  end)

  it("are opened by path, pid and fd, and refused when they are something else", function()
    local ns <close> = netns.new "blue"
    local by_path <close> = netns.open "/run/netns/blue"
    local by_fd <close> = netns.open { fd = ns.fd }
    local by_name <close> = netns.open { name = "blue" }
    local by_path2 <close> = netns.open { path = "/proc/self/fd/" .. ns.fd }
    assert.is_true(ns == by_path and ns == by_fd and ns == by_name and ns == by_path2)
    local here <close> = netns.current()
    local pid = math.tointeger(tonumber(sh.read_file("/proc/self/stat"):match "%d+"))
    local by_pid <close> = netns.open { pid = pid }
    assert.is_true(by_pid == here)
    refuses(function()
      netns.open "/proc/self/ns/mnt"
    end, "/proc/self/ns/mnt is not a network namespace (a namespace of another type)")
    refuses(function()
      netns.open "/etc/passwd"
    end, "is not a network namespace (not a namespace at all)")
    refuses(function()
      netns.open {}
    end, "expected exactly one of name, path, pid and fd")
    refuses(function()
      netns.open { pid = 1, fd = 2 }
    end, "expected exactly one of name, path, pid and fd")
    refuses(function()
      netns.open { pid = 0 }
    end, "pid must be an integer from 1 to 2147483647, got 0")
    local _, err = netns.try(netns.open, { fd = 999 })
    assert.equal("EBADF", err.code)
    _, err = netns.try(netns.open, "nowhere")
    assert.equal("ENOENT", err.code)
    _, err = netns.try(netns.open, { pid = 2147483647 })
    assert.equal("ENOENT", err.code)
  end)

  it("have only names that are one file in /run/netns", function()
    for _, name in ipairs { "", ".", "..", "../x", "a/b", "/x", "a\0b", ("x"):rep(256) } do
      assert.is_false((pcall(netns.new, name)), name)
      if name:sub(1, 1) ~= "/" then
        assert.is_false((pcall(netns.open, name)), name)
      end
      assert.is_false((pcall(netns.delete, name)), name)
    end
    for _, value in ipairs { 5, true, {}, print } do
      assert.is_false((pcall(netns.new, value, {})))
      assert.is_false((pcall(netns.delete, value)))
    end
    local long <close> = netns.new(("x"):rep(255))
    assert.equal(255, #long.name)
    local strange <close> = netns.new "name with spaces, ü and $(touch x)"
    assert.equal(2, #netns.list())
    assert.equal(strange.inode, netns.open("name with spaces, ü and $(touch x)").inode)
    assert.same({ "nothing here" }, { netns.try(netns.open, "none") and 1 or "nothing here" })
  end)

  it("refuse unknown options and a name that is taken", function()
    refuses(function()
      netns.new("x", { kep = true })
    end, 'netns.new: unknown key "kep" (did you mean "keep"?)')
    refuses(function()
      netns.new("x", { keep = 1 })
    end, "netns.new: keep must be true or false, got 1")
    refuses(function()
      netns.new { keep = true }
    end, "keep needs a name")
    local x <close> = netns.new "x"
    local _, err = netns.try(netns.new, "x")
    assert.equal("netns new x: File exists (EEXIST)", tostring(err))
    assert.same({ "x" }, netns.list())
    assert.equal("x", x.name)
  end)

  it("do not follow links planted in /run/netns", function()
    local victim = os.tmpname()
    sh.run "mkdir -p /run/netns"
    sh.run { "ln", "-s", victim, "/run/netns/trap" }
    local _, err = netns.try(netns.new, "trap")
    assert.equal("EEXIST", err.code)
    _, err = netns.try(netns.open, "trap")
    assert.equal("ELOOP", err.code)
    netns.delete "trap"
    assert.equal("", sh.read_file(victim))
    os.remove(victim)
  end)

  it("that were left as a plain file are removed by us and by ip", function()
    sh.run "mkdir -p /run/netns && touch /run/netns/left /run/netns/left2"
    netns.delete "left"
    sh.run "ip netns del left2"
    assert.same({}, netns.list())
  end)

  it("are made beside ip netns, by many at once, on a fresh /run/netns", function()
    local script = [[
      set -e
      mount -t tmpfs run /run # so that there is no /run/netns at all
      for i in 1 2 3 4; do
        (for j in 1 2 3 4 5; do ip netns add ip$i$j; done) &
        $LUA -e 'local netns = require "netns" for j = 1, 5 do netns.new("lua'$i'" .. j, { keep = true }) end' &
      done
      wait
      ip netns list | wc -l
      ip netns list | while read -r name _; do ip netns exec $name true; ip netns del $name; done
      ip netns list | wc -l
    ]]
    local lua = os.getenv "LUA" or "lua5.4"
    local out = sh.run { "unshare", "-m", "sh", "-c", ("LUA=%s;"):format(sh.quote(lua)) .. script }
    assert.equal("40\n0\n", out)
  end)

  it("know which processes are inside", function()
    local ns <close> = netns.new "pids"
    assert.same({}, ns:pids())
    local pid = sh.run "ip netns exec pids sh -c 'exec >/dev/null 2>&1; read x </dev/zero' & echo $!"
    pid = math.tointeger(tonumber(pid))
    sh.eventually(function()
      return ns:pids()[1] == pid
    end)
    assert.equal(tostring(pid), (sh.run("ip netns pids pids"):gsub("%s", "")))
    sh.run("kill -9 " .. pid)
    sh.eventually(function()
      return #ns:pids() == 0
    end)
  end)

  it("come by the thousand, and name the limit they hit", function()
    local all = {}
    for i = 1, 2000 do
      all[i] = netns.new()
      if i % 100 == 0 then
        assert.equal(1, #all[i].link:list())
      end
    end
    for i = 1, 2000, 3 do -- the cache of sockets is smaller than this
      assert.equal("lo", all[i].link:list()[1].name)
    end
    for _, ns in ipairs(all) do
      ns:close()
    end
    local out = sh.try { "sh", "-c", "ulimit -n 64; exec " .. (os.getenv "LUA" or "lua5.4") .. [[ -e '
      local netns, all = require "netns", {}
      local ok, err = pcall(function() for i = 1, 100 do all[i] = netns.new() end end)
      io.write(tostring(err))
      all = nil collectgarbage() collectgarbage()
      netns.new():close()' ]] }
    assert.is_true(out.ok, out.stderr)
    -- valgrind keeps some of them to itself
    assert.matches("Too many open files %(EMFILE%): RLIMIT_NOFILE is %d+ %(hard limit %d+%); raise it with "
      .. "`ulimit %-n`", out.stdout)
  end)

  it("refuse everything once closed, except closing", function()
    local ns = netns.new()
    local noun, link = ns.route, ns.link:get "lo"
    ns:close()
    ns:close()
    for _, fn in ipairs {
      function() ns:call(print) end,
      function() ns:wrap(print) end,
      function() ns:pids() end,
      function() ns:batch(print) end,
      function() noun:list() end,
      function() noun:each() end,
      function() noun:add { dst = "10.0.0.0/8" } end,
      function() link:get() end,
      function() link:set { up = true } end,
      function() return link.mtu end,
      function() return ns.sysctl["net.ipv4.ip_forward"] end,
    } do
      refuses(fn, "closed")
    end
    assert.is_true(ns.closed)
    assert.matches("gone", tostring(link))
  end)
end)
