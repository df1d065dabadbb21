/* SPDX-License-Identifier: Apache-2.0 */

/*
 * dns_load NAME RATE SECONDS: asks 127.0.0.11 for NAME's IPv4 address RATE times a second, whether
 * answers come or not, and prints how many came and after how long, counted from the moment at
 * which the question was due: a server that falls behind cannot hide it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUERY_MAX 300
#define RATE_MAX  1000000

static int64_t now_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* this clock is always there */
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static size_t make_query(const char *name, uint8_t *out) {
    static const uint8_t head[12] = {0, 0, 1, 0, 0, 1};
    size_t len = sizeof head;
    memcpy(out, head, sizeof head);
    while (*name && len < QUERY_MAX - 70) {
        size_t label = strcspn(name, ".");
        if (label == 0 || label > 63)
            return 0;
        out[len++] = (uint8_t)label;
        memcpy(out + len, name, label);
        len += label;
        name += label + (name[label] == '.');
    }
    memcpy(out + len, "\0\0\1\0\1", 5);
    return *name ? 0 : len + 5;
}

static int compare(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    uint8_t query[QUERY_MAX], answer[2048];
    long rate = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
    long seconds = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    size_t len = argc == 4 ? make_query(argv[1], query) : 0;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x7f00000b)};
    static int64_t due[65536];
    int room = 4 << 20;

    if (len == 0 || rate < 1 || rate > RATE_MAX || seconds < 1 || seconds > 3600) {
        fprintf(stderr, "usage: dns_load NAME RATE SECONDS\n");
        return 2;
    }
    long total = rate * seconds, sent = 0, got = 0;
    int64_t *took = calloc((size_t)total, sizeof *took);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (!took || fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("dns_load");
        return 1;
    }
    int64_t start = now_ns(), end = start + seconds * 1000000000LL;
    for (int64_t now = start; now < end + 1000000000LL && got < total; now = now_ns()) {
        while (sent < total && start + sent * 1000000000LL / rate <= now) {
            uint16_t id = (uint16_t)sent;
            query[0] = (uint8_t)(id >> 8);
            query[1] = (uint8_t)id;
            due[id] = start + sent * 1000000000LL / rate;
            sent++;
            if (send(fd, query, len, 0) < 0 && errno != EAGAIN && errno != ECONNREFUSED) {
                perror("dns_load: send");
                return 1;
            }
        }
        ssize_t n;
        while ((n = recv(fd, answer, sizeof answer, 0)) >= 12) {
            int64_t *since = &due[answer[0] << 8 | answer[1]];
            /* An address, of a question that is open. */
            if (answer[7] == 0 || *since == 0)
                continue;
            took[got++] = now_ns() - *since;
            *since = 0;
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        const struct timespec pause = {.tv_nsec = 50000};
        (void)ppoll(&p, 1, &pause, NULL); /* woken early: it looks again */
    }
    qsort(took, (size_t)got, sizeof *took, compare);
    printf("answers=%ld lost=%ld p50_us=%lld p99_us=%lld max_us=%lld\n", got, sent - got,
           got ? (long long)took[got / 2] / 1000 : -1,
           got ? (long long)took[got * 99 / 100] / 1000 : -1,
           got ? (long long)took[got - 1] / 1000 : -1);
    close(fd);
    free(took);
    return 0;
}
