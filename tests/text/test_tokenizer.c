/* test_tokenizer.c - what is a word, and that the cutting has no memory.
 *
 * A table of texts and their tokens; then, over random texts of pieces that are easily cut wrongly:
 *   tokens(a + "\n" + b) == tokens(a), tokens(b)      nothing reaches across white space
 *   tokens(text)         == tokens(text replaced)     invalid bytes read as what text_check makes of them
 * and every token is valid UTF-8 and not empty. */
#include "io/text.h"
#include "io/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tokens with a '|' behind each. */
static void join(char *out, size_t room, const char *text, size_t n, bool lower)
{
    static uint8_t word[TEXT_WORD_MAX];
    size_t bytes, used = 0;
    word_reader r = {(const uint8_t *)text, (const uint8_t *)text + n, lower};
    out[0] = 0;
    while (word_next(&r, word, &bytes)) {
        assert_true(bytes > 0 && used + bytes + 2 <= room);
        memcpy(out + used, word, bytes);
        used += bytes;
        out[used++] = '|';
        out[used] = 0;
    }
}

typedef struct example {
    const char *text, *tokens;
} example;

static void check(const example *list, size_t n, bool lower)
{
    char got[4096];
    for (size_t i = 0; i < n; i++) {
        join(got, sizeof got, list[i].text, strlen(list[i].text), lower);
        assert_string_equal(got, list[i].tokens);
    }
}

static void test_words(void **state)
{
    (void)state;
    static const example list[] = {
        {"", ""},
        {" \t\r\n", ""},
        {"The movie", "The|movie|"},
        {"well-made", "well|-|made|"},
        {"(very) good.", "(|very|)|good|.|"},
        {"wait...what?!", "wait|...|what|?|!|"},
        {"no!!!!", "no|!!!!|"},
        {"$5 or 5%", "$|5|or|5|%|"},
        {"mp3 4x4 a1b2", "mp3|4x4|a1b2|"},
        {"x_y", "x|_|y|"},
        {"a\x01"
         "b\x7f"
         "c",
         "a|b|c|"},
        {"\"quoted\"", "\"|quoted|\"|"},
    };
    check(list, sizeof list / sizeof *list, false);
}

static void test_apostrophes(void **state)
{
    (void)state;
    static const example list[] = {
        {"don't", "don't|"},
        {"don\xe2\x80\x99t", "don't|"},
        {"rock'n'roll", "rock'n'roll|"},
        {"don''t", "don|''|t|"},
        {"'tis", "'|tis|"},
        {"dogs' tails", "dogs|'|tails|"},
        {"the 90's", "the|90|'|s|"},
        {"o'2", "o|'|2|"},
        {"'quoted'", "'|quoted|'|"},
        {"l\xe2\x80\x99\xc3\xa9t\xc3\xa9", "l'\xc3\xa9t\xc3\xa9|"},
        {"\xe2\x80\x99'x", "''|x|"},
        {"e\xcc\x81'a", "e\xcc\x81'a|"}, /* a letter with a combining accent is a letter */
    };
    check(list, sizeof list / sizeof *list, false);
}

static void test_numbers(void **state)
{
    (void)state;
    static const example list[] = {
        {"10.5", "10.5|"},
        {"1,000", "1,000|"},
        {"1,000,000.25", "1,000,000.25|"},
        {"10. Then", "10|.|Then|"},
        {"10..5", "10|..|5|"},
        {".5", ".|5|"},
        {"5.", "5|.|"},
        {"a.b", "a|.|b|"},
        {"7.b a,8", "7|.|b|a|,|8|"},
        {"v1.2", "v1.2|"},
        {"\xc2\xbd.5", "\xc2\xbd|.|5|"},
        {"10/10", "10|/|10|"},
        {"\xd9\xa1\xd9\xa2.\xd9\xa3", "\xd9\xa1\xd9\xa2.\xd9\xa3|"},       /* Arabic digits */
        {"\xc2\xbd.\xc2\xbd x\xc2\xb2", "\xc2\xbd|.|\xc2\xbd|x\xc2\xb2|"}, /* numbers that are no digits */
    };
    check(list, sizeof list / sizeof *list, false);
}

static void test_line_breaks(void **state)
{
    (void)state;
    static const example list[] = {
        {"a<br />b", "a|b|"},
        {"a<br>b<BR/>c<Br />d", "a|b|c|d|"},
        {"good<br /><br />bad", "good|bad|"},
        {"don<br>'t", "don|'|t|"},
        {"!<br>!", "!|!|"},
        {"<<br>", "<|"},
        {"a < b", "a|<|b|"},
        {"<b>", "<|b|>|"},
        {"<br", "<|br|"},
        {"<br  />", "<|br|/|>|"},
        {"<br\n/>", "<|br|/|>|"},
        {"<brr>", "<|brr|>|"},
    };
    check(list, sizeof list / sizeof *list, false);
}

static void test_unicode(void **state)
{
    (void)state;
    static const example list[] = {
        {"caf\xc3\xa9 na\xc3\xafve", "caf\xc3\xa9|na\xc3\xafve|"},
        {"\xe4\xb8\xad\xe6\x96\x87\xe3\x80\x82", "\xe4\xb8\xad\xe6\x96\x87|\xe3\x80\x82|"},
        {"a\xc2\xa0"
         "b\xe2\x80\x8b"
         "c\xe3\x80\x80"
         "d",
         "a|b|c|d|"}, /* no-break, zero-width, ideographic space */
        {"\xe2\x80\x9cso\xe2\x80\x9d", "\xe2\x80\x9c|so|\xe2\x80\x9d|"},
        {"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\xa2",
         "\xf0\x9f\x98\x80\xf0\x9f\x98\x80|\xf0\x9f\x98\xa2|"},
        {"\xd0\x9c\xd0\xb8\xd1\x80\xe2\x80\x94\xd0\xb4\xd0\xb0",
         "\xd0\x9c\xd0\xb8\xd1\x80|\xe2\x80\x94|\xd0\xb4\xd0\xb0|"},
        {"a\xff\xff"
         "b",
         "a|\xef\xbf\xbd\xef\xbf\xbd|b|"},
        {"\xe2\x82", "\xef\xbf\xbd|"}, /* one maximal invalid part */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|"},
    };
    check(list, sizeof list / sizeof *list, false);
}

static void test_lower(void **state)
{
    (void)state;
    static const example list[] = {
        {"The MOVIE", "the|movie|"},
        {"DON\xe2\x80\x99T", "don't|"},
        {"\xc3\x89T\xc3\x89 \xd0\x9c\xd0\x98\xd0\xa0 \xce\xa3",
         "\xc3\xa9t\xc3\xa9|\xd0\xbc\xd0\xb8\xd1\x80|\xcf\x83|"},
        {"\xc8\xba", "\xe2\xb1\xa5|"}, /* two bytes become three */
        {"\xe2\x84\xaa", "k|"},        /* the Kelvin sign: three become one */
        {"@[`{A Z", "@|[|`|{|a|z|"},   /* the neighbours of letters */
        {"STRASSE stra\xc3\x9f"
         "e",
         "strasse|stra\xc3\x9f"
         "e|"},
    };
    check(list, sizeof list / sizeof *list, true);
}

/* Words and runs are cut at TEXT_WORD_MAX, between code points, and nothing is lost. */
static void test_long(void **state)
{
    (void)state;
    static const char *const units[] = {"x", "\xc3\xa9", "-", "\xe4\xb8\xad"};
    static uint8_t word[TEXT_WORD_MAX];
    for (size_t u = 0; u < 4; u++) {
        size_t n = strlen(units[u]), count = 3 * TEXT_WORD_MAX / n + 7, at = 0, bytes;
        char *text = malloc(count * n);
        for (size_t i = 0; i < count; i++)
            memcpy(text + i * n, units[u], n);
        word_reader r = {(uint8_t *)text, (uint8_t *)text + count * n, true};
        while (word_next(&r, word, &bytes)) {
            assert_true(bytes <= TEXT_WORD_MAX && bytes % n == 0);
            assert_true(bytes + n > TEXT_WORD_MAX || at + bytes == count * n);
            assert_memory_equal(word, text + at, bytes);
            at += bytes;
        }
        assert_int_equal(at, count * n);
        free(text);
    }
}

/* xorshift */
static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    return *x ^= *x << 17;
}

static size_t random_text(char *out, uint64_t *x)
{
    static const char *const pieces[] = {"a",        "B",
                                         "'",        "\xe2\x80\x99",
                                         "7",        ".",
                                         ",",        "!",
                                         "!",        " ",
                                         "\t",       "<br>",
                                         "<br />",   "<",
                                         "br",       ">",
                                         "/",        "\xc3\x89",
                                         "\xcc\x81", "\xe4\xb8",
                                         "\xff",     "-",
                                         "don",      "\xc2\xa0",
                                         "\xc2\xbd", "\xe2\x80\x8d",
                                         "\x01"};
    size_t n = 0;
    for (uint64_t k = next_random(x) % 12; k > 0; k--) {
        const char *piece = pieces[next_random(x) % (sizeof pieces / sizeof *pieces)];
        n += (size_t)sprintf(out + n, "%s", piece);
    }
    return n;
}

static void test_concatenation(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (int round = 0; round < 20000; round++) {
        char a[128], b[128], both[300], of_a[512], of_b[512], of_both[1024], want[1024];
        size_t n = random_text(a, &x), m = random_text(b, &x);
        bool lower = round % 2 == 0;
        memcpy(both, a, n);
        both[n] = '\n';
        memcpy(both + n + 1, b, m);
        join(of_a, sizeof of_a, a, n, lower);
        join(of_b, sizeof of_b, b, m, lower);
        join(of_both, sizeof of_both, both, n + 1 + m, lower);
        snprintf(want, sizeof want, "%s%s", of_a, of_b);
        assert_string_equal(of_both, want);
    }
}

static void test_invalid_as_replaced(void **state)
{
    (void)state;
    uint64_t x = 362436069u, replaced = 0;
    for (int round = 0; round < 20000; round++) {
        char raw[256], got[1024], want[1024];
        size_t n = random_text(raw, &x);
        text_block b = {.bytes = malloc(n + 1), .n = n, .capacity = n + 1, .label = "here"};
        for (size_t i = 0; i < n; i++)
            b.bytes[i] = (uint8_t)raw[i];
        error e = {0};
        assert_int_equal(text_check(&b, LEVEL_CHAR, true, &replaced, &e), STATUS_OK);
        join(got, sizeof got, raw, n, true);
        join(want, sizeof want, (const char *)b.bytes, b.n, true);
        assert_string_equal(got, want);
        text_block tokens = {.bytes = (uint8_t *)got, .n = strlen(got), .label = "tokens"};
        uint64_t none = 0;
        assert_int_equal(text_check(&tokens, LEVEL_CHAR, false, &none, &e), STATUS_OK);
        free(b.bytes);
    }
    assert_true(replaced > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_apostrophes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_line_breaks),
        cmocka_unit_test(test_unicode),
        cmocka_unit_test(test_lower),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_concatenation),
        cmocka_unit_test(test_invalid_as_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
