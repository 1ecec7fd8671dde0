/* SPDX-License-Identifier: MIT
 * Fields of packets by name, as words of 32 bits that u32 compares and pedit changes. */
#ifndef NETNS_TC_FIELDS_H
#define NETNS_TC_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base.h"

enum { TC_FIELD_MATCH = 1, TC_FIELD_EDIT = 2 };

struct tc_field {
    const char *header, *name; /* "ip", "ttl" */
    uint8_t offset, size;      /* bytes, from the header's start */
    uint8_t edit_header;       /* enum pedit_header_type */
    uint8_t uses;
};

/* The field "HEADER NAME" at the start of *text, which is moved behind it and the space; or NULL.
 */
const struct tc_field *tc_field_parse(const char **text, int use);

/* A word to compare or set: bytes as they are in the packet. */
struct tc_word {
    int offset; /* a multiple of 4 */
    uint8_t value[4], mask[4];
};
#define TC_WORDS_MAX 5

/* The value and mask (size bytes each) at offset, as words; how many. */
int tc_words(int offset, int size, const uint8_t *value, const uint8_t *mask,
             struct tc_word words[TC_WORDS_MAX]);

/* A value for size bytes in text, up to a space or the end: a number, an address, a prefix (sets
 * the mask) or a link-layer address. The text behind it, or NULL. */
const char *tc_value_parse(const char *text, int size, uint8_t value[16], uint8_t mask[16]);

#endif
