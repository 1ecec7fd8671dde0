--- Running other programs from a spec: the oracles (`ip -j`, `nft -j`, `tc -j`) and the helpers.
--
--    local sh = require "spec.support.sh"
--    sh.run { "ip", "link", "add", "br0", "type", "bridge" }   -- raises when it fails
--    sh.run "ip link show | grep -q br0"                       -- a string is a shell's
--    local links = sh.ip("red", "-j -d link show")             -- -j: decoded JSON
--    sh.inside({ pid = 7 }, { "ping", "-c1", "10.0.0.2" })
--    sh.eventually(function() return found() end)              -- instead of sleeping
local dkjson = require "dkjson" -- keeps integers; Debian's cjson makes floats of them
local system = require "system"

local sh = {}

--- One word, quoted for the shell.
function sh.quote(word)
  return "'" .. tostring(word):gsub("'", [['\'']]) .. "'"
end

--- The shell line of an argv; a string is one already.
function sh.command_line(cmd)
  if type(cmd) == "string" then
    return cmd
  end
  local words = {}
  for i, word in ipairs(cmd) do
    words[i] = sh.quote(word)
  end
  return table.concat(words, " ")
end

local function read_all(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read "a"
  f:close()
  return text
end

local function with_temp(fn)
  local path = os.tmpname()
  local result = table.pack(pcall(fn, path))
  os.remove(path)
  if not result[1] then
    error(result[2], 0)
  end
  return table.unpack(result, 2, result.n)
end

--- Run a command and say how it went.
-- @tparam table|string cmd argv, or a line for the shell
-- @tparam[opt] table opts `stdin` (string; default empty), `timeout` (seconds, default 60),
--   `env` (table of additions)
-- @treturn table `ok`, `code` or `signal`, `stdout`, `stderr`, `command`
function sh.try(cmd, opts)
  opts = opts or {}
  local line = sh.command_line(cmd)
  local env = {}
  for name, value in pairs(opts.env or {}) do
    env[#env + 1] = sh.quote(name .. "=" .. value)
  end
  return with_temp(function(err_path)
    return with_temp(function(in_path)
      local input = assert(io.open(in_path, "wb"))
      input:write(opts.stdin or "")
      input:close()
      local full = ("env %s timeout -k 5 %g sh -c %s <%s 2>%s"):format(table.concat(env, " "),
        opts.timeout or 60, sh.quote(line), in_path, err_path)
      local pipe = assert(io.popen(full, "r"))
      local stdout = pipe:read "a"
      local _, how, number = pipe:close()
      return {
        ok = how == "exit" and number == 0,
        code = how == "exit" and number or nil,
        signal = how == "signal" and number or nil,
        stdout = stdout,
        stderr = read_all(err_path),
        command = line,
      }
    end)
  end)
end

--- Run a command that must succeed.
-- @return what it printed
-- @raise with its standard error, when it fails
function sh.run(cmd, opts)
  local r = sh.try(cmd, opts)
  if not r.ok then
    local how = r.signal and "signal " .. r.signal or r.code == 124 and "timeout" or "status " .. r.code
    error(("%s\n  ended with %s: %s%s"):format(r.command, how, r.stderr, r.stdout), 2)
  end
  return r.stdout
end

--- Text to tables; empty text (what `ip -j` prints for nothing) is an empty list.
function sh.decode(text)
  if not text:find "%S" then
    return {}
  end
  local value, _, message = dkjson.decode(text, 1, nil, nil, nil) -- plain tables, no metatables
  if message then
    error(("not JSON (%s): %s"):format(message, text:sub(1, 200)), 2)
  end
  return value
end

--- Run a command that must succeed and prints JSON.
function sh.json(cmd, opts)
  return sh.decode(sh.run(cmd, opts))
end

--- A path to the namespace, for nsenter.
-- @param ns nil (here), a name, a pid, `{ pid = }`, `{ fd = }`, `{ path = }`, or a Namespace
-- @treturn ?string
function sh.netns_path(ns)
  if ns == nil then
    return nil
  elseif type(ns) == "number" then
    return ("/proc/%d/ns/net"):format(ns)
  elseif type(ns) == "string" then
    return ns:find "/" and ns or "/run/netns/" .. ns
  elseif type(ns) == "table" and ns.pid then
    return ("/proc/%d/ns/net"):format(ns.pid)
  elseif type(ns) == "table" and ns.path then
    return ns.path
  end
  -- our descriptors are close-on-exec: the child reaches them through us
  local pid = read_all("/proc/self/stat"):match "^%d+"
  return ("/proc/%s/fd/%d"):format(pid, ns.fd)
end

--- The command line that runs a command inside a namespace (as for `sh.netns_path`).
function sh.enter(ns, cmd)
  local path = sh.netns_path(ns)
  local line = sh.command_line(cmd)
  if not path then
    return line
  end
  return ("nsenter --net=%s -- sh -c %s"):format(sh.quote(path), sh.quote(line))
end

--- Run a command inside a namespace; it must succeed.
function sh.inside(ns, cmd, opts)
  return sh.run(sh.enter(ns, cmd), opts)
end

--- As `sh.try`, inside a namespace.
function sh.try_inside(ns, cmd, opts)
  return sh.try(sh.enter(ns, cmd), opts)
end

-- ip, tc, bridge and nft: with -j among the arguments the answer comes decoded
local function tool(name)
  return function(ns, args, opts)
    local line = sh.command_line(args)
    local out = sh.inside(ns, name .. " " .. line, opts)
    for word in line:gmatch "%S+" do
      if word:find "^'?%-j[a-z]*'?$" or word == "--json" then
        return sh.decode(out)
      end
    end
    return out
  end
end

--- `ip ARGS` inside a namespace; with `-j` the answer is decoded. Likewise `tc`, `bridge`, `nft`.
-- @function sh.ip
sh.ip = tool "ip"
sh.tc = tool "tc"
sh.bridge = tool "bridge"
sh.nft = tool "nft"

--- Wait until fn returns something true, and return that; an error when it does not in time.
-- @tparam function fn asked every few milliseconds
-- @tparam[opt=10] number seconds the deadline
-- @tparam[opt] string what named in the error
function sh.eventually(fn, seconds, what)
  local deadline = system.monotime() + (seconds or 10)
  repeat
    local result = fn()
    if result then
      return result
    end
    system.sleep(0.005)
  until system.monotime() > deadline
  error(("%s did not happen within %g s"):format(what or "what was waited for", seconds or 10), 2)
end

--- A folder for a spec's files, handed to fn and removed after it.
function sh.with_dir(fn)
  local dir = sh.run { "mktemp", "-d" }:gsub("\n$", "")
  local result = table.pack(pcall(fn, dir))
  sh.run { "rm", "-rf", dir }
  if not result[1] then
    error(result[2], 0)
  end
  return table.unpack(result, 2, result.n)
end

--- Write a file.
function sh.write_file(path, text)
  local f = assert(io.open(path, "wb"))
  assert(f:write(text))
  f:close()
end

--- Read a file.
sh.read_file = read_all

return sh
