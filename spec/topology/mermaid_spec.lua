-- Mermaid drawings, looked at by Mermaid's own parser, where there is one:
--    npm install --prefix ~/.cache/lua-netns/mermaid mermaid@11 jsdom@24
-- NETNS_MERMAID is another place of node_modules.
require("spec.support.leaks").gate()
local sh = require "spec.support.sh"
local topology = require "netns.topology"

local dir = os.getenv "NETNS_MERMAID" or (os.getenv "HOME" or "/root") .. "/.cache/lua-netns/mermaid"

-- What the parser says of each diagram; nil and the reason where there is none.
local function parse(diagrams)
  if not sh.try("node --version").ok then
    return nil, "there is no node"
  elseif not sh.try({ "test", "-d", dir .. "/node_modules/mermaid" }).ok then
    return nil, "there is no Mermaid in " .. dir
  end
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(table.concat(diagrams, "\0"))
  file:close()
  local out = sh.run { "sh", "-c", ("exec node spec/support/mermaid.mjs '%s' < '%s'"):format(dir, path) }
  os.remove(path)
  local answers = {}
  for line in out:gmatch "[^\n]+" do
    answers[#answers + 1] = line
  end
  return answers
end

describe("mermaid drawings", function()
  it("are accepted by Mermaid", function()
    local office = topology.new "office"
    office:switch "lan"
    office:router("gw"):attach("lan", { name = "to-the-lan" }):connect("isp", { delay = "10ms", jitter = "2ms",
      loss = "0.5%", rate = "50mbit", duplicate = 0.01, cost = 3 }):nat { out = "isp" }
    office:router "isp"
    for _, name in ipairs { "end", "graph", "a.b-c_d", "1st", "subgraph", "a-host-with-a-very-long-name" } do
      office:host(name):attach "lan"
    end
    local drawn = { office:draw "mermaid", topology.from({ nodes = {} }):draw "mermaid",
      topology.from({ ipv4 = false, nodes = { a = { kind = "host" } } }):draw "mermaid" }
    for _, name in ipairs { "pair", "line", "ring", "star", "mesh", "tree", "dumbbell", "leaf_spine", "fat_tree",
      "container_host" } do
      drawn[#drawn + 1] = topology[name]():draw "mermaid"
    end
    local lab <close> = topology.ring({ routers = 3, link = { mtu = 1400 } }):up()
    lab:cut("r1", "r2")
    drawn[#drawn + 1] = lab:draw "mermaid"
    assert.matches("DOWN", drawn[#drawn])
    drawn[#drawn + 1] = 'graph LR\n  n1["a"\n  n2["b"]\n' -- and it does look
    local answers, reason = parse(drawn)
    if not answers then
      pending(reason)
      return
    end
    assert.equal(#drawn, #answers)
    for i, answer in ipairs(answers) do
      assert.matches(i < #drawn and "^ok flowchart" or "^error ", answer, 1, false, drawn[i])
    end
  end)
end)
