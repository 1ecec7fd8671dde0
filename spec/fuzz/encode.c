// SPDX-License-Identifier: MIT
/* Fuzz: Lua tables to netlink messages. Input: "NOUN VERB [batch]" and a newline, then bytes that
 * a table is made of, with the keys and kinds that the codec's rows have. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "l_rtnl.h"

#define DEPTH_MAX 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Texts that rows of all kinds take, so that more than refusals is met. */
static const char *const texts[] = {"10.0.0.1", "10.0.0.0/8", "default",   "all",
                                    "any",      "fd00::1",    "fd00::/64", "02:00:00:00:00:01",
                                    "lo",       "eth0",       "x",         "none",
                                    "bridge",   "veth",       "vlan",      "vxlan",
                                    "main",     "static",     "global",    "unicast",
                                    "80-90",    "tcp",        "0x10/0xff", "10ms",
                                    "1mbit",    "+",          "internal",  "multipath"};

static void push_value(lua_State *L, struct input *in, int depth, const struct codec_row *row);

/* A row of the schema, or of one whose keys stand in the same table. */
static const struct codec_row *pick_row(struct input *in, const struct codec_schema *schema)
{
    const struct codec_row *row = NULL;

    for (int level = 0; schema && schema->count && level < DEPTH_MAX; level++) {
        row = &schema->rows[input_byte(in) % schema->count];
        if (row->type != CODEC_INLINE)
            break;
        schema = row->arg;
    }
    return row && row->key ? row : NULL;
}

/* A table with keys of `schema` (or, without, of any) and of the kind of link `kind`. */
static void push_table(lua_State *L, struct input *in, int depth, const struct codec_schema *schema,
                       const struct codec_schema *kind)
{
    unsigned n = input_byte(in) % 12;

    lua_newtable(L);
    for (unsigned i = 0; i < n && in->at < in->end; i++) {
        uint8_t pick = input_byte(in);
        const struct codec_row *row;

        row = pick_row(in, pick < 160 && schema ? schema
                           : pick < 240 && kind ? kind
                           : pick < 245         ? codec_schemas[pick % codec_schemas_count]
                                                : schema);
        if (!row || pick >= 252)
            lua_pushinteger(L, pick);
        else
            lua_pushstring(L, row->key);
        push_value(L, in, depth + 1, row);
        lua_rawset(L, -3);
    }
    if (kind) {
        lua_pushstring(L, kind->name);
        lua_setfield(L, -2, "type");
    }
}

static void push_list(lua_State *L, struct input *in, int depth)
{
    unsigned n = input_byte(in) % 9;

    lua_newtable(L);
    for (unsigned i = 0; i < n; i++) {
        push_value(L, in, depth + 1, NULL);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_text(lua_State *L, struct input *in, const struct codec_row *row)
{
    const struct codec_names *names =
        row && row->type == CODEC_ENUM ? (const struct codec_names *)row->arg : NULL;
    uint8_t pick = input_byte(in);
    size_t len;

    if (names && names->count && pick < 200) {
        lua_pushstring(L, names->list[pick % names->count].name);
    } else if (pick < 230) {
        lua_pushstring(L, texts[pick % ARRAY_LEN(texts)]);
    } else {
        len = pick == 255 ? 4096 : pick;
        if (len > (size_t)(in->end - in->at))
            len = (size_t)(in->end - in->at);
        lua_pushlstring(L, (const char *)in->at, len);
        in->at += len;
    }
}

static void push_value(lua_State *L, struct input *in, int depth, const struct codec_row *row)
{
    uint8_t pick = input_byte(in) % 16;

    luaL_checkstack(L, 8, NULL);
    /* most often what the row takes */
    if (row && pick < 8) {
        switch ((enum codec_type)row->type) {
        case CODEC_UINT:
        case CODEC_SINT:
            lua_pushinteger(L, input_byte(in));
            return;
        case CODEC_BOOL:
        case CODEC_FLAG:
        case CODEC_BIT:
            lua_pushboolean(L, pick & 1);
            return;
        case CODEC_NEST:
            if (depth < DEPTH_MAX)
                push_table(L, in, depth, row->arg, NULL);
            else
                lua_newtable(L);
            return;
        default:
            push_text(L, in, row);
            return;
        }
    }
    switch (pick) {
    case 8:
        lua_pushboolean(L, input_byte(in) & 1);
        break;
    case 9:
        lua_pushinteger(L, (lua_Integer)((uint64_t)input_u32(in) << 32 | input_u32(in)));
        break;
    case 10:
        lua_pushnumber(L, (double)(int32_t)input_u32(in) / 7);
        break;
    case 11:
    case 12:
        if (depth < DEPTH_MAX && pick == 12) {
            push_list(L, in, depth);
            break;
        }
        if (depth < DEPTH_MAX) {
            push_table(L, in, depth, codec_schemas[input_byte(in) % codec_schemas_count], NULL);
            break;
        }
        /* fall through */
    case 13:
        lua_pushinteger(L, (int32_t)input_u32(in));
        break;
    default:
        push_text(L, in, row);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    lua_State *L = fuzz_state();
    const struct codec_schema *kind = NULL;
    const struct noun *noun;
    char head[64], name[64];

    input_line(&in, head, sizeof(head));
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(head, " "), head);
    noun = l_noun_by_name(name);
    if (!noun)
        noun = &noun_route;
    if (noun == &noun_link && input_byte(&in) & 1)
        kind = codec_schemas[input_byte(&in) % codec_schemas_count];
    lua_getglobal(L, "harness");
    lua_getfield(L, -1, "encode");
    lua_pushstring(L, head);
    push_table(L, &in, 0, noun->schema, kind);
    kernel_says((struct input){in.end, in.end});
    fuzz_call(L, 2, 0);
    return 0;
}
