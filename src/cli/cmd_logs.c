/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/stream.h"
#include "cli/times.h"
#include "format/json.h"

/* clang-format off */
static const struct flag logs_flags[] = {
    {.name = "details", .type = FLAG_BOOL, .usage = "Show extra details provided to logs"},
    {.name = "follow", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Follow log output"},
    {.name = "since", .type = FLAG_STRING, .usage = "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)"},
    {.name = "tail", .shorthand = 'n', .type = FLAG_STRING, .usage = "Number of lines to show from the end of the logs", .shown = "\"all\"", .initial = "all"},
    {.name = "timestamps", .shorthand = 't', .type = FLAG_BOOL, .usage = "Show timestamps"},
    {.name = "until", .type = FLAG_STRING, .usage = "Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_logs(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    auto_free char *path = path_join("/containers/", a->argv[0], "/json"), *logs = NULL;
    auto_exchange x = EXCHANGE_INIT;
    auto_json *c = NULL;
    auto_buf query = BUF_INIT;
    struct request request = {.method = "GET"};
    int r = client_get_json(&cli->client, path, NULL, &c, e);

    if (r < 0)
        return r;
    if (flag_bool(f, "details"))
        query_add(&query, "details", "1");
    if (flag_bool(f, "follow"))
        query_add(&query, "follow", "1");
    r = query_add_time(&query, "since", flag_str(f, "since"), e);
    if (r == 0)
        r = query_add_time(&query, "until", flag_str(f, "until"), e);
    if (r < 0)
        return r;
    query_add(&query, "stderr", "1");
    query_add(&query, "stdout", "1");
    query_add(&query, "tail", flag_str(f, "tail"));
    if (flag_bool(f, "timestamps"))
        query_add(&query, "timestamps", "1");
    logs = xasprintf("/containers/%s/logs", str_or_empty(jsn_str(c, "Id")));
    request.path = logs;
    request.query = buf_str(&query);
    r = exchange_open(&x, &cli->client, &request, e);
    if (r < 0)
        return r;
    return stream_copy(&x, !jsn_bool(jsn_get(c, "Config"), "Tty", false), e);
}

const struct command command_logs = {
    .use = "[OPTIONS] CONTAINER",
    .summary = "Fetch the logs of a container",
    .aliases = "container logs, logs",
    .flags = logs_flags,
    .min_args = 1,
    .max_args = 1,
    .run = cmd_logs,
    .completes = "container",
};
