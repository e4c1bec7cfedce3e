/* test_groups.c - optimizer_step() gives groups of parameters the rates and the first steps that torch.optim gives
 * them.
 *
 *   parameters after 1, 5, 6, 11, 16, 30 steps  ==  those recorded from PyTorch in double precision (tests/golden/groups.txt)
 *   frozen parameters and their state           ==  what they were, bit for bit
 *   whatever the frozen gradients are            it changes nothing: they are NaN here
 *
 * The gradients depend on the parameters, so that a wrong rate, norm or step number shows in all later steps; records
 * stand before and behind the steps at which groups thaw.  Scaling goes through a power of two, which rounds nothing. */
#include "tests/compare.h"
#include "trainer/model.h"
#include "trainer/optimizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ELEMENTS_MAX = 64, RECORDS = 6, STEPS = 30, DEPTHS = 4 };

typedef struct golden {
    char name[40];
    config c;
    bool tied;
    double thaw;
    int elements;
    int step[RECORDS];
    double w[RECORDS][ELEMENTS_MAX];
} golden;

/* The next case of the file; false at its end. */
static bool read_case(FILE *f, golden *g)
{
    static const char *const kinds[] = {"sgd", "adam", "adamw", "rmsprop", "adagrad"};
    char line[4096], kind[16];
    double tied;
    do
        if (!fgets(line, sizeof line, f))
            return false;
    while (strncmp(line, "case ", 5) != 0);

    *g = (golden){0};
    config *c = &g->c;
    int n = sscanf(line, "case %39s %15s %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf", g->name, kind,
                   &tied, &c->optim.layer_decay, &g->thaw, &c->optim.clip_norm, &c->optim.lr,
                   &c->optim.momentum, &c->optim.dampening, &c->optim.beta1, &c->optim.beta2, &c->optim.eps,
                   &c->optim.alpha, &c->optim.lr_decay, &c->optim.weight_decay);
    assert_int_equal(n, 15);
    g->tied = tied != 0;
    while (strcmp(kinds[c->optim.name], kind) != 0)
        assert_in_range(++c->optim.name, 0, 4);
    for (int k = 0; k < RECORDS; k++) {
        char *at = line, *end;
        assert_non_null(fgets(line, sizeof line, f));
        g->step[k] = (int)strtol(at, &at, 10);
        for (g->elements = 0;; g->elements++, at = end) {
            double x = strtod(at, &end);
            if (end == at)
                break;
            assert_in_range(g->elements, 0, ELEMENTS_MAX - 1);
            g->w[k][g->elements] = x;
        }
    }
    return true;
}

/* Written down a second time, for this model of two layers. */
static int depth_of(const char *name)
{
    return name[0] == 'd' ? 0 : name[0] == 'e' ? 3 : name[strlen(name) - 1] == '1' ? 1 : 2;
}

typedef struct trial {
    const golden *g;
    params list;
    arena arena;
    optimizer optimizer;
    float *value, *gradient;
} trial;

static void open_trial(trial *r, const golden *g)
{
    model_shape shape = {.cell = cell_find("rnn_tanh"), .layers = 2, .V = 3, .E = 2, .H = 2, .tied = g->tied};
    *r = (trial){.g = g};
    model_params(&shape, &r->list, 1);
    assert_int_equal(params_elements(&r->list), g->elements);
    arena_add(&r->arena, "parameters", (void **)&r->value, r->list.floats * sizeof(float));
    arena_add(&r->arena, "gradients", (void **)&r->gradient, r->list.gradient_floats * sizeof(float));
    optimizer_plan(&r->optimizer, &r->arena, &g->c, &r->list, 0, 1);
    assert_true(arena_commit(&r->arena));
    optimizer_start(&r->optimizer);
    for (int p = 0, i = 0; p < r->list.count; p++)
        for (size_t k = 0; k < r->list.list[p].count; k++, i++)
            r->value[r->list.list[p].offset + k] = 1.0F - (float)i / 32.0F;
}

static bool is_frozen(const trial *r, int p, int step)
{
    return step <= depth_of(r->list.list[p].name) * (int)r->g->thaw;
}

/* make_groups.py's gradients, times 4; a tied one's two halves meet in the optimiser. */
static void fill_gradients(trial *r, int step)
{
    for (int p = 0, i = 0; p < r->list.count; p++)
        for (size_t k = 0; k < r->list.list[p].count; k++, i++) {
            size_t at = r->list.list[p].offset + k;
            float g = is_frozen(r, p, step)
                          ? NAN
                          : (float)(((7 * i + 3 * step) % 11 - 5) / 2.0 + (double)r->value[at]);
            r->gradient[at] = p == r->list.scatter_of ? g / 2 : g;
            if (p == r->list.scatter_of)
                r->gradient[r->list.scatter + k] = g / 2;
        }
}

static void expect_frozen(const trial *r, int step)
{
    for (int p = 0, i = 0; p < r->list.count; p++)
        for (size_t k = 0; k < r->list.list[p].count; k++, i++)
            if (is_frozen(r, p, step)) {
                assert_true(r->value[r->list.list[p].offset + k] == 1.0F - (float)i / 32.0F);
                for (int j = 0; j < r->optimizer.states;
                     j++) /* alone, a rank owns each tensor in one piece */
                    assert_true(r->optimizer.state[j][r->optimizer.at[p] + k] == 0);
            }
}

static void expect_record(const trial *r, int k)
{
    float w[ELEMENTS_MAX];
    char what[120];
    size_t n = 0;
    for (int p = 0; p < r->list.count; p++) {
        memcpy(w + n, r->value + r->list.list[p].offset, r->list.list[p].count * sizeof *w);
        n += r->list.list[p].count;
    }
    snprintf(what, sizeof what, "%s, step %d", r->g->name, r->g->step[k]);
    assert_true(close_floats(what, w, r->g->w[k], n, 0.25, 1e-6));
}

static void check_case(const golden *g, team *t, comm *alone)
{
    trial r;
    open_trial(&r, g);
    for (int step = 1, k = 0; step <= STEPS; step++) {
        optimizer_pace pace = {.step = step,
                               .lr = g->c.optim.lr,
                               .layer_decay = g->c.optim.layer_decay,
                               .thaw_steps = (int64_t)g->thaw};
        fill_gradients(&r, step);
        assert_true(isfinite(optimizer_step(&r.optimizer, alone, t, r.value, r.gradient, pace, 0.25F)));
        expect_frozen(&r, step);
        if (step == g->step[k])
            expect_record(&r, k++);
    }
    arena_free(&r.arena);
    params_free(&r.list);
}

static void test_torch_groups(void **unused)
{
    (void)unused;
    comm *alone;
    int cases = 0;
    assert_int_equal(comm_alone(&alone, NULL), STATUS_OK);
    team *t = team_open(2, kernels_select(NULL));
    FILE *f = fopen(GOLDEN_DIR "/groups.txt", "r");
    assert_true(t && f);
    for (golden g; read_case(f, &g); cases++)
        check_case(&g, t, alone);
    assert_int_equal(cases, 8);
    fclose(f);
    team_close(t);
    comm_close(alone);
}

/* A classifier's names, both directions: what is not recurrent and not the embedding is the top. */
static void test_depths(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        int depth;
    } want[] = {{"decoder.weight", 0},
                {"decoder.bias", 0},
                {"head.weight", 0},
                {"attention.weight", 0},
                {"rnn.weight_hh_l2", 1},
                {"rnn.bias_ih_l2_reverse", 1},
                {"rnn.weight_ih_l1", 2},
                {"rnn.weight_hh_l1_reverse", 2},
                {"rnn.weight_ih_l0_reverse", 3},
                {"rnn.bias_hh_l0", 3},
                {"encoder.weight", 4}};
    int n = (int)(sizeof want / sizeof *want);
    params p;
    params_init(&p);
    for (int i = 0; i < n; i++)
        params_add(&p, i, want[i].name, 2, 0);
    for (int i = 0; i < n; i++)
        assert_int_equal(params_depth(&p, i), want[i].depth);
    params_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_torch_groups), cmocka_unit_test(test_depths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
