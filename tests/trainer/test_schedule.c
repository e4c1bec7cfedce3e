/* Learning rates against the published formulas, written out here a second time with libm. */
#include "trainer/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static config with(int schedule)
{
    config c = {0};
    c.optim.lr = 2.0;
    c.optim.schedule = schedule;
    c.optim.decay = 0.5;
    return c;
}

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-15 * fabs(want)))
        fail_msg("rate %.17g, want %.17g", got, want);
}

/* Zaremba's small model: epochs 1..4 at the full rate, then half of it after each epoch. */
static void test_step(void **state)
{
    (void)state;
    config c = with(SCHEDULE_STEP);
    c.optim.decay_after_epoch = 4;
    train_progress p;
    train_progress_init(&p);
    static const double want[] = {2, 2, 2, 2, 1, 0.5, 0.25};
    for (int e = 1; e <= 7; e++) {
        p.epoch = e;
        near(schedule_rate(&c, &p, 100), want[e - 1]);
    }
}

static void test_cosine_and_warmup(void **state)
{
    (void)state;
    config c = with(SCHEDULE_COSINE);
    c.optim.warmup_steps = 10;
    c.optim.min_lr = 0.5;
    train_progress p;
    train_progress_init(&p);
    for (int64_t step = 0; step < 130; step++) {
        p.step = step;
        double t = step < 10 ? 0 : (double)(step - 10) / 90;
        double want = t >= 1 ? 0.5 : 0.5 + 0.75 * (1 + cos(acos(-1.0) * t));
        if (step < 10)
            want *= (double)(step + 1) / 10;
        near(schedule_rate(&c, &p, 100), want);
    }
}

/* Howard & Ruder's formula as printed, where cut_frac cuts the steps at a whole number. */
static void test_slanted(void **state)
{
    (void)state;
    config c = with(SCHEDULE_SLANTED);
    c.optim.cut_frac = 0.1;
    c.optim.ratio = 32;
    train_progress p;
    train_progress_init(&p);
    for (int64_t t = 0; t < 300; t++) {
        p.step = t;
        double cut = 30,
               share = (double)t < cut ? (double)t / cut : 1 - ((double)t - cut) / (cut * (1 / 0.1 - 1));
        near(schedule_rate(&c, &p, 300), 2.0 * (1 + share * (32 - 1)) / 32);
    }
}

/* Runs so short that the cut is rounded down, to nothing even: up from lr/ratio, lr once, down, never below. */
static void test_slanted_in_short_runs(void **state)
{
    (void)state;
    config c = with(SCHEDULE_SLANTED);
    c.optim.cut_frac = 0.1;
    c.optim.ratio = 32;
    train_progress p;
    train_progress_init(&p);
    for (int64_t n = 1; n < 60; n++)
        for (int64_t t = 0; t < n; t++) {
            p.step = t;
            double rate = schedule_rate(&c, &p, n);
            assert_true(rate >= 2.0 / 32 && rate <= 2.0);
            assert_int_equal(rate == 2.0, t == n / 10);
            p.step = t + 1;
            assert_true(t + 1 == n || (schedule_rate(&c, &p, n) > rate) == (t < n / 10));
        }
}

static void test_plateau(void **state)
{
    (void)state;
    config c = with(SCHEDULE_PLATEAU);
    c.optim.patience = 1;
    c.optim.min_lr = 0.3;
    train_progress p;
    train_progress_init(&p);
    static const double nats[] = {5, 4, 4, 4.5, 3.9, 4, 4, 4, 4, 4, 4, 4, 4};
    static const double want[] = {2, 2, 2, 1, 1, 1, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3};
    for (int i = 0; i < 13; i++) {
        p.step = i + 1;
        bool improved = schedule_validated(&c, &p, nats[i]);
        assert_int_equal(improved, i == 0 || i == 1 || i == 4);
        near(schedule_rate(&c, &p, 100), want[i]);
    }
    assert_int_equal(p.best_step, 5);
    assert_int_equal(p.stale, 8);
}

/* A loss that is no number is no improvement. */
static void test_nan_is_not_best(void **state)
{
    (void)state;
    config c = with(SCHEDULE_CONSTANT);
    train_progress p;
    train_progress_init(&p);
    assert_false(schedule_validated(&c, &p, NAN));
    assert_int_equal(p.best_step, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step),    cmocka_unit_test(test_cosine_and_warmup),
        cmocka_unit_test(test_slanted), cmocka_unit_test(test_slanted_in_short_runs),
        cmocka_unit_test(test_plateau), cmocka_unit_test(test_nan_is_not_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
