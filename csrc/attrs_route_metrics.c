/* SPDX-License-Identifier: MIT
 * The metrics of a route and what stands beside them: locks, realms. */
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "attrs.h"
#include "attrs_route.h"

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
struct codec_schema route_metrics_schema = SCHEMA("route metrics", metrics_rows, 0);

// clang-format on
