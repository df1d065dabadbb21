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
    bool selinux;  /* enabled in the kernel, with a policy loaded */
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
/* What the policy has for containers: "system_u:system_r:container_t:s0" and
 * "system_u:object_r:container_file_t:s0". NULL, both: nothing. */
struct lsm_contexts {
    char *process, *file;
};
/* From the files of the policy in use, below `root` ("" but for tests). */
void lsm_contexts_read(const char *root, struct lsm_contexts *ret);
void lsm_contexts_done(struct lsm_contexts *c);
/* Does the policy in the kernel know this label? Nothing can be labelled with one that it does not
 * know. */
bool lsm_label_is_known(const char *label);

/* A pair of categories, for one container alone: "s0:c12,c345". The caller sees to it that no other
 * has it. */
#define LSM_LEVEL_MAX 24
void lsm_level_random(char out[static LSM_LEVEL_MAX]);
/* The level of a label ("" without one). */
const char *lsm_label_level(const char *label);
/*
 * The labels of a container with this level. opts: what follows label= or label:, "user:U",
 * "role:R", "type:T", "filetype:T", "level:L", "disable": no process label then, and a mount label
 * that no confined process can use. ERR_INVALID: "bad label option ...". NULL where the policy has
 * nothing for containers.
 */
int lsm_selinux_labels(const struct lsm_contexts *c, const char *level, char *const *opts,
                       char **ret_process, char **ret_mount, struct err *e);
/* The options that give another container the label; "label=user:U", ... *ret is the caller's. */
void lsm_label_options(const char *label, char ***ret);
/*
 * Labels a file, or a directory and what is below it (the directory last), found at an O_PATH
 * descriptor. shared: for all containers, without the pair of categories. No symlink is followed; a
 * file system without labels is left alone. ERR_INVALID for directories that the host needs as they
 * are: "SELinux relabeling of /usr is not allowed".
 */
int lsm_selinux_relabel(int fd, const char *label, bool shared, struct err *e);

/* ---- first process ------------------------------------------------------------------------- */
/*
 * The transitions happen at the next execve of the calling thread. proc_fd: an O_PATH descriptor of
 * a proc file system in which the caller can see itself (verified to be procfs). NULL or "" skips.
 * System calls only. The texts for users are "apparmor failed to apply profile" and "failed to set
 * process label", the caller's to add. -EOPNOTSUPP when the module is off in this kernel.
 */
int lsm_apparmor_exec(int proc_fd, const char *profile);
int lsm_selinux_exec(int proc_fd, const char *label);
/* The keyrings that the calling thread makes until its next execve. */
int lsm_selinux_keys(int proc_fd, const char *label);
