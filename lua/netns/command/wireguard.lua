--- `wg addconf` and `wg set` of the keys that a WireGuard link takes.
-- @module netns.command.wireguard
local text = require "netns.command.text"

local wireguard = {}

--- The keys of a link that are WireGuard's.
wireguard.keys = { private_key = true, listen_port = true, fwmark = true, peers = true, replace_peers = true,
  public_key = true }

local function put(lines, word, value)
  if value ~= nil then
    lines[#lines + 1] = ("%s = %s"):format(word, value)
  end
end

local function put_peer(lines, peer)
  lines[#lines + 1] = "[Peer]"
  put(lines, "PublicKey", peer.public_key)
  put(lines, "PresharedKey", peer.preshared_key)
  put(lines, "Endpoint", peer.endpoint)
  put(lines, "AllowedIPs", peer.allowed_ips and #peer.allowed_ips > 0 and table.concat(peer.allowed_ips, ", ") or nil)
  put(lines, "PersistentKeepalive", peer.persistent_keepalive)
end

--- The commands, given where and which link.
-- @tparam function run makes a line of words for `wg`, and with a text its input
-- @tparam string name of the link
-- @tparam table args of the link
-- @treturn {string,...}
function wireguard.commands(run, name, args)
  local out, lines = {}, { "[Interface]" }
  put(lines, "PrivateKey", args.private_key)
  put(lines, "ListenPort", args.listen_port)
  put(lines, "FwMark", args.fwmark)
  for _, peer in ipairs(args.peers or {}) do
    if peer.remove then
      out[#out + 1] = run { "wg", "set", name, "peer", peer.public_key, "remove" }
    else
      put_peer(lines, peer)
    end
  end
  if #lines > 1 then
    local verb = args.replace_peers and "setconf" or "addconf"
    out[#out + 1] = text.with_input(run { "wg", verb, name, "/dev/stdin" }, table.concat(lines, "\n"))
  end
  return out
end

return wireguard
