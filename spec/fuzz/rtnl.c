// SPDX-License-Identifier: MIT
/* Fuzz: conversations of a netlink session. Input: which one, then what the kernel answers. */
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "attrs.h"
#include "fuzz.h"
#include "rtnl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t faults;

static void on_fault(void *arg, size_t number, const struct rtnl_fault *f)
{
    size_t *count = arg;

    if (number >= *count || f->code <= 0 || !memchr(f->text, 0, sizeof(f->text)))
        abort();
    faults++;
}

static void check(int err, const struct rtnl_fault *f, const struct bytes *reply)
{
    if (err < 0 && (f->code != -err || !memchr(f->text, 0, sizeof(f->text))))
        abort();
    if (reply->len > reply->cap)
        abort();
}

/* The offending attribute's key, as errors name it. */
static void name_attribute(const struct noun *noun, struct nlmsghdr *h, const struct rtnl_fault *f)
{
    if (f->offset)
        codec_key_at(noun->schema, h, f->offset);
    if (f->missing)
        codec_key_of(noun->schema, (int)f->missing - 1);
}

static void dump_in_pieces(struct rtnl *s, struct nlmsghdr *req, struct rtnl_fault *f)
{
    bool interrupted = false;
    int more = rtnl_dump_start(s, req, f);

    for (int i = 0; more >= 0 && i < 100; i++) {
        more = rtnl_dump_next(s, &interrupted, f);
        if (more == 0)
            break;
    }
}

/* A link with a bridge's options: attributes in three levels, for offsets to point into. */
static size_t build(char *buf, size_t size)
{
    struct codec_msg m = {.buf = buf, .cap = size};
    struct nlmsghdr *h = codec_reserve(&m, NLMSG_HDRLEN);
    size_t info, more;

    codec_reserve(&m, sizeof(struct ifinfomsg));
    codec_put_str(&m, IFLA_IFNAME, "br0");
    info = codec_nest(&m, IFLA_LINKINFO | NLA_F_NESTED);
    codec_put_str(&m, IFLA_INFO_KIND, "bridge");
    more = codec_nest(&m, IFLA_INFO_DATA | NLA_F_NESTED);
    codec_put_u32(&m, IFLA_BR_FORWARD_DELAY, 100);
    codec_nest_end(&m, more);
    codec_nest_end(&m, info);
    h->nlmsg_type = RTM_NEWLINK;
    h->nlmsg_len = (uint32_t)m.len;
    return m.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rtnl s = {.fd = -1, .chunk = 2};
    _Alignas(struct nlmsghdr) char buf[1024];
    struct input in = {data, data + size};
    cleanup_bytes struct bytes reply = {0};
    struct rtnl_fault f = {0};
    uint8_t which = input_byte(&in);
    size_t len, done, count = 3;
    int err = 0;

    fuzz_state(); /* prepares the codec */
    kernel_says(in);
    len = build(buf, sizeof(buf));
    switch (which % 5) {
    case 0:
        err = rtnl_ack(&s, (struct nlmsghdr *)buf, which & 8 ? &reply : NULL, &f);
        break;
    case 1:
        err = rtnl_get(&s, (struct nlmsghdr *)buf, &reply, &f);
        break;
    case 2:
        err = rtnl_dump(&s, (struct nlmsghdr *)buf, &reply, &f);
        break;
    case 3:
        dump_in_pieces(&s, (struct nlmsghdr *)buf, &f);
        break;
    default:
        memcpy(buf + len, buf, len);
        memcpy(buf + 2 * len, buf, len);
        err = rtnl_batch(&s, buf, 3 * len, count, on_fault, &count, &done, &f);
        if (done > count)
            abort();
    }
    check(err, &f, &reply);
    name_attribute(&noun_link, (struct nlmsghdr *)buf, &f);
    if (reply.len >= NLMSG_HDRLEN)
        noun_attr(&noun_link, (struct nlmsghdr *)reply.data, IFLA_IFNAME);
    return 0;
}
