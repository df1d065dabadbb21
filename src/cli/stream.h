/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The raw connection of run, start, attach and exec: terminal in raw mode, stdin to the container,
 * stdout and stderr back (multiplexed without a terminal), window size, signals and detach keys.
 */
#include <stdbool.h>

#include "cli/client.h"

#define DETACH_KEYS_MAX 32

struct detach_keys {
    unsigned char keys[DETACH_KEYS_MAX];
    size_t count;
};
/* "ctrl-p,ctrl-q"; "" gives the default of docker. ERR_INVALID. */
int detach_keys_parse(const char *text, struct detach_keys *ret, struct err *e);

struct stream {
    struct client *client;
    /* "/containers/<id>" or "/exec/<id>": resize and kill are below it. Borrowed. */
    const char *object;
    bool tty;          /* the container has a terminal: no framing */
    bool in, out, err; /* what is attached */
    bool proxy;        /* signals go to the container */
    struct detach_keys detach;
    /* Set by stream_open, restored by stream_close. */
    int fd; /* the hijacked connection, owned */
    struct buf rest;
    bool raw;
    int signal_fd;
};

enum { STREAM_ENDED = 0, STREAM_DETACHED = 1 };

/* Takes the connection of an exchange that has status 101 (or 200: an old daemon). */
int stream_open(struct stream *s, struct exchange *x, struct err *e);
/* The window size to the daemon: once the process runs. */
void stream_resize(struct stream *s);
/* The same in two steps, so that a program that runs already draws its screen again. */
void stream_redraw(struct stream *s);
/* Copies until the container's side ends and, with wait_fd >= 0, until that is readable too.
 * STREAM_ENDED, STREAM_DETACHED or -errno. */
int stream_run(struct stream *s, int wait_fd, struct err *e);
void stream_close(struct stream *s);

/* Copies a multiplexed (or plain) body, as `logs` gets it, to stdout and stderr. */
int stream_copy(struct exchange *x, bool multiplexed, struct err *e);
/* The size of the terminal at fd; false when it is none. */
bool terminal_size(int fd, unsigned *ret_rows, unsigned *ret_columns);
