/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Profiles in memory; shared by the files of runtime/seccomp*.c. Owned through the field tables. */
#include "format/field.h"

/* A condition on one argument of a call. */
struct seccomp_arg {
    uint64_t index, value, value_two;
    char *op; /* "SCMP_CMP_EQ" */
};

/* When a rule counts at all; Docker's extension, resolved away in the OCI form. */
struct seccomp_when {
    char **caps, **arches;
    char *min_kernel; /* "4.8" */
};

struct seccomp_rule {
    char *name; /* one name, the old form */
    char **names;
    char *action; /* "SCMP_ACT_ALLOW" */
    struct opt_uint errno_ret;
    struct field_array args; /* struct seccomp_arg */
    struct seccomp_when *includes, *excludes;
};

struct seccomp_arch_map {
    char *arch;
    char **sub;
};

struct seccomp_profile {
    char *default_action;
    struct opt_uint default_errno_ret;
    struct field_array arch_map; /* struct seccomp_arch_map */
    char **architectures, **flags;
    char *listener_path, *listener_metadata;
    struct field_array rules; /* struct seccomp_rule */
};

extern const struct field_table seccomp_profile_table; /* Docker's form, reads OCI's as well */
extern const struct field_table seccomp_oci_table;     /* OCI's form, for writing */
extern const struct field_table seccomp_rule_table;
extern const struct field_table seccomp_arg_table;
extern const struct field_table seccomp_when_table;
extern const struct field_table seccomp_arch_map_table;

/* Fills an initialised profile with the built-in default. */
void seccomp_default_profile(struct seccomp_profile *p);

/* System calls younger than the oldest libseccomp we build with. Since Linux 5.1 all architectures
 * share the numbers of new calls. -1 for a name that is not in the list. */
int seccomp_new_syscall(const char *name);
