/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Device rules: devices.allow and devices.deny on v1, a BPF program on v2.
 *
 * Rules are read in order and later ones win; what no rule names is denied. A v1 group starts out
 * with all that its parent has, so everything is denied first unless the rules begin with a rule
 * for all devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/cgroup_devices.h"
#include "runtime/cgroup_private.h"

#define RULES_MAX 4096

struct rule {
    bool allow;
    char type;            /* 'a', 'b', 'c' */
    int64_t major, minor; /* -1: all */
    unsigned access;      /* BPF_DEVCG_ACC_* */
};

#define ACCESS_ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

static int rule_read(const struct oci_device_rule *r, struct rule *ret, struct err *e) {
    struct rule x = {.allow = r->allow, .type = 'a', .major = -1, .minor = -1};

    if (!str_empty(r->type))
        x.type = r->type[0];
    if (!str_empty(r->type) && (r->type[1] != '\0' || !strchr("abc", x.type)))
        return err_set(e, ERR_INVALID, "invalid device rule: unknown type \"%s\"", r->type);
    if (r->major.set)
        x.major = r->major.value;
    if (r->minor.set)
        x.minor = r->minor.value;
    if (x.major < -1 || x.major > UINT32_MAX || x.minor < -1 || x.minor > UINT32_MAX)
        return err_set(e, ERR_INVALID, "invalid device rule: number out of range");
    for (const char *p = str_or_empty(r->access); *p; p++) {
        if (*p == 'r')
            x.access |= BPF_DEVCG_ACC_READ;
        else if (*p == 'w')
            x.access |= BPF_DEVCG_ACC_WRITE;
        else if (*p == 'm')
            x.access |= BPF_DEVCG_ACC_MKNOD;
        else
            return err_set(e, ERR_INVALID, "invalid device rule: unknown access \"%s\"", r->access);
    }
    if (str_empty(r->access))
        x.access = ACCESS_ALL;
    *ret = x;
    return 0;
}

static bool is_for_all(const struct rule *x) {
    return x->type == 'a' && x->major < 0 && x->minor < 0 && x->access == ACCESS_ALL;
}

/* Does this process itself live in a user namespace (an engine inside a container)? The kernel then
 * takes no device rules from it, and those of the outer engine stay in force. */
static bool is_nested(void) {
    char text[128];
    unsigned long inside, outside, count;

    return cgroupfs_read(AT_FDCWD, "/proc/self/uid_map", text, sizeof text) == 0 &&
           (sscanf(text, "%lu %lu %lu", &inside, &outside, &count) != 3 || inside != 0 ||
            outside != 0 || count != UINT32_MAX);
}

/* ---- v1 ------------------------------------------------------------------------------------ */

static int v1_write(int fd, const char *text) {
    ssize_t n;

    do
        n = write(fd, text, strlen(text));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

/* `type` of x is not 'a' here: the kernel reads "a" as every device, whatever stands behind it. */
static int v1_write_rule(int fd, const struct rule *x, char type, char text[static 64]) {
    char major[24] = "*", minor[24] = "*";

    if (x->major >= 0)
        (void)snprintf(major, sizeof major, "%" PRId64, x->major);
    if (x->minor >= 0)
        (void)snprintf(minor, sizeof minor, "%" PRId64, x->minor);
    (void)snprintf(
        text, 64, "%c %s:%s %s%s%s", type, major, minor, x->access & BPF_DEVCG_ACC_READ ? "r" : "",
        x->access & BPF_DEVCG_ACC_WRITE ? "w" : "", x->access & BPF_DEVCG_ACC_MKNOD ? "m" : "");
    return v1_write(fd, text);
}

int cgroup_devices_v1(const struct cgroup *c, const struct field_array *rules, bool in_userns,
                      struct err *e) {
    int dir = cgroup_fd(c, CGROUPFS_DEVICES);
    auto_fd allow = openat(dir, "devices.allow", O_WRONLY | O_CLOEXEC);
    auto_fd deny = openat(dir, "devices.deny", O_WRONLY | O_CLOEXEC);

    if (allow < 0 || deny < 0)
        return err_sys(e, errno, "open devices.allow of %s", c->path);
    if (rules->count > RULES_MAX)
        return err_set(e, ERR_INVALID, "too many device rules");
    for (size_t i = 0; i < rules->count; i++) {
        struct rule x;
        char text[64] = "a";
        int fd, r;

        r = rule_read(field_array_at(rules, struct oci_device_rule, i), &x, e);
        if (r < 0)
            return r;
        fd = x.allow ? allow : deny;
        if (i == 0 && !is_for_all(&x))
            r = v1_write(deny, "a");
        if (r < 0) {
            /* told below */
        } else if (is_for_all(&x)) {
            r = v1_write(fd, text);
        } else if (x.type == 'a') {
            r = v1_write_rule(fd, &x, 'b', text);
            if (r == 0)
                r = v1_write_rule(fd, &x, 'c', text);
        } else {
            r = v1_write_rule(fd, &x, x.type, text);
        }
        /* A device that the parent does not have cannot be allowed; a container in a user namespace
         * goes without. What is to be denied must be. */
        if (r == -EPERM && ((in_userns && x.allow && i > 0) || is_nested()))
            r = 0;
        if (r < 0) {
            char reason[64];

            (void)err_set(e, ERR_SYSTEM, "failed to write \"%s\": write %s%s/devices.%s: %s", text,
                          c->host->hierarchies[c->host->by_controller[CGROUPFS_DEVICES]].path,
                          c->path, x.allow ? "allow" : "deny",
                          cgroup_errno_text(r, reason, sizeof reason));
            if (e)
                e->errnum = -r;
            return r;
        }
    }
    return 0;
}

/* ---- v2 ------------------------------------------------------------------------------------ */

struct program {
    struct bpf_insn *insns;
    size_t count, cap;
};

static void emit(struct program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off,
                 int32_t imm) {
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 128;
        p->insns = xreallocarray(p->insns, p->cap, sizeof *p->insns);
    }
    p->insns[p->count++] =
        (struct bpf_insn){.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
}

static void emit_exit(struct program *p, int32_t value) {
    emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
    emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/*
 * From the last rule to the first. r2: type, r3: what of the asked access no rule has granted so
 * far, r4: major, r5: minor. A matching deny of any bit of r3 refuses; a matching allow takes its
 * bits off r3, and with none left the access is granted.
 */
static void emit_rule(struct program *p, const struct rule *x) {
    size_t skips[4], n = 0;

    if (x->type != 'a') {
        skips[n++] = p->count;
        emit(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0,
             x->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
    }
    /* 32-bit comparisons: numbers above 2^31 would be sign-extended otherwise. */
    if (x->major >= 0) {
        skips[n++] = p->count;
        emit(p, BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_4, 0, 0, (int32_t)(uint32_t)x->major);
    }
    if (x->minor >= 0) {
        skips[n++] = p->count;
        emit(p, BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_5, 0, 0, (int32_t)(uint32_t)x->minor);
    }
    if (x->allow) {
        emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_3, 0, 0, (int32_t)(ACCESS_ALL & ~x->access));
        skips[n++] = p->count;
        emit(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, 0, 0);
        emit_exit(p, 1);
    } else {
        emit(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
        emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, (int32_t)x->access);
        skips[n++] = p->count;
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, 0);
        emit_exit(p, 0);
    }
    for (size_t i = 0; i < n; i++)
        p->insns[skips[i]].off = (int16_t)(p->count - skips[i] - 1);
}

int cgroup_devices_bpf(const struct field_array *rules, struct bpf_insn **ret, size_t *ret_count,
                       struct err *e) {
    struct program p = {0};

    if (rules->count > RULES_MAX)
        return err_set(e, ERR_INVALID, "too many device rules");
    emit(&p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1,
         offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
    emit(&p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
    emit(&p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
    emit(&p, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
    emit(&p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1,
         offsetof(struct bpf_cgroup_dev_ctx, major), 0);
    emit(&p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1,
         offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
    for (size_t i = rules->count; i-- > 0;) {
        struct rule x;
        int r = rule_read(field_array_at(rules, struct oci_device_rule, i), &x, e);

        if (r < 0) {
            free(p.insns);
            return r;
        }
        if (is_for_all(&x)) {
            /* Nothing before it matters, and the verifier refuses code that is never reached. */
            emit_exit(&p, x.allow ? 1 : 0);
            goto done;
        }
        emit_rule(&p, &x);
    }
    emit_exit(&p, 0);
done:
    *ret = p.insns;
    *ret_count = p.count;
    return 0;
}

int cgroup_devices_bpf_attach(int cgroup_fd, const struct bpf_insn *insns, size_t count) {
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insns = (uint64_t)(uintptr_t)insns,
        .insn_cnt = (uint32_t)count,
        .license = (uint64_t)(uintptr_t) "Apache-2.0",
        .prog_name = "fence_devices",
    };
    union bpf_attr attach = {
        .attach_type = BPF_CGROUP_DEVICE,
        .attach_flags = BPF_F_ALLOW_MULTI,
    };
    auto_fd dir = openat(cgroup_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd prog = -1;

    if (dir < 0)
        return -errno;
    prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (prog < 0)
        return -errno;
    attach.target_fd = (uint32_t)dir;
    attach.attach_bpf_fd = (uint32_t)prog;
    if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) < 0)
        return -errno;
    return 0;
}

int cgroup_devices_v2(const struct cgroup *c, const struct field_array *rules, struct err *e) {
    auto_free struct bpf_insn *insns = NULL;
    size_t count = 0;
    int r = cgroup_devices_bpf(rules, &insns, &count, e);

    if (r < 0)
        return r;
    r = cgroup_devices_bpf_attach(c->fds[0], insns, count);
    if (r == -EPERM && is_nested())
        return 0;
    if (r < 0)
        return err_sys(e, r, "failed to attach the device program to %s", c->path);
    return 0;
}
