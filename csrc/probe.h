/* SPDX-License-Identifier: MIT
 * Probes: what a network answers to echo requests, connections and datagrams.
 *
 * Theory of operation: a set is any number of probes, from any number of namespaces, run by one
 * epoll loop in the caller's thread; whoever has a loop of his own polls probe_set_fd and calls
 * probe_set_step when it is readable. A namespace that probes start from is a `probe_source`; it
 * has one raw socket per address family (and one more for packets that must not be fragmented),
 * shared by all probes from there, so that ten thousand pairs of a hundred hosts take a hundred
 * sockets. Answers are told apart by ICMP id (the probe) and sequence number (the shot), and
 * by a cookie in the payload where there is room for one. A probe is a small state machine driven
 * by three things: its turn has come, an answer to one of its shots, an error about one. */
#ifndef NETNS_PROBE_H
#define NETNS_PROBE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

#include "error.h"

enum probe_kind { PROBE_PING, PROBE_TRACE, PROBE_MTU, PROBE_TCP, PROBE_UDP };

struct probe_addr {
    int family; /* 0: none */
    union {
        struct in_addr v4;
        struct in6_addr v6;
        uint8_t bytes[16];
    };
};

#define PROBE_SHOTS_MAX 65535
#define PROBE_SIZE_MAX  65507
#define PROBE_REPLY_MAX 65535

/* What to do. Zero where nothing is said. Times are nanoseconds. */
struct probe_spec {
    enum probe_kind kind;
    struct probe_addr dst, src;
    char dev[16];        /* leave by this link; it is the scope of link-local addresses too */
    unsigned count;      /* PING: echo requests; others: tries of each shot; at least 1 */
    unsigned size;       /* PING, TRACE: bytes behind the ICMP header */
    unsigned ttl;        /* PING, TCP, UDP: hop limit, 0: the namespace's default */
    unsigned first, max; /* TRACE: hop limits; MTU: bytes of the smallest and the largest packet */
    unsigned tos, mark;  /* type of service or traffic class; fwmark */
    bool df;             /* PING: must not be fragmented, by nobody */
    uint64_t interval;   /* PING: from one request to the next */
    uint64_t timeout;    /* how long one shot is waited for */
    uint16_t port;       /* TCP, UDP */
    const void *payload; /* PING: pattern; UDP: the datagram. Copied. */
    size_t payload_len;
};

enum shot_state {
    SHOT_WAITING,  /* sent, nothing heard yet */
    SHOT_ANSWERED, /* by what was probed */
    SHOT_ERROR,    /* an ICMP error about it came: from, type, code, mtu */
    SHOT_REFUSED,  /* TCP: a reset; UDP: port unreachable, from what was probed */
    SHOT_UNSENT,   /* this machine refused to send it: `local` is the errno */
    SHOT_SILENT    /* nothing in time */
};

/* One packet sent (or connection tried) and what came of it. */
struct probe_shot {
    uint64_t sent, sent_mono; /* by the wall clock, which stamps packets; and the steady one */
    uint64_t rtt;
    struct probe_addr from; /* who answered */
    uint32_t mtu;           /* of an error that says so, or of this machine */
    uint16_t local;         /* errno, SHOT_UNSENT */
    uint16_t duplicates;
    uint16_t what; /* TRACE: the hop limit; MTU: the packet's bytes */
    uint8_t state, type, code, ttl;
};

/* A probe that was added: what is known so far. */
struct probe {
    struct probe_spec spec;
    struct probe_shot *shots;
    unsigned sent;
    bool done;
    uint64_t begun, ended; /* by the steady clock; 0: not yet */
    char *reply;           /* UDP: what came back */
    size_t reply_len;
    unsigned mtu;       /* MTU: the answer, 0: none */
    unsigned low, high; /* MTU: known to pass, perhaps passes; TRACE: high is the last hop */
    /* private */
    struct probe_source *source;
    uint64_t due;
    size_t heap_at;
    uint32_t number; /* in set->probes */
    unsigned shots_cap, timed;
    uint16_t id;
    int fd, ifindex;
    unsigned rung, crowded; /* of the MTU's ladder; times the kernel had no room */
    bool ladder, looking;   /* looking: for the neighbour */
};

struct probe_set;
struct probe_source;

struct probe_set *probe_set_new(struct nserr *e);
void probe_set_free(struct probe_set *set);
/* Readable when a step has something to do, timeouts too. */
int probe_set_fd(const struct probe_set *set);
/* The source for a namespace (dev, ino say which one nsfd is): found, or made. NULL: *e. */
struct probe_source *probe_set_source(struct probe_set *set, int nsfd, uint64_t dev, uint64_t ino,
                                      struct nserr *e);
/* Add a probe; its number (from 0) or -errno. It is sent in a later step. */
int probe_add(struct probe_set *set, struct probe_source *source, const struct probe_spec *spec,
              struct nserr *e);
/* Do what there is to do; wait for it up to `timeout_ms` (-1: as long as it takes). Returns how
 * many probes are not done, or -errno (-EINTR: a signal came; call again). */
int probe_set_step(struct probe_set *set, int timeout_ms, struct nserr *e);
/* Probe number n, or NULL; valid until the next probe_add. */
const struct probe *probe_at(const struct probe_set *set, size_t n);
size_t probe_count(const struct probe_set *set);

/* "Destination Host Unreachable" for an ICMP error of that family; NULL where unknown. */
const char *probe_error_text(int family, unsigned type, unsigned code);

/* Between probe*.c only ------------------------------------------------------------------- */

enum { ICMP_V4, ICMP_V4_DF, ICMP_V6, ICMP_V6_DF, ICMP_SOCKETS };

/* What an epoll event stands for: a source's raw socket (its address and which << 1), a probe's
 * own socket (its number << 1 | 1), the timer. */
#define PROBE_EVENT_OWN   1
#define PROBE_EVENT_TIMER UINT64_MAX

struct probe_source {
    struct probe_set *set;
    struct probe_source *next;
    uint64_t dev, ino;
    int nsfd;
    int icmp[ICMP_SOCKETS];
    uint32_t *by_id; /* probe number by id - first_id */
    size_t ids, ids_cap;
    uint16_t first_id;
    struct probe_addr *own; /* its addresses, once they are asked for */
    size_t own_len;
    bool own_known, learned, touched; /* learned: probes went out since neighbours were forgotten */
};

struct probe_set {
    int epoll, timer;
    uint64_t armed; /* when the timer fires, 0: never */
    uint64_t cookie;
    struct probe **probes;
    size_t count, cap;
    uint32_t *heap; /* numbers of probes with a time, the earliest first */
    size_t heap_len;
    size_t pending, queue_at; /* probes not done; the next one to be started */
    size_t open;              /* probes with a socket of their own */
    uint32_t *learned;        /* started since neighbours were forgotten */
    size_t learned_len;
    bool learned_done;  /* some of them have had an outcome since */
    bool forgot;        /* neighbours were forgotten, so at the end they are once more */
    uint64_t forget_at; /* when to try again if none has */
    struct probe_source *sources, *latest;
    char *buf; /* one packet */
};

#define PACKET_MAX (64 * 1024)

uint64_t probe_now(clockid_t clock);
/* probe.c: a shot record for the next thing to be sent, or NULL (no memory). */
struct probe_shot *probe_shot_new(struct probe *p);
/* The probe's next turn; it is done. */
void probe_schedule(struct probe_set *set, struct probe *p, uint64_t due);
void probe_done(struct probe_set *set, struct probe *p);
/* Errors are 0 or -errno: something that concerns one shot only is noted there instead. */

/* probe_icmp.c: raw sockets */
int probe_icmp_open(struct probe_source *s, int family, bool df, struct nserr *e);
/* Send shot number `n` with a payload of `size` bytes. 0; -EAGAIN: try again soon; else the shot
 * has been marked as unsent. */
int probe_icmp_send(struct probe *p, unsigned n, unsigned ttl, unsigned size, bool df);
/* Read what there is; outcomes go to probe_echo_outcome. */
void probe_icmp_read(struct probe_source *s, int which);

/* An address of the probe's for the kernel; its length. */
socklen_t probe_sockaddr(const struct probe *p, const struct probe_addr *addr, uint16_t port,
                         struct sockaddr_storage *out);

/* probe_echo.c: ping, traceroute, path MTU */
void probe_echo_turn(struct probe_set *set, struct probe *p, uint64_t now);
/* A shot has its outcome (state and the rest are filled in). */
void probe_echo_outcome(struct probe_set *set, struct probe *p, unsigned n);

/* probe_sock.c: TCP and UDP */
void probe_sock_turn(struct probe_set *set, struct probe *p, uint64_t now);
void probe_sock_ready(struct probe_set *set, struct probe *p, uint32_t events);
void probe_sock_close(struct probe_set *set, struct probe *p);
/* MTU of the link that packets to the destination leave by; 0 where it cannot be told. */
unsigned probe_sock_mtu(struct probe *p);

/* probe_neigh.c: make the kernel forget the neighbours it learned for probes that went out. Those
 * whose neighbour is still being looked for stay in set->learned. */
void probe_forget_neighbours(struct probe_set *set);

#endif
