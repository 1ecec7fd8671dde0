--- The ruleset of a NAT node.
-- @module netns.topology.nat
local ip = require "netns.topology.ip"

local nat = {}

local words = { [4] = { "ipv4", "ip", "%s" }, [6] = { "ipv6", "ip6", "[%s]" } }

-- The addresses of a node in a family, as a set of nft.
local function own_addresses(node, family)
  local list = {}
  for _, iface in ipairs(node.ifaces) do
    local a = iface.addrs[family]
    list[#list + 1] = a and ip.format(family, a.hi, a.lo) or nil
  end
  return list
end

-- Where a published port leads: the target's interface in a family, on a segment of the node's if there is one.
local function target_iface(node, target, family)
  local shared, first = {}, nil
  for _, iface in ipairs(node.ifaces) do
    shared[iface.segment or false] = not iface.outside or nil
  end
  for _, iface in ipairs(target.ifaces) do
    if iface.addrs[family] then
      if shared[iface.segment] then
        return iface
      end
      first = first or iface
    end
  end
  return first
end

-- The words that send a published port on: whoever asks, at whichever of the node's addresses.
local function translations(node, m)
  local lines = {}
  for _, p in ipairs(node.data.nat.publish or {}) do
    for family = 4, 6, 2 do
      local own, iface = own_addresses(node, family), target_iface(node, m.by_name[p.to], family)
      if iface and #own > 0 then
        local w, a = words[family], iface.addrs[family]
        lines[#lines + 1] = ("    %s daddr { %s } %s dport %d dnat %s to %s:%d"):format(w[2], table.concat(own, ", "),
          p.proto or "tcp", p.port, w[2], w[3]:format(ip.format(family, a.hi, a.lo)), p.to_port or p.port)
      end
    end
  end
  return lines
end

local function chain(lines, name, hook, priority, rules)
  lines[#lines + 1] = ("  chain %s {"):format(name)
  lines[#lines + 1] = ("    type nat hook %s priority %s; policy accept;"):format(hook, priority)
  table.move(rules, 1, #rules, #lines + 1, lines)
  lines[#lines + 1] = "  }"
end

--- The ruleset that hides what is behind a NAT node, and publishes ports of it. Who asks for a published port from
-- where it is gets there too: such packets are given the node's address, or the answers would go by another way.
-- @tparam table node
-- @tparam table m the model
-- @treturn string in the nft language
function nat.rules(node, m)
  local lines, leave, sent_on = { "table inet topology_nat {" }, {}, translations(node, m)
  for _, iface in ipairs(node.outs) do
    leave[#leave + 1] = ('    oifname "%s" masquerade'):format(iface.name)
  end
  for _, iface in ipairs(#sent_on > 0 and node.ifaces or {}) do
    if not iface.outside then
      leave[#leave + 1] = ('    iifname "%s" oifname "%s" ct status dnat masquerade'):format(iface.name, iface.name)
    end
  end
  chain(lines, "postrouting", "postrouting", "srcnat", leave)
  if #sent_on > 0 then
    chain(lines, "prerouting", "prerouting", "dstnat", sent_on)
    chain(lines, "output", "output", "-100", sent_on)
  end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n") .. "\n"
end

return nat
