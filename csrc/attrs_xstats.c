/* SPDX-License-Identifier: MIT
 * Traffic control: statistics that a kind of qdisc or class has of its own, as rows. */
#include <string.h>

#include "attrs_tc.h"

// clang-format off
#define COUNT(type, name)      U32(#name, TC_OFF(type, name), .flags = ROW_HDR | ROW_RO)
#define COUNT64(type, name)    U64(#name, TC_OFF(type, name), .flags = ROW_HDR | ROW_RO)
#define SIGNED(type, name)     S32(#name, TC_OFF(type, name), .flags = ROW_HDR | ROW_RO)
#define MICROS(type, name)     TIME(#name, TC_OFF(type, name), 4, 1000, .flags = ROW_HDR | ROW_RO)
#define XSTATS(title, type)    SCHEMA(title " xstats", type ## _rows, sizeof(struct type))

static const struct codec_row tc_htb_xstats_rows[] = {
    COUNT(tc_htb_xstats, lends), COUNT(tc_htb_xstats, borrows), COUNT(tc_htb_xstats, giants),
    SIGNED(tc_htb_xstats, tokens), SIGNED(tc_htb_xstats, ctokens),
};
struct codec_schema xstats_htb = XSTATS("class htb", tc_htb_xstats);

static const struct codec_row tc_hfsc_stats_rows[] = {
    COUNT64(tc_hfsc_stats, work), COUNT64(tc_hfsc_stats, rtwork),
    COUNT(tc_hfsc_stats, period), COUNT(tc_hfsc_stats, level),
};
struct codec_schema xstats_hfsc = XSTATS("class hfsc", tc_hfsc_stats);

#define C(name) COUNT(tc_codel_xstats, name)
static const struct codec_row tc_codel_xstats_rows[] = {
    C(maxpacket), C(count), C(lastcount), MICROS(tc_codel_xstats, ldelay), SIGNED(tc_codel_xstats, drop_next),
    C(drop_overlimit), C(ecn_mark), C(dropping), C(ce_mark),
};
struct codec_schema xstats_codel = XSTATS("qdisc codel", tc_codel_xstats);

static const struct codec_row tc_red_xstats_rows[] = {
    COUNT(tc_red_xstats, early), COUNT(tc_red_xstats, pdrop), COUNT(tc_red_xstats, other), COUNT(tc_red_xstats, marked),
};
struct codec_schema xstats_red = XSTATS("qdisc red", tc_red_xstats);

static const struct codec_row tc_choke_xstats_rows[] = {
    COUNT(tc_choke_xstats, early), COUNT(tc_choke_xstats, pdrop), COUNT(tc_choke_xstats, other),
    COUNT(tc_choke_xstats, marked), COUNT(tc_choke_xstats, matched),
};
struct codec_schema xstats_choke = XSTATS("qdisc choke", tc_choke_xstats);

#define F(name)   COUNT(tc_fq_qd_stats, name)
#define F64(name) COUNT64(tc_fq_qd_stats, name)
static const struct codec_row tc_fq_qd_stats_rows[] = {
    F64(gc_flows), F64(highprio_packets), F64(tcp_retrans), F64(throttled), F64(flows_plimit), F64(pkts_too_long),
    F64(allocation_errors), F(flows), F(inactive_flows), F(throttled_flows), F(unthrottle_latency_ns),
};
/* older kernels tell less than there is in the structure: up to here everyone does */
struct codec_schema xstats_fq = SCHEMA("qdisc fq xstats", tc_fq_qd_stats_rows, TC_OFF(tc_fq_qd_stats, ce_mark));

#define P(name) COUNT(tc_pie_xstats, name)
static const struct codec_row tc_pie_xstats_rows[] = {
    MICROS(tc_pie_xstats, delay), P(avg_dq_rate), P(packets_in), P(dropped), P(overlimit), P(maxq), P(ecn_mark),
};
struct codec_schema xstats_pie = XSTATS("qdisc pie", tc_pie_xstats);

#define Q(name) COUNT(tc_fq_pie_xstats, name)
static const struct codec_row tc_fq_pie_xstats_rows[] = {
    Q(packets_in), Q(dropped), Q(overlimit), Q(overmemory), Q(ecn_mark), Q(new_flow_count), Q(new_flows_len),
    Q(old_flows_len), Q(memory_usage),
};
struct codec_schema xstats_fq_pie = XSTATS("qdisc fq_pie", tc_fq_pie_xstats);

#define H(name) COUNT(tc_hhf_xstats, name)
static const struct codec_row tc_hhf_xstats_rows[] = {
    H(drop_overlimit), H(hh_overlimit), H(hh_tot_count), H(hh_cur_count),
};
struct codec_schema xstats_hhf = XSTATS("qdisc hhf", tc_hhf_xstats);

#define B(name) COUNT(tc_sfb_xstats, name)
static const struct codec_row tc_sfb_xstats_rows[] = {
    B(earlydrop), B(penaltydrop), B(bucketdrop), B(queuedrop), B(childdrop), B(marked), B(maxqlen), B(maxprob),
    B(avgprob),
};
struct codec_schema xstats_sfb = XSTATS("qdisc sfb", tc_sfb_xstats);

/* fq_codel: one structure for the qdisc, another for its flows. */
#define D(name) COUNT(tc_fq_codel_qd_stats, name)
static const struct codec_row tc_fq_codel_qd_stats_rows[] = {
    D(maxpacket), D(drop_overlimit), D(ecn_mark), D(new_flow_count), D(new_flows_len), D(old_flows_len), D(ce_mark),
    D(memory_usage), D(drop_overmemory),
};
struct codec_schema xstats_fq_codel_qdisc = XSTATS("qdisc fq_codel", tc_fq_codel_qd_stats);

#define L(name) COUNT(tc_fq_codel_cl_stats, name)
static const struct codec_row tc_fq_codel_cl_stats_rows[] = {
    SIGNED(tc_fq_codel_cl_stats, deficit), MICROS(tc_fq_codel_cl_stats, ldelay), L(count), L(lastcount), L(dropping),
    SIGNED(tc_fq_codel_cl_stats, drop_next),
};
struct codec_schema xstats_fq_codel_class = XSTATS("class fq_codel", tc_fq_codel_cl_stats);

/* cake: attributes, and a tin in each of a list. */
#define T(name, attr) U32(name, TCA_CAKE_TIN_STATS_ ## attr, .flags = ROW_RO)
#define T64(name, attr) U64(name, TCA_CAKE_TIN_STATS_ ## attr, .flags = ROW_RO)
#define TUS(name, attr) TIME(name, TCA_CAKE_TIN_STATS_ ## attr, 4, 1000, .flags = ROW_RO)
static const struct codec_row tin_rows[] = {
    RATE("threshold_rate", TCA_CAKE_TIN_STATS_THRESHOLD_RATE64, 8, .flags = ROW_RO),
    T("sent_packets", SENT_PACKETS), T64("sent_bytes", SENT_BYTES64),
    T("drops", DROPPED_PACKETS), T64("dropped_bytes", DROPPED_BYTES64),
    T("ack_drops", ACKS_DROPPED_PACKETS), T("ecn_mark", ECN_MARKED_PACKETS),
    T("backlog_packets", BACKLOG_PACKETS), T("backlog_bytes", BACKLOG_BYTES),
    TUS("target", TARGET_US), TUS("interval", INTERVAL_US), TUS("peak_delay", PEAK_DELAY_US),
    TUS("avg_delay", AVG_DELAY_US), TUS("base_delay", BASE_DELAY_US),
    T("way_indirect_hits", WAY_INDIRECT_HITS), T("way_misses", WAY_MISSES), T("way_collisions", WAY_COLLISIONS),
    T("sparse_flows", SPARSE_FLOWS), T("bulk_flows", BULK_FLOWS), T("unresponsive_flows", UNRESPONSIVE_FLOWS),
    T("max_pkt_len", MAX_SKBLEN), T("flow_quantum", FLOW_QUANTUM),
};
struct codec_schema xstats_cake_tin = SCHEMA("qdisc cake tin", tin_rows, 0);
// clang-format on

static void decode_tins(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    struct nlattr *tin;
    int left, i = 0;

    lua_newtable(dec->L);
    nla_for_each_nested(tin, a, left)
    {
        lua_newtable(dec->L);
        codec_decode_inside(dec, &xstats_cake_tin, nla_data(tin), nla_len(tin));
        lua_rawseti(dec->L, -2, ++i);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom tins = {tc_encode_nothing, decode_tins};

// clang-format off
static const struct codec_row cake_stats_rows[] = {
    RATE("capacity_estimate", TCA_CAKE_STATS_CAPACITY_ESTIMATE64, 8, .flags = ROW_RO),
    SIZE("memory_limit", TCA_CAKE_STATS_MEMORY_LIMIT, 4, .flags = ROW_RO),
    SIZE("memory_used", TCA_CAKE_STATS_MEMORY_USED, 4, .flags = ROW_RO),
    U32("avg_network_offset", TCA_CAKE_STATS_AVG_NETOFF, .flags = ROW_RO),
    U32("min_network_size", TCA_CAKE_STATS_MIN_NETLEN, .flags = ROW_RO),
    U32("max_network_size", TCA_CAKE_STATS_MAX_NETLEN, .flags = ROW_RO),
    U32("min_adj_size", TCA_CAKE_STATS_MIN_ADJLEN, .flags = ROW_RO),
    U32("max_adj_size", TCA_CAKE_STATS_MAX_ADJLEN, .flags = ROW_RO),
    CUSTOM("tins", TCA_CAKE_STATS_TIN_STATS, &tins, .flags = ROW_RO),
};
struct codec_schema xstats_cake = SCHEMA("qdisc cake xstats", cake_stats_rows, 0);
// clang-format on

void xstats_fq_codel(struct codec_dec *dec, struct nlattr *a)
{
    const struct tc_fq_codel_xstats *x = nla_data(a);
    int skip = offsetof(struct tc_fq_codel_xstats, qdisc_stats);

    if (nla_len(a) < skip)
        return;
    codec_decode_inside(
        dec, x->type == TCA_FQ_CODEL_XSTATS_QDISC ? &xstats_fq_codel_qdisc : &xstats_fq_codel_class,
        (const char *)nla_data(a) + skip, nla_len(a) - skip);
}
