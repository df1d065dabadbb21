/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Configuration and facts -> the OCI runtime configuration, with Docker's defaults. What the
 * engine cannot know before the image is mounted (numeric user, HOME, supplementary groups) is left
 * to the runtime's request (runtime/request.h).
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/hostconfig.h"
#include "engine/mounts_plan.h"
#include "oci/container_config.h"
#include "oci/runtime_spec.h"

/* All borrowed. */
struct spec_facts {
    const char *id;
    const char *path; /* program, and its arguments */
    char *const *args;
    const char *rootfs;       /* root.path */
    const char *cgroups_path; /* "/docker/<id>" */
    const char *cgroup_root;  /* NULL unless the container's cgroup files are elsewhere */

    /* User namespace: a range of ids on the host, or size 0 for the host's. */
    uint32_t idmap_base, idmap_size;
    /* Ids above the range, sorted, each once: they take the places of some that nobody uses. */
    const uint32_t *extra_ids;
    size_t extra_id_count;

    /* Files bound over /etc; NULL: left out. */
    const char *resolv_conf, *hostname_file, *hosts_file;
    const struct field_array *mounts; /* struct mount_point, sources filled in; may be NULL */

    /* Namespaces to join, "/proc/<pid>/ns/net" or NULL; used where the mode says container:. */
    const char *join_net, *join_ipc, *join_pid, *join_user;
    const char *host_shm;  /* "/dev/shm" for ipc host, the other container's for container: */
    char *const *link_env; /* variables of links, below the container's own */
    const char *net_path;  /* a network namespace made beforehand, or NULL: a new one */

    const char *init_path;        /* bound to /sbin/docker-init when Init is on; NULL: the runtime
                                     does it */
    const char *host_name;        /* of the machine, for UTS and network host modes */
    uint64_t capabilities_held;   /* by the daemon: sets are clipped to it */
    const char *seccomp;          /* linux.seccomp as JSON text, NULL: unconfined */
    const char *apparmor_profile; /* chosen, or NULL */
    const char *selinux_label, *mount_label; /* or NULL */
    const struct strmap *default_ulimits; /* of the daemon: "nofile" -> "1024:4096"; may be NULL */
    bool no_new_privileges;               /* the daemon's default */
    bool cgroup_v2;
};

/* The range has no ids to spare. Extra ones take the places from SPEC_EXTRA_FIRST on, which
 * distributions do not give out; nobody's (65534) stays. More than SPEC_EXTRA_MAX are left out: the
 * kernel takes 340 lines. */
#define SPEC_EXTRA_FIRST 65000u
#define SPEC_EXTRA_MAX   256u
/* The id map of a user namespace as entries of `ret` (struct oci_id_map). */
void spec_id_map(const struct spec_facts *f, struct field_array *ret);
/* The ids above `size` that a "user[:group]" and groups name by number: sorted, each once. The
 * caller frees *ret. */
void spec_extra_ids(const char *user, char *const *groups, uint32_t size, uint32_t **ret,
                    size_t *ret_n);
/* *ret must be field_init'ed (oci_spec_table) and is owned by the caller in any case. ERR_INVALID
 * for devices that are not there, host paths, ids of devices. */
int spec_build(const struct container_config *c, const struct host_config *h,
               const struct spec_facts *f, struct oci_spec *ret, struct err *e);

/* ---- parts, also used for exec and update -------------------------------------------------- */
/* linux.resources. *ret must be initialised (oci_resources_table). */
int spec_resources(const struct host_config *h, struct oci_resources *ret, struct err *e);
/* The environment of the first process: PATH, HOSTNAME, TERM with a tty, then Env, which wins.
 * Owned by the caller. */
char **spec_environment(char *const *env, const char *hostname, bool tty);
/* The capability sets for these options; NULL-terminated names. ERR_INVALID. */
int spec_capabilities(const struct host_config *h, uint64_t held, struct oci_capabilities *ret,
                      struct err *e);
/* A default ulimit of the daemon: "1024" or "1024:4096", -1 for unlimited. -EINVAL. */
int default_ulimit_parse(const char *text, int64_t *ret_soft, int64_t *ret_hard);
/* The limits of resources: the daemon's (may be NULL), then the container's own, which win. */
int spec_rlimits(const struct host_config *h, const struct strmap *default_ulimits,
                 struct oci_process *p, struct err *e);
/* Bounding set as a mask, for resolving a seccomp profile. */
int spec_capability_mask(const struct host_config *h, uint64_t held, uint64_t *ret, struct err *e);
