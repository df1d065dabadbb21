/* SPDX-License-Identifier: Apache-2.0 */
#include "api/images_changes.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/config.h"
#include "engine/mounts_plan.h"
#include "format/json.h"

/* ---- words ----------------------------------------------------------------------------------- */
/* Blank-separated words with Dockerfile's quotes and backslashes. */
static char **words(const char *s) {
    char **v = NULL;

    while (*s) {
        struct buf b = BUF_INIT;
        char quote = 0;

        while (isspace((unsigned char)*s))
            s++;
        if (!*s)
            break;
        for (; *s && (quote || !isspace((unsigned char)*s)); s++) {
            if (quote && *s == quote)
                quote = 0;
            else if (!quote && (*s == '"' || *s == '\''))
                quote = *s;
            else if (*s == '\\' && s[1] && quote != '\'')
                buf_putc(&b, *++s);
            else
                buf_putc(&b, *s);
        }
        strv_take(&v, buf_take(&b));
    }
    return v;
}

/* ["a", "b"] as a list; NULL when it is none. */
static char **json_list(const char *s) {
    struct json_object *o = NULL;
    char **v = NULL;

    if (*s != '[' || jsn_parse(s, strlen(s), &o, NULL) < 0)
        return NULL;
    if (json_object_is_type(o, json_type_array)) {
        v = xcalloc(1, sizeof *v); /* an empty list is a list */
        for (size_t i = 0; i < json_object_array_length(o); i++) {
            struct json_object *item = json_object_array_get_idx(o, i);

            if (!json_object_is_type(item, json_type_string)) {
                v = strv_free(v);
                break;
            }
            strv_add(&v, json_object_get_string(item));
        }
    }
    json_object_put(o);
    return v;
}

/* The exec form, or the command in the image's shell. */
static char **command(const char *s, const struct container_config *c) {
    char **v = json_list(s);

    if (v)
        return v;
    v = strv_len(c->shell) > 0 ? strv_dup(c->shell) : str_split("/bin/sh,-c", ',');
    strv_add(&v, s);
    return v;
}

/* ---- instructions ---------------------------------------------------------------------------- */
static int needs(const char *name, const char *rest, struct err *e) {
    if (*rest)
        return 0;
    return err_set(e, ERR_INVALID, "%s requires at least one argument", name);
}

static int do_cmd(struct container_config *c, const char *rest, struct err *e) {
    (void)e;
    strv_free(c->cmd);
    c->cmd = command(rest, c);
    return 0;
}

static int do_entrypoint(struct container_config *c, const char *rest, struct err *e) {
    (void)e;
    strv_free(c->entrypoint);
    c->entrypoint = *rest ? command(rest, c) : NULL;
    return 0;
}

/* "K=v K2=v2", or "K the rest". */
static int pairs(const char *rest, const char *name, struct strmap *ret, struct err *e) {
    auto_strv v = words(rest);

    if (!v || !v[0])
        return needs(name, "", e);
    if (!strchr(v[0], '=')) {
        const char *value = rest + strcspn(rest, " \t");

        value += strspn(value, " \t");
        if (!*value)
            return err_set(e, ERR_INVALID, "%s must have two arguments", name);
        strmap_put(ret, v[0], value);
        return 0;
    }
    strv_for_each (w, v) {
        const char *eq = strchr(w, '=');
        auto_free char *key = NULL;

        if (!eq || eq == w)
            return err_set(e, ERR_INVALID,
                           "Syntax error - can't find = in \"%s\". Must be of the form: name=value",
                           w);
        key = xstrndup(w, (size_t)(eq - w));
        strmap_put(ret, key, eq + 1);
    }
    return 0;
}

static int do_env(struct container_config *c, const char *rest, struct err *e) {
    struct strmap m = {0};
    int r = pairs(rest, "ENV", &m, e);

    if (r == 0)
        strmap_for_each(p, &m) {
            auto_free char *text = xasprintf("%s=%s", p->key, p->value);

            env_put(&c->env, text);
        }
    strmap_done(&m);
    return r;
}

static int do_label(struct container_config *c, const char *rest, struct err *e) {
    struct strmap m = {0};
    int r = pairs(rest, "LABEL", &m, e);

    if (r == 0)
        strmap_for_each(p, &m) strmap_put(&c->labels, p->key, p->value);
    strmap_done(&m);
    return r;
}

static int do_expose(struct container_config *c, const char *rest, struct err *e) {
    auto_strv v = words(rest);

    if (!v)
        return needs("EXPOSE", "", e);
    strv_for_each (w, v) {
        const char *proto = strchr(w, '/');
        size_t digits = strspn(w, "0123456789");
        auto_free char *text = proto ? xstrdup(w) : xasprintf("%s/tcp", w);

        if (digits == 0 || (w[digits] && w[digits] != '/' && w[digits] != '-') ||
            (proto && !str_eq(proto, "/tcp") && !str_eq(proto, "/udp") && !str_eq(proto, "/sctp")))
            return err_set(e, ERR_INVALID, "invalid containerPort: %s", w);
        strmap_put(&c->exposed_ports, text, "");
    }
    return 0;
}

static int do_user(struct container_config *c, const char *rest, struct err *e) {
    auto_strv v = words(rest);

    if (strv_len(v) != 1)
        return err_set(e, ERR_INVALID, "USER requires exactly one argument");
    str_set(&c->user, v[0]);
    return 0;
}

static int do_workdir(struct container_config *c, const char *rest, struct err *e) {
    auto_free char *joined = NULL;

    if (!*rest)
        return err_set(e, ERR_INVALID, "WORKDIR requires exactly one argument");
    joined = *rest == '/'
                 ? xstrdup(rest)
                 : xasprintf("%s/%s", str_empty(c->working_dir) ? "/" : c->working_dir, rest);
    free(c->working_dir);
    c->working_dir = path_clean(joined);
    return 0;
}

static int do_volume(struct container_config *c, const char *rest, struct err *e) {
    auto_strv v = json_list(rest);

    if (!v)
        v = words(rest);
    if (!v || !v[0])
        return needs("VOLUME", "", e);
    strv_for_each (w, v) {
        if (!*w)
            return err_set(e, ERR_INVALID, "VOLUME specified can not be an empty string");
        strmap_put(&c->volumes, w, "");
    }
    return 0;
}

static int do_stopsignal(struct container_config *c, const char *rest, struct err *e) {
    if (signal_parse(rest) < 0)
        return err_set(e, ERR_INVALID, "Invalid signal: %s", rest);
    str_set(&c->stop_signal, rest);
    return 0;
}

static int do_onbuild(struct container_config *c, const char *rest, struct err *e) {
    if (needs("ONBUILD", rest, e) < 0)
        return -EINVAL;
    strv_add(&c->on_build, rest);
    return 0;
}

static int do_shell(struct container_config *c, const char *rest, struct err *e) {
    char **v = json_list(rest);

    if (!v || !v[0]) {
        strv_free(v);
        return err_set(e, ERR_INVALID, "SHELL requires the arguments to be in JSON form");
    }
    strv_free(c->shell);
    c->shell = v;
    return 0;
}

static int health_option(struct health_config *h, const char *w, struct err *e) {
    const struct {
        const char *name;
        int64_t *to;
    } durations[] = {{"--interval=", &h->interval},
                     {"--timeout=", &h->timeout},
                     {"--start-period=", &h->start_period},
                     {"--start-interval=", &h->start_interval}};
    const char *v;

    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
        if ((v = str_after(w, durations[i].name)))
            return duration_parse(v, durations[i].to) < 0
                       ? err_set(e, ERR_INVALID, "invalid duration in HEALTHCHECK: %s", w)
                       : 0;
    if ((v = str_after(w, "--retries=")) && str_to_i64(v, &h->retries) == 0)
        return 0;
    return err_set(e, ERR_INVALID, "Unknown flag: %s", w);
}

static int do_healthcheck(struct container_config *c, const char *rest, struct err *e) {
    struct health_config *h = xnew(struct health_config);
    int r = 0;

    field_init(&health_config_table, h);
    while (r == 0 && str_starts(rest, "--")) {
        size_t n = strcspn(rest, " \t");
        auto_free char *w = xstrndup(rest, n);

        r = health_option(h, w, e);
        rest += n;
        rest += strspn(rest, " \t");
    }
    if (r == 0 && strncasecmp(rest, "NONE", 4) == 0) {
        strv_add(&h->test, "NONE");
    } else if (r == 0 && strncasecmp(rest, "CMD", 3) == 0) {
        char **list;

        rest += 3;
        rest += strspn(rest, " \t");
        list = json_list(rest);
        strv_add(&h->test, list ? "CMD" : "CMD-SHELL");
        if (list)
            strv_for_each (w, list)
                strv_add(&h->test, w);
        else
            strv_add(&h->test, rest);
        strv_free(list);
    } else if (r == 0) {
        r = err_set(e, ERR_INVALID, "Unknown type \"%s\" in HEALTHCHECK (try CMD)", rest);
    }
    if (r < 0) {
        field_done(&health_config_table, h);
        free(h);
        return r;
    }
    if (c->healthcheck) {
        field_done(&health_config_table, c->healthcheck);
        free(c->healthcheck);
    }
    c->healthcheck = h;
    return 0;
}

static const struct {
    const char *name;
    int (*apply)(struct container_config *c, const char *rest, struct err *e);
} instructions[] = {
    {"CMD", do_cmd},
    {"ENTRYPOINT", do_entrypoint},
    {"ENV", do_env},
    {"EXPOSE", do_expose},
    {"HEALTHCHECK", do_healthcheck},
    {"LABEL", do_label},
    {"ONBUILD", do_onbuild},
    {"SHELL", do_shell},
    {"STOPSIGNAL", do_stopsignal},
    {"USER", do_user},
    {"VOLUME", do_volume},
    {"WORKDIR", do_workdir},
};

int config_apply_changes(char *const *changes, struct container_config *config, struct err *e) {
    strv_for_each (line, changes) {
        size_t n = strcspn(line, " \t");
        const char *rest = line + n + strspn(line + n, " \t");
        auto_free char *name = xstrndup(line, n);
        bool known = false;
        int r = 0;

        if (!*name)
            continue;
        for (size_t i = 0; i < sizeof instructions / sizeof *instructions && !known; i++) {
            if (!str_case_eq(instructions[i].name, name))
                continue;
            known = true;
            r = instructions[i].apply(config, rest, e);
        }
        if (!known) {
            str_lower(name);
            return err_set(e, ERR_INVALID, "%s is not a valid change command", name);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int images_apply_changes(char *const *changes, char **ret, struct err *e) {
    struct container_config c;
    int r;

    *ret = NULL;
    if (strv_len(changes) == 0)
        return 0;
    field_init(&container_config_table, &c);
    r = config_apply_changes(changes, &c, e);
    if (r == 0)
        *ret = field_to_text(&image_exec_config_table, &c);
    field_done(&container_config_table, &c);
    return r;
}
