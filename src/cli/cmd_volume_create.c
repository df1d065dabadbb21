/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag create_flags[] = {
    {.name = "driver", .shorthand = 'd', .type = FLAG_STRING, .usage = "Specify volume driver name", .shown = "\"local\"", .initial = "local"},
    {.name = "label", .type = FLAG_LIST, .usage = "Set metadata for a volume"},
    {.name = "name", .type = FLAG_STRING, .usage = "Specify volume name", .hidden = true},
    {.name = "opt", .shorthand = 'o', .type = FLAG_MAP, .usage = "Set driver specific options", .shown = "map[]"},
    {.name = NULL},
};
/* clang-format on */

static void put_map(struct jw *w, const char *key, char *const *list) {
    if (!list)
        return;
    jw_key(w, key);
    jw_object(w);
    strv_for_each (item, list) {
        const char *eq = strchr(item, '=');
        auto_free char *name = xstrndup(item, strcspn(item, "="));

        jw_kstr(w, name, eq ? eq + 1 : "");
    }
    jw_end_object(w);
}

static int cmd_volume_create(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    const char *name = flag_str(f, "name");
    auto_buf body = BUF_INIT;
    auto_json *answer = NULL;
    struct jw w;
    int r;

    if (a->argc > 0 && *name)
        return err_set(e, ERR_INVALID,
                       "conflicting options: cannot specify a volume-name through "
                       "both --name and as a positional arg");
    if (a->argc > 0)
        name = a->argv[0];
    jw_init(&w, &body);
    jw_object(&w);
    jw_kstr(&w, "Driver", flag_str(f, "driver"));
    put_map(&w, "DriverOpts", flag_list(f, "opt"));
    put_map(&w, "Labels", flag_list(f, "label"));
    if (*name)
        jw_kstr(&w, "Name", name);
    jw_end_object(&w);
    r = client_post_json(&cli->client, "/volumes/create", NULL, buf_str(&body), &answer, e);
    if (r < 0)
        return r;
    put_line("%s", str_or_empty(jsn_str(answer, "Name")));
    return 0;
}

const struct command command_volume_create = {
    .use = "[OPTIONS] [VOLUME]",
    .summary = "Create a volume",
    .flags = create_flags,
    .max_args = 1,
    .run = cmd_volume_create,
};
