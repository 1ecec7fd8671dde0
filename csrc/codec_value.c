/* SPDX-License-Identifier: MIT
 * Single Lua values to attributes and header fields. Nothing here allocates Lua memory or raises.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdarg.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codec_index.h"
#include "units.h"

#define LLADDR_MAX  32
#define ALTNAME_MAX 127

/* The value at the top in a few words. */
static const char *describe(lua_State *L, char *buf, size_t size)
{
    int is_int;
    lua_Integer n;

    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        snprintf(buf, size, "\"%.60s\"", lua_tostring(L, -1));
        break;
    case LUA_TNUMBER:
        n = lua_tointegerx(L, -1, &is_int);
        if (is_int)
            snprintf(buf, size, "%lld", (long long)n);
        else
            snprintf(buf, size, "%.14g", lua_tonumber(L, -1));
        break;
    case LUA_TBOOLEAN:
        snprintf(buf, size, "%s", lua_toboolean(L, -1) ? "true" : "false");
        break;
    default:
        snprintf(buf, size, "a %s", lua_typename(L, lua_type(L, -1)));
    }
    return buf;
}

int codec_bad(struct codec_enc *enc, const char *key, const char *wanted, ...)
{
    char text[200], got[80];
    va_list ap;

    va_start(ap, wanted);
    vsnprintf(text, sizeof(text), wanted, ap);
    va_end(ap);
    return nserr_arg(enc->e, "%s: %s%s must be %s, got %s", enc->op, enc->path, key, text,
                     describe(enc->L, got, sizeof(got)));
}

/* Reading values ------------------------------------------------------------------------------ */

int codec_integer(struct codec_enc *enc, const char *key, int64_t min, int64_t max, int64_t *out)
{
    int is_int = 0;
    lua_Integer n = 0;

    if (lua_type(enc->L, -1) == LUA_TNUMBER)
        n = lua_tointegerx(enc->L, -1, &is_int);
    if (!is_int || n < min || n > max)
        return codec_bad(enc, key, "an integer from %" PRId64 " to %" PRId64, min, max);
    *out = n;
    return 0;
}

const char *codec_text(struct codec_enc *enc, const char *key, const char *wanted)
{
    size_t len;
    const char *text;

    if (lua_type(enc->L, -1) != LUA_TSTRING) {
        codec_bad(enc, key, "%s", wanted);
        return NULL;
    }
    text = lua_tolstring(enc->L, -1, &len);
    if (strlen(text) != len) {
        nserr_arg(enc->e, "%s: %s%s must not contain NUL bytes", enc->op, enc->path, key);
        return NULL;
    }
    return text;
}

int codec_parse_ip(const char *text, void *out)
{
    if (inet_pton(AF_INET, text, out) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, text, out) == 1 ? AF_INET6 : 0;
}

int codec_family(struct codec_enc *enc, const char *key, int family)
{
    if (enc->family == family)
        return 0;
    if (enc->family != AF_UNSPEC)
        return nserr_arg(enc->e, "%s: %s%s is %s, but %s says %s", enc->op, enc->path, key,
                         family == AF_INET ? "IPv4" : "IPv6", enc->family_by,
                         enc->family == AF_INET    ? "IPv4"
                         : enc->family == AF_INET6 ? "IPv6"
                                                   : "another family");
    enc->family = family;
    enc->family_by = key;
    if (*(uint8_t *)codec_header(enc) == AF_UNSPEC)
        *(uint8_t *)codec_header(enc) = (uint8_t)family;
    return 0; /* codec_settle_family compares them at the end */
}

bool codec_field(lua_State *L, int idx, const char *key)
{
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && !strcmp(lua_tostring(L, -2), key)) {
            lua_remove(L, -2);
            return true;
        }
    }
    return false;
}

/* Writing numbers ------------------------------------------------------------------------------ */

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

/* Text and addresses --------------------------------------------------------------------------- */

static int encode_str(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "a string");
    size_t len;

    if (!text)
        return -EINVAL;
    len = strlen(text);
    if (row->max && len > (size_t)row->max)
        return codec_bad(enc, row->key, "at most %" PRId64 " bytes long", row->max);
    codec_put(&enc->m, row->attr, text, len + 1);
    return 0;
}

/* max: IFNAMSIZ - 1 for a name, more where an alternative name will do. */
static const char *ifname(struct codec_enc *enc, const char *key, size_t max)
{
    const char *text = codec_text(enc, key, "the name of an interface");
    size_t len;

    if (!text)
        return NULL;
    len = strlen(text);
    if (len == 0 || len > max || !strcmp(text, ".") || !strcmp(text, "..") ||
        strpbrk(text, "/:% \t\n\v\f\r")) { /* %: to the kernel, a pattern to make names from */
        codec_bad(enc, key, "1 to %zu bytes without spaces, \"/\", \":\" or \"%%\"", max);
        return NULL;
    }
    return text;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Bytes of the link-layer addresses that there are: of an IPv4 tunnel, Ethernet, AX.25, FireWire,
 * an IPv6 tunnel, InfiniBand. */
static bool is_lladdr_len(size_t n)
{
    return n == 4 || n == 6 || n == 7 || n == 8 || n == 16 || n == 20;
}

static int encode_lladdr(struct codec_enc *enc, const struct codec_row *row)
{
    const char *p = codec_text(enc, row->key, "a link-layer address");
    unsigned char bytes[LLADDR_MAX];
    size_t n = 0;

    if (!p)
        return -EINVAL;
    while (n < LLADDR_MAX && hex_digit(p[0]) >= 0 && hex_digit(p[1]) >= 0) {
        bytes[n++] = (unsigned char)(hex_digit(p[0]) << 4 | hex_digit(p[1]));
        p += 2;
        if (*p != ':')
            break;
        p++;
    }
    if (!is_lladdr_len(n) || *p || p[-1] == ':')
        return codec_bad(enc, row->key, "a link-layer address such as \"02:00:00:00:00:01\"");
    codec_put(&enc->m, row->attr, bytes, n);
    return 0;
}

static int encode_ip(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "an IP address");
    unsigned char addr[16];
    int family, err = 0;

    if (!text)
        return -EINVAL;
    family = codec_parse_ip(text, addr);
    if (!family)
        return codec_bad(enc, row->key, "an IP address");
    if (row->type == CODEC_IP4 && family != AF_INET)
        return codec_bad(enc, row->key, "an IPv4 address");
    if (row->type == CODEC_IP6 && family != AF_INET6)
        return codec_bad(enc, row->key, "an IPv6 address");
    if (row->type == CODEC_IP)
        err = codec_family(enc, row->key, family);
    if (!err)
        codec_put(&enc->m, row->attr, addr, family == AF_INET ? 4 : 16);
    return err;
}

/* "10.0.0.0/24" -> family, bytes, length (without "/": the whole address). */
int codec_parse_prefix(const char *text, unsigned char addr[16], int *len)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    int family;

    if (n >= sizeof(host))
        return 0;
    memcpy(host, text, n);
    host[n] = '\0';
    family = codec_parse_ip(host, addr);
    *len = family == AF_INET ? 32 : 128;
    if (family && slash) {
        char *end;
        long value = strtol(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end || value > *len)
            return 0;
        *len = (int)value;
    }
    return family;
}

static bool means_any(const char *text)
{
    return !strcmp(text, "default") || !strcmp(text, "all") || !strcmp(text, "any");
}

static int encode_prefix(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a prefix such as \"10.0.0.0/24\" or \"2001:db8::/64\"";
    const char *text = codec_text(enc, row->key, wanted);
    unsigned char addr[16];
    int family, len, err;

    if (!text)
        return -EINVAL;
    if (row->arg && means_any(text))
        return 0; /* length 0, no attribute; the family comes from elsewhere */
    family = codec_parse_prefix(text, addr, &len);
    if (!family)
        return codec_bad(enc, row->key, "%s", wanted);
    err = codec_family(enc, row->key, family);
    if (err)
        return err;
    ((uint8_t *)codec_header(enc))[row->mask] = (uint8_t)len;
    if (len || !row->arg)
        codec_put(&enc->m, row->attr, addr, family == AF_INET ? 4 : 16);
    return 0;
}

static int encode_dev(struct codec_enc *enc, const struct codec_row *row)
{
    int64_t index;
    const char *name;

    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        int err = codec_integer(enc, row->key, row->flags & ROW_ZERO ? 0 : 1, INT32_MAX, &index);
        return err ? err : codec_put_number(enc, row, index);
    }
    if (row->flags & ROW_ZERO && lua_type(enc->L, -1) == LUA_TSTRING &&
        !strcmp(lua_tostring(enc->L, -1), "none"))
        return codec_put_number(enc, row, 0);
    name = ifname(enc, row->key, ALTNAME_MAX);
    if (!name)
        return -EINVAL;
    index = enc->dev_index(enc, name);
    return index < 0 ? (int)index : codec_put_number(enc, row, index);
}

int codec_encode_scalar(struct codec_enc *enc, const struct codec_row *row)
{
    switch ((enum codec_type)row->type) {
    case CODEC_UINT:
    case CODEC_SINT:
        return encode_number(enc, row);
    case CODEC_BOOL:
    case CODEC_FLAG:
    case CODEC_BIT:
        return encode_truth(enc, row);
    case CODEC_STR:
        return encode_str(enc, row);
    case CODEC_IFNAME: {
        const char *name = ifname(enc, row->key, IFNAMSIZ - 1);
        if (!name)
            return -EINVAL;
        codec_put_str(&enc->m, row->attr, name);
        return 0;
    }
    case CODEC_LLADDR:
        return encode_lladdr(enc, row);
    case CODEC_IP4:
    case CODEC_IP6:
    case CODEC_IP:
    case CODEC_IPANY:
        return encode_ip(enc, row);
    case CODEC_PREFIX:
        return encode_prefix(enc, row);
    case CODEC_DEV:
        return encode_dev(enc, row);
    case CODEC_ENUM:
        return encode_enum(enc, row);
    case CODEC_TIME:
    case CODEC_RATE:
    case CODEC_SIZE:
    case CODEC_SHARE:
        return encode_unit(enc, row);
    case CODEC_NEST:
    case CODEC_CUSTOM:
    case CODEC_INLINE:
        break;
    }
    return 0;
}
