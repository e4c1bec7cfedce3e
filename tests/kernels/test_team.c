/* test_team.c - the team: every task of every phase is done exactly once, phases are in order, and the float
 * state is as promised.
 *
 * Each phase's tasks add to what the phase before left, unsynchronised but for the barrier: a task lost,
 * done twice or begun before the barrier changes the sum, and ThreadSanitizer sees the race (preset tsan). */
#include "kernels/team.h"

#include "kernels/clock.h"

#include <math.h>
#include <omp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define TASKS_MAX 97
#define PHASES    60

typedef struct phases {
    long tasks;
    /* of every task: done[f % 2] is f when phase f begins, done[(f+1) % 2] is f+1 when it ends */
    int done[2][TASKS_MAX];
    /* byte i: how often part i was claimed; and should have been, by what its first part says of their number */
    atomic_ullong claimed[TASKS_MAX];
    unsigned long long parts[TASKS_MAX];
    bool wrong;
} phases;

static void count_phases(member *m, void *arg)
{
    phases *p = arg;
    for (int phase = 0; phase < PHASES; phase++) {
        const team_deal deal = {.tasks = p->tasks,
                                .dealt = phase % 3 == 2 ? phase / 3 % (p->tasks + 1) : 0,
                                .parts = phase % 5,
                                .back = phase % 3 == 1};
        task_part part = {0, 1};
        for (long i; (i = phase % 4 ? team_claim_of(m, &deal, &part) : team_claim(m, p->tasks)) >= 0;) {
            atomic_fetch_add_explicit(&p->claimed[i], 1ULL << 8 * part.i, memory_order_relaxed);
            if (part.i > 0)
                continue;
            for (int k = 0; k < part.n; k++)
                p->parts[i] += 1ULL << 8 * k;
            long other = p->tasks - 1 - i; /* most likely done by another thread */
            if (p->done[phase % 2][other] != phase)
                p->wrong = true;
            p->done[(phase + 1) % 2][i] += phase == 0 ? 1 : 2;
            if (i == 0 && phase % 7 == 3)
                sched_yield();
        }
        team_barrier(m);
    }
}

/* What OpenMP gives: CTest runs this program under a limit, too. */
static int granted(int threads)
{
    const char *limit = getenv("OMP_THREAD_LIMIT");
    return limit && atoi(limit) < threads ? atoi(limit) : threads;
}

static void test_each_task_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        team *t = team_open(threads, kernels_select(NULL));
        assert_non_null(t);
        assert_int_equal(team_threads(t), granted(threads));
        for (long tasks = 0; tasks <= TASKS_MAX; tasks = tasks < 4 ? tasks + 1 : 3 * tasks + 4) {
            phases p = {.tasks = tasks};
            team_run(t, count_phases, &p);
            assert_false(p.wrong);
            for (long i = 0; i < tasks; i++) {
                assert_int_equal(p.done[PHASES % 2][i], PHASES);
                assert_int_equal(p.done[(PHASES + 1) % 2][i], PHASES - 1);
                assert_true(p.claimed[i] == p.parts[i]);
            }
        }
        team_close(t);
    }
}

static void there_and_back(member *m, void *arg)
{
    bool *right = arg;
    *right = true;
    for (long i = 0; i < 5; i++)
        *right &= team_claim(m, 5) == i;
    *right &= team_claim(m, 5) == -1;
    team_barrier(m);
    task_part part;
    const team_deal back = {.tasks = 5, .parts = 3, .back = true},
                    dealt = {.tasks = 5, .dealt = 2, .parts = 3};
    for (long i = 4; i >= 0; i--)
        *right &= team_claim_of(m, &back, &part) == i && part.n == 1;
    *right &= team_claim_of(m, &back, &part) == -1;
    team_barrier(m);
    for (long i = 0; i < 5; i++)
        *right &= team_claim_of(m, &dealt, &part) == i && part.n == 1;
    *right &= team_claim_of(m, &dealt, &part) == -1;
    team_barrier(m);
}

/* body says whether all was right, by member 0. */
static void assert_right(int threads, void (*body)(member *m, void *right))
{
    team *t = team_open(threads, kernels_select(NULL));
    assert_non_null(t);
    bool right = false;
    team_run(t, body, &right);
    assert_true(right);
    team_close(t);
}

static void test_order(void **state)
{
    (void)state;
    assert_right(1, there_and_back);
}

typedef struct place {
    long task;
    task_part part;
} place;

static bool claims(member *m, const team_deal *deal, const place *expected, int n)
{
    bool right = true;
    task_part part;
    for (int i = 0; m->id == 0 && i < n; i++)
        right &= team_claim_of(m, deal, &part) == expected[i].task && part.i == expected[i].part.i &&
                 part.n == expected[i].part.n;
    right &= m->id > 0 || team_claim_of(m, deal, &part) == -1;
    team_barrier(m);
    return right;
}

/* One of two threads takes all: its own share and then the other's, equal ones, which end with parts. */
static void take_all(member *m, void *arg)
{
    const place odd[] = {{0, {0, 1}}, {1, {0, 1}}, {4, {0, 3}}, {2, {0, 1}},
                         {3, {0, 1}}, {4, {1, 3}}, {4, {2, 3}}},
                even[] = {{0, {0, 1}}, {2, {0, 2}}, {2, {1, 2}}, {1, {0, 1}}, {3, {0, 2}}, {3, {1, 2}}},
                back[] = {{1, {0, 1}}, {0, {0, 1}}, {4, {0, 2}}, {3, {0, 1}}, {2, {0, 1}}, {4, {1, 2}}},
                dealt[] = {{0, {0, 1}}, {2, {0, 2}}, {1, {0, 1}}, {2, {1, 2}}};
    const place one[] = {{0, {0, 1}}, {1, {0, 1}}};
    bool right = claims(m, &(team_deal){.tasks = 5, .parts = 3}, odd, 7);
    right &= claims(m, &(team_deal){.tasks = 2, .parts = 3}, one, 2);
    right &= claims(m, &(team_deal){.tasks = 4, .parts = 2}, even, 6);
    right &= claims(m, &(team_deal){.tasks = 5, .parts = 2, .back = true}, back, 6);
    right &= claims(m, &(team_deal){.tasks = 3, .dealt = 2, .parts = 2}, dealt, 4);
    if (m->id == 0)
        *(bool *)arg = right;
}

static void test_parts(void **state)
{
    (void)state;
    if (granted(2) < 2) {
        print_message("skipped: OMP_THREAD_LIMIT grants no second thread\n");
        skip();
    }
    assert_right(2, take_all);
}

static void claim_one(member *m, void *arg)
{
    long *first = arg;
    task_part part;
    const team_deal deal = {.tasks = 3L * m->size + 1, .dealt = m->size + 1, .parts = 2};
    first[m->id] = team_claim_of(m, &deal, &part);
    team_barrier(m);
}

/* The first tasks are begun first: a thread's own share comes before others', whenever it arrives. */
static void test_dealt(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        team *t = team_open(threads, kernels_select(NULL));
        assert_non_null(t);
        long first[8] = {0};
        team_run(t, claim_one, first);
        for (int i = 0; i < granted(threads); i++)
            assert_int_equal(first[i], i);
        team_close(t);
    }
}

typedef struct seen {
    int id_seen[8];
    float flushed[8], rounded[8];
    char *scratch[8];
    int size;
} seen;

static void look_around(member *m, void *arg)
{
    seen *s = arg;
    s->id_seen[m->id]++;
    if (m->id == 0)
        s->size = m->size;
    volatile float tiny = 0x1p-100f, small = 0x1p-140f, one = 1.0f, bit = 0x1p-24f;
    s->flushed[m->id] = tiny * tiny * 0x1p80f + small; /* FTZ and DAZ: 0 */
    s->rounded[m->id] = one + bit;                     /* to nearest even: 1 */
    s->scratch[m->id] = team_scratch(m, 5000);
    memset(s->scratch[m->id], m->id, 5000);
}

static void test_members(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        team *t = team_open(threads, kernels_select("scalar"));
        assert_true(team_reserve(t, 100) && team_reserve(t, 5000) && team_reserve(t, 10));
        seen s = {0};
        team_run(t, look_around, &s);
        assert_int_equal(s.size, granted(threads));
        for (int i = 0; i < s.size; i++) {
            assert_int_equal(s.id_seen[i], 1);
            assert_true(s.flushed[i] == 0.0f && s.rounded[i] == 1.0f);
            assert_int_equal((uintptr_t)s.scratch[i] % 64, 0);
            assert_int_equal(s.scratch[i][4999], i);
        }
        team_close(t);
    }
    volatile float small = 0x1p-140f; /* the caller's own state is back */
    assert_true(small * 0.5f > 0.0f);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* An idle team uses no time of any core, whatever OMP_WAIT_POLICY says (CTest runs this program under
 * "active"): one thread that waits awake would use all of the half second. */
static void test_idle(void **state)
{
    (void)state;
    const struct timespec half = {.tv_nsec = 500000000};
    phases p = {.tasks = 5};
    team *t = team_open(4, kernels_select(NULL));
    team_run(t, count_phases, &p);
    nanosleep(&(struct timespec){.tv_nsec = 300000000},
              NULL); /* an OpenMP runtime may first spin for 0.2 s */
    double before = cpu_seconds();
    nanosleep(&half, NULL);
    assert_true(cpu_seconds() - before < 0.25);
    team_close(t);
}

static void come_late(member *m, void *arg)
{
    (void)arg;
    for (int i = 0; i < 150; i++) {
        if (m->id == 0)
            nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        team_barrier(m);
    }
}

/* Who waits long at a barrier sleeps, and soon if that was so in the 0.2 s before: each of three threads is patient in vain
 * once in that time at most, however slow the machine (and once more, if the one that says so loses its core over it);
 * otherwise all of the 450 waits would be. */
static void test_late(void **state)
{
    (void)state;
    team *t = team_open(4, kernels_select(NULL));
    assert_non_null(t);
    const uint64_t begin = clock_ns();
    team_run(t, come_late, NULL);
    const long times = (long)((clock_ns() - begin) / 200000000u) + 1;
    assert_in_range(team_outlasted(t), granted(4) < 2 || omp_get_num_procs() < 4 ? 0 : 1, 3 * (times + 1));
    team_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle), /* first: LLVM's threads outlive their team, and "active" means it */
        cmocka_unit_test(test_late),  cmocka_unit_test(test_each_task_once), cmocka_unit_test(test_order),
        cmocka_unit_test(test_parts), cmocka_unit_test(test_dealt),          cmocka_unit_test(test_members),
    };
    return cmocka_run_group_tests_name("team", tests, NULL, NULL);
}
