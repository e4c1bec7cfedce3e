/* test_document_batches.c - batches of documents: which, in which order, and what stands in them.
 *
 *   all batches of an epoch, rank by rank  ==  every labelled document once, whole, at the right of its row,
 *                                              for any B, S and number of ranks
 *   order                                  ==  itself for the same (seed, epoch), whatever S and rank;  !=  for others
 *   steps of the batches                   <=  1.1 x the tokens in them, lengths spread as those of real texts
 *   documents_score on these ranks         ==  one document at a time on one rank     bit for bit
 *
 * Every token says which document it is of and where it stands there, so that what is in a row is known from the row
 * alone, and not from the lists by which it was filled.
 *
 * Runs alone or under mpirun: the other ranks of the first identities are played in each process, the last one is of
 * real ones. */
#include "kernels/rng.h"
#include "tests/comm/check.h"
#include "trainer/tasks/documents.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LENGTH_MAX = 1024, CLASSES = 3 }; /* token t of document i is id i * LENGTH_MAX + t */

static comm *group;

/* ---- corpora in memory ---- */

typedef struct texts {
    corpus corpus;
    uint32_t *ids, *label;
    uint64_t *start;
} texts;

static void make_texts(texts *x, const uint32_t *length, const uint32_t *label, uint32_t n)
{
    uint64_t tokens = 0;
    *x = (texts){.start = malloc((n + 1) * sizeof(uint64_t)), .label = malloc(n * sizeof(uint32_t))};
    assert_true(x->start && x->label);
    for (uint32_t i = 0; i < n; i++) {
        x->start[i] = tokens;
        x->label[i] = label[i];
        tokens += length[i];
    }
    x->start[n] = tokens;
    x->ids = malloc(tokens * sizeof *x->ids);
    assert_non_null(x->ids);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t t = 0; t < length[i]; t++)
            x->ids[x->start[i] + t] = i * LENGTH_MAX + t;
    x->corpus.vocab.size = n * LENGTH_MAX;
    x->corpus.labels.size = CLASSES;
    x->corpus.ids[SPLIT_TRAIN] = x->ids;
    x->corpus.tokens[SPLIT_TRAIN] = tokens;
    x->corpus.documents[SPLIT_TRAIN] = (corpus_documents){n, x->start, x->label};
    x->corpus.file.path = "memory.h5";
}

static void free_texts(texts *x)
{
    free(x->ids);
    free(x->label);
    free(x->start);
}

/* 23 documents of 1 to 19 tokens, of which every fifth has no label. */
enum { SOME = 23 };
static void make_some(texts *x)
{
    uint32_t length[SOME], label[SOME];
    for (uint32_t i = 0; i < SOME; i++) {
        length[i] = 1 + i * 7 % 19;
        label[i] = i % 5 == 4 ? LABEL_NONE : i * i % CLASSES;
    }
    make_texts(x, length, label, SOME);
}

static documents open_documents(const texts *x, documents_cut cut, int B, int S, int rank, int size)
{
    documents d;
    error e = {0};
    if (documents_open(&d, &x->corpus, SPLIT_TRAIN, cut, B, S, rank, size, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    return d;
}

static void read_batch(documents *d, uint32_t i)
{
    error e = {0};
    if (documents_read(d, i, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    assert_int_equal(d->batch.B, d->shards.rows);
}

/* The document in row b of the batch that was read, -1: none.  It must be whole (as far as the cut leaves it) and at
 * the right. */
static int64_t document_in(const texts *x, const documents *d, int b, documents_cut cut)
{
    const class_batch *y = &d->batch;
    const int n = y->length[b], rows = y->B;
    if (n == 0) {
        assert_int_equal(y->label[b], CLASS_NONE);
        return -1;
    }
    assert_in_range(n, 1, y->steps);
    const uint32_t *last = y->ids + (size_t)(y->steps - 1) * (size_t)rows + (size_t)b, i = *last / LENGTH_MAX;
    const uint32_t whole = (uint32_t)(x->start[i + 1] - x->start[i]);
    const uint32_t kept = cut.max_length && cut.max_length < whole ? (uint32_t)cut.max_length : whole;
    const uint32_t first = cut.keep_end ? whole - kept : 0;
    assert_int_equal(n, kept);
    assert_int_equal(y->label[b], x->label[i]);
    for (int t = 0; t < y->steps - n; t++)
        assert_in_range(y->ids[t * rows + b], 0, x->corpus.vocab.size - 1);
    for (uint32_t t = 0; t < kept; t++) {
        const uint32_t at = first + (cut.backward ? kept - 1 - t : t);
        assert_int_equal(y->ids[(y->steps - n + (int)t) * rows + b], i * LENGTH_MAX + at);
    }
    return i;
}

/* ---- every document once ---- */

/* Reads rank `rank` of `size`'s rows of all batches of an epoch (0: by falling length) into held, batch by batch B
 * rows of documents. */
static uint32_t read_epoch(const texts *x, documents_cut cut, int B, int S, int rank, int size,
                           uint32_t epoch, int64_t *held)
{
    documents d = open_documents(x, cut, B, S, rank, size);
    if (epoch)
        documents_shuffle(&d, 5, epoch);
    const uint32_t batches = d.batches;
    for (uint32_t i = 0; i < batches; i++) {
        read_batch(&d, i);
        for (int b = 0; b < d.shards.rows; b++) {
            int64_t *to = &held[i * (uint32_t)B + (uint32_t)(d.shards.row0 + b)];
            assert_int_equal(*to, -2); /* a row belongs to one rank */
            *to = document_in(x, &d, b, cut);
        }
    }
    documents_close(&d);
    return batches;
}

static void expect_all_once(const texts *x, const int64_t *held, size_t rows)
{
    int times[SOME] = {0};
    for (size_t k = 0; k < rows; k++) {
        assert_int_not_equal(held[k], -2); /* some rank has each row */
        if (held[k] >= 0)
            times[held[k]]++;
    }
    for (int i = 0; i < SOME; i++)
        assert_int_equal(times[i], x->label[i] != LABEL_NONE);
}

static void test_every_document_once(void **state)
{
    (void)state;
    enum { ROWS = 64 };
    texts x;
    make_some(&x);
    for (int B = 1; B <= 8; B++)
        for (int S = 1; S <= 5 && S <= B; S++)
            for (int size = 1; size <= S; size++)
                for (uint32_t epoch = 0; epoch <= 2; epoch++) {
                    int64_t alone[ROWS], held[ROWS];
                    for (int k = 0; k < ROWS; k++)
                        alone[k] = held[k] = -2;
                    const uint32_t batches = read_epoch(&x, (documents_cut){0}, B, 1, 0, 1, epoch, alone);
                    assert_int_equal(batches, (19 + B - 1) / B);
                    for (int rank = 0; rank < size; rank++)
                        read_epoch(&x, (documents_cut){0}, B, S, rank, size, epoch, held);
                    expect_all_once(&x, held, batches * (size_t)B);
                    assert_memory_equal(held, alone, sizeof held);
                }
    free_texts(&x);
}

/* More shards than rows: some ranks have none, and read nothing. */
static void test_more_shards_than_rows(void **state)
{
    (void)state;
    texts x;
    int64_t held[2 * SOME];
    make_some(&x);
    for (int k = 0; k < 2 * SOME; k++)
        held[k] = -2;
    for (int rank = 0; rank < 5; rank++)
        read_epoch(&x, (documents_cut){0}, 2, 5, rank, 5, 1, held);
    expect_all_once(&x, held, 20);
    free_texts(&x);
}

/* ---- the order ---- */

/* The documents of an epoch in the order of its batches and rows. */
static void order_of(const texts *x, int S, int rank, int size, uint64_t seed, uint32_t epoch,
                     uint32_t order[SOME])
{
    documents d = open_documents(x, (documents_cut){0}, 4, S, rank, size);
    uint32_t n = 0;
    documents_shuffle(&d, seed + 1, epoch + 1); /* whatever was before */
    documents_shuffle(&d, seed, epoch);
    for (uint32_t i = 0; i < d.batches; i++) {
        int count, steps;
        const uint32_t *place = documents_of(&d, i, &count, &steps);
        for (int b = 0; b < count; b++)
            order[n++] = d.list[place[b]].index;
    }
    assert_int_equal(n, d.count);
    documents_close(&d);
}

static void test_order(void **state)
{
    (void)state;
    uint32_t length[SOME], label[SOME] = {0}, first[SOME], other[SOME];
    for (uint32_t i = 0; i < SOME; i++)
        length[i] = 7; /* so that the lengths decide nothing */
    texts x;
    make_texts(&x, length, label, SOME);
    order_of(&x, 1, 0, 1, 9, 1, first);
    for (int rank = 0; rank < 4; rank++) {
        order_of(&x, 4, rank, 4, 9, 1, other);
        assert_memory_equal(other, first, sizeof other);
    }
    for (uint32_t k = 1; k <= 8; k++) {
        order_of(&x, 1, 0, 1, 9, 1 + k, other);
        assert_memory_not_equal(other, first, sizeof other);
        order_of(&x, 1, 0, 1, 9 + k, 1, other);
        assert_memory_not_equal(other, first, sizeof other);
        order_of(&x, 1, 0, 1, 9 + ((uint64_t)k << 32), 1, other);
        assert_memory_not_equal(other, first, sizeof other);
    }
    free_texts(&x);
}

/* Who stands beside whom changes from epoch to epoch, also where all documents are one pool: document 0 meets most of
 * those that are as long as it is. */
static void test_company(void **state)
{
    (void)state;
    uint32_t length[SOME], label[SOME] = {0};
    for (uint32_t i = 0; i < SOME; i++)
        length[i] = 7;
    texts x;
    make_texts(&x, length, label, SOME);
    int met[SOME] = {0}, all = 0;
    for (uint32_t epoch = 1; epoch <= 20; epoch++) {
        documents d = open_documents(&x, (documents_cut){0}, 4, 1, 0, 1);
        documents_shuffle(&d, 3, epoch);
        for (uint32_t i = 0; i < d.batches; i++) {
            int count, steps;
            const uint32_t *place = documents_of(&d, i, &count, &steps);
            bool has_0 = false;
            for (int b = 0; b < count; b++)
                has_0 = has_0 || place[b] == 0;
            for (int b = 0; b < count && has_0; b++)
                met[place[b]] = 1;
        }
        documents_close(&d);
    }
    for (int i = 1; i < SOME; i++)
        all += met[i];
    assert_in_range(all, 16, SOME - 1); /* 20 epochs of 3 others each */
    free_texts(&x);
}

/* Evaluation begins with the longest, and each batch is the next ones. */
static void test_by_length(void **state)
{
    (void)state;
    texts x;
    make_some(&x);
    documents d = open_documents(&x, (documents_cut){0}, 4, 2, 0, 1);
    documents_shuffle(&d, 1, 1);
    documents_by_length(&d);
    uint32_t before = UINT32_MAX;
    for (uint32_t i = 0; i < d.batches; i++) {
        int count, steps;
        const uint32_t *place = documents_of(&d, i, &count, &steps);
        assert_int_equal(steps, d.list[place[0]].length);
        for (int b = 0; b < count; b++) {
            assert_true(d.list[place[b]].length <= before);
            before = d.list[place[b]].length;
        }
    }
    assert_int_equal(before, 1);
    documents_close(&d);
    free_texts(&x);
}

/* ---- cutting and direction ---- */

static void test_cutting(void **state)
{
    (void)state;
    texts x;
    make_some(&x);
    static const int64_t most[] = {0, 1, 5, 18, 19, 100};
    for (size_t k = 0; k < 4 * (sizeof most / sizeof *most); k++) {
        const documents_cut cut = {.max_length = most[k / 4], .keep_end = k % 2, .backward = k / 2 % 2};
        uint32_t cut_down = 0, longest = 0;
        uint64_t tokens = 0;
        for (uint32_t i = 0; i < SOME; i++) {
            const uint32_t n = (uint32_t)(x.start[i + 1] - x.start[i]);
            const bool longer = cut.max_length && n > cut.max_length;
            if (x.label[i] == LABEL_NONE)
                continue;
            cut_down += longer;
            tokens += longer ? (uint64_t)cut.max_length : n;
            longest = !longer && n > longest ? n : longer ? (uint32_t)cut.max_length : longest;
        }
        documents d = open_documents(&x, cut, 4, 2, 0, 1);
        assert_int_equal(d.cut, cut_down);
        assert_int_equal(d.tokens, tokens);
        assert_int_equal(d.longest, longest);
        documents_close(&d);
        int64_t held[2 * SOME];
        for (int i = 0; i < 2 * SOME; i++)
            held[i] = -2;
        read_epoch(&x, cut, 4, 2, 0, 2, 1, held);
        read_epoch(&x, cut, 4, 2, 1, 2, 1, held);
        expect_all_once(&x, held, 20);
    }
    free_texts(&x);
}

/* ---- padding ---- */

/* Lengths whose logarithm is normal, of median 180 and with a spread as that of film reviews. */
static void draw_lengths(uint32_t *length, uint32_t n, uint64_t seed)
{
    for (uint32_t i = 0; i < n; i++) {
        const rng_place place = {.seed = seed, .row = i, .purpose = RNG_TEST};
        const double u = 1.0 - rng_uniform53(&place, 0), v = rng_uniform53(&place, 1);
        const double normal = sqrt(-2.0 * log(u)) * cos(8.0 * atan(1.0) * v);
        const double drawn = 180.0 * exp(0.7 * normal);
        length[i] = drawn < 1 ? 1 : drawn > LENGTH_MAX - 1 ? LENGTH_MAX - 1 : (uint32_t)drawn;
    }
}

static void test_padding(void **state)
{
    (void)state;
    enum { MANY = 10000, ROWS = 32 };
    static uint32_t length[MANY], label[MANY];
    for (uint64_t seed = 1; seed <= 3; seed++) {
        texts x;
        draw_lengths(length, MANY, seed);
        make_texts(&x, length, label, MANY);
        documents d = open_documents(&x, (documents_cut){0}, ROWS, 8, 0, 1);
        for (uint32_t epoch = 0; epoch <= 3; epoch++) {
            double cells = 0, tokens = 0;
            if (epoch)
                documents_shuffle(&d, seed, epoch);
            for (uint32_t i = 0; i < d.batches; i++) {
                read_batch(&d, i);
                for (int b = 0; b < ROWS; b++) {
                    cells += d.length[b] ? d.batch.steps : 0;
                    tokens += d.length[b];
                }
            }
            assert_true(cells <= 1.1 * tokens);
            assert_true(fabs(documents_padding(&d) - cells / tokens) < 1e-12);
        }
        documents_close(&d);
        free_texts(&x);
    }
}

/* ---- what is refused ---- */

static void expect_refused(const texts *x, const char *sentence)
{
    documents d;
    error e = {0};
    assert_int_equal(documents_open(&d, &x->corpus, SPLIT_TRAIN, (documents_cut){0}, 4, 2, 0, 1, &e),
                     STATUS_BAD_DATA);
    if (!strstr(e.text, "memory.h5: ") || !strstr(e.text, sentence))
        fail_msg("\"%s\" is not in: %s", sentence, e.text);
    documents_close(&d);
}

static void test_refused(void **state)
{
    (void)state;
    texts x;
    error e = {0};
    make_some(&x);
    documents d = open_documents(&x, (documents_cut){0}, 32, 1, 0, 1);
    x.ids[x.start[2]] = x.corpus.vocab.size;
    assert_int_equal(documents_read(&d, 0, &e), STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "memory.h5: token "));
    documents_close(&d);
    for (uint32_t i = 0; i < SOME; i++)
        x.label[i] = LABEL_NONE;
    expect_refused(&x, "has no labelled document in its train split");
    x.corpus.documents[SPLIT_TRAIN] = (corpus_documents){0};
    expect_refused(&x, "has no labelled document in its train split");
    x.corpus.labels.size = 0;
    expect_refused(&x, "holds no documents with labels");
    free_texts(&x);
}

/* ---- scores ---- */

typedef struct scorer {
    team *team;
    params list;
    arena memory;
    float *value;
    classifier model;
} scorer;

static void open_scorer(scorer *m, const classifier_shape *shape, int threads, int T, int B)
{
    *m = (scorer){.team = team_open(threads, kernels_select(NULL))};
    CHECK(group, m->team != NULL, "a team");
    classifier_params(shape, &m->list, 1);
    arena_add(&m->memory, "value", (void **)&m->value, m->list.floats * sizeof(float));
    classifier_plan(&m->model, &m->memory, m->team, shape, &m->list, T, B, false);
    CHECK(group, arena_commit(&m->memory), "memory");
    for (size_t i = 0; i < m->list.floats; i++)
        m->value[i] = (float)((double)(random_of(1, i, 0) >> 40) * 0x1p-24 - 0.5);
}

static void close_scorer(scorer *m)
{
    params_free(&m->list);
    arena_free(&m->memory);
    team_close(m->team);
}

/* Collective in g.  Scores of all documents on rank 0 of g. */
static void score(const texts *x, const classifier_shape *shape, comm *g, int threads, int T, int B,
                  float *all)
{
    documents d;
    scorer m;
    error e = {0};
    status s =
        documents_open(&d, &x->corpus, SPLIT_TRAIN, (documents_cut){0}, B, B, comm_rank(g), comm_size(g), &e);
    CHECK(group, s == STATUS_OK, "%s", e.text);
    open_scorer(&m, shape, threads, T < (int)d.longest ? T : (int)d.longest, d.shards.rows);
    documents_shuffle(&d, 1, 1); /* the order of before must not matter */
    s = documents_score(&d, &m.model, m.team, g, m.value, comm_rank(g) == 0 ? all : NULL, &e);
    CHECK(group, s == STATUS_OK, "%s", e.text);
    close_scorer(&m);
    documents_close(&d);
}

/* Each document's scores are those that it has alone, in its own place. */
static void test_scores(void **state)
{
    (void)state;
    static const struct {
        const char *cell;
        bool both;
        pool_kind pooling;
        int T; /* shorter than the longest documents: these are read window by window */
    } models[] = {{"lstm", false, POOL_CONCAT, 100},
                  {"gru", false, POOL_ATTENTION, 4},
                  {"lstm", false, POOL_MEAN, 6},
                  {"gru", true, POOL_MAX, 100},
                  {"rnn_tanh", true, POOL_LAST, 100}};
    static const int rows[] = {3, 4, 7, 19, 32};
    enum { N = 19, WORDS = 30 };
    texts x;
    comm *alone;
    error e = {0};
    make_some(&x);
    for (uint64_t i = 0; i < x.corpus.tokens[SPLIT_TRAIN]; i++)
        x.ids[i] = (uint32_t)random_of(2, i, 0) % WORDS;
    x.corpus.vocab.size = WORDS;
    CHECK(group, comm_alone(&alone, &e) == STATUS_OK, "%s", e.text);
    for (size_t k = 0; k < sizeof models / sizeof *models; k++) {
        const classifier_shape shape = {.trunk = {.cell = cell_find(models[k].cell),
                                                  .layers = 2,
                                                  .V = WORDS,
                                                  .E = 6,
                                                  .H = 9,
                                                  .bidirectional = models[k].both},
                                        .pooling = models[k].pooling,
                                        .hidden = k % 2 ? 5 : 0,
                                        .loss = {.classes = CLASSES}};
        float want[N * CLASSES], have[N * CLASSES];
        score(&x, &shape, alone, 1, models[k].T, 1, want);
        for (int i = 1; i < N; i++) /* they can differ at all */
            CHECK(group, memcmp(want, want + CLASSES * i, CLASSES * sizeof *want) != 0, "document %d", i);
        for (size_t b = 0; b < sizeof rows / sizeof *rows; b++) {
            memset(have, 0xff, sizeof have);
            score(&x, &shape, group, 1 + (int)b % 2, models[k].T, rows[b], have);
            CHECK(group, comm_rank(group) != 0 || memcmp(have, want, sizeof want) == 0,
                  "model %zu, %d rows: the same scores", k, rows[b]);
        }
    }
    comm_close(alone);
    free_texts(&x);
}

static int open_group(void **state)
{
    (void)state;
    error e = {0};
    return comm_open(&group, &e) == STATUS_OK ? 0 : -1;
}

static int close_group(void **state)
{
    (void)state;
    comm_close(group);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_document_once),
        cmocka_unit_test(test_more_shards_than_rows),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_by_length),
        cmocka_unit_test(test_cutting),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_scores),
    };
    return cmocka_run_group_tests_name("document_batches", tests, open_group, close_group);
}
