/* SPDX-License-Identifier: MIT
 * Forgetting neighbours: makes room in the kernel's neighbour table for the next probes.
 *
 * Theory of operation: the table is one for all namespaces, holds 1,024 learned neighbours by
 * default, and its collector spares what is younger than five seconds. A hundred hosts on one
 * wire that all talk to each other need 9,900, as many again for those who answer. So probes go
 * out in waves, and what the kernel learned is deleted before the next, in all namespaces that
 * probes start from: they are the ones that answer, too. Only entries that were learned and are
 * settled are touched; who needs them again asks again. */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "nsfd.h"
#include "probe.h"
#include "rtnl.h"

#define LEARNED (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_FAILED)

/* The number of the probe in `learned` that has this destination, from this source if given. */
static struct probe *find(struct probe_set *set, const struct probe_source *source, int family,
                          const void *addr)
{
    for (size_t i = 0; i < set->learned_len; i++) {
        struct probe *p = set->probes[set->learned[i]];

        if (p->spec.dst.family == family && (!source || p->source == source) &&
            !memcmp(p->spec.dst.bytes, addr, family == AF_INET ? 4 : 16))
            return p;
    }
    return NULL;
}

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
        if (!p || !p->done) {
            if (p)
                p->looking = true;
            return false;
        }
        return true;
    }
    return nd->ndm_state & LEARNED;
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

static void forget_in(struct probe_source *s)
{
    struct {
        struct nlmsghdr h;
        struct ndmsg nd;
    } request = {.h = {.nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETNEIGH}};
    cleanup_bytes struct bytes all = {0};
    struct rtnl_fault f;
    struct nserr e;
    size_t done, count;
    struct rtnl *session = rtnl_open(s->nsfd, NETLINK_ROUTE, &e);

    if (!session)
        return; /* without it the table may be full, which the probes tell */
    if (rtnl_dump(session, &request.h, &all, &f) == 0) {
        count = to_deletions(s, &all);
        if (count)
            rtnl_batch(session, all.data, all.len, count, ignore, NULL, &done, &f);
    }
    rtnl_close(session);
}

void probe_forget_neighbours(struct probe_set *set)
{
    size_t kept = 0;

    for (struct probe_source *s = set->sources; s; s = s->next)
        forget_in(s);
    for (size_t i = 0; i < set->learned_len; i++) {
        struct probe *p = set->probes[set->learned[i]];

        if (p->looking) {
            p->looking = false;
            set->learned[kept++] = set->learned[i];
        }
    }
    set->learned_len = kept;
}
