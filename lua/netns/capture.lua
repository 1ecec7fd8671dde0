--- Captures: the packets of links, as Lua values and as pcapng files.
--
-- `link:capture{}` listens from the moment it is called; the packets wait in the kernel until they are read, up to
-- `buffer` bytes for each link, and what does not fit is counted as dropped. Nobody needs to read meanwhile. A
-- **packet** has
--
-- - `time`: seconds since 1970, and `ns`: the same as an integer of nanoseconds
-- - `length` on the wire, and the captured `bytes`, which `snaplen` may have cut
-- - `link`: "red/eth0", and `direction`: "in" or "out"
-- - its headers, decoded when they are asked for: `ethernet`, `vlan`, `arp`, `ipv4`, `ipv6`, `tcp`, `udp`, `icmp`,
--   `icmpv6`, and nil where there is none. The outermost has the name; `layers` are all of them in order. `payload`
--   is what the last one carries, `truncated` names the header that is not whole.
--
-- Filters are those of tcpdump (pcap-filter(7)) and need libpcap; all else does not.
-- @module netns.capture
local check = require "netns.check"
local core = require "netns.core"
local packet = require "netns.packet"

local capture = {}

local Capture = { __name = "netns.Capture" }
Capture.__index = Capture

local options = { filter = "string", snaplen = "number", limit = "number", buffer = "number", direction = "string",
  promisc = "boolean", file = "string" }
local directions = { both = true, ["in"] = true, out = true }

--- What a namespace is called in names of links. Labs put their nodes' names here.
function capture.name_of(ns)
  return tostring(ns)
end

-- Filters -----------------------------------------------------------------------------------------------------------

-- The program of a filter for what the frames of a link begin with; made once for each capture.
local function program(text, first, snaplen, what)
  if text:find "\0" then
    check.refuse("%s: filter must not contain NUL bytes", what)
  end
  local ok, pcap = pcall(require, "netns.pcap")
  if not ok then
    check.refuse("%s: a filter needs libpcap, which this build of netns has not (%s); libpcap-dev and make, or"
      .. " without a filter: look at the packets in Lua", what, pcap:match "[^\n]*")
  end
  local filter, words = pcap.compile(text, first, snaplen)
  if not filter then
    check.refuse("%s: filter %s%s: %s", what, check.show(text),
      first == "ip" and " (on packets without Ethernet headers)" or "", words)
  end
  return filter
end

-- Opening -----------------------------------------------------------------------------------------------------------

-- { netns =, dev =, name = } of a Link, or of { link =, name = }.
local function place(value, number, what)
  local entry = value
  if type(value) == "table" and getmetatable(value) == nil then
    check.keys(value, { link = true, name = true }, ("%s: link %d"):format(what, number))
    value = rawget(entry, "link")
    local name = rawget(entry, "name")
    if name ~= nil and type(name) ~= "string" then
      check.refuse("%s: link %d: name must be a string, got %s", what, number, check.show(name))
    end
  end
  local link = check.object(value, "Link", ("%s: link %d"):format(what, number))
  local ns = check.object(link.netns, "Namespace", ("%s: link %d"):format(what, number))
  local dev = check.relay(function()
    return link.name
  end)
  local name = entry ~= value and rawget(entry, "name")
  return { netns = ns, dev = dev, name = name or ("%s/%s"):format(capture.name_of(ns), dev) }
end

--- The C object behind captures and recorders, listening to places.
-- @tparam {table,...} places `{ netns =, dev =, name = }`
-- @tparam table opts checked options
-- @tparam string what the operation, for messages
function capture.listen(places, opts, what)
  local direction = opts.direction or "both"
  if not directions[direction] then
    check.refuse("%s: direction must be \"in\", \"out\" or \"both\", got %s", what, check.show(direction))
  end
  local packets = check.relay(core.capture, { snaplen = opts.snaplen, limit = opts.limit, buffer = opts.buffer,
    keep = opts.keep })
  local programs = {}
  local ok, err = pcall(function()
    for _, at in ipairs(places) do
      local first, ifindex = check.relay(packets.add, packets, at.netns, at.dev, at.name)
      if opts.filter and not programs[first] then
        programs[first] = program(opts.filter, first, opts.snaplen or core.SNAPLEN_MAX, what)
      end
      packets:start(ifindex, programs[first], opts.filter, direction, opts.promisc)
    end
    if opts.file then
      packets:file(opts.file)
    end
  end)
  if not ok then
    packets:close()
    error(err, 0)
  end
  return packets
end

--- A capture of places.
function capture.of(places, opts, what)
  if #places == 0 then
    check.refuse("%s: no links to capture from", what)
  end
  opts = check.options(opts, options, what)
  local packets = capture.listen(places, opts, what)
  return setmetatable({ packets = packets, file = opts.file, fds = { packets:fd() }, places = places }, Capture)
end

--- Capture the packets of a link.
-- @function Link:capture
-- @tparam[opt] table opts
--
--   - `filter`: which packets, as tcpdump has it: "icmp", "tcp port 80 and host 10.0.0.1"
--   - `snaplen`: bytes of each packet (default and at most 262144)
--   - `limit`: how many packets; then the capture stops by itself
--   - `direction`: "in", "out" or "both" (default; on loopback links each packet once)
--   - `file`: where to write them as pcapng, besides or instead of reading them
--   - `buffer`: bytes that may wait to be read (default 16 MiB: a limit, not an allocation)
--   - `promisc`: hear what is for others, too
-- @treturn Capture to be closed
-- @raise misuse, with libpcap's words where the filter is wrong; netns.Error
-- @usage
-- local cap <close> = red.link:get("eth0"):capture { filter = "icmp" }
-- red:ping "10.0.0.2"
-- for p in cap:each(0) do print(p.time, p.ipv4.src, p.ipv4.dst, p.icmp.name) end
function core.Link.capture(link, opts)
  check.object(link, "Link", "capture")
  return capture.of({ place(link, 1, "capture") }, opts, "capture")
end

-- Split { link, link, key = value }: places, and the table of keys.
function capture.split(list, what)
  if type(list) ~= "table" or getmetatable(list) ~= nil then
    check.refuse("%s: a table of links and options expected, got %s", what, check.show(list))
  end
  local places, opts = {}, {}
  for i = 1, rawlen(list) do
    places[i] = place(rawget(list, i), i, what)
  end
  for key, value in next, list do
    if math.type(key) ~= "integer" or key < 1 or key > #places then
      opts[key] = value
    end
  end
  return places, opts
end

--- Capture the packets of several links, of any namespaces, together: in the order of time, into one file.
-- @function netns.capture
-- @tparam table what the Links, or `{ link =, name = }` to name them otherwise than "namespace/link"; and the
--   options of `link:capture`
-- @treturn Capture to be closed
-- @raise misuse; netns.Error
-- @usage netns.capture { red.link:get "eth0", blue.link:get "eth0", file = "both.pcapng" }
function capture.open(what)
  local places, opts = capture.split(what, "capture")
  return capture.of(places, opts, "capture")
end

-- Reading -----------------------------------------------------------------------------------------------------------

local function check_open(self)
  if type(self) ~= "table" or getmetatable(self) ~= Capture then
    check.refuse("a Capture expected, got %s", check.show(self))
  elseif not self.packets then
    check.refuse "the capture is closed"
  end
end

local function deadline_of(timeout)
  if timeout ~= nil and (type(timeout) ~= "number" or timeout < 0 or timeout ~= timeout) then
    check.refuse("capture: a timeout is a number of seconds, got %s", check.show(timeout))
  end
  return timeout and core.now() + timeout
end

-- Wait for packets until then; false when it is too late, or none will come.
local function await(self, deadline)
  local left = deadline and deadline - core.now()
  if (left and left <= 0) or self.packets:done() then
    return false
  end
  core.poll(self.fds, left)
  return true
end

--- The next packet.
-- @tparam[opt] number timeout seconds to wait for it (default: as long as it takes; 0: only what is there)
-- @treturn ?Packet nil when none came in time, or the capture has stopped and all are read
-- @raise netns.Error
-- @usage local p = cap:next(2)
function Capture:next(timeout)
  check_open(self)
  local deadline = deadline_of(timeout)
  repeat
    local p = self.packets:read()
    if p then
      if self.packets:done() and not self.stopped then
        self:stop()
      end
      return p
    end
  until not await(self, deadline)
  return nil
end

--- Packets in a loop, until none comes for that long.
-- @tparam[opt] number timeout seconds; default: for ever, or until the limit
-- @treturn function for the loop
-- @usage for p in cap:each(1) do print(p) end
function Capture:each(timeout)
  check_open(self)
  deadline_of(timeout)
  return function()
    return self.packets and self:next(timeout)
  end
end

--- Write what is there, and what comes in that time, to the file.
-- Without one the packets are thrown away.
-- @tparam[opt=0] number timeout seconds
-- @treturn integer how many packets
-- @raise netns.Error where the file cannot be written
-- @usage cap:write(5) -- five seconds of it
function Capture:write(timeout)
  check_open(self)
  local deadline, count = deadline_of(timeout or 0), 0
  repeat
    local some = self.packets:pump()
    count = count + some
  until some == 0 and not await(self, deadline)
  if self.packets:done() and not self.stopped then
    self:stop()
  end
  return count
end

--- A descriptor for event loops: readable when packets come.
-- It stays the capture's own. Call `next(0)` until it gives nil, or `write()`; then wait again.
-- @treturn integer
-- @usage local fd = cap:fd()
function Capture:fd()
  check_open(self)
  return self.fds[1]
end

--- How many packets came through the filter, and how many of them were lost because nobody read.
-- @treturn table `received`, `dropped` (not among the received), `taken` (read so far), `written` (to the file);
--   `links`: `received` and `dropped` of each, by its name
-- @usage print(cap:stats().dropped)
function Capture:stats()
  check_open(self)
  return self.packets:stats()
end

--- Capture no more. Packets that wait can still be read; with a file they are written, and it is complete. Twice is
-- fine.
-- @raise netns.Error where the file cannot be written
-- @usage cap:stop()
function Capture:stop()
  check_open(self)
  if self.stopped then
    return
  end
  self.stopped = true
  self.packets:halt()
  if self.file then
    repeat until self.packets:pump() == 0
    self.packets:finish()
  end
end

--- Stop, and let go of everything. Twice is fine.
-- @raise netns.Error where the file cannot be written
-- @usage cap:close()
function Capture:close()
  if type(self) ~= "table" or getmetatable(self) ~= Capture then
    check_open(self)
  end
  local packets = self.packets
  if not packets then
    return
  end
  local ok, err = pcall(self.stop, self)
  self.packets = nil
  packets:close()
  if not ok then
    error(err, 0)
  end
end

function Capture:__tostring()
  local names = {}
  for i, at in ipairs(self.places) do
    names[i] = at.name
  end
  return ("capture of %s%s"):format(table.concat(names, ", "), self.packets and "" or " (closed)")
end

Capture.__close = Capture.close
capture.methods = Capture

--- Decode the bytes of a packet, wherever they are from (`tun:read()`, say).
-- @function netns.packet
-- @tparam string bytes
-- @tparam[opt="ethernet"] string first what they begin with: "ethernet" or "ip"
-- @treturn Packet with `bytes`, `length` and the headers
-- @usage netns.packet(tun:read(), "ip").ipv4.src
capture.packet = packet.new

return capture
