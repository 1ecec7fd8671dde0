// SPDX-License-Identifier: MIT
/* threads THREADS SECONDS SCRIPT: a Lua state in each of many threads, and several in one.
 *
 * Each thread runs the script again and again until the time is over, in a new state every third
 * time, while the others do the same. Then one thread has several states at once, which take turns.
 * At the end the process has what it had at its start. */
#include <dirent.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64
#define RUNS_STATE  3 /* runs in one state */
#define STATES      4 /* in one thread */
#define TURNS       3

struct worker {
    pthread_t thread;
    int number;
    long runs;
    bool failed;
};

static const char *script;
static time_t deadline;

#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer does not know this one (GCC 12), and so takes what the mutex protects for
 * unprotected: here it is one that it knows. */
int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    struct timespec now, real;
    long long left;

    clock_gettime(clock, &now);
    clock_gettime(CLOCK_REALTIME, &real);
    left =
        (until->tv_sec - now.tv_sec) * 1000000000LL + until->tv_nsec - now.tv_nsec + real.tv_nsec;
    real.tv_sec += left / 1000000000;
    real.tv_nsec = left % 1000000000;
    if (left < 0)
        real = (struct timespec){0, 0};
    return pthread_mutex_timedlock(mutex, &real);
}

int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);

/* Its own clone takes a child that shares our memory for one that has a copy, and looks away from
 * then on: glibc's, by its other name. */
int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
    void *rest[3];
    va_list ap;

    va_start(ap, arg);
    for (int i = 0; i < 3; i++)
        rest[i] = va_arg(ap, void *);
    va_end(ap);
    return __clone(fn, stack, flags, arg, rest[0], rest[1], rest[2]);
}
#endif

static void *nothing(void *arg)
{
    return arg;
}

static ino_t own_namespace(void)
{
    struct stat st;

    return stat("/proc/thread-self/ns/net", &st) == 0 ? st.st_ino : 0;
}

static lua_State *new_state(void)
{
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    if (luaL_loadfile(L, script) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(1);
    }
    return L; /* with the chunk at 1 */
}

/* Run the chunk with a number of its own; false and a message where it fails. */
static bool run(lua_State *L, int number, long turn)
{
    ino_t home = own_namespace();
    bool ok;

    lua_pushvalue(L, 1);
    lua_pushinteger(L, number);
    lua_pushinteger(L, turn);
    ok = lua_pcall(L, 2, 0, 0) == LUA_OK;
    if (!ok)
        fprintf(stderr, "thread %d: %s\n", number, luaL_tolstring(L, -1, NULL));
    lua_settop(L, 1);
    if (own_namespace() != home) {
        fprintf(stderr, "thread %d is in another namespace\n", number);
        ok = false;
    }
    return ok;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    lua_State *L = new_state();

    do {
        w->failed |= !run(L, w->number, w->runs);
        if (++w->runs % RUNS_STATE == 0) {
            lua_close(L);
            L = new_state();
        }
    } while (!w->failed && time(NULL) < deadline);
    lua_close(L);
    return NULL;
}

/* States that live side by side in this thread, and end in another order than they began. */
static bool many_states(void)
{
    lua_State *states[STATES];
    bool ok = true;

    for (int i = 0; i < STATES; i++)
        states[i] = new_state();
    for (int turn = 0; turn < TURNS; turn++)
        for (int i = 0; i < STATES; i++)
            ok = run(states[i], 100 + i, turn) && ok;
    for (int i = 0; i < STATES; i++) {
        lua_close(states[(i + 2) % STATES]);
        states[(i + 2) % STATES] = NULL;
        if (states[(i + 3) % STATES])
            ok = run(states[(i + 3) % STATES], 100 + (i + 3) % STATES, TURNS) && ok;
    }
    return ok;
}

static int count(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS_MAX];
    int threads = argc > 1 ? atoi(argv[1]) : 0, failed = 0, fds, names, tasks;
    long runs = 0;

    if (argc != 4 || threads < 1 || threads > THREADS_MAX)
        return 2;
    script = argv[3];
    if (!run(new_state(), 0, 0)) /* what is made once is there */
        return 1;
    /* the first one brings a thread of the sanitizer with it */
    if (pthread_create(&workers[0].thread, NULL, nothing, NULL) == 0)
        pthread_join(workers[0].thread, NULL);
    fds = count("/proc/self/fd");
    names = count("/run/netns");
    tasks = count("/proc/self/task");
    deadline = time(NULL) + atoi(argv[2]);
    for (int i = 0; i < threads; i++) {
        workers[i].number = i + 1;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return 1;
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        runs += workers[i].runs;
        failed += workers[i].failed;
    }
    failed += !many_states();
    fds -= count("/proc/self/fd");
    names -= count("/run/netns");
    tasks -= count("/proc/self/task");
    printf("%d threads, %ld labs built and closed; left behind: %d descriptors, %d names, %d "
           "threads\n",
           threads, runs, -fds, -names, -tasks);
    return failed || fds || names || tasks;
}
