require("spec.support.leaks").gate()
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"

local ns

setup(function()
  ns = netns.new "proc"
end)

teardown(function()
  ns:close()
end)

local function exists(pid)
  local f = io.open(("/proc/%d/stat"):format(pid))
  local state = f and f:read("a"):match ".*%) (%a)"
  if f then
    f:close()
  end
  return state ~= nil and state ~= "Z" and state ~= "X"
end

local function gone(pid)
  return sh.eventually(function()
    return not exists(pid)
  end, 10, ("the end of process %s"):format(pid))
end

--- A Lua program of its own, in which `netns` and `ns` are there, below `prefix` of the shell.
local function program(text, prefix, opts)
  return sh.with_dir(function(dir)
    sh.write_file(dir .. "/main.lua", "local netns = require 'netns'\nlocal ns = netns.new()\n" .. text)
    return sh.try(("%s ${LUA:-lua5.4} %s/main.lua"):format(prefix or "", dir), opts)
  end)
end

describe("ns:run", function()
  it("gives back the outputs and how the command ended", function()
    local r = ns:run { "sh", "-c", "echo out; echo err >&2; exit 3" }
    assert.same({ ok = false, code = 3, stdout = "out\n", stderr = "err\n" }, setmetatable(r, nil))
    r = ns:run { "true" }
    assert.same({ ok = true, code = 0, stdout = "", stderr = "" }, setmetatable(r, nil))
    r = ns:run { "sh", "-c", "kill -9 $$" }
    assert.same({ ok = false, code = 137, signal = "KILL", stdout = "", stderr = "" }, setmetatable(r, nil))
  end)

  it("runs inside the namespace", function()
    assert.equal(("net:[%d]\n"):format(ns.inode), ns:run({ "readlink", "/proc/self/ns/net" }).stdout)
    assert.equal(("net:[%d]\n"):format(ns.inode),
      ns:run({ "readlink", "/proc/self/ns/net" }, { mounts = false }).stdout)
  end)

  it("takes numbers among the arguments, and passes all bytes unchanged", function()
    assert.equal("1 -2.5 $x ' \" \\ \xff *", ns:run({ "printf", "%s %s %s", 1, -2.5, "$x ' \" \\ \xff *" }).stdout)
    assert.equal("<>", ns:run({ "printf", "<%s>", "" }).stdout)
  end)

  it("prints as its output, and how it ended where it failed", function()
    assert.equal("out\nerr\n[exit status 3]", tostring(ns:run { "sh", "-c", "echo out; echo err >&2; exit 3" }))
    assert.equal("out", tostring(ns:run { "echo", "out" }))
    assert.equal("[exit status 0]", tostring(ns:run { "true" }))
    assert.equal("[killed by SIGTERM]", tostring(ns:run { "sh", "-c", "kill $$" }))
    assert.equal("[timed out]", tostring(ns:run({ "sleep", "60" }, { timeout = 0.01 })))
  end)

  it("with check = true raises with the result and the end of stderr", function()
    local argv = { "sh", "-c", "echo out; echo first >&2; echo last >&2; exit 3" }
    local ok, err = pcall(ns.run, ns, argv, { check = true })
    assert.is_false(ok)
    assert.equal("exit status 3", err.message)
    assert.is_nil(err.errno)
    assert.equal("first\nlast", err.kernel)
    assert.equal("out\n", err.result.stdout)
    assert.equal(3, err.result.code)
    assert.matches("^run sh %-c echo out.* in proc: exit status 3: first\nlast$", tostring(err))
    assert.is_true(ns:run({ "true" }, { check = true }).ok)
    err = select(2, pcall(ns.run, ns, { "sh", "-c", "kill -9 $$" }, { check = true }))
    assert.equal("killed by SIGKILL", err.message)
    err = select(2, pcall(ns.run, ns, { "sh", "-c", "seq 100000 >&2; exit 1" }, { check = true }))
    assert.is_true(#err.kernel < 700)
    assert.matches("^%d+\n.*\n100000$", err.kernel)
    argv = { "sh", "-c", "head -c 5000 /dev/zero | tr '\\0' x >&2; exit 1" }
    err = select(2, pcall(ns.run, ns, argv, { check = true }))
    assert.matches("^x+$", err.kernel)
  end)

  it("ends the whole group at the time-out", function()
    local r = ns:run({ "sh", "-c", "echo $$; sleep 60 & echo $!; wait" }, { timeout = 0.3 })
    assert.is_true(r.timeout)
    assert.is_false(r.ok)
    assert.equal("KILL", r.signal)
    for pid in r.stdout:gmatch "%d+" do
      gone(pid)
    end
    local ok, err = pcall(ns.run, ns, { "sleep", "60" }, { timeout = 0, check = true })
    assert.is_false(ok)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(err.result.timeout)
    assert.is_true(ns:run({ "true" }, { timeout = math.huge }).ok)
    assert.is_nil(ns:run({ "true" }, { timeout = 60 }).timeout)
  end)

  it("does not wait for what the command leaves in the background, and ends it", function()
    local r = ns:run { "sh", "-c", "sleep 60 & echo $!" }
    assert.is_true(r.ok)
    gone(r.stdout:match "%d+")
    -- but hears what still comes at once (on a busy machine at some time)
    sh.eventually(function()
      return ns:run({ "sh", "-c", "(sleep 0.02; echo last) & exit 0" }).stdout == "last\n"
    end)
  end)

  it("leaves a daemon alone", function()
    local pid = tonumber(ns:run({ "sh", "-c", "setsid sh -c 'echo $$; exec sleep 60 >/dev/null' &" }).stdout)
    assert.is_true(exists(pid))
    sh.run { "kill", pid }
    gone(pid)
  end)

  it("is there for a namespace without a name and for the current one", function()
    local here, anonymous = netns.current(), netns.new()
    assert.equal(("net:[%d]\n"):format(here.inode), here:run({ "readlink", "/proc/self/ns/net" }).stdout)
    assert.equal(("net:[%d]\n"):format(anonymous.inode), anonymous:run({ "readlink", "/proc/self/ns/net" }).stdout)
    here:close()
    anonymous:close()
  end)
end)

describe("a command that cannot be run", function()
  local function fails(argv, opts)
    local ok, err = pcall(ns.run, ns, argv, opts)
    assert.is_false(ok)
    assert.equal("run", err.op)
    assert.equal("proc", err.netns)
    return err
  end

  it("is an error with errno, not an exit code", function()
    local err = fails { "no-such-program", "x" }
    assert.equal("ENOENT", err.code)
    assert.equal(2, err.errno)
    assert.equal("no-such-program", err.object)
    assert.matches("not found in PATH", err.kernel)
    assert.equal("ENOENT", fails({ "/no/such/program" }).code)
    assert.equal("EACCES", fails({ "/etc/passwd" }).code)
    assert.equal("EACCES", fails({ "/etc" }).code)
    assert.equal("ENOTDIR", fails({ "/etc/passwd/x" }).code)
    err = fails({ "true" }, { cwd = "/no/such/dir" })
    assert.equal("ENOENT", err.code)
    assert.equal('cwd "/no/such/dir"', err.kernel)
    err = fails({ "true" }, { stdout = { file = "/no/such/dir/file" } })
    assert.equal('stdout file "/no/such/dir/file"', err.kernel)
    assert.equal("ENOENT", fails({ "true" }, { stdin = { file = "/no/such/file" } }).code)
    err = select(2, pcall(ns.spawn, ns, { "no-such-program" }))
    assert.equal("spawn", err.op)
    local _, tried, errno = netns.try(ns.run, ns, { "no-such-program" })
    assert.equal("ENOENT", tried.code)
    assert.equal(2, errno)
  end)

  it("is told as exec itself has it", function()
    if os.getenv "LUA" and os.getenv("LUA"):find "valgrind" then
      features.skip "valgrind does not survive an exec that fails late"
    end
    assert.equal("E2BIG", fails({ "true", ("x"):rep(200000) }).code)
    sh.with_dir(function(dir)
      sh.write_file(dir .. "/script", "#!/no/such/shell\n")
      sh.run { "chmod", "755", dir .. "/script" }
      local err = fails { dir .. "/script" }
      assert.equal("ENOENT", err.code)
      assert.matches("interpreter", err.kernel)
    end)
  end)

  it("is looked for along the child's own PATH", function()
    sh.with_dir(function(dir)
      for i = 1, 3 do
        sh.run { "mkdir", dir .. "/" .. i }
        sh.write_file(("%s/%d/tool"):format(dir, i), ("echo %d \"$0\" \"$@\"\n"):format(i)) -- no #!: for the shell
      end
      sh.run { "chmod", "755", dir .. "/2/tool", dir .. "/3/tool" }
      local path = ("%s/0:%s/1:%s/2:%s/3"):format(dir, dir, dir, dir)
      assert.equal(("2 %s/2/tool -x y\n"):format(dir), ns:run({ "tool", "-x", "y" }, { env = { PATH = path } }).stdout)
      assert.equal("EACCES", fails({ "tool" }, { env = { PATH = dir .. "/1:/nowhere" } }).code)
      assert.equal("ENOENT", fails({ "tool" }).code)
      -- an empty element is the directory it runs in
      assert.equal("3 ./tool\n", ns:run({ "tool" }, { env = { PATH = "/nowhere:" }, cwd = dir .. "/3" }).stdout)
      assert.equal("3 ./tool\n", ns:run({ "./tool" }, { cwd = dir .. "/3" }).stdout)
      -- no PATH at all: the standard one
      assert.is_true(ns:run({ "true" }, { env = { PATH = false } }).ok)
      assert.is_true(ns:run({ "true" }, { clear_env = true }).ok)
    end)
  end)
end)

describe("what a command sees", function()
  it("is its own /sys and the files of /etc/netns/NAME", function()
    features.need_root "write to /etc/netns"
    sh.run { "ip", "-n", "proc", "link", "add", "here0", "type", "veth", "peer", "name", "here1" }
    sh.run { "mkdir", "-p", "/etc/netns/proc" }
    sh.write_file("/etc/netns/proc/hosts", "10.9.8.7 only-here\n")
    local mine = sh.read_file "/etc/hosts"
    assert.equal("here0\nhere1\nlo\n", ns:run({ "ls", "-I", "bonding_masters", "/sys/class/net" }).stdout)
    assert.equal("10.9.8.7 only-here\n", ns:run({ "cat", "/etc/hosts" }).stdout)
    assert.equal("lo\n", ns:run({ "ls", "-I", "bonding_masters", "/sys/class/net" }, { mounts = false }).stdout)
    assert.equal(mine, ns:run({ "cat", "/etc/hosts" }, { mounts = false }).stdout)
    assert.equal(mine, sh.read_file "/etc/hosts")
    assert.equal(sh.run "ip netns exec proc ls /sys/class/net; ip netns exec proc cat /etc/hosts",
      ns:run({ "sh", "-c", "ls /sys/class/net; cat /etc/hosts" }).stdout)
    sh.run { "rm", "-r", "/etc/netns/proc" }
    sh.run { "ip", "-n", "proc", "link", "del", "here0" }
  end)

  it("is an environment made of ours and `env`", function()
    local env = { NETNS_SPEC_A = "a b=c", NETNS_SPEC_N = 5, HOME = false }
    local r = ns:run({ "sh", "-c", "echo \"$NETNS_SPEC_A|$NETNS_SPEC_N|${HOME-none}|${PATH:+some}\"" }, { env = env })
    assert.equal("a b=c|5|none|some\n", r.stdout)
    assert.same({ NETNS_SPEC_A = "a b=c", NETNS_SPEC_N = 5, HOME = false }, env)
    assert.equal("X=1\n", ns:run({ "env" }, { env = { X = 1, Y = false }, clear_env = true }).stdout)
    assert.equal("", ns:run({ "env" }, { clear_env = true }).stdout)
    assert.equal(os.getenv "HOME" or "", (ns:run({ "sh", "-c", "echo \"$HOME\"" }).stdout:gsub("\n$", "")))
  end)

  it("is the directory it was given", function()
    assert.equal("/usr\n", ns:run({ "pwd" }, { cwd = "/usr", env = { PWD = false } }).stdout)
    assert.equal(ns:run({ "pwd" }).stdout, sh.run "pwd")
  end)

  it("is no descriptor but the three", function()
    local r = program([[
      io.stdout:write(ns:run({ "find", "/proc/self/fd", "-lname", "/dev/zero" }).stdout)
      io.stdout:write(ns:run({ "ls", "/proc/self/fd" }, { stdin = 7 }).stdout)
    ]], "exec 7</dev/zero 8</dev/zero 9</dev/zero; ")
    assert.equal("", r.stderr)
    assert.equal("0\n1\n2\n3\n", r.stdout) -- 3 is the folder that ls reads
  end)

  it("is no signal blocked or ignored, whatever the host does with them", function()
    local r = program([[
      print(ns:run({ "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status" }).stdout)
    ]], "env --ignore-signal=HUP,INT,PIPE,USR1,TERM,RTMIN+1")
    assert.equal("", r.stderr)
    assert.matches("SigBlk:%s0+\nSigIgn:%s0+\n", r.stdout)
  end)

  it("is a session of its own", function()
    local stat = ns:run({ "sh", "-c", "cat /proc/$$/stat" }).stdout
    local pid, group, session = stat:match "^(%d+) %(.*%) %a %d+ (%d+) (%d+)"
    assert.equal(pid, group)
    assert.equal(pid, session)
  end)
end)

describe("the standard streams", function()
  -- a User-Mode Linux holds no more than some 200 MB in one process, when written page by page
  local megabytes = os.getenv "NETNS_GUEST" == "uml" and 20 or 100

  it(("move %d MB each way at once"):format(megabytes), function()
    local text = ("0123456789abcdef"):rep(megabytes * 65536)
    local r = ns:run({ "sh", "-c", "tee /dev/stderr" }, { stdin = text, mounts = false })
    assert.is_true(r.ok)
    assert.is_true(r.stdout == text)
    assert.is_true(r.stderr == text)
  end)

  it("take a reader that does not read, without SIGPIPE in the host", function()
    local text = ("x"):rep(1000000)
    assert.is_true(ns:run({ "true" }, { stdin = text }).ok)
    assert.equal("xxx", ns:run({ "head", "-c3" }, { stdin = text }).stdout)
    assert.is_true(ns:run({ "sh", "-c", "exec <&-; seq 100000" }, { stdin = text }).ok)
  end)

  it("read text, files, descriptors, handles or nothing", function()
    sh.with_dir(function(dir)
      local path = dir .. "/in"
      sh.write_file(path, "one\ntwo\n")
      assert.equal("a\0b", ns:run({ "cat" }, { stdin = "a\0b" }).stdout)
      assert.equal("", ns:run({ "cat" }, { stdin = "" }).stdout)
      assert.equal("", ns:run({ "cat" }).stdout)
      assert.equal("", ns:run({ "cat" }, { stdin = false }).stdout)
      assert.equal("one\ntwo\n", ns:run({ "cat" }, { stdin = { file = path } }).stdout)
      local file <close> = assert(io.open(path))
      assert.equal("one\ntwo\n", ns:run({ "cat" }, { stdin = file }).stdout)
      local p <close> = ns:spawn { "printf", "from a process" }
      assert.equal("from a process", ns:run({ "cat" }, { stdin = p:fd "stdout" }).stdout)
    end)
  end)

  it("write to files, descriptors, handles, nowhere, or both to one", function()
    sh.with_dir(function(dir)
      local path = dir .. "/out"
      local both = { "sh", "-c", "echo out; echo err >&2; echo out" }
      local r = ns:run(both, { stdout = { file = path }, stderr = "discard" })
      assert.is_nil(r.stdout)
      assert.is_nil(r.stderr)
      assert.equal("out\nout\n", sh.read_file(path))
      ns:run(both, { stdout = { file = path, append = true } })
      assert.equal("out\nout\nout\nout\n", sh.read_file(path))
      ns:run(both, { stdout = { file = path }, stderr = "stdout" })
      assert.equal("out\nerr\nout\n", sh.read_file(path))
      r = ns:run(both, { stderr = "stdout" })
      assert.equal("out\nerr\nout\n", r.stdout)
      assert.is_nil(r.stderr)
      local file = assert(io.open(path, "w"))
      file:write "before\n" -- still in the buffer
      ns:run(both, { stdout = file, stderr = file })
      file:close()
      assert.equal("before\nout\nerr\nout\n", sh.read_file(path))
      assert.equal("only err\n", ns:run({ "sh", "-c", "echo only err >&2" }, { stdout = "discard" }).stderr)
    end)
  end)

  it("are inherited when asked to", function()
    local r = program([[
      io.stdout:write "first "
      ns:run({ "sh", "-c", "cat; echo err >&2" }, { stdin = io.stdin, stdout = "inherit", stderr = "inherit" })
      io.stdout:write "last"
    ]], "", { stdin = "middle " })
    assert.equal("first middle last", r.stdout)
    assert.equal("err\n", r.stderr)
  end)

  it("cross over each other", function()
    local r = program([[
      ns:run({ "sh", "-c", "echo to-out; echo to-err >&2" }, { stdout = 2, stderr = 1 })
      ns:run({ "sh", "-c", "echo again" }, { stdout = 0 })
    ]], "exec 0>&2; ")
    assert.equal("to-err\n", r.stdout)
    assert.equal("to-out\nagain\n", r.stderr)
  end)

  it("work in a host that has closed its own", function()
    for _, closed in ipairs { "<&-", ">&-", "2>&-", "<&- >&- 2>&-" } do
      sh.with_dir(function(dir)
        local r = program(([[
          local r = ns:run({ "sh", "-c", "cat; echo err >&2; exit 5" }, { stdin = "in" })
          local p = ns:spawn { "cat" }
          p:write "spawned"
          p:close_stdin()
          local f = io.open(%q, "w")
          f:write(r.stdout, r.stderr, r.code, p:read "a")
          f:close()
          p:close()
        ]]):format(dir .. "/result"), "exec " .. closed .. "; ")
        assert.equal("inerr\n5spawned", sh.read_file(dir .. "/result"))
        assert.is_true(r.ok)
      end)
    end
  end)
end)

describe("a spawned process", function()
  it("is written to and read from", function()
    local p <close> = ns:spawn { "cat" }
    assert.equal(p, p:write "one\ntwo")
    assert.equal("one", p:read())
    local got, why = p:read("l", 0.05)
    assert.is_nil(got)
    assert.equal("timeout", why)
    p:write("\n"):write "three\nfour\nfive"
    assert.equal("two\n", p:read "L")
    assert.equal("thr", p:read(3))
    assert.equal("ee", p:read "l")
    assert.equal("", p:read(0))
    assert.is_nil(p:wait(0))
    p:close_stdin()
    assert.equal("four\nfive", p:read "a")
    assert.equal("", p:read "a")
    assert.is_nil(p:read "l")
    assert.is_nil(p:read(1))
    assert.is_nil(p:read(0))
    assert.is_nil(p:read "any")
    assert.same({ ok = true, code = 0 }, setmetatable(p:wait(), nil))
    assert.same({ ok = true, code = 0 }, setmetatable(p:wait(0), nil))
  end)

  it("reads what is there, the last line without its end, and from stderr", function()
    local p <close> = ns:spawn { "sh", "-c", "printf 'a\n\nlast'; printf 'e1\ne2\n' >&2" }
    assert.equal("e1", p:read("l", { from = "stderr" }))
    assert.equal("a", p:read())
    assert.equal("", p:read())
    assert.equal("last", p:read("l", { timeout = 10 }))
    assert.is_nil(p:read())
    assert.equal("e2\n", p:read("any", { from = "stderr", timeout = 10 }))
  end)

  it("gives its lines", function()
    local p <close> = ns:spawn { "seq", "1000" }
    local sum = 0
    for line in p:lines() do
      sum = sum + line
    end
    assert.equal(500500, sum)
    local q <close> = ns:spawn { "sh", "-c", "echo one; echo two >&2; sleep 60" }
    assert.equal("two\n", q:lines("L", { from = "stderr" })())
    local next_line = q:lines("l", 0.05)
    assert.equal("one", next_line())
    local ok, err = pcall(next_line)
    assert.is_false(ok)
    assert.equal("ETIMEDOUT", err.code)
  end)

  it("exchanges more than any pipe holds", function()
    local p <close> = ns:spawn { "cat" }
    local text = ("0123456789abcde\n"):rep(1000000)
    p:write(text)
    p:close_stdin()
    assert.is_true(p:read "a" == text)
    -- and with a text given at the start, while it is waited for
    local q <close> = ns:spawn({ "tee", "/dev/stderr" }, { stdin = text })
    assert.is_true(q:wait().ok)
    assert.is_true(q:read "a" == text)
    assert.is_true(q:read("a", { from = "stderr" }) == text)
  end)

  it("tells a writer that nobody reads any more", function()
    local p <close> = ns:spawn { "true" }
    p:wait()
    local ok, err = pcall(p.write, p, "x")
    assert.is_false(ok)
    assert.equal("EPIPE", err.code)
    assert.equal("write", err.op)
    assert.is_false((pcall(p.write, p, "x")))
  end)

  it("gives up writing at a time-out and says how far it came", function()
    local p <close> = ns:spawn { "sleep", "60" }
    local got, why, written = p:write(("x"):rep(10000000), 0.05)
    assert.is_nil(got)
    assert.equal("timeout", why)
    assert.is_true(written > 0 and written < 10000000)
  end)

  it("has streams that can be those of others", function()
    local p <close> = ns:spawn { "sh", "-c", "read go; seq 200000" }
    local q <close> = ns:spawn({ "wc", "-l" }, { stdin = p:fd "stdout" })
    local r <close> = ns:spawn { "cat" }
    local s <close> = ns:spawn({ "sh", "-c", "read go; seq 100000" }, { stdout = r:fd "stdin" })
    p:write "go\n"
    s:write "go\n"
    assert.equal("200000", q:read())
    r:write(("x\n"):rep(100000))
    s:wait()
    r:close_stdin()
    local _, lines = r:read("a"):gsub("\n", "")
    assert.equal(200000, lines)
  end)

  it("does not block while nobody reads, up to what a wide pipe holds", function()
    local p <close> = ns:spawn { "sh", "-c", "head -c 200000 /dev/zero; echo done >&2" }
    assert.equal("done", p:read("l", { from = "stderr", timeout = 30 }))
  end)

  it("is killed by name and by number", function()
    for signal, name in pairs { [15] = "TERM", KILL = "KILL", SIGINT = "INT", HUP = "HUP" } do
      local p <close> = ns:spawn { "sleep", "60" }
      assert.is_true(p:kill(0))
      assert.is_true(p:kill(signal))
      assert.equal(name, p:wait().signal)
      assert.is_false(p:kill(signal))
      assert.is_false(p:kill(0))
    end
    local p <close> = ns:spawn { "sleep", "60" }
    p:kill()
    assert.equal("TERM", p:wait().signal)
  end)

  it("is killed alone, or with its group, even when it has ended before", function()
    local p <close> = ns:spawn { "sh", "-c", "sleep 60 & echo $!" }
    local pid = p:read()
    p:wait()
    assert.is_true(exists(pid))
    assert.is_false(p:kill("KILL"))
    assert.is_true(p:kill("KILL", { group = true }))
    gone(pid)
  end)

  it("takes its whole group along when it is closed", function()
    local p = ns:spawn { "sh", "-c", "sleep 60 & echo $!; sleep 60 & echo $!; trap '' TERM; wait; wait" }
    local pids = { p.pid, p:read(), p:read() }
    assert.is_nil(p:close())
    for _, pid in ipairs(pids) do
      assert.is_false(exists(pid))
    end
    assert.equal("KILL", p:wait().signal)
    p:close()
    assert.is_true(p.closed)
  end)

  it("takes its background along when it has ended before", function()
    local p = ns:spawn { "sh", "-c", "sleep 60 & echo $!" }
    local pid = p:read()
    p:wait()
    p:close()
    assert.is_false(exists(pid))
  end)

  it("ends with its scope and with its handle", function()
    local pid
    local ok, err = pcall(function()
      local p <close> = ns:spawn { "sleep", "60" }
      pid = p.pid
      error "out of here"
    end)
    assert.is_false(ok)
    assert.matches("out of here", err)
    assert.is_false(exists(pid))
    pid = ns:spawn({ "sleep", "60" }).pid
    collectgarbage()
    collectgarbage()
    assert.is_false(exists(pid))
    assert.is_nil(io.open(("/proc/%d/stat"):format(pid))) -- reaped, too
  end)

  it("has a time-out of its own when it is waited for", function()
    local p <close> = ns:spawn({ "sleep", "60" }, { timeout = 0.05 })
    local status = p:wait()
    assert.is_true(status.timeout)
    assert.is_false(status.ok)
    assert.equal("[timed out]", tostring(status))
    local q <close> = ns:spawn({ "sh", "-c", "echo x >&2; exit 2" }, { check = true })
    local ok, err = pcall(q.wait, q)
    assert.is_false(ok)
    assert.equal("exit status 2", err.message)
    assert.equal("x", err.kernel)
  end)

  it("is detached from handle and host", function()
    local p = ns:spawn({ "sleep", "60" }, { detach = true, stdin = false, stdout = "discard", stderr = "discard" })
    local pid = p.pid
    p:close()
    assert.is_true(exists(pid))
    sh.run { "kill", pid }
    gone(pid)
    ns:run { "true" } -- the next start reaps it
    assert.is_nil(io.open(("/proc/%d/stat"):format(pid)))
    local r = program [[
      print(ns:spawn({ "sleep", "60" }, { detach = true, stdout = "discard", stderr = "discard" }).pid)
    ]]
    pid = r.stdout:match "%d+"
    assert.is_true(exists(pid))
    sh.run { "kill", pid }
    gone(pid)
  end)

  it("does not outlive a host that is killed", function()
    local r = program [[
      local p = ns:spawn { "sleep", "60" }
      print(p.pid)
      io.stdout:flush()
      local self = io.open("/proc/self/stat"):read "n"
      os.execute("kill -9 " .. math.tointeger(self))
    ]]
    gone(r.stdout:match "%d+")
  end)

  it("is handed out when it is `ready`, and ends where that fails", function()
    local path = os.tmpname()
    os.remove(path)
    local p <close> = ns:spawn({ "sh", "-c", "echo > " .. path .. "; exec sleep 60" }, { ready = { file = path } })
    assert.is_nil(p:wait(0))
    local file = assert(io.open(path))
    file:close()
    os.remove(path)
    local _, err = netns.try(ns.spawn, ns, { "sleep", "60" }, { ready = { tcp = 80, timeout = 0.1 } })
    assert.equal("ETIMEDOUT", err.code)
    local ok, why = pcall(ns.spawn, ns, { "sh", "-c", "echo cannot start; exit 3" }, { ready = { tcp = 80 } })
    assert.is_false(ok)
    assert.matches("cannot start", tostring(why))
  end)

  it("tells what it is", function()
    local p <close> = ns:spawn { "sleep", "60" }
    local q <close> = ns:spawn { "sleep", "60" }
    assert.equal(("sleep 60 (pid %d, running)"):format(p.pid), tostring(p))
    assert.is_true(p == p)
    assert.is_false(p == q)
    assert.is_false(p.closed)
    p:kill "KILL"
    p:wait()
    assert.equal(("sleep 60 (pid %d, killed by KILL)"):format(p.pid), tostring(p))
    assert.is_nil(p.nothing)
    local long <close> = ns:spawn { "echo", ("x"):rep(1000) }
    assert.matches("^echo x+%.%.%. %(pid", tostring(long))
  end)

  it("wakes an event loop", function()
    local cqueues = require "cqueues"
    local loop = cqueues.new()
    local p <close> = ns:spawn { "sh", "-c", "read line; echo \"got $line\"; read line" }
    local heard, ended
    loop:wrap(function()
      cqueues.poll { pollfd = p:fd "stdout", events = "r" }
      heard = p:read("any", 0)
      p:close_stdin()
      cqueues.poll { pollfd = p:fd(), events = "r" }
      ended = p:wait(0)
    end)
    loop:wrap(function()
      p:write "x\n"
    end)
    assert(loop:loop(20))
    assert.equal("got x\n", heard)
    assert.equal(1, ended.code)
    assert.is_nil(p:fd "stdin")
  end)

  it("comes in hundreds at once", function()
    local all = {}
    for i = 1, 100 do
      all[i] = ns:spawn({ "sh", "-c", "read x; exit $x" }, { mounts = false, stdout = "discard", stderr = "discard" })
    end
    for i, p in ipairs(all) do
      p:write(i .. "\n")
    end
    for i, p in ipairs(all) do
      assert.equal(i, p:wait(30).code)
      p:close()
    end
  end)
end)

describe("the host", function()
  it("may ignore SIGCHLD: the status is told, or its loss", function()
    local major, minor = sh.run({ "uname", "-r" }):match "^(%d+)%.(%d+)"
    local knows = major * 1000 + minor >= 6015 -- PIDFD_GET_INFO with the exit status
    local r = program([[
      print(pcall(function() return ns:run({ "sh", "-c", "exit 3" }).code end))
    ]], "env --ignore-signal=CHLD")
    if knows then
      assert.equal("true\t3\n", r.stdout)
    else
      assert.matches("^false\trun sh %-c exit 3 in .*ECHILD.*SIGCHLD", r.stdout)
    end
  end)

  it("can be interrupted while it waits, and nothing stays", function()
    for _, call in ipairs { 'ns:run { "sh", "-c", script }', 'ns:spawn({ "sh", "-c", script }, { stdout = 1 }):wait()',
      'ns:spawn({ "sh", "-c", script }, { stdout = 1 }):read("l", { from = "stderr" })' } do
      local r = program(([[
        local self = math.tointeger(io.open("/proc/self/stat"):read "n")
        local script = "echo $$ >/proc/" .. self .. "/fd/1; kill -INT " .. self .. "; exec sleep 60"
        io.stdout:setvbuf "no"
        %s
      ]]):format(call), "", { timeout = 30 })
      assert.matches("interrupted!", r.stderr)
      assert.equal(1, r.code)
      gone(r.stdout:match "%d+")
    end
  end)

  it("keeps its namespace, directory and mask", function()
    local before = sh.run "readlink /proc/$PPID/ns/net"
    ns:run { "true" }
    pcall(ns.run, ns, { "no-such-program" })
    assert.equal(before, sh.run "readlink /proc/$PPID/ns/net")
  end)
end)

describe("misuse", function()
  local function refused(message, fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    assert.equal("string", type(err))
    assert.matches(message, err, 1, true)
  end

  local function here()
    return debug.getinfo(2, "l").currentline
  end

  it("of run and spawn is refused by name", function()
    for _, f in ipairs { ns.run, ns.spawn } do
      refused("argv must be a table such as", f, ns, "ls -l")
      refused("argv must be a table such as", f, ns)
      refused("argv must be a table such as", f, ns, 5)
      refused("argv must not be empty", f, ns, {})
      refused("argv[2] must be a string, got table", f, ns, { "ls", {} })
      refused("argv[1] must be a string, got boolean", f, ns, { true })
      refused("argv[1] must name a program", f, ns, { "" })
      refused("argv[2] must not contain NUL bytes", f, ns, { "echo", "a\0b" })
      refused('unexpected key "timeout" in argv', f, ns, { "true", timeout = 1 })
      refused("argv must be a sequence", f, ns, { "true", [3] = "x" })
      refused("options must be a table, got string", f, ns, { "true" }, "x")
      refused('unknown key "timeot" (did you mean "timeout"?)', f, ns, { "true" }, { timeot = 1 })
      refused("timeout must be a number", f, ns, { "true" }, { timeout = -1 })
      refused("timeout must be a number", f, ns, { "true" }, { timeout = 0 / 0 })
      refused("timeout must be a number", f, ns, { "true" }, { timeout = "1" })
      refused("check must be true or false", f, ns, { "true" }, { check = 1 })
      refused("mounts must be true or false", f, ns, { "true" }, { mounts = "no" })
      refused("cwd must be a string", f, ns, { "true" }, { cwd = 1 })
      refused("cwd must not contain NUL bytes", f, ns, { "true" }, { cwd = "/\0" })
      refused("env must be a table", f, ns, { "true" }, { env = "A=1" })
      refused("env must map names to values, but has the key 1", f, ns, { "true" }, { env = { "A=1" } })
      refused("env has an impossible name", f, ns, { "true" }, { env = { ["A=B"] = 1 } })
      refused("env has an impossible name", f, ns, { "true" }, { env = { [""] = 1 } })
      refused("env.A must be a string, got table", f, ns, { "true" }, { env = { A = {} } })
      refused("env.A must be a string, got boolean", f, ns, { "true" }, { env = { A = true } })
      refused("env.A must not contain NUL bytes", f, ns, { "true" }, { env = { A = "\0" } })
      refused("stdin must be text", f, ns, { "true" }, { stdin = print })
      refused("stdin: file descriptor 999 is not open", f, ns, { "true" }, { stdin = 999 })
      refused("stdin must be a file descriptor from 0 up, got -1", f, ns, { "true" }, { stdin = -1 })
      refused("stdin must be a file descriptor from 0 up, got 1.5", f, ns, { "true" }, { stdin = 1.5 })
      refused('stdin: unknown key "path"', f, ns, { "true" }, { stdin = { path = "x" } })
      refused("stdin: file must be a path", f, ns, { "true" }, { stdin = {} })
      refused('stdin: unknown key "append"', f, ns, { "true" }, { stdin = { file = "x", append = true } })
      refused('got "captrue" (did you mean "capture"?)', f, ns, { "true" }, { stdout = "captrue" })
      refused('stdout must be "capture"', f, ns, { "true" }, { stdout = "stdout" })
      refused('stderr must be "capture", "inherit", "discard", "stdout"', f, ns, { "true" }, { stderr = true })
      refused("stdout: append must be true or false", f, ns, { "true" }, { stdout = { file = "/x", append = 1 } })
      local file = assert(io.open "/dev/null")
      file:close()
      refused("stdout is a closed file", f, ns, { "true" }, { stdout = file })
      local closed = netns.new()
      closed:close()
      refused("the namespace is closed", f, closed, { "true" })
      refused("netns.Namespace expected", f, { "true" })
    end
    refused('unknown key "ready"', ns.run, ns, { "true" }, { ready = true })
    refused("stdin = true needs somebody to write", ns.run, ns, { "true" }, { stdin = true })
    refused("detach is for spawn", ns.run, ns, { "true" }, { detach = true })
  end)

  it("is told at the caller's line", function()
    local line = here() + 2
    refused(("process_spec.lua:%d: run: "):format(line), function()
      ns:run("ls")
    end)
  end)

  it("of a process is refused by name", function()
    local p <close> = ns:spawn({ "sleep", "60" }, { stdin = false, stderr = "discard" })
    refused("invalid option", p.read, p, "x")
    refused("a number of bytes is 0 or more", p.read, p, -1)
    refused("no integer representation", p.read, p, 1.5)
    refused("a time-out is a number of seconds", p.read, p, "l", -1)
    refused("number expected, got string", p.read, p, "l", "soon")
    refused('unknown key "form" (did you mean "from"?)', p.read, p, "l", { form = "stderr" })
    refused('from must be "stdout" or "stderr"', p.read, p, "l", { from = "stdin" })
    refused("stderr of this process is not captured", p.read, p, "l", { from = "stderr" })
    refused("stdin of this process is not a pipe", p.write, p, "x")
    refused("a time-out is a number of seconds", p.wait, p, -1)
    refused("a time-out is a number of seconds", p.wait, p, 0 / 0)
    refused('unknown signal "TREM"', p.kill, p, "TREM")
    refused("a signal's number is 0 to 64", p.kill, p, 65)
    refused("a signal's number is 0 to 64", p.kill, p, -9)
    refused("string expected, got table", p.kill, p, {})
    refused('unknown key "grop" (did you mean "group"?)', p.kill, p, "TERM", { grop = true })
    refused("invalid option", p.fd, p, "stdfoo")
    refused("a Process has no field", function()
      p.pid = 5
    end)
    refused("netns.Process expected", p.wait, ns)
    local q <close> = ns:spawn { "cat" }
    refused("string expected, got no value", q.write, q)
    q:close_stdin()
    refused("stdin of this process is closed", q.write, q, "x")
    q:close()
    for _, method in ipairs { "read", "write", "kill", "close_stdin", "fd" } do
      refused("the process is closed", q[method], q, method == "write" and "x" or nil)
    end
  end)
end)
