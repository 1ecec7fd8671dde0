/* SPDX-License-Identifier: MIT
 * WireGuard without Lua: keys, and generic netlink's requests to the kernel's driver.
 *
 * Theory of operation: the only cryptography here is the kernel's. A public key is what the
 * kernel tells of a device that was given the private key: a device of its own, in a namespace of
 * its own, both of which go with the last descriptor. */
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "nsfd.h"
#include "wireguard.h"

/* Keys -------------------------------------------------------------------------------------- */

int wireguard_random(uint8_t key[WG_KEY_LEN], bool clamp, struct nserr *e)
{
    if (getrandom(key, WG_KEY_LEN, 0) != WG_KEY_LEN)
        return nserr_sys(e, errno ? errno : EIO, "random numbers", NULL);
    if (clamp) { /* as curve25519 has it */
        key[0] &= 248;
        key[31] = (uint8_t)((key[31] & 127) | 64);
    }
    return 0;
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void wireguard_to_text(const uint8_t key[WG_KEY_LEN], char text[WIREGUARD_TEXT_LEN + 1])
{
    uint32_t bits = 0;
    int held = 0, at = 0;

    for (int i = 0; i < WG_KEY_LEN; i++) {
        bits = bits << 8 | key[i];
        for (held += 8; held >= 6; held -= 6)
            text[at++] = digits[bits >> (held - 6) & 63];
    }
    text[at++] = digits[bits << (6 - held) & 63];
    text[at++] = '=';
    text[at] = '\0';
}

bool wireguard_from_text(const char *text, uint8_t key[WG_KEY_LEN])
{
    uint32_t bits = 0;
    int held = 0, at = 0;

    if (strlen(text) != WIREGUARD_TEXT_LEN || text[WIREGUARD_TEXT_LEN - 1] != '=')
        return false;
    for (int i = 0; i < WIREGUARD_TEXT_LEN - 1; i++) {
        const char *digit = strchr(digits, text[i]);
        if (!digit)
            return false;
        bits = bits << 6 | (uint32_t)(digit - digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            key[at++] = (uint8_t)(bits >> held);
        }
    }
    return (bits & 3) == 0; /* what is left of the last digit says nothing */
}

/* Requests ---------------------------------------------------------------------------------- */

struct request {
    struct nlmsghdr h;
    struct genlmsghdr g;
    char attrs[128];
};

static void begin(struct request *r, int type, int command, int version)
{
    memset(r, 0, sizeof(*r));
    r->h.nlmsg_type = (uint16_t)type;
    r->h.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
    r->g.cmd = (uint8_t)command;
    r->g.version = (uint8_t)version;
}

static void put(struct request *r, int type, const void *data, size_t len)
{
    struct nlattr *a = (struct nlattr *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));

    a->nla_type = (uint16_t)type;
    a->nla_len = (uint16_t)(NLA_HDRLEN + len);
    memcpy(nla_data(a), data, len);
    r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + (uint32_t)NLA_ALIGN(a->nla_len);
}

int wireguard_family(struct rtnl *s, struct rtnl_fault *f)
{
    cleanup_bytes struct bytes reply = {0};
    struct request r;
    struct nlattr *id;
    int err;

    begin(&r, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
    put(&r, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME, sizeof(WG_GENL_NAME));
    err = rtnl_get(s, &r.h, &reply, f);
    if (err) {
        if (err == -ENOENT)
            snprintf(f->text, sizeof(f->text), "this kernel has no WireGuard");
        return err;
    }
    id = nlmsg_find_attr((struct nlmsghdr *)reply.data, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID);
    if (id && nla_len(id) >= 2)
        return nla_get_u16(id);
    *f = (struct rtnl_fault){.code = EPROTO};
    return -EPROTO;
}

int wireguard_get(struct rtnl *s, int ifindex, struct bytes *reply, struct rtnl_fault *f)
{
    int family = wireguard_family(s, f);
    uint32_t index = (uint32_t)ifindex;
    struct request r;

    if (family < 0)
        return family;
    begin(&r, family, WG_CMD_GET_DEVICE, WG_GENL_VERSION);
    put(&r, WGDEVICE_A_IFINDEX, &index, sizeof(index));
    return rtnl_dump(s, &r.h, reply, f);
}

/* The public key ---------------------------------------------------------------------------- */

#define DEVICE 77 /* the number that the device gets in its namespace */

static int make_device(int ns, struct rtnl_fault *f, struct nserr *e)
{
    struct {
        struct nlmsghdr h;
        struct ifinfomsg ifi;
        struct nlattr info, kind;
        char name[12];
    } r = {.h = {.nlmsg_len = sizeof(r),
                 .nlmsg_type = RTM_NEWLINK,
                 .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL},
           .ifi = {.ifi_index = DEVICE},
           .info = {.nla_len = 2 * NLA_HDRLEN + sizeof(r.name), .nla_type = IFLA_LINKINFO},
           .kind = {.nla_len = NLA_HDRLEN + sizeof("wireguard"), .nla_type = IFLA_INFO_KIND},
           .name = "wireguard"};
    struct rtnl *s = rtnl_open(ns, NETLINK_ROUTE, e);
    int err;

    if (!s)
        return -e->code;
    err = rtnl_ack(s, &r.h, NULL, f);
    rtnl_close(s);
    return err;
}

static int ask_device(struct rtnl *s, const uint8_t private_key[WG_KEY_LEN],
                      uint8_t public_key[WG_KEY_LEN], struct rtnl_fault *f)
{
    cleanup_bytes struct bytes reply = {0};
    int family = wireguard_family(s, f), err;
    uint32_t index = DEVICE;
    struct request r;
    struct nlattr *a;

    if (family < 0)
        return family;
    begin(&r, family, WG_CMD_SET_DEVICE, WG_GENL_VERSION);
    put(&r, WGDEVICE_A_IFINDEX, &index, sizeof(index));
    put(&r, WGDEVICE_A_PRIVATE_KEY, private_key, WG_KEY_LEN);
    err = rtnl_ack(s, &r.h, NULL, f);
    explicit_bzero(&r, sizeof(r));
    if (!err)
        err = wireguard_get(s, DEVICE, &reply, f);
    if (err)
        return err;
    a = reply.len >= NLMSG_HDRLEN + GENL_HDRLEN
            ? nlmsg_find_attr((struct nlmsghdr *)reply.data, GENL_HDRLEN, WGDEVICE_A_PUBLIC_KEY)
            : NULL;
    if (a && nla_len(a) == WG_KEY_LEN)
        memcpy(public_key, nla_data(a), WG_KEY_LEN);
    explicit_bzero(reply.data, reply.len);
    if (a)
        return 0;
    *f = (struct rtnl_fault){.code = EPROTO};
    return -EPROTO;
}

int wireguard_public(const uint8_t private_key[WG_KEY_LEN], uint8_t public_key[WG_KEY_LEN],
                     struct nserr *e)
{
    cleanup_fd int ns = nsfd_create(e);
    struct rtnl_fault f = {0};
    struct rtnl *s;
    int err;

    if (ns < 0)
        return ns;
    err = make_device(ns, &f, e);
    if (err && !f.code)
        return err;
    s = err ? NULL : rtnl_open(ns, NETLINK_GENERIC, e);
    if (!err && !s)
        return -e->code;
    if (s)
        err = ask_device(s, private_key, public_key, &f);
    rtnl_close(s);
    if (err) {
        nserr_sys(e, f.code, "wireguard pubkey", NULL);
        snprintf(e->kernel, sizeof(e->kernel), "%s",
                 *f.text || f.code != EOPNOTSUPP ? f.text : "this kernel has no WireGuard");
    }
    return err;
}
