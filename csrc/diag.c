/* SPDX-License-Identifier: MIT
 * Listing sockets by sock_diag. */
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

#include "diag.h"
#include "rtnl.h"

static int append(struct nlmsghdr *h, int protocol, struct diag_socket **out, size_t *count)
{
    const struct inet_diag_msg *m = nlmsg_data(h);
    struct diag_socket *more;
    struct nlattr *v6only;

    if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
        return 0;
    if ((*count & (*count - 1)) == 0) { /* a power of two: full */
        more = realloc(*out, (*count ? *count * 2 : 1) * sizeof(**out));
        if (!more)
            return -ENOMEM;
        *out = more;
    }
    v6only = nlmsg_find_attr(h, sizeof(*m), INET_DIAG_SKV6ONLY);
    (*out)[*count] = (struct diag_socket){
        .family = m->idiag_family,
        .protocol = protocol,
        .state = m->idiag_state,
        .sport = ntohs(m->id.idiag_sport),
        .dport = ntohs(m->id.idiag_dport),
        .ifindex = m->id.idiag_if,
        .uid = m->idiag_uid,
        .inode = m->idiag_inode,
        .rqueue = m->idiag_rqueue,
        .wqueue = m->idiag_wqueue,
        .v6only = v6only && nla_len(v6only) >= 1 && *(const uint8_t *)nla_data(v6only),
    };
    memcpy((*out)[*count].src, m->id.idiag_src, 16);
    memcpy((*out)[*count].dst, m->id.idiag_dst, 16);
    ++*count;
    return 0;
}

static int list_family(struct rtnl *s, int family, int protocol, uint32_t states,
                       struct diag_socket **out, size_t *count, struct nserr *e)
{
    struct {
        struct nlmsghdr h;
        struct inet_diag_req_v2 r;
    } request = {.h = {.nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY},
                 .r = {.sdiag_family = (uint8_t)family,
                       .sdiag_protocol = (uint8_t)protocol,
                       .idiag_states = states ? states : UINT32_MAX}};
    cleanup_bytes struct bytes all = {0};
    struct rtnl_fault f;
    int err = rtnl_dump(s, &request.h, &all, &f), left;

    if (err)
        return nserr_sys(e, f.code, "sockets", NULL);
    left = (int)all.len;
    for (struct nlmsghdr *h = (struct nlmsghdr *)all.data; nlmsg_ok(h, left);
         h = nlmsg_next(h, &left))
        if (append(h, protocol, out, count) != 0)
            return nserr_sys(e, ENOMEM, "sockets", NULL);
    return 0;
}

int diag_list(int nsfd, int protocol, uint32_t states, struct diag_socket **out, size_t *count,
              struct nserr *e)
{
    struct rtnl *s = rtnl_open(nsfd, NETLINK_SOCK_DIAG, e);
    int err;

    *out = NULL;
    *count = 0;
    if (!s)
        return -e->code;
    err = list_family(s, AF_INET, protocol, states, out, count, e);
    if (!err)
        err = list_family(s, AF_INET6, protocol, states, out, count, e);
    rtnl_close(s);
    if (err) {
        free(*out);
        *out = NULL;
    }
    return err;
}
