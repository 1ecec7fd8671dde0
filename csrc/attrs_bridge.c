/* SPDX-License-Identifier: MIT
 * Bridges and their ports, as rows. Times are in 1/100 s, as `ip link` takes them. */
#include <linux/if_bridge.h>
#include <linux/if_link.h>

#include "attrs_kinds.h"

/* of kernels newer than the headers */
#define BRPORT_MAB                 40
#define BRPORT_MCAST_N_GROUPS      41
#define BRPORT_MCAST_MAX_GROUPS    42
#define BRPORT_NEIGH_VLAN_SUPPRESS 43
#define BR_FDB_N_LEARNED           48
#define BR_FDB_MAX_LEARNED         49

static const struct codec_name port_states[] = {
    {0, "disabled"}, {1, "listening"}, {2, "learning"}, {3, "forwarding"}, {4, "blocking"}};
const struct codec_names names_brport_state = NAMES("a state of a bridge port", port_states);

/* "8000.02:00:00:00:00:01": priority and address of a bridge. */
static void decode_bridge_id(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *id = nla_data(a);
    char text[8 * 3] = "";

    if (nla_len(a) < 8)
        return;
    for (int i = 0, at = 0; i < 8; i++) {
        text[at++] = digits[id[i] >> 4];
        text[at++] = digits[id[i] & 15];
        if (i > 0 && i < 7)
            text[at++] = i == 1 ? '.' : ':';
    }
    lua_pushstring(dec->L, text);
    codec_set_name(dec, row->key);
}

static const struct codec_custom bridge_id = {kind_encode_none, decode_bridge_id};

/* Options that are bits of one struct br_boolopt_multi; row->mask is the bit. */
static int encode_boolopt(struct codec_enc *enc, const struct codec_row *row)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, row->attr);
    struct br_boolopt_multi *multi =
        a ? nla_data(a) : codec_put(&enc->m, row->attr, NULL, sizeof(*multi));

    if (lua_type(enc->L, -1) != LUA_TBOOLEAN)
        return codec_bad(enc, row->key, "true or false");
    if (!multi)
        return 0;
    multi->optmask |= row->mask;
    if (lua_toboolean(enc->L, -1))
        multi->optval |= row->mask;
    return 0;
}

static void decode_boolopt(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct br_boolopt_multi *multi = nla_data(a);

    if (nla_len(a) < (int)sizeof(*multi) || !(multi->optval & row->mask))
        return; /* a kernel without the option takes not even its being off */
    lua_pushboolean(dec->L, 1);
    codec_set_name(dec, row->key);
}
static const struct codec_custom boolopt = {encode_boolopt, decode_boolopt};

// clang-format off
static const struct codec_row bridge_rows[] = {
    U32("forward_delay", IFLA_BR_FORWARD_DELAY),
    U32("hello_time", IFLA_BR_HELLO_TIME),
    U32("max_age", IFLA_BR_MAX_AGE),
    U32("ageing_time", IFLA_BR_AGEING_TIME),
    U32("stp_state", IFLA_BR_STP_STATE, .max = 2),
    U16("priority", IFLA_BR_PRIORITY),
    BOOL("vlan_filtering", IFLA_BR_VLAN_FILTERING, 1, .flags = ROW_NZ), /* see decode_boolopt */
    ENUM("vlan_protocol", IFLA_BR_VLAN_PROTOCOL, 2, &names_vlan_protocol, .flags = ROW_BE),
    U16("group_fwd_mask", IFLA_BR_GROUP_FWD_MASK),
    CUSTOM("root_id", IFLA_BR_ROOT_ID, &bridge_id, .flags = ROW_RO),
    CUSTOM("bridge_id", IFLA_BR_BRIDGE_ID, &bridge_id, .flags = ROW_RO),
    U16("root_port", IFLA_BR_ROOT_PORT, .flags = ROW_RO),
    U32("root_path_cost", IFLA_BR_ROOT_PATH_COST, .flags = ROW_RO),
    BOOL("topology_change", IFLA_BR_TOPOLOGY_CHANGE, 1, .flags = ROW_RO),
    BOOL("topology_change_detected", IFLA_BR_TOPOLOGY_CHANGE_DETECTED, 1, .flags = ROW_RO),
    LLADDR("group_address", IFLA_BR_GROUP_ADDR),
    FLAG("fdb_flush", IFLA_BR_FDB_FLUSH, .flags = ROW_WO),
    U8("mcast_router", IFLA_BR_MCAST_ROUTER, .max = 2),
    BOOL("mcast_snooping", IFLA_BR_MCAST_SNOOPING, 1),
    BOOL("mcast_query_use_ifaddr", IFLA_BR_MCAST_QUERY_USE_IFADDR, 1),
    BOOL("mcast_querier", IFLA_BR_MCAST_QUERIER, 1),
    U32("mcast_hash_elasticity", IFLA_BR_MCAST_HASH_ELASTICITY),
    U32("mcast_hash_max", IFLA_BR_MCAST_HASH_MAX),
    U32("mcast_last_member_count", IFLA_BR_MCAST_LAST_MEMBER_CNT),
    U32("mcast_startup_query_count", IFLA_BR_MCAST_STARTUP_QUERY_CNT),
    U64("mcast_last_member_interval", IFLA_BR_MCAST_LAST_MEMBER_INTVL),
    U64("mcast_membership_interval", IFLA_BR_MCAST_MEMBERSHIP_INTVL),
    U64("mcast_querier_interval", IFLA_BR_MCAST_QUERIER_INTVL),
    U64("mcast_query_interval", IFLA_BR_MCAST_QUERY_INTVL),
    U64("mcast_query_response_interval", IFLA_BR_MCAST_QUERY_RESPONSE_INTVL),
    U64("mcast_startup_query_interval", IFLA_BR_MCAST_STARTUP_QUERY_INTVL),
    BOOL("nf_call_iptables", IFLA_BR_NF_CALL_IPTABLES, 1),
    BOOL("nf_call_ip6tables", IFLA_BR_NF_CALL_IP6TABLES, 1),
    BOOL("nf_call_arptables", IFLA_BR_NF_CALL_ARPTABLES, 1),
    U16("vlan_default_pvid", IFLA_BR_VLAN_DEFAULT_PVID, .max = 4094),
    BOOL("vlan_stats_enabled", IFLA_BR_VLAN_STATS_ENABLED, 1),
    BOOL("vlan_stats_per_port", IFLA_BR_VLAN_STATS_PER_PORT, 1),
    BOOL("mcast_stats_enabled", IFLA_BR_MCAST_STATS_ENABLED, 1),
    U8("mcast_igmp_version", IFLA_BR_MCAST_IGMP_VERSION, .min = 2, .max = 3),
    U8("mcast_mld_version", IFLA_BR_MCAST_MLD_VERSION, .min = 1, .max = 2),
    CUSTOM("no_linklocal_learn", IFLA_BR_MULTI_BOOLOPT, &boolopt, .mask = 1 << BR_BOOLOPT_NO_LL_LEARN),
    CUSTOM("mcast_vlan_snooping", IFLA_BR_MULTI_BOOLOPT, &boolopt, .mask = 1 << BR_BOOLOPT_MCAST_VLAN_SNOOPING),
    U32("fdb_n_learned", BR_FDB_N_LEARNED, .flags = ROW_RO),
    U32("fdb_max_learned", BR_FDB_MAX_LEARNED, .flags = ROW_NZ),
};
struct codec_schema bridge_schema = SCHEMA("bridge", bridge_rows, 0);

static const struct codec_row bridge_port_rows[] = {
    ENUM("state", IFLA_BRPORT_STATE, 1, &names_brport_state),
    U16("priority", IFLA_BRPORT_PRIORITY, .max = 63),
    U32("cost", IFLA_BRPORT_COST, .min = 1),
    BOOL("hairpin", IFLA_BRPORT_MODE, 1),
    BOOL("guard", IFLA_BRPORT_GUARD, 1),
    BOOL("root_block", IFLA_BRPORT_PROTECT, 1),
    BOOL("fastleave", IFLA_BRPORT_FAST_LEAVE, 1),
    BOOL("learning", IFLA_BRPORT_LEARNING, 1),
    BOOL("flood", IFLA_BRPORT_UNICAST_FLOOD, 1),
    BOOL("proxy_arp", IFLA_BRPORT_PROXYARP, 1),
    BOOL("proxy_arp_wifi", IFLA_BRPORT_PROXYARP_WIFI, 1),
    CUSTOM("root_id", IFLA_BRPORT_ROOT_ID, &bridge_id, .flags = ROW_RO),
    CUSTOM("bridge_id", IFLA_BRPORT_BRIDGE_ID, &bridge_id, .flags = ROW_RO),
    U16("designated_port", IFLA_BRPORT_DESIGNATED_PORT, .flags = ROW_RO),
    U16("designated_cost", IFLA_BRPORT_DESIGNATED_COST, .flags = ROW_RO),
    U16("id", IFLA_BRPORT_ID, .flags = ROW_RO),
    U16("no", IFLA_BRPORT_NO, .flags = ROW_RO),
    BOOL("topology_change_ack", IFLA_BRPORT_TOPOLOGY_CHANGE_ACK, 1, .flags = ROW_RO),
    BOOL("config_pending", IFLA_BRPORT_CONFIG_PENDING, 1, .flags = ROW_RO),
    FLAG("fdb_flush", IFLA_BRPORT_FLUSH, .flags = ROW_WO),
    U8("mcast_router", IFLA_BRPORT_MULTICAST_ROUTER, .max = 3),
    BOOL("mcast_flood", IFLA_BRPORT_MCAST_FLOOD, 1),
    BOOL("mcast_to_unicast", IFLA_BRPORT_MCAST_TO_UCAST, 1),
    BOOL("vlan_tunnel", IFLA_BRPORT_VLAN_TUNNEL, 1),
    BOOL("bcast_flood", IFLA_BRPORT_BCAST_FLOOD, 1),
    U16("group_fwd_mask", IFLA_BRPORT_GROUP_FWD_MASK),
    BOOL("neigh_suppress", IFLA_BRPORT_NEIGH_SUPPRESS, 1),
    BOOL("isolated", IFLA_BRPORT_ISOLATED, 1),
    DEV("backup_port", IFLA_BRPORT_BACKUP_PORT, .flags = ROW_ZERO),
    U32("mcast_eht_hosts_limit", IFLA_BRPORT_MCAST_EHT_HOSTS_LIMIT),
    U32("mcast_eht_hosts_cnt", IFLA_BRPORT_MCAST_EHT_HOSTS_CNT, .flags = ROW_RO),
    BOOL("locked", IFLA_BRPORT_LOCKED, 1),
    BOOL("mab", BRPORT_MAB, 1, .flags = ROW_NZ),
    U32("mcast_n_groups", BRPORT_MCAST_N_GROUPS, .flags = ROW_RO),
    U32("mcast_max_groups", BRPORT_MCAST_MAX_GROUPS, .flags = ROW_NZ),
    BOOL("neigh_vlan_suppress", BRPORT_NEIGH_VLAN_SUPPRESS, 1, .flags = ROW_NZ),
};
struct codec_schema bridge_port_schema = SCHEMA("bridge_slave", bridge_port_rows, 0);
// clang-format on
