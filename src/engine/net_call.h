/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Interfaces of running containers, changed by a set-up process. Loop thread. */
#include "base/err.h"
#include "runtime/request.h"

struct engine;

/*
 * Has the request (op "connect" or "disconnect", runtime/request.h) carried out for the container
 * behind net_pidfd; both are borrowed. done() is called exactly once, mostly from the loop later
 * and then 0 is returned; when nothing could be sent it is called before the return of -errno. The
 * error is what the set-up process says, with everything undone; or ERR_SYSTEM when it ended
 * without an answer, of which something may be left: a disconnect removes it. A request that a
 * dying spawner may have lost is made again, once.
 */
int net_call(struct engine *eng, const struct rt_request *q, int net_pidfd,
             void (*done)(void *arg, struct err *e), void *arg);
/* Ends those that are on their way: done() gets ERR_UNAVAILABLE. What they ask for may hold
 * afterwards or not; adoption looks. */
void net_call_drop_all(struct engine *eng);
