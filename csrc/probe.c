/* SPDX-License-Identifier: MIT
 * Sets of probes: the loop, the queue of what is to be started, the heap of what is timed. */
#include <linux/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/timerfd.h>

#include "nsfd.h"
#include "probe.h"

#define NS_PER_S 1000000000u
/* Probes whose neighbours may stand in the kernel's table at once: it holds 1,024 for all
 * namespaces together by default (gc_thresh3), two for each pair of hosts on one wire. */
#define LEARNED_MAX  200
#define FORGET_AGAIN 20000000u /* ns */
#define OPEN_MAX     128       /* sockets of TCP and UDP probes at once */
#define TURNS_MAX    64        /* turns taken before sockets are looked at again */
#define EVENTS_MAX   64

uint64_t probe_now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* The heap ----------------------------------------------------------------------------------- */

#define NOT_IN_HEAP SIZE_MAX

static void heap_put(struct probe_set *set, size_t at, uint32_t number)
{
    set->heap[at] = number;
    set->probes[number]->heap_at = at;
}

static uint64_t heap_due(const struct probe_set *set, size_t at)
{
    return set->probes[set->heap[at]]->due;
}

static void heap_up(struct probe_set *set, size_t at)
{
    uint32_t number = set->heap[at];
    uint64_t due = heap_due(set, at);

    for (; at > 0 && heap_due(set, (at - 1) / 2) > due; at = (at - 1) / 2)
        heap_put(set, at, set->heap[(at - 1) / 2]);
    heap_put(set, at, number);
}

static void heap_down(struct probe_set *set, size_t at)
{
    uint32_t number = set->heap[at];
    uint64_t due = heap_due(set, at);

    for (size_t child = 2 * at + 1; child < set->heap_len; child = 2 * at + 1) {
        if (child + 1 < set->heap_len && heap_due(set, child + 1) < heap_due(set, child))
            child++;
        if (heap_due(set, child) >= due)
            break;
        heap_put(set, at, set->heap[child]);
        at = child;
    }
    heap_put(set, at, number);
}

static void heap_remove(struct probe_set *set, struct probe *p)
{
    size_t at = p->heap_at;
    uint32_t last;

    if (at == NOT_IN_HEAP)
        return;
    p->heap_at = NOT_IN_HEAP;
    last = set->heap[--set->heap_len];
    if (at == set->heap_len)
        return;
    heap_put(set, at, last);
    heap_up(set, at);
    heap_down(set, set->probes[last]->heap_at);
}

/* The heap has room for every probe: probe_add saw to it. */
void probe_schedule(struct probe_set *set, struct probe *p, uint64_t due)
{
    p->due = due;
    if (p->heap_at == NOT_IN_HEAP) {
        p->heap_at = set->heap_len;
        set->heap[set->heap_len++] = p->number;
        heap_up(set, p->heap_at);
        return;
    }
    heap_up(set, p->heap_at);
    heap_down(set, p->heap_at);
}

void probe_done(struct probe_set *set, struct probe *p)
{
    if (p->done)
        return;
    p->done = true;
    p->ended = probe_now(CLOCK_MONOTONIC);
    heap_remove(set, p);
    probe_sock_close(set, p);
    set->pending--;
}

static int grow_shots(struct probe *p, unsigned cap)
{
    void *more = realloc(p->shots, cap * sizeof(*p->shots));

    if (!more)
        return -ENOMEM;
    p->shots = more;
    p->shots_cap = cap;
    return 0;
}

struct probe_shot *probe_shot_new(struct probe *p)
{
    if (p->sent == p->shots_cap && grow_shots(p, p->shots_cap * 2) != 0)
        return NULL;
    p->shots[p->sent] = (struct probe_shot){.sent = probe_now(CLOCK_REALTIME),
                                            .sent_mono = probe_now(CLOCK_MONOTONIC)};
    return &p->shots[p->sent++];
}

/* The set ------------------------------------------------------------------------------------ */

static int add_to_epoll(struct probe_set *set, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = PROBE_EVENT_TIMER};

    return epoll_ctl(set->epoll, EPOLL_CTL_ADD, fd, &event);
}

struct probe_set *probe_set_new(struct nserr *e)
{
    struct probe_set *set = calloc(1, sizeof(*set));

    if (!set) {
        nserr_sys(e, ENOMEM, "probe", NULL);
        return NULL;
    }
    set->timer = -1;
    set->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (set->epoll >= 0)
        set->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (set->timer < 0 || add_to_epoll(set, set->timer) != 0 ||
        getrandom(&set->cookie, sizeof(set->cookie), 0) != sizeof(set->cookie)) {
        nserr_sys(e, errno, "probe", NULL);
        probe_set_free(set);
        return NULL;
    }
    return set;
}

static void source_free(struct probe_source *s)
{
    for (int i = 0; i < ICMP_SOCKETS; i++)
        close_fd(&s->icmp[i]);
    close_fd(&s->nsfd);
    free(s->by_id);
    free(s->own);
    free(s);
}

void probe_set_free(struct probe_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++) {
        close_fd(&set->probes[i]->fd);
        free(set->probes[i]->shots);
        free(set->probes[i]->reply);
        free((void *)set->probes[i]->spec.payload);
        free(set->probes[i]);
    }
    while (set->sources) {
        struct probe_source *next = set->sources->next;
        source_free(set->sources);
        set->sources = next;
    }
    free(set->probes);
    free(set->heap);
    free(set->learned);
    free(set->buf);
    close_fd(&set->timer);
    close_fd(&set->epoll);
    free(set);
}

int probe_set_fd(const struct probe_set *set)
{
    return set->epoll;
}

const struct probe *probe_at(const struct probe_set *set, size_t n)
{
    return n < set->count ? set->probes[n] : NULL;
}

size_t probe_count(const struct probe_set *set)
{
    return set->count;
}

struct probe_source *probe_set_source(struct probe_set *set, int nsfd, uint64_t dev, uint64_t ino,
                                      struct nserr *e)
{
    struct probe_source *s = set->latest;

    if (s && s->dev == dev && s->ino == ino)
        return s;
    for (s = set->sources; s; s = s->next)
        if (s->dev == dev && s->ino == ino)
            return set->latest = s;
    s = calloc(1, sizeof(*s));
    if (!s || getrandom(&s->first_id, sizeof(s->first_id), 0) != sizeof(s->first_id)) {
        free(s);
        nserr_sys(e, ENOMEM, "probe", NULL);
        return NULL;
    }
    for (int i = 0; i < ICMP_SOCKETS; i++)
        s->icmp[i] = -1;
    s->dev = dev;
    s->ino = ino;
    s->set = set;
    s->nsfd = nsfd_dup(nsfd, e);
    if (s->nsfd < 0) {
        source_free(s);
        return NULL;
    }
    s->next = set->sources;
    return set->latest = set->sources = s;
}

/* For those who poll the set's fd: it becomes readable when the next turn is due. */
static void arm(struct probe_set *set, bool now)
{
    struct itimerspec when;
    uint64_t due = now ? 1 : set->heap_len ? heap_due(set, 0) : 0;

    if (!now && set->queue_at < set->count && (!due || due > set->forget_at))
        due = set->forget_at; /* it is the neighbours that keep the queue waiting */
    when = (struct itimerspec){
        .it_value = {.tv_sec = (time_t)(due / NS_PER_S), .tv_nsec = (long)(due % NS_PER_S)}};

    if (due == set->armed)
        return;
    timerfd_settime(set->timer, TFD_TIMER_ABSTIME, &when, NULL);
    set->armed = due;
}

/* Adding ------------------------------------------------------------------------------------- */

/* Room for one more element of `size` bytes in *array, which has `count` and room for *cap. */
static int grow(void *array, size_t size, size_t count, size_t *cap)
{
    size_t more = *cap ? *cap * 2 : 16;
    void *grown;

    if (count < *cap)
        return 0;
    grown = realloc(*(void **)array, more * size);
    if (!grown)
        return -ENOMEM;
    *(void **)array = grown;
    *cap = more;
    return 0;
}

static int make_room(struct probe_set *set, struct probe_source *s)
{
    size_t probes = set->cap, heap = set->cap, learned = set->cap;

    if (!set->buf)
        set->buf = calloc(1, PACKET_MAX);
    if (!set->buf || grow(&set->heap, sizeof(*set->heap), set->count, &heap) != 0 ||
        grow(&set->learned, sizeof(*set->learned), set->count, &learned) != 0 ||
        grow(&set->probes, sizeof(struct probe *), set->count, &probes) != 0)
        return -ENOMEM;
    set->cap = probes;
    return grow(&s->by_id, sizeof(*s->by_id), s->ids, &s->ids_cap);
}

/* The number of the link, in the source's namespace. */
static int link_index(struct probe_source *s, const char *name, struct nserr *e)
{
    struct ifreq request = {0};
    cleanup_fd int fd = nsfd_socket(s->nsfd, AF_INET, SOCK_DGRAM, 0, e);

    if (fd < 0)
        return fd;
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (ioctl(fd, SIOCGIFINDEX, &request) != 0)
        return nserr_sys(e, errno, "probe", "by %s", name);
    return request.ifr_ifindex;
}

/* Room that a probe has from its start: a ping for all that it sends, so that none fails later for
 * want of memory. */
static unsigned first_shots(const struct probe_spec *spec)
{
    return spec->kind == PROBE_PING || spec->count < 4 ? spec->count : 4;
}

static struct probe *new_probe(const struct probe_spec *spec)
{
    struct probe *p = calloc(1, sizeof(*p));
    void *payload = NULL;

    if (p && spec->payload_len) {
        payload = malloc(spec->payload_len);
        if (payload)
            memcpy(payload, spec->payload, spec->payload_len);
    }
    if (!p || (spec->payload_len && !payload) || grow_shots(p, first_shots(spec)) != 0) {
        free(payload);
        free(p);
        return NULL;
    }
    p->spec = *spec;
    p->spec.payload = payload;
    p->heap_at = NOT_IN_HEAP;
    p->fd = -1;
    return p;
}

int probe_add(struct probe_set *set, struct probe_source *s, const struct probe_spec *spec,
              struct nserr *e)
{
    bool own = spec->kind == PROBE_TCP || spec->kind == PROBE_UDP;
    bool df = spec->df || spec->kind == PROBE_MTU;
    int err = own ? 0 : probe_icmp_open(s, spec->dst.family, df, e), ifindex = 0;
    struct probe *p;

    if (!err && *spec->dev) {
        ifindex = link_index(s, spec->dev, e);
        err = ifindex < 0 ? ifindex : 0;
    }
    if (err)
        return err;
    if (!own && s->ids > UINT16_MAX)
        return nserr_sys(e, EOVERFLOW, "probe", "more than 65,536 from one namespace at once");
    p = make_room(set, s) == 0 ? new_probe(spec) : NULL;
    if (!p)
        return nserr_sys(e, ENOMEM, "probe", NULL);
    p->source = s;
    p->ifindex = ifindex;
    p->number = (uint32_t)set->count;
    if (!own) {
        p->id = (uint16_t)(s->first_id + s->ids);
        s->by_id[s->ids++] = p->number;
    }
    set->probes[set->count++] = p;
    set->pending++;
    arm(set, true);
    return (int)p->number;
}

/* Stepping ----------------------------------------------------------------------------------- */

static void turn(struct probe_set *set, struct probe *p, uint64_t now)
{
    if (p->spec.kind == PROBE_TCP || p->spec.kind == PROBE_UDP)
        probe_sock_turn(set, p, now);
    else
        probe_echo_turn(set, p, now);
}

/* May the next probe in the queue start now? */
static bool may_start(struct probe_set *set, uint64_t now)
{
    enum probe_kind kind = set->probes[set->queue_at]->spec.kind;

    if ((kind == PROBE_TCP || kind == PROBE_UDP) && set->open >= OPEN_MAX)
        return false;
    if (set->learned_len < LEARNED_MAX)
        return true;
    if (!set->learned_done && now < set->forget_at)
        return false;
    probe_forget_neighbours(set);
    set->learned_done = false;
    set->forget_at = now + FORGET_AGAIN;
    return set->learned_len < LEARNED_MAX;
}

/* Start what may be started, take the turns that are due; true if there is more to do at once. */
static bool take_turns(struct probe_set *set)
{
    uint64_t now = probe_now(CLOCK_MONOTONIC);
    int turns = 0;

    for (; turns < TURNS_MAX && set->heap_len && heap_due(set, 0) <= now; turns++)
        turn(set, set->probes[set->heap[0]], now);
    for (; turns < TURNS_MAX && set->queue_at < set->count && may_start(set, now); turns++) {
        struct probe *p = set->probes[set->queue_at++];

        p->begun = now;
        p->source->learned = true;
        set->learned[set->learned_len++] = p->number;
        turn(set, p, now);
    }
    return turns >= TURNS_MAX;
}

static void handle(struct probe_set *set, const struct epoll_event *event)
{
    uint64_t tag = event->data.u64, ticks;

    if (tag == PROBE_EVENT_TIMER) {
        set->armed = read(set->timer, &ticks, sizeof(ticks)) > 0 ? 0 : set->armed;
    } else if (tag & PROBE_EVENT_OWN) {
        struct probe *p = set->probes[tag >> 1];
        if (p->fd >= 0)
            probe_sock_ready(set, p, event->events);
    } else {
        probe_icmp_read((struct probe_source *)(uintptr_t)(tag & ~(uint64_t)7),
                        (int)(tag >> 1 & 3));
    }
}

/* A set that had to make room leaves room. */
static int finished(struct probe_set *set)
{
    if (set->forgot && set->learned_len)
        probe_forget_neighbours(set);
    arm(set, false);
    return 0;
}

int probe_set_step(struct probe_set *set, int timeout_ms, struct nserr *e)
{
    struct epoll_event events[EVENTS_MAX];
    bool more = take_turns(set);
    int n;

    if (!set->pending)
        return finished(set);
    arm(set, more);
    n = epoll_wait(set->epoll, events, EVENTS_MAX, timeout_ms);
    if (n < 0)
        return errno == EINTR ? -EINTR : nserr_sys(e, errno, "probe", NULL);
    for (int i = 0; i < n; i++)
        handle(set, &events[i]);
    if (set->learned_done && set->queue_at < set->count)
        more = true;
    if (!set->pending)
        return finished(set);
    arm(set, more || n == EVENTS_MAX);
    return (int)set->pending;
}
