/* SPDX-License-Identifier: MIT
 * Forgetting neighbours: makes room in the kernel's neighbour table for the next probes.
 *
 * Theory of operation: the table is one for all namespaces, holds 1,024 learned neighbours by
 * default, and its collector spares what is younger than five seconds. A hundred hosts on one
 * wire that all talk to each other need 9,900. So probes go out in waves, and what the kernel
 * learned for a wave is deleted before the next. Only entries that are learned, are settled, and
 * have an address that was probed are touched; who needs them again asks again. */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "nsfd.h"
#include "probe.h"
#include "rtnl.h"

#define LEARNED (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_FAILED)

/* Addresses ---------------------------------------------------------------------------------- */

static bool is_address(const struct probe_addr *a, int family, const void *bytes)
{
    return a->family == family && !memcmp(a->bytes, bytes, family == AF_INET ? 4 : 16);
}

/* The probe among those learned for that goes to this address, from this source if given. */
static struct probe *find(struct probe_set *set, const struct probe_source *source, int family,
                          const void *addr)
{
    for (size_t i = 0; i < set->learned_len; i++) {
        struct probe *p = set->probes[set->learned[i]];

        if ((!source || p->source == source) && is_address(&p->spec.dst, family, addr))
            return p;
    }
    return NULL;
}

static bool owns(const struct probe_source *s, int family, const void *addr)
{
    for (size_t i = 0; i < s->own_len; i++)
        if (is_address(&s->own[i], family, addr))
            return true;
    return false;
}

/* Does a source that probes went out from have this address? */
static bool is_asker(const struct probe_set *set, int family, const void *addr)
{
    for (const struct probe_source *s = set->sources; s; s = s->next)
        if (s->learned && owns(s, family, addr))
            return true;
    return false;
}

static int dump(struct rtnl *session, int type, size_t header, struct bytes *all)
{
    struct {
        struct nlmsghdr h;
        char zeroes[sizeof(struct ifaddrmsg) + sizeof(struct ndmsg)];
    } request = {.h = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(header), .nlmsg_type = (uint16_t)type}};
    struct rtnl_fault f;

    return rtnl_dump(session, &request.h, all, &f);
}

/* The addresses that the source's namespace has: who answers a probe learns these. */
static void learn_own(struct probe_source *s, struct rtnl *session)
{
    cleanup_bytes struct bytes all = {0};
    struct nlmsghdr *h;
    int left;

    s->own_known = true;
    if (dump(session, RTM_GETADDR, sizeof(struct ifaddrmsg), &all) != 0)
        return;
    left = (int)all.len;
    for (h = (struct nlmsghdr *)all.data; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
        const struct ifaddrmsg *ifa = nlmsg_data(h);
        struct nlattr *a;
        void *more;

        if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*ifa)))
            continue;
        a = nlmsg_find_attr(h, sizeof(*ifa), IFA_LOCAL);
        if (!a)
            a = nlmsg_find_attr(h, sizeof(*ifa), IFA_ADDRESS);
        if (!a || nla_len(a) != (ifa->ifa_family == AF_INET ? 4 : 16))
            continue;
        more = realloc(s->own, (s->own_len + 1) * sizeof(*s->own));
        if (!more)
            return;
        s->own = more;
        s->own[s->own_len] = (struct probe_addr){.family = ifa->ifa_family};
        memcpy(s->own[s->own_len++].bytes, nla_data(a), (size_t)nla_len(a));
    }
}

/* Forgetting --------------------------------------------------------------------------------- */

/* Is this neighbour to go? Notes probes whose neighbour is still looked for. */
static bool is_chosen(struct probe_source *s, struct nlmsghdr *h)
{
    const struct ndmsg *nd = nlmsg_data(h);
    struct nlattr *dst;
    struct probe *p;

    if (h->nlmsg_type != RTM_NEWNEIGH || h->nlmsg_len < NLMSG_LENGTH(sizeof(*nd)))
        return false;
    dst = nlmsg_find_attr(h, sizeof(*nd), NDA_DST);
    if (!dst || nla_len(dst) != (nd->ndm_family == AF_INET ? 4 : 16))
        return false;
    if (nd->ndm_state & NUD_INCOMPLETE) {
        p = find(s->set, s, nd->ndm_family, nla_data(dst));
        if (p && !p->done)
            p->looking = true;
        return p && p->done;
    }
    return (nd->ndm_state & LEARNED) && (find(s->set, NULL, nd->ndm_family, nla_data(dst)) ||
                                         is_asker(s->set, nd->ndm_family, nla_data(dst)));
}

/* Turn the dump into deletions, in place; how many. */
static size_t to_deletions(struct probe_source *s, struct bytes *all)
{
    size_t count = 0, kept = 0;
    int left = (int)all->len;
    struct nlmsghdr *h = (struct nlmsghdr *)all->data;

    while (nlmsg_ok(h, left)) {
        struct nlmsghdr *next = nlmsg_next(h, &left);

        if (is_chosen(s, h)) {
            size_t len = NLMSG_ALIGN(h->nlmsg_len);

            h->nlmsg_type = RTM_DELNEIGH;
            h->nlmsg_flags = 0;
            memmove(all->data + kept, h, len);
            kept += len;
            count++;
        }
        h = next;
    }
    all->len = kept;
    return count;
}

static void ignore(void *arg, size_t number, const struct rtnl_fault *f)
{
    (void)arg, (void)number, (void)f; /* gone by itself meanwhile */
}

static void forget_in(struct probe_source *s, struct rtnl *session)
{
    cleanup_bytes struct bytes all = {0};
    struct rtnl_fault f;
    size_t done, count;

    if (dump(session, RTM_GETNEIGH, sizeof(struct ndmsg), &all) != 0)
        return;
    count = to_deletions(s, &all);
    if (count)
        rtnl_batch(session, all.data, all.len, count, ignore, NULL, &done, &f);
}

/* Call fn in a session of the namespace; without one the table may be full, as the probes tell. */
static void with_session(struct probe_source *s, void (*fn)(struct probe_source *, struct rtnl *))
{
    struct nserr e;
    struct rtnl *session = rtnl_open(s->nsfd, NETLINK_ROUTE, &e);

    if (session)
        fn(s, session);
    rtnl_close(session);
}

/* The namespaces that have to be looked at: where probes came from and where they went. */
static void mark(struct probe_set *set)
{
    for (struct probe_source *s = set->sources; s; s = s->next) {
        if (!s->own_known)
            with_session(s, learn_own);
        s->touched = s->learned;
        for (size_t i = 0; !s->touched && i < set->learned_len; i++) {
            const struct probe_addr *dst = &set->probes[set->learned[i]]->spec.dst;
            s->touched = owns(s, dst->family, dst->bytes);
        }
    }
}

void probe_forget_neighbours(struct probe_set *set)
{
    size_t kept = 0;

    set->forgot = true;
    mark(set);
    for (struct probe_source *s = set->sources; s; s = s->next)
        if (s->touched)
            with_session(s, forget_in);
    for (struct probe_source *s = set->sources; s; s = s->next)
        s->learned = false;
    for (size_t i = 0; i < set->learned_len; i++) {
        struct probe *p = set->probes[set->learned[i]];

        if (p->looking) {
            p->looking = false;
            p->source->learned = true;
            set->learned[kept++] = set->learned[i];
        }
    }
    set->learned_len = kept;
}
