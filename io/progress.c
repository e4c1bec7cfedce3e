/* progress.c - see progress.h. */
#include "io/progress.h"

#include "io/bug.h"
#include "io/escape.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 1024, LABEL_COLUMNS = 60, BAR_COLUMNS = 40, SHORTEST_BAR = 8 };
/* Between two drawings; least between two plain lines; between plain lines when the total is unknown. */
static const double DRAW_SECONDS = 0.1, TENTH_SECONDS = 1, BLIND_SECONDS = 60;

/* A line is on the terminal that its bar will draw over: for a handler of signals. */
static atomic_bool standing;

struct progress {
    char *label, *unit;
    uint64_t total, done, start;
    double began, drawn; /* seconds of the monotonic clock: opened, last drawn or printed */
    int tenths;          /* of the total, in the last plain line */
    bool terminal, quiet, shown;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A bar is decoration: what stderr does not take is dropped. */
static void put(const char *text, size_t n)
{
    ssize_t ignored = write(STDERR_FILENO, text, n);
    (void)ignored;
}

static bool can_redraw(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

static int terminal_columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

progress *progress_open(const char *label, uint64_t total, const char *unit)
{
    progress *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->label = escape_text(label, strlen(label), LABEL_COLUMNS);
    p->unit = strdup(unit);
    if (!p->label || !p->unit) {
        free(p->label);
        free(p->unit);
        free(p);
        return NULL;
    }
    p->total = total;
    p->terminal = can_redraw();
    p->began = p->drawn = now();
    return p;
}

/* The power of 1000 that suits a number of bytes, and its name. */
static double byte_scale(double bytes, const char **name)
{
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double scale = 1;
    int i = 0;
    for (; i < 5 && bytes >= 1000 * scale; i++)
        scale *= 1000;
    *name = names[i];
    return scale;
}

/* "1.2/2.8 GB  310 MB/s", "12/40 steps  3.1 steps/s" */
static int add_amount(const progress *p, double per_second, char *out, size_t room)
{
    double done = (double)p->done, total = (double)p->total;
    const char *unit, *unit_rate;
    int n;
    if (strcmp(p->unit, "bytes") != 0) {
        n = p->total ? snprintf(out, room, "%.0f/%.0f %s", done, total, p->unit)
                     : snprintf(out, room, "%.0f %s", done, p->unit);
        return n + snprintf(out + n, room - (size_t)n, "  %.3g %s/s", per_second, p->unit);
    }
    double scale = byte_scale(done > total ? done : total, &unit),
           scale_rate = byte_scale(per_second, &unit_rate);
    n = p->total ? snprintf(out, room, "%.1f/%.1f %s", done / scale, total / scale, unit)
                 : snprintf(out, room, "%.1f %s", done / scale, unit);
    return n + snprintf(out + n, room - (size_t)n, "  %.0f %s/s", per_second / scale_rate, unit_rate);
}

static int add_duration(double seconds, char *out, size_t room)
{
    long long s = (long long)(seconds + 0.5);
    if (s < 60)
        return snprintf(out, room, "%lld s", s);
    if (s < 3600)
        return snprintf(out, room, "%lld min %02lld s", s / 60, s % 60);
    if (s < 100 * 3600)
        return snprintf(out, room, "%lld h %02lld min", s / 3600, s / 60 % 60);
    return snprintf(out, room, "%lld d %02lld h", s / 86400, s / 3600 % 24);
}

static int percent(const progress *p)
{
    if (p->done >= p->total)
        return 100;
    return (int)(100 * (double)p->done / (double)p->total);
}

/* What stands right of the bar: share, amount, speed, and the time left or, at the end, the time taken. */
static void tail_text(const progress *p, bool ended, char out[LINE_BYTES])
{
    double seconds = now() - p->began;
    double earned = p->done > p->start ? (double)(p->done - p->start) : 0;
    double per_second = seconds > 0 ? earned / seconds : 0;
    int n = 0;
    if (p->total)
        n = snprintf(out, LINE_BYTES, "%3d%%  ", percent(p));
    n += add_amount(p, per_second, out + n, (size_t)(LINE_BYTES - n));
    if (ended) {
        n += snprintf(out + n, (size_t)(LINE_BYTES - n), "  in ");
        add_duration(seconds, out + n, (size_t)(LINE_BYTES - n));
    } else if (p->total && per_second > 0) {
        double left = p->done < p->total ? (double)(p->total - p->done) / per_second : 0;
        n += snprintf(out + n, (size_t)(LINE_BYTES - n), "  ");
        n += add_duration(left < 1e9 ? left : 1e9, out + n, (size_t)(LINE_BYTES - n));
        snprintf(out + n, (size_t)(LINE_BYTES - n), " left");
    }
}

static void draw(progress *p, bool ended)
{
    char tail[LINE_BYTES], bar[BAR_COLUMNS + 5] = "", line[3 * LINE_BYTES];
    int width = terminal_columns() - 1; /* the last column would wrap on some terminals */
    int label_columns, tail_columns, columns;
    tail_text(p, ended, tail);
    escape_fit(p->label, strlen(p->label), width, &label_columns);
    escape_fit(tail, strlen(tail), LINE_BYTES, &tail_columns);
    int room = width - label_columns - 2 - tail_columns - 4;
    if (p->total && room >= SHORTEST_BAR) {
        int length = room < BAR_COLUMNS ? room : BAR_COLUMNS, filled = length * percent(p) / 100;
        bar[0] = '[';
        memset(bar + 1, '#', (size_t)filled);
        memset(bar + 1 + filled, '-', (size_t)(length - filled));
        memcpy(bar + 1 + length, "]  ", 4);
    }
    int n = snprintf(line, sizeof line, "\r%s  %s%s", p->label, bar, tail);
    BUG_IF(n < 0 || (size_t)n >= sizeof line - 8, "a line of %d bytes", n);
    size_t fits = escape_fit(line + 1, (size_t)n - 1, width, &columns);
    memcpy(line + 1 + fits, "\033[K", 4); /* erases what a longer line left behind */
    put(line, strlen(line));
    atomic_store(&standing, true);
    p->shown = true;
    p->drawn = now();
}

static void print_plain(progress *p, bool ended)
{
    char tail[LINE_BYTES], line[2 * LINE_BYTES];
    tail_text(p, ended, tail);
    int n = snprintf(line, sizeof line, "%s:  %s\n", p->label, tail + strspn(tail, " "));
    put(line, (size_t)n);
    p->drawn = now();
}

void progress_at(progress *p, uint64_t done)
{
    if (!p)
        return;
    p->done = done;
    if (p->terminal) {
        if (!p->shown || now() - p->drawn >= DRAW_SECONDS)
            draw(p, false);
        return;
    }
    int tenths = p->total ? percent(p) / 10 : 0;
    double silent = now() - p->drawn;
    bool due =
        p->total ? tenths > p->tenths && tenths < 10 && silent >= TENTH_SECONDS : silent >= BLIND_SECONDS;
    if (due && !p->quiet) {
        p->tenths = tenths;
        print_plain(p, false);
    }
}

void progress_start_at(progress *p, uint64_t done)
{
    if (p)
        p->start = p->done = done;
}

void progress_erase(progress *p)
{
    if (p && p->terminal && p->shown) {
        put("\r\033[K", 4);
        atomic_store(&standing, false);
    }
}

void progress_abandon(void)
{
    if (atomic_load(&standing))
        put("\r\033[K", 4);
}

void progress_show(progress *p)
{
    if (p && p->terminal && p->shown)
        draw(p, false);
}

void progress_quiet(progress *p, bool quiet)
{
    if (p)
        p->quiet = quiet;
}

void progress_close(progress *p)
{
    if (!p)
        return;
    if (p->terminal) {
        draw(p, true);
        put("\n", 1);
        atomic_store(&standing, false);
    } else if (!p->quiet) {
        print_plain(p, true);
    }
    free(p->label);
    free(p->unit);
    free(p);
}
