/* SPDX-License-Identifier: MIT
 * The error value of the pure C core.
 *
 * Every function of the core that can fail returns 0 (or a value >= 0) or a negative errno and
 * fills a caller-owned `struct nserr`, which it leaves alone on success. The binding turns it
 * into a Lua error in one place (l_error.c). Two kinds:
 *
 *   nserr_sys  the system refused: `code` is an errno, the words are the kernel's. Becomes a
 *              netns.Error object.
 *   nserr_arg  the caller asked for something that cannot be: `text` says what was wrong and
 *              what would be right. Becomes an ordinary argument error at the caller's line. */
#ifndef NETNS_ERROR_H
#define NETNS_ERROR_H

#include <stdbool.h>

#include "base.h"

struct nserr {
    int code;         /* errno > 0; 0 for a misuse */
    bool misuse;      /* nserr_arg: only `text` counts */
    char op[48];      /* "link add", "spawn": a noun or verb of the API */
    char object[160]; /* "eth0", "10.0.0.0/24 via 10.0.0.2" */
    char netns[160];  /* which namespace, as its tostring says; "" where there is none */
    char kernel[256]; /* extended ack text, worker's words ...; "" if none */
    char attr[80];    /* the attribute the extended ack points at, by its Lua key; "" if none */
    char text[512];   /* misuse: the whole message */
};

/* Both return the negative errno to be returned at once: `return nserr_sys(e, errno, ...)`.
 * `object` may be NULL. They overwrite the whole of *e. */
int nserr_sys(struct nserr *e, int code, const char *op, const char *object, ...) PRINTF_LIKE(4, 5);
int nserr_arg(struct nserr *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Say more: op, object and namespace of an error made further down (empty ones are filled). */
void nserr_context(struct nserr *e, const char *op, const char *object, const char *netns);

/* "EEXIST" for 17; "E999" style text is returned for unknown numbers ("errno 999"). */
const char *nserr_name(int code);

/* The candidate nearest to `word` (edit distance, at most a third of its
 * length and one; from two on the first letters must agree), or NULL. */
const char *nserr_nearest(const char *word, const char *const *candidates, size_t count);

/* " (did you mean \"x\"?)" or "" into buf, which is returned. */
const char *nserr_hint(char *buf, size_t size, const char *word, const char *const *candidates,
                       size_t count);

#endif
