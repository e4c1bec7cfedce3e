/* test_disk.c - the old file or the new one, whole, and nothing beside it.
 *
 * For every kind of fault and every n the n-th system call of a write fails; for every n the process ends
 * before and behind the n-th call.  Every call that changes the disk goes through the table, so these
 * loops visit every point at which a write can be broken off.  That nothing is lost when the power goes
 * follows from the order of the calls, which test_order states. */
#include "io/disk.h"
#include "tests/io/faults.h"
#include "tests/io/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char old_text[] = "the old content";
static const char new_text[] = "the new content, which is longer";
#define OLD old_text, sizeof old_text
#define NEW new_text, sizeof new_text

/* A failure is reported as such, leaves the old file (or, behind the rename, the new one) and nothing
 * beside it. */
static void check_failure(const char *path, status s, const error *e)
{
    char struck = faults_struck();
    bool renamed = strchr(faults_trace(), 'R') != NULL && struck != 'R';
    if (s == STATUS_OK) { /* only what can lose nothing may fail unseen: closing a directory that was read */
        assert_true(scratch_holds(path, NEW));
        assert_true(renamed && struck == 'c');
    } else {
        assert_int_equal(s, STATUS_IO_FAILED);
        assert_non_null(strstr(e->text, scratch_folder()));
        assert_true(renamed ? scratch_holds(path, NEW) : scratch_holds(path, OLD));
    }
    assert_int_equal(scratch_entries(), 1);
}

static void test_every_fault(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EIO, EDQUOT};
    const char *path = scratch_path("file");
    size_t descriptors = scratch_descriptors();
    int failures = 0;
    for (size_t k = 0; k < sizeof errors / sizeof errors[0]; k++)
        for (int stays = 0; stays <= 1; stays++)
            for (int n = 1;; n++) {
                scratch_write(path, OLD);
                error e = {0};
                faults_arm(stays ? FAULT_ERROR_STAYS : FAULT_ERROR, n, errors[k]);
                status s = disk_write_file(path, NEW, &e);
                if (!faults_disarm())
                    break;
                check_failure(path, s, &e);
                failures += s != STATUS_OK;
                assert_int_equal(scratch_descriptors(), descriptors);
            }
    assert_true(failures >= 6 * 8); /* open, fallocate, write, sync, close, open, rename, sync */
}

/* What is no failure: a call broken off by a signal, a write that does half. */
static void test_every_harmless_fault(void **state)
{
    (void)state;
    static const struct {
        fault_kind kind;
        int error;
    } kinds[] = {{FAULT_SHORT, 0}, {FAULT_ERROR, EINTR}};
    const char *path = scratch_path("file");
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (int n = 1;; n++) {
            scratch_write(path, OLD);
            error e = {0};
            faults_arm(kinds[k].kind, n, kinds[k].error);
            status s = disk_write_file(path, NEW, &e);
            if (!faults_disarm())
                break;
            if (faults_struck() ==
                'R') /* rename is not one of the calls that a signal breaks off: it counts as failed */
                continue;
            assert_int_equal(s, STATUS_OK);
            assert_true(scratch_holds(path, NEW));
            assert_int_equal(scratch_entries(), 1);
        }
}

static void test_write_of_nothing(void **state)
{
    (void)state;
    const char *path = scratch_path("file");
    scratch_write(path, OLD);
    error e = {0};
    faults_arm(FAULT_NOTHING, 3, 0);
    assert_int_equal(disk_write_file(path, NEW, &e), STATUS_IO_FAILED);
    faults_disarm();
    assert_int_equal(faults_struck(), 'w');
    assert_true(scratch_holds(path, OLD));
    assert_int_equal(scratch_entries(), 1);
}

/* A crash may leave a temporary; the next start sweeps it. */
static void test_every_crash(void **state)
{
    (void)state;
    const char *path = scratch_path("file");
    int seen_old = 0, seen_new = 0;
    for (int behind = 0; behind <= 1; behind++)
        for (int n = 1;; n++) {
            scratch_write(path, OLD);
            pid_t child = fork();
            if (child == 0) {
                faults_arm(behind ? FAULT_CRASH_AFTER : FAULT_CRASH_BEFORE, n, 0);
                _exit(disk_write_file(path, NEW, NULL) == STATUS_OK ? 0 : 1);
            }
            int how;
            assert_int_equal(waitpid(child, &how, 0), child);
            assert_true(WIFEXITED(how));
            bool is_old = scratch_holds(path, OLD), is_new = scratch_holds(path, NEW);
            assert_true(is_old || is_new);
            seen_old += is_old;
            seen_new += is_new;
            assert_true(scratch_entries() <= 2);
            assert_int_equal(disk_sweep_temporaries(scratch_folder(), NULL), STATUS_OK);
            assert_int_equal(scratch_entries(), 1);
            if (WEXITSTATUS(how) == 0) {
                assert_true(is_new);
                break;
            }
            assert_int_equal(WEXITSTATUS(how), 99);
        }
    assert_true(seen_old >= 10 && seen_new >= 4);
}

/* The data are synced before the rename can show them, and the rename is synced before success is told. */
static void test_order(void **state)
{
    (void)state;
    faults_arm(FAULT_NONE, 0, 0);
    assert_int_equal(disk_write_file(scratch_path("file"), NEW, NULL), STATUS_OK);
    faults_disarm();
    assert_string_equal(faults_trace(), "ofwscoRsc");
    faults_arm(FAULT_NONE, 0, 0);
    assert_int_equal(disk_remove(scratch_path("file"), NULL), STATUS_OK);
    faults_disarm();
    assert_string_equal(faults_trace(), "uosc");
}

static void test_mode_and_links(void **state)
{
    (void)state;
    const char *path = scratch_path("link"), *target = scratch_path("target");
    scratch_write(target, OLD);
    assert_int_equal(symlink(target, path), 0);
    mode_t before = umask(027);
    assert_int_equal(disk_write_file(path, NEW, NULL), STATUS_OK);
    umask(before);
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode)); /* the link gave way; what it pointed to is as it was */
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_true(scratch_holds(target, OLD));
    assert_true(scratch_holds(path, NEW));
}

static int flags_seen;

static int noting_open(const char *path, int flags, mode_t mode)
{
    if (strstr(path, ".tmp.") != NULL)
        flags_seen = flags;
    return disk_system.open(path, flags, mode);
}

/* Random names hide what would happen if one of them were taken; so the flags themselves are checked. */
static void test_never_reuses_a_name(void **state)
{
    (void)state;
    disk_table noting = disk_system;
    noting.open = noting_open;
    disk_calls = &noting;
    assert_int_equal(disk_write_file(scratch_path("file"), NEW, NULL), STATUS_OK);
    disk_calls = &disk_system;
    int want = O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    assert_int_equal(flags_seen & want, want);
}

static void test_names_are_unpredictable(void **state)
{
    (void)state;
    disk_file a, b;
    const char *path = scratch_path("file");
    assert_int_equal(disk_create(&a, path, 100, NULL), STATUS_OK);
    assert_int_equal(disk_create(&b, path, 0, NULL), STATUS_OK);
    assert_string_not_equal(a.temporary, b.temporary);
    unsigned char zeros[100] = {0}, found[100];
    assert_int_equal(disk_read_at(&a, found, 100, 0, NULL),
                     STATUS_OK); /* the reserved space reads as zeros */
    assert_memory_equal(found, zeros, 100);
    error e = {0};
    assert_int_equal(disk_read_at(&a, found, 2, 99, &e), STATUS_IO_FAILED);
    disk_discard(&a);
    disk_discard(&a);
    disk_discard(&b);
    assert_int_equal(scratch_entries(), 0);
}

static void test_sweep_spares(void **state)
{
    (void)state;
    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    waitpid(gone, NULL, 0);
    disk_file live;
    assert_int_equal(disk_create(&live, scratch_path("live"), 0, NULL), STATUS_OK);
    char tag[9];
    snprintf(tag, sizeof tag, "%s", strstr(live.temporary, ".tmp.") + 5);

    char name[128];
    static const struct {
        const char *before_tag, *other_tag, *before_pid, *pid, *after;
    } spared[] = {{"f.tmp.", "00000000", ".", NULL, ".0123456789abcdef"}, /* another host */
                  {"f.tmp.", NULL, ".", NULL, ".0123456789abcde"},        /* too short */
                  {"f.tmp.", NULL, ".", NULL, ".0123456789abcdef.h5"},    /* goes on */
                  {"f.tmp.", NULL, ".x", NULL, ".0123456789abcdef"},      /* no process id */
                  {"f.tmp.", NULL, ".", "", ".0123456789abcdef"}};
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)gone);
    for (size_t i = 0; i < sizeof spared / sizeof spared[0]; i++) {
        snprintf(name, sizeof name, "%s%s%s%s%s", spared[i].before_tag,
                 spared[i].other_tag ? spared[i].other_tag : tag, spared[i].before_pid,
                 spared[i].pid ? spared[i].pid : pid, spared[i].after);
        scratch_write(scratch_path(name), OLD);
    }
    snprintf(name, sizeof name, "a.tmp.b.tmp.%s.%s.0123456789abcdef", tag, pid);
    scratch_write(scratch_path(name), OLD);

    assert_int_equal(scratch_entries(), 7);
    assert_int_equal(disk_sweep_temporaries(scratch_folder(), NULL), STATUS_OK);
    assert_int_equal(scratch_entries(), 6); /* only the last one went */
    assert_false(disk_exists(scratch_path(name)));
    assert_true(disk_exists(live.temporary));
    disk_discard(&live);
    assert_int_equal(disk_sweep_temporaries(scratch_path("no such folder"), NULL), STATUS_IO_FAILED);
}

/* A process of another user cannot be signalled, yet it lives.  Root may signal all, so a child gives up
 * being root. */
static void test_sweep_spares_other_users(void **state)
{
    (void)state;
    disk_file ours;
    assert_int_equal(disk_create(&ours, scratch_path("ours"), 0, NULL), STATUS_OK);
    char name[128];
    snprintf(name, sizeof name, "theirs%s", strstr(ours.temporary, ".tmp."));
    if (geteuid() != 0) { /* the process of root that always lives */
        char *pid = strchr(strstr(name, ".tmp.") + 5, '.') + 1, random[32];
        snprintf(random, sizeof random, "%s", strchr(pid, '.'));
        snprintf(pid, sizeof name - (size_t)(pid - name), "1%s", random);
    }
    scratch_write(scratch_path(name), OLD);
    assert_int_equal(chmod(scratch_folder(), 0777), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(1);
        _exit(disk_sweep_temporaries(scratch_folder(), NULL) == STATUS_OK ? 0 : 2);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    assert_true(disk_exists(scratch_path(name)));
    disk_discard(&ours);
}

static void test_reading(void **state)
{
    (void)state;
    const char *path = scratch_path("file");
    unsigned char *bytes = NULL;
    size_t n;
    error e = {0};
    disk_map m;
    assert_int_equal(disk_read_file(path, 100, &bytes, &n, &e), STATUS_IO_FAILED);
    assert_non_null(strstr(e.text, strerror(ENOENT)));
    scratch_write(path, OLD);
    assert_int_equal(disk_read_file(path, sizeof old_text - 1, &bytes, &n, &e), STATUS_IO_FAILED);
    assert_int_equal(disk_read_file(path, sizeof old_text, &bytes, &n, &e), STATUS_OK);
    assert_int_equal(n, sizeof old_text);
    assert_memory_equal(bytes, old_text, n);
    assert_int_equal(bytes[n], 0);
    free(bytes);
    assert_int_equal(disk_map_file(&m, path, &e), STATUS_OK);
    assert_int_equal(m.n, sizeof old_text);
    assert_memory_equal(m.bytes, old_text, m.n);
    disk_unmap(&m);
    disk_unmap(&m);

    scratch_write(path, "", 0);
    assert_int_equal(disk_map_file(&m, path, &e), STATUS_IO_FAILED);
    assert_non_null(strstr(e.text, "is empty"));
    assert_int_equal(disk_read_file(path, 100, &bytes, &n, &e), STATUS_OK);
    assert_int_equal(n, 0);
    free(bytes);

    assert_int_equal(disk_read_file(scratch_folder(), 100, &bytes, &n, &e), STATUS_IO_FAILED);
    assert_non_null(strstr(e.text, "is a directory"));
    assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0); /* must not wait for a writer */
    assert_int_equal(disk_map_file(&m, scratch_path("fifo"), &e), STATUS_IO_FAILED);
    assert_non_null(strstr(e.text, "special file"));
}

static void test_directories(void **state)
{
    (void)state;
    error e = {0};
    char deep[1200];
    snprintf(deep, sizeof deep, "%s//b/c/", scratch_path("a"));
    assert_int_equal(disk_make_dir(deep, &e), STATUS_OK);
    assert_int_equal(disk_make_dir(deep, &e), STATUS_OK);
    assert_true(disk_exists(scratch_path("a/b/c")));
    scratch_write(scratch_path("file"), OLD);
    assert_int_equal(disk_make_dir(scratch_path("file"), &e), STATUS_IO_FAILED);
    assert_non_null(strstr(e.text, "not a directory"));
    assert_int_equal(disk_make_dir(scratch_path("file/x"), &e), STATUS_IO_FAILED);
    assert_int_equal(disk_make_dir("", &e), STATUS_IO_FAILED);
    assert_int_equal(disk_write_file(scratch_path("a/b/missing/file"), OLD, &e), STATUS_IO_FAILED);
    assert_int_equal(disk_write_file(scratch_path("a"), OLD, &e),
                     STATUS_IO_FAILED); /* a directory stands there */
    assert_int_equal(disk_remove(scratch_path("nothing"), &e), STATUS_OK);
    assert_int_equal(disk_remove(scratch_path("file"), &e), STATUS_OK);
    assert_false(disk_exists(scratch_path("file")));
    assert_true(disk_free_bytes(scratch_folder()) > 0);
    assert_int_equal(disk_free_bytes(scratch_path("nothing")), 0);
    assert_int_equal(rmdir(scratch_path("a/b/c")) | rmdir(scratch_path("a/b")) | rmdir(scratch_path("a")), 0);
}

static int lock_once(int seconds, error *e)
{
    int lock = -1;
    return disk_lock(scratch_folder(), seconds, &lock, e) == STATUS_OK ? lock : -1;
}

/* One holder at a time; a holder that dies without a word holds no longer. */
static void test_lock(void **state)
{
    (void)state;
    error e = {0};
    int lock = lock_once(0, &e);
    assert_true(lock >= 0);
    assert_int_equal(lock_once(0, &e), -1);
    assert_non_null(strstr(e.text, "in use by another process"));
    disk_unlock(&lock);
    disk_unlock(&lock);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        bool held = lock_once(0, &e) >= 0 && write(ready[1], "", 1) == 1;
        while (held)
            pause();
        _exit(1);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(lock_once(0, &e), -1);
    kill(child, SIGKILL);
    lock = lock_once(10, &e);
    assert_true(lock >= 0);
    disk_unlock(&lock);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(disk_lock(scratch_path("nothing"), 0, &lock, &e), STATUS_IO_FAILED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_every_fault),
                                       TEST(test_every_harmless_fault),
                                       TEST(test_write_of_nothing),
                                       TEST(test_every_crash),
                                       TEST(test_order),
                                       TEST(test_mode_and_links),
                                       TEST(test_names_are_unpredictable),
                                       TEST(test_never_reuses_a_name),
                                       TEST(test_sweep_spares),
                                       TEST(test_sweep_spares_other_users),
                                       TEST(test_reading),
                                       TEST(test_directories),
                                       TEST(test_lock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
