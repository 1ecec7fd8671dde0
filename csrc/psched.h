/* SPDX-License-Identifier: MIT
 * The packet scheduler's arithmetic: sizes as times, tables of rates, weights of averages. */
#ifndef NETNS_PSCHED_H
#define NETNS_PSCHED_H

#include <linux/pkt_sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base.h"

/* One tick of the scheduler's clock, since Linux 2.6.31; /proc/net/psched says the same. */
#define PSCHED_TICK_NS 64

/* How long `bytes` take at `rate` (bytes/s), in ticks, rounded up as tc does it; and how many bytes
 * that is. bytes -> ticks -> bytes -> ticks gives the same ticks. */
uint32_t psched_ticks(uint64_t rate, uint64_t bytes);
uint64_t psched_bytes(uint64_t rate, uint32_t ticks);
/* Where the kernel made ticks of bytes by itself, for packets on the link that *spec describes: the
 * least number of bytes that it makes the same of. */
uint64_t psched_told_bytes(const struct tc_ratespec *spec, uint64_t rate, uint32_t ticks);

/* Fill in the cell sizes of *spec, whose rate, overhead, mpu and linklayer are there, for packets
 * of up to mtu bytes (0: 2047), and the table of how long packets take. */
void psched_table(struct tc_ratespec *spec, uint32_t mtu, uint32_t table[256]);

/* RED's average queue length: log2 of its weight for bursts of `burst` packets of avpkt bytes
 * between the thresholds; log2 of the step of probability; the table of idle times. Each -1 where
 * the numbers do not go together. */
int psched_red_weight(uint32_t qmin, uint32_t burst, uint32_t avpkt);
int psched_red_slope(uint32_t qmin, uint32_t qmax, double probability);
int psched_red_idle(int wlog, uint32_t avpkt, uint64_t rate, uint8_t table[256]);

/* The table of delays NAME.dist of iproute2 ($TC_LIB_DIR or /usr/lib/tc), in *list (malloc'ed): how
 * many, or -errno. `path` is the file that was, or should have been, read. */
int psched_distribution(const char *name, int16_t **list, char path[256]);

#endif
