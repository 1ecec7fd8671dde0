/* SPDX-License-Identifier: MIT
 * What is in a packet: where each of its headers begins and ends. No Lua here.
 *
 * Reads nothing outside of the bytes that it is given, whatever they are: a header that is cut off,
 * or whose own length cannot be, ends the walk and is named. */
#ifndef NETNS_PACKET_H
#define NETNS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet_header {
    PACKET_ETHERNET,
    PACKET_VLAN, /* 802.1Q or 802.1ad: the two bytes of the tag and the next type */
    PACKET_ARP,
    PACKET_IPV4,
    PACKET_IPV6, /* with its extension headers */
    PACKET_TCP,
    PACKET_UDP,
    PACKET_ICMP,
    PACKET_ICMPV6,
    PACKET_NONE,
};

#define PACKET_LAYERS_MAX 16

struct packet_layer {
    enum packet_header header;
    size_t at, len; /* of the header */
    size_t end;     /* of all that it carries */
    int protocol;   /* PACKET_IPV6: the protocol behind the extension headers, -1: none */
};

struct packet {
    struct packet_layer layers[PACKET_LAYERS_MAX];
    unsigned count;
    size_t payload, end;    /* what the last header carries */
    enum packet_header cut; /* the header that is not whole; PACKET_NONE */
};

/* Walk from `first`: PACKET_ETHERNET, or PACKET_IPV4 for either version of IP. */
void packet_walk(struct packet *p, const uint8_t *data, size_t len, enum packet_header first);

/* Bytes of an IPv6 extension header of that type, of which 8 are there. */
size_t packet_extension(int type, const uint8_t *extension);

static inline unsigned packet_u16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static inline uint32_t packet_u32(const uint8_t *at)
{
    return (uint32_t)packet_u16(at) << 16 | packet_u16(at + 2);
}

#endif
