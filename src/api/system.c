/* SPDX-License-Identifier: Apache-2.0 */

/* ping, version, info, events. Disk usage is in system_df.c. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/router.h"
#include "api/system.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "engine/container.h"
#include "engine/userns.h"

#define EVENTS_CHUNK_MAX (1u << 20)

static void answer_ping(struct api_call *c, const char *text) {
    static const struct http_header uncached[] = {
        {"Cache-Control", "no-cache, no-store, must-revalidate"},
        {"Pragma", "no-cache"},
        {NULL, NULL},
    };

    call_text_with(c, 200, "text/plain; charset=utf-8", uncached, text);
}

static void ping(struct api_call *c) {
    answer_ping(c, "OK");
}

static void ping_head(struct api_call *c) {
    answer_ping(c, "");
}

/* ---- version --------------------------------------------------------------------------------- */
static const char *architecture(void) {
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#else
#error "this architecture has no name in Docker's API yet"
#endif
}

static void version(struct api_call *c) {
    auto_buf b = BUF_INIT;
    struct utsname u;
    struct jw w;

    (void)uname(&u); /* cannot fail */
    jw_init(&w, &b);
    jw_object(&w);
    jw_key(&w, "Platform");
    jw_object(&w);
    jw_kstr(&w, "Name", "Fence");
    jw_end_object(&w);
    jw_key(&w, "Components");
    jw_array(&w);
    jw_object(&w);
    jw_kstr(&w, "Name", "Engine");
    jw_kstr(&w, "Version", FENCE_VERSION);
    jw_key(&w, "Details");
    jw_object(&w);
    jw_kstr(&w, "ApiVersion", "1.51");
    jw_kstr(&w, "Arch", architecture());
    jw_kstr(&w, "BuildTime", "");
    jw_kstr(&w, "Experimental", c->engine->options.experimental ? "true" : "false");
    jw_kstr(&w, "GitCommit", "");
    jw_kstr(&w, "GoVersion", "");
    jw_kstr(&w, "KernelVersion", u.release);
    jw_kstr(&w, "MinAPIVersion", "1.24");
    jw_kstr(&w, "Os", "linux");
    jw_end_object(&w);
    jw_end_object(&w);
    jw_end_array(&w);
    jw_kstr(&w, "Version", FENCE_VERSION);
    jw_kstr(&w, "ApiVersion", "1.51");
    jw_kstr(&w, "MinAPIVersion", "1.24");
    jw_kstr(&w, "GitCommit", "");
    jw_kstr(&w, "GoVersion", "");
    jw_kstr(&w, "Os", "linux");
    jw_kstr(&w, "Arch", architecture());
    jw_kstr(&w, "KernelVersion", u.release);
    jw_kbool(&w, "Experimental", c->engine->options.experimental);
    jw_kstr(&w, "BuildTime", "");
    jw_end_object(&w);
    call_json(c, 200, &b);
}

/* ---- info ------------------------------------------------------------------------------------ */
static bool sysctl_is_on(const char *path) {
    auto_buf b = {.max = 64};

    return io_read_file_at(AT_FDCWD, path, &b) == 0 && buf_str(&b)[0] == '1';
}

static int64_t count_fds(void) {
    DIR *d = opendir("/proc/self/fd");
    int64_t n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the listing itself */
}

/* PRETTY_NAME of os-release. Owned by the caller. */
static char *operating_system(void) {
    auto_buf b = {.max = 64 << 10};
    auto_strv lines = NULL;

    if (io_read_file_at(AT_FDCWD, "/etc/os-release", &b) < 0)
        (void)io_read_file_at(AT_FDCWD, "/usr/lib/os-release", &b); /* none: "linux" */
    lines = str_split(buf_str(&b), '\n');
    strv_for_each (line, lines) {
        const char *v = str_after(line, "PRETTY_NAME=");
        size_t n;

        if (!v)
            continue;
        if (*v == '"' || *v == '\'')
            v++;
        n = strcspn(v, "\"'");
        return xstrndup(v, n);
    }
    return xstrdup("linux");
}

static void pair(struct jw *w, const char *key, const char *value) {
    jw_array(w);
    jw_str(w, key);
    jw_str(w, value);
    jw_end_array(w);
}

static void emit_plugins(struct jw *w) {
    jw_key(w, "Plugins");
    jw_object(w);
    jw_key(w, "Volume");
    jw_array(w);
    jw_str(w, "local");
    jw_end_array(w);
    jw_key(w, "Network");
    jw_array(w);
    jw_str(w, "bridge");
    jw_str(w, "host");
    jw_str(w, "null");
    jw_end_array(w);
    jw_knull(w, "Authorization");
    jw_key(w, "Log");
    jw_array(w);
    jw_str(w, "json-file");
    jw_str(w, "local");
    jw_str(w, "none");
    jw_end_array(w);
    jw_end_object(w);
}

static void emit_registry(struct jw *w) {
    jw_key(w, "RegistryConfig");
    jw_object(w);
    jw_key(w, "AllowNondistributableArtifactsCIDRs");
    jw_array(w);
    jw_end_array(w);
    jw_key(w, "AllowNondistributableArtifactsHostnames");
    jw_array(w);
    jw_end_array(w);
    jw_key(w, "InsecureRegistryCIDRs");
    jw_array(w);
    jw_str(w, "127.0.0.0/8");
    jw_end_array(w);
    jw_key(w, "IndexConfigs");
    jw_object(w);
    jw_key(w, "docker.io");
    jw_object(w);
    jw_kstr(w, "Name", "docker.io");
    jw_key(w, "Mirrors");
    jw_array(w);
    jw_end_array(w);
    jw_kbool(w, "Secure", true);
    jw_kbool(w, "Official", true);
    jw_end_object(w);
    jw_end_object(w);
    jw_key(w, "Mirrors");
    jw_array(w);
    jw_end_array(w);
    jw_end_object(w);
}

static void emit_swarm(struct jw *w) {
    jw_key(w, "Swarm");
    jw_object(w);
    jw_kstr(w, "NodeID", "");
    jw_kstr(w, "NodeAddr", "");
    jw_kstr(w, "LocalNodeState", "inactive");
    jw_kbool(w, "ControlAvailable", false);
    jw_kstr(w, "Error", "");
    jw_knull(w, "RemoteManagers");
    jw_end_object(w);
}

static void emit_commit(struct jw *w, const char *key) {
    jw_key(w, key);
    jw_object(w);
    jw_kstr(w, "ID", "");
    jw_kstr(w, "Expected", "");
    jw_end_object(w);
}

static void emit_warnings(char *const *own, const struct cgroup_info *cg, bool bridge_nf4,
                          bool bridge_nf6, struct jw *w) {
    const struct {
        bool bad;
        const char *text;
    } all[] = {
        {!cg->memory, "WARNING: No memory limit support"},
        {!cg->swap, "WARNING: No swap limit support"},
        {cg->version == 1 && !cg->oom_kill_disable, "WARNING: No oom kill disable support"},
        {!cg->cpu_cfs_quota, "WARNING: No cpu cfs quota support"},
        {!cg->cpu_cfs_period, "WARNING: No cpu cfs period support"},
        {!cg->cpu_shares, "WARNING: No cpu shares support"},
        {!cg->cpuset, "WARNING: No cpuset support"},
        {!bridge_nf4, "WARNING: bridge-nf-call-iptables is disabled"},
        {!bridge_nf6, "WARNING: bridge-nf-call-ip6tables is disabled"},
    };
    auto_strv bad = strv_dup(own);

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].bad)
            strv_add(&bad, all[i].text);
    jw_key(w, "Warnings");
    if (!bad) {
        jw_null(w);
        return;
    }
    jw_array(w);
    strv_for_each (text, bad)
        jw_str(w, text);
    jw_end_array(w);
}

/* Whether containers have user namespaces of their own unless they ask for something else. */
static bool has_userns(const struct engine *eng) {
    return userns_kernel_can() && !eng->root_unmappable &&
           !str_eq(eng->options.userns_remap, "host");
}

static void emit_security(const struct engine *eng, struct jw *w) {
    jw_key(w, "SecurityOptions");
    jw_array(w);
    if (eng->lsm.apparmor)
        jw_str(w, "name=apparmor");
    jw_str(w, str_eq(eng->options.seccomp_profile, "unconfined") ? "name=seccomp,profile=unconfined"
              : eng->options.seccomp_profile                     ? "name=seccomp,profile=custom"
                                                                 : "name=seccomp,profile=default");
    if (eng->selinux)
        jw_str(w, "name=selinux");
    if (has_userns(eng))
        jw_str(w, "name=userns");
    if (eng->cgroups->version == 2) /* private by default there */
        jw_str(w, "name=cgroupns");
    if (eng->options.no_new_privileges)
        jw_str(w, "name=no-new-privileges");
    jw_end_array(w);
}

static void info(struct api_call *c) {
    const struct engine *eng = c->engine;
    const struct cgroup_info *cg = &eng->cgroup_info;
    int64_t running = 0, paused = 0, stopped = 0;
    bool nf4 = sysctl_is_on("/proc/sys/net/bridge/bridge-nf-call-iptables");
    bool nf6 = sysctl_is_on("/proc/sys/net/bridge/bridge-nf-call-ip6tables");
    auto_free char *os = operating_system();
    char now[TIME_TEXT_MAX], version_text[8];
    auto_buf b = BUF_INIT;
    struct utsname u;
    struct jw w;

    (void)uname(&u); /* cannot fail */
    map_for_each (it, &eng->containers) {
        const struct container *x = it->value;

        if (x->rec.paused)
            paused++;
        else if (container_is_running(x))
            running++;
        else
            stopped++;
    }
    jw_init(&w, &b);
    jw_object(&w);
    jw_kstr(&w, "ID", eng->id);
    jw_kint(&w, "Containers", (int64_t)eng->containers.count);
    jw_kint(&w, "ContainersRunning", running);
    jw_kint(&w, "ContainersPaused", paused);
    jw_kint(&w, "ContainersStopped", stopped);
    jw_kint(&w, "Images", (int64_t)image_count(eng->images));
    jw_kstr(&w, "Driver", "overlay2");
    jw_key(&w, "DriverStatus");
    jw_array(&w);
    pair(&w, "Supports d_type", "true");
    pair(&w, "Native Overlay Diff", "true");
    pair(&w, "Idmapped layers", has_userns(eng) ? "true" : "false");
    jw_end_array(&w);
    emit_plugins(&w);
    jw_kbool(&w, "MemoryLimit", cg->memory);
    jw_kbool(&w, "SwapLimit", cg->swap);
    jw_kbool(&w, "KernelMemory", false);
    jw_kbool(&w, "KernelMemoryTCP", false);
    jw_kbool(&w, "CpuCfsPeriod", cg->cpu_cfs_period);
    jw_kbool(&w, "CpuCfsQuota", cg->cpu_cfs_quota);
    jw_kbool(&w, "CPUShares", cg->cpu_shares);
    jw_kbool(&w, "CPUSet", cg->cpuset);
    jw_kbool(&w, "PidsLimit", cg->pids);
    jw_kbool(&w, "IPv4Forwarding", sysctl_is_on("/proc/sys/net/ipv4/ip_forward"));
    jw_kbool(&w, "BridgeNfIptables", nf4);
    jw_kbool(&w, "BridgeNfIp6tables", nf6);
    jw_kbool(&w, "Debug", eng->options.debug);
    jw_kint(&w, "NFd", count_fds());
    jw_kbool(&w, "OomKillDisable", cg->oom_kill_disable);
    jw_kint(&w, "NGoroutines", 1); /* one loop thread; workers come and go */
    jw_kstr(&w, "SystemTime", time_format(clock_real_ns(), now));
    jw_kstr(&w, "LoggingDriver", eng->options.log_driver);
    jw_kstr(&w, "CgroupDriver", cg->driver);
    snprintf(version_text, sizeof version_text, "%d", cg->version);
    jw_kstr(&w, "CgroupVersion", version_text);
    jw_kint(&w, "NEventsListener", (int64_t)events_subscriber_count(eng->events));
    jw_kstr(&w, "KernelVersion", u.release);
    jw_kstr(&w, "OperatingSystem", os);
    jw_kstr(&w, "OSVersion", "");
    jw_kstr(&w, "OSType", "linux");
    jw_kstr(&w, "Architecture", u.machine);
    jw_kstr(&w, "IndexServerAddress", "https://index.docker.io/v1/");
    emit_registry(&w);
    jw_kint(&w, "NCPU", sysconf(_SC_NPROCESSORS_ONLN));
    jw_kint(&w, "MemTotal", sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
    jw_knull(&w, "GenericResources");
    jw_kstr(&w, "DockerRootDir", eng->options.data_root);
    jw_kstr(&w, "HttpProxy", "");
    jw_kstr(&w, "HttpsProxy", "");
    jw_kstr(&w, "NoProxy", "");
    jw_kstr(&w, "Name", eng->options.name);
    jw_key(&w, "Labels");
    jw_array(&w);
    strv_for_each (label, eng->options.labels)
        jw_str(&w, label);
    jw_end_array(&w);
    jw_kbool(&w, "ExperimentalBuild", eng->options.experimental);
    jw_kstr(&w, "ServerVersion", FENCE_VERSION);
    jw_key(&w, "Runtimes");
    jw_object(&w);
    jw_key(&w, "fence"); /* the name that --runtime takes */
    jw_object(&w);
    jw_kstr(&w, "path", "fence");
    jw_end_object(&w);
    jw_end_object(&w);
    jw_kstr(&w, "DefaultRuntime", "fence");
    emit_swarm(&w);
    jw_kbool(&w, "LiveRestoreEnabled", eng->options.live_restore);
    jw_kstr(&w, "Isolation", "");
    jw_kstr(&w, "InitBinary", "fence-init");
    emit_commit(&w, "ContainerdCommit");
    emit_commit(&w, "RuncCommit");
    emit_commit(&w, "InitCommit");
    emit_security(eng, &w);
    emit_warnings(eng->warnings, cg, nf4, nf6, &w);
    jw_end_object(&w);
    call_json(c, 200, &b);
}

/* ---- events ---------------------------------------------------------------------------------- */
struct streaming {
    struct api_call *call;
    struct events_subscriber *subscriber;
};

static void event_line(void *arg, const char *json) {
    struct streaming *s = arg;
    auto_buf line = {.max = EVENTS_CHUNK_MAX};

    if (buf_puts(&line, json) && buf_putc(&line, '\n'))
        (void)call_stream_write(s->call, line.data, line.len); /* the end is told by events_gone */
}

static void events_end(void *arg) {
    struct streaming *s = arg;

    call_on_gone(s->call, NULL, NULL);
    call_stream_end(s->call);
    free(s);
}

static void events_gone(void *arg) {
    struct streaming *s = arg;

    events_cancel(s->subscriber);
    call_stream_end(s->call);
    free(s);
}

static int event_time(struct api_call *c, const char *name, int64_t *ret, struct err *e) {
    const char *s = call_query(c, name);

    *ret = 0;
    if (str_empty(s))
        return 0;
    if (time_parse_filter(s, clock_real_ns(), ret) < 0)
        return err_set(e, ERR_INVALID, "invalid value for \"%s\": parsing time \"%s\"", name, s);
    return 0;
}

static void stream_events(struct api_call *c) {
    auto_filters f = {0};
    auto_err e = ERR_INIT;
    int64_t since, until;
    struct streaming *s;

    if (event_time(c, "since", &since, &e) < 0 || event_time(c, "until", &until, &e) < 0 ||
        call_filters(c, events_filter_keys, &f, &e) < 0) {
        call_error(c, &e);
        return;
    }
    if (since && until && since > until) {
        call_errorf(c, ERR_INVALID, "`since` time (%s) cannot be after `until` time (%s)",
                    call_query(c, "since"), call_query(c, "until"));
        return;
    }
    s = xnew(struct streaming);
    s->call = c;
    call_stream_begin(c, 200, "application/json");
    call_on_gone(c, events_gone, s);
    s->subscriber = events_subscribe(c->engine->events, c->engine->loop, since, until, &f,
                                     event_line, events_end, s);
}

const struct route routes_system[] = {
    {"GET", "/_ping", 0, ping},
    {"HEAD", "/_ping", 0, ping_head},
    {"GET", "/version", 0, version},
    {"GET", "/info", 0, info},
    {"GET", "/events", 0, stream_events},
    {"GET", "/system/df", 0, system_df},
    {NULL, NULL, 0, NULL},
};
