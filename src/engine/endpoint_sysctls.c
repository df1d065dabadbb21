/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/endpoint_sysctls.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define OPTION "com.docker.network.endpoint.sysctls"

/* net.X.Y.IFNAME.Z=V; docker's client turns IFNAME into small letters. */
static bool is_of_interface(const char *setting) {
    const char *eq = strchr(setting, '=');
    auto_strv part = str_split(setting, '.');

    return eq && strv_len(part) >= 5 && str_eq(part[0], "net") &&
           (str_eq(part[1], "ipv4") || str_eq(part[1], "ipv6") || str_eq(part[1], "mpls")) &&
           str_case_eq(part[3], "ifname") && !strchr(setting, '/');
}

int endpoint_sysctls_check(const struct strmap *driver_opts, struct err *e) {
    const char *text = strmap_get(driver_opts, OPTION);
    auto_strv settings = str_empty(text) ? NULL : str_split(text, ',');

    strv_for_each (s, settings)
        if (!is_of_interface(s))
            return err_set(
                e, ERR_INVALID,
                "unrecognised network interface sysctl '%s'; represent 'net.X.Y.ethN.Z=V' "
                "as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'",
                s);
    return 0;
}

void endpoint_sysctls_take(const struct strmap *driver_opts, struct strmap *ret) {
    const char *text = strmap_get(driver_opts, OPTION);
    auto_strv settings = str_empty(text) ? NULL : str_split(text, ',');

    strv_for_each (s, settings) {
        auto_free char *name = xstrndup(s, strcspn(s, "="));

        if (is_of_interface(s))
            strmap_put(ret, name, strchr(s, '=') + 1);
    }
}
