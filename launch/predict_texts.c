/* predict_texts.c - from a file of texts to groups of token ids. */
#include "io/bug.h"
#include "launch/predict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_BATCHES ((size_t)64)
#define GROUP_TOKENS  ((size_t)1 << 24)

/* ---- the models ---- */

static status check_models(const inference *m, int models, error *e)
{
    for (int i = 0; i < models; i++) {
        if (m[i].vocab.eos < 0 || m[i].vocab.unk < 0)
            return fail(e, STATUS_BAD_CHECKPOINT,
                        "%s: its vocabulary lacks %s; a classifier of new texts needs %s and %s",
                        m[i].file.path, m[i].vocab.eos < 0 ? TEXT_EOS : TEXT_UNK, TEXT_EOS, TEXT_UNK);
        if (!vocabulary_same(&m->labels, &m[i].labels))
            return fail(e, STATUS_BAD_CHECKPOINT, "%s: has other labels than %s", m[i].file.path,
                        m->file.path);
        if (strcmp(inference_rule(m), inference_rule(&m[i])) != 0)
            return fail(e, STATUS_BAD_CHECKPOINT, "%s: cuts texts %s, %s cuts them %s", m[i].file.path,
                        inference_rule(&m[i]), m->file.path, inference_rule(m));
    }
    return STATUS_OK;
}

/* ---- words ---- */

void predict_words_start(predict_words *w, const inference *f, const uint8_t *bytes, size_t n)
{
    w->model = f;
    w->reader = (word_reader){bytes, bytes + n, f->lower};
}

bool predict_next_word(predict_words *w, const uint8_t **text, size_t *n)
{
    word_reader *r = &w->reader;
    if (w->model->tokenizer) {
        *text = w->word;
        return word_next(r, w->word, n);
    }
    for (size_t space; r->at < r->end && (space = text_space(r->at, r->end)) > 0;)
        r->at += space;
    *text = r->at;
    while (r->at < r->end && text_space(r->at, r->end) == 0)
        r->at++;
    *n = (size_t)(r->at - *text);
    return *n > 0;
}

static status add_ids(predict_group *g, const predict_input *in, const uint8_t *word, size_t n, error *e)
{
    const int models = in->arguments->models.count;
    if (g->tokens == g->ids_room) {
        const size_t room = 2 * g->ids_room + 65536;
        for (int m = 0; m < models; m++) {
            uint32_t *ids = realloc(g->ids[m], room * sizeof *ids);
            if (!ids)
                return fail(e, STATUS_NO_MEMORY, "no memory for texts of %zu words", room);
            g->ids[m] = ids;
        }
        g->ids_room = room;
    }
    for (int m = 0; m < models; m++) {
        const vocabulary *v = &in->models[m].vocab;
        const int64_t id = word ? vocabulary_find(v, (const char *)word, n) : v->eos;
        g->ids[m][g->tokens] = (uint32_t)(id < 0 ? v->unk : id);
    }
    g->tokens++;
    return STATUS_OK;
}

/* ---- texts ---- */

static char *copy(const void *bytes, size_t n)
{
    char *text = malloc(n + 1);
    BUG_IF(!text, "out of memory for a text of %zu bytes", n);
    memcpy(text, bytes, n);
    text[n] = 0;
    return text;
}

static predict_text *add_text(predict_group *g)
{
    if (g->count == g->room) {
        g->room = 2 * g->room + 1024;
        g->text = realloc(g->text, g->room * sizeof *g->text);
        BUG_IF(!g->text, "out of memory for %zu texts", g->room);
    }
    g->text[g->count] = (predict_text){.first = g->tokens};
    return &g->text[g->count++];
}

static status take(predict_input *in, predict_group *g, const labelled_document *d, error *e)
{
    const predict_arguments *a = in->arguments;
    predict_words words;
    const uint8_t *word;
    status s = STATUS_OK;
    predict_text *t = add_text(g);
    t->place = copy(d->place, strlen(d->place));
    t->truth = d->label ? copy(d->label, d->label_bytes) : NULL;
    predict_words_start(&words, in->models, d->text, d->text_bytes);
    for (size_t n; s == STATUS_OK && predict_next_word(&words, &word, &n);)
        s = add_ids(g, in, word, n, e);
    if (s == STATUS_OK && g->tokens == t->first)
        return a->empty_rows
                   ? STATUS_OK
                   : fail(e, STATUS_BAD_DATA,
                          "%s: an empty document; --empty row gives it a row without a label", d->place);
    if (s == STATUS_OK)
        s = add_ids(g, in, NULL, 0, e);
    t->tokens = g->tokens - t->first;
    if (a->page && in->documents < a->explain_documents) {
        t->bytes = (uint8_t *)copy(d->text, d->text_bytes);
        t->n = d->text_bytes;
    }
    return s;
}

static void clear(predict_group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        free(g->text[i].place);
        free(g->text[i].truth);
        free(g->text[i].bytes);
    }
    free(g->logp);
    g->logp = NULL;
    g->count = g->tokens = 0;
}

void predict_group_free(predict_group *g)
{
    clear(g);
    free(g->text);
    for (int m = 0; m < MODELS_MAX; m++)
        free(g->ids[m]);
    memset(g, 0, sizeof *g);
}

status predict_read(predict_input *in, predict_group *g, error *e)
{
    const size_t most = GROUP_BATCHES * (size_t)in->arguments->batch_size;
    labelled_document d;
    bool more = true;
    status s = STATUS_OK;
    clear(g);
    while (s == STATUS_OK && g->count < most && g->tokens < GROUP_TOKENS) {
        s = labelled_next(in->from, &d, &more, e);
        if (s != STATUS_OK || !more)
            break;
        s = take(in, g, &d, e);
        in->documents++;
    }
    if (s == STATUS_OK && in->documents == 0)
        s = fail(e, STATUS_BAD_DATA, "%s: holds no document",
                 strcmp(in->arguments->input, "-") == 0 ? "standard input" : in->arguments->input);
    return s;
}

/* ---- the file ---- */

static status check_columns(const predict_arguments *a, int format, error *e)
{
    const labelled_settings *c = &a->columns;
    if (format == LABELLED_LINES && (c->text || c->label || c->no_header))
        return fail(e, STATUS_USAGE,
                    "--text-column, --label-column and --no-header go with a table; %s is read as lines "
                    "(--input says otherwise)",
                    strcmp(a->input, "-") == 0 ? "standard input" : a->input);
    if (format == LABELLED_JSONL && c->no_header)
        return fail(e, STATUS_USAGE, "--no-header goes with a table; JSON lines have none");
    return STATUS_OK;
}

/* By the file's name; place NULL: standard input. */
static status choose_format(int *format, const source_place *place, const char *name, error *e)
{
    *format = place ? (int)labelled_format_of(place) : LABELLED_LINES;
    status s = place ? labelled_check_name(place, false, e) : STATUS_OK;
    if (s == STATUS_OK && place && labelled_is_guess(place))
        fprintf(stderr, "%s: is read as one text a line (--input says otherwise)\n", name);
    return s;
}

status predict_input_open(predict_input *in, const predict_arguments *a, const inference *models, error *e)
{
    *in = (predict_input){.arguments = a, .models = models};
    const bool piped = strcmp(a->input, "-") == 0;
    source_place place = {0};
    int format = a->input_format;
    status s = check_models(models, a->models.count, e);
    if (s == STATUS_OK && !piped && !source_piped(&place, a->input))
        s = source_single(&place, a->input, e);
    if (s == STATUS_OK && format < 0)
        s = choose_format(&format, piped ? NULL : &place, a->input, e);
    if (s == STATUS_OK)
        s = check_columns(a, format, e);
    if (s == STATUS_OK)
        s = labelled_open(&in->from, piped ? NULL : &place, (labelled_format)format, &a->columns, e);
    source_place_free(&place);
    return s;
}

void predict_input_close(predict_input *in)
{
    labelled_close(in->from);
    in->from = NULL;
}
