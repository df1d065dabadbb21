/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Attaching to a container and waiting for it: run, start and attach. */
#include "cli/stream.h"

/* Asks for the raw connection with the streams of s. x holds it after status 101. */
int session_attach(struct client *c, const char *object, const struct stream *s,
                   const char *detach_keys, struct exchange *x, struct err *e);
/* Sends the wait request; the answer comes when the container ends. */
int session_wait(struct client *c, const char *object, const char *condition, struct exchange *x,
                 struct err *e);
/* The exit status from the answer of a wait. */
int session_status(struct exchange *wait, int *ret, struct err *e);
/* What to poll for the answer; -1 when it is here already. */
int session_wait_fd(const struct exchange *wait);
