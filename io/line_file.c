/* line_file.c - see line_file.h. */
#include "io/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is there already ends in a newline, so that the next line stands alone. */
static bool end_torn_line(line_file *f)
{
    char last = '\n';
    if (f->end > 0 && pread(f->fd, &last, 1, f->end - 1) != 1)
        return false;
    return last == '\n' || line_file_write(f, "\n", 1);
}

status line_file_open(line_file *f, const char *path, error *e)
{
    struct stat about;
    *f = (line_file){.fd = -1};
    /* O_NONBLOCK: opening a pipe or a device of that name must not hang before it can be refused. */
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
    if (fd < 0)
        return fail(e, STATUS_IO_FAILED, "%s: cannot open for appending: %s", path, strerror(errno));
    *f = (line_file){.fd = fd, .path = strdup(path)};
    status s = STATUS_OK;
    if (!f->path)
        s = fail(e, STATUS_NO_MEMORY, "%s: out of memory", path);
    else if (fstat(fd, &about) != 0)
        s = fail(e, STATUS_IO_FAILED, "%s: cannot stat: %s", path, strerror(errno));
    else if (!S_ISREG(about.st_mode))
        s = fail(e, STATUS_IO_FAILED, "%s: not a regular file", path);
    else {
        f->end = about.st_size;
        if (!end_torn_line(f))
            s = fail(e, STATUS_IO_FAILED, "%s: cannot write: %s", path, strerror(errno));
    }
    if (s != STATUS_OK)
        line_file_close(f);
    return s;
}

bool line_file_write(line_file *f, const char *line, size_t n)
{
    ssize_t written;
    do
        written = write(f->fd, line, n);
    while (written < 0 && errno == EINTR);
    if (written == (ssize_t)n) {
        f->end += (off_t)n;
        return true;
    }
    int why = written < 0 ? errno : ENOSPC; /* a short write to a regular file means that there is no room */
    if (written > 0 && ftruncate(f->fd, f->end) != 0)
        f->end += written; /* cannot be mended: the torn line stays, and the next one follows it */
    errno = why;
    return false;
}

void line_file_close(line_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    *f = (line_file){.fd = -1};
}
