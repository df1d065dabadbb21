/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Long operations: a thread each. Queues and counts are the loop thread's; a worker touches its own
 * job's flag and cancel descriptor only, and comes back by a post.
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/list.h"
#include "loop/loop.h"
#include "loop/loop_internal.h"

/* Sanitizers put red zones around every local. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JOB_STACK_SIZE (2u << 20)
#else
#define JOB_STACK_SIZE (256u << 10)
#endif

static const unsigned class_limits[JOB_CLASS_MAX_] = {
    [JOB_IMAGE] = 4, [JOB_STREAM] = 64, [JOB_FOLLOW] = 1000, [JOB_CLEAR] = 32, [JOB_SHORT] = 4,
};

struct jobs {
    struct {
        unsigned running;
        struct list queue; /* waiting for a thread, first come first served */
    } classes[JOB_CLASS_MAX_];
    struct list active; /* running, or ended and not yet reported */
};

struct job {
    struct loop *loop;
    struct list link;
    enum job_class class;
    int (*work)(struct job *j, void *arg);
    void (*done)(void *arg, int r);
    void *arg;
    int result;
    bool has_thread;
    pthread_t thread;
    atomic_bool cancelled;
    pthread_mutex_t lock; /* cancel_fd: it must not be closed while it is shut down */
    int cancel_fd;
};

struct jobs *jobs_new(void) {
    struct jobs *js = xnew(struct jobs);

    list_init(&js->active);
    for (int c = 0; c < JOB_CLASS_MAX_; c++)
        list_init(&js->classes[c].queue);
    return js;
}

void jobs_free(struct jobs *js) {
    free(js);
}

static void job_report(void *arg) {
    struct job *j = arg;

    list_remove(&j->link);
    j->done(j->arg, j->result);
    (void)pthread_mutex_destroy(&j->lock);
    free(j);
}

static void run_queue(struct loop *l, enum job_class class);

static void job_ended(void *arg) {
    struct job *j = arg;
    struct loop *l = j->loop;
    enum job_class class = j->class;

    /* It posted as its last act. */
    (void)pthread_join(j->thread, NULL);
    loop_jobs(l)->classes[class].running--;
    run_queue(l, class);
    job_report(j);
    /* Unpacking an image leaves megabytes behind in the allocator, which an idle daemon should not
     * keep. */
    if (class == JOB_IMAGE && loop_jobs(l)->classes[class].running == 0)
        (void)malloc_trim(0); /* whether it gave anything back is of no interest */
}

static void *job_thread(void *arg) {
    struct job *j = arg;

    j->result = j->work(j, j->arg);
    loop_post(j->loop, job_ended, j);
    return NULL;
}

static int thread_start(struct job *j) {
    pthread_attr_t attr;
    sigset_t all, old;
    int r;

    r = pthread_attr_init(&attr);
    if (r)
        return -r;
    r = pthread_attr_setstacksize(&attr, JOB_STACK_SIZE);
    if (!r) {
        /* Signals are the loop thread's. */
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&j->thread, &attr, job_thread, j);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    (void)pthread_attr_destroy(&attr);
    return -r;
}

static void run_queue(struct loop *l, enum job_class class) {
    struct jobs *js = loop_jobs(l);
    struct job *j;
    int r;

    while (js->classes[class].running < class_limits[class]) {
        j = list_first(&js->classes[class].queue, struct job, link);
        if (!j)
            return;
        list_remove(&j->link);
        list_append(&js->active, &j->link);
        j->has_thread = true;
        js->classes[class].running++;
        r = thread_start(j);
        if (r < 0) {
            j->result = r; /* only now: a thread that runs has its own to write */
            js->classes[class].running--;
            loop_defer(l, job_report, j);
        }
    }
}

struct job *job_start(struct loop *l, enum job_class class, int (*work)(struct job *j, void *arg),
                      void (*done)(void *arg, int r), void *arg) {
    struct job *j = xnew(struct job);

    loop_assert_thread(l);
    j->loop = l;
    j->class = class;
    j->work = work;
    j->done = done;
    j->arg = arg;
    j->cancel_fd = -1;
    (void)pthread_mutex_init(&j->lock, NULL);
    list_append(&loop_jobs(l)->classes[class].queue, &j->link);
    run_queue(l, class);
    return j;
}

void job_cancel(struct job *j) {
    loop_assert_thread(j->loop);
    if (atomic_exchange(&j->cancelled, true))
        return;
    if (!j->has_thread) {
        list_remove(&j->link);
        list_append(&loop_jobs(j->loop)->active, &j->link);
        j->result = -ECANCELED;
        loop_defer(j->loop, job_report, j);
        return;
    }
    (void)pthread_mutex_lock(&j->lock);
    if (j->cancel_fd >= 0)
        (void)shutdown(j->cancel_fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&j->lock);
}

bool job_is_cancelled(const struct job *j) {
    return atomic_load(&j->cancelled);
}

void job_set_cancel_fd(struct job *j, int fd) {
    (void)pthread_mutex_lock(&j->lock);
    j->cancel_fd = fd;
    if (fd >= 0 && atomic_load(&j->cancelled))
        (void)shutdown(fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&j->lock);
}

bool jobs_cancel_all(struct jobs *js) {
    struct job *j, *next;
    bool left = false;

    for (int c = 0; c < JOB_CLASS_MAX_; c++) {
        while ((j = list_first(&js->classes[c].queue, struct job, link)))
            job_cancel(j);
    }
    list_for_each_safe (j, next, &js->active, link) {
        job_cancel(j);
        left = true;
    }
    return left;
}
