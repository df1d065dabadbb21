/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <netinet/in.h>

#include "base/alloc.h"
#include "base/str.h"
#include "netd/ports.h"
#include "netd/sandbox.h"
#include "sys/fdpass.h"
#include "sys/path.h"

#define BACKLOG          128
#define MESSAGES_AT_ONCE 64
#define DAEMONS_MAX      16 /* one, and those who ask for the status */

struct conn {
    struct list node;
    struct watch w;
    bool is_setup;    /* a set-up process, which asks once */
    struct buf reply; /* that could not be sent yet: nothing is read meanwhile */
    char *waits_for;  /* a set-up process's sandbox, which has not been put yet */
    int fds[NETD_FDS_MAX];
    struct deadline patience;
};

static void conn_close(struct netd *n, struct conn *c) {
    watch_close(n, &c->w);
    deadline_stop(&c->patience);
    list_remove(&c->node);
    buf_done(&c->reply);
    free(c->waits_for);
    for (int i = 0; i < NETD_FDS_MAX; i++)
        fd_close(c->fds[i]);
    netd_free_later(n, c);
    netd_check_use(n);
}

static void conn_send(struct netd *n, struct conn *c) {
    int r = netd_end(&c->reply);
    if (r >= 0)
        r = fdpass_send(c->w.fd, c->reply.data, c->reply.len, NULL, 0);
    if (r == -EAGAIN) {
        watch_set(n, &c->w, EPOLLOUT);
        return;
    }
    buf_clear(&c->reply);
    if (r < 0)
        conn_close(n, c);
}

/* ---- what the daemon says -------------------------------------------------------------------- */
static int do_reserve(struct netd *n, uint32_t seq, struct netd_in *in, struct buf *reply) {
    const char *owner = netd_get_text(in, NETD_ID_MAX);
    size_t count = netd_get_u16(in);
    if (in->failed || count > NETD_PORTS_MAX)
        return -EBADMSG;
    auto_free struct port_request *requests = xcalloc(count + 1, sizeof(struct port_request));
    auto_free uint16_t *numbers = xcalloc(count + 1, sizeof(uint16_t));
    auto_err e = ERR_INIT;
    for (size_t i = 0; i < count; i++) {
        struct port_request *q = &requests[i];
        q->proto = netd_get_u8(in);
        q->first = netd_get_u16(in);
        q->last = netd_get_u16(in);
        q->host_count = netd_get_u8(in);
        if (q->host_count > PORT_HOSTS_MAX)
            return -EBADMSG;
        for (size_t k = 0; k < q->host_count; k++) {
            q->hosts[k] = netd_get_addr(in);
            if (!q->hosts[k].family)
                return -EBADMSG;
        }
        q->to = netd_get_addr(in);
        q->to_port = netd_get_u16(in);
        bool known = q->proto == IPPROTO_TCP || q->proto == IPPROTO_UDP || q->proto == IPPROTO_SCTP;
        if (in->failed || !known || q->first == 0 || q->first > q->last)
            return -EBADMSG;
    }
    int r = ports_reserve(n, owner, requests, count, numbers, &e);
    netd_begin(reply, NETD_RESERVED, seq);
    netd_put_u8(reply, r < 0 ? (uint8_t)e.class : 0);
    netd_put_u32(reply, r < 0 ? (uint32_t)e.errnum : 0);
    netd_put_text(reply, r < 0 ? err_msg(&e) : "");
    netd_put_u16(reply, (uint16_t)(r < 0 ? 0 : count));
    for (size_t i = 0; r >= 0 && i < count; i++)
        netd_put_u16(reply, numbers[i]);
    return 0;
}

static int do_release(struct netd *n, struct netd_in *in) {
    const char *owner = netd_get_text(in, NETD_ID_MAX);
    size_t count = netd_get_u16(in);
    if (in->failed)
        return -EBADMSG;
    if (count == 0)
        ports_release_all(n, owner);
    for (size_t i = 0; i < count && !in->failed; i++) {
        uint8_t proto = netd_get_u8(in);
        uint16_t number = netd_get_u16(in);
        if (!in->failed)
            ports_release(n, owner, proto, number);
    }
    return in->failed ? -EBADMSG : 0;
}

static int do_endpoint_put(struct netd *n, struct netd_in *in) {
    struct names_put p = {.generation = n->generation};
    p.network = netd_get_text(in, NETD_ID_MAX);
    p.container = netd_get_text(in, NETD_ID_MAX);
    p.ip4 = netd_get_addr(in);
    p.ip6 = netd_get_addr(in);
    auto_strv names = netd_get_list(in, NETD_NAMES_MAX);
    p.names = names;
    p.network_name = netd_get_text(in, DNS_NAME_TEXT);
    bool wrong =
        (p.ip4.family && p.ip4.family != AF_INET) || (p.ip6.family && p.ip6.family != AF_INET6);
    if (in->failed || wrong)
        return -EBADMSG;
    names_put(&n->names, &p);
    return 0;
}

static int do_endpoint_del(struct netd *n, struct netd_in *in) {
    const char *network = netd_get_text(in, NETD_ID_MAX);
    const char *container = netd_get_text(in, NETD_ID_MAX);
    if (in->failed)
        return -EBADMSG;
    names_del(&n->names, network, container);
    return 0;
}

/* ---- sandboxes and their set-up processes ---------------------------------------------------- */
static void put_attached(struct buf *reply, uint32_t seq, int r, const char *what) {
    netd_begin(reply, NETD_ATTACHED, seq);
    netd_put_u32(reply, r < 0 ? (uint32_t)-r : 0);
    netd_put_text(reply, r < 0 ? what : "");
}

static void answer_waiting(struct netd *n, const char *id) {
    struct sandbox *s = map_get(&n->sandboxes, id);
    struct conn *c, *next;
    list_for_each_safe (c, next, &n->conns, node) {
        if (!c->waits_for || !str_eq(c->waits_for, id))
            continue;
        const char *what = "";
        int r = sandbox_attach(s, take_fd(&c->fds[0]), take_fd(&c->fds[1]), &what);
        free(take_ptr(c->waits_for));
        deadline_stop(&c->patience);
        put_attached(&c->reply, 0, r, what);
        conn_send(n, c);
    }
}

static void on_wait_end(struct netd *n, struct deadline *d) {
    struct conn *c = container_of(d, struct conn, patience);
    free(take_ptr(c->waits_for));
    put_attached(&c->reply, 0, -ENOENT, "the daemon has not told the names of this container");
    conn_send(n, c);
}

static int do_sandbox_put(struct netd *n, uint32_t seq, struct netd_in *in, int fds[NETD_FDS_MAX],
                          struct buf *reply) {
    const char *what = "", *id = netd_get_text(in, NETD_ID_MAX);
    auto_strv networks = netd_get_list(in, NETD_NAMES_MAX);
    auto_strv servers = netd_get_list(in, NETD_NAMES_MAX);
    auto_strv links = netd_get_list(in, NETD_NAMES_MAX);
    bool internal = netd_get_u8(in);
    if (in->failed || !*id)
        return -EBADMSG;
    struct sandbox_put p = {.id = id,
                            .networks = take_ptr(networks),
                            .links = take_ptr(links),
                            .servers = servers,
                            .internal = internal};
    struct sandbox *s = sandbox_put(n, &p);
    int r = fds[0] < 0 ? 0 : sandbox_attach_running(s, take_fd(&fds[0]), &what);
    /* A container that has ended meanwhile has no namespace: the daemon will notice as well. */
    if (r < 0 && r != -ESRCH)
        put_attached(reply, seq, r, what);
    answer_waiting(n, id);
    return 0;
}

static int do_sandbox_del(struct netd *n, struct netd_in *in) {
    const char *id = netd_get_text(in, NETD_ID_MAX);
    if (in->failed)
        return -EBADMSG;
    sandbox_del(n, id);
    return 0;
}

static void do_sync_end(struct netd *n) {
    names_sweep(&n->names, n->generation);
    sandboxes_sweep(n);
    ports_sweep(n);
}

static void do_status(struct netd *n, uint32_t seq, struct buf *reply) {
    auto_free char *text =
        xasprintf("sandboxes=%zu attached=%u endpoints=%zu ports=%zu queries=%u relays=%u flows=%u",
                  n->sandboxes.count, n->attached, names_count(&n->names), ports_count(n),
                  n->queries, n->relays, n->flows);
    netd_begin(reply, NETD_STATUS, seq);
    netd_put_text(reply, text);
}

int control_carry_out(struct netd *n, const void *p, size_t len, int fds[NETD_FDS_MAX],
                      struct buf *reply) {
    struct netd_msg head;
    struct netd_in in;
    int r = netd_open(p, len, &head, &in);
    if (r < 0)
        return r;
    switch ((enum netd_type)head.type) {
    case NETD_SYNC_BEGIN:
        n->generation++;
        return 0;
    case NETD_SYNC_END:
        do_sync_end(n);
        return 0;
    case NETD_RESERVE:
        return do_reserve(n, head.seq, &in, reply);
    case NETD_RELEASE:
        return do_release(n, &in);
    case NETD_ENDPOINT_PUT:
        return do_endpoint_put(n, &in);
    case NETD_ENDPOINT_DEL:
        return do_endpoint_del(n, &in);
    case NETD_SANDBOX_PUT:
        return do_sandbox_put(n, head.seq, &in, fds, reply);
    case NETD_SANDBOX_DEL:
        return do_sandbox_del(n, &in);
    case NETD_SHUTDOWN:
        n->stop = true;
        return 0;
    case NETD_STATUS:
        do_status(n, head.seq, reply);
        return 0;
    case NETD_RESERVED:
    case NETD_ATTACH:
    case NETD_ATTACHED:
    case NETD_TYPE_MAX_:
        break;
    }
    return -EBADMSG;
}

/* ---- connections ----------------------------------------------------------------------------- */
/* The message of a set-up process: true when this is one. */
static bool is_attach(const void *p, size_t len, struct netd_in *in) {
    struct netd_msg head;
    return netd_open(p, len, &head, in) >= 0 && head.type == NETD_ATTACH;
}

/* False: there was nothing more to be read. */
static bool read_conn(struct netd *n, struct conn *c);

/* What daemons have said before this process came must be known before it is served. */
static void catch_up(struct netd *n) {
    struct conn *daemons[DAEMONS_MAX], *c;
    size_t count = 0;
    list_for_each (c, &n->conns, node) {
        if (!c->is_setup && count < DAEMONS_MAX)
            daemons[count++] = c;
    }
    /* Reading may close any of them; their memory stays until later. */
    for (size_t i = 0; i < count; i++)
        while (read_conn(n, daemons[i]))
            ;
}

static void attach(struct netd *n, struct conn *c, struct netd_in *in, int fds[NETD_FDS_MAX]) {
    auto_free char *id = xstrdup(netd_get_text(in, NETD_ID_MAX));
    const char *what = "";
    if (in->failed || fds[0] < 0 || c->waits_for) {
        conn_close(n, c);
        return;
    }
    c->is_setup = true;
    c->fds[0] = take_fd(&fds[0]);
    c->fds[1] = take_fd(&fds[1]);
    catch_up(n);
    struct sandbox *s = map_get(&n->sandboxes, id);
    if (!s) {
        c->waits_for = take_ptr(id);
        deadline_start(n, &c->patience, DEADLINE_ATTACH);
        return;
    }
    int r = sandbox_attach(s, take_fd(&c->fds[0]), take_fd(&c->fds[1]), &what);
    put_attached(&c->reply, 0, r, what);
    conn_send(n, c);
}

static bool read_conn(struct netd *n, struct conn *c) {
    for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
        int fds[NETD_FDS_MAX] = {-1, -1};
        size_t n_fds = NETD_FDS_MAX;
        struct netd_in in;
        if (c->w.fd < 0 || c->reply.len || n->stop)
            return false;
        ssize_t len = fdpass_recv(c->w.fd, n->scratch, sizeof(n->scratch), fds, &n_fds);
        if (len == -EAGAIN)
            return false;
        if (len <= 0)
            conn_close(n, c);
        else if (is_attach(n->scratch, (size_t)len, &in))
            attach(n, c, &in, fds); /* others may use the scratch buffer */
        else if (control_carry_out(n, n->scratch, (size_t)len, fds, &c->reply) < 0)
            conn_close(n, c);
        else if (c->reply.len)
            conn_send(n, c);
        for (size_t k = 0; k < NETD_FDS_MAX; k++)
            fd_close(fds[k]);
    }
    return true;
}

static void on_conn(struct netd *n, struct watch *w, unsigned events) {
    struct conn *c = container_of(w, struct conn, w);
    if (c->reply.len) {
        watch_set(n, w, EPOLLIN);
        conn_send(n, c);
        return;
    }
    (void)read_conn(n, c); /* what is left is reported again */
}

int control_add(struct netd *n, int fd) {
    struct conn *c = xnew(struct conn);
    c->fds[0] = c->fds[1] = -1;
    deadline_init(&c->patience, on_wait_end);
    int flags = fcntl(fd, F_GETFL);
    int r = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
                    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0
                ? -errno
                : watch_open(n, &c->w, fd, EPOLLIN, on_conn);
    if (r < 0) {
        free(c);
        return r;
    }
    list_append(&n->conns, &c->node);
    return 0;
}

static void on_accept(struct netd *n, struct watch *w, unsigned events) {
    struct ucred who;
    socklen_t len = sizeof(who);
    int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    /* The socket's mode says so already; a directory that was moved does not. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
        (who.uid != 0 && who.uid != geteuid()))
        fd_close(fd);
    else
        (void)control_add(n, fd); /* the peer sees it closed */
}

/* By its directory's descriptor: the path may be longer than an address holds. */
int control_listen(struct netd *n, const char *socket_path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *slash = strrchr(socket_path, '/');
    char base[PATH_FD_MAX];
    if (!slash || slash == socket_path)
        return -EINVAL;
    auto_free char *folder = xstrndup(socket_path, (size_t)(slash - socket_path));
    auto_fd dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dir < 0 || fd < 0)
        return -errno;
    int len = snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", path_of_fd(dir, base), slash);
    if (len < 0 || (size_t)len >= sizeof(a.sun_path))
        return -ENAMETOOLONG;
    /* Of a process that has died: the daemon starts one only when nobody answers there. */
    (void)unlinkat(dir, slash + 1, 0);
    mode_t mask = umask(0177);
    int r = bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
    (void)umask(mask);
    return r < 0 ? r : watch_open(n, &n->listener, take_fd(&fd), EPOLLIN, on_accept);
}

bool control_has_daemon(const struct netd *n) {
    const struct conn *c;
    list_for_each (c, &n->conns, node) {
        if (!c->is_setup)
            return true;
    }
    return false;
}

void control_done(struct netd *n) {
    struct conn *c;
    while ((c = list_first(&n->conns, struct conn, node)))
        conn_close(n, c);
}
