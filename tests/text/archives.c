#include "tests/text/archives.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void demand(struct archive *a, int fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "%s: %s\n", what, archive_error_string(a));
        abort();
    }
}

static void add_filter(struct archive *a, const char *kind)
{
    const char *dot = strchr(kind, '.');
    int r = ARCHIVE_OK;
    if (dot == NULL)
        return;
    if (strcmp(dot, ".gz") == 0)
        r = archive_write_add_filter_gzip(a);
    else if (strcmp(dot, ".bz2") == 0)
        r = archive_write_add_filter_bzip2(a);
    else if (strcmp(dot, ".xz") == 0)
        r = archive_write_add_filter_xz(a);
    else
        r = archive_write_add_filter_zstd(a);
    demand(a, r == ARCHIVE_OK, kind);
}

static void add_member(struct archive *a, const archive_member *m)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, m->name);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_filetype(entry, m->link != NULL ? AE_IFLNK : m->bytes != NULL ? AE_IFREG : AE_IFDIR);
    archive_entry_set_size(entry, m->bytes != NULL ? (la_int64_t)m->n : 0);
    if (m->link != NULL)
        archive_entry_set_symlink(entry, m->link);
    if (m->hard_link != NULL)
        archive_entry_set_hardlink(entry, m->hard_link);
    demand(a, archive_write_header(a, entry) == ARCHIVE_OK, m->name);
    if (m->bytes != NULL && m->n > 0)
        demand(a, archive_write_data(a, m->bytes, m->n) == (la_ssize_t)m->n, m->name);
    archive_entry_free(entry);
}

void archive_make(const char *path, const char *kind, const archive_member *members, size_t count)
{
    struct archive *a = archive_write_new();
    if (strncmp(kind, "tar", 3) == 0)
        archive_write_set_format_pax_restricted(a);
    else if (strncmp(kind, "zip", 3) == 0)
        archive_write_set_format_zip(a);
    else
        archive_write_set_format_raw(a);
    add_filter(a, kind);
    demand(a, archive_write_open_filename(a, path) == ARCHIVE_OK, path);
    for (size_t i = 0; i < count; i++)
        add_member(a, &members[i]);
    demand(a, archive_write_close(a) == ARCHIVE_OK, path);
    archive_write_free(a);
}
