/* documents_draw.h - what documents_write does with a set before it writes: labels in order, what is held out,
 * the order of each split, duplicates.  For documents*.c only. */
#ifndef IO_DOCUMENTS_DRAW_H
#define IO_DOCUMENTS_DRAW_H

#include "io/documents_set.h"

/* Sorts the labels by bytes, gives every document the rank of its label and its place, and fills names and counts of
 * the report.  BAD_DATA for a set that no classifier can be made of. */
status documents_check(document_set *set, documents_report *report, error *e);
/* Moves documents from train to valid. */
status documents_hold_out(document_set *set, double share, uint64_t seed, documents_report *report, error *e);
/* Sorts set->all by split, and within it by the keys of the order. */
void documents_order(document_set *set, uint64_t seed);
/* Fills repeated, shared and contradicting. */
void documents_compare(const document_set *set, documents_report *report);

#endif
