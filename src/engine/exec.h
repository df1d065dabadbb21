/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Commands run in a running container. Loop thread. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/list.h"
#include "engine/container.h"
#include "format/field.h"

struct exec_config {
    bool attach_stdin, attach_stdout, attach_stderr, tty, privileged, detach;
    char *detach_keys, *user, *working_dir;
    char **env, **cmd;
    struct uint_list console_size; /* height, width */
};
extern const struct field_table exec_config_table;

struct exec {
    struct engine *engine;
    char id[ID_LEN + 1];
    char container_id[ID_LEN + 1];
    struct exec_config config;
    bool started, running, abandoned;
    int64_t pid, exit_code; /* exit_code: meaningful with has_exit */
    bool has_exit;
    int pidfd;
    struct monitor_link *link;
    uint64_t next_client;
    void (*on_start)(void *arg, struct err *e);
    void *on_start_arg;
    void (*on_exit)(void *arg, int64_t code);
    void *on_exit_arg;
    struct loop_timer *forget_timer;
};

/* config is moved. name: the container as its user called it, for errors. */
int exec_create(struct container *c, const char *name, struct exec_config *config,
                struct exec **ret, struct err *e);
struct exec *exec_find(struct engine *eng, const char *id, struct err *e);

/* ERR_CONFLICT in Docker's words when it cannot be started (any more): to be asked before the
 * connection is taken over. */
int exec_check_start(struct exec *x, struct err *e);

struct exec_start_options {
    bool detach, tty;
    int rows, cols;               /* 0: unknown */
    struct attach_request attach; /* fd -1 when detached; moved in any case */
};
/* done when the process runs (or could not be started). */
void exec_start(struct exec *x, struct exec_start_options *o,
                void (*done)(void *arg, struct err *e), void *arg);
/* One call at the end of the process; at once when it has ended. */
void exec_on_exit(struct exec *x, void (*cb)(void *arg, int64_t code), void *arg);
int exec_resize(struct exec *x, int rows, int cols, struct err *e);
int exec_kill(struct exec *x, int sig);
/* Forgets the callbacks and ends the process, now or as soon as it has started. */
void exec_abandon(struct exec *x);
/* The container is being removed. */
void exec_drop_all(struct container *c);
/* Ids of the container's execs, for inspect: a strv or NULL. */
char **exec_ids(const struct container *c);
