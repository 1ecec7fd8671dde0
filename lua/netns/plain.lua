--- Plain data: tables of strings, numbers, booleans and such tables.
-- @module netns.plain
local plain = {}

--- Do two values say the same, tables key by key?
function plain.equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not plain.equal(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

--- A table's entries as a table of their own, with changes.
-- @tparam table t
-- @tparam[opt] table changes entries that take the place of t's, or come to them
-- @treturn table
function plain.copy(t, changes)
  local result = {}
  for key, value in pairs(t) do
    result[key] = value
  end
  for key, value in pairs(changes or {}) do
    result[key] = value
  end
  return result
end

return plain
