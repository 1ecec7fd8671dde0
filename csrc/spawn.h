/* SPDX-License-Identifier: MIT
 * Child processes inside network namespaces: starting them, moving bytes to and from them,
 * learning how they ended, ending them. No Lua here.
 *
 * Theory of operation: a child is a session and a process group of its own, made by clone with
 * CLONE_VM|CLONE_VFORK (nothing of the host's memory is copied) and known by its pidfd, so that
 * no pid is ever signalled after somebody else got it. One poll loop, spawn_pump, drains both
 * output pipes and feeds stdin while anything is waited for: whatever the child does with its
 * pipes, neither side can block the other for good. Nothing here depends on SIGCHLD. The kernel
 * sends it all the same (exec resets a child's exit signal), and a host that ignores it or reaps
 * every child with waitpid(-1) takes the exit status away; Linux 6.15 and newer still tell it
 * through the pidfd, with older ones the process counts as `lost`.
 *
 * Needs Linux 5.4 (waitid on a pidfd). */
#ifndef NETNS_SPAWN_H
#define NETNS_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "nsfd.h"

/* spawn.c: starting ------------------------------------------------------------------------- */

struct spawn_request {
    int netns;             /* fd of the network namespace */
    bool mounts;           /* own /sys and files of /etc, as nsfd_child_mounts gives them ... */
    struct nsfd_view view; /* ... by this */
    bool detached;         /* outlives the host; otherwise SIGKILL when the starting thread ends */
    const char *cwd;       /* NULL: the host's */
    char *const *argv;     /* argv[0] is searched in envp's PATH unless it has a slash */
    char *const *envp;     /* complete */
    int fd[3];             /* become 0, 1 and 2; all others are closed */
};

/* Returns 0 with *pid and *pidfd (close-on-exec) set once the program runs; or -errno, with
 * nothing left behind: e->object is argv[0], e->kernel tells the step. */
int spawn_start(const struct spawn_request *request, pid_t *pid, int *pidfd, struct nserr *e);

/* Between spawn.c and spawn_child.c: everything the child needs, prepared before the clone, for
 * it must not allocate. */
struct spawn_plan {
    const struct spawn_request *request;
    pid_t host;
    char **candidates;    /* paths to try, NULL-terminated */
    char **sh_argv;       /* for scripts without #!: sh_argv[1] is set to the path */
    int report;           /* write end of a pipe, >= 3: one struct spawn_failure, or end of file */
    volatile bool shared; /* set by the child: memory is shared, and `failure` true */
    struct spawn_failure {
        int code; /* errno, 0: none */
        const char *step;
    } failure;
};
extern const char spawn_step_exec[], spawn_step_cwd[];
/* The child's main function, for clone(2). */
int spawn_child_main(void *plan);

/* spawn_io.c: talking ------------------------------------------------------------------------ */

/* What came out of the child and was not read yet: data[at .. len). */
struct spawn_stream {
    int fd;    /* our end; -1: at end of file, or not a
                  pipe */
    bool wide; /* the pipe is as large as it may be */
    struct bytes buf;
    size_t at;
};

struct spawn_proc {
    pid_t pid;  /* 0: none was started */
    pid_t host; /* who started it: copies of us made by fork must not touch it */
    int pidfd;
    bool detached;
    int in;           /* our end of its stdin, or -1 */
    int lent[3];      /* descriptors that spawn_lend gave out, or -1 */
    const char *feed; /* bytes waiting to be written to it */
    size_t feed_len;
    bool feed_last; /* close stdin behind them */
    struct spawn_stream out, err;
    int64_t deadline; /* on spawn_now's clock: the group is killed then; 0 for none */
    bool timed_out;   /* ... and it was */
    bool exited, reaped;
    bool lost;     /* exited, and somebody else has taken the status: code and sig are 0 */
    int code, sig; /* once exited: exit status, or the signal's number */
};

#define SPAWN_FOREVER INT64_MAX

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t spawn_now(void);
/* `seconds` from now; SPAWN_FOREVER where that is as good as never. */
int64_t spawn_after(double seconds);

/* No process, no fds. */
void spawn_init(struct spawn_proc *p);

/* Wait until something can be moved, the process ends or `until` has come; move what can be
 * moved. While it sleeps the thread's signal mask is *mask (NULL: as it is). Returns 1 if anything
 * happened, 0 at `until`, -EINTR after a signal (without an error: call again), or another -errno.
 * A reader that is gone is not an error: feed becomes NULL and `in` -1. */
int spawn_pump(struct spawn_proc *p, int64_t until, const sigset_t *mask, struct nserr *e);

/* A stream (0 to 2) for somebody outside, who may make it another child's: a second descriptor of
 * the pipe, which blocks as programs expect, and is closed together with ours. -1: there is none.
 */
int spawn_lend(struct spawn_proc *p, int stream);

/* Room in the output pipes for bursts while nobody reads. */
void spawn_widen(struct spawn_proc *p);

/* Its stdin ends. */
void spawn_close_in(struct spawn_proc *p);

/* Forget the first `len` unread bytes. */
void spawn_consume(struct spawn_stream *s, size_t len);

static inline const char *spawn_unread(const struct spawn_stream *s, size_t *len)
{
    *len = s->buf.len - s->at;
    return s->buf.data + s->at;
}

/* spawn_end.c: how it ended, and ending it --------------------------------------------------- */

/* Learn the exit status if there is one: sets `exited`. 0 or -errno. */
int spawn_collect(struct spawn_proc *p, struct nserr *e);

/* Send a signal to the process, or to all of its group. 1: sent, 0: nobody there any more. */
int spawn_signal(struct spawn_proc *p, int sig, bool group, struct nserr *e);

/* Whether anybody is left in its process group, zombies included. */
bool spawn_group_is_there(const struct spawn_proc *p);

/* spawn_group.c: return when nobody lives in the reaped process's group any more, or at `until`. */
void spawn_await_group(const struct spawn_proc *p, int64_t until);

/* Processes that were told to die and did not within the time allowed, and detached ones: they
 * are reaped when they are done. One per Lua state. */
struct spawn_orphans {
    struct spawn_orphan {
        int pidfd;
    } * list;
    size_t count, cap;
    size_t live; /* processes that may still come here: there is room for all of them */
};

/* Room for one more process: 0 or -ENOMEM. Each takes its room back with spawn_end. */
int spawn_orphans_admit(struct spawn_orphans *o);
/* Reap those that are done. */
void spawn_orphans_sweep(struct spawn_orphans *o);
void spawn_orphans_free(struct spawn_orphans *o);

/* Kill the whole group unless detached, wait for its end for at most `patience` ns, let go of all
 * fds and buffers. Twice is fine. */
void spawn_end(struct spawn_proc *p, int64_t patience, struct spawn_orphans *o);

#endif
