/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/rlimits.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>

#include "base/str.h"
#include "oci/runtime_spec.h"
#include "sys/caps.h"

static const struct {
    const char *name;
    int resource;
} names[] = {
    {"AS", RLIMIT_AS},           {"CORE", RLIMIT_CORE},         {"CPU", RLIMIT_CPU},
    {"DATA", RLIMIT_DATA},       {"FSIZE", RLIMIT_FSIZE},       {"LOCKS", RLIMIT_LOCKS},
    {"MEMLOCK", RLIMIT_MEMLOCK}, {"MSGQUEUE", RLIMIT_MSGQUEUE}, {"NICE", RLIMIT_NICE},
    {"NOFILE", RLIMIT_NOFILE},   {"NPROC", RLIMIT_NPROC},       {"RSS", RLIMIT_RSS},
    {"RTPRIO", RLIMIT_RTPRIO},   {"RTTIME", RLIMIT_RTTIME},     {"SIGPENDING", RLIMIT_SIGPENDING},
    {"STACK", RLIMIT_STACK},
};

int rlimit_parse(const char *name, int *ret) {
    const char *bare = name ? str_after(name, "RLIMIT_") : NULL;
    for (size_t i = 0; bare && i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq(bare, names[i].name)) {
            *ret = names[i].resource;
            return 0;
        }
    }
    return -EINVAL;
}

int rlimits_raise(pid_t pid, const struct field_array *limits, struct err *e) {
    for (size_t i = 0; i < limits->count; i++) {
        const struct oci_rlimit *want = field_array_at(limits, struct oci_rlimit, i);
        int resource;
        struct rlimit have;
        if (rlimit_parse(want->type, &resource) < 0 ||
            prlimit(pid, (__rlimit_resource_t)resource, NULL, &have) < 0 ||
            want->hard <= have.rlim_max)
            continue;
        have.rlim_max = want->hard;
        if (prlimit(pid, (__rlimit_resource_t)resource, &have, NULL) < 0 &&
            lcap_held() & LCAP_BIT(CAP_SYS_RESOURCE))
            return err_sys(e, errno,
                           "error setting rlimits for ready process: error setting "
                           "rlimit type %d",
                           resource);
    }
    return 0;
}

int rlimits_lower(const struct field_array *limits, struct err *e) {
    for (size_t i = 0; i < limits->count; i++) {
        const struct oci_rlimit *want = field_array_at(limits, struct oci_rlimit, i);
        int resource;
        if (rlimit_parse(want->type, &resource) < 0)
            return err_set(e, ERR_INVALID, "invalid rlimit type: %s", str_or_empty(want->type));
        struct rlimit have, set = {.rlim_cur = want->soft, .rlim_max = want->hard};
        if (getrlimit((__rlimit_resource_t)resource, &have) < 0)
            return err_sys(e, errno, "error getting rlimit %s", want->type);
        if (set.rlim_max > have.rlim_max)
            set.rlim_max = have.rlim_max;
        if (set.rlim_cur > set.rlim_max)
            set.rlim_cur = set.rlim_max;
        if (setrlimit((__rlimit_resource_t)resource, &set) < 0)
            return err_sys(e, errno, "error setting rlimit type %d", resource);
    }
    return 0;
}
