/* SPDX-License-Identifier: Apache-2.0 */

/* The set-up process' side: linux.seccomp -> program. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "format/json.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_file.h"

static int read_program(const char *path, struct seccomp_program *ret, struct err *e) {
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    auto_free struct sock_filter *insns = NULL;
    struct seccomp_file_head head;
    ssize_t n;

    if (fd < 0)
        return err_sys(e, errno, "open %s", path);
    n = io_read_full(fd, &head, sizeof head);
    if (n != (ssize_t)sizeof head || head.magic != SECCOMP_FILE_MAGIC ||
        head.version != SECCOMP_FILE_VERSION || head.count > SECCOMP_PROGRAM_MAX)
        return err_set(e, ERR_SYSTEM, "%s is no seccomp program", path);
    insns = xcalloc(head.count, sizeof *insns);
    n = io_read_full(fd, insns, head.count * sizeof *insns);
    if (n != (ssize_t)(head.count * sizeof *insns))
        return err_set(e, ERR_SYSTEM, "%s is no seccomp program", path);
    *ret = (struct seccomp_program){
        .count = (uint16_t)head.count, .flags = head.flags, .notify = head.notify != 0};
    if (head.count > 0)
        ret->insns = take_ptr(insns);
    return 0;
}

int seccomp_program_load(const char *json, unsigned flags, struct seccomp_program *ret,
                         struct err *e) {
    auto_json *o = NULL;
    const char *path;
    int r;

    if (str_empty(json))
        return seccomp_compile(NULL, flags, ret, e);
    r = jsn_parse(json, strlen(json), &o, e);
    if (r < 0)
        return r;
    path = jsn_str(o, SECCOMP_FILE_KEY);
    return path ? read_program(path, ret, e) : seccomp_compile(json, flags, ret, e);
}
