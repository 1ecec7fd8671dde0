--- Names and values of nft's text, checked and quoted, so that data cannot become code.
--
-- In nft's grammar a quoted string may stand wherever a symbol may (an address, a port, a service,
-- an interface), and nothing but a quotation mark ends it. So every string is quoted; names of
-- tables, chains, sets and objects may not be, and must look like names.
-- @module netns.nft.quote
local check = require "netns.check"

local quote = {}

--- The name of a table, chain, set or object, as it stands in nft's text.
-- @tparam string name
-- @tparam string what "table", "chain", for the message
function quote.name(name, what)
  if type(name) ~= "string" then
    check.refuse("the name of a %s must be a string, got %s", what, type(name))
  elseif not name:find "^[%a_.][%w_./\\-]*$" then
    check.refuse("%s is not the name of a %s: a name is letters, digits and _ . / \\ -, and begins with a letter, "
      .. "_ or .", check.show(name), what)
  elseif #name > 255 then
    check.refuse("the name of a %s has at most 255 bytes, %s has %d", what, check.show(name), #name)
  end
  return name
end

--- A string between quotation marks.
function quote.string(text, what)
  if type(text) ~= "string" then
    check.refuse("%s must be a string, got %s", what, type(text))
  elseif text:find '["\n\r%z]' then
    check.refuse("%s must not contain quotation marks, line breaks or NUL bytes, which nft cannot quote, got %s",
      what, check.show(text))
  end
  return '"' .. text .. '"'
end

--- A comment: nft takes at most 128 bytes.
function quote.comment(text)
  local quoted = quote.string(text, "a comment")
  if #text > 128 then
    check.refuse("a comment has at most 128 bytes, %s has %d", check.show(text), #text)
  end
  return quoted
end

--- The prefix of a log line: the kernel keeps 127 bytes, and libnftables 1.0.6 dies of more.
function quote.log_prefix(text)
  local quoted = quote.string(text, "a log prefix")
  if #text > 127 then
    check.refuse("a log prefix has at most 127 bytes, %s has %d", check.show(text), #text)
  end
  return quoted
end

--- One of a list of words.
function quote.word(word, words, what)
  for _, known in ipairs(words) do
    if word == known then
      return word
    end
  end
  check.refuse("%s must be one of %s, got %s", what, table.concat(words, ", "), check.show(word))
end

--- A keyword that is not known beforehand ("saddr", "ip saddr", "nd-router-advert").
function quote.keyword(word, what)
  if type(word) ~= "string" or not word:find "^[%a_][%w_%- ]*$" then
    check.refuse("%s must be a word of nft, got %s", what, check.show(word))
  end
  return word
end

--- An integer within limits.
function quote.integer(value, what, min, max)
  local n = math.type(value) == "integer" and value
    or (math.type(value) == "float" and math.tointeger(value)) or nil
  if not n or n < (min or math.mininteger) or n > (max or math.maxinteger) then
    if min and max then
      check.refuse("%s must be an integer from %d to %d, got %s", what, min, max, check.show(value))
    end
    check.refuse("%s must be an integer, got %s", what, check.show(value))
  end
  return ("%d"):format(n)
end

quote.families = { "ip", "ip6", "inet", "arp", "bridge", "netdev" }

function quote.family(family)
  return quote.word(family, quote.families, "family")
end

--- "ip" "filter" -> "ip filter"
function quote.table(family, name)
  return quote.family(family) .. " " .. quote.name(name, "table")
end

-- seconds, or text such as "1h30m"
function quote.time(value, what)
  if math.type(value) == "integer" and value >= 0 then
    return value .. "s"
  elseif type(value) == "string" and value:find "^[%ddhms]+$" and value:find "^%d" then
    return value:find "%a$" and value or value .. "s"
  end
  check.refuse("%s must be seconds or a time such as \"1h30m\", got %s", what, check.show(value))
end

--- A set of words, for quote.keys.
function quote.set(words)
  local set = {}
  for word in words:gmatch "%S+" do
    set[word] = true
  end
  return set
end

return quote
