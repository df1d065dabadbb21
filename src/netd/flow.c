/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams to a published port that came to its socket: each client has a socket of its own
 * towards the container, so that answers find their way back, until it has been silent for a while.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <netinet/in.h>

#include "base/alloc.h"
#include "base/id.h"
#include "netd/ports.h"
#include "netd/sandbox.h"

#define FLOWS_MAX 4096 /* of all ports: the one that is silent for the longest makes room */
#define BUCKETS   1024
#define AT_ONCE   32

/* An address that a datagram came from or to, of either family. */
struct ends {
    struct sockaddr_storage client;
    socklen_t client_len;
    struct netd_addr local; /* where the client sent it, which answers must come from */
};

struct flow {
    struct list node;      /* in its bucket */
    struct list port_node; /* in its port's socket */
    struct deadline silence;
    struct port_socket *socket;
    struct watch w; /* towards the container */
    struct ends ends;
};

static void flow_free(struct netd *n, struct flow *f) {
    watch_close(n, &f->w);
    deadline_stop(&f->silence);
    list_remove(&f->node);
    list_remove(&f->port_node);
    n->flows--;
    netd_free_later(n, f);
}

static void on_silence(struct netd *n, struct deadline *d) {
    flow_free(n, container_of(d, struct flow, silence));
}

void flows_close(struct netd *n, struct port_socket *ps) {
    struct flow *f;
    while ((f = list_first(&ps->flows, struct flow, port_node)))
        flow_free(n, f);
}

int flow_prepare(int fd, int family) {
    const int on = 1;
    int r = family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on))
                               : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    return r < 0 ? -errno : 0;
}

/* ---- the table ------------------------------------------------------------------------------- */
static bool same_client(const struct ends *a, const struct ends *b) {
    return a->client_len == b->client_len && memcmp(&a->client, &b->client, a->client_len) == 0 &&
           netd_addr_equal(&a->local, &b->local);
}

/* With a seed, so that no client can choose to fill one bucket. */
static struct list *bucket_of(struct netd *n, const struct ends *ends) {
    const uint8_t *p = (const uint8_t *)&ends->client;
    uint32_t h;
    if (!n->flow_table) {
        n->flow_table = xcalloc(BUCKETS, sizeof(struct list));
        for (size_t i = 0; i < BUCKETS; i++)
            list_init(&n->flow_table[i]);
        n->flow_seed = (unsigned)random_u64();
    }
    h = n->flow_seed;
    for (socklen_t i = 0; i < ends->client_len; i++)
        h = (h ^ p[i]) * 16777619u;
    return &n->flow_table[(h ^ h >> 16) % BUCKETS];
}

static void on_answer(struct netd *n, struct watch *w, unsigned events);

static struct flow *flow_new(struct netd *n, struct port_socket *ps, const struct ends *ends) {
    const struct port_request *q = &ps->port->request;
    struct sockaddr_storage to;
    socklen_t to_len = netd_sockaddr(&q->to, q->to_port, &to);
    if (!q->to.family)
        return NULL;
    if (n->flows >= FLOWS_MAX) {
        struct deadline *oldest = list_first(&n->deadlines[DEADLINE_FLOW], struct deadline, node);
        if (oldest)
            on_silence(n, oldest);
    }
    auto_fd fd = socket(q->to.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, to_len) < 0)
        return NULL; /* the datagram is lost, as datagrams are */
    struct flow *f = xnew(struct flow);
    f->socket = ps;
    f->ends = *ends;
    deadline_init(&f->silence, on_silence);
    list_append(bucket_of(n, ends), &f->node);
    list_append(&ps->flows, &f->port_node);
    n->flows++;
    if (watch_open(n, &f->w, take_fd(&fd), EPOLLIN, on_answer) < 0) {
        flow_free(n, f);
        return NULL;
    }
    return f;
}

static struct flow *flow_find(struct netd *n, struct port_socket *ps, const struct ends *ends) {
    struct list *bucket = bucket_of(n, ends);
    struct flow *f;
    list_for_each (f, bucket, node) {
        if (f->socket == ps && same_client(&f->ends, ends))
            return f;
    }
    return flow_new(n, ps, ends);
}

/* ---- datagrams ------------------------------------------------------------------------------- */
union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static ssize_t receive(int fd, void *room, size_t size, struct ends *ret) {
    struct iovec iov = {room, size};
    union control control;
    struct msghdr msg = {.msg_name = &ret->client,
                         .msg_namelen = sizeof(ret->client),
                         .msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    memset(ret, 0, sizeof(*ret));
    ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
    if (n < 0)
        return -errno;
    ret->client_len = msg.msg_namelen;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            ret->local.family = AF_INET;
            memcpy(ret->local.b, &info.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            ret->local.family = AF_INET6;
            memcpy(ret->local.b, &info.ipi6_addr, 16);
        }
    }
    return n;
}

static void put_control(struct msghdr *msg, union control *control, int level, int type,
                        const void *p, size_t n) {
    memset(control, 0, sizeof(*control));
    msg->msg_control = control;
    msg->msg_controllen = CMSG_SPACE(n);
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(n);
    memcpy(CMSG_DATA(c), p, n);
}

static void send_back(int fd, struct ends *ends, void *p, size_t n) {
    struct iovec iov = {p, n};
    union control control;
    struct msghdr msg = {.msg_name = &ends->client,
                         .msg_namelen = ends->client_len,
                         .msg_iov = &iov,
                         .msg_iovlen = 1};
    if (ends->local.family == AF_INET) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, ends->local.b, 4);
        put_control(&msg, &control, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    } else if (ends->local.family == AF_INET6) {
        struct in6_pktinfo info = {0};
        memcpy(&info.ipi6_addr, ends->local.b, 16);
        put_control(&msg, &control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
    (void)sendmsg(fd, &msg, MSG_DONTWAIT); /* lost, as datagrams are */
}

static void on_answer(struct netd *n, struct watch *w, unsigned events) {
    struct flow *f = container_of(w, struct flow, w);
    for (int i = 0; i < AT_ONCE; i++) {
        ssize_t len = recv(w->fd, n->scratch, sizeof(n->scratch), MSG_DONTWAIT);
        if (len < 0) /* none, or an earlier one was refused: nothing to pass on */
            return;
        deadline_start(n, &f->silence, DEADLINE_FLOW);
        send_back(f->socket->w.fd, &f->ends, n->scratch, (size_t)len);
    }
}

void flow_receive(struct netd *n, struct watch *w, unsigned events) {
    struct port_socket *ps = container_of(w, struct port_socket, w);
    for (int i = 0; i < AT_ONCE; i++) {
        struct ends ends;
        ssize_t len = receive(w->fd, n->scratch, sizeof(n->scratch), &ends);
        if (len == -EAGAIN)
            return;
        if (len < 0)
            continue;
        struct flow *f = flow_find(n, ps, &ends);
        if (!f)
            continue;
        deadline_start(n, &f->silence, DEADLINE_FLOW);
        (void)send(f->w.fd, n->scratch, (size_t)len, MSG_DONTWAIT); /* lost, as datagrams are */
    }
}
