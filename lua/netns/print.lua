--- How lists print: aligned columns, the way `ip -brief` shows things.
--
-- A list is plain data, a sequence of tables; only its metatable knows how to print it. Each noun
-- has the columns a person looks for; `netns.print.columns` may be changed, and
-- `netns.print.table(rows, columns)` prints any sequence of tables. On a terminal, or where the
-- environment has COLUMNS, lines are kept within the width: wide columns of text are shortened.
-- @module netns.print
local check = require "netns.check"
local core = require "netns.core"

local printing = {}

--- Columns of each noun, in iproute2's order; a column that no row has is left out.
printing.columns = {
  link = { "ifindex", "name", "type", "operstate", "mtu", "address", "master", "link", "qdisc", "alias" },
  addr = { "dev", "address", "peer", "broadcast", "scope", "label", "valid_lft", "tentative", "deprecated" },
  route = { "type", "dst", "via", "dev", "nexthops", "nhid", "src", "metric", "table", "proto", "scope", "mtu" },
  rule = { "priority", "family", "not", "from", "to", "iif", "oif", "fwmark", "ipproto", "sport", "dport",
    "l3mdev", "action", "goto", "table" },
  neigh = { "dst", "dev", "lladdr", "state", "router", "proxy" },
  fdb = { "lladdr", "dev", "vlan", "dst", "port", "vni", "via", "nhid", "master", "self", "state", "sticky",
    "extern_learn" },
  vlan = { "dev", "vid", "pvid", "untagged", "state", "tunnel_id", "stats" },
  xfrm_state = { "src", "dst", "proto", "spi", "mode", "reqid", "if_id", "mark", "replay_window", "esn", "encap",
    "sel" },
  xfrm_policy = { "src", "dst", "proto", "sport", "dport", "dev", "dir", "action", "priority", "if_id", "mark",
    "tmpl" },
  mdb = { "dev", "port", "grp", "src", "vid", "state", "filter_mode", "source_list", "proto", "timer" },
  nexthop = { "id", "group", "via", "dev", "blackhole", "proto", "scope" },
  qdisc = { "kind", "handle", "dev", "parent", "delay", "jitter", "loss", "loss_gemodel", "loss_state", "duplicate",
    "corrupt", "reorder", "rate", "bandwidth", "burst", "limit", "target", "default", "bands" },
  filter = { "kind", "dev", "block", "parent", "chain", "pref", "protocol", "handle", "match", "ip_proto", "src_ip",
    "dst_ip", "src_port", "dst_port", "classid", "actions" },
  class = { "kind", "classid", "dev", "parent", "leaf", "rate", "ceil", "burst", "prio", "quantum", "rt", "ls", "ul" },
}

-- What a column shows in most rows and is therefore not worth a column when all rows have it.
local usual = {
  route = { type = "unicast", table = "main", scope = "global" },
  rule = { action = "lookup" },
  addr = { valid_lft = "forever" },
  vlan = { state = "forwarding" },
  xfrm_policy = { action = "allow", priority = 0 },
  link = { qdisc = "noqueue" },
}

-- Keys of tables in a cell that come first, in this order; the others follow, sorted.
local first = { id = 1, via = 2, dev = 3, weight = 4 }

local GAP, NARROW, DEPTH = 2, 8, 4

local function sorted_keys(t)
  local keys = {}
  for key in next, t do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    local x, y = first[a] or 9, first[b] or 9
    if x ~= y then
      return x < y
    end
    return tostring(a) < tostring(b)
  end)
  return keys
end

-- One value in a cell: nested tables as "via 10.0.0.1 dev eth0, via ...".
local function cell(value, depth)
  if value == nil or value == false then
    return ""
  elseif value == true then
    return "yes"
  elseif type(value) ~= "table" then
    return (tostring(value):gsub("%c", "?"))
  elseif depth == 0 then
    return "..."
  end
  local parts, n = {}, rawlen(value)
  for i = 1, n do
    parts[i] = cell(rawget(value, i), depth - 1)
  end
  if n > 0 then
    return table.concat(parts, ", ")
  end
  for _, key in ipairs(sorted_keys(value)) do
    local inner = rawget(value, key)
    parts[#parts + 1] = inner == true and tostring(key) or tostring(key) .. " " .. cell(inner, depth - 1)
  end
  return table.concat(parts, " ")
end

local function field(row, column)
  return type(row) == "table" and rawget(row, column) or nil
end

-- Columns that some row has; without those that say the usual thing in every row.
local function shown_columns(rows, columns, boring)
  local shown = {}
  for _, column in ipairs(columns) do
    local telling = false
    for i = 1, rawlen(rows) do
      local value = field(rawget(rows, i), column)
      telling = telling or (value ~= nil and value ~= rawget(boring, column))
    end
    if telling then
      shown[#shown + 1] = column
    end
  end
  return shown
end

local function all_columns(rows)
  local seen = {}
  for i = 1, rawlen(rows) do
    local row = rawget(rows, i)
    for key in next, type(row) == "table" and row or {} do
      seen[key] = true
    end
  end
  return sorted_keys(seen)
end

local function width_of(text)
  return utf8.len(text) or #text
end

-- At most so many characters, the last of them "…" where something is missing.
local function shortened(text, width)
  if width_of(text) <= width then
    return text
  elseif not utf8.len(text) then
    return text:sub(1, width)
  end
  return text:sub(1, utf8.offset(text, width) - 1) .. "…"
end

-- Cells as text, a line of column names first; how wide the columns are, and which hold numbers only.
local function lay_out(rows, columns)
  local lines, widths, numeric = { {} }, {}, {}
  for c, column in ipairs(columns) do
    lines[1][c] = tostring(column)
    widths[c], numeric[c] = width_of(lines[1][c]), true
    for r = 1, rawlen(rows) do
      local value = field(rawget(rows, r), column)
      lines[r + 1] = lines[r + 1] or {}
      lines[r + 1][c] = cell(value, DEPTH)
      widths[c] = math.max(widths[c], width_of(lines[r + 1][c]))
      numeric[c] = numeric[c] and (value == nil or math.type(value) ~= nil)
    end
  end
  return lines, widths, numeric
end

-- Take from the widest columns of text until all fit, or none can give any more.
local function fit(widths, numeric, limit)
  local total = GAP * (#widths - 1)
  for _, width in ipairs(widths) do
    total = total + width
  end
  while total > limit do
    local widest
    for c, width in ipairs(widths) do
      if not numeric[c] and width > NARROW and (not widest or width > widths[widest]) then
        widest = c
      end
    end
    if not widest then
      return
    end
    widths[widest], total = widths[widest] - 1, total - 1
  end
end

-- Refuse what cannot be printed; the columns as a plain list.
local function checked_columns(rows, columns, boring)
  if type(rows) ~= "table" then
    check.refuse("print.table: rows must be a list of tables, got %s", check.show(rows))
  end
  for name, value in pairs { columns = columns or {}, boring = boring or {} } do
    if type(value) ~= "table" then
      check.refuse("print.table: %s must be a table, got %s", name, type(value))
    end
  end
  local plain = columns and {}
  for i = 1, rawlen(columns or {}) do
    plain[i] = rawget(columns, i)
    if type(plain[i]) ~= "string" then
      check.refuse("print.table: columns[%d] must be a key, got %s", i, type(plain[i]))
    end
  end
  return plain
end

local function render(rows, columns, boring, limit)
  columns = shown_columns(rows, columns or all_columns(rows), boring or {})
  local lines, widths, numeric = lay_out(rows, columns)
  fit(widths, numeric, limit)
  for i, line in ipairs(lines) do
    for c, text in ipairs(line) do
      text = shortened(text, widths[c])
      local fill = (" "):rep(widths[c] - width_of(text))
      line[c] = numeric[c] and fill .. text or text .. fill
    end
    lines[i] = shortened(table.concat(line, (" "):rep(GAP)):gsub("%s+$", ""), limit)
  end
  return table.concat(lines, "\n")
end

--- The width that lines are kept within: what COLUMNS says, else the terminal's at standard output.
-- @treturn ?integer nil where there is neither
-- @usage print(("-"):rep(netns.print.width() or 80))
function printing.width()
  local given = math.tointeger(tonumber(os.getenv "COLUMNS"))
  return given and given > 0 and given or core.terminal_width()
end

--- The rows as text: a head line, then a line each, columns aligned.
-- @tparam {table,...} rows plain tables
-- @tparam[opt] {string,...} columns keys to show, in order (default: all, sorted)
-- @tparam[opt] table boring values that are not worth a column when every row has them
-- @treturn string lines, without a last newline; "" where there are no rows
-- @usage print(netns.print.table(ns.link:list(), { "name", "mtu", "up" }))
function printing.table(rows, columns, boring)
  columns = checked_columns(rows, columns, boring)
  if rawlen(rows) == 0 then
    return ""
  end
  return render(rows, columns, boring, printing.width() or math.maxinteger)
end

function core.List.__tostring(list)
  local noun = getmetatable(list).noun
  return printing.table(list, printing.columns[noun], usual[noun])
end

return printing
