/* test_prepare.c - a corpus says what its texts say, whoever counted, and a text that is none leaves nothing
 * behind.
 *
 * Content: the words that a corpus's ids stand for, joined by blanks, are the text with its white space
 * made plain, which is worked out here by another route (a loop over characters).  Threads: the files are
 * equal byte by byte, for a text of several blocks. Faults: each system call of the writing fails once; a
 * text that changes between the passes is noticed. */
#include "io/disk.h"
#include "io/prepare.h"
#include "tests/io/faults.h"
#include "tests/io/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BIG 3500000

static char *big; /* words with Zipf's frequencies and lines of uneven length */

static int make(void **state)
{
    (void)state;
    scratch_make();
    big = malloc(BIG + 64);
    uint64_t x = 88172645463325252u;
    size_t n = 0;
    while (n < BIG - 64) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        unsigned word = (unsigned)(20000 / (1 + x % 9999)) + (unsigned)(x >> 40) % 3;
        n += (size_t)sprintf(big + n, "%s%x%s", x >> 60 == 0 ? "\n" : "", word,
                             x >> 59 == 1 ? " \xe2\x80\x94\r\n" : " ");
    }
    memset(big + n, 'x', BIG - n);
    big[BIG - 1] = '\n';
    big[BIG] = 0;
    return 0;
}

static int clean(void **state)
{
    (void)state;
    free(big);
    scratch_remove();
    return 0;
}

/* A job for one text cut into three, or for the files that the caller adds. */
static prepare_job job_for(text_level level, const char *text_path)
{
    prepare_job job = {.texts = {.level = level, .share = {0.9, 0.05, 0.05}},
                       .format = "text",
                       .level_name = text_level_names[level],
                       .rules = {.min_count = 1, .has_lines = level != LEVEL_BYTE},
                       .threads = 2,
                       .out = "unset"};
    if (text_path != NULL) {
        job.texts.cut = true;
        text_list_add(&job.texts, (source_place){.path = strdup(text_path)}, 0);
    }
    return job;
}

static void add_file(prepare_job *job, int split, const char *name, const char *text, size_t n)
{
    const char *path = scratch_path(name);
    scratch_write(path, text, n);
    text_list_add(&job->texts, (source_place){.path = strdup(path)}, split);
}

static void test_threads(void **state)
{
    (void)state;
    char text[256];
    snprintf(text, sizeof text, "%s", scratch_path("big.txt"));
    scratch_write(text, big, BIG);
    for (int level = 0; level < 3; level++) {
        static const int threads[] = {1, 2, 3, 7};
        char digest[4][SHA256_HEX];
        for (int i = 0; i < 4; i++) {
            char out[256];
            snprintf(out, sizeof out, "%s", scratch_path("c.h5"));
            prepare_job job = job_for((text_level)level, text);
            prepare_report report;
            error e = {0};
            job.threads = threads[i];
            job.out = out;
            job.rules.max_size = 1000; /* some words are unknown */
            assert_int_equal(prepare_run(&job, &report, &e), STATUS_OK);
            unsigned char *bytes;
            size_t n;
            assert_int_equal(disk_read_file(out, (uint64_t)1 << 30, &bytes, &n, &e), STATUS_OK);
            sha256_of(bytes, n, digest[i]);
            free(bytes);
            assert_string_equal(digest[i], digest[0]);
            text_list_free(&job.texts);
            unlink(out);
        }
    }
    unlink(text);
}

/* The text with one blank behind each word and "<eos> " for each line end, the long way round. */
static char *plain_words(const char *text)
{
    char *out = malloc(8 * strlen(text) + 16), *to = out;
    bool in_word = false;
    for (const char *at = text; *at != 0; at++) {
        bool space = *at == ' ' || *at == '\n' || *at == '\r' || *at == '\t';
        if (space && in_word)
            *to++ = ' ';
        if (!space)
            *to++ = *at;
        if (*at == '\n')
            to += sprintf(to, "<eos> ");
        in_word = !space;
    }
    *to = 0;
    return out;
}

static char *corpus_words(const corpus *c, int split)
{
    size_t capacity = 16, n = 0, bytes;
    for (uint64_t i = 0; i < c->tokens[split]; i++)
        capacity += (vocabulary_word(&c->vocab, c->ids[split][i], &bytes), bytes + 1);
    char *out = malloc(capacity);
    for (uint64_t i = 0; i < c->tokens[split]; i++) {
        const char *word = vocabulary_word(&c->vocab, c->ids[split][i], &bytes);
        memcpy(out + n, word, bytes);
        n += bytes;
        out[n++] = ' ';
    }
    out[n] = 0;
    return out;
}

static void test_content(void **state)
{
    (void)state;
    static const char *const texts[3] = {NULL, "two words\n\n \nand a last line",
                                         "\xef\xbb\xbfwords two\r\n"};
    prepare_job job = job_for(LEVEL_WORD, NULL);
    prepare_report report;
    corpus c;
    error e = {0};
    char out[256];
    snprintf(out, sizeof out, "%s", scratch_path("c.h5"));
    job.out = out;
    job.rules.from_all = true;
    add_file(&job, SPLIT_TRAIN, "a", big, BIG);
    add_file(&job, SPLIT_TRAIN, "b", "more\n", 5); /* a split of two files */
    add_file(&job, SPLIT_VALID, "v", texts[1], strlen(texts[1]));
    add_file(&job, SPLIT_TEST, "t", texts[2], strlen(texts[2]));
    assert_int_equal(prepare_run(&job, &report, &e), STATUS_OK);
    assert_int_equal(corpus_open(&c, out, CONTAINER_CHECK, &e), STATUS_OK);
    assert_int_equal(c.vocab.size, report.vocab_size);
    for (int s = 0; s < SPLIT_COUNT; s++) {
        char *want = plain_words(s == SPLIT_TRAIN   ? strcat(big, "more\n")
                                 : s == SPLIT_VALID ? "two words\n\n \nand a last line\n"
                                                    : texts[2] + 3);
        char *got = corpus_words(&c, s);
        assert_string_equal(got, want);
        assert_int_equal(c.tokens[s], report.tokens[s]);
        free(got);
        free(want);
    }
    big[BIG] = 0;
    corpus_close(&c);
    text_list_free(&job.texts);
    for (const char *name = "abvt"; *name != 0; name++)
        unlink(scratch_path((char[]){*name, 0}));
    unlink(out);
}

/* The ids of <unk> in a split are the unknown words and the text's own <unk>. */
static void test_unknown_words(void **state)
{
    (void)state;
    char out[256];
    snprintf(out, sizeof out, "%s", scratch_path("c.h5"));
    for (int own = 0; own < 2; own++) {
        prepare_job job = job_for(LEVEL_WORD, NULL);
        prepare_report report;
        corpus c;
        error e = {0};
        job.out = out;
        job.rules.max_size = 50;
        add_file(&job, SPLIT_TRAIN, "a", big, BIG);
        add_file(&job, SPLIT_VALID, "v", "never seen 1 2 3\n", 17);
        add_file(&job, SPLIT_TEST, "t", own ? "<unk> zz\n" : "zz\n", own ? 9 : 3);
        assert_int_equal(prepare_run(&job, &report, &e), STATUS_OK);
        assert_int_equal(corpus_open(&c, out, CONTAINER_CHECK, &e), STATUS_OK);
        assert_int_equal(c.vocab.size, 50);
        assert_true(c.vocab.unk >= 0 && c.vocab.eos >= 0);
        for (int s = 0; s < SPLIT_COUNT; s++) {
            uint64_t unknown = 0;
            int64_t stated = -1;
            for (uint64_t i = 0; i < c.tokens[s]; i++)
                unknown += c.ids[s][i] == c.vocab.unk;
            assert_int_equal(unknown, report.oov[s] + (own && s == SPLIT_TEST));
            record_get_int(c.file.meta, (const char *const[]){"oov_train", "oov_valid", "oov_test"}[s],
                           &stated);
            assert_int_equal(stated, report.oov[s]);
        }
        uint64_t count[50] = {0}; /* ids go by falling count in what was written, ties by bytes */
        for (uint64_t i = 0; i < c.tokens[SPLIT_TRAIN]; i++)
            count[c.ids[SPLIT_TRAIN][i]]++;
        for (int i = 1; i < 50; i++)
            assert_true(count[i] <= count[i - 1]);
        corpus_close(&c);
        text_list_free(&job.texts);
        unlink(out);
    }
    for (const char *name = "avt"; *name != 0; name++)
        unlink(scratch_path((char[]){*name, 0}));
}

/* What is no text: where the message points, and that the folder is left as it was. */
static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        text_level level;
        bool replace;
        status s;
        const char *message;
    } rows[] = {
        {"", 0, LEVEL_WORD, false, STATUS_BAD_DATA, "is empty"},
        {"", 0, LEVEL_BYTE, false, STATUS_BAD_DATA, "is empty"},
        {"  ", 2, LEVEL_WORD, false, STATUS_BAD_DATA, "is empty"},
        {"\xef\xbb\xbf", 3, LEVEL_CHAR, false, STATUS_BAD_DATA, "is empty"},
        {"a\nb\0c\n", 6, LEVEL_WORD, true, STATUS_BAD_DATA, "x:2:2: NUL byte"},
        {"\xff\xfe"
         "a\0\n\0",
         6, LEVEL_CHAR, true, STATUS_BAD_DATA, "x:1:4: NUL byte"},
        {"a\nb \xc3(\n", 7, LEVEL_WORD, false, STATUS_BAD_DATA, "x:2:3: byte 0xc3 is not valid UTF-8"},
        {"a\nb \xc3(\n", 7, LEVEL_WORD, true, STATUS_OK, NULL},
        {"a\nb \xc3(\n\0", 8, LEVEL_BYTE, false, STATUS_OK, NULL},
        {"\n", 1, LEVEL_WORD, false, STATUS_OK, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        prepare_job job = job_for(rows[i].level, NULL);
        prepare_report report;
        error e = {0};
        char out[256];
        snprintf(out, sizeof out, "%s", scratch_path("c.h5"));
        job.out = out;
        job.replace_invalid = rows[i].replace;
        add_file(&job, SPLIT_TRAIN, "x", rows[i].text, rows[i].n);
        status s = prepare_run(&job, &report, &e);
        if (s != rows[i].s || (s != STATUS_OK && strstr(e.text, rows[i].message) == NULL))
            fail_msg("row %zu: %d, %s", i, (int)s, e.text);
        assert_int_equal(scratch_entries(), s == STATUS_OK ? 2 : 1);
        if (s == STATUS_OK)
            assert_int_equal(report.replaced, rows[i].replace);
        text_list_free(&job.texts);
        unlink(out);
    }
    unlink(scratch_path("x"));
}

/* Of several mistakes the first one in the text speaks, whichever thread was faster. */
static void test_first_mistake(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        prepare_job job = job_for(LEVEL_WORD, NULL);
        prepare_report report;
        error e = {0};
        job.threads = 4;
        job.out = scratch_path("c.h5");
        char was[2] = {big[BLOCK_BYTES + 7], big[2 * BLOCK_BYTES + 7]};
        big[BLOCK_BYTES + 7] = '\xfe';
        big[2 * BLOCK_BYTES + 7] = '\xff';
        add_file(&job, SPLIT_TRAIN, "x", big, BIG);
        big[BLOCK_BYTES + 7] = was[0];
        big[2 * BLOCK_BYTES + 7] = was[1];
        assert_int_equal(prepare_run(&job, &report, &e), STATUS_BAD_DATA);
        assert_non_null(strstr(e.text, "byte 0xfe"));
        text_list_free(&job.texts);
    }
    unlink(scratch_path("x"));
}

static void test_too_short_to_cut(void **state)
{
    (void)state;
    const char *text = scratch_path("x");
    prepare_report report;
    error e = {0};
    scratch_write(text, "one\ntwo\n", 8);
    prepare_job job = job_for(LEVEL_WORD, text);
    job.out = scratch_path("c.h5");
    assert_int_equal(prepare_run(&job, &report, &e), STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "to be cut into three: nothing is left for valid"));
    text_list_free(&job.texts);
    unlink(text);
}

/* The vocabulary of one corpus given to another makes their ids agree. */
static void test_vocabulary_of_another(void **state)
{
    (void)state;
    char first[256], second[256];
    snprintf(first, sizeof first, "%s", scratch_path("first.h5"));
    snprintf(second, sizeof second, "%s", scratch_path("second.h5"));
    prepare_report report;
    corpus a, b;
    error e = {0};
    prepare_job job = job_for(LEVEL_CHAR, NULL);
    job.out = first;
    add_file(&job, SPLIT_TRAIN, "x", "a bb ccc\r \xc3\xa9\n",
             13); /* a lone CR is a word of its own, which no list of lines could hold */
    assert_int_equal(prepare_run(&job, &report, &e), STATUS_OK);
    text_list_free(&job.texts);
    job = job_for(LEVEL_CHAR, NULL);
    job.out = second;
    job.vocab_path = first;
    add_file(&job, SPLIT_TRAIN, "x", "cab\n", 4);
    assert_int_equal(prepare_run(&job, &report, &e), STATUS_OK);
    text_list_free(&job.texts);
    assert_int_equal(corpus_open(&a, first, CONTAINER_CHECK, &e), STATUS_OK);
    assert_int_equal(corpus_open(&b, second, CONTAINER_CHECK, &e), STATUS_OK);
    assert_int_equal(a.vocab.size, b.vocab.size);
    assert_memory_equal(a.vocab.start, b.vocab.start, (a.vocab.size + 1) * sizeof(uint64_t));
    assert_memory_equal(a.vocab.blob, b.vocab.blob, a.vocab.start[a.vocab.size]);
    corpus_close(&a);
    corpus_close(&b);
    unlink(first);
    unlink(second);
    unlink(scratch_path("x"));
}

/* A vocabulary is taken from a corpus only if its digests hold. */
static void test_damaged_vocabulary(void **state)
{
    (void)state;
    char out[256], text[256];
    snprintf(out, sizeof out, "%s", scratch_path("c.h5"));
    prepare_job job = job_for(LEVEL_WORD, NULL);
    prepare_report report;
    error e = {0};
    vocab v;
    job.out = out;
    add_file(&job, SPLIT_TRAIN, "x", "here is aardvark\n", 17);
    assert_int_equal(prepare_run(&job, &report, &e), STATUS_OK);
    text_list_free(&job.texts);
    unsigned char *bytes;
    size_t n;
    assert_int_equal(vocab_read(&v, out, &e), STATUS_OK);
    vocab_free(&v);
    assert_int_equal(disk_read_file(out, (uint64_t)1 << 30, &bytes, &n, &e), STATUS_OK);
    unsigned char *word = memmem(bytes, n, "aardvark", 8);
    assert_non_null(word);
    word[3] ^= 1;
    snprintf(text, sizeof text, "%s", scratch_path("damaged.h5"));
    scratch_write(text, (const char *)bytes, n);
    free(bytes);
    assert_int_equal(vocab_read(&v, text, &e), STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "damaged.h5: is damaged"));
    unlink(text);
    unlink(out);
    unlink(scratch_path("x"));
}

static void test_every_write_fails_once(void **state)
{
    (void)state;
    char out[256];
    snprintf(out, sizeof out, "%s", scratch_path("c.h5"));
    bool reached = true;
    int n = 0, failures = 0;
    while (reached) {
        prepare_job job = job_for(LEVEL_WORD, NULL);
        prepare_report report;
        error e = {0};
        job.out = out;
        add_file(&job, SPLIT_TRAIN, "x", "a b c\n", 6);
        faults_arm(FAULT_ERROR, ++n, ENOSPC);
        status s = prepare_run(&job, &report, &e);
        reached = faults_disarm();
        failures += s == STATUS_BAD_DATA;
        if (s == STATUS_OK ||
            access(out, F_OK) == 0) { /* what fails after the commit leaves a whole corpus */
            corpus c;
            assert_int_equal(corpus_open(&c, out, CONTAINER_CHECK, &e), STATUS_OK);
            corpus_close(&c);
            unlink(out);
        } else {
            assert_int_equal(s, STATUS_BAD_DATA);
        }
        assert_int_equal(scratch_entries(), 1);
        text_list_free(&job.texts);
    }
    assert_true(failures >= 12); /* open, reserve, writes, reads, sync, close, open, rename, sync */
    unlink(scratch_path("x"));
}

static const char *changing, *changed_to;

static int open_and_change(const char *path, int flags, mode_t mode)
{
    if (strstr(path, ".tmp.") != NULL) /* the corpus is being created: the first pass is over */
        scratch_write(changing, changed_to, strlen(changed_to));
    return disk_system.open(path, flags, mode);
}

static void test_text_changes_between_the_passes(void **state)
{
    (void)state;
    static const char *const rows[] = {"a b\n", "a b c\nd\n", "a b z\n"}; /* shorter, longer, another word */
    char text[256], out[256];
    snprintf(text, sizeof text, "%s", scratch_path("x"));
    snprintf(out, sizeof out, "%s", scratch_path("c.h5"));
    for (size_t i = 0; i < 3; i++) {
        prepare_job job = job_for(LEVEL_WORD, NULL);
        prepare_report report;
        error e = {0};
        disk_table table = disk_system;
        job.out = out;
        add_file(&job, SPLIT_TRAIN, "x", "a b c\n", 6);
        changing = text;
        changed_to = rows[i];
        table.open = open_and_change;
        disk_calls = &table;
        assert_int_equal(prepare_run(&job, &report, &e), STATUS_BAD_DATA);
        disk_calls = &disk_system;
        assert_int_equal(scratch_entries(), 1);
        text_list_free(&job.texts);
    }
    unlink(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_unknown_words),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_first_mistake),
        cmocka_unit_test(test_too_short_to_cut),
        cmocka_unit_test(test_vocabulary_of_another),
        cmocka_unit_test(test_damaged_vocabulary),
        cmocka_unit_test(test_every_write_fails_once),
        cmocka_unit_test(test_text_changes_between_the_passes),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
