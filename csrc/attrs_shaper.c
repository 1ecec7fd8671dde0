/* SPDX-License-Identifier: MIT
 * Qdiscs and classes that hold a rate: tbf, htb and hfsc, as rows.
 *
 * Theory of operation: the kernel counts bursts in the time that they take at the rate, in ticks
 * of 64 ns. What is listed as bytes gives the same ticks again when it is added; at rates above 125
 * Mbit/s a tick is more than a byte, so a burst may be listed a few bytes other than it was
 * given. */
#include <math.h>
#include <string.h>

#include "attrs_tc.h"
#include "psched.h"

#define TBF(field) TC_OFF(tbf_fields, field)
#define HTB(field) TC_OFF(htb_fields, field)

static void to_spec(struct tc_ratespec *spec, uint64_t rate, uint16_t overhead, uint16_t mpu,
                    uint8_t linklayer)
{
    spec->rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
    spec->overhead = overhead;
    spec->mpu = mpu;
    spec->linklayer = linklayer ? linklayer : TC_LINKLAYER_ETHERNET;
}

static uint64_t from_spec(const struct tc_ratespec *spec, struct nlattr *rate64)
{
    return rate64 && nla_len(rate64) >= 8 ? nla_get_u64(rate64) : spec->rate;
}

static void put_rate64(struct codec_enc *enc, int type, uint64_t rate)
{
    if (rate > UINT32_MAX)
        codec_put(&enc->m, type, &rate, sizeof(rate));
}

/* An attribute that is a structure; older kernels' may be shorter. */
static void read_struct(struct nlattr *a, void *out, size_t size)
{
    memset(out, 0, size);
    if (a)
        memcpy(out, nla_data(a), (size_t)nla_len(a) < size ? (size_t)nla_len(a) : size);
}

/* Token bucket filter ---------------------------------------------------------------------------
 */

struct tbf_fields {
    uint64_t rate, peakrate, burst, mtu, latency;
    uint32_t limit;
    uint16_t overhead, mpu;
    uint8_t linklayer;
};

// clang-format off
static const struct codec_row tbf_rows[] = {
    RATE("rate", TBF(rate), 8, .min = 1, .flags = ROW_HDR),
    RATE("peakrate", TBF(peakrate), 8, .flags = ROW_HDR | ROW_NZ),
    SIZE("burst", TBF(burst), 8, .min = 1, .max = UINT32_MAX, .flags = ROW_HDR),
    SIZE("mtu", TBF(mtu), 8, .max = UINT32_MAX, .flags = ROW_HDR | ROW_NZ),
    SIZE("limit", TBF(limit), 4, .min = 1, .flags = ROW_HDR),
    TIME("latency", TBF(latency), 8, 1, .min = 1, .flags = ROW_HDR | ROW_WO),
    U16("overhead", TBF(overhead), .flags = ROW_HDR | ROW_NZ),
    U16("mpu", TBF(mpu), .flags = ROW_HDR | ROW_NZ),
    ENUM("linklayer", TBF(linklayer), 1, &tc_linklayers, .flags = ROW_HDR | ROW_NZ),
};
struct codec_schema tbf_schema = SCHEMA("qdisc tbf", tbf_rows, sizeof(struct tbf_fields));
// clang-format on

/* The queue that takes `latency` to empty. */
static uint32_t tbf_limit(const struct tbf_fields *f)
{
    double limit = (double)f->rate * (double)f->latency / 1e9 + (double)f->burst;
    double peak = (double)f->peakrate * (double)f->latency / 1e9 + (double)f->mtu;

    if (f->peakrate && peak < limit)
        limit = peak;
    return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

static int tbf_check(struct codec_enc *enc, const struct tbf_fields *f)
{
    int err = tc_need(enc, f->rate, "rate is missing");

    if (!err)
        err = tc_need(enc, f->burst, "burst is missing: the bytes that may go at once");
    if (!err)
        err = tc_need(enc, f->limit || f->latency,
                      "limit is missing: the bytes that may wait (or latency, how long they may)");
    if (!err)
        err = tc_need(enc, !f->limit || !f->latency, "limit and latency exclude each other");
    if (!err)
        err = tc_need(enc, !f->peakrate || f->mtu, "peakrate needs mtu");
    if (!err)
        err = tc_need(enc, f->peakrate || !f->mtu, "mtu needs peakrate");
    return err;
}

int tbf_pack(struct codec_enc *enc, void *fields, void *lead)
{
    struct tbf_fields *f = fields;
    struct tc_tbf_qopt q = {0};
    int err = tbf_check(enc, f);

    (void)lead;
    if (err)
        return err;
    to_spec(&q.rate, f->rate, f->overhead, f->mpu, f->linklayer);
    if (f->peakrate)
        to_spec(&q.peakrate, f->peakrate, f->overhead, f->mpu, f->linklayer);
    q.limit = f->latency ? tbf_limit(f) : f->limit;
    q.buffer = psched_ticks(f->rate, f->burst);
    q.mtu = psched_ticks(f->peakrate, f->mtu);
    codec_put(&enc->m, TCA_TBF_PARMS, &q, sizeof(q));
    put_rate64(enc, TCA_TBF_RATE64, f->rate);
    put_rate64(enc, TCA_TBF_PRATE64, f->peakrate);
    if (f->burst)
        codec_put_u32(&enc->m, TCA_TBF_BURST, (uint32_t)f->burst);
    if (f->peakrate)
        codec_put_u32(&enc->m, TCA_TBF_PBURST, (uint32_t)f->mtu);
    return 0;
}

void tbf_unpack(const struct tc_options *in, void *fields)
{
    struct tbf_fields *f = fields;
    struct tc_tbf_qopt q;

    read_struct(in->tb[TCA_TBF_PARMS], &q, sizeof(q));
    *f = (struct tbf_fields){.rate = from_spec(&q.rate, in->tb[TCA_TBF_RATE64]),
                             .peakrate = from_spec(&q.peakrate, in->tb[TCA_TBF_PRATE64]),
                             .limit = q.limit,
                             .overhead = q.rate.overhead,
                             .mpu = q.rate.mpu};
    f->burst = psched_told_bytes(&q.rate, f->rate, q.buffer);
    f->mtu = psched_told_bytes(&q.peakrate, f->peakrate, q.mtu);
    if (q.rate.linklayer != TC_LINKLAYER_ETHERNET)
        f->linklayer = q.rate.linklayer & TC_LINKLAYER_MASK;
}

/* Hierarchical token buckets --------------------------------------------------------------------
 */

struct htb_fields {
    uint64_t rate, ceil, burst, cburst;
    uint32_t quantum, prio, mtu;
    uint16_t overhead, mpu;
    uint8_t linklayer;
};

// clang-format off
static const struct codec_row htb_class_rows[] = {
    RATE("rate", HTB(rate), 8, .min = 1, .flags = ROW_HDR),
    RATE("ceil", HTB(ceil), 8, .min = 1, .flags = ROW_HDR),
    SIZE("burst", HTB(burst), 8, .max = UINT32_MAX, .flags = ROW_HDR),
    SIZE("cburst", HTB(cburst), 8, .max = UINT32_MAX, .flags = ROW_HDR),
    SIZE("quantum", HTB(quantum), 4, .flags = ROW_HDR | ROW_NZ),
    U32("prio", HTB(prio), .max = TC_HTB_NUMPRIO - 1, .flags = ROW_HDR | ROW_NZ),
    SIZE("mtu", HTB(mtu), 4, .flags = ROW_HDR | ROW_WO),
    U16("overhead", HTB(overhead), .flags = ROW_HDR | ROW_NZ),
    U16("mpu", HTB(mpu), .flags = ROW_HDR | ROW_NZ),
    ENUM("linklayer", HTB(linklayer), 1, &tc_linklayers, .flags = ROW_HDR | ROW_NZ),
};
struct codec_schema htb_class_schema = SCHEMA("class htb", htb_class_rows, sizeof(struct htb_fields));

static const struct codec_row htb_glob_rows[] = {
    U32("r2q", TC_OFF(tc_htb_glob, rate2quantum), .min = 1, .flags = ROW_HDR),
    CUSTOM("default", TC_OFF(tc_htb_glob, defcls), &tc_hex, .size = 4, .max = UINT16_MAX,
           .flags = ROW_HDR | ROW_NZ),
};
static const struct tc_htb_glob htb_initial = {.version = TC_HTB_PROTOVER, .rate2quantum = 10};
static struct codec_schema htb_glob_schema = {
    .name = "qdisc htb glob", .rows = htb_glob_rows, .count = ARRAY_LEN(htb_glob_rows),
    .header = sizeof(struct tc_htb_glob), .initial = &htb_initial,
};

static const struct codec_row htb_rows[] = {
    INLINE(TCA_HTB_INIT, &htb_glob_schema),
    U32("direct_qlen", TCA_HTB_DIRECT_QLEN),
    FLAG("offload", TCA_HTB_OFFLOAD),
};
struct codec_schema htb_schema = SCHEMA("qdisc htb", htb_rows, 0);
// clang-format on

int htb_pack(struct codec_enc *enc, void *fields, void *lead)
{
    (void)fields, (void)lead;
    if (enc->verb != CODEC_MATCH)
        tc_default(enc, TCA_HTB_INIT, &htb_initial, sizeof(htb_initial));
    return 0;
}

/* The kernel runs a high-resolution clock, so a burst is a packet, and what goes in a nanosecond.
 */
static uint64_t least_burst(uint64_t given, uint64_t rate, uint32_t mtu)
{
    return given ? given : rate / UINT64_C(1000000000) + (mtu ? mtu : 1600);
}

int htb_class_pack(struct codec_enc *enc, void *fields, void *lead)
{
    struct htb_fields *f = fields;
    struct tc_htb_opt opt = {.quantum = f->quantum, .prio = f->prio};
    uint64_t ceil = f->ceil ? f->ceil : f->rate;
    int err = tc_need(enc, f->rate, "rate is missing");

    (void)lead;
    if (!err)
        err = tc_need(enc, ceil >= f->rate, "ceil is less than rate");
    if (err)
        return err;
    to_spec(&opt.rate, f->rate, f->overhead, f->mpu, f->linklayer);
    to_spec(&opt.ceil, ceil, f->overhead, f->mpu, f->linklayer);
    opt.buffer = psched_ticks(f->rate, least_burst(f->burst, f->rate, f->mtu));
    opt.cbuffer = psched_ticks(ceil, least_burst(f->cburst, ceil, f->mtu));
    codec_put(&enc->m, TCA_HTB_PARMS, &opt, sizeof(opt));
    put_rate64(enc, TCA_HTB_RATE64, f->rate);
    put_rate64(enc, TCA_HTB_CEIL64, ceil);
    return 0;
}

void htb_class_unpack(const struct tc_options *in, void *fields)
{
    struct htb_fields *f = fields;
    struct tc_htb_opt opt;

    read_struct(in->tb[TCA_HTB_PARMS], &opt, sizeof(opt));
    *f = (struct htb_fields){.rate = from_spec(&opt.rate, in->tb[TCA_HTB_RATE64]),
                             .ceil = from_spec(&opt.ceil, in->tb[TCA_HTB_CEIL64]),
                             .quantum = opt.quantum,
                             .prio = opt.prio,
                             .overhead = opt.rate.overhead,
                             .mpu = opt.rate.mpu};
    f->burst = psched_bytes(f->rate, opt.buffer);
    f->cburst = psched_bytes(f->ceil, opt.cbuffer);
    if (opt.rate.linklayer != TC_LINKLAYER_ETHERNET)
        f->linklayer = opt.rate.linklayer & TC_LINKLAYER_MASK;
}

/* Hierarchical fair service curves ----------------------------------------------------------------
 */

/* Two ways to tell a curve (tc-hfsc(7)): slope m1 for the time d, then m2; or a packet of umax
 * bytes is gone after dmax, at a rate in the long run. */
struct curve_fields {
    struct tc_service_curve curve;
    uint32_t umax, rate;
    uint32_t dmax;
};

// clang-format off
static const struct codec_row curve_rows[] = {
    RATE("m1", TC_OFF(tc_service_curve, m1), 4, .flags = ROW_HDR | ROW_NZ),
    TIME("d", TC_OFF(tc_service_curve, d), 4, 1000, .flags = ROW_HDR | ROW_NZ),
    RATE("m2", TC_OFF(tc_service_curve, m2), 4, .flags = ROW_HDR),
    SIZE("umax", TC_OFF(curve_fields, umax), 4, .flags = ROW_HDR | ROW_WO),
    TIME("dmax", TC_OFF(curve_fields, dmax), 4, 1000, .flags = ROW_HDR | ROW_WO),
    RATE("rate", TC_OFF(curve_fields, rate), 4, .flags = ROW_HDR | ROW_WO),
};
struct codec_schema hfsc_curve_schema = SCHEMA("class hfsc curve", curve_rows, sizeof(struct curve_fields));
// clang-format on

static int settle_curve(struct codec_enc *enc, const struct codec_row *row, struct curve_fields *f)
{
    double slope, delay;

    if (f->umax && !f->dmax)
        return nserr_arg(enc->e, "%s: %s.umax needs dmax", enc->op, row->key);
    if (f->dmax && !f->rate)
        return nserr_arg(enc->e, "%s: %s.dmax needs rate", enc->op, row->key);
    if (!f->rate)
        return 0;
    slope = f->dmax ? (double)f->umax * 1e6 / f->dmax : 0;
    f->curve = (struct tc_service_curve){.m2 = f->rate};
    if (slope > f->rate) {
        f->curve.m1 = slope >= UINT32_MAX ? UINT32_MAX : (uint32_t)ceil(slope);
        f->curve.d = f->dmax;
    } else if (f->dmax) {
        delay = f->dmax - (double)f->umax * 1e6 / f->rate;
        f->curve.d = delay > 0 ? (uint32_t)ceil(delay) : 0;
    }
    return 0;
}

/* Fields of the table, or the rate in the long run, that is at the top. */
static int read_curve(struct codec_enc *enc, const struct codec_row *row, struct curve_fields *f)
{
    struct codec_row slope = curve_rows[2];
    size_t start = enc->m.len, header = enc->header, path;
    int err;

    if (lua_type(enc->L, -1) == LUA_TTABLE) {
        path = codec_path(enc, row->key, 0);
        err = codec_encode_struct(enc, lua_gettop(enc->L), &hfsc_curve_schema);
        codec_path_end(enc, path);
    } else {
        enc->header = start;
        slope.key = row->key;
        err = codec_reserve(&enc->m, sizeof(*f)) ? codec_encode_value(enc, &slope) : 0;
        enc->header = header;
    }
    if (!err && !enc->m.overflow)
        memcpy(f, enc->m.buf + start, sizeof(*f));
    enc->m.len = start;
    return err;
}

/* `sc` is rt and ls. */
static int encode_curve(struct codec_enc *enc, const struct codec_row *row)
{
    bool both = row->flags & ROW_WO;
    struct curve_fields f = {0};
    int err = read_curve(enc, row, &f);

    if (!err)
        err = settle_curve(enc, row, &f);
    if (err)
        return err;
    codec_put(&enc->m, both ? TCA_HFSC_RSC : row->attr, &f.curve, sizeof(f.curve));
    if (both)
        codec_put(&enc->m, TCA_HFSC_FSC, &f.curve, sizeof(f.curve));
    return 0;
}

static void decode_curve(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct curve_fields f = {0};

    if (nla_len(a) < (int)sizeof(f.curve))
        return;
    memcpy(&f.curve, nla_data(a), sizeof(f.curve));
    lua_newtable(dec->L);
    codec_decode_inside(dec, &hfsc_curve_schema, &f, sizeof(f));
    codec_set_name(dec, row->key);
}
static const struct codec_custom curve = {encode_curve, decode_curve};

// clang-format off
static const struct codec_row hfsc_class_rows[] = {
    CUSTOM("rt", TCA_HFSC_RSC, &curve),
    CUSTOM("ls", TCA_HFSC_FSC, &curve),
    CUSTOM("ul", TCA_HFSC_USC, &curve),
    CUSTOM("sc", TCA_HFSC_MAX + 1, &curve, .flags = ROW_WO),
};
struct codec_schema hfsc_class_schema = SCHEMA("class hfsc", hfsc_class_rows, 0);

static const struct codec_row hfsc_rows[] = {
    CUSTOM("default", TC_OFF(tc_hfsc_qopt, defcls), &tc_hex, .size = 2, .max = UINT16_MAX, .flags = ROW_HDR | ROW_NZ),
};
struct codec_schema hfsc_schema = SCHEMA("qdisc hfsc", hfsc_rows, sizeof(struct tc_hfsc_qopt));
// clang-format on

int hfsc_class_pack(struct codec_enc *enc, void *fields, void *lead)
{
    bool rt = tc_given(enc, TCA_HFSC_RSC), ls = tc_given(enc, TCA_HFSC_FSC);
    int err = tc_need(enc, rt || ls, "rt, ls or sc is missing");

    (void)fields, (void)lead;
    return err ? err : tc_need(enc, ls || !tc_given(enc, TCA_HFSC_USC), "ul needs ls or sc");
}
