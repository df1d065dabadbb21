/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

static void put_cells(struct buf *out, struct json_object *cells) {
    for (size_t i = 0; cells && i < json_object_array_length(cells); i++)
        buf_printf(out, "%s%s", i > 0 ? "\t" : "",
                   json_object_get_string(json_object_array_get_idx(cells, i)));
    buf_putc(out, '\n');
}

/* docker aligns this table with a minimum of 20 columns. */
static int cmd_top(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/containers/", a->argv[0], "/top"), *options = NULL;
    auto_buf query = BUF_INIT, text = BUF_INIT, out = BUF_INIT;
    auto_json *answer = NULL;
    struct json_object *rows;
    int r;

    if (a->argc > 1) {
        options = strv_join(a->argv + 1, " ");
        query_add(&query, "ps_args", options);
    }
    r = client_get_json(&cli->client, path, buf_str(&query), &answer, e);
    if (r < 0)
        return r;
    put_cells(&text, jsn_get(answer, "Titles"));
    rows = jsn_get(answer, "Processes");
    for (size_t i = 0; rows && i < json_object_array_length(rows); i++)
        put_cells(&text, json_object_array_get_idx(rows, i));
    table_align_width(text.data, text.len, 20, &out);
    return print_out(&out, e);
}

const struct command command_top = {
    .use = "CONTAINER [ps OPTIONS]",
    .summary = "Display the running processes of a container",
    .aliases = "container top, top",
    .flags = no_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .stop_at_operand = true,
    .run = cmd_top,
    .completes = "container",
};
