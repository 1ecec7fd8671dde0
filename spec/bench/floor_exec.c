/* SPDX-License-Identifier: MIT
 * The floor of the benchmarks of processes: the same programs run with nothing around.
 *
 *     floor_exec plain N FILE   vfork, exec FILE, wait: N times       prints the time, in seconds
 *     floor_exec netns N FILE   the same, with what `ip netns exec` does in between: into a network
 *                               namespace, a mount namespace with a /sys of its own */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int inside = -1; /* the network namespace to enter, or -1 */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int child(void *file)
{
    char *argv[] = {file, NULL};

    if (inside >= 0 &&
        (setns(inside, CLONE_NEWNET) != 0 || unshare(CLONE_NEWNS) != 0 ||
         mount("", "/", "none", MS_SLAVE | MS_REC, NULL) != 0 || umount2("/sys", MNT_DETACH) != 0 ||
         mount("netns", "/sys", "sysfs", 0, NULL) != 0))
        return 127;
    execve(file, argv, environ);
    return 127;
}

static void run(char *file)
{
    static char stack[65536] __attribute__((aligned(16)));
    pid_t pid = clone(child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, file);
    int status;

    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "floor_exec: cannot run %s\n", file);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    int n = argc == 4 ? atoi(argv[2]) : 0;
    double start;

    if (n <= 0 || (strcmp(argv[1], "plain") && strcmp(argv[1], "netns"))) {
        fprintf(stderr, "usage: floor_exec plain|netns N FILE\n");
        return 2;
    }
    if (!strcmp(argv[1], "netns")) {
        int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (unshare(CLONE_NEWNET) != 0)
            return 1;
        inside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (inside < 0 || setns(home, CLONE_NEWNET) != 0)
            return 1;
    }
    start = now();
    for (int i = 0; i < n; i++)
        run(argv[3]);
    printf("%.9f\n", now() - start);
    return 0;
}
