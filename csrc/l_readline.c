/* SPDX-License-Identifier: MIT
 * core.readline: completion and history of the prompt, where the interpreter has GNU readline.
 *
 * Theory of operation: the interpreter's own prompt stays. If it is linked with readline,
 * readline's symbols are there in the process; they are looked up, never linked, so that every
 * other host is spared of them. Readline calls back while the interpreter waits for a line, in its
 * main thread. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "l_core.h"

typedef char *generator_fn(const char *text, int state);

/* What of readline is used; NULL where the host has none. */
static struct {
    char **line_buffer, *(*readline)(const char *);
    char **(**attempted)(const char *text, int start, int end);
    char **(*matches)(const char *text, generator_fn *generator);
    int (**startup)(void);
    int *append_character, *attempted_over, *inhibit;
    const char **breaks, **name;
    int (*read_history)(const char *path), (*write_history)(const char *path);
    void (*stifle_history)(int max);
} rl;

static lua_State *owner;          /* whose completions are asked for; NULL: nobody's */
static const char completer_key;  /* its address names the function in the registry */
static const char candidates_key; /* and this what it gave */

static bool look_up(void)
{
    // clang-format off
    const struct { void *to; const char *name; } symbols[] = {
        {&rl.line_buffer, "rl_line_buffer"},
        {&rl.attempted, "rl_attempted_completion_function"},
        {&rl.matches, "rl_completion_matches"},
        {&rl.startup, "rl_startup_hook"},
        {&rl.append_character, "rl_completion_append_character"},
        {&rl.attempted_over, "rl_attempted_completion_over"},
        {&rl.inhibit, "rl_inhibit_completion"},
        {&rl.breaks, "rl_completer_word_break_characters"},
        {&rl.name, "rl_readline_name"},
        {&rl.readline, "readline"},
        {&rl.read_history, "read_history"},
        {&rl.write_history, "write_history"},
        {&rl.stifle_history, "stifle_history"},
    };
    // clang-format on

    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        void *address = dlsym(RTLD_DEFAULT, symbols[i].name);

        if (!address)
            return false;
        memcpy(symbols[i].to, &address, sizeof(address));
    }
    return true;
}

/* The candidate number `state` as malloc'ed text, which readline frees; NULL after the last. */
static char *next_candidate(const char *text, int state)
{
    static lua_Integer number;
    char *copy = NULL;

    (void)text;
    number = state ? number + 1 : 1;
    if (lua_rawgetp(owner, LUA_REGISTRYINDEX, &candidates_key) == LUA_TTABLE) {
        if (lua_rawgeti(owner, -1, number) == LUA_TSTRING)
            copy = strdup(lua_tostring(owner, -1));
        lua_pop(owner, 1);
    }
    lua_pop(owner, 1);
    return copy;
}

/* complete(line up to the cursor, where the word begins): a list of what the word may become. An
 * error in it is no completion. */
static char **complete(const char *text, int start, int end)
{
    *rl.attempted_over = 1; /* not the names of files */
    *rl.append_character = 0;
    if (!owner || !lua_checkstack(owner, 10))
        return NULL;
    lua_rawgetp(owner, LUA_REGISTRYINDEX, &completer_key);
    lua_pushlstring(owner, *rl.line_buffer, (size_t)end);
    lua_pushinteger(owner, start + 1);
    if (lua_pcall(owner, 2, 1, 0) != LUA_OK) {
        lua_pop(owner, 1);
        return NULL;
    }
    lua_rawsetp(owner, LUA_REGISTRYINDEX, &candidates_key);
    return rl.matches(text, next_candidate);
}

/* The interpreter may have said otherwise since. */
static int before_line(void)
{
    *rl.inhibit = 0;
    return 0;
}

/* core.readline.install(fn): true, or false where the interpreter has no readline. */
static int l_readline_install(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    if (!look_up()) {
        lua_pushboolean(L, 0);
        return 1;
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &completer_key);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    owner = lua_tothread(L, -1);
    *rl.breaks = " \t\n\"\\'><=;+-*/%^~#{}()[],|&";
    *rl.attempted = complete;
    *rl.startup = before_line;
    lua_pushboolean(L, 1);
    return 1;
}

/* core.readline.load(path) and save(path): the history; 0 or errno. */
static int l_readline_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);

    lua_pushinteger(L, look_up() ? rl.read_history(path) : ENOSYS);
    return 1;
}

/* The folders that lead to the file, for their user only. Failures show when it is written. */
static void make_folders(const char *path)
{
    char part[PATH_MAX];

    for (const char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        if ((size_t)(at - path) >= sizeof(part))
            return;
        memcpy(part, path, (size_t)(at - path));
        part[at - path] = '\0';
        mkdir(part, 0700);
    }
}

static int l_readline_save(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);

    if (!look_up()) {
        lua_pushinteger(L, ENOSYS);
        return 1;
    }
    if (*path)
        make_folders(path);
    rl.stifle_history((int)luaL_optinteger(L, 2, 1000));
    lua_pushinteger(L, rl.write_history(path));
    return 1;
}

/* The state is about to be closed: readline must not call it any more. */
static int l_readline_leave(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    if (owner == lua_tothread(L, -1))
        owner = NULL;
    return 0;
}

void l_readline_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"install", l_readline_install},
                                         {"load", l_readline_load},
                                         {"save", l_readline_save},
                                         {"leave", l_readline_leave},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    lua_setfield(L, -2, "readline");
}
