/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "netd/dns_server.h"
#include "netd/forward.h"
#include "sys/clone.h"
#include "wire/dns.h"

#define RESOLVER  0x7f00000bu /* 127.0.0.11 */
#define TCP_QUEUE 64
#define UDP_ROOM  (1 << 20)

/* ---- in the namespace ------------------------------------------------------------------------ */
/* Filled by a process that enters the namespace beside us: it has our memory and descriptors. */
struct inside {
    int netns;
    int family, type; /* what `fds` are */
    int *fds;
    size_t count;
    int udp, tcp, redirect; /* the resolver, when `fds` is NULL */
    const char *what;
    int result;
};

static int bind_resolver(int fd, uint16_t port) {
    const int on = 1;
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(RESOLVER)};
    /* The container may take its lo down. */
    if (setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return -errno;
    return 0;
}

static int bound_port(int fd, uint16_t *ret) {
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return -errno;
    *ret = ntohs(a.sin_port);
    return 0;
}

/* Both at `port` (0: of the kernel's choice). */
static int open_pair(struct inside *in, uint16_t port) {
    auto_fd udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    auto_fd tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1, room = UDP_ROOM;
    if (udp < 0 || tcp < 0)
        return -errno;
    /* For what arrives while others have the processor; less is no error. */
    (void)setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    /* A resolver that was here a moment ago may have left connections behind. */
    if (setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    int r = bind_resolver(udp, port);
    if (r >= 0)
        r = bind_resolver(tcp, port);
    if (r >= 0 && listen(tcp, TCP_QUEUE) < 0)
        r = -errno;
    if (r < 0)
        return r;
    in->udp = take_fd(&udp);
    in->tcp = take_fd(&tcp);
    return 0;
}

/* The first process may not have done it yet. In a namespace that has never had an address, the
 * kernel takes every address for one that cannot be a source (inet_addr_type() says RTN_BROADCAST),
 * and a socket that is bound then answers from another one. */
static int set_lo_up(void) {
    auto_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq lo = {.ifr_name = "lo"};
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0)
        return -errno;
    if (lo.ifr_flags & IFF_UP)
        return 0;
    lo.ifr_flags |= IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &lo) < 0 ? -errno : 0;
}

static int make_resolver(struct inside *in) {
    uint16_t udp_port = 0, tcp_port = 0;
    in->what = "failed to make the resolver's sockets";
    int r = set_lo_up();
    if (r >= 0)
        r = open_pair(in, 0);
    if (r >= 0)
        r = bound_port(in->udp, &udp_port);
    if (r >= 0)
        r = bound_port(in->tcp, &tcp_port);
    if (r < 0)
        return r;
    in->redirect = redirect_make(udp_port, tcp_port);
    if (in->redirect >= 0)
        return 0;
    /* No nf_tables in this kernel: then the container cannot have port 53 of this one address. */
    in->what = "failed to lead port 53 of 127.0.0.11 to the resolver";
    fd_close(in->udp);
    fd_close(in->tcp);
    in->udp = in->tcp = -1;
    return open_pair(in, DNS_PORT) < 0 ? in->redirect : 0;
}

static int inside_main(void *arg) {
    struct inside *in = arg;
    in->what = "failed to enter the network namespace";
    in->result = sys_setns(in->netns, CLONE_NEWNET);
    if (in->result < 0)
        return 0;
    if (!in->fds) {
        in->result = make_resolver(in);
        return 0;
    }
    in->what = "failed to make a socket";
    for (size_t i = 0; i < in->count && in->result >= 0; i++) {
        in->fds[i] = socket(in->family, in->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (in->fds[i] < 0)
            in->result = -errno;
    }
    return 0;
}

/* Undone when it fails. */
static int call_inside(struct inside *in) {
    in->udp = in->tcp = in->redirect = -1;
    in->result = -ECHILD; /* killed, unless it says otherwise */
    for (size_t i = 0; i < in->count; i++)
        in->fds[i] = -1;
    int r = sys_call_beside(inside_main, in);
    if (r >= 0)
        r = in->result;
    if (r >= 0)
        return r;
    in->udp = fd_close(in->udp);
    in->tcp = fd_close(in->tcp);
    in->redirect = fd_close(in->redirect);
    for (size_t i = 0; i < in->count; i++)
        in->fds[i] = fd_close(in->fds[i]);
    return r;
}

int sandbox_socket(struct sandbox *s, int family, int type) {
    struct inside in = {.netns = s->netns, .family = family, .type = type};
    int fd = -1;
    if (s->netns < 0)
        return -ENETDOWN;
    if (family != AF_INET || type != SOCK_DGRAM) {
        in.fds = &fd;
        in.count = 1;
        int r = call_inside(&in);
        return r < 0 ? r : fd;
    }
    /* The usual kind: some at once, because each entering costs more than the sockets. */
    for (size_t i = 0; i < SANDBOX_SPARE; i++)
        if (s->spare[i] >= 0)
            return take_fd(&s->spare[i]);
    in.fds = s->spare;
    in.count = SANDBOX_SPARE;
    int r = call_inside(&in);
    return r < 0 ? r : take_fd(&s->spare[0]);
}

/* ---- attaching ------------------------------------------------------------------------------- */
bool sandbox_is_attached(const struct sandbox *s) {
    return s->netns >= 0;
}

static void detach(struct sandbox *s) {
    if (s->netns < 0)
        return;
    s->netd->attached--;
    forward_cancel_all(s);
    dns_server_close(s);
    watch_close(s->netd, &s->init);
    s->redirect = fd_close(s->redirect);
    for (size_t i = 0; i < SANDBOX_SPARE; i++)
        s->spare[i] = fd_close(s->spare[i]);
    s->netns = fd_close(s->netns);
}

/* The container has ended: its namespace goes now, not when the daemon says so, perhaps never. */
static void on_init_end(struct netd *n, struct watch *w, unsigned events) {
    struct sandbox *s = container_of(w, struct sandbox, init);
    detach(s);
    netd_check_use(n);
}

int sandbox_attach(struct sandbox *s, int netns_given, int pidfd_given, const char **what) {
    auto_fd netns = netns_given, pidfd = pidfd_given;
    struct inside in = {.netns = netns};
    *what = "";
    if (s->netns >= 0 && ns_same(s->netns, netns) == 1 && (s->init.fd >= 0 || pidfd < 0))
        return 0;
    detach(s);
    int r = call_inside(&in);
    if (r < 0) {
        *what = in.what;
        return r;
    }
    s->netns = take_fd(&netns);
    s->netd->attached++;
    s->redirect = in.redirect;
    *what = "failed to serve the resolver's sockets";
    r = dns_server_open(s, in.udp, in.tcp);
    if (r >= 0 && pidfd >= 0)
        r = watch_open(s->netd, &s->init, take_fd(&pidfd), EPOLLIN, on_init_end);
    if (r < 0)
        detach(s);
    return r;
}

int sandbox_attach_running(struct sandbox *s, int pidfd_given, const char **what) {
    auto_fd pidfd = pidfd_given;
    auto_fd netns = ns_open(pidfd, "net");
    *what = "failed to open the network namespace";
    if (netns < 0)
        return netns;
    return sandbox_attach(s, take_fd(&netns), take_fd(&pidfd), what);
}

/* ---- the sandboxes --------------------------------------------------------------------------- */
int sandbox_server_parse(const char *s, struct sandbox_server *ret) {
    struct sandbox_server out = {.port = DNS_PORT};
    const char *hash = strchr(s, '#');
    auto_free char *host = hash ? xstrndup(s, (size_t)(hash - s)) : xstrdup(s);
    uint64_t port;
    if (hash) {
        if (str_to_u64(hash + 1, &port) < 0 || port < 1 || port > UINT16_MAX)
            return -EINVAL;
        out.port = (uint16_t)port;
    }
    if (inet_pton(AF_INET, host, out.addr.b) == 1)
        out.addr.family = AF_INET;
    else if (inet_pton(AF_INET6, host, out.addr.b) == 1)
        out.addr.family = AF_INET6;
    else
        return -EINVAL;
    *ret = out;
    return 0;
}

unsigned netd_sockaddr(const struct netd_addr *a, uint16_t port, struct sockaddr_storage *out) {
    memset(out, 0, sizeof(*out));
    if (a->family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, a->b, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)out;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    memcpy(&in->sin6_addr, a->b, 16);
    return sizeof(*in);
}

struct sandbox *sandbox_put(struct netd *n, struct sandbox_put *p) {
    struct sandbox *s = map_get(&n->sandboxes, p->id);
    if (!s) {
        s = xnew(struct sandbox);
        *s = (struct sandbox){.netd = n,
                              .id = xstrdup(p->id),
                              .netns = -1,
                              .init.fd = -1,
                              .udp.fd = -1,
                              .tcp.fd = -1,
                              .redirect = -1};
        for (size_t i = 0; i < SANDBOX_SPARE; i++)
            s->spare[i] = -1;
        list_init(&s->queries);
        list_init(&s->clients);
        (void)map_put(&n->sandboxes, s->id, s); /* there was none */
    }
    strv_free(s->networks);
    strv_free(s->links);
    s->networks = take_ptr(p->networks);
    s->links = take_ptr(p->links);
    s->internal = p->internal;
    s->generation = n->generation;
    s->server_count = 0;
    memset(s->server_down_ms, 0, sizeof(s->server_down_ms));
    /* What is no address is left out: the others still answer. */
    strv_for_each (text, p->servers) {
        if (s->server_count < NETD_SERVERS_MAX &&
            sandbox_server_parse(text, &s->servers[s->server_count]) >= 0)
            s->server_count++;
    }
    return s;
}

static void sandbox_free(struct netd *n, struct sandbox *s) {
    detach(s);
    strv_free(s->networks);
    strv_free(s->links);
    free(s->id);
    netd_free_later(n, s);
}

void sandbox_del(struct netd *n, const char *id) {
    struct sandbox *s = map_del(&n->sandboxes, id);
    if (s)
        sandbox_free(n, s);
}

void sandboxes_sweep(struct netd *n) {
    map_for_each (e, &n->sandboxes) {
        struct sandbox *s = e->value;
        if (s->generation != n->generation) {
            (void)map_del(&n->sandboxes, s->id); /* is `s` */
            sandbox_free(n, s);
        }
    }
}

void sandboxes_done(struct netd *n) {
    map_for_each (e, &n->sandboxes)
        sandbox_free(n, e->value);
    map_done(&n->sandboxes);
}
