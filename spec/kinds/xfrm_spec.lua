--- IPsec: states and policies that we make, that `ip xfrm` makes and that are made from our list are the same; and
-- packets are encrypted by them.
require("spec.support.leaks").gate()
local capture = require "spec.support.capture"
local features = require "spec.support.features"
local nets = require "spec.support.nets"
local netns = require "netns"
local sh = require "spec.support.sh"
local socket = require "socket"
local twins = require "spec.support.twins"

local aead_key = "0x0102030405060708090a0b0c0d0e0f1011121314"
local enc_key = "0x000102030405060708090a0b0c0d0e0f"
local auth_key = "0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

-- What `ip -s` shows, without the times it was made and used at.
local function still(lines)
  local kept = {}
  for _, line in ipairs(lines) do
    if not line.text:find "^%s*add " and not line.text:find "index %d+" then
      kept[#kept + 1] = line
    elseif line.text:find "index" then
      kept[#kept + 1] = { text = line.text:gsub("index %d+", "") }
    end
  end
  return kept
end

local function prepare(ns)
  features.need "ipsec"
  twins.pair(ns)
end

local gcm = { name = "rfc4106(gcm(aes))", key = aead_key, icv = 128 }
local aead = ("aead 'rfc4106(gcm(aes))' %s 128"):format(aead_key)

-- A state with more, and `ip`'s words for it.
local function state(more, words, mode)
  local t = { src = "10.0.0.1", dst = "10.0.0.2", proto = "esp", spi = 0x1000, aead = gcm, mode = mode }
  for key, value in pairs(more) do
    t[key] = value
  end
  return { t, ("xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x1000 %s %s %s"):format(
    mode and "mode " .. mode or "", aead, words), name = "xfrm state " .. (mode or "") .. " " .. words }
end

twins.describe {
  noun = "xfrm_state",
  show = { { "-s xfrm state list", text = true } },
  prepare = prepare,
  ip_rows = still,
  cases = {
    state({}, ""),
    state({}, "", "tunnel"),
    state({}, "", "beet"),
    state({ reqid = 7, replay_window = 32 }, "reqid 7 replay-window 32", "tunnel"),
    state({ esn = true, replay_window = 128, replay_seq = 5, replay_oseq = 6, replay_seq_hi = 1, replay_oseq_hi = 2 },
      "flag esn replay-window 128 replay-seq 5 replay-oseq 6 replay-seq-hi 1 replay-oseq-hi 2"),
    state({ replay_window = 16, replay_seq = 5, replay_oseq = 6 }, "replay-window 16 replay-seq 5 replay-oseq 6"),
    state({ noecn = true, decap_dscp = true, nopmtudisc = true, icmp = true, af_unspec = true, align4 = true },
      "flag noecn flag decap-dscp flag nopmtudisc flag icmp flag af-unspec flag align4", "tunnel"),
    state({ dont_encap_dscp = true, oseq_may_wrap = true }, "extra-flag dont-encap-dscp extra-flag oseq-may-wrap",
      "tunnel"),
    state({ sel = { src = "10.0.0.0/24", dst = "10.0.0.2/32", proto = "tcp", sport = 80, dport = 443, dev = "e0" } },
      "sel src 10.0.0.0/24 dst 10.0.0.2/32 proto tcp sport 80 dport 443 dev e0"),
    state({ limits = { time_soft = 60, time_hard = 70, time_use_soft = 80, time_use_hard = 90, byte_soft = 1000,
        byte_hard = 2000, packet_soft = 10, packet_hard = 20 } },
      "limit time-soft 60 limit time-hard 70 limit time-use-soft 80 limit time-use-hard 90 limit byte-soft 1000 "
        .. "limit byte-hard 2000 limit packet-soft 10 limit packet-hard 20"),
    state({ encap = { type = "espinudp", sport = 4500, dport = 4501, oaddr = "10.0.0.9" } },
      "encap espinudp 4500 4501 10.0.0.9"),
    state({ mark = "0x5/0xff", if_id = 9, tfcpad = 100 }, "mark 5 mask 0xff if_id 9 tfcpad 100", "tunnel"),
    state({ mark = 5, output_mark = 3, output_mark_mask = 0xf }, "mark 5 output-mark 3 mask 0xf"),
    { { src = "10.0.0.1", dst = "10.0.0.2", proto = "esp", spi = 5, enc = { name = "cbc(aes)", key = enc_key },
        auth = { name = "hmac(sha256)", key = auth_key, trunc = 96 } },
      ("xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 5 enc 'cbc(aes)' %s auth-trunc 'hmac(sha256)' %s 96")
        :format(enc_key, auth_key), name = "xfrm state enc, auth-trunc" },
    { { src = "fd00::1", dst = "fd00::2", proto = "ah", spi = 6,
        auth = { name = "hmac(sha1)", key = "a key of text" } },
      "xfrm state add src fd00::1 dst fd00::2 proto ah spi 6 auth 'hmac(sha1)' 'a key of text'",
      name = "xfrm state ah, IPv6" },
    { { src = "10.0.0.1", dst = "10.0.0.2", proto = "comp", spi = 7, comp = "deflate" },
      "xfrm state add src 10.0.0.1 dst 10.0.0.2 proto comp spi 7 comp deflate", name = "xfrm state comp" },
    { { src = "fd00::1", dst = "fd00::2", proto = "hao", coa = "fd00::3", mode = "ro" },
      "xfrm state add src fd00::1 dst fd00::2 proto hao coa fd00::3 mode ro", name = "xfrm state hao" },
  },
}

local sel = "src 10.0.0.0/24 dst 10.0.1.0/24 "

local function policy(more, words)
  local t = { src = "10.0.0.0/24", dst = "10.0.1.0/24", dir = "out" }
  for key, value in pairs(more) do
    t[key] = value
  end
  return { t, "xfrm policy add " .. sel .. words:gsub("DIR", "dir out"), name = "xfrm policy " .. words }
end

twins.describe {
  noun = "xfrm_policy",
  show = { { "-s xfrm policy list", text = true } },
  prepare = prepare,
  volatile = { "index" },
  ip_rows = still,
  cases = {
    policy({ tmpl = { { src = "10.0.0.1", dst = "10.0.0.2", proto = "esp", mode = "tunnel", reqid = 3 } } },
      "DIR tmpl src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel reqid 3"),
    policy({ tmpl = { { proto = "comp", level = "use" }, { proto = "esp", spi = 9 } } },
      "DIR tmpl proto comp level use tmpl proto esp spi 9"),
    policy({ dir = "fwd", priority = 1000, action = "block" }, "dir fwd priority 1000 action block"),
    policy({ dir = "in", localok = true, icmp = true }, "dir in flag localok flag icmp"),
    policy({ proto = "udp", sport = 53, dport = 5353, dev = "e0" }, "proto udp sport 53 dport 5353 dev e0 DIR"),
    policy({ proto = "icmp", type = 8, code = 0 }, "proto icmp type 8 code 0 DIR"),
    policy({ proto = "gre", key = 0x10002 }, "proto gre key 65538 DIR"),
    policy({ mark = "0x1/0xff", if_id = 4 }, "DIR mark 1 mask 0xff if_id 4"),
    policy({ limits = { byte_hard = 1000, time_soft = 9 } }, "DIR limit byte-hard 1000 limit time-soft 9"),
    policy({ ptype = "sub" }, "DIR ptype sub"),
    { { src = "fd00::/64", dst = "::/0", dir = "out", tmpl = { { proto = "esp" } } },
      "xfrm policy add src fd00::/64 dst ::/0 dir out tmpl proto esp", name = "xfrm policy IPv6" },
    { { src = "10.9.0.0/16", dst = "10.8.0.0/16", dir = "in" },
      "xfrm policy add src 10.9.0.0/16 dst 10.8.0.0/16 dir in",
      name = "xfrm policy without templates" },
  },
}

describe("ns.xfrm_state and ns.xfrm_policy", function()
  local ns

  before_each(function()
    features.need "ipsec"
    ns = netns.new "xfrm"
    twins.pair(ns)
  end)

  after_each(function()
    if ns then
      ns:close()
    end
  end)

  local function esp(spi, more)
    local t = { src = "10.0.0.1", dst = "10.0.0.2", proto = "esp", spi = spi, aead = gcm }
    for key, value in pairs(more or {}) do
      t[key] = value
    end
    return t
  end

  it("replace, change, find, delete and flush, also in batches", function()
    ns.xfrm_state:replace(esp(1, { replay_window = 8 }))
    ns.xfrm_state:replace(esp(1, { replay_window = 8, limits = { packet_hard = 9 } }))
    assert.equal(9, ns.xfrm_state:get({ spi = 1 }).limits.packet_hard)
    local _, err = netns.try(ns.xfrm_state.add, ns.xfrm_state, esp(1))
    assert.same({ "EEXIST", "xfrm_state add" }, { err.code, err.op })
    _, err = netns.try(ns.xfrm_state.set, ns.xfrm_state, esp(2))
    assert.equal("ESRCH", err.code)
    ns:batch(function(b)
      for spi = 100, 199 do
        b.xfrm_state:add(esp(spi))
      end
      b.xfrm_policy:add { src = "10.0.0.0/24", dst = "10.3.0.0/24", dir = "out", tmpl = { { proto = "esp" } } }
    end)
    assert.equal(101, tonumber(sh.run("ip -n xfrm xfrm state count"):match "%d+"))
    ns.xfrm_state:del(esp(100))
    ns.xfrm_state:del { dst = "10.0.0.2", proto = "esp", spi = 101 }
    local seen = 0
    for row in ns.xfrm_state:each { proto = "esp" } do
      seen = seen + (row.aead.icv == 128 and 1 or 0)
    end
    assert.equal(99, seen)
    assert.equal(0, ns.xfrm_state:list({ spi = 110, stats = true })[1].stats.packets)
    assert.equal(99, ns.xfrm_state:flush())
    ns.xfrm_policy:replace { src = "10.0.0.0/24", dst = "10.3.0.0/24", dir = "out", action = "block" }
    assert.equal("block", ns.xfrm_policy:get({ dst = "10.3.0.0/24" }).action)
    ns.xfrm_policy:add { src = "10.0.0.0/24", dst = "10.4.0.0/24", dir = "in" }
    ns.xfrm_policy:del { src = "10.0.0.0/24", dst = "10.3.0.0/24", dir = "out" }
    ns.link:get("e0").xfrm_policy:add { src = "10.0.0.0/24", dst = "10.5.0.0/24", dir = "out" }
    assert.equal("e0", ns.xfrm_policy:get({ dst = "10.5.0.0/24" }).dev)
    assert.equal(2, ns.xfrm_policy:flush())
    assert.equal("", (sh.run("ip -n xfrm xfrm policy list"):gsub("%s", "")))
  end)

  it("refuse what cannot be", function()
    local function refuses(noun, args, words)
      assert.error_matches(function()
        ns[noun]:add(args)
      end, words, nil, true)
    end
    refuses("xfrm_state", esp(1, { dst = "fd00::1" }), "but another address is not")
    refuses("xfrm_state", esp(1, { mode = "tunel" }), 'did you mean "tunnel"?')
    refuses("xfrm_state", esp(1, { aead = { name = "rfc4106(gcm(aes))", key = "0x12x" } }), "aead.key must be a key")
    refuses("xfrm_state", esp(1, { aead = { key = "0x12" } }), "aead.name must be the name of an algorithm")
    refuses("xfrm_state", esp(1, { aead = { name = "x", key = "0x12", ivc = 3 } }), 'unknown key "aead.ivc"')
    refuses("xfrm_state", esp(1, { esn = true }), "esn needs a replay_window")
    refuses("xfrm_state", esp(1, { replay = 3 }), 'unknown key "replay"')
    refuses("xfrm_state", esp(1, { sel = { src = "10.0.0.0/99" } }), "sel.src must be a prefix")
    refuses("xfrm_state", esp(1, { limits = { bytes_hard = 1 } }), 'did you mean "byte_hard"?')
    refuses("xfrm_state", { src = "10.0.0.1", proto = "esp" }, "dst is missing")
    refuses("xfrm_state", { src = "10.0.0.1", dst = "10.0.0.2" }, "proto is missing")
    refuses("xfrm_policy", { src = "10.0.0.0/24", dst = "10.0.1.0/24" }, "dir is missing")
    refuses("xfrm_policy", { dst = "10.0.1.0/24", dir = "out", tmpl = { { mode = "tunnel" } } },
      "tmpl[1].proto is missing")
    refuses("xfrm_policy", { dst = "10.0.1.0/24", dir = "out", tmpl = {} }, "tmpl must be a list of 1 to 6 tables")
    refuses("xfrm_policy", { dst = "10.0.1.0/24", src = "fd00::/8", dir = "out" }, "but another address is not")
  end)
end)

-- IPsec between two addresses, and what a capture between them shows.
local function secure(a, b, from, to, mode, spi)
  local states = {
    { src = from, dst = to, proto = "esp", spi = spi, mode = mode, reqid = 1, aead = gcm, replay_window = 32 },
    { src = to, dst = from, proto = "esp", spi = spi + 1, mode = mode, reqid = 1, aead = gcm, replay_window = 32 },
  }
  for _, ns in ipairs { a, b } do
    for _, one in ipairs(states) do
      ns.xfrm_state:add(one)
    end
  end
end

local function send(a, b, to, text)
  local server = b:call(function()
    local s = socket.udp4()
    assert(s:setsockname(to, 9999))
    s:settimeout(10)
    return s
  end)
  local client = a:call(socket.udp4)
  assert(client:sendto(text, to, 9999))
  local got = server:receive()
  server:close()
  client:close()
  return got
end

it("IPsec in transport mode encrypts what two hosts say", function()
  features.need "ipsec"
  local net <close> = nets.line { "a", "b" }
  secure(net.a, net.b, "10.0.1.1", "10.0.1.2", "transport", 0x100)
  for _, way in ipairs { { net.a, "10.0.1.1", "10.0.1.2" }, { net.b, "10.0.1.2", "10.0.1.1" } } do
    local ns, own, other = table.unpack(way)
    local tmpl = { { proto = "esp", mode = "transport", reqid = 1 } }
    ns.xfrm_policy:add { src = own .. "/32", dst = other .. "/32", dir = "out", proto = "udp", tmpl = tmpl }
    ns.xfrm_policy:add { src = other .. "/32", dst = own .. "/32", dir = "in", proto = "udp", tmpl = tmpl }
  end
  local seen <close> = capture.start(net.a, "right")
  assert(net.a:ping "10.0.1.2") -- only udp is encrypted
  assert.equal("a secret text", send(net.a, net.b, "10.0.1.2", "a secret text"))
  seen:await("esp", 1)
  assert.is_nil(seen:bytes():find("a secret text", 1, true))
  assert.equal(0, #seen:packets "udp")
  assert.is_true(#seen:packets "icmp" >= 2)
  assert.equal(1, net.b.xfrm_state:list({ spi = 0x100, stats = true })[1].stats.packets)
  -- without it: the same words, readable
  net.a.xfrm_policy:flush()
  net.b.xfrm_policy:flush()
  local plain <close> = capture.start(net.a, "right")
  assert.equal("a secret text", send(net.a, net.b, "10.0.1.2", "a secret text"))
  plain:await("udp", 1)
  assert.is_truthy(plain:bytes():find("a secret text", 1, true))
end)

it("IPsec in tunnel mode joins two networks", function()
  features.need "ipsec"
  local net <close> = nets.line { "a", "gw1", "gw2", "b" }
  secure(net.gw1, net.gw2, "10.0.2.1", "10.0.2.2", "tunnel", 0x200)
  for _, way in ipairs { { net.gw1, "10.0.1.0/24", "10.0.3.0/24", "10.0.2.1", "10.0.2.2" },
    { net.gw2, "10.0.3.0/24", "10.0.1.0/24", "10.0.2.2", "10.0.2.1" } } do
    local ns, own, other, here, there = table.unpack(way)
    ns.xfrm_policy:add { src = own, dst = other, dir = "out",
      tmpl = { { src = here, dst = there, proto = "esp", mode = "tunnel", reqid = 1 } } }
    for _, dir in ipairs { "in", "fwd" } do
      ns.xfrm_policy:add { src = other, dst = own, dir = dir,
        tmpl = { { src = there, dst = here, proto = "esp", mode = "tunnel", reqid = 1 } } }
    end
  end
  local seen <close> = capture.start(net.gw1, "right")
  assert(net.a:ping("10.0.3.2", { count = 3 }))
  assert.equal("a secret text", send(net.a, net.b, "10.0.3.2", "a secret text"))
  assert.is_true(#seen:await("esp", 7) >= 7)
  assert.is_nil(seen:bytes():find("a secret text", 1, true))
  -- what was decrypted is seen by captures, too: on the way in
  assert.equal(0, #seen:packets "src net 10.0.1.0/24")
end)
