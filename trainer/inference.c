#include "trainer/inference.h"

#include "io/tokenizer.h"
#include "trainer/checkpoint.h"
#include "trainer/classify.h"
#include "trainer/run.h"

#include <string.h>

status inference_open_any(inference *f, const char *path, error *e)
{
    memset(f, 0, sizeof *f);
    config_init(&f->config);
    status s = container_open(&f->file, path, "checkpoint", CONTAINER_CHECK, e);
    f->is_open = s == STATUS_OK;
    if (s == STATUS_OK)
        s = checkpoint_config(&f->file, &f->config, e);
    if (s == STATUS_OK)
        s = checkpoint_vocabulary(&f->file, &f->vocab, e);
    if (s == STATUS_OK && !record_get_text(f->file.meta, "level", &f->level))
        s = fail(e, STATUS_BAD_CHECKPOINT, "%s: does not say the level of its corpus", path);
    if (s == STATUS_OK && record_get_text(f->file.meta, "tokenizer", &f->tokenizer) &&
        !record_get_bool(f->file.meta, "lower", &f->lower))
        s = fail(e, STATUS_BAD_CHECKPOINT, "%s: does not say whether its words are lower case", path);
    if (s != STATUS_OK || f->config.task.name == TASK_LM)
        return s == STATUS_OK ? run_shape(&f->config, f->vocab.size, &f->shape, e) : s;
    s = checkpoint_labels(&f->file, &f->labels, e);
    return s == STATUS_OK ? classify_shape(&f->config, &f->labels, f->vocab.size, &f->classes, e) : s;
}

status inference_open(inference *f, const char *path, config_task wanted, error *e)
{
    status s = inference_open_any(f, path, e);
    if (s != STATUS_OK || f->config.task.name == (int)wanted)
        return s;
    return fail(e, STATUS_BAD_CHECKPOINT,
                wanted == TASK_LM
                    ? "%s: is a classifier, no language model; `unroll predict` labels texts with it"
                    : "%s: is a language model, no classifier; `unroll sample` writes texts with it",
                path);
}

status inference_plan(inference *f, team *t, int T, int B, error *e)
{
    const bool classifies = f->config.task.name == TASK_CLASSIFY;
    params_free(&f->list);
    arena_free(&f->memory);
    if (classifies)
        classifier_params(&f->classes, &f->list, 1);
    else
        model_params(&f->shape, &f->list, 1);
    arena_add(&f->memory, "parameters", (void **)&f->value, f->list.floats * sizeof(float));
    if (classifies)
        classifier_plan(&f->classifier, &f->memory, t, &f->classes, &f->list, T, B, false);
    else
        model_plan(&f->model, &f->memory, t, &f->shape, &f->list, T, B, 0, false);
    if (!arena_commit(&f->memory))
        return fail(e, STATUS_NO_MEMORY, "this model needs %.1f MB, more than the system gives",
                    (double)arena_bytes(&f->memory) / 1e6);
    if (!classifies)
        trunk_zero_state(&f->model.trunk);
    return checkpoint_parameters(&f->file, &f->list, f->value, e);
}

void inference_close(inference *f)
{
    vocabulary_free(&f->vocab);
    vocabulary_free(&f->labels);
    config_free(&f->config);
    params_free(&f->list);
    arena_free(&f->memory);
    if (f->is_open)
        container_close(&f->file);
    memset(f, 0, sizeof *f);
}

static status same_vocabulary(const inference *f, const corpus *c, error *e)
{
    const vocabulary *mine = &f->vocab, *theirs = &c->vocab;
    if (mine->size != theirs->size)
        return fail(e, STATUS_BAD_CHECKPOINT,
                    "%s: has a vocabulary of %u words, %s one of %u; prepare the text with --vocab and the "
                    "checkpoint's corpus",
                    f->file.path, mine->size, c->file.path, theirs->size);
    for (uint32_t i = 0; i < mine->size; i++) {
        size_t n, m;
        const char *a = vocabulary_word(mine, i, &n), *b = vocabulary_word(theirs, i, &m);
        if (n != m || memcmp(a, b, n) != 0)
            return fail(e, STATUS_BAD_CHECKPOINT,
                        "%s: word %u is \"%.*s\", in %s it is \"%.*s\"; prepare the text with --vocab and "
                        "the checkpoint's corpus",
                        f->file.path, i, (int)n, a, c->file.path, (int)m, b);
    }
    return STATUS_OK;
}

const char *inference_rule(const inference *f)
{
    return tokenizer_rule(f->level, f->tokenizer, f->lower);
}

/* Of equal words other rules find fewer: "film," is none, and "Film" neither. */
status inference_same_words(const inference *f, const corpus *c, error *e)
{
    const char *mine = inference_rule(f), *theirs = tokenizer_rule(c->level, c->tokenizer, c->lower);
    status s = same_vocabulary(f, c, e);
    if (s != STATUS_OK || strcmp(mine, theirs) == 0)
        return s;
    return fail(e, STATUS_BAD_CHECKPOINT,
                "%s: has learnt from texts that were cut %s, those of %s were cut %s; prepare them as the "
                "model's were",
                f->file.path, mine, c->file.path, theirs);
}
