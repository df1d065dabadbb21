/* SPDX-License-Identifier: Apache-2.0 */

/* The options of a tmpfs, from HostConfig.Tmpfs (text) and HostConfig.Mounts (members). */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "engine/mounts_internal.h"

/* Options of the same group exclude each other: the last one counts. */
static const struct {
    const char *name;
    int group;
} tmpfs_flags[] = {
    {"ro", 1},        {"rw", 1},          {"suid", 2},         {"nosuid", 2},
    {"dev", 3},       {"nodev", 3},       {"exec", 4},         {"noexec", 4},
    {"sync", 5},      {"async", 5},       {"dirsync", 6},      {"remount", 7},
    {"mand", 8},      {"nomand", 8},      {"atime", 9},        {"noatime", 9},
    {"diratime", 10}, {"nodiratime", 10}, {"bind", 11},        {"rbind", 12},
    {"relatime", 13}, {"norelatime", 13}, {"strictatime", 14}, {"nostrictatime", 14},
    {"private", -1},  {"rprivate", -1},   {"shared", -1},      {"rshared", -1},
    {"slave", -1},    {"rslave", -1},     {"unbindable", -1},  {"runbindable", -1},
};
static const char *const tmpfs_data[] = {"size",      "mode",      "uid", "gid",
                                         "nr_inodes", "nr_blocks", "mpol"};

/* Length of the option's key, *ret_group its group (0: key=value). 0: not an option of tmpfs. */
static size_t tmpfs_option_key(const char *opt, int *ret_group) {
    size_t key = strcspn(opt, "=");

    for (size_t i = 0; i < sizeof(tmpfs_flags) / sizeof(tmpfs_flags[0]); i++) {
        if (str_eq(opt, tmpfs_flags[i].name)) {
            *ret_group = tmpfs_flags[i].group;
            return key;
        }
    }
    for (size_t i = 0; opt[key] && i < sizeof(tmpfs_data) / sizeof(tmpfs_data[0]); i++) {
        if (strlen(tmpfs_data[i]) == key && memcmp(opt, tmpfs_data[i], key) == 0) {
            *ret_group = 0;
            return key;
        }
    }
    return 0;
}

int mount_tmpfs_merge(const char *given, char **ret, struct err *e) {
    auto_free char *all = xasprintf("noexec,nosuid,nodev,rprivate%s%s", *given ? "," : "", given);
    auto_strv opts = str_split(all, ',');
    auto_strv kept = NULL;

    for (size_t i = 0; opts && opts[i]; i++) {
        bool replaced = false;
        int group = 0;
        size_t key;

        if (str_eq(opts[i], "defaults") || !*opts[i]) {
            continue;
        }
        key = tmpfs_option_key(opts[i], &group);
        if (key == 0) {
            return err_set(e, ERR_INVALID, "invalid tmpfs option [\"%s\"]", opts[i]);
        }
        for (size_t k = i + 1; opts[k] && !replaced; k++) {
            int other_group = 0;
            size_t other = tmpfs_option_key(opts[k], &other_group);

            replaced = other && other_group == group &&
                       (group != 0 || (other == key && memcmp(opts[k], opts[i], key) == 0));
        }
        if (!replaced) {
            strv_add(&kept, opts[i]);
        }
    }
    *ret = strv_join(kept, ",");
    return 0;
}

/* TmpfsOptions.Options: [["uid","5"],["exec"]]. */
static int tmpfs_extra_options(const char *json, struct buf *out, struct err *e) {
    auto_json *doc = NULL;
    int r = jsn_parse(json, strlen(json), &doc, e);

    if (r < 0) {
        return r;
    }
    if (!doc) {
        return 0; /* null */
    }
    if (!json_object_is_type(doc, json_type_array)) {
        return err_set(e, ERR_INVALID, "invalid option array format in TmpfsOptions");
    }
    for (size_t i = 0; i < json_object_array_length(doc); i++) {
        struct json_object *pair = json_object_array_get_idx(doc, i);
        size_t n = json_object_is_type(pair, json_type_array) ? json_object_array_length(pair) : 0;

        if (n < 1 || n > 2) {
            return err_set(e, ERR_INVALID, "invalid option array length");
        }
        for (size_t k = 0; k < n; k++) {
            struct json_object *part = json_object_array_get_idx(pair, k);

            if (!json_object_is_type(part, json_type_string) ||
                strchr(json_object_get_string(part), ',')) {
                return err_set(e, ERR_INVALID, "invalid option in TmpfsOptions");
            }
            buf_putc(out, k ? '=' : ',');
            buf_puts(out, json_object_get_string(part));
        }
    }
    return 0;
}

int mount_tmpfs_resolve(const struct mount_spec *m, char **ret, struct err *e) {
    static const struct {
        char suffix;
        int64_t divisor;
    } units[] = {{'g', 1 << 30}, {'m', 1 << 20}, {'k', 1 << 10}};
    const struct mount_tmpfs_options *o = m->tmpfs_options;
    auto_buf text = {.max = 4096};
    const char *given;

    if (m->read_only) {
        buf_puts(&text, ",ro");
    }
    if (o && (o->mode < 0 || o->mode > 07777)) {
        return err_set(e, ERR_INVALID, "invalid tmpfs mode: %" PRId64, o->mode);
    }
    if (o && o->mode) {
        buf_printf(&text, ",mode=%o", (unsigned)o->mode);
    }
    if (o && o->size_bytes < 0) {
        return err_set(e, ERR_INVALID, "invalid tmpfs size: %" PRId64, o->size_bytes);
    }
    if (o && o->size_bytes) {
        int64_t size = o->size_bytes;
        char suffix[2] = "";

        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            if (size % units[i].divisor == 0) {
                size /= units[i].divisor;
                suffix[0] = units[i].suffix;
                break;
            }
        }
        buf_printf(&text, ",size=%" PRId64 "%s", size, suffix);
    }
    if (o && o->options) {
        int r = tmpfs_extra_options(o->options, &text, e);

        if (r < 0) {
            return r;
        }
    }
    if (text.failed) {
        return err_set(e, ERR_INVALID, "tmpfs options are too long");
    }
    given = buf_str(&text);
    return mount_tmpfs_merge(*given ? given + 1 : given, ret, e);
}
