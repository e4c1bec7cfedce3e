#include "kernels/peak.h"

#include "kernels/clock.h"
#include "kernels/simd/table.h"

#include <unistd.h>

/* The product: 280 KB of operands, so that they share a core's L2 cache with nothing else.  48 rows are whole
 * tiles in every table. */
#define ROWS   48
#define PANELS 4
#define DEPTH  640
#define GROUP  ((size_t)PANELS * DEPTH * 16) /* floats of panels */

#define WEIGHTS_LEAST (2u << 20) /* bytes of a thread's weights */
#define WEIGHTS_MOST  (16u << 20)

#define BURST_ROUNDS 2000         /* of fma chains between two looks at the clock: about 10 us */
#define SLICE        (16u << 10)  /* floats of a task */
#define ARRAYS_LEAST (192u << 20) /* bytes of the three arrays */
#define ARRAYS_MOST  ((size_t)3 << 30)

bool peak_open(peak *p, arena *memory, team *t)
{
    const size_t n = (size_t)team_threads(t), f = sizeof(float);
    const long own = sysconf(_SC_LEVEL2_CACHE_SIZE);
    size_t bytes = own > 0 ? 2 * (size_t)own : 0;
    bytes = bytes < WEIGHTS_LEAST ? WEIGHTS_LEAST : bytes > WEIGHTS_MOST ? WEIGHTS_MOST : bytes;
    *p = (peak){.groups = (int)(bytes / (GROUP * f)) + 1};
    arena_add(memory, "peak: rows", (void **)&p->a, n * ROWS * DEPTH * f);
    arena_add(memory, "peak: weights", (void **)&p->weights, n * (size_t)p->groups * GROUP * f);
    arena_add(memory, "peak: panels", (void **)&p->b, n * GROUP * f);
    arena_add(memory, "peak: product", (void **)&p->c, n * ROWS * PANELS * 16 * f);
    arena_add(memory, "peak: rates", (void **)&p->rate, n * sizeof(double));
    if (!arena_commit(memory))
        return false;
    for (size_t i = 0; i < n * ROWS * DEPTH; i++)
        p->a[i] = (float)(i % 7) * 0.125f;
    for (size_t i = 0; i < n * GROUP; i++)
        p->b[i] = (float)(i % 5) * 0.25f;
    for (size_t i = 0; i < n * (size_t)p->groups * GROUP; i++)
        p->weights[i] = 0.5f;
    return true;
}

static double burst_fma(const kernels *k, const peak *p, size_t id)
{
    float *out = p->c + id * ROWS * PANELS * 16;
    *out = 0.5f;
    return k->fma_chains(out, BURST_ROUNDS);
}

static double burst_kernel(const kernels *k, const peak *p, size_t id)
{
    k->gemm(ROWS, PANELS, DEPTH, p->a + id * ROWS * DEPTH, DEPTH, 1, p->b + id * GROUP, (size_t)DEPTH * 16,
            p->c + id * ROWS * PANELS * 16, (size_t)PANELS * 16, GEMM_ZERO, NULL);
    return 2.0 * ROWS * PANELS * 16 * DEPTH;
}

static double burst_weights(const kernels *k, const peak *p, size_t id)
{
    const float *group = p->weights + id * (size_t)p->groups * GROUP;
    for (int i = 0; i < p->groups; i++, group += GROUP)
        k->gemm(1, PANELS, DEPTH, p->a + id * ROWS * DEPTH, DEPTH, 1, group, (size_t)DEPTH * 16,
                p->c + id * ROWS * PANELS * 16, (size_t)PANELS * 16, GEMM_ZERO, NULL);
    return (double)p->groups * GROUP * sizeof(float);
}

typedef struct job {
    const peak *p;
    double (*burst)(const kernels *k, const peak *p, size_t id);
} job;

static void body(member *m, void *arg)
{
    const job *j = arg;
    const size_t id = (size_t)m->id;
    j->burst(m->k, j->p, id); /* into the cache */
    team_barrier(m);
    const uint64_t begin = clock_ns(), end = begin + j->p->duration_ns;
    uint64_t now;
    double done = 0;
    do {
        done += j->burst(m->k, j->p, id);
        now = clock_ns();
    } while (now < end);
    j->p->rate[id] = done / (1e-9 * (double)(now - begin));
}

static double measure(peak *p, team *t, double seconds,
                      double (*burst)(const kernels *k, const peak *p, size_t id))
{
    double sum = 0;
    p->duration_ns = (uint64_t)(1e9 * seconds);
    team_run(t, body, &(job){p, burst});
    for (int i = 0; i < team_threads(t); i++)
        sum += p->rate[i];
    return sum;
}

double peak_fma(peak *p, team *t, double seconds)
{
    return measure(p, t, seconds, burst_fma);
}

double peak_kernel(peak *p, team *t, double seconds)
{
    return measure(p, t, seconds, burst_kernel);
}

double peak_weights(peak *p, team *t, double seconds)
{
    return measure(p, t, seconds, burst_weights);
}

/* ---- memory ---- */

typedef struct arrays {
    float *a, *b, *c;
    size_t n; /* floats of each, a multiple of SLICE */
} arrays;

/* A task for each piece of the arrays; shares are the same each time. */
static void pass(member *m, void *arg)
{
    const arrays *x = arg;
    for (long i; (i = team_claim(m, (long)(x->n / SLICE))) >= 0;) {
        const size_t at = (size_t)i * SLICE;
        m->k->add(x->a + at, x->b + at, x->c + at, SLICE);
    }
    team_barrier(m);
}

double peak_memory(team *t, double seconds)
{
    const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    size_t bytes = cache > 0 ? 4 * (size_t)cache : 0;
    bytes = bytes < ARRAYS_LEAST ? ARRAYS_LEAST : bytes > ARRAYS_MOST ? ARRAYS_MOST : bytes;
    arrays x = {.n = bytes / 3 / sizeof(float) / SLICE * SLICE};
    arena memory = {0};
    arena_add(&memory, "peak: a", (void **)&x.a, x.n * sizeof(float));
    arena_add(&memory, "peak: b", (void **)&x.b, x.n * sizeof(float));
    arena_add(&memory, "peak: c", (void **)&x.c, x.n * sizeof(float));
    if (!arena_commit(&memory))
        return 0;
    team_run(t, pass, &x);
    int passes = 0;
    const uint64_t begin = clock_ns(), end = begin + (uint64_t)(1e9 * seconds);
    uint64_t now;
    do {
        team_run(t, pass, &x);
        passes++;
        now = clock_ns();
    } while (now < end);
    arena_free(&memory);
    return 3.0 * (double)x.n * sizeof(float) * passes / (1e-9 * (double)(now - begin));
}
