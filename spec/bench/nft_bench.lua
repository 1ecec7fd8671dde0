--- The firewall beside `nft -f`, which is libnftables in a process of its own each time.
local bench = require "spec.bench.bench"
local netns = require "netns"
local sh = require "spec.support.sh"

local SPACES, RULES, MANY, ELEMENTS = 100, 20, 10000, 100000

-- Namespaces with names, so that nft(8) can be run in them.
local function spaces(count, text)
  local list = {}
  for i = 1, count do
    list[i] = netns.new("nftbench" .. i)
    if text then
      list[i].nft:run(text, nil, { echo = false })
    end
  end
  return list
end

local function close(list)
  for _, ns in ipairs(list) do
    ns:close()
  end
end

local function ruleset(count, first)
  local lines = { "table inet t", "delete table inet t", "table inet t {", "chain c {",
    "type filter hook input priority 0; policy accept;" }
  for i = 1, count do
    lines[#lines + 1] = ("ip saddr 10.0.%d.%d tcp dport %d counter accept"):format(i >> 8 & 255, i & 255,
      (first or 0) + i)
  end
  return table.concat(lines, "\n") .. "\n}\n}\n"
end

local function temporary(text)
  local path = os.tmpname()
  sh.write_file(path, text)
  return path
end

local function with_nft(list, text)
  return { list = list, path = temporary(text) }
end

local function nft_everywhere(state)
  for i in ipairs(state.list) do
    assert(os.execute(("ip netns exec nftbench%d nft -f %s"):format(i, state.path)))
  end
end

local function drop(state)
  close(state.list)
  os.remove(state.path)
end

local small, other = ruleset(RULES), ruleset(RULES, 1000)

for _, work in ipairs {
  { ("%d rules in each of %d namespaces"):format(RULES, SPACES), nil, small },
  { ("replacing %d rules in each of %d namespaces"):format(RULES, SPACES), small, other },
} do
  local name, before, text = table.unpack(work)
  bench.work {
    name = name,
    count = SPACES,
    by = {
      {
        "netns",
        setup = function()
          return spaces(SPACES, before)
        end,
        run = function(list)
          for _, ns in ipairs(list) do
            ns.nft:run(text, nil, { echo = false })
          end
        end,
        teardown = close,
      },
      {
        "nft -f",
        setup = function()
          return with_nft(spaces(SPACES, before), text)
        end,
        run = nft_everywhere,
        teardown = drop,
      },
    },
  }
end

local large = ruleset(MANY)

bench.work {
  name = "10,000 rules in one transaction",
  count = MANY,
  by = {
    {
      "netns",
      setup = function()
        return spaces(1)
      end,
      run = function(list)
        list[1].nft:run(large, nil, { echo = false })
      end,
      teardown = close,
    },
    {
      "netns, objects",
      setup = function()
        return spaces(1)
      end,
      run = function(list)
        list[1].nft:transaction(function(t)
          local chain = t:table({ family = "inet", name = "t" }):chain { name = "c", hook = "input" }
          for i = 1, MANY do
            chain:rule(("ip saddr 10.0.%d.%d tcp dport %d counter accept"):format(i >> 8, i & 255, i))
          end
        end)
      end,
      teardown = close,
    },
    {
      "nft -f",
      setup = function()
        return with_nft(spaces(1), large)
      end,
      run = nft_everywhere,
      teardown = drop,
    },
  },
}

local addresses, set_text = {}, "table inet t { set s { type ipv4_addr; }; }\n"
for i = 1, ELEMENTS do
  addresses[i] = ("10.%d.%d.%d"):format(i >> 16, i >> 8 & 255, i & 255)
end

bench.work {
  name = "100,000 set elements",
  count = ELEMENTS,
  by = {
    {
      "netns",
      setup = function()
        return spaces(1, set_text)
      end,
      run = function(list)
        list[1].nft:table({ family = "inet", name = "t" }).set:get("s"):add(addresses)
      end,
      teardown = close,
    },
    {
      "nft -f",
      setup = function()
        return with_nft(spaces(1, set_text), "add element inet t s { " .. table.concat(addresses, ", ") .. " }\n")
      end,
      run = nft_everywhere,
      teardown = drop,
    },
  },
}

bench.work {
  name = "10,000 rules: list",
  count = MANY,
  by = {
    {
      "netns, to tables",
      setup = function()
        return spaces(1, large)
      end,
      run = function(list)
        assert(#list[1].nft:list() == MANY + 2)
      end,
      teardown = close,
    },
    {
      "netns, text",
      setup = function()
        return spaces(1, large)
      end,
      run = function(list)
        assert(#list[1].nft:text() > MANY)
      end,
      teardown = close,
    },
    {
      "nft -j, not decoded",
      setup = function()
        return spaces(1, large)
      end,
      run = function()
        assert(os.execute "ip netns exec nftbench1 nft -j list ruleset >/dev/null")
      end,
      teardown = close,
    },
    {
      "nft -j and dkjson",
      setup = function()
        return spaces(1, large)
      end,
      run = function()
        assert(#sh.nft("nftbench1", "-j list ruleset").nftables > MANY)
      end,
      teardown = close,
    },
  },
}

bench.work {
  name = "the worker: start",
  by = {
    {
      "netns",
      setup = function()
        require("netns.core").nft_stop()
        return spaces(1)
      end,
      run = function(list)
        list[1].nft:run ""
      end,
      teardown = close,
    },
    {
      "nft -f",
      setup = function()
        return with_nft(spaces(1), "")
      end,
      run = nft_everywhere,
      teardown = drop,
    },
  },
}
