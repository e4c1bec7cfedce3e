/* team.c - see team.h.
 *
 * Claims.  In phase e thread w owns tasks [tasks*w/size, tasks*(w+1)/size) and a counter of how many of them
 * are taken; a thread empties its own share in order and then takes one task at a time from the next threads'
 * shares.  There are two sets of counters: phase e uses set e%2, and at the barrier that ends it each thread
 * clears its counter of the other set, which nobody has touched since the barrier before and which phase e+1
 * will use.
 *
 * Relaxed order is enough for counters: they only deal out tasks, and data passes between threads at
 * barriers alone. */
#include "kernels/team.h"

#include <assert.h>
#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define LINE          64   /* bytes that travel between cores together */
#define SPINS         2000 /* pauses before a waiting thread yields; a pause takes 40 to 140 cycles */
#define SPINS_CROWDED 16   /* the same when the threads outnumber the cores */
#define SCRATCH_SKEW  192  /* bytes by which threads' scratch starts apart in a page */

typedef struct line_counter {
    _Alignas(LINE) atomic_long value;
} line_counter;

struct team {
    _Alignas(LINE) atomic_int arrived;
    _Alignas(LINE) atomic_uint generation;
    _Alignas(LINE) int threads;
    int spins;
    const kernels *k;
    line_counter *taken[2]; /* one for each thread */
    char *scratch;
    size_t scratch_bytes; /* for each thread */
};

/* Denormals flushed, round to nearest, no traps; returns the state to restore. */
static unsigned float_state_enter(void)
{
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(0x1f80u | 0x8000u | 0x0040u);
    return before;
#elif defined(__aarch64__)
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)1 << 24));
    return (unsigned)before;
#else
    return 0;
#endif
}

static void float_state_leave(unsigned before)
{
#if defined(__x86_64__)
    _mm_setcsr(before);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)before));
#else
    (void)before;
#endif
}

static void spin_pause(void)
{
#if defined(__x86_64__)
    _mm_pause();
#endif
}

static int cores_allowed(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

team *team_open(int threads, const kernels *k)
{
    assert(threads >= 1 && k);
    team *t = aligned_alloc(LINE, sizeof *t);
    line_counter *counters = aligned_alloc(LINE, 2 * (size_t)threads * sizeof *counters);
    if (!t || !counters) {
        free(t);
        free(counters);
        return NULL;
    }
    *t = (team){.threads = threads,
                .k = k,
                .spins = threads > cores_allowed() ? SPINS_CROWDED : SPINS,
                .taken = {counters, counters + threads}};
    for (int i = 0; i < 2 * threads; i++)
        atomic_init(&counters[i].value, 0);
    return t;
}

void team_close(team *t)
{
    if (!t)
        return;
    free(t->taken[0]);
    free(t->scratch);
    free(t);
}

int team_threads(const team *t)
{
    return t->threads;
}

const kernels *team_kernels(const team *t)
{
    return t->k;
}

static void member_run(team *t, int id, int size, void (*body)(member *m, void *arg), void *arg)
{
    member m = {.team = t, .id = id, .size = size, .k = t->k, .share = -1};
    unsigned state = float_state_enter();
    body(&m, arg);
    float_state_leave(state);
}

void team_run(team *t, void (*body)(member *m, void *arg), void *arg)
{
    for (int i = 0; i < 2 * t->threads; i++)
        atomic_store_explicit(&t->taken[0][i].value, 0, memory_order_relaxed);
    if (t->threads == 1) {
        member_run(t, 0, 1, body, arg);
        return;
    }
#pragma omp parallel num_threads(t->threads) default(none) shared(t, body, arg)
    member_run(t, omp_get_thread_num(), omp_get_num_threads(), body,
               arg); /* may be fewer than were asked for */
}

long team_claim(member *m, long tasks)
{
    line_counter *taken = m->team->taken[m->phase % 2];
    for (; m->victim < m->size; m->victim++, m->share = -1) {
        int owner = m->id + m->victim < m->size ? m->id + m->victim : m->id + m->victim - m->size;
        if (m->share < 0) { /* divisions are slow beside the shortest tasks */
            m->first = tasks * owner / m->size;
            m->share = tasks * (owner + 1) / m->size - m->first;
        }
        if (atomic_load_explicit(&taken[owner].value, memory_order_relaxed) >= m->share)
            continue; /* looks first: a failed claim would take the line from its owner */
        long i = atomic_fetch_add_explicit(&taken[owner].value, 1, memory_order_relaxed);
        if (i < m->share)
            return m->first + i;
    }
    return -1;
}

void team_barrier(member *m)
{
    team *t = m->team;
    atomic_store_explicit(&t->taken[(m->phase + 1) % 2][m->id].value, 0, memory_order_relaxed);
    if (m->size > 1) {
        unsigned generation = atomic_load_explicit(&t->generation, memory_order_relaxed);
        if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) == m->size - 1) {
            atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
            atomic_store_explicit(&t->generation, generation + 1, memory_order_release);
        } else {
            for (int i = 0; atomic_load_explicit(&t->generation, memory_order_acquire) == generation; i++) {
                if (i < t->spins)
                    spin_pause();
                else
                    sched_yield();
            }
        }
    }
    m->phase++;
    m->victim = 0;
    m->share = -1;
}

void *team_scratch(member *m, size_t bytes)
{
    assert(bytes <= m->team->scratch_bytes);
    (void)bytes;
    return m->team->scratch + (size_t)m->id * m->team->scratch_bytes;
}

bool team_reserve(team *t, size_t bytes_per_thread)
{
    if (bytes_per_thread <= t->scratch_bytes)
        return true;
    size_t bytes = (bytes_per_thread + 4095) / 4096 * 4096 + SCRATCH_SKEW;
    char *scratch = aligned_alloc(LINE, bytes * (size_t)t->threads);
    if (!scratch)
        return false;
    free(t->scratch);
    t->scratch = scratch;
    t->scratch_bytes = bytes;
    return true;
}
