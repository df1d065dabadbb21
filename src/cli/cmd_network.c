/* SPDX-License-Identifier: Apache-2.0 */
/* network connect, network disconnect, network rm. */
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/create.h"
#include "format/json.h"

/* clang-format off */
static const struct flag connect_flags[] = {
    {.name = "alias", .type = FLAG_STRINGS, .usage = "Add network-scoped alias for the container"},
    {.name = "driver-opt", .type = FLAG_STRINGS, .usage = "driver options for the network"},
    {.name = "gw-priority", .type = FLAG_INT, .usage = "Highest gw-priority provides the default gateway. Accepts positive and negative values."},
    {.name = "ip", .type = FLAG_STRING, .usage = "IPv4 address (e.g., \"172.30.100.104\")"},
    {.name = "ip6", .type = FLAG_STRING, .usage = "IPv6 address (e.g., \"2001:db8::33\")"},
    {.name = "link", .type = FLAG_LIST, .usage = "Add link to another container", .check = check_link},
    {.name = "link-local-ip", .type = FLAG_STRINGS, .usage = "Add a link-local address for the container"},
    {.name = NULL},
};
static const struct flag disconnect_flags[] = {
    {.name = "force", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Force the container to disconnect from a network"},
    {.name = NULL},
};
static const struct flag rm_flags[] = {
    {.name = "force", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Do not error if the network does not exist"},
    {.name = NULL},
};
/* clang-format on */

static void put_list(struct jw *w, const char *key, char *const *list) {
    jw_key(w, key);
    jw_array(w);
    strv_for_each (s, list)
        jw_str(w, s);
    jw_end_array(w);
}

static int put_driver_options(struct jw *w, char *const *list, struct err *e) {
    struct strmap options = {0};
    int r = 0;

    strv_for_each (option, list) {
        const char *eq = strchr(option, '=');
        auto_free char *name = xstrndup(option, strcspn(option, "="));

        if (!eq)
            r = err_set(e, ERR_INVALID, "invalid key/value pair format in driver options");
        else
            strmap_put(&options, name, eq + 1);
        if (r < 0)
            break;
    }
    jw_key(w, "DriverOpts");
    jw_object(w);
    strmap_for_each(o, &options) jw_kstr(w, o->key, o->value);
    jw_end_object(w);
    strmap_done(&options);
    return r;
}

static int put_endpoint(struct jw *w, const struct flags *f, struct err *e) {
    const char *ip = flag_str(f, "ip"), *ip6 = flag_str(f, "ip6");
    int r;

    jw_key(w, "EndpointConfig");
    jw_object(w);
    jw_key(w, "IPAMConfig");
    jw_object(w);
    if (*ip)
        jw_kstr(w, "IPv4Address", ip);
    if (*ip6)
        jw_kstr(w, "IPv6Address", ip6);
    if (flag_list(f, "link-local-ip"))
        put_list(w, "LinkLocalIPs", flag_list(f, "link-local-ip"));
    jw_end_object(w);
    jw_kstrv(w, "Links", flag_list(f, "link"));
    put_list(w, "Aliases", flag_list(f, "alias"));
    r = put_driver_options(w, flag_list(f, "driver-opt"), e);
    jw_kint(w, "GwPriority", flag_int(f, "gw-priority"));
    jw_end_object(w);
    return r;
}

static int cmd_network_connect(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/networks/", a->argv[0], "/connect");
    auto_buf body = BUF_INIT;
    struct jw w;
    int r;

    jw_init(&w, &body);
    jw_object(&w);
    jw_kstr(&w, "Container", a->argv[1]);
    r = put_endpoint(&w, &a->flags, e);
    jw_end_object(&w);
    return r < 0 ? r : client_post_json(&cli->client, path, NULL, buf_str(&body), NULL, e);
}

static int cmd_network_disconnect(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/networks/", a->argv[0], "/disconnect");
    auto_buf body = BUF_INIT;
    struct jw w;

    jw_init(&w, &body);
    jw_object(&w);
    jw_kstr(&w, "Container", a->argv[1]);
    jw_kbool(&w, "Force", flag_bool(&a->flags, "force"));
    jw_end_object(&w);
    return client_post_json(&cli->client, path, NULL, buf_str(&body), NULL, e);
}

static int cmd_network_rm(struct cli *cli, const struct args *a, struct err *e) {
    if (flag_bool(&a->flags, "force"))
        return each_operand_present(cli, a, "DELETE", "/networks/", "", NULL, e);
    return each_operand(cli, a, "DELETE", "/networks/", "", NULL, e);
}

const struct command command_network_connect = {
    .use = "[OPTIONS] NETWORK CONTAINER",
    .summary = "Connect a container to a network",
    .flags = connect_flags,
    .min_args = 2,
    .max_args = 2,
    .run = cmd_network_connect,
    .completes = "network container",
};
const struct command command_network_disconnect = {
    .use = "[OPTIONS] NETWORK CONTAINER",
    .summary = "Disconnect a container from a network",
    .flags = disconnect_flags,
    .min_args = 2,
    .max_args = 2,
    .run = cmd_network_disconnect,
    .completes = "network container",
};
const struct command command_network_rm = {
    .use = "NETWORK [NETWORK...]",
    .summary = "Remove one or more networks",
    .aliases = "network rm, network remove",
    .flags = rm_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_network_rm,
    .completes = "network",
};
