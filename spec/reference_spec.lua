--- The reference against what lives in this program: everything public is written about, and everything written
-- about is there; what is made of it (help, editor definitions, pages, manual page) is well-formed.
require("spec.support.leaks").gate()
teardown(require("netns.core").nft_stop)
local core = require "netns.core"
local keys = require "netns.reference.keys"
local live = require "netns.reference.live"
local netns = require "netns"
local parse = require "netns.reference.parse"
local prose = require "netns.reference.prose"
local reference = require "netns.reference"
local sh = require "spec.support.sh"

local book = reference.book()

local function each_entry(fn)
  for _, owner in ipairs(book.owners) do
    for _, entry in ipairs(owner.entries) do
      fn(entry, owner)
    end
  end
end

local function assert_none(found)
  if #found > 0 then
    error("\n  " .. table.concat(found, "\n  "), 2)
  end
end

-- Names of the parameters of a Lua function; nil where it takes whatever comes, or is written in C.
local function parameters(fn, skip)
  local info = debug.getinfo(fn, "Su")
  if info.what == "C" or info.isvararg then
    return nil
  end
  local names = {}
  for i = skip + 1, info.nparams do
    names[#names + 1] = debug.getlocal(fn, i)
  end
  return names
end

describe("everything public", function()
  it("is written about: words, types, an example that compiles", function()
    local found = {}
    each_entry(function(entry)
      local doc = entry.doc
      local function wrong(what)
        found[#found + 1] = ("%s: %s"):format(entry.name, what)
      end
      if not doc or doc.summary == "" then
        return wrong "nothing is written about it"
      end
      if doc.unknown then
        wrong("tag @" .. doc.unknown .. " is not known")
      end
      for _, p in ipairs(doc.params) do
        if p.name == "" or p.type == "" then
          wrong "a parameter without a name or type"
        elseif p.text == "" and not doc.text:find("`" .. p.name .. "`", 1, true) and p.type:find "table" then
          wrong(("nothing is said of what is in %s"):format(p.name))
        end
      end
      if #doc.usage == 0 then
        wrong "no example"
      end
      for _, usage in ipairs(doc.usage) do
        local ok, err = load(usage)
        if not ok then
          ok = load("return " .. usage)
        end
        if not ok then
          wrong("the example: " .. err)
        end
      end
    end)
    assert_none(found)
  end)

  it("has the parameters that are written about, by name and in order", function()
    local found = {}
    each_entry(function(entry, owner)
      local names = parameters(entry.fn, owner.kind == "class" and 1 or 0)
      local written = {}
      for i, p in ipairs(entry.doc and entry.doc.params or {}) do
        written[i] = p.name
      end
      if names and entry.doc and table.concat(names, " ") ~= table.concat(written, " ") then
        found[#found + 1] = ("%s takes (%s), written is (%s)"):format(entry.name, table.concat(names, ", "),
          table.concat(written, ", "))
      end
    end)
    assert_none(found)
  end)

  it("is all of the modules that are within netns", function()
    local known = {}
    for _, module in ipairs(live.modules) do
      known[module.functions] = true
    end
    for name, value in pairs(netns) do
      if type(value) == "table" then
        assert.is_true(known[value], name)
      end
    end
  end)

  it("says what it raises where the kernel may refuse", function()
    for _, name in ipairs { "netns.new", "netns.open", "Noun:add", "Link:set", "Namespace:run", "Nft:run" } do
      assert.matches("netns.Error", book.by_name[name].doc.raises[1])
    end
  end)

  it("covers modules and classes with words and examples", function()
    local found = {}
    for _, owner in ipairs(book.owners) do
      if not owner.doc or owner.doc.summary == "" then
        found[#found + 1] = owner.name .. ": nothing is written about it"
      elseif owner.kind == "class" and #owner.doc.usage == 0 then
        found[#found + 1] = owner.name .. ": no example"
      end
    end
    assert_none(found)
  end)

  -- What objects of these are is said where they are returned, or they never reach anybody.
  local silent = {}
  for name in ([[List Result Error EmptyArray ProbeResult Matrix Explanation Difference Diff Moved Failure
    Bytes Containers Dir Each Events Packets Filter Epoll NftAnswer NftTrace Trace Orphans Record Scope SocketTable
    cni.Failure nft.Refusal Features Findings]]):gmatch "%S+" do
    silent["netns." .. name] = true
  end

  it("is all of the classes that objects may have", function()
    local found = {}
    for name, meta in pairs(debug.getregistry()) do
      if type(name) == "string" and name:find "^netns%." and type(meta) == "table" and not silent[name]
        and not book.by_tag[name] then
        found[#found + 1] = name
      end
    end
    for path in sh.run("find lua -name '*.lua'"):gmatch "[^\n]+" do
      for name in sh.read_file(path):gmatch '__name = "(netns[%w_.]+)"' do
        if not silent[name] and not book.by_tag[name] then
          found[#found + 1] = path .. ": " .. name
        end
      end
    end
    assert_none(found)
  end)
end)

describe("everything written about", function()
  it("is there: names of functions, classes, tags", function()
    local found, classes = {}, {}
    for _, class in ipairs(live.classes) do
      classes[class.name] = true
    end
    for _, block in ipairs(book.blocks) do
      local name = block.name
      if block.kind == "class" and not classes[name] and name ~= "Error" then
        found[#found + 1] = ("%s:%d: there is no class %s"):format(block.path, block.first, name)
      elseif block.kind == "function" and name and name:find "[:.]" and not book.by_name[name] then
        found[#found + 1] = ("%s:%d: there is no function %s"):format(block.path, block.first, name)
      end
      if block.unknown then
        found[#found + 1] = ("%s:%d: tag @%s is not known"):format(block.path, block.first, block.unknown)
      end
    end
    assert_none(found)
  end)

  it("is written once: names and fields", function()
    local found, seen = {}, {}
    for _, noun in ipairs(keys.nouns()) do
      found[#found + 1] = seen[noun] and noun or nil
      seen[noun] = true
    end
    for _, owner in ipairs(book.owners) do
      local fields = {}
      for _, field in ipairs(owner.doc.fields) do
        found[#found + 1] = fields[field.name] and owner.name .. "." .. field.name or nil
        fields[field.name] = true
      end
    end
    assert_none(found)
  end)

  it("names fields that objects have, and all nouns and properties", function()
    local ns <close> = netns.new()
    local link = ns.link:get "lo"
    local topology = require "netns.topology"
    local t = topology.pair()
    local fw = ns.nft:table { family = "inet", name = "t" }
    local chain = fw:chain { name = "c" }
    local objects = { Namespace = ns, Link = link, Nft = ns.nft, Handle = fw, Table = fw, Chain = chain,
      Rule = chain:rule("counter", { comment = "x" }), Set = fw:set { name = "s", type = "ipv4_addr" },
      Counter = fw:counter "n", Topology = t, Node = t:node "h1" }
    local found = {}
    ns:batch(function(b)
      for _, noun in ipairs(keys.nouns()) do
        assert.is_truthy(ns[noun])
        assert.is_truthy(b[noun])
        assert.matches("\n  " .. noun .. " ", netns.help "Namespace")
        assert.matches("\n  " .. noun .. " ", netns.help "Batch")
      end
    end)
    for name, object in pairs(objects) do
      for _, field in ipairs(book.by_owner[name].doc.fields) do
        if object[field.name] == nil and field.type:sub(1, 1) ~= "?" then
          found[#found + 1] = ("%s has no %s"):format(name, field.name)
        end
      end
    end
    local written = { Namespace = {}, Link = {} }
    for name, set in pairs(written) do
      for _, field in ipairs(book.by_owner[name].doc.fields) do
        set[field.name] = true
      end
    end
    for name, properties in pairs { Namespace = core.properties, Link = core.link_properties } do
      for key in pairs(properties) do
        if name == "Namespace" and getmetatable(ns[key]) == "netns.Noun" then
          assert.is_true(keys.is_noun(key), key)
        end
        if not written[name][key] then
          found[#found + 1] = ("nothing is written about the field %s of a %s"):format(key, name)
        end
      end
    end
    assert_none(found)
  end)

  it("of keys is what the core knows, and each key of a noun has words or is plain", function()
    local found, rows = {}, core.schema()
    keys.each_meaning(function(name, key)
      local known = name == "any" or (rows[name] and rows[name][key])
      if name == "any" then
        known = false
        for _, inner in ipairs(keys.tables()) do
          known = known or rows[inner][key]
        end
      end
      if not known then
        found[#found + 1] = ("%s has no key %s"):format(name, key)
      end
    end)
    for _, noun in ipairs(keys.nouns()) do
      for _, key in ipairs(keys.of(keys.table_of(noun))) do
        if not key.text then
          found[#found + 1] = ("%s.%s: nothing is written about it"):format(noun, key.name)
        elseif not keys.type(key.row) and key.row.type ~= "custom" then
          found[#found + 1] = ("%s.%s: its type %s has no words"):format(noun, key.name, tostring(key.row.type))
        end
      end
    end
    assert_none(found)
  end)
end)

describe("netns.help", function()
  it("explains functions, objects, names, verbs and keys", function()
    local ns <close> = netns.new()
    assert.matches("^Namespace:run%(argv %[, opts%]%)\n", netns.help(ns.run))
    assert.equal(netns.help(ns.run), netns.help "Namespace:run")
    assert.equal(netns.help(ns.run), netns.help "ns:run")
    assert.matches("netns.Namespace\n.*Namespace:batch%(fn%)", netns.help(ns))
    assert.equal(netns.help(ns.link:get "lo"), netns.help "Link")
    assert.equal(netns.help(netns), netns.help "netns")
    assert.matches("topology.star", netns.help(require "netns.topology"))
    assert.matches("metric +preference; lower wins; integer 0 %.%. 4294967295", netns.help "route:add")
    assert.matches("Noun:add", netns.help "route:add")
    assert.equal(netns.help(ns.route), netns.help "route")
    assert.matches("mtu +largest packet, in bytes", netns.help "link")
    assert.equal("link.name\n\nits name: 1 to 15 bytes; name of an interface", netns.help "link.name")
    assert.matches("vlan_filtering +look at VLAN tags; boolean", netns.help "bridge")
    assert.matches("vid +1 to 4094, or a range.*keys of vlan.*loose_binding", netns.help "vlan")
    assert.matches("Namespace:run.*Node:run", netns.help "run")
    assert.matches("timeout", netns.help "netns.process")
    assert.matches("Namespace.*Lab.*nexthop", netns.help())
    for _, owner in ipairs(book.owners) do
      assert.matches("%S", netns.help(owner.name))
    end
    each_entry(function(entry)
      assert.matches("%S", netns.help(entry.name))
      assert.matches("%S", netns.help(entry.fn))
    end)
  end)

  it("keeps within the width, and refuses what it does not know", function()
    for _, text in ipairs { netns.help(), netns.help "Namespace:wait", netns.help "route" } do
      for line in text:gmatch "[^\n]+" do
        assert.is_true(utf8.len(line) <= 100, line)
      end
    end
    local function refuses(words, ...)
      local ok, err = pcall(netns.help, ...)
      assert.is_false(ok)
      assert.matches(words, err, nil, true)
    end
    refuses('reference_spec.lua', "Namespace:rum")
    refuses('nothing is known of "Namespace:rum" (did you mean "Namespace:run"?)', "Namespace:rum")
    refuses('(did you mean "route:add"?)', "route:addd")
    refuses('(did you mean "link.mtu"?)', "link.mtuu")
    refuses("this function is not one of netns", print)
    refuses("a function, an object or a name of netns expected, got table", {})
    refuses("got nil", nil)
  end)
end)

describe("the comments' reader", function()
  it("takes blocks apart", function()
    local blocks = parse.text [[
--- A module. More.
-- @module m

local m = {}

--- Do it. Now,
-- and here.
--
-- - one
-- @tparam[opt=5] {string|number,...} list words
--   that go on
-- @param ... the rest
-- @treturn ?string what
-- @raise E
-- @usage
-- if m.f() then
--   g()
-- end
function m.f(list, ...) end
---- no block
--- Nothing of yours.
-- @local
]]
    assert.equal(3, #blocks)
    assert.same({ "module", "m", "A module." }, { blocks[1].kind, blocks[1].name, blocks[1].summary })
    local f = blocks[2]
    assert.same({ "Do it.", 6, 18, "function m.f(list, ...) end" }, { f.summary, f.first, f.last, f.code })
    assert.same({ { name = "list", type = "{string|number,...}", opt = true, default = "5", text = "words that go on" },
      { name = "...", type = "any", text = "the rest" } }, f.params)
    assert.same({ { type = "?string", text = "what" } }, f.returns)
    assert.same({ "if m.f() then\n  g()\nend" }, f.usage)
    assert.is_true(blocks[3]["local"])
  end)

  it("sets prose: paragraphs, lists, code", function()
    assert.same({ { kind = "para", text = "a b" }, { kind = "item", depth = 0, text = "c d" },
      { kind = "item", depth = 1, text = "e" }, { kind = "code", text = "f()\n g()" } },
      prose.blocks "a\nb\n\n- c\n  d\n  - e\n\n   f()\n    g()")
    assert.same({ "aa bb", "  cc" }, prose.wrap("aa bb cc", 5, "", "  "))
  end)
end)

describe("what is made of it", function()
  it("is definitions for editors: each function there, each type defined", function()
    local files = require("netns.reference.luacats").files()
    local defined, used, all = {}, {}, ""
    for path, text in pairs(files) do
      assert(load(text, "@" .. path))
      all = all .. text
    end
    for name in all:gmatch "%-%-%-@class ([%w_.]+)" do
      assert.is_nil(defined[name], name)
      defined[name] = true
    end
    for rest in all:gmatch "%-%-%-@[%a]+ ([^\n]*)" do
      for name in rest:gsub("#.*", ""):gmatch "%f[%w_.]netns%.[%w_.]+" do
        used[name] = true
      end
    end
    local found = {}
    for name in pairs(used) do
      if not defined[name] and not name:find "%l$" and name:match "[^.]+$":find "^%u" then
        found[#found + 1] = name
      end
    end
    each_entry(function(entry, owner)
      local prefix = owner.kind == "class" and owner.name .. ":" or "M."
      for _, name in ipairs { entry.name, table.unpack(entry.aliases) } do
        if not all:find("\nfunction " .. prefix .. name:match "[%w_]+$" .. "(", 1, true) then
          found[#found + 1] = name
        end
      end
    end)
    assert_none(found)
    assert.matches("%-%-%-@class netns.keys.Route\n", all)
    assert.matches("%-%-%-@field metric%? integer ", all)
    assert.matches("%-%-%-@field route netns.nouns.Route ", all)
    assert.matches("%-%-%-@field master%? string|integer ", all)
  end)

  it("translates LDoc's types", function()
    local type_of = require("netns.reference.luacats").type_of
    assert.equal("string[]|nil", type_of "?{string,...}")
    assert.equal("(string|number)[]", type_of "{string|number,...}")
    assert.equal("netns.Link|table|nil", type_of "?Link|table")
  end)

  it("is pages whose links lead somewhere", function()
    local files = require("netns.reference.pages").files()
    for name, text in pairs(files) do
      assert.matches("^<!DOCTYPE html>", text)
      for target in text:gmatch 'href="([^"]+)"' do
        assert.is_truthy(files[target], ("%s: %s"):format(name, target))
      end
    end
    assert.matches("Namespace:run%(argv %[, opts%]%)", files["Namespace.html"])
    assert.matches("lower wins; integer 0 .. 4294967295", files["noun_route.html"])
  end)

  it("is a manual page that mandoc finds no fault with", function()
    sh.with_dir(function(dir)
      require("netns.reference.write").man(dir .. "/netns.3lua", "2026-01-31")
      local r = sh.try { "mandoc", "-Tlint", "-W", "warning", dir .. "/netns.3lua" }
      assert.equal("", r.stdout .. r.stderr)
      local text = sh.run { "mandoc", "-Tascii", dir .. "/netns.3lua" }
      text = text:gsub(".\8", "")
      assert.matches("netns %- Linux network namespaces as Lua objects", text)
      assert.matches("Namespace:run%(argv %[, opts%]%)", text)
      assert.matches("lua%-netns " .. netns.version:gsub("%p", "%%%0"), text)
    end)
  end)

  it("is installed", function()
    sh.with_dir(function(dir)
      local make = { "make", "--no-print-directory", "BUILD=" .. (os.getenv "NETNS_BUILD" or "build"),
        "LUA=" .. (os.getenv "LUA" or "lua5.4"), "PREFIX=/usr", "DESTDIR=" .. dir, "install" }
      sh.run(make, { timeout = 300 })
      assert.matches("%.TH NETNS 3lua", sh.read_file(dir .. "/usr/share/man/man3/netns.3lua"))
      assert.matches("%-%-%-@meta netns\n", sh.read_file(dir .. "/usr/share/lua/5.4/netns/library/netns.lua"))
      assert.matches("%-%-%-@meta netns.topology\n",
        sh.read_file(dir .. "/usr/share/lua/5.4/netns/library/netns/topology.lua"))
    end)
  end)
end)

describe("netns.version", function()
  it("is a semantic version", function()
    assert.matches("^%d+%.%d+%.%d+$", netns.version)
  end)
end)
