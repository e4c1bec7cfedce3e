/* test_trace.c - phases follow each other without a gap, so their sum is the whole; the ring keeps the last events in
 * order; and a phase of a team ends when its slowest thread ends.
 *
 * The last: a thread other than member 0 sleeps inside a phase and then looks at the clock, and the phase must not have
 * ended before.  How long anything takes on a shared machine is not asked. */
#include "kernels/clock.h"
#include "kernels/team.h"
#include "kernels/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void nap(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void test_names(void **state)
{
    (void)state;
    for (int p = 0; p < TRACE_PHASES; p++) {
        assert_non_null(trace_names[p]);
        for (int q = 0; q < p; q++)
            assert_string_not_equal(trace_names[p], trace_names[q]);
    }
}

static void test_no_gaps(void **state)
{
    (void)state;
    trace t;
    assert_true(trace_open(&t, 64));
    trace_end(&t); /* nothing is timed yet */
    assert_int_equal(t.events, 0);
    trace_begin(&t, TRACE_OTHER);
    for (int step = 1; step <= 4; step++) {
        trace_step(&t, step, 10, TRACE_WINDOW);
        trace_begin(&t, TRACE_PACK);
        nap(1);
        trace_begin(&t, TRACE_PACK); /* goes on */
        trace_begin(&t, TRACE_FORWARD);
        trace_step(&t, -1, 0, TRACE_OTHER);
    }
    trace_end(&t);
    assert_int_equal(t.events, 1 + 4 * 4);
    assert_int_equal(t.steps, 4);
    assert_int_equal(t.tokens, 40);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < t.events; i++) {
        const trace_event *e = &t.event[i];
        assert_true(e->begin <= e->end);
        if (i > 0)
            assert_int_equal(e->begin, t.event[i - 1].end);
        const trace_phase order[] = {TRACE_WINDOW, TRACE_PACK, TRACE_FORWARD, TRACE_OTHER};
        assert_int_equal(e->phase, i == 0 ? TRACE_OTHER : order[(i - 1) % 4]);
        assert_int_equal(e->step, i == 0 || i % 4 == 0 ? -1 : (int64_t)(i - 1) / 4 + 1);
        sum += e->end - e->begin;
    }
    assert_int_equal(sum, trace_total(&t));
    assert_int_equal(sum, t.event[t.events - 1].end - t.event[0].begin);
    assert_int_equal(t.count[TRACE_PACK], 4);
    assert_true(t.ns[TRACE_PACK] >= 4 * 1000000u);
    trace_reset(&t);
    assert_int_equal(trace_total(&t) + t.events + t.steps + t.tokens, 0);
    assert_int_equal(t.capacity, 64);
    trace_close(&t);
}

static void test_ring(void **state)
{
    (void)state;
    trace t, totals;
    assert_true(trace_open(&t, 8));
    assert_true(trace_open(&totals, 0));
    for (int i = 0; i < 21; i++) {
        trace_step(&t, i, 0, TRACE_WINDOW);
        trace_step(&totals, i, 0, TRACE_WINDOW);
    }
    trace_end(&t);
    trace_end(&totals);
    assert_int_equal(t.events, 21);
    for (uint64_t i = 21 - 8; i < 21; i++)
        assert_int_equal(t.event[i % 8].step, i);
    assert_int_equal(totals.count[TRACE_WINDOW], 21);
    assert_int_equal(t.count[TRACE_WINDOW], 21);
    trace_close(&t);
    trace_close(&totals);
    trace_begin(NULL, TRACE_DW); /* records nothing */
    trace_step(NULL, 1, 1, TRACE_DW);
    trace_end(NULL);
}

/* done: when the last thread has ended its part of each phase; never, if it sets marks as well as member 0. */
static void slow_last_thread(member *m, void *done)
{
    for (int i = 0; i < 3; i++) {
        member_phase(m, TRACE_LOGITS);
        if (m->id == m->size - 1) {
            nap(5);
            ((uint64_t *)done)[i] = m->id > 0 && m->trace ? UINT64_MAX : clock_ns();
        }
        team_barrier(m);
        member_phase(m, TRACE_SOFTMAX);
        team_barrier(m);
    }
}

static void test_barrier_to_barrier(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        team *t = team_open(threads, kernels_select(NULL));
        trace seen;
        uint64_t done[3];
        assert_non_null(t);
        assert_true(trace_open(&seen, 100));
        team_run(t, slow_last_thread, done); /* without a trace */
        team_phase(t, TRACE_DW);
        team_step(t, 1, 1, TRACE_DW);
        assert_null(team_trace(t, &seen));
        team_step(t, 1, 7, TRACE_OTHER);
        team_run(t, slow_last_thread, done);
        team_phase(t, TRACE_OTHER);
        assert_ptr_equal(team_trace(t, NULL), &seen);
        for (int i = 0; i < 3;
             i++) /* a phase ends when the last thread is done, which member 0 has waited for */
            assert_true(seen.event[1 + 2 * i].phase == TRACE_LOGITS && seen.event[1 + 2 * i].end >= done[i]);
        team_run(t, slow_last_thread, done);
        trace_end(&seen);
        assert_int_equal(seen.events, 1 + 6 + 1); /* of one thread, though all have passed the marks */
        assert_int_equal(seen.count[TRACE_LOGITS], 3);
        assert_int_equal(seen.count[TRACE_DW], 0);
        assert_int_equal(seen.tokens, 7);
        trace_close(&seen);
        team_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_no_gaps),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_barrier_to_barrier),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
