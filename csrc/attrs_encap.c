/* SPDX-License-Identifier: MIT
 * Encapsulation by routes: `ip route ... encap TYPE` (ip-route(8)) as a table,
 * encap = { type = "mpls", labels = "100/200" } or { type = "ip", id = 7, dst = "10.0.0.2" }; and
 * labels of MPLS routes. */
#include <arpa/inet.h>
#include <linux/lwtunnel.h>
#include <linux/mpls_iptunnel.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "attrs.h"
#include "attrs_route.h"

#define LABELS_MAX 30 /* of a stack, in the kernel */

/* MPLS label stacks: "100/200", outermost first; or one number. */
static int encode_labels(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a label of MPLS, or a stack of them such as \"100/200\"";
    uint32_t stack[LABELS_MAX];
    size_t n = 0;
    int64_t one;
    const char *p;
    char *end;

    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        int err = codec_integer(enc, row->key, 0, 0xfffff, &one);
        stack[0] = htonl((uint32_t)(err ? 0 : one) << 12 | 1u << 8);
        codec_put(&enc->m, row->attr, stack, sizeof(*stack));
        return err;
    }
    p = codec_text(enc, row->key, wanted);
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
    if (row->mask && nla_len(a) == 4)
        lua_pushinteger(dec->L, strtol(text, NULL, 10));
    else
        lua_pushlstring(dec->L, text, len);
    codec_set_name(dec, row->key);
}
const struct codec_custom encap_labels = {encode_labels, decode_labels};

/* The label that a route of MPLS is for. */
int route_put_label(struct codec_enc *enc, const char *key)
{
    const struct codec_row row = CUSTOM(key, RTA_DST, &encap_labels);
    size_t before = enc->m.len;
    int err = encode_labels(enc, &row);

    if (!err && enc->m.len - before > NLA_HDRLEN + 4)
        err = codec_bad(enc, key, "one label of MPLS");
    return err;
}

static int encode_type(struct codec_enc *enc, const struct codec_row *row)
{
    (void)enc, (void)row; /* read before the rest */
    return 0;
}

static void decode_nothing(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)dec, (void)row, (void)a;
}
const struct codec_custom encap_type = {encode_type, decode_nothing};

// clang-format off
static const struct codec_row mpls_rows[] = {
    ENCAP_TYPE_ROW,
    CUSTOM("labels", MPLS_IPTUNNEL_DST, &encap_labels),
    U8("ttl", MPLS_IPTUNNEL_TTL, .min = 1),
};
static const struct codec_row ip_rows[] = {
    ENCAP_TYPE_ROW,
    U64("id", LWTUNNEL_IP_ID, .flags = ROW_BE),
    IP4("dst", LWTUNNEL_IP_DST),
    IP4("src", LWTUNNEL_IP_SRC),
    U8("ttl", LWTUNNEL_IP_TTL),
    U8("tos", LWTUNNEL_IP_TOS),
    U16("flags", LWTUNNEL_IP_FLAGS, .flags = ROW_BE | ROW_NZ),
};
static const struct codec_row ip6_rows[] = {
    ENCAP_TYPE_ROW,
    U64("id", LWTUNNEL_IP6_ID, .flags = ROW_BE),
    IP6("dst", LWTUNNEL_IP6_DST),
    IP6("src", LWTUNNEL_IP6_SRC),
    U8("hoplimit", LWTUNNEL_IP6_HOPLIMIT),
    U8("tc", LWTUNNEL_IP6_TC),
    U16("flags", LWTUNNEL_IP6_FLAGS, .flags = ROW_BE | ROW_NZ),
};
static const struct codec_row xfrm_rows[] = {
    ENCAP_TYPE_ROW,
    U32("if_id", LWT_XFRM_IF_ID, .min = 1),
    DEV("link_dev", LWT_XFRM_LINK),
};
// clang-format on
struct codec_schema encap_mpls_schema = SCHEMA("encap mpls", mpls_rows, 0);
struct codec_schema encap_ip_schema = SCHEMA("encap ip", ip_rows, 0);
struct codec_schema encap_ip6_schema = SCHEMA("encap ip6", ip6_rows, 0);
struct codec_schema encap_xfrm_schema = SCHEMA("encap xfrm", xfrm_rows, 0);

static const struct {
    const char *name;
    uint16_t type;
    struct codec_schema *schema;
    int (*finish)(struct codec_enc *enc); /* make attributes of what several keys gave */
} types[] = {
    {"mpls", LWTUNNEL_ENCAP_MPLS, &encap_mpls_schema, NULL},
    {"ip", LWTUNNEL_ENCAP_IP, &encap_ip_schema, NULL},
    {"ip6", LWTUNNEL_ENCAP_IP6, &encap_ip6_schema, NULL},
    {"seg6", LWTUNNEL_ENCAP_SEG6, &encap_seg6_schema, encap_seg6_finish},
    {"seg6local", LWTUNNEL_ENCAP_SEG6_LOCAL, &encap_seg6local_schema, encap_seg6local_finish},
    {"xfrm", LWTUNNEL_ENCAP_XFRM, &encap_xfrm_schema, NULL},
    {"rpl", LWTUNNEL_ENCAP_RPL, &encap_rpl_schema, encap_rpl_finish},
    {"ioam6", LWTUNNEL_ENCAP_IOAM6, &encap_ioam6_schema, encap_ioam6_finish},
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
        return nserr_arg(
            enc->e,
            "%s: encap.type must be \"mpls\", \"ip\", \"ip6\", \"seg6\", \"seg6local\", "
            "\"xfrm\", \"rpl\" or \"ioam6\"",
            enc->op);
    codec_put(&enc->m, RTA_ENCAP_TYPE, &types[kind].type, sizeof(types[kind].type));
    mark = codec_nest(&enc->m, RTA_ENCAP | NLA_F_NESTED);
    path = codec_path(enc, row->key, 0);
    enc->level = enc->m.len;
    err = codec_encode(enc, idx, types[kind].schema);
    if (!err && types[kind].finish)
        err = types[kind].finish(enc);
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
