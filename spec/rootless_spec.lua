--- netns.rootless(): root without being it.
local lua = os.getenv "LUA" or "lua5.4"
local sh = require "spec.support.sh"
local features = require "spec.support.features"

require("spec.support.leaks").gate()

-- A script run by a user that is nobody.
local function as_nobody(script)
  return sh.try({ "spec/support/nobody", lua, "-" }, { stdin = script })
end

local function must(r)
  assert(r.ok, r.stderr .. r.stdout)
  return r.stdout
end

describe("netns.rootless", function()
  setup(function()
    features.need "userns"
  end)

  it("lets a user that is nobody build a lab, ping, and use nft and names", function()
    features.need_root "be another user"
    local out = must(as_nobody [[
      local netns = require "netns"
      assert(not pcall(netns.new))
      netns.rootless()
      netns.rootless() -- twice is fine
      local lab <close> = require("netns.topology").star { hosts = 3 }:up { name = "lab" }
      assert(lab:ping_all().ok)
      lab.h1.nft:run "add table inet filter { chain input { type filter hook input priority 0; policy drop; }; }"
      assert(not lab.h2:ping(lab.h1, { timeout = 0.1 }))
      assert(lab.h1:run({ "ip", "-br", "addr" }).stdout:find "eth0")
      assert(lab.h1.sysctl["net.ipv4.ip_forward"] == 0)
      assert(netns.current().link:get("lo").up)
      local kept = netns.new("kept", { keep = true })
      print(table.concat(netns.list(), " "))
      os.execute "id -u; id -g; cat /proc/self/uid_map /proc/self/setgroups; ip netns list | wc -l"]])
    assert.matches("lab%.h1", out)
    assert.matches("\n0\n0\n%s+0%s+65534%s+1\ndeny\n5\n", out)
    assert.equal("", sh.run "ls /run/netns")
  end)

  it("keeps what else is in /run and can be read", function()
    features.need_root "be another user"
    local shown = sh.run "ls -A /run"
    local out = must(as_nobody [[
      local look = "for f in /run/*; do if [ -r $f ]; then echo $f; fi; done"
      os.execute(look)
      print "--"
      require("netns").rootless()
      os.execute(look)]])
    local before, inside = out:match "^(.*)%-%-(\n.*)$"
    for path in before:gmatch "[^\n]+" do
      -- of names and their records it has its own
      assert.is_truthy(path == "/run/lua-netns" or inside:find("\n" .. path .. "\n", 1, true), path)
    end
    assert.equal(shown, sh.run "ls -A /run")
  end)

  it("makes root of root, too, where nothing of the machine is in reach", function()
    local out = must(sh.try({ lua, "-" }, { stdin = [[
      local netns = require "netns"
      netns.rootless()
      local ns <close> = netns.new "red"
      for _, link in ipairs(netns.current().link:list()) do print(link.name) end
      local ok, first = pcall(netns.open, { pid = 1 })
      assert(not ok or not pcall(first.call, first, print))
    ]] }))
    assert.equal("lo\n", out)
    assert.equal("", sh.run "ls /run/netns")
  end)

  describe("is refused, and nothing changes, where", function()
    local prelude = [[
      local netns = require "netns"
      local function look()
        local p = io.popen "readlink /proc/$PPID/ns/user /proc/$PPID/ns/net /proc/$PPID/ns/mnt; id -u"
        return p:read "a", p:close()
      end
      local before = look()
      local function refused(code, words)
        local ok, err = pcall(netns.rootless)
        assert(not ok and type(err) == "table", tostring(err))
        assert(err.op == "rootless" and err.code == code and tostring(err):find(words, 1, true), tostring(err))
        assert(look() == before)
        print "refused"
      end
    ]]

    local function refuses(script, wrap)
      local file = os.tmpname()
      sh.write_file(file, prelude .. script)
      local r = sh.try(("%s %s %s"):format(wrap or "", lua, file))
      os.remove(file)
      assert(r.ok, r.stderr)
      assert.equal("refused\n", r.stdout)
    end

    it("other threads run", function()
      refuses [[
        local uv = require "luv"
        uv.new_work(function() end, function() end):queue() -- starts its threads
        refused("EBUSY", "threads are running")
        uv.run()]]
    end)

    it("a namespace is open", function()
      refuses [[
        local ns = netns.new()
        refused("EBUSY", "call netns.rootless() before anything else")
        ns:close()
        netns.rootless()]]
    end)

    it("the limit of user namespaces is reached", function()
      -- the sysctl is that of the user namespace: of one of its own
      refuses([[refused("ENOSPC", "sysctl -w user.max_user_namespaces")]],
        [[unshare -r sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$0" "$@"']])
    end)

    -- what this kernel has not is put in the place of its sysctls, and refused by strace
    local function restricted(name, value, call, words)
      local strace = ("strace -qq -f -o /dev/null -e trace=%s -e inject=%s:error=EPERM:when=1"):format(call, call)
      refuses(([[refused("EPERM", "%s")]]):format(words), ([[unshare --mount sh -c 'mount -t tmpfs x /proc/sys/kernel &&
        echo %d >/proc/sys/kernel/%s && export ASAN_OPTIONS=detect_leaks=0 &&
        exec %s "$0" "$@"']]):format(value, name, strace))
    end

    it("only root may make user namespaces", function()
      restricted("unprivileged_userns_clone", 0, "unshare", "sysctl -w kernel.unprivileged_userns_clone=1")
    end)

    it("AppArmor keeps programs from it, which it does after the unshare", function()
      restricted("apparmor_restrict_unprivileged_userns", 1, "mount",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
    end)
  end)
end)
