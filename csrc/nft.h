/* SPDX-License-Identifier: MIT
 * The host's side of the firewall worker: one session per process, any thread. No Lua here.
 *
 * Theory of operation: the worker is started at first use and serves one request at a time,
 * under a mutex. It is nobody's child that the host could meet: it is born through a process
 * that ends at once, so that no SIGCHLD comes and no wait() of the host finds it. A request is
 * sent once and never again by itself: when no reply comes, nobody can know whether the kernel
 * took it. Only one that the worker never began, because it was dead or dying, goes to the next
 * worker. A copy of the process made by fork, and a thread with other credentials or in another
 * user or mount namespace, get a worker of their own. */
#ifndef NETNS_NFT_H
#define NETNS_NFT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "nft_proto.h"

struct nft_job {
    int netns;
    const char *text;
    size_t len;
    uint32_t flags; /* NFT_RUN_* */
    double timeout; /* seconds */
};

#define NFT_WORDS_MAX 512

struct nft_result {
    int out, err, state; /* memfds, owned: what was printed, the error messages, and messages of
                            nf_tables; -1: none */
    bool failed;         /* nft refused: see err */
    bool no_echo;        /* what was created could not be told */
    int state_code;      /* errno where those messages are not all */
    bool unknown;        /* after an error: the commands may have been committed */
    char words[NFT_WORDS_MAX]; /* ... and what the worker said at its end */
};

/* Run nft commands. 0: they were run (see `failed`). -errno: they were not, or nobody knows. */
int nft_run(const struct nft_job *job, struct nft_result *result, struct nserr *e);
void nft_result_free(struct nft_result *result);

struct nft_status {
    pid_t pid;      /* 0: none is running */
    uint64_t rss;   /* bytes, after its last request */
    uint64_t runs;  /* requests served by it */
    uint64_t count; /* workers started by this process */
};
void nft_status(struct nft_status *status);
/* End the worker; the next request starts another. */
void nft_stop(void);
/* Learn where the worker's executable is: call when the library is loaded. */
void nft_locate(void);

/* nft_spawn.c: run `path` with fds as 2, NFT_WORKER_SOCKET and NFT_WORKER_HOST, as no child of
 * ours. 0 with *pid and *pidfd set, or -errno. */
struct nft_spawn {
    const char *path;
    int errors, socket, host;
    pid_t pid;
    int pidfd;
};
int nft_spawn(struct nft_spawn *spawn, struct nserr *e);

#endif
