/* test_class_loss - the loss of classes against its formula in plain double, and itself.
 *
 *   log p, loss    ==  the formula of class_loss.h by libm in double        to 1e-12 (loss of rows and all), one rounding (log p)
 *   gradient       ==  finite differences of that loss in double            to 1e-6 of the largest share
 *   any table, threads, ranks  ==  scalar, one, one                         bit for bit
 *   a row alone    ==  the row among others                                 bit for bit
 *
 * softmax and sigmoid, with and without class weights and label smoothing, rows without a label, empty shards; logits
 * of 1e4 stay finite, minus infinity is an impossible class, what is not a number is seen. */
#include "kernels/class_loss.h"
#include "kernels/rng.h"
#include "kernels/sums.h"
#include "tests/compare.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CLASSES_MAX = 67, RANKS = 8 };

typedef struct problem {
    class_loss loss;
    int B, S;
    float *logits; /* (B,PAD16(N)) */
    uint32_t *label;
} problem;

typedef struct answer {
    float *gradient;
    double nats;
} answer;

static float weights[CLASSES_MAX];

static problem open_problem(int classes, bool sigmoid, bool weighted, double smoothing, int B, int S)
{
    problem q = {{.classes = classes, .sigmoid = sigmoid, .smoothing = smoothing}, B, S, NULL, NULL};
    float *w = array_random(CLASSES_MAX, 0.9f, 1);
    for (int c = 0; c < CLASSES_MAX; c++)
        weights[c] = 1.0f + w[c];
    free(w);
    q.loss.weight = weighted ? weights : NULL;
    q.logits = array_rows((size_t)B, class_logits(&q.loss), 4.0f, 2);
    q.label = malloc((size_t)B * sizeof *q.label);
    assert_non_null(q.label);
    const rng_place place = {.seed = 5, .purpose = RNG_TEST};
    for (int b = 0; b < B; b++)
        q.label[b] = b % 5 == 3 ? CLASS_NONE : (uint32_t)(rng_uniform(&place, (uint32_t)b) * (float)classes);
    return q;
}

static void close_problem(problem *q)
{
    free(q->logits);
    free(q->label);
}

/* ---- the formula ---- */

static double log_p(const class_loss *l, const double *z, int c)
{
    if (l->sigmoid) /* log of 1/(1 + exp(-z)), for p_0 of -z */
        return z[0] * (c ? 1 : -1) > -700 ? -log1p(exp(-z[0] * (c ? 1 : -1))) : z[0] * (c ? 1 : -1);
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < l->classes; i++)
        max = fmax(max, z[i]);
    for (int i = 0; i < l->classes; i++)
        sum += exp(z[i] - max);
    return z[c] - max - log(sum);
}

static double nats_of(const class_loss *l, const double *z, uint32_t label)
{
    double spread = 0;
    for (int c = 0; c < l->classes; c++)
        spread -= (l->weight ? (double)l->weight[c] : 1.0) * log_p(l, z, c);
    const double own = (l->weight ? (double)l->weight[label] : 1.0) * log_p(l, z, (int)label);
    return -(1 - l->smoothing) * own + (l->smoothing > 0 ? l->smoothing / l->classes * spread : 0.0);
}

static void row_of(const problem *q, int b, double *z)
{
    const int N = class_logits(&q->loss);
    for (int c = 0; c < N; c++)
        z[c] = (double)q->logits[b * PAD16(N) + c];
}

static double nats_sum(const problem *q)
{
    double sum = 0, z[CLASSES_MAX];
    for (int b = 0; b < q->B; b++)
        if (q->label[b] != CLASS_NONE) {
            row_of(q, b, z);
            sum += nats_of(&q->loss, z, q->label[b]);
        }
    return sum;
}

/* ---- the kernel ---- */

static answer train(const problem *q, const kernels *k, int threads, int ranks)
{
    const int ld = PAD16(class_logits(&q->loss));
    answer a = {.gradient = array_blank((size_t)(q->B * ld))};
    shard_node node[RANKS * SHARD_NODES_MAX];
    double nats[RANKS * SHARD_NODES_MAX];
    int nodes = 0;
    team *t = team_open(threads, k);
    for (int r = 0; r < ranks; r++) {
        shards p;
        shards_init(&p, q->B, q->S, r, ranks);
        float *part = array_blank((size_t)(p.rows * ld));
        double *rows = malloc(((size_t)p.rows + 1) * sizeof *rows);
        assert_non_null(rows);
        class_loss_train(&q->loss, t, q->logits + p.row0 * ld, q->label + p.row0, &p, part, rows,
                         nats + nodes);
        for (int b = 0; b < p.rows; b++) {
            double z[CLASSES_MAX], want = 0.0;
            row_of(q, p.row0 + b, z);
            if (q->label[p.row0 + b] != CLASS_NONE)
                want = nats_of(&q->loss, z, q->label[p.row0 + b]);
            assert_true(close_doubles("a row's loss", rows + b, &want, 1, 1e-3, 1e-12));
        }
        free(rows);
        array_check(part, (size_t)(p.rows * ld));
        memcpy(a.gradient + p.row0 * ld, part, (size_t)(p.rows * ld) * sizeof *part);
        memcpy(node + nodes, p.node, (size_t)p.nodes * sizeof *node);
        nodes += p.nodes;
        free(part);
    }
    team_close(t);
    a.nats = sums_tree_double(nats, node, nodes, q->S);
    return a;
}

static void check_log_probabilities(const problem *q, const kernels *k, int threads)
{
    const int C = q->loss.classes, ld = PAD16(class_logits(&q->loss));
    double z[CLASSES_MAX], want[CLASSES_MAX];
    team *t = team_open(threads, k);
    float *got = array_blank((size_t)(q->B * C)), *alone = array_blank((size_t)C);
    class_log_probabilities(&q->loss, t, q->logits, q->B, got);
    array_check(got, (size_t)(q->B * C));
    for (int b = 0; b < q->B; b++) {
        row_of(q, b, z);
        for (int c = 0; c < C; c++)
            want[c] = log_p(&q->loss, z, c);
        assert_true(close_floats("log p", got + b * C, want, (size_t)C, 1e-30, 1e-7));
        class_log_probabilities(&q->loss, t, q->logits + b * ld, 1, alone);
        assert_true(same_bits("alone", alone, got + b * C, (size_t)C));
    }
    team_close(t);
    free(got);
    free(alone);
}

static void check_differences(const problem *q, const answer *a)
{
    const int N = class_logits(&q->loss), ld = PAD16(N);
    const double e = 1e-5;
    double z[CLASSES_MAX], want[CLASSES_MAX];
    for (int b = 0; b < q->B; b++) {
        const float *got = a->gradient + b * ld;
        row_of(q, b, z);
        for (int c = 0; c < ld; c++)
            assert_true((c < N && q->label[b] != CLASS_NONE) || got[c] == 0.0f);
        for (int c = 0; c < N && q->label[b] != CLASS_NONE; c++) {
            const double keep = z[c];
            z[c] = keep + e;
            const double up = nats_of(&q->loss, z, q->label[b]);
            z[c] = keep - e;
            want[c] = (up - nats_of(&q->loss, z, q->label[b])) / (2 * e);
            z[c] = keep;
        }
        if (q->label[b] != CLASS_NONE)
            assert_true(close_floats("gradient", got, want, (size_t)N, 1.0, 1e-7));
    }
}

/* Each table with one number of threads and ranks, another one each turn. */
static void check(const problem *q, int turn)
{
    int count;
    const kernels *const *all = kernels_all(&count);
    const size_t n = (size_t)(q->B * PAD16(class_logits(&q->loss)));
    answer want = train(q, kernels_select("scalar"), 1, 1);
    assert_true(close_doubles("loss", &want.nats, (double[]){nats_sum(q)}, 1, 1e-3, 1e-12));
    check_differences(q, &want);
    for (int k = 0; k < count; k++) {
        const int i = 1 + (turn + 3 * k) % 8;
        if (!table_usable(all[k]))
            continue;
        answer got = train(q, all[k], i, i <= q->S ? i : q->S);
        assert_true(same_bits("gradient", got.gradient, want.gradient, n));
        assert_memory_equal(&got.nats, &want.nats, sizeof got.nats);
        free(got.gradient);
        check_log_probabilities(q, all[k], i);
    }
    free(want.gradient);
}

/* ---- tests ---- */

static void test_formula(void **state)
{
    (void)state;
    static const int classes[] = {2, 3, 7, 15, 16, 17, 31, 32, 33, 48, 49, 67};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        for (int way = 0; way < 8; way++) {
            const bool sigmoid = way & 1;
            problem q = open_problem(sigmoid ? 2 : classes[i], sigmoid, way & 2, way & 4 ? 0.1 : 0.0, 13,
                                     1 + way % 8);
            check(&q, (int)i + way);
            close_problem(&q);
        }
}

static void test_empty_shards(void **state)
{
    (void)state;
    problem q = open_problem(3, false, true, 0.2, 3, 7);
    for (int turn = 0; turn < 8; turn++)
        check(&q, turn);
    close_problem(&q);
}

/* log p of one row, its loss and its gradient. */
static double one_row(const class_loss *l, float a, float b, uint32_t label, float logp[2], float *gradient)
{
    float logits[16] = {a, b}, g[16];
    double row, nats;
    shards p;
    shards_init(&p, 1, 1, 0, 1);
    team *t = team_open(1, kernels_select(NULL));
    class_log_probabilities(l, t, logits, 1, logp);
    class_loss_train(l, t, logits, &label, &p, g, &row, &nats);
    team_close(t);
    *gradient = g[0];
    return nats;
}

static void test_extremes(void **state)
{
    (void)state;
    const class_loss softmax = {.classes = 2}, sigmoid = {.classes = 2, .sigmoid = true};
    float logp[2], g;
    for (int sign = -1; sign <= 1; sign += 2) {
        const float z = 1e4f * (float)sign;
        for (uint32_t label = 0; label < 2; label++) {
            const bool right = label == (sign > 0);
            assert_true(one_row(&softmax, 0.0f, z, label, logp, &g) == (right ? 0.0 : 1e4));
            assert_true(logp[label] == (right ? 0.0f : -1e4f) && logp[!label] == (right ? -1e4f : 0.0f));
            assert_true(g == (right ? 0.0f : label ? 1.0f : -1.0f)); /* by the first class's logit */
            assert_true(one_row(&sigmoid, z, 0.0f, label, logp, &g) == (right ? 0.0 : 1e4));
            assert_true(logp[label] == (right ? 0.0f : -1e4f) && logp[!label] == (right ? -1e4f : 0.0f));
            assert_true(g == (right ? 0.0f : label ? -1.0f : 1.0f)); /* by the second class's */
        }
    }
    assert_true(one_row(&softmax, 3.0f, -INFINITY, 0, logp, &g) == 0.0);
    assert_true(logp[0] == 0.0f && logp[1] == -INFINITY && g == 0.0f);
    assert_true(one_row(&softmax, 3.0f, -INFINITY, 1, logp, &g) == (double)INFINITY);
    for (int at = 0; at < 2; at++)
        for (int bad = 0; bad < 2; bad++) {
            const float x = bad ? INFINITY : NAN;
            assert_true(isnan(one_row(&softmax, at ? 0.0f : x, at ? x : 0.0f, 0, logp, &g)));
            assert_true(isnan(logp[0]) && isnan(logp[1]) && isnan(g));
        }
    assert_true(isnan(one_row(&sigmoid, NAN, 0.0f, 1, logp, &g)) && isnan(logp[0]) && isnan(logp[1]) &&
                isnan(g));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formula), cmocka_unit_test(test_empty_shards),
                                       cmocka_unit_test(test_extremes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
