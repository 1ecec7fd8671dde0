/* SPDX-License-Identifier: MIT
 * Finding the headers of a packet, from the outside to the inside. */
#include <linux/if_ether.h>
#include <netinet/in.h>

#include "base.h"
#include "packet.h"

#define IPV6_EXTENSIONS_MAX 16

struct walk {
    struct packet *p;
    const uint8_t *data;
    enum packet_header next; /* PACKET_NONE: what follows is payload */
};

/* The rest from `at` on is a header's, which is at least `min` bytes long. */
typedef void step(struct walk *w, struct packet_layer *l);

static enum packet_header of_ethertype(unsigned type)
{
    switch (type) {
    case ETH_P_8021Q:
    case ETH_P_8021AD:
        return PACKET_VLAN;
    case ETH_P_ARP:
        return PACKET_ARP;
    case ETH_P_IP:
        return PACKET_IPV4;
    case ETH_P_IPV6:
        return PACKET_IPV6;
    default:
        return PACKET_NONE;
    }
}

static enum packet_header of_protocol(int protocol)
{
    switch (protocol) {
    case IPPROTO_TCP:
        return PACKET_TCP;
    case IPPROTO_UDP:
        return PACKET_UDP;
    case IPPROTO_ICMP:
        return PACKET_ICMP;
    case IPPROTO_ICMPV6:
        return PACKET_ICMPV6;
    case IPPROTO_IPIP:
        return PACKET_IPV4;
    case IPPROTO_IPV6:
        return PACKET_IPV6;
    default:
        return PACKET_NONE;
    }
}

/* Steps: the least of the header is there; len is set to the whole, 0 where that is not. ------ */

static void step_ethernet(struct walk *w, struct packet_layer *l)
{
    l->len = ETH_HLEN;
    w->next = of_ethertype(packet_u16(w->data + l->at + 12));
}

static void step_vlan(struct walk *w, struct packet_layer *l)
{
    l->len = 4;
    w->next = of_ethertype(packet_u16(w->data + l->at + 2));
}

static void step_arp(struct walk *w, struct packet_layer *l)
{
    const uint8_t *at = w->data + l->at;
    size_t len = 8 + 2 * ((size_t)at[4] + at[5]);

    l->len = l->end - l->at >= len ? len : 0;
    w->next = PACKET_NONE;
}

static void step_ipv4(struct walk *w, struct packet_layer *l)
{
    const uint8_t *at = w->data + l->at;
    size_t len = (size_t)(at[0] & 15) * 4, total = packet_u16(at + 2);

    if (at[0] >> 4 != 4 || len < 20 || l->end - l->at < len)
        return;
    l->len = len;
    /* behind it may be Ethernet's padding; 0 is what segmentation offload leaves for later */
    if (total >= len && l->at + total < l->end)
        l->end = l->at + total;
    w->next = packet_u16(at + 6) & 0x1fff ? PACKET_NONE : of_protocol(at[9]);
}

size_t packet_extension(int type, const uint8_t *extension)
{
    if (type == IPPROTO_FRAGMENT)
        return 8;
    return type == IPPROTO_AH ? ((size_t)extension[1] + 2) * 4 : ((size_t)extension[1] + 1) * 8;
}

/* The extension headers from `at` on: their end, or 0 where one is not whole. */
static size_t skip_extensions(const struct walk *w, struct packet_layer *l, size_t at)
{
    for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
        const uint8_t *ext = w->data + at;
        size_t len;

        switch (l->protocol) {
        case IPPROTO_HOPOPTS:
        case IPPROTO_ROUTING:
        case IPPROTO_DSTOPTS:
        case IPPROTO_MH:
        case IPPROTO_AH:
        case IPPROTO_FRAGMENT:
            break;
        case IPPROTO_NONE:
            l->protocol = -1;
            return at;
        default:
            return at;
        }
        if (l->end - at < 8)
            return 0;
        len = packet_extension(l->protocol, ext);
        if (l->end - at < len)
            return 0;
        at += len;
        if (l->protocol == IPPROTO_FRAGMENT && packet_u16(ext + 2) & 0xfff8) {
            l->protocol = -1; /* not the first: no header follows */
            return at;
        }
        l->protocol = ext[0];
    }
    return 0;
}

static void step_ipv6(struct walk *w, struct packet_layer *l)
{
    const uint8_t *at = w->data + l->at;
    size_t payload = packet_u16(at + 4), end;

    if (at[0] >> 4 != 6)
        return;
    if (payload && l->at + 40 + payload < l->end)
        l->end = l->at + 40 + payload;
    l->protocol = at[6];
    end = skip_extensions(w, l, l->at + 40);
    l->len = end ? end - l->at : 0;
    w->next = of_protocol(l->protocol);
}

static void step_tcp(struct walk *w, struct packet_layer *l)
{
    size_t len = (size_t)(w->data[l->at + 12] >> 4) * 4;

    l->len = len >= 20 && l->end - l->at >= len ? len : 0;
    w->next = PACKET_NONE;
}

static void step_eight(struct walk *w, struct packet_layer *l)
{
    l->len = 8;
    w->next = PACKET_NONE;
}

static const struct {
    size_t min;
    step *step;
} steps[] = {
    [PACKET_ETHERNET] = {ETH_HLEN, step_ethernet},
    [PACKET_VLAN] = {4, step_vlan},
    [PACKET_ARP] = {8, step_arp},
    [PACKET_IPV4] = {20, step_ipv4},
    [PACKET_IPV6] = {40, step_ipv6},
    [PACKET_TCP] = {20, step_tcp},
    [PACKET_UDP] = {8, step_eight},
    [PACKET_ICMP] = {8, step_eight},
    [PACKET_ICMPV6] = {8, step_eight},
};

static_assert(ARRAY_LEN(steps) == PACKET_NONE, "every header has its step");

void packet_walk(struct packet *p, const uint8_t *data, size_t len, enum packet_header first)
{
    struct walk w = {p, data, first};
    size_t at = 0;

    p->count = 0;
    p->payload = 0;
    p->end = len;
    p->cut = PACKET_NONE;
    if (first == PACKET_IPV4 && len && data[0] >> 4 == 6)
        w.next = PACKET_IPV6;
    while (w.next != PACKET_NONE && p->count < PACKET_LAYERS_MAX) {
        struct packet_layer *l = &p->layers[p->count];

        *l = (struct packet_layer){w.next, at, 0, p->end, -1};
        if (l->end - at >= steps[l->header].min)
            steps[l->header].step(&w, l);
        if (!l->len) {
            p->cut = l->header;
            return;
        }
        p->count++;
        at += l->len;
        p->payload = at;
        p->end = l->end;
    }
}
