/* SPDX-License-Identifier: MIT
 * Names that several nouns share, and the list of all schemas. */
#include <linux/rtnetlink.h>
#include <netlink/route/route.h>
#include <netlink/route/rtnl.h>
#include <string.h>
#include <sys/socket.h>

#include "attrs.h"

/* Tables and protocols follow the user's /etc/iproute2, which libnl-route reads. */

static int table_value(const char *text)
{
    return !strcmp(text, "all") ? (int)RT_TABLE_UNSPEC : rtnl_route_str2table(text);
}
const struct codec_names names_table = {
    .what = "a routing table: \"main\", \"local\", another name of rt_tables, or a number",
    .to_text = rtnl_route_table2str,
    .from_text = table_value};

const struct codec_names names_proto = {
    .what = "a routing protocol: \"kernel\", \"boot\", \"static\", another name of rt_protos, or a "
            "number",
    .to_text = rtnl_route_proto2str,
    .from_text = rtnl_route_str2proto};

static const struct codec_name scopes[] = {{RT_SCOPE_UNIVERSE, "global"},
                                           {RT_SCOPE_SITE, "site"},
                                           {RT_SCOPE_LINK, "link"},
                                           {RT_SCOPE_HOST, "host"},
                                           {RT_SCOPE_NOWHERE, "nowhere"}};
const struct codec_names names_scope = NAMES("a scope", scopes);

static const struct codec_name route_types[] = {{RTN_UNSPEC, "none"},
                                                {RTN_UNICAST, "unicast"},
                                                {RTN_LOCAL, "local"},
                                                {RTN_BROADCAST, "broadcast"},
                                                {RTN_ANYCAST, "anycast"},
                                                {RTN_MULTICAST, "multicast"},
                                                {RTN_BLACKHOLE, "blackhole"},
                                                {RTN_UNREACHABLE, "unreachable"},
                                                {RTN_PROHIBIT, "prohibit"},
                                                {RTN_THROW, "throw"},
                                                {RTN_NAT, "nat"},
                                                {RTN_XRESOLVE, "xresolve"}};
const struct codec_names names_route_type = NAMES("a route type", route_types);

static const struct codec_name families[] = {
    {AF_INET, "inet"}, {AF_INET6, "inet6"}, {AF_BRIDGE, "bridge"}, {AF_MPLS, "mpls"}};
const struct codec_names names_family = NAMES("an address family", families);
