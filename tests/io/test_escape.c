/* test_escape.c - bytes that may be shown, and names in a column of a table.
 *
 * Identity: whatever the name, escape_print fills exactly |width| columns of a terminal, as the Unicode standard's East
 * Asian Width counts them; the lines below are what a terminal of fixed width shows in one line with `12345678`. */
#include "io/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
        size_t most;
    } list[] = {
        {"plain", "plain", 9},
        {"a\tb\x1b[1m", "a\\x09b\\x1b[1m", 99},
        {"tr\xc3\xa8s", "tr\xc3\xa8s", 4},
        {"\xff", "\\xff", 9},
        {"\xc2\x85", "\\xc2\\x85", 9},
        {"abcdef", "abc...", 3},
        {"\xe2\x80\xa8", "\\xe2\\x80\\xa8", 9},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char *got = escape_text(list[i].text, strlen(list[i].text), list[i].most);
        assert_string_equal(got, list[i].want);
        free(got);
        assert_int_equal(escape_clean(list[i].text, strlen(list[i].text)),
                         strchr(list[i].want, '\\') == NULL);
    }
}

static void test_columns(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int width;
        const char *want;
    } list[] = {
        {"ab", 8, "ab      "},
        {"ab", -8, "      ab"},
        {"", 8, "        "},
        {"tr\xc3\xa8s", 8, "tr\xc3\xa8s    "},    /* one column in two bytes */
        {"tre\xcc\x80s", -8, "    tre\xcc\x80s"}, /* an accent of its own takes none */
        {"\xe6\xad\xa3\xe9\x9d\xa2", 8,
         "\xe6\xad\xa3\xe9\x9d\xa2    "}, /* two Chinese characters: four columns */
        {"12345678", 8, "12345678"},
        {"123456789", 8, "12345..."},
        {"\xe6\xad\xa3\xe9\x9d\xa2\xe6\xad\xa3\xe9\x9d\xa2\xe6\xad\xa3", -8,
         " \xe6\xad\xa3\xe9\x9d\xa2..."}, /* half does not fit */
        {"a\nb", 8, "a\\x0ab  "},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char *got = NULL;
        size_t n;
        FILE *out = open_memstream(&got, &n);
        escape_print(out, list[i].text, strlen(list[i].text), list[i].width);
        fclose(out);
        assert_string_equal(got, list[i].want);
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
