/* test_record.c - what goes into a record comes back: in memory, through text, bit for bit. */
#include "io/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static record *through_text(record *r)
{
    char *text = record_to_text(r);
    assert_null(strchr(text, '\n'));
    record *back = NULL;
    error e = {0};
    assert_int_equal(record_parse(&back, text, strlen(text), "test", &e), STATUS_OK);
    free(text);
    record_free(r);
    return back;
}

static void check_double(double value)
{
    record *r = record_new();
    record_set_double(r, "x", value);
    r = through_text(r);
    double back = 0;
    assert_true(record_get_double(r, "x", &back));
    if (isnan(value))
        assert_true(isnan(back)); /* a payload is not kept */
    else
        assert_memory_equal(&back, &value, sizeof value);
    record_free(r);
}

/* Bit patterns from a fixed linear congruence reach every exponent; 17 digits tell all doubles apart. */
static void test_doubles(void **state)
{
    (void)state;
    static const double special[] = {0.0,      -0.0,      1.0,     -1.0,     0.1,     3.0,
                                     1e15,     1e22,      DBL_MAX, -DBL_MAX, DBL_MIN, 5e-324,
                                     INFINITY, -INFINITY, NAN,     1.0 / 3,  1e-310,  123456789012345678.0};
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        check_double(special[i]);
    uint64_t bits = 12345;
    for (int i = 0; i < 5000; i++) {
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        double value;
        memcpy(&value, &bits, sizeof value);
        check_double(value);
    }
}

static void test_types(void **state)
{
    (void)state;
    record *r = record_new();
    record_set_int(r, "min", INT64_MIN);
    record_set_int(r, "max", INT64_MAX);
    record_set_bool(r, "yes", true);
    record_set_bool(r, "no", false);
    record_set_text(r, "text", "a \"quoted\" line\n and \xC3\xA9 \\");
    record_set_text(r, "bytes", "a\xFF\xC3z\xED\xA0\x80");
    record_set_doubles(r, "list", (double[]){0.1, NAN, -INFINITY, 4}, 4);
    record_set_doubles(r, "none", NULL, 0);
    record_set_double(r, "real", 3.0);
    r = through_text(r);

    int64_t i = 7;
    assert_true(record_get_int(r, "min", &i) && i == INT64_MIN);
    assert_true(record_get_int(r, "max", &i) && i == INT64_MAX);
    bool b = false;
    assert_true(record_get_bool(r, "yes", &b) && b);
    assert_true(record_get_bool(r, "no", &b) && !b);
    const char *text;
    assert_true(record_get_text(r, "text", &text));
    assert_string_equal(text, "a \"quoted\" line\n and \xC3\xA9 \\");
    assert_true(record_get_text(r, "bytes", &text)); /* each bad byte is one U+FFFD; a surrogate is bad too */
    assert_string_equal(text, "a\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    double list[4];
    assert_true(record_get_doubles(r, "list", list, 4));
    assert_true(list[0] == 0.1 && isnan(list[1]) && list[2] == -INFINITY && list[3] == 4);
    assert_true(record_get_doubles(r, "none", list, 0));

    /* Another type, another length, a missing key: false, and the value stays. */
    i = 7;
    assert_false(record_get_int(r, "text", &i) || record_get_int(r, "real", &i) ||
                 record_get_int(r, "missing", &i));
    assert_int_equal(i, 7);
    double x = 8;
    assert_false(record_get_double(r, "text", &x) || record_get_double(r, "yes", &x));
    assert_true(x == 8);
    assert_true(record_get_double(r, "max", &x) && x == (double)INT64_MAX);
    list[0] = 9;
    assert_false(record_get_doubles(r, "list", list, 3) || record_get_doubles(r, "real", list, 1));
    assert_true(list[0] == 9);
    assert_false(record_get_text(r, "real", &text) || record_get_bool(r, "min", &b));
    record_free(r);
    record_free(NULL);
}

static void test_nulls(void **state)
{
    (void)state;
    record *r = record_new_nulls();
    record_set_double(r, "x", NAN);
    record_set_double(r, "y", 0.5);
    record_set_text(r, "text", "nan");
    record_set_doubles(r, "list", (double[]){2, NAN, INFINITY}, 3);
    char *text = record_to_text(r);
    assert_string_equal(text, "{\"x\": null, \"y\": 0.5, \"text\": \"nan\", \"list\": [2.0, null, null]}");
    free(text);
    record_free(r);
}

/* Equal content, equal bytes: the order is that of the first setting, whatever is set again. */
static void test_order(void **state)
{
    (void)state;
    record *r = record_new();
    record_set_int(r, "z", 1);
    record_set_int(r, "a", 2);
    record_set_int(r, "z", 3);
    char *text = record_to_text(r);
    assert_string_equal(text, "{\"z\": 3, \"a\": 2}");
    free(text);
    record_free(r);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "3",
                                      "{",
                                      "{\"a\": 1} x",
                                      "{\"a\": 1, \"a\": 2}",
                                      "{\"a\": {}}",
                                      "{\"a\": null}",
                                      "{\"a\": [[1]]}",
                                      "{\"a\": [\"b\"]}",
                                      "{\"a\": 99999999999999999999}",
                                      "{\"a\": 1e400}",
                                      "{\"a\": NaN}",
                                      "{\"a\": \"\xFF\"}",
                                      "{\"a\": \"\\u0000\"}",
                                      "{\"a\": 1,}",
                                      "{'a': 1}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        record *r = NULL;
        error e = {0};
        assert_int_equal(record_parse(&r, bad[i], strlen(bad[i]), "there", &e), STATUS_IO_FAILED);
        assert_null(r);
        assert_non_null(strstr(e.text, "there: "));
    }
    size_t n = 1 << 20; /* nesting so deep that a parser without a bound would run out of stack */
    char *deep = malloc(n);
    memset(deep, '[', n);
    memcpy(deep, "{\"a\":", 5);
    record *r = NULL;
    assert_int_equal(record_parse(&r, deep, n, "there", NULL), STATUS_IO_FAILED);
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_doubles), cmocka_unit_test(test_types),
                                       cmocka_unit_test(test_nulls), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
