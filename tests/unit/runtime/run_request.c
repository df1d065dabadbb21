/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for people and tests: starts a spawner, sends one request, attaches to what runs, prints
 * what comes back and ends with the container's status.
 *
 *     run_request <fence-spawner> <request.json> [net=PID|ipc=PID|pid=PID|exec=PID ...]
 *
 * Output of the process goes to stdout, messages of the protocol to stderr. Standard input is
 * passed on when it is no terminal. RAW in the environment: the output has no frames (tty). REPEAT:
 * so many times in a row, for measurements.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "monitor/protocol.h"
#include "runtime/spawn_client.h"
#include "sys/fdpass.h"
#include "sys/procfd.h"

static int parse_join(const char *arg, struct spawn_joins *joins) {
    static const char *const names[] = {"net=", "ipc=", "pid=", "exec="};
    int *const slots[] = {&joins->net, &joins->ipc, &joins->pid, &joins->exec};
    for (size_t i = 0; i < 4; i++) {
        const char *value = str_after(arg, names[i]);
        uint64_t pid;
        if (!value || str_to_u64(value, &pid) < 0)
            continue;
        *slots[i] = pidfd_open_pid((pid_t)pid);
        return *slots[i];
    }
    return -EINVAL;
}

static int request_from_file(const char *path) {
    auto_buf text = BUF_INIT;
    int r = io_read_file_at(AT_FDCWD, path, &text);
    if (r < 0)
        return r;
    auto_fd fd = memfd_create("request", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = io_write_all(fd, text.data, text.len);
    return r < 0 ? r : take_fd(&fd);
}

static int attach(int conn, bool mux) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    struct mon_msg m = {.magic = MON_MAGIC,
                        .version = MON_VERSION,
                        .type = MON_ATTACH,
                        .client = 1,
                        .flags = MON_ATTACH_STDIN | MON_ATTACH_STDOUT | MON_ATTACH_STDERR |
                                 MON_ATTACH_STDIN_CLOSES | (mux ? MON_ATTACH_MUX : 0)};
    int r = fdpass_send(conn, &m, sizeof(m), &pair[1], 1);
    close(pair[1]);
    return r < 0 ? r : pair[0];
}

/* Passes bytes through and drops the frames' headers. */
struct demux {
    unsigned char header[8];
    size_t have, left;
};

static void show(struct demux *d, bool mux, const unsigned char *p, size_t n) {
    while (n) {
        if (!mux) {
            fwrite(p, 1, n, stdout);
            break;
        }
        if (!d->left) {
            d->header[d->have++] = *p++;
            n--;
            if (d->have == 8) {
                d->have = 0;
                d->left = (size_t)d->header[4] << 24 | (size_t)d->header[5] << 16 |
                          (size_t)d->header[6] << 8 | d->header[7];
            }
            continue;
        }
        size_t take = n < d->left ? n : d->left;
        fwrite(p, 1, take, stdout);
        p += take;
        n -= take;
        d->left -= take;
    }
    fflush(stdout);
}

static int64_t start_ns;

/* The status to end with, or -1: go on. */
static int serve_message(int conn) {
    struct {
        struct mon_msg m;
        char text[MON_TEXT_MAX];
    } in;
    int fds[4];
    size_t n_fds = 4;
    ssize_t n = fdpass_recv(conn, &in, sizeof(in), fds, &n_fds);
    if (n <= 0) {
        fprintf(stderr, "connection ended: %zd\n", n);
        return 125;
    }
    for (size_t i = 0; i < n_fds; i++)
        close(fds[i]);
    double ms = (double)(clock_mono_ns() - start_ns) / 1e6;
    switch (in.m.type) {
    case MON_STARTED:
        fprintf(stderr, "started pid=%lld start_time=%lld fds=%zu after %.2f ms\n",
                (long long)in.m.pid, (long long)in.m.start_time, n_fds, ms);
        return -1;
    case MON_FAILED: {
        const char *class = in.text, *text = in.text + strnlen(in.text, in.m.text_len) + 1;
        fprintf(stderr, "failed errno=%d class=%s after %.2f ms: %.*s\n", in.m.status, class, ms,
                (int)((size_t)in.m.text_len - strlen(class) - 1), text);
        return 125;
    }
    case MON_EXIT:
        fprintf(stderr, "exit status=%d oom=%d after %.2f ms\n", in.m.status, in.m.oom, ms);
        return in.m.status & 0xff;
    default:
        fprintf(stderr, "message %u\n", in.m.type);
        return -1;
    }
}

static void pass_input(int client, short *events) {
    char data[4096];
    ssize_t n = read(STDIN_FILENO, data, sizeof(data));
    if (n > 0 && io_write_all(client, data, (size_t)n) >= 0)
        return;
    shutdown(client, SHUT_WR);
    *events = 0;
}

static int serve(int conn, int client, bool mux) {
    struct demux d = {0};
    struct pollfd p[3] = {{conn, POLLIN, 0},
                          {client, POLLIN, 0},
                          {isatty(STDIN_FILENO) ? -1 : STDIN_FILENO, POLLIN, 0}};
    for (;;) {
        if (poll(p, 3, -1) < 0 && errno != EINTR)
            return 125;
        if (p[1].revents) {
            unsigned char data[65536];
            ssize_t n = read(client, data, sizeof(data));
            if (n > 0)
                show(&d, mux, data, (size_t)n);
            else
                p[1].fd = -1;
            continue; /* output before the exit message */
        }
        if (p[2].revents) {
            pass_input(client, &p[2].events);
            if (!p[2].events)
                p[2].fd = -1;
        }
        if (p[0].revents) {
            int status = serve_message(conn);
            if (status >= 0)
                return status;
        }
    }
}

static int run_once(int control, int request, const struct spawn_joins *joins) {
    auto_err e = ERR_INIT;
    bool mux = !getenv("RAW");
    int pair[2], status = 125;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return status;
    int client = attach(pair[0], mux);
    start_ns = clock_mono_ns();
    int r = client < 0 ? client : spawner_request(control, request, pair[1], joins, &e);
    close(pair[1]);
    if (r >= 0)
        status = serve(pair[0], client, mux);
    else
        fprintf(stderr, "%s\n", err_msg(&e));
    close(pair[0]);
    close(client);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: run_request SPAWNER REQUEST [net=PID|ipc=PID|pid=PID|exec=PID]\n");
        return 2;
    }
    auto_err e = ERR_INIT;
    struct spawn_joins joins = SPAWN_JOINS_NONE;
    for (int i = 3; i < argc; i++) {
        if (parse_join(argv[i], &joins) < 0) {
            fprintf(stderr, "bad argument %s\n", argv[i]);
            return 2;
        }
    }
    struct spawner spawner;
    if (spawner_start(argv[1], &spawner, &e) < 0) {
        fprintf(stderr, "%s\n", err_msg(&e));
        return 125;
    }
    /* The figure is for a spawner that has started already. */
    struct timespec settle = {.tv_nsec = 100 * 1000 * 1000};
    nanosleep(&settle, NULL);
    auto_fd request = request_from_file(argv[2]);
    if (request < 0) {
        fprintf(stderr, "cannot read %s\n", argv[2]);
        return 125;
    }
    const char *repeat = getenv("REPEAT");
    int status = 125;
    for (int n = repeat ? atoi(repeat) : 1; n > 0; n--)
        status = run_once(spawner.control, request, &joins);
    spawner_stop(&spawner);
    return status;
}
