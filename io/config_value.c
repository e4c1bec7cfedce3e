/* config_value.c - one value of the configuration: text into its member and back, ranges, defaults.
 *
 * Numbers have one strict form each: whole numbers are -?(0|[1-9][0-9]*), so that 010 is neither 8 nor 10;
 * reals are a decimal with an optional exponent.  nan, inf, hexadecimal, 1_000 and 1e400 are refused. */
#include "io/bug.h"
#include "io/config_internal.h"
#include "io/escape.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *member(const config *c, const config_key *key)
{
    return (char *)(uintptr_t)c + key->offset;
}

void text_add(char **text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *more = NULL;
    int n = vasprintf(&more, format, args);
    va_end(args);
    BUG_IF(n < 0, "out of memory");
    size_t have = *text ? strlen(*text) : 0;
    *text = realloc(*text, have + (size_t)n + 1);
    BUG_IF(!*text, "out of memory");
    memcpy(*text + have, more, (size_t)n + 1);
    free(more);
}

char *text_shown(const char *text, size_t n)
{
    char *shown = escape_text(text, n, 60);
    BUG_IF(!shown, "out of memory");
    return shown;
}

const char *value_choice(const config_key *key, int i, size_t *n)
{
    const char *at = key->choices;
    for (; i > 0 && at; i--) {
        at = strchr(at, '|');
        at = at ? at + 1 : NULL;
    }
    if (at)
        *n = strcspn(at, "|");
    return at;
}

/* The shortest text that strtod reads back as the same double, without an exponent up to 10^15: 600 and
 * not 6e+02. */
static void real_text(double x, char text[32])
{
    int digits = 1;
    for (; digits < 17; digits++) {
        snprintf(text, 32, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    int whole = 1;
    for (double top = 10; whole < 15 && fabs(x) >= top; top *= 10)
        whole++;
    snprintf(text, 32, "%.*g", fabs(x) < 1e15 && whole > digits ? whole : digits, x);
}

static void int_bound_text(double x, char text[32])
{
    if (x >= 0x1p63)
        snprintf(text, 32, "%lld", (long long)INT64_MAX);
    else
        snprintf(text, 32, "%lld", (long long)x);
}

static bool automatic(const config_key *key)
{
    return key->fallback && strcmp(key->fallback, "auto") == 0;
}

char *value_domain(const config_key *key)
{
    char *out = NULL, low[32], high[32];
    const char *choice;
    size_t n;
    switch (key->type) {
    case KEY_INT:
        int_bound_text(key->min, low);
        int_bound_text(key->max, high);
        text_add(&out, "a whole number from %s to %s", low, high);
        break;
    case KEY_REAL:
        real_text(key->min, low);
        real_text(key->max, high);
        text_add(&out, "a number %s %s %s %s", key->above_min ? "above" : "from", low,
                 key->below_max ? "to below" : "to", high);
        break;
    case KEY_BOOL:
        text_add(&out, "true or false");
        break;
    case KEY_TEXT:
        text_add(&out, "a text%s", key->may_be_empty ? "" : " that is not empty");
        break;
    case KEY_CHOICE:
        for (int i = 0; (choice = value_choice(key, i, &n)) != NULL; i++)
            text_add(&out, "%s%.*s", i ? ", " : "one of ", (int)n, choice);
        break;
    }
    if (*key->unit)
        text_add(&out, " (%s)", key->unit);
    if (automatic(key))
        text_add(&out, " or auto");
    return out;
}

/* key, "must be", domain, "found ..." */
static status refuse(const config_key *key, scalar v, const char *where, const char *why, error *e)
{
    char *domain = value_domain(key), *shown = text_shown(v.text, v.n);
    status s = fail(e, STATUS_BAD_CONFIG, "%s: %s.%s must be %s, found %s%s%s%s", where, key->section,
                    key->name, domain, v.style == SCALAR_QUOTED ? "the quoted text '" : "'", shown, "'", why);
    free(domain);
    free(shown);
    return s;
}

static status refuse_choice(const config_key *key, scalar v, const char *where, error *e)
{
    enum { MOST = 16 };
    char *names[MOST];
    int count = 0;
    size_t n;
    for (const char *name; count < MOST && (name = value_choice(key, count, &n)) != NULL; count++) {
        names[count] = strndup(name, n);
        BUG_IF(!names[count], "out of memory");
    }
    char *hint = nearest_hint(v.text, (const char *const *)names, count);
    status s = refuse(key, v, where, strncmp(hint, "; did", 5) == 0 ? hint : "", e);
    free(hint);
    while (count > 0)
        free(names[--count]);
    return s;
}

static bool is_whole(const char *t)
{
    t += *t == '-';
    if (*t == '0')
        return t[1] == '\0';
    return *t != '\0' && t[strspn(t, "0123456789")] == '\0';
}

static bool is_real(const char *t)
{
    t += *t == '-' || *t == '+';
    size_t before = strspn(t, "0123456789"), after = 0;
    t += before;
    if (*t == '.') {
        after = strspn(t + 1, "0123456789");
        t += 1 + after;
    }
    if (before + after == 0)
        return false;
    if (*t == 'e' || *t == 'E') {
        t++;
        t += *t == '-' || *t == '+';
        size_t digits = strspn(t, "0123456789");
        if (digits == 0)
            return false;
        t += digits;
    }
    return *t == '\0';
}

static status assign_int(config *c, const config_key *key, scalar v, const char *where, error *e)
{
    if (!is_whole(v.text))
        return refuse(key, v, where, "", e);
    errno = 0;
    long long x = strtoll(v.text, NULL, 10);
    if (errno == ERANGE || (double)x < key->min || (double)x > key->max)
        return refuse(key, v, where, ", which is out of range", e);
    *(int64_t *)member(c, key) = x;
    return STATUS_OK;
}

static status assign_real(config *c, const config_key *key, scalar v, const char *where, error *e)
{
    if (!is_real(v.text))
        return refuse(key, v, where, "", e);
    double x = strtod(v.text, NULL);
    size_t mantissa = strcspn(v.text, "eE");
    bool is_zero = strspn(v.text, "+-.0") >= mantissa;
    if (!isfinite(x) || (x == 0 && !is_zero))
        return refuse(key, v, where, ", which no double can hold", e);
    if (x < key->min || x > key->max || (key->above_min && x == key->min) ||
        (key->below_max && x == key->max))
        return refuse(key, v, where, ", which is out of range", e);
    *(double *)member(c, key) = x + 0.0; /* -0 becomes 0, so that equal values have equal texts */
    return STATUS_OK;
}

static status assign_text(config *c, const config_key *key, scalar v, const char *where, error *e)
{
    if (v.n == 0 && !key->may_be_empty)
        return refuse(key, v, where, "", e);
    if (!escape_clean(v.text, v.n))
        return refuse(key, v, where, ", which holds control characters or is not UTF-8", e);
    char *copy = strdup(v.text);
    BUG_IF(!copy, "out of memory");
    char **text = member(c, key);
    free(*text);
    *text = copy;
    return STATUS_OK;
}

static status assign_choice(config *c, const config_key *key, scalar v, const char *where, error *e)
{
    size_t n;
    const char *name;
    for (int i = 0; (name = value_choice(key, i, &n)) != NULL; i++)
        if (n == v.n && memcmp(name, v.text, n) == 0) {
            *(int *)member(c, key) = i;
            return STATUS_OK;
        }
    return refuse_choice(key, v, where, e);
}

static void assign_auto(config *c, const config_key *key)
{
    if (key->type == KEY_INT)
        *(int64_t *)member(c, key) = 0;
    else
        *(double *)member(c, key) = NAN;
}

static status assign_typed(config *c, const config_key *key, scalar v, const char *where, error *e)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (v.style == SCALAR_PLAIN)
        for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
            if (strcmp(v.text, nulls[i]) == 0)
                return refuse(key, v, where, ", which is null: give a value or leave the key out", e);
    if (key->type == KEY_TEXT)
        return assign_text(c, key, v, where, e);
    if (key->type == KEY_CHOICE)
        return assign_choice(c, key, v, where, e);
    if (v.style == SCALAR_QUOTED)
        return refuse(key, v, where, "", e);
    if (automatic(key) && strcmp(v.text, "auto") == 0) {
        assign_auto(c, key);
        return STATUS_OK;
    }
    if (key->type == KEY_INT)
        return assign_int(c, key, v, where, e);
    if (key->type == KEY_REAL)
        return assign_real(c, key, v, where, e);
    bool is_true = strcmp(v.text, "true") == 0;
    if (!is_true && strcmp(v.text, "false") != 0)
        return refuse(key, v, where, "", e);
    *(bool *)member(c, key) = is_true;
    return STATUS_OK;
}

status value_assign(config *c, const config_key *key, scalar v, const char *where, error *e)
{
    status s = assign_typed(c, key, v, where, e);
    if (s != STATUS_OK)
        return s;
    char **origin = &c->origin[key - config_schema];
    free(*origin);
    *origin = strdup(where);
    BUG_IF(!*origin, "out of memory");
    return STATUS_OK;
}

void value_default(config *c, const config_key *key)
{
    if (!key->fallback)
        return; /* required: stays NULL until it is given */
    if (automatic(key)) {
        assign_auto(c, key);
        return;
    }
    error e = {0};
    scalar v = {key->fallback, strlen(key->fallback), SCALAR_LITERAL};
    status s = assign_typed(c, key, v, "schema.c", &e);
    BUG_IF(s != STATUS_OK, "%s", e.text);
}

const char *value_origin(const config *c, const config_key *key)
{
    const char *where = c->origin ? c->origin[key - config_schema] : NULL;
    return where ? where : "default";
}

char *config_value_text(const config *c, const config_key *key)
{
    char *out = NULL, real[32];
    const void *m = member(c, key);
    size_t n = 0;
    const char *choice;
    switch (key->type) {
    case KEY_INT:
        if (automatic(key) && *(const int64_t *)m == 0)
            text_add(&out, "auto");
        else
            text_add(&out, "%lld", (long long)*(const int64_t *)m);
        break;
    case KEY_REAL:
        if (isnan(*(const double *)m)) {
            text_add(&out, "auto");
        } else {
            real_text(*(const double *)m, real);
            text_add(&out, "%s", real);
        }
        break;
    case KEY_BOOL:
        text_add(&out, "%s", *(const bool *)m ? "true" : "false");
        break;
    case KEY_TEXT:
        text_add(&out, "%s", *(char *const *)m ? *(char *const *)m : "");
        break;
    case KEY_CHOICE:
        choice = value_choice(key, *(const int *)m, &n);
        BUG_IF(!choice, "%s.%s has no choice %d", key->section, key->name, *(const int *)m);
        text_add(&out, "%.*s", (int)n, choice);
        break;
    }
    return out;
}
