/* test_explain_page.c - a page of explained documents is well-formed whatever the documents hold.
 *
 *   tags                    close in the order in which they were opened, and attributes are quoted
 *   the text of a word      ==  the word, once its escapes are read back; what may not be shown is U+FFFD
 *   a word's colour         ==  |contribution| / the largest of its document
 *   a call that fails       leaves the old page, for every call
 *
 * A small parser that knows nothing of the writer reads the page; it refuses what a browser would have to
 * guess at. */
#include "launch/explain_page.h"
#include "tests/io/faults.h"
#include "tests/io/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- documents ---- */

#define WORDS_MAX 8

typedef struct words {
    const char *word[WORDS_MAX];
    size_t bytes[WORDS_MAX];
} words;

/* A document of these words, up to NULL. */
static explain_document document(words *w, const char *const *text, const double *contribution)
{
    size_t n = 0;
    for (; text[n] != NULL; n++) {
        w->word[n] = text[n];
        w->bytes[n] = strlen(text[n]);
    }
    return (explain_document){.place = "a.tsv:1",
                              .predicted = "pos",
                              .probability = 0.75,
                              .words = n,
                              .word = w->word,
                              .bytes = w->bytes,
                              .contribution = contribution};
}

/* The page of some documents, NUL-terminated, to be freed. */
static char *page_of(const char *title, const explain_document *documents, int n)
{
    explain_page p;
    error e = {0};
    const char *path = scratch_path("page.html");
    unsigned char *text;
    size_t bytes;
    assert_int_equal(explain_page_open(&p, path, title, &e), STATUS_OK);
    for (int i = 0; i < n; i++)
        assert_int_equal(explain_page_add(&p, &documents[i], &e), STATUS_OK);
    assert_int_equal(p.documents, n);
    assert_false(disk_exists(path));
    assert_int_equal(explain_page_close(&p, &e), STATUS_OK);
    assert_int_equal(disk_read_file(path, 1 << 20, &text, &bytes, &e), STATUS_OK);
    assert_int_equal(strlen((char *)text), bytes); /* no NUL inside */
    assert_int_equal(disk_remove(path, &e), STATUS_OK);
    assert_int_equal(scratch_entries(), 0);
    return (char *)text;
}

/* ---- a strict parser ---- */

#define DEPTH_MAX 16

static bool one_of(const char *name, size_t n, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strlen(*names) == n && strncmp(*names, name, n) == 0)
            return true;
    return false;
}

/* The attributes of a tag up to its '>': name="value", and no < or > or stray quote in a value. */
static const char *skip_attributes(const char *at)
{
    while (*at == ' ') {
        at += 1 + strcspn(at + 1, "=<>\"' ");
        assert_true(at[0] == '=' && at[1] == '"');
        at += 2;
        at += strcspn(at, "\"<>");
        assert_int_equal(*at, '"');
        at++;
    }
    assert_int_equal(*at, '>');
    return at + 1;
}

/* Text up to the next tag: each & begins an entity that is known. */
static const char *skip_text(const char *at)
{
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (; *at != '<' && *at != '\0'; at++) {
        assert_true(*at != '>' && ((unsigned char)*at >= ' ' || *at == '\n'));
        bool known = *at != '&';
        for (size_t i = 0; i < 5 && !known; i++)
            known = strncmp(at, entities[i], strlen(entities[i])) == 0;
        assert_true(known);
    }
    return at;
}

/* Walks over the page; returns how many elements of the name were seen. */
static int check_balanced(const char *page, const char *counted)
{
    static const char *const known[] = {"html", "head", "title",   "style", "body", "h1",
                                        "h2",   "p",    "section", "span",  "b",    NULL};
    static const char *const empty[] = {"meta", NULL};
    const char *open[DEPTH_MAX], *at = page;
    size_t length[DEPTH_MAX], depth = 0;
    int seen = 0;
    assert_int_equal(strncmp(at, "<!DOCTYPE html>\n", 16), 0);
    for (at = skip_text(at + 16); *at != '\0'; at = skip_text(at)) {
        bool closing = at[1] == '/';
        const char *name = at + 1 + closing;
        size_t n = strcspn(name, " >");
        if (closing) {
            assert_true(depth > 0 && length[depth - 1] == n && strncmp(open[depth - 1], name, n) == 0);
            depth--;
        } else if (one_of(name, n, known)) {
            assert_true(depth < DEPTH_MAX);
            open[depth] = name;
            length[depth++] = n;
            seen += strlen(counted) == n && strncmp(name, counted, n) == 0;
        } else if (!one_of(name, n, empty)) {
            fail_msg("element %.*s", (int)n, name);
        }
        at = skip_attributes(name + n);
        if (!closing && strncmp(name, "style", n) == 0)
            at += strcspn(at, "<"); /* its content is not text */
    }
    assert_int_equal(depth, 0);
    return seen;
}

/* ---- tests ---- */

static void test_escapes(void **unused)
{
    (void)unused;
    static const char *const text[] = {
        "<script>alert(1)</script>", "a&b", "\"'", "caf\xc3\xa9", "x\x01\n\x7fy", "\xc3(\xff",
        "\xc2\x85\xe2\x80\xa8",      NULL};
    static const double values[] = {1, -2, 0, 0.5, 0, 0, 0};
    words w;
    explain_document d = document(&w, text, values);
    w.word[2] = "\"'\0<"; /* a NUL is a byte as others are */
    w.bytes[2] = 4;
    d.place = "<b>\x1b[m";
    d.predicted = "</p>";
    d.truth = "&lt;";
    d.note = "a <note>";
    char *page = page_of("</title><b>&", &d, 1);
    assert_int_equal(check_balanced(page, "span"), 2 + 7);
    static const char *const shown[] = {
        ">&lt;script&gt;alert(1)&lt;/script&gt;</span>",
        ">a&amp;b</span>",
        "<p class=\"label\">a &lt;note&gt;</p>",
        ">&quot;&#39;\xef\xbf\xbd&lt;</span>",
        ">caf\xc3\xa9</span>",
        ">x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy</span>",
        ">\xef\xbf\xbd(\xef\xbf\xbd</span>",
        ">\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd</span>",
        "<title>&lt;/title&gt;&lt;b&gt;&amp;</title>",
        "<h2>&lt;b&gt;\xef\xbf\xbd[m</h2>",
        "predicted <b>&lt;/p&gt;</b>, probability 0.7500; it is <b>&amp;lt;</b>: wrong</p>",
    };
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (strstr(page, shown[i]) == NULL)
            fail_msg("%s is missing", shown[i]);
    free(page);
}

static void test_colours(void **unused)
{
    (void)unused;
    static const char *const text[] = {"good", "bad", "so", "none", "broken", "over", NULL};
    static const double values[] = {0.5, -2, 1e-3, -0.0, NAN, -INFINITY};
    static const char *const shown[] = {
        "<span class=\"for\" style=\"--a:0.250\" title=\"+0.5\">good</span>",
        "<span class=\"against\" style=\"--a:1.000\" title=\"-2\">bad</span>",
        "<span class=\"for\" style=\"--a:0.001\" title=\"+0.001\">so</span>", /* 0.0005, rounded */
        "<span title=\"+0\">none</span>",
        "<span title=\"+nan\">broken</span>",
        "<span title=\"-inf\">over</span>",
        "probability 0.7500; it is <b>pos</b>: right",
    };
    words w;
    explain_document d = document(&w, text, values);
    d.truth = "pos";
    char *page = page_of("t", &d, 1);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (strstr(page, shown[i]) == NULL)
            fail_msg("%s is missing", shown[i]);
    free(page);
}

/* Nothing is divided by zero, nothing is fetched, each document has its section, and the same input gives the
 * same page. */
static void test_plain(void **unused)
{
    (void)unused;
    static const char *const text[] = {"no", "weight", NULL}, *const none[] = {NULL};
    static const double zeros[] = {0, 0};
    words w, v;
    const explain_document d[] = {document(&w, text, zeros), document(&v, none, NULL),
                                  document(&w, text, zeros)};
    char *page = page_of("t", d, 3), *again = page_of("t", d, 3), *empty = page_of("t", d, 0);
    assert_int_equal(check_balanced(page, "section"), 3);
    assert_int_equal(check_balanced(empty, "section"), 0);
    assert_string_equal(page, again);
    assert_non_null(strstr(page, "<span title=\"+0\">weight</span>"));
    assert_non_null(strstr(page, "no words"));
    assert_null(strstr(page, "nan"));
    assert_null(strstr(page, "it is")); /* the label is unknown */
    static const char *const fetched[] = {"http:", "https:", "src=", "href=", "url(", "@import", "<script"};
    for (size_t i = 0; i < sizeof fetched / sizeof *fetched; i++)
        assert_null(strstr(page, fetched[i]));
    free(page);
    free(again);
    free(empty);
}

static status write_page(const char *path, error *e)
{
    static const char *const text[] = {"word", NULL};
    static const double values[] = {1};
    words w;
    explain_document d = document(&w, text, values);
    explain_page p;
    status s = explain_page_open(&p, path, "t", e);
    if (s != STATUS_OK)
        return s;
    s = explain_page_add(&p, &d, e);
    if (s == STATUS_OK)
        return explain_page_close(&p, e);
    explain_page_discard(&p);
    explain_page_discard(&p);
    return s;
}

static void test_faults(void **unused)
{
    (void)unused;
    const char *path = scratch_path("page.html");
    error e = {0};
    int n = 1;
    scratch_write(path, "old", 3);
    for (bool struck = true; struck; n++) {
        faults_arm(FAULT_ERROR, n, ENOSPC);
        status s = write_page(path, &e);
        char call = faults_struck();
        struck = faults_disarm();
        assert_int_equal(scratch_entries(), 1);
        if (struck && s != STATUS_OK) {
            assert_int_equal(s, STATUS_IO_FAILED);
            assert_true(scratch_holds(path, "old", 3) || call == 's'); /* the directory's sync: it is there */
        }
        if (!scratch_holds(path, "old", 3))
            scratch_write(path, "old", 3);
    }
    assert_true(n > 8);
    assert_int_equal(disk_remove(path, &e), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
