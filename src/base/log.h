/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Structured logging, in logrus' text form (what dockerd writes) or as JSON lines.
 *
 *     log_warn("cannot remove cgroup", "container", id, "error", err_msg(&e));
 *
 * After the message come pairs of key and value strings; the macros add the closing NULL. Thread
 * safe: one write() a line. Layers below engine/ log at debug level only.
 */
#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_set_format(enum log_format format);
/* "debug", "info", "warn", "error", "fatal" as dockerd's --log-level. -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret);
void log_write(enum log_level level, const char *msg, ...) __attribute__((sentinel));

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__, (char *)0)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__, (char *)0)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__, (char *)0)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__, (char *)0)
