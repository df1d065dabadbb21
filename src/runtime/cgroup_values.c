/* SPDX-License-Identifier: Apache-2.0 */

/* Conversions and checks that touch no file. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/cgroup.h"

#define CPU_SHARES_MIN 2u
#define CPU_SHARES_MAX 262144u
#define CPULIST_MAX    8192 /* CPUs and memory nodes a list may name: the kernel's NR_CPUS limit */

uint64_t cgroup_cpu_shares_clamp(uint64_t shares) {
    if (shares == 0)
        return 0;
    if (shares < CPU_SHARES_MIN)
        return CPU_SHARES_MIN;
    return shares > CPU_SHARES_MAX ? CPU_SHARES_MAX : shares;
}

uint64_t cgroup_cpu_weight(uint64_t shares) {
    if (shares == 0)
        return 0;
    return 1 + (cgroup_cpu_shares_clamp(shares) - 2) * 9999 / 262142;
}

uint64_t cgroup_io_weight(uint64_t weight) {
    if (weight == 0)
        return 0;
    if (weight < 10)
        weight = 10;
    if (weight > 1000)
        weight = 1000;
    return 1 + (weight - 10) * 9999 / 990;
}

/* "0-2,5": sets bits. An empty list is valid. */
static int cpulist_parse(const char *list, uint8_t *bits) {
    auto_strv parts = str_split(list, ',');

    strv_for_each (part, parts) {
        char *dash = strchr(part, '-');
        uint64_t from, to;

        if (dash)
            *dash = '\0';
        if (str_to_u64(part, &from) < 0)
            return -EINVAL;
        to = from;
        if (dash && str_to_u64(dash + 1, &to) < 0)
            return -EINVAL;
        if (to < from || to >= CPULIST_MAX)
            return -EINVAL;
        for (uint64_t i = from; i <= to; i++)
            bits[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    return 0;
}

int cgroup_cpulist_within(const char *want, const char *have, bool *ret) {
    uint8_t w[CPULIST_MAX / 8] = {0}, h[CPULIST_MAX / 8] = {0};
    bool within = true;

    if (cpulist_parse(want, w) < 0 || cpulist_parse(have, h) < 0)
        return -EINVAL;
    for (size_t i = 0; i < sizeof w; i++)
        within = within && (w[i] & ~h[i]) == 0;
    *ret = within;
    return 0;
}

bool cgroup_path_is_valid(const char *path) {
    size_t n = path ? strlen(path) : 0;

    if (n < 2 || n > CGROUP_PATH_MAX || path[0] != '/' || path[n - 1] == '/')
        return false;
    for (const char *p = path; p; p = strchr(p + 1, '/')) {
        const char *end = strchrnul(p + 1, '/');
        size_t len = (size_t)(end - p - 1);

        if (len == 0 || len > 255 || (len == 1 && p[1] == '.') ||
            (len == 2 && p[1] == '.' && p[2] == '.'))
            return false;
    }
    return strpbrk(path, "\n\t\r") == NULL;
}
