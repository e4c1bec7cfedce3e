/* check.h - checks of tests that run as several ranks.  A rank that went on to the next test after a failure
 * would leave the others waiting for it, so a failed check ends the whole job. */
#ifndef TESTS_COMM_CHECK_H
#define TESTS_COMM_CHECK_H

#include "trainer/comm/comm.h"

#include <stdint.h>
#include <stdio.h>

#define CHECK(c, condition, ...)                                                                \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "%s:%d: rank %d of %d: not %s: ", __FILE__, __LINE__, comm_rank(c), \
                    comm_size(c), #condition);                                                  \
            fprintf(stderr, __VA_ARGS__);                                                       \
            fputc('\n', stderr);                                                                \
            fflush(stderr);                                                                     \
            comm_abort(c, 1);                                                                   \
        }                                                                                       \
    } while (0)

/* Random numbers as a function of what they are for (splitmix64's finaliser), so that any rank can say what
 * another one has. */
static inline uint64_t random_of(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t z = a * 0x9e3779b97f4a7c15u + b * 0xbf58476d1ce4e5b9u + c * 0x94d049bb133111ebu + 1;
    for (int i = 0; i < 2; i++) {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
    }
    return z;
}

#endif
