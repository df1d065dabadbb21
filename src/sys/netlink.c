/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NL_DUMP_MAX 32768 /* what the kernel puts into one message of a dump at most */

int nl_open(int protocol) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    return fd < 0 ? -errno : fd;
}

void nl_init(struct nl_msg *m, uint16_t type, uint16_t flags) {
    memset(m, 0, sizeof(*m));
    m->hdr.nlmsg_len = NLMSG_LENGTH(0);
    m->hdr.nlmsg_type = type;
    m->hdr.nlmsg_flags = flags | NLM_F_REQUEST | NLM_F_ACK;
    m->hdr.nlmsg_seq = 1;
}

void *nl_put_raw(struct nl_msg *m, const void *p, size_t n) {
    size_t at = NLMSG_ALIGN(m->hdr.nlmsg_len);
    if (m->failed || n > NL_MSG_MAX || at + NLMSG_ALIGN(n) > NL_MSG_MAX) {
        m->failed = true;
        return NULL;
    }
    if (n)
        memcpy(m->room + at, p, n);
    m->hdr.nlmsg_len = (uint32_t)(at + n);
    return m->room + at;
}

void nl_put(struct nl_msg *m, uint16_t type, const void *p, size_t n) {
    struct nlattr attr = {.nla_type = type, .nla_len = (uint16_t)(NLA_HDRLEN + n)};
    if (n > NL_MSG_MAX)
        m->failed = true;
    nl_put_raw(m, &attr, sizeof(attr));
    nl_put_raw(m, p, n);
}

void nl_put_str(struct nl_msg *m, uint16_t type, const char *s) {
    nl_put(m, type, s, strlen(s) + 1);
}

void nl_put_u32(struct nl_msg *m, uint16_t type, uint32_t v) {
    nl_put(m, type, &v, sizeof(v));
}

void nl_put_u8(struct nl_msg *m, uint16_t type, uint8_t v) {
    nl_put(m, type, &v, sizeof(v));
}

size_t nl_nest(struct nl_msg *m, uint16_t type) {
    size_t at = NLMSG_ALIGN(m->hdr.nlmsg_len);
    nl_put(m, type, NULL, 0);
    return at;
}

void nl_nest_end(struct nl_msg *m, size_t at) {
    if (m->failed)
        return;
    uint16_t len = (uint16_t)(NLMSG_ALIGN(m->hdr.nlmsg_len) - at);
    memcpy(m->room + at + offsetof(struct nlattr, nla_len), &len, sizeof(len));
}

static int send_msg(int sock, struct nl_msg *m) {
    if (m->failed)
        return -EMSGSIZE;
    m->hdr.nlmsg_len = NLMSG_ALIGN(m->hdr.nlmsg_len);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    while (sendto(sock, m->room, m->hdr.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) <
           0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int nl_talk(int sock, struct nl_msg *m) {
    int r = send_msg(sock, m);
    if (r < 0)
        return r;
    for (;;) {
        union {
            struct nlmsghdr hdr;
            char room[NL_MSG_MAX * 2];
        } answer;
        ssize_t n = recv(sock, answer.room, sizeof(answer.room), 0);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if ((size_t)n < NLMSG_LENGTH(sizeof(int)) || answer.hdr.nlmsg_seq != m->hdr.nlmsg_seq)
            continue;
        if (answer.hdr.nlmsg_type != NLMSG_ERROR)
            continue;
        int error;
        memcpy(&error, answer.room + NLMSG_LENGTH(0), sizeof(error));
        return error; /* negative errno, or 0 */
    }
}

int nl_dump(int sock, struct nl_msg *m, void (*each)(void *arg, const struct nlmsghdr *h),
            void *arg) {
    int r = send_msg(sock, m);
    while (r >= 0) {
        union {
            struct nlmsghdr hdr;
            char room[NL_DUMP_MAX];
        } answer;
        ssize_t n = recv(sock, answer.room, sizeof(answer.room), MSG_TRUNC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || (size_t)n > sizeof(answer.room))
            return n < 0 ? -errno : -EMSGSIZE;
        unsigned left = (unsigned)n;
        for (struct nlmsghdr *h = &answer.hdr; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            int error;
            if (h->nlmsg_seq != m->hdr.nlmsg_seq)
                continue;
            if (h->nlmsg_type == NLMSG_DONE)
                return 0;
            if (h->nlmsg_type != NLMSG_ERROR) {
                each(arg, h);
                continue;
            }
            if (h->nlmsg_len < NLMSG_LENGTH(sizeof(error)))
                return -EBADMSG;
            memcpy(&error, NLMSG_DATA(h), sizeof(error));
            return error;
        }
    }
    return r;
}
