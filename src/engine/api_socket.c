/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/api_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/idmap.h"
#include "engine/userns.h"
#include "wire/http_server.h"

#define SOCKET_NAME "api.sock"

static bool is_our_socket(const struct engine *eng, const char *path, gid_t *ret_group) {
    struct stat st, ours;

    if (stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    strv_for_each (label, eng->listeners) {
        const char *listener = str_after(label, "unix://");

        if (listener && stat(listener, &ours) == 0 && ours.st_dev == st.st_dev &&
            ours.st_ino == st.st_ino) {
            *ret_group = st.st_gid;
            return true;
        }
    }
    return false;
}

static int open_socket(const char *state_dir, uid_t owner, gid_t group, int *ret_fd) {
    auto_fd dir = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int n;

    if (dir < 0 || fd < 0)
        return -errno;
    /* Through the descriptor: state directories may be longer than sun_path. */
    n = snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/" SOCKET_NAME, dir);
    if (n < 0 || (size_t)n >= sizeof sa.sun_path)
        return -ENAMETOOLONG;
    if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 ||
        fchownat(dir, SOCKET_NAME, owner, group, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(dir, SOCKET_NAME, 0660, 0) < 0 || listen(fd, SOMAXCONN) < 0)
        return -errno;
    *ret_fd = take_fd(&fd);
    return 0;
}

static char *label_of(const struct container *c) {
    return xasprintf("container:%s", c->rec.id);
}

int api_socket_replace(struct container *c, struct oci_spec *spec, struct err *e) {
    auto_free char *state_dir = container_state_dir(c);
    auto_free char *path = xasprintf("%s/" SOCKET_NAME, state_dir);

    if (!c->rec.idmap_base || !c->engine->server)
        return 0;
    for (size_t i = 0; i < spec->mounts.count; i++) {
        struct oci_mount *m = field_array_at(&spec->mounts, struct oci_mount, i);
        gid_t group;
        int r;

        if (str_empty(m->source) || *m->source != '/' ||
            !is_our_socket(c->engine, m->source, &group))
            continue;
        if (c->api_fd < 0) {
            /* The runtime maps owners of what it binds wherever the file system lets it: root there
             * is the container's. Elsewhere the bind shows the owner as it is. */
            uid_t base = userns_path_can(state_dir) ? 0 : (uid_t)c->rec.idmap_base;

            /* The group is the number that our socket has: `--group-add` names it, and users of
             * group 0, whom images have many, do not get in by that. */
            r = open_socket(state_dir, base, base + (group < IDMAP_SIZE ? group : 0), &c->api_fd);
            if (r < 0)
                return err_sys(e, r, "cannot make an API socket for container %s", c->rec.id);
        }
        str_set(&m->source, path);
    }
    return 0;
}

void api_socket_serve(struct container *c) {
    auto_free char *label = label_of(c);
    struct http_listener_options o = {.label = label};
    int r;

    if (c->api_fd < 0)
        return;
    r = http_server_listen(c->engine->server, c->api_fd, &o);
    c->api_fd = -1; /* the server's now, or closed */
    if (r < 0)
        log_error("the API socket of a container cannot be served", "container", c->rec.id, "error",
                  strerror(-r));
}

void api_socket_close(struct container *c) {
    auto_free char *label = label_of(c);

    fd_close(c->api_fd);
    c->api_fd = -1;

    if (c->engine->server)
        http_server_unlisten(c->engine->server, label);
}
