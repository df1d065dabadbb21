/* SPDX-License-Identifier: Apache-2.0 */

/*
 * GET /containers/{id}/stats
 *
 * A sample is some twenty reads of kernel files that never block, 0.15 ms in all: it is taken on
 * the loop, where the container cannot change meanwhile. A worker would cost more than it saves,
 * and samples would queue behind the size walks of its class.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/containers.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "engine/config.h"
#include "engine/container.h"
#include "sys/procfd.h"

#define SAMPLE_INTERVAL_MS 1000
#define NET_DEV_MAX        (256u << 10)

/* ---- one sample ------------------------------------------------------------------------------ */
struct net_counters {
    char name[16];
    uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors,
        tx_dropped;
};

/* All zero: the container did not run. */
struct sample {
    int64_t read_ns;
    struct cgroup_stats cg;
    uint64_t system_ns;
    uint32_t online_cpus;
    struct net_counters *net;
    size_t n_net;
};

static void sample_done(struct sample *s) {
    cgroup_stats_done(&s->cg);
    free(s->net);
    *s = (struct sample){0};
}

/* A line of /proc/net/dev: "name:" and 16 numbers, 8 of them received. False for interfaces that
 * are none of the engine's. */
static bool parse_net_line(const char *line, struct net_counters *ret) {
    struct net_counters n = {0};
    const char *colon;

    while (*line == ' ')
        line++;
    colon = strchr(line, ':');
    if (!str_starts(line, "eth") || !colon || (size_t)(colon - line) >= sizeof n.name)
        return false;
    memcpy(n.name, line, (size_t)(colon - line));
    if (sscanf(colon + 1,
               "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%*u%*u%*u%*u%" SCNu64 "%" SCNu64
               "%" SCNu64 "%" SCNu64,
               &n.rx_bytes, &n.rx_packets, &n.rx_errors, &n.rx_dropped, &n.tx_bytes, &n.tx_packets,
               &n.tx_errors, &n.tx_dropped) != 8)
        return false;
    *ret = n;
    return true;
}

static int read_net(pid_t pid, struct sample *s) {
    auto_buf text = {.max = NET_DEV_MAX};
    char path[64];
    int r;

    snprintf(path, sizeof path, "/proc/%d/net/dev", (int)pid);
    r = io_read_file_at(AT_FDCWD, path, &text);
    if (r < 0)
        return r;
    for (char *line = text.data, *end; line && *line; line = end) {
        struct net_counters n;

        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        if (!parse_net_line(line, &n))
            continue;
        s->net = xreallocarray(s->net, s->n_net + 1, sizeof *s->net);
        s->net[s->n_net++] = n;
    }
    return 0;
}

/* Has it, or the container whose network it shares, interfaces of its own? */
static bool has_interfaces(const struct container *x) {
    const char *shared;

    for (unsigned depth = 0; depth < 16; depth++) {
        shared = mode_container(x->rec.host.network_mode);
        if (!shared)
            return !x->rec.config.network_disabled && !mode_is_host(x->rec.host.network_mode);
        x = container_find(x->engine, shared, NULL);
        if (!x)
            return true; /* removed: its namespace lives on with those who share it */
    }
    return false;
}

static bool is_sampled(const struct container *x) {
    return x->rec.running && !x->rec.restarting && x->rec.pid > 0;
}

/* *ret stays all zero when the container does not run, or ends meanwhile. */
static void sample_take(const struct container *x, struct sample *ret) {
    auto_free char *path = container_cgroup(x);
    struct sample s = {0};
    auto_cgroup cg;

    cgroup_init(&cg);
    if (!is_sampled(x) || cgroup_open(x->engine->cgroups, path, &cg, NULL) < 0)
        return;
    if (cgroup_stats_read(&cg, &s.cg, NULL) < 0 ||
        cgroup_system_cpu(&s.system_ns, &s.online_cpus) < 0 ||
        (has_interfaces(x) && read_net((pid_t)x->rec.pid, &s) < 0) ||
        /* Whose /proc/PID was it? */
        (x->pidfd >= 0 && pidfd_signal(x->pidfd, 0) < 0)) {
        sample_done(&s);
        return;
    }
    s.read_ns = clock_real_ns();
    *ret = s;
}

/* ---- JSON, in dockerd's order; what dockerd omits when it is zero is omitted ----------------- */
static void emit_nonzero(struct jw *w, const char *key, uint64_t v) {
    if (v)
        jw_kuint(w, key, v);
}

static void emit_blkio(const struct cgroup_stats *cg, struct jw *w) {
    jw_key(w, "blkio_stats");
    jw_object(w);
    for (size_t kind = 0; kind < CGROUP_BLKIO_KINDS; kind++) {
        const struct cgroup_blkio_table *t = &cg->blkio[kind];

        jw_key(w, cgroup_blkio_names[kind]);
        if (t->count == 0 && cg->version != 1) { /* v2 has one of the tables only */
            jw_null(w);
            continue;
        }
        jw_array(w);
        for (size_t i = 0; i < t->count; i++) {
            jw_object(w);
            jw_kuint(w, "major", t->entries[i].major);
            jw_kuint(w, "minor", t->entries[i].minor);
            jw_kstr(w, "op", t->entries[i].op);
            jw_kuint(w, "value", t->entries[i].value);
            jw_end_object(w);
        }
        jw_end_array(w);
    }
    jw_end_object(w);
}

static void emit_cpu(const char *key, const struct sample *s, struct jw *w) {
    const struct cgroup_stats *cg = &s->cg;

    jw_key(w, key);
    jw_object(w);
    jw_key(w, "cpu_usage");
    jw_object(w);
    jw_kuint(w, "total_usage", cg->cpu_total_ns);
    if (cg->percpu_count > 0) {
        jw_key(w, "percpu_usage");
        jw_array(w);
        for (size_t i = 0; i < cg->percpu_count; i++)
            jw_uint(w, cg->percpu_ns[i]);
        jw_end_array(w);
    }
    jw_kuint(w, "usage_in_kernelmode", cg->cpu_kernel_ns);
    jw_kuint(w, "usage_in_usermode", cg->cpu_user_ns);
    jw_end_object(w);
    emit_nonzero(w, "system_cpu_usage", s->system_ns);
    emit_nonzero(w, "online_cpus", s->online_cpus);
    jw_key(w, "throttling_data");
    jw_object(w);
    jw_kuint(w, "periods", cg->throttle_periods);
    jw_kuint(w, "throttled_periods", cg->throttled_periods);
    jw_kuint(w, "throttled_time", cg->throttled_ns);
    jw_end_object(w);
    jw_end_object(w);
}

/* The lines of memory.stat that dockerd hands on, sorted as Go prints maps. */
static const char *const memory_keys_v1[] = {"active_anon",
                                             "active_file",
                                             "cache",
                                             "dirty",
                                             "hierarchical_memory_limit",
                                             "hierarchical_memsw_limit",
                                             "inactive_anon",
                                             "inactive_file",
                                             "mapped_file",
                                             "pgfault",
                                             "pgmajfault",
                                             "pgpgin",
                                             "pgpgout",
                                             "rss",
                                             "rss_huge",
                                             "total_active_anon",
                                             "total_active_file",
                                             "total_cache",
                                             "total_dirty",
                                             "total_inactive_anon",
                                             "total_inactive_file",
                                             "total_mapped_file",
                                             "total_pgfault",
                                             "total_pgmajfault",
                                             "total_pgpgin",
                                             "total_pgpgout",
                                             "total_rss",
                                             "total_rss_huge",
                                             "total_unevictable",
                                             "total_writeback",
                                             "unevictable",
                                             "writeback",
                                             NULL};
static const char *const memory_keys_v2[] = {"active_anon",
                                             "active_file",
                                             "anon",
                                             "anon_thp",
                                             "file",
                                             "file_dirty",
                                             "file_mapped",
                                             "file_writeback",
                                             "inactive_anon",
                                             "inactive_file",
                                             "kernel_stack",
                                             "pgactivate",
                                             "pgdeactivate",
                                             "pgfault",
                                             "pglazyfree",
                                             "pglazyfreed",
                                             "pgmajfault",
                                             "pgrefill",
                                             "pgscan",
                                             "pgsteal",
                                             "shmem",
                                             "slab",
                                             "slab_reclaimable",
                                             "slab_unreclaimable",
                                             "sock",
                                             "thp_collapse_alloc",
                                             "thp_fault_alloc",
                                             "unevictable",
                                             "workingset_activate",
                                             "workingset_nodereclaim",
                                             "workingset_refault",
                                             NULL};

/* Since 5.9 the workingset counters are split: one for anonymous memory, one for files. */
static uint64_t memory_value(const struct cgroup_stats *cg, const char *key) {
    bool split = str_starts(key, "workingset_");
    uint64_t sum = 0;

    for (size_t i = 0; i < cg->memory_stats_count; i++) {
        const char *rest = str_after(cg->memory_stats[i].name, key);

        if (!rest)
            continue;
        if (!*rest)
            return cg->memory_stats[i].value;
        if (split && (str_eq(rest, "_anon") || str_eq(rest, "_file")))
            sum += cg->memory_stats[i].value;
    }
    return sum;
}

static void emit_memory(const struct cgroup_stats *cg, struct jw *w) {
    uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    jw_key(w, "memory_stats");
    jw_object(w);
    emit_nonzero(w, "usage", cg->memory_usage);
    emit_nonzero(w, "max_usage", cg->memory_max_usage);
    if (cg->memory_stats_count > 0) {
        jw_key(w, "stats");
        jw_object(w);
        for (const char *const *key = cg->version == 1 ? memory_keys_v1 : memory_keys_v2; *key;
             key++)
            jw_kuint(w, *key, memory_value(cg, *key));
        jw_end_object(w);
    }
    emit_nonzero(w, "failcnt", cg->memory_failcnt);
    emit_nonzero(w, "limit", cg->memory_limit > host ? host : cg->memory_limit);
    jw_end_object(w);
}

static void emit_networks(const struct sample *s, struct jw *w) {
    if (s->n_net == 0)
        return;
    jw_key(w, "networks");
    jw_object(w);
    for (size_t i = 0; i < s->n_net; i++) {
        const struct net_counters *n = &s->net[i];

        jw_key(w, n->name);
        jw_object(w);
        jw_kuint(w, "rx_bytes", n->rx_bytes);
        jw_kuint(w, "rx_packets", n->rx_packets);
        jw_kuint(w, "rx_errors", n->rx_errors);
        jw_kuint(w, "rx_dropped", n->rx_dropped);
        jw_kuint(w, "tx_bytes", n->tx_bytes);
        jw_kuint(w, "tx_packets", n->tx_packets);
        jw_kuint(w, "tx_errors", n->tx_errors);
        jw_kuint(w, "tx_dropped", n->tx_dropped);
        jw_end_object(w);
    }
    jw_end_object(w);
}

static void emit(const struct container *x, const struct sample *s, const struct sample *before,
                 struct buf *b) {
    auto_free char *name = xasprintf("/%s", x->rec.name);
    char text[TIME_TEXT_MAX];
    struct jw w;

    jw_init(&w, b);
    jw_object(&w);
    jw_kstr(&w, "read", time_format(s->read_ns, text));
    jw_kstr(&w, "preread", time_format(before->read_ns, text));
    jw_key(&w, "pids_stats");
    jw_object(&w);
    emit_nonzero(&w, "current", s->cg.pids_current);
    emit_nonzero(&w, "limit", s->cg.pids_limit == UINT64_MAX ? 0 : s->cg.pids_limit);
    jw_end_object(&w);
    emit_blkio(&s->cg, &w);
    jw_kint(&w, "num_procs", 0); /* Windows only, and so is the next */
    jw_key(&w, "storage_stats");
    jw_object(&w);
    jw_end_object(&w);
    emit_cpu("cpu_stats", s, &w);
    emit_cpu("precpu_stats", before, &w);
    emit_memory(&s->cg, &w);
    jw_kstr(&w, "name", name);
    jw_kstr(&w, "id", x->rec.id);
    emit_networks(s, &w);
    jw_end_object(&w);
}

/* ---- the request ----------------------------------------------------------------------------- */
struct watching {
    struct api_call *call;
    char id[ID_LEN + 1];
    bool stream;
    struct loop_timer *timer;
    struct sample before;
};

static void watching_free(struct watching *s) {
    loop_timer_free(s->timer);
    sample_done(&s->before);
    free(s);
}

/* Ends the stream; before its beginning it only drops a call whose client has gone. */
static void end_stream(struct watching *s) {
    call_on_gone(s->call, NULL, NULL);
    call_stream_end(s->call);
    watching_free(s);
}

static void gone(void *arg) {
    end_stream(arg);
}

static void answer_once(struct api_call *c, const struct container *x,
                        const struct sample *before) {
    struct sample now = {0};
    auto_buf b = BUF_INIT;

    sample_take(x, &now);
    emit(x, &now, before, &b);
    call_json(c, 200, &b);
    sample_done(&now);
}

static void write_one(struct watching *s, const struct container *x) {
    struct sample now = {0};
    auto_buf b = BUF_INIT;

    sample_take(x, &now);
    emit(x, &now, &s->before, &b);
    buf_putc(&b, '\n');
    sample_done(&s->before);
    s->before = now;
    if (!b.failed)
        (void)call_stream_write(s->call, b.data, b.len); /* gone() tells the end */
}

static void tick(void *arg) {
    struct watching *s = arg;
    const struct container *x = map_get(&s->call->engine->containers, s->id);

    if (s->stream) {
        if (x)
            write_one(s, x);
        else
            end_stream(s);
        return;
    }
    call_on_gone(s->call, NULL, NULL);
    if (x)
        answer_once(s->call, x, &s->before);
    else
        call_errorf(s->call, ERR_NOT_FOUND, "No such container: %s", s->id);
    watching_free(s);
}

void containers_stats(struct api_call *c) {
    static const struct sample none = {0};
    const struct container *x = call_container(c);
    bool stream = call_query_bool(c, "stream", true);
    bool one_shot = c->version >= 41 && call_query_bool(c, "one-shot", false);
    struct watching *s;

    if (!x)
        return;
    if (stream && one_shot) {
        call_errorf(c, ERR_INVALID, "cannot have stream=true and one-shot=true");
        return;
    }
    if (!stream && (one_shot || !is_sampled(x))) {
        answer_once(c, x, &none);
        return;
    }
    s = xnew(struct watching);
    s->call = c;
    s->stream = stream;
    memcpy(s->id, x->rec.id, sizeof s->id);
    call_on_gone(c, gone, s);
    s->timer = loop_timer_new(c->engine->loop, SAMPLE_INTERVAL_MS, SAMPLE_INTERVAL_MS, tick, s);
    if (stream) {
        call_stream_begin(c, 200, "application/json");
        write_one(s, x);
    } else {
        sample_take(x, &s->before);
    }
}
