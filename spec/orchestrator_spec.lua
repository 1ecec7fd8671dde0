--- examples/orchestrator.lua, by HTTP on its socket: what it is asked for, what is wrong, and that it may be killed.
local cqueues = require "cqueues"
debug.getregistry()["spec.cqueues"] = cqueues -- busted forgets modules between files
cqueues.poll(0) -- outside of a loop, cqueues makes one, which it keeps
require("spec.support.leaks").gate()
local json = require "netns.json"
local netns = require "netns"
local sh = require "spec.support.sh"
local socket = require "cqueues.socket"
local topology = require "netns.topology"

local lua = os.getenv "LUA" or "lua5.4"

describe("the orchestrator", function()
  local dir, path, server
  local here

  local function start()
    server = here:spawn({ lua, "examples/orchestrator.lua", "serve", path }, { mounts = false, stderr = "stdout" })
    local said = {}
    for line in server:lines("l", 30) do
      said[#said + 1] = line
      if line:find "^ready" then
        return said
      end
    end
    error("it did not start: " .. table.concat(said, "\n"))
  end

  local function stop()
    server:kill "KILL"
    assert.equal("KILL", server:wait(10).signal)
    server:close()
  end

  local function connect()
    local client = assert(socket.connect { path = path })
    client:onerror(function(_, _, why) return why end)
    client:setmode("b", "bf")
    client:settimeout(30)
    return client
  end

  -- What the server answers to bytes: the status, and the body.
  local function say(text)
    local client = connect()
    client:write(text)
    client:flush()
    local answer = client:read "*a" or ""
    client:close()
    return math.tointeger(tonumber(answer:match "^HTTP/1.1 (%d+)")), answer:match "\r\n\r\n(.*)$"
  end

  local function ask(method, url, body)
    body = type(body) == "table" and json.encode(body) or body or ""
    local status, answer = say(("%s %s HTTP/1.1\r\nHost: labs\r\nContent-Length: %d\r\n\r\n%s"):format(method, url,
      #body, body))
    return status, json.decode(answer) or answer
  end

  local function names()
    local list = netns.list()
    table.sort(list)
    return list
  end

  before_each(function()
    here = netns.current()
    dir = sh.run { "mktemp", "-d" }:gsub("\n", "")
    path = dir .. "/socket"
    start()
  end)

  after_each(function()
    stop()
    topology.sweep()
    here:close()
    sh.run { "rm", "-rf", dir }
  end)

  it("makes, shows, changes, mends and removes labs", function()
    local status, answer = ask("PUT", "/office", { nodes = { gw = { kind = "router", links = { { to = "pc" } } },
      pc = { kind = "host", run = { { argv = { "sleep", "1003" } } } } } })
    assert.equal(201, status)
    assert.same({ "office.gw", "office.pc" }, names())
    assert.equal("office.pc", answer.nodes.pc.netns)
    assert.equal(answer.nodes.pc.addresses[1], sh.ip("office.pc", "-j -4 addr show eth0")[1].addr_info[1]["local"])
    assert.same({ 201, 200 }, { (ask("PUT", "/other", { pattern = "ring", routers = 3 })), (ask("GET", "/other")) })
    assert.same({ "office", "other" }, select(2, ask("GET", "/")))
    local _, ping = ask("POST", "/other/ping")
    assert.is_number(ping.r1.r3)
    assert.matches("%(x%) r1  eth0", select(2, ask("GET", "/other/picture")))

    sh.ip("office.gw", "link set eth0 down")
    _, answer = ask("GET", "/office")
    assert.matches("gw: link eth0 up: expected true, found false", table.concat(answer.drift, "\n"))
    assert.is_true(select(2, ask("POST", "/office/repair")).mended > 0)
    assert.same({}, select(2, ask("GET", "/office")).drift)

    assert.equal(200, (ask("PUT", "/other", { pattern = "line", routers = 2 })))
    assert.same({ "office.gw", "office.pc", "other.r1", "other.r2" }, names())
    assert.equal(204, (ask("DELETE", "/other")))
    assert.equal(404, (ask("GET", "/other")))
    assert.equal(204, (ask("DELETE", "/office")))
    assert.same({}, names())
  end)

  it("answers what is wrong, and goes on", function()
    assert.equal(201, (ask("PUT", "/a", { pattern = "pair" })))
    local head = "PUT /x HTTP/1.1\r\nContent-Length: "
    for _, case in ipairs {
      { 400, "hello\r\n\r\n" }, { 400, "\0\1\2\r\n\r\n" }, { 400, "GET / HTTP/2\r\n\r\n" },
      { 400, head .. "x\r\n\r\n" }, { 413, head .. "99999999999\r\n\r\n" }, { 413, head .. "-1\r\n\r\n" },
      { 400, "GET / HTTP/1.1\r\n" .. ("a: b\r\n"):rep(200) .. "\r\n" },
      { 400, "PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" },
    } do
      local status, answer = say(case[2])
      assert.equal(case[1], status, case[2])
      assert.is_string(json.decode(answer).error)
    end
    for _, case in ipairs {
      { 404, "GET", "/" .. ("x"):rep(500) }, { 404, "GET", "/../../etc/passwd" }, { 404, "GET", "/x" },
      { 404, "DELETE", "/x" }, { 405, "POST", "/" }, { 405, "PATCH", "/a" }, { 400, "PUT", "/x", "{" },
      { 400, "PUT", "/x", "" }, { 400, "PUT", "/x", "3" }, { 422, "PUT", "/x", { pattern = "frob" } },
      { 422, "PUT", "/x", { pattern = "star", host = 3 } }, { 422, "PUT", "/x", '{"nodes": {"a": null}}' },
      { 422, "PUT", "/x", { nodes = { a = { kind = "rooter" } } } }, { 422, "PUT", "/a", { nodes = { a = 1 } } },
      { 500, "PUT", "/x", { nodes = { a = { kind = "host", run = { { argv = { "/no/such/program" } } } } } } },
      { 500, "PUT", "/x", { nodes = { a = { kind = "host", firewall = "frob" } } } },
    } do
      local status, answer = ask(case[2], case[3], case[4])
      local what = ("%s %s %s: %s"):format(case[2], case[3], json.encode(case[4] or ""), json.encode(answer))
      assert.equal(case[1], status, what)
      assert.is_string(answer.error, what)
    end
    local _, answer = ask("PUT", "/x", { nodes = { a = { kind = "rooter" } } })
    assert.same({ { path = "nodes.a.kind",
      message = 'must be one of host, router, switch (did you mean "router"?); got "rooter"' } }, answer.findings)
    assert.same({ "a.h1", "a.h2" }, names())
    assert.is_nil(server:wait(0))
  end)

  it("does not wait for clients that say nothing, or go away", function()
    local silent, half, gone = connect(), connect(), connect()
    half:write "PUT /x HTTP/1.1\r\nContent-Length: 10\r\n\r\n{"
    half:flush()
    gone:write "GET / HTTP/1.1\r\n\r\n"
    gone:close()
    assert.equal(201, (ask("PUT", "/a", { pattern = "pair" })))
    silent:close()
    half:close()
    assert.same({ "a" }, select(2, ask("GET", "/")))
  end)

  it("takes over its labs after SIGKILL, and leaves those of others that live", function()
    local mine <close> = topology.pair():up { name = "mine" }
    ask("PUT", "/office", { pattern = "star", hosts = 2 })
    ask("PUT", "/other", { nodes = { pc = { kind = "host", run = { { argv = { "sleep", "1004" } } } } } })
    local inode = sh.run { "stat", "-Lc", "%i", "/run/netns/office.h1" }
    for round = 1, 3 do
      stop()
      assert.same({ "mine", true, "office", false, "other", false }, (function()
        local flat = {}
        for _, lab in ipairs(topology.list()) do
          flat[#flat + 1], flat[#flat + 2] = lab.name, lab.owned
        end
        return flat
      end)())
      if round == 2 then
        sh.ip("office.h1", "link set eth0 down")
        sh.run { "ip", "netns", "del", "office.h2" }
      end
      local said = table.concat(start(), "\n")
      assert.matches("took over\toffice", said)
      assert.matches("took over\tother", said)
      assert.not_matches("mine", said)
      assert.equal(inode, sh.run { "stat", "-Lc", "%i", "/run/netns/office.h1" })
      assert.is_number(select(2, ask("POST", "/office/ping")).h1.h2)
      assert.same({}, select(2, ask("GET", "/office")).drift)
      local other <close> = netns.open "other.pc"
      assert.equal(1, #other:pids())
    end
    assert.equal(200, (ask("PUT", "/office", { pattern = "star", hosts = 3 })))
    assert.equal(204, (ask("DELETE", "/office")))
    assert.equal(204, (ask("DELETE", "/other")))
    assert.same({ "mine.h1", "mine.h2" }, names())
    assert.is_true(mine:ping_all().ok)
  end)
end)
