/* SPDX-License-Identifier: MIT
 * Growable bytes. */
#include <string.h>

#include "base.h"

int bytes_reserve(struct bytes *b, size_t more)
{
    size_t cap = b->cap ? b->cap : 4096;
    char *data;

    if (more > SIZE_MAX / 2 - b->len)
        return -ENOMEM;
    while (cap < b->len + more)
        cap *= 2;
    if (cap == b->cap)
        return 0;
    data = realloc(b->data, cap);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int bytes_append(struct bytes *b, const void *data, size_t len)
{
    int err = bytes_reserve(b, len);

    if (err)
        return err;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

void bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}
