/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

static int cmd_wait(struct cli *cli, const struct args *a, struct err *e) {
    int result = 0;

    for (int i = 0; i < a->argc; i++) {
        auto_free char *path = path_join("/containers/", a->argv[i], "/wait");
        auto_json *answer = NULL;
        auto_err why = ERR_INIT;
        int r = client_post_json(&cli->client, path, NULL, NULL, &answer, &why);

        if (r < 0) {
            err_append(e, &why);
            result = r;
            continue;
        }
        put_line("%lld", (long long)jsn_int(answer, "StatusCode", 0));
    }
    return result;
}

const struct command command_wait = {
    .use = "CONTAINER [CONTAINER...]",
    .summary = "Block until one or more containers stop, then print their exit codes",
    .aliases = "container wait, wait",
    .flags = no_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_wait,
    .completes = "container",
};
