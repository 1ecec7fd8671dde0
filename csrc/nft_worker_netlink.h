/* SPDX-License-Identifier: MIT
 * The worker's own conversation with nf_tables, beside libnftables. */
#ifndef NETNS_NFT_WORKER_NETLINK_H
#define NETNS_NFT_WORKER_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

/* A netfilter socket in the current namespace, numbered `lowest` or higher; with `listen`, it gets
 * the events. -errno. */
int nfnl_open(bool listen, int lowest);
/* Append to the file `out` those queued events that came from the socket with this port and tell of
 * new tables (and rules). 0 or -errno: -ENOBUFS where some were lost. */
int nfnl_collect(int sock, uint32_t portid, bool rules, int out);
/* Append all tables, chains, sets and flowtables, as messages of the NEW kind. 0 or -errno. */
int nfnl_dump(int sock, int out);

#endif
