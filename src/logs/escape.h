/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Escaping for JSON strings, in the form of Docker's json-file driver: <, >, & and the separators
 * U+2028 and U+2029 as \uXXXX, invalid bytes as \ufffd. */
#include <stddef.h>

/* No input byte becomes more than this many. */
#define LOG_ESCAPE_MAX 6
/* Room that log_escape wants behind its output: it stores whole vectors. */
#define LOG_ESCAPE_SLACK 16

/* Escapes p[0..n) to `out`, which has room for n * LOG_ESCAPE_MAX + LOG_ESCAPE_SLACK bytes. Returns
 * the number written. */
size_t log_escape(char *out, const char *p, size_t n);

/* The length of p[0..n) without a UTF-8 sequence that is cut off at its end (n when none is). */
size_t log_utf8_whole(const char *p, size_t n);
