/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The image library from a command line, for comparisons with other tools' archives and trees:
 *     image_tool ROOT load ARCHIVE            prints "id tags..." and the lower directories
 *     image_tool ROOT resave ARCHIVE OUT      load, then save what was loaded
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "format/reader.h"
#include "image/archive.h"
#include "image/datadir.h"
#include "image/layer.h"

static int load(struct layer_store *s, const char *path, struct image_bundle *ret, struct err *e) {
    struct fd_reader in;
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, errno, "cannot open %s", path);
    fd_reader_init(&in, fd, UINT64_MAX);
    int64_t start = clock_mono_ns();
    int r = archive_load(s, &in.base, NULL, ret, e);
    fprintf(stderr, "load: %.3f s\n", (double)(clock_mono_ns() - start) / 1e9);
    return r;
}

static int save(struct layer_store *s, const struct image_bundle *b, const char *path,
                struct err *e) {
    struct fd_writer out;
    auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(e, errno, "cannot open %s", path);
    fd_writer_init(&out, fd);
    int64_t start = clock_mono_ns();
    int r = archive_save(s, b, &out.base, NULL, e);
    fprintf(stderr, "save: %.3f s\n", (double)(clock_mono_ns() - start) / 1e9);
    return r;
}

static int print(struct layer_store *s, const struct image_bundle *b, struct err *e) {
    for (size_t i = 0; i < b->count; i++) {
        auto_strv lower = NULL;
        int r = layer_chain_paths(s, b->items[i].diff_ids, &lower, e);
        if (r < 0)
            return r;
        printf("%s", b->items[i].id);
        strv_for_each (tag, b->items[i].tags)
            printf(" %s", tag);
        printf("\n");
        strv_for_each (path, lower)
            printf("  %s\n", path);
    }
    return 0;
}

int main(int argc, char **argv) {
    struct data_root *root = NULL;
    struct layer_store *s = NULL;
    struct image_bundle b = {0};
    auto_err e = ERR_INIT;
    if (argc < 4)
        return 2;
    int r = data_root_open(argv[1], &root, &e);
    if (r == 0)
        r = layer_store_open(root, &s, &e);
    if (r == 0)
        r = load(s, argv[3], &b, &e);
    if (r == 0)
        r = print(s, &b, &e);
    if (r == 0 && strcmp(argv[2], "resave") == 0 && argc == 5)
        r = save(s, &b, argv[4], &e);
    if (r < 0)
        fprintf(stderr, "%s\n", err_msg(&e));
    /* The references stay: the layers are what the caller looks at. */
    for (size_t i = 0; r == 0 && i < b.count; i++)
        b.layers = NULL;
    image_bundle_done(&b);
    layer_store_close(s);
    data_root_close(root);
    return r < 0;
}
