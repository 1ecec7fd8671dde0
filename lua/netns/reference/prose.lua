--- The words of comments: paragraphs, lists and code, taken apart and set for a reader.
-- @module netns.reference.prose
local prose = {}

local function is_item(line)
  return line:match "^(%s*)[-*] +(.*)$"
end

-- Add a line to the paragraph or item that is open, or open one.
local function take(blocks, line, open)
  local indent, rest = is_item(line)
  if indent then
    open = { kind = "item", depth = #indent // 2, text = rest }
    blocks[#blocks + 1] = open
  elseif open and open.kind ~= "code" then
    open.text = open.text .. " " .. line:gsub("^%s+", "")
  else
    open = { kind = "para", text = (line:gsub("^%s+", "")) }
    blocks[#blocks + 1] = open
  end
  return open
end

--- The text of a comment as blocks.
-- @tparam string text
-- @treturn {table,...} `{ kind = "para" | "item" | "code", text =, depth = }` each
function prose.blocks(text)
  local blocks, open = {}, nil
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    if not line:find "%S" then
      if open and open.kind == "code" then
        open.text = open.text .. "\n"
      else
        open = nil
      end
    elseif line:find "^   +%S" and (not open or open.kind == "code") and not is_item(line) then
      local code = line:sub(4)
      if open then
        open.text = open.text .. "\n" .. code
      else
        open = { kind = "code", text = code }
        blocks[#blocks + 1] = open
      end
    else
      open = take(blocks, line, open and open.kind ~= "code" and open or nil)
    end
  end
  for _, block in ipairs(blocks) do
    block.text = block.text:gsub("%s+$", "")
  end
  return blocks
end

local function length(text)
  return utf8.len(text) or #text
end

--- Lines of at most so many characters, where words allow.
-- @tparam string text
-- @tparam integer width
-- @tparam[opt=""] string first what stands before the first line
-- @tparam[opt=""] string further what stands before the others
-- @treturn {string,...}
function prose.wrap(text, width, first, further)
  local lines, line, empty = {}, first or "", true
  for word in text:gmatch "%S+" do
    if not empty and length(line) + 1 + length(word) > width then
      lines[#lines + 1], line, empty = line, further or "", true
    end
    line, empty = line .. (empty and "" or " ") .. word, false
  end
  lines[#lines + 1] = line:gsub("%s+$", "")
  return lines
end

--- A comment's text, set as plain text.
-- @tparam string text
-- @tparam integer width
-- @tparam[opt=""] string indent before every line
-- @treturn {string,...}
function prose.plain(text, width, indent)
  local out, last = {}, nil
  indent = indent or ""
  for _, block in ipairs(prose.blocks(text)) do
    if last and not (last == "item" and block.kind == "item") then
      out[#out + 1] = ""
    end
    local words = block.text:gsub("%*%*(.-)%*%*", "%1")
    if block.kind == "code" then
      for line in (words .. "\n"):gmatch "([^\n]*)\n" do
        out[#out + 1] = indent .. "  " .. line
      end
    else
      local inner = indent .. ("  "):rep(block.depth or 0)
      local item = block.kind == "item"
      for _, line in ipairs(prose.wrap(words, width, inner .. (item and "- " or ""), inner .. (item and "  " or ""))) do
        out[#out + 1] = line
      end
    end
    last = block.kind
  end
  return out
end

return prose
