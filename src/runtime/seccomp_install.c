/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/seccomp.h"

int seccomp_install(const struct seccomp_program *p, int *ret_listener) {
    struct sock_fprog prog = {.len = p->count, .filter = p->insns};
    unsigned flags = p->flags;
    long fd;

    if (p->count == 0) {
        if (ret_listener)
            *ret_listener = -1;
        return 0;
    }
    if (p->notify) {
        if (!ret_listener)
            return -EINVAL;
        /* A signal does not interrupt a call that the listener has begun to serve (Linux 5.19). */
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                     flags | SECCOMP_FILTER_FLAG_NEW_LISTENER |
                         SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                     &prog);
        if (fd < 0 && errno == EINVAL)
            fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                         flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
        if (fd < 0)
            return -errno;
        *ret_listener = (int)fd; /* the kernel makes it close-on-exec */
        return 0;
    }
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog) < 0)
        return -errno;
    if (ret_listener)
        *ret_listener = -1;
    return 0;
}
