/* A fault at the n-th system call of a save, for every n and every kind of fault: the save reports it (or
 * the process is gone), every checkpoint that was there before is still whole, the newest good one is the
 * old or the new one and never a torn one, and no temporary stays.  Together with the digest over every
 * byte of a file (tests/io/test_container.c) this is the promise that no run is lost while saving. */
#include "io/container.h"
#include "io/disk.h"
#include "tests/io/faults.h"
#include "tests/io/scratch.h"
#include "trainer/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A small checkpoint whose content tells its step. */
static unsigned char *image_of(int64_t step, size_t *bytes)
{
    unsigned char *image;
    float values[1000];
    uint64_t shape[1] = {1000};
    error e = {0};
    for (int i = 0; i < 1000; i++)
        values[i] = (float)(step * 1000 + i);
    tensor t = tensor_of("params/w", DTYPE_F32, values, 1, shape);
    record *meta = record_new();
    record_set_int(meta, "step", step);
    assert_int_equal(container_image(&image, bytes, "checkpoint", meta, &t, 1, &e), STATUS_OK);
    record_free(meta);
    return image;
}

static status save_step(store *s, int64_t step, bool wait, error *e)
{
    size_t bytes;
    unsigned char *image = image_of(step, &bytes);
    return store_save(s, STORE_CHECKPOINT, step, image, bytes, wait, e);
}

/* Step of the newest good checkpoint; -1 when there is none. */
static int64_t newest(void)
{
    char *path;
    container c;
    int64_t step = -1;
    error e = {0};
    assert_int_equal(store_newest_good(scratch_folder(), STORE_CHECKPOINT, &path, NULL, NULL, &e), STATUS_OK);
    if (!path)
        return -1;
    assert_int_equal(container_open(&c, path, "checkpoint", CONTAINER_CHECK, &e), STATUS_OK);
    assert_true(record_get_int(c.meta, "step", &step));
    container_close(&c);
    free(path);
    return step;
}

static void remove_checkpoints(void)
{
    char **paths;
    size_t count;
    error e = {0};
    assert_int_equal(store_list(scratch_folder(), STORE_CHECKPOINT, &paths, &count, &e), STATUS_OK);
    for (size_t i = 0; i < count; i++)
        unlink(paths[i]);
    store_list_free(paths, count);
}

static store *open_with_first(void)
{
    store *s;
    error e = {0};
    remove_checkpoints();
    assert_int_equal(store_open(&s, scratch_folder(), 2, 1, &e), STATUS_OK);
    assert_int_equal(save_step(s, 1, true, &e), STATUS_OK);
    assert_int_equal(newest(), 1);
    return s;
}

static int one_fault(fault_kind kind, int n, int number)
{
    store *s = open_with_first();
    error e = {0};
    faults_arm(kind, n, number);
    status failed = save_step(s, 2, true, &e);
    bool struck = faults_disarm();
    int64_t step = newest();
    if (failed == STATUS_OK) {
        assert_int_equal(step, 2);
    } else {
        assert_int_equal(failed, STATUS_BAD_CHECKPOINT);
        assert_true(step == 1 || step == 2); /* 2: the rename was done, what failed came after it */
        assert_non_null(strstr(e.text, "step 2"));
    }
    assert_int_equal(save_step(s, 3, true, &e), STATUS_OK); /* the next save tries again */
    assert_int_equal(newest(), 3);
    assert_int_equal(store_close(s, &e), STATUS_OK);
    remove_checkpoints();
    assert_int_equal(scratch_entries(), 0);
    return struck;
}

static void test_a_fault_at_every_call(void **state)
{
    (void)state;
    static const struct {
        fault_kind kind;
        int number;
    } faults[] = {{FAULT_ERROR, ENOSPC},
                  {FAULT_ERROR, EIO},
                  {FAULT_ERROR_STAYS, ENOSPC},
                  {FAULT_SHORT, 0},
                  {FAULT_NOTHING, 0}};
    for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
        int n = 1;
        while (one_fault(faults[f].kind, n, faults[f].number))
            n++;
        assert_true(n > 6); /* open, fallocate, write, fsync, close, rename, ... were all visited */
    }
}

/* The process dies before the n-th call or right behind it. */
static bool one_crash(fault_kind kind, int n)
{
    remove_checkpoints();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        store *s;
        error e = {0};
        if (store_open(&s, scratch_folder(), 2, 1, &e) != STATUS_OK || save_step(s, 1, true, &e) != STATUS_OK)
            _exit(97);
        faults_arm(kind, n, 0);
        save_step(s, 2, true, &e);
        _exit(faults_disarm() ? 98 : 0); /* a crash is faults.c's own _exit(99) */
    }
    int ended;
    waitpid(child, &ended, 0);
    assert_true(WIFEXITED(ended) && (WEXITSTATUS(ended) == 0 || WEXITSTATUS(ended) == 99));
    bool crashed = WEXITSTATUS(ended) == 99;
    int64_t step = newest();
    assert_true(step == 1 || step == 2);
    if (!crashed)
        assert_int_equal(step, 2);
    store *s;
    error e = {0};
    assert_int_equal(store_open(&s, scratch_folder(), 2, 1, &e), STATUS_OK); /* sweeps what the dead left */
    assert_int_equal(store_close(s, &e), STATUS_OK);
    remove_checkpoints();
    assert_int_equal(scratch_entries(), 0);
    return crashed;
}

static void test_a_crash_at_every_call(void **state)
{
    (void)state;
    for (int n = 1; one_crash(FAULT_CRASH_BEFORE, n); n++)
        ;
    for (int n = 1; one_crash(FAULT_CRASH_AFTER, n); n++)
        ;
}

static void test_the_last_ones_stay(void **state)
{
    (void)state;
    store *s;
    error e = {0};
    char **paths;
    size_t count;
    assert_int_equal(store_open(&s, scratch_folder(), 2, 1, &e), STATUS_OK);
    for (int64_t step = 1; step <= 12; step++)
        assert_int_equal(save_step(s, step, false, &e), STATUS_OK);
    assert_int_equal(store_close(s, &e), STATUS_OK);
    assert_int_equal(store_list(scratch_folder(), STORE_CHECKPOINT, &paths, &count, &e), STATUS_OK);
    assert_int_equal(count, 2);
    assert_non_null(strstr(paths[0], "ckpt-0000000012.h5"));
    assert_non_null(strstr(paths[1], "ckpt-0000000011.h5"));
    store_list_free(paths, count);
    remove_checkpoints();
}

/* A damaged newest file is passed over with a word; with none left, that is an error and not a fresh
 * start. */
static void tell(const char *line, void *arg)
{
    (void)line;
    ++*(int *)arg;
}

static void damage(const char *path)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, -9, SEEK_END);
    int c = fgetc(f);
    fseek(f, -9, SEEK_END);
    fputc(c ^ 1, f);
    fclose(f);
}

static void test_damaged_files_are_passed_over(void **state)
{
    (void)state;
    store *s = open_with_first();
    error e = {0};
    char *path;
    int told = 0;
    assert_int_equal(save_step(s, 2, true, &e), STATUS_OK);
    assert_int_equal(store_close(s, &e), STATUS_OK);
    damage(scratch_path("ckpt-0000000002.h5"));
    assert_int_equal(newest(), 1);
    assert_int_equal(store_newest_good(scratch_folder(), STORE_CHECKPOINT, &path, tell, &told, &e),
                     STATUS_OK);
    free(path);
    assert_int_equal(told, 1);
    damage(scratch_path("ckpt-0000000001.h5"));
    assert_int_equal(store_newest_good(scratch_folder(), STORE_CHECKPOINT, &path, tell, &told, &e),
                     STATUS_BAD_CHECKPOINT);
    remove_checkpoints();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fault_at_every_call),
        cmocka_unit_test(test_a_crash_at_every_call),
        cmocka_unit_test(test_the_last_ones_stay),
        cmocka_unit_test(test_damaged_files_are_passed_over),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
