/* scores.h - how good a classifier is, from the log-probabilities that it gave to documents whose classes are
 * known.
 *
 * Of n documents and C classes, logp (n,C) and label (n), with p = exp(logp):
 *
 *   predicted   the class of the largest logp; of equal ones the smallest index
 *   loss        mean of -logp[label], nats
 *   accuracy    share of documents whose class is predicted, with its 95 % interval (wilson.h)
 *   precision   right / predicted, of a class
 *   recall      right / support, of a class; support: the documents that are of it
 *   F1          2 right / (predicted + support), the harmonic mean of both
 *   macro       the mean over the classes that have documents;  weighted: over classes, by their support
 *   AUC         the probability that a document of the class has a higher logp of it than one that is not of
 *               it, equal ones counted half (Mann & Whitney 1947); pairs are counted in whole numbers, so that
 *               one division rounds.  One class against the rest; the total is the mean over classes, and for
 *               two classes the AUC of class 1
 *   Brier       mean of sum_c (p_c - [c is the label])^2 (Brier 1950), for two classes half of it, which is
 *               the square of class 1 alone; both as in scikit-learn
 *   calibration documents go into 10 bins (0, 0.1], (0.1, 0.2], ... by their top probability, the confidence;
 *               the expected calibration error is the mean over documents of their bin's
 *               |accuracy - mean confidence| (Guo 2017)
 *
 * The precision of a class that is never predicted is 0, and the averages count it, as in scikit-learn.  Of a class
 * without documents nothing can be said: its precision, recall, F1 and AUC are NaN and the averages leave it out
 * (in scikit-learn: with `labels` naming the classes that are there), and so is the AUC of one that all documents are
 * of; a mean is NaN when nothing is left, or its bin is empty.
 *
 * All sums are in double, in the order of the documents: another order changes nothing but rounding, and
 * counts, shares and AUC not at all.  exp is kernels/dmath.h's, so that the figures are the same on every
 * machine.  Memory: 16 n + 8 C^2 bytes and some per class.  Threads: any, each on its own scores.  Not
 * collective: one rank gathers the log-probabilities first. */
#ifndef TRAINER_TASKS_SCORES_H
#define TRAINER_TASKS_SCORES_H

#include "io/record.h"
#include "io/status.h"
#include "trainer/tasks/wilson.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SCORES_BINS 10

typedef struct scores_class {
    uint64_t support, predicted, right;
    double precision, recall, f1, auc;
} scores_class;

typedef struct scores_average {
    double precision, recall, f1;
} scores_average;

typedef struct scores_bin {
    uint64_t count, right;
    double confidence, accuracy; /* means */
} scores_bin;

typedef struct scores {
    uint64_t documents;
    int classes, present;     /* C; those that have documents */
    const char *const *names; /* (C), borrowed */
    double loss;
    wilson_share accuracy;
    scores_class *of; /* (C), owned */
    scores_average macro, weighted;
    double auc, brier, calibration_error;
    uint64_t *confusion; /* (C,C), owned: rows are true classes, columns predicted ones */
    scores_bin bin[SCORES_BINS];
} scores;

/* names (C) stay the caller's and must outlive s; label[i] < C.  BAD_DATA without documents, or with 2^32 of
 * them; INTERNAL, naming the document, where a log-probability is NaN or +inf: the model has diverged;
 * NO_MEMORY.  On failure s is empty. */
status scores_compute(scores *s, const float *logp, const uint32_t *label, size_t n, int C,
                      const char *const *names, error *e);
void scores_free(scores *s); /* safe twice */

/* As text.  With more than SCORES_TABLE_MAX classes, in place of the table of confusions, the ten pairs that
 * are confused most. */
#define SCORES_TABLE_MAX 8
void scores_print(FILE *out, const scores *s);

/* Into r: documents, loss, accuracy, accuracy_low, accuracy_high, auc, brier, calibration_error,
 * macro_precision, macro_recall, macro_f1, weighted_precision, weighted_recall, weighted_f1; classes (C) and
 * class_0 .. class_C-1, their names; the lists precision, recall, f1, class_auc, support (C), confusion (C*C,
 * row by row), bin_count, bin_confidence, bin_accuracy (SCORES_BINS). */
void scores_record(record *r, const scores *s);

#endif
