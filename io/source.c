#include "io/source.h"

#include "io/bug.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct source {
    struct archive *archive;
    struct archive_entry *entry; /* borrowed: the member that the archive stands at */
    bool is_archive;             /* tar or zip, as against one stream */
    bool is_empty;               /* a file of no bytes at all */
    size_t seen;                 /* members that source_next has stood at */
    char *path, *name;           /* of the file; of the member of source_next */
    char *label;
};

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    BUG_IF(copy == NULL, "out of memory for a path");
    return copy;
}

void source_place_free(source_place *p)
{
    free(p->path);
    free(p->member);
    *p = (source_place){0};
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcasecmp(text + n - m, end) == 0;
}

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static char *make_label(const char *path, const char *member)
{
    size_t n = strlen(path) + (member != NULL ? strlen(member) + 1 : 0) + 1;
    char *label = malloc(n);
    BUG_IF(label == NULL, "out of memory for a path");
    snprintf(label, n, member != NULL ? "%s:%s" : "%s", path, member);
    for (unsigned char *c = (unsigned char *)label; *c != 0; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
    return label;
}

static status stat_path(struct stat *st, const char *path, error *e)
{
    if (stat(path, st) != 0)
        return fail(e, STATUS_BAD_DATA, "%s: %s", path,
                    errno == ENOENT ? "no such file or directory" : strerror(errno));
    if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
        return fail(e, STATUS_BAD_DATA,
                    "%s: is neither a file nor a directory (a corpus is read twice, so it cannot be a pipe "
                    "or a device)",
                    path);
    return STATUS_OK;
}

static const char *reason(struct archive *a)
{
    const char *text = archive_error_string(a);
    return text != NULL ? text : "damaged or unreadable";
}

/* The name of a member, NULL if it has none that can be compared.  UTF-8 first: in the C locale the other
 * call fails for it. */
static const char *member_name(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname_utf8(entry);
    return name != NULL ? name : archive_entry_pathname(entry);
}

static bool is_regular(struct archive_entry *entry)
{
    return archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == NULL;
}

/* A name that promises what the content is not points to a broken download (a saved error page, most
 * often). */
static status check_promise(const source *s, const char *path, error *e)
{
    static const char *const archives[] = {".zip",    ".tar",    ".tgz",     ".txz",
                                           ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2"};
    static const char *const packed[] = {".gz", ".xz", ".zst", ".bz2"};
    for (size_t i = 0; i < sizeof archives / sizeof *archives; i++)
        if (ends_with(path, archives[i]) && !s->is_archive)
            return fail(e, STATUS_BAD_DATA, "%s: its name says %s archive, its content is none", path,
                        archives[i]);
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
        if (ends_with(path, packed[i]) && archive_filter_code(s->archive, 0) == ARCHIVE_FILTER_NONE)
            return fail(e, STATUS_BAD_DATA, "%s: its name says %s, its content is not compressed", path,
                        packed[i]);
    return STATUS_OK;
}

/* Moves to the next member; *end when there is none. */
static status next_member(source *s, bool *end, error *e)
{
    int r;
    do
        r = archive_read_next_header(s->archive, &s->entry);
    while (r == ARCHIVE_RETRY);
    *end = r == ARCHIVE_EOF;
    if (r == ARCHIVE_FATAL || r == ARCHIVE_FAILED)
        return fail(e, STATUS_BAD_DATA, "%s: %s", s->label, reason(s->archive));
    return STATUS_OK;
}

static source *new_source(const char *path)
{
    source *s = calloc(1, sizeof *s);
    BUG_IF(s == NULL, "out of memory for a source");
    s->path = copy_text(path);
    s->label = make_label(path, NULL);
    s->archive = archive_read_new();
    BUG_IF(s->archive == NULL, "out of memory for libarchive");
    /* By name, not "all": others run external programs, or take a text for an encoding (uuencode). */
    archive_read_support_filter_gzip(s->archive);
    archive_read_support_filter_bzip2(s->archive);
    archive_read_support_filter_xz(s->archive);
    archive_read_support_filter_zstd(s->archive);
    archive_read_support_format_raw(s->archive);
    archive_read_support_format_empty(s->archive);
    return s;
}

/* Opens a file and stands at its first member. */
static status open_path(source **out, const char *path, error *e)
{
    source *s = new_source(path);
    archive_read_support_format_tar(s->archive);
    archive_read_support_format_zip(s->archive);

    struct stat st;
    status r = stat_path(&st, path, e);
    if (r == STATUS_OK && S_ISDIR(st.st_mode))
        r = fail(e, STATUS_BAD_DATA, "%s: is a directory, where a file is wanted", path);
    if (r == STATUS_OK && archive_read_open_filename(s->archive, path, 1 << 18) != ARCHIVE_OK)
        r = fail(e, STATUS_BAD_DATA, "%s: %s", path, reason(s->archive));
    bool end = false;
    if (r == STATUS_OK)
        r = next_member(s, &end, e);
    if (r == STATUS_OK) {
        int format = archive_format(s->archive);
        s->is_empty = st.st_size == 0 || format == ARCHIVE_FORMAT_EMPTY;
        s->is_archive = !s->is_empty && format != ARCHIVE_FORMAT_RAW;
        if (end)
            s->entry = NULL;
        r = s->is_empty ? STATUS_OK : check_promise(s, path, e);
    }
    if (r != STATUS_OK) {
        source_close(s);
        return r;
    }
    *out = s;
    return STATUS_OK;
}

status source_classify(source_kind *kind, const char *path, error *e)
{
    struct stat st;
    status r = stat_path(&st, path, e);
    if (r != STATUS_OK)
        return r;
    *kind = SOURCE_DIRECTORY;
    if (S_ISDIR(st.st_mode))
        return STATUS_OK;
    source *s = NULL;
    r = open_path(&s, path, e);
    if (r != STATUS_OK)
        return r;
    *kind = s->is_archive ? SOURCE_ARCHIVE : SOURCE_FILE;
    source_close(s);
    return STATUS_OK;
}

static bool find_in_directory(source_place *p, const char *where, const char *name)
{
    static const char *const folders[] = {"", "data/"};
    static const char *const suffixes[] = {"", ".gz", ".xz", ".zst", ".bz2"};
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++)
        for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
            char *path = NULL;
            struct stat st;
            BUG_IF(asprintf(&path, "%s/%s%s%s", where, folders[f], name, suffixes[i]) < 0,
                   "out of memory for a path");
            if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
                *p = (source_place){.path = path};
                return true;
            }
            free(path);
        }
    return false;
}

status source_open_members(source **out, const char *path, error *e)
{
    source *s = NULL;
    status r = open_path(&s, path, e);
    if (r != STATUS_OK)
        return r;
    if (!s->is_archive) {
        source_close(s);
        return fail(e, STATUS_BAD_DATA, "%s: is no archive", path);
    }
    *out = s;
    return STATUS_OK;
}

status source_next(source *s, const char **name, bool *folder, bool *more, error *e)
{
    for (;;) {
        bool end = s->entry == NULL;
        if (s->seen > 0) {
            status r = next_member(s, &end, e);
            if (r != STATUS_OK)
                return r;
        }
        *more = !end;
        if (end)
            return STATUS_OK;
        if (s->seen++ >= SOURCE_MEMBERS_MAX)
            return fail(e, STATUS_BAD_DATA, "%s: more than %d members", s->path, SOURCE_MEMBERS_MAX);
        const char *member = member_name(s->entry);
        *folder = archive_entry_filetype(s->entry) == AE_IFDIR;
        if (member == NULL || (!is_regular(s->entry) && !*folder))
            continue;
        free(s->name);
        free(s->label);
        s->name = copy_text(member);
        for (size_t n = strlen(s->name); n > 0 && s->name[n - 1] == '/'; n--)
            s->name[n - 1] = 0;
        s->label = make_label(s->path, s->name);
        *name = s->name;
        return STATUS_OK;
    }
}

/* Calls visit for every regular member; visit returns a failure to stop. */
static status each_member(const char *path, status (*visit)(void *context, const char *name, error *e),
                          void *context, error *e)
{
    source *s = NULL;
    status r = open_path(&s, path, e);
    if (r != STATUS_OK)
        return r;
    const char *name;
    bool folder, more = true;
    while (r == STATUS_OK && (r = source_next(s, &name, &folder, &more, e)) == STATUS_OK && more)
        if (!folder)
            r = visit(context, name, e);
    source_close(s);
    return r;
}

typedef struct member_search {
    const char *path;
    const char *const *names;
    size_t best; /* index in names of the member found so far */
    char *member;
} member_search;

static status match_member(void *context, const char *name, error *e)
{
    member_search *m = context;
    for (size_t i = 0; m->names[i] != NULL && i <= m->best; i++) {
        if (strcmp(last_component(name), m->names[i]) != 0)
            continue;
        if (m->member != NULL && i == m->best)
            return fail(e, STATUS_BAD_DATA, "%s: holds %s more than once (%s, %s)", m->path, m->names[i],
                        m->member, name);
        free(m->member);
        m->member = copy_text(name);
        m->best = i;
        break;
    }
    return STATUS_OK;
}

status source_find(source_place *p, bool *found, const char *where, const char *const *names, error *e)
{
    struct stat st;
    status r = stat_path(&st, where, e);
    *found = false;
    if (r != STATUS_OK)
        return r;
    if (S_ISDIR(st.st_mode)) {
        for (size_t i = 0; names[i] != NULL && !*found; i++)
            *found = find_in_directory(p, where, names[i]);
        return STATUS_OK;
    }
    member_search m = {.path = where, .names = names, .best = SIZE_MAX - 1};
    r = each_member(where, match_member, &m, e);
    if (r == STATUS_OK && m.member != NULL) {
        *p = (source_place){.path = copy_text(where), .member = m.member};
        *found = true;
    } else {
        free(m.member);
    }
    return r;
}

typedef struct member_only {
    const char *path;
    char *member;
} member_only;

static status take_only_member(void *context, const char *name, error *e)
{
    member_only *m = context;
    if (m->member != NULL)
        return fail(e, STATUS_BAD_DATA, "%s: holds several files (%s, %s, ...), one is wanted", m->path,
                    m->member, name);
    m->member = copy_text(name);
    return STATUS_OK;
}

status source_single(source_place *p, const char *path, error *e)
{
    source_kind kind;
    status r = source_classify(&kind, path, e);
    if (r != STATUS_OK)
        return r;
    if (kind == SOURCE_DIRECTORY)
        return fail(e, STATUS_BAD_DATA, "%s: is a directory, where a file is wanted", path);
    member_only m = {.path = path};
    if (kind == SOURCE_ARCHIVE) {
        r = each_member(path, take_only_member, &m, e);
        if (r == STATUS_OK && m.member == NULL)
            r = fail(e, STATUS_BAD_DATA, "%s: holds no regular file", path);
        if (r != STATUS_OK) {
            free(m.member);
            return r;
        }
    }
    *p = (source_place){.path = copy_text(path), .member = m.member};
    return STATUS_OK;
}

bool source_piped(source_place *p, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
        return false;
    *p = (source_place){.path = copy_text(path), .once = true};
    return true;
}

/* What can be read once only is no archive, and comes from a path or, NULL, from standard input. */
static status open_once(source **out, const char *path, error *e)
{
    source *s = new_source(path != NULL ? path : "standard input");
    bool end = false;
    status r = STATUS_OK;
    if ((path != NULL ? archive_read_open_filename(s->archive, path, 1 << 16)
                      : archive_read_open_fd(s->archive, STDIN_FILENO, 1 << 16)) != ARCHIVE_OK)
        r = fail(e, STATUS_BAD_DATA, "%s: %s", s->label, reason(s->archive));
    if (r == STATUS_OK)
        r = next_member(s, &end, e);
    if (r != STATUS_OK) {
        source_close(s);
        return r;
    }
    s->is_empty = end || archive_format(s->archive) == ARCHIVE_FORMAT_EMPTY;
    *out = s;
    return STATUS_OK;
}

status source_open(source **out, const source_place *p, error *e)
{
    source *s = NULL;
    if (p->once)
        return open_once(out, p->path, e);
    status r = open_path(&s, p->path, e);
    if (r != STATUS_OK)
        return r;
    bool end = s->entry == NULL;
    while (p->member != NULL && r == STATUS_OK && !end) {
        const char *name = member_name(s->entry);
        if (name != NULL && is_regular(s->entry) && strcmp(name, p->member) == 0)
            break;
        r = next_member(s, &end, e);
    }
    if (r == STATUS_OK && p->member != NULL && end)
        r = fail(e, STATUS_BAD_DATA, "%s: member %s is gone", p->path, p->member);
    if (r != STATUS_OK) {
        source_close(s);
        return r;
    }
    free(s->label);
    s->label = make_label(p->path, p->member);
    *out = s;
    return STATUS_OK;
}

status source_open_input(source **out, error *e)
{
    return open_once(out, NULL, e);
}

status source_read(source *s, void *bytes, size_t capacity, size_t *n, error *e)
{
    *n = 0;
    while (*n < capacity && !s->is_empty) {
        ssize_t got = archive_read_data(s->archive, (char *)bytes + *n, capacity - *n);
        if (got == ARCHIVE_RETRY)
            continue;
        if (got < 0)
            return fail(e, STATUS_BAD_DATA, "%s: %s", s->label, reason(s->archive));
        if (got == 0)
            break;
        *n += (size_t)got;
    }
    return STATUS_OK;
}

void source_close(source *s)
{
    if (s == NULL)
        return;
    if (s->archive != NULL)
        archive_read_free(s->archive);
    free(s->path);
    free(s->name);
    free(s->label);
    free(s);
}

const char *source_label(const source *s)
{
    return s->label;
}

uint64_t source_consumed(const source *s)
{
    int64_t n = archive_filter_bytes(s->archive, -1);
    return n > 0 ? (uint64_t)n : 0;
}

uint64_t source_file_bytes(const source_place *p)
{
    struct stat st;
    return stat(p->path, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}
