/* SPDX-License-Identifier: MIT
 * netns.Socket: TCP and UDP sockets of a namespace, to be handed to a socket library. */
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "codec.h"
#include "l_core.h"

#define L_SOCKET "netns.Socket"

struct l_socket {
    int fd; /* -1: closed, or given away */
    char op[16], label[160];
};

/* Something to bind or connect to. */
struct where {
    char text[64]; /* the address, without its link */
    char dev[IFNAMSIZ];
    int family; /* 0: none */
    uint8_t bytes[16];
    uint16_t port;
};

/* The address at idx ("fe80::1%eth0"; nil: none) and the port behind it. */
static struct where check_where(lua_State *L, int idx)
{
    struct where w = {.port = (uint16_t)luaL_checkinteger(L, idx + 1)};
    const char *text = luaL_optstring(L, idx, NULL), *percent;

    if (!text)
        return w;
    percent = strchr(text, '%');
    snprintf(w.text, sizeof(w.text), "%.*s", percent ? (int)(percent - text) : (int)strlen(text),
             text);
    snprintf(w.dev, sizeof(w.dev), "%s", percent ? percent + 1 : "");
    w.family = codec_parse_ip(w.text, w.bytes);
    luaL_argcheck(L, w.family, idx, "an IPv4 or IPv6 address expected");
    return w;
}

/* The socket's address; the link is looked up in the socket's namespace. 0 or an errno. */
static int sockaddr_of(int fd, const struct where *w, struct sockaddr_storage *out, socklen_t *len)
{
    struct sockaddr_in *in = (void *)out;
    struct sockaddr_in6 *in6 = (void *)out;
    struct ifreq ifr = {0};

    memset(out, 0, sizeof(*out));
    out->ss_family = (sa_family_t)w->family;
    if (w->family == AF_INET) {
        *len = sizeof(*in);
        in->sin_port = htons(w->port);
        memcpy(&in->sin_addr, w->bytes, sizeof(in->sin_addr));
        return 0;
    }
    *len = sizeof(*in6);
    in6->sin6_port = htons(w->port);
    memcpy(&in6->sin6_addr, w->bytes, sizeof(in6->sin6_addr));
    if (!*w->dev)
        return 0;
    memcpy(ifr.ifr_name, w->dev, sizeof(w->dev));
    if (ioctl(fd, SIOCGIFINDEX, &ifr) != 0)
        return errno;
    in6->sin6_scope_id = (uint32_t)ifr.ifr_ifindex;
    return 0;
}

static int bind_to(int fd, const struct where *w)
{
    struct sockaddr_storage addr;
    socklen_t len;
    int code = sockaddr_of(fd, w, &addr, &len);

    if (code)
        return code;
    return bind(fd, (struct sockaddr *)&addr, len) ? errno : 0;
}

/* Begins, for TCP. */
static int connect_to(int fd, const struct where *w)
{
    struct sockaddr_storage addr;
    socklen_t len;
    int code = sockaddr_of(fd, w, &addr, &len);

    if (code)
        return code;
    return connect(fd, (struct sockaddr *)&addr, len) && errno != EINPROGRESS ? errno : 0;
}

static int prepare(int fd, int family, const char *dev, bool both)
{
    int on = 1, off = 0;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (family == AF_INET6 && both &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0) ||
        (dev && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, (socklen_t)strlen(dev)) != 0))
        return errno;
    return 0;
}

static void describe(struct nserr *e, const struct l_socket *s, int code, const struct where *w)
{
    if (w->family)
        nserr_sys(e, code, s->op, w->family == AF_INET ? "%s:%u" : "[%s]:%u", w->text, w->port);
    else
        nserr_sys(e, code, s->op, NULL);
    nserr_context(e, NULL, NULL, s->label);
}

/* core.socket(ns, operation, "tcp" | "udp", dev | nil, address | nil, port, peer | nil, port,
 * backlog | nil, both families): bound, listening and connecting as far as it is told to. */
static int l_socket_new(lua_State *L)
{
    static const char *const types[] = {"tcp", "udp", NULL};
    struct l_ns *ns = l_ns_check(L, 1);
    const char *op = luaL_checkstring(L, 2), *dev = luaL_optstring(L, 4, NULL);
    int type = luaL_checkoption(L, 3, NULL, types) ? SOCK_DGRAM : SOCK_STREAM, code;
    struct where local = check_where(L, 5), peer = check_where(L, 7);
    int backlog = (int)luaL_optinteger(L, 9, -1), both = lua_toboolean(L, 10);
    int family = peer.family ? peer.family : local.family ? local.family : AF_INET;
    struct l_socket *s = l_object(L, sizeof(*s), L_SOCKET, 0);
    struct nserr e;

    s->fd = -1;
    snprintf(s->op, sizeof(s->op), "%s", op);
    snprintf(s->label, sizeof(s->label), "%s", ns->label);
    s->fd = nsfd_socket(ns->fd, family, type | SOCK_NONBLOCK, 0, &e);
    if (s->fd < 0) {
        describe(&e, s, -s->fd, local.family ? &local : &peer);
        return l_raise(L, &e);
    }
    code = prepare(s->fd, family, dev, both);
    if (!code && local.family)
        code = bind_to(s->fd, &local);
    if (!code && backlog >= 0 && listen(s->fd, backlog) != 0)
        code = errno;
    if (code) {
        describe(&e, s, code, local.family ? &local : &peer);
        return l_raise(L, &e);
    }
    code = peer.family ? connect_to(s->fd, &peer) : 0;
    if (code) {
        describe(&e, s, code, &peer);
        return l_raise(L, &e);
    }
    return 1;
}

/* core.is_address("fe80::1%eth0") */
static int l_is_address(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len), *percent = strchr(text, '%');
    char plain[64];
    uint8_t bytes[16];
    size_t size = percent ? (size_t)(percent - text) : len;
    bool good = strlen(text) == len && size < sizeof(plain);

    if (good) {
        memcpy(plain, text, size);
        plain[size] = 0;
        good = codec_parse_ip(plain, bytes) &&
               (!percent || (percent[1] && strlen(percent + 1) < IFNAMSIZ));
    }
    lua_pushboolean(L, good);
    return 1;
}

static struct l_socket *check_open(lua_State *L)
{
    struct l_socket *s = luaL_checkudata(L, 1, L_SOCKET);

    luaL_argcheck(L, s->fd >= 0, 1, "the socket is closed, or was handed on");
    return s;
}

/* socket:connected(address, port, seconds): true once it is; false after the time; nil where a
 * signal came first. */
static int l_socket_connected(lua_State *L)
{
    struct l_socket *s = check_open(L);
    struct where peer = check_where(L, 2);
    double seconds = luaL_checknumber(L, 4);
    struct pollfd p = {s->fd, POLLOUT, 0};
    int got = poll(&p, 1, seconds > 86400 ? 86400000 : (int)(seconds * 1e3 + 0.999)), code = 0;
    socklen_t len = sizeof(code);
    struct nserr e;

    if (got < 0 && errno == EINTR)
        return 0;
    if (got < 0 || getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
        code = errno;
    if (code) {
        describe(&e, s, code, &peer);
        return l_raise(L, &e);
    }
    lua_pushboolean(L, got > 0);
    return 1;
}

/* Its address and port, or its peer's. */
static int push_name(lua_State *L, int (*ask)(int, struct sockaddr *, socklen_t *))
{
    struct l_socket *s = check_open(L);
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    const struct sockaddr_in *in = (void *)&addr;
    const struct sockaddr_in6 *in6 = (void *)&addr;

    if (ask(s->fd, (struct sockaddr *)&addr, &len) != 0)
        return 0;
    if (addr.ss_family == AF_INET)
        codec_push_ip(L, AF_INET, &in->sin_addr);
    else
        codec_push_ip(L, AF_INET6, &in6->sin6_addr);
    lua_pushinteger(L, ntohs(addr.ss_family == AF_INET ? in->sin_port : in6->sin6_port));
    return 2;
}

static int l_socket_name(lua_State *L)
{
    return push_name(L, getsockname);
}

static int l_socket_peer(lua_State *L)
{
    return push_name(L, getpeername);
}

static int l_socket_fd(lua_State *L)
{
    lua_pushinteger(L, check_open(L)->fd);
    return 1;
}

static int l_socket_release(lua_State *L)
{
    lua_pushinteger(L, take_fd(&check_open(L)->fd));
    return 1;
}

static int l_socket_close(lua_State *L)
{
    close_fd(&((struct l_socket *)luaL_checkudata(L, 1, L_SOCKET))->fd);
    return 0;
}

static int l_socket__tostring(lua_State *L)
{
    struct l_socket *s = luaL_checkudata(L, 1, L_SOCKET);

    if (s->fd < 0)
        lua_pushfstring(L, "socket in %s (closed)", s->label);
    else
        lua_pushfstring(L, "socket %d in %s", s->fd, s->label);
    return 1;
}

void l_socket_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"fd", l_socket_fd},
                                       {"release", l_socket_release},
                                       {"name", l_socket_name},
                                       {"peer", l_socket_peer},
                                       {"connected", l_socket_connected},
                                       {"close", l_socket_close},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", l_socket_close},
                                    {"__close", l_socket_close},
                                    {"__tostring", l_socket__tostring},
                                    {NULL, NULL}};

    l_class(L, L_SOCKET, methods, meta);
    lua_pushcfunction(L, l_socket_new);
    lua_setfield(L, -2, "socket");
    lua_pushcfunction(L, l_is_address);
    lua_setfield(L, -2, "is_address");
}
