/* SPDX-License-Identifier: MIT
 * What namespaces are called in one another: link messages name a namespace by an id that is the
 * link's namespace's own. */
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "l_rtnl.h"

/* core.nsid(ns, other): the id that `other` has in ns; nil where it has none. */
static int l_nsid(lua_State *L)
{
    _Alignas(struct nlmsghdr) char buf[64] = "";
    struct codec_msg m = {.buf = buf, .cap = sizeof(buf)};
    struct l_ns *ns = l_ns_check(L, 1), *other = l_ns_check(L, 2);
    struct nlmsghdr *h = codec_reserve(&m, NLMSG_HDRLEN);
    struct bytes *reply = l_bytes(L);
    struct rtnl_fault f;
    struct nlattr *id;
    struct nserr e;
    struct rtnl *s = l_session(L, ns, &e);

    if (!s)
        return l_raise(L, &e);
    codec_reserve(&m, sizeof(struct rtgenmsg));
    codec_put_u32(&m, NETNSA_FD, (uint32_t)other->fd);
    h->nlmsg_type = RTM_GETNSID;
    h->nlmsg_len = (uint32_t)m.len;
    if (rtnl_get(s, h, reply, &f) != 0) {
        nserr_sys(&e, f.code, "nsid", "%s", other->label);
        nserr_context(&e, NULL, NULL, ns->label);
        return l_raise(L, &e);
    }
    id = nlmsg_find_attr((struct nlmsghdr *)reply->data, sizeof(struct rtgenmsg), NETNSA_NSID);
    if (id && nla_len(id) >= 4 && nla_get_s32(id) >= 0)
        lua_pushinteger(L, nla_get_s32(id));
    else
        lua_pushnil(L);
    return 1;
}

void l_nsid_open(lua_State *L)
{
    lua_pushcfunction(L, l_nsid);
    lua_setfield(L, -2, "nsid");
}
