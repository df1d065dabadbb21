/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/options.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

enum option_kind {
    OPTION_FD,   /* int, -1 is not written */
    OPTION_INT,  /* int64_t, 0 is not written */
    OPTION_FLAG, /* bool, written without a value */
    OPTION_TEXT, /* char *, NULL is not written */
    OPTION_LIST, /* char **, one option an element */
};

struct option_def {
    const char *name;
    enum option_kind kind;
    size_t offset;
};

#define OPTION(name, kind, member)                                                                 \
    { name, kind, offsetof(struct monitor_options, member) }

static const struct option_def option_table[] = {
    OPTION("exec-id", OPTION_TEXT, exec_id),
    OPTION("conn", OPTION_FD, conn_fd),
    OPTION("listen", OPTION_FD, listen_fd),
    OPTION("state-dir", OPTION_FD, state_dir_fd),
    OPTION("pidfd", OPTION_FD, pidfd),
    OPTION("pid", OPTION_INT, pid),
    OPTION("start-time", OPTION_INT, start_time),
    OPTION("stdin", OPTION_FD, stdin_fd),
    OPTION("stdout", OPTION_FD, stdout_fd),
    OPTION("stderr", OPTION_FD, stderr_fd),
    OPTION("tty", OPTION_FD, tty_fd),
    OPTION("open-stdin", OPTION_FLAG, open_stdin),
    OPTION("stdin-once", OPTION_FLAG, stdin_once),
    OPTION("overlay", OPTION_FD, overlay_fd),
    OPTION("seccomp", OPTION_FD, seccomp_fd),
    OPTION("mknod-allow", OPTION_TEXT, mknod_allow),
    OPTION("log-driver", OPTION_TEXT, log_driver),
    OPTION("log-path", OPTION_TEXT, log_path),
    OPTION("log-max-size", OPTION_INT, log_max_size),
    OPTION("log-max-file", OPTION_INT, log_max_file),
    OPTION("log-compress", OPTION_FLAG, log_compress),
    OPTION("log-attrs", OPTION_TEXT, log_attrs),
    OPTION("cgroup-remove", OPTION_LIST, cgroup_remove),
    OPTION("cgroup-memory", OPTION_TEXT, cgroup_memory),
};
#define OPTION_COUNT (sizeof option_table / sizeof option_table[0])

void monitor_options_init(struct monitor_options *o) {
    *o = (struct monitor_options){0};
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (option_table[i].kind == OPTION_FD)
            *(int *)((char *)o + option_table[i].offset) = -1;
    }
}

void monitor_options_done(struct monitor_options *o) {
    free(o->id);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        void *at = (char *)o + option_table[i].offset;

        if (option_table[i].kind == OPTION_TEXT)
            free(*(char **)at);
        else if (option_table[i].kind == OPTION_LIST)
            strv_free(*(char ***)at);
    }
    monitor_options_init(o);
}

char **monitor_argv(const struct monitor_options *o) {
    char **v = NULL;

    strv_add(&v, "fence-monitor");
    strv_add(&v, str_or_empty(o->id));
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_def *d = &option_table[i];
        const void *at = (const char *)o + d->offset;

        switch (d->kind) {
        case OPTION_FD:
            if (*(const int *)at >= 0)
                strv_take(&v, xasprintf("--%s=%d", d->name, *(const int *)at));
            break;
        case OPTION_INT:
            if (*(const int64_t *)at != 0)
                strv_take(&v, xasprintf("--%s=%lld", d->name, (long long)*(const int64_t *)at));
            break;
        case OPTION_FLAG:
            if (*(const bool *)at)
                strv_take(&v, xasprintf("--%s", d->name));
            break;
        case OPTION_TEXT:
            if (*(char *const *)at)
                strv_take(&v, xasprintf("--%s=%s", d->name, *(char *const *)at));
            break;
        case OPTION_LIST:
            strv_for_each (s, *(char **const *)at)
                strv_take(&v, xasprintf("--%s=%s", d->name, s));
            break;
        }
    }
    return v;
}

static int option_set(struct monitor_options *o, const struct option_def *d, const char *value) {
    void *at = (char *)o + d->offset;
    int64_t n;
    int r;

    if ((d->kind == OPTION_FLAG) != (value == NULL))
        return -EINVAL;
    switch (d->kind) {
    case OPTION_FD:
        r = str_to_i64(value, &n);
        if (r < 0)
            return r;
        if (n < 0 || n > INT_MAX)
            return -EINVAL;
        *(int *)at = (int)n;
        return 0;
    case OPTION_INT:
        return str_to_i64(value, (int64_t *)at);
    case OPTION_FLAG:
        *(bool *)at = true;
        return 0;
    case OPTION_TEXT:
        str_set(at, value);
        return 0;
    case OPTION_LIST:
        strv_add(at, value);
        return 0;
    }
    return -EINVAL;
}

static const struct option_def *option_find(const char *arg, const char **ret_value) {
    const char *name = str_after(arg, "--");
    size_t n;

    if (!name)
        return NULL;
    n = strcspn(name, "=");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(option_table[i].name) == n && strncmp(option_table[i].name, name, n) == 0) {
            *ret_value = name[n] == '=' ? name + n + 1 : NULL;
            return &option_table[i];
        }
    }
    return NULL;
}

int monitor_options_parse(char *const *argv, struct monitor_options *o, const char **ret_what) {
    const char *unused;

    if (!ret_what)
        ret_what = &unused;
    if (!argv[0] || str_empty(argv[1]) || argv[1][0] == '-') {
        *ret_what = "the container id is missing";
        return -EINVAL;
    }
    str_set(&o->id, argv[1]);
    for (char *const *a = argv + 2; *a; a++) {
        const char *value = NULL;
        const struct option_def *d = option_find(*a, &value);

        if (!d || option_set(o, d, value) < 0) {
            *ret_what = *a;
            return -EINVAL;
        }
    }
    if (o->pidfd < 0 || o->pid <= 0 || o->state_dir_fd < 0) {
        *ret_what = "--pidfd, --pid and --state-dir are required";
        return -EINVAL;
    }
    if (o->tty_fd >= 0 && (o->stdin_fd >= 0 || o->stdout_fd >= 0 || o->stderr_fd >= 0)) {
        *ret_what = "--tty excludes --stdin, --stdout and --stderr";
        return -EINVAL;
    }
    return 0;
}
