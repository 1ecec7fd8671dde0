/* SPDX-License-Identifier: MIT
 * Times, rates, sizes and shares as tc(8) writes them. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base.h"
#include "units.h"

struct suffix {
    const char *text;
    double factor;
};

#define KI 1024.0

static const struct suffix times[] = {
    {"", 1e-6},     {"s", 1},        {"sec", 1},     {"secs", 1},    {"ms", 1e-3},
    {"msec", 1e-3}, {"msecs", 1e-3}, {"us", 1e-6},   {"usec", 1e-6}, {"usecs", 1e-6},
    {"ns", 1e-9},   {"nsec", 1e-9},  {"nsecs", 1e-9}};

static const struct suffix rates[] = {
    {"", 1},
    {"bit", 1},
    {"kbit", 1e3},
    {"mbit", 1e6},
    {"gbit", 1e9},
    {"tbit", 1e12},
    {"kibit", KI},
    {"mibit", KI *KI},
    {"gibit", KI *KI *KI},
    {"tibit", KI *KI *KI *KI},
    {"bps", 8},
    {"kbps", 8e3},
    {"mbps", 8e6},
    {"gbps", 8e9},
    {"tbps", 8e12},
    {"kibps", 8 * KI},
    {"mibps", 8 * KI *KI},
    {"gibps", 8 * KI *KI *KI},
    {"tibps", 8 * KI *KI *KI *KI},
};

static const struct suffix sizes[] = {
    {"", 1},
    {"b", 1},
    {"k", KI},
    {"kb", KI},
    {"m", KI *KI},
    {"mb", KI *KI},
    {"g", KI *KI *KI},
    {"gb", KI *KI *KI},
    {"kbit", KI / 8},
    {"mbit", KI *KI / 8},
    {"gbit", KI *KI *KI / 8},
};

static const struct suffix shares[] = {{"", 0.01}, {"%", 0.01}};

static const struct {
    const struct suffix *list;
    size_t count;
} suffixes[] = {[UNITS_TIME] = {times, ARRAY_LEN(times)},
                [UNITS_RATE] = {rates, ARRAY_LEN(rates)},
                [UNITS_SIZE] = {sizes, ARRAY_LEN(sizes)},
                [UNITS_SHARE] = {shares, ARRAY_LEN(shares)}};

/* Digits with perhaps a point among them: strtod would follow the host's locale. */
static const char *read_number(const char *p, double *out)
{
    const char *start = p;
    double value = 0, digits = 0, scale = 1;

    for (; *p >= '0' && *p <= '9'; p++, digits++)
        value = value * 10 + (*p - '0');
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, digits++, scale *= 10)
            value = value * 10 + (*p - '0');
    *out = value / scale;
    return digits ? p : start;
}

bool units_parse(const char *text, enum units_kind kind, double *out)
{
    double value;
    const char *rest = read_number(text, &value);

    if (rest == text)
        return false;
    while (*rest == ' ')
        rest++;
    for (size_t i = 0; i < suffixes[kind].count; i++) {
        double factor = suffixes[kind].list[i].factor;

        if (strcasecmp(rest, suffixes[kind].list[i].text) != 0)
            continue;
        /* a division is exact where the reciprocal is not: 10 / 1000, not 10 * 0.001 */
        *out = factor < 1 && kind != UNITS_SIZE ? value / round(1 / factor) : value * factor;
        return true;
    }
    return false;
}

double units_seconds(uint64_t value, uint32_t ns)
{
    return (double)value * ns / 1e9;
}

double units_fraction(uint64_t value, uint64_t full)
{
    for (double scale = 1; scale < 1e15; scale *= 10) {
        double short_form = round((double)value / (double)full * scale) / scale;

        if (rint(short_form * (double)full) == (double)value)
            return short_form;
    }
    return (double)value / (double)full;
}
