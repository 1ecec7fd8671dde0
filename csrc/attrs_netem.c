/* SPDX-License-Identifier: MIT
 * The qdisc netem (tc-netem(8)): delay, loss and other troubles of a long way, as rows. */
#include <math.h>
#include <string.h>

#include "attrs_tc.h"
#include "psched.h"
#include "units.h"

#define TCA_NETEM_PRNG_SEED 14 /* of kernels newer than the headers */

#define NETEM(field) TC_OFF(tc_netem_qopt, field)

#define UNIFORM_STEPS 4096

/* Evenly spread: what the kernel does without a table, but it keeps a table that it was given. */
static int put_uniform(struct codec_enc *enc, int type)
{
    int16_t *list = codec_put(&enc->m, type, NULL, UNIFORM_STEPS * sizeof(*list));

    for (int i = 0; list && i < UNIFORM_STEPS; i++)
        list[i] = (int16_t)((2 * i + 1 - UNIFORM_STEPS) * NETEM_DIST_SCALE / UNIFORM_STEPS);
    return 0;
}

/* "normal", "pareto", "paretonormal": tables that come with iproute2. */
static int encode_distribution(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "\"uniform\", \"normal\", \"pareto\" or \"paretonormal\"";
    const char *name = codec_text(enc, row->key, wanted);
    char path[256];
    int16_t *list;
    int count;

    if (!name)
        return -EINVAL;
    if (!strcmp(name, "uniform"))
        return put_uniform(enc, row->attr);
    if (!*name || strlen(name) > 64 ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(name))
        return codec_bad(enc, row->key, "%s", wanted);
    count = psched_distribution(name, &list, path);
    if (count == -ENOENT)
        return codec_bad(enc, row->key, "%s (there is no %s)", wanted, path);
    if (count < 0)
        return nserr_sys(enc->e, -count, enc->op, "%s %s from %s", row->key, name, path);
    codec_put(&enc->m, row->attr, list, (size_t)count * sizeof(*list));
    free(list);
    return 0;
}
static const struct codec_custom distribution = {encode_distribution,
                                                 tc_decode_nothing /* the kernel does not tell */};

// clang-format off
static const struct codec_row corr_rows[] = {
    SHARE("correlation", TC_OFF(tc_netem_corr, delay_corr), 4, .flags = ROW_HDR | ROW_NZ),
    SHARE("loss_correlation", TC_OFF(tc_netem_corr, loss_corr), 4, .flags = ROW_HDR | ROW_NZ),
    SHARE("duplicate_correlation", TC_OFF(tc_netem_corr, dup_corr), 4, .flags = ROW_HDR | ROW_NZ),
};
static struct codec_schema corr_schema = SCHEMA("qdisc netem corr", corr_rows, sizeof(struct tc_netem_corr));

static const struct codec_row reorder_rows[] = {
    SHARE("reorder", TC_OFF(tc_netem_reorder, probability), 4, .flags = ROW_HDR | ROW_NZ),
    SHARE("reorder_correlation", TC_OFF(tc_netem_reorder, correlation), 4, .flags = ROW_HDR | ROW_NZ),
};
static struct codec_schema reorder_schema = SCHEMA("qdisc netem reorder", reorder_rows, sizeof(struct tc_netem_reorder));

static const struct codec_row corrupt_rows[] = {
    SHARE("corrupt", TC_OFF(tc_netem_corrupt, probability), 4, .flags = ROW_HDR | ROW_NZ),
    SHARE("corrupt_correlation", TC_OFF(tc_netem_corrupt, correlation), 4, .flags = ROW_HDR | ROW_NZ),
};
static struct codec_schema corrupt_schema = SCHEMA("qdisc netem corrupt", corrupt_rows, sizeof(struct tc_netem_corrupt));

#define S32_HDR(k, a, ...) S32(k, a, .flags = ROW_HDR | ROW_NZ, ##__VA_ARGS__)
/* A rate that fits is listed here; it is given, and listed where it does not, by TCA_NETEM_RATE64. */
static const struct codec_row rate_rows[] = {
    RATE("rate", TC_OFF(tc_netem_rate, rate), 4, .flags = ROW_HDR | ROW_NZ | ROW_ONES | ROW_RO),
    S32_HDR("packet_overhead", TC_OFF(tc_netem_rate, packet_overhead)),
    U32("cell_size", TC_OFF(tc_netem_rate, cell_size), .flags = ROW_HDR | ROW_NZ),
    S32_HDR("cell_overhead", TC_OFF(tc_netem_rate, cell_overhead)),
};
static struct codec_schema rate_schema = SCHEMA("qdisc netem rate", rate_rows, sizeof(struct tc_netem_rate));

static const struct codec_row slot_rows[] = {
    TIME("min_delay", TC_OFF(tc_netem_slot, min_delay), 8, 1, .flags = ROW_HDR | ROW_NZ),
    TIME("max_delay", TC_OFF(tc_netem_slot, max_delay), 8, 1, .flags = ROW_HDR | ROW_NZ),
    S32_HDR("packets", TC_OFF(tc_netem_slot, max_packets)),
    SIZE("bytes", TC_OFF(tc_netem_slot, max_bytes), 4, .max = INT32_MAX, .flags = ROW_HDR | ROW_NZ),
    TIME("delay", TC_OFF(tc_netem_slot, dist_delay), 8, 1, .flags = ROW_HDR | ROW_NZ),
    TIME("jitter", TC_OFF(tc_netem_slot, dist_jitter), 8, 1, .flags = ROW_HDR | ROW_NZ),
};
static struct codec_schema slot_schema = SCHEMA("qdisc netem slot", slot_rows, sizeof(struct tc_netem_slot));

#define GE(k, field, ...) SHARE(k, TC_OFF(tc_netem_gemodel, field), 4, .flags = ROW_HDR | __VA_ARGS__)
static const struct codec_row gemodel_rows[] = {
    GE("p", p, 0), GE("r", r, 0), GE("1-h", h, ROW_NOT), GE("1-k", k1, 0),
};
#define REST (UINT32_MAX - 1) /* stands for 1 minus the probability of the other way */
static const struct tc_netem_gemodel gemodel_initial = {.r = REST};
static struct codec_schema gemodel_schema = {
    .name = "qdisc netem gemodel", .rows = gemodel_rows, .count = ARRAY_LEN(gemodel_rows),
    .header = sizeof(struct tc_netem_gemodel), .initial = &gemodel_initial,
};

#define GI(k) SHARE(#k, TC_OFF(tc_netem_gimodel, k), 4, .flags = ROW_HDR)
static const struct codec_row state_rows[] = {GI(p13), GI(p31), GI(p32), GI(p14), GI(p23)};
static const struct tc_netem_gimodel state_initial = {.p31 = REST, .p23 = UINT32_MAX};
static struct codec_schema state_schema = {
    .name = "qdisc netem state", .rows = state_rows, .count = ARRAY_LEN(state_rows),
    .header = sizeof(struct tc_netem_gimodel), .initial = &state_initial,
};

static const struct codec_row loss_rows[] = {
    NEST("loss_state", NETEM_LOSS_GI, &state_schema),
    NEST("loss_gemodel", NETEM_LOSS_GE, &gemodel_schema),
};
static struct codec_schema loss_schema = SCHEMA("qdisc netem loss", loss_rows, 0);

static const struct codec_row netem_rows[] = {
    U32("limit", NETEM(limit), .flags = ROW_HDR),
    SHARE("loss", NETEM(loss), 4, .flags = ROW_HDR | ROW_NZ),
    SHARE("duplicate", NETEM(duplicate), 4, .flags = ROW_HDR | ROW_NZ),
    U32("gap", NETEM(gap), .flags = ROW_HDR | ROW_NZ),
    TIME("delay", TCA_NETEM_LATENCY64, 8, 1, .flags = ROW_NZ),
    TIME("jitter", TCA_NETEM_JITTER64, 8, 1, .flags = ROW_NZ, .max = INT32_MAX),
    RATE("rate", TCA_NETEM_RATE64, 8, .flags = ROW_NZ),
    BOOL("ecn", TCA_NETEM_ECN, 4, .flags = ROW_NZ),
    UNIT_ROW("seed", TCA_NETEM_PRNG_SEED, CODEC_SINT, 8),
    CUSTOM("distribution", TCA_NETEM_DELAY_DIST, &distribution, .flags = ROW_WO),
    CUSTOM("slot_distribution", TCA_NETEM_SLOT_DIST, &distribution, .flags = ROW_WO),
    NEST("slot", TCA_NETEM_SLOT, &slot_schema),
    INLINE(TCA_NETEM_CORR, &corr_schema),
    INLINE(TCA_NETEM_REORDER, &reorder_schema),
    INLINE(TCA_NETEM_CORRUPT, &corrupt_schema),
    INLINE(TCA_NETEM_RATE, &rate_schema),
    INLINE(TCA_NETEM_LOSS, &loss_schema),
};
static const struct tc_netem_qopt netem_initial = {.limit = 1000};
struct codec_schema netem_schema = {
    .name = "qdisc netem", .rows = netem_rows, .count = ARRAY_LEN(netem_rows),
    .header = sizeof(struct tc_netem_qopt), .initial = &netem_initial,
};
// clang-format on

static bool has_value(struct codec_enc *enc, int type)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, type);
    uint32_t low = 0, high = 0;

    if (!a)
        return false;
    memcpy(&low, nla_data(a), sizeof(low));
    if (nla_len(a) == 8 && type != TCA_NETEM_REORDER)
        memcpy(&high, (char *)nla_data(a) + 4, sizeof(high));
    return low || high;
}

/* The kernel keeps what it is not told of an existing netem, so all is told. */
static void put_defaults(struct codec_enc *enc)
{
    static const struct {
        int type;
        size_t len;
    } all[] = {{TCA_NETEM_CORR, sizeof(struct tc_netem_corr)},
               {TCA_NETEM_REORDER, sizeof(struct tc_netem_reorder)},
               {TCA_NETEM_CORRUPT, sizeof(struct tc_netem_corrupt)},
               {TCA_NETEM_RATE, sizeof(struct tc_netem_rate)},
               {TCA_NETEM_SLOT, sizeof(struct tc_netem_slot)},
               {TCA_NETEM_ECN, sizeof(uint32_t)}};
    static const char zeroes[sizeof(struct tc_netem_slot)];

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tc_default(enc, all[i].type, zeroes, all[i].len);
}

static uint32_t rest_of(uint32_t share)
{
    return (uint32_t)rint((1 - units_fraction(share, UINT32_MAX)) * UINT32_MAX);
}

/* What leads out of a state of loss, where that was not given. */
static void settle_loss(struct codec_enc *enc)
{
    struct nlattr *loss = codec_find(&enc->m, enc->level, TCA_NETEM_LOSS), *model;
    struct tc_netem_gimodel gi;
    struct tc_netem_gemodel ge;

    model = loss ? nla_data(loss) : NULL;
    if (model && nla_type(model) == NETEM_LOSS_GI) {
        memcpy(&gi, nla_data(model), sizeof(gi));
        gi.p31 = gi.p31 == REST ? rest_of(gi.p13) : gi.p31;
        memcpy(nla_data(model), &gi, sizeof(gi));
    } else if (model) {
        memcpy(&ge, nla_data(model), sizeof(ge));
        ge.r = ge.r == REST ? rest_of(ge.p) : ge.r;
        memcpy(nla_data(model), &ge, sizeof(ge));
    }
}

/* Without a longest delay the shortest is the only one. */
static void settle_slot(struct codec_enc *enc)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, TCA_NETEM_SLOT);
    struct tc_netem_slot slot;

    if (!a)
        return;
    memcpy(&slot, nla_data(a), sizeof(slot));
    if (!slot.max_delay)
        slot.max_delay = slot.min_delay;
    memcpy(nla_data(a), &slot, sizeof(slot));
}

int netem_pack(struct codec_enc *enc, void *fields, void *lead)
{
    bool replace = ((struct nlmsghdr *)enc->m.buf)->nlmsg_flags & NLM_F_REPLACE;
    struct tc_netem_qopt *q = fields;
    bool delay = has_value(enc, TCA_NETEM_LATENCY64), reorder = has_value(enc, TCA_NETEM_REORDER);
    bool spread = tc_given(enc, TCA_NETEM_DELAY_DIST);
    int err = 0;

    if (reorder && !q->gap)
        q->gap = 1;
    memcpy(lead, q, sizeof(*q));
    if (enc->verb == CODEC_MATCH)
        return 0;
    err = tc_need(enc, delay || !reorder, "reorder needs a delay: what overtakes is not delayed");
    if (!err)
        err = tc_need(enc, reorder || !q->gap, "gap needs reorder");
    if (!err)
        err = tc_need(enc, !spread || has_value(enc, TCA_NETEM_JITTER64),
                      "distribution needs jitter");
    if (!err)
        err = tc_need(enc, !q->loss || !tc_given(enc, TCA_NETEM_LOSS),
                      "loss, loss_state and loss_gemodel exclude each other");
    if (!err && replace && enc->verb == CODEC_ADD && !spread && has_value(enc, TCA_NETEM_JITTER64))
        put_uniform(enc, TCA_NETEM_DELAY_DIST);
    settle_loss(enc);
    settle_slot(enc);
    put_defaults(enc);
    return err;
}
