--- Every statement and expression of nft(8): in as text, listed as data, and from that data into
-- another namespace, where nft itself lists the same. spec/nft/statements.lua has them.
local netns = require "netns"

require("spec.support.leaks").gate { warm = function() netns.new():close() end }
local core = require "netns.core"
local features = require "spec.support.features"
local sh = require "spec.support.sh"

-- nft's own listing, without what differs from one listing to the next
local function nft_json(ns)
  local list = sh.nft(ns, "-j list ruleset").nftables
  for _, entry in ipairs(list) do
    for _, object in pairs(entry) do
      object.handle = nil
      for _, element in ipairs(object.elem or {}) do
        local e = type(element) == "table" and element[1] or element
        e = type(e) == "table" and e.elem
        if e then
          e.expires = nil
        end
      end
    end
  end
  return list
end

local function nft_text(ns)
  return (sh.nft(ns, "list ruleset"):gsub(" expires %w+", ""))
end

-- Tables with flags are garbage in the JSON of nft 1.0.6 (and crash it): their text is compared.
local function lists_wrongly(row)
  return row.text:find "flags dormant" ~= nil
end

describe("nft(8)", function()
  local here, there

  before_each(function()
    here, there = netns.new(), netns.new()
  end)

  after_each(function()
    here:close()
    there:close()
  end)

  teardown(function()
    core.nft_stop()
  end)

  for _, row in ipairs(require "spec.nft.statements") do
    it(row.name, function()
      local oracle = sh.try_inside(there, "nft -f -", { stdin = row.text })
      if not oracle.ok then
        assert.matches("Could not process rule", oracle.stderr) -- not a mistake of the row
        if row.beside then
          features.skip("without " .. row.beside)
        elseif os.getenv "NETNS_FULL_KERNEL" == "1" then
          error("this kernel must take it: " .. oracle.stderr)
        end
        features.skip("this kernel refuses it: " .. oracle.stderr:match "[^\n]*")
      end
      here.nft:run(row.text)
      assert.equal(nft_text(there), nft_text(here))
      there.nft:flush { all = true }

      there.nft:add(here.nft:list())
      assert.equal(nft_text(here), nft_text(there))
      if not lists_wrongly(row) then
        assert.same(nft_json(here), nft_json(there))
      end
    end)
  end
end)

describe("what the JSON of libnftables 1.0.6 cannot", function()
  local ns

  before_each(function()
    ns = netns.new()
  end)

  after_each(function()
    ns:close()
    core.nft_stop()
  end)

  local function only(kind)
    for _, entry in ipairs(ns.nft:list()) do
      if entry[kind] then
        return entry[kind]
      end
    end
  end

  it("flags and comments of tables: nf_tables is asked", function()
    ns.nft:run 'table inet t { flags dormant; comment "x"; }'
    assert.same({ family = "inet", name = "t", handle = 1, flags = { "dormant" }, comment = "x" }, only "table")
  end)

  it("devices and comments of chains: nf_tables is asked", function()
    ns.nft:run 'table netdev t { chain c { comment "x"; type filter hook ingress device "lo" priority 5; }; }'
    local chain = only "chain"
    assert.equal("lo", chain.dev)
    assert.equal("x", chain.comment)
  end)

  it("flags of sets: nf_tables is asked", function()
    ns.nft:run "table ip t { set s { type ipv4_addr; size 9; flags dynamic,timeout; }; }"
    assert.same({ "timeout", "dynamic" }, only("set").flags)
    ns.nft:flush()
    ns.nft:run "table ip t { set s { type ipv4_addr; flags interval; auto-merge; }; }"
    assert.is_true(only("set")["auto-merge"])
  end)

  it("what a set's type is the type of: the text listing is read", function()
    ns.nft:run [[table inet t {
      set a { type ipv4_addr; }
      set b { typeof vlan id; }
      set c { typeof ip saddr . tcp dport; }
    }]]
    local typeofs = {}
    for _, entry in ipairs(ns.nft:list()) do
      if entry.set then
        typeofs[entry.set.name] = entry.set.typeof or entry.set.type
      end
    end
    assert.same({ a = "ipv4_addr", b = "vlan id", c = "ip saddr . tcp dport" }, typeofs)
  end)

  it("data of set statements: libnftables gives the statement as text", function()
    ns.nft:run [[table ip t {
      map m { type ipv4_addr : mark; size 9; flags dynamic; }
      chain c { update @m { ip saddr : meta mark }; }
    }]]
    assert.same({ "update @m { ip saddr : meta mark }" }, only("rule").expr)
  end)

  it("hooks: they are listed as text", function()
    ns.nft:run "table ip t { chain c { type filter hook input priority 0; }; }"
    assert.equal(sh.nft(ns, "list hooks"), ns.nft:run("list hooks").text)
  end)

  it("elements that are asked for: they come as text", function()
    ns.nft:run "table ip t { set s { type ipv4_addr; elements = { 10.0.0.1 }; }; }"
    assert.matches("elements = { 10.0.0.1 }", ns.nft:run("get element ip t s { 10.0.0.1 }").text)
  end)
end)
