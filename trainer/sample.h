/* sample.h - drawing tokens from a model.
 *
 * Of the distribution over the vocabulary: log p / temperature; of it the top_k most probable; of those
 * the fewest whose probability reaches top_p (nucleus sampling, Holtzman 2020); one is drawn with u =
 * rng_uniform53({seed, step = place in the text, purpose SAMPLE}).  Equal probabilities go by id, so that
 * the same seed gives the same text.  temperature 0 takes the most probable. */
#ifndef TRAINER_SAMPLE_H
#define TRAINER_SAMPLE_H

#include <stdint.h>

typedef struct sample_settings {
    double temperature; /* >= 0 */
    uint32_t top_k;     /* 0: all */
    double top_p;       /* (0,1]; 1: all */
    uint64_t seed;
    int64_t banned; /* an id that is never drawn (<unk>), or -1 */
} sample_settings;

typedef struct sample_candidate {
    uint32_t id;
    float logp;
    double weight;
} sample_candidate;

/* Draws token number `place` from logp (V).  work: V candidates of the caller. */
uint32_t sample_draw(const sample_settings *s, const float *logp, uint32_t V, uint32_t place,
                     sample_candidate *work);

#endif
