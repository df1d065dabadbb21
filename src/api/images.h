/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Handlers of the image routes that live in files of their own, and what they share. */
#include "api/call.h"

struct image;

/* The image that the path names; answers 404 (and ends the call) when there is none. */
struct image *images_of_call(struct api_call *c);
/* The familiar form of a canonical reference. Owned by the caller. */
char *images_familiar(const char *canonical);
/* i (may be NULL) gives its labels. */
void images_event(struct engine *eng, const struct image *i, const char *id, const char *name,
                  const char *action);
/* One element of GET /images/json; `count` counts its containers (else -1). */
void images_summary(struct engine *eng, const struct image *i, int version, bool count,
                    int64_t shared, struct jw *w);

void images_load(struct api_call *c);
void images_create(struct api_call *c);
void images_save(struct api_call *c);
void images_save_one(struct api_call *c);
