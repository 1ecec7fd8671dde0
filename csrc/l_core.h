/* SPDX-License-Identifier: MIT
 * What the bindings share: the metatables' names, the Namespace handle, argument checks and
 * the one way an error of the core becomes a Lua error. */
#ifndef NETNS_L_CORE_H
#define NETNS_L_CORE_H

#include <dirent.h>
#include <lauxlib.h>
#include <lua.h>

#include "error.h"
#include "nsfd.h"

/* l_error.c ---------------------------------------------------------------------------- */

/* Raise *e: a netns.Error object, or for a misuse a string with the caller's position.
 * Never returns; the type lets callers write `return l_raise(L, &e)`. */
int l_raise(lua_State *L, const struct nserr *e);
/* Push what l_raise would throw. */
void l_push_error(lua_State *L, const struct nserr *e);
void l_error_open(lua_State *L);

/* l_netns.c ---------------------------------------------------------------------------- */

#define L_NAMESPACE "netns.Namespace"

struct rtnl;
struct l_state;

/* A Namespace handle. fd is -1 once closed. */
struct l_ns {
    int fd;
    uint64_t dev, ino;
    char *name;                 /* NULL: anonymous, or opened by path, pid or fd */
    char label[160];            /* what messages and tostring call it */
    int owns_name;              /* the name goes when the handle does */
    struct rtnl *rtnl;          /* its rtnetlink session, NULL while none is open */
    struct rtnl *others[2];     /* those of generic netlink and of xfrm, only beside it */
    struct l_state *state;      /* whose list of sessions it is in */
    struct l_ns *newer, *older; /* the state's sessions, least recently used last */
};

/* User values of a Namespace: its nouns, and what core.hosts was given. */
enum { L_NS_NOUNS = 1, L_NS_HOSTS, L_NS_VALUES = L_NS_HOSTS };

/* The Namespace at idx: an argument error if it is something else or closed. */
struct l_ns *l_ns_check(lua_State *L, int idx);
/* Same, NULL instead of an error where it is something else (closed: error). */
struct l_ns *l_ns_test(lua_State *L, int idx);

/* Each l_NAME_open adds its functions to the core table on top of the stack. */
void l_netns_open(lua_State *L);

/* l_scope.c */
void l_scope_open(lua_State *L);

/* l_process.c */
void l_process_open(lua_State *L);

/* l_session.c -------------------------------------------------------------------------- */

/* The namespace's netlink session, opened where there is none; the least recently used one
 * of this Lua state is closed when too many are open. NULL with *e filled on failure. It is good
 * until Lua runs: any allocation may collect garbage, whose finalizers may close namespaces and
 * open other sessions. So it is asked for again, not kept. */
struct rtnl *l_session(lua_State *L, struct l_ns *ns, struct nserr *e);
/* The same for another protocol: NETLINK_GENERIC, NETLINK_XFRM (or NETLINK_ROUTE). */
struct rtnl *l_session_of(lua_State *L, struct l_ns *ns, int protocol, struct nserr *e);
/* Close the namespace's session, if any. */
void l_session_drop(struct l_ns *ns);
void l_session_open(lua_State *L);

/* rtnetlink nouns (l_rtnl.h) */
void l_noun_open(lua_State *L);
void l_link_open(lua_State *L);
void l_batch_open(lua_State *L);
void l_schema_open(lua_State *L);
void l_term_open(lua_State *L);
void l_readline_open(lua_State *L);

/* l_record.c */
void l_record_open(lua_State *L);

/* l_probe.c */
void l_probe_open(lua_State *L);

/* l_poll.c, l_monitor.c, l_diag.c, l_nft_trace.c */
void l_poll_open(lua_State *L);
void l_monitor_open(lua_State *L);
void l_diag_open(lua_State *L);
void l_nft_trace_open(lua_State *L);

/* l_packet.c, l_capture.c, l_socket.c */
void l_packet_open(lua_State *L);
void l_capture_open(lua_State *L);
void l_socket_open(lua_State *L);

/* l_tun.c, l_wireguard.c */
void l_tun_open(lua_State *L);
void l_wireguard_open(lua_State *L);

/* l_sysctl.c */
void l_sysctl_open(lua_State *L);
void l_nsid_open(lua_State *L);
void l_units_open(lua_State *L);

/* l_json.c */
void l_json_open(lua_State *L);

/* l_nft.c */
void l_nft_open(lua_State *L);
void l_nft_monitor_open(lua_State *L);

/* l_util.c ----------------------------------------------------------------------------- */

/* A new metatable `name` (registry), with methods in __index and the metamethods given; leaves
 * nothing on the stack. Metatables are locked (__metatable = name). */
void l_class(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta);
/* A new zeroed userdata with that metatable and `uservalues` user values. */
void *l_object(lua_State *L, size_t size, const char *name, int uservalues);
/* Refuse keys of the table at idx that are not in `keys` (NULL-terminated): "OP: unknown key
 * "adress" (did you mean "address"?)". idx may be none/nil: nothing to check. */
void l_check_keys(lua_State *L, int idx, const char *op, const char *const *keys);
/* Field readers for option tables (raw access). They push nothing, except where they say.
 * A wrong type or range is an argument error "OP: KEY must be ..., got ...". */
int l_opt_bool(lua_State *L, int idx, const char *op, const char *key, int def);
lua_Integer l_opt_int(lua_State *L, int idx, const char *op, const char *key, lua_Integer def,
                      lua_Integer min, lua_Integer max);
double l_opt_number(lua_State *L, int idx, const char *op, const char *key, double def, double min,
                    double max);
/* Text without NUL bytes; leaves the string on the stack so that it stays alive. NULL: absent
 * (then nil is pushed). */
const char *l_opt_str(lua_State *L, int idx, const char *op, const char *key);
/* A directory that may stay open across Lua calls: pushes its owner; NULL with errno set where it
 * cannot be opened. l_dir_close closes it now; the collector does it otherwise. */
DIR *l_dir_open(lua_State *L, const char *path);
void l_dir_close(lua_State *L, int idx);
void l_util_open(lua_State *L);
/* `argument error` at the caller's line with printf formats (lua_pushfstring's). */
int l_misuse(lua_State *L, const char *fmt, ...);

#endif
