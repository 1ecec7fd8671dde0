--- A kernel that says what it is told to. Only for child programs of spec/trust/regress_spec.lua, whose LUA_CPATH
-- leads to the core that is linked with spec/fuzz/kernel.c.
local fake = {}

local path = assert(package.searchpath("netns.core", package.cpath))
local says = assert(package.loadlib(path, "luaopen_fake"))()

fake.NLMSG_ERROR, fake.NLMSG_DONE = 2, 3
fake.RTM_NEWLINK, fake.RTM_DELLINK, fake.RTM_NEWADDR = 16, 17, 20

--- A message; its length is that of the body, unless another one is claimed.
function fake.message(type, body, claimed)
  return string.pack("=I4I2I2I4I4", claimed or 16 + #body, type, 0, 0, 0) .. body
end

--- An error, or the end of a dump, with its number.
function fake.error(code)
  return fake.message(fake.NLMSG_ERROR, string.pack("=i4I4I2I2I4I4", code, 16, 0, 0, 0, 0))
end

fake.done = fake.message(fake.NLMSG_DONE, string.pack("=i4", 0))

--- What struct ifinfomsg and struct ifaddrmsg say of an interface.
function fake.link(ifindex)
  return string.pack("=BBI2i4I4I4", 0, 0, 1, ifindex, 0, 0)
end

function fake.addr(ifindex)
  return string.pack("=BBBBI4", 2, 24, 0, 0, ifindex)
end

--- What is answered from here on, a datagram each.
function fake.says(...)
  local out = {}
  for i, datagram in ipairs { ... } do
    out[i] = string.pack(">s2", datagram)
  end
  says(table.concat(out))
end

return fake
