/* SPDX-License-Identifier: MIT
 * The arguments of ns:run and ns:spawn. */
#include <fcntl.h>
#include <lualib.h> /* LUA_FILEHANDLE's luaL_Stream */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "l_process.h"

enum { NS = 1, ARGV, OPTS };

/* Push an option, raw as all of them are read; its type. */
static int push_opt(lua_State *L, const char *key)
{
    if (!lua_istable(L, OPTS)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    lua_pushstring(L, key);
    return lua_rawget(L, OPTS);
}

/* argv -------------------------------------------------------------------------------------- */

static void check_argv_keys(lua_State *L, const char *op, lua_Integer count)
{
    for (lua_pushnil(L); lua_next(L, ARGV); lua_pop(L, 1)) {
        int is_int;
        lua_Integer i = lua_tointegerx(L, -2, &is_int);

        if (lua_type(L, -2) == LUA_TNUMBER && is_int && i >= 1 && i <= count)
            continue;
        if (lua_type(L, -2) == LUA_TSTRING)
            l_misuse(L, "%s: unexpected key \"%s\" in argv (options go into a table of their own)",
                     op, lua_tostring(L, -2));
        l_misuse(L, "%s: argv must be a sequence, but has the key %s", op,
                 luaL_tolstring(L, -2, NULL));
    }
}

/* The string or number on top as C text; it must stay where it is. */
static const char *text_at_top(lua_State *L, const char *op, const char *what)
{
    size_t len;
    const char *text;

    if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
        l_misuse(L, "%s: %s must be a string, got %s", op, what, luaL_typename(L, -1));
    text = lua_tolstring(L, -1, &len);
    if (strlen(text) != len)
        l_misuse(L, "%s: %s must not contain NUL bytes", op, what);
    return text;
}

/* Pushes the table that keeps the strings and the array, which it returns. */
static char **read_argv(lua_State *L, const char *op)
{
    lua_Integer count;
    const char **argv;
    char what[40];

    if (lua_type(L, ARGV) == LUA_TSTRING)
        l_misuse(L,
                 "%s: argv must be a table such as {\"ping\", \"-c1\", \"10.0.0.2\"}, got a string "
                 "(for a shell: {\"sh\", \"-c\", \"...\"})",
                 op);
    if (!lua_istable(L, ARGV))
        l_misuse(L, "%s: argv must be a table such as {\"ping\", \"-c1\", \"10.0.0.2\"}, got %s",
                 op, luaL_typename(L, ARGV));
    count = (lua_Integer)lua_rawlen(L, ARGV);
    check_argv_keys(L, op, count);
    if (count == 0)
        l_misuse(L, "%s: argv must not be empty", op);
    lua_createtable(L, (int)count, 0);
    argv = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof(*argv), 0);
    for (lua_Integer i = 1; i <= count; i++) {
        snprintf(what, sizeof(what), "argv[%lld]", (long long)i);
        lua_rawgeti(L, ARGV, i);
        argv[i - 1] = text_at_top(L, op, what);
        lua_rawseti(L, -3, i);
    }
    argv[count] = NULL;
    if (!*argv[0])
        l_misuse(L, "%s: argv[1] must name a program, got \"\"", op);
    return (char **)argv;
}

/* The environment ----------------------------------------------------------------------------- */

/* Checks the pair on top; pushes "KEY=VALUE", or nil for one that is to be left out. */
static void push_pair(lua_State *L, const char *op)
{
    const char *key, *value;
    char what[80];
    size_t len;

    if (lua_type(L, -2) != LUA_TSTRING)
        l_misuse(L, "%s: env must map names to values, but has the key %s", op,
                 luaL_tolstring(L, -2, NULL));
    key = lua_tolstring(L, -2, &len);
    if (len == 0 || strlen(key) != len || strchr(key, '='))
        l_misuse(L, "%s: env has an impossible name, \"%s\" (empty, or with \"=\" or NUL)", op,
                 key);
    if (lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        lua_pushnil(L);
        return;
    }
    snprintf(what, sizeof(what), "env.%s", key);
    lua_pushvalue(L, -1); /* converted in place: not the one lua_next goes by */
    value = text_at_top(L, op, what);
    lua_pushfstring(L, "%s=%s", key, value);
    lua_remove(L, -2);
}

/* Whether the table at idx has something to say about NAME=... */
static bool is_overridden(lua_State *L, int idx, const char *pair)
{
    bool found;

    lua_pushlstring(L, pair, strcspn(pair, "="));
    found = lua_rawget(L, idx) != LUA_TNIL;
    lua_pop(L, 1);
    return found;
}

static size_t length_of(char *const *list)
{
    size_t count = 0;

    while (list[count])
        count++;
    return count;
}

/* The host's environment with `env` laid over it; pushes what keeps it. */
static char **read_env(lua_State *L, const char *op)
{
    bool clear = l_opt_bool(L, OPTS, op, "clear_env", 0);
    size_t count = clear || !environ ? 0 : length_of(environ), more = 0, n = 0;
    int env, keep;
    char **list;

    if (push_opt(L, "env") == LUA_TNIL) {
        if (!clear && environ)
            return environ;
        lua_newtable(L);
    } else if (!lua_istable(L, -1)) {
        l_misuse(L, "%s: env must be a table of names and values, got %s", op,
                 luaL_typename(L, -1));
    }
    env = lua_gettop(L);
    lua_newtable(L);
    keep = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, env); lua_pop(L, 1)) {
        push_pair(L, op);
        if (lua_isnil(L, -1))
            lua_pop(L, 1);
        else
            lua_rawseti(L, keep, (lua_Integer)++more);
    }
    list = lua_newuserdatauv(L, (count + more + 1) * sizeof(*list), 0);
    for (size_t i = 0; i < count && environ[i]; i++)
        if (!is_overridden(L, env, environ[i]))
            list[n++] = environ[i];
    for (size_t i = 1; i <= more; i++) {
        lua_rawgeti(L, keep, (lua_Integer)i);
        list[n++] = (char *)lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    list[n] = NULL;
    return list;
}

/* The standard streams --------------------------------------------------------------------------
 */

static const char *const stream_names[] = {"stdin", "stdout", "stderr"};

static void read_fd(lua_State *L, const char *op, const char *name, struct l_stdio *s)
{
    int is_int;
    lua_Integer fd = lua_tointegerx(L, -1, &is_int);

    if (!is_int || fd < 0 || fd > INT32_MAX)
        l_misuse(L, "%s: %s must be a file descriptor from 0 up, got %s", op, name,
                 lua_tostring(L, -1));
    if (fcntl((int)fd, F_GETFD) < 0)
        l_misuse(L, "%s: %s: file descriptor %d is not open", op, name, (int)fd);
    *s = (struct l_stdio){.kind = STDIO_FD, .fd = (int)fd};
}

/* What the host has written is to come out first. */
static void read_handle(lua_State *L, const char *op, const char *name, struct l_stdio *s)
{
    luaL_Stream *stream = lua_touserdata(L, -1);

    if (!stream->closef)
        l_misuse(L, "%s: %s is a closed file", op, name);
    if (strcmp(name, "stdin") != 0)
        fflush(stream->f);
    *s = (struct l_stdio){.kind = STDIO_FD, .fd = fileno(stream->f)};
}

/* { file = path, append = boolean }; the path stays on the stack. */
static void read_file(lua_State *L, const char *op, const char *name, struct l_stdio *s)
{
    static const char *const out_keys[] = {"file", "append", NULL}, *const in_keys[] = {"file",
                                                                                        NULL};
    int idx = lua_gettop(L);
    const char *where = lua_pushfstring(L, "%s: %s", op, name);

    l_check_keys(L, idx, where, strcmp(name, "stdin") ? out_keys : in_keys);
    *s = (struct l_stdio){.kind = STDIO_FILE};
    s->append = l_opt_bool(L, idx, where, "append", 0);
    s->text = l_opt_str(L, idx, where, "file");
    if (!s->text || !*s->text)
        l_misuse(L, "%s: file must be a path", where);
}

/* What can be given for all three. False: something else. */
static bool read_common(lua_State *L, const char *op, const char *name, struct l_stdio *s)
{
    if (lua_type(L, -1) == LUA_TNUMBER)
        read_fd(L, op, name, s);
    else if (lua_istable(L, -1))
        read_file(L, op, name, s);
    else if (luaL_testudata(L, -1, LUA_FILEHANDLE))
        read_handle(L, op, name, s);
    else
        return false;
    return true;
}

/* Pushes the value, and what keeps it. */
static void read_stdin(lua_State *L, struct l_spawn_args *args)
{
    struct l_stdio *s = &args->stdio[0];
    int type = push_opt(L, "stdin");

    if (type == LUA_TSTRING) {
        *s = (struct l_stdio){.kind = STDIO_TEXT};
        s->idx = lua_gettop(L);
        s->text = lua_tolstring(L, -1, &s->len);
    } else if (type == LUA_TNIL || type == LUA_TBOOLEAN) {
        bool open = type == LUA_TNIL ? !args->run : lua_toboolean(L, -1);
        if (open && args->run)
            l_misuse(L, "run: stdin = true needs somebody to write: use spawn, or give the text");
        *s = (struct l_stdio){.kind = open ? STDIO_PIPE : STDIO_NULL};
    } else if (!read_common(L, args->op, "stdin", s)) {
        l_misuse(L,
                 "%s: stdin must be text, false (nothing)%s, {file = path}, a file descriptor or "
                 "an open file, got %s",
                 args->op, args->run ? "" : ", true (a pipe)", luaL_typename(L, -1));
    }
}

/* A word: "capture", "inherit", "discard", and for stderr "stdout". */
static bool read_word(const char *word, int i, struct l_stdio *s)
{
    if (!strcmp(word, "capture")) {
        *s = (struct l_stdio){.kind = STDIO_PIPE};
    } else if (!strcmp(word, "discard")) {
        *s = (struct l_stdio){.kind = STDIO_NULL};
    } else if (!strcmp(word, "inherit")) {
        fflush(i == 1 ? stdout : stderr);
        *s = (struct l_stdio){.kind = STDIO_FD, .fd = i};
    } else if (i == 2 && !strcmp(word, "stdout")) {
        *s = (struct l_stdio){.kind = STDIO_MERGE};
    } else {
        return false;
    }
    return true;
}

static void read_output(lua_State *L, struct l_spawn_args *args, int i)
{
    static const char *const words[] = {"capture", "inherit", "discard", "stdout"};
    const char *name = stream_names[i], *got;
    int type = push_opt(L, name);
    char hint[80] = "";

    if (type == LUA_TNIL) {
        args->stdio[i] = (struct l_stdio){.kind = STDIO_PIPE};
        return;
    }
    if (type == LUA_TSTRING ? read_word(lua_tostring(L, -1), i, &args->stdio[i])
                            : read_common(L, args->op, name, &args->stdio[i]))
        return;
    if (type == LUA_TSTRING) {
        got = lua_tostring(L, -1);
        nserr_hint(hint, sizeof(hint), got, words, i == 2 ? 4 : 3);
        got = lua_pushfstring(L, "\"%s\"", got);
    } else {
        got = luaL_typename(L, -1);
    }
    l_misuse(L,
             "%s: %s must be \"capture\", \"inherit\", \"discard\"%s, {file = path}, a file "
             "descriptor or an open file, got %s%s",
             args->op, name, i == 2 ? ", \"stdout\"" : "", got, hint);
}

/* What /etc/hosts is to say in the namespace: asked of who has set it, with core.hosts. Pushes what
 * keeps the text. */
static void read_hosts(lua_State *L, struct nsfd_view *view)
{
    if (lua_getiuservalue(L, NS, L_NS_HOSTS) != LUA_TFUNCTION)
        return;
    lua_pushvalue(L, NS);
    lua_call(L, 1, 1);
    if (lua_type(L, -1) == LUA_TSTRING)
        view->hosts = lua_tolstring(L, -1, &view->hosts_len);
}

void l_spawn_args(lua_State *L, struct l_spawn_args *args)
{
#define BOTH                                                                                       \
    "env", "clear_env", "cwd", "stdin", "stdout", "stderr", "timeout", "check", "mounts", "detach"
    static const char *const run_keys[] = {BOTH, NULL}, *const spawn_keys[] = {BOTH, "ready", NULL};
#undef BOTH
    const char *op = args->op;
    struct spawn_request *request = &args->request;

    args->ns = l_ns_check(L, NS);
    request->view.name = args->ns->name;
    request->argv = read_argv(L, op);
    l_check_keys(L, OPTS, op, args->run ? run_keys : spawn_keys);
    request->envp = read_env(L, op);
    request->cwd = l_opt_str(L, OPTS, op, "cwd");
    request->mounts = l_opt_bool(L, OPTS, op, "mounts", 1);
    if (request->mounts)
        read_hosts(L, &request->view);
    request->detached = l_opt_bool(L, OPTS, op, "detach", 0);
    if (args->run && request->detached)
        l_misuse(L, "run: detach is for spawn: run waits for the end");
    args->timeout = l_opt_number(L, OPTS, op, "timeout", -1, 0, HUGE_VAL);
    args->check = l_opt_bool(L, OPTS, op, "check", 0);
    read_stdin(L, args);
    read_output(L, args, 1);
    read_output(L, args, 2);
}
