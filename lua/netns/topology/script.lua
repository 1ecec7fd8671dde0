--- Plans as commands: the shell script that a person would type to build the same network.
-- @module netns.topology.script
local command = require "netns.command"
local impairment = require "netns.impair"
local plain = require "netns.plain"
local plan = require "netns.topology.plan"
local words = require "netns.topology.words"

local Plan = plan.methods

local function names_of(step)
  local names = { "lo", step.node.switch and "br0" or nil }
  for _, iface in ipairs(step.node.ifaces) do
    names[iface.index] = iface.name
  end
  for _, device in ipairs(step.node.devices) do
    names[device.index] = device.row.name
    if device.peer_index then
      names[device.peer_index] = device.row.peer.name
    end
  end
  return names
end

-- The operation's arguments with names where the plan has numbers of interfaces, and namespaces where it has nodes.
local function named(args, names, prefix)
  local result = plain.copy(args, { dev = names[args.dev], master = names[args.master] })
  if type(args.peer) == "table" then
    result.peer = plain.copy(args.peer, { netns = args.peer.node and prefix .. args.peer.node or args.peer.netns })
    result.peer.node = nil
  end
  if args.nexthops then
    result.nexthops = {}
    for i, hop in ipairs(args.nexthops) do
      result.nexthops[i] = plain.copy(hop, { dev = names[hop.dev] })
    end
  end
  return result
end

local function append(out, list)
  table.move(list, 1, #list, #out + 1, out)
end

-- The kinds of the links of a step, by name.
local function kinds_of(step)
  local kinds = {}
  for _, part in ipairs { "links", "devices" } do
    for _, o in ipairs(step[part]) do
      if o.verb == "add" then
        kinds[o.args.name] = o.args.type
      end
    end
  end
  return kinds
end

local TRANSPORT = "~wireguard" -- no node's name

-- The namespace whose only link is WireGuard's, which tunnels run through.
local function append_transport(out, wanted, prefix)
  local ns = prefix .. TRANSPORT
  local set = { "ip", "netns", "exec", ns, "wg", "set", "wg0", "listen-port", wanted.port }
  for _, peer in ipairs(wanted.peers) do
    table.move({ "peer", peer.public_key, "endpoint", peer.endpoint, "allowed-ips", peer.allowed_ips[1] }, 1, 6,
      #set + 1, set)
  end
  append(out, { command.add_netns(ns),
    command.line { "ip", "link", "add", "wg0", "index", wanted.index, "mtu", wanted.mtu, "netns", ns, "type",
      "wireguard" },
    command.line(set) .. ' private-key "${PRIVATE_KEY:?the file that holds it}"',
    command.line { "ip", "-n", ns, "addr", "add", wanted.address .. "/16", "dev", "wg0" },
    command.line { "ip", "-n", ns, "link", "set", "wg0", "up" } })
end

local function append_ops(out, step, ops, prefix, transport)
  local names, kinds = names_of(step), kinds_of(step)
  local ctx = command.context(prefix .. step.name, { kind = function(name)
    return kinds[name] or "veth"
  end })
  for _, o in ipairs(ops) do
    local args = named(o.args, names, prefix)
    if o.noun == "addr" then
      args.proto = nil -- which ip(8) has no word for before 2023
    end
    local verb = o.noun == "vlan" and "add" or o.verb -- which changes what is there, too
    if o.tunnel then -- born there, by a request from the namespace that it sends and receives in
      args.netns = prefix .. step.name
      append(out, command.of(command.context(transport and prefix .. TRANSPORT or nil), o.noun, o.verb, args))
    else
      append(out, command.of(ctx, o.noun, verb, args))
    end
  end
end

local function append_rest(out, step, prefix)
  local ctx = command.context(prefix .. step.name)
  for _, impair in ipairs(step.impair) do
    append(out, command.of(ctx, "qdisc", "add", impairment.at(impair.iface.name, impair.qdisc)))
  end
  for _, ruleset in ipairs { step.nft or false, step.firewall or false } do
    if ruleset then
      out[#out + 1] = command.nft(ctx, ruleset)
    end
  end
end

local function append_processes(out, step, prefix)
  local ctx = command.context(prefix .. step.name)
  for _, process in ipairs(step.run or {}) do
    out[#out + 1] = command.run(ctx, process.argv, process) .. " &"
  end
end

-- Those of links when these are there, the others before.
local function append_sysctls(out, step, prefix, of_links)
  local ctx = command.context(prefix .. step.name)
  for _, name in ipairs(words.sorted(step.sysctls)) do
    local _, link = words.sysctl(name)
    if (link ~= nil and link ~= "lo") == of_links then
      out[#out + 1] = command.sysctl(ctx, name, step.sysctls[name])
    end
  end
end

--- The commands that a person would type to build the same network.
-- @tparam[opt=""] string prefix what stands before the namespaces' names
-- @treturn {string,...} lines of a POSIX shell script
-- @usage for _, command in ipairs(t:plan():commands()) do print(command) end
function Plan:commands(prefix)
  prefix = prefix and prefix .. "." or ""
  local out = {}
  for _, step in ipairs(self.steps) do
    out[#out + 1] = command.add_netns(prefix .. step.name)
    append_sysctls(out, step, prefix, false)
  end
  local transport = self.model.transport
  if transport then
    append_transport(out, transport, prefix)
  end
  for _, part in ipairs { "links", "devices" } do
    for _, step in ipairs(self.steps) do
      append_ops(out, step, step[part], prefix, transport)
    end
  end
  for _, step in ipairs(self.steps) do
    append_sysctls(out, step, prefix, true)
  end
  for _, step in ipairs(self.steps) do
    append_ops(out, step, step.config, prefix)
    append_rest(out, step, prefix)
  end
  for _, step in ipairs(self.steps) do
    append_ops(out, step, step.rows, prefix)
  end
  for _, step in ipairs(self.steps) do
    append_processes(out, step, prefix)
  end
  return out
end

--- The plan as a shell script.
function Plan:__tostring()
  return "#!/bin/sh\nset -e\n" .. table.concat(self:commands(), "\n") .. "\n"
end

return plan
