/* unroll prepare - makes a corpus (io/prepare, trainer/tasks/grammar) from what the command line names. */
#include "io/disk.h"
#include "io/splits.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/prepare.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: unroll prepare FORMAT SRC... -o CORPUS.h5 [options]\n"
    "       unroll prepare text --train FILE [--valid FILE] [--test FILE] -o CORPUS.h5 [options]\n"
    "       unroll prepare imdb SRC... -o CORPUS.h5 [--with-unsup] [options]\n"
    "       unroll prepare labelled SRC -o CORPUS.h5 [options]\n"
    "       unroll prepare grammar -o CORPUS.h5 [--seed N] [--tokens N]\n"
    "\n"
    "Makes a corpus: token ids of the splits train, valid, test and their vocabulary; of documents also "
    "labels.\n"
    "\n"
    "FORMAT and where it looks, in a directory or archive SRC; of the first three, three files (train, "
    "valid,\n"
    "test) serve too:\n"
    "  ptb         ptb.{train,valid,test}.txt, or ptb.char.*.txt\n"
    "  wikitext    wiki.{train,valid,test}.tokens, or .raw\n"
    "  text        {train,valid,test}.txt, or one file, which is cut at line ends\n"
    "  imdb        documents: aclImdb/{train,test}/{pos,neg}/*.txt, in a directory or in one or several "
    "archives\n"
    "  labelled    documents: a .tsv, .csv or .jsonl file with columns text and label, or LABEL/*.txt or\n"
    "              {train,valid,test}/LABEL/*.txt in a directory or archive; --train, --valid, --test name "
    "tables\n"
    "  grammar     nowhere: sentences of a small probabilistic grammar, of known cross-entropy\n"
    "Files may be plain, .gz, .bz2, .xz or .zst, or stand in a .zip or .tar.* archive, which is never "
    "unpacked.\n"
    "\n"
    "  -o, --output FILE        the corpus to write; required\n"
    "      --overwrite          replace it if it is there\n"
    "      --level LEVEL        word (between white space; the default), char (Unicode scalar values), byte\n"
    "      --train FILE         text, labelled: a file of the training split; may be given several times, as "
    "may\n"
    "      --valid FILE         ... of the validation split\n"
    "      --test FILE          ... of the test split\n"
    "      --split A,B,C        text, one file: shares of the three splits (90,5,5)\n"
    "      --vocab-from WHERE   train (the default) or all: which splits words are taken from\n"
    "      --min-count N        words seen less often become <unk> (1; documents: 2)\n"
    "      --max-vocab N        at most N words, <eos> and <unk> included (no limit; documents: 30000)\n"
    "      --vocab FILE         this vocabulary, in this order: one word a line, or a corpus (*.h5)\n"
    "      --invalid HOW        invalid UTF-8 is an error (error, the default) or becomes U+FFFD (replace)\n"
    "      --threads N          ptb, wikitext, text: threads (OMP_NUM_THREADS, or all cores); the corpus "
    "does not "
    "depend on it\n"
    "      --seed N             grammar: other sentences; documents: another draw and order (1)\n"
    "      --tokens N           grammar: of all splits together, 90, 5 and 5 % (1000000)\n"
    "      --lower YES          documents: lower-case them (yes, the default) or not (no)\n"
    "      --valid-share X      documents without validation split: this share of each label's training "
    "documents (0.1);\n"
    "                           no test split is drawn: --test names one, or test/LABEL/*.txt\n"
    "      --with-unsup         imdb: the unlabelled reviews join the training split, for language models\n"
    "      --text-column NAME   labelled, a table: its column by header or number from 1; in .jsonl the key "
    "(text)\n"
    "      --label-column NAME  ... (label); an empty label marks an unlabelled document, in the training "
    "split\n"
    "      --no-header          ... the first line is a document; columns are 1 (text) and 2 (label) unless "
    "named\n"
    "  -q, --quiet              no progress bar\n"
    "  -h, --help               this text\n"
    "\n"
    "Every line gives one <eos>, empty ones too (not at level byte); of documents, every document.  Ids go "
    "by\n"
    "falling training count, ties by bytes.  Documents are cut into words, numbers and punctuation; others\n"
    "between white space.\n"
    "Exit status: 0 done, 2 wrong usage, 3 a text that is missing, empty, binary or damaged, or a corpus\n"
    "that cannot be written.\n"
    "INT, TERM and HUP end it without leaving anything behind.\n";

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"overwrite", no_argument, NULL, OPT_OVERWRITE},
    {"level", required_argument, NULL, OPT_LEVEL},
    {"train", required_argument, NULL, OPT_TRAIN},
    {"valid", required_argument, NULL, OPT_VALID},
    {"test", required_argument, NULL, OPT_TEST},
    {"split", required_argument, NULL, OPT_SPLIT},
    {"vocab-from", required_argument, NULL, OPT_VOCAB_FROM},
    {"min-count", required_argument, NULL, OPT_MIN_COUNT},
    {"max-vocab", required_argument, NULL, OPT_MAX_VOCAB},
    {"vocab", required_argument, NULL, OPT_VOCAB},
    {"invalid", required_argument, NULL, OPT_INVALID},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"tokens", required_argument, NULL, OPT_TOKENS},
    {"lower", required_argument, NULL, OPT_LOWER},
    {"valid-share", required_argument, NULL, OPT_VALID_SHARE},
    {"with-unsup", no_argument, NULL, OPT_WITH_UNSUP},
    {"text-column", required_argument, NULL, OPT_TEXT_COLUMN},
    {"label-column", required_argument, NULL, OPT_LABEL_COLUMN},
    {"no-header", no_argument, NULL, OPT_NO_HEADER},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

bool prepare_given(const prepare_options *o, int first, int last)
{
    for (int option = first; option <= last; option++)
        if (o->given >> (option - OPT_OVERWRITE) & 1)
            return true;
    return false;
}

static status parse_split(double share[3], const char *text, error *e)
{
    double sum = 0;
    char *end = (char *)text;
    for (int i = 0; i < 3; i++) {
        const char *at = end;
        share[i] = strtod(at, &end);
        if (end == at || *end != (i < 2 ? ',' : 0) || !(share[i] >= 0 && share[i] <= 1e9) ||
            (i == 0 && share[i] == 0))
            return fail(e, STATUS_USAGE,
                        "--split: \"%s\" is not of the form 90,5,5 (shares of train, valid, test)", text);
        end += i < 2;
        sum += share[i];
    }
    for (int i = 0; i < 3; i++)
        share[i] /= sum;
    return STATUS_OK;
}

static status add_named(text_list *l, const char *path, int split, error *e)
{
    source_place place;
    status s = source_single(&place, path, e);
    if (s == STATUS_OK)
        text_list_add(l, place, split);
    return s;
}

static status parse_option(prepare_options *o, int option, const char *value, error *e)
{
    static const char *const from[] = {"train", "all"}, *const invalid[] = {"error", "replace"};
    static const char *const yes_no[] = {"yes", "no"};
    prepare_job *job = &o->job;
    int choice = 0;
    uint64_t count = 0;
    status s = STATUS_OK;
    if (option >= OPT_OVERWRITE)
        o->given |= 1u << (option - OPT_OVERWRITE);
    switch (option) {
    case 'o':
        job->out = value;
        break;
    case 'q':
        job->progress = false;
        break;
    case OPT_OVERWRITE:
        o->overwrite = true;
        break;
    case OPT_LEVEL:
        s = option_choice(&choice, "--level", value, text_level_names, 3, e);
        job->texts.level = (text_level)choice;
        break;
    case OPT_TRAIN:
    case OPT_VALID:
    case OPT_TEST:
        s = add_named(&o->named, value, option - OPT_TRAIN, e);
        break;
    case OPT_SPLIT:
        s = parse_split(o->share, value, e);
        break;
    case OPT_VOCAB_FROM:
        s = option_choice(&choice, "--vocab-from", value, from, 2, e);
        job->rules.from_all = choice == 1;
        break;
    case OPT_MIN_COUNT:
        s = option_count(&job->rules.min_count, "--min-count", value, 1, INT64_MAX, e);
        break;
    case OPT_MAX_VOCAB:
        s = option_count(&job->rules.max_size, "--max-vocab", value, 2, UINT32_MAX - 1, e);
        break;
    case OPT_VOCAB:
        job->vocab_path = value;
        break;
    case OPT_INVALID:
        s = option_choice(&choice, "--invalid", value, invalid, 2, e);
        job->replace_invalid = choice == 1;
        break;
    case OPT_THREADS:
        s = option_count(&count, "--threads", value, 1, OPTION_THREADS_MAX, e);
        job->threads = (int)count;
        break;
    case OPT_SEED:
        s = option_count(&o->seed, "--seed", value, 0, INT64_MAX, e);
        break;
    case OPT_TOKENS:
        s = option_count(&o->grammar.tokens, "--tokens", value, GRAMMAR_TOKENS_MIN, GRAMMAR_TOKENS_MAX, e);
        break;
    case OPT_LOWER:
        s = option_choice(&choice, "--lower", value, yes_no, 2, e);
        o->keep_case = choice == 1;
        break;
    case OPT_VALID_SHARE:
        s = option_real(&o->valid_share, "--valid-share", value, 0, 0.9, e);
        break;
    case OPT_WITH_UNSUP:
        o->with_unsup = true;
        break;
    case OPT_TEXT_COLUMN:
        o->columns.text = value;
        break;
    case OPT_LABEL_COLUMN:
        o->columns.label = value;
        break;
    case OPT_NO_HEADER:
        o->columns.no_header = true;
        break;
    }
    return s;
}

/* The texts, from SRC... or --train, --valid, --test. */
static status find_texts(prepare_options *o, char **sources, int count, error *e)
{
    static const double usual[3] = {0.90, 0.05, 0.05};
    prepare_job *job = &o->job;
    int format = 0;
    bool has_split = prepare_given(o, OPT_SPLIT, OPT_SPLIT);
    if (prepare_given(o, OPT_SEED, OPT_TOKENS))
        return fail(e, STATUS_USAGE,
                    "--seed and --tokens go with format grammar (--seed with labelled texts too)");
    if (prepare_given(o, OPT_LOWER, OPT_NO_HEADER))
        return fail(
            e, STATUS_USAGE,
            "--lower, --valid-share, --with-unsup, --text-column, --label-column and --no-header go with "
            "formats imdb and labelled");
    status s = option_choice(&format, "FORMAT", o->format, text_format_names, 3, e);
    if (s != STATUS_OK)
        return fail(e, s, "FORMAT: \"%s\" is none of ptb, wikitext, text, imdb, labelled, grammar",
                    o->format);
    job->format = o->format;
    job->level_name = text_level_names[job->texts.level];
    if (o->named.count > 0) {
        if (format != FORMAT_TEXT || count > 0)
            return fail(e, STATUS_USAGE, "--train, --valid and --test go with format text and no other SRC");
        text_level level = job->texts.level;
        job->texts = o->named;
        job->texts.level = level;
        o->named = (text_list){0};
        for (size_t i = 0; i < job->texts.count; i++)
            if (job->texts.parts[i].split == SPLIT_TRAIN)
                return has_split ? fail(e, STATUS_USAGE, "--split goes with one file, not with --train")
                                 : STATUS_OK;
        return fail(e, STATUS_USAGE, "--valid and --test want --train beside them");
    }
    s = splits_find(&job->texts, &job->level_name, (text_format)format, sources, count, e);
    if (s == STATUS_OK && has_split && !job->texts.cut)
        return fail(e, STATUS_USAGE, "--split goes with format text and one file");
    memcpy(job->texts.share, has_split ? o->share : usual, sizeof usual);
    return s;
}

static void print_report(const prepare_options *o, const prepare_report *r)
{
    for (size_t i = 0; i < o->job.texts.count; i++) {
        const text_part *part = &o->job.texts.parts[i];
        printf("%-10s  %s%s%s\n", o->job.texts.cut ? "text" : split_names[part->split], part->place.path,
               part->place.member != NULL ? ":" : "", part->place.member != NULL ? part->place.member : "");
    }
    printf("\nsplit             tokens  out of vocabulary\n");
    for (int s = 0; s < SPLIT_COUNT; s++)
        if (r->tokens[s] > 0)
            printf("%-10s  %12" PRIu64 "  %" PRIu64 " (%.2f %%)\n", split_names[s], r->tokens[s], r->oov[s],
                   100.0 * (double)r->oov[s] / (double)r->tokens[s]);
    printf("\nvocabulary  %12" PRIu32 "%s\n", r->vocab_size,
           r->unk_added ? "  (with <unk>, which the text lacks)" : "");
    if (r->replaced > 0)
        printf("replaced    %12" PRIu64 "  invalid parts, by U+FFFD\n", r->replaced);
    printf("wrote       %s\n", o->job.out);
}

static status prepare_text(prepare_options *o, char **sources, int count, error *e)
{
    prepare_report report;
    status s = find_texts(o, sources, count, e);
    if (s == STATUS_OK)
        s = prepare_check_output(o, e);
    if (o->job.rules.min_count == 0)
        o->job.rules.min_count = 1;
    o->job.rules.has_lines = o->job.texts.level != LEVEL_BYTE;
    if (s != STATUS_OK)
        return s;
    prepare_sweep(o->job.out);
    s = prepare_run(&o->job, &report, e);
    if (s == STATUS_OK) {
        print_report(o, &report);
        prepare_warn_vocabulary(report.vocab_size, report.oov[SPLIT_TRAIN]);
    }
    return s;
}

static void print_grammar(const prepare_options *o, const grammar_report *r)
{
    const uint64_t *tokens = r->tokens;
    printf("split             tokens     sentences\n");
    for (int s = 0; s < SPLIT_COUNT; s++)
        printf("%-10s  %12" PRIu64 "  %12" PRIu64 "\n", split_names[s], tokens[s], r->sentences[s]);
    printf("\ntest, nats per token: %.4f under the grammar itself, which is the floor; %.4f (+%.1f %%) under "
           "an interpolated trigram\n",
           r->nats, r->trigram_nats, 100 * (r->trigram_nats / r->nats - 1));
    printf("test, verbs: %" PRIu64
           ", of them %.1f %% three or more words from their subject with a noun of the other number "
           "between\n",
           r->verbs, 100 * (double)r->far_crossed / (double)r->verbs);
    printf("\nthe trigram's agreement, by distance of a verb from its subject\n");
    for (int bin = 0; bin < AGREEMENT_BINS; bin++) {
        wilson_share a = agreement_result(&r->trigram, bin);
        if (a.n > 0)
            printf("%5s  %6.2f %%  of %6" PRIu64 "  (95 %%: %.2f to %.2f)\n", agreement_bin_names[bin],
                   100 * a.share, a.n, 100 * a.low, 100 * a.high);
    }
    printf("\nwrote       %s\n", o->job.out);
}

static status prepare_grammar(prepare_options *o, int sources, error *e)
{
    if (sources > 0 || prepare_given(o, OPT_LEVEL, OPT_MAX_VOCAB) ||
        prepare_given(o, OPT_LOWER, OPT_NO_HEADER))
        return fail(
            e, STATUS_USAGE,
            "format grammar takes no SRC and of the options only -o, --overwrite, --seed and --tokens");
    status s = prepare_check_output(o, e);
    if (s != STATUS_OK)
        return s;
    prepare_sweep(o->job.out);
    grammar_report report;
    o->grammar.out = o->job.out;
    o->grammar.seed = o->seed;
    s = grammar_prepare(&o->grammar, &report, e);
    if (s == STATUS_OK)
        print_grammar(o, &report);
    return s;
}

int cmd_prepare(int argc, char **argv)
{
    error e = {0};
    prepare_options o = {
        .job = {.progress = true}, .grammar = {.tokens = 1000000}, .seed = 1, .valid_share = -1};
    status s = STATUS_OK;
    optind = 0; /* a fresh start, whatever main has parsed before */
    opterr = 0;
    disk_clean_on_signals();
    for (int option;
         s == STATUS_OK && (option = getopt_long(argc, argv, ":o:qh", long_options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            text_list_free(&o.named);
            return 0;
        }
        s = option == '?' || option == ':' ? option_refused("prepare", argv, option, &e)
                                           : parse_option(&o, option, optarg, &e);
    }
    if (s == STATUS_OK)
        s = option_threads_check((uint64_t)o.job.threads, &e);
    if (s == STATUS_OK && optind == argc)
        s = fail(&e, STATUS_USAGE,
                 "no FORMAT: one of ptb, wikitext, text, imdb, labelled, grammar is required");
    if (s == STATUS_OK) {
        int sources = argc - optind - 1;
        o.format = argv[optind];
        bool documents = strcmp(o.format, "imdb") == 0 || strcmp(o.format, "labelled") == 0;
        if (o.job.vocab_path != NULL && prepare_given(&o, OPT_VOCAB_FROM, OPT_MAX_VOCAB))
            s = fail(&e, STATUS_USAGE,
                     "--vocab is taken as it is; --vocab-from, --min-count and --max-vocab choose words of "
                     "the text");
        else if (strcmp(o.format, "grammar") == 0)
            s = prepare_grammar(&o, sources, &e);
        else
            s = (documents ? prepare_documents : prepare_text)(&o, argv + optind + 1, sources, &e);
    }
    text_list_free(&o.named);
    text_list_free(&o.job.texts);
    return s == STATUS_OK ? 0 : option_failed("prepare", s, &e);
}
