/* lm.h - language modelling: rows of a split, windows of them, and their evaluation (rules R1, R5, R6).
 *
 *   text  a b c d e f g h i j k l m n o p      B=4 rows, S=4 shards            T=2: windows of row 0, 1, ...
 *         row 0: a b c d   shard 0                P=1: rank 0 owns 0 1 2 3        x: a e i m   y: b f j n     window 0
 *         row 1: e f g h   shard 1                P=2: rank 0: 0 1 | rank 1: 2 3     b f j n      c g k o
 *         row 2: i j k l   shard 2                P=4: one each                   x: c g k o   y: d h l p     window 1, short
 *         row 3: m n o p   shard 3                sums: ((0+1)+(2+3)), always     h and c flow downwards, never sideways
 *
 * Training drops the remainder of N/B, so that all rows are equally long.  Evaluation gives the first N
 * mod B rows one token more and predicts every token but the first of each row exactly once, from zero
 * state.
 *
 * Backward (data.direction), the same rows are read from their end to their start: row 0 above is d c b a, and what is
 * not predicted is the last token of each. */
#ifndef TRAINER_TASKS_LM_H
#define TRAINER_TASKS_LM_H

#include "io/corpus.h"
#include "io/status.h"
#include "kernels/shards.h"
#include "trainer/comm/comm.h"
#include "trainer/model.h"

#include <stdint.h>

typedef struct lm_rows {
    const corpus *corpus;
    split_name split;
    shards shards;   /* B rows, S shards, and which are this rank's */
    uint64_t tokens; /* of the split */
    uint64_t length; /* tokens of each row ... */
    uint64_t longer; /* ... and one more of so many first rows (evaluation) */
    int T;
    bool backward; /* rows are read from their end; false after lm_rows_open, the caller may set it */
    const uint32_t *
        targets; /* NULL: the next tokens; else what to predict in their stead, by place in the split (borrowed) */
    uint32_t *buffer; /* T+1 ids of a row */
} lm_rows;

typedef enum { LM_TRAIN, LM_EVALUATE } lm_use;
/* Cuts a split into B rows for rank `rank` of `size`.  B too large for the split: BAD_CONFIG naming `key`. */
status lm_rows_open(lm_rows *r, const corpus *c, split_name split, lm_use use, int B, int S, int T, int rank,
                    int size, const char *key, error *e);
void lm_rows_close(lm_rows *r);

uint64_t lm_windows(const lm_rows *r);             /* windows of an epoch */
uint64_t lm_predictions(const lm_rows *r);         /* tokens predicted in an epoch, over all rows */
int lm_window_steps(const lm_rows *r, uint64_t w); /* time steps of window w: T, the last may be shorter */
/* Tokens that window w predicts, over all rows, and over this rank's. */
uint64_t lm_window_tokens(const lm_rows *r, uint64_t w);
uint64_t lm_window_tokens_here(const lm_rows *r, uint64_t w);
/* Fills x, y (steps, rows of this rank) in the order of reading.  A place beyond a shorter row's end holds id
 * 0 and counts for nothing. */
status lm_window(const lm_rows *r, uint64_t w, uint32_t *x, uint32_t *y, error *e);

/* Collective.  Sum of nats over all predicted tokens of r, from zero state.  m: planned for (r->T,
 * r->shards.rows) at least. each: NULL, or this rank's log-probabilities in token order: row after row,
 * length (+1) of each, the first token of a row (backward: the last) NaN. On a rank that has none of the rows m and each are
 * not looked at. */
typedef struct lm_result {
    double nats;
    uint64_t tokens;
} lm_result;
status lm_evaluate(const lm_rows *r, model *m, team *t, comm *c, const float *value, float *each,
                   lm_result *out, error *e);

#endif
