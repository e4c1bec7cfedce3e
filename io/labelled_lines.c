#include "io/labelled_lines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 1 << 18 };

void record_reader_init(record_reader *r, source *from, labelled_format format, bool replace_invalid)
{
    *r = (record_reader){.from = from,
                         .quotes = format == LABELLED_CSV,
                         .json = format == LABELLED_JSONL,
                         .replace_invalid = replace_invalid,
                         .line = 1};
}

void record_reader_free(record_reader *r)
{
    source_close(r->from);
    free(r->bytes);
    free(r->record.bytes);
    *r = (record_reader){0};
}

/* Reads on behind bytes[end], after moving what is unread to the front. */
static status refill(record_reader *r, error *e)
{
    if (r->end - r->at > LABELLED_RECORD_MAX)
        return fail(e, STATUS_BAD_DATA, "%s:%" PRIu64 ": a record of more than %zu bytes begins here%s",
                    source_label(r->from), r->line, LABELLED_RECORD_MAX,
                    r->quotes ? " (is a quote not closed?)" : "");
    if (r->at > 0)
        memmove(r->bytes, r->bytes + r->at, r->end - r->at);
    r->end -= r->at;
    r->at = 0;
    if (r->capacity - r->end < READ_BYTES) {
        size_t capacity = 2 * r->capacity + 2 * READ_BYTES;
        uint8_t *bytes = realloc(r->bytes, capacity);
        if (bytes == NULL)
            return fail(e, STATUS_NO_MEMORY, "%s:%" PRIu64 ": no memory for a record of %zu bytes",
                        source_label(r->from), r->line, capacity);
        r->bytes = bytes;
        r->capacity = capacity;
    }
    size_t n;
    status s = source_read(r->from, r->bytes + r->end, READ_BYTES, &n, e);
    r->drained = n < READ_BYTES;
    r->end += n;
    return s;
}

/* Where the reading of a CSV record stands. */
typedef struct quote_state {
    enum { FIELD_START, PLAIN, QUOTED, QUOTE_SEEN } at;
    size_t opened; /* offset in the record of the quote that is open */
} quote_state;

/* The first line end from bytes[at + done] on that ends the record; all of it read: the end. */
static size_t line_end(const record_reader *r, size_t done, quote_state *q)
{
    const uint8_t *bytes = r->bytes + r->at;
    size_t n = r->end - r->at;
    if (!r->quotes) {
        const uint8_t *nl = done < n ? memchr(bytes + done, '\n', n - done) : NULL;
        return nl != NULL ? (size_t)(nl - bytes) : n;
    }
    for (; done < n; done++) {
        uint8_t c = bytes[done];
        if (q->at == QUOTED) {
            q->at = c == '"' ? QUOTE_SEEN : QUOTED;
        } else if (c == '\n') {
            break;
        } else if (c == '"' && q->at != PLAIN) {
            if (q->at == FIELD_START)
                q->opened = done;
            q->at = QUOTED; /* after QUOTE_SEEN: the second half of "" */
        } else {
            q->at = c == ',' ? FIELD_START : PLAIN;
        }
    }
    return done;
}

static uint64_t line_ends(const uint8_t *at, size_t n)
{
    uint64_t lines = 0;
    for (const uint8_t *end = at + n, *nl; (nl = memchr(at, '\n', (size_t)(end - at))) != NULL; at = nl + 1)
        lines++;
    return lines;
}

/* Copies n bytes at r->at into the record and sees that they are text. */
static status take(record_reader *r, size_t n, error *e)
{
    text_block *b = &r->record;
    const uint8_t *from = r->bytes + r->at;
    if (b->capacity < n + 1) {
        uint8_t *bytes = realloc(b->bytes, 2 * n + 64);
        if (bytes == NULL)
            return fail(e, STATUS_NO_MEMORY, "%s:%" PRIu64 ": no memory for a record of %zu bytes",
                        source_label(r->from), r->line, n);
        b->bytes = bytes;
        b->capacity = 2 * n + 64;
    }
    memcpy(b->bytes, from, n);
    b->n = n;
    b->label = source_label(r->from);
    b->line = r->line;
    b->column = 1;
    b->n -= b->n > 0 && b->bytes[b->n - 1] == '\r';
    return text_check(b, LEVEL_CHAR, r->replace_invalid, &r->replaced, e);
}

/* Of a whole input without a single LF: old Macs ended lines with CR alone, and all of such a file would be one line.
 * A single CR may be anything, one between quotes is the field's. */
static bool ends_lines_with_cr(const record_reader *r, size_t n)
{
    const uint8_t *bytes = r->bytes + r->at;
    int seen = 0;
    bool quoted = false;
    if (r->json || r->line > 1 || line_ends(bytes, n) > 0)
        return false;
    for (size_t i = 0; i < n && seen < 2; i++) {
        quoted ^= r->quotes && bytes[i] == '"';
        seen += bytes[i] == '\r' && !quoted;
    }
    return seen == 2;
}

static status skip_mark(record_reader *r, error *e)
{
    status s = refill(r, e);
    if (s == STATUS_OK && r->end >= 3 && memcmp(r->bytes, "\xef\xbb\xbf", 3) == 0)
        r->at = 3;
    return s;
}

status record_next(record_reader *r, bool *more, error *e)
{
    status s = r->bytes == NULL ? skip_mark(r, e) : STATUS_OK;
    quote_state q = {FIELD_START, 0};
    size_t n = 0;
    while (s == STATUS_OK) {
        n = line_end(r, n, &q);
        if (n < r->end - r->at || r->drained)
            break;
        s = refill(r, e);
    }
    if (s != STATUS_OK)
        return s;
    *more = n > 0 || r->at < r->end;
    if (!*more)
        return STATUS_OK;
    bool ended = n < r->end - r->at;
    if (!ended && q.at == QUOTED)
        return fail(e, STATUS_BAD_DATA, "%s:%" PRIu64 ": the quote that opens here is never closed",
                    source_label(r->from), r->line + line_ends(r->bytes + r->at, q.opened));
    if (!ended && ends_lines_with_cr(r, n))
        return fail(
            e, STATUS_BAD_DATA,
            "%s:1: has no line end but CR, as files of old Macs; lines end with LF or CRLF (tr '\\r' '\\n' "
            "converts it)",
            source_label(r->from));
    s = take(r, n, e);
    r->line += line_ends(r->bytes + r->at, n) + ended;
    r->at += n + ended;
    return s;
}
