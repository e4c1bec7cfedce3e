/* test_config_rules.c - what config_finish fills in and refuses, and what a resumed run may change.
 *
 * Defaults are compared with torch.optim's by value, written down here a second time on purpose: the
 * schema cannot vouch for itself. */
#include "io/config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Defaults, a corpus, and the assignments, separated by blanks. */
static void make(config *c, const char *assignments)
{
    char text[512], *rest = NULL;
    error e = {0};
    config_init(c);
    snprintf(text, sizeof text, "data.corpus=x.h5 %s", assignments);
    for (char *a = strtok_r(text, " ", &rest); a; a = strtok_r(NULL, " ", &rest))
        if (config_set(c, a, &e) != STATUS_OK)
            fail_msg("%s: %s", a, e.text);
}

static void test_defaults_of_the_optimisers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double lr, eps, weight_decay;
    } torch[] = {{"sgd", 1e-3, 1e-8, 0},
                 {"adam", 1e-3, 1e-8, 0},
                 {"adamw", 1e-3, 1e-8, 0.01},
                 {"rmsprop", 1e-2, 1e-8, 0},
                 {"adagrad", 1e-2, 1e-10, 0}};
    for (int i = 0; i < 5; i++) {
        config c;
        error e = {0};
        char assignment[64];
        snprintf(assignment, sizeof assignment, "optim.name=%s", torch[i].name);
        make(&c, assignment);
        assert_true(isnan(c.optim.lr) && isnan(c.optim.eps) && isnan(c.optim.weight_decay));
        assert_int_equal(config_finish(&c, &e), STATUS_OK);
        assert_int_equal(c.optim.name, i);
        assert_true(c.optim.lr == torch[i].lr && c.optim.eps == torch[i].eps);
        assert_true(c.optim.weight_decay == torch[i].weight_decay);
        assert_true(c.optim.beta1 == 0.9 && c.optim.beta2 == 0.999 && c.optim.alpha == 0.99);
        assert_true(c.optim.momentum == 0 && c.optim.dampening == 0 && c.optim.lr_decay == 0);
        assert_true(c.optim.initial_accumulator == 0 && !c.optim.amsgrad && !c.optim.centered &&
                    !c.optim.nesterov);
        config_free(&c);
    }
}

static void test_other_defaults(void **state)
{
    (void)state;
    config c;
    error e = {0};
    make(&c, "");
    assert_int_equal(config_finish(&c, &e), STATUS_OK);
    assert_true(c.data.batch_size == 20 && c.data.bptt == 35 && c.data.shards == 4 &&
                c.data.carry == CARRY_EPOCH);
    assert_true(c.model.cell == CELL_LSTM && c.model.reset == RESET_AFTER && c.model.layers == 2);
    assert_true(c.model.embedding == 200 && c.model.hidden == 200 && !c.model.tied && c.model.dropout == 0);
    assert_true(c.model.init == INIT_PYTORCH && c.model.init_recurrent == INIT_SAME);
    assert_true(c.model.init_scale == 0.1 && c.model.forget_bias == 0);
    assert_true(c.optim.loss_scale == LOSS_TOKEN_MEAN && c.optim.clip_norm == 0 && c.optim.clip_value == 0);
    assert_true(c.optim.schedule == SCHEDULE_CONSTANT && c.optim.decay == 0.5 &&
                c.optim.decay_after_epoch == 0);
    assert_true(c.train.epochs == 1 && c.train.seed == 1 && c.train.steps == 0 && c.eval.batch_size == 10);
    assert_true(c.run.checkpoint_every_seconds == 600 && c.run.checkpoint_every_epochs == 1);
    assert_true(c.run.keep_last == 3 && c.run.keep_best == 1 && c.run.log_every_steps == 200);
    assert_string_equal(c.run.dir, "runs/default");
    assert_true(c.data.direction == DIRECTION_FORWARD && c.optim.cut_frac == 0.1 && c.optim.ratio == 32);
    assert_true(c.optim.layer_decay == 1 && c.optim.unfreeze_every_epochs == 0);
    assert_string_equal(c.model.init_from, "");
    assert_string_equal(c.model.vectors, "");
    config_free(&c);
}

/* The largest power of two not above max(1, B/4), by its definition. */
static void test_automatic_shards(void **state)
{
    (void)state;
    for (int64_t rows = 1; rows <= 70; rows++) {
        config c;
        error e = {0};
        char assignment[64];
        snprintf(assignment, sizeof assignment, "data.batch_size=%lld", (long long)rows);
        make(&c, assignment);
        assert_int_equal(config_finish(&c, &e), STATUS_OK);
        double quarter = (double)rows / 4, most = quarter > 1 ? quarter : 1;
        assert_true((c.data.shards & (c.data.shards - 1)) == 0 && c.data.shards >= 1);
        assert_true((double)c.data.shards <= most && 2 * (double)c.data.shards > most);
        assert_true(c.data.shards <= rows && c.eval.batch_size == (rows < 10 ? rows : 10));
        config_free(&c);
    }
}

static void test_rules_across_keys(void **state)
{
    (void)state;
    static const struct {
        const char *assignments, *refused; /* NULL: accepted */
    } rules[] = {
        {"model.tied=true", NULL},
        {"model.tied=true model.hidden=300",
         "model.embedding = 200 (default) and model.hidden = 300 (--set model.hidden)"},
        {"data.batch_size=4 data.shards=4", NULL},
        {"data.batch_size=4 data.shards=5", "more shards than rows"},
        {"optim.nesterov=true optim.momentum=0.9", NULL},
        {"optim.nesterov=true", "momentum above 0"},
        {"optim.nesterov=true optim.momentum=0.9 optim.dampening=0.1", "dampening of 0"},
        {"optim.clip_norm=1", NULL},
        {"optim.clip_norm=1 optim.clip_value=1", "clip by one of them"},
        {"optim.schedule=plateau optim.decay=1", "decay must be below 1"},
        {"optim.schedule=step optim.decay=1", NULL},
        {"optim.schedule=cosine optim.lr=0.1 optim.min_lr=0.1", NULL},
        {"optim.schedule=cosine optim.lr=0.1 optim.min_lr=0.2", "the floor lies above"},
        {"model.cell=gru model.reset=before", NULL},
        {"model.reset=before",
         "model.reset = before (--set model.reset) has no effect beside model.cell = lstm (default)"},
        {"model.reset=after", NULL},
        {"model.cell=gru model.forget_bias=1", "only with model.cell=lstm"},
        {"model.cell=gru model.forget_bias=0.0", NULL},
        {"model.init_scale=0.05", "only with model.init=uniform"},
        {"model.init=uniform model.init_scale=0.05", NULL},
        {"optim.beta1=0.8", "optim.beta1 = 0.8 (--set optim.beta1) has no effect beside optim.name = sgd"},
        {"optim.name=adamw optim.beta1=0.8 optim.eps=1e-6", NULL},
        {"optim.name=adam optim.momentum=0.9", "only with optim.name=sgd|rmsprop"},
        {"optim.name=rmsprop optim.momentum=0.9 optim.centered=true", NULL},
        {"optim.name=rmsprop optim.dampening=0.9", "only with optim.name=sgd:"},
        {"optim.eps=1e-8", NULL},
        {"optim.eps=1e-7", "has no effect beside optim.name = sgd"},
        {"optim.patience=1", "only with optim.schedule=plateau"},
        {"optim.schedule=step optim.decay_after_epoch=4", NULL},
        {"optim.decay_after_epoch=4", "only with optim.schedule=step"},
        {"optim.schedule=plateau optim.decay_after_epoch=4", "only with optim.schedule=step"},
        {"optim.schedule=cosine optim.cosine_steps=10", NULL},
        {"optim.schedule=step optim.cosine_steps=10", "only with optim.schedule=cosine"},
        {"optim.schedule=slanted optim.cut_frac=0 optim.ratio=1", NULL},
        {"optim.schedule=cosine optim.ratio=10", "only with optim.schedule=slanted"},
        {"optim.schedule=slanted optim.warmup_steps=1", "rises by itself"},
        {"optim.layer_decay=2.6 optim.unfreeze_every_epochs=1 model.init_from=x", NULL},
        {"model.vectors=x", NULL},
        {"model.vectors=x model.init_from=y", "both would give the embedding its rows"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        config c;
        error e = {0};
        make(&c, rules[i].assignments);
        status s = config_finish(&c, &e);
        if (s != (rules[i].refused ? STATUS_BAD_CONFIG : STATUS_OK) ||
            (rules[i].refused && !strstr(e.text, rules[i].refused)))
            fail_msg("%s gives %d: %s", rules[i].assignments, s, e.text);
        config_free(&c);
    }
}

static void test_required_keys(void **state)
{
    (void)state;
    config c;
    error e = {0};
    config_init(&c);
    assert_int_equal(config_finish(&c, &e), STATUS_BAD_CONFIG);
    assert_non_null(strstr(e.text, "data.corpus"));
    assert_non_null(strstr(e.text, "UNROLL_DATA__CORPUS"));
    config_free(&c);
}

static void count_line(const char *line, void *arg)
{
    assert_non_null(strstr(line, "the checkpoint has "));
    ++*(int *)arg;
}

/* Every key once: the schema's `free` decides, and the message names the key and both values. */
static void test_comparison_follows_the_schema(void **state)
{
    (void)state;
    for (int i = 0; i < config_schema_size; i++) {
        const config_key *key = &config_schema[i];
        config before, now;
        error e = {0};
        char assignment[128];
        int changes = 0;
        make(&before, "");
        make(&now, "");
        assert_int_equal(config_finish(&before, &e), STATUS_OK);
        assert_int_equal(config_finish(&now, &e), STATUS_OK);
        assert_int_equal(config_compare(&before, &now, count_line, &changes, &e), STATUS_OK);
        assert_int_equal(changes, 0);
        const char *other = key->type == KEY_BOOL ? "true" : key->type == KEY_TEXT ? "other" : "7";
        if (key->type == KEY_REAL)
            other = key->min <= 0.375 ? "0.375" : "7";
        if (key->type == KEY_CHOICE) { /* the last choice is nobody's default */
            other = strrchr(key->choices, '|') + 1;
            other = strcmp(key->section, "model") == 0 && strcmp(key->name, "init") == 0 ? "uniform" : other;
        }
        snprintf(assignment, sizeof assignment, "%s.%s=%s", key->section, key->name, other);
        assert_int_equal(config_set(&now, assignment, &e), STATUS_OK);
        status s = config_compare(&before, &now, count_line, &changes, &e);
        assert_int_equal(changes, key->is_free ? 1 : 0);
        assert_int_equal(s, key->is_free ? STATUS_OK : STATUS_BAD_CHECKPOINT);
        if (!key->is_free) {
            char *was = config_value_text(&before, key), words[256];
            snprintf(words, sizeof words, "%s.%s: the checkpoint has %s, this run has %s (--set %s.%s)",
                     key->section, key->name, was, other, key->section, key->name);
            assert_non_null(strstr(e.text, words));
            free(was);
        }
        assert_int_equal(config_compare(&before, &now, NULL, NULL, NULL), s);
        config_free(&before);
        config_free(&now);
    }
}

/* The number of epochs is free, except where it sets the length of the schedule. */
static void test_epochs_that_bend_the_schedule(void **state)
{
    (void)state;
    static const struct {
        const char *schedule;
        status expected;
    } cases[] = {{"optim.schedule=constant", STATUS_OK},
                 {"optim.schedule=cosine", STATUS_BAD_CHECKPOINT},
                 {"optim.schedule=slanted", STATUS_BAD_CHECKPOINT},
                 {"optim.schedule=cosine optim.cosine_steps=100", STATUS_OK}};
    for (int i = 0; i < 4; i++) {
        config before, now;
        error e = {0};
        make(&before, cases[i].schedule);
        make(&now, cases[i].schedule);
        assert_int_equal(config_set(&now, "train.epochs=9", &e), STATUS_OK);
        assert_int_equal(config_finish(&before, &e), STATUS_OK);
        assert_int_equal(config_finish(&now, &e), STATUS_OK);
        assert_int_equal(config_compare(&before, &now, NULL, NULL, &e), cases[i].expected);
        config_free(&before);
        config_free(&now);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_of_the_optimisers),
        cmocka_unit_test(test_other_defaults),
        cmocka_unit_test(test_automatic_shards),
        cmocka_unit_test(test_rules_across_keys),
        cmocka_unit_test(test_required_keys),
        cmocka_unit_test(test_comparison_follows_the_schema),
        cmocka_unit_test(test_epochs_that_bend_the_schedule),
    };
    return cmocka_run_group_tests_name("config_rules", tests, NULL, NULL);
}
