/* test_progress.c - the bar as a terminal sees it, byte by byte, and the plain lines of a job's output.
 *
 * A small reader of terminals below follows \r and ESC[K, so that what counts is what would stand on the
 * screen. */
#include "io/disk.h"
#include "io/progress.h"

#include "tests/config/capture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utf8proc.h>

#include <cmocka.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static int count_of(const char *text, char mark)
{
    int count = 0;
    for (; *text; text++)
        count += *text == mark;
    return count;
}

/* Columns of the widest line that was drawn, which must be UTF-8 throughout; lines are divided by \r and
 * \n. */
static int widest(const char *text)
{
    int most = 0, used = 0;
    while (*text) {
        utf8proc_int32_t point;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &point);
        assert_true(n > 0);
        if (strncmp(text, "\033[K", 3) == 0) {
            text += 3;
            continue;
        }
        used = point == '\r' || point == '\n' ? 0 : used + utf8proc_charwidth(point);
        most = used > most ? used : most;
        text += n;
    }
    return most;
}

/* The last line that was drawn before the final newline. */
static char *last_line(const char *text)
{
    size_t n = strlen(text);
    assert_true(n > 0 && text[n - 1] == '\n');
    size_t begin = n - 1;
    while (begin > 0 && text[begin - 1] != '\r' && text[begin - 1] != '\n')
        begin--;
    char *line = strndup(text + begin, n - 1 - begin), *erase = strstr(line, "\033[K");
    if (erase)
        *erase = '\0';
    return line;
}

static void test_bar_on_a_terminal(void **state)
{
    (void)state;
    setenv("TERM", "xterm", 1);
    capture_terminal(100);
    progress *p = progress_open("counting", 2000000000, "bytes");
    progress_at(p, 0);
    sleep_ms(150);
    progress_at(p, 1000000000);
    sleep_ms(150);
    progress_at(p, 2000000000);
    progress_close(p);
    char *text = capture_end(), *line = last_line(text);
    assert_non_null(strstr(text, "counting  [----"));
    assert_non_null(strstr(text, " 50%  1.0/2.0 GB"));
    assert_non_null(strstr(text, " left\033[K"));
    assert_non_null(strstr(line, "[########################################]  100%  2.0/2.0 GB"));
    assert_non_null(strstr(line, " in "));
    assert_int_equal(count_of(text, '\n'), 1);
    assert_true(widest(text) < 100);
    free(line);
    free(text);
}

/* At most ten redraws a second, however often it is told; the test's own slowness only adds to what is
 * allowed. */
static void test_redraws_are_rare(void **state)
{
    (void)state;
    setenv("TERM", "xterm", 1);
    double began = seconds();
    capture_terminal(80);
    progress *p = progress_open("steps", 1000000, "steps");
    for (uint64_t i = 0; seconds() - began < 0.35; i++)
        progress_at(p, i % 1000000);
    progress_close(p);
    double spent = seconds() - began;
    char *text = capture_end();
    int drawings = count_of(text, '\r');
    assert_true(drawings >= 3 && drawings <= (int)(10 * spent) + 2);
    free(text);
}

/* Any width, wide and combining characters in the label: one line that fits, whole characters only. */
static void test_every_width(void **state)
{
    (void)state;
    static const char *const labels[] = {
        "counting",
        "z\xc3\xa4hle Z\xc3\xa4hlen",
        "\xe8\xae\xa1\xe7\xae\x97\xe8\xae\xa1\xe7\xae\x97",
        "e\xcc\x81\xcc\x81\xcc\x81",
        "bad \x1b[31m\xff label",
        "a label that is much longer than any terminal should be asked to show in one line"};
    setenv("TERM", "xterm", 1);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        for (int columns = 1; columns <= 130; columns += columns < 24 ? 1 : 17) {
            capture_terminal(columns);
            progress *p = progress_open(labels[i], 1000, "steps");
            progress_at(p, 333);
            progress_close(p);
            char *text = capture_end();
            assert_true(widest(text) < columns);
            assert_int_equal(count_of(text, '\n'), 1);
            assert_null(strstr(text, "\033[31m"));
            free(text);
        }
}

static void test_unknown_width_and_total(void **state)
{
    (void)state;
    setenv("TERM", "xterm", 1);
    capture_terminal(0);
    progress *p = progress_open("reading", 0, "lines");
    progress_at(p, 12345);
    progress_close(p);
    char *text = capture_end();
    assert_non_null(strstr(text, "reading  12345 lines"));
    assert_null(strchr(text, '%'));
    assert_null(strchr(text, '#'));
    assert_true(widest(text) < 80);
    free(text);
}

/* No terminal, or one that cannot redraw: whole lines without control characters; one is enough for a
 * quick job. */
static void test_plain_lines(void **state)
{
    (void)state;
    for (int dumb = 0; dumb < 2; dumb++) {
        setenv("TERM", dumb ? "dumb" : "xterm", 1);
        if (dumb)
            capture_terminal(80);
        else
            capture_file();
        progress *p = progress_open("counting", 1000, "bytes");
        for (uint64_t i = 0; i <= 1000; i++)
            progress_at(p, i);
        progress_erase(p);
        progress_show(p);
        progress_close(p);
        char *text = capture_end();
        assert_int_equal(strncmp(text, "counting:  100%  1.0/1.0 kB  ", 29), 0);
        assert_int_equal(count_of(text, '\n'), 1);
        assert_int_equal(count_of(text, '\r') + count_of(text, '\033'), 0);
        free(text);
    }
    capture_file();
    progress *p = progress_open("slow", 10, "steps");
    sleep_ms(1050);
    progress_at(p, 4);
    progress_at(p, 5);
    progress_close(p);
    char *text = capture_end();
    assert_int_equal(strncmp(text, "slow:  40%  4/10 steps  ", 24), 0);
    assert_int_equal(count_of(text, '\n'), 2);
    free(text);
    capture_file();
    p = progress_open("quiet", 10, "steps");
    progress_quiet(p, true);
    sleep_ms(1050);
    progress_at(p, 5);
    progress_close(p);
    text = capture_end();
    assert_string_equal(text, "");
    free(text);
}

/* Speed and time left are reckoned from where a resumed job began: 10 of 100 steps in 0.2 s leave 90 - not
 * 10 of 910. */
static void test_resumed_job(void **state)
{
    (void)state;
    setenv("TERM", "xterm", 1);
    capture_terminal(120);
    progress *p = progress_open("training", 1000, "steps");
    progress_start_at(p, 900);
    sleep_ms(200);
    progress_at(p, 910);
    char *text;
    progress_close(p);
    text = capture_end();
    const char *rate = strstr(text, "910/1000 steps  ");
    assert_non_null(rate);
    double per_second = strtod(rate + strlen("910/1000 steps  "), NULL);
    assert_true(per_second > 1 && per_second <= 50);
    free(text);
}

static void test_more_than_the_total(void **state)
{
    (void)state;
    setenv("TERM", "xterm", 1);
    capture_terminal(80);
    progress *p = progress_open("x", 10, "steps");
    progress_start_at(p, 12);
    progress_at(p, 11);
    progress_at(p, UINT64_MAX);
    progress_close(p);
    char *text = capture_end();
    assert_non_null(strstr(text, "100%"));
    assert_true(widest(text) < 80);
    free(text);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_CHECKER 1
#endif
#endif
#if !defined(THREAD_CHECKER) && defined(__SANITIZE_THREAD__)
#define THREAD_CHECKER 1
#endif

typedef enum { NOT_OPENED, DRAWN, ERASED, CLOSED } stage;

/* What a process writes that INT ends at this stage. */
static char *interrupted_at(stage at)
{
    int how;
    capture_terminal(80);
    const pid_t child = fork();
    if (child == 0) {
        disk_clean_on_signals();
        progress *p = at > NOT_OPENED ? progress_open("x", 10, "steps") : NULL;
        progress_at(p, 5);
        if (at == ERASED)
            progress_erase(p);
        if (at == CLOSED)
            progress_close(p);
        raise(SIGINT);
        _exit(0);
    }
    const bool waited = waitpid(child, &how, 0) == child;
    char *text = capture_end();
    assert_true(waited && WIFSIGNALED(how) && WTERMSIG(how) == SIGINT);
    return text;
}

/* A bar that INT cuts off is erased, what is no bar any more stays. */
static void test_interrupt(void **state)
{
    (void)state;
#ifdef THREAD_CHECKER
    print_message("skipped: the thread checker holds a forked process's signals back\n");
    skip();
#endif
    static const int erasures[] = {[NOT_OPENED] = 0, [DRAWN] = 1, [ERASED] = 1, [CLOSED] = 0};
    setenv("TERM", "xterm", 1);
    for (stage at = NOT_OPENED; at <= CLOSED; at++) {
        char *text = interrupted_at(at);
        int seen = 0;
        for (const char *found = text; (found = strstr(found, "\r\033[K")) != NULL; found++)
            seen++;
        assert_int_equal(seen, erasures[at]);
        assert_int_equal(strlen(text) > 0, at > NOT_OPENED);
        free(text);
    }
}

static void test_null_and_closed_stderr(void **state)
{
    (void)state;
    progress_at(NULL, 1);
    progress_start_at(NULL, 1);
    progress_erase(NULL);
    progress_show(NULL);
    progress_quiet(NULL, true);
    progress_close(NULL);
    capture_path("/dev/full");
    progress *p = progress_open("x", 10, "steps");
    progress_at(p, 5);
    progress_close(p);
    capture_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bar_on_a_terminal),   cmocka_unit_test(test_redraws_are_rare),
        cmocka_unit_test(test_every_width),         cmocka_unit_test(test_unknown_width_and_total),
        cmocka_unit_test(test_plain_lines),         cmocka_unit_test(test_resumed_job),
        cmocka_unit_test(test_more_than_the_total), cmocka_unit_test(test_null_and_closed_stderr),
        cmocka_unit_test(test_interrupt),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
