/* SPDX-License-Identifier: MIT
 * Rules of the routing policy: what `ip rule` says of one (ip-rule(8)), as rows. */
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "attrs.h"
#include "attrs_route.h"

#define HDR(field) offsetof(struct fib_rule_hdr, field)

/* A firewall mark: a number, or "MARK/MASK" with any C base. */
static int encode_fwmark(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a mark: a number, or \"0x1/0xff\" with a mask";
    const char *text;
    char *end;
    unsigned long mark, mask;
    int64_t value;
    int err;

    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        err = codec_integer(enc, row->key, 0, UINT32_MAX, &value);
        if (!err)
            codec_put_u32(&enc->m, FRA_FWMARK, (uint32_t)value);
        return err;
    }
    text = codec_text(enc, row->key, wanted);
    if (!text)
        return -EINVAL;
    mark = strtoul(text, &end, 0);
    if (*text < '0' || *text > '9' || mark > UINT32_MAX)
        return codec_bad(enc, row->key, wanted);
    codec_put_u32(&enc->m, FRA_FWMARK, (uint32_t)mark);
    if (!*end)
        return 0;
    text = end + 1;
    mask = strtoul(text, &end, 0);
    if (text[-1] != '/' || *text < '0' || *text > '9' || *end || mask > UINT32_MAX)
        return codec_bad(enc, row->key, wanted);
    codec_put_u32(&enc->m, FRA_FWMASK, (uint32_t)mask);
    return 0;
}

static void decode_fwmark(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 4)
        return;
    lua_pushinteger(dec->L, nla_get_u32(a));
    codec_set_name(dec, row->key);
}
static const struct codec_custom fwmark = {encode_fwmark, decode_fwmark};

/* Ranges of ports (2 bytes each) and user ids (4 bytes each): 80, or "80-90". row->mask is the
 * largest value. */
static int encode_range(struct codec_enc *enc, const struct codec_row *row)
{
    unsigned long low, high;
    char *end;
    const char *text;
    int64_t value;
    int err;

    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        err = codec_integer(enc, row->key, 0, row->mask, &value);
        if (err)
            return err;
        low = high = (unsigned long)value;
    } else {
        text = codec_text(enc, row->key, "a number, or a range such as \"80-90\"");
        if (!text)
            return -EINVAL;
        low = high = strtoul(text, &end, 10);
        if (*end == '-' && end[1] >= '0' && end[1] <= '9')
            high = strtoul(end + 1, &end, 10);
        if (*text < '0' || *text > '9' || *end || low > high || high > row->mask)
            return codec_bad(enc, row->key, "a number, or a range such as \"80-90\"");
    }
    if (row->mask == UINT16_MAX)
        codec_put(&enc->m, row->attr, &(uint16_t[]){(uint16_t)low, (uint16_t)high}, 4);
    else
        codec_put(&enc->m, row->attr, &(uint32_t[]){(uint32_t)low, (uint32_t)high}, 8);
    return 0;
}

static void decode_range(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    uint16_t v16[2];
    uint32_t v32[2];

    if (row->mask == UINT16_MAX && nla_len(a) >= (int)sizeof(v16)) {
        memcpy(v16, nla_data(a), sizeof(v16));
        v32[0] = v16[0];
        v32[1] = v16[1];
    } else if (nla_len(a) >= (int)sizeof(v32)) {
        memcpy(v32, nla_data(a), sizeof(v32));
    } else {
        return;
    }
    if (v32[0] == v32[1])
        lua_pushinteger(dec->L, v32[0]);
    else
        lua_pushfstring(dec->L, "%I-%I", (LUAI_UACINT)v32[0], (LUAI_UACINT)v32[1]);
    codec_set_name(dec, row->key);
}
static const struct codec_custom range = {encode_range, decode_range};

static const struct codec_name actions[] = {{FR_ACT_TO_TBL, "lookup"},
                                            {FR_ACT_GOTO, "goto"},
                                            {FR_ACT_NOP, "nop"},
                                            {FR_ACT_BLACKHOLE, "blackhole"},
                                            {FR_ACT_UNREACHABLE, "unreachable"},
                                            {FR_ACT_PROHIBIT, "prohibit"}};
static const struct codec_names names_action = NAMES("what a rule does", actions);

// clang-format off
static const struct codec_row rule_rows[] = {
    FAMILY_ROW,
    U8("tos", HDR(tos), .flags = ROW_HDR | ROW_NZ),
    ENUM("action", HDR(action), 1, &names_action, .flags = ROW_HDR),
    BIT("not", HDR(flags), 4, FIB_RULE_INVERT, .flags = ROW_HDR | ROW_NZ),
    BIT("unresolved", HDR(flags), 4, FIB_RULE_UNRESOLVED, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    BIT("iif_detached", HDR(flags), 4, FIB_RULE_IIF_DETACHED, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    BIT("oif_detached", HDR(flags), 4, FIB_RULE_OIF_DETACHED, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    PREFIX("from", FRA_SRC, HDR(src_len), .arg = "all"),
    PREFIX("to", FRA_DST, HDR(dst_len)),
    U32("priority", FRA_PRIORITY),
    ENUM("table", FRA_TABLE, 4, &names_table, .flags = ROW_NZ),
    IFNAME("iif", FRA_IIFNAME),
    IFNAME("oif", FRA_OIFNAME),
    CUSTOM("fwmark", FRA_FWMARK, &fwmark),
    U32("fwmask", FRA_FWMASK, .flags = ROW_ONES | ROW_NZ),
    U32("goto", FRA_GOTO, .min = 1),
    S32("suppress_prefixlength", FRA_SUPPRESS_PREFIXLEN, .max = 128, .flags = ROW_ONES),
    S32("suppress_ifgroup", FRA_SUPPRESS_IFGROUP, .flags = ROW_ONES),
    ENUM("ipproto", FRA_IP_PROTO, 1, &names_ip_proto),
    CUSTOM("sport", FRA_SPORT_RANGE, &range, .mask = UINT16_MAX),
    CUSTOM("dport", FRA_DPORT_RANGE, &range, .mask = UINT16_MAX),
    CUSTOM("uidrange", FRA_UID_RANGE, &range, .mask = UINT32_MAX),
    BOOL("l3mdev", FRA_L3MDEV, 1, .flags = ROW_NZ),
    U64("tun_id", FRA_TUN_ID, .flags = ROW_BE | ROW_NZ),
    CUSTOM("realms", FRA_FLOW, &route_realms),
    ENUM("proto", FRA_PROTOCOL, 1, &names_proto),
};
// clang-format on
struct codec_schema rule_schema = SCHEMA("rule", rule_rows, sizeof(struct fib_rule_hdr));

static int finish(struct codec_enc *enc, int idx)
{
    struct fib_rule_hdr *rule = codec_header(enc);
    struct nlattr *table = codec_find(&enc->m, enc->level, FRA_TABLE);
    bool l3mdev = codec_find(&enc->m, enc->level, FRA_L3MDEV) != NULL;
    int err = codec_settle_family(enc);

    (void)idx;
    if (err < 0 || enc->verb == CODEC_MATCH)
        return err < 0 ? err : 0;
    if (!rule->family)
        rule->family = AF_INET;
    if (table)
        rule->table = nla_get_u32(table) < 256 ? (uint8_t)nla_get_u32(table) : RT_TABLE_UNSPEC;
    if (enc->verb == CODEC_DEL)
        return 0;
    if (!rule->action)
        rule->action = codec_find(&enc->m, enc->level, FRA_GOTO) ? FR_ACT_GOTO : FR_ACT_TO_TBL;
    if (!table && rule->action == FR_ACT_TO_TBL && !l3mdev)
        rule->table = RT_TABLE_MAIN;
    return 0;
}

/* Multicast routing has rules of its own families; `ip rule` does not list them either. */
static bool listed(const struct nlmsghdr *h)
{
    int family = ((const struct fib_rule_hdr *)nlmsg_data(h))->family;

    return family == AF_INET || family == AF_INET6;
}

/* The kernel leaves the attribute out where the priority is 0. */
static void decoded(struct codec_dec *dec, const struct nlmsghdr *h)
{
    if (noun_attr(&noun_rule, h, FRA_PRIORITY))
        return;
    lua_pushinteger(dec->L, 0);
    codec_set_name(dec, "priority");
}

const struct noun noun_rule = {
    .name = "rule",
    .schema = &rule_schema,
    .add = RTM_NEWRULE,
    .del = RTM_DELRULE,
    .get = RTM_GETRULE,
    .ident = {"priority", "from", "to", "iif", "fwmark", "table"},
    .finish = finish,
    .listed = listed,
    .decoded = decoded,
};
