/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Intrusive doubly linked lists; a head is a node that links to itself when empty. */
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

#define LIST_INIT(head)                                                                            \
    { &(head), &(head) }
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l) {
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *head) {
    return head->next == head;
}

static inline void list_append(struct list *head, struct list *node) {
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Leaves the node linked to itself, so removing twice is harmless. */
static inline void list_remove(struct list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#define list_first(head, type, member)                                                             \
    (list_empty(head) ? NULL : container_of((head)->next, type, member))
#define list_for_each(it, head, member)                                                            \
    for (it = container_of((head)->next, __typeof__(*it), member); &it->member != (head);          \
         it = container_of(it->member.next, __typeof__(*it), member))
/* The current element may be removed and freed. */
#define list_for_each_safe(it, tmp, head, member)                                                  \
    for (it = container_of((head)->next, __typeof__(*it), member),                                 \
        tmp = container_of(it->member.next, __typeof__(*it), member);                              \
         &it->member != (head);                                                                    \
         it = tmp, tmp = container_of(tmp->member.next, __typeof__(*tmp), member))
