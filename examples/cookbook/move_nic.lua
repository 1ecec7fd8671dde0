-- make run RUN=examples/cookbook/move_nic.lua
-- Move a physical NIC into a namespace and get it back. Here a veth plays the NIC; a real one, "enp3s0", goes the same
-- way, and comes back by itself when its namespace ends.
--
--      here: nic0  -->  box: nic0  -->  here: nic0
local netns = require "netns"

local here <close> = netns.current()
local box <close> = netns.new()
local nic = here.link:add { name = "nic0", type = "veth", peer = { name = "plug0", up = true } }

local inside = nic:move(box)
inside:set { up = true }
box.addr:add { dev = "nic0", address = "192.0.2.1/24" } -- addresses do not travel: they are given anew
print(inside)
assert(not here.link:get "nic0")

local back = inside:move(here)
print(back)
back:del()
