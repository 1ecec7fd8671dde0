--- Flight recorders: the last packets of each link, kept in memory and written down only when something fails.
--
-- A recorder keeps a ring of packets for each link (`keep` bytes), in which the newest drive the oldest out. No thread
-- fills it: packets wait in the kernel (up to `buffer` bytes for each link) until the recorder is drained, which
-- happens in `drain`, `save`, `packets` and `stats`, at every assertion of `netns.assert` and at the end of every test
-- of busted. In between the first ones stay, and what does not fit is counted as dropped.
--
-- With `failures`, the name of a folder, a failure of `netns.assert` writes the rings there and says where; under
-- busted so does every test that fails, to a file called like the test, and each test begins with empty rings.
-- @module netns.recorder
local capture = require "netns.capture"
local check = require "netns.check"

local recorder = {}

local Recorder = { __name = "netns.Recorder" }
Recorder.__index = Recorder

local options = { filter = "string", snaplen = "number", buffer = "number", direction = "string", promisc = "boolean",
  keep = "number", failures = "string" }

local open = setmetatable({}, { __mode = "k" }) -- all recorders that are

-- busted ------------------------------------------------------------------------------------------------------------

-- A file's name made of a test's.
local function file_name(text)
  return text:gsub("[^%w%-_.]+", "_"):sub(1, 120)
end

-- Where a failure is written to: by the test's name under busted, else numbered.
local function path_of(self)
  local name = self.test
  if not name then
    self.count = self.count + 1
    name = ("failure-%d"):format(self.count)
  end
  return ("%s/%s.pcapng"):format(self.failures, name)
end

local function follow_busted(self)
  local busted = package.loaded.busted
  if type(busted) ~= "table" or not busted.subscribe then
    return
  end
  local channels = {
    [{ "test", "start" }] = function(element)
      self.test = file_name(element.name)
      return nil, true
    end,
    [{ "test", "end" }] = function(_, _, status)
      if self.packets_ and (status == "failure" or status == "error") then
        self:save(path_of(self))
      end
      self:clear()
      self.test = nil
      return nil, true
    end,
  }
  self.leave = {}
  for channel, fn in pairs(channels) do
    local subscriber = busted.subscribe(channel, fn)
    self.leave[#self.leave + 1] = function()
      busted.unsubscribe(subscriber.id, channel)
    end
  end
end

-- Opening -----------------------------------------------------------------------------------------------------------

--- A recorder of places `{ netns =, dev =, name = }`.
function recorder.of(places, opts, what)
  if #places == 0 then
    check.refuse("%s: no links to record", what)
  end
  opts = check.options(opts, options, what)
  opts.snaplen = opts.snaplen or 256
  opts.keep = opts.keep or 256 * 1024
  opts.buffer = opts.buffer or 4 * 1024 * 1024
  local self = setmetatable({ packets_ = capture.listen(places, opts, what), places = places, failures = opts.failures,
    count = 0 }, Recorder)
  open[self] = true
  if self.failures then
    follow_busted(self)
  end
  return self
end

--- Record the last packets of links.
-- @function netns.record
-- @tparam table what the Links, or `{ link =, name = }`; and options:
--
--   - `keep`: bytes of packets that are kept for each link (default 256 KiB)
--   - `snaplen`: bytes of each packet (default 256: the headers)
--   - `buffer`: bytes that may wait in the kernel for each link (default 4 MiB: a limit, not an allocation)
--   - `failures`: a folder; failures are written there by themselves
--   - `filter`, `direction`, `promisc`: as for `link:capture`
-- @treturn Recorder to be closed
-- @raise misuse; netns.Error
-- @usage local rec <close> = netns.record { red.link:get "eth0", keep = 1024 * 1024 }
function recorder.record(what)
  local places, opts = capture.split(what, "record")
  return recorder.of(places, opts, "record")
end

local function check_open(self)
  if type(self) ~= "table" or getmetatable(self) ~= Recorder then
    check.refuse("a Recorder expected, got %s", check.show(self))
  elseif not self.packets_ then
    check.refuse "the recorder is closed"
  end
  return self.packets_
end

--- Move what waits in the kernel into the rings.
-- Do it now and then where more may come than `buffer` holds.
-- @usage rec:drain()
function Recorder:drain()
  check_open(self):keep()
end

--- Write what the rings hold to a pcapng file, all links in the order of time. The rings stay as they are.
-- @tparam string path
-- @treturn integer how many packets
-- @raise netns.Error where the file cannot be written
-- @usage rec:save "last.pcapng"
function Recorder:save(path)
  local packets = check_open(self)
  if type(path) ~= "string" then
    check.refuse("save: the path must be a string, got %s", check.show(path))
  end
  packets:keep()
  packets:save(path)
  local count = 0
  for _, link in pairs(packets:stats().links) do
    count = count + link.kept
  end
  return count
end

--- What the rings hold, as the packets of a capture, in the order of time.
-- @treturn {Packet,...}
-- @usage for _, p in ipairs(rec:packets()) do print(p) end
function Recorder:packets()
  local packets = check_open(self)
  packets:keep()
  return packets:kept()
end

--- Forget all packets up to now.
-- @usage rec:clear()
function Recorder:clear()
  local packets = check_open(self)
  packets:keep()
  packets:forget()
end

--- How many packets came, were lost, are in the rings, and were driven out.
-- @treturn table `received`, `dropped`; `links`: `received`, `dropped`, `kept`, `overwritten` of each, by its name
-- @usage print(rec:stats().dropped)
function Recorder:stats()
  local packets = check_open(self)
  packets:keep()
  return packets:stats()
end

--- A descriptor for event loops: readable when there is something to drain.
-- @treturn integer
-- @usage local fd = rec:fd()
function Recorder:fd()
  return check_open(self):fd()
end

--- Let go of the rings and sockets. Twice is fine.
-- @usage rec:close()
function Recorder:close()
  if type(self) ~= "table" or getmetatable(self) ~= Recorder then
    check_open(self)
  end
  for _, leave in ipairs(self.leave or {}) do
    leave()
  end
  if self.packets_ then
    self.packets_:close()
  end
  self.packets_, self.leave = nil, nil
  open[self] = nil
end

function Recorder:__tostring()
  return ("recorder of %d links%s"):format(#self.places, self.packets_ and "" or " (closed)")
end

Recorder.__close = Recorder.close
recorder.methods = Recorder

-- Failures ----------------------------------------------------------------------------------------------------------

--- Drain all recorders that are open.
function recorder.drain_all()
  for self in pairs(open) do
    self:drain()
  end
end

--- Write down what the recorders with `failures` hold.
-- @treturn string lines that say where; "" where there are none
function recorder.save_failure()
  local lines = {}
  for self in pairs(open) do
    if self.failures then
      local path = path_of(self)
      local ok, result = pcall(self.save, self, path)
      lines[#lines + 1] = ok and ("the last %d packets: %s"):format(result, path)
        or ("the last packets could not be written: %s"):format(tostring(result))
    end
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

return recorder
