/* SPDX-License-Identifier: MIT
 * Reading, writing and listing network sysctls.
 *
 * Theory of operation: what /proc/sys/net holds is decided when a path is looked up, by the
 * namespace of the thread that looks. So paths are opened inside; reading and writing the open
 * file can happen outside. A listing looks up many paths and stays inside until it has them. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "nsfd.h"
#include "sysctl.h"

#define ROOT      "/proc/sys/"
#define DEPTH_MAX 16

static int full_path(char out[PATH_MAX], const char *path, struct nserr *e)
{
    int len = snprintf(out, PATH_MAX, ROOT "%s", path);

    return len < PATH_MAX ? 0 : nserr_sys(e, ENAMETOOLONG, "sysctl", "%s", path);
}

static void rename_error(struct nserr *e, const char *op, const char *path)
{
    int code = e->code;

    nserr_sys(e, code, op, "%s", path);
}

static int read_all(int fd, struct bytes *out)
{
    ssize_t got;

    do {
        if (bytes_reserve(out, 4096) != 0)
            return -ENOMEM;
        got = read(fd, out->data + out->len, out->cap - out->len);
        if (got < 0)
            return -errno;
        out->len += (size_t)got;
    } while (got > 0);
    return 0;
}

static void chop(struct bytes *out, size_t from)
{
    if (out->len > from && out->data[out->len - 1] == '\n')
        out->len--;
}

int sysctl_read(int nsfd, const char *path, struct bytes *out, struct nserr *e)
{
    char full[PATH_MAX];
    cleanup_fd int fd = -1;
    int err = full_path(full, path, e);

    if (err)
        return err;
    fd = nsfd_open_inside(nsfd, full, O_RDONLY, e);
    if (fd < 0) {
        rename_error(e, "sysctl read", path);
        return fd;
    }
    out->len = 0;
    err = read_all(fd, out);
    if (err)
        return nserr_sys(e, -err, "sysctl read", "%s", path);
    chop(out, 0);
    return 0;
}

int sysctl_write(int nsfd, const char *path, const char *value, size_t len, struct nserr *e)
{
    char full[PATH_MAX];
    cleanup_fd int fd = -1;
    int err = full_path(full, path, e);

    if (err)
        return err;
    fd = nsfd_open_inside(nsfd, full, O_WRONLY, e);
    if (fd < 0) {
        rename_error(e, "sysctl write", path);
        return fd;
    }
    if (write(fd, value, len) < 0)
        return nserr_sys(e, errno, "sysctl write", "%s", path);
    return 0;
}

static int list_dir(char path[PATH_MAX], size_t len, int depth, struct bytes *out);

/* One entry: a directory is walked, a file's path and value appended. */
static int list_entry(char path[PATH_MAX], size_t len, const struct dirent *entry, int depth,
                      struct bytes *out)
{
    size_t name = strlen(entry->d_name), start = out->len;
    int fd, err;

    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || len + name + 2 > PATH_MAX)
        return 0;
    path[len] = '/';
    memcpy(path + len + 1, entry->d_name, name + 1);
    if (entry->d_type == DT_DIR)
        return list_dir(path, len + 1 + name, depth + 1, out);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return 0;
    err = bytes_append(out, path + strlen(ROOT), len + 1 + name + 1 - strlen(ROOT));
    start = out->len;
    if (!err)
        err = read_all(fd, out);
    close(fd);
    if (err && err != -ENOMEM) { /* write-only, or not to be read: left out */
        out->len = start - (len + 1 + name + 1 - strlen(ROOT));
        return 0;
    }
    chop(out, start);
    return err ? err : bytes_append(out, "", 1);
}

static int list_dir(char path[PATH_MAX], size_t len, int depth, struct bytes *out)
{
    struct dirent *entry;
    DIR *dir;
    int err = 0;

    path[len] = '\0';
    dir = depth < DEPTH_MAX ? opendir(path) : NULL;
    if (!dir)
        return depth == 0 ? -errno : 0;
    while (!err && (entry = readdir(dir)) != NULL)
        err = list_entry(path, len, entry, depth, out);
    closedir(dir);
    return err;
}

int sysctl_list(int nsfd, const char *path, struct bytes *out, struct nserr *e)
{
    struct nsfd_scope scope = NSFD_SCOPE_INIT;
    char full[PATH_MAX];
    int err = full_path(full, path, e);

    if (!err)
        err = nsfd_enter(&scope, nsfd, e);
    if (err)
        return err;
    out->len = 0;
    err = list_dir(full, strlen(full), 0, out);
    nsfd_leave(&scope);
    return err ? nserr_sys(e, -err, "sysctl list", "%s", path) : 0;
}
