/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The log options that put something into each line: tag, labels, env, and the two that choose
 * names by a regular expression (POSIX extended). */
#include "base/err.h"
#include "base/map.h"
#include "oci/container_config.h"

/* What a tag can name; borrowed. */
struct log_facts {
    const char *id, *name, *image_id, *image_name;
    const char *path; /* program, and its arguments */
    char *const *args;
};

/* ERR_INVALID: a tag with a field that is not known, a wrong expression. */
int log_attrs_check(const struct strmap *options, struct err *e);
/* A JSON object, owned by the caller; NULL when there is nothing in it. Of checked options. */
char *log_attrs_text(const struct strmap *options, const struct container_config *c,
                     const struct log_facts *f);
