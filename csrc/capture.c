/* SPDX-License-Identifier: MIT
 * Captures of several links at once: who has something to read, and whose packet comes next. */
#include <linux/if_packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "capture.h"

#define EVENTS  64
#define TRIES   64        /* batches that may hold nothing that matches */
#define AT_ONCE (1 << 20) /* packets moved into rings by one call, where they never end */

int capture_init(struct capture *c, struct nserr *e)
{
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    return c->epoll >= 0 ? 0 : nserr_sys(e, errno, "capture", NULL);
}

static void free_source(struct capture_source *s)
{
    close_fd(&s->fd);
    bytes_free(&s->batch);
    ring_free(&s->ring);
    free(s);
}

void capture_free(struct capture *c)
{
    for (unsigned i = 0; i < c->count; i++)
        free_source(c->sources[i]);
    free(c->sources);
    free(c->slots);
    close_fd(&c->epoll);
    c->sources = NULL;
    c->slots = NULL;
    c->count = 0;
}

int capture_add(struct capture *c, int nsfd, const char *dev, const char *name, unsigned *ifindex,
                struct nserr *e)
{
    struct capture_source *s = calloc(1, sizeof(*s));
    void *more = realloc(c->sources, (c->count + 1) * sizeof(s));
    int err;

    if (more)
        c->sources = more;
    if (!s || !more) {
        free(s);
        return nserr_sys(e, ENOMEM, "capture", "%s", name);
    }
    s->fd = -1;
    s->index = c->count;
    snprintf(s->name, sizeof(s->name), "%s", name);
    err = capture_socket(s, nsfd, dev, ifindex, e);
    if (err) {
        free_source(s);
        return err;
    }
    c->sources[c->count++] = s;
    return 0;
}

int capture_start(struct capture *c, unsigned ifindex, const struct capture_filter *filter,
                  enum capture_direction direction, bool promisc, struct nserr *e)
{
    struct capture_source *s = c->sources[c->count - 1];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    int err = capture_listen(s, ifindex, c, filter, direction, promisc, e);

    if (err)
        return err;
    c->stamped = true;
    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, s->fd, &event) != 0)
        return nserr_sys(e, errno, "capture", "%s", s->name);
    return 0;
}

void capture_count(struct capture *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        struct capture_source *s = c->sources[i];
        struct tpacket_stats now;
        socklen_t len = sizeof(now);

        if (s->fd < 0 || getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &now, &len) != 0)
            continue;
        /* since the last time that somebody asked; what was dropped is in both */
        s->passed += now.tp_packets - now.tp_drops;
        s->dropped += now.tp_drops;
    }
}

void capture_stop(struct capture *c)
{
    for (unsigned i = 0; i < c->count; i++)
        capture_deafen(c->sources[i]);
    c->stopped = true;
}

/* Reading ------------------------------------------------------------------------------------ */

static bool has_batch(const struct capture_source *s)
{
    return s->at < s->batch.len;
}

static const struct capture_packet *head_of(const struct capture_source *s)
{
    return (const struct capture_packet *)(s->batch.data + s->at);
}

/* A batch for a source whose last one is used up. Of a link that goes down the socket says so
 * once: that is no end, it may come up again. */
static int refill(struct capture *c, struct capture_source *s)
{
    for (int tries = 0; tries < TRIES && !has_batch(s); tries++) {
        int got = capture_receive(c, s);

        if (got == -EAGAIN)
            return 0;
        if (got < 0 && got != -ENETDOWN)
            return got;
    }
    return 0;
}

/* See who has something to read, and read it. */
static int look(struct capture *c)
{
    struct epoll_event events[EVENTS];
    int got, err = 0;

    do {
        got = epoll_wait(c->epoll, events, EVENTS, 0);
        for (int i = 0; i < got && !err; i++) {
            err = refill(c, events[i].data.ptr);
        }
    } while (!err && got < 0 && errno == EINTR);
    return got < 0 ? -errno : err;
}

/* All sources that have something to read must have shown their first packet, or it could not be
 * told which one is the earliest. */
static int show_heads(struct capture *c)
{
    for (unsigned rounds = 0; rounds <= c->count / EVENTS; rounds++) {
        int err = look(c);

        if (err)
            return err;
    }
    return 0;
}

static struct capture_source *earliest(const struct capture *c)
{
    struct capture_source *first = NULL;

    for (unsigned i = 0; i < c->count; i++) {
        struct capture_source *s = c->sources[i];

        if (has_batch(s) && (!first || head_of(s)->ns < head_of(first)->ns))
            first = s;
    }
    return first;
}

bool capture_done(const struct capture *c)
{
    return c->limit && c->taken >= c->limit;
}

int capture_next(struct capture *c, const struct capture_packet **p)
{
    struct capture_source *s = c->last;
    int err = 0;

    if (capture_done(c))
        return 0;
    if (s)
        s->at += capture_size(head_of(s)->captured);
    c->last = NULL;
    if (!s || !has_batch(s))
        err = show_heads(c);
    s = err ? NULL : earliest(c);
    if (!s)
        return err;
    c->last = s;
    c->taken++;
    *p = head_of(s);
    return 1;
}

/* Keeping ------------------------------------------------------------------------------------ */

int capture_keep(struct capture *c)
{
    const struct capture_packet *p;
    int got = 1;

    for (int n = 0; n < AT_ONCE && (got = capture_next(c, &p)) > 0; n++) {
        int err = ring_push(&c->sources[p->source]->ring, c->keep, p);

        if (err)
            return err;
    }
    return got < 0 ? got : 0;
}

void capture_forget(struct capture *c)
{
    for (unsigned i = 0; i < c->count; i++)
        ring_free(&c->sources[i]->ring);
}

int capture_kept(const struct capture *c, int (*tell)(void *, const struct capture_packet *),
                 void *arg)
{
    int err = 0;

    for (unsigned i = 0; i < c->count; i++)
        c->sources[i]->cursor = ring_first(&c->sources[i]->ring);
    while (!err) {
        struct capture_source *first = NULL;

        for (unsigned i = 0; i < c->count; i++) {
            struct capture_source *s = c->sources[i];

            if (s->cursor && (!first || s->cursor->ns < first->cursor->ns))
                first = s;
        }
        if (!first)
            break;
        err = tell(arg, first->cursor);
        first->cursor = ring_after(&first->ring, first->cursor);
    }
    return err;
}
