/* SPDX-License-Identifier: Apache-2.0 */

/* GET /containers/{id}/json, in the order dockerd prints it. */
#include <string.h>

#include "api/containers.h"
#include "api/show.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "engine/endpoints.h"
#include "engine/exec.h"
#include "engine/health.h"
#include "engine/init_layer.h"
#include "engine/links.h"
#include "engine/ports.h"

static void emit_state(const struct container *c, struct jw *w) {
    char text[TIME_TEXT_MAX];

    jw_key(w, "State");
    jw_object(w);
    jw_kstr(w, "Status", container_status(c));
    jw_kbool(w, "Running", container_is_running(c) || container_is_restarting(c));
    jw_kbool(w, "Paused", c->rec.paused);
    jw_kbool(w, "Restarting", container_is_restarting(c));
    jw_kbool(w, "OOMKilled", c->rec.oom_killed);
    jw_kbool(w, "Dead", c->rec.dead);
    jw_kint(w, "Pid", c->rec.pid);
    jw_kint(w, "ExitCode", c->rec.exit_code);
    jw_kstr(w, "Error", c->rec.error);
    jw_kstr(w, "StartedAt", time_format(c->rec.started_ns, text));
    jw_kstr(w, "FinishedAt", time_format(c->rec.finished_ns, text));
    health_emit(c, w);
    jw_end_object(w);
}

static void emit_graph_driver(const struct container *c, struct jw *w) {
    auto_free char *dir = container_dir(c), *lower = NULL;
    auto_free char *upper = xasprintf("%s/diff", dir), *work = xasprintf("%s/work", dir);
    auto_free char *merged = c->rec.running ? xasprintf("/proc/%lld/root", (long long)c->rec.pid)
                                            : xasprintf("%s/merged", dir);
    auto_strv layers = NULL;

    if (container_lower_paths(c, &layers, NULL) == 0)
        lower = strv_join(layers, ":");
    jw_key(w, "GraphDriver");
    jw_object(w);
    jw_key(w, "Data");
    jw_object(w);
    jw_kstr(w, "LowerDir", lower);
    jw_kstr(w, "MergedDir", merged);
    jw_kstr(w, "UpperDir", upper);
    jw_kstr(w, "WorkDir", work);
    jw_end_object(w);
    jw_kstr(w, "Name", "overlay2");
    jw_end_object(w);
}

/* The top level repeats the endpoint on the default bridge, and nothing else. */
static void emit_network(const struct container *c, int version, struct jw *w) {
    const struct network *bridge = network_default(c->engine);
    const struct endpoint *on = bridge ? endpoint_on(c, bridge) : NULL;
    const struct endpoint none = {0}, *n = on ? on : &none;
    auto_free char *key =
        c->rec.running ? xasprintf("/proc/%lld/ns/net", (long long)c->rec.pid) : xstrdup("");

    jw_key(w, "NetworkSettings");
    jw_object(w);
    jw_kstr(w, "Bridge", "");
    jw_kstr(w, "SandboxID", c->rec.running ? c->rec.id : "");
    jw_kbool(w, "HairpinMode", false);
    jw_kstr(w, "LinkLocalIPv6Address", "");
    jw_kint(w, "LinkLocalIPv6PrefixLen", 0);
    jw_key(w, "Ports");
    ports_emit_map(c, w);
    jw_kstr(w, "SandboxKey", key);
    jw_knull(w, "SecondaryIPAddresses");
    jw_knull(w, "SecondaryIPv6Addresses");
    jw_kstr(w, "EndpointID", n->id);
    jw_kstr(w, "Gateway", n->gateway);
    jw_kstr(w, "GlobalIPv6Address", n->address6);
    jw_kint(w, "GlobalIPv6PrefixLen", n->prefix_len6);
    jw_kstr(w, "IPAddress", n->address);
    jw_kint(w, "IPPrefixLen", n->prefix_len);
    jw_kstr(w, "IPv6Gateway", n->gateway6);
    jw_kstr(w, "MacAddress", n->mac);
    jw_key(w, "Networks");
    show_networks(c, true, version, w);
    jw_end_object(w);
}

static void emit_mounts(const struct container *c, struct jw *w) {
    jw_key(w, "Mounts");
    jw_array(w);
    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);

        if (!m->hidden)
            field_emit(&mount_point_api_table, m, w);
    }
    jw_end_array(w);
    /* What API versions before 1.20 had instead of Mounts: scripts of that time read them. */
    jw_key(w, "Volumes");
    jw_object(w);
    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);

        if (!m->hidden && !str_eq(m->type, "tmpfs"))
            jw_kstr(w, m->destination, m->source);
    }
    jw_end_object(w);
    jw_key(w, "VolumesRW");
    jw_object(w);
    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);

        if (!m->hidden && !str_eq(m->type, "tmpfs"))
            jw_kbool(w, m->destination, m->rw);
    }
    jw_end_object(w);
}

static void emit(const struct container *c, const struct show_size *size, int version,
                 struct jw *w) {
    auto_free char *dir = container_dir(c), *name = xasprintf("/%s", c->rec.name);
    /* Of the container whose network this one shares, as long as it is there. */
    const char *joined = mode_container(c->rec.host.network_mode);
    struct container *owner = joined ? container_find(c->engine, joined, NULL) : NULL;
    auto_free char *files = owner ? container_dir(owner) : xstrdup(dir);
    auto_free char *resolv = xasprintf("%s/resolv.conf", files);
    auto_free char *hostname = xasprintf("%s/hostname", files);
    auto_free char *hosts = xasprintf("%s/hosts", files);
    auto_free char *log = container_log_path(c);
    auto_strv execs = exec_ids(c);
    bool started = c->rec.has_been_started || !str_empty(c->rec.error); /* the files were made */
    char text[TIME_TEXT_MAX];

    jw_object(w);
    jw_kstr(w, "Id", c->rec.id);
    jw_kstr(w, "Created", time_format(c->rec.created_ns, text));
    jw_kstr(w, "Path", c->rec.path);
    jw_key(w, "Args");
    jw_array(w);
    strv_for_each (arg, c->rec.args)
        jw_str(w, arg);
    jw_end_array(w);
    emit_state(c, w);
    jw_kstr(w, "Image", c->rec.image_id);
    jw_kstr(w, "ResolvConfPath", started ? resolv : "");
    jw_kstr(w, "HostnamePath", started ? hostname : "");
    jw_kstr(w, "HostsPath", started ? hosts : "");
    jw_kstr(w, "LogPath", started && str_eq(c->rec.host.log_config.type, "json-file") ? log : "");
    jw_kstr(w, "Name", name);
    jw_kint(w, "RestartCount", c->rec.restart_count);
    jw_kstr(w, "Driver", "overlay2");
    jw_kstr(w, "Platform", "linux");
    jw_kstr(w, "MountLabel", str_or_empty(c->rec.mount_label));
    jw_kstr(w, "ProcessLabel", str_or_empty(c->rec.process_label));
    jw_kstr(w, "AppArmorProfile", "");
    jw_kstrv(w, "ExecIDs", execs);
    jw_key(w, "HostConfig");
    {
        struct host_config h = c->rec.host; /* a shallow view */
        auto_strv links = links_show(c);

        h.links = links;
        field_emit(&host_config_table, &h, w);
    }
    emit_graph_driver(c, w);
    if (size) {
        jw_kint(w, "SizeRw", size->rw < 0 ? 0 : size->rw);
        jw_kint(w, "SizeRootFs", size->root < 0 ? 0 : size->root);
    }
    emit_mounts(c, w);
    jw_key(w, "Config");
    field_emit(&container_config_table, &c->rec.config, w);
    emit_network(c, version, w);
    if (c->rec.warnings)
        jw_kstrv(w, "Warnings", c->rec.warnings);
    jw_end_object(w);
}

struct inspecting {
    struct api_call *call;
    struct show_sizes sizes;
};

static int measure(struct job *j, void *arg) {
    struct inspecting *x = arg;

    (void)j;
    show_sizes_measure(&x->sizes);
    return 0;
}

static void answer(struct api_call *call, const struct container *c, const struct show_size *size) {
    auto_buf b = BUF_INIT;
    struct jw w;

    jw_init(&w, &b);
    emit(c, size, call->version, &w);
    call_json(call, 200, &b);
}

static void measured(void *arg, int r) {
    struct inspecting *x = arg;
    struct container *c = map_get(&x->call->engine->containers, x->sizes.items[0].id);

    (void)r;
    if (c)
        answer(x->call, c, &x->sizes.items[0]);
    else
        call_errorf(x->call, ERR_NOT_FOUND, "No such container: %s", x->sizes.items[0].id);
    show_sizes_done(&x->sizes);
    free(x);
}

void containers_inspect(struct api_call *c) {
    struct container *found = call_container(c);
    struct inspecting *x;

    if (!found)
        return;
    if (!call_query_bool(c, "size", false)) {
        answer(c, found, NULL);
        return;
    }
    x = xnew(struct inspecting);
    x->call = c;
    show_sizes_add(&x->sizes, found);
    job_start(c->engine->loop, JOB_SHORT, measure, measured, x);
}
