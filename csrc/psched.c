/* SPDX-License-Identifier: MIT
 * The packet scheduler's arithmetic: sizes as times, tables of rates, weights of averages. */
#include "psched.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_SEC UINT64_C(1000000000)

#define ATM_CELL    53
#define ATM_PAYLOAD 48

/* Times and sizes ---------------------------------------------------------------------------- */

static uint64_t clamp(unsigned __int128 value, uint64_t max)
{
    return value > max ? max : (uint64_t)value;
}

uint32_t psched_ticks(uint64_t rate, uint64_t bytes)
{
    unsigned __int128 tick = (unsigned __int128)rate * PSCHED_TICK_NS;

    if (!rate)
        return 0;
    return (uint32_t)clamp(((unsigned __int128)bytes * NS_PER_SEC + tick - 1) / tick, UINT32_MAX);
}

uint64_t psched_bytes(uint64_t rate, uint32_t ticks)
{
    return clamp((unsigned __int128)rate * PSCHED_TICK_NS * ticks / NS_PER_SEC, INT64_MAX);
}

/* The kernel multiplies by a reciprocal: bytes * mult >> shift are nanoseconds. */
static uint64_t reciprocal(uint64_t rate, int *shift)
{
    uint64_t factor = NS_PER_SEC, mult;

    for (*shift = 0;; (*shift)++) {
        mult = factor / rate;
        if (mult & UINT64_C(1) << 31 || factor & UINT64_C(1) << 63)
            return mult;
        factor <<= 1;
    }
}

uint64_t psched_told_bytes(const struct tc_ratespec *spec, uint64_t rate, uint32_t ticks)
{
    unsigned __int128 ns = (unsigned __int128)ticks * PSCHED_TICK_NS;
    uint64_t mult, size;
    int shift;

    if (!rate || !ticks)
        return 0;
    mult = reciprocal(rate, &shift);
    if (!mult)
        return 0;
    size = clamp(((ns << shift) + mult - 1) / mult, INT64_MAX);
    if ((spec->linklayer & TC_LINKLAYER_MASK) == TC_LINKLAYER_ATM)
        size = (size + ATM_CELL - 1) / ATM_CELL * ATM_PAYLOAD;
    return size > spec->overhead ? size - spec->overhead : 0;
}

/* What a packet of that size takes on the wire. */
static uint32_t wire_size(const struct tc_ratespec *spec, uint32_t size)
{
    if (size < spec->mpu)
        size = spec->mpu;
    if ((spec->linklayer & TC_LINKLAYER_MASK) == TC_LINKLAYER_ATM)
        return (size + ATM_PAYLOAD - 1) / ATM_PAYLOAD * ATM_CELL;
    return size;
}

void psched_table(struct tc_ratespec *spec, uint32_t mtu, uint32_t table[256])
{
    unsigned cell_log = 0;

    if (!mtu)
        mtu = 2047;
    while (mtu >> cell_log > 255)
        cell_log++;
    spec->cell_log = (unsigned char)cell_log;
    spec->cell_align = -1;
    for (uint32_t i = 0; i < 256; i++)
        table[i] = psched_ticks(spec->rate, wire_size(spec, (i + 1) << cell_log));
}

/* Random early detection ----------------------------------------------------------------------- */

/* The weight W for which an average that starts empty reaches qmin only after `burst` packets. */
int psched_red_weight(uint32_t qmin, uint32_t burst, uint32_t avpkt)
{
    double wait = burst + 1 - (double)qmin / avpkt, weight = 0.5;

    if (wait < 1)
        return -1;
    for (int wlog = 1; wlog < 32; wlog++, weight /= 2)
        if (wait <= (1 - pow(1 - weight, burst)) / weight)
            return wlog;
    return -1;
}

int psched_red_slope(uint32_t qmin, uint32_t qmax, double probability)
{
    int slope = 0;

    if (qmax <= qmin)
        return 0;
    probability /= qmax - qmin;
    while (probability < 1 && slope < 32) {
        probability *= 2;
        slope++;
    }
    return slope == 32 ? -1 : slope;
}

int psched_red_idle(int wlog, uint32_t avpkt, uint64_t rate, uint8_t table[256])
{
    double ticks = psched_ticks(rate, avpkt), keep = -log(1 - 1.0 / (1 << wlog)) / ticks;
    double most = keep > 0 ? 31 / keep : 0;
    int cell_log = 0;

    while (cell_log < 32 && most / exp2(cell_log) >= 512)
        cell_log++;
    if (cell_log == 32 || ticks == 0)
        return -1;
    table[0] = 0;
    for (int i = 1; i < 255; i++) {
        double shift = exp2(cell_log) * i * keep;
        table[i] = shift < 31 ? (uint8_t)shift : 31;
    }
    table[255] = 31;
    return cell_log;
}

/* Distributions ----------------------------------------------------------------------------------
 */

/* Numbers between white space; a "#" begins a remark. */
static int parse_distribution(FILE *file, int16_t *list)
{
    char line[2048];
    int count = 0;

    while (fgets(line, sizeof(line), file)) {
        char *p = line, *end;

        if (*line == '#')
            continue;
        for (long value = strtol(p, &end, 10); end != p; value = strtol(p, &end, 10)) {
            if (value < INT16_MIN || value > INT16_MAX || count == NETEM_DIST_MAX)
                return -EINVAL;
            list[count++] = (int16_t)value;
            p = end;
        }
        if (p[strspn(p, " \t\r\n")])
            return -EINVAL;
    }
    return count ? count : -EINVAL;
}

/* TC_LIB_DIR, where it is set, else where the distributions of Linux have it. */
static FILE *open_distribution(const char *name, char path[256])
{
    static const char *const folders[] = {"/usr/lib/tc", "/usr/lib64/tc", "/usr/share/tc",
                                          "/usr/lib/*/tc"};
    const char *given = getenv("TC_LIB_DIR");
    glob_t found;
    FILE *file = NULL;

    if (given) {
        snprintf(path, 256, "%s/%s.dist", given, name);
        return fopen(path, "re");
    }
    for (size_t i = 0; !file && i < ARRAY_LEN(folders); i++) {
        snprintf(path, 256, "%s/%s.dist", folders[i], name);
        if (glob(path, GLOB_NOSORT, NULL, &found) != 0)
            continue;
        snprintf(path, 256, "%s", found.gl_pathv[0]);
        globfree(&found);
        file = fopen(path, "re");
    }
    if (!file)
        snprintf(path, 256, "/usr/lib/tc/%s.dist", name);
    return file;
}

int psched_distribution(const char *name, int16_t **list, char path[256])
{
    FILE *file = open_distribution(name, path);
    int count = -ENOENT;

    *list = NULL;
    if (!file)
        return count;
    *list = calloc(NETEM_DIST_MAX, sizeof(**list));
    count = *list ? parse_distribution(file, *list) : -ENOMEM;
    fclose(file);
    if (count < 0) {
        free(*list);
        *list = NULL;
    }
    return count;
}
