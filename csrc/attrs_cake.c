/* SPDX-License-Identifier: MIT
 * The qdisc cake (tc-cake(8)), as rows. */
#include <string.h>

#include "attrs_tc.h"

static const struct codec_name diffserv[] = {{CAKE_DIFFSERV_DIFFSERV3, "diffserv3"},
                                             {CAKE_DIFFSERV_DIFFSERV4, "diffserv4"},
                                             {CAKE_DIFFSERV_DIFFSERV8, "diffserv8"},
                                             {CAKE_DIFFSERV_BESTEFFORT, "besteffort"},
                                             {CAKE_DIFFSERV_PRECEDENCE, "precedence"}};
static const struct codec_names names_diffserv = NAMES("a way to tell tins apart", diffserv);

static const struct codec_name flowmodes[] = {
    {CAKE_FLOW_NONE, "flowblind"},        {CAKE_FLOW_SRC_IP, "srchost"},
    {CAKE_FLOW_DST_IP, "dsthost"},        {CAKE_FLOW_HOSTS, "hosts"},
    {CAKE_FLOW_FLOWS, "flows"},           {CAKE_FLOW_DUAL_SRC, "dual-srchost"},
    {CAKE_FLOW_DUAL_DST, "dual-dsthost"}, {CAKE_FLOW_TRIPLE, "triple-isolate"}};
static const struct codec_names names_flowmode = NAMES("a way to tell flows apart", flowmodes);

static const struct codec_name ack_filters[] = {
    {CAKE_ACK_NONE, "disabled"}, {CAKE_ACK_FILTER, "enabled"}, {CAKE_ACK_AGGRESSIVE, "aggressive"}};
static const struct codec_names names_ack_filter = NAMES("what becomes of acks", ack_filters);

static const struct codec_name cells[] = {
    {CAKE_ATM_NONE, "noatm"}, {CAKE_ATM_ATM, "atm"}, {CAKE_ATM_PTM, "ptm"}};
static const struct codec_names names_cells = NAMES("a framing", cells);

/* rtt: a time, or how far the world is. */
static const struct codec_name distances[] = {
    {100, "datacentre"},  {1000, "lan"},       {10000, "metro"},      {30000, "regional"},
    {100000, "internet"}, {300000, "oceanic"}, {1000000, "satellite"}};
static const struct codec_names names_distance = NAMES("a distance", distances);

static int encode_rtt(struct codec_enc *enc, const struct codec_row *row)
{
    struct codec_row plain = *row;
    int64_t us = -1;

    if (lua_type(enc->L, -1) == LUA_TSTRING)
        us = codec_name_value(&names_distance, lua_tostring(enc->L, -1));
    if (us >= 0)
        return codec_put_number(enc, row, us);
    plain.type = CODEC_TIME;
    plain.mask = 1000;
    return codec_encode_value(enc, &plain);
}

static void decode_rtt(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 4)
        return;
    lua_pushnumber(dec->L, nla_get_u32(a) / 1e6);
    codec_set_name(dec, row->key);
}
static const struct codec_custom rtt = {encode_rtt, decode_rtt};

/* bandwidth: a rate, or "unlimited", which is not listed. */
static int encode_bandwidth(struct codec_enc *enc, const struct codec_row *row)
{
    struct codec_row plain = *row;

    if (lua_type(enc->L, -1) == LUA_TSTRING && !strcmp(lua_tostring(enc->L, -1), "unlimited"))
        return codec_put_number(enc, row, 0);
    plain.type = CODEC_RATE;
    return codec_encode_value(enc, &plain);
}

static void decode_bandwidth(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 8 || !nla_get_u64(a))
        return;
    lua_pushinteger(dec->L, (lua_Integer)(nla_get_u64(a) * 8));
    codec_set_name(dec, row->key);
}
static const struct codec_custom bandwidth = {encode_bandwidth, decode_bandwidth};

/* raw: the sizes are the kernel's; the kernel tells an overhead that nobody gave before. */
static int encode_raw(struct codec_enc *enc, const struct codec_row *row)
{
    if (lua_type(enc->L, -1) != LUA_TBOOLEAN)
        return codec_bad(enc, row->key, "true or false");
    if (lua_toboolean(enc->L, -1))
        codec_put_u32(&enc->m, row->attr, 0);
    return 0;
}

static void decode_raw(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)a;
    lua_pushboolean(dec->L, 1);
    codec_set_name(dec, row->key);
    lua_pushnil(dec->L);
    codec_set_name(dec, "overhead");
}
static const struct codec_custom raw = {encode_raw, decode_raw};

// clang-format off
static const struct codec_row cake_rows[] = {
    CUSTOM("bandwidth", TCA_CAKE_BASE_RATE64, &bandwidth, .size = 8),
    BOOL("autorate", TCA_CAKE_AUTORATE, 4, .flags = ROW_NZ),
    ENUM("diffserv", TCA_CAKE_DIFFSERV_MODE, 4, &names_diffserv),
    ENUM("flowmode", TCA_CAKE_FLOW_MODE, 4, &names_flowmode),
    CUSTOM("rtt", TCA_CAKE_RTT, &rtt, .size = 4),
    BOOL("nat", TCA_CAKE_NAT, 4, .flags = ROW_NZ),
    BOOL("wash", TCA_CAKE_WASH, 4, .flags = ROW_NZ),
    BOOL("ingress", TCA_CAKE_INGRESS, 4, .flags = ROW_NZ),
    BOOL("split_gso", TCA_CAKE_SPLIT_GSO, 4),
    ENUM("ack_filter", TCA_CAKE_ACK_FILTER, 4, &names_ack_filter),
    ENUM("atm", TCA_CAKE_ATM, 4, &names_cells),
    S32("overhead", TCA_CAKE_OVERHEAD, .min = -64, .max = 256),
    U32("mpu", TCA_CAKE_MPU, .max = 256, .flags = ROW_NZ),
    SIZE("memlimit", TCA_CAKE_MEMORY, 4, .flags = ROW_NZ),
    CUSTOM("fwmark", TCA_CAKE_FWMARK, &tc_hex, .size = 4, .flags = ROW_NZ),
    CUSTOM("raw", TCA_CAKE_RAW, &raw),
};
struct codec_schema cake_schema = SCHEMA("qdisc cake", cake_rows, 0);
// clang-format on
