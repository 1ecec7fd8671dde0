--- What a node costs as networks grow: scale.lua [--most=N] [--svg=FILE] [--markdown=FILE]
local bench = require "spec.bench.bench"
local chart = require "spec.bench.chart"
local program = require "spec.bench.program"
local sh = require "spec.support.sh"
local system = require "system"
local topology = require "netns.topology"

local opts = { most = 10000 }
for _, word in ipairs(arg) do
  local key, value = word:match "^%-%-(%l+)=(.+)$"
  assert(key == "most" or key == "svg" or key == "markdown", "there are --most=N, --svg=FILE and --markdown=FILE")
  opts[key] = key == "most" and assert(math.tointeger(tonumber(value)), "--most takes a number") or value
end

local function line(n)
  return topology.line { routers = n, ipv6 = false, routing = "neighbours" }
end

-- Medians of three, per node.
local function median(n, fn)
  local samples = {}
  for i = 1, 3 do
    samples[i] = fn(n) / n
  end
  return bench.quantile(samples, 0.5)
end

local function ours(n)
  local start = system.monotime()
  local lab = line(n):up()
  local took = system.monotime() - start
  lab:close()
  return took
end

local function planned(n)
  local start = system.monotime()
  line(n):plan()
  return system.monotime() - start
end

local function floor(n)
  local contender = program("floor", { "line", n })
  contender.needs()
  return contender.run()
end

local series = {
  { name = "netns", measure = ours },
  { name = "of that: check and plan", measure = planned },
  { name = "floor", measure = floor },
}
local rows = { "| routers in a row | " .. series[1].name .. " | " .. series[2].name .. " | floor | ratio |",
  "|---:|---:|---:|---:|---:|" }
for _, n in ipairs { 10, 30, 100, 300, 1000, 3000, 10000 } do
  if n <= opts.most then
    io.stderr:write(n, "\n")
    local cells = {}
    for i, one in ipairs(series) do
      local each = median(n, one.measure)
      one[#one + 1] = { n, each }
      cells[i] = bench.seconds(each)
    end
    rows[#rows + 1] = ("| %d | %s | %.2f x |"):format(n, table.concat(cells, " | "),
      series[1][#series[1]][2] / series[3][#series[3]][2])
  end
end

local head = ("%s, %s, %s processors: up, for each router, medians of 3"):format(os.date "%Y-%m-%d",
  sh.run("uname -sr"):gsub("\n", ""), sh.run("nproc"):gsub("\n", ""))
local markdown = head .. "\n\n" .. table.concat(rows, "\n") .. "\n"
io.stdout:write(markdown)
if opts.markdown then
  sh.write_file(opts.markdown, markdown)
end
if opts.svg then
  sh.write_file(opts.svg, chart.lines(series, head))
end
