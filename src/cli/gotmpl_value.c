/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/gotmpl_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "format/json.h"

/* Members of the API whose Go type is not a struct, a number or a plain slice. */
static const struct {
    const char *name;
    enum gotmpl_shape shape;
} shapes[] = {
    {"Labels", SHAPE_MAP},
    {"Annotations", SHAPE_MAP},
    {"Options", SHAPE_MAP},
    {"DriverOpts", SHAPE_MAP},
    {"Networks", SHAPE_MAP},
    {"Ports", SHAPE_MAP},
    {"PortBindings", SHAPE_MAP},
    {"ExposedPorts", SHAPE_MAP},
    {"Volumes", SHAPE_MAP},
    {"Sysctls", SHAPE_MAP},
    {"Tmpfs", SHAPE_MAP},
    {"StorageOpt", SHAPE_MAP},
    {"Data", SHAPE_MAP},
    {"Containers", SHAPE_MAP},
    {"Details", SHAPE_MAP},
    {"Attributes", SHAPE_MAP},
    {"Runtimes", SHAPE_MAP},
    {"IndexConfigs", SHAPE_MAP},
    {"EndpointsConfig", SHAPE_MAP},
    {"AuxiliaryAddresses", SHAPE_MAP},
    {"Status", SHAPE_MAP},
    {"Health", SHAPE_POINTER},
    {"Healthcheck", SHAPE_POINTER},
    {"IPAMConfig", SHAPE_POINTER},
    {"Init", SHAPE_POINTER},
    {"OomKillDisable", SHAPE_POINTER},
    {"PidsLimit", SHAPE_POINTER},
    {"MemorySwappiness", SHAPE_POINTER},
    {"StopTimeout", SHAPE_POINTER},
    {"SizeRw", SHAPE_POINTER},
    {"SizeRootFs", SHAPE_POINTER},
    {"UsageData", SHAPE_POINTER},
    {"Descriptor", SHAPE_POINTER},
    {"ImageManifestDescriptor", SHAPE_POINTER},
};

/* Members that an answer leaves out when they are empty, where the typed value is there. */
static const struct {
    const char *parent, *name; /* parent NULL: top level */
    enum gotmpl_shape shape;
} optional[] = {
    {"State", "Health", SHAPE_POINTER},
    {"Config", "Healthcheck", SHAPE_POINTER},
    {"Config", "ExposedPorts", SHAPE_MAP},
    {"Config", "StopSignal", SHAPE_TEXT},
    {"Config", "StopTimeout", SHAPE_POINTER},
    {"Config", "MacAddress", SHAPE_TEXT},
    {"Config", "Shell", SHAPE_SLICE},
    {"HostConfig", "Init", SHAPE_POINTER},
    {"HostConfig", "Tmpfs", SHAPE_MAP},
    {"HostConfig", "Mounts", SHAPE_SLICE},
    {"HostConfig", "StorageOpt", SHAPE_MAP},
    {"HostConfig", "Sysctls", SHAPE_MAP},
    {"HostConfig", "Annotations", SHAPE_MAP},
    {"HostConfig", "Runtime", SHAPE_TEXT},
    {NULL, "SizeRw", SHAPE_POINTER},
    {NULL, "SizeRootFs", SHAPE_POINTER},
    {NULL, "UsageData", SHAPE_POINTER},
    {NULL, "Status", SHAPE_MAP},
    {NULL, "Variant", SHAPE_TEXT},
    {NULL, "Comment", SHAPE_TEXT},
};

enum gotmpl_shape gotmpl_shape(const char *parent, const char *name) {
    if (str_eq(name, "Config") && str_eq(parent, "LogConfig"))
        return SHAPE_MAP;
    for (size_t i = 0; name && i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(shapes[i].name, name) == 0)
            return shapes[i].shape;
    return SHAPE_STRUCT;
}

bool gotmpl_optional(const char *parent, const char *name, enum gotmpl_shape *ret) {
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
        if (str_eq(optional[i].parent, parent) && strcmp(optional[i].name, name) == 0) {
            *ret = optional[i].shape;
            return true;
        }
    return false;
}

const char *scratch_text(struct scratch *s, char *text) {
    struct scratch_item *i = xnew(struct scratch_item);

    *i = (struct scratch_item){.next = s->items, .text = text};
    s->items = i;
    return text;
}

struct json_object *scratch_json(struct scratch *s, struct json_object *o) {
    struct scratch_item *i = xnew(struct scratch_item);

    *i = (struct scratch_item){.next = s->items, .json = o};
    s->items = i;
    return o;
}

void scratch_done(struct scratch *s) {
    while (s->items) {
        struct scratch_item *i = s->items;

        s->items = i->next;
        free(i->text);
        json_object_put(i->json);
        free(i);
    }
}

struct value value_text(const char *borrowed) {
    return (struct value){.kind = V_STRING, .text = borrowed};
}

struct value value_int(int64_t n) {
    return (struct value){.kind = V_INT, .number = n};
}

struct value value_bool(bool b) {
    return (struct value){.kind = V_BOOL, .number = b};
}

static struct value of_shape(struct json_object *o, const char *name, bool in_map,
                             enum gotmpl_shape shape) {
    switch (json_object_get_type(o)) {
    case json_type_null:
        return (struct value){.kind = V_NULL, .shape = shape, .name = name};
    case json_type_boolean:
        return value_bool(json_object_get_boolean(o));
    case json_type_int:
        return value_int(json_object_get_int64(o));
    case json_type_double:
        return (struct value){.kind = V_FLOAT, .real = json_object_get_double(o)};
    case json_type_string:
        return value_text(json_object_get_string(o));
    case json_type_array:
        return (struct value){.kind = V_JSON, .shape = SHAPE_SLICE, .json = o, .name = name};
    case json_type_object:
        return (struct value){.kind = V_JSON,
                              .shape = shape == SHAPE_MAP ? SHAPE_MAP : SHAPE_STRUCT,
                              .json = o,
                              .name = in_map ? "" : name};
    }
    return (struct value){.kind = V_ABSENT};
}

/* in_map: the name is a user's key, which says nothing about the type. */
struct value value_of_json(struct json_object *o, const char *name, bool in_map) {
    return of_shape(o, name, in_map, in_map ? SHAPE_STRUCT : gotmpl_shape(NULL, name));
}

struct value value_child(const struct value *parent, const char *name, struct json_object *o) {
    if (parent->shape == SHAPE_MAP)
        return value_of_json(o, name, true);
    return of_shape(o, name, false, gotmpl_shape(parent->name, name));
}

int64_t value_len(const struct value *v) {
    switch (v->kind) {
    case V_STRING:
        return (int64_t)strlen(v->text);
    case V_NULL:
        return v->shape == SHAPE_POINTER ? -1 : 0;
    case V_JSON:
        return json_object_is_type(v->json, json_type_array)
                   ? (int64_t)json_object_array_length(v->json)
                   : json_object_object_length(v->json);
    case V_ABSENT:
    case V_BOOL:
    case V_INT:
    case V_FLOAT:
        return -1;
    }
    return -1;
}

bool value_true(const struct value *v) {
    switch (v->kind) {
    case V_ABSENT:
    case V_NULL:
        return false;
    case V_BOOL:
    case V_INT:
        return v->number != 0;
    case V_FLOAT:
        return fpclassify(v->real) != FP_ZERO;
    case V_STRING:
        return *v->text != '\0';
    case V_JSON:
        return v->shape == SHAPE_STRUCT || value_len(v) > 0;
    }
    return false;
}

/* strconv 'g' with the shortest digits that read back the same, exponent from 21 on. */
void float_print(double d, struct buf *out) {
    char text[64];
    int exponent;
    char *mark;

    if (isnan(d) || isinf(d)) {
        buf_puts(out, isnan(d) ? "NaN" : d > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, d);
        /* exact comparison is the point: does the text read back as the same number */
        if (memcmp(&(double){strtod(text, NULL)}, &d, sizeof d) == 0)
            break;
    }
    mark = strchr(text, 'e');
    exponent = (int)strtol(mark + 1, NULL, 10);
    if (exponent >= -4 && exponent < 21) {
        int digits = (int)(mark - text) - (text[0] == '-') - (strchr(text, '.') ? 1 : 0);
        int decimals = digits - 1 - exponent;

        buf_printf(out, "%.*f", decimals > 0 ? decimals : 0, d);
    } else {
        buf_puts(out, text);
    }
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **json_sorted_keys(struct json_object *o) {
    const char **keys = xcalloc((size_t)json_object_object_length(o) + 1, sizeof *keys);
    size_t n = 0;

    json_object_object_foreach(o, key, val) {
        (void)val;
        keys[n++] = key;
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    return keys;
}

static void print_object(const struct value *v, struct buf *out) {
    auto_free const char **keys = json_sorted_keys(v->json);
    bool first = true;

    buf_puts(out, "map[");
    for (const char **k = keys; *k; k++) {
        struct value item = value_of_json(json_object_object_get(v->json, *k), *k, true);

        buf_printf(out, "%s%s:", first ? "" : " ", *k);
        value_print(&item, out);
        first = false;
    }
    buf_putc(out, ']');
}

static void print_struct(const struct value *v, struct buf *out) {
    bool first = true;

    buf_putc(out, '{');
    json_object_object_foreach(v->json, key, val) {
        struct value item = value_child(v, key, val);

        if (!first)
            buf_putc(out, ' ');
        value_print(&item, out);
        first = false;
    }
    buf_putc(out, '}');
}

void value_print(const struct value *v, struct buf *out) {
    switch (v->kind) {
    case V_ABSENT:
        buf_puts(out, "<no value>");
        break;
    case V_NULL:
        if (v->shape != SHAPE_TEXT)
            buf_puts(out, v->shape == SHAPE_POINTER ? "<nil>"
                          : v->shape == SHAPE_MAP   ? "map[]"
                                                    : "[]");
        break;
    case V_BOOL:
        buf_puts(out, v->number ? "true" : "false");
        break;
    case V_INT:
        buf_printf(out, "%lld", (long long)v->number);
        break;
    case V_FLOAT:
        float_print(v->real, out);
        break;
    case V_STRING:
        buf_puts(out, v->text);
        break;
    case V_JSON:
        if (json_object_is_type(v->json, json_type_object)) {
            if (v->shape == SHAPE_MAP || v->row)
                print_object(v, out);
            else
                print_struct(v, out);
            break;
        }
        buf_putc(out, '[');
        for (size_t i = 0; i < json_object_array_length(v->json); i++) {
            struct value item = value_of_json(json_object_array_get_idx(v->json, i), NULL, true);

            if (i > 0)
                buf_putc(out, ' ');
            value_print(&item, out);
        }
        buf_putc(out, ']');
        break;
    }
}

/* docker marshals rows as a sorted map and with Go's escapes for HTML. */
void row_json(struct json_object *row, struct buf *out) {
    auto_free const char **keys = json_sorted_keys(row);
    auto_buf plain = {.max = out->max};
    struct jw w;

    jw_init(&w, &plain);
    jw_object(&w);
    for (const char **k = keys; *k; k++) {
        jw_key(&w, *k);
        jw_value(&w, json_object_object_get(row, *k));
    }
    jw_end_object(&w);
    for (const char *p = buf_str(&plain); *p; p++) {
        if (*p == '<' || *p == '>' || *p == '&')
            buf_printf(out, "\\u%04x", (unsigned char)*p);
        else
            buf_putc(out, *p);
    }
}

void value_json(const struct value *v, struct buf *out) {
    struct jw w;

    jw_init(&w, out);
    switch (v->kind) {
    case V_ABSENT:
    case V_NULL:
        if (v->shape == SHAPE_TEXT)
            jw_str(&w, "");
        else
            jw_null(&w);
        break;
    case V_BOOL:
        jw_bool(&w, v->number != 0);
        break;
    case V_INT:
        jw_int(&w, v->number);
        break;
    case V_FLOAT:
        jw_double(&w, v->real);
        break;
    case V_STRING:
        jw_str(&w, v->text);
        break;
    case V_JSON:
        if (v->row)
            row_json(v->json, out);
        else
            jw_value(&w, v->json);
        break;
    }
}

const char *value_type(const struct value *v) {
    switch (v->kind) {
    case V_ABSENT:
        return "nil";
    case V_NULL:
        return "interface {}";
    case V_BOOL:
        return "bool";
    case V_INT:
        return "int";
    case V_FLOAT:
        return "float64";
    case V_STRING:
        return "string";
    case V_JSON:
        return v->shape == SHAPE_SLICE ? "[]interface {}" : "map[string]interface {}";
    }
    return "nil";
}
