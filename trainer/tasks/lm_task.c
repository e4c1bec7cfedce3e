/* lm_task.c - the task of a language model: windows of token streams, the loss of each next token. */
#include "io/log.h"
#include "trainer/run.h"

#include <math.h>

static void open_split(run *r, lm_rows *rows, bool *has, split_name split, int rank, int size, status *s,
                       error *e)
{
    const config *c = r->config;
    *has = *s == STATUS_OK && r->corpus.ids[split];
    if (*has)
        *s = lm_rows_open(rows, &r->corpus, split, LM_EVALUATE, (int)c->eval.batch_size, (int)c->data.shards,
                          (int)c->data.bptt, rank, size, "eval.batch_size", e);
    rows->backward = c->data.direction == DIRECTION_BACKWARD;
}

/* All splits, though the test's is needed last: that it is too short is better said before the training than
 * after it. */
static status open_lm(run *r, int rank, int size, error *e)
{
    const config *c = r->config;
    status s = lm_rows_open(&r->lm.train, &r->corpus, SPLIT_TRAIN, LM_TRAIN, (int)c->data.batch_size,
                            (int)c->data.shards, (int)c->data.bptt, rank, size, "data.batch_size", e);
    r->lm.train.backward = c->data.direction == DIRECTION_BACKWARD;
    open_split(r, &r->lm.valid, &r->has_valid, SPLIT_VALID, rank, size, &s, e);
    open_split(r, &r->lm.test, &r->has_test, SPLIT_TEST, rank, size, &s, e);
    if (s != STATUS_OK)
        return s;
    r->rows = r->lm.train.shards;
    r->checked_rows = r->has_valid ? r->lm.valid.shards.rows : r->has_test ? r->lm.test.shards.rows : 0;
    r->steps_per_epoch = (int64_t)lm_windows(&r->lm.train);
    return STATUS_OK;
}

static void close_lm(run *r)
{
    lm_rows_close(&r->lm.train);
    lm_rows_close(&r->lm.valid);
    lm_rows_close(&r->lm.test);
}

static void lm_parameters(run *r, int size)
{
    model_params(&r->shape, &r->list, size);
}

static void plan_lm(run *r, int rank, int size)
{
    arena *a = &r->memory;
    const int T = (int)r->config->data.bptt;
    const size_t tokens = (size_t)T * (size_t)r->rows.rows;
    arena_add(a, "token ids", (void **)&r->lm.ids, 2 * tokens * sizeof(uint32_t));
    model_plan(&r->lm.model, a, r->team, &r->shape, &r->list, T, r->rows.rows, shards_largest(&r->rows),
               true);
    trunk_rank(&r->lm.model.trunk, rank, size);
    optimizer_sparse(&r->optimizer, trunk_words(&r->lm.model.trunk));
    if (r->checked_rows > 0)
        model_plan(&r->lm.checker, a, r->team, &r->shape, &r->list, T, r->checked_rows, 0, false);
    r->carried = &r->lm.model.trunk;
}

static void start_lm(run *r)
{
    trunk_zero_state(&r->lm.model.trunk);
}

static uint64_t window_at(const run *r)
{
    return (uint64_t)r->progress.window;
}

static task_step lm_step(run *r)
{
    const config *c = r->config;
    const uint64_t tokens = lm_window_tokens(&r->lm.train, window_at(r));
    const bool mean = c->optim.loss_scale == LOSS_TOKEN_MEAN;
    return (task_step){.tokens = tokens,
                       .tokens_here = lm_window_tokens_here(&r->lm.train, window_at(r)),
                       .predicted = tokens,
                       .count = mean ? (double)tokens : (double)c->data.batch_size};
}

/* Where the targets stand, behind the inputs. */
static size_t half(const run *r)
{
    return (size_t)r->config->data.bptt * (size_t)r->rows.rows;
}

static status read_window(run *r, error *e)
{
    if (r->config->data.carry == CARRY_NEVER)
        trunk_zero_state(&r->lm.model.trunk);
    return lm_window(&r->lm.train, window_at(r), r->lm.ids, r->lm.ids + half(r), e);
}

static void compute_lm(run *r, double *node_nats, model_ready ready, void *arg)
{
    trunk_freeze(&r->lm.model.trunk, r->frozen);
    model_train(&r->lm.model, r->team, r->value, r->lm.ids, r->lm.ids + half(r),
                lm_window_steps(&r->lm.train, window_at(r)), r->rows.rows, &r->rows,
                (uint32_t)r->progress.step, r->gradient, r->list.gradient_floats, node_nats, ready, arg);
}

static void end_epoch_lm(run *r)
{
    if (r->config->data.carry == CARRY_EPOCH)
        trunk_zero_state(&r->lm.model.trunk);
}

static status evaluate_lm(run *r, split_name split, task_result *out, error *e)
{
    lm_result result = {0};
    const lm_rows *rows = split == SPLIT_VALID ? &r->lm.valid : &r->lm.test;
    status s = lm_evaluate(rows, &r->lm.checker, r->team, r->group, r->value, NULL, &result, e);
    *out = (task_result){.nats = result.nats, .predicted = result.tokens, .accuracy = NAN};
    return s;
}

static double judged_by_loss(const run *r, const task_result *result)
{
    (void)r;
    return result->nats / (double)result->predicted;
}

static void describe_lm(run *r)
{
    const config *c = r->config;
    log_line(r->log, "windows of %lld, %lld batches an epoch (%llu tokens dropped)", (long long)c->data.bptt,
             (long long)r->steps_per_epoch,
             (unsigned long long)(r->lm.train.tokens % (uint64_t)c->data.batch_size));
}

const task task_lm = {.name = "lm",
                      .open = open_lm,
                      .close = close_lm,
                      .parameters = lm_parameters,
                      .plan = plan_lm,
                      .start = start_lm,
                      .step = lm_step,
                      .read = read_window,
                      .compute = compute_lm,
                      .end_epoch = end_epoch_lm,
                      .evaluate = evaluate_lm,
                      .judged = judged_by_loss,
                      .describe = describe_lm};
