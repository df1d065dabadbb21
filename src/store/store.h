/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Engine state in SQLite: one JSON document per object, keyed by kind and id, plus the event log.
 * One thread owns the connection; the loop posts transactions and goes on in the completion. WAL,
 * synchronous=NORMAL: nothing is lost when a process dies, the last moments may be when power does.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

struct store;

/* Opens or creates the database, migrates its schema, starts the thread. */
int store_open(struct loop *l, const char *path, struct store **ret, struct err *e);
/* Finishes what is queued, without running completions. */
void store_close(struct store *s);

/* All documents of a kind, oldest first; for start-up, blocking. Stops at a negative result. */
int store_load(struct store *s, const char *kind,
               int (*each)(void *arg, const char *id, const char *doc), void *arg, struct err *e);

/* A transaction: filled on the loop, then committed (and freed) as one. */
struct store_txn;
struct store_txn *store_txn_new(void);
void store_txn_put(struct store_txn *t, const char *kind, const char *id, const char *doc);
void store_txn_del(struct store_txn *t, const char *kind, const char *id);
void store_txn_event(struct store_txn *t, int64_t time_ns, const char *doc);
/* done (may be NULL) runs on the loop thread with 0 or -errno, in commit order. A transaction
 * without it that fails is written again, before any later one: memory runs ahead of the disk, and
 * the disk must catch up. Events alone are dropped. */
void store_commit(struct store *s, struct store_txn *t, void (*done)(void *arg, int r), void *arg);
/* done runs on the loop thread when all that was committed so far is written: 0, or the -errno why
 * some of it is still to be written again. */
void store_barrier(struct store *s, void (*done)(void *arg, int r), void *arg);
/* cb runs on the loop thread each time that all of what had failed has been written after all. */
void store_on_caught_up(struct store *s, void (*cb)(void *arg), void *arg);
/* At the end: waits until nothing is queued. Whether completions were posted since the last call:
 * the loop is to be drained then, and may have queued more. */
bool store_settle(struct store *s);

/* Events with since_ns <= time <= until_ns, in order; `each` and `done` run on the loop thread. */
void store_events(struct store *s, int64_t since_ns, int64_t until_ns,
                  void (*each)(void *arg, const char *doc), void (*done)(void *arg), void *arg);
