/* document_tree.h - documents that are files: [ANY/][SPLIT/]LABEL/NAME.txt below a directory or in an archive.
 *
 *   reviews/neg/0_3.txt              one split, train
 *   aclImdb/train/neg/0_3.txt        SPLIT is train, valid or test
 *
 * Which of the two a tree is, all sources together decide: where one document stands in a split, those outside
 * of all splits are passed over, whatever is in them, and so is what does not end in .txt, all below a hidden name,
 * and files beside the folders of labels.  Documents are put in the order of SPLIT/LABEL/NAME by bytes, so that a directory and an
 * archive of it give the same.  Archives are read in one pass, directories at most TREE_DEPTH folders deep.
 *
 * Errors: BAD_DATA with the path or archive:member: no document, an empty folder of a label, the same
 * SPLIT/LABEL/NAME twice, labels at different depths, NUL, invalid UTF-8, an empty text. */
#ifndef IO_DOCUMENT_TREE_H
#define IO_DOCUMENT_TREE_H

#include "io/documents.h"
#include "io/progress.h"
#include "io/status.h"

#include <stdbool.h>
#include <stdint.h>

#define TREE_DEPTH 3

typedef struct tree_rules {
    const char *const
        *labels; /* NULL-terminated: other folders are passed over; NULL: every folder is a label */
    const char *unlabelled; /* the folder of documents without label, NULL: none */
    bool must_split;        /* documents stand in splits */
    bool replace_invalid;
    progress *bar; /* counts documents; NULL is fine */
} tree_rules;

/* Of the Large Movie Review Dataset (Maas et al. 2011): {train,test}/{neg,pos}, and train/unsup. */
extern const char *const tree_imdb_labels[]; /* "neg", "pos" */
#define TREE_IMDB_UNLABELLED "unsup"

typedef struct tree_report {
    uint64_t passed_over; /* files that are in no place for a document */
    uint64_t outside;     /* of them LABEL/NAME.txt outside of the splits that others stand in */
    uint64_t replaced;    /* invalid parts that became U+FFFD */
} tree_report;
/* Adds the documents of all sources to the set. */
status tree_read(document_set *set, char *const *sources, int count, const tree_rules *rules,
                 tree_report *report, error *e);

#endif
