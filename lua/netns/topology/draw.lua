--- Pictures of a model: text, Graphviz and Mermaid.
-- @module netns.topology.draw
local check = require "netns.topology.check"
local ip = require "netns.topology.ip"

local draw = {}

local function addresses(iface)
  local list = {}
  for _, family in ipairs { 4, 6 } do
    if iface.addrs[family] then
      list[#list + 1] = ip.text(iface.addrs[family])
    end
  end
  return list
end

-- "delay 10ms, rate 50mbit"
local function impairments(link)
  local list = {}
  for _, key in ipairs(check.impairments) do
    local value = link.opts[key]
    if value ~= nil then
      list[#list + 1] = ("%s %s"):format(key, tostring(value))
    end
  end
  return table.concat(list, ", ")
end

local function is_down(state, link)
  return state and state.down[link] or false
end

-- Text: each node with its links below it -----------------------------------------------------------------------

local icons = { host = "( )", router = "(x)", switch = "[=]" }

local function text(m, state)
  local lines = { ("%s: %d nodes, %d links"):format(m.data.name or "topology", #m.nodes, #m.links), "" }
  local rows, widths = {}, { 0, 0, 0, 0 }
  for _, node in ipairs(m.nodes) do
    for i, iface in ipairs(node.ifaces) do
      local notes = impairments(iface.link)
      if is_down(state, iface.link) then
        notes = "DOWN" .. (notes ~= "" and ", " .. notes or "")
      end
      rows[#rows + 1] = {
        i == 1 and ("%s %s"):format(icons[node.kind], node.name) or "",
        iface.name,
        table.concat(addresses(iface), " "),
        ("-- %s:%s%s"):format(iface.peer.node.name, iface.peer.name,
          iface.link.tunnel and " on " .. iface.peer.node.host or ""),
        notes,
        first = i == 1,
      }
    end
    if #node.ifaces == 0 then
      rows[#rows + 1] = { ("%s %s"):format(icons[node.kind], node.name), "", "", "", "", first = true }
    end
  end
  for _, row in ipairs(rows) do
    for c = 1, 4 do
      widths[c] = math.max(widths[c], #row[c])
    end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for c = 1, 4 do
      cells[c] = row[c] .. (" "):rep(widths[c] - #row[c])
    end
    cells[5] = row[5]
    lines[#lines + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  return table.concat(lines, "\n")
end

-- Graphviz ---------------------------------------------------------------------------------------------------------

local function dot_quote(value)
  return '"' .. value:gsub("[\\\"]", "\\%0"):gsub("\n", "\\n") .. '"'
end

local shapes = { host = "box", router = "ellipse", switch = "box3d" }

local function dot(m, state)
  local lines = { "graph " .. dot_quote(m.data.name or "topology") .. " {", "  node [fontname=sans];",
    "  edge [fontname=sans, fontsize=10];" }
  for _, node in ipairs(m.nodes) do
    lines[#lines + 1] = ("  %s [shape=%s];"):format(dot_quote(node.name), shapes[node.kind])
  end
  for _, node in ipairs(m.remote or {}) do
    lines[#lines + 1] = ("  %s [shape=%s, style=dashed, label=%s];"):format(dot_quote(node.name), shapes[node.kind],
      dot_quote(("%s\non %s"):format(node.name, node.host)))
  end
  for _, link in ipairs(m.links) do
    local attributes = {
      "taillabel=" .. dot_quote(table.concat({ link.ia.name, table.unpack(addresses(link.ia)) }, "\n")),
      "headlabel=" .. dot_quote(table.concat({ link.ib.name, table.unpack(addresses(link.ib)) }, "\n")),
    }
    local notes = impairments(link)
    if is_down(state, link) then
      notes = notes == "" and "DOWN" or "DOWN, " .. notes
      attributes[#attributes + 1] = "style=dashed, color=red"
    end
    if notes ~= "" then
      attributes[#attributes + 1] = "label=" .. dot_quote(notes)
    end
    lines[#lines + 1] = ("  %s -- %s [%s];"):format(dot_quote(link.a.name), dot_quote(link.b.name),
      table.concat(attributes, ", "))
  end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n") .. "\n"
end

-- Mermaid ----------------------------------------------------------------------------------------------------------

local function mermaid_quote(value)
  value = value:gsub("&", "#amp;"):gsub('"', "#quot;"):gsub("<", "#lt;"):gsub(">", "#gt;")
  return '"' .. value:gsub("\n", "<br>") .. '"'
end

local brackets = { host = { "[", "]" }, router = { "([", "])" }, switch = { "[[", "]]" } }

local function mermaid(m, state)
  local lines = { "graph LR" }
  for _, node in ipairs(m.nodes) do
    local bracket = brackets[node.kind]
    lines[#lines + 1] = ("  n%d%s%s%s"):format(node.number, bracket[1], mermaid_quote(node.name), bracket[2])
  end
  for _, node in ipairs(m.remote or {}) do
    local bracket = brackets[node.kind]
    lines[#lines + 1] = ("  n%d%s%s%s"):format(node.number, bracket[1], mermaid_quote(("%s\non %s"):format(node.name,
      node.host)), bracket[2])
  end
  for _, link in ipairs(m.links) do
    local parts = {}
    for _, iface in ipairs { link.ia, link.ib } do
      local list = addresses(iface)
      if #list > 0 then
        parts[#parts + 1] = table.concat(list, "\n")
      end
    end
    local notes = impairments(link)
    if notes ~= "" then
      parts[#parts + 1] = notes
    end
    local arrow = "---"
    if is_down(state, link) then
      arrow = "-.-"
      parts[#parts + 1] = "DOWN"
    end
    local label = #parts > 0 and ("|%s|"):format(mermaid_quote(table.concat(parts, "\n"))) or ""
    lines[#lines + 1] = ("  n%d %s%s n%d"):format(link.a.number, arrow, label, link.b.number)
  end
  return table.concat(lines, "\n") .. "\n"
end

local formats = { text = text, dot = dot, mermaid = mermaid }

--- Draw a model.
-- @tparam table m
-- @tparam[opt="text"] string format "text", "dot" or "mermaid"
-- @tparam[opt] table state `down`: a set of links that are down
function draw.draw(m, format, state)
  local drawer = formats[format or "text"]
  if not drawer then
    error(('draw: the format must be "text", "dot" or "mermaid", got %s'):format(tostring(format)), 3)
  end
  return drawer(m, state)
end

return draw
