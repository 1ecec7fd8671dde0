--- What would get in the way of working with namespaces here, each with its remedy.
-- @module netns.doctor
local core = require "netns.core"
local features = require "netns.features"
require "netns.sysctl"

local doctor = {}

local FDS = 4096 -- a lab of a thousand nodes, twice
local NEIGHBOURS = 4096
local NAMESPACES = 1000

local function read(path)
  local f = io.open(path)
  local text = f and f:read "a"
  if f then
    f:close()
  end
  return text
end

local function number(path)
  return tonumber(read(path))
end

local Findings = { __name = "netns.Findings" }
Findings.__index = Findings

function Findings:add(level, what, remedy)
  self[#self + 1] = { level = level, what = what, remedy = remedy }
  self.ok = self.ok and level ~= "problem"
end

function Findings:__tostring()
  local out = {}
  for _, one in ipairs(self) do
    out[#out + 1] = ("%-8s %s"):format(one.level, one.what)
    out[#out + 1] = "         remedy: " .. one.remedy
  end
  return #out > 0 and table.concat(out, "\n") or "nothing is in the way"
end

-- The process -------------------------------------------------------------------------------------------------------

-- Why somebody who is not root cannot become root in a user namespace.
local function rootless_obstacle()
  for _, sysctl in ipairs {
    { "/proc/sys/user/max_user_namespaces", 0, "user.max_user_namespaces=10000" },
    { "/proc/sys/kernel/unprivileged_userns_clone", 0, "kernel.unprivileged_userns_clone=1" },
    { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1, "kernel.apparmor_restrict_unprivileged_userns=0" },
  } do
    if number(sysctl[1]) == sysctl[2] then
      return sysctl[3]
    end
  end
end

-- May it make namespaces?
local function privileges(found)
  local ok, err = pcall(function()
    core.new():close()
  end)
  if ok then
    return true
  end
  local obstacle = rootless_obstacle()
  if err.code == "EPERM" and obstacle then
    found:add("problem", "network namespaces may not be made: this process is not root, and user namespaces are off",
      ("run as root, or as root: sysctl -w %s, and then netns.rootless()"):format(obstacle))
  elseif err.code == "EPERM" then
    found:add("problem", "network namespaces may not be made: this process is not root (CAP_SYS_ADMIN)",
      "run as root, or call netns.rootless() first")
  elseif err.code == "ENOSPC" then
    found:add("problem", "network namespaces cannot be made: there are as many as user.max_net_namespaces allows",
      "sysctl -w user.max_net_namespaces=100000")
  else
    found:add("problem", "network namespaces cannot be made: " .. tostring(err),
      "a kernel with CONFIG_NET_NS, and a container that may use it")
  end
  return false
end

local function descriptors(found)
  local soft, hard = (read "/proc/self/limits" or ""):match "Max open files%s+(%w+)%s+(%w+)"
  if tonumber(soft) and tonumber(soft) < FDS then
    found:add("warning", ("%s files may be open at a time: a namespace takes one, its first use a second"):format(soft),
      tonumber(hard) and tonumber(hard) < FDS and ("raise the hard limit of %s as root (prlimit, LimitNOFILE=), then "
        .. "ulimit -n %d"):format(hard, FDS) or ("ulimit -n %d before it starts"):format(FDS))
  end
end

local function kernel_version()
  local major, minor = (read "/proc/sys/kernel/osrelease" or ""):match "^(%d+)%.(%d+)"
  return tonumber(major or 0) * 1000 + tonumber(minor or 0)
end

local function processes(found)
  local version = kernel_version()
  if version < 5004 then
    found:add("problem", "this kernel has no pidfds: ns:run and ns:spawn cannot start processes", "Linux 5.4 or newer")
  elseif version < 6015 then
    local ignored = tonumber((read "/proc/self/status" or ""):match "SigIgn:%s+(%x+)" or "0", 16)
    if ignored & 1 << 16 ~= 0 then
      found:add("warning", "this process ignores SIGCHLD: the kernel tells no status of processes that ended",
        "start it with SIGCHLD at its default, or use Linux 6.15 or newer")
    end
  end
end

-- The kernel --------------------------------------------------------------------------------------------------------

local function limits(found)
  local namespaces = number "/proc/sys/user/max_net_namespaces"
  if namespaces and namespaces < NAMESPACES then
    found:add("warning", ("only %d network namespaces may be there at a time"):format(namespaces),
      "sysctl -w user.max_net_namespaces=100000")
  end
  local neighbours = number "/proc/sys/net/ipv4/neigh/default/gc_thresh3"
  if neighbours and neighbours < NEIGHBOURS then
    found:add("warning", ("the kernel remembers %d neighbours, in all namespaces together: large switches lose packets")
      :format(neighbours), "sysctl -w net.ipv4.neigh.default.gc_thresh3=65536 "
      .. "net.ipv6.neigh.default.gc_thresh3=65536 (in the first namespace)")
  end
end

-- What a new namespace is like.
local function defaults(found)
  local ns <close> = core.new()
  local function value(name)
    local ok, v = pcall(function()
      return ns.sysctl[name]
    end)
    return ok and v or nil
  end
  if value "net.ipv6.conf.default.disable_ipv6" ~= 0 then
    found:add("warning", "new namespaces have no IPv6", "sysctl -w net.ipv6.conf.default.disable_ipv6=0, "
      .. "net.core.devconf_inherit_init_net=0, or a kernel without ipv6.disable=1")
  end
  if value "net.ipv4.conf.default.rp_filter" == 1 or value "net.ipv4.conf.all.rp_filter" == 1 then
    found:add("warning", "new namespaces drop packets whose answers would leave by another link (rp_filter)",
      'ns.sysctl["net.ipv4.conf.all.rp_filter"] = 0 and the same for "default"')
  end
  if value "net.bridge.bridge-nf-call-iptables" == 1 then
    found:add("warning", "what bridges forward passes the rules for routed packets, too (br_netfilter)",
      'ns.sysctl["net.bridge.bridge-nf-call-iptables"] = 0, and the same for ip6tables')
  end
end

-- What nothing goes without.
local vital = {
  link = { veth = true, bridge = true }, nft = { tables = true }, route = { multipath = true },
}

local names = { link = "kinds of link", qdisc = "queueing disciplines", filter = "filters of traffic",
  action = "actions of filters", nft = "parts of nftables",
  route = "parts of routing", bridge = "parts of bridges" }

-- One finding for each area; netns.features() has the reasons.
local function missing(found)
  local by_area, order = {}, {}
  for _, one in ipairs(features.features().missing) do
    if not by_area[one.area] then
      by_area[one.area] = {}
      order[#order + 1] = one.area
    end
    table.insert(by_area[one.area], one.name)
  end
  local release = (read "/proc/sys/kernel/osrelease" or ""):gsub("%s", "")
  for _, area in ipairs(order) do
    local level = "warning"
    for _, name in ipairs(by_area[area]) do
      level = (vital[area] or {})[name] and "problem" or level
    end
    found:add(level, ("this kernel lacks %s: %s"):format(names[area], table.concat(by_area[area], " ")),
      ("their modules (linux-modules-extra-%s on Ubuntu; on Debian a kernel not made for clouds), or do without; "
        .. "netns.features() says why"):format(release))
  end
end

-- Programs ----------------------------------------------------------------------------------------------------------

local programs = {
  { "tc", "iproute2", "links of labs with delay, loss, rate ..." },
  { "ip", "iproute2", "scripts that plans print" },
  { "nft", "nftables", "scripts that plans print" },
}

local function on_path(name)
  for dir in ((os.getenv "PATH" or "") .. ":/usr/sbin:/sbin"):gmatch "[^:]+" do
    local f = io.open(dir .. "/" .. name)
    if f then
      f:close()
      return true
    end
  end
  return false
end

local function tools(found)
  for _, program in ipairs(programs) do
    if not on_path(program[1]) then
      found:add("warning", ("%s is not there, which is used by %s"):format(program[1], program[3]),
        "apt-get install " .. program[2])
    end
  end
end

--- What would get in the way here: limits, privileges, sysctls, what the kernel lacks, missing programs.
-- Prints as a page. Problems make something fail; warnings make something fail in large labs, or surprise.
-- @treturn {table,...} findings `{ level = "problem" | "warning", what =, remedy = }`, and `ok`: there are no problems
-- @usage print(netns.doctor())
function doctor.doctor()
  local found = setmetatable({ ok = true }, Findings)
  local may = privileges(found)
  descriptors(found)
  processes(found)
  limits(found)
  if may then
    defaults(found)
    missing(found)
  end
  tools(found)
  return found
end

return doctor
