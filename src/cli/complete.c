/* SPDX-License-Identifier: Apache-2.0 */
/* `fence __complete WORDS...`: candidates for the last word, from the command tables; names of
 * objects come from the daemon. The shell scripts in contrib/completions only print them. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "format/json.h"

static void offer(const char *candidate, const char *prefix) {
    if (str_starts(candidate, prefix))
        put_line("%s", candidate);
}

static void offer_flags(const struct flag *table, const char *prefix) {
    for (const struct flag *f = table; f->name; f++) {
        auto_free char *text = xasprintf("--%s", f->name);

        if (!f->hidden)
            offer(text, prefix);
    }
    offer("--help", prefix);
}

/* Whether the word before the last is a flag that takes the last as its value. */
static bool is_value(const struct flag *table, const char *before) {
    if (before[0] != '-' || strchr(before, '='))
        return false;
    for (const struct flag *f = table; f->name; f++) {
        bool is_long = str_starts(before, "--") && strcmp(before + 2, f->name) == 0;
        bool is_short =
            before[1] != '-' && f->shorthand && before[strlen(before) - 1] == f->shorthand;

        if ((is_long || is_short) && f->type != FLAG_BOOL)
            return true;
    }
    return false;
}

/* The member `field` (a text or a list of texts) of each object of a list. */
static void offer_objects(struct cli *cli, const char *path, const char *query, const char *list,
                          const char *field, const char *prefix) {
    auto_json *answer = NULL;
    struct json_object *all, *v;

    if (client_get_json(&cli->client, path, query, &answer, NULL) < 0)
        return;
    all = list ? jsn_get(answer, list) : answer;
    if (!json_object_is_type(all, json_type_array))
        return;
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        v = jsn_get(json_object_array_get_idx(all, i), field);
        if (json_object_is_type(v, json_type_string))
            offer(json_object_get_string(v), prefix);
        for (size_t j = 0;
             json_object_is_type(v, json_type_array) && j < json_object_array_length(v); j++) {
            const char *name = json_object_get_string(json_object_array_get_idx(v, j));

            if (*name != '/')
                offer(name, prefix);
            else if (!strchr(name + 1, '/')) /* "/web/db" is what a link calls it */
                offer(name + 1, prefix);
        }
    }
}

/* What the n-th operand names: the n-th word of `completes`, the last one for all after it. */
static char *operand_kind(const struct command *c, size_t n) {
    auto_strv words = str_split(str_or_empty(c->completes), ' ');
    size_t count = strv_len(words);

    return count ? xstrdup(words[n < count ? n : count - 1]) : NULL;
}

static void offer_operands(struct cli *cli, const struct command *c, size_t n, const char *prefix) {
    auto_free char *kind = operand_kind(c, n);

    if (str_eq(kind, "container"))
        offer_objects(cli, "/containers/json", "all=1", NULL, "Names", prefix);
    else if (str_eq(kind, "image"))
        offer_objects(cli, "/images/json", NULL, NULL, "RepoTags", prefix);
    else if (str_eq(kind, "network"))
        offer_objects(cli, "/networks", NULL, NULL, "Name", prefix);
    else if (str_eq(kind, "volume"))
        offer_objects(cli, "/volumes", NULL, "Volumes", "Name", prefix);
}

/* How many operands stand before the last word. */
static size_t operands_before(const struct flag *table, int argc, char *const *argv) {
    size_t n = 0;

    for (int i = 0; i + 1 < argc; i++)
        n += argv[i][0] != '-' && (i == 0 || !is_value(table, argv[i - 1]));
    return n;
}

int complete_words(struct cli *cli, int argc, char *const *argv) {
    const struct command_entry *table = root_commands;
    const struct command *command = NULL;
    const char *last = argc > 0 ? argv[argc - 1] : "";
    int i = 0;

    while (!command && i + 1 < argc) {
        const struct command_entry *found = NULL;

        if (argv[i][0] == '-') { /* a flag of the program itself */
            i += is_value(root_flags, argv[i]) ? 2 : 1;
            continue;
        }
        for (const struct command_entry *e = table; e->name; e++)
            if (strcmp(e->name, argv[i]) == 0)
                found = e;
        if (!found)
            return 0;
        if (found->group)
            table = found->group->entries;
        command = found->cmd;
        i++;
    }
    if (!command) {
        if (*last == '-')
            offer_flags(root_flags, last);
        else
            for (const struct command_entry *e = table; e->name; e++)
                if (!e->hidden)
                    offer(e->name, last);
        return 0;
    }
    if (i + 1 < argc && is_value(command->flags, argv[argc - 2]))
        return 0; /* the shell's own completion of files */
    if (*last == '-')
        offer_flags(command->flags, last);
    else
        offer_operands(cli, command, operands_before(command->flags, argc - i, argv + i), last);
    return 0;
}
