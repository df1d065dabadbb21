/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Docker's rules about a container's configuration: what it takes from its image, what is valid,
 * and what will be executed.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/hostconfig.h"
#include "format/field.h"
#include "oci/container_config.h"

/* ---- NetworkingConfig ---------------------------------------------------------------------- */
struct endpoint_ipam {
    char *ipv4_address, *ipv6_address;
    char **link_local_ips;
};

/* What a client asks of one network; the rest is printed from the endpoint. */
struct endpoint_settings {
    struct endpoint_ipam *ipam_config;
    char **links, **aliases;
    char *network_id, *endpoint_id, *gateway, *ip_address;
    int64_t ip_prefix_len;
    char *ipv6_gateway, *global_ipv6_address;
    int64_t global_ipv6_prefix_len;
    char *mac_address;
    struct strmap driver_opts;
    char **dns_names;
    int64_t gw_priority;
};

struct networking_config {
    struct field_map endpoints; /* network name or id -> struct endpoint_settings */
};
extern const struct field_table networking_config_table;
extern const struct field_table endpoint_ipam_table;
/* As NetworkSettings.Networks.* of inspect prints it. */
extern const struct field_table endpoint_settings_table;

/* ---- configuration ------------------------------------------------------------------------- */
/* Takes from the image (may be NULL) what the user left open. */
void container_config_merge(struct container_config *c, const struct container_config *image);
/* What a start executes: Entrypoint and Cmd joined. ERR_INVALID "No command specified". *ret_args
 * does not repeat the path; both owned by the caller. */
int container_config_command(const struct container_config *c, char **ret_path, char ***ret_args,
                             struct err *e);
/* Docker's checks (ERR_INVALID): Env, WorkingDir, StopSignal, Healthcheck. Cleans WorkingDir. */
int container_config_validate(struct container_config *c, struct err *e);

/* ---- host configuration -------------------------------------------------------------------- */
struct host_facts {
    unsigned cpus;           /* that this process may use */
    const char *cpuset_cpus; /* usable ones: "0-1" */
    const char *cpuset_mems; /* "0" */
    bool cgroup_v2, cgroupns;
    /* What the kernel can limit: controllers that are mounted, files that exist. */
    bool memory, swap, swappiness, reservation, oom_kill_disable;
    bool cpu_shares, cpu_cfs, cpu_rt, cpuset, pids;
    bool blkio_weight, blkio_weight_device, blkio_throttle;
    const char *const *runtimes; /* beside the native one; ends with NULL; may be NULL */
};
/* Asks the kernel once a process; the strings live as long as it. `runtimes` is left NULL. */
void host_facts_detect(struct host_facts *ret);

/* What dockerd refuses before it looks at image or host: modes that exclude other options,
 * as the client (not the image) gave them. */
int host_config_validate_modes(const struct host_config *h, const struct container_config *c,
                               struct err *e);
/*
 * Docker's checks and adaptations, in its words: limits against each other and against the host,
 * modes, restart policy, ulimits, capabilities, security options, devices, log options. What
 * the kernel cannot do is dropped with a line in *warnings (appended to). ERR_INVALID.
 */
int host_config_validate(struct host_config *h, const struct container_config *c,
                         const struct host_facts *facts, char ***warnings, struct err *e);
/* The same for the resources alone: POST /containers/{id}/update. `running`: Docker refuses some
 * changes then. */
int host_resources_validate(struct host_config *h, const struct host_facts *facts, bool update,
                            char ***warnings, struct err *e);
/* The part that a daemon's defaults can get wrong: log options, ulimits, DNS. */
int host_defaults_validate(const struct host_config *h, struct err *e);
int restart_policy_validate(const struct restart_policy *p, struct err *e);

/* "02:42:ac:11:00:02", or with dashes. */
bool mac_is_valid(const char *mac);
/* "SIGTERM", "term", "15", "RTMIN+3" -> number. -EINVAL. */
int signal_parse(const char *s);
/* "99": a number, whether or not there is such a signal. Docker has words of its own for those. */
bool signal_is_number(const char *s);
/* "0-3,5" -> ascending bits; -EINVAL for the format, -ERANGE when a number passes 8191. */
#define CPUSET_MAX 8192
struct cpuset {
    uint64_t bits[CPUSET_MAX / 64];
};
int cpuset_parse(const char *s, struct cpuset *ret);
bool cpuset_contains(const struct cpuset *all, const struct cpuset *some);
