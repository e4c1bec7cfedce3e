/* transfer_parameters() and transfer_vectors(): each parameter of a fresh run, from a source made here, whose every value is known.
 *
 *   encoder.weight   row of a word  ==  the source's row of that word, bit for bit; of an unknown one  ==  the mean of all its rows
 *   others           ==  the source's of that name, or  ==  what stood there before (decoder.* of other words or labels)
 *   of word vectors  ==  those numbers in the rows of the words that the file has, and nothing else changed
 *
 * The source's first column is such that a mean taken in float would be another; ids of the same word differ here and
 * there, so that a row taken by id would be another's. */
#include "tests/io/scratch.h"
#include "trainer/checkpoint.h"
#include "trainer/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THERE = 4, E = 3, H = 2 };
static const float column[THERE] = {1e8F, 1, -1e8F, 3}; /* the mean is 1; summed in float it is 3/4 */

static float source_value(const char *name, size_t i)
{
    return (float)(strlen(name) * 100 + i) / 8.0F;
}

/* Words are single letters. */
static void view_letters(vocabulary *v, const char *letters, uint64_t start[16])
{
    uint32_t n = (uint32_t)strlen(letters);
    for (uint64_t i = 0; i <= n; i++)
        start[i] = i;
    error e = {0};
    assert_int_equal(vocabulary_view(v, (const uint8_t *)letters, n, start, n, "test", &e), STATUS_OK);
}

/* A checkpoint of a tanh model over the words a b c d; labels: of a classifier, NULL for a language model. */
static void write_source(const char *path, const char *labels)
{
    static float value[64][16];
    static const struct {
        const char *name;
        uint64_t rows, cols;
    } parts[] = {{"decoder.weight", THERE, H}, {"decoder.bias", THERE, 0}, {"rnn.weight_hh_l0", H, H},
                 {"rnn.weight_ih_l0", H, E},   {"rnn.bias_hh_l0", H, 0},   {"rnn.bias_ih_l0", H, 0},
                 {"encoder.weight", THERE, E}};
    enum { PARTS = sizeof parts / sizeof *parts };
    tensor tensors[PARTS + 4];
    uint64_t start[16], starts = THERE + 1, bytes = THERE;
    vocabulary v;
    view_letters(&v, "abcd", start);
    for (int p = 0; p < PARTS; p++) {
        char name[96];
        uint64_t shape[2] = {parts[p].rows, parts[p].cols}, n = shape[0] * (shape[1] ? shape[1] : 1);
        for (uint64_t i = 0; i < n; i++)
            value[p][i] = source_value(parts[p].name, i);
        for (int i = 0; p == PARTS - 1 && i < THERE; i++)
            value[p][i * E] = column[i];
        snprintf(name, sizeof name, "params/%s", parts[p].name);
        tensors[p] = tensor_of(name, DTYPE_F32, value[p], shape[1] ? 2 : 1, shape);
    }
    tensors[PARTS] = tensor_of("vocab/bytes", DTYPE_U8, v.blob, 1, &bytes);
    tensors[PARTS + 1] = tensor_of("vocab/start", DTYPE_U64, start, 1, &starts);
    if (labels) { /* single letters, as many as there are words */
        assert_int_equal(strlen(labels), THERE);
        tensors[PARTS + 2] = tensor_of("labels/bytes", DTYPE_U8, labels, 1, &bytes);
        tensors[PARTS + 3] = tensor_of("labels/start", DTYPE_U64, start, 1, &starts);
    }
    record *meta = record_new();
    record_set_text(meta, "config", "data: {corpus: x.h5}\nmodel: {cell: rnn_tanh}\n");
    unsigned char *image;
    size_t size;
    error e = {0};
    assert_int_equal(
        container_image(&image, &size, "checkpoint", meta, tensors, labels ? PARTS + 4 : PARTS + 2, &e),
        STATUS_OK);
    scratch_write(path, image, size);
    free(image);
    record_free(meta);
    vocabulary_free(&v);
}

/* A run that begins, and what it has before. */
typedef struct fresh {
    config c;
    vocabulary words, labels;
    uint64_t start[16], label_start[16];
    params list;
    float value[512];
    transfer_report report;
} fresh;

static float before(size_t at)
{
    return -1.0F - (float)at;
}

static void make(fresh *f, const char *path, const char *letters, config_cell cell)
{
    error e = {0};
    char assignment[4200];
    memset(f, 0, sizeof *f);
    config_init(&f->c);
    snprintf(assignment, sizeof assignment, "model.init_from=%s", path);
    assert_int_equal(config_set(&f->c, assignment, &e), STATUS_OK);
    f->c.model.cell = (int)cell;
    view_letters(&f->words, letters, f->start);
    params_init(&f->list);
    for (size_t i = 0; i < sizeof f->value / sizeof *f->value; i++)
        f->value[i] = before(i);
}

static void add(fresh *f, const char *name, int rows, int cols)
{
    params_add(&f->list, f->list.count, name, rows, cols);
    assert_in_range(f->list.floats, 1, sizeof f->value / sizeof *f->value);
}

static status transfer(fresh *f, error *e)
{
    memset(e, 0, sizeof *e);
    const corpus data = {.vocab = f->words, .labels = f->labels, .level = "word", .tokenizer = "words"};
    return transfer_parameters(&f->c, &data, &f->list, f->value, &f->report, e);
}

static void drop(fresh *f)
{
    config_free(&f->c);
    vocabulary_free(&f->words);
    vocabulary_free(&f->labels);
    params_free(&f->list);
}

static void expect_taken(const fresh *f, int p)
{
    const param *q = &f->list.list[p];
    assert_int_equal(f->report.fate[p], TRANSFER_TAKEN);
    for (size_t i = 0; i < q->count; i++)
        assert_true(f->value[q->offset + i] == source_value(q->name, i));
}

static void expect_kept(const fresh *f, int p, transfer_fate why)
{
    const param *q = &f->list.list[p];
    assert_int_equal(f->report.fate[p], why);
    for (size_t i = 0; i < q->count; i++)
        assert_true(f->value[q->offset + i] == before(q->offset + i));
}

static char source_path[1024];

static void test_words_go_by_name(void **state)
{
    (void)state;
    fresh f;
    error e;
    make(&f, source_path, "xcayb", CELL_RNN_TANH);
    add(&f, "decoder.weight", 5, H);
    add(&f, "decoder.bias", 5, 0);
    add(&f, "encoder.weight", 5, E);
    if (transfer(&f, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    expect_kept(&f, 0, TRANSFER_OTHER_OUTPUT);
    expect_kept(&f, 1, TRANSFER_OTHER_OUTPUT);
    assert_int_equal(f.report.words, 5);
    assert_int_equal(f.report.unknown, 2);
    static const int there[5] = {-1, 2, 0, -1, 1};
    const float *w = f.value + f.list.list[2].offset;
    for (size_t i = 0; i < 5; i++, w += E) {
        double mean[E] = {1, 0, 0};
        for (size_t k = 1; k < E; k++)
            for (size_t row = 0; row < THERE; row++)
                mean[k] += (double)source_value("encoder.weight", row * E + k) / THERE;
        assert_true(w[0] == (there[i] < 0 ? 1.0F : column[there[i]]));
        for (size_t k = 1; k < E; k++)
            assert_true(w[k] == (there[i] < 0 ? (float)mean[k]
                                              : source_value("encoder.weight", (size_t)there[i] * E + k)));
    }
    assert_string_equal(f.report.path, source_path);
    assert_int_equal(strlen(f.report.digest), 64);
    drop(&f);
}

/* The same words in the same order: the output layer comes along; in another order it does not. */
static void test_output_layer(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        fresh f;
        error e;
        make(&f, source_path, same ? "abcd" : "abdc", CELL_RNN_TANH);
        add(&f, "decoder.weight", THERE, H);
        add(&f, "decoder.bias", THERE, 0);
        add(&f, "encoder.weight", THERE, E);
        assert_int_equal(transfer(&f, &e), STATUS_OK);
        assert_int_equal(f.report.unknown, 0);
        for (int p = 0; p < 2; p++)
            same ? expect_taken(&f, p) : expect_kept(&f, p, TRANSFER_OTHER_OUTPUT);
        drop(&f);
    }
}

/* A classifier's comes along from one with the same words and labels; in another order, with other labels, to or from
 * a language model it does not, though it fits. */
static void test_output_of_labels(void **state)
{
    (void)state;
    static const struct {
        const char *there, *here, *words; /* labels; NULL: a language model */
        bool taken;
    } list[] = {{"npxy", "npxy", "abcd", true},  {"npxy", "pnxy", "abcd", false},
                {"npxy", "npxz", "abcd", false}, {"npxy", "npxy", "abdc", false},
                {"npxy", NULL, "abcd", false},   {NULL, "abcd", "abcd", false}};
    char path[1024];
    snprintf(path, sizeof path, "%s", scratch_path("labelled.h5"));
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        fresh f;
        error e;
        write_source(path, list[i].there);
        make(&f, path, list[i].words, CELL_RNN_TANH);
        f.c.task.name = list[i].here ? TASK_CLASSIFY : TASK_LM;
        if (list[i].here)
            view_letters(&f.labels, list[i].here, f.label_start);
        add(&f, "decoder.weight", THERE, H);
        add(&f, "decoder.bias", THERE, 0);
        if (transfer(&f, &e) != STATUS_OK)
            fail_msg("%s", e.text);
        for (int p = 0; p < 2; p++)
            list[i].taken ? expect_taken(&f, p) : expect_kept(&f, p, TRANSFER_OTHER_OUTPUT);
        drop(&f);
    }
}

/* A classifier: the same words, but another output layer, more layers, a head. */
static void test_other_models(void **state)
{
    (void)state;
    fresh f;
    error e;
    make(&f, source_path, "abcd", CELL_RNN_TANH);
    add(&f, "decoder.weight", 2, 3 * H);
    add(&f, "decoder.bias", 2, 0);
    add(&f, "head.weight", 4, H);
    add(&f, "rnn.weight_hh_l1", H, H);
    add(&f, "rnn.weight_hh_l0_reverse", H, H);
    add(&f, "rnn.weight_hh_l0", H, H);
    add(&f, "rnn.weight_ih_l0", H, E);
    add(&f, "rnn.bias_ih_l0", H, 0);
    add(&f, "encoder.weight", THERE, E);
    assert_int_equal(transfer(&f, &e), STATUS_OK);
    for (int p = 0; p < 2; p++)
        expect_kept(&f, p, TRANSFER_OTHER_OUTPUT);
    for (int p = 2; p < 5; p++)
        expect_kept(&f, p, TRANSFER_ABSENT);
    for (int p = 5; p < 8; p++)
        expect_taken(&f, p);
    assert_string_equal(f.report.rule, "into words, numbers and punctuation, case as written");
    assert_string_equal(f.report.rule_there, "at white space"); /* the source says nothing of it */
    assert_int_equal(f.report.left, 1); /* of four of a layer, rnn.bias_hh_l0 is not here */
    assert_string_equal(f.report.left_first, "rnn.bias_hh_l0");
    drop(&f);
}

static void expect_refused(fresh *f, status want, const char *first, const char *second)
{
    error e;
    assert_int_equal(transfer(f, &e), want);
    if (!strstr(e.text, "model.init_from: ") || !strstr(e.text, first) || !strstr(e.text, second))
        fail_msg("\"%s\" and \"%s\" are not in: %s", first, second, e.text);
    drop(f);
}

static void test_refusals(void **state)
{
    (void)state;
    fresh f;
    make(&f, source_path, "ab", CELL_RNN_TANH);
    add(&f, "rnn.weight_ih_l0", 5, E);
    expect_refused(&f, STATUS_BAD_CHECKPOINT, "'params/rnn.weight_ih_l0' is f32 (2,3)", "(5,3) is wanted");
    make(&f, source_path, "ab", CELL_RNN_TANH);
    add(&f, "encoder.weight", 2, 7);
    expect_refused(&f, STATUS_BAD_CHECKPOINT, "is f32 (4,3)", "(4,7) is wanted");
    static const struct {
        const char *key, *there, *here;
    } keys[] = {{"model.hidden=77", "has model.hidden = ", ", this run 77;"},
                {"model.embedding=78", "has model.embedding = ", ", this run 78;"},
                {"model.bidirectional=true", "has model.bidirectional = false", ", this run true;"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        error e = {0};
        make(&f, source_path, "ab", CELL_RNN_TANH);
        assert_int_equal(config_set(&f.c, keys[i].key, &e), STATUS_OK);
        add(&f, "rnn.weight_ih_l0", 5, E);
        expect_refused(&f, STATUS_BAD_CONFIG, keys[i].there, keys[i].here);
    }
    make(&f, source_path, "ab", CELL_RNN_RELU);
    add(&f, "rnn.weight_hh_l0", H, H);
    expect_refused(&f, STATUS_BAD_CONFIG, "model.cell = rnn_tanh", "rnn_relu");
    make(&f, "no/such.h5", "ab", CELL_RNN_TANH);
    expect_refused(&f, STATUS_BAD_CHECKPOINT, "no/such.h5", "No such file");
}

/* ---- word vectors ---- */

static status begin_with_vectors(fresh *f, const char *text, error *e)
{
    const char *path = scratch_path("vectors.txt");
    scratch_write(path, text, strlen(text));
    memset(f, 0, sizeof *f);
    memset(e, 0, sizeof *e);
    config_init(&f->c);
    char assignment[1200];
    snprintf(assignment, sizeof assignment, "model.vectors=%s", path);
    assert_int_equal(config_set(&f->c, assignment, e), STATUS_OK);
    view_letters(&f->words, "xcayb", f->start);
    params_init(&f->list);
    for (size_t i = 0; i < sizeof f->value / sizeof *f->value; i++)
        f->value[i] = before(i);
    add(f, "decoder.bias", 3, 0); /* the embedding does not stand at the slab's start */
    add(f, "encoder.weight", 5, E);
    return transfer_vectors(&f->c, &f->words, &f->list, f->value, &f->report, e);
}

static void test_vectors(void **state)
{
    (void)state;
    fresh f;
    error e;
    if (begin_with_vectors(&f, "4 3\nb 1 2 3\nwhere 9 9 9\nx -1 -2 -3\nb 7 7 7\n", &e) != STATUS_OK)
        fail_msg("%s", e.text);
    static const float b[E] = {1, 2, 3}, x[E] = {-1, -2, -3};
    const size_t at = f.list.list[1].offset;
    for (size_t i = 0; i < sizeof f.value / sizeof *f.value; i++) {
        const bool of_x = i >= at && i < at + E, of_b = i >= at + 4 * E && i < at + 5 * E;
        assert_true(f.value[i] == (of_x ? x[i - at] : of_b ? b[i - at - 4 * E] : before(i)));
    }
    assert_int_equal(f.report.words, 5);
    assert_int_equal(f.report.unknown, 3);
    assert_int_equal(f.report.vectors.words, 4);
    assert_int_equal(f.report.vectors.found, 2);
    assert_int_equal(f.report.vectors.duplicates, 1);
    assert_int_equal(strlen(f.report.digest), 64);
    drop(&f);
}

static void test_vectors_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } list[] = {{"b 1 2\n", "vectors of 3 are wanted"},
                {"1 4\nb 1 2 3 4\n", "the header announces 1 words with vectors of 4"},
                {"where 1 2 3\n", "vectors.txt: has none of the 5 words of"},
                {"b 1 2 x\n", "vectors.txt:1: "}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        fresh f;
        error e;
        assert_int_equal(begin_with_vectors(&f, list[i].text, &e), STATUS_BAD_DATA);
        if (!strstr(e.text, "model.vectors (model.embedding is 3): ") || !strstr(e.text, list[i].sentence))
            fail_msg("\"%s\" is not in: %s", list[i].sentence, e.text);
        drop(&f);
    }
}

static int open_place(void **state)
{
    (void)state;
    scratch_make();
    snprintf(source_path, sizeof source_path, "%s", scratch_path("source.h5"));
    write_source(source_path, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_go_by_name), cmocka_unit_test(test_output_layer),
        cmocka_unit_test(test_output_of_labels), cmocka_unit_test(test_other_models),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_vectors_refused),
    };
    return cmocka_run_group_tests(tests, open_place, scratch_teardown);
}
