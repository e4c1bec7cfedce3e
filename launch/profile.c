#include "launch/profile.h"

#include "io/output.h"
#include "io/record.h"
#include "trainer/flops.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define EVENTS_ALL   65536
#define EVENTS_LEAST 1024

size_t profile_capacity(int ranks)
{
    const size_t each = EVENTS_ALL / (size_t)ranks;
    return each > EVENTS_LEAST ? each : EVENTS_LEAST;
}

static const char head[] = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n", tail[] = "]}\n";

/* A slip of the pen costs no configuration, corpus or checkpoint: of files, only older timelines are replaced. */
static status check_replaced(const char *path, error *e)
{
    struct stat st;
    char begin[sizeof head - 1];
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return STATUS_OK;
    FILE *in = fopen(path, "rb");
    const bool timeline =
        in && fread(begin, sizeof begin, 1, in) == 1 && memcmp(begin, head, sizeof begin) == 0;
    if (in)
        fclose(in);
    return timeline ? STATUS_OK
                    : fail(e, STATUS_USAGE,
                           "--profile=%s: is there already, and no timeline; name another file", path);
}

status profile_check(const char *path, error *e)
{
    if (strcmp(path, "-") == 0)
        return fail(e, STATUS_USAGE, "--profile=-: stdout gets the table; name a file for the timeline");
    status s = check_replaced(path, e);
    if (s != STATUS_OK)
        return s;
    s = disk_check_stream(path, e);
    return s == STATUS_OK ? s : fail_as(e, STATUS_USAGE, "--profile");
}

/* ---- the timeline ---- */

static int64_t nanoseconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

typedef struct timeline {
    FILE *out;
    int rank;
    int64_t shift; /* from the monotonic clock to nanoseconds since the first rank's first event */
} timeline;

static void put_line(const timeline *l, record *m)
{
    char *text = record_to_text(m);
    fprintf(l->out, "%s,\n", text);
    free(text);
    record_free(m);
}

/* One complete event ("X"): microseconds, as the format has it. */
static void put_event(const timeline *l, const char *name, uint64_t begin, uint64_t end)
{
    record *m = record_new();
    record_set_text(m, "name", name);
    record_set_text(m, "ph", "X");
    record_set_double(m, "ts", 1e-3 * (double)((int64_t)begin + l->shift));
    record_set_double(m, "dur", 1e-3 * (double)(end - begin));
    record_set_int(m, "pid", l->rank);
    record_set_int(m, "tid", 0);
    put_line(l, m);
}

/* Event i of those that are left, the oldest first. */
static const trace_event *event_at(const trace *t, uint64_t i)
{
    const uint64_t first = t->events > t->capacity ? t->events - t->capacity : 0;
    return &t->event[(first + i) % t->capacity];
}

static uint64_t events_left(const trace *t)
{
    return t->events < t->capacity ? t->events : t->capacity;
}

/* Parents stand in front of their children: the whole, then each step with its phases. */
static void put_events(const timeline *l, const trace *t)
{
    const uint64_t n = events_left(t);
    if (n == 0)
        return;
    fprintf(l->out,
            "{\"name\": \"process_name\", \"ph\": \"M\", \"pid\": %d, \"args\": {\"name\": \"rank %d\"}},\n",
            l->rank, l->rank);
    put_event(l, "train", event_at(t, 0)->begin, event_at(t, n - 1)->end);
    for (uint64_t i = 0; i < n; i++) {
        const trace_event *e = event_at(t, i);
        if (e->step >= 0 && (i == 0 || event_at(t, i - 1)->step != e->step)) {
            uint64_t last = i;
            while (last + 1 < n && event_at(t, last + 1)->step == e->step)
                last++;
            char name[48];
            snprintf(name, sizeof name, "step %lld", (long long)e->step);
            put_event(l, name, e->begin, event_at(t, last)->end);
        }
        put_event(l, trace_names[e->phase], e->begin, e->end);
    }
}

/* This rank's part of the file, malloc'ed; NULL: no memory. */
static char *lines_of(comm *group, const trace *t, size_t *bytes)
{
    char *text = NULL;
    timeline l = {.out = open_memstream(&text, bytes), .rank = comm_rank(group)};
    const int64_t to_day = nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_MONOTONIC);
    const int64_t begin = events_left(t) ? (int64_t)event_at(t, 0)->begin + to_day : INT64_MAX;
    l.shift = to_day - comm_min(group, begin);
    if (!l.out)
        return NULL;
    put_events(&l, t);
    const bool lost = ferror(l.out) != 0;
    if (fclose(l.out) == 0 && !lost)
        return text;
    free(text);
    return NULL;
}

/* Rank 0.  The parts of all ranks, and around them what makes one object of them. */
static status write_file(const char *path, const char *lines, size_t bytes, error *e)
{
    output out;
    status s = check_replaced(path, e); /* the run may have made it meanwhile */
    if (s != STATUS_OK)
        return s;
    s = output_open(&out, path, e);
    if (s == STATUS_OK) {
        fputs(head, out.stream);
        fwrite(lines, 1, bytes > 2 ? bytes - 2 : 0, out.stream); /* without the last comma */
        fputs(tail, out.stream);
        s = output_close(&out, e);
    }
    return s == STATUS_OK ? s : fail_as(e, STATUS_IO_FAILED, "--profile");
}

status profile_write(comm *group, const trace *t, const char *path, error *e)
{
    const size_t size = (size_t)comm_size(group);
    size_t bytes = 0, total = 0, *each = malloc(2 * size * sizeof *each);
    char *mine = lines_of(group, t, &bytes), *all = NULL;
    status s =
        each && mine ? STATUS_OK : fail(e, STATUS_NO_MEMORY, "no memory for the timeline of --profile");
    s = comm_agree(group, s, e);
    if (s == STATUS_OK) {
        size_t *width = each + size;
        for (size_t r = 0; r < size; r++)
            width[r] = sizeof bytes;
        comm_all_gather(group, &bytes, each, width);
        for (size_t r = 0; r < size; r++)
            total += each[r];
        if (comm_rank(group) == 0 && !(all = malloc(total + 1)))
            s = fail(e, STATUS_NO_MEMORY, "no memory for the timelines of %zu ranks", size);
        s = comm_agree(group, s, e);
    }
    if (s == STATUS_OK)
        comm_gather(group, mine, all, each, 0);
    if (s == STATUS_OK && comm_rank(group) == 0)
        s = write_file(path, all, total, e);
    free(all);
    free(mine);
    free(each);
    return comm_agree(group, s, e);
}

/* ---- the table ---- */

void profile_print(FILE *out, const trace *t, const model_shape *shape, int ranks)
{
    const double total = 1e-9 * (double)trace_total(t), tokens = (double)t->tokens;
    double in_steps = 0;
    if (ranks > 1)
        fprintf(out, "rank 0 of %d; the timeline has all of them\n", ranks);
    fprintf(out, "%-22s %10s %8s %12s %9s\n", "phase", "seconds", "share", "ms a step", "GFLOP/s");
    for (int p = 0; p < TRACE_PHASES; p++) {
        const double seconds = 1e-9 * (double)t->ns[p], operations = tokens * flops_of(shape, (trace_phase)p);
        const bool of_step = p != TRACE_VALIDATION && p != TRACE_CHECKPOINT && p != TRACE_OTHER;
        if (t->count[p] == 0)
            continue;
        fprintf(out, "%-22s %10.3f %6.1f %%", trace_names[p], seconds, 1e2 * seconds / total);
        if (of_step && t->steps > 0)
            fprintf(out, " %12.3f", 1e3 * seconds / (double)t->steps);
        if (operations > 0 && seconds > 0)
            fprintf(out, " %9.1f", 1e-9 * operations / seconds);
        fprintf(out, "\n");
        in_steps += of_step ? seconds : 0;
    }
    if (t->steps > 0 && in_steps > 0)
        fprintf(out, "%-22s %10.3f %6.1f %% %12.3f %9.1f\n", "all steps", in_steps, 1e2 * in_steps / total,
                1e3 * in_steps / (double)t->steps, 1e-9 * tokens * flops_step(shape) / in_steps);
    fprintf(out, "%-22s %10.3f  100.0 %%\n", "all", total);
}
