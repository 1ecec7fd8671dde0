/* SPDX-License-Identifier: MIT
 * Small helpers shared by the pure C core: cleanup attributes, array sizes, growable bytes. */
#ifndef NETNS_BASE_H
#define NETNS_BASE_H

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* Close without disturbing errno; a negative fd is no fd. */
static inline void close_fd(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
        *fd = -1;
    }
}

/* Give an owned fd away: the variable no longer owns it. */
static inline int take_fd(int *fd)
{
    int given = *fd;
    *fd = -1;
    return given;
}

static inline void free_ptr(void *p)
{
    free(*(void **)p);
}

/* For pure C frames only: a longjmp out of a Lua call skips them. */
#define cleanup_fd   __attribute__((cleanup(close_fd)))
#define cleanup_free __attribute__((cleanup(free_ptr)))

/* Bytes that grow; `data` is malloc'ed, may be NULL while `cap` is 0. */
struct bytes {
    char *data;
    size_t len, cap;
};

/* Room for `more` bytes behind len. Returns 0 or -ENOMEM (contents unchanged). */
int bytes_reserve(struct bytes *b, size_t more);
int bytes_append(struct bytes *b, const void *data, size_t len);
void bytes_free(struct bytes *b);

#define cleanup_bytes __attribute__((cleanup(bytes_free)))

/* An entry as getdents64(2) has it, for who may not call readdir: libc has no name for it. */
struct dents_entry {
    ino64_t ino;
    off64_t off;
    unsigned short reclen;
    unsigned char type;
    char name[];
};

#endif
