/* SPDX-License-Identifier: MIT
 * netns.Record: what a named lab leaves for others to find, held by a lock while its owner lives.
 *
 * Theory of operation: a record is a file in RECORDS_DIR that says what the lab made. Its owner
 * holds a flock(2) on it, which the kernel lets go when the owner dies, in whatever way; who gets
 * the lock of a record may therefore remove what it lists. A file may be unlinked between open
 * and flock: then it is opened anew. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "l_core.h"

#define L_RECORD    "netns.Record"
#define RECORDS_DIR "/run/lua-netns"

struct l_record {
    int fd; /* -1: closed */
    char path[sizeof(RECORDS_DIR) + 1 + NETNS_NAME_MAX];
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
        if (flock(record->fd, LOCK_EX | LOCK_NB) != 0) {
            int code = errno;
            close_fd(&record->fd);
            return code == EWOULDBLOCK ? 0 : -code;
        }
        if (fstat(record->fd, &ours) == 0 && lstat(record->path, &there) == 0 &&
            ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
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

/* core.record(name, create): the Record, locked; nil where somebody else holds it. */
static int l_record_lock(lua_State *L)
{
    struct l_record *record;
    struct nserr e;
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    int create = lua_toboolean(L, 2), got;

    if (nsfd_check_name(name, len, &e) != 0)
        return l_raise(L, &e);
    record = l_object(L, sizeof(*record), L_RECORD, 0);
    record->fd = -1;
    snprintf(record->path, sizeof(record->path), "%s/%s", RECORDS_DIR, name);
    if (create && mkdir(RECORDS_DIR, 0755) != 0 && errno != EEXIST)
        return raise(L, errno, "mkdir", RECORDS_DIR);
    got = open_locked(record, create ? O_CREAT : 0);
    if (got < 0)
        return raise(L, -got, "record", record->path);
    if (got == 0)
        lua_pushnil(L);
    return 1;
}

/* record:write(text): in place of what it said. */
static int l_record_write(lua_State *L)
{
    struct l_record *record = check_record(L);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);

    if (pwrite(record->fd, text, len, 0) != (ssize_t)len || ftruncate(record->fd, (off_t)len) != 0)
        return raise(L, errno ? errno : EIO, "record write", record->path);
    return 0;
}

/* record:remove(): the file, then the lock. */
static int l_record_remove(lua_State *L)
{
    struct l_record *record = check_record(L);

    unlink(record->path);
    close_fd(&record->fd);
    return 0;
}

static int l_record_close(lua_State *L)
{
    struct l_record *record = luaL_checkudata(L, 1, L_RECORD);

    close_fd(&record->fd);
    return 0;
}

/* core.read_record(name): its text without its lock, or nil. */
static int l_record_read(lua_State *L)
{
    char path[sizeof(RECORDS_DIR) + 1 + NETNS_NAME_MAX];
    struct l_record *record;
    struct nserr e;
    luaL_Buffer b;
    size_t len;
    ssize_t got;
    const char *name = luaL_checklstring(L, 1, &len);

    if (nsfd_check_name(name, len, &e) != 0)
        return l_raise(L, &e);
    snprintf(path, sizeof(path), "%s/%s", RECORDS_DIR, name);
    record = l_object(L, sizeof(*record), L_RECORD, 0);
    record->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (record->fd < 0) {
        lua_pushnil(L);
        return 1;
    }
    luaL_buffinit(L, &b);
    while ((got = read(record->fd, luaL_prepbuffer(&b), LUAL_BUFFERSIZE)) > 0)
        luaL_addsize(&b, (size_t)got);
    luaL_pushresult(&b);
    close_fd(&record->fd);
    return 1;
}

/* core.records(): names of all records. */
static int l_records_list(lua_State *L)
{
    DIR *dir;
    struct dirent *entry;
    lua_Integer n = 0;

    lua_settop(L, 0);
    dir = l_dir_open(L, RECORDS_DIR);
    lua_newtable(L);
    while (dir && (entry = readdir(dir)) != NULL) {
        if (*entry->d_name == '.')
            continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++n);
    }
    l_dir_close(L, 1);
    return 1;
}

void l_record_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"record", l_record_lock},
                                         {"read_record", l_record_read},
                                         {"records", l_records_list},
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
