/* log.c - see log.h. */
#include "io/log.h"

#include "io/bug.h"
#include "io/disk.h"
#include "io/escape.h"
#include "io/line_file.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What can be lost, each counted and spoken of on its own. */
typedef enum { LOST_TERMINAL, LOST_LINE, LOST_METRIC, LOST_STATE, LOST_KINDS } lost_kind;
static const char *const lost_names[LOST_KINDS] = {"stderr", "train.log", "metrics.jsonl", "status.json"};

struct run_log {
    char *status_path; /* NULL: the terminal only */
    line_file lines;   /* train.log */
    metrics *metrics;
    progress *bar; /* the caller's, or NULL */
    bool bits_per_char, classes;
    uint64_t lost[LOST_KINDS];
};

/* stderr may be a pipe that somebody made non-blocking; a reader that sleeps for more than a second loses
 * lines, not us. */
static bool write_terminal(const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t written = write(STDERR_FILENO, text + at, n - at);
        if (written >= 0) {
            at += (size_t)written;
            continue;
        }
        struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
        bool worth_waiting = errno == EINTR || (errno == EAGAIN && poll(&out, 1, 1000) > 0);
        if (!worth_waiting)
            return false;
    }
    return true;
}

/* One line, newline included, to everywhere. */
static void put(run_log *l, const char *line, size_t n)
{
    progress_erase(l->bar);
    bool on_terminal = write_terminal(line, n);
    progress_show(l->bar);
    if (!on_terminal)
        l->lost[LOST_TERMINAL]++;
    if (l->lines.fd >= 0 && !line_file_write(&l->lines, line, n) && l->lost[LOST_LINE]++ == 0) {
        char text[256];
        int m =
            snprintf(text, sizeof text, "train.log: cannot write: %s; the run goes on\n", strerror(errno));
        write_terminal(text, (size_t)m);
    }
}

void log_line(run_log *l, const char *format, ...)
{
    if (!l)
        return;
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    BUG_IF(n < 0, "out of memory");
    char *clean = escape_text(text, (size_t)n, SIZE_MAX);
    free(text);
    size_t length = clean ? strlen(clean) : 0;
    char *line = clean ? realloc(clean, length + 2) : NULL;
    BUG_IF(!line, "out of memory");
    memcpy(line + length, "\n", 2);
    put(l, line, length + 1);
    free(line);
}

/* Counts what could not be written and says it the first time. */
static void lose(run_log *l, lost_kind kind, const char *why)
{
    if (l->lost[kind]++ == 0)
        log_line(l, "%s: %s; the run goes on", lost_names[kind], why);
}

static status open_files(run_log *l, const log_setup *setup, error *e)
{
    char *path = NULL;
    BUG_IF(asprintf(&l->status_path, "%s/status.json", setup->dir) < 0, "out of memory");
    BUG_IF(asprintf(&path, "%s/train.log", setup->dir) < 0, "out of memory");
    status s = line_file_open(&l->lines, path, e);
    free(path);
    return s == STATUS_OK ? metrics_open(&l->metrics, setup->dir, setup->resume_step, e) : s;
}

status log_open(run_log **l, const log_setup *setup, error *e)
{
    run_log *fresh = calloc(1, sizeof *fresh);
    BUG_IF(!fresh, "out of memory");
    fresh->lines.fd = -1;
    fresh->bits_per_char = setup->bits_per_char;
    fresh->classes = setup->classes;
    status s = setup->dir ? open_files(fresh, setup, e) : STATUS_OK;
    if (s != STATUS_OK) {
        log_close(fresh);
        fresh = NULL;
    }
    *l = fresh;
    return s;
}

void log_close(run_log *l)
{
    if (!l)
        return;
    for (int i = 0; i < LOST_KINDS; i++)
        if (l->lost[i] > 0)
            log_line(l, "%s: could not be written %llu times", lost_names[i], (unsigned long long)l->lost[i]);
    line_file_close(&l->lines);
    metrics_close(l->metrics);
    free(l->status_path);
    free(l);
}

/* Two decimals as word_language_model prints it, unless they would bend the value by more than half a
 * percent. */
static void rate_text(double lr, char text[32])
{
    snprintf(text, 32, "%.2f", lr);
    if (fabs(strtod(text, NULL) - lr) > 0.005 * fabs(lr))
        snprintf(text, 32, "%.3g", lr);
}

/* printf shows the sign of a NaN, which says nothing. */
static double unsigned_nan(double x)
{
    return isnan(x) ? (double)NAN : x;
}

/* What stands behind a loss, as "valid loss  5.80 | valid ppl   330.12": of characters the bits of one, too; of documents
 * their accuracy, where it is known (not NaN). */
#define LOSS_TEXT 128
static void loss_text(const run_log *l, const char *of, double nats, double accuracy, char text[LOSS_TEXT])
{
    const int n =
        snprintf(text, LOSS_TEXT, l->classes ? "%sloss %6.4f" : "%sloss %5.2f", of, unsigned_nan(nats));
    char *rest = text + n;
    const size_t left = LOSS_TEXT - (size_t)n;
    if (l->classes && !isnan(accuracy))
        snprintf(rest, left, " | %saccuracy %6.2f %%", of, 100.0 * accuracy);
    else if (!l->classes && l->bits_per_char)
        snprintf(rest, left, " | %sppl %8.2f | %sbpc %8.3f", of, unsigned_nan(exp(nats)), of,
                 unsigned_nan(nats / M_LN2));
    else if (!l->classes)
        snprintf(rest, left, " | %sppl %8.2f", of, unsigned_nan(exp(nats)));
}

void log_batches(run_log *l, const log_batch *b)
{
    if (!l)
        return;
    char rate[32], loss[LOSS_TEXT];
    rate_text(b->lr, rate);
    loss_text(l, "", b->nats, NAN, loss);
    log_line(l, "| epoch %3lld | %5lld/%5lld batches | lr %s | ms/batch %5.2f | %s", (long long)b->epoch,
             (long long)b->batch, (long long)b->batches, rate, b->ms_per_batch, loss);
}

static void log_rule(run_log *l, char mark)
{
    char rule[89];
    memset(rule, mark, sizeof rule);
    log_line(l, "%.*s", (int)sizeof rule, rule);
}

void log_epoch(run_log *l, int64_t epoch, double seconds, double valid_nats, double accuracy)
{
    if (!l)
        return;
    char loss[LOSS_TEXT];
    loss_text(l, "valid ", valid_nats, accuracy, loss);
    log_rule(l, '-');
    log_line(l, "| end of epoch %3lld | time: %5.2fs | %s", (long long)epoch, seconds, loss);
    log_rule(l, '-');
}

void log_end(run_log *l, double test_nats, double accuracy)
{
    if (!l)
        return;
    char loss[LOSS_TEXT];
    loss_text(l, "test ", test_nats, accuracy, loss);
    log_rule(l, '=');
    log_line(l, "| End of training | %s", loss);
    log_rule(l, '=');
}

void log_metrics(run_log *l, const record *r)
{
    if (l && l->metrics && !metrics_write(l->metrics, r)) {
        char why[128];
        snprintf(why, sizeof why, "cannot write: %s", strerror(errno));
        lose(l, LOST_METRIC, why);
    }
}

const char *const run_state_names[] = {"running", "saved", "done", "failed"};

void log_state(run_log *l, run_state state, int64_t step, status s, const char *reason)
{
    if (!l || !l->status_path)
        return;
    char when[32];
    time_t seconds = time(NULL);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);

    record *r = record_new();
    record_set_text(r, "state", run_state_names[state]);
    record_set_int(r, "step", step);
    record_set_int(r, "code", status_exit_code(s));
    record_set_text(r, "reason", reason ? reason : status_text(s));
    record_set_text(r, "time", when);
    char *text = record_to_text(r);
    size_t n = strlen(text);
    text[n] = '\n'; /* in the place of the NUL: the file has a length */
    error e = {0};
    if (disk_write_file(l->status_path, text, n + 1, &e) != STATUS_OK)
        lose(l, LOST_STATE, e.text);
    free(text);
    record_free(r);
}

void log_attach(run_log *l, progress *bar)
{
    if (!l)
        return;
    l->bar = bar;
    progress_quiet(bar, true);
}
