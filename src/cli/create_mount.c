/* SPDX-License-Identifier: Apache-2.0 */
/* --mount and --network: lists of key=value. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json_object.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/create.h"
#include "format/units.h"

/* The object below key, made when it is not there. */
static struct json_object *child(struct json_object *o, const char *key) {
    struct json_object *c;

    if (!json_object_object_get_ex(o, key, &c)) {
        c = json_object_new_object();
        json_object_object_add(o, key, c);
    }
    return c;
}

static void put_text(struct json_object *o, const char *key, const char *v) {
    json_object_object_add(o, key, json_object_new_string(v));
}

static int put_bool(struct json_object *o, const char *key, const char *name, const char *v,
                    struct err *e) {
    bool b = true;

    if (v && str_to_bool(v, &b) < 0)
        return err_set(e, ERR_INVALID, "invalid value for %s: %s", name, v);
    if (b)
        json_object_object_add(o, key, json_object_new_boolean(true));
    return 0;
}

static void put_option(struct json_object *map, const char *v) {
    const char *eq = strchr(v, '=');
    auto_free char *name = xstrndup(v, strcspn(v, "="));

    put_text(map, name, eq ? eq + 1 : "");
}

/* Keys that only one type of mount takes. 1: not such a key. */
static int mount_option(struct json_object *m, const char *key, const char *v, struct err *e) {
    int64_t n;
    char *end;

    if (str_eq(key, "bind-propagation")) {
        put_text(child(m, "BindOptions"), "Propagation", v);
    } else if (str_eq(key, "bind-nonrecursive")) {
        return put_bool(child(m, "BindOptions"), "NonRecursive", key, v, e);
    } else if (str_eq(key, "bind-create-src")) {
        return put_bool(child(m, "BindOptions"), "CreateMountpoint", key, v, e);
    } else if (str_eq(key, "bind-recursive")) {
        if (str_eq(v, "disabled"))
            return put_bool(child(m, "BindOptions"), "NonRecursive", key, NULL, e);
        if (str_eq(v, "writable"))
            return put_bool(child(m, "BindOptions"), "ReadOnlyNonRecursive", key, NULL, e);
        if (str_eq(v, "readonly"))
            return put_bool(child(m, "BindOptions"), "ReadOnlyForceRecursive", key, NULL, e);
        if (!str_eq(v, "enabled"))
            return err_set(e, ERR_INVALID,
                           "invalid value for bind-recursive: %s (must be \"enabled\", "
                           "\"disabled\", \"writable\", or \"readonly\")",
                           v);
    } else if (str_eq(key, "volume-subpath")) {
        put_text(child(m, "VolumeOptions"), "Subpath", v);
    } else if (str_eq(key, "volume-nocopy")) {
        return put_bool(child(m, "VolumeOptions"), "NoCopy", key, v, e);
    } else if (str_eq(key, "volume-label")) {
        put_option(child(child(m, "VolumeOptions"), "Labels"), v);
    } else if (str_eq(key, "volume-driver")) {
        put_text(child(child(m, "VolumeOptions"), "DriverConfig"), "Name", v);
    } else if (str_eq(key, "volume-opt")) {
        put_option(child(child(child(m, "VolumeOptions"), "DriverConfig"), "Options"), v);
    } else if (str_eq(key, "image-subpath")) {
        put_text(child(m, "ImageOptions"), "Subpath", v);
    } else if (str_eq(key, "tmpfs-size")) {
        if (units_parse_bytes(v, &n) < 0)
            return err_set(e, ERR_INVALID, "invalid value for %s: %s", key, v);
        json_object_object_add(child(m, "TmpfsOptions"), "SizeBytes", json_object_new_int64(n));
    } else if (str_eq(key, "tmpfs-mode")) {
        n = strtol(v, &end, 8);
        if (*end || end == v || n < 0)
            return err_set(e, ERR_INVALID, "invalid value for %s: %s", key, v);
        json_object_object_add(child(m, "TmpfsOptions"), "Mode", json_object_new_int64(n));
    } else {
        return 1;
    }
    return 0;
}

static int mount_field(struct json_object *m, const char *field, struct err *e) {
    const char *v = strchr(field, '=');
    auto_free char *key = xstrndup(field, strcspn(field, "="));
    auto_free char *value = v ? xstrdup(v + 1) : NULL;
    int r;

    str_lower(key);
    if (!v && (str_eq(key, "readonly") || str_eq(key, "ro")))
        return put_bool(m, "ReadOnly", key, NULL, e);
    if (!v && (str_eq(key, "volume-nocopy") || str_eq(key, "bind-nonrecursive") ||
               str_eq(key, "bind-create-src")))
        return mount_option(m, key, NULL, e) < 0 ? -EINVAL : 0;
    if (!v)
        return err_set(e, ERR_INVALID, "invalid field '%s' must be a key=value pair", field);
    if (str_eq(key, "type")) {
        str_lower(value);
        put_text(m, "Type", value);
        return 0;
    }
    if (str_eq(key, "source") || str_eq(key, "src")) {
        if (*value == '.' && (value[1] == '/' || value[1] == '\0' || str_starts(value, ".."))) {
            auto_free char *cwd = getcwd(NULL, 0), *abs = NULL;

            abs = xasprintf("%s%s", str_or_empty(cwd), value[1] == '/' ? value + 1 : "");
            put_text(m, "Source", str_starts(value, "..") ? value : abs);
        } else {
            put_text(m, "Source", value);
        }
        return 0;
    }
    if (str_eq(key, "target") || str_eq(key, "dst") || str_eq(key, "destination")) {
        put_text(m, "Target", value);
        return 0;
    }
    if (str_eq(key, "readonly") || str_eq(key, "ro"))
        return put_bool(m, "ReadOnly", key, value, e);
    if (str_eq(key, "consistency")) {
        put_text(m, "Consistency", value);
        return 0;
    }
    r = mount_option(m, key, value, e);
    return r == 1 ? err_set(e, ERR_INVALID, "unexpected key '%s' in '%s'", key, field) : r;
}

static int mount_check(struct json_object *m, struct err *e) {
    static const struct {
        const char *options, *type;
    } pairs[] = {{"BindOptions", "bind"},
                 {"VolumeOptions", "volume"},
                 {"TmpfsOptions", "tmpfs"},
                 {"ImageOptions", "image"}};
    const char *type = json_object_get_string(json_object_object_get(m, "Type"));

    if (!json_object_object_get(m, "Target"))
        return err_set(e, ERR_INVALID, "target is required");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (json_object_object_get(m, pairs[i].options) && !str_eq(type, pairs[i].type))
            return err_set(e, ERR_INVALID, "cannot mix '%s-*' options with mount type '%s'",
                           pairs[i].type, type);
    return 0;
}

int mount_parse(const char *spec, struct json_object **ret, struct err *e) {
    auto_strv fields = csv_split(spec, e);
    struct json_object *m; /* given away or put below */
    int r = 0;

    if (!fields)
        return -EINVAL;
    m = json_object_new_object();
    put_text(m, "Type", "volume");
    strv_for_each (field, fields) {
        r = mount_field(m, field, e);
        if (r < 0)
            break;
    }
    if (r >= 0)
        r = mount_check(m, e);
    if (r < 0) {
        json_object_put(m);
        return r;
    }
    *ret = m;
    return 0;
}

int check_mount(const char *v, struct err *e) {
    struct json_object *m;
    int r = mount_parse(v, &m, e);

    if (r >= 0)
        json_object_put(m);
    return r;
}

/* ---- networks ------------------------------------------------------------------------------ */

static bool is_user_defined(const char *mode) {
    return !str_eq(mode, "default") && !str_eq(mode, "bridge") && !str_eq(mode, "host") &&
           !str_eq(mode, "none") && !str_starts(mode, "container:");
}

static struct json_object *text_array(char *const *v) {
    struct json_object *a = json_object_new_array();

    strv_for_each (s, v)
        json_object_array_add(a, json_object_new_string(s));
    return a;
}

struct attachment {
    char *target, *ip, *ip6, *mac;
    char **aliases, **links, **link_local, **options;
    int64_t priority;
};

static void attachment_done(struct attachment *n) {
    free(n->target);
    free(n->ip);
    free(n->ip6);
    free(n->mac);
    strv_free(n->aliases);
    strv_free(n->links);
    strv_free(n->link_local);
    strv_free(n->options);
}

/* Without blanks around it; in place. */
static char *trim(char *s) {
    size_t n;

    s += strspn(s, " \t");
    for (n = strlen(s); n > 0 && strchr(" \t", s[n - 1]); n--)
        s[n - 1] = '\0';
    return s;
}

static int add_option(struct attachment *n, char *v, struct err *e) {
    char *eq = strchr(v, '=');

    if (!eq)
        return err_set(e, ERR_INVALID, "invalid key value pair format in driver options");
    *eq = '\0';
    strv_take(&n->options, xasprintf("%s=%s", trim(v), trim(eq + 1)));
    return 0;
}

static int attachment_parse(const char *spec, struct attachment *n, struct err *e) {
    auto_strv fields = NULL;

    if (!strchr(spec, '=')) {
        n->target = xstrdup(spec);
        return 0;
    }
    fields = csv_split(spec, e);
    if (!fields)
        return -EINVAL;
    strv_for_each (field, fields) {
        auto_free char *name = xstrndup(field, strcspn(field, "="));
        char *v = strchr(field, '='), *key = trim(name);
        int r = 0;

        str_lower(key);
        if (!v || !*key)
            return err_set(e, ERR_INVALID, "invalid field %s", field);
        v = trim(v + 1);
        if (str_eq(key, "name"))
            str_set(&n->target, v);
        else if (str_eq(key, "alias"))
            strv_add(&n->aliases, v);
        else if (str_eq(key, "ip"))
            str_set(&n->ip, v);
        else if (str_eq(key, "ip6"))
            str_set(&n->ip6, v);
        else if (str_eq(key, "mac-address"))
            str_set(&n->mac, v);
        else if (str_eq(key, "link-local-ip"))
            strv_add(&n->link_local, v);
        else if (str_eq(key, "driver-opt"))
            r = add_option(n, v, e);
        else if (str_eq(key, "gw-priority")) {
            if (str_to_i64(v, &n->priority) < 0)
                r = err_set(e, ERR_INVALID, "invalid gw-priority (%s): invalid syntax", v);
        } else {
            r = err_set(e, ERR_INVALID, "invalid field key %s", key);
        }
        if (r < 0)
            return r;
    }
    return n->target ? 0 : err_set(e, ERR_INVALID, "network name/id is not specified");
}

int check_network(const char *v, struct err *e) {
    __attribute__((cleanup(attachment_done))) struct attachment n = {0};

    return attachment_parse(v, &n, e);
}

/* 92:d0:c6:0a:29:33, with colons or hyphens. */
static bool is_mac(const char *s) {
    for (int i = 0; i < 6; i++, s += 3)
        if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]) ||
            (i < 5 ? s[2] != ':' && s[2] != '-' : s[2] != '\0'))
            return false;
    return true;
}

static int conflict(const char *flag, const char *what, struct err *e) {
    return err_set(e, ERR_INVALID,
                   "conflicting options: cannot specify both --%s and per-network %s", flag, what);
}

/* The flags without a network of their own belong to the first. */
static int attachment_flags(struct attachment *n, const struct flags *f, struct err *e) {
    if (n->aliases && flag_list(f, "network-alias"))
        return conflict("network-alias", "alias", e);
    if (n->ip && flag_changed(f, "ip"))
        return conflict("ip", "IPv4 address", e);
    if (n->ip6 && flag_changed(f, "ip6"))
        return conflict("ip6", "IPv6 address", e);
    if (n->mac && flag_changed(f, "mac-address"))
        return conflict("mac-address", "MAC address", e);
    strv_for_each (s, flag_list(f, "network-alias"))
        strv_add(&n->aliases, s);
    if (is_user_defined(n->target))
        strv_for_each (link, flag_list(f, "link"))
            strv_add(&n->links, link);
    strv_for_each (ip, flag_list(f, "link-local-ip"))
        strv_add(&n->link_local, ip);
    if (flag_changed(f, "ip"))
        str_set(&n->ip, flag_str(f, "ip"));
    if (flag_changed(f, "ip6"))
        str_set(&n->ip6, flag_str(f, "ip6"));
    if (flag_changed(f, "mac-address"))
        str_set(&n->mac, flag_str(f, "mac-address"));
    if (!*n->target)
        return err_set(e, ERR_INVALID, "no name set for network");
    if (n->aliases && !is_user_defined(n->target))
        return err_set(e, ERR_INVALID,
                       "network-scoped aliases are only supported for user-defined networks");
    return 0;
}

static bool attachment_is_plain(const struct attachment *n) {
    return !n->ip && !n->ip6 && !n->mac && !n->aliases && !n->links && !n->link_local &&
           !n->options && n->priority == 0;
}

static struct json_object *attachment_json(const struct attachment *n) {
    struct json_object *o = json_object_new_object(), *ipam = NULL;

    if (n->ip || n->ip6 || n->link_local) {
        ipam = json_object_new_object();
        if (n->ip)
            put_text(ipam, "IPv4Address", n->ip);
        if (n->ip6)
            put_text(ipam, "IPv6Address", n->ip6);
        if (n->link_local)
            json_object_object_add(ipam, "LinkLocalIPs", text_array(n->link_local));
    }
    json_object_object_add(o, "IPAMConfig", ipam);
    json_object_object_add(o, "Links", n->links ? text_array(n->links) : NULL);
    json_object_object_add(o, "Aliases", n->aliases ? text_array(n->aliases) : NULL);
    put_text(o, "MacAddress", str_or_empty(n->mac));
    json_object_object_add(o, "DriverOpts", NULL);
    strv_for_each (option, n->options) {
        if (json_object_object_get(o, "DriverOpts") == NULL)
            json_object_object_add(o, "DriverOpts", json_object_new_object());
        put_option(json_object_object_get(o, "DriverOpts"), option);
    }
    json_object_object_add(o, "GwPriority", json_object_new_int64(n->priority));
    put_text(o, "NetworkID", "");
    put_text(o, "EndpointID", "");
    put_text(o, "Gateway", "");
    put_text(o, "IPAddress", "");
    json_object_object_add(o, "IPPrefixLen", json_object_new_int(0));
    put_text(o, "IPv6Gateway", "");
    put_text(o, "GlobalIPv6Address", "");
    json_object_object_add(o, "GlobalIPv6PrefixLen", json_object_new_int(0));
    json_object_object_add(o, "DNSNames", NULL);
    return o;
}

int networks_parse(const struct flags *f, struct json_object *endpoints, char **ret_mode,
                   struct err *e) {
    char *const *specs = flag_list(f, "network");
    auto_strv standard = NULL;
    auto_free char *mode = NULL;
    bool user_defined = false, other = false;
    size_t count = strv_len(specs);
    const char *mac = flag_str(f, "mac-address");

    if (*mac && !is_mac(mac))
        return err_set(e, ERR_INVALID, "%s is not a valid mac address", mac);

    if (count == 0) {
        strv_add(&standard, "default");
        specs = standard;
    }
    for (size_t i = 0; specs[i]; i++) {
        __attribute__((cleanup(attachment_done))) struct attachment n = {0};
        int r = attachment_parse(specs[i], &n, e);

        if (r == 0 && i == 0)
            r = attachment_flags(&n, f, e);
        if (r == 0 && n.mac && !is_mac(n.mac))
            r = err_set(e, ERR_INVALID, "%s is not a valid mac address", n.mac);
        if (r < 0)
            return r;
        if (i == 0)
            mode = xstrdup(n.target);
        if (count > 0)
            *(is_user_defined(n.target) ? &user_defined : &other) = true;
        if (json_object_object_get(endpoints, n.target))
            return err_set(e, ERR_INVALID, "network \"%s\" is specified multiple times", n.target);
        /* A single network without options is left to the daemon. */
        if (count == 1 && attachment_is_plain(&n))
            continue;
        json_object_object_add(endpoints, n.target, attachment_json(&n));
    }
    if (user_defined && other)
        return err_set(e, ERR_INVALID,
                       "conflicting options: cannot attach both user-defined and non-user-defined "
                       "network-modes");
    *ret_mode = take_ptr(mode);
    return 0;
}
