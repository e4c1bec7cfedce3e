/* kernels.h - the table of single-thread bodies, one table per instruction set, chosen once at start
 * (kernels/simd/).
 *
 * Every member gives the same bits in every table: sums are chains of fused multiply-adds over k, a
 * reduction inside a vector uses 16 virtual lanes and one combining tree, transcendentals are our own
 * polynomials (rules R3, R8).  tests/kernels checks all tables against each other bit for bit and against
 * plain double precision.  No member is NULL. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kernels kernels; /* members: kernels/simd/table.h */

/* All tables compiled into this program, best last; *count of them.  kernels_usable: CPU and operating
 * system support it. */
const kernels *const *kernels_all(int *count);
bool kernels_usable(const kernels *k);
const char *kernels_name(const kernels *k); /* "scalar", "avx2", "avx512", "neon" */
/* The best usable table, or the one that `name` (UNROLL_KERNELS, may be NULL) asks for; NULL: unknown or
 * not usable here. */
const kernels *kernels_select(const char *name);

/* Number of floats in a padded row: n rounded up to 16.  Padding holds zeros always. */
#define PAD16(n) (((n) + 15) / 16 * 16)

#endif
