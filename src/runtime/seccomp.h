/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * System call filters.
 *
 * Three forms, each made from the one before:
 *   profile   Docker's JSON (includes, excludes, archMap) or the built-in default
 *   OCI       the linux.seccomp object of a runtime configuration, resolved for a set of
 *             capabilities, this machine and this kernel
 *   program   BPF instructions for seccomp(2)
 *
 * Compiling takes milliseconds, so programs are kept as files in a directory, named by the digest
 * of all that went in. linux.seccomp of a request to the native runtime is then only a reference,
 * {"fenceProgram":"<path>"}; a full OCI object is accepted as well and compiled on the spot.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sock_filter; /* linux/filter.h */

/* ---- profile -> OCI ------------------------------------------------------------------------ */

/* Is the text of --security-opt seccomp=... a profile at all? Docker's words: "Decoding seccomp
 * profile failed: ...". */
int seccomp_profile_check(const char *json, struct err *e);
/* profile NULL, "" or "builtin": the built-in default; "unconfined" or {}: *ret_json is NULL. caps:
 * the bounding set. The text is the caller's. */
int seccomp_profile_resolve(const char *profile, uint64_t caps, char **ret_json, struct err *e);
/* Names of the built-in profile that are allowed for these capabilities; for tests and docs. */
bool seccomp_default_allows(const char *syscall, uint64_t caps);

/* ---- OCI -> program ------------------------------------------------------------------------ */

#define SECCOMP_PROGRAM_MAX 4096 /* BPF_MAXINSNS */

struct seccomp_program {
    struct sock_filter *insns; /* owned; NULL: no filter at all */
    uint16_t count;
    uint32_t flags; /* SECCOMP_FILTER_FLAG_* that the profile asks for */
    bool notify;    /* some rule gives USER_NOTIF: install with a listener */
};
void seccomp_program_done(struct seccomp_program *p);
#define auto_seccomp_program __attribute__((cleanup(seccomp_program_done))) struct seccomp_program

enum seccomp_compile_flags {
    /* mknod and mknodat of device nodes, where the profile allows them, ask a listener
     * (runtime/mknod.h). Ignored (no error) when the profile has notify rules of its own. */
    SECCOMP_MKNOD_NOTIFY = 1,
};
/* oci_json NULL: nothing is filtered but what the flags ask. */
int seccomp_compile(const char *oci_json, unsigned flags, struct seccomp_program *ret,
                    struct err *e);

/* ---- cache --------------------------------------------------------------------------------- */

/* Resolves and compiles unless the file is there already; *ret_json is the reference to put into
 * linux.seccomp, or NULL when nothing is to be filtered. Thread safe: files are replaced by rename.
 * A hit costs a hash of the profile's text and one access(). */
int seccomp_cache_reference(const char *dir, const char *profile, uint64_t caps, unsigned flags,
                            char **ret_json, struct err *e);
/* What the set-up process calls with linux.seccomp: reads the referenced program, or compiles an
 * OCI object (with `flags`; a reference has its own). NULL or "" gives the empty program. */
int seccomp_program_load(const char *json, unsigned flags, struct seccomp_program *ret,
                         struct err *e);

/* ---- first process ------------------------------------------------------------------------- */

/*
 * System calls only. Needs no_new_privs or CAP_SYS_ADMIN in the caller's user namespace: without
 * no_new_privs call it before capabilities are dropped, with it last before exec.
 * *ret_listener (may be NULL when !p->notify) gets the listener, or -1 without notify; it is
 * close-on-exec. 0 without effect for the empty program.
 */
int seccomp_install(const struct seccomp_program *p, int *ret_listener);
