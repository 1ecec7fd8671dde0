/* SPDX-License-Identifier: MIT
 * core.nft_run, nft_worker, nft_stop: the firewall worker from Lua; netns.nft has the nouns. */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <netlink/msg.h>

#include "l_json.h"
#include "l_nft_event.h"
#include "nft.h"

#define L_ANSWER        "netns.NftAnswer"
#define TIMEOUT_DEFAULT 60.0
#define TIMEOUT_MAX     86400.0
#define ERRNO_MAX       134

/* A request's descriptors and what is mapped of them, while Lua is called. */
struct l_answer {
    struct nft_result result;
    char *map;
    size_t len;
};

static void unmap(struct l_answer *a)
{
    if (a->map)
        munmap(a->map, a->len);
    a->map = NULL;
    a->len = 0;
}

static void answer_free(struct l_answer *a)
{
    unmap(a);
    nft_result_free(&a->result);
}

static int l_answer__gc(lua_State *L)
{
    answer_free(luaL_checkudata(L, 1, L_ANSWER));
    return 0;
}

/* The file's text as a->map and a->len; empty ones are NULL and 0. */
static void map_file(lua_State *L, struct l_answer *a, int fd)
{
    struct stat st;
    struct nserr e;
    void *map;

    unmap(a);
    if (fstat(fd, &st) != 0) {
        nserr_sys(&e, errno, "nft run", "answer");
        l_raise(L, &e);
    }
    if (st.st_size == 0)
        return;
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (map == MAP_FAILED) {
        nserr_sys(&e, errno, "nft run", "answer of %lld bytes", (long long)st.st_size);
        l_raise(L, &e);
    }
    a->map = map;
    a->len = (size_t)st.st_size;
}

static uint32_t read_flags(lua_State *L, int idx)
{
    static const struct {
        const char *key;
        uint32_t flag;
    } map[] = {
        {"json", NFT_RUN_JSON},           {"echo", NFT_RUN_ECHO},     {"handle", NFT_RUN_HANDLE},
        {"check", NFT_RUN_CHECK},         {"terse", NFT_RUN_TERSE},   {"numeric", NFT_RUN_NUMERIC},
        {"stateless", NFT_RUN_STATELESS}, {"events", NFT_RUN_EVENTS}, {"dump", NFT_RUN_DUMP},
        {"rules", NFT_RUN_RULES},         {"rules", NFT_RUN_RULES},
    };
    uint32_t flags = 0;

    for (size_t i = 0; i < ARRAY_LEN(map); i++)
        if (l_opt_bool(L, idx, "nft run", map[i].key, 0))
            flags |= map[i].flag;
    return flags;
}

/* The netns.Error, with what only the worker's errors have. */
static int raise(lua_State *L, struct l_ns *ns, const struct l_answer *a, struct nserr *e)
{
    nserr_context(e, "nft run", NULL, ns->label);
    l_push_error(L, e);
    if (a->result.unknown) {
        lua_pushliteral(L, "unknown");
        lua_setfield(L, -2, "committed");
    }
    if (*a->result.words) {
        lua_pushstring(L, a->result.words);
        lua_setfield(L, -2, "words");
    }
    return lua_error(L);
}

/* Push the list of what was printed: JSON documents, and as strings what libnftables 1.0.6 prints
 * as text all the same (`get element`, `describe`). */
static void push_documents(lua_State *L, struct l_answer *a)
{
    static const char mark[] = "{\"nftables\"";
    const char *at = a->map, *end = a->map + a->len;
    lua_Integer n = 0;

    lua_newtable(L);
    while (at < end) {
        int top = lua_gettop(L);
        const char *from = at, *next;

        if (l_json_decode(L, &at, end, L_JSON_NULL_IS_TRUE)) {
            lua_settop(L, top);
            next = memmem(from + 1, (size_t)(end - from - 1), mark, sizeof(mark) - 1);
            at = next ? next : end;
            lua_pushlstring(L, from, (size_t)(at - from));
        }
        lua_rawseti(L, -2, ++n);
    }
}

/* Push the list of messages that nf_tables sent; nil where some were lost. */
static void push_state(lua_State *L, struct l_answer *a)
{
    struct nlmsghdr *h;
    lua_Integer n = 0;
    int left;

    if (a->result.state_code) {
        lua_pushnil(L);
        return;
    }
    map_file(L, a, a->result.state);
    lua_newtable(L);
    h = (struct nlmsghdr *)a->map;
    left = (int)a->len;
    for (; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
        if (l_nft_event(L, h))
            lua_rawseti(L, -2, ++n);
}

/* core.nft_run(ns, text, opts): true, or false where nft refused; what was printed, as a list of
 * JSON documents with opts.json and as text otherwise; nft's messages; true where the echo that
 * that was asked for could not be had; with opts.events, which tables were made, with opts.rules
 * beside it also which rules, with opts.dump, all tables, chains, sets and flowtables: as
 * l_nft_event gives them, or nil where they are not all known. */
static int l_nft_run(lua_State *L)
{
    static const char *const keys[] = {"json",   "echo",    "handle",    "check",
                                       "terse",  "numeric", "stateless", "timeout",
                                       "events", "rules",   "dump",      NULL};
    struct l_ns *ns = l_ns_check(L, 1);
    struct nft_job job = {0};
    struct l_answer *a;
    struct nserr e;

    lua_settop(L, 3);
    job.text = luaL_checklstring(L, 2, &job.len);
    l_check_keys(L, 3, "nft run", keys);
    job.flags = read_flags(L, 3);
    job.timeout = l_opt_number(L, 3, "nft run", "timeout", TIMEOUT_DEFAULT, 0.001, TIMEOUT_MAX);
    a = l_object(L, sizeof(*a), L_ANSWER, 0);
    a->result.out = a->result.err = a->result.state = -1;
    job.netns = ns->fd; /* a finalizer may have closed it until here, but not from here on */
    if (nft_run(&job, &a->result, &e) != 0)
        return raise(L, ns, a, &e);
    lua_pushboolean(L, !a->result.failed);
    map_file(L, a, a->result.out);
    if ((job.flags & NFT_RUN_JSON) && !a->result.failed)
        push_documents(L, a);
    else
        lua_pushlstring(L, a->map ? a->map : "", a->len);
    map_file(L, a, a->result.err);
    lua_pushlstring(L, a->map ? a->map : "", a->len);
    lua_pushboolean(L, a->result.no_echo);
    if ((job.flags & (NFT_RUN_EVENTS | NFT_RUN_DUMP)) && !a->result.failed)
        push_state(L, a);
    else
        lua_pushnil(L);
    answer_free(a);
    return 5;
}

/* core.nft_errno(message): number and name of the errno whose words stand in nft's message. */
static int l_nft_errno(lua_State *L)
{
    const char *message = luaL_checkstring(L, 1);

    for (int code = 1; code < ERRNO_MAX; code++) {
        const char *words = strerrordesc_np(code);
        if (!words || !strstr(message, words))
            continue;
        lua_pushinteger(L, code);
        lua_pushstring(L, nserr_name(code));
        lua_pushstring(L, words);
        return 3;
    }
    return 0;
}

/* core.nft_worker(): pid (nil where none runs), rss in bytes, requests served by this worker,
 * workers started by this process so far. */
static int l_nft_worker(lua_State *L)
{
    struct nft_status status;

    nft_status(&status);
    if (status.pid)
        lua_pushinteger(L, status.pid);
    else
        lua_pushnil(L);
    lua_pushinteger(L, (lua_Integer)status.rss);
    lua_pushinteger(L, (lua_Integer)status.runs);
    lua_pushinteger(L, (lua_Integer)status.count);
    return 4;
}

static int l_nft_stop(lua_State *L)
{
    (void)L;
    nft_stop();
    return 0;
}

void l_nft_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"nft_run", l_nft_run},
                                         {"nft_worker", l_nft_worker},
                                         {"nft_stop", l_nft_stop},
                                         {"nft_errno", l_nft_errno},
                                         {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_answer__gc}, {NULL, NULL}};

    nft_locate();
    l_class(L, L_ANSWER, NULL, meta);
    luaL_setfuncs(L, functions, 0);
}
