/* SPDX-License-Identifier: Apache-2.0 */
#include "format/tar.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "format/tar_format.h"

#define READ_BUFFER ((size_t)64 << 10)
#define OCTAL_MAX   UINT64_C(077777777777) /* what a size field holds without base-256 */
#define MAP_MAX     (TAR_HEADER_MAX / sizeof(struct tar_piece)) /* pieces of a sparse file */

/*
 * The error of what cannot be a sound archive. Whatever two programs could read differently is
 * refused: an archive that is checked by one and unpacked by another is an old way in.
 */
#define INVALID "archive/tar: invalid tar header"
/* The archive ends too early, as opposed to an -EIO from below; callers see -EIO for both. */
#define TRUNCATED (-ENODATA)

struct tar_reader {
    struct reader data; /* what tar_data gives out */
    struct reader *from;
    struct tar_entry entry;
    struct tar_extended extended;
    uint64_t stored;          /* bytes of the entry's data that are still in the archive */
    unsigned padding;         /* behind them */
    uint64_t position;        /* in the expanded file */
    struct tar_piece *pieces; /* NULL: not sparse */
    size_t piece_count, piece;
    bool ended;
    int failed; /* -errno: an archive is not read on behind an error */
    size_t pos, len;
    uint64_t fetched; /* bytes that were read from the source */
    char *buffer;
};

/* ---- bytes --------------------------------------------------------------------------------- */

static ssize_t fetch(struct tar_reader *t, void *p, size_t n) {
    ssize_t got = t->from->read(t->from, p, n);

    if (got > 0)
        t->fetched += (uint64_t)got;
    return got;
}

/* Some bytes, through the buffer when few are wanted. */
static ssize_t take(struct tar_reader *t, void *p, size_t n) {
    ssize_t got;

    if (t->pos == t->len) {
        if (n >= READ_BUFFER)
            return fetch(t, p, n);
        got = fetch(t, t->buffer, READ_BUFFER);
        if (got <= 0)
            return got;
        t->pos = 0;
        t->len = (size_t)got;
    }
    if (n > t->len - t->pos)
        n = t->len - t->pos;
    memcpy(p, t->buffer + t->pos, n);
    t->pos += n;
    return (ssize_t)n;
}

static ssize_t take_full(struct tar_reader *t, void *p, size_t n) {
    size_t have = 0;

    while (have < n) {
        ssize_t got = take(t, (char *)p + have, n - have);

        if (got <= 0)
            return got < 0 ? got : (ssize_t)have;
        have += (size_t)got;
    }
    return (ssize_t)n;
}

static int take_exact(struct tar_reader *t, void *p, size_t n) {
    ssize_t got = take_full(t, p, n);

    if (got < 0)
        return (int)got;
    return (size_t)got == n ? 0 : TRUNCATED;
}

static int skip(struct tar_reader *t, uint64_t n) {
    auto_free char *block = NULL;

    if (n > t->len - t->pos)
        block = xmalloc(READ_BUFFER);
    while (n > 0) {
        size_t part = t->len - t->pos;
        ssize_t got;

        if (part > 0) {
            part = n < part ? (size_t)n : part;
            t->pos += part;
            n -= part;
            continue;
        }
        got = fetch(t, block, n < READ_BUFFER ? (size_t)n : READ_BUFFER);
        if (got <= 0)
            return got < 0 ? (int)got : TRUNCATED;
        n -= (size_t)got;
    }
    return 0;
}

static unsigned padding_of(uint64_t size) {
    return (unsigned)(-size & (TAR_BLOCK_SIZE - 1));
}

/* ---- data of an entry ---------------------------------------------------------------------- */

static ssize_t read_stored(struct tar_reader *t, void *p, size_t n) {
    ssize_t got;

    if (n > t->stored)
        n = (size_t)t->stored;
    if (n == 0)
        return 0;
    got = take(t, p, n);
    if (got > 0) {
        t->stored -= (uint64_t)got;
        return got;
    }
    t->failed = got < 0 ? (int)got : TRUNCATED;
    return got < 0 ? got : -EIO;
}

static ssize_t data_read(struct reader *base, void *p, size_t n) {
    struct tar_reader *t = (struct tar_reader *)base;
    uint64_t left = t->entry.size - t->position, run;
    ssize_t got;

    if (t->failed)
        return t->failed == TRUNCATED ? -EIO : t->failed;
    if (n > left)
        n = (size_t)left;
    if (n == 0)
        return 0;
    if (!t->pieces) {
        got = read_stored(t, p, n);
    } else {
        const struct tar_piece *piece = t->pieces + t->piece, *end = t->pieces + t->piece_count;

        while (piece < end && t->position >= piece->offset + piece->size)
            piece++;
        t->piece = (size_t)(piece - t->pieces);
        if (piece < end && t->position >= piece->offset) {
            run = piece->offset + piece->size - t->position;
            got = read_stored(t, p, n < run ? n : (size_t)run);
        } else {
            run = (piece < end ? piece->offset : t->entry.size) - t->position;
            got = (ssize_t)(n < run ? n : (size_t)run);
            memset(p, 0, (size_t)got);
        }
    }
    if (got > 0)
        t->position += (uint64_t)got;
    return got;
}

/* Pieces in order, without overlap, inside the file, and as many bytes as are stored. */
static bool pieces_are_sound(const struct tar_piece *pieces, size_t n, uint64_t real_size,
                             uint64_t stored) {
    uint64_t at = 0, sum = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t end;

        if (pieces[i].offset < at ||
            __builtin_add_overflow(pieces[i].offset, pieces[i].size, &end) || end > real_size)
            return false;
        at = end;
        sum += pieces[i].size;
    }
    return sum == stored;
}

static int add_piece(struct tar_reader *t, uint64_t offset, uint64_t size) {
    if (t->piece_count >= MAP_MAX)
        return -EINVAL;
    if ((t->piece_count & (t->piece_count - 1)) == 0)
        t->pieces =
            xreallocarray(t->pieces, t->piece_count ? t->piece_count * 2 : 1, sizeof *t->pieces);
    t->pieces[t->piece_count++] = (struct tar_piece){offset, size};
    return 0;
}

static int add_gnu_pieces(struct tar_reader *t, const struct tar_gnu_sparse *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t offset, size;

        if (s[i].offset[0] == '\0')
            return 0;
        if (tar_unsigned(s[i].offset, sizeof s[i].offset, &offset) < 0 ||
            tar_unsigned(s[i].size, sizeof s[i].size, &size) < 0 || add_piece(t, offset, size) < 0)
            return -EINVAL;
    }
    return 0;
}

/* The old GNU format: four pieces in the header, 21 in each block behind it. */
static int read_gnu_map(struct tar_reader *t, const struct tar_block *h) {
    struct {
        struct tar_gnu_sparse sparse[21];
        char is_extended;
        char pad[7];
    } more = {.is_extended = h->gnu.is_extended};
    uint64_t real_size;
    int r;

    _Static_assert(sizeof more == TAR_BLOCK_SIZE, "sparse block");
    if (memcmp(h->magic, "ustar  ", 8) != 0 ||
        tar_unsigned(h->gnu.real_size, sizeof h->gnu.real_size, &real_size) < 0)
        return -EINVAL;
    r = add_gnu_pieces(t, h->gnu.sparse, 4);
    while (r == 0 && more.is_extended) {
        size_t before = t->piece_count;

        r = take_exact(t, &more, sizeof more);
        if (r == 0)
            r = add_gnu_pieces(t, more.sparse, 21);
        if (r == 0 && t->piece_count == before)
            r = -EINVAL; /* blocks without pieces could go on for ever */
    }
    if (r < 0)
        return r;
    t->entry.size = real_size;
    return 0;
}

/* Format 1.0: decimal lines at the start of the data, padded to a block. */
struct map_text {
    struct tar_reader *t;
    char block[TAR_BLOCK_SIZE];
    size_t pos;
};

static int map_number(struct map_text *m, uint64_t *ret) {
    uint64_t v = 0;

    for (int digits = 0;; digits++) {
        char c;

        if (m->pos == TAR_BLOCK_SIZE) {
            int r;

            if (m->t->stored < TAR_BLOCK_SIZE)
                return -EINVAL;
            r = take_exact(m->t, m->block, TAR_BLOCK_SIZE);
            if (r < 0)
                return r;
            m->t->stored -= TAR_BLOCK_SIZE;
            m->pos = 0;
        }
        c = m->block[m->pos++];
        if (c == '\n' && digits > 0)
            break;
        if (c < '0' || c > '9' || digits > 18)
            return -EINVAL;
        v = v * 10 + (unsigned)(c - '0');
    }
    *ret = v;
    return 0;
}

static int read_pax_map(struct tar_reader *t) {
    struct map_text m = {.t = t, .pos = TAR_BLOCK_SIZE};
    uint64_t count, offset, size;
    int r = map_number(&m, &count);

    if (r == 0 && count > MAP_MAX)
        r = -EINVAL;
    for (; r == 0 && count > 0; count--) {
        r = map_number(&m, &offset);
        if (r == 0)
            r = map_number(&m, &size);
        if (r == 0)
            r = add_piece(t, offset, size);
    }
    return r;
}

static int start_sparse(struct tar_reader *t, const struct tar_block *h) {
    struct tar_extended *x = &t->extended;
    int r = 0;

    if (h->typeflag == 'S') {
        if (x->sparse != TAR_SPARSE_NONE)
            return -EINVAL;
        r = read_gnu_map(t, h);
    } else if (x->sparse != TAR_SPARSE_NONE) {
        t->entry.size = x->real_size;
        if (x->sparse == TAR_SPARSE_1) {
            r = read_pax_map(t);
        } else {
            t->pieces = take_ptr(x->pieces);
            t->piece_count = x->piece_count;
        }
    } else {
        return 0;
    }
    if (r < 0)
        return r;
    if (!t->pieces) /* nothing but a hole */
        t->pieces = xnew(struct tar_piece);
    t->entry.sparse = true;
    return pieces_are_sound(t->pieces, t->piece_count, t->entry.size, t->stored) ? 0 : -EINVAL;
}

/* ---- headers ------------------------------------------------------------------------------- */

static bool is_zero(const struct tar_block *h) {
    static const struct tar_block zero;

    return memcmp(h, &zero, sizeof zero) == 0;
}

static bool checksum_fits(const struct tar_block *h) {
    uint64_t stored;
    int signed_sum;
    unsigned sum = tar_checksum(h, &signed_sum);

    return tar_unsigned(h->chksum, sizeof h->chksum, &stored) == 0 &&
           (stored == sum || (signed_sum >= 0 && stored == (unsigned)signed_sum));
}

/* The next header: 1, 0 at the end of the archive. The end of the input between two entries is
 * one, as for Go; a lone zero block before more headers is not. */
static int read_header(struct tar_reader *t, struct tar_block *h) {
    ssize_t got = take_full(t, h, sizeof *h);

    if (got <= 0)
        return (int)got;
    if ((size_t)got < sizeof *h)
        return TRUNCATED;
    if (is_zero(h)) {
        got = take_full(t, h, sizeof *h);
        if (got < 0)
            return (int)got;
        return got == 0 || ((size_t)got == sizeof *h && is_zero(h)) ? 0 : -EINVAL;
    }
    return checksum_fits(h) ? 1 : -EINVAL;
}

/* The data of an extended header, a NUL behind it. `budget` is what the entry may still use. */
static int read_extension(struct tar_reader *t, const struct tar_block *h, size_t *budget,
                          char **ret, size_t *ret_len) {
    auto_free char *data = NULL;
    uint64_t size;
    int r;

    if (tar_unsigned(h->size, sizeof h->size, &size) < 0 || size > *budget)
        return -EINVAL;
    *budget -= (size_t)size;
    data = xmalloc((size_t)size + 1);
    data[size] = '\0';
    r = take_exact(t, data, (size_t)size);
    if (r == 0)
        r = skip(t, padding_of(size));
    if (r < 0)
        return r;
    *ret = take_ptr(data);
    *ret_len = (size_t)size;
    return 0;
}

/* GNU's L and K end in a NUL, and nothing may hide behind it. */
static int set_gnu_text(char **to, const char *data, size_t len) {
    size_t n = strnlen(data, len);

    for (size_t i = n; i < len; i++)
        if (data[i] != '\0')
            return -EINVAL;
    if (*to || n == 0 || n > TAR_PATH_MAX)
        return -EINVAL;
    *to = xstrndup(data, n);
    return 0;
}

/* 1: h was an extension and is dealt with. */
static int handle_extension(struct tar_reader *t, const struct tar_block *h, size_t *budget) {
    struct tar_extended *x = &t->extended;
    auto_free char *data = NULL;
    size_t len;
    int r;

    if (h->typeflag == '\0' || !strchr("xgLKV", h->typeflag))
        return 0;
    r = read_extension(t, h, budget, &data, &len);
    if (r < 0)
        return r;
    switch (h->typeflag) {
    case 'x':
        r = x->pax ? -EINVAL : tar_extended_parse(x, data, len);
        break;
    case 'g':
        r = tar_global_check(data, len);
        break;
    case 'L':
        r = set_gnu_text(&x->gnu_path, data, len);
        break;
    case 'K':
        r = set_gnu_text(&x->gnu_link, data, len);
        break;
    default: /* a volume's label */
        break;
    }
    return r < 0 ? r : 1;
}

/* The text of the pax record, else of GNU's header (the two must agree), else of the block. */
static int pick_text(const char *pax, const char *gnu, const char *plain, char **ret) {
    const char *s = pax ? pax : gnu ? gnu : plain;

    if (pax && gnu && strcmp(pax, gnu) != 0)
        return -EINVAL;
    if (strlen(s) > TAR_PATH_MAX)
        return -EINVAL;
    *ret = xstrdup(s);
    return 0;
}

/* prefix/name of a ustar block; the field means something else in GNU's, and less in star's. */
static char *plain_path(const struct tar_block *h) {
    auto_free char *name = xstrndup(h->name, sizeof h->name), *prefix = NULL;
    size_t room = memcmp((const char *)h + 508, "tar", 4) == 0 ? 131 : sizeof h->ustar.prefix;

    if (memcmp(h->magic, "ustar\0", 6) != 0 || h->ustar.prefix[0] == '\0')
        return take_ptr(name);
    prefix = xstrndup(h->ustar.prefix, room);
    return xasprintf("%s/%s", prefix, name);
}

static int set_paths(struct tar_reader *t, const struct tar_block *h, bool *ret_slash) {
    struct tar_extended *x = &t->extended;
    struct tar_entry *e = &t->entry;
    auto_free char *path = plain_path(h), *link = NULL;
    size_t n;
    int r = pick_text(x->sparse_path ? x->sparse_path : x->path, x->gnu_path, path, &e->path);

    if (r < 0)
        return r;
    n = strlen(e->path);
    *ret_slash = n > 0 && e->path[n - 1] == '/';
    while (n > 1 && e->path[n - 1] == '/')
        e->path[--n] = '\0';
    if (n == 0)
        return -EINVAL;
    if (e->type != TAR_HARDLINK && e->type != TAR_SYMLINK)
        return 0;
    link = xstrndup(h->linkname, sizeof h->linkname);
    r = pick_text(x->link, x->gnu_link, link, &e->link);
    return r < 0 ? r : *e->link ? 0 : -EINVAL;
}

static int set_type(struct tar_entry *e, char flag) {
    switch (flag) {
    case '\0':
    case '0':
    case '7': /* contiguous: a file */
    case 'S':
        e->type = TAR_FILE;
        return 0;
    case 'D': /* GNU's directory with a list of its names */
        e->type = TAR_DIR;
        return 0;
    case TAR_HARDLINK:
    case TAR_SYMLINK:
    case TAR_CHAR:
    case TAR_BLOCK:
    case TAR_DIR:
    case TAR_FIFO:
        e->type = (enum tar_type)flag;
        return 0;
    default:
        return -EINVAL;
    }
}

static int set_size(struct tar_reader *t, const struct tar_block *h) {
    struct tar_extended *x = &t->extended;
    uint64_t size;

    if (tar_unsigned(h->size, sizeof h->size, &size) < 0)
        return -EINVAL;
    if (x->has_size) {
        /* A writer that needs the record leaves the field empty or fills it with what fits. */
        if (size != 0 && size != x->size && x->size <= OCTAL_MAX)
            return -EINVAL;
        size = x->size;
    }
    if (size > INT64_MAX - TAR_BLOCK_SIZE)
        return -EINVAL;
    /* Only files and GNU's directory lists have data, whatever the field says (as in Go). */
    t->stored = t->entry.type == TAR_FILE || h->typeflag == 'D' ? size : 0;
    t->padding = padding_of(t->stored);
    t->entry.size = t->entry.type == TAR_FILE ? size : 0;
    return 0;
}

static int set_owner_and_times(struct tar_reader *t, const struct tar_block *h) {
    struct tar_extended *x = &t->extended;
    struct tar_entry *e = &t->entry;
    int64_t mode, mtime;

    if (tar_number(h->mode, sizeof h->mode, &mode) < 0 ||
        tar_number(h->mtime, sizeof h->mtime, &mtime) < 0 ||
        (!x->has_uid && tar_unsigned(h->uid, sizeof h->uid, &e->uid) < 0) ||
        (!x->has_gid && tar_unsigned(h->gid, sizeof h->gid, &e->gid) < 0))
        return -EINVAL;
    e->mode = (mode_t)(mode & 07777);
    if (x->has_uid)
        e->uid = x->uid;
    if (x->has_gid)
        e->gid = x->gid;
    e->mtime_ns = x->has_mtime ? x->mtime_ns : tar_time_ns(mtime, 0);
    e->xattrs = take_ptr(x->xattrs);
    e->xattr_count = x->xattr_count;
    x->xattr_count = 0;
    return 0;
}

static int set_device(struct tar_entry *e, const struct tar_block *h) {
    uint64_t major, minor;

    if (e->type != TAR_CHAR && e->type != TAR_BLOCK)
        return 0;
    if (tar_unsigned(h->devmajor, sizeof h->devmajor, &major) < 0 || major > UINT32_MAX ||
        tar_unsigned(h->devminor, sizeof h->devminor, &minor) < 0 || minor > UINT32_MAX)
        return -EINVAL;
    e->dev_major = (unsigned)major;
    e->dev_minor = (unsigned)minor;
    return 0;
}

static int start_entry(struct tar_reader *t, const struct tar_block *h) {
    bool slash;
    int r = set_type(&t->entry, h->typeflag);

    if (r == 0)
        r = set_paths(t, h, &slash);
    if (r < 0)
        return r;
    if (slash && h->typeflag == '\0') /* before ustar, this was how a directory looked */
        t->entry.type = TAR_DIR;
    r = set_size(t, h);
    if (r == 0)
        r = set_owner_and_times(t, h);
    if (r == 0)
        r = set_device(&t->entry, h);
    if (r == 0 && t->entry.type == TAR_FILE)
        r = start_sparse(t, h);
    return r;
}

static void drop_entry(struct tar_reader *t) {
    tar_entry_done(&t->entry);
    tar_extended_done(&t->extended);
    free(t->pieces);
    t->pieces = NULL;
    t->piece_count = t->piece = 0;
    t->position = 0;
}

static int next_entry(struct tar_reader *t) {
    size_t budget = TAR_HEADER_MAX;
    bool extended = false;
    struct tar_block h;
    int r = skip(t, t->stored + t->padding);

    t->stored = t->padding = 0;
    drop_entry(t);
    while (r == 0) {
        r = read_header(t, &h);
        if (r == 0)
            return extended ? TRUNCATED : 0; /* headers for an entry that does not come */
        if (r > 0)
            r = handle_extension(t, &h, &budget);
        if (r == 0) {
            r = start_entry(t, &h);
            return r < 0 ? r : 1;
        }
        if (r > 0) {
            extended = extended || strchr("xLK", h.typeflag);
            /* a header block is 512 bytes as well: an endless row of empty ones ends here */
            if (budget < TAR_BLOCK_SIZE)
                return -EINVAL;
            budget -= TAR_BLOCK_SIZE;
            r = 0;
        }
    }
    return r;
}

int tar_next(struct tar_reader *t, const struct tar_entry **entry, struct err *e) {
    int r;

    if (t->ended)
        return 0;
    r = t->failed ? t->failed : next_entry(t);
    if (r > 0) {
        *entry = &t->entry;
        return 1;
    }
    drop_entry(t);
    if (r == 0) {
        t->ended = true;
        return 0;
    }
    t->failed = r;
    t->stored = 0;
    if (r == TRUNCATED) {
        err_set(e, ERR_INVALID, "unexpected EOF");
        return -EIO;
    }
    if (r == -EINVAL || r == -ERANGE)
        return err_set(e, ERR_INVALID, INVALID);
    return err_sys(e, r, "cannot read the archive");
}

uint64_t tar_offset(const struct tar_reader *t) {
    return t->fetched - (t->len - t->pos);
}

struct reader *tar_data(struct tar_reader *t) {
    return &t->data;
}

struct tar_reader *tar_reader_new(struct reader *from) {
    struct tar_reader *t = xnew(struct tar_reader);

    t->data.read = data_read;
    t->from = from;
    t->buffer = xmalloc(READ_BUFFER);
    return t;
}

void tar_reader_free(struct tar_reader *t) {
    if (!t)
        return;
    drop_entry(t);
    free(t->buffer);
    free(t);
}
