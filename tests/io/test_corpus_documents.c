/* test_corpus_documents.c - documents and labels as they were written, and corpora whose documents lie.
 *
 * The digests of every forged file are right: what is refused is refused for what it says, by file, tensor and
 * index.  A corpus without documents has none. */
#include "io/corpus.h"
#include "tests/io/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const char words[] = "the<eos><unk>catsat", labels[] = "negpos";
static const uint64_t word_start[] = {0, 3, 8, 13, 16, 19}, label_start[] = {0, 3, 6};
enum { EOS = 1, TOKENS = 9 };
static const uint32_t ids[TOKENS] = {0, 3, EOS, 4, EOS, 2, 2, 0, EOS};
static const uint64_t start[] = {0, 3, 5, 9}, test_start[] = {0, 3};
static const uint32_t label[] = {1, LABEL_NONE, 0}, test_label[] = {0};

static record *usual_meta(void)
{
    record *meta = record_new();
    record_set_text(meta, "level", "word");
    record_set_text(meta, "tokenizer", "words");
    record_set_bool(meta, "lower", true);
    return meta;
}

static void test_round_trip(void **state)
{
    (void)state;
    const vocabulary w = {.blob = (const uint8_t *)words, .start = word_start, .size = 5};
    const vocabulary l = {.blob = (const uint8_t *)labels, .start = label_start, .size = 2};
    const corpus_documents documents[SPLIT_COUNT] = {
        [SPLIT_TRAIN] = {3, start, label}, [SPLIT_TEST] = {1, test_start, test_label}};
    const uint64_t tokens[SPLIT_COUNT] = {TOKENS, 0, 3};
    corpus_writer out;
    error e = {0};
    record *meta = usual_meta();
    if (corpus_create_documents(&out, scratch_path("c.h5"), tokens, &w, &l, documents, &e) != STATUS_OK ||
        corpus_write(&out, SPLIT_TRAIN, 0, ids, TOKENS, &e) != STATUS_OK ||
        corpus_write(&out, SPLIT_TEST, 0, ids, 3, &e) != STATUS_OK ||
        corpus_finish(&out, meta, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    record_free(meta);
    for (int trust = CONTAINER_CHECK; trust <= CONTAINER_TRUST; trust++) {
        corpus c;
        if (corpus_open(&c, scratch_path("c.h5"), (container_trust)trust, &e) != STATUS_OK)
            fail_msg("%s", e.text);
        assert_int_equal(c.labels.size, 2);
        assert_int_equal(vocabulary_find(&c.labels, "pos", 3), 1);
        assert_int_equal(c.documents[SPLIT_TRAIN].count, 3);
        assert_memory_equal(c.documents[SPLIT_TRAIN].start, start, sizeof start);
        assert_memory_equal(c.documents[SPLIT_TRAIN].label, label, sizeof label);
        assert_int_equal(c.documents[SPLIT_VALID].count, 0);
        assert_null(c.documents[SPLIT_VALID].start);
        assert_int_equal(c.documents[SPLIT_TEST].count, 1);
        assert_string_equal(c.tokenizer, "words");
        assert_true(c.lower);
        corpus_close(&c);
        assert_int_equal(c.labels.size, 0);
    }
}

/* The tensors of a forged corpus, of which a case changes one. */
enum { WORDS, WORD_START, TRAIN, LABELS, LABEL_START, START, LABEL, TENSORS };

static void refused(const tensor t[TENSORS], const record *meta, const char *sentence)
{
    error e = {0};
    container_writer *out;
    tensor kept[TENSORS];
    size_t n = 0;
    for (int i = 0; i < TENSORS; i++)
        if (t[i].data != NULL)
            kept[n++] = t[i];
    assert_int_equal(container_create(&out, scratch_path("f.h5"), "corpus", kept, n, &e), STATUS_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(container_write(out, i, 0, kept[i].data, tensor_count(&kept[i]), &e), STATUS_OK);
    assert_int_equal(container_finish(out, meta, &e), STATUS_OK);
    corpus c;
    status s = corpus_open(&c, scratch_path("f.h5"), CONTAINER_CHECK, &e);
    if (sentence == NULL) {
        if (s != STATUS_OK)
            fail_msg("%s", e.text);
        corpus_close(&c);
        return;
    }
    if (s != STATUS_BAD_DATA || strstr(e.text, sentence) == NULL)
        fail_msg("\"%s\" instead of \"%s\"", s == STATUS_OK ? "success" : e.text, sentence);
    assert_non_null(strstr(e.text, "f.h5"));
}

static void usual_tensors(tensor t[TENSORS])
{
    t[WORDS] = tensor_of("vocab/bytes", DTYPE_U8, words, 1, (uint64_t[]){19});
    t[WORD_START] = tensor_of("vocab/start", DTYPE_U64, word_start, 1, (uint64_t[]){6});
    t[TRAIN] = tensor_of("train", DTYPE_U32, ids, 1, (uint64_t[]){TOKENS});
    t[LABELS] = tensor_of("labels/bytes", DTYPE_U8, labels, 1, (uint64_t[]){6});
    t[LABEL_START] = tensor_of("labels/start", DTYPE_U64, label_start, 1, (uint64_t[]){3});
    t[START] = tensor_of("documents/train/start", DTYPE_U64, start, 1, (uint64_t[]){4});
    t[LABEL] = tensor_of("documents/train/label", DTYPE_U32, label, 1, (uint64_t[]){3});
}

static void test_forged(void **state)
{
    (void)state;
    static const struct {
        int which;
        uint64_t at, value;
        const char *sentence;
    } list[] = {
        {START, 0, 1, "documents/train/start[0] is 1; the first document begins at 0"},
        {START, 3, 8, "documents/train/start[3] is 8; the last document ends with the tokens of the split"},
        {START, 2, 3, "documents/train/start[2] is 3; starts must rise, no document is empty"},
        {START, 1, 10, "documents/train/start[1] is 10; starts must rise"},
        {START, 1, UINT64_MAX, "documents/train/start[1] is 18446744073709551615; starts must rise"},
        {START, 1, 2, "document 0 of train does not end with <eos>"},
        {LABEL, 2, 2, "documents/train/label[2] is 2; there are fewer labels"},
        {LABEL, 0, LABEL_NONE - 1, "documents/train/label[0] is 4294967294; there are fewer labels"},
        {LABEL_START, 1, 6, "labels: word 1 of the vocabulary is empty or runs backwards"},
    };
    record *meta = usual_meta();
    tensor t[TENSORS];
    usual_tensors(t);
    refused(t, meta, NULL); /* as it is, it is fine */
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        uint64_t wide[4];
        uint32_t narrow[3];
        usual_tensors(t);
        tensor *changed = &t[list[i].which];
        if (changed->type == DTYPE_U64) {
            memcpy(wide, changed->data, tensor_count(changed) * sizeof *wide);
            wide[list[i].at] = list[i].value;
            changed->data = wide;
        } else {
            memcpy(narrow, changed->data, sizeof narrow);
            narrow[list[i].at] = (uint32_t)list[i].value;
            changed->data = narrow;
        }
        refused(t, meta, list[i].sentence);
    }
    record_free(meta);
}

static void test_structure(void **state)
{
    (void)state;
    static const struct {
        int missing;
        const char *sentence;
    } list[] = {{LABELS, "labels/bytes"},
                {LABEL_START, "labels/start"},
                {START, "documents/train/start"},
                {LABEL, "documents/train/label"},
                {TRAIN, "documents/train/start[3] is 9; the last document ends"}};
    record *meta = usual_meta();
    tensor t[TENSORS];
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        usual_tensors(t);
        t[list[i].missing].data = NULL;
        refused(t, meta, list[i].sentence);
    }
    usual_tensors(t);
    t[LABEL].shape[0] = 2;
    refused(t, meta, "documents/train/label");
    usual_tensors(t);
    t[START] = tensor_of("documents/train/start", DTYPE_U64, start, 1, (uint64_t[]){1});
    refused(t, meta, "documents/train/start: there is no document");
    usual_tensors(t);
    record_set_text(meta, "tokenizer", "pieces");
    refused(t, meta, "was cut by the tokeniser \"pieces\"");
    record_free(meta);
}

/* Neither labels nor documents: a corpus as it always was. */
static void test_without_documents(void **state)
{
    (void)state;
    record *meta = record_new();
    record_set_text(meta, "level", "word");
    tensor t[TENSORS];
    usual_tensors(t);
    for (int i = LABELS; i < TENSORS; i++)
        t[i].data = NULL;
    refused(t, meta, NULL);
    record_free(meta);
    corpus c;
    error e = {0};
    assert_int_equal(corpus_open(&c, scratch_path("f.h5"), CONTAINER_CHECK, &e), STATUS_OK);
    assert_int_equal(c.labels.size, 0);
    assert_int_equal(c.documents[SPLIT_TRAIN].count, 0);
    assert_null(c.tokenizer);
    assert_false(c.lower);
    corpus_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_without_documents),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
