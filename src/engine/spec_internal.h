/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between spec.c and its parts; nobody else includes this. */
#include "engine/spec.h"

/* mounts, rootfsPropagation, masked and read-only paths. */
int spec_mounts(const struct host_config *h, const struct spec_facts *f, struct oci_spec *ret,
                struct err *e);
/* linux.devices and the rules of linux.resources.devices. */
int spec_devices(const struct host_config *h, struct oci_spec *ret, struct err *e);
