--- How far apart two words are, for hints such as `did you mean "address"?`.
-- @module netns.spelling
local spelling = {}

--- The edits (letters put in, left out or exchanged) that make b of a.
-- @tparam string a
-- @tparam string b
-- @treturn integer
function spelling.distance(a, b)
  local row = {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local corner = row[0]
    row[0] = i
    for j = 1, #b do
      local best = corner + (a:byte(i) == b:byte(j) and 0 or 1)
      corner = row[j]
      row[j] = math.min(best, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

return spelling
