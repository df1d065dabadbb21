/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/ps.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "format/json.h"

#define PROC_FILE_MAX  (64u << 10)
#define NAMES_FILE_MAX (16u << 20)
#define TREE_DEPTH_MAX 64 /* drawn; below it is not indented any further */

/* ---- parsers --------------------------------------------------------------------------------- */
enum { /* fields of `stat` behind the state */
       STAT_PPID,
       STAT_PGRP,
       STAT_SESSION,
       STAT_TTY,
       STAT_TPGID,
       STAT_FLAGS,
       STAT_MINFLT,
       STAT_CMINFLT,
       STAT_MAJFLT,
       STAT_CMAJFLT,
       STAT_UTIME,
       STAT_STIME,
       STAT_CUTIME,
       STAT_CSTIME,
       STAT_PRIORITY,
       STAT_NICE,
       STAT_THREADS,
       STAT_ITREALVALUE,
       STAT_START,
       STAT_VSIZE,
       STAT_RSS,
       STAT_RSSLIM,
       STAT_CODE_START,
       STAT_CODE_END,
       STAT_STACK_START,
       STAT_ESP,
       STAT_EIP,
       STAT_SIGNAL,
       STAT_BLOCKED,
       STAT_IGNORED,
       STAT_CAUGHT,
       STAT_WCHAN,
       STAT_NSWAP,
       STAT_CNSWAP,
       STAT_EXIT_SIGNAL,
       STAT_PROCESSOR,
       STAT_RT_PRIORITY,
       STAT_POLICY,
       STAT_COUNT,
};

int ps_stat_parse(const char *text, struct ps_process *p) {
    const char *open = strchr(text, '('), *close = strrchr(text, ')'), *at;
    uint64_t v[STAT_COUNT];
    size_t len;

    /* The name may hold anything, brackets and blanks too: what counts is the last bracket. */
    if (!open || !close || close < open || close[1] != ' ' || close[2] == '\0')
        return -EINVAL;
    at = close + 3;
    for (size_t i = 0; i < STAT_COUNT; i++) {
        char *end;

        v[i] = strtoull(at, &end, 10); /* negative ones wrap, and wrap back below */
        if (end == at)
            return -EINVAL;
        at = end;
    }
    len = (size_t)(close - open - 1);
    if (len >= sizeof p->comm)
        len = sizeof p->comm - 1;
    memcpy(p->comm, open + 1, len);
    p->comm[len] = '\0';
    p->state = close[2];
    p->ppid = (int64_t)v[STAT_PPID];
    p->pgrp = (int64_t)v[STAT_PGRP];
    p->session = (int64_t)v[STAT_SESSION];
    p->tty = (int64_t)v[STAT_TTY];
    p->tpgid = (int64_t)v[STAT_TPGID];
    p->flags = v[STAT_FLAGS];
    p->minflt = v[STAT_MINFLT];
    p->majflt = v[STAT_MAJFLT];
    p->cpu_ticks = v[STAT_UTIME] + v[STAT_STIME];
    p->priority = (int64_t)v[STAT_PRIORITY];
    p->nice = (int64_t)v[STAT_NICE];
    p->threads = (int64_t)v[STAT_THREADS];
    p->start_ticks = v[STAT_START];
    p->vsize = v[STAT_VSIZE];
    p->rss_pages = v[STAT_RSS];
    p->code_start = v[STAT_CODE_START];
    p->code_end = v[STAT_CODE_END];
    p->processor = (int64_t)v[STAT_PROCESSOR];
    p->rt_priority = (int64_t)v[STAT_RT_PRIORITY];
    p->policy = (int64_t)v[STAT_POLICY];
    return 0;
}

static void parse_ids(const char *s, uint32_t ids[static PS_IDS]) {
    for (int i = 0; i < PS_IDS; i++) {
        char *end;
        unsigned long v = strtoul(s, &end, 10);

        if (end == s)
            return;
        ids[i] = (uint32_t)v;
        s = end;
    }
}

void ps_status_parse(const char *text, struct ps_process *p) {
    static const char *const masks[] = {"SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:"};
    uint64_t *const values[] = {&p->pending, &p->pending, &p->blocked, &p->ignored, &p->caught};

    p->pending = 0; /* of the thread and of the process */
    for (const char *line = text; line && *line;) {
        const char *v, *end = strchr(line, '\n');

        if ((v = str_after(line, "Uid:"))) {
            parse_ids(v, p->uids);
        } else if ((v = str_after(line, "Gid:"))) {
            parse_ids(v, p->gids);
        } else if ((v = str_after(line, "VmLck:"))) {
            p->locked_kib = strtoull(v, NULL, 10);
        } else if ((v = str_after(line, "VmData:"))) {
            p->data_kib = strtoull(v, NULL, 10);
        } else if ((v = str_after(line, "VmStk:"))) {
            p->stack_kib = strtoull(v, NULL, 10);
        } else if ((v = str_after(line, "Groups:"))) {
            free(p->groups);
            p->groups = xstrndup(v, end ? (size_t)(end - v) : strlen(v));
        }
        for (size_t i = 0; i < sizeof masks / sizeof *masks; i++)
            if ((v = str_after(line, masks[i])))
                *values[i] = (i == 1 ? *values[i] : 0) | strtoull(v, NULL, 16);
        line = end ? end + 1 : NULL;
    }
}

void ps_process_done(struct ps_process *p) {
    free(p->groups);
    p->groups = NULL;
}

int ps_id_map_parse(const char *text, struct ps_id_map *ret) {
    struct ps_id_map m = {0};
    struct ps_id_range r;
    int used;

    while (sscanf(text, "%" SCNu32 " %" SCNu32 " %" SCNu32 " %n", &r.inside, &r.outside, &r.count,
                  &used) == 3) {
        m.ranges = xreallocarray(m.ranges, m.count + 1, sizeof *m.ranges);
        m.ranges[m.count++] = r;
        text += used;
    }
    if (*text) {
        free(m.ranges);
        return -EINVAL;
    }
    *ret = m;
    return 0;
}

uint32_t ps_id_inside(const struct ps_id_map *m, uint32_t outside) {
    for (size_t i = 0; i < m->count; i++) {
        const struct ps_id_range *r = &m->ranges[i];

        if (outside >= r->outside && outside - r->outside < r->count)
            return r->inside + (outside - r->outside);
    }
    return outside;
}

/* As getpwuid, the first entry of a number counts. */
void ps_names_parse(const char *text, struct map *ret) {
    while (*text) {
        size_t len = strcspn(text, "\n"), name = strcspn(text, ":\n");
        const char *colon =
            name > 0 && name < len ? memchr(text + name + 1, ':', len - name - 1) : NULL;

        if (colon) {
            size_t digits = strspn(colon + 1, "0123456789");
            char number[16];

            if (digits > 0 && digits < sizeof number && colon[1 + digits] == ':') {
                memcpy(number, colon + 1, digits);
                number[digits] = '\0';
                if (!map_get(ret, number))
                    map_put(ret, number, xstrndup(text, name));
            }
        }
        text += len + (text[len] == '\n');
    }
}

/* ---- what all processes have in common ------------------------------------------------------- */
static int read_map(pid_t init, const char *file, struct ps_id_map *ret) {
    auto_buf text = {.max = PROC_FILE_MAX};
    char path[64];
    int r;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)init, file);
    r = io_read_file_at(AT_FDCWD, path, &text);
    return r < 0 ? r : ps_id_map_parse(buf_str(&text), ret);
}

/* Without the file there are numbers. */
static void read_names(const char *path, struct map *ret) {
    auto_buf text = {.max = NAMES_FILE_MAX};

    if (io_read_file_at(AT_FDCWD, path, &text) == 0)
        ps_names_parse(buf_str(&text), ret);
}

static int host_read(struct ps_host *h, bool names, pid_t init, struct err *e) {
    struct timespec boot;
    int r;

    *h = (struct ps_host){.hz = sysconf(_SC_CLK_TCK),
                          .page_kib = (uint64_t)sysconf(_SC_PAGESIZE) / 1024,
                          .now_ns = clock_real_ns()};
    h->memory_kib = (uint64_t)sysconf(_SC_PHYS_PAGES) * h->page_kib;
    if (h->hz <= 0 || h->page_kib == 0)
        return err_sys(e, EINVAL, "ps: sysconf");
    if (clock_gettime(CLOCK_BOOTTIME, &boot) < 0)
        return err_sys(e, errno, "ps: clock");
    h->boot_ns = boot.tv_sec * NS_PER_SEC + boot.tv_nsec;
    if ((r = read_map(init, "uid_map", &h->uids)) < 0 ||
        (r = read_map(init, "gid_map", &h->gids)) < 0)
        return err_sys(e, r, "ps: id map of process %d", (int)init);
    if (names) {
        read_names("/etc/passwd", &h->users);
        read_names("/etc/group", &h->groups);
    }
    return 0;
}

void ps_host_done(struct ps_host *h) {
    free(h->uids.ranges);
    free(h->gids.ranges);
    map_clear(&h->users, free);
    map_clear(&h->groups, free);
    map_done(&h->users);
    map_done(&h->groups);
    *h = (struct ps_host){0};
}

/* ---- one process ----------------------------------------------------------------------------- */
/* p->fd, pid and tid are set. Negative: it has gone. */
static int process_read(struct ps_process *p) {
    auto_buf text = {.max = PROC_FILE_MAX};
    int r = io_read_file_at(p->fd, "stat", &text);

    if (r == 0)
        r = ps_stat_parse(buf_str(&text), p);
    buf_clear(&text);
    if (r == 0)
        r = io_read_file_at(p->fd, "status", &text);
    if (r == 0)
        ps_status_parse(buf_str(&text), p);
    return r;
}

/* ---- parents and children -------------------------------------------------------------------- */
struct node {
    pid_t pid, ppid;
    ssize_t parent, child, sibling; /* indices; -1: none */
    unsigned depth;
    bool done;
};

static int by_pid(const void *a, const void *b) {
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

    return (x > y) - (x < y);
}

static pid_t parent_of(int proc, pid_t pid) {
    auto_buf text = {.max = PROC_FILE_MAX};
    struct ps_process p = {.fd = -1};
    char path[32];

    snprintf(path, sizeof path, "%d/stat", (int)pid);
    if (io_read_file_at(proc, path, &text) < 0 || ps_stat_parse(buf_str(&text), &p) < 0)
        return 0;
    return (pid_t)p.ppid;
}

/* pids are sorted, so siblings are as well. */
static struct node *nodes_read(int proc, const pid_t *pids, size_t count) {
    struct node *nodes = xcalloc(count + 1, sizeof *nodes);

    for (size_t i = 0; i < count; i++)
        nodes[i] = (struct node){.pid = pids[i],
                                 .ppid = parent_of(proc, pids[i]),
                                 .parent = -1,
                                 .child = -1,
                                 .sibling = -1};
    for (size_t i = count; i-- > 0;) {
        struct node *n = &nodes[i];
        const pid_t *found = bsearch(&n->ppid, pids, count, sizeof *pids, by_pid);

        if (!found || n->ppid == n->pid)
            continue;
        n->parent = found - pids;
        n->sibling = nodes[n->parent].child;
        nodes[n->parent].child = (ssize_t)i;
    }
    return nodes;
}

static ssize_t not_done(const struct node *nodes, ssize_t i) {
    while (i >= 0 && nodes[i].done)
        i = nodes[i].sibling;
    return i;
}

/* The process that comes after `i` below `root`, or -1. */
static ssize_t node_after(struct node *nodes, ssize_t i, ssize_t root) {
    ssize_t next = not_done(nodes, nodes[i].child);

    while (next < 0 && i != root) {
        next = not_done(nodes, nodes[i].sibling);
        i = nodes[i].parent;
    }
    if (next >= 0)
        nodes[next].depth = nodes[nodes[next].parent].depth + 1;
    return next;
}

/* "|   \_ ": lines for the ancestors that have further children. */
static void draw(const struct node *nodes, ssize_t i, struct buf *out) {
    bool more[TREE_DEPTH_MAX] = {false};
    unsigned depth = nodes[i].depth < TREE_DEPTH_MAX ? nodes[i].depth : TREE_DEPTH_MAX - 1;
    unsigned d = depth;

    buf_clear(out);
    if (depth == 0)
        return;
    for (ssize_t at = nodes[i].parent; at >= 0 && d > 0; at = nodes[at].parent)
        more[--d] = nodes[at].sibling >= 0;
    for (d = 1; d < depth; d++)
        buf_puts(out, more[d] ? "|   " : "    ");
    buf_puts(out, "\\_ ");
}

/* ---- the table ------------------------------------------------------------------------------- */
struct row_key {
    double number;
    char *text; /* NULL: the number counts */
};
struct row {
    char *json;
    struct row_key *keys;
};
struct table {
    const struct ps_format *format;
    struct ps_host host;
    int proc;
    struct jw *w;
    struct row *rows; /* when they are to be sorted */
    size_t n_rows, cap, bytes;
};

static void emit_row(const struct table *t, const struct ps_process *p, struct jw *w) {
    auto_buf cell = BUF_INIT;

    jw_array(w);
    for (size_t i = 0; i < t->format->n_cells; i++) {
        const struct ps_cell_format *c = &t->format->cells[i];

        buf_clear(&cell);
        ps_column_print(c->column, c->width, t->format, &t->host, p, &cell);
        jw_str(w, buf_str(&cell));
    }
    jw_end_array(w);
}

static void keep_row(struct table *t, const struct ps_process *p) {
    const struct ps_format *f = t->format;
    struct buf b = BUF_INIT;
    struct row *row;
    struct jw w;

    jw_init(&w, &b);
    emit_row(t, p, &w);
    if (t->n_rows == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->rows = xreallocarray(t->rows, t->cap, sizeof *t->rows);
    }
    row = &t->rows[t->n_rows++];
    t->bytes += b.len;
    row->json = buf_take(&b);
    row->keys = xcalloc(f->n_sort, sizeof *row->keys);
    for (size_t i = 0; i < f->n_sort; i++) {
        struct buf text = BUF_INIT;

        if (ps_column_order(f->sort[i].column, f, &t->host, p, &row->keys[i].number))
            continue;
        ps_column_print(f->sort[i].column, 0, f, &t->host, p, &text);
        row->keys[i].text = buf_take(&text);
    }
}

static int compare_rows(const void *a, const void *b, void *arg) {
    const struct row *x = a, *y = b;
    const struct ps_format *f = arg;

    for (size_t i = 0; i < f->n_sort; i++) {
        const struct row_key *k = &x->keys[i], *l = &y->keys[i];
        int order =
            k->text ? strcmp(k->text, l->text) : (k->number > l->number) - (k->number < l->number);

        if (order != 0)
            return f->sort[i].reverse ? -order : order;
    }
    return 0;
}

static void table_done(struct table *t) {
    for (size_t i = 0; i < t->n_rows; i++) {
        for (size_t k = 0; k < t->format->n_sort; k++)
            free(t->rows[i].keys[k].text);
        free(t->rows[i].keys);
        free(t->rows[i].json);
    }
    free(t->rows);
    ps_host_done(&t->host);
}

static void add_row(struct table *t, int dir, pid_t pid, pid_t tid, char *tree) {
    struct ps_process p = {.fd = dir, .pid = pid, .tid = tid, .tree = tree};

    if (process_read(&p) == 0) { /* else it has gone */
        if (t->format->n_sort > 0 && !t->format->tree)
            keep_row(t, &p);
        else
            emit_row(t, &p, t->w);
    }
    ps_process_done(&p);
}

static void add_threads(struct table *t, int dir, pid_t pid, char *tree) {
    int fd = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!d) {
        fd_close(fd);
        return;
    }
    while ((entry = readdir(d))) {
        auto_fd task = -1;
        uint64_t tid;

        if (str_to_u64(entry->d_name, &tid) < 0)
            continue;
        task = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (task >= 0)
            add_row(t, task, pid, (pid_t)tid, tree);
    }
    (void)closedir(d); /* read only: nothing to lose */
}

/* False when the answer gets too large. */
static bool add_process(struct table *t, pid_t pid, char *tree) {
    auto_fd dir = -1;
    char name[16];

    snprintf(name, sizeof name, "%d", (int)pid);
    dir = openat(t->proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0 && t->format->threads)
        add_threads(t, dir, pid, tree);
    else if (dir >= 0)
        add_row(t, dir, pid, pid, tree);
    return !t->w->out->failed && t->bytes < BUF_MAX_DEFAULT;
}

static bool add_tree(struct table *t, const pid_t *pids, size_t count) {
    auto_free struct node *nodes = nodes_read(t->proc, pids, count);
    auto_buf line = BUF_INIT;

    /* Twice: a parent that ended while it was read may leave a ring, which has no root. */
    for (int pass = 0; pass < 2; pass++)
        for (size_t root = 0; root < count; root++) {
            if (nodes[root].done || (pass == 0 && nodes[root].parent >= 0))
                continue;
            nodes[root].parent = -1;
            for (ssize_t i = (ssize_t)root; i >= 0; i = node_after(nodes, i, (ssize_t)root)) {
                nodes[i].done = true;
                draw(nodes, i, &line);
                if (!add_process(t, nodes[i].pid, t->format->forest ? line.data : NULL))
                    return false;
            }
        }
    return true;
}

static bool add_flat(struct table *t, const pid_t *pids, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!add_process(t, pids[i], NULL))
            return false;
    return true;
}

int ps_list(const struct ps_format *f, pid_t init, const pid_t *pids, size_t count, struct buf *ret,
            struct err *e) {
    auto_free pid_t *sorted = xmemdup(pids, count * sizeof *pids);
    auto_fd proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct table t = {.format = f, .proc = proc};
    struct jw w;
    bool fits;
    int r;

    if (proc < 0)
        return err_sys(e, errno, "ps: open /proc");
    r = host_read(&t.host, !f->numbers, init, e);
    if (r < 0) {
        table_done(&t);
        return r;
    }
    if (count > 0)
        qsort(sorted, count, sizeof *sorted, by_pid);
    jw_init(&w, ret);
    t.w = &w;
    jw_object(&w);
    jw_key(&w, "Processes");
    jw_array(&w);
    fits = f->tree ? add_tree(&t, sorted, count) : add_flat(&t, sorted, count);
    if (t.n_rows > 0)
        qsort_r(t.rows, t.n_rows, sizeof *t.rows, compare_rows, (void *)f);
    for (size_t i = 0; i < t.n_rows; i++)
        jw_raw(&w, t.rows[i].json);
    jw_end_array(&w);
    jw_key(&w, "Titles");
    jw_array(&w);
    for (size_t i = 0; i < f->n_cells; i++)
        jw_str(&w, f->cells[i].title);
    jw_end_array(&w);
    jw_end_object(&w);
    table_done(&t);
    if (!fits || ret->failed) {
        buf_clear(ret);
        return err_set(e, ERR_TOO_LARGE, "the list of processes is too large");
    }
    return 0;
}
