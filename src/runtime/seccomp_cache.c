/* SPDX-License-Identifier: Apache-2.0 */

/* The engine's side: compiled programs as files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/str.h"
#include "format/digest.h"
#include "format/json.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_file.h"

/* All that decides what a program looks like. */
static void cache_key(const char *profile, uint64_t caps, unsigned flags,
                      char out[static DIGEST_SIZE]) {
    const struct scmp_version *lib = seccomp_version();
    auto_buf key = {.max = JSON_SIZE_MAX + 4096};
    struct utsname u = {0};

    (void)uname(&u); /* fails for a bad pointer only */
    (void)buf_printf(&key, "%s %u %s %s %u.%u.%u %" PRIx64 " %x ", FENCE_VERSION,
                     SECCOMP_FILE_VERSION, u.machine, u.release, lib ? lib->major : 0,
                     lib ? lib->minor : 0, lib ? lib->micro : 0, caps, flags);
    (void)buf_puts(&key, str_empty(profile) ? "builtin" : profile);
    digest_of(buf_str(&key), key.len, out);
}

static int fill(const char *path, const char *profile, uint64_t caps, unsigned flags,
                struct err *e) {
    auto_seccomp_program p = {0};
    auto_free char *oci = NULL;
    auto_buf file = BUF_INIT;
    struct seccomp_file_head head;
    int r;

    r = seccomp_profile_resolve(profile, caps, &oci, e);
    if (r == 0)
        r = seccomp_compile(oci, flags, &p, e);
    if (r < 0)
        return r;
    head = (struct seccomp_file_head){.magic = SECCOMP_FILE_MAGIC,
                                      .version = SECCOMP_FILE_VERSION,
                                      .flags = p.flags,
                                      .notify = p.notify,
                                      .count = p.count};
    (void)buf_append(&file, &head, sizeof head);
    (void)buf_append(&file, p.insns, p.count * sizeof *p.insns);
    r = file.failed ? -ENOMEM : io_replace_file_at(AT_FDCWD, path, file.data, file.len, 0600);
    return r < 0 ? err_sys(e, r, "write %s", path) : 0;
}

int seccomp_cache_reference(const char *dir, const char *profile, uint64_t caps, unsigned flags,
                            char **ret_json, struct err *e) {
    char digest[DIGEST_SIZE];
    auto_free char *path = NULL;
    auto_buf out = BUF_INIT;
    struct jw w;
    int r;

    if (str_eq(profile, "unconfined") && flags == 0) {
        *ret_json = NULL;
        return 0;
    }
    cache_key(profile, caps, flags, digest);
    path = xasprintf("%s/%s.bpf", dir, digest + strlen("sha256:"));
    if (access(path, R_OK) < 0) {
        r = io_mkdir_all(dir, 0700);
        if (r < 0)
            return err_sys(e, r, "mkdir %s", dir);
        r = fill(path, profile, caps, flags, e);
        if (r < 0)
            return r;
    }
    jw_init(&w, &out);
    jw_object(&w);
    jw_kstr(&w, SECCOMP_FILE_KEY, path);
    jw_end_object(&w);
    *ret_json = buf_take(&out);
    return 0;
}
