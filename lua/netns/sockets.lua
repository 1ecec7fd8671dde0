--- Sockets of a namespace, for the socket library in use.
--
-- A socket belongs to the namespace that it was made in, whoever uses it from where. `ns:tcp_listen`, `ns:tcp_connect`
-- and `ns:udp` make one there, close-on-exec and non-blocking, and give it as a `Socket`, which is little more than a
-- descriptor; or with `library` as an object of that library, which then owns it:
--
-- - "luasocket": what `socket.bind`, `socket.connect` and `socket.udp` give
-- - "cqueues": a `cqueues.socket`
-- - "luv": a `uv_tcp_t` or `uv_udp_t`; call `listen` on it with your callback
--
-- The libraries are loaded when they are asked for; none is needed otherwise.
-- @module netns.sockets
local check = require "netns.check"
local core = require "netns.core"
local probe = require "netns.probe"

local sockets = {}

local function load_library(name, what)
  local ok, library = pcall(require, name)
  if not ok then
    check.refuse("%s: library needs the Lua module \"%s\" (%s)", what, name, library:match "[^\n]*")
  end
  return library
end

local function family(address)
  return address:find(":", 1, true) and "6" or "4"
end

-- A luasocket object around a descriptor: one of its own is made and closed, for the object.
local function luasocket(what, kind, sock)
  local library = load_library("socket", what)
  local object = assert(library[kind .. family((sock:name()))]())
  object:close()
  object:setfd(sock:release())
  return object
end

-- What each library makes of a Socket. `connect` takes one that is not connected yet, `connected` one that is.
local adaptors = {
  luasocket = {
    listen = function(sock, opts)
      local object = luasocket("tcp_listen", "tcp", sock)
      object:listen(opts.backlog)
      return object
    end,
    connect = function(sock, to)
      local object = luasocket("tcp_connect", "tcp", sock)
      object:settimeout(to.timeout)
      local ok, words = object:connect(to.address, to.port)
      object:settimeout(nil)
      if not ok then
        object:close()
      end
      return ok and object, words
    end,
    udp = function(sock, to)
      local object = luasocket("udp", "udp", sock)
      if to then
        assert(object:setpeername(to.address, to.port))
      end
      return object
    end,
  },
  cqueues = {
    listen = function(sock)
      return load_library("cqueues.socket", "tcp_listen").fdopen(sock:release())
    end,
    connected = function(sock)
      return load_library("cqueues.socket", "tcp_connect").fdopen(sock:release())
    end,
    udp = function(sock)
      return load_library("cqueues.socket", "udp").fdopen(sock:release())
    end,
  },
  luv = {
    listen = function(sock)
      local tcp = load_library("luv", "tcp_listen").new_tcp()
      assert(tcp:open(sock:release()))
      return tcp
    end,
    connected = function(sock)
      local tcp = load_library("luv", "tcp_connect").new_tcp()
      assert(tcp:open(sock:release()))
      return tcp
    end,
    udp = function(sock)
      local udp = load_library("luv", "udp").new_udp()
      assert(udp:open(sock:release()))
      return udp
    end,
  },
}

-- Arguments ---------------------------------------------------------------------------------------------------------

local function options(opts, known, what)
  opts = check.options(opts, known, what)
  if opts.library and not adaptors[opts.library] then
    check.refuse("%s: library must be \"cqueues\", \"luasocket\" or \"luv\", got %s%s", what, check.show(opts.library),
      check.hint(opts.library, check.names(adaptors)))
  end
  if opts.dev and (#opts.dev == 0 or #opts.dev > 15) then
    check.refuse("%s: dev must be the name of a link, got %s", what, check.show(opts.dev))
  end
  return opts
end

local function check_port(port, least, what)
  if math.type(port) ~= "integer" or port < least or port > 65535 then
    check.refuse("%s: port must be an integer from %d to 65535, got %s", what, least, check.show(port))
  end
  return port
end

local function check_address(address, what, key)
  if type(address) ~= "string" or not core.is_address(address) then
    check.refuse("%s: %s must be an IPv4 or IPv6 address, got %s", what, key, check.show(address))
  end
  return address
end

-- An address, or that of a node or namespace.
local function resolve(ns, target, what)
  if type(target) == "userdata" and getmetatable(target) == "netns.Namespace" then
    check.object(target, "Namespace", what)
    return probe.address(ns, target) or check.refuse("%s: %s has no global address", what, tostring(target))
  end
  return check_address(target, what, "address")
end

-- Bound to an address, or to all of both families where the kernel has both.
local function bound(ns, what, kind, opts, backlog)
  local function try(address, both)
    return core.socket(ns, what, kind, opts.dev, address, opts.port, nil, 0, backlog, both)
  end
  if opts.address then
    return try(opts.address, false)
  end
  local ok, result = pcall(try, "::", true)
  if ok then
    return result
  elseif getmetatable(result) == core.Error and (result.code == "EAFNOSUPPORT" or result.code == "EADDRNOTAVAIL") then
    return try("0.0.0.0", false)
  end
  error(result, 0)
end

-- Handing over ------------------------------------------------------------------------------------------------------

-- adapt(sock, ...), and nobody's socket stays open where the library refuses.
local function hand_over(adapt, sock, ...)
  local results = table.pack(pcall(adapt, sock, ...))
  if not results[1] then
    sock:close()
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

local codes = { timeout = { "ETIMEDOUT", 110, "Connection timed out" },
  ["connection refused"] = { "ECONNREFUSED", 111, "Connection refused" } }

local function failed(ns, to, words)
  local code = codes[words] or { "EHOSTUNREACH", 113, words }
  return setmetatable({ op = "tcp_connect", object = (family(to.address) == "6" and "[%s]:%d" or "%s:%d"):format(
    to.address, to.port), netns = tostring(ns), code = code[1], errno = code[2], message = code[3] }, core.Error)
end

-- Wait until a connection is there; raises where it is refused or takes too long.
local function await(ns, sock, to)
  local deadline = core.now() + to.timeout
  repeat
    local done = sock:connected(to.address, to.port, math.max(deadline - core.now(), 0))
    if done == false then
      error(failed(ns, to, "timeout"), 0)
    end
  until done
end

local listen_keys = { port = "number", address = "string", dev = "string", backlog = "number", library = "string" }

--- Listen on a TCP port.
-- @function Namespace:tcp_listen
-- @tparam integer|table what the port, 0 for one that is free; or a table: `port`, `address` (default: all, of both
--   families), `dev`, `backlog` (128), `library`
-- @treturn Socket to be closed; `name()` tells its port. With `library` an object of that library
-- @raise netns.Error: EADDRINUSE, EADDRNOTAVAIL ...
-- @usage local server <close> = ns:tcp_listen(80)
--   local server = ns:tcp_listen { port = 80, library = "luasocket" }
function core.Namespace.tcp_listen(ns, what)
  check.object(ns, "Namespace", "tcp_listen")
  local opts = options(type(what) == "number" and { port = what } or what, listen_keys, "tcp_listen")
  check_port(opts.port, 0, "tcp_listen")
  if opts.address then
    check_address(opts.address, "tcp_listen", "address")
  end
  opts.backlog = opts.backlog or 128
  if math.type(opts.backlog) ~= "integer" or opts.backlog < 0 or opts.backlog > 65535 then
    check.refuse("tcp_listen: backlog must be an integer from 0 to 65535, got %s", check.show(opts.backlog))
  end
  local sock = bound(ns, "tcp_listen", "tcp", opts, opts.backlog)
  return opts.library and hand_over(adaptors[opts.library].listen, sock, opts) or sock
end

local connect_keys = { timeout = "number", source = "string", dev = "string", library = "string" }

--- Connect by TCP.
-- @function Namespace:tcp_connect
-- @tparam string|Namespace address of a node in a lab, or any namespace with a global address
-- @tparam integer port
-- @tparam[opt] table opts `timeout` in seconds (5), `source` address, `dev`, `library`
-- @treturn Socket connected, to be closed. With `library` an object of that library
-- @raise netns.Error: ECONNREFUSED, ETIMEDOUT, ENETUNREACH ...
-- @usage local c <close> = ns:tcp_connect("10.0.0.2", 80)
--   local c = ns:tcp_connect(lab.web, 80, { library = "luasocket" })
function core.Namespace.tcp_connect(ns, address, port, opts)
  check.object(ns, "Namespace", "tcp_connect")
  opts = options(opts, connect_keys, "tcp_connect")
  local to = { address = resolve(ns, address, "tcp_connect"), port = check_port(port, 1, "tcp_connect"),
    timeout = opts.timeout or 5 }
  if to.timeout ~= to.timeout or to.timeout < 0 then
    check.refuse("tcp_connect: timeout must be a number of seconds, got %s", check.show(opts.timeout))
  end
  if opts.source then
    check_address(opts.source, "tcp_connect", "source")
    if family(opts.source) ~= family(to.address) then
      check.refuse("tcp_connect: source and address must be of one family")
    end
  end
  local adaptor = adaptors[opts.library]
  if adaptor and adaptor.connect then
    local any = family(to.address) == "6" and "::" or "0.0.0.0"
    local sock = core.socket(ns, "tcp_connect", "tcp", opts.dev, opts.source or any, 0, nil, 0)
    local object, words = hand_over(adaptor.connect, sock, to)
    return object or error(failed(ns, to, words), 0)
  end
  local sock = core.socket(ns, "tcp_connect", "tcp", opts.dev, opts.source, 0, to.address, to.port)
  hand_over(function()
    await(ns, sock, to)
  end, sock)
  return adaptor and hand_over(adaptor.connected, sock) or sock
end

local udp_keys = { port = "number", address = "string", dev = "string", peer = "string userdata", peer_port = "number",
  library = "string" }

--- A UDP socket.
-- @function Namespace:udp
-- @tparam[opt] table opts `port` (default: one that is free) and `address` (default: all, of both families) that it is
--   bound to, `dev`; `peer` and `peer_port`: whom it talks to; `library`
-- @treturn Socket to be closed. With `library` an object of that library
-- @raise netns.Error: EADDRINUSE, EADDRNOTAVAIL ...
-- @usage local u <close> = ns:udp { peer = "10.0.0.2", peer_port = 53 }
--   local u = ns:udp { port = 53, library = "luasocket" }
function core.Namespace.udp(ns, opts)
  check.object(ns, "Namespace", "udp")
  opts = options(opts, udp_keys, "udp")
  opts.port = check_port(opts.port or 0, 0, "udp")
  if opts.address then
    check_address(opts.address, "udp", "address")
  end
  if (opts.peer == nil) ~= (opts.peer_port == nil) then
    check.refuse "udp: peer and peer_port go together"
  end
  local to = opts.peer and { address = resolve(ns, opts.peer, "udp"), port = check_port(opts.peer_port, 1, "udp") }
  local sock
  if to then
    local any = family(to.address) == "6" and "::" or "0.0.0.0"
    if family(opts.address or any) ~= family(to.address) then
      check.refuse "udp: address and peer must be of one family"
    end
    sock = core.socket(ns, "udp", "udp", opts.dev, opts.address or any, opts.port, to.address, to.port)
  else
    sock = bound(ns, "udp", "udp", opts)
  end
  return opts.library and hand_over(adaptors[opts.library].udp, sock, to) or sock
end

return sockets
