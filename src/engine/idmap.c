/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/str.h"

#define FIRST_DEFAULT (UINT64_C(1) << 28)
#define LAST_ID       (UINT64_C(0xfffffffe)) /* (uid_t)-1 means "none" */

struct range {
    uint64_t start, count;
};

struct idmap {
    int dir;
    struct range pool;    /* ours */
    struct range *others; /* of other users in /etc/subuid and /etc/subgid */
    size_t other_count;
    uint64_t next; /* where the search goes on: a range rests as long as possible */
};

/* "name:start:count" lines. The first entry of `fence` narrows *pool. */
static void read_sub_ids(struct idmap *m, const char *path, struct range *ret_own) {
    auto_buf b = {.max = 1 << 20};
    auto_strv lines = NULL;

    if (io_read_file_at(AT_FDCWD, path, &b) < 0)
        return; /* no such file: nobody has ranges */
    lines = str_split(buf_str(&b), '\n');
    strv_for_each (line, lines) {
        auto_strv f = str_split(line, ':');
        struct range r;

        if (strv_len(f) != 3 || str_to_u64(f[1], &r.start) < 0 || str_to_u64(f[2], &r.count) < 0)
            continue;
        if (str_eq(f[0], "fence")) {
            if (ret_own->count == 0 && r.count >= IDMAP_SIZE)
                *ret_own = r;
            continue;
        }
        m->others = xreallocarray(m->others, m->other_count + 1, sizeof *m->others);
        m->others[m->other_count++] = r;
    }
}

int idmap_open(const char *dir, struct idmap **ret, struct err *e) {
    struct range uids = {0}, gids = {0};
    struct idmap *m;
    int r;

    r = io_mkdir_all(dir, 0755);
    if (r < 0)
        return err_sys(e, r, "cannot make %s", dir);
    m = xnew(struct idmap);
    m->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (m->dir < 0) {
        r = err_sys(e, errno, "cannot open %s", dir);
        free(m);
        return r;
    }
    read_sub_ids(m, "/etc/subuid", &uids);
    read_sub_ids(m, "/etc/subgid", &gids);
    /* One range serves uids and gids, so ours is what both entries have in common. */
    if (uids.count && uids.start == gids.start)
        m->pool = uids.count < gids.count ? uids : gids;
    else
        m->pool = (struct range){FIRST_DEFAULT, LAST_ID - FIRST_DEFAULT};
    m->next = m->pool.start;
    *ret = m;
    return 0;
}

void idmap_close(struct idmap *m) {
    if (!m)
        return;
    fd_close(m->dir);
    free(m->others);
    free(m);
}

static bool is_foreign(const struct idmap *m, uint64_t base) {
    for (size_t i = 0; i < m->other_count; i++)
        if (base < m->others[i].start + m->others[i].count &&
            m->others[i].start < base + IDMAP_SIZE)
            return true;
    return false;
}

/* Whether the lease file at `name` belongs to somebody who still exists. */
static bool is_held(const struct idmap *m, const char *name) {
    auto_buf b = {.max = 4096};
    struct stat st;

    if (io_read_file_at(m->dir, name, &b) < 0)
        return false;
    return stat(buf_str(&b), &st) == 0 || errno != ENOENT;
}

/* 1: taken, 0: held by another, -errno. */
static int try_lease(struct idmap *m, const char *owner, uint64_t base) {
    char name[32];
    int fd, r;

    snprintf(name, sizeof name, "%llu", (unsigned long long)base);
    fd = openat(m->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST && !is_held(m, name)) {
        if (unlinkat(m->dir, name, 0) < 0 && errno != ENOENT)
            return -errno;
        fd = openat(m->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (fd < 0)
        return errno == EEXIST ? 0 : -errno;
    r = io_write_all(fd, owner, strlen(owner));
    fd_close(fd);
    if (r < 0) {
        (void)unlinkat(m->dir, name, 0);
        return r;
    }
    return 1;
}

int idmap_lease(struct idmap *m, const char *owner, uint32_t *ret_base, struct err *e) {
    uint64_t slots = m->pool.count / IDMAP_SIZE;
    int r = 0;

    /* Between "is it stale?" and "take it" no other daemon may do the same. */
    if (flock(m->dir, LOCK_EX) < 0)
        return err_sys(e, errno, "cannot lock the id range leases");
    for (uint64_t i = 0; i < slots; i++) {
        uint64_t base = m->next;

        m->next += IDMAP_SIZE;
        if (m->next + IDMAP_SIZE > m->pool.start + m->pool.count)
            m->next = m->pool.start;
        if (is_foreign(m, base))
            continue;
        r = try_lease(m, owner, base);
        if (r != 0) {
            if (r > 0)
                *ret_base = (uint32_t)base;
            break;
        }
    }
    (void)flock(m->dir, LOCK_UN); /* cannot fail on a lock that is held */
    if (r < 0)
        return err_sys(e, r, "cannot write an id range lease");
    if (r == 0)
        return err_set(
            e, ERR_SYSTEM,
            "no id range is left for the container's user namespace: all %llu are in use",
            (unsigned long long)slots);
    return 0;
}

static bool is_held_by(const struct idmap *m, const char *name, const char *owner) {
    auto_buf b = {.max = 4096};

    return io_read_file_at(m->dir, name, &b) == 0 && str_eq(buf_str(&b), owner);
}

int idmap_pass_on(struct idmap *m, const char *owner, const char *heir, uint32_t base) {
    char name[32];
    int r = 0;

    if (flock(m->dir, LOCK_EX) < 0)
        return -errno;
    snprintf(name, sizeof name, "%u", base);
    if (is_held_by(m, name, owner))
        r = io_replace_file_at(m->dir, name, heir, strlen(heir), 0600);
    (void)flock(m->dir, LOCK_UN); /* cannot fail on a lock that is held */
    return r;
}

void idmap_release(struct idmap *m, const char *owner, uint32_t base) {
    char name[32];

    snprintf(name, sizeof name, "%u", base);
    if (is_held_by(m, name, owner))
        (void)unlinkat(m->dir, name, 0); /* at worst it is found stale later */
}

/* Under the lock: a file without an owner, or of a name that is no number, is what a writer has
 * left who was killed over it. */
static bool is_unfinished(const char *name, const char *owner) {
    uint64_t base;

    return str_empty(owner) || str_to_u64(name, &base) < 0 || base > UINT32_MAX;
}

void idmap_sweep(struct idmap *m, const char *prefix,
                 bool (*held)(void *arg, const char *owner, uint32_t base), void *arg) {
    auto_dir *d = NULL;
    struct dirent *de;

    if (io_open_dir(m->dir, &d) < 0 || flock(m->dir, LOCK_EX) < 0)
        return; /* they are found stale later */
    while ((de = readdir(d))) {
        auto_buf owner = {.max = 4096};

        if (str_eq(de->d_name, ".") || str_eq(de->d_name, "..") ||
            io_read_file_at(m->dir, de->d_name, &owner) < 0)
            continue;
        if (!is_unfinished(de->d_name, buf_str(&owner)) &&
            (!str_starts(buf_str(&owner), prefix) ||
             held(arg, buf_str(&owner), (uint32_t)strtoul(de->d_name, NULL, 10))))
            continue;
        (void)unlinkat(m->dir, de->d_name, 0); /* gone meanwhile: fine */
    }
    (void)flock(m->dir, LOCK_UN); /* cannot fail on a lock that is held */
}
