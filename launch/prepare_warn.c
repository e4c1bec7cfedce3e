/* prepare_warn.c - what is said of a corpus that is made, and is hardly the one that was wanted. */
#include "launch/prepare.h"

#include <stdarg.h>
#include <stdio.h>

void prepare_warn(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("unroll prepare: warning: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
}

/* Where a token is unknown, one of the two words is <unk>, and the other is <eos>. */
void prepare_warn_vocabulary(uint32_t size, uint64_t unknown)
{
    if (size <= 2 && unknown > 0)
        prepare_warn("the vocabulary is <eos> and <unk> alone, so that all texts look alike: is --min-count "
                     "too much, or "
                     "are there no blanks between words?");
}
