/* test_classifier.c - the classifier of documents against plain double precision, and itself.
 *
 *   log p, loss     ==  class_oracle.h                                                       to 3e-6
 *   all gradients   ==  finite differences of class_oracle.h's loss, of documents longer than a window too, whose
 *                       earlier steps keep the parameters that they had                      to 2e-5 of the largest
 *   a document alone, at any padding, in windows of any length, with any threads and table, planned with backward or
 *     without  ==  the document in its batch                                                 bit for bit
 *   training in a window longer than the documents, at any padding  ==  in one as long       bit for bit
 *   the rows cut among any ranks, any threads, any table            ==  one of each          bit for bit
 *
 * The same masks on both sides: dropout's place is its own (seed, step, row, steps from the end). */
#include "kernels/rng.h"
#include "tests/compare.h"
#include "tests/trainer/class_net.h"
#include "tests/trainer/class_oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 7, STEPS = 9, S = 5, DRAWS = 12 /* elements of a tensor that are varied */ };
static const int lengths[B] = {5, 9, 1, 0, 7, 9, 3};
static const float class_weights[] = {0.5f, 1.75f, 1.0f};
static const char *const cells[] = {"rnn_tanh", "lstm", "gru", "gru_before"};
static const char *const pool_names[] = {"last", "mean", "max", "concat", "attention"};

enum { CELLS = sizeof cells / sizeof *cells, POOLS = POOL_ATTENTION + 1, SEED = 77, STEP = 6 };

static classifier_shape shape_of(int cell, int layers, bool bidirectional, int kind)
{
    classifier_shape s = {.trunk = {.cell = cell_find(cells[cell]),
                                    .layers = layers,
                                    .V = 11,
                                    .E = 5,
                                    .H = 6,
                                    .bidirectional = bidirectional,
                                    .seed = SEED},
                          .pooling = (pool_kind)kind,
                          .loss = {.classes = 3}};
    assert_non_null(s.trunk.cell);
    return s;
}

static void describe(char what[200], const classifier_shape *s, const char *more)
{
    snprintf(what, 200, "%s, %d layers%s, %s, head of %d, %s%s%s, %s", s->trunk.cell->name, s->trunk.layers,
             s->trunk.bidirectional ? " of two directions" : "", pool_names[s->pooling], s->hidden,
             s->loss.sigmoid ? "sigmoid" : "softmax", s->loss.weight ? ", weights" : "",
             s->trunk.dropout > 0 ? ", dropout" : "", more);
}

/* ---- gradients ---- */

static double mask_of(void *arg, int place, int row, int back, int unit)
{
    const classifier_shape *s = arg;
    const double p = place > LAYERS_MAX ? s->dropout : s->trunk.dropout;
    const rng_place at = {SEED, (uint32_t)row, STEP, RNG_DROPOUT, (uint8_t)place, (uint16_t)-back};
    return (double)rng_uniform(&at, (uint32_t)unit) >= p ? (double)(float)(1 / (1 - p)) : 0.0;
}

static void check_tensor(const param *p, const float *gradient, class_oracle *o, double *value,
                         const class_batch *batch, const char *what)
{
    const double e = 1e-6;
    double got[DRAWS], want[DRAWS], scale = 0;
    const size_t n = p->count < DRAWS ? p->count : DRAWS;
    char name[300];
    for (size_t i = 0; i < p->count; i++)
        scale = fmax(scale, fabs((double)gradient[p->offset + i]));
    for (size_t i = 0; i < n; i++) {
        const size_t at = p->offset + i * p->count / n;
        const double keep = value[at];
        value[at] = keep + e;
        const double up = class_oracle_run(o, batch, NULL);
        value[at] = keep - e;
        want[i] = (up - class_oracle_run(o, batch, NULL)) / (2 * e);
        got[i] = (double)gradient[at];
        value[at] = keep;
    }
    snprintf(name, sizeof name, "%s: %s", what, p->name);
    assert_true(scale > 1e-4); /* or the comparison would say nothing */
    assert_true(close_doubles(name, got, want, n, scale, 2e-5));
}

static void check_gradients(const classifier_shape *s, int T, const char *more)
{
    class_net n;
    class_batch batch = class_batch_open(s, lengths, B, STEPS);
    class_net_open(&n, &(class_plan){kernels_select(NULL), 2, T, B, S, 0, 1, false}, s, 0.7f);
    double *value = malloc(n.list.floats * sizeof *value), *early = malloc(n.list.floats * sizeof *early);
    assert_true(value && early);
    for (size_t i = 0; i < n.list.floats; i++)
        value[i] = early[i] = (double)n.value[i];
    const bool drops = s->trunk.dropout > 0;
    class_oracle o = {s, &n.list, value, early, T, drops ? mask_of : NULL, (void *)s};
    char what[200];
    describe(what, s, more);

    double nats, want = class_oracle_run(&o, &batch, NULL), logp[B * 3];
    class_net_train(&n, &batch, STEP);
    float *gradient = class_net_sum(&n, 1, &nats), scores[B * 3];
    assert_true(close_double(what, nats, want, 3e-6));
    for (int i = 0; i < n.list.count; i++)
        check_tensor(&n.list.list[i], gradient, &o, value, &batch, what);
    o.mask = NULL;
    class_oracle_run(&o, &batch, logp);
    classifier_score(&n.model, n.team, n.value, &batch, scores);
    assert_true(close_floats(what, scores, logp, (size_t)(B * s->loss.classes), 1.0, 3e-6));
    free(gradient);
    free(value);
    free(early);
    class_batch_close(&batch);
    class_net_close(&n);
}

static void test_cells_and_poolings(void **unused)
{
    (void)unused;
    for (int cell = 0; cell < CELLS; cell++)
        for (int way = 0; way < 4; way++)
            for (int kind = 0; kind < POOLS; kind++) {
                classifier_shape s = shape_of(cell, 1 + way % 2, way / 2, kind);
                check_gradients(&s, STEPS, "whole");
            }
}

static void test_heads_and_losses(void **unused)
{
    (void)unused;
    for (int way = 0; way < 16; way++) {
        classifier_shape s = shape_of(way % CELLS, 1, way & 1, (way * 7 + 3) % POOLS);
        s.hidden = way & 1 ? 19 : 0;
        s.loss.sigmoid = way & 2;
        s.loss.classes = s.loss.sigmoid ? 2 : 3;
        s.loss.weight = way & 4 ? class_weights : NULL;
        s.loss.smoothing = way & 8 ? 0.15 : 0;
        check_gradients(&s, STEPS + way % 3, "whole");
    }
}

/* Windows of 4: the document of 9 is read as 4, 1 and 4 steps, of which the last 4 are learnt from. */
static void test_truncated(void **unused)
{
    (void)unused;
    for (int cell = 0; cell < CELLS; cell++)
        for (int kind = 0; kind < POOLS; kind++)
            for (int T = 4; T <= 7; T += 3) {
                classifier_shape s = shape_of(cell, 1 + (cell + kind) % 2, false, kind);
                s.hidden = kind % 2 ? 4 : 0;
                check_gradients(&s, T, "truncated");
            }
}

static void test_dropout(void **unused)
{
    (void)unused;
    for (int kind = 0; kind < POOLS; kind++)
        for (int way = 0; way < 4; way++) {
            classifier_shape s = shape_of(way % CELLS, 2, way & 1, kind);
            s.hidden = way & 2 ? 7 : 0;
            s.trunk.dropout = 0.3;
            s.dropout = 0.25;
            check_gradients(&s, way & 1 ? STEPS + 2 : 5 + 6 * (kind % 2), "dropped");
        }
}

/* Wider than vectors, tiles and the plan's padding. */
static void test_wide(void **unused)
{
    (void)unused;
    classifier_shape s = shape_of(1, 2, true, POOL_CONCAT);
    s.trunk.E = 33;
    s.trunk.H = 35;
    s.hidden = 50;
    check_gradients(&s, STEPS, "wide");
    s.pooling = POOL_ATTENTION;
    s.hidden = 0;
    check_gradients(&s, STEPS, "wide");
}

/* Nothing but empty documents: the bias alone decides and learns. */
static void test_empty(void **unused)
{
    (void)unused;
    static const int none[2] = {0, 0};
    for (int kind = 0; kind < POOLS; kind++) {
        const classifier_shape s = shape_of(1, 2, kind % 2, kind);
        class_batch batch = class_batch_open(&s, none, 2, 1);
        class_net n;
        class_net_open(&n, &(class_plan){kernels_select(NULL), 1, 1, 2, 1, 0, 1, false}, &s, 0.7f);
        const param *bias = params_find(&n.list, "decoder.bias");
        double logp[2][3] = {{0}}, z[3], sum = 0, want = 0;
        for (int c = 0; c < 3; c++)
            sum += exp(z[c] = (double)n.value[bias->offset + (size_t)c]);
        for (int b = 0; b < 2; b++)
            for (int c = 0; c < 3; c++) {
                logp[b][c] = z[c] - log(sum);
                want -= batch.label[b] == (uint32_t)c ? logp[b][c] : 0;
            }
        float got[2][3];
        assert_true(close_double("empty documents", class_net_train(&n, &batch, STEP), want, 1e-6));
        for (size_t i = 0; i < n.list.floats; i++)
            assert_true((n.gradient[i] != 0.0f) == (i >= bias->offset && i < bias->offset + 3));
        classifier_score(&n.model, n.team, n.value, &batch, got[0]);
        assert_true(close_floats("empty documents", got[0], logp[0], 6, 1.0, 1e-6));
        class_batch_close(&batch);
        class_net_close(&n);
    }
}

/* ---- the same bits ---- */

static void score_alone(class_net *n, const class_batch *batch, const float *want, const char *what)
{
    const int C = n->model.shape.loss.classes;
    float got[3];
    for (int b = 0; b < batch->B; b++)
        for (int padding = 0; padding < 3; padding++) {
            const int length = batch->length[b] ? batch->length[b] : 1;
            class_batch one = class_batch_part(batch, b, 1, length - batch->steps + padding);
            if (!n->model.shape.trunk.bidirectional || one.steps <= n->model.trunk.T) {
                classifier_score(&n->model, n->team, n->value, &one, got);
                assert_true(same_bits(what, got, want + b * C, (size_t)C));
            }
            class_batch_close(&one);
        }
}

static void check_scores(const classifier_shape *s)
{
    class_batch batch = class_batch_open(s, lengths, B, STEPS);
    class_net n;
    float want[B * 3], got[B * 3];
    char what[200];
    int count;
    const kernels *const *all = kernels_all(&count);
    class_net_open(&n, &(class_plan){kernels_select("scalar"), 1, STEPS, B, S, 0, 1, false}, s, 0.7f);
    classifier_score(&n.model, n.team, n.value, &batch, want);
    class_net_close(&n);
    for (int k = 0; k < count; k++)
        for (int T = s->trunk.bidirectional ? STEPS : 1; T <= STEPS + 2 && kernels_usable(all[k]); T += 2) {
            class_net_open(&n, &(class_plan){all[k], 1 + T % 4, T, B, S, 0, 1, T % 3 > 0}, s, 0.7f);
            describe(what, s, kernels_name(all[k]));
            classifier_score(&n.model, n.team, n.value, &batch, got);
            assert_true(same_bits(what, got, want, (size_t)(B * s->loss.classes)));
            score_alone(&n, &batch, want, what);
            class_net_close(&n);
        }
    class_batch_close(&batch);
}

/* Gradients of a batch with `more` steps of padding on these ranks. */
static float *train(const classifier_shape *s, const class_plan *plan, int more, uint32_t step, double *nats)
{
    class_net rank[S];
    class_batch batch = class_batch_open(s, lengths, B, STEPS), padded = class_batch_part(&batch, 0, B, more);
    for (int r = 0; r < plan->size; r++) {
        class_plan mine = *plan;
        mine.rank = r;
        class_net_open(&rank[r], &mine, s, 0.7f);
        class_net_train(&rank[r], &batch, step + 1); /* of which nothing is left */
        class_net_train(&rank[r], &padded, step);
    }
    float *sum = class_net_sum(rank, plan->size, nats);
    for (int r = 0; r < plan->size; r++)
        class_net_close(&rank[r]);
    class_batch_close(&batch);
    class_batch_close(&padded);
    return sum;
}

static void check_training(const classifier_shape *s)
{
    params list;
    classifier_params(s, &list, 1);
    const size_t floats = list.floats;
    params_free(&list);
    double want_nats, nats;
    const class_plan first = {kernels_select("scalar"), 1, STEPS, B, S, 0, 1, false};
    float *want = train(s, &first, 0, STEP, &want_nats);
    int count;
    const kernels *const *all = kernels_all(&count);
    for (int k = 0; k < count; k++)
        for (int way = 0; way < 8 && kernels_usable(all[k]); way++) {
            const int ranks = way < 4 ? 1 : way - 2; /* 1 1 1 1 2 3 4 5 */
            const int more = way == 2 || way == 3 || way == 6 ? 4 : 0;
            const class_plan plan = {all[k], 1 + way % 4, STEPS + more + 2 * (way % 2), B, S, 0,
                                     ranks,  false};
            char what[200], more_text[80];
            snprintf(more_text, sizeof more_text, "%s, %d ranks, T %d, %d more", kernels_name(all[k]), ranks,
                     plan.T, more);
            describe(what, s, more_text);
            float *got = train(s, &plan, more, STEP, &nats);
            assert_true(same_bits(what, got, want, floats));
            assert_memory_equal(&nats, &want_nats, sizeof nats);
            free(got);
        }
    free(want);
}

static void test_same_bits(void **unused)
{
    (void)unused;
    for (int i = 0; i < 10;
         i++) { /* each cell with at least two kinds of pooling, each kind with two cells */
        const int cell = i % CELLS, kind = i % POOLS;
        classifier_shape s = shape_of(cell, 1 + i / 3 % 2, i / 2 % 2, kind);
        s.hidden = i % 3 == 0 ? 5 : 0;
        s.loss.sigmoid = kind == POOL_MAX;
        s.loss.classes = s.loss.sigmoid ? 2 : 3;
        check_scores(&s);
        s.trunk.dropout = s.dropout = 0.25;
        s.loss.smoothing = 0.1;
        check_training(&s);
    }
}

/* Truncated training: cut among ranks, padded. */
static void test_truncated_bits(void **unused)
{
    (void)unused;
    classifier_shape s = shape_of(2, 2, false, POOL_CONCAT);
    s.trunk.dropout = s.dropout = 0.25;
    params list;
    classifier_params(&s, &list, 1);
    double want_nats, nats;
    float *want =
        train(&s, &(class_plan){kernels_select("scalar"), 1, 4, B, S, 0, 1, false}, 0, STEP, &want_nats);
    for (int ranks = 1; ranks <= S; ranks++) {
        float *got = train(&s, &(class_plan){kernels_select(NULL), ranks, 4, B, S, 0, ranks, false}, ranks,
                           STEP, &nats);
        assert_true(same_bits("truncated", got, want, list.floats));
        assert_memory_equal(&nats, &want_nats, sizeof nats);
        free(got);
    }
    free(want);
    params_free(&list);
}

/* Frozen groups, from the embedding up: their slabs stay untouched, what is above has the bits that it has anyway. */
static void test_frozen(void **unused)
{
    (void)unused;
    for (int groups = 0; groups <= 3; groups++)
        for (int way = 0; way < 2; way++) {
            classifier_shape s = shape_of(1, 2, way, POOL_CONCAT);
            s.trunk.dropout = s.dropout = 0.25;
            class_batch batch = class_batch_open(&s, lengths, B, STEPS);
            class_net whole, n;
            const class_plan plan = {kernels_select(NULL), 1, STEPS, B, S, 0, 1, false};
            class_net_open(&whole, &plan, &s, 0.7f);
            class_net_open(&n, &plan, &s, 0.7f);
            class_net_train(&whole, &batch, STEP);
            for (size_t i = 0; groups > 0 && i < (size_t)n.rows.nodes * n.list.gradient_floats; i++)
                n.gradient[i] = 7.0f;
            trunk_freeze(&n.model.trunk, groups);
            class_net_train(&n, &batch, STEP);
            for (int i = 0; i < n.list.count; i++) {
                const param *q = &n.list.list[i];
                const bool frozen = params_depth(&n.list, i) > 3 - groups;
                for (size_t j = 0; frozen && j < q->count; j++)
                    assert_true(n.gradient[q->offset + j] == 7.0f);
                if (!frozen)
                    assert_memory_equal(n.gradient + q->offset, whole.gradient + q->offset,
                                        q->count * sizeof(float));
            }
            class_net_close(&whole);
            class_net_close(&n);
            class_batch_close(&batch);
        }
}

/* The tests above can fail: another step has other masks. */
static void test_bits_differ(void **unused)
{
    (void)unused;
    for (int place = 0; place < 2; place++) {
        classifier_shape s = shape_of(1, 1, false, POOL_MEAN);
        *(place ? &s.dropout : &s.trunk.dropout) = 0.4;
        double nats[3];
        const class_plan plan = {kernels_select(NULL), 1, STEPS, B, S, 0, 1, false};
        for (uint32_t i = 0; i < 2; i++)
            free(train(&s, &plan, 0, i, &nats[i]));
        s.trunk.seed++;
        free(train(&s, &plan, 0, 0, &nats[2]));
        assert_true(nats[0] != nats[1] && nats[0] != nats[2] && nats[1] != nats[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells_and_poolings),
        cmocka_unit_test(test_heads_and_losses),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_truncated_bits),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_bits_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
