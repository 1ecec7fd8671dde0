--- Traces: every operation as the command of iproute2, sysctl(8), nft(8) that does the same, as it happens.
--
-- While nobody traces, nothing of this is in the way: to trace is to put other functions in the places of the core's.
-- A line appears when its operation is done; what failed is a comment with the error. Namespaces without a name get
-- one (ns1, ns2 ...). So the lines are a script that builds the same in shell.
-- @module netns.trace
local check = require "netns.check"
local command = require "netns.command"
local core = require "netns.core"
local link_command = require "netns.command.link"
local script = require "netns.trace.script"

local trace = {}

local this = debug.getinfo(1, "S").source
local root = this:match "^@.*netns[/\\]" or "@"

-- The function that called the traced one, is it ours? Then what it asks is of no interest.
local function asked_by_us()
  for level = 3, 200 do
    local info = debug.getinfo(level, "S")
    if not info or info.what ~= "C" and info.source ~= this then
      return info ~= nil and info.source:sub(1, #root) == root
    end
  end
  return false
end

-- Doing and telling ------------------------------------------------------------------------------------------------

-- Raise again what a function of the core raised; a misuse at the user's line.
local function raise(err, verb)
  if type(err) == "string" then
    check.refuse("%s", (err:gsub("'%?'", ("'%s'"):format(verb))))
  end
  error(err, 0)
end

-- Call a function of the core and tell what it did.
local function done(own, verb, lines, ...)
  local r = table.pack(pcall(own, ...))
  if not r[1] then
    script.tell(lines, r[2])
    raise(r[2], verb)
  end
  script.tell(lines)
  return table.unpack(r, 2, r.n)
end

-- What an operation is as commands. What cannot be said (misuse, mostly) is nothing.
local function render(fn, ...)
  local ok, lines = pcall(fn, ...)
  return ok and lines or nil
end

local function noun_lines(noun, verb, args)
  local name, ns, ifindex = core.noun_info(noun)
  return command.of(script.context(ns), name, verb, script.named(ns, name, args or {}, ifindex))
end

-- Verbs that change -----------------------------------------------------------------------------------------------

local function changing(verb, own)
  return function(noun, args, ...)
    local _, _, _, batch = core.noun_info(noun)
    local lines = render(noun_lines, noun, verb, args)
    if not batch then
      return done(own, verb, lines, noun, args, ...)
    end
    local r = table.pack(pcall(own, noun, args, ...))
    if not r[1] then
      raise(r[2], verb)
    end
    local waiting = script.state.batches[batch]
    waiting[#waiting + 1] = lines or {}
    return table.unpack(r, 2, r.n)
  end
end

-- Verbs that ask ---------------------------------------------------------------------------------------------------

local function asking(verb, own)
  return function(noun, what, ...)
    local lines
    if verb == "flush" or not asked_by_us() then
      local name = core.noun_info(noun)
      local kind = verb == "flush" and "flush" or verb == "get" and name == "route" and "get" or "show"
      lines = render(noun_lines, noun, kind, what)
    end
    return done(own, verb, lines, noun, what, ...)
  end
end

-- Batches ----------------------------------------------------------------------------------------------------------

local function batch_of(own)
  return function(ns, fn, ...)
    if type(fn) ~= "function" then
      return done(own, "batch", nil, ns, fn, ...)
    end
    local waiting, users = {}, false
    local r = table.pack(pcall(own, ns, function(b)
      script.state.batches[b], users = waiting, true
      local result = table.pack(fn(b))
      users = false
      return table.unpack(result, 1, result.n)
    end, ...))
    local failed = {}
    if not r[1] then
      local failures = getmetatable(r[2]) == core.Error and r[2].failures
      for _, failure in ipairs(failures or {}) do
        failed[failure.index] = failure
      end
      if not failures then
        waiting = {} -- nothing was sent
      end
    end
    for i, lines in ipairs(waiting) do
      script.tell(lines, failed[i])
    end
    if users then
      error(r[2], 0)
    elseif not r[1] then
      raise(r[2], "batch")
    end
    return table.unpack(r, 2, r.n)
  end
end

-- Namespaces -------------------------------------------------------------------------------------------------------

local function new_of(own)
  return function(name, opts, ...)
    local ok, ns = pcall(own, name, opts, ...)
    if not ok then
      raise(ns, "new")
    end
    local keep = type(opts) == "table" and opts.keep
    local called = ns.name or script.free_name()
    script.state.names[ns.inode] = called
    script.state.made[ns.inode] = not keep or nil
    script.emit(command.add_netns(called))
    return ns
  end
end

local function close_of(own)
  return function(ns, ...)
    local inode = not ns.closed and ns.inode
    local name = inode and script.state.made[inode] and script.state.names[inode]
    if name then
      script.state.made[inode], script.state.names[inode], script.state.links[inode] = nil, nil, nil
    end
    return done(own, "close", name and { command.del_netns(name) }, ns, ...)
  end
end

local function delete_of(own)
  return function(name, ...)
    return done(own, "delete", { command.del_netns(tostring(name)) }, name, ...)
  end
end

local function run_of(verb, own)
  return function(ns, argv, opts)
    local lines = render(function()
      return { command.run(script.context(ns), argv, opts) .. (verb == "spawn" and " &" or "") }
    end)
    return done(own, verb, lines, ns, argv, opts)
  end
end

local function ping_of(own)
  return function(ns, target, opts)
    local r = table.pack(done(own, "ping", nil, ns, target, opts))
    local result = r[1] or r[2]
    script.emit(command.run(script.context(ns), { "ping", "-c", result.sent, result.dst }))
    return table.unpack(r, 1, r.n)
  end
end

local function tun_of(own)
  return function(ns, opts)
    local tun = done(own, "tun", nil, ns, opts)
    local words = script.context(ns).n("tuntap", "add", "dev", tun:name(), "mode", opts.mode)
    script.emit(command.line { "ip", table.unpack(words) })
    return tun
  end
end

-- Links ------------------------------------------------------------------------------------------------------------

local function link_change(verb, own)
  return function(link, changes, ...)
    local lines = render(function()
      local ns = link.netns
      return command.of(script.context(ns), "link", verb, script.named(ns, "link", changes or {}, link.ifindex))
    end)
    return done(own, verb, lines, link, changes, ...)
  end
end

local function link_move(own)
  return function(link, to)
    local line = render(function()
      return { link_command.move(script.context(link.netns), link.name, script.name_of(to) or "1") }
    end)
    return done(own, "move", line, link, to)
  end
end

local function link_altname(verb, own)
  return function(link, ...)
    local lines = render(function(...)
      local out = {}
      for i, altname in ipairs { ... } do
        out[i] = link_command.altname(script.context(link.netns), verb, link.name, altname)
      end
      return out
    end, ...)
    return done(own, "altname_" .. verb, lines, link, ...)
  end
end

-- Sysctls and the firewall ------------------------------------------------------------------------------------------

local function sysctl_of(own)
  return function(ns, path, value)
    return done(own, "sysctl", { command.sysctl(script.context(ns), path, value) }, ns, path, value)
  end
end

local function nft_of(own)
  return function(ns, text, opts)
    local changes = type(text) == "string" and text:find "%S" and not text:find "^%s*list%f[%W]"
      and not text:find "^%s*get%f[%W]" and not (type(opts) == "table" and opts.check)
    local r = table.pack(own(ns, text, opts))
    if changes then
      script.tell({ command.nft(script.context(ns), text) }, not r[1] and (r[3] or "failed") or nil)
    end
    return table.unpack(r, 1, r.n)
  end
end

-- On and off -------------------------------------------------------------------------------------------------------

local classes = { [core.Noun] = "netns.Noun", [core.Link] = "netns.Link", [core.Namespace] = "netns.Namespace",
  [debug.getregistry()["netns.Namespace"]] = "netns.Namespace" }

-- A method as it is traced; what is called without its object is refused as ever.
local function method(class, own, traced)
  return function(self, ...)
    if type(self) ~= "userdata" or getmetatable(self) ~= class then
      return check.relay(own, self, ...)
    end
    return traced(self, ...)
  end
end

local function put(place, key, make, ...)
  local own = place[key]
  script.state.own[place] = script.state.own[place] or {}
  script.state.own[place][key] = own
  local n = select("#", ...)
  local ours = n > 0 and make(..., own) or make(own)
  if classes[place] then
    ours = method(classes[place], own, ours)
  end
  script.state.places[#script.state.places + 1] = { place, key, ours, own }
  place[key] = ours
end

local function start(netns)
  local here <close> = core.current()
  script.state.names[here.inode] = false
  for _, verb in ipairs { "add", "replace", "append", "prepend", "set", "change", "del" } do
    put(core.Noun, verb, changing, verb)
  end
  for _, verb in ipairs { "list", "get", "each", "flush" } do
    put(core.Noun, verb, asking, verb)
  end
  put(core.Link, "set", link_change, "set")
  put(core.Link, "del", link_change, "del")
  put(core.Link, "move", link_move)
  put(core.Link, "altname_add", link_altname, "add")
  put(core.Link, "altname_del", link_altname, "del")
  put(core.Namespace, "batch", batch_of)
  put(core.Namespace, "close", close_of)
  put(core.Namespace, "run", run_of, "run")
  put(core.Namespace, "spawn", run_of, "spawn")
  put(core.Namespace, "ping", ping_of)
  put(core.Namespace, "tun", tun_of)
  put(debug.getregistry()["netns.Namespace"], "__close", close_of)
  put(core, "sysctl_write", sysctl_of)
  put(core, "nft_run", nft_of)
  for _, place in ipairs { core, netns } do
    put(place, "new", new_of)
    put(place, "delete", delete_of)
  end
end

local function stop()
  for _, row in ipairs(script.state and script.state.places or {}) do
    local place, key, ours, own = table.unpack(row)
    if place[key] == ours then
      place[key] = own
    end
  end
  script.state = nil
end

local function writer(out)
  if type(out) == "function" then
    return function(text)
      out((text:gsub("\n$", "")))
    end
  end
  return function(text)
    out:write(text)
  end
end

local function can_write(out)
  if type(out) == "function" or io.type(out) == "file" then
    return true
  end
  local ok, write = pcall(function()
    return out.write
  end)
  return ok and type(write) == "function"
end

--- See `netns.trace`.
function trace.set(netns, out)
  if out ~= nil and not can_write(out) then
    check.refuse("trace: a file, an object with a method write, a function or nil expected, got %s", check.show(out))
  end
  stop()
  if out ~= nil then
    script.state = { write = writer(out), names = {}, made = {}, links = {}, own = {}, places = {}, count = 0,
      batches = setmetatable({}, { __mode = "k" }) }
    start(netns)
  end
end

return trace
