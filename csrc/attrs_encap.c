/* SPDX-License-Identifier: MIT
 * Encapsulation by routes: `ip route ... encap TYPE` (ip-route(8)) as a table,
 * encap = { type = "mpls", labels = "100/200" } or { type = "ip", id = 7, dst = "10.0.0.2" }. */
#include <arpa/inet.h>
#include <linux/lwtunnel.h>
#include <linux/mpls_iptunnel.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "attrs.h"
#include "attrs_route.h"

#define LABELS_MAX 30 /* of a stack, in the kernel */

/* MPLS label stacks: "100/200", outermost first. */
static int encode_labels(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a stack of MPLS labels such as \"100/200\"";
    uint32_t stack[LABELS_MAX];
    size_t n = 0;
    const char *p = codec_text(enc, row->key, wanted);
    char *end;

    if (!p)
        return -EINVAL;
    do {
        unsigned long label = strtoul(p, &end, 10);
        if (*p < '0' || *p > '9' || label > 0xfffff || n == LABELS_MAX)
            return codec_bad(enc, row->key, wanted);
        stack[n++] = htonl((uint32_t)label << 12);
        p = end + 1;
    } while (*end == '/');
    if (*end)
        return codec_bad(enc, row->key, wanted);
    stack[n - 1] |= htonl(1u << 8); /* the bottom of the stack */
    codec_put(&enc->m, row->attr, stack, n * sizeof(*stack));
    return 0;
}

static void decode_labels(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    char text[LABELS_MAX * 8] = "";
    size_t len = 0;

    for (int at = 0; at + 4 <= nla_len(a) && len + 8 < sizeof(text); at += 4) {
        uint32_t entry;
        memcpy(&entry, (char *)nla_data(a) + at, sizeof(entry));
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u", at ? "/" : "",
                                ntohl(entry) >> 12);
    }
    lua_pushlstring(dec->L, text, len);
    codec_set_name(dec, row->key);
}
static const struct codec_custom labels = {encode_labels, decode_labels};

static int encode_type(struct codec_enc *enc, const struct codec_row *row)
{
    (void)enc, (void)row; /* read before the rest */
    return 0;
}

static void decode_nothing(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)dec, (void)row, (void)a;
}
static const struct codec_custom type_key = {encode_type, decode_nothing};

#define TYPE_ROW CUSTOM("type", 0, &type_key, .flags = ROW_WO)

// clang-format off
static const struct codec_row mpls_rows[] = {
    TYPE_ROW,
    CUSTOM("labels", MPLS_IPTUNNEL_DST, &labels),
    U8("ttl", MPLS_IPTUNNEL_TTL, .min = 1),
};
static const struct codec_row ip_rows[] = {
    TYPE_ROW,
    U64("id", LWTUNNEL_IP_ID, .flags = ROW_BE),
    IP4("dst", LWTUNNEL_IP_DST),
    IP4("src", LWTUNNEL_IP_SRC),
    U8("ttl", LWTUNNEL_IP_TTL),
    U8("tos", LWTUNNEL_IP_TOS),
    U16("flags", LWTUNNEL_IP_FLAGS, .flags = ROW_BE | ROW_NZ),
};
static const struct codec_row ip6_rows[] = {
    TYPE_ROW,
    U64("id", LWTUNNEL_IP6_ID, .flags = ROW_BE),
    IP6("dst", LWTUNNEL_IP6_DST),
    IP6("src", LWTUNNEL_IP6_SRC),
    U8("hoplimit", LWTUNNEL_IP6_HOPLIMIT),
    U8("tc", LWTUNNEL_IP6_TC),
    U16("flags", LWTUNNEL_IP6_FLAGS, .flags = ROW_BE | ROW_NZ),
};
// clang-format on
struct codec_schema encap_mpls_schema = SCHEMA("encap mpls", mpls_rows, 0);
struct codec_schema encap_ip_schema = SCHEMA("encap ip", ip_rows, 0);
struct codec_schema encap_ip6_schema = SCHEMA("encap ip6", ip6_rows, 0);

static const struct {
    const char *name;
    uint16_t type;
    struct codec_schema *schema;
} types[] = {
    {"mpls", LWTUNNEL_ENCAP_MPLS, &encap_mpls_schema},
    {"ip", LWTUNNEL_ENCAP_IP, &encap_ip_schema},
    {"ip6", LWTUNNEL_ENCAP_IP6, &encap_ip6_schema},
};

static int encode_encap(struct codec_enc *enc, const struct codec_row *row)
{
    lua_State *L = enc->L;
    size_t kind = ARRAY_LEN(types), mark, path, level = enc->level;
    int idx = lua_gettop(L), err;

    if (lua_type(L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key, "a table such as { type = \"mpls\", labels = \"100\" }");
    if (codec_field(L, idx, "type")) {
        for (size_t i = 0; i < ARRAY_LEN(types) && lua_type(L, -1) == LUA_TSTRING; i++)
            if (!strcmp(types[i].name, lua_tostring(L, -1)))
                kind = i;
        lua_pop(L, 1);
    }
    if (kind == ARRAY_LEN(types))
        return nserr_arg(enc->e, "%s: encap.type must be \"mpls\", \"ip\" or \"ip6\"", enc->op);
    codec_put(&enc->m, RTA_ENCAP_TYPE, &types[kind].type, sizeof(types[kind].type));
    mark = codec_nest(&enc->m, RTA_ENCAP | NLA_F_NESTED);
    path = codec_path(enc, row->key, 0);
    enc->level = enc->m.len;
    err = codec_encode(enc, idx, types[kind].schema);
    enc->level = level;
    codec_path_end(enc, path);
    codec_nest_end(&enc->m, mark);
    return err;
}

static void decode_encap(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)dec, (void)row, (void)a; /* needs the type, which stands in an attribute of its own */
}
const struct codec_custom route_encap = {encode_encap, decode_encap};

void route_decode_encap(struct codec_dec *dec, struct nlattr *type, struct nlattr *encap)
{
    if (!type || !encap || nla_len(type) < 2)
        return;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (types[i].type != nla_get_u16(type))
            continue;
        lua_newtable(dec->L);
        lua_pushstring(dec->L, types[i].name);
        codec_set_name(dec, "type");
        codec_decode_attrs(dec, types[i].schema, nla_data(encap), nla_len(encap));
        codec_set_name(dec, "encap");
    }
}
