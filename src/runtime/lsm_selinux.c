/* SPDX-License-Identifier: Apache-2.0 */

/* Labels of SELinux: what the policy has for containers, and what a container makes of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/lsm.h"

#define FILE_MAX   (1u << 20)
#define CATEGORIES 1024
/* Of files that no confined process may use: random pairs never have it. */
#define LEVEL_APART "s0:c1022,c1023"

/* ---- files of the policy -------------------------------------------------------------------- */

/* The value of `key = "value"` in a file with comments; the caller's, or NULL. */
static char *value_of(const char *text, const char *key) {
    auto_strv lines = str_split(text, '\n');

    strv_for_each (line, lines) {
        const char *at = line + strspn(line, " \t");
        const char *rest = str_after(at, key);
        size_t n;

        if (*at == '#' || *at == ';' || !rest)
            continue;
        rest += strspn(rest, " \t");
        if (*rest != '=')
            continue;
        rest++;
        rest += strspn(rest, " \t\"");
        n = strlen(rest);
        while (n > 0 && strchr(" \t\r\"", rest[n - 1]))
            n--;
        return xstrndup(rest, n);
    }
    return NULL;
}

static int read_below(const char *root, const char *path, struct buf *ret) {
    auto_free char *full = xasprintf("%s%s", root, path);

    return io_read_file_at(AT_FDCWD, full, ret);
}

void lsm_contexts_read(const char *root, struct lsm_contexts *ret) {
    auto_buf text = {.max = FILE_MAX};
    struct lsm_contexts c;

    *ret = (struct lsm_contexts){0};
    if (read_below(root, "/usr/share/containers/selinux/contexts", &text) < 0) {
        auto_buf config = {.max = FILE_MAX};
        auto_free char *type = NULL, *path = NULL;

        if (read_below(root, "/etc/selinux/config", &config) < 0)
            return;
        type = value_of(buf_str(&config), "SELINUXTYPE");
        path = xasprintf("/etc/selinux/%s/contexts/lxc_contexts", str_or_empty(type));
        if (read_below(root, path, &text) < 0)
            return;
    }
    c.process = value_of(buf_str(&text), "process");
    c.file = value_of(buf_str(&text), "file");
    if (str_empty(c.process) || str_empty(c.file))
        lsm_contexts_done(&c);
    *ret = c;
}

void lsm_contexts_done(struct lsm_contexts *c) {
    free(c->process);
    free(c->file);
    *c = (struct lsm_contexts){0};
}

/* ---- labels --------------------------------------------------------------------------------- */
enum part { USER, ROLE, TYPE, LEVEL, PARTS };
static const char *const part_names[PARTS] = {"user", "role", "type", "level"};

/* user:role:type:level; the level may be missing, and may contain colons. */
struct label {
    char *part[PARTS];
};

static void label_done(struct label *l) {
    for (size_t i = 0; i < PARTS; i++)
        free(l->part[i]);
}

static int label_split(const char *text, struct label *l) {
    for (size_t i = 0; i < PARTS; i++) {
        const char *colon = i < LEVEL ? strchr(text, ':') : NULL;

        if (i < TYPE && !colon)
            return -EINVAL;
        l->part[i] = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
        if (!colon)
            return 0;
        text = colon + 1;
    }
    return 0;
}

static char *label_text(const struct label *l) {
    const char *level = str_or_empty(l->part[LEVEL]);

    return xasprintf("%s:%s:%s%s%s", l->part[USER], l->part[ROLE], l->part[TYPE], *level ? ":" : "",
                     level);
}

/* Policies without levels give containers none. */
static void label_set_level(struct label *l, const char *level) {
    if (!str_empty(l->part[LEVEL]))
        str_set(&l->part[LEVEL], level);
}

void lsm_level_random(char out[static LSM_LEVEL_MAX]) {
    unsigned a, b;

    do {
        uint64_t n = random_u64();

        a = (unsigned)(n % CATEGORIES);
        b = (unsigned)(n / CATEGORIES % CATEGORIES);
        snprintf(out, LSM_LEVEL_MAX, "s0:c%u,c%u", a < b ? a : b, a < b ? b : a);
    } while (a == b || str_eq(out, LEVEL_APART));
}

const char *lsm_label_level(const char *label) {
    for (size_t i = 0; i < LEVEL && label; i++) {
        label = strchr(label, ':');
        label = label ? label + 1 : NULL;
    }
    return str_or_empty(label);
}

void lsm_label_options(const char *label, char ***ret) {
    struct label l = {0};

    if (!str_empty(label) && label_split(label, &l) == 0) {
        for (size_t i = 0; i < PARTS; i++)
            if (!str_empty(l.part[i]))
                strv_take(ret, xasprintf("label=%s:%s", part_names[i], l.part[i]));
    }
    label_done(&l);
}

static int apply_option(const char *opt, struct label *process, struct label *mount,
                        struct err *e) {
    const char *colon = strchr(opt, ':');
    auto_free char *key = colon ? xstrndup(opt, (size_t)(colon - opt)) : NULL;

    if (!colon)
        return err_set(e, ERR_INVALID,
                       "bad label option \"%s\", valid options 'disable' or \n'user, role, level, "
                       "type, filetype' followed by ':' and a value",
                       opt);
    if (str_eq(key, "filetype")) {
        str_set(&mount->part[TYPE], colon + 1);
        return 0;
    }
    for (size_t i = 0; i < PARTS; i++) {
        if (!str_eq(key, part_names[i]))
            continue;
        str_set(&process->part[i], colon + 1);
        if (i == USER || i == LEVEL)
            str_set(&mount->part[i], colon + 1);
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "bad label option \"%s\", valid options 'disable, user, role, level, type, "
                   "filetype'",
                   key);
}

int lsm_selinux_labels(const struct lsm_contexts *c, const char *level, char *const *opts,
                       char **ret_process, char **ret_mount, struct err *e) {
    struct label process = {0}, mount = {0};
    bool disabled = false;
    int r = 0;

    if (!c->process) {
        *ret_process = *ret_mount = NULL;
        return 0;
    }
    if (label_split(c->process, &process) < 0 || label_split(c->file, &mount) < 0) {
        r = err_set(e, ERR_SYSTEM, "the SELinux policy has invalid labels for containers: %s, %s",
                    c->process, c->file);
        goto out;
    }
    label_set_level(&process, level);
    label_set_level(&mount, level);
    strv_for_each (opt, opts) {
        if (str_eq(opt, "disable")) {
            disabled = true;
            label_set_level(&mount, LEVEL_APART);
            break;
        }
        r = apply_option(opt, &process, &mount, e);
        if (r < 0)
            goto out;
    }
    *ret_process = disabled ? NULL : label_text(&process);
    *ret_mount = label_text(&mount);
out:
    label_done(&process);
    label_done(&mount);
    return r;
}
