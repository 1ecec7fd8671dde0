/* SPDX-License-Identifier: MIT
 * The session with the firewall worker (Theory of operation: nft.h). */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "nft.h"

#define WORKER_NAME   "nft_worker"
#define START_TIMEOUT 10.0
#define END_TIMEOUT   2.0

/* Whose worker it is: what a worker inherits when it is started, and keeps. */
struct identity {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    uint32_t caps[2];
    uint64_t user_ns, mount_ns;
};

static struct session {
    pthread_mutex_t lock;
    struct identity owner;
    int socket, pidfd, errors;
    pid_t pid;
    uint64_t rss, runs, count;
    bool retire;
} session = {.lock = PTHREAD_MUTEX_INITIALIZER, .socket = -1, .pidfd = -1, .errors = -1};

static char worker_path[PATH_MAX];

/* ---- small things ---------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t deadline_in(double seconds)
{
    return now_ns() + (int64_t)(seconds * 1e9);
}

/* Wait for `events` on fd until the deadline: 1, 0 when it has passed, -errno. */
static int wait_for(int fd, short events, int64_t deadline)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        int64_t left = deadline - now_ns();
        int64_t ms = left <= 0 ? 0 : (left + 999999) / 1000000;
        int n = poll(&p, 1, ms > INT_MAX ? INT_MAX : (int)ms);

        if (n > 0)
            return 1;
        if (n == 0 && left <= 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

static uint64_t inode_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void identify(struct identity *id)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};

    memset(id, 0, sizeof(*id)); /* it is compared as bytes */
    syscall(SYS_capget, &header, data);
    id->pid = getpid();
    id->uid = geteuid();
    id->gid = getegid();
    id->caps[0] = data[0].effective;
    id->caps[1] = data[1].effective;
    id->user_ns = inode_of("/proc/thread-self/ns/user");
    id->mount_ns = inode_of("/proc/thread-self/ns/mnt");
}

/* ---- the end of a worker --------------------------------------------------------------- */

/* Forget it. (After a fork it goes on serving the parent.) */
static void drop(struct session *s)
{
    close_fd(&s->socket);
    close_fd(&s->pidfd);
    close_fd(&s->errors);
    s->pid = 0;
    s->retire = false;
}

/* What it printed last, blanks trimmed, newlines shown as "; ". */
static void last_words(const struct session *s, char *words, size_t size)
{
    struct stat st;
    off_t from = 0;
    ssize_t got;
    size_t len = 0;

    if (fstat(s->errors, &st) == 0 && st.st_size > (off_t)size - 1)
        from = st.st_size - (off_t)size + 1;
    got = pread(s->errors, words, size - 1, from);
    for (ssize_t i = 0; i < got; i++)
        words[len++] = words[i] == '\n' ? ';' : words[i];
    while (len && (words[len - 1] == ';' || words[len - 1] == ' '))
        len--;
    words[len] = '\0';
}

/* Make it end (by SIGKILL if need be), wait until it is gone, take down its words, forget it. */
static void bury(struct session *s, bool kill, char *words, size_t size)
{
    siginfo_t info;

    if (kill)
        syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
    shutdown(s->socket, SHUT_RDWR);
    wait_for(s->pidfd, POLLIN, deadline_in(END_TIMEOUT));
    /* Where the host is init or a subreaper, the orphan became its child. */
    waitid((idtype_t)P_PIDFD, (id_t)s->pidfd, &info, WEXITED | WNOHANG | __WALL);
    last_words(s, words, size);
    drop(s);
}

/* ---- starting -------------------------------------------------------------------------- */

static void forget_in_child(void)
{
    pthread_mutex_init(&session.lock, NULL);
    drop(&session);
}

static void locate_once(void)
{
    Dl_info info;
    char path[PATH_MAX];

    pthread_atfork(NULL, NULL, forget_in_child);
    if (dladdr(worker_path, &info) && realpath(info.dli_fname, path)) {
        *strrchr(path, '/') = '\0';
        snprintf(worker_path, sizeof(worker_path), "%.*s/%s",
                 (int)(sizeof(worker_path) - sizeof(WORKER_NAME) - 1), path, WORKER_NAME);
    }
}

void nft_locate(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, locate_once);
}

static const char *executable(void)
{
    const char *given = secure_getenv("NETNS_NFT_WORKER");

    return given && *given ? given : worker_path;
}

/* A reply of the worker, for which one may have to wait: its size, 0 from one that is gone, -errno.
 */
static ssize_t hear(const struct session *s, struct nft_proto_reply *reply, int64_t deadline)
{
    int ready = wait_for(s->socket, POLLIN, deadline);
    ssize_t got;

    if (ready <= 0)
        return ready < 0 ? ready : -ETIMEDOUT;
    do
        got = recv(s->socket, reply, sizeof(*reply), 0);
    while (got < 0 && errno == EINTR);
    return got >= 0 || errno == ECONNRESET ? got : -errno;
}

/* The worker says hello when it is ready. */
static int await_hello(struct session *s, struct nserr *e)
{
    struct nft_proto_reply hello;
    char words[NFT_WORDS_MAX];
    ssize_t got = hear(s, &hello, deadline_in(START_TIMEOUT));

    if (got == sizeof(hello) && hello.magic == NFT_PROTO_MAGIC) {
        s->rss = hello.rss;
        return 0;
    }
    bury(s, true, words, sizeof(words));
    nserr_sys(e, got < 0 ? (int)-got : ENOEXEC, "nft worker start", "%s", executable());
    snprintf(e->kernel, sizeof(e->kernel), "%.200s",
             *words    ? words
             : got < 0 ? "it did not say that it is ready"
                       : "it ended without a word");
    return -e->code;
}

static int start(struct session *s, const struct identity *id, struct nserr *e)
{
    cleanup_fd int errors = memfd_create("nft_worker errors", MFD_CLOEXEC);
    cleanup_fd int host = (int)syscall(SYS_pidfd_open, getpid(), 0);
    struct nft_spawn spawn = {.path = executable(), .errors = errors, .host = host};
    int pair[2], err;

    if (errors < 0 || host < 0 || fcntl(errors, F_SETFL, O_APPEND) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return nserr_sys(e, errno, "nft worker start", NULL);
    spawn.socket = pair[1];
    err = nft_spawn(&spawn, e);
    close(pair[1]);
    if (err) {
        close(pair[0]);
        return err;
    }
    s->owner = *id;
    s->socket = pair[0];
    s->pidfd = spawn.pidfd;
    s->errors = take_fd(&errors);
    s->pid = spawn.pid;
    s->runs = 0;
    s->count++;
    return await_hello(s, e);
}

/* A worker that fits the calling thread and is alive. */
static int ensure(struct session *s, struct nserr *e)
{
    struct pollfd hangup = {.fd = s->socket, .events = POLLRDHUP};
    char words[NFT_WORDS_MAX];
    struct identity id;

    identify(&id);
    if (s->socket >= 0 && s->owner.pid != id.pid)
        drop(s);
    else if (s->socket >= 0 &&
             (s->retire || memcmp(&id, &s->owner, sizeof(id)) != 0 || poll(&hangup, 1, 0) != 0))
        bury(s, false, words, sizeof(words));
    return s->socket >= 0 ? 0 : start(s, &id, e);
}

/* ---- a request ------------------------------------------------------------------------- */

static int send_request(const struct session *s, uint32_t flags, const int *fds)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(NFT_PROTO_FDS * sizeof(int))] = {0};
    struct nft_proto_request request = {NFT_PROTO_MAGIC, flags};
    struct iovec iov = {&request, sizeof(request)};
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(NFT_PROTO_FDS * sizeof(int));
    memcpy(CMSG_DATA(header), fds, NFT_PROTO_FDS * sizeof(int));
    for (;;) {
        if (sendmsg(s->socket, &msg, MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

/* No reply (code: errno, 0 where the worker is gone): say why, and whether anybody can know what
 * became of the commands. */
static int no_reply(struct session *s, int code, int text, struct nft_result *result,
                    struct nserr *e)
{
    const char *what = code == ETIMEDOUT ? "no answer in time; the worker was ended"
                       : code            ? "its answer was not to be had; the worker was ended"
                                         : "the worker died";

    bury(s, true, result->words, sizeof(result->words));
    result->unknown = lseek(text, 0, SEEK_CUR) != NFT_TEXT_WAITING;
    nserr_sys(e, code ? code : EPIPE, "nft run", NULL);
    snprintf(e->kernel, sizeof(e->kernel), "%s; %s%s%.140s", what,
             result->unknown ? "whether the commands were committed is unknown"
                             : "the commands were not begun",
             *result->words ? "; it said: " : "", result->words);
    return -e->code;
}

static int receive_reply(struct session *s, int64_t deadline, int text, struct nft_result *result,
                         struct nserr *e)
{
    struct nft_proto_reply reply;
    ssize_t got = hear(s, &reply, deadline);

    if (got != sizeof(reply) || reply.magic != NFT_PROTO_MAGIC)
        return no_reply(s, got < 0 ? (int)-got : 0, text, result, e);
    s->runs++;
    s->rss = reply.rss;
    s->retire = reply.retire;
    if (reply.stage != NFT_STAGE_DONE)
        return nserr_sys(e, reply.code, reply.stage == NFT_STAGE_ENTER ? "netns enter" : "nft run",
                         NULL);
    result->failed = reply.failed;
    result->no_echo = reply.no_echo;
    result->state_code = -reply.state;
    return 0;
}

static int write_text(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int lock_until(pthread_mutex_t *lock, int64_t deadline)
{
    struct timespec ts = {deadline / 1000000000, deadline % 1000000000};

    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &ts);
}

/* One request to a live worker. */
static int ask(struct session *s, const struct nft_job *job, const int *fds,
               struct nft_result *result, struct nserr *e)
{
    int err = ensure(s, e);

    if (err)
        return err;
    lseek(fds[NFT_FD_TEXT], NFT_TEXT_WAITING, SEEK_SET);
    err = send_request(s, job->flags, fds);
    if (err)
        return no_reply(s, err == -ECONNRESET ? 0 : -err, fds[NFT_FD_TEXT], result, e);
    return receive_reply(s, deadline_in(job->timeout), fds[NFT_FD_TEXT], result, e);
}

/* With all descriptors ready. */
static int exchange(const struct nft_job *job, const int *fds, struct nft_result *result,
                    struct nserr *e)
{
    int64_t deadline = deadline_in(job->timeout);
    struct session *s = &session;
    int err = lock_until(&s->lock, deadline);

    if (err)
        return nserr_sys(e, err, "nft run", "while waiting for another thread's request");
    err = ask(s, job, fds, result, e);
    if (err == -EPIPE && !result->unknown) /* it was dead or dying already */
        err = ask(s, job, fds, result, e);
    pthread_mutex_unlock(&s->lock);
    return err;
}

/* The files of a request: 0 or -errno. */
static int make_files(const struct nft_job *job, int *text, int *cwd, struct nft_result *result)
{
    *cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*cwd < 0) /* it may have been removed */
        *cwd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*cwd < 0)
        return -errno;
    *text = memfd_create("nft text", MFD_CLOEXEC);
    if (*text < 0)
        return -errno;
    result->out = memfd_create("nft answer", MFD_CLOEXEC);
    if (result->out < 0)
        return -errno;
    result->err = memfd_create("nft messages", MFD_CLOEXEC);
    if (result->err < 0)
        return -errno;
    if (job->flags & (NFT_RUN_EVENTS | NFT_RUN_DUMP))
        result->state = memfd_create("nft state", MFD_CLOEXEC);
    else
        result->state = fcntl(result->err, F_DUPFD_CLOEXEC, 0); /* there must be one */
    return result->state < 0 ? -errno : 0;
}

int nft_run(const struct nft_job *job, struct nft_result *result, struct nserr *e)
{
    cleanup_fd int text = -1;
    cleanup_fd int cwd = -1;
    int fds[NFT_PROTO_FDS], err;

    *result = (struct nft_result){.out = -1, .err = -1, .state = -1};
    err = make_files(job, &text, &cwd, result);
    if (!err)
        err = write_text(text, job->text, job->len);
    if (err)
        return nserr_sys(e, -err, "nft run", NULL);
    fds[NFT_FD_NETNS] = job->netns;
    fds[NFT_FD_CWD] = cwd;
    fds[NFT_FD_TEXT] = text;
    fds[NFT_FD_OUT] = result->out;
    fds[NFT_FD_ERR] = result->err;
    fds[NFT_FD_STATE] = result->state;
    return exchange(job, fds, result, e);
}

void nft_result_free(struct nft_result *result)
{
    close_fd(&result->out);
    close_fd(&result->err);
    close_fd(&result->state);
}

void nft_status(struct nft_status *status)
{
    pthread_mutex_lock(&session.lock);
    *status = (struct nft_status){session.pid, session.rss, session.runs, session.count};
    pthread_mutex_unlock(&session.lock);
}

void nft_stop(void)
{
    char words[NFT_WORDS_MAX];

    pthread_mutex_lock(&session.lock);
    if (session.socket >= 0)
        bury(&session, false, words, sizeof(words));
    pthread_mutex_unlock(&session.lock);
}
