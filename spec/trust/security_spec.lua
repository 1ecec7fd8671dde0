--- What README's chapter on security says.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local lfs = require "lfs"
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

-- Files of lua/, by path.
local function sources(dir, found)
  for name in lfs.dir(dir) do
    local path = dir .. "/" .. name
    if name:find "%.lua$" then
      found[path] = sh.read_file(path)
    elseif not name:find "^%." and lfs.attributes(path, "mode") == "directory" then
      sources(path, found)
    end
  end
  return found
end

local look = "ls -la /run /run/netns /run/lua-netns /etc/netns 2>/dev/null | grep -v ' \\.\\.\\?$'"

local function refused(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

describe("no shell", function()
  it("is called by the module's own sources", function()
    local count = 0
    for path, text in pairs(sources("lua", {})) do
      count = count + 1
      local code = text:gsub("%-%-[^\n]*", "")
      assert.is_nil(code:match "os%.execute" or code:match "io%.popen", path)
    end
    assert.is_true(count > 20)
    for name in lfs.dir "csrc" do
      if name:find "%.c$" then
        local text = sh.read_file("csrc/" .. name)
        assert.is_nil(text:match "%f[%w]system%(" or text:match "%f[%w]popen%(" or text:match "wordexp%(", name)
      end
    end
  end)

  it("sees the words of a command", function()
    local ns <close> = netns.new()
    local words = { "$(touch /tmp/netns-shell)", "; touch /tmp/netns-shell", "`touch /tmp/netns-shell`", "a  b", "*" }
    local argv = { "printf", "[%s]", table.unpack(words) }
    assert.equal("[" .. table.concat(words, "][") .. "]", ns:run(argv).stdout)
    assert.is_nil(lfs.attributes "/tmp/netns-shell")
  end)

  it("and no nft sees more than values in parameters", function()
    local ns <close> = netns.new()
    for _, value in ipairs { "x; add table ip y", "x\nadd table ip y", "x { }", 'x" y', "x}" } do
      refused(ns.nft.run, ns.nft, "add table ip $t", { t = value })
      refused(ns.nft.table, ns.nft, { family = "ip", name = value })
    end
    assert.same("", ns.nft:text())
  end)
end)

describe("names", function()
  local bad = { "../x", "..", ".", "a/b", "/", "/etc/passwd/", "x/../../etc/y", "a\0b", "", ("x"):rep(256) }

  it("cannot leave /run/netns", function()
    local before = sh.run(look)
    for _, name in ipairs(bad) do
      refused(netns.new, name)
      refused(netns.new, name, { keep = true })
      refused(netns.delete, name)
      refused(netns.open, { name = name })
      refused(function() topology.pair():up { name = name } end)
      refused(topology.attach, name)
      refused(function()
        local t = topology.new "t"
        t:host(name):connect(t:host "b")
        t:up { name = "lab" }
      end)
    end
    assert.equal(before, sh.run(look))
  end)
end)

describe("planted links", function()
  it("in /run/netns, and where records are, are not followed", function()
    sh.with_dir(function(dir)
      local victim = dir .. "/victim"
      sh.write_file(victim, "precious")
      sh.run("mkdir -p /run/netns /run/lua-netns")
      for _, path in ipairs { "/run/netns/trap.h1", "/run/lua-netns/trap" } do
        sh.run { "ln", "-sf", victim, path }
        refused(function() topology.pair():up { name = "trap" } end)
        refused(topology.attach, "trap")
        if path:find "%.h1" then
          refused(netns.new, "trap.h1")
          refused(netns.open, "trap.h1")
        end
        pcall(topology.sweep)
        pcall(netns.delete, "trap.h1")
        assert.equal("precious", sh.read_file(victim), path)
        sh.run { "rm", "-f", path }
      end
    end)
  end)

  it("in /etc/netns are not followed", function()
    require("spec.support.features").need_root "write to /etc/netns"
    sh.with_dir(function(dir)
      sh.write_file(dir .. "/hosts", "10.9.8.7 planted\n")
      sh.run { "ln", "-s", dir, "/etc/netns/victim" }
      local ns <close> = netns.new "victim"
      local ok, r = pcall(ns.run, ns, { "cat", "/etc/hosts" })
      sh.run "rm /etc/netns/victim"
      assert.is_true(not ok or not r.stdout:find "planted")
    end)
  end)
end)

describe("descriptions", function()
  it("are read, not run", function()
    sh.with_dir(function(dir)
      for i, text in ipairs {
        ('os.execute "touch %s/ran"'):format(dir),
        ('return { nodes = { a = { kind = os.execute "touch %s/ran" and "host" } } }'):format(dir),
        ('return setmetatable({}, { __index = io.open("%s/ran", "w") })'):format(dir),
        "\27Lua",
      } do
        local path = ("%s/%d.lua"):format(dir, i)
        sh.write_file(path, text)
        assert.is_string(tostring(refused(topology.load, path)))
      end
      assert.is_nil(lfs.attributes(dir .. "/ran"))
    end)
  end)
end)

describe("descriptors", function()
  it("that are handed over must be network namespaces", function()
    local null = assert(io.open "/dev/null")
    local mount = assert(io.open "/proc/self/ns/mnt")
    for _, file in ipairs { null, mount } do
      local fd
      for name in lfs.dir "/proc/self/fd" do
        local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
        local wanted = file == null and "^/dev/null$" or "^mnt:"
        if target and target:find(wanted) and tonumber(name) > 2 then
          fd = tonumber(name)
        end
      end
      assert.matches("is not a network namespace", refused(netns.open, { fd = fd }))
    end
    for _, path in ipairs { "/dev/null", "/proc/self/ns/mnt", "/proc/self/ns/user", "/etc/passwd" } do
      assert.matches("is not a network namespace", refused(netns.open, path))
    end
    null:close()
    mount:close()
  end)

  it("of ours reach no child, and no stray ones either", function()
    local ns <close> = netns.new()
    local other <close> = netns.new "other"
    local monitor <close> = ns:monitor()
    local stray = assert(io.open "/dev/null") -- not close-on-exec
    local r = ns:run { "sh", "-c", "cd /proc/self/fd && echo *" }
    assert.matches("^0 1 2 3?%s*$", r.stdout) -- 3 is the shell's own, for *
    assert.is_table(other.link:list())
    assert.is_truthy(monitor:fd())
    stray:close()
  end)
end)
