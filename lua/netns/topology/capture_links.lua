--- The links of namespaces that are captured.
--
-- A pair between two of them is a link of the description, with settings of its ends; what belongs to none of the
-- namespaces (the far end of a pair that is elsewhere) is put into a node of its own; all else is a device.
-- @module netns.topology.capture_links
local ends = require "netns.topology.ends"
local expect = require "netns.topology.expect"
local kernel = require "netns.topology.kernel"
local plain = require "netns.plain"
local snapshot = require "netns.topology.snapshot"
local words = require "netns.topology.words"

local links = {}

-- Links come up unless it is said that they do not.
local function is_down(row)
  if row.up == false then
    return false
  end
end

-- What a link is to have that is not what it has by itself.
local function differing(row, defaults)
  local props = {}
  for key, value in pairs(snapshot.props(row)) do
    if value ~= expect.NONE and key ~= "bridge_slave" and not plain.equal(defaults[key], value) then
      props[key] = value
    end
  end
  props.up = is_down(row)
  return props
end

-- The options of a port that are not those of a new one.
local function port_options(row, base)
  local options = {}
  for key, value in pairs(row.bridge_slave or {}) do
    if not kernel.volatile_port[key] and not plain.equal(base.port[key], value) then
      options[key] = value
    end
  end
  return next(options) and options or nil
end

-- The end of a link: settings, as the link is there already.
local function settings_of(row, base, mtu)
  local defaults = { mtu = mtu or 1500, addrgenmode = row.addrgenmode }
  for key, value in pairs(base.veth) do
    defaults[key] = defaults[key] or value
  end
  local settings = differing(row, defaults)
  settings.name, settings.master, settings.bond_slave = row.name, row.master, row.bond_slave
  settings.bridge_slave = row.master and port_options(row, base)
  return settings
end

local common = { linkmode = true, group = true, gso_max_size = true, gso_max_segs = true, gro_max_size = true }

-- A device that is made: everything that is said when it is listed, but what every link has.
local function device_of(row, base, links_of)
  local device, known = {}, base[row.type] or {}
  for key, value in pairs(row) do
    if not kernel.volatile[key] and key ~= "dynamic" then
      device[key] = value
    end
  end
  for key, value in pairs(device) do
    if plain.equal(known[key], value) or (common[key] and plain.equal(base.veth[key], value)) then
      device[key] = nil
    end
  end
  device.type, device.name, device.addrgenmode = row.type, row.name, "none"
  device.address = snapshot.address(row, links_of)
  device.link, device.master, device.altnames = row.link, row.master, row.altnames
  device.up = is_down(row)
  device.mtu = row.mtu ~= 1500 and row.mtu or nil
  device.bridge_slave = row.master and port_options(row, base)
  return device
end

-- In an order in which everything stands on what is there already.
local function in_order(rows)
  local order, seen = {}, {}
  local by_name = {}
  for _, row in pairs(rows) do
    by_name[row.name] = row
  end
  local function visit(row)
    if row and not seen[row] then
      seen[row] = true
      visit(row.type ~= "veth" and by_name[row.link] or nil)
      visit(by_name[row.master])
      order[#order + 1] = row
    end
  end
  for _, index in ipairs(words.sorted(rows)) do
    visit(rows[index])
  end
  return order
end

--- A node without anything.
function links.new_node()
  return { kind = "host", links = {}, devices = {}, settings = {} }
end

local pairs_of = { veth = true, netkit = true, vxcan = true }

-- A pair: a link of the description where its ends are in two nodes and it is a veth, else a device with a peer.
local function add_pair(c, name, row)
  local node, far_name, far = c.data.nodes[name], ends.far(c.spaces, c.links, name, row)
  if far_name and c.taken[far] then
    return
  end
  c.taken[row] = true
  if far and far_name == name then
    c.taken[far] = true
    local device = device_of(row, c.base, c.links[name])
    device.peer = device_of(far, c.base, c.links[name])
    device.peer.type, device.peer.master, device.peer.bridge_slave, device.peer.link = nil, nil, nil, nil
    device.link = nil
    table.insert(node.devices, device)
    if far.master then
      table.insert(node.settings, { name = far.name, master = far.master, bridge_slave = port_options(far, c.base) })
    end
    return
  end
  if not far then -- elsewhere: its end is put into a node for that
    c.outside = c.outside + 1
    far_name, far = c.elsewhere, { name = "far" .. c.outside, up = row.carrier ~= false, mtu = row.mtu }
    c.data.nodes[far_name] = c.data.nodes[far_name] or links.new_node()
  end
  c.taken[far] = true
  local mtu = row.mtu == far.mtu and row.mtu >= 1280 and row.mtu ~= 1500 and row.mtu or nil
  table.insert(node.links, { to = far_name, name = row.name, to_name = far.name, mtu = mtu })
  for which, of in pairs { [node] = row, [c.data.nodes[far_name]] = far } do
    local settings = of.ifindex and settings_of(of, c.base, mtu) or { name = of.name, up = is_down(of) }
    if next(settings, next(settings)) then
      table.insert(which.settings, settings)
    end
  end
end

--- Note down what a description cannot say.
function links.leave_out(c, name, what, why)
  c.left[#c.left + 1] = { path = ("nodes.%s"):format(name), message = ("%s: %s"):format(what, why) }
end

--- The links of a namespace: as links, devices or settings of its node.
function links.add(c, name)
  local node = c.data.nodes[name]
  for _, row in ipairs(in_order(c.links[name])) do
    if row.name == "lo" then
      local defaults = { mtu = 65536, addrgenmode = row.addrgenmode, address = row.address }
      local settings = differing(row, setmetatable(defaults, { __index = c.base.lo }))
      settings.name = "lo"
      if next(settings, next(settings)) then
        table.insert(node.settings, settings)
      end
    elseif not row.type then
      links.leave_out(c, name, "link " .. row.name, "it is hardware, or of a kind that cannot be made")
    elseif pairs_of[row.type] then
      if not c.taken[row] then
        add_pair(c, name, row)
      end
    elseif row.link_netnsid then
      links.leave_out(c, name, "link " .. row.name, ("a %s on a link of another namespace"):format(row.type))
    else
      table.insert(node.devices, device_of(row, c.base, c.links[name]))
    end
  end
end

--- How addresses are made is said behind all else, when all that were made are there.
function links.add_addrgenmodes(c, name)
  local node, there, made = c.data.nodes[name], {}, {}
  for _, settings in ipairs(node.settings) do
    there[settings.name] = settings
  end
  for _, device in ipairs(node.devices) do
    made[device.name] = true
  end
  for _, index in ipairs(words.sorted(c.links[name])) do
    local row = c.links[name][index]
    if (made[row.name] or c.taken[row]) and row.addrgenmode and row.addrgenmode ~= "none" then
      local settings = there[row.name] or { name = row.name }
      settings.addrgenmode = row.addrgenmode
      if not there[row.name] then
        table.insert(node.settings, settings)
      end
    end
  end
end

return links
