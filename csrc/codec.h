/* SPDX-License-Identifier: MIT
 * Lua tables to netlink messages and back, from tables of rows.
 *
 * A row says: this Lua key is that attribute, on the wire it is a value of this type, within
 * these limits. Encoder, decoder, validation and the reference page all come from the rows; a
 * new attribute is one row, a new kind of link a table of rows.
 *
 * Theory of operation: encoding never allocates Lua memory and never raises: it reads tables by
 * lua_next and raw access, writes into a fixed buffer and reports by return value. So it may
 * hold whatever it likes, and no finalizer can run in the middle of it. Decoding builds tables
 * and may raise for lack of memory: its callers own their bytes by a userdata. Strings that
 * stand for keys are made once per Lua state and fetched by number. */
#ifndef NETNS_CODEC_H
#define NETNS_CODEC_H

#include <linux/netlink.h>
#include <lua.h>
#include <netlink/attr.h>
#include <stdbool.h>

#include "error.h"

/* Rows -------------------------------------------------------------------------------------- */

enum codec_type {
    CODEC_UINT,   /* size 1, 2, 4 or 8 bytes */
    CODEC_SINT,   /* the same, signed */
    CODEC_BOOL,   /* a number that is 0 or 1, size bytes <-> boolean */
    CODEC_FLAG,   /* the attribute is there <-> true */
    CODEC_BIT,    /* bits `mask` of a number of size bytes, all set <-> true */
    CODEC_STR,    /* text with NUL; max: its longest, without NUL */
    CODEC_IFNAME, /* the name of an interface, as text */
    CODEC_LLADDR, /* "02:00:00:00:00:01", any length up to 32 bytes */
    CODEC_IP4,
    CODEC_IP6,
    CODEC_IP,     /* of the message's family */
    CODEC_IPANY,  /* either family, told by its length; does not touch the message's family */
    CODEC_PREFIX, /* "10.0.0.0/24": the length goes to the header byte at `mask`; arg: what no
                     attribute means ("default", "all"), NULL: leave the key out */
    CODEC_DEV,    /* ifindex in 4 bytes <-> name of the interface */
    CODEC_ENUM,   /* a number of size bytes <-> its name from arg (struct codec_names) */
    CODEC_NEST,   /* nested attributes by schema arg <-> a table of its own; where the schema has a
                     header, a structure stands before them */
    CODEC_INLINE, /* the same <-> keys of the same table */
    CODEC_TIME,   /* "10ms", or seconds; mask: nanoseconds of one unit on the wire */
    CODEC_RATE,   /* "1mbit", or bit/s; on the wire bytes per second */
    CODEC_SIZE,   /* "10k", or bytes */
    CODEC_SHARE,  /* "1%", or 0 .. 1; mask: the number that stands for 1, 0: all bits set */
    CODEC_CUSTOM, /* arg: struct codec_custom */
};

enum codec_flags {
    ROW_BE = 1,      /* network byte order */
    ROW_RO = 2,      /* listed; ignored by add, refused by set */
    ROW_NZ = 4,      /* left out of listings while zero (false) */
    ROW_NOT = 8,     /* BIT, BOOL: set means false; SHARE: what is missing to 1 */
    ROW_HDR = 16,    /* a field of the fixed header: attr is its offset */
    ROW_ZERO = 32,   /* UINT/ENUM: the text "none" stands for 0 */
    ROW_CREATE = 64, /* only when creating: refused by set, kept by add */
    ROW_WO = 128,    /* given, never listed */
    ROW_AFTER = 256, /* a created object takes it only in a second message */
    ROW_SET = 512,   /* given by set; listed, but ignored by add */
    ROW_ID = 2048, /* names an existing link; when creating, the kind's own key of that name wins */
    ROW_INSIDE = 4096, /* CUSTOM: arg is a struct codec_custom_nest */
    ROW_ONES = 1024    /* left out of listings while all bits are set (-1) */
};

struct codec_row {
    const char *key;
    uint16_t attr;
    uint8_t type, size;
    uint16_t flags;
    int64_t min, max; /* max 0: what fits the size */
    uint32_t mask;    /* BIT; for a BIT in the header `min` is where its change mask stands */
    const void *arg;
};

/* Macros for rows: a trailing argument list of designated initialisers may say more. */
#define UINT_ROW(k, a, n, ...)                                                                     \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_UINT, .size = n, ##__VA_ARGS__                          \
    }
#define U8(k, a, ...)  UINT_ROW(k, a, 1, ##__VA_ARGS__)
#define U16(k, a, ...) UINT_ROW(k, a, 2, ##__VA_ARGS__)
#define U32(k, a, ...) UINT_ROW(k, a, 4, ##__VA_ARGS__)
#define U64(k, a, ...) UINT_ROW(k, a, 8, ##__VA_ARGS__)
#define S32(k, a, ...)                                                                             \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_SINT, .size = 4, ##__VA_ARGS__                          \
    }
#define BOOL(k, a, n, ...)                                                                         \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_BOOL, .size = n, ##__VA_ARGS__                          \
    }
#define FLAG(k, a, ...)                                                                            \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_FLAG, ##__VA_ARGS__                                     \
    }
#define BIT(k, a, n, m, ...)                                                                       \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_BIT, .size = n, .mask = m, ##__VA_ARGS__                \
    }
#define STR(k, a, n, ...)                                                                          \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_STR, .max = n, ##__VA_ARGS__                            \
    }
#define IFNAME(k, a, ...)                                                                          \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_IFNAME, ##__VA_ARGS__                                   \
    }
#define LLADDR(k, a, ...)                                                                          \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_LLADDR, ##__VA_ARGS__                                   \
    }
#define IP4(k, a, ...)                                                                             \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_IP4, ##__VA_ARGS__                                      \
    }
#define IP6(k, a, ...)                                                                             \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_IP6, ##__VA_ARGS__                                      \
    }
#define IP(k, a, ...)                                                                              \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_IP, ##__VA_ARGS__                                       \
    }
#define IPANY(k, a, ...)                                                                           \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_IPANY, ##__VA_ARGS__                                    \
    }
#define PREFIX(k, a, h, ...)                                                                       \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_PREFIX, .mask = h, ##__VA_ARGS__                        \
    }
/* `family`, in every rtnetlink header's first byte: "inet", "inet6" */
#define FAMILY_ROW ENUM("family", 0, 1, &names_family, .flags = ROW_HDR | ROW_NZ)
#define DEV(k, a, ...)                                                                             \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_DEV, .size = 4, ##__VA_ARGS__                           \
    }
#define ENUM(k, a, n, t, ...)                                                                      \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_ENUM, .size = n, .arg = t, ##__VA_ARGS__                \
    }
#define NEST(k, a, s, ...)                                                                         \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_NEST, .arg = s, ##__VA_ARGS__                           \
    }
#define INLINE(a, s, ...)                                                                          \
    {                                                                                              \
        .attr = a, .type = CODEC_INLINE, .arg = s, ##__VA_ARGS__                                   \
    }
#define UNIT_ROW(k, a, t, n, ...)                                                                  \
    {                                                                                              \
        .key = k, .attr = a, .type = t, .size = n, ##__VA_ARGS__                                   \
    }
#define TIME(k, a, n, ns, ...) UNIT_ROW(k, a, CODEC_TIME, n, .mask = ns, ##__VA_ARGS__)
#define RATE(k, a, n, ...)     UNIT_ROW(k, a, CODEC_RATE, n, ##__VA_ARGS__)
#define SIZE(k, a, n, ...)     UNIT_ROW(k, a, CODEC_SIZE, n, ##__VA_ARGS__)
#define SHARE(k, a, n, ...)    UNIT_ROW(k, a, CODEC_SHARE, n, ##__VA_ARGS__)
#define CUSTOM(k, a, c, ...)                                                                       \
    {                                                                                              \
        .key = k, .attr = a, .type = CODEC_CUSTOM, .arg = c, ##__VA_ARGS__                         \
    }

struct codec_index; /* made once per process by codec_open */

struct codec_schema {
    const char *name;
    const struct codec_row *rows;
    uint16_t count;
    uint16_t header;     /* bytes of fixed header before the attributes */
    const void *initial; /* what stands in it before anything is given, NULL: zeroes */
    struct codec_index *index;
};

/* A value that has a name. */
struct codec_name {
    int64_t value;
    const char *name;
};

struct codec_names {
    const char *what; /* "a route type" */
    const struct codec_name *list;
    size_t count;
    /* or, instead of a list, libnl's tables, which follow the user's /etc/iproute2 */
    char *(*to_text)(int value, char *buf, size_t size);
    int (*from_text)(const char *text);
};

/* -1 where the text is no name of these. */
int64_t codec_name_value(const struct codec_names *names, const char *text);
/* NULL where the value has no name. */
const char *codec_value_name(const struct codec_names *names, int64_t value, char *buf,
                             size_t size);

/* Writing messages -------------------------------------------------------------------------- */

#define CODEC_MESSAGE_MAX (128 * 1024)

/* A message under construction. Overflow is sticky and told by codec_finish. */
struct codec_msg {
    char *buf;
    size_t len, cap;
    bool overflow;
};

void *codec_reserve(struct codec_msg *m, size_t len); /* NULL on overflow; zeroed, aligned */
void *codec_put(struct codec_msg *m, int type, const void *data, size_t len); /* its payload */
void codec_put_u32(struct codec_msg *m, int type, uint32_t value);
void codec_put_str(struct codec_msg *m, int type, const char *text);
size_t codec_nest(struct codec_msg *m, int type); /* a mark for codec_nest_end */
void codec_nest_end(struct codec_msg *m, size_t mark);
bool codec_nest_empty(const struct codec_msg *m, size_t mark);
/* The attribute `type` at this level (from mark on, 0: after the header), or NULL. */
struct nlattr *codec_find(const struct codec_msg *m, size_t from, int type);

/* Take the attribute found out again. */
void codec_drop(struct codec_msg *m, struct nlattr *a);

/* Encoding ---------------------------------------------------------------------------------- */

enum codec_verb { CODEC_ADD, CODEC_SET, CODEC_DEL, CODEC_MATCH };

struct codec_enc {
    lua_State *L;
    struct nserr *e;
    struct codec_msg m;
    const char *op; /* "route add", for messages */
    enum codec_verb verb;
    size_t header;              /* where the current fixed header starts in m.buf */
    size_t level;               /* where the current nest's attributes start */
    int family;                 /* AF_UNSPEC until an address tells */
    const char *family_by;      /* the key that told */
    char path[96];              /* "peer." or "nexthops[2].": what stands before a key */
    struct codec_schema *extra; /* keys of it are left for later ... */
    bool has_extra;             /* ... and this says there were any */
    /* ifindex by name: > 0, or -errno with *e filled. */
    int (*dev_index)(struct codec_enc *enc, const char *name);
    /* Kind of the link that the message's header names (or its IFLA_IFNAME), and (data: not NULL)
     * the attributes of its options: 0 or -errno. */
    int (*link_kind)(struct codec_enc *enc, int ifindex, const char *name, char kind[32],
                     struct codec_msg *data);
    bool phased;       /* ROW_AFTER rows count at this level */
    bool after;        /* this is the second message: only ROW_AFTER rows */
    bool has_after;    /* there are ROW_AFTER rows to be sent in one */
    void *target;      /* namespace (struct l_ns) this message goes to; NULL: the noun's own */
    void *arg;         /* the caller's, for dev_index and link_kind */
    void *noun_header; /* the outermost header, while a nested one is current */
    void *noun;        /* the noun's own notes from one message of an operation to the next */
};

struct codec_dec;

struct codec_custom {
    /* The value is at the top of enc->L's stack. 0 or -errno; the stack is left as it was. */
    int (*encode)(struct codec_enc *enc, const struct codec_row *row);
    /* Sets keys of the table at the top of the stack. a is NULL for a ROW_HDR row. */
    void (*decode)(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a);
};

/* The arg of a CUSTOM row with ROW_INSIDE: it also knows the keys of what its attribute holds. */
struct codec_custom_nest {
    struct codec_custom custom;
    /* The key of what stands at `target` within the attribute a, one of those at `level`; or
     * NULL. */
    const char *(*key_at)(struct nlattr *level, int len, struct nlattr *a, const char *target);
};

/* Encode all fields of the table at absolute idx. 0 or -errno with enc->e filled; on failure the
 * stack may hold more than before. */
int codec_encode(struct codec_enc *enc, int idx, struct codec_schema *schema);
/* Only the keys that `schema` knows (for nests whose keys stand in the parent's table). */
int codec_encode_known(struct codec_enc *enc, int idx, struct codec_schema *schema);
/* The same as the content of an attribute just begun: the schema's header, if it has one, then its
 * attributes. */
int codec_encode_inside(struct codec_enc *enc, int idx, struct codec_schema *inner);
/* The same for a table of its own: no other keys. */
int codec_encode_struct(struct codec_enc *enc, int idx, struct codec_schema *inner);
/* Push the raw field `key` of the table at absolute idx without making a string; false (and
 * nothing pushed) where there is none. */
bool codec_field(lua_State *L, int idx, const char *key);
/* The value at the top as `row` wants it. */
int codec_encode_value(struct codec_enc *enc, const struct codec_row *row);
/* "OP: KEY must be WANTED, got VALUE": for the value at the top. Returns -EINVAL. */
int codec_bad(struct codec_enc *enc, const char *key, const char *wanted, ...) PRINTF_LIKE(3, 4);
/* The fixed header's bytes. */
#define codec_header(enc) ((void *)((enc)->m.buf + (enc)->header))
/* An address in text: its family or 0; bytes to out (16). */
int codec_parse_ip(const char *text, void *out);
/* "10.0.0.0/24": the family or 0; its bytes; its length, without "/" the whole address's. */
int codec_parse_prefix(const char *text, unsigned char addr[16], int *len);
/* Set the message's family; refuses a second, other one. */
int codec_family(struct codec_enc *enc, const char *key, int family);
/* After encoding: the `family` key and the addresses must agree; returns the family, AF_UNSPEC if
 * nothing told, or -errno. */
int codec_settle_family(struct codec_enc *enc);
/* Text at the top without NUL bytes, or NULL with the error filled. */
const char *codec_text(struct codec_enc *enc, const char *key, const char *wanted);
/* Write a number as the row wants it: to the header or as an attribute. Returns 0. */
int codec_put_number(struct codec_enc *enc, const struct codec_row *row, int64_t value);
/* An integer at the top within limits, into *out. */
int codec_integer(struct codec_enc *enc, const char *key, int64_t min, int64_t max, int64_t *out);
/* Extend the path for nested keys; returns the length to give back to codec_path_end. */
size_t codec_path(struct codec_enc *enc, const char *key, int number);
void codec_path_end(struct codec_enc *enc, size_t mark);

/* Decoding ---------------------------------------------------------------------------------- */

struct codec_dec {
    lua_State *L;
    int keys, names; /* stack indices of the state's key strings and name caches */
    int family;
    const char *header;
    int depth;
    struct nlattr *attrs; /* the attributes of this level, */
    int attrs_len;        /* for rows that are told by two of them */
    bool stats;           /* counters too */
    void (*push_dev)(struct codec_dec *dec, int ifindex); /* pushes name or number */
    void *arg;
};

/* Push what decoding needs (2 slots) and start. */
void codec_dec_begin(struct codec_dec *dec, lua_State *L);
/* Fill the table at the top from a message's header and attributes. */
void codec_decode(struct codec_dec *dec, const struct codec_schema *schema, const void *header,
                  struct nlattr *attrs, int len);
/* The same for a structure within a message, whose family is the message's. */
void codec_decode_nested(struct codec_dec *dec, const struct codec_schema *schema,
                         const void *header, struct nlattr *attrs, int len);
int codec_size_hint(const struct codec_schema *schema, struct nlattr *attrs, int len);
/* The content of an attribute, into the table at the top: a structure, where the schema has a
 * header, then attributes. */
void codec_decode_inside(struct codec_dec *dec, const struct codec_schema *schema, const void *data,
                         int len);
/* Only attributes (no header), into the table at the top. */
void codec_decode_attrs(struct codec_dec *dec, const struct codec_schema *schema,
                        struct nlattr *attrs, int len);
/* Push the row's key / set table[key] = the value at the top (popped). */
void codec_set(struct codec_dec *dec, const struct codec_schema *schema,
               const struct codec_row *row);
void codec_set_name(struct codec_dec *dec, const char *key);
/* A row's number at data (whose length was checked). */
int64_t codec_read_number(const struct codec_row *row, const void *data);
void codec_push_ip(lua_State *L, int family, const void *addr);
void codec_push_prefix(lua_State *L, int family, const void *addr, int len);
void codec_push_lladdr(lua_State *L, const void *data, int len);
/* Push a name for the value, or the number where it has none. */
void codec_push_name(lua_State *L, const struct codec_names *names, int64_t value);

/* The attribute's key at an offset of a message (for extended acks), or NULL. */
const char *codec_key_at(const struct codec_schema *schema, const struct nlmsghdr *h,
                         uint32_t offset);
/* The same within attributes. */
const char *codec_key_within(const struct codec_schema *schema, struct nlattr *attrs, int len,
                             const char *target);
/* The row that takes a key, or NULL. */
const struct codec_row *codec_row_of(const struct codec_schema *schema, const char *key);
/* The key of an attribute type, or NULL. */
const char *codec_key_of(const struct codec_schema *schema, int attr);

/* The schemas in use, nested ones too, in a fixed order; NULL after the last. */
const struct codec_schema *codec_schema_at(size_t i);

/* Make the indices (once per process) and this state's key strings. */
void codec_open(lua_State *L);

#endif
