/* SPDX-License-Identifier: MIT
 * Decoding messages of nf_tables: a row says that this attribute is that Lua key. */
#include <endian.h>
#include <netinet/in.h> /* before linux/netfilter.h, which has the same names */
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "l_nft_event.h"

enum type {
    T_STR,
    T_U32, /* big endian, as all numbers of nf_tables */
    T_S32,
    T_U64,
    T_FLAGS,    /* arg: names of the bits */
    T_ENUM,     /* arg: names of the values */
    T_INLINE,   /* nested; arg: rows whose keys go to the same table */
    T_NAMES,    /* list of NFTA_DEVICE_NAME */
    T_VALUE,    /* NFTA_DATA_VALUE: raw bytes; or a verdict's name and chain */
    T_COMMENT,  /* arg: number of the comment's TLV in the user data */
    T_SETDATA,  /* user data of a set */
    T_ELEMENTS, /* list; arg: rows of one */
    T_EXPRS,    /* names of a rule's expressions */
};

struct row {
    uint16_t attr;
    uint8_t type;
    const char *key;
    const void *arg;
};

struct rows {
    const struct row *row;
    size_t count;
};

#define ROWS(list)                                                                                 \
    {                                                                                              \
        list, ARRAY_LEN(list)                                                                      \
    }

struct names {
    const char *const *name;
    size_t count;
};

/* User data is TLVs of a byte each; these numbers are libnftnl's. */
enum {
    UDATA_COMMENT = 0,
    UDATA_SET_MERGE = 2,
    UDATA_SET_KEY_TYPEOF = 3,
    UDATA_SET_DATA_TYPEOF = 4,
    UDATA_SET_COMMENT = 7
};
static const int udata_comment = UDATA_COMMENT;

// clang-format off
static const char *const table_flags[] = {"dormant", "owner", "persist"};
static const char *const chain_flags[] = {"base", "offload", "binding"};
static const char *const set_flags[] = {"anonymous", "constant", "interval", "map", "timeout",
                                        "dynamic", "object", "concat", "expr"};
static const char *const flowtable_flags[] = {"offload", "counter"};
static const char *const element_flags[] = {"interval_end", "catchall"};
static const char *const policies[] = {"drop", "accept"};
static const char *const set_policies[] = {"performance", "memory"};

#define NAMES(list) &(const struct names){list, ARRAY_LEN(list)}

static const struct row table_rows[] = {
    {NFTA_TABLE_NAME, T_STR, "name", NULL},
    {NFTA_TABLE_FLAGS, T_FLAGS, "flags", NAMES(table_flags)},
    {NFTA_TABLE_HANDLE, T_U64, "handle", NULL},
    {NFTA_TABLE_USERDATA, T_COMMENT, "comment", &udata_comment},
    {NFTA_TABLE_OWNER, T_U32, "owner", NULL},
};
static const struct row hook_rows[] = {
    {NFTA_HOOK_HOOKNUM, T_U32, "hooknum", NULL},
    {NFTA_HOOK_PRIORITY, T_S32, "prio", NULL},
    {NFTA_HOOK_DEV, T_STR, "dev", NULL},
    {NFTA_HOOK_DEVS, T_NAMES, "dev", NULL},
};
static const struct rows hook = ROWS(hook_rows);
static const struct row chain_rows[] = {
    {NFTA_CHAIN_TABLE, T_STR, "table", NULL},
    {NFTA_CHAIN_NAME, T_STR, "name", NULL},
    {NFTA_CHAIN_HANDLE, T_U64, "handle", NULL},
    {NFTA_CHAIN_TYPE, T_STR, "type", NULL},
    {NFTA_CHAIN_HOOK, T_INLINE, NULL, &hook},
    {NFTA_CHAIN_POLICY, T_ENUM, "policy", NAMES(policies)},
    {NFTA_CHAIN_FLAGS, T_FLAGS, "flags", NAMES(chain_flags)},
    {NFTA_CHAIN_USERDATA, T_COMMENT, "comment", &udata_comment},
};
static const struct row rule_rows[] = {
    {NFTA_RULE_TABLE, T_STR, "table", NULL},
    {NFTA_RULE_CHAIN, T_STR, "chain", NULL},
    {NFTA_RULE_HANDLE, T_U64, "handle", NULL},
    {NFTA_RULE_POSITION, T_U64, "position", NULL},
    {NFTA_RULE_USERDATA, T_COMMENT, "comment", &udata_comment},
    {NFTA_RULE_EXPRESSIONS, T_EXPRS, "expressions", NULL},
};
static const struct row desc_rows[] = {{NFTA_SET_DESC_SIZE, T_U32, "size", NULL}};
static const struct rows desc = ROWS(desc_rows);
static const struct row set_rows[] = {
    {NFTA_SET_TABLE, T_STR, "table", NULL},
    {NFTA_SET_NAME, T_STR, "name", NULL},
    {NFTA_SET_HANDLE, T_U64, "handle", NULL},
    {NFTA_SET_FLAGS, T_FLAGS, "flags", NAMES(set_flags)},
    {NFTA_SET_KEY_TYPE, T_U32, "key_type", NULL},
    {NFTA_SET_KEY_LEN, T_U32, "key_len", NULL},
    {NFTA_SET_DATA_LEN, T_U32, "data_len", NULL},
    {NFTA_SET_POLICY, T_ENUM, "policy", NAMES(set_policies)},
    {NFTA_SET_DESC, T_INLINE, NULL, &desc},
    {NFTA_SET_TIMEOUT, T_U64, "timeout_ms", NULL},
    {NFTA_SET_GC_INTERVAL, T_U32, "gc_interval_ms", NULL},
    {NFTA_SET_USERDATA, T_SETDATA, NULL, NULL},
};
static const struct row one_element_rows[] = {
    {NFTA_SET_ELEM_KEY, T_VALUE, "key", NULL},
    {NFTA_SET_ELEM_KEY_END, T_VALUE, "key_end", NULL},
    {NFTA_SET_ELEM_DATA, T_VALUE, "data", NULL},
    {NFTA_SET_ELEM_FLAGS, T_FLAGS, "flags", NAMES(element_flags)},
    {NFTA_SET_ELEM_TIMEOUT, T_U64, "timeout_ms", NULL},
    {NFTA_SET_ELEM_EXPIRATION, T_U64, "expires_ms", NULL},
    {NFTA_SET_ELEM_USERDATA, T_COMMENT, "comment", &udata_comment},
    {NFTA_SET_ELEM_OBJREF, T_STR, "object", NULL},
};
static const struct rows one_element = ROWS(one_element_rows);
static const struct row element_rows[] = {
    {NFTA_SET_ELEM_LIST_TABLE, T_STR, "table", NULL},
    {NFTA_SET_ELEM_LIST_SET, T_STR, "set", NULL},
    {NFTA_SET_ELEM_LIST_ELEMENTS, T_ELEMENTS, "elements", &one_element},
};
static const struct row object_rows[] = {
    {NFTA_OBJ_TABLE, T_STR, "table", NULL},
    {NFTA_OBJ_NAME, T_STR, "name", NULL},
    {NFTA_OBJ_HANDLE, T_U64, "handle", NULL},
    {NFTA_OBJ_USERDATA, T_COMMENT, "comment", &udata_comment},
};
static const struct row flow_hook_rows[] = {
    {NFTA_FLOWTABLE_HOOK_NUM, T_U32, "hooknum", NULL},
    {NFTA_FLOWTABLE_HOOK_PRIORITY, T_S32, "prio", NULL},
    {NFTA_FLOWTABLE_HOOK_DEVS, T_NAMES, "dev", NULL},
};
static const struct rows flow_hook = ROWS(flow_hook_rows);
static const struct row flowtable_rows[] = {
    {NFTA_FLOWTABLE_TABLE, T_STR, "table", NULL},
    {NFTA_FLOWTABLE_NAME, T_STR, "name", NULL},
    {NFTA_FLOWTABLE_HANDLE, T_U64, "handle", NULL},
    {NFTA_FLOWTABLE_FLAGS, T_FLAGS, "flags", NAMES(flowtable_flags)},
    {NFTA_FLOWTABLE_HOOK, T_INLINE, NULL, &flow_hook},
};
static const struct row generation_rows[] = {
    {NFTA_GEN_ID, T_U32, "id", NULL},
    {NFTA_GEN_PROC_PID, T_U32, "pid", NULL},
    {NFTA_GEN_PROC_NAME, T_STR, "process", NULL},
};

/* By message type. */
static const struct message {
    const char *kind, *event;
    struct rows rows;
} messages[] = {
    [NFT_MSG_NEWTABLE] = {"table", "new", ROWS(table_rows)},
    [NFT_MSG_DELTABLE] = {"table", "del", ROWS(table_rows)},
    [NFT_MSG_NEWCHAIN] = {"chain", "new", ROWS(chain_rows)},
    [NFT_MSG_DELCHAIN] = {"chain", "del", ROWS(chain_rows)},
    [NFT_MSG_NEWRULE] = {"rule", "new", ROWS(rule_rows)},
    [NFT_MSG_DELRULE] = {"rule", "del", ROWS(rule_rows)},
    [NFT_MSG_NEWSET] = {"set", "new", ROWS(set_rows)},
    [NFT_MSG_DELSET] = {"set", "del", ROWS(set_rows)},
    [NFT_MSG_NEWSETELEM] = {"element", "new", ROWS(element_rows)},
    [NFT_MSG_DELSETELEM] = {"element", "del", ROWS(element_rows)},
    [NFT_MSG_NEWGEN] = {"generation", "new", ROWS(generation_rows)},
    [NFT_MSG_NEWOBJ] = {"object", "new", ROWS(object_rows)},
    [NFT_MSG_DELOBJ] = {"object", "del", ROWS(object_rows)},
    [NFT_MSG_NEWFLOWTABLE] = {"flowtable", "new", ROWS(flowtable_rows)},
    [NFT_MSG_DELFLOWTABLE] = {"flowtable", "del", ROWS(flowtable_rows)},
};

static const char *const families[] = {
    [NFPROTO_INET] = "inet", [NFPROTO_IPV4] = "ip", [NFPROTO_ARP] = "arp",
    [NFPROTO_NETDEV] = "netdev", [NFPROTO_BRIDGE] = "bridge", [NFPROTO_IPV6] = "ip6",
};
static const char *const object_kinds[] = {
    [NFT_OBJECT_COUNTER] = "counter", [NFT_OBJECT_QUOTA] = "quota",
    [NFT_OBJECT_CT_HELPER] = "ct helper", [NFT_OBJECT_LIMIT] = "limit",
    [NFT_OBJECT_CONNLIMIT] = "ct count", [NFT_OBJECT_TUNNEL] = "tunnel",
    [NFT_OBJECT_CT_TIMEOUT] = "ct timeout", [NFT_OBJECT_SECMARK] = "secmark",
    [NFT_OBJECT_CT_EXPECT] = "ct expectation", [NFT_OBJECT_SYNPROXY] = "synproxy",
};
static const char *const hooks_inet[] = {"prerouting", "input", "forward", "output", "postrouting",
                                         "ingress"};
static const char *const hooks_netdev[] = {"ingress", "egress"};
static const char *const hooks_arp[] = {"input", "output", "forward"};
// clang-format on

static uint32_t get_u32(struct nlattr *a)
{
    return nla_len(a) >= 4 ? be32toh(nla_get_u32(a)) : 0;
}

static void push_text(lua_State *L, struct nlattr *a)
{
    lua_pushlstring(L, nla_data(a), strnlen(nla_data(a), (size_t)nla_len(a)));
}

static void push_u64(lua_State *L, struct nlattr *a)
{
    uint64_t value = 0;

    memcpy(&value, nla_data(a), nla_len(a) >= 8 ? 8 : 0);
    lua_pushinteger(L, (lua_Integer)be64toh(value));
}

/* A list of the bits' names; nil where none is set. */
static void push_flags(lua_State *L, uint32_t bits, const struct names *names)
{
    lua_Integer n = 0;

    if (!bits) {
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    for (size_t i = 0; i < names->count; i++) {
        if (!(bits & (1u << i)))
            continue;
        lua_pushstring(L, names->name[i]);
        lua_rawseti(L, -2, ++n);
    }
}

static void push_name(lua_State *L, uint32_t value, const struct names *names)
{
    if (value < names->count && names->name[value])
        lua_pushstring(L, names->name[value]);
    else
        lua_pushinteger(L, value);
}

static void push_device_names(lua_State *L, struct nlattr *list)
{
    struct nlattr *a;
    lua_Integer n = 0;
    int left;

    lua_newtable(L);
    nla_for_each_nested(a, list, left)
    {
        if (nla_type(a) != NFTA_DEVICE_NAME)
            continue;
        push_text(L, a);
        lua_rawseti(L, -2, ++n);
    }
}

/* The TLV `wanted` of user data, or NULL. */
static const unsigned char *find_udata(struct nlattr *a, int wanted, size_t *len)
{
    const unsigned char *at = nla_data(a), *end = at + nla_len(a);

    for (; end - at >= 2 && end - at >= 2 + at[1]; at += 2 + at[1]) {
        *len = at[1];
        if (at[0] == wanted)
            return at + 2;
    }
    return NULL;
}

static void push_comment(lua_State *L, struct nlattr *a, int wanted)
{
    size_t len;
    const unsigned char *text = find_udata(a, wanted, &len);

    if (text)
        lua_pushlstring(L, (const char *)text, strnlen((const char *)text, len));
    else
        lua_pushnil(L);
}

static void set_userdata(lua_State *L, struct nlattr *a)
{
    size_t len;

    push_comment(L, a, UDATA_SET_COMMENT);
    lua_setfield(L, -2, "comment");
    if (find_udata(a, UDATA_SET_MERGE, &len)) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "auto-merge");
    }
    if (find_udata(a, UDATA_SET_KEY_TYPEOF, &len) || find_udata(a, UDATA_SET_DATA_TYPEOF, &len)) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "typeof");
    }
}

static void push_verdict(lua_State *L, struct nlattr *verdict)
{
    struct nlattr *code = nla_find(nla_data(verdict), nla_len(verdict), NFTA_VERDICT_CODE);
    struct nlattr *chain = nla_find(nla_data(verdict), nla_len(verdict), NFTA_VERDICT_CHAIN);
    int32_t value = code ? (int32_t)get_u32(code) : 0;
    const char *name = value == NF_ACCEPT      ? "accept"
                       : value == NF_DROP      ? "drop"
                       : value == NFT_CONTINUE ? "continue"
                       : value == NFT_RETURN   ? "return"
                       : value == NFT_JUMP     ? "jump"
                       : value == NFT_GOTO     ? "goto"
                                               : "verdict";

    if (!chain) {
        lua_pushstring(L, name);
        return;
    }
    push_text(L, chain);
    lua_pushfstring(L, "%s %s", name, lua_tostring(L, -1));
    lua_remove(L, -2);
}

static void push_value(lua_State *L, struct nlattr *a)
{
    struct nlattr *value = nla_find(nla_data(a), nla_len(a), NFTA_DATA_VALUE);
    struct nlattr *verdict = nla_find(nla_data(a), nla_len(a), NFTA_DATA_VERDICT);

    if (verdict)
        push_verdict(L, verdict);
    else if (value)
        lua_pushlstring(L, nla_data(value), (size_t)nla_len(value));
    else
        lua_pushnil(L);
}

static void push_expressions(lua_State *L, struct nlattr *list)
{
    struct nlattr *a;
    lua_Integer n = 0;
    int left;

    lua_newtable(L);
    nla_for_each_nested(a, list, left)
    {
        struct nlattr *name = nla_find(nla_data(a), nla_len(a), NFTA_EXPR_NAME);
        if (!name)
            continue;
        push_text(L, name);
        lua_rawseti(L, -2, ++n);
    }
}

static void decode(lua_State *L, struct nlattr *attrs, int len, const struct rows *rows);

static void push_elements(lua_State *L, struct nlattr *list, const struct rows *rows)
{
    struct nlattr *a;
    lua_Integer n = 0;
    int left;

    lua_newtable(L);
    nla_for_each_nested(a, list, left)
    {
        lua_newtable(L);
        decode(L, nla_data(a), nla_len(a), rows);
        lua_rawseti(L, -2, ++n);
    }
}

/* Set the row's key (or keys) of the table at the top. */
static void decode_one(lua_State *L, struct nlattr *a, const struct row *row)
{
    switch ((enum type)row->type) {
    case T_STR:
        push_text(L, a);
        break;
    case T_U32:
        lua_pushinteger(L, get_u32(a));
        break;
    case T_S32:
        lua_pushinteger(L, (int32_t)get_u32(a));
        break;
    case T_U64:
        push_u64(L, a);
        break;
    case T_FLAGS:
        push_flags(L, get_u32(a), row->arg);
        break;
    case T_ENUM:
        push_name(L, get_u32(a), row->arg);
        break;
    case T_INLINE:
        decode(L, nla_data(a), nla_len(a), row->arg);
        return;
    case T_NAMES:
        push_device_names(L, a);
        break;
    case T_VALUE:
        push_value(L, a);
        break;
    case T_COMMENT:
        push_comment(L, a, *(const int *)row->arg);
        break;
    case T_SETDATA:
        set_userdata(L, a);
        return;
    case T_ELEMENTS:
        push_elements(L, a, row->arg);
        break;
    case T_EXPRS:
        push_expressions(L, a);
        break;
    }
    lua_setfield(L, -2, row->key);
}

/* Fill the table at the top. */
static void decode(lua_State *L, struct nlattr *attrs, int len, const struct rows *rows)
{
    struct nlattr *a;
    int left;

    luaL_checkstack(L, 8, "nf_tables message");
    nla_for_each_attr(a, attrs, len, left)
    {
        for (size_t i = 0; i < rows->count; i++)
            if (rows->row[i].attr == nla_type(a))
                decode_one(L, a, &rows->row[i]);
    }
}

static const char *name_at(const char *const *names, size_t count, uint32_t index)
{
    return index < count ? names[index] : NULL;
}

/* A hook's number means something else in each family. */
static void name_hook(lua_State *L, int family)
{
    const char *name = NULL;
    uint32_t number;

    if (lua_getfield(L, -1, "hooknum") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    number = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (family == NFPROTO_NETDEV)
        name = name_at(hooks_netdev, ARRAY_LEN(hooks_netdev), number);
    else if (family == NFPROTO_ARP)
        name = name_at(hooks_arp, ARRAY_LEN(hooks_arp), number);
    else
        name = name_at(hooks_inet, ARRAY_LEN(hooks_inet), number);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "hook");
    lua_pushnil(L);
    lua_setfield(L, -2, "hooknum");
}

static const char *kind_of(const struct message *m, struct nlattr *attrs, int len)
{
    struct nlattr *type;
    const char *kind;

    if (m->rows.row != object_rows)
        return m->kind;
    type = nla_find(attrs, len, NFTA_OBJ_TYPE);
    kind = type ? name_at(object_kinds, ARRAY_LEN(object_kinds), get_u32(type)) : NULL;
    return kind ? kind : m->kind;
}

bool l_nft_event(lua_State *L, struct nlmsghdr *h)
{
    struct nfgenmsg *gen = nlmsg_data(h);
    unsigned type = h->nlmsg_type & 0xff;
    struct nlattr *attrs;
    const char *family;
    int len;

    if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || type >= ARRAY_LEN(messages) ||
        !messages[type].kind || h->nlmsg_len < NLMSG_HDRLEN + sizeof(*gen))
        return false;
    attrs = nlmsg_attrdata(h, sizeof(*gen));
    len = nlmsg_attrlen(h, sizeof(*gen));
    lua_createtable(L, 0, 10);
    lua_pushstring(L, messages[type].event);
    lua_setfield(L, -2, "event");
    lua_pushstring(L, kind_of(&messages[type], attrs, len));
    lua_setfield(L, -2, "kind");
    family = name_at(families, ARRAY_LEN(families), gen->nfgen_family);
    lua_pushstring(L, family);
    lua_setfield(L, -2, "family");
    decode(L, attrs, len, &messages[type].rows);
    name_hook(L, gen->nfgen_family);
    return true;
}
