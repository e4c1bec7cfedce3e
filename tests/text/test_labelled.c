/* test_labelled.c - documents come out of tables as they were put in, and what is no table is refused in place.
 *
 * Round trip: random texts (with the separators, quotes and line ends of each format) and labels, written by an
 * escaper of this file, are read back exactly, whether the file is plain or compressed, ends with a line end or
 * not.  Places are counted here, line by line.  Then every mistake, with the sentence and the line it must name. */
#include "io/labelled.h"
#include "io/text.h"
#include "tests/io/scratch.h"
#include "tests/text/archives.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

enum { DOCUMENTS = 500, TEXT = 64 };

typedef struct document {
    char text[TEXT], label[16];
    unsigned line;
} document;

static void random_document(document *d, labelled_format format)
{
    static const char *const pieces[] = {"word", " ",  "\"",   ",",    "\xc3\xa9", "'",
                                         "\\",   "\n", "\r\n", "\"\"", "\t"};
    size_t usable = format == LABELLED_CSV || format == LABELLED_JSONL ? 11 : 7;
    d->text[0] = 0;
    for (uint64_t k = next_random() % 8; k > 0; k--)
        strcat(d->text, pieces[next_random() % usable]);
    snprintf(d->label, sizeof d->label, "%s",
             next_random() % 5 == 0 ? ""
             : next_random() % 2    ? "good, or so"
                                    : "bad");
}

static char *put_json(char *to, const char *text)
{
    *to++ = '"';
    for (; *text != 0; text++)
        to += *text == '"' || *text == '\\' ? sprintf(to, "\\%c", *text)
              : (unsigned char)*text < ' '  ? sprintf(to, "\\u%04x", (unsigned)*text)
                                            : sprintf(to, "%c", *text);
    *to++ = '"';
    return to;
}

static char *put_csv(char *to, const char *text)
{
    bool quotes = strpbrk(text, ",\"\r\n") != NULL || next_random() % 3 == 0;
    if (!quotes)
        return to + sprintf(to, "%s", text);
    *to++ = '"';
    for (; *text != 0; text++)
        to += sprintf(to, *text == '"' ? "\"\"" : "%c", *text);
    *to++ = '"';
    return to;
}

/* A file with columns id, label, text. */
static size_t write_documents(char *out, document *list, labelled_format format, bool crlf, bool last_end)
{
    char *to = out;
    unsigned line = 1;
    const char *end = crlf ? "\r\n" : "\n";
    if (format == LABELLED_CSV)
        to += sprintf(to, "\xef\xbb\xbfid,\"label\",text%s", end);
    if (format == LABELLED_TSV)
        to += sprintf(to, "id\tlabel\ttext%s", end);
    line += format == LABELLED_CSV || format == LABELLED_TSV;
    for (int i = 0; i < DOCUMENTS; i++) {
        document *d = &list[i];
        random_document(d, format);
        d->line = line;
        const char *start = to;
        if (format == LABELLED_LINES)
            to += sprintf(to, "%s", d->text);
        if (format == LABELLED_TSV)
            to += sprintf(to, "%d\t %s \t%s", i, d->label, d->text);
        if (format == LABELLED_CSV) {
            to = put_csv(to + sprintf(to, "%d,", i), d->label);
            *to++ = ',';
            to = put_csv(to, d->text);
        }
        if (format == LABELLED_JSONL) {
            to = put_json(to + sprintf(to, "{\"id\": [%d], \"text\": ", i), d->text);
            to += sprintf(to, ", \"label\": ");
            to = d->label[0] == 0 && i % 2 ? to + sprintf(to, "null") : put_json(to, d->label);
            *to++ = '}';
        }
        for (; start < to; start++)
            line += *start == '\n';
        if (i < DOCUMENTS - 1 || last_end || d->text[0] == 0)
            to += sprintf(to, "%s", end);
        line++;
    }
    return (size_t)(to - out);
}

static void read_back(const char *path, const document *list, labelled_format format)
{
    source_place place = {.path = (char *)path};
    labelled_settings settings = {.label_optional = format == LABELLED_LINES};
    labelled *r = NULL;
    labelled_document d;
    error e = {0};
    bool more;
    assert_int_equal(labelled_format_of(&place), format);
    if (labelled_open(&r, &place, format, &settings, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    for (int i = 0; i < DOCUMENTS; i++) {
        char want[512];
        if (labelled_next(r, &d, &more, &e) != STATUS_OK)
            fail_msg("%s", e.text);
        assert_true(more);
        assert_int_equal(d.text_bytes, strlen(list[i].text));
        assert_memory_equal(d.text, list[i].text, d.text_bytes);
        bool labelled_one = format != LABELLED_LINES && list[i].label[0] != 0;
        assert_int_equal(d.label != NULL, labelled_one);
        if (labelled_one) {
            assert_int_equal(d.label_bytes, strlen(list[i].label));
            assert_memory_equal(d.label, list[i].label, d.label_bytes);
        }
        snprintf(want, sizeof want, "%s:%u", path, list[i].line);
        assert_string_equal(d.place, want);
    }
    assert_int_equal(labelled_next(r, &d, &more, &e), STATUS_OK);
    assert_false(more);
    labelled_close(r);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const names[] = {"d.txt", "d.tsv", "d.csv", "d.jsonl"};
    static const char *const packed[] = {"d.txt.gz", "d.tsv.xz", "d.csv.zst", "d.ndjson.bz2"};
    static const char *const kinds[] = {"raw.gz", "raw.xz", "raw.zst", "raw.bz2"};
    document *list = calloc(DOCUMENTS, sizeof *list);
    char *file = malloc(DOCUMENTS * 8 * TEXT);
    for (int format = LABELLED_LINES; format <= LABELLED_JSONL; format++)
        for (int form = 0; form < 4; form++) {
            size_t n = write_documents(file, list, (labelled_format)format, form % 2 != 0, form / 2 != 0);
            const char *path = scratch_path(names[format]);
            scratch_write(path, file, n);
            read_back(path, list, (labelled_format)format);
            path = scratch_path(packed[format]);
            archive_make(path, kinds[format], &(archive_member){"d", file, n, NULL, NULL}, 1);
            read_back(path, list, (labelled_format)format);
        }
    free(list);
    free(file);
}

/* Records larger than any buffer. */
static void test_long(void **state)
{
    (void)state;
    enum { N = 3 << 20 };
    char *file = malloc(N + 64);
    size_t n = (size_t)sprintf(file, "text,label\n\"");
    memset(file + n, '\n', N);
    n += N;
    n += (size_t)sprintf(file + n, "\",x\nb,y\n");
    scratch_write(scratch_path("l.csv"), file, n);
    source_place place = {.path = (char *)scratch_path("l.csv")};
    labelled *r = NULL;
    labelled_document d;
    error e = {0};
    bool more;
    assert_int_equal(labelled_open(&r, &place, LABELLED_CSV, &(labelled_settings){0}, &e), STATUS_OK);
    assert_int_equal(labelled_next(r, &d, &more, &e), STATUS_OK);
    assert_int_equal(d.text_bytes, N);
    assert_non_null(strstr(d.place, "l.csv:2"));
    assert_int_equal(labelled_next(r, &d, &more, &e), STATUS_OK);
    char want[64];
    snprintf(want, sizeof want, "l.csv:%d", 3 + N);
    assert_non_null(strstr(d.place, want));
    labelled_close(r);
    free(file);
}

/* Which columns; and what may lack. */
static void test_columns(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *label;
        bool no_header, label_optional;
        const char *first_text, *first_label; /* NULL: none */
    } list[] = {
        {"label,text\nx,one\n", NULL, NULL, false, false, "one", "x"},
        {"a,b,c\nx,one,y\n", "b", "c", false, false, "one", "y"},
        {"a,b,c\nx,one,y\n", "2", "3", false, false, "one", "y"},
        {"2,1\nx,one\n", "1", "2", false, false, "one", "x"}, /* a name before a number */
        {"one,x\ntwo,y\n", "1", "2", true, false, "one", "x"},
        {"one,x\ntwo,y\n", NULL, NULL, true, false, "one", "x"},
        {"one,x\ntwo,y\n", NULL, NULL, true, true, "one", NULL}, /* what column 2 is, nobody said */
        {"text\none\n", NULL, NULL, false, true, "one", NULL},
        {"text,other\none,x\n", NULL, NULL, false, true, "one", NULL},
        {"\"one, or two\"\n", "1", NULL, true, true, "one, or two", NULL},
        {"text,label\n\n\none,x\n\n", NULL, NULL, false, false, "one", "x"},
        {"\n\r\n\ntext,label\none,x\n", NULL, NULL, false, false, "one", "x"},
        {"\none\n", "1", NULL, true, true, "", NULL}, /* without a header it is a document */
        {"text\n\none\n", NULL, NULL, false, true, "", NULL},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        scratch_write(scratch_path("c.csv"), list[i].file, strlen(list[i].file));
        source_place place = {.path = (char *)scratch_path("c.csv")};
        labelled_settings settings = {.text = list[i].text,
                                      .label = list[i].label,
                                      .no_header = list[i].no_header,
                                      .label_optional = list[i].label_optional};
        labelled *r = NULL;
        labelled_document d;
        error e = {0};
        bool more;
        if (labelled_open(&r, &place, LABELLED_CSV, &settings, &e) != STATUS_OK ||
            labelled_next(r, &d, &more, &e) != STATUS_OK || !more)
            fail_msg("case %zu: %s", i, e.text);
        assert_int_equal(d.text_bytes, strlen(list[i].first_text));
        assert_memory_equal(d.text, list[i].first_text, d.text_bytes);
        assert_int_equal(d.label != NULL, list[i].first_label != NULL);
        if (d.label != NULL)
            assert_memory_equal(d.label, list[i].first_label, d.label_bytes);
        labelled_close(r);
    }
}

static void test_json_labels(void **state)
{
    (void)state;
    static const char file[] = "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"a\", \"label\": -20}\n   \n"
                               "{\"text\": \"a\", \"label\": true}\n{\"label\": \" x \", \"text\": \"a\"}\n";
    static const char *const want[] = {"1", "-20", "true", "x"};
    scratch_write(scratch_path("j.jsonl"), file, sizeof file - 1);
    source_place place = {.path = (char *)scratch_path("j.jsonl")};
    labelled *r = NULL;
    labelled_document d;
    error e = {0};
    bool more;
    assert_int_equal(labelled_open(&r, &place, LABELLED_JSONL, &(labelled_settings){0}, &e), STATUS_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(labelled_next(r, &d, &more, &e), STATUS_OK);
        assert_int_equal(d.label_bytes, strlen(want[i]));
        assert_memory_equal(d.label, want[i], d.label_bytes);
    }
    labelled_close(r);
}

typedef struct mistake {
    const char *name, *file;
    size_t n; /* 0: a text */
    const char *sentence;
} mistake;

static void test_mistakes(void **state)
{
    (void)state;
    static const mistake list[] = {
        {"m.csv", "text,label\na,x\nb\n", 0, "m.csv:3: has 1 column; the first line has 2"},
        {"m.csv", "text,label\na,x\nb,y,z\n", 0, "m.csv:3: has 3 columns"},
        {"m.tsv", "text\tlabel\na x\n", 0, "m.tsv:2: has 1 column;"},
        {"m.csv", "words,label\na,x\n", 0,
         "m.csv:1: there is no column \"text\" (--text-column) among: words, label"},
        {"m.csv", "text,class\na,x\n", 0, "no column \"label\" (--label-column) among: text, class"},
        {"m.csv", "text,label,text\na,x,b\n", 0, "m.csv:1: columns 1 and 3 are both called \"text\""},
        {"m.csv", "", 0, "m.csv: is empty"},
        {"m.csv", "\n\n", 0, "m.csv: is empty"},
        {"m.csv", "\n\ntext,label\na,x\nb\n", 0, "m.csv:5: has 1 column; the first line has 2"},
        {"m.csv", "text,label\na,x\nb,\"y\n\nc,z\n", 0, "m.csv:3: the quote that opens here is never closed"},
        {"m.csv", "text,label\n\"a\nb\",\"y\n", 0, "m.csv:3: the quote that opens here is never closed"},
        {"m.csv", "text,label\n\"a\"b,x\n", 0, "m.csv:2: a field goes on behind its closing quote"},
        {"m.csv", "text,label\na \"b\",x\n", 0, "m.csv:2: a quote in a field that is not in quotes"},
        {"m.csv", "text,label\na,x\n\"b\nb \xff\",x\n", 0, "m.csv:4:3: byte 0xff is not valid UTF-8"},
        {"m.tsv", "text\tlabel\na\0b\tx\n", 17, "m.tsv:2:2: NUL byte"},
        {"m.jsonl", "{\"text\": \"a\", \"label\": 1}\n[1, 2]\n", 0, "m.jsonl:2: is JSON, but no object"},
        {"m.jsonl", "{\"text\": \"a\"\n", 0, "m.jsonl:1: is no JSON: "},
        {"m.jsonl", "{\"text\": \"a\"}\n", 0, "m.jsonl:1: the object has no \"label\""},
        {"m.jsonl", "{\"label\": \"a\"}\n", 0, "m.jsonl:1: the object has no \"text\""},
        {"m.jsonl", "{\"label\": 1, \"text\": 2}\n", 0, "m.jsonl:1: the object has no text under \"text\""},
        {"m.jsonl", "{\"label\": 1.5, \"text\": \"a\"}\n", 0, "m.jsonl:1: \"label\" is neither a text nor"},
        {"m.jsonl", "{\"label\": 1, \"label\": 2, \"text\": \"a\"}\n", 0, "m.jsonl:1: is no JSON: duplicate"},
        {"m.jsonl", "{\"label\": 1, \"text\": \"a\\u0000b\"}\n", 0,
         "m.jsonl:1: holds \\u0000, the character NUL"},
        {"m.jsonl", "{\"label\": 1, \"text\": \"a\"}\n{\"\\u0000\": 1}\n", 0, "m.jsonl:2: holds \\u0000"},
        {"m.tsv", "text\tlabel\ra\tx\r", 0, "m.tsv:1: has no line end but CR"},
        {"m.csv", "text,label\r\"a\",x\r", 0, "m.csv:1: has no line end but CR"},
        {"m.csv", "text,label\r\"a\rb\",x\r", 0, "m.csv:1: has no line end but CR"},
        {"m.tsv", "text\tlabel\ra \"\tx\r", 0, "m.tsv:1: has no line end but CR"},
        {"m.txt", "a\rb\r", 0, "m.txt:1: has no line end but CR"},
        {"m.txt", "a\rb\rc", 0, "m.txt:1: has no line end but CR"},
        {"m.txt", "a\nb\xc3\n", 0, "m.txt:2:2: byte 0xc3 is not valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        scratch_write(scratch_path(list[i].name), list[i].file,
                      list[i].n > 0 ? list[i].n : strlen(list[i].file));
        source_place place = {.path = (char *)scratch_path(list[i].name)};
        labelled *r = NULL;
        labelled_document d;
        error e = {0};
        bool more = true;
        status s = labelled_open(&r, &place, labelled_format_of(&place), &(labelled_settings){0}, &e);
        while (s == STATUS_OK && more)
            s = labelled_next(r, &d, &more, &e);
        if (s != STATUS_BAD_DATA || strstr(e.text, list[i].sentence) == NULL)
            fail_msg("case %zu: \"%s\" instead of \"%s\"", i, e.text, list[i].sentence);
        labelled_close(r);
        unlink(scratch_path(list[i].name));
    }
}

/* A CR within a text ends no line; one record without a line end behind it is a record. */
static void test_carriage_returns(void **state)
{
    (void)state;
    static const struct {
        const char *name, *file, *text;
    } list[] = {
        {"c.txt", "a\rb", "a\rb"},
        {"c.txt", "a\rb\n", "a\rb"},
        {"c.txt", "a\r", "a"},
        {"c.tsv", "a\rb\tx", "a\rb"},
        {"c.csv", "\"a\rb\rc\",x\r", "a\rb\rc"},
        {"c.csv", "\"a \"\"\r\"\" \rb\",x", "a \"\r\" \rb"},
        {"c.jsonl", "{\"text\":\r\"a\",\r\"label\": 1}\r", "a"},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        source_place place = {.path = (char *)scratch_path(list[i].name)};
        labelled *r = NULL;
        labelled_document d;
        error e = {0};
        bool more;
        scratch_write(place.path, list[i].file, strlen(list[i].file));
        if (labelled_open(&r, &place, labelled_format_of(&place), &(labelled_settings){.no_header = true},
                          &e) != STATUS_OK ||
            labelled_next(r, &d, &more, &e) != STATUS_OK || !more)
            fail_msg("case %zu: %s", i, e.text);
        assert_int_equal(d.text_bytes, strlen(list[i].text));
        assert_memory_equal(d.text, list[i].text, d.text_bytes);
        assert_int_equal(labelled_next(r, &d, &more, &e), STATUS_OK);
        assert_false(more);
        labelled_close(r);
    }
}

static void test_replaced(void **state)
{
    (void)state;
    static const char file[] = "a\xff"
                               "b\n\xe2\x82\n";
    scratch_write(scratch_path("r.txt"), file, sizeof file - 1);
    source_place place = {.path = (char *)scratch_path("r.txt")};
    labelled *r = NULL;
    labelled_document d;
    error e = {0};
    bool more;
    assert_int_equal(
        labelled_open(&r, &place, LABELLED_LINES, &(labelled_settings){.replace_invalid = true}, &e),
        STATUS_OK);
    assert_int_equal(labelled_next(r, &d, &more, &e), STATUS_OK);
    assert_memory_equal(d.text,
                        "a\xef\xbf\xbd"
                        "b",
                        5);
    assert_int_equal(labelled_next(r, &d, &more, &e), STATUS_OK);
    assert_int_equal(d.text_bytes, 3);
    assert_int_equal(labelled_replaced(r), 2);
    labelled_close(r);
}

/* Whatever the bytes, a reader comes to an end or says why it cannot, and every text it gives is UTF-8. */
static void test_hostile(void **state)
{
    (void)state;
    static const char *const names[] = {"h.txt", "h.tsv", "h.csv", "h.jsonl"};
    static const char *const pieces[] = {"text", "label", ",", "\t", "\"",    "\n",       "\r",
                                         "\"\"", "{",     "}", ":",  "\xff",  "\xc3\xa9", "\xef\xbb\xbf",
                                         "1",    "null",  "[", " ",  "\\u00", "\\"};
    uint64_t read = 0, refused = 0;
    for (int round = 0; round < 4000; round++) {
        char file[512];
        const char *path = scratch_path(names[round % 4]);
        size_t n =
            round % 3 == 0 ? 0 : (size_t)sprintf(file, round % 4 == 1 ? "text\tlabel\n" : "text,label\n");
        for (uint64_t k = next_random() % 24; k > 0; k--)
            n += (size_t)sprintf(file + n, "%s", pieces[next_random() % (sizeof pieces / sizeof *pieces)]);
        scratch_write(path, file, n);
        source_place place = {.path = (char *)path};
        const labelled_settings settings = {.label_optional = round % 5 == 0,
                                            .replace_invalid = round % 7 == 0};
        labelled *r = NULL;
        labelled_document d;
        error e = {0};
        bool more = true;
        status s = labelled_open(&r, &place, labelled_format_of(&place), &settings, &e);
        while (s == STATUS_OK && more)
            if ((s = labelled_next(r, &d, &more, &e)) == STATUS_OK && more) {
                uint8_t copy[2048] = {0};
                text_block b = {.bytes = copy, .n = d.text_bytes, .label = "text", .line = 1, .column = 1};
                uint64_t none = 0;
                memcpy(copy, d.text, d.text_bytes);
                assert_int_equal(text_check(&b, LEVEL_CHAR, false, &none, &e), STATUS_OK);
                read++;
            }
        refused += s != STATUS_OK;
        labelled_close(r);
    }
    assert_true(read > 1000 && refused > 1000);
}

/* Standard input, plain and compressed, gives the same documents under its own name. */
static void test_input(void **state)
{
    (void)state;
    static const char file[] = "one\ntwo\n";
    scratch_write(scratch_path("i.txt"), file, sizeof file - 1);
    archive_make(scratch_path("i.gz"), "raw.gz", &(archive_member){"i", file, sizeof file - 1, NULL, NULL},
                 1);
    scratch_write(scratch_path("i.none"), "", 0);
    static const char *const names[] = {"i.txt", "i.gz", "i.none"};
    int input = dup(STDIN_FILENO);
    for (int i = 0; i < 3; i++) {
        int fd = open(scratch_path(names[i]), O_RDONLY);
        assert_true(fd >= 0 && dup2(fd, STDIN_FILENO) >= 0);
        close(fd);
        labelled *r = NULL;
        labelled_document d;
        error e = {0};
        bool more;
        if (labelled_open(&r, NULL, LABELLED_LINES, &(labelled_settings){0}, &e) != STATUS_OK)
            fail_msg("%s", e.text);
        for (int k = 0; k < (i < 2 ? 2 : 0); k++) {
            assert_int_equal(labelled_next(r, &d, &more, &e), STATUS_OK);
            assert_true(more);
            assert_memory_equal(d.text, k == 0 ? "one" : "two", 3);
            assert_string_equal(d.place, k == 0 ? "standard input:1" : "standard input:2");
        }
        assert_int_equal(labelled_next(r, &d, &more, &e), STATUS_OK);
        assert_false(more);
        labelled_close(r);
    }
    dup2(input, STDIN_FILENO);
    close(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_long),
        cmocka_unit_test(test_columns),    cmocka_unit_test(test_json_labels),
        cmocka_unit_test(test_mistakes),   cmocka_unit_test(test_carriage_returns),
        cmocka_unit_test(test_replaced),   cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_input),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
