/* SPDX-License-Identifier: MIT
 * Capturing packets: packet(7) sockets of links in any namespaces, read in the order of time. No
 * Lua here. What a filter's words mean is libpcap's business (l_pcap.c): here it is a program.
 *
 * Theory of operation: a link has a socket, opened in its namespace and used from outside. What
 * the program (and the kernel) let through waits in the socket's queue, so that nobody needs to
 * read meanwhile; memory is only taken for packets that are there. A queue that is full loses
 * what comes, and counts it. Reading takes packets from the queues in batches and hands them out
 * one by one, the earliest of all links first.
 *
 * Why not the memory-mapped ring that libpcap sets up: it is cut into slots or blocks of the
 * greatest length beforehand. Unread, its 2 MB hold 8 packets (TPACKET_V3, a block for each
 * timeout) or 32 (TPACKET_V2); this queue holds as many as fit. And each ring waits for an RCU
 * grace period (16 ms here) when it is opened, this socket does not (0.01 ms). */
#ifndef NETNS_CAPTURE_H
#define NETNS_CAPTURE_H

#include <linux/filter.h>

#include "error.h"
#include "packet.h"

#define CAPTURE_SNAPLEN_MAX 262144
#define CAPTURE_KEEP_MIN    65536

struct capture_packet {
    uint64_t ns;               /* since 1970 */
    uint32_t length, captured; /* on the wire, here */
    uint32_t source;           /* whose: index of the link */
    uint32_t outgoing;
    uint8_t data[];
};

static_assert(offsetof(struct capture_packet, data) == sizeof(struct capture_packet),
              "no padding before the bytes");

/* A filter, as l_pcap.c makes it. */
struct capture_filter {
    struct sock_filter *code; /* NULL: none */
    unsigned count;
    /* Set where the kernel cannot run it, because it looks at a VLAN tag, which the kernel keeps
     * beside the packet: gives 0 for packets that do not match. */
    unsigned (*run)(const struct sock_filter *code, const uint8_t *data, unsigned length,
                    unsigned captured);
};

enum capture_direction {
    CAPTURE_BOTH,
    CAPTURE_IN,
    CAPTURE_OUT,
};

/* A ring of packets: the newest drives the oldest out. */
struct capture_ring {
    uint8_t *data;
    size_t size, head, tail, wrap;
    unsigned count;
    uint64_t evicted;
};

struct capture_source {
    int fd;           /* -1 once stopped */
    char name[160];   /* "red/eth0" */
    char filter[256]; /* its words */
    uint8_t mac[6];
    bool has_mac, loopback;
    unsigned index;
    enum packet_header first;   /* PACKET_ETHERNET or PACKET_IPV4 */
    struct capture_filter late; /* run here, not in the kernel; borrowed */
    struct bytes batch;         /* packets taken from the socket, from `at` on */
    size_t at;
    struct capture_ring ring;            /* where they are kept, if they are */
    const struct capture_packet *cursor; /* of capture_kept */
    uint64_t passed, dropped, rejected;
};

struct capture {
    int epoll;
    unsigned snaplen;
    int buffer;     /* bytes that may wait per link */
    size_t keep;    /* bytes per link in a ring, 0: no rings */
    uint64_t limit; /* 0: none */
    uint64_t taken;
    bool stopped;
    struct capture_source **sources;
    unsigned count;
    struct capture_source *last; /* whose packet was handed out last */
    uint8_t *slots;              /* where a batch is received */
    bool stamped;                /* the kernel is known to stamp packets as they come */
};

int capture_init(struct capture *c, struct nserr *e);
void capture_free(struct capture *c);

/* Add a link of namespace nsfd, not listening yet; its number goes to *ifindex. */
int capture_add(struct capture *c, int nsfd, const char *dev, const char *name, unsigned *ifindex,
                struct nserr *e);
/* Start listening to the link added last. */
int capture_start(struct capture *c, unsigned ifindex, const struct capture_filter *filter,
                  enum capture_direction direction, bool promisc, struct nserr *e);
/* From here on nothing more is queued; what is queued can still be read. */
void capture_stop(struct capture *c);

/* The next packet that is there: 1, 0 where there is none, -errno. It stands until the next call.
 * None comes after the limit. */
int capture_next(struct capture *c, const struct capture_packet **p);
bool capture_done(const struct capture *c);
/* Bring the counters up to date. */
void capture_count(struct capture *c);

/* Move all that is there into the rings. */
int capture_keep(struct capture *c);
void capture_forget(struct capture *c);
/* Tell the packets in the rings, the earliest first, until one call gives an error, which is
 * returned. */
int capture_kept(const struct capture *c, int (*tell)(void *, const struct capture_packet *),
                 void *arg);

/* capture_ring.c */
int ring_push(struct capture_ring *ring, size_t size, const struct capture_packet *p);
const struct capture_packet *ring_first(const struct capture_ring *ring);
const struct capture_packet *ring_after(const struct capture_ring *ring,
                                        const struct capture_packet *p);
void ring_free(struct capture_ring *ring);

/* capture_socket.c: what capture_add and capture_start do for a socket. */
int capture_socket(struct capture_source *s, int nsfd, const char *dev, unsigned *ifindex,
                   struct nserr *e);
void capture_deafen(struct capture_source *s);
int capture_listen(struct capture_source *s, unsigned ifindex, const struct capture *c,
                   const struct capture_filter *filter, enum capture_direction direction,
                   bool promisc, struct nserr *e);
/* Receive a batch into s->batch: how many came, or -errno. */
int capture_receive(struct capture *c, struct capture_source *s);

static inline size_t capture_size(size_t captured)
{
    return (sizeof(struct capture_packet) + captured + 7) & ~(size_t)7;
}

#endif
