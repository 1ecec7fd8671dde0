/* SPDX-License-Identifier: MIT
 * The action pedit (tc-pedit(8)): changes of packets, told as tc does, listed as words of 32 bits.
 */
#include <linux/pkt_cls.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_pedit.h>
#include <string.h>

#include "attrs_tc.h"
#include "tc_fields.h"

#define KEYS_MAX 32

/* What `munge` gives, until pack makes of it what travels. */
struct pedit_key {
    struct tc_pedit_key key;
    uint16_t header, cmd;
};

static const struct codec_name headers[] = {
    {TCA_PEDIT_KEY_EX_HDR_TYPE_NETWORK, "network"}, {TCA_PEDIT_KEY_EX_HDR_TYPE_ETH, "eth"},
    {TCA_PEDIT_KEY_EX_HDR_TYPE_IP4, "ip"},          {TCA_PEDIT_KEY_EX_HDR_TYPE_IP6, "ip6"},
    {TCA_PEDIT_KEY_EX_HDR_TYPE_TCP, "tcp"},         {TCA_PEDIT_KEY_EX_HDR_TYPE_UDP, "udp"}};
static const struct codec_names names_header = NAMES("a header", headers);

static const struct codec_name commands[] = {{TCA_PEDIT_KEY_EX_CMD_SET, "set"},
                                             {TCA_PEDIT_KEY_EX_CMD_ADD, "add"}};
static const struct codec_names names_command = NAMES("set or add", commands);

// clang-format off
#define KEY(field) TC_OFF(pedit_key, field)
static const struct codec_row key_rows[] = {
    ENUM("header", KEY(header), 2, &names_header, .flags = ROW_HDR),
    ENUM("cmd", KEY(cmd), 2, &names_command, .flags = ROW_HDR),
    U32("offset", KEY(key.off), .max = 65532, .flags = ROW_HDR),
    CUSTOM("value", KEY(key.val), &tc_hex, .size = 4, .flags = ROW_HDR | ROW_BE),
    CUSTOM("keep", KEY(key.mask), &tc_hex, .size = 4, .flags = ROW_HDR | ROW_BE),
    U32("at", KEY(key.at), .flags = ROW_HDR | ROW_NZ),
    CUSTOM("offmask", KEY(key.offmask), &tc_hex, .size = 4, .flags = ROW_HDR | ROW_NZ),
    U32("shift", KEY(key.shift), .max = 31, .flags = ROW_HDR | ROW_NZ),
};
struct codec_schema pedit_key_schema = SCHEMA("action pedit munge", key_rows, sizeof(struct pedit_key));
// clang-format on

#define MUNGE_WANTED                                                                               \
    "a change such as \"ip ttl set 64\", \"eth dst set 02:00:00:00:00:01\" or \"ip tos add 4\""

static void put_words(struct codec_enc *enc, const struct tc_field *field, uint16_t cmd,
                      const uint8_t *value, const uint8_t *mask)
{
    struct tc_word words[TC_WORDS_MAX];
    int n = tc_words(field->offset, field->size, value, mask, words);

    for (int i = 0; i < n; i++) {
        struct pedit_key k = {
            .header = field->edit_header, .cmd = cmd, .key.off = (uint32_t)words[i].offset};

        memcpy(&k.key.val, words[i].value, 4);
        for (int b = 0; b < 4; b++)
            ((uint8_t *)&k.key.mask)[b] = (uint8_t)~words[i].mask[b];
        codec_put(&enc->m, TCA_PEDIT_KEY_EX, &k, sizeof(k));
    }
}

/* "ip ttl set 64" */
static int munge_text(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, MUNGE_WANTED);
    const struct tc_field *field = text ? tc_field_parse(&text, TC_FIELD_EDIT) : NULL;
    uint8_t value[16], mask[16];
    bool add;

    if (!text)
        return -EINVAL;
    add = field && !strncmp(text, "add ", 4);
    if (!field || !(add || !strncmp(text, "set ", 4)))
        return codec_bad(enc, row->key, MUNGE_WANTED);
    text = tc_value_parse(text + 4, field->size, value, mask);
    if (!text || *text)
        return codec_bad(enc, row->key, MUNGE_WANTED);
    memset(mask, 0xff, sizeof(mask));
    put_words(enc, field, add ? TCA_PEDIT_KEY_EX_CMD_ADD : TCA_PEDIT_KEY_EX_CMD_SET, value, mask);
    return 0;
}

static int munge_table(struct codec_enc *enc, const struct codec_row *row, int number)
{
    size_t mark = codec_nest(&enc->m, TCA_PEDIT_KEY_EX), path = codec_path(enc, row->key, number);
    int err = codec_encode_struct(enc, lua_gettop(enc->L), &pedit_key_schema);

    codec_path_end(enc, path);
    codec_nest_end(&enc->m, mark);
    return err;
}

static int encode_munge(struct codec_enc *enc, const struct codec_row *row)
{
    int n, err = 0;

    if (lua_type(enc->L, -1) == LUA_TSTRING)
        return munge_text(enc, row);
    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key, "a list, each " MUNGE_WANTED);
    n = (int)lua_rawlen(enc->L, -1);
    for (int i = 1; !err && i <= n; i++) {
        lua_rawgeti(enc->L, -1, i);
        err = lua_type(enc->L, -1) == LUA_TTABLE ? munge_table(enc, row, i) : munge_text(enc, row);
        lua_pop(enc->L, err ? 0 : 1);
    }
    return err;
}

// clang-format off
static const struct codec_row gen_rows[] = {
    U32("index", TC_OFF(tc_gact, index), .flags = ROW_HDR | ROW_RO | ROW_NZ),
    CUSTOM("control", TC_OFF(tc_gact, action), &tc_control_row, .size = 4, .flags = ROW_HDR),
};
struct codec_schema pedit_gen_schema = SCHEMA("action pedit parms", gen_rows, sizeof(struct tc_gact));
// clang-format on

/* The header and command of each key, in order, where they are told. */
static void read_ex(struct nlattr *ex, struct pedit_key *keys, int count)
{
    struct nlattr *one;
    int left, i = 0;

    if (!ex)
        return;
    nla_for_each_nested(one, ex, left)
    {
        struct nlattr *header = nla_find(nla_data(one), nla_len(one), TCA_PEDIT_KEY_EX_HTYPE);
        struct nlattr *cmd = nla_find(nla_data(one), nla_len(one), TCA_PEDIT_KEY_EX_CMD);
        if (i == count)
            break;
        keys[i].header = header && nla_len(header) >= 2 ? nla_get_u16(header) : 0;
        keys[i].cmd = cmd && nla_len(cmd) >= 2 ? nla_get_u16(cmd) : 0;
        i++;
    }
}

static void decode_parms(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct pedit_key keys[KEYS_MAX] = {0};
    struct tc_pedit_sel sel;
    int room = (nla_len(a) - (int)sizeof(sel)) / (int)sizeof(keys[0].key), count;

    if (nla_len(a) < (int)sizeof(sel))
        return;
    memcpy(&sel, nla_data(a), sizeof(sel));
    count = sel.nkeys < room ? sel.nkeys : room;
    count = count < KEYS_MAX ? count : KEYS_MAX;
    for (int i = 0; i < count; i++)
        memcpy(&keys[i].key, (char *)nla_data(a) + sizeof(sel) + (size_t)i * sizeof(keys[0].key),
               sizeof(keys[0].key));
    read_ex(nla_find(dec->attrs, dec->attrs_len, TCA_PEDIT_KEYS_EX), keys, count);
    lua_createtable(dec->L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_newtable(dec->L);
        codec_decode_inside(dec, &pedit_key_schema, &keys[i], sizeof(keys[i]));
        lua_rawseti(dec->L, -2, i + 1);
    }
    codec_set_name(dec, row->key);
    codec_decode_inside(dec, &pedit_gen_schema, nla_data(a), sizeof(struct tc_gact));
}
static const struct codec_custom munge = {encode_munge, decode_parms};

// clang-format off
static const struct codec_row pedit_rows[] = {
    U32("index", TC_OFF(tc_gact, index), .flags = ROW_HDR | ROW_RO | ROW_WO), /* listed by munge */
    CUSTOM("control", TC_OFF(tc_gact, action), &tc_control_row, .size = 4, .flags = ROW_HDR | ROW_WO),
    CUSTOM("munge", TCA_PEDIT_PARMS, &munge, .flags = ROW_RO),
    CUSTOM("munge", TCA_PEDIT_PARMS_EX, &munge),
};
static const struct tc_gact pedit_initial = {.action = TC_ACT_OK};
struct codec_schema pedit_schema = {
    .name = "action pedit", .rows = pedit_rows, .count = ARRAY_LEN(pedit_rows), .header = sizeof(struct tc_gact),
    .initial = &pedit_initial,
};
// clang-format on

/* TCA_PEDIT_KEY_EX attributes, a struct pedit_key each, become PARMS_EX and KEYS_EX. */
int pedit_pack(struct codec_enc *enc, void *fields, void *lead)
{
    struct pedit_key keys[KEYS_MAX];
    struct tc_pedit_sel sel = {0};
    const struct tc_gact *gen = fields;
    struct nlattr *a;
    char *parms;
    size_t outer, inner;
    int n = 0;

    (void)lead;
    for (; (a = codec_find(&enc->m, enc->level, TCA_PEDIT_KEY_EX)); codec_drop(&enc->m, a)) {
        if (n < KEYS_MAX)
            memcpy(&keys[n], nla_data(a), sizeof(keys[n]));
        n++;
    }
    if (enc->verb != CODEC_MATCH && (n == 0 || n > KEYS_MAX))
        return nserr_arg(enc->e, "%s: %smunge must have 1 to %d changes of 32 bits, got %d",
                         enc->op, enc->path, KEYS_MAX, n);
    n = n > KEYS_MAX ? KEYS_MAX : n;
    sel.action = gen->action;
    sel.nkeys = (unsigned char)n;
    parms =
        codec_put(&enc->m, TCA_PEDIT_PARMS_EX, NULL, sizeof(sel) + (size_t)n * sizeof(keys[0].key));
    if (!parms)
        return 0; /* overflow, told at the end */
    memcpy(parms, &sel, sizeof(sel));
    for (int i = 0; i < n; i++)
        memcpy(parms + sizeof(sel) + (size_t)i * sizeof(keys[0].key), &keys[i].key,
               sizeof(keys[0].key));
    outer = codec_nest(&enc->m, TCA_PEDIT_KEYS_EX | NLA_F_NESTED);
    for (int i = 0; i < n; i++) {
        inner = codec_nest(&enc->m, TCA_PEDIT_KEY_EX | NLA_F_NESTED);
        codec_put(&enc->m, TCA_PEDIT_KEY_EX_HTYPE, &keys[i].header, sizeof(keys[i].header));
        codec_put(&enc->m, TCA_PEDIT_KEY_EX_CMD, &keys[i].cmd, sizeof(keys[i].cmd));
        codec_nest_end(&enc->m, inner);
    }
    codec_nest_end(&enc->m, outer);
    return 0;
}
