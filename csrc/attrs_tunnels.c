/* SPDX-License-Identifier: MIT
 * Tunnels over IP: GRE and ERSPAN, IPIP, SIT, IPv6 tunnels, VTI and XFRM interfaces, as rows. */
#include <arpa/inet.h>
#include <endian.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/in.h>
#include <linux/ip6_tunnel.h>
#include <string.h>

#include "attrs_kinds.h"

/* Names ------------------------------------------------------------------------------------- */

static const struct codec_name ttls[] = {{0, "inherit"}};
static const struct codec_names names_ttl = NAMES("a TTL (a number or \"inherit\")", ttls);

static const struct codec_name encaps[] = {
    {TUNNEL_ENCAP_NONE, "none"}, {TUNNEL_ENCAP_FOU, "fou"}, {TUNNEL_ENCAP_GUE, "gue"}};
static const struct codec_names names_encap = NAMES("an encapsulation in UDP", encaps);

static const struct codec_name ports[] = {{0, "auto"}};
static const struct codec_names names_port = NAMES("a port (a number or \"auto\")", ports);

static const struct codec_name ipip_modes[] = {
    {IPPROTO_IPIP, "ipip"}, {IPPROTO_MPLS, "mplsip"}, {0, "any"}};
static const struct codec_names names_ipip_mode = NAMES("a mode of ipip", ipip_modes);

static const struct codec_name sit_modes[] = {
    {IPPROTO_IPV6, "ip6ip"}, {IPPROTO_IPIP, "ipip"}, {IPPROTO_MPLS, "mplsip"}, {0, "any"}};
static const struct codec_names names_sit_mode = NAMES("a mode of sit", sit_modes);

static const struct codec_name ip6tnl_modes[] = {
    {IPPROTO_IPV6, "ip6ip6"}, {IPPROTO_IPIP, "ipip6"}, {0, "any"}};
static const struct codec_names names_ip6tnl_mode = NAMES("a mode of ip6tnl", ip6tnl_modes);

static const struct codec_name directions[] = {{0, "ingress"}, {1, "egress"}};
static const struct codec_names names_direction = NAMES("a direction", directions);

/* Keys ---------------------------------------------------------------------------------------- */

/* Numbers or "1.2.3.4", in network byte order. row->mask: the attribute whose GRE_KEY says that
 * there is a key, 0: none does. */
static int read_key(struct codec_enc *enc, const struct codec_row *row, uint32_t *key)
{
    int64_t value;

    if (lua_type(enc->L, -1) == LUA_TSTRING &&
        inet_pton(AF_INET, lua_tostring(enc->L, -1), key) == 1)
        return 0;
    if (lua_type(enc->L, -1) != LUA_TNUMBER)
        return codec_bad(enc, row->key, "a number or a dotted quad such as \"0.0.0.5\"");
    if (codec_integer(enc, row->key, 0, UINT32_MAX, &value))
        return -EINVAL;
    *key = htobe32((uint32_t)value);
    return 0;
}

static void set_gre_flag(struct codec_enc *enc, int attr, uint16_t flag)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, attr);
    uint16_t *flags = a ? nla_data(a) : codec_put(&enc->m, attr, NULL, sizeof(*flags));

    if (flags)
        *flags |= flag;
}

static void put_key(struct codec_enc *enc, int attr, int flags, uint32_t key)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, attr);

    if (a)
        codec_drop(&enc->m, a);
    codec_put_u32(&enc->m, attr, key);
    if (flags)
        set_gre_flag(enc, flags, GRE_KEY);
}

static int encode_key(struct codec_enc *enc, const struct codec_row *row)
{
    uint32_t key;
    int err = read_key(enc, row, &key);

    if (!err)
        put_key(enc, row->attr, (int)row->mask, key);
    return err;
}

static void decode_key(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 4 || !nla_get_u32(a))
        return;
    lua_pushinteger(dec->L, be32toh(nla_get_u32(a)));
    codec_set_name(dec, row->key);
}
static const struct codec_custom one_key = {encode_key, decode_key};

/* `key`: both ways. The output's attribute is the input's + 1, for keys as for flags. */
static int encode_both_keys(struct codec_enc *enc, const struct codec_row *row)
{
    uint32_t key;
    int err = read_key(enc, row, &key);

    for (int i = 0; !err && i < 2; i++)
        put_key(enc, row->attr + i, row->mask ? (int)row->mask + i : 0, key);
    return err;
}
static const struct codec_custom both_keys = {encode_both_keys, kind_decode_none};

/* `seq`, `csum`: a flag both ways. */
static int encode_both_flags(struct codec_enc *enc, const struct codec_row *row)
{
    if (lua_type(enc->L, -1) != LUA_TBOOLEAN)
        return codec_bad(enc, row->key, "true or false");
    for (int i = 0; i < 2; i++) {
        struct nlattr *a = codec_find(&enc->m, enc->level, row->attr + i);

        if (lua_toboolean(enc->L, -1))
            set_gre_flag(enc, row->attr + i, (uint16_t)row->mask);
        else if (a)
            *(uint16_t *)nla_data(a) &= (uint16_t)~row->mask;
    }
    return 0;
}
static const struct codec_custom both_flags = {encode_both_flags, kind_decode_none};

/* Flow information of IPv6 tunnels ------------------------------------------------------------- */

/* A part (row->mask) of a number, or a word for the bit row->min of the flags row->max. */
static const char *word_of(const struct codec_row *row)
{
    return row->size == 1 ? "none" : "inherit";
}

static uint32_t *tunnel_flags(struct codec_enc *enc, int attr)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, attr);

    return a ? nla_data(a) : codec_put(&enc->m, attr, NULL, sizeof(uint32_t));
}

static int encode_flow(struct codec_enc *enc, const struct codec_row *row)
{
    bool word =
        lua_type(enc->L, -1) == LUA_TSTRING && !strcmp(lua_tostring(enc->L, -1), word_of(row));
    int shift = row->mask ? __builtin_ctz(row->mask) : 0;
    uint32_t *flags = tunnel_flags(enc, (int)row->max), value;
    int64_t given = 0;
    struct nlattr *a;
    void *at;

    if (flags)
        *flags = word ? *flags | (uint32_t)row->min : *flags & ~(uint32_t)row->min;
    if (word)
        return 0;
    if (lua_type(enc->L, -1) != LUA_TNUMBER)
        return codec_bad(enc, row->key, "a number or \"%s\"", word_of(row));
    if (codec_integer(enc, row->key, 0, row->mask >> shift, &given))
        return -EINVAL;
    a = codec_find(&enc->m, enc->level, row->attr);
    at = a ? nla_data(a) : codec_put(&enc->m, row->attr, NULL, row->size);
    if (!at || row->size == 1) {
        if (at)
            *(uint8_t *)at = (uint8_t)given;
        return 0;
    }
    memcpy(&value, at, sizeof(value));
    value = row->flags & ROW_BE ? be32toh(value) : value;
    value = (value & ~row->mask) | (uint32_t)given << shift;
    value = row->flags & ROW_BE ? htobe32(value) : value;
    memcpy(at, &value, sizeof(value));
    return 0;
}

/* The number; decode_flow_flags, later in the message, puts the word over it. */
static void decode_flow(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    int64_t value;

    if (nla_len(a) < row->size)
        return;
    value = (codec_read_number(row, nla_data(a)) & row->mask) >> __builtin_ctz(row->mask);
    if (!value && row->flags & ROW_NZ)
        return;
    lua_pushinteger(dec->L, value);
    codec_set_name(dec, row->key);
}
static const struct codec_custom flow = {encode_flow, decode_flow};

static const struct {
    uint32_t bit;
    const char *key, *word;
} flow_words[] = {{IP6_TNL_F_IGN_ENCAP_LIMIT, "encaplimit", "none"},
                  {IP6_TNL_F_USE_ORIG_TCLASS, "tclass", "inherit"},
                  {IP6_TNL_F_USE_ORIG_FLOWLABEL, "flowlabel", "inherit"},
                  {IP6_TNL_F_RCV_DSCP_COPY, "dscp", "inherit"},
                  {IP6_TNL_F_USE_ORIG_FWMARK, "fwmark", "inherit"}};

/* Stands behind the numbers in the message: listings put the words over them. */
static void decode_flow_flags(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)row;
    for (size_t i = 0; nla_len(a) >= 4 && i < ARRAY_LEN(flow_words); i++) {
        if (!(nla_get_u32(a) & flow_words[i].bit))
            continue;
        lua_pushstring(dec->L, flow_words[i].word);
        codec_set_name(dec, flow_words[i].key);
    }
}

static int encode_dscp(struct codec_enc *enc, const struct codec_row *row)
{
    uint32_t *flags = tunnel_flags(enc, row->attr);

    if (lua_type(enc->L, -1) != LUA_TSTRING || strcmp(lua_tostring(enc->L, -1), "inherit") != 0)
        return codec_bad(enc, row->key, "\"inherit\"");
    if (flags)
        *flags |= IP6_TNL_F_RCV_DSCP_COPY;
    return 0;
}
static const struct codec_custom dscp = {encode_dscp, decode_flow_flags};

/* 6rd -------------------------------------------------------------------------------------------
 */

/* "2002::/16": the address is row->attr, its length row->attr + 2. */
static int encode_6rd(struct codec_enc *enc, const struct codec_row *row)
{
    int family = row->size == 4 ? AF_INET : AF_INET6;
    const char *wanted = family == AF_INET ? "an IPv4 prefix" : "an IPv6 prefix";
    const char *text = codec_text(enc, row->key, wanted), *slash = text ? strchr(text, '/') : NULL;
    char host[INET6_ADDRSTRLEN] = "";
    unsigned char addr[16];
    unsigned long len = 0;
    char *end = "";

    if (!text)
        return -EINVAL;
    if (slash && (size_t)(slash - text) < sizeof(host)) {
        memcpy(host, text, (size_t)(slash - text));
        len = strtoul(slash + 1, &end, 10);
    }
    if (!*host || *end || slash[1] < '0' || slash[1] > '9' || len > 8ul * row->size ||
        codec_parse_ip(host, addr) != family)
        return codec_bad(enc, row->key, "%s", wanted);
    codec_put(&enc->m, row->attr, addr, row->size);
    codec_put(&enc->m, row->attr + 2, &(uint16_t){(uint16_t)len}, 2);
    return 0;
}

static void decode_6rd(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) != row->size)
        return;
    codec_push_ip(dec->L, row->size == 4 ? AF_INET : AF_INET6, nla_data(a));
    codec_set_name(dec, row->key);
}
static const struct codec_custom prefix_6rd = {encode_6rd, decode_6rd};

/* The length comes behind the address. */
static void decode_6rd_len(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 2 || !codec_field(dec->L, lua_gettop(dec->L), row->key))
        return;
    lua_pushfstring(dec->L, "%s/%d", lua_tostring(dec->L, -1), (int)nla_get_u16(a));
    lua_remove(dec->L, -2);
    codec_set_name(dec, row->key);
}
static const struct codec_custom len_6rd = {kind_encode_none, decode_6rd_len};

/* Rows ------------------------------------------------------------------------------------------
 */

// clang-format off
#define ENCAP_ROWS(type, flgs, sport, dport) \
    ENUM("encap", type, 2, &names_encap, .flags = ROW_NZ), \
    BIT("encap_csum", flgs, 2, TUNNEL_ENCAP_FLAG_CSUM, .flags = ROW_NZ), \
    BIT("encap_csum6", flgs, 2, TUNNEL_ENCAP_FLAG_CSUM6, .flags = ROW_NZ), \
    BIT("encap_remcsum", flgs, 2, TUNNEL_ENCAP_FLAG_REMCSUM, .flags = ROW_NZ), \
    ENUM("encap_sport", sport, 2, &names_port, .flags = ROW_BE | ROW_NZ), \
    ENUM("encap_dport", dport, 2, &names_port, .flags = ROW_BE | ROW_NZ)

#define GRE_ROWS \
    DEV("dev", IFLA_GRE_LINK), \
    BIT("iseq", IFLA_GRE_IFLAGS, 2, GRE_SEQ, .flags = ROW_NZ), \
    BIT("icsum", IFLA_GRE_IFLAGS, 2, GRE_CSUM, .flags = ROW_NZ), \
    CUSTOM("seq", IFLA_GRE_IFLAGS, &both_flags, .mask = GRE_SEQ, .flags = ROW_WO), \
    CUSTOM("csum", IFLA_GRE_IFLAGS, &both_flags, .mask = GRE_CSUM, .flags = ROW_WO), \
    BIT("oseq", IFLA_GRE_OFLAGS, 2, GRE_SEQ, .flags = ROW_NZ), \
    BIT("ocsum", IFLA_GRE_OFLAGS, 2, GRE_CSUM, .flags = ROW_NZ), \
    CUSTOM("ikey", IFLA_GRE_IKEY, &one_key, .mask = IFLA_GRE_IFLAGS), \
    CUSTOM("key", IFLA_GRE_IKEY, &both_keys, .mask = IFLA_GRE_IFLAGS, .flags = ROW_WO), \
    CUSTOM("okey", IFLA_GRE_OKEY, &one_key, .mask = IFLA_GRE_OFLAGS), \
    FLAG("external", IFLA_GRE_COLLECT_METADATA), \
    ENCAP_ROWS(IFLA_GRE_ENCAP_TYPE, IFLA_GRE_ENCAP_FLAGS, IFLA_GRE_ENCAP_SPORT, IFLA_GRE_ENCAP_DPORT), \
    U8("erspan_ver", IFLA_GRE_ERSPAN_VER, .max = 2), \
    U32("erspan", IFLA_GRE_ERSPAN_INDEX, .max = 0xfffff, .flags = ROW_NZ), \
    ENUM("erspan_dir", IFLA_GRE_ERSPAN_DIR, 1, &names_direction), \
    U16("erspan_hwid", IFLA_GRE_ERSPAN_HWID, .max = 63)

static const struct codec_row gre_rows[] = {
    GRE_ROWS,
    IP4("local", IFLA_GRE_LOCAL),
    IP4("remote", IFLA_GRE_REMOTE),
    ENUM("ttl", IFLA_GRE_TTL, 1, &names_ttl),
    ENUM("tos", IFLA_GRE_TOS, 1, &names_tos, .flags = ROW_NZ),
    BOOL("pmtudisc", IFLA_GRE_PMTUDISC, 1),
    BOOL("ignore_df", IFLA_GRE_IGNORE_DF, 1, .flags = ROW_NZ),
    U32("fwmark", IFLA_GRE_FWMARK, .flags = ROW_NZ),
};
struct codec_schema gre_schema = SCHEMA("gre", gre_rows, 0);

#define FLOW_ROWS(limit, info, flgs, mark) \
    CUSTOM("encaplimit", limit, &flow, .size = 1, .mask = 0xff, .min = IP6_TNL_F_IGN_ENCAP_LIMIT, .max = flgs), \
    CUSTOM("tclass", info, &flow, .size = 4, .mask = 0x0ff00000, .min = IP6_TNL_F_USE_ORIG_TCLASS, .max = flgs, .flags = ROW_BE | ROW_NZ), \
    CUSTOM("flowlabel", info, &flow, .size = 4, .mask = 0x000fffff, .min = IP6_TNL_F_USE_ORIG_FLOWLABEL, .max = flgs, .flags = ROW_BE | ROW_NZ), \
    CUSTOM("dscp", flgs, &dscp), \
    BIT("allow_localremote", flgs, 4, IP6_TNL_F_ALLOW_LOCAL_REMOTE, .flags = ROW_NZ), \
    CUSTOM("fwmark", mark, &flow, .size = 4, .mask = 0xffffffff, .min = IP6_TNL_F_USE_ORIG_FWMARK, .max = flgs, .flags = ROW_NZ)

static const struct codec_row ip6gre_rows[] = {
    GRE_ROWS,
    IP6("local", IFLA_GRE_LOCAL),
    IP6("remote", IFLA_GRE_REMOTE),
    U8("hoplimit", IFLA_GRE_TTL),
    FLOW_ROWS(IFLA_GRE_ENCAP_LIMIT, IFLA_GRE_FLOWINFO, IFLA_GRE_FLAGS, IFLA_GRE_FWMARK),
};
struct codec_schema ip6gre_schema = SCHEMA("ip6gre", ip6gre_rows, 0);

#define IPTUN_ROWS \
    DEV("dev", IFLA_IPTUN_LINK), \
    FLAG("external", IFLA_IPTUN_COLLECT_METADATA), \
    ENCAP_ROWS(IFLA_IPTUN_ENCAP_TYPE, IFLA_IPTUN_ENCAP_FLAGS, IFLA_IPTUN_ENCAP_SPORT, IFLA_IPTUN_ENCAP_DPORT)

#define IP4TUN_ROWS \
    IPTUN_ROWS, \
    IP4("local", IFLA_IPTUN_LOCAL), \
    IP4("remote", IFLA_IPTUN_REMOTE), \
    ENUM("ttl", IFLA_IPTUN_TTL, 1, &names_ttl), \
    ENUM("tos", IFLA_IPTUN_TOS, 1, &names_tos, .flags = ROW_NZ), \
    BOOL("pmtudisc", IFLA_IPTUN_PMTUDISC, 1), \
    U32("fwmark", IFLA_IPTUN_FWMARK, .flags = ROW_NZ)

static const struct codec_row ipip_rows[] = {
    IP4TUN_ROWS,
    ENUM("mode", IFLA_IPTUN_PROTO, 1, &names_ipip_mode),
};
struct codec_schema ipip_schema = SCHEMA("ipip", ipip_rows, 0);

static const struct codec_row sit_rows[] = {
    IP4TUN_ROWS,
    ENUM("mode", IFLA_IPTUN_PROTO, 1, &names_sit_mode),
    BIT("isatap", IFLA_IPTUN_FLAGS, 2, SIT_ISATAP, .flags = ROW_NZ),
    CUSTOM("6rd_prefix", IFLA_IPTUN_6RD_PREFIXLEN, &len_6rd, .flags = ROW_RO),
    CUSTOM("6rd_prefix", IFLA_IPTUN_6RD_PREFIX, &prefix_6rd, .size = 16),
    CUSTOM("6rd_relay_prefix", IFLA_IPTUN_6RD_RELAY_PREFIXLEN, &len_6rd, .flags = ROW_RO),
    CUSTOM("6rd_relay_prefix", IFLA_IPTUN_6RD_RELAY_PREFIX, &prefix_6rd, .size = 4),
};
struct codec_schema sit_schema = SCHEMA("sit", sit_rows, 0);

static const struct codec_row ip6tnl_rows[] = {
    IPTUN_ROWS,
    IP6("local", IFLA_IPTUN_LOCAL),
    IP6("remote", IFLA_IPTUN_REMOTE),
    U8("hoplimit", IFLA_IPTUN_TTL),
    ENUM("mode", IFLA_IPTUN_PROTO, 1, &names_ip6tnl_mode),
    FLOW_ROWS(IFLA_IPTUN_ENCAP_LIMIT, IFLA_IPTUN_FLOWINFO, IFLA_IPTUN_FLAGS, IFLA_IPTUN_FWMARK),
};
struct codec_schema ip6tnl_schema = SCHEMA("ip6tnl", ip6tnl_rows, 0);

#define VTI_ROWS \
    DEV("dev", IFLA_VTI_LINK), \
    CUSTOM("ikey", IFLA_VTI_IKEY, &one_key), \
    CUSTOM("key", IFLA_VTI_IKEY, &both_keys, .flags = ROW_WO), \
    CUSTOM("okey", IFLA_VTI_OKEY, &one_key), \
    U32("fwmark", IFLA_VTI_FWMARK, .flags = ROW_NZ)

static const struct codec_row vti_rows[] = {
    VTI_ROWS,
    IP4("local", IFLA_VTI_LOCAL),
    IP4("remote", IFLA_VTI_REMOTE),
};
struct codec_schema vti_schema = SCHEMA("vti", vti_rows, 0);

static const struct codec_row vti6_rows[] = {
    VTI_ROWS,
    IP6("local", IFLA_VTI_LOCAL),
    IP6("remote", IFLA_VTI_REMOTE),
};
struct codec_schema vti6_schema = SCHEMA("vti6", vti6_rows, 0);

static const struct codec_row xfrm_rows[] = {
    DEV("dev", IFLA_XFRM_LINK),
    U32("if_id", IFLA_XFRM_IF_ID, .min = 1, .flags = ROW_NZ),
    FLAG("external", IFLA_XFRM_COLLECT_METADATA),
};
struct codec_schema xfrm_schema = SCHEMA("xfrm", xfrm_rows, 0);
// clang-format on

/* What `ip link` says where nothing else is given. */
static void ipv6_defaults(struct codec_enc *enc, int ttl, int limit, int encap)
{
    codec_put(&enc->m, ttl, &(uint8_t){64}, 1);
    codec_put(&enc->m, limit, &(uint8_t){4}, 1);
    codec_put(&enc->m, encap, &(uint16_t){TUNNEL_ENCAP_FLAG_CSUM6}, 2);
}

void ip6gre_create(struct codec_enc *enc, bool external)
{
    if (!external)
        ipv6_defaults(enc, IFLA_GRE_TTL, IFLA_GRE_ENCAP_LIMIT, IFLA_GRE_ENCAP_FLAGS);
}

void iptun_create(struct codec_enc *enc, bool external)
{
    codec_put(&enc->m, IFLA_IPTUN_PROTO, &(uint8_t){0}, 1);
    if (!external)
        codec_put(&enc->m, IFLA_IPTUN_TTL, &(uint8_t){0}, 1);
}

void ip6tnl_create(struct codec_enc *enc, bool external)
{
    codec_put(&enc->m, IFLA_IPTUN_PROTO, &(uint8_t){0}, 1);
    if (!external)
        ipv6_defaults(enc, IFLA_IPTUN_TTL, IFLA_IPTUN_ENCAP_LIMIT, IFLA_IPTUN_ENCAP_FLAGS);
}
