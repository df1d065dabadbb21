/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

static const struct flag info_flags[] = {
    {.name = "format", .shorthand = 'f', .type = FLAG_STRING, .usage = FORMAT_USAGE_INSPECT},
    {.name = NULL},
};

static void text(const char *label, const char *value) {
    put_line(" %s: %s", label, str_or_empty(value));
}

static void text_if(const char *label, const char *value) {
    if (!str_empty(value))
        text(label, value);
}

static void number(const char *label, struct json_object *o, const char *member) {
    put_line(" %s: %lld", label, (long long)jsn_int(o, member, 0));
}

static void boolean(const char *label, struct json_object *o, const char *member) {
    put_line(" %s: %s", label, jsn_bool(o, member, false) ? "true" : "false");
}

static char *joined(struct json_object *list) {
    auto_strv v = NULL;

    for (size_t i = 0; list && i < json_object_array_length(list); i++)
        strv_add(&v, json_object_get_string(json_object_array_get_idx(list, i)));
    return strv_join(v, " ");
}

static void driver(struct json_object *info) {
    struct json_object *status = jsn_get(info, "DriverStatus");

    text("Storage Driver", jsn_str(info, "Driver"));
    for (size_t i = 0; status && i < json_object_array_length(status); i++) {
        struct json_object *pair = json_object_array_get_idx(status, i);

        put_line("  %s: %s", json_object_get_string(json_object_array_get_idx(pair, 0)),
                 json_object_get_string(json_object_array_get_idx(pair, 1)));
    }
}

static void plugins(struct json_object *info) {
    static const char *const kinds[] = {"Volume", "Network", "Authorization", "Log"};

    put_line(" Plugins:");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct json_object *list = jsn_get(jsn_get(info, "Plugins"), kinds[i]);
        auto_free char *names = joined(list);

        if (list && json_object_array_length(list) > 0)
            put_line("  %s: %s", kinds[i], names);
    }
}

/* "name=seccomp,profile=default" */
static void security(struct json_object *info) {
    struct json_object *list = jsn_get(info, "SecurityOptions");
    size_t n = list ? json_object_array_length(list) : 0;

    if (n > 0)
        put_line(" Security Options:");
    for (size_t i = 0; i < n; i++) {
        auto_strv part = str_split(json_object_get_string(json_object_array_get_idx(list, i)), ',');

        strv_for_each (option, part) {
            const char *value = strchr(option, '=');

            if (str_starts(option, "name="))
                put_line("  %s", value + 1);
            else if (value && str_starts(option, "profile="))
                put_line("   Profile: %s", value + 1);
            else if (value)
                put_line("   %.*s: %s", (int)(value - option), option, value + 1);
        }
    }
}

static void runtimes(struct json_object *info) {
    struct json_object *o = jsn_get(info, "Runtimes");
    auto_free const char **keys = NULL;

    if (!o)
        return;
    keys = xcalloc((size_t)json_object_object_length(o) + 1, sizeof *keys);
    {
        size_t n = 0;

        json_object_object_foreach(o, key, val) {
            size_t at = n++;

            (void)val;
            for (; at > 0 && strcmp(keys[at - 1], key) > 0; at--)
                keys[at] = keys[at - 1];
            keys[at] = key;
        }
    }
    printf(" Runtimes:");
    for (const char **k = keys; *k; k++)
        printf(" %s", *k);
    put_line("%s", "");
    text("Default Runtime", jsn_str(info, "DefaultRuntime"));
}

static void commit(const char *label, struct json_object *info, const char *member) {
    struct json_object *o = jsn_get(info, member);

    if (o)
        put_line(" %s version: %s", label, str_or_empty(jsn_str(o, "ID")));
}

static void list(const char *label, struct json_object *items) {
    if (!items || json_object_array_length(items) == 0)
        return;
    put_line(" %s:", label);
    for (size_t i = 0; i < json_object_array_length(items); i++)
        put_line("  %s", json_object_get_string(json_object_array_get_idx(items, i)));
}

static void registries(struct json_object *info) {
    struct json_object *config = jsn_get(info, "RegistryConfig");
    struct json_object *index = jsn_get(config, "IndexConfigs");
    struct json_object *cidrs = jsn_get(config, "InsecureRegistryCIDRs");

    if (!config)
        return;
    put_line(" Insecure Registries:");
    if (index) {
        json_object_object_foreach(index, key, val) {
            if (!jsn_bool(val, "Secure", true))
                put_line("  %s", key);
        }
    }
    for (size_t i = 0; cidrs && i < json_object_array_length(cidrs); i++)
        put_line("  %s", json_object_get_string(json_object_array_get_idx(cidrs, i)));
    list("Registry Mirrors", jsn_get(config, "Mirrors"));
}

static void server(struct json_object *info) {
    auto_free char *memory = human_size_binary((double)jsn_int(info, "MemTotal", 0));
    const char *swarm = jsn_str(jsn_get(info, "Swarm"), "LocalNodeState");

    number("Containers", info, "Containers");
    number(" Running", info, "ContainersRunning");
    number(" Paused", info, "ContainersPaused");
    number(" Stopped", info, "ContainersStopped");
    number("Images", info, "Images");
    text("Server Version", jsn_str(info, "ServerVersion"));
    driver(info);
    text_if("Logging Driver", jsn_str(info, "LoggingDriver"));
    text_if("Cgroup Driver", jsn_str(info, "CgroupDriver"));
    text_if("Cgroup Version", jsn_str(info, "CgroupVersion"));
    plugins(info);
    text_if("Swarm", swarm);
    runtimes(info);
    text("Init Binary", jsn_str(info, "InitBinary"));
    commit("containerd", info, "ContainerdCommit");
    commit("runc", info, "RuncCommit");
    commit("init", info, "InitCommit");
    security(info);
    text_if("Kernel Version", jsn_str(info, "KernelVersion"));
    text_if("Operating System", jsn_str(info, "OperatingSystem"));
    text_if("OSType", jsn_str(info, "OSType"));
    text_if("Architecture", jsn_str(info, "Architecture"));
    number("CPUs", info, "NCPU");
    text("Total Memory", memory);
    text_if("Name", jsn_str(info, "Name"));
    text_if("ID", jsn_str(info, "ID"));
    text_if("Docker Root Dir", jsn_str(info, "DockerRootDir"));
    boolean("Debug Mode", info, "Debug");
    if (jsn_bool(info, "Debug", false)) {
        number(" File Descriptors", info, "NFd");
        number(" Goroutines", info, "NGoroutines");
        text(" System Time", jsn_str(info, "SystemTime"));
        number(" EventsListeners", info, "NEventsListener");
    }
    text_if("HTTP Proxy", jsn_str(info, "HttpProxy"));
    text_if("HTTPS Proxy", jsn_str(info, "HttpsProxy"));
    text_if("No Proxy", jsn_str(info, "NoProxy"));
    list("Labels", jsn_get(info, "Labels"));
    boolean("Experimental", info, "ExperimentalBuild");
    registries(info);
    boolean("Live Restore Enabled", info, "LiveRestoreEnabled");
    text_if("Product License", jsn_str(info, "ProductLicense"));
    put_line("%s", "");
}

static int print_format(const struct cli *cli, const char *format, struct json_object *info,
                        struct err *e) {
    const struct gotmpl_options o = {.type_name = "system.dockerInfo"};
    struct json_object *client = json_object_new_object();
    auto_gotmpl *t = NULL;
    auto_buf out = BUF_INIT;
    struct jw w;
    int r;

    json_object_object_add(client, "Debug", json_object_new_boolean(cli->debug));
    row_add(client, "Version", FENCE_VERSION);
    row_add(client, "Context", cli->context);
    json_object_object_add(client, "Plugins", json_object_new_array());
    json_object_object_add(client, "Warnings", NULL);
    json_object_object_add(info, "ClientInfo", client);
    if (str_eq(format, "json")) {
        jw_init(&w, &out);
        jw_value(&w, info);
    } else {
        r = gotmpl_parse(format, &t, e);
        if (r < 0) {
            err_wrap(e, "template parsing error");
            return 64;
        }
        r = gotmpl_exec(t, info, &o, &out, e);
        if (r < 0)
            return r;
    }
    buf_putc(&out, '\n');
    return print_out(&out, e);
}

static int cmd_info(struct cli *cli, const struct args *a, struct err *e) {
    const char *format = flag_str(&a->flags, "format");
    auto_json *info = NULL;
    struct json_object *warnings;
    int r = client_get_json(&cli->client, "/info", NULL, &info, e);

    if (*format)
        return r < 0 ? r : print_format(cli, format, info, e);
    put_line("Client:\n Version:    %s\n Context:    %s\n Debug Mode: %s\n\nServer:", FENCE_VERSION,
             cli->context, cli->debug ? "true" : "false");
    if (r < 0) {
        fprintf(stderr, "%s\n", err_msg(e));
        err_done(e);
        return err_set(e, ERR_SYSTEM, "errors pretty printing info");
    }
    server(info);
    (void)fflush(stdout); /* the warnings belong below */
    warnings = jsn_get(info, "Warnings");
    for (size_t i = 0; warnings && i < json_object_array_length(warnings); i++)
        fprintf(stderr, "%s\n", json_object_get_string(json_object_array_get_idx(warnings, i)));
    return 0;
}

const struct command command_info = {
    .use = "[OPTIONS]",
    .summary = "Display system-wide information",
    .aliases = "system info, info",
    .flags = info_flags,
    .run = cmd_info,
};
