/* SPDX-License-Identifier: MIT
 * Kinds of qdisc, class, filter and action: what attrs_tc.c knows of each, and what they share.
 *
 * Theory of operation: the options of most kinds are attributes, and rows say all of them. Where
 * the kernel wants a structure, perhaps with sizes that are told as times or tables made from
 * rates, the rows fill the fields of a structure of our own, and `pack` makes of it what travels;
 * `unpack` does the reverse. Where both structures are the same, neither is needed. */
#ifndef NETNS_ATTRS_TC_H
#define NETNS_ATTRS_TC_H

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "attrs.h"

/* Options as they came: a structure of form->lead bytes, then attributes. */
struct tc_options {
    const void *lead; /* zeroes where it is missing or too short */
    struct nlattr *tb[64];
};

struct tc_form {
    const char *kind;
    struct codec_schema *schema; /* its options; NULL: none */
    uint16_t lead;               /* bytes of the structure that stands before the attributes */
    bool always;                 /* has options also where none is given */
    uint16_t parms;              /* a structure in an attribute that is always there, */
    struct codec_schema *parms_schema; /* as its schema has it initially */
    /* From `fields` (the schema's header) make the structure `lead` and attributes: 0 or -errno.
     * For CODEC_MATCH nothing is missing and nothing is checked. */
    int (*pack)(struct codec_enc *enc, void *fields, void *lead);
    void (*unpack)(const struct tc_options *in, void *fields);
    struct codec_schema *xstats;                                    /* its own statistics */
    void (*decode_xstats)(struct codec_dec *dec, struct nlattr *a); /* or this */
};

struct tc_forms {
    const char *what;    /* "qdisc" */
    const char *example; /* "netem" */
    const struct tc_form *list;
    size_t count;
};

extern const struct tc_forms tc_qdiscs, tc_classes, tc_filters, tc_actions;

/* NULL: nothing is known of the kind. */
const struct tc_form *tc_form_of(const struct tc_forms *forms, const char *kind);
const struct tc_form *tc_form_in(const struct tc_forms *forms, struct nlattr *kind);

/* Attribute `type` with the options that the table at absolute idx has. */
int tc_put_options(struct codec_enc *enc, int idx, int type, const struct tc_form *form, bool any);
/* The options into the table at the top. */
void tc_decode_options(struct codec_dec *dec, const struct tc_form *form, struct nlattr *a);

/* The attribute of the options under construction is there. */
bool tc_given(struct codec_enc *enc, int type);
/* Add it with these bytes unless it is there. */
void tc_default(struct codec_enc *enc, int type, const void *data, size_t len);
/* Complain unless fine, which stands for something in a message that is sent. */
int tc_need(struct codec_enc *enc, bool fine, const char *text);

/* "1:", "1:10", hexadecimal. */
bool tc_parse_handle(const char *text, uint32_t *handle);
void tc_push_handle(lua_State *L, uint32_t handle);

/* Complain of a kind that is none of these, naming them. */
int tc_unknown_kind(struct codec_enc *enc, const struct tc_forms *forms, const char *key,
                    const char *kind);

/* Rows of the nouns: attrs_tc.c -----------------------------------------------------------------
 */

/* prepare, finish and decoded of a noun whose kinds are these. */
int tc_prepare(struct codec_enc *enc, int idx, const struct tc_forms *forms);
int tc_finish(struct codec_enc *enc, int idx);
void tc_decoded(struct codec_dec *dec, const struct nlmsghdr *h, const struct tc_forms *forms);
void tc_device_filter(const struct nlmsghdr *filter, struct codec_msg *request);
extern const struct codec_custom tc_stats_row;

/* What becomes of packets, and a list of actions: attrs_action.c */
#define TC_CONTROL_UNSET INT32_MAX /* no control was given */
extern const struct codec_custom tc_control_row, tc_actions_row, tc_action_row;

/* The options of a kind, which finish and decoded deal with: a row for extended acks. */
extern const struct codec_custom_nest tc_qdisc_options, tc_class_options, tc_filter_options;
#define TC_KIND(noun)                                                                              \
    CUSTOM("kind", TCA_OPTIONS, &tc_##noun##_options, .flags = ROW_RO | ROW_INSIDE),               \
        STR("kind", TCA_KIND, 15)

/* Shared rows: attrs_tc_rows.c -------------------------------------------------------------------
 */

int tc_encode_nothing(struct codec_enc *enc, const struct codec_row *row);
void tc_decode_nothing(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a);

/* Times that the kernel keeps in units of row->mask ns, given and told in microseconds. */
extern const struct codec_custom tc_coarse_time;
/* A number whose bits are written in hexadecimal: "0x10". */
extern const struct codec_custom tc_hex;
/* A list of row->size bytes in the header; of numbers of row->size bytes, each in an attribute
 * row->mask within the row's. */
extern const struct codec_custom tc_bytes, tc_numbers;
/* A list of exactly row->size numbers of 32 bits, in one attribute. */
extern const struct codec_custom tc_array;
/* Bytes in hexadecimal; a class in an attribute. */
extern const struct codec_custom tc_raw, tc_classid;
/* A power of two up to 2^row->max; the exponent travels. */
extern const struct codec_custom tc_log2;
/* A share in 4 bytes of the header, 2^32 being one. */
extern const struct codec_custom tc_probability_row;
uint32_t tc_probability(double share);
double tc_share(uint32_t probability);

extern const struct codec_names tc_linklayers;

#define TC_OFF(type, field) offsetof(struct type, field)

/* What all filters have; ACT, CLASSID and FLAGS are the kind's attributes. */
#define TC_FILTER_ROWS(ACT, CLASSID)                                                               \
    CUSTOM("actions", ACT, &tc_actions_row),                                                       \
        CUSTOM("action", ACT, &tc_action_row, .flags = ROW_WO),                                    \
        CUSTOM("classid", CLASSID, &tc_classid, .size = 4)
#define TC_FILTER_FLAGS(FLAGS)                                                                     \
    BIT("skip_hw", FLAGS, 4, TCA_CLS_FLAGS_SKIP_HW, .flags = ROW_NZ),                              \
        BIT("skip_sw", FLAGS, 4, TCA_CLS_FLAGS_SKIP_SW, .flags = ROW_NZ),                          \
        BIT("in_hw", FLAGS, 4, TCA_CLS_FLAGS_IN_HW, .flags = ROW_NZ | ROW_RO)
#define COARSE_TIME(k, a, ns, ...)                                                                 \
    CUSTOM(k, a, &tc_coarse_time, .size = 4, .mask = ns, ##__VA_ARGS__)
#define CODEL_TIME(k, a, ...) COARSE_TIME(k, a, 1024, ##__VA_ARGS__) /* codel's unit */
#define PIE_TIME(k, a, ...)   COARSE_TIME(k, a, 64, ##__VA_ARGS__)   /* the scheduler's tick */

/* Kinds: schemas, pack and unpack ------------------------------------------------------------ */

extern struct codec_schema tc_stats_schema, netem_schema, tbf_schema, htb_schema, htb_class_schema,
    hfsc_schema, hfsc_class_schema, hfsc_curve_schema, red_schema, choke_schema, sfq_schema,
    cake_schema;

int netem_pack(struct codec_enc *enc, void *fields, void *lead);
int tbf_pack(struct codec_enc *enc, void *fields, void *lead);
void tbf_unpack(const struct tc_options *in, void *fields);
int htb_pack(struct codec_enc *enc, void *fields, void *lead);
int htb_class_pack(struct codec_enc *enc, void *fields, void *lead);
void htb_class_unpack(const struct tc_options *in, void *fields);
int hfsc_class_pack(struct codec_enc *enc, void *fields, void *lead);
extern struct codec_schema flower_schema, u32_schema, u32_key_schema;
void u32_unpack(const struct tc_options *in, void *fields);
/* u32's handles, "800::800". */
bool u32_parse_handle(const char *text, uint32_t *handle);
void u32_push_handle(lua_State *L, uint32_t handle);
extern const struct codec_names tc_ethertypes;
int flower_pack(struct codec_enc *enc, void *fields, void *lead);
int u32_pack(struct codec_enc *enc, void *fields, void *lead);
extern struct codec_schema action_schema, pedit_schema, pedit_key_schema, pedit_gen_schema;
int pedit_pack(struct codec_enc *enc, void *fields, void *lead);
int red_pack(struct codec_enc *enc, void *fields, void *lead);
void red_unpack(const struct tc_options *in, void *fields);
int choke_pack(struct codec_enc *enc, void *fields, void *lead);
int sfq_pack(struct codec_enc *enc, void *fields, void *lead);
void sfq_unpack(const struct tc_options *in, void *fields);

/* Statistics of kinds: attrs_xstats.c. */
extern struct codec_schema xstats_htb, xstats_hfsc, xstats_codel, xstats_red, xstats_choke,
    xstats_fq, xstats_pie, xstats_fq_pie, xstats_hhf, xstats_sfb, xstats_cake, xstats_cake_tin,
    xstats_fq_codel_qdisc, xstats_fq_codel_class;
void xstats_fq_codel(struct codec_dec *dec, struct nlattr *a);

#endif
