/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The program compares the number of the call with constants only, so what it does is constant
 * between two neighbours among these constants: running it once for each of them tells the whole
 * function. Equal neighbours are joined and a binary search over the rest is written. Where the
 * arguments matter, the instructions from the first argument on are copied as they are.
 */
#include "runtime/seccomp_compact.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "runtime/seccomp.h"

/* Where a run ended. */
struct outcome {
    uint32_t action;
    bool at_args; /* at the instruction `pc`, which loads an argument */
    size_t pc;
};

enum loaded { LOADED_NOTHING, LOADED_NR, LOADED_ARCH, LOADED_ARG };

static int run(const struct sock_filter *p, size_t count, uint32_t arch, uint32_t nr,
               const uint64_t *args, struct outcome *ret) {
    enum loaded what = LOADED_NOTHING;
    uint32_t a = 0;

    for (size_t pc = 0; pc < count;) {
        const struct sock_filter *i = &p[pc++];
        bool taken;

        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (i->k == offsetof(struct seccomp_data, nr)) {
                a = nr;
                what = LOADED_NR;
            } else if (i->k == offsetof(struct seccomp_data, arch)) {
                a = arch;
                what = LOADED_ARCH;
            } else if (i->k >= offsetof(struct seccomp_data, args) &&
                       i->k + 4 <= sizeof(struct seccomp_data) && i->k % 4 == 0) {
                if (!args) {
                    *ret = (struct outcome){.at_args = true, .pc = pc - 1};
                    return 0;
                }
                memcpy(&a, (const char *)args + i->k - offsetof(struct seccomp_data, args), 4);
                what = LOADED_ARG;
            } else {
                return -EINVAL;
            }
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            if (what != LOADED_ARG)
                return -EINVAL;
            a &= i->k;
            continue;
        case BPF_RET | BPF_K:
            *ret = (struct outcome){.action = i->k};
            return 0;
        case BPF_JMP | BPF_JA:
            pc += i->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            taken = a == i->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            taken = a > i->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            taken = a >= i->k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            if (what != LOADED_ARG)
                return -EINVAL;
            taken = (a & i->k) != 0;
            break;
        default:
            return -EINVAL;
        }
        pc += taken ? i->jt : i->jf;
    }
    return -EINVAL;
}

int seccomp_run(const struct sock_filter *insns, size_t count, uint32_t arch, uint32_t nr,
                const uint64_t args[6], uint32_t *ret_action) {
    struct outcome o;
    int r = run(insns, count, arch, nr, args, &o);

    if (r == 0)
        *ret_action = o.action;
    return r;
}

/* ---- the function as pieces ----------------------------------------------------------------- */

struct piece {
    uint32_t from; /* up to the next one's */
    struct outcome what;
};

struct pieces {
    struct piece *list;
    size_t count;
};

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Every number at which the outcome may change, sorted. */
static uint32_t *breakpoints(const struct sock_filter *p, size_t count, size_t *ret_count) {
    uint32_t *v = xcalloc(2 * count + 1, sizeof *v);
    size_t n = 1; /* v[0] = 0 */

    for (size_t i = 0; i < count; i++) {
        if (BPF_CLASS(p[i].code) != BPF_JMP || BPF_OP(p[i].code) == BPF_JA)
            continue;
        v[n++] = p[i].k;
        if (p[i].k < UINT32_MAX)
            v[n++] = p[i].k + 1;
    }
    qsort(v, n, sizeof *v, compare_u32);
    *ret_count = n;
    return v;
}

static bool same(const struct outcome *a, const struct outcome *b) {
    return a->at_args == b->at_args && (a->at_args ? a->pc == b->pc : a->action == b->action);
}

static int find_pieces(const struct sock_filter *p, size_t count, uint32_t arch,
                       struct pieces *ret) {
    auto_free uint32_t *at = NULL;
    size_t n = 0;

    at = breakpoints(p, count, &n);
    ret->list = xcalloc(n, sizeof *ret->list);
    ret->count = 0;
    for (size_t i = 0; i < n; i++) {
        struct outcome o;
        int r = run(p, count, arch, at[i], NULL, &o);

        if (r < 0)
            return r;
        if (ret->count > 0 && same(&ret->list[ret->count - 1].what, &o))
            continue;
        ret->list[ret->count++] = (struct piece){.from = at[i], .what = o};
    }
    return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

#define LEAVES_MAX 64

struct writer {
    struct sock_filter insns[SECCOMP_PROGRAM_MAX];
    size_t count;
    bool failed;
    /* Distinct outcomes of one architecture; written behind its search. */
    struct outcome leaves[LEAVES_MAX];
    size_t leaf_count;
    /* Jumps of the search that lead to leaves. */
    struct {
        size_t insn, leaf;
        bool if_true;
    } fix[2 * SECCOMP_PROGRAM_MAX];
    size_t fix_count;
};

static size_t put(struct writer *w, uint16_t code, uint32_t k) {
    if (w->count == SECCOMP_PROGRAM_MAX) {
        w->failed = true;
        return 0;
    }
    w->insns[w->count] = (struct sock_filter){.code = code, .k = k};
    return w->count++;
}

static size_t leaf_of(struct writer *w, const struct outcome *o) {
    for (size_t i = 0; i < w->leaf_count; i++)
        if (same(&w->leaves[i], o))
            return i;
    if (w->leaf_count == LEAVES_MAX) {
        w->failed = true;
        return 0;
    }
    w->leaves[w->leaf_count] = *o;
    return w->leaf_count++;
}

static void put_fix(struct writer *w, size_t insn, bool if_true, const struct outcome *o) {
    if (w->fix_count == sizeof w->fix / sizeof w->fix[0]) {
        w->failed = true;
        return;
    }
    w->fix[w->fix_count].insn = insn;
    w->fix[w->fix_count].if_true = if_true;
    w->fix[w->fix_count++].leaf = leaf_of(w, o);
}

/* Searches list[0..n), n > 1: one comparison a piece. */
static void put_search(struct writer *w, const struct piece *list, size_t n) {
    size_t mid = n / 2, here = put(w, BPF_JMP | BPF_JGE | BPF_K, list[mid].from);

    if (w->failed)
        return;
    /* The lower half follows at once. */
    if (mid == 1)
        put_fix(w, here, false, &list[0].what);
    else
        put_search(w, list, mid);
    if (n - mid == 1) {
        put_fix(w, here, true, &list[mid].what);
    } else {
        if (w->count - here - 1 > UINT8_MAX)
            w->failed = true;
        w->insns[here].jt = (uint8_t)(w->count - here - 1);
        put_search(w, list + mid, n - mid);
    }
}

/* Copies what can be reached from `pc`; offsets only shrink. */
static void put_copy(struct writer *w, const struct sock_filter *p, size_t count, size_t pc) {
    auto_free size_t *place = xcalloc(count + 1, sizeof *place); /* 1 + new index; 0: not reached */
    auto_free bool *reached = xcalloc(count + 1, sizeof *reached);

    reached[pc] = true;
    for (size_t i = pc; i < count && !w->failed; i++) {
        bool jump = BPF_CLASS(p[i].code) == BPF_JMP, always = BPF_OP(p[i].code) == BPF_JA;
        size_t next[2] = {i + 1, i + 1};

        if (!reached[i])
            continue;
        place[i] = put(w, p[i].code, p[i].k) + 1;
        if (BPF_CLASS(p[i].code) == BPF_RET)
            continue;
        if (jump) {
            next[0] += always ? p[i].k : p[i].jt;
            next[1] += always ? p[i].k : p[i].jf;
        }
        if (next[0] >= count || next[1] >= count)
            w->failed = true; /* out of the program: not for us */
        else
            reached[next[0]] = reached[next[1]] = true;
    }
    for (size_t i = pc; i < count && !w->failed; i++) {
        struct sock_filter *to;
        size_t after;

        if (!reached[i] || BPF_CLASS(p[i].code) != BPF_JMP)
            continue;
        after = place[i]; /* index behind the copy */
        to = &w->insns[place[i] - 1];
        if (BPF_OP(p[i].code) == BPF_JA) {
            to->k = (uint32_t)(place[i + 1 + p[i].k] - 1 - after);
        } else {
            to->jt = (uint8_t)(place[i + 1 + p[i].jt] - 1 - after);
            to->jf = (uint8_t)(place[i + 1 + p[i].jf] - 1 - after);
        }
    }
}

static void put_leaf(struct writer *w, const struct sock_filter *p, size_t count,
                     const struct outcome *o) {
    if (o->at_args)
        put_copy(w, p, count, o->pc);
    else
        (void)put(w, BPF_RET | BPF_K, o->action);
}

/* The accumulator holds the architecture; leaves it there for the next part. */
static int put_arch(struct writer *w, const struct sock_filter *p, size_t count, uint32_t arch) {
    struct pieces all = {0};
    size_t start[LEAVES_MAX], over;
    int r = find_pieces(p, count, arch, &all);

    if (r < 0) {
        free(all.list);
        return r;
    }
    w->leaf_count = w->fix_count = 0;
    over = put(w, BPF_JMP | BPF_JEQ | BPF_K, arch);
    w->insns[over].jt = 1;
    over = put(w, BPF_JMP | BPF_JA, 0);
    (void)put(w, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    if (all.count > 1)
        put_search(w, all.list, all.count);
    else
        (void)leaf_of(w, &all.list[0].what);
    /* First the constant ones: one instruction each, so that all jumps reach them; then jumps to
     * the copies, which may be far. */
    for (size_t i = 0; i < w->leaf_count; i++)
        start[i] = w->leaves[i].at_args ? put(w, BPF_JMP | BPF_JA, 0)
                                        : put(w, BPF_RET | BPF_K, w->leaves[i].action);
    for (size_t i = 0; i < w->leaf_count && !w->failed; i++) {
        if (!w->leaves[i].at_args)
            continue;
        w->insns[start[i]].k = (uint32_t)(w->count - start[i] - 1);
        put_leaf(w, p, count, &w->leaves[i]);
    }
    for (size_t i = 0; i < w->fix_count && !w->failed; i++) {
        size_t insn = w->fix[i].insn, distance = start[w->fix[i].leaf] - insn - 1;

        if (distance > UINT8_MAX)
            w->failed = true;
        else if (w->fix[i].if_true)
            w->insns[insn].jt = (uint8_t)distance;
        else
            w->insns[insn].jf = (uint8_t)distance;
    }
    if (!w->failed)
        w->insns[over].k = (uint32_t)(w->count - over - 1);
    free(all.list);
    return 0;
}

int seccomp_compact(struct sock_filter *insns, size_t *count, const uint32_t *arches,
                    size_t arch_count) {
    auto_free struct writer *w = xnew(struct writer);
    struct outcome other, first;
    int r;

    (void)put(w, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    for (size_t i = 0; i < arch_count; i++) {
        bool again = false;

        for (size_t k = 0; k < i; k++)
            again = again || arches[k] == arches[i];
        if (!again && put_arch(w, insns, *count, arches[i]) < 0)
            return -EOPNOTSUPP;
    }
    /* Any other architecture gets one answer for all calls, or this is not our kind of filter. */
    r = run(insns, *count, 0, 0, NULL, &first);
    if (r == 0)
        r = run(insns, *count, 0, UINT32_MAX, NULL, &other);
    if (r < 0 || first.at_args || !same(&first, &other))
        return -EOPNOTSUPP;
    (void)put(w, BPF_RET | BPF_K, first.action);
    if (w->failed || w->count > *count)
        return -EOPNOTSUPP;
    memcpy(insns, w->insns, w->count * sizeof *insns);
    *count = w->count;
    return 0;
}
