/* SPDX-License-Identifier: MIT
 * Traffic control: kinds of rows that several kinds of qdisc, filter and action share. */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "attrs_tc.h"
#include "units.h"

int tc_encode_nothing(struct codec_enc *enc, const struct codec_row *row)
{
    (void)enc, (void)row;
    return 0;
}

void tc_decode_nothing(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)dec, (void)row, (void)a;
}

static int encode_coarse(struct codec_enc *enc, const struct codec_row *row)
{
    struct codec_row plain = *row;

    plain.type = CODEC_TIME;
    plain.mask = 1000;
    return codec_encode_value(enc, &plain);
}

/* The kernel keeps whole units and tells whole microseconds, both rounded down: told is the least
 * time that is kept as the same number of units. */
static void decode_coarse(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    uint64_t us, units;

    if (nla_len(a) < 4 || (row->flags & ROW_ONES && nla_get_u32(a) == UINT32_MAX))
        return;
    us = nla_get_u32(a);
    units = (us * 1000 + row->mask - 1) / row->mask;
    lua_pushnumber(dec->L, (double)((units * row->mask + 999) / 1000) / 1e6);
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_coarse_time = {encode_coarse, decode_coarse};

static int encode_hex(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a number, in text hexadecimal (\"0x10\")";
    int64_t value;
    char *end;

    if (lua_type(enc->L, -1) == LUA_TSTRING) {
        const char *text = lua_tostring(enc->L, -1);
        value = (int64_t)strtoul(text, &end, 16);
        if (end == text || *end || *text == '-' || value > UINT32_MAX)
            return codec_bad(enc, row->key, wanted);
    } else {
        int err = codec_integer(enc, row->key, 0, row->max ? row->max : UINT32_MAX, &value);
        if (err)
            return err;
    }
    if (row->max && value > row->max)
        return codec_bad(enc, row->key, "at most 0x%x", (unsigned)row->max);
    return codec_put_number(enc, row, value);
}

static void decode_hex(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    char text[16];
    int64_t value = 0;

    if (!a)
        value = codec_read_number(row, dec->header + row->attr);
    else if (nla_len(a) >= row->size)
        value = codec_read_number(row, nla_data(a));
    if ((!value && row->flags & ROW_NZ) || ((uint32_t)value == UINT32_MAX && row->flags & ROW_ONES))
        return;
    snprintf(text, sizeof(text), "0x%x", (unsigned)value);
    lua_pushstring(dec->L, text);
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_hex = {encode_hex, decode_hex};

static const struct codec_name linklayers[] = {{TC_LINKLAYER_ETHERNET, "ethernet"},
                                               {TC_LINKLAYER_ATM, "atm"}};
const struct codec_names tc_linklayers = NAMES("a link layer", linklayers);

/* Lists of numbers --------------------------------------------------------------------------- */

/* Call put(enc, row, i, value) for each number of the list at the top, of at most `most`. */
static int each_number(struct codec_enc *enc, const struct codec_row *row, int most,
                       void (*put)(struct codec_enc *, const struct codec_row *, int, int64_t))
{
    int64_t value, max = row->max ? row->max : UINT32_MAX;
    int n, err = 0;

    if (lua_type(enc->L, -1) != LUA_TTABLE || lua_rawlen(enc->L, -1) > (size_t)most)
        return codec_bad(enc, row->key, "a list of up to %d numbers", most);
    n = (int)lua_rawlen(enc->L, -1);
    for (int i = 0; !err && i < n; i++) {
        lua_rawgeti(enc->L, -1, i + 1);
        err = codec_integer(enc, row->key, row->min, max, &value);
        if (!err)
            put(enc, row, i, value);
        lua_pop(enc->L, 1);
    }
    return err;
}

static void put_byte(struct codec_enc *enc, const struct codec_row *row, int i, int64_t value)
{
    ((uint8_t *)codec_header(enc))[row->attr + i] = (uint8_t)value;
}

static int encode_bytes(struct codec_enc *enc, const struct codec_row *row)
{
    return each_number(enc, row, row->size, put_byte);
}

static void decode_bytes(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)a;
    lua_createtable(dec->L, row->size, 0);
    for (int i = 0; i < row->size; i++) {
        lua_pushinteger(dec->L, ((const uint8_t *)dec->header)[row->attr + i]);
        lua_rawseti(dec->L, -2, i + 1);
    }
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_bytes = {encode_bytes, decode_bytes};

static void put_u32(struct codec_enc *enc, const struct codec_row *row, int i, int64_t value)
{
    uint32_t v32 = (uint32_t)value;
    uint8_t v8 = (uint8_t)value;

    (void)i;
    if (row->size == 4)
        codec_put(&enc->m, (int)row->mask, &v32, sizeof(v32));
    else
        codec_put(&enc->m, (int)row->mask, &v8, sizeof(v8));
}

static int encode_nested(struct codec_enc *enc, const struct codec_row *row)
{
    size_t mark = codec_nest(&enc->m, row->attr | NLA_F_NESTED);
    int err = each_number(enc, row, TCQ_ETS_MAX_BANDS, put_u32);

    codec_nest_end(&enc->m, mark);
    return err;
}

static void decode_nested(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct nlattr *item;
    int left, i = 0;

    lua_newtable(dec->L);
    nla_for_each_nested(item, a, left)
    {
        if (nla_len(item) < row->size)
            continue;
        lua_pushinteger(dec->L, row->size == 4 ? nla_get_u32(item) : nla_get_u8(item));
        lua_rawseti(dec->L, -2, ++i);
    }
    if (i)
        codec_set_name(dec, row->key);
    else
        lua_pop(dec->L, 1);
}
const struct codec_custom tc_numbers = {encode_nested, decode_nested};

static void put_item(struct codec_enc *enc, const struct codec_row *row, int i, int64_t value)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, row->attr);
    uint32_t v32 = (uint32_t)value;

    if (a)
        memcpy((char *)nla_data(a) + (size_t)i * sizeof(v32), &v32, sizeof(v32));
}

/* All of row->size numbers: the kernel takes no fewer. */
static int encode_array(struct codec_enc *enc, const struct codec_row *row)
{
    if (lua_type(enc->L, -1) != LUA_TTABLE || lua_rawlen(enc->L, -1) != row->size)
        return codec_bad(enc, row->key, "a list of %d numbers", row->size);
    codec_put(&enc->m, row->attr, NULL, row->size * sizeof(uint32_t));
    return each_number(enc, row, row->size, put_item);
}

static void decode_array(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < row->size * (int)sizeof(uint32_t))
        return;
    lua_createtable(dec->L, row->size, 0);
    for (int i = 0; i < row->size; i++) {
        uint32_t value;
        memcpy(&value, (char *)nla_data(a) + (size_t)i * sizeof(value), sizeof(value));
        lua_pushinteger(dec->L, value);
        lua_rawseti(dec->L, -2, i + 1);
    }
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_array = {encode_array, decode_array};

static int encode_log2(struct codec_enc *enc, const struct codec_row *row)
{
    int64_t value;
    int err = codec_integer(enc, row->key, 1, INT64_C(1) << row->max, &value);

    if (!err && value & (value - 1))
        err = codec_bad(enc, row->key, "a power of two");
    return err ? err : codec_put_number(enc, row, 63 - __builtin_clzll((uint64_t)value));
}

static void decode_log2(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 4 || nla_get_u32(a) > 62)
        return;
    lua_pushinteger(dec->L, INT64_C(1) << nla_get_u32(a));
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_log2 = {encode_log2, decode_log2};

/* Probabilities of which 2^32 is one --------------------------------------------------------- */

uint32_t tc_probability(double share)
{
    double value = share * 4294967296.0;

    return value >= UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

double tc_share(uint32_t probability)
{
    for (double scale = 1; scale < 1e15; scale *= 10) {
        double near = ceil(probability / 4294967296.0 * scale) / scale;

        if (tc_probability(near) == probability)
            return near;
    }
    return probability / 4294967296.0;
}

static int encode_probability(struct codec_enc *enc, const struct codec_row *row)
{
    struct codec_row plain = *row;
    uint32_t share;
    int err;

    plain.type = CODEC_SHARE;
    plain.size = 4;
    err = codec_encode_value(enc, &plain);
    if (err)
        return err;
    memcpy(&share, (char *)codec_header(enc) + row->attr, sizeof(share));
    return codec_put_number(enc, row, tc_probability(units_fraction(share, UINT32_MAX)));
}

static void decode_probability(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    uint32_t value;

    (void)a;
    memcpy(&value, dec->header + row->attr, sizeof(value));
    if (!value)
        return;
    lua_pushnumber(dec->L, tc_share(value));
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_probability_row = {encode_probability, decode_probability};

/* Bytes in hexadecimal, for what is handed on as it is --------------------------------------- */

static int encode_raw(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "bytes in hexadecimal");
    size_t n = text ? strlen(text) / 2 : 0;
    uint8_t *at;

    if (!text)
        return -EINVAL;
    if (!n || strlen(text) != 2 * n || strspn(text, "0123456789abcdef") != 2 * n ||
        n > UINT16_MAX / 2)
        return codec_bad(enc, row->key, "bytes in hexadecimal, as they were listed");
    at = codec_put(&enc->m, row->attr, NULL, n);
    for (size_t i = 0; at && i < n; i++) {
        const char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        at[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return 0;
}

static void decode_raw(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    static const char digits[] = "0123456789abcdef";
    luaL_Buffer b;
    char *at = luaL_buffinitsize(dec->L, &b, 2 * (size_t)nla_len(a));

    for (int i = 0; i < nla_len(a); i++) {
        uint8_t byte = ((const uint8_t *)nla_data(a))[i];
        *at++ = digits[byte >> 4];
        *at++ = digits[byte & 15];
    }
    luaL_pushresultsize(&b, 2 * (size_t)nla_len(a));
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_raw = {encode_raw, decode_raw};

/* A class in an attribute: "1:10" ------------------------------------------------------------ */

static int encode_classid(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "a class such as \"1:10\"");
    uint32_t handle;

    if (!text)
        return -EINVAL;
    if (!tc_parse_handle(text, &handle))
        return codec_bad(enc, row->key, "a class such as \"1:10\"");
    return codec_put_number(enc, row, handle);
}

static void decode_classid(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 4 || !nla_get_u32(a))
        return;
    tc_push_handle(dec->L, nla_get_u32(a));
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_classid = {encode_classid, decode_classid};
