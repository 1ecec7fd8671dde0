/* SPDX-License-Identifier: MIT
 * The view a command gets between fork and exec, as `ip netns exec` gives it (ip-netns(8)):
 * its own /sys, and /etc/netns/NAME/FILE bound over /etc/FILE.
 *
 * Everything here is async-signal-safe: the caller may be a vfork child that shares the host
 * program's memory. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
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

static int own_sys(const char **step)
{
    struct statvfs fs;
    unsigned long flags = 0;

    *step = "unshare the mount namespace";
    if (unshare(CLONE_NEWNS) != 0)
        return -errno;
    *step = "make / a slave mount";
    if (mount("", "/", "none", MS_SLAVE | MS_REC, NULL) != 0)
        return -errno;
    *step = "mount the namespace's own /sys";
    if (statvfs("/sys", &fs) == 0 && (fs.f_flag & ST_RDONLY))
        flags = MS_RDONLY;
    umount2("/sys", MNT_DETACH);
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

int nsfd_child_mounts(const char *name, const char **step)
{
    int err = own_sys(step);

    return err || !name || !*name ? err : bind_etc(name, step);
}
