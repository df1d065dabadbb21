/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command line client: one context, one table of commands.
 *
 * A command is one file, cmd_NAME.c, with one const struct command (inspect and prune: with one for
 * each kind of object); commands.c lists them by the names they are called by. Flag parsing, usage,
 * help and completion all read these tables.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "cli/client.h"
#include "cli/flags.h"

/* Exit status for what docker calls a failure of the program itself. */
#define EXIT_USAGE 125

struct cli {
    const char *prog; /* "fence" or "docker": the first word of usage lines and messages */
    bool as_docker;
    bool debug;
    char *config_dir;
    struct json_object *config; /* config.json, or NULL (config.h) */
    char *context;              /* where the daemon's address comes from: "default" or a name */
    struct client client;
};

struct command;

/* One call of a command. */
struct args {
    const struct command *cmd;
    const char *path; /* "docker container run", as it was called */
    struct flags flags;
    int argc; /* operands */
    char *const *argv;
};

#define ARGS_ANY (-1)

struct command {
    const char *use;     /* what follows the name in the usage line */
    const char *use2;    /* a second usage line, or NULL */
    const char *summary; /* one line */
    const char *details; /* further paragraphs of the help, or NULL */
    const char *aliases; /* "container run, run": every path, or NULL */
    const struct flag *flags;
    int min_args, max_args; /* operands; max ARGS_ANY: no limit */
    bool stop_at_operand;   /* what follows the first operand is not ours: run, exec */
    /* Prints what the command prints. Returns the exit status, or -errno with the text for stderr
     * in e (exit status 1). */
    int (*run)(struct cli *cli, const struct args *a, struct err *e);
    /* What operands name, for completion: "container", "image", "volume", "network" or NULL; of
     * several words each is for one operand, in order. */
    const char *completes;
};

struct command_entry {
    const char *name; /* NULL ends a table */
    const struct command *cmd;
    const struct command_group *group; /* instead of cmd */
    bool hidden;                       /* another spelling: not in the list of the help */
    bool common;                       /* under "Common Commands" */
};

struct command_group {
    const char *name, *summary;
    const struct command_entry *entries;
};

extern const struct command_entry root_commands[];
extern const struct flag root_flags[];
extern const struct flag no_flags[];

/* The whole program; returns the exit status. */
int cli_main(int argc, char **argv);

/* "Usage:", description, aliases and options of one command. */
void help_command(const struct cli *cli, const struct args *a);
void help_group(const char *path, const struct command_group *group, FILE *to);
void help_root(const struct cli *cli, FILE *to);
void help_usage_line(const struct args *a, struct buf *out);
/* Columns of the terminal on stdout, 80 when there is none. */
unsigned terminal_width(void);

/* The candidates for the last of the words, one a line on stdout. */
int complete_words(struct cli *cli, int argc, char *const *argv);

/* ---- helpers that several commands share ---------------------------------------------------- */

/* One request for each operand, all in flight at once; prints the operands that worked, puts the
 * errors of the others, one a line, into e. `query` ("t=1", may be "") is the same for all; path is
 * "<prefix><operand><suffix>". Returns 0 or -errno. */
int each_operand(struct cli *cli, const struct args *a, const char *method, const char *prefix,
                 const char *suffix, const char *query, struct err *e);
/* The same for what is forced: an operand that is not there is told on stderr, and is no failure.
 */
int each_operand_forced(struct cli *cli, const struct args *a, const char *method,
                        const char *prefix, const char *suffix, const char *query, struct err *e);
/* The same, and an operand that is not there is as good as gone. */
int each_operand_present(struct cli *cli, const struct args *a, const char *method,
                         const char *prefix, const char *suffix, const char *query, struct err *e);
/* The order in which people count: numbers in texts by their values. As strcmp(). */
int natural_compare(const char *a, const char *b);
/* -f name=value flags as the API's JSON: {"name":{"value":true}}; NULL when there are none. Owned.
 */
char *filters_json(char *const *filters);
/* check() of --filter flags. */
int filter_check(const char *value, struct err *e);
/* Appends text as a line of e's message (several failures of one command). */
void err_append(struct err *e, const struct err *more);
/* Asks "message [y/N]" on the terminal. */
bool confirm(const char *message);
/* Go's %q of a string. Owned. */
char *go_quote(const char *s);
/* The reference `repo[:tag]` as the API's repo and tag; ERR_INVALID. An empty text gives "", "". */
int split_reference(const char *s, char **ret_repo, char **ret_tag, struct err *e);
