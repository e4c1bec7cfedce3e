#include "io/blocks.h"

#include "io/bug.h"

#include <stdlib.h>
#include <string.h>

struct block_reader {
    const text_list *texts;
    char **labels; /* of parts opened so far */
    size_t part;
    source *source;
    uint64_t consumed; /* bytes on disk of the parts before this one */
    uint8_t *carry;    /* BLOCK_BYTES: read but not handed out */
    size_t carried;
    bool at_end;           /* of the source */
    uint64_t offset;       /* bytes of this part handed out */
    uint64_t line, column; /* of the next byte */
    bool line_has_text;    /* of the unfinished line */
    int split;
    uint64_t cut_at[2]; /* where train and valid end, at the earliest */
};

void text_list_add(text_list *l, source_place place, int split)
{
    text_part *parts = realloc(l->parts, (l->count + 1) * sizeof *parts);
    BUG_IF(parts == NULL, "out of memory for a list of files");
    l->parts = parts;
    l->parts[l->count++] = (text_part){.place = place, .split = split};
}

void text_list_free(text_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        source_place_free(&l->parts[i].place);
    free(l->parts);
    *l = (text_list){0};
}

uint64_t text_list_bytes(const text_list *l)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < l->count; i++)
        bytes += source_file_bytes(&l->parts[i].place);
    return bytes;
}

uint64_t block_consumed(const block_reader *r)
{
    return r->consumed + (r->source != NULL ? source_consumed(r->source) : 0);
}

/* Bytes of the text itself, unpacked: shares are shares of these. */
static status count_bytes(const source_place *place, uint64_t *total, error *e)
{
    source *s = NULL;
    status st = source_open(&s, place, e);
    uint8_t *buffer = malloc(BLOCK_BYTES);
    BUG_IF(buffer == NULL, "out of memory for a block");
    *total = 0;
    for (size_t n = BLOCK_BYTES; st == STATUS_OK && n == BLOCK_BYTES; *total += n)
        st = source_read(s, buffer, BLOCK_BYTES, &n, e);
    free(buffer);
    source_close(s);
    return st;
}

status block_open(block_reader **out, const text_list *texts, error *e)
{
    block_reader *r = calloc(1, sizeof *r);
    BUG_IF(r == NULL, "out of memory for a reader");
    r->texts = texts;
    r->labels = calloc(texts->count, sizeof *r->labels);
    r->carry = malloc(BLOCK_BYTES);
    BUG_IF(r->labels == NULL || r->carry == NULL, "out of memory for a reader");
    if (texts->cut) {
        uint64_t total;
        status s = count_bytes(&texts->parts[0].place, &total, e);
        if (s != STATUS_OK) {
            block_close(r);
            return s;
        }
        r->cut_at[0] = (uint64_t)((double)total * texts->share[0]);
        r->cut_at[1] = (uint64_t)((double)total * (texts->share[0] + texts->share[1]));
    }
    *out = r;
    return STATUS_OK;
}

void block_close(block_reader *r)
{
    if (r == NULL)
        return;
    source_close(r->source);
    for (size_t i = 0; i < r->texts->count; i++)
        free(r->labels[i]);
    free(r->labels);
    free(r->carry);
    free(r);
}

static status open_part(block_reader *r, error *e)
{
    const text_part *part = &r->texts->parts[r->part];
    status s = source_open(&r->source, &part->place, e);
    if (s != STATUS_OK)
        return s;
    r->labels[r->part] = strdup(source_label(r->source));
    BUG_IF(r->labels[r->part] == NULL, "out of memory for a path");
    r->split = part->split;
    r->at_end = false;
    r->carried = 0;
    r->offset = 0;
    r->line = r->column = 1;
    r->line_has_text = false;
    return STATUS_OK;
}

static void close_part(block_reader *r)
{
    source_close(r->source);
    r->source = NULL;
    r->consumed += source_file_bytes(&r->texts->parts[r->part].place);
    r->part++;
}

/* Where the text may be cut inside a line: after the last white space, else where no scalar value is torn. */
static size_t cut_inside_line(const uint8_t *bytes, size_t n)
{
    size_t last = bytes[n - 1] == '\r' ? n - 1 : n; /* "\r\n" stays whole */
    for (size_t i = last; i > 0; i--) {
        size_t space = text_space(bytes + i - 1, bytes + last);
        if (space > 0)
            return i - 1 + space;
    }
    size_t i = last;
    while (i > 0 && last - i < 3 && (bytes[i - 1] & 0xc0) == 0x80)
        i--;
    bool begins = i > 0 && bytes[i - 1] >= 0xc0; /* a lead byte whose tail may follow */
    return begins ? i - 1 : last;
}

/* The end of the split that must not end before `target`: after a line end, or, in a file of one line, after
 * a blank.  0: not in these bytes. */
static size_t cut_of_split(const block_reader *r, const uint8_t *bytes, size_t n, size_t target)
{
    size_t from = target > 0 ? target - 1 : 0;
    const uint8_t *at = memchr(bytes + from, '\n', n - from);
    if (at == NULL && r->line == 1 && memchr(bytes, '\n', n) == NULL)
        at = memchr(bytes + from, ' ', n - from);
    return at != NULL ? (size_t)(at - bytes) + 1 : 0;
}

/* How many of the n bytes go into this block; *next_split when the split ends with it. */
static size_t choose_cut(const block_reader *r, const uint8_t *bytes, size_t n, bool *next_split)
{
    *next_split = false;
    if (r->texts->cut && r->split < 2) {
        uint64_t target = r->cut_at[r->split] > r->offset ? r->cut_at[r->split] - r->offset : 0;
        if (target <= n) {
            size_t cut = cut_of_split(r, bytes, n, (size_t)target);
            *next_split = cut > 0;
            if (cut > 0)
                return cut;
        }
    }
    if (r->at_end)
        return n;
    const uint8_t *nl = memrchr(bytes, '\n', n);
    size_t cut = nl != NULL                      ? (size_t)(nl - bytes) + 1
                 : r->texts->level == LEVEL_BYTE ? n
                                                 : cut_inside_line(bytes, n);
    return cut > 0 ? cut : n;
}

static bool has_text(const uint8_t *at, const uint8_t *end)
{
    for (size_t space; at < end; at += space)
        if ((space = text_space(at, end)) == 0)
            return true;
    return false;
}

/* The text ends here, or its split does: an unfinished line gets its end, or is dropped when nothing stands
 * on it. */
static void finish_line(const block_reader *r, text_block *b)
{
    if (r->texts->level == LEVEL_BYTE || (b->n > 0 && b->bytes[b->n - 1] == '\n'))
        return;
    const uint8_t *nl = memrchr(b->bytes, '\n', b->n);
    size_t start = nl != NULL ? (size_t)(nl - b->bytes) + 1 : 0;
    bool has = has_text(b->bytes + start, b->bytes + b->n) || (nl == NULL && r->line_has_text);
    if (has)
        b->bytes[b->n++] = '\n';
    else
        b->n = start;
}

static void advance(block_reader *r, const text_block *b)
{
    const uint8_t *last = memrchr(b->bytes, '\n', b->n), *end = b->bytes + b->n;
    if (last == NULL) {
        r->column += b->n;
        r->line_has_text = r->line_has_text || has_text(b->bytes, end);
        return;
    }
    for (const uint8_t *at = b->bytes; at <= last;
         at = (const uint8_t *)memchr(at, '\n', (size_t)(end - at)) + 1)
        r->line++;
    r->column = (uint64_t)(end - last);
    r->line_has_text = false; /* inside a text a block with a line end in it ends with one */
}

/* Fills the block's buffer with what was carried over and what the source still gives. */
static status fill(block_reader *r, text_block *b, error *e)
{
    if (b->capacity < BLOCK_BYTES + 1) { /* room for a line end that the text forgot */
        free(b->bytes);
        b->bytes = malloc(BLOCK_BYTES + 1);
        b->capacity = BLOCK_BYTES + 1;
        if (b->bytes == NULL) {
            b->capacity = 0;
            return fail(e, STATUS_NO_MEMORY, "no memory for a block of %zu bytes", BLOCK_BYTES);
        }
    }
    memcpy(b->bytes, r->carry, r->carried);
    size_t got = 0, room = BLOCK_BYTES - r->carried;
    status s = r->at_end ? STATUS_OK : source_read(r->source, b->bytes + r->carried, room, &got, e);
    r->at_end = r->at_end || got < room;
    b->n = r->carried + got;
    if (r->offset == 0 && r->texts->level != LEVEL_BYTE && b->n >= 3 &&
        memcmp(b->bytes, "\xef\xbb\xbf", 3) == 0) {
        memmove(b->bytes, b->bytes + 3, b->n - 3);
        b->n -= 3;
        r->offset = 3;
    }
    return s;
}

status block_next(block_reader *r, text_block *b, bool *more, error *e)
{
    for (*more = true; *more; close_part(r)) {
        if (r->part == r->texts->count) {
            *more = false;
            return STATUS_OK;
        }
        status s = r->source == NULL ? open_part(r, e) : STATUS_OK;
        if (s == STATUS_OK)
            s = fill(r, b, e);
        if (s != STATUS_OK)
            return s;
        if (b->n == 0 && !(r->line_has_text && r->texts->level != LEVEL_BYTE))
            continue;

        bool next_split;
        size_t n = b->n, cut = choose_cut(r, b->bytes, n, &next_split);
        r->carried = n - cut;
        memcpy(r->carry, b->bytes + cut, r->carried);
        b->n = cut;
        b->split = r->split;
        b->label = r->labels[r->part];
        b->line = r->line;
        b->column = r->column;
        r->offset += cut;
        advance(r, b);
        if (next_split || (r->at_end && r->carried == 0)) {
            finish_line(r, b);
            r->line_has_text = false;
        }
        if (next_split)
            do
                r->split++;
            while (r->split < 2 && r->texts->share[r->split] == 0);
        return STATUS_OK;
    }
    return STATUS_OK;
}
