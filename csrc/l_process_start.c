/* SPDX-License-Identifier: MIT
 * Starting a process: its streams, its stdin text, the spawn. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "l_process.h"

static int open_pipe(struct l_process *p, int i)
{
    struct spawn_proc *proc = &p->proc;
    int ends[2], *ours = i == 0 ? &proc->in : i == 1 ? &proc->out.fd : &proc->err.fd;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    *ours = ends[i == 0];
    p->give[i] = ends[i != 0];
    p->captured[i] = i != 0;
    return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0 ? 0 : -errno;
}

static int open_file(struct l_process *p, int i, const char *path, bool append)
{
    int flags = i == 0 ? O_RDONLY : O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC);

    do {
        p->give[i] = open(path, flags | O_CLOEXEC, 0666);
    } while (p->give[i] < 0 && errno == EINTR);
    return p->give[i] < 0 ? -errno : 0;
}

/* Open what the child gets as stream i; request.fd[i] names it. */
static void open_stream(lua_State *L, struct l_process *p, struct l_spawn_args *args, int i)
{
    const struct l_stdio *s = &args->stdio[i];
    const char *path = s->kind == STDIO_FILE ? s->text : "/dev/null";
    int err = 0, *fd = &args->request.fd[i];
    struct nserr e;

    if (s->kind == STDIO_FD || s->kind == STDIO_MERGE) {
        *fd = s->kind == STDIO_FD ? s->fd : args->request.fd[1];
        return;
    }
    if (s->kind == STDIO_PIPE || s->kind == STDIO_TEXT)
        err = open_pipe(p, i);
    else
        err = open_file(p, i, path, s->append);
    if (err) {
        nserr_sys(&e, -err, args->op, "%s", p->command);
        if (s->kind == STDIO_FILE)
            snprintf(e.kernel, sizeof(e.kernel), "%s file \"%s\"",
                     i == 0   ? "stdin"
                     : i == 1 ? "stdout"
                              : "stderr",
                     path);
        l_process_raise(L, p, args->op, &e);
    }
    *fd = p->give[i];
}

static void set_command(struct l_process *p, const struct l_spawn_args *args)
{
    size_t len = 0, size = sizeof(p->command);

    for (char *const *arg = args->request.argv; *arg && len < size; arg++)
        len += (size_t)snprintf(p->command + len, size - len, len ? " %s" : "%s", *arg);
    if (len >= size)
        memcpy(p->command + size - 4, "...", 4);
    snprintf(p->netns, sizeof(p->netns), "%s", args->ns->label);
}

/* The pipe takes some of the text at once, the rest goes while somebody waits. The Process on top
 * keeps it. */
static void feed_text(lua_State *L, struct l_process *p, const struct l_stdio *s)
{
    lua_pushvalue(L, s->idx);
    lua_setiuservalue(L, -2, 1);
    p->proc.feed = s->text;
    p->proc.feed_len = s->len;
    p->proc.feed_last = true;
}

static void start(lua_State *L, struct l_process *p, struct l_spawn_args *args)
{
    struct nserr e;

    if (args->ns->fd < 0) /* by a finalizer, since it was checked */
        l_misuse(L, "%s: the namespace was closed meanwhile", args->op);
    args->request.netns = args->ns->fd;
    spawn_orphans_sweep(p->orphans);
    for (int i = 0; i < 3; i++)
        open_stream(L, p, args, i);
    if (spawn_orphans_admit(p->orphans) != 0)
        luaL_error(L, "not enough memory");
    if (spawn_start(&args->request, &p->proc.pid, &p->proc.pidfd, &e) != 0) {
        p->orphans->live--;
        l_process_end(p, 0);
        nserr_context(&e, args->op, NULL, p->netns);
        snprintf(e.op, sizeof(e.op), "%s", args->op);
        l_raise(L, &e);
    }
    p->proc.host = getpid();
    p->proc.detached = args->request.detached;
    if (args->timeout >= 0 && args->timeout <= 1e9)
        p->proc.deadline = spawn_after(args->timeout);
    close_fd(&p->give[0]);
    if (args->run)
        return;
    close_fd(&p->give[1]);
    close_fd(&p->give[2]);
    spawn_widen(&p->proc);
}

struct l_process *l_process_start(lua_State *L, bool run)
{
    struct l_spawn_args args = {.op = run ? "run" : "spawn", .run = run};
    struct l_process *p;

    l_spawn_args(L, &args);
    p = l_process_new(L);
    set_command(p, &args);
    p->check = args.check;
    p->writable = args.stdio[0].kind == STDIO_PIPE;
    if (args.stdio[0].kind == STDIO_TEXT)
        feed_text(L, p, &args.stdio[0]);
    start(L, p, &args);
    return p;
}
