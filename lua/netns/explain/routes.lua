--- The routes of a walk: the kernel's decision in each namespace, and why there is none.
-- @module netns.explain.routes
local report = require "netns.explain.report"

local routes = {}

local ask, stop, packet_words = report.ask, report.stop, report.packet_words
local sysctl_max, is_v6 = report.sysctl_max, report.is_v6

local refusals = {
  EINVAL = "a blackhole route",
  EACCES = "a prohibit route or rule",
  EHOSTUNREACH = "an unreachable route",
  ENETUNREACH = "no route",
}

-- Why a router that knows the way does not take the packet.
local function refuses_to_forward(self, node, code)
  local dev = self.iif
  local name = ("net.ipv4.conf.%s.forwarding"):format(dev:gsub("%.", "/"))
  if self.world:sysctl(node, name) == 0 then
    return stop(self, node, "forwarding", "forwarding is off (%s = 0), so packets %s end here", name,
      packet_words(self))
  end
  local filter = sysctl_max(self, node, "net.ipv4.conf.%s.rp_filter", dev)
  if filter > 0 then
    local back = ask(node, { dst = self.src })
    local way = back and ("by %s"):format(back.dev or "?") or "nowhere"
    return stop(self, node, "rp_filter",
      "rp_filter = %d drops packets from %s that come in by %s: the way back there goes %s", filter, self.src, dev,
      way)
  end
  return stop(self, node, "route", "the kernel refuses packets %s that come in by %s (%s)", packet_words(self), dev,
    code)
end

local function no_route(self, node, code, err)
  local why = refusals[code]
  if why == "no route" then
    return stop(self, node, "route", "there is no route to %s", self.dst)
  elseif why then
    return stop(self, node, "route", "%s keeps packets %s", why, packet_words(self))
  end
  return stop(self, node, "route", "no way to %s: %s", self.dst, tostring(err))
end

--- The kernel's decision; nil where it stops here.
function routes.of(self, node)
  local query = { dst = self.dst, from = self.src, iif = self.iif }
  local route, code, err = ask(node, query)
  if route then
    return route
  end
  local plain, plain_code, plain_err = ask(node, { dst = self.dst })
  if not plain then
    no_route(self, node, plain_code, plain_err)
  elseif self.iif then
    refuses_to_forward(self, node, code)
  elseif self.src and not self.world:address(node, self.src) then
    stop(self, node, "address", "%s is not an address of this node", self.src)
  else
    no_route(self, node, code, err)
  end
end

--- IPv6 asks nobody whether it may forward: its sysctl is for all links.
function routes.v6_forwarding(self, node)
  if self.iif and is_v6(self.dst) and self.world:sysctl(node, "net.ipv6.conf.all.forwarding") == 0 then
    return not stop(self, node, "forwarding",
      "forwarding is off (net.ipv6.conf.all.forwarding = 0), so packets %s end here", packet_words(self))
  end
  return true
end

return routes
