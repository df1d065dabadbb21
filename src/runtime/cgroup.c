/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/cgroup_private.h"

const char *cgroup_errno_text(int errnum, char *out, size_t size) {
    const char *s = strerrordesc_np(errnum < 0 ? -errnum : errnum);

    (void)snprintf(out, size, "%s", s ? s : "unknown error");
    out[0] = (char)tolower((unsigned char)out[0]);
    return out;
}

void cgroup_init(struct cgroup *c) {
    *c = (struct cgroup){0};
    for (size_t i = 0; i < CGROUPFS_HIERARCHIES_MAX; i++)
        c->fds[i] = -1;
}

void cgroup_done(struct cgroup *c) {
    for (size_t i = 0; i < CGROUPFS_HIERARCHIES_MAX; i++)
        fd_close(c->fds[i]);
    free(c->path);
    cgroup_init(c);
}

int cgroup_put(const struct cgroup *c, enum cgroupfs_controller ctl, const char *file,
               const char *text, struct err *e) {
    int fd = cgroup_fd(c, ctl), r;
    char reason[64];

    if (fd < 0)
        return err_set(e, ERR_SYSTEM,
                       "cannot set %s limit: container could not join or create cgroup",
                       cgroupfs_controller_name(ctl, 1));
    r = cgroupfs_write(fd, file, text);
    if (r == 0)
        return 0;
    (void)err_set(e, ERR_SYSTEM, "failed to write \"%s\": %s %s%s/%s: %s", text,
                  r == -ENOENT ? "open" : "write",
                  c->host->hierarchies[c->host->by_controller[ctl]].path, c->path, file,
                  cgroup_errno_text(r, reason, sizeof reason));
    if (e)
        e->errnum = -r;
    return r;
}

int cgroup_put_i64(const struct cgroup *c, enum cgroupfs_controller ctl, const char *file,
                   int64_t v, struct err *e) {
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRId64, v);
    return cgroup_put(c, ctl, file, text, e);
}

static int check_path(const struct cgroupfs_host *host, const char *path, struct err *e) {
    if (host->version == 0)
        return err_set(e, ERR_SYSTEM, "no cgroup mount found in mountinfo");
    if (!cgroup_path_is_valid(path))
        return err_set(e, ERR_INVALID, "invalid cgroup path: \"%s\"", str_or_empty(path));
    return 0;
}

static void cgroup_start(struct cgroup *c, const struct cgroupfs_host *host, const char *path) {
    cgroup_init(c);
    c->host = host;
    c->manager = host->version == 2 ? &cgroup_manager_v2 : &cgroup_manager_v1;
    c->path = xstrdup(path);
}

static int count_pid(pid_t pid, void *arg) {
    (void)pid;
    ++*(unsigned *)arg;
    return 0;
}

/* A new directory: one that was left over would bring its old limits. */
static int make_dir(const struct cgroupfs_hierarchy *h, const char *rel, struct err *e) {
    char reason[64];
    bool created = false;
    int r = cgroupfs_mkdirs(h->fd, rel, &created);

    if (r == 0 && !created) {
        r = cgroupfs_rmdirs(h->fd, rel);
        if (r == 0)
            r = cgroupfs_mkdirs(h->fd, rel, &created);
        if (r == -EBUSY || r == -ENOTEMPTY) {
            auto_fd fd = openat(h->fd, rel, O_PATH | O_DIRECTORY | O_CLOEXEC);
            unsigned n = 0;

            if (fd >= 0)
                (void)cgroupfs_each_pid(fd, count_pid, &n); /* the number is for the text only */
            return err_set(e, ERR_CONFLICT, "container's cgroup is not empty: %u process(es) found",
                           n);
        }
    }
    if (r < 0) {
        (void)err_set(e, ERR_SYSTEM, "mkdir %s/%s: %s", h->path, rel,
                      cgroup_errno_text(r, reason, sizeof reason));
        if (e)
            e->errnum = -r;
    }
    return r;
}

int cgroup_create(const struct cgroupfs_host *host, const char *path, struct cgroup *ret,
                  struct err *e) {
    auto_cgroup c;
    size_t made = 0;
    int r;

    cgroup_init(&c);
    r = check_path(host, path, e);
    if (r < 0)
        return r;
    cgroup_start(&c, host, path);
    for (; made < host->count; made++) {
        const struct cgroupfs_hierarchy *h = &host->hierarchies[made];

        r = make_dir(h, path + 1, e);
        if (r < 0)
            goto fail;
        c.fds[made] = openat(h->fd, path + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (c.fds[made] < 0) {
            r = err_sys(e, errno, "open %s%s", h->path, path);
            made++;
            goto fail;
        }
    }
    r = c.manager->prepare(&c, e);
    if (r < 0)
        goto fail;
    *ret = c;
    cgroup_init(&c);
    return 0;

fail:
    /* The first error is the one to tell; an empty new directory can always be removed. */
    for (size_t i = 0; i < made; i++)
        (void)cgroupfs_rmdirs(host->hierarchies[i].fd, path + 1);
    return r;
}

int cgroup_open(const struct cgroupfs_host *host, const char *path, struct cgroup *ret,
                struct err *e) {
    auto_cgroup c;
    bool any = false;
    int r;

    cgroup_init(&c);
    r = check_path(host, path, e);
    if (r < 0)
        return r;
    cgroup_start(&c, host, path);
    for (size_t i = 0; i < host->count; i++) {
        c.fds[i] = openat(host->hierarchies[i].fd, path + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (c.fds[i] >= 0)
            any = true;
        else if (errno != ENOENT)
            return err_sys(e, errno, "open %s%s", host->hierarchies[i].path, path);
    }
    if (!any)
        return err_set(e, ERR_NOT_FOUND, "no such cgroup: %s", path);
    *ret = c;
    cgroup_init(&c);
    return 0;
}

int cgroup_apply(struct cgroup *c, const struct oci_resources *r, bool in_userns, struct err *e) {
    return r ? c->manager->apply(c, r, in_userns, false, e) : 0;
}

int cgroup_update(struct cgroup *c, const struct oci_resources *r, struct err *e) {
    return r ? c->manager->apply(c, r, false, true, e) : 0;
}

int cgroup_join_open(const struct cgroup *c, struct cgroup_join *ret, struct err *e) {
    struct cgroup_join j = {.version = c->host->version};

    for (size_t i = 0; i < c->host->count; i++) {
        int fd;

        if (c->fds[i] < 0)
            continue;
        if (j.version == 2)
            fd = openat(c->fds[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        else
            fd = openat(c->fds[i], "tasks", O_WRONLY | O_CLOEXEC);
        if (fd < 0) {
            int r = err_sys(e, errno, "open %s%s", c->host->hierarchies[i].path, c->path);

            cgroup_join_done(&j);
            return r;
        }
        j.fds[j.count++] = fd;
    }
    *ret = j;
    return 0;
}

void cgroup_join_done(struct cgroup_join *j) {
    for (size_t i = 0; i < j->count; i++)
        fd_close(j->fds[i]);
    *j = (struct cgroup_join){0};
}

int cgroup_join_self(const struct cgroup_join *j) {
    for (size_t i = 0; i < j->count; i++) {
        int fd = j->fds[i];
        ssize_t n;

        if (j->version == 2) {
            fd = openat(j->fds[i], "cgroup.procs", O_WRONLY | O_CLOEXEC);
            if (fd < 0)
                return -errno;
        }
        do
            n = write(fd, "0", 1);
        while (n < 0 && errno == EINTR);
        if (j->version == 2)
            fd_close(fd);
        if (n != 1)
            return n < 0 ? -errno : -EIO;
    }
    return 0;
}

char **cgroup_dirs(const struct cgroup *c) {
    int memory = c->host->by_controller[CGROUPFS_MEMORY];
    char **dirs = NULL;

    if (memory >= 0 && c->fds[memory] >= 0)
        strv_take(&dirs, xasprintf("%s%s", c->host->hierarchies[memory].path, c->path));
    for (size_t i = 0; i < c->host->count; i++)
        if ((int)i != memory && c->fds[i] >= 0)
            strv_take(&dirs, xasprintf("%s%s", c->host->hierarchies[i].path, c->path));
    return dirs;
}

int cgroup_freeze(struct cgroup *c, bool freeze, struct err *e) {
    return c->manager->freeze(c, freeze, e);
}

int cgroup_is_frozen(const struct cgroup *c, bool *ret) {
    return c->manager->is_frozen(c, ret);
}

/* The hierarchy whose membership speaks for the container. */
static int members_fd(const struct cgroup *c) {
    static const enum cgroupfs_controller order[] = {
        CGROUPFS_FREEZER, CGROUPFS_PIDS, CGROUPFS_MEMORY, CGROUPFS_DEVICES, CGROUPFS_SYSTEMD};

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (cgroup_fd(c, order[i]) >= 0)
            return cgroup_fd(c, order[i]);
    for (size_t i = 0; i < c->host->count; i++)
        if (c->fds[i] >= 0)
            return c->fds[i];
    return -1;
}

struct pid_vector {
    pid_t *pids;
    size_t count, cap;
};

static int add_pid(pid_t pid, void *arg) {
    struct pid_vector *v = arg;

    if (v->count == CGROUP_PIDS_MAX)
        return -E2BIG;
    if (v->count == v->cap) {
        v->cap = v->cap ? v->cap * 2 : 64;
        v->pids = xreallocarray(v->pids, v->cap, sizeof *v->pids);
    }
    v->pids[v->count++] = pid;
    return 0;
}

static int pids_below(int fd, unsigned depth, struct pid_vector *v) {
    struct dirent *de;
    auto_dir *d = NULL;
    int r;

    r = cgroupfs_each_pid(fd, add_pid, v);
    /* A threaded group of v2 (-EOPNOTSUPP) has its processes in the domain above. */
    if (r < 0 && r != -EOPNOTSUPP)
        return r;
    if (depth > 64)
        return -ELOOP;
    r = io_open_dir(fd, &d);
    while (r == 0 && (de = readdir(d))) {
        if (de->d_type != DT_DIR || strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
            continue;
        auto_fd sub = openat(fd, de->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (sub < 0)
            continue; /* removed meanwhile */
        r = pids_below(sub, depth + 1, v);
        if (r == -ENOENT || r == -ENODEV)
            r = 0;
    }
    return r;
}

int cgroup_pids(const struct cgroup *c, pid_t **ret_pids, size_t *ret_count, struct err *e) {
    struct pid_vector v = {0};
    int r, fd = members_fd(c);

    if (fd < 0)
        return err_set(e, ERR_NOT_FOUND, "no such cgroup: %s", c->path);
    r = pids_below(fd, 0, &v);
    if (r < 0) {
        free(v.pids);
        return err_sys(e, r, "read processes of cgroup %s", c->path);
    }
    *ret_pids = v.pids;
    *ret_count = v.count;
    return 0;
}

int cgroup_kill_all(struct cgroup *c, struct err *e) {
    auto_free pid_t *pids = NULL;
    size_t count = 0;
    bool frozen = false;
    int r = c->manager->kill_at_once(c);

    if (r == 0)
        return 0;
    if (r != -EOPNOTSUPP)
        return err_sys(e, r, "kill processes of cgroup %s", c->path);
    /* Frozen processes cannot fork away from the list. One that was paused stays killable too: the
     * thaw delivers the signal. */
    frozen = c->manager->freeze(c, true, NULL) == 0;
    r = cgroup_pids(c, &pids, &count, e);
    for (size_t i = 0; r == 0 && i < count; i++)
        (void)kill(pids[i], SIGKILL); /* gone already: ESRCH */
    if (frozen || r == 0) {
        struct err ignored = ERR_INIT;

        if (c->manager->freeze(c, false, &ignored) < 0 && r == 0 && frozen) {
            err_move(e, &ignored);
            r = -EIO;
        }
        err_done(&ignored);
    }
    return r;
}

int cgroup_remove(struct cgroup *c, int timeout_ms, struct err *e) {
    auto_strv dirs = cgroup_dirs(c);
    int r = cgroup_remove_dirs(dirs, timeout_ms);

    return r < 0 ? err_sys(e, r, "unable to remove cgroup %s", c->path) : 0;
}
