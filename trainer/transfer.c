#include "trainer/transfer.h"

#include "io/tokenizer.h"
#include "kernels/fill.h"
#include "trainer/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct source {
    container file;
    bool is_open;
    config config;
    vocabulary vocab;
    int64_t *row;                  /* of each of our words: its id there, or -1 */
    bool same_words, same_outputs; /* word by word; what the rows of decoder.* stand for */
} source;

static status open_source(source *f, const char *path, const vocabulary *mine, error *e)
{
    status s = container_open(&f->file, path, "checkpoint", CONTAINER_CHECK, e);
    f->is_open = s == STATUS_OK;
    if (s == STATUS_OK)
        s = checkpoint_vocabulary(&f->file, &f->vocab, e);
    if (s != STATUS_OK)
        return s;
    f->row = malloc(mine->size * sizeof *f->row);
    if (!f->row)
        return fail(e, STATUS_NO_MEMORY, "no memory for %u words", mine->size);
    f->same_words = f->vocab.size == mine->size;
    for (uint32_t i = 0; i < mine->size; i++) {
        size_t n;
        const char *word = vocabulary_word(mine, i, &n);
        f->row[i] = vocabulary_find(&f->vocab, word, n);
        f->same_words = f->same_words && f->row[i] == (int64_t)i;
    }
    return STATUS_OK;
}

/* A language model's outputs are its words, a classifier's its labels. */
static status compare_outputs(source *f, const config *c, const vocabulary *labels, error *e)
{
    const bool theirs_classify = container_find(&f->file, "labels/start") != NULL;
    if (theirs_classify != (c->task.name == TASK_CLASSIFY))
        return STATUS_OK;
    f->same_outputs = f->same_words;
    if (!theirs_classify)
        return STATUS_OK;
    vocabulary theirs = {0};
    status s = checkpoint_labels(&f->file, &theirs, e);
    if (s == STATUS_OK)
        f->same_outputs = f->same_words && vocabulary_same(&theirs, labels);
    vocabulary_free(&theirs);
    return s;
}

static void close_source(source *f)
{
    free(f->row);
    config_free(&f->config);
    vocabulary_free(&f->vocab);
    if (f->is_open)
        container_close(&f->file);
}

static status differs(const source *f, const config *c, const char *section, const char *name, error *e)
{
    const config_key *key = config_find(section, name);
    char *there = config_value_text(&f->config, key), *here = config_value_text(c, key);
    status s = strcmp(there, here) == 0
                   ? STATUS_OK
                   : fail(e, STATUS_BAD_CONFIG, "%s: has %s.%s = %s, this run %s; they must be the same",
                          f->file.path, section, name, there, here);
    free(there);
    free(here);
    return s;
}

/* Weights of another cell may fit by shape and mean nothing. */
static status check_cell(source *f, const config *c, bool *turned, error *e)
{
    status s = checkpoint_config(&f->file, &f->config, e);
    if (s == STATUS_OK)
        s = differs(f, c, "model", "cell", e);
    if (s == STATUS_OK)
        s = differs(f, c, "model", "reset", e);
    *turned = f->config.data.direction != c->data.direction;
    return s;
}

/* Where a parameter has another shape: the key that makes it so, rather than the shapes. */
static status name_key(const source *f, const config *c, const param *q, status s, error *e)
{
    static const char *const keys[][2] = {{"model", "hidden"},
                                          {"model", "embedding"},
                                          {"model", "bidirectional"},
                                          {"classify", "hidden"},
                                          {"classify", "pooling"}};
    const bool is_head = strncmp(q->name, "head.", 5) == 0;
    error named = {0};
    for (size_t i = 0; i < (is_head ? 5 : 3); i++)
        if (differs(f, c, keys[i][0], keys[i][1], &named) != STATUS_OK) {
            *e = named;
            return named.code;
        }
    return s;
}

static const tensor *find(const source *f, const param *q)
{
    char name[sizeof((tensor *)0)->name];
    snprintf(name, sizeof name, "params/%s", q->name);
    return container_find(&f->file, name);
}

static bool fits(const tensor *t, const param *q)
{
    return t->type == DTYPE_F32 && t->dims == (q->cols ? 2 : 1) && t->shape[0] == (uint64_t)q->rows &&
           (q->cols == 0 || t->shape[1] == (uint64_t)q->cols);
}

static status take_words(const source *f, const vocabulary *mine, const param *q, float *w,
                         transfer_report *report, error *e)
{
    size_t cols = (size_t)q->cols;
    const tensor *t;
    const float *mean = NULL;
    status s = container_need(&f->file, "params/encoder.weight", DTYPE_F32, 2,
                              (uint64_t[2]){f->vocab.size, cols}, &t, e);
    if (s != STATUS_OK)
        return s;
    const float *theirs = t->data;
    for (uint32_t i = 0; i < mine->size; i++, w += cols) {
        if (f->row[i] >= 0) {
            memcpy(w, theirs + (size_t)f->row[i] * cols, cols * sizeof *w);
            continue;
        }
        report->unknown++;
        if (mean) {
            memcpy(w, mean, cols * sizeof *w);
        } else {
            fill_mean_row(theirs, f->vocab.size, cols, w);
            mean = w;
        }
    }
    return STATUS_OK;
}

static status take(const source *f, const vocabulary *mine, const param *q, float *w, transfer_fate *fate,
                   transfer_report *report, error *e)
{
    const tensor *t = find(f, q);
    *fate = t ? TRANSFER_TAKEN : TRANSFER_ABSENT;
    if (!t)
        return STATUS_OK;
    if (strcmp(q->name, "encoder.weight") == 0)
        return take_words(f, mine, q, w, report, e);
    if (strncmp(q->name, "decoder.", 8) == 0 && !(f->same_outputs && fits(t, q))) {
        *fate = TRANSFER_OTHER_OUTPUT;
        return STATUS_OK;
    }
    uint64_t shape[2] = {(uint64_t)q->rows, (uint64_t)q->cols};
    status s = container_need(&f->file, t->name, DTYPE_F32, q->cols ? 2 : 1, shape, &t, e);
    if (s == STATUS_OK)
        memcpy(w, t->data, q->count * sizeof *w);
    return s;
}

/* Parameters of the source that this run has no place for: of layers that are not there, most often. */
static void count_left(const source *f, const params *list, transfer_report *report)
{
    for (size_t i = 0; i < f->file.count; i++) {
        const char *name = f->file.tensors[i].name;
        if (strncmp(name, "params/", 7) != 0 || params_find(list, name + 7))
            continue;
        if (report->left++ == 0)
            snprintf(report->left_first, sizeof report->left_first, "%s", name + 7);
    }
}

/* Words of equal bytes, and other texts in which they are found. */
static void compare_rules(const source *f, const corpus *data, transfer_report *report)
{
    const char *level = "word", *tokenizer = NULL;
    bool lower = false;
    record_get_text(f->file.meta, "level", &level);
    record_get_text(f->file.meta, "tokenizer", &tokenizer);
    record_get_bool(f->file.meta, "lower", &lower);
    report->rule = tokenizer_rule(data->level, data->tokenizer, data->lower);
    report->rule_there = tokenizer_rule(level, tokenizer, lower);
}

status transfer_parameters(const config *c, const corpus *data, const params *list, float *value,
                           transfer_report *report, error *e)
{
    const vocabulary *mine = &data->vocab;
    source f = {0};
    char *path = NULL;
    *report = (transfer_report){.words = mine->size};
    config_init(&f.config);
    status s = store_resolve(c->model.init_from, false, &path, e);
    if (s == STATUS_OK)
        s = open_source(&f, path, mine, e);
    if (s == STATUS_OK)
        s = check_cell(&f, c, &report->turned, e);
    if (s == STATUS_OK)
        s = compare_outputs(&f, c, &data->labels, e);
    for (int i = 0; s == STATUS_OK && i < list->count; i++) {
        const param *q = &list->list[i];
        s = take(&f, mine, q, value + q->offset, &report->fate[i], report, e);
        if (s == STATUS_BAD_CHECKPOINT)
            s = name_key(&f, c, q, s, e);
    }
    if (s == STATUS_OK) {
        count_left(&f, list, report);
        compare_rules(&f, data, report);
        snprintf(report->path, sizeof report->path, "%s", path);
        memcpy(report->digest, f.file.digest, sizeof report->digest);
    }
    close_source(&f);
    free(path);
    return s == STATUS_OK ? s : fail_as(e, s, "model.init_from");
}

status transfer_vectors(const config *c, const vocabulary *mine, const params *list, float *value,
                        transfer_report *report, error *e)
{
    const param *q = params_find(list, "encoder.weight");
    const char *path = c->model.vectors;
    bool *found = malloc(mine->size * sizeof *found);
    *report = (transfer_report){.words = mine->size};
    status s = found ? vectors_read(path, mine, q->cols, value + q->offset, found, &report->vectors, e)
                     : fail(e, STATUS_NO_MEMORY, "no memory for %u words", mine->size);
    free(found);
    if (s == STATUS_OK && report->vectors.found == 0)
        s = fail(e, STATUS_BAD_DATA, "%s: has none of the %u words of %s", path, mine->size, c->data.corpus);
    if (s != STATUS_OK)
        return fail_as(e, s, "model.vectors (model.embedding is %d)", q->cols);
    report->unknown = mine->size - report->vectors.found;
    snprintf(report->path, sizeof report->path, "%s", path);
    sha256_of(value + q->offset, q->count * sizeof *value, report->digest);
    return STATUS_OK;
}

static void say_vectors(const transfer_report *report, run_log *log)
{
    log_line(
        log,
        "encoder.weight begins with %s: %u of %u words have a vector among its %llu, the others keep their "
        "initial values (SHA-256 of all rows %s)",
        report->path, report->vectors.found, report->words, (unsigned long long)report->vectors.words,
        report->digest);
    if (report->vectors.duplicates > 0)
        log_line(log, "%s: %llu line%s of a word that stands in an earlier one, which counts", report->path,
                 (unsigned long long)report->vectors.duplicates, report->vectors.duplicates == 1 ? "" : "s");
}

static void say_parameters(const transfer_report *report, const params *list, run_log *log)
{
    int taken = 0;
    for (int i = 0; i < list->count; i++)
        taken += report->fate[i] == TRANSFER_TAKEN;
    log_line(log,
             "begins with %s (SHA-256 %s): %d of %d parameters; of %u words %u are unknown there and get its "
             "mean row",
             report->path, report->digest, taken, list->count, report->words, report->unknown);
    for (int i = 0; i < list->count; i++)
        if (report->fate[i] != TRANSFER_TAKEN)
            log_line(log, "%s keeps its initial values: %s", list->list[i].name,
                     report->fate[i] == TRANSFER_ABSENT ? "there is none" : "another output layer");
    if (report->left > 0)
        log_line(log, "%d of its parameters have no place here and are left out, %s the first", report->left,
                 report->left_first);
    if (strcmp(report->rule, report->rule_there) != 0)
        log_line(log, "warning: that model has learnt from texts that were cut %s; those here were cut %s",
                 report->rule_there, report->rule);
    if (report->turned)
        log_line(log, "warning: that model reads in the other direction than data.direction here");
}

void transfer_say(const transfer_report *report, const params *list, run_log *log)
{
    if (report->vectors.found > 0)
        say_vectors(report, log);
    else if (report->path[0])
        say_parameters(report, list, log);
}
