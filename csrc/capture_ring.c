/* SPDX-License-Identifier: MIT
 * A ring of packets of any length, in which the newest drives the oldest out.
 *
 * Theory of operation: packets lie one behind the other, none is cut in two. They fill
 * [head, tail), or where tail is not behind head, [head, wrap) and then [0, tail). */
#include <string.h>

#include "capture.h"

static const struct capture_packet *at(const struct capture_ring *ring, size_t offset)
{
    return (const struct capture_packet *)(ring->data + offset);
}

static void evict(struct capture_ring *ring)
{
    ring->head += capture_size(at(ring, ring->head)->captured);
    if (ring->head == ring->wrap) {
        ring->head = 0;
        ring->wrap = ring->size;
    }
    ring->evicted++;
    if (--ring->count == 0)
        ring->head = ring->tail = 0;
}

/* Make room at tail for need bytes, which is at most the ring's size. */
static void make_room(struct capture_ring *ring, size_t need)
{
    for (;;) {
        if (ring->count == 0) {
            ring->head = ring->tail = 0;
            ring->wrap = ring->size;
            return;
        }
        if (ring->tail > ring->head) {
            if (ring->size - ring->tail >= need)
                return;
            ring->wrap = ring->tail;
            ring->tail = 0;
        }
        if (ring->head - ring->tail >= need)
            return;
        evict(ring);
    }
}

int ring_push(struct capture_ring *ring, size_t size, const struct capture_packet *p)
{
    struct capture_packet head = *p;

    if (!ring->data) {
        ring->data = malloc(size);
        if (!ring->data)
            return -ENOMEM;
        ring->size = ring->wrap = size;
    }
    if (capture_size(head.captured) > size)
        head.captured = (uint32_t)(size - sizeof(head));
    make_room(ring, capture_size(head.captured));
    memcpy(ring->data + ring->tail, &head, sizeof(head));
    memcpy(ring->data + ring->tail + sizeof(head), p->data, head.captured);
    ring->tail += capture_size(head.captured);
    ring->count++;
    return 0;
}

const struct capture_packet *ring_first(const struct capture_ring *ring)
{
    return ring->count ? at(ring, ring->head) : NULL;
}

const struct capture_packet *ring_after(const struct capture_ring *ring,
                                        const struct capture_packet *p)
{
    size_t next = (size_t)((const uint8_t *)p - ring->data) + capture_size(p->captured);

    if (next == ring->tail)
        return NULL;
    return at(ring, next == ring->wrap ? 0 : next);
}

void ring_free(struct capture_ring *ring)
{
    free(ring->data);
    *ring = (struct capture_ring){0};
}
