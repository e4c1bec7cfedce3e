/* rng.h - random numbers without state: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011; Random123),
 * rule R4.
 *
 *   key     = the 64-bit seed, low word first
 *   counter = { unit/4, global row, step, purpose<<24 | layer<<16 | time }
 *   word    = output[unit % 4],   u = (word >> 8) * 2^-24   in [0,1)
 *
 * A number is a function of where it is used and of nothing else: not of the rank, thread, order or number
 * of draws before it. RNG_LAYOUT is stored in checkpoints; changing anything here changes it.  Known
 * answers stand in tests/kernels/test_rng.c. */
#ifndef KERNELS_RNG_H
#define KERNELS_RNG_H

#include <stdint.h>

#define RNG_LAYOUT 1

/* Values are part of the layout: append only. */
typedef enum {
    RNG_INIT = 1,    /* initial parameters: row = tensor index in the parameter list (fill.h) */
    RNG_DROPOUT = 2, /* masks: unit = column */
    RNG_SAMPLE = 3,  /* unroll sample */
    RNG_GRAMMAR = 4, /* the built-in corpus */
    RNG_TEST = 5,
    RNG_ORDER = 6, /* of documents: row = document or batch, step = epoch, time = 0 or 1 */
} rng_purpose;

typedef struct rng_place {
    uint64_t seed;
    uint32_t row, step;
    uint8_t purpose, layer;
    uint16_t time;
} rng_place;

void rng_block(const rng_place *p, uint32_t unit4, uint32_t out[4]); /* units 4*unit4 .. 4*unit4+3 */
float rng_uniform(const rng_place *p, uint32_t unit);                /* [0,1), multiples of 2^-24 */
double rng_uniform53(const rng_place *p,
                     uint32_t unit); /* [0,1), multiples of 2^-53: words 2*unit, 2*unit+1 */
/* n uniforms from unit 0 on */
void rng_fill(const rng_place *p, float *out, uint32_t n);

#endif
