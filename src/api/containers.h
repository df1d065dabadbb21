/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Handlers of the container routes that live in files of their own. */
#include "api/call.h"

struct container;

/* The container that the path names; answers 404 (and ends the call) when there is none. */
struct container *call_container(struct api_call *c);
/* container_done for calls that answer 204. */
void call_done_204(void *arg, struct err *e);

/* Content type of a hijacked or log stream. Static. */
const char *call_stream_type(const struct api_call *c, bool tty);
/* h and w of a resize. ERR_INVALID. */
int call_size_query(struct api_call *c, int64_t *ret_rows, int64_t *ret_cols, struct err *e);

void containers_list(struct api_call *c);
void containers_inspect(struct api_call *c);
void containers_update(struct api_call *c);
void containers_ports_explain(struct api_call *c);
void containers_logs(struct api_call *c);
void containers_attach(struct api_call *c);
void containers_attach_ws(struct api_call *c);
void containers_resize(struct api_call *c);
void containers_top(struct api_call *c);
void containers_stats(struct api_call *c);
void containers_changes(struct api_call *c);
void containers_export(struct api_call *c);
void containers_archive_get(struct api_call *c);
void containers_archive_head(struct api_call *c);
void containers_archive_put(struct api_call *c);
void containers_copy(struct api_call *c);
void containers_commit(struct api_call *c);
