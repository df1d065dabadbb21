/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/flags.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "format/units.h"

static const struct flag help_flag = {.name = "help", .type = FLAG_BOOL};

void flags_init(struct flags *f, const struct flag *table) {
    size_t n = 0;

    while (table[n].name)
        n++;
    f->table = table;
    f->values = xcalloc(n + 1, sizeof *f->values);
    for (size_t i = 0; i < n; i++)
        if (table[i].initial)
            f->values[i].number = strtoll(table[i].initial, NULL, 10);
}

void flags_done(struct flags *f) {
    for (size_t i = 0; f->table && f->table[i].name; i++)
        strv_free(f->values[i].values);
    free(f->values);
    *f = (struct flags){0};
}

static const struct flag *find_long(const struct flags *f, const char *name, size_t len) {
    for (const struct flag *t = f->table; t->name; t++)
        if (strlen(t->name) == len && memcmp(t->name, name, len) == 0)
            return t;
    return NULL;
}

static const struct flag *find_short(const struct flags *f, char c) {
    for (const struct flag *t = f->table; t->name; t++)
        if (t->shorthand == c)
            return t;
    return NULL;
}

static int decimal_parse(const char *s, int64_t *ret) {
    int64_t whole = 0, frac = 0, scale = NS_PER_SEC;
    const char *p = s;
    bool digits = false, negative = *p == '-';

    p += *p == '-' || *p == '+';
    for (; *p >= '0' && *p <= '9'; p++, digits = true)
        if (__builtin_mul_overflow(whole, (int64_t)10, &whole) ||
            __builtin_add_overflow(whole, (int64_t)(*p - '0'), &whole))
            return -ERANGE;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++, digits = true) {
            if (scale == 1 && *p != '0')
                return -ERANGE;
            if (scale > 1) {
                scale /= 10;
                frac += (*p - '0') * scale;
            }
        }
    }
    if (*p || !digits)
        return -EINVAL;
    if (__builtin_mul_overflow(whole, NS_PER_SEC, &whole) ||
        __builtin_add_overflow(whole, frac, &whole))
        return -ERANGE;
    *ret = negative ? -whole : whole;
    return 0;
}

static int bytes_parse(const char *s, int64_t *ret, struct err *e) {
    size_t digits = strspn(s, "0123456789.");
    const char *suffix = s + digits;

    if (units_parse_bytes(s, ret) >= 0)
        return 0;
    suffix += strspn(suffix, " ");
    if (digits > 0 && *suffix)
        return err_set(e, ERR_INVALID, "invalid suffix: '%s'", suffix);
    return err_set(e, ERR_INVALID, "invalid size: '%s'", s);
}

/* strconv's words for a value that does not fit the type. */
static int number_parse(const struct flag *t, const char *s, int64_t *ret, struct err *e) {
    int64_t v;
    bool b;
    int r;

    switch (t->type) {
    case FLAG_BOOL:
        if (str_to_bool(s, &b) < 0)
            return err_set(e, ERR_INVALID, "strconv.ParseBool: parsing \"%s\": invalid syntax", s);
        *ret = b;
        return 0;
    case FLAG_INT:
    case FLAG_UINT16:
        r = str_to_i64(s, &v);
        if (r == 0 && t->type == FLAG_UINT16 && (v < 0 || v > UINT16_MAX))
            r = v < 0 ? -EINVAL : -ERANGE;
        if (r < 0)
            return err_set(e, ERR_INVALID, "strconv.Parse%s: parsing \"%s\": %s",
                           t->type == FLAG_INT ? "Int" : "Uint", s,
                           r == -ERANGE ? "value out of range" : "invalid syntax");
        *ret = v;
        return 0;
    case FLAG_SWAP:
        if (str_eq(s, "-1")) {
            *ret = -1;
            return 0;
        }
        return bytes_parse(s, ret, e);
    case FLAG_BYTES:
        return bytes_parse(s, ret, e);
    case FLAG_DURATION:
        if (duration_parse(s, ret) < 0)
            return err_set(e, ERR_INVALID, "time: invalid duration \"%s\"", s);
        return 0;
    case FLAG_DECIMAL:
        r = decimal_parse(s, ret);
        if (r == -ERANGE)
            return err_set(e, ERR_INVALID, "value is too precise");
        if (r < 0)
            return err_set(e, ERR_INVALID, "failed to parse %s as a rational number", s);
        return 0;
    case FLAG_MAP:
    case FLAG_STRING:
    case FLAG_LIST:
    case FLAG_STRINGS:
        return 0;
    }
    return 0;
}

static int set_value(struct flags *f, const struct flag *t, const char *value, struct err *e) {
    auto_err why = ERR_INIT;
    struct flag_value *v;
    int64_t number = 0;
    int r;

    if (t->alias_of) {
        const struct flag *real = find_long(f, t->alias_of, strlen(t->alias_of));

        assert(real);
        return set_value(f, real, value, e);
    }
    r = number_parse(t, value, &number, &why);
    if (r == 0 && t->check)
        r = t->check(value, &why);
    if (r < 0) {
        char shorthand[] = {'-', t->shorthand, ',', ' ', '\0'};

        return err_set(e, ERR_INVALID, "invalid argument \"%s\" for \"%s--%s\" flag: %s", value,
                       t->shorthand ? shorthand : "", t->name, err_msg(&why));
    }
    v = &f->values[t - f->table];
    v->changed = true;
    v->number = number;
    if (t->type == FLAG_STRINGS) {
        auto_strv parts = str_split(value, ',');

        strv_for_each (part, parts)
            strv_add(&v->values, part);
        return 0;
    }
    if (t->type != FLAG_LIST && t->type != FLAG_MAP)
        v->values = strv_free(v->values);
    strv_add(&v->values, value);
    return 0;
}

/* "--name", "--name=value". Advances *index past a separate value. */
static int parse_long(struct flags *f, int argc, char *const *argv, int *index, struct err *e) {
    const char *name = argv[*index] + 2, *value = strchr(name, '=');
    size_t len = value ? (size_t)(value - name) : strlen(name);
    const struct flag *t = find_long(f, name, len);

    if (len == 0 || *name == '-')
        return err_set(e, ERR_INVALID, "bad flag syntax: %s", argv[*index]);
    if (!t && len == strlen(help_flag.name) && memcmp(name, help_flag.name, len) == 0)
        return 1;
    if (!t)
        return err_set(e, ERR_INVALID, "unknown flag: --%.*s", (int)len, name);
    if (value)
        return set_value(f, t, value + 1, e);
    if (t->type == FLAG_BOOL)
        return set_value(f, t, "true", e);
    if (t->optional)
        return set_value(f, t, t->optional, e);
    if (*index + 1 >= argc)
        return err_set(e, ERR_INVALID, "flag needs an argument: --%s", name);
    (*index)++;
    return set_value(f, t, argv[*index], e);
}

static int parse_short(struct flags *f, int argc, char *const *argv, int *index, struct err *e) {
    const char *cluster = argv[*index] + 1;

    for (const char *p = cluster; *p; p++) {
        const struct flag *t = find_short(f, *p);

        if (!t && *p == 'h') {
            fprintf(stderr, "Flag shorthand -h has been deprecated, use --help\n");
            return 1;
        }
        if (!t)
            return err_set(e, ERR_INVALID, "unknown shorthand flag: '%c' in -%s", *p, p);
        if (p[1] == '=')
            return set_value(f, t, p + 2, e);
        if (t->type == FLAG_BOOL) {
            int r = set_value(f, t, "true", e);

            if (r < 0)
                return r;
            continue;
        }
        if (p[1])
            return set_value(f, t, p + 1, e);
        if (t->optional)
            return set_value(f, t, t->optional, e);
        if (*index + 1 >= argc)
            return err_set(e, ERR_INVALID, "flag needs an argument: '%c' in -%s", *p, p);
        (*index)++;
        return set_value(f, t, argv[*index], e);
    }
    return 0;
}

int flags_parse(struct flags *f, int argc, char *const *argv, int *index, bool interspersed,
                char ***operands, struct err *e) {
    for (; *index < argc; (*index)++) {
        const char *arg = argv[*index];
        int r;

        if (arg[0] != '-' || arg[1] == '\0') {
            if (!operands)
                return 0;
            strv_add(operands, arg);
            if (interspersed)
                continue;
            while (++*index < argc)
                strv_add(operands, argv[*index]);
            return 0;
        }
        if (str_eq(arg, "--")) {
            while (operands && ++*index < argc)
                strv_add(operands, argv[*index]);
            return 0;
        }
        r = arg[1] == '-' ? parse_long(f, argc, argv, index, e)
                          : parse_short(f, argc, argv, index, e);
        if (r != 0)
            return r;
    }
    return 0;
}

static const struct flag *lookup(const struct flags *f, const char *name) {
    const struct flag *t = find_long(f, name, strlen(name));

    assert(t && !t->alias_of);
    return t;
}

static const struct flag_value *value_of(const struct flags *f, const char *name) {
    return &f->values[lookup(f, name) - f->table];
}

bool flag_exists(const struct flags *f, const char *name) {
    return find_long(f, name, strlen(name)) != NULL;
}

bool flag_bool(const struct flags *f, const char *name) {
    const struct flag *t = lookup(f, name);
    const struct flag_value *v = &f->values[t - f->table];

    return v->changed ? v->number != 0 : str_eq(t->initial, "true");
}

const char *flag_str(const struct flags *f, const char *name) {
    const struct flag *t = lookup(f, name);
    const struct flag_value *v = &f->values[t - f->table];

    return v->values ? v->values[0] : str_or_empty(t->initial);
}

int64_t flag_int(const struct flags *f, const char *name) {
    return value_of(f, name)->number;
}

char *const *flag_list(const struct flags *f, const char *name) {
    return value_of(f, name)->values;
}

bool flag_changed(const struct flags *f, const char *name) {
    return value_of(f, name)->changed;
}

/* ---- help ---------------------------------------------------------------------------------- */

static const char *type_name(const struct flag *t) {
    if (t->type_name)
        return t->type_name;
    switch (t->type) {
    case FLAG_BOOL:
        return "";
    case FLAG_STRING:
        return "string";
    case FLAG_INT:
        return "int";
    case FLAG_UINT16:
        return "uint16";
    case FLAG_BYTES:
    case FLAG_SWAP:
        return "bytes";
    case FLAG_DURATION:
        return "duration";
    case FLAG_DECIMAL:
        return "decimal";
    case FLAG_LIST:
        return "list";
    case FLAG_MAP:
        return "map";
    case FLAG_STRINGS:
        return "strings";
    }
    return "";
}

static void indent(struct buf *out, size_t n) {
    while (n-- > 0)
        buf_putc(out, ' ');
}

/* n bytes of s; its own line breaks are indented too. */
static void put_block(struct buf *out, const char *s, size_t n, size_t column) {
    for (size_t i = 0; i < n; i++) {
        buf_putc(out, s[i]);
        if (s[i] == '\n')
            indent(out, column);
    }
}

/* The length of the next line of s for a column of `room` bytes, and in *skip what to leave out
 * behind it. A text up to `slop` bytes longer than the room is not broken. */
static size_t line_length(const char *s, size_t room, size_t slop, size_t *skip) {
    size_t n = strlen(s), blank = 0, newline = 0;

    *skip = 0;
    if (room + slop > n)
        return n;
    for (size_t i = 0; i < room; i++) {
        if (s[i] == ' ' || s[i] == '\t' || s[i] == '\n')
            blank = i;
        if (s[i] == '\n')
            newline = i;
    }
    if (blank == 0)
        return n;
    *skip = 1;
    return newline > 0 && newline < blank ? newline : blank;
}

static void put_wrapped(struct buf *out, const char *s, size_t column, size_t width) {
    enum { slop = 5, narrowest = 24, fallback_column = 16 };
    size_t room = width > column ? width - column : 0, n, skip;

    if (room < narrowest) { /* as a block on the next line */
        column = fallback_column;
        room = width > column ? width - column : 0;
        if (room < narrowest)
            room = narrowest;
        buf_putc(out, '\n');
        indent(out, column);
    }
    room -= slop;
    for (bool first = true; first || *s; first = false) {
        if (!first) {
            buf_putc(out, '\n');
            indent(out, column);
        }
        n = line_length(s, room, slop, &skip);
        put_block(out, s, n, column);
        s += n + skip;
    }
}

static void flag_head(const struct flag *t, struct buf *out) {
    const char *type = type_name(t);

    buf_clear(out);
    if (t->shorthand)
        buf_printf(out, "  -%c, --%s", t->shorthand, t->name);
    else
        buf_printf(out, "      --%s", t->name);
    if (*type)
        buf_printf(out, " %s", type);
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const struct flag *const *)a)->name, (*(const struct flag *const *)b)->name);
}

void flags_usage(const struct flag *table, unsigned width, struct buf *out) {
    auto_free const struct flag **sorted = NULL;
    auto_buf head = BUF_INIT, text = BUF_INIT;
    size_t n = 0, longest = 0;

    for (const struct flag *t = table; t->name; t++)
        n += !t->hidden;
    sorted = xcalloc(n + 1, sizeof(struct flag *));
    n = 0;
    for (const struct flag *t = table; t->name; t++) {
        if (t->hidden)
            continue;
        sorted[n++] = t;
        flag_head(t, &head);
        if (head.len > longest)
            longest = head.len;
    }
    qsort(sorted, n, sizeof(struct flag *), compare_names);
    for (size_t i = 0; i < n; i++) {
        flag_head(sorted[i], &head);
        buf_append(out, head.data, head.len);
        indent(out, longest - head.len + 3);
        buf_clear(&text);
        buf_puts(&text, sorted[i]->usage);
        if (!str_empty(sorted[i]->shown))
            buf_printf(&text, " (default %s)", sorted[i]->shown);
        put_wrapped(out, buf_str(&text), longest + 3, width);
        buf_putc(out, '\n');
    }
}
