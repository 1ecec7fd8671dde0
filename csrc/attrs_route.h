/* SPDX-License-Identifier: MIT
 * What routes share with rules and nexthops. */
#ifndef NETNS_ATTRS_ROUTE_H
#define NETNS_ATTRS_ROUTE_H

#include "codec.h"

extern const struct codec_custom route_realms;
extern const struct codec_names names_ip_proto;

#endif
