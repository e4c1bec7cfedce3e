/* status.c - one list gives enumerators, exit codes and texts. */
#include "io/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int exit_code;
    const char *text;
} table[] = {
#define STATUS_ROW(name, code, text) [STATUS_##name] = {code, text},
    STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

static int known(status s)
{
    return (unsigned)s < sizeof table / sizeof table[0] ? (int)s : STATUS_INTERNAL;
}

const char *status_text(status s)
{
    return table[known(s)].text;
}

int status_exit_code(status s)
{
    return table[known(s)].exit_code;
}

/* A file name may hold an escape sequence or a newline; a terminal and a log must get neither. */
static void disarm(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
}

status fail(error *e, status s, const char *format, ...)
{
    if (e == NULL)
        return s;
    char text[sizeof e->text]; /* first here, since the arguments may point into e */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    disarm(text);
    memcpy(e->text, text, strlen(text) + 1);
    e->code = s;
    return s;
}

status fail_as(error *e, status s, const char *prefix_format, ...)
{
    if (e == NULL)
        return s;
    char prefix[sizeof e->text], below[sizeof e->text];
    va_list args;
    va_start(args, prefix_format);
    vsnprintf(prefix, sizeof prefix, prefix_format, args);
    va_end(args);
    memcpy(below, e->text, sizeof below);
    below[sizeof below - 1] = '\0';
    return fail(e, s, "%s: %s", prefix, below);
}
