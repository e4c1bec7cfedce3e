/* record.c - a thin layer over jansson, which keeps insertion order and refuses invalid UTF-8, duplicates
 * and deep nesting. */
#include "io/record_json.h"

#include "io/bug.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct record {
    json_t *object;
    bool nulls; /* in the place of what JSON lacks */
};

/* JSON has no words for these. */
static const struct {
    const char *text;
    double value;
} specials[] = {{"nan", NAN}, {"inf", INFINITY}, {"-inf", -INFINITY}};

static record *wrap(json_t *object)
{
    record *r = malloc(sizeof *r);
    BUG_IF(r == NULL || object == NULL, "no memory for a record");
    *r = (record){.object = object};
    return r;
}

record *record_new(void)
{
    return wrap(json_object());
}

record *record_new_nulls(void)
{
    record *r = record_new();
    r->nulls = true;
    return r;
}

void record_free(record *r)
{
    if (r == NULL)
        return;
    json_decref(r->object);
    free(r);
}

static void put(record *r, const char *key, json_t *value)
{
    BUG_IF(value == NULL || json_object_set_new(r->object, key, value) != 0, "no memory for key '%s'", key);
}

static json_t *from_double(const record *r, double value)
{
    if (isfinite(value))
        return json_real(value);
    if (r->nulls)
        return json_null();
    return json_string(isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}

void record_set_int(record *r, const char *key, int64_t value)
{
    put(r, key, json_integer(value));
}

void record_set_double(record *r, const char *key, double value)
{
    put(r, key, from_double(r, value));
}

void record_set_bool(record *r, const char *key, bool value)
{
    put(r, key, json_boolean(value));
}

/* Each byte that starts no valid sequence becomes U+FFFD, so that what was there can still be recognised. */
static char *repair_utf8(const char *text)
{
    size_t n = strlen(text), used = 0;
    char *out = malloc(3 * n + 1);
    BUG_IF(out == NULL, "no memory for %zu bytes of text", n);
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t scalar;
        utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(n - i), &scalar);
        if (step > 0) {
            memcpy(out + used, text + i, (size_t)step);
            used += (size_t)step;
            i += (size_t)step;
        } else {
            memcpy(out + used, "\xEF\xBF\xBD", 3);
            used += 3;
            i++;
        }
    }
    out[used] = '\0';
    return out;
}

void record_set_text(record *r, const char *key, const char *text)
{
    json_t *value = json_string(text); /* NULL when the bytes are not UTF-8 */
    if (value == NULL) {
        char *repaired = repair_utf8(text);
        value = json_string(repaired);
        free(repaired);
    }
    put(r, key, value);
}

void record_set_doubles(record *r, const char *key, const double *values, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        BUG_IF(json_array_append_new(array, from_double(r, values[i])) != 0, "no memory for key '%s'", key);
    put(r, key, array);
}

bool record_get_int(const record *r, const char *key, int64_t *value)
{
    const json_t *found = json_object_get(r->object, key);
    if (!json_is_integer(found))
        return false;
    *value = json_integer_value(found);
    return true;
}

bool record_number(const json_t *value, double *number)
{
    if (json_is_number(value)) {
        *number = json_number_value(value);
        return true;
    }
    for (size_t i = 0; json_is_string(value) && i < sizeof specials / sizeof specials[0]; i++)
        if (strcmp(json_string_value(value), specials[i].text) == 0) {
            *number = specials[i].value;
            return true;
        }
    return false;
}

bool record_get_double(const record *r, const char *key, double *value)
{
    return record_number(json_object_get(r->object, key), value);
}

bool record_get_bool(const record *r, const char *key, bool *value)
{
    const json_t *found = json_object_get(r->object, key);
    if (!json_is_boolean(found))
        return false;
    *value = json_is_true(found);
    return true;
}

bool record_get_text(const record *r, const char *key, const char **text)
{
    const json_t *found = json_object_get(r->object, key);
    if (!json_is_string(found))
        return false;
    *text = json_string_value(found);
    return true;
}

bool record_get_doubles(const record *r, const char *key, double *values, size_t n)
{
    const json_t *found = json_object_get(r->object, key);
    if (!json_is_array(found) || json_array_size(found) != n)
        return false;
    double number;
    for (size_t i = 0; i < n; i++) /* all before any, so that a failure leaves values alone */
        if (!record_number(json_array_get(found, i), &number))
            return false;
    for (size_t i = 0; i < n; i++)
        record_number(json_array_get(found, i), &values[i]);
    return true;
}

char *record_to_text(const record *r)
{
    char *text = json_dumps(r->object, JSON_REAL_PRECISION(17));
    BUG_IF(text == NULL, "no memory for the text of a record");
    return text;
}

json_t *record_json(const record *r)
{
    return r->object;
}

static bool is_flat(const json_t *value)
{
    if (!json_is_array(value))
        return !json_is_object(value) && !json_is_null(value);
    double number;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!record_number(json_array_get(value, i), &number))
            return false;
    return true;
}

status record_from_json(record **r, json_t *object, const char *where, error *e)
{
    if (!json_is_object(object))
        return fail(e, STATUS_IO_FAILED, "%s: not a JSON object", where);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (!is_flat(value))
            return fail(e, STATUS_IO_FAILED,
                        "%s: '%s' is neither number, text, true, false nor a list of numbers", where, key);
    }
    *r = wrap(json_incref(object));
    return STATUS_OK;
}

status record_parse(record **r, const char *text, size_t length, const char *where, error *e)
{
    json_error_t why;
    json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
    if (object == NULL)
        return fail(e, STATUS_IO_FAILED, "%s: not valid JSON at byte %d: %s", where, why.position, why.text);
    status s = record_from_json(r, object, where, e);
    json_decref(object);
    return s;
}
