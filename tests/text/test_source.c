/* test_source.c - the bytes that a source gives are the bytes that went in, whatever they are packed in.
 *
 * Every kind of packing is made by libarchive's writer and read back through io/source; equality of bytes,
 * found by name among decoys, is all that the rest of prepare relies on.  What is not a corpus (a link, a
 * broken stream, a lying name) must be refused. */
#include "io/source.h"
#include "tests/io/scratch.h"
#include "tests/text/archives.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIG 700000 /* more than any buffer on the way */

static char *noise; /* BIG bytes that do not compress away */

static int make(void **state)
{
    (void)state;
    scratch_make();
    noise = malloc(BIG);
    uint32_t x = 12345;
    for (size_t i = 0; i < BIG; i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = (char)('a' + (x >> 24) % 26);
    }
    return 0;
}

static int clean(void **state)
{
    (void)state;
    free(noise);
    scratch_remove();
    return 0;
}

/* Reads everything in uneven steps and compares. */
static void check_bytes(const source_place *p, const char *want, size_t n)
{
    error e = {0};
    source *s = NULL;
    assert_int_equal(source_open(&s, p, &e), STATUS_OK);
    char *got = malloc(n + 8192);
    size_t have = 0, step = 0, size = 1;
    do {
        size = size % 8000 + 97;
        assert_int_equal(source_read(s, got + have, size, &step, &e), STATUS_OK);
        have += step;
    } while (step == size && have <= n);
    assert_int_equal(have, n);
    assert_memory_equal(got, want, n);
    assert_true(source_consumed(s) <= source_file_bytes(p));
    free(got);
    source_close(s);
}

static void check_single(const char *path, const char *want, size_t n)
{
    error e = {0};
    source_place p;
    assert_int_equal(source_single(&p, path, &e), STATUS_OK);
    check_bytes(&p, want, n);
    source_place_free(&p);
}

static void test_streams(void **state)
{
    (void)state;
    const char *const kinds[] = {"raw.gz", "raw.bz2", "raw.xz", "raw.zst"};
    archive_member m = {.name = "x", .bytes = noise, .n = BIG};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *path = scratch_path(kinds[i]);
        archive_make(path, kinds[i], &m, 1);
        check_single(path, noise, BIG);
        source_kind kind;
        assert_int_equal(source_classify(&kind, path, NULL), STATUS_OK);
        assert_int_equal(kind, SOURCE_FILE);
        unlink(path);
    }
    const char *plain = scratch_path("plain");
    scratch_write(plain, noise, BIG);
    check_single(plain, noise, BIG);
    scratch_write(plain, "", 0);
    check_single(plain, "", 0);
    unlink(plain);
}

/* The wanted member stands among decoys: other names, a folder, and a name that would leave the folder if it
 * were unpacked. */
static void test_archives(void **state)
{
    (void)state;
    const char *const kinds[] = {"tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip"};
    const char *const names[] = {"ptb.train.txt", "ptb.char.train.txt", NULL};
    const archive_member members[] = {
        {.name = "simple/"},
        {.name = "simple/notptb.train.txt", .bytes = "no", .n = 2},
        {.name = "simple/ptb.char.train.txt", .bytes = "second choice", .n = 13},
        {.name = "../../simple/data/ptb.train.txt", .bytes = noise, .n = BIG},
        {.name = "simple/ptb.train.txt.orig", .bytes = "no", .n = 2},
        {.name = "other/ptb.char.train.txt", .bytes = "second choice again", .n = 19},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *path = scratch_path(kinds[i]);
        archive_make(path, kinds[i], members, 6);
        source_place p;
        bool found;
        error e = {0};
        assert_int_equal(source_find(&p, &found, path, names, &e), STATUS_OK);
        assert_true(found);
        assert_string_equal(p.member, members[3].name);
        check_bytes(&p, noise, BIG);
        source_place_free(&p);
        assert_int_equal(source_find(&p, &found, path, (const char *const[]){"absent", NULL}, &e), STATUS_OK);
        assert_false(found);
        assert_int_equal(source_single(&p, path, &e), STATUS_BAD_DATA); /* several */
        assert_non_null(strstr(e.text, "several files"));
        assert_int_equal(scratch_entries(), 1); /* nothing was unpacked */
        unlink(path);
    }
}

static void test_links_are_no_texts(void **state)
{
    (void)state;
    const char *path = scratch_path("links.tar");
    const archive_member members[] = {
        {.name = "real", .bytes = "words\n", .n = 6},
        {.name = "a/train.txt", .link = "/etc/passwd"},
        {.name = "b/train.txt", .hard_link = "real", .bytes = "", .n = 0},
    };
    archive_make(path, "tar", members, 3);
    source_place p;
    bool found;
    error e = {0};
    assert_int_equal(source_find(&p, &found, path, (const char *const[]){"train.txt", NULL}, &e), STATUS_OK);
    assert_false(found);
    check_single(path, "words\n", 6);
    unlink(path);
}

static void test_directories(void **state)
{
    (void)state;
    const char *const names[] = {"train.txt", NULL};
    source_place p;
    bool found;
    error e = {0};
    assert_int_equal(source_find(&p, &found, scratch_folder(), names, &e), STATUS_OK);
    assert_false(found);

    mkdir(scratch_path("data"), 0755);
    scratch_write(scratch_path("data/train.txt"), "below\n", 6);
    assert_int_equal(source_find(&p, &found, scratch_folder(), names, &e), STATUS_OK);
    assert_true(found);
    check_bytes(&p, "below\n", 6);
    source_place_free(&p);

    archive_member m = {.name = "x", .bytes = "packed\n", .n = 7};
    archive_make(scratch_path("train.txt.xz"), "raw.xz", &m, 1);
    assert_int_equal(source_find(&p, &found, scratch_folder(), names, &e), STATUS_OK);
    check_bytes(&p, "packed\n", 7);
    source_place_free(&p);

    scratch_write(scratch_path("train.txt"), "plain\n", 6);
    assert_int_equal(source_find(&p, &found, scratch_folder(), names, &e), STATUS_OK);
    check_bytes(&p, "plain\n", 6);
    source_place_free(&p);
    unlink(scratch_path("train.txt"));
    unlink(scratch_path("train.txt.xz"));
    unlink(scratch_path("data/train.txt"));
    rmdir(scratch_path("data"));
}

/* Opening or reading to the end must fail, and say so with the path. */
static void check_refused(const char *path, const char *part_of_message)
{
    source_place p = {0};
    source *s = NULL;
    error e = {0};
    char buffer[4096];
    status r = source_single(&p, path, &e);
    if (r == STATUS_OK)
        r = source_open(&s, &p, &e);
    for (size_t n = sizeof buffer; r == STATUS_OK && n == sizeof buffer;)
        r = source_read(s, buffer, sizeof buffer, &n, &e);
    source_close(s);
    source_place_free(&p);
    assert_int_equal(r, STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, path));
    if (strstr(e.text, part_of_message) == NULL)
        fail_msg("'%s' lacks '%s'", e.text, part_of_message);
}

static void test_truncated(void **state)
{
    (void)state;
    const char *const kinds[] = {"raw.gz", "raw.bz2", "raw.xz", "raw.zst", "tar.gz", "zip"};
    archive_member m = {.name = "x", .bytes = noise, .n = BIG};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *path = scratch_path(kinds[i]);
        struct stat st;
        archive_make(path, kinds[i], &m, 1);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(truncate(path, st.st_size * 2 / 3), 0);
        check_refused(path, "");
        unlink(path);
    }
}

/* Formats with a checksum notice a flipped bit; .gz does not (libarchive passes over its CRC), as source.h
 * says. */
static void test_flipped_bits(void **state)
{
    (void)state;
    const char *const kinds[] = {"raw.bz2", "raw.xz", "zip"};
    archive_member m = {.name = "x", .bytes = noise, .n = BIG};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *path = scratch_path(kinds[i]);
        struct stat st;
        archive_make(path, kinds[i], &m, 1);
        assert_int_equal(stat(path, &st), 0);
        FILE *f = fopen(path, "r+b");
        assert_non_null(f);
        fseek(f, st.st_size / 2, SEEK_SET);
        int was = fgetc(f);
        fseek(f, st.st_size / 2, SEEK_SET);
        fputc(was ^ 4, f);
        fclose(f);
        check_refused(path, "");
        unlink(path);
    }
}

static void test_lying_names(void **state)
{
    (void)state;
    static const char page[] = "<html>404 not found</html>\n";
    const char *const names[] = {"a.zip",    "a.tar", "a.tgz", "a.tar.gz", "a.tar.zst",
                                 "a.txt.gz", "A.XZ",  "a.zst", "a.bz2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = scratch_path(names[i]);
        scratch_write(path, page, sizeof page - 1);
        check_refused(path, "its name says");
        unlink(path);
    }
    archive_member m = {.name = "x", .bytes = "text\n", .n = 5};
    const char *path = scratch_path("b.tar.gz");
    archive_make(path, "raw.gz", &m, 1); /* compressed, but no archive inside */
    check_refused(path, "its name says");
    unlink(path);
}

static void test_no_file(void **state)
{
    (void)state;
    check_refused(scratch_path("absent"), "no such file");
    check_refused(scratch_folder(), "is a directory");
    const char *fifo = scratch_path("fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    check_refused(fifo, "neither a file nor a directory"); /* and does not hang */
    unlink(fifo);
    const char *empty = scratch_path("empty.tar");
    archive_make(empty, "tar", NULL, 0);
    check_refused(empty, "");
    unlink(empty);
}

static void test_same_name_twice(void **state)
{
    (void)state;
    const archive_member members[] = {
        {.name = "a/train.txt", .bytes = "1\n", .n = 2},
        {.name = "b/train.txt", .bytes = "2\n", .n = 2},
    };
    const char *path = scratch_path("two.zip");
    archive_make(path, "zip", members, 2);
    source_place p;
    bool found;
    error e = {0};
    assert_int_equal(source_find(&p, &found, path, (const char *const[]){"train.txt", NULL}, &e),
                     STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "more than once (a/train.txt, b/train.txt)"));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_archives),
        cmocka_unit_test(test_links_are_no_texts),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_lying_names),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_same_name_twice),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
