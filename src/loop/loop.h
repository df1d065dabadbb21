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
void loop_free(struct loop *l);
/* Until loop_stop. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Aborts with a text unless called on the loop's thread (debug aid at engine entries). */
void loop_assert_thread(const struct loop *l);

/* Runs fn(arg) on the loop thread, in posting order. Any thread. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* Runs fn(arg) on the loop thread after the current callback returned. Loop thread only. */
void loop_defer(struct loop *l, void (*fn)(void *arg), void *arg);

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };
struct loop_fd;
/* Watches a descriptor (borrowed; close it after loop_fd_free). events 0 pauses. */
struct loop_fd *loop_fd_new(struct loop *l, int fd, unsigned events,
                            void (*cb)(void *arg, unsigned events), void *arg);
void loop_fd_set(struct loop_fd *w, unsigned events);
void loop_fd_free(struct loop_fd *w);

struct loop_timer;
/* One shot after delay_ms, then every repeat_ms when that is not 0. */
struct loop_timer *loop_timer_new(struct loop *l, uint64_t delay_ms, uint64_t repeat_ms,
                                  void (*cb)(void *arg), void *arg);
void loop_timer_free(struct loop_timer *t);

struct loop_signal;
struct loop_signal *loop_signal_new(struct loop *l, int signum, void (*cb)(void *arg, int signum),
                                    void *arg);
void loop_signal_free(struct loop_signal *s);

/* ---- long operations: a thread each, limited and queued per class ---------------------------- */
enum job_class {
    JOB_IMAGE,  /* load, save, import, commit, prune: 4 at once */
    JOB_STREAM, /* cp, export, logs: 64 at once */
    JOB_SHORT,  /* volume seeding, tree removal, size walks: 4 at once */
    JOB_CLASS_MAX_,
};
struct job;
/* work runs on a thread of its own (256 KiB stack), then done on the loop thread with work's
 * result. The job is freed after done. */
struct job *job_start(struct loop *l, enum job_class class, int (*work)(struct job *j, void *arg),
                      void (*done)(void *arg, int r), void *arg);
/* Sets the flag that work polls, and shuts down a descriptor given by job_set_cancel_fd. */
void job_cancel(struct job *j);
bool job_is_cancelled(const struct job *j);
