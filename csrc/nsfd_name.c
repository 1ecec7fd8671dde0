/* SPDX-License-Identifier: MIT
 * Names for network namespaces: bind mounts below /run/netns, one and the same thing as those of
 * `ip netns` (ip-netns(8)).
 *
 * Theory of operation: the directory is a shared mount, so that names appear in every mount
 * namespace that has it. Several creators may want to make it one at the same time; like current
 * iproute2 they take turns by flock on the directory. A name is an empty file made with O_EXCL,
 * then covered by the bind mount: killed between the two, a program leaves a plain file, which
 * both `ip netns del` and nsfd_unpin remove. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "nsfd.h"

struct name_path {
    char text[sizeof(NETNS_RUN_DIR) + 1 + NETNS_NAME_MAX];
};

static struct name_path path_of(const char *name)
{
    struct name_path path;

    snprintf(path.text, sizeof(path.text), "%s/%s", NETNS_RUN_DIR, name);
    return path;
}

int nsfd_check_name(const char *name, size_t len, struct nserr *e)
{
    if (len == 0)
        return nserr_arg(e, "a namespace name must not be empty");
    if (strlen(name) != len)
        return nserr_arg(e, "a namespace name must not contain NUL bytes");
    if (len > NETNS_NAME_MAX)
        return nserr_arg(e, "namespace name of %zu bytes is too long (at most %d)", len,
                         NETNS_NAME_MAX);
    if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return nserr_arg(e,
                         "invalid namespace name \"%s\": it becomes a file in %s, so it must "
                         "not be \".\", \"..\" or contain \"/\"",
                         name, NETNS_RUN_DIR);
    return 0;
}

/* NETNS_RUN_DIR exists and is a shared mount. */
static int prepare_dir(struct nserr *e)
{
    cleanup_fd int dir = -1;

    if (mkdir(NETNS_RUN_DIR, 0755) != 0 && errno != EEXIST)
        return nserr_sys(e, errno, "netns new", "mkdir %s", NETNS_RUN_DIR);
    if (mount("", NETNS_RUN_DIR, "none", MS_SHARED, NULL) == 0)
        return 0;
    dir = open(NETNS_RUN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || flock(dir, LOCK_EX) != 0)
        return nserr_sys(e, errno, "netns new", "lock %s", NETNS_RUN_DIR);
    if (mount("", NETNS_RUN_DIR, "none", MS_SHARED, NULL) == 0)
        return 0;          /* another creator was faster */
    if (errno == EINVAL && /* not a mount point yet */
        mount(NETNS_RUN_DIR, NETNS_RUN_DIR, "none", MS_BIND | MS_REC, NULL) == 0 &&
        mount("", NETNS_RUN_DIR, "none", MS_SHARED, NULL) == 0)
        return 0;
    return nserr_sys(e, errno, "netns new", "make %s a shared mount", NETNS_RUN_DIR);
}

int nsfd_pin(int fd, const char *name, bool owned, struct nserr *e)
{
    struct name_path path = path_of(name);
    char source[32];
    int err = prepare_dir(e);

    if (err)
        return err;
    err = nsfd_make_name(path.text, owned);
    if (err)
        return nserr_sys(e, -err, "netns new", "%s", name);
    snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
    if (mount(source, path.text, "none", MS_BIND, NULL) != 0) {
        err = nserr_sys(e, errno, "netns new", "%s (bind mount)", name);
        unlink(path.text);
        return err;
    }
    return 0;
}

int nsfd_unpin(const char *name, struct nserr *e)
{
    struct name_path path = path_of(name);

    /* EINVAL: a name left as a plain file; it goes all the same. */
    if (umount2(path.text, MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL)
        return nserr_sys(e, errno, "netns delete", "%s", name);
    if (unlink(path.text) != 0)
        return nserr_sys(e, errno, "netns delete", "%s", name);
    return 0;
}

int nsfd_unpin_if(const char *name, uint64_t dev, uint64_t ino, struct nserr *e)
{
    struct name_path path = path_of(name);
    struct stat st;

    if (lstat(path.text, &st) != 0)
        return errno == ENOENT ? 0 : nserr_sys(e, errno, "netns close", "%s", name);
    if (st.st_dev != dev || st.st_ino != ino)
        return 0; /* the name stands for another namespace by now */
    return nsfd_unpin(name, e);
}
