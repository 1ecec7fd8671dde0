--- Talking to the firewall worker: texts in, data out, and nft's messages as errors.
-- @module netns.nft.session
local core = require "netns.core"

local session = {}

-- "FILE:LINE:COLUMN-COLUMN: Error: MESSAGE", then perhaps the line and what underlines it
local function parse_messages(text)
  local found, current = {}, nil
  for line in text:gmatch "([^\n]*)\n?" do
    local file, number, from, to, message = line:match "^(.-):(%d+):(%d+)%-(%d+): Error: (.*)$"
    if not file then
      local where, plain = line:match "^(%S-):? ?Error: (.*)$"
      if plain then
        file, message = where, plain
      end
    end
    if message then
      current = { message = message, file = file, lines = {} }
      if number and number ~= "0" then
        current.line, current.column, current.column_end = tonumber(number), tonumber(from), tonumber(to)
      end
      found[#found + 1] = current
    elseif current and line ~= "" then
      current.lines[#current.lines + 1] = line
    end
  end
  return found
end

-- What is said of the first message, for people: "line 2, columns 5-9: ...", the line, the marks.
local function readable(m)
  local parts = {}
  if m.line then
    local columns = m.column_end > m.column and ("columns %d-%d"):format(m.column, m.column_end)
      or ("column %d"):format(m.column)
    local file = m.file and m.file ~= session.text_file and m.file ~= "" and m.file .. ", " or ""
    parts[1] = ("%sline %d, %s: %s"):format(file, m.line, columns, m.message)
  else
    parts[1] = m.message
  end
  for _, line in ipairs(m.lines) do
    parts[#parts + 1] = "  " .. line
  end
  return table.concat(parts, "\n")
end

--- How the worker's messages name the text it was given.
session.text_file = "/proc/self/fd/10"

--- The netns.Error for nft's messages.
-- Its fields: `code`, `errno` and `message` of the errno that nft names (EINVAL where it names
-- none, for a text it does not understand), `kernel` (what nft said, with the line and what
-- underlines it), `line`, `column`, `column_end`, `source` (the line), `offending` (its part that
-- is underlined), and `messages`, all of them.
function session.error(ns, op, text)
  local messages = parse_messages(text)
  local first = messages[1] or { message = text:gsub("%s+$", ""), lines = {} }
  local errno, code, words = core.nft_errno(first.message)
  if not errno then
    errno, code, words = core.nft_errno "Invalid argument"
  end
  local source = first.lines[1]
  if code == "EMSGSIZE" then
    first.lines[#first.lines + 1] = "(a transaction is one netlink message, and without CAP_NET_ADMIN in the first "
      .. "user namespace sysctl net.core.wmem_max limits its size: raise that, or make it in parts)"
  end
  return setmetatable({
    op = op,
    netns = tostring(ns),
    code = code,
    errno = errno,
    message = words,
    kernel = readable(first),
    nft = first.message,
    line = first.line,
    column = first.column,
    column_end = first.column_end,
    source = source,
    offending = source and first.column and source:sub(first.column, first.column_end),
    messages = messages,
  }, core.Error)
end

--- Run commands.
-- @tparam Namespace ns
-- @tparam string text
-- @tparam table opts core.nft_run's
-- @tparam[opt="nft run"] string op for the error
-- @return what was printed: a list of JSON documents with opts.json, text otherwise
-- @treturn boolean true where the echo asked for could not be had
-- @treturn ?{table,...} with opts.events, the events of the commit; nil where some were lost
-- @raise netns.Error
function session.run(ns, text, opts, op)
  local ok, answer, messages, no_echo, events = core.nft_run(ns, text, opts)
  if not ok then
    error(session.error(ns, op or "nft run", messages), 0)
  end
  return answer, no_echo, events
end

--- All tables, chains, sets and flowtables as nf_tables tells them.
-- @tparam Namespace ns
-- @treturn {table,...} each with `kind`, `family`, `table`, `name`, `handle` ...
function session.dump(ns)
  local _, _, state = session.run(ns, "", { dump = true }, "nft list")
  return state or session.unknown(ns)
end

--- The error that says that nf_tables did not tell all.
function session.unknown(ns)
  local errno, code, words = core.nft_errno "Interrupted system call"
  error(setmetatable({ op = "nft list", netns = tostring(ns), code = code, errno = errno, message = words,
    kernel = "the ruleset changed all the time while it was read" }, core.Error), 0)
end

--- The objects of JSON documents, flat, without metainfo; what was deleted apart; texts apart.
-- @treturn table a list of { table = {...} }, { rule = {...} } ...; `text` holds what was printed
--   as text
-- @treturn table those of them that were created
function session.flatten(documents)
  local list, created = {}, {}
  for _, document in ipairs(documents) do
    if type(document) == "string" then
      list.text = (list.text or "") .. document
    else
      for _, entry in ipairs(document.nftables) do
        local object = entry.add or entry.insert or entry
        if not entry.metainfo and not entry.delete then
          list[#list + 1] = object
          if object ~= entry then
            created[#created + 1] = object
          end
        end
      end
    end
  end
  return list, created
end

return session
