/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sync.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "sys/fdpass.h"

static int send_msg(int sock, struct sync_msg *m, int fd) {
    size_t len = offsetof(struct sync_msg, text) + strlen(m->text) + 1;
    return fdpass_send(sock, m, len, &fd, fd >= 0 ? 1 : 0);
}

int sync_send(int sock, enum sync_type type, int fd) {
    struct sync_msg m;
    memset(&m, 0, offsetof(struct sync_msg, text) + 1);
    m.type = type;
    return send_msg(sock, &m, fd);
}

int sync_send_error(int sock, const struct err *e, enum sync_kind kind) {
    struct sync_msg m;
    memset(&m, 0, offsetof(struct sync_msg, text));
    m.type = SYNC_ERROR;
    m.class = e->class ? e->class : ERR_SYSTEM;
    m.kind = kind;
    m.errnum = e->errnum;
    const char *text = err_msg(e);
    size_t n = strnlen(text, sizeof(m.text) - 1);
    memcpy(m.text, text, n);
    m.text[n] = '\0';
    return send_msg(sock, &m, -1);
}

int sync_recv(int sock, struct sync_msg *ret, int *ret_fd) {
    int fd = -1;
    size_t n_fds = 1;
    ssize_t n = fdpass_recv(sock, ret, sizeof(*ret), &fd, &n_fds);
    if (n == -ECONNRESET) {
        /* The peer ended with messages of ours unread; what it said before comes after this. */
        n_fds = 1;
        n = fdpass_recv(sock, ret, sizeof(*ret), &fd, &n_fds);
    }
    if (n <= 0)
        return (int)n;
    if ((size_t)n <= offsetof(struct sync_msg, text)) {
        fd_close(n_fds ? fd : -1);
        return -EBADMSG;
    }
    ret->text[(size_t)n - offsetof(struct sync_msg, text) - 1] = '\0';
    *ret_fd = n_fds ? fd : -1;
    return 1;
}

int sync_expect(int sock, enum sync_type type, int *ret_fd) {
    struct sync_msg m;
    auto_fd fd = -1;
    int r = sync_recv(sock, &m, &fd);
    if (r <= 0)
        return r < 0 ? r : -EPIPE;
    if (m.type != type || !ret_fd != (fd < 0))
        return -EBADMSG;
    if (ret_fd)
        *ret_fd = take_fd(&fd);
    return 0;
}
