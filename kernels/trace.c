#include "kernels/trace.h"

#include "kernels/clock.h"

#include <stdlib.h>

const char *const trace_names[TRACE_PHASES] = {
#define TRACE_NAME(name, text) [TRACE_##name] = text,
    TRACE_LIST(TRACE_NAME)
#undef TRACE_NAME
};

bool trace_open(trace *t, size_t capacity)
{
    *t = (trace){.capacity = capacity, .step = -1};
    if (capacity == 0)
        return true;
    t->event = calloc(capacity, sizeof *t->event);
    return t->event != NULL;
}

void trace_close(trace *t)
{
    free(t->event);
    *t = (trace){.step = -1};
}

void trace_reset(trace *t)
{
    *t = (trace){.capacity = t->capacity, .event = t->event, .step = -1};
}

static void end_at(trace *t, uint64_t now)
{
    if (!t->timing)
        return;
    t->ns[t->phase] += now - t->begin;
    t->count[t->phase]++;
    if (t->capacity > 0)
        t->event[t->events % t->capacity] =
            (trace_event){.begin = t->begin, .end = now, .step = t->step, .phase = t->phase};
    t->events++;
    t->timing = false;
}

/* One reading of the clock both ends and begins, so that nothing lies between two phases. */
static void begin_at(trace *t, trace_phase phase, uint64_t now)
{
    end_at(t, now);
    t->timing = true;
    t->phase = phase;
    t->begin = now;
}

void trace_begin(trace *t, trace_phase phase)
{
    if (t && !(t->timing && t->phase == phase))
        begin_at(t, phase, clock_ns());
}

void trace_end(trace *t)
{
    if (t)
        end_at(t, clock_ns());
}

void trace_step(trace *t, int64_t step, uint64_t tokens, trace_phase phase)
{
    if (!t)
        return;
    begin_at(t, phase, clock_ns());
    t->step = step;
    t->steps += step >= 0;
    t->tokens += tokens;
}

uint64_t trace_total(const trace *t)
{
    uint64_t sum = 0;
    for (int p = 0; p < TRACE_PHASES; p++)
        sum += t->ns[p];
    return sum;
}
