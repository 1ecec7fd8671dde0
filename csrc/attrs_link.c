/* SPDX-License-Identifier: MIT
 * Links: what `ip link` says of an interface (ip-link(8)), as rows.
 *
 * Theory of operation: a created link does not take everything in its first message: what the
 * kernel only reads for an existing one (ROW_AFTER: address generation, a port's options)
 * travels in a second message behind it, and IFF_UP with it. Both ends of a veth are born in
 * place, but IFF_UP on the peer inside the creation fails, so the peer's second message goes to
 * the peer's own namespace. Alternative names have a message type of their own. */
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/utils.h>
#include <stdio.h>
#include <string.h>

#include "attrs.h"
#include "l_core.h"

#define HDR(field) offsetof(struct ifinfomsg, field)

/* Names ------------------------------------------------------------------------------------- */

static const struct codec_name operstates[] = {
    {0, "unknown"}, {1, "notpresent"}, {2, "down"}, {3, "lowerlayerdown"},
    {4, "testing"}, {5, "dormant"},    {6, "up"}};
static const struct codec_names names_operstate = NAMES("an operational state", operstates);

static const struct codec_name linkmodes[] = {{0, "default"}, {1, "dormant"}};
static const struct codec_names names_linkmode = NAMES("a link mode", linkmodes);

static const struct codec_name genmodes[] = {
    {0, "eui64"}, {1, "none"}, {2, "stable_secret"}, {3, "random"}};
static const struct codec_names names_genmode = NAMES("an IPv6 address generation mode", genmodes);

static const struct codec_name groups[] = {{0, "default"}};
static const struct codec_names names_group =
    NAMES("a link group (\"default\" or a number)", groups);

/* libnl's names of ARPHRD_*: "ether", "loopback". */
static char *llproto_text(int value, char *buf, size_t size)
{
    return nl_llproto2str(value, buf, size);
}
static const struct codec_names names_llproto = {"a link layer type", NULL, 0, llproto_text,
                                                 nl_str2llproto};

/* Custom rows --------------------------------------------------------------------------------- */

/* What an operation on a link has to remember between its messages. */
struct link_notes {
    char kind[32];
    bool own_after, peer_after, peer_up, up;
    struct l_ns *peer_ns;
};

static int encode_nothing(struct codec_enc *enc, const struct codec_row *row)
{
    (void)enc, (void)row; /* finish deals with it */
    return 0;
}

static void decode_linkinfo(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct nlattr *tb[IFLA_INFO_MAX + 1] = {0};
    char kind[32] = "", port[48];
    struct codec_schema *schema;

    (void)row;
    if (nla_parse_nested(tb, IFLA_INFO_MAX, a, NULL) != 0)
        return;
    if (tb[IFLA_INFO_KIND]) {
        snprintf(kind, sizeof(kind), "%.*s", nla_len(tb[IFLA_INFO_KIND]),
                 (char *)nla_data(tb[IFLA_INFO_KIND]));
        lua_pushstring(dec->L, kind);
        codec_set_name(dec, "type");
    }
    schema = link_kind_schema(kind);
    if (schema && tb[IFLA_INFO_DATA])
        codec_decode_attrs(dec, schema, nla_data(tb[IFLA_INFO_DATA]), nla_len(tb[IFLA_INFO_DATA]));
    if (!tb[IFLA_INFO_SLAVE_KIND] || !tb[IFLA_INFO_SLAVE_DATA])
        return;
    snprintf(kind, sizeof(kind), "%.*s", nla_len(tb[IFLA_INFO_SLAVE_KIND]),
             (char *)nla_data(tb[IFLA_INFO_SLAVE_KIND]));
    schema = link_port_schema(kind);
    if (!schema)
        return;
    snprintf(port, sizeof(port), "%s_slave", kind);
    lua_newtable(dec->L);
    codec_decode_attrs(dec, schema, nla_data(tb[IFLA_INFO_SLAVE_DATA]),
                       nla_len(tb[IFLA_INFO_SLAVE_DATA]));
    codec_set_name(dec, port);
}
static const struct codec_custom linkinfo = {encode_nothing, decode_linkinfo};

static void decode_nothing(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)dec, (void)row, (void)a;
}
static const struct codec_custom in_finish = {encode_nothing, decode_nothing};

static int encode_nomaster(struct codec_enc *enc, const struct codec_row *row)
{
    if (lua_type(enc->L, -1) != LUA_TBOOLEAN)
        return codec_bad(enc, row->key, "true");
    if (lua_toboolean(enc->L, -1))
        codec_put_u32(&enc->m, IFLA_MASTER, 0);
    return 0;
}
static const struct codec_custom nomaster = {encode_nomaster, decode_nothing};

/* A Namespace, or the number of a process in one. */
static int encode_netns(struct codec_enc *enc, const struct codec_row *row)
{
    struct l_ns *ns = luaL_testudata(enc->L, -1, L_NAMESPACE);

    if (!ns)
        return codec_bad(enc, row->key, "a Namespace");
    if (ns->fd < 0)
        return nserr_arg(enc->e, "%s: %s%s is closed", enc->op, enc->path, row->key);
    codec_put_u32(&enc->m, IFLA_NET_NS_FD, (uint32_t)ns->fd);
    return 0;
}
static const struct codec_custom netns = {encode_netns, decode_nothing};

static void decode_altnames(struct codec_dec *dec, const struct codec_row *row, struct nlattr *list)
{
    struct nlattr *a;
    lua_Integer n = 0;
    int left;

    (void)row;
    lua_newtable(dec->L);
    nla_for_each_nested(a, list, left)
    {
        if (nla_type(a) != IFLA_ALT_IFNAME)
            continue;
        lua_pushlstring(dec->L, nla_data(a), strnlen(nla_data(a), (size_t)nla_len(a)));
        lua_rawseti(dec->L, -2, ++n);
    }
    codec_set_name(dec, "altnames");
}
static const struct codec_custom altnames = {encode_nothing, decode_altnames};

/* The lower device: a name, unless it is in another namespace (then its number there). */
static void decode_lower(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)row;
    if (nla_len(a) < 4 || nla_get_u32(a) == 0)
        return;
    lua_pushinteger(dec->L, nla_get_u32(a));
    codec_set_name(dec, "link_index");
}
static const struct codec_custom lower_index = {encode_nothing, decode_lower};

static const struct codec_name stat_names[] = {
#define STAT(f)                                                                                    \
    {                                                                                              \
        offsetof(struct rtnl_link_stats64, f), #f                                                  \
    }
    STAT(rx_packets),       STAT(tx_packets),          STAT(rx_bytes),
    STAT(tx_bytes),         STAT(rx_errors),           STAT(tx_errors),
    STAT(rx_dropped),       STAT(tx_dropped),          STAT(multicast),
    STAT(collisions),       STAT(rx_length_errors),    STAT(rx_over_errors),
    STAT(rx_crc_errors),    STAT(rx_frame_errors),     STAT(rx_fifo_errors),
    STAT(rx_missed_errors), STAT(tx_aborted_errors),   STAT(tx_carrier_errors),
    STAT(tx_fifo_errors),   STAT(tx_heartbeat_errors), STAT(tx_window_errors),
    STAT(rx_compressed),    STAT(tx_compressed),       STAT(rx_nohandler),
#undef STAT
};

static void decode_stats(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)row;
    if (!dec->stats)
        return;
    lua_createtable(dec->L, 0, ARRAY_LEN(stat_names));
    for (size_t i = 0; i < ARRAY_LEN(stat_names); i++) {
        uint64_t value;
        if ((size_t)stat_names[i].value + sizeof(value) > (size_t)nla_len(a))
            continue;
        memcpy(&value, (char *)nla_data(a) + stat_names[i].value, sizeof(value));
        lua_pushinteger(dec->L, (lua_Integer)value);
        codec_set_name(dec, stat_names[i].name);
    }
    codec_set_name(dec, "stats");
}
static const struct codec_custom stats = {encode_nothing, decode_stats};

/* Rows ---------------------------------------------------------------------------------------- */

// clang-format off
static const struct codec_row inet6_rows[] = {
    ENUM("addrgenmode", IFLA_INET6_ADDR_GEN_MODE, 1, &names_genmode),
};
static struct codec_schema inet6_schema = SCHEMA("link inet6", inet6_rows, 0);

static const struct codec_row af_spec_rows[] = {
    INLINE(AF_INET6, &inet6_schema),
};
static struct codec_schema af_spec_schema = SCHEMA("link af_spec", af_spec_rows, 0);

#define FLAG_BIT(key, bit, ...) \
    BIT(key, HDR(ifi_flags), 4, bit, .min = HDR(ifi_change), .flags = ROW_HDR | __VA_ARGS__)

static const struct codec_row link_rows[] = {
    U32("ifindex", HDR(ifi_index), .flags = ROW_HDR | ROW_RO),
    U32("index", HDR(ifi_index), .min = 1, .max = INT32_MAX, .flags = ROW_HDR | ROW_WO | ROW_CREATE),
    DEV("dev", HDR(ifi_index), .flags = ROW_HDR | ROW_WO | ROW_ID),
    ENUM("link_type", HDR(ifi_type), 2, &names_llproto, .flags = ROW_HDR | ROW_RO),
    FLAG_BIT("up", IFF_UP, 0),
    FLAG_BIT("arp", IFF_NOARP, ROW_NOT),
    FLAG_BIT("multicast", IFF_MULTICAST, 0),
    FLAG_BIT("allmulticast", IFF_ALLMULTI, ROW_NZ),
    FLAG_BIT("promisc", IFF_PROMISC, ROW_NZ),
    FLAG_BIT("dynamic", IFF_DYNAMIC, ROW_NZ),
    IFNAME("name", IFLA_IFNAME),
    CUSTOM("type", IFLA_LINKINFO, &linkinfo),
    CUSTOM("bridge_slave", IFLA_LINKINFO, &in_finish, .flags = ROW_AFTER),
    CUSTOM("bond_slave", IFLA_LINKINFO, &in_finish, .flags = ROW_AFTER),
    CUSTOM("vrf_slave", IFLA_LINKINFO, &in_finish, .flags = ROW_RO),
    CUSTOM("team_slave", IFLA_LINKINFO, &in_finish, .flags = ROW_RO),
    CUSTOM("peer", IFLA_LINKINFO, &in_finish, .flags = ROW_WO | ROW_CREATE),
    LLADDR("address", IFLA_ADDRESS),
    LLADDR("broadcast", IFLA_BROADCAST),
    U32("mtu", IFLA_MTU),
    DEV("link", IFLA_LINK),
    CUSTOM("link_index", IFLA_LINK, &lower_index, .flags = ROW_RO),
    S32("link_netnsid", IFLA_LINK_NETNSID, .flags = ROW_RO),
    DEV("master", IFLA_MASTER, .flags = ROW_ZERO),
    CUSTOM("nomaster", IFLA_MASTER, &nomaster, .flags = ROW_WO),
    STR("qdisc", IFLA_QDISC, 32, .flags = ROW_RO),
    U32("txqlen", IFLA_TXQLEN),
    ENUM("group", IFLA_GROUP, 4, &names_group),
    U32("numtxqueues", IFLA_NUM_TX_QUEUES, .min = 1, .max = 4096, .flags = ROW_CREATE),
    U32("numrxqueues", IFLA_NUM_RX_QUEUES, .min = 1, .max = 4096, .flags = ROW_CREATE),
    STR("alias", IFLA_IFALIAS, 255, .flags = ROW_AFTER),
    CUSTOM("altnames", IFLA_PROP_LIST, &altnames, .flags = ROW_CREATE),
    ENUM("operstate", IFLA_OPERSTATE, 1, &names_operstate, .flags = ROW_RO),
    ENUM("linkmode", IFLA_LINKMODE, 1, &names_linkmode),
    BOOL("carrier", IFLA_CARRIER, 1, .flags = ROW_SET),
    BOOL("protodown", IFLA_PROTO_DOWN, 1, .flags = ROW_SET | ROW_NZ),
    U32("gso_max_size", IFLA_GSO_MAX_SIZE),
    U32("gso_max_segs", IFLA_GSO_MAX_SEGS),
    U32("gro_max_size", IFLA_GRO_MAX_SIZE),
    U32("tso_max_size", IFLA_TSO_MAX_SIZE, .flags = ROW_RO),
    U32("tso_max_segs", IFLA_TSO_MAX_SEGS, .flags = ROW_RO),
    U32("promiscuity", IFLA_PROMISCUITY, .flags = ROW_RO | ROW_NZ),
    U32("allmulti", IFLA_ALLMULTI, .flags = ROW_RO | ROW_NZ),
    U32("min_mtu", IFLA_MIN_MTU, .flags = ROW_RO),
    U32("max_mtu", IFLA_MAX_MTU, .flags = ROW_RO),
    U32("carrier_up_count", IFLA_CARRIER_UP_COUNT, .flags = ROW_RO),
    U32("carrier_down_count", IFLA_CARRIER_DOWN_COUNT, .flags = ROW_RO),
    LLADDR("permaddr", IFLA_PERM_ADDRESS, .flags = ROW_RO),
    STR("phys_port_name", IFLA_PHYS_PORT_NAME, 32, .flags = ROW_RO),
    STR("parentbus", IFLA_PARENT_DEV_BUS_NAME, 64, .flags = ROW_RO),
    STR("parentdev", IFLA_PARENT_DEV_NAME, 64, .flags = ROW_RO),
    CUSTOM("netns", IFLA_NET_NS_FD, &netns, .flags = ROW_WO),
    S32("new_netnsid", IFLA_NEW_NETNSID, .flags = ROW_RO),
    S32("new_ifindex", IFLA_NEW_IFINDEX, .flags = ROW_RO),
    CUSTOM("stats", IFLA_STATS64, &stats, .flags = ROW_RO),
    INLINE(IFLA_AF_SPEC, &af_spec_schema, .flags = ROW_AFTER),
};
struct codec_schema link_schema = SCHEMA("link", link_rows, sizeof(struct ifinfomsg));
// clang-format on

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

/* For a set without `type`: ask only where a key is none of every link's. */
static int needs_kind(lua_State *L, int idx)
{
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(link_rows) && !known; i++)
            known = lua_type(L, -2) != LUA_TSTRING ||
                    (link_rows[i].key && !strcmp(link_rows[i].key, lua_tostring(L, -2)));
        if (!known && strcmp(lua_tostring(L, -2), "addrgenmode") != 0) {
            lua_pop(L, 2);
            return 1;
        }
    }
    return 0;
}

static int header_index(struct codec_enc *enc)
{
    return ((struct ifinfomsg *)codec_header(enc))->ifi_index;
}

static int prepare(struct codec_enc *enc, int idx)
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
        err = enc->link_kind(enc, header_index(enc),
                             text_field(enc->L, idx, "dev") ? text_field(enc->L, idx, "dev")
                                                            : text_field(enc->L, idx, "name"),
                             notes->kind);
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
    notes->peer_after = enc->has_after || notes->peer_up;
    enc->has_after = own_after;
    enc->header = header;
    enc->level = level;
    enc->extra = extra;
    codec_path_end(enc, path);
    return err;
}

static int put_peer(struct codec_enc *enc, int idx)
{
    struct link_notes *notes = enc->noun;
    size_t mark;
    int err = 0;

    if (!codec_field(enc->L, idx, "peer"))
        return 0;
    if (strcmp(notes->kind, "veth") != 0 && strcmp(notes->kind, "vxcan") != 0 &&
        strcmp(notes->kind, "netkit") != 0)
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

/* IFLA_INFO_DATA: the kind's own options, and the peer. */
static int put_data(struct codec_enc *enc, int idx)
{
    size_t mark = codec_nest(&enc->m, IFLA_INFO_DATA | NLA_F_NESTED), level = enc->level;
    bool phased = enc->phased;
    int err = 0;

    enc->level = enc->m.len;
    enc->phased = false;
    if (enc->has_extra)
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
        char key[16];
        size_t mark, path, level = enc->level;
        int err;

        snprintf(key, sizeof(key), "%s_slave", kinds[i]);
        if (!codec_field(enc->L, idx, key))
            continue;
        if (lua_type(enc->L, -1) != LUA_TTABLE)
            return codec_bad(enc, key, "a table");
        codec_put_str(&enc->m, IFLA_INFO_SLAVE_KIND, kinds[i]);
        mark = codec_nest(&enc->m, IFLA_INFO_SLAVE_DATA | NLA_F_NESTED);
        path = codec_path(enc, key, 0);
        enc->level = enc->m.len;
        err = codec_encode(enc, lua_gettop(enc->L), link_port_schema(kinds[i]));
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

static int finish(struct codec_enc *enc, int idx)
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

/* Set an existing link by its name: the rows that the creation could not take, and up. */
static int second_message(struct codec_enc *enc, int idx, bool up)
{
    struct nlmsghdr *h = noun_message(enc, &noun_link, RTM_NEWLINK, 0);
    const char *name = text_field(enc->L, idx, "name");
    struct ifinfomsg *ifi = codec_header(enc);
    int err;

    (void)h;
    if (!name)
        return nserr_arg(enc->e, "%s: %sname is missing", enc->op, enc->path);
    codec_put_str(&enc->m, IFLA_IFNAME, name);
    if (up)
        ifi->ifi_flags = ifi->ifi_change = IFF_UP;
    enc->after = true;
    enc->extra = link_kind_schema(((struct link_notes *)enc->noun)->kind);
    err = codec_encode(enc, idx, &link_schema);
    if (!err)
        err = put_linkinfo(enc, idx);
    enc->after = false;
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

/* Steps 1 and 2 are the link's own, 3 and 4 its peer's, in the peer's namespace. */
static int follow(struct codec_enc *enc, int idx, int step)
{
    struct link_notes *notes = enc->noun;
    size_t path;
    int built;

    enc->target = NULL;
    if (step == 1)
        return notes->own_after ? second_message(enc, idx, notes->up) : 0;
    if (step == 2)
        return altnames_message(enc, idx);
    if (!codec_field(enc->L, idx, "peer"))
        return 0;
    path = codec_path(enc, "peer", 0);
    enc->target = notes->peer_ns;
    if (step == 3)
        built = notes->peer_after ? second_message(enc, lua_gettop(enc->L), notes->peer_up) : 0;
    else
        built = altnames_message(enc, lua_gettop(enc->L));
    codec_path_end(enc, path);
    lua_pop(enc->L, 1);
    return built;
}

static void decoded(struct codec_dec *dec, const struct nlmsghdr *h)
{
    /* IFLA_LINK was decoded as a name of this namespace: untrue if it is in another. */
    (void)h;
    if (lua_getfield(dec->L, -1, "link_netnsid") != LUA_TNIL) {
        lua_pushnil(dec->L);
        lua_setfield(dec->L, -3, "link");
    } else {
        lua_pushnil(dec->L);
        lua_setfield(dec->L, -3, "link_index");
    }
    lua_pop(dec->L, 1);
}

/* The kernel filters by master and by kind. */
static void dump_filter(const struct nlmsghdr *filter, struct codec_msg *request)
{
    struct nlattr *master = noun_attr(&noun_link, filter, IFLA_MASTER);
    struct nlattr *info = noun_attr(&noun_link, filter, IFLA_LINKINFO);

    if (master)
        codec_put(request, IFLA_MASTER, nla_data(master), (size_t)nla_len(master));
    if (info)
        codec_put(request, IFLA_LINKINFO | NLA_F_NESTED, nla_data(info), (size_t)nla_len(info));
    codec_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

static_assert(sizeof(struct link_notes) <= NOUN_NOTES_MAX, "raise NOUN_NOTES_MAX");

const struct noun noun_link = {
    .name = "link",
    .schema = &link_schema,
    .add = RTM_NEWLINK,
    .del = RTM_DELLINK,
    .get = RTM_GETLINK,
    .shorthand = "name",
    .ident = {"name", "dev"},
    .dump_filter = dump_filter,
    .prepare = prepare,
    .finish = finish,
    .follow = follow,
    .follow_steps = 4,
    .decoded = decoded,
    .change_flags = NLM_F_REQUEST,
};
