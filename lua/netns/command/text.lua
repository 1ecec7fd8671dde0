--- Words of a command: how keys and values are spelled, and what a shell must see quoted.
-- @module netns.command.text
local text = {}

--- One word, quoted for a shell where that is needed.
-- @tparam string|number word
-- @treturn string
function text.quote(word)
  word = tostring(word)
  return word:match "^[%w_./:@%%+=,-]+$" and word or "'" .. word:gsub("'", [['\'']]) .. "'"
end

--- Words as a line.
-- @tparam {string|number,...} words
-- @treturn string
function text.line(words)
  local parts = {}
  for i, word in ipairs(words) do
    parts[i] = text.quote(word)
  end
  return table.concat(parts, " ")
end

--- Append words.
function text.put(words, ...)
  for i = 1, select("#", ...) do
    words[#words + 1] = (select(i, ...))
  end
end

-- How a key and its value are written.
local styles = {}

function styles.value(words, word, value)
  text.put(words, word, value)
end

function styles.flag(words, word, value)
  text.put(words, value and word or nil)
end

styles["no"] = function(words, word, value)
  text.put(words, value and word or "no" .. word)
end

function styles.onoff(words, word, value)
  text.put(words, word, value and "on" or "off")
end

function styles.bit(words, word, value)
  text.put(words, word, value == true and 1 or value == false and 0 or value)
end

function styles.bare(words, _, value)
  text.put(words, value)
end

-- iproute2 reads these as hexadecimal
function styles.hex(words, word, value)
  text.put(words, word, math.type(value) == "integer" and ("0x%x"):format(value) or value)
end

-- an inet6 gateway of an IPv4 route comes as "inet6 fd00::1"
function styles.split(words, word, value)
  text.put(words, word)
  for part in tostring(value):gmatch "%S+" do
    text.put(words, part)
  end
end

function styles.range(words, word, value)
  text.put(words, word, tostring(value):match "^(%d+)-(%d+)$")
end

function styles.list(words, word, value)
  text.put(words, word, type(value) == "table" and table.concat(value, ",") or value)
end

-- { [1] = 5 } or "1:5 3:2"
function styles.map(words, word, value)
  if type(value) ~= "table" then
    return styles.split(words, word, value)
  end
  local from = {}
  for key in pairs(value) do
    from[#from + 1] = key
  end
  table.sort(from)
  text.put(words, word)
  for _, key in ipairs(from) do
    text.put(words, ("%s:%s"):format(key, value[key]))
  end
end

--- Rows of "key style [word]" lines; the word is the key unless said.
-- @tparam string lines
-- @treturn {table,...} `{ key =, style =, word = }` each, also by key
function text.rows(lines)
  local rows = {}
  for key, style, word in lines:gmatch "%f[^%z\n]%s*(%S+)[ ]+(%S+)[ ]*([^%s]*)" do
    local row = { key = key, style = style, word = word ~= "" and word or key }
    rows[#rows + 1], rows[key] = row, row
  end
  return rows
end

--- Write one value as a row says.
function text.field(words, row, value)
  styles[row.style](words, row.word, value)
end

--- Write all that rows name, in their order.
-- @tparam {string|number,...} words
-- @tparam {table,...} rows
-- @tparam table args
function text.fields(words, rows, args)
  for _, row in ipairs(rows) do
    local value = args[row.key]
    if value ~= nil and row.style ~= "skip" then
      text.field(words, row, value)
    end
  end
end

--- A line with text for its standard input.
-- @tparam string line
-- @tparam string input
-- @treturn string
function text.with_input(line, input)
  local mark = "EOF"
  while ("\n" .. input .. "\n"):find("\n" .. mark .. "\n", 1, true) do
    mark = mark .. "_"
  end
  return ("%s <<'%s'\n%s%s"):format(line, mark, (input:gsub("\n?$", "\n", 1)), mark)
end

--- The keys of a kind's options, in the order that tc(8) understands.
-- @tparam table args
-- @tparam table common keys that are of no kind
-- @tparam table early ranks of keys that come before the others
-- @treturn {string,...}
function text.options(args, common, early)
  local keys = {}
  for key in pairs(args) do
    keys[#keys + 1] = not common[key] and key or nil
  end
  table.sort(keys, function(a, b)
    local x, y = early[a] or 9, early[b] or 9
    if x ~= y then
      return x < y
    end
    return a < b
  end)
  return keys
end

return text
