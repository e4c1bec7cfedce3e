/* escape.c - see escape.h. */
#include "io/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

size_t escape_printable(const char *text, size_t n)
{
    utf8proc_int32_t point;
    utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &point);
    if (length <= 0)
        return 0;
    utf8proc_category_t category = utf8proc_category(point);
    if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZL ||
        category == UTF8PROC_CATEGORY_ZP)
        return 0;
    return (size_t)length;
}

bool escape_clean(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t length = escape_printable(text + i, n - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

char *escape_text(const char *text, size_t n, size_t most)
{
    /* The worst case is four bytes for one; text longer than `most` characters of four bytes is cut
     * anyway. */
    size_t seen = n / 4 < most ? n : 4 * most;
    char *out = malloc(4 * seen + sizeof "...");
    if (!out)
        return NULL;
    size_t at = 0, i = 0;
    for (size_t shown = 0; i < n && shown < most; shown++) {
        size_t length = escape_printable(text + i, n - i);
        if (length == 0) {
            at += (size_t)sprintf(out + at, "\\x%02x", (unsigned)(unsigned char)text[i]);
            i++;
        } else {
            memcpy(out + at, text + i, length);
            at += length;
            i += length;
        }
    }
    strcpy(out + at, i < n ? "..." : "");
    return out;
}
