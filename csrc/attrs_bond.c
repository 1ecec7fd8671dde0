/* SPDX-License-Identifier: MIT
 * Bonds and their ports, as rows. Intervals and delays are in milliseconds, as `ip link` takes
 * them. */
#include <linux/if_bonding.h>
#include <linux/if_link.h>
#include <string.h>

#include "attrs_kinds.h"

static const struct codec_name modes[] = {
    {BOND_MODE_ROUNDROBIN, "balance-rr"}, {BOND_MODE_ACTIVEBACKUP, "active-backup"},
    {BOND_MODE_XOR, "balance-xor"},       {BOND_MODE_BROADCAST, "broadcast"},
    {BOND_MODE_8023AD, "802.3ad"},        {BOND_MODE_TLB, "balance-tlb"},
    {BOND_MODE_ALB, "balance-alb"}};
static const struct codec_names names_mode = NAMES("a mode of bonding", modes);

static const struct codec_name validates[] = {
    {0, "none"},   {1, "active"},        {2, "backup"},       {3, "all"},
    {4, "filter"}, {5, "filter_active"}, {6, "filter_backup"}};
static const struct codec_names names_validate = NAMES("what of ARP is validated", validates);

static const struct codec_name all_targets[] = {{0, "any"}, {1, "all"}};
static const struct codec_names names_all_targets = NAMES("any or all", all_targets);

static const struct codec_name reselects[] = {{0, "always"}, {1, "better"}, {2, "failure"}};
static const struct codec_names names_reselect = NAMES("when the primary is chosen", reselects);

static const struct codec_name fail_overs[] = {{0, "none"}, {1, "active"}, {2, "follow"}};
static const struct codec_names names_fail_over = NAMES("whose address is used", fail_overs);

static const struct codec_name hashes[] = {{0, "layer2"},   {1, "layer3+4"}, {2, "layer2+3"},
                                           {3, "encap2+3"}, {4, "encap3+4"}, {5, "vlan+srcmac"}};
static const struct codec_names names_hash = NAMES("a transmit hash policy", hashes);

static const struct codec_name rates[] = {{0, "slow"}, {1, "fast"}};
static const struct codec_names names_rate = NAMES("a rate of LACP", rates);

static const struct codec_name selects[] = {{0, "stable"}, {1, "bandwidth"}, {2, "count"}};
static const struct codec_names names_select = NAMES("how an aggregator is selected", selects);

static const struct codec_name port_states[] = {{0, "active"}, {1, "backup"}};
static const struct codec_names names_port_state = NAMES("a state of a bond's port", port_states);

static const struct codec_name mii_states[] = {
    {0, "up"}, {1, "going_down"}, {2, "down"}, {3, "going_back"}};
static const struct codec_names names_mii = NAMES("an MII state", mii_states);

/* A list of addresses of row->size bytes; a single one may be given by itself. */
static int put_target(struct codec_enc *enc, const struct codec_row *row, int number)
{
    const char *text = codec_text(enc, row->key, "a list of IP addresses");
    unsigned char addr[16];
    int family = row->size == 4 ? AF_INET : AF_INET6;

    if (!text)
        return -EINVAL;
    if (codec_parse_ip(text, addr) != family)
        return codec_bad(enc, row->key, family == AF_INET ? "IPv4 addresses" : "IPv6 addresses");
    codec_put(&enc->m, number, addr, row->size);
    return 0;
}

static int encode_targets(struct codec_enc *enc, const struct codec_row *row)
{
    size_t mark = codec_nest(&enc->m, row->attr | NLA_F_NESTED);
    int n, err = 0;

    if (lua_type(enc->L, -1) == LUA_TTABLE) {
        n = (int)lua_rawlen(enc->L, -1);
        for (int i = 1; !err && i <= n; i++) {
            lua_rawgeti(enc->L, -1, i);
            err = put_target(enc, row, i - 1);
            lua_pop(enc->L, 1);
        }
    } else {
        err = put_target(enc, row, 0);
    }
    codec_nest_end(&enc->m, mark);
    return err;
}

static void decode_targets(struct codec_dec *dec, const struct codec_row *row, struct nlattr *list)
{
    struct nlattr *a;
    lua_Integer n = 0;
    int left;

    lua_newtable(dec->L);
    nla_for_each_nested(a, list, left)
    {
        if (nla_len(a) != row->size)
            continue;
        codec_push_ip(dec->L, row->size == 4 ? AF_INET : AF_INET6, nla_data(a));
        lua_rawseti(dec->L, -2, ++n);
    }
    if (n)
        codec_set_name(dec, row->key);
    else
        lua_pop(dec->L, 1);
}
static const struct codec_custom targets = {encode_targets, decode_targets};

// clang-format off
static const struct codec_row ad_info_rows[] = {
    U16("aggregator", IFLA_BOND_AD_INFO_AGGREGATOR),
    U16("num_ports", IFLA_BOND_AD_INFO_NUM_PORTS),
    U16("actor_key", IFLA_BOND_AD_INFO_ACTOR_KEY),
    U16("partner_key", IFLA_BOND_AD_INFO_PARTNER_KEY),
    LLADDR("partner_mac", IFLA_BOND_AD_INFO_PARTNER_MAC),
};
static struct codec_schema ad_info_schema = SCHEMA("bond ad_info", ad_info_rows, 0);

static const struct codec_row bond_rows[] = {
    ENUM("mode", IFLA_BOND_MODE, 1, &names_mode),
    DEV("active_slave", IFLA_BOND_ACTIVE_SLAVE, .flags = ROW_SET | ROW_ZERO),
    U32("miimon", IFLA_BOND_MIIMON),
    U32("updelay", IFLA_BOND_UPDELAY, .flags = ROW_NZ), /* takes not even 0 without miimon */
    U32("downdelay", IFLA_BOND_DOWNDELAY, .flags = ROW_NZ),
    U32("peer_notify_delay", IFLA_BOND_PEER_NOTIF_DELAY, .flags = ROW_NZ),
    BOOL("use_carrier", IFLA_BOND_USE_CARRIER, 1),
    U32("arp_interval", IFLA_BOND_ARP_INTERVAL),
    CUSTOM("arp_ip_target", IFLA_BOND_ARP_IP_TARGET, &targets, .size = 4),
    CUSTOM("ns_ip6_target", IFLA_BOND_NS_IP6_TARGET, &targets, .size = 16),
    ENUM("arp_validate", IFLA_BOND_ARP_VALIDATE, 4, &names_validate),
    ENUM("arp_all_targets", IFLA_BOND_ARP_ALL_TARGETS, 4, &names_all_targets),
    U8("arp_missed_max", IFLA_BOND_MISSED_MAX),
    DEV("primary", IFLA_BOND_PRIMARY, .flags = ROW_ZERO),
    ENUM("primary_reselect", IFLA_BOND_PRIMARY_RESELECT, 1, &names_reselect),
    ENUM("fail_over_mac", IFLA_BOND_FAIL_OVER_MAC, 1, &names_fail_over),
    ENUM("xmit_hash_policy", IFLA_BOND_XMIT_HASH_POLICY, 1, &names_hash),
    U32("resend_igmp", IFLA_BOND_RESEND_IGMP, .max = 255),
    U8("num_grat_arp", IFLA_BOND_NUM_PEER_NOTIF),
    U8("num_unsol_na", IFLA_BOND_NUM_PEER_NOTIF, .flags = ROW_WO), /* the same number */
    U8("all_slaves_active", IFLA_BOND_ALL_SLAVES_ACTIVE, .max = 1),
    U32("min_links", IFLA_BOND_MIN_LINKS),
    U32("lp_interval", IFLA_BOND_LP_INTERVAL, .min = 1),
    U32("packets_per_slave", IFLA_BOND_PACKETS_PER_SLAVE, .max = 65535),
    BOOL("lacp_active", IFLA_BOND_AD_LACP_ACTIVE, 1),
    ENUM("lacp_rate", IFLA_BOND_AD_LACP_RATE, 1, &names_rate),
    ENUM("ad_select", IFLA_BOND_AD_SELECT, 1, &names_select),
    U16("ad_actor_sys_prio", IFLA_BOND_AD_ACTOR_SYS_PRIO, .min = 1),
    U16("ad_user_port_key", IFLA_BOND_AD_USER_PORT_KEY, .max = 1023),
    LLADDR("ad_actor_system", IFLA_BOND_AD_ACTOR_SYSTEM),
    NEST("ad_info", IFLA_BOND_AD_INFO, &ad_info_schema, .flags = ROW_RO),
    BOOL("tlb_dynamic_lb", IFLA_BOND_TLB_DYNAMIC_LB, 1),
};
struct codec_schema bond_schema = SCHEMA("bond", bond_rows, 0);

static const struct codec_row port_rows[] = {
    ENUM("state", IFLA_BOND_SLAVE_STATE, 1, &names_port_state, .flags = ROW_RO),
    ENUM("mii_status", IFLA_BOND_SLAVE_MII_STATUS, 1, &names_mii, .flags = ROW_RO),
    U32("link_failure_count", IFLA_BOND_SLAVE_LINK_FAILURE_COUNT, .flags = ROW_RO),
    LLADDR("perm_hwaddr", IFLA_BOND_SLAVE_PERM_HWADDR, .flags = ROW_RO),
    U16("queue_id", IFLA_BOND_SLAVE_QUEUE_ID),
    S32("prio", IFLA_BOND_SLAVE_PRIO),
    U16("ad_aggregator_id", IFLA_BOND_SLAVE_AD_AGGREGATOR_ID, .flags = ROW_RO),
    U8("ad_actor_oper_port_state", IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE, .flags = ROW_RO),
    U16("ad_partner_oper_port_state", IFLA_BOND_SLAVE_AD_PARTNER_OPER_PORT_STATE, .flags = ROW_RO),
};
struct codec_schema bond_port_schema = SCHEMA("bond_slave", port_rows, 0);

/* Options that the kernel lists in every mode, but takes only in these. */
#define IN(mode) (1 << BOND_MODE_##mode)
static const struct {
    const char *key;
    int modes;
} only_in[] = {
    {"arp_interval", IN(ROUNDROBIN) | IN(ACTIVEBACKUP) | IN(XOR) | IN(BROADCAST)},
    {"arp_validate", IN(ROUNDROBIN) | IN(ACTIVEBACKUP) | IN(XOR) | IN(BROADCAST)},
    {"arp_missed_max", IN(ROUNDROBIN) | IN(ACTIVEBACKUP) | IN(XOR) | IN(BROADCAST)},
    {"primary_reselect", IN(ACTIVEBACKUP) | IN(TLB) | IN(ALB)},
    {"packets_per_slave", IN(ROUNDROBIN)},
    {"lacp_active", IN(8023AD)},
    {"lacp_rate", IN(8023AD)},
    {"tlb_dynamic_lb", IN(TLB) | IN(ALB)},
};
// clang-format on

void bond_decoded(struct codec_dec *dec)
{
    const char *mode = NULL;
    int64_t value;

    if (codec_field(dec->L, lua_gettop(dec->L), "mode")) {
        mode = lua_tostring(dec->L, -1);
        lua_pop(dec->L, 1);
    }
    value = mode ? codec_name_value(&names_mode, mode) : -1;
    for (size_t i = 0; value >= 0 && i < ARRAY_LEN(only_in); i++)
        if (!(only_in[i].modes & (1 << value)))
            kind_forget(dec, only_in[i].key);
}
