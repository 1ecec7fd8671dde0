--- What a CNI plugin asks of the host's firewall: masquerading and published ports, by attachment.
--
-- One table for each network, `inet cni_NETWORK`. Rules stand there once; what belongs to an attachment are elements
-- of sets and maps, each with the attachment's key in its comment. So a packet meets a handful of rules whatever the
-- number of containers, and what an attachment added is found by its key.
-- @module netns.cni.nat
local core = require "netns.core"
local elements = require "netns.nft.elements"
local ip = require "netns.topology.ip"
local protocol = require "netns.cni.protocol"
require "netns.nft"

local nat = {}

local families = {
  [4] = { word = "ip", type = "ipv4_addr", multicast = "224.0.0.0/4", any = "0.0.0.0", loopback = "127.0.0.0/8" },
  [6] = { word = "ip6", type = "ipv6_addr", multicast = "ff00::/8", any = "::", loopback = "::1" },
}

local function table_name(network)
  return "cni_" .. protocol.plain_name(network)
end

-- The sets, maps and rules of one family.
local function family_text(n, family)
  return (([[
    set localN { type TYPE . TYPE; flags interval; }
    set masqueradeN { type TYPE; }
    map portsN { type inet_proto . inet_service : TYPE . inet_service; }
    map host_portsN { type TYPE . inet_proto . inet_service : TYPE . inet_service; }
    chain publishN {
      dnat WORD to WORD daddr . meta l4proto . th dport map @host_portsN
      dnat WORD to meta l4proto . th dport map @portsN
    }
    chain hideN {
      ct status dnat WORD daddr . WORD saddr @localN masquerade
      ct status dnat WORD saddr LOOPBACK masquerade
      WORD saddr . WORD daddr @localN accept
      WORD saddr @masqueradeN WORD daddr != MULTICAST masquerade
    }
  ]]):gsub("%u+", { N = tostring(n), TYPE = family.type, WORD = family.word, MULTICAST = family.multicast,
    LOOPBACK = family.loopback }))
end

-- Made where it is not there; its rules are put anew, its elements stay.
local function table_text(name)
  return table.concat({
    ("add table inet %s\nflush table inet %s\ntable inet %s {"):format(name, name, name),
    family_text(4, families[4]), family_text(6, families[6]), [[
    chain publish {
      meta nfproto ipv4 fib daddr type local goto publish4
      meta nfproto ipv6 fib daddr type local goto publish6
    }
    chain prerouting { type nat hook prerouting priority dstnat; jump publish; }
    chain output { type nat hook output priority -100; jump publish; }
    chain postrouting { type nat hook postrouting priority srcnat; jump hide4; jump hide6; }
    }]] }, "\n")
end

local function comment_of(owner)
  return ("%s %s/%s"):format(owner.key, owner.id, owner.ifname):sub(1, 128)
end

-- Ports -----------------------------------------------------------------------------------------------------------

local protocols = { tcp = true, udp = true, sctp = true }

local function port_of(mapping, key, i)
  local port = mapping[key]
  if math.type(port) ~= "integer" or port < 0 or port > 65535 then
    protocol.fail("invalid_config", ("portMappings[%d].%s must be an integer from 0 to 65535, got %s"):format(i - 1,
      key, tostring(port)))
  end
  return port
end

-- One mapping, checked: { proto =, port =, to =, family =, address = }; family and address nil: any.
local function read_mapping(mapping, i)
  if type(mapping) ~= "table" then
    protocol.fail("invalid_config", ("portMappings[%d] must be an object"):format(i - 1))
  end
  local proto = tostring(mapping.protocol or "tcp"):lower()
  if not protocols[proto] then
    protocol.fail("invalid_config", ("portMappings[%d].protocol must be tcp, udp or sctp, got %s"):format(i - 1,
      tostring(mapping.protocol)))
  end
  local wanted = { proto = proto, port = port_of(mapping, "hostPort", i), to = port_of(mapping, "containerPort", i) }
  local address = mapping.hostIP
  if address ~= nil and address ~= "" then
    wanted.family = ip.parse(address)
    if not wanted.family then
      protocol.fail("invalid_config", ("portMappings[%d].hostIP: %s is no address"):format(i - 1, tostring(address)))
    end
    wanted.address = address ~= families[wanted.family].any and address or nil
  end
  return wanted
end

--- The port mappings of a configuration, checked.
-- @param list `runtimeConfig.portMappings`: objects with `hostPort`, `containerPort`, `protocol`, `hostIP`
-- @treturn {table,...} those with a hostPort
function nat.mappings(list)
  if list ~= nil and type(list) ~= "table" then
    protocol.fail("invalid_config", "portMappings must be a list of objects")
  end
  local mappings = {}
  for i, mapping in ipairs(list or {}) do
    local wanted = read_mapping(mapping, i)
    if wanted.port ~= 0 then -- 0: the runtime asks for none
      mappings[#mappings + 1] = wanted
    end
  end
  return mappings
end

-- Elements -----------------------------------------------------------------------------------------------------------

-- The elements of an attachment: { set =, key =, value = } each, as nft writes them.
local function elements_of(wanted)
  local list, addresses = {}, {}
  local function add(set, family, key, value)
    list[#list + 1] = { set = set .. family, key = key, value = value }
  end
  for _, text in ipairs(wanted.ips) do
    local p = ip.prefix(text, true)
    local address = ip.format(p.family, p.hi, p.lo)
    addresses[p.family] = addresses[p.family] or address
    add("local", p.family, ("%s . %s"):format(address, ip.text(ip.network(p), true)))
    if wanted.masquerade then
      add("masquerade", p.family, address)
    end
  end
  for _, m in ipairs(wanted.ports or {}) do
    for family, address in pairs(addresses) do
      if not m.family or m.family == family then
        local key = ("%s . %d"):format(m.proto, m.port)
        add(m.address and "host_ports" or "ports", family, m.address and m.address .. " . " .. key or key,
          ("%s . %d"):format(address, m.to))
      end
    end
  end
  return list
end

local function element_command(verb, name, element, comment)
  return ("%s element inet %s %s { %s%s%s }"):format(verb, name, element.set, element.key,
    comment and (' comment "%s"'):format(comment) or "", element.value and verb == "add" and " : " .. element.value
    or "")
end

--- Let an attachment in: what it needs is there after this, also where it was before.
-- @tparam Namespace host
-- @tparam string network
-- @tparam table owner `key`, `id`, `ifname`
-- @tparam table wanted `ips` (addresses with their lengths), `masquerade`, `ports` (see `mappings`)
function nat.add(host, network, owner, wanted)
  local name = table_name(network)
  local lines = { table_text(name) }
  for _, element in ipairs(elements_of(wanted)) do
    lines[#lines + 1] = element_command("add", name, element, comment_of(owner))
  end
  local ok, err = pcall(host.nft.run, host.nft, table.concat(lines, "\n"), nil, { echo = false })
  if not ok and type(err) == "table" and err.code == "EEXIST" then
    protocol.fail("mismatch", "a port or an address is another attachment's already", tostring(err))
  elseif not ok then
    error(err, 0)
  end
end

local function is_there(host, name)
  for _, row in ipairs(core.nft_tables(host)) do
    if row.family == "inet" and row.name == name then
      return true
    end
  end
  return false
end

-- All elements that have a key in their comments: { set =, key = as nft writes it, value =, owner = }.
local function listed(host, network)
  local name, found = table_name(network), {}
  for _, entry in ipairs(is_there(host, name) and host.nft:list { family = "inet", table = name } or {}) do
    local set = entry.set or entry.map
    for _, raw in ipairs(set and set.elem or {}) do
      local item = elements.from_json(raw, entry.map ~= nil)
      local key, id, ifname = (type(item) == "table" and item.comment or ""):match "^(veth%x+) (.-)/([^/]*)$"
      if key then
        found[#found + 1] = { set = set.name, key = table.concat(item, " . "), owner = { key = key, id = id,
          ifname = ifname }, value = type(item.value) == "table" and table.concat(item.value, " . ") or nil }
      end
    end
  end
  return found
end

--- Take out what attachments added. Twice is fine.
-- @tparam Namespace host
-- @tparam string network
-- @tparam function is_gone called with an owner (`key`, `id`, `ifname`)
-- @treturn {table,...} the owners whose elements were taken out
function nat.remove(host, network, is_gone)
  local name, lines, owners, seen = table_name(network), {}, {}, {}
  for _, element in ipairs(listed(host, network)) do
    if is_gone(element.owner) then
      lines[#lines + 1] = element_command("delete", name, element)
      if not seen[element.owner.key] then
        seen[element.owner.key] = true
        owners[#owners + 1] = element.owner
      end
    end
  end
  if #lines > 0 then
    host.nft:run(table.concat(lines, "\n"), nil, { echo = false })
  end
  return owners
end

--- Is all there that an attachment needs?
-- @treturn ?string what is missing
function nat.missing(host, network, owner, wanted)
  local there = {}
  for _, element in ipairs(listed(host, network)) do
    if element.owner.key == owner.key then
      there[("%s %s %s"):format(element.set, element.key, element.value)] = true
    end
  end
  for _, element in ipairs(elements_of(wanted)) do
    if not there[("%s %s %s"):format(element.set, element.key, element.value)] then
      return ("{ %s } in %s of the table %s"):format(element.key, element.set, table_name(network))
    end
  end
end

--- Remove the network's table where no attachment has anything in it. Nothing else may happen to it meanwhile.
function nat.collect(host, network)
  if is_there(host, table_name(network)) and #listed(host, network) == 0 then
    host.nft:flush { family = "inet", table = table_name(network) }
  end
end

return nat
