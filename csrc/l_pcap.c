/* SPDX-License-Identifier: MIT
 * netns.pcap: the words of a filter become a program, by libpcap. A library of its own, so that
 * the core needs no libpcap. */
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "l_capture.h"

struct l_filter {
    struct capture_filter filter; /* what the core sees */
    struct bpf_program program;
};

static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter),
              "the kernel's instructions are libpcap's");

static unsigned run(const struct sock_filter *code, const uint8_t *data, unsigned length,
                    unsigned captured)
{
    return bpf_filter((const struct bpf_insn *)code, data, length, captured);
}

static int l_filter__gc(lua_State *L)
{
    struct l_filter *f = luaL_checkudata(L, 1, L_FILTER);

    f->filter = (struct capture_filter){0};
    pcap_freecode(&f->program);
    return 0;
}

/* Whether the word stands in the text. Programs that look at a VLAN tag look into the packet for
 * it, where the kernel no longer has it. */
static bool has_word(const char *text, const char *word)
{
    const char *const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

    for (const char *at = text; (at = strstr(at, word)); at++)
        if ((at == text || !strchr(letters, at[-1])) &&
            (!at[strlen(word)] || !strchr(letters, at[strlen(word)])))
            return true;
    return false;
}

/* pcap.compile(text, "ethernet" | "ip", snaplen): a filter; or nil and libpcap's words. */
static int l_pcap_compile(lua_State *L)
{
    static const char *const firsts[] = {"ethernet", "ip", NULL};
    const char *text = luaL_checkstring(L, 1);
    const int link = luaL_checkoption(L, 2, NULL, firsts) ? DLT_RAW : DLT_EN10MB;
    const int snaplen = (int)luaL_checkinteger(L, 3);
    struct l_filter *f = lua_newuserdatauv(L, sizeof(*f), 0);
    char words[PCAP_ERRBUF_SIZE] = "not enough memory";
    pcap_t *dead;
    int err = -1;

    memset(f, 0, sizeof(*f));
    luaL_setmetatable(L, L_FILTER);
    dead = pcap_open_dead(link, snaplen);
    if (dead) {
        err = pcap_compile(dead, &f->program, text, 1, PCAP_NETMASK_UNKNOWN);
        strncpy(words, pcap_geterr(dead), sizeof(words) - 1);
        pcap_close(dead);
    }
    if (err) {
        lua_pushnil(L);
        lua_pushstring(L, words);
        return 2;
    }
    f->filter.code = (struct sock_filter *)f->program.bf_insns;
    f->filter.count = f->program.bf_len;
    f->filter.run = has_word(text, "vlan") ? run : NULL;
    return 1;
}

__attribute__((visibility("default"))) int luaopen_netns_pcap(lua_State *L)
{
    static const luaL_Reg functions[] = {{"compile", l_pcap_compile}, {NULL, NULL}};

    if (luaL_newmetatable(L, L_FILTER)) {
        lua_pushcfunction(L, l_filter__gc);
        lua_setfield(L, -2, "__gc");
        lua_pushliteral(L, L_FILTER);
        lua_setfield(L, -2, "__metatable");
    }
    luaL_newlib(L, functions);
    lua_pushstring(L, pcap_lib_version());
    lua_setfield(L, -2, "version");
    return 1;
}
