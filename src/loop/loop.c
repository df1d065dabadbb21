/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libuv glue. Every callback passes through a wrapper here, which runs deferred functions after it.
 *
 * libuv cannot tell a hangup from a half-closed peer, and stops a watch at EPOLLERR. So LOOP_HANGUP
 * is asked for as UV_PRIORITIZED (epoll reports EPOLLHUP with any set of events, and libuv folds it
 * into the ones asked for), and poll(2) tells what it was.
 */
#include "loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/alloc.h"
#include "loop/loop_internal.h"

struct task {
    struct task *next;
    void (*fn)(void *arg);
    void *arg;
};

struct task_queue {
    struct task *head, **tail;
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    pthread_t thread;
    atomic_bool stop;
    unsigned depth;       /* of callbacks: deferred functions run when the outermost has returned */
    pthread_mutex_t lock; /* posts */
    struct task_queue posts;
    struct task_queue deferred;
    struct jobs *jobs;
};

struct loop_fd {
    uv_poll_t poll;
    struct loop *loop;
    int fd;
    unsigned events;
    bool dead;
    void (*cb)(void *arg, unsigned events);
    void *arg;
};

struct loop_timer {
    uv_timer_t timer;
    struct loop *loop;
    void (*cb)(void *arg);
    void *arg;
};

struct loop_signal {
    uv_signal_t signal;
    struct loop *loop;
    void (*cb)(void *arg, int signum);
    void *arg;
};

static void must(int r, const char *what) {
    if (r < 0) {
        (void)fprintf(stderr, "loop: %s: %s\n", what, uv_strerror(r));
        abort();
    }
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static void queue_init(struct task_queue *q) {
    q->head = NULL;
    q->tail = &q->head;
}

static void queue_add(struct task_queue *q, void (*fn)(void *), void *arg) {
    struct task *t = xnew(struct task);

    t->fn = fn;
    t->arg = arg;
    *q->tail = t;
    q->tail = &t->next;
}

static struct task *queue_take(struct task_queue *q) {
    struct task *t = q->head;

    queue_init(q);
    return t;
}

static void tasks_run(struct task *t) {
    while (t) {
        struct task *next = t->next;

        t->fn(t->arg);
        free(t);
        t = next;
    }
}

static void enter(struct loop *l) {
    l->depth++;
}

/* After a callback. One round only: what a deferred function defers waits for the next turn of the
 * loop, so that sockets are served in between. */
static void leave(struct loop *l) {
    if (l->depth == 1 && l->deferred.head) {
        tasks_run(queue_take(&l->deferred));
        if (l->deferred.head)
            must(uv_async_send(&l->wake), "uv_async_send");
    }
    l->depth--;
}

static void on_wake(uv_async_t *a) {
    struct loop *l = a->data;
    struct task *t;

    must(-pthread_mutex_lock(&l->lock), "pthread_mutex_lock");
    t = queue_take(&l->posts);
    must(-pthread_mutex_unlock(&l->lock), "pthread_mutex_unlock");
    while (t) {
        struct task *next = t->next;

        enter(l);
        t->fn(t->arg);
        free(t);
        leave(l);
        t = next;
    }
    enter(l);
    leave(l);
    if (atomic_load(&l->stop))
        uv_stop(&l->uv);
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg) {
    must(-pthread_mutex_lock(&l->lock), "pthread_mutex_lock");
    queue_add(&l->posts, fn, arg);
    /* Under the lock: once the last post is visible, the loop may be freed by what it runs. */
    must(uv_async_send(&l->wake), "uv_async_send");
    must(-pthread_mutex_unlock(&l->lock), "pthread_mutex_unlock");
}

void loop_defer(struct loop *l, void (*fn)(void *arg), void *arg) {
    loop_assert_thread(l);
    queue_add(&l->deferred, fn, arg);
    if (l->depth == 0) /* called from outside a callback, whose end would run it */
        must(uv_async_send(&l->wake), "uv_async_send");
}

/* ---- the loop -------------------------------------------------------------------------------- */

struct loop *loop_new(void) {
    struct loop *l = xnew(struct loop);

    must(uv_loop_init(&l->uv), "uv_loop_init");
    must(uv_async_init(&l->uv, &l->wake, on_wake), "uv_async_init");
    l->wake.data = l;
    must(-pthread_mutex_init(&l->lock, NULL), "pthread_mutex_init");
    queue_init(&l->posts);
    queue_init(&l->deferred);
    l->thread = pthread_self();
    l->jobs = jobs_new();
    return l;
}

void loop_drain(struct loop *l) {
    l->thread = pthread_self();
    while (jobs_cancel_all(l->jobs))
        (void)uv_run(&l->uv, UV_RUN_ONCE);
    /* Functions that are left may post and defer again, but must come to an end. */
    while (l->posts.head || l->deferred.head)
        on_wake(&l->wake);
}

void loop_free(struct loop *l) {
    if (!l)
        return;
    loop_drain(l);
    uv_close((uv_handle_t *)&l->wake, NULL);
    /* Closing takes a turn; a pending loop_stop may take another. */
    for (int i = 0; i < 4; i++)
        (void)uv_run(&l->uv, UV_RUN_NOWAIT);
    must(uv_loop_close(&l->uv), "uv_loop_close (a handle was left)");
    jobs_free(l->jobs);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

int loop_run(struct loop *l) {
    l->thread = pthread_self();
    if (!atomic_load(&l->stop))
        (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    atomic_store(&l->stop, false);
    return 0;
}

void loop_stop(struct loop *l) {
    atomic_store(&l->stop, true);
    must(uv_async_send(&l->wake), "uv_async_send");
}

void loop_assert_thread(const struct loop *l) {
    if (!pthread_equal(l->thread, pthread_self())) {
        (void)fputs("loop: called on a foreign thread\n", stderr);
        abort();
    }
}

struct jobs *loop_jobs(struct loop *l) {
    return l->jobs;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static unsigned classify(const struct loop_fd *w, unsigned seen) {
    struct pollfd p = {.fd = w->fd, .events = POLLRDHUP | POLLPRI};

    if (poll(&p, 1, 0) <= 0)
        return seen;
    if (p.revents & (POLLHUP | POLLERR | POLLPRI | POLLNVAL))
        seen |= LOOP_HANGUP;
    if (p.revents & (POLLHUP | POLLERR | POLLRDHUP))
        seen |= LOOP_RDHUP;
    return seen;
}

static void on_fd(uv_poll_t *p, int status, int uv_events);

static void fd_arm(struct loop_fd *w) {
    int uv_events = 0;

    if (w->events & LOOP_READ)
        uv_events |= UV_READABLE;
    if (w->events & LOOP_WRITE)
        uv_events |= UV_WRITABLE;
    if (w->events & LOOP_HANGUP)
        uv_events |= UV_PRIORITIZED;
    if (w->events & LOOP_RDHUP)
        uv_events |= UV_DISCONNECT;
    if (uv_events)
        must(uv_poll_start(&w->poll, uv_events, on_fd), "uv_poll_start");
    else
        must(uv_poll_stop(&w->poll), "uv_poll_stop");
}

static void on_handle_closed(uv_handle_t *h) {
    free(h->data);
}

static void on_fd(uv_poll_t *p, int status, int uv_events) {
    struct loop_fd *w = p->data;
    struct loop *l = w->loop;
    unsigned seen = 0;

    if (uv_events & UV_READABLE)
        seen |= LOOP_READ;
    if (uv_events & UV_WRITABLE)
        seen |= LOOP_WRITE;
    if (status < 0)
        seen |= w->events & (LOOP_READ | LOOP_WRITE);
    if (w->events & (LOOP_HANGUP | LOOP_RDHUP))
        seen = classify(w, seen);
    seen &= w->events;
    enter(l);
    if (seen)
        w->cb(w->arg, seen);
    /* Freed in the callback, it lives until libuv's next turn. */
    if (status < 0 && !w->dead)
        fd_arm(w); /* libuv has stopped it */
    leave(l);
}

struct loop_fd *loop_fd_new(struct loop *l, int fd, unsigned events,
                            void (*cb)(void *arg, unsigned events), void *arg) {
    struct loop_fd *w = xnew(struct loop_fd);
    int r;

    loop_assert_thread(l);
    r = uv_poll_init(&l->uv, &w->poll, fd);
    if (r < 0) {
        free(w);
        errno = -r;
        return NULL;
    }
    w->poll.data = w;
    w->loop = l;
    w->fd = fd;
    w->events = events;
    w->cb = cb;
    w->arg = arg;
    if (events)
        fd_arm(w);
    return w;
}

void loop_fd_set(struct loop_fd *w, unsigned events) {
    if (w->dead || w->events == events)
        return;
    w->events = events;
    fd_arm(w);
}

void loop_fd_free(struct loop_fd *w) {
    if (!w || w->dead)
        return;
    loop_assert_thread(w->loop);
    w->dead = true;
    uv_close((uv_handle_t *)&w->poll, on_handle_closed);
}

/* ---- timers and signals ---------------------------------------------------------------------- */

static void on_timer(uv_timer_t *t) {
    struct loop_timer *w = t->data;
    struct loop *l = w->loop;

    enter(l);
    w->cb(w->arg);
    leave(l);
}

struct loop_timer *loop_timer_new(struct loop *l, uint64_t delay_ms, uint64_t repeat_ms,
                                  void (*cb)(void *arg), void *arg) {
    struct loop_timer *w = xnew(struct loop_timer);

    loop_assert_thread(l);
    must(uv_timer_init(&l->uv, &w->timer), "uv_timer_init");
    w->timer.data = w;
    w->loop = l;
    w->cb = cb;
    w->arg = arg;
    /* The loop's time is that of its last turn; a long callback would shorten the delay. */
    uv_update_time(&l->uv);
    must(uv_timer_start(&w->timer, on_timer, delay_ms, repeat_ms), "uv_timer_start");
    return w;
}

void loop_timer_set(struct loop_timer *w, uint64_t delay_ms) {
    uint64_t repeat_ms = uv_timer_get_repeat(&w->timer);

    loop_assert_thread(w->loop);
    uv_update_time(&w->loop->uv);
    must(uv_timer_start(&w->timer, on_timer, delay_ms, repeat_ms), "uv_timer_start");
}

void loop_timer_free(struct loop_timer *w) {
    if (!w)
        return;
    loop_assert_thread(w->loop);
    /* libuv frees after the callback that may be running. */
    uv_close((uv_handle_t *)&w->timer, on_handle_closed);
}

static void on_signal(uv_signal_t *s, int signum) {
    struct loop_signal *w = s->data;
    struct loop *l = w->loop;

    enter(l);
    w->cb(w->arg, signum);
    leave(l);
}

struct loop_signal *loop_signal_new(struct loop *l, int signum, void (*cb)(void *arg, int signum),
                                    void *arg) {
    struct loop_signal *w = xnew(struct loop_signal);

    loop_assert_thread(l);
    must(uv_signal_init(&l->uv, &w->signal), "uv_signal_init");
    w->signal.data = w;
    w->loop = l;
    w->cb = cb;
    w->arg = arg;
    must(uv_signal_start(&w->signal, on_signal, signum), "uv_signal_start");
    return w;
}

void loop_signal_free(struct loop_signal *w) {
    if (!w)
        return;
    loop_assert_thread(w->loop);
    uv_close((uv_handle_t *)&w->signal, on_handle_closed);
}
