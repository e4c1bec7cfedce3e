/* unroll bench - how fast this machine trains, and how fast it could (launch/bench.h). */
#include "io/output.h"
#include "io/progress.h"
#include "kernels/recurrent.h"
#include "launch/bench.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "trainer/model.h"

#include <getopt.h>
#include <string.h>

static const char help[] =
    "usage: unroll bench [options]\n"
    "\n"
    "Measures training steps on random words and prints, for each kernel and for the whole step, GFLOP/s, as "
    "shares of this\n"
    "machine's FMA peak and of the peak of the product's own kernel, all measured in the same minutes; "
    "medians "
    "over the rounds.\n"
    "Without a shape: five published ones, in less than two minutes on 4 cores.\n"
    "\n"
    "      --cell NAME         rnn_tanh, rnn_relu, lstm, gru or gru_before (lstm)\n"
    "      --layers N          recurrent layers (2)\n"
    "      --hidden N          hidden units of each, and width of the word vectors (650)\n"
    "      --batch N           rows (20)\n"
    "      --bptt N            time steps (35)\n"
    "      --vocabulary N      words (10000)\n"
    "      --shards N          as data.shards (the default of that)\n"
    "      --layer             one recurrent layer alone, forward and backward with all gradients; without a "
    "shape\n"
    "                          128, 200, 650 and 1500 hidden units, 20 and 64 rows\n"
    "      --documents         a bidirectional classifier of documents of unlike lengths instead, with Adam; "
    "its "
    "shape (1\n"
    "                          layer, 128 units, 32 rows, 20000 words), or without one two usual ones\n"
    "      --mean-length N     words of a document, on average (230)\n"
    "      --embedding N       width of the word vectors (as --hidden)\n"
    "      --unidirectional    reads documents from their start only\n"
    "      --threads N         threads (OMP_NUM_THREADS, or the cores of the cpuset)\n"
    "      --rounds N          rounds of each shape (5)\n"
    "      --seconds S         of a round, and of each measurement of the FMA peak around it (1)\n"
    "      --json FILE         one JSON object a line as well; - for stdout, without the tables\n"
    "  -h, --help              this text\n"
    "\n"
    "GFLOP count two operations for each multiply-add of the products with the weights and real token, three "
    "times for a\n"
    "whole step; recomputation and padding do not count, and what is left out does (backward of a window's "
    "first step\n"
    "multiplies nothing, so that --bptt 1 or 2 shows more than there is).  Other programs on the machine "
    "lower all numbers.\n"
    "Documents have random words, and the lengths and batches of tests/peers/torch_classify.py, which times "
    "PyTorch.\n"
    "\n"
    "Exit status: 0 done, 1 out of memory, or --json could not be written (a full disk), 2 usage.\n";

enum { SHAPES_MAX = 8 };

typedef struct bench_arguments {
    bench_shape shape;
    bool shape_given, layer, documents, unidirectional;
    bench_settings settings;
    uint64_t threads;
    const char *json;
} bench_arguments;

enum {
    OPT_CELL = 256,
    OPT_LAYERS,
    OPT_HIDDEN,
    OPT_BATCH,
    OPT_BPTT,
    OPT_VOCABULARY,
    OPT_SHARDS,
    OPT_LAYER,
    OPT_DOCUMENTS,
    OPT_MEAN_LENGTH,
    OPT_EMBEDDING,
    OPT_UNIDIRECTIONAL,
    OPT_THREADS,
    OPT_ROUNDS,
    OPT_SECONDS,
    OPT_JSON
};
static const struct option long_options[] = {{"cell", required_argument, NULL, OPT_CELL},
                                             {"layers", required_argument, NULL, OPT_LAYERS},
                                             {"hidden", required_argument, NULL, OPT_HIDDEN},
                                             {"batch", required_argument, NULL, OPT_BATCH},
                                             {"bptt", required_argument, NULL, OPT_BPTT},
                                             {"vocabulary", required_argument, NULL, OPT_VOCABULARY},
                                             {"shards", required_argument, NULL, OPT_SHARDS},
                                             {"layer", no_argument, NULL, OPT_LAYER},
                                             {"documents", no_argument, NULL, OPT_DOCUMENTS},
                                             {"mean-length", required_argument, NULL, OPT_MEAN_LENGTH},
                                             {"embedding", required_argument, NULL, OPT_EMBEDDING},
                                             {"unidirectional", no_argument, NULL, OPT_UNIDIRECTIONAL},
                                             {"threads", required_argument, NULL, OPT_THREADS},
                                             {"rounds", required_argument, NULL, OPT_ROUNDS},
                                             {"seconds", required_argument, NULL, OPT_SECONDS},
                                             {"json", required_argument, NULL, OPT_JSON},
                                             {"help", no_argument, NULL, 'h'},
                                             {0}};

/* A number of the shape; whoever names one wants that shape alone. */
static status take_number(bench_arguments *a, int *to, const char *option, const char *value, uint64_t max,
                          error *e)
{
    uint64_t count = 0;
    status s = option_count(&count, option, value, 1, max, e);
    *to = (int)count;
    a->shape_given = true;
    return s;
}

static status take_option(bench_arguments *a, int option, const char *value, error *e)
{
    static const char *const cells[] = {"rnn_tanh", "rnn_relu", "lstm", "gru", "gru_before"};
    int choice = 0;
    uint64_t count = 0;
    status s = STATUS_OK;
    switch (option) {
    case OPT_CELL:
        s = option_choice(&choice, "--cell", value, cells, sizeof cells / sizeof cells[0], e);
        a->shape.cell = cells[choice];
        return s;
    case OPT_LAYERS:
        return take_number(a, &a->shape.layers, "--layers", value, LAYERS_MAX, e);
    case OPT_HIDDEN:
        return take_number(a, &a->shape.hidden, "--hidden", value, 65536, e);
    case OPT_BATCH:
        return take_number(a, &a->shape.batch, "--batch", value, 100000, e);
    case OPT_BPTT:
        return take_number(a, &a->shape.bptt, "--bptt", value, 100000, e);
    case OPT_VOCABULARY:
        return take_number(a, &a->shape.vocabulary, "--vocabulary", value, 10000000, e);
    case OPT_SHARDS:
        s = option_count(&count, "--shards", value, 1, SHARDS_MAX, e);
        a->shape.shards = (int)count;
        return s;
    case OPT_LAYER:
        a->layer = true;
        return STATUS_OK;
    case OPT_DOCUMENTS:
        a->documents = true;
        return STATUS_OK;
    case OPT_MEAN_LENGTH:
        return take_number(a, &a->shape.mean_length, "--mean-length", value, 100000, e);
    case OPT_EMBEDDING:
        return take_number(a, &a->shape.embedding, "--embedding", value, 65536, e);
    case OPT_UNIDIRECTIONAL:
        a->unidirectional = true;
        return STATUS_OK;
    case OPT_THREADS:
        return option_count(&a->threads, "--threads", value, 1, OPTION_THREADS_MAX, e);
    case OPT_ROUNDS:
        s = option_count(&count, "--rounds", value, 1, 1000, e);
        a->settings.rounds = (int)count;
        return s;
    case OPT_SECONDS:
        return option_real(&a->settings.seconds, "--seconds", value, 1e-4, 3600, e);
    case OPT_JSON:
        a->json = value;
        return STATUS_OK;
    }
    return STATUS_OK; /* help has been given */
}

/* Options that do not go together; then what is measured is known. */
static status check_options(bench_arguments *a, error *e)
{
    const bench_shape *b = &a->shape;
    const char *of_documents = b->mean_length      ? "--mean-length"
                               : b->embedding      ? "--embedding"
                               : a->unidirectional ? "--unidirectional"
                                                   : NULL;
    if (a->layer && b->layers > 1)
        return fail(e, STATUS_USAGE, "--layers: %d of them, but --layer is one alone", b->layers);
    if (a->layer && b->vocabulary > 0)
        return fail(e, STATUS_USAGE, "--vocabulary: a layer alone (--layer) has none");
    if (a->layer && a->documents)
        return fail(e, STATUS_USAGE, "--layer and --documents: one of them");
    if (a->documents && b->bptt > 0)
        return fail(e, STATUS_USAGE, "--bptt: --documents are read whole; their length is --mean-length");
    if (!a->documents && of_documents)
        return fail(e, STATUS_USAGE, "%s: is for --documents", of_documents);
    a->shape.subject = a->layer ? BENCH_LAYER : a->documents ? BENCH_DOCUMENTS : BENCH_WINDOWS;
    a->shape.bidirectional = a->documents && !a->unidirectional;
    return STATUS_OK;
}

static status parse(bench_arguments *a, int argc, char **argv, error *e)
{
    int option;
    status s = STATUS_OK;
    optind = 1;
    opterr = 0;
    while (s == STATUS_OK && (option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1)
        s = option == '?' || option == ':' ? option_refused("bench", argv, option, e)
                                           : take_option(a, option, optarg, e);
    if (s == STATUS_OK && optind < argc)
        s = fail(e, STATUS_USAGE, "\"%s\": takes options only; see `unroll bench --help`", argv[optind]);
    return s == STATUS_OK ? check_options(a, e) : s;
}

static int or_else(int value, int fallback)
{
    return value > 0 ? value : fallback;
}

/* The shape that was asked for, what it leaves open filled in. */
static bench_shape given_shape(const bench_arguments *a)
{
    const bool one = a->layer, documents = a->documents;
    bench_shape b = a->shape;
    b.layers = one ? 1 : or_else(b.layers, documents ? 1 : 2);
    b.hidden = or_else(b.hidden, documents ? 128 : 650);
    b.embedding = or_else(b.embedding, b.hidden);
    b.batch = or_else(b.batch, documents ? 32 : 20);
    b.bptt = documents ? 0 : or_else(b.bptt, 35);
    b.mean_length = documents ? or_else(b.mean_length, 230) : 0;
    b.vocabulary = one ? 0 : or_else(b.vocabulary, documents ? 20000 : 10000);
    return b;
}

/* The shapes to measure; how many. */
static int choose_shapes(const bench_arguments *a, bench_shape shapes[SHAPES_MAX])
{
    static const bench_shape steps[] = {
        {.layers = 2, .hidden = 200, .batch = 20, .bptt = 20, .vocabulary = 10000},
        {.layers = 2, .hidden = 650, .batch = 20, .bptt = 35, .vocabulary = 10000},
        {.layers = 2, .hidden = 1500, .batch = 20, .bptt = 35, .vocabulary = 10000},
        {.layers = 2, .hidden = 512, .batch = 128, .bptt = 32, .vocabulary = 10000},
        {.layers = 2, .hidden = 650, .batch = 20, .bptt = 35, .vocabulary = 33000}};
    static const bench_shape layers[] = {{.hidden = 128, .batch = 20}, {.hidden = 200, .batch = 20},
                                         {.hidden = 650, .batch = 20}, {.hidden = 1500, .batch = 20},
                                         {.hidden = 128, .batch = 64}, {.hidden = 200, .batch = 64},
                                         {.hidden = 650, .batch = 64}, {.hidden = 1500, .batch = 64}};
    static const bench_shape documents[] = {{.hidden = 128, .batch = 32}, {.hidden = 256, .batch = 64}};
    static const struct {
        const bench_shape *list;
        int n;
    } usual[] = {
        [BENCH_WINDOWS] = {steps, 5}, [BENCH_LAYER] = {layers, 8}, [BENCH_DOCUMENTS] = {documents, 2}};
    if (a->shape_given) {
        shapes[0] = given_shape(a);
        return 1;
    }
    const int n = usual[a->shape.subject].n;
    for (int i = 0; i < n; i++) {
        const bench_shape *b = &usual[a->shape.subject].list[i];
        bench_arguments one = *a;
        one.shape.layers = b->layers;
        one.shape.hidden = b->hidden;
        one.shape.batch = b->batch;
        one.shape.bptt = b->bptt;
        one.shape.vocabulary = b->vocabulary;
        shapes[i] = given_shape(&one);
    }
    return n;
}

static status check_shards(const bench_shape *shapes, int n, error *e)
{
    for (int i = 0; i < n; i++)
        if (shapes[i].shards > shapes[i].batch)
            return fail(e, STATUS_USAGE, "--shards: %d of them for %d rows; there cannot be more",
                        shapes[i].shards, shapes[i].batch);
    return STATUS_OK;
}

/* json: where the objects go, or NULL. */
static status measure_all(const bench_arguments *a, const bench_shape *shapes, int n, const session *job,
                          FILE *json, error *e)
{
    status s = STATUS_OK;
    /* between the rounds' own seconds: set-up, warm-up, the peaks of memory and of weights, a large step that goes on
     * beyond the end of its round */
    const double about = n * (1.7 + (2.4 * a->settings.rounds + 1) * a->settings.seconds);
    fprintf(stderr, "%d shape%s, %d round%s each: about %.0f s\n", n, n > 1 ? "s" : "", a->settings.rounds,
            a->settings.rounds > 1 ? "s" : "", about);
    progress *bar = progress_open("measuring", (uint64_t)n, n == 1 ? "shape" : "shapes");
    for (int i = 0; s == STATUS_OK && i < n; i++) {
        bench_result r;
        s = bench_run(&shapes[i], &a->settings, job, &r, e);
        if (s != STATUS_OK)
            break;
        progress_erase(bar);
        if (json != stdout)
            bench_print(stdout, &r);
        if (json)
            bench_print_json(json, &a->settings, &r);
        fflush(NULL); /* what is known is shown: the next shape takes its time */
        progress_at(bar, (uint64_t)i + 1);
    }
    progress_close(bar);
    return s;
}

static status measure_and_write(const bench_arguments *a, const bench_shape *shapes, int n,
                                const session *job, error *e)
{
    if (!a->json || strcmp(a->json, "-") == 0)
        return measure_all(a, shapes, n, job, a->json ? stdout : NULL, e);
    output out;
    if (output_open(&out, a->json, e) != STATUS_OK)
        return fail_as(e, STATUS_USAGE, "--json");
    status s = measure_all(a, shapes, n, job, out.stream, e);
    if (s == STATUS_OK && (s = output_close(&out, e)) != STATUS_OK)
        s = fail_as(e, s, "--json");
    output_discard(&out);
    return s;
}

int cmd_bench(int argc, char **argv)
{
    bench_arguments a = {.shape = {.cell = "lstm"}, .settings = {.rounds = 5, .seconds = 1}};
    bench_shape shapes[SHAPES_MAX];
    session job = {0};
    error e = {0};
    if (option_help(argc, argv, help))
        return 0;
    disk_clean_on_signals();
    status s = parse(&a, argc, argv, &e);
    const int n = s == STATUS_OK ? choose_shapes(&a, shapes) : 0;
    if (s == STATUS_OK)
        s = check_shards(shapes, n, &e);
    if (s != STATUS_OK)
        return option_failed("bench", s, &e);
    s = session_open(&job, false, (int)a.threads, &e);
    if (s == STATUS_OK)
        s = measure_and_write(&a, shapes, n, &job, &e);
    return session_close(&job, "bench", s, &e);
}
