/* SPDX-License-Identifier: MIT
 * Tunnels over UDP: VXLAN, GENEVE, bareudp, GTP and AMT, as rows. */
#include <arpa/inet.h>
#include <linux/amt.h>
#include <linux/if_link.h>
#include <string.h>

#include "attrs_kinds.h"

/* of kernels newer than the headers */
#define VXLAN_LOCALBYPASS  31
#define VXLAN_LABEL_POLICY 32

/* Ports, both of them: { low, high } on the wire, "low-high" in Lua. */
static int encode_srcport(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a range of ports such as \"32768-61000\"";
    const char *text = codec_text(enc, row->key, wanted);
    unsigned long low, high;
    char *end;

    if (!text)
        return -EINVAL;
    low = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '-' || end[1] < '0' || end[1] > '9')
        return codec_bad(enc, row->key, wanted);
    high = strtoul(end + 1, &end, 10);
    if (*end || low > high || high > UINT16_MAX)
        return codec_bad(enc, row->key, wanted);
    codec_put(&enc->m, row->attr, &(uint16_t[]){htons((uint16_t)low), htons((uint16_t)high)}, 4);
    return 0;
}

static void decode_srcport(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    uint16_t ports[2];

    if (nla_len(a) < (int)sizeof(ports))
        return;
    memcpy(ports, nla_data(a), sizeof(ports));
    if (!ports[0] && !ports[1])
        return;
    lua_pushfstring(dec->L, "%d-%d", ntohs(ports[0]), ntohs(ports[1]));
    codec_set_name(dec, row->key);
}
static const struct codec_custom srcport = {encode_srcport, decode_srcport};

/* An address whose IPv6 form has an attribute of its own, number row->mask. */
static int encode_either(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "an IP address");
    unsigned char addr[16];
    int family;

    if (!text)
        return -EINVAL;
    family = codec_parse_ip(text, addr);
    if (!family)
        return codec_bad(enc, row->key, "an IP address");
    codec_put(&enc->m, family == AF_INET ? row->attr : (int)row->mask, addr,
              family == AF_INET ? 4 : 16);
    return 0;
}

static void decode_either(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) != 4)
        return;
    codec_push_ip(dec->L, AF_INET, nla_data(a));
    codec_set_name(dec, row->key);
}
const struct codec_custom kind_either = {encode_either, decode_either};

/* A number, or "inherit": then the attribute row->mask, row->size bytes long. */
static int encode_ttl(struct codec_enc *enc, const struct codec_row *row)
{
    int64_t ttl = 0;

    if (lua_type(enc->L, -1) == LUA_TSTRING && !strcmp(lua_tostring(enc->L, -1), "inherit")) {
        codec_put(&enc->m, (int)row->mask, &(uint8_t){1}, row->size);
        return 0;
    }
    if (lua_type(enc->L, -1) != LUA_TSTRING || strcmp(lua_tostring(enc->L, -1), "auto") != 0) {
        if (lua_type(enc->L, -1) == LUA_TSTRING)
            return codec_bad(enc, row->key, "an integer from 0 to 255, \"auto\" or \"inherit\"");
        if (codec_integer(enc, row->key, 0, 255, &ttl))
            return -EINVAL;
    }
    codec_put(&enc->m, row->attr, &(uint8_t){(uint8_t)ttl}, 1);
    return 0;
}

/* What is inherited stands before or behind the number. */
static void decode_ttl(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 1 || !nla_get_u8(a))
        return;
    lua_pushinteger(dec->L, nla_get_u8(a));
    codec_set_name(dec, row->key);
}
static const struct codec_custom ttl = {encode_ttl, decode_ttl};

static void decode_ttl_inherit(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) > 0 && !nla_get_u8(a))
        return;
    lua_pushliteral(dec->L, "inherit");
    codec_set_name(dec, row->key);
}
static const struct codec_custom ttl_inherit = {kind_encode_none, decode_ttl_inherit};

static const struct codec_name toses[] = {{1, "inherit"}};
const struct codec_names names_tos = NAMES("a TOS (a number or \"inherit\")", toses);

static const struct codec_name dfs[] = {{0, "unset"}, {1, "set"}, {2, "inherit"}};
static const struct codec_names names_df = NAMES("what to do with the don't-fragment bit", dfs);

static const struct codec_name label_policies[] = {{0, "fixed"}, {1, "inherit"}};
static const struct codec_names names_label_policy = NAMES("a label policy", label_policies);

static const struct codec_name ethertypes[] = {
    {0x0800, "ipv4"}, {0x86dd, "ipv6"}, {0x8847, "mpls_uc"}, {0x8848, "mpls_mc"}};
static const struct codec_names names_ethertype = NAMES("an ethertype", ethertypes);

static const struct codec_name gtp_roles[] = {{0, "ggsn"}, {1, "sgsn"}};
static const struct codec_names names_gtp_role = NAMES("a role in GTP", gtp_roles);

static const struct codec_name amt_modes[] = {{0, "gateway"}, {1, "relay"}};
static const struct codec_names names_amt_mode = NAMES("a mode of AMT", amt_modes);

// clang-format off
static const struct codec_row vxlan_rows[] = {
    U32("id", IFLA_VXLAN_ID, .max = (1 << 24) - 1),
    IP6("remote", IFLA_VXLAN_GROUP6, .flags = ROW_RO), /* listed by this row, given by the next */
    CUSTOM("remote", IFLA_VXLAN_GROUP, &kind_either, .mask = IFLA_VXLAN_GROUP6),
    IP6("local", IFLA_VXLAN_LOCAL6, .flags = ROW_RO),
    CUSTOM("local", IFLA_VXLAN_LOCAL, &kind_either, .mask = IFLA_VXLAN_LOCAL6),
    DEV("dev", IFLA_VXLAN_LINK),
    CUSTOM("ttl", IFLA_VXLAN_TTL_INHERIT, &ttl_inherit, .flags = ROW_RO),
    CUSTOM("ttl", IFLA_VXLAN_TTL, &ttl, .mask = IFLA_VXLAN_TTL_INHERIT),
    ENUM("tos", IFLA_VXLAN_TOS, 1, &names_tos, .flags = ROW_NZ),
    ENUM("df", IFLA_VXLAN_DF, 1, &names_df),
    U32("flowlabel", IFLA_VXLAN_LABEL, .max = (1 << 20) - 1, .flags = ROW_BE),
    BOOL("learning", IFLA_VXLAN_LEARNING, 1),
    U32("ageing", IFLA_VXLAN_AGEING),
    U32("maxaddress", IFLA_VXLAN_LIMIT),
    CUSTOM("srcport", IFLA_VXLAN_PORT_RANGE, &srcport),
    U16("dstport", IFLA_VXLAN_PORT, .flags = ROW_BE),
    BOOL("proxy", IFLA_VXLAN_PROXY, 1),
    BOOL("rsc", IFLA_VXLAN_RSC, 1),
    BOOL("l2miss", IFLA_VXLAN_L2MISS, 1),
    BOOL("l3miss", IFLA_VXLAN_L3MISS, 1),
    BOOL("udpcsum", IFLA_VXLAN_UDP_CSUM, 1),
    BOOL("udp6zerocsumtx", IFLA_VXLAN_UDP_ZERO_CSUM6_TX, 1),
    BOOL("udp6zerocsumrx", IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1),
    BOOL("remcsumtx", IFLA_VXLAN_REMCSUM_TX, 1),
    BOOL("remcsumrx", IFLA_VXLAN_REMCSUM_RX, 1),
    FLAG("gbp", IFLA_VXLAN_GBP),
    FLAG("gpe", IFLA_VXLAN_GPE),
    BOOL("external", IFLA_VXLAN_COLLECT_METADATA, 1),
    BOOL("vnifilter", IFLA_VXLAN_VNIFILTER, 1, .flags = ROW_NZ),
    FLAG("remcsum_nopartial", IFLA_VXLAN_REMCSUM_NOPARTIAL),
    BOOL("localbypass", VXLAN_LOCALBYPASS, 1),
    ENUM("label_policy", VXLAN_LABEL_POLICY, 4, &names_label_policy, .flags = ROW_NZ),
};
struct codec_schema vxlan_schema = SCHEMA("vxlan", vxlan_rows, 0);

static const struct codec_row geneve_rows[] = {
    U32("id", IFLA_GENEVE_ID, .max = (1 << 24) - 1),
    IP6("remote", IFLA_GENEVE_REMOTE6, .flags = ROW_RO), /* listed by this row, given by the next */
    CUSTOM("remote", IFLA_GENEVE_REMOTE, &kind_either, .mask = IFLA_GENEVE_REMOTE6),
    CUSTOM("ttl", IFLA_GENEVE_TTL_INHERIT, &ttl_inherit, .flags = ROW_RO),
    CUSTOM("ttl", IFLA_GENEVE_TTL, &ttl, .size = 1, .mask = IFLA_GENEVE_TTL_INHERIT),
    ENUM("tos", IFLA_GENEVE_TOS, 1, &names_tos, .flags = ROW_NZ),
    ENUM("df", IFLA_GENEVE_DF, 1, &names_df),
    U32("flowlabel", IFLA_GENEVE_LABEL, .max = (1 << 20) - 1, .flags = ROW_BE | ROW_NZ),
    U16("dstport", IFLA_GENEVE_PORT, .flags = ROW_BE),
    FLAG("external", IFLA_GENEVE_COLLECT_METADATA),
    BOOL("udpcsum", IFLA_GENEVE_UDP_CSUM, 1),
    BOOL("udp6zerocsumtx", IFLA_GENEVE_UDP_ZERO_CSUM6_TX, 1),
    BOOL("udp6zerocsumrx", IFLA_GENEVE_UDP_ZERO_CSUM6_RX, 1),
    FLAG("innerprotoinherit", IFLA_GENEVE_INNER_PROTO_INHERIT),
};
struct codec_schema geneve_schema = SCHEMA("geneve", geneve_rows, 0);

static const struct codec_row bareudp_rows[] = {
    U16("dstport", IFLA_BAREUDP_PORT, .flags = ROW_BE),
    ENUM("ethertype", IFLA_BAREUDP_ETHERTYPE, 2, &names_ethertype, .flags = ROW_BE),
    U16("srcportmin", IFLA_BAREUDP_SRCPORT_MIN),
    FLAG("multiproto", IFLA_BAREUDP_MULTIPROTO_MODE),
};
struct codec_schema bareudp_schema = SCHEMA("bareudp", bareudp_rows, 0);

/* The kernel makes the sockets by itself (IFLA_GTP_CREATE_SOCKETS), as for `ip link`. */
static const struct codec_row gtp_rows[] = {
    ENUM("role", IFLA_GTP_ROLE, 4, &names_gtp_role),
    U32("hsize", IFLA_GTP_PDP_HASHSIZE, .min = 1, .max = 131071),
    U8("restart_count", IFLA_GTP_RESTART_COUNT, .flags = ROW_NZ),
};
struct codec_schema gtp_schema = SCHEMA("gtp", gtp_rows, 0);

static const struct codec_row amt_rows[] = {
    ENUM("mode", IFLA_AMT_MODE, 4, &names_amt_mode),
    U16("relay_port", IFLA_AMT_RELAY_PORT, .flags = ROW_BE),
    U16("gateway_port", IFLA_AMT_GATEWAY_PORT, .flags = ROW_BE),
    DEV("dev", IFLA_AMT_LINK),
    IP4("local", IFLA_AMT_LOCAL_IP),
    IP4("remote", IFLA_AMT_REMOTE_IP, .flags = ROW_RO),
    IP4("discovery", IFLA_AMT_DISCOVERY_IP),
    U32("max_tunnels", IFLA_AMT_MAX_TUNNELS),
};
struct codec_schema amt_schema = SCHEMA("amt", amt_rows, 0);
// clang-format on

void gtp_create(struct codec_enc *enc, bool external)
{
    (void)external;
    codec_put(&enc->m, IFLA_GTP_CREATE_SOCKETS, &(uint8_t){1}, 1);
}
