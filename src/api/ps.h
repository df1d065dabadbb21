/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ps(1) over /proc: its options, its columns, its words for mistakes.
 *
 *   ps_format.c   options -> columns and order
 *   ps_columns.c  the columns: one process -> one cell each
 *   ps_process.c  /proc/PID -> struct ps_process, and the table as JSON
 *
 * Users and groups are those that the container's processes see: an id of the container's user
 * namespace is turned back into the number inside, and that number gets its name from the host's
 * /etc/passwd, as with an engine that maps nothing: root in the container is "root". No NSS.
 *
 * Any thread; nothing here touches the engine.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"

/* ---- options --------------------------------------------------------------------------------- */
struct ps_column;

struct ps_cell_format {
    const struct ps_column *column;
    char *title;    /* owned */
    unsigned width; /* 0: the column's own */
};
struct ps_sort_key {
    const struct ps_column *column;
    bool reverse;
};
struct ps_format {
    struct ps_cell_format *cells;
    size_t n_cells;
    struct ps_sort_key *sort;
    size_t n_sort;
    bool threads;     /* a row a thread */
    bool tree;        /* children after their parents */
    bool forest;      /* ... and drawn as a tree */
    bool names;       /* the kernel's name of the program instead of its arguments */
    bool environment; /* after the arguments */
    bool numbers;     /* no names of users */
};

/* args as `docker top CONTAINER args` has them. ERR_SYSTEM with dockerd's and ps' texts: unknown
 * options and columns, and a list without PID column. */
int ps_format_parse(const char *args, struct ps_format *ret, struct err *e);
void ps_format_done(struct ps_format *f);

/* ---- processes ------------------------------------------------------------------------------- */
#define PS_COMM_MAX 64 /* kernel threads' names are longer than TASK_COMM_LEN */

enum { PS_REAL, PS_EFFECTIVE, PS_SAVED, PS_FILESYSTEM, PS_IDS };
struct ps_process {
    int fd; /* of /proc/PID or /proc/PID/task/TID; borrowed, -1 in tests */
    pid_t pid, tid;
    char comm[PS_COMM_MAX];
    char state;
    int64_t ppid, pgrp, session, tty, tpgid, priority, nice, threads, processor, rt_priority,
        policy;
    uint64_t flags, minflt, majflt, cpu_ticks, start_ticks, vsize, rss_pages, code_start, code_end;
    uint32_t uids[PS_IDS], gids[PS_IDS];
    uint64_t locked_kib, data_kib, stack_kib, pending, blocked, ignored, caught;
    char *groups; /* owned: numbers between blanks */
    char *tree;   /* borrowed: what is drawn before the command, or NULL */
};
/* The text of a `stat` and of a `status` file. -EINVAL. */
int ps_stat_parse(const char *text, struct ps_process *p);
void ps_status_parse(const char *text, struct ps_process *p);
void ps_process_done(struct ps_process *p);

/* A line of uid_map or gid_map. */
struct ps_id_range {
    uint32_t inside, outside, count;
};
struct ps_id_map {
    struct ps_id_range *ranges;
    size_t count;
};
/* What is the same for all processes of a listing. */
struct ps_host {
    long hz;
    uint64_t page_kib, memory_kib;
    int64_t now_ns;  /* wall clock */
    int64_t boot_ns; /* since boot, as start_ticks counts */
    struct ps_id_map uids, gids;
    struct map users, groups; /* "0" -> "root", owned */
};
int ps_id_map_parse(const char *text, struct ps_id_map *ret);
/* An id that is not mapped stays as the host has it. */
uint32_t ps_id_inside(const struct ps_id_map *m, uint32_t outside);
/* passwd or group: numbers and names of the third and first field. */
void ps_names_parse(const char *text, struct map *ret);
void ps_host_done(struct ps_host *h);

/* ---- columns --------------------------------------------------------------------------------- */
/* NULL when there is none of that name. */
const struct ps_column *ps_column_find(const char *name);
const char *ps_column_title(const struct ps_column *c);
void ps_column_print(const struct ps_column *c, unsigned width, const struct ps_format *f,
                     const struct ps_host *h, const struct ps_process *p, struct buf *out);
/* A number to order by, or false when the cell's text decides. */
bool ps_column_order(const struct ps_column *c, const struct ps_format *f, const struct ps_host *h,
                     const struct ps_process *p, double *ret);

/* ---- the table ------------------------------------------------------------------------------- */
/* {"Processes": [[...]], "Titles": [...]} of the processes that are still there. init: the process
 * whose user namespace decides the ids. */
int ps_list(const struct ps_format *f, pid_t init, const pid_t *pids, size_t count, struct buf *ret,
            struct err *e);
