/* SPDX-License-Identifier: MIT
 * The codec's foundations: indices over rows, value names, messages under construction. */
#include <lauxlib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "attrs.h"
#include "codec_index.h"

/* Indices ----------------------------------------------------------------------------------- */

static unsigned hash(const char *key, size_t len)
{
    return (unsigned)(len * 31 + (unsigned char)key[0] * 7 + (unsigned char)key[len / 2] * 131 +
                      (unsigned char)key[len - 1] * 17);
}

static void add_key(struct codec_index *ix, const char *key, const struct codec_row *row,
                    const struct codec_row *inlined)
{
    size_t at = hash(key, strlen(key)) & ix->mask;

    while (ix->slots[at].key)
        at = (at + 1) & ix->mask;
    ix->slots[at] = (struct codec_slot){key, strlen(key), row, inlined};
}

const struct codec_slot *codec_lookup(const struct codec_schema *schema, const char *key,
                                      size_t len)
{
    const struct codec_index *ix = schema->index;

    if (len == 0)
        return NULL;
    for (size_t at = hash(key, len) & ix->mask; ix->slots[at].key; at = (at + 1) & ix->mask)
        if (ix->slots[at].len == len && !memcmp(ix->slots[at].key, key, len))
            return &ix->slots[at];
    return NULL;
}

const struct codec_row *codec_row_of(const struct codec_schema *schema, const char *key)
{
    const struct codec_slot *slot = codec_lookup(schema, key, strlen(key));

    return slot ? slot->row : NULL;
}

static size_t count_keys(const struct codec_schema *schema)
{
    size_t n = schema->count;

    for (size_t i = 0; i < schema->count; i++)
        if (schema->rows[i].type == CODEC_INLINE)
            n += count_keys(schema->rows[i].arg);
    return n;
}

/* A key that is listed by one attribute and given by another has two rows, the second of which
 * takes it. */
static bool is_listed_twin(const struct codec_schema *schema, size_t i)
{
    const struct codec_row *row = &schema->rows[i];

    return i + 1 < schema->count && row->flags & ROW_RO && row[1].key &&
           !strcmp(row->key, row[1].key);
}

static void fill_slots(struct codec_index *ix, const struct codec_schema *schema,
                       const struct codec_row *inlined)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct codec_row *row = &schema->rows[i];
        if (row->type == CODEC_INLINE)
            fill_slots(ix, row->arg, inlined ? inlined : row);
        else if (!is_listed_twin(schema, i))
            add_key(ix, row->key, row, inlined);
    }
}

/* The first row of each attribute; rows of one attribute stand together. */
static void fill_attrs(struct codec_index *ix, const struct codec_schema *schema)
{
    for (size_t i = schema->count; i-- > 0;) {
        const struct codec_row *row = &schema->rows[i];
        if (!(row->flags & ROW_HDR) && row->attr <= CODEC_ATTR_MAX)
            ix->by_attr[row->attr] = (uint16_t)(i + 1);
    }
}

/* The rows that a listing looks at in any case; false if there are too many. */
static bool fill_header(struct codec_index *ix, const struct codec_schema *schema)
{
    size_t header = 0, defaults = 0;

    for (size_t i = 0; i < schema->count; i++) {
        const struct codec_row *row = &schema->rows[i];
        bool listed = row->flags & ROW_HDR && !(row->flags & ROW_WO);

        if (listed && header < CODEC_HEADER_MAX - 1)
            ix->listed_header[header++] = row;
        else if (listed)
            return false;
        if (listed && (!(row->flags & ROW_NZ) || row->type == CODEC_ENUM))
            ix->always++;
        if (row->type == CODEC_PREFIX && row->arg) {
            if (defaults == CODEC_DEFAULTS_MAX - 1)
                return false;
            ix->defaults[defaults++] = row;
        }
    }
    return true;
}

static bool prepare_failed;
static uint16_t next_id;
static const struct codec_schema *prepared[CODEC_SCHEMAS_MAX];
static size_t prepared_count;

static void prepare(struct codec_schema *schema)
{
    size_t slots = 16;

    if (schema->index)
        return;
    while (slots < 2 * count_keys(schema))
        slots *= 2;
    schema->index = calloc(1, sizeof(*schema->index) + slots * sizeof(struct codec_slot));
    if (!schema->index || prepared_count >= CODEC_SCHEMAS_MAX) {
        free(schema->index);
        schema->index = NULL;
        prepare_failed = true;
        return;
    }
    schema->index->mask = slots - 1;
    schema->index->base = next_id;
    next_id += schema->count;
    prepared[prepared_count++] = schema;
    for (size_t i = 0; i < schema->count; i++) {
        const struct codec_row *row = &schema->rows[i];
        if (row->type == CODEC_NEST || row->type == CODEC_INLINE)
            prepare((struct codec_schema *)row->arg);
    }
    fill_slots(schema->index, schema, NULL);
    fill_attrs(schema->index, schema);
    prepare_failed |= !fill_header(schema->index, schema);
}

struct codec_schema codec_no_schema = {.name = "none"};

static void prepare_all(void)
{
    struct codec_schema *schema;

    for (size_t i = 0; i < codec_schemas_count; i++)
        prepare(codec_schemas[i]);
    for (size_t i = 0; (schema = tc_schema_at(i)) != &codec_no_schema; i++)
        if (schema)
            prepare(schema);
}

const struct codec_schema *codec_schema_at(size_t i)
{
    return i < prepared_count ? prepared[i] : NULL;
}

/* A state's key strings ---------------------------------------------------------------------- */

static const char keys_key, names_key; /* their addresses name the tables in the registry */

void codec_open(lua_State *L)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, prepare_all);
    if (prepare_failed)
        luaL_error(L, "netns: no memory for the tables of attributes");
    lua_createtable(L, next_id, 0);
    for (size_t s = 0; s < prepared_count; s++) {
        const struct codec_schema *schema = prepared[s];
        for (size_t i = 0; i < schema->count; i++) {
            lua_pushstring(L, schema->rows[i].key ? schema->rows[i].key : "");
            lua_rawseti(L, -2, schema->index->base + (lua_Integer)i + 1);
        }
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &keys_key);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
}

void codec_dec_begin(struct codec_dec *dec, lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &keys_key);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
    dec->L = L;
    dec->names = lua_gettop(L);
    dec->keys = dec->names - 1;
    dec->depth = 0;
}

/* Names of values ----------------------------------------------------------------------------- */

int64_t codec_name_value(const struct codec_names *names, const char *text)
{
    if (names->from_text)
        return names->from_text(text);
    for (size_t i = 0; i < names->count; i++)
        if (!strcmp(names->list[i].name, text))
            return names->list[i].value;
    return -1;
}

const char *codec_value_name(const struct codec_names *names, int64_t value, char *buf, size_t size)
{
    if (names->to_text) {
        names->to_text((int)value, buf, size);
        /* libnl writes a number where there is no name */
        return *buf && (*buf < '0' || *buf > '9') ? buf : NULL;
    }
    for (size_t i = 0; i < names->count; i++)
        if (names->list[i].value == value)
            return names->list[i].name;
    return NULL;
}

/* Messages ------------------------------------------------------------------------------------- */

void *codec_reserve(struct codec_msg *m, size_t len)
{
    size_t aligned = NLA_ALIGN(len);
    void *at = m->buf + m->len;

    if (m->overflow || aligned > m->cap - m->len) {
        m->overflow = true;
        return NULL;
    }
    memset(at, 0, aligned);
    m->len += aligned;
    return at;
}

void *codec_put(struct codec_msg *m, int type, const void *data, size_t len)
{
    struct nlattr *a = len > UINT16_MAX - NLA_HDRLEN ? (m->overflow = true, NULL)
                                                     : codec_reserve(m, NLA_HDRLEN + len);

    if (!a)
        return NULL;
    a->nla_type = (uint16_t)type;
    a->nla_len = (uint16_t)(NLA_HDRLEN + len);
    if (data && len)
        memcpy(nla_data(a), data, len);
    return nla_data(a);
}

void codec_put_u32(struct codec_msg *m, int type, uint32_t value)
{
    codec_put(m, type, &value, sizeof(value));
}

void codec_put_str(struct codec_msg *m, int type, const char *text)
{
    codec_put(m, type, text, strlen(text) + 1);
}

size_t codec_nest(struct codec_msg *m, int type)
{
    size_t mark = m->len;

    codec_put(m, type, NULL, 0);
    return mark;
}

void codec_nest_end(struct codec_msg *m, size_t mark)
{
    if (m->overflow)
        return;
    if (m->len - mark > UINT16_MAX)
        m->overflow = true;
    else
        ((struct nlattr *)(m->buf + mark))->nla_len = (uint16_t)(m->len - mark);
}

bool codec_nest_empty(const struct codec_msg *m, size_t mark)
{
    return !m->overflow && m->len == mark + NLA_HDRLEN;
}

struct nlattr *codec_find(const struct codec_msg *m, size_t from, int type)
{
    struct nlattr *a = (struct nlattr *)(m->buf + from);
    int left = (int)(m->len - from);

    if (m->overflow)
        return NULL;
    for (; nla_ok(a, left); a = nla_next(a, &left))
        if (nla_type(a) == (type & NLA_TYPE_MASK))
            return a;
    return NULL;
}

void codec_drop(struct codec_msg *m, struct nlattr *a)
{
    size_t len = NLA_ALIGN(a->nla_len);
    char *end = (char *)a + len;

    memmove(a, end, (size_t)(m->buf + m->len - end));
    m->len -= len;
}

/* Attributes by place (extended acks) -----------------------------------------------------------
 */

const char *codec_key_of(const struct codec_schema *schema, int attr)
{
    for (size_t i = 0; i < schema->count; i++)
        if (!(schema->rows[i].flags & ROW_HDR) && schema->rows[i].key &&
            (schema->rows[i].attr & NLA_TYPE_MASK) == attr)
            return schema->rows[i].key;
    return NULL;
}

static bool looks_inside(const struct codec_row *row)
{
    return row->type == CODEC_NEST || row->type == CODEC_INLINE || row->flags & ROW_INSIDE;
}

static const struct codec_row *nested_row(const struct codec_schema *schema, int attr)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct codec_row *row = &schema->rows[i];
        if (looks_inside(row) && (row->attr & NLA_TYPE_MASK) == attr && !(row->flags & ROW_HDR))
            return row;
    }
    return NULL;
}

/* The key of what a nest holds at target. */
static const char *key_nested(const struct codec_row *row, struct nlattr *level, int len,
                              struct nlattr *a, const char *target)
{
    const struct codec_schema *inner = row->arg;
    int skip;

    if (row->type == CODEC_CUSTOM)
        return ((const struct codec_custom_nest *)row->arg)->key_at(level, len, a, target);
    skip = NLA_ALIGN(inner->header);
    if (nla_len(a) <= skip)
        return NULL;
    return codec_key_within(inner, (struct nlattr *)((char *)nla_data(a) + skip), nla_len(a) - skip,
                            target);
}

const char *codec_key_within(const struct codec_schema *schema, struct nlattr *attrs, int len,
                             const char *target)
{
    struct nlattr *a;
    int left;

    nla_for_each_attr(a, attrs, len, left)
    {
        const struct codec_row *nested = nested_row(schema, nla_type(a));
        const char *end = (char *)a + a->nla_len, *key = NULL;

        if (target < (char *)a || target >= end)
            continue;
        if (target >= (char *)nla_data(a) && nested)
            key = key_nested(nested, attrs, len, a, target);
        return key ? key : codec_key_of(schema, nla_type(a));
    }
    return NULL;
}

const char *codec_key_at(const struct codec_schema *schema, const struct nlmsghdr *h,
                         uint32_t offset)
{
    size_t start = NLMSG_HDRLEN + NLA_ALIGN(schema->header);

    if (offset >= h->nlmsg_len || h->nlmsg_len < start)
        return NULL;
    return codec_key_within(schema, (struct nlattr *)((char *)h + start),
                            (int)(h->nlmsg_len - start), (const char *)h + offset);
}
