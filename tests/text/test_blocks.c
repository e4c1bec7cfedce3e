/* test_blocks.c - cutting a text into blocks loses nothing, adds only the line end that a text forgot, and
 * tears no token.
 *
 * The identity: the blocks of a split, joined, are the text (less a byte order mark, plus a missing line
 * end).  It is checked for texts around the block's size, where cuts can go wrong, together with the place
 * that each block says it begins at, which is counted anew from the text.  That no token is torn follows
 * from the last byte of a block and is checked there. */
#include "io/blocks.h"
#include "tests/io/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX (4 * BLOCK_BYTES)

static uint8_t *text, *joined[3];
static size_t joined_n[3];

static int make(void **state)
{
    (void)state;
    scratch_make();
    text = malloc(MAX);
    for (int i = 0; i < 3; i++)
        joined[i] = malloc(MAX + 16);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    free(text);
    for (int i = 0; i < 3; i++)
        free(joined[i]);
    scratch_remove();
    return 0;
}

/* Line and column of text[at], counted from the beginning. */
static void check_place(const text_block *b, size_t at)
{
    uint64_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column++;
        if (text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    assert_int_equal(b->line, line);
    assert_int_equal(b->column, column);
}

/* Reads text[0..n) from a file, block by block; share NULL: all of it is train. */
static size_t read_blocks(size_t n, text_level level, const double *share)
{
    const char *path = scratch_path("t");
    scratch_write(path, text, n);
    text_list l = {.level = level, .cut = share != NULL};
    text_list_add(&l, (source_place){.path = strdup(path)}, 0);
    if (share != NULL)
        memcpy(l.share, share, sizeof l.share);
    block_reader *r = NULL;
    error e = {0};
    text_block b = {0};
    bool more = true;
    size_t blocks = 0, at = 0;
    memset(joined_n, 0, sizeof joined_n);
    assert_int_equal(block_open(&r, &l, &e), STATUS_OK);
    while (assert_int_equal(block_next(r, &b, &more, &e), STATUS_OK), more) {
        assert_true(b.n <= BLOCK_BYTES + 1);
        if (share == NULL && blocks < 8 && level != LEVEL_BYTE && (n < 3 || text[0] != 0xef))
            check_place(&b, at);
        memcpy(joined[b.split] + joined_n[b.split], b.bytes, b.n);
        joined_n[b.split] += b.n;
        assert_false(level == LEVEL_CHAR && b.n > 1 && b.bytes[b.n - 1] == '\r'); /* "\r\n" is one line end */
        at += b.n;
        blocks++;
    }
    assert_int_equal(block_consumed(r), text_list_bytes(&l));
    free(b.bytes);
    block_close(r);
    text_list_free(&l);
    unlink(path);
    return blocks;
}

/* All of it in train, as `end` says after the text. */
static void check_whole(size_t n, text_level level, size_t skipped, const char *end)
{
    read_blocks(n, level, NULL);
    size_t tail = strlen(end);
    assert_int_equal(joined_n[0], n - skipped + tail);
    assert_memory_equal(joined[0], text + skipped, n - skipped);
    assert_memory_equal(joined[0] + n - skipped, end, tail);
}

static void fill_lines(size_t n, size_t line)
{
    for (size_t i = 0; i < n; i++)
        text[i] = (i + 1) % line == 0 ? '\n' : i % 5 == 4 ? ' ' : (uint8_t)('a' + i % 23);
    if (n > 0 && text[n - 1] == ' ') /* a last line of white space alone is no line: see test_ends */
        text[n - 1] = 'z';
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t lines[] = {1, 2, 17, 4096, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, MAX};
    for (size_t l = 0; l < sizeof lines / sizeof *lines; l++)
        for (size_t k = 1; k <= 2; k++)
            for (int d = -2; d <= 2; d++) {
                size_t n = k * BLOCK_BYTES + (size_t)d;
                fill_lines(n, lines[l]);
                check_whole(n, LEVEL_BYTE, 0, "");
                check_whole(n, LEVEL_WORD, 0, text[n - 1] == '\n' ? "" : "\n");
            }
    for (size_t n = 1; n < 20; n++) {
        fill_lines(n, 7);
        check_whole(n, LEVEL_CHAR, 0, text[n - 1] == '\n' ? "" : "\n");
    }
    assert_int_equal(read_blocks(0, LEVEL_WORD, NULL), 0);
}

static void test_ends(void **state)
{
    (void)state;
    memcpy(text, "a\n ", 3); /* the corpus in characters ends like this: no line */
    read_blocks(3, LEVEL_WORD, NULL);
    assert_int_equal(joined_n[0], 2);
    read_blocks(3, LEVEL_CHAR, NULL);
    assert_int_equal(joined_n[0], 2);
    check_whole(3, LEVEL_BYTE, 0, "");
    memcpy(text, "a\n b", 4); /* but this is one */
    check_whole(4, LEVEL_WORD, 0, "\n");
    memcpy(text, "a\n \n", 4); /* and so is this */
    check_whole(4, LEVEL_WORD, 0, "");
    memcpy(text,
           "\xef\xbb\xbf"
           "a\n\xef\xbb\xbf",
           8); /* a mark only at the beginning */
    check_whole(8, LEVEL_WORD, 3, "\n");
    check_whole(8, LEVEL_BYTE, 0, "");
}

/* In a line longer than a block, cuts come after white space; in a word longer than a block, between scalar
 * values. */
static void test_long_lines(void **state)
{
    (void)state;
    size_t n = 3 * BLOCK_BYTES;
    static const char *const units[] = {"word ", "\u00e9\u20ac\U0001f600", "\u20ac\u3000", "x\r"};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t unit = strlen(units[u]);
        for (size_t shift = 0; shift < unit; shift++) {
            memset(text, 'x', n);
            for (size_t at = shift; at + unit <= n; at += unit)
                memcpy(text + at, units[u], unit);
            check_whole(n, LEVEL_WORD, 0, "\n");
            const char *path = scratch_path("t");
            scratch_write(path, text, n);
            text_list l = {.level = LEVEL_WORD};
            text_list_add(&l, (source_place){.path = strdup(path)}, 0);
            block_reader *r = NULL;
            text_block b = {0};
            bool more;
            assert_int_equal(block_open(&r, &l, NULL), STATUS_OK);
            while (block_next(r, &b, &more, NULL) == STATUS_OK && more && u < 3) {
                uint64_t replaced = 0;
                assert_int_equal(text_check(&b, LEVEL_CHAR, false, &replaced, NULL),
                                 STATUS_OK); /* whole scalar values */
                if (b.n == BLOCK_BYTES && u == 0)
                    assert_int_equal(b.bytes[b.n - 1], ' ');
            }
            free(b.bytes);
            block_close(r);
            text_list_free(&l);
        }
    }
    memset(text, 'x',
           n); /* text on a long line before says nothing of the last line, which a block begins with */
    text[2 * BLOCK_BYTES - 1] = '\n';
    text[2 * BLOCK_BYTES] = ' ';
    read_blocks(2 * BLOCK_BYTES + 1, LEVEL_WORD, NULL);
    assert_int_equal(joined_n[0], 2 * BLOCK_BYTES);
    memset(text, 'x', n); /* "\r\n" across the end of a block */
    memcpy(text + BLOCK_BYTES - 1, "\r\n", 2);
    read_blocks(n, LEVEL_CHAR, NULL);
    check_whole(n, LEVEL_CHAR, 0, "\n");
}

static void check_cut(size_t n, text_level level, const double *share)
{
    read_blocks(n, level, share);
    size_t at = 0;
    for (int s = 0; s < 3; s++) {
        size_t left = n - at, take = joined_n[s] < left ? joined_n[s] : left;
        assert_memory_equal(joined[s], text + at, take);
        at += take;
        if (joined_n[s] > take) /* the line end that was forgotten, or that the cut made */
            assert_int_equal(joined[s][take], '\n');
    }
    assert_int_equal(at, n);
}

static void test_cuts(void **state)
{
    (void)state;
    static const double usual[3] = {0.9, 0.05, 0.05}, half[3] = {0.5, 0, 0.5}, all[3] = {1, 0, 0};
    static const size_t sizes[] = {1000, BLOCK_BYTES, 3 * BLOCK_BYTES + 5};
    for (size_t i = 0; i < 3; i++) {
        size_t n = sizes[i];
        for (size_t line = 7; line < n / 20; line = line * 9 + 1) {
            fill_lines(n, line);
            check_cut(n, LEVEL_WORD, usual);
            double target = 0.9 * (double)n; /* the first line end that reaches the share */
            assert_true((double)joined_n[0] >= target && (double)joined_n[0] < target + (double)line);
            assert_int_equal(joined[0][joined_n[0] - 1], '\n');
            target = 0.95 * (double)n;
            size_t second = joined_n[0] + joined_n[1];
            assert_true((double)second >= target && (double)second < target + (double)line);
            check_cut(n, LEVEL_WORD, half);
            assert_int_equal(joined_n[1], 0);
            assert_true(joined_n[2] > 0);
            check_cut(n, LEVEL_BYTE, all);
            assert_int_equal(joined_n[0], n);
        }
    }
    fill_lines(1000, 100); /* a line that ends exactly at its share ends the split */
    check_cut(1000, LEVEL_WORD, usual);
    assert_int_equal(joined_n[0], 900);
    /* One line: at white space, and each split gets a line end. */
    for (size_t n = 1000; n < MAX; n += BLOCK_BYTES + 3) {
        for (size_t k = 0; k < n; k++)
            text[k] = k % 6 == 5 ? ' ' : 'a';
        read_blocks(n, LEVEL_WORD, usual);
        assert_true(joined_n[0] >= n * 9 / 10 && joined_n[0] < n * 9 / 10 + 8);
        assert_int_equal(joined_n[0] + joined_n[1] + joined_n[2], n + 3);
        assert_memory_equal(joined[0] + joined_n[0] - 2, " \n", 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_cuts),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
