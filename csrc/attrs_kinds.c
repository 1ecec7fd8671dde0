/* SPDX-License-Identifier: MIT
 * Kinds of link and where their options are (attrs_bridge.c, attrs_bond.c ...); all schemas. */
#include <linux/if_link.h>
#include <string.h>

#include "attrs_kinds.h"

extern struct codec_schema link_schema, addr_schema, route_schema, route_get_schema,
    route_hop_schema, rule_schema, neigh_schema, nexthop_schema, encap_mpls_schema, encap_ip_schema,
    encap_ip6_schema, encap_seg6_schema, encap_seg6local_schema, encap_xfrm_schema,
    encap_rpl_schema, encap_ioam6_schema, fdb_schema, bridge_vlan_schema, mdb_schema,
    xfrm_state_schema, xfrm_policy_schema, xfrm_tmpl_schema, xfrm_selector_schema,
    xfrm_limits_schema, xfrm_encap_schema;

void kind_forget(struct codec_dec *dec, const char *key)
{
    lua_pushnil(dec->L);
    codec_set_name(dec, key);
}

int kind_encode_none(struct codec_enc *enc, const struct codec_row *row)
{
    (void)enc, (void)row;
    return 0;
}

void kind_decode_none(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)dec, (void)row, (void)a;
}

static const struct codec_name vlan_protocols[] = {{0x8100, "802.1Q"}, {0x88a8, "802.1ad"}};
const struct codec_names names_vlan_protocol = NAMES("a VLAN protocol", vlan_protocols);

/* TUN and TAP, which are made through /dev/net/tun (l_tun.c): rows for listings. */
static const struct codec_name tun_modes[] = {{1, "tun"}, {2, "tap"}};
static const struct codec_names names_tun_mode = NAMES("tun or tap", tun_modes);

// clang-format off
static const struct codec_row tun_rows[] = {
    ENUM("mode", IFLA_TUN_TYPE, 1, &names_tun_mode, .flags = ROW_RO),
    BOOL("pi", IFLA_TUN_PI, 1, .flags = ROW_RO),
    BOOL("vnet_hdr", IFLA_TUN_VNET_HDR, 1, .flags = ROW_RO),
    BOOL("persist", IFLA_TUN_PERSIST, 1, .flags = ROW_RO),
    BOOL("multi_queue", IFLA_TUN_MULTI_QUEUE, 1, .flags = ROW_RO),
    U32("owner", IFLA_TUN_OWNER, .flags = ROW_RO),
    U32("tun_group", IFLA_TUN_GROUP, .flags = ROW_RO), /* `group` is that of every link */
    U32("queues", IFLA_TUN_NUM_QUEUES, .flags = ROW_RO),
};
static struct codec_schema tun_schema = SCHEMA("tun", tun_rows, 0);
// clang-format on

/* All kinds --------------------------------------------------------------------------------- */

// clang-format off
static const struct link_kind kinds[] = {
    {"amt", .own = &amt_schema},
    {"bareudp", .own = &bareudp_schema},
    {"bond", .own = &bond_schema, .port = &bond_port_schema, .decoded = bond_decoded},
    {"bridge", .own = &bridge_schema, .port = &bridge_port_schema},
    {"erspan", .own = &gre_schema, .whole = true},
    {"geneve", .own = &geneve_schema},
    {"gre", .own = &gre_schema, .whole = true},
    {"gretap", .own = &gre_schema, .whole = true},
    {"gtp", .own = &gtp_schema, .create = gtp_create},
    {"hsr", .own = &hsr_schema, .decoded = hsr_decoded},
    {"ip6erspan", .own = &ip6gre_schema, .whole = true, .create = ip6gre_create},
    {"ip6gre", .own = &ip6gre_schema, .whole = true, .create = ip6gre_create},
    {"ip6gretap", .own = &ip6gre_schema, .whole = true, .create = ip6gre_create},
    {"ip6tnl", .own = &ip6tnl_schema, .whole = true, .create = ip6tnl_create},
    {"ipip", .own = &ipip_schema, .whole = true, .create = iptun_create},
    {"ipvlan", .own = &ipvlan_schema},
    {"ipvtap", .own = &ipvlan_schema},
    {"macsec", .own = &macsec_schema, .decoded = macsec_decoded},
    {"macvlan", .own = &macvlan_schema},
    {"macvtap", .own = &macvlan_schema},
    {"netkit", .own = &netkit_schema, .peer = true},
    {"sit", .own = &sit_schema, .whole = true, .create = iptun_create},
    {"tun", .own = &tun_schema},
    {"veth", .peer = true},
    {"vlan", .own = &vlan_schema, .decoded = vlan_decoded},
    {"vrf", .own = &vrf_schema, .port = &vrf_port_schema},
    {"vti", .own = &vti_schema, .whole = true},
    {"vti6", .own = &vti6_schema, .whole = true},
    {"vxcan", .peer = true},
    {"vxlan", .own = &vxlan_schema},
    {"wireguard", .own = &wireguard_schema, .apart = true},
    {"xfrm", .own = &xfrm_schema, .whole = true},
    /* without options: dummy, ifb, netdevsim, nlmon, team, vcan */
};
// clang-format on

const struct link_kind *link_kind_of(const char *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].kind, kind))
            return &kinds[i];
    return NULL;
}

struct codec_schema *link_kind_schema(const char *kind)
{
    const struct link_kind *k = link_kind_of(kind);

    return k ? k->own : NULL;
}

struct codec_schema *link_port_schema(const char *kind)
{
    const struct link_kind *k = link_kind_of(kind);

    return k ? k->port : NULL;
}

// clang-format off
struct codec_schema *const codec_schemas[] = {
    &link_schema, &addr_schema, &rule_schema, &neigh_schema, &nexthop_schema,
    &route_schema, &route_get_schema, &route_hop_schema,
    &encap_mpls_schema, &encap_ip_schema, &encap_ip6_schema, &encap_seg6_schema, &encap_seg6local_schema,
    &encap_xfrm_schema, &encap_rpl_schema, &encap_ioam6_schema,
    &fdb_schema, &bridge_vlan_schema, &mdb_schema,
    &bridge_schema, &bridge_port_schema, &bond_schema, &bond_port_schema, &vrf_schema, &vrf_port_schema,
    &vlan_schema, &macvlan_schema, &ipvlan_schema, &macsec_schema, &hsr_schema, &netkit_schema, &tun_schema,
    &vxlan_schema, &geneve_schema, &bareudp_schema, &gtp_schema, &amt_schema,
    &gre_schema, &ip6gre_schema, &ipip_schema, &sit_schema, &ip6tnl_schema, &vti_schema, &vti6_schema, &xfrm_schema,
    &wireguard_schema, &wireguard_peer_schema,
    &xfrm_state_schema, &xfrm_policy_schema, &xfrm_tmpl_schema, &xfrm_selector_schema, &xfrm_limits_schema,
    &xfrm_encap_schema,
};
// clang-format on
const size_t codec_schemas_count = ARRAY_LEN(codec_schemas);
