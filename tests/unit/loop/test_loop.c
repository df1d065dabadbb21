/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "loop/loop.h"

static struct loop *l;
static char trace[256];
static size_t trace_len;

static void trace_add(char c) {
    assert_true(trace_len + 1 < sizeof(trace));
    trace[trace_len++] = c;
    trace[trace_len] = '\0';
}

static int setup(void **state) {
    trace_len = 0;
    trace[0] = '\0';
    l = loop_new();
    return 0;
}

static int teardown(void **state) {
    loop_free(l);
    return 0;
}

static void add_char(void *arg) {
    trace_add((char)(intptr_t)arg);
}

static void stop(void *arg) {
    loop_stop(l);
}

static void defer_two(void *arg) {
    loop_defer(l, add_char, (void *)(intptr_t)'d');
    loop_defer(l, add_char, (void *)(intptr_t)'e');
    trace_add('c');
}

static void test_post_and_defer_order(void **state) {
    loop_post(l, add_char, (void *)(intptr_t)'a');
    loop_post(l, defer_two, NULL);
    loop_post(l, add_char, (void *)(intptr_t)'f');
    loop_post(l, stop, NULL);
    assert_int_equal(loop_run(l), 0);
    assert_string_equal(trace, "acdef");
}

static void test_defer_from_outside(void **state) {
    loop_defer(l, add_char, (void *)(intptr_t)'x');
    loop_defer(l, stop, NULL);
    assert_int_equal(loop_run(l), 0);
    assert_string_equal(trace, "x");
}

static unsigned chain_left;

static void chain(void *arg) {
    if (--chain_left)
        loop_defer(l, chain, NULL);
    else
        loop_stop(l);
}

static void test_defer_chain(void **state) {
    chain_left = 1000;
    loop_defer(l, chain, NULL);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(chain_left, 0);
}

static void test_stop_before_run(void **state) {
    loop_stop(l);
    assert_int_equal(loop_run(l), 0);
    loop_post(l, stop, NULL);
    assert_int_equal(loop_run(l), 0);
}

/* ---- posts from threads ---------------------------------------------------------------------- */

enum { POSTERS = 4, POSTS = 5000 };
static unsigned counts[POSTERS], posted;

static void count_post(void *arg) {
    uintptr_t v = (uintptr_t)arg;

    /* In order for each thread. */
    assert_int_equal(counts[v / POSTS], v % POSTS);
    counts[v / POSTS]++;
    if (++posted == POSTERS * POSTS)
        loop_stop(l);
}

static void *poster(void *arg) {
    for (uintptr_t i = 0; i < POSTS; i++)
        loop_post(l, count_post, (void *)((uintptr_t)arg * POSTS + i));
    return NULL;
}

static void test_posts_from_threads(void **state) {
    pthread_t threads[POSTERS];

    posted = 0;
    for (uintptr_t i = 0; i < POSTERS; i++) {
        counts[i] = 0;
        assert_int_equal(pthread_create(&threads[i], NULL, poster, (void *)i), 0);
    }
    assert_int_equal(loop_run(l), 0);
    for (unsigned i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(posted, POSTERS * POSTS);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

struct watch_case {
    struct loop_fd *w;
    int sv[2];
    unsigned seen, calls;
};

static void on_event(void *arg, unsigned events) {
    struct watch_case *c = arg;

    c->seen |= events;
    c->calls++;
    loop_fd_free(c->w); /* in its own callback */
    c->w = NULL;
    loop_stop(l);
}

static void case_begin(struct watch_case *c, unsigned events) {
    *c = (struct watch_case){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c->sv), 0);
    c->w = loop_fd_new(l, c->sv[0], events, on_event, c);
    assert_non_null(c->w);
}

static void case_end(struct watch_case *c) {
    loop_fd_free(c->w);
    (void)fd_close(c->sv[0]);
    if (c->sv[1] >= 0)
        (void)fd_close(c->sv[1]);
}

static void test_read_event(void **state) {
    struct watch_case c;

    case_begin(&c, LOOP_READ);
    assert_int_equal(write(c.sv[1], "x", 1), 1);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(c.seen, LOOP_READ);
    assert_int_equal(c.calls, 1);
    case_end(&c);
}

static void test_write_event(void **state) {
    struct watch_case c;

    case_begin(&c, LOOP_WRITE | LOOP_READ);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(c.seen, LOOP_WRITE);
    case_end(&c);
}

static void test_hangup_alone(void **state) {
    struct watch_case c;

    case_begin(&c, LOOP_HANGUP);
    (void)fd_close(c.sv[1]);
    c.sv[1] = -1;
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(c.seen, LOOP_HANGUP);
    case_end(&c);
}

static void test_hangup_with_reset(void **state) {
    struct watch_case c;

    case_begin(&c, LOOP_HANGUP);
    assert_int_equal(write(c.sv[0], "lost", 4), 4);
    (void)fd_close(c.sv[1]);
    c.sv[1] = -1;
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(c.seen, LOOP_HANGUP);
    case_end(&c);
}

static void stop_timer(void *arg) {
    loop_stop(l);
}

static void test_half_close_is_no_hangup(void **state) {
    struct loop_timer *t = loop_timer_new(l, 30, 0, stop_timer, NULL);
    struct watch_case c;

    case_begin(&c, LOOP_HANGUP);
    assert_int_equal(shutdown(c.sv[1], SHUT_WR), 0);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(c.calls, 0);
    loop_fd_set(c.w, LOOP_HANGUP | LOOP_RDHUP);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(c.seen, LOOP_RDHUP);
    case_end(&c);
    loop_timer_free(t);
}

static void test_pause(void **state) {
    struct loop_timer *t = loop_timer_new(l, 20, 0, stop_timer, NULL);
    struct watch_case c;

    case_begin(&c, LOOP_READ);
    assert_int_equal(write(c.sv[1], "x", 1), 1);
    loop_fd_set(c.w, 0);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(c.calls, 0);
    loop_fd_set(c.w, LOOP_READ);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(c.calls, 1);
    case_end(&c);
    loop_timer_free(t);
}

static void test_unpollable(void **state) {
    FILE *f = tmpfile();

    assert_non_null(f);
    errno = 0;
    assert_null(loop_fd_new(l, fileno(f), LOOP_READ, on_event, NULL));
    assert_int_equal(errno, EPERM);
    assert_int_equal(fclose(f), 0);
}

/* The same number watched anew in the callback that closed it. */
struct reuse {
    struct loop_fd *w;
    int other[2];
    unsigned calls;
};

static void on_reused(void *arg, unsigned events) {
    struct reuse *u = arg;

    assert_int_equal(events, LOOP_WRITE);
    u->calls++;
    loop_fd_free(u->w);
    u->w = NULL;
    loop_stop(l);
}

static int reuse_fd;

static void on_first(void *arg, unsigned events) {
    struct reuse *u = arg;

    loop_fd_free(u->w);
    assert_int_equal(dup2(u->other[0], reuse_fd), reuse_fd);
    u->w = loop_fd_new(l, reuse_fd, LOOP_WRITE, on_reused, u);
    assert_non_null(u->w);
}

static void test_number_reused(void **state) {
    struct reuse u = {0};
    int sv[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, u.other), 0);
    reuse_fd = sv[0];
    u.w = loop_fd_new(l, sv[0], LOOP_READ, on_first, &u);
    assert_int_equal(write(sv[1], "x", 1), 1);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(u.calls, 1);
    for (int i = 0; i < 2; i++) {
        (void)fd_close(sv[i]);
        (void)fd_close(u.other[i]);
    }
}

/* ---- timers, signals ------------------------------------------------------------------------- */

static struct loop_timer *timer;
static unsigned ticks;

static void on_tick(void *arg) {
    if (++ticks == 3) {
        loop_timer_free(timer);
        timer = NULL;
        loop_stop(l);
    }
}

static void test_timer_repeats(void **state) {
    int64_t start = clock_mono_ns();

    ticks = 0;
    timer = loop_timer_new(l, 20, 10, on_tick, NULL);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(ticks, 3);
    assert_true(clock_mono_ns() - start >= 38 * NS_PER_MS);
}

static void test_timer_set(void **state) {
    int64_t start = clock_mono_ns();

    timer = loop_timer_new(l, 60000, 0, stop_timer, NULL);
    loop_timer_set(timer, 10);
    assert_int_equal(loop_run(l), 0);
    assert_true(clock_mono_ns() - start < 5 * NS_PER_SEC);
    loop_timer_free(timer);
}

static void on_usr1(void *arg, int signum) {
    assert_int_equal(signum, SIGUSR1);
    ticks = 77;
    loop_signal_free(*(struct loop_signal **)arg);
    loop_stop(l);
}

static void test_signal(void **state) {
    struct loop_signal *s;

    s = loop_signal_new(l, SIGUSR1, on_usr1, &s);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(ticks, 77);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static atomic_uint at_once, most_at_once;
static unsigned done_count;

static int counting_work(struct job *j, void *arg) {
    unsigned now = atomic_fetch_add(&at_once, 1) + 1, most = atomic_load(&most_at_once);

    while (now > most && !atomic_compare_exchange_weak(&most_at_once, &most, now))
        ;
    (void)usleep(2000);
    atomic_fetch_sub(&at_once, 1);
    return (int)(intptr_t)arg;
}

static void counting_done(void *arg, int r) {
    loop_assert_thread(l);
    assert_int_equal(r, (intptr_t)arg);
    if (++done_count == 20)
        loop_stop(l);
}

static void test_class_limit(void **state) {
    done_count = 0;
    atomic_store(&most_at_once, 0);
    for (intptr_t i = 0; i < 20; i++)
        assert_non_null(job_start(l, JOB_SHORT, counting_work, counting_done, (void *)i));
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(done_count, 20);
    assert_in_range(atomic_load(&most_at_once), 1, 4);
}

struct blocked {
    int sv[2];
    int result;
    bool cancelled_seen;
    struct job *job;
    unsigned done;
};

static int blocked_work(struct job *j, void *arg) {
    struct blocked *b = arg;
    char c;
    ssize_t n;

    job_set_cancel_fd(j, b->sv[0]);
    n = read(b->sv[0], &c, 1);
    b->cancelled_seen = job_is_cancelled(j);
    job_set_cancel_fd(j, -1);
    return n == 0 ? -ECANCELED : 0;
}

static void blocked_done(void *arg, int r) {
    struct blocked *b = arg;

    b->result = r;
    b->done++;
    b->job = NULL;
    loop_stop(l);
}

static void cancel_blocked(void *arg) {
    struct blocked *b = arg;

    if (b->job)
        job_cancel(b->job);
}

static void test_cancel_wakes_socket(void **state) {
    struct blocked b = {0};
    struct loop_timer *t;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b.sv), 0);
    b.job = job_start(l, JOB_IMAGE, blocked_work, blocked_done, &b);
    t = loop_timer_new(l, 20, 0, cancel_blocked, &b);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(b.result, -ECANCELED);
    assert_true(b.cancelled_seen);
    loop_timer_free(t);
    (void)fd_close(b.sv[0]);
    (void)fd_close(b.sv[1]);
}

static void test_cancel_queued(void **state) {
    struct blocked b[6] = {0};

    for (int i = 0; i < 6; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b[i].sv), 0);
        b[i].job = job_start(l, JOB_IMAGE, blocked_work, blocked_done, &b[i]);
    }
    job_cancel(b[5].job); /* the sixth of a class of four has not begun */
    assert_int_equal(b[5].done, 0);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(b[5].done, 1);
    assert_int_equal(b[5].result, -ECANCELED);
    assert_false(b[5].cancelled_seen);
    /* The rest is cancelled and reported by the end of the loop. */
    loop_free(l);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(b[i].done, 1);
        (void)fd_close(b[i].sv[0]);
        (void)fd_close(b[i].sv[1]);
    }
    l = loop_new();
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_post_and_defer_order),
        T(test_defer_from_outside),
        T(test_defer_chain),
        T(test_stop_before_run),
        T(test_posts_from_threads),
        T(test_read_event),
        T(test_write_event),
        T(test_hangup_alone),
        T(test_hangup_with_reset),
        T(test_half_close_is_no_hangup),
        T(test_pause),
        T(test_unpollable),
        T(test_number_reused),
        T(test_timer_repeats),
        T(test_timer_set),
        T(test_signal),
        T(test_class_limit),
        T(test_cancel_wakes_socket),
        T(test_cancel_queued),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
