/* SPDX-License-Identifier: MIT
 * The view a command gets between fork and exec, as `ip netns exec` gives it (ip-netns(8)):
 * its own /sys, and /etc/netns/NAME/FILE bound over /etc/FILE; and an /etc/hosts of ours.
 *
 * Theory of operation: the text of /etc/hosts is written to a tmpfs that stands for a moment where
 * the new /sys will be. Bound over /etc/hosts, the file outlives that mount; it is in this mount
 * namespace only, so that nothing is left of it when the last process is gone.
 *
 * Everything here is async-signal-safe: the caller may be a vfork child that shares the host
 * program's memory. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "nsfd.h"

#define ETC_NETNS "/etc/netns/"

/* dst = a + b + c; 0 if it fits. snprintf is not async-signal-safe. */
static int join(char *dst, size_t size, const char *a, const char *b, const char *c)
{
    size_t la = strlen(a), lb = strlen(b), lc = strlen(c);

    if (la + lb + lc >= size)
        return -ENAMETOOLONG;
    memcpy(dst, a, la);
    memcpy(dst + la, b, lb);
    memcpy(dst + la + lb, c, lc + 1);
    return 0;
}

#define STAGED_HOSTS "/sys/hosts"

static int write_file(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), err = 0;

    if (fd < 0)
        return -errno;
    while (!err && len > 0) {
        ssize_t done = write(fd, text, len);
        if (done < 0 && errno != EINTR)
            err = -errno;
        text += done > 0 ? done : 0;
        len -= done > 0 ? (size_t)done : 0;
    }
    fchmod(fd, 0644); /* whatever the umask is */
    close(fd);
    return err;
}

/* With /sys taken away. An /etc without hosts cannot have one. */
static int own_hosts(const struct nsfd_view *view, const char **step)
{
    int err;

    if (!view->hosts)
        return 0;
    *step = "put /etc/hosts in place";
    if (mount("netns", "/sys", "tmpfs", 0, "mode=755") != 0)
        return -errno;
    err = write_file(STAGED_HOSTS, view->hosts, view->hosts_len);
    if (!err && mount(STAGED_HOSTS, "/etc/hosts", "none", MS_BIND, NULL) != 0 && errno != ENOENT)
        err = -errno;
    if (!err && umount2("/sys", MNT_DETACH) != 0)
        err = -errno;
    return err;
}

static int own_mounts(const struct nsfd_view *view, const char **step)
{
    struct statvfs fs;
    unsigned long flags = 0;
    int err;

    *step = "unshare the mount namespace";
    if (unshare(CLONE_NEWNS) != 0)
        return -errno;
    *step = "make / a slave mount";
    if (mount("", "/", "none", MS_SLAVE | MS_REC, NULL) != 0)
        return -errno;
    if (statvfs("/sys", &fs) == 0 && (fs.f_flag & ST_RDONLY))
        flags = MS_RDONLY;
    umount2("/sys", MNT_DETACH);
    err = own_hosts(view, step);
    if (err)
        return err;
    *step = "mount the namespace's own /sys";
    return mount("netns", "/sys", "sysfs", flags, NULL) == 0 ? 0 : -errno;
}

static int bind_entry(const char *from_dir, const char *name)
{
    char from[sizeof(ETC_NETNS) + 2 * NETNS_NAME_MAX + 2], to[NETNS_NAME_MAX + 8];

    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return 0;
    if (join(from, sizeof(from), from_dir, "/", name) || join(to, sizeof(to), "/etc/", name, ""))
        return -ENAMETOOLONG;
    /* A file that /etc does not have cannot be covered: skipped, as ip does with a remark. */
    if (mount(from, to, "none", MS_BIND, NULL) != 0 && errno != ENOENT)
        return -errno;
    return 0;
}

static int bind_etc(const char *name, const char **step)
{
    char dir[sizeof(ETC_NETNS) + NETNS_NAME_MAX + 1];
    _Alignas(struct dents_entry) char buf[4096];
    int err = 0, fd;
    long len;

    *step = "bind the files of /etc/netns";
    if (join(dir, sizeof(dir), ETC_NETNS, name, ""))
        return -ENAMETOOLONG;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    while (!err && (len = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
        for (long at = 0; !err && at < len;) {
            struct dents_entry *entry = (struct dents_entry *)(buf + at);
            err = bind_entry(dir, entry->name);
            at += entry->reclen;
        }
    }
    close(fd);
    return err;
}

int nsfd_child_mounts(const struct nsfd_view *view, const char **step)
{
    int err = own_mounts(view, step);

    return err || !view->name || !*view->name ? err : bind_etc(view->name, step);
}
