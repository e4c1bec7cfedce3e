/* test_alone.c - without a launcher there is a group of one that makes no MPI call.
 *
 * Why MPI_Initialized tells: of MPI's functions only a few that ask (this one, the library's version) may be
 * called before MPI_Init; any other aborts the process, and MPI_Init would be seen.  So if all of comm has
 * been through and MPI is not initialised, no such call was made. */
#include "kernels/sums.h"
#include "trainer/comm/comm.h"

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* cmocka's; ours is io/status.h's */

static comm *open_alone(void)
{
    error e = {0};
    comm *c = NULL;
    assert_int_equal(comm_open(&c, &e), STATUS_OK);
    return c;
}

static void close_alone(comm *c)
{
    comm_close(c);
    int initialised = 1;
    MPI_Initialized(&initialised);
    assert_false(initialised);
}

static void knows_its_place(void **state)
{
    (void)state;
    comm *c = open_alone();
    assert_int_equal(comm_rank(c), 0);
    assert_int_equal(comm_size(c), 1);
    assert_int_equal(comm_host_rank(c), 0);
    assert_int_equal(comm_host_size(c), 1);
    assert_int_equal(comm_hosts(c), 1);
    assert_true(strlen(comm_host_name(c)) > 0);
    assert_null(strchr(comm_library(), '\n'));
    assert_true(strlen(comm_library()) > 0);
    close_alone(c);
}

/* What launchers set is all that is known before MPI_Init; Open MPI's word counts inside a step of Slurm. */
static void sees_the_launcher(void **state)
{
    (void)state;
    int rank = 9;
    const char *told_by = "";
    assert_int_equal(comm_launched(&rank, &told_by), 1);
    assert_int_equal(rank, 0);
    assert_null(told_by);
    setenv("PMIX_RANK", "3", 1);
    assert_int_equal(comm_launched(&rank, &told_by), 1);
    unsetenv("PMIX_RANK");
    setenv("SLURM_STEP_NUM_TASKS", "4", 1);
    assert_int_equal(comm_launched(&rank, &told_by), 1); /* of no rank that it knows */
    setenv("SLURM_PROCID", "3", 1);
    assert_int_equal(comm_launched(&rank, &told_by), 4);
    assert_int_equal(rank, 3);
    assert_string_equal(told_by, "SLURM_STEP_NUM_TASKS");
    setenv("PMI_SIZE", "5", 1);
    setenv("PMI_RANK", "2", 1);
    assert_int_equal(comm_launched(&rank, &told_by), 5);
    assert_int_equal(rank, 2);
    assert_string_equal(told_by, "PMI_SIZE");
    setenv("OMPI_COMM_WORLD_SIZE", "7", 1);
    setenv("OMPI_COMM_WORLD_RANK", "6", 1);
    assert_int_equal(comm_launched(&rank, &told_by), 7);
    assert_int_equal(rank, 6);
    assert_string_equal(told_by, "OMPI_COMM_WORLD_SIZE");
    for (const char *const *name =
             (const char *const[]){"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "PMI_SIZE", "PMI_RANK",
                                   "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", NULL};
         *name != NULL; name++)
        unsetenv(*name);
}

static void agrees_with_itself(void **state)
{
    (void)state;
    comm *c = open_alone();
    error e = {0};
    fail(&e, STATUS_BAD_DATA, "corpus.h5: truncated");
    assert_int_equal(comm_agree(c, STATUS_BAD_DATA, &e), STATUS_BAD_DATA);
    assert_string_equal(e.text, "corpus.h5: truncated");
    assert_int_equal(comm_agree(c, STATUS_OK, NULL), STATUS_OK);
    assert_int_equal(comm_any(c, 5), 5);
    assert_true(comm_min(c, -3) == -3);
    int odd = 0;
    assert_true(comm_same(c, "abc", 3, &odd));
    assert_int_equal(odd, -1);
    close_alone(c);
}

static void moves_bytes_to_itself(void **state)
{
    (void)state;
    comm *c = open_alone();
    const char mine[6] = "tokens";
    const size_t n[1] = {sizeof mine};
    char all[6] = {0}, back[6] = {0};
    comm_all_gather(c, mine, all, n);
    assert_memory_equal(all, mine, sizeof mine);
    memset(all, 0, sizeof all);
    comm_gather(c, mine, all, n, 0);
    assert_memory_equal(all, mine, sizeof mine);
    comm_broadcast(c, all, sizeof all, 0);
    comm_scatter(c, all, back, n, 0);
    assert_memory_equal(back, mine, sizeof mine);
    assert_true(comm_bytes_sent(c) == 0);
    close_alone(c);
}

/* One rank owns everything and has one node, so sums and parameters are what went in; the partial may be the
 * sum. */
static void exchanges_with_itself(void **state)
{
    (void)state;
    comm *c = open_alone();
    team *t = team_open(1, kernels_select(NULL));
    float x[48], sum[48];
    for (int i = 0; i < 48; i++)
        x[i] = (float)i / 7.0f;
    const size_t cut0[2] = {0, 17}, cut1[2] = {32, 48};
    const comm_bucket buckets[2] = {{.begin = 0, .end = 17, .cut = cut0},
                                    {.begin = 32, .end = 48, .cut = cut1}};
    error e = {0};
    assert_int_equal(comm_plan(c, buckets, 2, 8, 4, &e), STATUS_OK);
    memset(sum, 0, sizeof sum);
    for (int i = 0; i < 2; i++)
        comm_reduce_begin(c, i, x, 0);
    comm_reduce_finish(c, t, sum);
    assert_memory_equal(sum, x, 17 * sizeof(float));
    assert_memory_equal(sum + 32, x + 32, 16 * sizeof(float));
    assert_true(sum[17] == 0 && sum[31] == 0); /* no bucket, not touched */
    comm_reduce_begin(c, 0, sum, 0);
    comm_reduce_finish(c, t, sum);
    for (int i = 0; i < 2; i++)
        comm_params_begin(c, i, sum);
    comm_params_finish(c);
    assert_memory_equal(sum, x, 17 * sizeof(float));
    const double nats = 0.1;
    assert_true(comm_sum_nodes(c, &nats) == 0.1);
    team_close(t);
    close_alone(c);
}

static void stays_alone_under_a_launcher(void **state)
{
    (void)state;
    setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    error e = {0};
    comm *c = NULL;
    assert_int_equal(comm_alone(&c, &e), STATUS_OK);
    assert_int_equal(comm_size(c), 1);
    assert_int_equal(comm_any(c, 6), 6);
    close_alone(c);
    unsetenv("OMPI_COMM_WORLD_SIZE");
}

static void refuses_more_ranks_than_shards(void **state)
{
    (void)state;
    comm *c = open_alone();
    error e = {0};
    assert_int_equal(comm_plan(c, NULL, 0, 8, 0, &e), STATUS_BAD_CONFIG);
    assert_non_null(strstr(e.text, "data.shards"));
    close_alone(c);
}

int main(void)
{
    static const char *const set_by_launchers[] = {"OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK"};
    for (int i = 0; i < 3; i++) /* the test itself may run under a launcher */
        unsetenv(set_by_launchers[i]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_its_place),
        cmocka_unit_test(sees_the_launcher),
        cmocka_unit_test(agrees_with_itself),
        cmocka_unit_test(moves_bytes_to_itself),
        cmocka_unit_test(exchanges_with_itself),
        cmocka_unit_test(stays_alone_under_a_launcher),
        cmocka_unit_test(refuses_more_ranks_than_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
