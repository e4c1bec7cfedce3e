/* ints.h - the small arithmetic of cutting work. */
#ifndef KERNELS_INTS_H
#define KERNELS_INTS_H

static inline int at_least(int a, int b)
{
    return a > b ? a : b;
}

static inline int at_most(int a, int b)
{
    return a < b ? a : b;
}

/* Into how many pieces of at most `size` n is cut. */
static inline int pieces(int n, int size)
{
    return (n + size - 1) / size;
}

/* Where block i of `blocks` begins when n is cut at multiples of `unit`, as evenly as can be. */
static inline int cut(int n, int unit, long i, long blocks)
{
    return at_most(n, (int)(pieces(n, unit) * i / blocks * unit));
}

/* Part i of n of a task. */
typedef struct task_part {
    int i, n;
} task_part;
#define WHOLE_TASK ((task_part){0, 1})

/* What the part has of [*from, *to), cut at multiples of `unit` from its beginning on; nothing, where there are more
 * parts than units. */
static inline void take_part(task_part part, int unit, int *from, int *to)
{
    const int first = *from, n = *to - first;
    *from = first + cut(n, unit, part.i, part.n);
    *to = first + cut(n, unit, part.i + 1, part.n);
}

#endif
