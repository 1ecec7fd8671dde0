/* SPDX-License-Identifier: MIT
 * Kinds of action (tc-actions(8)), as rows; pedit has a file of its own. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/tc_act/tc_connmark.h>
#include <linux/tc_act/tc_csum.h>
#include <linux/tc_act/tc_defact.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_nat.h>
#include <linux/tc_act/tc_sample.h>
#include <linux/tc_act/tc_skbedit.h>
#include <linux/tc_act/tc_vlan.h>
#include <stdio.h>
#include <string.h>

#include "attrs_kinds.h"
#include "attrs_tc.h"
#include "psched.h"

#define UNSET TC_CONTROL_UNSET

/* tc_gen, with which the structure of every action begins: index, capab, action ... */
#define CONTROL(...)                                                                               \
    CUSTOM("control", TC_OFF(tc_gact, action), &tc_control_row, .size = 4, .flags = ROW_HDR,       \
           ##__VA_ARGS__)
#define INDEX U32("index", TC_OFF(tc_gact, index), .flags = ROW_HDR | ROW_RO | ROW_NZ)
#define GEN   INDEX, CONTROL()
#define PARMS(what, title, type, control)                                                          \
    static const struct type what##_initial = {.action = control};                                 \
    static struct codec_schema what##_parms = {.name = "action " title " parms",                   \
                                               .rows = what##_parms_rows,                          \
                                               .count = ARRAY_LEN(what##_parms_rows),              \
                                               .header = sizeof(struct type),                      \
                                               .initial = &what##_initial}

/* gact --------------------------------------------------------------------------------------- */

static const struct codec_name randoms[] = {{PGACT_NETRAND, "netrand"}, {PGACT_DETERM, "determ"}};
static const struct codec_names names_random = NAMES("a way to choose", randoms);

// clang-format off
static const struct codec_row gact_parms_rows[] = {GEN};
PARMS(gact, "gact", tc_gact, TC_ACT_OK);

static const struct codec_row gact_p_rows[] = {
    ENUM("random", TC_OFF(tc_gact_p, ptype), 2, &names_random, .flags = ROW_HDR | ROW_NZ),
    CUSTOM("random_control", TC_OFF(tc_gact_p, paction), &tc_control_row, .size = 4, .flags = ROW_HDR),
    U16("random_val", TC_OFF(tc_gact_p, pval), .max = 10000, .flags = ROW_HDR | ROW_NZ),
};
static struct codec_schema gact_p_schema = SCHEMA("action gact random", gact_p_rows, sizeof(struct tc_gact_p));

static const struct codec_row gact_rows[] = {
    INLINE(TCA_GACT_PARMS, &gact_parms),
    INLINE(TCA_GACT_PROB, &gact_p_schema),
};
static struct codec_schema gact_schema = SCHEMA("action gact", gact_rows, 0);
// clang-format on

/* mirred ------------------------------------------------------------------------------------- */

struct mirred_fields {
    struct tc_mirred m;
    uint8_t mirror, ingress;
};

static const struct codec_name mirrors[] = {{0, "redirect"}, {1, "mirror"}};
static const struct codec_names names_mirror = NAMES("redirect or mirror", mirrors);
static const struct codec_name directions[] = {{0, "egress"}, {1, "ingress"}};
static const struct codec_names names_direction = NAMES("egress or ingress", directions);

// clang-format off
static const struct codec_row mirred_rows[] = {
    GEN,
    ENUM("action", TC_OFF(mirred_fields, mirror), 1, &names_mirror, .max = 1, .flags = ROW_HDR),
    ENUM("direction", TC_OFF(mirred_fields, ingress), 1, &names_direction, .max = 1, .flags = ROW_HDR),
    DEV("dev", TC_OFF(mirred_fields, m.ifindex), .flags = ROW_HDR),
};
static const struct mirred_fields mirred_initial = {.m.action = UNSET};
static struct codec_schema mirred_schema = {
    .name = "action mirred", .rows = mirred_rows, .count = ARRAY_LEN(mirred_rows),
    .header = sizeof(struct mirred_fields), .initial = &mirred_initial,
};
// clang-format on

static int mirred_pack(struct codec_enc *enc, void *fields, void *lead)
{
    struct mirred_fields *f = fields;

    (void)lead;
    f->m.eaction = f->ingress ? (f->mirror ? TCA_INGRESS_MIRROR : TCA_INGRESS_REDIR)
                              : (f->mirror ? TCA_EGRESS_MIRROR : TCA_EGRESS_REDIR);
    if (f->m.action == UNSET)
        f->m.action = f->mirror ? TC_ACT_PIPE : TC_ACT_STOLEN;
    codec_put(&enc->m, TCA_MIRRED_PARMS, &f->m, sizeof(f->m));
    return tc_need(enc, f->m.ifindex, "dev is missing");
}

static void copy_parms(struct nlattr *a, void *out, size_t size)
{
    if (a && nla_len(a) >= (int)size)
        memcpy(out, nla_data(a), size);
}

static void mirred_unpack(const struct tc_options *in, void *fields)
{
    struct mirred_fields *f = fields;

    copy_parms(in->tb[TCA_MIRRED_PARMS], &f->m, sizeof(f->m));
    f->mirror = f->m.eaction == TCA_EGRESS_MIRROR || f->m.eaction == TCA_INGRESS_MIRROR;
    f->ingress = f->m.eaction == TCA_INGRESS_REDIR || f->m.eaction == TCA_INGRESS_MIRROR;
}

/* police ------------------------------------------------------------------------------------- */

struct police_fields {
    uint32_t index;
    int32_t capab, action, conform;
    uint64_t rate, peakrate, burst, pkts_rate, pkts_burst;
    uint32_t mtu;
    uint16_t overhead;
    uint8_t linklayer;
};

// clang-format off
#define POLICE(field) TC_OFF(police_fields, field)
static const struct codec_row police_rows[] = {
    U32("index", POLICE(index), .flags = ROW_HDR | ROW_RO | ROW_NZ),
    CUSTOM("control", POLICE(action), &tc_control_row, .size = 4, .flags = ROW_HDR),
    CUSTOM("conform", POLICE(conform), &tc_control_row, .size = 4, .flags = ROW_HDR),
    RATE("rate", POLICE(rate), 8, .flags = ROW_HDR | ROW_NZ),
    RATE("peakrate", POLICE(peakrate), 8, .flags = ROW_HDR | ROW_NZ),
    SIZE("burst", POLICE(burst), 8, .max = UINT32_MAX, .flags = ROW_HDR | ROW_NZ),
    SIZE("mtu", POLICE(mtu), 4, .flags = ROW_HDR | ROW_NZ | ROW_ONES),
    U16("overhead", POLICE(overhead), .flags = ROW_HDR | ROW_NZ),
    ENUM("linklayer", POLICE(linklayer), 1, &tc_linklayers, .flags = ROW_HDR | ROW_NZ),
    RATE("avrate", TCA_POLICE_AVRATE, 4, .flags = ROW_NZ),
    U64("pkts_rate", POLICE(pkts_rate), .flags = ROW_HDR | ROW_NZ),
    U64("pkts_burst", POLICE(pkts_burst), .flags = ROW_HDR | ROW_NZ),
};
static const struct police_fields police_initial = {.action = TC_ACT_RECLASSIFY, .conform = UNSET};
static struct codec_schema police_schema = {
    .name = "action police", .rows = police_rows, .count = ARRAY_LEN(police_rows),
    .header = sizeof(struct police_fields), .initial = &police_initial,
};
// clang-format on

static void police_rate(struct codec_enc *enc, const struct police_fields *f, uint64_t rate,
                        struct tc_ratespec *spec, int table_type, int rate64_type)
{
    uint32_t table[256];

    if (!rate)
        return;
    spec->rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
    spec->overhead = f->overhead;
    spec->linklayer = f->linklayer ? f->linklayer : TC_LINKLAYER_ETHERNET;
    psched_table(spec, f->mtu == UINT32_MAX ? 0 : f->mtu, table);
    codec_put(&enc->m, table_type, table, sizeof(table));
    if (rate > UINT32_MAX)
        codec_put(&enc->m, rate64_type, &rate, sizeof(rate));
}

static int police_pack(struct codec_enc *enc, void *fields, void *lead)
{
    struct police_fields *f = fields;
    struct tc_police p = {.action = f->action, .mtu = f->mtu};
    uint64_t burst;
    int err;

    (void)lead;
    err = tc_need(enc, f->rate || f->pkts_rate, "rate is missing (or pkts_rate)");
    if (!err)
        err = tc_need(enc, !f->rate || f->burst, "burst is missing: the bytes that may go at once");
    if (!err)
        err = tc_need(enc, !f->pkts_rate == !f->pkts_burst,
                      "pkts_rate and pkts_burst need each other");
    if (!err)
        err = tc_need(enc, !f->peakrate || (f->rate && f->mtu), "peakrate needs rate and mtu");
    if (err)
        return err;
    police_rate(enc, f, f->rate, &p.rate, TCA_POLICE_RATE, TCA_POLICE_RATE64);
    police_rate(enc, f, f->peakrate, &p.peakrate, TCA_POLICE_PEAKRATE, TCA_POLICE_PEAKRATE64);
    p.burst = psched_ticks(f->rate, f->burst);
    codec_put(&enc->m, TCA_POLICE_TBF, &p, sizeof(p));
    if (f->pkts_rate) {
        burst = psched_ticks(f->pkts_rate, f->pkts_burst);
        codec_put(&enc->m, TCA_POLICE_PKTRATE64, &f->pkts_rate, sizeof(f->pkts_rate));
        codec_put(&enc->m, TCA_POLICE_PKTBURST64, &burst, sizeof(burst));
    }
    if (f->conform != UNSET)
        codec_put_u32(&enc->m, TCA_POLICE_RESULT, (uint32_t)f->conform);
    return 0;
}

static void police_unpack(const struct tc_options *in, void *fields)
{
    struct police_fields *f = fields;
    struct nlattr *rate = in->tb[TCA_POLICE_RATE64], *peak = in->tb[TCA_POLICE_PEAKRATE64];
    struct nlattr *result = in->tb[TCA_POLICE_RESULT], *pkts = in->tb[TCA_POLICE_PKTRATE64],
                  *pkts_burst = in->tb[TCA_POLICE_PKTBURST64];
    struct tc_police p = {0};

    copy_parms(in->tb[TCA_POLICE_TBF], &p, sizeof(p));
    *f = (struct police_fields){
        .index = p.index,
        .action = p.action,
        .mtu = p.mtu,
        .overhead = p.rate.overhead,
        .conform = result && nla_len(result) >= 4 ? (int32_t)nla_get_u32(result) : UNSET};
    f->rate = rate && nla_len(rate) >= 8 ? nla_get_u64(rate) : p.rate.rate;
    f->peakrate = peak && nla_len(peak) >= 8 ? nla_get_u64(peak) : p.peakrate.rate;
    f->burst = psched_bytes(f->rate, p.burst);
    f->pkts_rate = pkts && nla_len(pkts) >= 8 ? nla_get_u64(pkts) : 0;
    if (pkts_burst && nla_len(pkts_burst) >= 8)
        f->pkts_burst = psched_bytes(f->pkts_rate, (uint32_t)nla_get_u64(pkts_burst));
    if (p.rate.linklayer != TC_LINKLAYER_ETHERNET)
        f->linklayer = p.rate.linklayer & TC_LINKLAYER_MASK;
}

/* skbedit, vlan, nat, csum, connmark, simple, sample ----------------------------------------- */

static const struct codec_name ptypes[] = {
    {0, "host"}, {1, "broadcast"}, {2, "multicast"}, {3, "otherhost"}};
static const struct codec_names names_ptype = NAMES("a packet type", ptypes);

static const struct codec_name vlan_actions[] = {{TCA_VLAN_ACT_POP, "pop"},
                                                 {TCA_VLAN_ACT_PUSH, "push"},
                                                 {TCA_VLAN_ACT_MODIFY, "modify"},
                                                 {TCA_VLAN_ACT_POP_ETH, "pop_eth"},
                                                 {TCA_VLAN_ACT_PUSH_ETH, "push_eth"}};
static const struct codec_names names_vlan_action =
    NAMES("what to do with a VLAN tag", vlan_actions);

/* The priority of a packet is a class: "1:3". */
static int encode_priority(struct codec_enc *enc, const struct codec_row *row)
{
    uint32_t handle;
    int64_t value;
    int err;

    if (lua_type(enc->L, -1) == LUA_TSTRING && tc_parse_handle(lua_tostring(enc->L, -1), &handle))
        return codec_put_number(enc, row, handle);
    err = codec_integer(enc, row->key, 0, UINT32_MAX, &value);
    return err ? codec_bad(enc, row->key, "a class such as \"1:3\", or a number")
               : codec_put_number(enc, row, value);
}

static void decode_priority(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 4)
        return;
    if (nla_get_u32(a) >> 16)
        tc_push_handle(dec->L, nla_get_u32(a));
    else
        lua_pushinteger(dec->L, nla_get_u32(a));
    codec_set_name(dec, row->key);
}
static const struct codec_custom priority_row = {encode_priority, decode_priority};

/* nat: `old` is a prefix; its mask is the field behind the addresses. */
static int encode_old(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "an IPv4 prefix such as \"10.0.0.0/24\""), *slash;
    struct tc_nat *nat = codec_header(enc);
    char host[INET_ADDRSTRLEN];
    long len = 32;
    char *end = "";

    if (!text)
        return -EINVAL;
    slash = strchr(text, '/');
    snprintf(host, sizeof(host), "%.*s", (int)(slash ? slash - text : (long)strlen(text)), text);
    if (slash)
        len = strtol(slash + 1, &end, 10);
    if (inet_pton(AF_INET, host, &nat->old_addr) != 1 || *end || len < 0 || len > 32 ||
        (slash && !slash[1]))
        return codec_bad(enc, row->key, "an IPv4 prefix such as \"10.0.0.0/24\"");
    nat->mask = htonl(len ? (uint32_t)(UINT64_C(0xffffffff) << (32 - len)) : 0);
    return 0;
}

static void decode_old(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct tc_nat nat;

    (void)a;
    memcpy(&nat, dec->header, sizeof(nat));
    codec_push_prefix(dec->L, AF_INET, &nat.old_addr, __builtin_popcount(nat.mask));
    codec_set_name(dec, row->key);
}
static const struct codec_custom nat_old = {encode_old, decode_old};

static int encode_new(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "an IPv4 address");
    struct tc_nat *nat = codec_header(enc);

    if (!text)
        return -EINVAL;
    return inet_pton(AF_INET, text, &nat->new_addr) == 1
               ? 0
               : codec_bad(enc, row->key, "an IPv4 address");
}

static void decode_new(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)a;
    codec_push_ip(dec->L, AF_INET, dec->header + TC_OFF(tc_nat, new_addr));
    codec_set_name(dec, row->key);
}
static const struct codec_custom nat_new = {encode_new, decode_new};

// clang-format off
static const struct codec_row skbedit_parms_rows[] = {GEN};
PARMS(skbedit, "skbedit", tc_skbedit, TC_ACT_PIPE);
static const struct codec_row skbedit_rows[] = {
    INLINE(TCA_SKBEDIT_PARMS, &skbedit_parms),
    CUSTOM("priority", TCA_SKBEDIT_PRIORITY, &priority_row, .size = 4),
    U16("queue_mapping", TCA_SKBEDIT_QUEUE_MAPPING),
    U32("mark", TCA_SKBEDIT_MARK),
    U32("mask", TCA_SKBEDIT_MASK, .flags = ROW_ONES),
    ENUM("ptype", TCA_SKBEDIT_PTYPE, 2, &names_ptype),
    BIT("inheritdsfield", TCA_SKBEDIT_FLAGS, 8, SKBEDIT_F_INHERITDSFIELD, .flags = ROW_NZ),
};
static struct codec_schema skbedit_schema = SCHEMA("action skbedit", skbedit_rows, 0);

static const struct codec_row vlan_parms_rows[] = {
    GEN,
    ENUM("action", TC_OFF(tc_vlan, v_action), 4, &names_vlan_action, .flags = ROW_HDR),
};
PARMS(vlan, "vlan", tc_vlan, TC_ACT_PIPE);
static const struct codec_row vlan_rows[] = {
    INLINE(TCA_VLAN_PARMS, &vlan_parms),
    U16("id", TCA_VLAN_PUSH_VLAN_ID, .max = 4095),
    ENUM("protocol", TCA_VLAN_PUSH_VLAN_PROTOCOL, 2, &names_vlan_protocol, .flags = ROW_BE),
    U8("priority", TCA_VLAN_PUSH_VLAN_PRIORITY, .max = 7, .flags = ROW_NZ),
    LLADDR("dst_mac", TCA_VLAN_PUSH_ETH_DST),
    LLADDR("src_mac", TCA_VLAN_PUSH_ETH_SRC),
};
static struct codec_schema vlan_action_schema = SCHEMA("action vlan", vlan_rows, 0);

static const struct codec_row nat_parms_rows[] = {
    GEN,
    BIT("egress", TC_OFF(tc_nat, flags), 4, TCA_NAT_FLAG_EGRESS, .flags = ROW_HDR | ROW_NZ),
    CUSTOM("old", TC_OFF(tc_nat, old_addr), &nat_old, .flags = ROW_HDR),
    CUSTOM("new", TC_OFF(tc_nat, new_addr), &nat_new, .flags = ROW_HDR),
};
static const struct tc_nat nat_initial = {.action = TC_ACT_OK, .mask = UINT32_MAX};
static struct codec_schema nat_parms = {
    .name = "action nat parms", .rows = nat_parms_rows, .count = ARRAY_LEN(nat_parms_rows),
    .header = sizeof(struct tc_nat), .initial = &nat_initial,
};
static const struct codec_row nat_rows[] = {INLINE(TCA_NAT_PARMS, &nat_parms)};
static int nat_pack(struct codec_enc *enc, void *fields, void *lead)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, TCA_NAT_PARMS);
    struct tc_nat *nat = a ? nla_data(a) : NULL;

    (void)fields, (void)lead;
    return tc_need(enc, nat && nat->new_addr && (nat->old_addr || nat->mask != UINT32_MAX), "old and new are needed: \"10.0.0.0/24\", \"192.0.2.1\"");
}
static struct codec_schema nat_schema = SCHEMA("action nat", nat_rows, 0);

#define CSUM(k, bit) BIT(k, TC_OFF(tc_csum, update_flags), 4, TCA_CSUM_UPDATE_FLAG_ ## bit, .flags = ROW_HDR | ROW_NZ)
static const struct codec_row csum_parms_rows[] = {
    GEN, CSUM("ip4h", IPV4HDR), CSUM("icmp", ICMP), CSUM("igmp", IGMP), CSUM("tcp", TCP), CSUM("udp", UDP),
    CSUM("udplite", UDPLITE), CSUM("sctp", SCTP),
};
PARMS(csum, "csum", tc_csum, TC_ACT_OK);
static const struct codec_row csum_rows[] = {INLINE(TCA_CSUM_PARMS, &csum_parms)};
static struct codec_schema csum_schema = SCHEMA("action csum", csum_rows, 0);

static const struct codec_row connmark_parms_rows[] = {
    GEN, U16("zone", TC_OFF(tc_connmark, zone), .flags = ROW_HDR | ROW_NZ),
};
PARMS(connmark, "connmark", tc_connmark, TC_ACT_PIPE);
static const struct codec_row connmark_rows[] = {INLINE(TCA_CONNMARK_PARMS, &connmark_parms)};
static struct codec_schema connmark_schema = SCHEMA("action connmark", connmark_rows, 0);

static const struct codec_row simple_parms_rows[] = {GEN};
PARMS(simple, "simple", tc_defact, TC_ACT_PIPE);
static const struct codec_row simple_rows[] = {
    INLINE(TCA_DEF_PARMS, &simple_parms), STR("sdata", TCA_DEF_DATA, 31),
};
static struct codec_schema simple_schema = SCHEMA("action simple", simple_rows, 0);

static const struct codec_row sample_parms_rows[] = {GEN};
PARMS(sample, "sample", tc_sample, TC_ACT_PIPE);
static const struct codec_row sample_rows[] = {
    INLINE(TCA_SAMPLE_PARMS, &sample_parms),
    U32("rate", TCA_SAMPLE_RATE, .min = 1),
    U32("trunc", TCA_SAMPLE_TRUNC_SIZE, .flags = ROW_NZ),
    U32("group", TCA_SAMPLE_PSAMPLE_GROUP),
};
static struct codec_schema sample_schema = SCHEMA("action sample", sample_rows, 0);

static const struct tc_form actions[] = {
    {"connmark", &connmark_schema, .always = true, .parms = TCA_CONNMARK_PARMS, .parms_schema = &connmark_parms},
    {"csum", &csum_schema, .always = true, .parms = TCA_CSUM_PARMS, .parms_schema = &csum_parms},
    {"gact", &gact_schema, .always = true, .parms = TCA_GACT_PARMS, .parms_schema = &gact_parms},
    {"mirred", &mirred_schema, .always = true, .pack = mirred_pack, .unpack = mirred_unpack},
    {"nat", &nat_schema, .always = true, .pack = nat_pack, .parms = TCA_NAT_PARMS, .parms_schema = &nat_parms},
    {"pedit", &pedit_schema, .always = true, .pack = pedit_pack},
    {"police", &police_schema, .always = true, .pack = police_pack, .unpack = police_unpack},
    {"sample", &sample_schema, .always = true, .parms = TCA_SAMPLE_PARMS, .parms_schema = &sample_parms},
    {"simple", &simple_schema, .always = true, .parms = TCA_DEF_PARMS, .parms_schema = &simple_parms},
    {"skbedit", &skbedit_schema, .always = true, .parms = TCA_SKBEDIT_PARMS, .parms_schema = &skbedit_parms},
    {"vlan", &vlan_action_schema, .always = true, .parms = TCA_VLAN_PARMS, .parms_schema = &vlan_parms},
};
const struct tc_forms tc_actions = {"action", "mirred", actions, ARRAY_LEN(actions)};
// clang-format on
