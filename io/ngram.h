/* ngram.h - an interpolated trigram (Jelinek & Mercer 1980): the yardstick that a recurrent model has to
 * beat.
 *
 *   p(w | u v) = l3 f(w | u v) + l2 f(w | v) + l1 f(w) + l0 / V
 *
 * f are relative frequencies in the training split; where a history was never seen, the next shorter one
 * takes its place, so that p sums to 1. The weights depend on how often u v was seen (classes of counts by
 * powers of two) and are fitted to the validation split by expectation maximisation.  Before the first
 * token stand two <eos>. Memory: some 30 bytes for each distinct trigram.  Not collective, one thread. */
#ifndef IO_NGRAM_H
#define IO_NGRAM_H

#include <stdint.h>

typedef struct ngram ngram;

/* Counts `train` and fits to `valid`; ids below V, which is below 2^21.  eos: the id that stands before the
 * text. */
ngram *ngram_fit(const uint32_t *train, uint64_t train_n, const uint32_t *valid, uint64_t valid_n, uint32_t V,
                 uint32_t eos);
void ngram_free(ngram *m);

double ngram_probability(const ngram *m, uint32_t u, uint32_t v, uint32_t w);
/* The history of token i of a text, as ngram_probability wants it. */
void ngram_history(const ngram *m, const uint32_t *ids, uint64_t i, uint32_t *u, uint32_t *v);
double ngram_cross_entropy(const ngram *m, const uint32_t *ids, uint64_t n); /* nats per token */

#endif
