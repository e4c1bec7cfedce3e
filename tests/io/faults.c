#include "tests/io/faults.h"

#include "io/disk.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct {
    fault_kind kind;
    int n, error, calls;
    char trace[4096];
    char struck;
} state;

typedef enum { GO, FAIL, HALF, ZERO } verdict;

static verdict before(char letter)
{
    if (state.calls < (int)sizeof state.trace - 1)
        state.trace[state.calls] = letter;
    state.calls++;
    bool here = state.calls == state.n, later = state.calls > state.n && state.n > 0;
    if (state.kind == FAULT_CRASH_BEFORE && here)
        _exit(99);
    if (here)
        state.struck = letter;
    if (state.kind == FAULT_SHORT && here)
        return HALF;
    if (state.kind == FAULT_NOTHING && here && letter == 'w')
        return ZERO;
    bool fails = (here && (state.kind == FAULT_ERROR || state.kind == FAULT_ERROR_STAYS)) ||
                 (later && state.kind == FAULT_ERROR_STAYS && letter != 'u');
    if (fails)
        errno = state.error;
    return fails ? FAIL : GO;
}

static void after(void)
{
    if (state.kind == FAULT_CRASH_AFTER && state.calls == state.n)
        _exit(99);
}

static int faulty_open(const char *path, int flags, mode_t mode)
{
    int rc = before('o') == FAIL ? -1 : disk_system.open(path, flags, mode);
    after();
    return rc;
}

static int faulty_fallocate(int fd, off_t offset, off_t length)
{
    int rc = before('f') == FAIL ? state.error : disk_system.fallocate(fd, offset, length);
    after();
    return rc;
}

static ssize_t faulty_pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    verdict v = before('w');
    ssize_t rc = v == FAIL   ? -1
                 : v == ZERO ? 0
                             : disk_system.pwrite(fd, bytes, v == HALF ? (n + 1) / 2 : n, offset);
    after();
    return rc;
}

static ssize_t faulty_pread(int fd, void *bytes, size_t n, off_t offset)
{
    verdict v = before('r');
    ssize_t rc = v == FAIL ? -1 : disk_system.pread(fd, bytes, v == HALF ? (n + 1) / 2 : n, offset);
    after();
    return rc;
}

static int faulty_fsync(int fd)
{
    int rc = before('s') == FAIL ? -1 : disk_system.fsync(fd);
    after();
    return rc;
}

static int faulty_close(int fd)
{
    verdict v = before('c');
    int keep = errno, rc = disk_system.close(fd);
    if (v == FAIL) {
        errno = keep;
        rc = -1;
    }
    after();
    return rc;
}

static int faulty_rename(const char *from, const char *to)
{
    int rc = before('R') == FAIL ? -1 : disk_system.rename(from, to);
    after();
    return rc;
}

static int faulty_unlink(const char *path)
{
    int rc = before('u') == FAIL ? -1 : disk_system.unlink(path);
    after();
    return rc;
}

static ssize_t faulty_write(int fd, const void *bytes, size_t n)
{
    verdict v = before('w');
    ssize_t rc = v == FAIL ? -1 : v == ZERO ? 0 : disk_system.write(fd, bytes, v == HALF ? (n + 1) / 2 : n);
    after();
    return rc;
}

static const disk_table faulty = {faulty_open,  faulty_fallocate, faulty_pwrite, faulty_pread, faulty_fsync,
                                  faulty_close, faulty_rename,    faulty_unlink, faulty_write};

void faults_arm(fault_kind kind, int n, int errno_value)
{
    memset(&state, 0, sizeof state);
    state.kind = kind;
    state.n = n;
    state.error = errno_value;
    disk_calls = &faulty;
}

bool faults_disarm(void)
{
    disk_calls = &disk_system;
    return state.n > 0 && state.calls >= state.n;
}

const char *faults_trace(void)
{
    return state.trace;
}

char faults_struck(void)
{
    return state.struck;
}
