/* doctor.h - what `unroll doctor` looks at: this machine, the binding of this process or of the ranks that
 * mpirun started, the libraries, and for a configuration its memory, its disk, and how well numbers of ranks
 * suit it. */
#ifndef LAUNCH_DOCTOR_H
#define LAUNCH_DOCTOR_H

#include "io/config.h"
#include "trainer/comm/comm.h"

#include <stdio.h>

typedef struct doctor_question {
    const config *config;  /* NULL: about the machine only */
    const char *arguments; /* "train CONFIG.yaml --set ...", for the launch line */
    int ranks, threads;    /* 0: as many as there are, or as suit this machine */
} doctor_question;

/* Collective.  Rank 0 prints on `out`.  What cannot be found out (a corpus that is not there yet) is said and
 * left out; lines that begin with "warning:" tell what to change. */
status doctor_examine(FILE *out, comm *group, const doctor_question *q, error *e);

/* How S shards fall on P <= S ranks. */
typedef struct doctor_cut {
    int least, most; /* shards of a rank */
    int partials;    /* the most maximal subtrees that a rank has */
    double
        factor; /* bytes that the busiest rank sends in a step, over the parameters' bytes: 2(P-1)/P when partials is 1 */
    double balance; /* mean over largest number of shards: 1 when all ranks have the same work */
} doctor_cut;
doctor_cut doctor_cut_of(int S, int ranks);

#endif
