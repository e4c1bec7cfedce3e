/* escape.c - see escape.h. */
#include "io/escape.h"

#include "io/bug.h"

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

/* Columns of the character at text[0..n), n > 0, that escape_text has let through; *length: its bytes. */
static int columns_of(const char *text, size_t n, size_t *length)
{
    utf8proc_int32_t point;
    const utf8proc_ssize_t bytes =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &point);
    *length = bytes > 0 ? (size_t)bytes : 1;
    return bytes > 0 ? utf8proc_charwidth(point) : 1;
}

size_t escape_fit(const char *text, size_t n, int most, int *columns)
{
    size_t at = 0;
    *columns = 0;
    for (size_t length; at < n; at += length) {
        const int more = columns_of(text + at, n - at, &length);
        if (*columns + more > most)
            break;
        *columns += more;
    }
    return at;
}

void escape_print(FILE *out, const char *text, size_t n, int width)
{
    char *shown = escape_text(text, n, n);
    BUG_IF(shown == NULL, "out of memory for a name");
    const size_t all = strlen(shown);
    const int most = abs(width);
    int columns;
    size_t keep = escape_fit(shown, all, most, &columns);
    const bool cut = keep < all;
    if (cut) {
        keep = escape_fit(shown, all, most - 3, &columns);
        columns += 3;
    }
    const int blanks = columns < most ? most - columns : 0;
    fprintf(out, "%*s%.*s%s%*s", width < 0 ? blanks : 0, "", (int)keep, shown, cut ? "..." : "",
            width > 0 ? blanks : 0, "");
    free(shown);
}
