--- Writes to nftables: one at a time, or collected by a transaction.
--
-- Every write of the objects is an op: a table with `text` (commands), `op` and `object` (for the
-- error), and perhaps `rule`, the Rule whose handle the answer will tell. Outside of a transaction
-- an op is sent at once; inside, it waits for the end.
-- @module netns.nft.commit
local core = require "netns.core"
local session = require "netns.nft.session"

local commit = {}

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
  for _, t in ipairs(session.dump(ns)) do
    if t.kind == "table" then
      found[table_key(t.family, t.name)] = t
    end
  end
  return found
end

-- Give the rules their handles, in the order in which they were sent.
local function tell_handles(ops, events)
  local at = 1
  for _, op in ipairs(ops) do
    local rule = op.rule
    while rule and events[at] do
      local event = events[at]
      at = at + 1
      if event.kind == "rule" and event.event == "new" and event.chain == rule.spec.chain
        and event.table == rule.spec.table and event.family == rule.spec.family then
        rule:created(event.handle)
        break
      end
    end
  end
end

local function note_tables(made, events)
  for _, event in ipairs(events) do
    if event.kind == "table" and event.event == "new" then
      made[table_key(event.family, event.name)] = event.handle
    end
  end
end

--- Send ops as one transaction.
-- What it made is told by nf_tables' own events: cheaper than libnftables' echo, which is asked for
-- only where the caller wants the data.
-- @tparam table nft the namespace's noun
-- @tparam {table,...} ops
-- @tparam[opt] table opts `timeout`, `echo` (true: what is created comes back as data),
--   `events` (false: nothing is made whose handle is wanted), `op`
-- @treturn table what was created (with echo) or listed
function commit.send(nft, ops, opts)
  opts = opts or {}
  local texts, rules = {}, false
  for i, op in ipairs(ops) do
    texts[i] = op.text
    rules = rules or op.rule ~= nil
  end
  local ok, answer, _, events = pcall(session.run, nft.ns, table.concat(texts, "\n") .. "\n",
    { json = true, echo = opts.echo, handle = opts.echo, timeout = opts.timeout, events = opts.events ~= false,
      rules = rules },
    #ops == 1 and ops[1].op or opts.op or "nft transaction")
  if not ok then
    if getmetatable(answer) == core.Error and #ops == 1 then
      answer.object = answer.object or ops[1].object
    end
    error(answer, 0)
  end
  for _, op in ipairs(ops) do
    op.sent = true
  end
  if events then
    note_tables(nft.state.made, events)
    tell_handles(ops, events)
  end
  return (session.flatten(answer))
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
