/* SPDX-License-Identifier: MIT
 * A netlink session: one socket, opened inside its namespace once, used from anywhere.
 *
 * Theory of operation: rtnetlink(7) handles a request inside sendmsg, so by the time it returns
 * every answer is queued; SO_RCVTIMEO is the deadline for what should not happen. The sequence
 * number tells the answers of one request from leftovers of another. A conversation that broke
 * off leaves the session `stale`; the next one then drains it first. Acks are 832 bytes each in
 * the receive buffer: a batch is sent in chunks that cannot overrun it, even if every message
 * fails. */
#ifndef NETNS_RTNL_H
#define NETNS_RTNL_H

#include <linux/netlink.h>
#include <stdbool.h>

#include "error.h"

/* What the kernel said of one message. */
struct rtnl_fault {
    int code;         /* errno > 0 */
    uint32_t offset;  /* of the offending attribute in the request, 0: not said */
    uint32_t missing; /* type of the attribute that is missing + 1, 0: not said */
    char text[256];   /* extended ack, "" if none */
};

struct rtnl {
    int fd;
    uint32_t seq;
    bool stale;     /* answers of an earlier conversation may be queued */
    unsigned chunk; /* messages a sendmsg may carry so that no ack is lost */
    struct bytes rx;
};

/* Open in namespace nsfd; NULL with *e filled. protocol is NETLINK_ROUTE, NETLINK_GENERIC ... */
struct rtnl *rtnl_open(int nsfd, int protocol, struct nserr *e);
void rtnl_close(struct rtnl *s);

/* Each of these sends *req (its seq and flags are filled in) and returns 0, or -errno with the
 * fault filled: what the kernel said, or with an empty text what the socket said. */

/* Wait for the ack; answers that come with it (NLM_F_ECHO) are appended to `reply` if given. */
int rtnl_ack(struct rtnl *s, struct nlmsghdr *req, struct bytes *reply, struct rtnl_fault *f);
/* A get: exactly one answer, put into `reply` (emptied first). */
int rtnl_get(struct rtnl *s, struct nlmsghdr *req, struct bytes *reply, struct rtnl_fault *f);
/* A dump, whole: the messages one after the other in `reply` (emptied first). A dump that the
 * kernel calls interrupted is asked again, RTNL_DUMP_TRIES times, then -EINTR. */
int rtnl_dump(struct rtnl *s, struct nlmsghdr *req, struct bytes *reply, struct rtnl_fault *f);
#define RTNL_DUMP_TRIES 12

/* A dump in pieces, for listings of any size in bounded memory. next: 1 with a datagram's
 * messages in s->rx, 0 at the end, -errno; *interrupted is set if the kernel said so. */
int rtnl_dump_start(struct rtnl *s, struct nlmsghdr *req, struct rtnl_fault *f);
int rtnl_dump_next(struct rtnl *s, bool *interrupted, struct rtnl_fault *f);

/* Called for each failed message: its number (from 0) and what was said. */
typedef void rtnl_on_fault(void *arg, size_t number, const struct rtnl_fault *f);

/* Send `count` messages that stand one after the other (aligned) in buf, in as few sendmsg as
 * the buffers allow. Returns 0 if all were dealt with (`failed` may still have been called), or
 * -errno where the conversation itself broke; *done is how many messages were dealt with. */
int rtnl_batch(struct rtnl *s, char *buf, size_t len, size_t count, rtnl_on_fault *failed,
               void *arg, size_t *done, struct rtnl_fault *f);

#endif
