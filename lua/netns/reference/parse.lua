--- Reads LDoc comments: from the text of a Lua file to blocks as plain data.
--
-- A block begins with a line of three dashes and goes on to the last comment line below it. What it says is
--
-- - `summary`, its first sentence, and `text`, all the words before the first tag
-- - `kind`: "module", "class" (tag @type), or "function"; `name`: as the tag says, nil where there is none
-- - `params`: a list of `{ name =, type =, opt =, default =, text = }`, `returns` the same without names,
--   `fields` (tag @tfield), `raises`, `usage` and `see`: lists of texts
-- - `local`: true where it is not part of the interface
-- - `first`, `last`: its lines; `code`: the line below it
-- @module netns.reference.parse
local parse = {}

-- "{string|number,...} argv words" -> the type, and the rest. Braces may hold spaces.
local function take_type(text)
  local kind = text:match "^%??%b{}%S*" or text:match "^%S+"
  return kind or "", (text:sub(#(kind or "") + 1):gsub("^%s+", ""))
end

local function take_name(text)
  local name, rest = text:match "^(%S+)%s*(.*)$"
  return name or "", rest or ""
end

-- "[opt=1]" -> true, "1"
local function option(modifier)
  local opt = modifier:match "^%[opt" ~= nil
  return opt or nil, modifier:match '^%[opt="?(.-)"?%]$'
end

local readers = {}

function readers.module(block, text)
  block.kind, block.name = "module", take_name(text)
end

function readers.type(block, text)
  block.kind, block.name = "class", take_name(text)
end

readers["function"] = function(block, text)
  block.name = take_name(text)
end

local function reader_of(list, typed, named)
  return function(block, text, modifier)
    local item = {}
    item.opt, item.default = option(modifier)
    item.type, item.text = "any", text
    if typed then
      item.type, item.text = take_type(text)
    end
    if named then
      item.name, item.text = take_name(item.text)
    end
    table.insert(block[list], item)
  end
end

readers.tparam, readers.param = reader_of("params", true, true), reader_of("params", false, true)
readers.treturn, readers["return"] = reader_of("returns", true), reader_of("returns", false)
readers.tfield = reader_of("fields", true, true)

readers["local"] = function(block)
  block["local"] = true
end

for _, tag in ipairs { "raise", "usage", "see" } do
  local list = tag == "raise" and "raises" or tag -- the others are called as they are written
  readers[tag] = function(block, text)
    table.insert(block[list], text)
  end
end

-- Text of a tag: lines joined by spaces, but those of an example as they are.
local function joined(tag, lines)
  if tag == "usage" then
    return (table.concat(lines, "\n"):gsub("^%s*\n", ""):gsub("%s+$", ""))
  end
  local text = table.concat(lines, "\n"):gsub("^%s+", ""):gsub("%s+$", "")
  return (text:gsub("%s*\n%s*", " "))
end

-- Leading spaces that all lines of an example but the first have are those of the comment.
local function outdented(lines)
  local least
  for i = 2, #lines do
    local indent = lines[i]:match "^(%s*)%S"
    least = indent and math.min(least or #indent, #indent) or least
  end
  for i = 2, #lines do
    lines[i] = lines[i]:sub((least or 0) + 1)
  end
  return lines
end

local function finish_tag(block, tag)
  if not tag then
    return
  end
  local read = readers[tag.name]
  if not read then
    block.unknown = block.unknown or tag.name
    return
  end
  read(block, joined(tag.name, tag.name == "usage" and outdented(tag.lines) or tag.lines), tag.modifier)
end

-- The lines of a block, dashes taken off, to the block.
local function block_of(lines)
  local block = { kind = "function", params = {}, returns = {}, fields = {}, raises = {}, usage = {}, see = {} }
  local words, tag = {}, nil
  for _, line in ipairs(lines) do
    local name, modifier, rest = line:match "^%s*@(%a+)(%b[])%s*(.*)$"
    if not name then
      name, rest = line:match "^%s*@(%a+)%s*(.*)$"
      modifier = ""
    end
    if name then
      finish_tag(block, tag)
      tag = { name = name, modifier = modifier, lines = { rest } }
    elseif tag then
      table.insert(tag.lines, line)
    else
      words[#words + 1] = line
    end
  end
  finish_tag(block, tag)
  block.text = table.concat(words, "\n"):gsub("^%s+", ""):gsub("%s+$", "")
  local flat = block.text:match "^(.-)\n%s*\n" or block.text
  flat = flat:gsub("%s*\n%s*", " ")
  block.summary = flat:match "^(.-[^.]%.)%s" or flat
  return block
end

--- The blocks of a Lua source, in order.
-- @tparam string text
-- @treturn {table,...}
function parse.text(text)
  local blocks, lines, number, first = {}, nil, 0, nil
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    local opening = line:match "^%s*%-%-%-%f[^-]%s?(.*)$"
    local further = line:match "^%s*%-%-%s?(.*)$"
    if not lines and opening then
      lines, first = { opening }, number
    elseif lines and further then
      lines[#lines + 1] = further
    elseif lines then
      local block = block_of(lines)
      block.first, block.last, block.code = first, number - 1, line
      blocks[#blocks + 1] = block
      lines = nil
    end
  end
  return blocks
end

--- The blocks of a file; none where it cannot be read or is not text.
-- @tparam string path
-- @treturn {table,...}
function parse.file(path)
  local file = io.open(path, "r")
  local text = file and file:read "a" or ""
  if file then
    file:close()
  end
  return text:sub(1, 1) == "\27" and {} or parse.text(text)
end

return parse
