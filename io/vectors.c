#include "io/vectors.h"

#include "io/bug.h"
#include "io/escape.h"
#include "io/source.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- lines ---- */

/* A window on the stream that is moved on when no whole line is left in it. */
typedef struct lines {
    source *from;
    char *bytes; /* VECTORS_LINE_MAX, and a NUL at `end` where a number must stop */
    size_t at, end;
    bool ended;
    uint64_t number; /* of the line that was given last, from 1 */
} lines;

static status refill(lines *r, error *e)
{
    size_t n, kept = r->end - r->at;
    memmove(r->bytes, r->bytes + r->at, kept);
    status s = source_read(r->from, r->bytes + kept, VECTORS_LINE_MAX - kept, &n, e);
    if (s != STATUS_OK)
        return s;
    r->at = 0;
    r->end = kept + n;
    r->ended = r->end < VECTORS_LINE_MAX;
    r->bytes[r->end] = '\0';
    return STATUS_OK;
}

/* The next line [*line, *end) without its end; *line is NULL behind the last one. */
static status next_line(lines *r, const char **line, const char **end, error *e)
{
    const char *stop;
    r->number++;
    while ((stop = memchr(r->bytes + r->at, '\n', r->end - r->at)) == NULL && !r->ended) {
        if (r->end - r->at == VECTORS_LINE_MAX)
            return fail(e, STATUS_BAD_DATA,
                        "%s:%" PRIu64 ": a line of %zu bytes or more; is it word vectors?",
                        source_label(r->from), r->number, VECTORS_LINE_MAX);
        status s = refill(r, e);
        if (s != STATUS_OK)
            return s;
    }
    if (stop == NULL && r->at == r->end) {
        *line = NULL;
        return STATUS_OK;
    }
    *line = r->bytes + r->at;
    *end = stop != NULL ? stop : r->bytes + r->end;
    r->at = (size_t)(*end - r->bytes) + (stop != NULL);
    return STATUS_OK;
}

/* ---- fields ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* A decimal number: what strtod takes, less "nan", "inf" and hexadecimal. */
static bool is_number(const char *at, const char *end)
{
    if (at < end && (*at == '+' || *at == '-'))
        at++;
    const char *whole = at;
    at = skip_digits(at, end);
    bool digits = at > whole;
    if (at < end && *at == '.') {
        const char *part = at + 1;
        at = skip_digits(part, end);
        digits = digits || at > part;
    }
    if (digits && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        const char *exponent = at;
        at = skip_digits(at, end);
        digits = at > exponent;
    }
    return digits && at == end;
}

static const char *without_blanks(const char *line, const char *end)
{
    while (end > line && is_blank(end[-1]))
        end--;
    return end;
}

static const char *field_start(const char *line, const char *end)
{
    while (end > line && !is_blank(end[-1]))
        end--;
    return end;
}

/* A line taken apart: the word, and the numbers at the end.  The first field is never a number, so that
 * "1984 0.1 0.2" is a word with two. */
typedef struct entry {
    const char *word, *word_end, *numbers;
    uint64_t count;
} entry;

static entry split(const char *line, const char *end)
{
    entry x = {.word = line, .numbers = end};
    end = without_blanks(line, end);
    for (const char *at; (at = field_start(line, end)) > line && is_number(at, end); x.count++) {
        x.numbers = at;
        end = without_blanks(line, at);
    }
    x.word_end = end;
    return x;
}

/* ---- the file ---- */

typedef struct job {
    lines in;
    const vocabulary *v;
    int E;
    float *table;
    bool *found;
    vectors_report *report;
    uint64_t announced; /* words, by the header; 0: there is none */
    locale_t c_locale;
} job;

static status bad_line(const job *j, const char *what, error *e)
{
    return fail(e, STATUS_BAD_DATA, "%s:%" PRIu64 ": %s", source_label(j->in.from), j->in.number, what);
}

/* Says how many numbers there are, and what stands where one more is wanted. */
static status wrong_count(const job *j, const entry *x, error *e)
{
    const char *last = field_start(x->word, x->word_end);
    char *shown = escape_text(last, (size_t)(x->word_end - last), 40);
    BUG_IF(shown == NULL, "out of memory for a word");
    status s =
        fail(e, STATUS_BAD_DATA,
             "%s:%" PRIu64 ": %" PRIu64 " number%s at its end, behind \"%s\"; vectors of %d are wanted%s",
             source_label(j->in.from), j->in.number, x->count, x->count == 1 ? "" : "s", shown, j->E,
             j->in.number == 1 ? " (or a header: two whole numbers, words and dimension)" : "");
    free(shown);
    return s;
}

/* Converts the numbers of a line into a row. */
static status take_row(const job *j, const entry *x, float *row, error *e)
{
    char *at = (char *)(uintptr_t)x->numbers; /* strtof's end is not const, and nothing is written */
    for (int k = 0; k < j->E; k++) {
        float value = strtof_l(at, &at, j->c_locale);
        if (!isfinite(value))
            return bad_line(j, "a number that is too large for a float", e);
        row[k] = fabsf(value) < FLT_MIN ? copysignf(0.0F, value) : value;
    }
    return STATUS_OK;
}

static status take_line(job *j, const char *line, const char *end, error *e)
{
    const entry x = split(line, end);
    if (x.word_end == line)
        return bad_line(j, x.count == 0 ? "an empty line" : "no word in front of the numbers", e);
    if (x.count != (uint64_t)j->E)
        return wrong_count(j, &x, e);
    j->report->words++;
    int64_t id = vocabulary_find(j->v, x.word, (size_t)(x.word_end - x.word));
    if (id < 0)
        return STATUS_OK;
    if (j->found[id]) {
        j->report->duplicates++;
        return STATUS_OK;
    }
    j->found[id] = true;
    j->report->found++;
    return take_row(j, &x, j->table + (size_t)id * (size_t)j->E, e);
}

/* Two whole numbers and nothing else. */
static bool is_header(const char *line, const char *end)
{
    const char *middle = skip_digits(line, end), *second = middle;
    while (second < end && is_blank(*second))
        second++;
    end = without_blanks(line, end);
    return middle > line && second > middle && second < end && skip_digits(second, end) == end;
}

static status take_header(job *j, const char *line, error *e)
{
    char *at = (char *)(uintptr_t)line;
    errno = 0;
    j->announced = strtoull(at, &at, 10);
    uint64_t dimension = strtoull(at, NULL, 10);
    if (errno != 0)
        return bad_line(j, "a header with a number of more than 64 bits", e);
    if (dimension == (uint64_t)j->E && j->announced > 0)
        return STATUS_OK;
    return fail(e, STATUS_BAD_DATA,
                "%s:1: the header announces %" PRIu64 " words with vectors of %" PRIu64
                " numbers; one word or more with vectors of %d are wanted",
                source_label(j->in.from), j->announced, dimension, j->E);
}

static status read_lines(job *j, error *e)
{
    const char *line = NULL, *end = NULL;
    status s;
    while ((s = next_line(&j->in, &line, &end, e)) == STATUS_OK && line != NULL) {
        if (end > line && end[-1] == '\r')
            end--;
        if (j->in.number == 1 && end - line >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
            line += 3;
        s = j->in.number == 1 && is_header(line, end) ? take_header(j, line, e) : take_line(j, line, end, e);
        if (s != STATUS_OK)
            return s;
    }
    if (s != STATUS_OK)
        return s;
    const char *label = source_label(j->in.from);
    if (j->announced > 0 && j->report->words != j->announced)
        return fail(e, STATUS_BAD_DATA, "%s:1: the header announces %" PRIu64 " words, the file has %" PRIu64,
                    label, j->announced, j->report->words);
    return j->report->words > 0 ? STATUS_OK : fail(e, STATUS_BAD_DATA, "%s: holds no word vector", label);
}

static status open_source(source **s, const char *path, error *e)
{
    source_place place = {0};
    status r = source_piped(&place, path) ? STATUS_OK : source_single(&place, path, e);
    if (r == STATUS_OK)
        r = source_open(s, &place, e);
    source_place_free(&place);
    return r;
}

status vectors_read(const char *path, const vocabulary *v, int E, float *table, bool *found,
                    vectors_report *report, error *e)
{
    job j = {.v = v, .E = E, .table = table, .found = found, .report = report};
    *report = (vectors_report){0};
    memset(found, 0, v->size * sizeof *found);
    status s = open_source(&j.in.from, path, e);
    if (s != STATUS_OK)
        return s;
    j.in.bytes = malloc(VECTORS_LINE_MAX + 1);
    j.c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (j.in.bytes == NULL || j.c_locale == (locale_t)0)
        s = fail(e, STATUS_NO_MEMORY, "%s: no memory for reading it", path);
    else
        s = read_lines(&j, e);
    if (j.c_locale != (locale_t)0)
        freelocale(j.c_locale);
    free(j.in.bytes);
    source_close(j.in.from);
    return s;
}
