/* disk.c - making a file so that the old one or the new one is there, whole, whatever happens in between.
 *
 *   temporary:  open(O_EXCL)  posix_fallocate  pwrite...  fsync  close
 *   final name:                 open(dir)  rename  fsync(dir)  close(dir)
 *                                            ^ commit
 *
 * The directory is opened before the rename, so that a lack of descriptors cannot strike between commit
 * and sync. */
#include "io/disk_internal.h"

#include "io/bug.h"
#include "io/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static int system_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

const disk_table disk_system = {
    .open = system_open,
    .fallocate = posix_fallocate,
    .pwrite = pwrite,
    .pread = pread,
    .fsync = fsync,
    .close = close,
    .rename = rename,
    .unlink = unlink,
    .write = write,
};
const disk_table *disk_calls = &disk_system;

status disk_failed(error *e, const char *path, const char *what)
{
    char why[128];
    return fail(e, STATUS_IO_FAILED, "%s: cannot %s: %s", path, what, strerror_r(errno, why, sizeof why));
}

int disk_open(const char *path, int flags, mode_t mode)
{
    int fd;
    do
        fd = disk_calls->open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Linux has let go of the descriptor when close says EINTR: trying again could close another thread's
 * file. */
static int close_once(int fd)
{
    return disk_calls->close(fd) < 0 && errno != EINTR ? -1 : 0;
}

static int sync_once(int fd)
{
    int rc;
    do
        rc = disk_calls->fsync(fd);
    while (rc < 0 && errno == EINTR); /* nothing was lost yet; every other failure is final */
    return rc;
}

char *disk_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    char *directory = n == 0 ? strdup(".") : strndup(path, n);
    BUG_IF(directory == NULL, "no memory for a path of %zu bytes", n);
    return directory;
}

void disk_host_tag(char tag[DISK_HOST_TAG])
{
    char text[512] = "", hex[XXH128_HEX];
    gethostname(text, 255);
    size_t used = strlen(text);
    ssize_t link = readlink("/proc/self/ns/pid", text + used, sizeof text - used - 1);
    xxh128_of(text, used + (link > 0 ? (size_t)link : 0), hex);
    snprintf(tag, DISK_HOST_TAG, "%.8s", hex);
}

/* Unpredictable, so that nobody who may write in the directory can stand in the way. */
static status temporary_name(char **name, const char *path, error *e)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return disk_failed(e, path, "get random bytes for a temporary name");
    char tag[DISK_HOST_TAG];
    disk_host_tag(tag);
    if (asprintf(name, "%s.tmp.%s.%ld.%016" PRIx64, path, tag, (long)getpid(), random) < 0) {
        *name = NULL;
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for a temporary name", path);
    }
    return STATUS_OK;
}

static status reserve(disk_file *f, uint64_t bytes, error *e)
{
    if (bytes > INT64_MAX)
        return fail(e, STATUS_IO_FAILED, "%s: %" PRIu64 " bytes are more than a file can hold", f->path,
                    bytes);
    int rc;
    do
        rc = disk_calls->fallocate(f->fd, 0, (off_t)bytes);
    while (rc == EINTR);
    if (rc == 0)
        return STATUS_OK;
    errno = rc;
    char what[64];
    snprintf(what, sizeof what, "reserve %" PRIu64 " bytes", bytes);
    return disk_failed(e, f->path, what);
}

/* What a name stands for, as far as writing goes.  A rename over /dev/null would put a file in its place, and one over
 * /dev/stdout a file where a link was, though that leads to a regular one. */
typedef enum { FREE_OR_FILE, STREAM, OUTPUT, INPUT, OTHER } target;

static bool leads_to(int fd, const struct stat *st)
{
    struct stat its;
    return fstat(fd, &its) == 0 && its.st_dev == st->st_dev && its.st_ino == st->st_ino;
}

static bool writable(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

/* *fd becomes the descriptor of an OUTPUT. */
static target look_at(const char *path, struct stat *st, int *fd)
{
    if (stat(path, st) != 0)
        return FREE_OR_FILE; /* what else is wrong, the creation tells */
    for (*fd = STDOUT_FILENO; *fd <= STDERR_FILENO; ++*fd)
        if (leads_to(*fd, st) && writable(*fd))
            return OUTPUT;
    if (S_ISCHR(st->st_mode) || S_ISFIFO(st->st_mode))
        return STREAM;
    if (!S_ISREG(st->st_mode))
        return OTHER;
    return leads_to(STDIN_FILENO, st) ? INPUT : FREE_OR_FILE;
}

static status refuse(const char *path, const struct stat *st, target what, const char *wanted, error *e)
{
    return fail(e, STATUS_IO_FAILED, "%s: is %s, where %s is wanted", path,
                S_ISDIR(st->st_mode)    ? "a folder"
                : S_ISFIFO(st->st_mode) ? "a pipe"
                : what == INPUT         ? "the file that standard input reads"
                : S_ISREG(st->st_mode)  ? "where standard output or errors go"
                                        : "a device or socket",
                wanted);
}

static status create_beside(disk_file *f, const char *path, uint64_t reserve_bytes, error *e)
{
    if (*path == 0)
        return fail(e, STATUS_IO_FAILED, "\"\": is no name of a file");
    *f = (disk_file){.fd = -1, .path = strdup(path)};
    if (f->path == NULL)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for its name", path);
    status s = temporary_name(&f->temporary, path, e);
    if (s == STATUS_OK) {
        f->note = disk_note_temporary(f->temporary);
        f->fd = disk_open(f->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
        if (f->fd < 0)
            s = disk_failed(e, path, "create a temporary file beside it");
    }
    if (s == STATUS_OK && reserve_bytes > 0)
        s = reserve(f, reserve_bytes, e);
    if (s != STATUS_OK)
        disk_discard(f);
    return s;
}

status disk_create(disk_file *f, const char *path, uint64_t reserve_bytes, error *e)
{
    struct stat st;
    int fd;
    *f = (disk_file){.fd = -1};
    const target what = look_at(path, &st, &fd);
    return what == FREE_OR_FILE ? create_beside(f, path, reserve_bytes, e)
                                : refuse(path, &st, what, "a regular file", e);
}

/* Opened anew, what our stdout leads to would have a place of its own in the file, and each of the two would write over
 * the other; a copy of the descriptor shares the place.  What stdio holds back was said before. */
static int join_output(int fd)
{
    if (fd == STDOUT_FILENO)
        fflush(stdout); /* a failure is the stream's, and who closes it tells */
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

status disk_create_stream(disk_file *f, const char *path, error *e)
{
    struct stat st;
    int fd;
    *f = (disk_file){.fd = -1};
    const target what = look_at(path, &st, &fd);
    if (what == FREE_OR_FILE)
        return create_beside(f, path, 0, e);
    if (what == OTHER || what == INPUT)
        return refuse(path, &st, what, what == INPUT ? "another one" : "a file", e);
    f->path = strdup(path);
    if (f->path == NULL)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for its name", path);
    f->fd = what == OUTPUT ? join_output(fd) : disk_open(path, O_WRONLY | O_APPEND | O_NOCTTY, 0);
    if (f->fd >= 0)
        return STATUS_OK;
    status s = disk_failed(e, path, "open for writing");
    disk_discard(f);
    return s;
}

status disk_check_stream(const char *path, error *e)
{
    struct stat st;
    disk_file f;
    int fd;
    if (look_at(path, &st, &fd) == STREAM)
        return access(path, W_OK) == 0 ? STATUS_OK : disk_failed(e, path, "open for writing");
    status s = disk_create_stream(&f, path, e);
    if (s == STATUS_OK)
        disk_discard(&f);
    return s;
}

status disk_write_at(disk_file *f, const void *bytes, size_t n, uint64_t offset, error *e)
{
    const unsigned char *from = bytes;
    while (n > 0) {
        ssize_t done = f->temporary != NULL ? disk_calls->pwrite(f->fd, from, n, (off_t)offset)
                                            : disk_calls->write(f->fd, from, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done == 0)
            errno = ENOSPC; /* POSIX leaves errno alone here; a file that takes nothing more is full */
        if (done <= 0)
            return disk_failed(e, f->path, "write");
        from += done;
        n -= (size_t)done;
        offset += (uint64_t)done;
    }
    return STATUS_OK;
}

status disk_read_at(disk_file *f, void *bytes, size_t n, uint64_t offset, error *e)
{
    unsigned char *to = bytes;
    while (n > 0) {
        ssize_t done = disk_calls->pread(f->fd, to, n, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return disk_failed(e, f->path, "read back");
        if (done == 0)
            return fail(e, STATUS_IO_FAILED, "%s: ends at byte %" PRIu64 ", %zu bytes too early", f->path,
                        offset, n);
        to += done;
        n -= (size_t)done;
        offset += (uint64_t)done;
    }
    return STATUS_OK;
}

static void forget(disk_file *f)
{
    disk_forget_temporary(f->note);
    free(f->path);
    free(f->temporary);
    *f = (disk_file){.fd = -1};
}

void disk_discard(disk_file *f)
{
    if (f->fd >= 0) {
        close_once(f->fd);
        if (f->temporary != NULL)
            disk_calls->unlink(f->temporary);
    }
    forget(f);
}

/* Some file systems cannot sync a directory and say EINVAL; their renames are as durable as they get. */
static int sync_directory(int fd)
{
    return sync_once(fd) < 0 && errno != EINVAL ? -1 : 0;
}

/* What is no file has nothing to sync. */
static status sync_and_close(disk_file *f, error *e)
{
    if (f->temporary != NULL && sync_once(f->fd) < 0)
        return disk_failed(e, f->path, "sync");
    int fd = f->fd;
    f->fd = -1;
    return close_once(fd) < 0 ? disk_failed(e, f->path, "close") : STATUS_OK;
}

static status rename_and_sync(disk_file *f, error *e)
{
    char *directory = disk_directory_of(f->path);
    int fd = disk_open(directory, O_RDONLY | O_DIRECTORY, 0);
    status s = fd < 0 ? disk_failed(e, directory, "open the directory") : STATUS_OK;
    if (s == STATUS_OK && disk_calls->rename(f->temporary, f->path) < 0)
        s = disk_failed(e, f->path, "rename the temporary file to it");
    if (s != STATUS_OK)
        disk_calls->unlink(f->temporary);
    else if (sync_directory(fd) < 0)
        s = disk_failed(e, directory,
                        "sync the directory: the new file is there, but may not outlive a power cut");
    if (fd >= 0)
        close_once(fd); /* it was only read: closing can lose nothing */
    free(directory);
    return s;
}

status disk_commit(disk_file *f, error *e)
{
    BUG_IF(f->fd < 0, "commit of a file that is not open");
    status s = sync_and_close(f, e);
    if (s == STATUS_OK && f->temporary != NULL)
        s = rename_and_sync(f, e);
    else if (f->fd < 0 && f->temporary != NULL)
        disk_calls->unlink(f->temporary);
    disk_discard(f);
    return s;
}

status disk_write_file(const char *path, const void *bytes, size_t n, error *e)
{
    disk_file f;
    status s = disk_create(&f, path, n, e);
    if (s != STATUS_OK)
        return s;
    s = disk_write_at(&f, bytes, n, 0, e);
    if (s == STATUS_OK)
        return disk_commit(&f, e);
    disk_discard(&f);
    return s;
}

status disk_remove(const char *path, error *e)
{
    if (disk_calls->unlink(path) < 0)
        return errno == ENOENT ? STATUS_OK : disk_failed(e, path, "remove");
    char *directory = disk_directory_of(path);
    int fd = disk_open(directory, O_RDONLY | O_DIRECTORY, 0);
    status s = fd < 0 || sync_directory(fd) < 0 ? disk_failed(e, directory, "sync the directory") : STATUS_OK;
    if (fd >= 0)
        close_once(fd);
    free(directory);
    return s;
}
