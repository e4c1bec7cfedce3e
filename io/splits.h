/* splits.h - where the corpora that people have keep their training, validation and test texts.
 *
 *   ptb        ptb.{train,valid,test}.txt, or ptb.char.*.txt
 *   wikitext   wiki.{train,valid,test}.{tokens,raw}
 *   text       {train,valid,test}.txt, or one file that is cut by shares
 *
 * in a directory or an archive, such as Mikolov's simple-examples.tgz.  Each also takes three files, in the
 * order train, valid, test.  Errors: BAD_DATA, naming what was looked for; USAGE for a number of sources that
 * has no meaning.  Not collective, one thread. */
#ifndef IO_SPLITS_H
#define IO_SPLITS_H

#include "io/blocks.h"
#include "io/status.h"

typedef enum { FORMAT_PTB, FORMAT_WIKITEXT, FORMAT_TEXT } text_format;
extern const char *const text_format_names[3]; /* "ptb", "wikitext", "text" */

/* Fills the list's parts from the sources of the command line; l->share is set and l->level may change: the
 * files ptb.char.* hold characters as words, so for them *level_name becomes "char" when characters were
 * asked for, and l->level is that of words. */
status splits_find(text_list *l, const char **level_name, text_format format, char *const *sources, int count,
                   error *e);

#endif
