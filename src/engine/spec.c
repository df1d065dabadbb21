/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/spec.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/spec_internal.h"
#include "sys/caps.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define INIT_INSIDE  "/sbin/docker-init"

/* ---- process ------------------------------------------------------------------------------- */
char **spec_environment(char *const *env, const char *hostname, bool tty) {
    char **v = NULL;

    strv_add(&v, DEFAULT_PATH);
    strv_take(&v, xasprintf("HOSTNAME=%s", str_or_empty(hostname)));
    if (tty) {
        strv_add(&v, "TERM=xterm");
    }
    strv_for_each (variable, env) {
        env_put(&v, variable);
    }
    return v;
}

int spec_capability_mask(const struct host_config *h, uint64_t held, uint64_t *ret, struct err *e) {
    return lcap_combine(h->cap_add, h->cap_drop, h->privileged, held, ret, e);
}

int spec_capabilities(const struct host_config *h, uint64_t held, struct oci_capabilities *ret,
                      struct err *e) {
    uint64_t mask;
    int r = spec_capability_mask(h, held, &mask, e);

    if (r < 0) {
        return r;
    }
    /* Nothing inheritable, nothing ambient: file capabilities of the image would add to them
     * (CVE-2022-24769). */
    field_done(&oci_capabilities_table, ret);
    ret->bounding = lcap_names(mask);
    ret->effective = lcap_names(mask);
    ret->permitted = lcap_names(mask);
    return 0;
}

static void put_rlimit(struct oci_process *p, const char *name, int64_t soft, int64_t hard) {
    auto_free char *type = xasprintf("RLIMIT_%s", name);
    struct oci_rlimit *limit = NULL;

    for (char *c = type; *c; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
    for (size_t i = 0; i < p->rlimits.count; i++) {
        struct oci_rlimit *other = field_array_at(&p->rlimits, struct oci_rlimit, i);

        limit = str_eq(other->type, type) ? other : limit;
    }
    if (!limit) {
        limit = field_array_add(&p->rlimits, &oci_rlimit_table);
        str_set(&limit->type, type);
    }
    /* -1 is RLIM_INFINITY in the kernel's type as well. */
    limit->soft = (uint64_t)soft;
    limit->hard = (uint64_t)hard;
}

int default_ulimit_parse(const char *text, int64_t *ret_soft, int64_t *ret_hard) {
    size_t n = strcspn(text, ":");
    auto_free char *first = xstrndup(text, n);
    int64_t soft, hard;

    if (str_to_i64(first, &soft) < 0) {
        return -EINVAL;
    }
    hard = soft;
    if (text[n] == ':' && str_to_i64(text + n + 1, &hard) < 0) {
        return -EINVAL;
    }
    *ret_soft = soft;
    *ret_hard = hard;
    return 0;
}

int spec_rlimits(const struct host_config *h, const struct strmap *default_ulimits,
                 struct oci_process *p, struct err *e) {
    if (default_ulimits) {
        strmap_for_each(u, default_ulimits) {
            int64_t soft, hard;

            if (default_ulimit_parse(u->value, &soft, &hard) < 0) {
                return err_set(e, ERR_INVALID, "invalid default ulimit: %s=%s", u->key, u->value);
            }
            put_rlimit(p, u->key, soft, hard);
        }
    }
    for (size_t i = 0; i < h->ulimits.count; i++) {
        const struct ulimit *u = field_array_at(&h->ulimits, struct ulimit, i);

        put_rlimit(p, str_or_empty(u->name), u->soft, u->hard);
    }
    return 0;
}

static bool wants_init(const struct host_config *h, const struct spec_facts *f) {
    /* In somebody else's PID namespace there is no PID 1 to be. */
    return h->init == 1 && f->init_path && !mode_is_host(h->pid_mode) &&
           !mode_container(h->pid_mode);
}

static int fill_process(const struct container_config *c, const struct host_config *h,
                        const struct spec_facts *f, struct oci_process *p, struct err *e) {
    struct security_options so;
    const char *hostname = mode_is_host(h->uts_mode) ? f->host_name : c->hostname;
    int r = security_options_parse(h->security_opt, &so, e);

    if (r < 0) {
        return r;
    }
    p->no_new_privileges = so.no_new_privileges >= 0 ? so.no_new_privileges : f->no_new_privileges;
    security_options_done(&so);
    p->terminal = c->tty;
    if (c->tty && h->console_size.count == 2 && h->console_size.items[0] &&
        h->console_size.items[1]) {
        p->console_size = xnew(struct oci_box);
        p->console_size->height = h->console_size.items[0];
        p->console_size->width = h->console_size.items[1];
    }
    if (wants_init(h, f)) {
        strv_add(&p->args, INIT_INSIDE);
        strv_add(&p->args, "--");
    }
    strv_add(&p->args, f->path);
    strv_for_each (arg, f->args) {
        strv_add(&p->args, arg);
    }
    {
        auto_strv env = strv_dup(f->link_env);

        strv_for_each (v, c->env)
            strv_add(&env, v);
        p->env = spec_environment(env, hostname, c->tty);
    }
    str_set(&p->cwd, str_empty(c->working_dir) ? "/" : c->working_dir);
    p->capabilities = xnew(struct oci_capabilities);
    field_init(&oci_capabilities_table, p->capabilities);
    r = spec_capabilities(h, f->capabilities_held, p->capabilities, e);
    if (r < 0) {
        return r;
    }
    str_set(&p->apparmor_profile, f->apparmor_profile);
    str_set(&p->selinux_label, f->selinux_label);
    p->oom_score_adj = (struct opt_int){true, h->oom_score_adj};
    return spec_rlimits(h, f->default_ulimits, p, e);
}

/* ---- namespaces ---------------------------------------------------------------------------- */
static void add_map_line(struct field_array *ret, int64_t inside, int64_t host, int64_t size) {
    struct oci_id_map *m = field_array_add(ret, &oci_id_map_table);

    *m = (struct oci_id_map){inside, host, size};
}

void spec_id_map(const struct spec_facts *f, struct field_array *ret) {
    int64_t base = f->idmap_base, next = base + SPEC_EXTRA_FIRST;
    size_t n = f->extra_id_count < SPEC_EXTRA_MAX ? f->extra_id_count : SPEC_EXTRA_MAX;
    int64_t after = SPEC_EXTRA_FIRST + (int64_t)n;

    if (n == 0 || after >= f->idmap_size) {
        add_map_line(ret, 0, base, f->idmap_size);
        return;
    }
    add_map_line(ret, 0, base, SPEC_EXTRA_FIRST);
    add_map_line(ret, after, base + after, f->idmap_size - after);
    for (size_t i = 0; i < n; i++) {
        struct oci_id_map *last = field_array_at(ret, struct oci_id_map, ret->count - 1);

        /* Neighbours share a line: the kernel takes 340 of them. */
        if (i > 0 && last->container_id + last->size == f->extra_ids[i])
            last->size++;
        else
            add_map_line(ret, f->extra_ids[i], next, 1);
        next++;
    }
}

static int compare_ids(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

void spec_extra_ids(const char *user, char *const *groups, uint32_t size, uint32_t **ret,
                    size_t *ret_n) {
    auto_strv words = str_split(str_or_empty(user), ':');
    uint32_t *ids;
    size_t n = 0, unique = 0;

    strv_for_each (group, groups) {
        strv_add(&words, group);
    }
    ids = xcalloc(strv_len(words) + 1, sizeof(*ids));
    strv_for_each (word, words) {
        uint64_t id;

        if (str_to_u64(word, &id) == 0 && id >= size && id <= INT32_MAX) {
            ids[n++] = (uint32_t)id;
        }
    }
    qsort(ids, n, sizeof(*ids), compare_ids);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || ids[i] != ids[unique - 1]) {
            ids[unique++] = ids[i];
        }
    }
    *ret = ids;
    *ret_n = unique;
}

/* A new one, the one to join, or none in the list: the host's. */
static int fill_namespace(struct oci_spec *s, const char *type, const char *mode, const char *join,
                          const char *what, struct err *e) {
    if (mode_is_host(mode)) {
        return 0;
    }
    if (mode_container(mode) && !join) {
        return err_set(e, ERR_INVALID, "the %s namespace of container %s is not known", what,
                       mode_container(mode));
    }
    oci_spec_add_namespace(s, type, mode_container(mode) ? join : NULL);
    return 0;
}

static int fill_namespaces(const struct host_config *h, const struct spec_facts *f,
                           struct oci_spec *s, struct err *e) {
    int r;

    oci_spec_add_namespace(s, "mount", NULL);
    if (f->net_path) {
        oci_spec_add_namespace(s, "network", f->net_path);
        r = 0;
    } else {
        r = fill_namespace(s, "network", h->network_mode, f->join_net, "network", e);
    }
    if (r == 0) {
        r = fill_namespace(s, "uts", h->uts_mode, NULL, "UTS", e);
    }
    if (r == 0) {
        r = fill_namespace(s, "pid", h->pid_mode, f->join_pid, "PID", e);
    }
    if (r == 0) {
        r = fill_namespace(s, "ipc", h->ipc_mode, f->join_ipc, "IPC", e);
    }
    if (r < 0) {
        return r;
    }
    if (str_eq(h->cgroupns_mode, "private")) {
        oci_spec_add_namespace(s, "cgroup", NULL);
    }
    if (f->idmap_size > 0) {
        oci_spec_add_namespace(s, "user", f->join_user);
        spec_id_map(f, &s->lin.uid_mappings);
        spec_id_map(f, &s->lin.gid_mappings);
    }
    return 0;
}

/* Low ports and ping are everybody's in a network namespace of the container's own. */
static void fill_sysctls(const struct host_config *h, const struct spec_facts *f,
                         struct strmap *ret) {
    if (!mode_is_host(h->network_mode) && !mode_container(h->network_mode)) {
        /* The kernel takes only groups that are mapped. */
        auto_free char *groups =
            xasprintf("0 %" PRIu32, f->idmap_size ? f->idmap_size - 1 : (uint32_t)INT32_MAX);

        strmap_put(ret, "net.ipv4.ip_unprivileged_port_start", "0");
        strmap_put(ret, "net.ipv4.ping_group_range", groups);
    }
    strmap_for_each(s, &h->sysctls) {
        strmap_put(ret, s->key, s->value);
    }
}

/* ---- all of it ----------------------------------------------------------------------------- */
int spec_build(const struct container_config *c, const struct host_config *h,
               const struct spec_facts *f, struct oci_spec *ret, struct err *e) {
    int r;

    str_set(&ret->oci_version, OCI_RUNTIME_VERSION);
    r = fill_process(c, h, f, &ret->process, e);
    if (r < 0) {
        return r;
    }
    str_set(&ret->root.path, f->rootfs);
    ret->root.readonly = h->readonly_rootfs;
    if (!mode_is_host(h->uts_mode)) {
        str_set(&ret->hostname, c->hostname);
        str_set(&ret->domainname, c->domainname);
    }
    strmap_copy(&ret->annotations, &h->annotations);
    r = fill_namespaces(h, f, ret, e);
    if (r == 0) {
        r = spec_mounts(h, f, ret, e);
    }
    if (r < 0) {
        return r;
    }
    if (wants_init(h, f)) {
        oci_spec_add_mount(ret, INIT_INSIDE, "bind", f->init_path, "bind,ro");
    }
    ret->lin.masked_paths = strv_dup(h->masked_paths);
    ret->lin.readonly_paths = strv_dup(h->readonly_paths);
    fill_sysctls(h, f, &ret->lin.sysctl);
    str_set(&ret->lin.cgroups_path, f->cgroups_path);
    str_set(&ret->lin.seccomp, f->seccomp);
    str_set(&ret->lin.mount_label, f->mount_label);
    ret->lin.resources = xnew(struct oci_resources);
    field_init(&oci_resources_table, ret->lin.resources);
    r = spec_devices(h, ret, e);
    return r < 0 ? r : spec_resources(h, ret->lin.resources, e);
}
