/* SPDX-License-Identifier: MIT
 * Forwarding entries of bridges, of VXLANs and of devices: what `bridge fdb` says of one
 * (bridge(8)), as rows. */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "attrs.h"

/* of kernels newer than the headers */
#define EXT_LOCKED (1 << 1)

#define HDR(field) offsetof(struct ndmsg, field)

static const struct codec_name states[] = {{NUD_PERMANENT | NUD_NOARP, "permanent"},
                                           {NUD_REACHABLE | NUD_NOARP, "static"},
                                           {NUD_REACHABLE, "dynamic"},
                                           {NUD_STALE, "stale"}};
static const struct codec_names names_state = NAMES("a state of a forwarding entry", states);

static int encode_state(struct codec_enc *enc, const struct codec_row *row)
{
    static const struct codec_row state =
        ENUM("state", HDR(ndm_state), 2, &names_state, .flags = ROW_HDR);

    (void)row;
    return codec_encode_value(enc, &state);
}

/* Bridges, VXLANs and devices spell them in different ways. */
static void decode_state(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    unsigned state = ((const struct ndmsg *)dec->header)->ndm_state;

    (void)a;
    if (!state)
        return;
    lua_pushstring(dec->L, state & NUD_PERMANENT ? "permanent"
                           : state & NUD_NOARP   ? "static"
                           : state & NUD_STALE   ? "stale"
                                                 : "dynamic");
    codec_set_name(dec, row->key);
}
static const struct codec_custom state_word = {encode_state, decode_state};

/* true: the entry is the bridge's, whose port dev is. Or the bridge's name, as it is listed; a
 * bridge's own entries are its own (`self`). */
static int encode_master(struct codec_enc *enc, const struct codec_row *row)
{
    static const struct codec_row dev = DEV("master", NDA_MASTER);

    if (lua_type(enc->L, -1) != LUA_TBOOLEAN)
        return codec_encode_value(enc, &dev);
    if (enc->verb == CODEC_MATCH)
        return codec_bad(enc, row->key, "the name of a bridge");
    if (lua_toboolean(enc->L, -1))
        ((struct ndmsg *)codec_header(enc))->ndm_flags |= NTF_MASTER;
    return 0;
}

static void decode_master(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 4)
        return;
    dec->push_dev(dec, (int)nla_get_u32(a));
    codec_set_name(dec, row->key);
}
static const struct codec_custom master = {encode_master, decode_master};

// clang-format off
static const struct codec_row fdb_rows[] = {
    DEV("dev", HDR(ndm_ifindex), .flags = ROW_HDR),
    CUSTOM("state", HDR(ndm_state), &state_word, .flags = ROW_HDR),
    BIT("self", HDR(ndm_flags), 1, NTF_SELF, .flags = ROW_HDR | ROW_NZ),
    BIT("router", HDR(ndm_flags), 1, NTF_ROUTER, .flags = ROW_HDR | ROW_NZ),
    BIT("extern_learn", HDR(ndm_flags), 1, NTF_EXT_LEARNED, .flags = ROW_HDR | ROW_NZ),
    BIT("sticky", HDR(ndm_flags), 1, NTF_STICKY, .flags = ROW_HDR | ROW_NZ),
    BIT("use", HDR(ndm_flags), 1, NTF_USE, .flags = ROW_HDR | ROW_WO),
    BIT("offload", HDR(ndm_flags), 1, NTF_OFFLOADED, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    LLADDR("lladdr", NDA_LLADDR),
    CUSTOM("master", NDA_MASTER, &master),
    U16("vlan", NDA_VLAN, .min = 1, .max = 4094),
    IPANY("dst", NDA_DST),
    U16("port", NDA_PORT, .flags = ROW_BE),
    U32("vni", NDA_VNI, .max = 0xffffff),
    U32("src_vni", NDA_SRC_VNI, .max = 0xffffff),
    DEV("via", NDA_IFINDEX),
    U32("nhid", NDA_NH_ID, .min = 1),
    S32("link_netnsid", NDA_LINK_NETNSID, .flags = ROW_RO),
    BIT("locked", NDA_FLAGS_EXT, 4, EXT_LOCKED, .flags = ROW_NZ),
};
// clang-format on
struct codec_schema fdb_schema = SCHEMA("fdb", fdb_rows, sizeof(struct ndmsg));

/* As bridge(8) takes them. */
static const struct noun_alias aliases[] = {{"permanent", "state", "permanent"},
                                            {"local", "state", "permanent"},
                                            {"static", "state", "static"},
                                            {"dynamic", "state", "dynamic"},
                                            {NULL, NULL, NULL}};

/* Whose entry it is: the bridge's a port has, or the device's own. A listed entry names its
 * bridge. */
static void set_owner(struct ndmsg *ndm, const struct nlattr *bridge)
{
    if (bridge && nla_get_u32(bridge) != (uint32_t)ndm->ndm_ifindex)
        ndm->ndm_flags |= NTF_MASTER;
    if (!(ndm->ndm_flags & (NTF_MASTER | NTF_SELF)))
        ndm->ndm_flags |= NTF_SELF;
}

static int finish(struct codec_enc *enc, int idx)
{
    struct ndmsg *ndm = codec_header(enc);
    struct nlattr *bridge = codec_find(&enc->m, enc->level, NDA_MASTER), *a;

    (void)idx;
    ndm->ndm_family = AF_BRIDGE;
    if (enc->verb == CODEC_MATCH)
        return 0;
    a = codec_find(&enc->m, enc->level, NDA_LLADDR);
    if (!a)
        return nserr_arg(enc->e, "%s: lladdr is missing", enc->op);
    if (nla_len(a) != 6)
        return nserr_arg(enc->e, "%s: lladdr must be an Ethernet address of 6 bytes", enc->op);
    if (!ndm->ndm_ifindex)
        return nserr_arg(enc->e, "%s: dev is missing", enc->op);
    set_owner(ndm, bridge);
    if (bridge)
        codec_drop(&enc->m, bridge);
    if (enc->verb != CODEC_DEL && !ndm->ndm_state)
        ndm->ndm_state = NUD_PERMANENT | NUD_NOARP;
    return 0;
}

static void dump_filter(const struct nlmsghdr *filter, struct codec_msg *request)
{
    const struct ndmsg *wanted = nlmsg_data(filter);
    struct nlattr *bridge = noun_attr(&noun_fdb, filter, NDA_MASTER);

    ((struct ndmsg *)(request->buf + NLMSG_HDRLEN))->ndm_ifindex = wanted->ndm_ifindex;
    if (bridge)
        codec_put_u32(request, NDA_MASTER, nla_get_u32(bridge));
}

static bool listed(const struct nlmsghdr *h)
{
    return ((const struct ndmsg *)nlmsg_data(h))->ndm_family == AF_BRIDGE;
}

/* What a device must have to hear its own: its filters, which have no times, and on a bridge the
 * addresses of itself and its ports. */
static bool kept(const struct nlmsghdr *h)
{
    const struct ndmsg *ndm = nlmsg_data(h);

    return ndm->ndm_state & NUD_PERMANENT && (noun_attr(&noun_fdb, h, NDA_MASTER) != NULL ||
                                              noun_attr(&noun_fdb, h, NDA_CACHEINFO) == NULL);
}

static void deletion(struct nlmsghdr *h)
{
    set_owner(nlmsg_data(h), noun_attr(&noun_fdb, h, NDA_MASTER));
}

const struct noun noun_fdb = {
    .name = "fdb",
    .schema = &fdb_schema,
    .add = RTM_NEWNEIGH,
    .del = RTM_DELNEIGH,
    .get = RTM_GETNEIGH,
    .shorthand = "lladdr",
    .ident = {"lladdr", "dev", "vlan", "dst"},
    .aliases = aliases,
    .finish = finish,
    .dump_filter = dump_filter,
    .listed = listed,
    .kept = kept,
    .kept_unless = "state",
    .deletion = deletion,
    .dump_family = AF_BRIDGE,
};
