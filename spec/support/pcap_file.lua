--- Reading capture files, independent of what wrote them: pcap with nanoseconds; pcapng by editcap(1).
local pcap_file = {}

--- The packets of a pcap file's text: `{ ns =, length =, bytes = }` each. An unfinished one at the end is left out.
function pcap_file.parse(text)
  local packets, at = {}, 25
  assert(("<I4"):unpack(text) == 0xa1b23c4d, "not pcap with nanoseconds")
  while at + 15 <= #text do
    local sec, nsec, captured, length = ("<I4I4I4I4"):unpack(text, at)
    if at + 15 + captured > #text then
      break
    end
    packets[#packets + 1] = { ns = sec * 1000000000 + nsec, length = length,
      bytes = text:sub(at + 16, at + 15 + captured) }
    at = at + 16 + captured
  end
  return packets
end

--- The same of a pcapng file.
function pcap_file.read(sh, path, dir)
  sh.run { "editcap", "-F", "nsecpcap", path, dir .. "/converted" }
  return pcap_file.parse(sh.read_file(dir .. "/converted"))
end

return pcap_file
