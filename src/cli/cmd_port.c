/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag port_flags[] = {
    {.name = "explain", .type = FLAG_BOOL, .usage = "Say who can reach each port, and why"},
    {.name = NULL},
};
/* clang-format on */

static int compare_lines(const void *a, const void *b) {
    return natural_compare(*(char *const *)a, *(char *const *)b);
}

static void put_bindings(char ***lines, const char *prefix, struct json_object *bindings) {
    for (size_t i = 0; bindings && i < json_object_array_length(bindings); i++) {
        struct json_object *b = json_object_array_get_idx(bindings, i);
        const char *ip = str_or_empty(jsn_str(b, "HostIp"));
        bool six = strchr(ip, ':') != NULL;

        strv_take(lines, xasprintf("%s%s%s%s:%s", prefix, six ? "[" : "", ip, six ? "]" : "",
                                   str_or_empty(jsn_str(b, "HostPort"))));
    }
}

/* As Go says it. */
static int check_port(const char *s, struct err *e) {
    auto_free char *number = xstrndup(s, strcspn(s, "/"));
    uint64_t n;
    int r = str_to_u64(number, &n);

    if (r == 0 && n <= 65535)
        return 0;
    return err_set(e, ERR_INVALID,
                   "Error: invalid port (%s): strconv.ParseUint: parsing \"%s\": %s", number,
                   number, r == 0 || r == -ERANGE ? "value out of range" : "invalid syntax");
}

/* "80" and "80/tcp" give "80/tcp"; *ret stays NULL when all ports are meant. */
static int wanted_port(const struct args *a, char **ret, struct err *e) {
    int r;

    if (a->argc < 2 || !*a->argv[1])
        return 0;
    r = check_port(a->argv[1], e);
    if (r == 0)
        *ret = xasprintf("%s%s", a->argv[1], strchr(a->argv[1], '/') ? "" : "/tcp");
    return r;
}

/* ---- --explain ------------------------------------------------------------------------------- */

static void put_address(struct json_object *port) {
    const char *ip = str_or_empty(jsn_str(port, "HostIp"));
    const char *number = str_or_empty(jsn_str(port, "HostPort"));
    bool six = strchr(ip, ':') != NULL;

    if (*number)
        put_line("%s -> %s%s%s:%s", str_or_empty(jsn_str(port, "Port")), six ? "[" : "", ip,
                 six ? "]" : "", number);
    else
        put_line("%s is not published", str_or_empty(jsn_str(port, "Port")));
}

static void explain_port(struct json_object *port) {
    struct json_object *reach = jsn_get(port, "Reach");
    size_t n = json_object_is_type(reach, json_type_array) ? json_object_array_length(reach) : 0;

    put_address(port);
    for (size_t i = 0; i < n; i++) {
        struct json_object *r = json_object_array_get_idx(reach, i);

        put_line("  %-3s  %s: %s", json_object_get_boolean(jsn_get(r, "Allowed")) ? "yes" : "no",
                 str_or_empty(jsn_str(r, "From")), str_or_empty(jsn_str(r, "Why")));
    }
}

static int explain(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/containers/", a->argv[0], "/ports/explain"), *wanted = NULL;
    auto_json *answer = NULL;
    struct json_object *ports, *warnings;
    size_t shown = 0;
    int r = wanted_port(a, &wanted, e);

    if (r == 0)
        r = client_get_json(&cli->client, path, NULL, &answer, e);
    if (r < 0)
        return r;
    ports = jsn_get(answer, "Ports");
    for (size_t i = 0; ports && i < json_object_array_length(ports); i++) {
        struct json_object *port = json_object_array_get_idx(ports, i);

        if (wanted && !str_eq(jsn_str(port, "Port"), wanted))
            continue;
        explain_port(port);
        shown++;
    }
    warnings = jsn_get(answer, "Warnings");
    for (size_t i = 0; warnings && i < json_object_array_length(warnings); i++)
        fprintf(stderr, "WARNING: %s\n",
                str_or_empty(json_object_get_string(json_object_array_get_idx(warnings, i))));
    if (wanted && !shown)
        return err_set(e, ERR_NOT_FOUND, "Error: No port '%s' published or exposed by %s", wanted,
                       a->argv[0]);
    return 0;
}

/* ---- the list -------------------------------------------------------------------------------- */

static int cmd_port(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/containers/", a->argv[0], "/json"), *key = NULL;
    auto_json *c = NULL;
    auto_strv lines = NULL;
    struct json_object *ports;
    int r;

    if (flag_bool(&a->flags, "explain"))
        return explain(cli, a, e);
    r = client_get_json(&cli->client, path, NULL, &c, e);
    if (r < 0)
        return r;
    r = wanted_port(a, &key, e);
    if (r < 0)
        return r;
    ports = jsn_get(jsn_get(c, "NetworkSettings"), "Ports");
    if (key) {
        struct json_object *bindings = jsn_get(ports, key);

        if (!bindings || json_object_array_length(bindings) == 0)
            return err_set(e, ERR_NOT_FOUND, "Error: No public port '%s' published for %s",
                           a->argv[1], a->argv[0]);
        put_bindings(&lines, "", bindings);
    } else if (ports) {
        json_object_object_foreach(ports, name, bindings) {
            auto_free char *prefix = xasprintf("%s -> ", name);

            put_bindings(&lines, prefix, bindings);
        }
    }
    if (lines)
        qsort(lines, strv_len(lines), sizeof *lines, compare_lines);
    strv_for_each (line, lines)
        put_line("%s", line);
    return 0;
}

const struct command command_port = {
    .use = "[OPTIONS] CONTAINER [PRIVATE_PORT[/PROTO]]",
    .summary = "List port mappings or a specific mapping for the container",
    .aliases = "container port, port",
    .flags = port_flags,
    .min_args = 1,
    .max_args = 2,
    .run = cmd_port,
    .completes = "container",
};
