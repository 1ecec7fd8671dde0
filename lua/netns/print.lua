--- How lists print: aligned columns, the way `ip -brief` shows things.
--
-- A list is plain data, a sequence of tables; only its metatable knows how to print it. Each noun
-- has the columns a person looks for; `netns.print.columns` may be changed, and
-- `netns.print.table(rows, columns)` prints any sequence of tables.
-- @module netns.print
local core = require "netns.core"

local printing = {}

--- Columns of each noun, in order; a column that no row has is left out.
printing.columns = {
  link = { "ifindex", "name", "type", "operstate", "mtu", "address", "master", "link", "qdisc", "alias" },
  addr = { "dev", "address", "peer", "broadcast", "scope", "label", "valid_lft", "tentative", "deprecated" },
  route = { "type", "dst", "via", "dev", "nexthops", "nhid", "src", "metric", "table", "proto", "scope", "mtu" },
  rule = { "priority", "family", "not", "from", "to", "iif", "oif", "fwmark", "ipproto", "sport", "dport",
    "l3mdev", "action", "goto", "table" },
  neigh = { "dst", "dev", "lladdr", "state", "router", "proxy" },
  nexthop = { "id", "group", "via", "dev", "blackhole", "proto", "scope" },
}

-- What a column shows in most rows and is therefore not worth a column when all rows have it.
local usual = {
  route = { type = "unicast", table = "main", scope = "global" },
  rule = { action = "lookup" },
  addr = { valid_lft = "forever" },
  link = { qdisc = "noqueue" },
}

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  return keys
end

-- One value in a cell: nested tables as "via 10.0.0.1 dev eth0, via ...".
local function cell(value)
  if value == nil or value == false then
    return ""
  elseif value == true then
    return "yes"
  elseif type(value) ~= "table" then
    return (tostring(value):gsub("%c", "?"))
  end
  local parts = {}
  if #value > 0 then
    for i, item in ipairs(value) do
      parts[i] = cell(item)
    end
    return table.concat(parts, ", ")
  end
  for _, key in ipairs(sorted_keys(value)) do
    parts[#parts + 1] = key .. " " .. cell(value[key])
  end
  return table.concat(parts, " ")
end

-- Columns that some row has; without those that say the usual thing in every row.
local function shown_columns(rows, columns, boring)
  local shown = {}
  for _, column in ipairs(columns) do
    local present, telling = false, false
    for _, row in ipairs(rows) do
      present = present or row[column] ~= nil
      telling = telling or (row[column] ~= nil and row[column] ~= boring[column])
    end
    if present and telling then
      shown[#shown + 1] = column
    end
  end
  return shown
end

local function all_columns(rows)
  local seen = {}
  for _, row in ipairs(rows) do
    for key in pairs(row) do
      seen[key] = true
    end
  end
  return sorted_keys(seen)
end

--- The rows as text: a head line, then a line each, columns aligned.
-- @tparam {table,...} rows plain tables
-- @tparam[opt] {string,...} columns keys to show, in order (default: all, sorted)
-- @tparam[opt] table boring values that are not worth a column when every row has them
-- @treturn string lines, without a last newline; "" where there are no rows
-- @usage print(netns.print.table(ns.link:list(), { "name", "mtu", "up" }))
function printing.table(rows, columns, boring)
  if #rows == 0 then
    return ""
  end
  columns = shown_columns(rows, columns or all_columns(rows), boring or {})
  local lines, widths, numeric = { {} }, {}, {}
  for c, column in ipairs(columns) do
    lines[1][c], widths[c], numeric[c] = column, #column, true
    for r, row in ipairs(rows) do
      local text = cell(row[column])
      lines[r + 1] = lines[r + 1] or {}
      lines[r + 1][c] = text
      widths[c] = math.max(widths[c], utf8.len(text) or #text)
      numeric[c] = numeric[c] and (row[column] == nil or math.type(row[column]) ~= nil)
    end
  end
  for i, line in ipairs(lines) do
    for c, text in ipairs(line) do
      local fill = (" "):rep(widths[c] - (utf8.len(text) or #text))
      line[c] = numeric[c] and fill .. text or text .. fill
    end
    lines[i] = table.concat(line, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

function core.List.__tostring(list)
  local noun = getmetatable(list).noun
  return printing.table(list, printing.columns[noun], usual[noun])
end

return printing
