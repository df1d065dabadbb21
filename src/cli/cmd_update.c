/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/create.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag update_flags[] = {
    {.name = "blkio-weight", .type = FLAG_UINT16, .usage = "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"},
    {.name = "cpu-period", .type = FLAG_INT, .usage = "Limit CPU CFS (Completely Fair Scheduler) period"},
    {.name = "cpu-quota", .type = FLAG_INT, .usage = "Limit CPU CFS (Completely Fair Scheduler) quota"},
    {.name = "cpu-rt-period", .type = FLAG_INT, .usage = "Limit the CPU real-time period in microseconds"},
    {.name = "cpu-rt-runtime", .type = FLAG_INT, .usage = "Limit the CPU real-time runtime in microseconds"},
    {.name = "cpu-shares", .shorthand = 'c', .type = FLAG_INT, .usage = "CPU shares (relative weight)"},
    {.name = "cpus", .type = FLAG_DECIMAL, .usage = "Number of CPUs"},
    {.name = "cpuset-cpus", .type = FLAG_STRING, .usage = "CPUs in which to allow execution (0-3, 0,1)"},
    {.name = "cpuset-mems", .type = FLAG_STRING, .usage = "MEMs in which to allow execution (0-3, 0,1)"},
    {.name = "kernel-memory", .type = FLAG_BYTES, .usage = "Kernel memory limit", .hidden = true},
    {.name = "memory", .shorthand = 'm', .type = FLAG_BYTES, .usage = "Memory limit"},
    {.name = "memory-reservation", .type = FLAG_BYTES, .usage = "Memory soft limit"},
    {.name = "memory-swap", .type = FLAG_SWAP, .usage = "Swap limit equal to memory plus swap: -1 to enable unlimited swap"},
    {.name = "pids-limit", .type = FLAG_INT, .usage = "Tune container pids limit (set -1 for unlimited)"},
    {.name = "publish-add", .type = FLAG_LIST, .usage = "Publish a port of the running container to the host, as --publish of run"},
    {.name = "publish-rm", .type = FLAG_LIST, .usage = "Take back a published port (\"80/tcp\", or \"8080:80/tcp\" for one of several)"},
    {.name = "restart", .type = FLAG_STRING, .usage = "Restart policy to apply when a container exits"},
    {.name = NULL},
};
/* clang-format on */

/* Members that only this engine knows, and that others never see unless they are asked for. */
static int put_ports(const struct flags *f, struct jw *w, struct err *e) {
    auto_json *exposed = json_object_new_object(), *bindings = json_object_new_object();
    char *const *added = flag_list(f, "publish-add"), *const *removed = flag_list(f, "publish-rm");
    int r = ports_parse(added, NULL, exposed, bindings, e);

    if (r < 0)
        return r;
    if (added) {
        jw_key(w, "PublishAdd");
        jw_value(w, bindings);
    }
    if (removed)
        jw_kstrv(w, "PublishRm", removed);
    return 0;
}

static int update_body(const struct flags *f, struct buf *body, struct err *e) {
    static const struct {
        const char *flag, *member;
    } numbers[] = {{"cpu-shares", "CpuShares"},
                   {"memory", "Memory"},
                   {"cpus", "NanoCpus"},
                   {"blkio-weight", "BlkioWeight"},
                   {"cpu-period", "CpuPeriod"},
                   {"cpu-quota", "CpuQuota"},
                   {"cpu-rt-period", "CpuRealtimePeriod"},
                   {"cpu-rt-runtime", "CpuRealtimeRuntime"},
                   {"memory-reservation", "MemoryReservation"},
                   {"memory-swap", "MemorySwap"}};
    const char *restart = flag_str(f, "restart"), *colon = strchr(restart, ':');
    auto_free char *name = xstrndup(restart, strcspn(restart, ":"));
    int64_t retries = 0;
    struct jw w;
    int r;

    if (colon && str_to_i64(colon + 1, &retries) < 0)
        return err_set(e, ERR_INVALID,
                       "invalid restart policy format: maximum retry count must be an integer");
    jw_init(&w, body);
    jw_object(&w);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        jw_kint(&w, numbers[i].member, flag_int(f, numbers[i].flag));
    jw_kstr(&w, "CpusetCpus", flag_str(f, "cpuset-cpus"));
    jw_kstr(&w, "CpusetMems", flag_str(f, "cpuset-mems"));
    if (flag_changed(f, "pids-limit"))
        jw_kint(&w, "PidsLimit", flag_int(f, "pids-limit"));
    else
        jw_knull(&w, "PidsLimit");
    jw_key(&w, "RestartPolicy");
    jw_object(&w);
    jw_kstr(&w, "Name", name);
    jw_kint(&w, "MaximumRetryCount", retries);
    jw_end_object(&w);
    r = put_ports(f, &w, e);
    jw_end_object(&w);
    return r;
}

static int cmd_update(struct cli *cli, const struct args *a, struct err *e) {
    auto_buf body = BUF_INIT;
    bool any = false;
    int result = 0, r;

    for (const struct flag *f = update_flags; f->name; f++)
        any |= flag_changed(&a->flags, f->name);
    if (!any)
        return err_set(e, ERR_INVALID,
                       "you must provide one or more flags when using this command");
    r = update_body(&a->flags, &body, e);
    if (r < 0)
        return r;
    for (int i = 0; i < a->argc; i++) {
        auto_free char *path = path_join("/containers/", a->argv[i], "/update");
        auto_json *answer = NULL;
        auto_err why = ERR_INIT;
        struct json_object *warnings;

        r = client_post_json(&cli->client, path, NULL, buf_str(&body), &answer, &why);
        if (r < 0) {
            err_append(e, &why);
            result = r;
            continue;
        }
        put_line("%s", a->argv[i]);
        warnings = jsn_get(answer, "Warnings");
        for (size_t j = 0; warnings && j < json_object_array_length(warnings); j++)
            fprintf(stderr, "%s\n", json_object_get_string(json_object_array_get_idx(warnings, j)));
    }
    return result;
}

const struct command command_update = {
    .use = "[OPTIONS] CONTAINER [CONTAINER...]",
    .summary = "Update configuration of one or more containers",
    .aliases = "container update, update",
    .flags = update_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_update,
    .completes = "container",
};
