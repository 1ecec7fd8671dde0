/* SPDX-License-Identifier: MIT
 * Texts, names of links, addresses and prefixes: Lua values to attributes and header fields. */
#include <inttypes.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "codec_index.h"

#define LLADDR_MAX  32
#define ALTNAME_MAX 127

static int encode_str(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "a string");
    size_t len;

    if (!text)
        return -EINVAL;
    len = strlen(text);
    if (row->max && len > (size_t)row->max)
        return codec_bad(enc, row->key, "at most %" PRId64 " bytes long", row->max);
    codec_put(&enc->m, row->attr, text, len + 1);
    return 0;
}

/* max: IFNAMSIZ - 1 for a name, more where an alternative name will do. */
static const char *ifname(struct codec_enc *enc, const char *key, size_t max)
{
    const char *text = codec_text(enc, key, "the name of an interface");
    size_t len;

    if (!text)
        return NULL;
    len = strlen(text);
    if (len == 0 || len > max || !strcmp(text, ".") || !strcmp(text, "..") ||
        strpbrk(text, "/:% \t\n\v\f\r")) { /* %: to the kernel, a pattern to make names from */
        codec_bad(enc, key, "1 to %zu bytes without spaces, \"/\", \":\" or \"%%\"", max);
        return NULL;
    }
    return text;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Bytes of the link-layer addresses that there are: of an IPv4 tunnel, Ethernet, AX.25, FireWire,
 * an IPv6 tunnel, InfiniBand. */
static bool is_lladdr_len(size_t n)
{
    return n == 4 || n == 6 || n == 7 || n == 8 || n == 16 || n == 20;
}

static int encode_lladdr(struct codec_enc *enc, const struct codec_row *row)
{
    const char *p = codec_text(enc, row->key, "a link-layer address");
    unsigned char bytes[LLADDR_MAX];
    size_t n = 0;

    if (!p)
        return -EINVAL;
    while (n < LLADDR_MAX && hex_digit(p[0]) >= 0 && hex_digit(p[1]) >= 0) {
        bytes[n++] = (unsigned char)(hex_digit(p[0]) << 4 | hex_digit(p[1]));
        p += 2;
        if (*p != ':')
            break;
        p++;
    }
    if (!is_lladdr_len(n) || *p || p[-1] == ':')
        return codec_bad(enc, row->key, "a link-layer address such as \"02:00:00:00:00:01\"");
    codec_put(&enc->m, row->attr, bytes, n);
    return 0;
}

static int encode_ip(struct codec_enc *enc, const struct codec_row *row)
{
    const char *text = codec_text(enc, row->key, "an IP address");
    unsigned char addr[16];
    int family, err = 0;

    if (!text)
        return -EINVAL;
    family = codec_parse_ip(text, addr);
    if (!family)
        return codec_bad(enc, row->key, "an IP address");
    if (row->type == CODEC_IP4 && family != AF_INET)
        return codec_bad(enc, row->key, "an IPv4 address");
    if (row->type == CODEC_IP6 && family != AF_INET6)
        return codec_bad(enc, row->key, "an IPv6 address");
    if (row->type == CODEC_IP)
        err = codec_family(enc, row->key, family);
    if (!err)
        codec_put(&enc->m, row->attr, addr, family == AF_INET ? 4 : 16);
    return err;
}

/* "10.0.0.0/24" -> family, bytes, length (without "/": the whole address). */
int codec_parse_prefix(const char *text, unsigned char addr[16], int *len)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    int family;

    if (n >= sizeof(host))
        return 0;
    memcpy(host, text, n);
    host[n] = '\0';
    family = codec_parse_ip(host, addr);
    *len = family == AF_INET ? 32 : 128;
    if (family && slash) {
        char *end;
        long value = strtol(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end || value > *len)
            return 0;
        *len = (int)value;
    }
    return family;
}

static bool means_any(const char *text)
{
    return !strcmp(text, "default") || !strcmp(text, "all") || !strcmp(text, "any");
}

static int encode_prefix(struct codec_enc *enc, const struct codec_row *row)
{
    static const char wanted[] = "a prefix such as \"10.0.0.0/24\" or \"2001:db8::/64\"";
    const char *text = codec_text(enc, row->key, wanted);
    unsigned char addr[16];
    int family, len, err;

    if (!text)
        return -EINVAL;
    if (row->arg && means_any(text))
        return 0; /* length 0, no attribute; the family comes from elsewhere */
    family = codec_parse_prefix(text, addr, &len);
    if (!family)
        return codec_bad(enc, row->key, "%s", wanted);
    err = codec_family(enc, row->key, family);
    if (err)
        return err;
    ((uint8_t *)codec_header(enc))[row->mask] = (uint8_t)len;
    if (len || !row->arg)
        codec_put(&enc->m, row->attr, addr, family == AF_INET ? 4 : 16);
    return 0;
}

static int encode_dev(struct codec_enc *enc, const struct codec_row *row)
{
    int64_t index;
    const char *name;

    if (lua_type(enc->L, -1) == LUA_TNUMBER) {
        int err = codec_integer(enc, row->key, row->flags & ROW_ZERO ? 0 : 1, INT32_MAX, &index);
        return err ? err : codec_put_number(enc, row, index);
    }
    if (row->flags & ROW_ZERO && lua_type(enc->L, -1) == LUA_TSTRING &&
        !strcmp(lua_tostring(enc->L, -1), "none"))
        return codec_put_number(enc, row, 0);
    name = ifname(enc, row->key, ALTNAME_MAX);
    if (!name)
        return -EINVAL;
    index = enc->dev_index(enc, name);
    return index < 0 ? (int)index : codec_put_number(enc, row, index);
}

int codec_encode_text(struct codec_enc *enc, const struct codec_row *row)
{
    const char *name;

    switch ((enum codec_type)row->type) {
    case CODEC_IFNAME:
        name = ifname(enc, row->key, IFNAMSIZ - 1);
        if (!name)
            return -EINVAL;
        codec_put_str(&enc->m, row->attr, name);
        return 0;
    case CODEC_LLADDR:
        return encode_lladdr(enc, row);
    case CODEC_IP4:
    case CODEC_IP6:
    case CODEC_IP:
    case CODEC_IPANY:
        return encode_ip(enc, row);
    case CODEC_PREFIX:
        return encode_prefix(enc, row);
    case CODEC_DEV:
        return encode_dev(enc, row);
    default:
        return encode_str(enc, row);
    }
}
