/* SPDX-License-Identifier: Apache-2.0 */

/*
 * OCI's linux.seccomp -> BPF. libseccomp makes the program (a binary tree over the numbers); a few
 * instructions of ours go before it:
 *   - calls younger than every name in the profile give ENOSYS instead of EPERM, so that a C
 *     library falls back to an older call (runc does the same);
 *   - calls that the profile allows and this libseccomp has no number for are let through.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_compact.h"
#include "runtime/seccomp_profile.h"

#define X32_BIT    0x40000000u
#define NEW_MAX    64
#define ARCHES_MAX 8
#define ARGS_MAX   6

static const struct {
    const char *name;
    uint32_t token; /* libseccomp's */
    uint32_t audit; /* seccomp_data.arch */
} arches[] = {
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64},
    {"SCMP_ARCH_X86", SCMP_ARCH_X86, AUDIT_ARCH_I386},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM, AUDIT_ARCH_ARM},
};

static const struct {
    const char *name;
    enum scmp_compare op;
} operators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

static const struct {
    const char *name;
    uint32_t flag;
} filter_flags[] = {
    /* One thread at this point: nothing to synchronise. */
    {"SECCOMP_FILTER_FLAG_TSYNC", 0},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
};

struct compiler {
    scmp_filter_ctx ctx;
    uint32_t default_action;
    bool mknod_notify;
    bool notify;
    size_t arch_count;
    uint32_t tokens[ARCHES_MAX];
    uint32_t max_nr[ARCHES_MAX]; /* youngest call that the profile names, X32_BIT left out */
    size_t new_count;            /* rules for calls that libseccomp cannot number */
    struct {
        uint32_t nr, action;
    } fresh[NEW_MAX];
};

void seccomp_program_done(struct seccomp_program *p) {
    free(p->insns);
    *p = (struct seccomp_program){0};
}

static int action_parse(const char *name, const struct opt_uint *errno_ret, uint32_t *ret,
                        struct err *e) {
    uint64_t num = errno_ret->set ? errno_ret->value : EPERM;

    if (num > SECCOMP_RET_DATA)
        return err_set(e, ERR_INVALID, "invalid errnoRet in seccomp profile");
    if (str_eq(name, "SCMP_ACT_ALLOW"))
        *ret = SCMP_ACT_ALLOW;
    else if (str_eq(name, "SCMP_ACT_ERRNO"))
        *ret = SCMP_ACT_ERRNO(num);
    else if (str_eq(name, "SCMP_ACT_KILL") || str_eq(name, "SCMP_ACT_KILL_THREAD"))
        *ret = SCMP_ACT_KILL_THREAD;
    else if (str_eq(name, "SCMP_ACT_KILL_PROCESS"))
        *ret = SCMP_ACT_KILL_PROCESS;
    else if (str_eq(name, "SCMP_ACT_TRAP"))
        *ret = SCMP_ACT_TRAP;
    else if (str_eq(name, "SCMP_ACT_TRACE"))
        *ret = SCMP_ACT_TRACE(num);
    else if (str_eq(name, "SCMP_ACT_LOG"))
        *ret = SCMP_ACT_LOG;
    else if (str_eq(name, "SCMP_ACT_NOTIFY"))
        *ret = SCMP_ACT_NOTIFY;
    else
        return err_set(e, ERR_INVALID, "string %s is not a valid action for seccomp",
                       str_or_empty(name));
    return 0;
}

static int add_arch(struct compiler *c, const char *name, struct err *e) {
    for (size_t i = 0; i < sizeof arches / sizeof arches[0]; i++) {
        int r;

        if (!str_eq(arches[i].name, name))
            continue;
        for (size_t k = 0; k < c->arch_count; k++)
            if (c->tokens[k] == arches[i].token)
                return 0;
        r = seccomp_arch_add(c->ctx, arches[i].token);
        if (r < 0 && r != -EEXIST)
            return err_sys(e, r, "error adding architecture to seccomp filter");
        c->tokens[c->arch_count++] = arches[i].token;
        return 0;
    }
    /* Other machines' architectures in a profile's list do no harm here. */
    return str_starts(name, "SCMP_ARCH_")
               ? 0
               : err_set(e, ERR_INVALID, "string %s is not a valid arch for seccomp", name);
}

static uint32_t native_token(void) {
    return seccomp_arch_native();
}

static int arg_parse(const struct seccomp_arg *a, struct scmp_arg_cmp *ret, struct err *e) {
    if (a->index >= ARGS_MAX)
        return err_set(e, ERR_INVALID, "cannot create more than 6 arguments for seccomp rule");
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (!str_eq(operators[i].name, a->op))
            continue;
        *ret = (struct scmp_arg_cmp){.arg = (unsigned)a->index,
                                     .op = operators[i].op,
                                     .datum_a = a->value,
                                     .datum_b = a->value_two};
        return 0;
    }
    return err_set(e, ERR_INVALID, "string %s is not a valid operator for seccomp",
                   str_or_empty(a->op));
}

static int add_call(struct compiler *c, const char *name, int nr, uint32_t action,
                    const struct scmp_arg_cmp *args, unsigned count, struct err *e) {
    int r = seccomp_rule_add_array(c->ctx, action, nr, count, args);

    /* A call that some of the architectures do not have is no mistake, nor is a rule that says
     * what an earlier one does. */
    if (r == 0 || r == -EEXIST || r == -EDOM)
        return 0;
    return err_sys(e, r, "error adding seccomp filter rule for syscall %s", name);
}

static void note_number(struct compiler *c, const char *name) {
    for (size_t i = 0; i < c->arch_count; i++) {
        int nr = seccomp_syscall_resolve_name_arch(c->tokens[i], name);
        uint32_t n;

        if (nr < 0)
            nr = seccomp_new_syscall(name);
        if (nr < 0)
            continue;
        n = (uint32_t)nr & ~X32_BIT;
        /* ARM's private calls lie far above the common ones and say nothing about age. */
        if (n < 0x10000 && n > c->max_nr[i])
            c->max_nr[i] = n;
    }
}

/*
 * mknod where the profile allows it without conditions: device nodes are put to the listener,
 * everything else is allowed by kind. A mode that names no kind of file falls to the default
 * action; the kernel would refuse it as well.
 */
static int add_mknod(struct compiler *c, const char *name, int nr, struct err *e) {
    static const mode_t plain[] = {0, S_IFREG, S_IFIFO, S_IFSOCK}, device[] = {S_IFCHR, S_IFBLK};
    unsigned mode_arg = strcmp(name, "mknod") == 0 ? 1 : 2;
    int r = 0;

    for (size_t i = 0; r == 0 && i < 2; i++)
        r = add_call(c, name, nr, SCMP_ACT_NOTIFY,
                     &SCMP_CMP64(mode_arg, SCMP_CMP_MASKED_EQ, S_IFMT, device[i]), 1, e);
    for (size_t i = 0; r == 0 && c->default_action != SCMP_ACT_ALLOW && i < 4; i++)
        r = add_call(c, name, nr, SCMP_ACT_ALLOW,
                     &SCMP_CMP64(mode_arg, SCMP_CMP_MASKED_EQ, S_IFMT, plain[i]), 1, e);
    if (r == 0)
        c->notify = true;
    return r;
}

static bool is_mknod(const char *name) {
    return strcmp(name, "mknod") == 0 || strcmp(name, "mknodat") == 0;
}

static int add_rule_for(struct compiler *c, const char *name, uint32_t action,
                        const struct scmp_arg_cmp *args, unsigned count, struct err *e) {
    bool seen[ARGS_MAX] = {false}, repeated = false;
    int nr = seccomp_syscall_resolve_name(name), r = 0;

    if (nr == __NR_SCMP_ERROR) {
        nr = seccomp_new_syscall(name);
        /* Unknown to everybody: skipped, as runc does. Conditions on such young calls cannot be
         * checked by the few instructions that handle them: those stay refused. */
        if (nr >= 0 && count == 0 && c->new_count < NEW_MAX) {
            c->fresh[c->new_count].nr = (uint32_t)nr;
            c->fresh[c->new_count++].action = action;
        }
        return 0;
    }
    if (action == SCMP_ACT_NOTIFY) {
        if (str_eq(name, "write"))
            return err_set(e, ERR_INVALID, "SCMP_ACT_NOTIFY cannot be used for the write syscall");
        c->notify = true;
    }
    if (c->mknod_notify && action == SCMP_ACT_ALLOW && is_mknod(name)) {
        if (count == 0)
            return add_mknod(c, name, nr, e);
        action = SCMP_ACT_NOTIFY;
        c->notify = true;
    }
    for (unsigned i = 0; i < count; i++) {
        repeated = repeated || seen[args[i].arg];
        seen[args[i].arg] = true;
    }
    if (!repeated)
        return add_call(c, name, nr, action, args, count, e);
    /* Two conditions on one argument cannot both hold in one rule: each is a rule of its own, as
     * old profiles expect. */
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = add_call(c, name, nr, action, &args[i], 1, e);
    return r;
}

static int add_rule(struct compiler *c, const struct seccomp_rule *rule, struct err *e) {
    struct scmp_arg_cmp args[ARGS_MAX];
    uint32_t action = 0;
    int r = action_parse(rule->action, &rule->errno_ret, &action, e);

    if (r < 0)
        return r;
    if (rule->args.count > ARGS_MAX)
        return err_set(e, ERR_INVALID, "cannot create more than 6 arguments for seccomp rule");
    for (size_t i = 0; r == 0 && i < rule->args.count; i++)
        r = arg_parse(field_array_at(&rule->args, struct seccomp_arg, i), &args[i], e);
    strv_for_each (name, rule->names) {
        if (r < 0)
            break;
        note_number(c, name);
        /* What happens anyway needs no rule (and libseccomp takes none). */
        if (action != c->default_action)
            r = add_rule_for(c, name, action, args, (unsigned)rule->args.count, e);
    }
    return r;
}

/* With "allow" as the default, mknod is usually in no rule. */
static int add_default_mknod(struct compiler *c, const struct seccomp_profile *p, struct err *e) {
    static const char *const names[] = {"mknod", "mknodat"};
    int r = 0;

    for (size_t n = 0; r == 0 && n < 2; n++) {
        int nr = seccomp_syscall_resolve_name(names[n]);
        bool named = false;

        for (size_t i = 0; i < p->rules.count; i++)
            named = named ||
                    strv_has(field_array_at(&p->rules, struct seccomp_rule, i)->names, names[n]);
        if (!named && nr != __NR_SCMP_ERROR)
            r = add_mknod(c, names[n], nr, e);
    }
    return r;
}

/* ---- the instructions before libseccomp's --------------------------------------------------- */

struct code {
    struct sock_filter insns[SECCOMP_PROGRAM_MAX];
    size_t count;
};

static void put(struct code *b, uint16_t op, uint32_t k, uint8_t jt, uint8_t jf) {
    if (b->count < SECCOMP_PROGRAM_MAX)
        b->insns[b->count] = (struct sock_filter){.code = op, .jt = jt, .jf = jf, .k = k};
    b->count++;
}

/* The part for one architecture; nr is in the accumulator. Ends with a jump that the caller
 * patches to the main program. */
static void put_arch(struct code *b, const struct compiler *c, size_t i, bool enosys) {
    uint32_t bit = c->tokens[i] == SCMP_ARCH_X32 ? X32_BIT : 0;

    for (size_t k = 0; k < c->new_count; k++) {
        put(b, BPF_JMP | BPF_JEQ | BPF_K, c->fresh[k].nr | bit, 0, 1);
        put(b, BPF_RET | BPF_K, c->fresh[k].action, 0, 0);
    }
    if (enosys && c->max_nr[i] > 0) {
        put(b, BPF_JMP | BPF_JGT | BPF_K, c->max_nr[i] | bit, 0, 1);
        put(b, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
    }
    put(b, BPF_JMP | BPF_JA, 0, 0, 0);
}

/* Finds the token among the filter's architectures; -1. */
static int arch_index(const struct compiler *c, uint32_t token) {
    for (size_t i = 0; i < c->arch_count; i++)
        if (c->tokens[i] == token)
            return (int)i;
    return -1;
}

static uint32_t audit_of(uint32_t token) {
    for (size_t i = 0; i < sizeof arches / sizeof arches[0]; i++)
        if (arches[i].token == token)
            return arches[i].audit;
    return 0;
}

static void put_prefix(struct code *b, const struct compiler *c, bool enosys) {
    size_t jumps[2 * ARCHES_MAX], n = 0;

    put(b, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    for (size_t i = 0; i < c->arch_count; i++) {
        size_t skip = b->count;
        int x32 = -1;

        if (c->tokens[i] == SCMP_ARCH_X32)
            continue; /* the same audit number as x86-64: handled there */
        /* Not this one: over a jump that is patched below (offsets in 8 bits are too short). */
        put(b, BPF_JMP | BPF_JEQ | BPF_K, audit_of(c->tokens[i]), 1, 0);
        put(b, BPF_JMP | BPF_JA, 0, 0, 0);
        put(b, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
        if (c->tokens[i] == SCMP_ARCH_X86_64)
            x32 = arch_index(c, SCMP_ARCH_X32);
        if (c->tokens[i] == SCMP_ARCH_X86_64) {
            size_t over;

            /* x32 numbers; -1 (what a tracer leaves) is above all and goes to the main program. */
            put(b, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
            over = b->count;
            put(b, BPF_JMP | BPF_JA, 0, 0, 0);
            put_arch(b, c, i, enosys);
            jumps[n++] = b->count - 1;
            b->insns[over].k = (uint32_t)(b->count - over - 1);
            if (x32 >= 0) {
                put(b, BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 0, 1);
                jumps[n++] = b->count;
                put(b, BPF_JMP | BPF_JA, 0, 0, 0);
                put_arch(b, c, (size_t)x32, enosys);
            } else {
                put(b, BPF_JMP | BPF_JA, 0, 0, 0);
            }
            jumps[n++] = b->count - 1;
        } else {
            put_arch(b, c, i, enosys);
            jumps[n++] = b->count - 1;
        }
        b->insns[skip + 1].k = (uint32_t)(b->count - skip - 2);
    }
    /* What is no architecture of ours falls through to the main program, which refuses it. */
    for (size_t i = 0; i < n; i++)
        b->insns[jumps[i]].k = (uint32_t)(b->count - jumps[i] - 1);
}

static bool wants_enosys(uint32_t action) {
    /* A permissive default lets young calls through; ENOSYS is the answer already. */
    return action != SCMP_ACT_ALLOW && action != SCMP_ACT_LOG && action != SCMP_ACT_ERRNO(ENOSYS);
}

static int export_program(struct compiler *c, struct seccomp_program *ret, struct err *e) {
    auto_free struct code *b = xnew(struct code);
    auto_fd fd = memfd_create("seccomp", MFD_CLOEXEC);
    auto_buf main_part = {.max = SECCOMP_PROGRAM_MAX * sizeof(struct sock_filter)};
    bool enosys = wants_enosys(c->default_action);
    uint32_t audit[ARCHES_MAX];
    size_t count;
    int r;

    if (fd < 0)
        return err_sys(e, errno, "memfd_create");
    r = seccomp_export_bpf(c->ctx, fd);
    if (r < 0)
        return err_sys(e, r, "cannot compile the seccomp profile");
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(e, errno, "read the seccomp program");
    r = io_read_to_end(fd, &main_part);
    if (r == -EFBIG)
        return err_set(e, ERR_INVALID, "the seccomp profile is too large");
    if (r < 0 || main_part.len % sizeof(struct sock_filter) != 0)
        return err_sys(e, r < 0 ? r : -EIO, "read the seccomp program");
    if (enosys || c->new_count > 0)
        put_prefix(b, c, enosys);
    count = main_part.len / sizeof(struct sock_filter);
    if (count == 0 || b->count + count > SECCOMP_PROGRAM_MAX)
        return err_set(e, ERR_INVALID, "the seccomp profile is too large");
    memcpy(b->insns + b->count, main_part.data, main_part.len);
    count += b->count;
    for (size_t i = 0; i < c->arch_count; i++)
        audit[i] = audit_of(c->tokens[i]);
    (void)seccomp_compact(b->insns, &count, audit, c->arch_count); /* else it stays long */
    ret->insns = xmemdup(b->insns, count * sizeof(struct sock_filter));
    ret->count = (uint16_t)count;
    ret->notify = c->notify;
    return 0;
}

static int add_all(struct compiler *c, const struct seccomp_profile *p, struct err *e) {
    int r = 0;

    /* The native architecture is in every filter. */
    for (size_t i = 0; r == 0 && i < sizeof arches / sizeof arches[0]; i++)
        if (arches[i].token == native_token())
            r = add_arch(c, arches[i].name, e);
    strv_for_each (name, p->architectures)
        if (r == 0)
            r = add_arch(c, name, e);
    for (size_t i = 0; r == 0 && i < p->rules.count; i++)
        r = add_rule(c, field_array_at(&p->rules, struct seccomp_rule, i), e);
    if (r == 0 && c->mknod_notify && c->default_action == SCMP_ACT_ALLOW)
        r = add_default_mknod(c, p, e);
    return r;
}

static int flags_of(const struct seccomp_profile *p, uint32_t *ret, struct err *e) {
    uint32_t flags = 0;

    /* runc's default since 1.2: no speculation barrier, which newer kernels left out themselves. */
    if (!p->flags)
        flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    strv_for_each (name, p->flags) {
        size_t i = 0, n = sizeof filter_flags / sizeof filter_flags[0];

        while (i < n && strcmp(filter_flags[i].name, name) != 0)
            i++;
        if (i == n)
            return err_set(e, ERR_INVALID, "seccomp flags \"%s\" not recognized", name);
        flags |= filter_flags[i].flag;
    }
    *ret = flags;
    return 0;
}

static bool has_own_notify(const struct seccomp_profile *p) {
    if (str_eq(p->default_action, "SCMP_ACT_NOTIFY"))
        return true;
    for (size_t i = 0; i < p->rules.count; i++)
        if (str_eq(field_array_at(&p->rules, struct seccomp_rule, i)->action, "SCMP_ACT_NOTIFY"))
            return true;
    return false;
}

static int compile(const struct seccomp_profile *p, unsigned flags, bool confined,
                   struct seccomp_program *ret, struct err *e) {
    auto_free struct compiler *c = xnew(struct compiler);
    struct seccomp_program program = {0};
    int r = action_parse(p->default_action, &p->default_errno_ret, &c->default_action, e);

    if (r == 0)
        r = flags_of(p, &program.flags, e);
    if (r < 0)
        return r;
    if (c->default_action == SCMP_ACT_NOTIFY)
        return err_set(e, ERR_INVALID, "SCMP_ACT_NOTIFY cannot be used as default action");
    c->mknod_notify = (flags & SECCOMP_MKNOD_NOTIFY) && !has_own_notify(p);
    c->ctx = seccomp_init(c->default_action);
    if (!c->ctx)
        return err_set(e, ERR_SYSTEM, "error creating filter");
    /* Both attributes are optimisations or our own business: an older libseccomp lacks them. */
    (void)seccomp_attr_set(c->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    (void)seccomp_attr_set(c->ctx, SCMP_FLTATR_CTL_NNP, 0);
    if (!confined)
        r = seccomp_attr_set(c->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
    if (r < 0)
        (void)err_sys(e, r, "error creating filter");
    else
        r = add_all(c, p, e);
    if (r == 0)
        r = export_program(c, &program, e);
    seccomp_release(c->ctx);
    if (r == 0)
        *ret = program;
    return r;
}

int seccomp_compile(const char *oci_json, unsigned flags, struct seccomp_program *ret,
                    struct err *e) {
    struct seccomp_profile p;
    int r = 0;

    if (str_empty(oci_json) && !(flags & SECCOMP_MKNOD_NOTIFY)) {
        *ret = (struct seccomp_program){0};
        return 0;
    }
    field_init(&seccomp_profile_table, &p);
    if (str_empty(oci_json)) {
        str_set(&p.default_action, "SCMP_ACT_ALLOW");
#if defined(__x86_64__)
        p.architectures = str_split("SCMP_ARCH_X86_64,SCMP_ARCH_X86,SCMP_ARCH_X32", ',');
#elif defined(__aarch64__)
        p.architectures = str_split("SCMP_ARCH_AARCH64,SCMP_ARCH_ARM", ',');
#endif
    } else {
        r = field_parse_text(&seccomp_profile_table, oci_json, strlen(oci_json), &p, e);
    }
    if (r == 0)
        r = compile(&p, flags, !str_empty(oci_json), ret, e);
    field_done(&seccomp_profile_table, &p);
    return r;
}
