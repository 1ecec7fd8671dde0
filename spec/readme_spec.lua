--- Runs what README.md shows: the ```lua blocks of a section (##) together, in order, as one
-- program, in namespaces of its own. `netns` is there already, as the README says at its start.
-- A block that opens with "```lua needs vlan netem" is for kernels that have those.
local features = require "spec.support.features"
local sh = require "spec.support.sh"

--- The README's sections, each with the Lua of its blocks at the lines where it stands in the file.
local function sections(path)
  local found = {}
  local section, block, number = nil, nil, 0
  for line in io.lines(path) do
    number = number + 1
    local fence, info = line:match "^%s*(```+)%s*(.*)$"
    if block then
      if fence then
        block = nil
      elseif block.runs then
        block.section.lines[number] = line
        block.section.last = number
      end
    elseif fence then
      local needs = info:match "^lua%f[%z%s]%s*(.*)$"
      block = { runs = needs ~= nil, section = section, line = number }
      if needs then
        assert(section, ("%s:%d: a block before any ## heading"):format(path, number))
        section.first = section.first or number
        for name in needs:gsub("^needs", ""):gmatch "%S+" do
          section.needs[#section.needs + 1] = name
        end
      end
    elseif line:find "^##? " then
      section = { title = line:gsub("^#+%s*", ""), lines = {}, needs = {}, last = 0 }
      found[#found + 1] = section
    end
  end
  assert(not block, block and ("%s:%d: a block that does not end"):format(path, block.line))
  return found
end

local function program(section)
  local lines = {}
  for i = 1, section.last do
    lines[i] = section.lines[i] or ""
  end
  return table.concat(lines, "\n") .. "\n"
end

local function run(section)
  features.need(table.unpack(section.needs))
  return sh.with_dir(function(dir)
    sh.write_file(dir .. "/section", program(section))
    sh.write_file(dir .. "/main.lua", [[
      netns = require "netns"
      local file = assert(io.open(arg[1]))
      local chunk = assert(load(file:read "a", "@README.md"))
      file:close()
      chunk()
    ]])
    local r = sh.try { "spec/support/isolate", os.getenv "LUA" or "lua5.4", dir .. "/main.lua", dir .. "/section" }
    if not r.ok then
      error(("README.md, \"%s\":\n%s%s"):format(section.title, r.stderr, r.stdout), 2)
    end
    return r.stdout
  end)
end

describe("README.md", function()
  it("opens with the two commands", function()
    local text = sh.read_file "README.md"
    local first = text:match "```sh\n(.-)```"
    assert.matches("^make demo[^\n]*\nmake test", first)
  end)

  for _, section in ipairs(sections "README.md") do
    if section.first then
      it(("line %d: %s"):format(section.first, section.title), function()
        run(section)
      end)
    end
  end
end)

describe("this spec", function()
  local function first_section(text)
    return sh.with_dir(function(dir)
      sh.write_file(dir .. "/README.md", text)
      return sections(dir .. "/README.md")
    end)
  end

  it("runs the blocks of a section together and leaves the others out", function()
    local found = first_section(table.concat({
      "## one", "```lua", "local a = 1", "```", "text", "```lua", "print(a)", "```", "```sh", "rm x", "```", "```",
      "plain", "```", "## two", "```lua needs vlan", "print(a)", "```", "" }, "\n"))
    assert.equal("\n\nlocal a = 1\n\n\n\nprint(a)\n", program(found[1]))
    assert.equal("1\n", run(found[1]))
    assert.same({ "vlan" }, found[2].needs)
    found[2].needs = {}
    assert.equal("nil\n", run(found[2]))
  end)

  it("names the line of what fails", function()
    local found = first_section "# t\n\n## one\n\n```lua\nlocal a\nprint(a.b)\n```\n"
    local ok, err = pcall(run, found[2])
    assert.is_false(ok)
    assert.matches("README.md:7: attempt to index a nil value %(local 'a'%)", err.message or err)
  end)
end)
