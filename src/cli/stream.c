/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stream.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

#define CHUNK (32u << 10)

static const struct {
    int number;
    const char *name;
} proxied[] = {
    {SIGHUP, "HUP"},   {SIGINT, "INT"},   {SIGQUIT, "QUIT"}, {SIGTERM, "TERM"},
    {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}, {SIGALRM, "ALRM"}, {SIGCONT, "CONT"},
    {SIGTSTP, "TSTP"}, {SIGPWR, "PWR"},   {SIGIO, "IO"},
};

static struct termios saved_mode;
static bool mode_saved;

static void restore_mode(void) {
    if (mode_saved) {
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &saved_mode); /* on the way out: nothing to do */
        mode_saved = false;
    }
}

bool terminal_size(int fd, unsigned *ret_rows, unsigned *ret_columns) {
    struct winsize w;

    if (ioctl(fd, TIOCGWINSZ, &w) < 0)
        return false;
    *ret_rows = w.ws_row;
    *ret_columns = w.ws_col;
    return true;
}

int detach_keys_parse(const char *text, struct detach_keys *ret, struct err *e) {
    auto_strv parts = str_split(*text ? text : "ctrl-p,ctrl-q", ',');
    struct detach_keys k = {.count = 0};

    strv_for_each (part, parts) {
        const char *letter = str_after(part, "ctrl-");
        unsigned char code;

        if (letter && strlen(letter) == 1 && *letter >= 'a' && *letter <= 'z')
            code = (unsigned char)(*letter - 'a' + 1);
        else if (letter && strlen(letter) == 1 && strchr("@[\\]^_", *letter))
            code = *letter == '@' ? 0 : (unsigned char)(*letter - '[' + 27);
        else if (strlen(part) == 1)
            code = (unsigned char)*part;
        else
            return err_set(e, ERR_INVALID, "invalid detach keys (%s) provided", text);
        if (k.count == DETACH_KEYS_MAX)
            return err_set(e, ERR_INVALID, "invalid detach keys (%s) provided", text);
        k.keys[k.count++] = code;
    }
    *ret = k;
    return 0;
}

static int set_raw(struct stream *s, struct err *e) {
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &saved_mode) < 0)
        return 0; /* no terminal */
    raw = saved_mode;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
        return err_sys(e, errno, "set terminal to raw mode");
    mode_saved = true;
    s->raw = true;
    return atexit(restore_mode) == 0 ? 0 : err_set(e, ERR_SYSTEM, "atexit failed");
}

int stream_open(struct stream *s, struct exchange *x, struct err *e) {
    sigset_t set;

    s->fd = exchange_hijack(x, &s->rest);
    s->signal_fd = -1;
    (void)sigemptyset(&set);
    if (s->proxy)
        for (size_t i = 0; i < sizeof proxied / sizeof *proxied; i++)
            (void)sigaddset(&set, proxied[i].number);
    if (s->tty)
        (void)sigaddset(&set, SIGWINCH);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_sys(e, errno, "sigprocmask");
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        return err_sys(e, errno, "signalfd");
    return s->tty && s->in ? set_raw(s, e) : 0;
}

static void resize(struct stream *s, unsigned more) {
    auto_free char *path = xasprintf("%s/resize", s->object);
    auto_buf query = BUF_INIT;
    unsigned rows, columns;

    if (!s->tty || !terminal_size(STDOUT_FILENO, &rows, &columns))
        return;
    if (rows == 0 && columns == 0 && more == 0)
        return;
    query_add_int(&query, "h", rows + more);
    query_add_int(&query, "w", columns + more);
    /* A process that is gone already has no window. */
    (void)client_post_json(s->client, path, buf_str(&query), NULL, NULL, NULL);
}

void stream_resize(struct stream *s) {
    resize(s, 0);
}

void stream_redraw(struct stream *s) {
    resize(s, 1);
    resize(s, 0);
}

static void on_signal(struct stream *s) {
    struct signalfd_siginfo info;
    auto_free char *path = xasprintf("%s/kill", s->object);

    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGWINCH) {
            stream_resize(s);
            continue;
        }
        for (size_t i = 0; i < sizeof proxied / sizeof *proxied; i++) {
            auto_buf query = BUF_INIT;

            if (proxied[i].number != (int)info.ssi_signo)
                continue;
            query_add(&query, "signal", proxied[i].name);
            /* It may have ended meanwhile, as docker we go on. */
            (void)client_post_json(s->client, path, buf_str(&query), NULL, NULL, NULL);
        }
    }
}

/* ---- output -------------------------------------------------------------------------------- */

/* State of the framing: 8 bytes of header (stream, 0, 0, 0, big-endian length), then the data. */
struct demux {
    unsigned char head[8];
    size_t have;
    uint32_t left;
};

static int demux_write(struct demux *d, const char *p, size_t n, struct err *e) {
    while (n > 0) {
        size_t take;
        int r;

        if (d->left == 0) {
            take = sizeof d->head - d->have;
            if (take > n)
                take = n;
            memcpy(d->head + d->have, p, take);
            d->have += take;
            p += take;
            n -= take;
            if (d->have < sizeof d->head)
                return 0;
            d->have = 0;
            d->left = (uint32_t)d->head[4] << 24 | (uint32_t)d->head[5] << 16 |
                      (uint32_t)d->head[6] << 8 | d->head[7];
            if (d->head[0] > 3)
                return err_set(e, ERR_SYSTEM, "Unrecognized input header: %d", d->head[0]);
            continue;
        }
        take = d->left < n ? d->left : n;
        r = io_write_all(d->head[0] >= 2 ? STDERR_FILENO : STDOUT_FILENO, p, take);
        if (r < 0)
            return err_sys(e, r, "write /dev/%s", d->head[0] >= 2 ? "stderr" : "stdout");
        d->left -= (uint32_t)take;
        p += take;
        n -= take;
    }
    return 0;
}

static int put(const struct stream *s, struct demux *d, const char *p, size_t n, struct err *e) {
    int r;

    if (!s->tty)
        return demux_write(d, p, n, e);
    r = io_write_all(STDOUT_FILENO, p, n);
    return r < 0 ? err_sys(e, r, "write /dev/stdout") : 0;
}

int stream_copy(struct exchange *x, bool multiplexed, struct err *e) {
    auto_free char *data = xmalloc(CHUNK);
    struct demux d = {.have = 0};

    for (;;) {
        ssize_t n = exchange_read(x, data, CHUNK);
        int r;

        if (n == 0 || n == -EPROTO || n == -ECONNRESET)
            return 0;
        if (n < 0)
            return err_sys(e, (int)n, "read from the daemon");
        if (multiplexed) {
            r = demux_write(&d, data, (size_t)n, e);
        } else {
            r = io_write_all(STDOUT_FILENO, data, (size_t)n);
            if (r < 0)
                r = err_sys(e, r, "write /dev/stdout");
        }
        if (r < 0)
            return r;
    }
}

/* ---- input --------------------------------------------------------------------------------- */

struct input {
    size_t matched;      /* detach keys seen so far */
    char pending[CHUNK]; /* read, not yet sent */
    size_t begin, end;
    bool closed;
};

/* Copies what was read to out without a complete or begun detach sequence; true: detach. */
static bool filter_keys(const struct detach_keys *k, struct input *in, const char *data, size_t n,
                        char *out, size_t *ret_len) {
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        if (k->count > 0 && (unsigned char)data[i] == k->keys[in->matched]) {
            if (++in->matched == k->count) {
                *ret_len = len;
                return true;
            }
            continue;
        }
        for (size_t j = 0; j < in->matched; j++)
            out[len++] = (char)k->keys[j];
        in->matched = 0;
        if (k->count > 0 && (unsigned char)data[i] == k->keys[0]) {
            in->matched = 1;
            continue;
        }
        out[len++] = data[i];
    }
    *ret_len = len;
    return false;
}

/* 1: detached. */
static int read_input(struct stream *s, struct input *in, struct err *e) {
    char data[CHUNK - DETACH_KEYS_MAX];
    ssize_t n = read(STDIN_FILENO, data, sizeof data);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n <= 0) {
        in->closed = true; /* a terminal that went away reads as EIO */
        return 0;
    }
    in->begin = in->end = 0;
    if (s->tty)
        return filter_keys(&s->detach, in, data, (size_t)n, in->pending, &in->end);
    memcpy(in->pending, data, (size_t)n);
    in->end = (size_t)n;
    return 0;
}

static void send_input(struct stream *s, struct input *in) {
    ssize_t n =
        send(s->fd, in->pending + in->begin, in->end - in->begin, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n > 0)
        in->begin += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        in->begin = in->end = 0, in->closed = true; /* nobody reads: the output still counts */
}

/* ---- the loop ------------------------------------------------------------------------------ */

static int loop(struct stream *s, int wait_fd, struct input *in, char *data, struct err *e) {
    bool half_closed = !s->in, ended = s->fd < 0, waited = wait_fd < 0;
    struct demux d = {.have = 0};
    int r;

    if (s->rest.len > 0) {
        r = put(s, &d, s->rest.data, s->rest.len, e);
        if (r < 0)
            return r;
    }
    while (!ended || !waited) {
        bool unsent = in->end > in->begin, want_input = s->in && !in->closed && !unsent && !ended;
        struct pollfd p[] = {
            {.fd = ended ? -1 : s->fd, .events = (short)(POLLIN | (unsent ? POLLOUT : 0))},
            {.fd = want_input ? STDIN_FILENO : -1, .events = POLLIN},
            {.fd = s->signal_fd, .events = POLLIN},
            /* once the stream has ended only the exit status is missing */
            {.fd = waited ? -1 : wait_fd, .events = POLLIN},
        };

        if (poll(p, sizeof p / sizeof *p, -1) < 0) {
            if (errno == EINTR)
                continue;
            return err_sys(e, errno, "poll");
        }
        if (p[2].revents)
            on_signal(s);
        if (p[3].revents)
            waited = true;
        if (p[1].revents && read_input(s, in, e) == 1) {
            send_input(s, in);
            return STREAM_DETACHED;
        }
        if (in->end > in->begin)
            send_input(s, in);
        if (!half_closed && in->closed && in->begin == in->end && !ended) {
            (void)shutdown(s->fd, SHUT_WR); /* the far end may be gone already */
            half_closed = true;
        }
        if (p[0].revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t n = read(s->fd, data, CHUNK);

            if (n < 0 && (errno == EINTR || errno == EAGAIN))
                continue;
            if (n <= 0) {
                ended = true;
                continue;
            }
            r = put(s, &d, data, (size_t)n, e);
            if (r < 0)
                return r;
        }
    }
    return STREAM_ENDED;
}

int stream_run(struct stream *s, int wait_fd, struct err *e) {
    auto_free struct input *in = xnew(struct input);
    auto_free char *data = xmalloc(CHUNK);

    return loop(s, wait_fd, in, data, e);
}

void stream_close(struct stream *s) {
    sigset_t set;

    if (s->raw)
        restore_mode();
    s->raw = false;
    fd_close(s->fd);
    fd_close(s->signal_fd);
    s->fd = s->signal_fd = -1;
    buf_done(&s->rest);
    (void)sigfillset(&set);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}
