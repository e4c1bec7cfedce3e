/* test_pooling - one vector from a sequence, against the definitions in plain double.
 *
 *   result          ==  the definition over the whole sequence                          to 2e-6
 *   its gradients   ==  finite differences of that definition                           to 2e-6 of the largest
 *   windows of any lengths, any table, any threads, a row alone  ==  one window         bit for bit
 *   what a window of several gives its y  ==  the same times of one window              bit for bit
 *
 * for every kind, of one direction and of two; widths beside the vectors and a task's 64 columns, primes.  Rows begin
 * and end anywhere; those without any time give zeros and get no gradient; of equal maxima the first one counts; what is
 * not a number stays seen.  Every output array has a canary behind it. */
#include "kernels/pooling.h"
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

enum { STEPS = 9, B = 6, KINDS = POOL_ATTENTION + 1 };
static const int begin[B] = {0, 3, 8, 5, 0, 4}, end[B] = {9, 9, 9, 5, 4, 7};
static const char *const kind_names[KINDS] = {"last", "mean", "max", "concat", "attention"};

typedef struct problem {
    pool_kind kind;
    int W;
    bool both;
    float *y, *score, *dout; /* (STEPS,B,Wp), (STEPS,B,16), (B,Dp) */
} problem;

typedef struct answer {
    float *out, *dy, *dscore; /* gradients of the newest window */
} answer;

static problem open_problem(pool_kind kind, int W, bool both)
{
    problem q = {kind, W, both, NULL, NULL, NULL};
    q.y = array_rows(STEPS * B, W, 1.0f, 1);
    q.score = array_random((size_t)STEPS * B * 16, 3.0f, 2); /* columns behind the first must not matter */
    q.dout = array_rows(B, pooling_width(kind, W), 1.0f, 3);
    return q;
}

static void close_problem(problem *q)
{
    free(q->y);
    free(q->score);
    free(q->dout);
}

static void close_answer(answer *a)
{
    free(a->out);
    free(a->dy);
    free(a->dscore);
}

/* ---- the kernel ---- */

static int within(int t, int T)
{
    return t < 0 ? 0 : t < T ? t : T;
}

/* Windows of the lengths that `cuts` names, the last one again and again; rows [row0, row0 + rows). */
typedef struct way {
    const kernels *table;
    int threads;
    const char *cuts;
    int row0, rows;
} way;

static answer run(const problem *q, const way *w)
{
    const int D = PAD16(pooling_width(q->kind, q->W)), Wp = PAD16(q->W);
    const size_t of_out = (size_t)(w->rows * D);
    answer a = {.out = array_blank(of_out)};
    int from[B], to[B], T;
    team *t = team_open(w->threads, w->table);
    arena memory = {0};
    pooling p;
    pooling_plan(&p, &memory, q->kind, q->W, q->both, w->rows + w->threads % 2);
    assert_true(arena_commit(&memory));
    for (int twice = 0; twice < 2; twice++) { /* the second time nothing of the first is seen */
        pooling_start(&p);
        const char *cut = w->cuts;
        for (int first = 0; first < STEPS; first += T) {
            T = *cut - '0' < STEPS - first ? *cut - '0' : STEPS - first;
            cut += cut[1] != '\0';
            for (int b = 0; b < w->rows; b++) {
                from[b] = within(begin[w->row0 + b] - first, T);
                to[b] = within(end[w->row0 + b] - first, T);
            }
            const size_t of_y = (size_t)(T * w->rows * Wp), of_score = (size_t)(T * w->rows * 16);
            float *y = array_cut(q->y + first * B * Wp, T, B, Wp, w->row0, w->rows),
                  *score = array_cut(q->score + first * B * 16, T, B, 16, w->row0, w->rows);
            free(a.dy);
            free(a.dscore);
            a.dy = array_blank(of_y);
            a.dscore = array_blank(of_score);
            pooling_add(&p, t, y, score, T, w->rows, from, to);
            pooling_backward(&p, t, q->dout + w->row0 * D, y, score, a.dy, a.dscore, T, w->rows, from, to);
            array_check(a.dy, of_y);
            array_check(a.dscore, of_score);
            free(y);
            free(score);
        }
        pooling_result(&p, t, a.out, w->rows);
        array_check(a.out, of_out);
    }
    arena_free(&memory);
    team_close(t);
    return a;
}

static int last_window(const char *cuts)
{
    int first = 0;
    for (int T = 0; first + T < STEPS; cuts += cuts[1] != '\0') {
        first += T;
        T = *cuts - '0';
    }
    return first;
}

/* ---- the definitions ---- */

static double largest(const double *y, int n)
{
    double max = y[0];
    for (int t = 1; t < n; t++)
        max = fmax(max, y[t]);
    return max;
}

static double weighted(const double *y, const double *score, int n)
{
    double sum = 0, mass = 0;
    for (int t = 0; t < n; t++) {
        sum += exp(score[t]) * y[t];
        mass += exp(score[t]);
    }
    return sum / mass;
}

static double mean(const double *y, int n)
{
    double sum = 0;
    for (int t = 0; t < n; t++)
        sum += y[t];
    return sum / n;
}

/* Column c of row b, into the one or three places that it has in out (D). */
static void pool(const problem *q, int c, const double *y, const double *score, int n, double *out)
{
    const double last = y[q->both && c >= q->W / 2 ? 0 : n - 1];
    switch (q->kind) {
    case POOL_LAST:
        out[c] = last;
        break;
    case POOL_MEAN:
        out[c] = mean(y, n);
        break;
    case POOL_MAX:
        out[c] = largest(y, n);
        break;
    case POOL_CONCAT:
        out[c] = last;
        out[q->W + c] = largest(y, n);
        out[2 * q->W + c] = mean(y, n);
        break;
    case POOL_ATTENTION:
        out[c] = weighted(y, score, n);
        break;
    }
}

static void column(const problem *q, int b, int c, double *y, double *score)
{
    for (int t = begin[b]; t < end[b]; t++) {
        y[t - begin[b]] = (double)q->y[(t * B + b) * PAD16(q->W) + c];
        score[t - begin[b]] = (double)q->score[(t * B + b) * 16];
    }
}

/* Sum over what column c has in out of dout: the loss whose gradient backward gives. */
static double loss_of(const problem *q, int b, int c, const double *y, const double *score)
{
    const int D = pooling_width(q->kind, q->W), n = end[b] - begin[b];
    double out[3 * 256] = {0}, sum = 0;
    pool(q, c, y, score, n, out);
    for (int i = c; i < D; i += q->W)
        sum += out[i] * (double)q->dout[b * PAD16(D) + i];
    return sum;
}

static void differences(const problem *q, double *dy, double *dscore)
{
    const double e = 1e-6;
    double y[STEPS], score[STEPS];
    for (int b = 0; b < B; b++)
        for (int c = 0; c < q->W; c++) {
            column(q, b, c, y, score);
            for (int t = begin[b]; t < end[b]; t++) {
                double *const at[] = {&y[t - begin[b]], &score[t - begin[b]]};
                double *const to[] = {&dy[(t * B + b) * PAD16(q->W) + c], &dscore[(t * B + b) * 16]};
                for (int i = 0; i < 2; i++) {
                    const double keep = *at[i];
                    *at[i] = keep + e;
                    const double up = loss_of(q, b, c, y, score);
                    *at[i] = keep - e;
                    *to[i] += (up - loss_of(q, b, c, y, score)) / (2 * e);
                    *at[i] = keep;
                }
            }
        }
}

static void check_plain(const problem *q, const answer *a)
{
    const int D = pooling_width(q->kind, q->W), Dp = PAD16(D), Wp = PAD16(q->W);
    const size_t of_out = (size_t)(B * Dp), of_y = (size_t)(STEPS * B * Wp),
                 of_score = (size_t)STEPS * B * 16;
    double *out = array_doubles(of_out), *dy = array_doubles(of_y), *dscore = array_doubles(of_score);
    double y[STEPS], score[STEPS];
    for (int b = 0; b < B; b++)
        for (int c = 0; c < q->W && begin[b] < end[b]; c++) {
            column(q, b, c, y, score);
            pool(q, c, y, score, end[b] - begin[b], out + b * Dp);
        }
    differences(q, dy, dscore);
    char what[100];
    snprintf(what, sizeof what, "%s of %d%s", kind_names[q->kind], q->W, q->both ? ", both directions" : "");
    assert_true(close_floats(what, a->out, out, of_out, 1.0, 2e-6));
    assert_true(close_floats(what, a->dy, dy, of_y, compare_largest(dy, of_y), 2e-6));
    if (q->kind == POOL_ATTENTION)
        assert_true(close_floats(what, a->dscore, dscore, of_score, compare_largest(dscore, of_score), 2e-6));
    free(out);
    free(dy);
    free(dscore);
}

static void check_way(const problem *q, const answer *whole, const way *w)
{
    const int Dp = PAD16(pooling_width(q->kind, q->W)), Wp = PAD16(q->W), first = last_window(w->cuts),
              T = STEPS - first;
    char what[200];
    snprintf(what, sizeof what, "%s of %d, %s, %d threads, windows %s, row %d", kind_names[q->kind], q->W,
             kernels_name(w->table), w->threads, w->cuts, w->row0);
    answer a = run(q, w);
    float *dy = array_cut(whole->dy + first * B * Wp, T, B, Wp, w->row0, w->rows),
          *dscore = array_cut(whole->dscore + first * B * 16, T, B, 16, w->row0, w->rows);
    assert_true(same_bits(what, a.out, whole->out + w->row0 * Dp, (size_t)(w->rows * Dp)));
    assert_true(same_bits(what, a.dy, dy, (size_t)(T * w->rows * Wp)));
    if (q->kind == POOL_ATTENTION)
        assert_true(same_bits(what, a.dscore, dscore, (size_t)(T * w->rows * 16)));
    free(dy);
    free(dscore);
    close_answer(&a);
}

/* Each table with two of the ways to cut the windows and with one row alone, others each turn. */
static void check(const problem *q, int turn)
{
    static const char *const cuts[8] = {"9", "1", "2", "45", "54", "1233", "81", "711"};
    int count;
    const kernels *const *all = kernels_all(&count);
    answer whole = run(q, &(way){kernels_select("scalar"), 1, "9", 0, B});
    check_plain(q, &whole);
    for (int k = 0; k < count; k++) {
        const int i = (turn + k) % 8, b = (turn + k) % B;
        if (!table_usable(all[k]))
            continue;
        check_way(q, &whole, &(way){all[k], 1 + i, cuts[i], 0, B});
        check_way(q, &whole, &(way){all[k], 2, cuts[(i + 3) % 8], 0, B});
        check_way(q, &whole, &(way){all[k], 1, cuts[(i + 6) % 8], b, 1});
    }
    close_answer(&whole);
}

/* ---- tests ---- */

static void test_kinds(void **state)
{
    (void)state;
    static const int widths[] = {1, 2, 3, 15, 16, 17, 31, 32, 34, 47, 48, 49, 63, 64, 65, 130};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (int kind = 0; kind < KINDS; kind++)
            for (int both = 0; both <= (widths[i] % 2 == 0); both++) {
                problem q = open_problem((pool_kind)kind, widths[i], both);
                check(&q, (int)i + kind + 4 * both);
                close_problem(&q);
            }
}

/* A row that has no time, in the middle of others, whatever stands at its places. */
static void test_empty_rows(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        problem q = open_problem((pool_kind)kind, 20, true);
        const int D = PAD16(pooling_width((pool_kind)kind, 20));
        for (int t = 0; t < STEPS; t++) {
            q.score[(t * B + 3) * 16] = NAN;
            for (int c = 0; c < 20; c++)
                q.y[(t * B + 3) * 32 + c] = NAN;
        }
        answer a = run(&q, &(way){kernels_select(NULL), 2, "54", 0, B});
        for (int i = 0; i < D; i++)
            assert_true(a.out[3 * D + i] == 0.0f);
        for (int t = 0; t < 4; t++) {
            for (int c = 0; c < 32; c++)
                assert_true(a.dy[(t * B + 3) * 32 + c] == 0.0f);
            assert_true(kind != POOL_ATTENTION || a.dscore[(t * B + 3) * 16] == 0.0f);
        }
        for (int i = 0; i < B * D; i++)
            assert_true(!isnan(a.out[i])); /* nor do the others see it */
        close_answer(&a);
        close_problem(&q);
    }
}

/* Of equal ones the first gets the gradient, in the window where it stands. */
static void test_ties(void **state)
{
    (void)state;
    problem q = open_problem(POOL_MAX, 3, false);
    const int at[] = {2, 4, 7}; /* of row 0 */
    for (int i = 0; i < 3; i++)
        q.y[at[i] * B * 16 + 1] = 2.0f;
    answer one = run(&q, &(way){kernels_select(NULL), 1, "9", 0, B}),
           two = run(&q, &(way){kernels_select(NULL), 1, "45", 0, B});
    assert_true(one.out[1] == 2.0f && two.out[1] == 2.0f);
    for (int t = 0; t < STEPS; t++)
        assert_true(one.dy[t * B * 16 + 1] == (t == 2 ? q.dout[1] : 0.0f));
    for (int t = 0; t < 5; t++)
        assert_true(two.dy[t * B * 16 + 1] == 0.0f);
    close_answer(&one);
    close_answer(&two);
    close_problem(&q);
}

static void test_not_a_number(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int at = 0; at < STEPS; at += 4) {
            problem q = open_problem((pool_kind)kind, 5, false);
            const int D = PAD16(pooling_width((pool_kind)kind, 5)), from = kind == POOL_CONCAT ? 5 : 0;
            q.y[at * B * 16 + 2] = NAN;
            answer a = run(&q, &(way){kernels_select(NULL), 1, "3", 0, B});
            if (kind == POOL_LAST)
                assert_int_equal(isnan(a.out[2]), at == STEPS - 1);
            for (int i = from + 2; kind != POOL_LAST && i < pooling_width((pool_kind)kind, 5); i += 5)
                assert_true(isnan(a.out[i]));
            for (int i = D; i < B * D; i++)
                assert_true(!isnan(a.out[i]));
            close_answer(&a);
            if (kind == POOL_ATTENTION) { /* a score */
                q.y[at * B * 16 + 2] = 0.0f;
                q.score[at * B * 16] = NAN;
                a = run(&q, &(way){kernels_select(NULL), 1, "3", 0, B});
                assert_true(isnan(a.out[0]) && isnan(a.out[4]));
                close_answer(&a);
            }
            close_problem(&q);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds), cmocka_unit_test(test_empty_rows),
                                       cmocka_unit_test(test_ties), cmocka_unit_test(test_not_a_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
