/* SPDX-License-Identifier: MIT
 * Policies of xfrm, which say what IPsec does to which packets: what `ip xfrm policy` says of one
 * (ip-xfrm(8)), as rows. */
#include <string.h>

#include "attrs_kinds.h"
#include "attrs_route.h"
#include "attrs_xfrm.h"

#define HDR(field)    offsetof(struct xfrm_userpolicy_info, field)
#define TMPL(field)   offsetof(struct xfrm_user_tmpl, field)
#define TEMPLATES_MAX 6 /* XFRM_MAX_DEPTH, in the kernel */

static const struct codec_name levels[] = {{0, "required"}, {1, "use"}};
static const struct codec_names names_level = NAMES("a level of a template", levels);
static const struct codec_name dirs[] = {
    {XFRM_POLICY_IN, "in"}, {XFRM_POLICY_OUT, "out"}, {XFRM_POLICY_FWD, "fwd"}};
static const struct codec_names names_dir = NAMES("a direction", dirs);
static const struct codec_name policy_actions[] = {{XFRM_POLICY_ALLOW, "allow"},
                                                   {XFRM_POLICY_BLOCK, "block"}};
static const struct codec_names names_action = NAMES("what a policy does", policy_actions);
static const struct codec_name ptypes[] = {{XFRM_POLICY_TYPE_MAIN, "main"},
                                           {XFRM_POLICY_TYPE_SUB, "sub"}};
static const struct codec_names names_ptype = NAMES("a type of policies", ptypes);

/* Templates: a list of { src =, dst =, proto =, mode =, reqid = } ---------------------------- */

// clang-format off
static const struct codec_row tmpl_rows[] = {
    XFRM_ADDRESS("src", TMPL(saddr), TMPL(family)),
    XFRM_ADDRESS("dst", TMPL(id.daddr), TMPL(family)),
    ENUM("proto", TMPL(id.proto), 1, &names_xfrm_proto, .flags = ROW_HDR),
    U32("spi", TMPL(id.spi), .flags = ROW_HDR | ROW_BE | ROW_NZ),
    ENUM("mode", TMPL(mode), 1, &names_xfrm_mode, .flags = ROW_HDR),
    U32("reqid", TMPL(reqid), .flags = ROW_HDR | ROW_NZ),
    ENUM("level", TMPL(optional), 1, &names_level, .flags = ROW_HDR | ROW_NZ),
};
// clang-format on
struct codec_schema xfrm_tmpl_schema =
    SCHEMA("xfrm_policy template", tmpl_rows, sizeof(struct xfrm_user_tmpl));

static int encode_one(struct codec_enc *enc, const char *key, int number)
{
    size_t header = enc->header, path = codec_path(enc, key, number);
    struct xfrm_user_tmpl *tmpl;
    int err;

    enc->header = enc->m.len;
    tmpl = codec_reserve(&enc->m, sizeof(*tmpl));
    if (!tmpl)
        return 0;
    tmpl->aalgos = tmpl->ealgos = tmpl->calgos = UINT32_MAX;
    err = lua_type(enc->L, -1) == LUA_TTABLE
              ? codec_encode(enc, lua_gettop(enc->L), &xfrm_tmpl_schema)
              : nserr_arg(enc->e, "%s: %s[%d] must be a table such as { proto = \"esp\" }", enc->op,
                          key, number);
    if (!err && !tmpl->id.proto)
        err = nserr_arg(enc->e, "%s: %sproto is missing (\"esp\", \"ah\", \"comp\")", enc->op,
                        enc->path);
    enc->header = header;
    codec_path_end(enc, path);
    return err;
}

static int encode_tmpl(struct codec_enc *enc, const struct codec_row *row)
{
    lua_State *L = enc->L;
    int n, err = 0;
    size_t mark;

    if (lua_type(L, -1) != LUA_TTABLE || (n = (int)lua_rawlen(L, -1)) == 0 || n > TEMPLATES_MAX)
        return codec_bad(enc, row->key, "a list of 1 to %d tables such as { proto = \"esp\" }",
                         TEMPLATES_MAX);
    mark = codec_nest(&enc->m, row->attr);
    for (int i = 1; !err && i <= n; i++) {
        lua_rawgeti(L, -1, i);
        err = encode_one(enc, row->key, i);
        lua_pop(L, err ? 0 : 1);
    }
    codec_nest_end(&enc->m, mark);
    return err;
}

static void decode_tmpl(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    int n = nla_len(a) / (int)sizeof(struct xfrm_user_tmpl);

    lua_createtable(dec->L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_newtable(dec->L);
        codec_decode_nested(dec, &xfrm_tmpl_schema,
                            (char *)nla_data(a) + (size_t)i * sizeof(struct xfrm_user_tmpl), NULL,
                            0);
        lua_rawseti(dec->L, -2, i + 1);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom tmpl = {encode_tmpl, decode_tmpl};

/* The type of policies is a structure. */
static int encode_ptype(struct codec_enc *enc, const struct codec_row *row)
{
    struct xfrm_userpolicy_type type = {0};
    int64_t value = -1;

    if (lua_type(enc->L, -1) == LUA_TSTRING)
        value = codec_name_value(&names_ptype, lua_tostring(enc->L, -1));
    if (value < 0)
        return codec_bad(enc, row->key, "\"main\" or \"sub\"");
    type.type = (uint8_t)value;
    codec_put(&enc->m, row->attr, &type, sizeof(type));
    return 0;
}

static void decode_ptype(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 1 || nla_get_u8(a) == XFRM_POLICY_TYPE_MAIN)
        return;
    codec_push_name(dec->L, &names_ptype, nla_get_u8(a));
    codec_set_name(dec, row->key);
}
static const struct codec_custom ptype = {encode_ptype, decode_ptype};

/* Rows -------------------------------------------------------------------------------------- */

// clang-format off
static const struct codec_row policy_rows[] = {
    XFRM_SELECTOR_ROWS,
    ENUM("dir", HDR(dir), 1, &names_dir, .flags = ROW_HDR),
    ENUM("action", HDR(action), 1, &names_action, .flags = ROW_HDR),
    U32("priority", HDR(priority), .flags = ROW_HDR),
    U32("index", HDR(index), .flags = ROW_HDR | ROW_NZ),
    BIT("localok", HDR(flags), 1, XFRM_POLICY_LOCALOK, .flags = ROW_HDR | ROW_NZ),
    BIT("icmp", HDR(flags), 1, XFRM_POLICY_ICMP, .flags = ROW_HDR | ROW_NZ),
    CUSTOM("limits", HDR(lft), &xfrm_limits, .flags = ROW_HDR),
    CUSTOM("stats", HDR(curlft), &xfrm_stats, .flags = ROW_HDR | ROW_RO),
    CUSTOM("tmpl", XFRMA_TMPL, &tmpl),
    CUSTOM("ptype", XFRMA_POLICY_TYPE, &ptype),
    CUSTOM("mark", XFRMA_MARK, &xfrm_mark),
    U32("if_id", XFRMA_IF_ID, .min = 1),
};
// clang-format on
struct codec_schema xfrm_policy_schema =
    SCHEMA("xfrm_policy", policy_rows, sizeof(struct xfrm_userpolicy_info));

static int prepare(struct codec_enc *enc, int idx)
{
    struct xfrm_userpolicy_info *info = codec_header(enc);

    (void)idx;
    info->dir = UINT8_MAX; /* not given */
    xfrm_no_limits(&info->lft);
    return 0;
}

/* Which policy, and nothing else. */
static void deletion(struct nlmsghdr *h)
{
    static const int kept[] = {XFRMA_POLICY_TYPE, XFRMA_MARK, XFRMA_IF_ID};
    struct xfrm_userpolicy_info info;
    struct xfrm_userpolicy_id id = {0};
    char buf[128];
    struct codec_msg m = {.buf = buf, .cap = sizeof(buf)};

    memcpy(&info, nlmsg_data(h), sizeof(info));
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct nlattr *a = noun_attr(&noun_xfrm_policy, h, kept[i]);
        if (a)
            codec_put(&m, kept[i], nla_data(a), (size_t)nla_len(a));
    }
    id.sel = info.sel;
    id.dir = info.dir;
    id.index = info.sel.family ? 0 : info.index; /* by its selector, unless there is none */
    memcpy(nlmsg_data(h), &id, sizeof(id));
    memcpy(nlmsg_attrdata(h, sizeof(id)), buf, m.len);
    h->nlmsg_len = (uint32_t)(NLMSG_LENGTH(NLMSG_ALIGN(sizeof(id))) + m.len);
}

static int finish(struct codec_enc *enc, int idx)
{
    struct xfrm_userpolicy_info *info = codec_header(enc);
    struct nlmsghdr *h = (struct nlmsghdr *)enc->m.buf;

    (void)idx;
    if (enc->verb == CODEC_MATCH) {
        if (info->dir == UINT8_MAX)
            info->dir = 0;
        return 0;
    }
    if (info->dir == UINT8_MAX)
        return nserr_arg(enc->e, "%s: dir is missing (\"in\", \"out\", \"fwd\")", enc->op);
    if (enc->verb == CODEC_DEL) {
        if (!info->sel.family && !info->index)
            return nserr_arg(enc->e, "%s: src, dst or index is missing", enc->op);
        h->nlmsg_len = (uint32_t)enc->m.len;
        if (!enc->m.overflow)
            deletion(h);
        enc->m.len = h->nlmsg_len;
        return 0;
    }
    if (!info->sel.family)
        info->sel.family = AF_INET;
    xfrm_settle_type(enc, XFRM_MSG_UPDPOLICY);
    return 0;
}

/* Sockets have policies of their own, which nobody else can change. */
static bool listed(const struct nlmsghdr *h)
{
    return ((const struct xfrm_userpolicy_info *)nlmsg_data(h))->dir < XFRM_POLICY_MAX;
}

const struct noun noun_xfrm_policy = {
    .name = "xfrm_policy",
    .schema = &xfrm_policy_schema,
    .add = XFRM_MSG_NEWPOLICY,
    .del = XFRM_MSG_DELPOLICY,
    .get = XFRM_MSG_GETPOLICY,
    .ident = {"src", "dst", "dir", "priority", "index"},
    .prepare = prepare,
    .finish = finish,
    .listed = listed,
    .deletion = deletion,
    .protocol = NETLINK_XFRM,
    .bare_dump = true,
    .counts = true,
};
