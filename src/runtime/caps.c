/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/caps.h"

#include "oci/runtime_spec.h"

void caps_from_oci(const struct oci_capabilities *c, struct lcap_sets *ret) {
    struct lcap_sets s = {0};
    uint64_t known = lcap_kernel();

    if (c) {
        s.bounding = lcap_from_names(c->bounding, NULL) & known;
        s.permitted = lcap_from_names(c->permitted, NULL) & known;
        s.effective = lcap_from_names(c->effective, NULL) & s.permitted;
        s.inheritable = lcap_from_names(c->inheritable, NULL) & known;
        s.ambient = lcap_from_names(c->ambient, NULL) & s.permitted & s.inheritable;
    }
    *ret = s;
}
