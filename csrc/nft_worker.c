/* SPDX-License-Identifier: MIT
 * The firewall worker: runs nft commands for one host process with libnftables.
 *
 * Theory of operation: libnftables may crash, call exit or hang on bad input, and keeps state
 * in globals, so it runs here and never in the host. The worker lives in an empty network
 * namespace of its own: it pins nobody's, and a command that went astray would find nothing.
 * For each request it enters the namespace it was handed, runs the commands in a fresh context
 * and goes home. A thread waits for the host to hang up or die and ends the process then, in
 * the middle of a request too.
 *
 * The kernel makes the close of a netfilter socket wait (13 ms) for deletions that are under
 * way. A duplicate of the socket is therefore kept a little and closed when it is free. */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <linux/netlink.h>

#include "nft_proto.h"
#include "nft_worker_netlink.h"
#include "nsfd.h"

#define TEXT_FD       10 /* fixed, so that messages name it the same way every time */
#define TEXT_PATH     "/proc/self/fd/10"
#define RSS_LIMIT     (64ul << 20)
#define KEEP_HEAP     (8 << 20)
#define LINGER_MS     40
#define LINGER_MAX    400
#define SOCKET_SEARCH 64
#define ECHO_PER_BYTE 40 /* of the receive buffer, for a byte of nft text, at most */
#define BUFFER_LIMIT  (1 << 29)

struct lingerer {
    int fd;
    int64_t since;
};

static struct lingerer lingering[LINGER_MAX];
static size_t linger_first, linger_count;

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- last words ------------------------------------------------------------------------ */

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return;
}

static void on_fatal(int sig)
{
    const char *name = sigabbrev_np(sig);

    say("killed by signal SIG");
    say(name ? name : "?");
    say("\n");
    signal(sig, SIG_DFL);
    raise(sig);
}

static void on_leave(int status, void *unused)
{
    char text[64];

    (void)unused;
    fflush(stderr);
    snprintf(text, sizeof(text), "libnftables called exit(%d)\n", status);
    say(text);
    _exit(status);
}

static void prepare_last_words(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    static char stack[32768];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_handler = on_fatal, .sa_flags = SA_ONSTACK | SA_RESETHAND};
    struct rlimit none = {0, 0};
    sigset_t empty;

    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
        sigaction(fatal[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&empty);
    pthread_sigmask(SIG_SETMASK, &empty, NULL);
    setrlimit(RLIMIT_CORE, &none);
    on_exit(on_leave, NULL);
}

/* ---- a mistake of libnftables 1.0.6 ---------------------------------------------------- */

/* It lists the flags of a table as JSON by json_unpack(array, "[o]", &flag) and then frees the
 * array, and with it the flag that it goes on using. Its calls come here first: with "O" the
 * flag is owned. Newer versions do not ask for "[o]". */
__attribute__((visibility("default"))) int json_unpack(void *root, const char *format, ...);

int json_unpack(void *root, const char *format, ...)
{
    static int (*unpack)(void *, void *, size_t, const char *, va_list);
    va_list ap;
    int result = -1;

    if (!unpack)
        *(void **)&unpack = dlsym(RTLD_NEXT, "json_vunpack_ex");
    va_start(ap, format);
    if (unpack)
        result = unpack(root, NULL, 0, strcmp(format, "[o]") ? format : "[O]", ap);
    va_end(ap);
    return result;
}

/* ---- the end of the host --------------------------------------------------------------- */

static void *watch_host(void *unused)
{
    struct pollfd watched[] = {
        {.fd = NFT_WORKER_SOCKET, .events = POLLRDHUP},
        {.fd = NFT_WORKER_HOST, .events = POLLIN},
    };

    (void)unused;
    for (;;) {
        if (poll(watched, ARRAY_LEN(watched), -1) < 0 && errno != EINTR)
            _exit(0);
        if (watched[0].revents || watched[1].revents)
            _exit(0);
    }
}

static int start_watch(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    int err;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 65536);
    err = pthread_create(&thread, &attr, watch_host, NULL);
    pthread_attr_destroy(&attr);
    return err;
}

/* ---- lingering sockets ----------------------------------------------------------------- */

/* Close those that are old enough; milliseconds until the next one is, -1 if none is left. */
static int linger_expire(void)
{
    int64_t now = now_ms();

    while (linger_count) {
        struct lingerer *oldest = &lingering[linger_first];
        int64_t left = oldest->since + LINGER_MS - now;

        if (left > 0 && linger_count < LINGER_MAX)
            return (int)left;
        close(oldest->fd);
        linger_first = (linger_first + 1) % LINGER_MAX;
        linger_count--;
    }
    return -1;
}

static void linger_keep(int fd)
{
    struct lingerer *place;

    linger_expire();
    place = &lingering[(linger_first + linger_count) % LINGER_MAX];
    place->fd = fcntl(fd, F_DUPFD_CLOEXEC, SOCKET_SEARCH);
    place->since = now_ms();
    if (place->fd >= 0)
        linger_count++;
}

/* The context's own netfilter socket; libnftables does not tell. Lingering ones lie higher. */
static int find_socket(void)
{
    for (int fd = NFT_WORKER_FDS; fd < SOCKET_SEARCH; fd++) {
        int domain = 0, protocol = 0;
        socklen_t size = sizeof(domain);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_NETLINK)
            continue;
        size = sizeof(protocol);
        if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
            protocol == NETLINK_NETFILTER)
            return fd;
    }
    return -1;
}

/* ---- a job ----------------------------------------------------------------------------- */

/* Let the socket take transactions and echoes of any size; without CAP_NET_ADMIN in the first user
 * namespace, only what net.core.[rw]mem_max allows. Memory is taken only as it is needed. */
static void raise_buffers(int sock)
{
    int size = BUFFER_LIMIT;

    if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
        setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* Whether the echo of so many bytes of commands is sure to fit: when it does not, libnftables
 * reports an error although the commands were committed. */
static bool has_echo_room(int sock, uint64_t text_size)
{
    int have = 0;
    socklen_t len = sizeof(have);

    getsockopt(sock, SOL_SOCKET, SO_RCVBUF, &have, &len);
    return (uint64_t)have >= text_size * ECHO_PER_BYTE;
}

static unsigned int output_flags(uint32_t flags)
{
    static const struct {
        uint32_t run;
        unsigned int output;
    } map[] = {
        {NFT_RUN_JSON, NFT_CTX_OUTPUT_JSON},
        {NFT_RUN_ECHO, NFT_CTX_OUTPUT_ECHO},
        {NFT_RUN_HANDLE, NFT_CTX_OUTPUT_HANDLE},
        {NFT_RUN_TERSE, NFT_CTX_OUTPUT_TERSE},
        {NFT_RUN_STATELESS, NFT_CTX_OUTPUT_STATELESS},
        {NFT_RUN_NUMERIC, NFT_CTX_OUTPUT_NUMERIC_ALL},
    };
    unsigned int output = 0;

    for (size_t i = 0; i < ARRAY_LEN(map); i++)
        if (flags & map[i].run)
            output |= map[i].output;
    return output;
}

static uint32_t port_of(int sock)
{
    struct sockaddr_nl address = {0};
    socklen_t len = sizeof(address);

    return getsockname(sock, (struct sockaddr *)&address, &len) == 0 ? address.nl_pid : 0;
}

/* Before the commands: a socket that hears what they do; -1 where nobody asked. */
static int listen_state(uint32_t flags, struct nft_proto_reply *reply)
{
    int sock = -1;

    if (flags & (NFT_RUN_EVENTS | NFT_RUN_DUMP)) {
        sock = nfnl_open(flags & NFT_RUN_EVENTS, SOCKET_SEARCH);
        if (sock < 0)
            reply->state = sock;
    }
    return sock;
}

/* After them: what the host wants to know. */
static void tell_state(int listener, int sock, int out, uint32_t flags,
                       struct nft_proto_reply *reply)
{
    if (listener < 0)
        return;
    if (!reply->failed && (flags & NFT_RUN_EVENTS))
        reply->state =
            nfnl_collect(listener, sock >= 0 ? port_of(sock) : 0, flags & NFT_RUN_RULES, out);
    if (!reply->failed && (flags & NFT_RUN_DUMP))
        reply->state = nfnl_dump(listener, out);
    linger_keep(listener);
    close(listener);
}

static void run_commands(struct nft_ctx *ctx, uint32_t flags, int state,
                         struct nft_proto_reply *reply)
{
    int sock = find_socket(), listener = listen_state(flags, reply);
    struct stat text = {0};

    fstat(TEXT_FD, &text);
    if (sock >= 0)
        raise_buffers(sock);
    if ((flags & NFT_RUN_ECHO) && sock >= 0 && !has_echo_room(sock, (uint64_t)text.st_size)) {
        flags &= ~(uint32_t)NFT_RUN_ECHO;
        reply->no_echo = 1;
    }
    nft_ctx_output_set_flags(ctx, output_flags(flags));
    nft_ctx_set_dry_run(ctx, (flags & NFT_RUN_CHECK) != 0);
    reply->failed = nft_run_cmd_from_filename(ctx, TEXT_PATH) != 0;
    tell_state(listener, sock, state, flags, reply);
    if (sock >= 0)
        linger_keep(sock);
}

/* Run with `out` and `err` as the context's streams. */
static void run_streams(FILE *out, FILE *err, int state, uint32_t flags,
                        struct nft_proto_reply *reply)
{
    struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);

    if (!ctx) {
        reply->stage = NFT_STAGE_PREPARE;
        reply->code = errno ? errno : ENOMEM;
        return;
    }
    nft_ctx_set_output(ctx, out);
    nft_ctx_set_error(ctx, err);
    run_commands(ctx, flags, state, reply);
    nft_ctx_free(ctx);
}

/* A stream on a duplicate of fd. */
static FILE *open_stream(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, NFT_WORKER_FDS);
    FILE *stream = copy >= 0 ? fdopen(copy, "w") : NULL;

    if (!stream && copy >= 0)
        close(copy);
    return stream;
}

static void run_inside(const int *fds, uint32_t flags, struct nft_proto_reply *reply)
{
    FILE *out = open_stream(fds[NFT_FD_OUT]);
    FILE *err = open_stream(fds[NFT_FD_ERR]);

    if (!out || !err || dup2(fds[NFT_FD_TEXT], TEXT_FD) < 0) {
        reply->stage = NFT_STAGE_PREPARE;
        reply->code = errno;
    } else {
        run_streams(out, err, fds[NFT_FD_STATE], flags, reply);
    }
    close(TEXT_FD);
    /* A full file system (memfds are limited by memory only) would cut the answer short. */
    if (out && fclose(out) != 0 && reply->stage == NFT_STAGE_DONE)
        say("the answer could not be written\n");
    if (err)
        fclose(err);
}

/* Enter the namespace unless it is the worker's own (a host without CAP_SYS_ADMIN may still
 * work where it is), run, go home. */
static void run_job(int home, const int *fds, uint32_t flags, struct nft_proto_reply *reply)
{
    struct stat here, there;
    bool same = fstat(home, &here) == 0 && fstat(fds[NFT_FD_NETNS], &there) == 0 &&
                here.st_dev == there.st_dev && here.st_ino == there.st_ino;
    int err = same ? 0 : nsfd_child_enter(fds[NFT_FD_NETNS]);

    if (err) {
        reply->stage = NFT_STAGE_ENTER;
        reply->code = -err;
        return;
    }
    if (fchdir(fds[NFT_FD_CWD]) != 0)
        say("cannot change to the host's working directory\n");
    run_inside(fds, flags, reply);
    if ((!same && nsfd_child_enter(home) != 0) || chdir("/") != 0) {
        say("the worker cannot go home\n");
        _exit(1);
    }
}

/* ---- requests -------------------------------------------------------------------------- */

/* Receive one request; the number of fds it carried, or -1 when it was none. */
static int receive(struct nft_proto_request *request, int *fds)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(NFT_PROTO_FDS * sizeof(int))];
    struct iovec iov = {request, sizeof(*request)};
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    ssize_t got = recvmsg(NFT_WORKER_SOCKET, &msg, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

    if (got == 0)
        _exit(0);
    if (got != sizeof(*request) || request->magic != NFT_PROTO_MAGIC || !header ||
        header->cmsg_len != CMSG_LEN(NFT_PROTO_FDS * sizeof(int)))
        return -1;
    memcpy(fds, CMSG_DATA(header), NFT_PROTO_FDS * sizeof(int));
    lseek(fds[NFT_FD_TEXT], 0, SEEK_SET);
    return NFT_PROTO_FDS;
}

static uint64_t resident(void)
{
    unsigned long total, pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");

    if (statm && fscanf(statm, "%lu %lu", &total, &pages) != 2)
        pages = 0;
    if (statm)
        fclose(statm);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void answer(struct nft_proto_reply *reply)
{
    reply->magic = NFT_PROTO_MAGIC;
    reply->rss = resident();
    if (reply->rss > RSS_LIMIT) {
        malloc_trim(0);
        reply->rss = resident();
    }
    reply->retire = reply->rss > RSS_LIMIT;
    if (send(NFT_WORKER_SOCKET, reply, sizeof(*reply), MSG_NOSIGNAL) < 0)
        _exit(0);
}

static void serve(int home)
{
    struct pollfd request_ready = {.fd = NFT_WORKER_SOCKET, .events = POLLIN};

    for (;;) {
        struct nft_proto_request request;
        struct nft_proto_reply reply = {0};
        int fds[NFT_PROTO_FDS];

        if (poll(&request_ready, 1, linger_expire()) <= 0)
            continue;
        if (receive(&request, fds) < 0)
            _exit(1);
        run_job(home, fds, request.flags, &reply);
        for (size_t i = 0; i < NFT_PROTO_FDS; i++)
            close(fds[i]);
        answer(&reply);
    }
}

/* A namespace of its own; where that is not allowed, the one it was born in. */
static int make_home(void)
{
    struct nserr e;
    int home = nsfd_create(&e);

    if (home >= 0 && nsfd_child_enter(home) == 0)
        return home;
    return nsfd_current(&e);
}

int main(void)
{
    struct nft_proto_reply hello = {0};
    int home;

    /* Each context takes and frees the same few megabytes: keep them. */
    mallopt(M_TRIM_THRESHOLD, KEEP_HEAP);
    mallopt(M_MMAP_THRESHOLD, KEEP_HEAP);
    prepare_last_words();
    home = make_home();
    if (home < 0 || chdir("/") != 0 || start_watch() != 0) {
        say("the worker could not prepare itself\n");
        _exit(1);
    }
    answer(&hello);
    serve(home);
}
