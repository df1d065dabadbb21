/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

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

static int cmd_port(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/containers/", a->argv[0], "/json"), *key = NULL;
    auto_json *c = NULL;
    auto_strv lines = NULL;
    struct json_object *ports;
    int r = client_get_json(&cli->client, path, NULL, &c, e);

    if (r < 0)
        return r;
    ports = jsn_get(jsn_get(c, "NetworkSettings"), "Ports");
    if (a->argc > 1 && *a->argv[1]) {
        struct json_object *bindings;

        r = check_port(a->argv[1], e);
        if (r < 0)
            return r;
        key = xasprintf("%s%s", a->argv[1], strchr(a->argv[1], '/') ? "" : "/tcp");
        bindings = jsn_get(ports, key);
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
    .use = "CONTAINER [PRIVATE_PORT[/PROTO]]",
    .summary = "List port mappings or a specific mapping for the container",
    .aliases = "container port, port",
    .flags = no_flags,
    .min_args = 1,
    .max_args = 2,
    .run = cmd_port,
    .completes = "container",
};
