/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

static int cmd_diff(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/containers/", a->argv[0], "/changes");
    auto_json *all = NULL;
    int r = client_get_json(&cli->client, path, NULL, &all, e);

    if (r < 0)
        return r;
    for (size_t i = 0; all && i < json_object_array_length(all); i++) {
        struct json_object *change = json_object_array_get_idx(all, i);
        int64_t kind = jsn_int(change, "Kind", -1);

        put_line("%c %s", kind >= 0 && kind <= 2 ? "CAD"[kind] : '?',
                 str_or_empty(jsn_str(change, "Path")));
    }
    return 0;
}

const struct command command_diff = {
    .use = "CONTAINER",
    .summary = "Inspect changes to files or directories on a container's filesystem",
    .aliases = "container diff, diff",
    .flags = no_flags,
    .min_args = 1,
    .max_args = 1,
    .run = cmd_diff,
    .completes = "container",
};
