/* side_by_side.h - loops of constant length whose turns the compiler writes out, so that what they index stays
 * in registers, and by them several vectors that go through a function together.
 *
 * exp, tanh and the like are chains of some 25 operations that wait for one another, and a core that is given
 * one whole chain after the other looks ahead over little more than one.  So functions of several vectors do
 * operation after operation, each for all vectors. */
#ifndef KERNELS_SIMD_SIDE_BY_SIDE_H
#define KERNELS_SIMD_SIDE_BY_SIDE_H

#ifdef __clang__
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

#define SIDE_BY_SIDE 8 /* vectors at most */
#define EACH(i, n)   UNROLLED for (int i = 0; i < (n); i++)

/* part(t, m, j, rows) for all of a cell's tile (cell_tile.h): rows m .. m+rows-1, a vector of hidden units from j
 * on; rows is `most`, a constant, as long as so many are left, and then 1. */
#define ROWS_SIDE_BY_SIDE(t, most, part)             \
    do {                                             \
        int m = 0;                                   \
        for (; m + (most) <= (t)->rows; m += (most)) \
            for (size_t j = 0; j < 16; j += VF)      \
                part(t, m, j, most);                 \
        for (; m < (t)->rows; m++)                   \
            for (size_t j = 0; j < 16; j += VF)      \
                part(t, m, j, 1);                    \
    } while (0)

#endif
