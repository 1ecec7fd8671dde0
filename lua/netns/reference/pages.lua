--- The reference as pages to read: HTML without scripts, one file for each module, class and noun.
-- @module netns.reference.pages
local keys = require "netns.reference.keys"
local prose = require "netns.reference.prose"
local reference = require "netns.reference"

local pages = {}

local style = [[
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
code, pre { font-family: monospace; background: #f4f4f4 }
pre { padding: .6em 1em; overflow-x: auto }
h2, h3 { margin-top: 2em; border-top: 1px solid #ddd; padding-top: .5em }
table { border-collapse: collapse }
td, th { text-align: left; vertical-align: top; padding: .2em 1em .2em 0 }
nav { font-size: 90% }
]]

local escapes = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function escape(text)
  return (text:gsub('[&<>"]', escapes))
end

-- Words with `code` and **strong**.
local function inline(text)
  local out = escape(text):gsub("`([^`]+)`", "<code>%1</code>"):gsub("%*%*(.-)%*%*", "<strong>%1</strong>")
  return out
end

local function put(out, format, ...)
  out[#out + 1] = select("#", ...) > 0 and format:format(...) or format
end

local function put_prose(out, text)
  local in_list = false
  for _, block in ipairs(prose.blocks(text)) do
    if in_list and block.kind ~= "item" then
      put(out, "</ul>")
    elseif block.kind == "item" and not in_list then
      put(out, "<ul>")
    end
    in_list = block.kind == "item"
    if in_list then
      put(out, "<li>%s</li>", inline(block.text))
    elseif block.kind == "code" then
      put(out, "<pre>%s</pre>", escape(block.text))
    else
      put(out, "<p>%s</p>", inline(block.text))
    end
  end
  if in_list then
    put(out, "</ul>")
  end
end

local function put_table(out, rows)
  if #rows == 0 then
    return
  end
  put(out, "<table>")
  for _, row in ipairs(rows) do
    put(out, "<tr><th>%s</th><td>%s</td><td>%s</td></tr>", escape(row[1]), escape(row[2]), inline(row[3]))
  end
  put(out, "</table>")
end

local function put_usage(out, doc)
  for _, usage in ipairs(doc.usage) do
    put(out, "<pre>%s</pre>", escape(usage))
  end
end

local function kind_of(item)
  return item.type .. (item.default and " = " .. item.default or item.opt and ", optional" or "")
end

local function put_entry(out, entry)
  local doc = entry.doc
  put(out, '<h3 id="%s"><code>%s</code></h3>', escape(entry.key), escape(reference.signature(entry)))
  if #entry.aliases > 0 then
    put(out, "<p>Also <code>%s</code>.</p>", escape(table.concat(entry.aliases, ", ")))
  end
  put_prose(out, doc.text)
  local rows = {}
  for _, p in ipairs(doc.params) do
    rows[#rows + 1] = { p.name, kind_of(p), p.text }
  end
  for _, r in ipairs(doc.returns) do
    rows[#rows + 1] = { "returns", kind_of(r), r.text }
  end
  for _, text in ipairs(doc.raises) do
    rows[#rows + 1] = { "raises", "", text }
  end
  put_table(out, rows)
  put_usage(out, doc)
end

local function page(title, body)
  return ([[<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>%s</title><style>
%s</style></head>
<body>
<nav><a href="index.html">lua-netns</a></nav>
<h1>%s</h1>
%s
</body>
</html>
]]):format(escape(title), style, escape(title), table.concat(body, "\n"))
end

local function file_of(name)
  return name:gsub("[^%w]", "_") .. ".html"
end

local function owner_page(owner)
  local out = {}
  put_prose(out, owner.doc.text)
  local rows = {}
  for _, field in ipairs(owner.doc.fields) do
    rows[#rows + 1] = { field.name, field.type, field.text }
  end
  if #rows > 0 then
    put(out, "<h2>Fields</h2>")
    put_table(out, rows)
  end
  if owner.parent then
    put(out, '<p>And all of <a href="%s">%s</a>.</p>', file_of(owner.parent), owner.parent)
  end
  put_usage(out, owner.doc)
  for _, entry in ipairs(owner.entries) do
    put_entry(out, entry)
  end
  return page(owner.kind == "class" and owner.tag or owner.require, out)
end

local function put_keys(out, name)
  local rows = {}
  for _, key in ipairs(keys.of(name)) do
    rows[#rows + 1] = { key.name, "", keys.words(key) }
  end
  put_table(out, rows)
end

local function keys_page(name)
  local out = {}
  put_keys(out, name)
  return page("Keys of " .. name, out)
end

local function noun_page(noun)
  local out = {}
  put(out, "<p>%s</p>", inline(keys.about(noun)))
  put_keys(out, keys.table_of(noun))
  for _, inner in ipairs(keys.nested(noun)) do
    put(out, '<p><a href="%s">%s</a></p>', file_of("keys " .. inner), escape(inner))
  end
  return page("Noun " .. noun, out)
end

local function put_links(out, title, links)
  put(out, "<h2>%s</h2>", title)
  put(out, "<table>")
  for _, link in ipairs(links) do
    put(out, '<tr><th><a href="%s">%s</a></th><td>%s</td></tr>', link[1], escape(link[2]), inline(link[3]))
  end
  put(out, "</table>")
end

local function index_page(intro)
  local book, out = reference.book(), {}
  put_prose(out, intro)
  for _, part in ipairs { { "module", "Modules" }, { "class", "Classes" } } do
    local links = {}
    for _, owner in ipairs(book.owners) do
      if owner.kind == part[1] then
        links[#links + 1] = { file_of(owner.name), owner.require or owner.name, owner.doc.summary }
      end
    end
    put_links(out, part[2], links)
  end
  local links = {}
  for _, noun in ipairs(keys.nouns()) do
    links[#links + 1] = { file_of("noun " .. noun), noun, keys.about(noun) }
  end
  put_links(out, "Nouns and their keys", links)
  links = {}
  for name, block in pairs(book.topics) do
    links[#links + 1] = { file_of("topic " .. name), name, block.summary }
  end
  table.sort(links, function(a, b)
    return a[2] < b[2]
  end)
  put_links(out, "Further texts", links)
  return page("lua-netns", out)
end

--- The pages.
-- @treturn table texts by file name
function pages.files()
  local book = reference.book()
  local files = { ["index.html"] = index_page(book.by_owner.netns.doc.text) }
  for _, owner in ipairs(book.owners) do
    files[file_of(owner.name)] = owner_page(owner)
  end
  for _, noun in ipairs(keys.nouns()) do
    files[file_of("noun " .. noun)] = noun_page(noun)
  end
  for _, name in ipairs(keys.tables()) do
    files[file_of("keys " .. name)] = keys_page(name)
  end
  for name, block in pairs(book.topics) do
    local out = {}
    put_prose(out, block.text)
    files[file_of("topic " .. name)] = page(name, out)
  end
  return files
end

return pages
