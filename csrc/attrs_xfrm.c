/* SPDX-License-Identifier: MIT
 * What states and policies of xfrm share: selectors, addresses in structures, limits, marks. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "attrs_kinds.h"
#include "attrs_route.h"
#include "attrs_xfrm.h"

static const struct codec_name protos[] = {{IPPROTO_ESP, "esp"},
                                           {IPPROTO_AH, "ah"},
                                           {IPPROTO_COMP, "comp"},
                                           {IPPROTO_ROUTING, "route2"},
                                           {IPPROTO_DSTOPTS, "hao"}};
const struct codec_names names_xfrm_proto = NAMES("a protocol of xfrm", protos);

static const struct codec_name modes[] = {{XFRM_MODE_TRANSPORT, "transport"},
                                          {XFRM_MODE_TUNNEL, "tunnel"},
                                          {XFRM_MODE_ROUTEOPTIMIZATION, "ro"},
                                          {XFRM_MODE_IN_TRIGGER, "in_trigger"},
                                          {XFRM_MODE_BEET, "beet"}};
const struct codec_names names_xfrm_mode = NAMES("a mode of xfrm", modes);

/* Addresses --------------------------------------------------------------------------------- */

/* Note the family at `place` of the header; one that says otherwise is refused. */
static int settle(struct codec_enc *enc, const char *key, size_t place, int family)
{
    uint16_t *known = (uint16_t *)((char *)codec_header(enc) + place);

    if (*known && *known != family)
        return nserr_arg(enc->e, "%s: %s%s is %s, but another address is not", enc->op, enc->path,
                         key, family == AF_INET ? "IPv4" : "IPv6");
    *known = (uint16_t)family;
    return 0;
}

static int encode_address(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "an IP address");
    xfrm_address_t addr = {0};
    int family;

    if (!text)
        return -EINVAL;
    family = codec_parse_ip(text, &addr);
    if (!family)
        return codec_bad(enc, row->key, "an IP address");
    memcpy((char *)codec_header(enc) + row->attr, &addr, sizeof(addr));
    return settle(enc, row->key, row->mask, family);
}

static void decode_address(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    static const xfrm_address_t none;
    const char *addr = dec->header + row->attr;
    uint16_t family;

    (void)a;
    memcpy(&family, dec->header + row->mask, sizeof(family));
    if (!memcmp(addr, &none, sizeof(none)) || (family != AF_INET && family != AF_INET6))
        return;
    codec_push_ip(dec->L, family, addr);
    codec_set_name(dec, row->key);
}
const struct codec_custom xfrm_address = {encode_address, decode_address};

/* Selectors --------------------------------------------------------------------------------- */

static int encode_prefix(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a prefix such as \"10.0.0.0/24\" or \"2001:db8::/64\"";
    struct xfrm_selector *sel = codec_header(enc);
    const char *text = codec_text(enc, row->key, wanted);
    xfrm_address_t addr = {0};
    int family, len = 0;

    if (!text)
        return -EINVAL;
    family = codec_parse_prefix(text, (unsigned char *)&addr, &len);
    if (!family)
        return codec_bad(enc, row->key, wanted);
    *(row->mask ? &sel->saddr : &sel->daddr) = addr;
    *(row->mask ? &sel->prefixlen_s : &sel->prefixlen_d) = (uint8_t)len;
    return settle(enc, row->key, offsetof(struct xfrm_selector, family), family);
}

static void decode_prefix(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct xfrm_selector *sel = (const struct xfrm_selector *)dec->header;
    int len = row->mask ? sel->prefixlen_s : sel->prefixlen_d;

    (void)a;
    if (sel->family != AF_INET && sel->family != AF_INET6)
        return;
    codec_push_ip(dec->L, sel->family, row->mask ? &sel->saddr : &sel->daddr);
    lua_pushfstring(dec->L, "%s/%d", lua_tostring(dec->L, -1), len);
    lua_remove(dec->L, -2);
    codec_set_name(dec, row->key);
}
const struct codec_custom xfrm_prefix = {encode_prefix, decode_prefix};

static int encode_ports(struct codec_enc *enc, const struct codec_row *row)
{
    struct xfrm_selector *sel = codec_header(enc);
    bool source = row->mask == XFRM_SPORT || row->mask == XFRM_TYPE;
    int64_t value, max = row->mask == XFRM_KEY ? UINT32_MAX : UINT16_MAX;
    int err;

    if (row->mask == XFRM_TYPE || row->mask == XFRM_CODE)
        max = UINT8_MAX;
    err = codec_integer(enc, row->key, 0, max, &value);
    if (err)
        return err;
    if (row->mask == XFRM_KEY) {
        sel->sport = htons((uint16_t)(value >> 16));
        sel->dport = htons((uint16_t)value);
        sel->sport_mask = sel->dport_mask = UINT16_MAX;
        return 0;
    }
    *(source ? &sel->sport : &sel->dport) = htons((uint16_t)value);
    *(source ? &sel->sport_mask : &sel->dport_mask) = UINT16_MAX;
    return 0;
}

/* Which of the words a selector's protocol has for its two numbers. */
static bool has_word(const struct xfrm_selector *sel, enum xfrm_port word)
{
    bool icmp =
        sel->proto == IPPROTO_ICMP || sel->proto == IPPROTO_ICMPV6 || sel->proto == IPPROTO_MH;

    if (word == XFRM_KEY)
        return sel->proto == IPPROTO_GRE;
    if (word == XFRM_TYPE || word == XFRM_CODE)
        return icmp;
    return !icmp && sel->proto != IPPROTO_GRE;
}

static void decode_ports(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct xfrm_selector *sel = (const struct xfrm_selector *)dec->header;
    bool source = row->mask == XFRM_SPORT || row->mask == XFRM_TYPE;
    lua_Integer value = ntohs(source ? sel->sport : sel->dport);

    (void)a;
    if (!has_word(sel, row->mask) || !(source ? sel->sport_mask : sel->dport_mask))
        return;
    if (row->mask == XFRM_KEY)
        value = (lua_Integer)ntohs(sel->sport) << 16 | ntohs(sel->dport);
    lua_pushinteger(dec->L, value);
    codec_set_name(dec, row->key);
}
const struct codec_custom xfrm_ports = {encode_ports, decode_ports};

/* Limits ------------------------------------------------------------------------------------ */

#define LIMIT(k, field, f) U64(k, offsetof(struct xfrm_lifetime_cfg, field), .flags = ROW_HDR | f)

// clang-format off
static const struct codec_row limits_rows[] = {
    LIMIT("byte_soft", soft_byte_limit, ROW_ONES),
    LIMIT("byte_hard", hard_byte_limit, ROW_ONES),
    LIMIT("packet_soft", soft_packet_limit, ROW_ONES),
    LIMIT("packet_hard", hard_packet_limit, ROW_ONES),
    LIMIT("time_soft", soft_add_expires_seconds, ROW_NZ),
    LIMIT("time_hard", hard_add_expires_seconds, ROW_NZ),
    LIMIT("time_use_soft", soft_use_expires_seconds, ROW_NZ),
    LIMIT("time_use_hard", hard_use_expires_seconds, ROW_NZ),
};
static const struct codec_row selector_rows[] = {XFRM_SELECTOR_ROWS};
// clang-format on
struct codec_schema xfrm_limits_schema =
    SCHEMA("xfrm_state limits", limits_rows, sizeof(struct xfrm_lifetime_cfg));
struct codec_schema xfrm_selector_schema =
    SCHEMA("xfrm_state selector", selector_rows, sizeof(struct xfrm_selector));

void xfrm_no_limits(struct xfrm_lifetime_cfg *lft)
{
    lft->soft_byte_limit = lft->hard_byte_limit = XFRM_INF;
    lft->soft_packet_limit = lft->hard_packet_limit = XFRM_INF;
}

static int encode_limits(struct codec_enc *enc, const struct codec_row *row)
{
    size_t header = enc->header, path;
    int err;

    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key, "a table such as { time_hard = 3600 }");
    path = codec_path(enc, row->key, 0);
    enc->header += row->attr;
    err = codec_encode(enc, lua_gettop(enc->L), &xfrm_limits_schema);
    enc->header = header;
    codec_path_end(enc, path);
    return err;
}

static void decode_limits(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)a;
    lua_newtable(dec->L);
    codec_decode_nested(dec, &xfrm_limits_schema, dec->header + row->attr, NULL, 0);
    lua_pushnil(dec->L);
    if (!lua_next(dec->L, -2)) { /* there are none */
        lua_pop(dec->L, 1);
        return;
    }
    lua_pop(dec->L, 2);
    codec_set_name(dec, row->key);
}
const struct codec_custom xfrm_limits = {encode_limits, decode_limits};

/* Marks ------------------------------------------------------------------------------------- */

static int encode_mark(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a mark: a number, or \"0x1/0xff\" with a mask";
    struct xfrm_mark mark = {.m = UINT32_MAX};
    unsigned long value, mask = UINT32_MAX;
    const char *text;
    int64_t number;
    char *end;
    int err;

    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        err = codec_integer(enc, row->key, 0, UINT32_MAX, &number);
        mark.v = (uint32_t)(err ? 0 : number);
        codec_put(&enc->m, row->attr, &mark, sizeof(mark));
        return err;
    }
    text = codec_text(enc, row->key, wanted);
    if (!text)
        return -EINVAL;
    value = strtoul(text, &end, 0);
    if (*end == '/' && end[1] >= '0' && end[1] <= '9')
        mask = strtoul(end + 1, &end, 0);
    if (*text < '0' || *text > '9' || *end || value > UINT32_MAX || mask > UINT32_MAX)
        return codec_bad(enc, row->key, wanted);
    mark = (struct xfrm_mark){.v = (uint32_t)value, .m = (uint32_t)mask};
    codec_put(&enc->m, row->attr, &mark, sizeof(mark));
    return 0;
}

static void decode_mark(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct xfrm_mark mark;
    char text[32];

    if (nla_len(a) < (int)sizeof(mark))
        return;
    memcpy(&mark, nla_data(a), sizeof(mark));
    snprintf(text, sizeof(text), "0x%x/0x%x", mark.v, mark.m);
    if (mark.m == UINT32_MAX)
        lua_pushinteger(dec->L, mark.v);
    else
        lua_pushstring(dec->L, text);
    codec_set_name(dec, row->key);
}
const struct codec_custom xfrm_mark = {encode_mark, decode_mark};

/* Counters ---------------------------------------------------------------------------------- */

static void set_number(struct codec_dec *dec, const char *key, uint64_t value)
{
    lua_pushinteger(dec->L, (lua_Integer)value);
    codec_set_name(dec, key);
}

static void decode_stats(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct xfrm_lifetime_cur cur;
    struct xfrm_stats lost;

    (void)a;
    if (!dec->stats)
        return;
    memcpy(&cur, dec->header + row->attr, sizeof(cur));
    lua_createtable(dec->L, 0, 7);
    set_number(dec, "bytes", cur.bytes);
    set_number(dec, "packets", cur.packets);
    set_number(dec, "add_time", cur.add_time);
    set_number(dec, "use_time", cur.use_time);
    if (row->mask) {
        memcpy(&lost, dec->header + row->mask, sizeof(lost));
        set_number(dec, "replay_window", lost.replay_window);
        set_number(dec, "replay", lost.replay);
        set_number(dec, "integrity_failed", lost.integrity_failed);
    }
    codec_set_name(dec, row->key);
}
const struct codec_custom xfrm_stats = {kind_encode_none, decode_stats};

void xfrm_settle_type(struct codec_enc *enc, int update)
{
    struct nlmsghdr *h = (struct nlmsghdr *)enc->m.buf;

    if (h->nlmsg_flags & NLM_F_REPLACE)
        h->nlmsg_type = (uint16_t)update;
    h->nlmsg_flags &= (uint16_t) ~(NLM_F_REPLACE | NLM_F_EXCL | NLM_F_CREATE | NLM_F_APPEND);
}
