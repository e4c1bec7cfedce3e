/* predict_score.c - the classes' probabilities of a group of texts, in batches of about one length. */
#include "io/bug.h"
#include "launch/predict.h"
#include "trainer/classify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW       256             /* time steps of a unidirectional model, whatever a document's length */
#define BATCH_TOKENS ((size_t)65536) /* of a bidirectional one, beyond which a batch gets fewer rows */

/* What a model reads of a text. */
typedef struct kept {
    size_t text;
    const uint32_t *ids;
    int n;
} kept;

typedef struct scoring {
    const session *job;
    inference *model;
    documents_cut cut;
    kept *list; /* falling lengths */
    size_t count;
    uint32_t *ids;
    int *length;
    float *logp;
} scoring;

static int by_length(const void *a, const void *b)
{
    const kept *x = a, *y = b;
    return x->n != y->n ? (x->n > y->n ? -1 : 1) : (x->text > y->text) - (x->text < y->text);
}

static void list_texts(scoring *c, const predict_group *g, int m)
{
    for (size_t i = 0; i < g->count; i++) {
        const predict_text *t = &g->text[i];
        uint64_t first, n;
        documents_keep(&c->cut, t->tokens, &first, &n);
        if (n > 0)
            c->list[c->count++] = (kept){i, g->ids[m] + t->first + first, (int)n};
    }
    qsort(c->list, c->count, sizeof *c->list, by_length);
}

/* Windows and rows for these texts.  Parameters are read anew with each plan: lengths are rounded up to powers of two,
 * so that this is rare. */
static status plan(scoring *c, size_t batch_size, error *e)
{
    inference *f = c->model;
    size_t T = WINDOW, B = batch_size;
    if (f->classes.trunk.bidirectional) {
        while (T < (size_t)c->list[0].n)
            T *= 2;
        const size_t most = BATCH_TOKENS / T > 1 ? BATCH_TOKENS / T : 1;
        B = B < most ? B : most;
    }
    const trunk *now = &f->classifier.trunk;
    return now->T == (int)T && now->B == (int)B ? STATUS_OK
                                                : inference_plan(f, c->job->team, (int)T, (int)B, e);
}

static status reserve(scoring *c, error *e)
{
    const size_t rows = (size_t)c->model->classifier.trunk.B, steps = (size_t)c->list[0].n;
    c->ids = malloc(rows * steps * sizeof *c->ids);
    c->length = malloc(rows * sizeof *c->length);
    c->logp = malloc(rows * (size_t)c->model->classes.loss.classes * sizeof *c->logp);
    return c->ids && c->length && c->logp
               ? STATUS_OK
               : fail(e, STATUS_NO_MEMORY, "no memory for batches of %zu texts of up to %zu words", rows,
                      steps);
}

/* The texts list[0..B) as a batch, their ends in one line. */
static class_batch fill(const scoring *c, const kept *list, int B)
{
    const int steps = list[0].n;
    memset(c->ids, 0, (size_t)steps * (size_t)B * sizeof *c->ids);
    for (int b = 0; b < B; b++) {
        const int n = list[b].n;
        c->length[b] = n;
        for (int t = 0; t < n; t++)
            c->ids[(size_t)(steps - n + t) * (size_t)B + (size_t)b] =
                list[b].ids[c->cut.backward ? n - 1 - t : t];
    }
    return (class_batch){.steps = steps, .B = B, .ids = c->ids, .length = c->length};
}

/* Of one model the group's results; of several these, and the sums. */
static void score_batches(scoring *c, predict_group *g, double *sum)
{
    const size_t C = (size_t)c->model->classes.loss.classes, rows = (size_t)c->model->classifier.trunk.B;
    for (size_t first = 0, B; first < c->count; first += B) {
        B = c->count - first < rows ? c->count - first : rows;
        const class_batch batch = fill(c, c->list + first, (int)B);
        classifier_score(&c->model->classifier, c->job->team, c->model->value, &batch, c->logp);
        for (size_t b = 0; b < B; b++) {
            const size_t row = c->list[first + b].text * C;
            memcpy(g->logp + row, c->logp + b * C, C * sizeof *g->logp);
            if (sum)
                models_add(sum + row, g->logp + row, C);
        }
    }
}

static status add_model(predict_group *g, double *sum, const predict_arguments *a, const session *job,
                        inference *models, int m, error *e)
{
    scoring c = {.job = job, .model = &models[m], .cut = classify_cut(&models[m].config)};
    c.list = malloc((g->count + 1) * sizeof *c.list);
    status s = c.list ? STATUS_OK : fail(e, STATUS_NO_MEMORY, "no memory for %zu texts", g->count);
    if (s == STATUS_OK)
        list_texts(&c, g, m);
    if (s == STATUS_OK && c.count > 0) {
        s = plan(&c, (size_t)a->batch_size, e);
        if (s == STATUS_OK)
            s = reserve(&c, e);
        if (s == STATUS_OK)
            score_batches(&c, g, sum);
    }
    free(c.list);
    free(c.ids);
    free(c.length);
    free(c.logp);
    return s;
}

/* The best class of each text.  A model whose parameters are not finite has none. */
static status conclude(predict_group *g, size_t C, error *e)
{
    for (size_t i = 0; i < g->count; i++) {
        const float *logp = g->logp + i * C;
        for (size_t k = 0; k < C; k++)
            if (isnan(logp[k]) || logp[k] > 0.5f)
                return fail(e, STATUS_INTERNAL,
                            "%s: the log-probability of class %zu is %g; the model has diverged",
                            g->text[i].place, k, (double)logp[k]);
        g->text[i].best = class_best(logp, (int)C);
    }
    return STATUS_OK;
}

status predict_score(predict_group *g, const predict_arguments *a, const session *job, inference *models,
                     error *e)
{
    const size_t C = (size_t)models->classes.loss.classes, n = g->count * C;
    double *sum = a->models.count > 1 ? calloc(n + 1, sizeof *sum) : NULL;
    g->logp = calloc(n + 1, sizeof *g->logp);
    status s = g->logp && (sum || a->models.count == 1)
                   ? STATUS_OK
                   : fail(e, STATUS_NO_MEMORY, "no memory for the probabilities of %zu texts", g->count);
    for (int m = 0; s == STATUS_OK && m < a->models.count; m++)
        s = add_model(g, sum, a, job, models, m, e);
    if (s == STATUS_OK && sum)
        models_average(g->logp, sum, n, a->models.count);
    free(sum);
    return s == STATUS_OK ? conclude(g, C, e) : s;
}
