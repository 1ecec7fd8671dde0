--- Processes inside namespaces: `ns:run`, `ns:spawn` and the Process that spawn gives.
--
-- The core starts, feeds, drains and ends them; here is what is plain Lua on top of it.
--
-- **Options** of both, in a table after argv:
--
-- - `env`: names and values laid over this program's environment; `false` takes a name out.
--   `clear_env = true` starts from nothing. The program is looked for in the PATH that results.
-- - `cwd`: the directory to run in (default: this program's).
-- - `stdin`: text, `{ file = path }`, a file descriptor, an open file, or `false` for nothing (run's
--   default). For spawn `true`, its default, makes a pipe for `process:write`.
-- - `stdout`, `stderr`: `"capture"` (the default), `"inherit"`, `"discard"`, `{ file = path, append = boolean }`,
--   a file descriptor or an open file; `stderr = "stdout"` puts both into one.
-- - `timeout`: seconds after which the whole process group is killed; noticed while it is waited for.
-- - `check`: raise an error where it ends with another status than 0.
-- - `mounts`: `false` does without the /sys of its own and the files of /etc/netns/NAME that a command
--   otherwise sees, as with `ip netns exec`; and in a lab without the /etc/hosts that knows the nodes.
-- - `detach` (spawn only): it outlives the handle and this program.
--
-- **Results** (of run) and **statuses** (of wait) are tables: `ok`, `code` (128 + N after signal N), `signal`
-- ("KILL"; only if one ended it), `timeout` (true if the time-out did), and run's `stdout` and `stderr` as far
-- as they were captured. They print as the output and how it ended.
--
-- A process is the leader of a session and a process group of its own. The group is killed when the handle is
-- closed or collected, when run returns, and the leader also when the thread that started it ends.
-- @module netns.process
local core = require "netns.core"

local Process = core.Process

--- Run a command inside the namespace and wait for its end.
-- Nothing passes a shell. What the command leaves in the background is killed, daemons (of another session)
-- excepted.
-- @function Namespace:run
-- @tparam {string|number,...} argv the program and its arguments
-- @tparam[opt] table opts see netns.process
-- @treturn table the result
-- @raise netns.Error: the errno of a command that cannot be run; with `check`, "exit status 1" and the last lines
--   of stderr, the field `result` holding the result
-- @usage local r = ns:run({ "ping", "-c1", "10.0.0.2" }, { timeout = 5 })
--   print(r.ok, r.code, r.stdout)

--- Start a command inside the namespace.
-- Its unread output waits in pipes, up to 1 MiB each where the system allows; then the process waits for
-- somebody to read or to wait. Servers that talk much want `stdout = "discard"` or a file.
-- @function Namespace:spawn
-- @tparam {string|number,...} argv the program and its arguments
-- @tparam[opt] table opts see netns.process
-- @treturn Process
-- @raise netns.Error: the errno of a command that cannot be run
-- @usage local server <close> = ns:spawn { "iperf3", "-s" }

--- Its status, once it has ended. Its output is drained meanwhile, so that it cannot block.
-- @function Process:wait
-- @tparam[opt] number seconds how long to wait; 0 only looks
-- @treturn ?table the status; nil if it is still running
-- @raise netns.Error: with `check`; ECHILD where another part of this program has reaped it
-- @usage local status = process:wait(5)

--- Send a signal.
-- @function Process:kill
-- @tparam[opt="TERM"] string|integer signal "TERM", "SIGTERM" or 15
-- @tparam[opt] table opts `group = true`: to its whole process group
-- @treturn boolean false if nobody was there any more
-- @usage process:kill("HUP", { group = true })

--- Read from its stdout or stderr.
-- @function Process:read
-- @tparam[opt="l"] string|integer format "l" (a line), "L" (with its end), "a" (all until its end), "any"
--   (whatever is there, as soon as there is something), or a number of bytes
-- @tparam[opt] number|table opts seconds, or `{ timeout = seconds, from = "stdout" | "stderr" }`
-- @treturn ?string nil at the end of the output; nil and "timeout" when it takes longer
-- @usage local line = process:read("l", 5)

--- Write to its stdin.
-- @function Process:write
-- @tparam string text
-- @tparam[opt] number seconds
-- @treturn Process itself; or nil, "timeout", and how many bytes were written
-- @raise netns.Error EPIPE: it does not read any more
-- @usage process:write "hello\n"

--- Let it read the end of its input.
-- @function Process:close_stdin
-- @usage process:close_stdin()

--- A file descriptor, for an event loop or as a stream of another process.
-- Of "pidfd" (readable when it has ended), "stdin", "stdout" or "stderr".
-- @function Process:fd
-- @tparam[opt="pidfd"] string which
-- @treturn ?integer nil where there is none; it stays the Process's own
-- @usage poll(process:fd(), process:fd "stdout")

--- Kill its whole process group and let go of everything. `local p <close>` and garbage collection do the same.
-- @function Process:close
-- @usage process:close()

--- Iterate over what a process writes, as `file:lines` does.
-- Ends with the output. A time-out is for each piece, and raises.
-- @tparam[opt="l"] string|integer format "l" (a line), "L" (with its end), "any" (whatever is there) or a
--   number of bytes
-- @tparam[opt] number|table opts seconds, or `{ timeout = seconds, from = "stdout" | "stderr" }`
-- @treturn function the iterator
-- @raise netns.Error ETIMEDOUT
-- @usage for line in process:lines() do print(line) end
function Process:lines(format, opts)
  return function()
    local piece, why = self:read(format, opts)
    if why == "timeout" then
      error(setmetatable({
        op = "read",
        object = tostring(self),
        code = "ETIMEDOUT",
        errno = 110,
        message = "Connection timed out",
      }, core.Error))
    end
    return piece
  end
end

local function describe(result)
  if result.timeout then
    return "timed out"
  elseif result.signal then
    return "killed by SIG" .. result.signal
  end
  return "exit status " .. tostring(result.code)
end

-- What a person wants to see of a result: the output, and how it ended if not well.
function core.Result.__tostring(result)
  local parts = {}
  for _, key in ipairs { "stdout", "stderr" } do
    local text = (result[key] or ""):gsub("\n$", "")
    if text ~= "" then
      parts[#parts + 1] = text
    end
  end
  if not result.ok or #parts == 0 then
    parts[#parts + 1] = ("[%s]"):format(describe(result))
  end
  return table.concat(parts, "\n")
end

return Process
