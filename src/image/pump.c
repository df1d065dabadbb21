/* SPDX-License-Identifier: Apache-2.0 */
#include "image/pump.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"

#define PUMP_BLOCK  (256u << 10)
#define PUMP_BLOCKS 8

struct block {
    size_t len;
    char data[PUMP_BLOCK];
};

struct pump {
    struct reader reader;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct block *blocks[PUMP_BLOCKS]; /* a ring; allocated at first use */
    unsigned head, filled;             /* the consumer's block, and how many are full */
    size_t at;                         /* read of the head block; the consumer's */
    int end;                           /* 1: ended, < 0: failed */
    bool abandoned;
};

static ssize_t read_queue(struct reader *r, void *out, size_t n) {
    struct pump *p = container_of(r, struct pump, reader);
    pthread_mutex_lock(&p->lock);
    while (p->filled == 0 && p->end == 0)
        pthread_cond_wait(&p->changed, &p->lock);
    bool any = p->filled > 0;
    int end = p->end;
    pthread_mutex_unlock(&p->lock);
    if (!any)
        return end < 0 ? end : 0;
    struct block *b = p->blocks[p->head];
    if (n > b->len - p->at)
        n = b->len - p->at;
    memcpy(out, b->data + p->at, n);
    p->at += n;
    if (p->at < b->len)
        return (ssize_t)n;
    p->at = 0;
    pthread_mutex_lock(&p->lock);
    p->head = (p->head + 1) % PUMP_BLOCKS;
    p->filled--;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return (ssize_t)n;
}

struct pump *pump_new(void) {
    struct pump *p = xnew(struct pump);
    p->reader.read = read_queue;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    return p;
}

void pump_free(struct pump *p) {
    if (!p)
        return;
    for (size_t i = 0; i < PUMP_BLOCKS; i++)
        free(p->blocks[i]);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

struct reader *pump_reader(struct pump *p) {
    return &p->reader;
}

void pump_abandon(struct pump *p) {
    pthread_mutex_lock(&p->lock);
    p->abandoned = true;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* Waits for a free block. NULL: abandoned. */
static struct block *next_free(struct pump *p) {
    pthread_mutex_lock(&p->lock);
    while (p->filled == PUMP_BLOCKS && !p->abandoned)
        pthread_cond_wait(&p->changed, &p->lock);
    bool gone = p->abandoned;
    unsigned i = (p->head + p->filled) % PUMP_BLOCKS;
    pthread_mutex_unlock(&p->lock);
    if (gone)
        return NULL;
    /* Only this thread touches blocks that are not filled. */
    if (!p->blocks[i])
        p->blocks[i] = xmalloc(sizeof(struct block));
    return p->blocks[i];
}

static void publish(struct pump *p, bool block, int end) {
    pthread_mutex_lock(&p->lock);
    if (block)
        p->filled++;
    if (end)
        p->end = end;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

int pump_fill(struct pump *p, struct reader *from, struct digest *hash, uint64_t *ret_count) {
    uint64_t count = 0;
    for (;;) {
        struct block *b = next_free(p);
        if (!b)
            return -EPIPE;
        ssize_t n = reader_full(from, b->data, sizeof(b->data));
        if (n < 0) {
            publish(p, false, (int)n);
            return (int)n;
        }
        b->len = (size_t)n;
        count += (uint64_t)n;
        bool last = b->len < sizeof(b->data);
        /* Before it is handed over: afterwards the block may be filled again at any moment. */
        if (hash)
            digest_update(hash, b->data, b->len);
        publish(p, n > 0, last ? 1 : 0);
        if (last) {
            *ret_count = count;
            return 0;
        }
    }
}
