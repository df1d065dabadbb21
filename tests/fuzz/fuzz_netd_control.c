/* SPDX-License-Identifier: Apache-2.0 */

/* Messages of the daemon to fence-netd: the input is a run of them, each behind its type and two
 * bytes of length. Ports are left alone: they would open sockets of this machine. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "netd/control.h"
#include "netd/ports.h"
#include "netd/sandbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct netd *make(void) {
    struct netd *n = xnew(struct netd);
    n->epoll = n->listener.fd = -1;
    n->generation = 1;
    for (int i = 0; i < DEADLINE_KINDS_; i++)
        list_init(&n->deadlines[i]);
    list_init(&n->garbage);
    list_init(&n->conns);
    return n;
}

static void carry_out(struct netd *n, unsigned type, const uint8_t *body, size_t len) {
    auto_buf b = BUF_INIT, reply = BUF_INIT;
    int fds[NETD_FDS_MAX] = {-1, -1};
    netd_begin(&b, (enum netd_type)type, 1);
    if (!buf_append(&b, body, len) || netd_end(&b) < 0)
        abort();
    /* Exactly its size, so that a read past the end is seen. */
    auto_free void *copy = xmemdup(b.data, b.len);
    int r = control_carry_out(n, copy, b.len, fds, &reply);
    if (reply.len && (r < 0 || netd_end(&reply) < 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct netd *n = make();
    struct netd_msg head;
    struct netd_in in;
    int fds[NETD_FDS_MAX] = {-1, -1};
    auto_buf reply = BUF_INIT;

    if (netd_open(data, size, &head, &in) >= 0 && head.type != NETD_RESERVE)
        (void)control_carry_out(n, data, size, fds, &reply);
    while (size >= 3) {
        unsigned type = data[0] % NETD_TYPE_MAX_;
        size_t len = (size_t)data[1] << 8 | data[2];
        len = len < size - 3 ? len : size - 3;
        if (type != NETD_RESERVE)
            carry_out(n, type, data + 3, len);
        data += 3 + len;
        size -= 3 + len;
    }
    sandboxes_done(n);
    ports_done(n);
    names_done(&n->names);
    netd_collect(n);
    free(n);
    return 0;
}
