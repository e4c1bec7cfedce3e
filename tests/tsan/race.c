/* race.c - a planted data race, and its twin that a barrier mends, for the thread checker to judge.
 *
 *   race plain|team planted|mended
 *
 * Each thread writes its own cell and then reads its neighbour's.  With a barrier between the two that is
 * sound, without one it is a race.  "plain" goes through OpenMP's own region and barrier, "team" through
 * kernels/team.h, whose barrier is made of atomics and a futex: a checker that is blind to the first reports races
 * everywhere, one that is blind to the second would let every race of the kernels pass.  Prints the sum,
 * so that no read can be left out; exit 0 unless the checker objects. */
#include "kernels/team.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 200 };

typedef struct job {
    int cell[THREADS];
    int seen[THREADS];
    bool mended;
} job;

static void body(member *m, void *arg)
{
    job *j = arg;
    for (int round = 0; round < ROUNDS; round++) {
        j->cell[m->id] = round;
        if (j->mended)
            team_barrier(m);
        j->seen[m->id] += j->cell[(m->id + 1) % THREADS];
        if (j->mended)
            team_barrier(m);
    }
}

static void run_plain(job *j)
{
#pragma omp parallel num_threads(THREADS)
    {
        int id = omp_get_thread_num();
        for (int round = 0; round < ROUNDS; round++) {
            j->cell[id] = round;
            if (j->mended) {
#pragma omp barrier
            }
            j->seen[id] += j->cell[(id + 1) % THREADS];
            if (j->mended) {
#pragma omp barrier
            }
        }
    }
}

static int run_team(job *j)
{
    team *t = team_open(THREADS, kernels_select("scalar"));
    if (t == NULL)
        return 1;
    team_run(t, body, j);
    team_close(t);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: race plain|team planted|mended\n");
        return 2;
    }
    static job j; /* zero: the threads' results */
    j.mended = strcmp(argv[2], "mended") == 0;
    if (strcmp(argv[1], "team") == 0) {
        if (run_team(&j) != 0)
            return 1;
    } else {
        run_plain(&j);
    }
    int sum = 0;
    for (int i = 0; i < THREADS; i++)
        sum += j.seen[i];
    printf("%d\n", sum);
    return 0;
}
