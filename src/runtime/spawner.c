/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "sys/caps.h"
#include "sys/fdpass.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define SPAWN_FDS_MAX 6 /* conn, request, four joins */

/* The descriptors in the order of struct spawn_msg; -EBADMSG when they do not fit it. */
static int check_msg(const struct spawn_msg *m, ssize_t len, const int *fds, size_t n,
                     int join[4]) {
    const uint32_t wanted[4] = {m->join_net, m->join_ipc, m->join_pid, m->join_exec};
    if (len != (ssize_t)sizeof(*m) || m->magic != SPAWN_MAGIC || m->version != SPAWN_VERSION)
        return -EBADMSG;
    size_t next = SPAWN_FD_JOIN;
    for (int i = 0; i < 4; i++) {
        join[i] = -1;
        if (!wanted[i])
            continue;
        if (wanted[i] != 1 || next >= n)
            return -EBADMSG;
        join[i] = fds[next++];
    }
    return next == n ? 0 : -EBADMSG;
}

int spawner_serve(int control) {
    struct rt_host host;
    if (ns_ids_read(-1, &host.namespaces) < 0 || cgroupfs_detect(&host.cgroups) < 0)
        return 1;
    (void)lcap_kernel(); /* asked once for all that are forked from here */
    /* Set-up processes are forgotten: the kernel reaps them. */
    struct sigaction forget = {.sa_handler = SIG_IGN, .sa_flags = SA_NOCLDWAIT};
    if (sigaction(SIGCHLD, &forget, NULL) < 0)
        return 1;
    for (;;) {
        struct spawn_msg m;
        int fds[SPAWN_FDS_MAX], join[4];
        size_t n = SPAWN_FDS_MAX;
        ssize_t len = fdpass_recv(control, &m, sizeof(m), fds, &n);
        if (len == 0)
            break;
        if (len == -EMSGSIZE)
            continue; /* nothing we can answer: its descriptors are closed, the sender sees that */
        if (len < 0)
            return 1;
        if (check_msg(&m, len, fds, n, join) >= 0) {
            pid_t pid = fork();
            if (pid == 0) {
                close(control);
                setup_main(&host, fds[SPAWN_FD_CONN], fds[SPAWN_FD_REQUEST], join);
            }
            if (pid < 0)
                setup_tell_no_process(fds[SPAWN_FD_CONN], errno);
        }
        for (size_t i = 0; i < n; i++)
            close(fds[i]);
    }
    cgroupfs_host_done(&host.cgroups);
    return 0;
}

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int spawner_seal_self(char *const *argv) {
    auto_fd self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self < 0)
        return -errno;
    int seals = fcntl(self, F_GET_SEALS);
    if (seals >= 0 && (seals & SEALS) == SEALS)
        return 0;
    struct stat st;
    if (fstat(self, &st) < 0)
        return -errno;
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    auto_fd copy = memfd_create("fence-spawner", flags | MFD_EXEC);
    if (copy < 0 && errno == EINVAL) /* before Linux 6.3 */
        copy = memfd_create("fence-spawner", flags);
    if (copy < 0)
        return -errno;
    for (off_t done = 0; done < st.st_size;) {
        ssize_t n = sendfile(copy, self, NULL, (size_t)(st.st_size - done));
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += n;
    }
    if (fcntl(copy, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    extern char **environ;
    fexecve(copy, argv, environ);
    return -errno;
}
