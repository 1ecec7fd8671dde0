/* SPDX-License-Identifier: MIT
 * The messages that creating and changing a link takes.
 *
 * Theory of operation: a created link does not take everything in its first message: what the
 * kernel only reads for an existing one (ROW_AFTER: address generation, a port's options)
 * travels in a second message behind it, and IFF_UP in a third. Both ends of a veth are born in
 * place, but IFF_UP on the peer inside the creation fails, so the peer's second message goes to
 * the peer's own namespace. Alternative names have a message type of their own. */
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>

#include "attrs_kinds.h"
#include "attrs_link.h"
#include "l_core.h"

/* What an operation on a link has to remember between its messages. */
struct link_notes {
    char kind[32];
    bool own_after, peer_after, peer_up, up;
    struct l_ns *peer_ns;
};

static_assert(sizeof(struct link_notes) <= NOUN_NOTES_MAX, "raise NOUN_NOTES_MAX");

/* The first message -----------------------------------------------------------------------------
 */

static const char *text_field(lua_State *L, int idx, const char *key)
{
    const char *text = NULL;

    if (codec_field(L, idx, key)) {
        text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        lua_pop(L, 1); /* the table keeps it alive */
    }
    return text;
}

static bool field_is_true(lua_State *L, int idx, const char *key)
{
    bool value;

    if (!codec_field(L, idx, key))
        return false;
    value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

/* For a set without `type`: ask only where a key is none of every link's. */
static bool needs_kind(lua_State *L, int idx)
{
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && !codec_row_of(&link_schema, lua_tostring(L, -2))) {
            lua_pop(L, 2);
            return true;
        }
    }
    return false;
}

bool link_has_peer(const struct codec_enc *enc)
{
    const struct link_notes *notes = enc->noun;
    const struct link_kind *kind = notes ? link_kind_of(notes->kind) : NULL;

    return kind && kind->peer;
}

static int header_index(struct codec_enc *enc)
{
    return ((struct ifinfomsg *)codec_header(enc))->ifi_index;
}

/* The link's number where nothing is encoded yet: `dev` as a number, or what the handle has put
 * there. */
static int given_index(struct codec_enc *enc, int idx)
{
    int index = header_index(enc);

    if (codec_field(enc->L, idx, "dev")) {
        if (lua_isinteger(enc->L, -1))
            index = (int)lua_tointeger(enc->L, -1);
        lua_pop(enc->L, 1);
    }
    return index;
}

int link_prepare(struct codec_enc *enc, int idx)
{
    struct link_notes *notes = enc->noun;
    const char *type = NULL;
    int err = 0;

    if (codec_field(enc->L, idx, "type")) {
        type = codec_text(enc, "type", "a link type");
        lua_pop(enc->L, 1);
        if (!type)
            return -EINVAL;
    }
    enc->phased = true;
    if (type)
        snprintf(notes->kind, sizeof(notes->kind), "%s", type);
    else if (enc->verb == CODEC_SET && needs_kind(enc->L, idx))
        err = enc->link_kind(enc, given_index(enc, idx),
                             text_field(enc->L, idx, "dev") ? text_field(enc->L, idx, "dev")
                                                            : text_field(enc->L, idx, "name"),
                             notes->kind, NULL);
    enc->extra = link_kind_schema(notes->kind);
    return err;
}

/* One queue each way unless asked for: a queue for each CPU takes the kernel far longer. */
static void single_queues(struct codec_enc *enc)
{
    if (!codec_find(&enc->m, enc->level, IFLA_NUM_TX_QUEUES))
        codec_put_u32(&enc->m, IFLA_NUM_TX_QUEUES, 1);
    if (!codec_find(&enc->m, enc->level, IFLA_NUM_RX_QUEUES))
        codec_put_u32(&enc->m, IFLA_NUM_RX_QUEUES, 1);
}

/* The peer at the top of the stack: a link's message within the message. */
static int encode_peer(struct codec_enc *enc)
{
    struct link_notes *notes = enc->noun;
    size_t header = enc->header, level = enc->level, path = codec_path(enc, "peer", 0);
    struct codec_schema *extra = enc->extra;
    bool own_after = enc->has_after;
    struct ifinfomsg *ifi;
    int err;

    enc->extra = NULL;
    enc->has_after = false;
    enc->header = enc->m.len;
    ifi = codec_reserve(&enc->m, sizeof(*ifi));
    enc->level = enc->m.len;
    err = ifi ? codec_encode(enc, lua_gettop(enc->L), &link_schema) : 0;
    if (!err && ifi) {
        notes->peer_up = ifi->ifi_flags & IFF_UP;
        ifi->ifi_flags &= ~(unsigned)IFF_UP;
        ifi->ifi_change = ifi->ifi_flags ? ifi->ifi_change & ~(unsigned)IFF_UP : 0;
        single_queues(enc);
    }
    notes->peer_after = enc->has_after;
    enc->has_after = own_after;
    enc->header = header;
    enc->level = level;
    enc->extra = extra;
    codec_path_end(enc, path);
    return err;
}

/* Without a `peer`, a listed link tells its name by `link`. */
static int put_listed_peer(struct codec_enc *enc, int idx)
{
    const char *name = text_field(enc->L, idx, "link");
    size_t mark;

    if (!name)
        return 0;
    if (!*name || strlen(name) >= IFNAMSIZ)
        return nserr_arg(enc->e, "%s: link must be a name of 1 to 15 bytes", enc->op);
    mark = codec_nest(&enc->m, VETH_INFO_PEER);
    codec_reserve(&enc->m, sizeof(struct ifinfomsg));
    codec_put_str(&enc->m, IFLA_IFNAME, name);
    codec_put_u32(&enc->m, IFLA_NUM_TX_QUEUES, 1);
    codec_put_u32(&enc->m, IFLA_NUM_RX_QUEUES, 1);
    codec_nest_end(&enc->m, mark);
    return 0;
}

static int put_peer(struct codec_enc *enc, int idx)
{
    struct link_notes *notes = enc->noun;
    const struct link_kind *kind;
    size_t mark;
    int err = 0;

    kind = link_kind_of(notes->kind);
    if (!codec_field(enc->L, idx, "peer"))
        return kind && kind->peer ? put_listed_peer(enc, idx) : 0;
    if (!kind || !kind->peer)
        err = nserr_arg(enc->e, "%s: only veth, vxcan and netkit links have a peer, type is %s",
                        enc->op, *notes->kind ? notes->kind : "not given");
    else if (lua_type(enc->L, -1) != LUA_TTABLE)
        err = codec_bad(enc, "peer", "a table such as { name = \"eth0\", netns = other }");
    if (!err) {
        if (codec_field(enc->L, lua_gettop(enc->L), "netns")) {
            notes->peer_ns = luaL_testudata(enc->L, -1, L_NAMESPACE);
            lua_pop(enc->L, 1);
        }
        mark = codec_nest(&enc->m, VETH_INFO_PEER) /* netkit's and vxcan's too */;
        err = encode_peer(enc);
        codec_nest_end(&enc->m, mark);
    }
    lua_pop(enc->L, 1);
    return err;
}

/* The options that the link has now go first: those given, behind them, win. */
static int put_current(struct codec_enc *enc, int idx)
{
    const char *dev = text_field(enc->L, idx, "dev");
    char kind[32];

    return enc->link_kind(enc, header_index(enc), dev ? dev : text_field(enc->L, idx, "name"), kind,
                          &enc->m);
}

/* IFLA_INFO_DATA: the kind's own options, and the peer. */
static int put_data(struct codec_enc *enc, int idx)
{
    size_t mark = codec_nest(&enc->m, IFLA_INFO_DATA | NLA_F_NESTED), level = enc->level;
    const struct link_kind *kind = link_kind_of(((struct link_notes *)enc->noun)->kind);
    bool phased = enc->phased;
    int err = 0;

    enc->level = enc->m.len;
    enc->phased = false;
    if (kind && kind->whole && enc->verb == CODEC_SET)
        err = put_current(enc, idx);
    if (kind && kind->create && enc->verb == CODEC_ADD)
        kind->create(enc, field_is_true(enc->L, idx, "external"));
    if (!err && enc->has_extra && !(kind && kind->apart))
        err = codec_encode_known(enc, idx, enc->extra);
    enc->phased = phased;
    if (!err && enc->verb == CODEC_ADD)
        err = put_peer(enc, idx);
    enc->level = level;
    if (codec_nest_empty(&enc->m, mark))
        enc->m.len = mark;
    else
        codec_nest_end(&enc->m, mark);
    return err;
}

/* IFLA_INFO_SLAVE_DATA: the options of a port of a bridge or bond. */
static int put_port(struct codec_enc *enc, int idx)
{
    static const char *const kinds[] = {"bridge", "bond"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct codec_schema *schema = link_port_schema(kinds[i]);
        char key[16];
        size_t mark, path, level = enc->level;
        int err;

        snprintf(key, sizeof(key), "%s_slave", kinds[i]);
        if (!codec_field(enc->L, idx, key))
            continue;
        if (!schema)
            return nserr_arg(enc->e, "%s: %s%s: ports of a %s have no options", enc->op, enc->path,
                             key, kinds[i]);
        if (lua_type(enc->L, -1) != LUA_TTABLE)
            return codec_bad(enc, key, "a table");
        codec_put_str(&enc->m, IFLA_INFO_SLAVE_KIND, kinds[i]);
        mark = codec_nest(&enc->m, IFLA_INFO_SLAVE_DATA | NLA_F_NESTED);
        path = codec_path(enc, key, 0);
        enc->level = enc->m.len;
        err = codec_encode(enc, lua_gettop(enc->L), schema);
        enc->level = level;
        codec_path_end(enc, path);
        codec_nest_end(&enc->m, mark);
        lua_pop(enc->L, 1);
        return err;
    }
    return 0;
}

/* IFLA_LINKINFO, where there is anything to say in it. */
static int put_linkinfo(struct codec_enc *enc, int idx)
{
    struct link_notes *notes = enc->noun;
    size_t mark = codec_nest(&enc->m, IFLA_LINKINFO | NLA_F_NESTED);
    struct codec_schema *extra = enc->extra;
    bool phased = enc->phased;
    int err = 0;

    if (!enc->after && *notes->kind && (enc->verb != CODEC_SET || enc->has_extra)) {
        codec_put_str(&enc->m, IFLA_INFO_KIND, notes->kind);
        err = enc->verb == CODEC_MATCH ? 0 : put_data(enc, idx);
    }
    if (!err && (enc->after || enc->verb == CODEC_SET)) {
        enc->extra = NULL;
        enc->phased = false;
        err = put_port(enc, idx);
        enc->extra = extra;
        enc->phased = phased;
    }
    if (codec_nest_empty(&enc->m, mark))
        enc->m.len = mark;
    else
        codec_nest_end(&enc->m, mark);
    return err;
}

int link_finish(struct codec_enc *enc, int idx)
{
    struct link_notes *notes = enc->noun;
    struct ifinfomsg *ifi = codec_header(enc);
    int err;

    if (enc->verb == CODEC_DEL)
        return 0;
    if (enc->verb == CODEC_MATCH)
        return put_linkinfo(enc, idx);
    if (enc->verb == CODEC_ADD && !enc->after && !*notes->kind)
        return nserr_arg(enc->e, "%s: type is missing: \"veth\", \"bridge\", \"vxlan\" ...",
                         enc->op);
    if (codec_find(&enc->m, enc->level, IFLA_IFNAME) == NULL && !ifi->ifi_index)
        return nserr_arg(enc->e, "%s: name is missing", enc->op);
    if (!enc->after && enc->verb == CODEC_ADD && !strcmp(notes->kind, "veth"))
        single_queues(enc);
    err = put_linkinfo(enc, idx);
    if (!err && !enc->after && enc->has_after && enc->verb == CODEC_ADD) {
        notes->own_after = true;
        notes->up = ifi->ifi_flags & IFF_UP;
        ifi->ifi_flags &= ~(unsigned)IFF_UP;
        ifi->ifi_change &= ~(unsigned)IFF_UP;
    }
    return err;
}

/* The messages behind ------------------------------------------------------------------------- */

/* Begin a message that sets an existing link, by the name that the table at idx has. */
static int begin_set(struct codec_enc *enc, int idx)
{
    const char *name = text_field(enc->L, idx, "name");

    noun_message(enc, &noun_link, RTM_NEWLINK, 0);
    if (!name)
        return nserr_arg(enc->e, "%s: %sname is missing", enc->op, enc->path);
    codec_put_str(&enc->m, IFLA_IFNAME, name);
    return 0;
}

/* The rows that the creation could not take. */
static int after_message(struct codec_enc *enc, int idx)
{
    int err = begin_set(enc, idx);

    if (err)
        return err;
    enc->after = true;
    enc->extra = link_kind_schema(((struct link_notes *)enc->noun)->kind);
    err = codec_encode(enc, idx, &link_schema);
    if (!err)
        err = put_linkinfo(enc, idx);
    enc->after = false;
    return err ? err : 1;
}

/* In a message of its own: the kernel looks at IFF_UP before it looks at addrgenmode. */
static int up_message(struct codec_enc *enc, int idx)
{
    int err = begin_set(enc, idx);
    struct ifinfomsg *ifi = codec_header(enc);

    ifi->ifi_flags = ifi->ifi_change = IFF_UP;
    return err ? err : 1;
}

static int altnames_message(struct codec_enc *enc, int idx)
{
    lua_State *L = enc->L;
    const char *name = text_field(L, idx, "name");
    size_t mark;
    int err = 0, n;

    if (!codec_field(L, idx, "altnames"))
        return 0;
    if (lua_type(L, -1) != LUA_TTABLE)
        return codec_bad(enc, "altnames", "a list of names");
    n = (int)lua_rawlen(L, -1);
    noun_message(enc, &noun_link, RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND);
    codec_put_str(&enc->m, IFLA_IFNAME, name ? name : "");
    mark = codec_nest(&enc->m, IFLA_PROP_LIST | NLA_F_NESTED);
    for (int i = 1; !err && i <= n; i++) {
        const char *alt;
        lua_rawgeti(L, -1, i);
        alt = codec_text(enc, "altnames", "a list of names");
        if (!alt)
            err = -EINVAL;
        else if (!*alt || strlen(alt) >= 128)
            err = codec_bad(enc, "altnames", "names of 1 to 127 bytes");
        else
            codec_put_str(&enc->m, IFLA_ALT_IFNAME, alt);
        lua_pop(L, 1);
    }
    codec_nest_end(&enc->m, mark);
    lua_pop(L, 1);
    return err ? err : n > 0;
}

static int own_step(struct codec_enc *enc, int idx, int step, bool after, bool up)
{
    if (step == 1)
        return after ? after_message(enc, idx) : 0;
    if (step == 2)
        return up ? up_message(enc, idx) : 0;
    return altnames_message(enc, idx);
}

/* Steps 1 to 3 are the link's own, 4 to 6 its peer's, in the peer's namespace. */
int link_follow(struct codec_enc *enc, int idx, int step)
{
    struct link_notes *notes = enc->noun;
    size_t path;
    int built;

    enc->target = NULL;
    if (step <= 3)
        return own_step(enc, idx, step, notes->own_after, notes->up);
    if (!codec_field(enc->L, idx, "peer"))
        return 0;
    path = codec_path(enc, "peer", 0);
    enc->target = notes->peer_ns;
    built = own_step(enc, lua_gettop(enc->L), step - 3, notes->peer_after, notes->peer_up);
    codec_path_end(enc, path);
    lua_pop(enc->L, 1);
    return built;
}
