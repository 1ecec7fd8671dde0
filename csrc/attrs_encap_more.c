/* SPDX-License-Identifier: MIT
 * Less common encapsulation by routes: encap = { type = "rpl", segs = { ... } } and
 * encap = { type = "ioam6", trace = { type = 0x800000, ns = 1, size = 12 } } (ip-route(8)). */
#include <arpa/inet.h>
#include <linux/ioam6.h>
#include <linux/ioam6_iptunnel.h>
#include <linux/rpl.h>
#include <linux/rpl_iptunnel.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "attrs.h"
#include "attrs_kinds.h"
#include "attrs_route.h"

#define RPL_TYPE 3 /* a source routing header, RFC 6554 */

/* rpl --------------------------------------------------------------------------------------- */

static void decode_rpl(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct ipv6_rpl_sr_hdr *srh = nla_data(a);
    int len = nla_len(a) - (int)sizeof(*srh);

    if (len < 0 || len < 16 * srh->segments_left)
        return;
    lua_newtable(dec->L);
    for (int i = 0; i < srh->segments_left; i++) { /* the last comes first */
        codec_push_ip(dec->L, AF_INET6, &srh->segments.addr[srh->segments_left - 1 - i]);
        lua_rawseti(dec->L, -2, i + 1);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom rpl_segs = {encap_encode_segs, decode_rpl};

int encap_rpl_finish(struct codec_enc *enc)
{
    struct nlattr *given = codec_find(&enc->m, enc->level, ENCAP_GIVEN_SEGS);
    cleanup_free unsigned char *segs = NULL;
    struct ipv6_rpl_sr_hdr *srh;
    size_t len;

    if (!given)
        return nserr_arg(enc->e, "%s: encap.segs is missing", enc->op);
    len = (size_t)nla_len(given);
    segs = malloc(len);
    if (!segs)
        return nserr_sys(enc->e, ENOMEM, enc->op, NULL);
    memcpy(segs, nla_data(given), len);
    codec_drop(&enc->m, given);
    srh = codec_put(&enc->m, RPL_IPTUNNEL_SRH, NULL, sizeof(*srh) + len);
    if (!srh)
        return 0;
    srh->hdrlen = (uint8_t)((sizeof(*srh) + len) / 8 - 1);
    srh->type = RPL_TYPE;
    srh->segments_left = (uint8_t)(len / 16);
    for (size_t at = 0; at < len; at += 16)
        memcpy(srh->segments.data + len - 16 - at, segs + at, 16);
    return 0;
}

/* ioam6 ------------------------------------------------------------------------------------- */

static const struct codec_name modes[] = {{IOAM6_IPTUNNEL_MODE_INLINE, "inline"},
                                          {IOAM6_IPTUNNEL_MODE_ENCAP, "encap"},
                                          {IOAM6_IPTUNNEL_MODE_AUTO, "auto"}};
static const struct codec_names names_mode = NAMES("a mode of ioam6", modes);

static int number(struct codec_enc *enc, int idx, const char *key, int64_t min, int64_t max,
                  int64_t *value)
{
    int err;

    if (!codec_field(enc->L, idx, key))
        return nserr_arg(enc->e, "%s: encap.trace.%s is missing", enc->op, key);
    err = codec_integer(enc, key, min, max, value);
    if (!err)
        lua_pop(enc->L, 1);
    return err;
}

/* trace = { type = bits, ns = a namespace of ioam6, size = bytes of room, a multiple of 4 } */
static int encode_trace(struct codec_enc *enc, const struct codec_row *row)
{
    int64_t type = 0, ns = 0, size = 0;
    struct ioam6_trace_hdr *trace;
    int idx = lua_gettop(enc->L), err;

    if (lua_type(enc->L, idx) != LUA_TTABLE)
        return codec_bad(enc, row->key, "a table such as { type = 0x800000, ns = 1, size = 12 }");
    err = number(enc, idx, "type", 1, 0xffffff, &type);
    if (!err)
        err = number(enc, idx, "ns", 0, UINT16_MAX, &ns);
    if (!err)
        err = number(enc, idx, "size", 4, IOAM6_TRACE_DATA_SIZE_MAX, &size);
    if (err)
        return err;
    if (size % 4)
        return nserr_arg(enc->e, "%s: encap.trace.size must be a multiple of 4", enc->op);
    trace = codec_put(&enc->m, IOAM6_IPTUNNEL_TRACE, NULL, sizeof(*trace));
    if (!trace)
        return 0;
    trace->namespace_id = htons((uint16_t)ns);
    trace->type_be32 = htonl((uint32_t)type << 8);
    trace->remlen = (uint8_t)(size / 4);
    return 0;
}

static void decode_trace(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct ioam6_trace_hdr *trace = nla_data(a);

    if (nla_len(a) < (int)sizeof(*trace))
        return;
    lua_createtable(dec->L, 0, 3);
    lua_pushinteger(dec->L, ntohl(trace->type_be32) >> 8);
    codec_set_name(dec, "type");
    lua_pushinteger(dec->L, ntohs(trace->namespace_id));
    codec_set_name(dec, "ns");
    lua_pushinteger(dec->L, trace->remlen * 4);
    codec_set_name(dec, "size");
    codec_set_name(dec, row->key);
}
static const struct codec_custom trace_row = {encode_trace, decode_trace};

/* freq = "K/N": K packets of every N */
static int encode_freq(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "a share of packets such as \"1/3\"");
    unsigned k = 0, n = 0;
    int end = 0;

    if (!text)
        return -EINVAL;
    if (sscanf(text, "%u/%u%n", &k, &n, &end) != 2 || text[end] || k < IOAM6_IPTUNNEL_FREQ_MIN ||
        k > n || n > IOAM6_IPTUNNEL_FREQ_MAX)
        return codec_bad(enc, row->key, "a share of packets such as \"1/3\"");
    codec_put_u32(&enc->m, IOAM6_IPTUNNEL_FREQ_K, k);
    codec_put_u32(&enc->m, IOAM6_IPTUNNEL_FREQ_N, n);
    return 0;
}

/* K comes first. */
static void decode_freq(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    lua_Integer k, n = nla_len(a) >= 4 ? nla_get_u32(a) : 0;

    lua_getfield(dec->L, -1, row->key);
    k = lua_tointeger(dec->L, -1);
    lua_pop(dec->L, 1);
    if (nla_type(a) == IOAM6_IPTUNNEL_FREQ_K)
        lua_pushinteger(dec->L, n);
    else if (k == n) /* all: as where nothing is said */
        lua_pushnil(dec->L);
    else
        lua_pushfstring(dec->L, "%I/%I", (LUAI_UACINT)k, (LUAI_UACINT)n);
    codec_set_name(dec, row->key);
}
static const struct codec_custom freq = {encode_freq, decode_freq};

int encap_ioam6_finish(struct codec_enc *enc)
{
    uint8_t usual = IOAM6_IPTUNNEL_MODE_INLINE;

    if (!codec_find(&enc->m, enc->level, IOAM6_IPTUNNEL_TRACE))
        return nserr_arg(enc->e, "%s: encap.trace is missing", enc->op);
    if (!codec_find(&enc->m, enc->level, IOAM6_IPTUNNEL_MODE))
        codec_put(&enc->m, IOAM6_IPTUNNEL_MODE, &usual, sizeof(usual));
    return 0;
}

// clang-format off
static const struct codec_row rpl_rows[] = {
    ENCAP_TYPE_ROW,
    CUSTOM("segs", RPL_IPTUNNEL_SRH, &rpl_segs),
};
static const struct codec_row ioam6_rows[] = {
    ENCAP_TYPE_ROW,
    ENUM("mode", IOAM6_IPTUNNEL_MODE, 1, &names_mode),
    IP6("tundst", IOAM6_IPTUNNEL_DST),
    CUSTOM("trace", IOAM6_IPTUNNEL_TRACE, &trace_row),
    CUSTOM("freq", IOAM6_IPTUNNEL_FREQ_K, &freq, .flags = ROW_RO), /* given by the next */
    CUSTOM("freq", IOAM6_IPTUNNEL_FREQ_N, &freq),
};
// clang-format on
struct codec_schema encap_rpl_schema = SCHEMA("encap rpl", rpl_rows, 0);
struct codec_schema encap_ioam6_schema = SCHEMA("encap ioam6", ioam6_rows, 0);
