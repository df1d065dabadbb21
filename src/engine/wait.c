/* SPDX-License-Identifier: Apache-2.0 */

/* Waiting for a container: API waiters, and descriptors for log followers on worker threads. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/container.h"

struct container_wait {
    struct list node;
    enum wait_condition cond;
    void (*cb)(void *arg, const struct wait_result *r);
    void *arg;
};

static struct wait_result result(const struct container *c) {
    return (struct wait_result){c->rec.exit_code, str_or_empty(c->rec.error)};
}

struct container_wait *container_wait(struct container *c, enum wait_condition cond,
                                      void (*cb)(void *arg, const struct wait_result *r),
                                      void *arg) {
    struct container_wait *w;

    if (cond == WAIT_NOT_RUNNING && !container_is_running(c) && !c->starting) {
        struct wait_result r = result(c);

        cb(arg, &r);
        return NULL;
    }
    w = xnew(struct container_wait);
    w->cond = cond;
    w->cb = cb;
    w->arg = arg;
    list_append(&c->waiters, &w->node);
    return w;
}

void container_wait_cancel(struct container_wait *w) {
    if (!w)
        return;
    list_remove(&w->node);
    free(w);
}

void container_wake(struct container *c, enum wait_condition cond) {
    /* An error of the start belongs to the container, not to its removal. */
    struct wait_result r = {c->rec.exit_code,
                            cond == WAIT_REMOVED ? "" : str_or_empty(c->rec.error)};
    struct list due = LIST_INIT(due);
    struct container_wait *w, *tmp;

    /* Moved out first: a callback may wait again. */
    list_for_each_safe (w, tmp, &c->waiters, node) {
        if (w->cond == cond || cond == WAIT_REMOVED) {
            list_remove(&w->node);
            list_append(&due, &w->node);
        }
    }
    while ((w = list_first(&due, struct container_wait, node))) {
        list_remove(&w->node);
        w->cb(w->arg, &r);
        free(w);
    }
}

struct ended_fd {
    struct list node;
    int fd;     /* our duplicate */
    int theirs; /* open as long as we are on the list, so it tells us apart */
};

int container_ended_fd(struct container *c) {
    int fd = eventfd(container_is_running(c) || c->starting ? 0 : 1, EFD_CLOEXEC | EFD_NONBLOCK);
    struct ended_fd *x;

    if (fd < 0)
        return -errno;
    x = xnew(struct ended_fd);
    x->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (x->fd < 0) {
        int r = -errno;

        free(x);
        fd_close(fd);
        return r;
    }
    x->theirs = fd;
    list_append(&c->ended, &x->node);
    return fd;
}

void container_ended_forget(struct engine *eng, const char *id, int fd) {
    struct container *c = map_get(&eng->containers, id);
    struct ended_fd *x, *tmp;

    if (c && fd >= 0) {
        list_for_each_safe (x, tmp, &c->ended, node) {
            if (x->theirs != fd)
                continue;
            fd_close(x->fd);
            list_remove(&x->node);
            free(x);
        }
    }
    fd_close(fd);
}

void container_signal_ended(struct container *c) {
    struct ended_fd *x, *tmp;

    list_for_each_safe (x, tmp, &c->ended, node) {
        uint64_t one = 1;

        (void)!write(x->fd, &one, sizeof one); /* an eventfd takes it */
        fd_close(x->fd);
        list_remove(&x->node);
        free(x);
    }
}
