/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/netd_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/spawner_link.h"
#include "monitor/protocol.h"
#include "netd/client.h"
#include "netd/message.h"
#include "sys/fdpass.h"

#define QUEUE_MAX      (64u << 20) /* bytes that a process which reads nothing may cost */
#define ATTEMPTS_MAX   3           /* processes that one request is tried with */
#define DELAY_FIRST_MS 20          /* while it dies it may still accept connections */
#define DELAY_MIN_MS   50
#define DELAY_MAX_MS   10000

/* A message that the socket has no room for just now. */
struct queued {
    struct list node;
    int fd;
    size_t len;
    char data[];
};

/* A reservation, until all of its parts are answered: they are sent, and answered, in order. */
struct pending {
    struct list node;
    uint32_t seq;
    bool sent;
    char *owner;
    struct netd_port *ports;
    uint16_t *numbers;
    size_t count, answered;
    bool failed; /* e says why; what other parts have got is given back at the end */
    struct err e;
    bool *got; /* of each port */
    unsigned attempts;
    netd_reserved *done;
    void *arg;
};

struct netd_link {
    struct engine *engine;
    void (*lost)(struct engine *eng);
    char *path;
    int fd;
    struct loop_fd *watch;
    struct list queue, reserves;
    size_t queued_bytes;
    struct loop_timer *retry; /* the connection is lost: nothing is sent until it fires */
    unsigned failures;
    uint32_t last_seq;
    bool ending;
    char room[NETD_MESSAGE_MAX];
};

/* ---- reservations ---------------------------------------------------------------------------- */
static void pending_free(struct pending *p) {
    list_remove(&p->node);
    err_done(&p->e);
    free(p->owner);
    free(p->ports);
    free(p->numbers);
    free(p->got);
    free(p);
}

static void pending_finish(struct netd_link *l, struct pending *p) {
    netd_reserved *done = p->done;
    void *arg = p->arg;
    auto_free uint16_t *numbers = take_ptr(p->numbers);
    auto_err e = ERR_INIT;

    for (size_t i = 0; p->failed && i < p->count; i++) {
        const struct netd_port one = {.proto = p->ports[i].proto, .first = numbers[i]};
        if (p->got[i])
            netd_release(l, p->owner, &one, 1);
    }
    err_move(&e, &p->e);
    bool failed = p->failed;
    pending_free(p);
    done(arg, failed ? NULL : numbers, &e);
}

/* ---- the connection -------------------------------------------------------------------------- */
static void close_connection(struct netd_link *l) {
    struct queued *q;

    loop_fd_free(l->watch);
    l->watch = NULL;
    l->fd = fd_close(l->fd);
    while ((q = list_first(&l->queue, struct queued, node))) {
        list_remove(&q->node);
        fd_close(q->fd);
        free(q);
    }
    l->queued_bytes = 0;
}

static void on_retry(void *arg);

/* Everything is told anew, soon the first time and then less and less often. */
static void connection_lost(struct netd_link *l, const char *why) {
    struct list failed;
    struct pending *p, *next;
    uint64_t delay_ms = DELAY_FIRST_MS;

    close_connection(l);
    if (l->ending || l->retry)
        return;
    log_warn("the connection to fence-netd is lost", "error", why);
    if (l->failures > 0) {
        delay_ms = (uint64_t)DELAY_MIN_MS << (l->failures < 8 ? l->failures : 8);
        delay_ms = delay_ms < DELAY_MAX_MS ? delay_ms : DELAY_MAX_MS;
    }
    l->failures++;
    l->retry = loop_timer_new(l->engine->loop, delay_ms, 0, on_retry, l);
    list_init(&failed);
    list_for_each_safe (p, next, &l->reserves, node) {
        p->answered = 0;
        if (++p->attempts < ATTEMPTS_MAX)
            continue;
        list_remove(&p->node);
        list_append(&failed, &p->node);
        p->failed = true;
        (void)err_set(&p->e, ERR_SYSTEM, "host ports cannot be reserved: %s", why);
    }
    while ((p = list_first(&failed, struct pending, node)))
        pending_finish(l, p);
}

/* Says how it went with as many messages as there is room for. */
static int send_queue(struct netd_link *l) {
    struct queued *q;

    while ((q = list_first(&l->queue, struct queued, node))) {
        int r = fdpass_send(l->fd, q->data, q->len, &q->fd, q->fd >= 0);

        if (r == -EAGAIN) {
            loop_fd_set(l->watch, LOOP_READ | LOOP_WRITE);
            return 0;
        }
        if (r < 0)
            return r;
        list_remove(&q->node);
        l->queued_bytes -= q->len;
        fd_close(q->fd);
        free(q);
    }
    loop_fd_set(l->watch, LOOP_READ);
    return 0;
}

static struct pending *find_pending(const struct netd_link *l, uint32_t seq) {
    struct pending *p;

    list_for_each (p, &l->reserves, node) {
        if (p->seq == seq)
            return p;
    }
    return NULL;
}

static void on_reserved(struct netd_link *l, uint32_t seq, struct netd_in *in) {
    struct pending *p = find_pending(l, seq);
    enum err_class class = netd_get_u8(in);
    int errnum = (int)netd_get_u32(in);
    const char *text = netd_get_text(in, sizeof l->room);
    size_t count = netd_get_u16(in), part;

    if (!p)
        return; /* given up meanwhile */
    part = p->count - p->answered < NETD_PORTS_MAX ? p->count - p->answered : NETD_PORTS_MAX;
    if (*text || in->failed || count != part) {
        const char *what = *text ? text : "fence-netd has answered something else";

        class = class > ERR_NONE && class < ERR_CLASS_MAX_ ? class : ERR_SYSTEM;
        if (!p->failed && errnum > 0)
            (void)err_sys(&p->e, errnum, "%s", what);
        else if (!p->failed)
            (void)err_set(&p->e, class, "%s", what);
        p->e.class = class;
        p->failed = true;
    }
    for (size_t i = 0; i < part && i < count && !*text; i++) {
        p->numbers[p->answered + i] = netd_get_u16(in);
        p->got[p->answered + i] = !in->failed;
    }
    p->answered += part;
    if (p->answered >= p->count)
        pending_finish(l, p);
}

/* Of a container that runs: it goes on, without names of others. */
static void on_not_attached(struct netd_in *in) {
    int errnum = (int)netd_get_u32(in);
    auto_err e = ERR_INIT;

    (void)err_sys(&e, errnum, "%s", netd_get_text(in, NETD_MESSAGE_MAX)); /* sets, cannot fail */
    log_warn("a running container cannot be given names", "error", err_msg(&e));
}

/* What a set-up process says that could not become fence-netd. */
static void take_failure(struct netd_link *l, const char *p, size_t n) {
    struct mon_msg m;
    const char *text = "it speaks another protocol";

    if (n > sizeof m && n < sizeof l->room) {
        memcpy(&m, p, sizeof m);
        l->room[n] = '\0';
        if (m.magic == MON_MAGIC && m.type == MON_FAILED) {
            text = p + sizeof m; /* the class, then the text */
            text += strlen(text) + 1 < n - sizeof m ? strlen(text) + 1 : 0;
        }
    }
    auto_free char *why = xstrdup(text);
    l->failures += l->failures == 0; /* not at once again */
    connection_lost(l, why);
}

static void on_event(void *arg, unsigned events) {
    struct netd_link *l = arg;
    struct netd_msg head;
    struct netd_in in;

    if (events & LOOP_WRITE) {
        int r = send_queue(l);
        if (r < 0 && r != -EPIPE) { /* else its last words are read first */
            connection_lost(l, "it does not read");
            return;
        }
        if (r == -EPIPE)
            loop_fd_set(l->watch, LOOP_READ);
    }
    while (l->fd >= 0) {
        ssize_t n = fdpass_recv(l->fd, l->room, sizeof l->room, NULL, NULL);

        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            connection_lost(l, "the process has ended");
        } else if (netd_open(l->room, (size_t)n, &head, &in) < 0) {
            take_failure(l, l->room, (size_t)n);
        } else {
            l->failures = 0;
            if (head.type == NETD_RESERVED)
                on_reserved(l, head.seq, &in);
            else if (head.type == NETD_ATTACHED)
                on_not_attached(&in);
        }
    }
}

static bool use_connection(struct netd_link *l, int fd) {
    l->fd = fd;
    l->watch = loop_fd_new(l->engine->loop, fd, LOOP_READ, on_event, l);
    if (!l->watch)
        l->fd = fd_close(fd);
    return l->fd >= 0;
}

/* The set-up process that becomes fence-netd hands this connection on to it, and what is sent
 * meanwhile waits there. */
static int start_process(struct netd_link *l, int *ret_fd, struct err *e) {
    const struct spawn_joins none = SPAWN_JOINS_NONE;
    struct rt_request q;
    int conn[2];

    int r = spawner_link_pair(conn, e);
    if (r < 0)
        return r;
    field_init(&rt_request_table, &q);
    str_set(&q.op, "netd");
    str_set(&q.id, "fence-netd");
    q.monitor = xasprintf("%s/fence-netd", l->engine->options.libexec);
    str_set(&q.net.netd, l->path);
    r = spawner_link_spawn(l->engine->spawner, &q, &none, conn[1], e);
    field_done(&rt_request_table, &q);
    if (r < 0)
        fd_close(conn[0]);
    else
        *ret_fd = conn[0];
    return r;
}

/* Is there a process that can be told something? Starts one. */
static bool bring_up(struct netd_link *l) {
    auto_err e = ERR_INIT;

    if (l->retry || l->ending)
        return false;
    if (l->fd >= 0)
        return true;
    int fd = netd_connect(l->path, SOCK_NONBLOCK);
    if (fd < 0 && start_process(l, &fd, &e) < 0) {
        connection_lost(l, err_msg(&e));
        return false;
    }
    if (!use_connection(l, fd)) {
        connection_lost(l, "it cannot be watched");
        return false;
    }
    return true;
}

/* Takes pidfd. */
static void post(struct netd_link *l, struct buf *b, int pidfd) {
    struct queued *q;

    if (l->fd < 0) { /* lost: it will be told again */
        fd_close(pidfd);
        return;
    }
    if (netd_end(b) < 0) {
        log_error("a message to fence-netd is too long", "bytes", "65536");
        fd_close(pidfd);
        return;
    }
    q = xmalloc(sizeof *q + b->len);
    q->fd = pidfd;
    q->len = b->len;
    memcpy(q->data, b->data, b->len);
    bool first = list_empty(&l->queue);
    list_append(&l->queue, &q->node);
    l->queued_bytes += q->len;
    if (l->queued_bytes > QUEUE_MAX)
        connection_lost(l, "it does not read");
    else if (first && send_queue(l) < 0) /* its end is on its way to on_event() */
        loop_fd_set(l->watch, LOOP_READ);
}

/* ---- the link -------------------------------------------------------------------------------- */
struct netd_link *netd_link_new(struct engine *eng, void (*lost)(struct engine *eng)) {
    struct netd_link *l = xnew(struct netd_link);

    l->engine = eng;
    l->lost = lost;
    l->path = xasprintf("%s/" NETD_SOCKET, eng->options.exec_root);
    l->fd = -1;
    list_init(&l->queue);
    list_init(&l->reserves);
    int fd = netd_connect(l->path, SOCK_NONBLOCK);
    if (fd >= 0)
        (void)use_connection(l, fd); /* else one is started when it is needed */
    return l;
}

void netd_link_free(struct netd_link *l) {
    struct pending *p;

    if (!l)
        return;
    l->ending = true;
    close_connection(l);
    loop_timer_free(l->retry);
    while ((p = list_first(&l->reserves, struct pending, node))) {
        p->failed = true;
        err_done(&p->e);
        (void)err_set(&p->e, ERR_UNAVAILABLE, "the daemon is ending");
        pending_finish(l, p);
    }
    free(l->path);
    free(l);
}

void netd_link_shutdown(struct netd_link *l) {
    auto_buf b = BUF_INIT;

    if (l->fd >= 0) {
        netd_begin(&b, NETD_SHUTDOWN, 0);
        post(l, &b, -1);
    }
    l->ending = true;
    close_connection(l);
}

bool netd_link_is_up(const struct netd_link *l) {
    return l->fd >= 0;
}

const char *netd_link_path(const struct netd_link *l) {
    return l->path;
}

/* ---- what it is told ------------------------------------------------------------------------- */
static struct netd_addr addr_of(const struct ip *ip) {
    struct netd_addr a = {.family = ip->family};

    memcpy(a.b, ip->b, sizeof a.b);
    return a;
}

static void put_ip(struct buf *b, const struct ip *ip) {
    const struct netd_addr a = addr_of(ip);

    netd_put_addr(b, &a);
}

static void post_simple(struct netd_link *l, enum netd_type type) {
    auto_buf b = BUF_INIT;

    netd_begin(&b, type, 0);
    post(l, &b, -1);
}

/* Without a process there is nothing that could be dropped. */
void netd_sync_begin(struct netd_link *l) {
    post_simple(l, NETD_SYNC_BEGIN);
}

void netd_sync_end(struct netd_link *l) {
    post_simple(l, NETD_SYNC_END);
}

static void put_port(struct buf *b, const struct netd_port *p) {
    unsigned hosts = p->host_count < 2 ? p->host_count : 2;

    netd_put_u8(b, p->proto);
    netd_put_u16(b, p->first);
    netd_put_u16(b, p->last);
    netd_put_u8(b, (uint8_t)hosts);
    for (unsigned i = 0; i < hosts; i++)
        put_ip(b, &p->hosts[i]);
    put_ip(b, &p->to);
    netd_put_u16(b, p->to_port);
}

static void send_reserve(struct netd_link *l, struct pending *p) {
    auto_buf b = BUF_INIT;

    p->sent = true;
    size_t i = 0;
    do {
        size_t part = p->count - i < NETD_PORTS_MAX ? p->count - i : NETD_PORTS_MAX;

        netd_begin(&b, NETD_RESERVE, p->seq);
        netd_put_text(&b, p->owner);
        netd_put_u16(&b, (uint16_t)part);
        for (size_t end = i + part; i < end; i++)
            put_port(&b, &p->ports[i]);
        post(l, &b, -1);
    } while (i < p->count);
}

static void on_retry(void *arg) {
    struct netd_link *l = arg;
    struct pending *p;

    loop_timer_free(l->retry);
    l->retry = NULL;
    if (l->lost)
        l->lost(l->engine);
    if (list_empty(&l->reserves) || !bring_up(l))
        return;
    list_for_each (p, &l->reserves, node) {
        /* What a part got before the loss is gone with the process. */
        memset(p->got, 0, p->count * sizeof *p->got);
        p->failed = false;
        err_done(&p->e);
        send_reserve(l, p);
        if (l->fd < 0)
            return;
    }
}

void netd_reserve(struct netd_link *l, const char *owner, const struct netd_port *ports, size_t n,
                  netd_reserved *done, void *arg) {
    struct pending *p = xnew(struct pending);

    p->seq = ++l->last_seq;
    p->owner = xstrdup(owner);
    p->ports = xmemdup(ports, (n ? n : 1) * sizeof *ports);
    p->numbers = xcalloc(n + 1, sizeof *p->numbers);
    p->got = xcalloc(n + 1, sizeof *p->got);
    p->count = n;
    p->done = done;
    p->arg = arg;
    list_append(&l->reserves, &p->node);
    if (bring_up(l))
        send_reserve(l, p);
}

void netd_release(struct netd_link *l, const char *owner, const struct netd_port *p, size_t n) {
    auto_buf b = BUF_INIT;

    netd_begin(&b, NETD_RELEASE, 0);
    netd_put_text(&b, owner);
    netd_put_u16(&b, (uint16_t)(p ? n : 0));
    for (size_t i = 0; p && i < n; i++) {
        netd_put_u8(&b, p[i].proto);
        netd_put_u16(&b, p[i].first);
    }
    if (!p || n > 0)
        post(l, &b, -1);
}

void netd_endpoint_put(struct netd_link *l, const struct netd_endpoint *p) {
    auto_buf b = BUF_INIT;

    if (!bring_up(l))
        return;
    netd_begin(&b, NETD_ENDPOINT_PUT, 0);
    netd_put_text(&b, p->network);
    netd_put_text(&b, p->container);
    put_ip(&b, &p->ip4);
    put_ip(&b, &p->ip6);
    netd_put_list(&b, p->names);
    netd_put_text(&b, p->network_name);
    post(l, &b, -1);
}

void netd_endpoint_del(struct netd_link *l, const char *network, const char *container) {
    auto_buf b = BUF_INIT;

    netd_begin(&b, NETD_ENDPOINT_DEL, 0);
    netd_put_text(&b, network);
    netd_put_text(&b, container);
    post(l, &b, -1);
}

void netd_sandbox_put(struct netd_link *l, const struct netd_sandbox *s) {
    auto_buf b = BUF_INIT;

    if (!bring_up(l))
        return;
    netd_begin(&b, NETD_SANDBOX_PUT, 0);
    netd_put_text(&b, s->id);
    netd_put_list(&b, s->networks);
    netd_put_list(&b, s->servers);
    netd_put_list(&b, s->links);
    netd_put_u8(&b, s->internal);
    post(l, &b, s->pidfd < 0 ? -1 : fcntl(s->pidfd, F_DUPFD_CLOEXEC, 3));
}

void netd_sandbox_del(struct netd_link *l, const char *id) {
    auto_buf b = BUF_INIT;

    netd_begin(&b, NETD_SANDBOX_DEL, 0);
    netd_put_text(&b, id);
    post(l, &b, -1);
}
