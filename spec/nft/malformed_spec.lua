--- Malformed input, one after the other in one host process: each gives an error, the host lives,
-- and the ruleset is as before. spec/nft/malformed.lua has them.
require("spec.support.leaks").gate()
local core = require "netns.core"
local netns = require "netns"
local sh = require "spec.support.sh"

local setup_text = [[
table inet t {
  set used { type ipv4_addr; elements = { 1.1.1.1 }; }
  chain used { }
  chain c { jump used; ip saddr @used accept; }
}]]

describe("malformed input", function()
  local ns, before
  local crashes = 0

  setup(function()
    ns = netns.new "malformed"
    ns.nft:run(setup_text)
    before = sh.nft("malformed", "list ruleset")
  end)

  teardown(function()
    ns:close()
    core.nft_stop()
  end)

  local inputs = require "spec.nft.malformed"

  it("is there in numbers", function()
    assert.is_true(#inputs >= 150)
    local seen = {}
    for _, input in ipairs(inputs) do
      assert.is_nil(seen[input], input)
      seen[input] = true
    end
  end)

  local verbs = {}
  for word in ("add create delete destroy list flush rename insert replace reset get export monitor describe import "
    .. "include define undefine redefine table"):gmatch "%S+" do
    verbs[word] = true
  end

  local function refuse(text)
    local ok, err = pcall(ns.nft.run, ns.nft, text, nil, { timeout = 10 })
    assert.is_false(ok, "it was taken: " .. text:sub(1, 100))
    assert.is_true(type(err) == "string" or getmetatable(err) == core.Error, tostring(err))
    assert.matches("%S", tostring(err))
    if type(err) == "table" and err.committed == "unknown" then
      crashes = crashes + 1
      assert.is_not_nil(err.words)
    end
    assert.equal(before, ns.nft:text(), "after " .. text:sub(1, 100))
  end

  for number, input in ipairs(inputs) do
    local shown = input:sub(1, 60):gsub("[^%g ]", "?")
    it(("%d: %s"):format(number, shown), function()
      local word = input:match "^%l+"
      if not verbs[word] or (word == "add" and input:find "^add @") or word == "reset" and input:find "^reset tcp" then
        refuse("add rule inet t c " .. input)
      end
      if verbs[word] or number <= 60 then
        refuse(input)
      end
    end)
  end

  it("leaves a worker that works", function()
    ns.nft:run "add rule inet t used accept"
    assert.matches("accept", sh.nft("malformed", "list chain inet t used"))
    ns.nft:run "flush chain inet t used"
    assert.equal(before, sh.nft("malformed", "list ruleset"))
  end)

  it("through objects and data is refused as well", function()
    local chain = ns.nft:table({ family = "inet", name = "t" }).chain:get "c"
    for _, input in ipairs(inputs) do
      local ok, err = pcall(chain.rule.add, chain.rule, input)
      assert.is_false(ok, input:sub(1, 100))
      assert.matches("%S", tostring(err))
    end
    assert.equal(before, ns.nft:text())
  end)

  it("random bytes and cut rulesets, from a seed", function()
    math.randomseed(7)
    local valid = setup_text:gsub("table inet t", "table inet u")
    for _ = 1, 60 do
      local at = math.random(#valid)
      local text = valid:sub(1, at) .. string.char(math.random(33, 126)) .. valid:sub(at + math.random(4))
      local ok = pcall(ns.nft.run, ns.nft, text, nil, { timeout = 10 })
      if ok then -- it was still a ruleset
        ns.nft:flush()
        pcall(ns.nft.flush, ns.nft, { family = "inet", table = "u" })
        ns.nft:flush { all = true }
        ns.nft:run(setup_text)
      end
    end
    assert.equal(before, ns.nft:text())
  end)
end)
