/* SPDX-License-Identifier: MIT
 * Links: what `ip link` says of an interface (ip-link(8)), as rows. */
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/utils.h>
#include <stdio.h>
#include <string.h>

#include "attrs_kinds.h"
#include "attrs_link.h"
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

static int encode_nothing(struct codec_enc *enc, const struct codec_row *row)
{
    (void)enc, (void)row; /* finish deals with it */
    return 0;
}

static void decode_linkinfo(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct nlattr *tb[IFLA_INFO_MAX + 1] = {0};
    char kind[32] = "", port[48];
    const struct link_kind *k;
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
    k = link_kind_of(kind);
    if (k && k->own && tb[IFLA_INFO_DATA])
        codec_decode_attrs(dec, k->own, nla_data(tb[IFLA_INFO_DATA]), nla_len(tb[IFLA_INFO_DATA]));
    if (k && k->decoded)
        k->decoded(dec);
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

/* For extended acks: the key within a kind's options, or a port's. */
static const char *linkinfo_key(struct nlattr *level, int len, struct nlattr *info,
                                const char *target)
{
    struct nlattr *tb[IFLA_INFO_MAX + 1] = {0};
    static const int places[][2] = {{IFLA_INFO_KIND, IFLA_INFO_DATA},
                                    {IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA}};
    char kind[32];

    (void)level, (void)len;
    if (nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) != 0)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct nlattr *name = tb[places[i][0]], *data = tb[places[i][1]];
        struct codec_schema *schema;

        if (!name || !data || target < (char *)data || target >= (char *)data + data->nla_len)
            continue;
        snprintf(kind, sizeof(kind), "%.*s", nla_len(name), (char *)nla_data(name));
        schema = i ? link_port_schema(kind) : link_kind_schema(kind);
        return schema ? codec_key_within(schema, nla_data(data), nla_len(data), target) : NULL;
    }
    return NULL;
}
static const struct codec_custom_nest linkinfo = {{encode_nothing, decode_linkinfo}, linkinfo_key};

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

/* The far end of a pair is listed as `link`, too: made anew, that is its peer. */
static int encode_link(struct codec_enc *enc, const struct codec_row *row)
{
    static const struct codec_row dev = DEV("link", IFLA_LINK);

    (void)row;
    return enc->verb == CODEC_ADD && link_has_peer(enc) ? 0 : codec_encode_value(enc, &dev);
}

static void decode_link(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 4 || !nla_get_u32(a))
        return;
    dec->push_dev(dec, (int)nla_get_u32(a));
    codec_set_name(dec, row->key);
}
static const struct codec_custom lower = {encode_link, decode_link};

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
    CUSTOM("type", IFLA_LINKINFO, &linkinfo, .flags = ROW_INSIDE),
    CUSTOM("bridge_slave", IFLA_LINKINFO, &in_finish, .flags = ROW_AFTER),
    CUSTOM("bond_slave", IFLA_LINKINFO, &in_finish, .flags = ROW_AFTER),
    CUSTOM("vrf_slave", IFLA_LINKINFO, &in_finish, .flags = ROW_RO),
    CUSTOM("peer", IFLA_LINKINFO, &in_finish, .flags = ROW_WO | ROW_CREATE),
    LLADDR("address", IFLA_ADDRESS),
    LLADDR("broadcast", IFLA_BROADCAST),
    U32("mtu", IFLA_MTU),
    CUSTOM("link", IFLA_LINK, &lower),
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

const struct noun noun_link = {
    .name = "link",
    .schema = &link_schema,
    .add = RTM_NEWLINK,
    .del = RTM_DELLINK,
    .get = RTM_GETLINK,
    .shorthand = "name",
    .ident = {"name", "dev", "type"},
    .dump_filter = dump_filter,
    .prepare = link_prepare,
    .finish = link_finish,
    .follow = link_follow,
    .follow_steps = 6,
    .decoded = decoded,
    .counts = true,
};
