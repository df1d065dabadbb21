/* SPDX-License-Identifier: Apache-2.0 */
#include "volume/volume.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "format/field.h"
#include "image/tree.h"
#include "sys/path.h"

#define KIND_VOLUME "volume"
#define NAME_CHARS  "[a-zA-Z0-9][a-zA-Z0-9_.-]"

struct volume_store {
    struct data_root *root; /* borrowed, as db */
    struct store *db;
    struct map volumes;       /* name -> struct volume, owned */
    struct strmap unreadable; /* names with a record that could not be used */
};

/* What is stored; mountpoint and users follow from the rest. */
static const struct field record_fields[] = {
    FIELD(struct volume, "name", FIELD_STR, name, 0),
    FIELD(struct volume, "driver", FIELD_STR, driver, 0),
    FIELD(struct volume, "created", FIELD_STR, created, 0),
    FIELD(struct volume, "labels", FIELD_STRMAP, labels, FIELD_OMIT_EMPTY),
    FIELD(struct volume, "options", FIELD_STRMAP, options, FIELD_OMIT_EMPTY),
    FIELD(struct volume, "fresh", FIELD_BOOL_T, fresh, FIELD_OMIT_EMPTY),
    FIELD_END,
};
static const struct field_table record_table = FIELD_TABLE(struct volume, record_fields);

static void volume_free(void *p) {
    struct volume *v = p;
    field_done(&record_table, v);
    free(v->mountpoint);
    map_done(&v->users);
    free(v);
}

static void save(struct volume_store *s, const struct volume *v) {
    struct store_txn *t = store_txn_new();
    auto_free char *doc = field_to_text(&record_table, v);
    store_txn_put(t, KIND_VOLUME, v->name, doc);
    store_commit(s->db, t, NULL, NULL);
}

/* ---- directories ---------------------------------------------------------------------------- */

static int make_dir(int dirfd, const char *path, mode_t mode) {
    if (mkdirat(dirfd, path, mode) < 0)
        return errno == EEXIST ? 0 : -errno;
    /* Whatever the umask was. */
    return fchmodat(dirfd, path, mode, 0) < 0 ? -errno : 0;
}

/* volumes/<name>/_data; what is there stays. */
static int make_directories(struct data_root *root, const char *name) {
    auto_free char *outer = xasprintf("volumes/%s", name);
    auto_free char *data = xasprintf("volumes/%s/_data", name);
    int r = make_dir(data_root_fd(root), outer, 0701);
    return r < 0 ? r : make_dir(data_root_fd(root), data, 0755);
}

static void complete(struct volume_store *s, struct volume *v) {
    v->anonymous = strmap_get(&v->labels, VOLUME_ANONYMOUS_LABEL);
    v->mountpoint = xasprintf("%s/volumes/%s/_data", data_root_path(s->root), v->name);
    (void)map_put(&s->volumes, v->name, v);
}

/* ---- start ---------------------------------------------------------------------------------- */

static int load_one(void *arg, const char *id, const char *doc) {
    struct volume_store *s = arg;
    auto_err e = ERR_INIT;
    struct volume *v = xnew(struct volume);
    field_init(&record_table, v);
    int r = field_parse_text(&record_table, doc, strlen(doc), v, &e);
    if (r == 0 && !str_eq(v->name, id))
        r = err_set(&e, ERR_INVALID, "the record belongs to another volume");
    if (r == 0)
        r = volume_name_check(id, &e);
    if (r == 0) {
        r = make_directories(s->root, id);
        if (r < 0)
            r = err_sys(&e, r, "cannot make its directory");
    }
    if (r < 0) {
        /* The record stays: whoever repairs the disk finds it again at the next start. */
        log_error("a volume cannot be used", "volume", id, "error", err_msg(&e));
        strmap_put(&s->unreadable, id, "");
        volume_free(v);
    } else {
        complete(s, v);
    }
    return 0;
}

/* The record follows the directory: a daemon that died in between left a directory that nobody
 * knows. An empty one goes; what holds data is kept, as the volume that it is. */
static int recover(struct volume_store *s) {
    auto_fd volumes = tree_open_dir(data_root_fd(s->root), "volumes");
    auto_strv names = NULL;
    int r = volumes < 0 ? volumes : tree_list(volumes, &names);
    if (r < 0)
        return r;
    strv_for_each (name, names) {
        auto_free char *data = xasprintf("%s/_data", name);
        char now[TIME_TEXT_MAX];
        if (map_get(&s->volumes, name) || volume_name_check(name, NULL) < 0 ||
            strmap_get(&s->unreadable, name))
            continue;
        /* Both fail where something is left in them. */
        if ((unlinkat(volumes, data, AT_REMOVEDIR) == 0 || errno == ENOENT) &&
            unlinkat(volumes, name, AT_REMOVEDIR) == 0)
            continue;
        log_warn("a volume without a record is taken back", "volume", name);
        struct volume *v = xnew(struct volume);
        field_init(&record_table, v);
        v->name = xstrdup(name);
        v->driver = xstrdup("local");
        v->created = xstrdup(time_format(clock_real_ns() / NS_PER_SEC * NS_PER_SEC, now));
        complete(s, v);
        save(s, v);
    }
    return 0;
}

int volume_store_open(struct data_root *root, struct store *db, struct volume_store **ret,
                      struct err *e) {
    struct volume_store *s = xnew(struct volume_store);
    s->root = root;
    s->db = db;
    int r = store_load(db, KIND_VOLUME, load_one, s, e);
    if (r == 0) {
        r = recover(s);
        if (r < 0)
            r = err_sys(e, r, "cannot read the volumes in %s", data_root_path(root));
    }
    if (r < 0) {
        volume_store_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void volume_store_free(struct volume_store *s) {
    if (!s)
        return;
    map_clear(&s->volumes, volume_free);
    map_done(&s->volumes);
    strmap_done(&s->unreadable);
    free(s);
}

/* ---- names ---------------------------------------------------------------------------------- */

int volume_name_check(const char *name, struct err *e) {
    size_t n = strlen(name);
    bool good = isalnum((unsigned char)name[0]) && n <= VOLUME_NAME_MAX;
    for (size_t i = 1; i < n; i++)
        good &= isalnum((unsigned char)name[i]) || strchr("_.-", name[i]);
    if (n == 1)
        return err_set(e, ERR_INVALID,
                       "create %s: volume name is too short, names should be at least two "
                       "alphanumeric characters",
                       name);
    if (!good)
        return err_set(e, ERR_INVALID,
                       "create %s: \"%s\" includes invalid characters for a local volume name, "
                       "only \"" NAME_CHARS "\" are allowed. If you intended to pass a host "
                       "directory, use absolute path",
                       name, name);
    return 0;
}

/* Docker's words for what is wrong with them; none that is right is there yet. */
static int check_options(const struct strmap *options, struct err *e) {
    if (!options || !options->count)
        return 0;
    strmap_for_each(o, options) {
        if (!str_eq(o->key, "type") && !str_eq(o->key, "device") && !str_eq(o->key, "o") &&
            !str_eq(o->key, "size"))
            return err_set(e, ERR_INVALID, "invalid option: \"%s\"", o->key);
    }
    if (strmap_get(options, "type") && !strmap_get(options, "device"))
        return err_set(e, ERR_INVALID, "missing required option: \"device\"");
    if (strmap_get(options, "device") && !strmap_get(options, "type"))
        return err_set(e, ERR_INVALID, "missing required option: \"type\"");
    return err_set(e, ERR_INVALID, "the option \"%s\" of the local driver is not supported yet",
                   options->entries[0].key);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int check_create(const struct volume_create *c, const char *name, struct err *e) {
    if (!str_empty(c->driver) && !str_eq(c->driver, "local"))
        return err_set(e, ERR_NOT_FOUND,
                       "create %s: error looking up volume plugin %s: plugin \"%s\" not found",
                       name, c->driver, c->driver);
    int r = volume_name_check(name, e);
    if (r < 0)
        return r;
    r = check_options(c->options, e);
    if (r < 0)
        err_wrap(e, "create %s", name);
    return r;
}

int volume_create(struct volume_store *s, const struct volume_create *c, struct volume **ret,
                  bool *ret_created, struct err *e) {
    char random[ID_LEN + 1];
    bool anonymous = str_empty(c->name);
    char now[TIME_TEXT_MAX];
    if (anonymous)
        id_new(random);
    const char *name = anonymous ? random : c->name;
    int r = check_create(c, name, e);
    if (r < 0)
        return r;
    struct volume *v = map_get(&s->volumes, name);
    bool created = !v;
    if (created) {
        r = make_directories(s->root, name);
        if (r < 0)
            return err_sys(e, r, "create %s: cannot make the volume's directory", name);
        v = xnew(struct volume);
        field_init(&record_table, v);
        v->name = xstrdup(name);
        v->driver = xstrdup("local");
        v->created = xstrdup(time_format(clock_real_ns() / NS_PER_SEC * NS_PER_SEC, now));
        v->fresh = true;
        if (c->labels)
            strmap_copy(&v->labels, c->labels);
        if (anonymous && !strmap_get(&v->labels, VOLUME_ANONYMOUS_LABEL))
            strmap_put(&v->labels, VOLUME_ANONYMOUS_LABEL, "");
        complete(s, v);
        save(s, v);
    }
    *ret = v;
    if (ret_created)
        *ret_created = created;
    return 0;
}

struct volume *volume_find(struct volume_store *s, const char *name, struct err *e) {
    struct volume *v = map_get(&s->volumes, name);
    if (!v)
        (void)err_set(e, ERR_NOT_FOUND, "get %s: no such volume", name);
    return v;
}

int volume_remove(struct volume_store *s, const char *name, bool force, struct err *e) {
    struct volume *v = map_get(&s->volumes, name);
    if (!v)
        return force ? 0 : err_set(e, ERR_NOT_FOUND, "get %s: no such volume", name);
    if (v->refs) {
        auto_strv users = volume_users(v);
        auto_free char *list = strv_join(users, ", ");
        return err_set(e, ERR_CONFLICT, "remove %s: volume is in use - [%s]", name, list);
    }
    auto_free char *path = xasprintf("volumes/%s", v->name);
    int r = data_root_trash(s->root, path);
    if (r < 0)
        return err_sys(e, r, "remove %s: cannot remove the volume's directory", name);
    struct store_txn *t = store_txn_new();
    store_txn_del(t, KIND_VOLUME, v->name);
    store_commit(s->db, t, NULL, NULL);
    /* The name may be the volume's own. */
    auto_free char *key = xstrdup(v->name);
    (void)map_del(&s->volumes, key);
    volume_free(v);
    return 0;
}

size_t volume_count(const struct volume_store *s) {
    return s->volumes.count;
}

void volume_each(struct volume_store *s, void (*each)(void *arg, struct volume *v), void *arg) {
    map_for_each (m, &s->volumes)
        each(arg, m->value);
}

/* ---- users ---------------------------------------------------------------------------------- */

void volume_ref(struct volume *v, const char *container_id) {
    uintptr_t n = (uintptr_t)map_get(&v->users, container_id);
    (void)map_put(&v->users, container_id, (void *)(n + 1));
    v->refs++;
}

void volume_unref(struct volume *v, const char *container_id) {
    uintptr_t n = (uintptr_t)map_get(&v->users, container_id);
    if (n == 0)
        return;
    if (n == 1)
        (void)map_del(&v->users, container_id);
    else
        (void)map_put(&v->users, container_id, (void *)(n - 1));
    v->refs--;
}

char **volume_users(const struct volume *v) {
    char **ids = NULL;
    map_for_each (m, &v->users)
        strv_add(&ids, m->key);
    return ids;
}

void volume_mark_used(struct volume_store *s, struct volume *v) {
    if (!v->fresh)
        return;
    v->fresh = false;
    save(s, v);
}

/* ---- workers -------------------------------------------------------------------------------- */

int volume_seed(const char *mountpoint, int rootfs_fd, const char *path, const bool *cancel,
                struct err *e) {
    struct tree_copy_options copy = {.cancel = cancel};
    auto_strv names = NULL;
    auto_fd to = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to < 0)
        return err_sys(e, errno, "cannot open the volume %s", mountpoint);
    int r = tree_list(to, &names);
    if (r < 0)
        return err_sys(e, r, "cannot read the volume %s", mountpoint);
    if (names)
        return 0;
    auto_fd from = path_open_in(rootfs_fd, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
    if (from == -ENOENT || from == -ENOTDIR)
        return 0;
    if (from < 0)
        return err_sys(e, from, "cannot open %s in the image", path);
    return tree_copy(from, to, &copy, NULL, e);
}

int volume_measure(const char *mountpoint, uint64_t *ret) {
    struct tree_totals totals;
    auto_fd fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -errno : tree_measure(fd, &totals);
    if (r < 0)
        return r;
    *ret = totals.bytes;
    return 0;
}
