/* SPDX-License-Identifier: MIT
 * Neighbours: what `ip neighbour` says of one (ip-neighbour(8)), as rows. */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "attrs.h"

#define HDR(field) offsetof(struct ndmsg, field)

static const struct codec_name states[] = {
    {NUD_NONE, "none"},     {NUD_INCOMPLETE, "incomplete"}, {NUD_REACHABLE, "reachable"},
    {NUD_STALE, "stale"},   {NUD_DELAY, "delay"},           {NUD_PROBE, "probe"},
    {NUD_FAILED, "failed"}, {NUD_NOARP, "noarp"},           {NUD_PERMANENT, "permanent"}};
static const struct codec_names names_state = NAMES("a neighbour state", states);

// clang-format off
static const struct codec_row neigh_rows[] = {
    FAMILY_ROW,
    DEV("dev", HDR(ndm_ifindex), .flags = ROW_HDR),
    ENUM("state", HDR(ndm_state), 2, &names_state, .flags = ROW_HDR),
    BIT("router", HDR(ndm_flags), 1, NTF_ROUTER, .flags = ROW_HDR | ROW_NZ),
    BIT("proxy", HDR(ndm_flags), 1, NTF_PROXY, .flags = ROW_HDR | ROW_NZ),
    BIT("extern_learn", HDR(ndm_flags), 1, NTF_EXT_LEARNED, .flags = ROW_HDR | ROW_NZ),
    BIT("use", HDR(ndm_flags), 1, NTF_USE, .flags = ROW_HDR | ROW_WO),
    BIT("offload", HDR(ndm_flags), 1, NTF_OFFLOADED, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    BIT("managed", NDA_FLAGS_EXT, 4, NTF_EXT_MANAGED, .flags = ROW_NZ),
    IP("dst", NDA_DST),
    LLADDR("lladdr", NDA_LLADDR),
    ENUM("proto", NDA_PROTOCOL, 1, &names_proto, .flags = ROW_NZ),
};
// clang-format on
struct codec_schema neigh_schema = SCHEMA("neigh", neigh_rows, sizeof(struct ndmsg));

static int finish(struct codec_enc *enc, int idx)
{
    struct ndmsg *ndm = codec_header(enc);
    int err = codec_settle_family(enc);

    if (err < 0 || enc->verb == CODEC_MATCH)
        return err < 0 ? err : 0;
    if (!codec_find(&enc->m, enc->level, NDA_DST))
        return nserr_arg(enc->e, "%s: dst is missing", enc->op);
    if (!ndm->ndm_ifindex)
        return nserr_arg(enc->e, "%s: dev is missing", enc->op);
    if (enc->verb != CODEC_DEL && !(ndm->ndm_flags & (NTF_PROXY | NTF_USE))) {
        if (codec_field(enc->L, idx, "state"))
            lua_pop(enc->L, 1);
        else
            ndm->ndm_state = NUD_PERMANENT;
    }
    return 0;
}

static void dump_filter(const struct nlmsghdr *filter, struct codec_msg *request)
{
    const struct ndmsg *wanted = nlmsg_data(filter);
    struct ndmsg *ndm = (struct ndmsg *)(request->buf + NLMSG_HDRLEN);

    ndm->ndm_flags = wanted->ndm_flags & NTF_PROXY;
    if (wanted->ndm_ifindex)
        codec_put_u32(request, NDA_IFINDEX, (uint32_t)wanted->ndm_ifindex);
}

/* NUD_NOARP entries are the kernel's own notes on multicast and the like; as in `ip neighbour`,
 * they are not listed. */
static bool listed(const struct nlmsghdr *h)
{
    const struct ndmsg *ndm = nlmsg_data(h);

    return ndm->ndm_family != AF_BRIDGE && !(ndm->ndm_state & NUD_NOARP);
}

const struct noun noun_neigh = {
    .name = "neigh",
    .schema = &neigh_schema,
    .add = RTM_NEWNEIGH,
    .del = RTM_DELNEIGH,
    .get = RTM_GETNEIGH,
    .shorthand = "dst",
    .ident = {"dst", "dev"},
    .finish = finish,
    .dump_filter = dump_filter,
    .listed = listed,
};
