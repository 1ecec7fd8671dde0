/* SPDX-License-Identifier: MIT
 * Writing pcapng files (draft-ietf-opsawg-pcapng): one section, any number of interfaces. No Lua
 * here. */
#ifndef NETNS_PCAPNG_H
#define NETNS_PCAPNG_H

#include "capture.h"

struct pcapng {
    int fd;           /* -1: none */
    struct bytes out; /* not written yet */
    int failed;       /* -errno, from the first write that failed on */
    char path[4096];
};

/* Make the file (or empty it) and write what comes before all packets: the section and an
 * interface for each source. */
int pcapng_open(struct pcapng *f, const char *path, const struct capture *c, struct nserr *e);
/* Each gives 0 or -errno; after a failure nothing more is written. */
int pcapng_packet(struct pcapng *f, const struct capture_packet *p);
int pcapng_statistics(struct pcapng *f, const struct capture *c);
int pcapng_flush(struct pcapng *f);
void pcapng_close(struct pcapng *f);

#endif
