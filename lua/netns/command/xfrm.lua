--- `ip xfrm state` and `policy` of the tables that the nouns take.
-- @module netns.command.xfrm
local text = require "netns.command.text"

local xfrm = {}

local id_rows = text.rows "src value\ndst value\nproto value\nspi value"

local algorithms = { "enc", "auth", "aead", "comp" }

local state_rows = text.rows [[
  replay_window  value replay-window
  replay_seq     value replay-seq
  replay_oseq    value replay-oseq
  replay_seq_hi  value replay-seq-hi
  replay_oseq_hi value replay-oseq-hi
  seq            value
]]

local selector_rows = text.rows [[
  src   value
  dst   value
  proto value
  sport value
  dport value
  type  value
  code  value
  key   value
  dev   value
]]

local flags = { "noecn", "decap_dscp", "nopmtudisc", "wildrecv", "icmp", "af_unspec", "align4", "esn", "localok" }
local extra_flags = { "dont_encap_dscp", "oseq_may_wrap" }

local limit_keys = { "time_soft", "time_hard", "time_use_soft", "time_use_hard", "byte_soft", "byte_hard",
  "packet_soft", "packet_hard" }

local function dashed(key)
  return (key:gsub("_", "-"))
end

local function put_algorithms(words, args)
  for _, kind in ipairs(algorithms) do
    local given = args[kind]
    if type(given) == "string" then
      text.put(words, kind, given)
    elseif given then
      local length = given.icv or given.trunc
      text.put(words, kind == "auth" and length and "auth-trunc" or kind, given.name, given.key or "")
      text.put(words, length)
    end
  end
end

local function put_flags(words, args)
  for _, key in ipairs(flags) do
    if args[key] then
      text.put(words, "flag", dashed(key))
    end
  end
  for _, key in ipairs(extra_flags) do
    if args[key] then
      text.put(words, "extra-flag", dashed(key))
    end
  end
end

local function put_limits(words, limits)
  for _, key in ipairs(limit_keys) do
    if limits and limits[key] then
      text.put(words, "limit", dashed(key), limits[key])
    end
  end
end

-- 5, or "0x5/0xff"
local function put_mark(words, word, mark, mask)
  if mark == nil then
    return
  end
  local value, given = tostring(mark):match "^([^/]+)/(.*)$"
  text.put(words, word, value or mark)
  if given or mask then
    text.put(words, "mask", given or mask)
  end
end

local function put_common(words, args)
  put_mark(words, "mark", args.mark)
  if args.if_id then
    text.put(words, "if_id", args.if_id)
  end
end

local function head(ctx, what, verb)
  return { "ip", table.unpack(ctx.n("xfrm", what, verb)) }
end

local own_verbs = { show = "list", add = "add", replace = "update", change = "update" }

function xfrm.state(ctx, verb, args)
  local words = head(ctx, "state", own_verbs[verb] or (verb == "del" and "delete") or verb)
  text.fields(words, id_rows, args)
  if verb == "del" or verb == "show" then
    put_mark(words, "mark", args.mark)
    return { text.line(words) }
  end
  put_algorithms(words, args)
  text.fields(words, text.rows "mode value\nreqid value", args)
  put_common(words, args)
  text.fields(words, state_rows, args)
  put_flags(words, args)
  if args.sel then
    text.put(words, "sel")
    text.fields(words, selector_rows, args.sel)
  end
  put_limits(words, args.limits)
  if args.encap then
    text.put(words, "encap", args.encap.type, args.encap.sport, args.encap.dport, args.encap.oaddr or "0.0.0.0")
  end
  text.fields(words, text.rows "coa value", args)
  put_mark(words, "output-mark", args.output_mark, args.output_mark_mask)
  text.fields(words, text.rows "tfcpad value", args)
  return { text.line(words) }
end

local template_rows = text.rows "src value\ndst value\nproto value\nspi value\nmode value\nreqid value\nlevel value"

function xfrm.policy(ctx, verb, args)
  local words = head(ctx, "policy", own_verbs[verb] or (verb == "del" and "delete") or verb)
  text.fields(words, selector_rows, args)
  if args.dir then
    text.put(words, "dir", args.dir)
  end
  if verb == "show" then
    return { text.line(words) }
  end
  put_common(words, args)
  text.fields(words, text.rows "ptype value", args)
  if verb == "del" then
    return { text.line(words) }
  end
  text.fields(words, text.rows "action value\npriority value\nindex value", args)
  put_flags(words, args)
  put_limits(words, args.limits)
  for _, template in ipairs(args.tmpl or {}) do
    text.put(words, "tmpl")
    text.fields(words, template_rows, template)
  end
  return { text.line(words) }
end

return xfrm
