/* test_document_tree.c - documents that are files, SPLIT/LABEL/NAME.txt, in directories and archives.
 *
 *   a directory                        ==  an archive of it, in any order, below any folder      byte for byte
 *   what is hidden, or no document     ==  not there                                             and counted, where it is seen
 * Then every mistake with its sentence, the same of both. */
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
                           documents_report *report, tree_report *read, error *e)
{
    document_set *set = documents_new(true);
    char out[512];
    snprintf(out, sizeof out, "%s", scratch_path("c.h5"));
    documents_job job = {
        .format = "labelled", .rules = {.min_count = 1, .from_all = true}, .seed = 1, .out = out};
    status s = tree_read(set, sources, count, rules, read, e);
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
    tree_report read;
    error e = {0};
    snprintf(folder, sizeof folder, "%s", scratch_path("tree"));
    unpack(folder, members, MEMBERS);
    char *sources[] = {folder};
    if (prepare_tree(sources, 1, &rules, want, &report, &read, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    assert_int_equal(report.documents[SPLIT_TRAIN], 5);
    assert_int_equal(report.documents[SPLIT_TEST], 2);
    assert_int_equal(read.passed_over, 5); /* urls.txt, notes, README, x.txt, notes.txt; not what is hidden */
    assert_int_equal(read.outside, 2);     /* x.txt and notes.txt */
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
            if (prepare_tree(sources, 1, &rules, got, &report, &read, &e) != STATUS_OK)
                fail_msg("%s of %s: %s", kinds[k], prefixes[p], e.text);
            assert_string_equal(got, want);
            assert_int_equal(read.passed_over, 5);
            assert_int_equal(read.outside, 2);
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
        tree_report read;
        error e = {0};
        if (prepare_tree(sources, 2, &rules, digest, &r, &read, &e) != STATUS_OK)
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
            tree_report read;
            error e = {0};
            status s = prepare_tree(sources, 1, &rules, digest, &report, &read, &e);
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
    tree_report read;
    error e = {0};
    const tree_rules rules = {.labels = NULL};
    assert_int_equal(prepare_tree(sources, 2, &rules, digest, &report, &read, &e), STATUS_BAD_DATA);
    assert_non_null(strstr(e.text, "neg/1.txt is there twice"));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directory_is_archive),
        cmocka_unit_test(test_imdb_rules),
        cmocka_unit_test(test_tree_mistakes),
        cmocka_unit_test(test_same_file_twice),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
