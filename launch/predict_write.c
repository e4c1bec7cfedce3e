/* predict_write.c - one row a text: place, label, probabilities. */
#include "io/bug.h"
#include "io/escape.h"
#include "io/record.h"
#include "launch/predict.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pieces ---- */

/* A label or place in a column: what could end it is written as \xNN. */
static void put_field(FILE *out, const char *text, size_t n)
{
    char *clean = escape_text(text, n, n);
    BUG_IF(!clean, "out of memory for a column of %zu bytes", n);
    fputs(clean, out);
    free(clean);
}

static void put_label(FILE *out, const vocabulary *labels, uint32_t i)
{
    size_t n;
    const char *label = vocabulary_word(labels, i, &n);
    put_field(out, label, n);
}

/* "p_" in front of a class sets its column apart from ours: one may be called truth. */
static void put_header(FILE *out, const predict_output *o)
{
    fputs("place\tlabel\tprobability", out);
    for (uint32_t c = 0; c < o->labels->size; c++) {
        fputs("\tp_", out);
        put_label(out, o->labels, c);
    }
    fputs(o->has_truth ? "\ttruth\n" : "\n", out);
}

static void put_tsv(FILE *out, const predict_output *o, const predict_text *t, const float *logp)
{
    put_field(out, t->place, strlen(t->place));
    fputc('\t', out);
    if (t->tokens) {
        put_label(out, o->labels, t->best);
        fprintf(out, "\t%.9g", exp((double)logp[t->best]));
    } else {
        fputc('\t', out);
    }
    for (uint32_t c = 0; c < o->labels->size; c++)
        if (t->tokens)
            fprintf(out, "\t%.9g", exp((double)logp[c]));
        else
            fputc('\t', out);
    if (o->has_truth) {
        fputc('\t', out);
        put_field(out, t->truth ? t->truth : "", t->truth ? strlen(t->truth) : 0);
    }
    fputc('\n', out);
}

static void put_json(FILE *out, const predict_output *o, const predict_text *t, const float *logp)
{
    record *r = record_new();
    record_set_text(r, "place", t->place);
    for (uint32_t c = 0; t->tokens && c <= o->labels->size; c++) {
        char *key;
        size_t n;
        const char *label = vocabulary_word(o->labels, c ? c - 1 : t->best, &n);
        BUG_IF(asprintf(&key, "p_%.*s", (int)n, label) < 0, "out of memory for a label");
        if (c == 0) {
            record_set_text(r, "label", key + 2);
            record_set_double(r, "probability", exp((double)logp[t->best]));
        } else {
            record_set_double(r, key, exp((double)logp[c - 1]));
        }
        free(key);
    }
    if (t->truth)
        record_set_text(r, "truth", t->truth);
    char *line = record_to_text(r);
    fprintf(out, "%s\n", line);
    free(line);
    record_free(r);
}

/* ---- rows ---- */

static void count(predict_output *o, const predict_text *t)
{
    size_t n;
    o->rows++;
    o->empty += t->tokens == 0;
    if (!t->truth || !t->tokens)
        return;
    const char *label = vocabulary_word(o->labels, t->best, &n);
    const size_t m = strlen(t->truth);
    o->labelled++;
    o->right += n == m && memcmp(label, t->truth, n) == 0;
    o->strange += vocabulary_find(o->labels, t->truth, m) < 0;
}

static void put_rows(FILE *out, predict_output *o, const predict_group *g)
{
    if (!o->started && o->arguments->format == PREDICT_TSV)
        put_header(out, o);
    o->started = true;
    for (size_t i = 0; i < g->count; i++) {
        const float *logp = g->logp + i * o->labels->size;
        count(o, &g->text[i]);
        if (o->arguments->format == PREDICT_TSV)
            put_tsv(out, o, &g->text[i], logp);
        else
            put_json(out, o, &g->text[i], logp);
    }
}

status predict_output_open(predict_output *o, const predict_arguments *a, const vocabulary *labels,
                           bool has_truth, error *e)
{
    *o = (predict_output){.arguments = a, .labels = labels, .has_truth = has_truth};
    if (!a->output || output_open(&o->file, a->output, e) == STATUS_OK)
        return STATUS_OK;
    return fail_as(e, STATUS_USAGE, "--output");
}

status predict_write(predict_output *o, const predict_group *g, error *e)
{
    if (o->arguments->output) {
        put_rows(o->file.stream, o, g);
        status s = output_flush(&o->file, e);
        return s == STATUS_OK ? s : fail_as(e, s, "--output");
    }
    put_rows(stdout, o, g);
    fflush(stdout); /* a failure is the stream's, and main's to tell */
    return STATUS_OK;
}

static void tell(const predict_output *o)
{
    if (o->empty > 0)
        fprintf(stderr, "empty documents: %" PRIu64 " of %" PRIu64 ", without a label\n", o->empty, o->rows);
    if (o->strange > 0)
        fprintf(stderr, "labels that the model does not know: %" PRIu64 ", counted as wrong\n", o->strange);
    if (o->labelled > 0)
        fprintf(stderr, "accuracy: %.4f, %" PRIu64 " of %" PRIu64 " labelled documents\n",
                (double)o->right / (double)o->labelled, o->right, o->labelled);
}

status predict_output_close(predict_output *o, error *e)
{
    status s = o->arguments->output ? output_close(&o->file, e) : STATUS_OK;
    if (s == STATUS_OK)
        tell(o);
    return s == STATUS_OK ? s : fail_as(e, s, "--output");
}

void predict_output_discard(predict_output *o)
{
    output_discard(&o->file);
}
