/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/userdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "sys/path.h"

#define ID_TEXT_MAX 10 /* digits of 2^31 - 1 */

void userdb_user_done(struct userdb_user *u) {
    free(u->home);
    free(u->groups);
    *u = (struct userdb_user){0};
}

int userdb_read(int root, const char *path, struct buf *ret) {
    /* O_NONBLOCK: an image may hold a FIFO here. */
    auto_fd fd = path_open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
        return 0; /* MaskedPaths names the file */
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > USERDB_FILE_MAX)
        return -EFBIG;
    ret->max = USERDB_FILE_MAX;
    return io_read_to_end(fd, ret);
}

/* A piece of a text that stays where it is. */
struct piece {
    const char *s;
    size_t len;
};

static bool piece_eq(struct piece p, struct piece q) {
    return p.len == q.len && !memcmp(p.s, q.s, p.len);
}

static struct piece piece_of(const char *s) {
    return (struct piece){.s = s, .len = strlen(s)};
}

static bool piece_id(struct piece p, uint32_t *ret) {
    uint64_t v = 0;
    if (!p.len || p.len > ID_TEXT_MAX)
        return false;
    for (size_t i = 0; i < p.len; i++) {
        if (p.s[i] < '0' || p.s[i] > '9')
            return false;
        v = v * 10 + (unsigned)(p.s[i] - '0');
    }
    if (v > INT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

/* Does it look like a number at all (perhaps one out of range)? */
static bool piece_is_numeric(struct piece p) {
    size_t i = p.len && (*p.s == '-' || *p.s == '+');
    if (i == p.len)
        return false;
    for (; i < p.len; i++)
        if (p.s[i] < '0' || p.s[i] > '9')
            return false;
    return true;
}

/* The next line that is neither empty nor a comment, cut into up to `max` fields. */
static bool next_line(const char **text, struct piece *fields, size_t max, size_t *ret_count) {
    while (**text) {
        const char *line = *text, *end = strchrnul(line, '\n');
        *text = *end ? end + 1 : end;
        while (line < end && (*line == ' ' || *line == '\t'))
            line++;
        while (end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
            end--;
        if (line == end || *line == '#')
            continue;
        size_t n = 0;
        for (;;) {
            const char *colon = n + 1 < max ? memchr(line, ':', (size_t)(end - line)) : NULL;
            fields[n++] = (struct piece){line, (size_t)((colon ? colon : end) - line)};
            if (!colon)
                break;
            line = colon + 1;
        }
        *ret_count = n;
        return true;
    }
    return false;
}

struct passwd_line {
    struct piece name, home;
    uint32_t uid, gid;
};

static bool next_user(const char **text, struct passwd_line *ret) {
    struct piece f[7];
    size_t n;
    while (next_line(text, f, 7, &n)) {
        if (n < 4 || !piece_id(f[2], &ret->uid) || !piece_id(f[3], &ret->gid))
            continue;
        ret->name = f[0];
        ret->home = n > 5 ? f[5] : (struct piece){"", 0};
        return true;
    }
    return false;
}

struct group_line {
    struct piece name, members;
    uint32_t gid;
};

static bool next_group(const char **text, struct group_line *ret) {
    struct piece f[4];
    size_t n;
    while (next_line(text, f, 4, &n)) {
        if (n < 3 || !piece_id(f[2], &ret->gid))
            continue;
        ret->name = f[0];
        ret->members = n > 3 ? f[3] : (struct piece){"", 0};
        return true;
    }
    return false;
}

static bool has_member(struct piece members, struct piece name) {
    const char *p = members.s, *end = p + members.len;
    while (p <= end) {
        const char *comma = p < end ? memchr(p, ',', (size_t)(end - p)) : NULL;
        const char *stop = comma ? comma : end;
        if (piece_eq((struct piece){p, (size_t)(stop - p)}, name))
            return true;
        p = stop + 1;
    }
    return false;
}

static int add_group(struct userdb_user *u, gid_t gid) {
    for (size_t i = 0; i < u->n_groups; i++)
        if (u->groups[i] == gid)
            return 0;
    if (u->n_groups == USERDB_GROUPS_MAX)
        return -E2BIG;
    if (!(u->n_groups & (u->n_groups - 1))) /* grows at powers of two */
        u->groups = xreallocarray(u->groups, u->n_groups ? u->n_groups * 2 : 1, sizeof(gid_t));
    u->groups[u->n_groups++] = gid;
    return 0;
}

static int range_error(struct err *e) {
    return err_set(e, ERR_INVALID, "uids and gids must be in range 0-2147483647");
}

static int find_user(const char *passwd, struct piece want, struct userdb_user *u,
                     struct piece *ret_name, struct err *e) {
    uint32_t id = 0;
    bool numeric = !want.len || piece_id(want, &id); /* no user: 0 */
    const char *p = passwd;
    struct passwd_line line;
    while (next_user(&p, &line)) {
        if (!(want.len && piece_eq(line.name, want)) && !(numeric && line.uid == id))
            continue;
        u->uid = line.uid;
        u->gid = line.gid;
        if (line.home.len)
            u->home = xstrndup(line.home.s, line.home.len);
        *ret_name = line.name;
        return 0;
    }
    if (!numeric) {
        if (piece_is_numeric(want))
            return range_error(e);
        return err_set(e, ERR_SYSTEM,
                       "unable to find user %.*s: no matching entries in passwd file",
                       (int)want.len, want.s);
    }
    u->uid = id;
    return 0;
}

static int find_group(const char *group, struct piece want, gid_t *ret, const char *error_format,
                      struct err *e) {
    uint32_t id = 0;
    bool numeric = piece_id(want, &id);
    const char *p = group;
    struct group_line line;
    while (next_group(&p, &line)) {
        if (piece_eq(line.name, want) || (numeric && line.gid == id)) {
            *ret = line.gid;
            return 0;
        }
    }
    if (numeric) {
        *ret = id;
        return 0;
    }
    if (piece_is_numeric(want))
        return range_error(e);
    auto_free char *name = xstrndup(want.s, want.len);
    return err_set(e, ERR_SYSTEM, "%s %s: no matching entries in group file", error_format, name);
}

int userdb_resolve(const char *passwd, const char *group, const char *user,
                   char *const *extra_groups, struct userdb_user *ret, struct err *e) {
    struct userdb_user u __attribute__((cleanup(userdb_user_done))) = {0};
    struct piece name = {"", 0}, want_user = piece_of(user), want_group = {"", 0};
    const char *colon = strchr(user, ':');
    if (colon) {
        want_user.len = (size_t)(colon - user);
        want_group = piece_of(colon + 1);
    }
    int r = find_user(passwd, want_user, &u, &name, e);
    if (r < 0)
        return r;
    if (want_group.len) {
        r = find_group(group, want_group, &u.gid, "unable to find group", e);
        if (r < 0)
            return r;
    }
    r = add_group(&u, u.gid);
    /* Membership counts only where the group was not chosen explicitly. */
    if (name.len && !want_group.len) {
        const char *p = group;
        struct group_line line;
        while (r >= 0 && next_group(&p, &line))
            if (has_member(line.members, name))
                r = add_group(&u, line.gid);
    }
    if (r < 0)
        return err_sys(e, r, "too many groups");
    strv_for_each (extra, extra_groups) {
        gid_t gid = 0;
        r = find_group(group, piece_of(extra), &gid, "Unable to find group", e);
        if (r < 0)
            return r;
        r = add_group(&u, gid);
        if (r < 0)
            return err_sys(e, r, "too many groups");
    }
    if (!u.home)
        u.home = xstrdup("/");
    *ret = u;
    u = (struct userdb_user){0};
    return 0;
}
