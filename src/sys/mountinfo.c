/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"

/* A host with a thousand containers shows a few thousand mounts of some 300 bytes. */
#define MOUNTINFO_MAX (16u << 20)

void mountinfo_done(struct mountinfo *m) {
    for (size_t i = 0; i < m->count; i++) {
        free(m->entries[i].mount_point);
        free(m->entries[i].fs_type);
        free(m->entries[i].options);
        free(m->entries[i].tags);
    }
    free(m->entries);
    *m = (struct mountinfo){0};
}

/* Blank, tab, newline and backslash come as \ooo. */
static char *unescape(const char *s, size_t n) {
    char *out = xmalloc(n + 1), *p = out;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\\' && i + 3 < n && s[i + 1] >= '0' && s[i + 1] <= '3') {
            *p++ = (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 | (s[i + 3] - '0'));
            i += 3;
        } else {
            *p++ = s[i];
        }
    }
    *p = '\0';
    return out;
}

/* The next blank-separated word of the line. */
static const char *word(const char **p, const char *end, size_t *ret_len) {
    const char *s = *p;
    while (s < end && *s == ' ')
        s++;
    const char *e = s;
    while (e < end && *e != ' ')
        e++;
    *p = e;
    *ret_len = (size_t)(e - s);
    return s;
}

static int parse_line(const char *line, const char *end, struct mountinfo_entry *out) {
    const char *p = line, *w;
    size_t n;
    w = word(&p, end, &n);
    out->id = (int)strtol(w, NULL, 10);
    w = word(&p, end, &n);
    out->parent = (int)strtol(w, NULL, 10);
    (void)word(&p, end, &n); /* device */
    (void)word(&p, end, &n); /* root */
    w = word(&p, end, &n);
    if (!n)
        return -EINVAL;
    out->mount_point = unescape(w, n);
    w = word(&p, end, &n);
    out->options = xstrndup(w, n);
    const char *tags = NULL, *tags_end = NULL;
    for (;;) {
        w = word(&p, end, &n);
        if (!n)
            break;
        if (n == 1 && *w == '-')
            break;
        if (!tags)
            tags = w;
        tags_end = w + n;
    }
    out->tags = tags ? xstrndup(tags, (size_t)(tags_end - tags)) : xstrdup("");
    w = word(&p, end, &n);
    out->fs_type = xstrndup(w, n);
    return n ? 0 : -EINVAL;
}

int mountinfo_parse(const char *text, struct mountinfo *ret) {
    auto_mountinfo m = {0};
    size_t lines = 0;
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    m.entries = xcalloc(lines + 1, sizeof(*m.entries));
    for (const char *p = text; *p;) {
        const char *end = strchrnul(p, '\n');
        if (end > p) {
            int r = parse_line(p, end, &m.entries[m.count++]);
            if (r < 0)
                return r;
        }
        p = *end ? end + 1 : end;
    }
    *ret = m;
    m = (struct mountinfo){0};
    return 0;
}

int mountinfo_read(struct mountinfo *ret) {
    auto_buf text = {.max = MOUNTINFO_MAX};
    int r = io_read_file_at(AT_FDCWD, "/proc/self/mountinfo", &text);
    if (r < 0)
        return r;
    return mountinfo_parse(buf_str(&text), ret);
}

const struct mountinfo_entry *mountinfo_by_id(const struct mountinfo *m, int id) {
    for (size_t i = 0; i < m->count; i++)
        if (m->entries[i].id == id)
            return &m->entries[i];
    return NULL;
}

int mount_id_of(int fd, int *ret) {
    struct statx st;
    /* Without DONT_SYNC, FUSE asks its process for attributes that nobody wanted before Linux 6.6,
     * and one that does not answer would hold the caller for good. */
    int flags = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
    if (statx(fd, "", flags, STATX_MNT_ID, &st) < 0)
        return -errno;
    if (!(st.stx_mask & STATX_MNT_ID))
        return -EOPNOTSUPP;
    *ret = (int)st.stx_mnt_id;
    return 0;
}
