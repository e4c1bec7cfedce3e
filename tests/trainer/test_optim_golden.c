/* test_optim_golden.c - optim_step() does what torch.optim does.
 *
 *   parameters after 1, 2, 10, 50 steps  ==  those recorded from PyTorch in double precision (tests/golden/optimizers.txt)
 *
 * for each optimiser and each of its settings, for every usable kernel table.  The problem's gradients
 * depend on the parameters, so that a wrong step shows in all later ones; one parameter never has a
 * gradient and one has it now and then.  The eight parameters are repeated over more than a block with a
 * ragged end: vector bodies, tails and threads must all give the same, bit for bit.  Scaling and clipping
 * go through powers of two, which round nothing. */
#include "kernels/optim.h"
#include "tests/compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PARAMETERS 8
#define N          (PARAMETERS * 600 + 5)
#define STEPS      50
#define RECORDS    4

typedef struct golden {
    char name[40];
    double lr;
    optim_settings settings;
    int step[RECORDS];
    double w[RECORDS][PARAMETERS];
} golden;

static bool read_record(FILE *f, golden *g, int k)
{
    bool good = fscanf(f, "%d", &g->step[k]) == 1;
    for (int i = 0; i < PARAMETERS; i++)
        good = good && fscanf(f, "%lf", &g->w[k][i]) == 1;
    return good;
}

/* The next case of the file; false at its end. */
static bool read_case(FILE *f, golden *g)
{
    static const char *const kinds[] = {"sgd", "adam", "adamw", "rmsprop", "adagrad"};
    char line[1024], kind[16];
    do
        if (!fgets(line, sizeof line, f))
            return false;
    while (strncmp(line, "case ", 5) != 0);

    *g = (golden){0};
    optim_settings *s = &g->settings;
    double nesterov, amsgrad, centered;
    int n = sscanf(line, "case %39s %15s %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf", g->name, kind,
                   &g->lr, &s->momentum, &s->dampening, &nesterov, &s->beta1, &s->beta2, &s->eps, &amsgrad,
                   &s->alpha, &centered, &s->lr_decay, &s->initial_accumulator, &s->weight_decay);
    assert_int_equal(n, 15);
    s->nesterov = nesterov != 0.0;
    s->amsgrad = amsgrad != 0.0;
    s->centered = centered != 0.0;
    int which = 0;
    while (which < 5 && strcmp(kinds[which], kind) != 0)
        which++;
    assert_true(which < 5);
    s->kind = (optim_kind)which;
    for (int k = 0; k < RECORDS; k++)
        assert_true(read_record(f, g, k));
    return true;
}

/* make_optimizers.py's gradient, in double from the single-precision parameters. */
static double gradient(int i, int step, double w)
{
    if (i == 6)
        return 0.0;
    if (i == 7)
        return step % 3 == 0 ? 0.5 : 0.0;
    return ((7 * i + 3 * step) % 11 - 5) / 8.0 + w / 4.0;
}

static float *floats(size_t n)
{
    float *x = calloc(n, sizeof(float));
    assert_non_null(x);
    return x;
}

static void check_case(const golden *g, team *t)
{
    float *w = floats(N), *grad = floats(N), *state[OPTIM_STATES_MAX] = {NULL};
    const char *names[OPTIM_STATES_MAX];
    int states = optim_states(&g->settings, names);
    for (int k = 0; k < states; k++) {
        state[k] = floats(N);
        for (size_t i = 0; i < N; i++)
            state[k][i] = optim_state_start(&g->settings, k);
    }
    for (size_t i = 0; i < N; i++)
        w[i] = 1.0F - (float)(i % PARAMETERS) / 4.0F;

    for (int step = 1, k = 0; step <= STEPS; step++) {
        for (size_t i = 0; i < N; i++)
            grad[i] = 8.0F * (float)gradient((int)(i % PARAMETERS), step, (double)w[i]);
        optim_step(t, &g->settings, 0.25F, 0.5F,
                   &(optim_piece){.w = w,
                                  .grad = grad,
                                  .state = {state[0], state[1], state[2]},
                                  .n = N,
                                  .step = step,
                                  .lr = g->lr,
                                  .decay = true},
                   1);
        if (step != g->step[k])
            continue;
        char what[160];
        snprintf(what, sizeof what, "%s, %s, step %d", g->name, kernels_name(team_kernels(t)), step);
        assert_true(close_floats(what, w, g->w[k], PARAMETERS, 0.25, 1e-6));
        for (size_t i = PARAMETERS; i + PARAMETERS <= N; i += PARAMETERS)
            assert_true(same_bits(what, w + i, w, PARAMETERS));
        assert_true(same_bits(what, w + N - N % PARAMETERS, w, N % PARAMETERS));
        k++;
    }
    free(w);
    free(grad);
    for (int k = 0; k < states; k++)
        free(state[k]);
}

static void test_torch_optimizers(void **unused)
{
    (void)unused;
    int tables, cases = 0;
    const kernels *const *all = kernels_all(&tables);
    for (int i = 0; i < tables; i++) {
        if (!kernels_usable(all[i]))
            continue;
        team *t = team_open(1 + i, all[i]);
        FILE *f = fopen(GOLDEN_DIR "/optimizers.txt", "r");
        assert_true(t && f);
        for (golden g; read_case(f, &g); cases++)
            check_case(&g, t);
        fclose(f);
        team_close(t);
    }
    assert_true(cases >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_torch_optimizers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
