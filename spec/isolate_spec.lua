--- The isolation that all specs run in: what happens inside stays inside.
local sh = require "spec.support.sh"

local function isolated(script)
  return sh.run { "spec/support/isolate", "sh", "-ec", script }
end

describe("spec/support/isolate", function()
  it("starts in an empty namespace with lo up, and with no names", function()
    local here = sh.run { "readlink", "/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/self/ns/pid" }
    local out = isolated [[
      readlink /proc/self/ns/net /proc/self/ns/mnt /proc/self/ns/pid
      ip -br link; ls /sys/class/net | grep -v bonding_masters; ls -A /run/netns /etc/netns; ip -br addr show dev lo]]
    for inode in here:gmatch "%d+" do
      assert.is_nil(out:find(inode, 1, true))
    end
    local links, names = out:match "(lo%s+UNKNOWN[^\n]*\n)lo\n(.*)"
    assert.matches("LOOPBACK,UP,LOWER_UP", links)
    assert.matches("^/etc/netns:\n\n/run/netns:\nlo%s+UNKNOWN%s+127.0.0.1/8 ::1/128", names)
  end)

  it("leaves neither names, mounts, links, files nor processes", function()
    local look = [[cat /proc/self/mountinfo; ip -o link; ls -A /run /run/netns /etc /etc/netns
      ps -eo args | grep '^sleep 98[7]' || :]]
    local before = sh.run(look)
    isolated [[
      ip netns add red; mkdir /etc/netns/red; ip link add br0 type bridge
      sleep 987 & ip netns exec red true; mount -t tmpfs x /run/netns]]
    assert.equal(before, sh.run(look))
  end)

  it("gives back the command's status", function()
    assert.equal(7, sh.try({ "spec/support/isolate", "sh", "-c", "exit 7" }).code)
  end)
end)
