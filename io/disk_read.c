/* disk_read.c - reading files, and looking after directories. */
#include "io/disk_internal.h"

#include "io/bug.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* O_NONBLOCK keeps a FIFO that stands in a file's place from blocking the open for ever. */
static status open_regular(int *fd, uint64_t *bytes, const char *path, error *e)
{
    *fd = disk_open(path, O_RDONLY | O_NONBLOCK, 0);
    if (*fd < 0)
        return disk_failed(e, path, "open");
    struct stat st;
    status s = STATUS_OK;
    if (fstat(*fd, &st) < 0)
        s = disk_failed(e, path, "look at");
    else if (!S_ISREG(st.st_mode))
        s = fail(e, STATUS_IO_FAILED, "%s: is %s, not a regular file", path,
                 S_ISDIR(st.st_mode) ? "a directory" : "a special file");
    if (s != STATUS_OK)
        close(*fd);
    else
        *bytes = (uint64_t)st.st_size;
    return s;
}

static status read_all(int fd, const char *path, unsigned char *to, size_t n, error *e)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = read(fd, to + done, n - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return disk_failed(e, path, "read");
        if (got == 0)
            return fail(e, STATUS_IO_FAILED, "%s: became shorter while it was read", path);
        done += (size_t)got;
    }
    return STATUS_OK;
}

status disk_read_file(const char *path, uint64_t max_bytes, unsigned char **bytes, size_t *n, error *e)
{
    int fd = -1;
    uint64_t size = 0;
    status s = open_regular(&fd, &size, path, e);
    if (s != STATUS_OK)
        return s;
    unsigned char *buffer = NULL;
    if (size > max_bytes)
        s = fail(e, STATUS_IO_FAILED, "%s: holds %" PRIu64 " bytes, at most %" PRIu64 " are allowed", path,
                 size, max_bytes);
    else if ((buffer = malloc((size_t)size + 1)) == NULL)
        s = fail(e, STATUS_NO_MEMORY, "%s: no memory for its %" PRIu64 " bytes", path, size);
    else
        s = read_all(fd, path, buffer, (size_t)size, e);
    close(fd);
    if (s != STATUS_OK) {
        free(buffer);
        return s;
    }
    buffer[size] = '\0';
    *bytes = buffer;
    *n = (size_t)size;
    return STATUS_OK;
}

status disk_map_file(disk_map *m, const char *path, error *e)
{
    *m = (disk_map){0};
    int fd = -1;
    uint64_t size = 0;
    status s = open_regular(&fd, &size, path, e);
    if (s != STATUS_OK)
        return s;
    if (size == 0) {
        s = fail(e, STATUS_IO_FAILED, "%s: is empty", path);
    } else {
        void *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
        if (bytes == MAP_FAILED)
            s = disk_failed(e, path, "map");
        else
            *m = (disk_map){.bytes = bytes, .n = (size_t)size};
    }
    close(fd);
    return s;
}

void disk_unmap(disk_map *m)
{
    if (m->bytes != NULL)
        munmap((void *)(uintptr_t)m->bytes, m->n);
    *m = (disk_map){0};
}

/* Makes one directory; one that exists is fine. */
static status make_one(const char *path, error *e)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return STATUS_OK;
    return disk_failed(e, path, "make the directory");
}

status disk_make_dir(const char *path, error *e)
{
    char *part = strdup(path);
    BUG_IF(part == NULL, "no memory for a path");
    status s = *path ? STATUS_OK : fail(e, STATUS_IO_FAILED, "the name of a directory is empty");
    for (char *p = part + 1; s == STATUS_OK && p[-1] && *p; p++)
        if (*p == '/') {
            *p = '\0';
            s = make_one(part, e);
            *p = '/';
        }
    if (s == STATUS_OK)
        s = make_one(path, e);
    free(part);
    struct stat st;
    if (s == STATUS_OK && stat(path, &st) < 0)
        return disk_failed(e, path, "look at");
    if (s == STATUS_OK && !S_ISDIR(st.st_mode))
        return fail(e, STATUS_IO_FAILED, "%s: exists and is not a directory", path);
    if (s == STATUS_OK && access(path, W_OK | X_OK) < 0)
        return disk_failed(e, path, "write into the directory");
    return s;
}

/* flock, since it goes with the process, needs no file of its own and keeps out a second opening in the same
 * process, too.  Some network file systems refuse it: then we go without. */
status disk_lock(const char *dir, int seconds, int *lock, error *e)
{
    enum { TRIES_A_SECOND = 20 };
    *lock = disk_open(dir, O_RDONLY | O_DIRECTORY, 0);
    if (*lock < 0)
        return disk_failed(e, dir, "open the directory");
    for (int tries = 0; flock(*lock, LOCK_EX | LOCK_NB) < 0; tries++) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            return STATUS_OK;
        if (tries >= seconds * TRIES_A_SECOND) {
            disk_unlock(lock);
            return fail(e, STATUS_IO_FAILED, "%s: is in use by another process, which writes there", dir);
        }
        usleep(1000000 / TRIES_A_SECOND);
    }
    return STATUS_OK;
}

void disk_unlock(int *lock)
{
    if (*lock >= 0)
        close(*lock);
    *lock = -1;
}

bool disk_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static bool all_of(const char *text, size_t n, int (*is)(int))
{
    for (size_t i = 0; i < n; i++)
        if (!is((unsigned char)text[i]))
            return false;
    return true;
}

/* Does name end in ".tmp.<our host>.<pid>.<random>" with a process that is gone?  The name is read
 * strictly: what we did not name ourselves is not ours to remove. */
static bool is_dead_temporary(const char *name, const char *tag)
{
    const char *p = NULL;
    for (const char *q = name; (q = strstr(q, ".tmp.")) != NULL; q++)
        p = q;
    if (p == NULL || strncmp(p + 5, tag, 8) != 0 || p[13] != '.')
        return false;
    const char *pid_text = p + 14, *dot = strchr(pid_text, '.');
    if (dot == NULL || dot == pid_text || dot - pid_text > 9 ||
        !all_of(pid_text, (size_t)(dot - pid_text), isdigit))
        return false;
    if (strlen(dot + 1) != 16 || !all_of(dot + 1, 16, isxdigit))
        return false;
    long pid = strtol(pid_text, NULL, 10);
    return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static status remove_in(const char *dir, const char *name, error *e)
{
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for a path", dir);
    status s = STATUS_OK;
    if (disk_calls->unlink(path) < 0 && errno != ENOENT) /* another process may sweep too */
        s = disk_failed(e, path, "remove");
    free(path);
    return s;
}

status disk_sweep_temporaries(const char *dir, error *e)
{
    DIR *d = opendir(dir);
    if (d == NULL)
        return disk_failed(e, dir, "list the directory");
    char tag[DISK_HOST_TAG];
    disk_host_tag(tag);
    status s = STATUS_OK;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;)
        if (s == STATUS_OK && is_dead_temporary(entry->d_name, tag))
            s = remove_in(dir, entry->d_name, e);
    closedir(d);
    return s;
}

uint64_t disk_free_bytes(const char *dir)
{
    struct statvfs st;
    return statvfs(dir, &st) == 0 ? (uint64_t)st.f_bavail * st.f_frsize : 0;
}
