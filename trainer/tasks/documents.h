/* documents.h - batches of labelled documents of a split, in a seeded order, bucketed by length (rules R1, R3, R4).
 *
 *   an epoch   all labelled documents in an order that is a function of (seed, epoch)
 *              | pool: POOL_BATCHES * B of them, sorted by length, equal ones as they were | pool | ... | what is left |
 *              | batch | batch | ...                              each B neighbours: documents of about one length
 *              and the batches again in a seeded order
 *
 * Row b of a batch is document b of it, so that the shards of a batch carry equal work; a batch that is not full has
 * rows without a document.  Evaluation takes all documents by falling length instead, so that the first batch needs
 * the most memory.  Which documents a batch holds depends on nothing but (corpus, seed, epoch, B).
 *
 * A document longer than max_length is cut, at its end or at its start.
 * Memory: malloc, all of it in documents_open but what documents_score needs for its own time.  Not collective unless
 * said. */
#ifndef TRAINER_TASKS_DOCUMENTS_H
#define TRAINER_TASKS_DOCUMENTS_H

#include "io/corpus.h"
#include "io/status.h"
#include "kernels/shards.h"
#include "trainer/classifier.h"
#include "trainer/comm/comm.h"

#include <stdbool.h>
#include <stdint.h>

#define POOL_BATCHES 50

typedef struct document_view {
    uint64_t first; /* token of the split, after cutting */
    uint32_t length, label;
    uint32_t index; /* in the corpus's split */
} document_view;

/* What an order is sorted by, ties by place. */
typedef struct document_key {
    uint64_t key;
    uint32_t place;
} document_key;

typedef struct documents {
    const corpus *corpus;
    split_name split;
    shards shards; /* B rows, S shards, and which are this rank's */
    bool backward;
    uint32_t count;
    document_view *list;   /* (count), in the corpus's order */
    uint64_t tokens;       /* of all of them, after cutting */
    uint32_t longest, cut; /* the longest's tokens, after cutting; how many were cut */
    uint32_t *order;       /* (count) places in list, batch after batch */
    document_key *key;     /* (count) while an order is made */
    uint32_t batches;
    uint32_t *batch_at; /* (batches) which slice of `order` batch i is: its first place is batch_at[i] * B */
    /* this rank's part of the batch that documents_read has read */
    class_batch batch;
    uint32_t *ids, *label;
    int *length;
    uint32_t *buffer; /* a document's ids */
} documents;

typedef struct documents_cut {
    int64_t max_length; /* 0: none is cut */
    bool keep_end;      /* else the start */
    int64_t most;  /* documents; 0: all.  The first ones in the corpus, where they stand in a seeded order */
    bool backward; /* data.direction: documents are read from their end to their start */
} documents_cut;

/* Which of a document's tokens are read: *kept of them from *first on. */
void documents_keep(const documents_cut *cut, uint64_t length, uint64_t *first, uint64_t *kept);

/* B rows in S shards, for rank `rank` of `size`.  A split without labelled documents: BAD_DATA. */
status documents_open(documents *d, const corpus *c, split_name split, documents_cut cut, int B, int S,
                      int rank, int size, error *e);
void documents_close(documents *d);

/* The order of a training epoch, and that of an evaluation. */
void documents_shuffle(documents *d, uint64_t seed, uint32_t epoch);
void documents_by_length(documents *d);

/* How many documents batch i holds, their places in d->list (pointer into `order`), and their longest's tokens. */
const uint32_t *documents_of(const documents *d, uint32_t i, int *count, int *steps);
/* Reads this rank's rows of batch i into d->batch. */
status documents_read(documents *d, uint32_t i, error *e);
/* Time steps of all batches in this order, over the tokens in them: what padding costs, from 1 on. */
double documents_padding(const documents *d);

/* Collective.  Log-probabilities of all documents, (count,C) in the order of the list, on rank 0 (`all` is NULL
 * elsewhere), without dropout; changes the order.  m: planned for d->shards.rows. */
status documents_score(documents *d, classifier *m, team *t, comm *g, const float *value, float *all,
                       error *e);

#endif
