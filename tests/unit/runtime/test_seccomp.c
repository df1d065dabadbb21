/* SPDX-License-Identifier: Apache-2.0 */

/* Profiles, their compilation, and filters in force in child processes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "format/json.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_compact.h"
#include "sys/caps.h"

static void build(const char *profile, uint64_t caps, unsigned flags, struct seccomp_program *ret) {
    auto_free char *oci = NULL;
    auto_err e = ERR_INIT;

    if (seccomp_profile_resolve(profile, caps, &oci, &e) < 0 ||
        seccomp_compile(oci, flags, ret, &e) < 0)
        fail_msg("%s", err_msg(&e));
}

/* Runs the program as the kernel would: the tests then need no process for each call. */
static uint32_t run(const struct seccomp_program *p, uint32_t arch, int nr, uint64_t a0,
                    uint64_t a1, uint64_t a2) {
    struct seccomp_data d = {.nr = nr, .arch = arch, .args = {a0, a1, a2}};
    uint32_t a = 0, x = 0, mem[16] = {0};

    for (unsigned pc = 0; pc < p->count; pc++) {
        const struct sock_filter *i = &p->insns[pc];
        bool taken = false;

        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(i->k + 4 <= sizeof d);
            memcpy(&a, (char *)&d + i->k, 4);
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            continue;
        case BPF_ST:
            mem[i->k & 15] = a;
            continue;
        case BPF_LD | BPF_MEM:
            a = mem[i->k & 15];
            continue;
        case BPF_MISC | BPF_TAX:
            x = a;
            continue;
        case BPF_MISC | BPF_TXA:
            a = x;
            continue;
        case BPF_RET | BPF_K:
            return i->k;
        case BPF_JMP | BPF_JA:
            pc += i->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            taken = a == i->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            taken = a > i->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            taken = a >= i->k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            taken = (a & i->k) != 0;
            break;
        default:
            fail_msg("instruction %#x", i->code);
        }
        pc += taken ? i->jt : i->jf;
    }
    fail_msg("the program has no end");
    return 0;
}

#if defined(__x86_64__)
#define NATIVE  0xc000003eu
#define FOREIGN 0x40000003u /* i386 */
#else
#define NATIVE  0xc00000b7u
#define FOREIGN 0x40000028u /* arm */
#endif
#define CALL(nr)     run(&p, NATIVE, nr, 0, 0, 0)
#define EPERM_RESULT (SECCOMP_RET_ERRNO | EPERM)

static void test_default(void **state) {
    auto_seccomp_program p = {0};

    (void)state;
    build(NULL, LCAP_DEFAULT, 0, &p);
    assert_true(p.count > 50 && p.count < SECCOMP_PROGRAM_MAX);
    assert_false(p.notify);
    assert_int_equal(p.flags, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
    assert_int_equal(CALL(SYS_read), SECCOMP_RET_ALLOW);
    assert_int_equal(CALL(SYS_openat2), SECCOMP_RET_ALLOW);
    assert_int_equal(CALL(SYS_ptrace), SECCOMP_RET_ALLOW);
    assert_int_equal(CALL(SYS_chroot), SECCOMP_RET_ALLOW);
    assert_int_equal(CALL(SYS_mount), EPERM_RESULT);
    assert_int_equal(CALL(SYS_unshare), EPERM_RESULT);
    assert_int_equal(CALL(SYS_keyctl), EPERM_RESULT);
    assert_int_equal(CALL(SYS_io_uring_setup), EPERM_RESULT);
    assert_int_equal(CALL(SYS_reboot), EPERM_RESULT);
    assert_int_equal(CALL(SYS_bpf), EPERM_RESULT);
    assert_int_equal(CALL(SYS_clone3), SECCOMP_RET_ERRNO | ENOSYS);
    assert_int_equal(CALL(SYS_clone), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&p, NATIVE, SYS_clone, CLONE_NEWNS, 0, 0), EPERM_RESULT);
    assert_int_equal(run(&p, NATIVE, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0), EPERM_RESULT);
    assert_int_equal(run(&p, NATIVE, SYS_socket, AF_INET, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&p, NATIVE, SYS_socket, AF_VSOCK, 0, 0), EPERM_RESULT);
    assert_int_equal(run(&p, NATIVE, SYS_personality, 0xffffffff, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&p, NATIVE, SYS_personality, ADDR_NO_RANDOMIZE, 0, 0), EPERM_RESULT);
#if defined(__x86_64__)
    assert_int_equal(CALL(SYS_arch_prctl), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&p, FOREIGN, 3, 0, 0, 0), SECCOMP_RET_ALLOW);         /* i386 read */
    assert_int_equal(run(&p, FOREIGN, 21, 0, 0, 0), EPERM_RESULT);             /* i386 mount */
    assert_int_equal(run(&p, NATIVE, 0x40000000, 0, 0, 0), SECCOMP_RET_ALLOW); /* x32 read */
    assert_int_equal(run(&p, NATIVE, 0x400000a5, 0, 0, 0), EPERM_RESULT);      /* x32 mount */
    assert_int_equal(run(&p, NATIVE, 0x40000000 | 900, 0, 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
    assert_int_equal(run(&p, NATIVE, 0x40000000 | 452, 0, 0, 0), SECCOMP_RET_ALLOW);
#endif
    /* Young calls: allowed ones by number, older than the youngest named EPERM, younger ENOSYS. */
    assert_int_equal(CALL(452), SECCOMP_RET_ALLOW); /* fchmodat2 */
    assert_int_equal(CALL(462), SECCOMP_RET_ALLOW); /* mseal */
    assert_int_equal(CALL(459), EPERM_RESULT);      /* lsm_get_self_attr: CAP_SYS_ADMIN */
    assert_int_equal(CALL(466), SECCOMP_RET_ALLOW); /* removexattrat */
    assert_int_equal(CALL(467), SECCOMP_RET_ERRNO | ENOSYS);
    assert_int_equal(CALL(1000), SECCOMP_RET_ERRNO | ENOSYS);
    assert_int_equal(CALL(-1), EPERM_RESULT);
    assert_int_equal(run(&p, FOREIGN, 452, 0, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&p, FOREIGN, 1000, 0, 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
    /* An architecture that is not in the profile. */
    assert_int_equal(run(&p, 0x80000015, 3, 0, 0, 0), SECCOMP_RET_KILL_THREAD);
}

static void test_caps(void **state) {
    auto_seccomp_program p = {0};
    auto_seccomp_program none = {0};

    (void)state;
    build("", LCAP_ALL, 0, &p);
    assert_int_equal(CALL(SYS_mount), SECCOMP_RET_ALLOW);
    assert_int_equal(CALL(SYS_clone3), SECCOMP_RET_ALLOW);
    assert_int_equal(CALL(SYS_reboot), SECCOMP_RET_ALLOW);
    assert_int_equal(CALL(SYS_settimeofday), SECCOMP_RET_ALLOW);
    assert_int_equal(CALL(459), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&p, NATIVE, SYS_clone, CLONE_NEWNS, 0, 0), SECCOMP_RET_ALLOW);
    build("builtin", 0, 0, &none);
    assert_int_equal(run(&none, NATIVE, SYS_chroot, 0, 0, 0), EPERM_RESULT);
    assert_true(seccomp_default_allows("mount", LCAP_ALL));
    assert_false(seccomp_default_allows("mount", LCAP_DEFAULT));
    assert_true(seccomp_default_allows("read", 0));
    assert_false(seccomp_default_allows("nonsense", LCAP_ALL));
}

static void test_mknod_notify(void **state) {
    auto_seccomp_program p = {0};
    auto_seccomp_program open = {0};
    auto_seccomp_program own = {0};
    auto_seccomp_program refused = {0};

    (void)state;
    build(NULL, LCAP_DEFAULT, SECCOMP_MKNOD_NOTIFY, &p);
    assert_true(p.notify);
    assert_int_equal(run(&p, NATIVE, SYS_mknodat, 0, 0, S_IFCHR | 0600), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(run(&p, NATIVE, SYS_mknodat, 0, 0, S_IFBLK | 0600), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(run(&p, NATIVE, SYS_mknodat, 0, 0, S_IFIFO | 0600), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&p, NATIVE, SYS_mknodat, 0, 0, 0600), SECCOMP_RET_ALLOW);
#if defined(__x86_64__)
    assert_int_equal(run(&p, NATIVE, SYS_mknod, 0, S_IFCHR | 0600, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(run(&p, FOREIGN, 14, 0, S_IFCHR | 0600, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(run(&p, NATIVE, SYS_mknod, 0, S_IFSOCK, 0), SECCOMP_RET_ALLOW);
#endif
    build("unconfined", 0, SECCOMP_MKNOD_NOTIFY, &open);
    assert_true(open.notify);
    assert_int_equal(run(&open, NATIVE, SYS_mount, 0, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&open, NATIVE, 5000, 0, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&open, 0x80000015, 3, 0, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&open, NATIVE, SYS_mknodat, 0, 0, S_IFCHR), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(run(&open, NATIVE, SYS_mknodat, 0, 0, S_IFREG), SECCOMP_RET_ALLOW);
    /* A profile that listens itself is left alone; one that refuses mknod keeps refusing. */
    build("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getcwd\"],"
          "\"action\":\"SCMP_ACT_NOTIFY\"}]}",
          0, SECCOMP_MKNOD_NOTIFY, &own);
    assert_true(own.notify);
    assert_int_equal(run(&own, NATIVE, SYS_mknodat, 0, 0, S_IFCHR), SECCOMP_RET_ALLOW);
    build("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mknod\",\"mknodat\"],"
          "\"action\":\"SCMP_ACT_ERRNO\"}]}",
          0, SECCOMP_MKNOD_NOTIFY, &refused);
    assert_false(refused.notify);
    assert_int_equal(run(&refused, NATIVE, SYS_mknodat, 0, 0, S_IFCHR), EPERM_RESULT);
}

static void test_custom(void **state) {
    auto_seccomp_program p = {0};
    auto_seccomp_program old = {0};
    auto_seccomp_program allow = {0};

    (void)state;
    build("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":13,"
          "\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":null},"
          "{\"architecture\":\"SCMP_ARCH_AARCH64\",\"subArchitectures\":[]}],"
          "\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],"
          "\"syscalls\":["
          "{\"names\":[\"read\",\"openat2\",\"no_such_call\"],\"action\":\"SCMP_ACT_ALLOW\"},"
          "{\"names\":[\"write\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
          "{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
          "{\"index\":2,\"value\":10,\"op\":\"SCMP_CMP_LE\"}]},"
          "{\"names\":[\"close\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
          "{\"index\":0,\"value\":5,\"op\":\"SCMP_CMP_EQ\"},"
          "{\"index\":0,\"value\":7,\"op\":\"SCMP_CMP_EQ\"}]},"
          "{\"names\":[\"mount\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"},"
          "{\"names\":[\"umount2\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":99},"
          "{\"names\":[\"setns\"],\"action\":\"SCMP_ACT_ALLOW\","
          "\"includes\":{\"minKernel\":\"99.0\"}},"
          "{\"names\":[\"reboot\"],\"action\":\"SCMP_ACT_ALLOW\","
          "\"excludes\":{\"caps\":[\"CAP_CHOWN\"]}}]}",
          LCAP_DEFAULT, 0, &p);
    assert_int_equal(p.flags, SECCOMP_FILTER_FLAG_LOG);
    assert_int_equal(CALL(SYS_read), SECCOMP_RET_ALLOW);
    assert_int_equal(CALL(SYS_getpid), SECCOMP_RET_ERRNO | EACCES);
    assert_int_equal(run(&p, NATIVE, SYS_write, 1, 0, 10), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&p, NATIVE, SYS_write, 1, 0, 11), SECCOMP_RET_ERRNO | EACCES);
    assert_int_equal(run(&p, NATIVE, SYS_write, 2, 0, 1), SECCOMP_RET_ERRNO | EACCES);
    assert_int_equal(run(&p, NATIVE, SYS_close, 5, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&p, NATIVE, SYS_close, 7, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(run(&p, NATIVE, SYS_close, 6, 0, 0), SECCOMP_RET_ERRNO | EACCES);
    assert_int_equal(CALL(SYS_mount), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(CALL(SYS_umount2), SECCOMP_RET_ERRNO | 99);
    assert_int_equal(CALL(SYS_setns), SECCOMP_RET_ERRNO | EACCES);
    assert_int_equal(CALL(SYS_reboot), SECCOMP_RET_ERRNO | EACCES);
    /* The old form, one name a rule. */
    build("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"name\":\"read\","
          "\"action\":\"SCMP_ACT_ALLOW\",\"args\":[]}]}",
          0, 0, &old);
    assert_int_equal(run(&old, NATIVE, SYS_read, 0, 0, 0), SECCOMP_RET_ALLOW);
    /* A list of what is forbidden: young calls pass. */
    build("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\",\"mkdirat\"],"
          "\"action\":\"SCMP_ACT_ERRNO\"}]}",
          0, 0, &allow);
    assert_int_equal(run(&allow, NATIVE, SYS_mkdirat, 0, 0, 0), EPERM_RESULT);
    assert_int_equal(run(&allow, NATIVE, 5000, 0, 0, 0), SECCOMP_RET_ALLOW);
}

static void refuse(const char *profile, const char *words) {
    auto_seccomp_program p = {0};
    auto_free char *oci = NULL;
    auto_err e = ERR_INIT;
    int r = seccomp_profile_resolve(profile, 0, &oci, &e);

    if (r == 0)
        r = seccomp_compile(oci, 0, &p, &e);
    assert_true(r < 0);
    if (!strstr(err_msg(&e), words))
        fail_msg("\"%s\" is not in \"%s\"", words, err_msg(&e));
}

static void test_refused(void **state) {
    auto_free char *oci = (char *)xstrdup("x");
    auto_err e = ERR_INIT;

    (void)state;
    refuse("{", "Decoding seccomp profile failed: ");
    refuse("[]", "Decoding seccomp profile failed: ");
    refuse("{\"defaultAction\":1}", "Decoding seccomp profile failed: ");
    refuse("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86\"],"
           "\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\"}]}",
           "both 'architectures' and 'archMap'");
    refuse("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"name\":\"a\",\"names\":[\"b\"],"
           "\"action\":\"SCMP_ACT_ALLOW\"}]}",
           "both 'name' and 'names'");
    refuse("{\"defaultAction\":\"NONSENSE\"}", "NONSENSE is not a valid action");
    refuse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
           "\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":9,\"op\":\"SCMP_CMP_EQ\"}]}]}",
           "more than 6 arguments");
    refuse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
           "\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,\"op\":\"X\"}]}]}",
           "X is not a valid operator");
    refuse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"VAX\"]}",
           "VAX is not a valid arch");
    refuse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"F\"]}", "seccomp flags \"F\"");
    assert_int_equal(seccomp_profile_check("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", &e), 0);
    assert_true(seccomp_profile_check("nonsense", &e) < 0);
    free(oci);
    oci = NULL;
    assert_int_equal(seccomp_profile_resolve("{}", 0, &oci, NULL), 0);
    assert_null(oci);
}

/* The result of fn in a child under the program. */
static int in_child(const struct seccomp_program *p, int (*fn)(void)) {
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_install(p, NULL) < 0)
            _exit(200);
        _exit(fn());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int try_unshare(void) {
    return unshare(CLONE_NEWNS) < 0 ? errno : 0;
}

static int try_future(void) {
    return syscall(1000) < 0 ? errno : 0;
}

static int try_getpid(void) {
    return getpid() > 0 ? 0 : 1;
}

static void test_in_force(void **state) {
    auto_seccomp_program p = {0};

    (void)state;
    build(NULL, LCAP_DEFAULT, 0, &p);
    assert_int_equal(in_child(&p, try_unshare), EPERM);
    assert_int_equal(in_child(&p, try_future), ENOSYS);
    assert_int_equal(in_child(&p, try_getpid), 0);
}

/* A program that asks for one number after the other, and for one of them looks at an argument. */
static size_t long_program(struct sock_filter *p, unsigned calls) {
    size_t n = 0;

    p[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4);
    p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 2, 0);
    p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FOREIGN, 1, 0);
    p[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD);
    p[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    for (unsigned i = 0; i < calls; i++) {
        p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, i * 3, 0, 1);
        p[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (i / 7));
    }
    p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1000, 0, 5);
    p[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16);
    p[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0);
    p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x50, 1, 0);
    p[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 111);
    p[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_LOG);
    p[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return n;
}

static void test_compact(void **state) {
    static const uint32_t arches[] = {NATIVE, FOREIGN, NATIVE, 77};
    static const uint32_t far_away[] = {0x3fffffff, 0x40000000, 0x7fffffff, UINT32_MAX};
    auto_free struct sock_filter *p = xcalloc(SECCOMP_PROGRAM_MAX, sizeof *p);
    auto_free struct sock_filter *small = xcalloc(SECCOMP_PROGRAM_MAX, sizeof *small);
    size_t n = long_program(p, 40), count = n;

    (void)state;
    memcpy(small, p, n * sizeof *p);
    /* The two architectures together are longer than the program that shares its tests. */
    assert_int_equal(seccomp_compact(small, &count, arches, 2), -EOPNOTSUPP);
    assert_int_equal(count, n);
    assert_memory_equal(small, p, n * sizeof *p);
    assert_int_equal(seccomp_compact(small, &count, arches, 0), 0);
    assert_int_equal(count, 2);

    p[2].k = NATIVE; /* one architecture */
    memcpy(small, p, n * sizeof *p);
    count = n + 64; /* room: equivalence is what counts here */
    assert_int_equal(seccomp_compact(small, &count, (const uint32_t[]){NATIVE, NATIVE}, 2), 0);
    for (size_t a = 0; a < 4; a++) {
        for (uint32_t i = 0; i < 1104; i++) {
            uint32_t nr = i < 1100 ? i : far_away[i - 1100];

            for (uint64_t arg = 0; arg < 0x100; arg += 0x33) {
                uint64_t args[6] = {arg};
                uint32_t x = 1, y = 2;

                assert_int_equal(seccomp_run(p, n, arches[a], nr, args, &x), 0);
                assert_int_equal(seccomp_run(small, count, arches[a], nr, args, &y), 0);
                assert_int_equal(x, y);
            }
        }
    }
    /* More pieces than a short jump can cross: left alone. */
    n = count = long_program(p, 400);
    assert_int_equal(seccomp_compact(p, &count, arches, 1), -EOPNOTSUPP);
    assert_int_equal(count, n);
}

static void test_cache(void **state) {
    char dir[] = "/tmp/fence-test-seccomp-XXXXXX", path[128];
    auto_free char *a = NULL, *b = NULL, *c = NULL, *none = (char *)xstrdup("x");
    auto_seccomp_program direct = {0};
    auto_seccomp_program loaded = {0};
    auto_seccomp_program empty = {0};
    auto_err e = ERR_INIT;
    int64_t cold, warm;

    (void)state;
    assert_non_null(mkdtemp(dir));
    cold = clock_mono_ns();
    assert_int_equal(seccomp_cache_reference(dir, NULL, LCAP_DEFAULT, 0, &a, &e), 0);
    cold = clock_mono_ns() - cold;
    warm = clock_mono_ns();
    assert_int_equal(seccomp_cache_reference(dir, NULL, LCAP_DEFAULT, 0, &b, &e), 0);
    warm = clock_mono_ns() - warm;
    print_message("cold %lld us, warm %lld us\n", (long long)cold / 1000, (long long)warm / 1000);
    assert_string_equal(a, b);
    assert_int_equal(seccomp_cache_reference(dir, NULL, LCAP_DEFAULT, SECCOMP_MKNOD_NOTIFY, &c, &e),
                     0);
    assert_string_not_equal(a, c);
    assert_int_equal(seccomp_program_load(a, 0, &loaded, &e), 0);
    build(NULL, LCAP_DEFAULT, 0, &direct);
    print_message("%u instructions\n", direct.count);
    assert_int_equal(loaded.count, direct.count);
    assert_memory_equal(loaded.insns, direct.insns, direct.count * sizeof *direct.insns);
    seccomp_program_done(&loaded);
    assert_int_equal(seccomp_program_load(c, 0, &loaded, &e), 0);
    assert_true(loaded.notify);
    assert_int_equal(seccomp_program_load(NULL, 0, &empty, &e), 0);
    assert_int_equal(empty.count, 0);
    assert_int_equal(seccomp_install(&empty, NULL), 0);
    free(none);
    none = NULL;
    assert_int_equal(seccomp_cache_reference(dir, "unconfined", 0, 0, &none, &e), 0);
    assert_null(none);
    /* A damaged file is refused. */
    auto_json *o = NULL;

    assert_int_equal(jsn_parse(a, strlen(a), &o, &e), 0);
    assert_int_equal(truncate(jsn_str(o, "fenceProgram"), 100), 0);
    seccomp_program_done(&loaded);
    assert_true(seccomp_program_load(a, 0, &loaded, &e) < 0);
    (void)snprintf(path, sizeof path, "rm -r %s", dir);
    assert_int_equal(system(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),      cmocka_unit_test(test_caps),
        cmocka_unit_test(test_mknod_notify), cmocka_unit_test(test_custom),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_in_force),
        cmocka_unit_test(test_compact),      cmocka_unit_test(test_cache),
    };

    return cmocka_run_group_tests_name("seccomp", tests, NULL, NULL);
}
