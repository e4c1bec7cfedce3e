/* values.c - see values.h. */
#include "tests/config/values.h"

#include "io/bug.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

uint64_t values_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state)
{
    return (double)(values_random(state) >> 11) * 0x1p-53;
}

static char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text_of(const char *format, ...)
{
    char *out = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&out, format, args);
    va_end(args);
    BUG_IF(n < 0, "out of memory");
    return out;
}

static char *valid_int(const config_key *key, uint64_t *state)
{
    int64_t low = (int64_t)key->min, high = key->max >= 0x1p63 ? INT64_MAX : (int64_t)key->max;
    switch (values_random(state) % 4) {
    case 0:
        return text_of("%" PRId64, low);
    case 1:
        return text_of("%" PRId64, high);
    case 2:
        return text_of("%" PRId64, low + (int64_t)(values_random(state) % 8) % (high - low));
    default:
        return text_of("%" PRId64, low + (int64_t)(values_random(state) % (uint64_t)(high - low)));
    }
}

/* Bounds, uniform, and doubles whose exponent is anything; printed with all their digits. */
static char *valid_real(const config_key *key, uint64_t *state)
{
    double x = key->min;
    uint64_t kind = values_random(state) % 4;
    if (kind == 0 && !key->below_max)
        x = key->max;
    if (kind == 1 || (kind == 0 && key->below_max))
        x = key->min + uniform(state) * (key->max - key->min);
    if (kind >= 2)
        x = ldexp(1 + uniform(state), -(int)(values_random(state) % 1070));
    if (x < key->min || x > key->max || (key->above_min && x == key->min) ||
        (key->below_max && x == key->max))
        x = 0.5 * (key->min + key->max);
    return text_of("%.17g", x);
}

static char *valid_text(uint64_t *state)
{
    static const char *const pieces[] = {"a",
                                         "Z",
                                         "9",
                                         " ",
                                         ":",
                                         ": ",
                                         " #",
                                         "#",
                                         "\"",
                                         "'",
                                         "\\",
                                         "{",
                                         "}",
                                         "[",
                                         "]",
                                         ",",
                                         "&a",
                                         "*b",
                                         "!c",
                                         "|",
                                         ">",
                                         "%",
                                         "@",
                                         "`",
                                         "-",
                                         "- ",
                                         "?",
                                         "null",
                                         "~",
                                         "true",
                                         "1e3",
                                         "\xc3\xa4",
                                         "\xe2\x82\xac",
                                         "\xf0\x9f\x90\x98",
                                         "\xef\xbb\xbf",
                                         "\xef\xbf\xbf",
                                         "\xc2\xa0",
                                         "e\xcc\x81"};
    char out[128] = "x";
    int n = (int)(values_random(state) % 12);
    while (n-- > 0)
        strcat(out, pieces[values_random(state) % (sizeof pieces / sizeof *pieces)]);
    bool bare = values_random(state) % 2 && out[1];
    return text_of("%s", out + (bare ? 1 : 0));
}

static char *valid_choice(const config_key *key, uint64_t *state)
{
    int count = 1;
    for (const char *p = key->choices; *p; p++)
        count += *p == '|';
    const char *at = key->choices;
    for (int i = (int)(values_random(state) % (unsigned)count); i > 0; i--)
        at = strchr(at, '|') + 1;
    return text_of("%.*s", (int)strcspn(at, "|"), at);
}

char *values_valid(const config_key *key, uint64_t *state)
{
    if (key->fallback && strcmp(key->fallback, "auto") == 0 && values_random(state) % 8 == 0)
        return text_of("auto");
    switch (key->type) {
    case KEY_INT:
        return valid_int(key, state);
    case KEY_REAL:
        return valid_real(key, state);
    case KEY_BOOL:
        return text_of("%s", values_random(state) % 2 ? "true" : "false");
    case KEY_TEXT:
        return valid_text(state);
    case KEY_CHOICE:
        return valid_choice(key, state);
    }
    return NULL;
}

/* Refused by every key. */
static const char *const bad_anywhere[] = {
    "",
    "~",
    "null",
    "Null",
    "NULL",
    "[1]",
    "[]",
    "{a: 1}",
    "{}",
    "&here 1",
    "*here",
    "!!int 1",
    "!x 1",
    "! 1",
    "\"a\\0b\"",
    "\"tab\\there\"",
    "\"line\\nbreak\"",
    "\"\\e[31m\"",
    "\"\\u0085\"",
    "\"\\u2028\"",
    "\"\\x7f\"",
};
/* Refused by numbers, and by booleans and choices for want of such a name. */
static const char *const bad_number[] = {
    "\"1\"",
    "'1'",
    "x",
    "yes",
    "no",
    "on",
    "1_000",
    "0x10",
    "0o17",
    "0b1",
    "1,5",
    "--1",
    "1 2",
    ".",
    "e5",
    "1e",
    "nan",
    ".nan",
    "inf",
    ".inf",
    "-.inf",
    "1e999",
    "-1e999",
    "True",
    "FALSE",
    "1:30",
    "1f",
    "+-1",
    "1e5.5",
    "-9223372036854775809",
    "99999999999999999999",
    "2024-01-01",
    "\"\xef\xbc\x91\"",
};
static const char *const bad_int[] = {
    "1.0", "1e0", "010", "+1", "-0x1", "1.", "00", "9223372036854775808", "-1", "-9223372036854775808"};
static const char *const bad_bool[] = {"0",        "1",       "TRUE", "False", "t",
                                       "\"true\"", "'false'", "off",  "tru",   "true false"};
static const char *const bad_choice[] = {"0", "1", "LSTM", "none", "lstm|gru", "\"\"", "sgd,adam", "true"};

#define PICK(list)                                    \
    do {                                              \
        if (n < (int)(sizeof(list) / sizeof *(list))) \
            return (list)[n];                         \
        n -= (int)(sizeof(list) / sizeof *(list));    \
    } while (0)

const char *values_bad(const config_key *key, int n)
{
    PICK(bad_anywhere);
    if (key->type == KEY_TEXT && !key->may_be_empty) {
        static const char *const empty[] = {"\"\"", "''"};
        PICK(empty);
    }
    if (key->type == KEY_TEXT)
        return NULL;
    PICK(bad_number);
    if (key->type == KEY_INT)
        PICK(bad_int);
    if (key->type == KEY_REAL) {
        static const char *const bad_real[] = {"1e-999", "-1e300", "1e300", "- 1"};
        PICK(bad_real);
    }
    if (key->type == KEY_BOOL)
        PICK(bad_bool);
    if (key->type == KEY_CHOICE)
        PICK(bad_choice);
    return NULL;
}

char *values_quoted(const char *text)
{
    char *out = malloc(4 * strlen(text) + 8), *p = out;
    BUG_IF(!out, "out of memory");
    *p++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *p++ = '\\';
        if (strncmp(text, "\xef\xbb\xbf", 3) == 0 || strncmp(text, "\xef\xbf\xbf", 3) == 0) {
            p += sprintf(p, "\\u%s", text[1] == '\xbb' ? "FEFF" : "FFFF");
            text += 2;
            continue;
        }
        *p++ = *text;
    }
    strcpy(p, "\"");
    return out;
}

char *values_yaml(const config_key *key, const char *value)
{
    return text_of("%s:\n  %s: %s\n", key->section, key->name, value);
}
