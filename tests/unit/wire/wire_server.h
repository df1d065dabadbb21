/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The server under test: on a thread of its own, with a handler for each way to answer. */
#include <stdatomic.h>
#include <stdbool.h>

#include "wire_client.h"

extern atomic_uint wire_gone;      /* /wait requests whose client went away */
extern atomic_uint wire_waiting;   /* /wait requests that are held */
extern atomic_uint wire_io_gone;   /* /worker-wait: told by http_io_on_gone */
extern atomic_int wire_worker_end; /* result of the last /worker-* */
extern atomic_uint wire_ended;     /* user data of requests freed */

/* Starts a server on a socket of its own in /tmp; ctx NULL: plain; tcp: on 127.0.0.1. */
void wire_server_start(struct ssl_ctx_st *ctx, bool tcp, const struct http_timeouts *t);
void wire_server_stop(void);
void wire_connect(struct client *c, SSL_CTX *client_ctx);
/* Waits until *value >= want. */
void wire_wait_for(atomic_uint *value, unsigned want);
