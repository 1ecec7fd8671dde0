rockspec_format = "3.0"
package = "netns"
version = "scm-1"

-- `luarocks make` builds the tree it stands in and fetches nothing; the URL is not
-- looked at then. `make rock` packs the sources, with a version, for elsewhere.
source = {
   url = "git+file://.",
}

description = {
   summary = "Linux network namespaces as Lua objects",
   detailed = [[
      A C core wraps namespace creation, scoped execution, links, addresses,
      routes and the firewall as Lua objects; pure Lua on top composes them into
      reusable topologies. For network test scripts, orchestration and the REPL.
   ]],
   license = "MIT",
   labels = { "linux", "network", "namespace", "netlink", "nftables" },
}

supported_platforms = { "linux" }

dependencies = {
   "lua >= 5.4, < 5.5",
}

build = {
   type = "make",
   build_target = "all",
   install_target = "install",
   build_variables = {
      CC = "$(CC)",
      CFLAGS = "$(CFLAGS)",
      LUA_INCDIR = "$(LUA_INCDIR)",
   },
   install_variables = {
      LUA = "$(LUA)",
      LUA_INCDIR = "$(LUA_INCDIR)",
      INST_MANDIR = "$(PREFIX)/man",
      INST_LIBDIR = "$(LIBDIR)",
      INST_LUADIR = "$(LUADIR)",
   },
}
