/* SPDX-License-Identifier: MIT
 * States of xfrm, the security associations of IPsec: what `ip xfrm state` says of one
 * (ip-xfrm(8)), as rows. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "attrs_kinds.h"
#include "attrs_xfrm.h"

#define WINDOW_MAX 4096 /* packets, of the extended replay state; its bits are in words of 32 */
#define LEGACY_MAX 32   /* of the field in the header */

/* The replay state is one structure of several keys. */
struct state_notes {
    uint32_t window, seq, oseq, seq_hi, oseq_hi;
};

static_assert(sizeof(struct state_notes) <= NOUN_NOTES_MAX, "raise NOUN_NOTES_MAX");

#define HDR(field) offsetof(struct xfrm_usersa_info, field)

/* Selector, encapsulation, replay ----------------------------------------------------------- */

/* `sel` begins the header. */
static int encode_sel(struct codec_enc *enc, const struct codec_row *row)
{
    size_t path;
    int err;

    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key, "a table such as { src = \"10.0.0.0/24\" }");
    path = codec_path(enc, row->key, 0);
    err = codec_encode(enc, lua_gettop(enc->L), &xfrm_selector_schema);
    codec_path_end(enc, path);
    return err;
}

static void decode_sel(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct xfrm_selector *sel = (const struct xfrm_selector *)dec->header;

    (void)a;
    if (!sel->prefixlen_d && !sel->prefixlen_s && !sel->proto && !sel->ifindex &&
        !sel->sport_mask && !sel->dport_mask)
        return; /* any */
    lua_newtable(dec->L);
    codec_decode_nested(dec, &xfrm_selector_schema, dec->header, NULL, 0);
    codec_set_name(dec, row->key);
}
static const struct codec_custom selector = {encode_sel, decode_sel};

static const struct codec_name encaps[] = {
    {1, "espinudp-nonike"}, {2, "espinudp"}, {7, "espintcp"}};
static const struct codec_names names_encap = NAMES("an encapsulation of ESP", encaps);

#define ENCAP(field) offsetof(struct xfrm_encap_tmpl, field)

static int encode_oaddr(struct codec_enc *enc, const struct codec_row *row)
{
    struct xfrm_encap_tmpl *encap = codec_header(enc);
    const char *text = codec_text(enc, row->key, "an IP address");

    if (!text)
        return -EINVAL;
    return codec_parse_ip(text, &encap->encap_oa) ? 0 : codec_bad(enc, row->key, "an IP address");
}

static void decode_oaddr(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    static const xfrm_address_t none;
    const struct xfrm_encap_tmpl *encap = (const struct xfrm_encap_tmpl *)dec->header;
    bool four = !encap->encap_oa.a6[1] && !encap->encap_oa.a6[2] && !encap->encap_oa.a6[3];

    (void)a;
    if (!memcmp(&encap->encap_oa, &none, sizeof(none)))
        return;
    codec_push_ip(dec->L, four ? AF_INET : AF_INET6, &encap->encap_oa);
    codec_set_name(dec, row->key);
}
static const struct codec_custom oaddr = {encode_oaddr, decode_oaddr};

// clang-format off
static const struct codec_row encap_rows[] = {
    ENUM("type", ENCAP(encap_type), 2, &names_encap, .flags = ROW_HDR),
    U16("sport", ENCAP(encap_sport), .flags = ROW_HDR | ROW_BE),
    U16("dport", ENCAP(encap_dport), .flags = ROW_HDR | ROW_BE),
    CUSTOM("oaddr", ENCAP(encap_oa), &oaddr, .flags = ROW_HDR),
};
// clang-format on
struct codec_schema xfrm_encap_schema =
    SCHEMA("xfrm_state encap", encap_rows, sizeof(struct xfrm_encap_tmpl));

static int encode_encap(struct codec_enc *enc, const struct codec_row *row)
{
    size_t header = enc->header, path, mark;
    int err;

    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key,
                         "a table such as { type = \"espinudp\", sport = 4500, dport = 4500 }");
    mark = codec_nest(&enc->m, row->attr);
    enc->header = enc->m.len;
    if (!codec_reserve(&enc->m, sizeof(struct xfrm_encap_tmpl)))
        return 0;
    path = codec_path(enc, row->key, 0);
    err = codec_encode(enc, lua_gettop(enc->L), &xfrm_encap_schema);
    codec_path_end(enc, path);
    enc->header = header;
    codec_nest_end(&enc->m, mark);
    return err;
}

static void decode_encap(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < (int)sizeof(struct xfrm_encap_tmpl))
        return;
    lua_newtable(dec->L);
    codec_decode_nested(dec, &xfrm_encap_schema, nla_data(a), NULL, 0);
    codec_set_name(dec, row->key);
}
static const struct codec_custom encap = {encode_encap, decode_encap};

/* Keys of the replay state; row->mask: which of the notes. */
static int encode_replay(struct codec_enc *enc, const struct codec_row *row)
{
    struct state_notes *notes = enc->noun;
    int64_t value = 0;
    int err = codec_integer(
        enc, row->key, 0,
        row->mask == offsetof(struct state_notes, window) ? WINDOW_MAX : UINT32_MAX, &value);

    *(uint32_t *)((char *)notes + row->mask) = (uint32_t)value;
    return err;
}

static void set_nonzero(struct codec_dec *dec, const char *key, uint32_t value)
{
    if (!value)
        return;
    lua_pushinteger(dec->L, value);
    codec_set_name(dec, key);
}

static void decode_window(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct xfrm_usersa_info *info = (const struct xfrm_usersa_info *)dec->header;
    const struct xfrm_replay_state_esn *esn = a ? nla_data(a) : NULL;

    if (!a) {
        set_nonzero(dec, row->key, info->replay_window);
    } else if (nla_len(a) >= (int)sizeof(*esn)) {
        set_nonzero(dec, "replay_window", esn->replay_window);
        set_nonzero(dec, "replay_seq", esn->seq);
        set_nonzero(dec, "replay_oseq", esn->oseq);
        set_nonzero(dec, "replay_seq_hi", esn->seq_hi);
        set_nonzero(dec, "replay_oseq_hi", esn->oseq_hi);
    }
}

static void decode_replay(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct xfrm_replay_state *replay = nla_data(a);

    (void)row;
    if (nla_len(a) < (int)sizeof(*replay))
        return;
    set_nonzero(dec, "replay_seq", replay->seq);
    set_nonzero(dec, "replay_oseq", replay->oseq);
}
static const struct codec_custom window = {encode_replay, decode_window};
static const struct codec_custom replay = {encode_replay, decode_replay};
static const struct codec_custom replay_more = {encode_replay, kind_decode_none};

/* Rows -------------------------------------------------------------------------------------- */

#define NOTE(field)        offsetof(struct state_notes, field)
#define STATE_FLAG(k, bit) BIT(k, HDR(flags), 1, bit, .flags = ROW_HDR | ROW_NZ)

// clang-format off
static const struct codec_row state_rows[] = {
    XFRM_ADDRESS("src", HDR(saddr), HDR(family)),
    XFRM_ADDRESS("dst", HDR(id.daddr), HDR(family)),
    ENUM("proto", HDR(id.proto), 1, &names_xfrm_proto, .flags = ROW_HDR),
    U32("spi", HDR(id.spi), .flags = ROW_HDR | ROW_BE),
    ENUM("mode", HDR(mode), 1, &names_xfrm_mode, .flags = ROW_HDR),
    U32("reqid", HDR(reqid), .flags = ROW_HDR | ROW_NZ),
    U32("seq", HDR(seq), .flags = ROW_HDR | ROW_NZ),
    STATE_FLAG("noecn", XFRM_STATE_NOECN),
    STATE_FLAG("decap_dscp", XFRM_STATE_DECAP_DSCP),
    STATE_FLAG("nopmtudisc", XFRM_STATE_NOPMTUDISC),
    STATE_FLAG("wildrecv", XFRM_STATE_WILDRECV),
    STATE_FLAG("icmp", XFRM_STATE_ICMP),
    STATE_FLAG("af_unspec", XFRM_STATE_AF_UNSPEC),
    STATE_FLAG("align4", XFRM_STATE_ALIGN4),
    STATE_FLAG("esn", XFRM_STATE_ESN),
    CUSTOM("sel", HDR(sel), &selector, .flags = ROW_HDR),
    CUSTOM("limits", HDR(lft), &xfrm_limits, .flags = ROW_HDR),
    CUSTOM("stats", HDR(curlft), &xfrm_stats, .mask = HDR(stats), .flags = ROW_HDR | ROW_RO),
    CUSTOM("replay_window", HDR(replay_window), &window, .mask = NOTE(window), .flags = ROW_HDR),
    CUSTOM("replay_seq", XFRMA_REPLAY_VAL, &replay, .mask = NOTE(seq)),
    CUSTOM("replay_oseq", XFRMA_REPLAY_ESN_VAL, &window, .mask = NOTE(oseq)),
    CUSTOM("replay_seq_hi", 0, &replay_more, .mask = NOTE(seq_hi)),
    CUSTOM("replay_oseq_hi", 0, &replay_more, .mask = NOTE(oseq_hi)),
    CUSTOM("auth", XFRMA_ALG_AUTH_TRUNC, &xfrm_algo_row, .mask = XFRM_ALGO_TRUNC, .flags = ROW_RO), /* given by the next */
    CUSTOM("auth", XFRMA_ALG_AUTH, &xfrm_algo_row, .mask = XFRM_ALGO_TRUNC),
    CUSTOM("enc", XFRMA_ALG_CRYPT, &xfrm_algo_row, .mask = XFRM_ALGO_PLAIN),
    CUSTOM("comp", XFRMA_ALG_COMP, &xfrm_algo_row, .mask = XFRM_ALGO_COMP),
    CUSTOM("aead", XFRMA_ALG_AEAD, &xfrm_algo_row, .mask = XFRM_ALGO_ICV),
    CUSTOM("encap", XFRMA_ENCAP, &encap),
    CUSTOM("mark", XFRMA_MARK, &xfrm_mark),
    U32("output_mark", XFRMA_SET_MARK),
    U32("output_mark_mask", XFRMA_SET_MARK_MASK, .flags = ROW_ONES),
    BIT("dont_encap_dscp", XFRMA_SA_EXTRA_FLAGS, 4, XFRM_SA_XFLAG_DONT_ENCAP_DSCP, .flags = ROW_NZ),
    BIT("oseq_may_wrap", XFRMA_SA_EXTRA_FLAGS, 4, XFRM_SA_XFLAG_OSEQ_MAY_WRAP, .flags = ROW_NZ),
    IPANY("coa", XFRMA_COADDR),
    U32("tfcpad", XFRMA_TFCPAD),
    U32("if_id", XFRMA_IF_ID, .min = 1),
};
// clang-format on
struct codec_schema xfrm_state_schema =
    SCHEMA("xfrm_state", state_rows, sizeof(struct xfrm_usersa_info));

static int prepare(struct codec_enc *enc, int idx)
{
    struct xfrm_usersa_info *info = codec_header(enc);

    (void)idx;
    memset(enc->noun, 0, sizeof(struct state_notes));
    xfrm_no_limits(&info->lft);
    return 0;
}

/* As ip chooses between the two forms of the replay state. */
static int put_replay(struct codec_enc *enc, struct xfrm_usersa_info *info)
{
    const struct state_notes *notes = enc->noun;
    struct xfrm_replay_state old = {.seq = notes->seq, .oseq = notes->oseq};
    struct xfrm_replay_state_esn *esn;
    size_t words = (notes->window + 31) / 32;

    if (info->flags & XFRM_STATE_ESN && !notes->window)
        return nserr_arg(enc->e, "%s: esn needs a replay_window", enc->op);
    if (!(info->flags & XFRM_STATE_ESN) && notes->window <= LEGACY_MAX && !notes->seq_hi &&
        !notes->oseq_hi) {
        info->replay_window = (uint8_t)notes->window;
        if (notes->seq || notes->oseq)
            codec_put(&enc->m, XFRMA_REPLAY_VAL, &old, sizeof(old));
        return 0;
    }
    esn = codec_put(&enc->m, XFRMA_REPLAY_ESN_VAL, NULL, sizeof(*esn) + words * sizeof(uint32_t));
    if (!esn)
        return 0;
    esn->bmp_len = (unsigned)words;
    esn->replay_window = notes->window;
    esn->seq = notes->seq;
    esn->oseq = notes->oseq;
    esn->seq_hi = notes->seq_hi;
    esn->oseq_hi = notes->oseq_hi;
    return 0;
}

/* Only what names the state, and its mark. */
static void deletion(struct nlmsghdr *h)
{
    struct xfrm_usersa_info info;
    struct nlattr *mark = noun_attr(&noun_xfrm_state, h, XFRMA_MARK);
    char kept[NLA_HDRLEN + sizeof(struct xfrm_mark)];
    struct xfrm_usersa_id id = {0};
    size_t len = 0;

    memcpy(&info, nlmsg_data(h), sizeof(info));
    if (mark && mark->nla_len <= sizeof(kept)) {
        len = mark->nla_len;
        memcpy(kept, mark, len);
    }
    id.daddr = info.id.daddr;
    id.spi = info.id.spi;
    id.family = info.family;
    id.proto = info.id.proto;
    memcpy(nlmsg_data(h), &id, sizeof(id));
    memcpy(nlmsg_attrdata(h, sizeof(id)), kept, len);
    h->nlmsg_len = (uint32_t)(NLMSG_LENGTH(NLMSG_ALIGN(sizeof(id))) + len);
}

static int finish(struct codec_enc *enc, int idx)
{
    struct xfrm_usersa_info *info = codec_header(enc);
    struct nlmsghdr *h = (struct nlmsghdr *)enc->m.buf;

    if (enc->verb == CODEC_MATCH)
        return 0;
    if (!codec_field(enc->L, idx, "dst"))
        return nserr_arg(enc->e, "%s: dst is missing", enc->op);
    lua_pop(enc->L, 1);
    if (!info->id.proto)
        return nserr_arg(enc->e, "%s: proto is missing (\"esp\", \"ah\", \"comp\")", enc->op);
    if (enc->verb == CODEC_DEL) {
        h->nlmsg_len = (uint32_t)enc->m.len;
        if (!enc->m.overflow)
            deletion(h);
        enc->m.len = h->nlmsg_len;
        return 0;
    }
    xfrm_settle_type(enc, XFRM_MSG_UPDSA);
    return put_replay(enc, info);
}

const struct noun noun_xfrm_state = {
    .name = "xfrm_state",
    .schema = &xfrm_state_schema,
    .add = XFRM_MSG_NEWSA,
    .del = XFRM_MSG_DELSA,
    .get = XFRM_MSG_GETSA,
    .ident = {"src", "dst", "proto", "spi"},
    .prepare = prepare,
    .finish = finish,
    .deletion = deletion,
    .protocol = NETLINK_XFRM,
    .bare_dump = true,
    .counts = true,
};
