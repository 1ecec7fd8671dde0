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
    bool mpls;
    unsigned char via[16];
};

static int encode_via(struct codec_enc *enc, const struct codec_row *row)
{
    struct route_notes *notes = enc->noun;
    int family = route_parse_via(enc, row->key, notes->via);

    if (family < 0)
        return family;
    notes->via_family = family;
    return 0;
}

static const struct codec_custom gateway = {encode_via, route_decode_via};

/* A prefix, or where the family is mpls a label. */
static int encode_dst(struct codec_enc *enc, const struct codec_row *row)
{
    static const struct codec_row prefix =
        PREFIX("dst", RTA_DST, HDR(rtm_dst_len), .arg = "default");

    if (((struct route_notes *)enc->noun)->mpls)
        return route_put_label(enc, row->key);
    return codec_encode_value(enc, &prefix);
}

static void decode_dst(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    static const struct codec_row label = CUSTOM("dst", RTA_DST, &encap_labels, .mask = 1);

    (void)row;
    if (dec->family == AF_MPLS)
        encap_labels.decode(dec, &label, a);
}
static const struct codec_custom destination = {encode_dst, decode_dst};

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

/* Rows ---------------------------------------------------------------------------------------- */

static const struct codec_name prefs[] = {{0, "medium"}, {1, "high"}, {3, "low"}};
static const struct codec_names names_pref = NAMES("a router preference", prefs);

// clang-format off
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
    PREFIX("dst", RTA_DST, HDR(rtm_dst_len), .arg = "default", .flags = ROW_RO), /* given by the next */
    CUSTOM("dst", RTA_DST, &destination),
    PREFIX("from", RTA_SRC, HDR(rtm_src_len)),
    CUSTOM("as", RTA_NEWDST, &encap_labels, .mask = 1),
    IP("via", RTA_GATEWAY, .flags = ROW_RO), /* listed by this row, given by the next */
    CUSTOM("via", RTA_VIA, &gateway),
    DEV("dev", RTA_OIF),
    DEV("iif", RTA_IIF, .flags = ROW_RO),
    IP("src", RTA_PREFSRC),
    U32("metric", RTA_PRIORITY, .flags = ROW_NZ),
    ENUM("table", RTA_TABLE, 4, &names_table),
    CUSTOM("nexthops", RTA_MULTIPATH, &route_multipath),
    U32("nhid", RTA_NH_ID, .min = 1),
    ENUM("pref", RTA_PREF, 1, &names_pref),
    U8("ttl_propagate", RTA_TTL_PROPAGATE, .max = 1),
    CUSTOM("encap", RTA_ENCAP, &route_encap),
    CUSTOM("expires", RTA_CACHEINFO, &expires),
    CUSTOM("realms", RTA_FLOW, &route_realms),
    INLINE(RTA_METRICS, &route_metrics_schema),
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

/* Does the table say that it is about MPLS? Its dst is read with that in mind. */
static int prepare(struct codec_enc *enc, int idx)
{
    struct route_notes *notes = enc->noun;

    memset(notes, 0, sizeof(*notes));
    if (!codec_field(enc->L, idx, "family"))
        return 0;
    notes->mpls = lua_type(enc->L, -1) == LUA_TSTRING && !strcmp(lua_tostring(enc->L, -1), "mpls");
    lua_pop(enc->L, 1);
    return 0;
}

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
    struct nlattr *oif;
    int err = 0;

    *has_hop = codec_find(&enc->m, enc->level, RTA_NH_ID) != NULL;
    if (*has_hop) { /* what else the listing tells of the way is the nexthop object's */
        oif = codec_find(&enc->m, enc->level, RTA_OIF);
        if (oif && enc->verb != CODEC_MATCH)
            codec_drop(&enc->m, oif);
        return 0;
    }
    if (notes->via_family)
        route_put_via(&enc->m, rtm->rtm_family, notes->via_family, notes->via);
    *has_hop = notes->via_family != 0;
    if (codec_field(enc->L, idx, "nexthops")) {
        *has_hop = true;
        err = route_put_multipath(enc);
        lua_pop(enc->L, 1);
    }
    return err;
}

/* MPLS has one table and one kind of route; labels have 20 bits. */
static void settle_mpls(struct codec_enc *enc, struct rtmsg *rtm)
{
    struct nlattr *table = codec_find(&enc->m, enc->level, RTA_TABLE);

    if (table)
        codec_drop(&enc->m, table);
    rtm->rtm_dst_len = 20;
    rtm->rtm_table = RT_TABLE_MAIN;
    rtm->rtm_scope = RT_SCOPE_UNIVERSE;
    rtm->rtm_type = RTN_UNICAST;
    rtm->rtm_flags = 0;
    if (!rtm->rtm_protocol && enc->verb != CODEC_DEL)
        rtm->rtm_protocol = RTPROT_BOOT;
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
        int family = notes->via_family ? notes->via_family : route_hops_family(enc, idx);
        rtm->rtm_family = (uint8_t)(family ? family : AF_INET);
    }
    err = put_hops(enc, idx, rtm, &has_hop);
    if (err || enc->verb == CODEC_MATCH)
        return err;
    if (notes->mpls) {
        settle_mpls(enc, rtm);
        return 0;
    }
    if (enc->verb != CODEC_DEL && !rtm->rtm_type)
        rtm->rtm_type = RTN_UNICAST;
    if (enc->verb != CODEC_DEL && !rtm->rtm_protocol)
        rtm->rtm_protocol = RTPROT_BOOT;
    if (!rtm->rtm_scope && !given(enc, idx, "scope"))
        rtm->rtm_scope = default_scope(enc, rtm, has_hop);
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

static void decoded(struct codec_dec *dec, const struct nlmsghdr *h)
{
    struct nlattr *encap = noun_attr(&noun_route, h, RTA_ENCAP);

    if (encap)
        route_decode_encap(dec, noun_attr(&noun_route, h, RTA_ENCAP_TYPE), encap);
}

static bool listed(const struct nlmsghdr *h)
{
    return !(((const struct rtmsg *)nlmsg_data(h))->rtm_flags & RTM_F_CLONED);
}

static void deletion(struct nlmsghdr *h)
{
    struct rtmsg *rtm = nlmsg_data(h);

    if (rtm->rtm_family == AF_MPLS)
        rtm->rtm_flags = 0; /* listed, and not understood */
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
    .prepare = prepare,
    .finish = finish,
    .dump_filter = dump_filter,
    .listed = listed,
    .decoded = decoded,
    .deletion = deletion,
};

const struct noun noun_route_get = {
    .name = "route",
    .schema = &route_get_schema,
    .get = RTM_GETROUTE,
    .shorthand = "dst",
    .ident = {"dst", "from"},
    .finish = finish_get,
};
