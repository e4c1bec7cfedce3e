/* unroll eval - loss and perplexity of a model on a split of a corpus (trainer/tasks/lm.h), and what the
 * corpus asks besides. */
#include "io/bug.h"
#include "io/output.h"
#include "launch/commands.h"
#include "launch/eval.h"
#include "launch/options.h"
#include "trainer/tasks/agreement.h"
#include "trainer/tasks/lm.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: unroll eval CHECKPOINT|RUN_DIR... --data CORPUS.h5 [--split test] [options]\n"
    "\n"
    "Of a run directory the best checkpoint is taken.\n"
    "A language model predicts every token but the first of each row exactly once, from zero state, and nats "
    "per token, "
    "perplexity and bits per token are printed.\n"
    "A model that reads backward (data.direction) predicts every token but the last of each row.\n"
    "A grammar corpus also gets its exact cross-entropy and, of a model that reads forward, the agreement "
    "accuracy by "
    "distance.\n"
    "A classifier labels every document; accuracy, precision, recall, F1, AUC, the table of confusions and "
    "calibration "
    "are printed.  The probabilities of several classifiers are averaged.\n"
    "The Brier score is the mean of (p - y)^2 of one class where there are two, and of its sum over the "
    "classes "
    "where there are more.\n"
    "\n"
    "      --data CORPUS.h5    the corpus; required\n"
    "      --split NAME        train, valid or test (test)\n"
    "      --batch-size N      rows (1; of documents 32); of each row one token is not predicted\n"
    "      --last              of a run directory, the newest checkpoint instead of the best\n"
    "      --each FILE         writes token, its id and its log-probability, one token a line; of documents "
    "number, "
    "label, predicted label and the probability of each class (tab-separated)\n"
    "      --json FILE         classifier: what is printed as one JSON object, null where there is no "
    "number; - for stdout, "
    "without the tables\n"
    "      --threads N         threads of each rank\n"
    "  -h, --help              this text\n"
    "\n"
    "Exit status: 0 done, 1 a result could not be written (a full disk), 2 usage, 3 data, 4 checkpoint.\n";

enum { OPT_DATA = 256, OPT_SPLIT, OPT_BATCH_SIZE, OPT_LAST, OPT_EACH, OPT_JSON, OPT_THREADS };
static const struct option long_options[] = {{"data", required_argument, NULL, OPT_DATA},
                                             {"split", required_argument, NULL, OPT_SPLIT},
                                             {"batch-size", required_argument, NULL, OPT_BATCH_SIZE},
                                             {"last", no_argument, NULL, OPT_LAST},
                                             {"each", required_argument, NULL, OPT_EACH},
                                             {"json", required_argument, NULL, OPT_JSON},
                                             {"threads", required_argument, NULL, OPT_THREADS},
                                             {"help", no_argument, NULL, 'h'},
                                             {0}};

static status take_option(eval_arguments *a, int option, const char *value, error *e)
{
    switch (option) {
    case OPT_DATA:
        a->data = value;
        return STATUS_OK;
    case OPT_SPLIT:
        return option_choice(&a->split, "--split", value, split_names, SPLIT_COUNT, e);
    case OPT_BATCH_SIZE:
        return option_count(&a->batch_size, "--batch-size", value, 1, 1000000, e);
    case OPT_LAST:
        a->models.last = true;
        return STATUS_OK;
    case OPT_EACH:
        a->each = value;
        return STATUS_OK;
    case OPT_JSON:
        a->json = value;
        return STATUS_OK;
    case OPT_THREADS:
        return option_count(&a->threads, "--threads", value, 1, OPTION_THREADS_MAX, e);
    }
    return STATUS_OK; /* help has been given */
}

static status parse(eval_arguments *a, int argc, char **argv, error *e)
{
    int option;
    status s = STATUS_OK;
    *a = (eval_arguments){.split = SPLIT_TEST};
    optind = 1;
    opterr = 0;
    while (s == STATUS_OK && (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1)
        s = option == '?' || option == ':' ? option_refused("eval", argv, option, e)
                                           : take_option(a, option, optarg, e);
    if (s != STATUS_OK)
        return s;
    a->models.count = argc - optind;
    if (a->models.count < 1 || a->models.count > MODELS_MAX)
        return fail(e, STATUS_USAGE, "name a CHECKPOINT or RUN_DIR, or up to %d classifiers; %d are given",
                    MODELS_MAX, a->models.count);
    for (int i = 0; i < a->models.count; i++)
        a->models.name[i] = argv[optind + i];
    return a->data ? STATUS_OK : fail(e, STATUS_USAGE, "no corpus: --data CORPUS.h5 is required");
}

status eval_check_output(const char *option, const char *path, const inference *models, int count,
                         const corpus *c, error *e)
{
    if (!path)
        return STATUS_OK;
    status s = option_not_over(option, path, c->file.path, "the corpus itself", e);
    if (s == STATUS_OK)
        s = models_not_over(models, count, option, path, e);
    if (s != STATUS_OK)
        return s;
    s = disk_check_stream(path, e);
    return s == STATUS_OK ? s : fail_as(e, STATUS_USAGE, "%s", option);
}

status eval_check_split(const eval_arguments *a, const corpus *c, error *e)
{
    char there[64] = "";
    if (c->tokens[a->split] > 0)
        return STATUS_OK;
    for (int i = 0; i < SPLIT_COUNT; i++)
        if (c->tokens[i] > 0) {
            const size_t used = strlen(there);
            snprintf(there + used, sizeof there - used, "%s--split %s", used ? ", " : "", split_names[i]);
        }
    return fail(e, STATUS_BAD_DATA, "%s: has no %s split; there is %s", c->file.path, split_names[a->split],
                *there ? there : "none");
}

status eval_same_corpus(const corpus *c, comm *g, error *e)
{
    int odd;
    return comm_same(g, c->digest, SHA256_HEX, &odd)
               ? STATUS_OK
               : fail(e, STATUS_BAD_DATA, "rank %d has another corpus at %s than rank 0", odd, c->file.path);
}

/* One evaluation and what it needs. */
typedef struct evaluation {
    const eval_arguments *arguments;
    inference *model;
    corpus corpus;
    bool corpus_open;
    lm_rows rows;
    float *each;         /* this rank's log-probabilities in token order, or NULL */
    float *all;          /* rank 0: those of all ranks */
    agreement agreement; /* count 0: the corpus has none, or another split is evaluated */
    uint32_t *other;     /* the split with every verb of it in its other form, and what that had: all_other */
    float *all_other;
    lm_result result;
} evaluation;

/* Collective. */
static status open_all(evaluation *v, const session *job, error *e)
{
    const eval_arguments *a = v->arguments;
    comm *g = job->group;
    status s =
        corpus_open(&v->corpus, a->data, comm_host_rank(g) == 0 ? CONTAINER_CHECK : CONTAINER_TRUST, e);
    v->corpus_open = s == STATUS_OK;
    if (s == STATUS_OK && comm_rank(g) == 0)
        s = eval_check_output("--each", a->each, v->model, 1, &v->corpus, e);
    if (s == STATUS_OK)
        s = inference_same_words(v->model, &v->corpus, e);
    if (s == STATUS_OK)
        s = eval_check_split(a, &v->corpus, e);
    bool backward = v->model->config.data.direction == DIRECTION_BACKWARD;
    if (s == STATUS_OK && a->split == SPLIT_TEST && !backward) /* a verb agrees with what stands before it */
        s = agreement_open(&v->corpus, &v->agreement, e);
    int T = (int)v->model->config.data.bptt, B = a->batch_size ? (int)a->batch_size : 1, S = B;
    if (s == STATUS_OK && comm_size(g) > S)
        s = fail(e, STATUS_USAGE, "%d ranks for %d row%s: each rank needs one; raise --batch-size",
                 comm_size(g), S, S == 1 ? "" : "s");
    if (s == STATUS_OK)
        s = lm_rows_open(&v->rows, &v->corpus, (split_name)a->split, LM_EVALUATE, B, S, T, comm_rank(g),
                         comm_size(g), "--batch-size", e);
    v->rows.backward = backward;
    if (s == STATUS_OK)
        s = inference_plan(v->model, job->team, T, v->rows.shards.rows, e);
    s = comm_agree(g, s, e);
    if (s == STATUS_OK)
        s = eval_same_corpus(&v->corpus, g, e);
    return s == STATUS_OK ? comm_plan(g, NULL, 0, B, S, e) : s;
}

static void close_all(evaluation *v)
{
    free(v->each);
    free(v->all);
    free(v->other);
    free(v->all_other);
    lm_rows_close(&v->rows);
    if (v->corpus_open)
        corpus_close(&v->corpus);
}

/* Tokens of rank r's rows. */
static uint64_t tokens_of(const lm_rows *rows, int rank, int size)
{
    shards p;
    shards_init(&p, rows->shards.B, rows->shards.S, rank, size);
    uint64_t first = (uint64_t)p.row0, last = first + (uint64_t)p.rows;
    uint64_t longer =
        (last < rows->longer ? last : rows->longer) - (first < rows->longer ? first : rows->longer);
    return (uint64_t)p.rows * rows->length + longer;
}

/* Collective.  What keeping each token's log-probability takes; `other` too when the split has agreement
 * items. */
static status plan_each(evaluation *v, const session *job, error *e)
{
    comm *g = job->group;
    uint64_t here = tokens_of(&v->rows, comm_rank(g), comm_size(g)) + 1, all = v->rows.tokens + 1;
    bool root = comm_rank(g) == 0, ok = (v->each = malloc(here * sizeof(float))) != NULL;
    ok = ok && (!root || (v->all = malloc(all * sizeof(float))) != NULL);
    if (ok && v->agreement.count) {
        ok = (v->other = malloc(all * sizeof *v->other)) != NULL;
        ok = ok && (!root || (v->all_other = malloc(all * sizeof(float))) != NULL);
    }
    return comm_agree(
        g, ok ? STATUS_OK : fail(e, STATUS_NO_MEMORY, "no memory for %" PRIu64 " log-probabilities", all), e);
}

/* Collective.  Brings each rank's log-probabilities to rank 0, where rows stand in the order of the text. */
static status gather_each(const evaluation *v, const session *job, float *all, error *e)
{
    comm *g = job->group;
    int size = comm_size(g);
    size_t *bytes = malloc((size_t)size * sizeof *bytes);
    status s =
        comm_agree(g, bytes ? STATUS_OK : fail(e, STATUS_NO_MEMORY, "no memory for %d ranks", size), e);
    for (int r = 0; s == STATUS_OK && r < size; r++)
        bytes[r] = tokens_of(&v->rows, r, size) * sizeof(float);
    if (s == STATUS_OK)
        comm_gather(g, v->each, all, bytes, 0);
    free(bytes);
    return s;
}

/* Collective.  The same text once more, asked for the other form of every verb. */
static status evaluate_other(evaluation *v, const session *job, error *e)
{
    const uint32_t *ids = v->corpus.ids[v->rows.split];
    lm_result unused;
    memcpy(v->other, ids, v->rows.tokens * sizeof *v->other);
    for (uint64_t i = 0; i < v->agreement.count; i++)
        v->other[v->agreement.position[i]] = v->agreement.wrong[i];
    v->rows.targets = v->other;
    status s =
        lm_evaluate(&v->rows, &v->model->model, job->team, job->group, v->model->value, v->each, &unused, e);
    v->rows.targets = NULL;
    return s == STATUS_OK ? gather_each(v, job, v->all_other, e) : s;
}

/* Collective. */
static status evaluate(evaluation *v, const session *job, error *e)
{
    bool keep = v->arguments->each || v->agreement.count;
    status s = keep ? plan_each(v, job, e) : STATUS_OK;
    if (s == STATUS_OK)
        s = lm_evaluate(&v->rows, &v->model->model, job->team, job->group, v->model->value, v->each,
                        &v->result, e);
    if (s == STATUS_OK && keep)
        s = gather_each(v, job, v->all, e);
    if (s == STATUS_OK && v->agreement.count)
        s = evaluate_other(v, job, e);
    return s;
}

static status write_each(const evaluation *v, error *e)
{
    output out;
    status s = output_open(&out, v->arguments->each, e);
    if (s != STATUS_OK)
        return fail_as(e, s, "--each");
    FILE *f = out.stream;
    for (uint64_t i = 0; i < v->rows.tokens; i++) {
        size_t n;
        uint32_t id = v->corpus.ids[v->rows.split][i];
        const char *word = vocabulary_word(&v->corpus.vocab, id, &n);
        fprintf(f, "%.*s\t%u\t", (int)n, word, id);
        if (isnan(v->all[i]))
            fprintf(f, "-\n"); /* first of its row as it is read: not predicted */
        else
            fprintf(f, "%.9g\n", (double)v->all[i]);
    }
    s = output_close(&out, e);
    return s == STATUS_OK ? s : fail_as(e, s, "--each");
}

static void print_result(const evaluation *v)
{
    double nats = v->result.nats / (double)v->result.tokens;
    bool words = strcmp(v->corpus.level, "word") == 0;
    printf("%s: %s, %" PRIu64 " tokens, %" PRIu64 " predicted in %d row%s\n", v->corpus.file.path,
           split_names[v->rows.split], v->rows.tokens, v->result.tokens, v->rows.shards.B,
           v->rows.shards.B == 1 ? "" : "s");
    printf("loss %.6f nats per token | ppl %.3f | %s %.4f\n", nats, exp(nats),
           words ? "bits per token" : "bpc", nats / log(2.0));
}

/* How near to the exact cross-entropy, and the agreement accuracy by distance: a grammar corpus. */
static void print_grammar(const evaluation *v)
{
    double floor, nats = v->result.nats / (double)v->result.tokens;
    agreement_score score = {0};
    if (v->rows.split == SPLIT_TEST && record_get_double(v->corpus.file.meta, "cross_entropy", &floor))
        printf("the grammar's own cross-entropy, the floor: %.6f; this model is %.2f %% above it\n", floor,
               100 * (nats / floor - 1));
    for (uint64_t i = 0; i < v->agreement.count; i++) {
        uint64_t at = v->agreement.position[i];
        agreement_add(&score, v->agreement.distance[i], (double)v->all[at], (double)v->all_other[at]);
    }
    if (v->agreement.count > 0)
        printf("agreement of verbs with their subjects, by distance:\n");
    for (int bin = 0; bin < AGREEMENT_BINS; bin++) {
        wilson_share a = agreement_result(&score, bin);
        if (a.n > 0)
            printf("%5s  %6.2f %%  of %6" PRIu64 "  (95 %%: %.2f to %.2f)\n", agreement_bin_names[bin],
                   100 * a.share, a.n, 100 * a.low, 100 * a.high);
    }
}

/* Collective. */
static status evaluate_text(const eval_arguments *a, const session *job, inference *m, error *e)
{
    evaluation v = {.arguments = a, .model = m};
    status s = STATUS_OK;
    if (a->models.count > 1)
        s = fail(e, STATUS_USAGE, "%d language models; their predictions are not averaged, name one",
                 a->models.count);
    else if (a->json)
        s = fail(e, STATUS_USAGE, "--json: is for classifiers, %s is a language model", m->file.path);
    s = comm_agree(job->group, s, e);
    if (s == STATUS_OK)
        s = open_all(&v, job, e);
    if (s == STATUS_OK)
        s = evaluate(&v, job, e);
    if (s == STATUS_OK && comm_rank(job->group) == 0) {
        print_result(&v);
        print_grammar(&v);
        if (a->each)
            s = write_each(&v, e);
    }
    s = comm_agree(job->group, s, e);
    close_all(&v);
    return s;
}

int cmd_eval(int argc, char **argv)
{
    eval_arguments a;
    session job;
    error e = {0}, opened = {0};
    if (option_help(argc, argv, help))
        return 0;
    disk_clean_on_signals();
    status parsed = parse(&a, argc, argv, &e);
    status s = session_open(&job, true, (int)a.threads, &opened);
    if (s != STATUS_OK)
        return session_close(&job, "eval", s, &opened);
    s = comm_agree(job.group, parsed, &e);
    inference *models = calloc(MODELS_MAX, sizeof *models);
    BUG_IF(!models, "out of memory");
    if (s == STATUS_OK)
        s = models_open(models, &a.models, MODELS_ANY_TASK, &job, &e);
    if (s == STATUS_OK)
        s = models[0].config.task.name == TASK_CLASSIFY ? eval_documents(&a, &job, models, &e)
                                                        : evaluate_text(&a, &job, models, &e);
    models_close(models);
    free(models);
    return session_close(&job, "eval", s, &e);
}
