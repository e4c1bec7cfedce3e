/* config_yaml.c - reads one YAML text of the form  section: {key: value}  strictly, from libyaml's events.
 *
 * libyaml knows the syntax; which events may follow each other is said here, and everything else of YAML
 * is refused with its place: anchors, aliases, tags, directives, further documents, lists, deeper maps,
 * null, duplicate sections and keys.
 *
 *   stream -> document -> map of sections -> map of keys -> scalar */
#include "io/bug.h"
#include "io/config_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MOST_BYTES = 1 << 20, MOST_SECTIONS = 32 };

typedef struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; deleted by the next step */
    bool has_event;
    const char *name; /* of the text, for messages */
    config *c;
    error *e;
    size_t *key_line;                    /* per schema key: the line that set it in this text, 0: none */
    const char *sections[MOST_SECTIONS]; /* seen so far, and where */
    size_t section_line[MOST_SECTIONS];
    int section_count;
} reader;

/* "name:line:column" of the current event. */
static char *place(const reader *r)
{
    char *out = NULL;
    text_add(&out, "%s:%zu:%zu", r->name, r->event.start_mark.line + 1, r->event.start_mark.column + 1);
    return out;
}

static status refuse(reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static status refuse(reader *r, const char *format, ...)
{
    char text[sizeof r->e->text], *where = place(r);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    status s = fail(r->e, STATUS_BAD_CONFIG, "%s: %s", where, text);
    free(where);
    return s;
}

/* libyaml's complaint with a place; encoding errors come with a byte offset instead of a line. */
static status refuse_syntax(reader *r, const char *yaml, size_t n)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return fail(r->e, STATUS_NO_MEMORY, "%s: out of memory", r->name);
    size_t line = p->problem_mark.line + 1, column = p->problem_mark.column + 1;
    if (p->error == YAML_READER_ERROR) {
        line = column = 1;
        for (size_t i = 0; i < p->problem_offset && i < n; i++) {
            column = yaml[i] == '\n' ? 1 : column + 1;
            line += yaml[i] == '\n';
        }
    }
    return fail(r->e, STATUS_BAD_CONFIG, "%s:%zu:%zu: not valid YAML in UTF-8: %s%s%s", r->name, line, column,
                p->context ? p->context : "", p->context ? ", " : "",
                p->problem ? p->problem : "unknown error");
}

static status step(reader *r, const char *yaml, size_t n)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = yaml_parser_parse(&r->parser, &r->event) != 0;
    return r->has_event ? STATUS_OK : refuse_syntax(r, yaml, n);
}

/* What no place of a configuration may hold. */
static status check_plainness(reader *r)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (r->event.type) {
    case YAML_ALIAS_EVENT:
        return refuse(r, "aliases are not allowed");
    case YAML_SCALAR_EVENT:
        anchor = r->event.data.scalar.anchor;
        tag = r->event.data.scalar.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = r->event.data.mapping_start.anchor;
        tag = r->event.data.mapping_start.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = r->event.data.sequence_start.anchor;
        tag = r->event.data.sequence_start.tag;
        break;
    default:
        break;
    }
    if (anchor)
        return refuse(r, "anchors are not allowed");
    return tag ? refuse(r, "tags are not allowed") : STATUS_OK;
}

static bool is_scalar(const reader *r)
{
    return r->event.type == YAML_SCALAR_EVENT;
}

static scalar scalar_of(const reader *r)
{
    bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return (scalar){(const char *)r->event.data.scalar.value, r->event.data.scalar.length,
                    plain ? SCALAR_PLAIN : SCALAR_QUOTED};
}

/* A name in a map; NULL after a complaint. */
static const char *name_of(reader *r, const char *what)
{
    if (!is_scalar(r)) {
        refuse(r, "expected the name of a %s, found a %s", what,
               r->event.type == YAML_SEQUENCE_START_EVENT ? "list" : "map");
        return NULL;
    }
    scalar v = scalar_of(r);
    if (v.n == 0 || strlen(v.text) != v.n) {
        refuse(r, "expected the name of a %s, found an empty one or a NUL byte", what);
        return NULL;
    }
    return v.text;
}

static status refuse_unknown(reader *r, const char *section, const char *name)
{
    char *shown = text_shown(name, strlen(name));
    char *hint = section ? nearest_key_hint(section, name) : nearest_section_hint(name);
    status s = section ? refuse(r, "section '%s' has no key '%s'%s", section, shown, hint)
                       : refuse(r, "there is no section '%s'%s", shown, hint);
    free(shown);
    free(hint);
    return s;
}

/* The current event is a key of `section`; reads it and its value. */
static status read_key(reader *r, const char *section, const char *yaml, size_t n)
{
    const char *name = name_of(r, "key");
    if (!name)
        return STATUS_BAD_CONFIG;
    const config_key *key = config_find(section, name);
    if (!key)
        return refuse_unknown(r, section, name);
    size_t *line = &r->key_line[key - config_schema];
    if (*line)
        return refuse(r, "%s.%s was already set in line %zu", section, key->name, *line);
    *line = r->event.start_mark.line + 1;

    status s = step(r, yaml, n);
    if (s != STATUS_OK || (s = check_plainness(r)) != STATUS_OK)
        return s;
    if (!is_scalar(r))
        return refuse(r, "%s.%s takes one value, found a %s", section, key->name,
                      r->event.type == YAML_SEQUENCE_START_EVENT ? "list" : "map");
    char *where = place(r);
    s = value_assign(r->c, key, scalar_of(r), where, r->e);
    free(where);
    return s;
}

/* The schema's own spelling of a section's name, which outlives the event; NULL if there is none. */
static const char *known_section(const char *name)
{
    for (int i = 0; i < config_schema_size; i++)
        if (strcmp(config_schema[i].section, name) == 0)
            return config_schema[i].section;
    return NULL;
}

/* The current event is a section's name; reads it and its keys. */
static status read_section(reader *r, const char *yaml, size_t n)
{
    const char *name = name_of(r, "section");
    if (!name)
        return STATUS_BAD_CONFIG;
    const char *section = known_section(name);
    if (!section)
        return refuse_unknown(r, NULL, name);
    for (int i = 0; i < r->section_count; i++)
        if (r->sections[i] == section)
            return refuse(r, "section '%s' was already begun in line %zu", section, r->section_line[i]);
    BUG_IF(r->section_count == MOST_SECTIONS, "more than %d sections in the schema", MOST_SECTIONS);
    r->section_line[r->section_count] = r->event.start_mark.line + 1;
    r->sections[r->section_count++] = section;

    status s = step(r, yaml, n);
    if (s != STATUS_OK || (s = check_plainness(r)) != STATUS_OK)
        return s;
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return refuse(r, "section '%s' takes keys with values, as {key: value}; found %s", section,
                      is_scalar(r) ? "a single value or nothing" : "a list");
    while ((s = step(r, yaml, n)) == STATUS_OK && r->event.type != YAML_MAPPING_END_EVENT) {
        if ((s = check_plainness(r)) != STATUS_OK || (s = read_key(r, section, yaml, n)) != STATUS_OK)
            break;
    }
    return s;
}

/* The current event is the start of the only document. */
static status read_document(reader *r, const char *yaml, size_t n)
{
    if (r->event.data.document_start.version_directive ||
        r->event.data.document_start.tag_directives.start != r->event.data.document_start.tag_directives.end)
        return refuse(r, "directives are not allowed");
    status s = step(r, yaml, n);
    if (s != STATUS_OK || (s = check_plainness(r)) != STATUS_OK)
        return s;
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return refuse(r, "expected sections, as optim: {lr: 1.0}; found %s",
                      is_scalar(r) ? "a single value or nothing" : "a list");
    while ((s = step(r, yaml, n)) == STATUS_OK && r->event.type != YAML_MAPPING_END_EVENT)
        if ((s = check_plainness(r)) != STATUS_OK || (s = read_section(r, yaml, n)) != STATUS_OK)
            return s;
    return s == STATUS_OK ? step(r, yaml, n) : s; /* the document's end */
}

static status read_stream(reader *r, const char *yaml, size_t n)
{
    status s = step(r, yaml, n); /* the stream's start */
    if (s == STATUS_OK)
        s = step(r, yaml, n);
    if (s != STATUS_OK || r->event.type == YAML_STREAM_END_EVENT)
        return s; /* nothing but comments: every key keeps its value */
    if ((s = read_document(r, yaml, n)) != STATUS_OK || (s = step(r, yaml, n)) != STATUS_OK)
        return s;
    return r->event.type == YAML_STREAM_END_EVENT ? STATUS_OK : refuse(r, "a second document is not allowed");
}

status config_read_text(config *c, const char *yaml, size_t n, const char *where, error *e)
{
    if (n > MOST_BYTES)
        return fail(e, STATUS_BAD_CONFIG, "%s: %zu bytes, a configuration has at most %d", where, n,
                    MOST_BYTES);
    if (n >= 3 && memcmp(yaml, "\xef\xbb\xbf", 3) == 0) { /* libyaml would count the mark as a column */
        yaml += 3;
        n -= 3;
    }
    error ignored = {0};
    reader r = {.name = where, .c = c, .e = e ? e : &ignored};
    r.key_line = calloc((size_t)config_schema_size, sizeof *r.key_line);
    if (!r.key_line || !yaml_parser_initialize(&r.parser)) {
        free(r.key_line);
        return fail(e, STATUS_NO_MEMORY, "%s: out of memory", where);
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)yaml, n);
    status s = read_stream(&r, yaml, n);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    free(r.key_line);
    return s;
}
