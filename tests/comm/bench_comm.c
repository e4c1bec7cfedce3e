/* bench_comm.c - how fast gradients and parameters of 13 million floats go between the ranks of this machine,
 * beside MPI_Allreduce on the same buffer. Prints medians; "GB/s" counts the parameters' bytes once, as the
 * time of one training step sees it.  Usage: bench_comm [millions of floats] */
#include "kernels/arena.h"
#include "kernels/sums.h"
#include "tests/comm/check.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS    15
#define BUCKETS   6
#define RANKS_MAX 64

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(comm *c, const char *what, double *took, size_t floats)
{
    qsort(took, ROUNDS, sizeof *took, ascending);
    if (comm_rank(c) == 0)
        printf("%-34s %8.2f ms  %6.2f GB/s\n", what, took[ROUNDS / 2] * 1e3,
               (double)floats * sizeof(float) / took[ROUNDS / 2] * 1e-9);
}

int main(int argc, char **argv)
{
    size_t floats = (size_t)((argc > 1 ? atof(argv[1]) : 13.0) * 1e6) / 4096 * 4096;
    error e = {0};
    comm *c;
    if (comm_open(&c, &e) != STATUS_OK || comm_size(c) < 2) {
        printf("needs at least two ranks under mpirun %s\n", e.text);
        return 77;
    }
    int size = comm_size(c);
    CHECK(c, size <= RANKS_MAX, "%d ranks", size);
    size_t cut[BUCKETS][RANKS_MAX + 1];
    comm_bucket bucket[BUCKETS];
    for (int i = 0; i < BUCKETS; i++) {
        size_t begin = floats * (size_t)i / BUCKETS, end = floats * (size_t)(i + 1) / BUCKETS;
        for (int r = 0; r <= size; r++)
            cut[i][r] = begin + (end - begin) * (size_t)r / (size_t)size;
        bucket[i] = (comm_bucket){.begin = begin, .end = end, .cut = cut[i]};
    }
    CHECK(c, comm_plan(c, bucket, BUCKETS, 4 * size, size, &e) == STATUS_OK, "%s", e.text);
    team *t = team_open(1, kernels_select(NULL));
    float *gradient, *values;
    arena memory = {0}; /* as the trainer's slabs are: huge pages, touched */
    arena_add(&memory, "gradients", (void **)&gradient, floats * sizeof(float));
    arena_add(&memory, "parameters", (void **)&values, floats * sizeof(float));
    CHECK(c, arena_commit(&memory), "no memory for %zu bytes", arena_bytes(&memory));
    for (size_t i = 0; i < floats; i++)
        gradient[i] = (float)(i % 1000) + (float)comm_rank(c);

    double reduce[ROUNDS], params[ROUNDS], both[ROUNDS], allreduce[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        comm_any(c, 0);
        double start = seconds();
        for (int i = 0; i < BUCKETS; i++)
            comm_reduce_begin(c, i, gradient, floats);
        comm_reduce_finish(c, t, gradient);
        comm_any(c, 0);
        double middle = seconds();
        for (int i = 0; i < BUCKETS; i++)
            comm_params_begin(c, i, values);
        comm_params_finish(c);
        comm_any(c, 0);
        double end = seconds();
        reduce[round] = middle - start;
        params[round] = end - middle;
        both[round] = end - start;
        start = seconds();
        MPI_Allreduce(MPI_IN_PLACE, gradient, (int)floats, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        allreduce[round] = seconds() - start;
    }
    if (comm_rank(c) == 0)
        printf("%d ranks, %.1f MB of parameters, %s\n", size, (double)floats * 4e-6, comm_library());
    report(c, "reduce (fixed tree)", reduce, floats);
    report(c, "parameters to all", params, floats);
    report(c, "both", both, floats);
    report(c, "MPI_Allreduce (order not fixed)", allreduce, floats);
    arena_free(&memory);
    team_close(t);
    comm_close(c);
    return 0;
}
