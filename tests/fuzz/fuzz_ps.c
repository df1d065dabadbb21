/* SPDX-License-Identifier: Apache-2.0 */
/* Input: arguments of ps, a stat file, a status file, a passwd file and an id map, with a NUL
 * between each two. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api/ps.h"
#include "base/alloc.h"
#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARGS, STAT, STATUS, PASSWD, MAP, PARTS };

static void print_row(const struct ps_format *f, const struct ps_host *h,
                      const struct ps_process *p) {
    for (size_t i = 0; i < f->n_cells; i++) {
        auto_buf cell = BUF_INIT;

        ps_column_print(f->cells[i].column, f->cells[i].width, f, h, p, &cell);
        if (memchr(buf_str(&cell), '\n', cell.len))
            __builtin_trap();
    }
    for (size_t i = 0; i < f->n_sort; i++) {
        double v;

        (void)ps_column_order(f->sort[i].column, f, h, p, &v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    auto_free char *text = xmalloc(size + 1);
    const char *parts[PARTS], *end = text + size;
    struct ps_format f = {0};
    struct ps_process p = {.fd = -1};
    struct ps_host h = {.hz = 100,
                        .page_kib = 4,
                        .memory_kib = 1 << 20,
                        .now_ns = 1700000000 * NS_PER_SEC,
                        .boot_ns = 100 * NS_PER_SEC};
    const char *at = text;

    memcpy(text, data, size);
    text[size] = '\0';
    for (int i = 0; i < PARTS; i++) {
        parts[i] = at;
        at += strlen(at);
        if (at < end)
            at++;
    }
    ps_names_parse(parts[PASSWD], &h.users);
    (void)ps_id_map_parse(parts[MAP], &h.uids); /* a broken one leaves it empty */
    ps_status_parse(parts[STATUS], &p);
    if (ps_format_parse(parts[ARGS], &f, NULL) == 0) {
        if (f.n_cells == 0)
            __builtin_trap();
        if (ps_stat_parse(parts[STAT], &p) == 0)
            print_row(&f, &h, &p);
        ps_format_done(&f);
    } else if (f.cells || f.sort) {
        __builtin_trap();
    }
    ps_process_done(&p);
    ps_host_done(&h);
    return 0;
}
