/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The device program of cgroup v2. */
#include <stddef.h>

#include "base/err.h"
#include "format/field.h"

struct bpf_insn; /* linux/bpf.h */

/* rules: struct oci_device_rule. *ret is freed by the caller. ERR_INVALID for a malformed rule. */
int cgroup_devices_bpf(const struct field_array *rules, struct bpf_insn **ret, size_t *ret_count,
                       struct err *e);
/* Loads it and attaches it to the group (beside others that are there). -errno. */
int cgroup_devices_bpf_attach(int cgroup_fd, const struct bpf_insn *insns, size_t count);
