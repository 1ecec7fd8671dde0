/* SPDX-License-Identifier: MIT
 * What is found out by echo requests: ping, traceroute and path MTU, as state machines.
 *
 * Theory of operation: `turn` is called when a probe's time has come and may send, give up on
 * shots that were waited for long enough, or both; it always leaves the probe either done or with
 * a next turn. `outcome` is called when a shot is decided by a packet; it only asks for a turn. */
#include <string.h>

#include "probe.h"

#define CROWDED_NS 5000000u /* how soon to try again when the kernel is out of room */
#define IN_FLIGHT  8        /* hops that traceroute asks at once */
#define LADDER     24       /* packet sizes that a search for the path MTU tries at once */

/* Send a new shot: 0; -EAGAIN with the next turn set and no shot spent; -ENOMEM. */
static int shoot(struct probe_set *set, struct probe *p, uint64_t now, unsigned what, unsigned ttl,
                 unsigned size, bool df)
{
    struct probe_shot *shot = p->sent < PROBE_SHOTS_MAX ? probe_shot_new(p) : NULL;
    int err;

    if (!shot)
        return -ENOMEM;
    shot->what = (uint16_t)what;
    err = probe_icmp_send(p, p->sent - 1, ttl, size, df);
    if (!err)
        return 0;
    p->sent--;
    if (p->crowded++ >= 1000) { /* 5 s of it: say so */
        p->crowded = 0;
        p->sent++;
        shot->state = SHOT_UNSENT;
        shot->local = ENOBUFS;
        return 0;
    }
    probe_schedule(set, p, now + CROWDED_NS);
    return err;
}

/* Give up on what was waited for long enough. Shots are in the order of their sending. */
static void expire(struct probe *p, uint64_t now)
{
    for (; p->timed < p->sent; p->timed++) {
        struct probe_shot *shot = &p->shots[p->timed];

        if (shot->state == SHOT_WAITING && shot->sent_mono + p->spec.timeout > now)
            return;
        if (shot->state == SHOT_WAITING)
            shot->state = SHOT_SILENT;
    }
}

/* When the oldest shot still waited for is given up; 0: none is waited for. */
static uint64_t next_timeout(const struct probe *p)
{
    return p->timed < p->sent ? p->shots[p->timed].sent_mono + p->spec.timeout : 0;
}

/* Ping --------------------------------------------------------------------------------------- */

static void ping_turn(struct probe_set *set, struct probe *p, uint64_t now)
{
    bool df = p->spec.df;
    uint64_t due;

    while (p->sent < p->spec.count && now >= p->begun + p->sent * p->spec.interval) {
        int err = shoot(set, p, now, 0, p->spec.ttl, p->spec.size, df);
        if (err == -EAGAIN)
            return;
        if (err) {
            p->spec.count = p->sent; /* no memory for more */
            break;
        }
    }
    expire(p, now);
    due = p->sent < p->spec.count ? p->begun + p->sent * p->spec.interval : next_timeout(p);
    if (due)
        probe_schedule(set, p, due);
    else
        probe_done(set, p);
}

/* Traceroute --------------------------------------------------------------------------------- */

/* Has the hop answered, and how often was it asked? */
static bool hop_known(const struct probe *p, unsigned hop, unsigned *asked, unsigned *waiting)
{
    bool known = false;

    *asked = *waiting = 0;
    for (unsigned i = 0; i < p->sent; i++) {
        if (p->shots[i].what != hop)
            continue;
        ++*asked;
        *waiting += p->shots[i].state == SHOT_WAITING;
        known |= p->shots[i].state == SHOT_ANSWERED || p->shots[i].state == SHOT_ERROR;
    }
    return known;
}

static void trace_turn(struct probe_set *set, struct probe *p, uint64_t now)
{
    unsigned flying = 0, last = p->high ? p->high : p->spec.max;

    expire(p, now);
    for (unsigned i = 0; i < p->sent; i++)
        flying += p->shots[i].state == SHOT_WAITING && p->shots[i].what <= last;
    for (unsigned hop = p->spec.first; hop <= last && flying < IN_FLIGHT; hop++) {
        unsigned asked, waiting;

        if (hop_known(p, hop, &asked, &waiting) || waiting || asked >= p->spec.count)
            continue;
        if (shoot(set, p, now, hop, hop, p->spec.size, false) != 0)
            return;
        if (p->shots[p->sent - 1].state == SHOT_UNSENT) { /* a machine that cannot send, cannot */
            p->high = hop;
            probe_done(set, p);
            return;
        }
        flying++;
    }
    if (flying)
        probe_schedule(set, p, next_timeout(p));
    else
        probe_done(set, p);
}

/* Anything but "time exceeded" ends the way there. */
static void trace_outcome(struct probe *p, const struct probe_shot *shot)
{
    bool passing = shot->state == SHOT_ERROR &&
                   shot->type == (p->spec.dst.family == AF_INET ? 11 : 3) && shot->code == 0;

    if (!passing && (!p->high || shot->what < p->high))
        p->high = shot->what;
}

/* Path MTU ----------------------------------------------------------------------------------- */

static unsigned header_size(const struct probe *p)
{
    return (p->spec.dst.family == AF_INET ? 20 : 40) + 8;
}

static int shoot_mtu(struct probe_set *set, struct probe *p, uint64_t now, unsigned bytes)
{
    return shoot(set, p, now, bytes, 0, bytes - header_size(p), true);
}

/* One size at a time: the largest that this machine sends, then what errors tell. A size that
 * nobody answers and nobody objects to is tried again, and then the ladder begins. */
static int mtu_single(struct probe_set *set, struct probe *p, uint64_t now)
{
    unsigned tries = 0;
    int err;

    for (unsigned i = 0; i < p->sent; i++)
        tries += p->shots[i].what == p->high && p->shots[i].state != SHOT_UNSENT;
    if (tries >= p->spec.count) {
        p->ladder = true;
        p->high--;
        return 0;
    }
    err = shoot_mtu(set, p, now, p->high);
    return err ? err : 1;
}

/* Sizes evenly between what passes and what may. */
static int mtu_ladder(struct probe_set *set, struct probe *p, uint64_t now)
{
    unsigned from = p->low ? p->low + 1 : p->spec.first, room = p->high - from;
    unsigned steps = room < LADDER ? room + 1 : LADDER;

    for (unsigned i = p->rung; i < steps; i++, p->rung++) {
        int err = shoot_mtu(set, p, now, steps == 1 ? from : from + room * i / (steps - 1));
        if (err)
            return err;
    }
    p->rung = 0;
    return 1;
}

/* What the shots say by now: the largest that passed, the smallest that did not. */
static void mtu_conclude(struct probe *p)
{
    for (unsigned i = 0; i < p->sent; i++) {
        const struct probe_shot *shot = &p->shots[i];
        unsigned size = shot->what;

        if (shot->state == SHOT_UNSENT && shot->local == EMSGSIZE)
            p->ladder = true; /* one by one would take long */
        if (shot->state == SHOT_ANSWERED && size > p->low)
            p->low = size;
        else if (shot->state == SHOT_ERROR && shot->mtu && shot->mtu < size)
            p->high = shot->mtu < p->high ? shot->mtu : p->high;
        else if ((shot->state == SHOT_ERROR || shot->state == SHOT_SILENT ||
                  (shot->state == SHOT_UNSENT && shot->local == EMSGSIZE)) &&
                 size <= p->high && (shot->state != SHOT_SILENT || p->ladder))
            p->high = size - 1;
    }
}

/* An error that has nothing to do with sizes: there is no way at all. */
static bool mtu_hopeless(const struct probe *p)
{
    const struct probe_shot *last = p->sent ? &p->shots[p->sent - 1] : NULL;

    if (!last || p->low)
        return false;
    return (last->state == SHOT_UNSENT && last->local != EMSGSIZE) ||
           (last->state == SHOT_ERROR && !last->mtu &&
            !(p->spec.dst.family == AF_INET && last->type == 3 && last->code == 4));
}

static void mtu_turn(struct probe_set *set, struct probe *p, uint64_t now)
{
    int sent = 0;

    if (!p->high) {
        unsigned local = probe_sock_mtu(p);
        p->high = local && local < p->spec.max ? local : p->spec.max;
    }
    for (;;) {
        expire(p, now);
        if (p->timed < p->sent && !p->rung) { /* still waiting for this round */
            probe_schedule(set, p, next_timeout(p));
            return;
        }
        mtu_conclude(p);
        if (mtu_hopeless(p) || p->low >= p->high || p->high < p->spec.first || sent < 0)
            break;
        sent = p->ladder ? mtu_ladder(set, p, now) : mtu_single(set, p, now);
        if (sent == -EAGAIN)
            return;
    }
    p->mtu = p->low;
    probe_done(set, p);
}

/* -------------------------------------------------------------------------------------------- */

void probe_echo_turn(struct probe_set *set, struct probe *p, uint64_t now)
{
    static void (*const turns[])(struct probe_set *, struct probe *, uint64_t) = {
        [PROBE_PING] = ping_turn, [PROBE_TRACE] = trace_turn, [PROBE_MTU] = mtu_turn};

    turns[p->spec.kind](set, p, now);
}

void probe_echo_outcome(struct probe_set *set, struct probe *p, unsigned n)
{
    set->learned_done = true;
    if (p->done)
        return; /* late, but on the record */
    if (p->spec.kind == PROBE_TRACE)
        trace_outcome(p, &p->shots[n]);
    if (p->spec.kind == PROBE_PING && p->sent < p->spec.count)
        return; /* its next turn stands */
    while (p->timed < p->sent && p->shots[p->timed].state != SHOT_WAITING)
        p->timed++;
    if (p->spec.kind == PROBE_PING && p->timed == p->sent)
        probe_done(set, p);
    else if (p->spec.kind != PROBE_PING && !p->rung)
        probe_schedule(set, p, 0);
}
