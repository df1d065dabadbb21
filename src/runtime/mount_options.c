/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_options.h"

#include <stddef.h>
#include <string.h>
#include <sys/mount.h>

#include "base/str.h"
#include "sys/mountfd.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

struct word {
    const char *name;
    uint64_t set, clear;
};

static const struct word attributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"noatime", MOUNT_ATTR_NOATIME, 0},
    {"atime", 0, MOUNT_ATTR_NOATIME},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"norelatime", 0, 0},
    {"strictatime", MOUNT_ATTR_STRICTATIME, 0},
    {"nostrictatime", 0, MOUNT_ATTR_STRICTATIME},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
};

/* Said by mount(8), without meaning here. */
static const char *const ignored[] = {"defaults",    "async",     "nomand", "remount", "loud",
                                      "silent",      "idmap",     "ridmap", "auto",    "noauto",
                                      "norecursive", "recursive", "nocopy"};

static const struct {
    const char *name;
    uint64_t flag;
} propagations[] = {
    {"private", MS_PRIVATE},
    {"slave", MS_SLAVE},
    {"shared", MS_SHARED},
    {"unbindable", MS_UNBINDABLE},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

uint64_t mount_propagation_parse(const char *word, bool *ret_recursive) {
    for (size_t i = 0; i < COUNT(propagations); i++) {
        bool recursive = word[0] == 'r' && str_eq(word + 1, propagations[i].name);
        if (!recursive && !str_eq(word, propagations[i].name))
            continue;
        *ret_recursive = recursive;
        return propagations[i].flag;
    }
    return 0;
}

static const struct word *find_attribute(const char *name) {
    for (size_t i = 0; i < COUNT(attributes); i++)
        if (str_eq(attributes[i].name, name))
            return &attributes[i];
    return NULL;
}

static bool is_ignored(const char *name) {
    for (size_t i = 0; i < COUNT(ignored); i++)
        if (str_eq(ignored[i], name))
            return true;
    return false;
}

/* A later word wins over an earlier one. */
static void apply(uint64_t *set, uint64_t *clear, const struct word *w) {
    if (w->set & MOUNT_ATTR__ATIME)
        *set &= ~(uint64_t)MOUNT_ATTR__ATIME;
    *set = (*set & ~w->clear) | w->set;
    *clear = (*clear & ~w->set) | w->clear;
}

void mount_options_done(struct mount_options *o) {
    o->data = strv_free(o->data);
}

void mount_options_parse(char *const *words, struct mount_options *ret) {
    *ret = (struct mount_options){0};
    strv_for_each (w, words) {
        bool recursive;
        const struct word *a = find_attribute(w);
        uint64_t propagation = mount_propagation_parse(w, &recursive);
        if (a) {
            apply(&ret->set, &ret->clear, a);
        } else if (w[0] == 'r' && (a = find_attribute(w + 1))) {
            apply(&ret->rec_set, &ret->rec_clear, a);
        } else if (propagation) {
            ret->propagation = propagation;
            ret->propagation_rec = recursive;
        } else if (str_eq(w, "bind")) {
            ret->bind = true;
        } else if (str_eq(w, "rbind")) {
            ret->bind = ret->recursive = true;
        } else if (str_eq(w, "z") || str_eq(w, "Z")) {
            ret->relabel = *w;
        } else if (!is_ignored(w)) {
            strv_add(&ret->data, w);
        }
    }
}

uint64_t mount_attr_clear_for(uint64_t set, uint64_t clear) {
    return set & MOUNT_ATTR__ATIME || clear & MOUNT_ATTR__ATIME ? clear | MOUNT_ATTR__ATIME : clear;
}
