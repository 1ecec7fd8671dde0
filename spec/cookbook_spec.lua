--- The cookbook: the README names every recipe, and each runs by its own first line.
local features = require "spec.support.features"
local sh = require "spec.support.sh"

local found = {}
for path in sh.run("find examples/cookbook -name '*.lua' | LC_ALL=C sort"):gmatch "[^\n]+" do
  found[#found + 1] = path
end

describe("the tables for people from elsewhere", function()
  it("have lines that work, in their order", function()
    local section = sh.read_file("README.md"):match "\n## Coming from elsewhere\n(.-)\n## "
    local lines = { "netns = require 'netns'", "topology = require 'netns.topology'" }
    for line in section:gmatch "| `([^`]*)` |\n" do
      if not line:find "^lua5.4 " then
        local is_value = load("return " .. line)
        lines[#lines + 1] = is_value and "local _ = " .. line or line
      end
    end
    assert.is_true(#lines > 30)
    local r = sh.try({ "spec/support/isolate", os.getenv "LUA" or "lua5.4", "-" },
      { stdin = table.concat(lines, "\n") .. "\n" })
    assert.is_true(r.ok, r.stderr .. table.concat(lines, "\n"))
  end)
end)

describe("the cookbook", function()
  it("has twenty recipes at least, all of them in the README", function()
    assert.is_true(#found >= 20)
    local readme = sh.read_file "README.md"
    for _, path in ipairs(found) do
      assert.is_truthy(readme:find(("(%s)"):format(path), 1, true), path)
    end
    for path in readme:gmatch "%((examples/[%w_/.]+)%)" do
      assert.is_truthy(io.open(path), path):close()
    end
  end)

  for _, path in ipairs(found) do
    it(path, function()
      local text = sh.read_file(path)
      local first = text:match "^%-%- (make run RUN=%S+)\n"
      assert.equal("make run RUN=" .. path, first)
      assert.is_nil(text:match "%f[%w]sleep%f[%W]")
      for name in (text:match "\n%-%- needs: ([^\n]*)" or ""):gmatch "%S+" do
        features.need(name)
      end
      local command = ("%s --no-print-directory BUILD=%s LUA=%s"):format(first,
        sh.quote(os.getenv "NETNS_BUILD" or "build"), sh.quote(os.getenv "LUA" or "lua5.4"))
      local r = sh.try { "spec/support/isolate", "sh", "-c", command }
      assert.is_true(r.ok, r.stderr .. r.stdout)
      assert.matches("%S", r.stdout)
    end)
  end
end)
