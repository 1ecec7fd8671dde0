--- Plans as commands: the shell script that a person would type to build the same network.
-- @module netns.topology.script
local plan = require "netns.topology.plan"
local words = require "netns.topology.words"

local Plan = plan.methods

local function quote(word)
  word = tostring(word)
  return word:match "^[%w_./:@%%+=,-]+$" and word or "'" .. word:gsub("'", [['\'']]) .. "'"
end

local function line(...)
  local parts = {}
  for i, word in ipairs { ... } do
    parts[i] = quote(word)
  end
  return table.concat(parts, " ")
end

-- Where our keys are not ip(8)'s own words.
local spelled = { index = "index", txqlen = "txqueuelen", allmulticast = "allmulticast" }
local on_off = { up = true, arp = true, multicast = true, promisc = true, allmulticast = true }
-- Said before the type; all other keys are the kind's and come behind it.
local general = { link = 1, address = 2, broadcast = 3, mtu = 4, txqlen = 5, index = 6, numtxqueues = 7,
  numrxqueues = 8, gso_max_size = 9, gso_max_segs = 10, gro_max_size = 11, alias = 12, group = 13 }
local settable = { master = 1, address = 2, broadcast = 3, mtu = 4, txqlen = 5, alias = 6, group = 7,
  addrgenmode = 8, nomaster = 9 }

local function add_words(list, key, value)
  if type(value) == "boolean" then
    value = value and "on" or "off"
  elseif type(value) == "table" then
    return
  end
  list[#list + 1] = spelled[key] or key
  list[#list + 1] = value
end

local function ranked(args, ranks)
  local keys = {}
  for key in pairs(args) do
    keys[#keys + 1] = ranks[key] and key or nil
  end
  table.sort(keys, function(a, b)
    return ranks[a] < ranks[b]
  end)
  return keys
end

-- A device of any kind, in up to three commands: made, set, up.
local function device_commands(ns, args, dev)
  local lines = {}
  if not dev then
    local list = { "ip", "-n", ns, "link", "add" }
    for _, key in ipairs(ranked(args, { link = 1 })) do
      add_words(list, key, args[key])
    end
    table.move({ "name", args.name }, 1, 2, #list + 1, list)
    for _, key in ipairs(ranked(args, general)) do
      if key ~= "link" and key ~= "alias" and key ~= "group" then
        add_words(list, key, args[key])
      end
    end
    table.move({ "type", args.type }, 1, 2, #list + 1, list)
    for _, key in ipairs(words.sorted(args)) do
      if not (general[key] or settable[key] or on_off[key] or key == "name" or key == "type" or key == "altnames") then
        add_words(list, key, args[key])
      end
    end
    lines[1] = line(table.unpack(list))
  end
  local list = { "ip", "-n", ns, "link", "set", "dev", dev or args.name }
  for _, key in ipairs(ranked(args, settable)) do
    if dev or not general[key] or key == "alias" or key == "group" then
      add_words(list, key, args[key])
    end
  end
  for _, key in ipairs { "arp", "multicast", "promisc", "allmulticast" } do
    if args[key] ~= nil then
      add_words(list, key, args[key])
    end
  end
  if args.up ~= nil then
    list[#list + 1] = args.up and "up" or "down"
  end
  if #list > 7 then
    lines[#lines + 1] = line(table.unpack(list))
  end
  for _, port in ipairs { "bridge_slave", "bond_slave" } do
    local options = { "ip", "-n", ns, "link", "set", "dev", dev or args.name, "type", port }
    for _, key in ipairs(words.sorted(args[port] or {})) do
      add_words(options, key, args[port][key])
    end
    if #options > 9 then
      lines[#lines + 1] = line(table.unpack(options))
    end
  end
  for _, name in ipairs(dev and {} or args.altnames or {}) do
    lines[#lines + 1] = line("ip", "-n", ns, "link", "property", "add", "dev", args.name, "altname", name)
  end
  return lines
end

-- Rows of other nouns: the first words in ip(8)'s order, then the rest.
local row_words = {
  addr = { "address", "peer", "broadcast", "dev", "scope", "label" },
  route = { "type", "dst", "via", "dev", "src", "metric", "table", "proto", "scope" },
  rule = { "not", "from", "to", "iif", "oif", "fwmark", "tos", "priority", "table" },
  neigh = { "dst", "lladdr", "dev" },
}
local bare = { ["addr address"] = true, ["route type"] = true, ["route dst"] = true, ["neigh dst"] = true }
local flags = { nodad = true, home = true, mngtmpaddr = true, noprefixroute = true, autojoin = true, optimistic = true,
  onlink = true, ["not"] = true, router = true, proxy = true }

local function hop_words(list, hop)
  list[#list + 1] = "nexthop"
  for _, key in ipairs { "via", "dev", "weight" } do
    if hop[key] then
      add_words(list, key, hop[key])
    end
  end
end

local function row_command(ns, noun, args)
  local six = args.family == "inet6" or (not args.family and tostring(args.dst or args.via or args.from or args.to
    or ""):find ":") or args.via and tostring(args.via):find ":"
  local list = { "ip", "-n", ns, six and "-6" or "-4", noun, "add" }
  local done = { family = true, nexthops = true, action = true }
  local function add(key)
    local value = args[key]
    done[key] = true
    if value == nil or (flags[key] and not value) then
      return
    elseif bare[noun .. " " .. key] then
      list[#list + 1] = value
    elseif flags[key] then
      list[#list + 1] = key
    else
      add_words(list, key, value)
    end
  end
  for _, key in ipairs(row_words[noun]) do
    add(key)
  end
  for _, key in ipairs(words.sorted(args)) do
    if not done[key] then
      add(key)
    end
  end
  if noun == "rule" and args.action and args.action ~= "lookup" then
    list[#list + 1] = args.action
  end
  for _, hop in ipairs(args.nexthops or {}) do
    hop_words(list, hop)
  end
  return line(table.unpack(list))
end

local function names_of(step)
  local names = { "lo", step.node.switch and "br0" or nil }
  for _, iface in ipairs(step.node.ifaces) do
    names[iface.index] = iface.name
  end
  return names
end

-- Born in a namespace, by a request from the machine's own, which it sends and receives in.
local function tunnel_command(name, args, prefix)
  local list = { "ip", "link", "add", args.name, "index", args.index, "netns", prefix .. name, "mtu", args.mtu, "type",
    args.type }
  for _, key in ipairs { "id", "local", "remote", "dstport" } do
    add_words(list, key, args[key])
  end
  return list
end

local function link_command(name, args, prefix, is_tunnel)
  local words_ = { "ip", "-n", prefix .. name, "link", "add", args.name, "index", args.index, "numtxqueues", 1,
    "numrxqueues", 1 }
  if args.type == "bridge" then
    words_ = { "ip", "-n", prefix .. name, "link", "add", args.name, "index", args.index }
  end
  if args.mtu then
    table.move({ "mtu", args.mtu }, 1, 2, #words_ + 1, words_)
  end
  table.move({ "type", args.type }, 1, 2, #words_ + 1, words_)
  words_ = is_tunnel and tunnel_command(name, args, prefix) or words_
  local peer = args.peer
  if peer then
    table.move({ "peer", "name", peer.name, "index", peer.index, "numtxqueues", 1, "numrxqueues", 1, "netns",
      prefix .. peer.node }, 1, 12, #words_ + 1, words_)
    if peer.mtu then
      table.move({ "mtu", peer.mtu }, 1, 2, #words_ + 1, words_)
    end
  end
  local lines = { line(table.unpack(words_)) }
  for _, side in ipairs { { name, args }, peer and { peer.node, peer } or nil } do
    for _, alt in ipairs(side[2].altnames or {}) do
      lines[#lines + 1] = line("ip", "-n", prefix .. side[1], "link", "property", "add", "dev", side[2].name, "altname",
        alt)
    end
  end
  if args.addrgenmode then
    lines[#lines + 1] = line("ip", "-n", prefix .. name, "link", "set", args.name, "addrgenmode", args.addrgenmode)
  end
  return lines
end

local function route_command(step, args, names, prefix)
  local words_ = { "ip", "-n", prefix .. step.name, args.family == "inet6" and "-6" or "-4", "route", "add", args.dst }
  local function hop(h)
    for _, word in ipairs { "via", h.via, "dev", names[h.dev] } do
      words_[#words_ + 1] = word
    end
  end
  if args.via then
    hop(args)
  end
  if args.metric then
    table.move({ "metric", args.metric }, 1, 2, #words_ + 1, words_)
  end
  for _, h in ipairs(args.nexthops or {}) do
    words_[#words_ + 1] = "nexthop"
    hop(h)
  end
  return line(table.unpack(words_))
end

local function config_command(step, o, names, prefix)
  local args, ns = o.args, prefix .. step.name
  if o.noun == "route" then
    return route_command(step, args, names, prefix)
  elseif o.noun == "addr" then
    return line("ip", "-n", ns, "addr", "add", args.address, "dev", names[args.dev], args.nodad and "nodad" or nil)
  end
  local words_ = { "ip", "-n", ns, "link", "set", names[args.dev] }
  for _, pair in ipairs { { "master", args.master and names[args.master] }, { "addrgenmode", args.addrgenmode } } do
    if pair[2] then
      table.move(pair, 1, 2, #words_ + 1, words_)
    end
  end
  words_[#words_ + 1] = args.up and "up" or nil
  return line(table.unpack(words_))
end

--- The commands that a person would type to build the same network.
-- @tparam[opt=""] string prefix what stands before the namespaces' names
-- @treturn {string,...} lines of a POSIX shell script
-- @usage for _, command in ipairs(t:plan():commands()) do print(command) end
function Plan:commands(prefix)
  prefix = prefix and prefix .. "." or ""
  local out = {}
  for _, step in ipairs(self.steps) do
    out[#out + 1] = line("ip", "netns", "add", prefix .. step.name)
    for _, name in ipairs(words.sorted(step.sysctls)) do
      out[#out + 1] = line("ip", "netns", "exec", prefix .. step.name, "sysctl", "-qw",
        name .. "=" .. tostring(step.sysctls[name]))
    end
  end
  for _, step in ipairs(self.steps) do
    for _, o in ipairs(step.links) do
      for _, text in ipairs(link_command(step.name, o.args, prefix, o.tunnel)) do
        out[#out + 1] = text
      end
    end
  end
  for _, step in ipairs(self.steps) do
    for _, o in ipairs(step.devices) do
      for _, text in ipairs(device_commands(prefix .. step.name, o.args, o.args.dev)) do
        out[#out + 1] = text
      end
    end
  end
  for _, step in ipairs(self.steps) do
    local names = names_of(step)
    for _, o in ipairs(step.config) do
      out[#out + 1] = config_command(step, o, names, prefix)
    end
    for _, o in ipairs(step.rows) do
      if o.noun == "link" then
        out[#out + 1] = device_commands(prefix .. step.name, o.args, o.args.dev)[1]
      else
        out[#out + 1] = row_command(prefix .. step.name, o.noun, o.args)
      end
    end
    for _, impair in ipairs(step.impair) do
      out[#out + 1] = line("tc", "-n", prefix .. step.name, "qdisc", "add", "dev", impair.iface.name, "root",
        table.unpack(plan.tc_words(impair.qdisc)))
    end
    for _, ruleset in ipairs { step.nft or false, step.firewall or false } do
      if ruleset then
        out[#out + 1] = ("ip netns exec %s nft -f - <<'EOF'\n%sEOF"):format(quote(prefix .. step.name),
          ruleset:gsub("\n?$", "\n"))
      end
    end
    for _, process in ipairs(step.run or {}) do
      out[#out + 1] = line("ip", "netns", "exec", prefix .. step.name, table.unpack(process.argv)) .. " &"
    end
  end
  return out
end

--- The plan as a shell script.
function Plan:__tostring()
  return "#!/bin/sh\nset -e\n" .. table.concat(self:commands(), "\n") .. "\n"
end

return plan
