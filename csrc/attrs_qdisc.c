/* SPDX-License-Identifier: MIT
 * Kinds of qdisc and class: those whose options are rows alone, and the table of all. */
#include <string.h>

#include "attrs_tc.h"

/* fq_codel ----------------------------------------------------------------------------------------
 */

/* codel counts in units of 1,024 ns. */
#define CODEL_TIME(k, a, ...) CUSTOM(k, a, &tc_coarse_time, .size = 4, .mask = 1024, ##__VA_ARGS__)

// clang-format off
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
struct codec_schema fq_codel_schema = SCHEMA("qdisc fq_codel", fq_codel_rows, 0);

/* All ---------------------------------------------------------------------------------------- */

static const struct tc_form qdiscs[] = {
    {"fq_codel", &fq_codel_schema, .lead = 0},
    {"htb", &htb_schema, .always = true, .pack = htb_pack},
    {"netem", &netem_schema, .lead = sizeof(struct tc_netem_qopt), .always = true, .pack = netem_pack},
    {"tbf", &tbf_schema, .always = true, .pack = tbf_pack, .unpack = tbf_unpack},
    /* without options: clsact, ingress, mq, noqueue, pfifo_fast */
};
const struct tc_forms tc_qdiscs = {"qdisc", qdiscs, ARRAY_LEN(qdiscs)};

static const struct tc_form classes[] = {
    {"htb", &htb_class_schema, .always = true, .pack = htb_class_pack, .unpack = htb_class_unpack},
};
const struct tc_forms tc_classes = {"class", classes, ARRAY_LEN(classes)};
// clang-format on
