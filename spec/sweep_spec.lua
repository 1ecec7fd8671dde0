--- netns.sweep(): what killed programs left, and nothing else.
require("spec.support.leaks").gate()
local netns = require "netns"
local sh = require "spec.support.sh"
local topology = require "netns.topology"

local lua = os.getenv "LUA" or "lua5.4"

-- Run a script in a process, which it ends by SIGKILL of itself or not.
local function run(script)
  return sh.try({ lua, "-" }, { stdin = script })
end

local function killed(script)
  run('local netns, topology = require "netns", require "netns.topology"\n' .. script
    .. '\nos.execute "kill -KILL $PPID" require("system").sleep(60)')
end

describe("netns.sweep", function()
  it("removes names and labs of programs that were killed", function()
    killed [[a, b, lab = netns.new "left-a", netns.new "left b (x) 1", topology.pair():up { name = "left" }]]
    assert.equal(4, #netns.list())
    assert.same({ "left", "left b (x) 1", "left-a" }, netns.sweep())
    assert.same({}, netns.list())
    assert.same({}, netns.sweep())
  end)

  it("leaves what lives, what is kept, and what others made", function()
    local mine <close> = netns.new "mine"
    local lab <close> = topology.pair():up { name = "lab" }
    killed [[netns.new("kept", { keep = true })]]
    sh.run "ip netns add others; touch /run/netns/plain; ln -s /etc/passwd /run/netns/link"
    local here = netns.current()
    local other <close> = here:spawn({ lua, "-" }, { stdin = [[
      local ns = require("netns").new "living"
      io.stdout:write "up\n" io.stdout:flush()
      require("system").sleep(60)]] })
    assert.equal("up", other:read("l", 10))
    assert.same({}, netns.sweep())
    local names = netns.list()
    table.sort(names)
    assert.same({ "kept", "lab.h1", "lab.h2", "link", "living", "mine", "others", "plain" }, names)
    assert.is_true(lab:ping_all().ok and mine.link:get "lo" ~= nil)
    other:close()
    assert.same({ "living" }, netns.sweep())
    here:close()
    sh.run "ip netns del others; ip netns del kept; rm /run/netns/plain /run/netns/link"
  end)

  it("leaves a name that is another's by now", function()
    killed [[netns.new "again"]]
    netns.delete "again"
    sh.run "ip netns add again"
    assert.same({}, netns.sweep())
    sh.run "ip netns del again"
  end)

  it("leaves names of programs in other pid namespaces", function()
    sh.run({ "unshare", "--pid", "--fork", "--mount-proc", lua, "-" }, {
      stdin = [[far = require("netns").new "far" os.exit(true, false)]] }) -- nothing is closed
    assert.same({ "far" }, netns.list())
    assert.same({}, netns.sweep())
    netns.delete "far"
  end)

  it("is at home with ip netns: names look the same to it", function()
    local ns <close> = netns.new "seen"
    assert.matches("seen", sh.run "ip netns list")
    sh.run "ip netns exec seen true"
    sh.run "ip netns del seen"
    assert.same({}, netns.list())
    ns:close()
  end)
end)
