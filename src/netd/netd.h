/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * fence-netd: one process a daemon, which outlives it. It answers names inside of containers'
 * network namespaces, holds the published host ports, and relays what NAT does not take.
 *
 * One thread, one epoll instance; nothing blocks but the entering of a namespace (sandbox.c), which
 * takes a fraction of a millisecond. An object may be freed in any handler: netd_free_later() keeps
 * its memory until the events at hand have been dealt with.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "netd/message.h"
#include "netd/names.h"

struct netd;

/* A descriptor that is waited for; part of its owner. fd -1: none. */
struct watch {
    int fd;
    void (*ready)(struct netd *n, struct watch *w, unsigned events); /* EPOLLIN, ... */
};
/* Takes fd. -errno: it is closed. events may be 0. */
int watch_open(struct netd *n, struct watch *w, int fd, unsigned events,
               void (*ready)(struct netd *n, struct watch *w, unsigned events));
void watch_set(struct netd *n, struct watch *w, unsigned events);
void watch_close(struct netd *n, struct watch *w);

/* A moment at which something is given up; all of a kind have the same patience. */
enum deadline_kind {
    DEADLINE_QUERY,  /* a server's answer */
    DEADLINE_CLIENT, /* a TCP client of the resolver that says nothing */
    DEADLINE_FLOW,   /* UDP from one client to one port */
    DEADLINE_PAUSE,  /* a port that accepts nothing for lack of room */
    DEADLINE_ATTACH, /* a set-up process that came before the daemon's put */
    DEADLINE_KINDS_,
};
struct deadline {
    struct list node;
    int64_t at_ms;
    void (*due)(struct netd *n, struct deadline *d);
};
void deadline_init(struct deadline *d, void (*due)(struct netd *n, struct deadline *d));
void deadline_start(struct netd *n, struct deadline *d, enum deadline_kind kind);
static inline void deadline_stop(struct deadline *d) {
    list_remove(&d->node);
}

#define NETD_SCRATCH 65536

struct netd {
    int epoll;
    int64_t now_ms;
    unsigned generation; /* of what is put now; those of others go at the end of a sync */
    struct list deadlines[DEADLINE_KINDS_];
    struct list garbage;
    struct watch listener;
    struct list conns;       /* control.c */
    struct map sandboxes;    /* id -> struct sandbox */
    unsigned attached;       /* of them with a namespace */
    struct names names;      /* of all networks */
    struct map owners;       /* id -> struct port_owner */
    unsigned queries;        /* in flight, of all sandboxes */
    unsigned relays, flows;  /* TCP connections and UDP clients */
    unsigned flow_seed;      /* of the table's hash */
    struct list *flow_table; /* flow.c; NULL until the first */
    uint16_t port_cursor[3]; /* last port given out of a large range */
    bool stop;
    uint8_t scratch[NETD_SCRATCH]; /* one message of any kind, while a handler runs */
};

/* Serves `socket_path` and the connection `daemon_fd` (or -1) until there is nothing left to be
 * there for. -errno when it cannot begin. */
int netd_run(const char *socket_path, int daemon_fd);
/* `p` was made by malloc(). */
void netd_free_later(struct netd *n, void *p);
void netd_collect(struct netd *n);
/* Ends the loop when no daemon is connected, and nothing is served. */
void netd_check_use(struct netd *n);
