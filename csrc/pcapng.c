/* SPDX-License-Identifier: MIT
 * Blocks of a pcapng file, in the machine's own byte order, as the format has it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pcapng.h"

#define FLUSH_AT (256 * 1024)

enum {
    SECTION_HEADER = 0x0a0d0d0a,
    INTERFACE_DESCRIPTION = 1,
    INTERFACE_STATISTICS = 5,
    ENHANCED_PACKET = 6,
    BYTE_ORDER_MAGIC = 0x1a2b3c4d,
};

enum { LINKTYPE_ETHERNET = 1, LINKTYPE_RAW = 101 };

enum {
    OPT_END = 0,
    SHB_OS = 3,
    SHB_USERAPPL = 4,
    IF_NAME = 2,
    IF_MACADDR = 6,
    IF_TSRESOL = 9,
    IF_FILTER = 11,
    EPB_FLAGS = 2,
    ISB_ENDTIME = 3,
    ISB_IFRECV = 4,
    ISB_IFDROP = 5,
};

/* Building blocks: what fails is remembered and ends the block. ------------------------------- */

static void put(struct pcapng *f, const void *data, size_t len)
{
    static const char zeros[4];

    if (!f->failed && bytes_append(&f->out, data, len) != 0)
        f->failed = -ENOMEM;
    if (!f->failed && len % 4 && bytes_append(&f->out, zeros, 4 - len % 4) != 0)
        f->failed = -ENOMEM;
}

static void put_u32(struct pcapng *f, uint32_t value)
{
    put(f, &value, sizeof(value));
}

static void put_u16s(struct pcapng *f, uint16_t first, uint16_t second)
{
    const uint16_t both[] = {first, second};

    put(f, both, sizeof(both));
}

/* A time in nanoseconds: the upper half, then the lower. */
static void put_time(struct pcapng *f, uint64_t ns)
{
    put_u32(f, (uint32_t)(ns >> 32));
    put_u32(f, (uint32_t)ns);
}

static void put_option(struct pcapng *f, uint16_t code, const void *data, size_t len)
{
    put_u16s(f, code, (uint16_t)len);
    put(f, data, len);
}

static size_t begin(struct pcapng *f, uint32_t type)
{
    size_t at = f->out.len;

    put_u32(f, type);
    put_u32(f, 0);
    return at;
}

/* The length stands at both ends of a block. */
static int end(struct pcapng *f, size_t at)
{
    uint32_t len = (uint32_t)(f->out.len - at + sizeof(len));

    put_u32(f, len);
    if (f->failed)
        return f->failed;
    memcpy(f->out.data + at + sizeof(len), &len, sizeof(len));
    return f->out.len >= FLUSH_AT ? pcapng_flush(f) : 0;
}

/* Blocks --------------------------------------------------------------------------------------- */

static void section(struct pcapng *f)
{
    const uint64_t unknown = UINT64_MAX; /* the section's length */
    size_t at = begin(f, SECTION_HEADER);

    put_u32(f, BYTE_ORDER_MAGIC);
    put_u16s(f, 1, 0);
    put(f, &unknown, sizeof(unknown));
    put_option(f, SHB_OS, "Linux", 5);
    put_option(f, SHB_USERAPPL, "lua-netns", 9);
    put_u32(f, OPT_END);
    end(f, at);
}

static void interface(struct pcapng *f, const struct capture_source *s, uint32_t snaplen)
{
    const uint8_t nanoseconds = 9;
    char filter[1 + sizeof(s->filter)] = {0}; /* 0: in libpcap's words */
    size_t at = begin(f, INTERFACE_DESCRIPTION), len = strlen(s->filter);

    put_u16s(f, s->first == PACKET_ETHERNET ? LINKTYPE_ETHERNET : LINKTYPE_RAW, 0);
    put_u32(f, snaplen);
    put_option(f, IF_NAME, s->name, strlen(s->name));
    if (s->has_mac)
        put_option(f, IF_MACADDR, s->mac, sizeof(s->mac));
    put_option(f, IF_TSRESOL, &nanoseconds, sizeof(nanoseconds));
    if (len) {
        memcpy(filter + 1, s->filter, len);
        put_option(f, IF_FILTER, filter, len + 1);
    }
    put_u32(f, OPT_END);
    end(f, at);
}

int pcapng_packet(struct pcapng *f, const struct capture_packet *p)
{
    const uint32_t direction = p->outgoing ? 2 : 1;
    size_t at = begin(f, ENHANCED_PACKET);

    put_u32(f, p->source);
    put_time(f, p->ns);
    put_u32(f, p->captured);
    put_u32(f, p->length);
    put(f, p->data, p->captured);
    put_option(f, EPB_FLAGS, &direction, sizeof(direction));
    put_u32(f, OPT_END);
    return end(f, at);
}

static void statistics(struct pcapng *f, const struct capture_source *s, uint64_t now)
{
    const uint32_t when[] = {(uint32_t)(now >> 32), (uint32_t)now};
    const uint64_t received = s->passed - s->rejected + s->dropped;
    size_t at = begin(f, INTERFACE_STATISTICS);

    put_u32(f, s->index);
    put_time(f, now);
    put_option(f, ISB_ENDTIME, when, sizeof(when));
    put_option(f, ISB_IFRECV, &received, sizeof(received));
    put_option(f, ISB_IFDROP, &s->dropped, sizeof(s->dropped));
    put_u32(f, OPT_END);
    end(f, at);
}

int pcapng_statistics(struct pcapng *f, const struct capture *c)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    for (unsigned i = 0; i < c->count; i++)
        statistics(f, c->sources[i], (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
    return f->failed;
}

/* The file ------------------------------------------------------------------------------------- */

int pcapng_open(struct pcapng *f, const char *path, const struct capture *c, struct nserr *e)
{
    int err;

    if (snprintf(f->path, sizeof(f->path), "%s", path) >= (int)sizeof(f->path))
        return nserr_sys(e, ENAMETOOLONG, "capture", "%.100s...", path);
    f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    if (f->fd < 0)
        return nserr_sys(e, errno, "capture", "%s", path);
    section(f);
    for (unsigned i = 0; i < c->count; i++)
        interface(f, c->sources[i], c->snaplen);
    err = pcapng_flush(f);
    return err ? nserr_sys(e, -err, "capture", "%s", path) : 0;
}

int pcapng_flush(struct pcapng *f)
{
    size_t done = 0;

    while (!f->failed && done < f->out.len) {
        ssize_t wrote = write(f->fd, f->out.data + done, f->out.len - done);

        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            f->failed = -errno;
    }
    f->out.len = 0;
    return f->failed;
}

void pcapng_close(struct pcapng *f)
{
    close_fd(&f->fd);
    bytes_free(&f->out);
}
