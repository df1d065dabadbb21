/* SPDX-License-Identifier: Apache-2.0 */
#include "network/cutter.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#define STACK_SIZE (256u << 10) /* conntrack_forget() has a buffer of 64 KiB on it */

struct matches {
    struct ct_match *v;
    size_t n;
};

struct cutter {
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct matches waiting, under_way;
    bool running; /* the thread */
};

struct cutter *cutter_new(void) {
    struct cutter *c = xnew(struct cutter);

    (void)pthread_mutex_init(&c->lock, NULL); /* these two cannot fail with default attributes */
    (void)pthread_cond_init(&c->change, NULL);
    return c;
}

void cutter_free(struct cutter *c) {
    if (!c)
        return;
    cutter_wait(c);
    (void)pthread_cond_destroy(&c->change);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

static void cut(const struct matches *m) {
    int r = conntrack_forget(m->v, m->n);

    if (r < 0)
        log_debug("connections to ports could not be cut", "error", strerror(-r));
}

static void *work(void *arg) {
    struct cutter *c = arg;

    pthread_mutex_lock(&c->lock);
    while (c->waiting.n > 0) {
        c->under_way = c->waiting;
        c->waiting = (struct matches){0};
        pthread_mutex_unlock(&c->lock);
        cut(&c->under_way); /* only this thread changes it */
        pthread_mutex_lock(&c->lock);
        free(c->under_way.v);
        c->under_way = (struct matches){0};
        pthread_cond_broadcast(&c->change);
    }
    c->running = false;
    pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static int start(struct cutter *c) {
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t t;
    int r;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_SIZE);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    /* Signals are the loop thread's. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&t, &attr, work, c);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return -r;
}

void cutter_add(struct cutter *c, const struct ct_match *m, size_t n) {
    struct matches now = {0};

    if (n == 0)
        return;
    pthread_mutex_lock(&c->lock);
    c->waiting.v = xreallocarray(c->waiting.v, c->waiting.n + n, sizeof *m);
    memcpy(c->waiting.v + c->waiting.n, m, n * sizeof *m);
    c->waiting.n += n;
    if (!c->running) {
        c->running = true;
        if (start(c) < 0) { /* no more threads: then it is done here */
            c->running = false;
            now = c->waiting;
            c->waiting = (struct matches){0};
        }
    }
    pthread_mutex_unlock(&c->lock);
    if (now.n > 0)
        cut(&now);
    free(now.v);
}

static bool has_port(const struct matches *m, uint8_t proto, uint16_t host_port) {
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].proto == proto && m->v[i].host_port == host_port)
            return true;
    return false;
}

void cutter_wait_port(struct cutter *c, uint8_t proto, uint16_t host_port) {
    pthread_mutex_lock(&c->lock);
    while (c->running &&
           (has_port(&c->waiting, proto, host_port) || has_port(&c->under_way, proto, host_port)))
        pthread_cond_wait(&c->change, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

void cutter_wait(struct cutter *c) {
    pthread_mutex_lock(&c->lock);
    while (c->running)
        pthread_cond_wait(&c->change, &c->lock);
    pthread_mutex_unlock(&c->lock);
}
