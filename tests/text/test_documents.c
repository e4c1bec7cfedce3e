/* test_documents.c - a corpus of documents holds the texts that it was made from, each once, under its label.
 *
 *   documents of the corpus, as words  ==  the texts, cut by hand here      as sets of (split, label, words)
 *   held out of each label             ==  round(share n)                   and the same ones beside unlabelled texts
 *   duplicates                         ==  those that were planted
 * Then every mistake with its sentence.  Documents that are files: test_document_tree.c. */
#include "io/disk.h"
#include "io/documents.h"
#include "tests/io/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char out[512];

static int make(void **state)
{
    (void)state;
    scratch_make();
    snprintf(out, sizeof out, "%s", scratch_path("c.h5"));
    return 0;
}

static void add(document_set *set, int split, const char *label, const char *text)
{
    error e = {0};
    const document_text t = {.split = split,
                             .label = (const uint8_t *)label,
                             .label_bytes = label != NULL ? strlen(label) : 0,
                             .text = (const uint8_t *)text,
                             .bytes = strlen(text),
                             .place = "here:1"};
    if (documents_add(set, &t, &e) != STATUS_OK)
        fail_msg("%s", e.text);
}

/* Words of all splits, so that a document that was held out can be told by them. */
static documents_job usual_job(void)
{
    return (documents_job){.format = "labelled",
                           .rules = {.min_count = 1, .from_all = true},
                           .valid_share = -1,
                           .seed = 1,
                           .out = out};
}

static void write_set(document_set *set, const documents_job *job, documents_report *report)
{
    error e = {0};
    if (documents_write(set, job, report, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    documents_free(set);
}

/* Document i of a split, its words with blanks between. */
static void words_of(const corpus *c, int split, uint64_t i, char *to, size_t room)
{
    const corpus_documents *d = &c->documents[split];
    size_t used = 0;
    to[0] = 0;
    for (uint64_t k = d->start[i]; k < d->start[i + 1] - 1; k++) {
        size_t n;
        const char *word = vocabulary_word(&c->vocab, c->ids[split][k], &n);
        used += (size_t)snprintf(to + used, room - used, "%s%.*s", used > 0 ? " " : "", (int)n, word);
    }
    assert_int_equal(c->ids[split][d->start[i + 1] - 1], c->vocab.eos);
}

static const char *label_of(const corpus *c, int split, uint64_t i, size_t *n)
{
    uint32_t label = c->documents[split].label[i];
    *n = 6;
    return label == LABEL_NONE ? "(none)" : vocabulary_word(&c->labels, label, n);
}

static void open_corpus(corpus *c)
{
    error e = {0};
    if (corpus_open(c, out, CONTAINER_CHECK, &e) != STATUS_OK)
        fail_msg("%s", e.text);
}

/* Documents to train on and to test on, each with a word of its own. */
static document_set *numbered(int per_label, int labels, int tests)
{
    document_set *set = documents_new(true);
    char label[16], text[64];
    for (int i = 0; i < per_label * labels + tests; i++) {
        bool test = i >= per_label * labels;
        snprintf(label, sizeof label, "l%d", i % labels);
        snprintf(text, sizeof text, "Document %s%d!", test ? "t" : "d", i);
        add(set, test ? SPLIT_TEST : SPLIT_TRAIN, label, text);
    }
    return set;
}

static void test_round_trip(void **state)
{
    (void)state;
    static const struct {
        int split;
        const char *label, *text, *words;
    } list[] = {
        {SPLIT_TRAIN, "good", "I don\xe2\x80\x99t<br />mind!", "i don't mind !"},
        {SPLIT_TRAIN, "bad", "Terrible... 1,000 times", "terrible ... 1,000 times"},
        {SPLIT_TRAIN, NULL, "No label", "no label"},
        {SPLIT_TRAIN, "\xc3\xa9t\xc3\xa9", "\xc3\x89T\xc3\x89", "\xc3\xa9t\xc3\xa9"},
        {SPLIT_VALID, "bad", "mind mind", "mind mind"},
        {SPLIT_TEST, "good", "unknown mind", "<unk> mind"},
    };
    enum { N = sizeof list / sizeof *list };
    document_set *set = documents_new(true);
    for (int i = 0; i < N; i++)
        add(set, list[i].split, list[i].label, list[i].text);
    documents_report report;
    documents_job job = usual_job();
    job.rules.from_all = false;
    write_set(set, &job, &report);
    assert_int_equal(report.held_out, 0);
    assert_int_equal(report.oov[SPLIT_TEST], 1);
    assert_int_equal(report.longest[SPLIT_TRAIN], 5);
    assert_int_equal(report.unlabelled[SPLIT_TRAIN], 1);
    documents_report_free(&report);

    corpus c;
    open_corpus(&c);
    assert_string_equal(c.tokenizer, "words");
    assert_true(c.lower);
    assert_string_equal(c.level, "word");
    assert_int_equal(c.labels.size, 3);
    assert_memory_equal(c.labels.blob, "badgood\xc3\xa9t\xc3\xa9", 12);
    uint64_t seen = 0, tokens = 0;
    for (int s = 0; s < SPLIT_COUNT; s++)
        for (uint64_t i = 0; i < c.documents[s].count; i++, seen++) {
            char words[256];
            size_t n;
            words_of(&c, s, i, words, sizeof words);
            int k = 0;
            while (k < N && (list[k].split != s || strcmp(list[k].words, words) != 0))
                k++;
            assert_true(k < N);
            const char *label = label_of(&c, s, i, &n),
                       *want = list[k].label != NULL ? list[k].label : "(none)";
            assert_int_equal(n, strlen(want));
            assert_memory_equal(label, want, n);
            tokens += c.documents[s].start[i + 1] - c.documents[s].start[i];
        }
    assert_int_equal(seen, N);
    assert_int_equal(tokens, c.tokens[0] + c.tokens[1] + c.tokens[2]);
    corpus_close(&c);
}

/* Case is kept when it is not lowered; a vocabulary without unknown words has <unk> all the same. */
static void test_case_and_unknown(void **state)
{
    (void)state;
    document_set *set = documents_new(false);
    add(set, SPLIT_TRAIN, "a", "The the");
    add(set, SPLIT_TRAIN, "b", "the");
    documents_report report;
    documents_job job = usual_job();
    job.valid_share = 0;
    write_set(set, &job, &report);
    assert_int_equal(report.vocab_size, 4);
    documents_report_free(&report);
    corpus c;
    open_corpus(&c);
    assert_false(c.lower);
    assert_true(vocabulary_find(&c.vocab, "The", 3) >= 0 && c.vocab.unk >= 0 && c.vocab.eos >= 0);
    corpus_close(&c);
}

/* The words of the documents held out, sorted, one a line. */
static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}
typedef char line[64];
static line *held_out(const corpus *c, uint64_t *n)
{
    *n = c->documents[SPLIT_VALID].count;
    line *list = calloc(*n + 1, sizeof *list);
    for (uint64_t i = 0; i < *n; i++)
        words_of(c, SPLIT_VALID, i, list[i], sizeof *list);
    qsort(list, *n, sizeof *list, by_text);
    return list;
}

static void test_draw(void **state)
{
    (void)state;
    static const struct {
        double share;
        int per_label;
        uint64_t want; /* of each label: round(share n) */
    } list[] = {{0.1, 14, 1}, {0.1, 15, 2}, {0.1, 50, 5}, {-1, 25, 3}, {0.5, 3, 2}, {0.34, 100, 34}};
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
        documents_report report;
        documents_job job = usual_job();
        job.valid_share = list[k].share;
        write_set(numbered(list[k].per_label, 3, 5), &job, &report);
        assert_int_equal(report.labels, 3);
        assert_int_equal(report.held_out, 3 * list[k].want);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(report.by_label[i][SPLIT_VALID], list[k].want);
            assert_int_equal(report.by_label[i][SPLIT_TRAIN], (uint64_t)list[k].per_label - list[k].want);
        }
        assert_int_equal(report.documents[SPLIT_TEST], 5);
        documents_report_free(&report);
    }
}

/* The draw and the order are those of the seed; unlabelled documents change no draw. */
static void test_seed(void **state)
{
    (void)state;
    documents_report report;
    documents_job job = usual_job();
    char digest[3][SHA256_HEX];
    line *held[3];
    uint64_t n;
    for (int k = 0; k < 3; k++) {
        corpus c;
        job.seed = k == 2 ? 2 : 1;
        write_set(numbered(40, 2, 9), &job, &report);
        documents_report_free(&report);
        open_corpus(&c);
        memcpy(digest[k], c.digest, SHA256_HEX);
        held[k] = held_out(&c, &n);
        assert_int_equal(n, 8);
        corpus_close(&c);
    }
    assert_string_equal(digest[0], digest[1]);
    assert_string_not_equal(digest[0], digest[2]);
    assert_memory_equal(held[0], held[1], n * sizeof(line));
    assert_memory_not_equal(held[0], held[2], n * sizeof(line));
    for (int k = 0; k < 3; k++)
        free(held[k]);
}

static void test_unlabelled_change_no_draw(void **state)
{
    (void)state;
    documents_report report;
    documents_job job = usual_job();
    line *held[2];
    uint64_t n[2];
    for (int k = 0; k < 2; k++) {
        document_set *set = documents_new(true);
        char text[64];
        for (int i = 0; i < 60; i++) {
            snprintf(text, sizeof text, "document d%d", i);
            add(set, SPLIT_TRAIN, i % 2 ? "odd" : "even", text);
            if (k == 1 && i % 3 == 0)
                add(set, SPLIT_TRAIN, NULL, "without label");
        }
        corpus c;
        write_set(set, &job, &report);
        assert_int_equal(report.unlabelled[SPLIT_TRAIN], k == 1 ? 20 : 0);
        documents_report_free(&report);
        open_corpus(&c);
        held[k] = held_out(&c, &n[k]);
        corpus_close(&c);
    }
    assert_int_equal(n[0], 6);
    assert_int_equal(n[1], 6);
    assert_memory_equal(held[0], held[1], 6 * sizeof(line));
    free(held[0]);
    free(held[1]);
}

static void test_duplicates(void **state)
{
    (void)state;
    document_set *set = documents_new(true);
    add(set, SPLIT_TRAIN, "a", "same");
    add(set, SPLIT_TRAIN, "b", "same"); /* repeated, and under another label */
    add(set, SPLIT_TRAIN, "a", "same");
    add(set, SPLIT_TRAIN, "a", "Same"); /* another text, though of the same tokens */
    add(set, SPLIT_TRAIN, "b", "everywhere");
    add(set, SPLIT_VALID, "b", "everywhere");
    add(set, SPLIT_TEST, "b", "everywhere");
    add(set, SPLIT_TEST, "a", "same");
    add(set, SPLIT_TEST, "a", "twice");
    add(set, SPLIT_TEST, "a", "twice");
    documents_report r;
    const documents_job job = usual_job();
    write_set(set, &job, &r);
    assert_int_equal(r.repeated[SPLIT_TRAIN], 2);
    assert_int_equal(r.repeated[SPLIT_VALID], 0);
    assert_int_equal(r.repeated[SPLIT_TEST], 1);
    assert_int_equal(r.shared[0], 1);
    assert_int_equal(r.shared[1], 2);
    assert_int_equal(r.shared[2], 1);
    assert_int_equal(r.contradicting, 1);
    documents_report_free(&r);
}

static void test_long_document(void **state)
{
    (void)state;
    enum { WORDS = 100000 };
    char *text = malloc(8 * WORDS);
    size_t n = 0;
    for (int i = 0; i < WORDS; i++)
        n += (size_t)sprintf(text + n, "w%d ", i % 1000);
    document_set *set = documents_new(true);
    add(set, SPLIT_TRAIN, "a", text);
    add(set, SPLIT_TRAIN, "b", "short");
    documents_report r;
    documents_job job = usual_job();
    job.valid_share = 0;
    write_set(set, &job, &r);
    assert_int_equal(r.longest[SPLIT_TRAIN], WORDS + 1);
    documents_report_free(&r);
    free(text);
}

/* ---- mistakes of any source ----------------------------------------------------------------------------------- */

static void expect_failure(document_set *set, const documents_job *job, status want, const char *sentence)
{
    documents_report report;
    error e = {0};
    unlink(out);
    status s = documents_write(set, job, &report, &e);
    if (s != want || strstr(e.text, sentence) == NULL)
        fail_msg("\"%s\" instead of \"%s\"", e.text, sentence);
    assert_int_equal(scratch_entries(), 0);
    documents_free(set);
}

static void test_mistakes(void **state)
{
    (void)state;
    documents_job job = usual_job();
    expect_failure(documents_new(true), &job, STATUS_BAD_DATA, "there are no documents");
    document_set *set = documents_new(true);
    add(set, SPLIT_TRAIN, NULL, "a");
    expect_failure(set, &job, STATUS_BAD_DATA, "no document has a label");
    expect_failure(numbered(4, 2, 0), &job, STATUS_BAD_DATA, "too few documents to hold out");
    job.valid_share = 0.9;
    expect_failure(numbered(4, 2, 0), &job, STATUS_BAD_DATA,
                   "label \"l0\" has only 4 documents to train on, and --valid-share 0.9 takes all");
    set = numbered(10, 2, 0);
    add(set, SPLIT_VALID, "l0", "a");
    expect_failure(set, &job, STATUS_USAGE, "there is a validation split already");
    job = usual_job();
    job.out = "/nowhere/c.h5";
    expect_failure(numbered(10, 2, 0), &job, STATUS_BAD_DATA, "the corpus cannot be written");
}

static void test_bad_documents(void **state)
{
    (void)state;
    char long_label[DOCUMENTS_LABEL_BYTES + 2];
    memset(long_label, 'x', sizeof long_label);
    const struct {
        document_text t;
        const char *sentence;
    } list[] = {
        {{.label = (const uint8_t *)"x", .label_bytes = 1, .text = (const uint8_t *)" ", .bytes = 1},
         "here:7: an empty document"},
        {{.label = (const uint8_t *)"a\tb", .label_bytes = 3, .text = (const uint8_t *)"t", .bytes = 1},
         "here:7: a label is UTF-8 of at most 255 bytes, without control characters: \"a\\x09b\""},
        {{.label = (const uint8_t *)"c\xe9", .label_bytes = 2, .text = (const uint8_t *)"t", .bytes = 1},
         "here:7: a label is UTF-8 of at most 255 bytes, without control characters: \"c\\xe9\""},
        {{.label = (const uint8_t *)long_label, .label_bytes = 256, .text = (const uint8_t *)"t", .bytes = 1},
         "here:7: a label is UTF-8 of at most 255 bytes"},
        {{.split = SPLIT_TEST, .text = (const uint8_t *)"t", .bytes = 1}, "here:7: has no label"},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        document_set *set = documents_new(true);
        document_text t = list[i].t;
        error e = {0};
        t.place = "here:7";
        assert_int_equal(documents_add(set, &t, &e), STATUS_BAD_DATA);
        assert_non_null(strstr(e.text, list[i].sentence));
        documents_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_case_and_unknown),
        cmocka_unit_test(test_draw),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_unlabelled_change_no_draw),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_long_document),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_bad_documents),
    };
    return cmocka_run_group_tests(tests, make, scratch_teardown);
}
