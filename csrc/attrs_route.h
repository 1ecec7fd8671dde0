/* SPDX-License-Identifier: MIT
 * The parts of routes, some of which rules share. */
#ifndef NETNS_ATTRS_ROUTE_H
#define NETNS_ATTRS_ROUTE_H

#include "codec.h"

extern const struct codec_custom route_realms, route_multipath, route_encap;
extern const struct codec_names names_ip_proto;
extern struct codec_schema route_hop_schema, route_metrics_schema;

/* The gateway at the top of the stack: its family, bytes into addr; or -errno. */
int route_parse_via(struct codec_enc *enc, const char *key, unsigned char addr[16]);
/* RTA_GATEWAY for a gateway of the route's family, else RTA_VIA. */
void route_put_via(struct codec_msg *m, int route_family, int family, const void *addr);
void route_decode_via(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a);
/* The list of next hops at the top, when the route's family is known. */
int route_put_multipath(struct codec_enc *enc);
/* The family of the first gateway in `nexthops`, where nothing else tells. */
int route_hops_family(struct codec_enc *enc, int idx);

/* Labels of MPLS. row->mask: one is listed as a number. */
extern const struct codec_custom encap_labels, encap_type;
#define ENCAP_TYPE_ROW CUSTOM("type", 0, &encap_type, .flags = ROW_WO)
extern struct codec_schema encap_seg6_schema, encap_seg6local_schema, encap_rpl_schema,
    encap_ioam6_schema;
/* A list of IPv6 addresses as an attribute for the finish functions: bytes, one after the other. */
#define ENCAP_GIVEN_SEGS 201
int encap_encode_segs(struct codec_enc *enc, const struct codec_row *row);
int encap_rpl_finish(struct codec_enc *enc);
int encap_ioam6_finish(struct codec_enc *enc);
int encap_seg6_finish(struct codec_enc *enc);
int encap_seg6local_finish(struct codec_enc *enc);
/* RTA_DST of a route of MPLS from the label at the top. */
int route_put_label(struct codec_enc *enc, const char *key);

/* `encap` from its two attributes (NULL: not there), into the table at the top. */
void route_decode_encap(struct codec_dec *dec, struct nlattr *type, struct nlattr *encap);

#endif
