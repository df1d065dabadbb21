/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "cli/commands.h"

static int cmd_rename(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/containers/", a->argv[0], "/rename");
    auto_buf query = BUF_INIT;
    int r;

    if (!*a->argv[0] || !*a->argv[1])
        return err_set(e, ERR_INVALID, "Error: Neither old nor new names may be empty");
    query_add(&query, "name", a->argv[1]);
    r = client_post_json(&cli->client, path, buf_str(&query), NULL, NULL, e);
    if (r < 0) {
        auto_err more = ERR_INIT;

        err_set(&more, ERR_SYSTEM, "Error: failed to rename container named %s", a->argv[0]);
        err_append(e, &more);
    }
    return r;
}

const struct command command_rename = {
    .use = "CONTAINER NEW_NAME",
    .summary = "Rename a container",
    .aliases = "container rename, rename",
    .flags = no_flags,
    .min_args = 2,
    .max_args = 2,
    .run = cmd_rename,
    .completes = "container",
};
