/* test_exchange.c - gradients to their owners and parameters back, on as many ranks as mpirun starts.
 *
 * Identity: for any number of ranks, any cuts and any message length, what the owners hold after the reduce,
 * and everybody after the exchange of parameters, is bit for bit the tree sum of the shards' partials as one
 * process computes it.  The tree is written out here once more, as plain recursion over shards, so that it
 * shares nothing with kernels/; the partials range over 2^-20 .. 2^20, and it is checked that adding them
 * from left to right would give other bits. Run on 1, 2, 3, 4, 5 and 7 ranks (CMakeLists.txt) this is rule R2
 * for the part that crosses ranks.
 *
 * MPI_Isend is ours (the library's own stays callable as PMPI_Isend), to count what is really sent. */
#include "kernels/sums.h"
#include "tests/comm/check.h"
#include "trainer/comm/inside.h"

#include <math.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLOATS     12000
#define BUCKETS    4
#define RANKS_MAX  16
#define SHARDS_TOP 12
#define UNTOUCHED  12345.0f

static uint64_t bytes_isent;

int MPI_Isend(const void *bytes, int count, MPI_Datatype type, int to, int tag, MPI_Comm world,
              MPI_Request *request)
{
    int size;
    MPI_Type_size(type, &size);
    bytes_isent += (uint64_t)count * (uint64_t)size;
    return PMPI_Isend(bytes, count, type, to, tag, world, request);
}

static float partial_of(int shard, size_t i, int round)
{
    uint64_t x = random_of((uint64_t)shard, i, (uint64_t)round);
    float unit = (float)(x >> 40) * 0x1p-23f - 1.0f;
    return ldexpf(unit, (int)(x % 41) - 20);
}

/* The sum of shards [a,b): split at a + the largest power of two below b-a. */
static float tree(int a, int b, size_t i, int round)
{
    if (b - a == 1)
        return partial_of(a, i, round);
    int half = 1;
    while (2 * half < b - a)
        half *= 2;
    return tree(a, a + half, i, round) + tree(a + half, b, i, round);
}

static void order_matters(comm *c, int S)
{
    int differ = 0;
    for (size_t i = 0; i < 1000; i++) {
        float chain = 0;
        for (int s = 0; s < S; s++)
            chain += partial_of(s, i, 0);
        differ += chain != tree(0, S, i, 0);
    }
    CHECK(c, S < 4 || differ > 100, "only %d of 1000 sums of %d shards depend on the order", differ, S);
}

/* Four buckets with gaps between them: one cut evenly, one of a single float, one in random cuts (some
 * empty), one that the last rank owns. */
typedef struct layout {
    size_t cut[BUCKETS][RANKS_MAX + 1];
    comm_bucket bucket[BUCKETS];
} layout;

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static void lay_out(layout *l, int size, int S)
{
    static const size_t begin[BUCKETS] = {0, 4112, 4128, 9000}, end[BUCKETS] = {4099, 4113, 8999, FLOATS - 5};
    for (int i = 0; i < BUCKETS; i++) {
        size_t *cut = l->cut[i], length = end[i] - begin[i];
        for (int r = 0; r <= size; r++) {
            if (i == 2)
                cut[r] = begin[i] + (size_t)(random_of((uint64_t)S, (uint64_t)r, 9) % (length + 1)) / 3 * 3;
            else
                cut[r] = i == 3 ? begin[i] : begin[i] + length * (size_t)r / (size_t)size;
        }
        cut[0] = begin[i];
        cut[size] = end[i];
        qsort(cut, (size_t)size + 1, sizeof *cut, by_size);
        l->bucket[i] = (comm_bucket){.begin = begin[i], .end = end[i], .cut = cut};
    }
}

static int owner(const layout *l, int size, size_t i) /* -1: in no bucket */
{
    for (int k = 0; k < BUCKETS; k++)
        for (int r = 0; r < size; r++)
            if (i >= l->cut[k][r] && i < l->cut[k][r + 1])
                return r;
    return -1;
}

static void pause_a_while(comm *c, int round, int place)
{
    usleep((useconds_t)(random_of((uint64_t)comm_rank(c), (uint64_t)round, (uint64_t)place) % 400));
}

/* This rank's partials, one per node, each in a slab of its own. */
static void fill_partials(float *partial, const shards *mine, int round)
{
    for (int n = 0; n < mine->nodes; n++)
        for (size_t i = 0; i < FLOATS; i++)
            partial[(size_t)n * FLOATS + i] = tree(mine->node[n].first, mine->node[n].last, i, round);
}

static void exchange_once(comm *c, team *t, const layout *l, const shards *mine, float *partial, float *sum,
                          int round)
{
    int size = comm_size(c), me = comm_rank(c), S = mine->S;
    static float want[FLOATS];
    fill_partials(partial, mine, round);
    for (size_t i = 0; i < FLOATS; i++) {
        want[i] = tree(0, S, i, round);
        if (sum != partial)
            sum[i] = UNTOUCHED;
    }
    for (int k = 0; k < BUCKETS; k++) {
        pause_a_while(c, round, k);
        comm_reduce_begin(c, k, partial, FLOATS);
    }
    pause_a_while(c, round, BUCKETS);
    comm_reduce_finish(c, t, sum);
    for (size_t i = 0; i < FLOATS; i++) {
        bool mine_now = owner(l, size, i) == me;
        float expected = mine_now         ? want[i]
                         : sum == partial ? tree(mine->node[0].first, mine->node[0].last, i, round)
                                          : UNTOUCHED;
        CHECK(c, memcmp(&sum[i], &expected, sizeof(float)) == 0, "S %d round %d, sum %zu: %a, expected %a", S,
              round, i, (double)sum[i], (double)expected);
    }
    float *x = sum == partial ? partial : sum;
    for (int k = 0; k < BUCKETS; k++) {
        pause_a_while(c, round, 20 + k);
        comm_params_begin(c, k, x);
    }
    comm_params_finish(c);
    for (size_t i = 0; i < FLOATS; i++)
        if (owner(l, size, i) >= 0)
            CHECK(c, memcmp(&x[i], &want[i], sizeof(float)) == 0,
                  "S %d round %d, parameter %zu: %a, expected %a", S, round, i, (double)x[i],
                  (double)want[i]);
}

/* Each of this rank's partials of a piece to its owner, each of its own updated pieces to all others. */
static uint64_t bytes_of_one_exchange(const layout *l, const shards *mine, int me, int size)
{
    uint64_t floats = 0;
    for (int k = 0; k < BUCKETS; k++) {
        size_t all = l->bucket[k].end - l->bucket[k].begin, own = l->cut[k][me + 1] - l->cut[k][me];
        floats += (uint64_t)mine->nodes * (all - own) + (uint64_t)(size - 1) * own;
    }
    return floats * sizeof(float);
}

static void losses(comm *c, const shards *mine, int round)
{
    double per_node[SHARD_NODES_MAX], nats[SHARDS_TOP];
    for (int s = 0; s < mine->S; s++)
        nats[s] = (double)partial_of(s, 0, round) * 1.1;
    /* In place, level by level: the tree over [0,S) and over each node is the same recursion (tree() above)
     * for doubles. */
    for (int n = 0; n <= mine->nodes; n++) {
        int a = n < mine->nodes ? mine->node[n].first : 0, b = n < mine->nodes ? mine->node[n].last : mine->S;
        double level[SHARDS_TOP];
        memcpy(level, nats + a, (size_t)(b - a) * sizeof *level);
        for (int step = 1; step < b - a; step *= 2)
            for (int i = 0; i + step < b - a; i += 2 * step)
                level[i] += level[i + step];
        if (n < mine->nodes) {
            per_node[n] = level[0];
            continue;
        }
        double got = comm_sum_nodes(c, per_node);
        CHECK(c, memcmp(&got, &level[0], sizeof got) == 0, "S %d: %a, expected %a", mine->S, got, level[0]);
    }
}

static void exchange_all(comm *c, team *t, int S, size_t limit)
{
    int size = comm_size(c), me = comm_rank(c), B = 2 * S + 1;
    if (c->wire != NULL)
        wire_set_limit(c->wire, limit);
    layout l;
    lay_out(&l, size, S);
    error e = {0};
    status s = comm_plan(c, l.bucket, BUCKETS, B, S, &e);
    if (size > S) {
        CHECK(c, s == STATUS_BAD_CONFIG && strstr(e.text, "shards") != NULL, "%s", e.text);
        return;
    }
    CHECK(c, s == STATUS_OK, "%s", e.text);
    shards mine;
    shards_init(&mine, B, S, me, size);
    float *partial = malloc((size_t)mine.nodes * FLOATS * sizeof(float)),
          *sum = malloc(FLOATS * sizeof(float));
    for (int round = 0; round < 3; round++) {
        uint64_t before = comm_bytes_sent(c), before_isent = bytes_isent;
        exchange_once(c, t, &l, &mine, partial, round == 1 ? sum : partial, round);
        uint64_t sent = comm_bytes_sent(c) - before, want = bytes_of_one_exchange(&l, &mine, me, size);
        CHECK(c, sent == want && bytes_isent - before_isent == want,
              "S %d: %llu bytes, %llu by MPI, expected %llu", S, (unsigned long long)sent,
              (unsigned long long)(bytes_isent - before_isent), (unsigned long long)want);
        losses(c, &mine, round);
    }
    free(partial);
    free(sum);
}

int main(void)
{
    static const int S[] = {1, 2, 3, 4, 5, 8, 12};
    error e = {0};
    comm *c;
    if (comm_open(&c, &e) != STATUS_OK) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    CHECK(c, comm_size(c) <= RANKS_MAX, "%d ranks", comm_size(c));
    team *t = team_open(2, kernels_select(NULL));
    for (size_t i = 0; i < sizeof S / sizeof S[0]; i++) {
        order_matters(c, S[i]);
        exchange_all(c, t, S[i], WIRE_LIMIT);
        exchange_all(c, t, S[i], 1001); /* cuts within floats */
    }
    team_close(t);
    comm_close(c);
    return 0;
}
