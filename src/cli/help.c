/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/stream.h"

unsigned terminal_width(void) {
    unsigned rows, columns;

    return terminal_size(STDOUT_FILENO, &rows, &columns) && columns > 0 ? columns : 80;
}

void help_usage_line(const struct args *a, struct buf *out) {
    const char *use = a->cmd->use;

    buf_printf(out, "Usage:  %s%s%s\n", a->path, *use ? " " : "", use);
    if (a->cmd->use2)
        buf_printf(out, "\t%s %s\n", a->path, a->cmd->use2);
}

static void put_aliases(const struct cli *cli, const char *aliases, struct buf *out) {
    auto_strv paths = str_split(aliases, ',');

    buf_puts(out, "\nAliases:\n  ");
    for (size_t i = 0; paths && paths[i]; i++)
        buf_printf(out, "%s%s %s", i > 0 ? ", " : "", cli->prog, paths[i] + (paths[i][0] == ' '));
    buf_putc(out, '\n');
}

void help_command(const struct cli *cli, const struct args *a) {
    auto_buf out = BUF_INIT, options = BUF_INIT;

    help_usage_line(a, &out);
    buf_printf(&out, "\n%s\n", a->cmd->summary);
    if (a->cmd->details)
        buf_printf(&out, "\n%s\n", a->cmd->details);
    if (a->cmd->aliases)
        put_aliases(cli, a->cmd->aliases, &out);
    flags_usage(a->cmd->flags, terminal_width() - 1, &options);
    if (options.len > 0)
        buf_printf(&out, "\nOptions:\n%s", buf_str(&options));
    (void)fputs(buf_str(&out), stdout); /* finish() looks at the stream's state */
}

static int compare_entries(const void *a, const void *b) {
    return strcmp((*(const struct command_entry *const *)a)->name,
                  (*(const struct command_entry *const *)b)->name);
}

enum section { SECTION_COMMON, SECTION_GROUPS, SECTION_OTHERS, SECTION_ALL };

static void put_entries(const struct command_entry *table, enum section section, const char *title,
                        struct buf *out) {
    const struct command_entry *shown[128];
    size_t n = 0;

    for (const struct command_entry *e = table; e->name && n < 128; e++) {
        enum section of = e->common ? SECTION_COMMON : e->group ? SECTION_GROUPS : SECTION_OTHERS;

        if (!e->hidden && (section == SECTION_ALL || section == of))
            shown[n++] = e;
    }
    if (n == 0)
        return;
    if (section != SECTION_COMMON) /* these stand in the order of use */
        qsort(shown, n, sizeof *shown, compare_entries);
    buf_printf(out, "\n%s:\n", title);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "  %-11s %s\n", shown[i]->name,
                   shown[i]->group ? shown[i]->group->summary : shown[i]->cmd->summary);
}

void help_group(const char *path, const struct command_group *group, FILE *to) {
    auto_buf out = BUF_INIT;

    buf_printf(&out, "Usage:  %s COMMAND\n\n%s\n", path, group->summary);
    put_entries(group->entries, SECTION_ALL, "Commands", &out);
    buf_printf(&out, "\nRun '%s COMMAND --help' for more information on a command.\n", path);
    (void)fputs(buf_str(&out), to); /* finish() looks at the stream's state */
}

void help_root(const struct cli *cli, FILE *to) {
    auto_buf out = BUF_INIT;

    buf_printf(&out, "Usage:  %s [OPTIONS] COMMAND\n\nA self-sufficient runtime for containers\n",
               cli->prog);
    put_entries(root_commands, SECTION_COMMON, "Common Commands", &out);
    put_entries(root_commands, SECTION_GROUPS, "Management Commands", &out);
    put_entries(root_commands, SECTION_OTHERS, "Commands", &out);
    buf_puts(&out, "\nGlobal Options:\n");
    flags_usage(root_flags, terminal_width() - 1, &out);
    buf_printf(&out, "\nRun '%s COMMAND --help' for more information on a command.\n", cli->prog);
    (void)fputs(buf_str(&out), to); /* finish() looks at the stream's state */
}
