/* SPDX-License-Identifier: MIT
 * netns.Record: what a named lab leaves for others to find, held by a lock while its owner lives.
 *
 * Theory of operation: a record is a file in RECORDS_DIR that says what the lab made. Its owner
 * holds a flock(2) on it, which the kernel lets go when the owner dies, in whatever way; who gets
 * the lock of a record may therefore remove what it lists. A file may be unlinked or replaced
 * between open and flock: then it is opened anew. Writing makes a new file, locked before it is
 * renamed over the old one, so that a reader, and whoever comes after an owner that was killed,
 * finds all of one text or all of the other. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "l_core.h"

#define L_RECORD    "netns.Record"
#define RECORDS_DIR "/run/lua-netns"
#define DRAFTS      ".new" /* a directory in it: files before they are renamed; no lab's name */

struct l_record {
    int fd; /* -1: closed */
    char path[sizeof(RECORDS_DIR) + 1 + NETNS_NAME_MAX];
    char draft[sizeof(RECORDS_DIR "/" DRAFTS) + 1 + NETNS_NAME_MAX];
};

static int raise(lua_State *L, int code, const char *op, const char *path)
{
    struct nserr e;

    nserr_sys(&e, code, op, "%s", path);
    return l_raise(L, &e);
}

/* 1: locked, 0: somebody else holds it, -errno. */
static int open_locked(struct l_record *record, int flags)
{
    struct stat ours, there;

    for (int tries = 0; tries < 100; tries++) {
        record->fd = open(record->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0644);
        if (record->fd < 0)
            return -errno;
        if (flock(record->fd, LOCK_EX | LOCK_NB) != 0 || fstat(record->fd, &ours) != 0) {
            int code = errno;
            close_fd(&record->fd);
            return code == EWOULDBLOCK ? 0 : -code;
        }
        if (lstat(record->path, &there) == 0 && ours.st_dev == there.st_dev &&
            ours.st_ino == there.st_ino)
            return 1;
        close_fd(&record->fd);
    }
    return -EAGAIN;
}

static struct l_record *check_record(lua_State *L)
{
    struct l_record *record = luaL_checkudata(L, 1, L_RECORD);

    luaL_argcheck(L, record->fd >= 0, 1, "the record is closed");
    return record;
}

/* The name of a lab as the argument at idx. */
static const char *check_lab(lua_State *L, int idx)
{
    struct nserr e;
    size_t len;
    const char *name = luaL_checklstring(L, idx, &len);

    if (nsfd_check_name(name, len, &e) != 0)
        l_raise(L, &e);
    if (!strcmp(name, DRAFTS))
        l_misuse(L, "a lab cannot be called \"%s\": the name is in use for records", DRAFTS);
    return name;
}

/* core.record(name, create): the Record, locked; nil where somebody else holds it, or where there
 * is none and create is false. */
static int l_record_lock(lua_State *L)
{
    struct l_record *record;
    const char *name = check_lab(L, 1);
    int create = lua_toboolean(L, 2), got;

    record = l_object(L, sizeof(*record), L_RECORD, 0);
    record->fd = -1;
    snprintf(record->path, sizeof(record->path), "%s/%s", RECORDS_DIR, name);
    snprintf(record->draft, sizeof(record->draft), "%s/%s/%s", RECORDS_DIR, DRAFTS, name);
    if (create && mkdir(RECORDS_DIR, 0755) != 0 && errno != EEXIST)
        return raise(L, errno, "mkdir", RECORDS_DIR);
    got = open_locked(record, create ? O_CREAT : 0);
    if (got < 0 && !(got == -ENOENT && !create))
        return raise(L, -got, "record", record->path);
    if (got != 1)
        lua_pushnil(L);
    return 1;
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, text, len);
        if (done < 0 && errno != EINTR)
            return -errno;
        text += done > 0 ? done : 0;
        len -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/* The draft in place of the file, with the lock on it. */
static int replace(struct l_record *record, const char *text, size_t len)
{
    cleanup_fd int fd =
        open(record->draft, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    int err;

    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
        return -errno;
    err = write_all(fd, text, len);
    if (err)
        return err;
    if (rename(record->draft, record->path) != 0)
        return -errno;
    close_fd(&record->fd);
    record->fd = fd;
    fd = -1;
    return 0;
}

/* record:write(text): in place of what it said, at once. */
static int l_record_write(lua_State *L)
{
    struct l_record *record = check_record(L);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    int err;

    if (mkdir(RECORDS_DIR "/" DRAFTS, 0755) != 0 && errno != EEXIST)
        return raise(L, errno, "mkdir", RECORDS_DIR "/" DRAFTS);
    err = replace(record, text, len);
    if (err) {
        unlink(record->draft);
        return raise(L, -err, "record write", record->path);
    }
    return 0;
}

/* record:remove(): the file, then the lock. Twice is fine. */
static int l_record_remove(lua_State *L)
{
    struct l_record *record = luaL_checkudata(L, 1, L_RECORD);
    int code = 0;

    if (record->fd < 0)
        return 0;
    unlink(record->draft);
    if (unlink(record->path) != 0 && errno != ENOENT)
        code = errno;
    close_fd(&record->fd);
    return code ? raise(L, code, "record remove", record->path) : 0;
}

static int l_record_close(lua_State *L)
{
    struct l_record *record = luaL_checkudata(L, 1, L_RECORD);

    close_fd(&record->fd);
    return 0;
}

/* core.read_record(name): its text without its lock, or nil where there is none. */
static int l_record_read(lua_State *L)
{
    char path[sizeof(RECORDS_DIR) + 1 + NETNS_NAME_MAX];
    struct l_record *record;
    luaL_Buffer b;
    ssize_t got;
    int code;

    snprintf(path, sizeof(path), "%s/%s", RECORDS_DIR, check_lab(L, 1));
    record = l_object(L, sizeof(*record), L_RECORD, 0);
    record->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (record->fd < 0 && errno != ENOENT)
        return raise(L, errno, "record read", path);
    if (record->fd < 0) {
        lua_pushnil(L);
        return 1;
    }
    luaL_buffinit(L, &b);
    do {
        char *room = luaL_prepbuffer(&b); /* may raise: errno is read after the call alone */
        got = read(record->fd, room, LUAL_BUFFERSIZE);
        code = errno;
        luaL_addsize(&b, got > 0 ? (size_t)got : 0);
    } while (got > 0 || (got < 0 && code == EINTR));
    close_fd(&record->fd);
    if (got < 0)
        return raise(L, code, "record read", path);
    luaL_pushresult(&b);
    return 1;
}

static int raise_list(lua_State *L, int code)
{
    return raise(L, code, "record list", RECORDS_DIR);
}

/* core.records(): names of all records. */
static int l_records_list(lua_State *L)
{
    DIR *dir;
    struct dirent *entry;
    lua_Integer n = 0;

    lua_settop(L, 0);
    dir = l_dir_open(L, RECORDS_DIR);
    if (!dir && errno != ENOENT)
        return raise_list(L, errno);
    lua_newtable(L);
    for (errno = 0; dir && (entry = readdir(dir)) != NULL; errno = 0) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
            !strcmp(entry->d_name, DRAFTS))
            continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++n);
    }
    if (dir && errno)
        return raise_list(L, errno);
    l_dir_close(L, 1);
    return 1;
}

/* core.sweep_name(name): true if it was one that a dead process left, and is gone now. */
static int l_sweep_name(lua_State *L)
{
    struct nserr e;
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    int swept = nsfd_check_name(name, len, &e);

    if (!swept)
        swept = nsfd_sweep_name(name, &e);
    if (swept < 0)
        return l_raise(L, &e);
    lua_pushboolean(L, swept);
    return 1;
}

void l_record_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"record", l_record_lock},
                                         {"read_record", l_record_read},
                                         {"records", l_records_list},
                                         {"sweep_name", l_sweep_name},
                                         {NULL, NULL}};
    static const luaL_Reg methods[] = {{"write", l_record_write},
                                       {"remove", l_record_remove},
                                       {"close", l_record_close},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", l_record_close}, {"__close", l_record_close}, {NULL, NULL}};

    l_class(L, L_RECORD, methods, meta);
    luaL_setfuncs(L, functions, 0);
}
