/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The engine's own API socket bound into a container (-v /var/run/docker.sock:...). The owner and
 * mode of the file decide who may connect, and in a user namespace the host's root:docker is
 * nobody: such a container gets a socket of its own, owned by its root, served for as long as it
 * runs: what it asks before its start is recorded waits in the backlog. Loop thread.
 */
#include "base/err.h"
#include "oci/runtime_spec.h"

struct container;

/* Replaces the source of binds of one of our sockets in `spec`. */
int api_socket_replace(struct container *c, struct oci_spec *spec, struct err *e);
/* The container runs. */
void api_socket_serve(struct container *c);
/* At the container's end. */
void api_socket_close(struct container *c);
