/* test_container.c - what goes into a container comes back, by either way of writing, and equal content
 * gives equal bytes. */
#include "tests/io/faults.h"
#include "tests/io/make_container.h"
#include "tests/io/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned char *sample_image(size_t *bytes, const char *kind)
{
    tensor tensors[SAMPLE_TENSORS];
    sample_tensors(tensors);
    record *meta = sample_meta();
    unsigned char *image = NULL;
    error e = {0};
    assert_int_equal(container_image(&image, bytes, kind, meta, tensors, SAMPLE_TENSORS, &e), STATUS_OK);
    record_free(meta);
    return image;
}

/* The sample, tensor by tensor, in uneven pieces from the back. */
static status write_pieces(const char *path, error *e)
{
    tensor tensors[SAMPLE_TENSORS];
    sample_tensors(tensors);
    record *meta = sample_meta();
    container_writer *w = NULL;
    status s = container_create(&w, path, "corpus", tensors, SAMPLE_TENSORS, e);
    for (size_t i = 0; s == STATUS_OK && i < SAMPLE_TENSORS; i++) {
        uint64_t end = tensor_count(&tensors[i]), size = dtype_bytes(tensors[i].type);
        while (s == STATUS_OK && end > 0) {
            uint64_t n = end < 100000 ? end : 100000;
            end -= n;
            s = container_write(w, i, end, (const char *)tensors[i].data + end * size, n, e);
        }
    }
    if (s == STATUS_OK)
        s = container_finish(w, meta, e);
    else
        container_abandon(w);
    record_free(meta);
    return s;
}

static void check_sample(const char *path, const char *kind)
{
    container c;
    error e = {0};
    assert_int_equal(container_open(&c, path, kind, CONTAINER_CHECK, &e), STATUS_OK);
    assert_string_equal(c.kind, kind);
    assert_int_equal(c.count, SAMPLE_TENSORS);
    tensor tensors[SAMPLE_TENSORS];
    sample_tensors(tensors);
    for (size_t i = 0; i < SAMPLE_TENSORS; i++) {
        const tensor *found = NULL, *want = &tensors[i];
        assert_int_equal(container_need(&c, want->name, want->type, want->dims, want->shape, &found, &e),
                         STATUS_OK);
        assert_ptr_equal(found, container_find(&c, want->name));
        assert_memory_equal(found->data, want->data, tensor_count(want) * dtype_bytes(want->type));
        assert_int_equal((uintptr_t)found->data % (want->type == DTYPE_U32 ? 4096 : 64), 0);
    }
    record *meta = sample_meta();
    char *want = record_to_text(meta), *found = record_to_text(c.meta);
    assert_string_equal(found, want);
    free(want);
    free(found);
    record_free(meta);
    container_close(&c);
}

static void test_round_trip(void **state)
{
    (void)state;
    size_t n;
    unsigned char *image = sample_image(&n, "checkpoint");
    scratch_write(scratch_path("a.h5"), image, n);
    free(image);
    check_sample(scratch_path("a.h5"), "checkpoint");
    error e = {0};
    assert_int_equal(write_pieces(scratch_path("b.h5"), &e), STATUS_OK);
    check_sample(scratch_path("b.h5"), "corpus");
    assert_int_equal(scratch_entries(), 2);
}

/* Memory is dirtied in between, so that bytes which nobody sets would show. */
static void test_equal_bytes(void **state)
{
    (void)state;
    size_t n, m;
    unsigned char *first = sample_image(&n, "checkpoint");
    for (int i = 0; i < 200; i++) {
        size_t size = (size_t)i * 997 + 1;
        unsigned char *dirt = malloc(size);
        memset(dirt, 0xA5, size);
        free(dirt);
    }
    sleep(1); /* a time anywhere in the file would differ now */
    unsigned char *second = sample_image(&m, "checkpoint");
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
    free(first);
    free(second);
    assert_int_equal(write_pieces(scratch_path("a.h5"), NULL), STATUS_OK);
    assert_int_equal(write_pieces(scratch_path("b.h5"), NULL), STATUS_OK);
    disk_map a;
    assert_int_equal(disk_map_file(&a, scratch_path("a.h5"), NULL), STATUS_OK);
    assert_true(scratch_holds(scratch_path("b.h5"), a.bytes, a.n));
    disk_unmap(&a);
}

/* The digest is that of the bytes from 48 on, as `tail -c +49 FILE | sha256sum` prints it. */
static void test_digest(void **state)
{
    (void)state;
    size_t n;
    unsigned char *image = sample_image(&n, "checkpoint");
    scratch_write(scratch_path("a.h5"), image, n);
    char want[SHA256_HEX];
    sha256_of(image + 48, n - 48, want);
    free(image);
    for (int trust = CONTAINER_CHECK; trust <= CONTAINER_TRUST; trust++) {
        container c;
        assert_int_equal(container_open(&c, scratch_path("a.h5"), NULL, (container_trust)trust, NULL),
                         STATUS_OK);
        assert_string_equal(c.digest, want);
        container_close(&c);
    }
}

/* The room that is kept for metadata suffices for any number of tensors, folders and keys: if it did not,
 * HDF5 would put metadata behind data and the writer would refuse. */
static void test_many_tensors(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, 8, 9, 33, 100, 500};
    static float data[500];
    tensor *tensors = calloc(500, sizeof *tensors);
    char text[128];
    for (size_t k = 0; k < 2 * sizeof counts / sizeof counts[0]; k++) {
        size_t count = counts[k / 2];
        record *meta = record_new();
        for (size_t i = 0; i < count; i++) {
            if (k % 2)
                snprintf(text, sizeof text,
                         "a%zu/b/c/d/e/f/g/a.name.as.long.as.the.room.for.one.allows.%029zu", i, i);
            else
                snprintf(text, sizeof text, "p%zu", i);
            tensors[i] =
                tensor_of(text, i % 5 == 4 ? DTYPE_U32 : DTYPE_F32, data, 1, (uint64_t[]){1 + (i * 7) % 500});
            snprintf(text, sizeof text, "key %zu", i);
            record_set_int(meta, text, (int64_t)i);
        }
        unsigned char *image = NULL;
        size_t n;
        error e = {0};
        status s = container_image(&image, &n, "checkpoint", meta, tensors, count, &e);
        if (s != STATUS_OK)
            print_error("%zu tensors: %s\n", count, e.text);
        assert_int_equal(s, STATUS_OK);
        scratch_write(scratch_path("many.h5"), image, n);
        container c;
        assert_int_equal(container_open(&c, scratch_path("many.h5"), "checkpoint", CONTAINER_CHECK, &e),
                         STATUS_OK);
        assert_int_equal(c.count, count);
        container_close(&c);
        free(image);
        record_free(meta);
    }
    free(tensors);
}

/* Texts too long for HDF5, and as much meta as a file written in pieces may have, and a little more. */
static void test_large_meta(void **state)
{
    (void)state;
    char *text = malloc(100001);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    record *meta = record_new();
    record_set_text(meta, "long", text);
    unsigned char *image;
    size_t n;
    error e = {0};
    assert_int_equal(container_image(&image, &n, "checkpoint", meta, NULL, 0, &e), STATUS_OK);
    unsigned char *first = memmem(image, n, text, 100000);
    assert_non_null(first); /* in the manifest, and not once more in an attribute */
    assert_null(memmem(first + 100000, n - (size_t)(first - image) - 100000, text, 100000));
    free(image);
    record_free(meta);

    for (int extra = 0; extra <= 1; extra++) {
        meta = record_new();
        char key[32];
        for (int i = 0; i < 63; i++) {
            snprintf(key, sizeof key, "key number %d", i);
            record_set_int(meta, key, i);
        }
        char *so_far = record_to_text(meta);
        text[8192 - strlen(so_far) - strlen(", \"t\": \"\"") + (size_t)extra] = '\0';
        free(so_far);
        record_set_text(meta, "t", text);
        tensor t = tensor_of("train", DTYPE_U32, NULL, 1, (uint64_t[]){3});
        container_writer *w;
        assert_int_equal(container_create(&w, scratch_path("c.h5"), "corpus", &t, 1, &e), STATUS_OK);
        assert_int_equal(container_write(w, 0, 0, "abcdefghijk", 3, &e), STATUS_OK);
        assert_int_equal(container_finish(w, meta, &e), extra ? STATUS_INTERNAL : STATUS_OK);
        assert_int_equal(scratch_entries(), 1);
        text[strlen(text)] = 'x';
        record_free(meta);
    }
    free(text);
}

static void test_kinds(void **state)
{
    (void)state;
    size_t n;
    unsigned char *image = sample_image(&n, "checkpoint");
    scratch_write(scratch_path("a.h5"), image, n);
    free(image);
    container c;
    error e = {0};
    assert_int_equal(container_open(&c, scratch_path("a.h5"), "corpus", CONTAINER_CHECK, &e),
                     STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "is a checkpoint; a corpus is wanted"));
    assert_int_equal(write_pieces(scratch_path("b.h5"), &e), STATUS_OK);
    assert_int_equal(container_open(&c, scratch_path("b.h5"), "checkpoint", CONTAINER_CHECK, &e),
                     STATUS_BAD_CHECKPOINT);
    assert_non_null(strstr(e.text, "is a corpus; a checkpoint is wanted"));
    assert_int_equal(container_open(&c, scratch_path("none.h5"), "checkpoint", CONTAINER_CHECK, &e),
                     STATUS_BAD_CHECKPOINT);
    assert_non_null(strstr(e.text, strerror(ENOENT)));
    assert_int_equal(container_open(&c, scratch_path("none.h5"), "corpus", CONTAINER_CHECK, &e),
                     STATUS_BAD_DATA);
    assert_int_equal(container_open(&c, scratch_path("none.h5"), "corpus", CONTAINER_CHECK, NULL),
                     STATUS_BAD_DATA);
}

static void test_need(void **state)
{
    (void)state;
    size_t n;
    unsigned char *image = sample_image(&n, "checkpoint");
    scratch_write(scratch_path("a.h5"), image, n);
    free(image);
    container c;
    error e = {0};
    const tensor *t = NULL;
    assert_int_equal(container_open(&c, scratch_path("a.h5"), "checkpoint", CONTAINER_CHECK, &e), STATUS_OK);
    const char *name = "encoder.weight";
    assert_int_equal(container_need(&c, name, DTYPE_F32, 2, (uint64_t[]){0, 3}, &t, &e), STATUS_OK);
    assert_int_equal(t->shape[0], 2);
    t = NULL;
    assert_int_equal(container_need(&c, name, DTYPE_F32, 2, (uint64_t[]){7, 0}, &t, &e),
                     STATUS_BAD_CHECKPOINT);
    assert_non_null(strstr(e.text, "'encoder.weight' is f32 (2,3), f32 (7,*) is wanted"));
    assert_int_equal(container_need(&c, name, DTYPE_F64, 2, (uint64_t[]){2, 3}, &t, &e),
                     STATUS_BAD_CHECKPOINT);
    assert_int_equal(container_need(&c, name, DTYPE_F32, 1, (uint64_t[]){2}, &t, &e), STATUS_BAD_CHECKPOINT);
    assert_int_equal(container_need(&c, "encoder", DTYPE_F32, 1, (uint64_t[]){2}, &t, &e),
                     STATUS_BAD_CHECKPOINT);
    assert_non_null(strstr(e.text, "holds no 'encoder'"));
    assert_null(t);
    assert_null(container_find(&c, ""));
    container_close(&c);
}

/* The loops of test_disk, over the whole making of a corpus: no file under the final name unless it is
 * whole. */
static void test_every_fault(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EIO};
    const char *path = scratch_path("corpus.h5");
    size_t descriptors = scratch_descriptors();
    for (size_t k = 0; k < sizeof errors / sizeof errors[0]; k++)
        for (int n = 1;; n++) {
            scratch_write(path, "old", 3);
            error e = {0};
            faults_arm(FAULT_ERROR, n, errors[k]);
            status s = write_pieces(path, &e);
            if (!faults_disarm())
                break;
            bool renamed = strchr(faults_trace(), 'R') != NULL && faults_struck() != 'R';
            assert_true(s == STATUS_IO_FAILED || (s == STATUS_OK && renamed && faults_struck() == 'c'));
            assert_int_equal(scratch_entries(), 1);
            assert_int_equal(scratch_descriptors(), descriptors);
            if (renamed)
                check_sample(path, "corpus");
            else
                assert_true(scratch_holds(path, "old", 3));
        }
}

static void test_harmless_faults_and_crashes(void **state)
{
    (void)state;
    const char *path = scratch_path("corpus.h5");
    for (int n = 1;; n++) {
        faults_arm(n % 2 ? FAULT_SHORT : FAULT_ERROR, n, EINTR);
        status s = write_pieces(path, NULL);
        if (!faults_disarm())
            break;
        if (faults_struck() != 'R' && faults_struck() != 'u')
            assert_int_equal(s, STATUS_OK);
        if (s == STATUS_OK)
            check_sample(path, "corpus");
    }
    for (int n = 1;; n++) {
        scratch_write(path, "old", 3);
        pid_t child = fork();
        if (child == 0) {
            faults_arm(FAULT_CRASH_BEFORE, n, 0);
            _exit(write_pieces(path, NULL) == STATUS_OK ? 0 : 1);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFEXITED(how) && (WEXITSTATUS(how) == 0 || WEXITSTATUS(how) == 99));
        if (!scratch_holds(path, "old", 3))
            check_sample(path, "corpus");
        assert_int_equal(disk_sweep_temporaries(scratch_folder(), NULL), STATUS_OK);
        assert_int_equal(scratch_entries(), 1);
        if (WEXITSTATUS(how) == 0)
            break;
    }
}

static void test_abandon(void **state)
{
    (void)state;
    tensor t = tensor_of("train", DTYPE_U32, NULL, 1, (uint64_t[]){1000});
    container_writer *w;
    assert_int_equal(container_create(&w, scratch_path("c.h5"), "corpus", &t, 1, NULL), STATUS_OK);
    assert_int_equal(scratch_entries(), 1);
    container_abandon(w);
    container_abandon(NULL);
    assert_int_equal(scratch_entries(), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),   TEST(test_equal_bytes), TEST(test_digest),
        TEST(test_many_tensors), TEST(test_large_meta),  TEST(test_kinds),
        TEST(test_need),         TEST(test_every_fault), TEST(test_harmless_faults_and_crashes),
        TEST(test_abandon)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
