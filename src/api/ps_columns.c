/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/ps.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

#define NAME_WIDTH  8 /* of users and groups */
#define WCHAN_WIDTH 6
#define ARGS_MAX    (32u << 10) /* of a command line */
#define DAY_S       86400
#define SMALL_MAX   4096

struct cell {
    const struct ps_format *format;
    const struct ps_host *host;
    const struct ps_process *p;
    unsigned width;
    struct buf *out;
};

enum order { ORDER_TEXT, ORDER_NUMBER, ORDER_CPU_TIME, ORDER_AGE, ORDER_START };

struct ps_column {
    const char *name, *title;
    void (*print)(const struct cell *c);
    enum order order;
};

/* ---- helpers --------------------------------------------------------------------------------- */
/* What a file below /proc/PID holds; empty when it cannot be read. */
static void read_small(const struct cell *c, const char *file, struct buf *text) {
    text->max = SMALL_MAX;
    if (c->p->fd < 0 || io_read_file_at(c->p->fd, file, text) < 0)
        buf_clear(text);
    while (text->len > 0 && (text->data[text->len - 1] == '\n' || text->data[text->len - 1] == 0))
        text->data[--text->len] = '\0';
}

static int64_t age_s(const struct cell *c) {
    int64_t start_ns = (int64_t)(c->p->start_ticks * (uint64_t)(NS_PER_SEC / c->host->hz));

    return c->host->boot_ns > start_ns ? (c->host->boot_ns - start_ns) / NS_PER_SEC : 0;
}

static time_t start_time(const struct cell *c) {
    return (time_t)(c->host->now_ns / NS_PER_SEC - age_s(c));
}

static uint64_t cpu_s(const struct cell *c) {
    return c->p->cpu_ticks / (uint64_t)c->host->hz;
}

/* CPU time over life time, in tenths of a percent. */
static uint64_t cpu_permille(const struct cell *c) {
    int64_t age = age_s(c);

    return age > 0 ? c->p->cpu_ticks * 1000 / (uint64_t)c->host->hz / (uint64_t)age : 0;
}

static bool start_tm(const struct cell *c, struct tm *ret) {
    time_t at = start_time(c);

    return localtime_r(&at, ret) != NULL;
}

/* n: what strftime made of it, 0 for nothing. */
static void print_time(const struct cell *c, const char *text, size_t n) {
    if (n > 0)
        buf_append(c->out, text, n);
    else
        buf_putc(c->out, '-');
}

/* Control characters would break a terminal. */
static void puts_clean(struct buf *out, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        buf_putc(out, (unsigned char)s[i] < 0x20 || s[i] == 0x7f ? '?' : s[i]);
}

/* The name of an id; too long for the column it ends with a "+", as ps prints it. */
static void print_name(const struct cell *c, const struct map *names, uint32_t id) {
    unsigned width = c->width ? c->width : NAME_WIDTH;
    char number[16];
    const char *name;
    size_t len;

    snprintf(number, sizeof number, "%" PRIu32, id);
    name = c->format->numbers ? NULL : map_get(names, number);
    if (!name)
        name = number;
    len = strlen(name);
    if (len > width && width > 1 && name != number) {
        buf_append(c->out, name, width - 1);
        buf_putc(c->out, '+');
    } else {
        buf_append(c->out, name, len);
    }
}

/* ---- ids ------------------------------------------------------------------------------------- */
static uint32_t uid_of(const struct cell *c, int which) {
    return ps_id_inside(&c->host->uids, c->p->uids[which]);
}

static uint32_t gid_of(const struct cell *c, int which) {
    return ps_id_inside(&c->host->gids, c->p->gids[which]);
}

#define ID_COLUMNS(kind, which)                                                                    \
    static void print_uid_##kind(const struct cell *c) {                                           \
        buf_printf(c->out, "%" PRIu32, uid_of(c, which));                                          \
    }                                                                                              \
    static void print_gid_##kind(const struct cell *c) {                                           \
        buf_printf(c->out, "%" PRIu32, gid_of(c, which));                                          \
    }                                                                                              \
    static void print_user_##kind(const struct cell *c) {                                          \
        print_name(c, &c->host->users, uid_of(c, which));                                          \
    }                                                                                              \
    static void print_group_##kind(const struct cell *c) {                                         \
        print_name(c, &c->host->groups, gid_of(c, which));                                         \
    }
ID_COLUMNS(real, PS_REAL)
ID_COLUMNS(effective, PS_EFFECTIVE)
ID_COLUMNS(saved, PS_SAVED)
ID_COLUMNS(filesystem, PS_FILESYSTEM)

static void print_groups(const struct cell *c, bool names) {
    const char *at = str_or_empty(c->p->groups);
    struct cell whole = *c;
    bool any = false;

    whole.width = UINT_MAX; /* a list is not cut */
    for (;;) {
        char *end;
        unsigned long id = strtoul(at, &end, 10);

        if (end == at)
            break;
        if (any)
            buf_putc(c->out, ',');
        any = true;
        id = ps_id_inside(&c->host->gids, (uint32_t)id);
        if (names)
            print_name(&whole, &c->host->groups, (uint32_t)id);
        else
            buf_printf(c->out, "%lu", id);
        at = end;
    }
    if (!any)
        buf_putc(c->out, '-');
}

static void print_supgid(const struct cell *c) {
    print_groups(c, false);
}

static void print_supgrp(const struct cell *c) {
    print_groups(c, true);
}

/* ---- numbers --------------------------------------------------------------------------------- */
#define NUMBER_COLUMN(name, format, expression)                                                    \
    static void print_##name(const struct cell *c) {                                               \
        buf_printf(c->out, format, expression);                                                    \
    }
NUMBER_COLUMN(pid, "%d", (int)c->p->pid)
NUMBER_COLUMN(tid, "%d", (int)c->p->tid)
NUMBER_COLUMN(ppid, "%" PRId64, c->p->ppid)
NUMBER_COLUMN(pgid, "%" PRId64, c->p->pgrp)
NUMBER_COLUMN(sid, "%" PRId64, c->p->session)
NUMBER_COLUMN(tpgid, "%" PRId64, c->p->tpgid)
NUMBER_COLUMN(nlwp, "%" PRId64, c->p->threads)
NUMBER_COLUMN(psr, "%" PRId64, c->p->processor)
NUMBER_COLUMN(sched, "%" PRId64, c->p->policy)
NUMBER_COLUMN(priority, "%" PRId64, c->p->priority)
NUMBER_COLUMN(pri, "%" PRId64, 39 - c->p->priority)
NUMBER_COLUMN(opri, "%" PRId64, 60 + c->p->priority)
NUMBER_COLUMN(minflt, "%" PRIu64, c->p->minflt)
NUMBER_COLUMN(majflt, "%" PRIu64, c->p->majflt)
NUMBER_COLUMN(vsz, "%" PRIu64, c->p->vsize / 1024)
NUMBER_COLUMN(rss, "%" PRIu64, c->p->rss_pages * c->host->page_kib)
NUMBER_COLUMN(size, "%" PRIu64, c->p->data_kib + c->p->stack_kib) /* what could go to swap */
NUMBER_COLUMN(sz, "%" PRIu64, c->p->vsize / 1024 / c->host->page_kib)
NUMBER_COLUMN(pending, "%016" PRIx64, c->p->pending)
NUMBER_COLUMN(blocked, "%016" PRIx64, c->p->blocked)
NUMBER_COLUMN(ignored, "%016" PRIx64, c->p->ignored)
NUMBER_COLUMN(caught, "%016" PRIx64, c->p->caught)
NUMBER_COLUMN(cputimes, "%" PRIu64, cpu_s(c))
NUMBER_COLUMN(etimes, "%" PRId64, age_s(c))
/* Did it fork without exec (1), use a superuser's privilege (4)? */
NUMBER_COLUMN(flags, "%" PRIo64, c->p->flags >> 6 & 7)

static uint64_t text_size(const struct cell *c) {
    return c->p->code_end > c->p->code_start ? c->p->code_end - c->p->code_start : 0;
}

static void print_trs(const struct cell *c) {
    buf_printf(c->out, "%" PRIu64, text_size(c) / 1024);
}

static void print_drs(const struct cell *c) {
    uint64_t text = text_size(c);

    buf_printf(c->out, "%" PRIu64, c->p->vsize > text ? (c->p->vsize - text) / 1024 : 0);
}

static void print_c(const struct cell *c) {
    uint64_t percent = cpu_permille(c) / 10;

    buf_printf(c->out, "%" PRIu64, percent > 99 ? 99 : percent);
}

static void print_tenths(struct buf *out, uint64_t v) {
    if (v > 999)
        buf_printf(out, "%" PRIu64, v / 10);
    else
        buf_printf(out, "%" PRIu64 ".%" PRIu64, v / 10, v % 10);
}

static void print_pcpu(const struct cell *c) {
    print_tenths(c->out, cpu_permille(c));
}

static void print_pmem(const struct cell *c) {
    uint64_t v =
        c->host->memory_kib ? c->p->rss_pages * c->host->page_kib * 1000 / c->host->memory_kib : 0;

    print_tenths(c->out, v > 999 ? 999 : v);
}

static void print_nice(const struct cell *c) {
    if (c->p->policy == SCHED_OTHER || c->p->policy == SCHED_BATCH)
        buf_printf(c->out, "%" PRId64, c->p->nice);
    else
        buf_putc(c->out, '-');
}

static void print_rtprio(const struct cell *c) {
    if (c->p->rt_priority > 0)
        buf_printf(c->out, "%" PRId64, c->p->rt_priority);
    else
        buf_putc(c->out, '-');
}

static void print_class(const struct cell *c) {
    static const char *const names[] = {"TS", "FF", "RR", "B", "ISO", "IDL", "DLN"};
    bool known = c->p->policy >= 0 && (size_t)c->p->policy < sizeof names / sizeof *names;

    buf_puts(c->out, known ? names[c->p->policy] : "?");
}

/* ---- times ----------------------------------------------------------------------------------- */
static void print_duration(struct buf *out, uint64_t s, bool hours) {
    if (s >= DAY_S)
        buf_printf(out, "%" PRIu64 "-", s / DAY_S);
    if (hours || s >= 3600)
        buf_printf(out, "%02" PRIu64 ":", s / 3600 % 24);
    buf_printf(out, "%02" PRIu64 ":%02" PRIu64, s / 60 % 60, s % 60);
}

static void print_cputime(const struct cell *c) {
    print_duration(c->out, cpu_s(c), true);
}

static void print_bsdtime(const struct cell *c) {
    buf_printf(c->out, "%" PRIu64 ":%02" PRIu64, cpu_s(c) / 60, cpu_s(c) % 60);
}

static void print_etime(const struct cell *c) {
    print_duration(c->out, (uint64_t)age_s(c), false);
}

/* Hour of the day, day of the year, or year. */
static void print_stime(const struct cell *c) {
    time_t now = (time_t)(c->host->now_ns / NS_PER_SEC);
    struct tm tm, today;
    char text[16];
    size_t n = 0;

    if (start_tm(c, &tm) && localtime_r(&now, &today)) {
        if (tm.tm_year != today.tm_year)
            n = strftime(text, sizeof text, "%Y", &tm);
        else if (tm.tm_yday != today.tm_yday)
            n = strftime(text, sizeof text, "%b%d", &tm);
        else
            n = strftime(text, sizeof text, "%H:%M", &tm);
    }
    print_time(c, text, n);
}

static void print_bsdstart(const struct cell *c) {
    struct tm tm;
    char text[16];
    size_t n = 0;

    if (start_tm(c, &tm))
        n = age_s(c) > DAY_S ? strftime(text, sizeof text, "%b%d", &tm)
                             : strftime(text, sizeof text, "%H:%M", &tm);
    print_time(c, text, n);
}

static void print_start(const struct cell *c) {
    struct tm tm;
    char text[16];
    size_t n = 0;

    if (start_tm(c, &tm))
        n = age_s(c) > DAY_S ? strftime(text, sizeof text, "%b %d", &tm)
                             : strftime(text, sizeof text, "%H:%M:%S", &tm);
    print_time(c, text, n);
}

static void print_lstart(const struct cell *c) {
    struct tm tm;
    char text[64];
    size_t n = 0;

    if (start_tm(c, &tm))
        n = strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &tm);
    print_time(c, text, n);
}

/* ---- texts ----------------------------------------------------------------------------------- */
static void print_state(const struct cell *c) {
    buf_putc(c->out, c->p->state);
}

static void print_stat(const struct cell *c) {
    const struct ps_process *p = c->p;

    buf_putc(c->out, p->state);
    if (p->nice != 0)
        buf_putc(c->out, p->nice < 0 ? '<' : 'N');
    if (p->locked_kib > 0)
        buf_putc(c->out, 'L');
    if (p->session == p->pid)
        buf_putc(c->out, 's');
    if (p->threads > 1)
        buf_putc(c->out, 'l');
    if (p->tpgid == p->pgrp)
        buf_putc(c->out, '+');
}

/* From the device number: the container's own /dev is nobody's business here. */
static void print_tty(const struct cell *c) {
    unsigned major = (unsigned)(c->p->tty >> 8 & 0xfff);
    unsigned minor = (unsigned)((c->p->tty & 0xff) | (c->p->tty >> 12 & 0xfff00));

    if (c->p->tty == 0)
        buf_putc(c->out, '?');
    else if (major >= 136 && major <= 143)
        buf_printf(c->out, "pts/%u", minor + (major - 136) * 256);
    else if (major == 4)
        buf_printf(c->out, minor < 64 ? "tty%u" : "ttyS%u", minor < 64 ? minor : minor - 64);
    else if (major == 5 && minor == 1)
        buf_puts(c->out, "console");
    else
        buf_putc(c->out, '?');
}

static void print_wchan(const struct cell *c) {
    auto_buf text = BUF_INIT;
    const char *s;

    read_small(c, "wchan", &text);
    s = buf_str(&text);
    if (*s == '.')
        s++;
    while (*s == '_')
        s++;
    if (!*s || str_eq(s, "0"))
        s = "-";
    puts_clean(c->out, s, strnlen(s, c->width ? c->width : WCHAN_WIDTH));
}

static void print_tree(const struct cell *c) {
    if (c->p->tree)
        buf_puts(c->out, c->p->tree);
}

static void print_comm(const struct cell *c) {
    print_tree(c);
    puts_clean(c->out, c->p->comm, strlen(c->p->comm));
    if (c->p->state == 'Z')
        buf_puts(c->out, " <defunct>");
}

static void print_fname(const struct cell *c) {
    puts_clean(c->out, c->p->comm, strnlen(c->p->comm, 8));
}

/* Reads what a process may have written itself: at most ARGS_MAX of it. */
static size_t read_strings(const struct cell *c, const char *file, char *text, size_t size) {
    auto_fd fd = c->p->fd < 0 ? -1 : openat(c->p->fd, file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : io_read_full(fd, text, size);

    while (n > 0 && text[n - 1] == '\0')
        n--;
    for (ssize_t i = 0; i < n; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    return n > 0 ? (size_t)n : 0;
}

static void print_args(const struct cell *c) {
    char text[ARGS_MAX];
    size_t n;

    if (c->format->names) {
        print_comm(c);
        return;
    }
    n = read_strings(c, "cmdline", text, sizeof text);
    print_tree(c);
    if (n > 0) {
        puts_clean(c->out, text, n);
    } else { /* a zombie, or it wiped its arguments */
        buf_putc(c->out, '[');
        puts_clean(c->out, c->p->comm, strlen(c->p->comm));
        buf_putc(c->out, ']');
        if (c->p->state == 'Z')
            buf_puts(c->out, " <defunct>");
    }
    n = c->format->environment ? read_strings(c, "environ", text, sizeof text) : 0;
    if (n > 0) {
        buf_putc(c->out, ' ');
        puts_clean(c->out, text, n);
    }
}

static void print_file(const struct cell *c, const char *file) {
    auto_buf text = BUF_INIT;

    read_small(c, file, &text);
    if (text.len == 0)
        buf_putc(c->out, '-');
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\n')
            text.data[i] = ',';
    puts_clean(c->out, buf_str(&text), text.len);
}

static void print_cgroup(const struct cell *c) {
    print_file(c, "cgroup");
}

static void print_label(const struct cell *c) {
    print_file(c, "attr/current");
}

static void print_oom(const struct cell *c) {
    print_file(c, "oom_score");
}

static void print_oomadj(const struct cell *c) {
    print_file(c, "oom_score_adj");
}

static void print_exe(const struct cell *c) {
    char text[PATH_MAX];
    ssize_t n = c->p->fd < 0 ? -1 : readlinkat(c->p->fd, "exe", text, sizeof text);

    if (n > 0)
        puts_clean(c->out, text, (size_t)n);
    else
        buf_putc(c->out, '-');
}

/* "net:[4026531840]" -> the number. */
static void print_namespace(const struct cell *c, const char *file) {
    char text[64];
    ssize_t n = c->p->fd < 0 ? -1 : readlinkat(c->p->fd, file, text, sizeof text - 1);
    const char *from, *to;

    text[n > 0 ? n : 0] = '\0';
    from = strchr(text, '[');
    to = from ? strchr(from, ']') : NULL;
    if (to)
        buf_append(c->out, from + 1, (size_t)(to - from - 1));
    else
        buf_putc(c->out, '-');
}

#define NAMESPACE_COLUMN(name)                                                                     \
    static void print_ns_##name(const struct cell *c) {                                            \
        print_namespace(c, "ns/" #name);                                                           \
    }
NAMESPACE_COLUMN(cgroup)
NAMESPACE_COLUMN(ipc)
NAMESPACE_COLUMN(mnt)
NAMESPACE_COLUMN(net)
NAMESPACE_COLUMN(pid)
NAMESPACE_COLUMN(time)
NAMESPACE_COLUMN(user)
NAMESPACE_COLUMN(uts)

/* What this kernel does not tell, and what is no container's. */
static void print_nothing(const struct cell *c) {
    buf_putc(c->out, '-');
}

/* ---- the table, sorted by name --------------------------------------------------------------- */
static const struct ps_column columns[] = {
    {"%cpu", "%CPU", print_pcpu, ORDER_NUMBER},
    {"%mem", "%MEM", print_pmem, ORDER_NUMBER},
    {"addr", "ADDR", print_nothing, ORDER_TEXT},
    {"args", "COMMAND", print_args, ORDER_TEXT},
    {"atime", "TIME", print_cputime, ORDER_CPU_TIME},
    {"blocked", "BLOCKED", print_blocked, ORDER_TEXT},
    {"bsdstart", "START", print_bsdstart, ORDER_START},
    {"bsdtime", "TIME", print_bsdtime, ORDER_CPU_TIME},
    {"c", "C", print_c, ORDER_NUMBER},
    {"caught", "CAUGHT", print_caught, ORDER_TEXT},
    {"cgroup", "CGROUP", print_cgroup, ORDER_TEXT},
    {"cgroupns", "CGROUPNS", print_ns_cgroup, ORDER_NUMBER},
    {"class", "CLS", print_class, ORDER_TEXT},
    {"cls", "CLS", print_class, ORDER_TEXT},
    {"cmd", "CMD", print_args, ORDER_TEXT},
    {"comm", "COMMAND", print_comm, ORDER_TEXT},
    {"command", "COMMAND", print_args, ORDER_TEXT},
    {"context", "CONTEXT", print_label, ORDER_TEXT},
    {"cp", "CP", print_c, ORDER_NUMBER},
    {"cputime", "TIME", print_cputime, ORDER_CPU_TIME},
    {"cputimes", "TIME", print_cputimes, ORDER_NUMBER},
    {"drs", "DRS", print_drs, ORDER_NUMBER},
    {"egid", "EGID", print_gid_effective, ORDER_NUMBER},
    {"egroup", "EGROUP", print_group_effective, ORDER_TEXT},
    {"etime", "ELAPSED", print_etime, ORDER_AGE},
    {"etimes", "ELAPSED", print_etimes, ORDER_NUMBER},
    {"euid", "EUID", print_uid_effective, ORDER_NUMBER},
    {"euser", "EUSER", print_user_effective, ORDER_TEXT},
    {"exe", "EXE", print_exe, ORDER_TEXT},
    {"f", "F", print_flags, ORDER_NUMBER},
    {"fgid", "FGID", print_gid_filesystem, ORDER_NUMBER},
    {"fgroup", "FGROUP", print_group_filesystem, ORDER_TEXT},
    {"flag", "F", print_flags, ORDER_NUMBER},
    {"flags", "F", print_flags, ORDER_NUMBER},
    {"fname", "COMMAND", print_fname, ORDER_TEXT},
    {"fsgid", "FSGID", print_gid_filesystem, ORDER_NUMBER},
    {"fsgroup", "FSGROUP", print_group_filesystem, ORDER_TEXT},
    {"fsuid", "FSUID", print_uid_filesystem, ORDER_NUMBER},
    {"fsuser", "FSUSER", print_user_filesystem, ORDER_TEXT},
    {"fuid", "FUID", print_uid_filesystem, ORDER_NUMBER},
    {"fuser", "FUSER", print_user_filesystem, ORDER_TEXT},
    {"gid", "GID", print_gid_effective, ORDER_NUMBER},
    {"group", "GROUP", print_group_effective, ORDER_TEXT},
    {"ignored", "IGNORED", print_ignored, ORDER_TEXT},
    {"intpri", "PRI", print_opri, ORDER_NUMBER},
    {"ipcns", "IPCNS", print_ns_ipc, ORDER_NUMBER},
    {"label", "LABEL", print_label, ORDER_TEXT},
    {"longtname", "TTY", print_tty, ORDER_TEXT},
    {"lstart", "STARTED", print_lstart, ORDER_START},
    {"lwp", "LWP", print_tid, ORDER_NUMBER},
    {"lxc", "LXC", print_nothing, ORDER_TEXT},
    {"machine", "MACHINE", print_nothing, ORDER_TEXT},
    {"maj_flt", "MAJFL", print_majflt, ORDER_NUMBER},
    {"majflt", "MAJFLT", print_majflt, ORDER_NUMBER},
    {"min_flt", "MINFL", print_minflt, ORDER_NUMBER},
    {"minflt", "MINFLT", print_minflt, ORDER_NUMBER},
    {"mntns", "MNTNS", print_ns_mnt, ORDER_NUMBER},
    {"netns", "NETNS", print_ns_net, ORDER_NUMBER},
    {"ni", "NI", print_nice, ORDER_NUMBER},
    {"nice", "NI", print_nice, ORDER_NUMBER},
    {"nlwp", "NLWP", print_nlwp, ORDER_NUMBER},
    {"oom", "OOM", print_oom, ORDER_NUMBER},
    {"oomadj", "OOMADJ", print_oomadj, ORDER_NUMBER},
    {"opri", "PRI", print_opri, ORDER_NUMBER},
    {"ouid", "OWNER", print_nothing, ORDER_TEXT},
    {"pagein", "PAGEIN", print_majflt, ORDER_NUMBER},
    {"pcpu", "%CPU", print_pcpu, ORDER_NUMBER},
    {"pending", "PENDING", print_pending, ORDER_TEXT},
    {"pgid", "PGID", print_pgid, ORDER_NUMBER},
    {"pgrp", "PGRP", print_pgid, ORDER_NUMBER},
    {"pid", "PID", print_pid, ORDER_NUMBER},
    {"pidns", "PIDNS", print_ns_pid, ORDER_NUMBER},
    {"pmem", "%MEM", print_pmem, ORDER_NUMBER},
    {"policy", "POL", print_class, ORDER_TEXT},
    {"ppid", "PPID", print_ppid, ORDER_NUMBER},
    {"pri", "PRI", print_pri, ORDER_NUMBER},
    {"priority", "PRI", print_priority, ORDER_NUMBER},
    {"psr", "PSR", print_psr, ORDER_NUMBER},
    {"rgid", "RGID", print_gid_real, ORDER_NUMBER},
    {"rgroup", "RGROUP", print_group_real, ORDER_TEXT},
    {"rss", "RSS", print_rss, ORDER_NUMBER},
    {"rssize", "RSS", print_rss, ORDER_NUMBER},
    {"rsz", "RSZ", print_rss, ORDER_NUMBER},
    {"rtprio", "RTPRIO", print_rtprio, ORDER_NUMBER},
    {"ruid", "RUID", print_uid_real, ORDER_NUMBER},
    {"ruser", "RUSER", print_user_real, ORDER_TEXT},
    {"s", "S", print_state, ORDER_TEXT},
    {"sched", "SCH", print_sched, ORDER_NUMBER},
    {"seat", "SEAT", print_nothing, ORDER_TEXT},
    {"sess", "SESS", print_sid, ORDER_NUMBER},
    {"session", "SESS", print_sid, ORDER_NUMBER},
    {"sgid", "SGID", print_gid_saved, ORDER_NUMBER},
    {"sgroup", "SGROUP", print_group_saved, ORDER_TEXT},
    {"sid", "SID", print_sid, ORDER_NUMBER},
    {"sig", "PENDING", print_pending, ORDER_TEXT},
    {"sigcatch", "CAUGHT", print_caught, ORDER_TEXT},
    {"sigignore", "IGNORED", print_ignored, ORDER_TEXT},
    {"sigmask", "BLOCKED", print_blocked, ORDER_TEXT},
    {"size", "SIZE", print_size, ORDER_NUMBER},
    {"slice", "SLICE", print_nothing, ORDER_TEXT},
    {"spid", "SPID", print_tid, ORDER_NUMBER},
    {"start", "STARTED", print_start, ORDER_START},
    {"start_time", "START", print_stime, ORDER_START},
    {"stat", "STAT", print_stat, ORDER_TEXT},
    {"state", "S", print_state, ORDER_TEXT},
    {"stime", "STIME", print_stime, ORDER_START},
    {"suid", "SUID", print_uid_saved, ORDER_NUMBER},
    {"supgid", "SUPGID", print_supgid, ORDER_TEXT},
    {"supgrp", "SUPGRP", print_supgrp, ORDER_TEXT},
    {"suser", "SUSER", print_user_saved, ORDER_TEXT},
    {"svgid", "SVGID", print_gid_saved, ORDER_NUMBER},
    {"svgroup", "SVGROUP", print_group_saved, ORDER_TEXT},
    {"svuid", "SVUID", print_uid_saved, ORDER_NUMBER},
    {"svuser", "SVUSER", print_user_saved, ORDER_TEXT},
    {"sz", "SZ", print_sz, ORDER_NUMBER},
    {"tgid", "TGID", print_pid, ORDER_NUMBER},
    {"thcount", "THCNT", print_nlwp, ORDER_NUMBER},
    {"tid", "TID", print_tid, ORDER_NUMBER},
    {"time", "TIME", print_cputime, ORDER_CPU_TIME},
    {"timens", "TIMENS", print_ns_time, ORDER_NUMBER},
    {"times", "TIME", print_cputimes, ORDER_NUMBER},
    {"tname", "TTY", print_tty, ORDER_TEXT},
    {"tpgid", "TPGID", print_tpgid, ORDER_NUMBER},
    {"trs", "TRS", print_trs, ORDER_NUMBER},
    {"tt", "TT", print_tty, ORDER_TEXT},
    {"tty", "TT", print_tty, ORDER_TEXT},
    {"tty4", "TTY", print_tty, ORDER_TEXT},
    {"tty8", "TTY", print_tty, ORDER_TEXT},
    {"ucmd", "CMD", print_comm, ORDER_TEXT},
    {"ucomm", "COMMAND", print_comm, ORDER_TEXT},
    {"uid", "UID", print_uid_effective, ORDER_NUMBER},
    {"uid_hack", "UID", print_user_effective, ORDER_TEXT},
    {"uname", "USER", print_user_effective, ORDER_TEXT},
    {"unit", "UNIT", print_nothing, ORDER_TEXT},
    {"user", "USER", print_user_effective, ORDER_TEXT},
    {"userns", "USERNS", print_ns_user, ORDER_NUMBER},
    {"utsns", "UTSNS", print_ns_uts, ORDER_NUMBER},
    {"uunit", "UUNIT", print_nothing, ORDER_TEXT},
    {"vsize", "VSZ", print_vsz, ORDER_NUMBER},
    {"vsz", "VSZ", print_vsz, ORDER_NUMBER},
    {"wchan", "WCHAN", print_wchan, ORDER_TEXT},
    {"wname", "WCHAN", print_wchan, ORDER_TEXT},
};

static int by_name(const void *key, const void *entry) {
    return strcmp(key, ((const struct ps_column *)entry)->name);
}

const struct ps_column *ps_column_find(const char *name) {
    return bsearch(name, columns, sizeof columns / sizeof *columns, sizeof *columns, by_name);
}

const char *ps_column_title(const struct ps_column *c) {
    return c->title;
}

void ps_column_print(const struct ps_column *column, unsigned width, const struct ps_format *f,
                     const struct ps_host *h, const struct ps_process *p, struct buf *out) {
    struct cell c = {.format = f, .host = h, .p = p, .width = width, .out = out};

    column->print(&c);
}

bool ps_column_order(const struct ps_column *column, const struct ps_format *f,
                     const struct ps_host *h, const struct ps_process *p, double *ret) {
    auto_buf text = {.max = 256};
    struct cell c = {.format = f, .host = h, .p = p, .out = &text};
    char *end;
    double v;

    switch (column->order) {
    case ORDER_CPU_TIME:
        *ret = (double)p->cpu_ticks;
        return true;
    case ORDER_START:
        *ret = (double)p->start_ticks;
        return true;
    case ORDER_AGE:
        *ret = -(double)p->start_ticks;
        return true;
    case ORDER_NUMBER:
        column->print(&c);
        v = strtod(buf_str(&text), &end);
        *ret = end != text.data ? v : -1; /* "-" comes first */
        return true;
    case ORDER_TEXT:
        break;
    }
    return false;
}
