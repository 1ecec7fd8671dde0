/* SPDX-License-Identifier: MIT
 * Actions of filters (tc-actions(8)): a list of tables, or of words such as "drop". */
#include <linux/pkt_cls.h>
#include <linux/tc_act/tc_gact.h>
#include <stdio.h>
#include <string.h>

#include "attrs_tc.h"

/* What becomes of a packet ------------------------------------------------------------------- */

static const struct codec_name controls[] = {
    {TC_ACT_OK, "pass"},          {TC_ACT_OK, "ok"},
    {TC_ACT_SHOT, "drop"},        {TC_ACT_SHOT, "shot"},
    {TC_ACT_PIPE, "pipe"},        {TC_ACT_RECLASSIFY, "reclassify"},
    {TC_ACT_STOLEN, "stolen"},    {TC_ACT_TRAP, "trap"},
    {TC_ACT_QUEUED, "queued"},    {TC_ACT_REPEAT, "repeat"},
    {TC_ACT_REDIRECT, "redirect"}};
static const struct codec_names names_control = NAMES("a control", controls);

#define CONTROL_WANTED                                                                             \
    "\"pass\", \"drop\", \"pipe\", \"continue\", \"reclassify\", \"stolen\", \"trap\", "           \
    "\"jump N\" or \"goto chain N\""

/* "jump 2", "goto chain 7" */
static bool extended_control(const char *text, const char *word, int opcode, int32_t *out)
{
    size_t len = strlen(word);
    char *end;
    long value;

    if (strncmp(text, word, len) != 0 || text[len] < '0' || text[len] > '9')
        return false;
    value = strtol(text + len, &end, 10);
    *out = (int32_t)((unsigned)opcode | (unsigned)value);
    return !*end && value <= TC_ACT_EXT_VAL_MASK;
}

static bool parse_control(const char *text, int32_t *out)
{
    int64_t value = codec_name_value(&names_control, text);

    *out = (int32_t)value;
    if (value >= 0)
        return true;
    if (!strcmp(text, "continue")) {
        *out = TC_ACT_UNSPEC;
        return true;
    }
    return extended_control(text, "jump ", TC_ACT_JUMP, out) ||
           extended_control(text, "goto chain ", TC_ACT_GOTO_CHAIN, out);
}

static void push_control(lua_State *L, int32_t control)
{
    const char *name = codec_value_name(&names_control, control, NULL, 0);
    int value = control & TC_ACT_EXT_VAL_MASK;

    if (control == TC_ACT_UNSPEC)
        lua_pushliteral(L, "continue");
    else if (TC_ACT_EXT_CMP(control, TC_ACT_JUMP))
        lua_pushfstring(L, "jump %d", value);
    else if (TC_ACT_EXT_CMP(control, TC_ACT_GOTO_CHAIN))
        lua_pushfstring(L, "goto chain %d", value);
    else if (name)
        lua_pushstring(L, name);
    else
        lua_pushinteger(L, control);
}

static int encode_control(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, CONTROL_WANTED);
    int32_t control;

    if (!text)
        return -EINVAL;
    if (!parse_control(text, &control))
        return codec_bad(enc, row->key, CONTROL_WANTED);
    return codec_put_number(enc, row, control);
}

static void decode_control(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    int32_t control;

    if (a && nla_len(a) < 4)
        return;
    memcpy(&control, a ? (const char *)nla_data(a) : dec->header + row->attr, sizeof(control));
    if (control == TC_CONTROL_UNSET)
        return;
    push_control(dec->L, control);
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_control_row = {encode_control, decode_control};

// clang-format off
static const struct codec_row action_rows[] = {
    STR("kind", TCA_ACT_KIND, 15),
    CUSTOM("stats", TCA_ACT_STATS, &tc_stats_row, .flags = ROW_RO),
};
struct codec_schema action_schema = SCHEMA("action", action_rows, 0);
// clang-format on

/* Lists of actions --------------------------------------------------------------------------- */

/* A word is an action, too: what becomes of the packet. */
static int encode_word(struct codec_enc *enc, const char *key)
{
    const char *text = lua_tostring(enc->L, -1);
    struct tc_gact gact = {0};
    size_t mark;

    if (!parse_control(text, &gact.action))
        return tc_unknown_kind(enc, &tc_actions, key, text);
    codec_put_str(&enc->m, TCA_ACT_KIND, "gact");
    mark = codec_nest(&enc->m, TCA_ACT_OPTIONS | NLA_F_NESTED);
    codec_put(&enc->m, TCA_GACT_PARMS, &gact, sizeof(gact));
    codec_nest_end(&enc->m, mark);
    return 0;
}

static int encode_fields(struct codec_enc *enc)
{
    int idx = lua_gettop(enc->L), err;
    struct codec_schema *extra = enc->extra;
    bool has_extra = enc->has_extra;
    enum codec_verb verb = enc->verb;
    const struct tc_form *form;
    const char *kind;

    if (!codec_field(enc->L, idx, "kind"))
        return nserr_arg(enc->e, "%s: %skind is missing: \"gact\", \"mirred\", \"police\" ...",
                         enc->op, enc->path);
    kind = codec_text(enc, "kind", "the name of an action");
    lua_pop(enc->L, 1); /* the table keeps it alive */
    if (!kind)
        return -EINVAL;
    form = tc_form_of(&tc_actions, kind);
    if (!form)
        return tc_unknown_kind(enc, &tc_actions, "kind", kind);
    enc->extra = form->schema;
    enc->has_extra = false;
    if (verb == CODEC_SET) /* of a filter: its actions are new ones */
        enc->verb = CODEC_ADD;
    err = codec_encode(enc, idx, &action_schema);
    if (!err)
        err = tc_put_options(enc, idx, TCA_ACT_OPTIONS, form, enc->has_extra);
    enc->verb = verb;
    enc->extra = extra;
    enc->has_extra = has_extra;
    return err;
}

/* The action at the top as number `i` of the list. */
static int encode_one(struct codec_enc *enc, const char *key, int i)
{
    size_t mark = codec_nest(&enc->m, i | NLA_F_NESTED), level = enc->level,
           path = codec_path(enc, key, i);
    int err;

    enc->level = enc->m.len;
    if (lua_type(enc->L, -1) == LUA_TSTRING)
        err = encode_word(enc, key);
    else if (lua_type(enc->L, -1) == LUA_TTABLE)
        err = encode_fields(enc);
    else
        err = nserr_arg(enc->e,
                        "%s: %s[%d] must be a word such as \"drop\", or a table { kind = ... }",
                        enc->op, key, i);
    enc->level = level;
    codec_path_end(enc, path);
    codec_nest_end(&enc->m, mark);
    return err;
}

static int encode_actions(struct codec_enc *enc, const struct codec_row *row)
{
    size_t mark;
    int n, err = 0;

    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key, "a list of actions");
    n = (int)lua_rawlen(enc->L, -1);
    if (n > TCA_ACT_MAX_PRIO)
        return codec_bad(enc, row->key, "a list of at most %d actions", TCA_ACT_MAX_PRIO);
    mark = codec_nest(&enc->m, row->attr | NLA_F_NESTED);
    for (int i = 1; !err && i <= n; i++) {
        lua_rawgeti(enc->L, -1, i);
        err = encode_one(enc, row->key, i);
        lua_pop(enc->L, err ? 0 : 1);
    }
    codec_nest_end(&enc->m, mark);
    return err;
}

/* `action`: a single one. */
static int encode_action(struct codec_enc *enc, const struct codec_row *row)
{
    size_t mark = codec_nest(&enc->m, row->attr | NLA_F_NESTED);
    int err = encode_one(enc, row->key, 1);

    codec_nest_end(&enc->m, mark);
    return err;
}

static void decode_action(struct codec_dec *dec, struct nlattr *a)
{
    struct nlattr *tb[TCA_ACT_MAX + 1] = {0};

    if (nla_parse(tb, TCA_ACT_MAX, nla_data(a), nla_len(a), NULL) < 0)
        return;
    codec_decode_inside(dec, &action_schema, nla_data(a), nla_len(a));
    tc_decode_options(dec, tc_form_in(&tc_actions, tb[TCA_ACT_KIND]), tb[TCA_ACT_OPTIONS]);
}

static void decode_actions(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct nlattr *one;
    int left, i = 0;

    lua_newtable(dec->L);
    nla_for_each_nested(one, a, left)
    {
        lua_newtable(dec->L);
        decode_action(dec, one);
        lua_rawseti(dec->L, -2, ++i);
    }
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_actions_row = {encode_actions, decode_actions};
const struct codec_custom tc_action_row = {encode_action, tc_decode_nothing};
