/* SPDX-License-Identifier: MIT
 * Single Lua values to attributes and header fields: reading them, and saying what is wrong with
 * them. What is of a kind is in codec_number.c and codec_text.c. Nothing there or here allocates
 * Lua memory or raises. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec_index.h"

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

int codec_encode_scalar(struct codec_enc *enc, const struct codec_row *row)
{
    switch ((enum codec_type)row->type) {
    case CODEC_UINT:
    case CODEC_SINT:
    case CODEC_BOOL:
    case CODEC_FLAG:
    case CODEC_BIT:
    case CODEC_ENUM:
    case CODEC_TIME:
    case CODEC_RATE:
    case CODEC_SIZE:
    case CODEC_SHARE:
        return codec_encode_number(enc, row);
    case CODEC_STR:
    case CODEC_IFNAME:
    case CODEC_LLADDR:
    case CODEC_IP4:
    case CODEC_IP6:
    case CODEC_IP:
    case CODEC_IPANY:
    case CODEC_PREFIX:
    case CODEC_DEV:
        return codec_encode_text(enc, row);
    case CODEC_NEST:
    case CODEC_CUSTOM:
    case CODEC_INLINE:
        break;
    }
    return 0;
}
