/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The open files of a rotated log, oldest first, as they stood at one moment. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "format/reader.h"

struct log_file {
    int fd;
    dev_t dev;
    ino_t ino;
    bool is_gz, is_live;
};
struct log_files {
    struct log_file *files;
    size_t count;
};

/* Opens what there is; a log that does not exist has no files. */
int log_files_open(const char *path, struct log_files *ret, struct err *e);
void log_files_done(struct log_files *s);

/* Where the last `lines` lines of the set begin. */
struct log_position {
    size_t file;   /* index; count of files: behind the end */
    off_t offset;  /* plain files */
    uint64_t skip; /* compressed files: lines from the beginning that are not wanted */
};
int log_files_tail(const struct log_files *s, uint64_t lines, struct log_position *ret,
                   struct err *e);
