# SPDX-License-Identifier: MIT
# Lanes that try to break things; included by the Makefile.

# --- fuzzing: libFuzzer over what reads foreign bytes ------------------------

FUZZ_SECONDS ?= 60
FUZZ_RUNS    ?= -1
FUZZ_JOBS    ?= 2
FUZZ_TARGETS := $(patsubst spec/fuzz/%.c,%,$(filter-out $(addprefix spec/fuzz/,fuzz.c input.c kernel.c record.c),$(wildcard spec/fuzz/*.c)))
FUZZ         ?= $(FUZZ_TARGETS)
FUZZ_FLAGS   := -O2 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined
FUZZ_WRAP    := nsfd_socket sendto recvmsg recv bind setsockopt
fuzz_make     = $(MAKE) --no-print-directory BUILD=build/fuzz CC=clang CFLAGS='$(FUZZ_FLAGS)'

.PHONY: test-fuzz fuzzers
test-fuzz: deps-test deps-fuzz
	$(Q)$(fuzz_make) fuzzers
	$(Q)FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_RUNS='$(FUZZ_RUNS)' FUZZ_JOBS='$(FUZZ_JOBS)' spec/fuzz/run build/fuzz $(FUZZ)

fuzzers: $(FUZZ_TARGETS:%=$(BUILD)/fuzz_%)
	@:

$(BUILD)/fuzz_%: spec/fuzz/%.c spec/fuzz/fuzz.c spec/fuzz/input.c spec/fuzz/kernel.c spec/fuzz/fuzz.h $(CORE_OBJ)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) -Icsrc -fsanitize=fuzzer $(FUZZ_WRAP:%=-Wl,--wrap=%) -o $@ \
	    $(filter %.c %.o,$^) $(CORE_LIBS) $(shell $(PKG_CONFIG) --libs $(lua_pkg))

# the core with that kernel for specs: says what it is told to
FAKE := $(BUILD)/fake/netns/core.so
run-specs: $(FAKE) $(BUILD)/fault/shim.so
$(FAKE): spec/trust/fake.c spec/fuzz/input.c spec/fuzz/kernel.c spec/fuzz/fuzz.h $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -shared -Wl,-z,nodelete $(ALL_CFLAGS) -Icsrc -Ispec/fuzz $(FUZZ_WRAP:%=-Wl,--wrap=%) -o $@ \
	    $(filter %.c %.o,$^) $(CORE_LIBS)

# seeds made of what this kernel says, into SEEDS/TARGET
SEEDS ?= spec/fuzz/corpus
.PHONY: fuzz-seeds
fuzz-seeds: deps-test all build/fuzz/record.so
	$(Q)$(in_tree) NETNS_RECORD=build/fuzz/recording spec/support/isolate \
	    env LD_PRELOAD='$(CURDIR)/build/fuzz/record.so' $(LUA) spec/fuzz/record.lua '$(SEEDS)'

build/fuzz/record.so: spec/fuzz/record.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(WERROR) -O1 -fPIC -shared -o $@ $<

# --- faults: calls and allocations that fail ---------------------------------

FAULT      ?=
FAULT_STEP ?= 1
.PHONY: test-fault
test-fault: deps-test
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/fault/shim.so
	$(Q)$(in_tree) FAULT_STEP='$(FAULT_STEP)' spec/support/isolate sh -c \
	    'LD_PRELOAD=$$NETNS_BUILD/fault/shim.so $$LUA spec/fault/run.lua "$$@"; exit $$?' sh $(FAULT)

$(BUILD)/fault/shim.so: spec/fault/shim.c spec/fault/shim_lua.c spec/fault/shim.h
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -std=gnu11 $(WARNINGS) $(WERROR) -O1 -g -fPIC -fvisibility=hidden -shared $(LUA_CFLAGS) -o $@ \
	    $(filter %.c,$^)

# --- all specs as a user that is nobody: netns.rootless() ---------------------

.PHONY: test-rootless
test-rootless: deps-test
	$(Q)$(MAKE) --no-print-directory all run-rootless SPEC='$(LANE_SPEC)'

.PHONY: run-rootless
run-rootless: $(FAKE) $(BUILD)/fault/shim.so
	$(Q)$(in_tree) CC='$(CC)' TIMEOUT='$(TIMEOUT)' spec/support/isolate spec/support/nobody \
	    env NETNS_ROOTLESS=1 spec/support/run $(ARGS) $(SPEC)

# --- threads: a Lua state in each, and what ThreadSanitizer says of it --------

THREADS         ?= 8
THREADS_SECONDS ?= 60
TSAN            := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
run_threads      = $(in_tree) THREADS='$(THREADS)' THREADS_SECONDS='$(THREADS_SECONDS)' \
                   spec/support/isolate sh -c 'spec/threads/run "$$@"; exit $$?' sh $(NETNS_BUILD)/threads

.PHONY: test-threads test-tsan run-threads
test-threads: deps-test
	$(Q)$(MAKE) --no-print-directory run-threads

test-tsan: deps-test
	$(Q)$(MAKE) --no-print-directory BUILD=build/tsan CFLAGS='$(TSAN)' CC=gcc run-threads

run-threads: all $(BUILD)/threads
	$(Q)$(run_threads)

$(BUILD)/threads: spec/threads/threads.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -fvisibility=default -rdynamic -pthread -o $@ $< $(shell $(PKG_CONFIG) --libs $(lua_pkg))

# --- coverage: which lines the specs run, and which ways out of errors they do not ---

.PHONY: coverage run-coverage
coverage: deps-test deps-coverage
	$(Q)find build/coverage -name '*.gcda' -delete 2>/dev/null || :
	$(Q)$(MAKE) --no-print-directory BUILD=build/coverage CC=gcc CFLAGS='-O0 -g --coverage' SPEC='$(LANE_SPEC)' run-coverage

run-coverage: all
	$(Q)NETNS_COVERAGE='$(abspath $(BUILD))/lua.txt' TIMEOUT=1800 $(MAKE) --no-print-directory alone=yes run-specs
	$(Q)lcov --quiet --capture --directory $(BUILD)/obj --base-directory . --no-external \
	    --output-file $(BUILD)/c.info 2>$(BUILD)/lcov.log || { cat $(BUILD)/lcov.log; exit 1; }
	$(Q)$(LUA) spec/support/coverage_report.lua $(BUILD)

# --- a full collection wherever there may be one: the trials' operations under a Lua that checks itself ---

.PHONY: test-gc run-gc
test-gc: deps-test deps-apicheck
	$(Q)CC='$(CC)' spec/support/build-lua build/gc/lua -DHARDMEMTESTS
	$(Q)$(MAKE) --no-print-directory BUILD=build/gc CFLAGS='-O1 -g' run-gc

run-gc: all $(BUILD)/fault/shim.so
	$(Q)$(in_tree) spec/support/isolate sh -c 'LD_PRELOAD=$$NETNS_BUILD/fault/shim.so $$NETNS_BUILD/lua spec/fault/gc.lua "$$@"; exit $$?' \
	    sh $(FAULT)

# --- for a long time, and much at once ----------------------------------------

SOAK_SECONDS ?= 600
.PHONY: test-soak test-scale
test-soak: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(in_tree) SOAK_SECONDS='$(SOAK_SECONDS)' spec/support/isolate sh -c '$$LUA spec/soak/soak.lua; exit $$?'

# 10,000 namespaces, a million routes, a fat tree of 1,024 hosts; SCALE=10 makes a tenth of it
SCALE ?= 1
test-scale: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(in_tree) SCALE='$(SCALE)' spec/support/isolate sh -c '$$LUA spec/soak/scale.lua; exit $$?'
