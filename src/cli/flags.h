/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Command-line flags by table, with the rules of Go's pflag: short clusters (-it), -v=X, -vX, -v X,
 * --flag=x, --flag x, switches with =false, "--" ends the flags, and flags after the first operand
 * only where the command allows it. The same table yields the help text and completion.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum flag_type {
    FLAG_BOOL,
    FLAG_STRING,
    FLAG_INT,
    FLAG_UINT16,
    FLAG_BYTES,    /* "64m" */
    FLAG_SWAP,     /* bytes, or -1 */
    FLAG_DURATION, /* "1m30s" */
    FLAG_DECIMAL,  /* "1.5", billionths */
    FLAG_LIST,     /* may be given several times */
    FLAG_MAP,      /* list of key=value */
    FLAG_STRINGS,  /* list, also split at commas */
};

struct flag {
    const char *name;
    char shorthand; /* 0: none */
    enum flag_type type;
    const char *usage;
    const char *type_name; /* in the help; NULL: by type */
    const char *shown;     /* default as the help shows it, "" or NULL: not shown */
    const char *initial;   /* default value, NULL: none */
    const char *optional;  /* value when the flag stands alone, NULL: it needs one */
    bool hidden;
    /* An older spelling: the flag that it sets. Such flags have no value of their own. */
    const char *alias_of;
    /* What is wrong with a value, as a text in e (further than the type says). May be NULL. */
    int (*check)(const char *value, struct err *e);
};

struct flag_value {
    char **values; /* strv; a scalar has at most one */
    int64_t number;
    bool changed;
};

struct flags {
    const struct flag *table; /* ends with a NULL name; borrowed */
    struct flag_value *values;
};

void flags_init(struct flags *f, const struct flag *table);
void flags_done(struct flags *f);
/*
 * Takes argv[*index...]. With `interspersed`, operands may stand between flags; they are added to
 * *operands (a strv) in both cases. Stops after the last argument, or at the first operand without
 * `interspersed` when operands is NULL (*index is then that operand). ERR_INVALID with pflag's
 * words. 1: --help was asked for.
 */
int flags_parse(struct flags *f, int argc, char *const *argv, int *index, bool interspersed,
                char ***operands, struct err *e);

/* Look-ups by name; an unknown name is a programming error and aborts. Results are borrowed. */
bool flag_bool(const struct flags *f, const char *name);
const char *flag_str(const struct flags *f, const char *name); /* "" when not given */
int64_t flag_int(const struct flags *f, const char *name);     /* 0 when not given */
char *const *flag_list(const struct flags *f, const char *name);
bool flag_changed(const struct flags *f, const char *name);
bool flag_exists(const struct flags *f, const char *name);

/* The lines of "Options:", wrapped to `width` columns. */
void flags_usage(const struct flag *table, unsigned width, struct buf *out);
