/* SPDX-License-Identifier: MIT
 * The poll loop around a child's pipes. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "spawn.h"

#define READ_AT_LEAST ((size_t)4096) /* the buffers double: more soon, where there is more */
#define PIPE_USUAL    ((size_t)64 * 1024)
#define PIPE_WIDE     (1024 * 1024) /* what everybody may have, unless the system is set otherwise */
#define WRITE_AT_MOST ((size_t)1024 * 1024)

int64_t spawn_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t spawn_after(double seconds)
{
    return seconds > 1e9 ? SPAWN_FOREVER : spawn_now() + (int64_t)(seconds * 1e9);
}

void spawn_init(struct spawn_proc *p)
{
    *p = (struct spawn_proc){.pidfd = -1, .in = -1, .out.fd = -1, .err.fd = -1};
    p->lent[0] = p->lent[1] = p->lent[2] = -1;
}

void spawn_consume(struct spawn_stream *s, size_t len)
{
    s->at += len;
    if (s->at == s->buf.len) {
        s->at = s->buf.len = 0;
    } else if (s->at > s->buf.len / 2 && s->at > READ_AT_LEAST) {
        s->buf.len -= s->at;
        memmove(s->buf.data, s->buf.data + s->at, s->buf.len);
        s->at = 0;
    }
}

static void widen(struct spawn_stream *s)
{
    if (s->fd >= 0 && !s->wide)
        fcntl(s->fd, F_SETPIPE_SZ, PIPE_WIDE);
    s->wide = true;
}

void spawn_widen(struct spawn_proc *p)
{
    widen(&p->out);
    widen(&p->err);
}

static void close_output(struct spawn_proc *p, struct spawn_stream *s)
{
    close_fd(&s->fd);
    close_fd(&p->lent[s == &p->out ? 1 : 2]);
}

/* 1: something happened (bytes or end of file), 0: nothing there, or -errno. */
static int take_chunk(struct spawn_proc *p, struct spawn_stream *s, struct nserr *e)
{
    ssize_t len;

    if (bytes_reserve(&s->buf, READ_AT_LEAST) != 0)
        return nserr_sys(e, ENOMEM, "read", NULL);
    len = read(s->fd, s->buf.data + s->buf.len, s->buf.cap - s->buf.len);
    if (len > 0)
        s->buf.len += (size_t)len;
    else if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    else if (len < 0)
        return nserr_sys(e, errno, "read", NULL);
    else
        close_output(p, s);
    if (s->buf.len > PIPE_USUAL)
        widen(s);
    return 1;
}

/* Whether SIGPIPE was already waiting for this thread before we wrote. */
static bool was_pending(const sigset_t *old, int sig)
{
    sigset_t pending;

    return sigismember(old, sig) == 1 && sigpending(&pending) == 0 &&
           sigismember(&pending, sig) == 1;
}

/* write(2) that never lets SIGPIPE reach the host: held back, and taken out again. */
static ssize_t write_quietly(int fd, const void *data, size_t len)
{
    static const struct timespec at_once;
    sigset_t pipe_only, old;
    ssize_t written;
    bool pending;
    int code;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
    pending = was_pending(&old, SIGPIPE);
    written = write(fd, data, len);
    code = errno;
    if (written < 0 && code == EPIPE && !pending)
        while (sigtimedwait(&pipe_only, NULL, &at_once) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = code;
    return written;
}

static int give_chunk(struct spawn_proc *p, struct nserr *e)
{
    size_t len = p->feed_len < WRITE_AT_MOST ? p->feed_len : WRITE_AT_MOST;
    ssize_t written = p->feed_len ? write_quietly(p->in, p->feed, len) : 0;

    if (written < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (written < 0 && errno != EPIPE)
        return nserr_sys(e, errno, "write", NULL);
    if (written < 0) { /* the reader is gone: what is left has nowhere to go */
        spawn_close_in(p);
        return 1;
    }
    p->feed += written;
    p->feed_len -= (size_t)written;
    if (p->feed_len == 0) {
        p->feed = NULL;
        if (p->feed_last)
            spawn_close_in(p);
    }
    return 1;
}

/* How long poll may sleep: until `until` or the process's own deadline. False: for ever. */
static bool time_left(const struct spawn_proc *p, int64_t until, struct timespec *left)
{
    int64_t ns;

    if (p->deadline && !p->exited && !p->timed_out && p->deadline < until)
        until = p->deadline;
    if (until == SPAWN_FOREVER)
        return false;
    ns = until - spawn_now();
    if (ns < 0)
        ns = 0;
    left->tv_sec = ns / 1000000000;
    left->tv_nsec = ns % 1000000000;
    return true;
}

/* The deadline has come: the whole group goes. 1: it did. */
static int strike(struct spawn_proc *p, struct nserr *e)
{
    int err;

    if (!p->deadline || p->exited || p->timed_out || spawn_now() < p->deadline)
        return 0;
    p->timed_out = true;
    err = spawn_signal(p, SIGKILL, true, e);
    return err < 0 ? err : 1;
}

int spawn_pump(struct spawn_proc *p, int64_t until, const sigset_t *mask, struct nserr *e)
{
    struct timespec left;
    struct pollfd fds[] = {
        {.fd = p->exited ? -1 : p->pidfd, .events = POLLIN},
        {.fd = p->out.fd, .events = POLLIN},
        {.fd = p->err.fd, .events = POLLIN},
        {.fd = p->feed ? p->in : -1, .events = POLLOUT},
    };
    bool bounded = time_left(p, until, &left);
    int err = 0, ready = ppoll(fds, ARRAY_LEN(fds), bounded ? &left : NULL, mask);

    if (ready < 0)
        return errno == EINTR ? -EINTR : nserr_sys(e, errno, "poll", NULL);
    if (fds[1].revents && (err = take_chunk(p, &p->out, e)) < 0)
        return err;
    if (fds[2].revents && (err = take_chunk(p, &p->err, e)) < 0)
        return err;
    if (fds[3].revents && (err = give_chunk(p, e)) < 0)
        return err;
    if (fds[0].revents && (err = spawn_collect(p, e)) < 0)
        return err;
    err = strike(p, e);
    return err ? err : ready > 0;
}

/* A pipe opened once more has flags of its own. Not blocking while it is opened: without a reader
 * that would wait for one. */
static int open_again(int fd, int flags)
{
    char path[40];
    int again;

    snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", fd);
    again = open(path, flags | O_NONBLOCK | O_CLOEXEC);
    if (again >= 0)
        fcntl(again, F_SETFL, 0);
    return again;
}

int spawn_lend(struct spawn_proc *p, int stream)
{
    int ours[] = {p->in, p->out.fd, p->err.fd};

    if (ours[stream] >= 0 && p->lent[stream] < 0)
        p->lent[stream] = open_again(ours[stream], stream == 0 ? O_WRONLY : O_RDONLY);
    return p->lent[stream] >= 0 ? p->lent[stream] : ours[stream];
}

void spawn_close_in(struct spawn_proc *p)
{
    close_fd(&p->in);
    close_fd(&p->lent[0]);
    p->feed = NULL;
}
