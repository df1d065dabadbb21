/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sdnotify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/str.h"

int sdnotify_send(const char *state) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *name = getenv("NOTIFY_SOCKET");
    size_t len = str_empty(name) ? 0 : strlen(name);
    auto_fd fd = -1;
    ssize_t n;

    if (len == 0)
        return 0;
    if (name[0] != '/' && name[0] != '@')
        return -EAFNOSUPPORT;
    if (len >= sizeof(a.sun_path))
        return -ENAMETOOLONG;
    memcpy(a.sun_path, name, len);
    if (name[0] == '@')
        a.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    n = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&a,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    return n < 0 ? -errno : 1;
}
