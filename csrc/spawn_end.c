/* SPDX-License-Identifier: MIT
 * How a child ended, and ending it with all of its group.
 *
 * Theory of operation: a pid stays the child's own until it is reaped. Where the kernel can
 * signal a process group through a pidfd (Linux 6.9) the child is reaped as soon as its status
 * is known. Otherwise the status is only looked at and the zombie kept until spawn_end, so that
 * kill(-pid) cannot meet a stranger's group. */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "spawn.h"

#define PIDFD_GROUP (1U << 2) /* PIDFD_SIGNAL_PROCESS_GROUP */

/* As PIDFD_GET_INFO has it in its first version, linux/pidfd.h of Linux 6.15. */
struct exit_info {
    uint64_t mask, cgroupid;
    uint32_t ids[11];
    int32_t exit_code;
};
#define GET_INFO  _IOWR(0xFF, 11, struct exit_info)
#define INFO_EXIT (1ULL << 3)

static int pidfd_signal(int pidfd, int sig, unsigned flags)
{
    return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, flags) == 0 ? 0 : -errno;
}

/* The kernel (or an emulator) does not know the call, or its flag. */
static bool unknown_call(int err)
{
    return err == -EINVAL || err == -ENOSYS;
}

static int signal_group(const struct spawn_proc *p, int sig)
{
    int err = pidfd_signal(p->pidfd, sig, PIDFD_GROUP);

    if (!unknown_call(err))
        return err;
    if (p->reaped)
        return -ESRCH;
    return kill(-p->pid, sig) == 0 ? 0 : -errno;
}

bool spawn_group_is_there(const struct spawn_proc *p)
{
    int err = pidfd_signal(p->pidfd, 0, PIDFD_GROUP);

    if (unknown_call(err)) /* only asked, so that a stranger's group comes to no harm */
        err = kill(-p->pid, 0) == 0 ? 0 : -errno;
    return err == 0;
}

static int signal_leader(const struct spawn_proc *p, int sig)
{
    int err;

    if (p->exited)
        return -ESRCH;
    err = pidfd_signal(p->pidfd, sig, 0);
    if (err != -ENOSYS)
        return err;
    return kill(p->pid, sig) == 0 ? 0 : -errno;
}

static bool group_outlives_pid(const struct spawn_proc *p)
{
    return !unknown_call(pidfd_signal(p->pidfd, 0, PIDFD_GROUP));
}

static void note_status(struct spawn_proc *p, int wstatus)
{
    p->exited = true;
    if (WIFEXITED(wstatus))
        p->code = WEXITSTATUS(wstatus);
    else
        p->sig = WTERMSIG(wstatus);
}

/* Somebody else has reaped it. */
static void collect_lost(struct spawn_proc *p)
{
    struct exit_info info = {.mask = INFO_EXIT};

    p->exited = p->reaped = true;
    if (ioctl(p->pidfd, GET_INFO, &info) == 0 && (info.mask & INFO_EXIT))
        note_status(p, info.exit_code);
    else
        p->lost = true;
}

int spawn_collect(struct spawn_proc *p, struct nserr *e)
{
    siginfo_t info = {0};
    int keep;

    if (p->exited)
        return 0;
    keep = group_outlives_pid(p) ? 0 : WNOWAIT;
    if (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG | __WALL | keep) != 0) {
        if (errno != ECHILD)
            return nserr_sys(e, errno, "wait", NULL);
        collect_lost(p);
        return 0;
    }
    if (info.si_pid == 0)
        return 0;
    p->exited = true;
    p->reaped = !keep;
    if (info.si_code == CLD_EXITED)
        p->code = info.si_status;
    else
        p->sig = info.si_status;
    return 0;
}

int spawn_signal(struct spawn_proc *p, int sig, bool group, struct nserr *e)
{
    int err = spawn_collect(p, e);

    if (err)
        return err;
    err = group ? signal_group(p, sig) : signal_leader(p, sig);
    if (err == -ESRCH)
        return 0;
    return err ? nserr_sys(e, -err, "kill", NULL) : 1;
}

/* Orphans ------------------------------------------------------------------------------------ */

int spawn_orphans_admit(struct spawn_orphans *o)
{
    size_t need = o->count + o->live + 1;

    if (need > o->cap) {
        size_t cap = need * 2;
        struct spawn_orphan *list = realloc(o->list, cap * sizeof(*list));

        if (!list)
            return -ENOMEM;
        o->list = list;
        o->cap = cap;
    }
    o->live++;
    return 0;
}

void spawn_orphans_sweep(struct spawn_orphans *o)
{
    size_t left = 0;

    for (size_t i = 0; i < o->count; i++) {
        struct spawn_orphan orphan = o->list[i];
        siginfo_t info = {0};
        int err = waitid(P_PIDFD, (id_t)orphan.pidfd, &info, WEXITED | WNOHANG | __WALL);

        if (err == 0 && info.si_pid == 0)
            o->list[left++] = orphan;
        else
            close_fd(&orphan.pidfd);
    }
    o->count = left;
}

void spawn_orphans_free(struct spawn_orphans *o)
{
    spawn_orphans_sweep(o);
    for (size_t i = 0; i < o->count; i++)
        close_fd(&o->list[i].pidfd);
    free(o->list);
    *o = (struct spawn_orphans){0};
}

/* Takes the pidfd. */
static void orphans_add(struct spawn_orphans *o, int *pidfd)
{
    if (o->count < o->cap)
        o->list[o->count++] = (struct spawn_orphan){take_fd(pidfd)};
}

/* Ending ------------------------------------------------------------------------------------- */

/* Returns when the process has ended or `until` has come. */
static void await_exit(struct spawn_proc *p, int64_t until)
{
    struct pollfd fd = {.fd = p->pidfd, .events = POLLIN};
    struct nserr ignored;

    while (!p->exited) {
        int64_t left = until - spawn_now();
        struct timespec ts = {left / 1000000000, left % 1000000000};
        int ready;

        if (left <= 0)
            return;
        ready = ppoll(&fd, 1, &ts, NULL);
        if (ready == 0 || (ready < 0 && errno != EINTR))
            return;
        spawn_collect(p, &ignored);
    }
}

static void reap(struct spawn_proc *p)
{
    siginfo_t info;

    if (p->exited && !p->reaped)
        while (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG | __WALL) != 0 &&
               errno == EINTR)
            ;
    p->reaped = p->exited;
}

static void end_group(struct spawn_proc *p, int64_t patience)
{
    int64_t until = spawn_now() + patience;

    signal_group(p, SIGKILL);
    signal_leader(p, SIGKILL);
    await_exit(p, until);
    reap(p);
    if (p->reaped)
        spawn_await_group(p, spawn_now() + patience / 10);
}

static void end_process(struct spawn_proc *p, int64_t patience, struct spawn_orphans *o)
{
    struct nserr ignored;

    if (p->host != getpid())
        return;
    if (p->detached)
        spawn_collect(p, &ignored);
    else
        end_group(p, patience);
    reap(p);
    o->live--;
    if (!p->reaped)
        orphans_add(o, &p->pidfd);
}

void spawn_end(struct spawn_proc *p, int64_t patience, struct spawn_orphans *o)
{
    int saved = errno;

    if (p->pidfd >= 0)
        end_process(p, patience, o);
    close_fd(&p->pidfd);
    spawn_close_in(p);
    close_fd(&p->out.fd);
    close_fd(&p->err.fd);
    close_fd(&p->lent[1]);
    close_fd(&p->lent[2]);
    bytes_free(&p->out.buf);
    bytes_free(&p->err.buf);
    p->out.at = p->err.at = 0;
    errno = saved;
}
