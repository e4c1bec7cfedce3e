/* explain_page.h - an HTML page that shows documents with every word coloured by what it contributed to the
 * predicted class.
 *
 *   explain_page_open(path, title) -> explain_page_add() for each document -> explain_page_close()
 *
 * The page stands for itself: inline style, no script, nothing fetched, and a policy that forbids both.  Light
 * or dark goes by the reader's setting.  Orange speaks for the predicted class and blue against it, a pair that
 * colour-blind people can tell apart; on paper without colour an underline, solid or dotted, says the same,
 * and every word has its signed number as a tooltip.  Of each document the largest |contribution| has the full
 * colour and the others their share of it.
 *
 * Nothing of a document is believed: & < > " ' are escaped, control characters and bytes that are not UTF-8
 * become U+FFFD.  Equal input gives an equal page.
 *
 * The page is written as it comes, where io/output.h says: a file stands under `path` only after
 * explain_page_close has succeeded.  Memory: one document's text.  Errors: IO_FAILED, NO_MEMORY.  Threads:
 * one at a time.  Not collective. */
#ifndef LAUNCH_EXPLAIN_PAGE_H
#define LAUNCH_EXPLAIN_PAGE_H

#include "io/output.h"
#include "io/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct explain_page {
    output out;
    uint64_t documents; /* written so far */
} explain_page;

/* All borrowed.  Words are shown with a blank between them. */
typedef struct explain_document {
    const char *place;     /* where it came from: "reviews.tsv:12" */
    const char *predicted; /* its label by the model */
    double probability;    /* of that label */
    const char *truth;     /* its own label, NULL where it is unknown */
    const char *note;      /* what else is to be said of it, NULL: nothing */
    size_t words;
    const char *const *word; /* (words) byte strings, not NUL-terminated */
    const size_t *bytes;     /* (words) their lengths */
    const double
        *contribution; /* (words) above 0: speaks for `predicted`; one that is not finite is uncoloured */
} explain_document;

/* On failure there is nothing to discard. */
status explain_page_open(explain_page *p, const char *path, const char *title, error *e);
/* After a failure the page cannot be finished: discard it. */
status explain_page_add(explain_page *p, const explain_document *d, error *e);
/* Finishes the page and frees p in any case; after a failure the file that was there before still is. */
status explain_page_close(explain_page *p, error *e);
void explain_page_discard(explain_page *p); /* safe after any failure, and twice */

#endif
