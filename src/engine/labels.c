/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/labels.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/lsm.h"

/* Of half a million pairs of categories; two containers that share one are no disaster. */
#define ATTEMPTS 1000

void labels_open(struct engine *eng) {
    if (!eng->options.selinux_enabled)
        return;
    if (!eng->lsm.selinux) {
        log_warn("Docker could not enable SELinux on the host system");
        return;
    }
    eng->selinux = true;
    lsm_contexts_read("", &eng->contexts);
    if (!eng->contexts.process) {
        log_warn("the SELinux policy has no labels for containers (lxc_contexts): they get none");
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        const char *label = i ? eng->contexts.file : eng->contexts.process;

        if (!lsm_label_is_known(label))
            log_warn("the SELinux policy names a label for containers that it does not know: they "
                     "cannot be started until its module for containers is installed",
                     "label", label);
    }
}

static bool is_taken(struct engine *eng, const char *level) {
    map_for_each (it, &eng->containers) {
        const struct container *c = it->value;

        if (str_eq(lsm_label_level(c->rec.process_label), level) ||
            str_eq(lsm_label_level(c->rec.mount_label), level))
            return true;
    }
    return false;
}

static bool names_label(const struct host_config *h) {
    strv_for_each (opt, h->security_opt) {
        if (str_starts(opt, "label=") || str_starts(opt, "label:"))
            return true;
    }
    return false;
}

/* Processes that see each other's objects have one label; create has found the containers. */
static int join(struct container *c, struct err *e) {
    struct host_config *h = &c->rec.host;
    const char *const modes[] = {h->ipc_mode, h->pid_mode};
    const char *label = NULL;

    if (names_label(h))
        return 0;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const char *name = mode_container(modes[i]);
        const struct container *other = name ? container_find(c->engine, name, NULL) : NULL;

        if (!other)
            continue;
        if (label && !str_eq(label, str_or_empty(other->rec.process_label)))
            return err_set(e, ERR_INVALID,
                           "--ipc and --pid containers SELinux labels aren't the same");
        label = str_or_empty(other->rec.process_label);
    }
    lsm_label_options(label, &h->security_opt);
    return 0;
}

int labels_choose(struct container *c, struct err *e) {
    struct security_options so = {0};
    char level[LSM_LEVEL_MAX];
    int r;

    if (!c->engine->selinux)
        return 0;
    r = join(c, e);
    if (r == 0)
        r = security_options_parse(c->rec.host.security_opt, &so, e);
    if (r < 0)
        return r;
    lsm_level_random(level);
    for (unsigned i = 0; i < ATTEMPTS && is_taken(c->engine, level); i++)
        lsm_level_random(level);
    r = lsm_selinux_labels(&c->engine->contexts, level, so.label, &c->rec.process_label,
                           &c->rec.mount_label, e);
    security_options_done(&so);
    return r;
}

const char *labels_of_process(const struct container *c) {
    return c->engine->lsm.selinux && !c->rec.host.privileged ? c->rec.process_label : NULL;
}

const char *labels_of_mounts(const struct container *c) {
    return c->engine->lsm.selinux ? c->rec.mount_label : NULL;
}
