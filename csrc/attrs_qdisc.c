/* SPDX-License-Identifier: MIT
 * Kinds of qdisc and class: those whose options are rows alone, and the table of all. */
#include <string.h>

#include "attrs_tc.h"

/* of kernels newer than the headers */
#define TCA_FQ_PRIOMAP 16
#define TCA_FQ_WEIGHTS 17

// clang-format off
#define HDR_U32(k, type, field, ...) U32(k, TC_OFF(type, field), .flags = ROW_HDR, ##__VA_ARGS__)
#define STRUCT(title, table, type, first) \
    {.name = title, .rows = table, .count = ARRAY_LEN(table), .header = sizeof(struct type), .initial = first}

/* Queues for each flow ----------------------------------------------------------------------- */

static const struct codec_row fq_codel_rows[] = {
    U32("limit", TCA_FQ_CODEL_LIMIT),
    U32("flows", TCA_FQ_CODEL_FLOWS, .min = 1, .max = 65536),
    SIZE("memory_limit", TCA_FQ_CODEL_MEMORY_LIMIT, 4),
    CODEL_TIME("target", TCA_FQ_CODEL_TARGET),
    CODEL_TIME("interval", TCA_FQ_CODEL_INTERVAL),
    SIZE("quantum", TCA_FQ_CODEL_QUANTUM, 4),
    BOOL("ecn", TCA_FQ_CODEL_ECN, 4),
    CODEL_TIME("ce_threshold", TCA_FQ_CODEL_CE_THRESHOLD),
    U8("ce_threshold_selector", TCA_FQ_CODEL_CE_THRESHOLD_SELECTOR, .flags = ROW_NZ),
    U8("ce_threshold_mask", TCA_FQ_CODEL_CE_THRESHOLD_MASK, .flags = ROW_NZ),
    U32("drop_batch", TCA_FQ_CODEL_DROP_BATCH_SIZE),
};
static struct codec_schema fq_codel_schema = SCHEMA("qdisc fq_codel", fq_codel_rows, 0);

static const struct codec_row prio_rows[] = {
    HDR_U32("bands", tc_prio_qopt, bands, .min = 2, .max = TCQ_PRIO_BANDS),
    CUSTOM("priomap", TC_OFF(tc_prio_qopt, priomap), &tc_bytes, .size = TC_PRIO_MAX + 1, .max = TCQ_PRIO_BANDS - 1,
           .flags = ROW_HDR),
};
static const struct tc_prio_qopt prio_initial = {
    .bands = 3, .priomap = {1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1},
};
static struct codec_schema prio_schema = STRUCT("qdisc prio", prio_rows, tc_prio_qopt, &prio_initial);

static const struct codec_row fq_rows[] = {
    U32("limit", TCA_FQ_PLIMIT),
    U32("flow_limit", TCA_FQ_FLOW_PLIMIT),
    SIZE("quantum", TCA_FQ_QUANTUM, 4),
    SIZE("initial_quantum", TCA_FQ_INITIAL_QUANTUM, 4),
    BOOL("pacing", TCA_FQ_RATE_ENABLE, 4),
    RATE("maxrate", TCA_FQ_FLOW_MAX_RATE, 4, .flags = ROW_ONES),
    CUSTOM("buckets", TCA_FQ_BUCKETS_LOG, &tc_log2, .size = 4, .max = 18),
    TIME("refill_delay", TCA_FQ_FLOW_REFILL_DELAY, 4, 1000),
    U32("orphan_mask", TCA_FQ_ORPHAN_MASK),
    RATE("low_rate_threshold", TCA_FQ_LOW_RATE_THRESHOLD, 4),
    TIME("ce_threshold", TCA_FQ_CE_THRESHOLD, 4, 1000, .flags = ROW_ONES),
    TIME("timer_slack", TCA_FQ_TIMER_SLACK, 4, 1),
    TIME("horizon", TCA_FQ_HORIZON, 4, 1000),
    BOOL("horizon_drop", TCA_FQ_HORIZON_DROP, 1),
    INLINE(TCA_FQ_PRIOMAP, &prio_schema),
    CUSTOM("weights", TCA_FQ_WEIGHTS, &tc_array, .size = 3, .min = 1, .max = INT32_MAX),
};
static struct codec_schema fq_schema = SCHEMA("qdisc fq", fq_rows, 0);

static const struct codec_row fq_pie_rows[] = {
    U32("limit", TCA_FQ_PIE_LIMIT),
    U32("flows", TCA_FQ_PIE_FLOWS, .min = 1, .max = 65536),
    PIE_TIME("target", TCA_FQ_PIE_TARGET),
    TIME("tupdate", TCA_FQ_PIE_TUPDATE, 4, 1000),
    U32("alpha", TCA_FQ_PIE_ALPHA, .max = 32),
    U32("beta", TCA_FQ_PIE_BETA, .max = 32),
    SIZE("quantum", TCA_FQ_PIE_QUANTUM, 4),
    SIZE("memory_limit", TCA_FQ_PIE_MEMORY_LIMIT, 4),
    SHARE("ecn_prob", TCA_FQ_PIE_ECN_PROB, 4, .mask = 100, .max = 100),
    BOOL("ecn", TCA_FQ_PIE_ECN, 4),
    BOOL("bytemode", TCA_FQ_PIE_BYTEMODE, 4),
    BOOL("dq_rate_estimator", TCA_FQ_PIE_DQ_RATE_ESTIMATOR, 4),
};
static struct codec_schema fq_pie_schema = SCHEMA("qdisc fq_pie", fq_pie_rows, 0);

static const struct codec_row hhf_rows[] = {
    U32("limit", TCA_HHF_BACKLOG_LIMIT),
    SIZE("quantum", TCA_HHF_QUANTUM, 4),
    U32("hh_limit", TCA_HHF_HH_FLOWS_LIMIT),
    TIME("reset_timeout", TCA_HHF_RESET_TIMEOUT, 4, 1000),
    SIZE("admit_bytes", TCA_HHF_ADMIT_BYTES, 4),
    TIME("evict_timeout", TCA_HHF_EVICT_TIMEOUT, 4, 1000),
    U32("non_hh_weight", TCA_HHF_NON_HH_WEIGHT),
};
static struct codec_schema hhf_schema = SCHEMA("qdisc hhf", hhf_rows, 0);

/* One queue, whose length is watched --------------------------------------------------------- */

static const struct codec_row codel_rows[] = {
    U32("limit", TCA_CODEL_LIMIT),
    CODEL_TIME("target", TCA_CODEL_TARGET),
    CODEL_TIME("interval", TCA_CODEL_INTERVAL),
    BOOL("ecn", TCA_CODEL_ECN, 4),
    CODEL_TIME("ce_threshold", TCA_CODEL_CE_THRESHOLD),
};
static struct codec_schema codel_schema = SCHEMA("qdisc codel", codel_rows, 0);

static const struct codec_row pie_rows[] = {
    U32("limit", TCA_PIE_LIMIT),
    PIE_TIME("target", TCA_PIE_TARGET),
    TIME("tupdate", TCA_PIE_TUPDATE, 4, 1000),
    U32("alpha", TCA_PIE_ALPHA, .max = 32),
    U32("beta", TCA_PIE_BETA, .max = 32),
    BOOL("ecn", TCA_PIE_ECN, 4),
    BOOL("bytemode", TCA_PIE_BYTEMODE, 4),
    BOOL("dq_rate_estimator", TCA_PIE_DQ_RATE_ESTIMATOR, 4),
};
static struct codec_schema pie_schema = SCHEMA("qdisc pie", pie_rows, 0);

static const struct codec_row pfifo_rows[] = {HDR_U32("limit", tc_fifo_qopt, limit)};
static struct codec_schema pfifo_schema = STRUCT("qdisc pfifo", pfifo_rows, tc_fifo_qopt, NULL);

static const struct codec_row bfifo_rows[] = {SIZE("limit", TC_OFF(tc_fifo_qopt, limit), 4, .flags = ROW_HDR)};
static struct codec_schema bfifo_schema = STRUCT("qdisc bfifo", bfifo_rows, tc_fifo_qopt, NULL);

#define SFB(field) TC_OFF(tc_sfb_qopt, field)
static const struct codec_row sfb_rows[] = {
    TIME("rehash", SFB(rehash_interval), 4, 1000000, .flags = ROW_HDR),
    TIME("db", SFB(warmup_time), 4, 1000000, .flags = ROW_HDR),
    U32("limit", SFB(limit), .flags = ROW_HDR | ROW_NZ),
    U32("max", SFB(max), .flags = ROW_HDR),
    U32("target", SFB(bin_size), .flags = ROW_HDR),
    SHARE("increment", SFB(increment), 4, .mask = SFB_MAX_PROB, .max = SFB_MAX_PROB, .flags = ROW_HDR),
    SHARE("decrement", SFB(decrement), 4, .mask = SFB_MAX_PROB, .max = SFB_MAX_PROB, .flags = ROW_HDR),
    U32("penalty_rate", SFB(penalty_rate), .flags = ROW_HDR),
    U32("penalty_burst", SFB(penalty_burst), .flags = ROW_HDR),
};
static const struct tc_sfb_qopt sfb_initial = {
    .rehash_interval = 600000, .warmup_time = 60000, .max = 25, .bin_size = 20, .increment = 33, .decrement = 3,
    .penalty_rate = 10, .penalty_burst = 20,
};
static struct codec_schema sfb_schema = STRUCT("qdisc sfb parms", sfb_rows, tc_sfb_qopt, &sfb_initial);
static const struct codec_row sfb_nest_rows[] = {INLINE(TCA_SFB_PARMS, &sfb_schema)};
static struct codec_schema sfb_nest_schema = SCHEMA("qdisc sfb", sfb_nest_rows, 0);

/* Bands and classes -------------------------------------------------------------------------- */

static const struct codec_row ets_rows[] = {
    U8("bands", TCA_ETS_NBANDS, .min = 1, .max = TCQ_ETS_MAX_BANDS),
    U8("strict", TCA_ETS_NSTRICT, .max = TCQ_ETS_MAX_BANDS, .flags = ROW_NZ),
    CUSTOM("quanta", TCA_ETS_QUANTA, &tc_numbers, .size = 4, .mask = TCA_ETS_QUANTA_BAND, .min = 1),
    CUSTOM("priomap", TCA_ETS_PRIOMAP, &tc_numbers, .size = 1, .mask = TCA_ETS_PRIOMAP_BAND,
           .max = TCQ_ETS_MAX_BANDS - 1),
};
static struct codec_schema ets_schema = SCHEMA("qdisc ets", ets_rows, 0);

static const struct codec_row drr_class_rows[] = {SIZE("quantum", TCA_DRR_QUANTUM, 4)};
static struct codec_schema drr_class_schema = SCHEMA("class drr", drr_class_rows, 0);

static const struct codec_row qfq_class_rows[] = {
    U32("weight", TCA_QFQ_WEIGHT, .min = 1, .max = 1023),
    SIZE("maxpkt", TCA_QFQ_LMAX, 4),
};
static struct codec_schema qfq_class_schema = SCHEMA("class qfq", qfq_class_rows, 0);

static const struct codec_row skbprio_rows[] = {HDR_U32("limit", tc_skbprio_qopt, limit)};
static const struct tc_skbprio_qopt skbprio_initial = {.limit = 64};
static struct codec_schema skbprio_schema = STRUCT("qdisc skbprio", skbprio_rows, tc_skbprio_qopt, &skbprio_initial);

/* All ---------------------------------------------------------------------------------------- */

static const struct tc_form qdiscs[] = {
    {"bfifo", &bfifo_schema, .lead = sizeof(struct tc_fifo_qopt)},
    {"cake", &cake_schema, .xstats = &xstats_cake},
    {"choke", &choke_schema, .always = true, .pack = choke_pack, .unpack = red_unpack, .xstats = &xstats_choke},
    {"codel", &codel_schema, .xstats = &xstats_codel},
    {"ets", &ets_schema, .always = true},
    {"fq", &fq_schema, .xstats = &xstats_fq},
    {"fq_codel", &fq_codel_schema, .decode_xstats = xstats_fq_codel},
    {"fq_pie", &fq_pie_schema, .xstats = &xstats_fq_pie},
    {"hfsc", &hfsc_schema, .lead = sizeof(struct tc_hfsc_qopt), .always = true},
    {"hhf", &hhf_schema, .xstats = &xstats_hhf},
    {"htb", &htb_schema, .always = true, .pack = htb_pack},
    {"netem", &netem_schema, .lead = sizeof(struct tc_netem_qopt), .always = true, .pack = netem_pack},
    {"pfifo", &pfifo_schema, .lead = sizeof(struct tc_fifo_qopt)},
    {"pfifo_head_drop", &pfifo_schema, .lead = sizeof(struct tc_fifo_qopt)},
    {"pie", &pie_schema, .xstats = &xstats_pie},
    {"prio", &prio_schema, .lead = sizeof(struct tc_prio_qopt), .always = true},
    {"red", &red_schema, .always = true, .pack = red_pack, .unpack = red_unpack, .xstats = &xstats_red},
    {"sfb", &sfb_nest_schema, .xstats = &xstats_sfb},
    {"sfq", &sfq_schema, .lead = sizeof(struct tc_sfq_qopt_v1), .pack = sfq_pack, .unpack = sfq_unpack},
    {"skbprio", &skbprio_schema, .lead = sizeof(struct tc_skbprio_qopt), .always = true},
    {"tbf", &tbf_schema, .always = true, .pack = tbf_pack, .unpack = tbf_unpack},
    /* without options: clsact, drr, ingress, mq, noqueue, pfifo_fast, qfq */
};
const struct tc_forms tc_qdiscs = {"qdisc", "netem", qdiscs, ARRAY_LEN(qdiscs)};

static const struct tc_form classes[] = {
    {"drr", &drr_class_schema, .lead = 0},
    {"fq_codel", .decode_xstats = xstats_fq_codel},
    {"hfsc", &hfsc_class_schema, .always = true, .pack = hfsc_class_pack, .xstats = &xstats_hfsc},
    {"htb", &htb_class_schema, .always = true, .pack = htb_class_pack, .unpack = htb_class_unpack,
     .xstats = &xstats_htb},
    {"qfq", &qfq_class_schema, .lead = 0},
};
const struct tc_forms tc_classes = {"class", "htb", classes, ARRAY_LEN(classes)};
// clang-format on
