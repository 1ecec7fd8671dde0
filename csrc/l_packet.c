/* SPDX-License-Identifier: MIT
 * netns.Packet: headers of a packet as Lua tables, from tables of rows. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "codec.h"
#include "l_capture.h"

enum row_type {
    NUMBER, /* big-endian, then >> shift and & mask (0: all) */
    BIT,    /* the same, as true; left out where it is 0 */
    LLADDR,
    IPV4,
    IPV6,
};

struct row {
    const char *key;
    enum row_type type;
    uint8_t at, size, shift;
    uint32_t mask;
    uint8_t times; /* NUMBER: multiplied by it; 0: not */
};

#define FIELD(key, type, at, size)                                                                 \
    {                                                                                              \
        key, type, at, size, 0, 0, 0                                                               \
    }
#define PART(key, type, at, size, shift, mask)                                                     \
    {                                                                                              \
        key, type, at, size, shift, mask, 0                                                        \
    }
#define TIMES(key, type, at, size, shift, mask, times)                                             \
    {                                                                                              \
        key, type, at, size, shift, mask, times                                                    \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NUMBER, 0, 0, 0, 0, 0                                                                \
    }

// clang-format off
static const struct row ethernet_rows[] = {
    FIELD("dst", LLADDR, 0, 6), FIELD("src", LLADDR, 6, 6), FIELD("type", NUMBER, 12, 2), END};
static const struct row vlan_rows[] = {
    PART("id", NUMBER, 0, 2, 0, 0xfff), PART("priority", NUMBER, 0, 2, 13, 7), PART("dei", BIT, 0, 2, 12, 1),
    FIELD("type", NUMBER, 2, 2), END};
static const struct row arp_rows[] = {
    FIELD("op", NUMBER, 6, 2), END};
static const struct row arp_ipv4_rows[] = {
    FIELD("sender_lladdr", LLADDR, 8, 6), FIELD("sender", IPV4, 14, 4),
    FIELD("target_lladdr", LLADDR, 18, 6), FIELD("target", IPV4, 24, 4), END};
static const struct row ipv4_rows[] = {
    TIMES("header_length", NUMBER, 0, 1, 0, 15, 4), FIELD("tos", NUMBER, 1, 1), PART("dscp", NUMBER, 1, 1, 2, 63),
    PART("ecn", NUMBER, 1, 1, 0, 3), FIELD("length", NUMBER, 2, 2), FIELD("id", NUMBER, 4, 2),
    PART("df", BIT, 6, 2, 14, 1), PART("mf", BIT, 6, 2, 13, 1),
    TIMES("fragment_offset", NUMBER, 6, 2, 0, 0x1fff, 8), FIELD("ttl", NUMBER, 8, 1),
    FIELD("protocol", NUMBER, 9, 1), FIELD("checksum", NUMBER, 10, 2), FIELD("src", IPV4, 12, 4),
    FIELD("dst", IPV4, 16, 4), END};
static const struct row ipv6_rows[] = {
    PART("traffic_class", NUMBER, 0, 4, 20, 255), PART("dscp", NUMBER, 0, 4, 22, 63),
    PART("ecn", NUMBER, 0, 4, 20, 3), PART("flow_label", NUMBER, 0, 4, 0, 0xfffff),
    FIELD("length", NUMBER, 4, 2), FIELD("next_header", NUMBER, 6, 1), FIELD("hop_limit", NUMBER, 7, 1),
    FIELD("src", IPV6, 8, 16), FIELD("dst", IPV6, 24, 16), END};
static const struct row tcp_rows[] = {
    FIELD("sport", NUMBER, 0, 2), FIELD("dport", NUMBER, 2, 2), FIELD("seq", NUMBER, 4, 4),
    FIELD("ack_seq", NUMBER, 8, 4), TIMES("header_length", NUMBER, 12, 1, 4, 15, 4),
    PART("cwr", BIT, 13, 1, 7, 1), PART("ece", BIT, 13, 1, 6, 1), PART("urg", BIT, 13, 1, 5, 1),
    PART("ack", BIT, 13, 1, 4, 1), PART("psh", BIT, 13, 1, 3, 1), PART("rst", BIT, 13, 1, 2, 1),
    PART("syn", BIT, 13, 1, 1, 1), PART("fin", BIT, 13, 1, 0, 1), FIELD("window", NUMBER, 14, 2),
    FIELD("checksum", NUMBER, 16, 2), FIELD("urgent", NUMBER, 18, 2), END};
static const struct row udp_rows[] = {
    FIELD("sport", NUMBER, 0, 2), FIELD("dport", NUMBER, 2, 2), FIELD("length", NUMBER, 4, 2),
    FIELD("checksum", NUMBER, 6, 2), END};
static const struct row icmp_rows[] = {
    FIELD("type", NUMBER, 0, 1), FIELD("code", NUMBER, 1, 1), FIELD("checksum", NUMBER, 2, 2), END};
/* what the four bytes behind are depends on the type */
static const struct row echo_rows[] = {FIELD("id", NUMBER, 4, 2), FIELD("seq", NUMBER, 6, 2), END};
static const struct row mtu4_rows[] = {FIELD("mtu", NUMBER, 6, 2), END};
static const struct row mtu6_rows[] = {FIELD("mtu", NUMBER, 4, 4), END};
static const struct row pointer_rows[] = {FIELD("pointer", NUMBER, 4, 4), END};
static const struct row gateway_rows[] = {FIELD("gateway", IPV4, 4, 4), END};
static const struct row target_rows[] = {FIELD("target", IPV6, 8, 16), END};
static const struct row fragment_rows[] = {
    FIELD("id", NUMBER, 4, 4), PART("offset", NUMBER, 2, 2, 0, 0xfff8), PART("more", BIT, 2, 2, 0, 1), END};

/* ICMP's types, as nft calls them. `quotes`: behind the header is the packet that it is about. */
static const struct icmp_type {
    enum packet_header header;
    uint8_t type;
    int16_t code; /* -1: any */
    const char *name;
    const struct row *rows;
    bool quotes;
    uint8_t need; /* bytes from the header's start that the rows read */
} icmp_types[] = {
    {PACKET_ICMP, 0, -1, "echo-reply", echo_rows, false, 8},
    {PACKET_ICMP, 3, 4, "destination-unreachable", mtu4_rows, true, 8},
    {PACKET_ICMP, 3, -1, "destination-unreachable", NULL, true, 8},
    {PACKET_ICMP, 4, -1, "source-quench", NULL, true, 8},
    {PACKET_ICMP, 5, -1, "redirect", gateway_rows, true, 8},
    {PACKET_ICMP, 8, -1, "echo-request", echo_rows, false, 8},
    {PACKET_ICMP, 9, -1, "router-advertisement", NULL, false, 8},
    {PACKET_ICMP, 10, -1, "router-solicitation", NULL, false, 8},
    {PACKET_ICMP, 11, -1, "time-exceeded", NULL, true, 8},
    {PACKET_ICMP, 12, -1, "parameter-problem", NULL, true, 8},
    {PACKET_ICMP, 13, -1, "timestamp-request", echo_rows, false, 8},
    {PACKET_ICMP, 14, -1, "timestamp-reply", echo_rows, false, 8},
    {PACKET_ICMPV6, 1, -1, "destination-unreachable", NULL, true, 8},
    {PACKET_ICMPV6, 2, -1, "packet-too-big", mtu6_rows, true, 8},
    {PACKET_ICMPV6, 3, -1, "time-exceeded", NULL, true, 8},
    {PACKET_ICMPV6, 4, -1, "parameter-problem", pointer_rows, true, 8},
    {PACKET_ICMPV6, 128, -1, "echo-request", echo_rows, false, 8},
    {PACKET_ICMPV6, 129, -1, "echo-reply", echo_rows, false, 8},
    {PACKET_ICMPV6, 130, -1, "mld-listener-query", NULL, false, 8},
    {PACKET_ICMPV6, 131, -1, "mld-listener-report", NULL, false, 8},
    {PACKET_ICMPV6, 132, -1, "mld-listener-done", NULL, false, 8},
    {PACKET_ICMPV6, 133, -1, "nd-router-solicit", NULL, false, 8},
    {PACKET_ICMPV6, 134, -1, "nd-router-advert", NULL, false, 8},
    {PACKET_ICMPV6, 135, -1, "nd-neighbor-solicit", target_rows, false, 24},
    {PACKET_ICMPV6, 136, -1, "nd-neighbor-advert", target_rows, false, 24},
    {PACKET_ICMPV6, 137, -1, "nd-redirect", target_rows, false, 24},
    {PACKET_ICMPV6, 143, -1, "mld2-listener-report", NULL, false, 8},
};

static const struct {
    const char *name;
    const struct row *rows;
} headers[] = {
    [PACKET_ETHERNET] = {"ethernet", ethernet_rows},
    [PACKET_VLAN] = {"vlan", vlan_rows},
    [PACKET_ARP] = {"arp", arp_rows},
    [PACKET_IPV4] = {"ipv4", ipv4_rows},
    [PACKET_IPV6] = {"ipv6", ipv6_rows},
    [PACKET_TCP] = {"tcp", tcp_rows},
    [PACKET_UDP] = {"udp", udp_rows},
    [PACKET_ICMP] = {"icmp", icmp_rows},
    [PACKET_ICMPV6] = {"icmpv6", icmp_rows},
};
// clang-format on

static_assert(ARRAY_LEN(headers) == PACKET_NONE, "every header has its rows");

/* Rows --------------------------------------------------------------------------------------- */

static uint32_t number_at(const uint8_t *at, const struct row *row)
{
    uint32_t value = row->size == 1 ? *at : row->size == 2 ? packet_u16(at) : packet_u32(at);

    value >>= row->shift;
    return row->mask ? value & row->mask : value;
}

static void push_ip(lua_State *L, int family, const uint8_t *at)
{
    char text[INET6_ADDRSTRLEN];

    lua_pushstring(L, inet_ntop(family, at, text, sizeof(text)));
}

/* Into the table on top. */
static void set_rows(lua_State *L, const struct row *row, const uint8_t *data)
{
    for (; row->key; row++) {
        const uint8_t *at = data + row->at;

        if (row->type == NUMBER)
            lua_pushinteger(L, (lua_Integer)number_at(at, row) * (row->times ? row->times : 1));
        else if (row->type == BIT && !number_at(at, row))
            continue;
        else if (row->type == BIT)
            lua_pushboolean(L, 1);
        else if (row->type == LLADDR)
            codec_push_lladdr(L, at, row->size);
        else
            push_ip(L, row->type == IPV4 ? AF_INET : AF_INET6, at);
        lua_setfield(L, -2, row->key);
    }
}

/* What rows cannot say ------------------------------------------------------------------------- */

static void decode(lua_State *L, const uint8_t *data, size_t len, enum packet_header first,
                   bool whole);

static void more_arp(lua_State *L, const uint8_t *at)
{
    const bool known = packet_u16(at + 2) == 0x0800 && at[4] == 6 && at[5] == 4;

    if (known)
        set_rows(L, arp_ipv4_rows, at);
}

/* `whole`: of a packet, not of what a message quotes; quotations within those are left alone. */
static void more_icmp(lua_State *L, const struct packet_layer *l, const uint8_t *data, bool whole)
{
    const uint8_t *at = data + l->at;
    const size_t len = l->end - l->at;

    for (size_t i = 0; i < ARRAY_LEN(icmp_types); i++) {
        const struct icmp_type *t = &icmp_types[i];

        if (t->header != l->header || t->type != at[0] || (t->code >= 0 && t->code != at[1]))
            continue;
        lua_pushstring(L, t->name);
        lua_setfield(L, -2, "name");
        if (t->rows && len >= t->need)
            set_rows(L, t->rows, at);
        if (t->quotes && whole && len > l->len) {
            lua_newtable(L);
            decode(L, at + l->len, len - l->len, PACKET_IPV4, false);
            lua_setfield(L, -2, "original");
        }
        return;
    }
}

/* TCP's options: mss, window_scale, sack_permitted, timestamp { value, echo }. */
static void more_tcp(lua_State *L, const struct packet_layer *l, const uint8_t *data)
{
    const uint8_t *at = data + l->at + 20, *end = data + l->at + l->len;

    while (at < end && *at != 0) {
        const size_t len = *at == 1 ? 1 : end - at > 1 ? at[1] : 0;

        if (!len || len > (size_t)(end - at) || (*at != 1 && len < 2))
            return;
        if (at[0] == 2 && len == 4) {
            lua_pushinteger(L, packet_u16(at + 2));
            lua_setfield(L, -2, "mss");
        } else if (at[0] == 3 && len == 3) {
            lua_pushinteger(L, at[2]);
            lua_setfield(L, -2, "window_scale");
        } else if (at[0] == 4 && len == 2) {
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, "sack_permitted");
        } else if (at[0] == 8 && len == 10) {
            lua_createtable(L, 0, 2);
            lua_pushinteger(L, packet_u32(at + 2));
            lua_setfield(L, -2, "value");
            lua_pushinteger(L, packet_u32(at + 6));
            lua_setfield(L, -2, "echo");
            lua_setfield(L, -2, "timestamp");
        }
        at += len;
    }
}

/* IPv6: the protocol behind the extension headers, and what a fragment header says. */
static void more_ipv6(lua_State *L, const struct packet_layer *l, const uint8_t *data)
{
    size_t at = l->at + 40;
    int type = data[l->at + 6];

    if (l->protocol >= 0) {
        lua_pushinteger(L, l->protocol);
        lua_setfield(L, -2, "protocol");
    }
    while (at < l->at + l->len) { /* they are whole: the walk has seen to it */
        const uint8_t *extension = data + at;

        if (type == IPPROTO_FRAGMENT) {
            lua_createtable(L, 0, 3);
            set_rows(L, fragment_rows, extension);
            lua_setfield(L, -2, "fragment");
        }
        at += packet_extension(type, extension);
        type = extension[0];
    }
}

/* Packets -------------------------------------------------------------------------------------- */

static void push_layer(lua_State *L, const struct packet_layer *l, const uint8_t *data, bool whole)
{
    lua_createtable(L, 0, 16);
    lua_pushstring(L, headers[l->header].name);
    lua_setfield(L, -2, "header");
    set_rows(L, headers[l->header].rows, data + l->at);
    if (l->header == PACKET_ARP)
        more_arp(L, data + l->at);
    else if (l->header == PACKET_TCP)
        more_tcp(L, l, data);
    else if (l->header == PACKET_IPV6)
        more_ipv6(L, l, data);
    else if (l->header == PACKET_ICMP || l->header == PACKET_ICMPV6)
        more_icmp(L, l, data, whole);
}

/* Of a TCP header that is cut off, as messages of ICMP quote them: the ports. */
static void push_ports(lua_State *L, const uint8_t *at)
{
    static const struct row rows[] = {FIELD("sport", NUMBER, 0, 2), FIELD("dport", NUMBER, 2, 2),
                                      FIELD("seq", NUMBER, 4, 4), END};

    lua_createtable(L, 0, 4);
    lua_pushstring(L, headers[PACKET_TCP].name);
    lua_setfield(L, -2, "header");
    set_rows(L, rows, at);
}

/* table at -2, list of layers at -1 */
static void add_layer(lua_State *L, lua_Integer i, const char *name)
{
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, i);
    lua_pushstring(L, name);
    if (lua_rawget(L, -4) == LUA_TNIL) { /* the outermost goes by the name */
        lua_pop(L, 1);
        lua_pushstring(L, name);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    } else {
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* Into the table on top: `layers`, each header by its name, `payload`, `truncated`. */
static void decode(lua_State *L, const uint8_t *data, size_t len, enum packet_header first,
                   bool whole)
{
    struct packet p;
    unsigned i;

    luaL_checkstack(L, 12, NULL);
    packet_walk(&p, data, len, first);
    lua_createtable(L, (int)p.count, 0);
    for (i = 0; i < p.count; i++) {
        push_layer(L, &p.layers[i], data, whole);
        add_layer(L, i + 1, headers[p.layers[i].header].name);
    }
    if (p.cut == PACKET_TCP && p.end - p.payload >= 8) {
        push_ports(L, data + p.payload);
        add_layer(L, i + 1, headers[PACKET_TCP].name);
    }
    lua_setfield(L, -2, "layers");
    lua_pushlstring(L, (const char *)data + p.payload, p.end - p.payload);
    lua_setfield(L, -2, "payload");
    if (p.cut != PACKET_NONE) {
        lua_pushstring(L, headers[p.cut].name);
        lua_setfield(L, -2, "truncated");
    }
}

static const char *const firsts[] = {"ethernet", "ip", NULL};

void l_packet_push(lua_State *L, enum packet_header first, const void *data, size_t len)
{
    lua_createtable(L, 0, 12);
    lua_pushlstring(L, data, len);
    lua_setfield(L, -2, "bytes");
    lua_pushstring(L, firsts[first != PACKET_ETHERNET]);
    lua_setfield(L, -2, "first");
    luaL_setmetatable(L, L_PACKET);
}

/* The headers are looked for when one of them is asked for. Upvalue 1: methods. */
static int l_packet__index(lua_State *L)
{
    const char *bytes, *first;
    size_t len;

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    lua_pushliteral(L, "layers");
    if (lua_rawget(L, 1) != LUA_TNIL)
        return 0;
    lua_pushliteral(L, "bytes");
    lua_rawget(L, 1);
    lua_pushliteral(L, "first");
    lua_rawget(L, 1);
    bytes = lua_tolstring(L, -2, &len);
    first = lua_tostring(L, -1);
    if (!bytes || !first)
        return 0;
    lua_pushvalue(L, 1);
    decode(L, (const uint8_t *)bytes, len, *first == 'e' ? PACKET_ETHERNET : PACKET_IPV4, true);
    lua_pushvalue(L, 2);
    lua_rawget(L, 1);
    return 1;
}

/* core.packet(bytes, "ethernet" | "ip") */
static int l_packet_new(lua_State *L)
{
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len);
    int ip = luaL_checkoption(L, 2, firsts[0], firsts);

    l_packet_push(L, ip ? PACKET_IPV4 : PACKET_ETHERNET, bytes, len);
    lua_pushinteger(L, (lua_Integer)len);
    lua_setfield(L, -2, "length");
    return 1;
}

void l_packet_open(lua_State *L)
{
    luaL_newmetatable(L, L_PACKET);
    lua_pushliteral(L, L_PACKET);
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_packet__index, 1);
    lua_setfield(L, -3, "__index");
    lua_setfield(L, -3, "packet_methods");
    lua_setfield(L, -2, "Packet"); /* for __tostring */
    lua_pushcfunction(L, l_packet_new);
    lua_setfield(L, -2, "packet");
}
