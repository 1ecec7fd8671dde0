--- Writes the reference to files: what `make docs` and `make install` do.
-- @module netns.reference.write
local version = require "netns.version"

local write = {}

local function put(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
end

local function put_all(dir, files)
  for path, text in pairs(files) do
    put(dir .. "/" .. path, text)
  end
end

--- HTML pages.
-- @tparam string dir a directory that is there
function write.pages(dir)
  put_all(dir, require("netns.reference.pages").files())
end

--- Definitions for editors, below a directory that is there and has a directory `netns`.
-- @tparam string dir
function write.definitions(dir)
  put_all(dir, require("netns.reference.luacats").files())
end

--- The manual page.
-- @tparam string path of the file
-- @tparam[opt=""] string date "2026-01-31"
function write.man(path, date)
  put(path, require("netns.reference.man").page(version, date or ""))
end

return write
