/* SPDX-License-Identifier: MIT
 * Filters (tc(8)): the noun, and the kinds matchall, fw and basic, as rows. */
#include <endian.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <string.h>

#include "attrs_tc.h"

#define HDR(field) offsetof(struct tcmsg, field)
#define INGRESS    TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define EGRESS     TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)

/* tcm_info: the preference above, the protocol (in network byte order) below. */
#if __BYTE_ORDER == __LITTLE_ENDIAN
#define PROTOCOL HDR(tcm_info)
#define PREF     (HDR(tcm_info) + 2)
#else
#define PROTOCOL (HDR(tcm_info) + 2)
#define PREF     HDR(tcm_info)
#endif

/* Rows --------------------------------------------------------------------------------------- */

static const struct codec_name ethertypes[] = {
    {ETH_P_ALL, "all"},           {ETH_P_IP, "ip"},
    {ETH_P_IP, "ipv4"},           {ETH_P_IPV6, "ipv6"},
    {ETH_P_ARP, "arp"},           {ETH_P_8021Q, "802.1Q"},
    {ETH_P_8021AD, "802.1ad"},    {ETH_P_MPLS_UC, "mpls_uc"},
    {ETH_P_MPLS_MC, "mpls_mc"},   {ETH_P_PPP_SES, "ppp_ses"},
    {ETH_P_PPP_DISC, "ppp_disc"}, {ETH_P_LLDP, "lldp"}};
const struct codec_names tc_ethertypes = NAMES("a protocol", ethertypes);

static const struct codec_name parents[] = {{0, "root"}, {INGRESS, "ingress"}, {EGRESS, "egress"}};
static const struct codec_names names_parent = NAMES("a parent", parents);

static int encode_parent(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] =
        "\"root\", \"ingress\", \"egress\" or a qdisc or class such as \"1:\"";
    const char *text = codec_text(enc, row->key, wanted);
    int64_t named = text ? codec_name_value(&names_parent, text) : -1;
    uint32_t handle = (uint32_t)named;

    if (!text)
        return -EINVAL;
    if (named < 0 && !tc_parse_handle(text, &handle))
        return codec_bad(enc, row->key, "%s", wanted);
    memcpy((char *)codec_header(enc) + row->attr, &handle, sizeof(handle));
    return 0;
}

static void decode_parent(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct tcmsg *t = (const struct tcmsg *)dec->header;
    const char *name = codec_value_name(&names_parent, t->tcm_parent, NULL, 0);

    (void)a;
    if (t->tcm_ifindex == (int)TCM_IFINDEX_MAGIC_BLOCK)
        return;
    if (name)
        lua_pushstring(dec->L, name);
    else
        tc_push_handle(dec->L, t->tcm_parent);
    codec_set_name(dec, row->key);
}
static const struct codec_custom parent_row = {encode_parent, decode_parent};

/* A block of filters that several qdiscs share, instead of a device. */
static int encode_block(struct codec_enc *enc, const struct codec_row *row)
{
    struct tcmsg *t = codec_header(enc);
    int64_t block;
    int err = codec_integer(enc, row->key, 1, UINT32_MAX, &block);

    if (!err) {
        t->tcm_ifindex = (int)TCM_IFINDEX_MAGIC_BLOCK;
        t->tcm_block_index = (uint32_t)block;
    }
    return err;
}

static void decode_block(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct tcmsg *t = (const struct tcmsg *)dec->header;

    (void)a;
    if (t->tcm_ifindex != (int)TCM_IFINDEX_MAGIC_BLOCK)
        return;
    lua_pushinteger(dec->L, t->tcm_block_index);
    codec_set_name(dec, row->key);
}
static const struct codec_custom block_row = {encode_block, decode_block};

/* A number, or u32's "800::800". */
static int encode_handle(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a number, or of u32 text such as \"800::800\"";
    int64_t value;
    uint32_t handle;
    char *end;

    if (lua_type(enc->L, -1) == LUA_TSTRING) {
        const char *text = lua_tostring(enc->L, -1);
        if (strchr(text, ':') && u32_parse_handle(text, &handle))
            return codec_put_number(enc, row, handle);
        value = (int64_t)strtoul(text, &end, 0);
        if (end == text || *end || *text == '-' || value > UINT32_MAX)
            return codec_bad(enc, row->key, "%s", wanted);
        return codec_put_number(enc, row, value);
    }
    if (codec_integer(enc, row->key, 0, UINT32_MAX, &value) != 0)
        return codec_bad(enc, row->key, "%s", wanted);
    return codec_put_number(enc, row, value);
}
static const struct codec_custom handle_row = {encode_handle, tc_decode_nothing};

// clang-format off
static const struct codec_row filter_rows[] = {
    DEV("dev", HDR(tcm_ifindex), .flags = ROW_HDR),
    CUSTOM("block", HDR(tcm_ifindex), &block_row, .flags = ROW_HDR),
    CUSTOM("parent", HDR(tcm_parent), &parent_row, .flags = ROW_HDR),
    ENUM("protocol", PROTOCOL, 2, &tc_ethertypes, .flags = ROW_HDR | ROW_BE | ROW_NZ),
    U16("pref", PREF, .min = 1, .flags = ROW_HDR | ROW_NZ),
    CUSTOM("handle", HDR(tcm_handle), &handle_row, .size = 4, .flags = ROW_HDR),
    TC_KIND(filter),
    U32("chain", TCA_CHAIN, .flags = ROW_NZ),
    CUSTOM("stats", TCA_STATS2, &tc_stats_row, .flags = ROW_RO), /* those that tell: of their actions */
};
struct codec_schema filter_schema = SCHEMA("filter", filter_rows, sizeof(struct tcmsg));

static const struct codec_row matchall_rows[] = {
    TC_FILTER_ROWS(TCA_MATCHALL_ACT, TCA_MATCHALL_CLASSID),
    TC_FILTER_FLAGS(TCA_MATCHALL_FLAGS),
};
static struct codec_schema matchall_schema = SCHEMA("filter matchall", matchall_rows, 0);

static const struct codec_row fw_rows[] = {
    TC_FILTER_ROWS(TCA_FW_ACT, TCA_FW_CLASSID),
    IFNAME("indev", TCA_FW_INDEV),
    CUSTOM("mask", TCA_FW_MASK, &tc_hex, .size = 4, .flags = ROW_ONES),
};
static struct codec_schema fw_schema = SCHEMA("filter fw", fw_rows, 0);

static const struct codec_row basic_rows[] = {
    TC_FILTER_ROWS(TCA_BASIC_ACT, TCA_BASIC_CLASSID),
    CUSTOM("ematches", TCA_BASIC_EMATCHES | NLA_F_NESTED, &tc_raw, .flags = ROW_WO),
    CUSTOM("ematches", TCA_BASIC_EMATCHES, &tc_raw),
};
static struct codec_schema basic_schema = SCHEMA("filter basic", basic_rows, 0);

static const struct tc_form filters[] = {
    {"basic", &basic_schema, .lead = 0},
    {"flower", &flower_schema, .always = true, .pack = flower_pack},
    {"fw", &fw_schema, .lead = 0},
    {"matchall", &matchall_schema, .always = true},
    {"u32", &u32_schema, .always = true, .pack = u32_pack, .unpack = u32_unpack},
};
const struct tc_forms tc_filters = {"filter", "flower", filters, ARRAY_LEN(filters)};
// clang-format on

/* The noun ----------------------------------------------------------------------------------- */

static int filter_prepare(struct codec_enc *enc, int idx)
{
    return tc_prepare(enc, idx, &tc_filters);
}

static int filter_finish(struct codec_enc *enc, int idx)
{
    struct tcmsg *t = codec_header(enc);
    struct nlattr *kind = codec_find(&enc->m, enc->level, TCA_KIND);

    if (enc->verb == CODEC_ADD && !TC_H_MIN(t->tcm_info))
        t->tcm_info |= htobe16(ETH_P_ALL);
    /* the numbers of u32's own hash tables are the kernel's: another one may be in its place */
    if (enc->verb == CODEC_ADD && kind && !strcmp(nla_data(kind), "u32") &&
        t->tcm_handle >= 0x80000000u)
        t->tcm_handle = TC_U32_NODE(t->tcm_handle);
    return tc_finish(enc, idx);
}

static void filter_decoded(struct codec_dec *dec, const struct nlmsghdr *h)
{
    const struct tcmsg *t = nlmsg_data((struct nlmsghdr *)h);
    struct nlattr *kind = noun_attr(&noun_filter, h, TCA_KIND);

    if (t->tcm_handle) {
        if (kind && !strncmp(nla_data(kind), "u32", (size_t)nla_len(kind)))
            u32_push_handle(dec->L, t->tcm_handle);
        else
            lua_pushinteger(dec->L, t->tcm_handle);
        codec_set_name(dec, "handle");
    }
    tc_decoded(dec, h, &tc_filters);
}

/* The kernel tells the lists of filters, too, and u32's hash tables that it made by itself. */
static bool filter_listed(const struct nlmsghdr *h)
{
    const struct tcmsg *t = nlmsg_data((struct nlmsghdr *)h);
    struct nlattr *kind = noun_attr(&noun_filter, h, TCA_KIND);

    if (!t->tcm_handle)
        return false;
    return !(kind && !strncmp(nla_data(kind), "u32", (size_t)nla_len(kind)) &&
             t->tcm_handle >= 0x80000000u && !TC_U32_KEY(t->tcm_handle));
}

static void place_filter(const struct nlmsghdr *filter, struct codec_msg *request)
{
    const struct tcmsg *from = nlmsg_data((struct nlmsghdr *)filter);
    struct tcmsg *to = (struct tcmsg *)(request->buf + NLMSG_HDRLEN);

    to->tcm_ifindex = from->tcm_ifindex;
    to->tcm_parent = from->tcm_parent;
}

/* One way to say what becomes of a packet. */
static const char *const instead[][2] = {{"action", "actions"}, {NULL, NULL}};

const struct noun noun_filter = {
    .name = "filter",
    .schema = &filter_schema,
    .add = RTM_NEWTFILTER,
    .del = RTM_DELTFILTER,
    .get = RTM_GETTFILTER,
    .ident = {"kind", "dev", "parent", "protocol", "pref", "handle"},
    .prepare = filter_prepare,
    .finish = filter_finish,
    .decoded = filter_decoded,
    .listed = filter_listed,
    .dump_filter = place_filter,
    .counts = true,
    .whole = true,
    .by_dev = true,
    .scattered = true,
    .instead = instead,
};
