/* test_status.c - sentences, exit codes, and the way out for our own mistakes. */
#include "io/bug.h"
#include "io/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka's macro of that name hides ours */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The exit codes are a promise to scripts: they are written out here a second time, on purpose. */
static void test_exit_codes(void **state)
{
    (void)state;
    static const struct {
        status s;
        int code;
    } rows[] = {{STATUS_OK, 0},         {STATUS_SAVED, 75},    {STATUS_USAGE, 2},
                {STATUS_BAD_CONFIG, 2}, {STATUS_BAD_DATA, 3},  {STATUS_BAD_CHECKPOINT, 4},
                {STATUS_IO_FAILED, 1},  {STATUS_NO_MEMORY, 1}, {STATUS_LOST_RANK, 5},
                {STATUS_INTERNAL, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(status_exit_code(rows[i].s), rows[i].code);
        assert_true(strlen(status_text(rows[i].s)) > 0);
    }
    assert_int_equal(status_exit_code((status)1234), 1);
    assert_int_equal(status_exit_code((status)-1), 1);
}

static void test_sentences(void **state)
{
    (void)state;
    error e = {0};
    assert_int_equal(fail(&e, STATUS_IO_FAILED, "%s: cannot open", "a.h5"), STATUS_IO_FAILED);
    assert_int_equal(fail_as(&e, STATUS_BAD_DATA, "corpus %d", 7), STATUS_BAD_DATA);
    assert_string_equal(e.text, "corpus 7: a.h5: cannot open");
    assert_int_equal(e.code, STATUS_BAD_DATA);

    fail(&e, STATUS_INTERNAL, "[%s]", e.text); /* an argument that points into e itself */
    assert_string_equal(e.text, "[corpus 7: a.h5: cannot open]");

    assert_int_equal(fail(NULL, STATUS_USAGE, "nobody listens"), STATUS_USAGE);
    assert_int_equal(fail_as(NULL, STATUS_USAGE, "nobody"), STATUS_USAGE);

    fail(&e, STATUS_IO_FAILED, "%s",
         "a\nb\033[31mc\177"
         "d");
    assert_string_equal(e.text, "a?b?[31mc?d");
}

/* Whatever the lengths, the text stays terminated inside its buffer (the guard behind it, under ASan, is
 * the stack's). */
static void test_long_sentences(void **state)
{
    (void)state;
    error e = {0};
    char *text = malloc(10000);
    memset(text, 'x', 9999);
    text[9999] = '\0';
    fail(&e, STATUS_IO_FAILED, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    fail_as(&e, STATUS_IO_FAILED, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    free(text);
}

/* BUG_IF must end the process by SIGABRT, and say who, where and what. */
static void test_bug(void **state)
{
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        dup2(pipe_ends[1], 2);
        bug_label("rank 3 on node7");
        BUG_IF(1 + 1 == 2, "two is %d", 2);
        _exit(0);
    }
    close(pipe_ends[1]);
    char text[1024];
    size_t used = 0;
    for (ssize_t n; (n = read(pipe_ends[0], text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = '\0';
    close(pipe_ends[0]);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
    assert_non_null(strstr(text, "rank 3 on node7: "));
    assert_non_null(strstr(text, "test_status.c:"));
    assert_non_null(strstr(text, "two is 2 (1 + 1 == 2)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exit_codes), cmocka_unit_test(test_sentences),
                                       cmocka_unit_test(test_long_sentences), cmocka_unit_test(test_bug)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
