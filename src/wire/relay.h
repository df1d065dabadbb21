/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Carries bytes between a client's connection and one end of a socketpair, on the loop: for TLS,
 * whose bytes no other process can take, and for WebSocket. Each direction has a bounded buffer and
 * stops reading while that is full; the end of one direction is passed on and leaves the other
 * open.
 */
#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "loop/loop.h"
#include "wire/xport.h"

enum relay_mode {
    RELAY_RAW,
    RELAY_WS_TEXT,   /* towards the client in text frames */
    RELAY_WS_BINARY, /* in binary frames */
};

struct relay;
/*
 * Moves from *x; owns fd; takes the bytes of *early (already read from the client) and *out (still
 * to be written to it, as they are). on_end(arg) is called when the relay ends, not by relay_free.
 * NULL with errno when fd or the connection cannot be watched: both are closed then.
 */
struct relay *relay_new(struct loop *l, struct xport *x, int fd, enum relay_mode mode,
                        const void *early, size_t early_len, const void *out, size_t out_len,
                        void (*on_end)(void *arg), void *arg);
/* Where the owner keeps it; relay_free takes it off. */
void relay_link(struct relay *r, struct list *relays);
struct relay *relay_first(const struct list *relays);
/* Cuts both sides. */
void relay_free(struct relay *r);
