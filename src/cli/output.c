/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "format/json.h"
#include "format/units.h"

/* ---- tables -------------------------------------------------------------------------------- */

enum { CELL_MIN = 10, CELL_PADDING = 3 };

struct cell {
    const char *text;
    size_t len, width;
};

struct line {
    struct cell *cells;
    size_t count; /* the last one is not part of a column */
};

static size_t columns_of(const char *s, size_t n) {
    size_t width = 0;

    for (size_t i = 0; i < n; i++)
        width += (s[i] & 0xc0) != 0x80;
    return width;
}

static struct line line_split(const char *s, size_t n) {
    struct line l = {0};
    const char *end = s + n;

    for (;;) {
        const char *tab = memchr(s, '\t', (size_t)(end - s)), *stop = tab ? tab : end;

        l.cells = xreallocarray(l.cells, l.count + 1, sizeof *l.cells);
        l.cells[l.count++] =
            (struct cell){s, (size_t)(stop - s), columns_of(s, (size_t)(stop - s))};
        if (!tab)
            return l;
        s = tab + 1;
    }
}

/* A column is a run of lines that all have a tab-ended cell there; each run has its own width. */
static void column_widths(struct line *lines, size_t count, size_t least) {
    size_t most = 0;

    for (size_t i = 0; i < count; i++)
        if (lines[i].count > most)
            most = lines[i].count;
    for (size_t column = 0; column + 1 < most; column++) {
        for (size_t from = 0; from < count;) {
            size_t to, width = least;

            if (lines[from].count <= column + 1) {
                from++;
                continue;
            }
            for (to = from; to < count && lines[to].count > column + 1; to++)
                if (lines[to].cells[column].width + CELL_PADDING > width)
                    width = lines[to].cells[column].width + CELL_PADDING;
            for (; from < to; from++)
                lines[from].cells[column].width = width - lines[from].cells[column].width;
        }
    }
}

void table_align(const char *text, size_t len, struct buf *out) {
    table_align_width(text, len, CELL_MIN, out);
}

void table_align_width(const char *text, size_t len, size_t least, struct buf *out) {
    struct line *lines = NULL;
    size_t count = 0;

    while (len > 0) {
        const char *newline = memchr(text, '\n', len);
        size_t n = newline ? (size_t)(newline - text) : len;

        lines = xreallocarray(lines, count + 1, sizeof *lines);
        lines[count++] = line_split(text, n);
        text += n + (newline != NULL);
        len -= n + (newline != NULL);
    }
    column_widths(lines, count, least);
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < lines[i].count; c++) {
            const struct cell *cell = &lines[i].cells[c];

            buf_append(out, cell->text, cell->len);
            for (size_t pad = c + 1 < lines[i].count ? cell->width : 0; pad > 0; pad--)
                buf_putc(out, ' ');
        }
        buf_putc(out, '\n');
        free(lines[i].cells);
    }
    free(lines);
}

/* ---- --format ------------------------------------------------------------------------------ */

/* "\t" and "\n" written out, as people type them in single quotes. */
static char *unescape(const char *s) {
    auto_buf b = BUF_INIT;

    for (; *s; s++) {
        if (s[0] == '\\' && (s[1] == 't' || s[1] == 'n'))
            buf_putc(&b, *++s == 't' ? '\t' : '\n');
        else
            buf_putc(&b, *s);
    }
    return buf_take(&b);
}

int list_begin(struct list_output *l, const struct list_format *f, const char *format, bool quiet,
               struct err *e) {
    auto_free char *text = NULL;
    const char *rest;
    int r;

    *l = (struct list_output){.format = f};
    l->text.max = 1u << 30;
    if ((str_empty(format) || str_eq(format, "table")) && quiet && f->quiet) {
        text = xstrdup(f->quiet);
    } else if (str_empty(format) || str_eq(format, "table")) {
        l->is_table = true;
        text = xstrdup(f->table);
    } else if ((rest = str_after(format, "table")) && (*rest == ' ' || *rest == '\t')) {
        l->is_table = true;
        while (*rest == ' ' || *rest == '\t')
            rest++;
        text = unescape(rest);
        if (quiet && f->quiet) {
            free(text);
            text = xstrdup(f->quiet);
        }
    } else if (str_eq(format, "json")) {
        l->is_json = true;
        return 0;
    } else {
        text = unescape(format);
    }
    r = gotmpl_parse(text, &l->template, e);
    if (r < 0)
        err_wrap(e, "failed to parse template");
    return r;
}

bool list_uses(const struct list_output *l, const char *field) {
    return l->template && gotmpl_uses(l->template, field);
}

int list_row(struct list_output *l, struct json_object *row, struct err *e) {
    const struct gotmpl_options o = {
        .type_name = l->format->type_name, .method = l->format->method, .extra = l->extra};
    int r;

    if (l->is_json) {
        row_json(row, &l->text);
        buf_putc(&l->text, '\n');
        return 0;
    }
    r = gotmpl_exec(l->template, row, &o, &l->text, e);
    if (r < 0) {
        err_wrap(e, "%s", l->format->failure ? l->format->failure : "template parsing error");
        return r;
    }
    buf_putc(&l->text, '\n');
    return 0;
}

static char *header_label(struct json_object *extra, const char *name, const char *arg) {
    char *text, *out;

    (void)extra;
    if (!str_eq(name, "Label"))
        return NULL;
    text = xstrdup(strrchr(arg, '.') ? strrchr(arg, '.') + 1 : arg);
    for (out = text; *out; out++)
        if (*out == '-' || *out == '_')
            *out = ' ';
    return text;
}

int list_finish(struct list_output *l, struct buf *out, struct err *e) {
    auto_json *head = NULL;
    auto_buf all = BUF_INIT;
    struct gotmpl_options o = {
        .type_name = l->format->type_name, .header = true, .method = header_label};
    int r;

    if (!l->is_table) {
        buf_append(out, l->text.data, l->text.len);
        return 0;
    }
    head = json_object_new_object();
    for (const struct column *c = l->format->columns; c->field; c++)
        json_object_object_add(head, c->field, json_object_new_string(c->header));
    all.max = 1u << 30;
    r = gotmpl_exec(l->template, head, &o, &all, e);
    if (r < 0)
        return r;
    buf_putc(&all, '\n');
    buf_append(&all, l->text.data, l->text.len);
    table_align(all.data, all.len, out);
    return 0;
}

int list_end(struct list_output *l, struct err *e) {
    auto_buf out = {.max = 1u << 30};
    int r = list_finish(l, &out, e);

    return r < 0 ? r : print_out(&out, e);
}

void list_done(struct list_output *l) {
    gotmpl_free(l->template);
    buf_done(&l->text);
    l->template = NULL;
}

/* ---- JSON and plain text ------------------------------------------------------------------- */

static void new_line(struct buf *out, const char *prefix, const char *step, unsigned depth) {
    buf_putc(out, '\n');
    buf_puts(out, prefix);
    while (depth-- > 0)
        buf_puts(out, step);
}

void json_indent(const char *text, size_t len, const char *prefix, const char *step,
                 struct buf *out) {
    const char *end = text + len;
    unsigned depth = 0;

    for (; text < end; text++) {
        char c = *text;

        if (c == '"') {
            const char *start = text;

            for (text++; text < end && *text != '"'; text++)
                if (*text == '\\')
                    text++;
            buf_append(out, start, (size_t)((text < end ? text + 1 : end) - start));
        } else if (c == '{' || c == '[') {
            const char *next = text + 1;

            buf_putc(out, c);
            while (next < end && strchr(" \t\r\n", *next))
                next++;
            if (next < end && (*next == '}' || *next == ']')) {
                buf_putc(out, *next);
                text = next;
                continue;
            }
            new_line(out, prefix, step, ++depth);
        } else if (c == '}' || c == ']') {
            new_line(out, prefix, step, depth > 0 ? --depth : 0);
            buf_putc(out, c);
        } else if (c == ',') {
            buf_putc(out, c);
            new_line(out, prefix, step, depth);
        } else if (c == ':') {
            buf_puts(out, ": ");
        } else if (!strchr(" \t\r\n", c)) {
            buf_putc(out, c);
        }
    }
}

int print_out(const struct buf *b, struct err *e) {
    int r;

    (void)fflush(stdout);
    r = io_write_all(STDOUT_FILENO, buf_str(b), b->len);
    return r < 0 ? err_sys(e, r, "write /dev/stdout") : 0;
}

void put_line(const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    (void)vprintf(fmt, ap); /* a full disk shows when stdout is closed in cli_main */
    va_end(ap);
    (void)putchar('\n');
}

/* ---- texts for people ---------------------------------------------------------------------- */

char *time_ago(int64_t seconds) {
    char text[UNITS_TEXT_MAX];

    return xasprintf("%s ago", units_human_duration(clock_real_ns() - seconds * NS_PER_SEC, text));
}

char *time_local(int64_t seconds) {
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[80];

    if (!localtime_r(&t, &tm) || strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z %Z", &tm) == 0)
        return xstrdup("");
    return xstrdup(text);
}

static char *scaled(double v, double base, int precision, const char *const *units, int last) {
    int i = 0;

    while (v >= base && i < last) {
        v /= base;
        i++;
    }
    return xasprintf("%.*g%s", precision, v, units[i]);
}

char *human_size(double bytes, int precision) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};

    return scaled(bytes, 1000, precision, units, 8);
}

char *human_size_binary(double bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB"};

    return scaled(bytes, 1024, 4, units, 7);
}

char *ellipsis(const char *s, size_t n) {
    size_t chars = 0, bytes = 0;

    for (size_t i = 0; s[i]; i++) {
        if ((s[i] & 0xc0) == 0x80)
            continue;
        chars++;
        if (chars == n)
            bytes = i;
    }
    if (chars <= n || n == 0)
        return xstrdup(s);
    return xasprintf("%.*s\xe2\x80\xa6", (int)bytes, s);
}

char *short_id(const char *id) {
    const char *colon = strchr(str_or_empty(id), ':');
    const char *digits = colon ? colon + 1 : str_or_empty(id);

    return xstrndup(digits, 12);
}

void row_add(struct json_object *row, const char *field, const char *text) {
    json_object_object_add(row, field, json_object_new_string(str_or_empty(text)));
}

void row_take(struct json_object *row, const char *field, char *text) {
    row_add(row, field, text);
    free(text);
}
