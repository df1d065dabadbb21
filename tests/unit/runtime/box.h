/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Containers for real: a spawner, a monitor, a root file system with one static program. Needs
 * root, mounts and FENCE_SPAWNER, FENCE_MONITOR and FENCE_PROBE, which name the programs. What goes
 * wrong fails the test that is running.
 */
#include <stdbool.h>

#include "base/buf.h"
#include "runtime/spawn_client.h"

#define BASE_ID 1700000000u /* far above what a host gives to people */

extern char work[64]; /* a directory for this run */
extern struct spawner spawner;

/* False: the caller ends with 77, skipped. */
bool box_possible(void);
int box_group_setup(void **state);
int box_group_teardown(void **state);
void run_command(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct box {
    struct rt_request req;
    struct spawn_joins joins;
    int conn, client;
    bool started;
    int status; /* of the exit; -1: failed */
    int pid;
    char *error; /* of FAILED */
    struct buf out;
};

/* A request with Docker's usual mounts; the arguments are those of /bin/probe, separated by '|'. */
void box_init(struct box *b, bool userns, const char *args);
void box_done(struct box *b);
void box_send(struct box *b);
/* Until STARTED or the end. */
void box_wait(struct box *b, bool only_start);
void box_run(struct box *b);
void assert_no_cgroup(const struct box *b);
/* Run it, compare, free it. */
void expect_output(struct box *b, const char *want);
void expect_error(struct box *b, const char *want);
