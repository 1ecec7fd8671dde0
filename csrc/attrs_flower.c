/* SPDX-License-Identifier: MIT
 * The filter flower (tc-flower(8)): fields of packets, many of them with a mask, as rows. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "attrs_tc.h"

#define F(attr) TCA_FLOWER_KEY_##attr

/* Values with a mask ------------------------------------------------------------------------- */

/* The attribute of the mask, at the level that is decoded. */
static struct nlattr *mask_of(struct codec_dec *dec, int type, int len)
{
    struct nlattr *mask = nla_find(dec->attrs, dec->attrs_len, type);

    return mask && nla_len(mask) >= len ? mask : NULL;
}

static bool all_ones(const void *data, int len)
{
    for (int i = 0; i < len; i++)
        if (((const uint8_t *)data)[i] != 0xff)
            return false;
    return true;
}

/* "0x10/0xfc", 16: value and mask in attributes row->attr and row->mask. */
static int encode_masked(struct codec_enc *enc, const struct codec_row *row)
{
    uint64_t full = row->size == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * row->size)) - 1;
    struct codec_row mask_row = *row;
    uint64_t value, mask = full;
    const char *text;
    int64_t number;
    char *end;
    int err;

    mask_row.attr = (uint16_t)row->mask;
    if (lua_type(enc->L, -1) != LUA_TSTRING) {
        err = codec_integer(enc, row->key, 0, (int64_t)full, &number);
        if (err)
            return err;
        value = (uint64_t)number;
    } else {
        text = lua_tostring(enc->L, -1);
        value = strtoull(text, &end, 0);
        if (end != text && *end == '/') {
            text = end + 1;
            mask = strtoull(text, &end, 0);
        }
        if (end == text || *end || value > full || mask > full ||
            strchr(lua_tostring(enc->L, -1), '-'))
            return codec_bad(enc, row->key, "a number, perhaps with a mask, such as \"0x10/0xfc\"");
    }
    codec_put_number(enc, row, (int64_t)value);
    return codec_put_number(enc, &mask_row, (int64_t)mask);
}

static void decode_masked(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct nlattr *mask = mask_of(dec, (int)row->mask, row->size);
    char text[48];

    if (nla_len(a) < row->size)
        return;
    if (!mask || all_ones(nla_data(mask), row->size)) {
        lua_pushinteger(dec->L, codec_read_number(row, nla_data(a)));
    } else {
        snprintf(text, sizeof(text), "0x%llx/0x%llx",
                 (unsigned long long)codec_read_number(row, nla_data(a)),
                 (unsigned long long)codec_read_number(row, nla_data(mask)));
        lua_pushstring(dec->L, text);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom masked = {encode_masked, decode_masked};

/* "02:00:00:00:00:01", with "/ff:ff:ff:00:00:00" or "/24" behind it. */
static bool parse_mac(const char *text, size_t len, uint8_t out[ETH_ALEN])
{
    unsigned b[ETH_ALEN];
    char word[20];
    int used = 0;

    if (len >= sizeof(word))
        return false;
    memcpy(word, text, len);
    word[len] = '\0';
    if (sscanf(word, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
               &used) != 6 ||
        (size_t)used != len)
        return false;
    for (int i = 0; i < ETH_ALEN; i++)
        out[i] = (uint8_t)b[i];
    return true;
}

static bool parse_mac_mask(const char *text, uint8_t out[ETH_ALEN])
{
    char *end;
    long bits = strtol(text, &end, 10);

    if (strchr(text, ':'))
        return parse_mac(text, strlen(text), out);
    if (end == text || *end || bits < 0 || bits > 48)
        return false;
    for (int i = 0; i < ETH_ALEN; i++)
        out[i] = (uint8_t)(bits >= 8 * (i + 1) ? 0xff
                           : bits <= 8 * i     ? 0
                                               : 0xff00 >> (bits - 8 * i));
    return true;
}

static int encode_mac(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] =
        "a link-layer address, perhaps with a mask: \"02:00:00:00:00:00/16\"";
    const char *text = codec_text(enc, row->key, wanted), *slash;
    uint8_t value[ETH_ALEN], mask[ETH_ALEN];

    if (!text)
        return -EINVAL;
    slash = strchr(text, '/');
    memset(mask, 0xff, sizeof(mask));
    if (!parse_mac(text, slash ? (size_t)(slash - text) : strlen(text), value) ||
        (slash && !parse_mac_mask(slash + 1, mask)))
        return codec_bad(enc, row->key, "%s", wanted);
    codec_put(&enc->m, row->attr, value, sizeof(value));
    codec_put(&enc->m, (int)row->mask, mask, sizeof(mask));
    return 0;
}

static void decode_mac(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct nlattr *mask = mask_of(dec, (int)row->mask, ETH_ALEN);

    if (nla_len(a) < ETH_ALEN)
        return;
    codec_push_lladdr(dec->L, nla_data(a), ETH_ALEN);
    if (mask && !all_ones(nla_data(mask), ETH_ALEN)) {
        lua_pushliteral(dec->L, "/");
        codec_push_lladdr(dec->L, nla_data(mask), ETH_ALEN);
        lua_concat(dec->L, 3);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom mac = {encode_mac, decode_mac};

/* A prefix, or an address and a mask; IPv6's attribute is row->min, and each one's mask is the
 * next. */
static int encode_ip(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a prefix such as \"10.0.0.0/24\" or \"2001:db8::/64\"";
    const char *text = codec_text(enc, row->key, wanted), *slash;
    uint8_t value[16], mask[16];
    char host[INET6_ADDRSTRLEN], *end;
    int family, size, attr;
    long len;

    if (!text)
        return -EINVAL;
    slash = strchr(text, '/');
    snprintf(host, sizeof(host), "%.*s", (int)(slash ? slash - text : (long)strlen(text)), text);
    family = codec_parse_ip(host, value);
    size = family == AF_INET ? 4 : 16;
    attr = family == AF_INET ? row->attr : (int)row->min;
    if (!family || !attr)
        return codec_bad(enc, row->key,
                         row->min ? wanted : "an IPv4 prefix such as \"10.0.0.0/24\"");
    memset(mask, 0xff, sizeof(mask));
    if (slash && codec_parse_ip(slash + 1, mask) != family) {
        len = strtol(slash + 1, &end, 10);
        if (end == slash + 1 || *end || len < 0 || len > 8 * size)
            return codec_bad(enc, row->key, "%s", wanted);
        for (int i = 0; i < size; i++)
            mask[i] = (uint8_t)(len >= 8 * (i + 1) ? 0xff
                                : len <= 8 * i     ? 0
                                                   : 0xff00 >> (len - 8 * i));
    }
    codec_put(&enc->m, attr, value, (size_t)size);
    codec_put(&enc->m, attr + 1, mask, (size_t)size);
    return 0;
}

static int prefix_length(const uint8_t *mask, int size)
{
    int len = 0;

    while (len < 8 * size && mask[len / 8] & 0x80 >> len % 8)
        len++;
    for (int i = len; i < 8 * size; i++)
        if (mask[i / 8] & 0x80 >> i % 8)
            return -1;
    return len;
}

static void decode_ip(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    int size = nla_len(a) >= 16 ? 16 : 4, family = size == 4 ? AF_INET : AF_INET6, len = 8 * size;
    struct nlattr *mask = mask_of(dec, nla_type(a) + 1, size);

    if (nla_len(a) < size)
        return;
    if (mask)
        len = prefix_length(nla_data(mask), size);
    if (len >= 0) {
        codec_push_prefix(dec->L, family, nla_data(a), len);
    } else {
        codec_push_ip(dec->L, family, nla_data(a));
        lua_pushliteral(dec->L, "/");
        codec_push_ip(dec->L, family, nla_data(mask));
        lua_concat(dec->L, 3);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom ip = {encode_ip, decode_ip};

/* Ports: a number, "80/0xfff0", or "100-200", whose attributes are row->min and the next. As TCP's
 * first; pack makes them the protocol's. */
static int encode_port(struct codec_enc *enc, const struct codec_row *row)
{
    unsigned low, high;
    int used = 0;
    uint16_t be;

    if (lua_type(enc->L, -1) != LUA_TSTRING || !strchr(lua_tostring(enc->L, -1), '-'))
        return encode_masked(enc, row);
    if (sscanf(lua_tostring(enc->L, -1), "%5u-%5u%n", &low, &high, &used) != 2 ||
        lua_tostring(enc->L, -1)[used] || low >= high || high > UINT16_MAX)
        return codec_bad(enc, row->key, "a port, or a range such as \"100-200\"");
    be = htons((uint16_t)low);
    codec_put(&enc->m, (int)row->min, &be, sizeof(be));
    be = htons((uint16_t)high);
    codec_put(&enc->m, (int)row->min + 1, &be, sizeof(be));
    return 0;
}
static const struct codec_custom port = {encode_port, decode_masked};

static void decode_range(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct nlattr *high = mask_of(dec, nla_type(a) + 1, 2);

    if (nla_len(a) < 2 || !high)
        return;
    lua_pushfstring(dec->L, "%d-%d", ntohs(nla_get_u16(a)), ntohs(nla_get_u16(high)));
    codec_set_name(dec, row->key);
}
static const struct codec_custom port_range = {tc_encode_nothing, decode_range};

/* Words for bits that are set or not: "frag/nofirstfrag", "+trk-est". */
struct flag_words {
    const char *on, *off; /* what stands before a word */
    struct codec_names names;
};

static const struct codec_name ip_flags[] = {{1, "frag"}, {2, "firstfrag"}};
static const struct codec_name ct_states[] = {
    {TCA_FLOWER_KEY_CT_FLAGS_NEW, "new"},     {TCA_FLOWER_KEY_CT_FLAGS_ESTABLISHED, "est"},
    {TCA_FLOWER_KEY_CT_FLAGS_RELATED, "rel"}, {TCA_FLOWER_KEY_CT_FLAGS_TRACKED, "trk"},
    {TCA_FLOWER_KEY_CT_FLAGS_INVALID, "inv"}, {TCA_FLOWER_KEY_CT_FLAGS_REPLY, "rpl"}};
static const struct flag_words ip_flag_words = {
    "/", "/no", NAMES("frag, nofrag, firstfrag or nofirstfrag", ip_flags)};
static const struct flag_words ct_state_words = {"+", "-",
                                                 NAMES("states such as \"+trk+est\"", ct_states)};

static const struct flag_words *words_of(const struct codec_row *row)
{
    return row->min ? &ct_state_words : &ip_flag_words;
}

/* The word at *text: 0 or -1; what it says goes into value and mask. */
static int read_flag(const struct flag_words *words, const char **text, uint32_t *value,
                     uint32_t *mask)
{
    size_t n = words->names.count;

    for (size_t i = 0; i < 2 * n; i++) {
        const struct codec_name *name = &words->names.list[i % n];
        char word[32];
        int len = snprintf(word, sizeof(word), "%s%s", i < n ? words->on : words->off, name->name);

        if (strncmp(*text, word, (size_t)len) != 0 || ((*text)[len] >= 'a' && (*text)[len] <= 'z'))
            continue;
        *text += len;
        *mask |= (uint32_t)name->value;
        *value |= i < n ? (uint32_t)name->value : 0;
        return 0;
    }
    return -1;
}

static int encode_flags(struct codec_enc *enc, const struct codec_row *row)
{
    const struct flag_words *words = words_of(row);
    const char *given = codec_text(enc, row->key, words->names.what), *text;
    struct codec_row mask_row = *row;
    uint32_t value = 0, mask = 0;
    char all[128];

    if (!given)
        return -EINVAL;
    snprintf(all, sizeof(all), "%s%s", *words->on == '/' ? "/" : "", given);
    for (text = all; *text;)
        if (read_flag(words, &text, &value, &mask) != 0)
            return codec_bad(enc, row->key, "%s", words->names.what);
    mask_row.attr = (uint16_t)row->mask;
    codec_put_number(enc, row, value);
    return codec_put_number(enc, &mask_row, mask);
}

static void decode_flags(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct flag_words *words = words_of(row);
    struct nlattr *mask = mask_of(dec, (int)row->mask, row->size);
    char text[128] = "";
    size_t len = 0;

    if (nla_len(a) < row->size || !mask)
        return;
    for (size_t i = 0; i < words->names.count && len < sizeof(text); i++) {
        int64_t bit = words->names.list[i].value;
        if (!(codec_read_number(row, nla_data(mask)) & bit))
            continue;
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
                                codec_read_number(row, nla_data(a)) & bit ? words->on : words->off,
                                words->names.list[i].name);
    }
    if (!len)
        return;
    lua_pushstring(dec->L, text + (*words->on == '/'));
    codec_set_name(dec, row->key);
}
static const struct codec_custom flags = {encode_flags, decode_flags};

static const struct codec_name protocols[] = {{IPPROTO_TCP, "tcp"},
                                              {IPPROTO_UDP, "udp"},
                                              {IPPROTO_SCTP, "sctp"},
                                              {IPPROTO_ICMP, "icmp"},
                                              {IPPROTO_ICMPV6, "icmpv6"},
                                              {IPPROTO_IGMP, "igmp"},
                                              {IPPROTO_GRE, "gre"},
                                              {IPPROTO_ESP, "esp"},
                                              {IPPROTO_AH, "ah"},
                                              {IPPROTO_IPIP, "ipip"},
                                              {115, "l2tp"},
                                              {89, "ospf"}};
static const struct codec_names names_protocol = NAMES("an IP protocol", protocols);

static const struct codec_name arp_ops[] = {{1, "request"}, {2, "reply"}};
static const struct codec_names names_arp_op = NAMES("an ARP operation", arp_ops);

static int encode_arp_op(struct codec_enc *enc, const struct codec_row *row)
{
    static const uint8_t ones = 0xff;
    struct codec_row plain = *row;
    int err;

    plain.type = CODEC_ENUM;
    plain.arg = &names_arp_op;
    err = codec_encode_value(enc, &plain);
    if (!err)
        codec_put(&enc->m, (int)row->mask, &ones, sizeof(ones));
    return err;
}

static void decode_arp_op(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 1)
        return;
    codec_push_name(dec->L, &names_arp_op, nla_get_u8(a));
    codec_set_name(dec, row->key);
}
static const struct codec_custom arp_op = {encode_arp_op, decode_arp_op};

/* Rows --------------------------------------------------------------------------------------- */

// clang-format off
#define MASKED(k, a, n, ...) CUSTOM(k, F(a), &masked, .size = n, .mask = F(a ## _MASK), ##__VA_ARGS__)
#define MAC(k, a)            CUSTOM(k, F(a), &mac, .mask = F(a ## _MASK))
#define IPS(k, v4, v6)       CUSTOM(k, F(v6), &ip, .flags = ROW_RO), CUSTOM(k, F(v4), &ip, .min = F(v6))
#define PORT(k, a, ...)      CUSTOM(k, F(a), &port, .size = 2, .mask = F(a ## _MASK), __VA_ARGS__)
#define PORTS(k, way) \
    PORT(k, UDP_ ## way, .flags = ROW_BE | ROW_RO), PORT(k, SCTP_ ## way, .flags = ROW_BE | ROW_RO), \
    CUSTOM(k, F(PORT_ ## way ## _MIN), &port_range, .flags = ROW_RO), \
    PORT(k, TCP_ ## way, .flags = ROW_BE, .min = F(PORT_ ## way ## _MIN))
#define ICMP(k, what) MASKED(k, ICMPV6_ ## what, 1, .flags = ROW_RO), MASKED(k, ICMPV4_ ## what, 1)

static const struct codec_row flower_rows[] = {
    TC_FILTER_ROWS(TCA_FLOWER_ACT, TCA_FLOWER_CLASSID),
    TC_FILTER_FLAGS(TCA_FLOWER_FLAGS),
    IFNAME("indev", TCA_FLOWER_INDEV),
    MAC("dst_mac", ETH_DST), MAC("src_mac", ETH_SRC),
    U8("num_of_vlans", F(NUM_OF_VLANS)),
    U16("vlan_id", F(VLAN_ID), .max = 4095), U8("vlan_prio", F(VLAN_PRIO), .max = 7),
    ENUM("vlan_ethtype", F(VLAN_ETH_TYPE), 2, &tc_ethertypes, .flags = ROW_BE),
    U16("cvlan_id", F(CVLAN_ID), .max = 4095), U8("cvlan_prio", F(CVLAN_PRIO), .max = 7),
    ENUM("cvlan_ethtype", F(CVLAN_ETH_TYPE), 2, &tc_ethertypes, .flags = ROW_BE),
    U16("pppoe_sid", F(PPPOE_SID), .flags = ROW_BE), U16("ppp_proto", F(PPP_PROTO), .flags = ROW_BE),
    U32("l2tpv3_sid", F(L2TPV3_SID), .flags = ROW_BE),
    ENUM("ip_proto", F(IP_PROTO), 1, &names_protocol),
    CUSTOM("ip_tos", TCA_FLOWER_KEY_IP_TOS, &masked, .size = 1, .mask = TCA_FLOWER_KEY_IP_TOS_MASK),
    CUSTOM("ip_ttl", TCA_FLOWER_KEY_IP_TTL, &masked, .size = 1, .mask = TCA_FLOWER_KEY_IP_TTL_MASK),
    CUSTOM("ip_flags", F(FLAGS), &flags, .size = 4, .mask = F(FLAGS_MASK), .flags = ROW_BE),
    IPS("src_ip", IPV4_SRC, IPV6_SRC), IPS("dst_ip", IPV4_DST, IPV6_DST),
    PORTS("src_port", SRC), PORTS("dst_port", DST),
    MASKED("tcp_flags", TCP_FLAGS, 2, .flags = ROW_BE),
    ICMP("type", TYPE), ICMP("code", CODE),
    CUSTOM("arp_op", F(ARP_OP), &arp_op, .size = 1, .mask = F(ARP_OP_MASK)),
    CUSTOM("arp_sip", F(ARP_SIP), &ip), CUSTOM("arp_tip", F(ARP_TIP), &ip),
    MAC("arp_sha", ARP_SHA), MAC("arp_tha", ARP_THA),
    U32("mpls_label", F(MPLS_LABEL), .max = 0xfffff), U8("mpls_tc", F(MPLS_TC), .max = 7),
    U8("mpls_bos", F(MPLS_BOS), .max = 1), U8("mpls_ttl", F(MPLS_TTL)),
    U32("enc_key_id", F(ENC_KEY_ID), .flags = ROW_BE),
    IPS("enc_src_ip", ENC_IPV4_SRC, ENC_IPV6_SRC), IPS("enc_dst_ip", ENC_IPV4_DST, ENC_IPV6_DST),
    MASKED("enc_src_port", ENC_UDP_SRC_PORT, 2, .flags = ROW_BE),
    MASKED("enc_dst_port", ENC_UDP_DST_PORT, 2, .flags = ROW_BE),
    MASKED("enc_tos", ENC_IP_TOS, 1), MASKED("enc_ttl", ENC_IP_TTL, 1),
    CUSTOM("ct_state", F(CT_STATE), &flags, .size = 2, .mask = F(CT_STATE_MASK), .min = 1),
    MASKED("ct_zone", CT_ZONE, 2), MASKED("ct_mark", CT_MARK, 4),
};
struct codec_schema flower_schema = SCHEMA("filter flower", flower_rows, 0);
// clang-format on

/* Give the attribute `from` the type of the protocol that was given. */
static void retag(struct codec_enc *enc, int from, int to)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, from);

    if (a)
        a->nla_type = (uint16_t)to;
}

static void retag_ports(struct codec_enc *enc, const int types[4])
{
    static const int tcp[] = {F(TCP_SRC), F(TCP_DST), F(TCP_SRC_MASK), F(TCP_DST_MASK)};

    for (size_t i = 0; i < ARRAY_LEN(tcp); i++)
        retag(enc, tcp[i], types[i]);
}

static int settle_protocol(struct codec_enc *enc, int proto)
{
    static const int udp[] = {F(UDP_SRC), F(UDP_DST), F(UDP_SRC_MASK), F(UDP_DST_MASK)};
    static const int sctp[] = {F(SCTP_SRC), F(SCTP_DST), F(SCTP_SRC_MASK), F(SCTP_DST_MASK)};
    bool ports = tc_given(enc, F(TCP_SRC)) || tc_given(enc, F(TCP_DST)) ||
                 tc_given(enc, F(PORT_SRC_MIN)) || tc_given(enc, F(PORT_DST_MIN));
    bool icmp = tc_given(enc, F(ICMPV4_TYPE)) || tc_given(enc, F(ICMPV4_CODE));
    int err = tc_need(
        enc, !ports || proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP,
        "ports need ip_proto: \"tcp\", \"udp\" or \"sctp\"");

    if (!err)
        err = tc_need(enc, !icmp || proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6,
                      "type and code need ip_proto: \"icmp\" or \"icmpv6\"");
    if (proto == IPPROTO_UDP)
        retag_ports(enc, udp);
    if (proto == IPPROTO_SCTP)
        retag_ports(enc, sctp);
    if (proto == IPPROTO_ICMPV6)
        for (int i = F(ICMPV4_CODE); i <= F(ICMPV4_TYPE_MASK); i++)
            retag(enc, i, i + F(ICMPV6_CODE) - F(ICMPV4_CODE));
    return err;
}

int flower_pack(struct codec_enc *enc, void *fields, void *lead)
{
    const struct tcmsg *t = codec_header(enc);
    struct nlattr *proto = codec_find(&enc->m, enc->level, F(IP_PROTO));
    uint16_t ethertype = (uint16_t)TC_H_MIN(t->tcm_info);

    (void)fields, (void)lead;
    if (ethertype && ethertype != htons(ETH_P_ALL))
        codec_put(&enc->m, F(ETH_TYPE), &ethertype, sizeof(ethertype));
    return settle_protocol(enc, proto ? nla_get_u8(proto) : -1);
}
