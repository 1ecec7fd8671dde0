/* SPDX-License-Identifier: MIT
 * netns.Batch: many changes of one namespace in one round trip.
 *
 * Theory of operation: operations append their messages to one buffer; messages for another
 * namespace (a veth's far end) wait in a buffer of their own. Nothing is sent before the
 * function returns, with one exception: a name that is not known yet may belong to a link that
 * is only in the buffer; then what is there is sent, and the kernel asked. Failures are kept by
 * the position of their operation. */
#include <stdio.h>
#include <string.h>

#include "l_rtnl.h"

#define DEVS_MAX     64
#define FAILURES_MAX 1000

struct batch_dev {
    char name[16];
    int ifindex;
};

/* Messages for one namespace, by one protocol. */
struct outbox {
    struct l_ns *ns;
    int protocol;
    struct bytes messages;
    struct bytes origins; /* struct origin, one for each message */
    size_t count;
};

struct origin {
    uint32_t operation; /* from 1 */
    uint32_t verb;      /* index into verb_names */
    const struct noun *noun;
    size_t offset;
};

struct failure {
    struct origin origin;
    int protocol;
    struct rtnl_fault fault;
    struct l_ns *ns;
    uint32_t len; /* of a copy of the message, for its description */
    char *message;
};

/* User values: 1 the Namespace, 2 the nouns made so far, 3 Namespaces that messages name. */
struct l_batch {
    struct l_ns *ns;
    bool alive, has_links;
    uint32_t operations;
    struct outbox own;
    struct outbox *others; /* their Namespaces are kept, see l_batch_keep */
    size_t others_count;
    struct batch_dev devs[DEVS_MAX];
    size_t devs_count;
    struct bytes failures; /* struct failure */
    size_t failed, sent;
    char verbs[8][12];
};

int l_batch_alive(const struct l_batch *b)
{
    return b->alive;
}

/* Sending ----------------------------------------------------------------------------------- */

struct delivery {
    struct l_batch *batch;
    struct outbox *box;
};

static void keep_failure(void *arg, size_t number, const struct rtnl_fault *f)
{
    struct delivery *d = arg;
    const struct origin *origin = (const struct origin *)d->box->origins.data + number;
    struct nlmsghdr *h = (struct nlmsghdr *)(d->box->messages.data + origin->offset);
    struct failure failure = {
        .origin = *origin, .protocol = d->box->protocol, .fault = *f, .ns = d->box->ns};

    d->batch->failed++;
    if (d->batch->failures.len / sizeof(failure) >= FAILURES_MAX)
        return;
    failure.message = malloc(h->nlmsg_len);
    if (failure.message) {
        failure.len = h->nlmsg_len;
        memcpy(failure.message, h, h->nlmsg_len);
    }
    if (bytes_append(&d->batch->failures, &failure, sizeof(failure)) != 0)
        free(failure.message);
}

static int deliver(lua_State *L, struct l_batch *b, struct outbox *box, struct nserr *e)
{
    struct delivery d = {b, box};
    struct rtnl_fault f;
    struct rtnl *s;
    size_t done = 0;
    int err;

    if (!box->count)
        return 0;
    if (box->ns->fd < 0)
        return nserr_arg(e, "batch: a namespace it concerns was closed meanwhile");
    s = l_session_of(L, box->ns, box->protocol, e);
    if (!s)
        return -EIO;
    err = rtnl_batch(s, box->messages.data, box->messages.len, box->count, keep_failure, &d, &done,
                     &f);
    b->sent += done;
    box->messages.len = box->origins.len = box->count = 0;
    if (!err)
        return 0;
    nserr_sys(e, f.code, "batch", NULL);
    snprintf(e->kernel, sizeof(e->kernel),
             "the conversation broke after %zu messages; what became of the rest is not known",
             done);
    return err;
}

void l_batch_keep(lua_State *L, int batch_idx)
{
    if (!luaL_testudata(L, -1, L_NAMESPACE))
        return;
    if (lua_getiuservalue(L, batch_idx, 3) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, batch_idx, 3);
    }
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* A message that names a closed namespace names whatever has its descriptor by now. */
static int check_kept(lua_State *L, int batch_idx, struct nserr *e)
{
    int top = lua_gettop(L), err = 0;

    if (lua_getiuservalue(L, batch_idx, 3) == LUA_TTABLE)
        for (lua_pushnil(L); !err && lua_next(L, top + 1); lua_pop(L, err ? 0 : 1))
            if (((struct l_ns *)lua_touserdata(L, -2))->fd < 0)
                err = nserr_arg(e, "batch: %s, which an operation names, was closed meanwhile",
                                ((struct l_ns *)lua_touserdata(L, -2))->label);
    lua_settop(L, top);
    return err;
}

static int flush(lua_State *L, int batch_idx, struct l_batch *b, struct nserr *e)
{
    int err = check_kept(L, batch_idx, e);

    if (!err)
        err = deliver(L, b, &b->own, e);

    for (size_t i = 0; !err && i < b->others_count; i++)
        err = deliver(L, b, &b->others[i], e);
    b->has_links = false;
    return err;
}

/* Collecting -------------------------------------------------------------------------------- */

static struct outbox *outbox_for(struct l_batch *b, struct l_ns *ns, int protocol)
{
    struct outbox *grown;

    if (!ns)
        ns = b->ns;
    if (ns == b->ns && protocol == NETLINK_ROUTE)
        return &b->own;
    for (size_t i = 0; i < b->others_count; i++)
        if (b->others[i].ns == ns && b->others[i].protocol == protocol)
            return &b->others[i];
    grown = realloc(b->others, (b->others_count + 1) * sizeof(*grown));
    if (!grown)
        return NULL;
    b->others = grown;
    grown[b->others_count] = (struct outbox){.ns = ns, .protocol = protocol};
    return &grown[b->others_count++];
}

static uint32_t verb_number(struct l_batch *b, const char *name)
{
    uint32_t i = 0;

    while (i < ARRAY_LEN(b->verbs) - 1 && *b->verbs[i] && strcmp(b->verbs[i], name) != 0)
        i++;
    snprintf(b->verbs[i], sizeof(b->verbs[i]), "%s", name);
    return i;
}

int l_batch_append(struct l_op *op, struct l_ns *target, int protocol, const struct nlmsghdr *h,
                   bool first)
{
    struct l_batch *b = op->n->batch;
    struct outbox *box = outbox_for(b, target, protocol);
    struct origin origin = {.noun = op->n->noun, .verb = verb_number(b, strchr(op->name, ' ') + 1)};

    if (first)
        b->operations++;
    origin.operation = b->operations;
    if (!box)
        return nserr_sys(&op->e, ENOMEM, "batch", NULL);
    origin.offset = box->messages.len;
    if (bytes_append(&box->origins, &origin, sizeof(origin)) != 0)
        return nserr_sys(&op->e, ENOMEM, "batch", NULL);
    if (bytes_append(&box->messages, h, NLMSG_ALIGN(h->nlmsg_len)) != 0) {
        box->origins.len -= sizeof(origin);
        return nserr_sys(&op->e, ENOMEM, "batch", NULL);
    }
    box->count++;
    return 0;
}

int l_batch_take(struct l_op *op, struct l_ns *target, bool first)
{
    return l_batch_append(op, target, op->n->noun->protocol, l_op_message(op), first);
}

static void remember(struct l_batch *b, const char *name, int ifindex)
{
    if (strlen(name) >= sizeof(b->devs[0].name))
        return;
    if (b->devs_count == DEVS_MAX)
        b->devs_count = 0;
    snprintf(b->devs[b->devs_count].name, sizeof(b->devs[0].name), "%s", name);
    b->devs[b->devs_count++].ifindex = ifindex;
}

/* A link with an index chosen in the batch is known from then on; every other change of links
 * makes what was known of names doubtful. */
void l_batch_note_link(struct l_op *op, int idx)
{
    struct l_batch *b = op->n->batch;
    const char *name = NULL;
    int ifindex = 0;

    b->has_links = true;
    if (op->enc.verb != CODEC_ADD) {
        b->devs_count = 0;
        return;
    }
    if (codec_field(op->L, idx, "name")) {
        name = lua_tostring(op->L, -1);
        lua_pop(op->L, 1);
    }
    if (codec_field(op->L, idx, "index")) {
        ifindex = (int)lua_tointeger(op->L, -1);
        lua_pop(op->L, 1);
    }
    if (name && ifindex > 0)
        remember(b, name, ifindex);
}

int l_batch_flush(struct l_op *op)
{
    struct l_batch *b = op->n->batch;
    int err;

    lua_getiuservalue(op->L, 1, 2); /* the batch, of the noun */
    err = flush(op->L, lua_gettop(op->L), b, &op->e);
    lua_pop(op->L, 1);
    return err;
}

int l_batch_dev_index(struct codec_enc *enc, const char *name)
{
    struct l_op *op = enc->arg;
    struct l_batch *b = op->n->batch;
    struct rtnl_fault f;
    struct rtnl *s;
    int index, err;

    for (size_t i = b->devs_count; i-- > 0;)
        if (!strcmp(b->devs[i].name, name))
            return b->devs[i].ifindex;
    if (b->has_links) {
        err = l_batch_flush(op);
        if (err)
            return err;
    }
    s = l_session(op->L, b->ns, &op->e);
    if (!s)
        return -EIO;
    index = l_dev_index(s, name, &f);
    if (index < 0)
        return l_op_no_dev(op, name, &f);
    remember(b, name, index);
    return index;
}

/* The error ----------------------------------------------------------------------------------- */

/* Push the failure as a table like a netns.Error, with `index`, its operation's position. */
static void push_failure(lua_State *L, const struct l_batch *b, const struct failure *failure,
                         int decoder_ok)
{
    const struct noun *noun = failure->origin.noun;
    struct nlmsghdr *h = (struct nlmsghdr *)failure->message;
    struct l_decoder d;
    struct nserr e;
    const char *key = NULL;
    char object[160] = "";

    if (h && failure->protocol == NETLINK_GENERIC) {
        key = l_wireguard_describe(h, &failure->fault, object, sizeof(object));
    } else if (decoder_ok && failure->ns->fd >= 0 && h) {
        int top = lua_gettop(L);
        l_decoder_begin(&d, L, failure->ns);
        l_decode(&d, noun, h);
        l_describe(L, lua_gettop(L), noun, object, sizeof(object));
        lua_settop(L, top);
        if (failure->fault.offset)
            key = codec_key_at(noun->schema, h, failure->fault.offset);
    }
    nserr_sys(&e, failure->fault.code, noun->name, "%s", object);
    snprintf(e.op, sizeof(e.op), "%s %s", noun->name, b->verbs[failure->origin.verb]);
    snprintf(e.kernel, sizeof(e.kernel), "%s", failure->fault.text);
    snprintf(e.attr, sizeof(e.attr), "%s", key ? key : "");
    snprintf(e.netns, sizeof(e.netns), "%s", failure->ns->label);
    l_push_error(L, &e);
    lua_pushinteger(L, failure->origin.operation);
    lua_setfield(L, -2, "index");
}

/* Raise the first failure, with all of them in `failures`. */
static int raise_failures(lua_State *L, struct l_batch *b)
{
    const struct failure *list = (const struct failure *)b->failures.data;
    size_t kept = b->failures.len / sizeof(*list);

    if (!kept)
        return luaL_error(L, "not enough memory");
    push_failure(L, b, &list[0], 1);
    lua_pushfstring(L, "operation %d of %d failed; %d of %d messages were done, %d failed",
                    (int)list[0].origin.operation, (int)b->operations, (int)(b->sent - b->failed),
                    (int)b->sent, (int)b->failed);
    lua_setfield(L, -2, "batch");
    lua_createtable(L, (int)kept, 0);
    for (size_t i = 0; i < kept; i++) {
        push_failure(L, b, &list[i], 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "failures");
    lua_pushinteger(L, (lua_Integer)b->failed);
    lua_setfield(L, -2, "failed");
    lua_pushinteger(L, (lua_Integer)(b->sent - b->failed));
    lua_setfield(L, -2, "done");
    return lua_error(L);
}

/* The class ----------------------------------------------------------------------------------- */

static void free_outbox(struct outbox *box)
{
    bytes_free(&box->messages);
    bytes_free(&box->origins);
    box->count = 0;
}

static int l_batch__gc(lua_State *L)
{
    struct l_batch *b = luaL_checkudata(L, 1, L_BATCH);
    struct failure *list = (struct failure *)b->failures.data;

    b->alive = false;
    free_outbox(&b->own);
    for (size_t i = 0; i < b->others_count; i++)
        free_outbox(&b->others[i]);
    free(b->others);
    b->others = NULL;
    b->others_count = 0;
    for (size_t i = 0; i < b->failures.len / sizeof(*list); i++)
        free(list[i].message);
    bytes_free(&b->failures);
    return 0;
}

/* ns:batch(fn): fn(b) collects; then all is sent. Returns the number of operations. */
static int l_ns_batch(lua_State *L)
{
    struct l_ns *ns = l_ns_check(L, 1);
    struct l_batch *b;
    struct nserr e;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    b = l_object(L, sizeof(*b), L_BATCH, 3);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 3, 1);
    b->ns = b->own.ns = ns;
    b->alive = true;
    lua_toclose(L, 3);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_call(L, 1, 0);
    b->alive = false;
    if (flush(L, 3, b, &e) != 0) {
        nserr_context(&e, "batch", NULL, ns->label);
        return l_raise(L, &e);
    }
    if (b->failed)
        return raise_failures(L, b);
    lua_pushinteger(L, b->operations);
    return 1;
}

/* b.route and so on, made once. */
static int l_batch__index(lua_State *L)
{
    const struct noun *noun;
    const char *key;

    luaL_checkudata(L, 1, L_BATCH);
    lua_settop(L, 2);
    if (lua_getiuservalue(L, 1, 2) != LUA_TTABLE) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, 2);
        lua_replace(L, 3);
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, 3) != LUA_TNIL)
        return 1;
    key = luaL_tolstring(L, 2, NULL);
    noun = l_noun_by_name(key);
    if (!noun)
        return l_misuse(L, "a batch has no noun \"%s\"", key);
    lua_getiuservalue(L, 1, 1);
    l_noun_push(L, noun, lua_gettop(L), 1, 0);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 3);
    return 1;
}

void l_batch_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__gc", l_batch__gc}, {"__close", l_batch__gc}, {"__index", l_batch__index}, {NULL, NULL}};

    l_class(L, L_BATCH, NULL, meta);
    lua_getfield(L, -1, "Namespace");
    lua_pushcfunction(L, l_ns_batch);
    lua_setfield(L, -2, "batch");
    lua_pop(L, 1);
}
