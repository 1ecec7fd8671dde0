--- The Lua side of the fuzz targets: every noun and verb that the core has, called by name.
-- Run by spec/fuzz/fuzz.c; `core` is netns.core.
local core = core -- luacheck: globals core
local harness = {}

local registry = debug.getregistry()
local here = core.current()

local nouns, noun_names = {}, {}
for name, make in pairs(core.properties) do
  local ok, noun = pcall(make, here)
  if ok and debug.getmetatable(noun) == registry["netns.Noun"] then
    nouns[name] = noun
    noun_names[#noun_names + 1] = name
  end
end
table.sort(noun_names)

local verb_names = {}
for name in pairs(registry["netns.Noun"].__index) do
  verb_names[#verb_names + 1] = name
end
table.sort(verb_names)

-- The one that is named, or else one that depends on the name.
local function choose(names, map, name)
  if map[name] then
    return name
  end
  local sum = 0
  for i = 1, #name do
    sum = sum + name:byte(i)
  end
  return names[sum % #names + 1]
end

local verb_set = {}
for _, name in ipairs(verb_names) do
  verb_set[name] = true
end

--- The noun and the verb of "route list".
function harness.parse(head)
  local noun, verb = head:match "^(%S*) ?(%S*)"
  return choose(noun_names, nouns, noun), choose(verb_names, verb_set, verb)
end

local function call(noun, verb, value)
  local method = noun[verb]
  if verb == "each" then
    for _ in method(noun, value) do
    end
  else
    method(noun, value)
  end
end

-- What else listens to the kernel: functions of the core, by the head of the input.
local listeners = {}

function listeners.sockets()
  core.sockets(here, "tcp")
  core.sockets(here, "udp")
end

function listeners.nft_dump()
  for _, kind in ipairs { "table", "chain", "rule", "set", "object", "flowtable" } do
    core.nft_dump(here, kind)
  end
end

function listeners.nft_monitor()
  local monitor <close> = core.nft_monitor(here)
  repeat
    local event = monitor:receive(0)
  until not event
end

function listeners.monitor()
  local monitor <close> = core.monitor(here, noun_names, {}, 100000)
  repeat
    local event = monitor:read()
  until not event
end

--- What the kernel's answer becomes. `head` is "NOUN VERB"; of links, all that can be read.
function harness.decode(head)
  if listeners[head] then
    return listeners[head]()
  end
  local name, verb = harness.parse(head)
  local value = { dev = 1 }
  if verb == "list" or verb == "each" then
    value = head:find("all", 1, true) and { table = "all" } or nil
  elseif name == "link" then
    value = "x"
  end
  local ok, link = pcall(call, nouns[name], verb, value)
  if ok and link then
    return link.mtu, tostring(link)
  end
end

--- A link's own ways: its properties, its text, its nouns.
function harness.link()
  local link = nouns.link:get "x"
  if link then
    tostring(link)
    local _ = link.stats
    link:get()
    link:set { mtu = 1400 }
    link.addr:list()
  end
end

--- A value made of the input, given to a verb; alone and in a batch.
function harness.encode(head, value)
  local name, verb = harness.parse(head)
  if head:find("batch", 1, true) then
    here:batch(function(b)
      b[name][verb](b[name], value)
      b[name][verb](b[name], value)
    end)
  else
    call(nouns[name], verb, value)
  end
end

--- One text for one key: "addr add address\n10.0.0.1/24".
function harness.text(head, text)
  local name, verb = harness.parse(head)
  local key, kind = head:match "^%S* ?%S* ?(%S*) ?(%S*)"
  call(nouns[name], verb, { [key] = text, type = kind ~= "" and kind or nil })
end

-- Lua modules of the project, which need no core.
package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
package.loaded["netns.core"] = core

--- A packet, decoded and as a line.
function harness.packet(bytes, first)
  local line = require("netns.packet").line(core.packet(bytes, first))
  assert(type(line) == "string")
end

-- What Lua itself says where a program has a mistake; what our modules say is none of these.
local mistakes = { "attempt to ", "bad argument #", "stack overflow", "string slice too long" }

--- A text loaded as a description. It may be refused, but only in words of ours.
function harness.literal(text)
  local literal = require "netns.topology.literal"
  local ok, value = pcall(literal.read, text, "text")
  if not ok then
    for _, words in ipairs(mistakes) do
      if tostring(value):find(words, 1, true) then
        error("literal.read fails by mistake: " .. tostring(value), 0)
      end
    end
    return
  end
  -- what was read can be written, and read again as the same
  local again = literal.write(value)
  if literal.write(literal.read(again, "again")) ~= again then
    error("literal.write does not give what was read: " .. again, 0)
  end
  local topology = require "netns.topology"
  local made, description = pcall(topology.from, value)
  local checked, findings = true, nil
  if made then
    checked, findings = pcall(description.check, description)
  end
  local problem = not made and description or not checked and findings
  for _, words in ipairs(problem and mistakes or {}) do
    if tostring(problem):find(words, 1, true) then
      error("a description is refused by mistake: " .. tostring(problem), 0)
    end
  end
end

return harness
