/* agreement.h - does a model know which form of a verb its subject wants, and over what distance?
 *
 * A corpus of `unroll prepare grammar` lists every verb of its test split: where it stands, its id, the id of
 * its other form and how many words its subject is away.  A model is right where it gives the correct form
 * more probability than the other one.
 *
 *   agreement/position   u64 (n)   of the verb in the test split, rising
 *   agreement/right      u32 (n)   the id that stands there
 *   agreement/wrong      u32 (n)   the other number's form of the same verb
 *   agreement/distance   u32 (n)   1: the verb follows its subject at once
 *
 * Errors: BAD_DATA naming file and item.  Not collective: a score holds counts, which may be added up over
 * ranks in any order. */
#ifndef TRAINER_TASKS_AGREEMENT_H
#define TRAINER_TASKS_AGREEMENT_H

#include "io/corpus.h"
#include "io/status.h"
#include "trainer/tasks/wilson.h"

#include <stdint.h>

/* The items, borrowed from the corpus; count 0 for a corpus without them. */
typedef struct agreement {
    uint64_t count;
    const uint64_t *position;
    const uint32_t *right, *wrong, *distance;
} agreement;
/* Checks lengths, order and ids, and that `right` is what stands in the text. */
status agreement_open(const corpus *c, agreement *a, error *e);

#define AGREEMENT_BINS 5
extern const char *const agreement_bin_names[AGREEMENT_BINS]; /* "1", "2", "3-4", "5-8", "9+" */
int agreement_bin(uint32_t distance);

typedef struct agreement_score {
    uint64_t n[AGREEMENT_BINS], right[AGREEMENT_BINS];
} agreement_score;
/* Counts one item; a tie, or a NaN, is not right. */
void agreement_add(agreement_score *s, uint32_t distance, double log_right, double log_wrong);

/* A bin's share of right answers and its 95 % interval. */
wilson_share agreement_result(const agreement_score *s, int bin);

#endif
