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

/* /dev/stdout leads to a regular file after `> file`; what stands in it stays, and so does the link. */
static void test_standard_output(void **state)
{
    (void)state;
    const char *file = scratch_path("file"), *link = scratch_path("link");
    error e = {0};
    scratch_write(file, "before\n", 7);
    assert_int_equal(symlink(file, link), 0);
    const struct stat before = look(file);
    const int ours = dup(STDIN_FILENO), to = open(file, O_RDONLY);
    dup2(to, STDIN_FILENO);
    status s = write_text(link, &e);
    dup2(ours, STDIN_FILENO);
    close(ours);
    close(to);
    assert_int_equal(s, STATUS_OK);
    assert_int_equal(look(file).st_ino, before.st_ino);
    assert_true(scratch_holds(file, "before\none line\nanother line\n", 7 + sizeof text - 1));
    assert_int_equal(scratch_entries(), 2);
    unlink(file);
    unlink(link);
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
        cmocka_unit_test(test_files),   cmocka_unit_test(test_faults), cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_devices), cmocka_unit_test(test_folder), cmocka_unit_test(test_standard_output),
        cmocka_unit_test(test_signals),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
