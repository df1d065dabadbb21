/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "netd/message.h"
#include "sys/fdpass.h"
#include "sys/path.h"

#define START_MS  3000 /* for a process that has just been started */
#define ANSWER_MS 10000
#define RETRY_MS  2

/* By its directory's descriptor: the path may be longer than an address holds. */
int netd_connect(const char *path, int flags) {
    auto_fd dir = -1, fd = -1;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    char base[PATH_FD_MAX];
    if (!slash || slash == path)
        return -EINVAL;
    auto_free char *folder = xstrndup(path, (size_t)(slash - path));
    dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
    if (dir < 0 || fd < 0)
        return -errno;
    int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", path_of_fd(dir, base), slash);
    if (n < 0 || (size_t)n >= sizeof(a.sun_path))
        return -ENAMETOOLONG;
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return -errno;
    return take_fd(&fd);
}

static int connect_patiently(const char *path) {
    const struct timespec pause = {.tv_nsec = RETRY_MS * NS_PER_MS};
    int64_t end = clock_mono_ns() + START_MS * NS_PER_MS;
    for (;;) {
        int fd = netd_connect(path, 0);
        if ((fd != -ENOENT && fd != -ECONNREFUSED) || clock_mono_ns() >= end)
            return fd;
        (void)nanosleep(&pause, NULL); /* cut short: asked a little earlier */
    }
}

int netd_attach_begin(const char *socket_path, const char *sandbox_id, int netns_fd, int pidfd,
                      struct err *e) {
    auto_buf message = BUF_INIT;
    const int fds[NETD_FDS_MAX] = {netns_fd, pidfd};
    auto_fd fd = connect_patiently(socket_path);
    if (fd < 0)
        return err_sys(e, fd, "failed to reach fence-netd at %s", socket_path);
    netd_begin(&message, NETD_ATTACH, 0);
    netd_put_text(&message, sandbox_id);
    int r = netd_end(&message);
    if (r >= 0)
        r = fdpass_send(fd, message.data, message.len, fds, pidfd >= 0 ? 2 : 1);
    return r < 0 ? err_sys(e, r, "failed to write to fence-netd") : take_fd(&fd);
}

int netd_attach_end(int attach_fd, struct err *e) {
    auto_fd fd = attach_fd;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct netd_msg head;
    struct netd_in in;
    char answer[1024];
    int r;
    do
        r = poll(&p, 1, ANSWER_MS);
    while (r < 0 && errno == EINTR);
    if (r <= 0)
        return err_sys(e, r < 0 ? errno : ETIMEDOUT, "fence-netd does not answer");
    ssize_t n = fdpass_recv(fd, answer, sizeof(answer), NULL, NULL);
    if (n <= 0)
        return err_sys(e, n < 0 ? (int)n : ECONNRESET, "fence-netd has not answered");
    r = netd_open(answer, (size_t)n, &head, &in);
    uint32_t errnum = r < 0 ? 0 : netd_get_u32(&in);
    const char *text = r < 0 ? "" : netd_get_text(&in, sizeof(answer));
    if (r < 0 || head.type != NETD_ATTACHED || in.failed)
        return err_set(e, ERR_SYSTEM, "fence-netd answered something else than was asked");
    return errnum ? err_sys(e, (int)errnum, "%s", text) : 0;
}
