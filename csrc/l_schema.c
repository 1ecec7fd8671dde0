/* SPDX-License-Identifier: MIT
 * core.schema: the tables of rows as Lua data, for reference pages, completion and specs. */
#include "attrs.h"
#include "l_core.h"

static const char *const types[] = {
    [CODEC_UINT] = "unsigned", [CODEC_SINT] = "signed",   [CODEC_BOOL] = "boolean",
    [CODEC_FLAG] = "boolean",  [CODEC_BIT] = "boolean",   [CODEC_STR] = "string",
    [CODEC_IFNAME] = "ifname", [CODEC_LLADDR] = "lladdr", [CODEC_IP4] = "ipv4",
    [CODEC_IP6] = "ipv6",      [CODEC_IP] = "ip",         [CODEC_IPANY] = "ip",
    [CODEC_PREFIX] = "prefix", [CODEC_DEV] = "dev",       [CODEC_ENUM] = "name",
    [CODEC_NEST] = "table",    [CODEC_INLINE] = NULL,     [CODEC_CUSTOM] = "custom",
    [CODEC_TIME] = "time",     [CODEC_RATE] = "rate",     [CODEC_SIZE] = "size",
    [CODEC_SHARE] = "share",
};

static void set_flag(lua_State *L, const char *key, bool on)
{
    if (!on)
        return;
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

/* The names that a value may have, where they are known beforehand. */
static void set_names(lua_State *L, const struct codec_names *names)
{
    lua_createtable(L, (int)names->count, 0);
    for (size_t i = 0; i < names->count; i++) {
        lua_pushstring(L, names->list[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "names");
}

static void push_row(lua_State *L, const struct codec_row *row)
{
    lua_createtable(L, 0, 8);
    lua_pushstring(L, types[row->type]);
    lua_setfield(L, -2, "type");
    if (row->size)
        set_integer(L, "size", row->size);
    if (row->min && !(row->type == CODEC_BIT)) /* there it stands for a place */
        set_integer(L, "min", row->min);
    if (row->max)
        set_integer(L, "max", row->max);
    set_flag(L, "readonly", row->flags & ROW_RO);
    set_flag(L, "create", row->flags & ROW_CREATE);
    set_flag(L, "given", row->flags & ROW_WO);
    set_flag(L, "set", row->flags & ROW_SET);
    if (row->type == CODEC_ENUM)
        set_names(L, row->arg);
    if (row->type == CODEC_NEST) {
        lua_pushstring(L, ((const struct codec_schema *)row->arg)->name);
        lua_setfield(L, -2, "schema");
    }
}

/* Set the keys of a schema in the table at the top. Where one key has a row for listing and one
 * for giving, the latter counts. */
static void add_rows(lua_State *L, const struct codec_schema *schema)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct codec_row *row = &schema->rows[i];

        if (row->type == CODEC_INLINE) {
            add_rows(L, row->arg);
        } else {
            push_row(L, row);
            lua_setfield(L, -2, row->key);
        }
    }
}

/* core.schema(): { route = { dst = { type = "prefix" }, ... }, ... }. A row has `type`, `size` in
 * bytes, `min`, `max` (of a string: bytes), `names`, `readonly` (listed only), `create` (given only
 * when creating), `given` (never listed), `set` (listed, given only to change), `schema` (of a
 * table). */
static int l_schema(lua_State *L)
{
    const struct codec_schema *schema;

    lua_newtable(L);
    for (size_t i = 0; (schema = codec_schema_at(i)) != NULL; i++) {
        lua_createtable(L, 0, schema->count);
        add_rows(L, schema);
        lua_setfield(L, -2, schema->name);
    }
    return 1;
}

void l_schema_open(lua_State *L)
{
    lua_pushcfunction(L, l_schema);
    lua_setfield(L, -2, "schema");
}
