/* test_vectors.c - rows of a table out of the text files in which word vectors travel.
 *
 *   word2vec, GloVe, fastText, in any packing   ==  the same table, bit for bit
 *   a row                                       ==  the nearest floats of the decimals that stand in its line
 *   rows of words that the file has not         ==  as they were
 *   the first of two lines with one word wins, whatever stands around
 *
 * Each malformed file is refused by a sentence with file:line that names what was found and what is wanted.
 * The stream is read in a window: a file of many times the window's size takes no more memory, and words that
 * stand across its edges are found. */
#include "io/vectors.h"
#include "tests/io/scratch.h"
#include "tests/text/archives.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- a vocabulary of six words ---- */

enum { WORDS = 6, WIDTH = 3 };
static const char blob[] = "the<unk>Filmcaf\xc3\xa9. . .1984";
static const uint64_t starts[WORDS + 1] = {0, 3, 8, 12, 17, 22, 26};
static vocabulary words;

static int make(void **state)
{
    (void)state;
    scratch_make();
    return vocabulary_view(&words, (const uint8_t *)blob, sizeof blob - 1, starts, WORDS, "test", NULL) ==
                   STATUS_OK
               ? 0
               : -1;
}

static int clean(void **state)
{
    (void)state;
    vocabulary_free(&words);
    scratch_remove();
    return 0;
}

typedef struct result {
    float table[WORDS * WIDTH];
    bool found[WORDS];
    vectors_report report;
    error e;
} result;

/* Reads a file into a table full of sevens. */
static status read_file(result *r, const char *path, int E)
{
    *r = (result){0};
    for (int i = 0; i < WORDS * WIDTH; i++)
        r->table[i] = 7;
    memset(r->found, true, sizeof r->found);
    return vectors_read(path, &words, E, r->table, r->found, &r->report, &r->e);
}

static status read_text(result *r, const char *text, size_t n, int E)
{
    const char *path = scratch_path("v.txt");
    scratch_write(path, text, n);
    status s = read_file(r, path, E);
    unlink(path);
    return s;
}

/* ---- good files ---- */

/* "the", "Film", "café", ". . .", "1984" and two words that the vocabulary lacks. */
#define LINES(end)                                                                                      \
    "the 0.25 -1.5e0 3" end "film 1 1 1" end "Film +.5 1. 1E-3" end "caf\xc3\xa9 0.1 -0.0 16777217" end \
    ". . . 4 5 6" end "name@domain 0 0 0" end "1984 1 2 3" end
static const float want[WORDS * WIDTH] = {0.25F, -1.5F, 3,        7, 7, 7, 0.5F, 1, 1e-3F,
                                          0.1F,  -0.0F, 16777216, 4, 5, 6, 1,    2, 3};

static void check_want(const result *r)
{
    static const bool found[WORDS] = {true, false, true, true, true, true};
    assert_memory_equal(r->table, want, sizeof want);
    assert_memory_equal(r->found, found, sizeof found);
    assert_int_equal(r->report.words, 7);
    assert_int_equal(r->report.found, 5);
    assert_int_equal(r->report.duplicates, 0);
}

static void test_forms(void **unused)
{
    (void)unused;
    static const char *const forms[] = {
        LINES("\n"),           /* GloVe */
        "7 3\n" LINES("\n"),   /* word2vec */
        "7 3 \n" LINES(" \n"), /* fastText */
        "\xef\xbb\xbf"
        "7\t3\r\n" LINES("\t \r\n"), /* edited elsewhere */
        LINES("\r\n"),
    };
    result r;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        for (size_t cut = 0; cut < 2; cut++) { /* with and without the last line's end */
            size_t n = strlen(forms[i]);
            while (cut == 1 && (forms[i][n - 1] == '\n' || forms[i][n - 1] == '\r'))
                n--;
            if (read_text(&r, forms[i], n, WIDTH) != STATUS_OK)
                fail_msg("form %zu: %s", i, r.e.text);
            check_want(&r);
        }
}

static void test_packed(void **unused)
{
    (void)unused;
    static const char *const kinds[] = {"raw.gz", "raw.bz2", "raw.xz", "raw.zst", "zip", "tar.gz"};
    static const char *const names[] = {"v.gz", "v.bz2", "v.xz", "v.zst", "v.zip", "v.tar.gz"};
    static const char text[] = "7 3\n" LINES("\n");
    const archive_member member = {.name = "v.vec", .bytes = text, .n = sizeof text - 1};
    result r;
    for (int i = 0; i < 6; i++) {
        const char *path = scratch_path(names[i]);
        archive_make(path, kinds[i], &member, 1);
        assert_int_equal(read_file(&r, path, WIDTH), STATUS_OK);
        check_want(&r);
        unlink(path);
    }
}

static void test_first_wins(void **unused)
{
    (void)unused;
    static const char text[] = "the 1 2 3\nother 0 0 0\nthe 4 5 6\nother 1 1 1\nthe 7 8 9\n";
    result r;
    assert_int_equal(read_text(&r, text, sizeof text - 1, WIDTH), STATUS_OK);
    assert_true(r.table[0] == 1 && r.table[1] == 2 && r.table[2] == 3);
    assert_int_equal(r.report.words, 5);
    assert_int_equal(r.report.found, 1);
    assert_int_equal(r.report.duplicates, 2); /* of words of the vocabulary */
}

/* The nearest float, once rounded: 1 + 2^-24 + 2^-60 lies above the middle of two floats, but the double
 * nearest to it does not.  Small numbers become 0 of their sign, and the comma of another locale is none. */
static void test_rounding(void **unused)
{
    (void)unused;
    static const char text[] =
        "the 1.00000005960464477625798895 1e-39 -1e-60\nFilm 3.4028235e38 1.17549435e-38 1\n";
    result r;
    const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C"};
    for (int i = 0; i < 3; i++) {
        setlocale(LC_ALL, locales[i]); /* where it is not installed, nothing changes */
        assert_int_equal(read_text(&r, text, sizeof text - 1, WIDTH), STATUS_OK);
        assert_true(r.table[0] == 1 + FLT_EPSILON);
        assert_true(r.table[1] == 0 && r.table[2] == 0 && signbit(r.table[2]) && !signbit(r.table[1]));
        assert_true(r.table[2 * WIDTH] == FLT_MAX && r.table[2 * WIDTH + 1] == FLT_MIN);
        assert_int_equal(read_text(&r, "the 1,5 2 3\n", 12, WIDTH), STATUS_BAD_DATA);
    }
}

/* One number a word: the header decides. */
static void test_one_number(void **unused)
{
    (void)unused;
    result r;
    assert_int_equal(read_text(&r, "1 1\n1984 5\n", 11, 1), STATUS_OK);
    assert_true(r.found[5] && r.table[5] == 5);
    assert_int_equal(read_text(&r, "the 0.5\n1984 5\n", 15, 1), STATUS_OK);
    assert_true(r.table[0] == 0.5F && r.table[5] == 5 && r.report.words == 2);
}

/* ---- bad files ---- */

static void test_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "v.txt: holds no word vector"},
        {"\n", "v.txt:1: an empty line"},
        {"the 1 2 3\n\r\n", "v.txt:2: an empty line"},
        {"the 1 2 3\n 1 2 3\n", "v.txt:2: no word in front of the numbers"},
        {"the 1 2\n", "v.txt:1: 2 numbers at its end, behind \"the\"; vectors of 3 are wanted (or a header"},
        {"the 1 2 3\nFilm 1 2\n", "v.txt:2: 2 numbers at its end, behind \"Film\"; vectors of 3 are wanted"},
        {"the 1 2 3 4\n", "v.txt:1: 4 numbers at its end, behind \"the\"; vectors of 3 are wanted"},
        {"the 1 2 3\nalone\n", "v.txt:2: 0 numbers at its end, behind \"alone\""},
        {"the 1 nan 3\n", "v.txt:1: 1 number at its end, behind \"nan\""},
        {"absent 1 2 inf\n", "v.txt:1: 0 numbers at its end, behind \"inf\""},
        {"the 1 0x1p3 3\n", "behind \"0x1p3\""},
        {"the 1 2e 3\n", "behind \"2e\""},
        {"the 1 . 3\n", "behind \".\""},
        {"the 1 --2 3\n", "behind \"--2\""},
        {"the 1 \x1b[m 3\n", "behind \"\\x1b[m\""},
        {"the 1 2 3\nFilm 1 2 4e38\n", "v.txt:2: a number that is too large for a float"},
        {"7 4\nthe 1 2 3 4\n", "v.txt:1: the header announces 7 words with vectors of 4 numbers"},
        {"0 3\n", "v.txt:1: the header announces 0 words"},
        {"7 0\n", "vectors of 0 numbers; one word or more with vectors of 3 are wanted"},
        {"99999999999999999999999 3\nthe 1 2 3\n", "v.txt:1: a header with a number of more than 64 bits"},
        {"-7 3\nthe 1 2 3\n", "v.txt:1: 1 number at its end, behind \"-7\""},
        {"2 3\nthe 1 2 3\n", "v.txt:1: the header announces 2 words, the file has 1"},
        {"1 3\nthe 1 2 3\nFilm 1 2 3\n", "v.txt:1: the header announces 1 words, the file has 2"},
        {"7 3\n", "v.txt:1: the header announces 7 words, the file has 0"},
    };
    result r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (read_text(&r, bad[i].text, strlen(bad[i].text), WIDTH) != STATUS_BAD_DATA)
            fail_msg("row %zu passed", i);
        if (strstr(r.e.text, bad[i].says) == NULL)
            fail_msg("row %zu: \"%s\" instead of \"%s\"", i, r.e.text, bad[i].says);
    }
    assert_int_equal(read_text(&r, "the 1 \0 3\n", 10, WIDTH), STATUS_BAD_DATA);
    assert_int_equal(read_file(&r, scratch_path("missing"), WIDTH), STATUS_BAD_DATA);
    assert_int_equal(read_file(&r, scratch_folder(), WIDTH), STATUS_BAD_DATA);
}

/* A line may have one byte less than the window, and no more. */
static void test_long_lines(void **unused)
{
    (void)unused;
    char *text = malloc(2 * VECTORS_LINE_MAX);
    result r;
    for (int longer = 0; longer < 2; longer++) {
        size_t n = VECTORS_LINE_MAX - 1 + (size_t)longer;
        memset(text, 'x', n);
        memcpy(text + n - 6, " 1 2 3\nthe 4 5 6\n", 17);
        status s = read_text(&r, text, n + 11, WIDTH);
        assert_int_equal(s, longer ? STATUS_BAD_DATA : STATUS_OK);
        if (longer)
            assert_non_null(strstr(r.e.text, "v.txt:1: a line of 1048576 bytes or more"));
        else
            assert_true(r.found[0] && r.table[0] == 4 && r.report.words == 2);
    }
    free(text);
}

/* Damage of every kind is read or refused, and writes nothing beyond the table (the address checker watches). */
static void test_damage(void **unused)
{
    (void)unused;
    static const char whole[] = "7 3\n" LINES(" \r\n");
    static const char likely[] = " \t\r\n\0.-+eE059x\xff";
    uint32_t x = 1;
    int read = 0, refused = 0;
    for (int i = 0; i < 3000; i++) {
        char text[sizeof whole];
        memcpy(text, whole, sizeof whole);
        for (int k = 0; k <= i % 3; k++) {
            x = x * 1664525 + 1013904223;
            text[(x >> 8) % (sizeof whole - 1)] = likely[(x >> 24) % (sizeof likely - 1)];
        }
        result r;
        status s = read_text(&r, text, i % 5 == 0 ? (x >> 8) % sizeof whole : sizeof whole - 1, WIDTH);
        assert_true(s == STATUS_OK || (s == STATUS_BAD_DATA && strstr(r.e.text, "v.txt") != NULL));
        assert_true(s != STATUS_OK || r.report.found <= WORDS);
        *(s == STATUS_OK ? &read : &refused) += 1;
    }
    assert_true(read > 100 && refused > 100);
}

/* ---- the window ---- */

static long resident_kb(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return use.ru_maxrss;
}

/* 40 MB: lines of uneven length drift over the edges of the window; the third word from the end is known. */
static void test_memory(void **unused)
{
    (void)unused;
    enum { LINE_COUNT = 1000000 };
    const char *path = scratch_path("big.vec");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%d 3\n", LINE_COUNT);
    for (int i = 0; i < LINE_COUNT; i++)
        if (i == LINE_COUNT - 3)
            fprintf(f, "the 0.5 0.25 0.125\n");
        else
            fprintf(f, "word%.*s%d 0.123456 -1.0 %d\n", i % 23, "-----------------------", i, i);
    assert_int_equal(fclose(f), 0);
    result r;
    long before = resident_kb();
    assert_int_equal(read_file(&r, path, WIDTH), STATUS_OK);
    assert_true(resident_kb() - before < 8 * 1024);
    assert_true(r.found[0] && r.table[1] == 0.25F);
    assert_int_equal(r.report.words, LINE_COUNT);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),      cmocka_unit_test(test_packed),
        cmocka_unit_test(test_first_wins), cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_one_number), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long_lines), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
