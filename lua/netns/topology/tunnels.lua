--- The tunnels of a split topology, as devices.
--
-- Each is made where its packets travel and born where its node is. With WireGuard that is a namespace which has
-- nothing but a WireGuard link, whose own packets travel in the machine's: nothing is added there but a UDP port.
-- @module netns.topology.tunnels
local core = require "netns.core"

local tunnels = {}

local DEVICE = "wg0"

-- By the namespaces of a lab that this process brought up: `underlay`, what tunnels run through; `transport`, the
-- namespace with WireGuard; `made`, the tunnels that there are, by the namespace and number of the device.
local known = setmetatable({}, { __mode = "k" })

local function has_key(transport, wanted)
  local key = transport.link:get(DEVICE).public_key
  if key ~= wanted then
    error(("private_key is not that of the public key %s, which the split has for this machine"):format(wanted), 0)
  end
end

local function make_transport(underlay, wanted, private_key)
  if type(private_key) ~= "string" then
    error("the tunnels of this topology run through WireGuard: private_key is needed", 0)
  end
  local transport = core.new()
  local ok, err = pcall(function()
    underlay.link:add { name = DEVICE, index = wanted.index, type = "wireguard", netns = transport, mtu = wanted.mtu }
    transport.link:set { dev = DEVICE, private_key = private_key, listen_port = wanted.port, peers = wanted.peers }
    has_key(transport, wanted.public_key)
    transport.addr:add { dev = DEVICE, address = wanted.address .. "/16" }
    transport.link:set { dev = DEVICE, up = true }
  end)
  if not ok then
    transport:close()
    error(err, 0)
  end
  return transport
end

--- Make ready for the tunnels of a plan.
-- @tparam table spaces namespaces of a lab, by name
-- @tparam Plan plan
-- @tparam table opts `underlay`, `private_key`
function tunnels.open(spaces, plan, opts)
  local underlay = opts.underlay or core.current()
  local wanted = plan.model.transport
  local transport = wanted and make_transport(underlay, wanted, opts.private_key) or nil
  known[spaces] = { underlay = transport or underlay, transport = transport, made = {} }
end

--- Make a tunnel.
-- @tparam table op of a plan
-- @tparam table step whose it is
-- @tparam table spaces
function tunnels.add(op, step, spaces)
  local ns, args = spaces[step.name], {}
  for key, value in pairs(op.args) do
    args[key] = value
  end
  args.netns, args.addrgenmode, args.altnames = ns, nil, nil -- what is said of it where it is
  local own = known[spaces]
  if not own then
    error("tunnels are made by the process whose lab it is", 0)
  end
  own.underlay.link:add(args)
  own.made[#own.made + 1] = { space = step.name, index = args.index }
  if op.args.addrgenmode then
    ns.link:set { dev = args.index, addrgenmode = op.args.addrgenmode }
  end
  for _, name in ipairs(op.args.altnames or {}) do
    ns.link:get(args.index):altname_add(name)
  end
end

--- Let WireGuard know the machines of another plan.
function tunnels.change(spaces, plan)
  local own, wanted = known[spaces], plan.model.transport
  if own and (own.transport == nil) ~= (wanted == nil) then
    error("apply: whether tunnels run through WireGuard cannot change while the lab is up", 0)
  elseif own and own.transport then
    has_key(own.transport, wanted.public_key)
    own.transport.link:set { dev = DEVICE, listen_port = wanted.port, replace_peers = true, peers = wanted.peers }
  end
end

--- Remove them at once: the kernel takes its time with a namespace, and identifiers are to be free.
function tunnels.close(spaces)
  local own = known[spaces]
  known[spaces] = nil
  for _, made in ipairs(own and own.made or {}) do
    pcall(function()
      spaces[made.space].link:get(made.index):del()
    end)
  end
  if own and own.transport then
    pcall(function()
      own.transport.link:get(DEVICE):del()
    end)
    own.transport:close()
  end
end

return tunnels
