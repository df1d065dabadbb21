/* SPDX-License-Identifier: Apache-2.0 */
/* The small grammars of run's flags: ports, devices, limits, files of settings. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "cli/create.h"
#include "format/units.h"

static bool is_ip(const char *s) {
    unsigned char raw[16];

    return inet_pton(AF_INET, s, raw) == 1 || inet_pton(AF_INET6, s, raw) == 1;
}

int check_attach(const char *v, struct err *e) {
    if (str_case_eq(v, "stdin") || str_case_eq(v, "stdout") || str_case_eq(v, "stderr"))
        return 0;
    return err_set(e, ERR_INVALID, "valid streams are STDIN, STDOUT and STDERR");
}

int check_add_host(const char *v, struct err *e) {
    const char *sep = strpbrk(v, "=:");
    auto_free char *ip = NULL;

    if (!sep || sep == v || !sep[1])
        return err_set(e, ERR_INVALID, "bad format for add-host: \"%s\"", v);
    ip = xstrdup(sep[1] == '[' ? sep + 2 : sep + 1);
    if (sep[1] == '[' && str_ends(ip, "]"))
        ip[strlen(ip) - 1] = '\0';
    if (!str_eq(ip, "host-gateway") && !is_ip(ip))
        return err_set(e, ERR_INVALID, "invalid IP address in add-host: \"%s\"", sep + 1);
    return 0;
}

int check_ip(const char *v, struct err *e) {
    return is_ip(v) ? 0 : err_set(e, ERR_INVALID, "IP address is not correctly formatted: %s", v);
}

int check_sysctl(const char *v, struct err *e) {
    static const char *const namespaced[] = {
        "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",          "kernel.sem", "kernel.shmall",
        "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", NULL};
    auto_free char *name = xstrndup(v, strcspn(v, "="));

    if (strchr(v, '=') && (str_starts(name, "net.") || str_starts(name, "fs.mqueue.") ||
                           strv_has((char *const *)namespaced, name)))
        return 0;
    return err_set(e, ERR_INVALID, "sysctl '%s' is not allowed", v);
}

int check_env(const char *v, struct err *e) {
    if (!*v || *v == '=')
        return err_set(e, ERR_INVALID, "invalid environment variable: %s", v);
    return 0;
}

int check_label(const char *v, struct err *e) {
    if (!*v || *v == '=')
        return err_set(e, ERR_INVALID, "invalid label '%s': empty name", v);
    return 0;
}

static bool is_device_mode(const char *s) {
    return *s && strspn(s, "rwm") == strlen(s) && strlen(s) <= 3;
}

/* vendor.com/class=name: resolved by the daemon. */
static bool is_cdi_device(const char *v) {
    const char *slash = strchr(v, '/'), *eq = strchr(v, '=');

    return *v != '/' && slash && eq && slash < eq && slash > v && eq[1];
}

int check_device(const char *v, struct err *e) {
    auto_strv part = str_split(v, ':');
    size_t n = strv_len(part);

    if (is_cdi_device(v))
        return 0;
    if (n == 0 || n > 3 || !*part[0])
        return err_set(e, ERR_INVALID, "bad format for path: %s", v);
    if (*part[0] != '/')
        return err_set(e, ERR_INVALID, "%s is not an absolute path", part[0]);
    if (n == 3 && !is_device_mode(part[2]))
        return err_set(e, ERR_INVALID, "bad mode specified: %s", part[2]);
    if (n == 2 && *part[1] != '/' && !is_device_mode(part[1]))
        return err_set(e, ERR_INVALID, "bad mode specified: %s", part[1]);
    return 0;
}

static int device_pair(const char *v, char **ret_path, const char **ret_value, struct err *e) {
    const char *colon = strrchr(v, ':');

    if (!colon)
        return err_set(e, ERR_INVALID, "bad format: %s", v);
    if (!str_starts(v, "/dev/"))
        return err_set(e, ERR_INVALID, "bad format for device path: %s", v);
    *ret_path = xstrndup(v, (size_t)(colon - v));
    *ret_value = colon + 1;
    return 0;
}

int check_device_rate(const char *v, struct err *e) {
    auto_free char *path = NULL;
    const char *value = NULL;
    int64_t n;
    int r = device_pair(v, &path, &value, e);

    if (r < 0)
        return r;
    if (units_parse_bytes(value, &n) < 0 || n < 0)
        return err_set(e, ERR_INVALID,
                       "invalid rate for device: %s. The correct format is "
                       "<device-path>:<number>[<unit>]. Number must be a positive integer. Unit is "
                       "optional and can be kb, mb, or gb",
                       v);
    return 0;
}

int check_weight_device(const char *v, struct err *e) {
    auto_free char *path = NULL;
    const char *value = NULL;
    uint64_t n;
    int r = device_pair(v, &path, &value, e);

    if (r < 0)
        return r;
    if (str_to_u64(value, &n) < 0 || (n > 0 && (n < 10 || n > 1000)))
        return err_set(e, ERR_INVALID, "invalid weight for device: %s", v);
    return 0;
}

int ulimit_parse(const char *spec, char **ret_name, int64_t *ret_soft, int64_t *ret_hard,
                 struct err *e) {
    static const char *const names[] = {
        "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
        "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack",    NULL};
    const char *eq = strchr(spec, '=');
    auto_free char *name = eq ? xstrndup(spec, (size_t)(eq - spec)) : NULL;
    auto_strv limits = eq ? str_split(eq + 1, ':') : NULL;
    int64_t v[2];
    size_t n = strv_len(limits);

    if (!eq)
        return err_set(e, ERR_INVALID, "invalid ulimit argument: %s", spec);
    if (!strv_has((char *const *)names, name))
        return err_set(e, ERR_INVALID, "invalid ulimit type: %s", name);
    if (n == 0 || n > 2)
        return err_set(
            e, ERR_INVALID,
            "too many limit value arguments - %s, can only have up to two, `soft[:hard]`", eq + 1);
    for (size_t i = 0; i < n; i++)
        if (str_to_i64(limits[i], &v[i]) < 0)
            return err_set(e, ERR_INVALID, "strconv.ParseInt: parsing \"%s\": invalid syntax",
                           limits[i]);
    if (n == 1)
        v[1] = v[0];
    if (v[1] != -1 && (v[0] > v[1] || v[0] == -1))
        return err_set(e, ERR_INVALID,
                       "ulimit soft limit must be less than or equal to hard limit: %s > %s",
                       limits[0], n > 1 ? limits[1] : limits[0]);
    *ret_name = take_ptr(name);
    *ret_soft = v[0];
    *ret_hard = v[1];
    return 0;
}

int check_ulimit(const char *v, struct err *e) {
    auto_free char *name = NULL;
    int64_t soft, hard;

    return ulimit_parse(v, &name, &soft, &hard, e);
}

int check_link(const char *v, struct err *e) {
    auto_strv part = str_split(v, ':');

    if (strv_len(part) == 0)
        return err_set(e, ERR_INVALID, "empty string specified for links");
    if (strv_len(part) > 2)
        return err_set(e, ERR_INVALID, "bad format for links: %s", v);
    return 0;
}

/* ---- ports --------------------------------------------------------------------------------- */

struct range {
    unsigned first, last;
};

static bool port_number(const char *s, unsigned *ret) {
    uint64_t n;

    if (str_to_u64(s, &n) < 0 || n > 65535)
        return false;
    *ret = (unsigned)n;
    return true;
}

/* 0, -EINVAL, or what is a range but for its order. */
#define RANGE_BACKWARDS (-ERANGE)
static int range_parse(const char *s, struct range *ret) {
    const char *dash = strchr(s, '-');
    auto_free char *first = xstrndup(s, dash ? (size_t)(dash - s) : strlen(s));
    struct range r;

    if (!port_number(first, &r.first) || !port_number(dash ? dash + 1 : first, &r.last))
        return -EINVAL;
    if (r.last < r.first)
        return RANGE_BACKWARDS;
    *ret = r;
    return 0;
}

static bool is_proto(const char *s) {
    return str_eq(s, "tcp") || str_eq(s, "udp") || str_eq(s, "sctp");
}

static void expose(struct json_object *exposed, const char *key) {
    json_object_object_add(exposed, key, json_object_new_object());
}

static void bind_port(struct json_object *bindings, const char *key, const char *ip,
                      const char *port) {
    struct json_object *list, *binding = json_object_new_object();

    if (!json_object_object_get_ex(bindings, key, &list)) {
        list = json_object_new_array();
        json_object_object_add(bindings, key, list);
    }
    json_object_object_add(binding, "HostIp", json_object_new_string(ip));
    json_object_object_add(binding, "HostPort", json_object_new_string(port));
    json_object_array_add(list, binding);
}

/* [ip:][host[-last]:]container[-last][/proto], ip in brackets when it is of version 6. */
static int publish_one(const char *spec, struct json_object *exposed, struct json_object *bindings,
                       struct err *e) {
    auto_free char *text = xstrdup(spec), *ip = NULL;
    char *proto = strrchr(text, '/'), *host = NULL, *container, *colon;
    struct range c, h = {0, 0};
    bool has_host;

    if (proto)
        *proto++ = '\0';
    colon = strrchr(text, ':');
    if (colon && strchr(colon, ']'))
        colon = NULL;
    container = colon ? colon + 1 : text;
    if (colon) {
        *colon = '\0';
        colon = strrchr(text, ':');
        if (colon && strchr(colon, ']'))
            colon = NULL;
        host = colon ? colon + 1 : text;
        if (colon) {
            *colon = '\0';
            ip = xstrdup(text);
        }
    }
    if (!*container)
        return err_set(e, ERR_INVALID, "no port specified: %s<empty>", spec);
    if (ip && *ip == '[' && str_ends(ip, "]")) {
        memmove(ip, ip + 1, strlen(ip));
        ip[strlen(ip) - 1] = '\0';
    }
    if (!str_empty(ip) && !is_ip(ip))
        return err_set(e, ERR_INVALID, "invalid IP address: %s", ip);
    if (range_parse(container, &c) < 0)
        return err_set(e, ERR_INVALID, "invalid containerPort: %s", container);
    has_host = !str_empty(host);
    if (has_host && range_parse(host, &h) < 0)
        return err_set(e, ERR_INVALID, "invalid hostPort: %s", host);
    if (has_host && c.last - c.first != h.last - h.first && c.last != c.first)
        return err_set(e, ERR_INVALID,
                       "invalid ranges specified for container and host Ports: %s and %s",
                       container, host);
    if (proto)
        str_lower(proto);
    if (!is_proto(proto ? proto : "tcp"))
        return err_set(e, ERR_INVALID, "invalid proto: %s", proto);
    for (unsigned i = 0; i <= c.last - c.first; i++) {
        char key[32], port[24] = "";

        snprintf(key, sizeof key, "%u/%s", c.first + i, proto ? proto : "tcp");
        if (has_host && c.first == c.last && h.first != h.last)
            snprintf(port, sizeof port, "%u-%u", h.first, h.last);
        else if (has_host)
            snprintf(port, sizeof port, "%u", h.first + i);
        expose(exposed, key);
        bind_port(bindings, key, str_or_empty(ip), port);
    }
    return 0;
}

/* target=80,published=8080,protocol=tcp,mode=host */
static int publish_long(const char *spec, struct json_object *exposed, struct json_object *bindings,
                        struct err *e) {
    auto_strv fields = csv_split(spec, e);
    auto_free char *text = NULL;
    const char *target = "", *published = "", *proto = "tcp";

    if (!fields)
        return -EINVAL;
    strv_for_each (field, fields) {
        const char *v = strchr(field, '=');

        if (!v)
            return err_set(e, ERR_INVALID,
                           "invalid publish opts format (should be name=value but got '%s')",
                           field);
        v++;
        if (str_starts(field, "target="))
            target = v;
        else if (str_starts(field, "published="))
            published = v;
        else if (str_starts(field, "protocol="))
            proto = v; /* docker looks at no other name, "mode" for one */
    }
    text = xasprintf("%s:%s/%s", published, target, proto);
    return publish_one(text, exposed, bindings, e);
}

int ports_parse(char *const *publish, char *const *exposes, struct json_object *exposed,
                struct json_object *bindings, struct err *e) {
    int r;

    strv_for_each (spec, publish) {
        r = strchr(spec, '=') ? publish_long(spec, exposed, bindings, e)
                              : publish_one(spec, exposed, bindings, e);
        if (r < 0)
            return r;
    }
    strv_for_each (spec, exposes) {
        auto_free char *text = xstrdup(spec);
        char *proto = strchr(text, '/');
        struct range c;

        if (strchr(spec, ':'))
            return err_set(e, ERR_INVALID, "invalid port format for --expose: %s", spec);
        if (proto)
            *proto++ = '\0';
        r = range_parse(text, &c);
        if (r == RANGE_BACKWARDS)
            return err_set(e, ERR_INVALID,
                           "invalid range format for --expose: %s, error: invalid range specified "
                           "for port: %s",
                           text, text);
        if (r < 0)
            return err_set(e, ERR_INVALID,
                           "invalid range format for --expose: %s, error: strconv.ParseUint: "
                           "parsing \"%s\": invalid syntax",
                           text, text);
        for (unsigned i = c.first; i <= c.last; i++) {
            char key[32];

            snprintf(key, sizeof key, "%u/%s", i, proto && *proto ? proto : "tcp");
            expose(exposed, key);
        }
    }
    return 0;
}

/* ---- CSV and files of settings ------------------------------------------------------------- */

char **csv_split(const char *s, struct err *e) {
    auto_strv out = NULL;
    auto_buf field = BUF_INIT;

    for (;; s++) {
        buf_clear(&field);
        if (*s == '"') {
            for (s++;; s++) {
                if (*s == '\0') {
                    (void)err_set(e, ERR_INVALID,
                                  "parse error on line 1, column 1: extraneous or "
                                  "missing \" in quoted-field");
                    return NULL;
                }
                if (*s == '"' && *++s != '"')
                    break;
                buf_putc(&field, *s);
            }
        }
        while (*s && *s != ',')
            buf_putc(&field, *s++);
        strv_take(&out, buf_take(&field));
        if (!*s)
            return take_ptr(out);
    }
}

static int read_kv_file(const char *path, bool lookup, char ***out, struct err *e) {
    auto_buf text = BUF_INIT;
    auto_strv lines = NULL;
    unsigned number = 0;
    int r = io_read_file_at(AT_FDCWD, path, &text);

    if (r < 0)
        return err_set(e, ERR_INVALID, "open %s: %s", path,
                       r == -ENOENT ? "no such file or directory" : strerror(-r));
    lines = str_split(buf_str(&text), '\n');
    strv_for_each (full, lines) {
        const char *line = full;
        auto_free char *name = NULL;
        const char *eq;

        if (number++ == 0 && str_starts(line, "\xef\xbb\xbf"))
            line += 3;
        while (isspace((unsigned char)*line))
            line++;
        full[strcspn(full, "\r")] = '\0';
        if (!*line || *line == '#')
            continue;
        eq = strchr(line, '=');
        name = xstrndup(line, eq ? (size_t)(eq - line) : strlen(line));
        if (strpbrk(name, " \t"))
            return err_set(e, ERR_INVALID,
                           "poorly formatted environment: variable '%s' contains whitespaces",
                           name);
        if (!*name)
            return err_set(e, ERR_INVALID,
                           "poorly formatted environment: no variable name on line '%s'", line);
        if (eq) {
            strv_add(out, line);
        } else if (lookup && getenv(name)) {
            strv_take(out, xasprintf("%s=%s", name, getenv(name)));
        }
    }
    return 0;
}

int read_kv(char *const *files, char *const *list, bool lookup, char ***ret, struct err *e) {
    auto_strv out = NULL;

    strv_for_each (path, files) {
        int r = read_kv_file(path, lookup, &out, e);

        if (r < 0)
            return r;
    }
    strv_for_each (item, list) {
        if (lookup && !strchr(item, '=') && getenv(item))
            strv_take(&out, xasprintf("%s=%s", item, getenv(item)));
        else
            strv_add(&out, item);
    }
    *ret = take_ptr(out);
    return 0;
}

/* ---- --gpus -------------------------------------------------------------------------------- */

int gpus_parse(char *const *specs, struct json_object *requests, struct err *e) {
    strv_for_each (spec, specs) {
        auto_strv fields = csv_split(spec, e);
        struct json_object *o, *caps, *all; /* made after the last error */
        auto_strv ids = NULL;
        auto_strv options = NULL;
        auto_strv names = NULL;
        const char *driver = "", *v;
        int64_t count = 0;
        bool counted = false;

        if (!fields)
            return -EINVAL;
        strv_for_each (field, fields) {
            if (str_eq(field, "all")) {
                count = -1;
                counted = true;
            } else if (str_to_i64(field, &count) == 0) {
                counted = true;
            } else if ((v = str_after(field, "count="))) {
                if (str_eq(v, "all"))
                    count = -1;
                else if (str_to_i64(v, &count) < 0)
                    return err_set(e, ERR_INVALID,
                                   "invalid count (%s): value must be either \"all\" or an "
                                   "integer: invalid syntax",
                                   v);
                counted = true;
            } else if ((v = str_after(field, "driver="))) {
                driver = v;
            } else if ((v = str_after(field, "device="))) {
                strv_free(ids);
                ids = str_split(v, ',');
            } else if ((v = str_after(field, "capabilities="))) {
                strv_free(names);
                names = str_split(v, ',');
            } else if ((v = str_after(field, "options="))) {
                strv_free(options);
                options = str_split(v, ',');
            } else if (!strchr(field, '=')) {
                return err_set(e, ERR_INVALID,
                               "invalid count (%s): value must be either \"all\" or an integer: "
                               "invalid syntax",
                               field);
            } else {
                return err_set(e, ERR_INVALID, "unexpected key '%.*s' in '%s'",
                               (int)strcspn(field, "="), field, field);
            }
        }
        if (!counted && !ids)
            count = 1;
        strv_add(&names, "gpu");
        o = json_object_new_object();
        json_object_object_add(o, "Driver", json_object_new_string(driver));
        json_object_object_add(o, "Count", json_object_new_int64(count));
        json_object_object_add(o, "DeviceIDs", ids ? json_object_new_array() : NULL);
        strv_for_each (id, ids)
            json_object_array_add(json_object_object_get(o, "DeviceIDs"),
                                  json_object_new_string(id));
        all = json_object_new_array();
        strv_for_each (name, names)
            json_object_array_add(all, json_object_new_string(name));
        caps = json_object_new_array();
        json_object_array_add(caps, all);
        json_object_object_add(o, "Capabilities", caps);
        all = json_object_new_object();
        strv_for_each (option, options) {
            const char *eq = strchr(option, '=');
            auto_free char *name = xstrndup(option, strcspn(option, "="));

            json_object_object_add(all, name, json_object_new_string(eq ? eq + 1 : ""));
        }
        json_object_object_add(o, "Options", all);
        json_object_array_add(requests, o);
    }
    return 0;
}

int check_gpus(const char *v, struct err *e) {
    char *const one[] = {(char *)v, NULL}; /* only read */
    struct json_object *requests = json_object_new_array();
    int r = gpus_parse(one, requests, e);

    json_object_put(requests);
    return r;
}
