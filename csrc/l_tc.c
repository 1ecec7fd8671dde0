/* SPDX-License-Identifier: MIT
 * Traffic control: listings that the kernel gives in pieces, and changes that tell everything.
 *
 * Theory of operation: the kernel lists classes of one device, and filters of one parent. The
 * qdiscs tell where to look. A change replaces all options of most qdiscs; so that `set` changes
 * what it is given, the rest comes from the listing. In a batch what was collected is sent before.
 */
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "l_rtnl.h"

/* Pieces ------------------------------------------------------------------------------------------
 */

static const struct tcmsg *tc_of(const struct nlmsghdr *h)
{
    return nlmsg_data((struct nlmsghdr *)h);
}

static int dump_piece(struct rtnl *s, struct nlmsghdr *request, struct bytes *piece,
                      struct bytes *all, struct rtnl_fault *f)
{
    int err = rtnl_dump(s, request, piece, f);

    if (err == -ENODEV || err == -EINVAL || err == -ENOENT) /* gone in the meantime */
        return 0;
    if (!err && bytes_append(all, piece->data, piece->len) != 0) {
        *f = (struct rtnl_fault){.code = ENOMEM};
        err = -ENOMEM;
    }
    return err;
}

/* The dumps that one listing is made of. */
struct pieces {
    struct rtnl *s;
    struct nlmsghdr *request;
    struct bytes *all;
    struct rtnl_fault *f;
    struct bytes piece;
    int dev; /* only of this device; 0: of all */
};

static void free_pieces(struct pieces *p)
{
    bytes_free(&p->piece);
}

static int ask(struct pieces *p, int dev, uint32_t parent)
{
    struct tcmsg *asked = nlmsg_data(p->request);

    asked->tcm_ifindex = dev;
    asked->tcm_parent = parent;
    return dump_piece(p->s, p->request, &p->piece, p->all, p->f);
}

static bool is_kind(const struct nlmsghdr *h, const char *kind)
{
    struct nlattr *a = noun_attr(&noun_qdisc, h, TCA_KIND);

    return a && !strncmp(nla_data(a), kind, (size_t)nla_len(a));
}

static int dump_all(struct rtnl *s, int type, int dev, struct bytes *out, struct rtnl_fault *f)
{
    _Alignas(struct nlmsghdr) char buf[NLMSG_LENGTH(sizeof(struct tcmsg))] = "";
    struct nlmsghdr *h = (struct nlmsghdr *)buf;

    h->nlmsg_len = sizeof(buf);
    h->nlmsg_type = (uint16_t)type;
    ((struct tcmsg *)nlmsg_data(h))->tcm_ifindex = dev;
    return rtnl_dump(s, h, out, f);
}

/* Only htb and hfsc have filters at each class. */
static int dump_class_filters(struct pieces *p, const struct nlmsghdr *qdisc)
{
    cleanup_bytes struct bytes classes = {0};
    int dev = tc_of(qdisc)->tcm_ifindex, left, err;

    if (!is_kind(qdisc, "htb") && !is_kind(qdisc, "hfsc"))
        return 0;
    err = dump_all(p->s, RTM_GETTCLASS, dev, &classes, p->f);
    left = (int)classes.len;
    for (struct nlmsghdr *h = (struct nlmsghdr *)classes.data; !err && nlmsg_ok(h, left);
         h = nlmsg_next(h, &left))
        if (h->nlmsg_type == RTM_NEWTCLASS && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct tcmsg)) &&
            TC_H_MAJ(tc_of(h)->tcm_handle) == tc_of(qdisc)->tcm_handle &&
            tc_of(h)->tcm_handle != tc_of(qdisc)->tcm_handle)
            err = ask(p, dev, tc_of(h)->tcm_handle);
    return err;
}

static int dump_filters(struct pieces *p, const struct nlmsghdr *qdisc)
{
    int dev = tc_of(qdisc)->tcm_ifindex, err;

    if (is_kind(qdisc, "clsact") || is_kind(qdisc, "ingress")) {
        err = ask(p, dev, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS));
        return err || is_kind(qdisc, "ingress")
                   ? err
                   : ask(p, dev, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
    }
    if (!tc_of(qdisc)->tcm_handle) /* what the kernel made by itself has none */
        return 0;
    err = ask(p, dev, tc_of(qdisc)->tcm_handle);
    return err ? err : dump_class_filters(p, qdisc);
}

static int dump_pieces(struct pieces *p)
{
    cleanup_bytes struct bytes qdiscs = {0};
    bool classes = p->request->nlmsg_type == RTM_GETTCLASS;
    int err = dump_all(p->s, RTM_GETQDISC, 0, &qdiscs, p->f), left = (int)qdiscs.len, last = 0;

    for (struct nlmsghdr *h = (struct nlmsghdr *)qdiscs.data; !err && nlmsg_ok(h, left);
         h = nlmsg_next(h, &left)) {
        int dev;

        if (h->nlmsg_type != RTM_NEWQDISC || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct tcmsg)))
            continue;
        dev = tc_of(h)->tcm_ifindex;
        if (p->dev && dev != p->dev)
            continue;
        if (!classes)
            err = dump_filters(p, h);
        else if (dev != last)
            err = ask(p, dev, 0);
        last = dev;
    }
    return err;
}

int l_tc_dump(struct l_op *op, struct nlmsghdr *request, struct bytes *all, struct rtnl_fault *f)
{
    __attribute__((cleanup(free_pieces))) struct pieces p = {
        .request = request, .all = all, .f = f};
    const struct tcmsg *asked = tc_of(request);

    p.s = l_op_session(op); /* may raise: nothing is owned yet */
    p.dev = asked->tcm_ifindex;
    if (p.dev && (request->nlmsg_type == RTM_GETTCLASS || asked->tcm_parent))
        return rtnl_dump(p.s, request, all, f);
    return dump_pieces(&p);
}

int l_tc_reverse(struct bytes *all)
{
    struct bytes turned = {0};
    int left = (int)all->len;
    size_t end;

    if (bytes_reserve(&turned, all->len) != 0)
        return -ENOMEM;
    end = turned.len = all->len;
    for (struct nlmsghdr *h = (struct nlmsghdr *)all->data; nlmsg_ok(h, left);
         h = nlmsg_next(h, &left)) {
        end -= NLMSG_ALIGN(h->nlmsg_len);
        memcpy(turned.data + end, h, NLMSG_ALIGN(h->nlmsg_len));
    }
    bytes_free(all);
    *all = turned;
    return 0;
}

/* Upvalues: the list, the position. */
static int l_tc_next(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(2)) + 1;

    lua_pushinteger(L, i);
    lua_replace(L, lua_upvalueindex(2));
    lua_rawgeti(L, lua_upvalueindex(1), i);
    return 1;
}

int l_tc_each(lua_State *L)
{
    lua_getfield(L, 1, "list");
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, l_tc_next, 2);
    return 1;
}

/* Changes ------------------------------------------------------------------------------------ */

static bool names_object(const struct noun *noun, const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(noun->ident) && noun->ident[i]; i++)
        if (!strcmp(noun->ident[i], key))
            return true;
    return false;
}

/* Push what is listed of the object that the table at idx names, or nil. */
static void push_listed(struct l_op *op, int idx)
{
    lua_State *L = op->L;

    lua_getiuservalue(L, 1, 1);
    l_noun_push(L, op->n->noun, lua_gettop(L), 0, op->n->ifindex);
    lua_remove(L, -2);
    lua_getfield(L, -1, "list");
    lua_insert(L, -2);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !names_object(op->n->noun, lua_tostring(L, -2)))
            continue;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_call(L, 2, 1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
}

/* Take out of the table at the top what the key given now says otherwise. */
static void drop_other_ways(lua_State *L, const struct noun *noun, const char *key)
{
    for (size_t i = 0; noun->instead && noun->instead[i][0]; i++) {
        if (strcmp(noun->instead[i][0], key) != 0)
            continue;
        lua_pushnil(L);
        lua_setfield(L, -2, noun->instead[i][1]);
    }
}

void l_tc_merge(struct l_op *op, int idx)
{
    lua_State *L = op->L;
    const struct noun *noun = op->n->noun;

    if (op->n->batch && l_batch_flush(op) != 0)
        l_op_raise(op);
    push_listed(op, idx);
    if (!lua_istable(L, -1)) { /* the kernel says what is missing */
        lua_pop(L, 1);
        return;
    }
    for (lua_pushnil(L); lua_next(L, -2);) {
        const struct codec_row *row = codec_row_of(noun->schema, lua_tostring(L, -2));

        lua_pop(L, 1);
        if (!row || !(row->flags & ROW_RO))
            continue;
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING) {
            const char *key = lua_tostring(L, -2);
            lua_pushvalue(L, -3);
            drop_other_ways(L, noun, key);
            lua_pop(L, 1);
        }
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_replace(L, idx);
}
