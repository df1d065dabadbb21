/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_limits.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/rlimits.h"
#include "sys/caps.h"

static bool may_raise(void) {
    return lcap_held() & LCAP_BIT(CAP_SYS_RESOURCE);
}

/* The hard limit that this process has where it is below `hard`; false: it is not. hard: -1 is no
 * limit. */
static bool is_clipped(const char *name, int64_t hard, uint64_t *ret_have) {
    auto_free char *type = xasprintf("RLIMIT_%s", name);
    struct rlimit have;
    int resource;

    for (char *c = type; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    if (rlimit_parse(type, &resource) < 0 || getrlimit((__rlimit_resource_t)resource, &have) < 0 ||
        (uint64_t)hard <= have.rlim_max)
        return false;
    *ret_have = have.rlim_max;
    return true;
}

static void warn_oom_score(int64_t wanted, char ***warnings) {
    auto_buf text = {.max = 64};
    int64_t own;

    if (io_read_file_at(AT_FDCWD, "/proc/self/oom_score_adj", &text) < 0)
        return;
    text.data[strcspn(buf_str(&text), "\n")] = '\0';
    if (str_to_i64(buf_str(&text), &own) < 0 || wanted >= own)
        return;
    strv_take(warnings, xasprintf("The host does not let the daemon lower OOM scores: the "
                                  "container gets %" PRId64 " instead of %" PRId64,
                                  own, wanted));
}

void host_limits_warn(const struct host_config *h, char ***warnings) {
    if (may_raise())
        return;
    for (size_t i = 0; i < h->ulimits.count; i++) {
        const struct ulimit *u = field_array_at(&h->ulimits, struct ulimit, i);
        uint64_t have;

        if (!is_clipped(str_or_empty(u->name), u->hard, &have))
            continue;
        auto_free char *wanted =
            u->hard < 0 ? xstrdup("unlimited") : xasprintf("%" PRId64, u->hard);

        strv_take(warnings, xasprintf("The host does not let the daemon raise hard limits: ulimit "
                                      "%s is %" PRIu64 " in the container instead of %s",
                                      u->name, have, wanted));
    }
    if (h->oom_score_adj != 0)
        warn_oom_score(h->oom_score_adj, warnings);
}

void host_limits_log_defaults(const struct strmap *ulimits) {
    if (may_raise())
        return;
    strmap_for_each(u, ulimits) {
        const char *colon = strchr(u->value, ':');
        int64_t hard;
        uint64_t have;

        if (str_to_i64(colon ? colon + 1 : u->value, &hard) < 0 || !is_clipped(u->key, hard, &have))
            continue;
        auto_free char *limit = xasprintf("%" PRIu64, have);

        log_warn("the host does not let the daemon raise hard limits: containers get less than "
                 "the default",
                 "ulimit", u->key, "default", u->value, "limit", limit);
    }
}
