/* eval_documents.c - unroll eval of classifiers: their averaged probabilities of a split's documents, and how good these
 * are (trainer/tasks/scores.h). */
#include "launch/eval.h"

#include "io/bug.h"
#include "io/output.h"
#include "launch/options.h"
#include "trainer/classify.h"
#include "trainer/tasks/documents.h"
#include "trainer/tasks/scores.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 32 /* of a batch, unless --batch-size says otherwise; no result depends on it */

typedef struct evaluation {
    const eval_arguments *arguments;
    inference *model;
    corpus corpus;
    bool corpus_open;
    documents documents; /* of the newest model: each cuts them as it has learnt */
    float *logp;         /* rank 0: (count,C), of one model, then of the average */
    double *sum;         /* rank 0, several models: (count,C) sums of probabilities */
    size_t n;            /* count * C */
    const char **names;  /* (C) NUL-terminated labels, owned */
} evaluation;

static status check_model(const evaluation *v, const inference *m, error *e)
{
    status s = inference_same_words(m, &v->corpus, e);
    if (s != STATUS_OK || vocabulary_same(&m->labels, &v->corpus.labels))
        return s;
    return fail(e, STATUS_BAD_CHECKPOINT,
                "%s: has other labels than %s; prepare the documents with labels of the same names",
                m->file.path, v->corpus.file.path);
}

static status check_outputs(const evaluation *v, error *e)
{
    const eval_arguments *a = v->arguments;
    const char *json = a->json && strcmp(a->json, "-") != 0 ? a->json : NULL;
    status s = eval_check_output("--each", a->each, v->model, a->models.count, &v->corpus, e);
    if (s == STATUS_OK)
        s = eval_check_output("--json", json, v->model, a->models.count, &v->corpus, e);
    return s == STATUS_OK && a->each ? option_not_over("--json", json, a->each, "the --each, too", e) : s;
}

/* Collective. */
static status open_all(evaluation *v, const session *job, error *e)
{
    const eval_arguments *a = v->arguments;
    comm *g = job->group;
    status s =
        corpus_open(&v->corpus, a->data, comm_host_rank(g) == 0 ? CONTAINER_CHECK : CONTAINER_TRUST, e);
    v->corpus_open = s == STATUS_OK;
    for (int i = 0; s == STATUS_OK && i < a->models.count; i++)
        s = check_model(v, &v->model[i], e);
    if (s == STATUS_OK)
        s = eval_check_split(a, &v->corpus, e);
    if (s == STATUS_OK && comm_rank(g) == 0)
        s = check_outputs(v, e);
    s = comm_agree(g, s, e);
    return s == STATUS_OK ? eval_same_corpus(&v->corpus, g, e) : s;
}

static void close_all(evaluation *v)
{
    documents_close(&v->documents);
    for (uint32_t c = 0; v->names && c < v->corpus.labels.size; c++)
        free((char *)v->names[c]);
    free(v->names);
    free(v->logp);
    free(v->sum);
    if (v->corpus_open)
        corpus_close(&v->corpus);
}

/* Memory for the results, once the documents are counted. */
static status plan_results(evaluation *v, const session *job, error *e)
{
    const uint32_t C = v->corpus.labels.size;
    v->n = (size_t)v->documents.count * C;
    v->names = calloc(C, sizeof *v->names);
    bool ok = v->names != NULL;
    for (uint32_t c = 0; ok && c < C; c++) {
        size_t n;
        const char *label = vocabulary_word(&v->corpus.labels, c, &n);
        ok = (v->names[c] = strndup(label, n)) != NULL;
    }
    if (ok && comm_rank(job->group) == 0)
        ok = (v->logp = malloc(v->n * sizeof *v->logp)) &&
             (v->arguments->models.count == 1 || (v->sum = calloc(v->n, sizeof *v->sum)));
    return ok ? STATUS_OK
              : fail(e, STATUS_NO_MEMORY, "no memory for the scores of %u documents", v->documents.count);
}

/* Collective.  Adds the probabilities of model i. */
static status add_model(evaluation *v, const session *job, int i, error *e)
{
    inference *m = &v->model[i];
    comm *g = job->group;
    const int B = v->arguments->batch_size ? (int)v->arguments->batch_size : ROWS, size = comm_size(g);
    documents_close(&v->documents);
    status s = size > B ? fail(e, STATUS_USAGE,
                               "%d ranks for %d rows: each rank needs one; raise --batch-size", size, B)
                        : documents_open(&v->documents, &v->corpus, (split_name)v->arguments->split,
                                         classify_cut(&m->config), B, B, comm_rank(g), size, e);
    if (s == STATUS_OK && i == 0)
        s = plan_results(v, job, e);
    if (s == STATUS_OK)
        s = inference_plan(m, job->team, classify_window(&m->config, v->documents.longest),
                           v->documents.shards.rows, e);
    s = comm_agree(g, s, e);
    if (s == STATUS_OK)
        s = documents_score(&v->documents, &m->classifier, job->team, g, m->value, v->logp, e);
    if (s == STATUS_OK && v->sum)
        models_add(v->sum, v->logp, v->n);
    return s;
}

static status write_each(const evaluation *v, error *e)
{
    const size_t C = v->corpus.labels.size;
    output out;
    status s = output_open(&out, v->arguments->each, e);
    if (s != STATUS_OK)
        return fail_as(e, s, "--each");
    for (uint32_t i = 0; i < v->documents.count; i++) {
        const float *logp = v->logp + i * C;
        fprintf(out.stream, "%u\t%s\t%s", v->documents.list[i].index, v->names[v->documents.list[i].label],
                v->names[class_best(logp, (int)C)]);
        for (size_t c = 0; c < C; c++)
            fprintf(out.stream, "\t%.9g", exp((double)logp[c]));
        fputc('\n', out.stream);
    }
    s = output_close(&out, e);
    return s == STATUS_OK ? s : fail_as(e, s, "--each");
}

static status write_json(const char *path, const scores *scored, error *e)
{
    const bool piped = strcmp(path, "-") == 0;
    output out;
    status s = piped ? STATUS_OK : output_open(&out, path, e);
    if (s == STATUS_OK) {
        record *r = record_new_nulls();
        scores_record(r, scored);
        char *text = record_to_text(r);
        record_free(r);
        fprintf(piped ? stdout : out.stream, "%s\n", text); /* main tells of a lost stdout */
        free(text);
        s = piped ? STATUS_OK : output_close(&out, e);
    }
    return s == STATUS_OK ? s : fail_as(e, s, "--json");
}

/* Rank 0. */
static status tell(evaluation *v, error *e)
{
    const eval_arguments *a = v->arguments;
    const documents *d = &v->documents;
    uint32_t *label = malloc(((size_t)d->count + 1) * sizeof *label);
    BUG_IF(!label, "out of memory for %u labels", d->count);
    for (uint32_t i = 0; i < d->count; i++)
        label[i] = d->list[i].label;
    if (v->sum)
        models_average(v->logp, v->sum, v->n, a->models.count);
    scores result;
    status s = scores_compute(&result, v->logp, label, d->count, (int)v->corpus.labels.size, v->names, e);
    free(label);
    if (s != STATUS_OK)
        return s;
    if (!a->json || strcmp(a->json, "-") != 0) {
        printf("%s: %s, %u labelled documents, %llu tokens\n", v->corpus.file.path, split_names[d->split],
               d->count, (unsigned long long)d->tokens);
        scores_print(stdout, &result);
    }
    if (a->json)
        s = write_json(a->json, &result, e);
    scores_free(&result);
    return s == STATUS_OK && a->each ? write_each(v, e) : s;
}

status eval_documents(const eval_arguments *a, const session *job, inference *models, error *e)
{
    evaluation v = {.arguments = a, .model = models};
    status s = open_all(&v, job, e);
    for (int i = 0; s == STATUS_OK && i < a->models.count; i++)
        s = add_model(&v, job, i, e);
    if (s == STATUS_OK && comm_rank(job->group) == 0)
        s = tell(&v, e);
    s = comm_agree(job->group, s, e);
    close_all(&v);
    return s;
}
