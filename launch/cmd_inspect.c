/* unroll inspect - what a corpus or checkpoint holds. */
#include "io/bug.h"
#include "io/container.h"
#include "io/corpus.h"
#include "io/escape.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "trainer/checkpoint.h"
#include "trainer/store.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "usage: unroll inspect FILE|RUN_DIR [--digest]\n"
                           "\n"
                           "Checks a corpus or checkpoint byte by byte and prints what it holds; of a run "
                           "directory, the newest checkpoint.\n"
                           "\n"
                           "      --digest   checkpoint: one line, the SHA-256 of parameters, optimiser "
                           "state, carried rows and progress: the same for the same\n"
                           "                 configuration, corpus, seed and step on any ranks, threads and "
                           "machines.  Corpus: the SHA-256 of its content\n"
                           "  -h, --help     this text\n"
                           "\n"
                           "Exit status: 0 whole, 2 usage, 3 a damaged corpus or no file of ours, 4 a "
                           "damaged or missing checkpoint.\n";

enum { LABELS_SHOWN = 20 };

static void print_tensors(const container *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const tensor *t = &c->tensors[i];
        printf("  %-40s %s (", t->name, dtype_name(t->type));
        for (int d = 0; d < t->dims; d++)
            printf("%s%" PRIu64, d ? "," : "", t->shape[d]);
        printf(")\n");
    }
}

/* What a validation of the run is judged by. */
static void print_best(const container *checkpoint, double judged)
{
    config c;
    config_init(&c);
    const bool known = checkpoint_config(checkpoint, &c, NULL) == STATUS_OK;
    const bool classifies = known && c.task.name == TASK_CLASSIFY;
    if (classifies && c.classify.best_by == BEST_BY_ACCURACY)
        printf("best validation: accuracy %.2f %%\n", 100.0 * (1.0 - judged));
    else
        printf("best validation: %.6f nats per %s\n", judged, classifies ? "document" : "token");
    config_free(&c);
}

static void print_meta(const container *c)
{
    static const char *const texts[] = {"format", "level", "version", "corpus"};
    static const char *const numbers[] = {"step", "epoch", "window", "tokens", "best_step"};
    const char *text;
    int64_t number;
    double real;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (record_get_text(c->meta, texts[i], &text))
            printf("%s: %s\n", texts[i], text);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (record_get_int(c->meta, numbers[i], &number))
            printf("%s: %" PRId64 "\n", numbers[i], number);
    if (record_get_double(c->meta, "best_nats", &real) && isfinite(real)) /* inf: there was none */
        print_best(c, real);
    if (record_get_double(c->meta, "cross_entropy", &real))
        printf("exact cross-entropy: %.6f nats per token\n", real);
    if (record_get_text(c->meta, "config", &text))
        printf("configuration:\n%s", text);
}

static void print_split(const corpus *c, int split)
{
    const corpus_documents *d = &c->documents[split];
    uint64_t longest = 0, unlabelled = 0, *of_label = calloc((size_t)c->labels.size + 1, sizeof *of_label);
    BUG_IF(of_label == NULL, "out of memory for %u labels", c->labels.size);
    for (uint64_t i = 0; i < d->count; i++) {
        uint64_t n = d->start[i + 1] - d->start[i];
        longest = n > longest ? n : longest;
        if (d->label[i] == LABEL_NONE)
            unlabelled++;
        else
            of_label[d->label[i]]++;
    }
    printf("documents of %s: %" PRIu64 ", mean length %.1f, longest %" PRIu64, split_names[split], d->count,
           (double)c->tokens[split] / (double)d->count, longest);
    for (uint32_t i = 0; i < c->labels.size; i++) {
        size_t n;
        const char *label = vocabulary_word(&c->labels, i, &n);
        char *shown = i < LABELS_SHOWN ? escape_text(label, n, 40) : NULL;
        if (shown != NULL)
            printf("; %s %" PRIu64, shown, of_label[i]);
        free(shown);
    }
    if (c->labels.size > LABELS_SHOWN)
        printf("; ... (%" PRIu32 " labels)", c->labels.size);
    if (unlabelled > 0)
        printf("; unlabelled %" PRIu64, unlabelled);
    putchar('\n');
    free(of_label);
}

/* Of a corpus of documents how many, how long and of which labels; their structure is checked on the way, the bytes
 * have been. */
static status print_documents(const char *path, error *e)
{
    corpus c;
    status s = corpus_open(&c, path, CONTAINER_TRUST, e);
    if (s != STATUS_OK)
        return s;
    if (c.tokenizer != NULL)
        printf("tokenizer: %s, %s\n", c.tokenizer, c.lower ? "lower case" : "case as written");
    for (int i = 0; i < SPLIT_COUNT; i++)
        if (c.documents[i].count > 0)
            print_split(&c, i);
    corpus_close(&c);
    return STATUS_OK;
}

static status print_digest(const container *c, error *e)
{
    char hex[SHA256_HEX];
    if (strcmp(c->kind, "checkpoint") != 0) {
        puts(c->digest);
        return STATUS_OK;
    }
    status s = checkpoint_digest(c, hex, e);
    if (s == STATUS_OK)
        puts(hex);
    return s;
}

/* A file that is not whole: the exit code depends on what it says it is, as far as it still says anything. */
static status damaged(const char *path, status s, error *e)
{
    container c;
    error ignored = {0};
    if (s != STATUS_BAD_DATA ||
        container_open(&c, path, "checkpoint", CONTAINER_TRUST, &ignored) != STATUS_OK)
        return s;
    container_close(&c);
    return e->code = STATUS_BAD_CHECKPOINT;
}

int cmd_inspect(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"digest", no_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool digest = false;
    error e = {0};
    container c;
    char *path = NULL;
    int option;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (option != 'd')
            return option_failed("inspect", option_refused("inspect", argv, option, &e), &e);
        digest = true;
    }
    if (optind + 1 != argc)
        return option_failed(
            "inspect", fail(&e, STATUS_USAGE, "name one FILE or RUN_DIR; %d are given", argc - optind), &e);
    status s = store_resolve(argv[optind], true, &path, &e);
    if (s == STATUS_OK && (s = container_open(&c, path, NULL, CONTAINER_CHECK, &e)) != STATUS_OK) {
        s = damaged(path, s, &e);
    } else if (s == STATUS_OK) {
        if (digest) {
            s = print_digest(&c, &e);
        } else {
            printf("%s: %s, %zu bytes, whole\ncontent: %s\n", path, c.kind, c.map.n, c.digest);
            print_meta(&c);
            if (strcmp(c.kind, "corpus") == 0)
                s = print_documents(path, &e);
            print_tensors(&c);
        }
        container_close(&c);
    }
    free(path);
    return s == STATUS_OK ? 0 : option_failed("inspect", s, &e);
}
