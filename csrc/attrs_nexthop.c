/* SPDX-License-Identifier: MIT
 * Nexthop objects: what `ip nexthop` says of one (ip-nexthop(8)), as rows. */
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "attrs.h"

#define HDR(field) offsetof(struct nhmsg, field)

/* group: a list of ids or of { id =, weight = } */
static int one_member(struct codec_enc *enc, int number, struct nexthop_grp *member)
{
    int64_t id = 0, weight = 1;
    int top, err;

    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        err = codec_integer(enc, "group", 1, UINT32_MAX, &id);
        member->id = (uint32_t)id;
        return err;
    }
    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return nserr_arg(enc->e, "%s: group[%d] must be an id or { id =, weight = }", enc->op,
                         number);
    top = lua_gettop(enc->L);
    for (lua_pushnil(enc->L); lua_next(enc->L, top); lua_pop(enc->L, 1)) {
        const char *key = lua_type(enc->L, -2) == LUA_TSTRING ? lua_tostring(enc->L, -2) : "";
        if (!strcmp(key, "id"))
            err = codec_integer(enc, "group.id", 1, UINT32_MAX, &id);
        else if (!strcmp(key, "weight"))
            err = codec_integer(enc, "group.weight", 1, 256, &weight);
        else
            err = nserr_arg(enc->e, "%s: group[%d] may have id and weight only", enc->op, number);
        if (err)
            return err;
    }
    if (!id)
        return nserr_arg(enc->e, "%s: group[%d].id is missing", enc->op, number);
    member->id = (uint32_t)id;
    member->weight = (uint8_t)(weight - 1);
    return 0;
}

static int encode_group(struct codec_enc *enc, const struct codec_row *row)
{
    int n, err = 0;
    struct nexthop_grp *members;

    if (lua_type(enc->L, -1) != LUA_TTABLE || lua_rawlen(enc->L, -1) == 0)
        return codec_bad(enc, row->key, "a list of ids or of { id =, weight = }");
    n = (int)lua_rawlen(enc->L, -1);
    members = codec_put(&enc->m, NHA_GROUP, NULL, (size_t)n * sizeof(*members));
    for (int i = 1; members && !err && i <= n; i++) {
        lua_rawgeti(enc->L, -1, i);
        err = one_member(enc, i, &members[i - 1]);
        lua_pop(enc->L, err ? 0 : 1);
    }
    return err;
}

static void decode_group(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct nexthop_grp member;
    int n = nla_len(a) / (int)sizeof(member);

    lua_createtable(dec->L, n, 0);
    for (int i = 0; i < n; i++) {
        memcpy(&member, (char *)nla_data(a) + (size_t)i * sizeof(member), sizeof(member));
        lua_createtable(dec->L, 0, 2);
        lua_pushinteger(dec->L, member.id);
        lua_setfield(dec->L, -2, "id");
        lua_pushinteger(dec->L, member.weight + 1);
        lua_setfield(dec->L, -2, "weight");
        lua_rawseti(dec->L, -2, i + 1);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom group = {encode_group, decode_group};

static const struct codec_name types[] = {{NEXTHOP_GRP_TYPE_MPATH, "mpath"},
                                          {NEXTHOP_GRP_TYPE_RES, "resilient"}};
static const struct codec_names names_type = NAMES("a type of nexthop group", types);

// clang-format off
static const struct codec_row res_rows[] = {
    U16("buckets", NHA_RES_GROUP_BUCKETS, .min = 1),
    U32("idle_timer", NHA_RES_GROUP_IDLE_TIMER),             /* 1/100 s */
    U32("unbalanced_timer", NHA_RES_GROUP_UNBALANCED_TIMER), /* 1/100 s */
    U64("unbalanced_time", NHA_RES_GROUP_UNBALANCED_TIME, .flags = ROW_RO),
};
static struct codec_schema res_schema = SCHEMA("nexthop resilient group", res_rows, 0);

static const struct codec_row nexthop_rows[] = {
    FAMILY_ROW,
    ENUM("scope", HDR(nh_scope), 1, &names_scope, .flags = ROW_HDR | ROW_RO),
    ENUM("proto", HDR(nh_protocol), 1, &names_proto, .flags = ROW_HDR | ROW_NZ),
    BIT("onlink", HDR(nh_flags), 4, RTNH_F_ONLINK, .flags = ROW_HDR | ROW_NZ),
    BIT("dead", HDR(nh_flags), 4, RTNH_F_DEAD, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    BIT("linkdown", HDR(nh_flags), 4, RTNH_F_LINKDOWN, .flags = ROW_HDR | ROW_NZ | ROW_RO),
    U32("id", NHA_ID, .min = 1),
    CUSTOM("group", NHA_GROUP, &group),
    ENUM("type", NHA_GROUP_TYPE, 2, &names_type),
    NEST("resilient", NHA_RES_GROUP, &res_schema),
    FLAG("blackhole", NHA_BLACKHOLE),
    DEV("dev", NHA_OIF),
    IP("via", NHA_GATEWAY),
    FLAG("fdb", NHA_FDB),
    DEV("master", NHA_MASTER, .flags = ROW_WO),
};
// clang-format on
struct codec_schema nexthop_schema = SCHEMA("nexthop", nexthop_rows, sizeof(struct nhmsg));

/* A strict kernel wants the id and nothing else. */
static void deletion(struct nlmsghdr *h)
{
    struct nlattr *id = noun_attr(&noun_nexthop, h, NHA_ID);
    struct nlattr *first = nlmsg_attrdata(h, sizeof(struct nhmsg));

    memset(nlmsg_data(h), 0, sizeof(struct nhmsg));
    if (id)
        memmove(first, id, (size_t)NLA_ALIGN(id->nla_len));
    h->nlmsg_len =
        NLMSG_LENGTH(sizeof(struct nhmsg)) + (id ? (uint32_t)NLA_ALIGN(first->nla_len) : 0);
}

static int finish(struct codec_enc *enc, int idx)
{
    struct nlmsghdr *h = (struct nlmsghdr *)enc->m.buf;
    struct nhmsg *nhm = codec_header(enc);
    int err = codec_settle_family(enc);

    (void)idx;
    if (err < 0 || enc->verb == CODEC_MATCH)
        return err < 0 ? err : 0;
    if (enc->verb == CODEC_DEL) {
        if (!codec_find(&enc->m, enc->level, NHA_ID))
            return nserr_arg(enc->e, "%s: id is missing", enc->op);
        h->nlmsg_len = (uint32_t)enc->m.len;
        deletion(h);
        enc->m.len = h->nlmsg_len;
        return 0;
    }
    if (!nhm->nh_family && !codec_find(&enc->m, enc->level, NHA_GROUP))
        nhm->nh_family = AF_INET;
    return 0;
}

static void dump_filter(const struct nlmsghdr *filter, struct codec_msg *request)
{
    static const int allowed[] = {NHA_OIF, NHA_MASTER};

    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        struct nlattr *a = noun_attr(&noun_nexthop, filter, allowed[i]);
        if (a)
            codec_put_u32(request, allowed[i], nla_get_u32(a));
    }
}

const struct noun noun_nexthop = {
    .name = "nexthop",
    .schema = &nexthop_schema,
    .add = RTM_NEWNEXTHOP,
    .del = RTM_DELNEXTHOP,
    .get = RTM_GETNEXTHOP,
    .ident = {"id", "via", "dev"},
    .finish = finish,
    .dump_filter = dump_filter,
    .deletion = deletion,
};
