/* SPDX-License-Identifier: MIT
 * luaopen_netns_core: the module's table, put together from its parts. */
#include "l_core.h"

__attribute__((visibility("default"))) int luaopen_netns_core(lua_State *L)
{
    // clang-format off
    static void (*const parts[])(lua_State *) = {
        l_util_open,
        l_session_open,
        l_netns_open,
        l_scope_open,
        l_noun_open,
        l_link_open,
        l_nsid_open,
        l_units_open,
        l_batch_open,
        l_schema_open,
        l_term_open,
        l_readline_open,
        l_process_open,
        l_sysctl_open,
        l_tun_open,
        l_json_open,
        l_wireguard_open,
        l_nft_open,
        l_nft_monitor_open,
        l_record_open,
        l_probe_open,
        l_poll_open,
        l_monitor_open,
        l_packet_open,
        l_capture_open,
        l_socket_open,
        l_diag_open,
        l_nft_trace_open,
    };
    // clang-format on

    lua_newtable(L);
    l_error_open(L);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        parts[i](L);
    return 1;
}
