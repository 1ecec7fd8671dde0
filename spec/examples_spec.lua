--- Every example runs to its end, alone, in namespaces of its own, says something, and opens with a comment (the
-- drawing of its network). Those of the cookbook are cookbook_spec's. "-- needs: vlan netem" names what the kernel
-- must have.
local features = require "spec.support.features"
local sh = require "spec.support.sh"

describe("examples", function()
  local found = {}
  local find = "find examples -path examples/cookbook -prune -o -name '*.lua' -print | LC_ALL=C sort"
  for path in sh.run(find):gmatch "[^\n]+" do
    found[#found + 1] = path
  end

  for _, path in ipairs(found) do
    it(path, function()
      local text = sh.read_file(path)
      assert.matches("^%-%-", text:gsub("^#![^\n]*\n", ""))
      for name in (text:match "\n%-%- needs: ([^\n]*)" or ""):gmatch "%S+" do
        features.need(name)
      end
      local r = sh.try { "spec/support/isolate", os.getenv "LUA" or "lua5.4", path }
      assert.is_true(r.ok, r.stderr .. r.stdout)
      assert.matches("%S", r.stdout)
    end)
  end
end)
