--- Every word of the help of ip(8), bridge(8) and wg(8) is a key or a value of ours, or is explained here; and what is
-- missing is listed with the reason. So an option that a newer program knows fails this spec until it is dealt with.
local core = require "netns.core"
local sh = require "spec.support.sh"

-- What is missing, and why.
local missing = {
  ["bond clear_active_slave"] = 'it is active_slave = "none"',
  ["bridge_slave nobackup_port"] = 'it is backup_port = "none"',
  ["bridge_slave mcast_fast_leave"] = "it is fastleave, under another name",
  ["xfrm_state ctx"] = "needs the labels of SELinux, which have no meaning in a namespace",
  ["xfrm_state offload"] = "needs hardware that encrypts",
  ["xfrm_state allocspi"] = "a conversation of key daemons",
  ["xfrm_policy ctx"] = "as for states",
  ["xfrm_policy hthresh4"] = "tunes the kernel's tables for tens of thousands of policies",
  ["xfrm_policy hthresh6"] = "as hthresh4",
  ["xfrm_policy setdefault"] = "what happens without a policy is no policy: a setting for all of a namespace",
  ["bridge vlan global"] = "settings of multicast snooping in each VLAN: those of the bridge count",
  ["route endpoint"] = "needs a BPF program that was loaded by other means",
}

-- Kinds that `ip link help` names and we do not make.
local missing_kinds = {
  dsa = "ports of switch chips", ipoib = "InfiniBand", rmnet = "modems", wwan = "modems", virt_wifi = "WiFi drivers",
  team_slave = "options of teams' ports are set by teamd(8), over a protocol of its own",
}

-- Kinds without options of their own.
local plain = { dummy = true, ifb = true, nlmon = true, team = true, vcan = true, netdevsim = true }
local pairs_of = { veth = true, vxcan = true }
-- kinds that share the keys of another
local keys_of = { gretap = "gre", erspan = "gre", ip6gretap = "ip6gre", ip6erspan = "ip6gre", macvtap = "macvlan",
  ipvtap = "ipvlan" }

-- Words of usage: what is no option, but the name of a value or a form of it.
local usage = [[help options add replace append del delete list show get flush to set update on off any default none
  null flag version i noi no default inherit auto noencap can be given as number or protocol etc first values are the
  defaults if nothing is specified ip link of new device e g the two slave devices bound to last byte used for frames
  hsr hsr0 lladdr u64 rx queue hwid layer3 encap2 encap3 vlan srcmac]]

local function words_of(text)
  local found = {}
  for word in text:gmatch "[%w_%-%.%[%]]+" do
    word = word:gsub("%[no%]", ""):gsub("[%[%]]", ""):gsub("%.+$", "")
    if word:find "^[a-z][a-z0-9_%-%.]*$" then
      found[word] = true
    end
  end
  return found
end

local function help(command)
  local r = sh.try(command .. " 2>&1")
  return r.stdout
end

-- Keys, and names of values, of the tables.
local function known_words(names)
  local schema, known = core.schema(), {}
  for _, name in ipairs(names) do
    assert(schema[name], name)
    for key, row in pairs(schema[name]) do
      known[key] = true
      for _, value in ipairs(row.names or {}) do
        known[value] = true
      end
    end
  end
  return known
end

-- The words that nothing explains.
local function unexplained(text, names, name, explained)
  local known, left = known_words(names), {}
  local fine = words_of(usage .. " " .. (explained or "") .. " " .. name)
  for word in pairs(words_of(text)) do
    local key = word:gsub("-", "_")
    if not (known[key] or known[word] or fine[word] or missing[name .. " " .. word]) then
      left[#left + 1] = word
    end
  end
  table.sort(left)
  return table.concat(left, " ")
end

describe("options that are missing", function()
  randomize(false) -- the last one looks at what the others have seen
  local seen = {}

  it("of links are those listed", function()
    for kind in help("ip link help"):match("TYPE := {(.-)}"):gmatch "[%w_]+" do
      if not (missing_kinds[kind] or plain[kind] or pairs_of[kind]) then
        local text = help("ip link help " .. kind)
        local table_name = keys_of[kind] or kind
        local tables = { table_name, "link" }
        assert.equal("", unexplained(text, tables, kind), "of " .. kind)
        for word in pairs(words_of(text)) do
          seen[kind .. " " .. word] = true
        end
      end
    end
  end)

  it("of kinds are kinds that ip has", function()
    local types = help("ip link help"):match "TYPE := {(.-)}"
    for kind in pairs(missing_kinds) do
      assert.is_truthy((" " .. types .. " "):find("[^%w_]" .. kind .. "[^%w_]"), kind)
    end
  end)

  local nouns = {
    { "ip xfrm state help", "xfrm_state", { "xfrm_state", "xfrm_state selector", "xfrm_state limits",
      "xfrm_state encap" }, [[ip xfrm state mask extra-flag dir min max deleteall nokeys count auth-trunc tcp udp sctp
      dccp ipv6-icmp mobility-header gre limit in out]] },
    { "ip xfrm policy help", "xfrm_policy", { "xfrm_policy", "xfrm_policy template", "xfrm_state limits" },
      [[ip xfrm policy mask deleteall nosock count tcp udp sctp dccp ipv6-icmp mobility-header gre main sub limit
      getdefault]] },
    { "bridge fdb help", "fdb", { "fdb" }, "bridge local static dynamic br brport permanent added_by_user offloaded" },
    { "bridge mdb help", "mdb", { "mdb" }, "bridge" },
    { "ip route help", "route", { "route", "route nexthop", "route get", "encap seg6", "encap seg6local",
      "encap xfrm", "encap ip", "encap ip6", "encap mpls", "encap rpl", "encap ioam6" }, [[rpl ioam6
      save restore showdump vrf change root
      match exact enabled disabled nexthop main all pervasive kernel boot static s ms ecn ip6 seg6 seg6local xfrm
      cleanup srh psp usp usd next-csid trace prealloc ns size]] },
    { "wg set --help", "wireguard", { "wireguard", "wireguard peer" }, [[wg interface port mark file path peer base64
      public key interval seconds ip1 cidr1 ip2 cidr2 remove]] },
  }
  for _, row in ipairs(nouns) do
    local command, name, tables, explained = table.unpack(row)
    it("of " .. name .. " are those listed", function()
      local text = help(command)
      assert.equal("", unexplained(text, tables, name, explained))
      for word in pairs(words_of(text)) do
        seen[name .. " " .. word] = true
      end
    end)
  end

  it("of VLANs are those listed", function()
    local text = help "bridge vlan help"
    assert.matches("global", text)
    text = text:gsub("bridge vlan global.*", "")
    assert.equal("", unexplained(text, { "bridge vlan" }, "vlan", "bridge vlan tunnel_info id tunnelshow"))
    seen["bridge vlan global"] = true
  end)

  it("are missing indeed, and few", function()
    local count = 0
    for option in pairs(missing) do
      count = count + 1
      assert.is_true(seen[option], option .. " is no option (any more)")
    end
    assert.is_true(count < 20)
  end)
end)
