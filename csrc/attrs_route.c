/* SPDX-License-Identifier: MIT
 * Routes: what `ip route` says of one (ip-route(8)), as rows; and the question of `ip route get`.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <netlink/utils.h>
#include <stdio.h>
#include <string.h>

#include "attrs.h"
#include "attrs_route.h"

#define HDR(field) offsetof(struct rtmsg, field)

/* The gateway: put when the route's family is known, as it may be of the other one. */
struct route_notes {
    int via_family;
    unsigned char via[16];
};

/* "10.0.0.1", "fe80::1", or with its family before it as ip writes it: "inet6 fe80::1". */
static int parse_via(struct codec_enc *enc, const char *key, unsigned char addr[16])
{
    const char *text = codec_text(enc, key, "the address of a gateway");
    int family;

    if (!text)
        return -EINVAL;
    if (!strncmp(text, "inet6 ", 6))
        text += 6;
    else if (!strncmp(text, "inet ", 5))
        text += 5;
    family = codec_parse_ip(text, addr);
    return family ? family : codec_bad(enc, key, "the address of a gateway");
}

/* RTA_GATEWAY for a gateway of the route's family, else RTA_VIA. */
static void put_via(struct codec_msg *m, int route_family, int family, const void *addr)
{
    size_t len = family == AF_INET ? 4 : 16;
    struct rtvia *via;

    if (family == route_family) {
        codec_put(m, RTA_GATEWAY, addr, len);
    } else {
        via = codec_put(m, RTA_VIA, NULL, sizeof(*via) + len);
        if (via) {
            via->rtvia_family = (sa_family_t)family;
            memcpy(via->rtvia_addr, addr, len);
        }
    }
}

static int encode_via(struct codec_enc *enc, const struct codec_row *row)
{
    struct route_notes *notes = enc->noun;
    int family = parse_via(enc, row->key, notes->via);

    if (family < 0)
        return family;
    notes->via_family = family;
    return 0;
}

/* Push the address of RTA_VIA; false where it is malformed. */
static bool push_via(lua_State *L, struct nlattr *a)
{
    const struct rtvia *via = nla_data(a);
    int len = nla_len(a) - (int)sizeof(*via);

    if (len != (via->rtvia_family == AF_INET ? 4 : via->rtvia_family == AF_INET6 ? 16 : -1))
        return false;
    codec_push_ip(L, via->rtvia_family, via->rtvia_addr);
    return true;
}

static void decode_via(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)row;
    if (push_via(dec->L, a))
        codec_set_name(dec, "via");
}
static const struct codec_custom gateway = {encode_via, decode_via};

/* `expires` in seconds goes out as RTA_EXPIRES and comes back in RTA_CACHEINFO, in ticks. */
static int encode_expires(struct codec_enc *enc, const struct codec_row *row)
{
    int64_t seconds;
    int err = codec_integer(enc, row->key, 1, UINT32_MAX, &seconds);

    if (!err)
        codec_put_u32(&enc->m, RTA_EXPIRES, (uint32_t)seconds);
    return err;
}

static void decode_expires(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct rta_cacheinfo *info = nla_data(a);

    (void)row;
    if (nla_len(a) < (int)sizeof(*info) || !info->rta_expires)
        return;
    lua_pushinteger(dec->L, info->rta_expires / sysconf(_SC_CLK_TCK));
    codec_set_name(dec, "expires");
}
static const struct codec_custom expires = {encode_expires, decode_expires};

/* Realms: a number, or "FROM/TO". */
static int encode_realms(struct codec_enc *enc, const struct codec_row *row)
{
    int64_t value;
    const char *text;
    unsigned from, to;
    char rest;
    int err;

    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        err = codec_integer(enc, row->key, 1, 65535, &value);
    } else {
        text = codec_text(enc, row->key, "a realm, or \"from/to\"");
        if (!text)
            return -EINVAL;
        if (sscanf(text, "%u/%u%c", &from, &to, &rest) != 2 || from > 65535 || to > 65535)
            return codec_bad(enc, row->key, "a realm, or \"from/to\"");
        err = 0;
        value = (int64_t)from << 16 | to;
    }
    if (!err)
        codec_put_u32(&enc->m, row->attr, (uint32_t)value);
    return err;
}

static void decode_realms(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    uint32_t value = nla_len(a) >= 4 ? nla_get_u32(a) : 0;

    if (!value)
        return;
    if (value >> 16)
        lua_pushfstring(dec->L, "%d/%d", (int)(value >> 16), (int)(value & 0xffff));
    else
        lua_pushinteger(dec->L, value);
    codec_set_name(dec, row->key);
}
const struct codec_custom route_realms = {encode_realms, decode_realms};

/* Metrics: `lock` lists those that path MTU discovery and the like may not change. */

static const struct codec_name metric_names[] = {
    {RTAX_MTU, "mtu"},           {RTAX_WINDOW, "window"},         {RTAX_RTT, "rtt"},
    {RTAX_RTTVAR, "rttvar"},     {RTAX_SSTHRESH, "ssthresh"},     {RTAX_CWND, "cwnd"},
    {RTAX_ADVMSS, "advmss"},     {RTAX_REORDERING, "reordering"}, {RTAX_HOPLIMIT, "hoplimit"},
    {RTAX_INITCWND, "initcwnd"}, {RTAX_FEATURES, "features"},     {RTAX_RTO_MIN, "rto_min"},
    {RTAX_INITRWND, "initrwnd"}, {RTAX_QUICKACK, "quickack"}};
static const struct codec_names names_metric = NAMES("a route metric", metric_names);

static int encode_lock(struct codec_enc *enc, const struct codec_row *row)
{
    uint32_t mask = 0;
    int n;

    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key, "a list of route metrics such as { \"mtu\" }");
    n = (int)lua_rawlen(enc->L, -1);
    for (int i = 1; i <= n; i++) {
        const char *text;
        int64_t metric;

        lua_rawgeti(enc->L, -1, i);
        text = codec_text(enc, row->key, "a list of route metrics");
        metric = text ? codec_name_value(&names_metric, text) : -1;
        if (metric < 0)
            return text ? codec_bad(enc, row->key, "names of route metrics") : -EINVAL;
        mask |= 1u << metric;
        lua_pop(enc->L, 1);
    }
    codec_put_u32(&enc->m, RTAX_LOCK, mask);
    return 0;
}

static void decode_lock(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    uint32_t mask = nla_len(a) >= 4 ? nla_get_u32(a) : 0;
    lua_Integer n = 0;

    if (!mask)
        return;
    lua_newtable(dec->L);
    for (size_t i = 0; i < ARRAY_LEN(metric_names); i++) {
        if (!(mask & 1u << metric_names[i].value))
            continue;
        lua_pushstring(dec->L, metric_names[i].name);
        lua_rawseti(dec->L, -2, ++n);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom lock = {encode_lock, decode_lock};

/* Multipath: a list of { via =, dev =, weight =, onlink = } */

static int encode_hop_via(struct codec_enc *enc, const struct codec_row *row)
{
    unsigned char addr[16];
    int family = parse_via(enc, row->key, addr);

    if (family < 0)
        return family;
    put_via(&enc->m, ((struct rtmsg *)enc->noun_header)->rtm_family, family, addr);
    return 0;
}
static const struct codec_custom hop_gateway = {encode_hop_via, decode_via};

static int encode_weight(struct codec_enc *enc, const struct codec_row *row)
{
    int64_t weight;
    int err = codec_integer(enc, row->key, 1, 256, &weight);

    ((struct rtnexthop *)codec_header(enc))->rtnh_hops = (unsigned char)(err ? 0 : weight - 1);
    return err;
}

static void decode_weight(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)a;
    lua_pushinteger(dec->L, ((const struct rtnexthop *)dec->header)->rtnh_hops + 1);
    codec_set_name(dec, row->key);
}
static const struct codec_custom weight = {encode_weight, decode_weight};

#define HOP(field) offsetof(struct rtnexthop, field)

// clang-format off
static const struct codec_row hop_rows[] = {
    DEV("dev", HOP(rtnh_ifindex), .flags = ROW_HDR),
    CUSTOM("weight", HOP(rtnh_hops), &weight, .flags = ROW_HDR),
    BIT("onlink", HOP(rtnh_flags), 1, RTNH_F_ONLINK, .flags = ROW_HDR | ROW_NZ),
    BIT("dead", HOP(rtnh_flags), 1, RTNH_F_DEAD, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    BIT("linkdown", HOP(rtnh_flags), 1, RTNH_F_LINKDOWN, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    IP("via", RTA_GATEWAY, .flags = ROW_RO), /* listed by this row, given by the next */
    CUSTOM("via", RTA_VIA, &hop_gateway),
    CUSTOM("realms", RTA_FLOW, &route_realms),
};
// clang-format on
struct codec_schema route_hop_schema = SCHEMA("route nexthop", hop_rows, sizeof(struct rtnexthop));

static int encode_hop(struct codec_enc *enc, const char *key, int number)
{
    size_t start = enc->m.len, header = enc->header, level = enc->level;
    size_t path = codec_path(enc, key, number);
    struct rtnexthop *hop = codec_reserve(&enc->m, sizeof(*hop));
    int err;

    if (!hop)
        return 0;
    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return nserr_arg(enc->e, "%s: %s[%d] must be a table such as { via = \"10.0.0.1\" }",
                         enc->op, key, number);
    enc->header = start;
    enc->level = enc->m.len;
    err = codec_encode(enc, lua_gettop(enc->L), &route_hop_schema);
    enc->header = header;
    enc->level = level;
    codec_path_end(enc, path);
    if (!err)
        hop->rtnh_len = (unsigned short)(enc->m.len - start);
    return err;
}

/* Called by finish, when the family is known. The list is at the top. */
static int put_multipath(struct codec_enc *enc)
{
    size_t mark;
    int n, err = 0;

    if (lua_type(enc->L, -1) != LUA_TTABLE || lua_rawlen(enc->L, -1) == 0)
        return codec_bad(enc, "nexthops", "a list of tables such as { via = \"10.0.0.1\" }");
    n = (int)lua_rawlen(enc->L, -1);
    enc->noun_header = codec_header(enc);
    mark = codec_nest(&enc->m, RTA_MULTIPATH);
    for (int i = 1; !err && i <= n; i++) {
        lua_rawgeti(enc->L, -1, i);
        err = encode_hop(enc, "nexthops", i);
        lua_pop(enc->L, 1);
    }
    codec_nest_end(&enc->m, mark);
    return err;
}

static int encode_later(struct codec_enc *enc, const struct codec_row *row)
{
    (void)enc, (void)row; /* finish does it */
    return 0;
}

static void decode_multipath(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const char *header = dec->header, *at = nla_data(a);
    int left = nla_len(a), family = dec->family;
    lua_Integer n = 0;

    lua_newtable(dec->L);
    while (left >= (int)sizeof(struct rtnexthop)) {
        const struct rtnexthop *hop = (const struct rtnexthop *)at;
        int len = hop->rtnh_len;

        if (len < (int)sizeof(*hop) || len > left)
            break;
        lua_newtable(dec->L);
        codec_decode(dec, &route_hop_schema, hop, (struct nlattr *)(hop + 1),
                     len - (int)sizeof(*hop));
        lua_rawseti(dec->L, -2, ++n);
        dec->header = header;
        dec->family = family;
        at += NLA_ALIGN(len);
        left -= NLA_ALIGN(len);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom multipath = {encode_later, decode_multipath};

/* Rows ---------------------------------------------------------------------------------------- */

static const struct codec_name prefs[] = {{0, "medium"}, {1, "high"}, {3, "low"}};
static const struct codec_names names_pref = NAMES("a router preference", prefs);

// clang-format off
static const struct codec_row metrics_rows[] = {
    CUSTOM("lock", RTAX_LOCK, &lock),
    U32("mtu", RTAX_MTU),
    U32("window", RTAX_WINDOW),
    U32("rtt", RTAX_RTT),
    U32("rttvar", RTAX_RTTVAR),
    U32("ssthresh", RTAX_SSTHRESH),
    U32("cwnd", RTAX_CWND),
    U32("advmss", RTAX_ADVMSS),
    U32("reordering", RTAX_REORDERING),
    U32("hoplimit", RTAX_HOPLIMIT, .max = 255),
    U32("initcwnd", RTAX_INITCWND),
    U32("features", RTAX_FEATURES),
    U32("rto_min", RTAX_RTO_MIN),
    U32("initrwnd", RTAX_INITRWND),
    U32("quickack", RTAX_QUICKACK, .max = 1),
    STR("congctl", RTAX_CC_ALGO, 15),
    U32("fastopen_no_cookie", RTAX_FASTOPEN_NO_COOKIE, .max = 1),
};
static struct codec_schema metrics_schema = SCHEMA("route metrics", metrics_rows, 0);

static const struct codec_row route_rows[] = {
    FAMILY_ROW,
    U8("tos", HDR(rtm_tos), .flags = ROW_HDR | ROW_NZ),
    ENUM("proto", HDR(rtm_protocol), 1, &names_proto, .flags = ROW_HDR),
    ENUM("scope", HDR(rtm_scope), 1, &names_scope, .flags = ROW_HDR),
    ENUM("type", HDR(rtm_type), 1, &names_route_type, .flags = ROW_HDR),
    BIT("onlink", HDR(rtm_flags), 4, RTNH_F_ONLINK, .flags = ROW_HDR | ROW_NZ),
    BIT("dead", HDR(rtm_flags), 4, RTNH_F_DEAD, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    BIT("linkdown", HDR(rtm_flags), 4, RTNH_F_LINKDOWN, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    BIT("offload", HDR(rtm_flags), 4, RTNH_F_OFFLOAD, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    PREFIX("dst", RTA_DST, HDR(rtm_dst_len), .arg = "default"),
    PREFIX("from", RTA_SRC, HDR(rtm_src_len)),
    IP("via", RTA_GATEWAY, .flags = ROW_RO), /* listed by this row, given by the next */
    CUSTOM("via", RTA_VIA, &gateway),
    DEV("dev", RTA_OIF),
    DEV("iif", RTA_IIF, .flags = ROW_RO),
    IP("src", RTA_PREFSRC),
    U32("metric", RTA_PRIORITY, .flags = ROW_NZ),
    ENUM("table", RTA_TABLE, 4, &names_table),
    CUSTOM("nexthops", RTA_MULTIPATH, &multipath),
    U32("nhid", RTA_NH_ID, .min = 1),
    ENUM("pref", RTA_PREF, 1, &names_pref),
    U8("ttl_propagate", RTA_TTL_PROPAGATE, .max = 1),
    CUSTOM("expires", RTA_CACHEINFO, &expires),
    CUSTOM("realms", RTA_FLOW, &route_realms),
    INLINE(RTA_METRICS, &metrics_schema),
};
struct codec_schema route_schema = SCHEMA("route", route_rows, sizeof(struct rtmsg));

static char *ip_proto_text(int value, char *buf, size_t size)
{
    return nl_ip_proto2str(value, buf, size);
}
const struct codec_names names_ip_proto = {
    .what = "an IP protocol", .to_text = ip_proto_text, .from_text = nl_str2ip_proto};

/* The question of `ip route get`. */
static const struct codec_row get_rows[] = {
    FAMILY_ROW,
    U8("tos", HDR(rtm_tos), .flags = ROW_HDR),
    BIT("fibmatch", HDR(rtm_flags), 4, RTM_F_FIB_MATCH, .flags = ROW_HDR),
    PREFIX("dst", RTA_DST, HDR(rtm_dst_len)),
    PREFIX("from", RTA_SRC, HDR(rtm_src_len)),
    DEV("iif", RTA_IIF),
    DEV("dev", RTA_OIF),
    U32("mark", RTA_MARK),
    U32("uid", RTA_UID),
    ENUM("ipproto", RTA_IP_PROTO, 1, &names_ip_proto),
    U16("sport", RTA_SPORT, .flags = ROW_BE),
    U16("dport", RTA_DPORT, .flags = ROW_BE),
};
struct codec_schema route_get_schema = SCHEMA("route get", get_rows, sizeof(struct rtmsg));
// clang-format on

/* What the table left open ------------------------------------------------------------------------
 */

static bool given(struct codec_enc *enc, int idx, const char *key)
{
    if (!codec_field(enc->L, idx, key))
        return false;
    lua_pop(enc->L, 1);
    return true;
}

/* As `ip route` chooses it. */
static uint8_t default_scope(const struct codec_enc *enc, const struct rtmsg *rtm, bool has_hop)
{
    if (rtm->rtm_type == RTN_LOCAL || rtm->rtm_type == RTN_NAT)
        return RT_SCOPE_HOST;
    if (rtm->rtm_type == RTN_BROADCAST || rtm->rtm_type == RTN_MULTICAST ||
        rtm->rtm_type == RTN_ANYCAST)
        return RT_SCOPE_LINK;
    if (enc->verb == CODEC_DEL)
        return RT_SCOPE_NOWHERE; /* any */
    return rtm->rtm_type == RTN_UNICAST && !has_hop ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

static void default_table(struct codec_enc *enc, struct rtmsg *rtm)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, RTA_TABLE);
    bool local = rtm->rtm_type == RTN_LOCAL || rtm->rtm_type == RTN_NAT ||
                 rtm->rtm_type == RTN_BROADCAST || rtm->rtm_type == RTN_ANYCAST;

    if (a)
        rtm->rtm_table = nla_get_u32(a) < 256 ? (uint8_t)nla_get_u32(a) : RT_TABLE_COMPAT;
    else
        rtm->rtm_table = local ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
}

static int put_hops(struct codec_enc *enc, int idx, struct rtmsg *rtm, bool *has_hop)
{
    struct route_notes *notes = enc->noun;
    int err = 0;

    if (notes->via_family)
        put_via(&enc->m, rtm->rtm_family, notes->via_family, notes->via);
    *has_hop = notes->via_family != 0;
    if (codec_field(enc->L, idx, "nexthops")) {
        *has_hop = true;
        err = put_multipath(enc);
        lua_pop(enc->L, 1);
    }
    return err;
}

/* The family of the first gateway in `nexthops`, where nothing else tells. */
static int hops_family(struct codec_enc *enc, int idx)
{
    lua_State *L = enc->L;
    unsigned char addr[16];
    int family = 0, top = lua_gettop(L);

    if (codec_field(L, idx, "nexthops") && lua_type(L, -1) == LUA_TTABLE &&
        lua_rawgeti(L, -1, 1) == LUA_TTABLE && codec_field(L, lua_gettop(L), "via") &&
        lua_type(L, -1) == LUA_TSTRING)
        family = codec_parse_ip(lua_tostring(L, -1), addr);
    lua_settop(L, top);
    return family;
}

static int finish(struct codec_enc *enc, int idx)
{
    struct route_notes *notes = enc->noun;
    struct rtmsg *rtm = codec_header(enc);
    bool has_hop;
    int err = codec_settle_family(enc);

    if (err < 0)
        return err;
    if (enc->verb == CODEC_MATCH) {
        if (!given(enc, idx, "table"))
            codec_put_u32(&enc->m, RTA_TABLE, RT_TABLE_MAIN);
    } else if (!given(enc, idx, "dst")) {
        return nserr_arg(enc->e, "%s: dst is missing (\"default\", \"10.0.0.0/24\" ...)", enc->op);
    }
    if (!rtm->rtm_family && enc->verb != CODEC_MATCH) {
        int family = notes->via_family ? notes->via_family : hops_family(enc, idx);
        rtm->rtm_family = (uint8_t)(family ? family : AF_INET);
    }
    err = put_hops(enc, idx, rtm, &has_hop);
    if (err || enc->verb == CODEC_MATCH)
        return err;
    if (enc->verb != CODEC_DEL && !rtm->rtm_type)
        rtm->rtm_type = RTN_UNICAST;
    if (enc->verb != CODEC_DEL && !rtm->rtm_protocol)
        rtm->rtm_protocol = RTPROT_BOOT;
    if (!rtm->rtm_scope && !given(enc, idx, "scope"))
        rtm->rtm_scope =
            default_scope(enc, rtm, has_hop || codec_find(&enc->m, enc->level, RTA_NH_ID));
    default_table(enc, rtm);
    return 0;
}

/* Kernel filters of a strict dump: table, protocol, type, outgoing interface. */
static void dump_filter(const struct nlmsghdr *filter, struct codec_msg *request)
{
    const struct rtmsg *wanted = nlmsg_data(filter);
    struct rtmsg *rtm = (struct rtmsg *)(request->buf + NLMSG_HDRLEN);
    struct nlattr *table = noun_attr(&noun_route, filter, RTA_TABLE);
    struct nlattr *oif = noun_attr(&noun_route, filter, RTA_OIF);

    rtm->rtm_protocol = wanted->rtm_protocol;
    rtm->rtm_type = wanted->rtm_type;
    if (table && nla_get_u32(table))
        codec_put_u32(request, RTA_TABLE, nla_get_u32(table));
    if (oif)
        codec_put_u32(request, RTA_OIF, nla_get_u32(oif));
}

static bool listed(const struct nlmsghdr *h)
{
    return !(((const struct rtmsg *)nlmsg_data(h))->rtm_flags & RTM_F_CLONED);
}

static int finish_get(struct codec_enc *enc, int idx)
{
    int err = codec_settle_family(enc);

    if (err < 0)
        return err;
    if (!given(enc, idx, "dst"))
        return nserr_arg(enc->e, "%s: dst is missing", enc->op);
    return 0;
}

static_assert(sizeof(struct route_notes) <= NOUN_NOTES_MAX, "raise NOUN_NOTES_MAX");

const struct noun noun_route = {
    .name = "route",
    .schema = &route_schema,
    .add = RTM_NEWROUTE,
    .del = RTM_DELROUTE,
    .get = RTM_GETROUTE,
    .shorthand = "dst",
    .ident = {"dst", "via", "dev", "table", "metric", "type"},
    .finish = finish,
    .dump_filter = dump_filter,
    .listed = listed,
};

const struct noun noun_route_get = {
    .name = "route",
    .schema = &route_get_schema,
    .get = RTM_GETROUTE,
    .shorthand = "dst",
    .ident = {"dst", "from"},
    .finish = finish_get,
};
