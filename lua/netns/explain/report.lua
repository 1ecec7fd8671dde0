--- A walk in progress: what it says, what stops it, and the questions that all of its parts ask.
-- @module netns.explain.report
local report = {}

--- Is an address one of IPv6?
function report.is_v6(address)
  return address:find(":", 1, true) ~= nil
end

--- A finding that stops nothing.
function report.say(self, node, format, ...)
  self.hops[#self.hops + 1] = { node = node.name, direction = self.direction, text = format:format(...) }
end

--- What stops it: the first one counts. Returns true, for `return stop(...)`.
function report.stop(self, node, what, format, ...)
  local text = format:format(...)
  self.problem = { node = node.name, what = what, text = text, direction = self.direction }
  self.hops[#self.hops + 1] = { node = node.name, direction = self.direction, text = text, stops = true }
  return true
end

--- "from 10.0.0.1 to 10.0.0.2"
function report.packet_words(self)
  return ("from %s to %s"):format(self.src or "?", self.dst)
end

--- The kernel's decision; or nil, the error's name, the error.
function report.ask(node, query)
  local ok, route = pcall(node.ns.route.get, node.ns.route, query)
  if ok then
    return route
  end
  return nil, type(route) == "table" and route.code or "?", route
end

--- What counts where a sysctl is for all links and for each.
function report.sysctl_max(self, node, format, dev)
  local all = self.world:sysctl(node, format:format "all")
  local own = self.world:sysctl(node, format:format(dev:gsub("%.", "/")))
  return math.max(tonumber(all) or 0, tonumber(own) or 0)
end

return report
