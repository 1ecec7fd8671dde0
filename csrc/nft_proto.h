/* SPDX-License-Identifier: MIT
 * What the host process and the firewall worker say to each other.
 *
 * One SOCK_SEQPACKET socketpair; the worker first sends a hello, then answers each request with
 * one reply. A request carries NFT_PROTO_FDS descriptors in the order of enum nft_proto_fd. */
#ifndef NETNS_NFT_PROTO_H
#define NETNS_NFT_PROTO_H

#include <stdint.h>

#define NFT_PROTO_MAGIC 0x6e667731u

/* The worker's own descriptors, as it finds them. */
enum { NFT_WORKER_SOCKET = 3, NFT_WORKER_HOST = 4, NFT_WORKER_FDS };

enum nft_proto_fd {
    NFT_FD_NETNS, /* where to work */
    NFT_FD_CWD,   /* what relative includes are relative to */
    NFT_FD_TEXT,  /* memfd: the commands */
    NFT_FD_OUT,   /* memfd: what was listed or created */
    NFT_FD_ERR,   /* memfd: error messages */
    NFT_FD_STATE, /* memfd: messages of nf_tables that NFT_RUN_EVENTS and _DUMP ask for */
    NFT_PROTO_FDS
};

/* How a job is run; NFT_RUN_ECHO asks for what was created. */
enum {
    NFT_RUN_JSON = 1 << 0,
    NFT_RUN_ECHO = 1 << 1,
    NFT_RUN_HANDLE = 1 << 2,
    NFT_RUN_CHECK = 1 << 3,
    NFT_RUN_TERSE = 1 << 4,
    NFT_RUN_STATELESS = 1 << 5,
    NFT_RUN_NUMERIC = 1 << 6,
    NFT_RUN_EVENTS = 1 << 7, /* tell which tables were made */
    NFT_RUN_RULES = 1 << 8,  /* ... and which rules */
    NFT_RUN_DUMP = 1 << 9,   /* tell all tables, chains, sets and flowtables, afterwards */
};

struct nft_proto_request {
    uint32_t magic;
    uint32_t flags; /* NFT_RUN_* */
};

/* The host leaves the position of NFT_FD_TEXT, which both share, here; the worker moves it to 0
 * when it has taken the request. So a request that was never begun can be told. */
#define NFT_TEXT_WAITING 0x776169746c

/* What kept the worker from running the commands. */
enum nft_proto_stage { NFT_STAGE_DONE, NFT_STAGE_ENTER, NFT_STAGE_PREPARE };

struct nft_proto_reply {
    uint32_t magic;
    uint32_t stage;   /* enum nft_proto_stage; NFT_STAGE_DONE: the commands were run */
    int32_t code;     /* errno of the stage that failed */
    int32_t failed;   /* the commands were refused; the messages are in NFT_FD_ERR */
    uint32_t no_echo; /* echo was asked for, but the answer would not have fitted the socket */
    uint32_t retire;  /* grown too big: to be replaced before the next request */
    int32_t state;    /* 0, or -errno: what NFT_FD_STATE has is not all */
    uint64_t rss;     /* bytes */
};

#endif
