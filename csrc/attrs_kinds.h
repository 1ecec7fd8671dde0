/* SPDX-License-Identifier: MIT
 * Kinds of link: what attrs_kinds.c knows of each, and rows that several of them share. */
#ifndef NETNS_ATTRS_KINDS_H
#define NETNS_ATTRS_KINDS_H

#include "attrs.h"

struct link_kind {
    const char *kind;
    struct codec_schema *own;  /* its options, NULL: none */
    struct codec_schema *port; /* the options of a link that has such a master, NULL: none */
    bool peer;                 /* it has a `peer`, whose message is its attribute 1 */
    bool apart;                /* its options travel outside rtnetlink (l_wireguard.c) */
    bool whole; /* a change tells all options: those not given are sent as they are */
    /* What a creation says where nothing else is given, as `ip link` does. */
    void (*create)(struct codec_enc *enc, bool external);
    /* Take out of the table at the top what only some modes have, and what is said otherwise. */
    void (*decoded)(struct codec_dec *dec);
};

/* NULL: nothing is known of the kind. */
const struct link_kind *link_kind_of(const char *kind);

/* Forget the key of the table at the top. */
void kind_forget(struct codec_dec *dec, const char *key);
/* Nothing to encode: read-only, or done elsewhere. */
int kind_encode_none(struct codec_enc *enc, const struct codec_row *row);
/* Nothing to list: write-only. */
void kind_decode_none(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a);

/* An address whose IPv6 form has an attribute of its own, number row->mask. */
extern const struct codec_custom kind_either;
extern const struct codec_names names_vlan_protocol, names_tos, names_brport_state;

extern struct codec_schema bridge_schema, bridge_port_schema;
extern struct codec_schema vxlan_schema, geneve_schema, bareudp_schema, gtp_schema, amt_schema;
extern struct codec_schema vlan_schema, macvlan_schema, ipvlan_schema, macsec_schema, hsr_schema,
    vrf_schema, vrf_port_schema, netkit_schema;
extern struct codec_schema bond_schema, bond_port_schema;
extern struct codec_schema gre_schema, ip6gre_schema, ipip_schema, sit_schema, ip6tnl_schema,
    vti_schema, vti6_schema, xfrm_schema;
extern struct codec_schema wireguard_schema, wireguard_peer_schema;

void bond_decoded(struct codec_dec *dec);
void hsr_decoded(struct codec_dec *dec);
void macsec_decoded(struct codec_dec *dec);
void vlan_decoded(struct codec_dec *dec);
void gtp_create(struct codec_enc *enc, bool external);
void ip6gre_create(struct codec_enc *enc, bool external);
void iptun_create(struct codec_enc *enc, bool external);
void ip6tnl_create(struct codec_enc *enc, bool external);

#endif
