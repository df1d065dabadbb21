/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/log_attrs.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "format/json.h"

#define SHORT_LEN 12

/* ---- tag ----------------------------------------------------------------------------------- */
/* The fields of dockerd's logger.Info that its documentation names. False: there is none such. */
static bool put_field(struct buf *b, const char *field, const struct log_facts *f) {
    const char *value = NULL;
    int max = -1;

    if (str_eq(field, ".ID") || str_eq(field, ".FullID")) {
        value = f->id;
        max = field[1] == 'I' ? SHORT_LEN : -1;
    } else if (str_eq(field, ".ImageID") || str_eq(field, ".ImageFullID")) {
        value = f->image_id;
        max = field[6] == 'I' ? SHORT_LEN : -1;
    } else if (str_eq(field, ".Name")) {
        value = f->name;
    } else if (str_eq(field, ".ImageName")) {
        value = f->image_name;
    } else if (str_eq(field, ".DaemonName")) {
        value = "docker";
    } else if (str_eq(field, ".Command")) {
        auto_free char *args = strv_join(f->args, " ");

        buf_printf(b, "%s%s%s", str_or_empty(f->path), *args ? " " : "", args);
        return true;
    } else {
        return false;
    }
    buf_printf(b, "%.*s", max < 0 ? (int)strlen(str_or_empty(value)) : max, str_or_empty(value));
    return true;
}

static int expand(const char *tag, const struct log_facts *f, struct buf *b, struct err *e) {
    while (*tag) {
        const char *open = strstr(tag, "{{"), *end = open ? strstr(open, "}}") : NULL;
        auto_free char *field = NULL;

        if (!open) {
            buf_puts(b, tag);
            break;
        }
        if (end) {
            const char *from = open + 2 + strspn(open + 2, " \t");

            field = xstrndup(from, from < end ? (size_t)(end - from) : 0);
            for (size_t n = strlen(field); n && (field[n - 1] == ' ' || field[n - 1] == '\t'); n--)
                field[n - 1] = '\0';
        }
        buf_printf(b, "%.*s", (int)(open - tag), tag);
        if (!field || !put_field(b, field, f))
            return err_set(e, ERR_INVALID,
                           "log option tag=%s: not supported, a tag is text with {{.ID}}, "
                           "{{.FullID}}, {{.Name}}, {{.ImageID}}, {{.ImageFullID}}, "
                           "{{.ImageName}}, {{.Command}} and {{.DaemonName}}",
                           open);
        tag = end + 2;
    }
    return 0;
}

/* ---- expressions --------------------------------------------------------------------------- */
static int compile(const char *key, const char *text, regex_t *ret, struct err *e) {
    char why[128];
    int r = regcomp(ret, text, REG_EXTENDED | REG_NOSUB);

    if (r == 0)
        return 0;
    (void)regerror(r, ret, why, sizeof why);
    return err_set(e, ERR_INVALID, "log option %s=%s: %s", key, text, why);
}

int log_attrs_check(const struct strmap *options, struct err *e) {
    static const char *const keys[] = {"labels-regex", "env-regex"};
    const struct log_facts none = {0};
    auto_buf tag = BUF_INIT;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = strmap_get(options, keys[i]);
        regex_t re;
        int r;

        if (str_empty(text))
            continue;
        r = compile(keys[i], text, &re, e);
        if (r < 0)
            return r;
        regfree(&re);
    }
    return expand(str_or_empty(strmap_get(options, "tag")), &none, &tag, e);
}

/* ---- text ---------------------------------------------------------------------------------- */
/* Which names are wanted: those of a list, and those that an expression matches. */
struct choice {
    char **names;
    regex_t re;
    bool has_re;
};

static void choice_init(struct choice *c, const struct strmap *options, const char *names,
                        const char *expression) {
    const char *text = strmap_get(options, expression);

    *c = (struct choice){.names = str_split(str_or_empty(strmap_get(options, names)), ',')};
    c->has_re = !str_empty(text) && compile(expression, text, &c->re, NULL) == 0;
}

static void choice_done(struct choice *c) {
    strv_free(c->names);
    if (c->has_re)
        regfree(&c->re);
}

static bool chooses(const struct choice *c, const char *name) {
    return strv_has(c->names, name) || (c->has_re && regexec(&c->re, name, 0, NULL, 0) == 0);
}

char *log_attrs_text(const struct strmap *options, const struct container_config *c,
                     const struct log_facts *f) {
    struct buf b = BUF_INIT;
    auto_buf tag = BUF_INIT;
    struct choice labels, env;
    bool any = false;
    struct jw w;

    choice_init(&labels, options, "labels", "labels-regex");
    choice_init(&env, options, "env", "env-regex");
    jw_init(&w, &b);
    jw_object(&w);
    strmap_for_each(label, &c->labels) {
        if (chooses(&labels, label->key)) {
            jw_kstr(&w, label->key, label->value);
            any = true;
        }
    }
    strv_for_each (variable, c->env) {
        auto_free char *name = xstrndup(variable, strcspn(variable, "="));
        const char *value = variable + strlen(name);

        if (*value == '=' && chooses(&env, name)) {
            jw_kstr(&w, name, value + 1);
            any = true;
        }
    }
    /* Create has refused what cannot be expanded; records of old have it as it is. */
    if (expand(str_or_empty(strmap_get(options, "tag")), f, &tag, NULL) < 0) {
        buf_clear(&tag);
        buf_puts(&tag, strmap_get(options, "tag"));
    }
    if (tag.len) {
        jw_kstr(&w, "tag", buf_str(&tag));
        any = true;
    }
    jw_end_object(&w);
    choice_done(&labels);
    choice_done(&env);
    if (any)
        return buf_take(&b);
    buf_done(&b);
    return NULL;
}
