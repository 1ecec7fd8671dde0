--- What happens in a trial's process.
local core = require "netns.core"
local lfs = require "lfs"
local netns = require "netns"
local api = require "spec.fault.ops"

local trials = { tolerated = {}, now = core.now }

--- The errnos that the manual pages have for a call, as far as it can have them here.
trials.errnos = {
  setns = { "EBADF", "EINVAL", "ENOMEM", "EPERM", "ESRCH" },
  unshare = { "EINVAL", "ENOMEM", "ENOSPC", "EPERM", "EUSERS" },
  socket = { "EACCES", "EAFNOSUPPORT", "EINVAL", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPROTONOSUPPORT" },
  socketpair = { "EAFNOSUPPORT", "EMFILE", "ENFILE", "EOPNOTSUPP", "EPROTONOSUPPORT" },
  bind = { "EACCES", "EADDRINUSE", "EINVAL" },
  sendto = { "EACCES", "ECONNRESET", "EINTR", "EMSGSIZE", "ENOBUFS", "ENOMEM", "EPERM" },
  sendmsg = { "EACCES", "ECONNRESET", "EINTR", "EMSGSIZE", "ENOBUFS", "ENOMEM", "EPIPE", "ETOOMANYREFS" },
  recvmsg = { "EAGAIN", "ECONNREFUSED", "EINTR", "ENOBUFS", "ENOMEM" },
  recv = { "EAGAIN", "ECONNREFUSED", "EINTR", "ENOMEM" },
  mount = { "EACCES", "EBUSY", "EINVAL", "ELOOP", "EMFILE", "ENODEV", "ENOENT", "ENOMEM", "ENOTDIR", "EPERM", "EROFS" },
  umount2 = { "EAGAIN", "EBUSY", "EINVAL", "ENAMETOOLONG", "ENOENT", "ENOMEM", "EPERM" },
  open = { "EACCES", "EINTR", "ELOOP", "EMFILE", "ENFILE", "ENOENT", "ENOMEM", "EPERM", "EROFS" },
  openat = { "EACCES", "EINTR", "ELOOP", "EMFILE", "ENFILE", "ENOENT", "ENOMEM", "EPERM", "EROFS" },
  opendir = { "EACCES", "EMFILE", "ENFILE", "ENOMEM" },
  clone = { "EAGAIN", "ENOMEM", "ENOSPC", "EPERM", "EUSERS" },
  pidfd_open = { "EINVAL", "EMFILE", "ENFILE", "ENODEV", "ENOMEM", "ESRCH" },
  waitid = { "EINTR" }, -- others are said of misuse; the manual has none for a pidfd of one's own
  pipe2 = { "EMFILE", "ENFILE" },
  memfd_create = { "EMFILE", "ENFILE", "ENOMEM", "EPERM" },
  fcntl = { "EMFILE" },
  epoll_create1 = { "EMFILE", "ENFILE", "ENOMEM" },
  epoll_ctl = { "ENOMEM", "ENOSPC" },
  timerfd_create = { "EMFILE", "ENFILE", "ENODEV", "ENOMEM" },
  mkdir = { "EACCES", "ENOMEM", "ENOSPC", "EPERM", "EROFS" },
  execve = { "EACCES", "E2BIG", "ENOENT", "ENOMEM" },
  fstat = { "ENOMEM" },
  ftruncate = { "EPERM", "EINTR" },
  setsockopt = { "ENOMEM", "ENOPROTOOPT" },
  getsockopt = { "ENOPROTOOPT" },
}

local numbers = { EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, E2BIG = 7, EBADF = 9, EAGAIN = 11, ENOMEM = 12,
  EACCES = 13, EBUSY = 16, ENODEV = 19, ENOTDIR = 20, EINVAL = 22, ENFILE = 23, EMFILE = 24, ENOSPC = 28, EROFS = 30,
  EPIPE = 32, ENAMETOOLONG = 36, ELOOP = 40, EUSERS = 87, EMSGSIZE = 90, ENOPROTOOPT = 92, EPROTONOSUPPORT = 93,
  EOPNOTSUPP = 95, EAFNOSUPPORT = 97, EADDRINUSE = 98, ECONNRESET = 104, ENOBUFS = 105, ETOOMANYREFS = 109,
  ECONNREFUSED = 111 }

local function target(path)
  return lfs.symlinkattributes(path, "target")
end

-- Descriptors, children, namespaces: what a process has of the kernel.
local function snapshot()
  collectgarbage()
  collectgarbage()
  local shot = { "net " .. target "/proc/thread-self/ns/net", "mnt " .. target "/proc/thread-self/ns/mnt",
    "cwd " .. lfs.currentdir() }
  for fd in lfs.dir "/proc/self/fd" do
    local to = target("/proc/self/fd/" .. fd)
    if to and not to:find "^/proc/%d+/fd$" then
      shot[#shot + 1] = fd .. " -> " .. to
    end
  end
  for tid in lfs.dir "/proc/self/task" do
    local f = tid:find "^%d+$" and io.open(("/proc/self/task/%s/children"):format(tid))
    if f then
      shot[#shot + 1] = "thread and children " .. tid .. ": " .. f:read "a"
      f:close()
    end
  end
  for line in io.lines "/proc/self/mountinfo" do
    shot[#shot + 1] = line:match "^%S+ %S+ %S+ (%S+ %S+)"
  end
  table.sort(shot)
  return shot
end

local function difference(before, after)
  local seen = {}
  for _, text in ipairs(before) do
    seen[text] = (seen[text] or 0) + 1
  end
  for _, text in ipairs(after) do
    seen[text] = (seen[text] or 0) - 1
  end
  local found = {}
  for text, count in pairs(seen) do
    if count ~= 0 then
      found[#found + 1] = (count < 0 and "leaks " or "loses ") .. text
    end
  end
  table.sort(found)
  return table.concat(found, ", ")
end

local function prepare(op)
  local env = { n = 1, ns = netns.new() }
  env.ns.link:set { dev = "lo", up = true }
  env.e0 = env.ns.link:add { name = "e0", type = "veth", up = true, peer = { name = "e1", up = true } }
  env.ns.addr:add { dev = "e0", address = "10.0.0.1/24" }
  api.ops[op].prepare(env)
  return env
end

local function close(op, env)
  for _, key in ipairs { "process", "lab", "other", "named", "ns" } do
    if env[key] then
      env[key]:close()
    end
  end
  for _, name in ipairs(netns.list()) do
    if api.ops[op].keeps then
      netns.delete(name)
    end
  end
  core.nft_stop()
end

-- Other errnos that a failure is told as, and why.
local instead = {
  ["recvmsg EAGAIN"] = "ETIMEDOUT", -- the deadline
  ["umount2 EINVAL"] = "EBUSY", -- means that the name is a plain file: it is removed, which is refused then
}

-- Is this error the failure, told as it should be?
local function told(setup, err)
  local text = tostring(err)
  if setup.kind == "Lua allocation" then -- luaL_checkstack has no other words for it
    return text:find("not enough memory", 1, true) or text:find("stack overflow", 1, true)
  elseif setup.worker then -- what befell the worker is told in its own words, or as its end
    return type(err) == "table" and err.op and err.code
  elseif setup.kind == "malloc" then
    return text:find("not enough memory", 1, true) or text:find("ENOMEM", 1, true)
  end
  for code in (instead[setup.kind .. " " .. setup.code] or setup.code):gmatch "%S+" do
    if text:find(code, 1, true) then
      return true
    end
  end
end

local function disturb(shim, op, env, setup)
  if setup.kind == "Lua allocation" then
    shim.memory(setup.nth, setup.all)
  elseif setup.kind == "malloc" then
    shim.calls("malloc", setup.nth, numbers.ENOMEM)
  elseif setup.worker then
    core.nft_stop()
    shim.worker(setup.kind, setup.nth, numbers[setup.code])
  else
    shim.calls(setup.kind, setup.nth, numbers[setup.code])
  end
  local ok, err = pcall(api.ops[op].run, env)
  local fired = shim.off()
  return ok, err, fired
end

--- One trial: "refused", "tolerated", "unfired", or what is wrong.
function trials.run(shim, op, setup)
  local before = snapshot()
  local env = prepare(op)
  local home = target "/proc/thread-self/ns/net"
  local ok, err, fired = disturb(shim, op, env, setup)
  if target "/proc/thread-self/ns/net" ~= home then
    return "is in another namespace after it"
  end
  if ok and setup.worker then
    core.nft_stop() -- where it did without, so that the next one is as it should be
  end
  if not ok and not fired then
    return "fails undisturbed: " .. tostring(err)
  elseif not ok and not told(setup, err) then
    return "says: " .. tostring(err)
  end
  local verdict = not fired and "unfired" or ok and "tolerated" or "refused"
  env.n = 2
  local again, why = pcall(api.ops[op].run, env)
  if not again then
    return ("fails when repeated: %s (at first: %s)"):format(tostring(why), tostring(err))
  end
  local names = env.ns.link:list()
  if #names < 3 then
    return "the namespace has lost its links"
  end
  close(op, env)
  err, env, names = nil, nil, nil -- luacheck: ignore 311
  local left = difference(before, snapshot())
  return left ~= "" and left or verdict
end

-- Lua's own: lauxlib makes the metatable of large buffers at first use, and when memory ends in the middle of that
-- leaves half of it, for good. So there is one before anything fails.
local _ = ("x"):rep(100):rep(100, ","):gsub("x", "yy")

--- The same for netns.rootless(): nothing has changed where it was refused.
function trials.rootless(shim, setup)
  local before, user = snapshot(), target "/proc/self/ns/user"
  if setup.kind == "malloc" then
    shim.calls("malloc", setup.nth, numbers.ENOMEM)
  else
    shim.calls(setup.kind, setup.nth, numbers[setup.code])
  end
  local ok, err = pcall(core.rootless)
  local fired = shim.off()
  if ok then -- the copy of the process, in which it is tried first, does not count
    return fired and "tolerated" or "unfired"
  elseif not told(setup, err) then
    return "says: " .. tostring(err)
  end
  local left = difference(before, snapshot())
  if left ~= "" or target "/proc/self/ns/user" ~= user then
    return "changed all the same: " .. left
  end
  local again, why = pcall(core.rootless)
  return again and "refused" or "fails when repeated: " .. tostring(why)
end

--- How many calls of each kind an operation makes: "setns=2 socket=1".
function trials.count(shim, op)
  local env = prepare(op)
  shim.calls()
  local ok, err = pcall(api.ops[op].run, env)
  local _, counts = shim.off()
  assert(ok, err)
  close(op, env)
  local words = {}
  for kind in pairs(trials.errnos) do
    if counts[kind] > 0 then
      words[#words + 1] = ("%s=%d"):format(kind, counts[kind])
    end
  end
  table.sort(words)
  return table.concat(words, " ")
end

--- The module loaded into a state of its own, with failing allocations.
function trials.state(shim, nth, all)
  local before = snapshot()
  local err, fired = shim.state(nth, all, [[
    local netns = require "netns"
    require "netns.topology"
    netns.new():close()
  ]])
  local left = difference(before, snapshot())
  if left ~= "" then
    return left
  elseif err and not err:find("not enough memory", 1, true) then
    return "says: " .. err
  end
  return not fired and "unfired" or err and "refused" or "tolerated"
end

--- Take away a name that a trial left.
function trials.remove_name(name)
  pcall(netns.delete, name)
end

return trials
