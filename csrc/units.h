/* SPDX-License-Identifier: MIT
 * Times, rates, sizes and shares as tc(8) writes them, and their shortest exact numbers. */
#ifndef NETNS_UNITS_H
#define NETNS_UNITS_H

#include <stdbool.h>
#include <stdint.h>

enum units_kind { UNITS_TIME, UNITS_RATE, UNITS_SIZE, UNITS_SHARE };

/* "10ms" -> 0.01 (seconds), "1mbit" -> 1e6 (bit/s), "10k" -> 10240 (bytes), "1%" -> 0.01. Without
 * a unit a time is in microseconds and a share in percent, as tc has it. False: no such value. */
bool units_parse(const char *text, enum units_kind kind, double *out);

/* `value` units of `ns` nanoseconds in seconds. */
double units_seconds(uint64_t value, uint32_t ns);
/* value / full with as few decimals as give the value again. */
double units_fraction(uint64_t value, uint64_t full);

#endif
