/* test_metrics.c - metrics.jsonl over kills and resumes.
 *
 *   written, killed, cut, continued == written in one go        the promise of the header
 *   a fault at the n-th call while cutting, for every n         the old file is whole, nothing is lost */
#include "io/metrics.h"

#include "io/disk.h"
#include "tests/config/capture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static bool write_step(metrics *m, const char *type, int64_t step)
{
    record *r = record_new();
    record_set_text(r, "type", type);
    record_set_int(r, "step", step);
    record_set_double(r, "loss", 1.0 / (double)(step + 1));
    bool written = metrics_write(m, r);
    record_free(r);
    return written;
}

static metrics *open_at(const char *folder, int64_t resume_step)
{
    metrics *m = NULL;
    error e = {0};
    if (metrics_open(&m, folder, resume_step, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    return m;
}

static void test_resumed_equals_uninterrupted(void **state)
{
    (void)state;
    for (int64_t kill = 0; kill <= 6; kill++)
        for (int64_t saved = 0; saved <= kill; saved++) {
            char *once = folder_make(), *twice = folder_make();
            metrics *m = open_at(once, METRICS_FRESH);
            for (int64_t step = 1; step <= 10; step++)
                write_step(m, "step", step);
            metrics_close(m);
            m = open_at(twice, METRICS_FRESH);
            for (int64_t step = 1; step <= kill; step++)
                write_step(m, "step", step);
            metrics_close(m);
            m = open_at(twice, saved);
            for (int64_t step = saved + 1; step <= 10; step++)
                write_step(m, "step", step);
            metrics_close(m);
            char *a = folder_read(once, "metrics.jsonl"), *b = folder_read(twice, "metrics.jsonl");
            assert_string_equal(a, b);
            assert_int_equal(folder_count(twice), 1);
            free(a);
            free(b);
            folder_remove(once);
            folder_remove(twice);
        }
}

static const char *const damaged = "{\"type\":\"start\",\"step\":0}\n"
                                   "{\"type\":\"step\",\"step\":10,\"loss\":1.5}\n"
                                   "no record\n"
                                   "\n"
                                   "{\"type\":\"step\"}\n"
                                   "{\"type\":\"step\",\"step\":\"11\"}\n"
                                   "{\"type\":\"save\",\"step\":20}\n"
                                   "{\"type\":\"step\",\"step\":21}\n"
                                   "{\"type\":\"step\",\"step\":15}\n"
                                   "{\"type\":\"step\",\"step\":16}";
static const char *const mended = "{\"type\":\"start\",\"step\":0}\n"
                                  "{\"type\":\"step\",\"step\":10,\"loss\":1.5}\n"
                                  "{\"type\":\"save\",\"step\":20}\n"
                                  "{\"type\":\"step\",\"step\":15}\n";

static void assert_content(const char *folder, const char *expected)
{
    char *text = folder_read(folder, "metrics.jsonl");
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void test_damaged_lines_are_dropped(void **state)
{
    (void)state;
    char *folder = folder_make();
    folder_write(folder, "metrics.jsonl", damaged);
    metrics_close(open_at(folder, 20));
    assert_content(folder, mended);
    metrics_close(open_at(folder, METRICS_FRESH));
    assert_content(folder, "");
    folder_remove(folder);
    folder = folder_make(); /* a run directory that lost its metrics */
    metrics_close(open_at(folder, 20));
    assert_content(folder, "");
    folder_remove(folder);
}

static int calls_left;

static bool is_faulty(void)
{
    if (calls_left-- != 0)
        return false;
    errno = ENOSPC;
    return true;
}
static int faulty_open(const char *path, int flags, mode_t mode)
{
    return is_faulty() ? -1 : disk_system.open(path, flags, mode);
}
static ssize_t faulty_pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    return is_faulty() ? -1 : disk_system.pwrite(fd, bytes, n, offset);
}
static int faulty_fsync(int fd)
{
    return is_faulty() ? -1 : disk_system.fsync(fd);
}
static int faulty_rename(const char *from, const char *to)
{
    return is_faulty() ? -1 : disk_system.rename(from, to);
}

static void test_a_fault_while_cutting_loses_nothing(void **state)
{
    (void)state;
    disk_table faulty = disk_system;
    faulty.open = faulty_open;
    faulty.pwrite = faulty_pwrite;
    faulty.fsync = faulty_fsync;
    faulty.rename = faulty_rename;
    int faults = 0;
    for (bool failed = true; failed; faults++) {
        char *folder = folder_make();
        folder_write(folder, "metrics.jsonl", damaged);
        metrics *m = NULL;
        error e = {0};
        calls_left = faults;
        disk_calls = &faulty;
        status s = metrics_open(&m, folder, 20, &e);
        disk_calls = &disk_system;
        failed = s != STATUS_OK;
        char *text = folder_read(folder, "metrics.jsonl");
        assert_true(failed ? strcmp(text, damaged) == 0 || strcmp(text, mended) == 0
                           : strcmp(text, mended) == 0);
        assert_true(!failed || (m == NULL && strstr(e.text, folder)));
        assert_int_equal(folder_count(folder), 1);
        metrics_close(m);
        free(text);
        folder_remove(folder);
    }
    assert_true(faults > 5);
}

/* A disk that is full in the middle of a line leaves the file with whole lines, and later lines follow
 * when there is room. */
static void test_full_disk_leaves_whole_lines(void **state)
{
    (void)state;
    char *folder = folder_make();
    struct rlimit before, tight;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    metrics *m = open_at(folder, METRICS_FRESH);
    assert_true(write_step(m, "step", 1));
    tight = before;
    tight.rlim_cur = 60; /* within the second line */
    setrlimit(RLIMIT_FSIZE, &tight);
    bool second = write_step(m, "step", 2), third = write_step(m, "step", 3);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_false(second);
    assert_false(third);
    assert_true(write_step(m, "step", 4));
    metrics_close(m);
    signal(SIGXFSZ, handler);
    assert_content(folder, "{\"type\": \"step\", \"step\": 1, \"loss\": 0.5}\n"
                           "{\"type\": \"step\", \"step\": 4, \"loss\": 0.20000000000000001}\n");
    folder_remove(folder);
}

static void test_what_is_no_file_is_refused(void **state)
{
    (void)state;
    char *folder = folder_make(), path[64];
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    assert_int_equal(mkfifo(path, 0600), 0); /* opening it would hang */
    metrics *m = NULL;
    error e = {0};
    assert_int_equal(metrics_open(&m, folder, 5, &e), STATUS_IO_FAILED);
    assert_non_null(strstr(e.text, "not a regular file"));
    assert_null(m);
    folder_remove(folder);
    assert_int_equal(metrics_open(&m, "/nonexistent", METRICS_FRESH, &e), STATUS_IO_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resumed_equals_uninterrupted),
        cmocka_unit_test(test_damaged_lines_are_dropped),
        cmocka_unit_test(test_a_fault_while_cutting_loses_nothing),
        cmocka_unit_test(test_full_disk_leaves_whole_lines),
        cmocka_unit_test(test_what_is_no_file_is_refused),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
