/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Linux security modules: AppArmor profiles and SELinux labels of a container's processes.
 */
#include <stdbool.h>

#include "base/err.h"

#define LSM_APPARMOR_DEFAULT "docker-default"

struct lsm_host {
    bool apparmor; /* enabled in the kernel and its securityfs can be read */
    bool selinux;  /* selinuxfs is mounted */
};

/* Reads /sys; never fails: what is not there is off. */
void lsm_detect(struct lsm_host *ret);

/* ---- AppArmor ------------------------------------------------------------------------------ */
/* Is a profile of that name loaded? false when AppArmor is off. */
bool lsm_apparmor_is_loaded(const char *profile);
/* Daemon start: loads docker-default through apparmor_parser if AppArmor is on and it is not loaded
 * yet. Waits for the program (it is started by posix_spawn; tens of milliseconds). 0 without effect
 * when AppArmor is off. `tmp_dir` gets a temporary file. */
int lsm_apparmor_load_default(const struct lsm_host *h, const char *tmp_dir, struct err *e);
/* The text of the profile, for the loader and for tests; the caller's. */
char *lsm_apparmor_default_text(const char *name, const char *daemon_profile)
    __attribute__((returns_nonnull));
/*
 * The profile a container gets: `asked` is the value of --security-opt apparmor=, or NULL. *ret is
 * NULL for no transition. ERR_INVALID in Docker's words when a profile was asked for explicitly and
 * cannot be had.
 */
int lsm_apparmor_choose(const struct lsm_host *h, const char *asked, bool privileged, char **ret,
                        struct err *e);

/* ---- SELinux ------------------------------------------------------------------------------- */
/*
 * "user:U", "role:R", "type:T", "level:L", "disable" (what follows label= or label:) into a process
 * label on top of `base` ("system_u:system_r:container_t:s0"). ERR_INVALID: "bad label option ...".
 * *ret is NULL when labels are disabled or SELinux is off (Docker then ignores them as well).
 */
int lsm_selinux_label(const struct lsm_host *h, char *const *opts, const char *base, char **ret,
                      struct err *e);

/* ---- first process ------------------------------------------------------------------------- */
/*
 * The transitions happen at the next execve of the calling thread. proc_fd: an O_PATH descriptor of
 * a proc file system in which the caller can see itself (verified to be procfs). NULL or "" skips.
 * System calls only. The texts for users are "apparmor failed to apply profile" and "failed to set
 * process label", the caller's to add. -EOPNOTSUPP when the module is off in this kernel.
 */
int lsm_apparmor_exec(int proc_fd, const char *profile);
int lsm_selinux_exec(int proc_fd, const char *label);
