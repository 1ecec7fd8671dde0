--- The layers: who may include, require and call what. Read from the sources, so that a shortcut
-- across the layers is a failing test. The README's Design section says why the layers are these.
local sh = require "spec.support.sh"

local function files(dir, pattern)
  local found = {}
  for path in sh.run({ "find", dir, "-type", "f" }):gmatch "[^\n]+" do
    if path:find(pattern) then
      found[#found + 1] = path
    end
  end
  table.sort(found)
  return found
end

local function assert_none(found)
  if #found > 0 then
    error("\n  " .. table.concat(found, "\n  "), 2)
  end
end

-- The text without comments and, with bare, without what stands in quotes.
local function c_code(path, bare)
  local text = sh.read_file(path):gsub("/%*.-%*/", " "):gsub("//[^\n]*", "")
  return bare and text:gsub('\\"', ""):gsub('"[^"\n]*"', '""') or text
end

local function lua_code(path)
  return (sh.read_file(path):gsub("%-%-%[%[.-%]%]", ""):gsub("%-%-[^\n]*", ""))
end

-- C, from the bottom up: the first pattern that fits a file's name says its layer. A file that
-- none fits is a session, in pure C.
local c_layers = {
  { "^base%.", 0 },
  { "^error%.", 0 },
  { "^nsfd", 1 },
  { "^nft_worker%.c$", 2 },
  { "^codec", 3 },
  { "^attrs", 3 },
  { "^l_core%.h$", 3 }, -- helpers for everything that speaks Lua
  { "^l_util", 3 },
  { "^l_error", 3 },
  { "^l_", 4 },
  { "^core%.c$", 5 },
}
local SESSION, SPEAKS_LUA = 2, 3

local function c_layer(path)
  local name = path:match "[^/]*$"
  for _, row in ipairs(c_layers) do
    if name:find(row[1]) then
      return row[2]
    end
  end
  return SESSION
end

local function c_includes(path)
  local own, system = {}, {}
  for name in c_code(path):gmatch '#%s*include%s*"([^"]+)"' do
    own[#own + 1] = name
  end
  for name in c_code(path):gmatch "#%s*include%s*<([^>]+)>" do
    system[#system + 1] = name
  end
  return own, system
end

local lua_headers = { ["lua.h"] = true, ["lauxlib.h"] = true, ["lualib.h"] = true, ["luaconf.h"] = true }

describe("the C core", function()
  local sources = files("csrc", "%.[ch]$")

  it("is there", function()
    assert.is_true(#sources > 0)
  end)

  it("includes only the layer it stands on, and what is below", function()
    local found = {}
    for _, path in ipairs(sources) do
      for _, name in ipairs((c_includes(path))) do
        if c_layer(name) > c_layer(path) then
          found[#found + 1] = ("%s includes %s, of a higher layer"):format(path, name)
        end
      end
    end
    assert_none(found)
  end)

  it("knows Lua only in the bindings and the codec", function()
    local found = {}
    for _, path in ipairs(sources) do
      local _, system = c_includes(path)
      for _, name in ipairs(system) do
        if lua_headers[name] and c_layer(path) < SPEAKS_LUA then
          found[#found + 1] = ("%s includes <%s>"):format(path, name)
        end
      end
    end
    assert_none(found)
  end)

  it("compiles every file by itself", function()
    local found = {}
    for _, path in ipairs(sources) do
      for _, name in ipairs((c_includes(path))) do
        if name:find "%.c$" then
          found[#found + 1] = ("%s includes %s"):format(path, name)
        end
      end
    end
    assert_none(found)
  end)

  -- Calls, whose they are, and the rule.
  local nsfd, worker = "^nsfd", "^nft_worker%.c$"
  local reserved = {
    {
      { "setns", "unshare", "mount", "umount", "umount2", "move_mount", "open_tree", "fsmount", "pivot_root" },
      { nsfd },
      "only nsfd*.c changes namespaces and mounts",
    },
    { { "abort" }, { nsfd }, "only a thread that cannot return to its namespace aborts" },
    { { "fprintf", "perror", "dprintf" }, { nsfd, worker }, "only that thread and the worker print" },
    { { "exit", "printf", "puts", "err", "errx", "warn", "warnx" }, { worker }, "a library does not end the process" },
    { { "system", "popen", "setlocale", "umask" }, {}, "a guest leaves the process as it is" },
  }
  for _, row in ipairs(reserved) do
    local calls, owners, rule = table.unpack(row)
    local function owns(path)
      for _, owner in ipairs(owners) do
        if path:match("[^/]*$"):find(owner) then
          return true
        end
      end
    end
    it(rule, function()
      local found = {}
      for _, path in ipairs(sources) do
        local code = owns(path) and "" or c_code(path, true)
        for _, name in ipairs(calls) do
          if code:find("%f[%w_.>]" .. name .. "%s*%(") then
            found[#found + 1] = ("%s calls %s"):format(path, name)
          end
        end
      end
      assert_none(found)
    end)
  end

  it("opens every file with its licence and what it is for", function()
    local found = {}
    for _, path in ipairs(sources) do
      local text = sh.read_file(path)
      if not text:find "^/[/*][^\n]*SPDX%-License%-Identifier: MIT" then
        found[#found + 1] = path .. ": the first line is not its SPDX-License-Identifier"
      elseif not text:gsub("^[^\n]*\n", "", 1):find "^%s*/?[/*]*%s*%w" then
        found[#found + 1] = path .. ": no sentence below it says what the file is for"
      end
    end
    assert_none(found)
  end)
end)

describe("the Lua part", function()
  local sources = files("lua", "%.lua$")

  -- the public face, the topologies and CNI, the sugar on the objects, the C core
  local function lua_layer(module)
    if module == "netns" or module:find "^netns%.reference" or module:find "^netns%.repl" then
      return 3
    elseif module:find "^netns%.topology" or module:find "^netns%.cni" then
      return 2
    elseif module == "netns.core" then
      return 0
    end
    return 1
  end

  local function module_of(path)
    return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
  end

  local function requires(path)
    local found = {}
    for name in lua_code(path):gmatch "require%s*%(?%s*[\"']([%w_.]+)[\"']" do
      found[#found + 1] = name
    end
    return found
  end

  it("requires only the layer it stands on, and what is below", function()
    local found = {}
    for _, path in ipairs(sources) do
      for _, name in ipairs(requires(path)) do
        if name:find "^netns%f[.%z]" and lua_layer(name) > lua_layer(module_of(path)) then
          found[#found + 1] = ("%s requires %s, of a higher layer"):format(path, name)
        end
      end
    end
    assert_none(found)
  end)

  it("requires nothing that is not part of it", function()
    local found = {}
    for _, path in ipairs(sources) do
      for _, name in ipairs(requires(path)) do
        if not name:find "^netns%f[.%z]" then
          found[#found + 1] = ("%s requires %s"):format(path, name)
        end
      end
    end
    assert_none(found)
  end)

  it("sets no globals", function()
    for _, path in ipairs(sources) do
      local listing = sh.run { "luac5.4", "-l", "-p", path }
      assert.is_nil(listing:match "SETTABUP[^\n]*_ENV[^\n]*", path)
    end
  end)
end)

it("the top of the tree holds what it should, and nothing else", function()
  local allowed = {}
  for name in ("csrc lua spec rockspec examples Makefile README.md LICENSE CHANGELOG.md"):gmatch "%S+" do
    allowed[name] = true
  end
  local found = {}
  local git = "git -c safe.directory='*' ls-files --cached --others --exclude-standard"
  local listing = sh.run(git .. " | cut -d/ -f1 | sort -u")
  for name in listing:gmatch "[^\n]+" do
    if not allowed[name] and name:sub(1, 1) ~= "." then
      found[#found + 1] = name
    end
  end
  assert_none(found)
end)
