/* SPDX-License-Identifier: MIT
 * Algorithms of xfrm's states, each with its key: { name = "cbc(aes)", key = "0x..." }. */
#include <string.h>

#include "attrs_xfrm.h"

#define KEY_MAX   512 /* bytes */
#define ALGO_NAME 63  /* bytes of a name, without NUL */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* "0x0102..." or the bytes of other text, as ip takes it. Its length, or -1. */
static int parse_key(const char *text, size_t len, unsigned char out[KEY_MAX])
{
    size_t n = 0;

    if (strncmp(text, "0x", 2) != 0) {
        if (len > KEY_MAX)
            return -1;
        memcpy(out, text, len);
        return (int)len;
    }
    for (text += 2; text[0] && n < KEY_MAX; text += 2) {
        if (hex(text[0]) < 0 || hex(text[1]) < 0)
            return -1;
        out[n++] = (unsigned char)(hex(text[0]) << 4 | hex(text[1]));
    }
    return text[0] ? -1 : (int)n;
}

/* What of an algorithm is a number of bits besides its key. */
static const char *const extra_key[] = {[XFRM_ALGO_PLAIN] = NULL,
                                        [XFRM_ALGO_TRUNC] = "trunc",
                                        [XFRM_ALGO_ICV] = "icv",
                                        [XFRM_ALGO_COMP] = NULL};

static int check_keys(struct codec_enc *enc, int idx, const struct codec_row *row)
{
    for (lua_pushnil(enc->L); lua_next(enc->L, idx); lua_pop(enc->L, 1)) {
        const char *k = lua_type(enc->L, -2) == LUA_TSTRING ? lua_tostring(enc->L, -2) : "";
        if (strcmp(k, "name") != 0 && (row->mask == XFRM_ALGO_COMP || strcmp(k, "key") != 0) &&
            (!extra_key[row->mask] || strcmp(k, extra_key[row->mask]) != 0))
            return nserr_arg(enc->e, "%s: unknown key \"%s%s.%s\"", enc->op, enc->path, row->key,
                             k);
    }
    return 0;
}

/* The name: of the table at idx, or the value itself where there is nothing else to say. */
static int encode_name(struct codec_enc *enc, int idx, const struct codec_row *row, char name[64])
{
    lua_State *L = enc->L;
    const char *text = NULL;
    size_t len = 0;

    if (row->mask == XFRM_ALGO_COMP && lua_type(L, idx) == LUA_TSTRING)
        text = lua_tolstring(L, idx, &len);
    else if (codec_field(L, idx, "name") && lua_type(L, -1) == LUA_TSTRING)
        text = lua_tolstring(L, -1, &len);
    if (!text || !len || len > ALGO_NAME || strlen(text) != len)
        return nserr_arg(enc->e,
                         "%s: %s%s.name must be the name of an algorithm, such as \"cbc(aes)\"",
                         enc->op, enc->path, row->key);
    memcpy(name, text, len);
    lua_settop(L, idx);
    return 0;
}

/* The key of the table at idx: its length in bytes, or -errno. Never shown in a message. */
static int encode_key(struct codec_enc *enc, int idx, const struct codec_row *row,
                      unsigned char key[KEY_MAX])
{
    lua_State *L = enc->L;
    const char *text = NULL;
    size_t text_len = 0;
    int len;

    if (codec_field(L, idx, "key") && lua_type(L, -1) == LUA_TSTRING)
        text = lua_tolstring(L, -1, &text_len);
    len = text ? parse_key(text, text_len, key) : -1;
    lua_settop(L, idx);
    if (len >= 0)
        return len;
    return nserr_arg(
        enc->e, "%s: %s%s.key must be a key such as \"0x0123456789abcdef\", of at most %d bytes",
        enc->op, enc->path, row->key, KEY_MAX);
}

static int encode_extra(struct codec_enc *enc, int idx, const struct codec_row *row, int64_t *extra)
{
    const char *key = extra_key[row->mask];
    int err;

    *extra = 0;
    if (!key || !codec_field(enc->L, idx, key))
        return 0;
    err = codec_integer(enc, key, 1, UINT16_MAX, extra);
    lua_pop(enc->L, err ? 0 : 1);
    return err;
}

static int encode(struct codec_enc *enc, const struct codec_row *row)
{
    struct xfrm_algo_auth a = {0};
    unsigned char key[KEY_MAX];
    int idx = lua_gettop(enc->L), len = 0, err = 0;
    bool table = lua_type(enc->L, idx) == LUA_TTABLE, comp = row->mask == XFRM_ALGO_COMP;
    size_t head = sizeof(struct xfrm_algo);
    int64_t extra = 0;
    char *at;

    if (!table && !(comp && lua_type(enc->L, idx) == LUA_TSTRING))
        return nserr_arg(
            enc->e, "%s: %s%s must be a table such as { name = \"cbc(aes)\", key = \"0x...\" }",
            enc->op, enc->path, row->key);
    if (table)
        err = check_keys(enc, idx, row);
    if (!err)
        err = encode_name(enc, idx, row, a.alg_name);
    if (!err && !comp)
        err = len = encode_key(enc, idx, row, key);
    if (err >= 0 && !comp)
        err = encode_extra(enc, idx, row, &extra);
    if (err < 0)
        return err;
    a.alg_key_len = (unsigned)len * 8;
    a.alg_trunc_len = (unsigned)extra;
    if (row->mask == XFRM_ALGO_ICV || extra)
        head = sizeof(a);
    at =
        codec_put(&enc->m, row->mask == XFRM_ALGO_TRUNC && extra ? XFRMA_ALG_AUTH_TRUNC : row->attr,
                  NULL, head + (size_t)len);
    if (at) {
        memcpy(at, &a, head);
        memcpy(at + head, key, (size_t)len);
    }
    explicit_bzero(key, sizeof(key));
    return 0;
}

static void decode(struct codec_dec *dec, const struct codec_row *row, struct nlattr *a)
{
    static const char digits[] = "0123456789abcdef";
    bool longer = nla_type(a) == XFRMA_ALG_AUTH_TRUNC || nla_type(a) == XFRMA_ALG_AEAD;
    const struct xfrm_algo_auth *algo = nla_data(a);
    int head = longer ? (int)sizeof(*algo) : (int)sizeof(struct xfrm_algo), len;
    const unsigned char *key = (const unsigned char *)nla_data(a) + head;
    char text[2 + 2 * KEY_MAX] = "0x";

    if (nla_len(a) < head || algo->alg_key_len > 8 * KEY_MAX)
        return;
    len = (int)(algo->alg_key_len + 7) / 8;
    if (len > nla_len(a) - head)
        return;
    lua_createtable(dec->L, 0, 3);
    lua_pushlstring(dec->L, algo->alg_name, strnlen(algo->alg_name, sizeof(algo->alg_name)));
    codec_set_name(dec, "name");
    if (row->mask != XFRM_ALGO_COMP) {
        for (int i = 0; i < len; i++) {
            text[2 + 2 * i] = digits[key[i] >> 4];
            text[3 + 2 * i] = digits[key[i] & 15];
        }
        lua_pushlstring(dec->L, text, 2 + 2 * (size_t)len);
        codec_set_name(dec, "key");
    }
    if (longer) {
        lua_pushinteger(dec->L, algo->alg_trunc_len);
        codec_set_name(dec, extra_key[row->mask]);
    }
    codec_set_name(dec, row->key);
}
const struct codec_custom xfrm_algo_row = {encode, decode};
