/* predict.h - what `unroll predict` is asked, and its parts.
 *
 *   FILE -> predict_read -> a group of texts -> predict_score -> predict_write        TSV or JSONL, in the input's order
 *                (predict_texts.c)             (predict_score.c) -> predict_explain     a page (explain_page.h)
 *
 * A stream: one group at a time is in memory, GROUP_BATCHES batches of texts or GROUP_TOKENS words, whichever comes
 * first, and one text more.  What is said of a text depends neither on its group nor on its batch. */
#ifndef LAUNCH_PREDICT_H
#define LAUNCH_PREDICT_H

#include "io/labelled.h"
#include "io/output.h"
#include "io/text.h"
#include "io/tokenizer.h"
#include "launch/explain_page.h"
#include "launch/models.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum { PREDICT_TSV, PREDICT_JSONL } predict_format;

typedef struct predict_arguments {
    models_named models;
    const char *input; /* "-": standard input */
    int input_format;  /* labelled_format; -1: by the file's name */
    labelled_settings columns;
    bool empty_rows; /* an empty text gets a row without a label; else it is an error */
    int format;      /* predict_format */
    const char *output, *page;
    uint64_t batch_size, threads;
    uint64_t explain_steps, explain_words, explain_documents;
} predict_arguments;

typedef struct predict_text {
    char *place, *truth;  /* "reviews.tsv:12"; its label, NULL: it has none */
    size_t first, tokens; /* in the ids; <eos> counts; 0: the text is empty */
    uint8_t *bytes;       /* the text itself where it is to be explained, else NULL */
    size_t n;
    uint32_t best; /* the most probable class, the first of equal ones */
} predict_text;

typedef struct predict_group {
    predict_text *text;
    size_t count, room;
    uint32_t *ids[MODELS_MAX]; /* of each model's vocabulary */
    size_t tokens, ids_room;
    float *logp; /* (count, classes) log-probabilities; of empty texts nothing */
} predict_group;
void predict_group_free(predict_group *g);

/* ---- reading (predict_texts.c) ---- */

typedef struct predict_input {
    const predict_arguments *arguments;
    const inference *models;
    labelled *from;
    uint64_t documents; /* read so far */
} predict_input;
/* The models are open; their words and labels must allow the same texts and answers. */
status predict_input_open(predict_input *in, const predict_arguments *a, const inference *models, error *e);
void predict_input_close(predict_input *in);
/* The next group, in place of g's; count 0: there are no more. */
status predict_read(predict_input *in, predict_group *g, error *e);

/* A text's words, as these models take them, one after the other; then false. */
typedef struct predict_words {
    const inference *model;
    word_reader reader;
    uint8_t word[TEXT_WORD_MAX]; /* lent as *text by predict_next_word */
} predict_words;
void predict_words_start(predict_words *w, const inference *f, const uint8_t *bytes, size_t n);
bool predict_next_word(predict_words *w, const uint8_t **text, size_t *n);

/* ---- scoring (predict_score.c) ---- */

/* Fills in logp and best: of several models the average, as eval has it. */
status predict_score(predict_group *g, const predict_arguments *a, const session *job, inference *models,
                     error *e);

/* ---- writing (predict_write.c) ---- */

typedef struct predict_output {
    const predict_arguments *arguments;
    const vocabulary *labels;
    bool has_truth, started;
    output file;                                    /* under --output */
    uint64_t rows, empty, labelled, right, strange; /* strange: labels that the model does not know */
} predict_output;
/* On failure there is nothing to discard. */
status predict_output_open(predict_output *o, const predict_arguments *a, const vocabulary *labels,
                           bool has_truth, error *e);
status predict_write(predict_output *o, const predict_group *g, error *e);
status predict_output_close(predict_output *o, error *e);
void predict_output_discard(predict_output *o); /* safe after any failure, and twice */

/* ---- explaining (predict_explain.c) ---- */

typedef struct predict_page {
    explain_page page;
    bool is_open;
    uint64_t documents;
    double gap_sum, gap_largest; /* |sum of contributions - change of the log-odds| */
} predict_page;
status predict_page_open(predict_page *p, const predict_arguments *a, error *e);
/* Explains those of the group that have kept their bytes. */
status predict_explain(predict_page *p, const predict_group *g, const predict_arguments *a,
                       const session *job, inference *models, error *e);
status predict_page_close(predict_page *p, const predict_arguments *a, error *e);
void predict_page_discard(predict_page *p);

#endif
