--- Assertions about networks, for busted (luassert) and for anybody else.
--
-- `require "netns.assert"` in a busted spec adds `assert.reaches`, `assert.blocked`, `assert.route` and
-- `assert.no_drift`. Without busted the same are functions of the module, which raise. A failure prints the
-- explanation (see `netns.explain`) and, in a lab, its picture.
-- @module netns.assert
-- @usage
-- require "netns.assert"
-- it("lets mail in", function() assert.reaches(lab.outside, lab.mail, { tcp = 25 }) end)
local check = require "netns.check"
local explain = require "netns.explain"
local probe = require "netns.probe"
local recorder = require "netns.recorder"

local assertions = {}

local Failure = { __name = "netns.Failure" }

function Failure:__tostring()
  return self.text
end

local function failure(...)
  return setmetatable({ text = table.concat({ ... }, "\n") }, Failure)
end

local function name_of(ns)
  local around = explain.around and explain.around(ns)
  for _, node in ipairs(around and around.nodes or {}) do
    if node.netns == ns then
      return node.name
    end
  end
  return tostring(ns)
end

local function how_words(how)
  return how and (how.tcp and "tcp port " .. how.tcp or how.udp and "udp port " .. how.udp) or "ping"
end

-- The lab's picture, or nothing.
local function picture(ns)
  local around = explain.around and explain.around(ns)
  return around and "\n" .. around.picture() or ""
end

-- Explain among all that may be on the way: the lab, or just the two.
local function explained(a, b, how)
  local around = explain.around and explain.around(a)
  local nodes = around and around.nodes or { { name = name_of(a), netns = a } }
  if not around and type(b) ~= "string" then
    nodes[2] = { name = name_of(b), netns = b }
  end
  return explain.explain(nodes, a, b, how)
end

local function check_namespace(ns, what, n)
  if type(ns) ~= "userdata" or getmetatable(ns) ~= "netns.Namespace" then
    check.refuse("%s: argument %d must be a node or a Namespace, got %s", what, n, type(ns))
  end
end

local function explain_options(how)
  local options = {}
  for _, key in ipairs { "icmp", "tcp", "udp", "family", "source", "payload", "timeout" } do
    options[key] = how and how[key]
  end
  return options
end

-- Each gives true, or false and what to print; then what to print where it should not have held.

local tests = {}

function tests.reaches(a, b, how)
  check_namespace(a, "reaches", 1)
  local result, failed = a:reach(b, how)
  local to = type(b) == "string" and b or name_of(b)
  if result then
    return true, nil, failure(("expected %s not to reach %s (%s), but it does: %s"):format(name_of(a), to,
      how_words(how), tostring(result)), picture(a))
  end
  return false, failure(("expected %s to reach %s (%s): %s"):format(name_of(a), to, how_words(how), tostring(failed)),
    tostring(explained(a, b, explain_options(how))), picture(a))
end

-- Blocked is what something on the way stops: not a port where nobody listens.
function tests.blocked(a, b, how)
  check_namespace(a, "blocked", 1)
  local result, failed = a:reach(b, how)
  local to = type(b) == "string" and b or name_of(b)
  local words = ("expected %s to be blocked from %s (%s), but "):format(name_of(a), to, how_words(how))
  if result then
    return false, failure(words .. "it gets there: " .. tostring(result), picture(a))
  end
  if failed.state ~= "closed" then
    return true, nil, failure(("expected %s not to be blocked from %s (%s): %s"):format(name_of(a), to, how_words(how),
      tostring(failed)), tostring(explained(a, b, explain_options(how))), picture(a))
  end
  local e = explained(a, b, explain_options(how)) -- a reset may come from a firewall
  if e.problem and e.problem.what == "firewall" then
    return true, nil, failure(("expected %s not to be blocked from %s (%s)"):format(name_of(a), to, how_words(how)),
      tostring(e), picture(a))
  end
  return false, failure(words .. "nothing is in the way, only nobody listens", tostring(e), picture(a))
end

local function route_words(route)
  return ("%s %s%s"):format(route.dst or "default", route.via and ("via %s "):format(tostring(route.via)) or "",
    route.dev and "dev " .. route.dev or route.type or "")
end

local function leads(route, via)
  if route.via == via or route.dev == via or route.type == via then
    return true
  end
  for _, hop in ipairs(route.nexthops or {}) do
    if hop.via == via or hop.dev == via then
      return true
    end
  end
  return false
end

-- dst is an address (what the kernel would do), or a prefix or "default" (the route itself).
function tests.route(node, dst, via)
  check_namespace(node, "route", 1)
  if type(dst) ~= "string" and getmetatable(dst) == "netns.Namespace" then
    dst = probe.address(node, dst)
  end
  if type(dst) ~= "string" or (via ~= nil and type(via) ~= "string") then
    check.refuse("route: a node, a destination and a next hop (or a link, or a type) expected")
  end
  local list
  if dst == "default" or dst:find("/", 1, true) then
    list = node.route:list { dst = dst }
  else
    local ok, route = pcall(node.route.get, node.route, { dst = dst })
    list = ok and { route } or {}
  end
  local seen = {}
  for i, route in ipairs(list) do
    if via == nil or leads(route, via) then
      return true, nil, failure(("expected %s to have no route to %s%s, but it has: %s"):format(name_of(node), dst,
        via and " by " .. via or "", route_words(route)))
    end
    seen[i] = route_words(route)
  end
  return false, failure(("expected %s to have a route to %s%s, but %s"):format(name_of(node), dst, via and " by " .. via
    or "", #seen > 0 and "it has: " .. table.concat(seen, "; ") or "it has none"), tostring(node.route:list()),
    picture(node))
end

function tests.no_drift(lab)
  if getmetatable(lab) ~= "netns.Lab" then
    check.refuse("no_drift: a lab expected, got %s", type(lab))
  end
  local drift = lab:diff()
  if #drift == 0 then
    return true, nil, failure "expected the lab to have drifted from its description, but nothing is different"
  end
  return false, failure("expected the lab to be as described, but:", tostring(drift), "", tostring(lab))
end

-- For anybody -----------------------------------------------------------------------------------------------------

-- All of them raise an object that prints what is wrong, and otherwise give their arguments back.

--- A packet gets from a to b and back.
-- @function assert.reaches
-- @tparam Namespace a node of a lab, or any Namespace
-- @tparam string|Namespace b the same, or an address
-- @tparam[opt] table how as for `ns:reach`: `tcp = port`, `udp = port`, nothing for a ping; `timeout` in seconds
-- @return its arguments
-- @raise a failure that prints why, where b does not answer
-- @usage require("netns.assert").reaches(lab.pc, lab.web, { tcp = 80 })

--- Something on the way from a to b stops it; a port where only nobody listens does not count.
-- @function assert.blocked
-- @tparam Namespace a node of a lab, or any Namespace
-- @tparam string|Namespace b the same, or an address
-- @tparam[opt] table how as for `reaches`
-- @return its arguments
-- @raise a failure that prints the way, where b answers
-- @usage require("netns.assert").blocked(lab.outside, lab.pc, { tcp = 22 })

--- A route, or the kernel's decision, leads there.
-- @function assert.route
-- @tparam Namespace node
-- @tparam string dst a prefix: the route of that destination; an address: the kernel's decision for it
-- @tparam[opt] string via the gateway or link it leads by
-- @return its arguments
-- @raise a failure that prints the routes there are
-- @usage require("netns.assert").route(lab.pc, "default", "10.0.0.1")

--- The kernel is as the description says.
-- @function assert.no_drift
-- @tparam Lab lab
-- @return its arguments
-- @raise a failure that prints `lab:diff()`
-- @usage require("netns.assert").no_drift(lab)

-- Flight recorders do not overflow meanwhile.
local function run(test, ...)
  recorder.drain_all()
  return test(...)
end

-- A failure, with where its packets are where they are recorded.
local function with_packets(why)
  local saved = recorder.save_failure()
  if saved ~= "" then
    why.text = why.text .. "\n" .. saved
  end
  return why
end

for name, test in pairs(tests) do
  assertions[name] = function(...)
    local ok, why = run(test, ...)
    if not ok then
      error(with_packets(why), 2)
    end
    return ...
  end
end

-- For busted -------------------------------------------------------------------------------------------------------

--- Add the assertions to luassert.
-- Done by itself where luassert is loaded already, as busted does.
-- @param luassert what `require "luassert"` gives
-- @usage require("netns.assert").register(require "luassert")
function assertions.register(luassert)
  for name, test in pairs(tests) do
    luassert:register("assertion", name, function(state, arguments)
      local ok, why, why_not = run(test, table.unpack(arguments, 1, arguments.n))
      local message = ok and why_not or why
      local failed = ok ~= state.mod -- assert.is_not turns it round
      state.failure_message = failed and message and with_packets(message) or message
      return ok
    end)
  end
end

if package.loaded.luassert then
  assertions.register(package.loaded.luassert)
end

return assertions
