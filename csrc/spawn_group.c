/* SPDX-License-Identifier: MIT
 * Waiting for the rest of a killed process group.
 *
 * The kernel tells nobody when a group is empty, and its members, which are not our children, stay
 * in it as zombies until their new parent reaps them: init at once, or late, or (in many
 * containers) never. So we look, briefly; and where members remain, /proc says whether they are
 * but zombies, which hold nothing any more. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "spawn.h"

/* Whether /proc/NAME/stat is that of a living member of the group. */
static bool is_alive_in(int proc, const char *name, pid_t group)
{
    char path[300], text[512], *at, state;
    ssize_t len;
    int pgrp;
    cleanup_fd int fd = -1;

    if (*name < '1' || *name > '9')
        return false;
    snprintf(path, sizeof(path), "%s/stat", name);
    fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (len <= 0)
        return false;
    text[len] = '\0';
    at = strrchr(text, ')'); /* the end of the command's name, which may hold anything */
    if (!at || sscanf(at, ") %c %*d %d", &state, &pgrp) != 2)
        return false;
    return pgrp == group && state != 'Z' && state != 'X';
}

static bool any_alive(pid_t group, int64_t until)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    bool alive = false;

    while (proc && !alive && spawn_now() < until && (entry = readdir(proc)) != NULL)
        alive = is_alive_in(dirfd(proc), entry->d_name, group);
    if (proc)
        closedir(proc);
    return alive;
}

void spawn_await_group(const struct spawn_proc *p, int64_t until)
{
    struct timespec pause = {.tv_nsec = 200000};
    siginfo_t info;

    for (int round = 0; spawn_group_is_there(p) && spawn_now() < until; round++) {
        /* where we are init or a subreaper they have become our children */
        while (waitid(P_PGID, (id_t)p->pid, &info, WEXITED | WNOHANG | __WALL) == 0 && info.si_pid)
            ;
        if (round >= 3 && !any_alive(p->pid, until))
            return;
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 10000000)
            pause.tv_nsec *= 2;
    }
}
