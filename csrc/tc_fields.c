/* SPDX-License-Identifier: MIT
 * Fields of packets by name, as words of 32 bits that u32 compares and pedit changes. */
#include "tc_fields.h"

#include <arpa/inet.h>
#include <linux/tc_act/tc_pedit.h>
#include <stdio.h>
#include <string.h>

#define BOTH (TC_FIELD_MATCH | TC_FIELD_EDIT)
#define ETH  TCA_PEDIT_KEY_EX_HDR_TYPE_ETH
#define IP4  TCA_PEDIT_KEY_EX_HDR_TYPE_IP4
#define IP6  TCA_PEDIT_KEY_EX_HDR_TYPE_IP6
#define TCP  TCA_PEDIT_KEY_EX_HDR_TYPE_TCP
#define UDP  TCA_PEDIT_KEY_EX_HDR_TYPE_UDP

// clang-format off
/* For u32 offsets count from the network header: ports are where they are behind a header without
 * options. */
static const struct tc_field fields[] = {
    {"eth", "dst", 0, 6, ETH, TC_FIELD_EDIT}, {"eth", "src", 6, 6, ETH, TC_FIELD_EDIT},
    {"eth", "type", 12, 2, ETH, TC_FIELD_EDIT},
    {"ip", "tos", 1, 1, IP4, BOTH}, {"ip", "dsfield", 1, 1, IP4, BOTH}, {"ip", "ttl", 8, 1, IP4, BOTH},
    {"ip", "protocol", 9, 1, IP4, BOTH}, {"ip", "src", 12, 4, IP4, BOTH}, {"ip", "dst", 16, 4, IP4, BOTH},
    {"ip", "sport", 20, 2, IP4, TC_FIELD_MATCH}, {"ip", "dport", 22, 2, IP4, TC_FIELD_MATCH},
    {"ip", "icmp_type", 20, 1, IP4, TC_FIELD_MATCH}, {"ip", "icmp_code", 21, 1, IP4, TC_FIELD_MATCH},
    {"ip6", "protocol", 6, 1, IP6, TC_FIELD_MATCH}, {"ip6", "hoplimit", 7, 1, IP6, BOTH},
    {"ip6", "src", 8, 16, IP6, BOTH}, {"ip6", "dst", 24, 16, IP6, BOTH},
    {"ip6", "sport", 40, 2, IP6, TC_FIELD_MATCH}, {"ip6", "dport", 42, 2, IP6, TC_FIELD_MATCH},
    {"tcp", "sport", 0, 2, TCP, TC_FIELD_EDIT}, {"tcp", "dport", 2, 2, TCP, TC_FIELD_EDIT},
    {"tcp", "flags", 13, 1, TCP, TC_FIELD_EDIT},
    {"udp", "sport", 0, 2, UDP, TC_FIELD_EDIT}, {"udp", "dport", 2, 2, UDP, TC_FIELD_EDIT},
};
// clang-format on

const struct tc_field *tc_field_parse(const char **text, int use)
{
    char name[32];

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        int len = snprintf(name, sizeof(name), "%s %s ", fields[i].header, fields[i].name);
        if (!(fields[i].uses & use) || strncmp(*text, name, (size_t)len) != 0)
            continue;
        *text += len;
        return &fields[i];
    }
    return NULL;
}

int tc_words(int offset, int size, const uint8_t *value, const uint8_t *mask,
             struct tc_word words[TC_WORDS_MAX])
{
    int n = 0;

    for (int i = 0; i < size; i++) {
        int at = offset + i;
        if (n == 0 || words[n - 1].offset != (at & ~3)) {
            if (n == TC_WORDS_MAX)
                break;
            words[n++] = (struct tc_word){.offset = at & ~3};
        }
        words[n - 1].value[at & 3] = value[i] & mask[i];
        words[n - 1].mask[at & 3] = mask[i];
    }
    return n;
}

static bool parse_mac(const char *text, uint8_t out[6])
{
    unsigned b[6];
    int len = 0;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &len) !=
            6 ||
        text[len])
        return false;
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)b[i];
    return true;
}

static bool parse_number(const char *text, int size, uint8_t *out)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);

    if (end == text || *end || *text == '-' || (size < 8 && value >> (8 * size)))
        return false;
    for (int i = 0; i < size; i++)
        out[i] = (uint8_t)(size - i > 8 ? 0 : value >> (8 * (size - 1 - i)));
    return true;
}

static bool parse_address(char *text, int size, uint8_t value[16], uint8_t mask[16])
{
    char *slash = strchr(text, '/'), *end = NULL;
    long len = 8 * size;

    if (slash) {
        *slash = '\0';
        len = strtol(slash + 1, &end, 10);
        if (end == slash + 1 || *end || len < 0 || len > 8 * size)
            return false;
    }
    if (inet_pton(size == 4 ? AF_INET : AF_INET6, text, value) != 1)
        return false;
    for (int i = 0; i < size; i++)
        mask[i] = (uint8_t)(len >= 8 * (i + 1) ? 0xff : len <= 8 * i ? 0 : 0xff00 >> (len - 8 * i));
    return true;
}

const char *tc_value_parse(const char *text, int size, uint8_t value[16], uint8_t mask[16])
{
    size_t len = strcspn(text, " ");
    char word[INET6_ADDRSTRLEN + 8];

    if (!len || len >= sizeof(word))
        return NULL;
    memcpy(word, text, len);
    word[len] = '\0';
    memset(mask, 0xff, 16);
    if ((size == 4 || size == 16) && strpbrk(word, ".:")) {
        if (!parse_address(word, size, value, mask))
            return NULL;
    } else if (size == 6 ? !parse_mac(word, value) : !parse_number(word, size, value)) {
        return NULL;
    }
    return text + len + (text[len] == ' ');
}
