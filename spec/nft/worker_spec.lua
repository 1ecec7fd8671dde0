--- The firewall worker: it may crash, hang or be killed, and the host only gets an error.
require("spec.support.leaks").gate()
local core = require "netns.core"
local netns = require "netns"
local sh = require "spec.support.sh"

local function status_of(pid)
  local file = io.open(("/proc/%d/status"):format(pid))
  if not file then
    return nil
  end
  local text = file:read "a"
  file:close()
  return text
end

local function is_alive(pid)
  local text = status_of(pid)
  return text and not text:find "State:%s+[ZX]"
end

-- Inodes of namespaces that a process holds, by descriptor or by being there.
local function held_by(pid)
  return sh.run(("readlink /proc/%d/fd/* /proc/%d/task/*/ns/net 2>/dev/null || :"):format(pid, pid))
end

describe("the worker", function()
  local ns

  before_each(function()
    ns = netns.new()
  end)

  after_each(function()
    ns:close()
    core.nft_stop()
  end)

  it("starts at first use, and serves all namespaces of the process", function()
    assert.is_nil((core.nft_worker()))
    ns.nft:run "add table ip t"
    local pid = core.nft_worker()
    assert.is_true(is_alive(pid))
    local other <close> = netns.new()
    other.nft:run "add table ip t"
    assert.equal(pid, (core.nft_worker()))
  end)

  it("is no child of the host: no SIGCHLD, nothing for wait()", function()
    ns.nft:run "add table ip t"
    local pid = core.nft_worker()
    local stat <close> = assert(io.open "/proc/self/stat")
    local children = sh.run(("cat /proc/%d/task/*/children"):format(stat:read "n"))
    for child in children:gmatch "%d+" do
      assert.is_not.equal(tostring(pid), child)
    end
  end)

  it("has no descriptor of the host but those it needs, and lives in a namespace of its own", function()
    local file <close> = assert(io.open("/etc/passwd"))
    assert.is_not_nil(file)
    ns.nft:run "add table ip t"
    local held = held_by((core.nft_worker()))
    assert.is_nil(held:find("/etc/passwd", 1, true))
    assert.is_nil(held:find(("net:[%d]"):format(ns.inode), 1, true))
    local here <close> = netns.current()
    assert.is_nil(held:find(("net:[%d]"):format(here.inode), 1, true))
  end)

  it("lets go of a namespace soon after work in it, deletions included", function()
    ns.nft:run "add table ip t\nadd chain ip t c\nadd rule ip t c accept"
    ns.nft:run "delete table ip t"
    local pid = core.nft_worker()
    -- netlink sockets pin a namespace; the worker keeps them a few ms
    sh.eventually(function()
      return not sh.run(("readlink /proc/%d/fd/* || :"):format(pid)):find "socket:.*socket:"
    end, 5, "the closing of its sockets")
  end)

  it("killed while idle: the next call works", function()
    ns.nft:run "add table ip t"
    sh.run { "kill", "-9", (core.nft_worker()) }
    sh.eventually(function()
      return not is_alive((core.nft_worker()))
    end)
    assert.equal("t", ns.nft:list()[1].table.name)
  end)

  it("hanging: the call ends in time, says that the commit is unknown, and the next one works", function()
    ns.nft:run "add table ip t"
    local pid = core.nft_worker()
    local ok, err = pcall(ns.nft.run, ns.nft, "monitor", nil, { timeout = 0.2 })
    assert.is_false(ok)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("unknown", err.committed)
    assert.matches("whether the commands were committed is unknown", tostring(err))
    sh.eventually(function()
      return not is_alive(pid)
    end)
    assert.equal("t", ns.nft:list()[1].table.name)
  end)

  it("crashing: an error with its last words, and the next call works", function()
    local ok, err = pcall(ns.nft.run, ns.nft, "add table ip t\nadd chain ip t c\nadd rule ip t c comp nexthdr tcp drop")
    if ok then
      return -- a libnftables newer than 1.0.6
    end
    assert.equal("EPIPE", err.code)
    assert.equal("unknown", err.committed)
    assert.matches("SIG%u+", err.words)
    assert.matches("the worker died.*unknown.*said: .*SIG%u+", tostring(err))
    assert.matches(tostring(ns):gsub("[%[%]]", "%%%0"), tostring(err))
    assert.same({}, ns.nft:list())
  end)

  it("leaving before it began: nothing was sent, and the error says so", function()
    -- a stand-in that says hello and ends at the first request
    sh.with_dir(function(dir)
      sh.write_file(dir .. "/w.c", [[
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/socket.h>
        int main(void)
        {
            unsigned char hello[40] = {0x31, 0x77, 0x66, 0x6e}, request[64];
            send(3, hello, sizeof(hello), 0);
            recv(3, request, sizeof(request), 0);
            fputs("famous last words\n", stderr);
            exit(2);
        }]])
      sh.run { os.getenv "CC" or "cc", "-o", dir .. "/w", dir .. "/w.c" }
      local r = sh.try({ os.getenv "LUA" or "lua5.4", "-e", [[
        local netns = require "netns"
        local ns = netns.new()
        local ok, err = pcall(ns.nft.run, ns.nft, "add table ip t")
        print(ok, err.committed, err.words, err.kernel)
        print(select(4, require "netns.core".nft_worker()))
      ]] }, { env = { NETNS_NFT_WORKER = dir .. "/w" } })
      assert.equal("false\tnil\tfamous last words\tthe worker died; the commands were not begun; "
        .. "it said: famous last words\n2\n", r.stdout)
    end)
  end)

  it("that is not there: the error names its path and says that nothing was sent", function()
    local r = sh.try({ os.getenv "LUA" or "lua5.4", "-e", [[
      local netns = require "netns"
      local ns = netns.new()
      local ok, err = pcall(ns.nft.run, ns.nft, "add table ip t")
      print(err.op, err.object, err.code, err.committed)
    ]] }, { env = { NETNS_NFT_WORKER = "/nowhere/nft_worker" } })
    assert.equal("nft worker start\t/nowhere/nft_worker\tENOENT\tnil\n", r.stdout)
  end)

  it("that is no worker: its words are in the error", function()
    local r = sh.try({ os.getenv "LUA" or "lua5.4", "-e", [[
      local netns = require "netns"
      local ns = netns.new()
      print(select(2, pcall(ns.nft.run, ns.nft, "add table ip t")))
    ]] }, { env = { NETNS_NFT_WORKER = "/bin/false" } })
    assert.matches("nft worker start /bin/false in .*without a word", r.stdout)
  end)

  for how, line in pairs {
    ["returns"] = "os.exit(0, true)", ["leaves"] = "os.exit(1)", ["is killed"] = "os.execute('kill -9 ' .. pid)",
    ["is killed while the worker hangs"] = "os.execute('(sleep 0.2; kill -9 ' .. pid .. ') &') "
      .. "pcall(ns.nft.run, ns.nft, 'monitor')",
  } do
    it("ends when the host " .. how, function()
      local r = sh.try { os.getenv "LUA" or "lua5.4", "-e", [[
        local netns = require "netns"
        local ns = netns.new()
        ns.nft:run "add table ip t"
        io.stdout:setvbuf "no"
        print((require "netns.core".nft_worker()))
        local pid = io.open("/proc/self/stat"):read "n"
      ]] .. line }
      local pid = tonumber(r.stdout:match "%d+")
      sh.eventually(function()
        return not is_alive(pid)
      end, 10, "the end of the worker")
    end)
  end

  -- Lua has no fork; a shim does it
  local function run_with_fork(program)
    return sh.with_dir(function(dir)
      sh.write_file(dir .. "/forker.c", [[
        #include <lauxlib.h>
        #include <lua.h>
        #include <sys/wait.h>
        #include <unistd.h>
        static int l_fork(lua_State *L)
        {
            pid_t pid = fork();
            if (pid == 0) { /* the pipes are the parent's */
                close(1);
                close(2);
            }
            lua_pushinteger(L, pid);
            return 1;
        }
        static int l_wait(lua_State *L)
        {
            int status = 0;
            waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0);
            lua_pushinteger(L, WEXITSTATUS(status));
            return 1;
        }
        static int l_exit(lua_State *L)
        {
            _exit((int)luaL_checkinteger(L, 1));
        }
        int luaopen_forker(lua_State *L)
        {
            static const luaL_Reg functions[] = {
                {"fork", l_fork}, {"wait", l_wait}, {"exit", l_exit}, {NULL, NULL}};
            luaL_newlib(L, functions);
            return 1;
        }]])
      local flags = sh.run("pkg-config --cflags lua5.4 || pkg-config --cflags lua-5.4"):gsub("\n", "")
      sh.run(("%s -shared -fPIC %s -o %s/forker.so %s/forker.c"):format(os.getenv "CC" or "cc", flags, dir, dir))
      local r = sh.try({ os.getenv "LUA" or "lua5.4", "-e", [[
        local forker, core, netns = require "forker", require "netns.core", require "netns"
        local ns = netns.new()
        ns.nft:run "add table ip t"
        local mine = core.nft_worker()
      ]] .. program }, { env = { LUA_CPATH = dir .. "/?.so;" .. package.cpath } })
      return r
    end)
  end

  it("a fork of the host gets a worker of its own, and the parent keeps its", function()
    local r = run_with_fork [[
      local child = forker.fork()
      if child == 0 then
        local none = core.nft_worker() == nil
        ns.nft:run "add table ip u"
        forker.exit(none and core.nft_worker() ~= mine and #ns.nft:list() == 2 and 0 or 1)
      end
      print(forker.wait(child))
      ns.nft:run "add table ip v"
      print(core.nft_worker() == mine, #ns.nft:list())
    ]]
    assert.equal("0\ntrue\t3\n", r.stdout, r.stderr)
  end)

  it("ends with its host, also while a fork of that lives on", function()
    local r = run_with_fork [[
      local monitor = ns.nft:monitor()
      local child = forker.fork()
      if child == 0 then
        monitor:next(20) -- until it is told to end
        forker.exit(0)
      end
      print(mine, child)
      forker.exit(0, io.stdout:flush())
    ]]
    local worker, fork = r.stdout:match "(%d+)%s+(%d+)"
    sh.eventually(function()
      return not is_alive(tonumber(worker))
    end, 10, "the end of the worker")
    assert.is_true(is_alive(tonumber(fork)))
    sh.run { "kill", fork }
  end)

  it("stays small: it is replaced when it has grown", function()
    ns.nft:run "add table ip t\nadd set ip t s { type ipv4_addr; }"
    local set = ns.nft:table({ family = "ip", name = "t" }).set:get "s"
    local items = {}
    for i = 0, 199999 do
      items[i + 1] = ("10.%d.%d.%d"):format(i >> 16, i >> 8 & 255, i & 255)
    end
    set:add(items)
    local _, rss = core.nft_worker()
    assert.is_true(rss < 150 << 20, ("the worker has %d MB after bounded pieces"):format(rss >> 20))
    assert.equal(#items, set.count) -- lists all at once, and grows
    core.nft_run(ns, "", {})
    local pid
    pid, rss = core.nft_worker()
    assert.is_true(rss <= 64 << 20, ("the worker still has %d MB"):format(rss >> 20))
    assert.is_true(is_alive(pid))
  end)

  it("works in many namespaces, and holds none of them", function()
    local spaces = {}
    for i = 1, 300 do
      spaces[i] = netns.new()
      spaces[i].nft:run "table inet t { chain c { type filter hook input priority 0; tcp dport 22 accept; }; }"
      spaces[i].nft:flush()
    end
    local pid = core.nft_worker()
    sh.eventually(function()
      return not sh.run(("readlink /proc/%d/fd/* || :"):format(pid)):find "socket:.*socket:"
    end, 10, "the closing of its sockets")
    for _, space in ipairs(spaces) do
      space:close()
    end
  end)

  it("relative includes are relative to the host's folder", function()
    sh.with_dir(function(dir)
      sh.write_file(dir .. "/one.nft", "add table ip included\n")
      local lfs = require "lfs"
      local before = lfs.currentdir()
      assert(lfs.chdir(dir))
      local ok, err = pcall(ns.nft.run, ns.nft, 'include "./one.nft"')
      assert(lfs.chdir(before))
      assert.is_true(ok, tostring(err))
      assert.equal("included", ns.nft:list()[1].table.name)
    end)
  end)

  it("the host's thread stays where it is, also when the namespace is another's", function()
    local before = sh.run "readlink /proc/self/ns/net"
    pcall(ns.nft.run, ns.nft, "add rule ip no no accept")
    ns:call(function()
      ns.nft:run "add table ip inside"
    end)
    assert.equal(before, sh.run "readlink /proc/self/ns/net")
    assert.matches("inside", sh.nft(ns, "list tables"))
  end)
end)
