--- WireGuard: what we set and what `wg` sets are the same, as `wg show dump` tells it and as we list it; a tunnel
-- carries traffic that nobody can read on the way.
require("spec.support.leaks").gate()
local capture = require "spec.support.capture"
local features = require "spec.support.features"
local netns = require "netns"
local sh = require "spec.support.sh"
local socket = require "socket"

local wireguard = netns.wireguard

-- Peers of `wg show NAME dump` by public key, and the device.
local function dump(ns, name)
  local device, peers = nil, {}
  for line in sh.inside(ns, { "wg", "show", name, "dump" }):gmatch "[^\n]+" do
    local words = {}
    for word in line:gmatch "[^\t]+" do
      words[#words + 1] = word ~= "(none)" and word or false
    end
    if not device then
      device = { private_key = words[1], public_key = words[2], listen_port = words[3], fwmark = words[4] }
    else
      local allowed = {}
      for prefix in (words[4] or ""):gmatch "[^,]+" do
        allowed[#allowed + 1] = prefix
      end
      table.sort(allowed)
      peers[words[1]] = { preshared_key = words[2], endpoint = words[3], allowed = allowed, handshake = words[5],
        rx = words[6], tx = words[7], keepalive = words[8] }
    end
  end
  return device, peers
end

-- What we list, in the form of `dump`.
local function listed(link)
  local t = link:get()
  local peers = {}
  for _, peer in ipairs(t.peers) do
    local allowed = { table.unpack(peer.allowed_ips) }
    table.sort(allowed)
    peers[peer.public_key] = { preshared_key = peer.preshared_key or false, endpoint = peer.endpoint or false,
      allowed = allowed, handshake = tostring(peer.latest_handshake or 0), rx = tostring(peer.rx_bytes),
      tx = tostring(peer.tx_bytes), keepalive = tostring(peer.persistent_keepalive or "off") }
  end
  return { private_key = t.private_key or false, public_key = t.public_key or false,
    listen_port = tostring(t.listen_port), fwmark = t.fwmark and ("0x%x"):format(t.fwmark) or "off" }, peers
end

local function assert_same(ns, link)
  local device, peers = dump(ns, link.name)
  local our_device, our_peers = listed(link)
  assert.same(device, our_device)
  assert.same(peers, our_peers)
end

local function keys(n)
  local list = {}
  for i = 1, n do
    list[i] = wireguard.genpsk() -- any 32 bytes are a public key
  end
  return list
end

describe("keys of WireGuard", function()
  local function bytes(text)
    return (sh.run("printf %s " .. sh.quote(text) .. " | base64 -d"))
  end

  it("are 32 random bytes, private ones clamped", function()
    local seen = {}
    for _ = 1, 50 do
      local private, preshared = wireguard.genkey(), wireguard.genpsk()
      assert.is_nil(seen[private] or seen[preshared])
      seen[private], seen[preshared] = true, true
    end
    local private = bytes(wireguard.genkey())
    assert.equal(32, #private)
    assert.equal(0, private:byte(1) & 7)
    assert.equal(64, private:byte(32) & 192)
    assert.equal(32, #bytes(wireguard.genpsk()))
  end)

  it("have the public key that wg works out", function()
    features.need "wireguard"
    for _ = 1, 3 do
      local private = wireguard.genkey()
      assert.equal(sh.run("echo " .. private .. " | wg pubkey"), wireguard.pubkey(private) .. "\n")
    end
    local private = sh.run("wg genkey"):gsub("\n", "")
    assert.equal(sh.run("echo " .. private .. " | wg pubkey"), wireguard.pubkey(private) .. "\n")
  end)

  it("are refused where they are none", function()
    local no_keys = { "", "x", ("A"):rep(44), ("A"):rep(42) .. "B=", ("A"):rep(43) .. "\0", ("*"):rep(43) .. "=" }
    for _, text in ipairs(no_keys) do
      assert.error_matches(function()
        wireguard.pubkey(text)
      end, "a key of 32 bytes in base64")
    end
    assert.error_matches(function()
      wireguard.pubkey(5)
    end, "private key")
  end)
end)

describe("a WireGuard link", function()
  local ns

  before_each(function()
    features.need "wireguard"
    ns = netns.new "wg"
  end)

  after_each(function()
    if ns then
      ns:close()
    end
  end)

  local function everything()
    local k = keys(3)
    return { name = "wg0", type = "wireguard", private_key = wireguard.genkey(), listen_port = 51820, fwmark = 7,
      peers = {
        { public_key = k[1], preshared_key = wireguard.genpsk(), endpoint = "192.0.2.1:51820",
          allowed_ips = { "10.1.0.0/16", "fd01::/64", "10.9.9.9/32" }, persistent_keepalive = 25 },
        { public_key = k[2], endpoint = "[2001:db8::1]:7", allowed_ips = { "0.0.0.0/0", "::/0" } },
        { public_key = k[3] },
      } }
  end

  it("is made with everything, and told as wg tells it", function()
    local wg = ns.link:add(everything())
    assert_same(ns, wg)
    assert.equal(3, #wg.peers)
    assert.same(wg:get(), ns.link:list({ type = "wireguard" })[1] and wg:get())
    assert.equal(51820, ns.link:list({ type = "wireguard" })[1].listen_port)
  end)

  it("that wg configured is listed, and added elsewhere from the list", function()
    sh.run "ip -n wg link add wg0 type wireguard"
    local k = keys(2)
    sh.with_dir(function(dir)
      sh.write_file(dir .. "/private", wireguard.genkey())
      sh.write_file(dir .. "/preshared", wireguard.genpsk())
      sh.inside(ns, ("wg set wg0 private-key %s/private listen-port 7777 fwmark 0xff peer %s "
        .. "preshared-key %s/preshared endpoint '[fe80::1%%lo]:99' persistent-keepalive 5 "
        .. "allowed-ips 10.0.0.0/8,fd00::/8 peer %s"):format(dir, k[1], dir, k[2]))
    end)
    local wg = ns.link:get "wg0"
    assert_same(ns, wg)
    local copy <close> = netns.new "copy"
    local other = copy.link:add(ns.link:list({ name = "wg0" })[1])
    local device, peers = dump(ns, "wg0")
    local copied_device, copied_peers = dump(copy, "wg0")
    assert.same(device, copied_device)
    assert.same(peers, copied_peers)
    assert_same(copy, other)
  end)

  it("adds, changes and removes peers as `wg set` does", function()
    local wg = ns.link:add { name = "wg0", type = "wireguard" }
    assert.is_nil(wg.private_key)
    assert.same({}, wg.peers)
    local k = keys(3)
    wg:set { peers = { { public_key = k[1], allowed_ips = { "10.0.0.0/24" } }, { public_key = k[2] } } }
    wg:set { peers = { { public_key = k[2], allowed_ips = "10.2.0.0/24" }, { public_key = k[3] } } }
    local _, peers = dump(ns, "wg0")
    assert.same({ { "10.0.0.0/24" }, { "10.2.0.0/24" }, {} }, { peers[k[1]].allowed, peers[k[2]].allowed,
      peers[k[3]].allowed })
    wg:set { peers = { { public_key = k[1], allowed_ips = { "10.1.0.0/24" }, replace_allowed_ips = false } } }
    ns.link:set { name = "wg0", peers = { { public_key = k[2], allowed_ips = { "10.3.0.0/24" } },
      { public_key = k[3], remove = true } } }
    _, peers = dump(ns, "wg0")
    assert.same({ { "10.0.0.0/24", "10.1.0.0/24" }, { "10.3.0.0/24" } }, { peers[k[1]].allowed, peers[k[2]].allowed })
    assert.is_nil(peers[k[3]])
    wg:set { peers = { { public_key = k[3], update_only = true, allowed_ips = { "10.7.0.0/24" } } } }
    wg:set { replace_peers = true, peers = { { public_key = k[2], persistent_keepalive = 9 } } }
    assert.same({ k[2] }, { wg.peers[1].public_key, wg.peers[2] })
    wg:set { peers = { { public_key = k[2], persistent_keepalive = "off", preshared_key = wireguard.genpsk() } } }
    assert.is_string(wg.peers[1].preshared_key)
    wg:set { peers = { { public_key = k[2], preshared_key = "none" } } }
    assert.is_nil(wg.peers[1].preshared_key)
    wg:set { private_key = wireguard.genkey(), fwmark = 3 }
    assert.is_string(wg.public_key)
    wg:set { private_key = "none", fwmark = 0 }
    assert.is_nil(wg.public_key)
    assert_same(ns, wg)
    wg:set { peers = wg.peers } -- what is listed can be given back
    wg:set { replace_peers = true }
    assert.same({}, wg.peers)
  end)

  it("takes more peers and more addresses than a message holds", function()
    local many = {}
    for i, k in ipairs(keys(700)) do
      many[i] = { public_key = k, endpoint = "192.0.2.1:" .. i, allowed_ips = { ("10.%d.%d.0/24"):format(i // 256,
        i % 256), ("fd00:%x::/32"):format(i) } }
    end
    for i = 0, 3999 do
      many[350].allowed_ips[#many[350].allowed_ips + 1] = ("172.%d.%d.%d/32"):format(16 + i // 65536, i // 256 % 256,
        i % 256)
    end
    local wg = ns.link:add { name = "wg0", type = "wireguard", peers = many }
    local _, peers = dump(ns, "wg0")
    local count, sum = 0, 0
    for _, peer in pairs(peers) do
      count, sum = count + 1, sum + #peer.allowed
    end
    assert.same({ 700, 5400 }, { count, sum })
    assert.equal(4002, #peers[many[350].public_key].allowed)
    assert_same(ns, wg)
    local copy <close> = netns.new()
    local other = copy.link:add(wg:get())
    assert_same(copy, other)
  end)

  it("is changed all or nothing", function()
    local first = everything()
    first.listen_port = 51820
    local wg = ns.link:add(first)
    wg:set { up = true }
    local taken = ns.link:add { name = "wg1", type = "wireguard", listen_port = 51821, up = true }
    local before = { listed(wg) }
    local ok, err = pcall(wg.set, wg, { listen_port = 51821, fwmark = 9, alias = "new", mtu = 1400,
      replace_peers = true, peers = { { public_key = keys(1)[1] } }, private_key = wireguard.genkey() })
    assert.is_false(ok)
    assert.equal("EADDRINUSE", err.code)
    assert.same(before, { listed(wg) })
    assert.is_nil(wg.alias)
    assert.equal(1420, wg.mtu)
    taken:del()
    ok, err = pcall(ns.link.add, ns.link, { name = "wg1", type = "wireguard", listen_port = 51820, up = true })
    assert.same({ false, "EADDRINUSE" }, { ok, err.code })
    assert.is_nil(ns.link:get "wg1")
  end)

  it("is replaced by what is described, and stays where that fails", function()
    local wg = ns.link:add(everything())
    local described = everything()
    described.peers = { { public_key = keys(1)[1], allowed_ips = { "10.0.0.0/8" } } }
    ns.link:replace(described)
    assert.same({ described.peers[1].public_key }, { wg.peers[1].public_key, wg.peers[2] })
    wg:set { up = true }
    ns.link:add { name = "wg1", type = "wireguard", listen_port = 51821, up = true }
    described.listen_port = 51821
    local _, err = netns.try(ns.link.replace, ns.link, described)
    assert.equal("EADDRINUSE", err.code)
    assert.is_truthy(ns.link:get "wg0")
    ns.link:replace { name = "wg2", type = "wireguard", listen_port = 51823 }
    assert.equal(51823, ns.link:get("wg2").listen_port)
  end)

  it("is made and changed in batches", function()
    local k = keys(2)
    ns:batch(function(b)
      for i = 1, 20 do
        b.link:add { name = "wg" .. i, type = "wireguard", private_key = wireguard.genkey(), listen_port = 1000 + i,
          peers = { { public_key = k[1], allowed_ips = { "10.0.0.0/8" } } } }
        b.addr:add { dev = "wg" .. i, address = ("10.0.%d.1/24"):format(i) }
      end
    end)
    for i = 1, 20 do
      local wg = ns.link:get("wg" .. i)
      assert.equal(1000 + i, wg.listen_port)
      assert_same(ns, wg)
    end
    ns:batch(function(b)
      b.link:set { dev = "wg3", fwmark = 9, peers = { { public_key = k[2] } } }
    end)
    assert.same({ 9, 2 }, { ns.link:get("wg3").fwmark, #ns.link:get("wg3").peers })
    ns.link:set { dev = "wg1", up = true }
    ns.link:set { dev = "wg2", up = true }
    local ok, err = pcall(ns.batch, ns, function(b)
      b.link:set { dev = "wg3", fwmark = 10 }
      b.link:set { dev = "wg2", listen_port = 1001 }
    end)
    assert.same({ false, "EADDRINUSE", "wg2", 2 }, { ok, err.code, err.object, err.failures[1].index })
    assert.equal(10, ns.link:get("wg3").fwmark)
  end)

  it("is born elsewhere with its socket here", function()
    local inner <close> = netns.new "inner"
    ns.link:set { dev = "lo", up = true }
    local private = wireguard.genkey()
    ns.link:add { name = "wg0", type = "wireguard", netns = inner, private_key = private, listen_port = 51820,
      up = true }
    assert.equal(private, inner.link:get("wg0").private_key)
    assert.is_nil(ns.link:get "wg0")
    assert.matches(":51820", sh.inside("wg", "ss -Hlun"))
    assert.equal("", sh.inside("inner", "ss -Hlun"))
  end)

  it("refuses what cannot be, before anything is made", function()
    local function refuses(options, words)
      options.name, options.type = "wg0", "wireguard"
      assert.error_matches(function()
        ns.link:add(options)
      end, words, nil, true)
      assert.is_nil(ns.link:get "wg0")
    end
    local k = keys(1)[1]
    refuses({ private_key = "abc" }, "private_key must be a key of 32 bytes in base64")
    refuses({ listen_port = 65536 }, "listen_port must be an integer from 0 to 65535")
    refuses({ listenport = 1 }, 'did you mean "listen_port"?')
    refuses({ peers = k }, "peers must be a list of tables")
    refuses({ peers = { k } }, "peers[1] must be a table")
    refuses({ peers = { { endpoint = "192.0.2.1:1" } } }, "peers[1].public_key is missing")
    refuses({ peers = { { public_key = k, endpoint = "192.0.2.1" } } },
      "peers[1].endpoint must be an address with a port")
    refuses({ peers = { { public_key = k, endpoint = "fd00::1:5" } } }, "peers[1].endpoint must be")
    refuses({ peers = { { public_key = k, endpoint = "example.org:5" } } }, "peers[1].endpoint must be")
    refuses({ peers = { { public_key = k, allowed_ips = { "10.0.0.0/33" } } } },
      "peers[1].allowed_ips must be a list of prefixes")
    refuses({ peers = { { public_key = k }, { public_key = k, alowed_ips = {} } } },
      'unknown key "peers[2].alowed_ips" (did you mean "allowed_ips"?)')
    local ok, err = pcall(function()
      ns.link:add { name = "wg0", type = "wireguard", private_key = "a secret" }
    end)
    assert.is_false(ok)
    assert.is_nil(tostring(err):find("a secret", 1, true))
  end)
end)

it("a WireGuard tunnel carries traffic that cannot be read on the way", function()
  features.need "wireguard"
  local a <close> = netns.new()
  local b <close> = netns.new()
  a.link:add { name = "eth0", type = "veth", up = true, peer = { name = "eth0", netns = b, up = true } }
  local ends = {}
  for i, ns in ipairs { a, b } do
    ns.addr:add { dev = "eth0", address = ("192.0.2.%d/24"):format(i) }
    ends[i] = ns.link:add { name = "wg0", type = "wireguard", private_key = wireguard.genkey(), listen_port = 51820 }
    ns.addr:add { dev = "wg0", address = ("10.7.0.%d/24"):format(i) }
  end
  local shared = wireguard.genpsk()
  for i, wg in ipairs(ends) do
    wg:set { up = true, peers = { { public_key = ends[3 - i].public_key, preshared_key = shared,
      endpoint = ("192.0.2.%d:51820"):format(3 - i), allowed_ips = { ("10.7.0.%d/32"):format(3 - i) } } } }
  end
  a:wait { link = "eth0", state = "up" }

  local function send(from, to, text)
    local server = b:call(function()
      local s = socket.udp4()
      assert(s:setsockname(to, 9999))
      s:settimeout(10)
      return s
    end)
    local client = a:call(socket.udp4)
    assert(client:setsockname(from, 0))
    assert(client:sendto(text, to, 9999))
    local got, who = server:receivefrom()
    server:close()
    client:close()
    return got, who
  end

  local seen <close> = capture.start(a, "eth0")
  assert.same({ "in the open", "192.0.2.1" }, { send("192.0.2.1", "192.0.2.2", "in the open") })
  assert.same({ "a secret text", "10.7.0.1" }, { send("10.7.0.1", "10.7.0.2", "a secret text") })
  seen:await("udp port 51820", 3)
  local bytes = seen:bytes()
  assert.is_truthy(bytes:find("in the open", 1, true))
  assert.is_nil(bytes:find("a secret text", 1, true))
  local peer = ends[1].peers[1]
  assert.is_true(peer.tx_bytes > 0 and peer.rx_bytes > 0)
  assert.is_true(math.abs(peer.latest_handshake - os.time()) <= 60)
  assert.equal("192.0.2.2:51820", peer.endpoint)
  assert_same(a, ends[1])
end)
