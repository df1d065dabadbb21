/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A compiled program as a file: this head, then the instructions. Native byte order: it never
 * leaves the machine. */
#include <stdint.h>

#define SECCOMP_FILE_MAGIC   0x46424c53u
#define SECCOMP_FILE_VERSION 1u
#define SECCOMP_FILE_KEY     "fenceProgram"

struct seccomp_file_head {
    uint32_t magic, version, flags, notify, count;
};
