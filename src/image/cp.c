/* SPDX-License-Identifier: Apache-2.0 */
#include "image/cp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "format/json.h"
#include "image/cp_priv.h"
#include "image/tar_out.h"
#include "image/tree.h"
#include "sys/path.h"

#define LINKS_MAX 40

struct cp_source {
    const struct cp_root *root;
    struct cp_stat stat;
    char *name; /* in the archive */
    int parent; /* the directory that holds it */
    char *base; /* its name in there */
    int dir;    /* the object itself when it is a directory, else -1 */
    struct stat st;
};

/* ---- names ---------------------------------------------------------------------------------- */

char *cp_clean(const char *path) {
    auto_free char *out = xcalloc(1, strlen(path) + 2);
    size_t len = 0;
    while (*path) {
        size_t n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.') {
            while (len > 0 && out[--len] != '/')
                ;
        } else if (n > 0 && !(n == 1 && path[0] == '.')) {
            out[len++] = '/';
            memcpy(out + len, path, n);
            len += n;
        }
        path += n + (path[n] == '/');
    }
    out[len] = 0;
    return len ? take_ptr(out) : xstrdup("/");
}

int cp_not_found(const char *container, const char *path, struct err *e) {
    return err_set(e, ERR_NOT_FOUND, "Could not find the file %s in container %s", path, container);
}

/* Where a chain of links leads, as text for people and for the client's next request: nothing is
 * opened by it here. What does not exist is taken as it stands. */
static char *follow_text(int root, const char *path) {
    auto_free char *done = xstrdup("");
    auto_free char *rest = xstrdup(path);
    for (unsigned links = 0; *rest;) {
        size_t n = strcspn(rest, "/");
        auto_free char *name = xstrndup(rest, n);
        auto_free char *tail = xstrdup(rest + n + (rest[n] == '/'));
        char target[PATH_MAX];
        ssize_t len = -1;
        if (*name && !str_eq(name, ".") && !str_eq(name, "..")) {
            auto_free char *full = xasprintf("%s/%s", done, name);
            auto_fd fd = path_open_in(root, full, O_PATH | O_NOFOLLOW, 0);
            if (fd >= 0)
                len = readlinkat(fd, "", target, sizeof(target) - 1);
            if (len < 0) {
                free(done);
                done = take_ptr(full);
            }
        } else if (str_eq(name, "..")) {
            char *slash = strrchr(done, '/');
            if (slash)
                *slash = 0;
        }
        free(rest);
        if (len >= 0 && ++links <= LINKS_MAX) {
            target[len] = 0;
            if (target[0] == '/')
                done[0] = 0;
            rest = xasprintf("%s/%s", target, tail);
        } else {
            rest = take_ptr(tail);
        }
    }
    return *done ? take_ptr(done) : xstrdup("/");
}

/* ---- stat ----------------------------------------------------------------------------------- */

/* os.FileMode of Go: type bits at the top, permissions as in Unix. */
static uint32_t go_mode(mode_t m) {
    uint32_t mode = m & 0777;
    switch (m & S_IFMT) {
    case S_IFDIR:
        mode |= 1u << 31;
        break;
    case S_IFLNK:
        mode |= 1u << 27;
        break;
    case S_IFBLK:
        mode |= 1u << 26;
        break;
    case S_IFCHR:
        mode |= 1u << 26 | 1u << 21;
        break;
    case S_IFIFO:
        mode |= 1u << 25;
        break;
    case S_IFSOCK:
        mode |= 1u << 24;
        break;
    default:
        break;
    }
    if (m & S_ISUID)
        mode |= 1u << 23;
    if (m & S_ISGID)
        mode |= 1u << 22;
    if (m & S_ISVTX)
        mode |= 1u << 20;
    return mode;
}

void cp_stat_done(struct cp_stat *s) {
    free(s->name);
    free(s->link_target);
    *s = (struct cp_stat){0};
}

char *cp_stat_json(const struct cp_stat *s) {
    auto_buf out = BUF_INIT;
    char time[TIME_TEXT_MAX];
    struct jw w;
    jw_init(&w, &out);
    jw_object(&w);
    jw_kstr(&w, "name", s->name);
    jw_kint(&w, "size", s->size);
    jw_kuint(&w, "mode", s->mode);
    jw_kstr(&w, "mtime", time_format(s->mtime_ns, time));
    jw_kstr(&w, "linkTarget", s->link_target);
    jw_end_object(&w);
    return buf_take(&out);
}

/* ---- open ----------------------------------------------------------------------------------- */

static bool wants_content(const char *path) {
    return str_ends(path, "/") || str_ends(path, "/.") || str_eq(path, ".") || !*path;
}

/* "x" of "/a/x", "." of "/a/x/.", "/" of "/": what Docker calls the thing in stat and archive. */
static char *display_name(const char *path, const char *clean) {
    if (str_ends(path, "/.") || str_eq(path, "."))
        return xstrdup(".");
    const char *slash = strrchr(clean, '/');
    return xstrdup(slash && slash[1] ? slash + 1 : "/");
}

static int open_directory(struct cp_source *s, const char *clean) {
    s->dir = path_open_in(s->root->fd, clean, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
    if (s->dir < 0)
        return s->dir;
    s->parent = openat(s->dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->parent < 0)
        return -errno;
    s->base = xstrdup(".");
    return fstat(s->dir, &s->st) < 0 ? -errno : 0;
}

static int open_object(struct cp_source *s, const char *clean) {
    const char *slash = strrchr(clean, '/');
    if (!slash[1])
        return open_directory(s, clean);
    auto_free char *parent = xstrndup(clean, (size_t)(slash - clean));
    s->parent = path_open_in(s->root->fd, *parent ? parent : "/", O_PATH | O_DIRECTORY, 0);
    if (s->parent < 0)
        return s->parent;
    s->base = xstrdup(slash + 1);
    if (fstatat(s->parent, s->base, &s->st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISDIR(s->st.st_mode))
        return 0;
    s->dir = tree_open_dir(s->parent, s->base);
    if (s->dir < 0)
        return s->dir;
    return fstat(s->dir, &s->st) < 0 ? -errno : 0;
}

void cp_close(struct cp_source *s) {
    if (!s)
        return;
    cp_stat_done(&s->stat);
    fd_close(s->parent);
    fd_close(s->dir);
    free(s->name);
    free(s->base);
    free(s);
}

int cp_open(const struct cp_root *root, const char *container, const char *path,
            struct cp_source **ret, struct err *e) {
    struct cp_source *s = xnew(struct cp_source);
    auto_free char *clean = cp_clean(path);
    s->root = root;
    s->parent = s->dir = -1;
    int r = wants_content(path) ? open_directory(s, clean) : open_object(s, clean);
    if (r < 0) {
        cp_close(s);
        if (r == -ENOENT)
            return cp_not_found(container, path, e);
        return err_sys(e, r, "cannot open %s in container %s", path, container);
    }
    s->name = display_name(path, clean);
    s->stat = (struct cp_stat){
        .name = xstrdup(s->name),
        .size = s->st.st_size,
        .mode = go_mode(s->st.st_mode),
        .mtime_ns = s->st.st_mtim.tv_sec * NS_PER_SEC + s->st.st_mtim.tv_nsec,
        .link_target = S_ISLNK(s->st.st_mode) ? follow_text(root->fd, clean) : xstrdup(""),
    };
    *ret = s;
    return 0;
}

const struct cp_stat *cp_source_stat(const struct cp_source *s) {
    return &s->stat;
}

/* ---- send ----------------------------------------------------------------------------------- */

static void cleanup_walk(struct tree_walk **w) {
    tree_walk_free(*w);
}

/* What a kernel makes up is no content: /proc would never end. */
static bool is_pseudo(int fd) {
    static const unsigned TYPES[] = {
        PROC_SUPER_MAGIC,         SYSFS_MAGIC,        CGROUP_SUPER_MAGIC,
        CGROUP2_SUPER_MAGIC,      DEBUGFS_MAGIC,      TRACEFS_MAGIC,
        SECURITYFS_MAGIC,         DEVPTS_SUPER_MAGIC, BPF_FS_MAGIC,
        0x19800202u /* mqueue */,
    };
    struct statfs st;
    if (fstatfs(fd, &st) < 0)
        return true;
    for (size_t i = 0; i < sizeof(TYPES) / sizeof(*TYPES); i++)
        if ((unsigned)st.f_type == TYPES[i])
            return true;
    return false;
}

static void init_out(struct tar_out *t, const struct cp_root *root, struct writer *to) {
    tar_out_init(t, to);
    t->ids = root->ids;
    t->cancel = root->cancel;
}

/* The content of a directory; prefix goes before each name. */
static int send_content(struct tar_out *out, int dir, const char *prefix, bool cross,
                        struct err *e) {
    __attribute__((cleanup(cleanup_walk))) struct tree_walk *w = tree_walk_new(dir, cross);
    const struct tree_node *n;
    struct stat top;
    int r;
    if (fstat(dir, &top) < 0)
        return err_sys(e, errno, "cannot read the directory");
    while ((r = tree_walk_next(w, &n)) > 0) {
        auto_free char *name = xasprintf("%s%s", prefix, n->path);
        if (n->leave)
            continue;
        r = tar_out_node(out, n, name, e);
        if (r < 0)
            return r;
        if (S_ISDIR(n->st.st_mode) && n->st.st_dev != top.st_dev && is_pseudo(n->fd))
            tree_walk_skip(w);
    }
    return r < 0 ? err_sys(e, r, "cannot read /%s", tree_walk_path(w)) : 0;
}

int cp_send(struct cp_source *s, struct writer *to, struct err *e) {
    __attribute__((cleanup(tar_out_done))) struct tar_out out;
    init_out(&out, s->root, to);
    struct tree_node n = {
        .dirfd = s->parent, .name = s->base, .path = s->name, .st = s->st, .fd = s->dir};
    int r = tar_out_node(&out, &n, s->name, e);
    if (r == 0 && s->dir >= 0) {
        auto_free char *prefix =
            str_ends(s->name, "/") ? xstrdup(s->name) : xasprintf("%s/", s->name);
        r = send_content(&out, s->dir, prefix, true, e);
    }
    if (r < 0)
        return r;
    r = tar_out_end(&out);
    return r < 0 ? err_sys(e, r, "cannot send the archive") : 0;
}

int cp_export(const struct cp_root *root, struct writer *to, struct err *e) {
    __attribute__((cleanup(tar_out_done))) struct tar_out out;
    auto_fd dir = openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(e, errno, "cannot read the container's file system");
    init_out(&out, root, to);
    int r = send_content(&out, dir, "", false, e);
    if (r < 0)
        return r;
    r = tar_out_end(&out);
    return r < 0 ? err_sys(e, r, "cannot send the archive") : 0;
}
