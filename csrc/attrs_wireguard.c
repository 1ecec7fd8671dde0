/* SPDX-License-Identifier: MIT
 * WireGuard's devices and peers, in the words of wg(8), as rows of generic netlink. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "attrs_kinds.h"
#include "attrs_wireguard.h"
#include "wireguard.h"

/* Keys, in base64; "none" stands for no key. */
static int encode_key(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a key of 32 bytes in base64";
    const char *text = codec_text(enc, row->key, wanted);
    uint8_t key[WG_KEY_LEN] = {0};

    if (!text)
        return -EINVAL;
    if (!(row->mask && !strcmp(text, "none")) && !wireguard_from_text(text, key))
        return nserr_arg(enc->e, "%s: %s%s must be %s%s", enc->op, enc->path, row->key, wanted,
                         row->mask ? ", or \"none\"" : "");
    codec_put(&enc->m, row->attr, key, sizeof(key));
    explicit_bzero(key, sizeof(key));
    return 0;
}

static void decode_key(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    static const uint8_t none[WG_KEY_LEN];
    char text[WIREGUARD_TEXT_LEN + 1];

    if (nla_len(a) != WG_KEY_LEN || !memcmp(nla_data(a), none, WG_KEY_LEN))
        return;
    wireguard_to_text(nla_data(a), text);
    lua_pushstring(dec->L, text);
    codec_set_name(dec, row->key);
}
static const struct codec_custom key = {encode_key, decode_key};

/* "192.0.2.1:51820", "[2001:db8::1]:51820", "[fe80::1%eth0]:51820" */
static int encode_endpoint(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] =
        "an address with a port, such as \"192.0.2.1:51820\" or \"[2001:db8::1]:51820\"";
    const char *text = codec_text(enc, row->key, wanted), *colon, *end;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    char host[INET6_ADDRSTRLEN + 20], *scope, *rest;
    unsigned long port;
    int index = 0;

    if (!text)
        return -EINVAL;
    colon = strrchr(text, ':');
    end = colon && *text == '[' && colon > text && colon[-1] == ']' ? colon - 1 : colon;
    text += *text == '[';
    if (!colon || colon[1] < '0' || colon[1] > '9' || (size_t)(end - text) >= sizeof(host))
        return codec_bad(enc, row->key, wanted);
    port = strtoul(colon + 1, &rest, 10);
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';
    if (*rest || port == 0 || port > UINT16_MAX)
        return codec_bad(enc, row->key, wanted);
    if (end == colon && inet_pton(AF_INET, host, &four.sin_addr) == 1) {
        four.sin_port = htons((uint16_t)port);
        codec_put(&enc->m, row->attr, &four, sizeof(four));
        return 0;
    }
    scope = strchr(host, '%');
    if (scope) {
        *scope++ = '\0';
        index = enc->dev_index(enc, scope);
        if (index < 0)
            return index;
    }
    if (end == colon || inet_pton(AF_INET6, host, &six.sin6_addr) != 1)
        return codec_bad(enc, row->key, wanted);
    six.sin6_port = htons((uint16_t)port);
    six.sin6_scope_id = (uint32_t)index;
    codec_put(&enc->m, row->attr, &six, sizeof(six));
    return 0;
}

static void decode_endpoint(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    char host[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in6 six;
    struct sockaddr_in four;

    if (nla_len(a) == sizeof(four)) {
        memcpy(&four, nla_data(a), sizeof(four));
        inet_ntop(AF_INET, &four.sin_addr, host, sizeof(host));
        lua_pushfstring(dec->L, "%s:%d", host, (int)ntohs(four.sin_port));
    } else if (nla_len(a) == sizeof(six)) {
        memcpy(&six, nla_data(a), sizeof(six));
        inet_ntop(AF_INET6, &six.sin6_addr, host, sizeof(host));
        if (six.sin6_scope_id) {
            dec->push_dev(dec, (int)six.sin6_scope_id);
            lua_pushfstring(dec->L, "[%s%%%s]:%d", host, lua_tostring(dec->L, -1),
                            (int)ntohs(six.sin6_port));
            lua_remove(dec->L, -2);
        } else {
            lua_pushfstring(dec->L, "[%s]:%d", host, (int)ntohs(six.sin6_port));
        }
    } else {
        return;
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom endpoint = {encode_endpoint, decode_endpoint};

/* Seconds since 1970; none while there was no handshake. */
static void decode_handshake(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    int64_t seconds;

    if (nla_len(a) < 16)
        return;
    memcpy(&seconds, nla_data(a), sizeof(seconds));
    if (!seconds)
        return;
    lua_pushinteger(dec->L, seconds);
    codec_set_name(dec, row->key);
}
static const struct codec_custom handshake = {kind_encode_none, decode_handshake};

/* persistent_keepalive = 25, or "off" */
static int encode_keepalive(struct codec_enc *enc, const struct codec_row *row)
{
    static const struct codec_row seconds =
        U16("persistent_keepalive", WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL);
    uint16_t off = 0;

    (void)row;
    if (lua_type(enc->L, -1) != LUA_TSTRING || strcmp(lua_tostring(enc->L, -1), "off") != 0)
        return codec_encode_value(enc, &seconds);
    codec_put(&enc->m, seconds.attr, &off, sizeof(off));
    return 0;
}

static void decode_keepalive(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    if (nla_len(a) < 2 || !nla_get_u16(a))
        return;
    lua_pushinteger(dec->L, nla_get_u16(a));
    codec_set_name(dec, row->key);
}
static const struct codec_custom keepalive = {encode_keepalive, decode_keepalive};

/* Lists that may not fit one message: l_wireguard.c puts them, piece by piece. */
static const struct codec_custom in_pieces = {kind_encode_none, kind_decode_none};

// clang-format off
static const struct codec_row wireguard_rows[] = {
    CUSTOM("private_key", WGDEVICE_A_PRIVATE_KEY, &key, .mask = 1),
    CUSTOM("public_key", WGDEVICE_A_PUBLIC_KEY, &key, .flags = ROW_RO),
    BIT("replace_peers", WGDEVICE_A_FLAGS, 4, WGDEVICE_F_REPLACE_PEERS, .flags = ROW_WO),
    U16("listen_port", WGDEVICE_A_LISTEN_PORT),
    U32("fwmark", WGDEVICE_A_FWMARK, .flags = ROW_NZ),
    CUSTOM("peers", WGDEVICE_A_PEERS, &in_pieces),
};
struct codec_schema wireguard_schema = SCHEMA("wireguard", wireguard_rows, 0);

static const struct codec_row peer_rows[] = {
    CUSTOM("public_key", WGPEER_A_PUBLIC_KEY, &key),
    CUSTOM("preshared_key", WGPEER_A_PRESHARED_KEY, &key, .mask = 1),
    BIT("remove", WGPEER_A_FLAGS, 4, WGPEER_F_REMOVE_ME, .flags = ROW_WO),
    BIT("replace_allowed_ips", WGPEER_A_FLAGS, 4, WGPEER_F_REPLACE_ALLOWEDIPS, .flags = ROW_WO),
    BIT("update_only", WGPEER_A_FLAGS, 4, WGPEER_F_UPDATE_ONLY, .flags = ROW_WO),
    CUSTOM("endpoint", WGPEER_A_ENDPOINT, &endpoint),
    CUSTOM("persistent_keepalive", WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, &keepalive),
    CUSTOM("latest_handshake", WGPEER_A_LAST_HANDSHAKE_TIME, &handshake, .flags = ROW_RO),
    U64("rx_bytes", WGPEER_A_RX_BYTES, .flags = ROW_RO),
    U64("tx_bytes", WGPEER_A_TX_BYTES, .flags = ROW_RO),
    CUSTOM("allowed_ips", WGPEER_A_ALLOWEDIPS, &in_pieces),
    U32("protocol_version", WGPEER_A_PROTOCOL_VERSION, .flags = ROW_RO),
};
struct codec_schema wireguard_peer_schema = SCHEMA("wireguard peer", peer_rows, 0);
// clang-format on

int wireguard_put_allowed(struct codec_enc *enc)
{
    const char *text = lua_type(enc->L, -1) == LUA_TSTRING ? lua_tostring(enc->L, -1) : NULL;
    unsigned char addr[16];
    int len = 0, family = text ? codec_parse_prefix(text, addr, &len) : 0;
    uint16_t family16 = (uint16_t)family;
    uint8_t len8 = (uint8_t)len;
    size_t mark;

    if (!family)
        return codec_bad(enc, "allowed_ips",
                         "a list of prefixes such as \"10.0.0.0/24\" or \"fd00::/64\"");
    mark = codec_nest(&enc->m, NLA_F_NESTED);
    codec_put(&enc->m, WGALLOWEDIP_A_FAMILY, &family16, sizeof(family16));
    codec_put(&enc->m, WGALLOWEDIP_A_IPADDR, addr, family == AF_INET ? 4 : 16);
    codec_put(&enc->m, WGALLOWEDIP_A_CIDR_MASK, &len8, sizeof(len8));
    codec_nest_end(&enc->m, mark);
    return 0;
}

bool wireguard_push_allowed(lua_State *L, struct nlattr *allowed)
{
    struct nlattr *tb[WGALLOWEDIP_A_MAX + 1] = {0}, *ip;
    char host[INET6_ADDRSTRLEN];
    int family;

    if (nla_parse_nested(tb, WGALLOWEDIP_A_MAX, allowed, NULL) != 0 || !tb[WGALLOWEDIP_A_IPADDR] ||
        !tb[WGALLOWEDIP_A_CIDR_MASK] || nla_len(tb[WGALLOWEDIP_A_CIDR_MASK]) < 1)
        return false;
    ip = tb[WGALLOWEDIP_A_IPADDR];
    family = nla_len(ip) == 4 ? AF_INET : nla_len(ip) == 16 ? AF_INET6 : AF_UNSPEC;
    if (family == AF_UNSPEC || !inet_ntop(family, nla_data(ip), host, sizeof(host)))
        return false;
    lua_pushfstring(L, "%s/%d", host, (int)nla_get_u8(tb[WGALLOWEDIP_A_CIDR_MASK]));
    return true;
}
