/* SPDX-License-Identifier: Apache-2.0 */

/* /proc/self/mountinfo, whose mount points and options others choose; and lists of CPUs. */
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "runtime/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    auto_free char *text = NULL;
    struct cgroupfs_host h;
    bool within = false;

    if (size > 65536)
        return 0;
    text = xstrndup((const char *)data, size);
    if (cgroupfs_detect_from(text, false, &h) == 0)
        cgroupfs_host_done(&h);
    (void)cgroup_cpulist_within(text, "0-7", &within);
    (void)cgroup_path_is_valid(text);
    return 0;
}
