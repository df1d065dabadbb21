/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Clocks, RFC 3339 and Go durations. Nanoseconds are int64_t since the epoch, units in the name. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_SEC INT64_C(1000000000)
#define NS_PER_MS  INT64_C(1000000)

int64_t clock_real_ns(void);
int64_t clock_mono_ns(void);

#define TIME_TEXT_MAX 80
/* 2026-01-02T03:04:05.006007008Z, the fraction without trailing zeros as Go's RFC3339Nano; 0 is
 * Go's zero time, "0001-01-01T00:00:00Z". Returns out. */
char *time_format(int64_t ns, char out[static TIME_TEXT_MAX]);
/* The same with all nine digits of the fraction: log files want lines of equal form. */
char *time_format_fixed(int64_t ns, char out[static TIME_TEXT_MAX]);
/* RFC 3339 with any offset and fraction. -EINVAL. */
int time_parse(const char *s, int64_t *ret_ns);
/* What Docker takes for since and until: seconds[.fraction] since the epoch, RFC 3339 with parts
 * left out, or a duration before `now_ns`. -EINVAL. */
int time_parse_filter(const char *s, int64_t now_ns, int64_t *ret_ns);
/* Go's time.ParseDuration: "1h2m3.5s". -EINVAL. */
int duration_parse(const char *s, int64_t *ret_ns);
