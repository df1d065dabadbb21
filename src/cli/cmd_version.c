/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

static const struct flag version_flags[] = {
    {.name = "format", .shorthand = 'f', .type = FLAG_STRING, .usage = FORMAT_USAGE_INSPECT},
    {.name = NULL},
};

/* Go's name of our architecture. */
static const char *architecture(void) {
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#else
    return "unknown";
#endif
}

static struct json_object *client_info(const struct cli *cli) {
    struct json_object *o = json_object_new_object(), *platform = json_object_new_object();

    json_object_object_add(platform, "Name", json_object_new_string(""));
    json_object_object_add(o, "Platform", platform);
    row_add(o, "Version", FENCE_VERSION);
    row_add(o, "ApiVersion", cli->client.version);
    row_add(o, "DefaultAPIVersion", CLIENT_API_VERSION);
    row_add(o, "GitCommit", "");
    row_add(o, "GoVersion", "");
    row_add(o, "Os", "linux");
    row_add(o, "Arch", architecture());
    row_add(o, "BuildTime", "");
    row_add(o, "Context", cli->context);
    return o;
}

static void print_client(const struct cli *cli) {
    bool older = !str_eq(cli->client.version, CLIENT_API_VERSION);

    put_line("Client:");
    put_line(" Version:           %s", FENCE_VERSION);
    put_line(" API version:       %s%s%s%s", cli->client.version, older ? " (downgraded from " : "",
             older ? CLIENT_API_VERSION : "", older ? ")" : "");
    put_line(" OS/Arch:           linux/%s", architecture());
    put_line(" Context:           %s", cli->context);
}

static const char *detail(struct json_object *component, const char *name) {
    return str_or_empty(jsn_str(jsn_get(component, "Details"), name));
}

static void print_component(struct json_object *c) {
    const char *name = str_or_empty(jsn_str(c, "Name"));
    struct json_object *details = jsn_get(c, "Details");

    put_line(" %s:", name);
    put_line("  Version:          %s", str_or_empty(jsn_str(c, "Version")));
    if (str_eq(name, "Engine")) {
        put_line("  API version:      %s (minimum version %s)", detail(c, "ApiVersion"),
                 detail(c, "MinAPIVersion"));
        put_line("  Go version:       %s", detail(c, "GoVersion"));
        put_line("  Git commit:       %s", detail(c, "GitCommit"));
        put_line("  Built:            %s", detail(c, "BuildTime"));
        put_line("  OS/Arch:          %s/%s", detail(c, "Os"), detail(c, "Arch"));
        put_line("  Experimental:     %s", detail(c, "Experimental"));
        return;
    }
    if (!details)
        return;
    json_object_object_foreach(details, key, val) {
        put_line("  %s:%*s%s", key, (int)(strlen(key) < 17 ? 17 - strlen(key) : 1), "",
                 str_or_empty(json_object_get_string(val)));
    }
}

static void print_server(struct json_object *v) {
    const char *platform = str_or_empty(jsn_str(jsn_get(v, "Platform"), "Name"));
    struct json_object *components = jsn_get(v, "Components");

    put_line("\nServer:%s%s", *platform ? " " : "", platform);
    for (size_t i = 0; components && i < json_object_array_length(components); i++)
        print_component(json_object_array_get_idx(components, i));
}

static int print_format(const char *format, struct json_object *data, struct err *e) {
    const struct gotmpl_options o = {.type_name = "system.versionInfo"};
    auto_gotmpl *t = NULL;
    auto_buf out = BUF_INIT;
    int r;

    if (str_eq(format, "json")) {
        struct jw w;

        jw_init(&w, &out);
        jw_value(&w, data);
    } else {
        r = gotmpl_parse(format, &t, e);
        if (r < 0) {
            err_wrap(e, "template parsing error");
            return 64;
        }
        r = gotmpl_exec(t, data, &o, &out, e);
        if (r < 0)
            return r;
    }
    buf_putc(&out, '\n');
    return print_out(&out, e);
}

static int cmd_version(struct cli *cli, const struct args *a, struct err *e) {
    const char *format = flag_str(&a->flags, "format");
    auto_json *server = NULL, *data = NULL;
    int r = client_get_json(&cli->client, "/version", NULL, &server, e);

    if (*format) {
        int shown;

        data = json_object_new_object();
        json_object_object_add(data, "Client", client_info(cli));
        json_object_object_add(data, "Server", json_object_get(server));
        shown = print_format(format, data, r < 0 ? NULL : e);
        return r < 0 ? r : shown;
    }
    print_client(cli);
    if (r == 0)
        print_server(server);
    return r;
}

const struct command command_version = {
    .use = "[OPTIONS]",
    .summary = "Show the version information",
    .flags = version_flags,
    .run = cmd_version,
};
