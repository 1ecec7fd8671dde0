/* SPDX-License-Identifier: MIT
 * Random early detection: the qdiscs red and choke, and sfq, which may do it for each flow.
 *
 * Theory of operation: what a user knows (avpkt, burst, bandwidth) travels as logarithms and as a
 * table of idle times, from which it cannot be told again. So the logarithms are listed, as tc
 * does, and taken: `ewma` and `scell_log` instead of avpkt, burst and bandwidth. */
#include <linux/netlink.h>
#include <string.h>

#include "attrs_tc.h"
#include "psched.h"

#define RED(field)   TC_OFF(red_fields, field)
#define SFQ(field)   TC_OFF(sfq_fields, field)
#define SFQV0(field) TC_OFF(tc_sfq_qopt_v1, v0.field)

struct red_fields {
    uint32_t limit, min, max, avpkt, burst, probability, flags;
    uint64_t bandwidth;
    uint8_t ewma, scell_log;
};

// clang-format off
#define RED_FLAG(k, bit) BIT(k, RED(flags), 4, bit, .flags = ROW_HDR | ROW_NZ)
#define RED_COMMON \
    U32("burst", RED(burst), .flags = ROW_HDR | ROW_WO), \
    SIZE("avpkt", RED(avpkt), 4, .min = 1, .flags = ROW_HDR | ROW_WO), \
    RATE("bandwidth", RED(bandwidth), 8, .min = 1, .flags = ROW_HDR | ROW_WO), \
    CUSTOM("probability", RED(probability), &tc_probability_row, .size = 4, .flags = ROW_HDR), \
    U8("ewma", RED(ewma), .max = 31, .flags = ROW_HDR | ROW_NZ), \
    U8("scell_log", RED(scell_log), .max = 31, .flags = ROW_HDR | ROW_NZ), \
    RED_FLAG("ecn", TC_RED_ECN)

static const struct codec_row red_rows[] = {
    SIZE("limit", RED(limit), 4, .min = 1, .flags = ROW_HDR),
    SIZE("min", RED(min), 4, .flags = ROW_HDR),
    SIZE("max", RED(max), 4, .flags = ROW_HDR),
    RED_COMMON,
    RED_FLAG("harddrop", TC_RED_HARDDROP),
    RED_FLAG("adaptive", TC_RED_ADAPTATIVE),
    RED_FLAG("nodrop", TC_RED_NODROP),
    U32("early_drop_block", TCA_RED_EARLY_DROP_BLOCK, .flags = ROW_NZ),
    U32("mark_block", TCA_RED_MARK_BLOCK, .flags = ROW_NZ),
};
struct codec_schema red_schema = SCHEMA("qdisc red", red_rows, sizeof(struct red_fields));

static const struct codec_row choke_rows[] = { /* limits in packets */
    U32("limit", RED(limit), .min = 1, .flags = ROW_HDR),
    U32("min", RED(min), .flags = ROW_HDR),
    U32("max", RED(max), .flags = ROW_HDR),
    RED_COMMON,
};
struct codec_schema choke_schema = SCHEMA("qdisc choke", choke_rows, sizeof(struct red_fields));
// clang-format on

/* The table of idle times; with `scell_log` alone, the one that has this cell. */
static int red_table(struct codec_enc *enc, struct red_fields *f, uint8_t table[256])
{
    uint64_t rate = f->bandwidth ? f->bandwidth : 10000000 / 8;
    int log;

    if (f->scell_log) {
        for (int i = 0; i < 256; i++)
            table[i] = (uint8_t)(31 * i / 255);
        return 0;
    }
    log = psched_red_idle(f->ewma, f->avpkt, rate, table);
    if (log >= 0)
        f->scell_log = (uint8_t)log;
    return tc_need(enc, log >= 0, "avpkt and bandwidth give no table of idle times");
}

/* Defaults are tc's; unit: bytes that one of limit, min and max stands for (1, or avpkt). */
static int red_settle(struct codec_enc *enc, struct red_fields *f, uint32_t unit)
{
    uint32_t burst;
    int log;

    if (!f->max)
        f->max = f->min ? f->min * 3 : f->limit / 4;
    if (!f->min)
        f->min = f->max / 3;
    if (!f->probability)
        f->probability = tc_probability(0.02);
    burst = f->burst ? f->burst : (2 * f->min + f->max) / (3 * (unit == 1 ? f->avpkt : 1));
    if (f->ewma)
        return 0;
    log = psched_red_weight(f->min * unit, burst, f->avpkt);
    if (log > 0)
        f->ewma = (uint8_t)log;
    return tc_need(enc, log > 0, "burst is too small for min and avpkt");
}

static int red_check(struct codec_enc *enc, const struct red_fields *f, uint32_t most)
{
    int err = tc_need(enc, f->limit, "limit is missing");

    if (!err)
        err = tc_need(enc, f->min < f->max && f->max <= most,
                      "min must be less than max, and max not more than limit");
    return err;
}

static int put_red(struct codec_enc *enc, struct red_fields *f, uint32_t flags, const int types[3])
{
    struct tc_red_qopt q = {.limit = f->limit, .qth_min = f->min, .qth_max = f->max};
    uint8_t table[256];
    int slope = psched_red_slope(f->min, f->max, tc_share(f->probability));
    int err = tc_need(enc, slope >= 0, "probability is too small for min and max");

    if (!err)
        err = red_table(enc, f, table);
    if (err)
        return err;
    q.Wlog = f->ewma;
    q.Plog = (unsigned char)slope;
    q.Scell_log = f->scell_log;
    q.flags = (unsigned char)flags;
    codec_put(&enc->m, types[0], &q, sizeof(q));
    codec_put(&enc->m, types[1], table, sizeof(table));
    codec_put_u32(&enc->m, types[2], f->probability);
    return 0;
}

int red_pack(struct codec_enc *enc, void *fields, void *lead)
{
    static const int types[] = {TCA_RED_PARMS, TCA_RED_STAB, TCA_RED_MAX_P};
    struct red_fields *f = fields;
    struct nla_bitfield32 flags = {.value = f->flags,
                                   .selector = TC_RED_HISTORIC_FLAGS | TC_RED_NODROP};
    int err;

    (void)lead;
    if (!f->avpkt)
        f->avpkt = 1000;
    err = red_settle(enc, f, 1);
    if (!err)
        err = red_check(enc, f, f->limit);
    if (!err)
        err = put_red(enc, f, 0, types); /* flags: below */
    if (!err)
        codec_put(&enc->m, TCA_RED_FLAGS, &flags, sizeof(flags));
    return err;
}

void red_unpack(const struct tc_options *in, void *fields)
{
    struct red_fields *f = fields;
    struct tc_red_qopt q = {0};

    if (in->tb[TCA_RED_PARMS] && nla_len(in->tb[TCA_RED_PARMS]) >= (int)sizeof(q))
        memcpy(&q, nla_data(in->tb[TCA_RED_PARMS]), sizeof(q));
    *f = (struct red_fields){.limit = q.limit,
                             .min = q.qth_min,
                             .max = q.qth_max,
                             .flags = q.flags,
                             .ewma = q.Wlog,
                             .scell_log = q.Scell_log};
    if (in->tb[TCA_RED_MAX_P] && nla_len(in->tb[TCA_RED_MAX_P]) >= 4)
        f->probability = nla_get_u32(in->tb[TCA_RED_MAX_P]);
    if (in->tb[TCA_RED_FLAGS] && nla_len(in->tb[TCA_RED_FLAGS]) >= 8)
        f->flags = ((const struct nla_bitfield32 *)nla_data(in->tb[TCA_RED_FLAGS]))->value;
}

/* choke's attributes PARMS, STAB and MAX_P have red's numbers. */
int choke_pack(struct codec_enc *enc, void *fields, void *lead)
{
    static const int types[] = {TCA_CHOKE_PARMS, TCA_CHOKE_STAB, TCA_CHOKE_MAX_P};
    struct red_fields *f = fields;
    int err;

    (void)lead;
    if (!f->avpkt)
        f->avpkt = 1000;
    err = red_settle(enc, f, f->avpkt);
    if (!err)
        err = red_check(enc, f, f->limit);
    return err ? err : put_red(enc, f, f->flags, types);
}

/* Stochastic fairness ------------------------------------------------------------------------ */

/* What a new sfq has; whoever gives this limit gets one flow less. */
#define SFQ_LIMIT 127
#define SFQ_FLOWS 128

struct sfq_fields {
    struct tc_sfq_qopt_v1 v1;
    uint32_t avpkt, burst;
};

// clang-format off
static const struct codec_row sfq_rows[] = {
    U32("limit", SFQV0(limit), .flags = ROW_HDR | ROW_NZ),
    SIZE("quantum", SFQV0(quantum), 4, .flags = ROW_HDR | ROW_NZ),
    UNIT_ROW("perturb", SFQV0(perturb_period), CODEC_TIME, 4, .mask = 1000000000, .flags = ROW_HDR | ROW_NZ),
    U32("divisor", SFQV0(divisor), .max = 65536, .flags = ROW_HDR | ROW_NZ),
    U32("flows", SFQV0(flows), .flags = ROW_HDR | ROW_NZ),
    U32("depth", TC_OFF(tc_sfq_qopt_v1, depth), .flags = ROW_HDR | ROW_NZ),
    BOOL("headdrop", TC_OFF(tc_sfq_qopt_v1, headdrop), 4, .flags = ROW_HDR | ROW_NZ),
    SIZE("redflowlimit", TC_OFF(tc_sfq_qopt_v1, limit), 4, .flags = ROW_HDR | ROW_NZ),
    SIZE("min", TC_OFF(tc_sfq_qopt_v1, qth_min), 4, .flags = ROW_HDR | ROW_NZ),
    SIZE("max", TC_OFF(tc_sfq_qopt_v1, qth_max), 4, .flags = ROW_HDR | ROW_NZ),
    CUSTOM("probability", TC_OFF(tc_sfq_qopt_v1, max_P), &tc_probability_row, .size = 4, .flags = ROW_HDR),
    U8("ewma", TC_OFF(tc_sfq_qopt_v1, Wlog), .max = 31, .flags = ROW_HDR | ROW_NZ),
    BIT("ecn", TC_OFF(tc_sfq_qopt_v1, flags), 1, TC_RED_ECN, .flags = ROW_HDR | ROW_NZ),
    BIT("harddrop", TC_OFF(tc_sfq_qopt_v1, flags), 1, TC_RED_HARDDROP, .flags = ROW_HDR | ROW_NZ),
    SIZE("avpkt", SFQ(avpkt), 4, .min = 1, .flags = ROW_HDR | ROW_WO),
    U32("burst", SFQ(burst), .flags = ROW_HDR | ROW_WO),
};
struct codec_schema sfq_schema = SCHEMA("qdisc sfq", sfq_rows, sizeof(struct sfq_fields));
// clang-format on

int sfq_pack(struct codec_enc *enc, void *fields, void *lead)
{
    struct sfq_fields *f = fields;
    struct tc_sfq_qopt_v1 *q = &f->v1;
    struct red_fields red = {.limit = q->limit ? q->limit : UINT32_MAX,
                             .min = q->qth_min,
                             .max = q->qth_max,
                             .avpkt = f->avpkt ? f->avpkt : 1000,
                             .burst = f->burst,
                             .probability = q->max_P,
                             .ewma = q->Wlog};
    int err = 0, slope;

    if (q->limit || q->qth_min || q->qth_max) { /* the kernel does not tell this limit */
        err = red_settle(enc, &red, 1);
        slope = psched_red_slope(red.min, red.max, tc_share(red.probability));
        if (!err)
            err = red_check(enc, &red, red.limit);
        if (!err)
            err = tc_need(enc, slope >= 0, "probability is too small for min and max");
        q->qth_min = red.min;
        q->qth_max = red.max;
        q->Wlog = red.ewma;
        q->Plog = (unsigned char)slope;
        q->max_P = red.probability;
    } else {
        err = tc_need(enc, !(q->max_P || q->flags || q->Wlog),
                      "probability, ecn and harddrop need redflowlimit, min or max");
    }
    if (q->v0.limit == SFQ_LIMIT && q->v0.flows == SFQ_FLOWS)
        q->v0.limit = 0;
    memcpy(lead, q, sizeof(*q));
    return err;
}

void sfq_unpack(const struct tc_options *in, void *fields)
{
    struct sfq_fields *f = fields;

    memcpy(&f->v1, in->lead, sizeof(f->v1));
    if (!f->v1.qth_min) /* parameters of nothing */
        f->v1.qth_max = f->v1.max_P = f->v1.Wlog = f->v1.flags = 0;
}
