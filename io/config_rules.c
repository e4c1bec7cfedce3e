/* config_rules.c - what depends on more than one key: automatic values, keys without effect, rules across
 * keys, and the comparison of a run with its checkpoint. */
#include "io/bug.h"
#include "io/config_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The key named by "section.key", which may be followed by '='. */
static const config_key *key_at(const char *dotted)
{
    for (int i = 0; i < config_schema_size; i++) {
        const config_key *k = &config_schema[i];
        size_t n = strlen(k->section), m = strlen(k->name);
        if (strncmp(dotted, k->section, n) == 0 && dotted[n] == '.' &&
            strncmp(dotted + n + 1, k->name, m) == 0 &&
            (dotted[n + 1 + m] == '\0' || dotted[n + 1 + m] == '='))
            return k;
    }
    BUG_IF(true, "'%s' is no key", dotted);
    return NULL;
}

/* "model.hidden = 650 (ptb.yaml:3:9)"; malloc'ed. */
static char *said(const config *c, const config_key *key)
{
    char *out = NULL, *value = config_value_text(c, key), *shown = text_shown(value, strlen(value));
    text_add(&out, "%s.%s = %s (%s)", key->section, key->name, shown, value_origin(c, key));
    free(shown);
    free(value);
    return out;
}

/* Both keys with their values and origins, then the rule that they break. */
static status conflict(const config *c, const char *first, const char *second, const char *rule, error *e)
{
    char *a = said(c, key_at(first)), *b = said(c, key_at(second));
    status s = fail(e, STATUS_BAD_CONFIG, "%s and %s: %s", a, b, rule);
    free(a);
    free(b);
    return s;
}

bool rules_applies(const config *c, const config_key *key)
{
    if (!key->applies)
        return true;
    char *value = config_value_text(c, key_at(key->applies));
    size_t n = strlen(value);
    bool found = false;
    for (const char *p = strchr(key->applies, '='); p && !found; p = strchr(p + 1, '|'))
        found = strncmp(p + 1, value, n) == 0 && (p[1 + n] == '\0' || p[1 + n] == '|');
    free(value);
    return found;
}

static void fill_automatic(config *c)
{
    if (c->data.shards == 0)
        for (c->data.shards = 1; c->data.shards * 2 <= c->data.batch_size / 4;)
            c->data.shards *= 2;
    if (c->eval.batch_size == 0)
        c->eval.batch_size =
            c->data.batch_size < 10 || c->task.name == TASK_CLASSIFY ? c->data.batch_size : 10;
    if (c->classify.max_length == 0 && c->model.bidirectional)
        c->classify.max_length = 512;
    bool coarse = c->optim.name == OPTIM_RMSPROP || c->optim.name == OPTIM_ADAGRAD;
    if (isnan(c->optim.lr))
        c->optim.lr = coarse ? 1e-2 : 1e-3;
    if (isnan(c->optim.eps))
        c->optim.eps = c->optim.name == OPTIM_ADAGRAD ? 1e-10 : 1e-8;
    if (isnan(c->optim.weight_decay))
        c->optim.weight_decay = c->optim.name == OPTIM_ADAMW ? 0.01 : 0;
}

bool rules_is_default(const config *c, const config_key *key)
{
    config fresh;
    config_init(&fresh);
    char *value = config_value_text(c, key), *untouched = config_value_text(&fresh, key);
    bool same = strcmp(value, untouched) == 0;
    free(untouched);
    if (!same) {
        fresh.optim.name = c->optim.name;
        fresh.data.batch_size = c->data.batch_size;
        fresh.task.name = c->task.name;
        if (key->offset != offsetof(config, model.bidirectional)) /* which may be without effect itself */
            fresh.model.bidirectional = c->model.bidirectional;
        fill_automatic(&fresh);
        char *filled = config_value_text(&fresh, key);
        same = strcmp(value, filled) == 0;
        free(filled);
    }
    free(value);
    config_free(&fresh);
    return same;
}

static status check_required(const config *c, error *e)
{
    for (int i = 0; i < config_schema_size; i++) {
        const config_key *k = &config_schema[i];
        if (k->fallback || c->origin[i])
            continue;
        char *variable = environment_name(k);
        status s =
            fail(e, STATUS_BAD_CONFIG,
                 "%s.%s (%s) is missing: set it in a file, with --set %s.%s=... or in the environment as %s",
                 k->section, k->name, k->meaning, k->section, k->name, variable);
        free(variable);
        return s;
    }
    return STATUS_OK;
}

static status check_effect(const config *c, error *e)
{
    for (int i = 0; i < config_schema_size; i++) {
        const config_key *k = &config_schema[i];
        if (rules_applies(c, k) || rules_is_default(c, k))
            continue;
        char *key = said(c, k), *decider = said(c, key_at(k->applies));
        status s = fail(e, STATUS_BAD_CONFIG,
                        "%s has no effect beside %s, only with %s: leave it out or give its default, %s", key,
                        decider, k->applies, k->fallback);
        free(key);
        free(decider);
        return s;
    }
    return STATUS_OK;
}

static status check_pairs(const config *c, error *e)
{
    bool has_floor = c->optim.schedule == SCHEDULE_PLATEAU || c->optim.schedule == SCHEDULE_COSINE;
    if (c->data.shards > c->data.batch_size)
        return conflict(c, "data.shards", "data.batch_size", "there cannot be more shards than rows", e);
    if (c->model.bidirectional && !rules_is_default(c, key_at("classify.backprop_steps")))
        return conflict(c, "classify.backprop_steps", "model.bidirectional",
                        "gradient flows through whole documents, and classify.max_length limits these", e);
    if (c->model.tied && c->model.embedding != c->model.hidden)
        return conflict(c, "model.embedding", "model.hidden", "must be equal when model.tied is true", e);
    if (*c->model.init_from && *c->model.vectors)
        return conflict(c, "model.vectors", "model.init_from",
                        "both would give the embedding its rows; leave one out", e);
    if (c->optim.nesterov && c->optim.momentum == 0)
        return conflict(c, "optim.nesterov", "optim.momentum", "Nesterov momentum needs a momentum above 0",
                        e);
    if (c->optim.nesterov && c->optim.dampening != 0)
        return conflict(c, "optim.nesterov", "optim.dampening", "Nesterov momentum needs a dampening of 0",
                        e);
    if (c->optim.clip_norm > 0 && c->optim.clip_value > 0)
        return conflict(c, "optim.clip_norm", "optim.clip_value", "clip by one of them, the other must be 0",
                        e);
    if (c->optim.schedule == SCHEDULE_PLATEAU && c->optim.decay == 1)
        return conflict(c, "optim.schedule", "optim.decay",
                        "at a plateau the rate must fall, decay must be below 1", e);
    if (c->optim.schedule == SCHEDULE_SLANTED && c->optim.warmup_steps > 0)
        return conflict(c, "optim.schedule", "optim.warmup_steps",
                        "the slanted triangle rises by itself, over optim.cut_frac of all steps", e);
    if (has_floor && c->optim.min_lr > c->optim.lr)
        return conflict(c, "optim.min_lr", "optim.lr", "the floor lies above the learning rate", e);
    return STATUS_OK;
}

status config_finish(config *c, error *e)
{
    status s = check_required(c, e);
    if (s != STATUS_OK)
        return s;
    fill_automatic(c);
    if ((s = check_effect(c, e)) != STATUS_OK)
        return s;
    return check_pairs(c, e);
}

static bool is_free_here(const config *now, const config_key *key)
{
    bool epochs_bend_it = now->optim.schedule == SCHEDULE_SLANTED ||
                          (now->optim.schedule == SCHEDULE_COSINE && now->optim.cosine_steps == 0);
    return key->is_free && !(epochs_bend_it && key == config_find("train", "epochs"));
}

status config_compare(const config *checkpoint, const config *now,
                      void (*changed)(const char *line, void *arg), void *arg, error *e)
{
    status s = STATUS_OK;
    for (int i = 0; i < config_schema_size && s == STATUS_OK; i++) {
        const config_key *k = &config_schema[i];
        char *was = config_value_text(checkpoint, k), *is = config_value_text(now, k);
        if (strcmp(was, is) != 0) {
            char *from = text_shown(was, strlen(was)), *to = text_shown(is, strlen(is)), *line = NULL;
            text_add(&line, "%s.%s: the checkpoint has %s, this run has %s (%s)", k->section, k->name, from,
                     to, value_origin(now, k));
            if (!is_free_here(now, k))
                s = fail(e, STATUS_BAD_CHECKPOINT, "%s, and a resumed run cannot change it", line);
            else if (changed)
                changed(line, arg);
            free(from);
            free(to);
            free(line);
        }
        free(was);
        free(is);
    }
    return s;
}
