/* metrics.c - see metrics.h. */
#include "io/metrics.h"

#include "io/bug.h"
#include "io/disk.h"
#include "io/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct metrics {
    line_file file;
};

/* A whole line (with its newline) that holds a record of a step up to `last`. */
static bool is_kept(const char *line, size_t n, int64_t last)
{
    record *r = NULL;
    int64_t step = 0;
    if (n == 0 || line[n - 1] != '\n' || record_parse(&r, line, n - 1, "metrics.jsonl", NULL) != STATUS_OK)
        return false;
    bool keep = record_get_int(r, "step", &step) && step <= last;
    record_free(r);
    return keep;
}

/* Copies the kept lines of `in` into a new file and puts it in the place of `path`. */
static status rewrite(FILE *in, const char *path, int64_t last, error *e)
{
    disk_file out;
    status s = disk_create(&out, path, 0, e);
    if (s != STATUS_OK)
        return s;
    char *line = NULL;
    size_t room = 0;
    uint64_t at = 0;
    ssize_t n;
    while (s == STATUS_OK && (n = getline(&line, &room, in)) > 0)
        if (is_kept(line, (size_t)n, last)) {
            s = disk_write_at(&out, line, (size_t)n, at, e);
            at += (uint64_t)n;
        }
    free(line);
    if (s == STATUS_OK && ferror(in))
        s = fail(e, STATUS_IO_FAILED, "%s: cannot read: %s", path, strerror(errno));
    if (s != STATUS_OK) {
        disk_discard(&out);
        return s;
    }
    return disk_commit(&out, e);
}

static status cut(const char *path, int64_t last, error *e)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return STATUS_OK;
    if (fd < 0)
        return fail(e, STATUS_IO_FAILED, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(fd);
        return fail(e, STATUS_IO_FAILED, "%s: not a regular file", path);
    }
    FILE *in = fdopen(fd, "r");
    if (!in) {
        close(fd);
        return fail(e, STATUS_NO_MEMORY, "%s: out of memory", path);
    }
    status s = rewrite(in, path, last, e);
    fclose(in);
    return s;
}

status metrics_open(metrics **m, const char *dir, int64_t resume_step, error *e)
{
    char *path = NULL;
    *m = NULL;
    BUG_IF(asprintf(&path, "%s/metrics.jsonl", dir) < 0, "out of memory");
    status s = resume_step == METRICS_FRESH ? disk_write_file(path, "", 0, e) : cut(path, resume_step, e);
    line_file file = {.fd = -1};
    if (s == STATUS_OK)
        s = line_file_open(&file, path, e);
    free(path);
    if (s != STATUS_OK)
        return s;
    *m = malloc(sizeof **m);
    BUG_IF(!*m, "out of memory");
    (*m)->file = file;
    return STATUS_OK;
}

bool metrics_write(metrics *m, const record *r)
{
    const char *type = NULL;
    int64_t step = 0;
    BUG_IF(!record_get_text(r, "type", &type) || !record_get_int(r, "step", &step),
           "a record of metrics without type or step");
    char *text = record_to_text(r);
    size_t n = strlen(text);
    char *line = realloc(text, n + 2);
    BUG_IF(!line, "out of memory");
    memcpy(line + n, "\n", 2);
    bool written = line_file_write(&m->file, line, n + 1);
    free(line);
    return written;
}

void metrics_close(metrics *m)
{
    if (!m)
        return;
    line_file_close(&m->file);
    free(m);
}
