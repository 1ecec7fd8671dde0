/* SPDX-License-Identifier: MIT
 * The network sysctls of a namespace, below /proc/sys/net (proc_sys_net(5)). */
#ifndef NETNS_SYSCTL_H
#define NETNS_SYSCTL_H

#include "error.h"

/* `path` is below /proc/sys: "net/ipv4/ip_forward". */

/* The value without its last newline, put into `out` (emptied first; no NUL at its end). */
int sysctl_read(int nsfd, const char *path, struct bytes *out, struct nserr *e);
int sysctl_write(int nsfd, const char *path, const char *value, size_t len, struct nserr *e);
/* All files below the directory, in no order: path NUL value NUL, path NUL value NUL ... Values
 * that cannot be read are left out. */
int sysctl_list(int nsfd, const char *path, struct bytes *out, struct nserr *e);

#endif
