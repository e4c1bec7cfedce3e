/* families.h - each family of kernels run on fixed inputs, and the digest of what comes out (test_digests.c).
 *
 * Inputs come from integers by exact operations, so that they are the same on every processor. */
#ifndef TESTS_KERNELS_FAMILIES_H
#define TESTS_KERNELS_FAMILIES_H

#include "kernels/kernels.h"

typedef struct digest {
    uint64_t hash; /* FNV-1a, a word at a time */
    size_t values, nans;
    size_t nans_other; /* NaNs with other bits than 7fc00000 */
    size_t edge;       /* flushed, and yet neither 0 nor above 2^-126 */
    bool flushed;
} digest;

digest digest_start(void);
void digest_floats(digest *d, const float *x, size_t n);

typedef struct family {
    const char *name;
    void (*run)(digest *d, const kernels *k, int which);
    int which;
    bool any_table; /* needs none: run once */
} family;
extern const family families[];
extern const size_t families_count;

digest family_run(const family *f, const kernels *k);

/* The inputs' generator: uniform in [-1, 1), 24 bits; every family starts it anew. */
void draw_start(void);
float draw(void);

#endif
