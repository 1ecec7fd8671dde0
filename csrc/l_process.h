/* SPDX-License-Identifier: MIT
 * Between the parts of the Process binding. */
#ifndef NETNS_L_PROCESS_H
#define NETNS_L_PROCESS_H

#include "l_core.h"
#include "spawn.h"

#define L_PROCESS "netns.Process"
#define L_RESULT  "netns.Result"

/* A Process. User value 1: the text for its stdin. */
struct l_process {
    struct spawn_proc proc;
    struct spawn_orphans *orphans; /* the Lua state's */
    int give[3];                   /* the child's ends: while starting, and for run */
    bool captured[3];              /* by stream: there is, or was, a pipe to read from */
    bool writable;                 /* its stdin is a pipe of ours */
    bool stdin_closed;             /* ... and close_stdin was called */
    bool check;                    /* an unhappy end is an error */
    bool spared;                   /* the next __close is not for it */
    bool closed;
    char command[160]; /* argv, for messages */
    char netns[160];   /* where it runs, for messages */
};

/* l_process.c */

/* A Process with nothing in it yet, on top of the stack. */
struct l_process *l_process_new(lua_State *L);
/* End what is running within `patience` ns, let go of everything. Twice is fine. */
void l_process_end(struct l_process *p, int64_t patience);
/* Raise *e as an error of `op` on this command in its namespace. */
int l_process_raise(lua_State *L, const struct l_process *p, const char *op, struct nserr *e);

/* The Process at 1: an argument error if it is something else or closed. */
struct l_process *l_process_check(lua_State *L);
/* l_process_wait.c */

/* Let the state's hook run, by a call of nothing: it may raise. Returns the hook there was. */
lua_Hook l_process_hooks(lua_State *L);
/* One round of spawn_pump after that, none where a signal handler has set another hook since. As
 * spawn_pump, but 1 for -EINTR; never raises. */
int l_process_round(lua_State *L, struct spawn_proc *proc, lua_Hook hook, int64_t until,
                    struct nserr *e);
/* Both; errors are raised. False: `until` has come. */
bool l_process_pump(lua_State *L, struct l_process *p, const char *op, int64_t until);
/* Seconds from now at idx, on spawn_now's clock; nil: for ever. */
int64_t l_process_until(lua_State *L, int idx);

/* l_process_io.c: methods */
int l_process_read(lua_State *L);
int l_process_write(lua_State *L);
int l_process_close_stdin(lua_State *L);

/* l_process_opts.c */

/* What one of the three standard streams is to be. */
struct l_stdio {
    enum { STDIO_NULL, STDIO_PIPE, STDIO_TEXT, STDIO_FD, STDIO_FILE, STDIO_MERGE } kind;
    int fd;           /* STDIO_FD */
    int idx;          /* STDIO_TEXT: where the string is on the stack */
    const char *text; /* STDIO_FILE: the path, STDIO_TEXT: the bytes */
    size_t len;
    bool append;
};

struct l_spawn_args {
    const char *op; /* "run" or "spawn": what errors call it */
    bool run;
    const struct l_ns *ns;
    struct spawn_request request; /* but for the fds */
    struct l_stdio stdio[3];
    double timeout; /* seconds, < 0: none */
    bool check;
};

/* Read and check everything there is to the arguments (ns, argv, opts) at 1, 2 and 3. Acquires
 * nothing but Lua values, which stay on the stack. */
void l_spawn_args(lua_State *L, struct l_spawn_args *args);

/* l_process_start.c */

/* Read the arguments at 1, 2 and 3 (nil where there is none) and start; the Process is left on top.
 */
struct l_process *l_process_start(lua_State *L, bool run);

/* l_process_result.c */

/* Push { ok, code, signal, timeout, and with outputs: stdout, stderr }. Raises instead where
 * somebody else took the status, or check is set and the end was not a happy one. */
void l_process_finish(lua_State *L, struct l_process *p, const char *op, bool outputs);

#endif
