/* SPDX-License-Identifier: MIT
 * What a child does between clone and exec.
 *
 * It shares the host program's memory while the thread that made it is suspended: only system
 * calls here, no malloc, no locks, nothing that is not async-signal-safe. All signals are
 * blocked on the way in. Where memory is not shared after all (valgrind and other emulators make
 * a plain fork of it) the report goes through the pipe. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "nsfd.h"
#include "spawn.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

const char spawn_step_exec[] = "exec", spawn_step_cwd[] = "cwd";

static int own_session(const struct spawn_plan *plan, const char **step)
{
    pid_t parent;

    *step = "start a session";
    if (setsid() < 0)
        return -errno;
    if (plan->request->detached)
        return 0;
    *step = "set the parent-death signal";
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return -errno;
    parent = getppid();
    /* 0: the host is in another pid namespace */
    return parent == plan->host || parent == 0 ? 0 : -ESRCH;
}

/* Sources below 3 that are not where they belong move up first, so that none is overwritten
 * before it is used. */
static int place_fds(const struct spawn_request *request, const char **step)
{
    int from[3];

    *step = "redirect the standard streams";
    for (int i = 0; i < 3; i++) {
        from[i] = request->fd[i];
        if (from[i] < 3 && from[i] != i && from[i] >= 0) {
            from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 3);
            if (from[i] < 0)
                return -errno;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (from[i] == i) {
            /* inherited; one the host has closed stays closed */
            if (fcntl(i, F_SETFD, 0) != 0 && errno != EBADF)
                return -errno;
        } else if (dup2(from[i], i) < 0) {
            return -errno;
        }
    }
    return 0;
}

static void mark_fd(const char *digits)
{
    int fd = 0;

    for (; *digits >= '0' && *digits <= '9'; digits++)
        fd = fd * 10 + (*digits - '0');
    if (fd >= 3 && !*digits)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Before Linux 5.11 */
static void mark_fds_one_by_one(void)
{
    _Alignas(struct dents_entry) char buf[2048];
    struct rlimit limit;
    int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long len;

    if (dir >= 0) {
        while ((len = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0)
            for (long at = 0; at < len; at += ((struct dents_entry *)(buf + at))->reclen)
                mark_fd(((struct dents_entry *)(buf + at))->name);
        close(dir);
    } else if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        for (rlim_t fd = 3; fd < limit.rlim_cur; fd++)
            fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    }
}

static void mark_fds(void)
{
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        mark_fds_one_by_one();
}

/* Nothing ignored, nothing caught, nothing blocked. Handlers must be gone before the mask is: they
 * would run in the host's memory. The bare call, as libc keeps two signals to itself; zeroes are
 * the default action in every layout of its struct. */
static void reset_signals(void)
{
    static const unsigned long action[8];
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        if (sig != SIGKILL && sig != SIGSTOP)
            syscall(SYS_rt_sigaction, sig, action, NULL, (size_t)(NSIG / 8));
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* As execvpe(3): the first candidate that is there and may be executed; a file that the kernel
 * does not know how to run is handed to the shell. */
static int exec_first(const struct spawn_plan *plan)
{
    int code = ENOENT;
    bool denied = false;

    for (char **path = plan->candidates; *path; path++) {
        execve(*path, plan->request->argv, plan->request->envp);
        if (errno == ENOEXEC) {
            plan->sh_argv[1] = *path;
            execve(plan->sh_argv[0], plan->sh_argv, plan->request->envp);
            return -ENOEXEC;
        }
        code = errno;
        if (code == EACCES)
            denied = true;
        else if (code != ENOENT && code != ENOTDIR && code != ENAMETOOLONG && code != ESTALE &&
                 code != ENODEV && code != ETIMEDOUT)
            return -code;
    }
    return denied ? -EACCES : -code;
}

static int prepare(const struct spawn_plan *plan, const char **step)
{
    const struct spawn_request *request = plan->request;
    int err = own_session(plan, step);

    if (err)
        return err;
    *step = "enter the network namespace";
    err = nsfd_child_enter(request->netns);
    if (!err && request->mounts)
        err = nsfd_child_mounts(&request->view, step);
    if (err)
        return err;
    *step = spawn_step_cwd;
    if (request->cwd && chdir(request->cwd) != 0)
        return -errno;
    return place_fds(request, step);
}

int spawn_child_main(void *arg)
{
    struct spawn_plan *plan = arg;
    struct spawn_failure failure;
    const char *step = NULL;
    int err;

    plan->shared = true;
    err = prepare(plan, &step);
    if (!err) {
        mark_fds();
        reset_signals();
        step = spawn_step_exec;
        err = exec_first(plan);
    }
    failure = (struct spawn_failure){-err, step};
    plan->failure = failure;
    while (write(plan->report, &failure, sizeof(failure)) < 0 && errno == EINTR)
        ;
    return 127;
}
