/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/archive.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag rmi_flags[] = {
    {.name = "force", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Force removal of the image"},
    {.name = "no-prune", .type = FLAG_BOOL, .usage = "Do not delete untagged parents"},
    {.name = "platform", .type = FLAG_STRINGS, .usage = "Remove only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_rmi(struct cli *cli, const struct args *a, struct err *e) {
    bool force = flag_bool(&a->flags, "force"), only_missing = true;
    auto_buf query = BUF_INIT;
    int result = 0;

    if (force)
        query_add(&query, "force", "1");
    if (flag_bool(&a->flags, "no-prune"))
        query_add(&query, "noprune", "1");
    archive_add_platforms(&query, flag_list(&a->flags, "platform"));
    for (int i = 0; i < a->argc; i++) {
        auto_free char *path = path_join("/images/", a->argv[i], "");
        struct request request = {.method = "DELETE", .path = path, .query = buf_str(&query)};
        auto_buf body = BUF_INIT;
        auto_json *answer = NULL;
        auto_err why = ERR_INIT;
        int r = client_call(&cli->client, &request, &body, &why);

        if (r == 0)
            r = client_parse_json(buf_str(&body), body.len, &answer, &why);
        if (r < 0) {
            only_missing &= why.class == ERR_NOT_FOUND;
            err_append(e, &why);
            result = r;
            continue;
        }
        for (size_t j = 0; j < json_object_array_length(answer); j++) {
            struct json_object *o = json_object_array_get_idx(answer, j);

            if (jsn_str(o, "Deleted"))
                put_line("Deleted: %s", jsn_str(o, "Deleted"));
            else
                put_line("Untagged: %s", str_or_empty(jsn_str(o, "Untagged")));
        }
    }
    if (result < 0 && force && only_missing) { /* rmi -f of nothing is no failure */
        fprintf(stderr, "%s\n", err_msg(e));
        err_done(e);
        return 0;
    }
    return result;
}

const struct command command_rmi = {
    .use = "[OPTIONS] IMAGE [IMAGE...]",
    .summary = "Remove one or more images",
    .aliases = "image rm, image remove, rmi",
    .flags = rmi_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_rmi,
    .completes = "image",
};
