/* test_output.c - results of the user's choosing: what stands at a path decides whether a file is made anew or written
 * itself, and nothing but a regular file is ever replaced.
 *
 * Identity: whatever stands there before (a device, a pipe, the file of our stdout, a folder) stands there afterwards,
 * the same inode; only a regular file, or nothing, gives way to the new file.  Devices are our own, made with mknod. */
#include "io/output.h"
#include "tests/io/faults.h"
#include "tests/io/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka's; ours is io/status.h's */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static const char text[] = "one line\nanother line\n";

static status write_text(const char *path, error *e)
{
    output o;
    status s = output_open(&o, path, e);
    if (s != STATUS_OK)
        return s;
    fputs("one line\n", o.stream);
    s = output_flush(&o, e);
    fputs("another line\n", o.stream);
    status closed = output_close(&o, s == STATUS_OK ? e : NULL);
    output_discard(&o);
    return s == STATUS_OK ? closed : s;
}

static struct stat look(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st;
}

static void test_files(void **state)
{
    (void)state;
    const char *path = scratch_path("file");
    error e = {0};
    output o;
    assert_int_equal(output_open(&o, path, &e), STATUS_OK);
    fputs("lost", o.stream);
    assert_int_equal(output_flush(&o, &e), STATUS_OK);
    assert_false(disk_exists(path));
    output_discard(&o);
    output_discard(&o);
    assert_int_equal(scratch_entries(), 0);
    for (int turn = 0; turn < 2; turn++) { /* where nothing is; in place of the first one */
        assert_int_equal(write_text(path, &e), STATUS_OK);
        assert_true(scratch_holds(path, text, sizeof text - 1));
        assert_int_equal(scratch_entries(), 1);
    }
    unlink(path);
}

/* Each call fails once: the old file or the new one, and the sentence is the disk's. */
static void test_faults(void **state)
{
    (void)state;
    const char *path = scratch_path("file");
    int n = 1;
    for (bool struck = true; struck; n++) {
        error e = {0};
        scratch_write(path, "old", 3);
        faults_arm(FAULT_ERROR, n, ENOSPC);
        status s = write_text(path, &e);
        struck = faults_disarm();
        assert_int_equal(scratch_entries(), 1);
        assert_true(scratch_holds(path, "old", 3) || scratch_holds(path, text, sizeof text - 1));
        if (s != STATUS_OK) {
            assert_int_equal(s, STATUS_IO_FAILED);
            assert_non_null(strstr(e.text, "No space left on device"));
        }
    }
    assert_true(n > 8);
    unlink(path);
}

static struct {
    int calls, fails_from;
} writes;

/* A disk that is full for one write, and broken from then on. */
static ssize_t counted_pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    writes.calls++;
    if (writes.fails_from > 0 && writes.calls >= writes.fails_from) {
        errno = writes.calls == writes.fails_from ? ENOSPC : EIO;
        return -1;
    }
    return pwrite(fd, bytes, n, offset);
}

static void put_lines(output *o, int n)
{
    for (int i = 0; i < n; i++)
        fputs("a line of 20 letters\n", o->stream);
}

/* How often the disk is asked: not before the buffer is full, not again once it has failed, not for what is discarded. */
static void test_writes(void **state)
{
    (void)state;
    disk_table table = disk_system;
    table.pwrite = counted_pwrite;
    disk_calls = &table;
    output o;
    error e = {0};
    const char *path = scratch_path("file");
    writes.calls = writes.fails_from = 0;
    assert_int_equal(output_open(&o, path, &e), STATUS_OK);
    put_lines(&o, 3000);
    assert_int_equal(writes.calls, 0); /* 63,000 bytes */
    assert_int_equal(output_flush(&o, &e), STATUS_OK);
    assert_int_equal(writes.calls, 1);
    put_lines(&o, 1);
    output_discard(&o);
    assert_int_equal(writes.calls, 1);
    writes.calls = 0;
    writes.fails_from = 2;
    assert_int_equal(output_open(&o, path, &e), STATUS_OK);
    put_lines(&o, 20000);
    const status s = output_close(&o, &e);
    disk_calls = &disk_system;
    assert_int_equal(s, STATUS_IO_FAILED);
    assert_non_null(strstr(e.text, "file: cannot write: No space left on device"));
    assert_int_equal(writes.calls, 2);
    assert_int_equal(scratch_entries(), 0);
}

static void test_pipe(void **state)
{
    (void)state;
    const char *path = scratch_path("pipe");
    char got[64] = "";
    error e = {0};
    disk_file f;
    assert_int_equal(mkfifo(path, 0600), 0);
    const struct stat before = look(path);
    const int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_int_equal(disk_check_stream(path, &e), STATUS_OK);
    assert_int_equal(write_text(path, &e), STATUS_OK);
    assert_int_equal(read(reader, got, sizeof got), sizeof text - 1);
    assert_string_equal(got, text);
    assert_int_equal(look(path).st_ino, before.st_ino);
    assert_int_equal(scratch_entries(), 1);
    assert_int_equal(disk_create(&f, path, 0, &e), STATUS_IO_FAILED);
    assert_non_null(strstr(e.text, "is a pipe, where a regular file is wanted"));
    close(reader);
    unlink(path);
}

/* Twins of /dev/null and /dev/full: the real ones are everybody's. */
static void test_devices(void **state)
{
    (void)state;
    const char *null = scratch_path("null"), *full = scratch_path("full");
    error e = {0};
    disk_file f;
    if (mknod(null, S_IFCHR | 0600, makedev(1, 3)) != 0 || mknod(full, S_IFCHR | 0600, makedev(1, 7)) != 0 ||
        access(null, W_OK) != 0 || write_text(null, &e) != STATUS_OK) {
        print_message("skipped: no devices can be made here (%s)\n", e.text[0] ? e.text : strerror(errno));
        unlink(null);
        unlink(full);
        skip();
    }
    assert_true(S_ISCHR(look(null).st_mode));
    assert_int_equal(disk_check_stream(null, &e), STATUS_OK);
    assert_int_equal(write_text(full, &e), STATUS_IO_FAILED);
    assert_non_null(strstr(e.text, "full: cannot write: No space left on device"));
    assert_true(S_ISCHR(look(full).st_mode));
    assert_int_equal(disk_create(&f, null, 0, &e), STATUS_IO_FAILED);
    assert_int_equal(disk_write_file(null, text, sizeof text, &e), STATUS_IO_FAILED);
    assert_true(S_ISCHR(look(null).st_mode));
    assert_int_equal(scratch_entries(), 2);
    unlink(null);
    unlink(full);
}

/* `fd` leads to the file for a while: what restore() is given ends that. */
static int redirect(int fd, const char *file, int flags)
{
    fflush(stdout);
    const int ours = dup(fd), to = open(file, flags);
    assert_true(ours >= 0 && to >= 0 && dup2(to, fd) == fd);
    close(to);
    return ours;
}

static void restore(int fd, int ours)
{
    fflush(stdout);
    dup2(ours, fd);
    close(ours);
}

/* /dev/stdout leads to a regular file after `> file`: what is printed before and after the result stays beside it, and so
 * does the link. */
static void test_standard_output(void **state)
{
    (void)state;
    static const char want[] = "before\nprinted\none line\nanother line\nlater\n";
    const char *file = scratch_path("file"), *link = scratch_path("link");
    error e = {0};
    assert_int_equal(symlink(file, link), 0);
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        FILE *stream = fd == STDOUT_FILENO ? stdout : stderr;
        scratch_write(file, "", 0);
        const struct stat before = look(file);
        const size_t descriptors = scratch_descriptors();
        const int ours = redirect(fd, file, O_WRONLY);
        fputs("before\n", stream);
        fflush(stream);
        fputs("printed\n", stream);
        const status checked = disk_check_stream(link, &e), s = write_text(link, &e);
        fputs("later\n", stream);
        restore(fd, ours);
        assert_int_equal(checked, STATUS_OK);
        assert_int_equal(s, STATUS_OK);
        assert_int_equal(look(file).st_ino, before.st_ino);
        assert_true(scratch_holds(file, want, sizeof want - 1));
        assert_int_equal(scratch_entries(), 2);
        assert_int_equal(scratch_descriptors(), descriptors);
    }
    unlink(file);
    unlink(link);
}

/* What we read is not written to; a stdout that nobody can write to is no output. */
static void test_standard_input(void **state)
{
    (void)state;
    const char *file = scratch_path("file");
    error e = {0}, checked = {0}, created = {0};
    disk_file f;
    scratch_write(file, text, 3);
    int ours = redirect(STDIN_FILENO, file, O_RDONLY);
    const status s = write_text(file, &e), s_check = disk_check_stream(file, &checked),
                 s_create = disk_create(&f, file, 0, &created);
    restore(STDIN_FILENO, ours);
    assert_int_equal(s, STATUS_IO_FAILED);
    assert_int_equal(s_check, STATUS_IO_FAILED);
    assert_int_equal(s_create, STATUS_IO_FAILED);
    assert_non_null(
        strstr(e.text, "file: is the file that standard input reads, where another one is wanted"));
    assert_string_equal(checked.text, e.text);
    assert_non_null(strstr(created.text, "is the file that standard input reads, where a regular file is"));
    assert_true(scratch_holds(file, text, 3));
    ours = redirect(STDOUT_FILENO, file, O_RDONLY);
    const status replaced = write_text(file, &e);
    restore(STDOUT_FILENO, ours);
    assert_int_equal(replaced, STATUS_OK);
    assert_true(scratch_holds(file, text, sizeof text - 1));
    assert_int_equal(scratch_entries(), 1);
    unlink(file);
}

/* Who holds a descriptor needs no right to open the file behind it, nor to make one beside it. */
static void test_without_rights(void **state)
{
    (void)state;
    const char *file = scratch_path("file");
    int how;
    scratch_write(file, "", 0);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        redirect(STDOUT_FILENO, file, O_WRONLY);
        if (chmod(file, 0400) != 0 || chmod(scratch_folder(), 0511) != 0 ||
            (geteuid() == 0 && setuid(65534) != 0))
            _exit(2);
        _exit(access(file, W_OK) == 0                      ? 3
              : disk_check_stream(file, NULL) != STATUS_OK ? 4
              : write_text(file, NULL) != STATUS_OK        ? 5
                                                           : 0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    chmod(scratch_folder(), 0700);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    assert_true(scratch_holds(file, text, sizeof text - 1));
    unlink(file);
}

static void test_folder(void **state)
{
    (void)state;
    const char *path = scratch_path("folder");
    error e = {0};
    mkdir(path, 0700);
    assert_int_equal(write_text(path, &e), STATUS_IO_FAILED);
    assert_non_null(strstr(e.text, "is a folder, where a file is wanted"));
    assert_int_equal(disk_check_stream(path, &e), STATUS_IO_FAILED);
    assert_int_equal(disk_check_stream(scratch_path("none/file"), &e), STATUS_IO_FAILED);
    assert_int_equal(disk_check_stream("", &e), STATUS_IO_FAILED);
    assert_string_equal(e.text, "\"\": is no name of a file");
    rmdir(path);
    assert_int_equal(disk_check_stream(scratch_path("file"), &e), STATUS_OK);
    assert_int_equal(scratch_entries(), 0);
}

/* A process that is ended in the middle of two files leaves neither, and its end is the signal's; one that ignores the
 * signal goes on. */
static void test_signals(void **state)
{
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < 4; i++)
        for (int ignored = 0; ignored < 2; ignored++) {
            int how;
            const pid_t child = fork();
            if (child == 0) {
                output a, b;
                signal(numbers[i], ignored ? SIG_IGN : SIG_DFL);
                disk_clean_on_signals();
                if (output_open(&a, scratch_path("a"), NULL) != STATUS_OK ||
                    output_open(&b, scratch_path("b"), NULL) != STATUS_OK || scratch_entries() != 2)
                    _exit(1);
                raise(numbers[i]);
                output_discard(&a);
                output_discard(&b);
                _exit(7);
            }
            assert_int_equal(waitpid(child, &how, 0), child);
            if (ignored)
                assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 7);
            else
                assert_true(WIFSIGNALED(how) && WTERMSIG(how) == numbers[i]);
            assert_int_equal(scratch_entries(), 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),          cmocka_unit_test(test_faults),
        cmocka_unit_test(test_pipe),           cmocka_unit_test(test_devices),
        cmocka_unit_test(test_folder),         cmocka_unit_test(test_standard_output),
        cmocka_unit_test(test_standard_input), cmocka_unit_test(test_without_rights),
        cmocka_unit_test(test_writes),         cmocka_unit_test(test_signals),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
