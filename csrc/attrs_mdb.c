/* SPDX-License-Identifier: MIT
 * Multicast groups of bridges: what `bridge mdb` says of one (bridge(8)), as rows.
 *
 * Theory of operation: a listing comes in other attributes than a request has, many groups in one
 * message. explode() makes of each the request that would make it, with what only listings tell
 * in attributes from LISTED on; so the rows are those of requests. */
#include <arpa/inet.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "attrs.h"

/* of kernels newer than the headers */
#define ATTR_SRC_LIST   2
#define ATTR_GROUP_MODE 3
#define ATTR_RTPROT     4
#define SRC_LIST_ENTRY  1
#define SRC_ADDRESS     1
/* what a listing tells besides: LISTED + MDBA_MDB_EATTR_* */
#define LISTED 64

#define SOURCES_MAX 256

static struct br_mdb_entry *entry_of(struct codec_enc *enc)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, MDBA_SET_ENTRY);

    return a ? nla_data(a) : codec_put(&enc->m, MDBA_SET_ENTRY, NULL, sizeof(struct br_mdb_entry));
}

/* grp: an IP address, or a link-layer address for groups of other protocols */
static int encode_group(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] =
        "a multicast address such as \"239.1.1.1\" or \"01:00:5e:01:01:01\"";
    struct br_mdb_entry *e = codec_header(enc);
    const char *text = codec_text(enc, row->key, wanted);
    unsigned char addr[16];
    unsigned mac[6];
    int family, end = 0;

    if (!text)
        return -EINVAL;
    family = codec_parse_ip(text, addr);
    if (family == AF_INET) {
        memcpy(&e->addr.u.ip4, addr, 4);
        e->addr.proto = htons(ETH_P_IP);
    } else if (family == AF_INET6) {
        memcpy(&e->addr.u.ip6, addr, 16);
        e->addr.proto = htons(ETH_P_IPV6);
    } else if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &mac[0], &mac[1], &mac[2], &mac[3],
                      &mac[4], &mac[5], &end) == 6 &&
               !text[end]) {
        for (int i = 0; i < 6; i++)
            e->addr.u.mac_addr[i] = (unsigned char)mac[i];
    } else {
        return codec_bad(enc, row->key, wanted);
    }
    return 0;
}

static void decode_group(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct br_mdb_entry *e = (const struct br_mdb_entry *)dec->header;

    (void)a;
    if (e->addr.proto == htons(ETH_P_IP))
        codec_push_ip(dec->L, AF_INET, &e->addr.u.ip4);
    else if (e->addr.proto == htons(ETH_P_IPV6))
        codec_push_ip(dec->L, AF_INET6, &e->addr.u.ip6);
    else
        codec_push_lladdr(dec->L, e->addr.u.mac_addr, 6);
    codec_set_name(dec, row->key);
}
static const struct codec_custom group = {encode_group, decode_group};

/* source_list: addresses, each in a nest */
static int encode_sources(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a list of at most 256 IP addresses";
    size_t list, mark, n;
    unsigned char addr[16];

    if (lua_type(enc->L, -1) != LUA_TTABLE || (n = lua_rawlen(enc->L, -1)) > SOURCES_MAX)
        return codec_bad(enc, row->key, wanted);
    list = codec_nest(&enc->m, row->attr | NLA_F_NESTED);
    for (size_t i = 1; i <= n; i++) {
        int family = 0;

        if (lua_rawgeti(enc->L, -1, (lua_Integer)i) == LUA_TSTRING)
            family = codec_parse_ip(lua_tostring(enc->L, -1), addr);
        if (!family)
            return codec_bad(enc, row->key, wanted);
        lua_pop(enc->L, 1);
        mark = codec_nest(&enc->m, SRC_LIST_ENTRY | NLA_F_NESTED);
        codec_put(&enc->m, SRC_ADDRESS, addr, family == AF_INET ? 4 : 16);
        codec_nest_end(&enc->m, mark);
    }
    codec_nest_end(&enc->m, list);
    return 0;
}

static void decode_sources(struct codec_dec *dec, const struct codec_row *row, struct nlattr *list)
{
    struct nlattr *entry, *a;
    lua_Integer n = 0;
    int left;

    lua_newtable(dec->L);
    nla_for_each_nested(entry, list, left)
    {
        a = nla_find(nla_data(entry), nla_len(entry), SRC_ADDRESS);
        if (!a || (nla_len(a) != 4 && nla_len(a) != 16))
            continue;
        codec_push_ip(dec->L, nla_len(a) == 4 ? AF_INET : AF_INET6, nla_data(a));
        lua_rawseti(dec->L, -2, ++n);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom sources = {encode_sources, decode_sources};

static const struct codec_name states[] = {{MDB_TEMPORARY, "temp"}, {MDB_PERMANENT, "permanent"}};
static const struct codec_names names_state = NAMES("a state of a multicast group", states);
static const struct codec_name modes[] = {{0, "exclude"}, {1, "include"}};
static const struct codec_names names_mode = NAMES("a filter mode", modes);

#define ENTRY(field) offsetof(struct br_mdb_entry, field)

// clang-format off
static const struct codec_row entry_rows[] = {
    DEV("port", ENTRY(ifindex), .flags = ROW_HDR),
    ENUM("state", ENTRY(state), 1, &names_state, .flags = ROW_HDR),
    BIT("offload", ENTRY(flags), 1, MDB_FLAGS_OFFLOAD, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    BIT("fast_leave", ENTRY(flags), 1, MDB_FLAGS_FAST_LEAVE, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    BIT("added_by_star_ex", ENTRY(flags), 1, MDB_FLAGS_STAR_EXCL, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    BIT("blocked", ENTRY(flags), 1, MDB_FLAGS_BLOCKED, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    U16("vid", ENTRY(vid), .max = 4094, .flags = ROW_HDR | ROW_NZ),
    CUSTOM("grp", ENTRY(addr), &group, .flags = ROW_HDR),
};
static struct codec_schema entry_schema = SCHEMA("mdb entry", entry_rows, sizeof(struct br_mdb_entry));

static const struct codec_row attr_rows[] = {
    IPANY("src", MDBE_ATTR_SOURCE),
    CUSTOM("source_list", ATTR_SRC_LIST, &sources),
    ENUM("filter_mode", ATTR_GROUP_MODE, 1, &names_mode),
    ENUM("proto", ATTR_RTPROT, 1, &names_proto),
    U32("timer", LISTED + MDBA_MDB_EATTR_TIMER, .flags = ROW_RO | ROW_NZ), /* 1/100 s */
};
static struct codec_schema attr_schema = SCHEMA("mdb attributes", attr_rows, 0);

static const struct codec_row mdb_rows[] = {
    DEV("dev", offsetof(struct br_port_msg, ifindex), .flags = ROW_HDR),
    INLINE(MDBA_SET_ENTRY, &entry_schema),
    INLINE(MDBA_SET_ENTRY_ATTRS, &attr_schema),
};
// clang-format on
struct codec_schema mdb_schema = SCHEMA("mdb", mdb_rows, sizeof(struct br_port_msg));

/* The attributes go behind the entry, whichever was encoded first. */
static struct nlattr *attrs_last(struct codec_enc *enc)
{
    struct nlattr *attrs = codec_find(&enc->m, enc->level, MDBA_SET_ENTRY_ATTRS);
    cleanup_free void *copy = NULL;
    size_t len;

    if (!attrs || (char *)attrs + NLA_ALIGN(attrs->nla_len) == enc->m.buf + enc->m.len)
        return attrs;
    len = (size_t)nla_len(attrs);
    copy = malloc(len + 1);
    if (!copy) {
        enc->m.overflow = true;
        return NULL;
    }
    memcpy(copy, nla_data(attrs), len);
    codec_drop(&enc->m, attrs);
    codec_put(&enc->m, MDBA_SET_ENTRY_ATTRS | NLA_F_NESTED, copy, len);
    return codec_find(&enc->m, enc->level, MDBA_SET_ENTRY_ATTRS);
}

/* Kernels before 6.3 know the source only; what they have anyway need not be said. A group of one
 * source has no filter. */
static void drop_usual(struct codec_enc *enc, struct nlattr *attrs)
{
    static const int only_new[] = {ATTR_GROUP_MODE, ATTR_RTPROT};
    size_t at = (size_t)((char *)attrs - enc->m.buf);
    bool source = codec_find(&enc->m, at + NLA_HDRLEN, MDBE_ATTR_SOURCE) != NULL;

    if (codec_find(&enc->m, at + NLA_HDRLEN, ATTR_SRC_LIST))
        return;
    for (size_t i = 0; i < ARRAY_LEN(only_new); i++) {
        struct nlattr *a = codec_find(&enc->m, at + NLA_HDRLEN, only_new[i]);
        uint8_t usual = only_new[i] == ATTR_RTPROT ? RTPROT_STATIC : 0;
        if (a && (nla_get_u8(a) == usual || (source && only_new[i] == ATTR_GROUP_MODE)))
            codec_drop(&enc->m, a);
    }
    codec_nest_end(&enc->m, at);
    if (codec_nest_empty(&enc->m, at))
        enc->m.len = at;
}

/* The source is the only attribute that a deletion takes. */
static void deletion(struct nlmsghdr *h)
{
    struct nlattr *attrs = noun_attr(&noun_mdb, h, MDBA_SET_ENTRY_ATTRS);
    struct nlattr *entry = noun_attr(&noun_mdb, h, MDBA_SET_ENTRY), *src;
    size_t len = 0;

    ((struct br_port_msg *)nlmsg_data(h))->family = AF_BRIDGE; /* listings leave it out */
    if (entry)
        ((struct br_mdb_entry *)nla_data(entry))->flags = 0;
    if (!attrs)
        return;
    src = nla_find(nla_data(attrs), nla_len(attrs), MDBE_ATTR_SOURCE);
    if (src) {
        len = NLA_ALIGN(src->nla_len);
        memmove(nla_data(attrs), src, len);
        attrs->nla_len = (uint16_t)(NLA_HDRLEN + len);
        len += NLA_HDRLEN;
    }
    h->nlmsg_len = (uint32_t)((char *)attrs - (char *)h + (ptrdiff_t)len);
}

static int finish(struct codec_enc *enc, int idx)
{
    struct nlmsghdr *h = (struct nlmsghdr *)enc->m.buf;
    struct br_port_msg *bpm = codec_header(enc);
    struct br_mdb_entry *e;
    struct nlattr *attrs;

    (void)idx;
    bpm->family = AF_BRIDGE;
    if (enc->verb == CODEC_MATCH)
        return 0;
    if (!bpm->ifindex)
        return nserr_arg(enc->e, "%s: dev is missing", enc->op);
    e = entry_of(enc);
    if (!e)
        return 0;
    if (!e->ifindex)
        return nserr_arg(enc->e, "%s: port is missing", enc->op);
    if (!e->addr.proto && !e->addr.u.mac_addr[0])
        return nserr_arg(enc->e, "%s: grp is missing", enc->op);
    attrs = attrs_last(enc);
    if (enc->verb == CODEC_DEL && !enc->m.overflow) {
        h->nlmsg_len = (uint32_t)enc->m.len;
        deletion(h);
        enc->m.len = h->nlmsg_len;
    } else if (attrs) {
        drop_usual(enc, attrs);
    }
    return 0;
}

/* The attributes of a listed entry as those of a request. */
static int put_attrs(struct codec_msg *m, struct nlattr *attrs, int len)
{
    static const uint8_t same[][2] = {{MDBA_MDB_EATTR_SOURCE, MDBE_ATTR_SOURCE},
                                      {MDBA_MDB_EATTR_SRC_LIST, ATTR_SRC_LIST},
                                      {MDBA_MDB_EATTR_GROUP_MODE, ATTR_GROUP_MODE},
                                      {MDBA_MDB_EATTR_RTPROT, ATTR_RTPROT}};
    size_t mark = codec_nest(m, MDBA_SET_ENTRY_ATTRS | NLA_F_NESTED);

    for (struct nlattr *a = attrs; nla_ok(a, len); a = nla_next(a, &len)) {
        int type = LISTED + nla_type(a);
        for (size_t i = 0; i < ARRAY_LEN(same); i++)
            if (same[i][0] == nla_type(a))
                type = same[i][1];
        codec_put(m, type, nla_data(a), (size_t)nla_len(a));
    }
    codec_nest_end(m, mark);
    return m->overflow ? -EMSGSIZE : 0;
}

static int explode_entry(struct bytes *out, const struct nlmsghdr *h, struct nlattr *info)
{
    char *buf;
    struct codec_msg m;
    int skip = NLA_ALIGN(sizeof(struct br_mdb_entry)), err;

    if (nla_len(info) < (int)sizeof(struct br_mdb_entry))
        return 0;
    buf = malloc((size_t)nla_len(info) + 64);
    if (!buf)
        return -ENOMEM;
    m = (struct codec_msg){.buf = buf, .cap = (size_t)nla_len(info) + 64};
    codec_put(&m, MDBA_SET_ENTRY, nla_data(info), sizeof(struct br_mdb_entry));
    err = nla_len(info) > skip ? put_attrs(&m, (struct nlattr *)((char *)nla_data(info) + skip),
                                           nla_len(info) - skip)
                               : 0;
    if (!err)
        err = noun_part(out, h, sizeof(struct br_port_msg), NULL, &m);
    free(buf);
    return err;
}

static int explode(struct bytes *out, const struct nlmsghdr *h)
{
    struct nlattr *mdb = noun_attr(&noun_mdb, h, MDBA_MDB), *entry, *info;
    int left, inner, err = 0;

    if (!mdb)
        return 0;
    nla_for_each_nested(entry, mdb, left)
    {
        if (nla_type(entry) != MDBA_MDB_ENTRY)
            continue;
        nla_for_each_nested(info, entry, inner)
        {
            if (nla_type(info) == MDBA_MDB_ENTRY_INFO && !err)
                err = explode_entry(out, h, info);
        }
    }
    return err;
}

static const struct noun_alias aliases[] = {
    {"permanent", "state", "permanent"}, {"temp", "state", "temp"}, {NULL, NULL, NULL}};

const struct noun noun_mdb = {
    .name = "mdb",
    .schema = &mdb_schema,
    .add = RTM_NEWMDB,
    .del = RTM_DELMDB,
    .get = RTM_GETMDB,
    .ident = {"grp", "port", "dev", "src", "vid"},
    .aliases = aliases,
    .finish = finish,
    .explode = explode,
    .deletion = deletion,
    .dump_family = AF_BRIDGE,
};
