--- What the project promises about itself: set-up, installing, LuaRocks. On a copy of the tree, as
-- a clean clone has it, without network.
local sh = require "spec.support.sh"

local lua = os.getenv "LUA" or "lua5.4"

local function with_copy(fn)
  return sh.with_dir(function(dir)
    local git = "git -c safe.directory='*' ls-files -z --cached --others --exclude-standard"
    sh.run(("mkdir %s/tree && %s | xargs -0 sh -c 'for f; do test ! -e \"$f\" || printf \"%%s\\0\" \"$f\"; done' -"
      .. " | tar -c --null -T - | tar -xC %s/tree"):format(dir, git, dir))
    return fn(dir .. "/tree", dir)
  end)
end

-- a program that uses the module from where it was installed, and only from there
local function works_from(lib, share)
  return sh.run({ lua, "-", share }, {
    stdin = [[
    local netns = require "netns"
    assert(package.searchpath("netns", package.path):find(arg[1], 1, true))
    local ns <close> = netns.new()
    print(ns ~= netns.current())
  ]],
    env = {
      LUA_PATH = ("%s/?.lua;%s/?/init.lua"):format(share, share),
      LUA_CPATH = lib .. "/?.so",
    },
  })
end

describe("make", function()
  it("builds, installs, uninstalls and cleans", function()
    with_copy(function(tree, dir)
      local function make(...)
        local argv = { "make", "-C", tree, "--no-print-directory", "CFLAGS=-O0", ... }
        return sh.run(argv, { timeout = 300 })
      end
      local function files()
        return sh.run(("cd %s && find . | LC_ALL=C sort"):format(tree))
      end
      local clean = files()

      -- quiet, unless asked; nothing to do the second time; what includes a header follows it
      assert.matches("%-std=gnu11", make("V=1", "build/obj/error.o"))
      local quiet = make()
      assert.matches("^  CC      csrc/", quiet)
      assert.not_matches("gnu11", quiet)
      assert.equal("", make())
      sh.run { "touch", tree .. "/csrc/codec.h" }
      assert.matches("CC      csrc/codec.c\n", make())

      -- below PREFIX, behind DESTDIR
      local where = { "PREFIX=/opt/x", "DESTDIR=" .. dir .. "/dest" }
      make("install", table.unpack(where))
      local root = dir .. "/dest/opt/x"
      assert.equal("true\n", works_from(root .. "/lib/lua/5.4", root .. "/share/lua/5.4"))
      make("uninstall", table.unpack(where))
      assert.equal("", sh.run { "find", dir .. "/dest", "-type", "f", "-o", "-name", "netns" })

      make "clean"
      assert.equal(clean, files())
    end)
  end)

  it("leaves no name visible but luaopen_*", function()
    local build = os.getenv "NETNS_BUILD" or "build"
    for _, library in ipairs { "core", "pcap" } do
      local names = sh.run { "nm", "-D", "--defined-only", "--format=posix", build .. "/netns/" .. library .. ".so" }
      for name in names:gmatch "([^\n%s]+) [^\n]*\n" do
        assert.equal("luaopen_netns_" .. library, name)
      end
    end
  end)
end)

it("needs libpcap only for netns.pcap, and builds without", function()
  local function plan(...)
    return sh.run { "make", "-n", "-B", "--no-print-directory", "V=1", "all", ... }
  end
  assert.matches("%-lpcap", plan())
  assert.not_matches("pcap%.so", plan "HAVE_PCAP=")
  local build = os.getenv "NETNS_BUILD" or "build"
  assert.not_matches("libpcap", sh.run { "ldd", build .. "/netns/core.so" })
end)

describe("luarocks make", function()
  it("builds and installs from a clean clone, offline", function()
    with_copy(function(tree, dir)
      local rocks = { "luarocks", "--lua-version=5.4", "make", "--tree=" .. dir .. "/T", "CFLAGS=-O0 -fPIC" }
      sh.run(("cd %s && %s"):format(sh.quote(tree), sh.command_line(rocks)), { timeout = 300, env = { HOME = dir } })
      assert.equal("true\n", works_from(dir .. "/T/lib/lua/5.4", dir .. "/T/share/lua/5.4"))
    end)
  end)
end)

describe(".ci/deps", function()
  local groups = { "build", "demo", "test", "lint", "docs" }

  it("says nothing and needs no network when all is there", function()
    local r = sh.try { "sh", ".ci/deps", "build", "demo", "test" }
    assert.same({ true, "", "" }, { r.ok, r.stdout, r.stderr })
  end)

  it("names the missing packages where it may not install", function()
    sh.with_dir(function(dir)
      -- a PATH with everything but ip and nft, and a user who is not root
      sh.run { "sh", "-c", [[for d in /usr/sbin /usr/bin /sbin /bin; do for f in "$d"/*; do
        case ${f##*/} in ip | nft | id) ;; *) test -e "$0/${f##*/}" || ln -s "$f" "$0"; esac
      done; done]], dir }
      sh.write_file(dir .. "/id", "#!/bin/sh\necho 1000\n")
      sh.run { "chmod", "+x", dir .. "/id" }
      local script = sh.read_file(".ci/deps"):gsub("\nPATH=[^\n]*\n", "\n")
      local r = sh.try({ "sh", "-s", "build", "demo", "test" }, { stdin = script, env = { PATH = dir } })
      assert.equal(1, r.code)
      assert.matches("These packages are missing %(names as in Debian and Ubuntu%): iproute2 nftables ?\n", r.stderr)
    end)
  end)

  it("refuses a group it does not know", function()
    local r = sh.try { "sh", ".ci/deps", "build", "unknown" }
    assert.matches('there is no group "unknown"', r.stderr)
    assert.is_false(r.ok)
  end)

  it("has the groups the Makefile asks for", function()
    local text = sh.read_file ".ci/deps"
    for _, group in ipairs(groups) do
      assert.matches("\n" .. group .. "|", text)
    end
  end)
end)
