/* SPDX-License-Identifier: MIT
 * netns.Probes: sets of probes as Lua objects. */
#include <assert.h>
#include <math.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "codec.h"
#include "l_core.h"
#include "probe.h"

#define L_PROBES "netns.Probes"

struct l_probes {
    struct probe_set *set; /* NULL: closed */
};

static struct probe_set *check_set(lua_State *L)
{
    struct l_probes *probes = luaL_checkudata(L, 1, L_PROBES);

    if (!probes->set)
        luaL_argerror(L, 1, "the probes are closed");
    return probes->set;
}

/* core.probes() */
static int l_probes_new(lua_State *L)
{
    struct l_probes *probes = l_object(L, sizeof(*probes), L_PROBES, 0);
    struct nserr e;

    probes->set = probe_set_new(&e);
    return probes->set ? 1 : l_raise(L, &e);
}

static int l_probes_close(lua_State *L)
{
    struct l_probes *probes = luaL_checkudata(L, 1, L_PROBES);

    probe_set_free(probes->set);
    probes->set = NULL;
    return 0;
}

/* Adding ------------------------------------------------------------------------------------- */

// clang-format off
static const char *const kinds[] = {
    [PROBE_PING] = "ping", [PROBE_TRACE] = "traceroute", [PROBE_MTU] = "path_mtu",
    [PROBE_TCP] = "tcp", [PROBE_UDP] = "udp", NULL};
static const char *const keys_ping[] = {"count", "interval", "timeout", "size", "ttl", "source",
                                        "dev", "df", "tos", "mark", "pattern", NULL};
static const char *const keys_trace[] = {"first_ttl", "max_ttl", "tries", "timeout", "size",
                                         "source", "dev", "tos", "mark", NULL};
static const char *const keys_mtu[] = {"min", "max", "tries", "timeout", "source", "dev", "tos",
                                       "mark", NULL};
static const char *const keys_tcp[] = {"port", "tries", "timeout", "ttl", "source", "dev", "tos",
                                       "mark", NULL};
static const char *const keys_udp[] = {"port", "payload", "tries", "timeout", "ttl", "source",
                                       "dev", "tos", "mark", NULL};
static const char *const *const keys[] = {
    [PROBE_PING] = keys_ping, [PROBE_TRACE] = keys_trace, [PROBE_MTU] = keys_mtu,
    [PROBE_TCP] = keys_tcp, [PROBE_UDP] = keys_udp};
/* Seconds that a shot is waited for by default. */
static const double timeouts[] = {
    [PROBE_PING] = 2, [PROBE_TRACE] = 1, [PROBE_MTU] = 0.5, [PROBE_TCP] = 2, [PROBE_UDP] = 1};
// clang-format on

static_assert(ARRAY_LEN(kinds) == PROBE_UDP + 2, "every kind has a name");

/* "10.0.0.1", "fe80::1%eth0"; the link goes to dev. */
static void parse_address(lua_State *L, const char *op, const char *key, const char *text,
                          struct probe_addr *out, char dev[16])
{
    char plain[64];
    const char *percent = strchr(text, '%');
    size_t len = percent ? (size_t)(percent - text) : strlen(text);

    out->family = 0;
    if (len < sizeof(plain)) {
        memcpy(plain, text, len);
        plain[len] = 0;
        out->family = codec_parse_ip(plain, out->bytes);
    }
    if (!out->family || (percent && (!percent[1] || strlen(percent + 1) >= IFNAMSIZ)))
        l_misuse(L, "%s: %s must be an IPv4 or IPv6 address, got \"%s\"", op, key, text);
    if (percent)
        snprintf(dev, IFNAMSIZ, "%s", percent + 1);
}

static const char *check_text(lua_State *L, int idx)
{
    size_t len;
    const char *text;

    luaL_checktype(L, idx, LUA_TSTRING);
    text = lua_tolstring(L, idx, &len);
    luaL_argcheck(L, strlen(text) == len, idx, "must not contain NUL bytes");
    return text;
}

static uint64_t opt_seconds(lua_State *L, const char *op, const char *key, double def, double min)
{
    return (uint64_t)(l_opt_number(L, 5, op, key, def, min, 86400) * 1e9);
}

/* A string that may hold any bytes; stays on the stack. */
static void opt_bytes(lua_State *L, const char *op, const char *key, struct probe_spec *spec)
{
    int type = lua_istable(L, 5) ? lua_getfield(L, 5, key) : (lua_pushnil(L), LUA_TNIL);

    if (type == LUA_TNIL)
        return;
    if (type != LUA_TSTRING)
        l_misuse(L, "%s: %s must be a string, got %s", op, key, luaL_typename(L, -1));
    spec->payload = lua_tolstring(L, -1, &spec->payload_len);
    if (spec->payload_len > PROBE_SIZE_MAX)
        l_misuse(L, "%s: %s must not be longer than %d bytes", op, key, PROBE_SIZE_MAX);
}

static unsigned opt_uint(lua_State *L, const char *op, const char *key, lua_Integer def,
                         lua_Integer min, lua_Integer max)
{
    return (unsigned)l_opt_int(L, 5, op, key, def, min, max);
}

/* Links and the source address, which all kinds may have. */
static void read_origin(lua_State *L, const char *op, struct probe_spec *spec)
{
    const char *text = l_opt_str(L, 5, op, "source");

    if (text) {
        parse_address(L, op, "source", text, &spec->src, spec->dev);
        if (spec->src.family != spec->dst.family)
            l_misuse(L, "%s: source and destination must be of one family", op);
    }
    text = l_opt_str(L, 5, op, "dev");
    if (text) {
        if (!*text || strlen(text) >= IFNAMSIZ)
            l_misuse(L, "%s: dev must be the name of a link, got \"%s\"", op, text);
        snprintf(spec->dev, sizeof(spec->dev), "%s", text);
    }
    spec->tos = opt_uint(L, op, "tos", 0, 0, 255);
    spec->mark = opt_uint(L, op, "mark", 0, 0, UINT32_MAX);
}

static void read_ping(lua_State *L, const char *op, struct probe_spec *spec)
{
    spec->count = opt_uint(L, op, "count", 1, 1, PROBE_SHOTS_MAX);
    spec->interval = opt_seconds(L, op, "interval", 1, 0);
    spec->size = opt_uint(L, op, "size", 56, 0, PROBE_SIZE_MAX);
    spec->ttl = opt_uint(L, op, "ttl", 0, 1, 255);
    spec->df = l_opt_bool(L, 5, op, "df", 0);
    opt_bytes(L, op, "pattern", spec);
}

static void read_trace(lua_State *L, const char *op, struct probe_spec *spec)
{
    spec->first = opt_uint(L, op, "first_ttl", 1, 1, 255);
    spec->max = opt_uint(L, op, "max_ttl", spec->first > 30 ? 255 : 30, spec->first, 255);
    spec->size = opt_uint(L, op, "size", 56, 0, PROBE_SIZE_MAX);
    spec->count = opt_uint(L, op, "tries", 2, 1, 100);
}

static void read_mtu(lua_State *L, const char *op, struct probe_spec *spec)
{
    unsigned least = spec->dst.family == AF_INET ? 68 : 1280;

    spec->first = opt_uint(L, op, "min", least, least, 65535);
    spec->max = opt_uint(L, op, "max", 65535, spec->first, 65535);
    spec->count = opt_uint(L, op, "tries", 2, 1, 100);
}

static void read_sock(lua_State *L, const char *op, struct probe_spec *spec)
{
    if (lua_getfield(L, 5, "port") == LUA_TNIL)
        l_misuse(L, "%s: port is missing", op);
    spec->port = (uint16_t)opt_uint(L, op, "port", 0, 1, 65535);
    spec->ttl = opt_uint(L, op, "ttl", 0, 1, 255);
    spec->count = opt_uint(L, op, "tries", 1, 1, 100);
    if (spec->kind == PROBE_UDP)
        opt_bytes(L, op, "payload", spec);
}

/* probes:add(kind, namespace, dst, opts): its number, from 1. */
static int l_probes_add(lua_State *L)
{
    static void (*const readers[])(lua_State *, const char *,
                                   struct probe_spec *) = {[PROBE_PING] = read_ping,
                                                           [PROBE_TRACE] = read_trace,
                                                           [PROBE_MTU] = read_mtu,
                                                           [PROBE_TCP] = read_sock,
                                                           [PROBE_UDP] = read_sock};
    struct probe_set *set = check_set(L);
    struct probe_spec spec = {.kind = (enum probe_kind)luaL_checkoption(L, 2, NULL, kinds)};
    const char *op = kinds[spec.kind];
    struct l_ns *ns = l_ns_check(L, 3);
    struct probe_source *source;
    struct nserr e;
    int number;

    lua_settop(L, 5);
    l_check_keys(L, 5, op, keys[spec.kind]);
    parse_address(L, op, "the destination", check_text(L, 4), &spec.dst, spec.dev);
    read_origin(L, op, &spec);
    readers[spec.kind](L, op, &spec);
    spec.timeout = opt_seconds(L, op, "timeout", timeouts[spec.kind], 0.001);
    source = probe_set_source(set, ns->fd, ns->dev, ns->ino, &e);
    number = source ? probe_add(set, source, &spec, &e) : -1;
    if (number < 0) {
        nserr_context(&e, op, lua_tostring(L, 4), ns->label);
        return l_raise(L, &e);
    }
    lua_pushinteger(L, number + 1);
    return 1;
}

/* Running ------------------------------------------------------------------------------------ */

/* probes:step(seconds): do what there is to do, waiting for it at most that long (nil: as long
 * as it takes; 0: not at all). How many are not done yet; nil where a signal came in between. */
static int l_probes_step(lua_State *L)
{
    struct probe_set *set = check_set(L);
    double seconds = luaL_optnumber(L, 2, -1);
    struct nserr e;
    int left;

    luaL_argcheck(L, !isnan(seconds), 2, "must be a number of seconds");
    left = probe_set_step(set,
                          seconds < 0       ? -1
                          : seconds > 86400 ? 86400000
                                            : (int)ceil(seconds * 1e3),
                          &e);
    if (left == -EINTR)
        return 0;
    if (left < 0)
        return l_raise(L, &e);
    lua_pushinteger(L, left);
    return 1;
}

static int l_probes_fd(lua_State *L)
{
    lua_pushinteger(L, probe_set_fd(check_set(L)));
    return 1;
}

static int l_probes__len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)probe_count(check_set(L)));
    return 1;
}

/* Results ------------------------------------------------------------------------------------ */

static void set_seconds(lua_State *L, const char *key, double ns)
{
    lua_pushnumber(L, ns / 1e9);
    lua_setfield(L, -2, key);
}

static void set_count(lua_State *L, const char *key, lua_Integer n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, key);
}

static void set_address(lua_State *L, const char *key, const struct probe_addr *addr)
{
    if (!addr->family)
        return;
    codec_push_ip(L, addr->family, addr->bytes);
    lua_setfield(L, -2, key);
}

static void set_text(lua_State *L, const char *key, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

static void push_error_text(lua_State *L, const struct probe_shot *shot, int family)
{
    const char *text = probe_error_text(family, shot->type, shot->code);

    if (text)
        lua_pushstring(L, text);
    else
        lua_pushfstring(L, "ICMP type %d code %d", shot->type, shot->code);
}

/* What came of one shot: { state =, from =, rtt =, ttl =, error =, ... } */
static void push_shot(lua_State *L, const struct probe *p, const struct probe_shot *shot)
{
    // clang-format off
    static const char *const states[] = {
        [SHOT_WAITING] = "waiting", [SHOT_ANSWERED] = "answered", [SHOT_ERROR] = "error",
        [SHOT_REFUSED] = "refused", [SHOT_UNSENT] = "unsent", [SHOT_SILENT] = "silent"};
    // clang-format on
    bool heard =
        shot->state == SHOT_ANSWERED || shot->state == SHOT_ERROR || shot->state == SHOT_REFUSED;

    lua_createtable(L, 0, 6);
    set_text(L, "state", states[shot->state]);
    if (heard) {
        set_address(L, "from", &shot->from);
        set_seconds(L, "rtt", (double)shot->rtt);
    }
    if (heard && shot->ttl)
        set_count(L, "ttl", shot->ttl);
    if (shot->duplicates)
        set_count(L, "duplicates", shot->duplicates);
    if (shot->mtu)
        set_count(L, "mtu", shot->mtu);
    if (p->spec.kind == PROBE_TRACE)
        set_count(L, "hop", shot->what);
    if (p->spec.kind == PROBE_MTU)
        set_count(L, "size", shot->what);
    if (shot->state == SHOT_ERROR) {
        set_count(L, "type", shot->type);
        set_count(L, "code", shot->code);
        push_error_text(L, shot, p->spec.dst.family);
        lua_setfield(L, -2, "error");
    } else if (shot->state == SHOT_UNSENT) {
        set_text(L, "errno", nserr_name(shot->local));
        set_text(L, "error", strerrordesc_np(shot->local));
    }
}

/* sent, received, duplicates, loss, min, avg, max, mdev of a ping. */
static void set_summary(lua_State *L, const struct probe *p)
{
    double sum = 0, squares = 0, least = INFINITY, most = 0, mean;
    lua_Integer received = 0, duplicates = 0;

    for (unsigned i = 0; i < p->sent; i++) {
        const struct probe_shot *shot = &p->shots[i];
        double rtt = (double)shot->rtt;

        if (shot->state != SHOT_ANSWERED)
            continue;
        received++;
        duplicates += shot->duplicates;
        sum += rtt;
        squares += rtt * rtt;
        least = fmin(least, rtt);
        most = fmax(most, rtt);
    }
    set_count(L, "sent", p->sent);
    set_count(L, "received", received);
    set_count(L, "duplicates", duplicates);
    lua_pushnumber(L, p->sent ? 1 - (double)received / p->sent : 0);
    lua_setfield(L, -2, "loss");
    if (!received)
        return;
    mean = sum / (double)received;
    set_seconds(L, "min", least);
    set_seconds(L, "avg", mean);
    set_seconds(L, "max", most);
    set_seconds(L, "mdev", sqrt(fmax(0, squares / (double)received - mean * mean)));
}

/* probes:result(number): what is known so far, as a table. */
static int l_probes_result(lua_State *L)
{
    struct probe_set *set = check_set(L);
    lua_Integer number = luaL_checkinteger(L, 2);
    const struct probe *p = number > 0 ? probe_at(set, (size_t)number - 1) : NULL;

    luaL_argcheck(L, p, 2, "there is no such probe");
    lua_createtable(L, 0, 16);
    set_text(L, "kind", kinds[p->spec.kind]);
    set_address(L, "dst", &p->spec.dst);
    lua_pushboolean(L, p->done);
    lua_setfield(L, -2, "done");
    if (p->spec.kind == PROBE_PING)
        set_summary(L, p);
    if (p->spec.kind == PROBE_MTU && p->mtu)
        set_count(L, "mtu", p->mtu);
    if (p->spec.port)
        set_count(L, "port", p->spec.port);
    if (p->ended)
        set_seconds(L, "time", (double)(p->ended - p->begun));
    if (p->reply) {
        lua_pushlstring(L, p->reply, p->reply_len);
        lua_setfield(L, -2, "reply");
    }
    lua_createtable(L, (int)p->sent, 0);
    for (unsigned i = 0; i < p->sent; i++) {
        push_shot(L, p, &p->shots[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "shots");
    return 1;
}

void l_probe_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"add", l_probes_add},     {"step", l_probes_step},
                                       {"fd", l_probes_fd},       {"result", l_probes_result},
                                       {"close", l_probes_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_probes_close},
                                    {"__close", l_probes_close},
                                    {"__len", l_probes__len},
                                    {NULL, NULL}};

    l_class(L, L_PROBES, methods, meta);
    luaL_getmetatable(L, L_PROBES);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -3, "Probes"); /* Lua adds methods */
    lua_pop(L, 1);
    lua_pushcfunction(L, l_probes_new);
    lua_setfield(L, -2, "probes");
}
