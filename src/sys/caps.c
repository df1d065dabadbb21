/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"

/* Index = number. */
static const char *const names[LCAP_COUNT] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

const char *lcap_name(unsigned nr) {
    return nr < LCAP_COUNT ? names[nr] : NULL;
}

int lcap_parse(const char *name, unsigned *ret) {
    if (!name)
        return -EINVAL;
    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    if (strcasecmp(name, "OWNER") == 0)
        name = "FOWNER";
    for (unsigned i = 0; i < LCAP_COUNT; i++) {
        if (strcasecmp(name, names[i] + 4) == 0) {
            *ret = i;
            return 0;
        }
    }
    return -EINVAL;
}

char **lcap_names(uint64_t set) {
    char **v = NULL;

    for (unsigned i = 0; i < LCAP_COUNT; i++)
        if (set & LCAP_BIT(i))
            strv_add(&v, names[i]);
    return v;
}

uint64_t lcap_from_names(char *const *list, unsigned *ret_unknown) {
    uint64_t set = 0;
    unsigned unknown = 0, nr;

    strv_for_each (name, list) {
        if (lcap_parse(name, &nr) < 0)
            unknown++;
        else
            set |= LCAP_BIT(nr);
    }
    if (ret_unknown)
        *ret_unknown = unknown;
    return set;
}

uint64_t lcap_kernel(void) {
    static uint64_t known; /* the same answer from every thread: a race is harmless */
    uint64_t set = __atomic_load_n(&known, __ATOMIC_RELAXED);

    if (set)
        return set;
    for (unsigned i = 0; i < LCAP_COUNT; i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0)
            set |= LCAP_BIT(i);
    __atomic_store_n(&known, set, __ATOMIC_RELAXED);
    return set;
}

static int caps_get(struct __user_cap_data_struct data[static 2]) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};

    return syscall(SYS_capget, &head, data) < 0 ? -errno : 0;
}

static int caps_set(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };

    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static uint64_t permitted_of(const struct __user_cap_data_struct data[static 2]) {
    return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

uint64_t lcap_held(void) {
    static uint64_t known; /* the same answer from every thread: a race is harmless */
    struct __user_cap_data_struct data[2] = {0};
    uint64_t set = __atomic_load_n(&known, __ATOMIC_RELAXED), bounding = 0;

    if (set || caps_get(data) < 0)
        return set;
    set = permitted_of(data) & LCAP_ALL;
    for (unsigned i = 0; i < LCAP_COUNT; i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            bounding |= LCAP_BIT(i);
    set &= bounding;
    __atomic_store_n(&known, set, __ATOMIC_RELAXED);
    return set;
}

/* Sums names up; `field` is what Docker calls the list in its refusal. */
static int combine_list(const char *field, char *const *list, uint64_t *ret, bool *ret_all,
                        struct err *e) {
    uint64_t set = 0;
    bool all = false;
    unsigned nr;

    strv_for_each (name, list) {
        if (strcasecmp(name, "ALL") == 0 || strcasecmp(name, "CAP_ALL") == 0) {
            all = true;
            continue;
        }
        if (lcap_parse(name, &nr) < 0) {
            char upper[64] = "";
            size_t n = 0;

            /* Docker shows the normalised name: upper case with the prefix. */
            if (strncasecmp(name, "CAP_", 4) != 0)
                n = 4;
            memcpy(upper, "CAP_", n);
            for (const char *p = name; *p && n < sizeof upper - 1; p++)
                upper[n++] = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
            upper[n] = '\0';
            return err_set(e, ERR_INVALID, "invalid %s: unknown capability: \"%s\"", field, upper);
        }
        set |= LCAP_BIT(nr);
    }
    *ret = set;
    *ret_all = all;
    return 0;
}

int lcap_combine(char *const *adds, char *const *drops, bool privileged, uint64_t held,
                 uint64_t *ret, struct err *e) {
    uint64_t add = 0, drop = 0, set;
    bool add_all = false, drop_all = false;
    int r;

    r = combine_list("CapAdd", adds, &add, &add_all, e);
    if (r == 0)
        r = combine_list("CapDrop", drops, &drop, &drop_all, e);
    if (r < 0)
        return r;
    if (privileged)
        set = LCAP_ALL;
    else if (add_all)
        set = LCAP_ALL & ~drop;
    else if (drop_all)
        set = add;
    else
        set = (LCAP_DEFAULT & ~drop) | add;
    *ret = set & held;
    return 0;
}

int lcap_drop_bounding(uint64_t keep) {
    for (unsigned i = 0; i < 64; i++) {
        /* Numbers above LCAP_COUNT are capabilities of a newer kernel: never kept. */
        if (i < LCAP_COUNT && (keep & LCAP_BIT(i)))
            continue;
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0) {
            if (errno == EINVAL)
                break; /* past the kernel's last one */
            if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 0)
                continue; /* no right to drop, and nothing to drop */
            return -EPERM;
        }
    }
    return 0;
}

int lcap_keep_on_setuid(void) {
    return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int lcap_apply(const struct lcap_sets *sets) {
    struct __user_cap_data_struct data[2] = {0};
    uint64_t permitted, inheritable, bounding = 0;
    int r;

    r = caps_get(data);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < LCAP_COUNT && sets->inheritable >> i; i++)
        if (sets->inheritable & LCAP_BIT(i) && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            bounding |= LCAP_BIT(i);
    permitted = sets->permitted & permitted_of(data);
    /* The kernel lets inheritable grow within the bounding set only. */
    inheritable = sets->inheritable & bounding;

    /* Ambient goes first: it must be empty while inheritable shrinks, and needs no right. A kernel
     * before 4.3 has none (EINVAL). */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return -errno;
    r = caps_set(sets->effective & permitted, permitted, inheritable);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < LCAP_COUNT; i++)
        if (sets->ambient & permitted & inheritable & LCAP_BIT(i))
            if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
                return -errno;
    return prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int lcap_raise_effective(void) {
    struct __user_cap_data_struct data[2] = {0};
    int r;

    r = caps_get(data);
    if (r < 0)
        return r;
    return caps_set(permitted_of(data), permitted_of(data),
                    (uint64_t)data[1].inheritable << 32 | data[0].inheritable);
}
