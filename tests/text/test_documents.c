/* test_documents.c - a corpus of documents holds the texts that it was made from, each once, under its label.
 *
 *   documents of the corpus, as words  ==  the texts, cut by hand here      as sets of (split, label, words)
 *   a directory                        ==  an archive of it, in any order   byte for byte
 *   held out of each label             ==  round(share n)                   and the same ones beside unlabelled texts
 *   duplicates                         ==  those that were planted
 * Then every mistake with its sentence. */
#include "io/disk.h"
#include "io/document_tree.h"
#include "io/documents.h"
#include "tests/io/scratch.h"
#include "tests/text/archives.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* ---- trees ------------------------------------------------------------------------------------------------- */

static const archive_member members[] = {
    {"test/neg/9.txt", "Awful, again", 12, NULL, NULL},
    {"train/pos/2.txt", "Fine film", 9, NULL, NULL},
    {"train/urls.txt", "no document", 11, NULL, NULL},
    {"train/neg/10.txt", "Bad film", 8, NULL, NULL},
    {"train/neg/2.txt", "Awful plot", 10, NULL, NULL},
    {"train/pos/notes", "no text", 7, NULL, NULL},
    {"test/pos/1.txt", "Great fun!", 10, NULL, NULL},
    {"train/pos/1.txt", "Great!", 6, NULL, NULL},
    {"train/pos/._1.txt", "\0\1", 2, NULL, NULL},
    {"README", "read me", 7, NULL, NULL},
    {"train/neg/3.txt", "\xef\xbb\xbfPoor", 7, NULL, NULL},
    {"notes/x.txt", "", 0, NULL, NULL},
    {"a/notes.txt", "\xff", 1, NULL, NULL},
    {".git/train/neg/7.txt", "hidden", 6, NULL, NULL},
    {"train/.old/neg.txt", "", 0, NULL, NULL},
};
enum { MEMBERS = sizeof members / sizeof *members };

/* The members as files below a folder of the scratch folder. */
static void unpack(const char *folder, const archive_member *list, size_t n)
{
    char path[1024];
    mkdir(folder, 0777);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, list[i].name);
        for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
            *slash = 0;
            mkdir(path, 0777);
        }
        if (list[i].bytes != NULL)
            scratch_write(path, list[i].bytes, list[i].n);
    }
}

static void remove_tree(const char *folder)
{
    char command[1024];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* Prepares sources and gives the digest of the file's bytes. */
static status prepare_tree(char *const *sources, int count, const tree_rules *rules, char digest[SHA256_HEX],
                           documents_report *report, uint64_t *passed_over, error *e)
{
    document_set *set = documents_new(true);
    uint64_t replaced = 0;
    documents_job job = usual_job();
    job.valid_share = 0;
    status s = tree_read(set, sources, count, rules, passed_over, &replaced, e);
    if (s == STATUS_OK)
        s = documents_write(set, &job, report, e);
    documents_free(set);
    if (s != STATUS_OK)
        return s;
    unsigned char *bytes;
    size_t n;
    assert_int_equal(disk_read_file(out, 1 << 30, &bytes, &n, e), STATUS_OK);
    sha256_of(bytes, n, digest);
    free(bytes);
    return STATUS_OK;
}

static void test_directory_is_archive(void **state)
{
    (void)state;
    static const char *const kinds[] = {"tar", "tar.gz", "zip"};
    static const char *const prefixes[] = {"", "./", "aclImdb/", "./some/where/"};
    char want[SHA256_HEX], got[SHA256_HEX], folder[512], archive[512];
    const tree_rules rules = {.labels = NULL};
    documents_report report;
    uint64_t passed_over;
    error e = {0};
    snprintf(folder, sizeof folder, "%s", scratch_path("tree"));
    unpack(folder, members, MEMBERS);
    char *sources[] = {folder};
    if (prepare_tree(sources, 1, &rules, want, &report, &passed_over, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    assert_int_equal(report.documents[SPLIT_TRAIN], 5);
    assert_int_equal(report.documents[SPLIT_TEST], 2);
    assert_int_equal(passed_over, 5); /* urls.txt, notes, README, x.txt, notes.txt; not what is hidden */
    documents_report_free(&report);
    remove_tree(folder);

    for (int k = 0; k < 3; k++)
        for (int p = 0; p < 4; p++) {
            archive_member list[MEMBERS];
            char names[MEMBERS][128];
            for (int i = 0; i < MEMBERS; i++) { /* in another order each time */
                list[i] = members[(i * 7 + 3 * p + k) % MEMBERS];
                snprintf(names[i], sizeof names[i], "%s%s", prefixes[p], list[i].name);
                list[i].name = names[i];
            }
            snprintf(archive, sizeof archive, "%s", scratch_path("a.packed"));
            archive_make(archive, kinds[k], list, MEMBERS);
            sources[0] = archive;
            if (prepare_tree(sources, 1, &rules, got, &report, &passed_over, &e) != STATUS_OK)
                fail_msg("%s of %s: %s", kinds[k], prefixes[p], e.text);
            assert_string_equal(got, want);
            assert_int_equal(passed_over, 5);
            documents_report_free(&report);
            unlink(archive);
        }
}

/* Two archives are one tree; format imdb takes its own folders only. */
static void test_imdb_rules(void **state)
{
    (void)state;
    static const archive_member reviews[] = {{"aclImdb/train/pos/1.txt", "good", 4, NULL, NULL},
                                             {"aclImdb/train/neg/1.txt", "bad", 3, NULL, NULL},
                                             {"aclImdb/train/urls_pos.txt", "urls", 4, NULL, NULL},
                                             {"aclImdb/train/other/1.txt", "other", 5, NULL, NULL},
                                             {"aclImdb/test/pos/1.txt", "good", 4, NULL, NULL}};
    static const archive_member more[] = {{"aclImdb/train/unsup/1.txt", "what", 4, NULL, NULL}};
    char a[512], b[512], digest[SHA256_HEX];
    snprintf(a, sizeof a, "%s", scratch_path("a.tar.gz"));
    snprintf(b, sizeof b, "%s", scratch_path("b.tar.gz"));
    archive_make(a, "tar.gz", reviews, 5);
    archive_make(b, "tar.gz", more, 1);
    char *sources[] = {a, b};
    for (int with = 0; with < 2; with++) {
        const tree_rules rules = {
            .labels = tree_imdb_labels, .unlabelled = with ? TREE_IMDB_UNLABELLED : NULL, .must_split = true};
        documents_report r;
        uint64_t passed_over;
        error e = {0};
        if (prepare_tree(sources, 2, &rules, digest, &r, &passed_over, &e) != STATUS_OK)
            fail_msg("%s", e.text);
        assert_int_equal(r.documents[SPLIT_TRAIN], 2 + with);
        assert_int_equal(r.unlabelled[SPLIT_TRAIN], with);
        assert_int_equal(r.labels, 2);
        documents_report_free(&r);
    }
    unlink(a);
    unlink(b);
}

static void test_tree_mistakes(void **state)
{
    (void)state;
    static const struct {
        archive_member list[3];
        size_t n;
        const char *sentence;
    } cases[] = {
        {{{"a/x", "x", 1, NULL, NULL}}, 1, ": holds no document (LABEL/*.txt or"},
        {{{"neg/1.txt", "x", 1, NULL, NULL}, {"pos/1.txt", "", 0, NULL, NULL}},
         2,
         "pos/1.txt: an empty document"},
        {{{"neg/1.txt", "x", 1, NULL, NULL}, {"pos/1.txt", " <br />\n", 8, NULL, NULL}},
         2,
         "pos/1.txt: an empty document"},
        {{{"neg/1.txt", "x", 1, NULL, NULL}, {"pos/1.txt", "a\nb\xff", 4, NULL, NULL}},
         2,
         "pos/1.txt:2:2: byte 0xff is not valid UTF-8"},
        {{{"neg/1.txt", "x", 1, NULL, NULL}, {"pos/1.txt", "a\0b", 3, NULL, NULL}},
         2,
         "pos/1.txt:1:2: NUL byte"},
        {{{"neg/1.txt", "x", 1, NULL, NULL}}, 1, "neg/1.txt: all documents have the one label \"neg\""},
        {{{"neg/1.txt", "x", 1, NULL, NULL}, {"pos/sub/1.txt", "y", 1, NULL, NULL}},
         2,
         ": labels stand at different places: "},
        {{{"train/neg/1.txt", "x", 1, NULL, NULL},
          {"train/pos/1.txt", "x", 1, NULL, NULL},
          {"test/new/1.txt", "y", 1, NULL, NULL}},
         3,
         "test/new/1.txt: label \"new\" has no example in the training split"},
        {{{"test/neg/1.txt", "x", 1, NULL, NULL}}, 1, "there are no documents to train on"},
        {{{"neg/1.txt", "x", 1, NULL, NULL},
          {"pos/1.txt", "y", 1, NULL, NULL},
          {"none/", NULL, 0, NULL, NULL}},
         3,
         ": none holds no .txt file: a class without example"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int archive = 0; archive < 2; archive++) {
            char path[512], digest[SHA256_HEX];
            snprintf(path, sizeof path, "%s", scratch_path(archive ? "t.tar" : "tree"));
            if (archive)
                archive_make(path, "tar", cases[i].list, cases[i].n);
            else
                unpack(path, cases[i].list, cases[i].n);
            char *sources[] = {path};
            const tree_rules rules = {.labels = NULL};
            documents_report report;
            uint64_t passed_over;
            error e = {0};
            status s = prepare_tree(sources, 1, &rules, digest, &report, &passed_over, &e);
            if (s != STATUS_BAD_DATA || strstr(e.text, cases[i].sentence) == NULL)
                fail_msg("case %zu: \"%s\" instead of \"%s\"", i, e.text, cases[i].sentence);
            archive ? (void)unlink(path) : remove_tree(path);
        }
}

static void test_same_file_twice(void **state)
{
    (void)state;
    static const archive_member list[] = {{"neg/1.txt", "x", 1, NULL, NULL},
                                          {"pos/1.txt", "y", 1, NULL, NULL}};
    char path[512], digest[SHA256_HEX];
    snprintf(path, sizeof path, "%s", scratch_path("t.tar"));
    archive_make(path, "tar", list, 2);
    char *sources[] = {path, path};
    documents_report report;
    uint64_t passed_over;
    error e = {0};
    const tree_rules rules = {.labels = NULL};
    assert_int_equal(prepare_tree(sources, 2, &rules, digest, &report, &passed_over, &e), STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "neg/1.txt is there twice"));
    unlink(path);
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
         "here:7: a label has at most 255 bytes and no control characters"},
        {{.label = (const uint8_t *)long_label, .label_bytes = 256, .text = (const uint8_t *)"t", .bytes = 1},
         "here:7: a label has at most 255 bytes"},
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
        cmocka_unit_test(test_directory_is_archive),
        cmocka_unit_test(test_imdb_rules),
        cmocka_unit_test(test_tree_mistakes),
        cmocka_unit_test(test_same_file_twice),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_bad_documents),
    };
    return cmocka_run_group_tests(tests, make, scratch_teardown);
}
