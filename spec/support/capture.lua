--- What passes an interface, by tcpdump.
--
--    local seen <close> = capture.start(ns, "eth0")
--    ...
--    seen:await("udp port 51820", 3)
--    assert.is_nil(seen:bytes():find("secret", 1, true))
local features = require "spec.support.features"
local sh = require "spec.support.sh"

local capture = {}
capture.__index = capture

--- Start; it sees everything from here on.
-- @param ns Namespace
-- @tparam string dev name of the interface
function capture.start(ns, dev)
  features.need_root "run tcpdump, which sets its groups"
  local self = setmetatable({ path = os.tmpname() }, capture)
  self.process = ns:spawn({ "tcpdump", "-Z", "root", "-i", dev, "-U", "-s", "0", "--immediate-mode", "-w", self.path },
    { stderr = "stdout" })
  local line
  repeat
    line = self.process:read("l", 10)
  until not line or line:find "listening on"
  assert(line, "tcpdump did not start")
  return self
end

--- End the capture. Twice is fine.
function capture:stop()
  if self.process then
    self.process:kill "INT"
    self.process:wait()
    self.process:close()
    self.process = nil
  end
end

--- The packets so far that a filter of tcpdump's picks, one a line, as tcpdump prints them.
function capture:packets(filter)
  local lines = {} -- the last packet may be half written
  for line in sh.try({ "tcpdump", "-nr", self.path, filter }).stdout:gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  return lines
end

--- Wait until the filter has picked so many packets (tcpdump writes them some time after they passed); then end.
-- @treturn {string,...} as of `packets`
function capture:await(filter, count)
  sh.eventually(function()
    return #self:packets(filter) >= count
  end, 10, ("%d packets of %s"):format(count, filter))
  self:stop()
  return self:packets(filter)
end

--- All bytes that were captured, headers and all.
function capture:bytes()
  self:stop()
  return sh.read_file(self.path)
end

function capture:__close()
  self:stop()
  os.remove(self.path)
end

return capture
