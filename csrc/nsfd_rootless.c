/* SPDX-License-Identifier: MIT
 * Becoming root without being it: a user namespace for this process.
 *
 * Theory of operation: what a process has left for a user namespace it can never get back to, so
 * everything is tried out first, by a copy of the process that ends after it, and what refuses is
 * told before anything has changed. The network namespace is new as well: the old one belongs to
 * another user namespace, and could be left but not entered again. /run becomes a tmpfs with
 * everything in it that was there, each by a bind mount, but with a netns and a lua-netns of its
 * own, which only this process and its children see. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "nsfd.h"

#define STACK_SIZE (64 * 1024)
#define PATH_SIZE  512

/* What the copy tells, in shared memory. */
struct report {
    const char *step; /* of the program's own text, at the same place in both */
    int code;         /* errno; 0: all of it works */
};

static bool is_ours;

/* The steps ----------------------------------------------------------------------------------- */

static int write_file(const char *path, const char *text)
{
    cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t len = (ssize_t)strlen(text);

    if (fd < 0)
        return -errno;
    return write(fd, text, (size_t)len) == len ? 0 : -errno;
}

static int map_ids(uid_t uid, gid_t gid, struct report *r)
{
    char text[40];
    int err;

    r->step = "deny setgroups";
    err = write_file("/proc/self/setgroups", "deny");
    if (err)
        return err;
    r->step = "map the user to root";
    snprintf(text, sizeof(text), "0 %lu 1", (unsigned long)uid);
    err = write_file("/proc/self/uid_map", text);
    if (err)
        return err;
    r->step = "map the group to root";
    snprintf(text, sizeof(text), "0 %lu 1", (unsigned long)gid);
    return write_file("/proc/self/gid_map", text);
}

/* Make `to` of the same kind as `from`, to be covered by it; a symbolic link is copied. 1: there is
 * something to be covered. */
static int make_target(const char *from, const char *to)
{
    char text[PATH_SIZE];
    struct stat st;
    ssize_t len;
    int fd;

    if (lstat(from, &st) != 0)
        return 0;
    if (S_ISDIR(st.st_mode))
        return mkdir(to, 0755) == 0;
    if (S_ISLNK(st.st_mode)) {
        len = readlink(from, text, sizeof(text) - 1);
        if (len <= 0)
            return 0;
        text[len] = '\0';
        (void)!symlink(text, to);
        return 0;
    }
    fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    close_fd(&fd);
    return 1;
}

/* What this user may not read stays hidden: there it would only be in the way (a lock, say). */
static void bind_entries(DIR *dir)
{
    const struct dirent *entry;
    char from[PATH_SIZE], to[PATH_SIZE];

    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;

        if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "netns") ||
            !strcmp(name, "lua-netns"))
            continue;
        snprintf(from, sizeof(from), "/proc/self/fd/%d/%s", dirfd(dir), name);
        snprintf(to, sizeof(to), "/run/%s", name);
        if (access(from, R_OK) == 0 && make_target(from, to))
            mount(from, to, "none", MS_BIND | MS_REC, NULL);
    }
}

static int own_run(struct report *r)
{
    DIR *dir;

    r->step = "make the mounts private";
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return -errno;
    r->step = "open /run";
    dir = opendir("/run");
    if (!dir)
        return -errno;
    r->step = "mount a tmpfs on /run";
    if (mount("netns", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0) {
        int code = errno;
        closedir(dir);
        return -code;
    }
    bind_entries(dir);
    closedir(dir);
    r->step = "mount a tmpfs on /run/netns";
    if (mkdir(NETNS_RUN_DIR, 0755) != 0 ||
        mount("netns", NETNS_RUN_DIR, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0)
        return -errno;
    return 0;
}

static int become_root(struct report *r)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int err;

    r->step = "unshare the user namespace";
    if (unshare(CLONE_NEWUSER) != 0)
        return -errno;
    err = map_ids(uid, gid, r);
    if (err)
        return err;
    r->step = "unshare the network namespace";
    if (unshare(CLONE_NEWNET) != 0)
        return -errno;
    r->step = "unshare the mount namespace";
    if (unshare(CLONE_NEWNS) != 0)
        return -errno;
    return own_run(r);
}

/* Trying out ---------------------------------------------------------------------------------- */

static int copy_main(void *arg)
{
    struct report *r = arg;

    r->code = -become_root(r);
    _exit(0);
}

/* The copy has no exit signal, so that the host sees no child. */
static int run_copy(struct report *r)
{
    cleanup_free char *stack = malloc(STACK_SIZE);
    pid_t pid;

    r->step = "try it in a copy of the process";
    if (!stack)
        return -ENOMEM;
    r->code = EIO; /* unless it says something else */
    pid = clone(copy_main, stack + STACK_SIZE, 0, r);
    if (pid < 0)
        return -errno;
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
    return -r->code;
}

/* Why it was refused, and what helps ---------------------------------------------------------- */

static long read_number(const char *path)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[32];
    ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

    if (len <= 0)
        return -1;
    text[len] = '\0';
    return strtol(text, NULL, 10);
}

// clang-format off
static const struct cause {
    const char *path;
    long value;
    const char *text;
} causes[] = {
    {"/proc/sys/user/max_user_namespaces", 0,
     "user namespaces are switched off: `sysctl -w user.max_user_namespaces=10000` as root allows them"},
    {"/proc/sys/user/max_net_namespaces", 0,
     "network namespaces are switched off: `sysctl -w user.max_net_namespaces=10000` as root allows them"},
    {"/proc/sys/kernel/unprivileged_userns_clone", 0,
     "only root may make user namespaces here: `sysctl -w kernel.unprivileged_userns_clone=1` as root "
     "lets everybody"},
    {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1,
     "AppArmor keeps programs without a profile from it: `sysctl -w "
     "kernel.apparmor_restrict_unprivileged_userns=0` as root, or a profile with `userns,`, allows it"},
};
// clang-format on

static void explain(struct nserr *e, const struct report *r, int code)
{
    const char *why = NULL;

    for (size_t i = 0; !why && code != EINVAL && i < ARRAY_LEN(causes); i++)
        if (read_number(causes[i].path) == causes[i].value)
            why = causes[i].text;
    if (!why && (code == ENOSPC || code == EUSERS))
        why = "too many namespaces: see user.max_user_namespaces, max_net_namespaces and "
              "max_mnt_namespaces";
    if (!why && (code == EPERM || code == EACCES))
        why = "a container, a chroot or a security module forbids it: run as root, or allow "
              "user namespaces there";
    snprintf(e->kernel, sizeof(e->kernel), "%s%s%s", r->step, why ? ": " : "", why ? why : "");
}

/* Checks before it ---------------------------------------------------------------------------  */

/* How many threads there are; -errno. */
static int count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    const struct dirent *entry;
    int count = 0;

    if (!dir)
        return -errno;
    while ((entry = readdir(dir)) != NULL)
        count += *entry->d_name != '.';
    closedir(dir);
    return count;
}

/* A descriptor of a network namespace, 0 where there is none (it is never stdin), -errno. */
static int open_namespace(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    struct nserr ignored;
    int found = 0;

    if (!dir)
        return -errno;
    while (!found && (entry = readdir(dir)) != NULL) {
        int fd = atoi(entry->d_name);

        if (fd > 0 && fd != dirfd(dir) && nsfd_verify(fd, "fd", &ignored) == 0)
            found = fd;
    }
    closedir(dir);
    return found;
}

static int check_alone(struct nserr *e)
{
    int threads = count_threads(), fd = open_namespace();

    if (threads < 0 || fd < 0)
        return nserr_sys(e, threads < 0 ? -threads : -fd, "rootless", "/proc/self");
    if (threads > 1) {
        nserr_sys(e, EBUSY, "rootless", NULL);
        snprintf(e->kernel, sizeof(e->kernel),
                 "%d threads are running, and it is for all or none: call netns.rootless() before "
                 "others are started",
                 threads);
    } else if (fd > 0) {
        nserr_sys(e, EBUSY, "rootless", NULL);
        snprintf(e->kernel, sizeof(e->kernel),
                 "a network namespace is open already (fd %d), and could not be entered any more: "
                 "call netns.rootless() before anything else",
                 fd);
    }
    return threads > 1 || fd > 0 ? -EBUSY : 0;
}

int nsfd_rootless(struct nserr *e)
{
    struct report *shared, report;
    int err;

    if (is_ours)
        return 0;
    err = check_alone(e);
    if (err)
        return err;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return nserr_sys(e, errno, "rootless", NULL);
    err = run_copy(shared);
    report = *shared;
    munmap(shared, sizeof(*shared));
    if (!err) {
        err = become_root(&report);
        is_ours = !err;
    }
    if (err) {
        nserr_sys(e, -err, "rootless", NULL);
        explain(e, &report, -err);
    }
    return err;
}
