/* SPDX-License-Identifier: MIT
 * What states and policies of xfrm share: selectors, addresses in structures, limits, marks. */
#ifndef NETNS_ATTRS_XFRM_H
#define NETNS_ATTRS_XFRM_H

#include <linux/xfrm.h>

#include "attrs.h"

/* Names in the words of ip-xfrm(8). */
extern const struct codec_names names_xfrm_proto, names_xfrm_mode;

/* An address in a structure: row->attr is its place in the header, row->mask its family's. Zero is
 * not listed. */
extern const struct codec_custom xfrm_address;
#define XFRM_ADDRESS(k, place, family, ...)                                                        \
    CUSTOM(k, place, &xfrm_address, .mask = family, .flags = ROW_HDR, ##__VA_ARGS__)

/* A prefix of a selector, which begins the header; row->mask: the source's. */
extern const struct codec_custom xfrm_prefix;
/* Ports, types and keys of a selector: row->mask says which. */
enum xfrm_port { XFRM_SPORT, XFRM_DPORT, XFRM_TYPE, XFRM_CODE, XFRM_KEY };
extern const struct codec_custom xfrm_ports;

/* Rows of a selector that begins the header. */
#define XFRM_SELECTOR_ROWS                                                                         \
    CUSTOM("src", offsetof(struct xfrm_selector, saddr), &xfrm_prefix, .mask = 1,                  \
           .flags = ROW_HDR),                                                                      \
        CUSTOM("dst", offsetof(struct xfrm_selector, daddr), &xfrm_prefix, .flags = ROW_HDR),      \
        DEV("dev", offsetof(struct xfrm_selector, ifindex), .flags = ROW_HDR),                     \
        ENUM("proto", offsetof(struct xfrm_selector, proto), 1, &names_ip_proto,                   \
             .flags = ROW_HDR | ROW_NZ),                                                           \
        CUSTOM("sport", 0, &xfrm_ports, .mask = XFRM_SPORT, .flags = ROW_HDR),                     \
        CUSTOM("dport", 0, &xfrm_ports, .mask = XFRM_DPORT, .flags = ROW_HDR),                     \
        CUSTOM("type", 0, &xfrm_ports, .mask = XFRM_TYPE, .flags = ROW_HDR),                       \
        CUSTOM("code", 0, &xfrm_ports, .mask = XFRM_CODE, .flags = ROW_HDR),                       \
        CUSTOM("key", 0, &xfrm_ports, .mask = XFRM_KEY, .flags = ROW_HDR)

/* `limits`: row->attr is where struct xfrm_lifetime_cfg stands in the header. */
extern const struct codec_custom xfrm_limits;
void xfrm_no_limits(struct xfrm_lifetime_cfg *lft);

/* `mark`: a number, or "0x1/0xff" with a mask. */
extern const struct codec_custom xfrm_mark;

/* `stats`: counters, where they were asked for; row->attr is where struct xfrm_lifetime_cur stands
 * in the header, row->mask where struct xfrm_stats does (0: nowhere). */
extern const struct codec_custom xfrm_stats;

/* An algorithm; row->mask says what it has besides its name: a key, and bits of the key's use. */
enum xfrm_algo_kind { XFRM_ALGO_PLAIN, XFRM_ALGO_TRUNC, XFRM_ALGO_ICV, XFRM_ALGO_COMP };
extern const struct codec_custom xfrm_algo_row;

/* The message's type becomes `update` where what exists is to be changed. */
void xfrm_settle_type(struct codec_enc *enc, int update);

extern struct codec_schema xfrm_limits_schema, xfrm_selector_schema;

#endif
