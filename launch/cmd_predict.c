/* unroll predict - labels of new texts, by one classifier or several (predict.h). */
#include "io/bug.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/predict.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: unroll predict CHECKPOINT|RUN_DIR... FILE|- [options]\n"
    "\n"
    "Labels the texts of FILE, or of standard input (-), and prints of each its place, label, the label's "
    "probability and that of each class.  Several classifiers of the same labels are averaged.\n"
    "Texts are cut into words as the corpus was that the classifier learnt from.  Equal texts get equal "
    "numbers, "
    "those of `unroll eval`, in any batch and on any number of threads.\n"
    "Labels in FILE are passed through as truth, and the accuracy is told on stderr.  A stream is answered "
    "in "
    "groups of 64 batches.\n"
    "\n"
    "      --format F          of the output (tsv): tsv, its columns place, label, probability, p_CLASS for "
    "each class "
    "and, of labelled texts, truth; or jsonl, with these keys\n"
    "      --output FILE       instead of stdout; it appears when it is complete (a pipe or device is "
    "written as it goes)\n"
    "      --input F           lines (one text a line), tsv, csv or jsonl (by FILE's name, a pipe's too; - "
    "and "
    "other names are read as lines)\n"
    "      --text-column C     a column's name, or its number from 1; of JSON, a key (text)\n"
    "      --label-column C    likewise (label, where it is there)\n"
    "      --no-header         the first line of a table is a document; columns are numbers, the text's 1\n"
    "      --invalid H         invalid UTF-8: error or replace, by U+FFFD (error)\n"
    "      --empty H           a text without words: error, or row, which has no label and no numbers "
    "(error)\n"
    "      --batch-size N      texts at a time (32); no result depends on it\n"
    "      --last              of run directories, the newest checkpoint instead of the best\n"
    "      --threads N         threads\n"
    "\n"
    "      --explain PAGE.html each word coloured by what it contributes to the predicted class's log-odds: "
    "integrated gradients, on the straight path from word vectors of zero\n"
    "      --explain-steps N   points of that path (32); more bring the sum of the contributions nearer to "
    "the "
    "change of the log-odds, which is told\n"
    "      --explain-words N   of a longer text so many words are explained, read alone, from the end that "
    "the "
    "classifier keeps (1000)\n"
    "      --explain-documents N\n"
    "                          the first N texts are explained (100)\n"
    "  -h, --help              this text\n"
    "\n"
    "Exit status: 0 done, 1 a result could not be written (a full disk), 2 usage, 3 data, 4 checkpoint.\n";

enum {
    OPT_FORMAT = 256,
    OPT_OUTPUT,
    OPT_INPUT,
    OPT_TEXT_COLUMN,
    OPT_LABEL_COLUMN,
    OPT_NO_HEADER,
    OPT_INVALID,
    OPT_EMPTY,
    OPT_BATCH_SIZE,
    OPT_LAST,
    OPT_THREADS,
    OPT_EXPLAIN,
    OPT_EXPLAIN_STEPS,
    OPT_EXPLAIN_WORDS,
    OPT_EXPLAIN_DOCUMENTS
};
static const struct option long_options[] = {
    {"format", required_argument, NULL, OPT_FORMAT},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"input", required_argument, NULL, OPT_INPUT},
    {"text-column", required_argument, NULL, OPT_TEXT_COLUMN},
    {"label-column", required_argument, NULL, OPT_LABEL_COLUMN},
    {"no-header", no_argument, NULL, OPT_NO_HEADER},
    {"invalid", required_argument, NULL, OPT_INVALID},
    {"empty", required_argument, NULL, OPT_EMPTY},
    {"batch-size", required_argument, NULL, OPT_BATCH_SIZE},
    {"last", no_argument, NULL, OPT_LAST},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"explain", required_argument, NULL, OPT_EXPLAIN},
    {"explain-steps", required_argument, NULL, OPT_EXPLAIN_STEPS},
    {"explain-words", required_argument, NULL, OPT_EXPLAIN_WORDS},
    {"explain-documents", required_argument, NULL, OPT_EXPLAIN_DOCUMENTS},
    {"help", no_argument, NULL, 'h'},
    {0}};

static const char *const format_names[] = {[PREDICT_TSV] = "tsv", [PREDICT_JSONL] = "jsonl"};
static const char *const input_names[] = {
    [LABELLED_LINES] = "lines", [LABELLED_TSV] = "tsv", [LABELLED_CSV] = "csv", [LABELLED_JSONL] = "jsonl"};
static const char *const invalid_names[] = {"error", "replace"};
static const char *const empty_names[] = {"error", "row"};

static status take_choice(predict_arguments *a, int option, const char *value, error *e)
{
    int choice = 0;
    status s = STATUS_OK;
    switch (option) {
    case OPT_FORMAT:
        return option_choice(&a->format, "--format", value, format_names, 2, e);
    case OPT_INPUT:
        return option_choice(&a->input_format, "--input", value, input_names, 4, e);
    case OPT_INVALID:
        s = option_choice(&choice, "--invalid", value, invalid_names, 2, e);
        a->columns.replace_invalid = choice == 1;
        return s;
    case OPT_EMPTY:
        s = option_choice(&choice, "--empty", value, empty_names, 2, e);
        a->empty_rows = choice == 1;
        return s;
    }
    return s; /* help has been given */
}

static status take_option(predict_arguments *a, int option, const char *value, error *e)
{
    switch (option) {
    case OPT_OUTPUT:
        a->output = value;
        return STATUS_OK;
    case OPT_TEXT_COLUMN:
        a->columns.text = value;
        return STATUS_OK;
    case OPT_LABEL_COLUMN:
        a->columns.label = value;
        return STATUS_OK;
    case OPT_NO_HEADER:
        a->columns.no_header = true;
        return STATUS_OK;
    case OPT_BATCH_SIZE:
        return option_count(&a->batch_size, "--batch-size", value, 1, 65536, e);
    case OPT_LAST:
        a->models.last = true;
        return STATUS_OK;
    case OPT_THREADS:
        return option_count(&a->threads, "--threads", value, 1, OPTION_THREADS_MAX, e);
    case OPT_EXPLAIN:
        a->page = value;
        return STATUS_OK;
    case OPT_EXPLAIN_STEPS:
        return option_count(&a->explain_steps, "--explain-steps", value, 1, 4096, e);
    case OPT_EXPLAIN_WORDS:
        return option_count(&a->explain_words, "--explain-words", value, 1, 100000, e);
    case OPT_EXPLAIN_DOCUMENTS:
        return option_count(&a->explain_documents, "--explain-documents", value, 1, 100000, e);
    }
    return take_choice(a, option, value, e);
}

/* Once the models are open, for a run directory does not name the checkpoint that it stands for. */
static status check_written(const predict_arguments *a, const inference *models, const char *option,
                            const char *path, error *e)
{
    const char *input = strcmp(a->input, "-") == 0 ? "/dev/stdin" : a->input;
    status s = option_not_over(option, path, input, "the input itself", e);
    return s == STATUS_OK ? models_not_over(models, a->models.count, option, path, e) : s;
}

static status check_outputs(const predict_arguments *a, const inference *models, error *e)
{
    status s = check_written(a, models, "--output", a->output, e);
    if (s == STATUS_OK)
        s = check_written(a, models, "--explain", a->page, e);
    return s == STATUS_OK && a->output
               ? option_not_over("--explain", a->page, a->output, "the --output, too", e)
               : s;
}

static status parse(predict_arguments *a, int argc, char **argv, error *e)
{
    int option;
    bool explains = false;
    status s = STATUS_OK;
    *a = (predict_arguments){.input_format = -1,
                             .columns.label_optional = true,
                             .batch_size = 32,
                             .explain_steps = 32,
                             .explain_words = 1000,
                             .explain_documents = 100};
    optind = 1;
    opterr = 0;
    while (s == STATUS_OK && (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
        explains = explains || option >= OPT_EXPLAIN_STEPS;
        s = option == '?' || option == ':' ? option_refused("predict", argv, option, e)
                                           : take_option(a, option, optarg, e);
    }
    if (s != STATUS_OK)
        return s;
    a->models.count = argc - optind - 1;
    if (a->models.count < 1 || a->models.count > MODELS_MAX)
        return fail(
            e, STATUS_USAGE,
            "name a CHECKPOINT or RUN_DIR, or up to %d, and then the FILE of texts, or - for standard "
            "input; %d %s given",
            MODELS_MAX, argc - optind, argc - optind == 1 ? "name is" : "names are");
    for (int i = 0; i < a->models.count; i++)
        a->models.name[i] = argv[optind + i];
    a->input = argv[argc - 1];
    if (explains && !a->page)
        return fail(e, STATUS_USAGE,
                    "--explain-steps, --explain-words and --explain-documents go with --explain PAGE.html");
    return STATUS_OK;
}

typedef struct prediction {
    predict_input input;
    predict_group group;
    predict_output output;
    predict_page page;
} prediction;

static status label_all(prediction *p, const predict_arguments *a, const session *job, inference *models,
                        error *e)
{
    for (;;) {
        status s = predict_read(&p->input, &p->group, e);
        if (s != STATUS_OK || p->group.count == 0)
            return s;
        s = predict_score(&p->group, a, job, models, e);
        if (s == STATUS_OK)
            s = predict_write(&p->output, &p->group, e);
        if (s == STATUS_OK)
            s = predict_explain(&p->page, &p->group, a, job, models, e);
        if (s != STATUS_OK || ferror(stdout)) /* main tells of a lost stdout */
            return s;
    }
}

static status predict(const predict_arguments *a, const session *job, inference *models, error *e)
{
    prediction p = {0};
    status s = check_outputs(a, models, e);
    if (s == STATUS_OK)
        s = predict_input_open(&p.input, a, models, e);
    if (s == STATUS_OK)
        s = predict_page_open(&p.page, a, e);
    if (s == STATUS_OK)
        s = predict_output_open(&p.output, a, &models->labels, labelled_has_labels(p.input.from), e);
    if (s == STATUS_OK)
        s = label_all(&p, a, job, models, e);
    if (s == STATUS_OK && labelled_replaced(p.input.from) > 0)
        fprintf(stderr, "invalid parts replaced by U+FFFD: %llu\n",
                (unsigned long long)labelled_replaced(p.input.from));
    if (s == STATUS_OK)
        s = predict_page_close(&p.page, a, e);
    if (s == STATUS_OK)
        s = predict_output_close(&p.output, e);
    predict_page_discard(&p.page);
    predict_output_discard(&p.output);
    predict_group_free(&p.group);
    predict_input_close(&p.input);
    return s;
}

int cmd_predict(int argc, char **argv)
{
    predict_arguments a;
    session job;
    error e = {0};
    if (option_help(argc, argv, help))
        return 0;
    status s = parse(&a, argc, argv, &e);
    if (s != STATUS_OK)
        return option_failed("predict", s, &e);
    disk_clean_on_signals();
    s = session_open(&job, false, (int)a.threads, &e);
    inference *models = calloc(MODELS_MAX, sizeof *models);
    BUG_IF(!models, "out of memory");
    if (s == STATUS_OK)
        s = models_open(models, &a.models, TASK_CLASSIFY, &job, &e);
    if (s == STATUS_OK)
        s = predict(&a, &job, models, &e);
    models_close(models);
    free(models);
    return session_close(&job, "predict", s, &e);
}
