/* classify_task.c - the task of a classifier: batches of labelled documents, the loss of each label. */
#include "io/bug.h"
#include "io/log.h"
#include "trainer/classify.h"
#include "trainer/run.h"

#include <stdio.h>
#include <stdlib.h>

static status open_split(run *r, documents *d, bool *has, split_name split, int rank, int size, error *e)
{
    const config *c = r->config;
    *has = r->corpus.documents[split].count > 0;
    return *has ? documents_open(d, &r->corpus, split, classify_cut(c), (int)c->eval.batch_size,
                                 (int)c->data.shards, rank, size, e)
                : STATUS_OK;
}

static uint32_t longest_of(const run *r)
{
    const documents *of[] = {&r->classify.train, &r->classify.valid, &r->classify.test};
    uint32_t longest = 1;
    for (int i = 0; i < 3; i++)
        longest = of[i]->longest > longest ? of[i]->longest : longest;
    return longest;
}

static status open_classify(run *r, int rank, int size, error *e)
{
    const config *c = r->config;
    classify_run *k = &r->classify;
    documents_cut cut = classify_cut(c);
    cut.most = c->classify.train_documents;
    status s = documents_open(&k->train, &r->corpus, SPLIT_TRAIN, cut, (int)c->data.batch_size,
                              (int)c->data.shards, rank, size, e);
    if (s == STATUS_OK)
        s = open_split(r, &k->valid, &r->has_valid, SPLIT_VALID, rank, size, e);
    if (s == STATUS_OK)
        s = open_split(r, &k->test, &r->has_test, SPLIT_TEST, rank, size, e);
    if (s == STATUS_OK)
        s = classify_shape(c, &r->corpus.labels, r->corpus.vocab.size, &k->shape, e);
    if (s == STATUS_OK)
        s = classify_check(c, &k->train, e);
    if (s == STATUS_OK)
        s = classify_weights(c, &k->train, &k->weights, e);
    if (s != STATUS_OK)
        return s;
    k->shape.loss.weight = k->weights;
    r->shape = k->shape.trunk;
    r->rows = k->train.shards;
    r->checked_rows = r->has_valid ? k->valid.shards.rows : r->has_test ? k->test.shards.rows : 0;
    r->steps_per_epoch = k->train.batches;
    k->longest = longest_of(r);
    return STATUS_OK;
}

static void close_classify(run *r)
{
    documents_close(&r->classify.train);
    documents_close(&r->classify.valid);
    documents_close(&r->classify.test);
    free(r->classify.weights);
}

static void classify_parameters(run *r, int size)
{
    classifier_params(&r->classify.shape, &r->list, size);
}

static void plan_classify(run *r, int rank, int size)
{
    classify_run *k = &r->classify;
    const int T = classify_window(r->config, k->longest);
    classifier_plan(&k->model, &r->memory, r->team, &k->shape, &r->list, T, r->rows.rows, true);
    trunk_rank(&k->model.trunk, rank, size);
    optimizer_sparse(&r->optimizer, trunk_words(&k->model.trunk));
    if (r->checked_rows > 0)
        classifier_plan(&k->checker, &r->memory, r->team, &k->shape, &r->list, T, r->checked_rows, false);
    r->carried = NULL;
}

static void order_documents(run *r)
{
    documents_shuffle(&r->classify.train, (uint64_t)r->config->train.seed, (uint32_t)r->progress.epoch);
}

static task_step classify_step(run *r)
{
    const classify_run *k = &r->classify;
    const shards *p = &r->rows;
    int count, steps;
    const uint32_t *place = documents_of(&k->train, (uint32_t)r->progress.window, &count, &steps);
    task_step out = {.predicted = (uint64_t)count};
    for (int b = 0; b < count; b++) {
        const document_view *v = &k->train.list[place[b]];
        out.tokens += v->length;
        out.tokens_here += b >= p->row0 && b < p->row0 + p->rows ? v->length : 0;
        out.count += k->weights ? (double)k->weights[v->label] : 1.0;
    }
    return out;
}

static status read_documents(run *r, error *e)
{
    return documents_read(&r->classify.train, (uint32_t)r->progress.window, e);
}

static void compute_classify(run *r, double *node_nats, model_ready ready, void *arg)
{
    classify_run *k = &r->classify;
    trunk_freeze(&k->model.trunk, r->frozen);
    classifier_train(&k->model, r->team, r->value, &k->train.batch, &r->rows, (uint32_t)r->progress.step,
                     r->gradient, r->list.gradient_floats, node_nats, ready, arg);
}

/* Rank 0: the sums over all documents, in their order. */
static task_result sum_scores(const documents *d, const float *logp)
{
    const size_t C = d->corpus->labels.size;
    task_result out = {.predicted = d->count};
    uint64_t right = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        const float *p = logp + i * C;
        out.nats -= (double)p[d->list[i].label];
        right += class_best(p, (int)C) == d->list[i].label;
    }
    out.accuracy = (double)right / (double)d->count;
    return out;
}

static status evaluate_classify(run *r, split_name split, task_result *out, error *e)
{
    documents *d = split == SPLIT_VALID ? &r->classify.valid : &r->classify.test;
    float *logp = NULL;
    status s = STATUS_OK;
    if (comm_rank(r->group) == 0) {
        logp = malloc((size_t)d->count * d->corpus->labels.size * sizeof *logp);
        if (!logp)
            s = fail(e, STATUS_NO_MEMORY, "no memory for the scores of %u documents", d->count);
    }
    s = comm_agree(r->group, s, e);
    if (s == STATUS_OK)
        s = documents_score(d, &r->classify.checker, r->team, r->group, r->value, logp, e);
    if (s == STATUS_OK && logp)
        *out = sum_scores(d, logp);
    if (s == STATUS_OK)
        comm_broadcast(r->group, out, sizeof *out, 0);
    free(logp);
    return s;
}

static double judged_by(const run *r, const task_result *result)
{
    return r->config->classify.best_by == BEST_BY_ACCURACY ? 1.0 - result->accuracy
                                                           : result->nats / (double)result->predicted;
}

static void describe_documents(const run *r, const documents *d)
{
    if (d->count == 0)
        return;
    char cut[64] = "none cut";
    if (d->cut > 0)
        snprintf(cut, sizeof cut, "cut to the %s %lld: %u",
                 r->config->classify.keep == KEEP_END ? "last" : "first",
                 (long long)r->config->classify.max_length, d->cut);
    log_line(r->log, "%s: %u documents, %llu tokens, the longest %u, %s", split_names[d->split], d->count,
             (unsigned long long)d->tokens, d->longest, cut);
}

static void describe_classify(run *r)
{
    const classify_run *k = &r->classify;
    describe_documents(r, &k->train);
    describe_documents(r, &k->valid);
    describe_documents(r, &k->test);
    log_line(r->log,
             "%u classes, %s pooling, %lld batches an epoch; batches are %.1f %% longer than their documents",
             r->corpus.labels.size, classify_pooling_names[k->shape.pooling], (long long)r->steps_per_epoch,
             100.0 * (documents_padding(&k->train) - 1.0));
}

const task task_classify = {.name = "classify",
                            .open = open_classify,
                            .close = close_classify,
                            .parameters = classify_parameters,
                            .plan = plan_classify,
                            .step = classify_step,
                            .read = read_documents,
                            .compute = compute_classify,
                            .begin_epoch = order_documents,
                            .evaluate = evaluate_classify,
                            .judged = judged_by,
                            .describe = describe_classify};
