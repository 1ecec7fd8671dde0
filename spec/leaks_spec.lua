--- The leak gate itself: a planted leak of each kind is caught, and a clean spec is not accused.
local sh = require "spec.support.sh"

local function run_gated(body, opts)
  return sh.with_dir(function(dir)
    sh.write_file(dir .. "/a_spec.lua", ([[require("spec.support.leaks").gate(%s)
      local kept = {} -- to keep it from the collector
      it("does", function()
        %s
      end)
    ]]):format(opts or "", body))
    local r = sh.try(("spec/support/isolate spec/support/run %s 2>&1"):format(sh.quote(dir)))
    return r.stdout, r
  end)
end

describe("the leak gate catches", function()
  local function catches(name, message, body, opts)
    it(name, function()
      local out, r = run_gated(body, opts)
      assert.matches("a_spec.lua:1: .*" .. message, out)
      assert.matches("\n1 passed, 1 failed, 0 skipped\n$", out)
      assert.is_false(r.ok)
    end)
  end

  catches("a descriptor", "leaked file descriptor %d+ %-> /dev/null\n",
    [[kept[1] = assert(io.open "/dev/null")]])
  catches("a descriptor of a namespace", "leaked file descriptor %d+ %-> net:%[%d+%]\n",
    [[kept[1] = assert(io.open "/proc/self/ns/net")]])
  catches("a descriptor that is gone", "lost file descriptor %d+ %-> /dev/null\n",
    [[early:close()]], [[{ warm = function() early = assert(io.open "/dev/null") end }]])
  catches("a mount", "leaked mount /run/netns/m %(tmpfs of leak, root /%)\n",
    [[assert(os.execute "mkdir /run/netns/m && mount -t tmpfs leak /run/netns/m")]])
  catches("the same mount again", "leaked mount /run/netns %(tmpfs of netns, root /%) x%d\n",
    [[assert(os.execute "mount -t tmpfs netns /run/netns")]])
  catches("a namespace by name", "leaked mount /run/netns/red .*leaked named namespace red\n",
    [[assert(os.execute "ip netns add red")]])
  catches("a configuration of a namespace", "leaked file in /etc/netns red\n",
    [[assert(os.execute "mkdir /etc/netns/red")]])
  catches("a running child", "leaked child process %d+: [^\n]*%(%u%)\n",
    [[kept[1] = io.popen("exec cat", "w")]])
  catches("a child not waited for", "leaked child process %d+: sh %(Z%)\n",
    [[kept[1] = io.popen("exec 2>&1; exit", "r")
      kept[1]:read "a" -- it has closed its end
      require("spec.support.sh").eventually(function()
        for _, text in pairs(require("spec.support.leaks").snapshot().looks["child process"]) do
          return text:find "(Z)"
        end
      end)]])
  catches("a link", "leaked link in this namespace br0\n",
    [[assert(os.execute "ip link add br0 type bridge")]])
  catches("another working directory", "changed working directory from %S+ to /\n",
    [[assert(require("lfs").chdir "/")]])
end)

it("a thread in another namespace is told", function()
  local leaks = require "spec.support.leaks"
  local before, after = leaks.snapshot(), leaks.snapshot()
  assert.same({}, leaks.compare(before, after))
  local here = after.states["network namespace of the thread"]
  assert.matches("^net:%[%d+%]$", here)
  before.states["network namespace of the thread"] = "net:[1]"
  assert.same({ "changed network namespace of the thread from net:[1] to " .. here }, leaks.compare(before, after))
end)

it("a clean spec passes, and what it dropped is collected first", function()
  local out, r = run_gated [[
    local dropped = assert(io.open "/dev/null")
    assert(dropped)
    assert(os.execute "ip netns add red && ip netns del red && ip link add br0 type bridge && ip link del br0")
  ]]
  assert.matches("\n1 passed, 0 failed, 0 skipped\n$", out)
  assert.is_true(r.ok)
end)

it("what `warm` starts belongs to the start", function()
  local out = run_gated("", [[{ warm = function() warmed = assert(io.open "/dev/null") end }]])
  assert.matches("\n1 passed, 0 failed, 0 skipped\n$", out)
end)

it("the gate closes after the teardowns of the file", function()
  local out = run_gated [[
    kept[1] = assert(io.open "/dev/null")
  end)
  teardown(function()
    kept[1]:close()
  ]]
  assert.matches("\n1 passed, 0 failed, 0 skipped\n$", out)
end)
