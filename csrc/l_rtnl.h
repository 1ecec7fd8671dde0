/* SPDX-License-Identifier: MIT
 * What the bindings of rtnetlink nouns share: a running operation, batches, devices by name. */
#ifndef NETNS_L_RTNL_H
#define NETNS_L_RTNL_H

#include "attrs.h"
#include "l_core.h"
#include "rtnl.h"

#define L_NOUN  "netns.Noun"
#define L_LINK  "netns.Link"
#define L_BATCH "netns.Batch"
#define L_BYTES "netns.Bytes"
#define L_LIST  "netns.List"

struct l_batch;

/* ns.route, link.addr, batch.route: a noun of a namespace, perhaps of one link, perhaps of a
 * batch. User values: 1 the Namespace, 2 the Batch. */
struct l_noun {
    const struct noun *noun;
    struct l_ns *ns;
    struct l_batch *batch;
    int ifindex; /* > 0: `dev` is filled in */
};

/* An operation while it runs: pure C from begin to end, so it lives on the stack. */
struct l_op {
    lua_State *L;
    const struct l_noun *n;
    struct nserr e;
    struct codec_enc enc;
    char name[40]; /* "route add" */
    char notes[NOUN_NOTES_MAX];
};

/* The state's message buffer. */
void l_op_open(lua_State *L);

/* Check `self` (open namespace, live batch) and push nothing. */
struct l_noun *l_noun_check(lua_State *L, int idx);
/* A verb's one argument is at 2 from here on, nil where it was left out; more are refused. */
void l_one_argument(lua_State *L, const struct noun *noun, const char *verb);
/* Push a noun of ns (at absolute ns_idx); batch_idx 0: none. */
void l_noun_push(lua_State *L, const struct noun *noun, int ns_idx, int batch_idx, int ifindex);
/* The noun of that name, or NULL. */
const struct noun *l_noun_by_name(const char *name);

/* The session, good until Lua runs (l_session). Raises. */
struct rtnl *l_op_session(struct l_op *op);
/* The session of the noun's own protocol; the former is for names of links. */
struct rtnl *l_op_wire(struct l_op *op);
/* Open the session and start; raises. */
void l_op_begin(struct l_op *op, lua_State *L, const struct l_noun *n, const char *verb,
                enum codec_verb kind);
/* Encode the table at idx as one message of `type`; 0 or -errno with op->e filled. */
int l_op_encode(struct l_op *op, int idx, int type, int flags);
/* The finished message. */
struct nlmsghdr *l_op_message(struct l_op *op);
/* What the kernel said, as op->e; idx: the operation's table, 0: none. Returns -errno. */
int l_op_fault(struct l_op *op, int idx, const struct rtnl_fault *f);
/* "no interface NAME" as op->e; returns -errno. */
int l_op_no_dev(struct l_op *op, const char *name, const struct rtnl_fault *f);
/* Raise op->e. */
int l_op_raise(struct l_op *op);
/* Table or shorthand string at idx becomes a table at idx. */
void l_op_argument(lua_State *L, int idx, const struct noun *noun, const char *op);
/* "10.0.0.0/24 via 10.0.0.2" from the table at idx. */
void l_describe(lua_State *L, int idx, const struct noun *noun, char *buf, size_t size);

/* Links by name and number: ifindex > 0 or -errno with the fault filled. */
int l_dev_index(struct rtnl *s, const char *name, struct rtnl_fault *f);
/* Name into buf: 0 or -errno. */
int l_dev_name(struct rtnl *s, int ifindex, char name[16]);
/* One link's message (by number, or 0 and name), into reply. */
int l_dev_get(struct rtnl *s, int ifindex, const char *name, bool stats, struct bytes *reply,
              struct rtnl_fault *f);

void l_decode_open(lua_State *L);
/* Bytes owned by a userdata on top of the stack. */
struct bytes *l_bytes(lua_State *L);

/* A decoder for messages of ns; pushes 3 slots (keys, names, names of devices). */
struct l_decoder {
    struct codec_dec dec;
    struct l_ns *ns;
    const char *only; /* the one key that is asked for, NULL: all */
    int devs, misses;
};
void l_decoder_begin(struct l_decoder *d, lua_State *L, struct l_ns *ns);
/* The same with the table of names at the top of the stack. */
void l_decoder_resume(struct l_decoder *d, lua_State *L, struct l_ns *ns);
/* Push the table of one message. */
void l_decode(struct l_decoder *d, const struct noun *noun, struct nlmsghdr *h);

/* l_batch.c: take the op's message; follow-ups count to the same operation. */
int l_batch_take(struct l_op *op, struct l_ns *target, bool first);
/* The same for a message h of another protocol than the noun's. */
int l_batch_append(struct l_op *op, struct l_ns *target, int protocol, const struct nlmsghdr *h,
                   bool first);
/* codec_enc.dev_index for a batch: as the batch has it in mind. */
int l_batch_dev_index(struct codec_enc *enc, const char *name);
/* Keep the Namespace at the top (if it is one) until the batch at batch_idx is sent. */
void l_batch_keep(lua_State *L, int batch_idx);
void l_batch_note_link(struct l_op *op, int idx);
int l_batch_alive(const struct l_batch *b);
/* Send what was collected: 0, or -errno with op->e filled. */
int l_batch_flush(struct l_op *op);

/* l_tun.c: the tun link that the table at idx describes, with what stands beside. 0 or -errno;
 * *made if the link is there then. */
int l_tun_add(struct l_op *op, int idx, bool *made);

/* l_wireguard.c: the requests that set WireGuard's options of the link that the table at idx
 * describes (ifindex or name: which, if it is there). Pushes *out's owner;
 * *out is NULL (and nothing pushed) where there are none. 0 or -errno with op->e filled. */
int l_wireguard_encode(struct l_op *op, int idx, int ifindex, const char *name, struct bytes **out);
/* Send them to the link, which is in ns. 0 or -errno with op->e filled. */
int l_wireguard_send(struct l_op *op, int idx, struct l_ns *ns, int ifindex,
                     struct bytes *messages);
/* Put them into the batch: there the link is told by its name. */
int l_wireguard_batch(struct l_op *op, struct l_ns *ns, struct bytes *messages);
/* What such a message is about, into object, and the key that the fault points at, or NULL. */
const char *l_wireguard_describe(const struct nlmsghdr *h, const struct rtnl_fault *f, char *object,
                                 size_t size);
/* Is the key one of WireGuard's? */
bool l_wireguard_knows(const char *key);
/* Add the options to the link's table at the top. */
void l_wireguard_decode(struct l_decoder *d, int ifindex);

/* Push the list of what the filter at 2 asks the noun at 1 for; verb: what messages call it. */
void l_list(lua_State *L, const char *verb);
/* l_tc.c: a dump of what the kernel lists for one device, or parent, at a time. */
int l_tc_dump(struct l_op *op, struct nlmsghdr *request, struct bytes *all, struct rtnl_fault *f);
/* The messages in reverse order: what stands on something goes before it. 0 or -ENOMEM. */
int l_tc_reverse(struct bytes *all);
/* The iterator over the list of the noun at 1, filtered by 2. */
int l_tc_each(lua_State *L);
/* Lay the table at idx over what is listed of the object that it names. */
void l_tc_merge(struct l_op *op, int idx);

void l_verb_open(lua_State *L); /* adds add, replace, set ... to the noun's methods on top */
void l_list_open(lua_State *L); /* adds list, each, flush to the noun's methods on top */
/* Change a link as the table at idx says, all or nothing. 0 or -errno with op->e filled (and *f, if
 * the kernel said it). The stack may hold more than before. */
int l_link_change(struct l_op *op, int idx, struct rtnl_fault *f);
/* Push a Link; the Namespace is at absolute ns_idx. */
void l_link_push(lua_State *L, int ns_idx, int ifindex);

#endif
