/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of run and create as the body of POST /containers/create, member for member what
 * docker sends. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/map.h"
#include "base/str.h"
#include "cli/config.h"
#include "cli/create.h"
#include "cli/stream.h"
#include "format/json.h"
#include "format/units.h"

/* What the flags come to before it is written. */
struct spec {
    const struct cli *cli;
    const struct flags *f;
    char **env, **cmd, **binds, **cap_add, **cap_drop, **security, **extra_hosts, **group_add;
    struct strmap labels, volumes, tmpfs, log_options, storage, sysctls, annotations;
    struct json_object *exposed, *bindings, *mounts, *requests, *endpoints;
    char *network_mode;
    const char *restart_name;
    char *restart_text;
    int64_t restart_count;
    bool paths_unconfined;
};

static void spec_done(struct spec *s) {
    strv_free(s->env);
    strv_free(s->cmd);
    strv_free(s->binds);
    strv_free(s->cap_add);
    strv_free(s->cap_drop);
    strv_free(s->security);
    strv_free(s->extra_hosts);
    strv_free(s->group_add);
    strmap_done(&s->labels);
    strmap_done(&s->volumes);
    strmap_done(&s->tmpfs);
    strmap_done(&s->log_options);
    strmap_done(&s->storage);
    strmap_done(&s->sysctls);
    strmap_done(&s->annotations);
    json_object_put(s->exposed);
    json_object_put(s->bindings);
    json_object_put(s->mounts);
    json_object_put(s->requests);
    json_object_put(s->endpoints);
    free(s->network_mode);
    free(s->restart_text);
}

static int conflict(struct err *e, const char *one, const char *other) {
    return err_set(e, ERR_INVALID, "conflicting options: cannot specify both %s and %s", one,
                   other);
}

static void put_assignment(struct strmap *m, const char *kv) {
    const char *eq = strchr(kv, '=');
    auto_free char *key = xstrndup(kv, strcspn(kv, "="));

    strmap_put(m, key, eq ? eq + 1 : "");
}

/* ---- volumes ------------------------------------------------------------------------------- */

/* base/path without "." and "..", by the text alone as Go's filepath.Join. */
static char *path_clean(const char *base, const char *path) {
    auto_free char *joined = xasprintf("%s/%s", base, path);
    auto_strv parts = str_split(joined, '/');
    auto_strv kept = NULL;
    auto_free char *rest = NULL;

    strv_for_each (part, parts) {
        size_t n = strv_len(kept);

        if (str_eq(part, "..")) {
            if (n > 0) {
                free(kept[n - 1]);
                kept[n - 1] = NULL;
            }
        } else if (*part && !str_eq(part, ".")) {
            strv_add(&kept, part);
        }
    }
    rest = strv_join(kept, "/");
    return xasprintf("/%s", rest);
}

/* [source:]target[:options]; a source that starts with a dot is below our own directory. */
static int volume(struct spec *s, const char *v, struct err *e) {
    auto_strv part = str_split(v, ':');
    size_t n = strv_len(part);

    if (n == 0)
        return err_set(e, ERR_INVALID, "invalid empty volume spec");
    /* what else can be wrong with it is the daemon's to say */
    if (n == 1) {
        strmap_put(&s->volumes, v, "");
        return 0;
    }
    if (*part[0] == '.') {
        auto_free char *cwd = getcwd(NULL, 0), *joined = NULL;

        if (!cwd)
            return err_sys(e, errno, "getwd");
        joined = path_clean(cwd, part[0]);
        strv_take(&s->binds, xasprintf("%s:%s", joined, v + strlen(part[0]) + 1));
    } else {
        strv_add(&s->binds, v);
    }
    return 0;
}

static int volumes(struct spec *s, struct err *e) {
    int r = 0;

    strv_for_each (v, flag_list(s->f, "volume")) {
        r = volume(s, v, e);
        if (r < 0)
            return r;
    }
    strv_for_each (v, flag_list(s->f, "tmpfs")) {
        const char *colon = strchr(v, ':');
        auto_free char *path = xstrndup(v, strcspn(v, ":"));

        strmap_put(&s->tmpfs, path, colon ? colon + 1 : "");
    }
    strv_for_each (v, flag_list(s->f, "mount")) {
        struct json_object *m;

        r = mount_parse(v, &m, e);
        if (r < 0)
            return r;
        json_object_array_add(s->mounts, m);
    }
    return 0;
}

/* ---- capabilities and security ------------------------------------------------------------- */

static char *capability(const char *name) {
    char *up = xstrdup(name);

    for (char *p = up; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    if (!str_eq(up, "ALL") && !str_eq(up, "RESET") && !str_starts(up, "CAP_")) {
        char *full = xasprintf("CAP_%s", up);

        free(up);
        up = full;
    }
    return up;
}

static int compare_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Normalised, sorted, without doubles. */
static void capabilities(struct spec *s) {
    strv_for_each (v, flag_list(s->f, "cap-add")) {
        auto_free char *name = capability(v);

        if (!strv_has(s->cap_add, name))
            strv_add(&s->cap_add, name);
    }
    strv_for_each (v, flag_list(s->f, "cap-drop")) {
        auto_free char *name = capability(v);

        if (!strv_has(s->cap_drop, name))
            strv_add(&s->cap_drop, name);
    }
    if (s->cap_add)
        qsort(s->cap_add, strv_len(s->cap_add), sizeof *s->cap_add, compare_text);
    if (s->cap_drop)
        qsort(s->cap_drop, strv_len(s->cap_drop), sizeof *s->cap_drop, compare_text);
}

/* A seccomp profile is sent as its text, without blanks. */
static int seccomp_profile(struct spec *s, const char *path, struct err *e) {
    auto_buf text = BUF_INIT, compact = BUF_INIT;
    auto_json *profile = NULL;
    struct jw w;
    int r = io_read_file_at(AT_FDCWD, path, &text);

    if (r < 0)
        return err_set(e, ERR_INVALID, "opening seccomp profile (%s) failed: open %s: %s", path,
                       path, r == -ENOENT ? "no such file or directory" : strerror(-r));
    r = client_parse_json(buf_str(&text), text.len, &profile, e);
    if (r < 0) {
        err_wrap(e, "compacting json for seccomp profile (%s) failed", path);
        return r;
    }
    jw_init(&w, &compact);
    jw_value(&w, profile);
    strv_take(&s->security, xasprintf("seccomp=%s", buf_str(&compact)));
    return 0;
}

static int security(struct spec *s, struct err *e) {
    strv_for_each (v, flag_list(s->f, "security-opt")) {
        const char *value = strpbrk(v, "=:");
        int r;

        if (str_eq(v, "systempaths=unconfined")) {
            s->paths_unconfined = true;
            continue;
        }
        if (!value && !str_eq(v, "no-new-privileges"))
            return err_set(e, ERR_INVALID, "Invalid --security-opt: \"%s\"", v);
        if (str_starts(v, "seccomp=") && !str_eq(value + 1, "unconfined") &&
            !str_eq(value + 1, "builtin")) {
            r = seccomp_profile(s, value + 1, e);
            if (r < 0)
                return r;
            continue;
        }
        strv_add(&s->security, v);
    }
    return 0;
}

/* ---- single values ------------------------------------------------------------------------- */

static int check_mode(const char *v, const char *a, const char *b, const char *what,
                      struct err *e) {
    if (!*v || str_eq(v, a) || str_eq(v, b) || (b && str_ends(b, ":") && str_starts(v, b)))
        return 0;
    return err_set(e, ERR_INVALID, "%s", what);
}

static int restart(struct spec *s, struct err *e) {
    const char *policy = flag_str(s->f, "restart"), *colon = strchr(policy, ':');

    s->restart_text = xstrndup(policy, strcspn(policy, ":"));
    s->restart_name = s->restart_text;
    if (colon && colon == policy)
        return err_set(e, ERR_INVALID,
                       "invalid restart policy format: no policy provided before colon");
    if (colon && str_to_i64(colon + 1, &s->restart_count) < 0)
        return err_set(e, ERR_INVALID,
                       "invalid restart policy format: maximum retry count must be an integer");
    if (flag_bool(s->f, "rm") && !str_eq(s->restart_name, "no") && *s->restart_name)
        return conflict(e, "--restart", "--rm");
    return 0;
}

static int checks(struct spec *s, struct err *e) {
    static const char *const health[] = {"health-interval", "health-timeout", "health-start-period",
                                         "health-start-interval", "health-retries"};
    int64_t swappiness = flag_int(s->f, "memory-swappiness");
    bool has_health = *flag_str(s->f, "health-cmd") != '\0';
    int r;

    if (swappiness != -1 && (swappiness < 0 || swappiness > 100))
        return err_set(e, ERR_INVALID,
                       "invalid value: %lld. Valid memory swappiness range is 0-100",
                       (long long)swappiness);
    r = check_mode(flag_str(s->f, "pid"), "host", "container:", "--pid: invalid PID mode", e);
    if (r == 0)
        r = check_mode(flag_str(s->f, "uts"), "host", NULL, "--uts: invalid UTS mode", e);
    if (r == 0)
        r = check_mode(flag_str(s->f, "cgroupns"), "host", "private",
                       "--cgroupns: invalid CGROUP mode", e);
    if (r == 0 && !str_eq(flag_str(s->f, "userns"), "project"))
        r = check_mode(flag_str(s->f, "userns"), "host", "private", "--userns: invalid USER mode",
                       e);
    strv_for_each (device, flag_list(s->f, "device"))
        r = r < 0 ? r : check_device(device, e);
    for (size_t i = 0; i < sizeof health / sizeof *health && r == 0; i++) {
        has_health |= flag_int(s->f, health[i]) != 0;
        if (flag_int(s->f, health[i]) < 0)
            r = err_set(e, ERR_INVALID, "--%s cannot be negative", health[i]);
    }
    if (r == 0 && has_health && flag_bool(s->f, "no-healthcheck"))
        r = err_set(e, ERR_INVALID, "--no-healthcheck conflicts with --health-* options");
    if (r == 0 && str_eq(flag_str(s->f, "log-driver"), "none") && flag_list(s->f, "log-opt"))
        r = err_set(e, ERR_INVALID, "invalid logging opts for driver none");
    return r;
}

static int collect(struct spec *s, const struct args *a, struct err *e) {
    auto_strv labels = NULL;
    int r = checks(s, e);

    if (r == 0)
        r = volumes(s, e);
    if (r == 0)
        r = read_kv(flag_list(s->f, "env-file"), flag_list(s->f, "env"), true, &s->env, e);
    if (r == 0)
        config_add_proxies(s->cli, s->cli->client.host, &s->env);
    if (r == 0)
        r = read_kv(flag_list(s->f, "label-file"), flag_list(s->f, "label"), false, &labels, e);
    if (r == 0)
        r = ports_parse(flag_list(s->f, "publish"), flag_list(s->f, "expose"), s->exposed,
                        s->bindings, e);
    if (r == 0)
        r = gpus_parse(flag_list(s->f, "gpus"), s->requests, e);
    if (r == 0)
        r = security(s, e);
    if (r == 0)
        r = networks_parse(s->f, s->endpoints, &s->network_mode, e);
    if (r == 0)
        r = restart(s, e);
    if (r < 0)
        return r;
    for (int i = 1; i < a->argc; i++)
        strv_add(&s->cmd, a->argv[i]);
    strv_for_each (l, labels)
        put_assignment(&s->labels, l);
    strv_for_each (v, flag_list(s->f, "log-opt"))
        put_assignment(&s->log_options, v);
    strv_for_each (v, flag_list(s->f, "sysctl"))
        put_assignment(&s->sysctls, v);
    strv_for_each (v, flag_list(s->f, "annotation"))
        put_assignment(&s->annotations, v);
    strv_for_each (v, flag_list(s->f, "storage-opt")) {
        if (!strchr(v, '='))
            return err_set(e, ERR_INVALID, "invalid storage option");
        put_assignment(&s->storage, v);
    }
    strv_for_each (v, flag_list(s->f, "add-host")) {
        char *host = xstrdup(v), *sep = strpbrk(host, "=:"); /* check_add_host saw it */
        size_t n = strlen(host);

        *sep = ':';
        if (sep[1] == '[' && host[n - 1] == ']') {
            host[n - 1] = '\0';
            memmove(sep + 1, sep + 2, strlen(sep + 1));
        }
        strv_take(&s->extra_hosts, host);
    }
    capabilities(s);
    return 0;
}

/* ---- writing ------------------------------------------------------------------------------- */

static void put_map(struct jw *w, const char *key, const struct strmap *m) {
    jw_key(w, key);
    jw_object(w);
    strmap_for_each(item, m) jw_kstr(w, item->key, item->value);
    jw_end_object(w);
}

static void put_json(struct jw *w, const char *key, struct json_object *o) {
    jw_key(w, key);
    jw_value(w, o);
}

/* docker writes [] for some lists that were not given and null for others. */
static void put_list(struct jw *w, const char *key, char *const *v) {
    jw_key(w, key);
    jw_array(w);
    strv_for_each (s, v)
        jw_str(w, s);
    jw_end_array(w);
}

static void put_health(struct jw *w, const struct flags *f) {
    const char *cmd = flag_str(f, "health-cmd");
    static const struct {
        const char *flag, *member;
    } times[] = {{"health-interval", "Interval"},
                 {"health-timeout", "Timeout"},
                 {"health-start-period", "StartPeriod"},
                 {"health-start-interval", "StartInterval"},
                 {"health-retries", "Retries"}};
    bool any = *cmd;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        any |= flag_int(f, times[i].flag) != 0;
    if (!any && !flag_bool(f, "no-healthcheck"))
        return;
    jw_key(w, "Healthcheck");
    jw_object(w);
    if (*cmd || !any) {
        jw_key(w, "Test");
        jw_array(w);
        jw_str(w, any ? "CMD-SHELL" : "NONE");
        if (any)
            jw_str(w, cmd);
        jw_end_array(w);
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (flag_int(f, times[i].flag) != 0)
            jw_kint(w, times[i].member, flag_int(f, times[i].flag));
    jw_end_object(w);
}

static void put_rates(struct jw *w, const char *key, char *const *list, const char *member) {
    jw_key(w, key);
    jw_array(w);
    strv_for_each (v, list) {
        const char *colon = strrchr(v, ':');
        auto_free char *path = xstrndup(v, (size_t)(colon - v));
        int64_t n = 0;

        (void)units_parse_bytes(colon + 1, &n); /* the flag's check has parsed it already */
        jw_object(w);
        jw_kstr(w, "Path", path);
        jw_kint(w, member, n);
        jw_end_object(w);
    }
    jw_end_array(w);
}

static void put_devices(struct jw *w, char *const *list) {
    jw_key(w, "Devices");
    jw_array(w);
    strv_for_each (v, list) {
        auto_strv part = str_split(v, ':');
        size_t n = strv_len(part);
        const char *target = part[0], *mode = "rwm";

        if (*v != '/')
            continue; /* a CDI name: a device request */
        if (n == 3) {
            target = part[1];
            mode = part[2];
        } else if (n == 2 && *part[1] == '/') {
            target = part[1];
        } else if (n == 2) {
            mode = part[1];
        }
        jw_object(w);
        jw_kstr(w, "PathOnHost", part[0]);
        jw_kstr(w, "PathInContainer", target);
        jw_kstr(w, "CgroupPermissions", mode);
        jw_end_object(w);
    }
    jw_end_array(w);
}

static void add_cdi_devices(struct spec *s) {
    auto_strv names = NULL;
    struct json_object *o, *ids;

    strv_for_each (v, flag_list(s->f, "device"))
        if (*v != '/')
            strv_add(&names, v);
    if (!names)
        return;
    o = json_object_new_object();
    ids = json_object_new_array();
    strv_for_each (name, names)
        json_object_array_add(ids, json_object_new_string(name));
    json_object_object_add(o, "Driver", json_object_new_string("cdi"));
    json_object_object_add(o, "Count", json_object_new_int(0));
    json_object_object_add(o, "DeviceIDs", ids);
    json_object_object_add(o, "Capabilities", NULL);
    json_object_object_add(o, "Options", NULL);
    json_object_array_add(s->requests, o);
}

static void put_ulimits(struct jw *w, char *const *list) {
    struct json_object *sorted = json_object_new_object();
    auto_strv names = NULL;

    /* the last value of a name counts */
    strv_for_each (v, list) {
        auto_free char *name = xstrndup(v, strcspn(v, "="));

        if (!strv_has(names, name))
            strv_add(&names, name);
        json_object_object_add(sorted, name, json_object_new_string(v));
    }
    if (names)
        qsort(names, strv_len(names), sizeof *names, compare_text);
    jw_key(w, "Ulimits");
    jw_array(w);
    strv_for_each (name, names) {
        auto_free char *ignored = NULL;
        int64_t soft = 0, hard = 0;

        /* checked when the flag was parsed */
        (void)ulimit_parse(json_object_get_string(json_object_object_get(sorted, name)), &ignored,
                           &soft, &hard, NULL);
        jw_object(w);
        jw_kstr(w, "Name", name);
        jw_kint(w, "Hard", hard);
        jw_kint(w, "Soft", soft);
        jw_end_object(w);
    }
    jw_end_array(w);
    json_object_put(sorted);
}

static void put_resources(struct jw *w, struct spec *s) {
    const struct flags *f = s->f;

    jw_kint(w, "CpuShares", flag_int(f, "cpu-shares"));
    jw_kint(w, "Memory", flag_int(f, "memory"));
    jw_kint(w, "NanoCpus", flag_int(f, "cpus"));
    jw_kstr(w, "CgroupParent", flag_str(f, "cgroup-parent"));
    jw_kint(w, "BlkioWeight", flag_int(f, "blkio-weight"));
    put_rates(w, "BlkioWeightDevice", flag_list(f, "blkio-weight-device"), "Weight");
    put_rates(w, "BlkioDeviceReadBps", flag_list(f, "device-read-bps"), "Rate");
    put_rates(w, "BlkioDeviceWriteBps", flag_list(f, "device-write-bps"), "Rate");
    put_rates(w, "BlkioDeviceReadIOps", flag_list(f, "device-read-iops"), "Rate");
    put_rates(w, "BlkioDeviceWriteIOps", flag_list(f, "device-write-iops"), "Rate");
    jw_kint(w, "CpuPeriod", flag_int(f, "cpu-period"));
    jw_kint(w, "CpuQuota", flag_int(f, "cpu-quota"));
    jw_kint(w, "CpuRealtimePeriod", flag_int(f, "cpu-rt-period"));
    jw_kint(w, "CpuRealtimeRuntime", flag_int(f, "cpu-rt-runtime"));
    jw_kstr(w, "CpusetCpus", flag_str(f, "cpuset-cpus"));
    jw_kstr(w, "CpusetMems", flag_str(f, "cpuset-mems"));
    put_devices(w, flag_list(f, "device"));
    jw_kstrv(w, "DeviceCgroupRules", flag_list(f, "device-cgroup-rule"));
    if (json_object_array_length(s->requests) > 0)
        put_json(w, "DeviceRequests", s->requests);
    else
        jw_knull(w, "DeviceRequests");
    jw_kint(w, "MemoryReservation", flag_int(f, "memory-reservation"));
    jw_kint(w, "MemorySwap", flag_int(f, "memory-swap"));
    jw_kint(w, "MemorySwappiness", flag_int(f, "memory-swappiness"));
    jw_kbool(w, "OomKillDisable", flag_bool(f, "oom-kill-disable"));
    jw_kint(w, "PidsLimit", flag_int(f, "pids-limit"));
    put_ulimits(w, flag_list(f, "ulimit"));
    jw_kint(w, "CpuCount", flag_int(f, "cpu-count"));
    jw_kint(w, "CpuPercent", flag_int(f, "cpu-percent"));
    jw_kint(w, "IOMaximumIOps", flag_int(f, "io-maxiops"));
    jw_kint(w, "IOMaximumBandwidth", flag_int(f, "io-maxbandwidth"));
}

static void put_console_size(struct jw *w, bool tty) {
    unsigned rows = 0, columns = 0;

    if (tty)
        (void)terminal_size(STDOUT_FILENO, &rows, &columns);
    jw_key(w, "ConsoleSize");
    jw_array(w);
    jw_int(w, rows);
    jw_int(w, columns);
    jw_end_array(w);
}

static void put_host_config(struct jw *w, struct spec *s) {
    const struct flags *f = s->f;

    jw_key(w, "HostConfig");
    jw_object(w);
    jw_kstrv(w, "Binds", s->binds);
    jw_kstr(w, "ContainerIDFile", flag_str(f, "cidfile"));
    jw_key(w, "LogConfig");
    jw_object(w);
    jw_kstr(w, "Type", flag_str(f, "log-driver"));
    put_map(w, "Config", &s->log_options);
    jw_end_object(w);
    jw_kstr(w, "NetworkMode", s->network_mode);
    put_json(w, "PortBindings", s->bindings);
    jw_key(w, "RestartPolicy");
    jw_object(w);
    jw_kstr(w, "Name", s->restart_name);
    jw_kint(w, "MaximumRetryCount", s->restart_count);
    jw_end_object(w);
    jw_kbool(w, "AutoRemove", flag_bool(f, "rm"));
    jw_kstr(w, "VolumeDriver", flag_str(f, "volume-driver"));
    jw_kstrv(w, "VolumesFrom", flag_list(f, "volumes-from"));
    put_console_size(w, flag_bool(f, "tty"));
    if (s->annotations.count > 0)
        put_map(w, "Annotations", &s->annotations);
    jw_kstrv(w, "CapAdd", s->cap_add);
    jw_kstrv(w, "CapDrop", s->cap_drop);
    jw_kstr(w, "CgroupnsMode", flag_str(f, "cgroupns"));
    put_list(w, "Dns", flag_list(f, "dns"));
    put_list(w, "DnsOptions", flag_list(f, "dns-option"));
    put_list(w, "DnsSearch", flag_list(f, "dns-search"));
    jw_kstrv(w, "ExtraHosts", s->extra_hosts);
    jw_kstrv(w, "GroupAdd", flag_list(f, "group-add"));
    jw_kstr(w, "IpcMode", flag_str(f, "ipc"));
    jw_kstr(w, "Cgroup", "");
    jw_kstrv(w, "Links", flag_list(f, "link"));
    jw_kint(w, "OomScoreAdj", flag_int(f, "oom-score-adj"));
    jw_kstr(w, "PidMode", flag_str(f, "pid"));
    jw_kbool(w, "Privileged", flag_bool(f, "privileged"));
    jw_kbool(w, "PublishAllPorts", flag_bool(f, "publish-all"));
    jw_kbool(w, "ReadonlyRootfs", flag_bool(f, "read-only"));
    if (s->paths_unconfined && !s->security)
        put_list(w, "SecurityOpt", NULL);
    else
        jw_kstrv(w, "SecurityOpt", s->security);
    if (s->storage.count > 0)
        put_map(w, "StorageOpt", &s->storage);
    if (s->tmpfs.count > 0)
        put_map(w, "Tmpfs", &s->tmpfs);
    jw_kstr(w, "UTSMode", flag_str(f, "uts"));
    jw_kstr(w, "UsernsMode", flag_str(f, "userns"));
    jw_kint(w, "ShmSize", flag_int(f, "shm-size"));
    if (s->sysctls.count > 0)
        put_map(w, "Sysctls", &s->sysctls);
    if (*flag_str(f, "runtime"))
        jw_kstr(w, "Runtime", flag_str(f, "runtime"));
    jw_kstr(w, "Isolation", flag_str(f, "isolation"));
    put_resources(w, s);
    if (json_object_array_length(s->mounts) > 0)
        put_json(w, "Mounts", s->mounts);
    if (s->paths_unconfined) {
        put_list(w, "MaskedPaths", NULL);
        put_list(w, "ReadonlyPaths", NULL);
    } else {
        jw_knull(w, "MaskedPaths");
        jw_knull(w, "ReadonlyPaths");
    }
    if (flag_changed(f, "init"))
        jw_kbool(w, "Init", flag_bool(f, "init"));
    jw_end_object(w);
}

static void put_entrypoint(struct jw *w, const struct flags *f) {
    if (!flag_changed(f, "entrypoint")) {
        jw_knull(w, "Entrypoint");
        return;
    }
    jw_key(w, "Entrypoint");
    jw_array(w);
    jw_str(w, flag_str(f, "entrypoint"));
    jw_end_array(w);
}

static void put_body(struct jw *w, struct spec *s, const struct args *a,
                     const struct create_result *what) {
    const struct flags *f = s->f;

    jw_object(w);
    jw_kstr(w, "Hostname", flag_str(f, "hostname"));
    jw_kstr(w, "Domainname", flag_str(f, "domainname"));
    jw_kstr(w, "User", flag_str(f, "user"));
    jw_kbool(w, "AttachStdin", what->attach_stdin);
    jw_kbool(w, "AttachStdout", what->attach_stdout);
    jw_kbool(w, "AttachStderr", what->attach_stderr);
    if (json_object_object_length(s->exposed) > 0)
        put_json(w, "ExposedPorts", s->exposed);
    jw_kbool(w, "Tty", what->tty);
    jw_kbool(w, "OpenStdin", what->interactive);
    jw_kbool(w, "StdinOnce", what->interactive && what->attach_stdin);
    jw_kstrv(w, "Env", s->env);
    jw_kstrv(w, "Cmd", s->cmd);
    put_health(w, f);
    jw_kstr(w, "Image", a->argv[0]);
    jw_key(w, "Volumes");
    jw_object(w);
    strmap_for_each(v, &s->volumes) {
        jw_key(w, v->key);
        jw_object(w);
        jw_end_object(w);
    }
    jw_end_object(w);
    jw_kstr(w, "WorkingDir", flag_str(f, "workdir"));
    put_entrypoint(w, f);
    jw_knull(w, "OnBuild");
    put_map(w, "Labels", &s->labels);
    if (*flag_str(f, "stop-signal"))
        jw_kstr(w, "StopSignal", flag_str(f, "stop-signal"));
    if (flag_changed(f, "stop-timeout"))
        jw_kint(w, "StopTimeout", flag_int(f, "stop-timeout"));
    put_host_config(w, s);
    jw_key(w, "NetworkingConfig");
    jw_object(w);
    put_json(w, "EndpointsConfig", s->endpoints);
    jw_end_object(w);
    jw_end_object(w);
}

static bool attached(char *const *list, const char *name) {
    strv_for_each (s, list)
        if (str_case_eq(s, name))
            return true;
    return false;
}

int create_body(struct cli *cli, const struct args *a, bool detached, struct create_result *what,
                struct buf *body, struct err *e) {
    __attribute__((cleanup(spec_done))) struct spec s = {
        .cli = cli,
        .f = &a->flags,
        .exposed = json_object_new_object(),
        .bindings = json_object_new_object(),
        .mounts = json_object_new_array(),
        .requests = json_object_new_array(),
        .endpoints = json_object_new_object(),
    };
    char *const *streams = flag_list(&a->flags, "attach");
    struct jw w;
    int r;

    if (flag_bool(&a->flags, "use-api-socket") && cli->client.transport == CLIENT_UNIX)
        strv_take(&s.binds, xasprintf("%s:/var/run/docker.sock", cli->client.address));
    r = collect(&s, a, e);
    if (r < 0)
        return r;
    add_cdi_devices(&s);
    what->tty = flag_bool(&a->flags, "tty");
    what->interactive = flag_bool(&a->flags, "interactive");
    what->auto_remove = flag_bool(&a->flags, "rm");
    if (!detached) {
        what->attach_stdin = what->interactive || attached(streams, "stdin");
        what->attach_stdout = !streams || attached(streams, "stdout");
        what->attach_stderr = !streams || attached(streams, "stderr");
    }
    jw_init(&w, body);
    put_body(&w, &s, a, what);
    return body->failed ? err_set(e, ERR_TOO_LARGE, "the request is too long") : 0;
}
