/* SPDX-License-Identifier: MIT
 * The nouns: what rtnetlink families this module speaks, each defined in its attrs_NOUN.c. */
#ifndef NETNS_ATTRS_H
#define NETNS_ATTRS_H

#include <netlink/msg.h>

#include "codec.h"

/* `key = true` is short for `name = value`: what iproute2 has as a word of its own. */
struct noun_alias {
    const char *key, *name, *value; /* key NULL: the end */
};

struct noun {
    const char *name; /* "route" */
    struct codec_schema *schema;
    uint16_t add, del, get;           /* RTM_NEWx, RTM_DELx, RTM_GETx */
    const char *shorthand;            /* the key a bare string stands for ("address"), or NULL */
    const char *ident[6];             /* keys that name the object in messages, NULL-terminated */
    const struct noun_alias *aliases; /* or NULL */
    /* Before the table at idx is encoded. */
    int (*prepare)(struct codec_enc *enc, int idx);
    /* Fill what the table left open in the header, check what belongs together. */
    int (*finish)(struct codec_enc *enc, int idx);
    /* Further messages that adding takes (step 1, 2 ...): 1 with the message begun and built,
     * 0 if this step has none, -errno. Steps end at `follow_steps`. enc->target may be set. */
    int (*follow)(struct codec_enc *enc, int idx, int step);
    int follow_steps;
    /* Copy what a strict dump request may carry from the encoded filter (header and attributes)
     * to the request, whose header holds only the family so far. NULL: nothing more. */
    void (*dump_filter)(const struct nlmsghdr *filter, struct codec_msg *request);
    /* Keys made from several attributes, or with defaults: after codec_decode. */
    void (*decoded)(struct codec_dec *dec, const struct nlmsghdr *h);
    /* false: the message is not one of this noun's (a cached route ...), leave it out. */
    bool (*listed)(const struct nlmsghdr *h);
    /* Append a listed message's objects, a message each: where one message holds several. */
    int (*explode)(struct bytes *out, const struct nlmsghdr *h);
    /* Reduce a listed message, in place, to what a deletion may carry. NULL: all of it. */
    void (*deletion)(struct nlmsghdr *h);
    /* Flush leaves it alone, unless the filter has the key `kept_unless`. */
    bool (*kept)(const struct nlmsghdr *h);
    const char *kept_unless;
    int protocol;    /* NETLINK_ROUTE (0) or NETLINK_XFRM */
    bool bare_dump;  /* a dump's request has no header */
    int dump_family; /* AF_UNSPEC, or AF_BRIDGE where the noun is a bridge's */
    bool counts;     /* listings have `stats` where they are asked for: { stats = true } */
    bool whole; /* a change tells all: what is not given is sent as it is listed (ident names it) */
    bool by_dev;    /* the kernel does not list a single link's: its `dev` is compared */
    bool scattered; /* the kernel lists it for one device, or parent, at a time */
    /* Keys of which only one may be given, in pairs, NULL-terminated: the second goes when the
     * first is set. */
    const char *const (*instead)[2];
};

/* Start a message of this noun in enc->m: netlink and fixed header, zeroed. */
struct nlmsghdr *noun_message(struct codec_enc *enc, const struct noun *noun, int type, int flags);

extern const struct noun noun_link, noun_addr, noun_route, noun_rule, noun_neigh, noun_nexthop,
    noun_route_get, noun_fdb, noun_vlan, noun_mdb, noun_xfrm_state, noun_xfrm_policy, noun_qdisc,
    noun_class, noun_filter;

/* Every schema that codec_open has to prepare, nested ones excepted. */
extern struct codec_schema *const codec_schemas[];
extern const size_t codec_schemas_count;
/* Those of traffic control: NULL where a kind has none, &codec_no_schema behind the last. */
struct codec_schema *tc_schema_at(size_t i);
extern struct codec_schema codec_no_schema;

#define SCHEMA(title, table, hdr)                                                                  \
    {                                                                                              \
        .name = title, .rows = table, .count = ARRAY_LEN(table), .header = hdr                     \
    }
#define NAMES(title, table)                                                                        \
    {                                                                                              \
        .what = title, .list = table, .count = ARRAY_LEN(table)                                    \
    }

#define NOUN_NOTES_MAX 64 /* bytes of notes a noun may take in enc->noun */

/* For explode: append a message with h's own header, and as attributes `a` or what `more` holds. */
int noun_part(struct bytes *out, const struct nlmsghdr *h, size_t header, const struct nlattr *a,
              const struct codec_msg *more);

/* The attribute of a finished message, or NULL. */
struct nlattr *noun_attr(const struct noun *noun, const struct nlmsghdr *h, int type);

/* Schema of a link kind's own options / of a port's; NULL where there are none. */
struct codec_schema *link_kind_schema(const char *kind);
struct codec_schema *link_port_schema(const char *kind);

/* Shared custom rows and names. */
extern const struct codec_names names_table, names_proto, names_scope, names_route_type,
    names_family;

#endif
