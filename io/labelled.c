#include "io/labelled.h"

#include "io/bug.h"
#include "io/escape.h"
#include "io/labelled_lines.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct field {
    const uint8_t *at;
    size_t n;
} field;

struct labelled {
    record_reader records;
    labelled_format format;
    labelled_settings settings;
    field *fields; /* of the record, a table's */
    size_t field_count, field_capacity;
    size_t columns;     /* a table's: what every record must have; 0 before the first one */
    size_t text, label; /* columns, from 0; label SIZE_MAX: there is none */
    bool pending;       /* the record that was read to count the columns is a document */
    json_t *object;     /* the record, of JSON */
    char number[24];    /* a label that is an integer */
    char *place;
};

static bool has_suffix(const char *name, size_t n, const char *suffix)
{
    size_t m = strlen(suffix);
    return n >= m && strncasecmp(name + n - m, suffix, m) == 0;
}

/* A file's name, and its length less what packs it. */
static size_t name_of(const source_place *p, const char **name)
{
    static const char *const packed[] = {".gz", ".bz2", ".xz", ".zst"};
    const char *path = p->member != NULL ? p->member : p->path, *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    const size_t n = strlen(*name);
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
        if (has_suffix(*name, n, packed[i]))
            return n - strlen(packed[i]);
    return n;
}

labelled_format labelled_format_of(const source_place *p)
{
    static const struct {
        const char *suffix;
        labelled_format format;
    } known[] = {{".tsv", LABELLED_TSV},
                 {".csv", LABELLED_CSV},
                 {".jsonl", LABELLED_JSONL},
                 {".ndjson", LABELLED_JSONL}};
    const char *name;
    const size_t n = name_of(p, &name);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (has_suffix(name, n, known[i].suffix))
            return known[i].format;
    return LABELLED_LINES;
}

bool labelled_is_guess(const source_place *p)
{
    const char *name;
    const size_t n = name_of(p, &name);
    return labelled_format_of(p) == LABELLED_LINES && memchr(name, '.', n) != NULL &&
           !has_suffix(name, n, ".txt");
}

status labelled_check_name(const source_place *p, bool table, error *e)
{
    const char *name;
    const size_t n = name_of(p, &name);
    const bool json = has_suffix(name, n, ".json");
    if (!json && (!table || labelled_format_of(p) != LABELLED_LINES))
        return STATUS_OK;
    return fail(e, STATUS_BAD_DATA,
                "%s: labelled documents stand in a .tsv, .csv or .jsonl file (or .gz of it)%s", p->path,
                json ? "; JSON as one object a line" : "");
}

static bool is_table(const labelled *r)
{
    return r->format == LABELLED_TSV || r->format == LABELLED_CSV;
}

static void set_place(labelled *r)
{
    free(r->place);
    BUG_IF(asprintf(&r->place, "%s:%" PRIu64, r->records.record.label, r->records.record.line) < 0,
           "out of memory for a path");
}

static void add_field(labelled *r, const uint8_t *at, size_t n)
{
    if (r->field_count == r->field_capacity) {
        r->field_capacity = 2 * r->field_capacity + 16;
        r->fields = realloc(r->fields, r->field_capacity * sizeof *r->fields);
        BUG_IF(r->fields == NULL, "out of memory for %zu columns", r->field_capacity);
    }
    r->fields[r->field_count++] = (field){at, n};
}

static void split_tsv(labelled *r)
{
    const uint8_t *at = r->records.record.bytes, *end = at + r->records.record.n;
    for (const uint8_t *tab; (tab = memchr(at, '\t', (size_t)(end - at))) != NULL; at = tab + 1)
        add_field(r, at, (size_t)(tab - at));
    add_field(r, at, (size_t)(end - at));
}

/* A quoted field, at its first quote; it is unfolded in place, "" becoming ".  *at is left behind it. */
static status split_quoted(labelled *r, uint8_t **at, const uint8_t *end, error *e)
{
    uint8_t *from = *at + 1, *to = *at;
    const uint8_t *field_at = to;
    for (; from < end; *to++ = *from++)
        if (*from == '"') {
            if (from + 1 == end || from[1] != '"')
                break;
            from++;
        }
    from++; /* the closing quote, which record_next has seen */
    if (from < end && *from != ',')
        return fail(e, STATUS_BAD_DATA,
                    "%s: a field goes on behind its closing quote (a quote inside is written \"\")",
                    r->place);
    add_field(r, field_at, (size_t)(to - field_at));
    *at = from;
    return STATUS_OK;
}

static status split_csv(labelled *r, error *e)
{
    uint8_t *at = r->records.record.bytes;
    const uint8_t *end = at + r->records.record.n;
    for (;; at++) { /* over the comma */
        if (at < end && *at == '"') {
            status s = split_quoted(r, &at, end, e);
            if (s != STATUS_OK)
                return s;
        } else {
            uint8_t *comma = memchr(at, ',', (size_t)(end - at));
            size_t n = (size_t)((comma != NULL ? comma : end) - at);
            if (memchr(at, '"', n) != NULL)
                return fail(
                    e, STATUS_BAD_DATA,
                    "%s: a quote in a field that is not in quotes (such a field is written \"... \"\" ...\")",
                    r->place);
            add_field(r, at, n);
            at += n;
        }
        if (at >= end)
            return STATUS_OK;
    }
}

static status split_record(labelled *r, error *e)
{
    r->field_count = 0;
    if (r->format == LABELLED_CSV)
        return split_csv(r, e);
    split_tsv(r);
    return STATUS_OK;
}

static field trimmed(field f)
{
    for (; f.n > 0 && strchr(" \t\r\n", f.at[0]) != NULL; f.at++)
        f.n--;
    while (f.n > 0 && strchr(" \t\r\n", f.at[f.n - 1]) != NULL)
        f.n--;
    return f;
}

static status no_column(const labelled *r, const char *option, const char *name, error *e)
{
    char list[256] = "";
    for (size_t i = 0; i < r->field_count && strlen(list) + 8 < sizeof list; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%.*s", i > 0 ? ", " : "", (int)r->fields[i].n,
                 (const char *)r->fields[i].at);
    }
    if (r->settings.no_header)
        return fail(e, STATUS_BAD_DATA, "%s: column \"%s\": without a header, %s is a number from 1 to %zu",
                    r->place, name, option, r->field_count);
    return fail(e, STATUS_BAD_DATA, "%s: there is no column \"%s\" (%s) among: %s", r->place, name, option,
                list);
}

static bool is_called(const labelled *r, size_t column, const char *name)
{
    const field f = trimmed(r->fields[column]);
    return f.n == strlen(name) && memcmp(f.at, name, f.n) == 0;
}

static bool has_column(const labelled *r, const char *name)
{
    for (size_t i = 0; !r->settings.no_header && i < r->field_count; i++)
        if (is_called(r, i, name))
            return true;
    return false;
}

/* The column that is called `name`, or has this number. */
static status find_column(const labelled *r, size_t *column, const char *option, const char *name, error *e)
{
    size_t found = 0;
    for (size_t i = 0; !r->settings.no_header && i < r->field_count; i++) {
        if (!is_called(r, i, name))
            continue;
        if (found++ > 0)
            return fail(e, STATUS_BAD_DATA, "%s: columns %zu and %zu are both called \"%s\"", r->place,
                        *column + 1, i + 1, name);
        *column = i;
    }
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    if (found > 0)
        return STATUS_OK;
    if (name[0] < '0' || name[0] > '9' || *end != 0 || number < 1 || number > r->field_count)
        return no_column(r, option, name, e);
    *column = number - 1;
    return STATUS_OK;
}

static const char *column_name(const char *given, const char *usual)
{
    return given != NULL ? given : usual;
}

/* From the first record: how many columns there are, and which are ours. */
static status find_columns(labelled *r, error *e)
{
    bool more;
    const labelled_settings *o = &r->settings;
    status s;
    do /* blank lines in front of a header */
        s = record_next(&r->records, &more, e);
    while (s == STATUS_OK && more && !o->no_header && r->records.record.n == 0);
    if (s != STATUS_OK)
        return s;
    if (!more)
        return fail(e, STATUS_BAD_DATA, "%s: is empty", source_label(r->records.from));
    set_place(r);
    s = split_record(r, e);
    if (s != STATUS_OK)
        return s;
    r->columns = r->field_count;
    r->pending = o->no_header;
    s = find_column(r, &r->text, "--text-column", column_name(o->text, o->no_header ? "1" : "text"), e);
    if (s != STATUS_OK)
        return s;
    const bool optional = o->label == NULL && o->label_optional;
    if (optional && !has_column(r, "label")) {
        r->label = SIZE_MAX;
        return STATUS_OK;
    }
    s = find_column(r, &r->label, "--label-column", column_name(o->label, o->no_header ? "2" : "label"), e);
    if (s == STATUS_OK && r->text == r->label && !optional)
        return fail(e, STATUS_BAD_DATA, "%s: text and label are both column %zu", r->place, r->text + 1);
    return s;
}

status labelled_open(labelled **out, const source_place *place, labelled_format format,
                     const labelled_settings *settings, error *e)
{
    source *from = NULL;
    status s = place != NULL ? source_open(&from, place, e) : source_open_input(&from, e);
    if (s != STATUS_OK)
        return s;
    labelled *r = calloc(1, sizeof *r);
    BUG_IF(r == NULL, "out of memory for a reader");
    r->format = format;
    r->settings = *settings;
    r->label = SIZE_MAX;
    record_reader_init(&r->records, from, format, settings->replace_invalid);
    s = is_table(r) ? find_columns(r, e) : STATUS_OK;
    if (s != STATUS_OK) {
        labelled_close(r);
        return s;
    }
    *out = r;
    return STATUS_OK;
}

static status from_table(labelled *r, labelled_document *d, error *e)
{
    if (r->field_count != r->columns)
        return fail(e, STATUS_BAD_DATA, "%s: has %zu column%s; the first line has %zu", r->place,
                    r->field_count, r->field_count == 1 ? "" : "s", r->columns);
    field text = r->fields[r->text];
    *d = (labelled_document){.text = text.at, .text_bytes = text.n};
    if (r->label != SIZE_MAX) {
        field label = trimmed(r->fields[r->label]);
        d->label = label.n > 0 ? label.at : NULL;
        d->label_bytes = label.n;
    }
    return STATUS_OK;
}

static status json_label(labelled *r, labelled_document *d, const char *key, error *e)
{
    const json_t *value = json_object_get(r->object, key);
    field f = {NULL, 0};
    if (value == NULL && (!r->settings.label_optional || r->settings.label != NULL))
        return fail(e, STATUS_BAD_DATA, "%s: the object has no \"%s\" (null marks an unlabelled document)",
                    r->place, key);
    if (json_is_string(value))
        f = (field){(const uint8_t *)json_string_value(value), json_string_length(value)};
    else if (json_is_integer(value))
        snprintf(r->number, sizeof r->number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        snprintf(r->number, sizeof r->number, "%s", json_is_true(value) ? "true" : "false");
    else if (value != NULL && !json_is_null(value))
        return fail(e, STATUS_BAD_DATA, "%s: \"%s\" is neither a text nor an integer, true, false or null",
                    r->place, key);
    if (json_is_integer(value) || json_is_boolean(value))
        f = (field){(const uint8_t *)r->number, strlen(r->number)};
    f = trimmed(f);
    d->label = f.n > 0 ? f.at : NULL;
    d->label_bytes = f.n;
    return STATUS_OK;
}

static status from_json(labelled *r, labelled_document *d, error *e)
{
    const char *key = r->settings.text != NULL ? r->settings.text : "text";
    json_error_t why;
    json_decref(r->object);
    r->object = json_loadb((const char *)r->records.record.bytes, r->records.record.n,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (r->object == NULL && (json_error_code(&why) == json_error_null_character ||
                              json_error_code(&why) == json_error_null_byte_in_key))
        return fail(
            e, STATUS_BAD_DATA,
            "%s: holds \\u0000, the character NUL (near byte %d), which no text may have; take it out",
            r->place, why.position);
    if (r->object == NULL)
        return fail(e, STATUS_BAD_DATA, "%s: is no JSON: %s (near byte %d)", r->place, why.text,
                    why.position);
    if (!json_is_object(r->object))
        return fail(e, STATUS_BAD_DATA, "%s: is JSON, but no object {\"%s\": ...}", r->place, key);
    const json_t *text = json_object_get(r->object, key);
    if (!json_is_string(text))
        return fail(e, STATUS_BAD_DATA, "%s: the object has %s \"%s\"", r->place,
                    text == NULL ? "no" : "no text under", key);
    *d = (labelled_document){.text = (const uint8_t *)json_string_value(text),
                             .text_bytes = json_string_length(text)};
    return json_label(r, d, r->settings.label != NULL ? r->settings.label : "label", e);
}

/* An empty line that is no document. */
static bool is_filler(const labelled *r)
{
    const text_block *b = &r->records.record;
    if (r->format == LABELLED_LINES || (is_table(r) && r->columns == 1))
        return false;
    return r->format == LABELLED_JSONL ? trimmed((field){b->bytes, b->n}).n == 0 : b->n == 0;
}

status labelled_next(labelled *r, labelled_document *d, bool *more, error *e)
{
    status s = STATUS_OK;
    *more = true;
    if (!r->pending) {
        do
            s = record_next(&r->records, more, e);
        while (s == STATUS_OK && *more && is_filler(r));
        if (s != STATUS_OK || !*more)
            return s;
        set_place(r);
        s = is_table(r) ? split_record(r, e) : STATUS_OK;
    }
    r->pending = false;
    const text_block *b = &r->records.record;
    if (s == STATUS_OK && r->format == LABELLED_LINES)
        *d = (labelled_document){.text = b->bytes, .text_bytes = b->n};
    else if (s == STATUS_OK)
        s = is_table(r) ? from_table(r, d, e) : from_json(r, d, e);
    d->place = r->place;
    return s;
}

bool labelled_has_labels(const labelled *r)
{
    return is_table(r) ? r->label != SIZE_MAX : r->format == LABELLED_JSONL;
}

uint64_t labelled_replaced(const labelled *r)
{
    return r->records.replaced;
}

void labelled_close(labelled *r)
{
    if (r == NULL)
        return;
    record_reader_free(&r->records);
    json_decref(r->object);
    free(r->fields);
    free(r->place);
    free(r);
}
