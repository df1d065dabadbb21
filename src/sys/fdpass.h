/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Messages with descriptors over unix sockets (SOCK_SEQPACKET; on SOCK_STREAM the caller frames).
 * Received descriptors are close-on-exec and belong to the caller.
 */
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The kernel's SCM_MAX_FD. */
#define FDPASS_MAX 253

/* One message of `n_iov` parts. MSG_NOSIGNAL. 0, or -errno (-EAGAIN on a non-blocking socket). */
int fdpass_sendv(int sock, const struct iovec *iov, size_t n_iov, const int *fds, size_t n_fds);
int fdpass_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds);
/* One message. *n_fds: room on entry, count on return. Returns the length, 0 at the end, -errno.
 * A message or a descriptor list that does not fit is closed and refused: -EMSGSIZE. */
ssize_t fdpass_recv(int sock, void *data, size_t size, int *fds, size_t *n_fds);
