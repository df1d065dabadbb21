/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Cuts connections beside the caller: the kernel locks each of the 262,144 rows of its table while
 * it is walked, 10 ms that a loop thread does not have. What is asked for during a walk is done by
 * one more, all together. The thread is there while there is work; it starts in the network
 * namespace of the caller.
 */
#include "network/conntrack.h"

struct cutter;
struct cutter *cutter_new(void);
/* Waits for what is under way. */
void cutter_free(struct cutter *c);
/* Copies the matches; returns at once. */
void cutter_add(struct cutter *c, const struct ct_match *m, size_t n);
/* Waits until connections to this port of the host are no longer being cut: a new one, to the same
 * container even, could be taken for an old one. Does not wait for others. */
void cutter_wait_port(struct cutter *c, uint8_t proto, uint16_t host_port);
void cutter_wait(struct cutter *c);
