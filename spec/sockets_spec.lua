require("spec.support.leaks").gate { warm = function()
  local uv = require "spec.support.luv"
  uv.new_tcp():close() -- with the first stream, libuv opens a descriptor that it keeps
  uv.run()
end }
local nets = require "spec.support.nets"
local netns = require "netns"
local sh = require "spec.support.sh"
local uv = require "spec.support.luv"

describe("sockets", function()
  local net, a, b

  setup(function()
    package.loaded.luv = uv
    net = nets.line { "a", "b" }
    a, b = net.a, net.b
  end)

  teardown(function()
    package.loaded.luv = nil
    net:close()
  end)

  local function listening(ns, port)
    return sh.inside(ns, ("ss -Hltn sport = :%d"):format(port))
  end

  it("are made in their namespace, closed on exec, and say who they are", function()
    local server <close> = b:tcp_listen(80)
    assert.same({ "::", 80 }, { server:name() })
    assert.matches("%*:80 ", listening(b, 80))
    assert.equal("", listening(a, 80))
    assert.matches("flags:\t0?2004002\n", sh.read_file("/proc/self/fdinfo/" .. server:fd())) -- O_CLOEXEC, O_NONBLOCK
    for _, address in ipairs { "10.0.1.2", "fd00:1::2", b } do
      local c <close> = a:tcp_connect(address, 80)
      local peer, port = c:peer()
      assert.same({ address == b and "10.0.1.2" or address, 80 }, { peer, port })
      assert.matches("^socket %d+ in netns:", tostring(c))
    end
    local from <close> = a:tcp_connect("10.0.1.2", 80, { source = "10.0.1.1", dev = "right" })
    assert.equal("10.0.1.1", (from:name()))
    local free <close> = b:tcp_listen { port = 0, address = "10.0.1.2", backlog = 3 }
    local address, port = free:name()
    assert.equal("10.0.1.2", address)
    assert.is_true(port > 0)
    local listed = b:sockets { proto = "tcp", listening = true }
    assert.equal(2, #listed)
    local fd = free:release()
    assert.error_matches(function() free:fd() end, "the socket is closed, or was handed on")
    free:close()
    assert.matches("10.0.1.2:" .. port, listening(b, port))
    local lfd = require("socket").tcp4()
    lfd:close()
    lfd:setfd(fd)
    lfd:close()
    assert.equal("", listening(b, port))
  end)

  it("take link-local addresses with their links", function()
    local ll
    for _, addr in ipairs(b.addr:list { dev = "left", family = "inet6", scope = "link" }) do
      ll = addr.address:gsub("/.*", "")
    end
    local server <close> = b:tcp_listen { port = 81, address = ll .. "%left" }
    local c <close> = a:tcp_connect(ll .. "%right", 81)
    assert.equal(81, select(2, c:peer()))
    assert.equal(ll, (server:name()))
  end)

  it("listen on IPv4 where there is no IPv6", function()
    local ns <close> = netns.new()
    ns.sysctl["net.ipv6.conf.all.disable_ipv6"] = 1
    ns.link:set { dev = "lo", up = true }
    local server <close> = ns:tcp_listen(80)
    local c <close> = ns:tcp_connect("127.0.0.1", 80)
    assert.equal(80, select(2, c:peer()))
    assert.equal(80, select(2, server:name()))
  end)

  it("work with luasocket", function()
    for _, address in ipairs { "10.0.1.2", "fd00:1::2" } do
      local server = b:tcp_listen { port = 90, library = "luasocket" }
      local client = a:tcp_connect(address, 90, { library = "luasocket" })
      assert.matches("^tcp{server}", tostring(server))
      assert.matches("^tcp{client}", tostring(client))
      server:settimeout(5)
      local other = assert(server:accept())
      other:send "hello\n"
      assert.equal("hello", client:receive "*l")
      assert.equal(address, (client:getpeername()))
      other:close()
      client:close()
      server:close()

      local inbox = b:udp { port = 53, library = "luasocket" }
      local out = a:udp { peer = address, peer_port = 53, library = "luasocket" }
      assert(out:send "query")
      inbox:settimeout(5)
      local text, from, port = inbox:receivefrom()
      assert.equal("query", text)
      assert(inbox:sendto("answer", from, port))
      out:settimeout(5)
      assert.equal("answer", out:receive())
      inbox:close()
      out:close()
    end
    local _, err = netns.try(a.tcp_connect, a, "10.0.1.2", 91, { library = "luasocket" })
    assert.equal("ECONNREFUSED", err.code)
  end)

  it("work with cqueues", function()
    local cqueues = require "cqueues"
    local server = b:tcp_listen { port = 90, library = "cqueues" }
    local loop, got = cqueues.new(), {}
    loop:wrap(function()
      local c = server:accept()
      got.server = c:read "*l"
      c:write "answer\n"
      c:flush()
      c:close()
    end)
    loop:wrap(function()
      local c = a:tcp_connect("10.0.1.2", 90, { library = "cqueues" })
      c:write "hello\n"
      c:flush()
      got.client = c:read "*l"
      c:close()
    end)
    assert(loop:loop())
    assert.same({ server = "hello", client = "answer" }, got)
    server:close()

    local inbox = b:udp { port = 53, library = "cqueues" }
    local out = a:udp { peer = b, peer_port = 53, library = "cqueues" }
    loop:wrap(function()
      got.datagram = inbox:read(-1500)
    end)
    loop:wrap(function()
      out:write "query"
      out:flush()
    end)
    assert(loop:loop())
    assert.equal("query", got.datagram)
    inbox:close()
    out:close()
  end)

  it("work with luv", function()
    local got = {}
    local server = b:tcp_listen { port = 90, library = "luv" }
    server:listen(16, function(err)
      assert(not err, err)
      local c = uv.new_tcp()
      server:accept(c)
      c:read_start(function(_, chunk)
        got.server = chunk or got.server
        if chunk then
          c:write("answer", function() c:close() end)
        end
      end)
      server:close()
    end)
    local client = a:tcp_connect("10.0.1.2", 90, { library = "luv" })
    client:read_start(function(_, chunk)
      got.client = chunk or got.client
      if not chunk then
        client:close()
      end
    end)
    client:write "hello"
    uv.run()
    assert.same({ server = "hello", client = "answer" }, got)

    local inbox = b:udp { port = 53, library = "luv" }
    inbox:recv_start(function(_, chunk)
      if chunk then
        got.datagram = chunk
        inbox:close()
      end
    end)
    local out = a:udp { peer = "10.0.1.2", peer_port = 53, library = "luv" }
    assert(out:try_send("query", nil, nil))
    uv.run()
    out:close()
    uv.run()
    assert.equal("query", got.datagram)
  end)

  it("say what the kernel says", function()
    local function code(fn, ...)
      local _, err = netns.try(fn, ...)
      return err.code, tostring(err)
    end
    local taken <close> = b:tcp_listen(80)
    assert.equal(80, select(2, taken:name()))
    local got, text = code(b.tcp_listen, b, 80)
    assert.equal("EADDRINUSE", got)
    assert.matches("^tcp_listen %[::%]:80 in netns:.*Address already in use", text)
    got, text = code(a.tcp_connect, a, "10.0.1.2", 81)
    assert.equal("ECONNREFUSED", got)
    assert.matches("^tcp_connect 10.0.1.2:81 in netns:", text)
    assert.equal("ENETUNREACH", (code(a.tcp_connect, a, "192.0.2.1", 81)))
    assert.equal("EADDRNOTAVAIL", (code(a.udp, a, { address = "192.0.2.1" })))
    assert.equal("ENODEV", (code(a.udp, a, { dev = "nosuch" })))
    a.route:add { type = "blackhole", dst = "192.0.2.0/24" }
    assert.equal("EINVAL", (code(a.tcp_connect, a, "192.0.2.1", 81)))
    a.route:del { type = "blackhole", dst = "192.0.2.0/24" }
    a.neigh:add { dev = "right", dst = "10.0.1.9", lladdr = "02:00:00:00:00:09" }
    got, text = code(a.tcp_connect, a, "10.0.1.9", 81, { timeout = 0.01 })
    assert.equal("ETIMEDOUT", got)
    assert.matches("^tcp_connect 10.0.1.9:81 in netns:.*timed out", text)
    assert.equal("ETIMEDOUT", (code(a.tcp_connect, a, "10.0.1.9", 81, { timeout = 0.01, library = "luasocket" })))
  end)

  it("refuse misuse", function()
    local function refused(pattern, fn)
      local ok, err = pcall(fn)
      assert.is_false(ok)
      assert.matches(pattern, tostring(err))
      assert.matches("sockets_spec%.lua:%d+: ", tostring(err))
    end
    refused("tcp_listen: port must be an integer from 0 to 65535, got nil", function() a:tcp_listen() end)
    refused("tcp_listen: port must be an integer from 0 to 65535, got 65536", function() a:tcp_listen(65536) end)
    refused('unknown key "prot" %(did you mean "port"%?%)', function() a:tcp_listen { prot = 80 } end)
    refused('address must be an IPv4 or IPv6 address, got "%*"',
      function() a:tcp_listen { port = 1, address = "*" } end)
    refused('library must be "cqueues", "luasocket" or "luv", got "luasockets" %(did you mean "luasocket"%?%)',
      function() a:tcp_listen { port = 1, library = "luasockets" } end)
    refused("tcp_connect: address must be an IPv4 or IPv6 address, got nil", function() a:tcp_connect() end)
    refused("tcp_connect: port must be an integer from 1", function() a:tcp_connect("10.0.0.1", 0) end)
    refused("source and address must be of one family",
      function() a:tcp_connect("10.0.0.1", 1, { source = "::1" }) end)
    refused("timeout must be a number of seconds", function() a:tcp_connect("10.0.0.1", 1, { timeout = -1 }) end)
    refused("peer and peer_port go together", function() a:udp { peer = "10.0.0.1" } end)
    refused("address and peer must be of one family",
      function() a:udp { peer = "10.0.0.1", peer_port = 1, address = "::" } end)
    refused("a Namespace expected, got nil", function() a.udp() end)
    local loaded = package.loaded.cqueues
    package.loaded["cqueues.socket"], package.preload["cqueues.socket"] = nil, function() error("not installed", 0) end
    refused("tcp_listen: library needs the Lua module \"cqueues.socket\" %(not installed%)",
      function() a:tcp_listen { port = 1, library = "cqueues" } end)
    package.preload["cqueues.socket"], package.loaded.cqueues = nil, loaded
    local closed = netns.new()
    closed:close()
    refused("the namespace is closed", function() closed:udp() end)
  end)
end)
