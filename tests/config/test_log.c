/* test_log.c - what a run says, on the terminal and in its directory, and that saying it never ends the
 * run.
 *
 * The lines are compared with those that the format strings of PyTorch's word_language_model give for the
 * same numbers (evaluated once with Python and written down here), since scripts of others read them. */
#include "io/log.h"

#include "tests/config/capture.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define RULE_10 "----------"
#define RULE    RULE_10 RULE_10 RULE_10 RULE_10 RULE_10 RULE_10 RULE_10 RULE_10 "---------"

static run_log *open_log(const char *folder, int64_t resume_step, bool bits_per_char)
{
    run_log *l = NULL;
    error e = {0};
    log_setup setup = {.dir = folder, .resume_step = resume_step, .bits_per_char = bits_per_char};
    if (log_open(&l, &setup, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    return l;
}

static void assert_file(const char *folder, const char *name, const char *expected)
{
    char *text = folder_read(folder, name);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void test_lines_of_word_language_model(void **state)
{
    (void)state;
    static const char expected[] =
        "| epoch   1 |   200/ 2983 batches | lr 20.00 | ms/batch 12.35 | loss  7.63 | ppl  2059.05\n"
        "| epoch  12 | 12345/123456 batches | lr 4.88 | ms/batch 123.46 | loss 10.00 | ppl 22026.47\n" RULE
        "\n"
        "| end of epoch   1 | time: 36.30s | valid loss  5.80 | valid ppl   330.30\n" RULE "\n"
        "=========================================================================================\n"
        "| End of training | test loss  4.75 | test ppl   115.58\n"
        "=========================================================================================\n";
    char *folder = folder_make();
    capture_file();
    run_log *l = open_log(folder, METRICS_FRESH, false);
    log_batches(l, &(log_batch){1, 200, 2983, 20, 12.345678, 7.63});
    log_batches(l, &(log_batch){12, 12345, 123456, 4.8828125, 123.456, 10});
    log_epoch(l, 1, 36.3, 5.8, NAN);
    log_end(l, 4.75, NAN);
    log_close(l);
    char *text = capture_end();
    assert_string_equal(text, expected);
    assert_file(folder, "train.log", expected);
    free(text);
    folder_remove(folder);
}

static void test_bits_per_char(void **state)
{
    (void)state;
    char *folder = folder_make();
    capture_file();
    run_log *l = open_log(folder, METRICS_FRESH, true);
    log_batches(l, &(log_batch){1, 1, 2, 1, 1, M_LN2});
    log_epoch(l, 1, 1, 2 * M_LN2, NAN);
    log_end(l, 1.5 * M_LN2, NAN);
    log_close(l);
    char *text = capture_end();
    assert_non_null(strstr(text, "| loss  0.69 | ppl     2.00 | bpc    1.000\n"));
    assert_non_null(strstr(text, "| valid loss  1.39 | valid ppl     4.00 | valid bpc    2.000\n"));
    assert_non_null(strstr(text, "| test loss  1.04 | test ppl     2.83 | test bpc    1.500\n"));
    free(text);
    folder_remove(folder);
}

/* A classifier has no perplexity, at any level of its corpus; its loss is small, and its accuracy a share. */
static void test_accuracy(void **state)
{
    (void)state;
    static const char expected[] =
        "| epoch   3 |    20/   24 batches | lr 0.01 | ms/batch  1.50 | loss 0.0123\n" RULE "\n"
        "| end of epoch   3 | time:  0.50s | valid loss 0.3466 | valid accuracy  87.50 %\n" RULE "\n"
        "=========================================================================================\n"
        "| End of training | test loss 0.0120 | test accuracy 100.00 %\n"
        "=========================================================================================\n";
    for (int characters = 0; characters < 2; characters++) {
        run_log *l = NULL;
        error e = {0};
        const log_setup setup = {.resume_step = METRICS_FRESH, .bits_per_char = characters, .classes = true};
        capture_file();
        assert_int_equal(log_open(&l, &setup, &e), STATUS_OK);
        log_batches(l, &(log_batch){3, 20, 24, 0.01, 1.5, 0.0123});
        log_epoch(l, 3, 0.5, 0.34657, 0.875);
        log_end(l, 0.012, 1);
        log_close(l);
        char *text = capture_end();
        assert_string_equal(text, expected);
        free(text);
    }
}

/* A rate is never shown as 0.00, nor bent by more than half a percent; from 1 up it is
 * word_language_model's. */
static void test_small_rates_and_odd_losses(void **state)
{
    (void)state;
    static const struct {
        double lr;
        const char *text;
    } rates[] = {{20, "20.00"},    {1, "1.00"},    {0.5, "0.50"},    {0.25, "0.25"},
                 {0.125, "0.125"}, {0.01, "0.01"}, {0.001, "0.001"}, {0.000345678, "0.000346"},
                 {3e-6, "3e-06"},  {0, "0.00"}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        char words[64];
        capture_file();
        run_log *l = open_log(NULL, METRICS_FRESH, false);
        log_batches(l, &(log_batch){1, 1, 1, rates[i].lr, 1, -NAN});
        log_batches(l, &(log_batch){1, 1, 1, rates[i].lr, 1, 1e4});
        log_close(l);
        char *text = capture_end();
        snprintf(words, sizeof words, "| lr %s | ms/batch  1.00 | loss   nan | ppl      nan\n",
                 rates[i].text);
        assert_non_null(strstr(text, words));
        assert_non_null(strstr(text, "| loss 10000.00 | ppl      inf\n"));
        free(text);
    }
}

static void test_one_line_stays_one_line(void **state)
{
    (void)state;
    char *folder = folder_make(), *longer = malloc(100001);
    memset(longer, 'x', 100000);
    longer[100000] = '\0';
    capture_file();
    run_log *l = open_log(folder, METRICS_FRESH, false);
    log_line(l, "a%sb", "\n\r\t\x1b[31m\x7f\xff\xc2\x85\xe2\x80\xa8");
    log_line(l, "gr\xc3\xbc\xc3\x9f %d%%", 5);
    log_line(l, "%s", longer);
    log_line(l, "%s", "");
    log_close(l);
    free(capture_end());
    char *text = folder_read(folder, "train.log");
    static const char begin[] =
        "a\\x0a\\x0d\\x09\\x1b[31m\\x7f\\xff\\xc2\\x85\\xe2\\x80\\xa8b\ngr\xc3\xbc\xc3\x9f 5%\nxxx";
    assert_memory_equal(text, begin, sizeof begin - 1);
    assert_int_equal(strlen(text), sizeof begin - 1 - 3 + 100000 + 2);
    free(text);
    free(longer);
    folder_remove(folder);
}

/* A resumed run continues train.log behind a line that a kill tore, and cuts the metrics at its
 * checkpoint. */
static void test_resume(void **state)
{
    (void)state;
    char *folder = folder_make();
    folder_write(folder, "train.log", "first\ntor");
    folder_write(folder, "metrics.jsonl",
                 "{\"type\": \"step\", \"step\": 5}\n{\"type\": \"step\", \"step\": 6}\n");
    capture_file();
    run_log *l = open_log(folder, 5, false);
    log_line(l, "second");
    record *r = record_new();
    record_set_text(r, "type", "step");
    record_set_int(r, "step", 7);
    log_metrics(l, r);
    record_free(r);
    log_close(l);
    free(capture_end());
    assert_file(folder, "train.log", "first\ntor\nsecond\n");
    assert_file(folder, "metrics.jsonl",
                "{\"type\": \"step\", \"step\": 5}\n{\"type\": \"step\", \"step\": 7}\n");
    folder_remove(folder);
}

static void test_state(void **state)
{
    (void)state;
    static const struct {
        run_state state;
        status s;
        const char *reason, *name;
        int64_t code;
    } states[] = {{RUN_RUNNING, STATUS_OK, "training", "running", 0},
                  {RUN_SAVED, STATUS_SAVED, "signal USR2", "saved", 75},
                  {RUN_DONE, STATUS_OK, NULL, "done", 0},
                  {RUN_FAILED, STATUS_BAD_CHECKPOINT, "\"x\"\n\x01", "failed", 4}};
    char *folder = folder_make();
    run_log *l = open_log(folder, METRICS_FRESH, false);
    for (int i = 0; i < 4; i++) {
        log_state(l, states[i].state, 100 + i, states[i].s, states[i].reason);
        char *text = folder_read(folder, "status.json");
        const char *name, *reason, *when;
        record *r = NULL;
        error e = {0};
        int64_t step = 0, code = -1;
        assert_non_null(text);
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        assert_int_equal(record_parse(&r, text, strlen(text) - 1, "status.json", &e), STATUS_OK);
        assert_true(record_get_text(r, "state", &name) && strcmp(name, states[i].name) == 0);
        assert_true(record_get_int(r, "step", &step) && step == 100 + i);
        assert_true(record_get_int(r, "code", &code) && code == states[i].code);
        assert_true(record_get_text(r, "reason", &reason));
        assert_string_equal(reason, states[i].reason ? states[i].reason : status_text(states[i].s));
        assert_true(record_get_text(r, "time", &when) && strlen(when) == strlen("2000-01-01T00:00:00Z"));
        record_free(r);
        free(text);
    }
    log_close(l);
    assert_int_equal(folder_count(folder), 3); /* train.log, metrics.jsonl, status.json and no temporary */
    folder_remove(folder);
}

/* Ranks that do not speak: nothing happens, and nothing is evaluated into a crash. */
static void test_silent_ranks(void **state)
{
    (void)state;
    capture_file();
    record *r = record_new();
    log_line(NULL, "%s", "x");
    log_batches(NULL, &(log_batch){1, 1, 1, 1, 1, 1});
    log_epoch(NULL, 1, 1, 1, NAN);
    log_end(NULL, 1, NAN);
    log_metrics(NULL, r);
    log_state(NULL, RUN_DONE, 1, STATUS_OK, NULL);
    log_attach(NULL, NULL);
    log_close(NULL);
    record_free(r);
    char *text = capture_end();
    assert_string_equal(text, "");
    free(text);
}

/* No room for any file: the run goes on, is told so once per file, and at the end how much was lost. */
static void test_full_disk(void **state)
{
    (void)state;
    char *folder = folder_make();
    struct rlimit before, tight;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = 40;
    capture_file();
    run_log *l = open_log(folder, METRICS_FRESH, false);
    log_line(l, "fits");
    char *early = capture_end();
    int pipes[2];
    assert_int_equal(pipe(pipes), 0); /* the limit would hold for the capture's file too */
    int saved = dup(STDERR_FILENO);
    dup2(pipes[1], STDERR_FILENO);
    close(pipes[1]);
    setrlimit(RLIMIT_FSIZE, &tight);
    record *r = record_new();
    record_set_text(r, "type", "step");
    record_set_int(r, "step", 1);
    record_set_text(r, "note", "longer than the room that is left");
    for (int i = 0; i < 3; i++) {
        log_line(l, "%d: a line that is longer than the room that is left", i);
        log_metrics(l, r);
        log_state(l, RUN_RUNNING, i, STATUS_OK, "running");
    }
    log_close(l);
    setrlimit(RLIMIT_FSIZE, &before);
    dup2(saved, STDERR_FILENO);
    close(saved);
    char text[8192];
    ssize_t n = read(pipes[0], text, sizeof text - 1);
    close(pipes[0]);
    signal(SIGXFSZ, handler);
    assert_true(n > 0);
    text[n] = '\0';
    static const char *const said[] = {"train.log: cannot write",
                                       "metrics.jsonl: cannot write",
                                       "status.json: /tmp/",
                                       "train.log: could not be written ",
                                       "metrics.jsonl: could not be written 3 times",
                                       "status.json: could not be written 3 times",
                                       "\n2: a line"};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        const char *at = strstr(text, said[i]);
        if (!at || strstr(at + 1, said[i]))
            fail_msg("'%s' is not said once in: %s", said[i], text);
    }
    assert_file(folder, "train.log", "fits\n");
    assert_file(folder, "metrics.jsonl", "");
    assert_int_equal(folder_count(folder), 2);
    record_free(r);
    free(early);
    folder_remove(folder);
}

/* stderr is gone or full: the file still gets every line and, at the end, how many the terminal missed. */
static void test_closed_terminal(void **state)
{
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        char *folder = folder_make();
        void (*handler)(int) = signal(SIGPIPE, SIG_IGN);
        if (gone) {
            int pipes[2];
            char path[64];
            assert_int_equal(pipe(pipes), 0);
            snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[1]);
            capture_path(path);
            close(pipes[0]);
            close(pipes[1]);
        } else {
            capture_path("/dev/full");
        }
        run_log *l = open_log(folder, METRICS_FRESH, false);
        log_line(l, "one");
        log_line(l, "two");
        log_close(l);
        capture_end();
        signal(SIGPIPE, handler);
        assert_file(folder, "train.log", "one\ntwo\nstderr: could not be written 2 times\n");
        folder_remove(folder);
    }
}

/* With a bar on the terminal a line begins in an erased line, and the bar stands below it again. */
static void test_lines_above_a_bar(void **state)
{
    (void)state;
    setenv("TERM", "xterm", 1);
    capture_terminal(80);
    run_log *l = open_log(NULL, METRICS_FRESH, false);
    progress *p = progress_open("epoch 1", 10, "steps");
    log_attach(l, p);
    progress_at(p, 3);
    log_line(l, "a line");
    log_attach(l, NULL);
    progress_close(p);
    log_line(l, "after");
    log_close(l);
    char *text = capture_end();
    assert_non_null(strstr(text, "\r\033[Ka line\n\repoch 1  ["));
    assert_ptr_equal(strstr(text, "\nafter\n"), text + strlen(text) - 7);
    free(text);
}

/* In a job's output the log's lines are enough: an attached bar adds none. */
static void test_attached_bar_is_quiet_without_a_terminal(void **state)
{
    (void)state;
    capture_file();
    run_log *l = open_log(NULL, METRICS_FRESH, false);
    progress *attached = progress_open("attached", 10, "steps");
    log_attach(l, attached);
    log_line(l, "a line");
    log_attach(l, NULL);
    progress_close(attached);
    log_close(l);
    char *text = capture_end();
    assert_string_equal(text, "a line\n");
    free(text);
}

static void test_what_cannot_be_opened(void **state)
{
    (void)state;
    run_log *l = NULL;
    error e = {0};
    log_setup setup = {.dir = "/nonexistent", .resume_step = METRICS_FRESH};
    assert_int_equal(log_open(&l, &setup, &e), STATUS_IO_FAILED);
    assert_null(l);
    assert_non_null(strstr(e.text, "/nonexistent/train.log"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_word_language_model),
        cmocka_unit_test(test_bits_per_char),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_small_rates_and_odd_losses),
        cmocka_unit_test(test_one_line_stays_one_line),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_silent_ranks),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_closed_terminal),
        cmocka_unit_test(test_lines_above_a_bar),
        cmocka_unit_test(test_attached_bar_is_quiet_without_a_terminal),
        cmocka_unit_test(test_what_cannot_be_opened),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
