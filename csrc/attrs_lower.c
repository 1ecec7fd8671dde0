/* SPDX-License-Identifier: MIT
 * Kinds of link that stand on others, and those that group them: VLAN, MACVLAN, IPVLAN, MACsec,
 * HSR, VRF, netkit; as rows. */
#include <endian.h>
#include <linux/if_link.h>
#include <linux/if_macsec.h>
#include <linux/if_vlan.h>
#include <stdio.h>
#include <string.h>

#include "attrs_kinds.h"

/* of kernels newer than the headers */
#define MACVLAN_BC_CUTOFF 9
#define HSR_INTERLINK     8
enum {
    NETKIT_PRIMARY = 2,
    NETKIT_POLICY,
    NETKIT_PEER_POLICY,
    NETKIT_MODE,
    NETKIT_SCRUB,
    NETKIT_PEER_SCRUB,
    NETKIT_HEADROOM,
    NETKIT_TAILROOM
};

/* VLAN -------------------------------------------------------------------------------------- */

/* row->mask: a bit of struct ifla_vlan_flags. */
static int encode_vlan_flag(struct codec_enc *enc, const struct codec_row *row)
{
    struct nlattr *a = codec_find(&enc->m, enc->level, row->attr);
    struct ifla_vlan_flags *flags =
        a ? nla_data(a) : codec_put(&enc->m, row->attr, NULL, sizeof(*flags));

    if (lua_type(enc->L, -1) != LUA_TBOOLEAN)
        return codec_bad(enc, row->key, "true or false");
    if (!flags)
        return 0;
    flags->mask |= row->mask;
    if (lua_toboolean(enc->L, -1))
        flags->flags |= row->mask;
    return 0;
}

static void decode_vlan_flag(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    const struct ifla_vlan_flags *flags = nla_data(a);

    if (nla_len(a) < (int)sizeof(*flags))
        return;
    lua_pushboolean(dec->L, !!(flags->flags & row->mask));
    codec_set_name(dec, row->key);
}
static const struct codec_custom vlan_flag = {encode_vlan_flag, decode_vlan_flag};

static const char qos_wanted[] = "priorities such as { [0] = 3 } or \"0:3 1:5\"";

static int put_mapping(struct codec_enc *enc, const struct codec_row *row, lua_Integer from,
                       lua_Integer to)
{
    struct ifla_vlan_qos_mapping map = {.from = (uint32_t)from, .to = (uint32_t)to};

    if (from < 0 || from > UINT32_MAX || to < 0 || to > UINT32_MAX)
        return codec_bad(enc, row->key, "%s", qos_wanted);
    codec_put(&enc->m, IFLA_VLAN_QOS_MAPPING, &map, sizeof(map));
    return 0;
}

/* "0:3 1:5" */
static int put_mapping_text(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, qos_wanted);
    unsigned from, to;
    int n, err = 0;

    for (; !err && text && *text; text += n) {
        n = 0;
        if (sscanf(text, " %9u:%9u%n", &from, &to, &n) != 2 || (text[n] && text[n] != ' '))
            return codec_bad(enc, row->key, "%s", qos_wanted);
        err = put_mapping(enc, row, from, to);
    }
    return text ? err : -EINVAL;
}

static int encode_qos(struct codec_enc *enc, const struct codec_row *row)
{
    size_t mark = codec_nest(&enc->m, row->attr | NLA_F_NESTED);
    int top = lua_gettop(enc->L), err = 0;

    if (lua_type(enc->L, -1) == LUA_TSTRING)
        err = put_mapping_text(enc, row);
    else if (lua_type(enc->L, -1) != LUA_TTABLE)
        err = codec_bad(enc, row->key, "%s", qos_wanted);
    else
        for (lua_pushnil(enc->L); !err && lua_next(enc->L, top); lua_pop(enc->L, 1))
            err = lua_isinteger(enc->L, -2) && lua_isinteger(enc->L, -1)
                      ? put_mapping(enc, row, lua_tointeger(enc->L, -2), lua_tointeger(enc->L, -1))
                      : nserr_arg(enc->e, "%s: %s%s must be %s", enc->op, enc->path, row->key,
                                  qos_wanted);
    codec_nest_end(&enc->m, mark);
    return err;
}

static void decode_qos(struct codec_dec *dec, const struct codec_row *row, struct nlattr *list)
{
    struct nlattr *a;
    int left;

    lua_newtable(dec->L);
    nla_for_each_nested(a, list, left)
    {
        const struct ifla_vlan_qos_mapping *map = nla_data(a);
        if (nla_len(a) < (int)sizeof(*map))
            continue;
        lua_pushinteger(dec->L, map->to);
        lua_rawseti(dec->L, -2, map->from);
    }
    codec_set_name(dec, row->key);
}
static const struct codec_custom qos = {encode_qos, decode_qos};

// clang-format off
static const struct codec_row vlan_rows[] = {
    U16("id", IFLA_VLAN_ID, .max = 4095),
    ENUM("protocol", IFLA_VLAN_PROTOCOL, 2, &names_vlan_protocol, .flags = ROW_BE),
    CUSTOM("reorder_hdr", IFLA_VLAN_FLAGS, &vlan_flag, .mask = VLAN_FLAG_REORDER_HDR),
    CUSTOM("gvrp", IFLA_VLAN_FLAGS, &vlan_flag, .mask = VLAN_FLAG_GVRP),
    CUSTOM("mvrp", IFLA_VLAN_FLAGS, &vlan_flag, .mask = VLAN_FLAG_MVRP),
    CUSTOM("loose_binding", IFLA_VLAN_FLAGS, &vlan_flag, .mask = VLAN_FLAG_LOOSE_BINDING),
    CUSTOM("bridge_binding", IFLA_VLAN_FLAGS, &vlan_flag, .mask = VLAN_FLAG_BRIDGE_BINDING),
    CUSTOM("ingress_qos_map", IFLA_VLAN_INGRESS_QOS, &qos),
    CUSTOM("egress_qos_map", IFLA_VLAN_EGRESS_QOS, &qos),
};
struct codec_schema vlan_schema = SCHEMA("vlan", vlan_rows, 0);
// clang-format on

/* MACVLAN, IPVLAN ----------------------------------------------------------------------------- */

/* A list of link-layer addresses: all of them, or (row->mask) some more or less. */
static int encode_macaddrs(struct codec_enc *enc, const struct codec_row *row)
{
    static const struct codec_row one = LLADDR("macaddr", IFLA_MACVLAN_MACADDR);
    size_t mark;
    int n, err = 0;

    codec_put_u32(&enc->m, IFLA_MACVLAN_MACADDR_MODE, row->mask);
    if (row->mask != MACVLAN_MACADDR_SET)
        return codec_encode_value(enc, &one);
    if (lua_type(enc->L, -1) != LUA_TTABLE)
        return codec_bad(enc, row->key, "a list of link-layer addresses");
    n = (int)lua_rawlen(enc->L, -1);
    mark = codec_nest(&enc->m, IFLA_MACVLAN_MACADDR_DATA | NLA_F_NESTED);
    for (int i = 1; !err && i <= n; i++) {
        lua_rawgeti(enc->L, -1, i);
        err = codec_encode_value(enc, &one);
        lua_pop(enc->L, 1);
    }
    codec_nest_end(&enc->m, mark);
    return err;
}

static void decode_macaddrs(struct codec_dec *dec, const struct codec_row *row, struct nlattr *list)
{
    struct nlattr *a;
    lua_Integer n = 0;
    int left;

    lua_newtable(dec->L);
    nla_for_each_nested(a, list, left)
    {
        codec_push_lladdr(dec->L, nla_data(a), nla_len(a));
        lua_rawseti(dec->L, -2, ++n);
    }
    if (n)
        codec_set_name(dec, row->key);
    else
        lua_pop(dec->L, 1);
}
static const struct codec_custom macaddrs = {encode_macaddrs, decode_macaddrs};

static const struct codec_name macvlan_modes[] = {{MACVLAN_MODE_PRIVATE, "private"},
                                                  {MACVLAN_MODE_VEPA, "vepa"},
                                                  {MACVLAN_MODE_BRIDGE, "bridge"},
                                                  {MACVLAN_MODE_PASSTHRU, "passthru"},
                                                  {MACVLAN_MODE_SOURCE, "source"}};
static const struct codec_names names_macvlan_mode = NAMES("a mode of macvlan", macvlan_modes);

static const struct codec_name ipvlan_modes[] = {{0, "l2"}, {1, "l3"}, {2, "l3s"}};
static const struct codec_names names_ipvlan_mode = NAMES("a mode of ipvlan", ipvlan_modes);

static const struct codec_name ipvlan_flags[] = {{0, "bridge"}, {1, "private"}, {2, "vepa"}};
static const struct codec_names names_ipvlan_flags = NAMES("who may talk to whom", ipvlan_flags);

// clang-format off
static const struct codec_row macvlan_rows[] = {
    ENUM("mode", IFLA_MACVLAN_MODE, 4, &names_macvlan_mode),
    BIT("nopromisc", IFLA_MACVLAN_FLAGS, 2, MACVLAN_FLAG_NOPROMISC, .flags = ROW_NZ),
    BIT("nodst", IFLA_MACVLAN_FLAGS, 2, MACVLAN_FLAG_NODST, .flags = ROW_NZ),
    CUSTOM("macaddr_add", IFLA_MACVLAN_MACADDR, &macaddrs, .mask = MACVLAN_MACADDR_ADD, .flags = ROW_WO),
    CUSTOM("macaddr_del", IFLA_MACVLAN_MACADDR, &macaddrs, .mask = MACVLAN_MACADDR_DEL, .flags = ROW_WO),
    CUSTOM("macaddr", IFLA_MACVLAN_MACADDR_DATA, &macaddrs, .mask = MACVLAN_MACADDR_SET),
    U32("bcqueuelen", IFLA_MACVLAN_BC_QUEUE_LEN),
    U32("bcqueuelen_used", IFLA_MACVLAN_BC_QUEUE_LEN_USED, .flags = ROW_RO),
    S32("bclim", MACVLAN_BC_CUTOFF),
};
struct codec_schema macvlan_schema = SCHEMA("macvlan", macvlan_rows, 0);

static const struct codec_row ipvlan_rows[] = {
    ENUM("mode", IFLA_IPVLAN_MODE, 2, &names_ipvlan_mode),
    ENUM("flags", IFLA_IPVLAN_FLAGS, 2, &names_ipvlan_flags),
};
struct codec_schema ipvlan_schema = SCHEMA("ipvlan", ipvlan_rows, 0);
// clang-format on

/* MACsec, HSR -----------------------------------------------------------------------------------
 */

/* A secure channel's identifier: 16 hexadecimal digits. */
static int encode_sci(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "16 hexadecimal digits such as \"0200000000010001\"";
    const char *text = codec_text(enc, row->key, wanted);
    uint64_t sci;

    if (!text)
        return -EINVAL;
    if (strlen(text) != 16 || strspn(text, "0123456789abcdefABCDEF") != 16)
        return codec_bad(enc, row->key, wanted);
    sci = htobe64(strtoull(text, NULL, 16));
    codec_put(&enc->m, row->attr, &sci, sizeof(sci));
    return 0;
}

static void decode_sci(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    char text[17];
    uint64_t sci;

    if (nla_len(a) < 8)
        return;
    memcpy(&sci, nla_data(a), sizeof(sci));
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)be64toh(sci));
    lua_pushstring(dec->L, text);
    codec_set_name(dec, row->key);
}
static const struct codec_custom sci = {encode_sci, decode_sci};

static const struct codec_name ciphers[] = {
    {(int64_t)MACSEC_CIPHER_ID_GCM_AES_128, "gcm-aes-128"},
    {(int64_t)MACSEC_DEFAULT_CIPHER_ID, "default"},
    {(int64_t)MACSEC_CIPHER_ID_GCM_AES_256, "gcm-aes-256"},
    {(int64_t)MACSEC_CIPHER_ID_GCM_AES_XPN_128, "gcm-aes-xpn-128"},
    {(int64_t)MACSEC_CIPHER_ID_GCM_AES_XPN_256, "gcm-aes-xpn-256"}};
static const struct codec_names names_cipher = NAMES("a cipher of MACsec", ciphers);

static const struct codec_name validations[] = {{0, "disabled"}, {1, "check"}, {2, "strict"}};
static const struct codec_names names_validation = NAMES("how frames are validated", validations);

static const struct codec_name offloads[] = {{0, "off"}, {1, "phy"}, {2, "mac"}};
static const struct codec_names names_offload = NAMES("where MACsec is done", offloads);

// clang-format off
static const struct codec_row macsec_rows[] = {
    CUSTOM("sci", IFLA_MACSEC_SCI, &sci),
    U16("port", IFLA_MACSEC_PORT, .min = 1, .flags = ROW_BE | ROW_WO),
    U8("icvlen", IFLA_MACSEC_ICV_LEN, .min = 8, .max = 16),
    ENUM("cipher", IFLA_MACSEC_CIPHER_SUITE, 8, &names_cipher),
    U32("window", IFLA_MACSEC_WINDOW),
    U8("encodingsa", IFLA_MACSEC_ENCODING_SA, .max = 3),
    BOOL("encrypt", IFLA_MACSEC_ENCRYPT, 1),
    BOOL("protect", IFLA_MACSEC_PROTECT, 1),
    BOOL("send_sci", IFLA_MACSEC_INC_SCI, 1),
    BOOL("end_station", IFLA_MACSEC_ES, 1),
    BOOL("scb", IFLA_MACSEC_SCB, 1),
    BOOL("replay", IFLA_MACSEC_REPLAY_PROTECT, 1),
    ENUM("validate", IFLA_MACSEC_VALIDATION, 1, &names_validation),
    ENUM("offload", IFLA_MACSEC_OFFLOAD, 1, &names_offload),
};
struct codec_schema macsec_schema = SCHEMA("macsec", macsec_rows, 0);

static const struct codec_row hsr_rows[] = {
    DEV("slave1", IFLA_HSR_SLAVE1),
    DEV("slave2", IFLA_HSR_SLAVE2),
    DEV("interlink", HSR_INTERLINK),
    U8("supervision", IFLA_HSR_MULTICAST_SPEC),
    LLADDR("supervision_addr", IFLA_HSR_SUPERVISION_ADDR, .flags = ROW_RO),
    U16("seq_nr", IFLA_HSR_SEQ_NR, .flags = ROW_RO),
    U8("version", IFLA_HSR_VERSION, .max = 1),
    U8("proto", IFLA_HSR_PROTOCOL, .max = 1),
};
struct codec_schema hsr_schema = SCHEMA("hsr", hsr_rows, 0);
// clang-format on

/* `supervision` is the last byte of the address that the kernel lists. */
void hsr_decoded(struct codec_dec *dec)
{
    const char *address;

    if (!codec_field(dec->L, lua_gettop(dec->L), "supervision_addr"))
        return;
    address = lua_tostring(dec->L, -1);
    lua_pop(dec->L, 1);
    if (strlen(address) == 17) {
        lua_pushinteger(dec->L, strtol(address + 15, NULL, 16));
        codec_set_name(dec, "supervision");
    }
}

/* The kernel leaves out the flags where none is set; one of them is, where nothing is said. */
void vlan_decoded(struct codec_dec *dec)
{
    if (codec_field(dec->L, lua_gettop(dec->L), "reorder_hdr")) {
        lua_pop(dec->L, 1);
        return;
    }
    lua_pushboolean(dec->L, 0);
    codec_set_name(dec, "reorder_hdr");
}

/* Without send_sci the kernel takes no identifier, but the port that was made part of it. */
void macsec_decoded(struct codec_dec *dec)
{
    const char *id = NULL;
    bool sent = true;

    if (codec_field(dec->L, lua_gettop(dec->L), "send_sci")) {
        sent = lua_toboolean(dec->L, -1);
        lua_pop(dec->L, 1);
    }
    if (sent || !codec_field(dec->L, lua_gettop(dec->L), "sci"))
        return;
    id = lua_tostring(dec->L, -1);
    lua_pop(dec->L, 1);
    lua_pushinteger(dec->L, strtol(id + 12, NULL, 16));
    codec_set_name(dec, "port");
    kind_forget(dec, "sci");
}

/* VRF, netkit ------------------------------------------------------------------------------------
 */

static const struct codec_name netkit_modes[] = {{0, "l2"}, {1, "l3"}};
static const struct codec_names names_netkit_mode = NAMES("a mode of netkit", netkit_modes);

static const struct codec_name policies[] = {{0, "forward"}, {2, "blackhole"}};
static const struct codec_names names_policy = NAMES("a policy of netkit", policies);

static const struct codec_name scrubs[] = {{0, "none"}, {1, "default"}};
static const struct codec_names names_scrub = NAMES("what is scrubbed off packets", scrubs);

// clang-format off
static const struct codec_row vrf_rows[] = {
    ENUM("table", IFLA_VRF_TABLE, 4, &names_table),
};
struct codec_schema vrf_schema = SCHEMA("vrf", vrf_rows, 0);

static const struct codec_row vrf_port_rows[] = {
    ENUM("table", IFLA_VRF_PORT_TABLE, 4, &names_table, .flags = ROW_RO),
};
struct codec_schema vrf_port_schema = SCHEMA("vrf_slave", vrf_port_rows, 0);

static const struct codec_row netkit_rows[] = {
    BOOL("primary", NETKIT_PRIMARY, 1, .flags = ROW_RO),
    ENUM("policy", NETKIT_POLICY, 4, &names_policy),
    ENUM("peer_policy", NETKIT_PEER_POLICY, 4, &names_policy),
    ENUM("mode", NETKIT_MODE, 4, &names_netkit_mode),
    ENUM("scrub", NETKIT_SCRUB, 4, &names_scrub),
    ENUM("peer_scrub", NETKIT_PEER_SCRUB, 4, &names_scrub),
    U16("headroom", NETKIT_HEADROOM, .flags = ROW_NZ),
    U16("tailroom", NETKIT_TAILROOM, .flags = ROW_NZ),
};
struct codec_schema netkit_schema = SCHEMA("netkit", netkit_rows, 0);
// clang-format on
