/* SPDX-License-Identifier: MIT
 * Netlink attributes to Lua tables. */
#include <arpa/inet.h>
#include <endian.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "codec_index.h"
#include "units.h"

#define NEST_DEPTH_MAX 12

/* Text forms -------------------------------------------------------------------------------- */

/* glibc's inet_ntop spends 200 ns on sprintf; listings print many IPv4 addresses. */
static char *put_byte(char *p, unsigned byte)
{
    if (byte >= 100)
        *p++ = (char)('0' + byte / 100);
    if (byte >= 10)
        *p++ = (char)('0' + byte / 10 % 10);
    *p++ = (char)('0' + byte % 10);
    return p;
}

static size_t ip_text(char *buf, size_t size, int family, const void *addr)
{
    const unsigned char *b = addr;
    char *p = buf;

    if (family == AF_INET) {
        for (int i = 0; i < 4; i++) {
            p = put_byte(p, b[i]);
            *p++ = '.';
        }
        return (size_t)(p - 1 - buf);
    }
    return inet_ntop(family, addr, buf, (socklen_t)size) ? strlen(buf) : 0;
}

void codec_push_ip(lua_State *L, int family, const void *addr)
{
    char buf[INET6_ADDRSTRLEN];

    lua_pushlstring(L, buf, ip_text(buf, sizeof(buf), family, addr));
}

/* Hosts are written without their /32 or /128, as ip does. */
void codec_push_prefix(lua_State *L, int family, const void *addr, int len)
{
    char buf[INET6_ADDRSTRLEN + 8];
    size_t n = ip_text(buf, INET6_ADDRSTRLEN, family, addr);

    if (len != (family == AF_INET ? 32 : 128)) {
        buf[n++] = '/';
        n = (size_t)(put_byte(buf + n, (unsigned)len & 0xff) - buf);
    }
    lua_pushlstring(L, buf, n);
}

void codec_push_lladdr(lua_State *L, const void *data, int len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *b = data;
    char buf[3 * 32];
    int n = 0;

    for (int i = 0; i < len && i < 32; i++) {
        buf[n++] = digits[b[i] >> 4];
        buf[n++] = digits[b[i] & 15];
        buf[n++] = ':';
    }
    lua_pushlstring(L, buf, n ? (size_t)(n - 1) : 0);
}

void codec_push_name(lua_State *L, const struct codec_names *names, int64_t value)
{
    char buf[64];
    const char *name = codec_value_name(names, value, buf, sizeof(buf));

    if (name)
        lua_pushstring(L, name);
    else
        lua_pushinteger(L, value);
}

/* A row's value, with the state's cache of names made so far: number of the row -> value -> name */
static void push_cached_name(struct codec_dec *dec, lua_Integer id, const struct codec_row *row,
                             int64_t value)
{
    lua_State *L = dec->L;

    if (lua_rawgeti(L, dec->names, id) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawseti(L, dec->names, id);
    }
    if (lua_rawgeti(L, -1, value) == LUA_TNIL) {
        lua_pop(L, 1);
        codec_push_name(L, row->arg, value);
        if (lua_type(L, -1) == LUA_TSTRING) { /* numbers without a name are not worth keeping */
            lua_pushvalue(L, -1);
            lua_rawseti(L, -3, value);
        }
    }
    lua_remove(L, -2);
}

/* Values ------------------------------------------------------------------------------------ */

int64_t codec_read_number(const struct codec_row *row, const void *data)
{
    uint64_t value = 0;
    uint16_t v16;
    uint32_t v32;

    switch (row->size) {
    case 1:
        value = *(const uint8_t *)data;
        break;
    case 2:
        memcpy(&v16, data, 2);
        value = row->flags & ROW_BE ? be16toh(v16) : v16;
        break;
    case 4:
        memcpy(&v32, data, 4);
        value = row->flags & ROW_BE ? be32toh(v32) : v32;
        break;
    default:
        memcpy(&value, data, 8);
        if (row->flags & ROW_BE)
            value = be64toh(value);
    }
    if (row->type != CODEC_SINT || row->size == 8)
        return (int64_t)value;
    return row->size == 1 ? (int8_t)value : row->size == 2 ? (int16_t)value : (int32_t)value;
}

static int64_t max_unsigned(int size)
{
    return size == 8 ? -1 : (INT64_C(1) << (8 * size)) - 1;
}

/* In SI base units: seconds, bit/s, bytes, 0 .. 1. */
static void push_unit(lua_State *L, const struct codec_row *row, int64_t value)
{
    uint64_t full;

    switch (row->type) {
    case CODEC_TIME:
        lua_pushnumber(L, units_seconds((uint64_t)value, row->mask));
        break;
    case CODEC_RATE:
        lua_pushinteger(L, value * 8);
        break;
    case CODEC_SHARE:
        full = row->mask ? row->mask : (uint64_t)max_unsigned(row->size);
        lua_pushnumber(
            L,
            units_fraction(row->flags & ROW_NOT ? full - (uint64_t)value : (uint64_t)value, full));
        break;
    default:
        lua_pushinteger(L, value);
    }
}

/* Push the value of a number row; false where it is left out. */
static bool push_number(struct codec_dec *dec, lua_Integer id, const struct codec_row *row,
                        const void *data)
{
    int64_t value = codec_read_number(row, data);
    bool truth;

    switch (row->type) {
    case CODEC_BOOL:
        truth = (value != 0) != !!(row->flags & ROW_NOT);
        break;
    case CODEC_BIT:
        truth = ((value & row->mask) == row->mask) != !!(row->flags & ROW_NOT);
        break;
    case CODEC_TIME:
    case CODEC_RATE:
    case CODEC_SIZE:
    case CODEC_SHARE:
        if ((!value && row->flags & ROW_NZ) ||
            (row->flags & ROW_ONES && value == max_unsigned(row->size)))
            return false;
        push_unit(dec->L, row, value);
        return true;
    default:
        if (!value && row->flags & ROW_NZ)
            return false;
        if (row->type == CODEC_DEV && (int32_t)value <= 0) /* none, or a block of filters */
            return false;
        if (row->flags & ROW_ONES && (value == -1 || value == max_unsigned(row->size)))
            return false;
        if (row->type == CODEC_ENUM)
            push_cached_name(dec, id, row, value);
        else if (row->type == CODEC_DEV)
            dec->push_dev(dec, (int)value);
        else
            lua_pushinteger(dec->L, value);
        return true;
    }
    if (!truth && (row->flags & ROW_NZ))
        return false;
    lua_pushboolean(dec->L, truth);
    return true;
}

static bool push_text(lua_State *L, const char *data, int len)
{
    lua_pushlstring(L, data, strnlen(data, (size_t)len));
    return true;
}

static bool push_address(struct codec_dec *dec, int family, const void *data, int len)
{
    if (family == AF_UNSPEC)
        family = len == 4 ? AF_INET : AF_INET6;
    if (len != (family == AF_INET ? 4 : family == AF_INET6 ? 16 : -1))
        return false;
    codec_push_ip(dec->L, family, data);
    return true;
}

static bool push_nest(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    lua_newtable(dec->L);
    codec_decode_inside(dec, row->arg, nla_data(a), nla_len(a));
    return true;
}

/* PREFIX: its length stands in the header at `mask`. */
static bool push_prefix(struct codec_dec *dec, const struct codec_row *row, const void *data,
                        int len)
{
    if (len != (dec->family == AF_INET ? 4 : dec->family == AF_INET6 ? 16 : -1))
        return false;
    codec_push_prefix(dec->L, dec->family, data, (uint8_t)dec->header[row->mask]);
    return true;
}

/* Push the attribute's value; false where it has none to show or is malformed. */
static bool push_value(struct codec_dec *dec, lua_Integer id, const struct codec_row *row,
                       struct nlattr *a)
{
    const void *data = nla_data(a);
    int len = nla_len(a);

    switch ((enum codec_type)row->type) {
    case CODEC_UINT:
    case CODEC_SINT:
    case CODEC_BOOL:
    case CODEC_BIT:
    case CODEC_DEV:
    case CODEC_ENUM:
    case CODEC_TIME:
    case CODEC_RATE:
    case CODEC_SIZE:
    case CODEC_SHARE:
        return len >= row->size && push_number(dec, id, row, data);
    case CODEC_FLAG: /* some are given as flags, but listed as a byte that may be 0 */
        if (len > 0 && !*(const uint8_t *)data)
            return false;
        lua_pushboolean(dec->L, 1);
        return true;
    case CODEC_STR:
    case CODEC_IFNAME:
        return push_text(dec->L, data, len);
    case CODEC_LLADDR:
        codec_push_lladdr(dec->L, data, len);
        return true;
    case CODEC_IP4:
        return push_address(dec, AF_INET, data, len);
    case CODEC_IP6:
        return push_address(dec, AF_INET6, data, len);
    case CODEC_IP:
        return push_address(dec, dec->family, data, len);
    case CODEC_IPANY:
        return push_address(dec, AF_UNSPEC, data, len);
    case CODEC_PREFIX:
        return push_prefix(dec, row, data, len);
    case CODEC_NEST:
        return push_nest(dec, row, a);
    case CODEC_INLINE:
    case CODEC_CUSTOM:
        break; /* dealt with before */
    }
    return false;
}

/* Tables ------------------------------------------------------------------------------------ */

static lua_Integer row_id(const struct codec_schema *schema, const struct codec_row *row)
{
    return schema->index->base + (row - schema->rows) + 1;
}

static void set_by_id(struct codec_dec *dec, lua_Integer id)
{
    lua_rawgeti(dec->L, dec->keys, id);
    lua_insert(dec->L, -2);
    lua_rawset(dec->L, -3);
}

void codec_set(struct codec_dec *dec, const struct codec_schema *schema,
               const struct codec_row *row)
{
    set_by_id(dec, row_id(schema, row));
}

void codec_set_name(struct codec_dec *dec, const char *key)
{
    lua_pushstring(dec->L, key);
    lua_insert(dec->L, -2);
    lua_rawset(dec->L, -3);
}

/* table[key] = value, in the order that spares the stack a rotation: this is the hot path. */
static void decode_value(struct codec_dec *dec, lua_Integer id, const struct codec_row *row,
                         struct nlattr *a)
{
    lua_rawgeti(dec->L, dec->keys, id);
    if (push_value(dec, id, row, a))
        lua_rawset(dec->L, -3);
    else
        lua_pop(dec->L, 1);
}

void codec_decode_inside(struct codec_dec *dec, const struct codec_schema *schema, const void *data,
                         int len)
{
    int skip = NLA_ALIGN(schema->header);

    if (!schema->header)
        codec_decode_attrs(dec, schema, (struct nlattr *)data, len);
    else if (len >= schema->header)
        codec_decode_nested(dec, schema, data, (struct nlattr *)((char *)data + skip), len - skip);
}

static void decode_row(struct codec_dec *dec, const struct codec_schema *schema,
                       const struct codec_row *row, struct nlattr *a)
{
    lua_Integer id = row_id(schema, row);

    if (row->flags & ROW_WO)
        return;
    if (row->type == CODEC_INLINE)
        codec_decode_inside(dec, row->arg, nla_data(a), nla_len(a));
    else if (row->type == CODEC_CUSTOM)
        ((const struct codec_custom *)row->arg)->decode(dec, row, a);
    else
        decode_value(dec, id, row, a);
}

void codec_decode_attrs(struct codec_dec *dec, const struct codec_schema *schema,
                        struct nlattr *attrs, int len)
{
    const struct codec_row *end = schema->rows + schema->count;
    struct nlattr *outer = dec->attrs;
    int outer_len = dec->attrs_len;

    if (dec->depth >= NEST_DEPTH_MAX)
        return;
    dec->depth++;
    dec->attrs = attrs;
    dec->attrs_len = len;
    luaL_checkstack(dec->L, 12, "netlink attributes are nested too deeply");
    for (struct nlattr *a = attrs; nla_ok(a, len); a = nla_next(a, &len)) {
        int type = nla_type(a);
        unsigned first = type <= CODEC_ATTR_MAX ? schema->index->by_attr[type] : 0;

        if (!first)
            continue;
        for (const struct codec_row *row = schema->rows + first - 1;
             row < end && row->attr == type && !(row->flags & ROW_HDR); row++)
            decode_row(dec, schema, row, a);
    }
    dec->attrs = outer;
    dec->attrs_len = outer_len;
    dec->depth--;
}

/* A header field holds plain numbers only; custom rows read the header by themselves. */
static void decode_header(struct codec_dec *dec, const struct codec_schema *schema)
{
    for (const struct codec_row *const *at = schema->index->listed_header; *at; at++) {
        const struct codec_row *row = *at;

        if (row->type == CODEC_CUSTOM)
            ((const struct codec_custom *)row->arg)->decode(dec, row, NULL);
        else if (push_number(dec, row_id(schema, row), row, dec->header + row->attr))
            codec_set(dec, schema, row);
    }
}

/* Prefixes that are not there mean "default" or "all". */
static void set_absent(struct codec_dec *dec, const struct codec_schema *schema)
{
    for (const struct codec_row *const *at = schema->index->defaults; *at; at++) {
        const struct codec_row *row = *at;
        bool absent;

        if (dec->header[row->mask] != 0)
            continue;
        lua_rawgeti(dec->L, dec->keys, row_id(schema, row));
        absent = lua_rawget(dec->L, -2) == LUA_TNIL;
        lua_pop(dec->L, 1);
        if (absent) {
            lua_pushstring(dec->L, row->arg);
            codec_set(dec, schema, row);
        }
    }
}

/* How many keys the message will have, so that the table is made in the right size at once. */
int codec_size_hint(const struct codec_schema *schema, struct nlattr *attrs, int len)
{
    int keys = schema->index->always;

    for (struct nlattr *a = attrs; nla_ok(a, len); a = nla_next(a, &len))
        keys += nla_type(a) <= CODEC_ATTR_MAX && schema->index->by_attr[nla_type(a)] != 0;
    return keys;
}

void codec_decode_nested(struct codec_dec *dec, const struct codec_schema *schema,
                         const void *header, struct nlattr *attrs, int len)
{
    const char *outer = dec->header;

    dec->header = header;
    decode_header(dec, schema);
    codec_decode_attrs(dec, schema, attrs, len);
    set_absent(dec, schema);
    dec->header = outer;
}

void codec_decode(struct codec_dec *dec, const struct codec_schema *schema, const void *header,
                  struct nlattr *attrs, int len)
{
    dec->family = *(const uint8_t *)header; /* first in every rtnetlink header */
    codec_decode_nested(dec, schema, header, attrs, len);
}
