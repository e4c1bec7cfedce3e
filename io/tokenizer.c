#include "io/tokenizer.h"

#include <string.h>
#include <utf8proc.h>

/* What a code point is to the tokeniser. */
typedef enum { SEPARATOR, LETTER, DIGIT, NUMBER, MARK, SYMBOL } kind;

static kind kind_of(uint32_t c)
{
    if (c < 0x80) /* what most texts are made of */
        return (c | 32) - 'a' < 26     ? LETTER
               : c - '0' < 10          ? DIGIT
               : c <= ' ' || c == 0x7f ? SEPARATOR
                                       : SYMBOL;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return LETTER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return MARK;
    case UTF8PROC_CATEGORY_ND:
        return DIGIT;
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return NUMBER;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
        return SEPARATOR;
    default:
        return SYMBOL; /* punctuation, symbols, private use, unassigned */
    }
}

typedef struct point {
    uint32_t c;
    size_t bytes; /* in the text; 0 at its end */
    kind kind;
} point;

static point point_at(const uint8_t *at, const uint8_t *end)
{
    point p = {.kind = SEPARATOR};
    if (at == end)
        return p;
    p.bytes = text_scalar(at, end, &p.c);
    if (p.c == 0x2019)
        p.c = '\'';
    p.kind = kind_of(p.c);
    return p;
}

/* Length of an HTML line break at `at`, 0 if there is none. */
static size_t line_break(const uint8_t *at, const uint8_t *end)
{
    static const char *const forms[] = {"<br>", "<br/>", "<br />"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t n = strlen(forms[i]);
        if ((size_t)(end - at) >= n && strncasecmp((const char *)at, forms[i], n) == 0)
            return n;
    }
    return 0;
}

/* Appends a code point; false, and nothing changed, when there is no room for it. */
static bool put(uint8_t *word, size_t *n, uint32_t c, bool lower)
{
    if (c < 0x80 && *n < TEXT_WORD_MAX) {
        word[(*n)++] = (uint8_t)(lower && c - 'A' < 26 ? c | 32 : c);
        return true;
    }
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t count =
        utf8proc_encode_char(lower ? utf8proc_tolower((utf8proc_int32_t)c) : (utf8proc_int32_t)c, bytes);
    if (count <= 0 || (size_t)count > TEXT_WORD_MAX - *n)
        return false;
    memcpy(word + *n, bytes, (size_t)count);
    *n += (size_t)count;
    return true;
}

/* May p stand inside a word, behind a character of kind `before` and in front of what follows it? */
static bool joins(point p, kind before, const uint8_t *behind, const uint8_t *end)
{
    if (p.c == '\'')
        return before == LETTER && point_at(behind, end).kind == LETTER;
    if (p.c == '.' || p.c == ',')
        return before == DIGIT && point_at(behind, end).kind == DIGIT;
    return false;
}

static void read_word(word_reader *r, point p, uint8_t *word, size_t *n)
{
    kind before = SEPARATOR; /* of the last character, marks aside */
    while (p.bytes > 0) {
        if (p.kind == SEPARATOR || (p.kind == SYMBOL && !joins(p, before, r->at + p.bytes, r->end)))
            break;
        if (!put(word, n, p.c, r->lower))
            break;
        r->at += p.bytes;
        before = p.kind == MARK && before != SEPARATOR ? before : p.kind;
        p = point_at(r->at, r->end);
    }
}

static void read_run(word_reader *r, point p, uint8_t *word, size_t *n)
{
    const uint32_t c = p.c;
    do {
        if (!put(word, n, c, r->lower))
            break;
        r->at += p.bytes;
        p = point_at(r->at, r->end);
    } while (p.bytes > 0 && p.c == c && (c != '<' || line_break(r->at, r->end) == 0));
}

bool word_next(word_reader *r, uint8_t *word, size_t *n)
{
    *n = 0;
    while (r->at < r->end) {
        point p = point_at(r->at, r->end);
        size_t skip = p.kind == SEPARATOR ? p.bytes : p.c == '<' ? line_break(r->at, r->end) : 0;
        r->at += skip;
        if (skip > 0)
            continue;
        if (p.kind == SYMBOL)
            read_run(r, p, word, n);
        else
            read_word(r, p, word, n);
        return true;
    }
    return false;
}

const char *tokenizer_rule(const char *level, const char *tokenizer, bool lower)
{
    if (tokenizer != NULL)
        return lower ? "into words, numbers and punctuation, in lower case"
                     : "into words, numbers and punctuation, case as written";
    if (strcmp(level, text_level_names[LEVEL_CHAR]) == 0)
        return "into characters";
    return strcmp(level, text_level_names[LEVEL_BYTE]) == 0 ? "into bytes" : "at white space";
}
