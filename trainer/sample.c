#include "trainer/sample.h"

#include "kernels/dmath.h"
#include "kernels/rng.h"

#include <stdlib.h>

static int more_probable(const void *x, const void *y)
{
    const sample_candidate *a = x, *b = y;
    if (a->logp != b->logp)
        return a->logp > b->logp ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

uint32_t sample_draw(const sample_settings *s, const float *logp, uint32_t V, uint32_t place,
                     sample_candidate *work)
{
    uint32_t n = 0;
    for (uint32_t v = 0; v < V; v++)
        if ((int64_t)v != s->banned)
            work[n++] = (sample_candidate){.id = v, .logp = logp[v]};
    qsort(work, n, sizeof *work, more_probable);
    if (s->temperature == 0)
        return work[0].id;
    if (s->top_k && s->top_k < n)
        n = s->top_k;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        work[i].weight = d_exp(((double)work[i].logp - (double)work[0].logp) / s->temperature);
        sum += work[i].weight;
    }
    double kept = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < n && (i == 0 || kept < s->top_p * sum); i++) {
        kept += work[i].weight;
        last = i;
    }
    rng_place at = {.seed = s->seed, .step = place, .purpose = RNG_SAMPLE};
    double u = rng_uniform53(&at, 0) * kept, below = 0;
    for (uint32_t i = 0; i < last; i++) {
        below += work[i].weight;
        if (u < below)
            return work[i].id;
    }
    return work[last].id;
}
