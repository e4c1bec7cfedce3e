/* test_text.c - what is white space, what is UTF-8, what is a token.
 *
 * White space is compared with utf8proc's categories and bidirectional classes, of which Python makes it
 * up, over all of Unicode, the decision "valid or not" with a decoder written from the definition over all
 * pairs of bytes, followed by every mixture of the bytes at which the rules change, replacement with the
 * Unicode standard's own table of examples.  Tokens are compared with tables written by hand: one row for
 * each habit of texts in the wild. */
#include "io/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static void test_white_space(void **state)
{
    (void)state;
    for (int32_t c = 0; c < 0x110000; c++) {
        uint8_t bytes[4];
        if (c >= 0xd800 && c < 0xe000)
            continue;
        size_t n = (size_t)utf8proc_encode_char(c, bytes);
        const utf8proc_property_t *p =
            utf8proc_get_property(c); /* str.isspace(): Zs, or of class WS, B or S */
        bool want = p->category == UTF8PROC_CATEGORY_ZS || p->bidi_class == UTF8PROC_BIDI_CLASS_WS ||
                    p->bidi_class == UTF8PROC_BIDI_CLASS_B || p->bidi_class == UTF8PROC_BIDI_CLASS_S;
        if (text_space(bytes, bytes + n) != (want ? n : 0))
            fail_msg("U+%04X", (unsigned)c);
        for (size_t cut = 1; cut < n; cut++)
            assert_int_equal(text_space(bytes, bytes + cut), 0); /* torn */
    }
}

/* UTF-8 from its definition: decode the bit fields, then refuse what is overlong, a surrogate or too
 * large. */
static bool is_utf8(const uint8_t *s, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < n;) {
        size_t length = s[i] < 0x80 ? 1 : s[i] >> 5 == 6 ? 2 : s[i] >> 4 == 14 ? 3 : s[i] >> 3 == 30 ? 4 : 0;
        if (length == 0 || i + length > n)
            return false;
        uint32_t c = length == 1 ? s[i] : s[i] & (0xffu >> (length + 1));
        for (size_t k = 1; k < length; k++) {
            if (s[i + k] >> 6 != 2)
                return false;
            c = c << 6 | (s[i + k] & 63);
        }
        if ((length > 1 && c < least[length]) || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
            return false;
        i += length;
    }
    return true;
}

/* A block on the heap of exactly n bytes, so that ASan sees one byte too far. */
static text_block block_of(const void *bytes, size_t n)
{
    text_block b = {.bytes = malloc(n), .n = n, .capacity = n, .label = "t", .line = 1, .column = 1};
    memcpy(b.bytes, bytes, n);
    return b;
}

static void check_validity(const uint8_t *s, size_t n)
{
    uint64_t replaced = 0;
    text_block b = block_of(s, n);
    status r = text_check(&b, LEVEL_CHAR, false, &replaced, NULL);
    free(b.bytes);
    if ((r == STATUS_OK) != is_utf8(s, n))
        fail_msg("%02x %02x %02x %02x", s[0], s[1], s[2], s[3]);
}

static void test_validity(void **state)
{
    (void)state;
    uint8_t s[4] = {0};
    static const uint8_t edges[] = {0x01, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xf5, 0xff};
    const size_t some = sizeof edges;
    for (int a = 1; a < 256; a++)
        for (int b = 1; b < 256; b++) {
            s[0] = (uint8_t)a;
            s[1] = (uint8_t)b;
            check_validity(s, 2);
            for (size_t c = 0; c < (a < 0xe0 ? some : some * some); c++) {
                s[2] = edges[c % some];
                s[3] = edges[c / some];
                check_validity(s, c < some ? 3 : 4);
            }
            s[2] = s[3] = 0;
        }
}

static void check_replaced(const char *bytes, size_t n, const char *want, uint64_t times)
{
    uint64_t replaced = 0;
    text_block b = block_of(bytes, n);
    assert_int_equal(text_check(&b, LEVEL_WORD, true, &replaced, NULL), STATUS_OK);
    assert_int_equal(b.n, strlen(want));
    assert_memory_equal(b.bytes, want, b.n);
    assert_int_equal(replaced, times);
    free(b.bytes);
}
#define REPLACED(bytes, want, times) check_replaced(bytes, sizeof(bytes) - 1, want, times)
#define R                            "\xef\xbf\xbd"

static void test_replacement(void **state)
{
    (void)state;
    /* The standard's examples of maximal subparts (section 3.9): non-shortest forms, surrogates, other,
     * truncated. */
    REPLACED("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", R R R R R R R R "A", 8);
    REPLACED("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", R R R R R R R R "A", 8);
    REPLACED("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", R R R R R "A" R R "B", 7);
    REPLACED("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A", 4);
    /* The least and greatest second bytes of their leads. */
    REPLACED("\xe0\x9f\x80", R R R, 3);
    REPLACED("\xe0\xa0"
             "A",
             R "A", 1);
    REPLACED("\xed\x9f"
             "A",
             R "A", 1);
    REPLACED("\xf0\x8f\xbf\xbf", R R R R, 4);
    REPLACED("\xf0\x90\x80"
             "A",
             R "A", 1);
    REPLACED("\xf4\x8f\xbf"
             "A",
             R "A", 1);
    REPLACED("\xf4\x90\x80\x80", R R R R, 4);
    /* Between and after good text, and at the end. */
    REPLACED("caf\xc3\xa9 \xff caf\xc3", "caf\xc3\xa9 " R " caf" R, 2);
    REPLACED("nothing to do here at all", "nothing to do here at all", 0);
}

static void check_message(const char *bytes, size_t n, text_level level, const char *want)
{
    uint64_t replaced = 0;
    error e = {0};
    text_block b = block_of(bytes, n);
    b.line = 7;
    b.column = 3;
    status r = text_check(&b, level, false, &replaced, &e);
    free(b.bytes);
    assert_int_equal(r, want != NULL ? STATUS_BAD_DATA : STATUS_OK);
    if (want != NULL && strncmp(e.text, want, strlen(want)) != 0)
        fail_msg("'%s' does not begin with '%s'", e.text, want);
}

static void test_places(void **state)
{
    (void)state;
    check_message("ab\xff", 3, LEVEL_WORD, "t:7:5: byte 0xff");
    check_message("ab\n\n c\xc3(", 8, LEVEL_CHAR, "t:9:3: byte 0xc3");
    check_message("ab\n\0", 4, LEVEL_WORD, "t:8:1: NUL byte");
    check_message("\0\xff\xfe", 3, LEVEL_BYTE, NULL);
    size_t n = TEXT_WORD_MAX + 20;
    char *long_word = malloc(n);
    memset(long_word, 'x', n);
    memcpy(long_word, "a b\n", 4);
    long_word[n - 1] = '\n';
    check_message(long_word, n, LEVEL_WORD, "t:8:1: a word of more than 65536 bytes");
    check_message(long_word, n, LEVEL_CHAR, NULL);
    long_word[4 + TEXT_WORD_MAX + 1] = ' ';
    check_message(long_word, n, LEVEL_WORD, "t:8:1: a word of more than 65536 bytes");
    long_word[4 + TEXT_WORD_MAX] = ' '; /* the longest that is allowed */
    check_message(long_word, n, LEVEL_WORD, NULL);
    free(long_word);
}

static void test_tokens(void **state)
{
    (void)state;
    static const struct {
        text_level level;
        const char *text, *tokens; /* with '|' behind each */
    } rows[] = {
        {LEVEL_WORD, "", ""},
        {LEVEL_WORD, "\n", "<eos>|"},
        {LEVEL_WORD, " the  cat\tsat \n", "the|cat|sat|<eos>|"},
        {LEVEL_WORD, "a\n\n \nb\n", "a|<eos>|<eos>|<eos>|b|<eos>|"},
        {LEVEL_WORD, "a b\r\n\r\nc\r\n", "a|b|<eos>|<eos>|c|<eos>|"},
        {LEVEL_WORD, "a\rb\v\fc\n", "a|b|c|<eos>|"},
        {LEVEL_WORD, "non\u00a0breaking\u3000wide\u2009thin zero\u200bwidth\n",
         "non|breaking|wide|thin|zero\u200bwidth|<eos>|"},
        {LEVEL_WORD, "<unk> N 's <eos>\n", "<unk>|N|'s|<eos>|<eos>|"},
        {LEVEL_WORD, "torn at the end", "torn|at|the|end|"},
        {LEVEL_CHAR, "ab c\n", "a|b| |c|<eos>|"},
        {LEVEL_CHAR, "\u00e9\u20ac\U0001f600e\u0301\n", "\u00e9|\u20ac|\U0001f600|e|\u0301|<eos>|"},
        {LEVEL_CHAR, "a\r\n\r\nb\rc\n", "a|<eos>|<eos>|b|\r|c|<eos>|"},
        {LEVEL_CHAR, "\t\n", "\t|<eos>|"},
        {LEVEL_BYTE, "a\r\n\xc3\xa9\xff", "a|\r|\n|\xc3|\xa9|\xff|"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char got[256] = "";
        size_t n, bytes = strlen(rows[i].text);
        const uint8_t *word;
        text_block b = block_of(rows[i].text, bytes);
        token_reader t = {b.bytes, b.bytes + bytes, rows[i].level};
        while (token_next(&t, &word, &n)) {
            strncat(got, (const char *)word, n);
            strcat(got, "|");
        }
        if (strcmp(got, rows[i].tokens) != 0)
            fail_msg("row %zu: '%s', not '%s'", i, got, rows[i].tokens);
        free(b.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_white_space), cmocka_unit_test(test_validity),
        cmocka_unit_test(test_replacement), cmocka_unit_test(test_places),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
