/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The loop fills a transaction, the database thread writes it, the completion is posted back: a
 * commit takes 50 us, but now and then tens of milliseconds (a checkpoint, a busy disk), and the
 * loop must never wait for that. Checkpoints happen on the thread when nothing is queued.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/list.h"
#include "base/log.h"

/* A full disk must not keep anybody from removing what fills it: this much is held back, and given
 * up for the transactions that do. */
#define RESERVE_SIZE (1 << 20)
/* What could not be written is tried again this often. Its number is bounded by the objects: a
 * later write of the same object takes the place of an earlier one. */
#define RETRY_NS NS_PER_SEC

#define SCHEMA_VERSION    1
#define CHECKPOINT_PAGES  1000
#define EVENTS_BATCH      256
#define THREAD_STACK_SIZE (512 << 10)

enum op_type { OP_PUT, OP_DEL, OP_EVENT };
struct op {
    struct list node;
    enum op_type type;
    int64_t time_ns;
    char *kind, *id, *doc;
};

struct store_txn {
    struct list node; /* in store.queue */
    struct list ops;
    void (*done)(void *arg, int r);
    void *arg;
    int result;
    bool is_barrier;
    /* An event query instead of writes. */
    bool is_query;
    int64_t since_ns, until_ns;
    void (*each)(void *arg, const char *doc);
    void (*query_done)(void *arg);
    char **docs;
    size_t doc_count;
};

struct store {
    struct loop *loop;
    sqlite3 *db;
    sqlite3_stmt *put, *del, *event, *events, *begin, *commit, *rollback;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle; /* monotonic */
    struct list queue;
    bool stopping, busy;
    unsigned posted; /* completions since the last store_settle */
    void (*caught_up)(void *arg);
    void *caught_up_arg;
    /* the thread's own */
    int wal_pages;
    char *reserve;    /* path of the file that holds room back */
    struct list late; /* struct op: what is to be written again, oldest first */
    int late_errno;
    bool reserve_missing;
    int64_t retry_ns;
};

static int db_errno(int rc) {
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    default:
        return -EIO;
    }
}

static int run(sqlite3_stmt *st) {
    int rc = sqlite3_step(st);

    (void)sqlite3_reset(st); /* repeats the error of step */
    return db_errno(rc);
}

static void op_free(struct op *op) {
    free(op->kind);
    free(op->id);
    free(op->doc);
    free(op);
}

static void ops_free(struct list *ops) {
    struct op *op, *tmp;

    list_for_each_safe (op, tmp, ops, node)
        op_free(op);
    list_init(ops);
}

static int write_once(struct store *s, struct list *ops) {
    struct op *op;
    int r = run(s->begin);

    if (r < 0)
        return r;
    list_for_each (op, ops, node) {
        sqlite3_stmt *st = op->type == OP_PUT ? s->put : op->type == OP_DEL ? s->del : s->event;

        if (op->type == OP_EVENT) {
            sqlite3_bind_int64(st, 1, op->time_ns);
            sqlite3_bind_text(st, 2, op->doc, -1, SQLITE_STATIC);
        } else {
            sqlite3_bind_text(st, 1, op->kind, -1, SQLITE_STATIC);
            sqlite3_bind_text(st, 2, op->id, -1, SQLITE_STATIC);
            if (op->type == OP_PUT)
                sqlite3_bind_text(st, 3, op->doc, -1, SQLITE_STATIC);
        }
        r = run(st);
        (void)sqlite3_clear_bindings(st);
        if (r < 0)
            break;
    }
    if (r == 0)
        r = run(s->commit);
    if (r < 0)
        (void)run(s->rollback); /* fails only when SQLite has rolled back by itself */
    return r;
}

static void reserve_take(struct store *s) {
    int fd = open(s->reserve, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    s->reserve_missing = fd < 0 && errno != EEXIST;
    if (fd >= 0 && posix_fallocate(fd, 0, RESERVE_SIZE) != 0) {
        s->reserve_missing = true;
        (void)unlink(s->reserve);
    }
    fd_close(fd);
    s->retry_ns = clock_mono_ns() + RETRY_NS;
}

/* Only removals may use what is held back: creations would use it up. */
static bool is_removal(const struct list *ops) {
    const struct op *op;
    bool found = false;

    list_for_each (op, ops, node) {
        if (op->type == OP_PUT)
            return false;
        found |= op->type == OP_DEL;
    }
    return found;
}

static int write_ops(struct store *s, struct list *ops) {
    int r = write_once(s, ops);

    if (r != -ENOSPC)
        return r;
    /* The log's pages can be used again once they are in the database. */
    (void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    r = write_once(s, ops);
    if (r == -ENOSPC && is_removal(ops) && unlink(s->reserve) == 0) {
        log_warn("the disk of the data root is full: using what is held back for removals");
        s->reserve_missing = true;
        s->retry_ns = clock_mono_ns() + RETRY_NS;
        r = write_once(s, ops);
    }
    return r;
}

/* ---- what could not be written --------------------------------------------------------------- */
static void keep_late(struct store *s, struct list *ops, int r) {
    struct op *op, *tmp, *old, *next;

    list_for_each_safe (op, tmp, ops, node) {
        if (op->type == OP_EVENT)
            continue;
        list_for_each_safe (old, next, &s->late, node) {
            if (strcmp(old->kind, op->kind) != 0 || strcmp(old->id, op->id) != 0)
                continue;
            list_remove(&old->node);
            op_free(old);
        }
        list_remove(&op->node);
        list_append(&s->late, &op->node);
    }
    if (list_empty(&s->late))
        return;
    if (s->late_errno == 0)
        log_error("the state database cannot be written; it is tried again", "error", strerror(-r));
    s->late_errno = r;
    s->retry_ns = clock_mono_ns() + RETRY_NS;
}

static int write_late(struct store *s) {
    int r;

    if (list_empty(&s->late))
        return 0;
    r = write_ops(s, &s->late);
    s->late_errno = r;
    s->retry_ns = clock_mono_ns() + RETRY_NS;
    if (r == 0) {
        ops_free(&s->late);
        log_info("the state database is complete again");
        pthread_mutex_lock(&s->lock);
        if (s->caught_up && !s->stopping) {
            s->posted++;
            loop_post(s->loop, s->caught_up, s->caught_up_arg);
        }
        pthread_mutex_unlock(&s->lock);
    }
    return r;
}

/* A removal has overtaken: an older write must not bring the object back. */
static void forget_late(struct store *s, const struct list *ops) {
    const struct op *op;
    struct op *old, *next;

    list_for_each (op, ops, node) {
        if (op->type != OP_DEL)
            continue;
        list_for_each_safe (old, next, &s->late, node) {
            if (strcmp(old->kind, op->kind) != 0 || strcmp(old->id, op->id) != 0)
                continue;
            list_remove(&old->node);
            op_free(old);
        }
    }
}

/* In order: nothing overtakes what is late. Removals excepted, which may make the room for it. */
static int write_txn(struct store *s, struct store_txn *t) {
    int r = write_late(s);

    if (t->is_barrier)
        return r;
    if (r == 0 || is_removal(&t->ops))
        r = write_ops(s, &t->ops);
    if (r < 0 && !t->done)
        keep_late(s, &t->ops, r);
    if (r == 0 && s->late_errno < 0)
        forget_late(s, &t->ops);
    return r;
}

static void read_events(struct store *s, struct store_txn *t) {
    sqlite3_bind_int64(s->events, 1, t->since_ns);
    sqlite3_bind_int64(s->events, 2, t->until_ns);
    while (sqlite3_step(s->events) == SQLITE_ROW) {
        if (t->doc_count % EVENTS_BATCH == 0)
            t->docs = xreallocarray(t->docs, t->doc_count + EVENTS_BATCH, sizeof *t->docs);
        t->docs[t->doc_count++] = xstrdup((const char *)sqlite3_column_text(s->events, 0));
    }
    (void)sqlite3_reset(s->events);
}

static void txn_free(struct store_txn *t) {
    ops_free(&t->ops);
    for (size_t i = 0; i < t->doc_count; i++)
        free(t->docs[i]);
    free(t->docs);
    free(t);
}

/* On the loop. */
static void complete(void *arg) {
    struct store_txn *t = arg;

    for (size_t i = 0; i < t->doc_count; i++)
        t->each(t->arg, t->docs[i]);
    if (t->query_done)
        t->query_done(t->arg);
    if (t->done)
        t->done(t->arg, t->result);
    txn_free(t);
}

static void checkpoint(struct store *s) {
    int rc;

    rc = sqlite3_exec(s->db, "DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - 100000",
                      NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK)
        log_debug("checkpoint failed", "error", sqlite3_errmsg(s->db));
    s->wal_pages = 0;
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages) {
    struct store *s = arg;

    (void)db;
    (void)name;
    s->wal_pages = pages;
    return SQLITE_OK;
}

/* The lock is held. false: it is time to try again what failed. */
static bool wait_for_work(struct store *s) {
    struct timespec t;

    if (list_empty(&s->late) && !s->reserve_missing) {
        pthread_cond_wait(&s->wake, &s->lock);
        return true;
    }
    t = (struct timespec){s->retry_ns / NS_PER_SEC, s->retry_ns % NS_PER_SEC};
    return pthread_cond_timedwait(&s->wake, &s->lock, &t) != ETIMEDOUT;
}

static void *thread_main(void *arg) {
    struct store *s = arg;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct store_txn *t = list_first(&s->queue, struct store_txn, node);

        if (!t) {
            if (s->wal_pages > CHECKPOINT_PAGES) {
                pthread_mutex_unlock(&s->lock);
                checkpoint(s);
                pthread_mutex_lock(&s->lock);
                continue;
            }
            if (s->stopping)
                break;
            if (!wait_for_work(s)) {
                pthread_mutex_unlock(&s->lock);
                if (write_late(s) == 0 && s->reserve_missing)
                    reserve_take(s);
                pthread_mutex_lock(&s->lock);
            }
            continue;
        }
        list_remove(&t->node);
        s->busy = true;
        pthread_mutex_unlock(&s->lock);
        if (t->is_query)
            read_events(s, t);
        else
            t->result = write_txn(s, t);
        pthread_mutex_lock(&s->lock);
        s->busy = false;
        s->posted++;
        if (s->stopping)
            txn_free(t);
        else
            loop_post(s->loop, complete, t);
        pthread_cond_broadcast(&s->idle);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int migrate(struct store *s, struct err *e) {
    static const char schema[] =
        "CREATE TABLE IF NOT EXISTS object (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL,"
        "  id TEXT NOT NULL, doc TEXT NOT NULL, UNIQUE (kind, id));"
        "CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
        "  doc TEXT NOT NULL);"
        "CREATE INDEX IF NOT EXISTS event_time ON event (time);";
    sqlite3_stmt *st = NULL;
    int version = -1;

    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    if (version < 0)
        return err_set(e, ERR_SYSTEM, "cannot read the state database: %s", sqlite3_errmsg(s->db));
    if (version > SCHEMA_VERSION)
        return err_set(e, ERR_SYSTEM,
                       "the state database has schema %d, this program knows %d: it was written "
                       "by a newer release",
                       version, SCHEMA_VERSION);
    if (version == SCHEMA_VERSION)
        return 0;
    if (sqlite3_exec(s->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(s->db, "PRAGMA user_version = 1", NULL, NULL, NULL) != SQLITE_OK)
        return err_set(e, ERR_SYSTEM, "cannot prepare the state database: %s",
                       sqlite3_errmsg(s->db));
    return 0;
}

static int prepare(struct store *s, struct err *e) {
    const struct {
        const char *sql;
        sqlite3_stmt **st;
    } statements[] = {
        {"INSERT INTO object (kind, id, doc) VALUES (?1, ?2, ?3) "
         "ON CONFLICT (kind, id) DO UPDATE SET doc = excluded.doc",
         &s->put},
        {"DELETE FROM object WHERE kind = ?1 AND id = ?2", &s->del},
        {"INSERT INTO event (time, doc) VALUES (?1, ?2)", &s->event},
        {"SELECT doc FROM event WHERE time BETWEEN ?1 AND ?2 ORDER BY seq", &s->events},
        {"BEGIN IMMEDIATE", &s->begin},
        {"COMMIT", &s->commit},
        {"ROLLBACK", &s->rollback},
    };

    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (sqlite3_prepare_v3(s->db, statements[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
                               statements[i].st, NULL) != SQLITE_OK)
            return err_set(e, ERR_SYSTEM, "cannot use the state database: %s",
                           sqlite3_errmsg(s->db));
    return 0;
}

static void close_db(struct store *s) {
    sqlite3_stmt *all[] = {s->put, s->del, s->event, s->events, s->begin, s->commit, s->rollback};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sqlite3_finalize(all[i]);
    (void)sqlite3_close(s->db); /* nothing is pending, so it cannot be busy */
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->lock);
    ops_free(&s->late);
    free(s->reserve);
    free(s);
}

static int make_private(const char *path) {
    auto_fd fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    return fd < 0 || fchmod(fd, 0600) < 0 ? -errno : 0;
}

int store_open(struct loop *l, const char *path, struct store **ret, struct err *e) {
    /* The lock first: alone, SQLite keeps the log's index in memory and not in a file, which a full
     * disk has no room for. */
    static const char settings[] = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                                   "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;"
                                   "PRAGMA cache_size = -256;";
    struct store *s = xnew(struct store);
    pthread_condattr_t monotonic;
    pthread_attr_t attr;
    sigset_t all, old;
    int r, rc;

    s->loop = l;
    list_init(&s->queue);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_cond_init(&s->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    list_init(&s->late);
    s->reserve = xasprintf("%s-reserve", path);
    /* It holds the environment of every container, passwords included. What SQLite puts beside it
     * takes the mode of this file. */
    r = make_private(path);
    if (r < 0) {
        err_sys(e, r, "cannot make the state database %s", path);
        close_db(s);
        return r;
    }
    rc = sqlite3_open_v2(path, &s->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(s->db, settings, NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        r = err_set(e, ERR_SYSTEM, "cannot open the state database %s: %s", path,
                    s->db ? sqlite3_errmsg(s->db) : "out of memory");
        close_db(s);
        return r;
    }
    (void)sqlite3_wal_hook(s->db, on_wal, s);
    r = migrate(s, e);
    if (r == 0)
        r = prepare(s, e);
    if (r < 0) {
        close_db(s);
        return r;
    }
    reserve_take(s);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK_SIZE);
    /* Signals are the loop thread's: one that went here could overtake another. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&s->thread, &attr, thread_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        close_db(s);
        return err_sys(e, rc, "cannot start the database thread");
    }
    *ret = s;
    return 0;
}

void store_close(struct store *s) {
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    checkpoint(s);
    close_db(s);
}

int store_load(struct store *s, const char *kind,
               int (*each)(void *arg, const char *id, const char *doc), void *arg, struct err *e) {
    sqlite3_stmt *st = NULL;
    int r = 0, rc;

    /* At start-up: the thread is idle, and a second user of the connection is excluded by it. */
    rc = sqlite3_prepare_v2(s->db, "SELECT id, doc FROM object WHERE kind = ?1 ORDER BY seq", -1,
                            &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, kind, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            break;
        r = each(arg, (const char *)sqlite3_column_text(st, 0),
                 (const char *)sqlite3_column_text(st, 1));
        if (r < 0)
            break;
    }
    if (r == 0 && rc != SQLITE_DONE)
        r = err_set(e, ERR_SYSTEM, "cannot read the state database: %s", sqlite3_errmsg(s->db));
    sqlite3_finalize(st);
    return r;
}

struct store_txn *store_txn_new(void) {
    struct store_txn *t = xnew(struct store_txn);

    list_init(&t->ops);
    return t;
}

static void add_op(struct store_txn *t, enum op_type type, int64_t time_ns, const char *kind,
                   const char *id, const char *doc) {
    struct op *op = xnew(struct op);

    op->type = type;
    op->time_ns = time_ns;
    op->kind = xstrdup_null(kind);
    op->id = xstrdup_null(id);
    op->doc = xstrdup_null(doc);
    list_append(&t->ops, &op->node);
}

void store_txn_put(struct store_txn *t, const char *kind, const char *id, const char *doc) {
    add_op(t, OP_PUT, 0, kind, id, doc);
}

void store_txn_del(struct store_txn *t, const char *kind, const char *id) {
    add_op(t, OP_DEL, 0, kind, id, NULL);
}

void store_txn_event(struct store_txn *t, int64_t time_ns, const char *doc) {
    add_op(t, OP_EVENT, time_ns, NULL, NULL, doc);
}

static void enqueue(struct store *s, struct store_txn *t) {
    pthread_mutex_lock(&s->lock);
    list_append(&s->queue, &t->node);
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

void store_commit(struct store *s, struct store_txn *t, void (*done)(void *arg, int r), void *arg) {
    t->done = done;
    t->arg = arg;
    enqueue(s, t);
}

void store_barrier(struct store *s, void (*done)(void *arg, int r), void *arg) {
    struct store_txn *t = store_txn_new();

    t->is_barrier = true;
    store_commit(s, t, done, arg);
}

void store_on_caught_up(struct store *s, void (*cb)(void *arg), void *arg) {
    pthread_mutex_lock(&s->lock);
    s->caught_up = cb;
    s->caught_up_arg = arg;
    pthread_mutex_unlock(&s->lock);
}

bool store_settle(struct store *s) {
    bool posted;

    pthread_mutex_lock(&s->lock);
    while (s->busy || !list_empty(&s->queue))
        pthread_cond_wait(&s->idle, &s->lock);
    posted = s->posted > 0;
    s->posted = 0;
    pthread_mutex_unlock(&s->lock);
    return posted;
}

void store_events(struct store *s, int64_t since_ns, int64_t until_ns,
                  void (*each)(void *arg, const char *doc), void (*done)(void *arg), void *arg) {
    struct store_txn *t = store_txn_new();

    t->is_query = true;
    t->since_ns = since_ns;
    t->until_ns = until_ns;
    t->each = each;
    t->query_done = done;
    t->arg = arg;
    enqueue(s, t);
}
