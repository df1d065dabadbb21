/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"

#define ACTIVATION_FIRST_FD 3
#define GROUP_BUFFER_MAX    (1u << 20)

void listen_sockets_free(struct listen_socket *sockets, size_t count) {
    for (size_t i = 0; sockets && i < count; i++) {
        (void)fd_close(sockets[i].fd);
        free(sockets[i].label);
        free(sockets[i].path);
    }
    free(sockets);
}

static int one_socket(int fd, bool is_tcp, char *label, char *path,
                      struct listen_socket **ret_sockets, size_t *ret_count) {
    struct listen_socket *s = xnew(struct listen_socket);

    *s = (struct listen_socket){.fd = fd, .is_tcp = is_tcp, .label = label, .path = path};
    *ret_sockets = s;
    *ret_count = 1;
    return 0;
}

/* ---- unix:// --------------------------------------------------------------------------------- */

/* A number or a name. 0, or -ENOENT. */
static int group_id(const char *group, gid_t *ret_gid) {
    struct group entry, *found = NULL;
    uint64_t number;
    size_t size = 4096;
    int r;

    if (str_to_u64(group, &number) == 0 && number < (gid_t)-1) {
        *ret_gid = (gid_t)number;
        return 0;
    }
    for (; size <= GROUP_BUFFER_MAX; size *= 2) {
        auto_free char *memory = xmalloc(size);

        r = getgrnam_r(group, &entry, memory, size, &found);
        if (r == ERANGE)
            continue;
        if (r != 0 || !found)
            return -ENOENT;
        *ret_gid = found->gr_gid;
        return 0;
    }
    return -ENOENT;
}

static int unix_address(const char *path, struct sockaddr_un *a, struct err *e) {
    size_t len = strlen(path);

    if (len >= sizeof(a->sun_path))
        return err_set(e, ERR_INVALID, "unix socket path \"%s\" is too long: at most %zu bytes",
                       path, sizeof(a->sun_path) - 1);
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(a->sun_path, path, len);
    return 0;
}

/* 0 when the path is free or a socket that nobody serves. */
static int check_stale(const char *path, const struct sockaddr_un *a, struct err *e) {
    auto_fd fd = -1;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_sys(e, errno, "can't create unix socket %s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_sys(e, S_ISDIR(st.st_mode) ? EISDIR : EEXIST, "can't create unix socket %s",
                       path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(e, errno, "can't create unix socket %s", path);
    /* A full backlog is a live server too. */
    if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno == EAGAIN)
        return err_sys(e, EADDRINUSE, "listen unix %s: bind", path);
    return 0;
}

static int make_parent(const char *path, struct err *e) {
    auto_free char *dir = xstrdup(path);
    char *slash = strrchr(dir, '/');
    int r;

    if (!slash || slash == dir)
        return 0;
    *slash = '\0';
    r = io_mkdir_all(dir, 0755);
    return r < 0 ? err_sys(e, r, "can't create unix socket %s: mkdir %s", path, dir) : 0;
}

static void set_owner(const char *path, const char *group) {
    gid_t gid;

    if (str_empty(group))
        return;
    if (group_id(group, &gid) < 0)
        log_warn("could not change group of the socket: group not found", "socket", path, "group",
                 group);
    else if (lchown(path, (uid_t)-1, gid) < 0)
        log_warn("could not change group of the socket", "socket", path, "group", group, "error",
                 strerror(errno));
}

/* Made under another name and moved into place: the old socket is replaced at once, and at no
 * moment can anybody connect who may not. */
static int listen_unix(const char *path, const struct listen_options *o,
                       struct listen_socket **ret_sockets, size_t *ret_count, struct err *e) {
    struct sockaddr_un a, wanted;
    char random[9];
    unsigned char bytes[4];
    auto_free char *temporary = NULL;
    auto_fd fd = -1;
    int r;

    if (path[0] != '/')
        return err_set(e, ERR_INVALID, "invalid bind address: unix://%s is not an absolute path",
                       path);
    random_bytes(bytes, sizeof(bytes));
    hex_encode(bytes, sizeof(bytes), random);
    temporary = xasprintf("%s.%.4s", path, random);
    r = unix_address(path, &wanted, e);
    if (r == 0)
        r = unix_address(temporary, &a, e);
    if (r == 0)
        r = make_parent(path, e);
    if (r == 0)
        r = check_stale(path, &wanted, e);
    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(e, errno, "can't create unix socket %s", path);
    if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
        return err_sys(e, errno, "listen unix %s: bind", path);
    set_owner(temporary, o->group);
    if (chmod(temporary, 0660) < 0 || listen(fd, SOMAXCONN) < 0 || rename(temporary, path) < 0) {
        r = err_sys(e, errno, "can't create unix socket %s", path);
        (void)unlink(temporary);
        return r;
    }
    return one_socket(take_fd(&fd), false, xasprintf("unix://%s", path), xstrdup(path), ret_sockets,
                      ret_count);
}

/* ---- tcp:// ---------------------------------------------------------------------------------- */

struct host_port {
    char *host; /* without brackets */
    char *port;
};

static void host_port_done(struct host_port *hp) {
    free(hp->host);
    free(hp->port);
}

static int bad_address(const char *spec, struct err *e) {
    return err_set(e, ERR_INVALID, "invalid bind address format: %s", spec);
}

/* HOST, HOST:PORT, :PORT, [V6], [V6]:PORT or nothing. Docker's default host is localhost. */
static int split_address(const char *spec, const char *address, bool tls, struct host_port *ret,
                         struct err *e) {
    const char *port = NULL, *end;
    struct host_port hp;
    uint64_t number;

    if (strchr(address, '/') || strchr(address, '@'))
        return bad_address(spec, e);
    if (*address == '[') {
        end = strchr(address, ']');
        if (!end || end == address + 1 || (end[1] != '\0' && end[1] != ':'))
            return bad_address(spec, e);
        if (end[1] == ':')
            port = end + 2;
        address++;
    } else {
        end = address + strcspn(address, ":");
        if (*end == ':')
            port = end + 1;
    }
    if (str_empty(port))
        port = tls ? "2376" : "2375";
    if (str_to_u64(port, &number) < 0 || number > 65535)
        return bad_address(spec, e);
    hp.host = end == address ? xstrdup("localhost") : xstrndup(address, (size_t)(end - address));
    hp.port = xasprintf("%u", (unsigned)number);
    *ret = hp;
    return 0;
}

static char *tcp_label(const struct host_port *hp) {
    return xasprintf(strchr(hp->host, ':') ? "tcp://[%s]:%s" : "tcp://%s:%s", hp->host, hp->port);
}

static int bind_tcp(const struct addrinfo *ai, int *ret_fd) {
    auto_fd fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    int v6only;

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    if (ai->ai_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)ai->ai_addr;

        v6only = !IN6_IS_ADDR_UNSPECIFIED(&a->sin6_addr); /* [::] serves IPv4 too, as with Go */
        if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) < 0)
            return -errno;
    }
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)
        return -errno;
    *ret_fd = take_fd(&fd);
    return 0;
}

static int listen_tcp(const char *spec, const char *address, const struct listen_options *o,
                      struct listen_socket **ret_sockets, size_t *ret_count, struct err *e) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found, *ai;
    struct host_port hp;
    int fd = -1, r;

    r = split_address(spec, address, o->tls, &hp, e);
    if (r < 0)
        return r;
    r = getaddrinfo(hp.host, hp.port, &hints, &found);
    if (r != 0) {
        r = err_set(e, ERR_INVALID, "listen tcp: lookup %s: %s", hp.host, gai_strerror(r));
        host_port_done(&hp);
        return r;
    }
    /* One socket, IPv4 before IPv6, as Go chooses. */
    for (ai = found; ai && ai->ai_family != AF_INET; ai = ai->ai_next)
        ;
    r = bind_tcp(ai ? ai : found, &fd);
    freeaddrinfo(found);
    if (r < 0)
        r = err_sys(e, r, "listen tcp %s:%s: bind", hp.host, hp.port);
    else
        r = one_socket(fd, true, tcp_label(&hp), NULL, ret_sockets, ret_count);
    host_port_done(&hp);
    return r;
}

/* ---- fd:// ----------------------------------------------------------------------------------- */

/* How many sockets systemd passed to this process. */
static unsigned activation_count(void) {
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    uint64_t value;

    if (!pid || !fds || str_to_u64(pid, &value) < 0 || value != (uint64_t)getpid())
        return 0;
    return str_to_u64(fds, &value) < 0 || value > 1024 ? 0 : (unsigned)value;
}

static int adopt(int fd, struct listen_socket *ret, struct err *e) {
    int domain = 0, listening = 0, r;
    socklen_t len = sizeof(domain);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
        return err_sys(e, errno, "socket activation: fd %d", fd);
    len = sizeof(listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening)
        return err_set(e, ERR_INVALID, "socket activation: fd %d is not a listening socket", fd);
    r = io_set_nonblock(fd, true);
    if (r == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        r = -errno;
    if (r < 0)
        return err_sys(e, r, "socket activation: fd %d", fd);
    *ret = (struct listen_socket){
        .fd = fd, .is_tcp = domain != AF_UNIX, .label = xasprintf("fd://%d", fd)};
    return 0;
}

static int listen_activated(const char *spec, const char *which, struct listen_socket **ret_sockets,
                            size_t *ret_count, struct err *e) {
    unsigned count = activation_count(), first = 0, n;
    struct listen_socket *sockets;
    uint64_t number;
    int r;

    if (count == 0)
        return err_set(e, ERR_SYSTEM,
                       "no sockets found via socket activation: make sure the "
                       "service was started by systemd");
    n = count;
    if (*which && !str_eq(which, "*")) {
        if (str_to_u64(which, &number) < 0 || number < ACTIVATION_FIRST_FD)
            return err_set(e, ERR_INVALID,
                           "failed to parse systemd fd address: should be a number: %s", which);
        if (number - ACTIVATION_FIRST_FD >= count)
            return err_set(e, ERR_SYSTEM, "too few socket activated files passed in by systemd");
        first = (unsigned)number - ACTIVATION_FIRST_FD;
        n = 1;
    }
    sockets = xcalloc(n, sizeof(*sockets));
    for (unsigned i = 0; i < n; i++) {
        r = adopt(ACTIVATION_FIRST_FD + (int)(first + i), &sockets[i], e);
        if (r < 0) {
            listen_sockets_free(sockets, i);
            return r;
        }
    }
    *ret_sockets = sockets;
    *ret_count = n;
    return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

int listen_open(const char *spec, const struct listen_options *o,
                struct listen_socket **ret_sockets, size_t *ret_count, struct err *e) {
    const char *rest;

    if (*spec == '\0' || str_eq(spec, "unix://"))
        return listen_unix(str_or_empty(o->default_path), o, ret_sockets, ret_count, e);
    if ((rest = str_after(spec, "unix://")))
        return listen_unix(rest, o, ret_sockets, ret_count, e);
    if ((rest = str_after(spec, "fd://")))
        return listen_activated(spec, rest, ret_sockets, ret_count, e);
    if ((rest = str_after(spec, "tcp://")))
        return listen_tcp(spec, rest, o, ret_sockets, ret_count, e);
    if (strstr(spec, "://"))
        return bad_address(spec, e);
    return listen_tcp(spec, spec, o, ret_sockets, ret_count, e);
}

int listen_normalize(const char *spec, const struct listen_options *o, char **ret_spec,
                     struct err *e) {
    const char *address;
    struct host_port hp;
    int r;

    if (*spec == '\0' || str_eq(spec, "unix://")) {
        *ret_spec = xasprintf("unix://%s", str_or_empty(o->default_path));
        return 0;
    }
    if (str_starts(spec, "unix:///") || str_starts(spec, "fd://")) {
        *ret_spec = xstrdup(spec);
        return 0;
    }
    address = str_after(spec, "tcp://");
    if (!address) {
        if (strstr(spec, "://"))
            return bad_address(spec, e);
        address = spec;
    }
    r = split_address(spec, address, o->tls, &hp, e);
    if (r < 0)
        return r;
    *ret_spec = tcp_label(&hp);
    host_port_done(&hp);
    return 0;
}
