/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is run: Docker's container.Config. One type serves an image's "config" member and a
 * container's configuration, as in Docker, so a commit or a build writes back what a create read.
 */
#include <stdbool.h>
#include <stdint.h>

#include "format/field.h"

/* Durations in nanoseconds; 0: inherit (default). Test: NULL or empty inherits, {"NONE"} disables,
 * {"CMD", args...} or {"CMD-SHELL", command}. */
struct health_config {
    char **test;
    int64_t interval, timeout, start_period, start_interval, retries;
};

struct container_config {
    char *hostname, *domainname;
    char *user; /* "", "1000", "name", "1000:1000", "name:group" */
    bool attach_stdin, attach_stdout, attach_stderr;
    struct strmap exposed_ports; /* "80/tcp" */
    bool tty, open_stdin, stdin_once;
    char **env;
    char **cmd; /* NULL: not given; an empty vector is given and empty */
    struct health_config *healthcheck;
    bool args_escaped;
    char *image;           /* as the user named it */
    struct strmap volumes; /* destination paths */
    char *working_dir;
    char **entrypoint;
    bool network_disabled;
    char *mac_address;
    char **on_build;
    struct strmap labels;
    char *stop_signal;           /* "SIGTERM", "15" */
    struct opt_int stop_timeout; /* seconds; -1: wait for ever */
    char **shell;
};

/* As dockerd prints a container's Config. */
extern const struct field_table container_config_table;
/* As image JSON and image inspect print it: no labels are null. Same struct. */
extern const struct field_table image_exec_config_table;
extern const struct field_table health_config_table;
