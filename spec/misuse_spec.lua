--- Every public function of the core with everything it should not be given. What is public is
-- asked of the live metatables, so that nothing is forgotten.
require("spec.support.leaks").gate()
local core = require "netns.core"
local misuse = require "spec.support.misuse"
local netns = require "netns"
local sh = require "spec.support.sh"
local twins = require "spec.support.twins"

local function here()
  local ns <close> = netns.current()
  return ns.inode
end

local function keys_of(t)
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

-- What is written in Lua beyond the core has specs of its own.
local elsewhere = { nft = true, topology = true }

local function is_core(fn)
  local info = debug.getinfo(fn, "S")
  local area = info.source:match "netns/([%w_]+)"
  return type(fn) == "function" and (info.what == "C" or not elsewhere[area])
end

local nouns = { "link", "addr", "route", "rule", "neigh", "nexthop" }

-- What wants something proper first, to be hard to please afterwards: arguments that are right.
local right = {
  link = { name = "x", type = "bridge" },
  addr = { dev = "e0", address = "10.9.0.1/24" },
  route = { dst = "10.9.0.0/16", via = "10.0.0.2" },
  rule = { priority = 5, table = 7 },
  neigh = { dev = "e0", dst = "10.0.0.9", lladdr = "02:00:00:00:00:09" },
  nexthop = { id = 3, via = "10.0.0.2", dev = "e0" },
}

local function copy(t)
  local c = {}
  for key, value in pairs(t) do
    c[key] = value
  end
  return c
end

describe("misuse of", function()
  local ns, home

  teardown(core.nft_stop)

  before_each(function()
    home = here()
    ns = netns.new "misuse"
    twins.pair(ns)
  end)

  after_each(function()
    assert.equal(home, here())
    ns:close()
    sh.run "rm -rf /run/netns/* 2>/dev/null; umount /run/netns/* 2>/dev/null; rm -rf /run/netns/* 2>/dev/null; :"
    collectgarbage()
  end)

  -- fn with each value, alone and behind a proper first argument.
  local function offend(what, fn, ...)
    local first = table.pack(...)
    for name, value in misuse.each() do
      local args = table.pack(table.unpack(first, 1, first.n))
      args[args.n + 1], args.n = value, args.n + 1
      misuse.call(("%s(%s)"):format(what, name), fn, table.unpack(args, 1, args.n))
    end
  end

  it("the module's functions", function()
    local apart = { try = true, doctor = true } -- calls what it is given; takes nothing, and its time
    for _, name in ipairs(keys_of(netns)) do
      local fn = netns[name]
      if type(fn) == "function" and is_core(fn) and not apart[name] then
        misuse.call(name, fn)
        offend("netns." .. name, fn)
        offend("netns." .. name, fn, "x")
        offend("netns." .. name, fn, {})
        netns.trace(nil) -- which may have been asked for
      end
    end
    for _, key in ipairs { "keep", "nosuch" } do
      offend("netns.new keep", function(value)
        return netns.new("y", { [key] = value })
      end)
    end
    for _, key in ipairs { "fd", "pid", "name", "path" } do
      offend("netns.open " .. key, function(value)
        return netns.open { [key] = value }
      end)
    end
  end)

  it("methods, called without their object", function()
    for _, class in ipairs { "Namespace", "Link", "Noun", "Process" } do
      for _, name in ipairs(keys_of(core[class])) do
        local fn = core[class][name]
        if is_core(fn) then
          local lazy = class == "Process" and name == "lines" -- asks its object only when it is used
          misuse.call(class .. "." .. name, fn)
          for value_name, value in misuse.each() do
            local ok = misuse.call(("%s.%s(%s)"):format(class, name, value_name), fn, value)
            lazy = lazy or name == "close" -- as often as one likes
            assert.is_true(not ok or lazy, ("%s.%s takes %s for its object"):format(class, name, value_name))
          end
        end
      end
    end
  end)

  it("metamethods, called without their object", function()
    local fields = { "__index", "__newindex", "__tostring", "__eq", "__close", "__gc", "__len", "__call" }
    for _, object in ipairs { ns, ns.link, ns.link:get "e0", ns.sysctl } do
      local meta = debug.getmetatable(object)
      for _, field in ipairs(fields) do
        if type(meta[field]) == "function" and field ~= "__eq" then
          offend(field, meta[field])
          misuse.call(field, meta[field])
        end
      end
    end
  end)

  it("fields", function()
    local lo = ns.link:get "lo"
    for name, value in misuse.each() do
      if value ~= nil and value == value then
        misuse.call("ns[" .. name .. "]", function() return ns[value] end)
        misuse.call("link[" .. name .. "]", function() return lo[value] end)
        misuse.call("noun[" .. name .. "]", function() return ns.route[value] end)
        misuse.call("sysctl[" .. name .. "]", function() return ns.sysctl[value] end)
        ns:batch(function(b)
          misuse.call("batch[" .. name .. "]", function() return b[value] end)
        end)
        for what, object in pairs { ns = ns, link = lo, noun = ns.route } do
          local ok = misuse.call(what .. "[" .. name .. "] =", function() object[value] = 1 end)
          assert.is_false(ok, what .. " takes a field " .. name)
        end
      end
      misuse.call("sysctl =", function() ns.sysctl["net.ipv4.ip_forward"] = value end)
    end
  end)

  it("a Namespace", function()
    local runs = { call = true, wrap = true, batch = true } -- what they are given
    for _, name in ipairs(keys_of(core.Namespace)) do
      local method = core.Namespace[name]
      if name ~= "close" and is_core(method) then
        misuse.call(name, method, ns)
        for value_name, value in misuse.each() do
          if not (runs[name] and type(value) ~= "function") then
            misuse.call(("ns:%s(%s)"):format(name, value_name), method, ns, value)
          elseif type(value) ~= "function" then
            assert.is_false((pcall(method, ns, value)), name)
          end
          assert.equal(home, here())
        end
      end
    end
    for _, name in ipairs { "run", "spawn" } do
      offend(name .. " argv", function(value)
        return ns[name](ns, { value })
      end)
      offend(name .. " opts", ns[name], ns, { "true" })
    end
  end)

  it("every verb of every noun", function()
    local e0 = ns.link:get "e0"
    for _, noun in ipairs(nouns) do
      for _, name in ipairs(keys_of(core.Noun)) do
        offend(("%s:%s"):format(noun, name), ns[noun][name], ns[noun])
        if noun ~= "link" and core.schema()[noun].dev then
          offend(("link.%s:%s"):format(noun, name), e0[noun][name], e0[noun])
        end
        for value_name, value in misuse.each() do
          misuse.call(("batch %s:%s(%s)"):format(noun, name, value_name), ns.batch, ns, function(b)
            b[noun][name](b[noun], value)
          end)
        end
      end
    end
    assert.is_not_nil(ns.link:get "e0")
  end)

  it("every key of every noun", function()
    local schema = core.schema()
    for _, noun in ipairs(nouns) do
      for _, key in ipairs(keys_of(schema[noun])) do
        for name, value in misuse.each() do
          for _, verb in ipairs { "add", "set", "del", "list", "get" } do
            local args = copy(right[noun])
            args[key] = value
            -- deleting a link takes the kernel long: once for each key is enough
            local slow = noun == "link" and (verb == "get" or verb == "del" and name ~= "a list")
            if not slow then
              misuse.call(("%s:%s{ %s = %s }"):format(noun, verb, key, name), ns[noun][verb], ns[noun], args)
            end
          end
        end
      end
    end
    assert.same({ "misuse" }, netns.list())
  end)

  it("every key within a key", function()
    local schema = core.schema()
    local function each_key(keys, make)
      for key in pairs(keys) do
        for name, value in misuse.each() do
          local noun, args = make(key, value)
          misuse.call(("%s %s = %s"):format(noun, key, name), ns[noun].add, ns[noun], args)
        end
      end
    end
    each_key(schema["route nexthop"], function(key, value)
      return "route", { dst = "10.9.0.0/16", nexthops = { { via = "10.0.0.2", [key] = value } } }
    end)
    each_key(schema["nexthop resilient group"], function(key, value)
      return "nexthop", { id = 3, group = { 1 }, type = "resilient", resilient = { [key] = value } }
    end)
    each_key({ id = 1, weight = 1 }, function(key, value)
      return "nexthop", { id = 3, group = { { id = 1, [key] = value } } }
    end)
    each_key(schema.link, function(key, value)
      return "link", { name = "x", type = "veth", peer = { name = "y", [key] = value } }
    end)
    each_key(schema.bridge_slave, function(key, value)
      return "link", { name = "x", type = "veth", bridge_slave = { [key] = value } }
    end)
    for _, kind in ipairs { "bridge", "vxlan" } do
      each_key(schema[kind], function(key, value)
        return "link", { name = "x", type = kind, [key] = value }
      end)
    end
  end)

  it("a Link", function()
    local e0 = ns.link:get "e0"
    for _, name in ipairs(keys_of(core.Link)) do
      if name ~= "del" and is_core(e0[name]) then
        misuse.call("link:" .. name, e0[name], e0)
        offend("link:" .. name, e0[name], e0)
        offend("link:" .. name, e0[name], e0, "x")
      end
    end
    for _, key in ipairs(keys_of(core.schema().link)) do
      offend("link:set " .. key, function(value)
        return e0:set { [key] = value, alias = "x" }
      end)
    end
    assert.equal("e0", ns.link:get("e0").name)
  end)

  it("lists: they are plain data", function()
    local list = ns.link:list()
    list[1] = "x"
    list[2] = { name = {}, mtu = print, [5] = 5 }
    list.name = 5
    misuse.call("tostring", tostring, list)
    for name, value in misuse.each() do
      misuse.call("print.table " .. name, netns.print.table, value)
      misuse.call("print.table " .. name, netns.print.table, { { a = value } })
      misuse.call("print.table " .. name, netns.print.table, { { a = 1 } }, value)
    end
  end)
end)
