/* SPDX-License-Identifier: MIT
 * The next hops of a route: gateways of either family, and multipath. */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "attrs.h"
#include "attrs_route.h"

/* "10.0.0.1", "fe80::1", or with its family before it as ip writes it: "inet6 fe80::1". */
int route_parse_via(struct codec_enc *enc, const char *key, unsigned char addr[16])
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
void route_put_via(struct codec_msg *m, int route_family, int family, const void *addr)
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

void route_decode_via(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)row;
    if (push_via(dec->L, a))
        codec_set_name(dec, "via");
}
/* Multipath: a list of { via =, dev =, weight =, onlink = } */

static int encode_hop_via(struct codec_enc *enc, const struct codec_row *row)
{
    unsigned char addr[16];
    int family = route_parse_via(enc, row->key, addr);

    if (family < 0)
        return family;
    route_put_via(&enc->m, ((struct rtmsg *)enc->noun_header)->rtm_family, family, addr);
    return 0;
}
static const struct codec_custom hop_gateway = {encode_hop_via, route_decode_via};

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
    CUSTOM("as", RTA_NEWDST, &encap_labels, .mask = 1),
    CUSTOM("realms", RTA_FLOW, &route_realms),
    CUSTOM("encap", RTA_ENCAP, &route_encap),
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
int route_put_multipath(struct codec_enc *enc)
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
    const char *at = nla_data(a);
    int left = nla_len(a);
    lua_Integer n = 0;

    lua_newtable(dec->L);
    while (left >= (int)sizeof(struct rtnexthop)) {
        const struct rtnexthop *hop = (const struct rtnexthop *)at;
        int len = hop->rtnh_len;

        if (len < (int)sizeof(*hop) || len > left)
            break;
        lua_newtable(dec->L);
        codec_decode_nested(dec, &route_hop_schema, hop, (struct nlattr *)(hop + 1),
                            len - (int)sizeof(*hop));
        route_decode_encap(
            dec, nla_find((struct nlattr *)(hop + 1), len - (int)sizeof(*hop), RTA_ENCAP_TYPE),
            nla_find((struct nlattr *)(hop + 1), len - (int)sizeof(*hop), RTA_ENCAP));
        lua_rawseti(dec->L, -2, ++n);
        at += NLA_ALIGN(len);
        left -= NLA_ALIGN(len);
    }
    codec_set_name(dec, row->key);
}
const struct codec_custom route_multipath = {encode_later, decode_multipath};

/* The family of the first gateway in `nexthops`, where nothing else tells. */
int route_hops_family(struct codec_enc *enc, int idx)
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
