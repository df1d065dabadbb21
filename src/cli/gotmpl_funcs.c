/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of templates: text/template's own and docker's. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/linkhash.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/gotmpl_value.h"

struct call {
    struct scratch *scratch;
    const struct gotmpl_options *o;
    const char *name;
    const struct value *args;
    size_t count;
    struct value *ret;
    struct err *e;
};

static int failed(const struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int failed(const struct call *c, const char *fmt, ...) {
    auto_buf text = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    return err_set(c->e, ERR_INVALID, "error calling %s: %s", c->name, buf_str(&text));
}

/* Text is not converted from other types: Go's functions are typed. */
static int text_arg(const struct call *c, size_t i, const char **ret) {
    const struct value *v = &c->args[i];

    if (v->kind == V_NULL && v->shape == SHAPE_TEXT) {
        *ret = "";
        return 0;
    }
    if (v->kind != V_STRING)
        return err_set(c->e, ERR_INVALID, "wrong type for value; expected string; got %s",
                       value_type(v));
    *ret = v->text;
    return 0;
}

static int int_arg(const struct call *c, size_t i, int64_t *ret) {
    if (c->args[i].kind != V_INT)
        return err_set(c->e, ERR_INVALID, "wrong type for value; expected int; got %s",
                       value_type(&c->args[i]));
    *ret = c->args[i].number;
    return 0;
}

static int give_text(const struct call *c, char *owned) {
    *c->ret = value_text(scratch_text(c->scratch, owned));
    return 0;
}

static int f_json(const struct call *c) {
    auto_buf b = BUF_INIT;

    if (c->o->header) {
        *c->ret = c->args[0];
        return 0;
    }
    value_json(&c->args[0], &b);
    return give_text(c, buf_take(&b));
}

static int f_split(const struct call *c) {
    struct json_object *list;
    const char *s = NULL, *sep = NULL, *end;
    int r = text_arg(c, 0, &s);

    if (r == 0)
        r = text_arg(c, 1, &sep);
    if (r < 0)
        return r;
    list = scratch_json(c->scratch, json_object_new_array());
    while (*sep && (end = strstr(s, sep))) {
        json_object_array_add(list, json_object_new_string_len(s, (int)(end - s)));
        s = end + strlen(sep);
    }
    if (*sep) {
        json_object_array_add(list, json_object_new_string(s));
    } else {
        for (; *s; s++) /* characters of UTF-8 */
            if ((*s & 0xc0) != 0x80)
                json_object_array_add(
                    list, json_object_new_string_len(
                              s, 1 + (int)((s[1] & 0xc0) == 0x80) +
                                     (int)((s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) +
                                     (int)((s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
                                           (s[3] & 0xc0) == 0x80)));
    }
    *c->ret = value_of_json(list, NULL, true);
    return 0;
}

static int f_join(const struct call *c) {
    auto_buf b = BUF_INIT;
    const struct value *list = &c->args[0];
    const char *sep = NULL;
    int r = text_arg(c, 1, &sep);

    if (r < 0)
        return r;
    if (list->kind == V_NULL) {
        *c->ret = value_text("");
        return 0;
    }
    if (list->kind != V_JSON || !json_object_is_type(list->json, json_type_array))
        return err_set(c->e, ERR_INVALID, "wrong type for value; expected []string; got %s",
                       value_type(list));
    for (size_t i = 0; i < json_object_array_length(list->json); i++) {
        struct value v = value_of_json(json_object_array_get_idx(list->json, i), NULL, true);

        if (i > 0)
            buf_puts(&b, sep);
        value_print(&v, &b);
    }
    return give_text(c, buf_take(&b));
}

static int f_case(const struct call *c) {
    char *copy;
    const char *s = NULL;
    bool start = true;
    int r = text_arg(c, 0, &s);

    if (r < 0)
        return r;
    copy = xstrdup(s);
    if (!c->o->header)
        for (char *p = copy; *p; p++) {
            if (c->name[0] == 'u' || (c->name[0] == 't' && start))
                *p = (char)toupper((unsigned char)*p);
            else if (c->name[0] == 'l')
                *p = (char)tolower((unsigned char)*p);
            start = !(isalnum((unsigned char)*p) || *p == '_' || *p == '\'' || (*p & 0x80));
        }
    return give_text(c, copy);
}

static int f_pad(const struct call *c) {
    enum { most = 4096 };
    int64_t before = 0, after = 0;
    auto_buf b = BUF_INIT;
    const char *s = NULL;
    int r = text_arg(c, 0, &s);

    if (r == 0)
        r = int_arg(c, 1, &before);
    if (r == 0)
        r = int_arg(c, 2, &after);
    if (r < 0)
        return r;
    if (before < 0 || after < 0 || before > most || after > most)
        return failed(c, "strings: negative Repeat count");
    if (*s == '\0') {
        *c->ret = value_text("");
        return 0;
    }
    buf_printf(&b, "%*s%s%*s", (int)before, "", s, (int)after, "");
    return give_text(c, buf_take(&b));
}

static int f_truncate(const struct call *c) {
    int64_t n = 0;
    const char *s = NULL;
    int r = text_arg(c, 0, &s);

    if (r == 0)
        r = int_arg(c, 1, &n);
    if (r < 0)
        return r;
    if (c->o->header || (int64_t)strlen(s) < n) {
        *c->ret = c->args[0];
        return 0;
    }
    if (n < 0)
        return failed(c, "runtime error: slice bounds out of range [:%lld]", (long long)n);
    return give_text(c, xstrndup(s, (size_t)n));
}

static int f_len(const struct call *c) {
    int64_t n = value_len(&c->args[0]);

    if (c->args[0].kind == V_ABSENT)
        return failed(c, "reflect: call of reflect.Value.Type on zero Value");
    if (n < 0)
        return failed(c, "len of type %s", value_type(&c->args[0]));
    *c->ret = value_int(n);
    return 0;
}

static int f_not(const struct call *c) {
    *c->ret = value_bool(!value_true(&c->args[0]));
    return 0;
}

/* The operands before the last were looked at when they were evaluated. */
static int f_last(const struct call *c) {
    for (size_t i = 0; i + 1 < c->count; i++)
        if (value_true(&c->args[i]) == (c->name[0] == 'o')) {
            *c->ret = c->args[i];
            return 0;
        }
    *c->ret = c->args[c->count - 1];
    return 0;
}

/* What Go's zero value of a map's element is, guessed from the other elements. */
static struct value zero_element(struct json_object *map) {
    json_object_object_foreach(map, key, val) {
        (void)key;
        if (json_object_is_type(val, json_type_object))
            return (struct value){.kind = V_NULL, .shape = SHAPE_POINTER};
        if (json_object_is_type(val, json_type_array))
            return (struct value){.kind = V_NULL, .shape = SHAPE_SLICE};
        break;
    }
    return value_text("");
}

static int index_one(const struct call *c, const struct value *from, const struct value *key,
                     struct value *ret) {
    struct json_object *o;
    int64_t n = 0;

    if (from->kind == V_ABSENT || (from->kind == V_NULL && from->shape == SHAPE_POINTER))
        return failed(c, "index of untyped nil");
    if (key->kind == V_STRING) {
        if (from->kind == V_NULL && from->shape == SHAPE_MAP) {
            *ret = value_text("");
            return 0;
        }
        if (from->kind != V_JSON || !json_object_is_type(from->json, json_type_object))
            return failed(c,
                          from->kind == V_JSON || from->kind == V_STRING
                              ? "cannot index slice/array with type string"
                              : "can't index item of type %s",
                          value_type(from));
        if (json_object_object_get_ex(from->json, key->text, &o))
            *ret = value_child(from, key->text, o);
        else if (from->shape == SHAPE_MAP)
            *ret = zero_element(from->json);
        else
            *ret = (struct value){.kind = V_ABSENT};
        return 0;
    }
    if (key->kind != V_INT)
        return failed(c, "cannot index slice/array with type %s", value_type(key));
    n = value_len(from);
    if (n < 0 || (from->kind == V_JSON && json_object_is_type(from->json, json_type_object)))
        return failed(c, "value has type int; should be string");
    if (key->number < 0 || key->number > n)
        return failed(c, "index out of range: %lld", (long long)key->number);
    if (key->number == n)
        return failed(c, "reflect: %s index out of range",
                      from->kind == V_STRING ? "string" : "slice");
    *ret =
        from->kind == V_STRING
            ? value_int((unsigned char)from->text[key->number])
            : value_of_json(json_object_array_get_idx(from->json, (size_t)key->number), NULL, true);
    return 0;
}

static int f_index(const struct call *c) {
    struct value v = c->args[0];

    for (size_t i = 1; i < c->count; i++) {
        struct value next;
        int r = index_one(c, &v, &c->args[i], &next);

        if (r < 0)
            return r;
        v = next;
    }
    *c->ret = v;
    return 0;
}

static int f_slice(const struct call *c) {
    const struct value *v = &c->args[0];
    int64_t from = 0, to = value_len(v), len = to;
    int r = 0;

    if (len < 0 || (v->kind == V_JSON && !json_object_is_type(v->json, json_type_array)))
        return failed(c, "can't slice item of type %s", value_type(v));
    if (c->count > 1)
        r = int_arg(c, 1, &from);
    if (r == 0 && c->count > 2)
        r = int_arg(c, 2, &to);
    if (r < 0)
        return r;
    if (from < 0 || from > len || to < 0 || to > len)
        return failed(c, "index out of range: %lld",
                      (long long)(from < 0 || from > len ? from : to));
    if (from > to)
        return failed(c, "invalid slice index: %lld > %lld", (long long)from, (long long)to);
    if (v->kind == V_STRING)
        return give_text(c, xstrndup(v->text + from, (size_t)(to - from)));
    if (v->kind == V_JSON) {
        struct json_object *list = scratch_json(c->scratch, json_object_new_array());

        for (int64_t i = from; i < to; i++)
            json_object_array_add(list,
                                  json_object_get(json_object_array_get_idx(v->json, (size_t)i)));
        *c->ret = value_of_json(list, NULL, true);
        return 0;
    }
    *c->ret = *v;
    return 0;
}

/* fmt.Sprint puts blanks between operands when neither is a text; Sprintln always does. */
static int f_print(const struct call *c) {
    auto_buf b = BUF_INIT;
    bool line = str_eq(c->name, "println");

    for (size_t i = 0; i < c->count; i++) {
        if (i > 0 && (line || (c->args[i].kind != V_STRING && c->args[i - 1].kind != V_STRING)))
            buf_putc(&b, ' ');
        value_print(&c->args[i], &b);
    }
    if (line)
        buf_putc(&b, '\n');
    return give_text(c, buf_take(&b));
}

static void put_quoted(const char *s, struct buf *out) {
    buf_putc(out, '"');
    for (; *s; s++) {
        const char *at = strchr("\a\b\f\n\r\t\v\\\"", *s);

        if (at)
            buf_printf(out, "\\%c", "abfnrtv\\\""[at - "\a\b\f\n\r\t\v\\\""]);
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            buf_printf(out, "\\x%02x", (unsigned char)*s);
        else
            buf_putc(out, *s);
    }
    buf_putc(out, '"');
}

/* The digits and texts of one verb; false when the value does not go with it. */
static bool put_verb(char verb, bool alternate, int precision, const struct value *v,
                     struct buf *out) {
    char number[400], fmt[] = {'%', '.', '*', verb, '\0'};

    switch (verb) {
    case 'v':
        value_print(v, out);
        return true;
    case 's':
        if (v->kind == V_INT || v->kind == V_BOOL || v->kind == V_FLOAT || v->kind == V_ABSENT)
            return false;
        value_print(v, out);
        if (precision >= 0 && (size_t)precision < out->len)
            out->data[out->len = (size_t)precision] = '\0';
        return true;
    case 'q':
        if (v->kind != V_STRING)
            return false;
        put_quoted(v->text, out);
        return true;
    case 'T':
        buf_puts(out, value_type(v));
        return true;
    case 't':
        if (v->kind != V_BOOL)
            return false;
        value_print(v, out);
        return true;
    case 'd':
    case 'b':
        if (v->kind != V_INT)
            return false;
        if (verb == 'd') {
            buf_printf(out, "%lld", (long long)v->number);
        } else {
            for (int bit = v->number ? 63 - __builtin_clzll((unsigned long long)v->number) : 0;
                 bit >= 0; bit--)
                buf_putc(out, (v->number >> bit & 1) ? '1' : '0');
        }
        return true;
    case 'x':
    case 'X':
    case 'o':
        if (v->kind == V_STRING && verb != 'o') {
            for (const char *p = v->text; *p; p++)
                buf_printf(out, verb == 'x' ? "%02x" : "%02X", (unsigned char)*p);
            return true;
        }
        if (v->kind != V_INT)
            return false;
        if (alternate)
            buf_puts(out, verb == 'o' ? "0" : verb == 'x' ? "0x" : "0X");
        buf_printf(out,
                   verb == 'x'   ? "%llx"
                   : verb == 'X' ? "%llX"
                                 : "%llo",
                   (unsigned long long)v->number);
        return true;
    case 'c':
        if (v->kind != V_INT || v->number < 0 || v->number > 0x7f)
            return false;
        return buf_putc(out, (char)v->number);
    case 'e':
    case 'f':
    case 'g':
        if (v->kind != V_FLOAT)
            return false;
        if (verb == 'g' && precision < 0) {
            float_print(v->real, out);
            return true;
        }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(number, sizeof number, fmt, precision < 0 ? 6 : precision, v->real);
#pragma GCC diagnostic pop
        buf_puts(out, number);
        return true;
    default:
        return false;
    }
}

static size_t runes(const char *s) {
    size_t n = 0;

    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

static int directive_number(const char **p) {
    int n = 0;

    for (; isdigit((unsigned char)**p); (*p)++)
        if (n < 100000)
            n = n * 10 + (**p - '0');
    return n;
}

static int f_printf(const struct call *c) {
    enum { width_max = 4096 };
    auto_buf b = BUF_INIT, one = BUF_INIT;
    const char *p = NULL;
    size_t next = 1;
    int r = text_arg(c, 0, &p);

    if (r < 0)
        return r;
    for (; *p; p++) {
        bool left = false, zero = false, alternate = false, plus = false;
        int width, precision = -1;
        size_t len;

        if (*p != '%') {
            buf_putc(&b, *p);
            continue;
        }
        for (p++; *p && strchr("-0#+ ", *p); p++) {
            left |= *p == '-';
            zero |= *p == '0';
            alternate |= *p == '#';
            plus |= *p == '+';
        }
        width = directive_number(&p);
        if (*p == '.') {
            p++;
            precision = directive_number(&p);
        }
        if (width > width_max || precision > width_max)
            width = precision = 0;
        if (*p == '\0') {
            buf_puts(&b, "%!(NOVERB)");
            break;
        }
        if (*p == '%') {
            buf_putc(&b, '%');
            continue;
        }
        if (next >= c->count) {
            buf_printf(&b, "%%!%c(MISSING)", *p);
            continue;
        }
        buf_clear(&one);
        if (plus && *p == 'd' && c->args[next].kind == V_INT && c->args[next].number >= 0)
            buf_putc(&one, '+');
        if (!put_verb(*p, alternate, precision, &c->args[next], &one)) {
            buf_printf(&one, "%%!%c(%s=", *p, value_type(&c->args[next]));
            value_print(&c->args[next], &one);
            buf_putc(&one, ')');
        }
        next++;
        len = runes(buf_str(&one));
        while (!left && (int)len < width--)
            buf_putc(&b, zero ? '0' : ' ');
        buf_append(&b, one.data, one.len);
        while (left && (int)len < width--)
            buf_putc(&b, ' ');
    }
    for (bool first = true; next < c->count; next++, first = false) {
        buf_printf(&b, "%s%s=", first ? "%!(EXTRA " : ", ", value_type(&c->args[next]));
        value_print(&c->args[next], &b);
        if (next + 1 == c->count)
            buf_putc(&b, ')');
    }
    return give_text(c, buf_take(&b));
}

/* -2: not comparable, -3: the types differ; otherwise the order. */
static int compare(const struct value *a, const struct value *b) {
    if (a->kind == V_NULL && a->shape == SHAPE_POINTER)
        return b->kind == V_NULL || b->kind == V_ABSENT ? 0 : 1;
    if (b->kind == V_NULL && b->shape == SHAPE_POINTER)
        return 1;
    if (a->kind == V_JSON || b->kind == V_JSON || a->kind == V_NULL || b->kind == V_NULL)
        return -2;
    if (a->kind != b->kind)
        return -3;
    switch (a->kind) {
    case V_STRING: {
        int d = strcmp(a->text, b->text);

        return d < 0 ? -1 : d > 0;
    }
    case V_FLOAT:
        return a->real < b->real ? -1 : a->real > b->real;
    case V_BOOL:
    case V_INT:
        return a->number < b->number ? -1 : a->number > b->number;
    case V_ABSENT:
        return 0;
    case V_NULL:
    case V_JSON:
        break;
    }
    return -2;
}

static int f_compare(const struct call *c) {
    const char *op = c->name;
    bool result = false;

    /* eq takes any number: the first equals one of the others */
    for (size_t i = 1; i < c->count && !result; i++) {
        int d = compare(&c->args[0], &c->args[i]);

        if (d == -2)
            return failed(c,
                          op[0] == 'e' || op[0] == 'n' ? "non-comparable type %s: %s"
                                                       : "invalid type for comparison",
                          "", value_type(&c->args[0]));
        if (d == -3)
            return failed(c, "incompatible types for comparison");
        if ((op[0] == 'l' || op[0] == 'g') && c->args[0].kind == V_BOOL)
            return failed(c, "invalid type for comparison");
        result = op[0] == 'e'   ? d == 0
                 : op[0] == 'n' ? d != 0
                 : op[0] == 'l' ? (op[1] == 't' ? d < 0 : d <= 0)
                                : (op[1] == 't' ? d > 0 : d >= 0);
    }
    *c->ret = value_bool(result);
    return 0;
}

static int f_escape(const struct call *c) {
    auto_buf plain = BUF_INIT, b = BUF_INIT;
    bool html = str_eq(c->name, "html");

    for (size_t i = 0; i < c->count; i++)
        value_print(&c->args[i], &plain);
    for (const char *p = buf_str(&plain); *p; p++) {
        if (!html && (isalnum((unsigned char)*p) || strchr("-_.~", *p)))
            buf_putc(&b, *p);
        else if (!html && *p == ' ')
            buf_putc(&b, '+');
        else if (!html)
            buf_printf(&b, "%%%02X", (unsigned char)*p);
        else if (*p == '<' || *p == '>')
            buf_puts(&b, *p == '<' ? "&lt;" : "&gt;");
        else if (*p == '&')
            buf_puts(&b, "&amp;");
        else if (*p == '"' || *p == '\'')
            buf_puts(&b, *p == '"' ? "&#34;" : "&#39;");
        else
            buf_putc(&b, *p);
    }
    return give_text(c, buf_take(&b));
}

static const struct {
    const char *name;
    int (*call)(const struct call *c);
    int least, most; /* -1: any number */
} functions[] = {
    {"and", f_last, 1, -1},        {"eq", f_compare, 2, -1},       {"ge", f_compare, 2, 2},
    {"gt", f_compare, 2, 2},       {"html", f_escape, 0, -1},      {"index", f_index, 1, -1},
    {"join", f_join, 2, 2},        {"json", f_json, 1, 1},         {"le", f_compare, 2, 2},
    {"len", f_len, 1, 1},          {"lower", f_case, 1, 1},        {"lt", f_compare, 2, 2},
    {"ne", f_compare, 2, 2},       {"not", f_not, 1, 1},           {"or", f_last, 1, -1},
    {"pad", f_pad, 3, 3},          {"print", f_print, 0, -1},      {"printf", f_printf, 1, -1},
    {"println", f_print, 0, -1},   {"slice", f_slice, 1, 3},       {"split", f_split, 2, 2},
    {"title", f_case, 1, 1},       {"truncate", f_truncate, 2, 2}, {"upper", f_case, 1, 1},
    {"urlquery", f_escape, 0, -1},
};

bool gotmpl_has_function(const char *name) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, name) == 0)
            return true;
    return false;
}

int gotmpl_call(struct scratch *s, const struct gotmpl_options *o, const char *name,
                const struct value *args, size_t count, struct value *ret, struct err *e) {
    struct call c = {s, o, name, args, count, ret, e};

    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, name) != 0)
            continue;
        if ((int)count < functions[i].least ||
            (functions[i].most >= 0 && (int)count > functions[i].most)) {
            (void)err_set(e, ERR_INVALID, "wrong number of args for %s: want %s%d got %zu", name,
                          functions[i].most == functions[i].least ? "" : "at least ",
                          functions[i].least, count);
            return -E2BIG;
        }
        return functions[i].call(&c);
    }
    return err_set(e, ERR_INVALID, "\"%s\" is not a defined function", name);
}
