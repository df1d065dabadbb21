/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/mounts_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/mounts_internal.h"

#define MP   struct mount_point
#define OMIT FIELD_OMIT_EMPTY

static const struct field mount_point_fields[] = {
    FIELD(MP, "Type", FIELD_STR, type, 0),
    FIELD(MP, "Name", FIELD_STR, name, OMIT),
    FIELD(MP, "Source", FIELD_STR, source, 0),
    FIELD(MP, "Destination", FIELD_STR, destination, 0),
    FIELD(MP, "Driver", FIELD_STR, driver, OMIT),
    FIELD(MP, "Mode", FIELD_STR, mode, 0),
    FIELD(MP, "RW", FIELD_BOOL_T, rw, 0),
    FIELD(MP, "Propagation", FIELD_STR, propagation, 0),
    FIELD(MP, "NoCopy", FIELD_BOOL_T, no_copy, OMIT),
    FIELD(MP, "Anonymous", FIELD_BOOL_T, anonymous, OMIT),
    FIELD(MP, "FromConfig", FIELD_BOOL_T, from_config, OMIT),
    FIELD(MP, "CreateSource", FIELD_BOOL_T, create_source, OMIT),
    FIELD(MP, "NonRecursive", FIELD_BOOL_T, non_recursive, OMIT),
    FIELD(MP, "ReadOnlyNonRecursive", FIELD_BOOL_T, ro_non_recursive, OMIT),
    FIELD(MP, "Subpath", FIELD_STR, subpath, OMIT),
    FIELD(MP, "TmpfsOptions", FIELD_STR, tmpfs_options, OMIT),
    FIELD(MP, "VolumeLabels", FIELD_STRMAP, volume_labels, OMIT),
    FIELD(MP, "VolumeOptions", FIELD_STRMAP, volume_options, OMIT),
    FIELD(MP, "Hidden", FIELD_BOOL_T, hidden, OMIT),
    FIELD_END,
};
const struct field_table mount_point_table = FIELD_TABLE(MP, mount_point_fields);

static const struct field api_fields[] = {
    FIELD(MP, "Type", FIELD_STR, type, OMIT),
    FIELD(MP, "Name", FIELD_STR, name, OMIT),
    FIELD(MP, "Source", FIELD_STR, source, 0),
    FIELD(MP, "Destination", FIELD_STR, destination, 0),
    FIELD(MP, "Driver", FIELD_STR, driver, OMIT),
    FIELD(MP, "Mode", FIELD_STR, mode, 0),
    FIELD(MP, "RW", FIELD_BOOL_T, rw, 0),
    FIELD(MP, "Propagation", FIELD_STR, propagation, 0),
    FIELD_END,
};
const struct field_table mount_point_api_table = FIELD_TABLE(MP, api_fields);

void mount_points_done(struct field_array *points) {
    for (size_t i = 0; i < points->count; i++) {
        field_done(&mount_point_table, field_array_at(points, MP, i));
    }
    free(points->items);
    *points = (struct field_array){0};
}

/* ---- paths --------------------------------------------------------------------------------- */
char *path_clean(const char *path) {
    bool rooted = path[0] == '/';
    size_t len = strlen(path), n = 0, keep; /* keep: what ".." may not take back */
    char *out = xmalloc(len + 2);

    if (rooted) {
        out[n++] = '/';
    }
    keep = n;
    for (const char *p = path; *p;) {
        size_t part = strcspn(p, "/");

        if (part == 2 && p[0] == '.' && p[1] == '.') {
            if (n > keep) {
                while (n > keep && out[n - 1] != '/') {
                    n--;
                }
                if (n > keep) {
                    n--; /* the slash before the part */
                }
            } else if (!rooted) {
                if (n) {
                    out[n++] = '/';
                }
                out[n++] = '.';
                out[n++] = '.';
                keep = n;
            }
        } else if (part > 0 && !(part == 1 && p[0] == '.')) {
            if (n > 0 && out[n - 1] != '/') {
                out[n++] = '/';
            }
            memcpy(out + n, p, part);
            n += part;
        }
        p += part;
        p += *p == '/';
    }
    if (n == 0) {
        out[n++] = '.';
    }
    out[n] = '\0';
    return out;
}

/* Is `path` the directory `dir` or below it? Both clean. */
static bool path_is_within(const char *path, const char *dir) {
    const char *rest = str_after(path, dir);

    return rest && (*rest == '\0' || *rest == '/' || str_eq(dir, "/"));
}

static int check_destination(const char *target, struct err *e) {
    auto_free char *clean = path_clean(target);

    if (str_eq(clean, "/")) {
        return err_set(e, ERR_INVALID, "invalid specification: destination can't be '/'");
    }
    if (clean[0] != '/') {
        return err_set(e, ERR_INVALID, "invalid mount path: '%s' mount path must be absolute",
                       target);
    }
    return 0;
}

/* ---- one specification --------------------------------------------------------------------- */
static bool is_propagation(const char *s) {
    static const char *const modes[] = {"private", "rprivate", "slave",
                                        "rslave",  "shared",   "rshared"};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (str_eq(s, modes[i])) {
            return true;
        }
    }
    return false;
}

struct bind_mode {
    bool read_only, no_copy;
    const char *propagation; /* borrowed from the parsed words */
};

/* -EINVAL: an unknown word, or two of a kind. */
static int bind_mode_parse(char *const *words, struct bind_mode *ret) {
    unsigned rw = 0, label = 0, propagation = 0, copy = 0, consistency = 0;
    struct bind_mode m = {0};

    strv_for_each (w, words) {
        if (str_eq(w, "rw") || str_eq(w, "ro")) {
            rw++;
            m.read_only = w[1] == 'o';
        } else if (str_eq(w, "z") || str_eq(w, "Z")) {
            label++;
        } else if (is_propagation(w)) {
            propagation++;
            m.propagation = w;
        } else if (str_eq(w, "nocopy")) {
            copy++;
            m.no_copy = true;
        } else if (str_eq(w, "consistent") || str_eq(w, "cached") || str_eq(w, "delegated")) {
            consistency++;
        } else {
            return -EINVAL;
        }
    }
    if (rw > 1 || label > 1 || propagation > 1 || copy > 1 || consistency > 1) {
        return -EINVAL;
    }
    *ret = m;
    return 0;
}

static int check_bind(const struct mount_spec *m, bool check_source, struct err *e) {
    const struct mount_bind_options *o = m->bind_options;
    struct stat st;

    if (str_empty(m->source)) {
        return err_set(e, ERR_INVALID, "field Source must not be empty");
    }
    if (o && !str_empty(o->propagation) && !is_propagation(o->propagation)) {
        return err_set(e, ERR_INVALID, "invalid propagation mode: %s", o->propagation);
    }
    if (m->volume_options) {
        return err_set(e, ERR_INVALID, "field VolumeOptions must not be specified");
    }
    if (m->source[0] != '/') {
        return err_set(e, ERR_INVALID, "invalid mount path: '%s' mount path must be absolute",
                       m->source);
    }
    if (o && o->read_only_non_recursive && o->read_only_force_recursive) {
        return err_set(e, ERR_INVALID,
                       "ReadOnlyForceRecursive and ReadOnlyNonRecursive are exclusive");
    }
    if (o && o->read_only_force_recursive && o->non_recursive) {
        return err_set(e, ERR_INVALID, "ReadOnlyForceRecursive and NonRecursive are exclusive");
    }
    /* What the host mounts there later would come in writable. */
    if (o && o->read_only_force_recursive && !str_empty(o->propagation) &&
        !str_eq(o->propagation, "rprivate")) {
        return err_set(e, ERR_INVALID,
                       "ReadOnlyForceRecursive requires the propagation mode rprivate, not %s",
                       o->propagation);
    }
    if (o && (o->read_only_non_recursive || o->read_only_force_recursive) && !m->read_only) {
        return err_set(e, ERR_INVALID,
                       "mount is not read-only, but a recursion of read-only is "
                       "given");
    }
    if (check_source && !(o && o->create_mountpoint) && stat(m->source, &st) < 0) {
        return err_set(e, ERR_INVALID, "bind source path does not exist: %s", m->source);
    }
    return 0;
}

static int check_volume(const struct mount_spec *m, struct err *e) {
    const struct mount_volume_options *o = m->volume_options;

    if (m->bind_options) {
        return err_set(e, ERR_INVALID, "field BindOptions must not be specified");
    }
    if (str_empty(m->source) && m->read_only) {
        return err_set(e, ERR_INVALID, "must not set ReadOnly mode when using anonymous volumes");
    }
    if (o && !str_empty(o->subpath)) {
        auto_free char *clean = path_clean(o->subpath);

        if (str_empty(m->source)) {
            return err_set(e, ERR_INVALID, "must not set Subpath when using anonymous volumes");
        }
        if (clean[0] == '/' || str_eq(clean, "..") || str_starts(clean, "../")) {
            return err_set(e, ERR_INVALID, "subpath must be a relative path within the volume");
        }
    }
    return 0;
}

/* Options of another type would do nothing. Empty ones, which some clients send, say nothing. */
static int check_foreign_options(const struct mount_spec *m, struct err *e) {
    const struct mount_tmpfs_options *t = m->tmpfs_options;
    const struct mount_volume_options *v = m->volume_options;

    if (t && !str_eq(m->type, "tmpfs") &&
        (t->size_bytes || t->mode || !(str_empty(t->options) || str_eq(t->options, "null")))) {
        return err_set(e, ERR_INVALID, "field TmpfsOptions must not be specified");
    }
    if (v && !str_eq(m->type, "volume") &&
        (v->no_copy || v->labels.count || !str_empty(v->subpath) || v->driver_config)) {
        return err_set(e, ERR_INVALID, "field VolumeOptions must not be specified");
    }
    return 0;
}

static int check_spec(const struct mount_spec *m, bool check_source, struct err *e) {
    int r;

    if (str_empty(m->target)) {
        return err_set(e, ERR_INVALID, "field Target must not be empty");
    }
    r = check_destination(m->target, e);
    if (r == 0 &&
        (str_eq(m->type, "bind") || str_eq(m->type, "volume") || str_eq(m->type, "tmpfs"))) {
        r = check_foreign_options(m, e);
    }
    if (r < 0) {
        return r;
    }
    if (str_eq(m->type, "bind")) {
        return check_bind(m, check_source, e);
    }
    if (str_eq(m->type, "volume")) {
        return check_volume(m, e);
    }
    if (!str_eq(m->type, "tmpfs")) {
        return err_set(e, ERR_INVALID, "mount type unknown");
    }
    if (m->bind_options) {
        return err_set(e, ERR_INVALID, "field BindOptions must not be specified");
    }
    if (!str_empty(m->source)) {
        return err_set(e, ERR_INVALID, "field Source must not be specified");
    }
    return 0;
}

static void fill_volume(const struct mount_spec *m, MP *p) {
    const struct mount_volume_options *o = m->volume_options;

    str_set(&p->name, str_empty(m->source) ? NULL : m->source);
    p->anonymous = !p->name;
    str_set(&p->driver, "local");
    if (!o) {
        return;
    }
    p->no_copy = o->no_copy;
    str_set(&p->subpath, o->subpath);
    strmap_copy(&p->volume_labels, &o->labels);
    if (o->driver_config) {
        if (!str_empty(o->driver_config->name)) {
            str_set(&p->driver, o->driver_config->name);
        }
        strmap_copy(&p->volume_options, &o->driver_config->options);
    }
}

static void fill_bind(const struct mount_spec *m, MP *p) {
    const struct mount_bind_options *o = m->bind_options;

    p->source = path_clean(m->source);
    str_set(&p->propagation, o && !str_empty(o->propagation) ? o->propagation : "rprivate");
    if (o) {
        p->non_recursive = o->non_recursive;
        p->ro_non_recursive = o->read_only_non_recursive;
        p->create_source = o->create_mountpoint;
    }
}

int mount_spec_resolve(const struct mount_spec *m, bool check_source, struct mount_point *ret,
                       struct err *e) {
    MP p;
    int r = check_spec(m, check_source, e);

    field_init(&mount_point_table, &p);
    if (r == 0 && str_eq(m->type, "tmpfs")) {
        r = mount_tmpfs_resolve(m, &p.tmpfs_options, e);
    }
    if (r < 0) {
        err_wrap(e, "invalid mount config for type \"%s\"", str_or_empty(m->type));
        return r;
    }
    str_set(&p.type, m->type);
    p.destination = path_clean(m->target);
    p.rw = !m->read_only;
    if (str_eq(m->type, "bind")) {
        fill_bind(m, &p);
    } else if (str_eq(m->type, "volume")) {
        fill_volume(m, &p);
        str_set(&p.mode, "z");
    }
    *ret = p;
    return 0;
}

int bind_spec_parse(const char *spec, const char *volume_driver, struct mount_point *ret,
                    struct err *e) {
    auto_strv parts = str_split(spec, ':');
    auto_strv words = NULL;
    const char *mode = "";
    struct bind_mode bm = {0};
    struct mount_bind_options bo = {0};
    struct mount_driver_config dc = {0};
    struct mount_volume_options vo = {0};
    struct mount_spec m = {0};
    size_t n = strv_len(parts);
    int r;

    if (n == 0 || n > 3 || !*parts[0]) {
        return err_set(e, ERR_INVALID, "invalid volume specification: '%s'", spec);
    }
    if (n == 1) {
        m.target = parts[0];
    } else {
        m.source = parts[0];
        m.target = parts[1];
    }
    if (n == 2) {
        /* "/data:ro" would be a destination with a mode, and volumes without a source have none. */
        auto_strv maybe = str_split(parts[1], ',');

        if (bind_mode_parse(maybe, &bm) == 0) {
            return err_set(e, ERR_INVALID, "invalid volume specification: '%s'", spec);
        }
    }
    if (n == 3) {
        mode = parts[2];
        words = str_split(mode, ',');
        if (bind_mode_parse(words, &bm) < 0) {
            return err_set(e, ERR_INVALID, "invalid mode: %s", mode);
        }
    }
    m.read_only = bm.read_only;
    m.type = (char *)(str_or_empty(m.source)[0] == '/' ? "bind" : "volume");
    if (str_eq(m.type, "volume") && !str_empty(volume_driver)) {
        dc.name = (char *)volume_driver;
        vo.driver_config = &dc;
        m.volume_options = &vo;
    }
    if (bm.no_copy) {
        vo.no_copy = true;
        m.volume_options = &vo;
    }
    if (bm.propagation) {
        bo.propagation = (char *)bm.propagation;
        m.bind_options = &bo;
    }
    r = mount_spec_resolve(&m, false, ret, e);
    if (r < 0) {
        err_wrap(e, "invalid volume specification: '%s'", spec);
        return r;
    }
    ret->create_source = str_eq(m.type, "bind");
    if (*mode || str_eq(m.type, "bind")) {
        str_set(&ret->mode, mode);
    }
    return 0;
}

int volumes_from_parse(const char *spec, char **ret_container, char **ret_mode, struct err *e) {
    const char *colon = strchr(spec, ':');
    const char *mode = colon ? colon + 1 : "";
    auto_strv words = str_split(mode, ',');
    struct bind_mode bm;

    if (!*spec) {
        return err_set(e, ERR_INVALID, "volumes-from specification cannot be an empty string");
    }
    /* Copying and propagation belong to the container that has the volumes. */
    if (bind_mode_parse(words, &bm) < 0 || bm.no_copy || bm.propagation) {
        return err_set(e, ERR_INVALID, "invalid mode: %s", mode);
    }
    if (colon == spec) {
        return err_set(e, ERR_INVALID, "invalid name or ID supplied: \"\"");
    }
    *ret_container = colon ? xstrndup(spec, (size_t)(colon - spec)) : xstrdup(spec);
    *ret_mode = xstrdup(mode);
    return 0;
}

/* ---- the plan ------------------------------------------------------------------------------ */
struct plan {
    struct field_array points;
    const struct host_config *host;
    const char *data_root;
    bool flat_read_only;
    struct strmap taken; /* destinations that Binds and Mounts named */
};

static MP *plan_find(struct plan *p, const char *destination) {
    for (size_t i = 0; i < p->points.count; i++) {
        MP *m = field_array_at(&p->points, MP, i);

        if (str_eq(m->destination, destination)) {
            return m;
        }
    }
    return NULL;
}

/* Moves `m` in, in the place of what was at its destination. */
static void plan_put(struct plan *p, MP *m) {
    MP *old = plan_find(p, m->destination);

    if (old) {
        field_done(&mount_point_table, old);
    } else {
        old = field_array_add(&p->points, &mount_point_table);
    }
    *old = *m;
    field_init(&mount_point_table, m);
}

static bool tmpfs_has(const struct host_config *h, const char *destination) {
    strmap_for_each(t, &h->tmpfs) {
        auto_free char *clean = path_clean(t->key);

        if (str_eq(clean, destination)) {
            return true;
        }
    }
    return false;
}

static int plan_volumes_from(struct plan *p, const struct volumes_from_lookup *from,
                             struct err *e) {
    strv_for_each (spec, p->host->volumes_from) {
        auto_free char *container = NULL, *mode = NULL;
        auto_strv words = NULL;
        const struct field_array *others = NULL;
        int r = volumes_from_parse(spec, &container, &mode, e);

        if (r == 0) {
            r = from ? from->find(from->arg, container, &others, e)
                     : err_set(e, ERR_NOT_FOUND, "No such container: %s", container);
        }
        if (r < 0) {
            return r;
        }
        words = str_split(mode, ',');
        for (size_t i = 0; others && i < others->count; i++) {
            const MP *theirs = field_array_at(others, MP, i);
            MP m;

            /* A tmpfs is private to its container. */
            if (str_eq(theirs->type, "tmpfs")) {
                continue;
            }
            field_init(&mount_point_table, &m);
            field_copy(&mount_point_table, &m, theirs);
            str_set(&m.mode, NULL);
            m.rw = theirs->rw && !strv_has(words, "ro");
            m.no_copy = true;
            m.create_source = false;
            /* The volume belongs to the other container's life. */
            m.anonymous = false;
            m.from_config = false;
            plan_put(p, &m);
        }
    }
    return 0;
}

/* A bind of (a part of) the data root would pin the mounts of containers that stop later: Docker
 * lets such a bind only be a slave, or shared when the user insists. */
static int adjust_propagation(const struct plan *p, MP *m, bool given, struct err *e) {
    if (!p->data_root || !str_eq(m->type, "bind") ||
        !(path_is_within(p->data_root, m->source) || path_is_within(m->source, p->data_root))) {
        return 0;
    }
    if (!given) {
        str_set(&m->propagation, "rslave");
        return 0;
    }
    if (str_eq(m->propagation, "rslave") || str_eq(m->propagation, "rshared")) {
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "invalid mount config: must use either propagation mode \"rslave\" or "
                   "\"rshared\" when mount source is within the daemon root, daemon root: \"%s\", "
                   "bind mount source: \"%s\", propagation: \"%s\"",
                   p->data_root, m->source, m->propagation);
}

/* Takes over *m in any case. */
static int plan_claim(struct plan *p, MP *m, bool propagation_given, bool against_tmpfs,
                      struct err *e) {
    int r = 0;

    if (strmap_get(&p->taken, m->destination) ||
        (against_tmpfs && tmpfs_has(p->host, m->destination))) {
        r = err_set(e, ERR_INVALID, "Duplicate mount point: %s", m->destination);
    }
    if (r == 0) {
        r = adjust_propagation(p, m, propagation_given, e);
    }
    if (p->flat_read_only && str_eq(m->type, "bind") && !m->rw) {
        m->ro_non_recursive = true;
    }
    if (r == 0) {
        strmap_put(&p->taken, m->destination, "");
        plan_put(p, m);
    } else {
        field_done(&mount_point_table, m);
    }
    return r;
}

static int plan_binds(struct plan *p, struct err *e) {
    strv_for_each (spec, p->host->binds) {
        auto_strv words = NULL;
        struct bind_mode bm = {0};
        MP m;
        int r = bind_spec_parse(spec, p->host->volume_driver, &m, e);

        if (r < 0) {
            return r;
        }
        words = str_split(str_or_empty(m.mode), ',');
        (void)bind_mode_parse(words, &bm); /* the mode has been parsed once */
        r = plan_claim(p, &m, bm.propagation != NULL, true, e);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int plan_mounts(struct plan *p, struct err *e) {
    for (size_t i = 0; i < p->host->mounts.count; i++) {
        const struct mount_spec *spec = field_array_at(&p->host->mounts, struct mount_spec, i);
        MP m;
        int r = mount_spec_resolve(spec, true, &m, e);

        if (r < 0) {
            return r;
        }
        r = plan_claim(p, &m, spec->bind_options && !str_empty(spec->bind_options->propagation),
                       false, e);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int plan_tmpfs(struct plan *p, struct err *e) {
    strmap_for_each(t, &p->host->tmpfs) {
        MP m;
        int r = check_destination(t->key, e);

        if (r < 0) {
            return r;
        }
        field_init(&mount_point_table, &m);
        r = mount_tmpfs_merge(str_or_empty(t->value), &m.tmpfs_options, e);
        if (r < 0) {
            return r;
        }
        m.destination = path_clean(t->key);
        if (strmap_get(&p->taken, m.destination)) {
            field_done(&mount_point_table, &m); /* an entry of Mounts wins */
            continue;
        }
        str_set(&m.type, "tmpfs");
        m.rw = true;
        m.hidden = true;
        plan_put(p, &m);
    }
    return 0;
}

static int plan_config_volumes(struct plan *p, const struct container_config *c, struct err *e) {
    strmap_for_each(v, &c->volumes) {
        /* Images say VOLUME data as well; the runtime took that as relative to the root. */
        auto_free char *rooted = xasprintf("/%s", v->key);
        auto_free char *destination = path_clean(rooted);
        MP m;
        int r = check_destination(destination, e);

        if (r < 0) {
            return r;
        }
        if (plan_find(p, destination)) {
            continue;
        }
        field_init(&mount_point_table, &m);
        str_set(&m.type, "volume");
        m.destination = take_ptr(destination);
        str_set(&m.driver, str_empty(p->host->volume_driver) ? "local" : p->host->volume_driver);
        m.rw = true;
        m.anonymous = true;
        m.from_config = true;
        plan_put(p, &m);
    }
    return 0;
}

static size_t path_depth(const char *path) {
    size_t n = 0;

    for (; *path; path++) {
        n += *path == '/';
    }
    return n;
}

static int compare_points(const void *a, const void *b) {
    const MP *x = a, *y = b;
    size_t dx = path_depth(x->destination), dy = path_depth(y->destination);

    return dx != dy ? (dx < dy ? -1 : 1) : strcmp(x->destination, y->destination);
}

int mounts_plan(const struct container_config *config, const struct host_config *host,
                const struct volumes_from_lookup *from, const char *data_root, bool flat_read_only,
                struct field_array *ret, struct err *e) {
    struct plan p = {.host = host, .data_root = data_root, .flat_read_only = flat_read_only};
    int r = plan_volumes_from(&p, from, e);

    if (r == 0) {
        r = plan_binds(&p, e);
    }
    if (r == 0) {
        r = plan_mounts(&p, e);
    }
    if (r == 0) {
        r = plan_tmpfs(&p, e);
    }
    if (r == 0) {
        r = plan_config_volumes(&p, config, e);
    }
    strmap_done(&p.taken);
    if (r < 0) {
        mount_points_done(&p.points);
        return r;
    }
    if (p.points.count) {
        qsort(p.points.items, p.points.count, sizeof(MP), compare_points);
    }
    p.points.set = true;
    *ret = p.points;
    return 0;
}
