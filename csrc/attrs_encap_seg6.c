/* SPDX-License-Identifier: MIT
 * Segment routing by routes: encap = { type = "seg6", mode = "encap", segs = { "fd00::8", ... } }
 * and encap = { type = "seg6local", action = "End.X", nh6 = "fd00::9" } (ip-route(8)).
 *
 * Theory of operation: mode, segments and HMAC key are one structure on the wire, a header with the
 * segments last first. Their rows put what they are given into attributes of their own (GIVEN_*),
 * of which the header is made when all are there. */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <linux/seg6.h>
#include <linux/seg6_hmac.h>
#include <linux/seg6_iptunnel.h>
#include <linux/seg6_local.h>
#include <string.h>

#include "attrs.h"
#include "attrs_kinds.h"
#include "attrs_route.h"

#define SEGS_MAX   126 /* the header counts its length in one byte */
#define GIVEN_MODE 200
#define GIVEN_HMAC 202
#define HMAC_LEN   sizeof(struct sr6_tlv_hmac)

/* Segments ---------------------------------------------------------------------------------- */

int encap_encode_segs(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a list of IPv6 addresses";
    unsigned char segs[SEGS_MAX][16];
    size_t n;

    if (lua_type(enc->L, -1) != LUA_TTABLE || (n = lua_rawlen(enc->L, -1)) == 0 || n > SEGS_MAX)
        return codec_bad(enc, row->key, wanted);
    for (size_t i = 0; i < n; i++) {
        if (lua_rawgeti(enc->L, -1, (lua_Integer)i + 1) != LUA_TSTRING ||
            codec_parse_ip(lua_tostring(enc->L, -1), segs[i]) != AF_INET6)
            return codec_bad(enc, row->key, wanted);
        lua_pop(enc->L, 1);
    }
    codec_put(&enc->m, ENCAP_GIVEN_SEGS, segs, n * 16);
    return 0;
}

/* Take an attribute out of the message: its number, or `none`. */
static uint32_t take_number(struct codec_enc *enc, int type, uint32_t none)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, type);

    if (!a)
        return none;
    none = nla_get_u32(a);
    codec_drop(&enc->m, a);
    return none;
}

/* The header of the segments given, behind `before` bytes in an attribute. `extra`: one more
 * segment, the last, where the packet's own destination goes. */
static char *put_srh(struct codec_enc *enc, int type, size_t before, bool extra)
{
    uint32_t hmac = take_number(enc, GIVEN_HMAC, 0);
    struct nlattr *given = codec_find(&enc->m, enc->level, ENCAP_GIVEN_SEGS);
    unsigned char segs[SEGS_MAX][16];
    size_t n, len;
    struct ipv6_sr_hdr *srh;
    char *start;

    if (!given)
        return NULL;
    n = (size_t)nla_len(given) / 16;
    memcpy(segs, nla_data(given), n * 16);
    codec_drop(&enc->m, given);
    len = sizeof(*srh) + (n + extra) * 16 + (hmac ? HMAC_LEN : 0);
    start = codec_put(&enc->m, type, NULL, before + len);
    if (!start)
        return NULL;
    srh = (struct ipv6_sr_hdr *)(start + before);
    srh->hdrlen = (uint8_t)(len / 8 - 1);
    srh->type = 4; /* a segment routing header */
    srh->segments_left = srh->first_segment = (uint8_t)(n + extra - 1);
    for (size_t i = 0; i < n; i++)
        memcpy(&srh->segments[n + extra - 1 - i], segs[i], 16);
    if (hmac) {
        struct sr6_tlv_hmac *tlv = (struct sr6_tlv_hmac *)&srh->segments[n + extra];
        srh->flags |= SR6_FLAG1_HMAC;
        tlv->tlvhdr.type = SR6_TLV_HMAC;
        tlv->tlvhdr.len = HMAC_LEN - sizeof(tlv->tlvhdr);
        tlv->hmackeyid = htonl(hmac);
    }
    return start;
}

/* `segs` and `hmac` into the table at the top; `extra` as above. */
static void decode_srh(struct codec_dec *dec, const struct ipv6_sr_hdr *srh, int len, bool extra)
{
    const struct sr6_tlv_hmac *tlv;
    lua_Integer n = 0;
    int count;

    if (len < (int)sizeof(*srh))
        return;
    count = srh->first_segment + 1;
    if (len < (int)sizeof(*srh) + 16 * count)
        return;
    lua_newtable(dec->L);
    for (int i = count - 1; i >= (extra ? 1 : 0); i--) {
        codec_push_ip(dec->L, AF_INET6, &srh->segments[i]);
        lua_rawseti(dec->L, -2, ++n);
    }
    codec_set_name(dec, "segs");
    tlv = (const struct sr6_tlv_hmac *)&srh->segments[count];
    if (!(srh->flags & SR6_FLAG1_HMAC) || len < (int)(sizeof(*srh) + 16 * (size_t)count + HMAC_LEN))
        return;
    lua_pushinteger(dec->L, ntohl(tlv->hmackeyid));
    codec_set_name(dec, "hmac");
}

/* seg6 -------------------------------------------------------------------------------------- */

static const struct codec_name modes[] = {{SEG6_IPTUN_MODE_INLINE, "inline"},
                                          {SEG6_IPTUN_MODE_ENCAP, "encap"},
                                          {SEG6_IPTUN_MODE_L2ENCAP, "l2encap"},
                                          {SEG6_IPTUN_MODE_ENCAP_RED, "encap.red"},
                                          {SEG6_IPTUN_MODE_L2ENCAP_RED, "l2encap.red"}};
static const struct codec_names names_mode = NAMES("a mode of seg6", modes);

static void decode_seg6(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct seg6_iptunnel_encap *e = nla_data(a);
    int len = nla_len(a) - (int)sizeof(*e);

    (void)row;
    if (len < 0)
        return;
    codec_push_name(dec->L, &names_mode, e->mode);
    codec_set_name(dec, "mode");
    decode_srh(dec, e->srh, len, e->mode == SEG6_IPTUN_MODE_INLINE);
}
static const struct codec_custom seg6_segs = {encap_encode_segs, decode_seg6};

int encap_seg6_finish(struct codec_enc *enc)
{
    uint32_t mode = take_number(enc, GIVEN_MODE, SEG6_IPTUN_MODE_ENCAP);
    struct seg6_iptunnel_encap *e;

    e = (void *)put_srh(enc, SEG6_IPTUNNEL_SRH, sizeof(*e), mode == SEG6_IPTUN_MODE_INLINE);
    if (!e && !enc->m.overflow)
        return nserr_arg(enc->e, "%s: encap.segs is missing", enc->op);
    if (e)
        e->mode = (int)mode;
    return 0;
}

/* seg6local ----------------------------------------------------------------------------------- */

static const struct codec_name actions[] = {{SEG6_LOCAL_ACTION_END, "End"},
                                            {SEG6_LOCAL_ACTION_END_X, "End.X"},
                                            {SEG6_LOCAL_ACTION_END_T, "End.T"},
                                            {SEG6_LOCAL_ACTION_END_DX2, "End.DX2"},
                                            {SEG6_LOCAL_ACTION_END_DX6, "End.DX6"},
                                            {SEG6_LOCAL_ACTION_END_DX4, "End.DX4"},
                                            {SEG6_LOCAL_ACTION_END_DT6, "End.DT6"},
                                            {SEG6_LOCAL_ACTION_END_DT4, "End.DT4"},
                                            {SEG6_LOCAL_ACTION_END_DT46, "End.DT46"},
                                            {SEG6_LOCAL_ACTION_END_B6, "End.B6"},
                                            {SEG6_LOCAL_ACTION_END_B6_ENCAP, "End.B6.Encaps"},
                                            {SEG6_LOCAL_ACTION_END_BM, "End.BM"},
                                            {SEG6_LOCAL_ACTION_END_S, "End.S"},
                                            {SEG6_LOCAL_ACTION_END_AS, "End.AS"},
                                            {SEG6_LOCAL_ACTION_END_AM, "End.AM"},
                                            {SEG6_LOCAL_ACTION_END_BPF, "End.BPF"}};
static const struct codec_names names_action = NAMES("an action of seg6local", actions);

static void decode_local_srh(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)row;
    decode_srh(dec, nla_data(a), nla_len(a), false);
}
static const struct codec_custom local_segs = {encap_encode_segs, decode_local_srh};

static const struct codec_name counter_names[] = {{SEG6_LOCAL_CNT_PACKETS, "packets"},
                                                  {SEG6_LOCAL_CNT_BYTES, "bytes"},
                                                  {SEG6_LOCAL_CNT_ERRORS, "errors"}};

/* count = true; listed with `counters` beside it */
static int encode_count(struct codec_enc *enc, const struct codec_row *row)
{
    uint64_t zero = 0;
    size_t mark;

    if (lua_type(enc->L, -1) != LUA_TBOOLEAN)
        return codec_bad(enc, row->key, "true or false");
    if (!lua_toboolean(enc->L, -1))
        return 0;
    mark = codec_nest(&enc->m, SEG6_LOCAL_COUNTERS | NLA_F_NESTED);
    for (size_t i = 0; i < ARRAY_LEN(counter_names); i++)
        codec_put(&enc->m, (int)counter_names[i].value, &zero, sizeof(zero));
    codec_nest_end(&enc->m, mark);
    return 0;
}

static void decode_count(struct codec_dec *dec, const struct codec_row *row, struct nlattr *list)
{
    lua_pushboolean(dec->L, 1);
    codec_set_name(dec, row->key);
    lua_createtable(dec->L, 0, ARRAY_LEN(counter_names));
    for (size_t i = 0; i < ARRAY_LEN(counter_names); i++) {
        struct nlattr *a = nla_find(nla_data(list), nla_len(list), (int)counter_names[i].value);
        if (!a || nla_len(a) < 8)
            continue;
        lua_pushinteger(dec->L, (lua_Integer)nla_get_u64(a));
        codec_set_name(dec, counter_names[i].name);
    }
    codec_set_name(dec, "counters");
}
static const struct codec_custom count = {encode_count, decode_count};
static const struct codec_custom counters = {kind_encode_none, kind_decode_none};

/* flavors = { "psp", "next-csid" } */
static const struct codec_name flavors[] = {{SEG6_LOCAL_FLV_OP_PSP, "psp"},
                                            {SEG6_LOCAL_FLV_OP_USP, "usp"},
                                            {SEG6_LOCAL_FLV_OP_USD, "usd"},
                                            {SEG6_LOCAL_FLV_OP_NEXT_CSID, "next-csid"}};
static const struct codec_names names_flavor = NAMES("a flavor of seg6local", flavors);

static int encode_flavors(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a list of \"psp\", \"usp\", \"usd\", \"next-csid\"";
    uint32_t bits = 0;

    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key, wanted);
    for (int i = 1, n = (int)lua_rawlen(enc->L, -1); i <= n; i++) {
        int64_t value = -1;
        if (lua_rawgeti(enc->L, -1, i) == LUA_TSTRING)
            value = codec_name_value(&names_flavor, lua_tostring(enc->L, -1));
        if (value < 0)
            return codec_bad(enc, row->key, wanted);
        bits |= 1u << value;
        lua_pop(enc->L, 1);
    }
    codec_put_u32(&enc->m, SEG6_LOCAL_FLV_OPERATION, bits);
    return 0;
}

static void decode_flavors(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    lua_Integer n = 0;

    if (nla_len(a) < 4)
        return;
    lua_newtable(dec->L);
    for (size_t i = 0; i < ARRAY_LEN(flavors); i++) {
        if (!(nla_get_u32(a) & 1u << flavors[i].value))
            continue;
        lua_pushstring(dec->L, flavors[i].name);
        lua_rawseti(dec->L, -2, ++n);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom flavor_list = {encode_flavors, decode_flavors};

int encap_seg6local_finish(struct codec_enc *enc)
{
    if (!codec_find(&enc->m, enc->level, SEG6_LOCAL_ACTION))
        return nserr_arg(enc->e, "%s: encap.action is missing (\"End\", \"End.X\" ...)", enc->op);
    put_srh(enc, SEG6_LOCAL_SRH, 0, false);
    return 0;
}

// clang-format off
static const struct codec_row seg6_rows[] = {
    ENCAP_TYPE_ROW,
    CUSTOM("segs", SEG6_IPTUNNEL_SRH, &seg6_segs),
    ENUM("mode", GIVEN_MODE, 4, &names_mode),
    U32("hmac", GIVEN_HMAC, .min = 1),
};
static const struct codec_row flavor_rows[] = {
    CUSTOM("flavors", SEG6_LOCAL_FLV_OPERATION, &flavor_list),
    U8("lblen", SEG6_LOCAL_FLV_LCBLOCK_BITS),
    U8("nflen", SEG6_LOCAL_FLV_LCNODE_FN_BITS),
};
static struct codec_schema flavor_schema = SCHEMA("encap seg6local flavors", flavor_rows, 0);
static const struct codec_row seg6local_rows[] = {
    ENCAP_TYPE_ROW,
    ENUM("action", SEG6_LOCAL_ACTION, 4, &names_action),
    CUSTOM("segs", SEG6_LOCAL_SRH, &local_segs),
    ENUM("table", SEG6_LOCAL_TABLE, 4, &names_table),
    IP4("nh4", SEG6_LOCAL_NH4),
    IP6("nh6", SEG6_LOCAL_NH6),
    DEV("iif", SEG6_LOCAL_IIF),
    DEV("oif", SEG6_LOCAL_OIF),
    ENUM("vrftable", SEG6_LOCAL_VRFTABLE, 4, &names_table),
    CUSTOM("count", SEG6_LOCAL_COUNTERS, &count),
    CUSTOM("counters", GIVEN_MODE, &counters, .flags = ROW_RO),
    INLINE(SEG6_LOCAL_FLAVORS, &flavor_schema),
    U32("hmac", GIVEN_HMAC, .min = 1),
};
// clang-format on
struct codec_schema encap_seg6_schema = SCHEMA("encap seg6", seg6_rows, 0);
struct codec_schema encap_seg6local_schema = SCHEMA("encap seg6local", seg6local_rows, 0);
