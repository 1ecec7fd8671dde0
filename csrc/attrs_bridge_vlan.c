/* SPDX-License-Identifier: MIT
 * VLANs of bridges and their ports: what `bridge vlan` says of one or of a range (bridge(8)), as
 * rows. They travel as RTM_NEWVLAN and so on, which take flags and options in one message. */
#include <linux/if_bridge.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "attrs.h"
#include "attrs_kinds.h"

/* of kernels newer than the headers */
#define ENTRY_MCAST_N_GROUPS   7
#define ENTRY_MCAST_MAX_GROUPS 8
#define ENTRY_NEIGH_SUPPRESS   9

#define STATE_FORWARDING 3
#define VID_MAX          4094

/* What of a vid is told in a place of its own, and what is asked about dev. */
struct vlan_notes {
    uint16_t end; /* of a range, 0: none */
    bool self, master;
};

static_assert(sizeof(struct vlan_notes) <= NOUN_NOTES_MAX, "raise NOUN_NOTES_MAX");

/* 10, or "10-20" */
static int encode_vid(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a VLAN from 1 to 4094, or a range such as \"10-20\"";
    struct bridge_vlan_info *info = codec_header(enc);
    struct vlan_notes *notes = enc->noun;
    unsigned long low, high;
    const char *text;
    int64_t value;
    char *end;
    int err;

    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        err = codec_integer(enc, row->key, 1, VID_MAX, &value);
        info->vid = (uint16_t)(err ? 0 : value);
        return err;
    }
    text = codec_text(enc, row->key, wanted);
    if (!text)
        return -EINVAL;
    low = high = strtoul(text, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        high = strtoul(end + 1, &end, 10);
    if (*text < '0' || *text > '9' || *end || low < 1 || low > high || high > VID_MAX)
        return codec_bad(enc, row->key, wanted);
    info->vid = (uint16_t)low;
    notes->end = (uint16_t)(high > low ? high : 0);
    return 0;
}

static void decode_vid(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    uint16_t vid = ((const struct bridge_vlan_info *)dec->header)->vid;

    (void)a; /* decoded() makes a range of it */
    if (!vid)
        return;
    lua_pushinteger(dec->L, vid);
    codec_set_name(dec, row->key);
}
static const struct codec_custom vid = {encode_vid, decode_vid};

static int encode_owner(struct codec_enc *enc, const struct codec_row *row)
{
    struct vlan_notes *notes = enc->noun;

    if (lua_type(enc->L, -1) != LUA_TBOOLEAN)
        return codec_bad(enc, row->key, "true or false");
    if (enc->verb == CODEC_MATCH)
        return nserr_arg(enc->e, "%s: list by dev, not by %s", enc->op, row->key);
    *(row->mask ? &notes->self : &notes->master) = lua_toboolean(enc->L, -1);
    return 0;
}
static const struct codec_custom owner = {encode_owner, kind_decode_none};

/* In a filter, `stats = true` asks for them. */
static int encode_stats(struct codec_enc *enc, const struct codec_row *row)
{
    if (enc->verb == CODEC_MATCH && lua_toboolean(enc->L, -1))
        codec_put(&enc->m, row->attr, NULL, 0);
    return 0;
}

static const struct codec_name stat_names[] = {{BRIDGE_VLANDB_STATS_RX_BYTES, "rx_bytes"},
                                               {BRIDGE_VLANDB_STATS_RX_PACKETS, "rx_packets"},
                                               {BRIDGE_VLANDB_STATS_TX_BYTES, "tx_bytes"},
                                               {BRIDGE_VLANDB_STATS_TX_PACKETS, "tx_packets"}};

static void decode_stats(struct codec_dec *dec, const struct codec_row *row, struct nlattr *list)
{
    lua_createtable(dec->L, 0, ARRAY_LEN(stat_names));
    for (size_t i = 0; i < ARRAY_LEN(stat_names); i++) {
        struct nlattr *a = nla_find(nla_data(list), nla_len(list), (int)stat_names[i].value);
        if (!a || nla_len(a) < 8)
            continue;
        lua_pushinteger(dec->L, (lua_Integer)nla_get_u64(a));
        codec_set_name(dec, stat_names[i].name);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom stats = {encode_stats, decode_stats};

#define INFO(field) offsetof(struct bridge_vlan_info, field)

// clang-format off
static const struct codec_row info_rows[] = {
    CUSTOM("vid", INFO(vid), &vid, .flags = ROW_HDR),
    BIT("pvid", INFO(flags), 2, BRIDGE_VLAN_INFO_PVID, .flags = ROW_HDR | ROW_NZ),
    BIT("untagged", INFO(flags), 2, BRIDGE_VLAN_INFO_UNTAGGED, .flags = ROW_HDR | ROW_NZ),
};
static struct codec_schema info_schema =
    SCHEMA("vlan info", info_rows, sizeof(struct bridge_vlan_info));

static const struct codec_row tunnel_rows[] = {
    U32("tunnel_id", BRIDGE_VLANDB_TINFO_ID, .min = 1, .max = 0xffffff),
};
static struct codec_schema tunnel_schema = SCHEMA("vlan tunnel", tunnel_rows, 0);

static const struct codec_row entry_rows[] = {
    INLINE(BRIDGE_VLANDB_ENTRY_INFO, &info_schema),
    ENUM("state", BRIDGE_VLANDB_ENTRY_STATE, 1, &names_brport_state),
    INLINE(BRIDGE_VLANDB_ENTRY_TUNNEL_INFO, &tunnel_schema),
    CUSTOM("stats", BRIDGE_VLANDB_ENTRY_STATS, &stats, .flags = ROW_RO),
    U8("mcast_router", BRIDGE_VLANDB_ENTRY_MCAST_ROUTER, .max = 3),
    U32("mcast_n_groups", ENTRY_MCAST_N_GROUPS, .flags = ROW_RO),
    U32("mcast_max_groups", ENTRY_MCAST_MAX_GROUPS, .flags = ROW_NZ),
    BOOL("neigh_suppress", ENTRY_NEIGH_SUPPRESS, 1, .flags = ROW_NZ),
};
static struct codec_schema entry_schema = SCHEMA("vlan entry", entry_rows, 0);

static const struct codec_row vlan_rows[] = {
    DEV("dev", offsetof(struct br_vlan_msg, ifindex), .flags = ROW_HDR),
    CUSTOM("self", 0, &owner, .mask = 1, .flags = ROW_HDR | ROW_WO),
    CUSTOM("master", 0, &owner, .flags = ROW_HDR | ROW_WO),
    INLINE(BRIDGE_VLANDB_ENTRY, &entry_schema),
};
// clang-format on
struct codec_schema bridge_vlan_schema =
    SCHEMA("bridge vlan", vlan_rows, sizeof(struct br_vlan_msg));

/* `self` is for the bridge itself, `master` for its ports. */
static int check_owner(struct codec_enc *enc, int ifindex)
{
    const struct vlan_notes *notes = enc->noun;
    char kind[32] = "";
    bool bridge;
    int err;

    if (!notes->self && !notes->master)
        return 0;
    if (notes->self && notes->master)
        return nserr_arg(enc->e, "%s: self and master exclude each other", enc->op);
    err = enc->link_kind(enc, ifindex, NULL, kind, NULL);
    if (err)
        return err;
    bridge = !strcmp(kind, "bridge");
    if (notes->self == bridge)
        return 0;
    return nserr_arg(enc->e, "%s: dev is %s bridge: %s", enc->op, bridge ? "a" : "no",
                     bridge ? "say self, not master" : "say master, not self");
}

/* What belongs to the entry whose attributes stand last in the message. */
static int finish_entry(struct codec_enc *enc, struct nlattr *entry, struct bridge_vlan_info *info)
{
    const struct vlan_notes *notes = enc->noun;
    struct nlattr *tunnel, *state;
    uint32_t command = enc->verb == CODEC_DEL ? RTM_DELLINK : RTM_SETLINK;
    size_t at = (size_t)((char *)entry - enc->m.buf), inside = at + NLA_HDRLEN;

    if (enc->verb == CODEC_SET) {
        if (info->flags & (BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED))
            return nserr_arg(enc->e, "%s: pvid and untagged are changed by replace", enc->op);
        info->flags |= BRIDGE_VLAN_INFO_ONLY_OPTS;
    }
    tunnel = codec_find(&enc->m, inside, BRIDGE_VLANDB_ENTRY_TUNNEL_INFO);
    state = codec_find(&enc->m, inside, BRIDGE_VLANDB_ENTRY_STATE);
    if (tunnel) { /* its last attribute, whatever stands behind it in the entry */
        uint32_t id = nla_get_u32(nla_data(tunnel));
        size_t mark;
        codec_drop(&enc->m, tunnel);
        mark = codec_nest(&enc->m, BRIDGE_VLANDB_ENTRY_TUNNEL_INFO | NLA_F_NESTED);
        codec_put_u32(&enc->m, BRIDGE_VLANDB_TINFO_ID, id);
        codec_put_u32(&enc->m, BRIDGE_VLANDB_TINFO_CMD, command);
        codec_nest_end(&enc->m, mark);
        state = codec_find(&enc->m, inside, BRIDGE_VLANDB_ENTRY_STATE);
    }
    /* how every entry begins: not all of them take it when it is said */
    if (state && enc->verb == CODEC_ADD && nla_get_u8(state) == STATE_FORWARDING)
        codec_drop(&enc->m, state);
    if (notes->end)
        codec_put(&enc->m, BRIDGE_VLANDB_ENTRY_RANGE, &notes->end, sizeof(notes->end));
    codec_nest_end(&enc->m, at);
    return 0;
}

static int finish(struct codec_enc *enc, int idx)
{
    struct br_vlan_msg *bvm = codec_header(enc);
    struct nlattr *entry = codec_find(&enc->m, enc->level, BRIDGE_VLANDB_ENTRY), *a = NULL;
    struct bridge_vlan_info *info;
    int err;

    (void)idx;
    bvm->family = AF_BRIDGE;
    if (entry)
        a = nla_find(nla_data(entry), nla_len(entry), BRIDGE_VLANDB_ENTRY_INFO);
    info = a ? nla_data(a) : NULL;
    if (enc->verb == CODEC_MATCH)
        return entry ? finish_entry(enc, entry, info) : 0;
    if (!bvm->ifindex)
        return nserr_arg(enc->e, "%s: dev is missing", enc->op);
    if (!info || !info->vid)
        return nserr_arg(enc->e, "%s: vid is missing (10, \"10-20\")", enc->op);
    if (((struct vlan_notes *)enc->noun)->end && info->flags & BRIDGE_VLAN_INFO_PVID)
        return nserr_arg(enc->e, "%s: only one VLAN can be the pvid, not a range", enc->op);
    err = check_owner(enc, (int)bvm->ifindex);
    return err ? err : finish_entry(enc, entry, info);
}

static struct nlattr *in_entry(const struct nlmsghdr *h, int type)
{
    struct nlattr *entry = noun_attr(&noun_vlan, h, BRIDGE_VLANDB_ENTRY);

    return entry ? nla_find(nla_data(entry), nla_len(entry), type) : NULL;
}

static void dump_filter(const struct nlmsghdr *filter, struct codec_msg *request)
{
    const struct br_vlan_msg *wanted = nlmsg_data(filter);

    ((struct br_vlan_msg *)(request->buf + NLMSG_HDRLEN))->ifindex = wanted->ifindex;
    if (in_entry(filter, BRIDGE_VLANDB_ENTRY_STATS))
        codec_put_u32(request, BRIDGE_VLANDB_DUMP_FLAGS, BRIDGE_VLANDB_DUMPF_STATS);
}

static void decoded(struct codec_dec *dec, const struct nlmsghdr *h)
{
    struct nlattr *end = in_entry(h, BRIDGE_VLANDB_ENTRY_RANGE);

    if (!end || nla_len(end) < 2)
        return;
    if (lua_getfield(dec->L, -1, "vid") == LUA_TNUMBER) {
        lua_pushfstring(dec->L, "%I-%I", (LUAI_UACINT)lua_tointeger(dec->L, -1),
                        (LUAI_UACINT)nla_get_u16(end));
        lua_setfield(dec->L, -3, "vid");
    }
    lua_pop(dec->L, 1);
}

/* A device's VLANs come in one message. */
static int explode(struct bytes *out, const struct nlmsghdr *h)
{
    struct nlattr *attrs = nlmsg_attrdata(h, sizeof(struct br_vlan_msg)), *a;
    int left, err = 0;

    nla_for_each_attr(a, attrs, nlmsg_attrlen(h, sizeof(struct br_vlan_msg)), left)
    {
        if (nla_type(a) == BRIDGE_VLANDB_ENTRY && !err)
            err = noun_part(out, h, sizeof(struct br_vlan_msg), a, NULL);
    }
    return err;
}

/* Which VLANs, and nothing else. */
static void deletion(struct nlmsghdr *h)
{
    struct nlattr *info = in_entry(h, BRIDGE_VLANDB_ENTRY_INFO);
    struct nlattr *range = in_entry(h, BRIDGE_VLANDB_ENTRY_RANGE);
    struct nlattr *entry = nlmsg_attrdata(h, sizeof(struct br_vlan_msg));
    char kept[2 * NLA_HDRLEN + sizeof(struct bridge_vlan_info) + 4];
    size_t len = 0;

    if (!info || nla_len(info) != sizeof(struct bridge_vlan_info))
        return;
    memcpy(kept, info, NLA_ALIGN(info->nla_len));
    len += NLA_ALIGN(info->nla_len);
    if (range && nla_len(range) == 2) {
        memcpy(kept + len, range, range->nla_len);
        len += NLA_ALIGN(range->nla_len);
    }
    entry->nla_type = BRIDGE_VLANDB_ENTRY | NLA_F_NESTED;
    entry->nla_len = (uint16_t)(NLA_HDRLEN + len);
    memcpy(nla_data(entry), kept, len);
    h->nlmsg_len = NLMSG_LENGTH(sizeof(struct br_vlan_msg)) + entry->nla_len;
}

const struct noun noun_vlan = {
    .name = "vlan",
    .schema = &bridge_vlan_schema,
    .add = RTM_NEWVLAN,
    .del = RTM_DELVLAN,
    .get = RTM_GETVLAN,
    .ident = {"vid", "dev"},
    .finish = finish,
    .dump_filter = dump_filter,
    .decoded = decoded,
    .explode = explode,
    .deletion = deletion,
    .dump_family = AF_BRIDGE,
    .counts = true,
};
