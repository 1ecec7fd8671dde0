/* SPDX-License-Identifier: MIT
 * Filling the error value; names of errnos; the nearest spelling. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "error.h"

/* EMFILE is about a limit the user can raise: name it. */
static void explain_fd_limit(struct nserr *e)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        snprintf(e->kernel, sizeof(e->kernel),
                 "RLIMIT_NOFILE is %llu (hard limit %llu); raise it with `ulimit -n`",
                 (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
}

int nserr_sys(struct nserr *e, int code, const char *op, const char *object, ...)
{
    va_list ap;

    *e = (struct nserr){.code = code};
    if (code == EMFILE)
        explain_fd_limit(e);
    snprintf(e->op, sizeof(e->op), "%s", op);
    if (object) {
        va_start(ap, object);
        vsnprintf(e->object, sizeof(e->object), object, ap);
        va_end(ap);
    }
    return -code;
}

int nserr_arg(struct nserr *e, const char *fmt, ...)
{
    va_list ap;

    *e = (struct nserr){.misuse = true};
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static void fill(char *field, size_t size, const char *value)
{
    if (!*field && value)
        snprintf(field, size, "%s", value);
}

void nserr_context(struct nserr *e, const char *op, const char *object, const char *netns)
{
    fill(e->op, sizeof(e->op), op);
    fill(e->object, sizeof(e->object), object);
    fill(e->netns, sizeof(e->netns), netns);
}

const char *nserr_name(int code)
{
    const char *name = strerrorname_np(code);

    return name ? name : "unknown errno";
}

/* Levenshtein distance of two short words; long ones count as far apart. */
static size_t distance(const char *a, const char *b)
{
    size_t row[33], la = strlen(a), lb = strlen(b);

    if (la >= ARRAY_LEN(row) || lb >= ARRAY_LEN(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

const char *nserr_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t limit = strlen(word) / 3 + 1, best = limit + 1;

    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, candidates[i]);
        if (d < best && (d < 2 || candidates[i][0] == *word)) {
            best = d;
            nearest = candidates[i];
        }
    }
    return nearest;
}

const char *nserr_hint(char *buf, size_t size, const char *word, const char *const *candidates,
                       size_t count)
{
    const char *nearest = nserr_nearest(word, candidates, count);

    *buf = '\0';
    if (nearest)
        snprintf(buf, size, " (did you mean \"%s\"?)", nearest);
    return buf;
}
