/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Random identifiers and hexadecimal text. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_LEN       64 /* container, exec, image and volume ids: 32 bytes in hex */
#define ID_SHORT_LEN 12

void random_bytes(void *out, size_t n);
uint64_t random_u64(void);
/* The value of a hexadecimal digit of either case, or -1. */
int hex_value(char c);
/* 2 * n digits and a NUL. */
void hex_encode(const void *bytes, size_t n, char *out);
/* -EINVAL unless s holds exactly 2 * n lower- or upper-case digits. */
int hex_decode(const char *s, void *out, size_t n);
/* A new id; never all digits in its short form (Docker does the same: such a host name would be
 * taken for a number). */
void id_new(char out[static ID_LEN + 1]);
bool id_is_valid(const char *s);
