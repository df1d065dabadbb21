/* SPDX-License-Identifier: Apache-2.0 */

/* Docker's profiles, and their resolution into the OCI form. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_profile.h"
#include "sys/caps.h"

static const struct field arg_fields[] = {
    FIELD(struct seccomp_arg, "index", FIELD_UINT, index, 0),
    FIELD(struct seccomp_arg, "value", FIELD_UINT, value, 0),
    FIELD(struct seccomp_arg, "valueTwo", FIELD_UINT, value_two, FIELD_OMIT_EMPTY),
    FIELD(struct seccomp_arg, "op", FIELD_STR, op, 0),
    FIELD_END,
};
const struct field_table seccomp_arg_table = FIELD_TABLE(struct seccomp_arg, arg_fields);

static const struct field when_fields[] = {
    FIELD(struct seccomp_when, "caps", FIELD_STRV, caps, FIELD_OMIT_EMPTY),
    FIELD(struct seccomp_when, "arches", FIELD_STRV, arches, FIELD_OMIT_EMPTY),
    FIELD(struct seccomp_when, "minKernel", FIELD_STR, min_kernel, FIELD_OMIT_EMPTY),
    FIELD_END,
};
const struct field_table seccomp_when_table = FIELD_TABLE(struct seccomp_when, when_fields);

static const struct field rule_fields[] = {
    FIELD(struct seccomp_rule, "name", FIELD_STR, name, FIELD_OMIT_EMPTY),
    FIELD(struct seccomp_rule, "names", FIELD_STRV, names, FIELD_OMIT_EMPTY),
    FIELD(struct seccomp_rule, "action", FIELD_STR, action, 0),
    FIELD(struct seccomp_rule, "errnoRet", FIELD_UINT_NULL, errno_ret, FIELD_OMIT_EMPTY),
    FIELD_SUB(struct seccomp_rule, "args", FIELD_ARRAY, args, FIELD_OMIT_EMPTY, seccomp_arg_table),
    FIELD_SUB(struct seccomp_rule, "includes", FIELD_STRUCT_P, includes, FIELD_OMIT_EMPTY,
              seccomp_when_table),
    FIELD_SUB(struct seccomp_rule, "excludes", FIELD_STRUCT_P, excludes, FIELD_OMIT_EMPTY,
              seccomp_when_table),
    FIELD_END,
};
const struct field_table seccomp_rule_table = FIELD_TABLE(struct seccomp_rule, rule_fields);

static const struct field arch_map_fields[] = {
    FIELD(struct seccomp_arch_map, "architecture", FIELD_STR, arch, 0),
    FIELD(struct seccomp_arch_map, "subArchitectures", FIELD_STRV, sub, 0),
    FIELD_END,
};
const struct field_table seccomp_arch_map_table =
    FIELD_TABLE(struct seccomp_arch_map, arch_map_fields);

#define COMMON_FIELDS                                                                              \
    FIELD(struct seccomp_profile, "defaultAction", FIELD_STR, default_action, 0),                  \
        FIELD(struct seccomp_profile, "defaultErrnoRet", FIELD_UINT_NULL, default_errno_ret,       \
              FIELD_OMIT_EMPTY),                                                                   \
        FIELD(struct seccomp_profile, "architectures", FIELD_STRV, architectures,                  \
              FIELD_OMIT_EMPTY),                                                                   \
        FIELD(struct seccomp_profile, "flags", FIELD_STRV, flags, FIELD_OMIT_EMPTY),               \
        FIELD(struct seccomp_profile, "listenerPath", FIELD_STR, listener_path, FIELD_OMIT_EMPTY), \
        FIELD(struct seccomp_profile, "listenerMetadata", FIELD_STR, listener_metadata,            \
              FIELD_OMIT_EMPTY),                                                                   \
        FIELD_SUB(struct seccomp_profile, "syscalls", FIELD_ARRAY, rules, FIELD_OMIT_EMPTY,        \
                  seccomp_rule_table)

static const struct field profile_fields[] = {
    COMMON_FIELDS,
    FIELD_SUB(struct seccomp_profile, "archMap", FIELD_ARRAY, arch_map, FIELD_OMIT_EMPTY,
              seccomp_arch_map_table),
    FIELD_END,
};
const struct field_table seccomp_profile_table =
    FIELD_TABLE(struct seccomp_profile, profile_fields);

static const struct field oci_fields[] = {COMMON_FIELDS, FIELD_END};
const struct field_table seccomp_oci_table = FIELD_TABLE(struct seccomp_profile, oci_fields);

/* This machine in the profile's two spellings. */
#if defined(__x86_64__)
#define ARCH_GO   "amd64"
#define ARCH_SCMP "SCMP_ARCH_X86_64"
#elif defined(__aarch64__)
#define ARCH_GO   "arm64"
#define ARCH_SCMP "SCMP_ARCH_AARCH64"
#else
#error "an architecture without a seccomp profile"
#endif

static int profile_parse(const char *json, struct seccomp_profile *p, struct err *e) {
    int r = field_parse_text(&seccomp_profile_table, json, strlen(json), p, e);

    if (r < 0) {
        err_wrap(e, "Decoding seccomp profile failed");
        return r;
    }
    if (strv_len(p->architectures) > 0 && p->arch_map.count > 0)
        return err_set(e, ERR_INVALID,
                       "both 'architectures' and 'archMap' are specified in the seccomp profile, "
                       "use either 'architectures' or 'archMap'");
    for (size_t i = 0; i < p->rules.count; i++) {
        const struct seccomp_rule *rule = field_array_at(&p->rules, struct seccomp_rule, i);

        if (!str_empty(rule->name) && strv_len(rule->names) > 0)
            return err_set(e, ERR_INVALID,
                           "both 'name' and 'names' are specified in the seccomp profile, use "
                           "either 'name' or 'names'");
    }
    return 0;
}

int seccomp_profile_check(const char *json, struct err *e) {
    struct seccomp_profile p;
    int r;

    field_init(&seccomp_profile_table, &p);
    r = profile_parse(json, &p, e);
    field_done(&seccomp_profile_table, &p);
    return r;
}

/* Is this kernel at least `min` ("4.8")? -EINVAL for another form. */
static int kernel_at_least(const char *min, bool *ret) {
    unsigned want_major, want_minor, major, minor;
    struct utsname u;
    int end = 0;

    if (sscanf(min, "%u.%u%n", &want_major, &want_minor, &end) != 2 || min[end] != '\0')
        return -EINVAL;
    if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
        return -EINVAL;
    *ret = major > want_major || (major == want_major && minor >= want_minor);
    return 0;
}

static bool has_cap(const char *name, uint64_t caps) {
    unsigned nr;

    return lcap_parse(name, &nr) == 0 && (caps & LCAP_BIT(nr));
}

/* Does the rule count here? */
static int rule_counts(const struct seccomp_rule *rule, uint64_t caps, bool *ret, struct err *e) {
    const struct seccomp_when *in = rule->includes, *ex = rule->excludes;
    bool newer = false;

    *ret = false;
    if (ex) {
        if (strv_has(ex->arches, ARCH_GO))
            return 0;
        strv_for_each (cap, ex->caps)
            if (has_cap(cap, caps))
                return 0;
        if (!str_empty(ex->min_kernel)) {
            if (kernel_at_least(ex->min_kernel, &newer) < 0)
                return err_set(e, ERR_INVALID,
                               "Decoding seccomp profile failed: invalid kernel "
                               "version \"%s\"",
                               ex->min_kernel);
            if (newer)
                return 0;
        }
    }
    if (in) {
        if (strv_len(in->arches) > 0 && !strv_has(in->arches, ARCH_GO))
            return 0;
        strv_for_each (cap, in->caps)
            if (!has_cap(cap, caps))
                return 0;
        if (!str_empty(in->min_kernel)) {
            if (kernel_at_least(in->min_kernel, &newer) < 0)
                return err_set(e, ERR_INVALID,
                               "Decoding seccomp profile failed: invalid kernel "
                               "version \"%s\"",
                               in->min_kernel);
            if (!newer)
                return 0;
        }
    }
    *ret = true;
    return 0;
}

/* Moves the rules that count here into the OCI form. */
static int resolve_rules(struct seccomp_profile *p, uint64_t caps, struct err *e) {
    struct field_array kept = {0};
    struct seccomp_profile drop;
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->rules.count; i++) {
        const struct seccomp_rule *from = field_array_at(&p->rules, struct seccomp_rule, i);
        struct seccomp_rule *to;
        bool counts = false;

        r = rule_counts(from, caps, &counts, e);
        if (r < 0 || !counts)
            continue;
        to = field_array_add(&kept, &seccomp_rule_table);
        field_copy(&seccomp_rule_table, to, from);
        if (!str_empty(to->name))
            strv_add(&to->names, to->name);
        str_set(&to->name, NULL);
        if (to->includes)
            field_done(&seccomp_when_table, to->includes);
        if (to->excludes)
            field_done(&seccomp_when_table, to->excludes);
        free(take_ptr(to->includes));
        free(take_ptr(to->excludes));
    }
    /* The table frees what is dropped: the old rules, or the new ones after a failure. */
    field_init(&seccomp_profile_table, &drop);
    drop.rules = r == 0 ? p->rules : kept;
    if (r == 0)
        p->rules = kept;
    field_done(&seccomp_profile_table, &drop);
    return r;
}

int seccomp_profile_resolve(const char *profile, uint64_t caps, char **ret_json, struct err *e) {
    struct seccomp_profile p;
    int r = 0;

    if (str_eq(profile, "unconfined")) {
        *ret_json = NULL;
        return 0;
    }
    field_init(&seccomp_profile_table, &p);
    if (str_empty(profile) || strcmp(profile, "builtin") == 0)
        seccomp_default_profile(&p);
    else
        r = profile_parse(profile, &p, e);
    if (r == 0 && str_empty(p.default_action) && p.rules.count == 0) {
        /* Docker takes an empty object for no filter. */
        field_done(&seccomp_profile_table, &p);
        *ret_json = NULL;
        return 0;
    }
    for (size_t i = 0; r == 0 && i < p.arch_map.count; i++) {
        const struct seccomp_arch_map *m = field_array_at(&p.arch_map, struct seccomp_arch_map, i);

        if (!str_eq(m->arch, ARCH_SCMP))
            continue;
        strv_add(&p.architectures, m->arch);
        strv_for_each (sub, m->sub)
            strv_add(&p.architectures, sub);
        break;
    }
    if (r == 0)
        r = resolve_rules(&p, caps, e);
    if (r == 0)
        *ret_json = field_to_text(&seccomp_oci_table, &p);
    field_done(&seccomp_profile_table, &p);
    return r;
}
