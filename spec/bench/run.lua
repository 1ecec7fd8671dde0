--- Runs the benchmarks: run.lua [--rounds=N] [--markdown=FILE] [--svg=FILE] [WORD...]
-- With words, only the works whose name holds one of them.
local bench = require "spec.bench.bench"
local chart = require "spec.bench.chart"
local sh = require "spec.support.sh"

local opts, words = { rounds = 5 }, {}
for _, word in ipairs(arg) do
  local key, value = word:match "^%-%-(%l+)=(.+)$"
  if key == "rounds" then
    opts.rounds = assert(math.tointeger(tonumber(value)), "--rounds takes a number")
  elseif key == "markdown" or key == "svg" then
    opts[key] = value
  elseif word:sub(1, 1) == "-" then
    error(("unknown option %s; there are --rounds=N, --markdown=FILE and --svg=FILE"):format(word), 0)
  else
    words[#words + 1] = word
  end
end

for path in sh.run("find spec/bench -name '*_bench.lua' | LC_ALL=C sort"):gmatch "[^\n]+" do
  dofile(path)
end

local results = {}
for _, work in ipairs(bench.works) do
  if bench.wanted(work.name, words) then
    io.stderr:write(work.name, "\n")
    results[#results + 1] = bench.run(work, opts)
  end
end
assert(#results > 0, "there is no such benchmark")

local head = ("%s, %s, %s processors, medians of up to %d rounds"):format(os.date "%Y-%m-%d",
  sh.run("uname -sr"):gsub("\n", ""), sh.run("nproc"):gsub("\n", ""), opts.rounds)
io.stdout:write(head, "\n\n", bench.text(results))
if opts.markdown then
  sh.write_file(opts.markdown, head .. "\n\n" .. bench.markdown(results))
end
if opts.svg then
  sh.write_file(opts.svg, chart.bars(results, head))
end
