--- Packets: their headers as tables, and one line about each.
-- @module netns.packet
local check = require "netns.check"
local core = require "netns.core"

local packet = {}

--- A packet from its bytes.
function packet.new(bytes, first)
  if type(bytes) ~= "string" then
    check.refuse("packet: the bytes must be a string, got %s", check.show(bytes))
  elseif first ~= nil and first ~= "ethernet" and first ~= "ip" then
    check.refuse("packet: it begins with \"ethernet\" or \"ip\", got %s", check.show(first))
  end
  return core.packet(bytes, first)
end

local function ports(l3, l4)
  return ("%s:%s > %s:%s"):format(l3.src, l4.sport, l3.dst, l4.dport)
end

local tcp_flags = { "syn", "fin", "rst", "psh", "ack", "urg", "ece", "cwr" }

-- What a header says, given the one that carries it.
local say = {}

function say.ethernet(l)
  return ("%s > %s type 0x%04x"):format(l.src, l.dst, l.type)
end

function say.vlan(l)
  return ("vlan %d"):format(l.id)
end

function say.arp(l)
  if l.op == 1 and l.target then
    return ("arp who has %s tell %s"):format(l.target, l.sender)
  elseif l.op == 2 and l.sender then
    return ("arp %s is at %s"):format(l.sender, l.sender_lladdr)
  end
  return ("arp op %d"):format(l.op)
end

function say.ipv4(l)
  return ("%s > %s protocol %d"):format(l.src, l.dst, l.protocol)
end

function say.ipv6(l)
  return ("%s > %s protocol %s"):format(l.src, l.dst, l.protocol or "none")
end

function say.tcp(l, below)
  local flags = {}
  for _, name in ipairs(tcp_flags) do
    flags[#flags + 1] = l[name] and name or nil
  end
  return ("%s tcp %s seq %d"):format(ports(below, l), table.concat(flags, ","), l.seq)
end

function say.udp(l, below)
  return ("%s udp"):format(ports(below, l))
end

function say.icmp(l, below)
  local text = ("%s > %s %s %s"):format(below.src, below.dst, l.header, l.name or "type " .. l.type)
  if l.id then
    text = ("%s id %d seq %d"):format(text, l.id, l.seq)
  elseif l.target then
    text = text .. " " .. l.target
  elseif l.code ~= 0 then
    text = ("%s code %d"):format(text, l.code)
  end
  return text .. (l.mtu and " mtu " .. l.mtu or "")
end

say.icmpv6 = say.icmp

--- One line: the innermost header, VLANs before it, what is not whole.
function packet.line(p)
  local layers = p.layers
  local words = {}
  if p.time then
    words[1] = os.date("%H:%M:%S", p.ns // 1000000000) .. (".%06d"):format(p.ns // 1000 % 1000000)
    words[2] = ("%s %-3s"):format(p.link, p.direction)
  end
  for _, l in ipairs(layers) do
    words[#words + 1] = l.header == "vlan" and say.vlan(l) or nil
  end
  local last = layers[#layers]
  if last and last.header ~= "vlan" then
    local below = layers[#layers - 1]
    words[#words + 1] = say[last.header](last, below and below.src and below or { src = "?", dst = "?" })
  end
  words[#words + 1] = ("length %d"):format(p.length)
  words[#words + 1] = p.truncated and ("(%s truncated)"):format(p.truncated) or nil
  return table.concat(words, " ")
end

core.Packet.__tostring = packet.line

return packet
