--- Every word of the help of tc(8) is a key or a value of ours, or is explained here; and what is missing is listed
-- with the reason. So an option that a newer tc knows fails this spec until it is dealt with.
local core = require "netns.core"
local sh = require "spec.support.sh"

-- What is missing, and why.
local missing = {
  ["qdisc stab"] = "overhead, mpu and linklayer of tbf, htb, cake and police say the same where it matters",
  ["qdisc estimator"] = "the kernel's estimate of rates: counters that are read twice say the same",
  ["filter estimator"] = "as of qdiscs",
  ["qdisc invisible"] = "the queues that classful qdiscs make by themselves",
  ["class htb slot"] = "of the kernels before 2.6: tc takes it and does nothing",
  ["class htb pslot"] = "as slot",
  ["qdisc htb debug"] = "of the kernels before 2.6",
  ["qdisc prio multiqueue"] = "is multiq since 2.6.25",
  ["filter flower mpls"] = "lists of labels below the first",
  ["filter flower geneve_opts"] = "bytes in the headers of tunnels",
  ["filter flower vxlan_opts"] = "as geneve_opts",
  ["filter flower erspan_opts"] = "as geneve_opts",
  ["filter flower gtp_opts"] = "as geneve_opts",
  ["filter flower ct_label"] = "128 bits that nothing here sets",
  ["filter u32 sample"] = "a hash of a value, counted out by hand: the bucket is ht",
  ["filter u32 offset"] = "is offset_mask, offset_shift, offset_at, offset_plus, offset_fixed, offset_variable and eat",
  ["filter u32 hashkey"] = "is hashkey_mask and hashkey_at",
}

-- Kinds that tc knows and we list without their options.
local missing_kinds = {
  qdisc = {
    gred = "red in 16 levels", mqprio = "queues of hardware", taprio = "queues of hardware",
    etf = "sends at times that a program gives each packet", cbs = "as etf, for audio and video bridging",
    plug = "a queue that a program opens and shuts", multiq = "queues of hardware", atm = "ATM",
  },
  filter = {
    bpf = "needs a program that was loaded by other means", cgroup = "one number of a control group",
    flow = "hashes to classes: fq_codel's and sfq's own do that", route = "realms of routes",
  },
}

-- Words of usage: what is no option, but the name of a value or a form of it.
local usage = [[help options usage qdisc class filter add del replace change show dev string root parent handle classid
  ingress clsact egress list where are is a an the of for to in and or if that can be not only etc e g try what in at
  limit number computed default use used by hexadecimal input parsed as id defaults marks]]

local explained = {
  netem = "random state gemodel packets delay custom r k loss no uniform normal pareto paretonormal",
  tbf = "k", htb = [[minor which unclassified packets quantums rate bps debug string numbers each queue hardware slot
    allocated this borrow borrows max bytes burst accumulated during idle period minimum packet size computations per
    linklay adapting linklayer e atm definite upper no but ceil create map priority leaf lower served first how much
    serve from once offload enable still mtu i b o p r q ps direct per-packet pslot sent
    version we]],
  hfsc = [[sc rt ls ul bps sec slope first second segment x-coordinate intersection alternative format umax unit work
    dmax delay rate m1 m2 d remarks least one must specified with maximum packets unclassified]],
  fq = "no horizon_ cap drop horizon_cap", fq_codel = "no value mask ce_threshold_selector", fq_pie = "no_ no",
  cake = [[unlimited autorate-ingress datacentre lan metro regional internet oceanic satellite interplanetary nonat
    nowash no-split-gso no-ack-filter ack-filter-aggressive noatm conservative ptm atm besteffort egress]],
  sfq = "secs", red = "qevent early_drop mark block idx kbps", choke = "kbps", prio = "p1 p2", ets = "q1 q2 p1 p2",
  sfb = "secs float pps packets", hhf = "bytes", pfifo = "p b fifo pfifo_head_drop",
  bfifo = "p b fifo pfifo_head_drop",
  pfifo_head_drop = "p b fifo", skbprio = "", codel = "noecn", pie = "nobytemode noecn no_dq_rate_estimator",
  flower = [[match-list match := mask masked lladdr prefix port-number label lse-list lse depth options ipv4 ipv6
    eth-type ip-proto icmp-type code ipv4-prefix request reply op ipv4-addr ipv6-addr key-id ip-flags port_number bits
    combination flags trk est new rel rpl inv action-spec look individual actions note there one per prio user needs
    specify different he has masked_ct_state verbose protocols bos tc ttl]],
  matchall = "selector sample filterid action_spec look individual actions note",
  fw = [[push matching packets class identified with format x y specify device incoming device classification apply on
    action_spec note represented fwmask 0xffffffff]],
  basic = "match ematch_tree selector sample filterid action_spec look individual actions note",
  u32 = [[selector sample htid action_spec offset_spec hashkey_spec filterid ip ip6 udp tcp icmp sample_args mark u
    note]],
}

local function words_of(text)
  local found = {}
  for word in text:gsub("%[no%]", ""):gmatch "[%w_%-%.]+" do
    if word:find "^[a-z][a-z0-9_%-]*$" then
      found[word] = true
    end
  end
  return found
end

local function help(command)
  return sh.try(command .. " help 2>&1").stdout
end

local schema = core.schema()

-- The words that nothing explains; `seen` gets all.
local function unexplained(text, tables, name, seen)
  local known, left = {}, {}
  for _, table_name in ipairs(tables) do
    for key, row in pairs(schema[table_name] or {}) do
      known[key] = true
      for _, value in ipairs(row.names or {}) do
        known[value] = true
      end
    end
  end
  local fine = words_of(usage .. " " .. (explained[name:match "%S+$"] or "") .. " " .. name)
  for word in pairs(words_of(text)) do
    seen[name .. " " .. word] = true
    local key = word:gsub("-", "_")
    if not (known[key] or known[word] or fine[word] or missing[name .. " " .. word]) then
      left[#left + 1] = word
    end
  end
  table.sort(left)
  return table.concat(left, " ")
end

describe("options of tc that are missing", function()
  randomize(false) -- "of nouns" looks at what the others have seen
  local seen = {}
  local commands = { qdisc = "tc qdisc add dev lo root ", class = "tc class add dev lo ",
    filter = "tc filter add dev lo ingress " }

  for noun, command in pairs(commands) do
    it("of kinds of " .. noun .. " are those listed", function()
      local found = {}
      for name in pairs(schema) do
        local kind = name:match("^" .. noun .. " (%S+)$")
        if kind and kind ~= "stats" and not (noun == "class" and kind ~= "htb" and kind ~= "hfsc") then
          local tables = { name, noun, "class " .. kind, "qdisc " .. kind, noun .. " " .. kind .. " slot" }
          local left = unexplained(help(command .. kind), tables, name, seen)
          found[#found + 1] = left ~= "" and name .. ": " .. left or nil
        end
      end
      table.sort(found)
      assert.equal("", table.concat(found, "\n"))
    end)
  end

  it("of nouns are those listed", function()
    for noun in pairs(commands) do
      for word in pairs(words_of(sh.try("tc " .. noun .. " help 2>&1").stdout)) do
        seen[noun .. " " .. word] = true
      end
    end
    for option in pairs(missing) do
      assert.is_true(seen[option], option .. " is no option (any more)")
    end
  end)

  it("of kinds are kinds that tc has, and we have not", function()
    for noun, kinds in pairs(missing_kinds) do
      for kind in pairs(kinds) do
        assert.is_nil(schema[noun .. " " .. kind], kind)
        assert.matches("[Uu]sage", help(commands[noun] .. kind), kind)
      end
    end
  end)
end)
