/* SPDX-License-Identifier: MIT
 * Lua tables to netlink attributes. Nothing here allocates Lua memory or raises. */
#include <arpa/inet.h>
#include <endian.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "codec_index.h"

/* Errors ------------------------------------------------------------------------------------ */

static size_t candidates(const struct codec_schema *schema, const char **list, size_t n)
{
    for (size_t i = 0; schema && i <= schema->index->mask && n < CANDIDATES_MAX; i++)
        if (schema->index->slots[i].key)
            list[n++] = schema->index->slots[i].key;
    return n;
}

static int unknown_key(struct codec_enc *enc, const struct codec_schema *schema, const char *key)
{
    const char *list[CANDIDATES_MAX];
    size_t n = candidates(enc->extra, list, candidates(schema, list, 0));
    char hint[80];

    return nserr_arg(enc->e, "%s: unknown key \"%s%.60s\"%s", enc->op, enc->path, key,
                     nserr_hint(hint, sizeof(hint), key, list, n));
}

size_t codec_path(struct codec_enc *enc, const char *key, int number)
{
    size_t mark = strlen(enc->path);

    if (number)
        snprintf(enc->path + mark, sizeof(enc->path) - mark, "%s[%d].", key, number);
    else
        snprintf(enc->path + mark, sizeof(enc->path) - mark, "%s.", key);
    return mark;
}

void codec_path_end(struct codec_enc *enc, size_t mark)
{
    enc->path[mark] = '\0';
}

int codec_settle_family(struct codec_enc *enc)
{
    int given = *(const uint8_t *)codec_header(enc);

    if (enc->family != AF_UNSPEC && given != enc->family)
        return nserr_arg(enc->e, "%s: family says otherwise, but %s is %s", enc->op, enc->family_by,
                         enc->family == AF_INET ? "IPv4" : "IPv6");
    return given;
}

/* Nests, rows, tables ---------------------------------------------------------------------------
 */

static int encode_inside(struct codec_enc *enc, int idx, struct codec_schema *inner,
                         bool known_only);
static int encode_table(struct codec_enc *enc, int idx, struct codec_schema *schema,
                        bool known_only);

static int encode_nest(struct codec_enc *enc, const struct codec_row *row)
{
    struct codec_schema *inner = (struct codec_schema *)row->arg;
    size_t mark, path;
    int err;

    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key, "a table");
    mark = codec_nest(&enc->m, inner->header ? row->attr : row->attr | NLA_F_NESTED);
    path = codec_path(enc, row->key, 0);
    err = encode_inside(enc, lua_gettop(enc->L), inner, false);
    codec_path_end(enc, path);
    codec_nest_end(&enc->m, mark);
    return err;
}

int codec_encode_value(struct codec_enc *enc, const struct codec_row *row)
{
    if (row->type == CODEC_NEST)
        return encode_nest(enc, row);
    if (row->type == CODEC_CUSTOM)
        return ((const struct codec_custom *)row->arg)->encode(enc, row);
    return codec_encode_scalar(enc, row);
}

static int encode_row(struct codec_enc *enc, const struct codec_row *row)
{
    if (row->flags & ROW_RO && enc->verb != CODEC_MATCH) {
        if (enc->verb == CODEC_SET)
            return nserr_arg(enc->e, "%s: %s%s is read-only", enc->op, enc->path, row->key);
        return 0; /* what was listed can be added */
    }
    if (row->flags & ROW_SET && enc->verb == CODEC_ADD)
        return 0;
    if (row->flags & ROW_CREATE && enc->verb == CODEC_SET)
        return nserr_arg(enc->e, "%s: %s%s can only be given when it is created", enc->op,
                         enc->path, row->key);
    return codec_encode_value(enc, row);
}

static int encode_inlined(struct codec_enc *enc, int idx, const struct codec_row *row)
{
    struct codec_schema *inner = (struct codec_schema *)row->arg;
    size_t mark = codec_nest(&enc->m, inner->header ? row->attr : row->attr | NLA_F_NESTED);
    int err = codec_encode_inside(enc, idx, inner);

    codec_nest_end(&enc->m, mark);
    return err;
}

int codec_encode_inside(struct codec_enc *enc, int idx, struct codec_schema *inner)
{
    return encode_inside(enc, idx, inner, true);
}

int codec_encode_struct(struct codec_enc *enc, int idx, struct codec_schema *inner)
{
    return encode_inside(enc, idx, inner, false);
}

static int encode_inside(struct codec_enc *enc, int idx, struct codec_schema *inner,
                         bool known_only)
{
    size_t level = enc->level, header = enc->header;
    bool phased = enc->phased;
    struct codec_schema *extra = enc->extra;
    void *start;
    int err;

    enc->header = enc->m.len;
    start = codec_reserve(&enc->m, inner->header);
    if (start && inner->initial)
        memcpy(start, inner->initial, inner->header);
    if (!inner->header)
        enc->header = header;
    enc->level = enc->m.len;
    enc->phased = false;
    enc->extra = NULL;
    err = enc->m.overflow ? 0 : encode_table(enc, idx, inner, known_only);
    enc->extra = extra;
    enc->phased = phased;
    enc->header = header;
    enc->level = level;
    return err;
}

/* What the second message carries is left out of the first, and the other way round. */
static bool is_for_later(struct codec_enc *enc, const struct codec_row *row)
{
    if (enc->verb != CODEC_ADD || !enc->phased)
        return false;
    if (row->flags & ROW_AFTER)
        enc->has_after = true;
    return enc->after != !!(row->flags & ROW_AFTER);
}

/* One pass over the table; rows that come by an INLINE row are only noted. */
static int encode_pass(struct codec_enc *enc, int idx, struct codec_schema *schema, bool known_only,
                       const struct codec_row **inlined, size_t *inlined_count)
{
    lua_State *L = enc->L;

    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        const struct codec_slot *slot = NULL;
        const char *key = "";
        size_t len = 0, i;
        int err = 0;

        if (lua_type(L, -2) == LUA_TSTRING) {
            key = lua_tolstring(L, -2, &len);
            slot = codec_lookup(schema, key, len);
        }
        if (slot && slot->row->flags & ROW_ID && enc->verb == CODEC_ADD && enc->extra &&
            codec_lookup(enc->extra, key, len)) {
            enc->has_extra = true;
            continue;
        }
        if (!slot) {
            if (known_only)
                continue;
            if (enc->extra && codec_lookup(enc->extra, key, len)) {
                enc->has_extra = true;
                continue;
            }
            if (lua_type(L, -2) == LUA_TSTRING)
                return unknown_key(enc, schema, key);
            lua_pop(L, 1);
            return nserr_arg(enc->e, "%s: %skeys must be names, not numbers or other values",
                             enc->op, enc->path);
        }
        if (is_for_later(enc, slot->inlined ? slot->inlined : slot->row))
            continue;
        if (!slot->inlined) {
            err = encode_row(enc, slot->row);
            if (err)
                return err;
            continue;
        }
        for (i = 0; i < *inlined_count && inlined[i] != slot->inlined; i++)
            ;
        if (i == *inlined_count && i < 16)
            inlined[(*inlined_count)++] = slot->inlined;
    }
    return 0;
}

static int encode_table(struct codec_enc *enc, int idx, struct codec_schema *schema,
                        bool known_only)
{
    const struct codec_row *inlined[16];
    size_t count = 0;
    int err;

    if (!lua_checkstack(enc->L, 8))
        return nserr_sys(enc->e, ENOMEM, enc->op, NULL);
    err = encode_pass(enc, idx, schema, known_only, inlined, &count);
    for (size_t i = 0; !err && i < count; i++)
        err = encode_inlined(enc, idx, inlined[i]);
    return err;
}

int codec_encode(struct codec_enc *enc, int idx, struct codec_schema *schema)
{
    return encode_table(enc, idx, schema, false);
}

int codec_encode_known(struct codec_enc *enc, int idx, struct codec_schema *schema)
{
    return encode_table(enc, idx, schema, true);
}
