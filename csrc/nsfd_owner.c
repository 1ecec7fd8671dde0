/* SPDX-License-Identifier: MIT
 * Whose a name in /run/netns is, and removing those whose owner is dead.
 *
 * Theory of operation: a name is a file with a namespace mounted over it. Where the name belongs to
 * a handle, the file under the mount says which process that is: its number, when it started, and
 * in which pid namespace. Names that are kept, and those that `ip netns` makes, are empty files.
 * A copy of the mount without those on top of it (open_tree, Linux 5.2) shows the files; the names
 * stay where they are meanwhile. A process of another pid namespace cannot be asked for, so its
 * names are left alone. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "nsfd.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE   1
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif

#define MARK       "lua-netns"
#define OWNER_SIZE 96

#define UNKNOWN UINT64_MAX

/* In clock ticks since boot; 0 where there is no such process, or nobody has waited for its end;
 * UNKNOWN where that cannot be found out. */
static uint64_t start_of(pid_t pid)
{
    char path[40], text[1024], *at;
    cleanup_fd int fd = -1;
    ssize_t len;

    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (len < 0) /* not there, or not to be read */
        return kill(pid, 0) != 0 && errno == ESRCH ? 0 : UNKNOWN;
    text[len] = '\0';
    at = strrchr(text, ')'); /* the name of a program may have blanks; the 22nd field is wanted */
    if (at && (at[2] == 'Z' || at[2] == 'X'))
        return 0;
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : UNKNOWN;
}

/* 0 where /proc is that of another one. */
static uint64_t pid_namespace(void)
{
    char text[32];
    struct stat st;
    ssize_t len = readlink("/proc/self", text, sizeof(text) - 1);

    text[len > 0 ? len : 0] = '\0';
    if (strtol(text, NULL, 10) != (long)getpid())
        return 0;
    return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

/* What the calling process is, as text; "" where /proc does not tell. */
static void describe_self(char text[OWNER_SIZE])
{
    static _Thread_local struct {
        pid_t pid;
        char text[OWNER_SIZE];
    } known;
    pid_t pid = getpid();

    if (known.pid != pid) {
        uint64_t start = start_of(pid), space = pid_namespace();

        *known.text = '\0';
        if (start && start != UNKNOWN && space)
            snprintf(known.text, OWNER_SIZE, "%s %ld %" PRIu64 " %" PRIu64 "\n", MARK, (long)pid,
                     start, space);
        known.pid = pid;
    }
    memcpy(text, known.text, OWNER_SIZE);
}

/* The file appears with its text, or not at all; where the file system cannot do that, empty. */
int nsfd_make_name(const char *path, bool owned)
{
    char text[OWNER_SIZE] = "", link[32];
    cleanup_fd int fd = -1;

    if (owned)
        describe_self(text);
    if (*text)
        fd = open(NETNS_RUN_DIR, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0);
    if (fd < 0) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
        return fd >= 0 ? 0 : -errno;
    }
    if (write(fd, text, strlen(text)) < 0)
        return -errno;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

/* Does the text say that its process is dead, for certain? */
static bool is_orphan(const char *text)
{
    uint64_t start, space, now;
    long pid;

    if (sscanf(text, MARK " %ld %" SCNu64 " %" SCNu64, &pid, &start, &space) != 3)
        return false;
    if (space != pid_namespace())
        return false;
    now = start_of((pid_t)pid);
    return now != start && now != UNKNOWN;
}

/* The file under the name's mount, into *st and text; 0, -ENOENT where there is none, -errno. */
static int look_under(const char *name, struct stat *st, char text[OWNER_SIZE])
{
    cleanup_fd int tree =
        (int)syscall(SYS_open_tree, AT_FDCWD, NETNS_RUN_DIR, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    cleanup_fd int fd = -1;
    ssize_t len;

    if (tree < 0)
        return errno == ENOSYS ? -ENOENT : -errno;
    fd = openat(tree, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP ? -ENOENT : -errno;
    if (fstat(fd, st) != 0)
        return -errno;
    len = S_ISREG(st->st_mode) ? read(fd, text, OWNER_SIZE - 1) : 0;
    text[len > 0 ? len : 0] = '\0';
    return len < 0 ? -errno : 0;
}

int nsfd_sweep_name(const char *name, struct nserr *e)
{
    char path[sizeof(NETNS_RUN_DIR) + 1 + NETNS_NAME_MAX], text[OWNER_SIZE];
    struct stat under, again, top;
    int err = look_under(name, &under, text);

    if (!err && !is_orphan(text))
        return 0;
    snprintf(path, sizeof(path), "%s/%s", NETNS_RUN_DIR, name);
    if (!err && lstat(path, &top) != 0)
        err = -errno;
    if (!err)
        err = look_under(name, &again, text);
    if (err)
        return err == -ENOENT ? 0 : nserr_sys(e, -err, "sweep", "%s", name);
    if (again.st_ino != under.st_ino)
        return 0; /* it is another one's by now */
    err = nsfd_unpin_if(name, top.st_dev, top.st_ino, e);
    return err ? err : 1;
}
