/* SPDX-License-Identifier: MIT
 * netns.Packets: captures as Lua objects, and their files. */
#include <string.h>

#include "l_capture.h"
#include "pcapng.h"

#define L_CAPTURE "netns.Packets"
#define AT_ONCE   65536 /* packets written by one call, so that a program can be interrupted */

/* User value: a list of what must live as long (the filters). */
struct l_capture {
    struct capture c; /* c.epoll is -1 once closed */
    struct pcapng file;
    uint64_t written;
};

static struct l_capture *check_open(lua_State *L)
{
    struct l_capture *l = luaL_checkudata(L, 1, L_CAPTURE);

    luaL_argcheck(L, l->c.epoll >= 0, 1, "the capture is closed");
    return l;
}

static int raise(lua_State *L, int err, const char *object)
{
    struct nserr e;

    nserr_sys(&e, -err, "capture", object ? "%s" : NULL, object);
    return l_raise(L, &e);
}

/* Making --------------------------------------------------------------------------------------- */

/* core.capture{ snaplen =, buffer =, limit =, keep = } */
static int l_capture_new(lua_State *L)
{
    struct l_capture *l = l_object(L, sizeof(*l), L_CAPTURE, 1);
    struct nserr e;

    l->c.epoll = l->file.fd = -1;
    l->c.snaplen = (unsigned)l_opt_int(L, 1, "capture", "snaplen", CAPTURE_SNAPLEN_MAX, 1,
                                       CAPTURE_SNAPLEN_MAX);
    l->c.buffer =
        (int)l_opt_int(L, 1, "capture", "buffer", 16 * 1024 * 1024, 4096, 1024 * 1024 * 1024);
    l->c.limit = (uint64_t)l_opt_int(L, 1, "capture", "limit", 0, 1, LUA_MAXINTEGER);
    l->c.keep =
        (size_t)l_opt_int(L, 1, "capture", "keep", 0, CAPTURE_KEEP_MIN, 1 << 30) & ~(size_t)7;
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    return capture_init(&l->c, &e) ? l_raise(L, &e) : 1;
}

/* packets:add(ns, dev, name): what its packets begin with, "ethernet" or "ip"; the link's number */
static int l_capture_add(lua_State *L)
{
    struct l_capture *l = check_open(L);
    struct l_ns *ns = l_ns_check(L, 2);
    const char *dev = luaL_checkstring(L, 3), *name = luaL_checkstring(L, 4);
    unsigned ifindex;
    struct nserr e;

    if (capture_add(&l->c, ns->fd, dev, name, &ifindex, &e) != 0)
        return l_raise(L, &e);
    lua_pushstring(L, l->c.sources[l->c.count - 1]->first == PACKET_ETHERNET ? "ethernet" : "ip");
    lua_pushinteger(L, ifindex);
    return 2;
}

/* packets:start(number, filter | nil, its text | nil, "both" | "in" | "out", promisc): the link
 * added last */
static int l_capture_start(lua_State *L)
{
    static const char *const directions[] = {
        [CAPTURE_BOTH] = "both", [CAPTURE_IN] = "in", [CAPTURE_OUT] = "out", NULL};
    struct l_capture *l = check_open(L);
    unsigned ifindex = (unsigned)luaL_checkinteger(L, 2);
    struct capture_filter none = {0},
                          *filter = lua_isnil(L, 3) ? &none : luaL_checkudata(L, 3, L_FILTER);
    const char *text = luaL_optstring(L, 4, "");
    int direction = luaL_checkoption(L, 5, "both", directions);
    struct capture_source *s;
    struct nserr e;

    luaL_argcheck(L, l->c.count > 0, 1, "there is no link yet");
    s = l->c.sources[l->c.count - 1];
    strncpy(s->filter, text, sizeof(s->filter) - 1);
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, (lua_Integer)l->c.count);
    return capture_start(&l->c, ifindex, filter, (enum capture_direction)direction,
                         lua_toboolean(L, 6), &e)
               ? l_raise(L, &e)
               : 0;
}

/* packets:file(path): all that is read from here on goes there */
static int l_capture_file(lua_State *L)
{
    struct l_capture *l = check_open(L);
    struct nserr e;

    return pcapng_open(&l->file, luaL_checkstring(L, 2), &l->c, &e) ? l_raise(L, &e) : 0;
}

/* Reading -------------------------------------------------------------------------------------- */

static void push_packet(lua_State *L, const struct capture *c, const struct capture_packet *p)
{
    const struct capture_source *s = c->sources[p->source];

    l_packet_push(L, s->first, p->data, p->captured);
    lua_pushnumber(L, (double)p->ns / 1e9);
    lua_setfield(L, -2, "time");
    lua_pushinteger(L, (lua_Integer)p->ns);
    lua_setfield(L, -2, "ns");
    lua_pushinteger(L, p->length);
    lua_setfield(L, -2, "length");
    lua_pushstring(L, s->name);
    lua_setfield(L, -2, "link");
    lua_pushstring(L, p->outgoing ? "out" : "in");
    lua_setfield(L, -2, "direction");
}

/* 1 with the next packet, written to the file if there is one; 0: none now. */
static int next(lua_State *L, struct l_capture *l, const struct capture_packet **p)
{
    int got = capture_next(&l->c, p);

    if (got < 0)
        raise(L, got, NULL);
    if (got && l->file.fd >= 0) {
        int err = pcapng_packet(&l->file, *p);

        if (err)
            raise(L, err, l->file.path);
        l->written++;
    }
    return got;
}

/* packets:read(): the next packet that is there already, or nil */
static int l_capture_read(lua_State *L)
{
    struct l_capture *l = check_open(L);
    const struct capture_packet *p;

    if (!next(L, l, &p))
        return 0;
    push_packet(L, &l->c, p);
    return 1;
}

/* packets:pump(): write what is there; how many packets that were */
static int l_capture_pump(lua_State *L)
{
    struct l_capture *l = check_open(L);
    const struct capture_packet *p;
    lua_Integer count = 0;

    while (count < AT_ONCE && next(L, l, &p))
        count++;
    if (l->file.fd >= 0) {
        int err = pcapng_flush(&l->file);

        if (err)
            return raise(L, err, l->file.path);
    }
    lua_pushinteger(L, count);
    return 1;
}

/* packets:done(): whether no packets come any more, but those that wait */
static int l_capture_done(lua_State *L)
{
    const struct capture *c = &check_open(L)->c;

    lua_pushboolean(L, c->stopped || capture_done(c));
    return 1;
}

static int l_capture_fd(lua_State *L)
{
    lua_pushinteger(L, check_open(L)->c.epoll);
    return 1;
}

/* Keeping -------------------------------------------------------------------------------------- */

/* packets:keep(): into the rings */
static int l_capture_keep(lua_State *L)
{
    struct l_capture *l = check_open(L);
    int err = capture_keep(&l->c);

    return err ? raise(L, err, NULL) : 0;
}

static int l_capture_forget(lua_State *L)
{
    capture_forget(&check_open(L)->c);
    return 0;
}

static int save_one(void *file, const struct capture_packet *p)
{
    return pcapng_packet(file, p);
}

/* packets:save(path): the rings as a file */
static int l_capture_save(lua_State *L)
{
    struct l_capture *l = check_open(L);
    const char *path = luaL_checkstring(L, 2);
    struct nserr e;
    int err = pcapng_open(&l->file, path, &l->c, &e);

    if (err) {
        pcapng_close(&l->file);
        return l_raise(L, &e);
    }
    capture_count(&l->c);
    err = capture_kept(&l->c, save_one, &l->file);
    if (!err)
        err = pcapng_statistics(&l->file, &l->c);
    if (!err)
        err = pcapng_flush(&l->file);
    pcapng_close(&l->file);
    l->file.failed = 0;
    return err ? raise(L, err, path) : 0;
}

struct told {
    lua_State *L;
    const struct capture *c;
    lua_Integer count;
};

static int push_one(void *arg, const struct capture_packet *p)
{
    struct told *t = arg;

    push_packet(t->L, t->c, p);
    lua_rawseti(t->L, -2, ++t->count);
    return 0;
}

/* packets:kept(): the packets in the rings */
static int l_capture_kept(lua_State *L)
{
    struct told t = {L, &check_open(L)->c, 0};

    lua_newtable(L);
    capture_kept(t.c, push_one, &t);
    return 1;
}

/* Counting and closing ------------------------------------------------------------------------- */

static void set_count(lua_State *L, const char *key, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, key);
}

/* packets:stats() */
static int l_capture_stats(lua_State *L)
{
    struct l_capture *l = check_open(L);
    uint64_t received = 0, dropped = 0;

    capture_count(&l->c);
    lua_createtable(L, 0, 4);
    lua_createtable(L, 0, (int)l->c.count);
    for (unsigned i = 0; i < l->c.count; i++) {
        const struct capture_source *s = l->c.sources[i];

        lua_createtable(L, 0, 4);
        set_count(L, "received", s->passed - s->rejected);
        set_count(L, "dropped", s->dropped);
        if (l->c.keep) {
            set_count(L, "kept", s->ring.count);
            set_count(L, "overwritten", s->ring.evicted);
        }
        lua_setfield(L, -2, s->name);
        received += s->passed - s->rejected;
        dropped += s->dropped;
    }
    lua_setfield(L, -2, "links");
    set_count(L, "received", received);
    set_count(L, "dropped", dropped);
    set_count(L, "taken", l->c.taken);
    if (*l->file.path && !l->c.keep)
        set_count(L, "written", l->written);
    return 1;
}

static int finish_file(struct l_capture *l)
{
    int err = 0;

    if (l->file.fd < 0)
        return 0;
    err = pcapng_statistics(&l->file, &l->c);
    if (!err)
        err = pcapng_flush(&l->file);
    pcapng_close(&l->file);
    return err;
}

/* packets:halt(): no more packets come than those that wait to be read. */
static int l_capture_halt(lua_State *L)
{
    capture_stop(&check_open(L)->c);
    return 0;
}

/* packets:finish(): end the file */
static int l_capture_finish(lua_State *L)
{
    struct l_capture *l = check_open(L);
    int err;

    capture_count(&l->c);
    err = finish_file(l);
    return err ? raise(L, err, l->file.path) : 0;
}

static int l_capture_close(lua_State *L)
{
    struct l_capture *l = luaL_checkudata(L, 1, L_CAPTURE);

    capture_count(&l->c);
    finish_file(l);
    capture_free(&l->c);
    return 0;
}

void l_capture_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"add", l_capture_add},       {"start", l_capture_start},
                                       {"file", l_capture_file},     {"read", l_capture_read},
                                       {"pump", l_capture_pump},     {"done", l_capture_done},
                                       {"fd", l_capture_fd},         {"keep", l_capture_keep},
                                       {"forget", l_capture_forget}, {"save", l_capture_save},
                                       {"kept", l_capture_kept},     {"stats", l_capture_stats},
                                       {"halt", l_capture_halt},     {"finish", l_capture_finish},
                                       {"close", l_capture_close},   {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", l_capture_close}, {"__close", l_capture_close}, {NULL, NULL}};

    l_class(L, L_CAPTURE, methods, meta);
    lua_pushcfunction(L, l_capture_new);
    lua_setfield(L, -2, "capture");
    lua_pushinteger(L, CAPTURE_SNAPLEN_MAX);
    lua_setfield(L, -2, "SNAPLEN_MAX");
}
