/* prepare_documents.c - formats imdb and labelled of `unroll prepare`: texts of one or more labels. */
#include "io/bug.h"
#include "io/document_tree.h"
#include "io/documents.h"
#include "io/escape.h"
#include "launch/options.h"
#include "launch/prepare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_COUNT = 2, MAX_VOCAB = 30000 };
enum { LABELS_NAMED = 5 }; /* in warnings */

static const char *const names[] = {
    [SPLIT_TRAIN] = "train and valid", [SPLIT_VALID] = "train and test", [SPLIT_TEST] = "valid and test"};

/* Options of other formats. */
static const struct {
    int option;
    const char *name, *why;
} of_others[] = {{OPT_SPLIT, "--split", "; --valid-share holds out a validation split"},
                 {OPT_THREADS, "--threads", ", which one thread makes"},
                 {OPT_TOKENS, "--tokens", ""}};

static status check_options(const prepare_options *o, bool imdb, error *e)
{
    if (o->job.texts.level != LEVEL_WORD)
        return fail(e, STATUS_USAGE, "--level %s: documents are cut into words",
                    text_level_names[o->job.texts.level]);
    for (size_t i = 0; i < sizeof of_others / sizeof *of_others; i++)
        if (prepare_given(o, of_others[i].option, of_others[i].option))
            return fail(e, STATUS_USAGE, "%s does not go with format %s%s", of_others[i].name, o->format,
                        of_others[i].why);
    if (!imdb && o->with_unsup)
        return fail(
            e, STATUS_USAGE,
            "--with-unsup goes with format imdb (in a table, an empty label marks an unlabelled document)");
    if (imdb && (o->named.count > 0 || prepare_given(o, OPT_TEXT_COLUMN, OPT_NO_HEADER)))
        return fail(
            e, STATUS_USAGE,
            "format imdb has its splits and columns; --train, --valid, --test, --text-column, --label-column "
            "and --no-header go with format labelled");
    return STATUS_OK;
}

static void add_source(text_list *l, const char *path, int split)
{
    source_place place = {.path = strdup(path)};
    BUG_IF(place.path == NULL, "out of memory for a path");
    text_list_add(l, place, split);
}

/* An archive of one table is that table. */
static bool is_table(source_place *place, const char *path)
{
    error ignored = {0};
    if (source_single(place, path, &ignored) != STATUS_OK)
        return false;
    if (labelled_format_of(place) != LABELLED_LINES)
        return true;
    source_place_free(place);
    return false;
}

/* What SRC... or --train, --valid, --test name goes into o->job.texts; *tree: directories and archives of texts. */
static status find_sources(prepare_options *o, bool *tree, char **sources, int count, error *e)
{
    text_list *l = &o->job.texts;
    bool imdb = strcmp(o->format, "imdb") == 0, train = false;
    *tree = o->named.count == 0;
    if (o->named.count > 0 && count > 0)
        return fail(e, STATUS_USAGE, "--train, --valid and --test go with no other SRC");
    if (o->named.count > 0) {
        *l = o->named;
        o->named = (text_list){0};
        for (size_t i = 0; i < l->count; i++)
            train = train || l->parts[i].split == SPLIT_TRAIN;
        return train ? STATUS_OK : fail(e, STATUS_USAGE, "--valid and --test want --train beside them");
    }
    if (count < 1 || (!imdb && count > 1))
        return fail(e, STATUS_USAGE, "format %s takes %s SRC, not %d", o->format,
                    imdb ? "at least one" : "one", count);
    source_kind kind;
    source_place place;
    for (int i = 0; i < count; i++) {
        status s = source_classify(&kind, sources[i], e);
        if (s != STATUS_OK)
            return s;
        *tree = imdb || kind == SOURCE_DIRECTORY || (kind == SOURCE_ARCHIVE && !is_table(&place, sources[i]));
        if (kind == SOURCE_ARCHIVE && !*tree)
            text_list_add(l, place, SPLIT_TRAIN);
        else
            add_source(l, sources[i], SPLIT_TRAIN);
    }
    if (*tree && prepare_given(o, OPT_TEXT_COLUMN, OPT_NO_HEADER))
        return fail(e, STATUS_USAGE,
                    "--text-column, --label-column and --no-header go with a table; %s is none", sources[0]);
    return STATUS_OK;
}

static status read_tables(document_set *set, const prepare_options *o, progress *bar, uint64_t *replaced,
                          error *e)
{
    status s = STATUS_OK;
    labelled_settings settings = o->columns;
    settings.replace_invalid = o->job.replace_invalid;
    for (size_t i = 0; s == STATUS_OK && i < o->job.texts.count; i++) {
        const text_part *part = &o->job.texts.parts[i];
        const documents_table table = {&part->place, part->split, &settings, bar};
        s = documents_add_table(set, &table, replaced, e);
    }
    return s;
}

static status read_trees(document_set *set, const prepare_options *o, char **sources, int count,
                         progress *bar, tree_report *report, error *e)
{
    bool imdb = strcmp(o->format, "imdb") == 0;
    const tree_rules rules = {.labels = imdb ? tree_imdb_labels : NULL,
                              .unlabelled = o->with_unsup ? TREE_IMDB_UNLABELLED : NULL,
                              .must_split = imdb,
                              .replace_invalid = o->job.replace_invalid,
                              .bar = bar};
    return tree_read(set, sources, count, &rules, report, e);
}

static void print_splits(const documents_report *r)
{
    printf("split       documents        tokens   longest      mean  out of vocabulary   repeated\n");
    for (int s = 0; s < SPLIT_COUNT; s++) {
        double n = (double)r->documents[s], tokens = (double)r->tokens[s];
        if (n > 0)
            printf("%-10s %10" PRIu64 "  %12" PRIu64 "  %8" PRIu64 "  %8.1f  %15.2f %%  %9" PRIu64 "\n",
                   split_names[s], r->documents[s], r->tokens[s], r->longest[s], tokens / n,
                   100.0 * (double)r->oov[s] / tokens, r->repeated[s]);
    }
}

static void print_labels(const documents_report *r)
{
    uint64_t unlabelled = r->unlabelled[SPLIT_TRAIN];
    printf("\nlabel                     train       valid        test\n");
    for (uint32_t i = 0; i < r->labels; i++) {
        const uint64_t *n = r->by_label[i];
        escape_print(stdout, (const char *)r->label_blob + r->label_start[i],
                     (size_t)(r->label_start[i + 1] - r->label_start[i]), 20);
        printf(" %10" PRIu64 "  %10" PRIu64 "  %10" PRIu64 "\n", n[SPLIT_TRAIN], n[SPLIT_VALID],
               n[SPLIT_TEST]);
    }
    if (unlabelled > 0)
        printf("%-20s %10" PRIu64 "\n", "(none)", unlabelled);
}

static void print_report(const prepare_options *o, const documents_report *r, const tree_report *read)
{
    const uint64_t passed_over = strcmp(o->format, "imdb") == 0 ? 0 : read->passed_over;
    print_splits(r);
    print_labels(r);
    printf("\nvocabulary  %12" PRIu32 "\n", r->vocab_size);
    if (r->held_out > 0)
        printf("held out    %12" PRIu64 "  of the training documents, as validation split\n", r->held_out);
    for (int i = 0; i < SPLIT_COUNT; i++)
        if (r->shared[i] > 0)
            printf("duplicates  %12" PRIu64 "  texts stand in both %s\n", r->shared[i], names[i]);
    if (r->contradicting > 0)
        printf("duplicates  %12" PRIu64 "  texts stand under more than one label\n", r->contradicting);
    if (passed_over > 0)
        printf("passed over %12" PRIu64 "  files beside the documents\n", passed_over);
    if (read->replaced > 0)
        printf("replaced    %12" PRIu64 "  invalid parts, by U+FFFD\n", read->replaced);
    printf("wrote       %s\n", o->job.out);
}

/* A corpus that is made, and hardly the one that was wanted. */
static void print_warnings(const documents_report *r, const tree_report *read)
{
    int unheld = 0;
    for (uint32_t i = 0; r->held_out > 0 && i < r->labels; i++)
        if (r->by_label[i][SPLIT_VALID] == 0 && unheld++ < LABELS_NAMED) {
            char *label = escape_text((const char *)r->label_blob + r->label_start[i],
                                      (size_t)(r->label_start[i + 1] - r->label_start[i]), 40);
            BUG_IF(label == NULL, "out of memory for a label");
            prepare_warn("no document of %s is held out, so no validation sees that class", label);
            free(label);
        }
    if (unheld > LABELS_NAMED)
        prepare_warn("nor of %d other labels", unheld - LABELS_NAMED);
    if (read->outside > 0)
        prepare_warn(
            "files LABEL/NAME.txt outside of {train,valid,test}/, where others stand, are left out: %" PRIu64,
            read->outside);
    prepare_warn_vocabulary(r->vocab_size, r->oov[SPLIT_TRAIN]);
}

/* Reads, then writes; every failure on the way leaves nothing. */
static status make_corpus(prepare_options *o, bool tree, char **sources, int count, error *e)
{
    documents_report report;
    tree_report read = {0};
    document_set *set = documents_new(!o->keep_case);
    progress *bar = o->job.progress ? progress_open("preparing", 0, "documents") : NULL;
    status s = tree ? read_trees(set, o, sources, count, bar, &read, e)
                    : read_tables(set, o, bar, &read.replaced, e);
    if (s == STATUS_OK) {
        documents_job job = {.format = o->format,
                             .rules = o->job.rules,
                             .vocab_path = o->job.vocab_path,
                             .valid_share = o->valid_share,
                             .seed = o->seed,
                             .replaced = read.replaced,
                             .out = o->job.out};
        if (o->job.vocab_path == NULL && job.rules.min_count == 0)
            job.rules.min_count = MIN_COUNT;
        if (o->job.vocab_path == NULL && job.rules.max_size == 0)
            job.rules.max_size = MAX_VOCAB;
        s = documents_write(set, &job, &report, e);
    }
    progress_close(bar);
    documents_free(set);
    if (s == STATUS_OK) {
        print_report(o, &report, &read);
        print_warnings(&report, &read);
        documents_report_free(&report);
    }
    return s;
}

status prepare_documents(prepare_options *o, char **sources, int count, error *e)
{
    bool tree = false;
    status s = check_options(o, strcmp(o->format, "imdb") == 0, e);
    if (s == STATUS_OK)
        s = find_sources(o, &tree, sources, count, e);
    if (s == STATUS_OK)
        s = prepare_check_output(o, e);
    if (s != STATUS_OK)
        return s;
    prepare_sweep(o->job.out);
    return make_corpus(o, tree, sources, count, e);
}
