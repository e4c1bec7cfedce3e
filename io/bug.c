/* bug.c - the last words of a process that found itself wrong. */
#include "io/bug.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static char process_label[128];

void bug_label(const char *label)
{
    snprintf(process_label, sizeof process_label, "%s", label);
}

_Noreturn void bug_abort(const char *file, int line, const char *condition, const char *format, ...)
{
    char values[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(values, sizeof values, format, args);
    va_end(args);
    /* One call, so that the lines of several ranks on one terminal do not mix. */
    fprintf(stderr, "%s%sbug in unroll at %s:%d: %s (%s)\n", process_label, process_label[0] ? ": " : "",
            file, line, values, condition);
    fflush(NULL);
    abort();
}
