/* SPDX-License-Identifier: Apache-2.0 */
/* container prune, image prune, network prune, volume prune, system prune. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
#define FORCE_FLAG {.name = "force", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Do not prompt for confirmation"}
#define PRUNE_FILTER(example) {.name = "filter", .type = FLAG_LIST, .type_name = "filter", .usage = "Provide filter values (e.g. \"" example "\")", .check = filter_check}
static const struct flag container_flags[] = {
    PRUNE_FILTER("until=<timestamp>"),
    FORCE_FLAG,
    {.name = NULL},
};
static const struct flag image_flags[] = {
    {.name = "all", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Remove all unused images, not just dangling ones"},
    PRUNE_FILTER("until=<timestamp>"),
    FORCE_FLAG,
    {.name = NULL},
};
static const struct flag network_flags[] = {
    PRUNE_FILTER("until=<timestamp>"),
    FORCE_FLAG,
    {.name = NULL},
};
static const struct flag volume_flags[] = {
    {.name = "all", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Remove all unused volumes, not just anonymous ones"},
    PRUNE_FILTER("label=<label>"),
    FORCE_FLAG,
    {.name = NULL},
};
static const struct flag system_flags[] = {
    {.name = "all", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Remove all unused images not just dangling ones"},
    PRUNE_FILTER("label=<key>=<value>"),
    FORCE_FLAG,
    {.name = "volumes", .type = FLAG_BOOL, .usage = "Prune anonymous volumes"},
    {.name = NULL},
};
/* clang-format on */

/* What one kind of object that prune removes is called. */
struct kind {
    const char *path, *title, *member;
};
static const struct kind containers = {"/containers/prune",
                                       "Deleted Containers:", "ContainersDeleted"};
static const struct kind networks = {"/networks/prune", "Deleted Networks:", "NetworksDeleted"};
static const struct kind volumes = {"/volumes/prune", "Deleted Volumes:", "VolumesDeleted"};
static const struct kind images = {"/images/prune", "Deleted Images:", "ImagesDeleted"};
static const struct kind caches = {"/build/prune", "Deleted build cache objects:", "CachesDeleted"};

static size_t print_deleted(const struct kind *k, struct json_object *list) {
    size_t n =
        list && json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

    if (n > 0)
        put_line("%s", k->title);
    for (size_t i = 0; i < n; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);

        if (json_object_is_type(o, json_type_string))
            put_line("%s", json_object_get_string(o));
        else if (jsn_str(o, "Untagged"))
            put_line("untagged: %s", jsn_str(o, "Untagged"));
        else
            put_line("deleted: %s", str_or_empty(jsn_str(o, "Deleted")));
    }
    if (n > 0)
        put_line("%s", "");
    return n;
}

static int prune(struct cli *cli, const struct kind *k, char *const *filters, const char *extra,
                 int64_t *space, struct err *e) {
    auto_strv all = strv_dup(filters);
    auto_free char *json = NULL;
    auto_buf query = BUF_INIT;
    auto_json *answer = NULL;
    int r;

    if (extra)
        strv_add(&all, extra);
    json = filters_json(all);
    if (json)
        query_add(&query, "filters", json);
    r = client_post_json(&cli->client, k->path, buf_str(&query), NULL, &answer, e);
    if (r < 0)
        return r;
    /* docker counts the space only of what it names */
    if (print_deleted(k, jsn_get(answer, k->member)) > 0 || k == &caches)
        *space += jsn_int(answer, "SpaceReclaimed", 0);
    return 0;
}

static void print_space(int64_t space) {
    auto_free char *text = human_size((double)space, 4);

    put_line("Total reclaimed space: %s", text);
}

static int prune_one(struct cli *cli, const struct args *a, const struct kind *k,
                     const char *warning, const char *extra, struct err *e) {
    auto_free char *question =
        xasprintf("WARNING! %s\nAre you sure you want to continue?", warning);
    int64_t space = 0;
    int r;

    if (!flag_bool(&a->flags, "force") && !confirm(question))
        return 0;
    r = prune(cli, k, flag_list(&a->flags, "filter"), extra, &space, e);
    if (r == 0)
        print_space(space);
    return r;
}

static int cmd_container_prune(struct cli *cli, const struct args *a, struct err *e) {
    return prune_one(cli, a, &containers, "This will remove all stopped containers.", NULL, e);
}

static int cmd_image_prune(struct cli *cli, const struct args *a, struct err *e) {
    if (flag_bool(&a->flags, "all"))
        return prune_one(cli, a, &images,
                         "This will remove all images without at least one container associated to "
                         "them.",
                         "dangling=false", e);
    return prune_one(cli, a, &images, "This will remove all dangling images.", "dangling=true", e);
}

static int cmd_network_prune(struct cli *cli, const struct args *a, struct err *e) {
    int64_t space = 0; /* networks take none */

    if (!flag_bool(&a->flags, "force") &&
        !confirm("WARNING! This will remove all custom networks not used by at least one "
                 "container.\nAre you sure you want to continue?"))
        return 0;
    return prune(cli, &networks, flag_list(&a->flags, "filter"), NULL, &space, e);
}

static int cmd_volume_prune(struct cli *cli, const struct args *a, struct err *e) {
    if (flag_bool(&a->flags, "all"))
        return prune_one(cli, a, &volumes,
                         "This will remove all local volumes not used by at least one container.",
                         "all=true", e);
    return prune_one(cli, a, &volumes,
                     "This will remove anonymous local volumes not used by at least one container.",
                     NULL, e);
}

static bool confirm_system(const struct flags *f) {
    auto_buf text = BUF_INIT;
    bool all = flag_bool(f, "all");

    buf_puts(&text, "WARNING! This will remove:\n"
                    "  - all stopped containers\n"
                    "  - all networks not used by at least one container\n");
    if (flag_bool(f, "volumes"))
        buf_puts(&text, "  - all anonymous volumes not used by at least one container\n");
    buf_puts(&text, all ? "  - all images without at least one container associated to them\n"
                          "  - all build cache\n"
                        : "  - all dangling images\n  - unused build cache\n");
    if (flag_list(f, "filter")) {
        buf_puts(&text, "\n  Items to be pruned will be filtered with:\n");
        strv_for_each (filter, flag_list(f, "filter"))
            buf_printf(&text, "  - %s\n", filter);
    }
    buf_puts(&text, "\nAre you sure you want to continue?");
    return confirm(buf_str(&text));
}

static int cmd_system_prune(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    char *const *filters = flag_list(f, "filter");
    auto_err ignored = ERR_INIT;
    int64_t space = 0;
    int r;

    strv_for_each (filter, filters)
        if (flag_bool(f, "volumes") && str_starts(filter, "until="))
            return err_set(e, ERR_INVALID,
                           "ERROR: The \"until\" filter is not supported with \"--volumes\"");
    if (!flag_bool(f, "force") && !confirm_system(f))
        return 0;
    r = prune(cli, &containers, filters, NULL, &space, e);
    if (r == 0)
        r = prune(cli, &networks, filters, NULL, &space, e);
    if (r == 0 && flag_bool(f, "volumes"))
        r = prune(cli, &volumes, filters, NULL, &space, e);
    if (r == 0)
        r = prune(cli, &images, filters, flag_bool(f, "all") ? "dangling=false" : "dangling=true",
                  &space, e);
    if (r == 0) {
        /* an engine without a build cache is no failure */
        r = prune(cli, &caches, filters, NULL, &space, &ignored);
        if (r < 0 && (ignored.class == ERR_NOT_FOUND || ignored.class == ERR_NOT_IMPLEMENTED))
            r = 0;
        else if (r < 0)
            err_move(e, &ignored);
    }
    if (r == 0)
        print_space(space);
    return r;
}

const struct command command_container_prune = {
    .use = "[OPTIONS]",
    .summary = "Remove all stopped containers",
    .flags = container_flags,
    .run = cmd_container_prune,
};
const struct command command_image_prune = {
    .use = "[OPTIONS]",
    .summary = "Remove unused images",
    .flags = image_flags,
    .run = cmd_image_prune,
};
const struct command command_network_prune = {
    .use = "[OPTIONS]",
    .summary = "Remove all unused networks",
    .flags = network_flags,
    .run = cmd_network_prune,
};
const struct command command_volume_prune = {
    .use = "[OPTIONS]",
    .summary = "Remove unused local volumes",
    .flags = volume_flags,
    .run = cmd_volume_prune,
};
const struct command command_system_prune = {
    .use = "[OPTIONS]",
    .summary = "Remove unused data",
    .flags = system_flags,
    .run = cmd_system_prune,
};
