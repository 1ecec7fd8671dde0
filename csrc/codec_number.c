/* SPDX-License-Identifier: MIT
 * Numbers, truths, amounts with units and words that stand for numbers: Lua values to attributes
 * and header fields. */
#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec_index.h"
#include "units.h"

static int64_t max_of(const struct codec_row *row)
{
    if (row->max)
        return row->max;
    if (row->size == 8)
        return INT64_MAX;
    return row->type == CODEC_SINT ? (INT64_C(1) << (8 * row->size - 1)) - 1
                                   : (INT64_C(1) << (8 * row->size)) - 1;
}

static int64_t min_of(const struct codec_row *row)
{
    if (row->min || row->type != CODEC_SINT)
        return row->min;
    return row->size == 8 ? INT64_MIN : -(INT64_C(1) << (8 * row->size - 1));
}

static size_t number_bytes(const struct codec_row *row, int64_t value, char out[8])
{
    bool be = row->flags & ROW_BE;
    uint16_t v16 = be ? htobe16((uint16_t)value) : (uint16_t)value;
    uint32_t v32 = be ? htobe32((uint32_t)value) : (uint32_t)value;
    uint64_t v64 = be ? htobe64((uint64_t)value) : (uint64_t)value;

    switch (row->size) {
    case 1:
        *out = (char)value;
        break;
    case 2:
        memcpy(out, &v16, 2);
        break;
    case 4:
        memcpy(out, &v32, 4);
        break;
    default:
        memcpy(out, &v64, 8);
    }
    return row->size;
}

int codec_put_number(struct codec_enc *enc, const struct codec_row *row, int64_t value)
{
    char bytes[8];
    size_t len = number_bytes(row, value, bytes);

    if (row->flags & ROW_HDR)
        memcpy((char *)codec_header(enc) + row->attr, bytes, len);
    else
        codec_put(&enc->m, row->attr, bytes, len);
    return 0;
}

/* Several rows may each bring bits of one number. */
static int put_bits(struct codec_enc *enc, const struct codec_row *row, bool on)
{
    struct nlattr *a;
    char *at;
    uint64_t value = 0;

    if (row->flags & ROW_HDR) {
        at = (char *)codec_header(enc) + row->attr;
    } else {
        a = codec_find(&enc->m, enc->level, row->attr);
        at = a ? nla_data(a) : codec_put(&enc->m, row->attr, NULL, row->size);
    }
    if (!at)
        return 0; /* overflow, told at the end */
    memcpy(&value, at, row->size);
    if (row->flags & ROW_HDR && row->min) {
        uint32_t change;
        char *field = (char *)codec_header(enc) + row->min;
        memcpy(&change, field, sizeof(change));
        change |= row->mask;
        memcpy(field, &change, sizeof(change));
    }
    value = on ? value | row->mask : value & ~(uint64_t)row->mask;
    memcpy(at, &value, row->size);
    return 0;
}

static int truth(struct codec_enc *enc, const struct codec_row *row, bool *out)
{
    if (lua_type(enc->L, -1) != LUA_TBOOLEAN)
        return codec_bad(enc, row->key, "true or false");
    *out = lua_toboolean(enc->L, -1);
    if (row->flags & ROW_NOT)
        *out = !*out;
    return 0;
}

static int encode_truth(struct codec_enc *enc, const struct codec_row *row)
{
    bool on = false;
    int err = truth(enc, row, &on);

    if (err)
        return err;
    if (row->type == CODEC_BOOL)
        return codec_put_number(enc, row, on);
    if (row->type == CODEC_BIT)
        return put_bits(enc, row, on);
    if (on)
        codec_put(&enc->m, row->attr, NULL, 0);
    return 0;
}

static int encode_number(struct codec_enc *enc, const struct codec_row *row)
{
    int64_t value;
    int err;

    if (row->flags & ROW_ZERO && lua_type(enc->L, -1) == LUA_TSTRING &&
        !strcmp(lua_tostring(enc->L, -1), "none"))
        return codec_put_number(enc, row, 0);
    err = codec_integer(enc, row->key, min_of(row), max_of(row), &value);
    return err ? err : codec_put_number(enc, row, value);
}

/* Times, rates, sizes and shares: text as tc takes it, or a number in SI base units. */
static int encode_unit(struct codec_enc *enc, const struct codec_row *row)
{
    static const char *const wanted[] = {
        "a time such as \"10ms\", or seconds", "a rate such as \"1mbit\", or bit/s",
        "a size such as \"10k\", or bytes", "a share such as \"1%\", or a number from 0 to 1"};
    const char *want = wanted[row->type - CODEC_TIME];
    double value, most = (double)max_of(row), scale = 1;
    bool ok = false;

    if (row->type == CODEC_TIME)
        scale = 1e9 / row->mask;
    else if (row->type == CODEC_RATE)
        scale = 1 / 8.0;
    else if (row->type == CODEC_SHARE)
        scale = row->mask ? row->mask : most;
    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        value = lua_tonumber(enc->L, -1);
        ok = true;
    } else if (lua_type(enc->L, -1) == LUA_TSTRING) {
        ok = units_parse(lua_tostring(enc->L, -1), (enum units_kind)(row->type - CODEC_TIME),
                         &value);
    }
    if (!ok || value != value || value < 0 || (row->type == CODEC_SHARE && value > 1))
        return codec_bad(enc, row->key, "%s", want);
    value = rint((row->flags & ROW_NOT ? 1 - value : value) * scale); /* as tc does */
    if (value < (double)row->min)
        return codec_bad(enc, row->key, "%s, and not less than %.9g", want, row->min / scale);
    if (value > most)
        return codec_bad(enc, row->key, "%s, and not more than %.9g", want, most / scale);
    return codec_put_number(enc, row, value >= 9.2e18 ? INT64_MAX : (int64_t)value);
}

static int bad_name(struct codec_enc *enc, const struct codec_row *row, const char *text)
{
    const struct codec_names *names = row->arg;
    const char *list[CANDIDATES_MAX] = {0};
    char hint[80] = "", all[160] = "";
    size_t n = 0, len = 0;

    for (; n < names->count && n < CANDIDATES_MAX; n++) {
        list[n] = names->list[n].name;
        if (len < sizeof(all))
            len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", n ? ", " : "", list[n]);
    }
    if (text && nserr_nearest(text, list, n))
        nserr_hint(hint, sizeof(hint), text, list, n);
    else if (n && len < sizeof(all))
        return codec_bad(enc, row->key, "%s (one of %s)", names->what, all);
    return codec_bad(enc, row->key, "%s%s", names->what, hint);
}

/* A number written as text, as ip takes it, or -1; one that is too large for any row stays so. */
static int64_t number_in_text(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);

    if (*text < '0' || *text > '9' || *end)
        return -1;
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static int encode_enum(struct codec_enc *enc, const struct codec_row *row)
{
    int64_t value;
    const char *text;
    int err;

    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        err = codec_integer(enc, row->key, min_of(row), max_of(row), &value);
        return err ? err : codec_put_number(enc, row, value);
    }
    if (lua_type(enc->L, -1) != LUA_TSTRING)
        return bad_name(enc, row, NULL);
    text = codec_text(enc, row->key, "a name");
    if (!text)
        return -EINVAL;
    value = number_in_text(text);
    if (value < 0)
        value = codec_name_value(row->arg, text);
    if (value < 0)
        return bad_name(enc, row, text);
    if (value < min_of(row) || value > max_of(row))
        return codec_bad(enc, row->key, "a name or an integer from %" PRId64 " to %" PRId64,
                         min_of(row), max_of(row));
    return codec_put_number(enc, row, value);
}

int codec_encode_number(struct codec_enc *enc, const struct codec_row *row)
{
    switch ((enum codec_type)row->type) {
    case CODEC_BOOL:
    case CODEC_FLAG:
    case CODEC_BIT:
        return encode_truth(enc, row);
    case CODEC_ENUM:
        return encode_enum(enc, row);
    case CODEC_TIME:
    case CODEC_RATE:
    case CODEC_SIZE:
    case CODEC_SHARE:
        return encode_unit(enc, row);
    default:
        return encode_number(enc, row);
    }
}
