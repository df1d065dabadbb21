/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;
static _Atomic enum log_format format = LOG_FORMAT_TEXT;
static const char *const names[] = {"debug", "info", "warning", "error"};

void log_set_level(enum log_level level) {
    atomic_store(&threshold, level);
}

enum log_level log_get_level(void) {
    return atomic_load(&threshold);
}

void log_set_format(enum log_format f) {
    atomic_store(&format, f);
}

int log_level_parse(const char *name, enum log_level *ret) {
    static const struct {
        const char *name;
        enum log_level level;
    } table[] = {{"debug", LOG_LEVEL_DEBUG}, {"info", LOG_LEVEL_INFO},
                 {"warn", LOG_LEVEL_WARN},   {"warning", LOG_LEVEL_WARN},
                 {"error", LOG_LEVEL_ERROR}, {"fatal", LOG_LEVEL_ERROR},
                 {"panic", LOG_LEVEL_ERROR}};

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (str_eq(table[i].name, name)) {
            *ret = table[i].level;
            return 0;
        }
    return -EINVAL;
}

static void put_quoted(struct buf *b, const char *s) {
    buf_putc(b, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_puts(b, "\\n");
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_putc(b, (char)c);
    }
    buf_putc(b, '"');
}

static bool is_plain(const char *s) {
    return *s &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/@^+") ==
               strlen(s);
}

static void put_pair(struct buf *b, bool json, const char *key, const char *value) {
    if (json) {
        buf_putc(b, ',');
        put_quoted(b, key);
        buf_putc(b, ':');
        put_quoted(b, value);
        return;
    }
    buf_printf(b, "%s%s=", b->len ? " " : "", key);
    if (is_plain(value))
        buf_puts(b, value);
    else
        put_quoted(b, value);
}

void log_write(enum log_level level, const char *msg, ...) {
    bool json = atomic_load(&format) == LOG_FORMAT_JSON;
    struct buf b = {.max = 64 << 10};
    char when[TIME_TEXT_MAX];
    va_list ap;

    if (level < atomic_load(&threshold))
        return;
    time_format_fixed(clock_real_ns(), when);
    if (json) {
        buf_puts(&b, "{\"time\":");
        put_quoted(&b, when);
    } else {
        buf_printf(&b, "time=\"%s\"", when);
    }
    put_pair(&b, json, "level", names[level]);
    if (json) {
        put_pair(&b, json, "msg", msg);
    } else {
        buf_puts(&b, " msg=");
        put_quoted(&b, msg);
    }
    va_start(ap, msg);
    for (const char *key; (key = va_arg(ap, const char *));) {
        const char *value = va_arg(ap, const char *);

        put_pair(&b, json, key, value ? value : "");
    }
    va_end(ap);
    if (json)
        buf_putc(&b, '}');
    buf_putc(&b, '\n');
    if (b.data)
        (void)io_write_all(STDERR_FILENO, b.data, b.len); /* nowhere to report a failure */
    buf_done(&b);
}
