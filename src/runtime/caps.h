/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Capabilities of an OCI process as masks for sys/caps.h. */
#include "sys/caps.h"

struct oci_capabilities; /* oci/runtime_spec.h */

/* NULL (the object is absent) means none. Names that this kernel or we do not know are left out,
 * as runc does; the sets are made consistent (effective within permitted, ambient within both). */
void caps_from_oci(const struct oci_capabilities *c, struct lcap_sets *ret);
