/* scores_print.c - the scores of scores.c as text, and as a record for --json. */
#include "io/bug.h"
#include "io/escape.h"
#include "trainer/tasks/scores.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_COLUMNS = 24, TABLE_COLUMNS = 12, PAIRS_SHOWN = 10 };

/* ---- pieces ---- */

static void print_name(FILE *out, const char *name, int width)
{
    escape_print(out, name, strlen(name), width);
}

/* Ten columns; a mean over nothing is a dash. */
static void print_value(FILE *out, double value)
{
    if (isnan(value))
        fprintf(out, "%10s", "-");
    else
        fprintf(out, "%10.4f", value);
}

/* ---- text ---- */

static void print_classes(FILE *out, const scores *s)
{
    fprintf(out, "\n%-24s%10s%10s%10s%10s%10s\n", "class", "precision", "recall", "F1", "AUC", "documents");
    for (int c = 0; c < s->classes; c++) {
        const scores_class *k = &s->of[c];
        print_name(out, s->names[c], NAME_COLUMNS);
        print_value(out, k->precision);
        print_value(out, k->recall);
        print_value(out, k->f1);
        print_value(out, k->auc);
        fprintf(out, "%10" PRIu64 "\n", k->support);
    }
    const scores_average *const averages[] = {&s->macro, &s->weighted};
    static const char *const names[] = {"mean over classes", "weighted by documents"};
    for (int i = 0; i < 2; i++)
        fprintf(out, "%-24s%10.4f%10.4f%10.4f\n", names[i], averages[i]->precision, averages[i]->recall,
                averages[i]->f1);
    if (s->present < s->classes)
        fprintf(out, "no document here is of %d of the %d classes; the means leave %s out\n",
                s->classes - s->present, s->classes, s->classes - s->present == 1 ? "it" : "them");
}

static void print_confusion(FILE *out, const scores *s)
{
    fprintf(out, "\n%-24s", "true \\ predicted");
    for (int c = 0; c < s->classes; c++) {
        fputc(' ', out);
        print_name(out, s->names[c], -TABLE_COLUMNS);
    }
    fputc('\n', out);
    for (int c = 0; c < s->classes; c++) {
        print_name(out, s->names[c], NAME_COLUMNS);
        for (int p = 0; p < s->classes; p++)
            fprintf(out, " %*" PRIu64, TABLE_COLUMNS, s->confusion[c * s->classes + p]);
        fputc('\n', out);
    }
}

/* The pair that is confused most among those behind (count, place) in the order of falling count, then rising
 * place; -1: there is none. */
static int64_t next_pair(const scores *s, uint64_t count, int64_t place)
{
    const int64_t C = s->classes;
    int64_t best = -1;
    for (int64_t i = 0; i < C * C; i++) {
        const uint64_t here = s->confusion[i];
        const bool behind = here < count || (here == count && i > place);
        if (here > 0 && i / C != i % C && behind && (best < 0 || here > s->confusion[best]))
            best = i;
    }
    return best;
}

static void print_worst_pairs(FILE *out, const scores *s)
{
    fprintf(out, "\n%-24s %-24s%10s\n", "confused most: true", "predicted", "documents");
    int64_t place = next_pair(s, UINT64_MAX, -1);
    for (int i = 0; i < PAIRS_SHOWN && place >= 0; i++) {
        print_name(out, s->names[place / s->classes], NAME_COLUMNS);
        fputc(' ', out);
        print_name(out, s->names[place % s->classes], NAME_COLUMNS);
        fprintf(out, "%10" PRIu64 "\n", s->confusion[place]);
        place = next_pair(s, s->confusion[place], place);
    }
}

static void print_calibration(FILE *out, const scores *s)
{
    fprintf(out, "\n%-24s%10s%10s%10s\n", "top probability", "mean", "accuracy", "documents");
    for (int b = 0; b < SCORES_BINS; b++) {
        const scores_bin *bin = &s->bin[b];
        if (bin->count == 0)
            continue;
        fprintf(out, "%.1f to %.1f%14s", b / (double)SCORES_BINS, (b + 1) / (double)SCORES_BINS, "");
        print_value(out, bin->confidence);
        print_value(out, bin->accuracy);
        fprintf(out, "%10" PRIu64 "\n", bin->count);
    }
}

void scores_print(FILE *out, const scores *s)
{
    const wilson_share *a = &s->accuracy;
    fprintf(out, "documents %" PRIu64 ", loss %.4f nats, accuracy %.2f %% (95 %%: %.2f to %.2f)\n",
            s->documents, s->loss, 100 * a->share, 100 * a->low, 100 * a->high);
    if (isnan(s->auc))
        fprintf(out, "AUC -");
    else
        fprintf(out, "AUC %.4f", s->auc);
    fprintf(out, ", Brier score %.4f, calibration error %.4f\n", s->brier, s->calibration_error);
    print_classes(out, s);
    if (s->classes <= SCORES_TABLE_MAX)
        print_confusion(out, s);
    else
        print_worst_pairs(out, s);
    print_calibration(out, s);
}

/* ---- record ---- */

static void record_totals(record *r, const scores *s)
{
    record_set_int(r, "documents", (int64_t)s->documents);
    record_set_double(r, "loss", s->loss);
    record_set_double(r, "accuracy", s->accuracy.share);
    record_set_double(r, "accuracy_low", s->accuracy.low);
    record_set_double(r, "accuracy_high", s->accuracy.high);
    record_set_double(r, "auc", s->auc);
    record_set_double(r, "brier", s->brier);
    record_set_double(r, "calibration_error", s->calibration_error);
    record_set_double(r, "macro_precision", s->macro.precision);
    record_set_double(r, "macro_recall", s->macro.recall);
    record_set_double(r, "macro_f1", s->macro.f1);
    record_set_double(r, "weighted_precision", s->weighted.precision);
    record_set_double(r, "weighted_recall", s->weighted.recall);
    record_set_double(r, "weighted_f1", s->weighted.f1);
}

/* Each list is one member of every class: `list` is of C doubles at least. */
static void record_classes(record *r, const scores *s, double *list)
{
    const size_t C = (size_t)s->classes;
    record_set_int(r, "classes", s->classes);
    for (size_t c = 0; c < C; c++) {
        char key[32];
        snprintf(key, sizeof key, "class_%zu", c);
        record_set_text(r, key, s->names[c]);
        list[c] = s->of[c].precision;
    }
    record_set_doubles(r, "precision", list, C);
    for (size_t c = 0; c < C; c++)
        list[c] = s->of[c].recall;
    record_set_doubles(r, "recall", list, C);
    for (size_t c = 0; c < C; c++)
        list[c] = s->of[c].f1;
    record_set_doubles(r, "f1", list, C);
    for (size_t c = 0; c < C; c++)
        list[c] = s->of[c].auc;
    record_set_doubles(r, "class_auc", list, C);
    for (size_t c = 0; c < C; c++)
        list[c] = (double)s->of[c].support;
    record_set_doubles(r, "support", list, C);
    for (size_t i = 0; i < C * C; i++)
        list[i] = (double)s->confusion[i];
    record_set_doubles(r, "confusion", list, C * C);
}

static void record_bins(record *r, const scores *s)
{
    double count[SCORES_BINS], confidence[SCORES_BINS], accuracy[SCORES_BINS];
    for (int b = 0; b < SCORES_BINS; b++) {
        count[b] = (double)s->bin[b].count;
        confidence[b] = s->bin[b].confidence;
        accuracy[b] = s->bin[b].accuracy;
    }
    record_set_doubles(r, "bin_count", count, SCORES_BINS);
    record_set_doubles(r, "bin_confidence", confidence, SCORES_BINS);
    record_set_doubles(r, "bin_accuracy", accuracy, SCORES_BINS);
}

void scores_record(record *r, const scores *s)
{
    double *list = malloc((size_t)s->classes * (size_t)s->classes * sizeof *list);
    BUG_IF(list == NULL, "out of memory for %d classes", s->classes);
    record_totals(r, s);
    record_classes(r, s, list);
    record_bins(r, s);
    free(list);
}
