/* SPDX-License-Identifier: Apache-2.0 */

/* A user's seccomp profile: read, resolved, compiled. Whatever compiles must be a whole program. */
#include <assert.h>
#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "runtime/seccomp.h"
#include "sys/caps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    auto_seccomp_program p = {0};
    auto_free char *oci = NULL;
    auto_free char *text = NULL;
    auto_err e = ERR_INIT;

    if (size == 0 || size > 65536)
        return 0;
    text = xstrndup((const char *)data, size);
    if (seccomp_profile_resolve(text, LCAP_DEFAULT, &oci, &e) < 0 || !oci)
        return 0;
    if (seccomp_compile(oci, SECCOMP_MKNOD_NOTIFY, &p, &e) == 0)
        assert(p.count > 0 && BPF_CLASS(p.insns[p.count - 1].code) == BPF_RET);
    return 0;
}
