/* SPDX-License-Identifier: MIT
 * Starting the firewall worker, so that the host never meets it as a child.
 *
 * Theory of operation: exec makes SIGCHLD the exit signal of any child, so a direct one would
 * disturb the host's handler and keep its wait() loops from ending. The host therefore clones a
 * helper without exit signal, which shares its memory and descriptors; the helper clones the
 * worker and ends. The worker's pidfd stays behind in the shared descriptor table. Both clones
 * are of the vfork kind: the host goes on once the worker runs. All signals are blocked
 * meanwhile, for no handler of the host may run on shared memory. */
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "nft.h"

#define STACK_SIZE (64 * 1024)
#define PARKED     16 /* descriptors are moved up here before they are moved into place */

struct birth {
    struct nft_spawn *spawn;
    char *worker_stack; /* its upper end */
    int code;           /* errno of what failed */
};

/* Capabilities would not outlive exec for a user other than root: make them ambient. */
static void keep_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) != 0)
        return;
    for (int i = 0; i < 2; i++)
        data[i].inheritable |= data[i].permitted;
    if (syscall(SYS_capset, &header, data) != 0)
        return;
    for (int cap = 0; cap < 64; cap++)
        if (data[cap / 32].permitted & (1u << (cap % 32)))
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

static void close_above(int first)
{
    if (syscall(SYS_close_range, (unsigned)first, UINT_MAX, 0) == 0)
        return;
    for (int fd = first; fd < 1024; fd++)
        close(fd);
}

/* 0 and 1 are /dev/null, then those of the request. */
static int place_descriptors(const struct nft_spawn *spawn)
{
    const int wanted[] = {spawn->errors, spawn->socket, spawn->host};
    int parked[ARRAY_LEN(wanted)], null;

    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if ((parked[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, PARKED)) < 0)
            return -errno;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || (null = fcntl(null, F_DUPFD_CLOEXEC, PARKED)) < 0)
        return -errno;
    for (int fd = 0; fd < 2; fd++)
        if (dup2(null, fd) < 0)
            return -errno;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (dup2(parked[i], STDERR_FILENO + (int)i) < 0)
            return -errno;
    close_above(NFT_WORKER_FDS);
    return 0;
}

/* The worker, until it is one: with the host's memory, its own descriptors. */
static int worker_main(void *arg)
{
    struct birth *birth = arg;
    char *argv[] = {(char *)birth->spawn->path, NULL};
    int err = place_descriptors(birth->spawn);

    if (!err) {
        setsid(); /* the terminal's signals are for the host */
        keep_capabilities();
        execve(birth->spawn->path, argv, environ);
        err = -errno;
    }
    birth->code = -err;
    _exit(127);
}

static int helper_main(void *arg)
{
    struct birth *birth = arg;
    struct nft_spawn *spawn = birth->spawn;

    spawn->pid = clone(worker_main, birth->worker_stack,
                       CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, birth, &spawn->pidfd);
    if (spawn->pid < 0)
        birth->code = errno;
    _exit(0);
}

static int give_birth(struct birth *birth, char *helper_stack)
{
    int cancel, code = 0;
    sigset_t all, before;
    pid_t helper;

    sigfillset(&all);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    helper = clone(helper_main, helper_stack, CLONE_VM | CLONE_VFORK | CLONE_FILES, birth);
    if (helper < 0)
        code = errno;
    else
        waitpid(helper, NULL, __WCLONE);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setcancelstate(cancel, NULL);
    return code ? code : birth->code;
}

int nft_spawn(struct nft_spawn *spawn, struct nserr *e)
{
    struct birth birth = {.spawn = spawn};
    cleanup_free char *stacks = malloc(2 * STACK_SIZE);
    int code;

    spawn->pidfd = -1;
    if (!stacks)
        return nserr_sys(e, ENOMEM, "nft worker start", "%s", spawn->path);
    birth.worker_stack = stacks + STACK_SIZE;
    code = give_birth(&birth, stacks + 2 * STACK_SIZE);
    if (!code)
        return 0;
    close_fd(&spawn->pidfd);
    return nserr_sys(e, code, "nft worker start", "%s", spawn->path);
}
