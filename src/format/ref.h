/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Image references (the grammar of distribution/reference) and their familiar form. */
#include <stdbool.h>

#include "base/err.h"

struct image_ref {
    char *domain; /* "docker.io" when none was given */
    char *path;   /* "library/busybox" */
    char *tag;    /* NULL when none */
    char *digest; /* NULL when none */
};
void image_ref_done(struct image_ref *r);
/* ERR_INVALID "invalid reference format" (Docker's texts, also for upper case and 64-hex names). */
int image_ref_parse(const char *s, struct image_ref *ret, struct err *e);
/* Sets tag "latest" when neither tag nor digest is there. */
void image_ref_default_tag(struct image_ref *r);
/* "busybox", "user/app", "reg:5000/x": domain docker.io and library/ left out. Owned by caller. */
char *image_ref_familiar_name(const struct image_ref *r);
/* Familiar name with :tag and @digest. */
char *image_ref_familiar(const struct image_ref *r);
/* "docker.io/library/busybox" with :tag and @digest. */
char *image_ref_canonical(const struct image_ref *r);
bool image_tag_is_valid(const char *tag);
/* Filter patterns (`busy*`, `reg/app:1.*`) as docker images --filter reference= matches them
 * (Go's path.Match against the familiar forms). */
bool image_ref_match(const char *pattern, const struct image_ref *r);
