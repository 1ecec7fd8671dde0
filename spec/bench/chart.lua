--- Charts of benchmarks as SVG, readable on light and dark backgrounds.
local bench = require "spec.bench.bench"

local chart = {}

local WIDTH, LEFT, RIGHT = 900, 300, 110
local colours = { "#2b6cb0", "#38a169", "#d69e2e", "#c05621", "#805ad5", "#718096", "#b83280" }

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function text(x, y, words, attributes)
  return ('<text x="%.1f" y="%.1f" %s>%s</text>'):format(x, y, attributes or "", escape(words))
end

local function page(height, title, body)
  return table.concat({
    ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" '
      .. 'fill="#718096">'):format(WIDTH, height),
    "<title>" .. escape(title) .. "</title>",
    text(10, 20, title, 'font-size="15"'),
    table.concat(body, "\n"),
    "</svg>\n",
  }, "\n")
end

-- Whole powers of ten around all values, and where a value stands between them, 0 to 1.
local function logarithmic(values)
  local low, high = math.huge, -math.huge
  for _, value in ipairs(values) do
    low, high = math.min(low, value), math.max(high, value)
  end
  low, high = math.floor(math.log(low, 10)), math.ceil(math.log(high, 10))
  high = math.max(high, low + 1)
  return function(value)
    return (math.log(value, 10) - low) / (high - low)
  end, low, high
end

local function rows_of(results)
  local rows, values = {}, {}
  for _, result in ipairs(results) do
    if result.unit ~= "B" then
      rows[#rows + 1] = { title = result.name }
      for i, row in ipairs(result) do
        if row.median and row.median > 0 then
          rows[#rows + 1] = { name = row.name, value = row.median, first = i == 1, ratio = row.ratio }
          values[#values + 1] = row.median
        end
      end
    end
  end
  return rows, values
end

--- Bars for every work, one for each contender; the scale is logarithmic.
-- @tparam {table,...} results as bench.run gives them
-- @tparam string title
-- @treturn string
function chart.bars(results, title)
  local rows, values = rows_of(results)
  local place, low, high = logarithmic(values)
  local body, y, span = {}, 40, WIDTH - LEFT - RIGHT
  for power = low, high do
    local x = LEFT + span * (power - low) / (high - low)
    body[#body + 1] = ('<line x1="%.1f" y1="30" x2="%.1f" y2="%d" stroke="#a0aec0" stroke-width="0.5"/>'):format(
      x, x, 44 + 16 * #rows)
    body[#body + 1] = text(x, 58 + 16 * #rows, bench.seconds(10.0 ^ power), 'text-anchor="middle" font-size="10"')
  end
  for _, row in ipairs(rows) do
    y = y + 16
    if row.title then
      body[#body + 1] = text(10, y - 4, row.title, 'font-weight="bold"')
    else
      local length = math.max(1, span * place(row.value))
      body[#body + 1] = text(LEFT - 6, y - 4, row.name, 'text-anchor="end"')
      body[#body + 1] = ('<rect x="%d" y="%d" width="%.1f" height="11" fill="%s"/>'):format(LEFT, y - 13, length,
        row.first and colours[1] or colours[6])
      body[#body + 1] = text(LEFT + length + 5, y - 4,
        row.first and bench.seconds(row.value) or ("%s, %.3g x"):format(bench.seconds(row.value), row.ratio))
    end
  end
  return page(70 + 16 * #rows, title, body)
end

--- Lines over a size, both scales logarithmic.
-- @tparam {table,...} series `{ name =, { size, seconds }, ... }` each
-- @tparam string title
-- @treturn string
function chart.lines(series, title)
  local sizes, values = {}, {}
  for _, one in ipairs(series) do
    for _, point in ipairs(one) do
      sizes[#sizes + 1], values[#values + 1] = point[1], point[2]
    end
  end
  local across, x_low, x_high = logarithmic(sizes)
  local up, y_low, y_high = logarithmic(values)
  local left, top, width, height = 80, 40, WIDTH - 260, 300
  local body = {}
  local function line(x1, y1, x2, y2)
    body[#body + 1] = ('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#a0aec0" stroke-width="0.5"/>'):format(
      x1, y1, x2, y2)
  end
  for power = x_low, x_high do
    local x = left + width * (power - x_low) / (x_high - x_low)
    line(x, top, x, top + height)
    body[#body + 1] = text(x, top + height + 16, ("%.0f"):format(10.0 ^ power), 'text-anchor="middle"')
  end
  for power = y_low, y_high do
    local y = top + height * (1 - (power - y_low) / (y_high - y_low))
    line(left, y, left + width, y)
    body[#body + 1] = text(left - 6, y + 4, bench.seconds(10.0 ^ power), 'text-anchor="end"')
  end
  for i, one in ipairs(series) do
    local points = {}
    for n, point in ipairs(one) do
      points[n] = ("%.1f,%.1f"):format(left + width * across(point[1]), top + height * (1 - up(point[2])))
    end
    local colour = colours[(i - 1) % #colours + 1]
    body[#body + 1] = ('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>'):format(
      table.concat(points, " "), colour)
    body[#body + 1] = text(left + width + 10, top + 14 + 18 * i, one.name, ('fill="%s"'):format(colour))
  end
  return page(top + height + 30, title, body)
end

return chart
