/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_paths.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/mounts_plan.h"

#define PATIENCE_MS  10000
#define PATIENCE_S   "10 seconds"
#define STUCK_MAX    64 /* threads that may wait for file systems, which nobody can wake */
#define THREAD_STACK (1u << 20)

/* Not a job of the loop's: the end of the daemon waits for those. */
struct probe {
    struct list node;
    char **paths;
    atomic_size_t at; /* the path that is being asked */
    int event;        /* the thread's last act is to write it */
    struct loop_fd *watch;
    struct loop_timer *timer;
    void (*done)(void *arg, struct err *e);
    void *arg;
};

static struct list waiting = LIST_INIT(waiting); /* somebody waits for the answer */
static struct list stuck = LIST_INIT(stuck);     /* nobody does any more */
static size_t stuck_count;

/* ---- paths --------------------------------------------------------------------------------- */
static void add(char ***paths, const char *path) {
    if (path && *path == '/' && !strv_has(*paths, path))
        strv_add(paths, path);
}

void host_paths_of(const struct host_config *h, const struct field_array *mount_points,
                   char ***paths) {
    const struct field_array *const throttles[] = {
        &h->blkio_device_read_bps, &h->blkio_device_write_bps, &h->blkio_device_read_iops,
        &h->blkio_device_write_iops};

    strv_for_each (bind, h->binds) {
        auto_free char *source = xstrndup(bind, strcspn(bind, ":"));

        add(paths, source);
    }
    for (size_t i = 0; i < h->mounts.count; i++) {
        const struct mount_spec *m = field_array_at(&h->mounts, struct mount_spec, i);

        if (str_eq(m->type, "bind"))
            add(paths, m->source);
    }
    for (size_t i = 0; mount_points && i < mount_points->count; i++) {
        const struct mount_point *m = field_array_at(mount_points, struct mount_point, i);

        if (str_eq(m->type, "bind"))
            add(paths, m->source);
    }
    for (size_t i = 0; i < h->devices.count; i++)
        add(paths, field_array_at(&h->devices, struct device_mapping, i)->path_on_host);
    for (size_t i = 0; i < h->blkio_weight_device.count; i++)
        add(paths, field_array_at(&h->blkio_weight_device, struct weight_device, i)->path);
    for (size_t i = 0; i < sizeof throttles / sizeof *throttles; i++)
        for (size_t k = 0; k < throttles[i]->count; k++)
            add(paths, field_array_at(throttles[i], struct throttle_device, k)->path);
}

/* ---- probes -------------------------------------------------------------------------------- */
static void *ask(void *arg) {
    struct probe *p = arg;
    const uint64_t one = 1;
    int event = p->event;

    for (size_t i = 0; p->paths[i]; i++) {
        struct stat st;
        struct statfs fs;

        atomic_store(&p->at, i);
        /* What they say is asked again where it is used. */
        if (stat(p->paths[i], &st) == 0)
            (void)statfs(p->paths[i], &fs);
    }
    (void)!write(event, &one, sizeof one); /* the counter was 0: there is room */
    return NULL;
}

static int start_thread(struct probe *p) {
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    int r = pthread_attr_init(&attr);

    if (r)
        return -r;
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    r = pthread_attr_setstacksize(&attr, THREAD_STACK);
    if (!r) {
        /* Signals are the loop thread's. */
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&thread, &attr, ask, p);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    (void)pthread_attr_destroy(&attr);
    return -r;
}

static void probe_free(struct probe *p) {
    loop_fd_free(p->watch);
    loop_timer_free(p->timer);
    fd_close(p->event);
    strv_free(p->paths);
    free(p);
}

/* Has its thread ended? */
static bool has_ended(const struct probe *p) {
    uint64_t n;

    return read(p->event, &n, sizeof n) == sizeof n;
}

static int no_answer(const char *path, struct err *e) {
    return err_set(e, ERR_SYSTEM,
                   "%s: its file system does not answer (waited for " PATIENCE_S "): mount it "
                   "again or unmount it",
                   path);
}

static void answered(void *arg, unsigned events) {
    struct probe *p = arg, own = *p;
    auto_err none = ERR_INIT;

    (void)events;
    if (!has_ended(p))
        return;
    list_remove(&p->node);
    probe_free(p);
    own.done(own.arg, &none);
}

static void give_up(void *arg) {
    struct probe *p = arg;
    auto_err e = ERR_INIT;

    loop_fd_free(take_ptr(p->watch));
    loop_timer_free(take_ptr(p->timer));
    list_remove(&p->node);
    list_append(&stuck, &p->node);
    stuck_count++;
    (void)no_answer(p->paths[atomic_load(&p->at)], &e); /* sets */
    log_warn("a file system does not answer", "path", p->paths[atomic_load(&p->at)]);
    p->done(p->arg, &e);
}

/* Nobody asks again where a thread still waits. */
static int check_stuck(char *const *paths, struct err *e) {
    struct probe *p, *next;

    list_for_each_safe (p, next, &stuck, node) {
        if (has_ended(p)) {
            list_remove(&p->node);
            stuck_count--;
            probe_free(p);
        } else if (strv_has(paths, p->paths[atomic_load(&p->at)])) {
            return no_answer(p->paths[atomic_load(&p->at)], e);
        }
    }
    return stuck_count < STUCK_MAX
               ? 0
               : err_set(e, ERR_UNAVAILABLE, "too many file systems do not answer");
}

void host_paths_probe(struct loop *l, char **paths, void (*done)(void *arg, struct err *e),
                      void *arg) {
    auto_err e = ERR_INIT;
    struct probe *p;
    int r;

    if (strv_len(paths) == 0 || check_stuck(paths, &e) < 0) {
        strv_free(paths);
        done(arg, &e);
        return;
    }
    p = xnew(struct probe);
    p->paths = paths;
    p->done = done;
    p->arg = arg;
    p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = p->event < 0 ? -errno : 0;
    if (r == 0) {
        p->watch = loop_fd_new(l, p->event, LOOP_READ, answered, p);
        r = p->watch ? start_thread(p) : -errno;
    }
    if (r < 0) {
        (void)err_sys(&e, r, "cannot look at %s", paths[0]); /* sets */
        probe_free(p);
        done(arg, &e);
        return;
    }
    p->timer = loop_timer_new(l, PATIENCE_MS, 0, give_up, p);
    list_append(&waiting, &p->node);
}

void host_paths_give_up(void) {
    struct probe *p;

    while ((p = list_first(&waiting, struct probe, node)))
        give_up(p);
}
