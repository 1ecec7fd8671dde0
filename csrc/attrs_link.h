/* SPDX-License-Identifier: MIT
 * What attrs_link.c (rows) and attrs_link_msg.c (messages) share. */
#ifndef NETNS_ATTRS_LINK_H
#define NETNS_ATTRS_LINK_H

#include "codec.h"

extern struct codec_schema link_schema;

/* The link that the message is about is one of a pair. */
bool link_has_peer(const struct codec_enc *enc);

/* The noun's prepare, finish and follow (attrs.h). */
int link_prepare(struct codec_enc *enc, int idx);
int link_finish(struct codec_enc *enc, int idx);
int link_follow(struct codec_enc *enc, int idx, int step);

#endif
