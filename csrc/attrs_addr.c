/* SPDX-License-Identifier: MIT
 * Addresses: what `ip address` says of one (ip-address(8)), as rows. */
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "attrs.h"

#define HDR(field) offsetof(struct ifaddrmsg, field)

#define FOREVER UINT32_MAX /* of a lifetime, on the wire */

/* Prefix lengths as written; -1: none. */
struct addr_notes {
    int local_len, peer_len;
    bool broadcast_plus;
};

/* "10.0.0.1/24" into the attribute, its length into *len (-1: none was written). */
static int encode_host(struct codec_enc *enc, const struct codec_row *row, int *len)
{
    static const char wanted[] = "an address such as \"10.0.0.1/24\" or \"2001:db8::1/64\"";
    const char *text = codec_text(enc, row->key, wanted);
    unsigned char addr[16];
    char *end, host[INET6_ADDRSTRLEN];
    const char *slash;
    size_t n;
    int family, err;
    long bits;

    if (!text)
        return -EINVAL;
    slash = strchr(text, '/');
    n = slash ? (size_t)(slash - text) : strlen(text);
    if (n >= sizeof(host))
        return codec_bad(enc, row->key, wanted);
    memcpy(host, text, n);
    host[n] = '\0';
    family = codec_parse_ip(host, addr);
    if (!family)
        return codec_bad(enc, row->key, wanted);
    if (slash) {
        bits = strtol(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end || bits > (family == AF_INET ? 32 : 128))
            return codec_bad(enc, row->key, wanted);
        *len = (int)bits;
    }
    err = codec_family(enc, row->key, family);
    if (!err)
        codec_put(&enc->m, row->attr, addr, family == AF_INET ? 4 : 16);
    return err;
}

static int encode_address(struct codec_enc *enc, const struct codec_row *row)
{
    return encode_host(enc, row, &((struct addr_notes *)enc->noun)->local_len);
}

static int encode_peer(struct codec_enc *enc, const struct codec_row *row)
{
    return encode_host(enc, row, &((struct addr_notes *)enc->noun)->peer_len);
}

static void decode_later(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)dec, (void)row, (void)a; /* `decoded` looks at both attributes */
}
static const struct codec_custom address = {encode_address, decode_later};
static const struct codec_custom peer = {encode_peer, decode_later};

static int encode_broadcast(struct codec_enc *enc, const struct codec_row *row)
{
    static const struct codec_row plain = IP("broadcast", IFA_BROADCAST);
    (void)row;
    if (lua_type(enc->L, -1) == LUA_TSTRING && !strcmp(lua_tostring(enc->L, -1), "+")) {
        ((struct addr_notes *)enc->noun)->broadcast_plus = true;
        return 0;
    }
    return codec_encode_value(enc, &plain);
}

static void decode_broadcast(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    (void)row;
    if (nla_len(a) != 4)
        return;
    codec_push_ip(dec->L, AF_INET, nla_data(a));
    codec_set_name(dec, "broadcast");
}
static const struct codec_custom broadcast = {encode_broadcast, decode_broadcast};

/* valid_lft and preferred_lft share one attribute; row->mask says which field. */
static int encode_lifetime(struct codec_enc *enc, const struct codec_row *row)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, IFA_CACHEINFO);
    struct ifa_cacheinfo *info = a ? nla_data(a) : NULL;
    int64_t seconds = FOREVER;
    int err = 0;

    if (lua_type(enc->L, -1) != LUA_TSTRING || strcmp(lua_tostring(enc->L, -1), "forever") != 0)
        err = lua_type(enc->L, -1) == LUA_TNUMBER
                  ? codec_integer(enc, row->key, 0, FOREVER - 1, &seconds)
                  : codec_bad(enc, row->key, "seconds or \"forever\"");
    if (err)
        return err;
    if (!info) {
        info = codec_put(&enc->m, IFA_CACHEINFO, NULL, sizeof(*info));
        if (!info)
            return 0;
        info->ifa_prefered = info->ifa_valid = FOREVER;
    }
    memcpy((char *)info + row->mask, &(uint32_t){(uint32_t)seconds}, sizeof(uint32_t));
    return 0;
}

static void decode_lifetime(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    uint32_t seconds;

    if (nla_len(a) < (int)(row->mask + sizeof(seconds)))
        return;
    memcpy(&seconds, (char *)nla_data(a) + row->mask, sizeof(seconds));
    if (seconds == FOREVER)
        lua_pushliteral(dec->L, "forever");
    else
        lua_pushinteger(dec->L, seconds);
    codec_set_name(dec, row->key);
}
static const struct codec_custom lifetime = {encode_lifetime, decode_lifetime};

static const struct codec_name protos[] = {
    {0, "unspec"}, {1, "kernel_lo"}, {2, "kernel_ra"}, {3, "kernel_ll"}};
static const struct codec_names names_addr_proto = NAMES("an address protocol", protos);

// clang-format off
static const struct codec_row addr_rows[] = {
    FAMILY_ROW,
    DEV("dev", HDR(ifa_index), .flags = ROW_HDR),
    ENUM("scope", HDR(ifa_scope), 1, &names_scope, .flags = ROW_HDR),
    CUSTOM("address", IFA_LOCAL, &address),
    CUSTOM("peer", IFA_ADDRESS, &peer),
    CUSTOM("broadcast", IFA_BROADCAST, &broadcast),
    IP("anycast", IFA_ANYCAST, .flags = ROW_RO),
    STR("label", IFA_LABEL, 15),
    U32("metric", IFA_RT_PRIORITY, .flags = ROW_NZ),
    ENUM("proto", IFA_PROTO, 1, &names_addr_proto, .flags = ROW_NZ),
    CUSTOM("valid_lft", IFA_CACHEINFO, &lifetime, .mask = offsetof(struct ifa_cacheinfo, ifa_valid)),
    CUSTOM("preferred_lft", IFA_CACHEINFO, &lifetime, .mask = offsetof(struct ifa_cacheinfo, ifa_prefered)),
    BIT("nodad", IFA_FLAGS, 4, IFA_F_NODAD, .flags = ROW_NZ),
    BIT("optimistic", IFA_FLAGS, 4, IFA_F_OPTIMISTIC, .flags = ROW_NZ),
    BIT("home", IFA_FLAGS, 4, IFA_F_HOMEADDRESS, .flags = ROW_NZ),
    BIT("mngtmpaddr", IFA_FLAGS, 4, IFA_F_MANAGETEMPADDR, .flags = ROW_NZ),
    BIT("noprefixroute", IFA_FLAGS, 4, IFA_F_NOPREFIXROUTE, .flags = ROW_NZ),
    BIT("autojoin", IFA_FLAGS, 4, IFA_F_MCAUTOJOIN, .flags = ROW_NZ),
    BIT("secondary", IFA_FLAGS, 4, IFA_F_SECONDARY, .flags = ROW_NZ | ROW_RO),
    BIT("tentative", IFA_FLAGS, 4, IFA_F_TENTATIVE, .flags = ROW_NZ | ROW_RO),
    BIT("dadfailed", IFA_FLAGS, 4, IFA_F_DADFAILED, .flags = ROW_NZ | ROW_RO),
    BIT("deprecated", IFA_FLAGS, 4, IFA_F_DEPRECATED, .flags = ROW_NZ | ROW_RO),
    BIT("dynamic", IFA_FLAGS, 4, IFA_F_PERMANENT, .flags = ROW_NZ | ROW_NOT | ROW_RO),
    BIT("stable_privacy", IFA_FLAGS, 4, IFA_F_STABLE_PRIVACY, .flags = ROW_NZ | ROW_RO),
};
// clang-format on
struct codec_schema addr_schema = SCHEMA("addr", addr_rows, sizeof(struct ifaddrmsg));

static int prepare(struct codec_enc *enc, int idx)
{
    struct addr_notes *notes = enc->noun;

    (void)idx;
    notes->local_len = notes->peer_len = -1;
    return 0;
}

/* `brd +`: the address with its host bits set. */
static int put_broadcast(struct codec_enc *enc, const struct ifaddrmsg *ifa, struct nlattr *local)
{
    uint32_t addr;

    if (enc->family != AF_INET)
        return nserr_arg(enc->e, "%s: broadcast is for IPv4 only", enc->op);
    memcpy(&addr, nla_data(local), sizeof(addr));
    if (ifa->ifa_prefixlen < 32)
        addr |= htonl(UINT32_MAX >> ifa->ifa_prefixlen);
    codec_put(&enc->m, IFA_BROADCAST, &addr, sizeof(addr));
    return 0;
}

/* 127/8 is of host scope unless said otherwise, as `ip address` does. */
static void default_scope(struct codec_enc *enc, int idx, struct ifaddrmsg *ifa,
                          struct nlattr *local)
{
    if (codec_field(enc->L, idx, "scope"))
        lua_pop(enc->L, 1);
    else if (enc->family == AF_INET && *(unsigned char *)nla_data(local) == 127)
        ifa->ifa_scope = RT_SCOPE_HOST;
}

static int finish(struct codec_enc *enc, int idx)
{
    struct addr_notes *notes = enc->noun;
    struct ifaddrmsg *ifa = codec_header(enc);
    struct nlattr *local = codec_find(&enc->m, enc->level, IFA_LOCAL);
    int full, err = codec_settle_family(enc);

    if (err < 0)
        return err;
    if (!local)
        return enc->verb == CODEC_MATCH ? 0 : nserr_arg(enc->e, "%s: address is missing", enc->op);
    if (enc->verb != CODEC_MATCH && !ifa->ifa_index)
        return nserr_arg(enc->e, "%s: dev is missing", enc->op);
    full = enc->family == AF_INET ? 32 : 128;
    ifa->ifa_prefixlen = (uint8_t)(notes->peer_len >= 0    ? notes->peer_len
                                   : notes->local_len >= 0 ? notes->local_len
                                                           : full);
    if (!codec_find(&enc->m, enc->level, IFA_ADDRESS) && enc->verb != CODEC_MATCH)
        codec_put(&enc->m, IFA_ADDRESS, nla_data(local), (size_t)nla_len(local));
    default_scope(enc, idx, ifa, local);
    return notes->broadcast_plus ? put_broadcast(enc, ifa, local) : 0;
}

static void set_host(struct codec_dec *dec, const char *key, struct nlattr *a, int len)
{
    codec_push_ip(dec->L, dec->family, nla_data(a));
    if (len >= 0) {
        lua_pushfstring(dec->L, "%s/%d", lua_tostring(dec->L, -1), len);
        lua_remove(dec->L, -2);
    }
    codec_set_name(dec, key);
}

static void decoded(struct codec_dec *dec, const struct nlmsghdr *h)
{
    const struct ifaddrmsg *ifa = nlmsg_data(h);
    struct nlattr *local = noun_attr(&noun_addr, h, IFA_LOCAL);
    struct nlattr *addr = noun_attr(&noun_addr, h, IFA_ADDRESS);
    int size = ifa->ifa_family == AF_INET ? 4 : 16;

    if (!local)
        local = addr;
    if (!addr)
        addr = local;
    if (!addr || nla_len(addr) != size || nla_len(local) != size)
        return;
    if (!memcmp(nla_data(addr), nla_data(local), (size_t)size)) {
        set_host(dec, "address", addr, ifa->ifa_prefixlen);
    } else {
        set_host(dec, "address", local, -1);
        set_host(dec, "peer", addr, ifa->ifa_prefixlen);
    }
}

static void dump_filter(const struct nlmsghdr *filter, struct codec_msg *request)
{
    struct ifaddrmsg *ifa = (struct ifaddrmsg *)(request->buf + NLMSG_HDRLEN);

    ifa->ifa_index = ((struct ifaddrmsg *)nlmsg_data(filter))->ifa_index;
}

static_assert(sizeof(struct addr_notes) <= NOUN_NOTES_MAX, "raise NOUN_NOTES_MAX");

const struct noun noun_addr = {
    .name = "addr",
    .schema = &addr_schema,
    .add = RTM_NEWADDR,
    .del = RTM_DELADDR,
    .get = RTM_GETADDR,
    .shorthand = "address",
    .ident = {"address", "dev"},
    .prepare = prepare,
    .finish = finish,
    .decoded = decoded,
    .dump_filter = dump_filter,
};
