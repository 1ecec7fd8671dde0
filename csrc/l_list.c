/* SPDX-License-Identifier: MIT
 * Listings: list, each and flush of every noun.
 *
 * Theory of operation: `list` reads the whole dump into bytes owned by a userdata, then builds
 * the tables; nothing of the conversation is open while Lua memory is allocated. `each` has a
 * socket of its own and reads a datagram at a time, so a listing of any size takes bounded
 * memory. A filter is encoded like an object and decoded again: so "10.0.0.0/24" is compared in
 * the form that listings have, and the kernel is asked for no more than it can filter. */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "l_rtnl.h"

#define SAME_DEPTH 8 /* of what is listed: the hops of a route, 2 */

/* Filters ----------------------------------------------------------------------------------- */

/* Compare `dev`, too: the filter becomes a copy that has it as its normal form at 3. */
static void filter_by_dev(lua_State *L)
{
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_getfield(L, 3, "dev");
    lua_setfield(L, -2, "dev");
    lua_replace(L, 2);
}

/* Encode the filter at 2 (nil: none), build the request in `m`; leave at 3 what decoded messages
 * are compared with (nil: nothing). */
static void make_request(lua_State *L, struct l_op *op, struct codec_msg *m, bool *stats)
{
    const struct noun *noun = op->n->noun;
    struct nlmsghdr *filter, *h;
    struct bytes *copy;
    struct l_decoder d;

    *stats = false;
    if (lua_isnil(L, 2) && !op->n->ifindex && noun != &noun_route) {
        lua_pushnil(L);
    } else if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    if (!lua_isnil(L, 2))
        l_op_argument(L, 2, noun, op->name);
    h = codec_reserve(m, NLMSG_HDRLEN);
    codec_reserve(m, noun->schema->header);
    h->nlmsg_type = noun->get;
    *(uint8_t *)(m->buf + NLMSG_HDRLEN) = (uint8_t)noun->dump_family;
    if (lua_istable(L, 2)) {
        if (noun->counts && codec_field(L, 2, "stats")) {
            *stats = lua_toboolean(L, -1);
            lua_pop(L, 1);
        }
        copy = l_bytes(L); /* what decoding collects may encode messages of its own */
        if (l_op_encode(op, 2, noun->add, 0) != 0)
            l_op_raise(op);
        filter = l_op_message(op);
        if (bytes_append(copy, filter, filter->nlmsg_len) != 0)
            luaL_error(L, "not enough memory");
        filter = (struct nlmsghdr *)copy->data;
        *(uint8_t *)(m->buf + NLMSG_HDRLEN) = *(uint8_t *)nlmsg_data(filter);
        if (noun->dump_filter)
            noun->dump_filter(filter, m);
        lua_settop(L, 3);
        l_decoder_begin(&d, L, op->n->ns);
        l_decode(&d, noun, filter);
        bytes_free(copy);
        lua_replace(L, 3);
        lua_settop(L, 3);
        if (noun->by_dev && op->n->ifindex)
            filter_by_dev(L);
    } else if (noun == &noun_link) {
        codec_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    }
    if (*stats && noun == &noun_link) { /* undo the wish to leave them out */
        struct nlattr *a = codec_find(m, NLMSG_HDRLEN + noun->schema->header, IFLA_EXT_MASK);
        if (a)
            memset(nla_data(a), 0, sizeof(uint32_t));
    }
    if (noun->bare_dump)
        m->len = NLMSG_HDRLEN;
    h->nlmsg_len = (uint32_t)m->len;
}

/* Are the two values at the top the same? Tables are compared by what is in them; false and nil are
 * one. Pops both. */
static bool same(lua_State *L, int depth)
{
    int b = lua_gettop(L), a = b - 1;
    bool equal = lua_rawequal(L, a, b) || !(lua_toboolean(L, a) || lua_toboolean(L, b));

    if (!equal && depth < SAME_DEPTH && lua_istable(L, a) && lua_istable(L, b)) {
        equal = true;
        for (int turn = 0; equal && turn < 2; turn++) { /* a's keys, then b's */
            for (lua_pushnil(L); equal && lua_next(L, turn ? b : a);) {
                lua_pushvalue(L, -2);
                lua_rawget(L, turn ? a : b);
                equal = same(L, depth + 1);
            }
        }
    }
    lua_settop(L, a - 1);
    return equal;
}

/* Is the number at -2 within the range, such as "10-20", at -1? */
static bool in_range(lua_State *L)
{
    long long low, high;

    return lua_isinteger(L, -2) && lua_type(L, -1) == LUA_TSTRING &&
           sscanf(lua_tostring(L, -1), "%lld-%lld", &low, &high) == 2 &&
           lua_tointeger(L, -2) >= low && lua_tointeger(L, -2) <= high;
}

/* Is the table at the top what the filter at 2 (normalised: 3) asks for? ranges: a number is also
 * found in a range that it lies in. */
static bool matches(lua_State *L, bool ranges)
{
    int top = lua_gettop(L);

    if (!lua_istable(L, 2))
        return true;
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        const char *key = lua_tostring(L, -2);

        if (!strcmp(key, "stats") || (lua_type(L, -1) == LUA_TSTRING && !strcmp(key, "table") &&
                                      !strcmp(lua_tostring(L, -1), "all")))
            continue;
        lua_pushvalue(L, -2);
        lua_rawget(L, 3);
        if (lua_isnil(L, -1)) { /* not decoded: compare with what was given */
            lua_pop(L, 1);
            lua_pushvalue(L, -1);
        }
        lua_pushvalue(L, -3);
        lua_rawget(L, top);
        if (ranges && in_range(L)) {
            lua_pop(L, 2);
        } else if (!same(L, 0)) {
            lua_settop(L, top);
            return false;
        }
    }
    return true;
}

/* One message for each object; `all` is replaced. */
static int explode(const struct noun *noun, struct bytes *all)
{
    struct bytes out = {0};
    int left = (int)all->len, err = 0;

    if (!noun->explode)
        return 0;
    for (struct nlmsghdr *h = (struct nlmsghdr *)all->data; nlmsg_ok(h, left);
         h = nlmsg_next(h, &left))
        if (!err && (h->nlmsg_type == noun->add || h->nlmsg_type == noun->get) &&
            h->nlmsg_len >= NLMSG_HDRLEN + (uint32_t)noun->schema->header) {
            h->nlmsg_type = noun->add; /* multicast groups are listed as what was asked */
            err = noun->explode(&out, h);
        }
    if (err) {
        bytes_free(&out);
        return err;
    }
    bytes_free(all);
    *all = out;
    return 0;
}

static bool is_listed(const struct noun *noun, const struct nlmsghdr *h)
{
    return h->nlmsg_type == noun->add &&
           h->nlmsg_len >= NLMSG_HDRLEN + (uint32_t)noun->schema->header &&
           (!noun->listed || noun->listed(h));
}

/* list -------------------------------------------------------------------------------------- */

/* Dump what the filter at 2 asks for; the bytes' owner is at 4. */
static struct bytes *dump(lua_State *L, struct l_op *op, bool *stats)
{
    _Alignas(struct nlmsghdr) char buf[1024];
    struct codec_msg m = {.buf = buf, .cap = sizeof(buf)};
    struct rtnl_fault f;
    struct bytes *all;

    if (op->n->batch)
        l_misuse(L, "%s: a batch only collects changes", op->name);
    make_request(L, op, &m, stats);
    all = l_bytes(L);
    if ((op->n->noun->scattered ? l_tc_dump(op, (struct nlmsghdr *)buf, all, &f)
                                : rtnl_dump(l_op_wire(op), (struct nlmsghdr *)buf, all, &f)) != 0) {
        /* a strict kernel refuses to dump what belongs to a link that is not there */
        l_op_fault(op, 0, &f);
        l_op_raise(op);
    }
    if (explode(op->n->noun, all) != 0)
        luaL_error(L, "not enough memory");
    return all;
}

#define for_each_listed(h, noun, all)                                                              \
    for (int left_ = (int)(all)->len, once_ = 1; once_; once_ = 0)                                 \
        for (struct nlmsghdr *h = (struct nlmsghdr *)(all)->data; nlmsg_ok(h, left_);              \
             h = nlmsg_next(h, &left_))                                                            \
            if (is_listed(noun, h))

/* Give the list at the top its metatable: one for each noun, with what core.List says. */
static void set_list_class(lua_State *L, const char *noun)
{
    luaL_getmetatable(L, L_LIST);
    if (lua_getfield(L, -1, noun) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 3);
        lua_pushstring(L, noun);
        lua_setfield(L, -2, "noun");
        lua_getfield(L, -2, "__tostring");
        lua_setfield(L, -2, "__tostring");
        lua_pushliteral(L, L_LIST);
        lua_setfield(L, -2, "__name");
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, noun);
    }
    lua_setmetatable(L, -3);
    lua_pop(L, 1);
}

void l_list(lua_State *L, const char *verb)
{
    struct l_noun *n = l_noun_check(L, 1);
    struct l_decoder d;
    struct bytes *all;
    struct l_op op;
    lua_Integer count = 0;
    int list;

    l_one_argument(L, n->noun, verb);
    l_op_begin(&op, L, n, verb, CODEC_MATCH);
    all = dump(L, &op, &d.dec.stats);
    op.enc.has_after = d.dec.stats;
    lua_newtable(L);
    list = lua_gettop(L);
    set_list_class(L, n->noun->name);
    l_decoder_begin(&d, L, n->ns);
    d.dec.stats = op.enc.has_after;
    for_each_listed(h, n->noun, all)
    {
        l_decode(&d, n->noun, h);
        if (matches(L, true))
            lua_rawseti(L, list, ++count);
        else
            lua_pop(L, 1);
    }
    bytes_free(all); /* now, not when the collector comes by */
    lua_settop(L, list);
}

static int l_noun_list(lua_State *L)
{
    l_list(L, "list");
    return 1;
}

/* each -------------------------------------------------------------------------------------- */

#define L_EACH "netns.Each"

struct l_each {
    struct l_noun noun;
    struct rtnl *own; /* the socket this listing reads */
    struct nlmsghdr *next;
    int left;
    bool stats, interrupted;
};

static int l_each__close(lua_State *L)
{
    struct l_each *each = luaL_checkudata(L, 1, L_EACH);

    rtnl_close(each->own);
    each->own = NULL;
    return 0;
}

static int each_end(lua_State *L, struct l_each *each, int err, struct rtnl_fault *f)
{
    bool interrupted = each->interrupted;
    struct l_op op;

    rtnl_close(each->own);
    each->own = NULL;
    if (!err && !interrupted) {
        lua_pushnil(L);
        return 1;
    }
    if (!err) {
        *f = (struct rtnl_fault){.code = EINTR};
        snprintf(f->text, sizeof(f->text), "the listing changed while it was read");
    }
    l_op_begin(&op, L, &each->noun, "each", CODEC_MATCH);
    l_op_fault(&op, 0, f);
    return l_op_raise(&op);
}

/* The next message of the listing, or NULL at its end with *err. */
static struct nlmsghdr *next_message(struct l_each *each, int *err, struct rtnl_fault *f)
{
    for (;;) {
        while (each->next && nlmsg_ok(each->next, each->left)) {
            struct nlmsghdr *h = each->next;
            each->next = nlmsg_next(h, &each->left);
            if (is_listed(each->noun.noun, h))
                return h;
        }
        *err = rtnl_dump_next(each->own, &each->interrupted, f);
        if (*err <= 0)
            return NULL;
        *err = explode(each->noun.noun, &each->own->rx);
        if (*err) {
            *f = (struct rtnl_fault){.code = -*err};
            return NULL;
        }
        each->next = (struct nlmsghdr *)each->own->rx.data;
        each->left = (int)each->own->rx.len;
    }
}

/* Upvalue: the Each (user values: the Namespace, the filter, its normal form, names of devices). */
static int l_each_next(lua_State *L)
{
    struct l_each *each = lua_touserdata(L, lua_upvalueindex(1));
    struct l_ns *ns = each->noun.ns;
    struct nlmsghdr *h;
    struct rtnl_fault f;
    struct l_decoder d;
    int err = 0;

    luaL_checkstack(L, 40, NULL);
    lua_settop(L, 1); /* 1: unused; 2: the filter; 3: its normal form; 4: names of devices */
    for (int i = 2; i <= 4; i++)
        lua_getiuservalue(L, lua_upvalueindex(1), i);
    if (!each->own) {
        lua_pushnil(L);
        return 1;
    }
    if (ns->fd < 0)
        return l_misuse(L, "%s each: the namespace is closed", each->noun.noun->name);
    l_decoder_resume(&d, L, ns);
    d.dec.stats = each->stats;
    while ((h = next_message(each, &err, &f)) != NULL) {
        l_decode(&d, each->noun.noun, h);
        if (matches(L, true))
            return 1;
        lua_pop(L, 1);
    }
    return each_end(L, each, err, &f);
}

/* Push a copy of the table at idx, or what else is there. */
static void push_copy(lua_State *L, int idx)
{
    if (!lua_istable(L, idx)) {
        lua_pushvalue(L, idx);
        return;
    }
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, idx);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
}

/* for route in ns.route:each{...} do */
static int l_noun_each(lua_State *L)
{
    _Alignas(struct nlmsghdr) char buf[1024];
    struct codec_msg m = {.buf = buf, .cap = sizeof(buf)};
    struct l_noun *n = l_noun_check(L, 1);
    struct rtnl_fault f;
    struct l_each *each;
    struct l_op op;
    bool stats;

    l_one_argument(L, n->noun, "each");
    l_op_begin(&op, L, n, "each", CODEC_MATCH);
    if (n->batch)
        return l_misuse(L, "%s: a batch only collects changes", op.name);
    if (n->noun->scattered) /* many small listings: all at once */
        return l_tc_each(L);
    make_request(L, &op, &m, &stats);
    each = l_object(L, sizeof(*each), L_EACH, 4);
    each->noun = *n;
    each->stats = stats;
    lua_getiuservalue(L, 1, 1);
    lua_setiuservalue(L, -2, 1);
    push_copy(L, 2); /* the caller's may change while it is iterated */
    lua_setiuservalue(L, -2, 2);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, -2, 3);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 4);
    l_op_session(&op); /* is it open still? */
    each->own = rtnl_open(n->ns->fd, n->noun->protocol, &op.e);
    if (!each->own)
        return l_op_raise(&op);
    if (rtnl_dump_start(each->own, (struct nlmsghdr *)buf, &f) != 0) {
        l_op_fault(&op, 0, &f);
        return l_op_raise(&op);
    }
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_each_next, 1);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, -4);
    return 4; /* iterator, state, control, to be closed */
}

/* flush ------------------------------------------------------------------------------------- */

struct flush {
    int code; /* the first failure that counts */
    struct rtnl_fault fault;
    size_t failed;
};

/* What went by itself in the meantime (a secondary address with its primary) is fine. */
static void flush_fault(void *arg, size_t number, const struct rtnl_fault *f)
{
    struct flush *flush = arg;

    (void)number;
    flush->failed++;
    if (f->code == ESRCH || f->code == ENOENT || f->code == EADDRNOTAVAIL || f->code == ENODEV)
        return;
    if (!flush->code)
        flush->fault = *f;
    flush->code = f->code;
}

/* Has the filter at 2 the key? */
static bool has_key(lua_State *L, const char *key)
{
    bool has = false;

    if (lua_istable(L, 2)) {
        has = lua_getfield(L, 2, key) != LUA_TNIL;
        lua_pop(L, 1);
    }
    return has;
}

/* Turn the messages of the dump that match into deletions, in place. */
static size_t to_deletions(lua_State *L, const struct noun *noun, struct l_decoder *d,
                           struct bytes *all)
{
    size_t count = 0, kept = 0;
    int left = (int)all->len;
    struct nlmsghdr *h = (struct nlmsghdr *)all->data;
    bool keeps = noun->kept && !has_key(L, noun->kept_unless);

    while (nlmsg_ok(h, left)) {
        struct nlmsghdr *next = nlmsg_next(h, &left);
        bool chosen = is_listed(noun, h);

        if (chosen) {
            l_decode(d, noun, h);
            chosen = matches(L, false) && !(keeps && noun->kept(h));
            lua_pop(L, 1);
        }
        if (chosen) {
            size_t len;
            if (noun->deletion)
                noun->deletion(h);
            len = NLMSG_ALIGN(h->nlmsg_len);
            h->nlmsg_type = noun->del;
            h->nlmsg_flags = 0;
            memmove(all->data + kept, h, len);
            kept += len;
            count++;
        }
        h = next;
    }
    all->len = kept;
    return count;
}

/* Deletes what list would give; returns how many. */
static int l_noun_flush(lua_State *L)
{
    struct l_noun *n = l_noun_check(L, 1);
    struct flush flush = {0};
    struct rtnl_fault f;
    struct l_decoder d;
    struct bytes *all;
    struct l_op op;
    size_t count, done;
    bool stats;

    l_one_argument(L, n->noun, "flush");
    if (n->noun == &noun_link)
        return l_misuse(L, "link flush: links are deleted one by one (del)");
    l_op_begin(&op, L, n, "flush", CODEC_MATCH);
    all = dump(L, &op, &stats);
    if (n->noun == &noun_vlan && has_key(L, "vid"))
        return l_misuse(L, "vlan flush: to delete some VLANs, use del{ dev =, vid = \"10-20\" }");
    l_decoder_begin(&d, L, n->ns);
    count = to_deletions(L, n->noun, &d, all);
    if (n->noun->scattered && l_tc_reverse(all) != 0)
        return luaL_error(L, "not enough memory");
    if (rtnl_batch(l_op_wire(&op), all->data, all->len, count, flush_fault, &flush, &done, &f) !=
        0) {
        l_op_fault(&op, 0, &f);
        return l_op_raise(&op);
    }
    bytes_free(all);
    if (flush.code) {
        l_op_fault(&op, 0, &flush.fault);
        return l_op_raise(&op);
    }
    lua_pushinteger(L, (lua_Integer)(count - flush.failed));
    return 1;
}

void l_list_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"list", l_noun_list}, {"each", l_noun_each}, {"flush", l_noun_flush}, {NULL, NULL}};
    static const luaL_Reg each_meta[] = {
        {"__gc", l_each__close}, {"__close", l_each__close}, {NULL, NULL}};

    luaL_setfuncs(L, methods, 0);
    luaL_newmetatable(L, L_LIST); /* lists are plain data; Lua adds how they print */
    lua_setfield(L, -4, "List");
    l_class(L, L_EACH, NULL, each_meta);
}
