/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int fdpass_sendv(int sock, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds) {
    if (n_fds > FDPASS_MAX)
        return -EINVAL;
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * FDPASS_MAX)];
    } control;
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n_iov};
    if (n_fds) {
        memset(&control.align, 0, sizeof(control.align));
        msg.msg_control = control.room;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    while (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int fdpass_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds) {
    struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
    return fdpass_sendv(sock, &iov, 1, fds, n_fds);
}

ssize_t fdpass_recv(int sock, void *data, size_t size, int *fds, size_t *n_fds) {
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * FDPASS_MAX) + CMSG_SPACE(64)];
    } control;
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof(control.room)};
    ssize_t n;
    while ((n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC)) < 0)
        if (errno != EINTR)
            return -errno;
    size_t room = n_fds ? *n_fds : 0, count = 0;
    int refused = msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t have = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < have; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (count < room) {
                fds[count++] = fd;
            } else {
                close(fd);
                refused = 1;
            }
        }
    }
    if (refused) {
        for (size_t i = 0; i < count; i++)
            close(fds[i]);
        return -EMSGSIZE;
    }
    if (n_fds)
        *n_fds = count;
    return n;
}
