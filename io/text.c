#include "io/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

const char *const text_level_names[3] = {"word", "char", "byte"};

size_t text_space(const uint8_t *at, const uint8_t *end)
{
    if ((*at >= 0x1c && *at <= ' ') || (*at >= '\t' && *at <= '\r'))
        return 1;
    if (*at < 0xc2) /* the rest of ASCII; continuation bytes begin nothing */
        return 0;
    size_t left = (size_t)(end - at);
    if (*at == 0xc2)
        return left >= 2 && (at[1] == 0x85 || at[1] == 0xa0) ? 2 : 0; /* next line, no-break space */
    if (*at < 0xe1 || *at > 0xe3 || left < 3)
        return 0;
    uint32_t c = (uint32_t)(*at & 15) << 12 | (uint32_t)(at[1] & 63) << 6 | (at[2] & 63);
    bool is_space = c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
                    c == 0x202f || c == 0x205f || c == 0x3000;
    return is_space ? 3 : 0;
}

/* Bytes at `at` that are one scalar value; 0 if they are none. */
static size_t scalar_bytes(const uint8_t *at, const uint8_t *end)
{
    if (*at < 0x80)
        return 1;
    size_t left = (size_t)(end - at);
    utf8proc_int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate(at, left < 4 ? (utf8proc_ssize_t)left : 4, &c);
    return n > 0 ? (size_t)n : 0;
}

/* Length of the maximal invalid part at `at` (Unicode, section 3.9): what one U+FFFD stands for. */
static size_t invalid_bytes(const uint8_t *at, const uint8_t *end)
{
    uint8_t lead = at[0], low = 0x80, high = 0xbf;
    size_t want = lead >= 0xc2 && lead <= 0xdf   ? 2
                  : lead >= 0xe0 && lead <= 0xef ? 3
                  : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                 : 1;
    if (lead == 0xe0)
        low = 0xa0; /* overlong */
    if (lead == 0xed)
        high = 0x9f; /* surrogates */
    if (lead == 0xf0)
        low = 0x90; /* overlong */
    if (lead == 0xf4)
        high = 0x8f; /* beyond U+10FFFF */
    size_t n = 1;
    while (n < want && at + n < end && at[n] >= low && at[n] <= high) {
        n++;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

size_t text_scalar(const uint8_t *at, const uint8_t *end, uint32_t *c)
{
    *c = *at;
    if (*at < 0x80)
        return 1;
    size_t left = (size_t)(end - at);
    utf8proc_int32_t value;
    utf8proc_ssize_t n = utf8proc_iterate(at, left < 4 ? (utf8proc_ssize_t)left : 4, &value);
    *c = n > 0 ? (uint32_t)value : 0xfffd;
    return n > 0 ? (size_t)n : invalid_bytes(at, end);
}

/* The first byte from `at` on that is not ASCII and not part of a valid scalar value; `end` if there is
 * none. */
static const uint8_t *first_invalid(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint64_t eight;
        while (end - at >= 8 && (memcpy(&eight, at, 8), (eight & 0x8080808080808080u) == 0))
            at += 8;
        if (at == end)
            break;
        size_t n = scalar_bytes(at, end);
        if (n == 0)
            return at;
        at += n;
    }
    return end;
}

typedef struct position {
    uint64_t line, column;
} position;

static position position_of(const text_block *b, const uint8_t *at)
{
    position p = {b->line, b->column};
    const uint8_t *start = b->bytes;
    for (const uint8_t *nl; (nl = memchr(start, '\n', (size_t)(at - start))) != NULL; start = nl + 1) {
        p.line++;
        p.column = 1;
    }
    p.column += (uint64_t)(at - start);
    return p;
}

static status fail_at(const text_block *b, const uint8_t *at, const char *what, error *e)
{
    position p = position_of(b, at);
    return fail(e, STATUS_BAD_DATA, "%s:%llu:%llu: %s", b->label, (unsigned long long)p.line,
                (unsigned long long)p.column, what);
}

/* Rewrites the block with U+FFFD for every maximal invalid part. */
static status replace_invalid(text_block *b, uint64_t *replaced, error *e)
{
    const uint8_t *at = b->bytes, *end = b->bytes + b->n;
    size_t capacity = 3 * b->n + 1, n = 0; /* one byte becomes three at worst */
    uint8_t *clean = malloc(capacity);
    if (clean == NULL)
        return fail(e, STATUS_NO_MEMORY, "%s: no memory for a block of %zu bytes", b->label, capacity);
    while (at < end) {
        const uint8_t *bad = first_invalid(at, end);
        memcpy(clean + n, at, (size_t)(bad - at));
        n += (size_t)(bad - at);
        at = bad;
        if (at == end)
            break;
        memcpy(clean + n, "\xef\xbf\xbd", 3);
        n += 3;
        at += invalid_bytes(at, end);
        *replaced += 1;
    }
    free(b->bytes);
    b->bytes = clean;
    b->n = n;
    b->capacity = capacity;
    return STATUS_OK;
}

static status check_word_lengths(const text_block *b, error *e)
{
    token_reader t = {b->bytes, b->bytes + b->n, LEVEL_WORD};
    const uint8_t *word;
    for (size_t n; token_next(&t, &word, &n);)
        if (n > TEXT_WORD_MAX)
            return fail_at(
                b, word, "a word of more than 65536 bytes; this is no text in words (--level char or byte?)",
                e);
    return STATUS_OK;
}

status text_check(text_block *b, text_level level, bool replace, uint64_t *replaced, error *e)
{
    if (level == LEVEL_BYTE || b->n == 0)
        return STATUS_OK;
    const uint8_t *end = b->bytes + b->n;
    const uint8_t *nul = memchr(b->bytes, 0, b->n);
    if (nul != NULL)
        return fail_at(
            b, nul,
            "NUL byte: the file is binary or UTF-16; texts and documents are UTF-8, so convert it (only "
            "`prepare text --level byte` takes any file)",
            e);
    const uint8_t *bad = first_invalid(b->bytes, end);
    if (bad != end) {
        char what[128];
        snprintf(what, sizeof what,
                 "byte 0x%02x is not valid UTF-8 (convert the file, or use --invalid replace)", *bad);
        if (!replace)
            return fail_at(b, bad, what, e);
        status r = replace_invalid(b, replaced, e);
        if (r != STATUS_OK)
            return r;
    }
    /* Only a block of a single huge line can hold such a word. */
    return level == LEVEL_WORD && b->n > TEXT_WORD_MAX ? check_word_lengths(b, e) : STATUS_OK;
}

static bool next_word(token_reader *t, const uint8_t **word, size_t *n)
{
    const uint8_t *at = t->at;
    for (size_t space; at < t->end && (space = text_space(at, t->end)) > 0; at += space)
        if (*at == '\n') {
            t->at = at + 1;
            *word = (const uint8_t *)TEXT_EOS;
            *n = sizeof TEXT_EOS - 1;
            return true;
        }
    *word = at;
    while (at < t->end && text_space(at, t->end) == 0)
        at++;
    t->at = at;
    *n = (size_t)(at - *word);
    return *n > 0;
}

static bool next_char(token_reader *t, const uint8_t **word, size_t *n)
{
    if (t->at == t->end)
        return false;
    if (t->at[0] == '\r' && t->end - t->at >= 2 && t->at[1] == '\n')
        t->at++;
    *word = t->at;
    *n = t->at[0] < 0x80 ? 1 : t->at[0] < 0xe0 ? 2 : t->at[0] < 0xf0 ? 3 : 4;
    t->at += *n;
    if (**word == '\n') {
        *word = (const uint8_t *)TEXT_EOS;
        *n = sizeof TEXT_EOS - 1;
    }
    return true;
}

bool token_next(token_reader *t, const uint8_t **word, size_t *n)
{
    if (t->level == LEVEL_WORD)
        return next_word(t, word, n);
    if (t->level == LEVEL_CHAR)
        return next_char(t, word, n);
    *word = t->at;
    *n = 1;
    return t->at < t->end && (t->at++, true);
}
