/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The loop fills a transaction, the database thread writes it, the completion is posted back: a
 * commit takes 50 us, but now and then tens of milliseconds (a checkpoint, a busy disk), and the
 * loop must never wait for that. Checkpoints happen on the thread when nothing is queued.
 */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <sqlite3.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/log.h"

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
    pthread_cond_t wake;
    struct list queue;
    bool stopping;
    int wal_pages;
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

static int write_ops(struct store *s, struct store_txn *t) {
    struct op *op;
    int r = run(s->begin);

    if (r < 0)
        return r;
    list_for_each(op, &t->ops, node) {
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
    struct op *op, *tmp;

    list_for_each_safe(op, tmp, &t->ops, node) {
        free(op->kind);
        free(op->id);
        free(op->doc);
        free(op);
    }
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

    rc = sqlite3_exec(s->db,
                      "DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - 100000",
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
            pthread_cond_wait(&s->wake, &s->lock);
            continue;
        }
        list_remove(&t->node);
        pthread_mutex_unlock(&s->lock);
        if (t->is_query)
            read_events(s, t);
        else
            t->result = write_ops(s, t);
        pthread_mutex_lock(&s->lock);
        if (s->stopping)
            txn_free(t);
        else
            loop_post(s->loop, complete, t);
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
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int store_open(struct loop *l, const char *path, struct store **ret, struct err *e) {
    static const char settings[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                                   "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -256;"
                                   "PRAGMA locking_mode = EXCLUSIVE;";
    struct store *s = xnew(struct store);
    pthread_attr_t attr;
    int r, rc;

    s->loop = l;
    list_init(&s->queue);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
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
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK_SIZE);
    rc = pthread_create(&s->thread, &attr, thread_main, s);
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
