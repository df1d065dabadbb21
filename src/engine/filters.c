/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/filters.h"

#include <regex.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "format/json.h"

#define VALUES_MAX 1000

void filters_done(struct filters *f) {
    for (size_t i = 0; i < f->count; i++) {
        free(f->items[i].key);
        strv_free(f->items[i].values);
    }
    free(f->items);
    *f = (struct filters){0};
}

static struct filter *find(const struct filters *f, const char *key) {
    for (size_t i = 0; i < f->count; i++)
        if (str_eq(f->items[i].key, key))
            return &f->items[i];
    return NULL;
}

static struct filter *find_or_add(struct filters *f, const char *key) {
    struct filter *it = find(f, key);

    if (it)
        return it;
    f->items = xreallocarray(f->items, f->count + 1, sizeof *f->items);
    it = &f->items[f->count++];
    *it = (struct filter){.key = xstrdup(key)};
    return it;
}

void filters_add(struct filters *f, const char *key, const char *value) {
    strv_add(&find_or_add(f, key)->values, value);
}

static int bad_format(struct err *e, const char *json) {
    return err_set(e, ERR_INVALID, "invalid filter: invalid character or form in %.100s", json);
}

static int add_values(struct filters *f, const char *key, struct json_object *v, const char *json,
                      struct err *e) {
    find_or_add(f, key);
    if (json_object_is_type(v, json_type_array)) {
        size_t n = json_object_array_length(v);

        for (size_t i = 0; i < n && i < VALUES_MAX; i++) {
            struct json_object *s = json_object_array_get_idx(v, i);

            if (!json_object_is_type(s, json_type_string))
                return bad_format(e, json);
            filters_add(f, key, json_object_get_string(s));
        }
        return 0;
    }
    if (!json_object_is_type(v, json_type_object))
        return bad_format(e, json);
    json_object_object_foreach(v, name, enabled) {
        if (json_object_get_boolean(enabled))
            filters_add(f, key, name);
    }
    return 0;
}

int filters_parse(const char *json, const char *const *allowed, struct filters *ret,
                  struct err *e) {
    struct json_object *parsed = NULL;
    auto_json *o = NULL;
    auto_filters f = {0};
    int r;

    if (str_empty(json))
        return 0;
    r = jsn_parse(json, strlen(json), &parsed, e);
    o = parsed;
    if (r < 0) {
        err_wrap(e, "invalid filter");
        return r;
    }
    if (!o) /* "null" */
        return 0;
    if (!json_object_is_type(o, json_type_object))
        return bad_format(e, json);
    json_object_object_foreach(o, key, value) {
        bool ok = !allowed;

        for (const char *const *a = allowed; a && *a && !ok; a++)
            ok = str_eq(*a, key);
        if (!ok)
            return err_set(e, ERR_INVALID, "invalid filter '%s'", key);
        r = add_values(&f, key, value, json, e);
        if (r < 0)
            return r;
    }
    filters_done(ret);
    *ret = f;
    f = (struct filters){0};
    return 0;
}

bool filters_has(const struct filters *f, const char *key) {
    return find(f, key) != NULL;
}

char *const *filters_get(const struct filters *f, const char *key) {
    struct filter *it = find(f, key);

    return it ? it->values : NULL;
}

bool filters_exact(const struct filters *f, const char *key, const char *s) {
    struct filter *it = find(f, key);

    return !it || !it->values || strv_has(it->values, str_or_empty(s));
}

bool filters_match(const struct filters *f, const char *key, const char *s) {
    struct filter *it = find(f, key);

    if (filters_exact(f, key, s))
        return true;
    strv_for_each (v, it->values) {
        regex_t re;
        bool hit;

        /* Go's RE2 and POSIX extended agree on what people write in name filters. */
        if (regcomp(&re, v, REG_EXTENDED | REG_NOSUB) != 0)
            continue;
        hit = regexec(&re, str_or_empty(s), 0, NULL, 0) == 0;
        regfree(&re);
        if (hit)
            return true;
    }
    return false;
}

static bool label_holds(const char *want, const struct strmap *labels) {
    const char *eq = strchr(want, '=');
    auto_free char *key = eq ? xstrndup(want, (size_t)(eq - want)) : xstrdup(want);
    const char *have = strmap_get(labels, key);

    return have && (!eq || str_eq(have, eq + 1));
}

bool filters_labels(const struct filters *f, const char *key, const struct strmap *labels) {
    bool negate = str_ends(key, "!");
    struct filter *it = find(f, key);

    if (!it)
        return true;
    strv_for_each (v, it->values)
        if (!label_holds(v, labels))
            return negate;
    /* "label!" keeps out what has all of them, as in Docker: each more spares less. */
    return !negate || !it->values;
}

int filters_bool(const struct filters *f, const char *key, bool otherwise, bool *ret,
                 struct err *e) {
    struct filter *it = find(f, key);
    bool v;

    if (!it || !it->values) {
        *ret = otherwise;
        return 0;
    }
    if (strv_len(it->values) != 1 || str_to_bool(it->values[0], &v) < 0)
        return err_set(e, ERR_INVALID, "invalid filter '%s=[%s]'", key, it->values[0]);
    *ret = v;
    return 0;
}

int filters_until(const struct filters *f, int64_t *ret_ns, struct err *e) {
    struct filter *it = find(f, "until");
    int64_t v = 0;

    if (it && strv_len(it->values) > 1)
        return err_set(e, ERR_INVALID, "more than one until filter specified");
    if (it && it->values && time_parse_filter(it->values[0], clock_real_ns(), &v) < 0)
        return err_set(e, ERR_INVALID, "failed to parse value as time or duration: \"%s\"",
                       it->values[0]);
    *ret_ns = v;
    return 0;
}
