/* SPDX-License-Identifier: Apache-2.0 */

/* changes, export, archive (docker cp): what reads and writes a container's files on a worker. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "api/containers.h"
#include "base/alloc.h"
#include "engine/container.h"
#include "engine/init_layer.h"
#include "image/changes.h"
#include "image/cp.h"
#include "image/cp_mounts.h"
#include "image/overlay.h"
#include "runtime/userdb.h"

/* ---- the root that a worker works on --------------------------------------------------------- */
struct files {
    struct api_call *call;
    struct engine *engine;
    struct http_io *io;
    char id[ID_LEN + 1];
    char *dir;           /* containers/<id> */
    char **lower;        /* for a stopped container */
    int root;            /* of a running one: /proc/PID/root; else -1 until the worker mounts it */
    struct id_shift ids; /* owners at root */
    bool writes;
    bool read_only_rootfs;
    struct cp_bind *binds; /* of a stopped container, where its volumes are to be seen */
    size_t bind_count;
    bool attached; /* they are mounted, in the worker's namespace */
    /* the request */
    char *name;        /* of the container, as the client wrote it */
    char *path, *user; /* user: owner of what is put, or NULL */
    struct cp_put_options put;
    struct err error;
    struct change_list changes;
};

static void files_free(struct files *f) {
    fd_close(f->root);
    free(f->dir);
    strv_free(f->lower);
    for (size_t i = 0; i < f->bind_count; i++)
        cp_bind_done(&f->binds[i]);
    free(f->binds);
    free(f->name);
    free(f->path);
    free(f->user);
    err_done(&f->error);
    change_list_done(&f->changes);
    free(f);
}

/* On the loop. NULL after an answer. */
static struct files *files_new(struct api_call *c, struct container *x, bool writes) {
    struct files *f = xnew(struct files);
    auto_err e = ERR_INIT;
    int r;

    f->call = c;
    f->engine = c->engine;
    f->root = -1;
    f->writes = writes;
    f->read_only_rootfs = x->rec.host.readonly_rootfs;
    memcpy(f->id, x->rec.id, sizeof f->id);
    f->name = xstrdup(call_param(c, 0));
    f->dir = container_dir(x);
    if (x->rec.running && x->pidfd >= 0) {
        auto_free char *path = xasprintf("/proc/%lld/root", (long long)x->rec.pid);

        /* The pid cannot have been reused: the monitor has not reaped it while we know it runs, and
         * a container that has just ended has no root to open. */
        f->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        container_id_shift(x, &f->ids);
        if (f->root >= 0)
            return f;
    }
    r = container_lower_paths(x, &f->lower, &e);
    if (r < 0) {
        call_error(c, &e);
        files_free(f);
        return NULL;
    }
    return f;
}

static struct cp_bind *add_bind(struct files *f, const char *source, const char *destination) {
    struct cp_bind *b;

    f->binds = xreallocarray(f->binds, f->bind_count + 1, sizeof *f->binds);
    b = &f->binds[f->bind_count++];
    *b = (struct cp_bind){.source = xstrdup(source), .destination = xstrdup(destination)};
    return b;
}

/* On the loop: a running container's mounts are there, a stopped one's are mounted by the worker.
 */
static int plan_binds(struct files *f, struct container *x, struct err *e) {
    static const char *const files_of_etc[] = {"hosts", "hostname", "resolv.conf"};

    if (f->root >= 0)
        return 0;
    if (f->writes) {
        int r = container_make_bind_sources(x, e);

        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < sizeof files_of_etc / sizeof *files_of_etc; i++) {
        auto_free char *source = xasprintf("%s/%s", f->dir, files_of_etc[i]);
        auto_free char *destination = xasprintf("/etc/%s", files_of_etc[i]);

        add_bind(f, source, destination)->optional = true;
    }
    /* By depth, as they are kept: a bind over /etc or a file of it covers ours. */
    for (size_t i = 0; i < x->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&x->rec.mounts, struct mount_point, i);
        struct cp_bind *b;

        if (str_eq(m->type, "tmpfs") || str_empty(m->source))
            continue;
        b = add_bind(f, m->source, m->destination);
        b->subpath = str_empty(m->subpath) ? NULL : xstrdup(m->subpath);
        b->read_only = !m->rw;
        b->recursive = !m->non_recursive;
        b->read_only_below = b->read_only && b->recursive && !m->ro_non_recursive;
        b->optional = true;
    }
    return 0;
}

static int mount_stopped(struct files *f, bool writable, struct err *e) {
    auto_free char *upper = xasprintf("%s/diff", f->dir), *work = xasprintf("%s/work", f->dir);
    struct overlay_options o = {
        .lower = f->lower, .upper = upper, .work = work, .read_only = !writable};
    int r = overlay_mount(&o, &f->root, e);

    if (r < 0 || f->bind_count == 0)
        return r;
    r = cp_mounts_attach(f->root, f->dir, !f->writes || f->read_only_rootfs, f->binds,
                         f->bind_count, e);
    f->attached = r == 0;
    return r;
}

/* On the worker. The root of a stopped container is a mount that only this thread sees. */
static int files_root(struct files *f, struct cp_root *ret) {
    int r = 0;

    if (f->root < 0) {
        r = mount_stopped(f, f->writes, &f->error);
        if (r == -EROFS && f->error.class == ERR_NONE) {
            /* Mount points are made once, as a start would. */
            fd_close(f->root);
            f->root = -1;
            r = mount_stopped(f, true, &f->error);
        }
        if (r < 0)
            return r;
    }
    *ret = (struct cp_root){.fd = f->root, .ids = f->ids};
    return 0;
}

/* On the worker, at its end: the last unmount of an overlay syncs, which the loop must not wait
 * for. */
static int files_leave(struct files *f, int r) {
    if (f->attached)
        cp_mounts_detach(f->dir);
    fd_close(f->root);
    f->root = -1;
    return r;
}

static void finish_worker(void *arg, int r) {
    struct files *f = arg;

    if (r < 0 && f->error.class == ERR_NONE)
        (void)err_sys(&f->error, r, "cannot transfer the files of container %s", f->id); /* sets */
    call_worker_end(f->call, f->io, 200, &f->error);
    files_free(f);
}

static void run_with_io(struct files *f, int (*work)(struct job *j, void *arg)) {
    f->io = call_worker(f->call);
    if (f->io)
        job_start(f->engine->loop, JOB_STREAM, work, finish_worker, f);
    else
        files_free(f);
}

/* ---- changes --------------------------------------------------------------------------------- */
static int find_changes(struct job *j, void *arg) {
    struct files *f = arg;
    auto_free char *upper = xasprintf("%s/diff", f->dir);

    (void)j;
    return changes_find(upper, f->lower, &f->changes, &f->error);
}

static void answer_changes(void *arg, int r) {
    struct files *f = arg;
    auto_buf b = BUF_INIT;
    struct jw w;

    if (r < 0) {
        if (f->error.class == ERR_NONE)
            (void)err_sys(&f->error, r, "cannot read the changes of container %s", f->id);
        call_error(f->call, &f->error);
        files_free(f);
        return;
    }
    jw_init(&w, &b);
    if (f->changes.count == 0) {
        jw_null(&w); /* Go's nil slice */
    } else {
        jw_array(&w);
        for (size_t i = 0; i < f->changes.count; i++) {
            jw_object(&w);
            jw_kstr(&w, "Path", f->changes.items[i].path);
            jw_kint(&w, "Kind", f->changes.items[i].kind);
            jw_end_object(&w);
        }
        jw_end_array(&w);
    }
    call_json(f->call, 200, &b);
    files_free(f);
}

void containers_changes(struct api_call *c) {
    struct container *x = call_container(c);
    struct files *f = x ? files_new(c, x, false) : NULL;
    auto_err e = ERR_INIT;

    if (!f)
        return;
    if (!f->lower && container_lower_paths(x, &f->lower, &e) < 0) {
        call_error(c, &e);
        files_free(f);
        return;
    }
    job_start(c->engine->loop, JOB_SHORT, find_changes, answer_changes, f);
}

/* ---- export ---------------------------------------------------------------------------------- */
static int export_work(struct job *j, void *arg) {
    struct files *f = arg;
    struct cp_root root;
    int r = files_root(f, &root);

    (void)j;
    if (r == 0)
        r = http_io_begin(f->io, 200, "application/octet-stream", router_headers_of(f->call));
    if (r == 0)
        r = cp_export(&root, http_io_writer(f->io), &f->error);
    return files_leave(f, r);
}

void containers_export(struct api_call *c) {
    struct container *x = call_container(c);
    struct files *f = x ? files_new(c, x, false) : NULL;

    if (!f)
        return;
    container_event(x, "export", NULL);
    run_with_io(f, export_work);
}

/* ---- archive --------------------------------------------------------------------------------- */
static char *base64(const char *s) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(s);
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned char)s[i] << 16;

        if (i + 1 < n)
            v |= (unsigned)(unsigned char)s[i + 1] << 8;
        if (i + 2 < n)
            v |= (unsigned char)s[i + 2];
        buf_putc(&b, digits[v >> 18]);
        buf_putc(&b, digits[v >> 12 & 63]);
        buf_putc(&b, i + 1 < n ? digits[v >> 6 & 63] : '=');
        buf_putc(&b, i + 2 < n ? digits[v & 63] : '=');
    }
    return buf_take(&b);
}

static int archive_get(struct job *j, void *arg) {
    struct files *f = arg;
    struct cp_source *s = NULL;
    struct cp_root root;
    bool head = str_eq(f->call->route->method, "HEAD");
    int r = files_root(f, &root);

    (void)j;
    if (r == 0)
        r = cp_open(&root, f->name, f->path, &s, &f->error);
    if (r == 0) {
        auto_free char *json = cp_stat_json(cp_source_stat(s));
        auto_free char *stat = base64(json);
        struct http_header headers[16];
        const struct http_header *common = router_headers_of(f->call);
        size_t n = 0;

        while (common[n].name && n < 14) {
            headers[n] = common[n];
            n++;
        }
        headers[n++] = (struct http_header){"X-Docker-Container-Path-Stat", stat};
        headers[n] = (struct http_header){NULL, NULL};
        r = http_io_begin(f->io, 200, head ? NULL : "application/x-tar", headers);
    }
    if (r == 0 && !head)
        r = cp_send(s, http_io_writer(f->io), &f->error);
    if (s)
        cp_close(s);
    return files_leave(f, r);
}

/* files_new with the mounts, for one path of the client's. NULL after an answer. */
static struct files *files_at(struct api_call *c, struct container *x, const char *path,
                              bool writes) {
    struct files *f = files_new(c, x, writes);
    auto_err e = ERR_INIT;

    if (!f)
        return NULL;
    f->path = xstrdup(path);
    if (plan_binds(f, x, &e) < 0) {
        call_error(c, &e);
        files_free(f);
        return NULL;
    }
    return f;
}

static void archive_read(struct api_call *c, bool tell) {
    struct container *x = call_container(c);
    const char *path = call_query(c, "path");
    struct files *f;

    if (!x)
        return;
    if (str_empty(path)) {
        call_errorf(c, ERR_INVALID, "bad parameter: path cannot be empty");
        return;
    }
    f = files_at(c, x, path, false);
    if (!f)
        return;
    if (tell)
        container_event(x, "archive-path", NULL);
    run_with_io(f, archive_get);
}

void containers_archive_get(struct api_call *c) {
    archive_read(c, true);
}

void containers_archive_head(struct api_call *c) {
    archive_read(c, false);
}

/* POST /containers/{id}/copy {"Resource": path}: what `docker cp` used before 1.20. */
void containers_copy(struct api_call *c) {
    struct json_object *body = NULL;
    struct container *x = call_container(c);
    auto_err e = ERR_INIT;
    struct files *f;
    const char *path;

    if (!x)
        return;
    if (call_json_body(c, false, &body, &e) < 0) {
        call_error(c, &e);
        return;
    }
    path = jsn_str(body, "Resource");
    if (str_empty(path)) {
        call_errorf(c, ERR_INVALID, "Path cannot be empty");
    } else {
        f = files_at(c, x, path, false);
        if (f) {
            container_event(x, "copy", NULL);
            run_with_io(f, archive_get);
        }
    }
    json_object_put(body);
}

/* copyUIDGID: what is unpacked belongs to the user that the container runs as. */
static int resolve_owner(struct files *f, int root) {
    auto_buf passwd = {.max = USERDB_FILE_MAX}, group = {.max = USERDB_FILE_MAX};
    struct userdb_user u = {0};
    int r = userdb_read(root, "/etc/passwd", &passwd);

    if (r == 0)
        r = userdb_read(root, "/etc/group", &group);
    if (r == 0)
        r = userdb_resolve(buf_str(&passwd), buf_str(&group), f->user, NULL, &u, &f->error);
    if (r == 0) {
        f->put.chown = true;
        f->put.uid = u.uid;
        f->put.gid = u.gid;
        userdb_user_done(&u);
    }
    return r;
}

static int archive_put(struct job *j, void *arg) {
    struct files *f = arg;
    struct cp_root root;
    int r = files_root(f, &root);

    (void)j;
    if (r == 0 && !str_empty(f->user))
        r = resolve_owner(f, root.fd);
    if (r == 0)
        r = cp_put(&root, f->name, f->path, http_io_body(f->io), &f->put, &f->error);
    return files_leave(f, r);
}

void containers_archive_put(struct api_call *c) {
    struct container *x = call_container(c);
    const char *path = call_query(c, "path");
    struct files *f;

    if (!x)
        return;
    if (str_empty(path)) {
        call_errorf(c, ERR_INVALID, "bad parameter: path cannot be empty");
        return;
    }
    f = files_at(c, x, path, true);
    if (!f)
        return;
    f->put.no_overwrite_dir_non_dir = call_query_bool(c, "noOverwriteDirNonDir", false);
    if (call_query_bool(c, "copyUIDGID", false))
        f->user = xstrdup_null(x->rec.config.user);
    container_event(x, "extract-to-dir", NULL);
    run_with_io(f, archive_put);
}
