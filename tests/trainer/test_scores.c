/* test_scores.c - what is said of a classifier is what the definitions say.
 *
 *   every figure                    ==  scikit-learn's, on two made-up classifiers (tests/golden/scores.txt)
 *                                   ==  values worked out by hand, on five documents
 *   AUC of reversed scores          ==  1 - AUC
 *   AUC                             ==  AUC after a rising function, bit for bit, and a count of all pairs
 *   rows and columns of confusions  ==  what each class has and was given
 *   documents in another order      ==  the same counts and areas bit for bit, the same means but for rounding
 *
 * The printed text is held by one whole example, and by what it must not do with hostile names. */
#include "io/record.h"
#include "tests/compare.h"
#include "trainer/tasks/scores.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_MAX 300
#define C_MAX 16

static const char *const letters[C_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h",
                                           "i", "j", "k", "l", "m", "n", "o", "p"};

typedef struct sample {
    int n, C;
    float logp[N_MAX * C_MAX];
    uint32_t label[N_MAX];
} sample;

static scores compute(const sample *x)
{
    scores s;
    error e = {0};
    if (scores_compute(&s, x->logp, x->label, (size_t)x->n, x->C, letters, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    return s;
}

/* Adds a document of two classes. */
static void add_two(sample *x, double p, uint32_t label)
{
    x->C = 2;
    x->logp[2 * x->n] = (float)log(1 - p);
    x->logp[2 * x->n + 1] = (float)log(p);
    x->label[x->n++] = label;
}

/* ---- scikit-learn ---- */

/* The two cases as make_scores.py describes them. */
static void make_two(sample *x)
{
    *x = (sample){0};
    for (int i = 0; i < 97; i++) {
        int w = 1 + 7 * i % 15;
        add_two(x, w / 16.0, i * i % 16 < w);
    }
}

static void make_four(sample *x)
{
    static const int rows[6][4] = {{9, 4, 2, 1}, {5, 5, 3, 3}, {13, 1, 1, 1},
                                   {7, 6, 2, 1}, {4, 4, 4, 4}, {6, 6, 2, 2}};
    *x = (sample){.n = 211, .C = 4};
    for (int i = 0; i < x->n; i++) {
        int t = (i * i + i / 7) % 4, label = (t + (i % 5 < 3 ? 0 : i % 3)) % 4;
        for (int c = 0; c < 4; c++)
            x->logp[4 * i + (c + t) % 4] = (float)log(rows[i % 6][c] / 16.0);
        x->label[i] = (uint32_t)(label < 3 ? label : i % 3);
    }
}

/* Compares a key of the record with a line of the file; NaN agrees with NaN here, and with nothing else. */
static void check_line(const record *r, const char *where, char *line)
{
    char *rest = NULL, *key = strtok_r(line, " \n", &rest);
    double want[C_MAX * C_MAX], got[C_MAX * C_MAX];
    size_t n = 0;
    for (char *word; (word = strtok_r(NULL, " \n", &rest)) != NULL; n++)
        want[n] = strtod(word, NULL);
    if (!record_get_doubles(r, key, got, n) && !(n == 1 && record_get_double(r, key, got)))
        fail_msg("%s: the record has no %s of %zu numbers", where, key, n);
    for (size_t i = 0; i < n; i++)
        if (isnan(want[i]) && isnan(got[i]))
            want[i] = got[i] = 0;
    char what[80];
    snprintf(what, sizeof what, "%s, %s", where, key);
    assert_true(close_doubles(what, got, want, n, 1, 1e-6)); /* log-probabilities are floats */
}

static void test_scikit_learn(void **unused)
{
    (void)unused;
    char line[1024];
    sample x;
    scores s = {0};
    record *r = NULL;
    const char *name = NULL;
    int cases = 0, keys = 0;
    FILE *f = fopen(GOLDEN_DIR "/scores.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (line[0] == '#')
            continue;
        if (strncmp(line, "case ", 5) != 0) {
            check_line(r, name, line);
            keys++;
            continue;
        }
        name = strcmp(line, "case two\n") == 0 ? "two" : "four";
        (name[0] == 't' ? make_two : make_four)(&x);
        scores_free(&s);
        record_free(r);
        s = compute(&x);
        r = record_new();
        scores_record(r, &s);
        cases++;
    }
    fclose(f);
    assert_int_equal(cases, 2);
    assert_int_equal(keys, 2 * 20);
    int64_t count;
    const char *text;
    assert_true(record_get_int(r, "documents", &count) && count == 211);
    assert_true(record_get_int(r, "classes", &count) && count == 4);
    assert_true(record_get_text(r, "class_3", &text) && strcmp(text, "d") == 0);
    record_free(r);
    scores_free(&s);
}

/* ---- by hand ---- */

/* p of class 1, its class: .92 1, .84 0, .55 1, .27 0, .27 1; predicted 1 1 1 0 0. */
static void make_five(sample *x)
{
    *x = (sample){0};
    add_two(x, 0.92, 1);
    add_two(x, 0.84, 0);
    add_two(x, 0.55, 1);
    add_two(x, 0.27, 0);
    add_two(x, 0.27, 1);
}

static void test_by_hand(void **unused)
{
    (void)unused;
    sample x;
    make_five(&x);
    scores s = compute(&x);
    assert_int_equal(s.documents, 5);
    assert_true(close_double("accuracy", s.accuracy.share, 0.6, 1e-15));
    wilson_share interval = wilson_interval(3, 5);
    assert_true(s.accuracy.low == interval.low && s.accuracy.high == interval.high);
    static const uint64_t confusion[] = {1, 1, 1, 2};
    assert_memory_equal(s.confusion, confusion, sizeof confusion);
    assert_true(close_double("precision", s.of[1].precision, 2.0 / 3, 1e-15));
    assert_true(close_double("recall", s.of[1].recall, 2.0 / 3, 1e-15));
    assert_true(close_double("F1", s.of[0].f1, 0.5, 1e-15));
    assert_true(close_double("macro F1", s.macro.f1, 7.0 / 12, 1e-15));
    assert_true(close_double("weighted F1", s.weighted.f1, 0.6, 1e-15));
    /* pairs (1 against 0): .92 wins twice, .55 once, .27 ties once: 3.5 of 6 */
    assert_true(s.auc == 7.0 / 12);
    assert_true(close_double("loss", s.loss, -log(0.92 * 0.16 * 0.55 * 0.73 * 0.27) / 5, 1e-6));
    double brier = (0.08 * 0.08 + 0.84 * 0.84 + 0.45 * 0.45 + 0.27 * 0.27 + 0.73 * 0.73) / 5;
    assert_true(close_double("Brier", s.brier, brier, 1e-6));
    /* bins: (.9,1] one, right; (.8,.9] one, wrong; (.7,.8] two, one right; (.5,.6] one, right */
    assert_int_equal(s.bin[7].count, 2);
    assert_int_equal(s.bin[7].right, 1);
    double off = (0.08 + 0.84 + 2 * 0.23 + 0.45) / 5;
    assert_true(close_double("calibration error", s.calibration_error, off, 1e-6));
    scores_free(&s);
    scores_free(&s);
}

/* Equal log-probabilities give the smallest index; of a class that no document is of nothing is said, whether one is
 * called so or not, and the means are of the others. */
static void test_edges(void **unused)
{
    (void)unused;
    sample x = {.n = 2, .C = 3, .logp = {-2, -1, -1, -1, -1, -1}, .label = {1, 1}};
    scores s = compute(&x);
    assert_int_equal(s.confusion[3 * 1 + 1], 1); /* the first document: 1, not 2 */
    assert_int_equal(s.confusion[3 * 1 + 0], 1); /* the second: 0 */
    for (int c = 0; c < 3; c += 2)
        assert_true(isnan(s.of[c].precision) && isnan(s.of[c].recall) && isnan(s.of[c].f1));
    assert_true(s.present == 1 && s.macro.precision == 1 && s.macro.recall == 0.5 &&
                s.weighted.recall == 0.5);
    for (int c = 0; c < 3; c++)
        assert_true(isnan(s.of[c].auc)); /* all documents are of class 1 */
    assert_true(isnan(s.auc));
    scores_free(&s);

    sample certain = {.n = 2, .C = 2, .logp = {0, -INFINITY, -INFINITY, 0}, .label = {0, 0}};
    s = compute(&certain);
    assert_true(s.loss == INFINITY && s.brier == 0.5 && s.bin[9].count == 2);
    assert_true(s.calibration_error == 0.5);
    scores_free(&s);
}

static void test_refused(void **unused)
{
    (void)unused;
    static const float bad[] = {-1, -1, -1, NAN}, infinite[] = {-1, -1, -1, INFINITY};
    static const uint32_t label[] = {0, 1};
    scores s;
    error e = {0};
    assert_int_equal(scores_compute(&s, bad, label, 0, 2, letters, &e), STATUS_BAD_DATA);
    assert_int_equal(scores_compute(&s, bad, label, 2, 2, letters, &e), STATUS_INTERNAL);
    assert_non_null(strstr(e.text, "document 1: the log-probability of class 1 is nan"));
    assert_int_equal(scores_compute(&s, infinite, label, 2, 2, letters, &e), STATUS_INTERNAL);
    assert_true(s.of == NULL && s.confusion == NULL);
}

/* ---- identities ---- */

static void test_areas(void **unused)
{
    (void)unused;
    sample x, y, z;
    for (int which = 0; which < 2; which++) {
        (which == 0 ? make_two : make_four)(&x);
        y = z = x;
        for (int i = 0; i < x.n * x.C; i++) {
            y.logp[i] = -8 - x.logp[i];                          /* reversed */
            z.logp[i] = x.logp[i] * 0.25F - (x.logp[i] < -1.5F); /* rising: scaled, and a jump */
        }
        scores s = compute(&x), reversed = compute(&y), raised = compute(&z);
        for (int c = 0; c < x.C; c++) {
            uint64_t twice = 0, pairs = 0;
            for (int i = 0; i < x.n; i++)
                for (int j = 0; j < x.n; j++)
                    if (x.label[i] == (uint32_t)c && x.label[j] != (uint32_t)c) {
                        float up = x.logp[i * x.C + c], down = x.logp[j * x.C + c];
                        twice += up > down ? 2 : up == down;
                        pairs++;
                    }
            if (pairs == 0)
                continue;
            assert_true(s.of[c].auc == (double)twice / (2.0 * (double)pairs));
            assert_true(close_double("reversed", reversed.of[c].auc, 1 - s.of[c].auc, 1e-15));
            assert_true(raised.of[c].auc == s.of[c].auc);
        }
        scores_free(&s);
        scores_free(&reversed);
        scores_free(&raised);
    }
}

static void test_sums(void **unused)
{
    (void)unused;
    sample x;
    make_four(&x);
    scores s = compute(&x);
    uint64_t all = 0, right = 0, binned = 0;
    for (int c = 0; c < 4; c++) {
        uint64_t row = 0, column = 0;
        for (int p = 0; p < 4; p++) {
            row += s.confusion[4 * c + p];
            column += s.confusion[4 * p + c];
        }
        assert_int_equal(row, s.of[c].support);
        assert_int_equal(column, s.of[c].predicted);
        assert_int_equal(s.confusion[5 * c], s.of[c].right);
        all += row;
        right += s.confusion[5 * c];
    }
    for (int b = 0; b < SCORES_BINS; b++)
        binned += s.bin[b].count;
    assert_int_equal(all, s.documents);
    assert_int_equal(binned, s.documents);
    assert_true(close_double("accuracy", s.accuracy.share, (double)right / (double)all, 1e-15));
    assert_true(close_double("weighted recall", s.weighted.recall, s.accuracy.share, 1e-14));
    scores_free(&s);
}

static void test_order(void **unused)
{
    (void)unused;
    sample x, y;
    make_four(&x);
    y = x;
    for (int i = 0; i < x.n; i++) { /* 37 and 211 have no common factor: each document once */
        int from = 37 * i % x.n;
        memcpy(y.logp + 4 * i, x.logp + 4 * from, 4 * sizeof(float));
        y.label[i] = x.label[from];
    }
    scores a = compute(&x), b = compute(&y);
    assert_memory_equal(a.confusion, b.confusion, 16 * sizeof(uint64_t));
    assert_true(a.auc == b.auc && a.macro.f1 == b.macro.f1 && a.accuracy.low == b.accuracy.low);
    for (int i = 0; i < SCORES_BINS; i++)
        assert_int_equal(a.bin[i].count, b.bin[i].count);
    assert_true(close_double("loss", a.loss, b.loss, 1e-13));
    assert_true(close_double("Brier", a.brier, b.brier, 1e-13));
    assert_true(close_double("calibration error", a.calibration_error, b.calibration_error, 1e-12));
    scores_free(&a);
    scores_free(&b);
}

/* ---- text ---- */

/* One buffer, used again by the next call. */
static const char *printed(const scores *s)
{
    static char text[8192];
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_non_null(out);
    scores_print(out, s);
    fclose(out);
    return text;
}

static void test_text(void **unused)
{
    (void)unused;
    static const char *const names[] = {"a\x1b[31m", "\xc3\xa9t\xc3\xa9"};
    static const char want[] =
        "documents 5, loss 0.8276 nats, accuracy 60.00 % (95 %: 23.07 to 88.24)\n"
        "AUC 0.5833, Brier score 0.3041, calibration error 0.3660\n"
        "\n"
        "class                    precision    recall        F1       AUC documents\n"
        "a\\x1b[31m                   0.5000    0.5000    0.5000    0.5833         2\n"
        "\xc3\xa9t\xc3\xa9                         0.6667    0.6667    0.6667    0.5833         3\n"
        "mean over classes           0.5833    0.5833    0.5833\n"
        "weighted by documents       0.6000    0.6000    0.6000\n"
        "\n"
        "true \\ predicted            a\\x1b[31m          \xc3\xa9t\xc3\xa9\n"
        "a\\x1b[31m                           1            1\n"
        "\xc3\xa9t\xc3\xa9                                 1            2\n"
        "\n"
        "top probability               mean  accuracy documents\n"
        "0.5 to 0.6                  0.5500    1.0000         1\n"
        "0.7 to 0.8                  0.7300    0.5000         2\n"
        "0.8 to 0.9                  0.8400    0.0000         1\n"
        "0.9 to 1.0                  0.9200    1.0000         1\n";
    sample x;
    scores s;
    make_five(&x);
    assert_int_equal(scores_compute(&s, x.logp, x.label, 5, 2, names, NULL), STATUS_OK);
    const char *text = printed(&s);
    if (strcmp(text, want) != 0)
        fail_msg("printed:\n%s\nwanted:\n%s", text, want);
    scores_free(&s);
    x.label[0] = x.label[2] = x.label[4] = 0; /* none is of class 1 now */
    assert_int_equal(scores_compute(&s, x.logp, x.label, 5, 2, names, NULL), STATUS_OK);
    text = printed(&s);
    if (!strstr(text,
                "\n\xc3\xa9t\xc3\xa9                              -         -         -         -         0\n"
                "mean over classes           1.0000    0.4000    0.5714\n"
                "weighted by documents       1.0000    0.4000    0.5714\n"
                "no document here is of 1 of the 2 classes; the means leave it out\n\n"))
        fail_msg("printed:\n%s", text);
    scores_free(&s);
}

/* With many classes the pairs that are confused most, by falling count and then by place. */
static void test_many_classes(void **unused)
{
    (void)unused;
    sample x = {.n = 0, .C = C_MAX};
    static const int pairs[][3] = {{3, 4, 2}, {1, 0, 5}, {1, 2, 2}, {7, 7, 9}}; /* true, predicted, times */
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < pairs[i][2]; k++) {
            for (int c = 0; c < C_MAX; c++)
                x.logp[x.n * C_MAX + c] = c == pairs[i][1] ? -0.5F : -5.0F;
            x.label[x.n++] = (uint32_t)pairs[i][0];
        }
    scores s = compute(&x);
    const char *text = printed(&s), *first = strstr(text, "b                        a");
    assert_non_null(first);
    const char *second = strstr(first, "b                        c"),
               *third = strstr(first, "d                        e");
    assert_true(second != NULL && third != NULL && second < third);
    assert_null(strstr(text, "h                        h"));
    assert_null(strstr(text, "true \\ predicted"));
    scores_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scikit_learn), cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_edges),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_areas),        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_order),        cmocka_unit_test(test_text),
        cmocka_unit_test(test_many_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
