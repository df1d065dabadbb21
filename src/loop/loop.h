/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The event loop (libuv underneath). One thread runs it and owns everything that its callbacks
 * touch; other threads reach it through loop_post only. A callback may free its own handle.
 */
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop *loop_new(void);
/* Every watch, timer and signal must have been freed before. Jobs are cancelled and waited for, and
 * their `done` is called; posts and defers that are left are run. */
void loop_free(struct loop *l);
/* Until loop_stop; the calling thread is the loop's thread from now on. 0 or -errno. */
int loop_run(struct loop *l);
/* Any thread; loop_run returns after the callbacks that are due. */
void loop_stop(struct loop *l);
/* At the end, while everything that callbacks touch is still there: cancels all jobs and runs the
 * loop until their ends, and what was posted, have been dealt with. */
void loop_drain(struct loop *l);
/* Aborts with a text unless called on the loop's thread (debug aid at engine entries). */
void loop_assert_thread(const struct loop *l);

/* Runs fn(arg) on the loop thread, in posting order. Any thread. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* Runs fn(arg) on the loop thread after the current callback returned. Loop thread only. */
void loop_defer(struct loop *l, void (*fn)(void *arg), void *arg);

enum {
    LOOP_READ = 1,
    LOOP_WRITE = 2,
    LOOP_HANGUP = 4, /* both directions are over, or the descriptor has an error */
    LOOP_RDHUP = 8,  /* the peer has shut down its writing side; stays set: ask for it once */
};
struct loop_fd;
/* Watches a descriptor (borrowed; close it after loop_fd_free), level-triggered; makes it
 * non-blocking. events 0 pauses. A descriptor has one watch at most. NULL with errno when the
 * kernel cannot poll it (regular files). A hangup without LOOP_HANGUP is reported as the events
 * that were asked for: reading or writing then tells. Urgent TCP data counts as a hangup. */
struct loop_fd *loop_fd_new(struct loop *l, int fd, unsigned events,
                            void (*cb)(void *arg, unsigned events), void *arg);
void loop_fd_set(struct loop_fd *w, unsigned events);
void loop_fd_free(struct loop_fd *w);

struct loop_timer;
/* One shot after delay_ms, then every repeat_ms when that is not 0. */
struct loop_timer *loop_timer_new(struct loop *l, uint64_t delay_ms, uint64_t repeat_ms,
                                  void (*cb)(void *arg), void *arg);
/* Starts anew with another delay; the repetition stays. */
void loop_timer_set(struct loop_timer *t, uint64_t delay_ms);
void loop_timer_free(struct loop_timer *t);

struct loop_signal;
struct loop_signal *loop_signal_new(struct loop *l, int signum, void (*cb)(void *arg, int signum),
                                    void *arg);
void loop_signal_free(struct loop_signal *s);

/* ---- long operations: a thread each, limited and queued per class ---------------------------- */
enum job_class {
    JOB_IMAGE,  /* load, save, import, commit, prune: 4 at once */
    JOB_STREAM, /* cp, export, logs: 64 at once */
    JOB_FOLLOW, /* logs -f, which may last for ever: 1000 at once */
    JOB_CLEAR,  /* waiting for killed processes to go: 32 at once */
    JOB_SHORT,  /* volume seeding, tree removal, size walks: 4 at once */
    JOB_CLASS_MAX_,
};
struct job;
/* work runs on a thread of its own (256 KiB stack), then done on the loop thread with work's
 * result. Queued while the class is full. The job is freed after done; a thread that cannot be made
 * gives done(arg, -EAGAIN). Loop thread. */
struct job *job_start(struct loop *l, enum job_class class, int (*work)(struct job *j, void *arg),
                      void (*done)(void *arg, int r), void *arg);
/* Loop thread. Sets the flag that work polls, and shuts down a descriptor given by
 * job_set_cancel_fd. A job that still waits in its queue never runs: done gets -ECANCELED. */
void job_cancel(struct job *j);
/* Any thread. */
bool job_is_cancelled(const struct job *j);
/* The worker names the socket it may block on, so that job_cancel can shut it down (at once when
 * the job is cancelled already); -1 before the socket is closed. */
void job_set_cancel_fd(struct job *j, int fd);
