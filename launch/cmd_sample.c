/* unroll sample - text drawn from a model (trainer/sample.h). */
#include "io/text.h"
#include "io/tokenizer.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/session.h"
#include "trainer/inference.h"
#include "trainer/sample.h"
#include "trainer/store.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: unroll sample CHECKPOINT|RUN_DIR [options]\n"
    "\n"
    "Draws text.  The same model, prompt, settings and seed give the same text, on any machine and number of "
    "threads.\n"
    "\n"
    "      --prompt TEXT       read first and printed; every word must be in the vocabulary, unless that has "
    "<unk> (\"\")\n"
    "      --length N          tokens to draw (100)\n"
    "      --temperature X     0 takes the most probable token (1.0)\n"
    "      --top-k N           only the N most probable (0: all)\n"
    "      --top-p X           only the fewest whose probability reaches X (1.0)\n"
    "      --seed N            of the draws (1)\n"
    "      --unk               <unk> may be drawn, too\n"
    "      --last              of a run directory, the newest checkpoint instead of the best\n"
    "      --threads N         threads\n"
    "  -h, --help              this text\n"
    "\n"
    "Exit status: 0 done, 2 usage, 4 checkpoint.\n";

typedef struct sample_arguments {
    const char *model, *prompt;
    sample_settings settings;
    uint64_t length, threads;
    bool last, unk;
} sample_arguments;

enum {
    OPT_PROMPT = 256,
    OPT_LENGTH,
    OPT_TEMPERATURE,
    OPT_TOP_K,
    OPT_TOP_P,
    OPT_SEED,
    OPT_UNK,
    OPT_LAST,
    OPT_THREADS
};
static const struct option long_options[] = {{"prompt", required_argument, NULL, OPT_PROMPT},
                                             {"length", required_argument, NULL, OPT_LENGTH},
                                             {"temperature", required_argument, NULL, OPT_TEMPERATURE},
                                             {"top-k", required_argument, NULL, OPT_TOP_K},
                                             {"top-p", required_argument, NULL, OPT_TOP_P},
                                             {"seed", required_argument, NULL, OPT_SEED},
                                             {"unk", no_argument, NULL, OPT_UNK},
                                             {"last", no_argument, NULL, OPT_LAST},
                                             {"threads", required_argument, NULL, OPT_THREADS},
                                             {"help", no_argument, NULL, 'h'},
                                             {0}};

static status take_option(sample_arguments *a, int option, const char *value, error *e)
{
    uint64_t count = 0;
    status s = STATUS_OK;
    switch (option) {
    case OPT_PROMPT:
        a->prompt = value;
        return STATUS_OK;
    case OPT_LENGTH:
        return option_count(&a->length, "--length", value, 1, 100000000, e);
    case OPT_TEMPERATURE:
        return option_real(&a->settings.temperature, "--temperature", value, 0, 1000, e);
    case OPT_TOP_K:
        s = option_count(&count, "--top-k", value, 0, UINT32_MAX, e);
        a->settings.top_k = (uint32_t)count;
        return s;
    case OPT_TOP_P:
        return option_real(&a->settings.top_p, "--top-p", value, 1e-9, 1, e);
    case OPT_SEED:
        return option_count(&a->settings.seed, "--seed", value, 0, INT64_MAX, e);
    case OPT_UNK:
        a->unk = true;
        return STATUS_OK;
    case OPT_LAST:
        a->last = true;
        return STATUS_OK;
    case OPT_THREADS:
        return option_count(&a->threads, "--threads", value, 1, OPTION_THREADS_MAX, e);
    }
    return STATUS_OK; /* help has been given */
}

static status parse(sample_arguments *a, int argc, char **argv, error *e)
{
    int option;
    status s = STATUS_OK;
    *a = (sample_arguments){
        .prompt = "", .length = 100, .settings = {.temperature = 1, .top_p = 1, .seed = 1, .banned = -1}};
    optind = 1;
    opterr = 0;
    while (s == STATUS_OK && (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1)
        s = option == '?' || option == ':' ? option_refused("sample", argv, option, e)
                                           : take_option(a, option, optarg, e);
    if (s != STATUS_OK)
        return s;
    if (optind + 1 != argc)
        return fail(e, STATUS_USAGE, "name one CHECKPOINT or RUN_DIR; %d are given", argc - optind);
    a->model = argv[optind];
    return STATUS_OK;
}

static text_level level_of(const inference *f)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(f->level, text_level_names[i]) == 0)
            return (text_level)i;
    return LEVEL_WORD;
}

/* The id of the prompt's next token. */
static status add_token(const inference *f, const uint8_t *word, size_t n, uint32_t *ids, size_t *count,
                        error *e)
{
    int64_t id = vocabulary_find(&f->vocab, (const char *)word, n);
    if (id < 0)
        id = f->vocab.unk;
    if (id < 0)
        return fail(e, STATUS_USAGE, "--prompt: \"%.*s\" is not in the vocabulary, which has no %s", (int)n,
                    (const char *)word, TEXT_UNK);
    ids[(*count)++] = (uint32_t)id;
    return STATUS_OK;
}

/* The prompt's tokens, malloc'ed: cut as the corpus was. */
static status read_prompt(const inference *f, const char *prompt, uint32_t **ids, size_t *count, error *e)
{
    size_t n = strlen(prompt);
    text_block block = {.bytes = (uint8_t *)strdup(prompt),
                        .n = n,
                        .capacity = n + 1,
                        .label = "--prompt",
                        .line = 1,
                        .column = 1};
    *ids = malloc((n + 1) * sizeof **ids);
    *count = 0;
    status s = block.bytes && *ids ? STATUS_OK : fail(e, STATUS_NO_MEMORY, "no memory for the prompt");
    if (s == STATUS_OK && (s = text_check(&block, level_of(f), false, NULL, e)) == STATUS_BAD_DATA)
        s = fail(e, STATUS_USAGE, "%s", e->text);
    token_reader t = {.at = block.bytes, .end = block.bytes + n, .level = level_of(f)};
    word_reader raw = {block.bytes, block.bytes + n, f->lower};
    uint8_t cut[TEXT_WORD_MAX];
    const uint8_t *word = cut;
    for (size_t length;
         s == STATUS_OK && (f->tokenizer ? word_next(&raw, cut, &length) : token_next(&t, &word, &length));)
        s = add_token(f, word, length, *ids, count, e);
    free(block.bytes);
    return s;
}

/* Prints a token; words are set apart by a space, an end of line is one. */
static void print_token(const inference *f, uint32_t id, bool *line_start)
{
    size_t n;
    const char *word = vocabulary_word(&f->vocab, id, &n);
    if ((int64_t)id == f->vocab.eos) {
        putchar('\n');
        *line_start = true;
        return;
    }
    if (level_of(f) == LEVEL_WORD && !*line_start)
        putchar(' ');
    fwrite(word, 1, n, stdout);
    *line_start = false;
}

static status draw(inference *f, const session *job, const sample_arguments *a, error *e)
{
    uint32_t V = f->vocab.size, *ids = NULL, id = 0;
    size_t count = 0;
    bool line_start = true;
    float *logp = malloc(V * sizeof *logp);
    sample_candidate *work = malloc(V * sizeof *work);
    status s = logp && work ? read_prompt(f, a->prompt, &ids, &count, e)
                            : fail(e, STATUS_NO_MEMORY, "no memory for %u words", V);
    sample_settings settings = a->settings;
    settings.banned = a->unk ? -1 : f->vocab.unk;
    if (s == STATUS_OK && settings.banned >= 0 && V == 1)
        settings.banned = -1;
    if (s == STATUS_OK) {
        /* A text begins where a line ended; without <eos> (bytes), with the most frequent token. */
        id = f->vocab.eos >= 0 ? (uint32_t)f->vocab.eos : 0;
        model_predict(&f->model, job->team, f->value, &id, 1, 1, logp);
        for (size_t i = 0; i < count; i++) {
            print_token(f, ids[i], &line_start);
            model_predict(&f->model, job->team, f->value, &ids[i], 1, 1, logp);
        }
    }
    for (uint64_t i = 0; s == STATUS_OK && i < a->length; i++) {
        id = sample_draw(&settings, logp, V, (uint32_t)i, work);
        print_token(f, id, &line_start);
        model_predict(&f->model, job->team, f->value, &id, 1, 1, logp);
    }
    if (!line_start)
        putchar('\n');
    free(work);
    free(logp);
    free(ids);
    return s;
}

int cmd_sample(int argc, char **argv)
{
    sample_arguments a;
    session job;
    inference f = {0};
    error e = {0};
    char *path = NULL;
    if (option_help(argc, argv, help))
        return 0;
    status s = parse(&a, argc, argv, &e);
    if (s != STATUS_OK)
        return option_failed("sample", s, &e);
    s = session_open(&job, false, (int)a.threads, &e);
    if (s == STATUS_OK)
        s = store_resolve(a.model, a.last, &path, &e);
    if (s == STATUS_OK)
        s = inference_open(&f, path, TASK_LM, &e);
    if (s == STATUS_OK && f.config.data.direction == DIRECTION_BACKWARD)
        s = fail(&e, STATUS_BAD_CHECKPOINT,
                 "%s: has data.direction = backward and would write from a text's end to its start; take a "
                 "model that reads forward",
                 path);
    if (s == STATUS_OK) {
        fprintf(stderr, "model: %s\n", path);
        s = inference_plan(&f, job.team, 1, 1, &e);
    }
    if (s == STATUS_OK)
        s = draw(&f, &job, &a, &e);
    free(path);
    inference_close(&f);
    return session_close(&job, "sample", s, &e);
}
