/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The options of ps, in its three styles: -ef, aux, --sort pid. Which processes are shown is not
 * for them to say (all of the container's, as with dockerd), so options that select are read and
 * have no effect.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ps.h"
#include "base/alloc.h"
#include "base/str.h"

#define CELLS_MAX 256
#define WIDTH_MAX 4096
#define BLANKS    " \t\n\r\f"
#define NO_PID    "Couldn't find PID field in ps output"

enum style { STYLE_SYSV, STYLE_BSD };

struct parser {
    struct ps_format *f;
    char **args;    /* strv */
    size_t next;    /* index of the argument that comes next */
    char sysv[128]; /* letters given: 'f', 'l', 'j', 'F', 'y', 'c', 'M', 'L', 'T' */
    char bsd;       /* the one BSD format: j l s u v, 0 without */
    bool bsd_style; /* there was a BSD option: it decides on the default format */
    bool listed;    /* -o or -O came */
    bool no_titles;
    bool label; /* Z */
};

static int fail(struct err *e, const char *text) {
    return err_set(e, ERR_SYSTEM, "ps: error: %s", text);
}

/* ---- columns --------------------------------------------------------------------------------- */
/* title is taken; NULL: the column's own. */
static void add(struct ps_format *f, const struct ps_column *column, char *title, unsigned width) {
    f->cells = xreallocarray(f->cells, f->n_cells + 1, sizeof *f->cells);
    f->cells[f->n_cells++] =
        (struct ps_cell_format){.column = column,
                                .title = title ? title : xstrdup(ps_column_title(column)),
                                .width = width};
}

static void add_names(struct ps_format *f, const char *names) {
    auto_strv v = str_split(names, ' ');

    strv_for_each (name, v)
        add(f, ps_column_find(name), NULL, 0); /* names of this file: all are there */
}

static void add_if(struct ps_format *f, bool yes, const char *names) {
    if (yes)
        add_names(f, names);
}

/* name[:width][=title] */
static int add_spec(struct parser *p, char *spec, struct err *e) {
    char *equals = strchr(spec, '='), *title = NULL, *colon;
    const struct ps_column *column;
    uint64_t width = 0;

    if (equals) {
        *equals = '\0';
        title = equals + 1;
    }
    column = ps_column_find(spec);
    colon = column ? NULL : strrchr(spec, ':');
    if (colon) {
        *colon = '\0';
        column = ps_column_find(spec);
        if (str_to_u64(colon + 1, &width) < 0 || width == 0 || width > WIDTH_MAX)
            return fail(e, "column widths must be unsigned decimal numbers");
    }
    if (!column)
        return err_set(e, ERR_SYSTEM, "ps: error: unknown user-defined format specifier \"%s\"",
                       spec);
    if (p->f->n_cells >= CELLS_MAX)
        return fail(e, "improper format list");
    add(p->f, column, title ? xstrdup(title) : NULL, (unsigned)width);
    return 0;
}

static int add_list(struct parser *p, const char *list, struct err *e) {
    auto_free char *copy = xstrdup(list);
    char *at = copy;

    do {
        size_t len = strcspn(at, "," BLANKS);
        bool more = at[len] != '\0';
        int r;

        if (len == 0 || *at == '=')
            return fail(e, "improper format list");
        at[len] = '\0';
        r = add_spec(p, at, e);
        if (r < 0)
            return r;
        at += len + more;
    } while (*at); /* a comma at the end is none too many */
    return 0;
}

static int add_sort(struct parser *p, const char *list, struct err *e) {
    auto_strv names = str_split(list, ',');

    strv_for_each (name, names) {
        bool reverse = *name == '-';
        const struct ps_column *column = ps_column_find(name + (reverse || *name == '+'));

        if (!column || p->f->n_sort >= CELLS_MAX)
            return fail(e, "unknown sort specifier");
        p->f->sort = xreallocarray(p->f->sort, p->f->n_sort + 1, sizeof *p->f->sort);
        p->f->sort[p->f->n_sort++] = (struct ps_sort_key){column, reverse};
    }
    return 0;
}

/* ---- options that take a value --------------------------------------------------------------- */
/* What ps says when the value is missing. */
static const struct {
    char option;
    const char *missing[2]; /* by style; NULL: no option of that style */
} with_value[] = {
    {'C', {"list of command names must follow -C", NULL}},
    {'G', {"list of real groups must follow -G", NULL}},
    {'O',
     {"format or sort specification must follow -O", "format or sort specification must follow O"}},
    {'U', {"list of real users must follow -U", "list of real users must follow U"}},
    {'g', {"list of session leaders OR effective group names must follow -g", NULL}},
    {'k', {NULL, "long sort specification must follow 'k'"}},
    {'o', {"format specification must follow -o", "format specification must follow o"}},
    {'p', {"list of process IDs must follow -p", "list of process IDs must follow p"}},
    {'q', {"list of process IDs must follow -q", "list of process IDs must follow q"}},
    {'s', {"list of session IDs must follow -s", NULL}},
    {'t', {"list of terminals (pty, tty...) must follow -t", NULL}},
    {'u', {"list of users must follow -u", NULL}},
};

static const char *missing_text(char option, enum style style) {
    for (size_t i = 0; i < sizeof with_value / sizeof *with_value; i++)
        if (with_value[i].option == option)
            return with_value[i].missing[style];
    return NULL;
}

static int use_value(struct parser *p, char option, const char *value, struct err *e) {
    const struct ps_column *pid = ps_column_find("pid");
    int r;

    switch (option) {
    case 'O': /* between the columns that are always there */
        p->listed = true;
        add(p->f, pid, NULL, 0);
        r = add_list(p, value, e);
        add_names(p->f, "state tname time command");
        return r;
    case 'o':
        p->listed = true;
        return add_list(p, value, e);
    case 'k':
        return add_sort(p, value, e);
    case 'p':
    case 'q':
        return strspn(value, "0123456789," BLANKS) == strlen(value)
                   ? 0
                   : fail(e, "process ID list syntax error");
    default:
        return 0; /* selects */
    }
}

/* ---- the three styles ------------------------------------------------------------------------ */
/* False when there is no such option. */
static bool letter(struct parser *p, char c, enum style style) {
    if (style == STYLE_SYSV) {
        if (strchr("Aadew", c)) /* select; -w: nothing is cut anyway */
            return true;
        if (c == 'Z')
            c = 'M';
        if (c == 'H')
            p->f->tree = true;
        else if (strchr("fljFycMLT", c))
            p->sysv[(unsigned char)c] = 1;
        else
            return false;
        p->f->threads = p->sysv['L'] || p->sysv['T'];
        return true;
    }
    switch (c) {
    case 'a':
    case 'g':
    case 'r':
    case 'S':
    case 'T':
    case 'w':
    case 'x':
        return true;
    case 'c':
        return p->f->names = true;
    case 'e':
        return p->f->environment = true;
    case 'f':
        return p->f->forest = p->f->tree = true;
    case 'H':
        return p->f->threads = true;
    case 'h':
        return p->no_titles = true;
    case 'n':
        return p->f->numbers = true;
    case 'Z':
        return p->label = true;
    default:
        return false;
    }
}

static int letters(struct parser *p, const char *s, enum style style, struct err *e) {
    p->bsd_style |= style == STYLE_BSD;
    for (; *s; s++) {
        const char *missing = missing_text(*s, style);

        if (missing) {
            const char *value = s[1] ? s + 1 : p->args[p->next] ? p->args[p->next++] : NULL;

            return value ? use_value(p, *s, value, e) : fail(e, missing);
        }
        if (style == STYLE_BSD && strchr("jlsuv", *s)) {
            if (p->bsd && p->bsd != *s)
                return fail(e, "conflicting format options");
            p->bsd = *s;
        } else if (!letter(p, *s, style)) {
            return fail(e, style == STYLE_SYSV ? "unsupported SysV option"
                                               : "unsupported option (BSD syntax)");
        }
    }
    return 0;
}

struct gnu_option {
    const char *name;
    char value; /* the short option that takes the value, ' ' for one to be passed over, 0 none */
};

/* The text of the short option, with this one's name at its end. */
static int fail_missing(const struct gnu_option *o, struct err *e) {
    const char *text = missing_text(o->value, STYLE_SYSV), *last;

    if (!text)
        text = missing_text(o->value, STYLE_BSD);
    last = text ? strrchr(text, ' ') : NULL;
    if (!last)
        return err_set(e, ERR_SYSTEM, "ps: error: a value must follow --%s", o->name);
    return err_set(e, ERR_SYSTEM, "ps: error: %.*s --%s", (int)(last - text), text, o->name);
}

static int gnu(struct parser *p, const char *s, struct err *e) {
    static const struct gnu_option options[] = {
        {"Group", 'G'},     {"User", 'U'},      {"cols", ' '},   {"columns", ' '},
        {"context", 0},     {"cumulative", 0},  {"forest", 0},   {"format", 'o'},
        {"group", 'g'},     {"headers", 0},     {"lines", ' '},  {"no-heading", 0},
        {"no-headers", 0},  {"no-headings", 0}, {"noheader", 0}, {"noheaders", 0},
        {"noheading", 0},   {"noheadings", 0},  {"pid", 'p'},    {"ppid", ' '},
        {"quick-pid", 'q'}, {"rows", ' '},      {"sid", 's'},    {"sort", 'k'},
        {"tty", 't'},       {"user", 'u'},      {"width", ' '},
    };
    size_t len = strcspn(s, "=");
    const struct gnu_option *o = NULL;

    for (size_t i = 0; i < sizeof options / sizeof *options && !o; i++)
        if (strlen(options[i].name) == len && strncmp(options[i].name, s, len) == 0)
            o = &options[i];
    if (!o || (s[len] == '=' && !o->value))
        return fail(e, "unknown gnu long option");
    if (o->value) {
        const char *value = s[len] ? s + len + 1 : p->args[p->next] ? p->args[p->next++] : NULL;

        if (!value)
            return fail_missing(o, e);
        return use_value(p, o->value, value, e);
    }
    if (str_starts(o->name, "no"))
        p->no_titles = true;
    else if (str_eq(o->name, "forest"))
        p->f->forest = p->f->tree = true;
    else if (str_eq(o->name, "context"))
        p->sysv['M'] = 1;
    return 0;
}

/* ---- formats without -o ---------------------------------------------------------------------- */
static void add_sysv(const struct parser *p) {
    const char *given = p->sysv;
    bool full = given['f'] || given['F'], wide = given['F'], longer = given['l'];
    bool class = given['c'];
    struct ps_format *f = p->f;

    add_if(f, given['M'], "label");
    add_if(f, longer && !given['y'], "f");
    add_if(f, longer, "s");
    add_if(f, full, "uid_hack");
    add_if(f, longer && !full, "uid");
    add_names(f, "pid");
    add_if(f, given['T'], "spid");
    add_if(f, full || longer, "ppid");
    add_if(f, given['j'], "pgid sid");
    add_if(f, given['L'], "lwp");
    add_if(f, (full || longer) && !class, "c");
    add_if(f, given['L'] && full, "nlwp");
    add_if(f, class, "cls pri");
    add_if(f, longer && !class, "opri ni");
    add_if(f, longer, given['y'] ? "rss" : "addr");
    add_if(f, longer || wide, "sz");
    add_if(f, longer, "wchan");
    add_if(f, wide && !(longer && given['y']), "rss");
    add_if(f, wide, "psr");
    add_if(f, full, "stime");
    add_names(f, "tname time");
    add_names(f, full ? "cmd" : "ucmd");
}

static void add_bsd(const struct parser *p) {
    static const struct {
        char option;
        const char *names;
    } formats[] = {
        {'j', "ppid pid pgid sid tname tpgid stat uid bsdtime args"},
        {'l', "f uid pid ppid priority ni vsz rss wchan stat tname bsdtime args"},
        {'s', "uid pid pending blocked ignored caught stat tname bsdtime args"},
        {'u', "user pid %cpu %mem vsz rss tname stat start_time bsdtime args"},
        {'v', "pid tname stat bsdtime maj_flt trs drs rss %mem args"},
    };

    add_if(p->f, p->label || p->sysv['M'], "label");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].option == p->bsd) {
            add_names(p->f, formats[i].names);
            return;
        }
    add_names(p->f, "pid tname stat bsdtime args");
}

static int add_defaults(struct parser *p, struct err *e) {
    bool sysv = memchr(p->sysv, 1, sizeof p->sysv) != NULL;
    bool format = p->sysv['f'] || p->sysv['F'] || p->sysv['l'] || p->sysv['j'];

    if (p->listed)
        return p->bsd || format ? fail(e, "conflicting format options") : 0;
    if (p->bsd && format)
        return fail(e, "conflicting format options");
    if (p->sysv['y'] && !p->sysv['l'])
        return fail(e, "modifier -y without format -l makes no sense");
    if (p->bsd || (p->bsd_style && !sysv))
        add_bsd(p);
    else
        add_sysv(p);
    return 0;
}

/* ---- all together ---------------------------------------------------------------------------- */
/* dockerd finds the processes by the title PID, and lets no other column have it. */
static int check_titles(const char *args, struct err *e) {
    for (const char *equals = strchr(args, '='); equals; equals = strchr(equals + 1, '=')) {
        const char *value = equals + 1 + strspn(equals + 1, BLANKS), *from = equals;

        while (from > args && !strchr(BLANKS, from[-1]))
            from--;
        if (from == args || !str_starts(value, "PID") ||
            (equals - from == 3 && strncmp(from, "pid", 3) == 0))
            continue;
        return err_set(e, ERR_SYSTEM, "specifying \"%.*s=%.*s\" is not allowed",
                       (int)(equals - from), from, (int)strcspn(value, BLANKS), value);
    }
    return 0;
}

static int parse_args(struct parser *p, struct err *e) {
    int r = 0;

    while (r == 0 && p->args[p->next]) {
        const char *s = p->args[p->next++];

        if (!*s || strspn(s, "0123456789,") == strlen(s))
            continue; /* process ids: they select */
        if (str_starts(s, "--"))
            r = gnu(p, s + 2, e);
        else if (str_starts(s, "-au") && strchr(s, 'x'))
            r = letters(p, s + 1, STYLE_BSD, e); /* what is meant, unless there is a user "x" */
        else if (*s == '-')
            r = letters(p, s + 1, STYLE_SYSV, e);
        else
            r = letters(p, s, STYLE_BSD, e);
    }
    return r;
}

int ps_format_parse(const char *args, struct ps_format *ret, struct err *e) {
    struct ps_format f = {0};
    auto_strv split = str_split(args, ' ');
    struct parser p = {.f = &f, .args = split};
    int r = check_titles(args, e);

    if (r == 0 && split)
        r = parse_args(&p, e);
    if (r == 0)
        r = add_defaults(&p, e);
    if (r == 0) {
        bool found = false;

        for (size_t i = 0; i < f.n_cells; i++)
            found |= str_eq(f.cells[i].title, "PID");
        if (!found || p.no_titles)
            r = err_set(e, ERR_SYSTEM, NO_PID);
    }
    if (r < 0)
        ps_format_done(&f);
    else
        *ret = f;
    return r;
}

void ps_format_done(struct ps_format *f) {
    for (size_t i = 0; i < f->n_cells; i++)
        free(f->cells[i].title);
    free(f->cells);
    free(f->sort);
    *f = (struct ps_format){0};
}
