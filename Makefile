# SPDX-License-Identifier: MIT
# Builds, tests and installs lua-netns. `make V=1` shows the commands.

PREFIX      ?= /usr/local
DESTDIR     ?=
PKG_CONFIG  ?= pkg-config
LUA         ?= lua5.4
INST_LIBDIR ?= $(PREFIX)/lib/lua/5.4
INST_LUADIR ?= $(PREFIX)/share/lua/5.4
INST_MANDIR ?= $(PREFIX)/share/man
INSTALL     ?= install
LUACHECK    ?= luacheck
CLANG_FORMAT ?= clang-format
CFLAGS      ?= -O2 -g
# A second build beside the first, with other flags, needs only another BUILD.
BUILD       ?= build

# pkg-config modules of the module and of the firewall worker
CORE_PKGS   := libnl-3.0 libnl-route-3.0 libnl-genl-3.0
WORKER_PKGS := libnftables
# optional: without it captures have no filters (HAVE_PCAP= leaves it out)
PCAP_PKGS   := libpcap
HAVE_PCAP   ?= $(shell $(PKG_CONFIG) --exists $(PCAP_PKGS) 2>/dev/null && echo yes)
LUA_PKG     := lua5.4 lua-5.4 lua54 lua

comma := ,

V ?= 0
ifeq ($(V),0)
Q   := @
say  = @printf '  %-7s %s\n' '$(1)' '$(2)';
else
Q   :=
say  =
endif

.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

# --- sources: a file dropped into csrc/ or lua/ is built and installed -------

CORE_SRC   := $(filter-out csrc/nft_worker%.c csrc/l_pcap.c,$(wildcard csrc/*.c))
WORKER_SRC := $(wildcard csrc/nft_worker*.c)
# what of the core the worker shares: pure C, no Lua
WORKER_USES := $(wildcard csrc/error.c csrc/nsfd*.c)
# filters of captures, where libpcap is there
PCAP_SRC   := $(if $(HAVE_PCAP),$(wildcard csrc/l_pcap.c))
LUA_SRC    := $(shell find lua -name '*.lua' 2>/dev/null | LC_ALL=C sort)

obj         = $(patsubst csrc/%.c,$(BUILD)/obj/%.o,$(1))
CORE_OBJ   := $(call obj,$(CORE_SRC))
WORKER_OBJ := $(call obj,$(WORKER_SRC) $(if $(WORKER_SRC),$(WORKER_USES)))
CORE       := $(if $(CORE_SRC),$(BUILD)/netns/core.so)
PCAP_OBJ   := $(call obj,$(PCAP_SRC))
PCAP       := $(if $(PCAP_SRC),$(BUILD)/netns/pcap.so)
WORKER     := $(if $(WORKER_SRC),$(BUILD)/netns/nft_worker)

# --- flags: asked of pkg-config once, and only when something is compiled ----

once = $(eval $(1) := $(2))$($(1))
lua_pkg      = $(firstword $(foreach p,$(LUA_PKG),$(shell $(PKG_CONFIG) --exists '$(p) >= 5.4 $(p) < 5.5' 2>/dev/null && echo $(p))))
LUA_CFLAGS   = $(call once,LUA_CFLAGS,$(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(shell $(PKG_CONFIG) --cflags $(lua_pkg))))
PKG_CFLAGS   = $(call once,PKG_CFLAGS,$(shell $(PKG_CONFIG) --cflags $(CORE_PKGS) $(if $(WORKER_SRC),$(WORKER_PKGS))))
CORE_LIBS    = $(call once,CORE_LIBS,$(shell $(PKG_CONFIG) --libs $(CORE_PKGS)))
WORKER_LIBS  = $(call once,WORKER_LIBS,$(shell $(PKG_CONFIG) --libs $(WORKER_PKGS)))

WARNINGS   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wpointer-arith -Wvla
ALL_CFLAGS  = -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(WERROR) -fPIC -fvisibility=hidden $(CPPFLAGS) $(CFLAGS) \
              $(LUA_CFLAGS) $(PKG_CFLAGS)
ALL_LDFLAGS = -Wl,--as-needed -Wl,-z,relro,-z,now $(LDFLAGS)

# --- building ----------------------------------------------------------------

.PHONY: all objects
all: $(CORE) $(WORKER) $(PCAP)
	@:
objects: $(CORE_OBJ) $(WORKER_OBJ) $(PCAP_OBJ)
	@:

# nodelete: the tables that the codec prepares once live as long as the process,
# also where a Lua state closes (and with it the library) and another one opens.
$(BUILD)/netns/core.so: $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -shared -Wl,-z,nodelete $(ALL_LDFLAGS) $(CFLAGS) -o $@ $(CORE_OBJ) $(CORE_LIBS)

$(BUILD)/netns/pcap.so: $(PCAP_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -shared $(ALL_LDFLAGS) $(CFLAGS) -o $@ $(PCAP_OBJ) $(shell $(PKG_CONFIG) --libs $(PCAP_PKGS))

$(BUILD)/netns/nft_worker: $(WORKER_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) $(CFLAGS) -o $@ $(WORKER_OBJ) $(WORKER_LIBS)

$(BUILD)/obj/%.o: csrc/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(BUILD)/obj/*.d)

# --- running in the source tree ----------------------------------------------

export NETNS_BUILD := $(abspath $(BUILD))
in_tree = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u LUA_INIT_5_4 -u LUA_INIT -u LUA_PATH_5_4 -u LUA_CPATH_5_4 LUA='$(LUA)' \
          LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$(CURDIR)/?.lua;;' \
          LUA_CPATH='$(NETNS_BUILD)/?.so;;'

# Set-up: installs what is missing where there are root and apt, otherwise
# names the missing packages. The groups are those of .ci/deps.
DEPS := $(addprefix deps-,demo test lint docs deb rock packages valgrind apicheck fuzz coverage peers)
.PHONY: deps $(DEPS)
deps: deps-demo
$(DEPS): deps-%:
	$(Q)LUA='$(LUA)' PKG_CONFIG='$(PKG_CONFIG)' sh .ci/deps build $*

.PHONY: demo test
demo: deps-demo
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(in_tree) $(LUA) examples/quickstart.lua

# A script, with the module from this tree: make run RUN=examples/nat.lua
.PHONY: run
run: deps-demo
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(in_tree) $(LUA) $(RUN)

# SPEC=spec/foo_spec.lua runs one file, ARGS="--filter=x --shuffle" goes to
# busted, TIMEOUT ends a run that hangs (seconds). Several files without ARGS run
# four at a time, JOBS such runs side by side.
SPEC    ?= spec
ARGS    ?=
TIMEOUT ?= 900
JOBS    ?= $(shell nproc)
alone    = $(strip $(ARGS) $(and $(filter 1,$(words $(SPEC))),$(filter %_spec.lua,$(SPEC))))
run      = spec/support/isolate spec/support/run
test: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(MAKE) --no-print-directory run-specs

.PHONY: run-specs
run-specs:
	$(Q)$(in_tree) CC='$(CC)' TIMEOUT='$(TIMEOUT)' \
	    $(if $(alone),$(run) $(ARGS) $(SPEC),spec/support/side_by_side $(JOBS) 4 $(run) -- $(SPEC))

# --- heavier lanes: the same specs with a core, or a Lua, that checks itself --

# not the specs about the project itself
LANE_SPEC ?= $(filter-out $(patsubst %,spec/%_spec.lua,bench handler layers leaks project), \
               $(shell find spec -name '*_spec.lua' | LC_ALL=C sort))
ifneq ($(SPEC),spec)
LANE_SPEC := $(SPEC)
endif

lane = $(MAKE) --no-print-directory BUILD=build/$(1) LUA='$(CURDIR)/spec/support/lua-$(1)' SPEC='$(LANE_SPEC)' \
       TIMEOUT=3600 CFLAGS='$(2)' $(3) all run-specs

SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined

.PHONY: test-asan test-valgrind test-apicheck
# addresses, leaks, undefined behaviour
test-asan: deps-test
	$(Q)$(call lane,asan,$(SANITIZE),CC=gcc build/asan/asan_shim.so)

$(BUILD)/asan_shim.so: spec/support/asan_shim.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) -std=gnu11 $(WARNINGS) $(WERROR) -O1 -fPIC -shared -o $@ $<

# memory and file descriptors, as the stock build uses them
test-valgrind: deps-test deps-valgrind
	$(Q)$(call lane,valgrind,-O1 -g)

# a Lua that checks every call of its C API, and moves its stack whenever it may
test-apicheck: deps-test deps-apicheck
	$(Q)CC='$(CC)' spec/support/build-lua build/apicheck/lua
	$(Q)$(call lane,apicheck,-O1 -g)

include spec/trust.mk

# --- the specs under a kernel that has everything: spec/kernel ---------------

KERNEL_TIMEOUT ?= 1400
# all but those that no kernel matters to, and those that kill by the hundred: a User-Mode Linux may
# crash when a process is killed in the middle of a clone
KERNEL_SPEC ?= $(filter-out $(patsubst %,spec/%_spec.lua,bench handler layers project topology/kill trust/kill), \
                 $(shell find spec -name '*_spec.lua' | LC_ALL=C sort))
STOCK_SPEC  ?= $(wildcard spec/kernel/*_spec.lua spec/kinds/*_spec.lua) $(patsubst %,spec/tc/%_spec.lua,class impair)
ifneq ($(SPEC),spec)
KERNEL_SPEC := $(SPEC)
STOCK_SPEC  := $(SPEC)
endif
in_guest = $(in_tree) CC='$(CC)' TIMEOUT='$(KERNEL_TIMEOUT)' spec/kernel/suite

.PHONY: test-kernel test-kernel-stock
# a User-Mode Linux, built once from Debian's kernel source
test-kernel: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(in_guest) uml $(ARGS) $(KERNEL_SPEC)

# Debian's own kernel, modules and all, in QEMU's emulation: some ten times slower
test-kernel-stock: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(in_guest) qemu $(ARGS) $(STOCK_SPEC)

# WORK="routes star" runs the works whose name holds one of the words.
WORK ?=
.PHONY: bench bench-peers bench-scale bench-counts
bench: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(in_tree) spec/support/isolate $(LUA) spec/bench/run.lua $(ARGS) $(WORK)

# the same, with the peers installed: pyroute2, Mininet, netlink for Go
bench-peers: deps-peers bench

# what a node costs in networks of 10 to 10,000 nodes
bench-scale: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(in_tree) spec/support/isolate $(LUA) spec/bench/scale.lua $(ARGS)

# system calls, bytes and instructions: against spec/bench/counts.txt, or with ARGS=--write into it
bench-counts: deps-test deps-valgrind
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(in_tree) spec/support/isolate $(LUA) spec/bench/counts.lua $(ARGS) $(WORK)

# --- checking ----------------------------------------------------------------

LINT_CC ?= gcc clang
# Each version of clang-format has a taste of its own; the sources follow that of
# this one, and elsewhere there is nothing to compare with.
FORMAT_VERSION := 14
format_differs = $(CLANG_FORMAT) --version | grep -q 'version $(FORMAT_VERSION)\.' || { \
    echo '          left out: the sources follow clang-format $(FORMAT_VERSION)'; exit 0; };
.PHONY: lint lint-lua lint-format lint-cc
lint: deps-lint
	$(Q)$(MAKE) --no-print-directory lint-lua lint-format lint-cc

lint-lua:
	$(call say,LINT,lua spec examples)$(LUACHECK) -q --no-color $(wildcard lua spec examples examples/cni/netns-bridge)

lint-format:
	$(call say,LINT,clang-format)$(format_differs)find $(wildcard csrc spec examples) -name '*.[ch]' -print0 | xargs -0r $(CLANG_FORMAT) --dry-run -Werror

lint-cc: $(LINT_CC:%=lint-cc-%)
lint-cc-%:
	$(call say,LINT,$*)$(MAKE) --no-print-directory CC=$* BUILD=build/lint-$* WERROR=-Werror V=$(V) objects

# --- documentation, installing, cleaning -------------------------------------

.PHONY: docs install uninstall clean
# All from the comments in lua/ and the rows in the core: lua/netns/reference.
write = $(in_tree) $(LUA) -e 'require("netns.reference.write").$(1)'
docs: deps-docs
	$(Q)$(MAKE) --no-print-directory all
	$(call say,DOC,doc/)rm -rf doc && mkdir doc && $(call write,pages "doc")

$(BUILD)/netns.3lua: $(LUA_SRC) $(CORE)
	$(call say,DOC,$@)$(call write,man("$@"$(comma) os.date("!%Y-%m-%d"$(comma) tonumber(os.getenv "SOURCE_DATE_EPOCH"))))

$(BUILD)/library/netns.lua: $(LUA_SRC) $(CORE)
	@mkdir -p $(@D)/netns
	$(call say,DOC,$(@D))$(call write,definitions "$(@D)")

install: all $(BUILD)/netns.3lua $(BUILD)/library/netns.lua
	$(call say,INSTALL,$(DESTDIR)$(INST_LIBDIR)/netns)$(INSTALL) -d '$(DESTDIR)$(INST_LIBDIR)/netns'
	$(Q)$(INSTALL) -m 755 $(CORE) $(WORKER) $(PCAP) '$(DESTDIR)$(INST_LIBDIR)/netns'
	$(call say,INSTALL,$(DESTDIR)$(INST_LUADIR)/netns)$(INSTALL) -d '$(DESTDIR)$(INST_LUADIR)/netns'
	$(Q)for f in $(LUA_SRC:lua/%=%); do \
	    $(INSTALL) -D -m 644 "lua/$$f" '$(DESTDIR)$(INST_LUADIR)'/"$$f" || exit 1; \
	done
	$(Q)cd $(BUILD)/library && find . -name '*.lua' -exec $(INSTALL) -D -m 644 {} '$(DESTDIR)$(INST_LUADIR)/netns/library/'{} \;
	$(call say,INSTALL,$(DESTDIR)$(INST_MANDIR)/man3)$(INSTALL) -D -m 644 $(BUILD)/netns.3lua '$(DESTDIR)$(INST_MANDIR)/man3/netns.3lua'

uninstall:
	$(Q)rm -f $(foreach f,core.so nft_worker pcap.so,'$(DESTDIR)$(INST_LIBDIR)/netns/$f')
	$(Q)rm -f $(foreach f,$(LUA_SRC:lua/%=%),'$(DESTDIR)$(INST_LUADIR)/$f')
	$(Q)rm -rf '$(DESTDIR)$(INST_LUADIR)/netns/library'
	$(Q)rm -f '$(DESTDIR)$(INST_MANDIR)/man3/netns.3lua'
	$(Q)for d in '$(DESTDIR)$(INST_LIBDIR)/netns' '$(DESTDIR)$(INST_LUADIR)/netns'; do \
	    test ! -d "$$d" || find "$$d" -depth -type d -empty -delete; \
	done

# --- packages: rockspec/ ------------------------------------------------------

VERSION = $(call once,VERSION,$(shell sed -n 's/^return "\(.*\)"$$/\1/p' lua/netns/version.lua))
DEBIAN  = $(BUILD)/debian/lua-netns-$(VERSION)

# A Debian source package and what is built from it, in $(BUILD)/debian. The
# description is rockspec/debian; the version is the module's.
.PHONY: deb test-packages
deb: deps-deb
	$(call say,DEB,$(BUILD)/debian)rm -rf '$(BUILD)/debian' && mkdir -p '$(DEBIAN)' && \
	    tar -c --exclude=./build --exclude=./doc --exclude=./.git . | tar -x -C '$(DEBIAN)' && \
	    cp -r rockspec/debian '$(DEBIAN)/debian' && \
	    printf 'lua-netns (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' '$(VERSION)' \
	        "$$(sed -n 's/^Maintainer: //p' rockspec/debian/control)" \
	        "$$(date -u -R $${SOURCE_DATE_EPOCH:+-d @$$SOURCE_DATE_EPOCH})" >'$(DEBIAN)/debian/changelog' && \
	    cd '$(DEBIAN)' && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u NETNS_BUILD \
	        dpkg-buildpackage -us -uc $(if $(filter 1,$(V)),,>../build.log 2>&1 || { tail -n 50 ../build.log; exit 1; })

# A rock of the sources, with the module's version, in $(BUILD)/rock.
ROCK = $(abspath $(BUILD))/rock
.PHONY: rock
rock: deps-rock
	$(call say,ROCK,$(BUILD)/rock)rm -rf '$(ROCK)' && mkdir -p '$(ROCK)' && \
	    tar -c --exclude=./build --exclude=./doc --exclude=./.git --transform 's,^\.,netns-$(VERSION),' . | \
	        gzip -9n >'$(ROCK)/netns-$(VERSION).tar.gz' && \
	    sed -e 's/^version = .*/version = "$(VERSION)-1"/' \
	        -e 's|^   url = .*|   url = "file://$(ROCK)/netns-$(VERSION).tar.gz",|' \
	        rockspec/netns-scm-1.rockspec >'$(ROCK)/netns-$(VERSION)-1.rockspec' && \
	    cd '$(ROCK)' && luarocks --lua-version=5.4 pack netns-$(VERSION)-1.rockspec >/dev/null

# Each way of installing, in a fresh root of its own: PACKAGES="make rock deb".
PACKAGES ?= make luarocks sources rock deb
test-packages: deps-packages
	$(Q)spec/packages/run $(PACKAGES)

clean:
	$(Q)rm -rf build doc
