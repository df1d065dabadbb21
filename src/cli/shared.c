/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers that several commands use. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/cli.h"
#include "format/json.h"
#include "format/ref.h"

/* Requests in flight at once, as docker. */
#define PARALLEL_MAX 50

void err_append(struct err *e, const struct err *more) {
    char *text;

    if (!e)
        return;
    text = e->msg ? xasprintf("%s\n%s", e->msg, err_msg(more)) : xstrdup(err_msg(more));
    free(e->msg);
    *e = (struct err){.class = more->class, .errnum = more->errnum, .msg = text};
}

/* What an operand that is not there is. */
enum missing {
    MISSING_FAILS,
    MISSING_IS_TOLD,
    MISSING_IS_FINE,
};

static int each(struct cli *cli, const struct args *a, const char *method, const char *prefix,
                const char *suffix, const char *query, enum missing missing, struct err *e) {
    int result = 0;

    for (int base = 0; base < a->argc; base += PARALLEL_MAX) {
        int n = a->argc - base < PARALLEL_MAX ? a->argc - base : PARALLEL_MAX;
        struct exchange x[PARALLEL_MAX];
        struct err failed[PARALLEL_MAX] = {0};
        char *paths[PARALLEL_MAX];
        int r[PARALLEL_MAX];

        for (int i = 0; i < n; i++) {
            struct request request = {.method = method, .query = query};

            paths[i] = path_join(prefix, a->argv[base + i], suffix);
            request.path = paths[i];
            x[i] = (struct exchange)EXCHANGE_INIT;
            r[i] = exchange_send(&x[i], &cli->client, &request, &failed[i]);
        }
        for (int i = 0; i < n; i++) {
            if (r[i] == 0)
                r[i] = exchange_recv(&x[i], &failed[i]);
            if (r[i] == 0)
                r[i] = exchange_check(&x[i], &failed[i]);
            if (r[i] == 0) {
                printf("%s\n", a->argv[base + i]);
            } else if (missing != MISSING_FAILS && failed[i].class == ERR_NOT_FOUND) {
                if (missing == MISSING_IS_TOLD)
                    fprintf(stderr, "%s\n", err_msg(&failed[i]));
            } else {
                err_append(e, &failed[i]);
                result = r[i];
            }
            err_done(&failed[i]);
            exchange_done(&x[i]);
            free(paths[i]);
        }
    }
    return result;
}

int each_operand(struct cli *cli, const struct args *a, const char *method, const char *prefix,
                 const char *suffix, const char *query, struct err *e) {
    return each(cli, a, method, prefix, suffix, query, MISSING_FAILS, e);
}

int each_operand_forced(struct cli *cli, const struct args *a, const char *method,
                        const char *prefix, const char *suffix, const char *query, struct err *e) {
    return each(cli, a, method, prefix, suffix, query, MISSING_IS_TOLD, e);
}

int each_operand_present(struct cli *cli, const struct args *a, const char *method,
                         const char *prefix, const char *suffix, const char *query, struct err *e) {
    return each(cli, a, method, prefix, suffix, query, MISSING_IS_FINE, e);
}

int filter_check(const char *value, struct err *e) {
    if (!*value || strchr(value, '='))
        return 0;
    return err_set(e, ERR_INVALID, "bad format of filter (expected name=value)");
}

/* Skips zeros and then digits; the number without them is *from to the return value. */
static const char *skip_number(const char *s, const char **from) {
    while (*s == '0')
        s++;
    *from = s;
    while (isdigit((unsigned char)*s))
        s++;
    return s;
}

int natural_compare(const char *a, const char *b) {
    while (*a && *b) {
        bool digit = isdigit((unsigned char)*a);
        const char *x, *y, *start_a = a, *start_b = b;
        long n, m;
        int r;

        if (digit != (isdigit((unsigned char)*b) != 0))
            return digit ? -1 : 1;
        if (!digit) {
            if (*a != *b)
                return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
            a++;
            b++;
            continue;
        }
        a = skip_number(a, &x);
        b = skip_number(b, &y);
        n = a - x;
        m = b - y;
        if (n != m)
            return n < m ? -1 : 1;
        r = strncmp(x, y, (size_t)n);
        if (r != 0)
            return r;
        if (x - start_a != y - start_b)
            return x - start_a < y - start_b ? -1 : 1;
    }
    return (*a != '\0') - (*b != '\0');
}

static int compare_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *filters_json(char *const *filters) {
    struct json_object *all, *values;
    auto_strv sorted = NULL;
    auto_buf out = BUF_INIT;
    struct jw w;

    if (!filters)
        return NULL;
    all = json_object_new_object();
    sorted = strv_dup(filters); /* Go prints maps in order */
    qsort(sorted, strv_len(sorted), sizeof *sorted, compare_text);
    strv_for_each (f, sorted) {
        const char *value = strchr(f, '=');
        auto_free char *name = xstrndup(f, strcspn(f, "="));

        if (!value)
            continue;
        for (value++; *value == ' ';)
            value++;
        str_lower(name);
        name[strcspn(name, " ")] = '\0';
        if (!json_object_object_get_ex(all, name, &values)) {
            values = json_object_new_object();
            json_object_object_add(all, name, values);
        }
        json_object_object_add(values, value, json_object_new_boolean(true));
    }
    jw_init(&w, &out);
    jw_value(&w, all);
    json_object_put(all);
    return buf_take(&out);
}

bool confirm(const char *message) {
    char line[16];

    printf("%s [y/N] ", message);
    (void)fflush(stdout); /* the question should be seen before the answer is read */
    if (!fgets(line, sizeof line, stdin))
        return false;
    return line[0] == 'y' || line[0] == 'Y';
}

char *go_quote(const char *s) {
    auto_buf b = BUF_INIT;

    buf_putc(&b, '"');
    for (; *s; s++) {
        switch (*s) {
        case '"':
        case '\\':
            buf_printf(&b, "\\%c", *s);
            break;
        case '\n':
            buf_puts(&b, "\\n");
            break;
        case '\t':
            buf_puts(&b, "\\t");
            break;
        case '\r':
            buf_puts(&b, "\\r");
            break;
        default:
            if ((unsigned char)*s < 0x20 || *s == 0x7f)
                buf_printf(&b, "\\x%02x", (unsigned char)*s);
            else
                buf_putc(&b, *s);
        }
    }
    buf_putc(&b, '"');
    return buf_take(&b);
}

int split_reference(const char *s, char **ret_repo, char **ret_tag, struct err *e) {
    __attribute__((cleanup(image_ref_done))) struct image_ref ref = {0};
    int r;

    if (!*s) {
        *ret_repo = xstrdup("");
        *ret_tag = xstrdup("");
        return 0;
    }
    r = image_ref_parse(s, &ref, e);
    if (r < 0) {
        err_wrap(e, "Error parsing reference: \"%s\" is not a valid repository/tag", s);
        return r;
    }
    if (ref.digest)
        return err_set(e, ERR_INVALID, "refusing to create a tag with a digest reference");
    image_ref_default_tag(&ref);
    *ret_repo = xasprintf("%s/%s", ref.domain, ref.path);
    *ret_tag = xstrdup(ref.tag);
    return 0;
}
