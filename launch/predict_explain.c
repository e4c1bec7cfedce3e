/* predict_explain.c - contributions of words to the predicted class (trainer/attribution.h), averaged over the models,
 * on a page (explain_page.h). */
#include "io/bug.h"
#include "launch/predict.h"
#include "trainer/attribution.h"
#include "trainer/classify.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINT_TOKENS \
    8192 /* points of the path at a time are so many that together they have about so many words */

/* What a model reads of a document, of which no more than --explain-words are explained. */
static documents_cut cut_of(const inference *f, const predict_arguments *a)
{
    documents_cut cut = classify_cut(&f->config);
    if (cut.max_length == 0 || cut.max_length > (int64_t)a->explain_words)
        cut.max_length = (int64_t)a->explain_words;
    return cut;
}

/* One document. */
typedef struct explained {
    size_t first, last; /* tokens that some model has read */
    double *all, *one;  /* (tokens): averaged; of one model */
    attribution_ends ends;
} explained;

/* Adds model m's share of 1 in `models`. */
static void add_model(explained *d, const predict_group *g, const predict_text *t, attribution *x,
                      const session *job, const inference *models, int m, const predict_arguments *a)
{
    const documents_cut cut = cut_of(&models[m], a);
    const uint32_t *ids = g->ids[m] + t->first;
    attribution_ends ends;
    uint64_t first, n;
    documents_keep(&cut, t->tokens, &first, &n);
    uint32_t *read = malloc(n * sizeof *read);
    BUG_IF(!read, "out of memory for %" PRIu64 " words", n);
    for (uint64_t i = 0; i < n; i++)
        read[i] = ids[first + (cut.backward ? n - 1 - i : i)];
    attribution_words(x, job->team, models[m].value, read, (int)n, t->best, (int)a->explain_steps, d->one,
                      &ends);
    for (uint64_t i = 0; i < n; i++)
        d->all[first + (cut.backward ? n - 1 - i : i)] += d->one[i] / a->models.count;
    d->ends.document += ends.document / a->models.count;
    d->ends.nothing += ends.nothing / a->models.count;
    d->first = first < d->first ? first : d->first;
    d->last = first + n > d->last ? first + n : d->last;
    free(read);
}

/* The words as they stood in the text, <eos> behind them: (tokens) in *bytes and *word, which points into *blob. */
static void spell(const predict_text *t, const inference *f, const char **word, size_t *bytes, char **blob)
{
    predict_words words;
    const uint8_t *text;
    size_t n, used = 0, i = 0, *at = malloc(t->tokens * sizeof *at);
    FILE *out = open_memstream(blob, &used);
    BUG_IF(!at || !out, "out of memory for %zu words", t->tokens);
    predict_words_start(&words, f, t->bytes, t->n);
    for (size_t place = 0; i < t->tokens; place += bytes[i++]) {
        if (!predict_next_word(&words, &text, &n)) {
            text = (const uint8_t *)TEXT_EOS;
            n = strlen(TEXT_EOS);
        }
        fwrite(text, 1, n, out);
        at[i] = place;
        bytes[i] = n;
    }
    BUG_IF(fclose(out) != 0, "out of memory for %zu words", t->tokens);
    for (i = 0; i < t->tokens; i++)
        word[i] = *blob + at[i];
    free(at);
}

static void make_note(char note[256], const predict_text *t, const explained *d, double sum)
{
    const size_t shown = d->last - d->first;
    int used = 0;
    if (shown < t->tokens)
        used = snprintf(note, 256, "explained: the %s %zu of its %zu words; ", d->first ? "last" : "first",
                        shown, t->tokens);
    snprintf(note + used, 256 - (size_t)used,
             "contributions add up to %+.4f, the words bring the log-odds from %.4f to %.4f", sum,
             d->ends.nothing, d->ends.document);
}

static status show(predict_page *p, const predict_text *t, const explained *d, double probability,
                   const inference *models, error *e)
{
    const char **word = malloc(t->tokens * sizeof *word);
    size_t *bytes = malloc(t->tokens * sizeof *bytes), n;
    char *blob = NULL, note[256];
    double sum = 0.0;
    BUG_IF(!word || !bytes, "out of memory for %zu words", t->tokens);
    spell(t, models, word, bytes, &blob);
    for (size_t i = d->first; i < d->last; i++)
        sum += d->all[i];
    make_note(note, t, d, sum);
    const double gap = fabs(sum - (d->ends.document - d->ends.nothing));
    p->gap_sum += gap;
    p->gap_largest = fmax(p->gap_largest, gap);
    p->documents++;
    const char *label = vocabulary_word(&models->labels, t->best, &n);
    char *predicted = strndup(label, n);
    BUG_IF(!predicted, "out of memory for a label");
    const explain_document shown = {.place = t->place,
                                    .predicted = predicted,
                                    .probability = probability,
                                    .truth = t->truth,
                                    .note = note,
                                    .words = d->last - d->first,
                                    .word = word + d->first,
                                    .bytes = bytes + d->first,
                                    .contribution = d->all + d->first};
    status s = explain_page_add(&p->page, &shown, e);
    free(predicted);
    free(blob);
    free(bytes);
    free(word);
    return s == STATUS_OK ? s : fail_as(e, s, "--explain");
}

static status explain_one(predict_page *p, const predict_group *g, size_t i, attribution *x,
                          const predict_arguments *a, const session *job, const inference *models, error *e)
{
    const predict_text *t = &g->text[i];
    explained d = {.first = t->tokens};
    d.all = calloc(t->tokens, sizeof *d.all);
    d.one = malloc(t->tokens * sizeof *d.one);
    status s = d.all && d.one ? STATUS_OK : fail(e, STATUS_NO_MEMORY, "no memory for %zu words", t->tokens);
    for (int m = 0; s == STATUS_OK && m < a->models.count; m++)
        add_model(&d, g, t, &x[m], job, models, m, a);
    if (s == STATUS_OK)
        s = show(p, t, &d, exp((double)g->logp[i * models->labels.size + t->best]), models, e);
    free(d.all);
    free(d.one);
    return s;
}

/* Tokens of the longest text that is to be explained, 0 if there is none. */
static uint64_t longest_of(const predict_group *g, const inference *f, const predict_arguments *a)
{
    const documents_cut cut = cut_of(f, a);
    uint64_t longest = 0, first, n;
    for (size_t i = 0; i < g->count; i++) {
        documents_keep(&cut, g->text[i].tokens, &first, &n);
        if (g->text[i].bytes && n > longest)
            longest = n;
    }
    return longest;
}

status predict_explain(predict_page *p, const predict_group *g, const predict_arguments *a,
                       const session *job, inference *models, error *e)
{
    attribution x[MODELS_MAX];
    int open = 0;
    status s = STATUS_OK;
    if (longest_of(g, models, a) == 0)
        return STATUS_OK;
    for (; s == STATUS_OK && open < a->models.count; open += s == STATUS_OK) {
        const inference *f = &models[open];
        const int T = (int)longest_of(g, f, a), most = T < POINT_TOKENS ? POINT_TOKENS / T : 1;
        const int B = most < (int)a->explain_steps ? most : (int)a->explain_steps;
        s = attribution_open(&x[open], job->team, &f->classes, &f->list, T, B, e);
    }
    for (size_t i = 0; s == STATUS_OK && i < g->count; i++)
        if (g->text[i].bytes)
            s = explain_one(p, g, i, x, a, job, models, e);
    while (open > 0)
        attribution_close(&x[--open]);
    return s;
}

/* ---- the page ---- */

status predict_page_open(predict_page *p, const predict_arguments *a, error *e)
{
    *p = (predict_page){0};
    if (!a->page)
        return STATUS_OK;
    const char *slash = strrchr(a->input, '/');
    const char *name = strcmp(a->input, "-") == 0 ? "standard input" : slash ? slash + 1 : a->input;
    if (explain_page_open(&p->page, a->page, name, e) != STATUS_OK)
        return fail_as(e, STATUS_USAGE, "--explain");
    p->is_open = true;
    return STATUS_OK;
}

status predict_page_close(predict_page *p, const predict_arguments *a, error *e)
{
    if (!p->is_open)
        return STATUS_OK;
    p->is_open = false;
    status s = explain_page_close(&p->page, e);
    if (s != STATUS_OK)
        return fail_as(e, s, "--explain");
    if (p->documents > 0)
        fprintf(stderr,
                "explained: %" PRIu64 " documents in %" PRIu64
                " steps; contributions miss the change of the log-odds by %.2g on average, %.2g at most\n",
                p->documents, a->explain_steps, p->gap_sum / (double)p->documents, p->gap_largest);
    return STATUS_OK;
}

void predict_page_discard(predict_page *p)
{
    if (p->is_open)
        explain_page_discard(&p->page);
    p->is_open = false;
}
