--- Writes to nftables: one at a time, or collected by a transaction.
--
-- Every write of the objects is an op: a table with `text` (commands), `op` and `object` (for the
-- error), and perhaps `rule`, the Rule whose handle the answer will tell. Outside of a transaction
-- an op is sent at once; inside, it waits for the end.
-- @module netns.nft.commit
local core = require "netns.core"
local session = require "netns.nft.session"

local commit = {}

local BIG_TEXT = 32 * 1024

local states = setmetatable({}, { __mode = "v" }) -- by inode; a state lives as long as an ns.nft

--- What is known of a namespace: the tables made here, running transactions.
function commit.state(ns)
  local state = states[ns.inode]
  if not state or state.ns ~= ns then
    state = { ns = ns, made = {}, transactions = setmetatable({}, { __mode = "k" }) }
    states[ns.inode] = state
  end
  return state
end

local function table_key(family, name)
  return family .. " " .. name
end

-- Tables of the kernel, by "family name", with their handles.
function commit.tables(ns)
  local found = {}
  for _, t in ipairs(core.nft_dump(ns, "table")) do
    found[table_key(t.family, t.name)] = t
  end
  return found
end

-- Give the rules their handles, in the order in which they were sent.
local function tell_handles(ops, entries)
  local at = 1
  for _, op in ipairs(ops) do
    local rule = op.rule
    while rule and entries[at] do
      local told = entries[at].rule
      at = at + 1
      if told and told.chain == rule.spec.chain and told.table == rule.spec.table
        and told.family == rule.spec.family then
        rule:created(told)
        break
      end
    end
  end
end

local function run(nft, text, opts, ops)
  local op = #ops == 1 and ops[1].op or opts.op or "nft transaction"
  local ok, answer, no_echo = pcall(session.run, nft.ns, text,
    { json = true, echo = opts.echo ~= false, handle = true, timeout = opts.timeout }, op)
  if not ok then
    if getmetatable(answer) == core.Error and #ops == 1 then
      answer.object = answer.object or ops[1].object
    end
    error(answer, 0)
  end
  local entries, created = session.flatten(answer)
  return entries, created, no_echo
end

--- Send ops as one transaction.
-- @tparam table nft the namespace's noun
-- @tparam {table,...} ops
-- @tparam[opt] table opts `timeout`, `echo` (false: what is created is not told), `op`
-- @treturn table what was created or listed
function commit.send(nft, ops, opts)
  opts = opts or {}
  local texts = {}
  for i, op in ipairs(ops) do
    texts[i] = op.text
  end
  local text = table.concat(texts, "\n") .. "\n"
  -- Where the echo may not come, what was there before tells what is new.
  local blind = opts.echo == false or #text > BIG_TEXT
  local before = blind and text:find "table" and commit.tables(nft.ns)
  local entries, created, no_echo = run(nft, text, opts, ops)
  local made = nft.state.made
  for _, entry in ipairs(created) do
    if entry.table then
      made[table_key(entry.table.family, entry.table.name)] = entry.table.handle
    end
  end
  if before and (no_echo or opts.echo == false) then
    for key, t in pairs(commit.tables(nft.ns)) do
      if not before[key] or before[key].handle ~= t.handle then
        made[key] = t.handle
      end
    end
  end
  tell_handles(ops, created)
  return entries
end

--- The op's text, now or at the end of the transaction that is running.
-- @treturn ?table what was created; nil inside a transaction
function commit.write(nft, op, opts)
  local transaction = nft.state.transactions[coroutine.running()]
  if not transaction then
    return commit.send(nft, { op }, opts)
  end
  local ops = transaction.ops
  table.insert(ops, op.at and op.at(ops) or #ops + 1, op)
  op.transaction = transaction
  return nil
end

--- Whether a transaction of this coroutine is collecting.
function commit.collecting(nft)
  return nft.state.transactions[coroutine.running()] ~= nil
end

--- Take a waiting op out again.
function commit.withdraw(op)
  local ops = op.transaction.ops
  for i, other in ipairs(ops) do
    if other == op then
      table.remove(ops, i)
      return
    end
  end
end

--- Collect what fn writes into one commit. A transaction in a transaction joins it; when it fails,
-- what it collected is taken back.
function commit.transaction(nft, fn, opts)
  local thread = coroutine.running()
  local transactions = nft.state.transactions
  local outer = transactions[thread]
  local transaction = outer or { ops = {} }
  local saved = table.move(transaction.ops, 1, #transaction.ops, 1, {})
  transactions[thread] = transaction
  local results = table.pack(pcall(fn, nft))
  transactions[thread] = outer
  if not results[1] then
    transaction.ops = saved
    error(results[2], 0)
  end
  if not outer and #transaction.ops > 0 then
    commit.send(nft, transaction.ops, opts)
  end
  return table.unpack(results, 2, results.n)
end

commit.table_key = table_key

return commit
