--- netns.json, beside dkjson.
require("spec.support.leaks").gate()
local dkjson = require "dkjson"
local json = require "netns.json"

describe("json", function()
  it("reads what it has written, and keeps integers, null, and empty arrays apart from empty objects", function()
    local text = [=[{"a":[],"b":{},"c":null,"d":[1,-2.5,1e+300,9007199254740993],"e":"\u0001\"\\ é😀","f":[[],[null]]}]=]
    local value = assert(json.decode(text))
    assert.equal(text, json.encode(value))
    assert.equal(json.null, value.c)
    assert.equal("integer", math.type(value.d[4]))
    assert.same({ a = {}, b = {}, d = { 1, -2.5, 1e300, 9007199254740993 }, e = "\1\"\\ é😀", f = { {}, {} } },
      (dkjson.decode(json.encode(value))))
    assert.equal("[]", json.encode(json.array()))
    assert.equal("{}", json.encode {})
    assert.equal("0.1", json.encode(0.1))
    assert.equal(1 / 3, json.decode(json.encode(1 / 3)))
  end)

  it("says what is wrong and where", function()
    for text, wrong in pairs {
      ["{"] = "expected a key at byte 2", ["[1,]"] = "expected a value at byte 4",
      ["1 2"] = "expected the end at byte 3", [""] = "expected a value at byte 1",
      ['"x'] = "unfinished string at byte 3", ["nul"] = "expected a value at byte 1",
      [("["):rep(300)] = "nested too deep at byte 201",
    } do
      local value, message = json.decode(text)
      assert.is_nil(value)
      assert.equal("not JSON: " .. wrong, message)
    end
    assert.equal(false, json.decode "false")
  end)

  it("refuses what JSON does not have", function()
    local cyclic = {}
    cyclic.self = cyclic
    for wrong, value in pairs {
      ["a function cannot"] = { print }, ["not a number"] = { 0 / 0 },
      ["a key must be a string, got true"] = { [true] = 1 },
      ["a list and a key x"] = { 1, x = 2 }, ["within itself"] = cyclic,
    } do
      assert.error_matches(function() json.encode(value) end, wrong)
    end
  end)
end)
