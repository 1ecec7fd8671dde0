/* SPDX-License-Identifier: MIT
 * Starting a process in a network namespace: the host's side. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "spawn.h"

#define CHILD_STACK ((size_t)64 * 1024)
/* What a shell uses where PATH is not set (confstr _CS_PATH). */
#define DEFAULT_PATH "/bin:/usr/bin"

static const char *path_of(char *const *envp)
{
    for (; *envp; envp++)
        if (!strncmp(*envp, "PATH=", 5))
            return *envp + 5;
    return DEFAULT_PATH;
}

/* The paths to try for `file`, as execvp(3) makes them, in one block; an empty element of the
 * search path is the current directory. NULL: out of memory. */
static char **candidates_of(const char *file, const char *path)
{
    size_t count = 1, len = strlen(file) + 1;
    char **list, *text;

    if (strchr(file, '/'))
        path = NULL;
    for (const char *p = path; p && *p; p++)
        count += *p == ':';
    list = malloc((count + 1) * sizeof(*list) + (path ? strlen(path) : 0) + count * (len + 2));
    if (!list)
        return NULL;
    text = (char *)(list + count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t dir = path ? strcspn(path, ":") : 0;

        list[i] = text;
        if (path) {
            memcpy(text, path, dir);
            text += dir;
            if (dir == 0)
                *text++ = '.';
            *text++ = '/';
        }
        memcpy(text, file, len);
        text += len;
        path = path && path[dir] ? path + dir + 1 : path;
    }
    list[count] = NULL;
    return list;
}

/* { "/bin/sh", place for the path, argv[1], ... } */
static char **sh_argv_of(char *const *argv)
{
    size_t count = 0;
    char **list;

    while (argv[count])
        count++;
    list = malloc((count + 2) * sizeof(*list));
    if (!list)
        return NULL;
    list[0] = "/bin/sh";
    memcpy(list + 2, argv + 1, count * sizeof(*list)); /* with its NULL */
    return list;
}

/* A pipe whose write end is not one of the standard streams, so that the child can redirect
 * them. */
static int report_pipe(int *read_end, int *write_end)
{
    int ends[2], high;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    *read_end = ends[0];
    *write_end = ends[1];
    if (ends[1] >= 3)
        return 0;
    high = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
    close_fd(write_end);
    *write_end = high;
    return high < 0 ? -errno : 0;
}

/* All signals are blocked until the child has reset its handlers, and no cancellation may
 * strike it: it runs with this thread's memory. */
static pid_t clone_child(struct spawn_plan *plan, char *stack, int *pidfd)
{
    sigset_t all, old;
    int state, code;
    pid_t pid;

    sigfillset(&all);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid = clone(spawn_child_main, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | CLONE_PIDFD, plan,
                pidfd);
    code = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_setcancelstate(state, NULL);
    return pid >= 0 ? pid : -code;
}

static void read_report(struct spawn_plan *plan, int fd)
{
    struct spawn_failure failure;
    ssize_t len;

    if (plan->shared)
        return;
    do {
        len = read(fd, &failure, sizeof(failure));
    } while (len < 0 && errno == EINTR);
    if (len == sizeof(failure))
        plan->failure = failure;
}

static void reap_failed(int *pidfd)
{
    siginfo_t info;

    while (waitid(P_PIDFD, (id_t)*pidfd, &info, WEXITED | __WALL) != 0 && errno == EINTR)
        ;
    close_fd(pidfd);
}

static int tell_failure(const struct spawn_plan *plan, struct nserr *e)
{
    const struct spawn_request *request = plan->request;
    const char *file = request->argv[0];
    int code = plan->failure.code;

    nserr_sys(e, code, "spawn", "%s", file);
    if (plan->failure.step == spawn_step_cwd)
        snprintf(e->kernel, sizeof(e->kernel), "cwd \"%s\"", request->cwd);
    else if (plan->failure.step != spawn_step_exec)
        snprintf(e->kernel, sizeof(e->kernel), "%s", plan->failure.step);
    else if (code == ENOENT && !strchr(file, '/'))
        snprintf(e->kernel, sizeof(e->kernel), "not found in PATH \"%s\"", path_of(request->envp));
    else if (code == ENOENT && access(file, F_OK) == 0)
        snprintf(e->kernel, sizeof(e->kernel), "its interpreter (#!) does not exist");
    return -code;
}

int spawn_start(const struct spawn_request *request, pid_t *pid, int *pidfd, struct nserr *e)
{
    const char *file = request->argv[0];
    cleanup_free char **candidates = candidates_of(file, path_of(request->envp));
    cleanup_free char **sh_argv = sh_argv_of(request->argv);
    cleanup_free char *stack = malloc(CHILD_STACK);
    cleanup_fd int report = -1;
    cleanup_fd int failed = -1;
    struct spawn_plan plan = {.request = request, .host = getpid(), .report = -1};
    pid_t child;
    int err;

    if (!candidates || !sh_argv || !stack)
        return nserr_sys(e, ENOMEM, "spawn", "%s", file);
    plan.candidates = candidates;
    plan.sh_argv = sh_argv;
    err = report_pipe(&report, &plan.report);
    if (err) {
        close_fd(&plan.report);
        return nserr_sys(e, -err, "spawn", "%s", file);
    }
    child = clone_child(&plan, stack, &failed);
    close_fd(&plan.report);
    if (child < 0) {
        nserr_sys(e, -child, "spawn", "%s", file);
        if (child == -EINVAL)
            snprintf(e->kernel, sizeof(e->kernel), "pidfds need Linux 5.4 or newer");
        return child;
    }
    read_report(&plan, report);
    if (plan.failure.code) {
        reap_failed(&failed);
        return tell_failure(&plan, e);
    }
    *pid = child;
    *pidfd = take_fd(&failed);
    return 0;
}
