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

return plain
