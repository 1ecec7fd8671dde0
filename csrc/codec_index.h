/* SPDX-License-Identifier: MIT
 * What codec*.c know of a schema's index; nobody else includes this. */
#ifndef NETNS_CODEC_INDEX_H
#define NETNS_CODEC_INDEX_H

#include "codec.h"

#define CODEC_ATTR_MAX     255
#define CODEC_SCHEMAS_MAX  256
#define CODEC_HEADER_MAX   40
#define CODEC_DEFAULTS_MAX 4
#define CANDIDATES_MAX     256 /* words looked through for a hint */

/* A key: its own row, or the row of a nest whose keys stand in the parent's table. */
struct codec_slot {
    const char *key;
    size_t len;
    const struct codec_row *row;
    const struct codec_row *inlined; /* the INLINE row it comes by, or NULL */
};

struct codec_index {
    uint16_t base;                        /* number of the first row's key string */
    uint16_t by_attr[CODEC_ATTR_MAX + 1]; /* row number + 1 */
    const struct codec_row *listed_header[CODEC_HEADER_MAX]; /* NULL-terminated */
    const struct codec_row *defaults[CODEC_DEFAULTS_MAX];    /* prefixes with a word for none */
    int always; /* how many keys every listing has from the header */
    size_t mask;
    struct codec_slot slots[];
};

const struct codec_slot *codec_lookup(const struct codec_schema *schema, const char *key,
                                      size_t len);

/* codec_value.c: the value at the top by a row that is no nest. */
int codec_encode_scalar(struct codec_enc *enc, const struct codec_row *row);

/* codec_number.c, codec_text.c: the kinds of them. */
int codec_encode_number(struct codec_enc *enc, const struct codec_row *row);
int codec_encode_text(struct codec_enc *enc, const struct codec_row *row);

#endif
