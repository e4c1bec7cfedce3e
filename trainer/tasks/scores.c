#include "trainer/tasks/scores.h"

#include "io/bug.h"
#include "kernels/class_loss.h"
#include "kernels/dmath.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct ranked {
    float score;
    bool positive;
} ranked;

static double ratio(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0.0;
}

static status check(const float *logp, const uint32_t *label, size_t n, int C, error *e)
{
    if (n == 0 || n > UINT32_MAX) /* twice the pairs, n^2 / 2 at most, are counted in 64 bits */
        return fail(e, STATUS_BAD_DATA, "scores of %zu documents; 1 to %" PRIu32 " are possible", n,
                    UINT32_MAX);
    for (size_t i = 0; i < n; i++) {
        BUG_IF(label[i] >= (uint32_t)C, "document %zu is of class %" PRIu32 " of %d", i, label[i], C);
        for (int c = 0; c < C; c++)
            if (!(logp[i * (size_t)C + (size_t)c] < INFINITY))
                return fail(e, STATUS_INTERNAL,
                            "document %zu: the log-probability of class %d is %g; the model has diverged", i,
                            c, (double)logp[i * (size_t)C + (size_t)c]);
    }
    return STATUS_OK;
}

/* sum_c (p_c - [c is the label])^2 */
static double squared_error(const float *row, int C, uint32_t label)
{
    double sum = 0;
    for (int c = 0; c < C; c++) {
        double off = d_exp((double)row[c]) - ((uint32_t)c == label ? 1.0 : 0.0);
        sum += off * off;
    }
    return sum;
}

static scores_bin *bin_of(scores *s, double confidence)
{
    int b = 0;
    while (b < SCORES_BINS - 1 && confidence > (b + 1) / (double)SCORES_BINS)
        b++;
    return &s->bin[b];
}

/* What is summed over documents: counts, and sums that finish_means() divides. */
static void count_documents(scores *s, const float *logp, const uint32_t *label)
{
    const size_t C = (size_t)s->classes;
    for (uint64_t i = 0; i < s->documents; i++) {
        const float *row = logp + i * C;
        const uint32_t guess = class_best(row, s->classes);
        const bool right = guess == label[i];
        const double confidence = d_exp((double)row[guess]);
        s->loss -= (double)row[label[i]];
        s->brier += squared_error(row, s->classes, label[i]);
        s->confusion[label[i] * C + guess]++;
        s->of[label[i]].support++;
        s->of[guess].predicted++;
        s->of[guess].right += right;
        scores_bin *b = bin_of(s, confidence);
        b->count++;
        b->right += right;
        b->confidence += confidence;
    }
}

static void finish_means(scores *s)
{
    const double n = (double)s->documents;
    uint64_t right = 0;
    s->loss /= n;
    s->brier /= s->classes == 2 ? 2 * n : n;
    for (int b = 0; b < SCORES_BINS; b++) {
        scores_bin *bin = &s->bin[b];
        const double sum = bin->confidence;
        right += bin->right;
        bin->confidence = sum / (double)bin->count; /* NaN when empty, as is the accuracy */
        bin->accuracy = (double)bin->right / (double)bin->count;
        s->calibration_error += fabs((double)bin->right - sum);
    }
    s->calibration_error /= n;
    s->accuracy = wilson_interval(right, s->documents);
}

static void finish_classes(scores *s)
{
    for (int c = 0; c < s->classes; c++)
        s->present += s->of[c].support > 0;
    for (int c = 0; c < s->classes; c++) {
        scores_class *k = &s->of[c];
        if (k->support == 0) {
            k->precision = k->recall = k->f1 = NAN;
            continue;
        }
        const double share = ratio(k->support, s->documents), each = 1.0 / s->present;
        k->precision = ratio(k->right, k->predicted);
        k->recall = ratio(k->right, k->support);
        k->f1 = ratio(2 * k->right, k->predicted + k->support);
        s->macro.precision += each * k->precision;
        s->macro.recall += each * k->recall;
        s->macro.f1 += each * k->f1;
        s->weighted.precision += share * k->precision;
        s->weighted.recall += share * k->recall;
        s->weighted.f1 += share * k->f1;
    }
}

static int by_score(const void *a, const void *b)
{
    const float x = ((const ranked *)a)->score, y = ((const ranked *)b)->score;
    return (x > y) - (x < y);
}

/* Of one class against the rest; NaN when one side is empty. */
static double area(ranked *r, size_t n)
{
    uint64_t positives = 0, negatives = 0, twice = 0; /* twice: pairs in order count 2, equal ones 1 */
    qsort(r, n, sizeof *r, by_score);
    for (size_t i = 0; i < n;) {
        uint64_t up = 0, down = 0; /* of the run of equal scores that begins here */
        for (const float score = r[i].score; i < n && r[i].score == score; i++)
            *(r[i].positive ? &up : &down) += 1;
        twice += up * (2 * negatives + down);
        positives += up;
        negatives += down;
    }
    return (double)twice / (2.0 * (double)positives * (double)negatives);
}

static void find_areas(scores *s, const float *logp, const uint32_t *label, ranked *work)
{
    double sum = 0;
    int defined = 0;
    for (int c = 0; c < s->classes; c++) {
        for (size_t i = 0; i < s->documents; i++)
            work[i] = (ranked){logp[i * (size_t)s->classes + (size_t)c], label[i] == (uint32_t)c};
        s->of[c].auc = area(work, s->documents);
        if (!isnan(s->of[c].auc)) {
            sum += s->of[c].auc;
            defined++;
        }
    }
    s->auc = s->classes == 2 ? s->of[1].auc : sum / defined;
}

status scores_compute(scores *s, const float *logp, const uint32_t *label, size_t n, int C,
                      const char *const *names, error *e)
{
    *s = (scores){0};
    status r = check(logp, label, n, C, e);
    if (r != STATUS_OK)
        return r;
    *s = (scores){.documents = n, .classes = C, .names = names};
    s->of = calloc((size_t)C, sizeof *s->of);
    s->confusion = calloc((size_t)C * (size_t)C, sizeof *s->confusion);
    ranked *work = calloc(n, sizeof *work);
    if (s->of == NULL || s->confusion == NULL || work == NULL) {
        r = fail(e, STATUS_NO_MEMORY, "no memory for the scores of %zu documents of %d classes", n, C);
        scores_free(s);
    } else {
        count_documents(s, logp, label);
        finish_means(s);
        finish_classes(s);
        find_areas(s, logp, label, work);
    }
    free(work);
    return r;
}

void scores_free(scores *s)
{
    free(s->of);
    free(s->confusion);
    *s = (scores){0};
}
