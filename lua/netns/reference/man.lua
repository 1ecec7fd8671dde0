--- The reference as a manual page: netns(3lua).
-- @module netns.reference.man
local keys = require "netns.reference.keys"
local prose = require "netns.reference.prose"
local reference = require "netns.reference"

local man = {}

-- Text as roff takes it: backslashes, and lines that begin with a dot or an apostrophe.
local function plain(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^([.'])", "\\&%1"):gsub("\n([.'])", "\n\\&%1"))
end

-- Words with `code` in bold.
local function inline(text)
  return (plain(text):gsub("`([^`]+)`", "\\fB%1\\fR"):gsub("%*%*(.-)%*%*", "\\fB%1\\fR"))
end

local function put(out, ...)
  for _, line in ipairs { ... } do
    out[#out + 1] = line
  end
end

-- Words in lines of a usual length.
local function put_words(out, text)
  for _, line in ipairs(prose.wrap(inline(text), 79)) do
    out[#out + 1] = line:gsub("^([.'])", "\\&%1")
  end
end

local function put_code(out, text)
  put(out, ".PP", ".RS 4", ".nf", plain(text), ".fi", ".RE")
end

local function put_prose(out, text, first)
  for i, block in ipairs(prose.blocks(text)) do
    if block.kind == "code" then
      put_code(out, block.text)
    elseif block.kind == "item" then
      put(out, ".IP \\(bu 2")
      put_words(out, block.text)
    else
      if not (first and i == 1) then
        put(out, ".PP")
      end
      put_words(out, block.text)
    end
  end
end

local function put_rows(out, rows)
  for _, row in ipairs(rows) do
    put(out, ".TP", "\\fB" .. plain(row[1]) .. "\\fR")
    put_words(out, row[2] ~= "" and row[2] or "\\&")
  end
end

local function typed(item)
  return ("(%s%s) %s"):format(item.type, item.default and ", default " .. item.default or item.opt and ", optional"
    or "", item.text)
end

local function put_entry(out, entry)
  local doc, rows = entry.doc, {}
  put(out, ".SS " .. plain('"' .. reference.signature(entry) .. '"'))
  put_prose(out, doc.text, true)
  for _, p in ipairs(doc.params) do
    rows[#rows + 1] = { p.name, typed(p) }
  end
  for _, r in ipairs(doc.returns) do
    rows[#rows + 1] = { "returns", typed(r) }
  end
  for _, text in ipairs(doc.raises) do
    rows[#rows + 1] = { "raises", text }
  end
  put_rows(out, rows)
  for _, usage in ipairs(doc.usage) do
    put_code(out, usage)
  end
end

local function put_owner(out, owner)
  put(out, ".SH " .. plain('"' .. (owner.kind == "class" and owner.name or "MODULE " .. owner.require):upper() .. '"'))
  put_prose(out, owner.doc.text, true)
  local rows = {}
  for _, field in ipairs(owner.doc.fields) do
    rows[#rows + 1] = { field.name, typed(field) }
  end
  put_rows(out, rows)
  for _, entry in ipairs(owner.entries) do
    put_entry(out, entry)
  end
end

local function put_keys(out, title, about, name)
  put(out, ".SS " .. plain('"' .. title .. '"'))
  put_words(out, about)
  local rows = {}
  for _, key in ipairs(keys.of(name)) do
    rows[#rows + 1] = { key.name, keys.words(key) }
  end
  put_rows(out, rows)
end

--- The page.
-- @tparam string version
-- @tparam string date "2026-01-31"
-- @treturn string roff
function man.page(version, date)
  local book = reference.book()
  local out = { ('.TH NETNS 3lua "%s" "lua\\-netns %s" "Lua modules"'):format(date, plain(version)),
    ".SH NAME", "netns \\- Linux network namespaces as Lua objects", ".SH SYNOPSIS", ".nf",
    "local netns = require \\(dqnetns\\(dq", "local ns <close> = netns.new()", ".fi", ".SH DESCRIPTION" }
  put_prose(out, book.by_owner.netns.doc.text, true)
  put(out, ".PP", "In the REPL, \\fBnetns.help(x)\\fR shows the same.")
  for _, owner in ipairs(book.owners) do
    put_owner(out, owner)
  end
  put(out, ".SH KEYS", "What the nouns of a namespace take and list.")
  for _, noun in ipairs(keys.nouns()) do
    put_keys(out, noun, keys.about(noun), keys.table_of(noun))
    for _, inner in ipairs(keys.nested(noun)) do
      put_keys(out, noun .. ": " .. inner, "Keys of its own:", inner)
    end
  end
  put(out, ".SH FILES", ".TP", "\\fI/run/netns\\fR", "named namespaces, shared with ip\\-netns(8)",
    ".TP", "\\fI/run/lua\\-netns\\fR", "records of named labs")
  put(out, ".SH SEE ALSO", ".BR lua (1),", ".BR ip (8),", ".BR ip\\-netns (8),", ".BR tc (8),", ".BR nft (8),",
    ".BR network_namespaces (7)")
  return table.concat(out, "\n") .. "\n"
end

return man
