/* SPDX-License-Identifier: MIT
 * Traffic control: the nouns qdisc and class (tc(8)), their handles, options and statistics. */
#include "attrs_tc.h"

#include <linux/gen_stats.h>
#include <stdio.h>
#include <string.h>

#define HDR(field) offsetof(struct tcmsg, field)

/* Handles ---------------------------------------------------------------------------------------
 */

static const char *hex16(const char *p, uint32_t *out)
{
    const char *start = p;
    uint32_t value = 0;

    for (; p - start < 5; p++) {
        int digit = *p >= '0' && *p <= '9'   ? *p - '0'
                    : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10
                    : *p >= 'A' && *p <= 'F' ? *p - 'A' + 10
                                             : -1;
        if (digit < 0)
            break;
        value = value * 16 + (uint32_t)digit;
    }
    *out = value;
    return p - start < 5 ? p : start + 5;
}

bool tc_parse_handle(const char *text, uint32_t *handle)
{
    uint32_t major, minor = 0;
    const char *p = hex16(text, &major);

    if (*p != ':' || text[0] == '\0' || (p == text && !p[1]))
        return false;
    if (p[1]) {
        const char *end = hex16(p + 1, &minor);
        if (*end)
            return false;
    }
    *handle = major << 16 | minor;
    return true;
}

void tc_push_handle(lua_State *L, uint32_t handle)
{
    char text[16];

    if (handle & TC_H_MIN_MASK)
        snprintf(text, sizeof(text), "%x:%x", handle >> 16, handle & TC_H_MIN_MASK);
    else
        snprintf(text, sizeof(text), "%x:", handle >> 16);
    lua_pushstring(L, text);
}

/* row->mask: the bits of a handle that may be set. */
static int encode_handle(struct codec_enc *enc, const struct codec_row *row)
{
    const char *wanted =
        row->mask == TC_H_MAJ_MASK ? "a handle such as \"1:\"" : "an identifier such as \"1:10\"";
    const char *text = codec_text(enc, row->key, wanted);
    uint32_t handle;

    if (!text)
        return -EINVAL;
    if (!tc_parse_handle(text, &handle) || handle & ~row->mask)
        return codec_bad(enc, row->key, "%s", wanted);
    memcpy((char *)codec_header(enc) + row->attr, &handle, sizeof(handle));
    return 0;
}

static void decode_handle(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    uint32_t handle;

    (void)a;
    memcpy(&handle, dec->header + row->attr, sizeof(handle));
    if (!handle)
        return; /* what the kernel made by itself has none */
    tc_push_handle(dec->L, handle);
    codec_set_name(dec, row->key);
}
static const struct codec_custom handle_row = {encode_handle, decode_handle};

static const struct codec_name qdisc_parents[] = {
    {TC_H_ROOT, "root"}, {TC_H_INGRESS, "ingress"}, {TC_H_CLSACT, "clsact"}};
static const struct codec_names names_qdisc_parent = NAMES("a parent", qdisc_parents);

static int encode_parent(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "\"root\" or a class such as \"1:10\"");
    int64_t named = text ? codec_name_value(&names_qdisc_parent, text) : -1;
    uint32_t handle = (uint32_t)named;

    if (!text)
        return -EINVAL;
    if (named < 0 && !tc_parse_handle(text, &handle))
        return codec_bad(enc, row->key, "\"root\", \"ingress\" or a class such as \"1:10\"");
    memcpy((char *)codec_header(enc) + row->attr, &handle, sizeof(handle));
    return 0;
}

static void decode_parent(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    uint32_t handle;
    const char *name;

    (void)a;
    memcpy(&handle, dec->header + row->attr, sizeof(handle));
    if (!handle)
        return;
    name = codec_value_name(&names_qdisc_parent, handle, NULL, 0);
    if (name)
        lua_pushstring(dec->L, name);
    else
        tc_push_handle(dec->L, handle);
    codec_set_name(dec, row->key);
}
static const struct codec_custom parent_row = {encode_parent, decode_parent};

/* Statistics -------------------------------------------------------------------------------------
 */

static void decode_stats(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (!dec->stats)
        return;
    lua_createtable(dec->L, 0, 8);
    codec_decode_inside(dec, &tc_stats_schema, nla_data(a), nla_len(a));
    codec_set_name(dec, row->key);
}
const struct codec_custom tc_stats_row = {tc_encode_nothing, decode_stats};

/* Add `xstats` to the `stats` of the table at the top. */
static void decode_xstats(struct codec_dec *dec, const struct tc_form *form, struct nlattr *stats)
{
    struct nlattr *app;

    if (!dec->stats || !form || !stats || !(form->xstats || form->decode_xstats))
        return;
    app = nla_find(nla_data(stats), nla_len(stats), TCA_STATS_APP);
    if (!app)
        return;
    lua_getfield(dec->L, -1, "stats");
    lua_newtable(dec->L);
    if (form->xstats)
        codec_decode_inside(dec, form->xstats, nla_data(app), nla_len(app));
    else
        form->decode_xstats(dec, app);
    codec_set_name(dec, "xstats");
    lua_pop(dec->L, 1);
}

// clang-format off
static const struct codec_row basic_rows[] = {
    U64("bytes", 0, .flags = ROW_HDR | ROW_RO),
    U32("packets", 8, .flags = ROW_HDR | ROW_RO),
};
static struct codec_schema basic_schema = SCHEMA("qdisc stats basic", basic_rows, 12);

static const struct codec_row queue_rows[] = {
    U32("qlen", TC_OFF(gnet_stats_queue, qlen), .flags = ROW_HDR | ROW_RO),
    U32("backlog", TC_OFF(gnet_stats_queue, backlog), .flags = ROW_HDR | ROW_RO),
    U32("drops", TC_OFF(gnet_stats_queue, drops), .flags = ROW_HDR | ROW_RO),
    U32("requeues", TC_OFF(gnet_stats_queue, requeues), .flags = ROW_HDR | ROW_RO),
    U32("overlimits", TC_OFF(gnet_stats_queue, overlimits), .flags = ROW_HDR | ROW_RO),
};
static struct codec_schema queue_schema = SCHEMA("qdisc stats queue", queue_rows, sizeof(struct gnet_stats_queue));

static const struct codec_row estimate_rows[] = {
    RATE("rate", 0, 4, .flags = ROW_HDR | ROW_RO | ROW_NZ),
    U32("pps", 4, .flags = ROW_HDR | ROW_RO | ROW_NZ),
};
static struct codec_schema estimate_schema = SCHEMA("qdisc stats rate", estimate_rows, 8);

static const struct codec_row stats_rows[] = {
    INLINE(TCA_STATS_BASIC, &basic_schema),
    INLINE(TCA_STATS_RATE_EST, &estimate_schema),
    INLINE(TCA_STATS_QUEUE, &queue_schema),
    U64("packets", TCA_STATS_PKT64, .flags = ROW_RO),
};
struct codec_schema tc_stats_schema = SCHEMA("qdisc stats", stats_rows, 0);

/* Rows --------------------------------------------------------------------------------------- */

static const struct codec_row qdisc_rows[] = {
    DEV("dev", HDR(tcm_ifindex), .flags = ROW_HDR),
    CUSTOM("parent", HDR(tcm_parent), &parent_row, .flags = ROW_HDR),
    BIT("root", HDR(tcm_parent), 4, TC_H_ROOT, .flags = ROW_HDR | ROW_WO),
    CUSTOM("handle", HDR(tcm_handle), &handle_row, .mask = TC_H_MAJ_MASK, .flags = ROW_HDR),
    TC_KIND(qdisc),
    U32("ingress_block", TCA_INGRESS_BLOCK, .min = 1),
    U32("egress_block", TCA_EGRESS_BLOCK, .min = 1),
    BOOL("offloaded", TCA_HW_OFFLOAD, 1, .flags = ROW_RO | ROW_NZ),
    CUSTOM("stats", TCA_STATS2, &tc_stats_row, .flags = ROW_RO),
};
struct codec_schema qdisc_schema = SCHEMA("qdisc", qdisc_rows, sizeof(struct tcmsg));

static const struct codec_row class_rows[] = {
    DEV("dev", HDR(tcm_ifindex), .flags = ROW_HDR),
    CUSTOM("parent", HDR(tcm_parent), &parent_row, .flags = ROW_HDR),
    BIT("root", HDR(tcm_parent), 4, TC_H_ROOT, .flags = ROW_HDR | ROW_WO),
    CUSTOM("classid", HDR(tcm_handle), &handle_row, .mask = UINT32_MAX, .flags = ROW_HDR),
    CUSTOM("leaf", HDR(tcm_info), &handle_row, .mask = TC_H_MAJ_MASK, .flags = ROW_HDR | ROW_RO),
    TC_KIND(class),
    CUSTOM("stats", TCA_STATS2, &tc_stats_row, .flags = ROW_RO),
};
struct codec_schema class_schema = SCHEMA("class", class_rows, sizeof(struct tcmsg));
// clang-format on

/* The nouns --------------------------------------------------------------------------------------
 */

struct tc_notes {
    const struct tc_form *form;
    const struct tc_forms *forms;
};

static_assert(sizeof(struct tc_notes) <= NOUN_NOTES_MAX, "raise NOUN_NOTES_MAX");

int tc_prepare(struct codec_enc *enc, int idx, const struct tc_forms *forms)
{
    struct tc_notes *notes = enc->noun;
    const char *kind;

    notes->form = NULL;
    notes->forms = forms;
    if (codec_field(enc->L, idx, "kind")) {
        kind = codec_text(enc, "kind", "the name of a kind such as \"netem\"");
        if (kind)
            notes->form = tc_form_of(forms, kind);
        lua_pop(enc->L, 1); /* the table keeps it alive */
        if (!kind)
            return -EINVAL;
    }
    enc->extra = notes->form ? notes->form->schema : NULL;
    return 0;
}

/* What every message has; then the options. */
int tc_finish(struct codec_enc *enc, int idx)
{
    struct tc_notes *notes = enc->noun;
    struct tcmsg *t = codec_header(enc);

    if (enc->verb != CODEC_MATCH && !t->tcm_ifindex)
        return nserr_arg(enc->e, "%s: dev is missing", enc->op);
    if (enc->verb == CODEC_DEL)
        return 0;
    if (enc->verb == CODEC_ADD && !tc_given(enc, TCA_KIND))
        return nserr_arg(enc->e, "%s: kind is missing: that of the %s, such as \"%s\"", enc->op,
                         notes->forms->what, notes->forms->example);
    return tc_put_options(enc, idx, TCA_OPTIONS, notes->form, enc->has_extra);
}

void tc_decoded(struct codec_dec *dec, const struct nlmsghdr *h, const struct tc_forms *forms)
{
    struct nlattr *tb[TCA_MAX + 1] = {0};
    const struct tc_form *form;

    nlmsg_parse((struct nlmsghdr *)h, sizeof(struct tcmsg), tb, TCA_MAX, NULL);
    form = tc_form_in(forms, tb[TCA_KIND]);
    tc_decode_options(dec, form, tb[TCA_OPTIONS]);
    decode_xstats(dec, form, tb[TCA_STATS2]);
}

static int qdisc_prepare(struct codec_enc *enc, int idx)
{
    return tc_prepare(enc, idx, &tc_qdiscs);
}

/* Where a qdisc is that says no parent. */
static void qdisc_place(struct codec_enc *enc)
{
    struct tcmsg *t = codec_header(enc);
    struct nlattr *kind = codec_find(&enc->m, enc->level, TCA_KIND);
    bool ingress =
        kind && (!strcmp(nla_data(kind), "ingress") || !strcmp(nla_data(kind), "clsact"));

    if (enc->verb == CODEC_MATCH || t->tcm_parent || (enc->verb != CODEC_ADD && t->tcm_handle))
        return;
    t->tcm_parent = ingress ? TC_H_INGRESS : TC_H_ROOT;
}

static int qdisc_finish(struct codec_enc *enc, int idx)
{
    struct tcmsg *t;

    qdisc_place(enc);
    t = codec_header(enc);
    if (enc->verb == CODEC_ADD && t->tcm_parent == TC_H_INGRESS)
        t->tcm_handle = TC_H_MAJ(TC_H_INGRESS);
    return tc_finish(enc, idx);
}

static void qdisc_decoded(struct codec_dec *dec, const struct nlmsghdr *h)
{
    tc_decoded(dec, h, &tc_qdiscs);
}

/* Ways to say the same of several kinds. */
static const char *const instead[][2] = {{"latency", "limit"},           {"loss", "loss_state"},
                                         {"loss", "loss_gemodel"},       {"loss_state", "loss"},
                                         {"loss_state", "loss_gemodel"}, {"loss_gemodel", "loss"},
                                         {"loss_gemodel", "loss_state"}, {NULL, NULL}};

const struct noun noun_qdisc = {
    .name = "qdisc",
    .schema = &qdisc_schema,
    .add = RTM_NEWQDISC,
    .del = RTM_DELQDISC,
    .get = RTM_GETQDISC,
    .ident = {"kind", "dev", "parent", "handle"},
    .prepare = qdisc_prepare,
    .finish = qdisc_finish,
    .decoded = qdisc_decoded,
    .counts = true,
    .whole = true,
    .by_dev = true,
    .instead = instead,
};

static int class_prepare(struct codec_enc *enc, int idx)
{
    return tc_prepare(enc, idx, &tc_classes);
}

static int class_finish(struct codec_enc *enc, int idx)
{
    struct tcmsg *t = codec_header(enc);

    if (enc->verb != CODEC_MATCH && !t->tcm_handle)
        return nserr_arg(enc->e, "%s: classid is missing", enc->op);
    if (enc->verb == CODEC_ADD && !t->tcm_parent)
        t->tcm_parent = TC_H_ROOT;
    return tc_finish(enc, idx);
}

/* The kernel lists the classes of one device. */
void tc_device_filter(const struct nlmsghdr *filter, struct codec_msg *request)
{
    struct tcmsg *to = (struct tcmsg *)(request->buf + NLMSG_HDRLEN);

    to->tcm_ifindex = ((const struct tcmsg *)nlmsg_data(filter))->tcm_ifindex;
}

static void class_decoded(struct codec_dec *dec, const struct nlmsghdr *h)
{
    tc_decoded(dec, h, &tc_classes);
}

const struct noun noun_class = {
    .name = "class",
    .schema = &class_schema,
    .add = RTM_NEWTCLASS,
    .del = RTM_DELTCLASS,
    .get = RTM_GETTCLASS,
    .ident = {"kind", "dev", "parent", "classid"},
    .prepare = class_prepare,
    .finish = class_finish,
    .decoded = class_decoded,
    .dump_filter = tc_device_filter,
    .counts = true,
    .whole = true,
    .by_dev = true,
    .scattered = true,
};
