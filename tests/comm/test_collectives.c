/* test_collectives.c - agreements and moving bytes, on as many ranks as mpirun starts.
 *
 * Every rank can compute what every other one contributes (random_of), hence what must come out; it checks
 * all of it.  Everything is done twice, the second time with messages cut to a length that no piece is a
 * multiple of, as pieces above 1 GB are. */
#include "tests/comm/check.h"
#include "trainer/comm/inside.h"

#include <stdlib.h>
#include <string.h>

#define TRIALS    60
#define RANKS_MAX 16

static void agreements(comm *c, int trial)
{
    int size = comm_size(c), worst_rank = -1;
    status worst = STATUS_OK, mine = STATUS_OK;
    for (int r = 0; r < size; r++) {
        uint64_t x = random_of((uint64_t)trial, (uint64_t)r, 1);
        status s = x % 4 == 0 ? (status)(x / 4 % (STATUS_INTERNAL + 1)) : STATUS_OK;
        if (s > worst) {
            worst = s;
            worst_rank = r;
        }
        if (r == comm_rank(c))
            mine = s;
    }
    error e = {0};
    if (mine != STATUS_OK)
        fail(&e, mine, "trouble %d of rank %d", trial, comm_rank(c));
    status agreed = comm_agree(c, mine, &e);
    CHECK(c, agreed == worst, "trial %d: %d, expected %d", trial, agreed, worst);
    if (worst == STATUS_OK) {
        CHECK(c, e.text[0] == '\0' && e.code == STATUS_OK, "trial %d: '%s'", trial, e.text);
        return;
    }
    error want = {0};
    if (worst_rank == 0)
        fail(&want, worst, "trouble %d of rank 0", trial);
    else /* one machine, so the speaker's host is ours */
        fail(&want, worst, "rank %d on %s: trouble %d of rank %d", worst_rank, comm_host_name(c), trial,
             worst_rank);
    CHECK(c, e.code == worst && (size == 1 || strcmp(e.text, want.text) == 0),
          "trial %d: '%s', expected '%s'", trial, e.text, want.text);
}

static void silent_agreement(comm *c)
{
    int last = comm_size(c) - 1;
    status mine = comm_rank(c) == last ? STATUS_NO_MEMORY : STATUS_OK;
    CHECK(c, comm_agree(c, mine, NULL) == STATUS_NO_MEMORY, "no error to write into");
    error e = {0};
    comm_agree(c, mine, comm_rank(c) == last ? NULL : &e);
    CHECK(c, comm_rank(c) == last || strstr(e.text, status_text(STATUS_NO_MEMORY)) != NULL, "'%s'", e.text);
}

static void flags_and_minimum(comm *c, int trial)
{
    uint32_t flags = 0;
    int64_t least = INT64_MAX;
    for (int r = 0; r < comm_size(c); r++) {
        flags |= 1u << (random_of((uint64_t)trial, (uint64_t)r, 2) % 32);
        int64_t x = (int64_t)random_of((uint64_t)trial, (uint64_t)r, 3);
        least = x < least ? x : least;
    }
    uint64_t me = (uint64_t)comm_rank(c);
    CHECK(c, comm_any(c, 1u << (random_of((uint64_t)trial, me, 2) % 32)) == flags, "trial %d", trial);
    CHECK(c, comm_min(c, (int64_t)random_of((uint64_t)trial, me, 3)) == least, "trial %d", trial);
}

/* The configuration of rank `odd` and of the last rank differs in one byte, or in length; odd = 0: nobody's
 * does. */
static void same(comm *c, int odd, size_t n)
{
    unsigned char *bytes = calloc(n + 2, 1);
    memset(bytes, 'a', n + 1);
    bool other = odd > 0 && (comm_rank(c) == odd || comm_rank(c) == comm_size(c) - 1);
    if (other && n > 0 && odd % 2 == 1)
        bytes[n / 2] ^= 4;
    else if (other)
        n++;
    int found = -2;
    bool equal = comm_same(c, bytes, n, &found);
    CHECK(c, equal == (odd == 0) && found == (odd == 0 ? -1 : odd), "odd %d: %d, rank %d", odd, equal, found);
    free(bytes);
}

static unsigned char byte_at(int rank, size_t i, int trial)
{
    return (unsigned char)random_of((uint64_t)rank, i, (uint64_t)trial + 100);
}

static void moving(comm *c, int trial, size_t largest)
{
    int size = comm_size(c), me = comm_rank(c), root = trial % size;
    size_t n[RANKS_MAX], at[RANKS_MAX + 1] = {0};
    for (int r = 0; r < size; r++) {
        uint64_t x = random_of((uint64_t)trial, (uint64_t)r, 4);
        n[r] = x % 3 == 0 ? 0 : (size_t)(x / 3 % largest);
        at[r + 1] = at[r] + n[r];
    }
    unsigned char *all = malloc(at[size] + 1), *want = malloc(at[size] + 1), *mine = malloc(n[me] + 1);
    for (int r = 0; r < size; r++)
        for (size_t i = 0; i < n[r]; i++)
            want[at[r] + i] = byte_at(r, i, trial);
    memcpy(mine, want + at[me], n[me]);

    memset(all, 0, at[size]);
    all[at[size]] = 77;
    comm_all_gather(c, mine, all, n);
    CHECK(c, memcmp(all, want, at[size]) == 0 && all[at[size]] == 77, "all_gather %d", trial);

    memset(all, 0, at[size]);
    comm_gather(c, mine, all, n, root);
    for (size_t i = 0; i < at[size]; i++)
        CHECK(c, all[i] == (me == root ? want[i] : 0), "gather %d at %zu", trial, i);

    memset(mine, 0, n[me]);
    mine[n[me]] = 78;
    comm_scatter(c, all, mine, n, root);
    CHECK(c, memcmp(mine, want + at[me], n[me]) == 0 && mine[n[me]] == 78, "scatter %d", trial);

    if (me != root)
        memset(all, 1, at[size]);
    comm_broadcast(c, all, at[size], root);
    CHECK(c, memcmp(all, want, at[size]) == 0 && all[at[size]] == 77, "broadcast %d", trial);
    free(all);
    free(want);
    free(mine);
}

static void places(comm *c)
{
    CHECK(c, comm_rank(c) >= 0 && comm_rank(c) < comm_size(c), "rank %d", comm_rank(c));
    CHECK(c, comm_hosts(c) == 1 && comm_host_size(c) == comm_size(c) && comm_host_rank(c) == comm_rank(c),
          "%d hosts, place %d of %d", comm_hosts(c), comm_host_rank(c), comm_host_size(c));
    int64_t ranks = 0;
    for (int r = 0; r < comm_size(c); r++) /* the ranks are 0 .. size-1, each once */
        ranks += comm_min(c, comm_rank(c) == r ? -1 : 0);
    CHECK(c, ranks == -comm_size(c), "%lld", (long long)ranks);
}

int main(void)
{
    error e = {0};
    comm *c;
    if (comm_open(&c, &e) != STATUS_OK) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    CHECK(c, comm_size(c) <= RANKS_MAX, "%d ranks", comm_size(c));
    places(c);
    for (int trial = 0; trial < TRIALS; trial++) {
        agreements(c, trial);
        flags_and_minimum(c, trial);
        moving(c, trial, 3000);
    }
    silent_agreement(c);
    for (int odd = 0; odd < comm_size(c); odd++)
        for (size_t n = 0; n < 3; n++)
            same(c, odd, n * 1000);
    moving(c, TRIALS, 3000000);
    if (c->wire != NULL)
        wire_set_limit(c->wire, 97);
    for (int trial = 0; trial < TRIALS; trial++)
        moving(c, trial, 3000);
    comm_close(c);
    return 0;
}
