/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sizes and durations for people, as docker/go-units prints and parses them. */
#include <stdint.h>

#define UNITS_TEXT_MAX 48
/* "64m", "1.5g", "10kb", "1024": binary units. -EINVAL, -ERANGE. */
int units_parse_bytes(const char *s, int64_t *ret);
/* "1.23MB" (decimal, 4 significant digits) and "12.5MiB" (binary). Return out. */
char *units_human_size(uint64_t bytes, char out[static UNITS_TEXT_MAX]);
char *units_bytes_size(uint64_t bytes, char out[static UNITS_TEXT_MAX]);
/* "Less than a second", "5 seconds", "About a minute", "3 hours", ... */
char *units_human_duration(int64_t ns, char out[static UNITS_TEXT_MAX]);
