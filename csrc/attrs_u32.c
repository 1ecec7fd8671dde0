/* SPDX-License-Identifier: MIT
 * The filter u32 (tc-u32(8)): words of 32 bits that are compared, told as tc does. */
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <string.h>

#include "attrs_tc.h"
#include "tc_fields.h"

#define SEL(field) TC_OFF(tc_u32_sel, field)
#define KEYS_MAX   128
#define FIRST_OWN  0x800 /* hash tables from here on are the kernel's */

/* Handles ------------------------------------------------------------------------------------ */

bool u32_parse_handle(const char *text, uint32_t *handle)
{
    uint32_t part[3] = {0};
    static const uint32_t most[] = {0xfff, 0xff, 0xfff};
    int i = 0;

    for (;; i++, text++) {
        char *end = (char *)text;
        if (i == 3)
            return false;
        if (*text != ':' && *text)
            part[i] = (uint32_t)strtoul(text, &end, 16);
        if (part[i] > most[i] || *text == '-' || *text == '+' || *text == ' ')
            return false;
        text = end;
        if (!*text)
            break;
        if (*text != ':')
            return false;
    }
    *handle = part[0] << 20 | part[1] << 12 | part[2];
    return i > 0;
}

void u32_push_handle(lua_State *L, uint32_t handle)
{
    char text[24], hash[8] = "", node[8] = "";

    if (TC_U32_HASH(handle))
        snprintf(hash, sizeof(hash), "%x", TC_U32_HASH(handle));
    if (TC_U32_NODE(handle))
        snprintf(node, sizeof(node), "%x", TC_U32_NODE(handle));
    snprintf(text, sizeof(text), "%x:%s%s%s", TC_U32_USERHTID(handle), hash,
             *hash || *node ? ":" : "", node);
    lua_pushstring(L, text);
}

static int encode_table_id(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "a hash table such as \"1:\"");
    uint32_t handle;

    if (!text)
        return -EINVAL;
    if (!u32_parse_handle(text, &handle))
        return codec_bad(enc, row->key, "a hash table such as \"1:\", or a bucket of it, \"1:6:\"");
    return codec_put_number(enc, row, handle);
}

static void decode_table_id(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 4 || TC_U32_USERHTID(nla_get_u32(a)) >= FIRST_OWN)
        return;
    u32_push_handle(dec->L, nla_get_u32(a));
    codec_set_name(dec, row->key);
}
static const struct codec_custom table_id = {encode_table_id, decode_table_id};

/* What is compared --------------------------------------------------------------------------- */

// clang-format off
#define KEY(field) TC_OFF(tc_u32_key, field)
static const struct codec_row key_rows[] = {
    CUSTOM("value", KEY(val), &tc_hex, .size = 4, .flags = ROW_HDR | ROW_BE),
    CUSTOM("mask", KEY(mask), &tc_hex, .size = 4, .flags = ROW_HDR | ROW_BE),
    S32("at", KEY(off), .flags = ROW_HDR),
    S32("offmask", KEY(offmask), .flags = ROW_HDR | ROW_NZ),
};
static const struct tc_u32_key key_initial = {.mask = UINT32_MAX};
struct codec_schema u32_key_schema = {
    .name = "filter u32 match", .rows = key_rows, .count = ARRAY_LEN(key_rows), .header = sizeof(struct tc_u32_key),
    .initial = &key_initial,
};
// clang-format on

#define MATCH_WANTED                                                                               \
    "a comparison such as \"ip dst 10.0.0.0/8\", \"ip dport 80\", \"u32 0x1 0xff at 12\" or "      \
    "{ value =, mask =, at = }"

/* "0xff", and what stands behind it. */
static const char *read_mask(const char *text, int size, uint8_t mask[16])
{
    char *end;
    unsigned long value = strtoul(text, &end, 0);

    if (end == text || (*end && *end != ' '))
        return NULL;
    for (int i = 0; i < size; i++)
        mask[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    return end + (*end == ' ');
}

/* "u16 0x800 0xffff at 12": *size and *offset, then value and mask. */
static const char *read_plain(const char *text, int *size, int *offset, uint8_t value[16],
                              uint8_t mask[16])
{
    *size = !strncmp(text, "u32 ", 4)   ? 4
            : !strncmp(text, "u16 ", 4) ? 2
            : !strncmp(text, "u8 ", 3)  ? 1
                                        : 0;
    if (!*size)
        return NULL;
    text = tc_value_parse(strchr(text, ' ') + 1, *size, value, mask);
    text = text ? read_mask(text, *size, mask) : NULL;
    if (!text)
        return NULL;
    *offset = 0;
    if (!strncmp(text, "at ", 3)) {
        char *end;
        *offset = (int)strtol(text + 3, &end, 0);
        text = end == text + 3 ? NULL : end;
    }
    return text;
}

static int match_text(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, MATCH_WANTED);
    const struct tc_field *field = text ? tc_field_parse(&text, TC_FIELD_MATCH) : NULL;
    struct tc_word words[TC_WORDS_MAX];
    uint8_t value[16], mask[16];
    int size, offset, n;

    if (!text)
        return -EINVAL;
    if (field) {
        size = field->size;
        offset = field->offset;
        text = tc_value_parse(text, size, value, mask);
        if (text && *text)
            text = read_mask(text, size, mask);
    } else {
        text = read_plain(text, &size, &offset, value, mask);
    }
    if (!text || *text)
        return codec_bad(enc, row->key, MATCH_WANTED);
    n = tc_words(offset, size, value, mask, words);
    for (int i = 0; i < n; i++) {
        struct tc_u32_key key = {.off = words[i].offset};
        memcpy(&key.val, words[i].value, 4);
        memcpy(&key.mask, words[i].mask, 4);
        if (key.mask || n == 1)
            codec_put(&enc->m, row->attr, &key, sizeof(key));
    }
    return 0;
}

static int match_table(struct codec_enc *enc, const struct codec_row *row, int number)
{
    size_t mark = codec_nest(&enc->m, row->attr), path = codec_path(enc, row->key, number);
    int err = codec_encode_struct(enc, lua_gettop(enc->L), &u32_key_schema);

    codec_path_end(enc, path);
    codec_nest_end(&enc->m, mark);
    return err;
}

static int encode_match(struct codec_enc *enc, const struct codec_row *row)
{
    int n, err = 0;

    if (lua_type(enc->L, -1) == LUA_TSTRING)
        return match_text(enc, row);
    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key, "a list, each " MATCH_WANTED);
    n = (int)lua_rawlen(enc->L, -1);
    for (int i = 1; !err && i <= n; i++) {
        lua_rawgeti(enc->L, -1, i);
        err = lua_type(enc->L, -1) == LUA_TTABLE ? match_table(enc, row, i) : match_text(enc, row);
        lua_pop(enc->L, err ? 0 : 1);
    }
    return err;
}

static void decode_match(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    int count = (nla_len(a) - (int)sizeof(struct tc_u32_sel)) / (int)sizeof(struct tc_u32_key);

    if (count <= 0)
        return;
    lua_createtable(dec->L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_newtable(dec->L);
        codec_decode_inside(dec, &u32_key_schema,
                            (char *)nla_data(a) + sizeof(struct tc_u32_sel) +
                                (size_t)i * sizeof(struct tc_u32_key),
                            sizeof(struct tc_u32_key));
        lua_rawseti(dec->L, -2, i + 1);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom match = {encode_match, decode_match};

// clang-format off
static const struct codec_row mark_rows[] = {
    CUSTOM("mark", TC_OFF(tc_u32_mark, val), &tc_hex, .size = 4, .flags = ROW_HDR),
    CUSTOM("mark_mask", TC_OFF(tc_u32_mark, mask), &tc_hex, .size = 4, .flags = ROW_HDR),
};
static const struct tc_u32_mark mark_initial = {.mask = UINT32_MAX};
static struct codec_schema mark_schema = {
    .name = "filter u32 mark", .rows = mark_rows, .count = ARRAY_LEN(mark_rows), .header = sizeof(struct tc_u32_mark),
    .initial = &mark_initial,
};

/* The header: what a packet is looked up by in the table that `link` names (tc-u32(8): offset, hashkey). */
static const struct codec_row u32_rows[] = {
    CUSTOM("match", TCA_U32_SEL, &match),
    TC_FILTER_ROWS(TCA_U32_ACT, TCA_U32_CLASSID),
    IFNAME("indev", TCA_U32_INDEV),
    CUSTOM("link", TCA_U32_LINK, &table_id, .size = 4),
    CUSTOM("ht", TCA_U32_HASH, &table_id, .size = 4),
    U32("divisor", TCA_U32_DIVISOR, .min = 1, .max = 256),
    INLINE(TCA_U32_MARK, &mark_schema),
    TC_FILTER_FLAGS(TCA_U32_FLAGS),
    BIT("offset_fixed", SEL(flags), 1, TC_U32_OFFSET, .flags = ROW_HDR | ROW_NZ),
    BIT("offset_variable", SEL(flags), 1, TC_U32_VAROFFSET, .flags = ROW_HDR | ROW_NZ),
    BIT("eat", SEL(flags), 1, TC_U32_EAT, .flags = ROW_HDR | ROW_NZ),
    U16("offset_mask", SEL(offmask), .flags = ROW_HDR | ROW_NZ | ROW_BE),
    U8("offset_shift", SEL(offshift), .flags = ROW_HDR | ROW_NZ),
    U16("offset_plus", SEL(off), .flags = ROW_HDR | ROW_NZ),
    UNIT_ROW("offset_at", SEL(offoff), CODEC_SINT, 2, .flags = ROW_HDR | ROW_NZ),
    CUSTOM("hashkey_mask", SEL(hmask), &tc_hex, .size = 4, .flags = ROW_HDR | ROW_NZ | ROW_BE),
    UNIT_ROW("hashkey_at", SEL(hoff), CODEC_SINT, 2, .flags = ROW_HDR | ROW_NZ),
};
struct codec_schema u32_schema = SCHEMA("filter u32", u32_rows, sizeof(struct tc_u32_sel));
// clang-format on

/* Take the keys, an attribute each, out of the message: words of one offset are compared as one. */
static int take_keys(struct codec_enc *enc, struct tc_u32_key keys[KEYS_MAX])
{
    struct nlattr *a;
    int n = 0, same;

    for (; (a = codec_find(&enc->m, enc->level, TCA_U32_SEL)); codec_drop(&enc->m, a)) {
        struct tc_u32_key key;

        memcpy(&key, nla_data(a), sizeof(key));
        for (same = 0; same < n && same < KEYS_MAX; same++)
            if (keys[same].off == key.off && keys[same].offmask == key.offmask &&
                !(keys[same].mask & key.mask))
                break;
        if (same < n && same < KEYS_MAX) {
            keys[same].val |= key.val & key.mask;
            keys[same].mask |= key.mask;
        } else {
            if (n < KEYS_MAX)
                keys[n] = key;
            n++;
        }
    }
    return n;
}

int u32_pack(struct codec_enc *enc, void *fields, void *lead)
{
    struct tc_u32_key keys[KEYS_MAX];
    struct tc_u32_sel sel;
    int n = take_keys(enc, keys);
    char *at;

    (void)lead;
    if (n > KEYS_MAX)
        return nserr_arg(enc->e, "%s: match has more than %d words", enc->op, KEYS_MAX);
    if (tc_given(enc, TCA_U32_DIVISOR))
        return tc_need(enc, n == 0, "a hash table (divisor) compares nothing (match)");
    memcpy(&sel, fields, sizeof(sel));
    sel.nkeys = (unsigned char)n;
    if (!tc_given(enc, TCA_U32_LINK))
        sel.flags |= TC_U32_TERMINAL;
    at = codec_put(&enc->m, TCA_U32_SEL, NULL, sizeof(sel) + (size_t)n * sizeof(keys[0]));
    if (!at)
        return 0; /* overflow, told at the end */
    memcpy(at, &sel, sizeof(sel));
    memcpy(at + sizeof(sel), keys, (size_t)n * sizeof(keys[0]));
    return 0;
}

void u32_unpack(const struct tc_options *in, void *fields)
{
    struct nlattr *a = in->tb[TCA_U32_SEL];

    if (a && nla_len(a) >= (int)sizeof(struct tc_u32_sel))
        memcpy(fields, nla_data(a), sizeof(struct tc_u32_sel));
}
